"""What to buy next, why, and at what price. Values in, values out; buys nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from boxset.compare.sightings import LAST, Sightings
from boxset.dataset.records import Picture, Pool, Refused
from boxset.dataset.similar import near_pairs, same_picture
from boxset.labeling.answers import current_pictures
from boxset.labeling.asked import BITS, bought, copies, ids_asked
from boxset.labeling.ledger import Ledger
from boxset.labeling.price import cap_mills, per_picture_mills
from boxset.labeling.yields import Yields, learned
from boxset.params import Label
from boxset.resolve import Ids, Targets


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One picture to buy."""

    sha256: str
    file_name: str
    width: int
    height: int
    phash: str
    grid: str
    found_for: str
    query: str
    asks: tuple[str, ...]  # the categories that it is asked about, in the order of their ids
    why: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One category of the plan; boxes."""

    category: str
    id: int
    target: int
    have: int
    pictures: int
    expected: int
    candidates: int


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to buy next. Money in mills (0.001 USD)."""

    items: tuple[Item, ...]
    rows: tuple[Row, ...]
    version: int
    workers: int
    per_picture_mills: int
    cost_mills: int
    committed_mills: int
    budget_mills: int
    ledger: str  # fingerprint of the ledger that it was made from
    stops_at: str
    to_targets_pictures: int  # what the targets would take if neither budget nor max_images bound
    to_targets_mills: int
    to_targets_stops_at: str
    old_pictures: int  # labelled before, not asked about some category of today, and not in this plan
    old_categories: tuple[str, ...]
    old_mills: int
    predictions: str = ""  # in plain words, how a detector's predictions were used; empty: there are none


@dataclass(frozen=True)
class Candidate:
    """A picture that could be asked, and the categories that it was not asked about yet."""

    picture: Picture
    asks: tuple[str, ...]


@dataclass
class Choice:
    """The items chosen so far and the boxes that they should bring."""

    expected: dict[str, float]
    items: list[Item] = field(default_factory=list)
    stops_at: str = ""
    unseen: int = 0  # items in which a detector sees none of the category that they are bought for


@dataclass(frozen=True)
class Market:
    """What is there to choose from, and what is wanted."""

    fresh: Mapping[str, list[Candidate]]  # never asked, by the category that they were found for
    old: list[Candidate]
    have: Mapping[str, int]
    yields: Yields
    targets: Mapping[str, int]
    ids: Mapping[str, int]
    sees: Sightings

    def expected(self, candidate: Candidate, name: str) -> float:
        """Return the boxes of a category that a picture should bring."""
        picture = candidate.picture
        return self.sees.expected(picture.sha256, self.ids[name], self.yields.rate(picture.category, picture.query, name))

    def order(self, candidate: Candidate, name: str) -> tuple[int, float]:
        """Return a key by which the pictures in which a detector sees the category come first, and those in which it sees none last."""
        return self.sees.turn(candidate.picture.sha256, self.ids[name]), -self.expected(candidate, name)


def make_plan(
    ledger: Ledger,
    ids: Ids,
    targets: Targets,
    settings: Label,
    *,
    have: Mapping[str, int],
    crawled: dict[str, tuple[Picture, ...]],
    extracted: list[Pool],
    refused: Refused | None = None,
    sees: Sightings | None = None,
) -> Plan:
    """Choose pictures for the categories that miss most, until the targets, the budget or the pictures are at their end.

    `have`: the boxes of each category that there are, as targets count them: after duplicates are united (`merge.boxes_united`).
    `sees`: what a detector sees in the pictures. It orders them and says how many boxes to expect; it becomes no label.
    Pictures without a licence of their own that a source refuses for the one that it states are not bought: `merge` would leave them out.
    """
    known = {picture.sha256: picture for picture in current_pictures(crawled, extracted)}
    candidates = _allowed(_candidates(ledger, ids, settings, crawled=crawled, extracted=extracted), refused or Refused())
    fresh = [candidate for candidate in candidates if len(candidate.asks) == len(ids.categories)]
    old = [candidate for candidate in candidates if len(candidate.asks) < len(ids.categories)]
    market = Market(
        {name: [c for c in fresh if c.picture.category == name] for name in ids.categories},
        old,
        have,
        learned(ledger, ids, known),
        {name: targets.categories[name].target for name in ids.categories},
        {name: identity.id for name, identity in ids.categories.items()},
        sees or Sightings(),
    )
    use_old = settings.old_pictures == "all"
    chosen = _choose(market, *_limit(ledger, settings, most=len(candidates)), use_old=use_old)
    whole = _choose(market, len(candidates), "", use_old=use_old)
    left = [] if use_old else old
    price = per_picture_mills(settings)
    return Plan(
        items=tuple(chosen.items),
        rows=_rows(market, chosen, ids),
        version=settings.instructions_version,
        workers=settings.workers,
        per_picture_mills=price,
        cost_mills=price * len(chosen.items),
        committed_mills=ledger.committed_mills,
        budget_mills=cap_mills(settings.budget_usd),
        ledger=ledger.fingerprint,
        stops_at=chosen.stops_at,
        to_targets_pictures=len(whole.items),
        to_targets_mills=price * len(whole.items),
        to_targets_stops_at=whole.stops_at,
        old_pictures=len(left),
        old_categories=tuple(name for name in ids.categories if any(name in c.asks for c in left)),
        old_mills=price * len(left),
        predictions=_predictions_used(candidates, market.sees, chosen),
    )


def _predictions_used(candidates: list[Candidate], sees: Sightings, chosen: Choice) -> str:
    seen = [sees.models[c.picture.sha256] for c in candidates if c.picture.sha256 in sees.models]
    if not seen:
        return ""
    order = "pictures in which it sees a category come first, those in which it sees none last, and its counts say how many boxes to expect"
    named = ", ".join(dict.fromkeys(sorted(seen)))
    used = f"Predictions of {named} were used on {len(seen):,} of {len(candidates):,} pictures: {order}"
    last = f"Of the {len(chosen.items):,} to buy, {chosen.unseen:,} show none by them; label.max_images leaves such pictures for later. " if chosen.unseen else ""
    return f"{used}. {last}No prediction becomes a label."


def _rows(market: Market, chosen: Choice, ids: Ids) -> tuple[Row, ...]:
    return tuple(
        Row(
            category=name,
            id=identity.id,
            target=market.targets[name],
            have=market.have[name],
            pictures=sum(item.found_for == name for item in chosen.items),
            expected=round(chosen.expected[name]),
            candidates=len(market.fresh[name]),
        )
        for name, identity in ids.categories.items()
    )


def _limit(ledger: Ledger, settings: Label, *, most: int) -> tuple[int, str]:
    """Return how many pictures may be bought at the most, and what says so."""
    price, cap = per_picture_mills(settings), cap_mills(settings.budget_usd)
    if cap <= 0:
        return 0, "label.budget_usd is 0"
    room = max(0, cap - ledger.committed_mills) // price if price else most
    if settings.max_images and settings.max_images < room:
        return settings.max_images, "label.max_images is reached"
    return room, "the budget is used up"


def _candidates(
    ledger: Ledger, ids: Ids, settings: Label, *, crawled: dict[str, tuple[Picture, ...]], extracted: list[Pool]
) -> list[Candidate]:
    """Return the pictures that no source has annotated and that were not asked about every category, in rank order, each picture once."""
    annotated = {a.sha256 for pool in extracted for a in pool.annotations} | {p.sha256 for pool in extracted for p in pool.presence}
    own = [p for pool in extracted for p in pool.pictures if p.category and p.sha256 not in annotated]
    queue = [p for name in ids.categories for p in sorted(crawled.get(name, ()), key=lambda p: (p.rank, p.sha256))]
    known = [p for pool in extracted for p in pool.pictures if p.sha256 in annotated]
    pictures = _once(_without_copies_of(known, [*own, *queue]))
    asked = ids_asked(pictures, bought(ledger, settings.instructions_version))
    asks = (tuple(name for name, identity in ids.categories.items() if identity.id not in done) for done in asked)
    return [Candidate(picture, missing) for picture, missing in zip(pictures, asks, strict=True) if missing]


def _allowed(candidates: list[Candidate], refused: Refused) -> list[Candidate]:
    is_refused = refused.test()
    return [candidate for candidate in candidates if candidate.picture.license or not is_refused(candidate.picture)]


def _without_copies_of(known: list[Picture], pictures: list[Picture]) -> list[Picture]:
    out = {position for position, _ in copies(pictures, known)}
    return [picture for position, picture in enumerate(pictures) if position not in out]


def _once(pictures: list[Picture]) -> list[Picture]:
    """Return the pictures that are no copy of an earlier one."""
    out: set[int] = set()
    for i, j in near_pairs([p.phash for p in pictures], BITS):
        if i not in out and same_picture(pictures[i], pictures[j], BITS):
            out.add(j)
    return [picture for position, picture in enumerate(pictures) if position not in out]


def _choose(market: Market, most: int, binds: str, *, use_old: bool) -> Choice:
    """Take picture after picture for the category that is furthest, by share, below its target."""
    queues = {name: _queue(market, name, use_old=use_old) for name in market.targets}
    choice, taken, dry = Choice(dict.fromkeys(market.targets, 0.0)), set[str](), set[str]()
    while wanted := _furthest(market, choice, dry):
        if len(choice.items) >= most and binds:
            choice.stops_at = binds
            return choice
        candidate = next((c for c in queues[wanted] if c.picture.sha256 not in taken), None)
        if candidate is None:
            dry.add(wanted)
            continue
        taken.add(candidate.picture.sha256)
        _take(choice, candidate, market, wanted)
    short = [name for name in market.targets if name in dry and _missing(market, choice, name) > 0]
    choice.stops_at = f"no pictures are left for {', '.join(short)}: add queries, or raise crawl_images" if short else "the targets are reached"
    return choice


def _queue(market: Market, name: str, *, use_old: bool) -> Iterator[Candidate]:
    """Yield a category's pictures: of the best queries first, then in rank order; then old pictures that were not asked about it."""
    yield from sorted(market.fresh[name], key=lambda c: market.order(c, name))
    if use_old:
        old = [c for c in market.old if name in c.asks]
        yield from sorted(old, key=lambda c: market.order(c, name))


def _furthest(market: Market, choice: Choice, dry: set[str]) -> str:
    missing = {name: _missing(market, choice, name) for name in sorted(market.targets) if name not in dry}
    name = max(missing, key=missing.__getitem__, default="")
    return name if name and missing[name] > 0 else ""


def _missing(market: Market, choice: Choice, name: str) -> float:
    target = market.targets[name]
    return 1 - (market.have[name] + choice.expected[name]) / target if target else 0.0


def _take(choice: Choice, candidate: Candidate, market: Market, wanted: str) -> None:
    picture = candidate.picture
    why = f"{wanted}: {market.have[wanted] + round(choice.expected[wanted])} of {market.targets[wanted]} boxes"
    seen = market.sees.words(picture.sha256, market.ids[wanted])
    choice.unseen += market.sees.turn(picture.sha256, market.ids[wanted]) == LAST
    choice.items.append(
        Item(
            sha256=picture.sha256,
            file_name=picture.file_name,
            width=picture.width,
            height=picture.height,
            phash=picture.phash,
            grid=picture.grid,
            found_for=picture.category,
            query=picture.query,
            asks=candidate.asks,
            why=f"{why}; {seen}" if seen else why,
        )
    )
    for category in candidate.asks:
        choice.expected[category] += market.expected(candidate, category)


def plan_metrics(plan: Plan, answers: Pool, ledger: Ledger) -> dict[str, Any]:
    """Return `metrics/label.json`."""
    boxes: dict[str, int] = {row.category: 0 for row in plan.rows}
    for annotation in answers.annotations:
        boxes[annotation.category] += 1
    known = bought_metrics(ledger)
    return {
        "boxes": boxes,
        "images": {**known["images"], "planned": len(plan.items)},
        "cost_usd": {**known["cost_usd"], "plan": plan.cost_mills / 1000},
    }


def bought_metrics(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """Return what `metrics/label.json` says of the ledger alone."""
    labelled = {a.sha256 for job in ledger.jobs.values() for a in job.answers.values() if a.state == "labelled"}
    return {
        "images": {"asked": sum(len(job.asked) for job in ledger.jobs.values()), "labelled": len(labelled)},
        "cost_usd": {"spent": ledger.spent_mills / 1000, "committed": ledger.committed_mills / 1000},
    }

"""What to buy next, why, and at what price. Values in, values out; buys nothing."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import msgspec

from boxset.assemble.freeze import ALL_COUNT, Futile
from boxset.compare.sightings import LAST, NO_SIGHTINGS, Sightings
from boxset.dataset.decisions import NOBODY, NOTHING, Decisions, Review, Verdict
from boxset.dataset.records import Picture, Pool, Refused
from boxset.dataset.similar import COPY_BITS, twins
from boxset.labeling import gold
from boxset.labeling.answers import current_pictures
from boxset.labeling.asked import as_picture, bought, copies, ids_asked, pictures_asked
from boxset.labeling.ledger import Ledger
from boxset.labeling.price import cap_mills, per_picture_mills
from boxset.labeling.yields import Rate, Said, Yields, interval, learned
from boxset.params import Label, ReviewPolicy
from boxset.resolve import Ids, Target, Targets
from boxset.wording import counted, dollars, noun

LEAST = 0.1  # of the boxes that such a picture usually brings, below which one without any in a detector's eyes is not bought


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
    wanted_for: str = ""  # the category that it is bought for


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One category of the plan; boxes."""

    category: str
    id: int
    target: int
    have: int
    pictures: int
    expected: int
    candidates: int  # pictures that may be bought for it
    reviewed: int = 0  # of them, those in which a person saw it
    waiting: int = 0  # pictures that nobody has reviewed for it
    decided: int = 0  # pictures that somebody has, whatever became of them
    interval: tuple[int, int] | None = None  # between how many boxes there will be, with a chance of 80 %; `expected` is the mean
    learned_from: int = 0  # answered pictures that the expected boxes stand on; 0: they are a guess
    useful_box_mills: int | None = None  # what the pictures cost for each expected box that the target misses


class Plan(msgspec.Struct, frozen=True, kw_only=True):
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
    decisions: str = ""  # fingerprint of the decisions that it was made from
    review: ReviewPolicy = "first"
    frozen: str = ""  # the version that test is held to
    near_frozen: int = 0  # pictures that are not bought, as `balance` would leave them out for that version
    useful_box_mills: int | None = None  # what the whole plan costs for each expected box that a target misses
    predictions: str | msgspec.UnsetType = msgspec.UNSET  # in plain words, how a detector's predictions were used, where there are some
    known: gold.Share | msgspec.UnsetType = msgspec.UNSET  # the known pictures among the items, where `label.gold_share` wants some; they bring no box


    @property
    def known_pictures(self) -> tuple[str, ...]:
        """Return the known pictures among the items, by SHA-256."""
        return self.known.sha256s if isinstance(self.known, gold.Share) else ()


@dataclass(frozen=True)
class Stock:
    """The pictures that there are, and what is known of them.

    `sees`: what a detector sees in them. It orders them and says how many boxes to expect; it becomes no label.
    """

    crawled: Mapping[str, tuple[Picture, ...]]  # by category
    extracted: Sequence[Pool]
    refused: Refused = field(default_factory=Refused)
    decisions: Decisions = NOBODY
    sees: Sightings = NO_SIGHTINGS
    futile: Futile = ALL_COUNT
    known: gold.SourcesAlone = gold.NOTHING_KNOWN


@dataclass(frozen=True)
class Candidate:
    """A picture that could be asked, the categories that it was not asked about yet, and what people said of categories in it."""

    picture: Picture
    asks: tuple[str, ...]
    said: Mapping[str, str] = field(default_factory=dict)

    def serves(self, category: str) -> bool:
        """Return whether it may be bought for a category: it was found for it and nobody said no, or somebody said yes."""
        said = self.said.get(category, "")
        return said == Verdict.YES or (not said and self.picture.category == category)


@dataclass
class Choice:
    """The items chosen so far and the boxes that they should bring."""

    expected: dict[str, float]
    items: list[Item] = field(default_factory=list)
    taken: list[Candidate] = field(default_factory=list)  # of each item
    stops_at: str = ""


@dataclass(frozen=True)
class Market:
    """What is there to choose from, and what is wanted."""

    fresh: Mapping[str, list[Candidate]]  # never asked, by the category that they serve
    old: list[Candidate]
    have: Mapping[str, int]
    yields: Yields
    targets: Mapping[str, int]
    ids: Mapping[str, int]
    use_old: bool
    only_yes: bool = False  # nothing is bought that nobody has reviewed
    sees: Sightings = NO_SIGHTINGS


def make_plan(ledger: Ledger, ids: Ids, targets: Targets, settings: Label, stock: Stock, *, have: Mapping[str, int]) -> Plan:
    """Choose pictures for the categories that miss most, until the targets, the budget or the pictures are at their end.

    `have`: the boxes of each category that there are, as targets count them: after duplicates are united (`merge.boxes_counted` of what is merged).
    Not bought are pictures without a licence of their own that a source refuses for the one that it states (`merge` would leave them out), those that a
    person called unusable, or said no to unless they serve another category, and those of which labels are `futile`.
    """
    decisions, futile = stock.decisions, stock.futile
    every, near = (_candidates(some, ledger, ids, settings, stock.refused) for some in _parted(_found(ids, stock), futile))
    market = _market(every, ids, targets, settings, have=have, yields=_yields(ledger, ids, stock), sees=stock.sees)
    askable = _askable(ledger, ids, settings, stock)
    most, binds = _limit(ledger, settings, most=len(every) + len(askable))
    offer = gold.Offer(settings.gold_share, most, askable)
    chosen, whole = _choose(market, offer.room, binds), _choose(market, len(every), "")
    known = _known_items(market, chosen, offer, stock, pictures_asked(ledger))
    items, every_pictures = _with_known(chosen.items, known), len(whole.items) + offer.beside(len(whole.items))
    left, price = [] if market.use_old else market.old, per_picture_mills(settings)
    return Plan(
        items=items,
        rows=_rows(market, chosen, ids, decisions, price),
        version=settings.instructions_version,
        workers=settings.workers,
        per_picture_mills=price,
        cost_mills=price * len(items),
        committed_mills=ledger.committed_mills,
        budget_mills=cap_mills(settings.budget_usd),
        ledger=ledger.fingerprint,
        stops_at=chosen.stops_at,
        to_targets_pictures=every_pictures,
        to_targets_mills=price * every_pictures,
        to_targets_stops_at=whole.stops_at,
        old_pictures=len(left),
        old_categories=tuple(name for name in ids.categories if any(name in c.asks for c in left)),
        old_mills=price * len(left),
        decisions=decisions.fingerprint,
        review=settings.review,
        frozen=futile.version,
        near_frozen=len(near),
        useful_box_mills=_per_box(price * len(chosen.items), sum(_useful(market, chosen, name) for name in ids.categories)),
        predictions=_predictions_used(every, market, chosen) or msgspec.UNSET,
        known=_share_of(offer, chosen, known, price) if settings.gold_share else msgspec.UNSET,
    )


def _askable(ledger: Ledger, ids: Ids, settings: Label, stock: Stock) -> list[Picture]:
    """Return the known pictures that may be asked: no copy of them was asked before, and they are not near the frozen test set."""
    some = _once([one for one in stock.known.askable if one.sha256 not in stock.futile.pictures]) if settings.gold_share else []
    asked = ids_asked(some, bought(ledger, settings.instructions_version))
    return [picture for picture, done in zip(some, asked, strict=True) if not done.intersection(one.id for one in ids.categories.values())]


def _known_items(market: Market, chosen: Choice, offer: gold.Offer, stock: Stock, asked: Collection[str]) -> list[Item]:
    """Return the known pictures of a plan, as any other picture of it looks to those who are asked. `asked`: pictures that were, by SHA-256."""
    names, bought_for = {number: name for name, number in market.ids.items()}, Counter(market.ids[item.wanted_for] for item in chosen.items)
    some = gold.chosen(stock.known.pictures, offer.askable, offer.wanted(len(chosen.items)), bought_for=bought_for, asked=asked)
    return [_known_item(picture, names[number], market) for picture, number in some]


def _known_item(picture: Picture, name: str, market: Market) -> Item:
    return _item(picture, name, tuple(market.ids), found_for=name, why=f"known picture: its boxes of {name} show how well people draw")


def _with_known(items: Sequence[Item], known: Sequence[Item]) -> tuple[Item, ...]:
    found = list(items)
    for place, item in zip(gold.places(len(known), [item.sha256 for item in items]), known, strict=True):
        found.insert(place, item)
    return tuple(found)


def _share_of(offer: gold.Offer, chosen: Choice, known: Sequence[Item], price_mills: int) -> gold.Share:
    wanted, sha256s = offer.wanted(len(chosen.items)), tuple(item.sha256 for item in known)
    return gold.Share(share=offer.share, wanted=wanted, pictures=len(known), cost_mills=price_mills * len(known), sha256s=sha256s)


def _predictions_used(candidates: list[Candidate], market: Market, chosen: Choice) -> str:
    models = market.sees.models
    seen = [models[c.picture.sha256] for c in candidates if c.picture.sha256 in models]
    if not seen:
        return ""
    order = "pictures in which it sees a category come first, those in which it sees none last, and its counts say how many boxes to expect"
    used = f"Predictions of {', '.join(sorted(set(seen)))} were used on {len(seen):,} of {counted(len(candidates), 'picture')}: {order}"
    unseen = sum(market.sees.turn(item.sha256, market.ids[item.wanted_for]) == LAST for item in chosen.items)
    last = f"Of the {len(chosen.items):,} to buy, {counted(unseen, 'shows', 'show')} none by them; label.max_images leaves such pictures for later. " if unseen else ""
    empty = sum(_is_empty(market, c, name) for name in market.targets for c in _queue(market, name) if name not in c.said)
    out = f"Not bought: {empty:,} in which it sees none of a category of which it overlooks less than a tenth. " if empty else ""
    return f"{used}. {last}{out}No prediction becomes a label."


def to_review(ledger: Ledger, ids: Ids, settings: Label, stock: Stock) -> dict[str, list[Picture]]:
    """Return for each category the pictures that the plan could buy for it and that nobody has reviewed for it, in the order in which it would."""
    found, _ = _parted(_found(ids, stock), stock.futile)
    every = _candidates(found, ledger, ids, settings, stock.refused)
    nothing = dict.fromkeys(ids.categories, 0)
    targets = Targets(categories={name: Target(target=0, max=0) for name in ids.categories})
    market = _market(every, ids, targets, settings, have=nothing, yields=_yields(ledger, ids, stock), sees=stock.sees)
    return {name: [candidate.picture for candidate in _waiting(market, name)] for name in ids.categories}


def _market(
    every: list[Candidate], ids: Ids, targets: Targets, settings: Label, *, have: Mapping[str, int], yields: Yields, sees: Sightings
) -> Market:
    fresh = [candidate for candidate in every if len(candidate.asks) == len(ids.categories)]
    return Market(
        {name: [candidate for candidate in fresh if candidate.serves(name)] for name in ids.categories},
        [candidate for candidate in every if len(candidate.asks) < len(ids.categories)],
        have,
        yields,
        {name: targets.categories[name].target for name in ids.categories},
        {name: identity.id for name, identity in ids.categories.items()},
        use_old=settings.old_pictures == "all",
        only_yes=settings.review == "required",
        sees=sees,
    )


def _yields(ledger: Ledger, ids: Ids, stock: Stock) -> Yields:
    asked = {item.sha256: as_picture(item) for job in ledger.jobs.values() for item in job.asked}
    said: Said = {sha256: _said(review, ids) for sha256, review in zip(asked, stock.decisions.of(list(asked.values())), strict=True)}
    pictures = {picture.sha256: picture for picture in current_pictures(stock.crawled, stock.extracted)}
    return learned(ledger, ids, pictures, said, but=gold.of_sources(stock.extracted, stock.crawled) | stock.known.closed.keys())


def _said(review: Review, ids: Ids) -> dict[str, str]:
    """Return what a review says of each category of today; nothing of those that it does not speak of."""
    return {name: word for name, identity in ids.categories.items() if (word := review.says(identity.id))}


def _waiting(market: Market, name: str) -> list[Candidate]:
    """Return the pictures that may be bought for a category and that nobody has reviewed for it, in the order in which they would be."""
    return [candidate for candidate in _queue(market, name) if name not in candidate.said]


def _rows(market: Market, chosen: Choice, ids: Ids, decisions: Decisions, price_mills: int) -> tuple[Row, ...]:
    decided = ((name, identity.id, decisions.counted.get(identity.id, 0)) for name, identity in ids.categories.items())
    return tuple(_row(market, chosen, name, category_id, decided=count, price_mills=price_mills) for name, category_id, count in decided)


def _row(market: Market, chosen: Choice, name: str, category_id: int, *, decided: int, price_mills: int) -> Row:
    queue = list(_queue(market, name))
    reviewed = sum(name in candidate.said for candidate in queue)
    pictures, asked = sum(item.wanted_for == name for item in chosen.items), [candidate for candidate in chosen.taken if name in candidate.asks]
    return Row(
        category=name,
        id=category_id,
        target=market.targets[name],
        have=market.have[name],
        pictures=pictures,
        expected=round(chosen.expected[name]),
        candidates=sum(_is_buyable(market, candidate, name) for candidate in queue),
        reviewed=reviewed,
        waiting=len(queue) - reviewed,
        decided=decided,
        interval=interval(_known_rate(market, candidate, name) for candidate in asked),
        learned_from=market.yields.answered(name, ((candidate.picture.category, candidate.said.get(name, "")) for candidate in asked)),
        useful_box_mills=_per_box(price_mills * pictures, _useful(market, chosen, name)),
    )


def _useful(market: Market, chosen: Choice, name: str) -> float:
    """Return the expected boxes of a category that its target misses."""
    return min(chosen.expected[name], max(0, market.targets[name] - market.have[name]))


def _per_box(cost_mills: int, boxes: float) -> int | None:
    """Return what one of some boxes costs, rounded up; None where nothing is bought, or nothing of it counts."""
    return ceil(cost_mills / boxes) if cost_mills and boxes > 0 else None


def _limit(ledger: Ledger, settings: Label, *, most: int) -> tuple[int, str]:
    """Return how many pictures may be bought at the most, and what says so."""
    price, cap = per_picture_mills(settings), cap_mills(settings.budget_usd)
    if cap <= 0:
        return 0, "label.budget_usd is 0"
    room = max(0, cap - ledger.committed_mills) // price if price else most
    if settings.max_images and settings.max_images < room:
        return settings.max_images, "label.max_images is reached"
    return room, "the budget is used up"


Found = list[tuple[Picture, dict[str, str]]]
"""Pictures, and what was said of each category in them."""


def _found(ids: Ids, stock: Stock) -> Found:
    """Return the pictures that no source has annotated and no person has sorted out, in rank order."""
    extracted = stock.extracted
    annotated = {a.sha256 for pool in extracted for a in pool.annotations} | {p.sha256 for pool in extracted for p in pool.presence}
    own = [p for pool in extracted for p in pool.pictures if p.category and p.sha256 not in annotated]
    queue = [p for name in ids.categories for p in sorted(stock.crawled.get(name, ()), key=lambda p: (p.rank, p.sha256))]
    known = [p for pool in extracted for p in pool.pictures if p.sha256 in annotated]
    return _sorted_out(_without_copies_of(known, [*own, *queue]), ids, stock.decisions)


def _parted(found: Found, futile: Futile) -> tuple[Found, Found]:
    """Return what labels may help, and what they do not. Before copies go: not every copy of a picture near a frozen one is near it."""
    return [one for one in found if one[0].sha256 not in futile.pictures], [one for one in found if one[0].sha256 in futile.pictures]


def _candidates(found: Found, ledger: Ledger, ids: Ids, settings: Label, refused: Refused) -> list[Candidate]:
    """Return the pictures that were not asked about every category and that no source refuses, each picture once."""
    pictures, said = _once([picture for picture, _ in found]), dict(found)
    asked = ids_asked(pictures, bought(ledger, settings.instructions_version))
    asks = (tuple(name for name, identity in ids.categories.items() if identity.id not in done) for done in asked)
    return _allowed([Candidate(picture, missing, said[picture]) for picture, missing in zip(pictures, asks, strict=True) if missing], refused)


def _sorted_out(pictures: list[Picture], ids: Ids, decisions: Decisions) -> Found:
    """Return the pictures without those that a person sorted out, and what was said of the others. Before copies go: one may be found for another category."""
    reviews = zip(pictures, decisions.of(pictures), strict=True)
    found = [(picture, _said(review, ids)) for picture, review in reviews if review is NOTHING or not (review.unusable or review.taken_down)]
    return [(picture, said) for picture, said in found if said.get(picture.category) != Verdict.NO or Verdict.YES in said.values()]


def _allowed(candidates: list[Candidate], refused: Refused) -> list[Candidate]:
    is_refused = refused.test()
    return [candidate for candidate in candidates if candidate.picture.license or not is_refused(candidate.picture)]


def _without_copies_of(known: list[Picture], pictures: list[Picture]) -> list[Picture]:
    out = {position for position, _ in copies(pictures, known)}
    return [picture for position, picture in enumerate(pictures) if position not in out]


def _once(pictures: list[Picture]) -> list[Picture]:
    """Return the pictures that are no copy of an earlier one."""
    out: set[int] = set()
    for i, j in twins(pictures, COPY_BITS):
        if i not in out:
            out.add(j)
    return [picture for position, picture in enumerate(pictures) if position not in out]


def _choose(market: Market, most: int, binds: str) -> Choice:
    """Take picture after picture for the category that is furthest, by share, below its target."""
    queues = {name: iter([c for c in _queue(market, name) if _is_buyable(market, c, name)]) for name in market.targets}
    choice, taken, dry = Choice(dict.fromkeys(market.targets, 0.0)), set[str](), set[str]()
    while wanted := _furthest(market, choice, dry):
        candidate = next((c for c in queues[wanted] if c.picture.sha256 not in taken), None)
        if candidate is None:
            dry.add(wanted)
            continue
        if len(choice.items) >= most and binds:
            choice.stops_at = binds
            return choice
        taken.add(candidate.picture.sha256)
        _take(choice, candidate, market, wanted)
    short = [name for name in market.targets if name in dry and _missing(market, choice, name) > 0]
    choice.stops_at = _dry(market, short) if short else "the targets are reached"
    return choice


def _dry(market: Market, short: list[str]) -> str:
    """Say that there are no more pictures for categories that miss boxes, and where more are to be had."""
    waiting = [name for name in short if market.only_yes and _waiting(market, name)]
    found = f"no pictures that were said yes are left for {', '.join(waiting)}, and others wait for review" if waiting else ""
    rest = ", ".join(name for name in short if name not in waiting)
    return "; ".join(filter(None, (found, f"no pictures are left for {rest}: add queries, or raise crawl_images" if rest else "")))


def _queue(market: Market, name: str) -> Iterator[Candidate]:
    """Yield a category's pictures, then old ones not asked about it: those in which a person saw it, those in which a detector does, of the best queries, in rank order."""
    yield from sorted(market.fresh[name], key=lambda c: _turn(market, c, name))
    if market.use_old:
        old = [c for c in market.old if name in c.asks and c.said.get(name) != Verdict.NO]
        yield from sorted(old, key=lambda c: _turn(market, c, name))


def _is_buyable(market: Market, candidate: Candidate, name: str) -> bool:
    """Return whether a picture of a category's queue may be bought now."""
    return name in candidate.said or (not market.only_yes and not _is_empty(market, candidate, name))


def _is_empty(market: Market, candidate: Candidate, name: str) -> bool:
    """Return whether a detector that overlooks little of a category sees none of it in a picture."""
    usual = market.yields.rate(candidate.picture.category, candidate.picture.query, name, "")
    return market.sees.turn(candidate.picture.sha256, market.ids[name]) == LAST and _rate(market, candidate, name) < LEAST * usual


def _turn(market: Market, candidate: Candidate, name: str) -> tuple[bool, int, float]:
    return name not in candidate.said, market.sees.turn(candidate.picture.sha256, market.ids[name]), -_rate(market, candidate, name)


def _rate(market: Market, candidate: Candidate, category: str) -> float:
    """Return the boxes to expect. Where a person has looked, a detector may add to them, and takes none away; nothing where the person saw none."""
    said = candidate.said.get(category, "")
    usual = market.yields.rate(candidate.picture.category, candidate.picture.query, category, said)
    if said == Verdict.NO:
        return usual
    seen = market.sees.expected(candidate.picture.sha256, market.ids[category], usual)
    return max(usual, seen) if said else seen


def _known_rate(market: Market, candidate: Candidate, category: str) -> Rate:
    """Return the same with what is not known of it: by share as much as where no detector has looked."""
    usual = market.yields.of(candidate.picture.category, candidate.picture.query, category, candidate.said.get(category, ""))
    return usual.times(_rate(market, candidate, category) / usual.boxes) if usual.boxes else usual


def _furthest(market: Market, choice: Choice, dry: set[str]) -> str:
    missing = {name: _missing(market, choice, name) for name in sorted(market.targets) if name not in dry}
    name = max(missing, key=missing.__getitem__, default="")
    return name if name and missing[name] > 0 else ""


def _missing(market: Market, choice: Choice, name: str) -> float:
    target = market.targets[name]
    return 1 - (market.have[name] + choice.expected[name]) / target if target else 0.0


def _take(choice: Choice, candidate: Candidate, market: Market, wanted: str) -> None:
    picture = candidate.picture
    why = f"{wanted}: {market.have[wanted] + round(choice.expected[wanted]):,} of {counted(market.targets[wanted], 'box')}"
    seen = market.sees.words(picture.sha256, market.ids[wanted])
    choice.taken.append(candidate)
    choice.items.append(_item(picture, wanted, candidate.asks, found_for=picture.category, why=f"{why}; {seen}" if seen else why))
    for category in candidate.asks:
        choice.expected[category] += _rate(market, candidate, category)


def _item(picture: Picture, wanted: str, asks: tuple[str, ...], *, found_for: str, why: str) -> Item:
    return Item(
        sha256=picture.sha256,
        file_name=picture.file_name,
        width=picture.width,
        height=picture.height,
        phash=picture.phash,
        grid=picture.grid,
        found_for=found_for,
        query=picture.query,
        asks=asks,
        why=why,
        wanted_for=wanted,
    )


def waits_for_review(review: str, waiting: Mapping[str, int]) -> list[str]:
    """Say how many pictures wait for `boxset review`, and with which commands, where nothing else is bought. `waiting`: pictures by category."""
    commands = ", ".join(f"`boxset review {name}` ({count:,})" for name, count in waiting.items() if count)
    return [f"label.review is required, and {counted(sum(waiting.values()), 'picture waits', 'pictures wait')} for it: {commands}"] if review == "required" and commands else []


def near_frozen_words(version: str, pictures: int) -> list[str]:
    """Say how many pictures are not bought because they are near the frozen test set."""
    some = counted(pictures, "picture that is a near copy", "pictures that are near copies")
    return [f"not bought: {some} of the test set frozen as {version}, as `balance` would leave {noun(pictures, 'it', 'them')} out"] if pictures else []


def expected_words(expected: int, interval: tuple[int, int] | None) -> str:
    """Say how many boxes of a category a plan should bring, and between how many with a chance of 80 %."""
    low, high = interval or (0, 0)
    return f"{expected:,} ({low:,}–{high:,})" if high else f"{expected:,}"


def without_limit(pictures: int, cost_mills: int, stops_at: str, *, planned: int) -> list[str]:
    """Say how many pictures would be bought without budget and `label.max_images`, and what would end it, where that is more than is `planned`."""
    some = f"{counted(pictures, 'picture')}, {dollars(cost_mills)} at the most"
    return [f"without that limit it would be {some}, and stop because {stops_at}"] if pictures > planned else []


def plan_metrics(plan: Plan, answers: Pool, ledger: Ledger, *, unused: int = 0) -> dict[str, Any]:
    """Return `metrics/label.json`. `unused`: labelled pictures that the merge leaves out."""
    boxes: dict[str, int] = {row.category: 0 for row in plan.rows}
    for annotation in answers.annotations:
        boxes[annotation.category] += 1
    known = bought_metrics(ledger)
    return {
        "boxes": boxes,
        "reviewed": {row.category: row.decided for row in plan.rows},
        "to_review": {row.category: row.waiting for row in plan.rows},
        "images": {**known["images"], "planned": len(plan.items), "to_targets": plan.to_targets_pictures, **({"unused": unused} if unused else {})},
        "cost_usd": {**known["cost_usd"], "plan": plan.cost_mills / 1000},
    }


def bought_metrics(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """Return what `metrics/label.json` says of the ledger alone."""
    labelled = {a.sha256 for job in ledger.jobs.values() for a in job.answers.values() if a.state == "labelled"}
    return {
        "images": {"asked": len(pictures_asked(ledger)), "labelled": len(labelled)},
        "cost_usd": {"spent": ledger.spent_mills / 1000, "committed": ledger.committed_mills / 1000},
    }

"""What to buy next, why, and at what price. Values in, values out; buys nothing."""

from collections.abc import Iterable
from typing import Any

import msgspec

from boxset.dataset.records import Picture, Pool
from boxset.dataset.similar import near_pairs, same_picture
from boxset.labeling.answers import as_picture
from boxset.labeling.ledger import Asked, Ledger
from boxset.labeling.price import mills, per_picture_mills
from boxset.params import Label
from boxset.resolve import Ids, Targets

PRIOR_OWN, PRIOR_OTHER, PRIOR_WEIGHT = 1.0, 0.1, 8.0  # boxes a picture brings before anything was learned, and for how many pictures that counts
BITS = 6


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One picture to buy."""

    sha256: str
    file_name: str
    width: int
    height: int
    phash: str
    grid: str
    found_for: str
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
    old_pictures: int  # labelled before, not asked about some category of today
    old_mills: int


def make_plan(
    ledger: Ledger, ids: Ids, targets: Targets, settings: Label, *, answers: Pool, crawled: dict[str, tuple[Picture, ...]], extracted: list[Pool]
) -> Plan:
    """Choose pictures for the categories that miss most, until the targets, the budget or the pictures are at their end."""
    have = boxes_have([*extracted, answers], ids)
    rates = learned_rates(ledger, ids)
    candidates = _candidates(ledger, ids, settings, crawled=crawled, extracted=extracted)
    price = per_picture_mills(settings)
    room = max(0, mills(settings.budget_usd) - ledger.committed_mills) // price if price else len(candidates) * len(ids.categories)
    most = min(room, settings.max_images or room)
    items, expected, stops = _greedy(
        candidates, have, rates, targets=targets, most=most, budget_binds=not settings.max_images or room <= settings.max_images
    )
    old = _old_pictures(ledger, ids, settings)
    rows = tuple(
        Row(
            category=name,
            id=identity.id,
            target=targets.categories[name].target,
            have=have[name],
            pictures=sum(item.found_for == name for item in items),
            expected=round(expected[name]),
            candidates=len(candidates.get(name, ())),
        )
        for name, identity in ids.categories.items()
    )
    return Plan(
        items=tuple(items),
        rows=rows,
        version=settings.instructions_version,
        workers=settings.workers,
        per_picture_mills=price,
        cost_mills=price * len(items),
        committed_mills=ledger.committed_mills,
        budget_mills=mills(settings.budget_usd),
        ledger=ledger.fingerprint,
        stops_at=stops,
        old_pictures=old,
        old_mills=old * price,
    )


def boxes_have(pools: Iterable[Pool], ids: Ids) -> dict[str, int]:
    """Return the boxes of each category that there are; crowds and a picture's copies in other sources do not count twice."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for pool in pools:
        key = {p.sha256: p.coco_id or p.flickr_id or p.sha256 for p in pool.pictures}
        for annotation in pool.annotations:
            if not annotation.iscrowd:
                by_source = found.setdefault((key.get(annotation.sha256, annotation.sha256), annotation.category), {})
                by_source[annotation.source] = by_source.get(annotation.source, 0) + 1
    have = dict.fromkeys(ids.categories, 0)
    for (_, category), by_source in found.items():
        if category in have:
            have[category] += max(by_source.values())
    return have


def learned_rates(ledger: Ledger, ids: Ids) -> dict[str, dict[str, float]]:
    """Return found for → category → boxes a picture brings, learned from the answers, with a prior that fades."""
    names = {identity.id: name for name, identity in ids.categories.items()}
    pictures: dict[str, int] = {}
    boxes: dict[tuple[str, str], int] = {}
    for job in ledger.jobs.values():
        for asked in job.asked:
            answer = job.answers.get(asked.sha256)
            if answer is None or answer.state != "labelled":
                continue
            pictures[asked.found_for] = pictures.get(asked.found_for, 0) + 1
            for drawn in answer.boxes:
                key = (asked.found_for, names.get(drawn.category_id, ""))
                boxes[key] = boxes.get(key, 0) + 1
    return {
        own: {
            name: (boxes.get((own, name), 0) + PRIOR_WEIGHT * (PRIOR_OWN if name == own else PRIOR_OTHER)) / (pictures.get(own, 0) + PRIOR_WEIGHT)
            for name in ids.categories
        }
        for own in ids.categories
    }


def asked_already(ledger: Ledger, category_ids: Iterable[int], version: int) -> list[Asked]:
    """Return the pictures that were asked about any of some categories under a version of the instructions, and did not fail."""
    wanted = set(category_ids)
    return [
        asked
        for job in ledger.jobs.values()
        if job.reserved.version == version and wanted & set(job.reserved.categories.values())
        for asked in job.asked
        if not _came_to_nothing(job.answers.get(asked.sha256), closed=job.closed is not None)
    ]


def _came_to_nothing(answer: Any, *, closed: bool) -> bool:
    return answer.state == "failed" if answer is not None else closed


def _candidates(
    ledger: Ledger, ids: Ids, settings: Label, *, crawled: dict[str, tuple[Picture, ...]], extracted: list[Pool]
) -> dict[str, list[Picture]]:
    """Return for each category the pictures found for it, in rank order, that nobody was asked about and no source has boxes of."""
    annotated = {a.sha256 for pool in extracted for a in pool.annotations} | {p.sha256 for pool in extracted for p in pool.presence}
    known = [p for pool in extracted for p in pool.pictures if p.sha256 in annotated]
    taken = [*known, *(as_picture(a) for a in asked_already(ledger, [i.id for i in ids.categories.values()], settings.instructions_version))]
    own = [p for pool in extracted for p in pool.pictures if p.category and p.sha256 not in annotated]
    queue = [p for name in ids.categories for p in sorted(crawled.get(name, ()), key=lambda p: p.rank)]
    fresh = _without_copies([*own, *queue], taken)
    return {name: [p for p in fresh if p.category == name] for name in ids.categories}


def _without_copies(pictures: list[Picture], taken: list[Picture]) -> list[Picture]:
    """Return the pictures that are no copy of one that is taken, nor of an earlier one of their own."""
    both = [*taken, *pictures]
    out: set[int] = set()
    for i, j in near_pairs([p.phash for p in both], BITS):
        if j >= len(taken) and i not in out and same_picture(both[i], both[j], BITS):
            out.add(j)
    return [picture for position, picture in enumerate(both) if position >= len(taken) and position not in out]


def _greedy(
    candidates: dict[str, list[Picture]], have: dict[str, int], rates: dict[str, dict[str, float]], *, targets: Targets, most: int, budget_binds: bool
) -> tuple[list[Item], dict[str, float], str]:
    queues = {name: iter(pictures) for name, pictures in candidates.items()}
    open_, ended = set(queues), list[str]()
    expected = dict.fromkeys(have, 0.0)
    items: list[Item] = []
    while open_:
        missing = {n: 1 - (have[n] + expected[n]) / targets.categories[n].target for n in sorted(open_) if targets.categories[n].target}
        name = max(missing, key=missing.__getitem__, default="")
        if not name or missing[name] <= 0:
            break
        if len(items) >= most:
            return items, expected, "the budget is used up" if budget_binds else "label.max_images is reached"
        picture = next(queues[name], None)
        if picture is None:
            open_.discard(name)
            ended.append(name)
            continue
        why = f"{name}: {have[name] + round(expected[name])} of {targets.categories[name].target} boxes"
        items.append(_item(picture, name, why))
        for category, rate in rates[name].items():
            expected[category] += rate
    return items, expected, _why_no_more(ended)


def _why_no_more(ended: list[str]) -> str:
    if not ended:
        return "the targets are reached"
    return f"no pictures are left for {', '.join(sorted(ended))}: add queries, or raise crawl_images"


def _item(picture: Picture, found_for: str, why: str) -> Item:
    return Item(
        sha256=picture.sha256,
        file_name=picture.file_name,
        width=picture.width,
        height=picture.height,
        phash=picture.phash,
        grid=picture.grid,
        found_for=found_for,
        why=why,
    )


def _old_pictures(ledger: Ledger, ids: Ids, settings: Label) -> int:
    """Return how many pictures were labelled before and not asked about every category of today."""
    asked: dict[str, set[int]] = {}
    for job in ledger.jobs.values():
        if job.reserved.version == settings.instructions_version:
            for item in job.asked:
                asked.setdefault(item.sha256, set()).update(job.reserved.categories.values())
    today = {identity.id for identity in ids.categories.values()}
    return sum(not today <= categories for categories in asked.values())


def plan_metrics(plan: Plan, answers: Pool, ledger: Ledger) -> dict[str, Any]:
    """Return `metrics/label.json`."""
    boxes: dict[str, int] = {row.category: 0 for row in plan.rows}
    for annotation in answers.annotations:
        boxes[annotation.category] += 1
    labelled = {a.sha256 for job in ledger.jobs.values() for a in job.answers.values() if a.state == "labelled"}
    return {
        "boxes": boxes,
        "images": {"asked": sum(len(job.asked) for job in ledger.jobs.values()), "labelled": len(labelled), "planned": len(plan.items)},
        "cost_usd": {"spent": ledger.spent_mills / 1000, "committed": ledger.committed_mills / 1000, "plan": plan.cost_mills / 1000},
    }

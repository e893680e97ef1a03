"""How well people draw: what they drew in known pictures, held against the boxes that are known there. Values in, values out.

Boxes are one thing as `agreement` counts them. Of the known boxes of single things some are *found*, the others are *missed*; of the boxes that people drew those that
are none of these are *extra*. A box that lies in a known crowd by half or more of itself is neither, as in COCO's evaluation.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boxset.compare.matching import Mark
from boxset.dataset.geometry import scaled
from boxset.dataset.records import BBox
from boxset.labeling.agreement import MOST_BOXES, Off, Tally, matched, off_of, wilson
from boxset.labeling.gold import Known
from boxset.labeling.ledger import Asked, Drawn, Job, Ledger
from boxset.wording import counted, noun

IN_CROWD = 0.5  # of a drawn box
SIGMAS_95 = 1.959964  # of a 95 % interval
DIGITS = 3
NOTHING = Tally()


@dataclass(frozen=True)
class Measure:
    """How well people draw, in all and apart. In each tally `alone` are the boxes that are extra, `together` the known boxes that were found."""

    total: Tally
    categories: Mapping[str, Tally]
    jobs: Mapping[str, Tally]
    people: Mapping[str, Tally]  # of those of whom it is known who drew; held against the known boxes, too, and not against each other
    off: Sequence[Off]  # people who are clearly worse than the others


def measured(ledger: Ledger, known: Mapping[str, Known]) -> Measure:
    """Return how well people draw. `known`: pictures by SHA-256; those that were not answered say nothing."""
    by_category, by_job = (defaultdict[str, Tally](Tally) for _ in range(2))
    by_worker = defaultdict[str, list[Tally]](list)
    total = NOTHING
    for job, asked, one in _asked(ledger, known):
        answer = job.answers.get(asked.sha256)
        if answer is not None and answer.state == "labelled":
            tallies = _tallies(one, answer.boxes, asked, job)
            for name, tally in tallies.items():
                by_category[name] += tally
            by_job[job.name] += _picture(tallies.values())
            total += _picture(tallies.values())
        for drawing in job.drawings.get(asked.sha256, ()):
            by_worker[drawing.worker].append(_picture(_tallies(one, drawing.boxes, asked, job).values()))
    people = {worker: tally for worker, some in sorted(by_worker.items()) if (tally := sum(some, NOTHING)).pictures}
    jobs = {name: tally for name, tally in by_job.items() if tally.pictures}
    return Measure(total, dict(sorted(by_category.items())), jobs, people, _worse(people, by_worker))


def _worse(people: Mapping[str, Tally], pictures: Mapping[str, Sequence[Tally]]) -> list[Off]:
    """Return who is clearly worse than the others, the furthest first; nobody for a single picture: one that somebody skipped, with many boxes, is no habit."""
    everybody = sum(people.values(), NOTHING)
    others = {worker: everybody - tally for worker, tally in people.items()}
    rest = {worker: tally - max(pictures[worker], key=lambda one: one.off) for worker, tally in people.items()}
    named = {one.worker for one in off_of({worker: (rest[worker], others[worker]) for worker in people})}
    return [one for one in off_of({worker: (tally, others[worker]) for worker, tally in people.items()}) if one.worker in named]


def _asked(ledger: Ledger, known: Mapping[str, Known]) -> Iterator[tuple[Job, Asked, Known]]:
    for job in ledger.jobs.values():
        for asked in job.asked:
            if asked.sha256 in known:
                yield job, asked, known[asked.sha256]


def _tallies(known: Known, drawn: Sequence[Drawn], asked: Asked, job: Job) -> dict[str, Tally]:
    """Return what somebody drew in a picture, by category; nothing of one in which more stands than can be compared."""
    if len(known.boxes) + len(drawn) > MOST_BOXES:
        return {}
    across, down = known.width / asked.width, known.height / asked.height
    return {
        name: _tally(
            [box.bbox for box in known.single if box.category_id == number],
            [box.bbox for box in known.boxes if box.is_crowd and box.category_id == number],
            [scaled(box.bbox, across, down) for box in drawn if box.category_id == number],
        )
        for number, name in job.reserved.names.items()
        if number in known.category_ids
    }


def _tally(known: Sequence[BBox], crowds: Sequence[BBox], drawn: Sequence[BBox]) -> Tally:
    pairs = matched(_marks(known), _marks(drawn))
    found = {place for _, place, _ in pairs}
    extra = sum(place not in found and not _is_in_crowd(box, crowds) for place, box in enumerate(drawn))
    overlaps = [overlap for _, _, overlap in pairs]
    return Tally(
        pictures=1,
        boxes=len(pairs) + extra,
        alone=extra,
        missed=len(known) - len(pairs),
        together=len(pairs),
        overlap=sum(overlaps),
        overlap_squares=sum(overlap**2 for overlap in overlaps),
    )


def _marks(boxes: Sequence[BBox]) -> list[Mark]:
    return [Mark(place, ("", 0), box) for place, box in enumerate(boxes)]


def _is_in_crowd(box: BBox, crowds: Sequence[BBox]) -> bool:
    x, y, w, h = box
    return any(_shared(x, w, left, width) * _shared(y, h, top, height) >= IN_CROWD * w * h for left, top, width, height in crowds)


def _shared(start: float, length: float, other: float, other_length: float) -> float:
    return max(0.0, min(start + length, other + other_length) - max(start, other))


def _picture(tallies: Iterable[Tally]) -> Tally:
    """Return the tallies of a picture's categories as that of one picture."""
    whole = sum(tallies, NOTHING)
    return Tally(min(whole.pictures, 1), whole.boxes, whole.alone, whole.missed, whole.together, whole.overlap, whole.overlap_squares)


def known_boxes(tally: Tally) -> int:
    """Return how many boxes there are to be found."""
    return tally.together + tally.missed


def interval(some: int, of: int) -> tuple[float, float]:
    """Return between what shares one lies with a chance of 95 %, where it is `some` of `of`; boxes are taken as independent."""
    return (0.0, 1.0) if not of else (wilson(some, of, -SIGMAS_95), wilson(some, of, SIGMAS_95))


def gold_metrics(found: Measure) -> dict[str, Any]:
    """Return what `metrics/label.json` says of known pictures; nothing where none was answered."""
    if not found.total.pictures:
        return {}
    return {"gold": {**_figures(found.total), "categories": {name: _figures(tally) for name, tally in found.categories.items()}}}


def _figures(tally: Tally) -> dict[str, Any]:
    counts = {"pictures": tally.pictures, "boxes": known_boxes(tally), "found": tally.together, "extra": tally.alone}
    return {**counts, **({"mean_iou": round(tally.mean_overlap, DIGITS)} if tally.together else {})}


def gold_words(figures: Mapping[str, Any]) -> list[str]:
    """Say the same in a sentence, from these figures; nothing where there are none."""
    if not figures:
        return []
    where = f"In {counted(figures['pictures'], 'picture')} whose boxes are known, people found {figures['found']:,} of {counted(figures['boxes'], 'box')}"
    fit = f"; those found overlap the known ones by {figures['mean_iou']:.2f} (mean IoU)" if "mean_iou" in figures else ""
    return [f"{where} and drew {figures['extra']:,} that {noun(figures['extra'], 'is', 'are')} not there{fit}"]

"""How well people agree who drew in the same pictures, and who is clearly off from the others. Values in, values out.

Boxes of two people are one thing where they are of one category and overlap (IoU) by `matching.LIMIT` or more; they are paired so that the sum of
overlaps is greatest. So each person has in each picture boxes of their own; of these some are *alone*, as nobody else drew the thing; and things
that more than half of the others drew and this person did not are *missed*. Nobody is measured against an answer that they had a part in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import sqrt

import msgspec

from boxset.compare.matching import LIMIT, Mark, assign
from boxset.dataset.geometry import iou
from boxset.labeling.ledger import Drawing, Ledger
from boxset.work import without_collection

SIGMAS = 3.0  # standard errors; in drawn crews of people who are equally good, two in a thousand are named
LEAST_TOGETHER = 20  # things that others drew too, from which the overlap of a person is judged
MOST_PEOPLE, MOST_BOXES = 50, 1_000  # in a picture, beyond which nobody's boxes are compared: that is no crew's work, and would take hours
FEW_PAIRS = 64  # of boxes of two people
LEAST_LOOSE = 0.05  # of mean overlap: less does not matter however sure it is

Box = tuple[str, int]  # whose, and its place among theirs


@dataclass(frozen=True)
class Thing:
    """One thing in a picture, with the people's boxes of it and how far each two overlap."""

    category_id: int
    boxes: tuple[Box, ...]
    overlaps: Mapping[tuple[Box, Box], float]

    @cached_property
    def people(self) -> frozenset[str]:
        """Who drew it."""
        return frozenset(worker for worker, _ in self.boxes)

    def overlaps_with(self, worker: str) -> list[float]:
        """How far a person's boxes overlap those of the others."""
        return [overlap for (one, other), overlap in self.overlaps.items() if worker in (one[0], other[0])]

    def overlaps_without(self, worker: str) -> list[float]:
        """How far the boxes of all others overlap."""
        return [overlap for (one, other), overlap in self.overlaps.items() if worker not in (one[0], other[0])]


@dataclass(frozen=True)
class Shared:
    """A picture that several people drew in."""

    people: tuple[str, ...]
    things: tuple[Thing, ...]


class Tally(msgspec.Struct, frozen=True, gc=False):  # made by the hundred thousand
    """What people drew in pictures that several drew in, and how it lies to what the others drew."""

    pictures: int = 0
    boxes: int = 0
    alone: int = 0
    missed: int = 0
    together: int = 0  # things of which boxes are compared
    overlap: float = 0.0  # the sum of their mean overlaps
    overlap_squares: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return self._with(other, 1)

    def __sub__(self, other: "Tally") -> "Tally":
        return self._with(other, -1)

    def _with(self, other: "Tally", sign: int) -> "Tally":
        return Tally(
            self.pictures + sign * other.pictures,
            self.boxes + sign * other.boxes,
            self.alone + sign * other.alone,
            self.missed + sign * other.missed,
            self.together + sign * other.together,
            self.overlap + sign * other.overlap,
            self.overlap_squares + sign * other.overlap_squares,
        )

    @property
    def off(self) -> int:
        """Boxes that nobody else drew, and things that are missing."""
        return self.alone + self.missed

    @property
    def of(self) -> int:
        """Of how many: boxes drawn, and things that are missing."""
        return self.boxes + self.missed

    @property
    def mean_overlap(self) -> float:
        """How far boxes of one thing overlap, on average."""
        return self.overlap / self.together if self.together else 0.0

    @property
    def variance(self) -> float:
        """The variance of that mean, of two things or more."""
        return max(0.0, self.overlap_squares - self.overlap**2 / self.together) / (self.together - 1) / self.together


@dataclass(frozen=True)
class Agreement:
    """How well the people of a job agree, over the pictures that several drew in."""

    people: int
    pictures: int
    boxes: int
    alone: int  # boxes that nobody else drew
    mean_overlap: float  # of the boxes of things that several drew; 0 where there is none


@dataclass(frozen=True)
class Off:
    """A person who is clearly off, beside the others."""

    worker: str
    own: Tally
    others: Tally
    is_apart: bool  # draws what others do not, or leaves out what they draw
    is_loose: bool  # draws the same things, with other edges


@dataclass(frozen=True)
class Quality:
    """How well people agree in each job in which several drew in a picture and it is known who, and who is clearly off."""

    jobs: Mapping[str, Agreement]
    off: Sequence[Off]


def things(drawings: Sequence[Drawing]) -> list[Thing]:
    """Return the things that people drew in one picture."""
    return [thing for category_id, marks in _by_category(drawings).items() for thing in _united(category_id, marks, _pairs(marks))]


def are_comparable(drawings: Sequence[Drawing]) -> bool:
    """Return whether several people drew in a picture, and not so many of them, or so much, that comparing would not end."""
    return 1 < len(drawings) <= MOST_PEOPLE and sum(len(drawing.boxes) for drawing in drawings) <= MOST_BOXES


def _by_category(drawings: Sequence[Drawing]) -> dict[int, dict[str, list[Mark]]]:
    """Return by category each person's boxes of it, in the order of the categories' ids."""
    found: dict[int, dict[str, list[Mark]]] = {}
    for drawing in drawings:
        for place, box in enumerate(drawing.boxes):
            found.setdefault(box.category_id, {}).setdefault(drawing.worker, []).append(Mark(place, ("", 0), box.bbox))
    return dict(sorted(found.items()))


def _pairs(marks: Mapping[str, list[Mark]]) -> dict[tuple[Box, Box], float]:
    """Return how far the boxes overlap that two people drew of one thing."""
    return {
        ((one, old), (other, new)): overlap
        for one, other in combinations(sorted(marks), 2)
        for old, new, overlap in matched(marks[one], marks[other])
    }


def matched(old: list[Mark], new: list[Mark]) -> list[tuple[int, int, float]]:
    """Return which boxes of two sides are of one thing, by their numbers, and how far they overlap."""
    if len(old) * len(new) <= FEW_PAIRS:  # as in most pictures: no matrix is worth it
        found = [(a.number, b.number, overlap) for a in old for b in new if (overlap := iou(a.bbox, b.bbox)) >= LIMIT]
        if len({a for a, _, _ in found}) == len({b for _, b, _ in found}) == len(found):  # no box overlaps two: there is nothing to choose
            return found
    return [(pair.old.number, pair.new.number, pair.iou) for pair in assign(old, new)]


def _united(category_id: int, marks: Mapping[str, list[Mark]], pairs: Mapping[tuple[Box, Box], float]) -> Iterator[Thing]:
    """Yield the things that boxes make up: those that are paired, and what is paired with them."""
    beside: defaultdict[Box, list[Box]] = defaultdict(list)
    for one, other in pairs:
        beside[one].append(other)
        beside[other].append(one)
    seen = set[Box]()
    for first in ((worker, mark.number) for worker, some in sorted(marks.items()) for mark in some):
        if first in seen:
            continue
        seen.add(first)
        found = [first]
        for box in found:  # grows meanwhile
            fresh = [other for other in beside.get(box, ()) if other not in seen]
            found += fresh
            seen.update(fresh)
        overlaps = {(box, other): pairs[box, other] for box in found for other in beside.get(box, ()) if box < other}
        yield Thing(category_id, tuple(sorted(found)), overlaps)


def quality(ledger: Ledger) -> Quality:
    """Return how well people agree in each job, and who is clearly off over all jobs."""
    with without_collection():
        jobs = {name: [_shared(drawings) for drawings in job.drawings.values() if are_comparable(drawings)] for name, job in ledger.jobs.items()}
        return Quality({name: agreement(some) for name, some in jobs.items() if some}, off_workers(one for some in jobs.values() for one in some))


def _shared(drawings: Sequence[Drawing]) -> Shared:
    return Shared(tuple(sorted(drawing.worker for drawing in drawings)), tuple(things(drawings)))


def agreement(pictures: Sequence[Shared]) -> Agreement:
    """Return how well people agree over some pictures."""
    every = [thing for picture in pictures for thing in picture.things]
    people = {worker for picture in pictures for worker in picture.people}
    boxes, alone = sum(len(thing.boxes) for thing in every), sum(len(thing.boxes) for thing in every if len(thing.people) == 1)
    return Agreement(len(people), len(pictures), boxes, alone, _overlaps(list(thing.overlaps.values()) for thing in every).mean_overlap)


def off_workers(pictures: Iterable[Shared]) -> list[Off]:
    """Return who is clearly off from the others, the furthest first.

    The others are counted in pictures in which two others drew or more: where one drew with this person alone, nobody can tell which of the two is off.
    A person is off where the Wilson intervals (3 standard errors) of the shares of boxes alone and things missed lie apart, or where the mean overlap
    with the others is below theirs among themselves, by 0.05 or more and by 3 standard errors.
    """
    own: defaultdict[str, Tally] = defaultdict(Tally)
    beside: defaultdict[str, Tally] = defaultdict(Tally)  # of the others, as far as it differs from that of everybody
    everybody = Tally()
    for picture in pictures:
        people, found = picture.people, picture.things
        counts = {worker: _counts(worker, found, others=len(people) - 1) for worker in people}
        whole = sum(counts.values(), _overlaps(list(thing.overlaps.values()) for thing in found))
        everybody += whole
        for worker in people:
            own[worker] += counts[worker] + _overlaps(thing.overlaps_with(worker) for thing in found)
            beside[worker] -= whole
            if len(people) > 2:
                beside[worker] += sum((counts[other] for other in people if other != worker), _overlaps(thing.overlaps_without(worker) for thing in found))
    return off_of({worker: (own[worker], everybody + beside[worker]) for worker in own})


def _counts(worker: str, found: Sequence[Thing], *, others: int) -> Tally:
    """Return what a person drew in one picture beside what the others drew."""
    own = [thing for thing in found if worker in thing.people]
    return Tally(
        pictures=1,
        boxes=sum(whose == worker for thing in own for whose, _ in thing.boxes),
        alone=sum(len(thing.boxes) for thing in own if len(thing.people) == 1),
        missed=sum(worker not in thing.people and 2 * len(thing.people) > others for thing in found),
    )


def _overlaps(by_thing: Iterable[Sequence[float]]) -> Tally:
    """Return how far boxes overlap: of each thing the mean, whatever the number of people who drew it."""
    means = [sum(overlaps) / len(overlaps) for overlaps in by_thing if overlaps]
    return Tally(together=len(means), overlap=sum(means), overlap_squares=sum(mean**2 for mean in means))


def off_of(people: Mapping[str, tuple[Tally, Tally]]) -> list[Off]:
    """Return who is clearly off, the furthest first; `people`: what each and what the others drew."""
    judged = [_judged(worker, own, others) for worker, (own, others) in sorted(people.items())]
    return sorted((one for one in judged if one.is_apart or one.is_loose), key=lambda one: (-one.own.off / one.own.of, one.worker))


def _judged(worker: str, own: Tally, others: Tally) -> Off:
    is_apart = own.of > 0 and others.of > 0 and wilson(own.off, own.of, -SIGMAS) > wilson(others.off, others.of, SIGMAS)
    is_loose = False
    if min(own.together, others.together) >= LEAST_TOGETHER:
        looser = others.mean_overlap - own.mean_overlap
        is_loose = looser >= LEAST_LOOSE and looser > SIGMAS * sqrt(own.variance + others.variance)
    return Off(worker, own, others, is_apart, is_loose)


def wilson(some: int, of: int, sigmas: float) -> float:
    """Return an end of the interval of a share, so many standard errors away (Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927)."""
    share, weight = some / of, sigmas**2 / of
    half = sqrt(weight * (share * (1 - share) + weight / 4))
    return (share + weight / 2 + (half if sigmas > 0 else -half)) / (1 + weight)

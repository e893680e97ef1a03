"""What people decided in `boxset review`: `decisions/review.jsonl`, one JSON object a line, append-only, in git.

Branches merge by keeping the lines of both, in any order. What then stands double is resolved so, for each picture and category:

- the same line twice counts once, and the order of lines means nothing;
- the latest line holds; of the same time the most cautious: unusable, no, undone, yes; then the greater line;
- a picture that is unusable for one category is unusable;
- a decision holds for every copy of its picture, by the test that finds what was bought before (`similar.copies`).

What was taken down (`takedown.py`) stands beside it in the folder, and goes with the decisions wherever they are asked for.

A line that a kill cut short was never shown as decided, and is passed over.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from boxset.dataset.records import Picture, remembered
from boxset.dataset.similar import COPY_BITS, copies
from boxset.dataset.takedown import CORRECT, FOLDER, NOTHING_DOWN, Takedowns, TakenDown, read_takedowns
from boxset.files import append_lines, as_line, read_lines, sha256_of

FILE = "review.jsonl"
WHAT = "a decision"
NEXT = timedelta(milliseconds=1)  # a decision that was taken in knowledge of another is later than it, whatever the clocks say
MAX_NAME = 200
YEARS = 2000, 9000  # of a decision: others can be later, and told in any zone of time

Key = TypeVar("Key", bound=Hashable)
Unusable = Literal["drawing", "catalogue", "broken", "private", "other"]
UNUSABLE: tuple[str, ...] = get_args(Unusable)


class Verdict(StrEnum):
    """What a person says of a category in a picture. Undone: nobody has said anything any more."""

    YES = "yes"
    NO = "no"
    UNUSABLE = "unusable"
    UNDONE = "undone"


CAUTION = {Verdict.YES: 0, Verdict.UNDONE: 1, Verdict.NO: 2, Verdict.UNUSABLE: 3}


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One line: who said when what of a category in a picture, and what the picture looks like."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]  # of the picture as stored
    category_id: Annotated[int, Meta(ge=1)]
    verdict: Verdict
    reason: Unusable | Literal[""] = ""  # of an unusable picture
    by: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    at: Annotated[datetime, Meta(tz=True)]  # UTC
    phash: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    grid: Annotated[str, Meta(pattern="^([0-9a-f]{96})?$")] = ""
    width: Annotated[int, Meta(ge=1)]
    height: Annotated[int, Meta(ge=1)]

    def __post_init__(self) -> None:
        """Refuse a reason where there is nothing to give one for, and none where there is; and times that no clock shows."""
        if (self.verdict is Verdict.UNUSABLE) != bool(self.reason):
            raise ValueError(f"`reason` is for unusable pictures, and every one has one of {', '.join(UNUSABLE)}")
        if not YEARS[0] <= self.at.year <= YEARS[1]:
            raise ValueError(f"`at` is in the year {self.at.year}, which no clock shows")

    @property
    def words(self) -> str:
        """Return the verdict with its reason, as people read it."""
        return f"{self.verdict} ({self.reason})" if self.reason else str(self.verdict)

    @property
    def picture(self) -> Picture:
        """Return the picture as far as the line knows it."""
        return remembered(self, source="review")


@dataclass(frozen=True)
class Review:
    """What holds for one picture, by category id, and whether it was taken down."""

    by_category: Mapping[int, Decision]
    taken_down: TakenDown | None = None

    def of(self, category_id: int) -> Decision | None:
        """Return what was decided for a category."""
        return self.by_category.get(category_id)

    def says(self, category_id: int) -> str:
        """Return `yes`, `no`, `unusable`, or an empty string where nobody decided."""
        found = self.by_category.get(category_id)
        return str(found.verdict) if found else ""

    @property
    def unusable(self) -> Decision | None:
        """Return the decision, for whatever category, that calls the picture unusable."""
        return next((self.by_category[number] for number in sorted(self.by_category) if self.by_category[number].verdict is Verdict.UNUSABLE), None)


NOTHING = Review({})


@dataclass(frozen=True)
class Decisions:
    """All that was decided: the line that holds for each picture (as named in the file) and category id, and a mark of the whole."""

    latest: Mapping[tuple[str, int], Decision]
    fingerprint: str = ""  # of the distinct lines; empty where there is none
    taken_down: Takedowns = NOTHING_DOWN

    @cached_property
    def by_picture(self) -> Mapping[str, tuple[Decision, ...]]:
        """Return the lines that hold, by picture."""
        found: dict[str, list[Decision]] = {}
        for (sha256, _), decision in self.latest.items():
            found.setdefault(sha256, []).append(decision)
        return {sha256: tuple(some) for sha256, some in found.items()}

    def of(self, pictures: Sequence[Picture]) -> list[Review]:
        """Return for each picture what was decided for it or for a copy of it."""
        found = [review_of(some) if some else NOTHING for some in self._on(pictures)] if self.latest else [NOTHING] * len(pictures)
        down = self.taken_down.of(pictures)
        return [replace(review, taken_down=one) if one else review for review, one in zip(found, down, strict=True)]

    def last(self, pictures: Sequence[Picture], category_id: int) -> list[Decision | None]:
        """Return for each picture the last line on a category, for it or for a copy of it, also one that undid what was before."""
        return [max((one for one in some if one.category_id == category_id), key=_authority, default=None) for some in self._on(pictures)]

    def _on(self, pictures: Sequence[Picture]) -> list[list[Decision]]:
        known = [some[0].picture for some in self.by_picture.values()]
        said = [list(self.by_picture.get(picture.sha256, ())) for picture in pictures]
        for place, other in copies(pictures, known, COPY_BITS) if known else ():
            if known[other].sha256 != pictures[place].sha256:
                said[place] += self.by_picture[known[other].sha256]
        return said

    def tally(self, category_id: int) -> Counter[str]:
        """Return how many pictures have each verdict for a category, with its reason."""
        return Counter(one.words for one in self.of_category(category_id))

    @cached_property
    def counted(self) -> Mapping[int, int]:
        """Return of how many pictures there is a decision, by category id: as many as `of_category` names, and looked for only round what was undone."""
        undone = {sha256: self.by_picture[sha256][0].picture for (sha256, _), one in self.latest.items() if one.verdict is Verdict.UNDONE}
        counts = Counter(category_id for _, category_id in self.latest)
        if not undone:
            return counts
        known = [some[0].picture for some in self.by_picture.values()]
        near = {known[place].sha256: known[place] for place, _ in copies(known, list(undone.values()), COPY_BITS)}
        for picture, review in zip(near.values(), self.of(list(near.values())), strict=True):
            counts.subtract(one.category_id for one in self.by_picture[picture.sha256] if review.of(one.category_id) is None)
        return counts

    def of_category(self, category_id: int) -> list[Decision]:
        """Return what holds for a category of each picture that has a line on it, in no order. A later line on a copy counts."""
        said = (review.of(category_id) for sha256, review in self._held.items() if (sha256, category_id) in self.latest)
        return [one for one in said if one is not None]

    @cached_property
    def _held(self) -> Mapping[str, Review]:
        return dict(zip(self.by_picture, self.of([some[0].picture for some in self.by_picture.values()]), strict=True))


NOBODY = Decisions({})


def review_of(decisions: Iterable[Decision]) -> Review:
    """Return what holds of decisions on one picture."""
    latest = _latest(decisions, by=lambda decision: decision.category_id)
    return Review({number: decision for number, decision in latest.items() if decision.verdict is not Verdict.UNDONE})


def united(reviews: Iterable[Review]) -> Review:
    """Return what holds of the reviews of one picture's copies."""
    some = list(reviews)
    every = [decision for review in some for decision in review.by_category.values()]
    down = next((review.taken_down for review in some if review.taken_down), None)
    return replace(review_of(every), taken_down=down) if every or down else NOTHING


def decisions_of(decisions: Iterable[Decision]) -> Decisions:
    """Return the decisions that hold. The order does not matter."""
    every = list(decisions)
    lines = sorted({msgspec.json.encode(decision) for decision in every})
    return Decisions(_latest(every, by=lambda decision: (decision.sha256, decision.category_id)), sha256_of(b"\n".join(lines))[:16] if lines else "")


def _latest(decisions: Iterable[Decision], *, by: Callable[[Decision], Key]) -> dict[Key, Decision]:
    found: dict[Key, Decision] = {}
    for decision in decisions:
        key = by(decision)
        if key not in found or _authority(decision) > _authority(found[key]):
            found[key] = decision
    return found


def _authority(decision: Decision) -> tuple[datetime, int, bytes]:
    return decision.at, CAUTION[decision.verdict], msgspec.json.encode(decision)


def read_decisions(folder: Path = FOLDER) -> Decisions:
    """Read what was decided and taken down; no files, nothing. Raises InputError naming file and line of what is neither, or an unresolved merge."""
    lines = read_lines(folder / FILE, Decision, what=WHAT, do=CORRECT)
    down, found = read_takedowns(folder), decisions_of(lines.values())
    mark = sha256_of(f"{found.fingerprint} {down.fingerprint}".encode())[:16] if down.fingerprint else found.fingerprint
    return replace(found, fingerprint=mark, taken_down=down)


def append_decisions(decisions: Iterable[Decision], folder: Path = FOLDER) -> None:
    """Append decisions, on disk before this returns. Raises InputError, and writes nothing, where one could not be read again."""
    append_lines(folder / FILE, [as_line(decision, what=WHAT, where=decision.sha256[:12]) for decision in decisions])


def decided(picture: Picture, category_id: int, verdict: Verdict, *, reason: str = "", by: str, at: datetime, after: Decision | None = None) -> Decision:
    """Return a decision on a picture. `after`: what was known to be decided before; the new one is later in any case."""
    later = max(at, after.at + NEXT) if after else at
    fields = {"phash": picture.phash, "grid": picture.grid, "width": picture.width, "height": picture.height}
    return msgspec.convert(
        {"sha256": picture.sha256, "category_id": category_id, "verdict": verdict, "reason": reason, "by": by, "at": later, **fields}, Decision
    )

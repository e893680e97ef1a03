"""Pictures that an owner wants taken down: `decisions/takedown.jsonl`, one JSON object a line, append-only, in git.

A takedown holds for the picture, for every copy of it by the test that finds what was bought before, and for the addresses at which it was
found: whatever a later crawl or another source brings of it, stays out of every build, the frozen test set among them. Branches merge by keeping
the lines of both; of the lines on one picture the latest holds, of the same time the one that keeps it out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from boxset.dataset.records import Picture, content_mark, remembered
from boxset.dataset.similar import COPY_BITS, Groups, Print, copies
from boxset.files import append_lines, as_line, read_lines, sha256_of

FOLDER, FILE = Path("decisions"), "takedown.jsonl"
WHAT, CORRECT = "a takedown", "Correct the line, or take it from git's history"


class TakenDown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line: a picture to be kept out, or (`is_back`) to be let in again; by what it is known."""

    names: tuple[str, ...] = ()  # addresses of the picture itself, and SOURCE:ID
    called: Annotated[str, Meta(max_length=4000)] = ""  # how it was named otherwise: an undo finds it by that, and nothing is kept out by it
    sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""  # of the picture as stored; empty where only an address is known
    phash: Annotated[str, Meta(pattern="^([0-9a-f]{16})?$")] = ""
    grid: Annotated[str, Meta(pattern="^([0-9a-f]{96})?$")] = ""
    width: Annotated[int, Meta(ge=0)] = 0
    height: Annotated[int, Meta(ge=0)] = 0
    why: Annotated[str, Meta(max_length=500)] = ""
    by: Annotated[str, Meta(min_length=1, max_length=200)]
    at: Annotated[datetime, Meta(tz=True)]  # UTC
    is_back: bool = False

    def __post_init__(self) -> None:
        """Refuse a line that speaks of no picture, and one whose fingerprint is not whole."""
        if not self.sha256 and not self.names:
            raise ValueError("it names no picture")
        if self.sha256 and not (self.phash and self.width and self.height):
            raise ValueError("a picture with `sha256` has `phash`, `width` and `height`")

    @property
    def key(self) -> str:
        """Return what tells lines on one picture."""
        return self.sha256 or min(self.names)

    @property
    def picture(self) -> Picture:
        """Return the picture as far as the line knows it."""
        return remembered(self, source="takedown")


@dataclass(frozen=True)
class Takedowns:
    """The takedowns that hold, by picture, and a mark of all lines (empty where there is none)."""

    held: tuple[TakenDown, ...] = ()
    fingerprint: str = ""

    @cached_property
    def contents(self) -> frozenset[str]:
        """Return the pictures that are taken down, by SHA-256; copies of them are not among these."""
        return frozenset(one.sha256 for one in self.held if one.sha256)

    @cached_property
    def _by_name(self) -> dict[str, TakenDown]:
        return {name: one for one in self.held for name in one.names}

    @cached_property
    def _known(self) -> tuple[TakenDown, ...]:
        return tuple(one for one in self.held if one.sha256)

    def named(self, *names: str) -> TakenDown | None:
        """Return the takedown of what bears one of these names: an address, or SOURCE:ID."""
        return next((self._by_name[name] for name in names if name in self._by_name), None) if self.held else None

    def of(self, pictures: Sequence[Print]) -> list[TakenDown | None]:
        """Return for each picture the takedown of it, of a copy of it, or of a name that it bears."""
        if not self.held:
            return [None] * len(pictures)
        found = [self.named(*names_of(picture)) for picture in pictures]
        for place, other in copies(pictures, [one.picture for one in self._known], COPY_BITS):
            found[place] = self._known[other]
        return found


NOTHING_DOWN = Takedowns()


def names_of(picture: Print) -> tuple[str, ...]:
    """Return the names by which a picture is known: where its bytes were, and what its sources call it.

    A page may show others too, and the name of a file of one's own may come to hold another picture: they are none.
    """
    address, also = (picture.url, ()) if isinstance(picture, Picture) else (picture.coco_url, picture.also_in)
    own = () if content_mark(address) else (f"{picture.source}:{picture.source_id}", *also)
    return tuple(sorted({address, picture.original_url, *own} - {""}))


def takedowns_for(copies_of_one: Sequence[Picture], *, why: str, by: str, at: datetime, called: str = "") -> list[TakenDown]:
    """Return the lines that take a picture down, given all its copies: each bears the names of all, so that they are let in again together."""
    names = tuple(sorted({name for picture in copies_of_one if picture.source for name in names_of(picture)}))
    other = "" if called in names else called
    return [
        TakenDown(names=names, called=other, sha256=p.sha256, phash=p.phash, grid=p.grid, width=p.width, height=p.height, why=why, by=by, at=at)
        for p in copies_of_one
    ]


def linked(lines: Sequence[TakenDown]) -> list[list[TakenDown]]:
    """Return the lines by picture: those of one bear names in common."""
    groups = Groups(len(lines))
    bearing: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        for name in line.names:
            bearing.setdefault(name, []).append(place)
    for places in bearing.values():
        groups.join_all(places)
    return [[lines[place] for place in places] for places in groups.members()]


def takedowns_of(lines: Iterable[TakenDown]) -> Takedowns:
    """Return what holds. The order does not matter."""
    every = sorted({msgspec.json.encode(line): line for line in lines}.items())
    latest: dict[str, TakenDown] = {}
    for _, line in every:
        other = latest.get(line.key)
        if other is None or (line.at, not line.is_back) > (other.at, not other.is_back):
            latest[line.key] = line
    mark = sha256_of(b"\n".join(encoded for encoded, _ in every))[:16] if every else ""
    return Takedowns(tuple(latest[key] for key in sorted(latest) if not latest[key].is_back), mark)


def read_takedowns(folder: Path = FOLDER) -> Takedowns:
    """Read what is taken down; no file, nothing. Raises InputError naming file and line of what is no takedown or an unresolved merge."""
    return takedowns_of(read_lines(folder / FILE, TakenDown, what=WHAT, do=CORRECT).values())


def append_takedowns(lines: Iterable[TakenDown], folder: Path = FOLDER) -> None:
    """Append lines, on disk before this returns. Raises InputError, and writes nothing, where one could not be read again."""
    append_lines(folder / FILE, [as_line(line, what=WHAT, where=line.key) for line in lines])

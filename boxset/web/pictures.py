"""Fetch, prepare and store many pictures: in order, each address once, going on where a killed run stopped."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Self

import msgspec

from boxset.dataset.reasons import Refusal
from boxset.dataset.records import KEPT, ImageRow
from boxset.files import disk_error, link_or_copy, read_jsonl, write_bytes
from boxset.images.prepare import Limits, Prepared, prepare
from boxset.work import in_threads


class Stored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A picture that lies in a folder, and how it came."""

    sha256: str
    file_name: str
    width: int
    height: int
    phash: str
    grid: str
    raw_width: int
    raw_height: int
    orientation: int = 1
    animated: bool = False
    looks: tuple[str, ...] = ()  # what kind of picture it seems to be: drawing, screenshot, catalogue, placeholder


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one address; one line of a journal."""

    url: str
    outcome: str  # KEPT or a Reason
    detail: str = ""
    stored: Stored | None = None


@dataclass(frozen=True)
class Wanted:
    """One picture to be had: by an address, or from bytes that are at hand already."""

    key: str
    url: str


Get = Callable[[Wanted], "bytes | Refusal"]
"""Returns a picture's bytes, or why it cannot be had. Called from many threads."""

Look = Callable[[Prepared], tuple[str, ...]]
"""Says what kind of picture it seems to be."""


class Journal:
    """Outcomes by address, on disk as they come; survives a kill with all but what was in flight."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.known = _read_torn(path)
        self._file = path.open("ab")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, outcome: Outcome) -> None:
        """Write an outcome down before anyone acts on it."""
        with self._lock:
            self.known[outcome.url] = outcome
            try:
                self._file.write(msgspec.json.encode(outcome) + b"\n")
                self._file.flush()
            except OSError as err:
                raise disk_error(err, self._path) from err

    def forget_failures(self) -> None:
        """Drop every address that was not kept, so that it is tried again."""
        self.known = {url: outcome for url, outcome in self.known.items() if outcome.outcome == KEPT}


def _read_torn(path: Path) -> dict[str, Outcome]:
    """Read a journal whose last line may be torn; the later of two lines holds."""
    known: dict[str, Outcome] = {}
    if not path.exists():
        return known
    content = path.read_bytes()
    whole, _, torn = content.rpartition(b"\n")
    for line in whole.splitlines():
        try:
            outcome = msgspec.json.decode(line, type=Outcome)
        except msgspec.MsgspecError:
            continue
        known[outcome.url] = outcome
    if torn:
        with path.open("rb+") as file:
            file.truncate(len(content) - len(torn))
    return known


@dataclass(frozen=True)
class Shelf:
    """Where pictures are stored, and how they are made. `also` is a folder where a picture may lie already."""

    images: Path
    limits: Limits = field(default_factory=Limits)
    look: Look | None = None
    also: Path | None = None
    twins: Mapping[str, Path] = field(default_factory=dict)  # file name → the same picture in another stage's folder

    def has(self, stored: Stored) -> bool:
        """Return whether a picture lies here already."""
        return (self.images / stored.file_name).exists() or (self.also is not None and (self.also / stored.file_name).exists())

    def put(self, raw: bytes) -> Stored | Refusal:
        """Prepare and store a picture; the file appears whole."""
        prepared = prepare(raw, self.limits)
        if isinstance(prepared, Refusal):
            return prepared
        target = self.images / prepared.file_name
        twin = self.twins.get(prepared.file_name)
        if twin is not None and twin.exists() and not target.exists():
            link_or_copy(twin, target)
        elif not target.exists():
            write_bytes(target, prepared.content)
        return Stored(
            sha256=prepared.sha256,
            file_name=prepared.file_name,
            width=prepared.width,
            height=prepared.height,
            phash=prepared.phash,
            grid=prepared.grid,
            raw_width=prepared.raw_width,
            raw_height=prepared.raw_height,
            orientation=prepared.orientation,
            animated=prepared.animated,
            looks=self.look(prepared) if self.look else (),
        )


def fetch_all(
    wanted: Iterable[Wanted], get: Get, *, shelf: Shelf, journal: Journal, elsewhere: Mapping[str, Path], connections: int
) -> Iterator[Outcome]:
    """Yield what became of each wanted picture, in their order.

    What the journal knows is not asked for again. `elsewhere` maps addresses to pictures that another stage has stored: they
    are prepared from there. At most a few times `connections` pictures are in hand at once, however many are wanted.
    """

    def known(item: Wanted) -> Outcome | None:
        found = journal.known.get(item.url)
        return found if found is not None and (found.stored is None or shelf.has(found.stored)) else None

    def one(item: Wanted) -> Outcome:
        outcome = known(item)
        if outcome is None:
            outcome = _tried(item, get, shelf, elsewhere.get(item.url))
            journal.add(outcome)
        return outcome

    items = iter(wanted)
    for item in items:  # while all is known nothing is fetched ahead, so that running again asks nobody
        outcome = known(item)
        if outcome is None:
            yield from in_threads(one, chain([item], items), workers=connections, ahead=1)
            return
        yield outcome


def _tried(item: Wanted, get: Get, shelf: Shelf, there: Path | None) -> Outcome:
    raw = there.read_bytes() if there is not None and there.exists() else get(item)
    stored = shelf.put(raw) if isinstance(raw, bytes) else raw
    if isinstance(stored, Refusal):
        return Outcome(url=item.url, outcome=stored.reason, detail=stored.detail)
    return Outcome(url=item.url, outcome=KEPT, stored=stored)


def stored_elsewhere(data: Path, own: Path) -> dict[str, Path]:
    """Return address → picture for everything that the other stages of this project have fetched, kept or not."""
    found: dict[str, Path] = {}
    for path in sorted(Path(".boxset/journal").glob("crawl-*.jsonl")):
        shelf = Path(".boxset/shelf") / path.name.removeprefix("crawl-").partition(".")[0]
        for outcome in _read_torn(path).values():
            if outcome.stored is not None and outcome.stored.orientation == 1 and (shelf / outcome.stored.file_name).exists():
                found[outcome.url] = shelf / outcome.stored.file_name
    for rows in sorted([*data.glob("extract/*/images.jsonl"), *data.glob("crawl/*/images.jsonl")]):
        if rows.parent == own:
            continue
        for row in read_jsonl(rows, ImageRow):
            if row.picture is not None and row.outcome == KEPT and row.picture.orientation == 1:
                found.setdefault(row.url, rows.parent / "images" / row.picture.file_name)
    return found


def keep_only(images: Path, names: set[str]) -> None:
    """Remove every file of a folder that is not named."""
    images.mkdir(parents=True, exist_ok=True)
    with os.scandir(images) as entries:
        for entry in entries:
            if entry.name not in names:
                Path(entry.path).unlink()


def pictures_elsewhere(data: Path, own: Path) -> dict[str, Path]:
    """Return file name → picture for what the other stages keep, so that a picture stands on disk once."""
    folders = sorted([*data.glob("extract/*/images"), *data.glob("crawl/*/images")], reverse=True)
    return {path.name: path for folder in folders if folder.parent != own for path in folder.iterdir()}

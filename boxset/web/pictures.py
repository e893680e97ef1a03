"""Fetch, prepare and store many pictures: in order, each address once, going on where a killed run stopped."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Condition, Lock
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from boxset.dataset.reasons import NOBODY, Refusal
from boxset.dataset.records import KEPT, ImageRow
from boxset.files import disk_error, link_or_copy, make_folder, read_jsonl
from boxset.images.decoders import Decoders, Look, shared
from boxset.images.prepare import Limits
from boxset.images.worker import Stored as Stored
from boxset.work import Flow, in_lanes

MAX_UNDECODED = 16 << 20  # bytes of pictures that wait for a decoder


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one address; one line of a journal."""

    url: str
    outcome: str  # KEPT or a Reason
    detail: str = ""
    stored: Stored | None = None
    absent: bool = False  # it is known what the picture is, but its bytes are not here


@dataclass(frozen=True)
class Wanted:
    """One picture to be had: by an address, or from bytes that are at hand already."""

    url: str


Get = Callable[[Wanted], "bytes | Refusal"]
"""Returns a picture's bytes, or why it cannot be had. Called from many threads."""


class Journal:
    """Outcomes by address, on disk as they come; survives a kill with all but what was in flight.

    That nobody answered is written down with the next answer of anybody, or at the end: until then it may be this machine that reaches nobody.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        make_folder(path.parent)
        _cut_torn(path)
        self.known = _read_torn(path)
        self._doubted: list[Outcome] = []
        self._file = path.open("ab")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._write([])
            self._file.close()
        except OSError as late:  # what could not be written before
            if kind is None:
                raise disk_error(late, self._path) from late

    def add(self, outcome: Outcome) -> None:
        """Write an outcome down before anyone acts on it, unless it is in doubt."""
        with self._lock:
            self.known[outcome.url] = outcome
            if outcome.outcome in NOBODY:
                self._doubted.append(outcome)
                return
            try:
                self._write([outcome])
            except OSError as err:
                raise disk_error(err, self._path) from err

    def _write(self, outcomes: list[Outcome]) -> None:
        self._file.writelines(msgspec.json.encode(outcome) + b"\n" for outcome in (*self._doubted, *outcomes))
        self._doubted = []
        self._file.flush()

    def forget_failures(self) -> None:
        """Drop every address that was not kept, so that it is tried again."""
        self.known = {url: outcome for url, outcome in self.known.items() if outcome.outcome == KEPT}


def _read_torn(path: Path) -> dict[str, Outcome]:
    """Read a journal whose last line may be torn, or be written just now; the later of two lines holds."""
    known: dict[str, Outcome] = {}
    if not path.exists():
        return known
    for line in path.read_bytes().rpartition(b"\n")[0].splitlines():
        try:
            outcome = msgspec.json.decode(line, type=Outcome)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        known[outcome.url] = outcome
    return known


def _cut_torn(path: Path) -> None:
    """Cut off what a killed run left of a line, so that the next one begins a line."""
    if path.exists():
        with path.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)


@dataclass(frozen=True)
class Shelf:
    """Where pictures are stored, and how they are made. `also` is a folder where a picture may lie already."""

    images: Path
    limits: Limits = field(default_factory=Limits)
    look: Look | None = None
    also: Path | None = None
    twins: Mapping[str, Path] = field(default_factory=dict)  # file name → the same picture in another stage's folder
    decoders: Decoders = field(default_factory=shared)

    def has(self, stored: Stored) -> bool:
        """Return whether a picture lies here already."""
        return (self.images / stored.file_name).exists() or (self.also is not None and (self.also / stored.file_name).exists())

    def put(self, raw: bytes) -> Stored | Refusal:
        """Prepare and store a picture; the file appears whole."""
        found = self.decoders.prepare(raw, self.images, self.limits, self.look)
        if isinstance(found, Refusal):
            return found
        stored, part = found
        if part is not None:
            self._name(part, stored.file_name)
        return stored

    def _name(self, part: Path, name: str) -> None:
        target, twin = self.images / name, self.twins.get(name)
        with suppress(OSError):  # the other stage may move its picture away at this moment
            if twin is not None and twin.exists() and not target.exists():
                link_or_copy(twin, target)
        try:
            part.unlink() if target.exists() else part.replace(target)
        except OSError as err:
            raise disk_error(err, target) from err


def fetch_all(wanted: Iterable[Wanted], get: Get, *, shelf: Shelf, journal: Journal, elsewhere: Mapping[str, Path], flow: Flow) -> Iterator[Outcome]:
    """Yield what became of each wanted picture, in their order.

    What the journal knows is not asked for again. `elsewhere` maps addresses to pictures that another stage has stored: they
    are prepared from there. A host that is slow holds up its own addresses only. Memory holds `flow.ahead()` outcomes, and the
    bytes of as many pictures as `flow` has workers and `MAX_UNDECODED` allows.
    """

    def known(item: Wanted) -> Outcome | None:
        found = journal.known.get(item.url)
        return found if found is not None and (found.stored is None or found.absent or shelf.has(found.stored)) else None

    items = iter(wanted)
    for item in items:  # while all is known nothing is fetched ahead, so that running again asks nobody
        outcome = known(item)
        if outcome is None:
            with _Storing(shelf, journal) as storing:
                one = partial(_tried, get=get, elsewhere=elsewhere, known=known, storing=storing)
                yield from in_lanes(one, chain([item], items), lane=_host, flow=flow)
            return
        yield outcome


def _host(item: Wanted) -> str:
    try:
        return urlsplit(item.url).netloc
    except ValueError:  # no address: `get` refuses it
        return ""


def _tried(
    item: Wanted, *, get: Get, elsewhere: Mapping[str, Path], known: Callable[[Wanted], Outcome | None], storing: "_Storing"
) -> "Outcome | Future[Outcome]":
    outcome = known(item)
    if outcome is not None:
        return outcome
    raw = _at_hand(elsewhere.get(item.url)) or get(item)
    return storing.begin(item, raw) if isinstance(raw, bytes) else storing.end(item, raw)


def _at_hand(path: Path | None) -> bytes:
    """Return a picture that another stage has stored, or nothing where there is none, or it is moved away at this moment."""
    try:
        return path.read_bytes() if path is not None else b""
    except OSError:
        return b""


class _Storing:
    """The second half of the way: pictures wait for a decoder here, so that nobody waits with a connection in hand."""

    def __init__(self, shelf: Shelf, journal: Journal) -> None:
        self._shelf, self._journal = shelf, journal
        self._pool = ThreadPoolExecutor(shelf.decoders.most + 1, thread_name_prefix="boxset-store")
        self._held, self._freed = 0, Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def begin(self, item: Wanted, raw: bytes) -> "Future[Outcome]":
        """Store a picture soon; waits while too much waits already."""
        with self._freed:
            while self._held and self._held + len(raw) > MAX_UNDECODED:
                self._freed.wait()
            self._held += len(raw)
            self._freed.notify()  # one wakes the next, so that they do not all wake for each place
        return self._pool.submit(self._store, item, raw)

    def _store(self, item: Wanted, raw: bytes) -> Outcome:
        try:
            return self.end(item, self._shelf.put(raw))
        finally:
            with self._freed:
                self._held -= len(raw)
                self._freed.notify()

    def end(self, item: Wanted, found: Stored | Refusal) -> Outcome:
        """Write down what became of a picture."""
        outcome = Outcome(url=item.url, outcome=KEPT, stored=None if isinstance(found, Refusal) else found)
        if isinstance(found, Refusal):
            outcome = Outcome(url=item.url, outcome=found.reason, detail=found.detail)
        self._journal.add(outcome)
        return outcome


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

"""Where a user keeps their own pictures: a folder or a bucket, listed with a mark that changes when a file's content does."""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import yaml

from boxset.dataset.reasons import Reason, Refusal
from boxset.endpoints import Endpoints
from boxset.errors import InputError, ProjectError, ServiceError
from boxset.files import write_bytes
from boxset.params import Params
from boxset.sources.s3 import Bucket, Entry
from boxset.work import in_threads

PICTURES = {".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".bmp", ".gif"}
OTHER_PICTURES = {".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".dng", ".cr2", ".nef", ".arw"}  # tried, and counted as `not_an_image`
ANNOTATIONS = {".json", ".txt", ".yaml", ".yml", ".names"}
LOOK = "dvc repro --force --single-item resolve"
LOOKING = f"after `{LOOK}`; at every `dvc repro` with `always_changed: true` under resolve in dvc.yaml"
MAX_BYTES = 100_000_000
HASHED = Path(".boxset/local")  # what was hashed before, by size and time
READERS = 8
LINKS = "links to folders, out of the folder, or to nothing"


class Passed(NamedTuple):
    """A file or link that is neither a picture nor an annotation file, or leads out of the folder."""

    name: str
    reason: Reason
    why: str


class Place(Protocol):
    """Files below a folder or a prefix."""

    @property
    def address(self) -> str:
        """What the user calls it."""

    def entries(self) -> list[Entry]:
        """List pictures and annotation files, sorted by name."""

    def passed_over(self) -> list[Passed]:
        """List all other files, except what the system hides, sorted by name."""

    def read(self, name: str) -> bytes:
        """Return a file's content."""

    def picture(self, name: str, *, max_bytes: int) -> bytes | Refusal:
        """Return a picture, or why it cannot be had."""


def place_of(path: str, endpoints: Endpoints) -> Place:
    """Return the place that a source's `path` names. Raises InputError where a folder is not there."""
    where = endpoints.mirrored(path)
    if where.startswith("s3://"):
        return _Relevant(Bucket.of(where, endpoints))
    folder = Path(where.removeprefix("file://"))
    if not folder.is_dir():
        raise InputError("there is no such folder", where=str(folder), do="Set sources.<name>.path to a folder of pictures, or s3://bucket/prefix")
    return Folder(folder)


def is_relevant(name: str) -> bool:
    """Return whether a file may be a picture or speak of some; what the system hides does not count."""
    suffix = Path(name.lower()).suffix
    return not _is_hidden(name) and (is_picture(name) or suffix in ANNOTATIONS or name.lower().endswith(".json.gz"))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in Path(name).parts)


def _passed_over(names: Iterable[str]) -> list[Passed]:
    others = sorted(name for name in names if not is_relevant(name) and not _is_hidden(name))
    return [Passed(name, Reason.NOT_AN_IMAGE, "neither pictures nor annotations by their names") for name in others]


def _is_text(name: str) -> bool:
    """Return whether a name can be written down; one that another system wrote in Latin-1 cannot."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def is_picture(name: str) -> bool:
    """Return whether a name is a picture's, also one of a kind that is not read: it is tried and counted."""
    return Path(name).suffix.lower() in PICTURES | OTHER_PICTURES


def told_of(name: str, passed: Sequence[Passed]) -> list[str]:
    """Return a line for every reason for which files were passed over."""
    by_reason: dict[str, list[str]] = {}
    for one in passed:
        by_reason.setdefault(f"{one.reason}, {one.why}", []).append(one.name)
    return [f"{name}: {len(names)} passed over as {said}: {', '.join(names[:4])}{', …' * (len(names) > 4)}" for said, names in by_reason.items()]


def listing(entries: Sequence[Entry]) -> str:
    """Return one mark for all that lies in a place."""
    return hashlib.sha256(msgspec.json.encode([tuple(entry) for entry in entries])).hexdigest()


EMPTY = listing(())  # what a place holds in which there is no picture


def refuse_emptied(place: Place, known: str) -> None:
    """Raise InputError where no picture lies in a place of which more is known: a drive that is not mounted must not empty a data set."""
    if known not in ("", EMPTY) and not _has_pictures(place):
        do = "Is it mounted, and is sources.<name>.path right? `on: false` takes a source's pictures out"
        raise InputError("there is no picture in it any more", where=place.address, do=do)


def _has_pictures(place: Place) -> bool:
    return any(is_picture(entry.name) for entry in place.entries())


def listings(params: Params, endpoints: Endpoints, known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return what lies in every local source's place now, as one mark each, and lines to show.

    Where a place cannot be looked into (a colleague's clone, no network) what is `known` of it stays, so that nothing is built anew.
    """
    marks, lines = {}, []
    for name, source in params.sources.items():
        if not source.on or (source.format or name) != "local" or not source.path:
            continue
        try:
            place = place_of(source.path, endpoints)
            refuse_emptied(place, known.get(name, ""))
            marks[name] = listing(place.entries()) if _has_pictures(place) else EMPTY
            lines += [f"{name}: {place.address}: there is no picture in it yet"] * (marks[name] == EMPTY)
        except (InputError, ServiceError, ProjectError) as err:
            marks[name] = known.get(name, "")
            lines.append(f"{name}: {err.where}: {err.what}; its pictures stay as they were" if marks[name] else f"{name}: {err}")
    return marks, lines


def unwatched(params: Params, pipeline: Path, news: Iterable[str]) -> list[str]:
    """Return a line for every source on this machine and list of addresses of which the next change would go unnoticed, as `resolve` runs only when parameters change.

    `news`: those that are new, or hold something else than when they were last looked into; of others it was said before.
    """
    stage = yaml.safe_load(pipeline.read_text(encoding="utf-8")).get("stages", {}).get("resolve", {}) if pipeline.exists() else {"always_changed": True}
    if stage.get("always_changed"):
        return []
    kinds = {name: "new pictures" if (source.format or name) == "local" else "changed files" for name, source in params.sources.items()}
    told = {name: kinds.get(name, "changed rows") for name in news}
    return [f"{name}: {what} are noticed {LOOKING}" for name, what in told.items()]


def needs_world(params: Params) -> bool:
    """Return whether one's own pictures lie outside this machine."""
    return any(source.on and (source.format or name) == "local" and source.path.startswith("s3://") for name, source in params.sources.items())


@dataclass(frozen=True)
class _Relevant:
    """A bucket, of which only pictures and annotation files count. It is listed once."""

    bucket: Bucket

    @property
    def address(self) -> str:
        return self.bucket.address

    @cached_property
    def _every(self) -> list[Entry]:
        return self.bucket.entries()

    def entries(self) -> list[Entry]:
        return [entry for entry in self._every if is_relevant(entry.name)]

    def passed_over(self) -> list[Passed]:
        return _passed_over(entry.name for entry in self._every)

    def read(self, name: str) -> bytes:
        return self.bucket.read(name)

    def picture(self, name: str, *, max_bytes: int) -> bytes | Refusal:
        return self.bucket.picture(name, max_bytes=max_bytes)


@dataclass(frozen=True)
class Folder:
    """A folder on this machine, looked into once. Its files are marked by their SHA-256, which is taken once for each size and time of change."""

    path: Path

    @property
    def address(self) -> str:
        """The folder's path."""
        return str(self.path)

    def entries(self) -> list[Entry]:
        """List pictures and annotation files below the folder; links that lead out of it are passed over."""
        return self._entries

    @cached_property
    def _entries(self) -> list[Entry]:
        relevant = ((name, self._state(entry)) for name, entry in self._every if is_relevant(name) and _is_text(name))
        found = sorted((name, state.st_size, state.st_mtime_ns) for name, state in relevant if state is not None)
        known = self._known
        fresh = [name for name, size, time_ns in found if known.get(name, ("",))[:2] != (size, time_ns)]
        marks = dict(zip(fresh, in_threads(self._mark, fresh, workers=READERS), strict=True))
        entries = [Entry(name, size, marks.get(name) or known[name][2]) for name, size, _ in found]
        if fresh or len(known) != len(found):
            self._remember({name: (size, time_ns, entry.mark) for (name, size, time_ns), entry in zip(found, entries, strict=True)})
        return entries

    def passed_over(self) -> list[Passed]:
        """List all other files and the links that are not followed: those to folders, and those that lead out of this one or nowhere."""
        links = {name for name, entry in self._every if entry.is_symlink() and self._state(entry) is None}
        inside = [name for name, entry in self._every if name not in links and entry.is_file()]
        odd = [Passed(ascii(name)[1:-1], Reason.BAD_ADDRESS, "names that are not UTF-8") for name in inside if not _is_text(name)]
        return sorted([*_passed_over(filter(_is_text, inside)), *odd, *(Passed(name, Reason.BAD_ADDRESS, LINKS) for name in links)])

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        return (self.path / name).read_bytes()

    def picture(self, name: str, *, max_bytes: int) -> bytes | Refusal:
        """Return a picture, or why it cannot be had."""
        path = self.path / name
        if not path.is_file() or not path.resolve().is_relative_to(self.path.resolve()):
            return Refusal(Reason.GONE, "no such file")
        return path.read_bytes() if path.stat().st_size <= max_bytes else Refusal(Reason.TOO_LARGE, f"{path.stat().st_size} bytes")

    @cached_property
    def _every(self) -> list[tuple[str, "os.DirEntry[str]"]]:
        """Return all files and links below, except what the system hides. Raises InputError for a folder that cannot be read."""
        found, waiting = [], [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(self.path / below) as entries:
                    seen = [(below + entry.name, entry) for entry in entries if not _is_hidden(entry.name)]
            except OSError as err:
                raise InputError(f"cannot read: {err.strerror or err}", where=str(self.path / below), do="Look at who may read it") from err
            waiting += [f"{name}/" for name, entry in seen if entry.is_dir(follow_symlinks=False)]
            found += [(name, entry) for name, entry in seen if not entry.is_dir(follow_symlinks=False)]
        return found

    def _state(self, entry: "os.DirEntry[str]") -> os.stat_result | None:
        """Return a regular file's state; None for what is none, and for a link that leads out of the folder or nowhere."""
        if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(self._root):
            return None
        try:
            state = entry.stat()
        except OSError:
            return None
        return state if stat.S_ISREG(state.st_mode) else None

    @cached_property
    def _root(self) -> Path:
        return self.path.resolve()

    def _mark(self, name: str) -> str:
        try:
            with (self.path / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()[:16]
        except OSError as err:
            raise InputError(f"cannot read: {err.strerror or err}", where=str(self.path / name), do="Look at who may read it") from err

    @cached_property
    def _memory(self) -> Path:
        mark = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:12]
        return HASHED / f"{re.sub(r'[^A-Za-z0-9]', '_', self.path.name)}-{mark}.json"

    @property
    def _known(self) -> dict[str, tuple[int, int, str]]:
        try:
            return msgspec.json.decode(self._memory.read_bytes(), type=dict[str, tuple[int, int, str]])
        except (OSError, msgspec.MsgspecError):
            return {}

    def _remember(self, known: dict[str, tuple[int, int, str]]) -> None:
        write_bytes(self._memory, msgspec.json.encode(known))

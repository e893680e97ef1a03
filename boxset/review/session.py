"""One look through a category's pictures: which there are, what was decided, and each decision on disk before anyone is told of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

import msgspec

from boxset.dataset.decisions import FILE, UNUSABLE, Decision, Verdict, append_decisions, decided, read_decisions
from boxset.dataset.records import CRAWL, Picture
from boxset.errors import InputError
from boxset.files import sole_writer
from boxset.text import visible
from boxset.wording import counted

SCREEN = 60  # pictures
MOST_CHOICES = 1000  # in one request


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the page asks to write down: a verdict, and what the page showed to be decided when it was taken (`yes`, `unusable drawing`, or nothing)."""

    sha256: str
    verdict: Verdict
    reason: str = ""
    seen: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided for a picture now."""

    verdict: str = ""
    reason: str = ""
    by: str = ""

    @property
    def word(self) -> str:
        """Return it as a choice says that it saw it."""
        return f"{self.verdict} {self.reason}".strip()


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of a screen. Every text is free of control characters."""

    sha256: str
    title: str
    site: str
    query: str
    flags: tuple[str, ...]
    size: str
    licence: str
    page: str  # where it is shown, if that is an address of the web
    state: State


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """A screenful, and how far the whole look is."""

    category: str
    items: tuple[Item, ...]
    screen: int  # from 0
    screens: int
    total: int
    counts: dict[str, int]
    by: str


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What holds after a request: of the pictures that it named; `stale` are those that had been decided otherwise meanwhile, and were left alone."""

    states: dict[str, State]
    stale: tuple[str, ...]
    counts: dict[str, int]


@dataclass
class Session:
    """The pictures of a category in the order of the plan, as they stood at the start, and what is decided for them, also by others."""

    category: str
    category_id: int
    pictures: Sequence[Picture]
    by: str
    folder: Path  # of the decisions
    now: Callable[[], datetime]
    written: int = 0
    _last: dict[str, Decision | None] = field(default_factory=dict)
    _mark: tuple[int, int] | None = None  # of the file as it was last read or written
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        """Index the pictures."""
        self.by_name = {picture.sha256: picture for picture in self.pictures}
        self._refresh()

    @property
    def screens(self) -> int:
        """Return how many screens there are, at least one."""
        return max(1, -(-len(self.pictures) // SCREEN))

    def screen(self, number: int) -> Screen:
        """Return a screen; the nearest one where there is no such."""
        number = min(max(0, number), self.screens - 1)
        with self._lock:
            self._refresh()
            items = tuple(self._item(picture) for picture in self.pictures[number * SCREEN : (number + 1) * SCREEN])
            counts = self.counts()
        return Screen(category=self.category, items=items, screen=number, screens=self.screens, total=len(self.pictures), counts=counts, by=self.by)

    def decide(self, choices: Iterable[Choice]) -> Reply:
        """Write down choices, all or none of them; on disk before this returns. A choice that saw something else than what holds is left alone.

        Raises InputError where one is malformed or names no picture of this look.
        """
        wanted = {choice.sha256: choice for choice in choices}
        for choice in wanted.values():
            self._check(choice)
        with self._lock, sole_writer(self.folder):
            self._refresh()
            stale = tuple(sha256 for sha256, choice in wanted.items() if choice.seen != self.state(sha256).word)
            fresh = [self._decision(choice) for sha256, choice in wanted.items() if sha256 not in stale and not self._holds(choice)]
            self._write(fresh)
            return Reply(states={sha256: self.state(sha256) for sha256 in wanted}, stale=stale, counts=self.counts())

    def state(self, sha256: str) -> State:
        """Return what is decided for a picture."""
        last = self._last.get(sha256)
        return State() if last is None or last.verdict is Verdict.UNDONE else State(verdict=last.verdict, reason=last.reason, by=visible(last.by))

    def counts(self) -> dict[str, int]:
        """Return how many pictures of this look have each verdict."""
        said = Counter(self.state(sha256).verdict for sha256 in self.by_name)
        return {str(verdict): said[verdict] for verdict in (Verdict.YES, Verdict.NO, Verdict.UNUSABLE)}

    def _check(self, choice: Choice) -> None:
        if choice.sha256 not in self.by_name:
            raise InputError("no picture of this look", where=choice.sha256[:12])
        if choice.reason not in (UNUSABLE if choice.verdict is Verdict.UNUSABLE else ("",)):
            raise InputError(f"an unusable picture has one of the reasons {', '.join(UNUSABLE)}, and no other has one", where=choice.sha256[:12])

    def _holds(self, choice: Choice) -> bool:
        wanted = "" if choice.verdict is Verdict.UNDONE else f"{choice.verdict} {choice.reason}".strip()
        return self.state(choice.sha256).word == wanted

    def _decision(self, choice: Choice) -> Decision:
        picture, after = self.by_name[choice.sha256], self._last.get(choice.sha256)
        return decided(picture, self.category_id, choice.verdict, reason=choice.reason, by=self.by, at=self.now(), after=after)

    def _write(self, fresh: Sequence[Decision]) -> None:
        if not fresh:
            return
        append_decisions(fresh, self.folder)
        self._last |= {decision.sha256: decision for decision in fresh}
        self._mark = self._file_mark()
        self.written += len(fresh)

    def _refresh(self) -> None:
        """Read the file again where somebody else wrote it: another look, an editor, git."""
        mark = self._file_mark()
        if mark != self._mark:
            last = read_decisions(self.folder).last(self.pictures, self.category_id)
            self._last = {picture.sha256: decision for picture, decision in zip(self.pictures, last, strict=True)}
            self._mark = mark

    def _file_mark(self) -> tuple[int, int]:
        path = self.folder / FILE
        found = path.stat() if path.exists() else None
        return (found.st_size, found.st_mtime_ns) if found else (0, 0)

    def _item(self, picture: Picture) -> Item:
        query = f"{picture.query} ({picture.engine or picture.supplier})" if picture.query else f"{picture.source}: {picture.source_id}"
        return Item(
            sha256=picture.sha256,
            title=visible(picture.title),
            site=visible(_site(picture)),
            query=visible(query),
            flags=tuple(visible(flag) for flag in picture.flags),
            size=f"{picture.width} × {picture.height}",
            licence=visible(picture.license or "licence unknown"),
            page=picture.landing_url if picture.landing_url.startswith(("http://", "https://")) else "",
            state=self.state(picture.sha256),
        )


def _site(picture: Picture) -> str:
    try:
        return urlsplit(picture.landing_url or picture.url).hostname or picture.source
    except ValueError:
        return picture.source


def picture_file(picture: Picture, root: Path) -> Path:
    """Return where a stored picture lies: with its crawl, or with its source."""
    folder = f"crawl/{picture.category}" if picture.source == CRAWL else f"extract/{picture.source}"
    return root / "data" / folder / "images" / Path(picture.file_name).name


def summary(counts: Mapping[str, int], written: int) -> str:
    """Say how a look ended."""
    told = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items() if count)
    return f"{counted(written, 'decision')} written; of these pictures {told or 'none is decided'}"

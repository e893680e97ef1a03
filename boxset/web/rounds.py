"""What the suppliers said, turn by turn; what is known is not asked again.

In a turn every query of every supplier gives its next page. A supplier that fails misses its turns; once it answers again, its pages
come in the turn that they were got in, after all that was known before, so that what was kept stays kept. The order of `results.jsonl` is
therefore the order in which addresses are tried, and a rebuild from it is the same crawl. A list of one's own is read as it is now.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import msgspec

from boxset.errors import ServiceError
from boxset.files import disk_error, read_jsonl
from boxset.params import Query
from boxset.web.suppliers import Answer, PageError, Supplier, as_listed

RESTS_S = (5.0, 30.0, 200.0)  # a supplier none of whose engines answers is asked again after these; engines are suspended for 3 minutes or more

Key = tuple[str, str, str, str]
"""A supplier, its list, and a query with its language."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Clock:
    """Time, and waiting for it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Memory:
    """Where answers stand: in the output of the last run that came to its end, and as they come."""

    results: Path
    journal: Path


@dataclass(frozen=True)
class Round:
    """The answers of one turn."""

    refresh: int
    turn: int
    answers: tuple[Answer, ...]

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the order of turns."""
        return self.refresh, self.turn


@dataclass
class _Series:
    """The pages of one query from one supplier under one refresh."""

    supplier: Supplier
    query: Query
    before: Answer | None = None  # the last page that was answered
    unanswered: int = 0  # the page that nobody could answer, where that is known already
    is_ended: bool = False
    is_put_off: bool = False  # not asked again in this run
    seen: set[int] = field(default_factory=set)

    @property
    def page(self) -> int:
        """The next page."""
        return self.before.page + 1 if self.before is not None else 1

    @property
    def next_page(self) -> tuple[Key, int]:
        """What the next page is known by."""
        return (self.supplier.name, self.supplier.list_name, self.query.q, self.query.lang), self.page

    @property
    def is_live(self) -> bool:
        """Whether there is a next page to be asked for."""
        return not (self.is_ended or self.is_put_off or self.page > self.supplier.pages)

    def take(self, answer: Answer) -> None:
        """Go on by a page, and see whether it was the last: it is empty, or brings nothing new. One that was not answered is no page."""
        if answer.is_unanswered:
            self.unanswered = answer.page
            return
        self.before = answer
        new = {hash(hit.url or hit.thumbnail) for hit in answer.hits} - self.seen
        self.seen |= new
        is_dry = not new and not answer.more
        self.is_ended = answer.last or (is_dry and not answer.unresponsive)
        self.is_put_off = is_dry and not self.is_ended


class Rounds:
    """The turns of a crawl: those of `results.jsonl`, then new ones as long as somebody wants more."""

    def __init__(
        self, queries: Iterable[Query], suppliers: list[Supplier], memory: Memory, *, refresh: int, say: Say, clock: Clock = Clock()
    ) -> None:
        self._suppliers, self._refresh, self._say, self._clock = suppliers, refresh, say, clock
        self._queries = tuple(queries)
        self._series = self._new_series()
        self._journal = memory.journal
        self.known = self._read_known(memory.results)
        self._written = {_page_of(answer): answer for answer in _whole_lines(memory.journal) if _is_answered(answer, refresh)}
        self._rests: dict[str, tuple[float, int]] = {}
        self._told: set[str] = set()
        self._named: set[str] = set()  # engines that have named a picture
        self._heard: set[str] = set()  # queries of which something is known under this refresh
        self._met: set[str] = set()  # suppliers, and lists by their names, that were ever asked
        self.is_online = False  # a supplier has named pictures in this run
        self.failed: dict[str, ServiceError] = {}
        self.bad_pages: list[ServiceError] = []

    def _new_series(self) -> dict[Key, _Series]:
        pairs = [(s, q) for s in self._suppliers for q in (self._queries if s.takes_queries else (Query(q="", lang=""),))]
        return {(s.name, s.list_name, q.q, q.lang): _Series(s, q) for s, q in pairs}

    def _read_known(self, results: Path) -> list[Round]:
        wanted = [a for a in read_jsonl(results, Answer) if _key(a) in self._series and a.refresh <= self._refresh]
        ordered = sorted(as_listed(wanted, self._suppliers, self._say), key=_place)
        return [Round(*place, tuple(answers)) for place, answers in groupby(ordered, key=_place)]

    def __iter__(self) -> Iterator[Round]:
        turn, refresh = 0, 0
        for known in self.known:
            if known.refresh != refresh:
                self._series, refresh = self._new_series(), known.refresh
            self._take(known.answers)
            self._heard |= {answer.q for answer in known.answers if answer.refresh == self._refresh}
            turn = known.turn
            yield known
        if refresh != self._refresh:
            self._series, turn = self._new_series(), 0
        yield from self._new_rounds(turn)

    def _take(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            self._series[_key(answer)].take(answer)
            self._series[_key(answer)].is_put_off = False
            self._named |= answer.engines
            self._met.add(answer.list_name or answer.supplier)

    def _new_rounds(self, turn: int) -> Iterator[Round]:
        while live := [s for s in self._series.values() if s.is_live and (s.supplier.name not in self.failed or self._is_written(s))]:
            self._wait_for_one_of(live)
            answers = tuple(answer for s in live if (answer := self._next(s, turn + 1)) is not None)
            if answers:
                turn += 1
                yield Round(self._refresh, turn, answers)

    def _wait_for_one_of(self, live: list[_Series]) -> None:
        """Wait where every supplier that could be asked rests."""
        wait_s = min(self._rests.get(s.supplier.name, (0.0, 0))[0] for s in live) - self._clock.now()
        if wait_s > 0:
            self._say(f"asking again in {wait_s:.0f} s")
            self._clock.sleep(wait_s)

    def _next(self, series: _Series, turn: int) -> Answer | None:
        """Return the next page of a series, or None where it is not to be had in this turn, or was unanswered before."""
        name = series.supplier.name
        if self._rests.get(name, (0.0, 0))[0] > self._clock.now():
            return None
        answer = self._written.get(series.next_page) or self._asked(series)
        if answer is None:
            return None
        answer = msgspec.structs.replace(answer, turn=0 if turn == answer.page else turn)
        was_unanswered = series.unanswered == answer.page
        series.take(answer)
        self._named |= answer.engines
        self._heard.add(answer.q)
        self._met.add(answer.list_name or answer.supplier)
        if not answer.is_unanswered:
            self._rests.pop(name, None)
            return answer
        self._rest(series, answer)
        return None if was_unanswered else answer

    def _is_written(self, series: _Series) -> bool:
        return series.next_page in self._written

    def _asked(self, series: _Series) -> Answer | None:
        if series.supplier.name in self.failed:
            return None
        try:
            answer = series.supplier.ask(series.query, series.page, series.before)
        except PageError as err:
            series.is_put_off = True
            self.bad_pages.append(err)
            self._say(f"warning: {err} (page {series.page} of {series.query.q!r})")
            return None
        except ServiceError as err:
            self.failed[series.supplier.name] = err
            self._say(f"warning: {err}")
            return None
        answer = msgspec.structs.replace(answer, refresh=self._refresh)
        if not answer.list_name:
            self._write_down(answer)
            self.is_online = self.is_online or bool(answer.hits)
        self._tell(answer)
        return answer

    def _rest(self, series: _Series, answer: Answer) -> None:
        """Let a supplier rest none of whose engines answers; put off a query whose other engines came to their end."""
        silent = {engine for engine, _ in answer.unresponsive}
        if (set(answer.asked) or self._named) - silent:
            series.is_put_off = True
            return
        name = series.supplier.name
        times = self._rests.get(name, (0.0, 0))[1]
        if times == len(RESTS_S):
            do = "They are suspended for minutes to days: go on later, or name others in crawl.searxng.engines"
            self.failed[name] = ServiceError("none of its engines answers", where=name, do=do)
            self._say(f"warning: {self.failed[name]}")
            return
        self._say(f"{name}: none of its engines answers page {answer.page} of {answer.q!r}")
        self._rests[name] = (self._clock.now() + RESTS_S[times], times + 1)

    def _write_down(self, answer: Answer) -> None:
        try:
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            with self._journal.open("ab") as file:
                file.write(msgspec.json.encode(answer) + b"\n")
        except OSError as err:
            raise disk_error(err, self._journal) from err

    def _tell(self, answer: Answer) -> None:
        """Say once of each engine that it did not answer, or has nothing on a first page without saying why."""
        for note in answer.notes:
            self._say(f"warning: {answer.supplier}: {note}")
        for engine, why in answer.unresponsive:
            self._once(f"{answer.supplier}: {engine} did not answer ({why or 'no reason given'}); its results are missing", about=engine)
        if answer.page > 1:
            return
        silent = set(answer.asked) - answer.engines - {engine for engine, _ in answer.unresponsive} - self._told
        if silent:
            self._told |= silent
            names = ", ".join(sorted(silent))
            self._say(f"warning: {answer.supplier}: nothing from {names} on page 1 of {answer.q!r}, and no error: does it still work? (docs/searxng.md)")
        elif not answer.hits and not answer.unresponsive:
            self._say(f"warning: {answer.list_name or answer.supplier} has nothing for {repr(answer.q) if answer.q else 'this category'}")

    def _once(self, text: str, *, about: str) -> None:
        if about not in self._told:
            self._told.add(about)
            self._say(text)

    def cut_off(self) -> list[str]:
        """Return the suppliers of which a query came to its page limit before its end."""
        return sorted({s.supplier.name for s in self._series.values() if not s.is_ended and s.page > s.supplier.pages})

    def put_off(self) -> list[str]:
        """Return the suppliers of which a query waits for engines that did not answer, or for a page that could not be had."""
        return sorted({s.supplier.name for s in self._series.values() if s.is_put_off})

    def unasked(self) -> list[str]:
        """Return the queries of which nothing is known under this refresh."""
        return [query.q for query in self._queries if query.q not in self._heard]

    def unmet(self) -> list[str]:
        """Return the suppliers, and the lists by their names, that were never asked."""
        names = [supplier.list_name or supplier.name for supplier in self._suppliers if supplier.name not in self.failed]
        return [name for name in names if name not in self._met]


def _place(answer: Answer) -> tuple[int, int]:
    return answer.refresh, answer.turn or answer.page


def _key(answer: Answer) -> Key:
    return answer.supplier, answer.list_name, answer.q, answer.lang


def _is_answered(answer: Answer, refresh: int) -> bool:
    """Return whether a page of the journal is used: of lists none is, they are read as they are now."""
    return not answer.is_unanswered and answer.refresh == refresh and not answer.list_name


def _page_of(answer: Answer) -> tuple[Key, int]:
    return _key(answer), answer.page


def _whole_lines(path: Path) -> Iterator[Answer]:
    """Read a journal; a line that a kill tore is none, and is taken off."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole, _, torn = content.rpartition(b"\n")
    if torn:
        with path.open("rb+") as file:
            file.truncate(len(content) - len(torn))
    for line in whole.splitlines():
        try:
            yield msgspec.json.decode(line, type=Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # of an older release, or what a machine without power left
            continue

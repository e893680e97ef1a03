"""CSV files of addresses from anyone: url and category; licence, author, author_url, title and landing_url where known."""

import csv
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Self, TextIO

import msgspec

from boxset.errors import InputError
from boxset.params import Query
from boxset.sources.licences import stated
from boxset.text import visible
from boxset.web.suppliers.answers import Answer, Hit, Supplier, page_address, plain, web_address
from boxset.wording import counted, noun

PAGE_SIZE = 100
NAMES = {
    "url": ("url", "address"), "category": ("category",), "licence": ("licence", "license"), "author": ("author",), "author_url": ("author_url",),
    "title": ("title",), "landing_url": ("landing_url",),
}  # fmt: skip
SHOWN = 3
MOST_LINES = 20  # of one row: a cell may hold a few; more are of a quote that nobody closed
NO_ROWS = sha256().hexdigest()[:16]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a list."""

    line: int
    url: str
    category: str
    licence: str = ""
    author: str = ""
    author_url: str = ""
    title: str = ""
    landing_url: str = ""


@dataclass
class ListSummary:
    """What stands in a list: rows by category, and the rows that cannot be used."""

    rows: dict[str, int] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)  # `FILE:LINE: why`


class UrlList:
    """One list of the parameters, page by page. It is read as it is now: `again` takes back what it names no more."""

    name = "url_lists"
    takes_queries = False
    pages = 1_000_000_000

    def __init__(self, list_name: str, category: str) -> None:
        self.list_name, self._category = list_name, category
        self._read: Counter[str] = Counter()  # the addresses of the rows that were answered before
        self._rows: Iterator[Hit] | None = None

    def ask(self, query: Query, page: int, before: Answer | None = None) -> Answer:  # noqa: ARG002 - a list knows no queries
        """Return the next addresses of the category, in the order of the file: of the rows that were not answered yet, or from the first one on."""
        if before is None or self._rows is None:
            self._rows = self._hits() if before is None else self._unread()
        hits = tuple(islice(self._rows, PAGE_SIZE))
        row = int(before.more.get("row", "0")) if before is not None else 0
        more = {"row": str(row + len(hits))} if len(hits) == PAGE_SIZE else {}
        answer = Answer(supplier=self.name, list_name=self.list_name, q="", lang="", page=page, hits=hits, last=not more, more=more)
        return answer if before is not None else self._with_content(answer)

    def again(self, answers: Sequence[Answer], say: Callable[[str], None]) -> list[Answer]:
        """Return what the list answered before as it says it now, and go on after it.

        Rows that are gone leave; the others stay in their places, with what is said of them now; new ones come with the next page. A list
        that is not here says what it said. `say` hears of a change. Raises InputError as `read_list` does.
        """
        latest = [answer for answer in answers if answer.refresh == answers[-1].refresh]
        self._read, self._rows = Counter(hit.url for answer in latest for hit in answer.hits), None
        if not answers or not Path(self.list_name).is_file():
            return list(answers)
        content = _content(self.list_name, self._category)[0]
        if all(answer.content == content for answer in answers if answer.page == 1):
            return list(answers)
        return self._reread(answers, say)

    def _reread(self, answers: Sequence[Answer], say: Callable[[str], None]) -> list[Answer]:
        known = {hit.url for answer in answers for hit in answer.hits}
        standing: dict[str, list[Hit]] = {}
        rows = 0
        for hit in self._hits():
            rows += 1
            if hit.url in known:
                standing.setdefault(hit.url, []).append(hit)
        before, found = self._read.total(), list[Answer]()
        for _, pages in groupby(answers, key=lambda answer: answer.refresh):
            self._read = Counter()
            found += [self._as_now(page, standing) for page in pages]
        unread = rows - self._read.total()
        gone = before - self._read.total()
        say(f"{self.list_name} has changed since it was read: {gone:,} of its rows {noun(gone, 'is', 'are')} gone, {unread:,} not read yet")
        if unread and found[-1].last:
            found[-1] = msgspec.structs.replace(found[-1], last=False, more={"row": str(self._read.total())})
        return found

    def _as_now(self, answer: Answer, standing: dict[str, list[Hit]]) -> Answer:
        """Return an answer with the hits that still stand in the list: of rows with one address as many as there are."""
        hits = []
        for hit in answer.hits:
            rows, taken = standing.get(hit.url, ()), self._read[hit.url]
            if taken < len(rows):
                hits.append(rows[taken])
                self._read[hit.url] += 1
        answer = msgspec.structs.replace(answer, hits=tuple(hits))
        return self._with_content(answer) if answer.page == 1 else answer

    def _with_content(self, answer: Answer) -> Answer:
        content, bad = _content(self.list_name, self._category)
        notes = (f"{counted(len(bad), 'row')} cannot be used: {first_of(bad)}",) if bad else ()
        return msgspec.structs.replace(answer, content=content, blank=len(bad), notes=notes)

    def _hits(self) -> Iterator[Hit]:
        for row in read_list(Path(self.list_name)):
            if isinstance(row, Listed) and row.category == self._category:
                yield _hit(row, Path(self.list_name).stem)

    def _unread(self) -> Iterator[Hit]:
        read = self._read.copy()
        for hit in self._hits():
            if read[hit.url] > 0:
                read[hit.url] -= 1
            else:
                yield hit


def as_listed(answers: list[Answer], suppliers: Iterable[Supplier], say: Callable[[str], None]) -> list[Answer]:
    """Return answers of earlier runs, those of the lists among the suppliers as the lists say it now. Raises InputError as `read_list` does."""
    lists = {one.list_name: one for one in suppliers if isinstance(one, UrlList)}
    found = {name: iter(one.again([answer for answer in answers if answer.list_name == name], say)) for name, one in lists.items()}
    return [next(found[answer.list_name]) if answer.list_name in found else answer for answer in answers]


def _content(name: str, category: str) -> tuple[str, list[str]]:
    """Return a hash of what a list has for a category, wherever in the file it stands, and the rows that cannot be used."""
    marks, bad = _contents(Path(name))
    return marks.get(category, NO_ROWS), bad


def _contents(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return a hash of what a list has for each category that stands in it, and the rows that cannot be used."""
    digests: dict[str, Any] = {}
    bad = []
    for row in read_list(path):
        if isinstance(row, str):
            bad.append(row)
        else:
            digests.setdefault(row.category, sha256()).update(msgspec.json.encode(msgspec.structs.replace(row, line=0)) + b"\n")
    return {category: digest.hexdigest()[:16] for category, digest in digests.items()}, bad


def list_marks(names: Iterable[str], known: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return category → list → a mark of the rows that the list has for the category now.

    Of a list that is not here, or cannot be read, the marks that are `known` stay, so that nothing is crawled anew in a clone without it.
    """
    marks: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(names):
        try:
            found = _contents(Path(name))[0]
        except InputError:
            found = {category: lists[name] for category, lists in known.items() if name in lists}
        for category, mark in found.items():
            marks.setdefault(category, {})[name] = mark
    return marks


def changed_lists(names: Iterable[str], known: Mapping[str, Mapping[str, str]], marks: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the lists that have other rows of a `known` category than then, and those of which nothing is known yet. `marks`: as `list_marks` returns them."""
    rows = {name: [[side.get(category, {}).get(name) for category in known] for side in (known, marks)] for name in dict.fromkeys(names)}
    return [name for name, (before, now) in rows.items() if before != now or not any(before)]


def first_of(bad: list[str]) -> str:
    """Return the first few of the rows that cannot be used, and how many more there are."""
    more = f" and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
    return f"{'; '.join(bad[:SHOWN])}{more}"


def summary_of(path: Path) -> ListSummary:
    """Read a list and count its rows. Raises InputError as `read_list` does."""
    summary = ListSummary()
    for row in read_list(path):
        if isinstance(row, Listed):
            summary.rows[row.category] = summary.rows.get(row.category, 0) + 1
        else:
            summary.bad.append(row)
    return summary


def read_list(path: Path) -> Iterator[Listed | str]:
    """Yield the rows of a list, and `FILE:LINE: why` for each that cannot be used. Parted by commas, semicolons or tabs; UTF-8.

    A relative path counts from the project. Raises InputError where there is no such file, or where its columns are others.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(path, file)
    except OSError as err:
        raise InputError(f"cannot read: {err.strerror}", where=str(path), do="Correct crawl.url_lists in params.yaml; paths count from the project") from err
    except UnicodeDecodeError as err:
        raise InputError("not UTF-8", where=str(path), do="Save it as UTF-8") from err
    except csv.Error as err:
        raise InputError(f"no CSV file: {err}", where=str(path), do="Correct crawl.url_lists in params.yaml") from err


def _rows(path: Path, file: TextIO) -> Iterator[Listed | str]:
    header = file.readline()
    delimiter = max(",;\t", key=header.count)
    columns = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    places = {field: next((columns.index(name) for name in names if name in columns), -1) for field, names in NAMES.items()}
    if places["url"] < 0 or places["category"] < 0:
        raise InputError(f"its columns are {', '.join(columns) or 'none'}", where=f"{path}:1", do="It needs at least url and category")
    lines = _Lines(file)
    while lines.begin():
        try:
            row = next(csv.reader(lines, delimiter=delimiter), [])
            why = "a quote that is not closed" if lines.is_open else ""
        except csv.Error as err:  # a cell beyond 131,072 characters
            why = str(err)
        if why:
            lines.give_back()
            yield f"{path}:{lines.first}: {why}"
        elif any(cell.strip() for cell in row):
            yield _listed(row, places, path=path, line=lines.first, width=len(columns))


class _Lines:
    """The lines of a row, one after the other: as many as it takes, up to MOST_LINES. All but the first can be given back, to be rows of their own."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._back, self._row = file, deque[str](), list[str]()
        self.first, self.is_open = 2, False

    def begin(self) -> bool:
        """Go on to the next row; return whether there is one."""
        self.first, self._row, self.is_open = self.first + len(self._row), [], False
        line = self._line()
        self._back.appendleft(line)
        return bool(line)

    def give_back(self) -> None:
        """Let only the first line be of this row."""
        self._back.extendleft(reversed(self._row[1:]))
        del self._row[1:]

    def _line(self) -> str:
        return self._back.popleft() if self._back else self._file.readline()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._line() if len(self._row) < MOST_LINES else ""
        if not line:
            self.is_open = True  # only within a quote is a row not ended by its line's end
            raise StopIteration
        self._row.append(line)
        return line


def _listed(row: list[str], places: dict[str, int], *, path: Path, line: int, width: int) -> Listed | str:
    if len(row) != width:
        return f"{path}:{line}: {len(row)} columns instead of {width}"
    cells = {field: row[place].strip() for field, place in places.items() if place >= 0}
    missing = [field for field in ("url", "category") if not cells[field]]
    return f"{path}:{line}: no {missing[0]}" if missing else Listed(line=line, **cells)


def _hit(row: Listed, name: str) -> Hit:
    return Hit(
        url=web_address(row.url) or visible(row.url),
        landing_url=page_address(row.landing_url),
        title=plain(row.title),
        engine=name,
        license=stated(plain(row.licence)),
        author=plain(row.author),
        author_url=page_address(row.author_url),
    )

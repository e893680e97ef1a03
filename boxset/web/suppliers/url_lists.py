"""CSV files of addresses from anyone: url and category; licence, author, author_url, title and landing_url where known."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TextIO

import msgspec

from boxset.errors import InputError
from boxset.params import Query
from boxset.sources.licences import stated
from boxset.text import visible
from boxset.web.suppliers.answers import Answer, Hit, page_address, plain, web_address

PAGE_SIZE = 100
NAMES = {
    "url": ("url", "address"), "category": ("category",), "licence": ("licence", "license"), "author": ("author",), "author_url": ("author_url",),
    "title": ("title",), "landing_url": ("landing_url",),
}  # fmt: skip
SHOWN = 3


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
    """One list of the parameters, page by page."""

    name = "url_lists"
    takes_queries = False
    pages = 1_000_000_000

    def __init__(self, list_name: str, category: str) -> None:
        self.list_name, self._category = list_name, category
        self._rows, self._at = self._hits(), 0

    def ask(self, query: Query, page: int, before: Answer | None = None) -> Answer:  # noqa: ARG002 - a list knows no queries
        """Return the next addresses of the category, in the order of the file."""
        start = int(before.more.get("row", "0")) if before is not None else 0
        if start < self._at:
            self._rows, self._at = self._hits(), 0
        hits = tuple(islice(self._rows, start - self._at, start - self._at + PAGE_SIZE))
        self._at = start + len(hits)
        more = {"row": str(self._at)} if len(hits) == PAGE_SIZE else {}
        content, bad = _content(self.list_name, self._category) if start == 0 else ("", [])
        notes = (f"{len(bad):,} rows cannot be used: {first_of(bad)}",) if bad else ()
        return Answer(
            supplier=self.name, list_name=self.list_name, content=content, q="", lang="", page=page,
            hits=hits, last=not more, more=more, blank=len(bad), notes=notes,
        )  # fmt: skip

    def _hits(self) -> Iterator[Hit]:
        for row in read_list(Path(self.list_name)):
            if isinstance(row, Listed) and row.category == self._category:
                yield _hit(row, Path(self.list_name).stem)


def _content(name: str, category: str) -> tuple[str, list[str]]:
    """Return a hash of what a list has for a category, wherever in the file it stands, and the rows that cannot be used."""
    digest, bad = sha256(), []
    for row in read_list(Path(name)):
        if isinstance(row, str):
            bad.append(row)
        elif row.category == category:
            digest.update(msgspec.json.encode(msgspec.structs.replace(row, line=0)) + b"\n")
    return digest.hexdigest()[:16], bad


def changed_lists(answers: Iterable[Answer], category: str, *, refresh: int) -> list[str]:
    """Return the lists that have other rows of the category now than when they were read under this refresh. One that is not here has none."""
    read = {answer.list_name: answer.content for answer in answers if answer.content and answer.refresh == refresh}
    return [name for name, content in read.items() if Path(name).is_file() and _content(name, category)[0] != content]


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
    reader = csv.reader(file, delimiter=max(",;\t", key=header.count))
    columns = [name.strip().lower() for name in next(csv.reader([header], delimiter=max(",;\t", key=header.count)), [])]
    places = {field: next((columns.index(name) for name in names if name in columns), -1) for field, names in NAMES.items()}
    if places["url"] < 0 or places["category"] < 0:
        raise InputError(f"its columns are {', '.join(columns) or 'none'}", where=f"{path}:1", do="It needs at least url and category")
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as err:  # a cell beyond 131,072 characters: its line alone is lost
            yield f"{path}:{reader.line_num + 1}: {err}"
            continue
        if any(cell.strip() for cell in row):
            yield _listed(row, places, path=path, line=reader.line_num + 1, width=len(columns))


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

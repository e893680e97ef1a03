"""CSV files of millions of rows, whatever their delimiter, line ends and further columns: blocks of lines, parsed side by side."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import pyarrow as pa
from pyarrow import csv as pacsv

from boxset.errors import InputError
from boxset.sources.raw import opened
from boxset.work import in_threads

BLOCK = 8 << 20
QUOTED_BLOCK = 1 << 20  # the reader of quoted fields keeps some fifty of these in hand
T = TypeVar("T")
FirstRow = Callable[[], int]
"""Counts, when asked, which line of the file a batch begins with."""


@dataclass(frozen=True)
class _Format:
    """How a CSV file is written, and which of its columns are wanted."""

    path: Path
    names: list[str]
    types: dict[str, pa.DataType]
    delimiter: str
    quoted: bool

    def options(self) -> dict[str, Any]:
        """Return the reader's options."""
        convert = pacsv.ConvertOptions(
            column_types=self.types, include_columns=list(self.types), strings_can_be_null=True, quoted_strings_can_be_null=True
        )
        parse = pacsv.ParseOptions(delimiter=self.delimiter, quote_char='"' if self.quoted else False, newlines_in_values=self.quoted)
        return {"parse_options": parse, "convert_options": convert}

    def refused(self, err: Exception, row: int | None = None) -> InputError:
        """Return what to tell of a row that is not the format."""
        where = str(self.path) if row is None else f"{self.path}:{row}"
        said = re.sub(r"^In CSV column #(\d+): (?:Row #\d+: )?(?:CSV conversion error to )?", self._named, str(err).splitlines()[0])
        return InputError(said[:160], where=where, do="Fetch it again, or use the publisher's file")

    def _named(self, found: re.Match[str]) -> str:
        return f"{self.names[int(found[1])]}: not a "


def read_rows(
    path: Path, types: dict[str, pa.DataType], *, needed: tuple[str, ...], make: Callable[[pa.RecordBatch, FirstRow], T], quoted: bool = False, block: int = 0
) -> Iterator[T]:
    """Yield `make(batch, its first row)` over a CSV file's wanted columns, whatever its delimiter, line ends and further columns.

    Blocks of lines, of `block` bytes, are read in threads, in order; a file with quoted fields (`quoted`, or seen in its head) is read in one piece
    after the other, and its rows are not numbered. Raises InputError naming the file and the column or row that is not the format.
    """
    with opened(path, ".csv") as stream:
        head = stream.peek(1 << 16)  # type: ignore[attr-defined]
        first = head.splitlines()[0].decode("utf-8-sig", "replace")
        delimiter = ";" if first.count(";") > first.count(",") else ","
        names = [name.strip().strip('"') for name in first.split(delimiter)]
        missing = [name for name in needed if name not in names]
        if missing:
            raise InputError(
                f"no column {missing[0]}; its first line is {first[:80]!r}",
                where=f"{path}:1",
                do="This is another file, or one whose boxes are stripped",
            )
        is_quoted = quoted or b'"' in head
        form = _Format(path, names, {name: kind for name, kind in types.items() if name in names}, delimiter, is_quoted)
        if is_quoted:
            yield from (make(batch, lambda: 0) for batch in _one_after_another(_Unified(stream), form))
        else:
            yield from in_threads(lambda block: make(_parsed(block, form), block.first_row), _blocks(_Unified(stream), path, block or BLOCK), workers=2, ahead=2)


def _one_after_another(stream: "_Unified", form: _Format) -> Iterator[pa.RecordBatch]:
    try:
        read = pacsv.ReadOptions(block_size=QUOTED_BLOCK, use_threads=False)
        reader = pacsv.open_csv(stream, read_options=read, **form.options())
        yield from (batch for batch in reader if batch.num_rows)
    except pa.ArrowInvalid as err:
        raise form.refused(err) from err


@dataclass(frozen=True)
class _Block:
    """Whole lines of a file, and where in it they begin, in bytes."""

    content: memoryview
    begin: int
    path: Path

    def first_row(self) -> int:
        """Count the lines before this one again; only an error asks."""
        row, left = 1, self.begin
        with opened(self.path, ".csv") as stream:
            lines = _Unified(stream)
            while left and (chunk := lines.read(min(left, BLOCK))):
                row, left = row + chunk.count(b"\n"), left - len(chunk)
        return row


def _blocks(stream: "_Unified", path: Path, size: int) -> Iterator[_Block]:
    """Cut a file after its header into blocks of whole lines, without copying them."""
    left, begin, is_last = memoryview(b""), 0, False
    while not is_last:
        buffer = bytearray(len(left) + size)
        view = memoryview(buffer)
        view[: len(left)] = left
        end = len(left) + stream.readinto(view[len(left) :])
        is_last = end < len(buffer)
        cut = end if is_last else buffer.rfind(b"\n") + 1
        start = (buffer.find(b"\n", 0, cut) + 1 or cut) if not begin and cut else 0
        if bytes(view[start : min(cut, start + 4096)]).strip() or bytes(view[start:cut]).strip():
            yield _Block(view[start:cut], begin + start, path)
        begin, left = begin + cut, view[cut:end]


def _parsed(block: _Block, form: _Format) -> pa.RecordBatch:
    try:
        return _parsed_lines(block.content, form)
    except pa.ArrowInvalid as err:
        raise form.refused(*_first_bad(block, form, err)) from err


def _parsed_lines(content: bytes | memoryview, form: _Format) -> pa.RecordBatch:
    read = pacsv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=form.names)
    table = pacsv.read_csv(pa.BufferReader(content), read_options=read, **form.options())
    return table.combine_chunks().to_batches()[0]


def _first_bad(block: _Block, form: _Format, err: Exception) -> tuple[Exception, int]:
    """Find by halving the first line that cannot be read; return why, and its number."""
    lines = bytes(block.content).splitlines(keepends=True)
    low, high = 0, len(lines)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            part = b"".join(lines[low:middle])
            _parsed_lines(part, form) if part.strip() else None
            low = middle
        except pa.ArrowInvalid:
            high = middle
    try:
        _parsed_lines(lines[low], form)
    except pa.ArrowInvalid as alone:
        err = alone
    return err, block.first_row() + low


class _Unified(io.RawIOBase):
    """A stream whose old Macintosh line ends (CR alone) become LF; others pass as they are."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        head = stream.peek(1 << 16)  # type: ignore[attr-defined]
        self._translate = b"\r" in head and b"\n" not in head

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read like any stream."""
        chunk = self._stream.read(size)
        return chunk.replace(b"\r", b"\n") if self._translate else chunk

    def readinto(self, view: Any) -> int:
        """Fill a view as far as the stream goes; return how many bytes there were."""
        size: int = self._stream.readinto(view)  # type: ignore[attr-defined]
        if self._translate:
            view[:size] = bytes(view[:size]).replace(b"\r", b"\n")
        return size

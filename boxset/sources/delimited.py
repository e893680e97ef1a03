"""CSV files of millions of rows, whatever their delimiter, line ends and further columns: blocks of lines, parsed side by side.

A block in which a row cannot be read is parsed again with patience: as texts, from which those rows are left out.
"""

import io
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from boxset.errors import InputError
from boxset.sources.counts import Counts, FileCount
from boxset.sources.raw import opened
from boxset.work import in_threads

BLOCK = 4 << 20
QUOTED_BLOCK = 1 << 20  # the reader of quoted fields keeps some fifty of these in hand
NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^(?i:[+-]?(?:nan|inf|infinity))$"
T = TypeVar("T")
LineOf = Callable[[int], int]
"""Counts, when asked, in which line of the file a batch's row stands; 0 where that is not known."""


@dataclass(frozen=True)
class _Format:
    """How a CSV file is written, and which of its columns are wanted."""

    path: Path
    names: list[str]
    types: dict[str, pa.DataType]
    delimiter: str
    quoted: bool
    key: str

    def options(self, skipped: "_Skipped | None" = None) -> dict[str, Any]:
        """Return the reader's options; where rows may be `skipped`, everything is read as bytes."""
        types = self.types if skipped is None else dict.fromkeys(self.types, pa.binary())
        convert = pacsv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True)
        quote = '"' if self.quoted else False
        parse = pacsv.ParseOptions(delimiter=self.delimiter, quote_char=quote, newlines_in_values=self.quoted, invalid_row_handler=skipped)
        return {"parse_options": parse, "convert_options": convert}

    def refused(self, err: Exception, row: int | None = None) -> InputError:
        """Return what to tell of a row that is not the format."""
        where = str(self.path) if row is None else f"{self.path}:{row}"
        said = re.sub(r"^In CSV column #(\d+): (?:Row #\d+: )?(?:CSV conversion error to )?", self._named, str(err).splitlines()[0])
        return InputError(said[:160], where=where, do="Fetch it again, or use the publisher's file")

    def _named(self, found: re.Match[str]) -> str:
        return f"{self.names[int(found[1])]}: not a "


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns are read as what, which a file must have, which show that it is another one, and whether fields may be quoted."""

    types: dict[str, pa.DataType]
    needed: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    quoted: bool = False
    key: str = ""  # the column that says what a row is of, so that it is known of what one is missing


class _Skipped:
    """Counts the rows that do not have as many fields as the first line."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, row: Any) -> str:  # noqa: ARG002 - pyarrow gives it
        """Leave a row out."""
        self.rows += 1
        return "skip"


class _Part(NamedTuple):
    """Some rows that can be read, how many cannot, and what is wrong with the first of these."""

    batch: pa.RecordBatch
    bad: int = 0
    why: Callable[[], InputError] | None = None
    torn: tuple[str, ...] = ()  # what the rows that cannot be read have in their key column


def read_rows(
    path: Path, columns: Columns, counts: Counts, *, make: Callable[[pa.RecordBatch, LineOf], T], block: int = 0
) -> Iterator[tuple[int, T, FileCount]]:
    """Yield the number of rows in a block, `make(the readable ones, their first row)` and the file's count, over a CSV file's wanted columns.

    Rows that cannot be read are counted here. Blocks of lines, of `block` bytes, are read in threads, in order; a file with quoted fields (stated, or
    seen in its head) is read in one piece after the other, and its rows are not numbered. Raises InputError where the file is another one.
    """
    file = counts.begin(path)
    with opened(path, ".csv") as stream:
        form = _format(stream.peek(1 << 16), path, columns)  # type: ignore[attr-defined]
        parts: Iterator[tuple[_Part, T]]
        if form.quoted:
            parts = ((part, make(part.batch, lambda _: 0)) for part in _one_after_another(_Unified(stream), form))
        else:
            spare = deque[bytearray]()
            blocks = _blocks(_Unified(stream), path, block or BLOCK, spare)
            parts = in_threads(lambda one: (part := _parsed(one, form, spare), make(part.batch, one.line_of if not part.bad else lambda _: 0)), blocks, workers=2, ahead=2)
        for part, made in parts:
            rows = part.batch.num_rows + part.bad
            file.rows += rows
            counts.unreadable(file, part.bad, part.why)
            counts.torn.update(part.torn)
            yield rows, made, file


def _format(head: bytes, path: Path, columns: Columns) -> _Format:
    first = (head.splitlines() or [b""])[0].decode("utf-8-sig", "replace")
    delimiter = ";" if first.count(";") > first.count(",") else ","
    names = [name.strip().strip('"').strip() for name in first.split(delimiter)]
    missing = [name for name in columns.needed if name not in names]
    foreign = [name for name in columns.foreign if name in names]
    if missing or foreign:
        what = f"no column {missing[0]}" if missing else f"a column {foreign[0]}"
        do = "This is another file, or one whose boxes are stripped"
        raise InputError(f"{what}; its first line is {first[:80]!r}", where=f"{path}:1", do=do)
    types = {name: kind for name, kind in columns.types.items() if name in names}
    return _Format(path, names, types, delimiter, columns.quoted or b'"' in head, columns.key)


def _one_after_another(stream: "_Unified", form: _Format) -> Iterator[_Part]:
    done = 0
    try:
        for batch in _reader(stream, form):
            done += batch.num_rows
            yield _Part(batch)
    except pa.ArrowInvalid as err:
        failure = err.with_traceback(None)  # which would keep the block
    else:
        return
    with opened(form.path, ".csv") as again:
        yield from _patient_from(done, _Unified(again), form, failure)


def _patient_from(done: int, stream: "_Unified", form: _Format, failure: Exception) -> Iterator[_Part]:
    """Read a file anew with patience; what was read before the failure is passed over."""
    skipped, counted = _Skipped(), 0
    try:
        for batch in _reader(stream, form, skipped):
            fresh = batch.slice(min(done, batch.num_rows))
            done -= batch.num_rows - fresh.num_rows
            good, torn = _readable(fresh, form)
            bad, counted = fresh.num_rows - good.num_rows + skipped.rows - counted, skipped.rows
            yield _Part(good, bad, lambda: form.refused(failure), torn)
    except pa.ArrowInvalid as err:
        raise form.refused(err) from err


def _reader(stream: "_Unified", form: _Format, skipped: _Skipped | None = None) -> Iterator[pa.RecordBatch]:
    read = pacsv.ReadOptions(block_size=QUOTED_BLOCK, use_threads=False, column_names=form.names, skip_rows=1)
    return (batch for batch in pacsv.open_csv(stream, read_options=read, **form.options(skipped)) if batch.num_rows)


@dataclass(frozen=True)
class _Block:
    """Whole lines of a file, and where in it they begin, in bytes; they lie in a buffer that is used again once they are read."""

    content: memoryview
    buffer: bytearray
    begin: int
    path: Path

    def first_line(self) -> int:
        """Return the line with which this block begins."""
        with opened(self.path, ".csv") as stream:
            return self._first(_Unified(stream))

    def _first(self, lines: "_Unified") -> int:
        line, left = 1, self.begin
        while left and (chunk := lines.read(min(left, BLOCK))):
            line, left = line + chunk.count(b"\n"), left - len(chunk)
        return line

    def line_of(self, row: int) -> int:
        """Return the line in which a row of this block stands; empty lines are no rows. The file is read again: only an error asks."""
        with opened(self.path, ".csv") as stream:
            lines = _Unified(stream)
            line, content = self._first(lines), lines.read(len(self.content))
        return line + next(islice((number for number, text in enumerate(content.splitlines()) if text), row, None), 0)


def _blocks(stream: "_Unified", path: Path, size: int, spare: deque[bytearray]) -> Iterator[_Block]:
    """Cut a file after its header into blocks of whole lines, in `spare` buffers where there are some: a new one costs as much as filling it."""
    left, begin, is_last = b"", 0, False
    while not is_last:
        buffer = spare.pop() if spare else bytearray(size)
        if 2 * len(left) > len(buffer):
            buffer = bytearray(2 * len(left))
        view = memoryview(buffer)
        view[: len(left)] = left
        end = len(left) + stream.readinto(view[len(left) :])
        is_last = end < len(buffer)
        cut = end if is_last else buffer.rfind(b"\n") + 1
        start = (buffer.find(b"\n", 0, cut) + 1 or cut) if not begin and cut else 0
        left = bytes(view[cut:end])
        if bytes(view[start : min(cut, start + 4096)]).strip() or bytes(view[start:cut]).strip():
            yield _Block(view[start:cut], buffer, begin + start, path)
        begin += cut


def _parsed(block: _Block, form: _Format, spare: deque[bytearray]) -> _Part:
    try:
        part = _Part(_parsed_lines(block.content, form))
    except pa.ArrowInvalid as err:
        failure = err.with_traceback(None)  # which would keep the block
    else:
        spare.append(block.buffer)
        return part
    skipped = _Skipped()
    try:
        every = _parsed_lines(block.content, form, skipped)
    except pa.ArrowInvalid as err:
        raise form.refused(*_first_bad(block, form, err)) from err
    good, torn = _readable(every, form)
    return _Part(good, every.num_rows - good.num_rows + skipped.rows, lambda: form.refused(*_first_bad(block, form, failure)), torn)


def _parsed_lines(content: bytes | memoryview, form: _Format, skipped: _Skipped | None = None) -> pa.RecordBatch:
    read = pacsv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=form.names)
    table = pacsv.read_csv(pa.BufferReader(content), read_options=read, **form.options(skipped))
    return next(iter(table.combine_chunks().to_batches()), pa.RecordBatch.from_pylist([], schema=table.schema))


def _readable(batch: pa.RecordBatch, form: _Format) -> tuple[pa.RecordBatch, tuple[str, ...]]:
    """Return the rows of bytes whose every wanted field is what it should be, as that; and the keys of the others."""
    columns = {name: _as_kind(batch.column(name), kind) for name, kind in form.types.items()}
    good = pa.array([True] * batch.num_rows, pa.bool_())
    for name, column in columns.items():
        good = pc.and_(good, pc.or_(pc.is_valid(column), pc.is_null(batch.column(name))))
    keys = columns[form.key].filter(pc.invert(good)).drop_null().to_pylist() if form.key else ()
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)).filter(good), tuple(keys)


def _as_kind(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return bytes as another type; what is none becomes null. A whole number may be written with a point (`1.0`)."""
    texts = _as_text(column)
    if kind == pa.string():
        return texts
    trimmed = pc.utf8_trim_whitespace(texts)
    numbers = pc.if_else(pc.match_substring_regex(trimmed, NUMBER), trimmed, None).cast(pa.float64())
    if pa.types.is_floating(kind):
        return numbers.cast(kind, safe=False)
    whole = pc.and_(pc.equal(numbers, pc.floor(numbers)), pc.less(pc.abs(numbers), 128))
    return pc.if_else(whole, numbers, None).cast(kind)


def _as_text(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_text_or_none(value) for value in column.to_pylist()], pa.string())


def _text_or_none(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


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
    return err, block.first_line() + low


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

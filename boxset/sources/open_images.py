"""Open Images V7's boxes: CSV of relative corners (XMin, XMax, YMin, YMax), verified image labels, hierarchy, image lists.

Format: https://storage.googleapis.com/openimages/web/download_v7.html; flags are 1, 0, or -1 for unknown.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from boxset.dataset.reasons import Reason
from boxset.errors import InputError
from boxset.sources.licences import spdx_of_url
from boxset.sources.raw import RawFiles, opened
from boxset.sources.tables import IndexWriter
from boxset.work import in_threads

BASE = "https://storage.googleapis.com/openimages/"
PICTURES = "https://open-images-dataset.s3.amazonaws.com"
SPLITS = ("train", "validation", "test")
CLASS_FILE = ("classes", f"{BASE}v7/oidv7-class-descriptions-boxable.csv")
HIERARCHY = ("hierarchy", f"{BASE}2018_04/bbox_labels_600_hierarchy.json")
BOX_FILES = {
    "train": f"{BASE}v6/oidv6-train-annotations-bbox.csv",
    "validation": f"{BASE}v5/validation-annotations-bbox.csv",
    "test": f"{BASE}v5/test-annotations-bbox.csv",
}
IMAGE_FILES = {
    "train": f"{BASE}2018_04/train/train-images-boxable-with-rotation.csv",
    "validation": f"{BASE}2018_04/validation/validation-images-with-rotation.csv",
    "test": f"{BASE}2018_04/test/test-images-with-rotation.csv",
}
LABEL_FILES = {split: f"{BASE}v5/{split}-annotations-human-imagelabels-boxable.csv" for split in SPLITS}
COORDINATES = ("XMin", "XMax", "YMin", "YMax")
FLAG_COLUMNS = {"occluded": "IsOccluded", "truncated": "IsTruncated", "group_of": "IsGroupOf", "depiction": "IsDepiction", "inside": "IsInside"}
TOLERANCE = 1e-3
BLOCK = 8 << 20
QUOTED_BLOCK = 1 << 20  # the reader of quoted fields keeps some fifty of these in hand
FLICKR_PHOTO = r"flickr\.com.*/(?P<photo>[0-9]+)(?:/.*)?$"  # the last part of a landing page's path that is a number
Counts = dict[str, int]
T = TypeVar("T")
FirstRow = Callable[[], int]
"""Counts, when asked, which line of the file a batch begins with."""


def build(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:
    """Read every split into the writer; return rows seen and rows left out by reason."""
    writer.add_classes(_classes(files))
    counts: Counts = {"seen": 0}
    for split in splits or SPLITS:
        _boxes(files.get(f"boxes_{split}", BOX_FILES[split]), writer, counts)
        if files.has(f"images_{split}", IMAGE_FILES[split]):
            _images(files.get(f"images_{split}", IMAGE_FILES[split]), split, writer)
        if files.has(f"labels_{split}", LABEL_FILES[split]):
            _labels(files.get(f"labels_{split}", LABEL_FILES[split]), writer)
    return counts


def _classes(files: RawFiles) -> list[dict[str, Any]]:
    path = files.get(*CLASS_FILE)
    with opened(path) as stream:
        rows = [row for row in csv.reader(io.StringIO(stream.read().decode("utf-8-sig"), newline="")) if row]
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != 2), 0)
    if wrong:
        raise InputError(f"expected an id and a name, found {len(rows[wrong - 1])} fields", where=f"{path}:{wrong}", do="Fetch it again")
    parents = _parents(files.get(*HIERARCHY)) if files.has(*HIERARCHY) else {}
    return [{"class_id": mid, "name": name, "parents": sorted(parents.get(mid, ()))} for mid, name in rows if mid.startswith("/")]


class _Node(msgspec.Struct):
    name: str = msgspec.field(name="LabelName", default="")
    subcategories: "list[_Node]" = msgspec.field(name="Subcategory", default_factory=list)


def _parents(path: Path) -> dict[str, set[str]]:
    """Return the parents of each class; a class may have several, and stands once under each. Parts are not kinds and do not count."""
    with opened(path, ".json") as stream:
        try:
            root = msgspec.json.decode(stream.read(), type=_Node)
        except msgspec.MsgspecError as err:
            raise InputError(f"not the class hierarchy: {err}", where=str(path), do="Fetch it again") from err
    found: dict[str, set[str]] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for child in node.subcategories:
            found.setdefault(child.name, set()).add(node.name)
        waiting += node.subcategories
    return found


def _boxes(path: Path, writer: IndexWriter, counts: Counts) -> None:
    types = {
        "ImageID": pa.string(),
        "LabelName": pa.string(),
        **dict.fromkeys(COORDINATES, pa.float64()),
        **dict.fromkeys(FLAG_COLUMNS.values(), pa.int8()),
    }

    def columns(batch: pa.RecordBatch, row: FirstRow) -> tuple[int, dict[str, Any]]:
        return batch.num_rows, _box_columns(_sound(batch, path, row))

    seen = counts["seen"]
    for rows, good in read_rows(path, types, needed=("ImageID", "LabelName", *COORDINATES), make=columns):
        counts["seen"] += rows
        bad = rows - writer.add_boxes(good)
        if bad:
            counts[Reason.BAD_ROW] = counts.get(Reason.BAD_ROW, 0) + bad
    if counts["seen"] == seen:
        raise InputError("no boxes at all: the rows are stripped", where=str(path), do="Fetch it again")


def _sound(batch: pa.RecordBatch, path: Path, row: FirstRow) -> pa.RecordBatch:
    """Return the rows with an image, a class and corners between 0 and 1. Raises InputError for pixel corners."""
    good = not batch.column("ImageID").null_count and not batch.column("LabelName").null_count
    for name in COORDINATES:
        column = batch.column(name)
        lowest, highest = pc.min_max(column).values()
        if (highest.as_py() or 0.0) > 2:
            found = row() + pc.index(pc.fill_null(pc.greater(column, 2), False), True).as_py()
            raise InputError(
                f"{name}: {highest.as_py():g} in a column of shares from 0 to 1: these are pixels", where=f"{path}:{found}", do="Use the publisher's file"
            )
        total = pc.sum(column).as_py()  # NaN where one of them is
        good = good and not column.null_count and total == total and lowest.as_py() >= -TOLERANCE and highest.as_py() <= 1 + TOLERANCE
    return batch if good else _only_sound(batch)


def _only_sound(batch: pa.RecordBatch) -> pa.RecordBatch:
    valid = pc.and_(pc.is_valid(batch.column("ImageID")), pc.is_valid(batch.column("LabelName")))
    for name in COORDINATES:
        column = batch.column(name)
        inside = pc.and_(pc.greater_equal(column, -TOLERANCE), pc.less_equal(column, 1 + TOLERANCE))
        valid = pc.and_(valid, pc.fill_null(inside, False))
    return batch.filter(valid)


def _box_columns(batch: pa.RecordBatch) -> dict[str, Any]:
    left, right, top, bottom = (batch.column(name) for name in COORDINATES)
    flags = {flag: _flag(batch.column(name)) for flag, name in FLAG_COLUMNS.items() if name in batch.schema.names}
    corners = {"x": left, "y": top, "w": pc.subtract(right, left), "h": pc.subtract(bottom, top)}
    return {"image_id": batch.column("ImageID"), "class_id": batch.column("LabelName").dictionary_encode(), **corners, **flags}


def _flag(column: pa.Array) -> pa.Array:
    known = pc.equal(column, 1)
    return pc.if_else(pc.less(column, 0), None, known) if (pc.min(column).as_py() or 0) < 0 else known


def _images(path: Path, split: str, writer: IndexWriter) -> None:
    names = ("ImageID", "OriginalLandingURL", "License", "Author", "Title", "Rotation")
    kept = {"author": "Author", "title": "Title", "landing_url": "OriginalLandingURL"}

    def columns(batch: pa.RecordBatch, row: FirstRow) -> dict[str, Any]:  # noqa: ARG001 - nothing here is refused
        ids = batch.column("ImageID")
        has = set(batch.schema.names)
        found = {"image_id": ids, "split": pa.array([split]).take(pa.array(np.zeros(len(ids), np.int8)))}
        found["url"] = pc.binary_join_element_wise(f"{PICTURES}/{split}/", ids, ".jpg", "")
        found |= {ours: batch.column(theirs) for ours, theirs in kept.items() if theirs in has}
        if "License" in has:
            found["license"] = _each(batch.column("License"), lambda url: spdx_of_url(url or "") or None, pa.string())
        if "OriginalLandingURL" in has:
            found["flickr_id"] = pc.struct_field(pc.extract_regex(batch.column("OriginalLandingURL"), FLICKR_PHOTO), "photo")
        if "Rotation" in has:
            found["rotation"] = _each(batch.column("Rotation"), _degrees, pa.int16())
        return found

    for found in read_rows(path, dict.fromkeys(names, pa.string()), needed=("ImageID",), quoted=True, make=columns):
        writer.add_images(found)


def _each(column: pa.Array, function: Callable[[str | None], Any], kind: pa.DataType) -> pa.Array:
    """Apply a function once to each different value."""
    encoded = column.dictionary_encode()
    return pa.array([function(value) for value in encoded.dictionary.to_pylist()], kind).take(encoded.indices)


def _degrees(text: str | None) -> int | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return int(value) if value in (0, 90, 180, 270) else None


def _labels(path: Path, writer: IndexWriter) -> None:
    types = {"ImageID": pa.string(), "LabelName": pa.string(), "Confidence": pa.float32()}

    def columns(batch: pa.RecordBatch, row: FirstRow) -> dict[str, Any]:  # noqa: ARG001 - nothing here is refused
        whole = pc.and_(pc.is_valid(batch.column("ImageID")), pc.is_valid(batch.column("LabelName")))
        batch = batch if pc.all(whole).as_py() else batch.filter(whole)
        present = pc.fill_null(pc.greater(batch.column("Confidence"), 0.5), False)
        return {
            "image_id": batch.column("ImageID"),
            "class_id": batch.column("LabelName").dictionary_encode(),
            "present": present,
            "exhaustive": present,
        }

    for found in read_rows(path, types, needed=tuple(types), make=columns):
        writer.add_verified(found)


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
    path: Path, types: dict[str, pa.DataType], *, needed: tuple[str, ...], make: Callable[[pa.RecordBatch, FirstRow], T], quoted: bool = False
) -> Iterator[T]:
    """Yield `make(batch, its first row)` over a CSV file's wanted columns, whatever its delimiter, line ends and further columns.

    Blocks of lines are read in threads, in order; a file with quoted fields is read in one piece after the other, and its rows
    are not numbered. Raises InputError naming the file and the column or row that is not the format.
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
        form = _Format(path, names, {name: kind for name, kind in types.items() if name in names}, delimiter, quoted)
        if quoted:
            yield from (make(batch, lambda: 0) for batch in _one_after_another(_Unified(stream), form))
        else:
            yield from in_threads(lambda block: make(_parsed(block, form), block.first_row), _blocks(_Unified(stream), path), workers=2, ahead=2)


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


def _blocks(stream: "_Unified", path: Path) -> Iterator[_Block]:
    """Cut a file after its header into blocks of whole lines, without copying them."""
    left, begin, is_last = memoryview(b""), 0, False
    while not is_last:
        buffer = bytearray(len(left) + BLOCK)
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

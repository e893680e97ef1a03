"""Open Images V7's boxes: CSV of relative corners (XMin, XMax, YMin, YMax), verified image labels, hierarchy, image lists.

Format: https://storage.googleapis.com/openimages/web/download_v7.html; flags are 1, 0, or -1 for unknown.
"""

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from boxset.dataset.reasons import Reason
from boxset.errors import InputError
from boxset.sources.licences import spdx_of_url
from boxset.sources.raw import RawFiles, opened
from boxset.sources.tables import IndexWriter

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
Counts = dict[str, int]


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
    seen = counts["seen"]
    for batch in batches(path, types, needed=("ImageID", "LabelName", *COORDINATES)):
        counts["seen"] += batch.num_rows
        good = _sound(batch, path)
        bad = batch.num_rows - good.num_rows
        if bad:
            counts[Reason.BAD_ROW] = counts.get(Reason.BAD_ROW, 0) + bad
        writer.add_boxes(_box_columns(good))
    if counts["seen"] == seen:
        raise InputError("no boxes at all: the rows are stripped", where=str(path), do="Fetch it again")


def _sound(batch: pa.RecordBatch, path: Path) -> pa.RecordBatch:
    """Return the rows with an image, a class and corners between 0 and 1. Raises InputError for pixel corners."""
    valid = pc.and_(pc.is_valid(batch.column("ImageID")), pc.is_valid(batch.column("LabelName")))
    highest = 0.0
    for name in COORDINATES:
        column = batch.column(name)
        highest = max(highest, pc.max(column).as_py() or 0.0)
        valid = pc.and_(valid, pc.is_valid(column))
        valid = pc.and_(valid, pc.fill_null(pc.and_(pc.greater_equal(column, -TOLERANCE), pc.less_equal(column, 1 + TOLERANCE)), False))
    if highest > 2:
        raise InputError(
            f"{COORDINATES[0]}…: {highest:g} in a column of shares from 0 to 1: these are pixels", where=str(path), do="Use the publisher's file"
        )
    return batch if pc.all(valid).as_py() else batch.filter(valid)


def _box_columns(batch: pa.RecordBatch) -> dict[str, Any]:
    left, right, top, bottom = (batch.column(name) for name in COORDINATES)
    flags = {
        flag: pc.if_else(pc.less(batch.column(name), 0), None, pc.equal(batch.column(name), 1))
        for flag, name in FLAG_COLUMNS.items()
        if name in batch.schema.names
    }
    corners = {"x": left, "y": top, "w": pc.subtract(right, left), "h": pc.subtract(bottom, top)}
    return {"image_id": batch.column("ImageID"), "class_id": batch.column("LabelName"), **corners, **flags}


def _images(path: Path, split: str, writer: IndexWriter) -> None:
    names = ("ImageID", "OriginalLandingURL", "License", "Author", "Title", "Rotation")
    licences: dict[str | None, str] = {}
    for batch in batches(path, dict.fromkeys(names, pa.string()), needed=("ImageID",), quoted=True):
        columns = {name: batch.column(name).to_pylist() if name in batch.schema.names else [None] * batch.num_rows for name in names}
        for url in set(columns["License"]) - licences.keys():
            licences[url] = spdx_of_url(url)
        writer.add_images(
            {
                "image_id": batch.column("ImageID"),
                "split": [split] * batch.num_rows,
                "url": [f"{PICTURES}/{split}/{image}.jpg" for image in columns["ImageID"]],
                "license": [licences[url] or None for url in columns["License"]],
                "author": columns["Author"],
                "title": columns["Title"],
                "landing_url": columns["OriginalLandingURL"],
                "flickr_id": [flickr_id(url) for url in columns["OriginalLandingURL"]],
                "rotation": [_degrees(text) for text in columns["Rotation"]],
            }
        )


def flickr_id(url: str | None) -> str | None:
    """Return a Flickr photo's number from its landing page, or None."""
    parts = (url or "").split("/")
    return next((part for part in reversed(parts) if part.isdigit()), None) if "flickr.com" in (url or "") else None


def _degrees(text: str | None) -> int | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return int(value) if value in (0, 90, 180, 270) else None


def _labels(path: Path, writer: IndexWriter) -> None:
    types = {"ImageID": pa.string(), "LabelName": pa.string(), "Confidence": pa.float32()}
    for batch in batches(path, types, needed=tuple(types)):
        present = pc.greater(batch.column("Confidence"), 0.5)
        columns = {"image_id": batch.column("ImageID"), "class_id": batch.column("LabelName")}
        writer.add_verified({**columns, "present": present, "exhaustive": present})


def batches(path: Path, types: dict[str, pa.DataType], *, needed: tuple[str, ...], quoted: bool = False) -> Iterator[pa.RecordBatch]:
    """Yield a CSV file's wanted columns in batches, whatever its delimiter, line ends and further columns.

    Raises InputError naming the file and the column or row that is not the format.
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
        kept = {name: kind for name, kind in types.items() if name in names}
        try:
            yield from _parsed(stream, kept, delimiter, quoted)
        except pa.ArrowInvalid as err:
            raise InputError(str(err).splitlines()[0][:160], where=str(path), do="Fetch it again, or use the publisher's file") from err


def _parsed(stream: IO[bytes], kept: dict[str, pa.DataType], delimiter: str, quoted: bool) -> Iterator[pa.RecordBatch]:
    reader = pacsv.open_csv(
        _Unified(stream),
        read_options=pacsv.ReadOptions(block_size=BLOCK),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted),
        convert_options=pacsv.ConvertOptions(
            column_types=kept, include_columns=list(kept), strings_can_be_null=True, quoted_strings_can_be_null=True
        ),
    )
    for batch in itertools.takewhile(lambda _: True, reader):
        if batch.num_rows:
            yield batch


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

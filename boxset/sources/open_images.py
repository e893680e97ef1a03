"""Open Images V7's boxes: CSV of relative corners (XMin, XMax, YMin, YMax), verified image labels, hierarchy, image lists.

Format: https://storage.googleapis.com/openimages/web/download_v7.html; flags are 1, 0, or -1 for unknown.
"""

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boxset.errors import InputError
from boxset.sources.counts import Counts
from boxset.sources.delimited import Columns, LineOf, read_rows
from boxset.sources.json_lines import UNREADABLE
from boxset.sources.licences import stated
from boxset.sources.raw import RawFiles, opened, read_text
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
FLICKR_PHOTO = r"flickr\.com.*/(?P<photo>[0-9]+)(?:/.*)?$"  # the last part of a landing page's path that is a number


def build(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:
    """Read every split into the writer; return rows seen and rows left out by reason."""
    counts = Counts()
    writer.add_classes(_classes(files))
    for split in splits or SPLITS:
        _boxes(files.get(f"boxes_{split}", BOX_FILES[split]), writer, counts)
        if files.has(f"images_{split}", IMAGE_FILES[split]):
            _images(files.get(f"images_{split}", IMAGE_FILES[split]), split, writer, counts)
        if files.has(f"labels_{split}", LABEL_FILES[split]):
            _labels(files.get(f"labels_{split}", LABEL_FILES[split]), writer, counts)
    return counts


def _classes(files: RawFiles) -> list[dict[str, Any]]:
    path = files.get(*CLASS_FILE)
    text = read_text(path)
    delimiter = ";" if text.count(";") > text.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines = [(reader.line_num, row) for row in reader if row]
    wrong = next(((line, len(row)) for line, row in lines if len(row) != 2), None)
    if wrong:
        raise InputError(f"expected an id and a name, found {wrong[1]} fields", where=f"{path}:{wrong[0]}", do="Fetch it again")
    rows = [row for _, row in lines]
    if not any(row[0].startswith("/") for row in rows):
        raise InputError(f"LabelName: no id such as /m/03l9g; it begins with {rows[:1]!r:.60}", where=f"{path}:1", do="Use class-descriptions-boxable.csv")
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
        except UNREADABLE as err:
            raise InputError(f"not the class hierarchy: {err}", where=str(path), do="Fetch it again") from err
    if not root.name or not root.subcategories:
        raise InputError("not the class hierarchy: no LabelName with a Subcategory", where=str(path), do="Use bbox_labels_600_hierarchy.json")
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
    known = writer.known_classes()

    def columns(batch: pa.RecordBatch, row: LineOf) -> tuple[int, dict[str, Any], Callable[[], InputError], list[str]]:
        sound = _sound(batch, path, row)
        torn = [] if sound is batch else batch.column("ImageID").filter(pc.invert(_is_sound(batch))).drop_null().to_pylist()
        return batch.num_rows, _box_columns(sound, known), partial(_first_unsound, batch, row, known, path), torn

    seen = counts.seen
    form = Columns(types=types, needed=("ImageID", "LabelName", *COORDINATES), key="ImageID")
    for rows, (readable, good, why, torn), file in read_rows(path, form, counts, make=columns):
        counts.seen += rows
        counts.torn.update(torn)
        counts.unreadable(file, readable - writer.add_boxes(good), why)
    if counts.seen == seen:
        raise InputError("no boxes at all: the rows are stripped", where=str(path), do="Fetch it again")


def _sound(batch: pa.RecordBatch, path: Path, row: LineOf) -> pa.RecordBatch:
    """Return the rows with an image, a class and corners between 0 and 1. Raises InputError for pixel corners."""
    corners = [batch.column(name) for name in COORDINATES]
    if not any(column.null_count for column in (batch.column("ImageID"), batch.column("LabelName"), *corners)) and all(map(_are_shares, corners)):
        return batch
    for name, column in zip(COORDINATES, corners, strict=True):
        _refuse_pixels(name, column, path, row)
    return batch.filter(_is_sound(batch))


def _are_shares(column: pa.Array) -> bool:
    """Return whether all numbers of a column without nulls lie between 0 and 1; NaN does not."""
    values = column.to_numpy()
    return not len(values) or bool(values.min() >= -TOLERANCE and values.max() <= 1 + TOLERANCE)


def _refuse_pixels(name: str, column: pa.Array, path: Path, row: LineOf) -> None:
    highest = pc.max(column).as_py()
    if (highest or 0.0) > 2:
        what = f"{name}: {highest:g} in a column of shares from 0 to 1: these are pixels"
        found = pc.index(pc.fill_null(pc.greater(column, 2), False), True).as_py()
        raise InputError(what, where=_at(path, row(found)), do="Use the publisher's file")


def _is_sound(batch: pa.RecordBatch) -> pa.Array:
    valid = pc.and_(pc.is_valid(batch.column("ImageID")), pc.is_valid(batch.column("LabelName")))
    for name in COORDINATES:
        column = batch.column(name)
        inside = pc.and_(pc.greater_equal(column, -TOLERANCE), pc.less_equal(column, 1 + TOLERANCE))
        valid = pc.and_(valid, pc.fill_null(inside, False))
    return valid


def _first_unsound(batch: pa.RecordBatch, row: LineOf, known: set[str], path: Path) -> InputError:
    """Say what is wrong with the first row that is left out."""
    named = pc.is_in(batch.column("LabelName"), value_set=pa.array(sorted(known), pa.string()))
    place = pc.index(pc.and_(_is_sound(batch), named), False).as_py()
    field = {name: value for name, value in batch.slice(place, 1).to_pylist()[0].items() if name in ("ImageID", "LabelName", *COORDINATES)}
    empty = next((name for name, value in field.items() if value is None), "")
    outside = next((name for name in COORDINATES if not empty and not -TOLERANCE <= field[name] <= 1 + TOLERANCE), "")
    foreign = f"LabelName: the class file has no {field['LabelName']!r:.40}"
    what = f"{outside}: {field[outside]:g} is no share" if outside else foreign
    return InputError(f"{empty}: empty" if empty else what, where=_at(path, row(place)))


def _at(path: Path, line: int) -> str:
    return f"{path}:{line}" if line else str(path)


def _box_columns(batch: pa.RecordBatch, known: set[str]) -> dict[str, Any]:
    classes = batch.column("LabelName").dictionary_encode()
    if not known.issuperset(classes.dictionary.to_pylist()):  # a class that the class file does not name
        named = _among(classes, known)
        batch, classes = batch.filter(named), classes.filter(named)
    left, right, top, bottom = (batch.column(name) for name in COORDINATES)
    flags = {flag: _flag(batch.column(name)) for flag, name in FLAG_COLUMNS.items() if name in batch.schema.names}
    corners = {"x": left, "y": top, "w": pc.subtract(right, left), "h": pc.subtract(bottom, top)}
    return {"image_id": batch.column("ImageID"), "class_id": classes, **corners, **flags}


def _among(classes: pa.DictionaryArray, known: set[str]) -> pa.Array:
    return pa.array([name in known for name in classes.dictionary.to_pylist()], pa.bool_()).take(classes.indices)


def _flag(column: pa.Array) -> pa.Array:
    known = pc.equal(column, 1)
    unknown = column.null_count or (len(column) and column.to_numpy().min() < 0)
    return pc.if_else(pc.less(column, 0), None, known) if unknown else known


def _images(path: Path, split: str, writer: IndexWriter, counts: Counts) -> None:
    kept = {"author": "Author", "author_url": "AuthorProfileURL", "title": "Title", "landing_url": "OriginalLandingURL", "original_url": "OriginalURL"}
    names = ("ImageID", "License", "Rotation", *kept.values())

    def columns(batch: pa.RecordBatch, row: LineOf) -> tuple[int, dict[str, Any]]:  # noqa: ARG001 - bad rows are counted, not refused
        rows, batch = batch.num_rows, _whole(batch, ("ImageID",))
        ids = batch.column("ImageID")
        has = set(batch.schema.names)
        found = {"image_id": ids, "split": pa.array([split]).take(pa.array(np.zeros(len(ids), np.int8)))}
        found["url"] = pc.binary_join_element_wise(f"{PICTURES}/{split}/", ids, ".jpg", "")
        found |= {ours: batch.column(theirs) for ours, theirs in kept.items() if theirs in has}
        if "License" in has:
            found["license"] = _each(batch.column("License"), lambda said: stated(said) or None, pa.string())
        if "OriginalLandingURL" in has:
            found["flickr_id"] = pc.struct_field(pc.extract_regex(batch.column("OriginalLandingURL"), FLICKR_PHOTO), "photo")
        if "Rotation" in has:
            found["rotation"] = _each(batch.column("Rotation"), _degrees, pa.int16())
        return rows, found

    form = Columns(types=dict.fromkeys(names, pa.string()), needed=("ImageID",), foreign=("LabelName",), quoted=True)
    rows = 0
    for number, (readable, found), file in read_rows(path, form, counts, make=columns):
        rows += number
        writer.add_images(found)
        counts.unreadable(file, readable - len(found["image_id"]), lambda: InputError("a row without ImageID", where=str(path)))
    if not rows:
        raise InputError("no image at all: the rows are stripped", where=str(path), do="Fetch it again")


def _whole(batch: pa.RecordBatch, names: tuple[str, ...]) -> pa.RecordBatch:
    """Return the rows in which none of some fields is empty."""
    if not any(batch.column(name).null_count for name in names):
        return batch
    whole = pc.is_valid(batch.column(names[0]))
    for name in names[1:]:
        whole = pc.and_(whole, pc.is_valid(batch.column(name)))
    return batch.filter(whole)


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


def _labels(path: Path, writer: IndexWriter, counts: Counts) -> None:
    """Read what people verified. Labels of classes that the class file does not name concern no box, and are passed over.

    Raises InputError where the labels are a machine's.
    """
    types = {"ImageID": pa.string(), "LabelName": pa.string(), "Confidence": pa.float32(), "Source": pa.string()}
    needed = ("ImageID", "LabelName", "Confidence")
    known = writer.known_classes()

    def columns(batch: pa.RecordBatch, row: LineOf) -> tuple[int, dict[str, Any]]:
        by_machine = pc.starts_with(batch.column("Source"), "machine") if "Source" in batch.schema.names else None
        if by_machine is not None and pc.any(by_machine).as_py():
            where = _at(path, row(pc.index(by_machine, True).as_py()))
            raise InputError("Source: a machine's labels, not people's", where=where, do="Use …-annotations-human-imagelabels-boxable.csv")
        whole = _whole(batch, needed)
        whole = whole.filter(pc.is_in(whole.column("Confidence"), value_set=pa.array([0, 1], pa.float32())))
        bad, classes = batch.num_rows - whole.num_rows, whole.column("LabelName").dictionary_encode()
        if not known.issuperset(classes.dictionary.to_pylist()):
            named = _among(classes, known)
            whole, classes = whole.filter(named), classes.filter(named)
        present = pc.greater(whole.column("Confidence"), 0.5)
        return bad, {"image_id": whole.column("ImageID"), "class_id": classes, "present": present, "exhaustive": present}

    rows = 0
    for number, (bad, found), file in read_rows(path, Columns(types=types, needed=needed, foreign=COORDINATES), counts, make=columns):
        rows += number
        writer.add_verified(found)
        counts.unreadable(file, bad, lambda: InputError("a row without image or class, or whose confidence is neither 0 nor 1", where=str(path)))
    if not rows:
        raise InputError("no label at all: the rows are stripped", where=str(path), do="Fetch it again")

"""COCO's instances and LVIS v1: one JSON object of images, annotations, categories and licences; boxes in float pixels from the top left.

Formats: https://cocodataset.org/#format-data and https://www.lvisdataset.org/dataset. Only what is named below is decoded;
segmentations are skipped at scanning speed.
"""

from collections.abc import Iterator, Set
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from boxset.dataset.reasons import Reason
from boxset.errors import InputError
from boxset.sources.counts import Counts, FileCount
from boxset.sources.licences import FLICKR, spdx_of, stated
from boxset.sources.raw import RawFiles, mapped
from boxset.sources.tables import IndexWriter
from boxset.work import batched, without_collection

ZIP = "http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
LVIS_ZIPS = {split: f"https://dl.fbaipublicfiles.com/LVIS/lvis_v1_{split}.json.zip" for split in ("train", "val")}
SPLITS = ("train", "val")
ROWS = 1 << 17
BOM = b"\xef\xbb\xbf"
LONGEST_SIDE = (1 << 31) - 1
R = TypeVar("R")


class _License(msgspec.Struct):
    id: int | str
    name: str | None = None
    url: str | None = None


class _Image(msgspec.Struct, gc=False):
    id: int
    width: int | float
    height: int | float
    file_name: str | None = ""
    coco_url: str | None = ""
    flickr_url: str | None = ""
    license: int | str | None = None
    neg_category_ids: tuple[int, ...] | None = None
    not_exhaustive_category_ids: tuple[int, ...] | None = None


class _Annotation(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int | bool | None = 0
    is_crowd: int | bool | list[int] | None = 0


class _Category(msgspec.Struct):
    id: int
    name: str
    synset: str = ""
    synonyms: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]
    licenses: list[_License] | None = []


class _Records(msgspec.Struct):
    """The same file, its images and annotations not looked into yet."""

    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[_Category]
    licenses: list[_License] | None = []


def build(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:
    """Read COCO's splits: every one of its categories is fully boxed in every image."""
    writer.exhaustive = True
    counts = Counts()
    for split in splits or SPLITS:
        path = files.get(f"instances_{split}", ZIP)
        _add(path, f"instances_{split}2017.json", split, writer, counts)
    return counts


def build_lvis(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:
    """Read LVIS's splits: per image some categories are known to be absent, some may be there without a box."""
    counts = Counts()
    for split in splits or SPLITS:
        path = files.get(f"lvis_{split}", LVIS_ZIPS[split])
        _add(path, f"lvis_v1_{split}.json", split, writer, counts, lvis=True)
    return counts


def _add(path: Path, member: str, split: str, writer: IndexWriter, counts: Counts, *, lvis: bool = False) -> None:
    with without_collection(), mapped(path, member) as content, content[3 if content[:3] == BOM else 0 :] as text:
        decoded = _sound(decode(text, path, counts), counts)
    _refuse_other_kind(decoded, path, lvis=lvis)
    writer.add_classes(_new_classes(decoded.categories, writer))
    _add_images(decoded, split, writer)
    _add_boxes(decoded.annotations, writer)
    if lvis:
        _add_verified(decoded, writer)


def _sound(decoded: _File, counts: Counts) -> _File:
    """Return the file without boxes of images or categories that it does not name, and without an image's second record; all counted."""
    counts.seen += len(decoded.annotations)
    images = {image.id: image for image in reversed(decoded.images)}
    categories = {category.id for category in decoded.categories}
    boxes = decoded.annotations
    if any(map(attrgetter("is_crowd"), boxes)):
        for box in boxes:
            box.iscrowd = is_crowd(box.iscrowd, box.is_crowd)
    if len(images) == len(decoded.images) and _all_in(boxes, "image_id", images.keys()) and _all_in(boxes, "category_id", categories):
        return decoded
    placed = [box for box in boxes if box.image_id in images]
    named = [box for box in placed if box.category_id in categories]
    counts.lose(Reason.NO_PICTURE, len(boxes) - len(placed))
    counts.lose(Reason.BAD_ROW, len(placed) - len(named))
    counts.lose(Reason.DUPLICATE, len(decoded.images) - len(images))
    return _File(list(reversed(images.values())), named, decoded.categories, decoded.licenses)


def _all_in(rows: list[Any], field: str, known: Set[int]) -> bool:
    return set(map(attrgetter(field), rows)) <= known


def _refuse_other_kind(decoded: _File, path: Path, *, lvis: bool) -> None:
    """Raise InputError for a relative of the format from which wrong conclusions about absence would be drawn."""
    federated = any(image.neg_category_ids is not None for image in decoded.images)
    if federated and not lvis:
        raise InputError("images[…].neg_category_ids: this is LVIS, whose categories are not boxed everywhere", where=str(path), do="Use format: lvis")
    if lvis and decoded.images and not federated:
        raise InputError("images[…].neg_category_ids is missing: this is not LVIS v1", where=str(path), do="Use lvis_v1_….json")
    if any(category.keypoints for category in decoded.categories):
        do = "Use instances_….json: keypoint files know persons alone"
        raise InputError("categories[…].keypoints: these are COCO's keypoints, not its instances", where=str(path), do=do)
    if decoded.images and not decoded.annotations:
        raise InputError("annotations: none at all: the boxes are stripped", where=str(path), do="Fetch it again")


def decode(content: memoryview, path: Path, counts: Counts) -> _File:
    """Decode strictly; where that fails, record by record, and count those that cannot be read. Raises InputError naming the field of a file of another kind."""
    try:
        return msgspec.json.decode(content, type=_File)
    except msgspec.MsgspecError as err:
        decoded = _patiently(content, counts, counts.begin(path), err)
        if decoded is None:
            raise InputError(f"not a COCO file: {err}", where=str(path), do="Use the publisher's file") from err
        return decoded


def _patiently(content: memoryview, counts: Counts, file: FileCount, failure: Exception) -> _File | None:
    """Return the records that can be read; None where no image or no annotation can, or something else is odd."""
    try:
        records = msgspec.json.decode(content, type=_Records)
    except msgspec.MsgspecError:
        return None
    images, boxes = _readable(records.images, _Image), _readable(records.annotations, _Annotation)
    if not images or not boxes:
        return None
    file.rows = len(records.images) + len(records.annotations)
    counts.unreadable(file, file.rows - len(images) - len(boxes), lambda: InputError(str(failure), where=str(file.path)))
    counts.seen += len(records.annotations) - len(boxes)
    return _File(images, boxes, records.categories, records.licenses)


def _readable(records: list[msgspec.Raw], kind: type[R]) -> list[R]:
    decoder, found = msgspec.json.Decoder(kind), []
    for record in records:
        with suppress(msgspec.MsgspecError):
            found.append(decoder.decode(record))
    return found


def _new_classes(categories: list[_Category], writer: IndexWriter) -> Iterator[dict[str, Any]]:
    known = writer.known_classes()
    for category in categories:
        if str(category.id) not in known:
            synonyms = [s.replace("_", " ") for s in category.synonyms if s != category.name]
            yield {
                "class_id": str(category.id),
                "name": category.name.replace("_", " "),
                "synonyms": synonyms + ([category.synset] if category.synset else []),
            }


def _add_images(decoded: _File, split: str, writer: IndexWriter) -> None:
    spdx = dict(FLICKR) | {str(licence.id): _terms(licence) for licence in decoded.licenses or ()}
    for part in batched(decoded.images, ROWS):
        writer.add_images(
            {
                "image_id": [str(image.id) for image in part],
                "split": [split] * len(part),
                "url": [picture_url(image, split) for image in part],
                "width": [_pixels(image.width) for image in part],
                "height": [_pixels(image.height) for image in part],
                "license": [spdx.get(str(image.license)) or None if image.license is not None else None for image in part],
                "landing_url": [image.flickr_url or None for image in part],
                "flickr_id": [flickr_photo(image.flickr_url or "") for image in part],
                "coco_id": [str(image.id) for image in part],
            }
        )


def _terms(licence: _License) -> str:
    """Return what an entry says; one that says nothing has the meaning of its number at Flickr, which the publishers' files use."""
    return spdx_of(licence.url) or spdx_of(licence.name) or flickr_terms(licence.id, licence.url, licence.name)


def flickr_terms(number: int | str, *said: str | None) -> str:
    """Return Flickr's licence of a number where what is said beside it does not contradict; else what is said."""
    theirs, words = FLICKR.get(str(number), ""), stated(*said)
    return theirs if not words or theirs.rpartition("-")[0] == words.removeprefix("LicenseRef-") else words


def _pixels(size: float) -> int | None:
    """Return a side's length as a whole number; None, unknown, for what none can be."""
    return int(size) if 0 <= size <= LONGEST_SIDE and size == int(size) else None


def picture_url(image: _Image, split: str) -> str:
    """Return a picture's address; where the file gives none, the one that COCO's naming implies."""
    return image.coco_url or f"http://images.cocodataset.org/{split}2017/{image.file_name or f'{image.id:012d}.jpg'}"


def flickr_photo(url: str) -> str | None:
    """Return the photo's number from a static Flickr address such as http://farm1.staticflickr.com/1/2345_abc_z.jpg, or None."""
    number = url.rpartition("/")[2].partition("_")[0]
    return number if "flickr" in url and number.isdigit() else None


def _add_boxes(annotations: list[_Annotation], writer: IndexWriter) -> None:
    for part in batched(annotations, ROWS):
        corners = np.fromiter(chain.from_iterable(map(attrgetter("bbox"), part)), np.float64, 4 * len(part)).reshape(-1, 4)
        writer.add_boxes(
            {
                "image_id": _numbers(part, "image_id"),
                "class_id": _numbers(part, "category_id"),
                **dict(zip(("x", "y", "w", "h"), map(pa.array, corners.T), strict=True)),
                "iscrowd": pa.array(np.fromiter(map(attrgetter("iscrowd"), part), bool, len(part))),
            }
        )


def _numbers(rows: list[Any], field: str) -> pa.Array:
    """Return one field's whole numbers as text."""
    return pa.array(np.fromiter(map(attrgetter(field), rows), np.int64, len(rows))).cast(pa.string())


def is_crowd(iscrowd: int | bool | None, other: int | bool | list[int] | None, attributes: dict[str, Any] | None = None) -> bool:
    """Return whether a box is a crowd, in COCO's spelling or in those of others: `is_crowd: [0]`, `attributes: {is_crowd: true}`."""
    listed = any(other) if isinstance(other, list) else bool(other)
    return bool(iscrowd) or listed or bool((attributes or {}).get("is_crowd") or (attributes or {}).get("iscrowd"))


def _add_verified(decoded: _File, writer: IndexWriter) -> None:
    incomplete = {(image.id, category) for image in decoded.images for category in image.not_exhaustive_category_ids or ()}
    present = {(annotation.image_id, annotation.category_id) for annotation in decoded.annotations} | incomplete
    absent = {(image.id, category) for image in decoded.images for category in image.neg_category_ids or ()} - present
    rows = [(image, category, True, (image, category) not in incomplete) for image, category in sorted(present)]
    rows += [(image, category, False, False) for image, category in sorted(absent)]
    for part in batched(rows, ROWS):
        images, categories, is_present, exhaustive = zip(*part, strict=True)
        writer.add_verified(
            {"image_id": [str(i) for i in images], "class_id": [str(c) for c in categories], "present": is_present, "exhaustive": exhaustive}
        )

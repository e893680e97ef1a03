"""COCO's instances and LVIS v1: one JSON object of images, annotations, categories and licences; boxes in float pixels from the top left.

Formats: https://cocodataset.org/#format-data and https://www.lvisdataset.org/dataset. Only what is named below is decoded;
segmentations are skipped at scanning speed. A file as the publishers write it is read in blocks, side by side; one that is odd in anything
is decoded again, in one piece and if need be record by record.
"""

import mmap
import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from boxset.dataset.photos import FLICKR_PAGE, flickr_page, flickr_photo
from boxset.dataset.reasons import Reason
from boxset.errors import InputError
from boxset.sources.counts import Counts, FileCount
from boxset.sources.json_alike import read_alike
from boxset.sources.json_lines import UNREADABLE, NotPlainError, comma_before, read_elements, readable
from boxset.sources.licences import FLICKR, spdx_of, stated
from boxset.sources.raw import Mapped, RawFiles, mapped
from boxset.sources.tables import IndexWriter
from boxset.work import batched, in_threads, without_collection

ZIP = "http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
LVIS_ZIPS = {split: f"https://dl.fbaipublicfiles.com/LVIS/lvis_v1_{split}.json.zip" for split in ("train", "val")}
SPLITS = ("train", "val")
ROWS = 1 << 17
BOM = b"\xef\xbb\xbf"
LONGEST_SIDE = (1 << 31) - 1
BLOCK, TAIL = 1 << 22, 1 << 16  # bytes
KEYS = (b'"info"', b'"licenses"', b'"images"', b'"categories"')
_KEY = b'"annotations"'
_ANNOTATIONS = re.compile(_KEY + rb"\s*:\s*\[")
_FIRST = re.compile(rb'\s*(\{\s*"\w+")')
_POLYGON = re.compile(rb'"segmentation": ?\[\[[-+0-9.eE, ]*\]\]')
_COUNTS_KEY = b'"counts"'
_MASK = re.compile(rb'\{"counts": ?\[[-+0-9.eE, ]*+\], ?"size": ?\[[0-9, ]*+\]\}')
_COUNTS = re.compile(rb'"counts": ?\[[-+0-9.eE, ]*\]')  # of a crowd's mask
_FLICKR = r"^https?://farm[0-9]+\.static\.?flickr\.com/[0-9]+/(?P<photo>[0-9]{1,20})_[0-9a-z_]+\.jpg$"
_PLACE = b'{"image_id": -9223372036854775808, "category_id": -9223372036854775808, "bbox": [0, 0, 0, 0]}'  # stands where the annotations stood
_IDS = [("image_id", pa.int64()), ("category_id", pa.int64())]
_SCHEMA = pa.schema([*_IDS, ("bbox", pa.list_(pa.float64())), ("iscrowd", pa.int64())])
_NEEDED, _ODD = {"image_id", "category_id", "bbox"}, "is_crowd"
_NUMBERS = pa.schema([*_IDS, ("bbox", pa.list_(pa.float64(), 4)), ("iscrowd", pa.int64()), (_ODD, pa.int64())])
Whole = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class _License(msgspec.Struct):
    id: int | str
    name: str | None = None
    url: str | None = None


class _Image(msgspec.Struct, gc=False):
    id: Whole
    width: int | float | None = None
    height: int | float | None = None
    file_name: str | None = ""
    coco_url: str | None = ""
    flickr_url: str | None = ""
    license: int | str | None = None
    neg_category_ids: tuple[int, ...] | None = None
    not_exhaustive_category_ids: tuple[int, ...] | None = None


class _Annotation(msgspec.Struct, gc=False):
    image_id: Whole
    category_id: Whole
    bbox: tuple[float, float, float, float]
    iscrowd: int | bool | None = 0
    is_crowd: int | bool | list[int] | None = 0


class _Of(msgspec.Struct):
    """What image an annotation is of that cannot be read otherwise."""

    image_id: Whole


class _Category(msgspec.Struct):
    id: Whole
    name: str
    synset: str = ""
    synonyms: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()


class _Document(msgspec.Struct):
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


class _Boxes(NamedTuple):
    """Boxes by column: ids of image and category, corners (n, 4), and whether each is a crowd."""

    images: npt.NDArray[np.int64]
    categories: npt.NDArray[np.int64]
    corners: npt.NDArray[np.float64]
    crowds: npt.NDArray[np.bool_]

    def only(self, which: npt.NDArray[np.bool_] | slice) -> "_Boxes":
        """Return some of them."""
        return _Boxes(self.images[which], self.categories[which], self.corners[which], self.crowds[which])


class _File(NamedTuple):
    """What a file says; its boxes in parts of about ROWS, as nothing needs them in one piece."""

    images: list[_Image]
    boxes: list[_Boxes]
    categories: list[_Category]
    licenses: list[_License]


def build(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:
    """Read COCO's splits: every one of its categories is fully boxed in every image."""
    writer.exhaustive = True
    counts = Counts()
    wanted = splits or SPLITS
    for number, split in enumerate(wanted, 1):
        path = files.get(f"instances_{split}", ZIP)
        _add(path, f"instances_{split}2017.json", split, writer, counts, last=number == len(wanted))
    return counts


def build_lvis(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:
    """Read LVIS's splits: per image some categories are known to be absent, some may be there without a box."""
    counts = Counts()
    wanted = splits or SPLITS
    for number, split in enumerate(wanted, 1):
        path = files.get(f"lvis_{split}", LVIS_ZIPS[split])
        _add(path, f"lvis_v1_{split}.json", split, writer, counts, last=number == len(wanted), lvis=True)
    return counts


def _add(path: Path, member: str, split: str, writer: IndexWriter, counts: Counts, *, last: bool, lvis: bool = False) -> None:
    with without_collection(), mapped(path, member) as content:
        decoded = _sound(_at_once(content) or decode(content.memory, path, counts), counts)
    _refuse_other_kind(decoded, path, lvis=lvis)
    writer.add_classes(_new_classes(decoded.categories, writer, path))
    _add_boxes(decoded.boxes, writer)  # before the images, so that they are ordered and written while those are
    if last:
        writer.end_boxes()
    _add_images(decoded, split, writer)
    if lvis:
        _add_verified(decoded, writer)


def _sound(decoded: _File, counts: Counts) -> _File:
    """Return the file without boxes of images or categories that it does not name, and without an image's second record; all counted."""
    images = {image.id: image for image in reversed(decoded.images)}
    ids, categories = np.fromiter(images, np.int64, len(images)), np.array([category.id for category in decoded.categories], np.int64)
    counts.lose(Reason.DUPLICATE, len(decoded.images) - len(images))
    boxes = [_sound_boxes(part, ids, categories, counts) for part in decoded.boxes]
    return decoded._replace(images=list(reversed(images.values())), boxes=[part for part in boxes if len(part.images)])


def _sound_boxes(boxes: _Boxes, images: npt.NDArray[np.int64], categories: npt.NDArray[np.int64], counts: Counts) -> _Boxes:
    placed, named = np.isin(boxes.images, images), np.isin(boxes.categories, categories)
    counts.seen += len(boxes.images)
    counts.lose(Reason.NO_PICTURE, int(np.count_nonzero(~placed)))
    counts.lose(Reason.BAD_ROW, int(np.count_nonzero(placed & ~named)))
    return boxes if (placed & named).all() else boxes.only(placed & named)


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
    if decoded.images and not decoded.boxes:
        raise InputError("annotations: none at all: the boxes are stripped", where=str(path), do="Fetch it again")


def _at_once(content: Mapped) -> _File | None:
    """Read a file without a Python object for each box; None where anything asks for a second look.

    Where its annotations stand is guessed and then proved: with a record of ours in their place the file says that this is its only
    annotation, and every block of them is a sequence of whole records.
    """
    memory = content.memory
    place = memory.find(_KEY)  # before the pattern, which takes three times as long to get there
    found = _ANNOTATIONS.search(memory, place) if place >= 0 else None
    if not found:
        return None
    head = memory[: found.end()].removeprefix(BOM)
    end = _end_of_annotations(memory, found.end(), head)
    start = _FIRST.match(memory, found.end(), end)  # every record begins as the first one does, where one hand wrote them
    try:
        rest = msgspec.json.decode(b"".join((head, _PLACE, memory[end:])), type=_Document)
        if rest.annotations != [msgspec.json.decode(_PLACE, type=_Annotation)] or not start:
            return None
        parts = in_threads(partial(_plain, content.file, start[1]), _blocks(content.file, start[1], found.end(), end), workers=2, ahead=2)
        return _File(rest.images, list(_in_rows(parts)), rest.categories, rest.licenses or [])
    except (*UNREADABLE, NotPlainError):
        return None


def _in_rows(parts: Iterable[_Boxes]) -> Iterator[_Boxes]:
    """Yield the boxes in parts of ROWS."""
    waiting: list[_Boxes] = []
    for part in parts:
        waiting.append(part)
        if sum(len(one.images) for one in waiting) >= ROWS:
            whole = _joined(waiting)
            yield whole.only(slice(ROWS))
            waiting = [whole.only(slice(ROWS, None))]
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[_Boxes]) -> _Boxes:
    return _Boxes(*map(np.concatenate, zip(*parts, strict=True)))


def _end_of_annotations(memory: mmap.mmap, begin: int, head: bytes) -> int:
    """Guess where the list that begins at a place ends: before the first of the keys that come later, or before the end of the file."""
    place = memory.rfind(b"}")
    edges = head[:TAIL] + head[-TAIL:]
    for key in KEYS:
        later = memory.rfind(key, begin) if key not in edges else -1
        if comma_before(memory, later) >= 0:
            place = min(place, later)
    return max(begin, memory.rfind(b"]", begin, max(begin, place)))


def _blocks(file: int, start: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where each block of whole records begins and ends."""
    while begin < end:
        comma, cut = _last_record(file, start, begin, begin + BLOCK) if end - begin > BLOCK else (end, end)
        yield begin, comma
        begin = cut


def _last_record(file: int, start: bytes, begin: int, end: int) -> tuple[int, int]:
    """Return where the comma before the last record of a stretch stands, and where the record begins; read, since mapped pages count as this process's memory."""
    for size in (min(TAIL, end - begin - 1), end - begin - 1):
        tail = os.pread(file, size, end - size)
        place = tail.rfind(start)
        comma = comma_before(tail, place)
        if comma >= 0:
            return end - size + comma, end - size + place
    raise NotPlainError


def _plain(file: int, start: bytes, block: tuple[int, int]) -> _Boxes:
    content = os.pread(file, block[1] - block[0], block[0])
    return _of_numbers(content) or _of_records(content, start)


def _of_numbers(content: bytes) -> _Boxes | None:
    """Read annotations that differ in nothing but numbers, as most files' do; None where they do not."""
    table = read_alike(content, _NUMBERS)
    if table is None and _COUNTS_KEY in content:  # crowds among the others
        table = read_alike(_MASK.sub(b"[[0]]", content), _NUMBERS)
    if table is None or not _NEEDED.issubset(table.column_names) or _ODD in table.column_names:
        return None
    columns = {name: table.column(name).chunk(0) for name in table.column_names}
    corners = columns["bbox"].flatten().to_numpy().reshape(-1, 4)
    crowds = columns["iscrowd"].to_numpy() != 0 if "iscrowd" in columns else np.zeros(len(table), bool)
    return _Boxes(columns["image_id"].to_numpy(), columns["category_id"].to_numpy(), corners, crowds) if np.isfinite(corners).all() else None


def _of_records(content: bytes, start: bytes) -> _Boxes:
    if any(odd in content for odd in (b'"is_crowd"', b"\\u", b"NaN", b"Inf")):
        raise NotPlainError
    plain = content if b"\\" in content else _COUNTS.sub(b'"counts":0', _POLYGON.sub(b'"segmentation":0', content))
    table = read_elements(plain, start, _SCHEMA)
    images, categories, boxes, crowds = (column.combine_chunks() for column in table.columns)
    corners = boxes.flatten()
    if any(column.null_count for column in (images, categories, boxes, corners)) or not pc.all(pc.equal(pc.list_value_length(boxes), 4)).as_py():
        raise NotPlainError
    if not np.isfinite(corners).all():
        raise NotPlainError
    return _Boxes(images.to_numpy(), categories.to_numpy(), corners.to_numpy().reshape(-1, 4), pc.fill_null(crowds, 0).to_numpy() != 0)


def decode(memory: mmap.mmap, path: Path, counts: Counts) -> _File:
    """Decode strictly; where that fails, record by record, and count those that cannot be read. Raises InputError naming the field of a file of another kind."""
    with memoryview(memory) as content, content[3 if content[:3] == BOM else 0 :] as text:
        try:
            document = msgspec.json.decode(text, type=_Document)
        except UNREADABLE as err:
            patient = _patiently(text, counts, counts.begin(path), err)
            if patient is None:
                raise InputError(f"not a COCO file: {err}", where=str(path), do="Use the publisher's file") from err
            document = patient
    return _File(document.images, [_columns(part) for part in batched(document.annotations, ROWS)], document.categories, document.licenses or [])


def _columns(boxes: list[_Annotation]) -> _Boxes:
    corners = np.fromiter(chain.from_iterable(map(attrgetter("bbox"), boxes)), np.float64, 4 * len(boxes)).reshape(-1, 4)
    images, categories = (np.fromiter(map(attrgetter(name), boxes), np.int64, len(boxes)) for name in ("image_id", "category_id"))
    return _Boxes(images, categories, corners, np.array([is_crowd(box.iscrowd, box.is_crowd) for box in boxes], bool))


def _patiently(content: memoryview, counts: Counts, file: FileCount, failure: Exception) -> _Document | None:
    """Return the records that can be read; None where no image or no annotation can, or something else is odd."""
    try:
        records = msgspec.json.decode(content, type=_Records)
    except UNREADABLE:
        return None
    (images, _), (boxes, bad) = readable(records.images, _Image), readable(records.annotations, _Annotation)
    counts.torn |= {str(one.image_id) for one in readable(bad, _Of)[0]}
    if not images or not boxes:
        return None
    file.rows = len(records.images) + len(records.annotations)
    counts.unreadable(file, file.rows - len(images) - len(boxes), lambda: InputError(str(failure), where=str(file.path)))
    counts.seen += len(records.annotations) - len(boxes)
    return _Document(images, boxes, records.categories, records.licenses)


def _new_classes(categories: list[_Category], writer: IndexWriter, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the classes that are not there yet. Raises InputError where one number stands for two."""
    known = writer.class_names()
    for category in categories:
        number, name = str(category.id), category.name.replace("_", " ")
        other = known.get(number, name)
        if other != name:
            do = "Files whose numbers mean other things are sources of their own"
            raise InputError(f"categories[…]: {number} is {name!r} here, and {other!r} before", where=str(path), do=do)
        if number not in known:
            known[number] = name
            synonyms = [s.replace("_", " ") for s in category.synonyms if s != category.name]
            yield {
                "class_id": number,
                "name": name,
                "synonyms": synonyms + ([category.synset] if category.synset else []),
            }


def _add_images(decoded: _File, split: str, writer: IndexWriter) -> None:
    spdx = {str(licence.id): _terms(licence) for licence in decoded.licenses} or FLICKR
    terms = {number: spdx.get(str(number)) or None for number in {image.license for image in decoded.images} - {None}}
    for part in batched(decoded.images, ROWS):
        ids = pa.array([image.id for image in part]).cast(pa.string())
        addresses = pa.array([image.flickr_url or None for image in part], pa.string())
        pages, photos = _at_flickr(addresses)
        writer.add_images(
            {
                "image_id": ids,
                "split": pa.repeat(split, len(part)),
                "url": [image.coco_url or picture_url(image, split) for image in part],
                "width": _pixels([image.width for image in part]),
                "height": _pixels([image.height for image in part]),
                "license": [terms.get(image.license) for image in part],
                "landing_url": pages,
                "original_url": addresses,
                "flickr_id": photos,
                "coco_id": ids,
            }
        )


def _at_flickr(addresses: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the pages of pictures by their addresses, and the photos' numbers at Flickr; the usual addresses are read by column."""
    photos = pc.struct_field(pc.extract_regex(addresses, _FLICKR), "photo")
    pages = pc.binary_join_element_wise(FLICKR_PAGE, photos, "")
    others = pc.and_(photos.is_null(), addresses.is_valid())
    if not pc.any(others).as_py():
        return pages, photos
    found = [flickr_page(address) for address in addresses.filter(others).to_pylist()]
    numbers = pa.array([flickr_photo(page) for page in found], pa.string())
    return pc.replace_with_mask(pages, others, pa.array(found, pa.string())), pc.replace_with_mask(photos, others, numbers)


def _terms(licence: _License) -> str:
    """Return what an entry says; one that says nothing has the meaning of its number at Flickr, which the publishers' files use."""
    return spdx_of(licence.url) or spdx_of(licence.name) or flickr_terms(licence.id, licence.url, licence.name)


def flickr_terms(number: int | str, *said: str | None) -> str:
    """Return Flickr's licence of a number where what is said beside it does not contradict; else what is said."""
    theirs, words = FLICKR.get(str(number), ""), stated(*said)
    return theirs if not words or theirs.rpartition("-")[0] == words.removeprefix("LicenseRef-") else words


def _pixels(sides: list[int | float | None]) -> pa.Array:
    """Return sides' lengths as whole numbers; null, unknown, for what none can be."""
    numbers = np.array(sides)
    if numbers.dtype == np.int64 and numbers.min() >= 0 and numbers.max() <= LONGEST_SIDE:
        return pa.array(numbers.astype(np.int32))
    return pa.array([int(side) if side is not None and 0 <= side <= LONGEST_SIDE and side == int(side) else None for side in sides], pa.int32())


def picture_url(image: _Image, split: str) -> str:
    """Return a picture's address; where the file gives none, the one that COCO's naming implies."""
    return image.coco_url or f"http://images.cocodataset.org/{split}2017/{image.file_name or f'{image.id:012d}.jpg'}"


def _add_boxes(boxes: list[_Boxes], writer: IndexWriter) -> None:
    for part in boxes:
        categories = pa.array(part.categories).dictionary_encode()
        writer.add_boxes(
            {
                "image_id": pa.array(part.images),
                "class_id": pa.DictionaryArray.from_arrays(categories.indices, categories.dictionary.cast(pa.string())),
                **dict(zip(("x", "y", "w", "h"), map(pa.array, part.corners.T), strict=True)),
                "iscrowd": pa.array(part.crowds),
            }
        )


def is_crowd(iscrowd: int | bool | None, other: int | bool | list[int] | None, attributes: dict[str, Any] | None = None) -> bool:
    """Return whether a box is a crowd, in COCO's spelling or in those of others: `is_crowd: [0]`, `attributes: {is_crowd: true}`."""
    listed = any(other) if isinstance(other, list) else bool(other)
    return bool(iscrowd) or listed or bool((attributes or {}).get("is_crowd") or (attributes or {}).get("iscrowd"))


def _add_verified(decoded: _File, writer: IndexWriter) -> None:
    incomplete = {(image.id, category) for image in decoded.images for category in image.not_exhaustive_category_ids or ()}
    pairs = chain.from_iterable(zip(part.images.tolist(), part.categories.tolist(), strict=True) for part in decoded.boxes)
    present = set(pairs) | incomplete
    absent = {(image.id, category) for image in decoded.images for category in image.neg_category_ids or ()} - present
    rows = [(image, category, True, (image, category) not in incomplete) for image, category in sorted(present)]
    rows += [(image, category, False, False) for image, category in sorted(absent)]
    for part in batched(rows, ROWS):
        images, categories, is_present, exhaustive = zip(*part, strict=True)
        writer.add_verified(
            {"image_id": [str(i) for i in images], "class_id": [str(c) for c in categories], "present": is_present, "exhaustive": exhaustive}
        )

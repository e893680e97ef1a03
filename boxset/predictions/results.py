"""A detector's results as COCO's evaluation takes them: a list of `{image_id, category_id, bbox: [x, y, width, height], score}`; checked record by record.

The file is read in pieces and never held whole. A piece as detectors write it is decoded at once; where anything is odd, its records are looked at
one by one, and the first that is wrong is named by file, number (from 1) and field.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, BinaryIO, cast

import msgspec
import numpy as np

from boxset.dataset.predictions import Floats, Predictions, Truth, Whole
from boxset.errors import InputError, did_you_mean
from boxset.labeling.received import TOLERANCE_PX, TOLERANCE_SHARE
from boxset.predictions.images import Images
from boxset.sources.raw import refuse_foreign

PIECE = 1 << 22
LONGEST = 1 << 26  # bytes of a record, at the most
BLANKS = b" \t\r\n"
GREATEST = (1 << 62) - 1  # number that anything may have
_CUT = re.compile(rb"\}\s*,\s*(?=\{)")
GZIP = b"\x1f\x8b"
RESULTS = "Results are a list of {image_id, category_id, bbox: [x, y, width, height], score}"
FEW = 20  # records or labels below which nothing is concluded from what all of them have
EDGE_SHARE = 0.01  # of a file's records that may have no area: what a detector clips at the picture's edge
ROUNDING = 1e-6  # by which a score may be above 1, as sums of 32 bits are


Number = Annotated[int, msgspec.Meta(ge=-GREATEST, le=GREATEST)]


class Record(msgspec.Struct, gc=False):
    """One prediction; other fields are passed over. A `category_name` goes before the number, which may be of another list (SAHI writes both)."""

    image_id: Number | str
    category_id: Number
    bbox: tuple[float, float, float, float]
    score: float
    category_name: str = ""


@dataclass(frozen=True)
class Piece:
    """Records in columns; `numbers` count from 1 in their file."""

    numbers: Whole
    pictures: Whole
    categories: Whole
    boxes: Floats  # left, top, width, height
    scores: Floats

    def only(self, which: Truth) -> "Piece":
        """Return some of them."""
        return Piece(self.numbers[which], self.pictures[which], self.categories[which], self.boxes[which], self.scores[which])


@dataclass(frozen=True)
class Taken:
    """What came in, how many predictions are under the least score, and how many have no area inside their picture."""

    predictions: Predictions
    weak: int
    flat: int


def read_results(paths: Sequence[Path], images: Images, *, least: float, partial: bool = False) -> Taken:
    """Read results, one file or more, that were made of the pictures of `images`.

    `least`: predictions of a lower score are left out. `partial`: pictures without a prediction were not looked at; otherwise nothing was seen there.
    Raises InputError for the first record that is wrong, named by file, number and field.
    """
    pieces: list[Piece] = []
    first_in: dict[int, Path] = {}
    weak = flat = 0
    for path in paths:
        own, seen = list[Piece](), set[int]()
        for piece, has_area in _pieces(path, images):
            seen.update(piece.pictures.tolist())
            flat += int((~has_area).sum())
            own.append(piece.only(has_area & (piece.scores >= least)))
            weak += int((has_area & (piece.scores < least)).sum())
        _check_own_pictures(seen, first_in, path, images)
        whole = _joined(own)
        _check_scores(whole, path)
        pieces.append(whole)
    looked = np.array(sorted(first_in), np.int64) if partial else np.arange(len(images.pictures))
    whole = _joined(pieces)
    where, order = _order(whole, looked, images)
    _check_once(whole, order, first_in)
    return Taken(_by_picture(whole, where, order, sorted(images.pictures[place].sha256 for place in looked.tolist())), weak, flat)


def _joined(pieces: Sequence[Piece]) -> Piece:
    return Piece(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("numbers", "pictures", "categories", "boxes", "scores")))


def _order(found: Piece, looked: Whole, images: Images) -> tuple[Whole, Whole]:
    """Return the place of each record's picture among those looked at, by hash, and the order of the records: by picture, the surest first."""
    hashes = np.array([images.pictures[place].sha256 for place in looked.tolist()])
    rank = np.zeros(len(images.pictures), np.int64)
    rank[looked[np.argsort(hashes)]] = np.arange(len(looked))
    where = rank[found.pictures]
    order = np.lexsort((-found.scores, where))
    ties = (where[order[1:]] == where[order[:-1]]) & (found.scores[order[1:]] == found.scores[order[:-1]])
    tied = np.concatenate([ties, [False]]) | np.concatenate([[False], ties])
    some = order[tied]
    order[tied] = some[np.lexsort((found.numbers[some], *found.boxes[some].T[::-1], found.categories[some], -found.scores[some], where[some]))]
    return where, order


def _by_picture(found: Piece, where: Whole, order: Whole, pictures: Sequence[str]) -> Predictions:
    starts = np.concatenate([[0], np.cumsum(np.bincount(where, minlength=len(pictures)))]).astype(np.int64)
    columns = (found.categories[order], found.boxes[order], found.scores[order])
    return Predictions(tuple(pictures), starts, *columns, ("",), np.zeros(len(pictures), np.int64))


def _check_own_pictures(seen: set[int], first_in: dict[int, Path], path: Path, images: Images) -> None:
    """Raise InputError where two files have predictions of one picture."""
    for place in sorted(seen):
        if place in first_in:
            what = f"image_id: {first_in[place]} has predictions of {images.pictures[place].file_name} as well"
            raise InputError(what, where=str(path), do="A picture has one model's predictions: give the other file a name of its own (--name)")
        first_in[place] = path


def _check_scores(found: Piece, path: Path) -> None:
    scores = found.scores
    if len(scores) >= FEW and scores.min() == scores.max():
        what = f"score: all {len(scores):,} are {scores[0]:g}: a data set's own boxes, not what a detector is sure of"
        raise InputError(what, where=str(path), do=RESULTS)


def _check_once(found: Piece, order: Whole, first_in: dict[int, Path]) -> None:
    """Raise InputError where a record stands twice; `order` puts such records side by side."""
    before, after = order[:-1], order[1:]
    same = (found.pictures[before] == found.pictures[after]) & (found.scores[before] == found.scores[after]) & (found.categories[before] == found.categories[after])
    same[same] = (found.boxes[before[same]] == found.boxes[after[same]]).all(axis=1)
    if same.any():
        position = int(np.flatnonzero(same)[np.argmin(found.numbers[after[same]])])
        first, second = found.numbers[order[position : position + 2]].tolist()
        where = str(first_in[int(found.pictures[order[position]])])
        raise InputError(f"record {second:,}: the same as record {first:,}", where=where, do="Were two files put together that overlap?")


def _pieces(path: Path, images: Images) -> Iterator[tuple[Piece, Truth]]:
    """Yield the records in pieces, and which of them have an area. Raises InputError where more than EDGE_SHARE have none."""
    number = flat = 0
    fault: InputError | None = None
    with _opened(path) as stream:
        for some in _records(stream, path):
            records = [one if isinstance(one, Record) else _as_record(one, number + place, path) for place, one in enumerate(some, 1)]
            piece, has_area = _checked(records, number, path, images)
            if fault is None and not has_area.all():
                fault = _wrong(records, int(np.argmin(has_area)), number, path, images)
            yield piece, has_area
            number, flat = number + len(records), flat + int((~has_area).sum())
    if fault and flat > EDGE_SHARE * number:
        raise fault
    if not number:
        raise InputError("an empty list: no prediction at all", where=str(path), do="Lower the detector's own threshold")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, packed by gzip or not. Raises InputError where it cannot be read or is plainly something else."""
    try:
        with path.open("rb") as plain:
            head = plain.read(512)
            plain.seek(0)
            packed = head.startswith(GZIP)
            if not packed:
                refuse_foreign(head, path)
            if packed:
                with gzip.GzipFile(fileobj=plain) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield plain
    except FileNotFoundError as err:
        raise InputError("it is not there", where=str(path), do=f"Name the file that the detector wrote. {RESULTS}") from err
    except (OSError, EOFError, zlib.error) as err:
        raise InputError(f"cannot read: {getattr(err, 'strerror', None) or err}", where=str(path)) from err


def _records(stream: BinaryIO, path: Path) -> Iterator[list[Any]]:
    """Yield the records of the list, in pieces: as Record, or as plain values where one of them is odd."""
    decoder = msgspec.json.Decoder(list[Record])
    rest, number = _after_bracket(stream, path), 0
    while True:
        more = stream.read(PIECE)
        rest += more
        cut = _last_cut(rest) if more else -1
        found: list[Any] = []
        if cut > 0:
            try:
                found, rest = decoder.decode(b"[" + rest[:cut] + b"]"), rest[cut:].lstrip(BLANKS)[1:]
            except (msgspec.MsgspecError, UnicodeDecodeError):
                found, rest = _one_by_one(rest, path, number, is_all=False)
        elif not more:
            found, rest = _the_last(rest, decoder, path, number)
        if found:
            yield found
        number += len(found)
        if not more:
            return
        if len(rest) > LONGEST:
            raise InputError(f"record {number + 1:,}: longer than any record is", where=str(path), do=RESULTS)


def _last_cut(rest: bytes) -> int:
    """Return where the last record ends that another one follows, or -1."""
    end = len(rest)
    while (brace := rest.rfind(b"}", 0, end)) >= 0:
        if _CUT.match(rest, brace):
            return brace + 1
        end = brace
        if len(rest) - end > LONGEST:
            break
    return -1


def _the_last(rest: bytes, decoder: "msgspec.json.Decoder[list[Record]]", path: Path, number: int) -> tuple[list[Any], bytes]:
    try:
        return list(decoder.decode(b"[" + rest)), b""
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _one_by_one(rest, path, number, is_all=True)


def _one_by_one(rest: bytes, path: Path, number: int, *, is_all: bool) -> tuple[list[Any], bytes]:
    """Return as many records as can be read, and what is left. Raises InputError for what is no JSON; at the end, for what is cut off."""
    try:
        text = rest.decode("utf-8")
    except UnicodeDecodeError as err:
        if is_all or err.start < len(rest) - 4:
            raise InputError(f"record {number + rest[: err.start].count(b'image_id'):,}: not UTF-8", where=str(path)) from err
        text = rest[: err.start].decode("utf-8")
    decoder, place, found = json.JSONDecoder(), 0, list[Any]()
    end = _skipped(text, place)
    while end < len(text) and text[end] != "]":
        try:
            value, end = decoder.raw_decode(text, end)
        except (ValueError, RecursionError) as err:
            if is_all or len(text) - end > LONGEST or _is_wrong(err, end, len(text)):
                raise _no_json(text, end, err, path, number + len(found) + 1, is_all=is_all) from err
            break
        found.append(value)
        end = place = _skipped(text, end)
        if end < len(text) and text[end] == ",":
            end = place = _skipped(text, end + 1)
        elif end < len(text) and text[end] != "]":
            raise InputError(f"record {number + len(found):,}: {text[end]!r} follows it, not a comma", where=str(path), do=RESULTS)
    if is_all:
        _check_end(text, end, path, number + len(found))
        return found, b""
    return found, text[place:].encode()


def _is_wrong(err: Exception, start: int, length: int) -> bool:
    """Return whether what cannot be read is wrong, and not cut off where the piece ends. A string without end is named by where it begins."""
    return not str(err).startswith("Unterminated string") and getattr(err, "pos", start) < length - 64


def _skipped(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _no_json(text: str, place: int, err: Exception, path: Path, number: int, *, is_all: bool) -> InputError:
    if is_all and getattr(err, "pos", 0) >= len(text.rstrip()) - 1:
        return InputError(f"record {number:,}: the file ends in the middle of it", where=str(path), do="It was cut off: copy it, or run the detector, again")
    said = text[place : place + 40]
    what = err.msg if isinstance(err, json.JSONDecodeError) else "nested too deeply" if isinstance(err, RecursionError) else "a number without end"
    return InputError(f"record {number:,}: no JSON: {what}, in {said!r}…", where=str(path), do=RESULTS)


def _check_end(text: str, end: int, path: Path, number: int) -> None:
    if end >= len(text):
        raise InputError(f"the list does not end after record {number:,}", where=str(path), do="It was cut off: copy it, or run the detector, again")
    if text[end + 1 :].strip():
        raise InputError(f"after the list, which ends with record {number:,}, stands {text[end + 1 :].strip()[:40]!r}", where=str(path), do=RESULTS)


def _after_bracket(stream: BinaryIO, path: Path) -> bytes:
    """Return what was read of the list's content. Raises InputError where the file is no list."""
    start = stream.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip(BLANKS)
    if start.startswith(b"["):
        return start[1:]
    if start.startswith(b"{") and any(key in start for key in (b'"images"', b'"annotations"', b'"categories"', b'"info"')):
        raise InputError("a COCO data set, not a detector's results", where=str(path), do=RESULTS)
    if start.startswith(b"{"):
        raise InputError("an object, not a list", where=str(path), do=RESULTS)
    raise InputError(f"no JSON list: it begins with {start[:20]!r}", where=str(path), do=RESULTS)


def _checked(records: list[Record], before: int, path: Path, images: Images) -> tuple[Piece, Truth]:
    """Return records in columns, and which of them have an area inside their picture. Raises InputError for the first that is wrong."""
    unknown = -1
    pictures = np.fromiter((images.places.get(r.image_id, unknown) for r in records), np.int64, len(records))
    named, numbers = images.named, images.numbers
    ids = np.fromiter((named.get(r.category_name, unknown) if r.category_name else numbers.get(r.category_id, unknown) for r in records), np.int64, len(records))
    boxes = np.array([r.bbox for r in records], np.float64).reshape(-1, 4)
    scores = np.fromiter((r.score for r in records), np.float64, len(records))
    sizes = images.sizes
    slack = np.maximum(TOLERANCE_PX, sizes * TOLERANCE_SHARE)[pictures]
    with np.errstate(over="ignore", invalid="ignore"):
        ends = boxes[:, :2] + boxes[:, 2:]
    inside = (boxes[:, :2] >= -slack).all(axis=1) & (ends <= sizes[pictures] + slack).all(axis=1)
    low, high = np.maximum(boxes[:, :2], 0), np.minimum(ends, sizes[pictures])
    has_area = (high[:, 0] > low[:, 0]) & (high[:, 1] > low[:, 1])
    good = (pictures >= 0) & (ids >= 0) & np.isfinite(boxes).all(axis=1) & (scores >= 0) & (scores <= 1 + ROUNDING) & (boxes[:, 2:] >= 0).all(axis=1) & inside
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise _wrong(records, first, before, path, images)
    if len(records) >= FEW and (boxes <= 1.5).all():
        raise InputError(f"record {before + 1:,}: bbox: all numbers are shares of the picture", where=str(path), do="Results are in pixels: [x, y, width, height]")
    return Piece(np.arange(before + 1, before + len(records) + 1), pictures, ids, np.column_stack([low, high - low]), np.clip(scores, 0, 1) + 0.0), has_area


def _as_record(raw: Any, number: int, path: Path) -> Record:
    """Return a plain value as a record. Raises InputError naming the field."""
    where = f"{path}: record {number:,}"
    if not isinstance(raw, dict):
        raise InputError(f"not an object: {str(raw)[:40]}", where=where, do=RESULTS)
    if "score" not in raw:
        truth = "; these are a data set's annotations, not results" if {"area", "iscrowd"} & raw.keys() else did_you_mean("score", raw)
        raise InputError(f"score: missing{truth}", where=where, do=RESULTS)
    for field in ("image_id", "category_id", "bbox"):
        if field not in raw:
            raise InputError(f"{field}: missing{did_you_mean(field, raw)}", where=where, do=RESULTS)
    if isinstance(raw["category_id"], bool) or not _is_whole(raw["category_id"]):
        raise InputError(f"category_id: {_said(raw['category_id'])} is no whole number", where=where, do=RESULTS)
    if isinstance(raw["image_id"], bool) or not (isinstance(raw["image_id"], str) or _is_whole(raw["image_id"])):
        raise InputError(f"image_id: {_said(raw['image_id'])} is neither a whole number nor a file's name", where=where, do=RESULTS)
    if not isinstance(raw["bbox"], list) or len(raw["bbox"]) != 4 or not all(map(_is_number, raw["bbox"])):
        raise InputError(f"bbox: {_said(raw['bbox'])} is not four numbers", where=where, do=RESULTS)
    if not _is_number(raw["score"]):
        raise InputError(f"score: {_said(raw['score'])} is no number", where=where, do=RESULTS)
    name = raw.get("category_name") or ""
    if not isinstance(name, str):
        raise InputError(f"category_name: {_said(name)} is no name", where=where, do=RESULTS)
    image_id = raw["image_id"] if isinstance(raw["image_id"], str) else int(raw["image_id"])
    x, y, w, h = map(float, raw["bbox"])
    return Record(image_id, int(raw["category_id"]), (x, y, w, h), float(raw["score"]), name)


def _said(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:60]


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) <= GREATEST)


def _is_whole(value: Any) -> bool:
    return (isinstance(value, int) or (isinstance(value, float) and value.is_integer())) and abs(value) <= GREATEST


def _wrong(records: Sequence[Record], place: int, before: int, path: Path, images: Images) -> InputError:
    """Return what is wrong with a record."""
    one, where = records[place], f"{path}: record {before + place + 1:,}"
    if one.image_id not in images.places:
        some = ", ".join(str(image.id) for image in images.pictures[:3])
        do = f"Name the file that the detector was run on: --images ({images.path} has the ids {some}, …)"
        return InputError(f"image_id: {images.path} has no picture {_said(one.image_id)}", where=where, do=do)
    if one.category_name and one.category_name not in images.named:
        do = f"Leave out what this project has no category for; {images.path} has the names"
        return InputError(f"category_name: {_said(one.category_name)} is none of {', '.join(images.named)}{did_you_mean(one.category_name, images.named)}", where=where, do=do)
    if not one.category_name and one.category_id not in images.numbers:
        return _unknown_category(one.category_id, where, images)
    if not isfinite(one.score) or not 0 <= one.score <= 1:
        percent = "; is it in percent?" if isfinite(one.score) and 1 < one.score <= 100 else ""
        return InputError(f"score: {one.score:g} does not lie within 0 to 1{percent}", where=where)
    return _wrong_box(records, place, where, images)


def _unknown_category(number: int, where: str, images: Images) -> InputError:
    known = ", ".join(f"{one} {images.categories[i]}" for one, i in sorted(images.numbers.items())[:12])
    hint = "YOLO counts classes in the order of the ids: --yolo-from 0, or 1. " if number == 0 else ""
    own = "a detector with a list of its own, such as COCO's 1 to 90, can give each record a category_name"
    return InputError(f"category_id: {number} is none of {known}", where=where, do=f"{hint}{images.path} and data/dataset/annotations have the ids; {own}")


def _wrong_box(records: Sequence[Record], place: int, where: str, images: Images) -> InputError:
    one = records[place]
    image = images.pictures[images.places[one.image_id]]
    names = ("x", "y", "width", "height")
    for name, value in zip(names, one.bbox, strict=True):
        if not isfinite(value):
            return InputError(f"bbox: {name}: {value:g} is no number", where=where)
    for name, value in zip(names[2:], one.bbox[2:], strict=True):
        if value <= 0:
            return InputError(f"bbox: {name}: {value:g} is not more than 0", where=where, do=RESULTS)
    x, y, w, h = one.bbox
    numbers = f"[{x:g}, {y:g}, {w:g}, {h:g}]"
    what = f"bbox: {numbers} lies outside the picture of {image.width} x {image.height}"
    corners = all(r.bbox[2] > r.bbox[0] and r.bbox[3] > r.bbox[1] for r in records)
    do = "These look like two corners: results have [x, y, width, height]" if corners else f"Was the detector run on {image.file_name} at this size?"
    return InputError(what, where=where, do=do)

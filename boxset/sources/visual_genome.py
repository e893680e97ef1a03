"""Visual Genome: objects with names and synsets per image, in pixels; nobody claims that an image's objects are all there.

Format: objects.json (v1.4, v1.2), image_data.json, object_alias.txt. A class here is what the file says of an object, its names and
synsets together; a term finds all classes that have it. The objects file is read in blocks, side by side: its memory does not grow with
its size. A block that is not written as the publisher writes is read again with patience.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from boxset.errors import InputError
from boxset.sources.coco import LONGEST_SIDE, Whole
from boxset.sources.counts import Counts, FileCount
from boxset.sources.json_lines import UNREADABLE, NotPlainError, comma_before, read_elements
from boxset.sources.raw import RawFiles, opened
from boxset.sources.tables import IndexWriter
from boxset.work import batched, in_threads, without_collection

BASE = "https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset"
OBJECTS = ("objects", f"{BASE}/objects.json.zip")
IMAGES = ("images", f"{BASE}/image_data.json.zip")
ALIASES = ("aliases", f"{BASE}/object_alias.txt")
BLOCK = 1 << 20  # bytes
_FIRST_KEY = re.compile(rb"\{\s*\"(\w+)\"")
_BETWEEN = re.compile(r"[\s,]*")
_SEPARATOR = "\x1f"
_TEXTS = pa.list_(pa.string())
_OBJECT = pa.struct([(name, pa.float64()) for name in "xywh"] + [("names", _TEXTS), ("synsets", _TEXTS)])
_SCHEMA = pa.schema([("image_id", pa.int64()), ("id", pa.int64()), ("objects", pa.list_(_OBJECT))])
T = TypeVar("T")


class _Object(msgspec.Struct, gc=False):
    x: float
    y: float
    w: float
    h: float
    names: list[str] = []
    synsets: list[str] = []


class _ImageObjects(msgspec.Struct, gc=False):
    objects: list[_Object]
    image_id: Whole | None = None
    id: Whole | None = None


class _Image(msgspec.Struct, gc=False):
    width: int
    height: int
    image_id: Whole | None = None
    id: Whole | None = None
    url: str | None = ""
    coco_id: int | None = None
    flickr_id: int | None = None


def build(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:  # noqa: ARG001 - it has no splits
    """Read objects, images and aliases; return objects seen and left out by reason."""
    aliases = _aliases(files.get(*ALIASES)) if files.has(*ALIASES) else {}
    spellings = _Spellings(writer)
    counts = Counts()
    image_ids: list[npt.NDArray[np.int64]] = []
    with without_collection():
        for images, things, bad in _objects(files.get(*OBJECTS), counts):
            image_ids.append(images)
            counts.seen += _add_boxes(things, spellings, writer) + bad
    writer.add_classes(spellings.classes(aliases))
    _add_images(files, writer, image_ids, counts)
    return counts


class _Block(NamedTuple):
    """Some elements of a JSON array, without its brackets; `start` is how each of them begins, empty where that does not tell them apart."""

    number: int
    content: bytes
    start: bytes


class _Things(NamedTuple):
    """Objects by column: their image, what they are called, and their corners."""

    image_id: pa.Array
    words: pa.Array
    corners: dict[str, pa.Array]


def _objects(path: Path, counts: Counts) -> Iterator[tuple[npt.NDArray[np.int64], _Things, int]]:
    """Yield images, their objects, and how many objects among them cannot be read, block by block; these are counted."""
    file = counts.begin(path)
    with opened(path, "objects.json") as stream:
        for block, plain in in_threads(lambda block: (block, _plain(block)), _blocks(stream, path), workers=2, ahead=1):
            if plain is not None:
                file.rows += len(plain[1].words)
                yield *plain, 0
            else:
                found, bad = _read(block, _ImageObjects, "objects.json", counts, file)
                ids = np.array([_id(image) for image in found], np.int64)
                yield ids, _things(ids, found), bad


def _plain(block: _Block) -> tuple[npt.NDArray[np.int64], _Things] | None:
    """Read a block without a Python object for each of its; None where anything in it asks for a second look."""
    if not block.start or not block.content.isascii() or b"\\u" in block.content:
        return None
    try:
        table = read_elements(block.content, block.start, _SCHEMA)
    except NotPlainError:
        return None
    ids, objects = (column.combine_chunks() for column in (pc.coalesce(table.column("image_id"), table.column("id")), table.column("objects")))
    things = objects.flatten()
    fields = dict(zip((field.name for field in _OBJECT), things.flatten(), strict=True))
    corners = {name: fields[name] for name in "xywh"}
    lists = (fields["names"], fields["synsets"])
    columns = (ids, objects, things, *corners.values(), *lists, *(texts.flatten() for texts in lists))
    if any(column.null_count for column in columns) or not all(np.isfinite(column).all() for column in corners.values()):
        return None
    words = pc.binary_join_element_wise(*(pc.binary_join(texts, "|") for texts in lists), _SEPARATOR)
    image_ids = pa.array(np.repeat(ids.to_numpy(), pc.list_value_length(objects).to_numpy())).cast(pa.string())
    return ids.to_numpy().copy(), _Things(image_ids, words.dictionary_encode(), corners)


def streamed(path: Path, member: str, as_type: type[T], counts: Counts) -> Iterator[list[T]]:
    """Yield a JSON array's elements some at a time; records among them that cannot be read are counted.

    Raises InputError naming the field where a whole block is of another format.
    """
    file = counts.begin(path)
    with opened(path, member) as stream:
        for block in _blocks(stream, path):
            yield _read(block, as_type, member, counts, file)[0]


def _read(block: _Block, as_type: type[T], member: str, counts: Counts, file: FileCount) -> tuple[list[T], int]:
    """Return a block's elements and how many records among them cannot be read, which are counted."""
    content = b"".join((b"[", block.content, b"]"))
    where, do = f"{file.path}, block {block.number}", f"Use {member} of version 1.4 or 1.2"
    try:
        found, bad = _with_ids(msgspec.json.decode(content, type=list[as_type]))  # type: ignore[valid-type]
    except UNREADABLE as err:
        found, bad = _patiently(content, as_type)
        why = InputError(f"not Visual Genome's {member}: {err}", where=where, do=do)
        if not found and file.rows == file.bad:  # nothing before it either
            raise why from err
    else:
        why = InputError("an image without image_id", where=where, do=do)
        if bad and not found and file.rows == file.bad:
            raise why
    counts.unreadable(file, bad, partial(_itself, why))
    file.rows += bad + sum(map(_records, found))
    return found, bad


def _with_ids(found: list[T]) -> tuple[list[T], int]:
    named = [one for one in found if _number(one) is not None]
    return (found, 0) if len(named) == len(found) else (named, sum(_records(one) for one in found if _number(one) is None))


def _number(one: Any) -> int | None:
    number: int | None = one.image_id if one.image_id is not None else one.id
    return number


def _records(one: object) -> int:
    return len(one.objects) if isinstance(one, _ImageObjects) else 1


def _itself(err: InputError) -> InputError:
    return err


class _Records(msgspec.Struct):
    """An image with objects that are not looked into yet."""

    objects: list[msgspec.Raw]
    image_id: Whole | None = None
    id: Whole | None = None


def _patiently(block: bytes, as_type: type[T]) -> tuple[list[T], int]:
    """Return the records of a block that can be read, and how many cannot: of objects each, of images that are odd themselves one."""
    try:
        records = msgspec.json.decode(block, type=list[msgspec.Raw])
    except UNREADABLE:
        return [], 0
    found, bad = [], 0
    for record in records:
        image, lost = _one(record, as_type)
        bad += lost
        found += [image] if image is not None else []
    named, nameless = _with_ids(found)
    return named, bad + nameless


def _one(record: msgspec.Raw, as_type: type[T]) -> tuple[T | None, int]:
    try:
        return msgspec.json.decode(record, type=as_type), 0
    except UNREADABLE:
        if as_type is not _ImageObjects:
            return None, 1
    return _image_of(record)  # type: ignore[return-value]


def _image_of(record: msgspec.Raw) -> tuple[_ImageObjects | None, int]:
    """Return an image with those of its objects that can be read, and how many cannot."""
    try:
        image = msgspec.json.decode(record, type=_Records)
    except UNREADABLE:
        return None, 1
    things = []
    for raw in image.objects:
        with suppress(*UNREADABLE):
            things.append(msgspec.json.decode(raw, type=_Object))
    if image.objects and not things:
        return None, len(image.objects)
    return _ImageObjects(objects=things, image_id=image.image_id, id=image.id), len(image.objects) - len(things)


class _Spellings(dict[str, int]):
    """What people wrote of objects, as names, a unit separator and synsets, each list joined by |, and the number of its class."""

    def __init__(self, writer: IndexWriter) -> None:
        super().__init__()
        self._writer = writer

    def __missing__(self, word: str) -> int:
        self[word] = number = self._writer.class_number(word.replace(_SEPARATOR, "|").strip("|"))
        return number

    def classes(self, aliases: dict[str, set[str]]) -> Iterator[dict[str, Any]]:
        """Yield a class for each different class id."""
        for number, word in sorted({number: word for word, number in self.items()}.items()):
            names, synsets = (joined.split("|") if joined else [] for joined in word.split(_SEPARATOR, 1))
            first, *others = [name.strip().lower() for name in names] or [""]
            said = {*others, *synsets}
            synonyms = sorted(said.union(*(aliases.get(name, ()) for name in (first, *said))))
            yield {"class_id": self._writer.class_id(number), "name": first, "synonyms": synonyms}


def _things(image_ids: npt.NDArray[np.int64], images: list[_ImageObjects]) -> _Things:
    things = [thing for image in images for thing in image.objects]
    ids = np.repeat(image_ids, [len(image.objects) for image in images])
    words = pa.array([f"{'|'.join(thing.names)}{_SEPARATOR}{'|'.join(thing.synsets)}" for thing in things], pa.string())
    corners = {name: pa.array(np.fromiter(map(attrgetter(name), things), np.float64, len(things))) for name in "xywh"}
    return _Things(pa.array(ids).cast(pa.string()), words.dictionary_encode(), corners)


def _add_boxes(things: _Things, spellings: _Spellings, writer: IndexWriter) -> int:
    if not len(things.words):
        return 0
    numbers = np.array([spellings[word] for word in things.words.dictionary.to_pylist()], np.int32)
    return writer.add_boxes({"image_id": things.image_id, "class_id": numbers[things.words.indices.to_numpy()], **things.corners})


def _blocks(stream: IO[bytes], path: Path) -> Iterator[_Block]:
    """Cut a JSON array of objects between its elements."""
    left = stream.read(BLOCK).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not left.startswith(b"["):
        raise InputError("not a JSON array of images", where=f"{path}:1", do="Use objects.json of version 1.4 or 1.2")
    left = left[1:]
    first = _FIRST_KEY.match(left.lstrip())
    start = first[0] if first else b"{"  # every image begins as the first one does; where it does not, the piece grows
    inner = re.search(rb"\[\s*" + re.escape(start), left)  # its objects begin in the same way: only a parser knows where an image ends
    number, alike = 1, b"" if inner else start
    while chunk := stream.read(BLOCK):
        left += chunk
        last = _end_of_elements(left) if inner else left.rfind(start, 1)
        comma = comma_before(left, last)
        if comma >= 0:
            yield _Block(number, left[:comma], alike)
            number, left = number + 1, left[last:]
    if not left.rstrip().endswith(b"]"):
        raise InputError("it breaks off: the array is not closed", where=str(path), do="Fetch it again")
    yield _Block(number, left.rstrip()[:-1], alike)


def _end_of_elements(content: bytes) -> int:
    """Return where the last element begins that may not be whole, by reading those before it."""
    text, read, end = content.decode("latin-1"), json.JSONDecoder(strict=False).raw_decode, 0  # a byte is a letter: places are the same
    with suppress(ValueError):
        while True:
            begin = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]
            end = read(text, begin)[1]
            last = _BETWEEN.match(text, end)
            if last is None or "," not in last[0]:
                return begin
    return begin


def _id(image: _ImageObjects | _Image) -> int:
    number = _number(image)
    assert number is not None  # `streamed` leaves the others out
    return number


def _add_images(files: RawFiles, writer: IndexWriter, image_ids: list[npt.NDArray[np.int64]], counts: Counts) -> None:
    if files.has(*IMAGES):
        for images in streamed(files.get(*IMAGES), "image_data.json", _Image, counts):
            writer.add_images(_image_columns(images))
        if not writer.images:
            raise InputError("no image at all", where=str(files.get(*IMAGES)), do="Use image_data.json of version 1.4 or 1.2")
    else:
        for ids in batched(np.unique(np.concatenate(image_ids)).tolist() if image_ids else (), 1 << 13):
            writer.add_images({"image_id": [str(number) for number in ids]})


def _image_columns(images: list[_Image]) -> dict[str, list[Any]]:
    return {
        "image_id": [str(_id(image)) for image in images],
        "url": [image.url or "" for image in images],
        "width": [image.width if image.width <= LONGEST_SIDE else None for image in images],
        "height": [image.height if image.height <= LONGEST_SIDE else None for image in images],
        "flickr_id": [str(image.flickr_id) if image.flickr_id else None for image in images],
        "coco_id": [str(image.coco_id) if image.coco_id else None for image in images],
    }


def _aliases(path: Path) -> dict[str, set[str]]:
    """Return name → its other names; each line lists names of one thing."""
    with opened(path, ".txt") as stream:
        lines = stream.read().decode("utf-8", "replace").splitlines()
    found: dict[str, set[str]] = {}
    for line in lines:
        names = {name.strip().lower() for name in line.split(",") if name.strip()}
        for name in names:
            found.setdefault(name, set()).update(names - {name})
    return found

"""Visual Genome: objects with names and synsets per image, in pixels; nobody claims that an image's objects are all there.

Format: objects.json (v1.4, v1.2), image_data.json, object_alias.txt. A class here is what the file says of an object, its names and
synsets together; a term finds all classes that have it. The objects file is read in blocks: its memory does not grow with its size.
"""

import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from boxset.errors import InputError
from boxset.sources.raw import RawFiles, opened
from boxset.sources.tables import IndexWriter
from boxset.work import batched, without_collection

BASE = "https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset"
OBJECTS = ("objects", f"{BASE}/objects.json.zip")
IMAGES = ("images", f"{BASE}/image_data.json.zip")
ALIASES = ("aliases", f"{BASE}/object_alias.txt")
BLOCK = 1 << 19  # bytes; the objects of a block stay in the processor's cache
_FIRST_KEY = re.compile(rb"\{\s*\"(\w+)\"")
_SEPARATOR = "\x1f"
Counts = dict[str, int]
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
    image_id: int | None = None
    id: int | None = None


class _Image(msgspec.Struct, gc=False):
    width: int
    height: int
    image_id: int | None = None
    id: int | None = None
    url: str = ""
    coco_id: int | None = None
    flickr_id: int | None = None


def build(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:  # noqa: ARG001 - it has no splits
    """Read objects, images and aliases; return objects seen and left out by reason."""
    aliases = _aliases(files.get(*ALIASES)) if files.has(*ALIASES) else {}
    spellings = _Spellings(writer)
    counts: Counts = {"seen": 0}
    image_ids: set[int] = set()
    with without_collection():
        for images in streamed(files.get(*OBJECTS), "objects.json", _ImageObjects):
            image_ids.update(map(_id, images))
            counts["seen"] += _add_boxes(images, spellings, writer)
    writer.add_classes(spellings.classes(aliases))
    _add_images(files, writer, image_ids)
    return counts


def streamed(path: Path, member: str, as_type: type[T]) -> Iterator[list[T]]:
    """Yield a JSON array's elements some at a time. Raises InputError naming the field where it is another format."""
    decoder = msgspec.json.Decoder(list[as_type])  # type: ignore[valid-type]
    with opened(path, member) as stream:
        for number, block in enumerate(_blocks(stream, path), 1):
            try:
                yield decoder.decode(block)
            except msgspec.MsgspecError as err:
                do = f"Use {member} of version 1.4 or 1.2"
                raise InputError(f"not Visual Genome's {member}: {err}", where=f"{path}, block {number}", do=do) from err


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


def _add_boxes(images: list[_ImageObjects], spellings: _Spellings, writer: IndexWriter) -> int:
    things = [thing for image in images for thing in image.objects]
    if not things:
        return 0
    ids = np.repeat([_id(image) for image in images], [len(image.objects) for image in images])
    numbers = [spellings[f"{'|'.join(thing.names)}{_SEPARATOR}{'|'.join(thing.synsets)}"] for thing in things]
    corners = {name: pa.array(np.fromiter(map(attrgetter(name), things), np.float64, len(things))) for name in "xywh"}
    return writer.add_boxes({"image_id": pa.array(ids).cast(pa.string()), "class_id": np.array(numbers, np.int32), **corners})


def _blocks(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """Cut a JSON array of objects between its elements; each piece is an array of its own."""
    left = stream.read(BLOCK).lstrip()
    if not left.startswith(b"["):
        raise InputError("not a JSON array of images", where=f"{path}:1", do="Use objects.json of version 1.4 or 1.2")
    left = left[1:]
    first = _FIRST_KEY.match(left.lstrip())
    start = first[0] if first else b"{"  # every image begins as the first one does; where it does not, the piece grows
    while chunk := stream.read(BLOCK):
        left += chunk
        last = left.rfind(start, 1)
        head = left[:last].rstrip() if last > 0 else b""
        if head.endswith(b","):
            yield b"[" + head[:-1] + b"]"
            left = left[last:]
    if not left.rstrip().endswith(b"]"):
        raise InputError("it breaks off: the array is not closed", where=str(path), do="Fetch it again")
    yield b"[" + left.rstrip()


def _id(image: _ImageObjects | _Image) -> int:
    number = image.image_id if image.image_id is not None else image.id
    if number is None:
        raise InputError("an image without image_id", do="Use objects.json of version 1.4 or 1.2")
    return number


def _add_images(files: RawFiles, writer: IndexWriter, image_ids: set[int]) -> None:
    if files.has(*IMAGES):
        for images in streamed(files.get(*IMAGES), "image_data.json", _Image):
            writer.add_images(_image_columns(images))
    else:
        for ids in batched(sorted(image_ids), 1 << 13):
            writer.add_images({"image_id": [str(number) for number in ids]})


def _image_columns(images: list[_Image]) -> dict[str, list[Any]]:
    return {
        "image_id": [str(_id(image)) for image in images],
        "url": [image.url for image in images],
        "width": [image.width for image in images],
        "height": [image.height for image in images],
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

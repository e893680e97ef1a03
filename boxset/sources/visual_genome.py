"""Visual Genome: objects with names and synsets per image, in pixels; nobody claims that an image's objects are all there.

Format: objects.json (v1.4, v1.2), image_data.json, object_alias.txt. A class here is what the file says of an object, its names and
synsets together; a term finds all classes that have it. The objects file is read in blocks: its memory does not grow with its size.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from boxset.errors import InputError
from boxset.sources.raw import RawFiles, opened
from boxset.sources.tables import IndexWriter

BASE = "https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset"
OBJECTS = ("objects", f"{BASE}/objects.json.zip")
IMAGES = ("images", f"{BASE}/image_data.json.zip")
ALIASES = ("aliases", f"{BASE}/object_alias.txt")
BLOCK = 4 << 20
_FIRST_KEY = re.compile(rb"\{\s*\"(\w+)\"")
Counts = dict[str, int]


class _Object(msgspec.Struct, gc=False):
    x: float
    y: float
    w: float
    h: float
    names: tuple[str, ...] = ()
    synsets: tuple[str, ...] = ()


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
    classes: dict[str, dict[str, Any]] = {}
    counts: Counts = {"seen": 0}
    image_ids: set[int] = set()
    for part in streamed(files.get(*OBJECTS)):
        _add_boxes(part, writer, classes, counts)
        image_ids.update(_id(image) for image in part)
    for row in classes.values():
        row["synonyms"] = sorted(
            {*row["synonyms"], *(alias for name in row["synonyms"] for alias in aliases.get(name, ())), *aliases.get(row["name"], ())}
        )
    writer.add_classes(classes.values())
    _add_images(files, writer, image_ids)
    return counts


def streamed(path: Path) -> Iterator[list[_ImageObjects]]:
    """Yield the file's images a block at a time. Raises InputError naming the field where it is another format."""
    decoder = msgspec.json.Decoder(list[_ImageObjects])
    with opened(path, "objects.json") as stream:
        for number, block in enumerate(_blocks(stream, path), 1):
            try:
                yield decoder.decode(block)
            except msgspec.MsgspecError as err:
                raise InputError(
                    f"not Visual Genome's objects: {err}", where=f"{path}, block {number}", do="Use objects.json of version 1.4 or 1.2"
                ) from err


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
    yield b"[" + left.rstrip().removesuffix(b"]") + b"]"


def _id(image: _ImageObjects | _Image) -> int:
    number = image.image_id if image.image_id is not None else image.id
    if number is None:
        raise InputError("an image without image_id", do="Use objects.json of version 1.4 or 1.2")
    return number


def _add_boxes(images: list[_ImageObjects], writer: IndexWriter, classes: dict[str, dict[str, Any]], counts: Counts) -> None:
    ids: list[str] = []
    keys: list[str] = []
    boxes: list[tuple[float, float, float, float]] = []
    for image in images:
        number = str(_id(image))
        counts["seen"] += len(image.objects)
        for thing in image.objects:
            key = "|".join((*thing.names, *thing.synsets))
            if key not in classes:
                names = [name.strip().lower() for name in thing.names]
                classes[key] = {"class_id": key, "name": names[0] if names else "", "synonyms": sorted({*names[1:], *thing.synsets})}
            ids.append(number)
            keys.append(key)
            boxes.append((thing.x, thing.y, thing.w, thing.h))
    if ids:
        writer.add_boxes({"image_id": ids, "class_id": keys, **dict(zip("xywh", zip(*boxes, strict=True), strict=True))})


def _add_images(files: RawFiles, writer: IndexWriter, image_ids: set[int]) -> None:
    if not files.has(*IMAGES):
        writer.add_images({"image_id": [str(i) for i in sorted(image_ids)]}) if image_ids else None
        return
    path = files.get(*IMAGES)
    with opened(path, "image_data.json") as stream:
        try:
            images = msgspec.json.decode(stream.read(), type=list[_Image])
        except msgspec.MsgspecError as err:
            raise InputError(f"not Visual Genome's image_data: {err}", where=str(path), do="Fetch it again") from err
    writer.add_images(
        {
            "image_id": [str(_id(image)) for image in images],
            "url": [image.url for image in images],
            "width": [image.width for image in images],
            "height": [image.height for image in images],
            "flickr_id": [str(image.flickr_id) if image.flickr_id else None for image in images],
            "coco_id": [str(image.coco_id) if image.coco_id else None for image in images],
        }
    )


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

"""Is a data set sound? Every fault names its record; an empty list means that nothing was found."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage

TOLERANCE = 1e-3
HASH = re.compile(r"[0-9a-f]{64}")
PHASH, GRID = re.compile(r"[0-9a-f]{16}"), re.compile(r"(?:[0-9a-f]{96})?")
BARE = re.compile(r"[^/\\.][^/\\]{0,99}")


@dataclass(frozen=True)
class Fault:
    """What is wrong, and with which record."""

    where: str
    what: str


def faults_of(parts: dict[str, Coco]) -> list[Fault]:
    """Return the faults of a data set's splits and of what lies between them."""
    found = [fault for split, coco in parts.items() for fault in _of_part(split, coco)]
    return [*found, *_between(parts)]


def usable(parts: dict[str, Coco]) -> dict[str, Coco]:
    """Return the splits with those images alone whose name, size and fingerprints are such that files and other pictures can be held against them."""
    return {split: msgspec.structs.replace(coco, images=tuple(filter(_is_usable, coco.images))) for split, coco in parts.items()}


def _is_usable(image: CocoImage) -> bool:
    has_size = image.width >= 1 and image.height >= 1
    return has_size and all(form.fullmatch(text) for form, text in ((BARE, image.file_name), (PHASH, image.phash), (GRID, image.grid)))


def _of_part(split: str, coco: Coco) -> Iterator[Fault]:
    yield from _ids(f"{split} categories", [c.id for c in coco.categories])
    yield from _ids(f"{split} images", [i.id for i in coco.images])
    yield from _ids(f"{split} annotations", [a.id for a in coco.annotations])
    yield from _ids(f"{split} licenses", [licence.id for licence in coco.licenses])
    names = Counter(c.name for c in coco.categories)
    yield from (Fault(f"{split} category {name}", "two categories have this name") for name, n in names.items() if n > 1)
    files = Counter(i.file_name for i in coco.images)
    yield from (Fault(f"{split} image {name}", "two images have this file_name") for name, n in files.items() if n > 1)
    licences, categories = {licence.id for licence in coco.licenses}, {c.id for c in coco.categories}
    for image in coco.images:
        yield from _image(f"{split} image {image.id}", image, licences, categories)
    images = {image.id: image for image in coco.images}
    for annotation in coco.annotations:
        yield from _annotation(f"{split} annotation {annotation.id}", annotation, images, categories)


def _ids(where: str, ids: list[int]) -> Iterator[Fault]:
    yield from (Fault(f"{where}: id {number}", "stands twice") for number, n in Counter(ids).items() if n > 1)
    yield from (Fault(f"{where}: id {number}", "ids start at 1") for number in ids if number < 1)


def _image(where: str, image: CocoImage, licences: set[int], categories: set[int]) -> Iterator[Fault]:
    if image.width < 1 or image.height < 1:
        yield Fault(where, f"size {image.width}x{image.height}")
    if image.license not in licences:
        yield Fault(where, f"license {image.license} is not in licenses")
    if not BARE.fullmatch(image.file_name):
        yield Fault(where, f"file_name {image.file_name!r} is not a bare name")
    if not HASH.fullmatch(image.sha256):
        yield Fault(where, "sha256 is not 64 hexadecimal digits")
    elif image.file_name.partition(".")[0] != image.sha256:
        yield Fault(where, "file_name is not named by sha256")
    if not PHASH.fullmatch(image.phash):
        yield Fault(where, "phash is not 16 hexadecimal digits")
    if not GRID.fullmatch(image.grid):
        yield Fault(where, "grid is neither empty nor 96 hexadecimal digits")
    if not image.source:
        yield Fault(where, "source is empty")
    lists = {"neg": image.neg_category_ids, "not_exhaustive": image.not_exhaustive_category_ids, "exhaustive": image.exhaustive_category_ids}
    for name, ids in lists.items():
        yield from (Fault(where, f"{name}_category_ids: there is no category {number}") for number in ids if number not in categories)
    for number, n in Counter(number for ids in lists.values() for number in set(ids)).items():
        if n > 1:
            yield Fault(where, f"category {number} is in several of neg, not_exhaustive and exhaustive_category_ids")


def _annotation(where: str, annotation: CocoAnnotation, images: dict[int, CocoImage], categories: set[int]) -> Iterator[Fault]:
    if annotation.category_id not in categories:
        yield Fault(where, f"there is no category {annotation.category_id}")
    if annotation.iscrowd not in (0, 1):
        yield Fault(where, f"iscrowd is {annotation.iscrowd}")
    if not annotation.source:
        yield Fault(where, "source is empty")
    x, y, w, h = annotation.bbox
    if not all(math.isfinite(value) for value in (*annotation.bbox, annotation.area)):
        yield Fault(where, "bbox or area is not a finite number")
        return
    if w <= 0 or h <= 0:
        yield Fault(where, f"bbox is empty: {w:g} by {h:g}")
    if abs(annotation.area - w * h) > TOLERANCE * max(1.0, w * h):
        yield Fault(where, f"area is {annotation.area:g}, the box's is {w * h:g}")
    image = images.get(annotation.image_id)
    if image is None:
        yield Fault(where, f"there is no image {annotation.image_id} in this split")
        return
    if x < -TOLERANCE or y < -TOLERANCE or x + w > image.width + TOLERANCE or y + h > image.height + TOLERANCE:
        yield Fault(where, f"bbox leaves image {image.id} of {image.width}x{image.height}")
    if annotation.category_id in image.neg_category_ids:
        yield Fault(where, f"a box of category {annotation.category_id}, which image {image.id} says is absent")


def _between(parts: dict[str, Coco]) -> Iterator[Fault]:
    """Faults between splits: pictures, groups and ids that stand in two of them; categories that differ."""
    yield from _in_two(parts, "picture", lambda coco: (image.sha256 for image in coco.images))
    yield from _in_two(parts, "group", lambda coco: {image.group for image in coco.images})
    yield from _in_two(parts, "image id", lambda coco: (image.id for image in coco.images))
    yield from _in_two(parts, "annotation id", lambda coco: (annotation.id for annotation in coco.annotations))
    kinds = {coco.categories for coco in parts.values()}
    if len(kinds) > 1:
        yield Fault("categories", "the splits have different categories")


def _in_two(parts: dict[str, Coco], what: str, values: Callable[[Coco], Iterable[str | int]]) -> Iterator[Fault]:
    where: dict[str | int, str] = {}
    for split, coco in parts.items():
        for value in values(coco):
            if where.setdefault(value, split) != split:
                yield Fault(f"{what} {value}", f"stands in {where[value]} and in {split}")

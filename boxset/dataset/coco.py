"""The data set's file: COCO's object-detection format with LVIS's fields for what is known, ids from 1.

Format: https://cocodataset.org/#format-data; `neg_category_ids` and `not_exhaustive_category_ids` as in LVIS v1.
"""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import msgspec

from boxset.dataset.records import write_records
from boxset.errors import no_category
from boxset.files import read_json

SPLITS = ("train", "val", "test")  # of a data set, in this order


class CocoLicense(msgspec.Struct, frozen=True, kw_only=True):
    """A licence; `name` is its SPDX identifier, or `unknown`."""

    id: int
    name: str
    url: str = ""


class CocoCategory(msgspec.Struct, frozen=True, kw_only=True):
    """A category; its id stands in `params.yaml` and is never reused. `name` is for show; the file has `key` where that is another."""

    id: int
    name: str
    supercategory: str = "object"
    own_key: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="key")

    @classmethod
    def shown(cls, *, id: int, key: str, name: str, supercategory: str = "object") -> "CocoCategory":  # noqa: A002 - COCO's word
        """Return a category under its name for show; empty: its key."""
        own_key = key if name not in ("", key) else msgspec.UNSET
        return cls(id=id, name=name or key, supercategory=supercategory, own_key=own_key)

    @property
    def key(self) -> str:
        """Return its key in `params.yaml`: what does not change with its name."""
        return self.name if isinstance(self.own_key, msgspec.UnsetType) else self.own_key


class CocoImage(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, its origin, and what is known of it."""

    id: int
    file_name: str
    width: int
    height: int
    license: int
    coco_url: str
    flickr_url: str
    author_url: str = ""  # the page of the author, where a source says so
    original_url: str = ""  # where its author published it, where a source says so
    landing_url: str = ""  # the page that shows it, of the copy that is kept or else of another; files of older versions have none
    source: str
    source_id: str
    source_split: str
    author: str
    title: str
    sha256: str
    phash: str
    grid: str
    group: int  # the group of near-duplicates; pictures of one group share a split
    also_in: tuple[str, ...]  # `source:source_id` of its other copies
    flags: tuple[str, ...]
    neg_category_ids: tuple[int, ...]  # verified absent
    not_exhaustive_category_ids: tuple[int, ...]  # may be there without a box
    exhaustive_category_ids: tuple[int, ...]  # every instance has its box


class CocoAnnotation(msgspec.Struct, frozen=True, kw_only=True):
    """A box `[x, y, w, h]` in pixels of the picture as stored."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int
    segmentation: tuple[Any, ...]
    source: str
    attributes: dict[str, Any]


class Coco(msgspec.Struct, frozen=True, kw_only=True):
    """One COCO file."""

    info: dict[str, Any]
    licenses: tuple[CocoLicense, ...]
    categories: tuple[CocoCategory, ...]
    images: tuple[CocoImage, ...]
    annotations: tuple[CocoAnnotation, ...]


def part_of(coco: Coco, image_ids: Container[int]) -> Coco:
    """Return the set with some of its images, and the boxes in them."""
    return msgspec.structs.replace(
        coco,
        images=tuple(image for image in coco.images if image.id in image_ids),
        annotations=tuple(annotation for annotation in coco.annotations if annotation.image_id in image_ids),
    )


def annotations_by_image(coco: Coco) -> dict[int, list[CocoAnnotation]]:
    """Return the boxes of each image that has some, crowds among them, by the image's id."""
    found: dict[int, list[CocoAnnotation]] = {}
    for annotation in coco.annotations:
        found.setdefault(annotation.image_id, []).append(annotation)
    return found


def names_of(categories: Iterable[CocoCategory]) -> dict[str, str]:
    """Return each category's name for show, by its key."""
    return {category.key: category.name for category in categories}


def category_name(word: str, categories: Iterable[CocoCategory], *, where: str) -> str:
    """Return the name for show of the category that has this name or key, in whatever case. Raises ParamsError with the nearest ones."""
    known = {one: category.name for category in categories for one in (category.name, category.key)}
    named = {one.casefold(): name for one, name in known.items()}
    if word.casefold() not in named:
        raise no_category(word, known, where=where)
    return named[word.casefold()]


def read_coco(path: Path) -> Coco:
    """Read a data set's own COCO file strictly. Raises InputError naming the file and the field."""
    return read_json(path, Coco)


def write_coco(path: Path, coco: Coco) -> None:
    """Write a COCO file, one record a line, so that git and `grep` can read it."""
    write_records(path, {name: getattr(coco, name) for name in coco.__struct_fields__})

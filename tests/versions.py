"""Versions of a data set for tests, made of named pictures with their boxes."""

from collections.abc import Sequence
from typing import Any

from boxset.dataset.coco import Coco, CocoAnnotation, CocoCategory, CocoImage, CocoLicense
from boxset.dataset.records import BBox
from tests import build

CATEGORIES = ("hammer", "screwdriver")
LICENCES = ("CC-BY-2.0", "unknown")

Box = tuple[str, BBox]


def sha(name: str) -> str:
    """A SHA-256 that begins with a name's letters, so that its start tells which it is."""
    return name.encode().hex().ljust(64, "0")


def image(number: int, name: str, **more: Any) -> CocoImage:
    """A picture of 100 x 100 pixels from LVIS."""
    named = {"file_name": f"{sha(name)}.jpg", "sha256": sha(name), "source": "lvis", "source_id": name, "width": 100, "height": 100}
    return build.image(number, **{**named, **more})


def coco(*pictures: tuple[str, Sequence[Box]], first: int = 1, categories: Sequence[str] = CATEGORIES, fields: dict[str, Any] | None = None) -> Coco:
    """A COCO file of pictures, each with its name and boxes; `fields` are those of all its pictures."""
    images = tuple(image(number, name, **(fields or {})) for number, (name, _) in enumerate(pictures, first))
    boxes = [(number, label, bbox) for number, (_, some) in enumerate(pictures, first) for label, bbox in some]
    ids = {name: number for number, name in enumerate(categories, 1)}
    return Coco(
        info={"description": "tools, train"},
        licenses=tuple(CocoLicense(id=number, name=name) for number, name in enumerate(LICENCES, 1)),
        categories=tuple(CocoCategory(id=number, name=name) for name, number in ids.items()),
        images=images,
        annotations=tuple(annotation(number, image_id, ids[label], bbox) for number, (image_id, label, bbox) in enumerate(boxes, 1)),
    )


def annotation(number: int, image_id: int, category_id: int, bbox: BBox) -> CocoAnnotation:
    """A box from LVIS."""
    return build.annotation(number, image_id, category_id, bbox=bbox, area=bbox[2] * bbox[3], source="lvis")

"""One builder for all records, with defaults, so that a test states only what matters to it."""

from hashlib import sha256
from typing import Any

from boxset.assemble.merge import merge
from boxset.dataset.coco import Coco, CocoAnnotation, CocoCategory, CocoImage, CocoLicense
from boxset.dataset.decisions import NOBODY, Decisions
from boxset.dataset.records import Annotation, BBox, Picture, Pool, Presence, Refused, State
from boxset.params import Merge
from boxset.resolve import Identity, Ids, Target, Targets

IDS = Ids(categories={"hammer": Identity(id=1, supercategory="object"), "saw": Identity(id=2, supercategory="object")})
TARGETS = Targets(categories={"hammer": Target(target=10, max=0), "saw": Target(target=10, max=0)})


def sha(name: object) -> str:
    """Return 64 hexadecimal digits that stand for a name."""
    return f"{abs(int.from_bytes(str(name).encode(), 'big')) % 16**64:064x}"


def picture(name: object = "a", **more: Any) -> Picture:
    """Build a picture whose hash is far from that of other names."""
    digest = sha(name)
    spread = int.from_bytes(sha256(str(name).encode()).digest()[:8], "big")
    defaults: dict[str, Any] = {
        "sha256": digest,
        "file_name": f"{digest}.jpg",
        "width": 400,
        "height": 300,
        "phash": f"{spread:016x}",
        "source": "coco",
        "source_id": str(name),
        "url": f"http://photos.example/{name}.jpg",
        "license": "CC-BY-4.0",
    }
    return Picture(**{**defaults, **more})


def box(name: object = "a", bbox: BBox = (10, 20, 100, 80), **more: Any) -> Annotation:
    """Build a box in a picture."""
    return Annotation(**{"sha256": sha(name), "category": "hammer", "bbox": bbox, "source": "coco", **more})


def known(name: object = "a", state: State = State.PRESENT, **more: Any) -> Presence:
    """Build what someone has verified."""
    return Presence(**{"sha256": sha(name), "category": "hammer", "state": state, "source": "coco", **more})


def pool(*records: Picture | Annotation | Presence) -> Pool:
    """Build a pool of records of any kind."""
    return Pool(
        pictures=tuple(r for r in records if isinstance(r, Picture)),
        annotations=tuple(r for r in records if isinstance(r, Annotation)),
        presence=tuple(r for r in records if isinstance(r, Presence)),
    )


def merged(
    *pools: Pool,
    crawled: dict[str, tuple[Picture, ...]] | None = None,
    answers: Pool | None = None,
    refused: Refused = Refused(),
    decisions: Decisions = NOBODY,
    **settings: Any,
) -> Any:
    """Merge pools, named by their place."""
    named = {f"s{place}": pool_ for place, pool_ in enumerate(pools)}
    return merge(named, crawled or {}, answers=answers or Pool(), ids=IDS, settings=Merge(**settings), refused=refused, decisions=decisions)


def image(number: int = 1, **more: Any) -> CocoImage:
    """Build a data set's image."""
    digest = f"{number:064x}"
    defaults: dict[str, Any] = {
        "id": number,
        "file_name": f"{digest}.jpg",
        "width": 400,
        "height": 300,
        "license": 1,
        "coco_url": "",
        "flickr_url": "",
        "source": "coco",
        "source_id": str(number),
        "source_split": "",
        "author": "",
        "title": "",
        "sha256": digest,
        "phash": f"{number:016x}",
        "grid": "",
        "group": number,
        "also_in": (),
        "flags": (),
        "neg_category_ids": (),
        "not_exhaustive_category_ids": (),
        "exhaustive_category_ids": (),
    }
    return CocoImage(**{**defaults, **more})


def annotation(number: int = 1, image_id: int = 1, category_id: int = 1, **more: Any) -> CocoAnnotation:
    """Build a data set's box."""
    defaults: dict[str, Any] = {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": (10.0, 20.0, 100.0, 80.0),
        "area": 8000.0,
        "iscrowd": 0,
        "segmentation": (),
        "source": "coco",
        "attributes": {},
    }
    return CocoAnnotation(**{**defaults, **more})


def coco(images: list[CocoImage], annotations: list[CocoAnnotation]) -> Coco:
    """Build a COCO set with two categories and one licence."""
    return Coco(
        info={},
        licenses=(CocoLicense(id=1, name="CC-BY-4.0"),),
        categories=(CocoCategory(id=1, name="hammer"), CocoCategory(id=2, name="saw")),
        images=tuple(images),
        annotations=tuple(annotations),
    )

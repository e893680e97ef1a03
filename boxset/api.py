"""The data set for notebooks and scripts: `boxset.open(path, rev)` gives its images and boxes as pandas tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from boxset.dataset.coco import SPLITS, Coco, CocoAnnotation, CocoImage
from boxset.errors import InputError
from boxset.history import Revision


@dataclass(frozen=True)
class Dataset:
    """A version of a data set. The tables are made when they are first asked for; changing them changes nothing else."""

    splits: Mapping[str, Coco]
    root: Path
    rev: str | None

    @cached_property
    def images(self) -> Any:
        """One row per picture: where it lies and is from, its licence, and the categories that are complete, partial or absent in it."""
        import pandas as pd

        rows = [self._image(image, split, coco) for split, coco in self.splits.items() for image in coco.images]
        return pd.DataFrame(rows, columns=list(_IMAGE_COLUMNS))

    @cached_property
    def boxes(self) -> Any:
        """One row per box, in pixels of the picture: left, top, width, height, its category, who drew it, and its picture."""
        import pandas as pd

        rows = [row for split, coco in self.splits.items() for row in _boxes(split, coco)]
        return pd.DataFrame(rows, columns=list(_BOX_COLUMNS))

    def _image(self, image: CocoImage, split: str, coco: Coco) -> tuple[Any, ...]:
        names = {c.id: c.name for c in coco.categories}
        licence = next((one.name for one in coco.licenses if one.id == image.license), "")
        known = [tuple(names[i] for i in ids) for ids in (image.exhaustive_category_ids, image.not_exhaustive_category_ids, image.neg_category_ids)]
        path = str(self.root / "data/dataset/images" / split / image.file_name)
        origin = (image.source, image.source_id, image.source_split, image.also_in, image.coco_url, image.flickr_url, image.author, image.title)
        return (image.sha256, image.file_name, path, split, image.width, image.height, licence, *origin, image.group, image.flags, *known)


_IMAGE_COLUMNS = (
    "sha256", "file_name", "path", "split", "width", "height", "license",
    "source", "source_id", "source_split", "also_in", "url", "flickr_url", "author", "title", "group", "flags", "complete", "partial", "absent",
)  # fmt: skip
_BOX_COLUMNS = (
    "sha256", "file_name", "split", "category", "category_id", "x", "y", "w", "h", "area", "iscrowd", "source", "image_width", "image_height",
    "image_source", "attributes",
)  # fmt: skip


def _boxes(split: str, coco: Coco) -> list[tuple[Any, ...]]:
    names, images = {c.id: c.name for c in coco.categories}, {image.id: image for image in coco.images}
    return [_box(a, images[a.image_id], names[a.category_id], split) for a in coco.annotations]


def _box(a: CocoAnnotation, image: CocoImage, category: str, split: str) -> tuple[Any, ...]:
    drawn = (category, a.category_id, *a.bbox, a.area, a.iscrowd, a.source)
    return (image.sha256, image.file_name, split, *drawn, image.width, image.height, image.source, a.attributes)


def open_dataset(path: str | Path = ".", rev: str | None = None) -> Dataset:
    """Open the data set of the project at `path`: its work tree, or a git revision (annotations alone; no picture is fetched).

    Raises BoxsetError where it was not built, or is not to be had.
    """
    root = Path(path)
    return Dataset(read_version(rev, root), root, rev)


def read_version(rev: str | None, root: Path = Path()) -> dict[str, Coco]:
    """Return a version's COCO file of each split."""
    version, found = Revision(rev, root), {}
    for split in SPLITS:
        path = f"data/dataset/annotations/instances_{split}.json"
        try:
            found[split] = msgspec.json.decode(version.read(path), type=Coco)
        except (msgspec.MsgspecError, UnicodeDecodeError) as err:
            do = "If another version of Boxset wrote it, `dvc repro` writes it anew"
            raise InputError(f"not what was expected: {err}", where=f"{path}, {version.title}", do=do) from err
    return found

"""The COCO file of pictures that a detector is run on: what is in the data set, and what nobody labelled yet."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from boxset.dataset.coco import SPLITS, Coco, CocoImage, read_coco
from boxset.dataset.predictions import Floats
from boxset.dataset.records import Picture, picture_files, read_crawled, read_extracted, write_records
from boxset.errors import InputError, ProjectError
from boxset.files import read_bytes, read_json
from boxset.resolve import Ids
from boxset.sources.raw import refuse_foreign

HEX = set("0123456789abcdef")
WRITES_ONE = "Name the COCO file with `images` that the detector was run on: `boxset predictions images` writes one"


Side = Annotated[int, Meta(ge=1, le=1_000_000)]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that a detector was, or is to be, run on."""

    id: int | str
    file_name: str
    width: Side
    height: Side
    sha256: str = ""
    split: str = ""  # of the data set; empty: nobody labelled it yet


class Named(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A category; `key` as the data set's own files have it, where its name is another."""

    id: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
    name: str
    key: str = ""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    images: tuple[Listed, ...]
    categories: tuple[Named, ...] = ()


@dataclass(frozen=True)
class Images:
    """The pictures by whatever a results file may call them, and the categories' keys; `numbers`: the category id of each number that stands in results."""

    path: Path
    pictures: tuple[Listed, ...]
    places: Mapping[int | str, int]
    categories: Mapping[int, str]
    numbers: Mapping[int, int]
    also: Mapping[str, int] = field(default_factory=dict)  # names for show → category id

    @cached_property
    def named(self) -> Mapping[str, int]:
        """Return the id of each category by its key, and by its names for show."""
        return {**self.also, **{key: number for number, key in self.categories.items()}}

    @cached_property
    def sizes(self) -> Floats:
        """Return width and height of each picture."""
        return np.array([(one.width, one.height) for one in self.pictures], np.float64).reshape(-1, 2)


def to_predict(root: Path, *, dataset: bool, unlabelled: bool) -> tuple[list[Listed], dict[int, str]]:
    """Return the pictures of the data set, those that nobody labelled yet, or both, numbered from 1, and the categories by id.

    A picture's `file_name` is its path from `root`. Raises ProjectError where the data set was not built, or a picture is not here.
    """
    data = root / "data"
    parts = {split: data / f"dataset/annotations/instances_{split}.json" for split in SPLITS}
    if not all(path.exists() for path in parts.values()):
        raise ProjectError("there is no data set here", where="data/dataset", do="`dvc repro` builds it; `dvc pull` fetches it")
    chosen = [_of_dataset(image, split) for split, path in parts.items() for image in read_coco(path).images] if dataset else []
    if unlabelled:
        where = picture_files(data)
        chosen += [_stored(picture, where, root) for picture in _unlabelled(data)]
    ids = read_json(data / "resolve/ids.json", Ids)
    numbered = [msgspec.structs.replace(one, id=number) for number, one in enumerate(chosen, 1)]
    return numbered, {identity.id: name for name, identity in ids.categories.items()}


def _of_dataset(image: CocoImage, split: str) -> Listed:
    path = f"data/dataset/images/{split}/{image.file_name}"
    return Listed(id=0, file_name=path, width=image.width, height=image.height, sha256=image.sha256, split=split)


def _stored(picture: Picture, where: Mapping[str, Path], root: Path) -> Listed:
    if picture.file_name not in where:
        raise ProjectError("the picture is missing", where=picture.file_name, do="`dvc pull`")
    path = where[picture.file_name].relative_to(root).as_posix()
    return Listed(id=0, file_name=path, width=picture.width, height=picture.height, sha256=picture.sha256)


def _unlabelled(data: Path) -> list[Picture]:
    """Return the crawl's pictures, and one's own without annotations, that `merge` found no labels for; each once."""
    merged: Coco = read_coco(data / "merge/annotations.json")
    known = {image.sha256 for image in merged.images}
    crawled = (p for some in read_crawled(data).values() for p in some)
    pools = read_extracted(data).values()
    known |= {a.sha256 for pool in pools for a in pool.annotations} | {p.sha256 for pool in pools for p in pool.presence}
    own = (p for pool in pools for p in pool.pictures if p.category)
    return sorted({p.sha256: p for p in (*crawled, *own) if p.sha256 not in known}.values(), key=lambda p: (p.category, p.rank, p.sha256))


def write_images(path: Path, pictures: Iterable[Listed], categories: Mapping[int, str], *, root: Path = Path()) -> None:
    """Write the COCO file; each `file_name` leads from the file's own folder to the picture."""
    above = os.path.relpath(root.resolve(), path.parent.resolve())
    placed = tuple(msgspec.structs.replace(one, file_name=Path(above, one.file_name).as_posix()) for one in pictures)
    named = tuple(Named(id=i, name=name) for i, name in sorted(categories.items()))
    info: dict[str, Any] = {"description": "Pictures to run a detector on; file_name leads from the folder of this file"}
    write_records(path, {"info": info, "licenses": (), "categories": named, "images": placed, "annotations": ()})


def read_images(path: Path) -> Images:
    """Read the COCO file that a detector was run on: `instances_*.json` of the data set, or any with each picture's SHA-256.

    Raises InputError naming the record and the field.
    """
    content = read_bytes(path, do=WRITES_ONE)
    refuse_foreign(content[:512], path)
    try:
        found = msgspec.json.decode(content, type=_File)
    except msgspec.MsgspecError as err:
        raise InputError(f"not a COCO file of images: {err}", where=str(path), do=WRITES_ONE) from err
    places: dict[int | str, int] = {}
    pictures = tuple(_with_hash(one, f"{path}: images[{number}]") for number, one in enumerate(found.images))
    hashes: dict[str, int] = {}
    for place, one in enumerate(pictures):
        _once(hashes, one.sha256, place, f"{path}: images[{place}].sha256")
        _once(places, one.id, place, f"{path}: images[{place}].id")
    categories: dict[int, str] = {}
    for number, category in enumerate(found.categories):
        key = category.key or category.name
        if categories.setdefault(category.id, key) != key:
            raise InputError(f"{category.id}: it is {categories[category.id]} as well", where=f"{path}: categories[{number}].id")
    categories = dict(sorted(categories.items()))
    also = {category.name: category.id for category in found.categories}
    return Images(path, pictures, _by_name(pictures) | places, categories, {i: i for i in categories}, also)


def of_project(images: Images, ids: Ids) -> Images:
    """Return the same in the words of a project: a category that is listed under its name for show has its key, and results may name it by either."""
    known = {identity.id: (key, identity.name) for key, identity in ids.categories.items()}
    keys = {i: known[i][0] if i in known and name == known[i][1] else name for i, name in images.categories.items()}
    shown = {name: i for i, (key, name) in known.items() if name and keys.get(i) == key}
    return replace(images, categories=keys, also={**images.also, **shown})


def counted_from(images: Images, first: int) -> Images:
    """Return the same for results whose categories are counted from `first` in the order of the ids, as YOLO's classes in `data.yaml` are."""
    return replace(images, numbers=dict(enumerate(images.categories, first)))


def _by_name(pictures: Iterable[Listed]) -> dict[int | str, int]:
    """Return the place of every name that only one picture has: its hash, its path, its file's name with and without ending."""
    found: dict[int | str, int] = {}
    doubtful: set[str] = set()
    for place, one in enumerate(pictures):
        bare = one.file_name.rpartition("/")[2]
        for name in {one.sha256, one.file_name, bare, bare.rpartition(".")[0] or bare}:
            if found.setdefault(name, place) != place:
                doubtful.add(name)
    return {name: place for name, place in found.items() if name not in doubtful}


def _once(seen: dict[Any, int], key: int | str, place: int, where: str) -> None:
    if key in seen:
        raise InputError(f"{key}: images[{seen[key]}] has it as well", where=where, do="`boxset predictions images` writes a file that will do")
    seen[key] = place


def _with_hash(one: Listed, where: str) -> Listed:
    digest = one.sha256 or Path(one.file_name).stem
    if len(digest) != 64 or not set(digest) <= HEX:
        do = "Use `boxset predictions images` or data/dataset/annotations: predictions are kept by the pictures' content"
        raise InputError(f"{one.file_name}: there is no SHA-256, and the file's name is none", where=f"{where}.sha256", do=do)
    return msgspec.structs.replace(one, sha256=digest)



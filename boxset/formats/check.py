"""Is a data set's folder sound? The records, and the files that they speak of."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from boxset.assemble.split import read_splits
from boxset.dataset.coco import SPLITS, Coco, CocoImage, read_coco
from boxset.dataset.records import read_extracted
from boxset.dataset.takedown import FOLDER, read_takedowns
from boxset.dataset.validation import BARE, Fault, faults_of, usable
from boxset.errors import InputError
from boxset.files import read_bytes, read_json, sha256_of
from boxset.formats.leaks import leaks, strays
from boxset.formats.yolo import class_numbers, same_boxes, yolo_line
from boxset.images.prepare import orientation_of
from boxset.params import Merge
from boxset.wording import counted

DECODED = ".npy"  # what Ultralytics' `cache=disk` leaves beside each picture; pictures are named by their content, so it is never out of date


def read_parts(dataset: Path) -> dict[str, Coco]:
    """Return the COCO file of each split of a data set's folder. Raises InputError where it is none."""
    if not (dataset / "annotations").is_dir():
        raise InputError("no annotations/ here", where=str(dataset), do="Name a data set's folder; `dvc repro` or `dvc pull` brings it")
    return {split: read_coco(dataset / "annotations" / f"instances_{split}.json") for split in SPLITS}


def validate(dataset: Path, *, pictures: bool = True, bits: int = Merge().duplicate_bits) -> list[Fault]:
    """Return all faults of a data set's folder. `bits`: `merge.duplicate_bits`, for copies across splits. Raises InputError where it is none."""
    parts = read_parts(dataset)
    whole = usable(parts)
    found = [*faults_of(parts), *_yolo(dataset, whole), *_tables(dataset, parts), *_label_caches(dataset)]
    found += leaks(whole, bits=bits, extracted=[picture for pool in read_extracted(dataset.parent).values() for picture in pool.pictures])
    found += _strays(dataset.parent.parent, parts)
    found += [Fault(f"picture {sha256}", "was taken down since: `dvc repro` takes it out") for sha256 in taken_down(dataset, whole)]
    if pictures:
        found += [fault for split, coco in parts.items() for fault in _pictures(dataset / "images" / split, split, coco)]
    return found


def _strays(root: Path, parts: dict[str, Coco]) -> Iterator[Fault]:
    """Yield what stands elsewhere than `splits.csv` says; nothing for a copy of a data set, away from its project."""
    if (root / "dvc.yaml").exists():
        copies = root / "data/merge/copies.json"
        yield from strays(parts, read_splits(root / "splits.csv"), read_json(copies, dict[str, list[str]]) if copies.exists() else {})


def taken_down(dataset: Path, parts: dict[str, Coco]) -> list[str]:
    """Return the pictures, by SHA-256, that were taken down since the data set was built; none for a copy of it, away from its project."""
    root = dataset.parent.parent
    if not (root / "dvc.yaml").exists():
        return []
    images = [image for coco in parts.values() for image in coco.images]
    return [image.sha256 for image, down in zip(images, read_takedowns(root / FOLDER).of(images), strict=True) if down]


def _pictures(folder: Path, split: str, coco: Coco) -> Iterator[Fault]:
    if coco.images and not any(folder.glob("*")):
        yield Fault(f"images/{split}", f"none of its {counted(len(coco.images), 'picture')} is here: `dvc pull` fetches them; --no-pictures checks the records alone")
        return
    for image in (image for image in coco.images if BARE.fullmatch(image.file_name)):
        yield from _picture(folder / image.file_name, f"{split} image {image.id}", image)
    names = {image.file_name for image in coco.images}
    here = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
    yield from (Fault(f"images/{split}/{name}", "a picture that no record speaks of") for name in here if name not in names and not name.endswith(DECODED))


def _picture(path: Path, where: str, image: CocoImage) -> Iterator[Fault]:
    if not path.is_file():
        yield Fault(where, f"{image.file_name} is missing")
        return
    if sha256_of(read_bytes(path)) != image.sha256:
        yield Fault(where, f"{image.file_name}: its content has another SHA-256")
    try:
        with Image.open(path) as opened:
            if opened.size != (image.width, image.height):
                yield Fault(where, f"says {image.width}x{image.height}, the picture is {opened.size[0]}x{opened.size[1]}")
            if orientation_of(opened) != 1:
                yield Fault(where, "the picture carries an EXIF orientation")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        yield Fault(where, f"{image.file_name} cannot be decoded")


def _yolo(dataset: Path, parts: dict[str, Coco]) -> Iterator[Fault]:
    said = _read_yaml(dataset / "data.yaml")
    names, root = said.get("names"), str(said.get("path") or "")
    if root and not Path(root).is_absolute():
        yield Fault("data.yaml", f"its path is {root!r}: trainers take that from the folder that they are started in; leave it out")
    expected = {number: c.name for number, c in enumerate(sorted(parts["train"].categories, key=lambda c: c.id))}
    if names != expected:
        yield Fault("data.yaml", "its names are not the categories in the order of their ids")
    for split, coco in parts.items():
        numbers = class_numbers(coco)
        lines: dict[int, list[str]] = {image.id: [] for image in coco.images}
        images = {image.id: image for image in coco.images}
        for box in coco.annotations:
            if not box.iscrowd and box.image_id in images and box.category_id in numbers:
                lines[box.image_id].append(yolo_line(box, images[box.image_id], numbers))
        if lines and not any((dataset / "labels" / split).glob("*.txt")):
            yield Fault(f"labels/{split}", f"none of its {counted(len(lines), 'file')} is here: `dvc pull` fetches them")
            continue
        for image_id, expected_lines in lines.items():
            path = dataset / "labels" / split / Path(images[image_id].file_name).with_suffix(".txt").name
            if not path.is_file() or not same_boxes(_text(path), expected_lines):
                yield Fault(f"labels/{split}/{path.name}", "does not say what the COCO file says")


def _read_yaml(path: Path) -> dict[str, Any]:
    """Return what a YAML file says; nothing where there is none, or where it is no map."""
    try:
        said = yaml.safe_load(_text(path)) if path.is_file() else {}
    except yaml.YAMLError:
        said = {}
    return said if isinstance(said, dict) else {}


def _text(path: Path) -> str:
    """Return a file's text; what is no UTF-8 is none of ours, and reads as other characters."""
    return path.read_text(encoding="utf-8", errors="replace")


def _label_caches(dataset: Path) -> Iterator[Fault]:
    """Name the lists of labels which Ultralytics left that may be of another version: 8.3 and 8.4.0 know labels by the sum of their sizes.

    A label that is another is another file, which its folder's time tells, whatever times DVC's links carry.
    """
    for split in SPLITS:
        cache, labels = dataset / "labels" / f"{split}.cache", dataset / "labels" / split
        if cache.is_file() and labels.is_dir() and cache.stat().st_mtime_ns < labels.stat().st_mtime_ns:
            yield Fault(f"labels/{cache.name}", "is older than the labels, and a trainer may take it for them; remove it")


def _tables(dataset: Path, parts: dict[str, Coco]) -> Iterator[Fault]:
    wanted = {image.file_name for coco in parts.values() for image in coco.images}
    for name in ("ATTRIBUTION.csv", "repeat_factors.csv"):
        path = dataset / name
        if not path.is_file():
            yield Fault(name, "is missing")
            continue
        try:
            rows = list(csv.DictReader(_text(path).splitlines()))
        except csv.Error as err:
            yield Fault(name, f"is no table: {err}")
            continue
        listed = {row.get("file_name") for row in rows}
        yield from (Fault(f"{name}: {missing}", "has no row") for missing in sorted(wanted - listed))
        if name == "repeat_factors.csv":
            yield from (Fault(f"{name}: {row.get('file_name')}", f"factor {row.get('factor')}") for row in rows if not _is_factor(row.get("factor") or ""))


def _is_factor(text: str) -> bool:
    try:
        return float(text) >= 1
    except ValueError:
        return False

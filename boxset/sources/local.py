"""One's own pictures: a folder with a COCO file, with YOLO labels, or with none (they go to labelling)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from PIL import Image, UnidentifiedImageError

from boxset.dataset.reasons import Reason
from boxset.errors import InputError
from boxset.sources.coco import decode
from boxset.sources.licences import spdx_of_url
from boxset.sources.raw import mapped
from boxset.sources.tables import IndexWriter

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}
Counts = dict[str, int]


def build(folder: Path, annotations: str, license_: str, writer: IndexWriter) -> Counts:
    """Read a folder. `annotations` is `none`, `yolo`, a COCO file's name in the folder, or empty: found by looking."""
    if not folder.is_dir():
        raise InputError("there is no such folder", where=str(folder), do="Set sources.….path to a folder of pictures")
    kind = annotations or _found(folder)
    if kind == "none":
        return _bare(folder, license_, writer)
    if kind == "yolo":
        return _yolo(folder, license_, writer)
    return _coco(folder, folder / kind, license_, writer)


def _found(folder: Path) -> str:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))
    if len(files) == 1:
        return files[0]
    if len(files) > 1:
        raise InputError(f"several JSON files: {', '.join(files[:4])}", where=str(folder), do="Name the COCO file in sources.….annotations")
    return "yolo" if any(folder.rglob("labels/*.txt")) else "none"


def pictures(folder: Path) -> list[Path]:
    """Return all picture files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, UnidentifiedImageError):
        return None


def _image_columns(folder: Path, found: list[Path], license_: str) -> dict[str, Any]:
    names = [path.relative_to(folder).as_posix() for path in found]
    sizes = [_size(path) for path in found]
    return {
        "image_id": names,
        "split": [split_of(name) for name in names],
        "url": names,
        "width": [size[0] if size else None for size in sizes],
        "height": [size[1] if size else None for size in sizes],
        "license": [license_ or None] * len(names),
    }


def split_of(name: str) -> str:
    """Return the split that a path speaks of, or an empty string."""
    return next((part for part in Path(name).parts[:-1] if part in ("train", "val", "valid", "test")), "")


def _bare(folder: Path, license_: str, writer: IndexWriter) -> Counts:
    found = pictures(folder)
    if found:
        writer.add_images(_image_columns(folder, found, license_))
    return {"seen": len(found)}


def _yolo(folder: Path, license_: str, writer: IndexWriter) -> Counts:
    """Read YOLO's `class xc yc w h` lines in shares of the picture; every class is fully boxed, as YOLO has it."""
    names = _yolo_names(folder)
    writer.add_classes({"class_id": str(number), "name": name} for number, name in enumerate(names))
    writer.exhaustive = True
    found = pictures(folder)
    counts: Counts = {"seen": 0}
    columns: dict[str, list[Any]] = {name: [] for name in ("image_id", "class_id", "x", "y", "w", "h")}
    for picture in found:
        for row in _yolo_rows(picture, len(names), counts):
            values = (picture.relative_to(folder).as_posix(), *row)
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)
    if found:
        writer.add_images(_image_columns(folder, found, license_))
    if columns["image_id"]:
        writer.add_boxes(columns)
    return counts


def _yolo_names(folder: Path) -> list[str]:
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        names = (yaml.safe_load(path.read_text()) or {}).get("names")
        if isinstance(names, dict):
            return [str(names[number]) for number in sorted(names)]
        if isinstance(names, list):
            return [str(name) for name in names]
    listing = next(iter(sorted([*folder.glob("classes.txt"), *folder.glob("*.names")])), None)
    if listing is None:
        raise InputError(
            "no data.yaml with `names`, and no classes.txt", where=str(folder), do="Add one: a name a line, in the order of the class numbers"
        )
    return [line.strip() for line in listing.read_text().splitlines() if line.strip()]


def _yolo_rows(picture: Path, classes: int, counts: Counts) -> Iterator[tuple[str, float, float, float, float]]:
    parts = list(picture.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    labels = Path(*parts).with_suffix(".txt")
    if not labels.exists():
        return
    for line in labels.read_text().splitlines():
        if not line.strip():
            continue
        counts["seen"] += 1
        row = _yolo_box(line.split(), classes)
        if row is None:
            counts[Reason.BAD_ROW] = counts.get(Reason.BAD_ROW, 0) + 1
        else:
            yield row


def _yolo_box(tokens: list[str], classes: int) -> tuple[str, float, float, float, float] | None:
    """Return class, left, top, width, height in shares. A polygon (more than four numbers) gives the box round it."""
    try:
        number, values = int(tokens[0]), [float(token) for token in tokens[1:]]
    except (ValueError, IndexError):
        return None
    if not 0 <= number < classes or len(values) < 4 or not all(-0.01 <= value <= 1.01 for value in values):
        return None
    if len(values) == 4:
        x, y, w, h = values
        return str(number), x - w / 2, y - h / 2, w, h
    xs, ys = values[0::2], values[1::2]
    return str(number), min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _coco(folder: Path, path: Path, license_: str, writer: IndexWriter) -> Counts:
    if not path.is_file():
        raise InputError("there is no such file", where=str(path), do="Name the COCO file in sources.….annotations, from the folder")
    with mapped(path) as content:
        decoded = decode(content, path)
    writer.add_classes({"class_id": str(c.id), "name": c.name} for c in decoded.categories)
    writer.exhaustive = True
    by_name = {picture.name: picture.relative_to(folder).as_posix() for picture in reversed(pictures(folder))}
    spdx = {licence.id: spdx_of_url(licence.url) for licence in decoded.licenses}
    paths = {image.id: _inside(image.file_name, folder) or by_name.get(Path(image.file_name).name, image.file_name) for image in decoded.images}
    writer.add_images(
        {
            "image_id": list(paths.values()),
            "split": [split_of(name) for name in paths.values()],
            "url": list(paths.values()),
            "width": [image.width for image in decoded.images],
            "height": [image.height for image in decoded.images],
            "license": [license_ or spdx.get(image.license or -1) or None for image in decoded.images],
        }
    )
    known = [annotation for annotation in decoded.annotations if annotation.image_id in paths]
    if known:
        boxes = dict(zip(("x", "y", "w", "h"), zip(*(a.bbox for a in known), strict=True), strict=True))
        ids = {"image_id": [paths[a.image_id] for a in known], "class_id": [str(a.category_id) for a in known]}
        writer.add_boxes({**ids, **boxes, "iscrowd": [bool(a.iscrowd) for a in known]})
    lost = len(decoded.annotations) - len(known)
    return {"seen": len(decoded.annotations), **({Reason.NO_PICTURE: lost} if lost else {})}


def _inside(name: str, folder: Path) -> str:
    """Return a file name from a COCO file where it stays inside the folder and is there."""
    path = Path(name)
    return name if not path.is_absolute() and ".." not in path.parts and (folder / path).is_file() else ""

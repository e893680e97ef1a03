"""ImageNet's localisation challenge: CSV rows `ImageId,"wnid xmin ymin xmax ymax "*`, in integer pixels; pictures in a folder or archive.

Format: Kaggle's imagenet-object-localization-challenge. Terms: non-commercial research. Only the image's own synset is boxed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boxset.dataset.reasons import Reason
from boxset.errors import InputError
from boxset.sources.licences import RESEARCH_ONLY
from boxset.sources.raw import RawFiles, opened
from boxset.sources.tables import IndexWriter

SPLITS = ("train", "val")
SYNSETS = ("synsets", "LOC_synset_mapping.txt")
BOX_FILES = {"train": "LOC_train_solution.csv", "val": "LOC_val_solution.csv"}
ARCHIVE = ("pictures", "imagenet_object_localization_patched2019.tar.gz")
FOLDER = "ILSVRC/Data/CLS-LOC"
ROWS = 1 << 16
Counts = dict[str, int]


def build(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:
    """Read the synsets and every split's boxes; return rows seen and boxes left out by reason."""
    writer.license = RESEARCH_ONLY
    if files.has(*SYNSETS):
        writer.add_classes(_synsets(files.get(*SYNSETS)))
    counts: Counts = {"seen": 0}
    for split in splits or SPLITS:
        if files.has(f"boxes_{split}", BOX_FILES[split]):
            _boxes(files.get(f"boxes_{split}", BOX_FILES[split]), split, writer, counts)
    if not counts["seen"]:
        raise InputError(
            "neither LOC_train_solution.csv nor LOC_val_solution.csv holds a row", do="Set sources.imagenet.path to the folder of Kaggle's files"
        )
    return counts


def _synsets(path: Path) -> Iterator[dict[str, Any]]:
    with opened(path, "LOC_synset_mapping.txt") as stream:
        for number, line in enumerate(stream.read().decode().splitlines(), 1):
            wnid, _, names = line.strip().partition(" ")
            if not (len(wnid) == 9 and wnid[0] == "n" and wnid[1:].isdigit() and names):
                raise InputError(f"expected `n01440764 tench, Tinca tinca`, found {line[:60]!r}", where=f"{path}:{number}", do="Fetch it again")
            first, *others = (name.strip() for name in names.split(","))
            yield {"class_id": wnid, "name": first, "synonyms": others}


def _boxes(path: Path, split: str, writer: IndexWriter, counts: Counts) -> None:
    rows: list[tuple[str, list[str]]] = []
    with opened(path, path.name) as stream:
        header = stream.readline().decode("utf-8-sig").strip().replace(";", ",")
        if header != "ImageId,PredictionString":
            raise InputError(f"its first line is {header[:60]!r}, not ImageId,PredictionString", where=f"{path}:1", do="This is another file")
        for line in _lines(stream):
            image, _, boxes = line.decode().strip().replace(";", ",", 1).partition(",")
            rows.append((image, boxes.strip('" ').split()))
            counts["seen"] += 1
            if len(rows) == ROWS:
                _add(rows, split, writer, counts)
                rows = []
    _add(rows, split, writer, counts)


def _lines(stream: Any) -> Iterator[bytes]:
    for line in stream:
        for part in line.split(b"\r"):
            if part.strip():
                yield part


def _add(rows: list[tuple[str, list[str]]], split: str, writer: IndexWriter, counts: Counts) -> None:
    images: dict[str, str] = {}
    columns: dict[str, list[Any]] = {name: [] for name in ("image_id", "class_id", "x", "y", "w", "h")}
    for image, tokens in rows:
        corners = _fives(tokens)
        if not image or not corners:
            counts[Reason.BAD_ROW] = counts.get(Reason.BAD_ROW, 0) + 1
            continue
        images[image] = corners[0][0]
        for wnid, left, top, right, bottom in corners:
            for name, value in zip(columns, (image, wnid, left, top, right - left, bottom - top), strict=True):
                columns[name].append(value)
    if images:
        writer.add_boxes(columns)
        writer.add_images(
            {
                "image_id": list(images),
                "split": [split] * len(images),
                "url": [picture_path(image, split, wnid) for image, wnid in images.items()],
                "license": [RESEARCH_ONLY] * len(images),
            }
        )
        own = list(dict.fromkeys(zip(columns["image_id"], columns["class_id"], strict=True)))
        writer.add_verified(
            {"image_id": [i for i, _ in own], "class_id": [c for _, c in own], "present": [True] * len(own), "exhaustive": [True] * len(own)}
        )


def _fives(tokens: list[str]) -> list[tuple[str, float, float, float, float]]:
    """Return the boxes of a row, or nothing where the row is not made of fives."""
    if not tokens or len(tokens) % 5:
        return []
    try:
        return [(tokens[i], *(float(t) for t in tokens[i + 1 : i + 5])) for i in range(0, len(tokens), 5)]  # type: ignore[misc]
    except ValueError:
        return []


def picture_path(image: str, split: str, wnid: str) -> str:
    """Return where a picture lies in the archive."""
    return f"{FOLDER}/train/{wnid}/{image}.JPEG" if split == "train" else f"{FOLDER}/{split}/{image}.JPEG"

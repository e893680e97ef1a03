"""ImageNet's localisation challenge: CSV rows `ImageId,"wnid xmin ymin xmax ymax "*`, in integer pixels; pictures in a folder or archive.

Format: Kaggle's imagenet-object-localization-challenge. Terms: non-commercial research. Only the image's own synset is boxed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from boxset.dataset.reasons import Reason
from boxset.errors import InputError
from boxset.sources.licences import RESEARCH_ONLY
from boxset.sources.raw import RawFiles, opened
from boxset.sources.tables import IndexWriter
from boxset.work import batched

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
    with opened(path, path.name) as stream:
        header = stream.readline().decode("utf-8-sig").strip().replace(";", ",")
        if header != "ImageId,PredictionString":
            raise InputError(f"its first line is {header[:60]!r}, not ImageId,PredictionString", where=f"{path}:1", do="This is another file")
        lines = _lines(stream)
        for part in batched(lines, ROWS):
            counts["seen"] += len(part)
            _add(part, split, writer, counts)


def _lines(stream: Any) -> Iterator[bytes]:
    for line in stream:
        if b"\r" not in line:
            yield line
        else:
            yield from (part for part in line.split(b"\r") if part.strip())


def _add(lines: list[bytes], split: str, writer: IndexWriter, counts: Counts) -> None:
    text = pa.array([line.strip() for line in lines], pa.binary()).cast(pa.string())
    cut = pc.extract_regex(text, r"^(?P<image>[^,;]+)[,;][\" ]*(?P<boxes>[^\"]*)")
    images, boxes = pc.struct_field(cut, "image"), pc.struct_field(cut, "boxes")
    tokens = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(boxes))
    lengths = pc.list_value_length(tokens).to_numpy(zero_copy_only=False)
    good = np.nan_to_num(lengths) >= 5
    good &= np.nan_to_num(lengths) % 5 == 0
    numbers = _numbers(tokens.filter(pa.array(good)))
    if numbers is None:  # a token that is no number: look at every row by itself
        good = np.array([is_good and bool(_fives(row)) for is_good, row in zip(good, tokens.to_pylist(), strict=True)])
        numbers = _numbers(tokens.filter(pa.array(good)))
    bad = len(lines) - int(good.sum())
    if bad:
        counts[Reason.BAD_ROW] = counts.get(Reason.BAD_ROW, 0) + bad
    if bad < len(lines) and numbers is not None:
        _add_columns(images.filter(pa.array(good)), tokens.filter(pa.array(good)), numbers, split, writer)


def _numbers(tokens: pa.ListArray) -> npt.NDArray[np.float64] | None:
    """Return left, top, right, bottom of every box; None where a token is no number."""
    flat = tokens.flatten()
    places = np.arange(len(flat))
    try:
        numbers: npt.NDArray[np.float64] = flat.take(pa.array(places[places % 5 > 0])).cast(pa.float64()).to_numpy()
        return numbers.reshape(-1, 4)
    except pa.ArrowInvalid:
        return None


def _add_columns(images: pa.Array, tokens: pa.ListArray, numbers: npt.NDArray[np.float64], split: str, writer: IndexWriter) -> None:
    rows = pc.list_parent_indices(tokens).to_numpy()[::5]
    classes = tokens.flatten().take(pa.array(np.arange(0, 5 * len(rows), 5))).dictionary_encode()
    left, top, right, bottom = numbers.T
    image_ids = images.take(pa.array(rows))
    corners = {"x": left, "y": top, "w": right - left, "h": bottom - top}
    writer.add_boxes({"image_id": image_ids, "class_id": classes, **{name: pa.array(values) for name, values in corners.items()}})
    pairs = np.unique(rows.astype(np.int64) << 32 | classes.indices.to_numpy(), return_index=True)[1]
    own = pa.array(np.sort(pairs))
    yes = pa.array(np.ones(len(own), bool))
    writer.add_verified({"image_id": image_ids.take(own), "class_id": classes.take(own), "present": yes, "exhaustive": yes})
    firsts = np.unique(rows, return_index=True)[1]
    wnids = dict(zip(images.to_pylist(), classes.take(pa.array(firsts)).to_pylist(), strict=True))
    writer.add_images(
        {
            "image_id": list(wnids),
            "split": [split] * len(wnids),
            "url": [picture_path(image, split, wnid) for image, wnid in wnids.items()],
            "license": [RESEARCH_ONLY] * len(wnids),
        }
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

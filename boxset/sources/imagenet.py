"""ImageNet's localisation challenge: CSV rows `ImageId,"wnid xmin ymin xmax ymax "*`, in integer pixels; pictures in a folder or archive.

Format: Kaggle's imagenet-object-localization-challenge. Terms: non-commercial research. Only the image's own synset is boxed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from boxset.errors import InputError
from boxset.sources.counts import Counts
from boxset.sources.delimited import Columns, LineOf, read_rows
from boxset.sources.licences import RESEARCH_ONLY
from boxset.sources.raw import RawFiles, read_text
from boxset.sources.tables import IndexWriter

SPLITS = ("train", "val")
SYNSETS = ("synsets", "LOC_synset_mapping.txt")
BOX_FILES = {"train": "LOC_train_solution.csv", "val": "LOC_val_solution.csv"}
ARCHIVE = ("pictures", "imagenet_object_localization_patched2019.tar.gz")
FOLDER = "ILSVRC/Data/CLS-LOC"
COLUMNS = ("ImageId", "PredictionString")


def build(files: RawFiles, writer: IndexWriter, splits: tuple[str, ...]) -> Counts:
    """Read the synsets and every split's boxes; return rows seen and boxes left out by reason."""
    writer.license = RESEARCH_ONLY
    if files.has(*SYNSETS):
        writer.add_classes(_synsets(files.get(*SYNSETS)))
    counts = Counts()
    for split in splits or SPLITS:
        if files.has(f"boxes_{split}", BOX_FILES[split]):
            _boxes(files.get(f"boxes_{split}", BOX_FILES[split]), split, writer, counts)
    if not counts.seen:
        raise InputError(
            "neither LOC_train_solution.csv nor LOC_val_solution.csv holds a row", do="Set sources.imagenet.path to the folder of Kaggle's files"
        )
    return counts


def _synsets(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(read_text(path, "LOC_synset_mapping.txt").splitlines(), 1):
        wnid, _, names = line.strip().partition(" ")
        if not line.strip():
            continue
        if not (len(wnid) == 9 and wnid[0] == "n" and wnid[1:].isdigit() and names):
            raise InputError(f"expected `n01440764 tench, Tinca tinca`, found {line[:60]!r}", where=f"{path}:{number}", do="Fetch it again")
        first, *others = (name.strip() for name in names.split(","))
        yield {"class_id": wnid, "name": first, "synonyms": others}


def _boxes(path: Path, split: str, writer: IndexWriter, counts: Counts) -> None:
    def parsed(batch: pa.RecordBatch, row: LineOf) -> tuple[int, _Boxes, Callable[[], InputError]]:
        return batch.num_rows, _sound(batch.column("ImageId"), batch.column("PredictionString")), partial(_first_unsound, batch, row, path)

    form = Columns(types=dict.fromkeys(COLUMNS, pa.string()), needed=COLUMNS)
    for rows, (readable, good, why), file in read_rows(path, form, counts, make=parsed, block=1 << 20):
        counts.seen += rows
        counts.unreadable(file, readable - len(good.images), why)
        if len(good.images):
            _add(good, split, writer)


def _first_unsound(batch: pa.RecordBatch, row: LineOf, path: Path) -> InputError:
    """Say what is wrong with the first row that is left out."""
    rows = zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True)
    place, text = next((n, text) for n, (image, text) in enumerate(rows) if not image or not _fives((text or "").strip('" ').split()))
    line = row(place)
    where = f"{path}:{line}" if line else str(path)
    return InputError(f"expected an image and fives of a synset and four numbers, found {text or ''!r:.60}", where=where)


@dataclass(frozen=True)
class _Boxes:
    """Some rows: images, their words in fives, and the numbers among these as left, top, right, bottom."""

    images: pa.Array
    words: pa.ListArray
    corners: npt.NDArray[np.float64]


def _sound(images: pa.Array, boxes: pa.Array) -> _Boxes:
    """Return the rows that name an image and hold fives of a synset and four numbers."""
    images = pc.utf8_trim(images, '" ')
    words = pc.utf8_split_whitespace(pc.utf8_trim(pc.fill_null(boxes, ""), '" '))
    lengths = pc.list_value_length(words).to_numpy(zero_copy_only=False)
    good = (lengths >= 5) & (lengths % 5 == 0) & images.is_valid().to_numpy(zero_copy_only=False)
    corners = _numbers(words.filter(pa.array(good)))
    if corners is None:  # a word that is no number: look at every row by itself
        good &= np.array([bool(_fives(row)) for row in words.to_pylist()], bool)
        corners = _numbers(words.filter(pa.array(good)))
    assert corners is not None
    kept = pa.array(good)
    return _Boxes(images.filter(kept), words.filter(kept), corners)


def _numbers(tokens: pa.ListArray) -> npt.NDArray[np.float64] | None:
    """Return left, top, right, bottom of every box; None where a token is no number."""
    flat = tokens.flatten()
    places = np.arange(len(flat))
    try:
        numbers: npt.NDArray[np.float64] = flat.take(pa.array(places[places % 5 > 0])).cast(pa.float64()).to_numpy()
        return numbers.reshape(-1, 4)
    except pa.ArrowInvalid:
        return None


def _add(good: _Boxes, split: str, writer: IndexWriter) -> None:
    rows = pc.list_parent_indices(good.words).to_numpy()[::5]
    classes = good.words.flatten().take(pa.array(np.arange(0, 5 * len(rows), 5))).dictionary_encode()
    left, top, right, bottom = good.corners.T
    image_ids = good.images.take(pa.array(rows))
    corners = {"x": left, "y": top, "w": right - left, "h": bottom - top}
    writer.add_boxes({"image_id": image_ids, "class_id": classes, **{name: pa.array(values) for name, values in corners.items()}})
    pairs = np.unique(rows.astype(np.int64) << 32 | classes.indices.to_numpy(), return_index=True)[1]
    own = pa.array(np.sort(pairs))
    yes = pa.array(np.ones(len(own), bool))
    writer.add_verified({"image_id": image_ids.take(own), "class_id": classes.take(own), "present": yes, "exhaustive": yes})
    firsts = classes.take(pa.array(np.unique(rows, return_index=True)[1])).cast(pa.string())
    same = pa.array(np.zeros(len(firsts), np.int8))
    writer.add_images(
        {
            "image_id": good.images,
            "split": pa.array([split]).take(same),
            "url": picture_paths(good.images, split, firsts),
            "license": pa.array([RESEARCH_ONLY]).take(same),
        }
    )


def picture_paths(images: pa.Array, split: str, wnids: pa.Array) -> pa.Array:
    """Return where pictures lie in the archive."""
    folders = [f"{FOLDER}/train/", wnids, "/"] if split == "train" else [f"{FOLDER}/{split}/"]
    return pc.binary_join_element_wise(*folders, images, ".JPEG", "")


def _fives(tokens: list[str]) -> list[tuple[str, float, float, float, float]]:
    """Return the boxes of a row, or nothing where the row is not made of fives."""
    if not tokens or len(tokens) % 5:
        return []
    numbers = _numbers(pa.array([tokens], pa.list_(pa.string())))
    return [] if numbers is None else [(tokens[5 * i], *map(float, box)) for i, box in enumerate(numbers)]  # type: ignore[misc]

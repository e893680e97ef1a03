"""The folder `predictions/`: one file for each model and run, by the pictures' content, so that no rebuild or renumbering touches it.

`<name>.jsonl.gz`: a header, then a line a picture, `{"sha256": …, "boxes": [[category id, left, top, width, height, score], …]}`, pixels with one
decimal, scores with four, the surest first. Of a picture and a category that several files have, the file whose name comes last holds (`v10` after `v9`).
"""

import gzip
import re
import zlib
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from boxset.dataset.predictions import Predictions, Whole, latest
from boxset.errors import InputError, ProjectError
from boxset.files import read_bytes, whole_file
from boxset.sources.raw import refuse_foreign
from boxset.wording import counted

FOLDER = Path("predictions")
SUFFIX = ".jsonl.gz"
FORMAT = "boxset predictions 1"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
THINNEST = 0.1  # pixels of a side
LEVEL = 4  # packs as well as 6, in half the time
OTHERS = {".gitkeep", ".gitignore", "README.md"}
NONE = -1  # id of no category
AGAIN = "`git checkout` or `dvc pull` restores it; `boxset predictions add --replace` writes it anew"
BROKEN = (OSError, EOFError, zlib.error)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. `categories`: the names that the ids had."""

    format: str
    categories: dict[int, str]
    pictures: int
    boxes: int


Share = Annotated[float, Meta(ge=0, le=1)]
Place = Annotated[float, Meta(ge=0, le=1e6)]
Side = Annotated[float, Meta(gt=0, le=1e6)]


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One box."""

    category_id: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
    left: Place
    top: Place
    width: Side
    height: Side
    score: Share


class Line(msgspec.Struct, frozen=True):
    """One picture that the model was run on."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    boxes: tuple[Row, ...]


def path_of(name: str, folder: Path = FOLDER) -> Path:
    """Return where a model's predictions lie. Raises InputError for what can be no name."""
    if not NAME.fullmatch(name) or name.endswith(SUFFIX):
        raise InputError(f"{name!r} is no name: letters, digits, dots, hyphens and underscores, as in v1", where="--name")
    return folder / f"{name}{SUFFIX}"


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of the files that are there, the one that holds last. Raises ProjectError where DVC has one that is not here."""
    found = {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith(".")}
    for name in sorted(found):
        if not NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name", where=str(folder / f"{name}{SUFFIX}"), do="Rename it: letters, digits, dots, hyphens and underscores, as in v1")
    for path in sorted(folder.glob("*.dvc")):
        if path.name.endswith(f"{SUFFIX}.dvc") and path.name.removesuffix(f"{SUFFIX}.dvc") not in found:
            raise ProjectError("DVC keeps these predictions, and they are not here", where=str(path.with_suffix("")), do=f"`dvc pull {path}` fetches them")
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if not path.name.startswith(".") and not path.name.endswith((SUFFIX, f"{SUFFIX}.dvc")) and path.name not in OTHERS:
            do = "`boxset predictions add` reads a detector's results into this folder; keep the file elsewhere"
            raise InputError("not what `boxset predictions add` writes", where=str(path), do=do)
    return sorted(found, key=_natural)


def kept_by_dvc(path: Path) -> Path | None:
    """Return the file by which DVC keeps a model's predictions, or None where they are in git."""
    pointer = path.with_name(f"{path.name}.dvc")
    return pointer if pointer.exists() else None


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key by which v9 comes before v10, and v01 before v1."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", name)], name


def read_folder(folder: Path = FOLDER, *, categories: Mapping[int, str]) -> Predictions:
    """Return of each picture the predictions that hold; none where the folder is empty. Raises InputError naming file and line.

    `categories`: the names of today's ids. An id that has another category's place since then is read as the id that its category has today.
    """
    return latest([read(name, folder, categories=categories) for name in names(folder)])


def write(path: Path, predictions: Predictions, categories: Mapping[int, str]) -> None:
    """Write a file; the same predictions give the same bytes."""
    encoder = msgspec.json.Encoder()
    named = {i: categories[i] for i in sorted(categories)}
    header = Header(format=FORMAT, categories=named, pictures=len(predictions.pictures), boxes=len(predictions))
    with whole_file(path) as out, gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=out, mtime=0) as packed:
        packed.write(encoder.encode(header) + b"\n")
        for place, sha256 in enumerate(predictions.pictures):
            packed.write(encoder.encode({"sha256": sha256, "boxes": _rows(predictions, place)}) + b"\n")


def _rows(predictions: Predictions, place: int) -> list[tuple[float, ...]]:
    part = slice(*predictions.starts[place : place + 2])
    boxes = predictions.boxes[part].round(1)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], THINNEST)
    columns = (predictions.category_ids[part], boxes, predictions.scores[part].round(4))
    return [(category_id, *box, score) for category_id, box, score in zip(*(column.tolist() for column in columns), strict=True)]


def read(name: str, folder: Path = FOLDER, *, categories: Mapping[int, str] | None = None) -> Predictions:
    """Read a file strictly. Raises InputError naming file and line. `categories`: as for `read_folder`; without them ids stay as they are written."""
    path = path_of(name, folder)
    lines = _unpacked(path)
    header = _decoded(lines[0] if lines else b"", Header, path, 1)
    if header.format != FORMAT:
        raise InputError(f"format: {header.format!r} is none that this version reads", where=f"{path}:1", do="Update Boxset, or add the results again")
    decoder = msgspec.json.Decoder(Line)
    pictures: list[str] = []
    counts, flat = array("q"), array("d")
    for number, text in enumerate(lines[1:], 2):
        try:
            line = decoder.decode(text)
        except msgspec.MsgspecError as err:
            raise InputError(f"not what was expected: {err}", where=f"{path}:{number}", do=AGAIN) from err
        if pictures and line.sha256 <= pictures[-1]:
            raise InputError("sha256: the pictures are not in their order", where=f"{path}:{number}", do=AGAIN)
        pictures.append(line.sha256)
        counts.append(len(line.boxes))
        for row in line.boxes:
            flat.extend((row.category_id, row.left, row.top, row.width, row.height, row.score))
    table = np.frombuffer(flat, np.float64).reshape(-1, 6) if flat else np.zeros((0, 6))
    if (len(pictures), len(table)) != (header.pictures, header.boxes):
        what = f"{counted(len(pictures), 'picture')} and {counted(len(table), 'box')}, and the first line says {header.pictures:,} and {header.boxes:,}"
        raise InputError(what, where=str(path), do=AGAIN)
    starts = np.concatenate([[0], np.cumsum(np.array(counts, np.int64))]).astype(np.int64)
    model_of = np.zeros(len(pictures), np.int64)
    ids = _ids_today(table[:, 0].astype(np.int64), header.categories, categories or {})
    return Predictions(tuple(pictures), starts, ids, table[:, 1:5].copy(), table[:, 5].copy(), (name,), model_of)


def _ids_today(ids: Whole, then: Mapping[int, str], today: Mapping[int, str]) -> Whole:
    """Return the ids that categories have today. A name that is no more keeps its id, as one that was renamed, unless another of then has taken it."""
    found, places = ids.copy(), {name: i for i, name in today.items()}
    for old, name in then.items():
        taken = today.get(old) in then.values()
        found[ids == old] = places.get(name, NONE if taken else old)
    return found


def _unpacked(path: Path) -> Sequence[bytes]:
    content = read_bytes(path)
    refuse_foreign(content[:512], path)
    try:
        return gzip.decompress(content).splitlines()
    except BROKEN as err:
        raise InputError(f"cannot be unpacked: {err}", where=str(path), do=AGAIN) from err


def _decoded(text: bytes, kind: type[Header], path: Path, number: int) -> Header:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as err:
        raise InputError(f"not what was expected: {err}", where=f"{path}:{number}", do=AGAIN) from err

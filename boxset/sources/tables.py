"""The four tables of an index: the same for every source, written by streaming, read by class.

`boxes.parquet` and `verified.parquet` lie clustered by class: `about.json` says at which rows each class stands, so that a
reader touches only the row groups that it needs. Rows of one class keep the order of the source's file.
"""

import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from boxset.errors import InputError
from boxset.files import read_json, write_json
from boxset.sources.clustered import ROW_GROUP, Clustered, Numbers, as_column
from boxset.sources.image_ids import as_fixed, as_numbers, steps_between
from boxset.work import Behind

FLAGS = ("group_of", "occluded", "truncated", "depiction", "inside", "iscrowd")
CLASSES = pa.schema(
    [
        ("class_id", pa.string()),
        ("name", pa.string()),
        ("synonyms", pa.list_(pa.string())),
        ("parents", pa.list_(pa.string())),
        ("images", pa.int64()),
        ("boxes", pa.int64()),
    ]
)
IMAGES = pa.schema(
    [
        ("image_id", pa.string()),
        ("split", pa.string()),
        ("url", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("license", pa.string()),
        ("author", pa.string()),
        ("author_url", pa.string()),
        ("title", pa.string()),
        ("landing_url", pa.string()),
        ("original_url", pa.string()),
        ("flickr_id", pa.string()),
        ("coco_id", pa.string()),
        ("rotation", pa.int16()),
    ]
)
_IDS = [pa.field(name, pa.string(), nullable=False) for name in ("image_id", "class_id")]  # what is never null is written in two thirds of the time
BOXES = pa.schema([*_IDS, *(pa.field(name, pa.float64(), nullable=False) for name in ("x", "y", "w", "h")), *(pa.field(flag, pa.bool_()) for flag in FLAGS)])
VERIFIED = pa.schema([*_IDS, ("present", pa.bool_()), ("exhaustive", pa.bool_())])

Coordinates = Literal["pixels", "fraction"]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the whole index."""

    source: str
    format: str
    version: int
    coordinates: Coordinates
    exhaustive: bool  # every class of the vocabulary is fully boxed in every image, so that no box means: absent
    license: str  # terms of the whole source where they bind every image, e.g. research only
    torn: tuple[str, ...] = ()  # images of which a record cannot be read, so that nothing is absent or fully boxed in them
    boxes: dict[str, tuple[int, int]]  # class → first row, number of rows
    verified: dict[str, tuple[int, int]]


class IndexWriter:
    """Writes an index beside its final place; it moves there when the block ends well. Columns may be left out: they become null."""

    def __init__(self, out: Path, *, source: str, format: str, version: int, coordinates: Coordinates) -> None:  # noqa: A002 - the field's word
        self._out, self._about = out, {"source": source, "format": format, "version": version, "coordinates": coordinates}
        self._scratch = TemporaryDirectory(prefix=f"{out.name}-", dir=_scratch_root())
        self._new = Path(self._scratch.name)
        self._images = pq.ParquetWriter(self._new / "images.parquet", IMAGES, compression="zstd", compression_level=1)
        self._images_waiting: list[pa.Table] = []
        self._behind, self._ending = Behind(), Behind()
        self._written: tuple[dict[str, tuple[int, int]], dict[str, int]] | None = None  # the boxes' rows and images by class
        self._numbers = Numbers()
        self._boxes = Clustered(self._new / "boxes.parquet", BOXES, self._numbers)
        self._verified = Clustered(self._new / "verified.parquet", VERIFIED, self._numbers)
        self._classes: dict[str, list[Any]] = {"class_id": [], "name": [], "synonyms": [], "parents": []}
        self.exhaustive, self.license, self.torn = False, "", set[str]()
        self.images = self.boxes = self.verified = self.second_images = 0
        self._last_id: pa.Array | None = None  # of the images so far, as long as their ids only rise: then none comes twice
        self._rising = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            for part in (self._behind, self._ending, self._boxes, self._verified):
                part.close()
            self._scratch.cleanup()

    def add_classes(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add classes: class_id, name, synonyms, parents."""
        for row in rows:
            for name, column in self._classes.items():
                column.append(row.get(name, ()))

    def known_classes(self) -> set[str]:
        """Return the ids of the classes added so far."""
        return set(self._classes["class_id"])

    def class_names(self) -> dict[str, str]:
        """Return the names of the classes added so far, by their ids."""
        return dict(zip(self._classes["class_id"], self._classes["name"], strict=True))

    def class_number(self, class_id: str) -> int:
        """Return a class's number, by which `add_boxes` and `add_verified` take it faster than by its id."""
        return self._numbers[class_id]

    def class_id(self, number: int) -> str:
        """Return the class that has a number."""
        return self._numbers.names[number]

    def add_images(self, columns: dict[str, Any]) -> None:
        """Add images by column. Of several with one id the first holds; the others are counted in `second_images` at the end."""
        table = _table(columns, IMAGES)
        self._watch(table.column("image_id"))
        self.images += table.num_rows
        self._images_waiting.append(table)
        if sum(part.num_rows for part in self._images_waiting) >= ROW_GROUP:
            self._write_images()

    def _watch(self, ids: pa.ChunkedArray) -> None:
        if self._rising and len(ids):
            before = [self._last_id] if self._last_id is not None else []
            row = pa.concat_arrays([*before, *ids.chunks])
            fixed = as_fixed(row)
            wide = fixed if fixed is not None and fixed.type == pa.binary(16) else row
            steps = steps_between(wide, as_numbers(wide))
            self._rising, self._last_id = steps is not None and bool((steps > 0).all()), row[-1:]

    def _drop_second_images(self) -> None:
        """Write the images anew where an id comes twice; what is in memory is their ids."""
        path = self._new / "images.parquet"
        ids = pq.read_table(path, columns=["image_id"]).column("image_id").combine_chunks().dictionary_encode()
        codes = ids.indices.to_numpy()
        firsts = np.zeros(len(codes), bool)
        firsts[np.unique(codes, return_index=True)[1]] = True
        self.second_images = int(len(codes) - firsts.sum())
        if self.second_images:
            self.images -= self.second_images
            _filter_rows(path, firsts)

    def _write_images(self) -> None:
        if self._images_waiting:
            self._behind.run(partial(self._images.write_table, pa.concat_tables(self._images_waiting)))
            self._images_waiting = []

    def add_boxes(self, columns: dict[str, Any]) -> int:
        """Add boxes by column, `class_id` as texts, a dictionary of them, or class numbers, `image_id` as texts or numbers; return how many there were."""
        rows = self._boxes.add(columns)
        self.boxes += rows
        return rows

    def end_boxes(self) -> None:
        """Put the boxes in order and write them while the caller goes on: none follows. Without it this is done when the block ends."""
        self._ending.run(self._write_boxes)

    def _write_boxes(self) -> None:
        self._written = self._boxes.finish()

    def add_verified(self, columns: dict[str, Any]) -> None:
        """Add what people have verified, by column."""
        self.verified += self._verified.add(columns)

    def _finish(self) -> None:
        self._write_images()
        self._ending.wait()
        rows, images = self._written or self._boxes.finish()
        verified, _ = self._verified.finish()
        self._behind.wait()
        self._images.close()
        if not self._rising:
            self._drop_second_images()
        self.add_classes({"class_id": class_id, "name": class_id} for class_id in sorted(set(rows) - self.known_classes()))
        ids = self._classes["class_id"]
        counts = {"images": [images.get(c, 0) for c in ids], "boxes": [rows.get(c, (0, 0))[1] for c in ids]}
        pq.write_table(pa.table({**self._classes, **counts}, CLASSES).sort_by("class_id"), self._new / "classes.parquet")
        whole = {"exhaustive": self.exhaustive, "license": self.license, "torn": tuple(sorted(self.torn))}
        about = About(**self._about, **whole, boxes=rows, verified=verified)  # type: ignore[arg-type]
        write_json(self._new / "about.json", about)
        self._replace()

    def _replace(self) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        for old in self._out.iterdir():
            if not (self._new / old.name).exists():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in sorted(self._new.iterdir()):
            (self._out / new.name).unlink(missing_ok=True)
            shutil.move(new, self._out / new.name)


def _filter_rows(path: Path, kept: npt.NDArray[np.bool_]) -> None:
    whole, done = path.with_suffix(".all"), 0
    path.replace(whole)
    with pq.ParquetFile(whole) as file, pq.ParquetWriter(path, file.schema_arrow, compression="zstd", compression_level=1) as out:
        for batch in file.iter_batches(ROW_GROUP):
            out.write_batch(batch.filter(pa.array(kept[done : done + batch.num_rows])))
            done += batch.num_rows
    whole.unlink()


def _scratch_root() -> Path:
    root = Path(".boxset/scratch")
    root.mkdir(parents=True, exist_ok=True)
    return root


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    length = len(next(iter(columns.values())))
    arrays = [as_column(columns[field.name], field.type) if field.name in columns else pa.nulls(length, field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def about(index: Path) -> About:
    """Read what holds for a whole index. Raises InputError where there is none."""
    if not (index / "about.json").exists():
        raise InputError("there is no index here", where=str(index), do=f"`dvc repro index@{index.name}`, or `dvc pull`")
    return _about(index / "about.json", (index / "about.json").stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _about(path: Path, _written_ns: int) -> About:
    return read_json(path, About)  # five megabytes where people name things freely


def classes_table(index: Path) -> pa.Table:
    """Return all classes: class_id, name, synonyms, parents, images, boxes."""
    return pq.read_table(index / "classes.parquet")


def read_boxes(index: Path, class_ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
    """Return the boxes of some classes, reading only the row groups that hold them, and only some columns where they are named."""
    schema = pa.schema([BOXES.field(name) for name in columns]) if columns else BOXES
    return _read_clustered(index / "boxes.parquet", schema, about(index).boxes, class_ids)


def read_verified(index: Path, class_ids: Sequence[str]) -> pa.Table:
    """Return what is verified of some classes."""
    return _read_clustered(index / "verified.parquet", VERIFIED, about(index).verified, class_ids)


def read_images(index: Path, image_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return some images by their ids; in memory are only these, and a batch of the others."""
    import pyarrow.compute as pc

    wanted = pa.array(sorted(set(image_ids)), pa.string())
    rows: dict[str, dict[str, Any]] = {}
    with pq.ParquetFile(index / "images.parquet") as file:
        for batch in file.iter_batches(ROW_GROUP):
            found = batch.filter(pc.is_in(batch.column("image_id"), value_set=wanted))
            rows |= {row["image_id"]: row for row in found.to_pylist()}
    return rows


def image_columns(index: Path, columns: Sequence[str]) -> pa.Table:
    """Return some columns of every image, in the order of the source; texts that repeat come as dictionaries."""
    repeating = [name for name in columns if name in ("split", "license")]
    return pq.read_table(index / "images.parquet", columns=list(columns), read_dictionary=repeating)


def all_images(index: Path) -> list[dict[str, Any]]:
    """Return every image, in the order of the source."""
    rows: list[dict[str, Any]] = pq.read_table(index / "images.parquet").to_pylist()
    return rows


def _read_clustered(path: Path, schema: pa.Schema, where: dict[str, tuple[int, int]], class_ids: Sequence[str]) -> pa.Table:
    """Return the rows of some classes. Their ids are known without being read, and nothing is cast: that would load pyarrow.compute, for longer than it takes to read them."""
    spans = sorted((where[name], name) for name in set(class_ids) if name in where)
    if not spans:
        return schema.empty_table()
    with pq.ParquetFile(path) as file:
        starts, total = [], 0
        for number in range(file.metadata.num_row_groups):
            starts.append(total)
            total += file.metadata.row_group(number).num_rows
        starts.append(total)
        stored = [name for name in schema.names if name != "class_id"]
        found = pa.concat_tables(_span(file, starts, (first, first + count), stored) for (first, count), _ in spans)
    classes = pa.chunked_array([_repeated(name, count) for (_, count), name in spans])
    return pa.Table.from_arrays([classes if name == "class_id" else found.column(name) for name in schema.names], schema=schema).combine_chunks()


def _repeated(text: str, count: int) -> pa.StringArray:
    """Return a text so many times. `pa.repeat` would import pandas for it."""
    encoded = text.encode()
    ends = np.arange(count + 1, dtype=np.int32) * len(encoded)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(encoded * count))


def _span(file: pq.ParquetFile, starts: list[int], rows: tuple[int, int], columns: list[str]) -> pa.Table:
    first, end = rows
    groups = [number for number in range(len(starts) - 1) if starts[number] < end and starts[number + 1] > first]
    return file.read_row_groups(groups, columns=columns).slice(first - starts[groups[0]], end - first)

"""The four tables of an index: the same for every source, written by streaming, read by class.

`boxes.parquet` and `verified.parquet` lie clustered by class: `about.json` says at which rows each class stands, so that a
reader touches only the row groups that it needs. Rows of one class keep the order of the source's file.
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from boxset.errors import InputError
from boxset.files import read_json, write_json
from boxset.work import in_threads

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
        ("title", pa.string()),
        ("landing_url", pa.string()),
        ("flickr_id", pa.string()),
        ("coco_id", pa.string()),
        ("rotation", pa.int16()),
    ]
)
BOXES = pa.schema(
    [("image_id", pa.string()), ("class_id", pa.string())]
    + [(name, pa.float64()) for name in ("x", "y", "w", "h")]
    + [(flag, pa.bool_()) for flag in FLAGS]
)
VERIFIED = pa.schema([("image_id", pa.string()), ("class_id", pa.string()), ("present", pa.bool_()), ("exhaustive", pa.bool_())])

ROW_GROUP = 1 << 15
BUCKETS = 48

Coordinates = Literal["pixels", "fraction"]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the whole index."""

    source: str
    format: str
    version: int
    coordinates: Coordinates
    exhaustive: bool  # every class of the vocabulary is fully boxed in every image, so that no box means: absent
    license: str  # terms of the whole source where they bind every image, e.g. research only
    boxes: dict[str, tuple[int, int]]  # class → first row, number of rows
    verified: dict[str, tuple[int, int]]


class IndexWriter:
    """Writes an index beside its final place; it moves there when the block ends well. Columns may be left out: they become null."""

    def __init__(self, out: Path, *, source: str, format: str, version: int, coordinates: Coordinates) -> None:  # noqa: A002 - the field's word
        self._out, self._about = out, {"source": source, "format": format, "version": version, "coordinates": coordinates}
        self._scratch = TemporaryDirectory(prefix=f"{out.name}-", dir=_scratch_root())
        self._new = Path(self._scratch.name)
        self._images = pq.ParquetWriter(self._new / "images.parquet", IMAGES, compression="zstd", compression_level=1)
        self._boxes = _Clustered(self._new / "boxes.parquet", BOXES)
        self._verified = _Clustered(self._new / "verified.parquet", VERIFIED)
        self._classes: list[dict[str, Any]] = []
        self.exhaustive, self.license = False, ""
        self.images = self.boxes = self.verified = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._scratch.cleanup()

    def add_classes(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add classes: class_id, name, synonyms, parents."""
        self._classes += rows

    def known_classes(self) -> set[str]:
        """Return the ids of the classes added so far."""
        return {row["class_id"] for row in self._classes}

    def add_images(self, columns: dict[str, Any]) -> None:
        """Add images by column."""
        table = _table(columns, IMAGES)
        self.images += table.num_rows
        self._images.write_table(table)

    def add_boxes(self, columns: dict[str, Any]) -> None:
        """Add boxes by column."""
        table = _table(columns, BOXES)
        self.boxes += table.num_rows
        self._boxes.add(table)

    def add_verified(self, columns: dict[str, Any]) -> None:
        """Add what people have verified, by column."""
        table = _table(columns, VERIFIED)
        self.verified += table.num_rows
        self._verified.add(table)

    def _finish(self) -> None:
        self._images.close()
        rows, images = self._boxes.finish()
        verified, _ = self._verified.finish()
        known = {row["class_id"] for row in self._classes}
        self._classes += [{"class_id": c, "name": c} for c in sorted(set(rows) - known)]
        for row in self._classes:
            row["boxes"], row["images"] = rows.get(row["class_id"], (0, 0))[1], images.get(row["class_id"], 0)
        ordered = sorted(self._classes, key=lambda row: row["class_id"])
        lists: dict[str, list[str]] = {"synonyms": [], "parents": []}
        pq.write_table(pa.Table.from_pylist([{**lists, **row} for row in ordered], CLASSES), self._new / "classes.parquet")
        about = About(**self._about, exhaustive=self.exhaustive, license=self.license, boxes=rows, verified=verified)  # type: ignore[arg-type]
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


def _scratch_root() -> Path:
    root = Path(".boxset/scratch")
    root.mkdir(parents=True, exist_ok=True)
    return root


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    length = len(next(iter(columns.values())))
    arrays = [_column(columns[field.name], field.type) if field.name in columns else pa.nulls(length, field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(values: Any, as_type: pa.DataType) -> Any:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values if values.type == as_type else values.cast(as_type)
    return pa.array(values, as_type)


class _Clustered:
    """Rows in any order in, a Parquet file clustered by class out; in memory is never more than a bucket of classes."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._codes: dict[str, int] = {}
        coded = [pa.field("code", pa.int32()) if field.name == "class_id" else field for field in schema]
        self._coded = pa.schema(coded)
        self._buckets: dict[int, Any] = {}
        self._files: dict[int, Path] = {}

    def add(self, table: pa.Table) -> None:
        """Spill rows to the buckets of their classes."""
        for batch in table.combine_chunks().to_batches():
            codes = self._coded_classes(batch.column("class_id"))
            position = self._schema.get_field_index("class_id")
            coded = pa.RecordBatch.from_arrays([codes if i == position else batch.column(i) for i in range(batch.num_columns)], schema=self._coded)
            buckets = pc.bit_wise_and(codes, 63) if BUCKETS == 64 else pc.subtract(codes, pc.multiply(pc.divide(codes, BUCKETS), BUCKETS))
            order = pc.sort_indices(pa.table({"b": buckets}), sort_keys=[("b", "ascending")])
            ordered, sorted_buckets = coded.take(order), buckets.take(order)
            runs = pc.run_end_encode(sorted_buckets)
            start = 0
            for value, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                self._bucket(value).write_batch(ordered.slice(start, end - start))
                start = end

    def _coded_classes(self, classes: Any) -> Any:
        encoded = classes.dictionary_encode()
        mapping = pa.array([self._codes.setdefault(name, len(self._codes)) for name in encoded.dictionary.to_pylist()], pa.int32())
        return mapping.take(encoded.indices)

    def _bucket(self, number: int) -> Any:
        if number not in self._buckets:
            self._files[number] = self._path.with_name(f"{self._path.stem}.{number}.arrow")
            self._buckets[number] = pa.ipc.new_stream(self._files[number], self._coded)
        return self._buckets[number]

    def finish(self) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
        """Write the file; return each class's first row and number of rows, and its number of images."""
        rows: dict[str, tuple[int, int]] = {}
        images: dict[str, int] = {}
        names = list(self._codes)
        done = 0
        for stream in self._buckets.values():
            stream.close()
        with pq.ParquetWriter(self._path, self._schema, compression="lz4", use_dictionary=["class_id"], write_statistics=False) as out:
            for table, found in in_threads(self._sorted, sorted(self._files.items()), workers=2, ahead=1):
                for code, (count, distinct) in found.items():
                    rows[names[code]] = (done, count)
                    images[names[code]] = distinct
                    done += count
                self._write(out, table, names)
        return rows, images

    def _sorted(self, bucket: tuple[int, Path]) -> tuple[pa.Table, dict[int, tuple[int, int]]]:
        """Return a bucket's rows by class, and each class's number of rows and of images."""
        with pa.ipc.open_stream(bucket[1]) as stream:
            table = stream.read_all()
        bucket[1].unlink()
        ordered = table.take(pc.sort_indices(table, sort_keys=[("code", "ascending")])).combine_chunks()
        counted = ordered.group_by("code", use_threads=False).aggregate([("image_id", "count_distinct"), ("code", "count")])
        found = {row["code"]: (row["code_count"], row["image_id_count_distinct"]) for row in counted.to_pylist()}
        return ordered, dict(sorted(found.items()))

    def _write(self, out: pq.ParquetWriter, ordered: pa.Table, names: list[str]) -> None:
        codes = ordered.column("code").combine_chunks()
        here = pc.unique(codes)
        local = pc.index_in(codes, value_set=here)
        classes = pa.DictionaryArray.from_arrays(local, pa.array([names[code] for code in here.to_pylist()])).cast(pa.string())
        position = self._schema.get_field_index("class_id")
        columns = [classes if i == position else column for i, column in enumerate(ordered.columns)]
        out.write_table(pa.Table.from_arrays(columns, schema=self._schema), ROW_GROUP)


def about(index: Path) -> About:
    """Read what holds for a whole index. Raises InputError where there is none."""
    if not (index / "about.json").exists():
        raise InputError("there is no index here", where=str(index), do=f"`dvc repro index@{index.name}`, or `dvc pull`")
    return read_json(index / "about.json", About)


def read_classes(index: Path) -> list[dict[str, Any]]:
    """Return all classes: class_id, name, synonyms, parents, images, boxes."""
    rows: list[dict[str, Any]] = pq.read_table(index / "classes.parquet").to_pylist()
    return rows


def read_boxes(index: Path, class_ids: Sequence[str]) -> pa.Table:
    """Return the boxes of some classes, reading only the row groups that hold them."""
    return _read_clustered(index / "boxes.parquet", BOXES, about(index).boxes, class_ids)


def read_verified(index: Path, class_ids: Sequence[str]) -> pa.Table:
    """Return what is verified of some classes."""
    return _read_clustered(index / "verified.parquet", VERIFIED, about(index).verified, class_ids)


def read_images(index: Path, image_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return some images by their ids."""
    import pyarrow.dataset as ds

    wanted = pa.array(sorted(set(image_ids)), pa.string())
    found = ds.dataset(index / "images.parquet").to_table(filter=ds.field("image_id").isin(wanted))
    return {row["image_id"]: row for row in found.to_pylist()}


def all_images(index: Path) -> list[dict[str, Any]]:
    """Return every image, in the order of the source."""
    rows: list[dict[str, Any]] = pq.read_table(index / "images.parquet").to_pylist()
    return rows


def _read_clustered(path: Path, schema: pa.Schema, where: dict[str, tuple[int, int]], class_ids: Sequence[str]) -> pa.Table:
    spans = sorted(where[name] for name in set(class_ids) if name in where)
    if not spans:
        return schema.empty_table()
    with pq.ParquetFile(path) as file:
        starts, total = [], 0
        for number in range(file.metadata.num_row_groups):
            starts.append(total)
            total += file.metadata.row_group(number).num_rows
        starts.append(total)
        parts = [_span(file, starts, first, first + count) for first, count in spans]
    return pa.concat_tables(parts).combine_chunks()


def _span(file: pq.ParquetFile, starts: list[int], first: int, end: int) -> pa.Table:
    groups = [number for number in range(len(starts) - 1) if starts[number] < end and starts[number + 1] > first]
    return file.read_row_groups(groups).slice(first - starts[groups[0]], end - first)

"""The four tables of an index: the same for every source, written by streaming, read by class.

`boxes.parquet` and `verified.parquet` lie clustered by class: `about.json` says at which rows each class stands, so that a
reader touches only the row groups that it needs. Rows of one class keep the order of the source's file.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from boxset.errors import InputError
from boxset.files import read_json, write_json
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
BOXES = pa.schema(
    [("image_id", pa.string()), ("class_id", pa.string())]
    + [(name, pa.float64()) for name in ("x", "y", "w", "h")]
    + [(flag, pa.bool_()) for flag in FLAGS]
)
VERIFIED = pa.schema([("image_id", pa.string()), ("class_id", pa.string()), ("present", pa.bool_()), ("exhaustive", pa.bool_())])

ROW_GROUP = 1 << 15
BUCKETS = 48
RUN, LONG_RUN = 1 << 16, 1 << 19  # rows ordered at once; the longer one where that leaves no class with a short piece
MOST_OWN = 64  # common are classes with more than this part of the first run
SHORT_PIECE = 1 << 9  # rows; shorter pieces are quicker sorted than put together one by one

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
        self._behind = Behind()
        self._numbers = _Numbers()
        self._boxes = _Clustered(self._new / "boxes.parquet", BOXES, self._numbers)
        self._verified = _Clustered(self._new / "verified.parquet", VERIFIED, self._numbers)
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
            for part in (self._behind, self._boxes, self._verified):
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
            fixed = _as_fixed(row)
            wide = fixed if fixed is not None and fixed.type == pa.binary(16) else row
            steps = _steps(wide, _as_numbers(wide))
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
        """Add boxes by column, `class_id` as texts, a dictionary of them, or class numbers; return how many there were."""
        rows = self._boxes.add(columns)
        self.boxes += rows
        return rows

    def add_verified(self, columns: dict[str, Any]) -> None:
        """Add what people have verified, by column."""
        self.verified += self._verified.add(columns)

    def _finish(self) -> None:
        self._write_images()
        rows, images = self._boxes.finish()
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
    arrays = [_column(columns[field.name], field.type) if field.name in columns else pa.nulls(length, field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(values: Any, as_type: pa.DataType) -> Any:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values if values.type == as_type else values.cast(as_type)
    return pa.array(values, as_type)


class _Numbers(dict[str, int]):
    """Numbers classes in the order in which they are met."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __missing__(self, class_id: str) -> int:
        self[class_id] = number = len(self.names)
        self.names.append(class_id)
        return number


class _Clustered:
    """Rows in any order in, a Parquet file clustered by class out; in memory is never more than a run of rows, or a bucket of rare classes.

    An external bucket sort: runs of rows are ordered by class and spilled, and each bucket's runs are put together at the end. A class
    that is common in the first run has a bucket to itself, whose runs follow one another as they are.
    """

    def __init__(self, path: Path, schema: pa.Schema, numbers: _Numbers) -> None:
        self._path, self._numbers = path, numbers
        self._schema = schema.set(1, pa.field("class_id", pa.dictionary(pa.int32(), pa.string())))
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._id_type: pa.DataType | None = None
        self._streams: dict[int, Any] = {}
        self._files: dict[int, list[Path]] = {}
        self._own: dict[int, int] | None = None  # a common class's code → its bucket, once a run is full
        self._behind = Behind()

    def close(self) -> None:
        """End the thread that spills."""
        self._behind.close()
        self._close_streams()

    def add(self, columns: dict[str, Any]) -> int:
        """Take rows by column, `class_id` as texts, a dictionary of them, or class numbers; return how many there were."""
        codes = self._codes(columns["class_id"])
        if not len(codes):
            return 0
        others = [field for field in self._schema if field.name != "class_id"]
        arrays = [codes]
        arrays += [_column(columns[field.name], field.type) if field.name in columns else pa.nulls(len(codes), field.type) for field in others]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, names=["code", *(field.name for field in others)]))
        self._rows += len(codes)
        if self._rows >= (LONG_RUN if len(self._numbers) * SHORT_PIECE <= LONG_RUN else RUN):
            self._spill()
        return len(codes)

    def _codes(self, classes: Any) -> pa.Array:
        if isinstance(classes, np.ndarray):
            return pa.array(classes, pa.int32())
        if not isinstance(classes, pa.DictionaryArray):
            classes = _column(classes, pa.string()).dictionary_encode()
        return pa.array([self._numbers[name] for name in classes.dictionary.to_pylist()], pa.int32()).take(classes.indices)

    def _spill(self) -> None:
        """Hand what is waiting over to be written, while more is read."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if waiting:
            _hand_back()
            self._behind.run(partial(self._write_run, waiting, len(self._numbers)))

    def _write_run(self, waiting: list[pa.RecordBatch], classes: int) -> None:
        """Write rows to the buckets, in each by class, rows of one class in the order they came."""
        table = pa.Table.from_batches(waiting).combine_chunks()
        fixed = _as_fixed(table.column("image_id").chunk(0))
        if fixed is not None:
            table = table.set_column(table.schema.get_field_index("image_id"), "image_id", fixed)
        codes = table.column("code").to_numpy()
        buckets = self._buckets(codes, classes)
        ranks = np.empty(classes, np.uint16 if classes < 1 << 16 else np.uint32)  # 16 bits are sorted by radix
        ranks[np.lexsort((np.arange(classes), buckets))] = np.arange(classes)
        order = np.argsort(ranks[codes], kind="stable")
        batch = table.take(pa.array(order)).combine_chunks().to_batches()[0]
        sorted_buckets = buckets[codes[order]]
        starts = _starts(sorted_buckets)
        self._open_for(batch.schema)
        for bucket, (start, end) in zip(sorted_buckets[starts].tolist(), pairwise([*starts.tolist(), len(order)]), strict=True):
            self._stream(bucket, batch.schema).write_batch(batch.slice(start, end - start))

    def _buckets(self, codes: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
        """Return each class's bucket; the first full run decides which classes have one to themselves."""
        if self._own is None:
            common = np.flatnonzero(np.bincount(codes) * MOST_OWN > len(codes)) if len(codes) >= RUN else ()
            self._own = {int(code): BUCKETS + number for number, code in enumerate(common)}
        buckets = np.arange(classes) % BUCKETS
        buckets[list(self._own)] = list(self._own.values())
        return buckets

    def _open_for(self, schema: pa.Schema) -> None:
        """Start new files where the ids' type is another than before."""
        id_type = schema.field("image_id").type
        if id_type != self._id_type:
            self._id_type = id_type
            self._close_streams()

    def _close_streams(self) -> None:
        for stream in self._streams.values():
            stream.close()
        self._streams = {}

    def _stream(self, bucket: int, schema: pa.Schema) -> Any:
        if bucket not in self._streams:
            files = self._files.setdefault(bucket, [])
            files.append(self._path.with_name(f"{self._path.stem}.{bucket}.{len(files)}.arrow"))
            self._streams[bucket] = pa.ipc.new_stream(files[-1], schema)
        return self._streams[bucket]

    def finish(self) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
        """Write the file; return each class's first row and number of rows, and its number of images."""
        self._spill()
        self._behind.wait()
        self._close_streams()
        rows: dict[str, tuple[int, int]] = {}
        images: dict[str, int] = {}
        names, done = self._numbers.names, 0
        with _RowGroups(self._path, self._schema, names) as out:
            for bucket, files in sorted(self._files.items()):
                _hand_back()
                for code, count, of_images in _own_bucket(files, out) if bucket >= BUCKETS else _shared_bucket(files, out):
                    rows[names[code]], images[names[code]] = (done, count), of_images
                    done += count
                for path in files:
                    path.unlink()
        return rows, images


def _hand_back() -> None:
    """Give memory that the allocator keeps for later back to the system: it would keep four times what is in use."""
    pa.default_memory_pool().release_unused()


class _RowGroups:
    """A Parquet file that takes batches of any length and writes them in row groups of one size, in a thread."""

    def __init__(self, path: Path, schema: pa.Schema, names: list[str]) -> None:
        packed = {name: "none" if name == "image_id" else "snappy" for name in schema.names}
        lengths = {"image_id": "DELTA_LENGTH_BYTE_ARRAY"}  # half the work of packing ids, for a tenth more bytes of them
        self._out = pq.ParquetWriter(path, schema, compression=packed, column_encoding=lengths, use_dictionary=["class_id"], write_statistics=False)
        self._schema, self._names = schema, names
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._behind = Behind()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._hand_over(self._rows)
                self._behind.wait()
        finally:
            self._behind.close()
            self._out.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows with their classes' codes, rows of one class together."""
        self._waiting.append(_with_text_ids(batch))
        self._rows += batch.num_rows
        if self._rows >= 2 * ROW_GROUP:
            self._hand_over(self._rows - self._rows % ROW_GROUP)

    def _hand_over(self, rows: int) -> None:
        if rows:
            whole = pa.Table.from_batches(self._waiting)
            self._waiting, self._rows = whole.slice(rows).to_batches(), self._rows - rows
            self._behind.run(partial(self._write, whole.slice(0, rows)))

    def _write(self, table: pa.Table) -> None:
        codes = table.column("code").to_numpy()
        starts = _starts(codes)
        local = np.repeat(np.arange(len(starts), dtype=np.int32), np.diff([*starts, len(codes)]))
        classes = pa.DictionaryArray.from_arrays(pa.array(local), pa.array([self._names[code] for code in codes[starts]], pa.string()))
        columns = [classes if name == "class_id" else table.column(name) for name in self._schema.names]
        self._out.write_table(pa.Table.from_arrays(columns, schema=self._schema), ROW_GROUP)


def _starts(codes: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return where each run of one code begins."""
    return np.concatenate([np.zeros(min(1, len(codes)), np.intp), np.flatnonzero(codes[1:] != codes[:-1]) + 1])


Counted = tuple[int, int, int]
"""A class's code, its number of rows, and of images."""


def _shared_bucket(files: list[Path], out: _RowGroups) -> Iterator[Counted]:
    """Write a bucket's rows by class."""
    table = _by_class(list(_runs(files)))
    codes, counts = np.unique(table.column("code").to_numpy(), return_counts=True)
    ids = table.column("image_id").chunk(0)
    distinct = _distinct(ids, np.repeat(np.arange(len(codes), dtype=np.int64), counts))
    for batch in table.to_batches():
        out.add(batch)
    yield from zip(codes.tolist(), counts.tolist(), distinct.tolist(), strict=True)


def _own_bucket(files: list[Path], out: _RowGroups) -> Iterator[Counted]:
    """Write a bucket's rows as they come: they are of one class."""
    rows, code = 0, 0
    for batch in _runs(files):
        rows, code = rows + batch.num_rows, batch.column("code")[0].as_py()
        out.add(batch)
    yield code, rows, _images_in(files)


def _runs(files: list[Path], columns: list[int] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield what was spilled to a bucket, or some columns of it by their places, with ids of one type."""
    for path in files:
        with pa.ipc.open_stream(path, options=pa.ipc.IpcReadOptions(included_fields=columns)) as stream:
            yield from stream if len(files) == 1 else map(_with_text_ids, stream)


def _ids(files: list[Path]) -> Iterator[pa.Array]:
    return (batch.column("image_id") for batch in _runs(files, [1]))  # after the code


def _images_in(files: list[Path]) -> int:
    """Return the number of different images in a bucket of one class; only where they come in no order are all ids in memory."""
    count, last = 0, None
    for fresh in _ids(files):
        ids = fresh if last is None else pa.concat_arrays([last, fresh])
        steps = _steps(ids, _as_numbers(ids))
        if steps is None or (steps < 0).any():
            return len(pc.unique(pa.chunked_array(list(_ids(files)))))
        count += int(np.count_nonzero(steps)) + (last is None)
        last = ids[-1:]
    return count


def _by_class(batches: list[pa.RecordBatch]) -> pa.Table:
    """Put batches that are each ordered by class together, rows of one class in the order of the batches."""
    pieces: list[tuple[int, int, pa.RecordBatch]] = []
    for number, batch in enumerate(batches):
        codes = batch.column("code").to_numpy()
        starts = [*_starts(codes).tolist(), len(codes)]
        if len(starts) * SHORT_PIECE > len(codes):
            table = pa.Table.from_batches(batches).combine_chunks()
            return table.take(pa.array(np.argsort(table.column("code").to_numpy(), kind="stable"))).combine_chunks()
        pieces += [(int(codes[a]), number, batch.slice(a, b - a)) for a, b in pairwise(starts)]
    pieces.sort(key=lambda piece: piece[:2])
    return pa.Table.from_batches([piece for _, _, piece in pieces]).combine_chunks()


def _distinct(ids: pa.Array, classes: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return how many different images each class has; `classes` is 0, 0, …, 1, 1 and so on."""
    same_class = classes[1:] == classes[:-1]
    numbers = _as_numbers(ids)
    steps = _steps(ids, numbers)
    if steps is not None and (steps[same_class] >= 0).all():  # in order, as published: an image's rows of a class stand together
        fresh = np.concatenate([[True], ~same_class | (steps != 0)])
        return np.bincount(classes, weights=fresh).astype(np.int64)
    if numbers is None or numbers.max() >> 32:
        numbers = ids.dictionary_encode().indices.to_numpy().astype(np.int64)
    pairs = np.sort(classes << 32 | numbers)  # ten times as fast as np.unique
    return np.bincount(pairs[_starts(pairs)] >> 32)


def _steps(ids: pa.Array, numbers: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int8] | None:
    """Return for each id but the first whether it is above (1), equal to (0) or below (-1) the one before it; None for ids of other kinds.

    `numbers`: what `_as_numbers` makes of them.
    """
    if ids.type == pa.binary(16):
        words = np.frombuffer(ids.buffers()[1], ">u8", count=2 * len(ids), offset=16 * ids.offset).reshape(-1, 2)
        high, low = (_signs(words[:, column].astype(np.uint64)) for column in (0, 1))
        return np.where(high != 0, high, low)
    return None if numbers is None else _signs(numbers)


def _as_numbers(ids: pa.Array) -> npt.NDArray[np.int64] | None:
    """Return ids that are whole numbers, written in the one usual way; None for ids of other kinds."""
    if ids.type == pa.string() and len(ids) and pc.all(pc.match_substring_regex(ids, "^(0|[1-9][0-9]{0,17})$")).as_py():
        numbers: npt.NDArray[np.int64] = ids.cast(pa.int64()).to_numpy()
        return numbers
    return None


def _signs(values: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    above, below = values[1:] > values[:-1], values[1:] < values[:-1]
    return above.astype(np.int8) - below.astype(np.int8)


def _as_fixed(ids: pa.Array) -> pa.Array | None:
    """Return texts of one length as fixed-width bytes, which move faster, without copying them; None where lengths differ."""
    offsets = np.frombuffer(ids.buffers()[1], np.int32, count=len(ids) + 1, offset=4 * ids.offset)
    width = int(offsets[1] - offsets[0]) if len(ids) else 0
    if ids.null_count or not width or (np.diff(offsets) != width).any():
        return None
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(ids), [None, ids.buffers()[2].slice(int(offsets[0]))])


def _as_text(ids: pa.Array) -> pa.Array:
    if pa.types.is_string(ids.type):
        return ids
    width = ids.type.byte_width
    offsets = pa.py_buffer(np.arange(0, width * len(ids) + 1, width, dtype=np.int32))
    return pa.StringArray.from_buffers(len(ids), offsets, ids.buffers()[1].slice(width * ids.offset))


def _with_text_ids(batch: pa.RecordBatch) -> pa.RecordBatch:
    position = batch.schema.get_field_index("image_id")
    return batch.set_column(position, "image_id", _as_text(batch.column(position)))


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
    spans = sorted(where[name] for name in set(class_ids) if name in where)
    if not spans:
        return schema.empty_table()
    with pq.ParquetFile(path) as file:
        starts, total = [], 0
        for number in range(file.metadata.num_row_groups):
            starts.append(total)
            total += file.metadata.row_group(number).num_rows
        starts.append(total)
        parts = [_span(file, starts, (first, first + count), schema.names) for first, count in spans]
    return pa.concat_tables(parts).select(schema.names).cast(schema).combine_chunks()


def _span(file: pq.ParquetFile, starts: list[int], rows: tuple[int, int], columns: list[str]) -> pa.Table:
    first, end = rows
    groups = [number for number in range(len(starts) - 1) if starts[number] < end and starts[number + 1] > first]
    return file.read_row_groups(groups, columns=columns).slice(first - starts[groups[0]], end - first)

"""Rows in any order in, a Parquet file clustered by class out, whatever their number."""

from collections.abc import Iterator
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from boxset.sources.image_ids import NUMBER, as_fixed, as_numbers, as_text, distinct, run_starts, steps_between
from boxset.work import Behind

ROW_GROUP = 1 << 15
BUCKETS = 48
RUN, LONG_RUN = 1 << 16, 1 << 19  # rows ordered at once; the longer one where that leaves no class with a short piece
OFTEN = 1 << 17  # rows after which memory is handed back, which takes a millisecond
MOST_OWN = 64  # common are classes with more than this part of the first run
SHORT_PIECE = 1 << 9  # rows; shorter pieces are quicker sorted than put together one by one


def as_column(values: Any, as_type: pa.DataType, *, keep: pa.DataType | None = None) -> Any:
    """Return values as a column of a type; a column that has the type `keep` stays as it is."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values if values.type in (as_type, keep) else values.cast(as_type)
    return pa.array(values, as_type)


class Numbers(dict[str, int]):
    """Numbers classes in the order in which they are met."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __missing__(self, class_id: str) -> int:
        self[class_id] = number = len(self.names)
        self.names.append(class_id)
        return number


class Clustered:
    """Rows in any order in, a Parquet file clustered by class out; in memory is never more than two runs of rows, or a bucket of rare classes.

    An external bucket sort: runs of rows are ordered by class and put aside in files, and each bucket's runs are put together at the end. A
    class that is common in the first run has a bucket to itself, whose runs follow one another as they are.
    """

    def __init__(self, path: Path, schema: pa.Schema, numbers: Numbers) -> None:
        self._path, self._numbers = path, numbers
        self._schema = schema.set(1, pa.field("class_id", pa.dictionary(pa.int32(), pa.string()), nullable=False))
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._buckets: dict[int, _Bucket] = {}
        self._own: dict[int, int] | None = None  # a common class's code → its bucket, once a run is full
        self._behind = Behind()

    def close(self) -> None:
        """End the thread that orders, and every file that is being written."""
        self._behind.close()
        for bucket in self._buckets.values():
            bucket.close()

    def add(self, columns: dict[str, Any]) -> int:
        """Take rows by column, `class_id` as texts, a dictionary of them, or class numbers, `image_id` as texts or numbers; return how many there were."""
        codes = self._codes(columns["class_id"])
        if not len(codes):
            return 0
        given = [field for field in self._schema if field.name != "class_id" and field.name in columns]
        arrays = [codes, *(as_column(columns[field.name], field.type, keep=NUMBER) for field in given)]
        batch = pa.RecordBatch.from_arrays(arrays, names=["code", *(field.name for field in given)])
        if self._waiting and self._waiting[0].schema != batch.schema:
            self._hand_over()
        self._waiting.append(batch)
        self._rows += len(codes)
        if self._rows >= (LONG_RUN if len(self._numbers) * SHORT_PIECE <= LONG_RUN else RUN):
            self._hand_over()
        return len(codes)

    def _codes(self, classes: Any) -> pa.Array:
        if isinstance(classes, np.ndarray):
            return pa.array(classes, pa.int32())
        if not isinstance(classes, pa.DictionaryArray):
            classes = as_column(classes, pa.string()).dictionary_encode()
        return pa.array([self._numbers[name] for name in classes.dictionary.to_pylist()], pa.int32()).take(classes.indices)

    def _hand_over(self) -> None:
        """Hand what is waiting over to be ordered, while the caller goes on."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if waiting:
            _hand_back()
            self._behind.run(partial(self._put_aside, waiting, len(self._numbers)))

    def _put_aside(self, waiting: list[pa.RecordBatch], classes: int) -> None:
        """Put rows aside in the buckets, in each by class, rows of one class in the order they came."""
        table = pa.Table.from_batches(waiting).combine_chunks()
        ids = table.column("image_id").chunk(0)
        fixed = as_fixed(ids) if ids.type == pa.string() else None
        if fixed is not None:
            table = table.set_column(table.schema.get_field_index("image_id"), "image_id", fixed)
        codes = table.column("code").to_numpy()
        buckets = self._bucket_of_class(codes, classes)
        ranks = np.empty(classes, np.uint16 if classes < 1 << 16 else np.uint32)  # 16 bits are sorted by radix
        ranks[np.lexsort((np.arange(classes), buckets))] = np.arange(classes)
        order = np.argsort(ranks[codes], kind="stable")
        batch = pa.RecordBatch.from_arrays([_taken(column.chunk(0), order) for column in table.columns], schema=table.schema)
        sorted_buckets = buckets[codes[order]]
        starts = run_starts(sorted_buckets)
        for bucket, (start, end) in zip(sorted_buckets[starts].tolist(), pairwise([*starts.tolist(), len(order)]), strict=True):
            self._buckets.setdefault(bucket, _Bucket(self._path.with_name(f"{self._path.stem}.{bucket}"), self._schema)).add(batch.slice(start, end - start))

    def _bucket_of_class(self, codes: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
        """Return each class's bucket; the first full run decides which classes have one to themselves."""
        if self._own is None:
            common = np.flatnonzero(np.bincount(codes) * MOST_OWN > len(codes)) if len(codes) >= RUN else ()
            self._own = {int(code): BUCKETS + number for number, code in enumerate(common)}
        buckets = np.arange(classes) % BUCKETS
        buckets[list(self._own)] = list(self._own.values())
        return buckets

    def finish(self) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
        """Write the file; return each class's first row and number of rows, and its number of images."""
        self._hand_over()
        self._behind.wait()
        rows: dict[str, tuple[int, int]] = {}
        images: dict[str, int] = {}
        names, done, kept = self._numbers.names, 0, 0
        with _RowGroups(self._path, self._schema, names) as out:
            for number, bucket in sorted(self._buckets.items()):
                for code, count, of_images in _own_bucket(bucket, out) if number >= BUCKETS else _shared_bucket(bucket, out):
                    rows[names[code]], images[names[code]] = (done, count), of_images
                    done += count
                bucket.clear()
                if done - kept > OFTEN:
                    _hand_back()
                    kept = done
        return rows, images


def _taken(values: pa.Array, order: npt.NDArray[np.intp]) -> pa.Array:
    """Return values in another order; numpy takes a third of pyarrow's time for numbers, and two thirds for bytes of one width."""
    kind = values.type
    if not values.null_count and pa.types.is_fixed_size_binary(kind):
        taken = np.frombuffer(values.buffers()[1], f"V{kind.byte_width}", len(values), kind.byte_width * values.offset).take(order)
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(taken)])
    if not values.null_count and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return pa.array(values.to_numpy().take(order), kind)
    return values.take(pa.array(order))


def _hand_back() -> None:
    """Give memory that the allocator keeps for later back to the system: it would keep four times what is in use."""
    pa.default_memory_pool().release_unused()


class _Bucket:
    """Runs of rows of the same classes, each ordered by class, in files whose names begin with `stem`; columns of the schema may lack."""

    def __init__(self, stem: Path, schema: pa.Schema) -> None:
        self._stem, self._whole = stem, schema
        self._files: list[Path] = []
        self._stream: Any = None
        self._schema: pa.Schema | None = None  # of the last run

    def add(self, run: pa.RecordBatch) -> None:
        """Take a run; a new file begins where it has other columns than the one before, or ids of another type."""
        if self._stream is None or self._schema != run.schema:
            self.close()
            self._files.append(self._stem.with_name(f"{self._stem.name}.{len(self._files)}.arrow"))
            self._stream, self._schema = pa.ipc.new_stream(self._files[-1], run.schema), run.schema
        self._stream.write_batch(run)

    def close(self) -> None:
        """End the file that is being written."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def runs(self) -> Iterator[pa.RecordBatch]:
        """Yield the runs, with the same columns."""
        self.close()
        runs = chain.from_iterable(_written(path) for path in self._files)
        return runs if len(self._files) == 1 else (_completed(run, self._whole) for run in runs)

    def ids(self) -> Iterator[pa.Array]:
        """Yield the runs' ids, of one type."""
        self.close()
        ids = (run.column(0) for run in chain.from_iterable(_written(path, "image_id") for path in self._files))
        return ids if len(self._files) == 1 else map(as_text, ids)

    def clear(self) -> None:
        """Forget everything."""
        for path in self._files:
            path.unlink()
        self._files = []


def _written(path: Path, column: str = "") -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file, or one column of them."""
    fields = None
    if column:
        with pa.ipc.open_stream(path) as stream:
            fields = [stream.schema.get_field_index(column)]
    with pa.ipc.open_stream(path, options=pa.ipc.IpcReadOptions(included_fields=fields)) as stream:
        yield from stream


def _completed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with ids that are text, and nulls for the columns that it lacks."""
    names = ["code", *(name for name in schema.names if name != "class_id")]
    columns = [batch.column(name) if name in batch.schema.names else pa.nulls(len(batch), schema.field(name).type) for name in names]
    columns[names.index("image_id")] = as_text(batch.column("image_id"))
    return pa.RecordBatch.from_arrays(columns, names=names)


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
        self._waiting.append(_completed(batch, self._schema))
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
        starts = run_starts(codes)
        local = np.repeat(np.arange(len(starts), dtype=np.int32), np.diff([*starts, len(codes)]))
        classes = pa.DictionaryArray.from_arrays(pa.array(local), pa.array([self._names[code] for code in codes[starts]], pa.string()))
        columns = [classes if name == "class_id" else table.column(name) for name in self._schema.names]
        self._out.write_table(pa.Table.from_arrays(columns, schema=self._schema), ROW_GROUP)


Counted = tuple[int, int, int]
"""A class's code, its number of rows, and of images."""


def _shared_bucket(bucket: _Bucket, out: _RowGroups) -> Iterator[Counted]:
    """Write a bucket's rows by class."""
    table = _by_class(list(bucket.runs()))
    codes = table.column("code").to_numpy()
    starts = run_starts(codes)
    codes, counts = codes[starts], np.diff([*starts, len(codes)])
    ids = table.column("image_id").chunk(0)
    images = distinct(ids, np.repeat(np.arange(len(codes), dtype=np.int64), counts))
    for batch in table.to_batches():
        out.add(batch)
    yield from zip(codes.tolist(), counts.tolist(), images.tolist(), strict=True)


def _own_bucket(bucket: _Bucket, out: _RowGroups) -> Iterator[Counted]:
    """Write a bucket's rows as they come: they are of one class."""
    rows, code = 0, 0
    for batch in bucket.runs():
        rows, code = rows + batch.num_rows, batch.column("code")[0].as_py()
        out.add(batch)
    yield code, rows, _images_in(bucket)


def _images_in(bucket: _Bucket) -> int:
    """Return the number of different images in a bucket of one class; only where they come in no order are all ids in memory."""
    count, last = 0, None
    for fresh in bucket.ids():
        ids = fresh if last is None else pa.concat_arrays([last, fresh])
        steps = steps_between(ids, as_numbers(ids))
        if steps is None or (steps < 0).any():
            return len(pa.chunked_array(list(bucket.ids())).unique())
        count += int(np.count_nonzero(steps)) + (last is None)
        last = ids[-1:]
    return count


def _by_class(batches: list[pa.RecordBatch]) -> pa.Table:
    """Put batches that are each ordered by class together, rows of one class in the order of the batches."""
    pieces: list[tuple[int, int, pa.RecordBatch]] = []
    for number, batch in enumerate(batches):
        codes = batch.column("code").to_numpy()
        starts = [*run_starts(codes).tolist(), len(codes)]
        if len(starts) * SHORT_PIECE > len(codes):
            table = pa.Table.from_batches(batches).combine_chunks()
            return table.take(pa.array(np.argsort(table.column("code").to_numpy(), kind="stable"))).combine_chunks()
        pieces += [(int(codes[a]), number, batch.slice(a, b - a)) for a, b in pairwise(starts)]
    pieces.sort(key=lambda piece: piece[:2])
    return pa.Table.from_batches([piece for _, _, piece in pieces]).combine_chunks()

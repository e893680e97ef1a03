"""Ids of images by column: compared, counted and moved as numbers or as bytes of one width, where they can be."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NUMBER = pa.int64()  # a column of ids may have this type in place of text
MOST_PAIRED = (1 << 32) - 1  # an id that fits beside a class's number in 64 bits


def run_starts(codes: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return where each run of one code begins."""
    return np.concatenate([np.zeros(min(1, len(codes)), np.intp), np.flatnonzero(codes[1:] != codes[:-1]) + 1])


def distinct(ids: pa.Array, classes: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return how many different images each class has; `classes` is 0, 0, …, 1, 1 and so on."""
    same_class = classes[1:] == classes[:-1]
    numbers = as_numbers(ids)
    steps = steps_between(ids, numbers)
    if steps is not None and (steps[same_class] >= 0).all():  # in order, as published: an image's rows of a class stand together
        fresh = np.concatenate([[True], ~same_class | (steps != 0)])
        return np.bincount(classes, weights=fresh).astype(np.int64)
    if numbers is None or not 0 <= numbers.min() <= numbers.max() <= MOST_PAIRED:
        numbers = ids.dictionary_encode().indices.to_numpy().astype(np.int64)
    pairs = np.sort(classes << 32 | numbers)  # ten times as fast as np.unique
    return np.bincount(pairs[run_starts(pairs)] >> 32)


def steps_between(ids: pa.Array, numbers: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int8] | None:
    """Return for each id but the first whether it is above (1), equal to (0) or below (-1) the one before it; None for ids of other kinds.

    `numbers`: what `as_numbers` makes of them.
    """
    if ids.type == pa.binary(16):
        words = np.frombuffer(ids.buffers()[1], ">u8", count=2 * len(ids), offset=16 * ids.offset).reshape(-1, 2)
        high, low = (_signs(words[:, column].astype(np.uint64)) for column in (0, 1))
        return np.where(high != 0, high, low)
    return None if numbers is None else _signs(numbers)


def as_numbers(ids: pa.Array) -> npt.NDArray[np.int64] | None:
    """Return ids that are whole numbers, written in the one usual way; None for ids of other kinds."""
    import pyarrow.compute as pc

    if ids.type == pa.string() and len(ids) and pc.all(pc.match_substring_regex(ids, "^(0|[1-9][0-9]{0,17})$")).as_py():
        ids = ids.cast(NUMBER)
    return ids.to_numpy() if ids.type == NUMBER else None


def _signs(values: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    above, below = values[1:] > values[:-1], values[1:] < values[:-1]
    return above.astype(np.int8) - below.astype(np.int8)


def as_fixed(ids: pa.Array) -> pa.Array | None:
    """Return texts of one length as fixed-width bytes, which move faster, without copying them; None where lengths differ."""
    offsets = np.frombuffer(ids.buffers()[1], np.int32, count=len(ids) + 1, offset=4 * ids.offset)
    width = int(offsets[1] - offsets[0]) if len(ids) else 0
    if ids.null_count or not width or (np.diff(offsets) != width).any():
        return None
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(ids), [None, ids.buffers()[2].slice(int(offsets[0]))])


def as_text(ids: pa.Array) -> pa.Array:
    """Return ids as texts, whatever they are kept as."""
    if ids.type in (pa.string(), NUMBER):
        return ids.cast(pa.string())
    width = ids.type.byte_width
    offsets = pa.py_buffer(np.arange(0, width * len(ids) + 1, width, dtype=np.int32))
    return pa.StringArray.from_buffers(len(ids), offsets, ids.buffers()[1].slice(width * ids.offset))

"""JSON objects that differ in their numbers alone, read by column: where the quotes stand says where everything else does.

As COCO's annotations are: `{"segmentation": [[…]], "area": 702.1, "iscrowd": 0, "image_id": 289343, "bbox": […], "category_id": 18, "id": 1768}, {…`.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from boxset.sources.json_lines import BLANKS, UNREADABLE

_VALUE = re.compile(rb"[0-9.-](?:.*[0-9.-])?", re.DOTALL)  # numbers, and what stands between them
_NEXT = re.compile(rb"(.*\})[ \t\r\n]*,[ \t\r\n]*(\{[ \t\r\n]*)", re.DOTALL)  # after an object's last number, to the next one's first key
_OF_NUMBERS = b"0123456789-.eE"
Places = npt.NDArray[np.intp]


class _Field(NamedTuple):
    """A key of every object. What stands before and after the numbers of its value is the same in all of them."""

    key: bytes
    before: bytes  # all, where there are no numbers
    after: bytes
    varies: bool  # there are numbers
    value: Any  # the first object's; None within another value


class _Spans(NamedTuple):
    """Where the numbers of a field begin and end in each object."""

    begins: Places
    ends: Places


def read_alike(content: bytes, schema: pa.Schema) -> pa.Table | None:
    """Return objects that commas part as a table of the schema's fields, numbers and lists of a fixed number of them; None where they differ in more than numbers.

    A field that the objects lack is left out. What is not asked for may be a list of any depth, which is not looked into, as no quote
    stands in it. None is also for what is right but written in another way, and for what is no JSON.
    """
    content = content.strip(BLANKS)
    characters = np.frombuffer(content, np.uint8)
    if not content or characters.max() > ord("}") or b"\\" in content:
        return None
    quotes = np.flatnonzero(characters == ord('"'))
    fields = _fields(content, quotes)
    if not fields or len(quotes) % (2 * len(fields)):
        return None
    spans = _spans(content, quotes.reshape(-1, 2 * len(fields)), fields)
    if not spans or _controls(content) != len(spans[0].begins) * sum(_controls(field.before + field.after) for field in fields) - _controls(fields[-1].after):
        return None
    try:
        columns = {field.key.decode(): _column(content, field, where, schema) for field, where in zip(fields, spans, strict=True)}
    except pa.ArrowInvalid:  # what is no number of the type
        return None
    found = pa.schema([field for field in schema if columns.get(field.name) is not None])
    return pa.table([columns[name] for name in found.names], schema=found)


def _controls(content: bytes) -> int:
    characters = np.frombuffer(content, np.uint8)
    return int(np.count_nonzero(characters < ord(" "))) if len(content) and characters.min() < ord(" ") else 0


def _fields(content: bytes, quotes: Places) -> list[_Field]:
    """Return the fields of the first object; [] for what is none, or has two of one name."""
    if len(quotes) < 2:
        return []
    second = content.find(content[: quotes[1] + 1], 1)  # where the next object begins, with the same key
    number, end = (int(np.searchsorted(quotes, second)), second) if second > 0 else (len(quotes), len(content))
    places = quotes[: number + (second > 0)].tolist() + [end] * (second <= 0)
    keys = [content[opening + 1 : closing] for opening, closing in zip(places[:-1:2], places[1::2], strict=False)]
    try:
        first = msgspec.json.decode(content[:end].rstrip(BLANKS + b","), type=dict[str, Any])
    except UNREADABLE:
        return []
    gaps = [content[closing + 1 : opening] for closing, opening in zip(places[1::2], places[2::2], strict=False)]
    whole = number % 2 == 0 and len(gaps) == len(keys) == len(set(keys))
    return [_field(key, gap, first.get(key.decode())) for key, gap in zip(keys, gaps, strict=True)] if whole else []


def _field(key: bytes, gap: bytes, value: Any) -> _Field:
    numbers = _VALUE.search(gap)
    return _Field(key, gap[: numbers.start()], gap[numbers.end() :], True, value) if numbers else _Field(key, gap, b"", False, value)


def _spans(content: bytes, quotes: Places, fields: list[_Field]) -> list[_Spans]:
    """Return where the numbers stand in every object, a row of `quotes` each; [] where anything else is not as in the first one."""
    opening, closing, last = quotes[:, 0::2], quotes[:, 1::2], fields[-1].after
    between = _NEXT.fullmatch(last) if len(quotes) > 1 else None
    tail, start = (between[1], between[2]) if between else (last, content[: opening[0, 0]])
    if not content.startswith(start + b'"') or start.rstrip(BLANKS) != b"{" or not content.endswith(tail) or not tail.endswith(b"}"):
        return []
    if len(quotes) > 1 and not between:
        return []
    following = [*opening.T[1:], np.append(opening[1:, 0], len(content) - len(tail) + len(last))]  # the next key's quote, or where it would stand
    spans = [_Spans(closes + 1 + len(field.before), opens - len(field.after)) for field, closes, opens in zip(fields, closing.T, following, strict=True)]
    fixed = all(_stands(content, text, at) for text, at in _texts(opening, fields))
    return spans if fixed and all(_in_order(where, field) for where, field in zip(spans, fields, strict=True)) else []


def _in_order(where: _Spans, field: _Field) -> bool:
    return bool((where.begins < where.ends).all() if field.varies else (where.begins == where.ends).all())


def _texts(opening: Places, fields: list[_Field]) -> Iterator[tuple[bytes, Places]]:
    """Yield each key with what is round it, and where that stands; the first object's own first key is known to."""
    for number, field in enumerate(fields):
        before = fields[number - 1].after
        yield before + b'"' + field.key + b'"' + field.before, opening[0 if number else 1 :, number] - len(before)


def _stands(content: bytes, text: bytes, places: Places) -> bool:
    if not len(places):
        return True
    if places.min() < 0 or places.max() + len(text) > len(content):
        return False
    windows = np.ndarray(len(content) - len(text) + 1, f"V{len(text)}", content, strides=(1,))
    return windows[places].tobytes() == text * len(places)


def _column(content: bytes, field: _Field, where: _Spans, schema: pa.Schema) -> pa.Array | None:
    """Return a field's values; None for one that is not asked for. Raises pa.ArrowInvalid for one that is not what the schema says."""
    wanted = schema.field(field.key.decode()).type if field.key.decode() in schema.names else None
    if wanted is not None and pa.types.is_fixed_size_list(wanted):
        return _lists(content, field, where, wanted)
    is_number = field.varies and isinstance(field.value, int | float)
    if wanted is None and not is_number:
        return None
    if not is_number or field.before.translate(None, BLANKS) != b":" or field.after.lstrip(BLANKS)[:1] not in (b",", b"}"):
        raise pa.ArrowInvalid
    values = _pieces(content, where.begins, where.ends)
    if _characters(values).translate(None, _OF_NUMBERS):
        raise pa.ArrowInvalid
    return None if wanted is None else values.cast(wanted)


def _lists(content: bytes, field: _Field, where: _Spans, wanted: pa.DataType) -> pa.Array:
    """Return lists of numbers, each ended by its bracket, which parts it from the next one's first number as a comma would."""
    if not isinstance(field.value, list) or field.before.translate(None, BLANKS) != b":[" or not field.after.startswith(b"]"):
        raise pa.ArrowInvalid
    lists = _characters(_pieces(content, where.begins, where.ends + 1))
    characters = np.frombuffer(lists, np.uint8)
    brackets = characters == ord("]")
    ends = np.flatnonzero(brackets | (characters == ord(",")))
    if len(ends) != wanted.list_size * len(where.ends) or not brackets[ends[wanted.list_size - 1 :: wanted.list_size]].all() or b"+" in lists:
        raise pa.ArrowInvalid  # a plus may begin the numbers that are read here, and none of JSON's
    begins = np.append(0, ends[:-1] + 1)
    begins += characters[begins] == ord(" ")
    return pa.FixedSizeListArray.from_arrays(_pieces(lists, begins, ends).cast(wanted.value_type), type=wanted)


def _pieces(content: bytes, begins: Places, ends: Places) -> pa.StringArray:
    """Return pieces of text one after the other; it is ASCII."""
    bounds = np.zeros(2 * len(begins) + 1, np.int32)
    bounds[1::2], bounds[2::2] = begins, ends
    whole = pa.StringArray.from_buffers(2 * len(begins), pa.py_buffer(bounds), pa.py_buffer(content))
    return whole.take(pa.array(np.arange(1, 2 * len(begins), 2)))


def _characters(texts: pa.StringArray) -> bytes:
    """Return texts that stand in a buffer of their own in one piece."""
    bounds = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1)
    characters: bytes = texts.buffers()[2].slice(int(bounds[0]), int(bounds[-1] - bounds[0])).to_pybytes()
    return characters

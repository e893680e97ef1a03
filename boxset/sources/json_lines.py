"""Blocks of a JSON array's elements as tables, without a Python object for each element: a quick reading, that gives up on anything odd."""

import re
from mmap import mmap

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv as pacsv
from pyarrow import json as pajson

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what decoding JSON of anyone's making raises

BLANKS = b" \t\r\n"  # JSON's; Python's own are more
GAP = 256  # more blanks than anybody writes between two elements
_NUMBER = b"0123456789-."
_OF_NUMBERS = bytes(set(range(256)) - set(_NUMBER) - set(b",:}"))  # what is left out to leave an element's numbers
_NOTHING = re.compile(rb'(":) ?([,}])')  # where a list stood
_AS_ROWS = bytes.maketrans(b":}", b",\n")


class NotPlainError(ValueError):
    """The block asks for another reader: it may be odd, or just written in another way."""


def comma_before(content: bytes | mmap, place: int) -> int:
    """Return where the comma stands that only blanks part from `place`, or -1; so also where the place is -1."""
    begin = max(0, place - GAP)
    before = content[begin : max(begin, place)].rstrip(BLANKS)
    return begin + len(before) - 1 if before.endswith(b",") else -1


def without_lists(content: bytes) -> bytes | None:
    """Return text without its lists of lists, whatever printable characters stand in them; None where one has more than lists in it.

    Where they are is found by columns of bytes: in two thirds of a pattern's time, and while other threads go on.
    """
    characters = np.frombuffer(content, np.uint8)
    if not content or characters.max() > ord("}") or b"\\" in content:
        return None
    opening, closing = (_places_of(bracket, characters) for bracket in "[]")
    starts, ends = opening[:-1][np.diff(opening) == 1], closing[1:][np.diff(closing) == 1] + 1
    if len(starts) != len(ends):
        return None
    bounds = np.concatenate([[0], np.column_stack([starts, ends]).ravel(), [len(content)]]).astype(np.int32)
    if (np.diff(bounds) < 0).any():
        return None
    pieces = pa.BinaryArray.from_buffers(pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(content)])
    kept: bytes = pieces.filter(pa.array(np.arange(len(pieces)) % 2 == 0)).buffers()[2].to_pybytes()
    return kept if _controls(kept) == _controls(content) else None


def _places_of(character: str, characters: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Return where a character stands that is rare; in half the time that `flatnonzero` alone takes, as most eights of bytes hold none."""
    whole = len(characters) & ~7
    found = characters == ord(character)
    eights = np.flatnonzero(found[:whole].view(np.uint64) != 0)
    inside = np.flatnonzero(found[:whole].view(np.uint64)[eights].view(bool))
    return np.concatenate([(eights[inside >> 3] << 3) + (inside & 7), whole + np.flatnonzero(found[whole:])])


def _controls(content: bytes) -> int:
    characters = np.frombuffer(content, np.uint8)
    return int(np.count_nonzero(characters < ord(" "))) if len(content) and characters.min() < ord(" ") else 0


def read_alike(content: bytes, schema: pa.Schema) -> pa.Table | None:
    """Return elements that differ in their numbers alone as a table of the schema's fields; None where they differ in anything else.

    A list's numbers are fields of their own: `bbox.0` to `bbox.3`. A field that the elements lack is left out. What is left of them
    without their numbers is compared with the first one's, the numbers are read as rows of CSV: in half the time that JSON takes.
    """
    content = content.strip(BLANKS)
    first, between = content[: content.find(b"}") + 1], content[content.find(b"}") + 1 : content.find(b"{", 1)]
    names = _places(first)
    if not names:
        return None
    frame, gap = first.translate(None, _NUMBER), between.translate(None, _NUMBER)
    frames = content.translate(None, _NUMBER)
    others = (len(frames) - len(frame)) // (len(frame) + len(gap))
    if (others and gap.strip(BLANKS) != b",") or frames != frame + (gap + frame) * others:
        return None
    return _numbers(b"," + content.translate(_AS_ROWS, _OF_NUMBERS), names, schema)


def _places(element: bytes) -> list[str]:
    """Return what stands between the commas and colons of an element of numbers and lists of numbers: "" for what is no number; [] for another element."""
    try:
        fields = msgspec.json.decode(_NOTHING.sub(rb"\1 0\2", element), type=dict[str, int | float | list[int | float]])
    except UNREADABLE:
        return []
    names = [""]  # after the comma before the element
    for name, value in fields.items():
        names += ["", *(f"{name}.{place}" for place in range(len(value)))] if isinstance(value, list) else ["", name]
    return names


def _numbers(rows: bytes, names: list[str], schema: pa.Schema) -> pa.Table | None:
    unlike = [name or f" {place}" for place, name in enumerate(names)]
    types = {name: schema.field(name).type if name in schema.names else pa.null() for name in unlike if name in schema.names or name.startswith(" ")}
    read = pacsv.ReadOptions(use_threads=False, block_size=len(rows) + 1, column_names=unlike)
    parse = pacsv.ParseOptions(quote_char=False)
    convert = pacsv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[""])
    try:
        table = pacsv.read_csv(pa.BufferReader(rows), read, parse, convert)
    except pa.ArrowInvalid:  # digits in a name, or what is no number of the type
        return None
    table = table.select([name for name in schema.names if name in types])
    return None if any(column.null_count for column in table.columns) else table


def read_elements(content: bytes, start: bytes, schema: pa.Schema) -> pa.Table:
    """Return elements, each of which begins with `start`, as a table; fields that the schema does not name are passed over, missing ones are null.

    Raises NotPlainError for what is no JSON, of another type, with a key that comes twice, or with something else between the elements than between the first two.
    """
    content = content.strip(BLANKS)
    second = content.find(start, 1)
    comma = comma_before(content, second)
    if not content.startswith(start) or (second > 0 and comma < 0):
        raise NotPlainError
    between = content[comma:second] if second > 0 else b", "
    lines = content.replace(between + start, b"\n" + start)
    elements = 1 + (lines.count(b"\n") if len(between) == 1 else (len(content) - len(lines)) // (len(between) - 1))
    read = pajson.ReadOptions(use_threads=False, block_size=len(lines) + 2)
    parse = pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        table = pajson.read_json(pa.BufferReader(lines + b"\n"), read, parse).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise NotPlainError from err
    if len(table) != elements:  # some that nothing parts
        raise NotPlainError
    return table

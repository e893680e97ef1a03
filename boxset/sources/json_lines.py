"""Blocks of a JSON array's elements, whatever they hold, as tables, without a Python object for each element; gives up on anything odd."""

from mmap import mmap
from typing import TypeVar

import msgspec
import pyarrow as pa
from pyarrow import json as pajson

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what decoding JSON of anyone's making raises

BLANKS = b" \t\r\n"  # JSON's; Python's own are more
T = TypeVar("T")
GAP = 256  # more blanks than anybody writes between two elements


class NotPlainError(ValueError):
    """The block asks for another reader: it may be odd, or just written in another way."""


def readable(records: list[msgspec.Raw], kind: type[T]) -> tuple[list[T], list[msgspec.Raw]]:
    """Return the records that can be read, and the others."""
    decoder, found, bad = msgspec.json.Decoder(kind), [], []
    for record in records:
        try:
            found.append(decoder.decode(record))
        except UNREADABLE:
            bad.append(record)
    return found, bad


def comma_before(content: bytes | mmap, place: int) -> int:
    """Return where the comma stands that only blanks part from `place`, or -1; so also where the place is -1."""
    begin = max(0, place - GAP)
    before = content[begin : max(begin, place)].rstrip(BLANKS)
    return begin + len(before) - 1 if before.endswith(b",") else -1


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

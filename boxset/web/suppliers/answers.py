"""What suppliers say, in one form, and the protocol that they keep."""

import html
import json
import re
from typing import Any, Protocol, TypeVar

import msgspec

from boxset.errors import ServiceError
from boxset.params import Query
from boxset.text import INSTEAD, visible
from boxset.web.addresses import LONGEST

T = TypeVar("T")

MOST_TEXT = 4000  # characters: what takes long to read is nobody's title


class Hit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One picture that a supplier names. Empty: not stated."""

    url: str
    thumbnail: str = ""
    landing_url: str = ""
    title: str = ""
    engine: str = ""
    also: tuple[str, ...] = ()  # further engines that name it
    width: int = 0
    height: int = 0
    license: str = ""
    author: str = ""
    author_url: str = ""  # the page of the author
    mime: str = ""  # only where it is no kind of picture that is taken


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page of one query from one supplier, as it came. One line of `results.jsonl`; a hit's rank is its place."""

    supplier: str
    q: str
    lang: str
    page: int
    refresh: int = 0
    turn: int = 0  # in which turn of asking it was got; 0: the same as its page
    hits: tuple[Hit, ...] = ()
    last: bool = False  # the supplier says that there are no more
    more: dict[str, str] = {}  # what the supplier wants sent back for the next page
    asked: tuple[str, ...] = ()  # the engines that were asked, where they are known
    unresponsive: tuple[tuple[str, str], ...] = ()  # engine and why
    list_name: str = ""  # which of one's own lists it is from
    content: str = ""  # a hash of what that list has for the category, with its first page
    blank: int = 0  # results without any address, or that cannot be read
    notes: tuple[str, ...] = ()  # what a user should hear of it

    @property
    def is_unanswered(self) -> bool:
        """Whether it says nothing of the page: it is empty, and engines did not answer."""
        return not self.hits and bool(self.unresponsive)

    @property
    def engines(self) -> set[str]:
        """The engines that named a picture."""
        return {engine for hit in self.hits for engine in (hit.engine, *hit.also) if engine}


class Supplier(Protocol):
    """Answers a query page by page, from page 1."""

    name: str
    pages: int  # at the most
    takes_queries: bool  # False: it is a list, whatever is searched for
    list_name: str  # which list, or empty

    def ask(self, query: Query, page: int, before: Answer | None = None) -> Answer:
        """Return a page; `before` is the answer to the one before it. Raises ServiceError naming the setting to change where none comes.

        PageError, which is one, where only this page does not come.
        """
        ...


class PageError(ServiceError):
    """One page of one query cannot be had; that says nothing of other queries."""


def decoded(body: bytes, as_type: Any, *, where: str, do: str) -> Any:
    """Read a service's JSON, as far as it can be read. Raises ServiceError where it is a web page, PageError where it is something else than expected."""
    try:
        return msgspec.convert(_value(body), as_type, strict=False)
    except (ValueError, RecursionError) as err:
        if body.lstrip()[:1] == b"<":
            raise ServiceError("it answers with a web page, not with JSON", where=where, do=do) from err
        raise PageError(f"its answer is not what was expected: {str(err)[:200]}", where=where, do=do) from err


def _value(body: bytes) -> Any:
    """Return what a JSON text says, also one with what JSON does not have: NaN, endless numbers, halves of characters."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        value = json.loads(body.decode("utf-8", "replace"), parse_int=lambda digits: int(digits[:20]))
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def each(values: list[Any], as_type: type[T]) -> list[T]:
    """Return those of a service's records that are what they should be."""
    found = (_one(value, as_type) for value in values)
    return [one for one in found if one is not None]


def _one(value: Any, as_type: type[T]) -> T | None:
    try:
        one = msgspec.convert(value, as_type, strict=False)
        msgspec.json.encode(one)
    except (ValueError, OverflowError):
        return None
    return one


def web_address(url: str | None) -> str:
    """Return an http(s) address, or an empty string. Control characters in it are replaced, and one that is too long is cut: `vetted` refuses it still."""
    text = visible((url or "").strip()[: LONGEST + 1])
    text = f"https:{text}" if text.startswith("//") else text
    return text if text.startswith(("http://", "https://")) else ""


def page_address(url: str | None) -> str:
    """Return the http(s) address of a page, to be linked to, or an empty string: also where it is too long or has control characters."""
    text = web_address(url)
    return "" if len(text) > LONGEST or any(c in text for c in f"{INSTEAD}\n\t") else text


def plain(text: str | None) -> str:
    """Return text without markup and control characters, at most 300 characters; of what is longer than MOST_TEXT only the beginning is looked at."""
    bare = html.unescape(re.sub(r"<[^<>]*>", " ", (text or "")[:MOST_TEXT]))
    return " ".join("".join(c if c.isprintable() else " " for c in bare if not "\ue000" <= c <= "\uf8ff").split())[:300]

"""Plain values checked against typed sections: every fault, each with the key where it stands."""

import json
import math
import re
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from boxset.errors import ParamsError, did_you_mean

PLAIN = re.compile(r"[\w ./-]+")  # needs no quotes in a list
LIMITS = (("ge", "of at least"), ("gt", "above"), ("le", "of at most"), ("lt", "below"))


@dataclass(frozen=True)
class Fault:
    """What is wrong at a key (`categories.hammer.target`), and what to do; `key` may be empty for the whole file."""

    key: str
    what: str
    do: str = ""

    def error(self, where: str, *, others: int = 0) -> ParamsError:
        """Return it as an error; `others` says how many more there are."""
        more = f"`boxset check` lists {others} more" if others else ""
        return ParamsError(f"{self.key or 'the file'}: {self.what}", where=where, do=". ".join(part for part in (self.do, more) if part))


@dataclass(frozen=True)
class Key:
    """One key of a section."""

    name: str
    type: Any
    required: bool
    default: Any


@cache
def keys_of(section: Any) -> dict[str, Key]:
    """Return a section's keys by name, in the order of its definition."""
    return {f.name: Key(f.name, f.type, f.required, _default(f)) for f in msgspec.structs.fields(section)}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.required else field.default


def is_section(of: Any) -> bool:
    """Return whether a type is a section."""
    return isinstance(of, type) and issubclass(of, msgspec.Struct)


def bare(of: Any) -> Any:
    """Return a type without its annotations."""
    return bare(get_args(of)[0]) if get_origin(of) is Annotated else of


def meta_of(of: Any) -> Meta:
    """Return a type's limits and description; the outermost ones where there are several."""
    metas = [m for m in get_args(of)[1:] if isinstance(m, Meta)] if get_origin(of) is Annotated else []
    return metas[-1] if metas else Meta()


def faults(value: Any, of: Any, key: str = "") -> Iterator[Fault]:
    """Yield everything that is wrong with a plain value."""
    plain = bare(of)
    section = _section_in(plain)
    if isinstance(value, dict) and section:
        yield from _section_faults(value, section, key)
    elif isinstance(value, dict) and get_origin(plain) is dict:
        for name, inner in value.items():
            yield from _not_a_text(name, key) if not isinstance(name, str) else faults(inner, get_args(plain)[1], below(key, name))
    elif isinstance(value, list) and get_origin(plain) is tuple:
        for position, inner in enumerate(value):
            yield from faults(inner, get_args(plain)[0], f"{key}[{position}]")
    else:
        yield from _leaf_faults(value, of, key)


def below(key: str, name: str) -> str:
    """Return the key of something inside a section."""
    return f"{key}.{name}" if key else name


def _section_in(plain: Any) -> Any:
    """Return the section that a value of this type may be, or None."""
    return next((part for part in (plain, *(get_args(plain) if _is_union(plain) else ())) if is_section(part)), None)


def _section_faults(value: dict[Any, Any], section: Any, key: str) -> Iterator[Fault]:
    known = keys_of(section)
    for name, inner in value.items():
        if name in known:
            yield from faults(inner, known[name].type, below(key, name))
        elif name is True and "on" in known:  # a tool with the booleans of YAML 1.1 has written the file
            yield Fault(below(key, "true"), "unknown key: what wrote this file takes `on` for true", "Write `on` there, or `'on'` for that tool")
        else:
            yield _unknown(name, known, key)
    for name, field in known.items():
        if field.required and name not in value:
            yield Fault(below(key, name), f"missing: {takes(field.type)}", "Add it")


def _unknown(name: Any, known: Iterable[str], key: str) -> Fault:
    if isinstance(name, int) and not isinstance(name, bool):  # {budget_usd: 1,000} is two keys to YAML
        return Fault(below(key, str(name)), "a number is no key", "Where it is the rest of a number, write that without a comma: 1000")
    hint = did_you_mean(str(name), known) or f"; known here: {', '.join(known)}"
    return Fault(below(key, str(name)), f"unknown key{hint}", f"`boxset check --explain {key or 'KEY'}` says what may stand here")


def _not_a_text(name: Any, key: str) -> Iterator[Fault]:
    yield Fault(key, f"a name must be a text, not {shown(name)}", "Put it in quotes or rename it")


def _leaf_faults(value: Any, of: Any, key: str) -> Iterator[Fault]:
    try:
        msgspec.convert(value, of)
    except msgspec.ValidationError:
        yield Fault(key, f"expected {takes(of)}, not {shown(value)}{_hint(value, of)}", f"`boxset check --explain {key or 'KEY'}` says more")
        return
    if isinstance(value, float) and not math.isfinite(value):
        yield Fault(key, f"expected a finite number, not {shown(value)}", "Write a number")


def _hint(value: Any, of: Any) -> str:
    plain = bare(of)
    if get_origin(plain) is Literal and isinstance(value, str):
        return did_you_mean(value, get_args(plain))
    if plain is bool and str(value).lower() in ("yes", "no", "on", "off"):
        return f"; write {'true' if str(value).lower() in ('yes', 'on') else 'false'}"
    if get_origin(plain) is tuple and isinstance(value, str) and value.strip():
        quoted = json.dumps(value, ensure_ascii=False)
        return f"; write [{value if PLAIN.fullmatch(value) else quoted}]"
    bare_number = value.replace(",", "").strip() if plain in (int, float) and isinstance(value, str) else ""
    return f"; write {bare_number}" if bare_number.isdecimal() else ""


def shown(value: Any) -> str:
    """Return a value as `params.yaml` would spell it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def takes(of: Any) -> str:
    """Say in words what values a type takes, limits included."""
    plain, meta = bare(of), meta_of(of)
    if plain in (int, float):
        limits = [f"{word} {getattr(meta, name):g}" for name, word in LIMITS if getattr(meta, name) is not None]
        return " ".join(part for part in ("a whole number" if plain is int else "a number", " and ".join(limits)) if part).replace("and of", "and")
    return f"a text{_length(meta)}" if plain is str else _takes_other(plain)


def _length(meta: Meta) -> str:
    if meta.max_length:
        return f" of {meta.min_length} to {meta.max_length} characters" if meta.min_length else f" of at most {meta.max_length} characters"
    return " that is not empty" if meta.min_length else ""


def _takes_other(plain: Any) -> str:
    if plain is bool:
        return "true or false"
    if get_origin(plain) is Literal:
        return f"one of {', '.join(get_args(plain))}"
    if _is_union(plain):
        return " or ".join(takes(part) for part in get_args(plain))
    return _several(plain, "a list", "a map", "a section")


def _several(of: Any, a_list: str = "lists", a_map: str = "maps", a_section: str = "sections") -> str:
    """Say what several values of a type are, or one where it holds several: `lists of texts`."""
    plain = bare(of)
    if get_origin(plain) is tuple:
        return f"{a_list} of {_several(get_args(plain)[0])}"
    if get_origin(plain) is dict:
        return f"{a_map} of names to {_several(get_args(plain)[1])}"
    if _is_union(plain):
        return " or ".join(_several(part) for part in get_args(plain))
    return "texts" if plain is str else f"{a_section} with the keys {', '.join(keys_of(plain))}"


def _is_union(plain: Any) -> bool:
    return get_origin(plain) in (Union, types.UnionType)

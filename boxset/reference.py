"""The reference of the parameters: what each key means, takes, defaults to and why; from the types in params.py alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import msgspec

from boxset.errors import ParamsError, did_you_mean
from boxset.params import Params
from boxset.strict import Key, bare, below, is_section, keys_of, meta_of, takes

ANY = "*"  # stands for the name of a category or source


@dataclass(frozen=True)
class Entry:
    """One key: `key` with `*` for a name of one's own; `keys` are those that may stand below it; `plain` is a value and no section."""

    key: str
    meaning: str
    takes: str
    unit: str
    why: str
    required: bool
    default: Any
    keys: tuple[str, ...]
    plain: bool


def entry_of(key: str) -> Entry:
    """Return what a key means; `categories.hammer.target` and `categories.*.target` are the same one.

    Raises ParamsError with the nearest known keys where there is none.
    """
    of: Any = Params
    here, found = "", None
    for part in parts_of(key):
        known = keys_below(of)
        if part not in known and ANY not in known:
            hint = _ends_so(key) or did_you_mean(part, known) or f"; known {'there' if here else 'here'}: {', '.join(known)}"
            raise ParamsError(f"unknown key{hint}", where=key, do="A key is, for example, label.budget_usd or categories.*.target")
        if part not in known and not is_section(bare(known[ANY].type)):
            break  # a name of one's own with a plain value: what holds it says all
        found = known.get(part) or known[ANY]
        here, of = below(here, found.name), found.type
    if found is None:
        raise ParamsError("name a key", where="--explain", do=f"One of {', '.join(keys_of(Params))}, or one below them such as label.budget_usd")
    return _entry(here, found)


def _ends_so(word: str) -> str:
    """Return which keys end in a word that has no section before it."""
    found = [entry.key for entry in every_entry() if entry.key.endswith(f".{word}")]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def parts_of(key: str) -> list[str]:
    """Return the parts of a dotted key; positions in a list are left out."""
    return [part for part in re.sub(r"\[[^]]*]", "", key).split(".") if part]


def keys_below(of: Any) -> dict[str, Key]:
    """Return the keys that may stand below a type; names of one's own are `*`."""
    plain = bare(of)
    if is_section(plain):
        return keys_of(plain)
    if get_origin(plain) is dict:
        return {ANY: Key(ANY, get_args(plain)[1], required=False, default=None)}
    inner = next((part for part in _inside(plain) if is_section(part)), None)
    return keys_of(inner) if inner else {}


def _inside(plain: Any) -> Iterator[Any]:
    for part in get_args(plain):
        yield part
        yield from _inside(part)


def _entry(key: str, field: Key) -> Entry:
    meta = meta_of(field.type)
    plain = bare(field.type)
    stated = meta.extra or {}
    return Entry(
        key=key,
        meaning=meta.description or (plain.__doc__ if is_section(plain) else "") or "",
        takes=takes(field.type),
        unit=stated.get("unit", ""),
        why=stated.get("why", ""),
        required=field.required,
        default=field.default,
        keys=tuple(below(key, name) for name in keys_below(field.type) if name != ANY or _holds_sections(plain)),
        plain=not is_section(plain) and not _holds_sections(plain),
    )


def _holds_sections(plain: Any) -> bool:
    return get_origin(plain) is dict and is_section(bare(get_args(plain)[1]))


def every_entry() -> list[Entry]:
    """Return all keys, sections before what stands in them."""
    return list(_entries(Params, ""))


def _entries(of: Any, key: str) -> Iterator[Entry]:
    for name, field in keys_below(of).items():
        if name == ANY and not is_section(bare(field.type)):
            yield from _entries(field.type, key)
            continue
        entry = _entry(below(key, name), field)
        yield entry
        yield from _entries(field.type, entry.key)


def value_at(params: Params, key: str) -> Any:
    """Return the value of a key in a project, or None where it has none (`*` has as many as there are names)."""
    value: Any = params
    for part in parts_of(key):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value


def values_at(params: Params, key: str) -> dict[str, Any]:
    """Return the values of a key with `*`, by name."""
    head, _, tail = key.partition(f"{ANY}.")
    names = value_at(params, head)
    return {name: value_at(params, f"{head}{name}.{tail}") for name in names} if isinstance(names, dict) and ANY not in tail else {}


def spelt(value: Any) -> str:
    """Return a value as `params.yaml` would spell it on one line."""
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w:/.@+-]+", value) else f'"{value}"'
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "-"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(spelt(item) for item in value)}]"
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {spelt(item)}" for name, item in value.items()) + "}"
    return str(value)


def as_text(entry: Entry, here: list[str]) -> str:
    """Return an entry as text for a terminal; `here` are the lines with the values of this project."""
    lines = [entry.key, f"  {entry.meaning}"]
    if entry.plain:
        lines += [f"  takes    {entry.takes}"]
    else:
        lines += ["  keys     " + ", ".join(_last(key) for key in entry.keys)]
    lines += [f"  unit     {entry.unit}"] if entry.unit else []
    lines += [f"  default  {_default(entry)}"] if entry.required or entry.plain else []
    return "\n".join([*lines, *(f"  here     {line}" for line in here)])


def _default(entry: Entry) -> str:
    if entry.required:
        return "none: it must stand in params.yaml"
    return f"{spelt(entry.default)}{f'; {entry.why}' if entry.why else ''}"


def as_markdown(entries: list[Entry]) -> str:
    """Return the reference as a Markdown page: one heading for each section, one row for each key."""
    lines = [*INTRODUCTION, "", *_table(entries, "")]
    for section in entries:
        rows = _table(entries, section.key)
        if not section.plain or rows:
            lines += ["", f"## `{section.key}`", "", section.meaning if not section.plain else "In its long form:", *(["", *rows] if rows else [])]
    return "\n".join(lines) + "\n"


def _last(key: str) -> str:
    return key.rpartition(".")[2]


INTRODUCTION = (
    "# Parameters",
    "",
    "Every key of `params.yaml`: what it means, what it takes, its default and why. `*` stands for a name of yours.",
    "`boxset check --explain KEY` shows one with its value in your project. This page is written by `boxset check --reference`.",
)


def _table(entries: list[Entry], section: str) -> list[str]:
    """Return the table of a section's plain keys, or nothing where it has none."""
    inside = [e for e in entries if e.plain and e.key.rpartition(".")[0] == section]
    rows = [f"| `{_last(e.key)}` | {_cell(e.meaning)} | {_cell(_what(e))} | {_cell(_shown_default(e))} |" for e in inside]
    return ["| key | meaning | takes | default, and why |", "|---|---|---|---|", *rows] if rows else []


def _what(entry: Entry) -> str:
    return f"{entry.takes} ({entry.unit})" if entry.unit else entry.takes


def _shown_default(entry: Entry) -> str:
    if entry.required:
        return "must be given"
    shown = f"`{spelt(entry.default)}`" if entry.default != "" else "empty"
    return f"{shown}: {entry.why.removeprefix('empty: ')}" if entry.why else shown


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

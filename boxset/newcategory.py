"""A new category's block in `params.yaml`: its id, its classes in every index, its searches; written without touching any other byte."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from statistics import median_high
from typing import TYPE_CHECKING

import msgspec
import yaml

from boxset.errors import ParamsError
from boxset.files import write_text
from boxset.history import past_claims
from boxset.params import NAME, Category, ClassTerm, Params, Source, checked, queries_of, read_params, terms_of
from boxset.wording import counted
from boxset.yaml12 import parsed_yaml

if TYPE_CHECKING:
    from boxset.sources import coverage
    from boxset.sources.classes import Vocabulary

PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_/.]*(?:[ -]+[A-Za-z0-9_/.]+)*")
WORDS_WITH_MEANING = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


class FoundClass(msgspec.Struct, frozen=True):
    """A source's class for a word: how `params.yaml` names it, and what it is. `owner`: the category that has it already."""

    term: str
    title: str
    boxes: int
    ids: tuple[str, ...] = ()
    owner: str = ""


Classes = Mapping[str, list[FoundClass] | None]
"""Source → its classes for a category; None where there is no index to look into."""
Owned = dict[str, dict[str, set[str]]]
"""Source → category → the ids of its classes there."""


def add_category(name: str, words: tuple[str, ...], root: Path = Path(), *, anyway: bool = False) -> str:
    """Write a category's block into `params.yaml` and return it.

    Raises ParamsError where the name is taken or no name, where another category has its classes, and where no index here has any for it,
    no words to search for were given and `anyway` is not set: it may be misspelt.
    """
    path = root / "params.yaml"
    params = read_params(path)
    _check_name(name, params)
    searches = tuple(dict.fromkeys([*words, name.replace("_", " ")]))
    text = path.read_bytes().decode()  # with the line ends that it has
    found = with_owners(classes_found(params, searches, root), owned_classes(params, root), params)
    _check_not_owned(name, found)
    if not words and not anyway:
        _check_known(name, found, params, root)
    block = block_of(name, new_category(params, next_id(name, params, root), searches), found)
    changed = with_block(text, block)
    _check_only_that_changed(params, name, changed, path)
    write_text(path, changed)
    return block


def next_id(name: str, params: Params, root: Path) -> int:
    """Return the id for a category: its own from the past, or one that no category ever had."""
    owner, home = past_claims(root)
    taken = {category.id for category in params.categories.values()}
    if name in home and home[name].id not in taken:
        return home[name].id
    return max([0, *owner, *taken]) + 1


def new_category(params: Params, category_id: int, searches: tuple[str, ...]) -> Category:
    """Return a category with the searches given, and target and crawl like the others."""
    others = list(params.categories.values())
    return Category(
        id=category_id,
        target=median_high([c.target for c in others]) if others else 0,
        crawl_images=median_high([c.crawl_images for c in others]) if others else 0,
        queries=searches,
    )


def owned_classes(params: Params, root: Path) -> Owned:
    """Return the classes that the categories have by now, in every source with an index. What an index does not have is passed over."""
    from boxset.sources.classes import Vocabulary

    owned: Owned = {}
    for source in params.sources:
        if any(terms_of(category, source) for category in params.categories.values()) and (root / "data/index" / source / "classes.parquet").exists():
            vocabulary = Vocabulary.of(root / "data/index" / source)
            owned[source] = {name: _ids_of(vocabulary, terms_of(category, source)) for name, category in params.categories.items()}
    return owned


def _ids_of(vocabulary: "Vocabulary", terms: Iterable[ClassTerm]) -> set[str]:
    found: set[str] = set()
    for term in terms:
        with suppress(ParamsError):
            found.update(vocabulary.find(term, where=""))
    return found


def with_owners(classes: Classes, owned: Owned, params: Params) -> dict[str, list[FoundClass] | None]:
    """Return classes, each with the category that it would clash with."""
    from boxset.sources.classes import FREE, clash

    def owner(source: str, one: FoundClass) -> str:
        free = (params.sources[source].format or source) in FREE
        return next((name for name, ids in owned.get(source, {}).items() if clash(set(one.ids), ids, free=free)), "")

    return {
        source: None if found is None else [msgspec.structs.replace(one, owner=owner(source, one)) for one in found] for source, found in classes.items()
    }


def owners_of_all(classes: Classes) -> list[str]:
    """Return the categories that have every class that was found, or nothing where some are free or none was found."""
    owners = [one.owner for found in classes.values() for one in found or ()]
    return sorted(set(owners)) if owners and all(owners) else []


def _check_not_owned(name: str, classes: Classes) -> None:
    owners = owners_of_all(classes)
    if owners:
        terms = ", ".join(f"{source} {one.term}" for source, found in classes.items() for one in found or ())
        what = f"categories.{name}: {' and '.join(owners)} has these classes already: {terms}"
        raise ParamsError(what, where="params.yaml", do=f"Edit the block of {owners[0]}; or write that of {name} by hand, with classes of its own")


def _check_known(name: str, classes: Classes, params: Params, root: Path) -> None:
    looked = [source for source, found in classes.items() if found is not None]
    if not looked or any(classes.values()):
        return
    from boxset.sources.coverage import nearest

    near = list(dict.fromkeys([*nearest(root / "data/index", name.replace("_", " ")), *get_close_matches(name, params.categories, n=1)]))
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    do = f"Correct the name; or give words to search for: `boxset add {name} QUERY…`; or `boxset add {name} --anyway`"
    raise ParamsError(f"categories.{name}: no class of that name in {', '.join(looked)}{hint}", do=do)


def classes_found(params: Params, words: tuple[str, ...], root: Path) -> dict[str, list[FoundClass] | None]:
    """Return each source's classes for some words; None where there is no index to look into, nothing of a source that is off and has none."""
    found = {name: _classes_in(name, source, words, root) for name, source in params.sources.items() if _is_public(name, params)}
    return {name: classes for name, classes in found.items() if classes is not None or params.sources[name].on}


def _classes_in(name: str, source: Source, words: tuple[str, ...], root: Path) -> list[FoundClass] | None:
    if not (root / "data/index" / name / "classes.parquet").exists():
        return None
    from boxset.sources.classes import Vocabulary
    from boxset.sources.coverage import classes_of

    vocabulary = Vocabulary.of(root / "data/index" / name)
    if not vocabulary.rows:
        return None
    every = [one for word in words for one in classes_of(vocabulary, word, source.format or name)]
    return _by_term({one.id: one for one in every if one.exact}.values())


def _by_term(found: "Iterable[coverage.FoundClass]") -> list[FoundClass]:
    """Unite the classes that one term of `params.yaml` names."""
    by_term: dict[str, FoundClass] = {}
    for one in found:
        so_far = by_term.get(one.term) or FoundClass(one.term, one.name, 0)
        by_term[one.term] = FoundClass(one.term, one.name, so_far.boxes + one.boxes, (*so_far.ids, one.id))
    return list(by_term.values())


class Pasteable(msgspec.Struct, frozen=True):
    """Lines for `params.yaml`: whole new categories, and as comments what was found for categories that are there."""

    new: tuple[str, ...]
    there: tuple[str, ...]
    told: tuple[str, ...] = ()  # sentences about words whose classes another category has
    unknown: tuple[str, ...] = ()  # words that no source has: perhaps misspelt, so no block


def pasteable(words: Sequence[str], found: "Sequence[coverage.Found]", params: Params, root: Path) -> Pasteable:
    """Return for each word a category of its own, or the classes of the category that there is, to be merged by hand.

    All of them together, pasted under `categories`, are accepted: no two new categories have one id or one class, and the others are comments.
    """
    new, there, told, unknown = [], [], [], []
    owned = owned_classes(params, root)
    for word in words:
        records = {record.source: record for record in found if record.word == word}
        exact = {source: _exact_in(source, params, records, root) for source in params.sources if _is_public(source, params) or source in records}
        notes = {source: _holding(record) for source, record in records.items()}
        said = _said(word, records)
        name = _category_name(said, params, root)
        classes = with_owners(exact, owned, params)
        owners = owners_of_all(classes)
        if name in params.categories or owners:
            there.append(_commented([f"  {name}:", *_class_lines(exact, name, notes)]))
            told += [f"  # {' and '.join(owners)} has these classes already: {word}"] if owners and owners != [name] else []
            continue
        if not records:
            unknown.append(word)
            continue
        category = new_category(params, next_id(name, params, root), (said,))
        new.append(block_of(name, category, classes, notes))
        params = msgspec.structs.replace(params, categories={**params.categories, name: category})
        for source, found_here in classes.items():
            owned.setdefault(source, {})[name] = {class_id for one in found_here or () if not one.owner for class_id in one.ids}
    return Pasteable(tuple(new), tuple(there), tuple(told), tuple(unknown))


def _commented(lines: Iterable[str]) -> str:
    return "".join(f"  # {line[2:]}\n" for line in lines)


def _said(word: str, records: "Mapping[str, coverage.Found]") -> str:
    """Return what people call a thing whose term is given: of `name:drill` and `drill.n.01` the drill, of an id its class's name."""
    from boxset.sources.classes import KINDS, SYNSET

    kind, colon, rest = word.partition(":")
    term = rest.strip() if colon and kind in KINDS else word
    if re.fullmatch(SYNSET, term):
        return term.rsplit(".", 2)[0].replace("_", " ")
    name = next((one.name for record in records.values() for one in record.exact if one.id == term), term)
    return re.sub(r"\s*\(.*\)\s*$", "", name).lower() if name != term else term


def _is_public(source: str, params: Params) -> bool:
    return (params.sources[source].format or source) != "local"


def _exact_in(source: str, params: Params, records: "Mapping[str, coverage.Found]", root: Path) -> list[FoundClass] | None:
    if source in records:
        return _by_term(records[source].exact)
    has_index = (root / "data/index" / source / "about.json").exists()
    return [] if has_index or not params.sources[source].on else None


def _holding(record: "coverage.Found") -> str:
    """Name the classes that hold the word and are not it, for a person to choose from."""
    part = _by_term(one for one in record.classes if not one.exact)
    shown = ", ".join(f"{_scalar(one.term)}{'' if one.title in one.term else f' ({one.title})'}: {one.boxes:,}" for one in part[:3])
    more = f" and {len(part) - 3:,} more" if len(part) > 3 else ""
    return f"{'also' if record.exact else 'perhaps'} {shown}{more}" if part else ""


def _category_name(word: str, params: Params, root: Path) -> str:
    """Return the category that a word is, or a name for a new one. Words in other letters than Latin ones are known by the searches."""
    from boxset.sources.classes import forms

    plain = "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:48]
    if not name or any(c.isalpha() and not c.isascii() for c in plain):
        return next((c for c, category in params.categories.items() if word in [q.q for q in queries_of(category)]), None) or _numbered(params, root)
    same = next((c for c in params.categories if c.replace("_", "") in forms(name.replace("_", ""))), None)
    return same or (name if NAME.fullmatch(name) else f"category_{name}"[:48].rstrip("_"))


def _numbered(params: Params, root: Path) -> str:
    """Return a name for what has none in Latin letters, made of its id."""
    number = next_id("", params, root)
    while f"unnamed_{number}" in params.categories:
        number += 1
    return f"unnamed_{number}"


def block_of(name: str, category: Category, classes: Classes, notes: Mapping[str, str] | None = None) -> str:
    """Return a category as lines of `params.yaml`, indented by two."""
    lines = [f"  {name}:", f"    id: {category.id}", f"    target: {category.target}", *_class_lines(classes, name, notes or {})]
    queries = ", ".join(_scalar(str(query)) for query in category.queries)
    return "\n".join([*lines, f"    queries: [{queries}]", f"    crawl_images: {category.crawl_images}"]) + "\n"


def _class_lines(classes: Classes, name: str, notes: Mapping[str, str]) -> list[str]:
    known = {source: found for source, found in classes.items() if found is not None}
    unknown = [source for source, found in classes.items() if found is None]
    remark = f"  # no index here of {', '.join(unknown)}: `boxset coverage {name}` finds its classes after `dvc repro`" if unknown else ""
    lines = [f"    classes:{'' if known else ' {}'}{remark}"]
    for source, found in known.items():
        free = [one for one in found if not one.owner]
        taken = [f"{one.owner} has {_scalar(one.term)}{'' if one.title in one.term else f' ({one.title})'}" for one in found if one.owner]
        said = [", ".join(f"{one.title}: {counted(one.boxes, 'box')}" for one in free), *taken, notes.get(source, "")]
        comment = f"  # {'; '.join(part for part in said if part)}" if any(said) else ""
        lines.append(f"      {source}: [{', '.join(_scalar(one.term) for one in free)}]{comment}")
    return lines


def _scalar(text: str) -> str:
    plain = PLAIN.fullmatch(text) and text.lower() not in WORDS_WITH_MEANING
    return text if plain else "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(text, ensure_ascii=False))


def with_block(text: str, block: str) -> str:
    """Return the text of `params.yaml` with one more block in `categories`, before the first name that comes after its own; nothing else changes.

    So branches that add different categories to a list in the order of names rarely touch the same lines. Raises ParamsError where
    `categories` is written on one line with categories in it.
    """
    node = _categories_node(text)
    end = "\r\n" if "\r\n" in text else "\n"
    block, lines = block.replace("\n", end), text.splitlines(keepends=True)
    if node.flow_style:
        if node.value:
            do = "Give each category lines of its own, as `boxset init` writes them"
            raise ParamsError("categories: written on one line", where=f"params.yaml:{node.start_mark.line + 1}", do=do)
        return text[: node.start_mark.index].rstrip(" ") + end + block + text[node.end_mark.index :].removeprefix(end)
    name = block.partition(":")[0].strip()
    after = next((key for key, _ in node.value if str(key.value) > name), None)
    place = _start_of(after.start_mark, lines) if after and _is_sorted(node) else _end_of(node, lines)
    if place == len(lines) and not lines[-1].endswith("\n"):
        lines[-1] += end
    return "".join([*lines[:place], _indented(block, node.start_mark.column), *lines[place:]])


def _is_sorted(node: yaml.MappingNode) -> bool:
    """Return whether the categories stand in the order of their names; else a new one goes to the end."""
    names = [str(key.value) for key, _ in node.value]
    return names == sorted(names)


def _start_of(key: yaml.Mark, lines: list[str]) -> int:
    """Return the line where a category begins, with the comments over it that are indented as it is."""
    line = key.line
    while lines[line - 1].startswith(f"{' ' * key.column}#"):
        line -= 1
    return line


def _end_of(node: yaml.MappingNode, lines: list[str]) -> int:
    """Return the line after the last one of `categories`."""
    inside = range(node.start_mark.line, node.end_mark.line + 1)
    return max(i for i in inside if i < len(lines) and lines[i].startswith(" ") and lines[i].strip()) + 1


def _indented(block: str, columns: int) -> str:
    return "".join(f"{' ' * columns}{line[2:]}" for line in block.splitlines(keepends=True))


def _categories_node(text: str) -> yaml.MappingNode:
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(top, yaml.MappingNode)
    node = next(value for key, value in top.value if key.value == "categories")
    assert isinstance(node, yaml.MappingNode)
    return node


def _check_name(name: str, params: Params) -> None:
    if name in params.categories:
        raise ParamsError(f"categories.{name}: it is there already", where="params.yaml", do="Edit its block, or choose another name")
    if not NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        hint = f"; {near} would do" if NAME.fullmatch(near) else ""
        raise ParamsError(f"{name!r} is no name: a small letter followed by small letters, digits and _{hint}")
    for other in params.categories:
        if other.rstrip("s") == name.rstrip("s"):
            raise ParamsError(f"categories.{other}: it is there already", where="params.yaml", do=f"Edit its block instead of adding {name}")


def _check_only_that_changed(before: Params, name: str, text: str, path: Path) -> None:
    """Hold that the new text says what the old one said, and one category more."""
    after, wrong = checked(parsed_yaml(text, where=str(path)))
    if after is None or wrong or {k: v for k, v in after.categories.items() if k != name} != before.categories:
        what = wrong[0].what if wrong else "the edit would have changed other categories"
        raise ParamsError(f"categories.{name}: {what}", where=str(path), do="Write the block by hand; nothing was changed")

"""Find a category's classes in a source's vocabulary: by id, name, synonym or synset, with children where wanted.

A vocabulary may hold a hundred thousand spellings (Visual Genome's): it stays in Arrow's columns, and every question is one
regular expression over them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from difflib import get_close_matches
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc

from boxset.errors import ParamsError
from boxset.params import ClassTerm
from boxset.sources import tables

SYNSET = r"[\w'.-]+\.[nvars]\.\d{2}"
KINDS = ("id", "name", "synset")
GAP = r"[\s_-]"
FREE = ("visual_genome",)  # formats in which people named objects as they liked
Row = dict[str, Any]


class Matches(NamedTuple):
    """Classes that a word finds: those that bear it as their name, and those whose name or synonym merely holds it; most boxes first."""

    exact: list[str]
    part: list[str]


class Shared(NamedTuple):
    """Classes of one source that two categories both name."""

    one: str
    other: str
    classes: tuple[str, ...]

    def fault(self, rows: Mapping[str, Row]) -> tuple[str, str]:
        """Say what is wrong with `categories.<other>.classes`, and what to do."""
        some = ", ".join(named(rows[class_id]) for class_id in self.classes[:3]) + (f" and {len(self.classes) - 3:,} more" if len(self.classes) > 3 else "")
        return f"{self.one} has {some} as well: each such object would get both labels", f"Take it out of {self.one} or of {self.other}, or make the two one category"


def clash(one: Set[str], other: Set[str], *, free: bool) -> Set[str]:
    """Return the classes because of which two categories, or a term and a category, cannot stand side by side.

    Where people name objects freely (`free`, Visual Genome) a class is one spelling, and an object may well bear the names of two
    things: there only a set that lies wholly in the other is refused.
    """
    shared = one & other
    return shared if not free or shared in (one, other) else frozenset()


def shared_classes(classes: Mapping[str, Set[str]], *, free: bool) -> list[Shared]:
    """Return each two categories that name the same classes of a source, by `clash`, in the order of the categories."""
    found = [(one, other, clash(classes[one], classes[other], free=free)) for one, other in combinations(classes, 2)]
    return [Shared(one, other, tuple(sorted(shared))) for one, other, shared in found if shared]


def named(row: Row) -> str:
    """Return a class's name, with its id where that says something else."""
    name, class_id = row["name"] or "", row["class_id"]
    return name if not name or "|" in class_id or folded(name) == folded(class_id) else f"{name} ({class_id})"


class Rows(Mapping[str, Row]):
    """Classes by id, each built when it is asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @cached_property
    def _places(self) -> dict[str, int]:
        return {class_id: place for place, class_id in enumerate(self._table.column("class_id").to_pylist())}

    def __getitem__(self, class_id: str) -> Row:
        row: Row = self._table.slice(self._places[class_id], 1).to_pylist()[0]
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return int(self._table.num_rows)


class Vocabulary:
    """A source's classes, found by whatever they are called."""

    def __init__(self, source: str, rows: Iterable[Row] | pa.Table) -> None:
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), tables.CLASSES)
        self.source, self._table, self.rows = source, table.combine_chunks(), Rows(table)

    @classmethod
    def of(cls, index: Path) -> Self:
        """Read the vocabulary of the index in a folder that bears its source's name."""
        return cls(index.name, tables.classes_table(index))

    def find(self, term: ClassTerm, *, where: str) -> list[str]:
        """Return the class ids that a term names. Raises ParamsError with the nearest names where there is none."""
        found = self._named(term.name)
        if not found:
            near = self.near(term.name)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ParamsError(
                f"{where}: {self.source} has no class {term.name!r}{hint}",
                where="params.yaml",
                do="`boxset coverage WORD` shows what there is; [] says: none",
            )
        return sorted({*found, *(self.below(found) if term.children else ())})

    def search(self, word: str) -> list[str]:
        """Return the ids of all classes that a word finds, those that bear it as their name first."""
        found = self.matches(word)
        return [*found.exact, *found.part]

    def matches(self, word: str) -> Matches:
        """Return what a word finds: written as one word or several, in the singular or the plural, `Drill (Tool)` for `drill`."""
        if self.is_term(word):
            return Matches(self._by_boxes(set(self._named(word))), [])
        tokens = re.split(f"{GAP}+", word.strip())
        run = _written_anyhow("".join(tokens))
        exact = self._where(_whole(run))
        part = self._where(_bounded(run))
        if len(tokens) > 1:
            part |= set.intersection(*(self._where(_bounded(_written_anyhow(token))) for token in tokens))
        return Matches(self._by_boxes(exact), self._by_boxes(part - exact))

    def is_term(self, word: str) -> bool:
        """Return whether a word is an exact term that names classes here: an id, a synset, or one with `id:`, `name:` or `synset:`.

        Where people name things freely, an id that is its class's name is a word like any other.
        """
        is_id = word in self.rows and folded(self.rows[word]["name"] or "") != folded(word)
        return bool((is_id or re.fullmatch(SYNSET, word) or word.partition(":")[0] in KINDS) and self._named(word))

    def below(self, class_ids: Iterable[str]) -> set[str]:
        """Return all classes under some others in the hierarchy, however many parents they have."""
        return _reached(class_ids, self._children)

    def above(self, class_ids: Iterable[str]) -> set[str]:
        """Return all classes over some others in the hierarchy."""
        return _reached(class_ids, self._parents)

    def words(self) -> list[str]:
        """Return every name by which a class can be called."""
        ids, names = self._table.column("class_id").to_pylist(), self._table.column("name").to_pylist()
        return list(dict.fromkeys([*names, *self._synonyms.column("word").to_pylist(), *ids]))

    def near(self, text: str) -> list[str]:
        """Return the nearest names. Of a large vocabulary only those are looked at that share three letters in a row with the word."""
        word = text.partition(":")[2] if text.partition(":")[0] in KINDS else text
        threes = "|".join(re.escape(word[i : i + 3]) for i in range(max(1, len(word) - 2)))
        known = pa.array(self.words(), pa.string())
        some = known.filter(pc.match_substring_regex(known, threes, ignore_case=True)) if threes and len(known) > 5000 else known
        by_folded = {name.casefold(): name for name in some.to_pylist()}
        return [by_folded[name] for name in get_close_matches(word.casefold(), by_folded, n=3, cutoff=0.6)]

    def _named(self, text: str) -> list[str]:
        prefix, colon, rest = text.partition(":")
        if colon and prefix in KINDS:
            return self._exactly(prefix, rest)
        for kind in KINDS:
            found = self._exactly(kind, text)
            if found:  # where people name things freely, an id is a spelling among others of the same name
                return sorted({*found, *(self._exactly("name", text) if kind == "id" else ())})
        return self._exactly("synonym", text)

    def _exactly(self, kind: str, word: str) -> list[str]:
        if kind == "id":
            return [word] if word in self.rows else []
        whole = rf"^\s*{f'{GAP}+'.join(map(re.escape, re.split(f'{GAP}+', word.strip())))}\s*$"
        if kind == "name":
            return sorted(self._ids(self._table.column("name"), whole) | self._spelt(word)) or self._exactly("synonym", word)
        is_synset = pc.match_substring_regex(self._synonyms.column("word"), f"^{SYNSET}$")
        some = self._synonyms.filter(is_synset if kind == "synset" else pc.invert(is_synset))
        return sorted(set(some.column("class_id").filter(pc.match_substring_regex(some.column("word"), whole, ignore_case=True)).to_pylist()))

    def _spelt(self, word: str) -> set[str]:
        """Return classes one of whose several names is the word; their ids hold all names (`visual_genome.py`)."""
        ids = self._table.column("class_id")
        some = ids.filter(pc.match_substring(ids, "|"))
        mask = pc.match_substring_regex(some, rf"(?:^|\|)\s*{re.escape(word.strip())}\s*(?:\||$)", ignore_case=True)
        return set(some.filter(mask).to_pylist())

    def _where(self, pattern: str) -> set[str]:
        """Return the classes whose name, or a synonym that is no synset, matches."""
        others = self._synonyms
        mask = pc.and_not(
            pc.match_substring_regex(others.column("word"), pattern, ignore_case=True),
            pc.match_substring_regex(others.column("word"), f"^{SYNSET}$"),
        )
        return self._ids(self._table.column("name"), pattern) | set(others.column("class_id").filter(mask).to_pylist())

    def _ids(self, column: pa.ChunkedArray, pattern: str) -> set[str]:
        mask = pc.fill_null(pc.match_substring_regex(column, pattern, ignore_case=True), False)
        return set(self._table.column("class_id").filter(mask).to_pylist())

    def _by_boxes(self, class_ids: set[str]) -> list[str]:
        boxes = {class_id: self.rows[class_id].get("boxes") or 0 for class_id in class_ids}
        return sorted(class_ids, key=lambda class_id: (-boxes[class_id], class_id))

    @cached_property
    def _synonyms(self) -> pa.Table:
        return self._pairs("synonyms")

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        return _grouped(self._pairs("parents"), "word", "class_id")

    @cached_property
    def _parents(self) -> dict[str, list[str]]:
        return _grouped(self._pairs("parents"), "class_id", "word")

    def _pairs(self, lists: str) -> pa.Table:
        """Return class_id and word for every element of a column of lists."""
        column = self._table.column(lists)
        ids = self._table.column("class_id").take(pc.list_parent_indices(column))
        return pa.table({"class_id": ids, "word": pc.list_flatten(column)})


def _grouped(pairs: pa.Table, key: str, value: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one, other in zip(pairs.column(key).to_pylist(), pairs.column(value).to_pylist(), strict=True):
        found.setdefault(one, []).append(other)
    return found


def _reached(start: Iterable[str], steps: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        fresh = [step for step in steps.get(waiting.pop(), ()) if step not in found]
        found.update(fresh)
        waiting += fresh
    return found


def _written_anyhow(word: str) -> str:
    """Return a pattern for a word in the singular and plural, with a blank, _ or - allowed anywhere between its letters."""
    return "|".join(f"{GAP}?".join(map(re.escape, form)) for form in sorted(forms(word), key=len, reverse=True))


def _whole(pattern: str) -> str:
    """Return a pattern that matches a name that is the word, with a full stop or a remark in brackets behind it."""
    return rf"^\s*(?:{pattern})\.?(?:\s*\(.*\))?\s*$"


def bears(name: str, word: str) -> bool:
    """Return whether a name is the word, written as one word or several, in the singular or the plural."""
    run = _written_anyhow(re.sub(f"{GAP}+", "", word.strip()))
    return re.match(_whole(run), name, re.IGNORECASE) is not None


def _bounded(pattern: str) -> str:
    """Return a pattern that matches whole words; a full stop counts as part of one, unless it ends it."""
    return rf"(?:^|[^\pL\pN.])(?:{pattern})(?:$|[^\pL\pN.]|\.(?:$|\s))"


def forms(word: str) -> set[str]:
    """Return an English word's singular and plural, whichever of the two it is."""
    singulars = {word} | _singulars(word.lower())
    return singulars | {plural for one in singulars for plural in _plurals(one)}


def _singulars(word: str) -> set[str]:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return set()
    if word.endswith("ies"):
        return {f"{word[:-3]}y"}
    if word.endswith("ves"):
        return {f"{word[:-3]}f", f"{word[:-3]}fe", word[:-1]}
    return {word[:-2] if word.endswith(("ches", "shes", "xes", "sses", "zes")) else word[:-1]}


def _plurals(word: str) -> set[str]:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return {f"{word}es"}
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return {f"{word[:-1]}ies"}
    more = {f"{word.removesuffix('e').removesuffix('f')}ves"} if word.endswith(("f", "fe")) else set()
    return {f"{word}s", *more}


def folded(word: str) -> str:
    """Return the form in which names are compared: small letters, blanks for _ and -."""
    return re.sub(r"[\s_-]+", " ", word).strip().casefold()

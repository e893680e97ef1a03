"""Find a category's classes in a source's vocabulary: by id, name, synonym or synset, with children where wanted."""

import re
from collections.abc import Iterable
from typing import Any

from boxset.errors import ParamsError, did_you_mean
from boxset.params import ClassTerm

SYNSET = re.compile(r"[\w'.-]+\.[nvars]\.\d{2}")
Row = dict[str, Any]


class Vocabulary:
    """A source's classes, found by whatever they are called."""

    def __init__(self, source: str, rows: Iterable[Row]) -> None:
        self.source = source
        self.rows = {row["class_id"]: row for row in rows}
        self._by: dict[str, dict[str, list[str]]] = {"name": {}, "synonym": {}, "synset": {}}
        self._children: dict[str, list[str]] = {}
        for class_id, row in self.rows.items():
            self._note("name", row["name"], class_id)
            for word in row["synonyms"] or ():
                self._note("synset" if SYNSET.fullmatch(word) else "synonym", word, class_id)
            for parent in row["parents"] or ():
                self._children.setdefault(parent, []).append(class_id)

    def _note(self, kind: str, word: str, class_id: str) -> None:
        self._by[kind].setdefault(folded(word), []).append(class_id)

    def find(self, term: ClassTerm, *, where: str) -> list[str]:
        """Return the class ids that a term names. Raises ParamsError with the nearest names where there is none."""
        found = self._named(term.name)
        if not found:
            hint = did_you_mean(term.name.partition(":")[2] or term.name, self.words())
            raise ParamsError(
                f"{where}: {self.source} has no class {term.name!r}{hint}",
                where="params.yaml",
                do="`boxset coverage WORD` shows what there is; [] says: none",
            )
        return sorted({*found, *(self.below(found) if term.children else ())})

    def search(self, word: str) -> list[str]:
        """Return the ids of classes whose name or synonyms hold all words of a phrase, exact ones first."""
        wanted = folded(word)
        exact = self._named(word)
        tokens = set(wanted.split())
        part = [c for c, row in self.rows.items() if any(tokens <= set(folded(name).split()) for name in (row["name"], *(row["synonyms"] or ())))]
        return list(dict.fromkeys([*exact, *sorted(part)]))

    def below(self, class_ids: Iterable[str]) -> set[str]:
        """Return all classes under some others in the hierarchy, however many parents they have."""
        found: set[str] = set()
        waiting = list(class_ids)
        while waiting:
            fresh = [child for child in self._children.get(waiting.pop(), ()) if child not in found]
            found.update(fresh)
            waiting += fresh
        return found

    def words(self) -> list[str]:
        """Return every name by which a class can be called."""
        return [*self.rows, *(row["name"] for row in self.rows.values()), *self._by["synset"]]

    def _named(self, text: str) -> list[str]:
        prefix, colon, rest = text.partition(":")
        if colon and prefix in ("id", "name", "synset"):
            return self._exactly(prefix, rest)
        for kind in ("id", "synset", "name", "synonym"):
            found = self._exactly(kind, text)
            if found:
                return found
        return []

    def _exactly(self, kind: str, word: str) -> list[str]:
        if kind == "id":
            return [word] if word in self.rows else []
        found = self._by[kind].get(folded(word), [])
        return sorted({*found, *(self._by["synonym"].get(folded(word), []) if kind == "name" and not found else ())})


def folded(word: str) -> str:
    """Return the form in which names are compared: small letters, blanks for _ and -."""
    return re.sub(r"[\s_-]+", " ", word).strip().casefold()

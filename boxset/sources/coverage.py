"""Which sources have a thing, how many boxes and pictures, and how many of them our licences allow: from the indexes alone."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from boxset.params import Licences
from boxset.sources import tables
from boxset.sources.classes import SYNSET, Row, Vocabulary, bears
from boxset.sources.licences import allowed


class FoundClass(msgspec.Struct, frozen=True, kw_only=True):
    """A class that a word finds; `exact`: it bears the word as its name, and does not merely hold it. `term` names it in `params.yaml`."""

    id: str
    name: str
    term: str
    boxes: int
    exact: bool


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Boxes, the images that hold them, and what of both the licences allow."""

    boxes: int
    images: int
    usable_boxes: int
    usable_images: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one source has of one word. Counts are over the exact classes, where there are any, else over those that hold the word."""

    source: str
    format: str
    word: str
    classes: tuple[FoundClass, ...]
    total: Count
    by_split: dict[str, Count]  # a source without splits has the one split `all`
    kept_out: dict[str, int]  # licence → boxes that it keeps out

    @property
    def exact(self) -> tuple[FoundClass, ...]:
        """The classes that bear the word as their name."""
        return tuple(one for one in self.classes if one.exact)

    @property
    def counted(self) -> tuple[FoundClass, ...]:
        """The classes that the counts are about."""
        return self.exact or self.classes


def coverage(index: Path, words: Sequence[str], *, use: str, licences: Licences) -> list[Found]:
    """Return a record for every word and source that has something, in their order. A source without an index is passed over.

    A class that bears the word counts as something where it has no box too: its source knows the thing.
    """
    sources = sorted(path.parent for path in index.glob("*/about.json"))
    return [found for source in sources for found in _of_source(source, words, use, licences)]


def _of_source(source: Path, words: Sequence[str], use: str, licences: Licences) -> list[Found]:
    vocabulary = Vocabulary.of(source)
    about = tables.about(source)
    by_word = {word: tuple(c for c in classes_of(vocabulary, word, about.format) if c.boxes or c.exact) for word in dict.fromkeys(words)}
    if not any(by_word.values()):
        return []
    none = pa.table({"image_id": pa.array([], pa.string())})
    boxes = {word: tables.read_boxes(source, ids, ["image_id"]) if (ids := _counted(found)) else none for word, found in by_word.items()}
    named = pa.chunked_array([chunk for table in boxes.values() for chunk in table.column("image_id").chunks], pa.string())
    images = _Images(source, named, about.license)
    usable = {licence: allowed(licence or about.license, use, licences) for licence in images.licences}
    return [
        Found(source=source.name, format=about.format, word=word, classes=found, **images.counts(boxes[word].column("image_id"), usable))
        for word, found in by_word.items()
        if found
    ]


def nearest(index: Path, word: str) -> list[str]:
    """Return names in any index that are near a word which none of them has, the nearest first."""
    hints = [Vocabulary.of(path.parent).near(word) for path in sorted(index.glob("*/about.json"))]
    names = {name.casefold(): name for some in reversed(hints) for name in some if not re.fullmatch(SYNSET, name)}
    return [names[near] for near in get_close_matches(word.rpartition(":")[2].casefold(), names, n=3, cutoff=0.6)]


def classes_of(vocabulary: Vocabulary, word: str, format_: str) -> tuple[FoundClass, ...]:
    """Return the classes that a word finds, those that bear it first, then by their boxes."""
    rows = [vocabulary.rows[class_id] for class_id in vocabulary.search(word)]
    is_term = vocabulary.is_term(word)
    borne = [(row, word if is_term else _borne(row, word, format_)) for row in rows]
    made = [
        FoundClass(
            id=row["class_id"], name=row["name"], term=word if is_term else _term(format_, row, name), boxes=row["boxes"] or 0, exact=bool(name)
        )
        for row, name in borne
    ]
    return tuple(sorted(made, key=lambda one: (not one.exact, -one.boxes, one.id)))


def _borne(row: Row, word: str, format_: str) -> str:
    """Return the name of a class that is the word, or an empty string. Visual Genome's aliases are not what a class is called."""
    names = [row["name"], *_spelt(row["class_id"])] if format_ == "visual_genome" else [row["name"], *(row["synonyms"] or ())]
    return next((name for name in [row["class_id"], *names] if name == word or bears(name, word)), "")


def _spelt(class_id: str) -> list[str]:
    """Return the names in a class of Visual Genome, whose id is all its names and synsets."""
    return [part for part in class_id.split("|") if not re.fullmatch(SYNSET, part)]


def _term(format_: str, row: Row, borne: str) -> str:
    """Return how `params.yaml` best names a class: by ids that never change, else by its name; people's own names by the one they wrote."""
    if format_ in ("open_images", "imagenet"):
        return str(row["class_id"])
    return f"name:{(borne or row['name']).strip().lower()}" if format_ == "visual_genome" else str(row["name"])


def _counted(found: tuple[FoundClass, ...]) -> list[str]:
    exact = [one.id for one in found if one.exact]
    return exact or [one.id for one in found]


class _Images:
    """Split and licence of the images that some boxes name, without ever making a Python object of an image."""

    def __init__(self, source: Path, wanted: pa.ChunkedArray, terms: str) -> None:
        table = tables.image_columns(source, ["image_id", "split", "license"])
        table = table.filter(pc.is_in(table.column("image_id"), value_set=pc.unique(wanted)))
        self._ids = table.column("image_id").combine_chunks()
        self._split = pc.fill_null(table.column("split").cast(pa.string()).combine_chunks(), "")
        self._licence = pc.fill_null(table.column("license").cast(pa.string()).combine_chunks(), "")
        self._terms = terms
        self.licences: list[str] = [*pc.unique(self._licence).to_pylist(), ""]

    def counts(self, boxes: pa.ChunkedArray, usable: dict[str, bool]) -> dict[str, Any]:
        """Return the total and the counts of every split for boxes given by the images that they lie in."""
        place = pc.index_in(boxes, value_set=self._ids)
        known = pa.table({"image": boxes, "split": self._split.take(place), "licence": self._licence.take(place)})
        counted = known.group_by(["image", "split", "licence"]).aggregate([([], "count_all")])
        grouped = counted.group_by(["split", "licence"]).aggregate([("count_all", "sum"), ("count_all", "count")]).to_pylist()
        rows = [(row["split"] or "all", usable[row["licence"] or ""], row["count_all_sum"], row["count_all_count"]) for row in grouped]
        splits = sorted({split for split, *_ in rows})
        kept_out: dict[str, int] = {}
        for row in grouped:
            if not usable[row["licence"] or ""]:
                name = row["licence"] or self._terms or "unknown"
                kept_out[name] = kept_out.get(name, 0) + row["count_all_sum"]
        by_split = {split: _count([row for row in rows if row[0] == split]) for split in splits}
        return {"total": _count(rows), "by_split": by_split, "kept_out": dict(sorted(kept_out.items()))}


def _count(rows: Sequence[tuple[str, bool, int, int]]) -> Count:
    return Count(
        boxes=sum(boxes for _, _, boxes, _ in rows),
        images=sum(images for *_, images in rows),
        usable_boxes=sum(boxes for _, may, boxes, _ in rows if may),
        usable_images=sum(images for _, may, _, images in rows if may),
    )

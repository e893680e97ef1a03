"""Which sources have a thing, how many boxes and pictures, and how many of them our licences allow: from the indexes alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.compute as pc

from boxset.params import Licences
from boxset.sources import tables
from boxset.sources.classes import Vocabulary
from boxset.sources.licences import allowed


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one source has of one word."""

    source: str
    word: str
    classes: tuple[tuple[str, str, int], ...]  # id, name, boxes
    boxes: int
    images: int
    usable_boxes: int
    usable_images: int
    by_split: dict[str, int]  # boxes


def coverage(index: Path, words: Sequence[str], *, use: str, licences: Licences) -> list[Found]:
    """Return a record for every word and source that has something, in their order. A source without an index is passed over."""
    sources = sorted(path.parent for path in index.glob("*/about.json"))
    return [found for source in sources for found in _of_source(source, words, use, licences)]


def _of_source(source: Path, words: Sequence[str], use: str, licences: Licences) -> list[Found]:
    vocabulary = Vocabulary(source.name, tables.read_classes(source))
    by_word = {word: [c for c in vocabulary.search(word) if vocabulary.rows[c]["boxes"]] for word in words}
    wanted = sorted({class_id for ids in by_word.values() for class_id in ids})
    if not wanted:
        return []
    boxes = tables.read_boxes(source, wanted).select(["image_id", "class_id"])
    images = tables.read_images(source, pc.unique(boxes.column("image_id")).to_pylist())
    rows = list(zip(boxes.column("image_id").to_pylist(), boxes.column("class_id").to_pylist(), strict=True))
    may = {image: allowed(row.get("license") or "", use, licences) for image, row in images.items()}
    unstated = allowed("", use, licences)
    return [_found(source.name, word, ids, rows, vocabulary, images, may, unstated) for word, ids in by_word.items() if ids]


def _found(
    source: str,
    word: str,
    ids: list[str],
    rows: list[tuple[str, str]],
    vocabulary: Vocabulary,
    images: dict[str, dict[str, Any]],
    may: dict[str, bool],
    unstated: bool,
) -> Found:
    wanted = set(ids)
    own = [image for image, class_id in rows if class_id in wanted]
    usable = [image for image in own if may.get(image, unstated)]
    by_split: dict[str, int] = {}
    for image in own:
        split = images.get(image, {}).get("split") or "all"
        by_split[split] = by_split.get(split, 0) + 1
    classes = tuple((c, vocabulary.rows[c]["name"], vocabulary.rows[c]["boxes"]) for c in ids)
    return Found(
        source=source,
        word=word,
        classes=classes,
        boxes=len(own),
        images=len(set(own)),
        usable_boxes=len(usable),
        usable_images=len(set(usable)),
        by_split=dict(sorted(by_split.items())),
    )


def pasteable(word: str, found: Sequence[Found], sources: Sequence[str]) -> str:
    """Return a category's `classes` block for `params.yaml`: the classes that bear the word's very name, else the first."""
    lines = ["    classes:"]
    for source in sources:
        of = next((f for f in found if f.source == source and f.word == word), None)
        lines.append(f"      {source}: {_terms(of, word) if of else '[]'}")
    return "\n".join(lines)


def _terms(found: Found, word: str) -> str:
    exact = [(c, name) for c, name, _ in found.classes if name.casefold() == word.casefold()] or [found.classes[0][:2]]
    if len(exact) > 1:  # a source where people name things freely: many classes bear one name
        return f'["name:{exact[0][1]}"]'
    return f'["id:{exact[0][0]}"]  # {exact[0][1]}'

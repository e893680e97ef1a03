"""One's own pictures that nobody has looked at and that no category is named for: they are asked about nothing, and wait."""

from collections.abc import Iterable, Mapping

from boxset.dataset.records import Pool
from boxset.params import Source
from boxset.wording import counted, noun


def unnamed(pools: Mapping[str, Pool], answers: Pool, sources: Mapping[str, Source]) -> dict[str, int]:
    """Return how many pictures of each of one's own sources no source and no person has said anything of, and no category is named for."""
    every = [*pools.values(), answers]
    told = {a.sha256 for pool in every for a in pool.annotations} | {p.sha256 for pool in every for p in pool.presence}
    own = sorted(name for name in pools if name in sources and (sources[name].format or name) == "local")
    waiting = {name: {p.sha256 for p in pools[name].pictures if not p.category} - told for name in own}
    return {name: len(pictures) for name, pictures in waiting.items() if pictures}


def unnamed_words(waiting: Mapping[str, int], categories: Iterable[str]) -> list[str]:
    """Say of each source how many of its pictures wait, and what lets them in."""
    example = next(iter(categories), "NAME")
    return [
        f"{counted(count, 'picture')} of {name} {noun(count, 'has', 'have')} no labels and cannot be bought or reviewed: "
        f"write `category: {example}`, or whichever they are likely to show, under sources.{name}; then `dvc repro`"
        for name, count in waiting.items()
    ]

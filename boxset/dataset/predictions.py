"""What a detector saw, in columns: the pictures that it was run on by content, and its boxes in pixels with their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Truth = npt.NDArray[np.bool_]


def _none() -> Whole:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Predictions:
    """What was seen in each picture that a detector was run on; a picture without a box is one in which it saw nothing.

    `pictures`: by SHA-256, sorted. The boxes of picture `i` stand from `starts[i]` to `starts[i + 1]`, the surest first: `category_ids`,
    `boxes` (n, 4) as left, top, width, height, and `scores` from 0 to 1. `model_of` says which of `models` each picture's are from.
    """

    pictures: tuple[str, ...] = ()
    starts: Whole = field(default_factory=lambda: np.zeros(1, np.int64))
    category_ids: Whole = field(default_factory=_none)
    boxes: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    scores: Floats = field(default_factory=lambda: np.zeros(0))
    models: tuple[str, ...] = ()
    model_of: Whole = field(default_factory=_none)

    def __len__(self) -> int:
        """Return how many boxes there are."""
        return len(self.scores)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Return where each picture stands, by SHA-256."""
        return {sha256: place for place, sha256 in enumerate(self.pictures)}

    @cached_property
    def picture_of(self) -> Whole:
        """Return for each box the place of its picture."""
        return np.repeat(np.arange(len(self.pictures)), np.diff(self.starts))

    @cached_property
    def known(self) -> frozenset[tuple[int, int]]:
        """Return of each model the categories that it sees anywhere: `(model, category id)`. Of any other it cannot be told to see none: it may not know it."""
        models = self.model_of[self.picture_of]
        return frozenset((model, i) for model in range(len(self.models)) for i in np.unique(self.category_ids[models == model]).tolist())


def latest(many: Sequence[Predictions]) -> Predictions:
    """Return of each picture what the last of several says that was run on it."""
    chosen = {sha256: (place, where) for place, one in enumerate(many) for where, sha256 in enumerate(one.pictures)}
    if not chosen:
        return Predictions()
    pictures = tuple(sorted(chosen))
    model_of = np.array([chosen[sha256][0] for sha256 in pictures])
    offsets = np.cumsum([0, *(len(one) for one in many)])
    begins, counts = (np.zeros(len(pictures), np.int64) for _ in range(2))
    for position, sha256 in enumerate(pictures):
        place, where = chosen[sha256]
        first, last = many[place].starts[where : where + 2]
        begins[position], counts[position] = offsets[place] + first, last - first
    starts = np.concatenate([[0], np.cumsum(counts)])
    rows = np.arange(starts[-1]) - np.repeat(starts[:-1] - begins, counts)
    return Predictions(
        pictures,
        starts,
        np.concatenate([one.category_ids for one in many])[rows],
        np.concatenate([one.boxes for one in many])[rows],
        np.concatenate([one.scores for one in many])[rows],
        tuple(one.models[0] for one in many),
        model_of,
    )

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
    `boxes` (n, 4) as left, top, width, height, and `scores` from 0 to 1. `model_of` says which of `models` each picture's are from, `knows` which
    categories each of these sees anywhere; left empty, these are the boxes'.
    """

    pictures: tuple[str, ...] = ()
    starts: Whole = field(default_factory=lambda: np.zeros(1, np.int64))
    category_ids: Whole = field(default_factory=_none)
    boxes: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    scores: Floats = field(default_factory=lambda: np.zeros(0))
    models: tuple[str, ...] = ()
    model_of: Whole = field(default_factory=_none)
    knows: tuple[frozenset[int], ...] = ()

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
        if self.knows:
            return frozenset((model, i) for model, ids in enumerate(self.knows) for i in ids)
        models = self.model_of[self.picture_of]
        return frozenset((model, i) for model in range(len(self.models)) for i in np.unique(self.category_ids[models == model]).tolist())


Files = tuple[int, ...]
"""The places of files that a picture is in, in their order."""


def latest(many: Sequence[Predictions]) -> Predictions:
    """Return of each picture and category what the last of several files says that was run on the picture and knows the category (sees it anywhere).

    Where several files have a say in a picture's categories, its model is all of them: `v1 + v1-saws`.
    """
    files_of: dict[str, Files] = {}
    for place, one in enumerate(many):
        for sha256 in one.pictures:
            files_of[sha256] = (*files_of.get(sha256, ()), place)
    if not files_of:
        return Predictions()
    knows = [frozenset(np.unique(one.category_ids).tolist()) for one in many]
    speakers = {files: {i: place for place in files for i in knows[place]} for files in sorted(set(files_of.values()))}
    groups = {files: tuple(sorted(set(by_category.values()))) or files[-1:] for files, by_category in speakers.items()}
    models = sorted(set(groups.values()))
    pictures = tuple(sorted(files_of))
    numbers = {sha256: number for number, sha256 in enumerate(pictures)}
    kept = [_spoken(one, place, files_of, speakers) for place, one in enumerate(many)]
    where = np.concatenate([np.array([numbers[sha256] for sha256 in one.pictures], np.int64)[one.picture_of[rows]] for one, rows in zip(many, kept, strict=True)])
    scores = np.concatenate([one.scores[rows] for one, rows in zip(many, kept, strict=True)])
    order = np.lexsort((-scores, where))
    return Predictions(
        pictures,
        np.concatenate([[0], np.cumsum(np.bincount(where, minlength=len(pictures)))]).astype(np.int64),
        np.concatenate([one.category_ids[rows] for one, rows in zip(many, kept, strict=True)])[order],
        np.concatenate([one.boxes[rows] for one, rows in zip(many, kept, strict=True)])[order],
        scores[order],
        tuple(" + ".join(many[place].models[0] for place in model) for model in models),
        np.array([models.index(groups[files_of[sha256]]) for sha256 in pictures], np.int64),
        tuple(frozenset[int]().union(*(knows[place] for place in model)) for model in models),
    )


def _spoken(one: Predictions, place: int, files_of: Mapping[str, Files], speakers: Mapping[Files, Mapping[int, int]]) -> Whole:
    """Return the rows of the file at a place that hold: of categories in which it has the say."""
    kinds = {files: number for number, files in enumerate(speakers)}
    kind = np.array([kinds[files_of[sha256]] for sha256 in one.pictures], np.int64)[one.picture_of]
    holds = np.zeros(len(one), bool)
    for files, number in kinds.items():
        own = [i for i, speaker in speakers[files].items() if speaker == place]
        holds |= (kind == number) & np.isin(one.category_ids, np.array(own, np.int64))
    return np.flatnonzero(holds)

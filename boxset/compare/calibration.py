"""How far a detector's scores can be trusted, by category: measured on the labelled pictures that it was run on.

- `precision(score)`: the share of predictions of that score that a label confirms, never falling as the score rises.
- `recall`: the share of labels that it finds.

A model's category with few labels is drawn towards all that the model sees, this towards the category as other models see it, this towards all categories
of all models together, and these towards the score taken at its word. So a second run of a model, over pictures without labels, is judged by the first.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from boxset.compare.overlaps import Labels, Pairs, known_of, labels_of, of_categories, pairs_of, partners, stated
from boxset.dataset.coco import Coco
from boxset.dataset.predictions import Floats, Predictions, Truth, Whole

EDGES = np.linspace(0.0, 1.0, 21)
MIDDLES = (EDGES[:-1] + EDGES[1:]) / 2
WEIGHT = 10.0  # for how many predictions (labels) of each step what is expected beforehand counts
RECALL = 0.5  # what is expected beforehand


class Curve(NamedTuple):
    """Precision by score: straight lines between points, one of each step."""

    scores: Floats
    shares: Floats

    def at(self, scores: Floats) -> Floats:
        """Return the precision of scores."""
        return np.interp(scores, self.scores, self.shares)


AT_ITS_WORD = Curve(MIDDLES, MIDDLES)


class Key(NamedTuple):
    """Whose scores: a model's, in a category."""

    model: int
    category_id: int


@dataclass(frozen=True)
class Calibration:
    """What was measured; a category of which nothing was measured has the figures of all together."""

    curves: dict[Key, Curve]
    recalls: dict[Key, float]
    any_curve: Curve
    any_recall: float

    def precision(self, predictions: Predictions) -> Floats:
        """Return for each prediction how likely a label would confirm it."""
        found = self.any_curve.at(predictions.scores)
        models = predictions.model_of[predictions.picture_of]
        for key, curve in self.curves.items():
            mine = (models == key.model) & (predictions.category_ids == key.category_id)
            found[mine] = curve.at(predictions.scores[mine])
        return found

    def recall(self, model: int, category_id: int) -> float:
        """Return the share of a category's objects that a model finds."""
        return self.recalls.get(Key(model, category_id), self.any_recall)


@dataclass(frozen=True)
class Compared:
    """Predictions beside labels: which overlap, which are partners of one category, and which predictions are judged by labels at all."""

    predictions: Predictions
    labels: Labels
    pairs: Pairs
    partner: Whole  # of each prediction: its label's place, or -1
    found_by: Whole  # of each label: its prediction's place, or -1
    in_crowd: Truth  # predictions that lie, by half or more, in a crowd of their own category
    judged: Truth  # predictions in pictures where someone looked for the category, off crowds
    countable: Truth  # labels that could be found: no crowds, and none of a category that their picture's model does not know

    @property
    def is_same(self) -> Truth:
        """Return for each pair whether both name one category."""
        same: Truth = self.predictions.category_ids[self.pairs.predictions] == self.labels.category_ids[self.pairs.labels]
        return same


def compared(cocos: Sequence[Coco], predictions: Predictions) -> Compared:
    """Lay predictions beside the labels of the same pictures."""
    labels, seen = labels_of(cocos, of_categories(predictions, {c.id for coco in cocos for c in coco.categories}))
    every = pairs_of(seen, labels)
    pairs = every.only(~labels.crowds[every.labels])
    in_crowd = np.zeros(len(seen), bool)
    in_crowd[crowded(every.only(labels.crowds[every.labels]), seen, labels)] = True
    same = seen.category_ids[pairs.predictions] == labels.category_ids[pairs.labels]
    mine, theirs = partners(pairs.only(same), seen)
    partner, found_by = np.full(len(seen), -1), np.full(len(labels.annotations), -1)
    partner[mine], found_by[theirs] = theirs, mine
    looked = known_of(labels, "exhaustive_category_ids") | known_of(labels, "neg_category_ids")
    judged = stated(looked, seen.picture_of, seen.category_ids) & ~in_crowd
    countable = stated(predictions.known, seen.model_of[labels.picture_of], labels.category_ids) & ~labels.crowds
    return Compared(seen, labels, pairs, partner, found_by, in_crowd, judged, countable)


def crowded(pairs: Pairs, predictions: Predictions, labels: Labels) -> Whole:
    """Return the predictions that lie, by half or more, in a crowd of their own category."""
    same = predictions.category_ids[pairs.predictions] == labels.category_ids[pairs.labels]
    return np.unique(pairs.predictions[same & (pairs.overlaps >= 0.5)])


def calibrated(found: Compared) -> Calibration:
    """Measure a detector on the labelled pictures that it was run on."""
    seen = found.predictions
    any_curve = _nearer(found.judged, found, AT_ITS_WORD)
    countable = found.countable
    any_recall = _recall(countable, found, RECALL)
    models = seen.model_of[seen.picture_of]
    of_label = seen.model_of[found.labels.picture_of]
    curves: dict[Key, Curve] = {}
    recalls: dict[Key, float] = {}
    for category_id in np.unique(np.concatenate([seen.category_ids, found.labels.category_ids])).tolist():
        judged, drawn = found.judged & (seen.category_ids == category_id), countable & (found.labels.category_ids == category_id)
        for model in range(len(seen.models)):
            mine, labelled = models == model, of_label == model
            of_model = _nearer(found.judged & mine, found, _nearer(judged & ~mine, found, any_curve))
            curves[Key(model, category_id)] = _nearer(judged & mine, found, of_model)
            recalls[Key(model, category_id)] = _recall(drawn & labelled, found, _recall(drawn & ~labelled, found, any_recall))
    return Calibration(curves, recalls, any_curve, any_recall)


def _nearer(some: Truth, found: Compared, expected: Curve) -> Curve:
    """Return the curve of some predictions, or what is expected where there are none."""
    return _curve(found.predictions.scores[some], found.partner[some] >= 0, expected) if some.any() else expected


def _recall(labels: Truth, found: Compared, expected: float) -> float:
    return _drawn(int((found.found_by[labels] >= 0).sum()), int(labels.sum()), expected) if labels.any() else expected


def _drawn(hits: int, of: int, expected: float) -> float:
    return (hits + WEIGHT * expected) / (of + WEIGHT)


def _curve(scores: Floats, hits: Truth, expected: Curve) -> Curve:
    """Return precision step by step, drawn towards what is expected and made never to fall (pool adjacent violators)."""
    steps = np.clip(np.searchsorted(EDGES, scores, side="right") - 1, 0, len(MIDDLES) - 1)
    counts = np.bincount(steps, minlength=len(MIDDLES)) + WEIGHT
    points = (np.bincount(steps, weights=scores, minlength=len(MIDDLES)) + WEIGHT * MIDDLES) / counts
    sums = np.bincount(steps, weights=hits, minlength=len(MIDDLES)) + WEIGHT * expected.at(points)
    blocks: list[tuple[float, float, int]] = []  # sum, count, steps
    for total, count in zip(sums.tolist(), counts.tolist(), strict=True):
        block = (total, count, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] >= block[0] / block[1]:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    return Curve(points, np.repeat([total / count for total, count, _ in blocks], [length for *_, length in blocks]))


def tail(values: Floats, among: Floats, expected: Floats | float = 0.5) -> Floats:
    """Return for each value the share of `among` that is not greater, drawn towards what is expected as long as these are few."""
    below = np.searchsorted(np.sort(among), values, side="right")
    return np.asarray((below + WEIGHT * expected) / (len(among) + WEIGHT), np.float64)


class Mistaken(NamedTuple):
    """Labels of one category with predictions of another on them."""

    predicted: int  # category ids
    labelled: int
    on: int  # so many of the labelled category's labels
    of: int  # and it has so many
    own: int  # labels of its own that the predicted category finds
    own_of: int  # of so many
    found: int  # labels of the labelled category that are found by predictions of it


@dataclass(frozen=True)
class Agreement:
    """How many labels have a prediction on them: of their category, of any, and if the boxes were two corners instead of corner and size.

    `labels` are those of categories that the detector knows, `every` all; `mistaken` has each pair of categories that meet.
    """

    labels: int
    every: int
    found: int
    of_any: int
    as_corners: int
    mistaken: tuple[Mistaken, ...]


def agreement(cocos: Sequence[Coco], predictions: Predictions) -> Agreement:
    """Count the labels that a detector finds, to tell whether its file means what it should."""
    plain = compared(cocos, predictions)
    corners = predictions.boxes.copy()
    corners[:, 2:] = np.maximum(corners[:, 2:] - corners[:, :2], 1e-6)
    other = compared(cocos, replace(predictions, boxes=corners))
    mine, theirs = partners(plain.pairs, plain.predictions)
    every = int((~plain.labels.crowds).sum())
    return Agreement(int(plain.countable.sum()), every, _found(plain), len(mine), _found(other), tuple(_mistaken(plain, mine, theirs)))


def _mistaken(plain: Compared, mine: Whole, theirs: Whole) -> Iterator[Mistaken]:
    """Yield the pairs of categories of which the one's predictions lie on the other's labels."""
    ids, seen = plain.labels.category_ids, plain.predictions.category_ids
    labels, found = Counter(ids[~plain.labels.crowds].tolist()), Counter(ids[plain.found_by >= 0].tolist())
    for (predicted, labelled), on in sorted(Counter(zip(seen[mine].tolist(), ids[theirs].tolist(), strict=True)).items()):
        if predicted != labelled:
            yield Mistaken(predicted, labelled, on, labels[labelled], found[predicted], labels[predicted], found[labelled])


def _found(one: Compared) -> int:
    return int((one.found_by >= 0).sum())

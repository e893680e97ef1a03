"""Labels that are likely wrong, by what a detector saw: missed, spurious, mislabelled, badly placed. Values in, values out.

Each suspect has a score from 0 to 1, made of the detector's own precision and recall on the labelled pictures; docs/predictions.md has the rules.
After ObjectLab (Tkachenko, Thyagarajan, Mueller 2023, arXiv:2309.00832), which scores overlooked, badly located and swapped boxes, and the
mistakenness of FiftyOne's Brain, which adds spurious ones.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from boxset.compare.calibration import Calibration, Compared, calibrated, compared, tail
from boxset.compare.overlaps import SAME, known_of, partners, stated
from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage
from boxset.dataset.predictions import Floats, Predictions, Whole
from boxset.dataset.records import BBox
from boxset.wording import counted

KINDS = ("missed", "spurious", "mislabelled", "badly placed")
LEAST = {"missed": 0.5, "spurious": 0.15, "mislabelled": 0.5, "badly placed": 0.3}  # the score from which a suspect is one
WRONG = 0.05  # the share of labels that are taken to be spurious, and badly placed, before anything is known
PLACED = (0.4, 0.75)  # overlaps of a label with its prediction between which it may be badly placed
FULL = 0.5  # overlap from which a prediction supports a label with its whole precision
BAND = 640.0  # pixels of the longer side at which sizes are compared


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A label, or the want of one, that a person should look at. Boxes in pixels of the picture."""

    kind: str
    score: float
    category: str  # of the label; of the prediction where there is no label
    key: str  # of that category in params.yaml
    predicted: str  # the category that the model sees there, or an empty string
    confidence: float  # the model's own score, 0 where it sees nothing
    overlap: float  # of label and prediction
    label: BBox | None
    prediction: BBox | None
    sha256: str
    file_name: str
    width: int
    height: int
    split: str
    source: str  # of the picture
    labelled_by: str  # a source, or people and their job
    known: str  # of the category in the picture: complete, partial, absent or unknown (nobody looked for it)
    model: str

    @property
    def words(self) -> str:
        """Return in a few words what is suspected."""
        if self.kind == "missed":
            known = {"unknown": "; nobody looked for it", "absent": "; said to be absent"}.get(self.known, "")
            return f"no {self.category} is labelled where {self.model} sees one ({self.confidence:.2f}){known}"
        if self.kind == "mislabelled":
            return f"labelled {self.category}, {self.model} sees {self.predicted} ({self.confidence:.2f})"
        if self.kind == "badly placed":
            return f"{self.category}: label and prediction ({self.confidence:.2f}) overlap by {self.overlap:.2f}"
        beside = f"sees one beside it ({self.confidence:.2f}, overlap {self.overlap:.2f})"
        return f"labelled {self.category}, {self.model} {beside if self.confidence else 'sees nothing there'}"


@dataclass(frozen=True)
class _Found:
    """Predictions beside labels, and what their scores are worth."""

    pair: Compared
    calibration: Calibration

    @cached_property
    def precision(self) -> Floats:
        return self.calibration.precision(self.pair.predictions)

    @cached_property
    def beside(self) -> Floats:
        """For each prediction its largest overlap with a label of its own category."""
        found = np.zeros(len(self.pair.predictions))
        same = self.pair.pairs.only(self.pair.is_same)
        np.maximum.at(found, same.predictions, same.overlaps)
        return found

    @cached_property
    def support(self) -> Floats:
        """For each label the most that a prediction of its category says for it; one that found another label says nothing."""
        found = np.zeros(len(self.pair.labels.annotations))
        same = self.pair.pairs.only(self.pair.is_same)
        partner = self.pair.partner[same.predictions]
        own = same.only((partner < 0) | (partner == same.labels))
        np.maximum.at(found, own.labels, self.precision[own.predictions] * np.minimum(1, own.overlaps / FULL))
        return found

    @cached_property
    def band(self) -> Whole:
        """For each label its size in doublings of the side."""
        sides = np.array([max(image.width, image.height) for image in self.pair.labels.images], np.float64)
        across = np.sqrt(np.prod(self.pair.labels.boxes[:, 2:], axis=1)) * BAND / sides[self.pair.labels.picture_of]
        bands: Whole = np.clip(np.log2(np.maximum(across, 1)), 2, 9).astype(np.int64)
        return bands


def suspects(splits: dict[str, Coco], predictions: Predictions, *, absent: bool = False) -> list[Suspect]:
    """Return the suspicious labels of a data set, by split, the worst first; each label once.

    `absent`: also objects in pictures in which their category was verified to be absent.
    """
    pair = compared(list(splits.values()), predictions)
    if not len(pair.labels.images):
        return []
    found = _Found(pair, calibrated(pair))
    seen = [*_mislabelled(found), *_placed(found), *_spurious(found)]
    named = _Named(pair, splits)
    labelled = [named.suspect(*one) for one in _best_of_labels(seen)]
    missed = [named.suspect("missed", score, -1, mine) for score, mine in _missed(found, absent=absent)]
    return sorted([*labelled, *missed], key=lambda s: (-s.score, KINDS.index(s.kind), s.sha256, s.label or (), s.prediction or ()))


def counts(found: Iterable[Suspect], categories: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many suspects there are of each kind and category. `categories`: their keys."""
    found_of = Counter((one.kind, one.key) for one in found)
    return {kind.replace(" ", "_"): {name: found_of[kind, name] for name in categories} for kind in KINDS}


def frozen_words(found: Iterable[Suspect], version: str) -> list[str]:
    """Say what to do about suspects in a test set that is held to a frozen version, which no correction changes; nothing where there are none."""
    count = sum(one.split == "test" for one in found) if version else 0
    if not count:
        return []
    those = f"{counted(count, 'is', 'are')} in test, which is held to frozen {version} and does not change by itself"
    do = f"mend them where they were drawn; a new version takes them in: empty `split.freeze_test`, `dvc repro`, look at `boxset diff {version}`, commit, and freeze the next"
    return [f"{those}: {do} (docs/testset.md)"]


One = tuple[str, float, int, int]
"""Kind, score, the label's place and the prediction's, each -1 where there is none."""


def _best_of_labels(seen: Iterable[One]) -> Iterable[One]:
    """Return of each label the likeliest kind among those whose own threshold it passes."""
    best: dict[int, One] = {}
    for one in seen:
        if one[1] >= LEAST[one[0]] and (one[2] not in best or one[1] > best[one[2]][1]):
            best[one[2]] = one
    return best.values()


def _missed(found: _Found, *, absent: bool) -> Iterator[tuple[float, int]]:
    pair, seen = found.pair, found.pair.predictions
    out = known_of(pair.labels, "not_exhaustive_category_ids") | (set() if absent else known_of(pair.labels, "neg_category_ids"))
    scores = found.precision * (1 - found.beside)
    free = (pair.partner < 0) & ~pair.in_crowd & (found.beside < PLACED[0]) & (scores >= LEAST["missed"])
    free[_on_others(found)] = False
    where = np.flatnonzero(free)
    where = where[~stated(out, seen.picture_of[where], seen.category_ids[where])]
    order = where[np.lexsort((where, -seen.scores[where], -scores[where]))]
    kept: dict[tuple[int, int], list[int]] = {}
    for mine in order.tolist():
        known = kept.setdefault((int(seen.picture_of[mine]), int(seen.category_ids[mine])), [])
        if (_ious(seen.boxes[mine], seen.boxes[known]) < SAME).all():
            known.append(mine)
            yield float(scores[mine]), mine


def _ious(one: Floats, others: Floats) -> Floats:
    """Return the overlaps of a box with others."""
    sides = np.minimum(one[:2] + one[2:], others[:, :2] + others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    shared = np.prod(np.clip(sides, 0, None), axis=1)
    return np.asarray(shared / (one[2] * one[3] + others[:, 2] * others[:, 3] - shared), np.float64)


def _on_others(found: _Found) -> Whole:
    """Return the predictions that lie on a label of another category."""
    pairs = found.pair.pairs
    return np.unique(pairs.predictions[~found.pair.is_same & (pairs.overlaps >= SAME)])


def _mislabelled(found: _Found) -> Iterator[One]:
    pairs = found.pair.pairs
    lies = ~found.pair.is_same & (pairs.overlaps >= SAME) & (found.pair.partner[pairs.predictions] < 0) & (found.beside[pairs.predictions] < PLACED[0])
    some = pairs.only(lies)
    scores = found.precision[some.predictions] * (1 - found.support[some.labels])
    for mine, theirs, score in zip(some.predictions.tolist(), some.labels.tolist(), scores.tolist(), strict=True):
        yield "mislabelled", score, theirs, mine


def _spurious(found: _Found) -> Iterator[One]:
    """A label with less support than others of its category and size: how likely it is wrong, by how rarely right ones have so little (Bayes)."""
    labels = found.pair.labels
    plain = np.flatnonzero(found.pair.countable)
    rarity = _nested_tail(found.support, plain, [labels.category_ids, labels.category_ids * 16 + found.band])
    weak = _weak(found)
    for theirs, score in zip(plain.tolist(), _wrong(rarity).tolist(), strict=True):
        if found.pair.found_by[theirs] < 0:
            yield "spurious", score, theirs, weak.get(theirs, -1)


def _wrong(rarity: Floats) -> Floats:
    """Return how likely labels are wrong of which right ones would look as bad, or worse, as rarely as this."""
    return WRONG / (WRONG + (1 - WRONG) * rarity)


def _weak(found: _Found) -> dict[int, int]:
    """Return for each label its surest overlapping prediction of the same category that found no other."""
    same = found.pair.pairs.only(found.pair.is_same)
    free = same.only(found.pair.partner[same.predictions] < 0)
    order = np.argsort(found.pair.predictions.scores[free.predictions], kind="stable")
    return dict(zip(free.labels[order].tolist(), free.predictions[order].tolist(), strict=True))


def _nested_tail(values: Floats, where: Whole, groups: Sequence[Whole]) -> Floats:
    """Return for each place the share of its group's values that are not greater; small groups are drawn towards the larger one around them."""
    own = values[where]
    expected = tail(own, own)
    for group in groups:
        keys = group[where]
        finer = expected.copy()
        for key in np.unique(keys):
            mine = keys == key
            finer[mine] = tail(own[mine], own[mine], expected[mine])
        expected = finer
    return expected


def _placed(found: _Found) -> Iterator[One]:
    """A label whose overlap with a confident prediction is among its category's worst."""
    pair = found.pair
    mine, theirs = partners(pair.pairs.only(pair.is_same), pair.predictions, least=PLACED[0])
    if not len(mine):
        return
    overlaps = _overlaps(pair, mine, theirs)
    rarity = _nested_tail(overlaps, np.arange(len(mine)), [pair.labels.category_ids[theirs]])
    scores = found.precision[mine] * _wrong(rarity)
    for position in np.flatnonzero(overlaps < PLACED[1]).tolist():
        yield "badly placed", float(scores[position]), int(theirs[position]), int(mine[position])


def _overlaps(pair: Compared, mine: Whole, theirs: Whole) -> Floats:
    known = dict(zip(zip(pair.pairs.predictions.tolist(), pair.pairs.labels.tolist(), strict=True), pair.pairs.overlaps.tolist(), strict=True))
    return np.array([known[both] for both in zip(mine.tolist(), theirs.tolist(), strict=True)], np.float64)


class _Named:
    """Gives places their names."""

    def __init__(self, pair: Compared, splits: dict[str, Coco]) -> None:
        self.pair = pair
        kinds = {c.id: c for coco in splits.values() for c in coco.categories}
        self.names, self.keys = {i: c.name for i, c in kinds.items()}, {i: c.key for i, c in kinds.items()}
        self.split_of = {image.sha256: split for split, coco in splits.items() for image in coco.images}

    def suspect(self, kind: str, score: float, theirs: int, mine: int) -> Suspect:
        """Return a suspect with all that a person wants to know."""
        labels, seen = self.pair.labels, self.pair.predictions
        place = int(labels.picture_of[theirs] if theirs >= 0 else seen.picture_of[mine])
        image, label = labels.images[place], labels.annotations[theirs] if theirs >= 0 else None
        predicted = self.names[int(seen.category_ids[mine])] if mine >= 0 else ""
        category_id = label.category_id if label else int(seen.category_ids[mine])
        return Suspect(
            kind=kind,
            score=round(score, 4),
            category=self.names[category_id],
            key=self.keys[category_id],
            predicted=predicted,
            confidence=round(float(seen.scores[mine]), 4) if mine >= 0 else 0.0,
            overlap=round(float(_ious(seen.boxes[mine], labels.boxes[[theirs]])[0]), 4) if mine >= 0 and label else 0.0,
            label=_bbox(label.bbox) if label else None,
            prediction=_bbox(seen.boxes[mine].tolist()) if mine >= 0 else None,
            sha256=image.sha256,
            file_name=image.file_name,
            width=image.width,
            height=image.height,
            split=self.split_of[image.sha256],
            source=image.source,
            labelled_by=_who(label) if label else "",
            known=_known(image, category_id),
            model=seen.models[int(seen.model_of[place])],
        )


def _who(label: CocoAnnotation) -> str:
    return f"people, {label.attributes['job']}" if "job" in label.attributes else label.source


def _known(image: CocoImage, category_id: int) -> str:
    fields = {"complete": image.exhaustive_category_ids, "partial": image.not_exhaustive_category_ids, "absent": image.neg_category_ids}
    return next((known for known, ids in fields.items() if category_id in ids), "unknown")


def _bbox(box: Sequence[Any]) -> BBox:
    x, y, w, h = (round(float(value), 1) for value in box)
    return x, y, w, h

"""Which predictions lie on which labels: the pairs that overlap in a picture, and one partner for each as COCO's evaluation finds them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage
from boxset.dataset.predictions import Floats, Predictions, Truth, Whole

LEAST = 0.1  # overlap (IoU) below which a pair is none
SAME = 0.5  # overlap from which a prediction has found a label (COCO's and Pascal VOC's)
PART = 1 << 20  # pairs that are looked at together


@dataclass(frozen=True)
class Labels:
    """The labels of the pictures that a detector was run on, in columns, by picture."""

    images: tuple[CocoImage, ...]  # in the order of the predictions' pictures
    annotations: tuple[CocoAnnotation, ...]
    picture_of: Whole  # the place in `images`
    category_ids: Whole
    boxes: Floats
    crowds: Truth


@dataclass(frozen=True)
class Pairs:
    """A prediction and a label that overlap, by their places, and by how much. Crowds: the share of the prediction that is inside."""

    predictions: Whole
    labels: Whole
    overlaps: Floats

    def only(self, which: Truth) -> "Pairs":
        """Return some of them."""
        return Pairs(self.predictions[which], self.labels[which], self.overlaps[which])


def labels_of(cocos: Sequence[Coco], predictions: Predictions) -> tuple[Labels, Predictions]:
    """Return the labels of the pictures that a detector was run on, and its predictions of these pictures alone."""
    images = {image.sha256: (part, image) for part, coco in enumerate(cocos) for image in coco.images if image.sha256 in predictions.places}
    shared = tuple(sorted(images))
    chosen = tuple(images[sha256][1] for sha256 in shared)
    place = {(images[sha256][0], images[sha256][1].id): position for position, sha256 in enumerate(shared)}
    rows = [(place[part, a.image_id], a) for part, coco in enumerate(cocos) for a in coco.annotations if (part, a.image_id) in place]
    rows.sort(key=lambda row: (row[0], row[1].category_id, row[1].bbox, row[1].id))
    annotations = tuple(a for _, a in rows)
    labels = Labels(
        chosen,
        annotations,
        np.array([position for position, _ in rows], np.int64),
        np.array([a.category_id for a in annotations], np.int64),
        np.array([a.bbox for a in annotations], np.float64).reshape(-1, 4),
        np.array([bool(a.iscrowd) for a in annotations], bool),
    )
    return labels, only(predictions, shared)


def only(predictions: Predictions, pictures: Sequence[str]) -> Predictions:
    """Return the predictions of some pictures, which are named in their order."""
    where = np.array([predictions.places[sha256] for sha256 in pictures], np.int64)
    counts = np.diff(predictions.starts)[where]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = np.arange(starts[-1]) - np.repeat(starts[:-1] - predictions.starts[where], counts)
    columns = (predictions.category_ids[rows], predictions.boxes[rows], predictions.scores[rows])
    return Predictions(tuple(pictures), starts, *columns, predictions.models, predictions.model_of[where], predictions.knows)


def of_categories(predictions: Predictions, ids: Collection[int]) -> Predictions:
    """Return the predictions of some categories; a picture stays, where it has none of them too."""
    kept = np.isin(predictions.category_ids, np.array(sorted(ids), np.int64))
    if kept.all():
        return predictions
    starts = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)[predictions.starts]
    columns = (predictions.category_ids[kept], predictions.boxes[kept], predictions.scores[kept])
    return Predictions(predictions.pictures, starts, *columns, predictions.models, predictions.model_of, predictions.knows)


def pairs_of(predictions: Predictions, labels: Labels) -> Pairs:
    """Return every prediction and label of a picture that overlap by LEAST or more, whatever their categories."""
    parts = [_overlapping(predictions, labels, *some) for some in _in_parts(predictions, labels)]
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else Pairs(*_nothing())


def _nothing() -> tuple[Whole, Whole, Floats]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)


def _in_parts(predictions: Predictions, labels: Labels) -> Iterator[tuple[Whole, Whole]]:
    """Yield all pairs that share a picture, a bounded number at a time."""
    first = np.searchsorted(labels.picture_of, np.arange(len(predictions.pictures) + 1))
    each = np.diff(first)[predictions.picture_of]  # labels beside each prediction
    ends = np.cumsum(each)
    begin = 0
    while begin < len(each):
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + PART, side="right")))
        counts = each[begin:end]
        mine = np.repeat(np.arange(begin, end), counts)
        within = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield mine, first[predictions.picture_of[mine]] + within
        begin = end


def _overlapping(predictions: Predictions, labels: Labels, mine: Whole, theirs: Whole) -> tuple[Whole, Whole, Floats]:
    a, b = predictions.boxes[mine], labels.boxes[theirs]
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    own, other = np.prod(a[:, 2:], axis=1), np.prod(b[:, 2:], axis=1)
    whole = np.where(labels.crowds[theirs], own, own + other - shared)
    overlaps = shared / np.maximum(whole, 1e-12)
    kept = overlaps >= LEAST
    return mine[kept], theirs[kept], overlaps[kept]


def partners(pairs: Pairs, predictions: Predictions, *, least: float = SAME) -> tuple[Whole, Whole]:
    """Return for each pair that is one the places: the surest prediction takes the label that it overlaps most of those left, and so on.

    `pairs` are those that may be partners (of one category, say). The result is `(predictions, labels)`, each place at most once.
    """
    fitting = pairs.only(pairs.overlaps >= least)
    order = np.lexsort((fitting.labels, -fitting.overlaps, fitting.predictions, -predictions.scores[fitting.predictions]))
    taken, used = set[int](), set[int]()
    found = []
    for mine, theirs in zip(fitting.predictions[order].tolist(), fitting.labels[order].tolist(), strict=True):
        if mine not in used and theirs not in taken:
            used.add(mine)
            taken.add(theirs)
            found.append((mine, theirs))
    both = np.array(found, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def known_of(labels: Labels, field: str) -> set[tuple[int, int]]:
    """Return what a field of the pictures names: `(picture, category id)`."""
    return {(place, category) for place, image in enumerate(labels.images) for category in getattr(image, field)}


def stated(known: Collection[tuple[int, int]], places: Whole, category_ids: Whole) -> Truth:
    """Return for each picture (or model) and category whether it is among what is known."""
    return np.array([pair in known for pair in zip(places.tolist(), category_ids.tolist(), strict=True)], bool)

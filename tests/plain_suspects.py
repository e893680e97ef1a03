"""The rules of docs/predictions.md for suspicious labels, one box at a time and without columns: slow, and written apart from the code that it judges."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from boxset.dataset.coco import Coco
from boxset.dataset.geometry import iou
from boxset.dataset.predictions import Predictions
from boxset.dataset.records import BBox

MIDDLES = [(step + 0.5) / 20 for step in range(20)]
LEAST = {"missed": 0.5, "spurious": 0.15, "mislabelled": 0.5, "badly placed": 0.3}
Line = Callable[[float], float]
Said = tuple[str, float, str, BBox]
"""Kind, score, picture, and the label's box, or the prediction's."""


@dataclass(eq=False)
class Label:
    """A label, and what is found out about it."""

    sha: str
    category: int
    box: BBox
    crowd: bool
    band: int
    finder: "Guess | None" = None
    support: float = 0.0


@dataclass(eq=False)
class Guess:
    """A prediction, and what is found out about it."""

    sha: str
    model: int
    category: int
    box: BBox
    score: float
    beside: list[Label] = field(default_factory=list)
    partner: Label | None = None
    judged: bool = False
    crowded: bool = False
    trust: float = 0.0

    def over(self, label: Label) -> float:
        """Overlap with a label, nought below a tenth."""
        found = iou(self.box, label.box)
        return found if found >= 0.1 else 0.0

    @property
    def own(self) -> list[Label]:
        """Labels of its category in its picture, crowds left out."""
        return [one for one in self.beside if one.category == self.category and not one.crowd]

    @property
    def nearest(self) -> float:
        """Its largest overlap with a label of its category."""
        return max((self.over(one) for one in self.own), default=0.0)


def line(xs: Sequence[float], ys: Sequence[float]) -> Line:
    """Straight lines between points, level outside them."""

    def at(x: float) -> float:
        if x <= xs[0]:
            return ys[0]
        for place in range(1, len(xs)):
            if x <= xs[place]:
                return ys[place - 1] + (ys[place] - ys[place - 1]) * (x - xs[place - 1]) / (xs[place] - xs[place - 1])
        return ys[-1]

    return at


def curve(some: Sequence[Guess], expected: Line) -> Line:
    """Precision in 20 steps with ten predictions' worth of what is expected, made never to fall by the formula of greatest least means. Of none, what is expected."""
    if not some:
        return expected
    steps = [[one for one in some if min(19, int(one.score * 20 + 1e-12)) == step] for step in range(20)]
    weights = [len(step) + 10.0 for step in steps]
    xs = [(sum(one.score for one in step) + 10 * middle) / weight for step, middle, weight in zip(steps, MIDDLES, weights, strict=True)]
    sums = [sum(one.partner is not None for one in step) + 10 * expected(x) for step, x in zip(steps, xs, strict=True)]
    mean = {(a, b): sum(sums[a : b + 1]) / sum(weights[a : b + 1]) for a in range(20) for b in range(a, 20)}
    return line(xs, [max(min(mean[a, b] for b in range(step, 20)) for a in range(step + 1)) for step in range(20)])


def matched(guesses: Sequence[Guess], least: float) -> list[tuple[Guess, Label, float]]:
    """The surest prediction takes the label of its category that it overlaps most of those left, and so on."""
    found: list[tuple[Guess, Label, float]] = []
    taken: list[Label] = []
    for one in sorted(guesses, key=lambda g: -g.score):
        left = [(one.over(label), label) for label in one.own if label not in taken and one.over(label) >= least]
        if left:
            overlap, label = max(left, key=lambda both: both[0])
            taken.append(label)
            found.append((one, label, overlap))
    return found


def share(value: float, among: Sequence[float], expected: float) -> float:
    """Share that is not greater, with ten more as expected."""
    return (sum(other <= value for other in among) + 10 * expected) / (len(among) + 10)


def wrong(rarity: float) -> float:
    """Bayes, one in twenty being wrong beforehand."""
    return 0.05 / (0.05 + 0.95 * rarity)


def read(coco: Coco, seen: Predictions) -> tuple[list[Label], list[Guess]]:
    """Labels and predictions of the pictures that have both."""
    images = {image.id: image for image in coco.images if image.sha256 in seen.places}
    labels = []
    for a in coco.annotations:
        if a.image_id in images:
            image = images[a.image_id]
            side = math.sqrt(a.bbox[2] * a.bbox[3]) * 640 / max(image.width, image.height)
            labels.append(Label(image.sha256, a.category_id, a.bbox, bool(a.iscrowd), int(min(9, max(2, math.log2(max(1, side)))))))
    guesses = []
    for image in images.values():
        place = seen.places[image.sha256]
        looked = {*image.exhaustive_category_ids, *image.neg_category_ids}
        for k in range(seen.starts[place], seen.starts[place + 1]):
            x, y, w, h = seen.boxes[k].tolist()
            beside = [label for label in labels if label.sha == image.sha256]
            one = Guess(image.sha256, int(seen.model_of[place]), int(seen.category_ids[k]), (x, y, w, h), float(seen.scores[k]), beside)
            one.crowded = any(label.crowd and label.category == one.category and _inside(one.box, label.box) >= 0.5 for label in one.beside)
            one.judged = one.category in looked and not one.crowded
            guesses.append(one)
    return labels, guesses


def _inside(box: BBox, crowd: BBox) -> float:
    across = max(0.0, min(box[0] + box[2], crowd[0] + crowd[2]) - max(box[0], crowd[0]))
    return across * max(0.0, min(box[1] + box[3], crowd[1] + crowd[3]) - max(box[1], crowd[1])) / (box[2] * box[3])


def trusted(guesses: Sequence[Guess]) -> None:
    """Give every prediction the precision of its model and category."""
    judged = [one for one in guesses if one.judged]
    every = curve(judged, line(MIDDLES, MIDDLES))
    for model in {one.model for one in guesses}:
        for category in {one.category for one in guesses}:
            others = [one for one in judged if one.model != model and one.category == category]
            of_model = curve([one for one in judged if one.model == model], curve(others, every))
            own = curve([one for one in judged if (one.model, one.category) == (model, category)], of_model)
            for one in guesses:
                if (one.model, one.category) == (model, category):
                    one.trust = own(one.score)


def plain_suspects(coco: Coco, seen: Predictions) -> list[Said]:
    """All suspects, in order."""
    labels, guesses = read(coco, seen)
    for one, label, _ in matched(guesses, 0.5):
        one.partner, label.finder = label, one
    trusted(guesses)
    for one in guesses:
        for label in one.own:
            if one.partner in (None, label):
                label.support = max(label.support, one.trust * min(1, one.over(label) / 0.5))
    best: dict[Label, tuple[str, float]] = {}
    for kind, score, label in [*_mislabelled(guesses), *_placed(guesses), *_spurious(labels, guesses, seen)]:
        if score >= LEAST[kind] and score > best.get(label, ("", 0.0))[1]:
            best[label] = kind, score
    found = [(kind, score, label.sha, label.box) for label, (kind, score) in best.items()]
    return sorted([*found, *_missed(coco, guesses)])


def _mislabelled(guesses: Sequence[Guess]) -> list[tuple[str, float, Label]]:
    free = [one for one in guesses if one.partner is None and one.nearest < 0.4]
    others = [(one, label) for one in free for label in one.beside if not label.crowd and label.category != one.category and one.over(label) >= 0.5]
    return [("mislabelled", one.trust * (1 - label.support), label) for one, label in others]


def _placed(guesses: Sequence[Guess]) -> list[tuple[str, float, Label]]:
    placed = matched(guesses, 0.4)
    found = []
    for one, label, overlap in placed:
        every = share(overlap, [other for *_, other in placed], 0.5)
        rarity = share(overlap, [other for _, beside, other in placed if beside.category == label.category], every)
        if overlap < 0.75:
            found.append(("badly placed", one.trust * wrong(rarity), label))
    return found


def _spurious(labels: Sequence[Label], guesses: Sequence[Guess], seen: Predictions) -> list[tuple[str, float, Label]]:
    known = {(int(seen.model_of[place]), int(seen.category_ids[k])) for k, place in enumerate(seen.picture_of)}
    plain = [one for one in labels if not one.crowd and (int(seen.model_of[seen.places[one.sha]]), one.category) in known]
    found = []
    for one in plain:
        rarity = share(one.support, [other.support for other in plain], 0.5)
        rarity = share(one.support, [other.support for other in plain if other.category == one.category], rarity)
        rarity = share(one.support, [other.support for other in plain if (other.category, other.band) == (one.category, one.band)], rarity)
        if one.finder is None:
            found.append(("spurious", wrong(rarity), one))
    return found


def _missed(coco: Coco, guesses: Sequence[Guess]) -> list[Said]:
    out = {image.sha256: {*image.not_exhaustive_category_ids, *image.neg_category_ids} for image in coco.images}
    kept: list[Guess] = []
    for one in sorted(guesses, key=lambda g: (-g.trust * (1 - g.nearest), -g.score)):
        others = any(not label.crowd and label.category != one.category and one.over(label) >= 0.5 for label in one.beside)
        free = one.partner is None and not one.crowded and one.nearest < 0.4 and not others and one.category not in out[one.sha]
        again = any((one.sha, one.category) == (other.sha, other.category) and iou(one.box, other.box) >= 0.5 for other in kept)
        if free and not again and one.trust * (1 - one.nearest) >= LEAST["missed"]:
            kept.append(one)
    return [("missed", one.trust * (1 - one.nearest), one.sha, one.box) for one in kept]

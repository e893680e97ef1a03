"""What the report counts, from values alone: sizes, places, numbers of boxes, and what looks odd."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import median

from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage

TRAINING_SIDE = 640  # pixels of the longer side that detectors are mostly trained at
SIZE_STEPS = (8, 16, 32, 64, 128, 256)
MANY = 20  # boxes of a category from which its outliers mean something
FAR = 3.5  # robust standard deviations from the median that count as far (Iglewicz and Hoaglin)
TIMES = 2.0  # and how many times larger, smaller, wider or taller than most it is at the least
WHOLE = 0.98  # share of the picture from which a box is suspected to be a label of the picture


@dataclass(frozen=True)
class Box:
    """A box with its picture, category and split."""

    image: CocoImage
    annotation: CocoAnnotation
    category: str
    split: str

    @property
    def side_px(self) -> float:
        """Return the shorter side in pixels once the picture's longer side is TRAINING_SIDE."""
        return min(self.annotation.bbox[2:]) * TRAINING_SIDE / max(self.image.width, self.image.height)

    @property
    def share(self) -> float:
        """Return the share of the picture that the box covers."""
        return self.annotation.bbox[2] * self.annotation.bbox[3] / (self.image.width * self.image.height)

    @property
    def aspect(self) -> float:
        """Return width by height."""
        return self.annotation.bbox[2] / self.annotation.bbox[3]


@dataclass(frozen=True)
class Odd:
    """A box that a person should look at, why, and how far out it is (greater: odder)."""

    box: Box
    why: str
    degree: float


def boxes_of(dataset: Mapping[str, Coco]) -> list[Box]:
    """Return all boxes of all splits."""
    found = []
    for split, coco in dataset.items():
        images, names = {image.id: image for image in coco.images}, {c.id: c.name for c in coco.categories}
        found += [Box(images[a.image_id], a, names[a.category_id], split) for a in coco.annotations]
    return found


def without_crowds(boxes: Iterable[Box]) -> list[Box]:
    """Return the boxes of one object each: what targets, scores and sizes count."""
    return [box for box in boxes if not box.annotation.iscrowd]


def by_category(boxes: Sequence[Box]) -> dict[str, list[Box]]:
    """Return the boxes of each category."""
    found: dict[str, list[Box]] = {}
    for box in boxes:
        found.setdefault(box.category, []).append(box)
    return found


def size_counts(boxes: Sequence[Box]) -> list[int]:
    """Return how many boxes have a shorter side below each of SIZE_STEPS and above the one before, and how many are larger than all."""
    counts = [0] * (len(SIZE_STEPS) + 1)
    for box in boxes:
        counts[sum(box.side_px >= step for step in SIZE_STEPS)] += 1
    return counts


def boxes_per_image(dataset: Mapping[str, Coco]) -> dict[str, int]:
    """Return how many pictures have no box, one, two, … in a few classes."""
    counted = Counter(n for coco in dataset.values() for n in _counts_in(coco))
    classes = {"0": (0, 0), "1": (1, 1), "2": (2, 2), "3": (3, 3), "4": (4, 4), "5–9": (5, 9), "10+": (10, 10**9)}
    return {name: sum(images for n, images in counted.items() if low <= n <= high) for name, (low, high) in classes.items()}


def _counts_in(coco: Coco) -> list[int]:
    boxes = Counter(a.image_id for a in coco.annotations if not a.iscrowd)
    return [boxes[image.id] for image in coco.images]


def places(boxes: Sequence[Box], *, cells: int = 16) -> list[list[float]]:
    """Return, for each cell of a grid over the picture, the share of the boxes that cover its middle."""
    grid = [[0] * cells for _ in range(cells)]
    for box in boxes:
        x, y, w, h = box.annotation.bbox
        columns = _covered(x / box.image.width, (x + w) / box.image.width, cells)
        for row in _covered(y / box.image.height, (y + h) / box.image.height, cells):
            for column in columns:
                grid[row][column] += 1
    return [[count / max(1, len(boxes)) for count in row] for row in grid]


def _covered(start: float, end: float, cells: int) -> range:
    """Return the cells whose middle lies between two shares of a side."""
    first, last = round(start * cells), round(end * cells)
    return range(max(0, first), min(cells, max(last, first + 1)))


def odd_boxes(boxes: Sequence[Box]) -> list[Odd]:
    """Return boxes that are far from their category's usual size or shape, or cover the whole picture; the oddest first."""
    found = [odd for some in by_category(boxes).values() for odd in _odd_in(some)]
    return sorted(found, key=lambda o: (-o.degree, o.box.image.sha256, o.box.annotation.bbox))


def _odd_in(boxes: Sequence[Box]) -> list[Odd]:
    usual = without_crowds(boxes)
    whole = [Odd(box, f"covers {box.share:.0%} of the picture", FAR + box.share) for box in usual if box.share >= WHOLE]
    if len(usual) < MANY:
        return whole
    found, seen = [*whole], {id(odd.box) for odd in whole}
    for what, values in (("size", [box.share for box in usual]), ("shape", [box.aspect for box in usual])):
        middle, scores = median(values), _robust_scores(values)
        for box, own, score in zip(usual, values, scores, strict=True):
            if abs(score) >= FAR and max(own / middle, middle / own) >= TIMES and id(box) not in seen:
                seen.add(id(box))
                found.append(Odd(box, _odd_words(what, own, middle), abs(score)))
    return found


def _odd_words(what: str, own: float, middle: float) -> str:
    times = max(own / middle, middle / own)
    if what == "size":
        return f"{times:.0f} times {'larger' if own > middle else 'smaller'} than most"
    return f"{times:.1f} times {'wider' if own > middle else 'taller'} than most"


def _robust_scores(values: Sequence[float]) -> list[float]:
    """Return each value's distance from the median in robust standard deviations, on a scale of ratios (logarithms)."""
    logs = [log(value) for value in values]
    middle = median(logs)
    spread = median(abs(value - middle) for value in logs)
    return [0.6745 * (value - middle) / spread if spread else 0.0 for value in logs]

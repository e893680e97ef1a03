"""From what several people drew in one picture to the boxes that most of them agree on. Values in, values out."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median

from boxset.dataset.geometry import iou
from boxset.dataset.records import BBox
from boxset.labeling.ledger import Drawn


def agreed(people: Sequence[Sequence[Drawn]], *, min_iou: float) -> tuple[tuple[Drawn, ...], tuple[int, ...]]:
    """Return the boxes that more than half of the people drew, and the category ids of those that only a minority drew.

    Boxes of one category and of different people are one object where every two of them overlap by `min_iou`; it lies where the median of their
    edges lies. The order of people and of their boxes changes nothing. What one person drew alone is taken as it is.
    """
    if len(people) == 1:
        return tuple(sorted(people[0], key=_place)), ()
    boxes: list[Drawn] = []
    doubtful: set[int] = set()
    for category_id in sorted({drawn.category_id for some in people for drawn in some}):
        drawn = sorted((box.bbox, person) for person, some in enumerate(people) for box in some if box.category_id == category_id)
        for group in _objects(drawn, min_iou):
            if 2 * len(group) > len(people):
                boxes.append(_fused([drawn[member][0] for member in group], category_id, len(people)))
            else:
                doubtful.add(category_id)
    return tuple(sorted(boxes, key=_place)), tuple(sorted(doubtful))


def _place(drawn: Drawn) -> tuple[int, BBox]:
    return drawn.category_id, drawn.bbox


def _objects(drawn: Sequence[tuple[BBox, int]], min_iou: float) -> list[list[int]]:
    """Group positions by complete linkage, nearest pairs first; a person is in a group once at the most."""
    overlaps = {(i, j): iou(drawn[i][0], drawn[j][0]) for i, j in combinations(range(len(drawn)), 2)}
    group_of = {position: [position] for position in range(len(drawn))}
    for (i, j), overlap in sorted(overlaps.items(), key=lambda item: (-item[1], drawn[item[0][0]][0], drawn[item[0][1]][0], item[0])):
        first, second = group_of[i], group_of[j]
        if overlap < min_iou or first is second or {drawn[m][1] for m in first} & {drawn[m][1] for m in second}:
            continue
        if all(overlaps[min(a, b), max(a, b)] >= min_iou for a in first for b in second):
            first += second
            group_of |= dict.fromkeys(second, first)
    return [group for position, group in sorted(group_of.items()) if group[0] == position]


def _fused(boxes: Sequence[BBox], category_id: int, people: int) -> Drawn:
    left, top = median(b[0] for b in boxes), median(b[1] for b in boxes)
    right, bottom = median(b[0] + b[2] for b in boxes), median(b[1] + b[3] for b in boxes)
    return Drawn(category_id=category_id, bbox=(left, top, right - left, bottom - top), workers=len(boxes), confidence=round(len(boxes) / people, 3))

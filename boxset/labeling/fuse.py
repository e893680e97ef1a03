"""From what several people drew in one picture to one answer, by agreement. Values in, values out.

Boxes are one thing as `agreement` counts them, and each person has one box of a thing at the most. A thing that more than half of those who drew
have a box of is kept. A tie is no majority: the thing is left out, and what is left out leaves open what there is of its category in the picture.
"""

from collections.abc import Sequence
from statistics import median

from boxset.dataset.records import BBox
from boxset.labeling.agreement import Box, Thing, things
from boxset.labeling.ledger import Drawing, Drawn

MOST_PEOPLE, MOST_BOXES = 50, 5_000  # in a picture, beyond which nothing is fused: that is no crew's work, and would take hours


def fuse(people: Sequence[Sequence[Drawn]]) -> tuple[tuple[Drawn, ...], tuple[int, ...]]:
    """Return the boxes of the things that more than half of the people drew, sorted, and the category ids of what is left out.

    Each edge of a box is the median of that edge; its `workers` says how many drew it. Who drew nothing has a voice as well. The order of people,
    and of their boxes, changes nothing.
    """
    drawings = [Drawing(job="", sha256="", worker=f"{place:06}", boxes=tuple(some)) for place, some in enumerate(_in_one_order(people))]
    groups = [(thing.category_id, group) for thing in things(drawings) for group in _one_of_each(thing)]
    boxes = [
        _united(category_id, [drawings[int(worker)].boxes[place].bbox for worker, place in group])
        for category_id, group in groups
        if 2 * len(group) > len(people)
    ]
    return tuple(sorted(boxes, key=_place)), tuple(sorted({category_id for category_id, group in groups if 2 * len(group) <= len(people)}))


def are_fusible(people: Sequence[Sequence[Drawn]]) -> bool:
    """Return whether so few people drew, and so little, that fusing ends."""
    return len(people) <= MOST_PEOPLE and sum(map(len, people)) <= MOST_BOXES


def _in_one_order(people: Sequence[Sequence[Drawn]]) -> list[list[Drawn]]:
    """Return people and their boxes in an order that goes by what they drew alone: how equals are paired depends on it."""
    return sorted((sorted(some, key=_place) for some in people), key=lambda some: [_place(one) for one in some])


def _place(drawn: Drawn) -> tuple[int, BBox]:
    return drawn.category_id, drawn.bbox


def _one_of_each(thing: Thing) -> list[frozenset[Box]]:
    """Split a thing so that nobody has two boxes of it, nearest pairs first: two things side by side may hang together by one person's box between them."""
    groups = {box: frozenset({box}) for box in thing.boxes}
    for pair in sorted(thing.overlaps, key=lambda pair: (-thing.overlaps[pair], sorted(pair))):
        one, other = (groups[box] for box in sorted(pair))
        if not {worker for worker, _ in one} & {worker for worker, _ in other}:
            groups |= dict.fromkeys(one | other, one | other)
    return sorted(set(groups.values()), key=sorted)


def _united(category_id: int, boxes: Sequence[BBox]) -> Drawn:
    """Return the box whose edges are the medians of those of some boxes; of equal boxes it is that box, to the last digit."""
    left, top = median(x for x, _, _, _ in boxes), median(y for _, y, _, _ in boxes)
    right, bottom = median(x + w for x, _, w, _ in boxes), median(y + h for _, y, _, h in boxes)
    bbox = boxes[0] if len(set(boxes)) == 1 else (left, top, right - left, bottom - top)
    return Drawn(category_id=category_id, bbox=bbox, workers=len(boxes))

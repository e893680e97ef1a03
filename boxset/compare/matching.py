"""Which box of one version is which box of another: geometry decides, ids do not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from boxset.dataset.records import BBox

Matrix = npt.NDArray[np.float64]
LIMIT = 0.5  # overlap from which two boxes may be one object, as evaluators count it


@dataclass(frozen=True)
class Mark:
    """A box with its label, `number` telling the caller which one it is."""

    number: int
    label: tuple[str, int]  # category and iscrowd
    bbox: BBox


@dataclass(frozen=True)
class Pair:
    """Two boxes that are one object."""

    old: Mark
    new: Mark
    iou: float


def match(old: Sequence[Mark], new: Sequence[Mark], *, tolerance_px: float) -> list[Pair]:
    """Pair the boxes of one picture: equal ones first, then one label's by overlap, then across labels by overlap.

    Among the candidates with an IoU of 0.5 or more, the assignment has the greatest sum of IoUs. What is not paired was added or removed.
    """
    pairs, old_left, new_left = _equal(old, new, tolerance_px)
    for label in sorted({mark.label for mark in old_left} & {mark.label for mark in new_left}):
        pairs += assign([m for m in old_left if m.label == label], [m for m in new_left if m.label == label])
    old_left, new_left = _without(old_left, pairs, "old"), _without(new_left, pairs, "new")
    return pairs + assign(old_left, new_left)


def assign(old: Sequence[Mark], new: Sequence[Mark]) -> list[Pair]:
    """Pair boxes that overlap by LIMIT or more so that the sum of overlaps is greatest."""
    if not old or not new:
        return []
    overlap = ious([m.bbox for m in old], [m.bbox for m in new])
    overlap[overlap < LIMIT] = 0
    pairs = []
    for rows, columns in _components(overlap):
        for row, column in best_assignment(overlap[np.ix_(rows, columns)]):
            o, n = rows[row], columns[column]
            pairs.append(Pair(old[o], new[n], float(overlap[o, n])))
    return pairs


def ious(old: Sequence[BBox], new: Sequence[BBox]) -> Matrix:
    """Return the overlap (intersection over union) of every old box with every new one."""
    a, b = np.asarray(old, float), np.asarray(new, float)
    a_end, b_end = a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:]
    shared = np.clip(np.minimum(a_end[:, None], b_end[None]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0, None).prod(axis=2)
    union = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None] - shared
    overlap: Matrix = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def best_assignment(weights: Matrix) -> list[tuple[int, int]]:
    """Return the pairs (row, column) with the greatest sum of weights, zero weights left out (the Hungarian method)."""
    rows, columns = weights.shape
    if rows == 1 or columns == 1:
        row, column = np.unravel_index(int(weights.argmax()), weights.shape)
        return [(int(row), int(column))] if weights[row, column] > 0 else []
    wide = weights if rows <= columns else weights.T
    found = [(row, column) for row, column in _hungarian(-wide) if wide[row, column] > 0]
    return found if rows <= columns else [(row, column) for column, row in found]


def _hungarian(cost: Matrix) -> list[tuple[int, int]]:
    """Return a column for each row at the least cost; no more rows than columns. Shortest augmenting paths with potentials."""
    rows, columns = cost.shape
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    row_of = np.zeros(columns + 1, int)  # 0: free; column 0 stands for the row to be placed
    for row in range(1, rows + 1):
        row_of[0] = row
        column, way, seen, reach = 0, np.zeros(columns + 1, int), np.zeros(columns + 1, bool), np.full(columns + 1, np.inf)
        while row_of[column]:
            seen[column] = True
            slack = cost[row_of[column] - 1] - row_price[row_of[column]] - column_price[1:]
            nearer = ~seen[1:] & (slack < reach[1:])
            reach[1:][nearer], way[1:][nearer] = slack[nearer], column
            column = 1 + int(np.where(seen[1:], np.inf, reach[1:]).argmin())
            step = reach[column]
            row_price[row_of[seen]] += step
            column_price[seen] -= step
            reach[~seen] -= step
        while column:
            row_of[column], column = row_of[way[column]], int(way[column])
    return [(int(row_of[column]) - 1, column - 1) for column in range(1, columns + 1) if row_of[column]]


def _components(overlap: Matrix) -> list[tuple[list[int], list[int]]]:
    """Split boxes into groups that overlap among themselves alone, so that each assignment is small."""
    found, unseen = [], set(np.flatnonzero(overlap.any(axis=1)).tolist())
    while unseen:
        rows, columns, waiting = set[int](), set[int](), {min(unseen)}
        while waiting:
            rows |= waiting
            columns |= {int(c) for r in waiting for c in np.flatnonzero(overlap[r])}
            waiting = {int(r) for c in columns for r in np.flatnonzero(overlap[:, c])} - rows
        unseen -= rows
        found.append((sorted(rows), sorted(columns)))
    return found


def _equal(old: Sequence[Mark], new: Sequence[Mark], tolerance_px: float) -> tuple[list[Pair], list[Mark], list[Mark]]:
    """Pair boxes that are the same to within a tolerance; return the pairs and what is left of both sides."""
    by_label: dict[tuple[str, int], list[Mark]] = {}
    for mark in new:
        by_label.setdefault(mark.label, []).append(mark)
    pairs, old_left = [], []
    for mark in old:
        same = next((m for m in by_label.get(mark.label, ()) if _near(m.bbox, mark.bbox, tolerance_px)), None)
        if same is None:
            old_left.append(mark)
        else:
            by_label[mark.label].remove(same)
            pairs.append(Pair(mark, same, 1.0))
    return pairs, old_left, _without(new, pairs, "new")


def _near(a: BBox, b: BBox, tolerance_px: float) -> bool:
    return a == b or all(abs(p - q) <= tolerance_px for p, q in zip(a, b, strict=True))


def _without(marks: Sequence[Mark], pairs: Sequence[Pair], side: str) -> list[Mark]:
    gone = {getattr(pair, side).number for pair in pairs}
    return [mark for mark in marks if mark.number not in gone]

"""Balance: what happens to a category that drowns the rest.

`weights` keeps everything and writes repeat factors: r = max over an image's categories of max(1, sqrt(t / f)), where f is the share of
images with the category (Gupta, Dollár, Girshick: LVIS, 2019, appendix). `select` chooses whole images by integer programming.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any

from boxset.dataset.coco import Coco, part_of
from boxset.dataset.reasons import Reason
from boxset.params import Balance
from boxset.resolve import Target, Targets
from boxset.wording import counted, noun

Vector = tuple[int, ...]


@dataclass(frozen=True)
class Chosen:
    """What goes into the data set, how often each image is seen, and what was done in plain words."""

    coco: Coco
    repeat_factors: dict[int, float]
    says: tuple[str, ...]
    metrics: dict[str, Any]


def balance(coco: Coco, targets: Targets, settings: Balance, *, keep: frozenset[int] = frozenset()) -> Chosen:
    """Choose. Whole images only, never single boxes, so that nothing becomes false background. Those to `keep` stay over every cap, and count."""
    boxes = boxes_by_image(coco)
    chosen, says = _selected(coco, boxes, targets, settings, keep) if settings.mode == "select" else ({image.id for image in coco.images}, [])
    empty = [image for image in coco.images if image.id in chosen and not boxes.get(image.id)]
    negatives = sorted((image for image in empty if image.id not in keep), key=lambda i: (not i.neg_category_ids, i.sha256))
    most = max(0, _most_empty(len(chosen), len(empty), settings.negatives_share) - (len(empty) - len(negatives)))
    if len(negatives) > most:
        chosen -= {image.id for image in negatives[most:]}
        out = counted(len(negatives) - most, "picture without any box was", "pictures without any box were")
        says.append(f"{out} left out: they may be {settings.negatives_share:.0%} of the data set at the most")
    kept = part_of(coco, chosen)
    over = len(coco.images) - len(kept.images)
    return Chosen(kept, repeat_factors(kept, settings.repeat_threshold), tuple(says), {"left_out": {Reason.OVER_CAP.value: over}} if over else {})


def boxes_by_image(coco: Coco) -> dict[int, dict[int, int]]:
    """Return image → category → boxes; crowds do not count."""
    found: dict[int, dict[int, int]] = {}
    for annotation in coco.annotations:
        if not annotation.iscrowd:
            counts = found.setdefault(annotation.image_id, {})
            counts[annotation.category_id] = counts.get(annotation.category_id, 0) + 1
    return found


def repeat_factors(coco: Coco, threshold: float) -> dict[int, float]:
    """Return each image's repeat factor, at least 1."""
    boxes = boxes_by_image(coco)
    images = len(coco.images) or 1
    with_category = Counter(category for counts in boxes.values() for category in counts)
    factors = {category: max(1.0, sqrt(threshold / (count / images))) for category, count in with_category.items()}
    return {image.id: round(max([1.0, *(factors[c] for c in boxes.get(image.id, ()))]), 6) for image in coco.images}


def _most_empty(images: int, empty: int, share: float) -> int:
    """Return how many of the images without any box may stay, so that they are at most this share of what stays."""
    return empty if share >= 1 else int((images - empty) * share / (1 - share) + 1e-9)


def _selected(
    coco: Coco, boxes: dict[int, dict[int, int]], targets: Targets, settings: Balance, keep: frozenset[int]
) -> tuple[set[int], list[str]]:
    """Choose images beside those to keep: as near to the targets as can be, over no cap that those leave room under, as many as possible."""
    named = [(c.id, c.name, targets.categories[c.key]) for c in coco.categories if c.key in targets.categories]
    vector_of = {image.id: tuple(boxes.get(image.id, {}).get(c, 0) for c, _, _ in named) for image in sorted(coco.images, key=lambda i: i.sha256)}
    groups: dict[Vector, list[int]] = {}
    for number, vector in vector_of.items():
        if number not in keep:
            groups.setdefault(vector, []).append(number)
    vectors = sorted(groups)
    kept = _sums(len(named), (vector_of[number] for number in keep))
    take, gap = solve(vectors, [len(groups[v]) for v in vectors], [t for _, _, t in named], settings, kept=kept)
    chosen = keep.union(*(groups[vector][:count] for vector, count in zip(vectors, take, strict=True)))
    got, have = _sums(len(named), (vector_of[number] for number in chosen)), _sums(len(named), vector_of.values())
    left = [vector for number, vector in vector_of.items() if number not in chosen]
    least = [min((vector[i] for vector in left if vector[i]), default=0) for i in range(len(named))]
    says = [_words(name, target, got[i], have[i], least[i]) for i, (_, name, target) in enumerate(named)]
    return set(chosen), [*says, f"the choice is within {gap:.2%} of the best that there can be" if gap else "no better choice exists"]


def _sums(size: int, vectors: Iterable[Vector]) -> Vector:
    return tuple(map(sum, zip(*vectors, strict=True))) or (0,) * size


def _words(name: str, target: Target, got: int, have: int, least: int) -> str:
    """Say how many boxes of a category there are, and what limits them; `least`: how many a picture that is left out has at the least."""
    if target.max and got > target.max:
        return f"{name}: {got:,} of {counted(have, 'box')}, over its cap of {target.max}: the frozen test set keeps its own"
    if target.max and have > got and got + least > target.max:
        return f"{name}: {got:,} of {counted(have, 'box')}; its cap of {target.max} binds"
    if got < target.target and have <= got:
        return f"{name}: {counted(got, 'box')}, all that there {noun(got, 'is', 'are')}; the target is {target.target}"
    if got < have:
        return f"{name}: {got:,} of {counted(have, 'box')}; the rest stands in pictures with too many others"
    return f"{name}: its only box" if have == 1 else f"{name}: all {counted(have, 'box')}"


def solve(vectors: list[Vector], counts: list[int], targets: list[Target], settings: Balance, *, kept: Vector) -> tuple[list[int], float]:
    """Return how many images of each kind to take beside those that are `kept` (their boxes), and the gap to the bound.

    Integer programme: maximise images taken (weight small) minus the shortage under each target, relative to it, within the caps. Where what is
    kept passes a cap, no more of that category is taken. Single thread, stopped by nodes and gap, so that it repeats.
    """
    import highspy
    import numpy as np

    model = highspy.Highs()
    for option, value in (
        ("output_flag", False),
        ("threads", 1),
        ("random_seed", 0),
        ("mip_rel_gap", settings.max_gap),
        ("mip_max_nodes", settings.max_nodes),
    ):
        model.setOptionValue(option, value)
    infinity = highspy.kHighsInf
    total = sum(counts) or 1
    n, k = len(vectors), len(targets)
    for count in counts:
        model.addVar(0, count)
    for _ in range(k):
        model.addVar(0, infinity)
    columns = np.arange(n, dtype=np.int32)
    model.changeColsIntegrality(n, columns, np.full(n, highspy.HighsVarType.kInteger))
    for i, target in enumerate(targets):
        index = [j for j in range(n) if vectors[j][i]]
        values = [float(vectors[j][i]) for j in index]
        wanted = min(target.target, kept[i] + sum(vectors[j][i] * counts[j] for j in index))
        model.addRow(float(wanted - kept[i]), infinity, len(index) + 1, np.array([*index, n + i], np.int32), np.array([*values, 1.0]))
        if target.max:
            model.addRow(-infinity, float(max(0, target.max - kept[i])), len(index), np.array(index, np.int32), np.array(values))
        model.changeColCost(n + i, 1.0 / max(float(wanted), 1.0))
    for j in range(n):
        model.changeColCost(j, -1e-3 / total)
    model.run()
    solution = model.getSolution().col_value[:n]
    gap = model.getInfo().mip_gap
    return [round(value) for value in solution], 0.0 if gap <= 1e-9 or gap == infinity else float(gap)

"""Suspicious labels by columns are those that the rules give one box at a time, on drawn data of two models with crowds and lists that are not exhaustive."""

import numpy as np
import pytest

from boxset.compare import overlaps
from boxset.compare.suspicious import suspects
from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage
from boxset.dataset.predictions import Predictions, latest
from boxset.dataset.records import BBox
from tests.build import annotation, coco, image
from tests.detector import Seen, predictions
from tests.plain_suspects import plain_suspects

WIDE, HIGH = 1280, 720
STATES = ("exhaustive_category_ids", "neg_category_ids", "not_exhaustive_category_ids", "")


def drawn(rng: np.random.Generator, pictures: int) -> tuple[Coco, Predictions]:
    """Pictures with labels, of which two models see some, some of them otherwise than they are labelled."""
    images: list[CocoImage] = []
    labels: list[CocoAnnotation] = []
    seen: tuple[dict[str, list[Seen]], dict[str, list[Seen]]] = ({}, {})
    for number in range(1, pictures + 1):
        states = [STATES[k] for k in rng.choice(4, 2, p=[0.5, 0.15, 0.15, 0.2])]
        known = {name: tuple(i for i, state in enumerate(states, 1) if state == name) for name in STATES[:3]}
        images.append(image(number, width=WIDE, height=HIGH, **known))
        guesses: list[Seen] = []
        for _ in range(int(rng.integers(0, 6))):
            box, category = somewhere(rng), int(rng.integers(1, 3))
            labels.append(annotation(len(labels) + 1, number, category, bbox=box, iscrowd=int(rng.random() < 0.1)))
            guesses += [shifted(rng, box, category) for _ in range(int(rng.integers(0, 3)))]
        guesses += [(int(rng.integers(1, 3)), somewhere(rng), float(rng.beta(2, 2))) for _ in range(int(rng.integers(0, 3)))]
        if rng.random() < 0.9:
            seen[int(rng.random() < 0.3)][f"{number:064x}"] = guesses
    return coco(images, labels), latest([predictions(some, name) for some, name in zip(seen, ("v1", "v2"), strict=True)])


def somewhere(rng: np.random.Generator) -> BBox:
    """Any box of whole tenths."""
    w, h = rng.uniform(12, WIDE / 2), rng.uniform(12, HIGH / 2)
    return tenths(rng.uniform(0, WIDE - w), rng.uniform(0, HIGH - h), w, h)


def shifted(rng: np.random.Generator, box: BBox, category: int) -> Seen:
    """A prediction at a label, near or not so near, mostly of its category."""
    x, y, w, h = box
    dx, dy, dw, dh = rng.normal(0, rng.choice([0.03, 0.12, 0.25]), 4)
    near = tenths(max(0, x + dx * w), max(0, y + dy * h), max(4, w * (1 + dw)), max(4, h * (1 + dh)))
    return category if rng.random() < 0.85 else 3 - category, near, float(rng.beta(5, 2))


def tenths(x: float, y: float, w: float, h: float) -> BBox:
    """A box as it is written down."""
    return round(float(x), 1), round(float(y), 1), round(float(w), 1), round(float(h), 1)


@pytest.mark.parametrize("seed", range(12))
def test_suspects_are_those_of_the_rules_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlaps, "PART", 7)  # pairs are looked at in many parts
    labelled, seen = drawn(np.random.default_rng(seed), 12 + 4 * seed)

    found = sorted((s.kind, s.sha256, s.label or s.prediction, s.score) for s in suspects({"train": labelled}, seen))
    expected = sorted((kind, sha, box, score) for kind, score, sha, box in plain_suspects(labelled, seen))

    assert [one[:3] for one in found] == [one[:3] for one in expected]
    assert [one[3] for one in found] == pytest.approx([one[3] for one in expected], abs=1e-4)


def test_the_drawn_data_have_suspects_of_every_kind() -> None:
    kinds = {one[0] for seed in range(12) for one in plain_suspects(*drawn(np.random.default_rng(seed), 12 + 4 * seed))}

    assert kinds == {"missed", "spurious", "mislabelled", "badly placed"}

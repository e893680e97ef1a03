"""A category that drowns the rest is weighted, or whole pictures are chosen against targets and caps."""

from math import sqrt

import pytest

from boxset.assemble.balance import balance, repeat_factors
from boxset.dataset.coco import Coco
from boxset.params import Balance
from boxset.resolve import Target, Targets
from tests.build import TARGETS, annotation, coco, image


def screwdrivers(hammers: int = 2, saws: int = 18, empty: int = 0) -> Coco:
    """A set with one box an image: few hammers, many saws, some images without any."""
    total = hammers + saws + empty
    boxes = [annotation(n, n, 1 if n <= hammers else 2) for n in range(1, hammers + saws + 1)]
    return coco([image(n) for n in range(1, total + 1)], boxes)


def test_weights_keep_everything_and_repeat_the_rare() -> None:
    chosen = balance(screwdrivers(), TARGETS, Balance(repeat_threshold=0.4))

    assert len(chosen.coco.images) == 20
    assert chosen.repeat_factors == {n: round(sqrt(0.4 / 0.1), 6) if n <= 2 else 1.0 for n in range(1, 21)}
    assert chosen.says == ()


def test_pictures_without_boxes_are_capped_the_verified_ones_stay() -> None:
    found = screwdrivers(empty=10)
    verified = coco([*found.images[:29], image(30, neg_category_ids=(1,))], list(found.annotations))

    chosen = balance(verified, TARGETS, Balance(negatives_share=0.05))

    assert [i.id for i in chosen.coco.images if i.id > 20] == [30]
    assert chosen.metrics == {"left_out": {"over_cap": 9}}
    assert "9 pictures without any box" in chosen.says[0]


def test_all_negatives_stay_where_the_share_allows_any() -> None:
    assert len(balance(screwdrivers(empty=10), TARGETS, Balance(negatives_share=1.0)).coco.images) == 30


def test_select_holds_the_caps_and_reaches_the_targets() -> None:
    targets = Targets(categories={"hammer": Target(target=5, max=0), "saw": Target(target=6, max=8)})

    chosen = balance(screwdrivers(), targets, Balance(mode="select"))

    counts = [sum(a.category_id == c for a in chosen.coco.annotations) for c in (1, 2)]
    assert counts == [2, 8]
    assert "hammer: 2 boxes, all that there are; the target is 5" in chosen.says
    assert "saw: 8 of 18 boxes; its cap of 8 binds" in chosen.says
    assert balance(screwdrivers(), targets, Balance(mode="select")).coco == chosen.coco


def test_select_says_when_a_target_stands_in_pictures_with_too_many_others() -> None:
    mixed = coco([image(1), image(2)], [annotation(1, 1, 1), *(annotation(n, 1, 2) for n in range(2, 12)), annotation(12, 2, 1)])
    targets = Targets(categories={"hammer": Target(target=1, max=0), "saw": Target(target=0, max=3)})

    chosen = balance(mixed, targets, Balance(mode="select"))

    assert [i.id for i in chosen.coco.images] == [2]
    assert "hammer: 1 of 2 boxes; the rest stands in pictures with too many others" in chosen.says


def test_select_keeps_all_where_nothing_binds() -> None:
    chosen = balance(screwdrivers(3, 3), TARGETS, Balance(mode="select"))

    assert len(chosen.coco.images) == 6
    assert chosen.says[-1] == "no better choice exists"


def test_crowds_do_not_count() -> None:
    crowd = coco([image(1)], [annotation(1, 1, 1, iscrowd=1)])

    assert repeat_factors(crowd, 0.5) == {1: 1.0}


@pytest.mark.parametrize("seed", range(5))
def test_select_is_never_worse_than_greedy(seed: int) -> None:
    import random

    rng = random.Random(seed)
    images = [image(n) for n in range(1, 61)]
    boxes = [annotation(i, n, c) for i, (n, c) in enumerate(((n, c) for n in range(1, 61) for c in (1, 2) for _ in range(rng.randint(0, 4))), 1)]
    targets = Targets(categories={"hammer": Target(target=30, max=35), "saw": Target(target=60, max=70)})

    def missed(counts: list[int]) -> float:
        wanted, most = (30, 60), (35, 70)
        return sum(max(0, w - c) / w + max(0, c - m) / m for c, w, m in zip(counts, wanted, most, strict=True))

    chosen = balance(coco(images, boxes), targets, Balance(mode="select", negatives_share=1.0))
    best = [sum(a.category_id == c for a in chosen.coco.annotations) for c in (1, 2)]
    greedy = [0, 0]
    for picture in images:
        more = [sum(a.image_id == picture.id and a.category_id == c for a in boxes) for c in (1, 2)]
        if missed([g + m for g, m in zip(greedy, more, strict=True)]) <= missed(greedy):
            greedy = [g + m for g, m in zip(greedy, more, strict=True)]

    assert missed(best) <= missed(greedy) + 1e-9

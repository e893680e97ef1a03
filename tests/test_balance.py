"""A category that drowns the rest is weighted, or whole pictures are chosen against targets and caps."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert len(balance(screwdrivers(empty=70), TARGETS, Balance(negatives_share=1.0)).coco.images) == 90


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


def set_of(rows: Sequence[tuple[int, int]]) -> Coco:
    """A set of images with so many hammers and saws."""
    labels = [(number, category) for number, row in enumerate(rows, 1) for category, count in enumerate(row, 1) for _ in range(count)]
    return coco([image(n) for n in range(1, len(rows) + 1)], [annotation(number, *label) for number, label in enumerate(labels, 1)])


def limits(hammers: tuple[int, int], saws: tuple[int, int]) -> Targets:
    """The target and the cap of both."""
    return Targets(categories={"hammer": Target(target=hammers[0], max=hammers[1]), "saw": Target(target=saws[0], max=saws[1])})


SELECT = Balance(mode="select", negatives_share=1.0)


def test_no_cap_is_passed_for_a_target() -> None:
    chosen = balance(set_of([(10, 5), (1, 0)]), limits((10, 0), (0, 3)), SELECT)

    assert [i.id for i in chosen.coco.images] == [2]
    assert chosen.says[:2] == ("hammer: 1 of 11 boxes; the rest stands in pictures with too many others", "saw: 0 of 5 boxes; its cap of 3 binds")


def test_the_frozen_test_set_counts_under_targets_and_caps_and_is_named_where_it_passes_one() -> None:
    rows, keep = [(2, 0)] * 5 + [(0, 1)] * 6, frozenset({1, 2, 6, 7, 8, 9})

    chosen = balance(set_of(rows), limits((6, 6), (0, 3)), SELECT, keep=keep)

    assert {i.id for i in chosen.coco.images} > keep
    assert [sum(a.category_id == c for a in chosen.coco.annotations) for c in (1, 2)] == [6, 4]
    assert chosen.says[:2] == ("hammer: 6 of 10 boxes; its cap of 6 binds", "saw: 4 of 6 boxes, over its cap of 3: the frozen test set keeps its own")


def test_pictures_without_boxes_in_the_frozen_test_set_count_in_their_share() -> None:
    chosen = balance(screwdrivers(2, 18, empty=10), TARGETS, Balance(negatives_share=0.2), keep=frozenset(range(21, 25)))

    assert sum(i.id > 20 for i in chosen.coco.images) == 5


few = st.tuples(st.integers(0, 4), st.integers(0, 4))
bounds = st.tuples(st.integers(0, 12), st.integers(0, 12))


@given(st.lists(few, max_size=7), bounds, bounds, st.data())
def test_select_is_the_best_choice_of_all(rows: list[tuple[int, int]], hammers: tuple[int, int], saws: tuple[int, int], data: st.DataObject) -> None:
    """Every choice of a few images, tried one by one."""
    keep = data.draw(st.frozensets(st.integers(1, len(rows)), max_size=2)) if rows else frozenset()
    have, kept = (tuple(sum(rows[n - 1][c] for n in some) for c in (0, 1)) for some in (range(1, len(rows) + 1), keep))
    wanted = [min(target, most) for (target, _), most in zip((hammers, saws), have, strict=True)]
    caps = [max(cap, own) if cap else most for (_, cap), own, most in zip((hammers, saws), kept, have, strict=True)]

    def worth(some: Iterable[int]) -> float:
        got = [sum(rows[n - 1][c] for n in some) for c in (0, 1)]
        if any(one > cap for one, cap in zip(got, caps, strict=True)):
            return -inf
        return 1e-3 * len(set(some) - keep) / ((len(rows) - len(keep)) or 1) - sum(max(0, w - g) / max(w, 1) for w, g in zip(wanted, got, strict=True))

    chosen = balance(set_of(rows), limits(hammers, saws), Balance(mode="select", negatives_share=1.0, max_gap=0.0), keep=keep)

    rest = [number for number in range(1, len(rows) + 1) if number not in keep]
    best = max(worth([*keep, *some]) for size in range(len(rest) + 1) for some in combinations(rest, size))
    assert keep <= {i.id for i in chosen.coco.images}
    assert worth([i.id for i in chosen.coco.images]) == pytest.approx(best, abs=1e-6)

"""What several people drew becomes one answer by agreement, whoever comes first."""

import random
from itertools import permutations
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxset.dataset.records import BBox
from boxset.labeling.fuse import fuse
from boxset.labeling.ledger import Drawn

HAMMER, SAW = 1, 2
HERE: BBox = (10.0, 20.0, 100.0, 80.0)
THERE: BBox = (200.0, 20.0, 100.0, 80.0)

boxes = st.builds(
    lambda category, x, y, w, h: Drawn(category_id=category, bbox=(x, y, w, h)),
    st.sampled_from((HAMMER, SAW)),
    *[st.sampled_from([0.0, 0.1, 3.3, 7.0, 20.0, 60.0, 61.7])] * 2,
    *[st.sampled_from([20.0, 25.1, 30.0])] * 2,
)
crews = st.lists(st.lists(boxes, max_size=6), min_size=1, max_size=6)


def hammers(*some: BBox) -> list[Drawn]:
    return [Drawn(category_id=HAMMER, bbox=bbox) for bbox in some]


def moved(bbox: BBox, x: float, y: float = 0.0) -> BBox:
    return bbox[0] + x, bbox[1] + y, bbox[2], bbox[3]


def found(*people: list[Drawn]) -> list[tuple[int, BBox, int]]:
    """What is kept: category, box, and how many drew it."""
    return [(one.category_id, one.bbox, one.workers) for one in fuse(people)[0]]


def plain(some: list[Drawn]) -> list[tuple[int, BBox]]:
    return sorted((one.category_id, one.bbox) for one in some)


def test_a_thing_that_most_drew_is_kept_with_the_median_of_each_edge() -> None:
    assert found(hammers(HERE), hammers(moved(HERE, 3)), hammers((13.0, 10.0, 110.0, 90.0))) == [(HAMMER, (13.0, 20.0, 100.0, 80.0), 3)]
    assert found(hammers(HERE), hammers(moved(HERE, 4)), []) == [(HAMMER, moved(HERE, 2), 2)]


@pytest.mark.parametrize(
    ("drew", "looked", "is_kept"),
    [(1, 1, True), (1, 2, False), (2, 2, True), (1, 3, False), (2, 3, True), (2, 4, False), (3, 4, True), (2, 5, False), (3, 5, True)],
)
def test_half_of_the_people_are_no_majority_and_what_is_left_out_leaves_its_category_open(drew: int, looked: int, is_kept: bool) -> None:
    kept, left_out = fuse([*[hammers(HERE)] * drew, *[[]] * (looked - drew)])

    assert (len(kept), left_out) == ((1, ()) if is_kept else (0, (HAMMER,)))


def test_nobody_drew_anything_so_nothing_is_there() -> None:
    assert fuse([[], [], []]) == ((), ())


def test_a_thing_under_two_names_has_a_voice_for_each() -> None:
    kept, left_out = fuse([hammers(HERE), hammers(HERE), [Drawn(category_id=SAW, bbox=HERE)]])

    assert ([(one.category_id, one.workers) for one in kept], left_out) == ([(HAMMER, 2)], (SAW,))


def test_two_things_side_by_side_stay_two_where_one_person_drew_a_box_between_them_whoever_comes_first() -> None:
    left, between, right = (moved(HERE, x) for x in (0, 30, 60))  # `between` overlaps both by the same, and more than a half; they do each other by less

    every = {tuple(found(*crew)) for both in ((left, right), (right, left)) for crew in permutations((hammers(*both), hammers(*both), hammers(between)))}

    assert every == {((HAMMER, left, 3), (HAMMER, right, 2))}


def test_a_row_of_boxes_that_each_overlap_the_next_by_the_same_is_paired_alike_whoever_comes_first() -> None:
    row = hammers(moved(HERE, 30)), hammers(moved(HERE, 60)), hammers(HERE, moved(HERE, 90))

    assert {tuple(found(*crew)) for crew in permutations(row)} == {((HAMMER, moved(HERE, 15), 2), (HAMMER, moved(HERE, 75), 2))}


def test_who_draws_a_thing_twice_has_one_voice() -> None:
    assert found(hammers(HERE, HERE), [], []) == []
    assert found(hammers(HERE, HERE), hammers(HERE), []) == [(HAMMER, HERE, 2)]


@given(crews, st.randoms(use_true_random=False))
def test_neither_the_order_of_people_nor_that_of_their_boxes_changes_anything(crew: list[list[Drawn]], chance: random.Random) -> None:
    shuffled = [chance.sample(some, len(some)) for some in chance.sample(crew, len(crew))]

    assert fuse(shuffled) == fuse(crew)


@given(st.lists(boxes, max_size=8))
def test_what_one_person_drew_is_kept_as_it_is(some: list[Drawn]) -> None:
    kept, left_out = fuse([some])

    assert (plain(list(kept)), left_out) == (plain(some), ())


@given(st.lists(boxes, max_size=8), st.integers(2, 5))
def test_people_who_drew_the_same_have_drawn_just_that(some: list[Drawn], people: int) -> None:
    kept, left_out = fuse([some] * people)

    assert (plain(list(kept)), left_out) == (plain(some), ())
    assert {one.workers for one in kept} <= {people}


@given(crews)
def test_every_box_lies_among_those_that_were_drawn_and_no_more_drew_it_than_looked(crew: list[list[Drawn]]) -> None:
    kept, left_out = fuse(crew)

    for one in kept:
        assert len(crew) < 2 * one.workers <= 2 * len(crew)
        drawn = [box.bbox for some in crew for box in some if box.category_id == one.category_id]
        for edge in (lambda b: b[0], lambda b: b[1], lambda b: b[0] + b[2], lambda b: b[1] + b[3]):
            assert min(map(edge, drawn)) - 1e-9 <= edge(one.bbox) <= max(map(edge, drawn)) + 1e-9
    assert sum(one.workers for one in kept) <= sum(map(len, crew))
    assert ({one.category_id for one in kept} | set(left_out)) == {box.category_id for some in crew for box in some}


cells = st.lists(st.lists(st.tuples(st.booleans(), *[st.floats(-4, 4)] * 4), min_size=4, max_size=4), min_size=1, max_size=6)


@given(cells)
def test_things_that_lie_apart_are_voted_on_one_by_one_and_no_edge_leaves_those_of_its_boxes(people: list[list[tuple[bool, float, float, float, float]]]) -> None:
    drawn = [[None if not sees else (200.0 * n + x, y, 100.0 + w, 80.0 + h) for n, (sees, x, y, w, h) in enumerate(some)] for some in people]

    kept, left_out = fuse([hammers(*filter(None, some)) for some in drawn])

    of_each = [[some[n] for some in drawn if some[n] is not None] for n in range(4)]
    most = [some for some in of_each if 2 * len(some) > len(people)]
    assert [one.workers for one in kept] == [len(some) for some in most]
    for one, some in zip(kept, most, strict=True):
        edges = [[x for x, _, _, _ in some], [y for _, y, _, _ in some], [x + w for x, _, w, _ in some], [y + h for _, y, _, h in some]]
        x, y, w, h = one.bbox
        assert (x, y, x + w, y + h) == pytest.approx([median(edge) for edge in edges])
        assert all(min(edge) - 1e-9 <= at <= max(edge) + 1e-9 for edge, at in zip(edges, (x, y, x + w, y + h), strict=True))
    assert left_out == ((HAMMER,) if any(0 < 2 * len(some) <= len(people) for some in of_each) else ())

"""Boxes are clipped, scaled, turned and compared in pixels."""

import pytest

from boxset.dataset.geometry import clipped, iou, scaled, turned


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ((10, 10, 20, 20), (10, 10, 20, 20)),
        ((-5, -5, 20, 20), (0, 0, 15, 15)),
        ((90, 40, 20, 20), (90, 40, 10, 10)),
        ((100, 0, 5, 5), None),
        ((10, 10, 0, 5), None),
        ((float("nan"), 0, 5, 5), None),
        ((0, 0, float("inf"), 5), None),
    ],
)
def test_a_box_is_clipped_to_its_picture(bbox: tuple[float, float, float, float], expected: object) -> None:
    assert clipped(bbox, 100, 50) == expected


def test_scaling_keeps_fractions() -> None:
    assert scaled((1, 2, 3, 4), 1.5, 0.5) == (1.5, 1.0, 4.5, 2.0)


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, (10, 20, 30, 40)),
        (2, (60, 20, 30, 40)),
        (3, (60, 140, 30, 40)),
        (4, (10, 140, 30, 40)),
        (5, (20, 10, 40, 30)),
        (6, (140, 10, 40, 30)),
        (7, (140, 60, 40, 30)),
        (8, (20, 60, 40, 30)),
    ],
)
def test_a_box_turns_with_its_raster(orientation: int, expected: tuple[float, ...]) -> None:
    assert turned((10, 20, 30, 40), orientation, 100, 200) == expected


def test_overlap_is_shared_over_united_area() -> None:
    assert iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1.0
    assert iou((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert iou((0, 0, 10, 10), (10, 0, 10, 10)) == 0.0

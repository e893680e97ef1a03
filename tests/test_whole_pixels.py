"""Exports in whole pixels: no box is empty, none leaves its picture, and none lies a pixel off."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boxset.dataset.coco import write_coco
from boxset.dataset.records import BBox
from boxset.formats.export import export
from tests.build import annotation, coco, image

WIDTH, HEIGHT = 400, 300


def exported(folder: Path, bbox: BBox, format_: str) -> BBox:
    """Return a box as it reads in an export, in the data set's own form."""
    drawn = annotation(1, 1, 2, bbox=bbox, area=bbox[2] * bbox[3])
    for split in ("train", "val", "test"):
        (folder / f"set/images/{split}").mkdir(parents=True)
        write_coco(folder / f"set/annotations/instances_{split}.json", coco([image(1)], [drawn]) if split == "train" else coco([], []))
    (folder / f"set/images/train/{image(1).file_name}").write_bytes(b"a picture")
    for name in ("ATTRIBUTION.csv", "README.md"):
        (folder / "set" / name).write_text("")
    export(folder / "set", format_, folder / "out")
    if format_ == "voc":
        found = ET.fromstring((folder / f"out/Annotations/{1:064x}.xml").read_text()).find("object/bndbox")
        assert found is not None
        left, top, right, bottom = (int(found.findtext(name) or "") for name in ("xmin", "ymin", "xmax", "ymax"))
        return left - 1, top - 1, right - left + 1, bottom - top + 1
    (box,) = json.loads((folder / "out/train.manifest").read_text())["boxes"]["annotations"]
    assert box["class_id"] == 1
    return box["left"], box["top"], box["width"], box["height"]


def sides(length: int) -> st.SearchStrategy[tuple[float, float]]:
    """Where a box begins and how long it is, inside a picture; halves of a pixel, which round either way, among them."""
    place = st.integers(0, 2 * length).map(lambda n: n / 2) | st.floats(0, length)
    return st.tuples(place, place).map(sorted).filter(lambda ends: ends[1] - ends[0] > 1e-6).map(lambda ends: (ends[0], ends[1] - ends[0]))


@pytest.mark.parametrize("format_", ["voc", "manifest"])
@settings(max_examples=25)  # each writes a data set and an export
@given(across=sides(WIDTH), down=sides(HEIGHT))
@example(across=(399.5, 0.5), down=(1.5, 1.5))
@example(across=(268.625, 0.125), down=(299.75, 0.25))
def test_a_box_is_inside_its_picture_and_no_pixel_off(tmp_path_factory: pytest.TempPathFactory, format_: str, across: tuple[float, float], down: tuple[float, float]) -> None:
    bbox = (across[0], down[0], across[1], down[1])

    x, y, w, h = exported(tmp_path_factory.mktemp("x"), bbox, format_)

    for start, length, (true, wide), most in ((x, w, across, WIDTH), (y, h, down, HEIGHT)):
        assert start >= 0
        assert length >= 1
        assert start + length <= most
        assert abs(start - true) <= 1
        assert abs(start + length - true - wide) <= 1

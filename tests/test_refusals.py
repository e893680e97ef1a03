"""What is not the format is refused by file and field before anything wrong is concluded from it; single bad records are counted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from boxset.errors import InputError
from boxset.sources import tables
from tests.test_sources import COCO, HEADER, INDEX, all_boxes, build

IMAGE = {"id": 7, "width": 10, "height": 8, "file_name": "a.jpg", "coco_url": "http://images.cocodataset.org/train2017/7.jpg"}
BOX = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}
LVIS = {"images": [{**IMAGE, "neg_category_ids": [], "not_exhaustive_category_ids": []}], "annotations": [BOX], "categories": COCO["categories"]}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(format_: str, value: Any, **more: Any) -> dict[str, Any]:
    """Index one file of COCO or LVIS."""
    name = {"coco": "instances_train", "lvis": "lvis_train"}[format_]
    Path("c.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return build(format_, files={name: "c.json"}, splits=("train",), **more)


@pytest.mark.parametrize(
    ("format_", "value", "message"),
    [
        ("coco", LVIS, r"c\.json: images.*neg_category_ids: this is LVIS"),
        ("lvis", COCO, r"c\.json: images.*neg_category_ids is missing: this is not LVIS"),
        ("coco", {**COCO, "categories": [{"id": 1, "name": "person", "keypoints": ["nose"], "skeleton": [[1, 2]]}]}, r"keypoints"),
        ("coco", {**COCO, "annotations": [{"id": 1, "image_id": 7, "caption": "a man"}]}, r"category_id.*annotations\[0\]"),
        ("coco", {**COCO, "annotations": []}, "the boxes are stripped"),
        ("coco", {**COCO, "annotations": [{**BOX, "bbox": [1, 2, 3]}]}, r"length.*bbox"),
        ("coco", {**COCO, "annotations": [{**BOX, "bbox": ["a", 2, 3, 4]}]}, r"Expected `float`, got `str`.*bbox"),
        ("coco", json.dumps({**COCO, "annotations": [{**BOX, "bbox": [float("nan"), 2, 3, 4]}]}), r"c\.json: not a COCO file: JSON is malformed"),
        ("coco", {"images": [IMAGE], "annotations": [BOX]}, "categories"),
        ("coco", [1], "Expected `object`, got `array`"),
        ("coco", '{"images": [', r"c\.json: not a COCO file"),
        ("coco", "version https://git-lfs.github.com/spec/v1\n", r"c\.json:1: a Git-LFS pointer"),
        ("coco", "<html>404</html>", r"c\.json:1: a web page"),
    ],
)
def test_another_file_is_refused(format_: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(format_, value)


def test_records_that_refer_to_nothing_are_counted_and_the_first_of_two_images_with_one_id_holds() -> None:
    boxes = [BOX, {**BOX, "image_id": 99}, {**BOX, "category_id": 99}, {**BOX, "bbox": [1, 2, -3, 4]}]
    images = [IMAGE, {**IMAGE, "file_name": "second.jpg", "coco_url": "http://images.cocodataset.org/train2017/8.jpg"}]

    metrics = read("coco", {"images": images, "annotations": boxes, "categories": COCO["categories"]}, max_lost_share=0.5)

    assert metrics == {"images": 1, "boxes": 2, "verified": 0, "seen": 4, "dropped": {"bad_row": 1, "duplicate": 1, "no_picture": 1}}
    assert tables.read_images(INDEX, ["7"])["7"]["url"] == IMAGE["coco_url"]
    with pytest.raises(InputError, match="2 of 4 rows are unreadable"):
        read("coco", {"images": images, "annotations": boxes, "categories": COCO["categories"]}, max_lost_share=0.4)


@pytest.mark.parametrize(("more", "crowd"), [({"is_crowd": [0]}, False), ({"is_crowd": [1]}, True), ({"is_crowd": 1}, True), ({"iscrowd": 1}, True), ({}, False)])
def test_crowds_are_known_by_every_spelling(more: Mapping[str, Any], crowd: bool) -> None:
    read("coco", {**COCO, "annotations": [{**BOX, **more}]})

    assert [box["iscrowd"] for box in all_boxes()] == [crowd]


def test_a_licence_of_number_0_counts() -> None:
    licences = [{"id": 0, "url": "http://creativecommons.org/licenses/by/2.0/"}]

    read("coco", {**COCO, "images": [{**IMAGE, "license": 0}], "annotations": [BOX], "licenses": licences})

    assert tables.read_images(INDEX, ["7"])["7"]["license"] == "CC-BY-2.0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ImageID,LabelName\nx,y\n", r"boxes\.csv:1: .*its first line is 'ImageID,LabelName'"),
        ("ImageId,PredictionString\n", "holds a row"),
        ("ImageId,PredictionString\n,\n,\n,\n", "3 of 3 rows are unreadable"),
        ("ImageId,PredictionString\nv1,n01 1 2 3\nv2,n01 a b c d\n", "2 of 2 rows are unreadable"),
        ("version https://git-lfs.github.com/spec/v1\n", "Git-LFS pointer"),
    ],
)
def test_imagenet_rows_that_are_none_are_refused(text: str, message: str) -> None:
    Path("boxes.csv").write_text(text)
    Path("synsets.txt").write_text("n00000001 tench\n")

    with pytest.raises(InputError, match=message):
        build("imagenet", path=".", files={"boxes_train": "boxes.csv", "boxes_val": "none", "synsets": "synsets.txt"}, splits=("train",))


def test_imagenet_synsets_of_another_file_are_refused_by_line() -> None:
    Path("synsets.txt").write_text("n00000001 tench\ntench n00000001\n")

    with pytest.raises(InputError, match=r"synsets\.txt:2: expected `n01440764 tench, Tinca tinca`"):
        build("imagenet", path=".", files={"synsets": "synsets.txt"})


def open_images(boxes: str, *, classes: str = "/m/1,Hammer\n", **more: Any) -> dict[str, Any]:
    """Index one split of Open Images."""
    Path("boxes.csv").write_text(boxes, newline="")
    Path("classes.csv").write_text(classes, newline="")
    files = {"boxes_train": "boxes.csv", "classes": "classes.csv", "hierarchy": "none", "images_train": "none", "labels_train": "none"}
    return build("open_images", files=files, splits=("train",), **more)


ROW = "a,xclick,/m/1,1,0.1,0.2,0.1,0.2,0,0,0,0,0"


@pytest.mark.parametrize("head", ["", "id,name", "LabelName,DisplayName"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_class_files_are_read_in_every_dialect(head: str, end: str, delimiter: str) -> None:
    lines = [*([head] if head else []), '/m/1,"Drill (Tool)"', "/m/2,Saw"]

    open_images(f"{HEADER}\n{ROW}\n", classes=end.join(lines).replace(",", delimiter) + end)

    assert {row["class_id"]: row["name"] for row in tables.classes_table(INDEX).to_pylist()} == {"/m/1": "Drill (Tool)", "/m/2": "Saw"}


@pytest.mark.parametrize(("classes", "message"), [("a,b,c\n", r"classes\.csv:1: expected an id and a name, found 3"), ("Hammer,/m/1\n", "no id such as")])
def test_a_class_file_that_is_none_is_refused(classes: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_images(f"{HEADER}\n{ROW}\n", classes=classes)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-0.5", "1.5"])
@pytest.mark.parametrize("place", range(4))
def test_open_images_corners_that_are_no_shares_are_counted_or_refused(value: str, place: int) -> None:
    cells = ROW.split(",")
    cells[4 + place] = value
    text = "\n".join([HEADER, *[ROW] * 9, ",".join(cells)])

    if value == "inf":
        with pytest.raises(InputError, match=r"boxes\.csv:11: [XY]M(in|ax): inf in a column of shares"):
            open_images(text, max_lost_share=0.5)
    else:
        metrics = open_images(text, max_lost_share=0.5)
        assert (metrics["seen"], metrics["boxes"], metrics["dropped"]) == (10, 9, {"bad_row": 1})


VG = [{"image_id": 1, "objects": []}]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (VG, "source x: its files hold no box at all: the boxes are stripped"),
        ([{"image_id": 1, "regions": []}], r"o\.json, block 1: .*objects"),
        ([{"image_id": 1, "attributes": []}], r"o\.json, block 1: .*objects"),
        ([{"image_id": 1, "objects": [{"object_id": 1, "bbox": [1, 2, 3, 4], "names": ["a"]}]}], r"o\.json, block 1: .*`x`.*objects\[0\]"),
        ([{"image_id": 1, "objects": [{"x": "1", "y": 2, "w": 3, "h": 4}]}], r"o\.json, block 1: .*Expected `float`, got `str`.*\.x"),
        ({"1": {"objects": {}}}, r"o\.json:1: not a JSON array"),
        ([{"objects": [{"x": 1, "y": 2, "w": 3, "h": 4}]}], "image_id"),
    ],
)
def test_another_data_sets_objects_are_refused_by_field(value: Any, message: str) -> None:
    Path("o.json").write_text(json.dumps(value))

    with pytest.raises(InputError, match=message):
        build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "none"})


@pytest.mark.parametrize("value", [[{"image_id": 1, "width": "wide", "height": 1}], {"images": []}, [{"image_id": 1}]])
def test_another_image_list_is_refused_by_field(value: Any) -> None:
    Path("o.json").write_text(json.dumps([{"image_id": 1, "objects": [{"x": 1, "y": 2, "w": 3, "h": 4, "names": ["a"]}]}]))
    Path("i.json").write_text(json.dumps(value))

    with pytest.raises(InputError, match=r"i\.json(, block 1: not Visual Genome's image_data|:1: not a JSON array)"):
        build("visual_genome", files={"objects": "o.json", "images": "i.json", "aliases": "none"})

"""A trainer finds the pictures and labels from wherever it is started."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from boxset.dataset.validation import Fault
from boxset.files import write_json
from boxset.formats.check import validate
from boxset.formats.yolo import class_numbers, same_boxes, write_yolo, yolo_line
from tests.build import annotation, coco, image
from tests.project import Project


def roots_of_ultralytics(data_yaml: str, datasets: Path) -> dict[str, Path]:
    """Where Ultralytics 8.4 looks for the pictures of each split (`check_det_dataset`): `path`, else the yaml's folder, is their root.

    A root that is not there from the working directory is looked for in the user's folder of data sets.
    """
    said: dict[str, Any] = yaml.safe_load(Path(data_yaml).read_text())
    root = Path(said.get("path") or Path(data_yaml).parent)
    if not root.exists() and not root.is_absolute():
        root = datasets / root
    return {split: (root / said[split]).resolve() for split in ("train", "val", "test")}


@pytest.mark.parametrize(("start", "named"), [(".", "data/dataset/data.yaml"), ("data/dataset", "data.yaml"), ("elsewhere", "../data/dataset/data.yaml")])
def test_pictures_are_found_from_any_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str, named: str) -> None:
    one = coco([image(1)], [annotation(1, 1)])
    dataset = tmp_path / "data/dataset"
    write_yolo(dataset, {"train": one, "val": one, "test": one})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / start)

    assert roots_of_ultralytics(named, tmp_path / "datasets") == {split: dataset / "images" / split for split in ("train", "val", "test")}


def test_a_clone_without_the_pictures_is_told_in_a_line_for_each_split(tmp_path: Path) -> None:
    one = coco([image(1), image(2)], [annotation(1, 1)])
    write_yolo(tmp_path, {"train": one, "val": one, "test": coco([], [])})
    for split, part in {"train": one, "val": one, "test": coco([], [])}.items():
        write_json(tmp_path / f"annotations/instances_{split}.json", part)

    found = [fault for fault in validate(tmp_path) if fault.where.startswith("images/")]

    what = "none of its 2 pictures is here: `dvc pull` fetches them; --no-pictures checks the records alone"
    assert found == [Fault("images/train", what), Fault("images/val", what)]
    assert [fault for fault in validate(tmp_path) if "image 1" in fault.where and "missing" in fault.what] == []


def test_a_clone_without_the_labels_is_told_in_a_line_for_each_split(tmp_path: Path) -> None:
    one, none = coco([image(1), image(2)], [annotation(1, 1)]), coco([], [])
    for split, part in {"train": one, "val": none, "test": none}.items():
        write_json(tmp_path / f"annotations/instances_{split}.json", part)

    found = [fault for fault in validate(tmp_path, pictures=False) if fault.where.startswith("labels/")]

    assert found == [Fault("labels/train", "none of its 2 files is here: `dvc pull` fetches them")]


def test_labels_have_classes_from_0_in_the_order_of_the_ids(tmp_path: Path) -> None:
    one = coco([image(1, width=400, height=300)], [annotation(1, 1, 2, bbox=(100, 30, 200, 60)), annotation(2, 1, 1, iscrowd=1)])

    write_yolo(tmp_path, {"train": one, "val": one, "test": one})

    assert yaml.safe_load((tmp_path / "data.yaml").read_text()) == {
        "train": "images/train",
        "val": "images/val",
        "test": "images/test",
        "names": {0: "hammer", 1: "saw"},
    }
    assert (tmp_path / "labels/train" / f"{1:064x}.txt").read_text() == "1 0.50000000 0.20000000 0.50000000 0.20000000\n"


# the whole picture, and boxes of widths at which one that touches the edge would lie beyond it
AT_THE_EDGE = [
    (0, 0, 400, 300),
    *((0, 0, 101 + n * 7.31, 57 + n * 3.17) for n in range(40)),
    *((399.9 - n * 7.31, 299.9 - n * 3.17, 0.1 + n * 7.31, 0.1 + n * 3.17) for n in range(40)),
]


def test_a_box_at_the_edge_of_its_picture_lies_within_it_in_single_precision_and_loses_less_than_a_thousandth_of_a_pixel() -> None:
    one = coco([image(1, width=400, height=300)], [])

    lines = [yolo_line(annotation(1, 1, bbox=bbox), one.images[0], class_numbers(one)) for bbox in AT_THE_EDGE]

    read = np.array([line.split()[1:] for line in lines]).astype(np.float32)
    begin, end = read[:, :2] - read[:, 2:] / 2, read[:, :2] + read[:, 2:] / 2
    assert (begin.min(), end.max()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert begin.min() >= 0
    assert end.max() <= 1
    boxes = np.array(AT_THE_EDGE) / [400, 300, 400, 300]
    assert np.abs(np.hstack([begin, end - begin]) - boxes).max() * 400 < 0.001


LINES = ["0 0.20000000 0.20000000 0.39999988 0.10000000\n", "1 0.50000000 0.20000000 0.50000000 0.20000000\n"]


@pytest.mark.parametrize(
    ("said", "same"),
    [
        ("".join(LINES), True),
        ("".join(LINES).replace("0.39999988", "0.40000000"), True),  # as written before
        ("".join(LINES).replace("0.39999988", "0.39999"), False),
        ("".join(LINES).replace("1 0.5", "2 0.5"), False),
        (LINES[0], False),
        ("", False),
        ("".join([*LINES, LINES[1]]), False),
        ("".join(reversed(LINES)), False),
        ("".join(LINES).replace(" 0.10000000", ""), False),
        ("".join(LINES).replace("0.10000000", "wide"), False),
        ("".join(LINES).replace("0.10000000", "nan"), False),
        ("".join(LINES) + "\n", False),
    ],
)
def test_labels_say_the_same_where_no_box_differs_by_a_millionth_of_its_picture(said: str, same: bool) -> None:
    assert same_boxes(said, LINES) is same


def test_labels_of_a_picture_without_boxes_are_empty() -> None:
    assert same_boxes("", [])
    assert not same_boxes(LINES[0], [])


@pytest.mark.pipeline
def test_the_built_set_trains_from_the_projects_folder_as_the_readme_says(small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small.root)

    roots = roots_of_ultralytics("data/dataset/data.yaml", small.root / "datasets")

    for split, folder in roots.items():
        listed = {one["file_name"] for one in small.json(f"data/dataset/annotations/instances_{split}.json")["images"]}
        assert {path.name for path in folder.iterdir()} == listed
        assert listed


@pytest.mark.pipeline
def test_a_root_that_depends_on_where_one_trains_is_a_fault(small: Project) -> None:
    data = small.root / "data/dataset/data.yaml"
    text = data.read_text()
    data.unlink()
    data.write_text(f"path: .\n{text}")

    what = "its path is '.': trainers take that from the folder that they are started in; leave it out"
    assert validate(small.root / "data/dataset", pictures=False) == [Fault("data.yaml", what)]

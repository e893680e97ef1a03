"""Others read what we write: pycocotools scores truth against itself, supervision reads the YOLO side."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from boxset.cli import cli
from boxset.errors import InputError
from boxset.formats.export import FORMATS, export
from tests.project import Project

pytestmark = pytest.mark.pipeline


def test_truth_scored_against_itself_is_perfect_for_every_category(small: Project, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    path = small.root / "data/dataset/annotations/instances_train.json"
    truth = COCO(str(path))
    found = [
        {k: a[k] for k in ("image_id", "category_id", "bbox")} | {"score": 1.0}
        for a in json.loads(path.read_text())["annotations"]
        if not a["iscrowd"]
    ]
    for category in truth.getCatIds():
        scored = COCOeval(truth, truth.loadRes(found), "bbox")
        scored.params.catIds = [category]
        scored.params.maxDets = [1, 10, 1000]
        scored.evaluate()
        scored.accumulate()
        precision = scored.eval["precision"][:, :, 0, 0, 2]
        assert precision.min() > 0.999
    capsys.readouterr()


@pytest.mark.filterwarnings("ignore")
def test_supervision_reads_the_yolo_side_with_the_same_counts(small: Project) -> None:
    import supervision as sv

    dataset = small.root / "data/dataset"
    for split in ("train", "val", "test"):
        read = sv.DetectionDataset.from_yolo(
            images_directory_path=str(dataset / "images" / split),
            annotations_directory_path=str(dataset / "labels" / split),
            data_yaml_path=str(dataset / "data.yaml"),
        )
        coco = json.loads((dataset / f"annotations/instances_{split}.json").read_text())
        names = {c["id"]: c["name"] for c in coco["categories"]}
        expected = Counter(names[a["category_id"]] for a in coco["annotations"] if not a["iscrowd"])
        assert Counter(read.classes[int(n)] for one in read.annotations.values() for n in one.class_id) == expected
        assert len(read) == len(coco["images"])


def test_without_a_data_set_export_says_what_brings_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(cli, ["export", "voc", "out"])

    assert str(done.exception) == "data/dataset: there is no data set here. `dvc repro` builds it; `dvc pull` fetches it"


def test_export_speaks_of_crowds_only_where_it_leaves_some_out(small: Project, tmp_path: Path) -> None:
    said = {format_: small.run("boxset", "export", format_, str(tmp_path / format_)).stdout for format_ in ("cvat", "voc")}

    crowds = sum(a["iscrowd"] for split in ("train", "val", "test") for a in small.json(f"data/dataset/annotations/instances_{split}.json")["annotations"])
    assert "left out" not in said["cvat"]
    assert ("left out, as voc has no place for them" in said["voc"]) == (crowds > 0)


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_every_export_holds_every_picture_and_box(small: Project, tmp_path: Path, format_: str) -> None:
    done = export(small.root / "data/dataset", format_, tmp_path / "out")

    boxes = [a for split in ("train", "val", "test") for a in small.json(f"data/dataset/annotations/instances_{split}.json")["annotations"]]
    assert done["boxes"] + done["crowds"] + done["crowds_left_out"] == len(boxes)
    assert sum(small.json("metrics/dataset.json")["boxes"].values()) == sum(not a["iscrowd"] for a in boxes)
    assert len([p for p in (tmp_path / "out").rglob("*") if p.suffix in (".jpg", ".png")]) == done["pictures"]


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_every_export_carries_the_licences_and_the_card_of_the_data_set(small: Project, tmp_path: Path, format_: str) -> None:
    dataset = small.root / "data/dataset"

    export(dataset, format_, tmp_path / "out")

    cards = [(folder / "README.md").read_text().partition("## Training") for folder in (tmp_path / "out", dataset)]
    assert (tmp_path / "out/ATTRIBUTION.csv").read_bytes() == (dataset / "ATTRIBUTION.csv").read_bytes()
    assert cards[0][:2] == cards[1][:2]
    for name in ("ATTRIBUTION.csv", "README.md"):
        assert not (tmp_path / "out" / name).samefile(dataset / name)  # one may write into one's own copy


def test_a_data_set_that_does_not_say_whom_to_credit_is_not_exported(small: Project, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    shutil.copytree(small.root / "data/dataset/annotations", dataset / "annotations")

    with pytest.raises(InputError, match="whom to credit"):
        export(dataset, "voc", tmp_path / "out")

    assert not (tmp_path / "out").exists()

"""Trainers and evaluations take the data set as it lies or is exported, and what they leave in it spoils nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from boxset.dataset.coco import Coco, CocoCategory, CocoImage, write_coco
from boxset.dataset.validation import Fault
from boxset.errors import InputError, ProjectError
from boxset.formats.check import validate
from boxset.formats.export import FORMATS, TERMS, export
from boxset.formats.folder import texts_of
from boxset.newproject import Answers, project_files
from tests.build import annotation, coco, image
from tests.project import REPOSITORY, Project

HAMMER, SAW = 3, 8  # ids with gaps, as categories that are no more leave them


def written(dataset: Path, train: Coco) -> Path:
    """Write a data set whose train split is this, with a stand-in for each picture, and whose other splits are empty."""
    names = tuple(CocoCategory(id=number, name=name) for number, name in ((SAW, "saw"), (HAMMER, "hammer")))
    for split, part in {"train": train, "val": coco([], []), "test": coco([], [])}.items():
        write_coco(dataset / "annotations" / f"instances_{split}.json", msgspec.structs.replace(part, categories=names))
        (dataset / "images" / split).mkdir(parents=True)
        for one in part.images:
            (dataset / "images" / split / one.file_name).write_bytes(b"a picture")
    for name in (*TERMS, "repeat_factors.csv"):
        (dataset / name).write_text(name)
    return dataset


def known(one: CocoImage) -> tuple[tuple[int, ...], ...]:
    """What an image says is absent, partly boxed, fully boxed."""
    return one.neg_category_ids, one.not_exhaustive_category_ids, one.exhaustive_category_ids


def test_roboflows_category_ids_have_no_gaps(tmp_path: Path) -> None:
    one = image(1, neg_category_ids=(HAMMER,), exhaustive_category_ids=(SAW,))
    dataset = written(tmp_path / "dataset", coco([one], [annotation(1, 1, SAW), annotation(2, 1, SAW, iscrowd=1)]))

    done = export(dataset, "roboflow", tmp_path / "out")

    read = msgspec.json.decode((tmp_path / "out/train/_annotations.coco.json").read_bytes(), type=Coco)
    assert done == {"pictures": 1, "boxes": 1, "crowds": 1, "crowds_left_out": 0}
    assert [(c.id, c.name) for c in read.categories] == [(1, "hammer"), (2, "saw")]
    assert [(a.category_id, a.iscrowd) for a in read.annotations] == [(2, 0), (2, 1)]
    assert known(read.images[0]) == ((1,), (), (2,))


def test_lvis_has_what_its_evaluation_asks_for_and_a_crowd_makes_its_category_partly_boxed(tmp_path: Path) -> None:
    images = [image(1, exhaustive_category_ids=(HAMMER, SAW)), image(2, neg_category_ids=(HAMMER,))]
    boxes = [annotation(1, 1, HAMMER), annotation(2, 1, HAMMER), annotation(3, 1, SAW, iscrowd=1)]
    dataset = written(tmp_path / "dataset", coco(images, boxes))

    done = export(dataset, "lvis", tmp_path / "out")

    read = msgspec.json.decode((tmp_path / "out/annotations/lvis_train.json").read_bytes())
    assert {c["name"]: (c["id"], c["frequency"], c["image_count"], c["instance_count"]) for c in read["categories"]} == {
        "hammer": (HAMMER, "r", 1, 2),
        "saw": (SAW, "r", 0, 0),
    }
    assert [a["id"] for a in read["annotations"]] == [1, 2]
    assert [known(msgspec.convert(one, CocoImage)) for one in read["images"]] == [((), (SAW,), (HAMMER,)), ((HAMMER,), (), ())]
    assert done == {"pictures": 2, "boxes": 2, "crowds": 0, "crowds_left_out": 1}


@pytest.mark.filterwarnings("ignore")
def test_to_a_reader_that_takes_crowds_for_objects_the_lvis_export_is_coco_without_crowds(tmp_path: Path) -> None:
    import supervision as sv

    boxes = [annotation(1, 1, SAW), annotation(2, 1, SAW, iscrowd=1), annotation(3, 2, HAMMER, iscrowd=1)]
    dataset = written(tmp_path / "dataset", coco([image(1), image(2), image(3)], boxes))

    export(dataset, "lvis", tmp_path / "out")

    read = sv.DetectionDataset.from_coco(
        images_directory_path=str(tmp_path / "out/images/train"),
        annotations_path=str(tmp_path / "out/annotations/lvis_train.json"),
    )
    assert {Path(name).name: [read.classes[int(n)] for n in one.class_id] for name, one in read.annotations.items()} == {
        image(1).file_name: ["saw"],
        image(2).file_name: [],
        image(3).file_name: [],
    }


@pytest.mark.parametrize(("pictures", "letter"), [(10, "r"), (11, "c"), (100, "c"), (101, "f")])
def test_lvis_frequency_is_counted_in_pictures_of_train(tmp_path: Path, pictures: int, letter: str) -> None:
    numbers = range(1, pictures + 1)
    dataset = written(tmp_path / "dataset", coco([image(n) for n in numbers], [annotation(n, n, SAW) for n in numbers]))

    export(dataset, "lvis", tmp_path / "out")

    for split in ("train", "val", "test"):
        categories = json.loads((tmp_path / f"out/annotations/lvis_{split}.json").read_bytes())["categories"]
        assert {c["name"]: c["frequency"] for c in categories} == {"saw": letter, "hammer": "r"}


def test_hugging_face_gets_the_fields_that_transformers_reads_and_the_names_of_the_classes(tmp_path: Path) -> None:
    dataset = written(tmp_path / "dataset", coco([image(1), image(2)], [annotation(5, 1, SAW), annotation(6, 1, HAMMER, iscrowd=1)]))

    export(dataset, "huggingface", tmp_path / "out")

    one = {"file_name": f"{1:064x}.jpg", "image_id": 1, "width": 400, "height": 300}
    nothing: dict[str, list[int]] = {"id": [], "area": [], "bbox": [], "category": []}
    assert [json.loads(line) for line in (tmp_path / "out/train/metadata.jsonl").read_text().splitlines()] == [
        {**one, "objects": {"id": [5], "area": [8000.0], "bbox": [[10.0, 20.0, 100.0, 80.0]], "category": [1]}},
        {**one, "file_name": f"{2:064x}.jpg", "image_id": 2, "objects": nothing},
    ]
    assert (tmp_path / "out/classes.txt").read_text().splitlines() == ["hammer", "saw"]


def test_hugging_face_gets_no_folder_of_a_split_without_pictures_as_it_would_load_none_of_the_data_set(tmp_path: Path) -> None:
    dataset = written(tmp_path / "dataset", coco([image(1)], []))

    export(dataset, "huggingface", tmp_path / "out")

    assert {path.name for path in (tmp_path / "out").iterdir()} == {"train", "classes.txt", *TERMS}


@pytest.mark.parametrize(("name", "labels"), [("hammer", "hammer:::\nsaw:::\n"), ("Écrou <M6>", "Écrou <M6>:::\nsaw:::\n"), ("drill: big", None), ("#1", None)])
def test_voc_names_its_categories_for_datumaro_where_its_list_of_them_has_a_place_for_their_names(tmp_path: Path, name: str, labels: str | None) -> None:
    dataset = written(tmp_path / "dataset", coco([image(1)], []))
    for path in (dataset / "annotations").iterdir():
        path.write_text(path.read_text().replace('"hammer"', json.dumps(name)))

    export(dataset, "voc", tmp_path / "out")

    listed = tmp_path / "out/labelmap.txt"
    assert (listed.read_text(encoding="utf-8") if listed.exists() else None) == labels


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_where_a_picture_is_missing_nothing_is_exported(tmp_path: Path, format_: str) -> None:
    dataset = written(tmp_path / "dataset", coco([image(1), image(2)], []))
    (dataset / "images/train" / image(2).file_name).unlink()

    with pytest.raises(ProjectError, match=f"1 picture is missing, such as images/train/{image(2).file_name}. `dvc pull`"):
        export(dataset, format_, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_card_that_is_no_text_goes_along_as_it_is(tmp_path: Path) -> None:
    dataset = written(tmp_path / "dataset", coco([image(1)], []))
    (dataset / "README.md").write_bytes(b"# N\xe4gel\n")

    export(dataset, "voc", tmp_path / "out")

    assert (tmp_path / "out/README.md").read_bytes() == b"# N\xe4gel\n"


def test_a_guideline_that_is_no_text_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "how.txt").write_bytes(b"Was ein Hammer ist:\r\nN\xe4gel\n")

    with pytest.raises(InputError, match=r"how\.txt:2: not UTF-8\. Save it as UTF-8$"):
        texts_of({"hammer": str(tmp_path / "how.txt")}, {})


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    dataset = written(tmp_path / "dataset", coco([image(1)], []))
    (tmp_path / "out").touch()

    with pytest.raises(InputError, match=r"out: is a file\. Name another folder"):
        export(dataset, "voc", tmp_path / "out")


def left_by_ultralytics(dataset: Path) -> list[Path]:
    """Leave what a training with `cache=disk` leaves."""
    picture = min((dataset / "images/train").iterdir())
    left = [dataset / "labels/train.cache", picture.with_suffix(".npy")]
    for path in left:
        path.write_bytes(b"left")
    return left


@pytest.mark.pipeline
def test_a_data_set_that_was_trained_on_is_as_it_was_built(small: Project) -> None:
    left = left_by_ultralytics(small.root / "data/dataset")

    assert small.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"
    assert small.run("dvc", "checkout").stdout == ""
    assert small.repro() == []
    assert validate(small.root / "data/dataset") == []
    assert [path.exists() for path in left] == [True, True]


@pytest.mark.pipeline
def test_a_data_set_that_is_built_anew_has_nothing_of_the_last_training(small: Project) -> None:
    left = left_by_ultralytics(small.root / "data/dataset")
    params = small.params()
    params["split"]["ratio"] = {"train": 0.5, "val": 0.25, "test": 0.25}
    small.set_params(params)

    assert small.repro() == ["resolve", "balance", "report"]

    assert [path.exists() for path in left] == [False, False]


@pytest.mark.pipeline
def test_labels_that_changed_after_a_training_make_its_list_of_them_a_fault(small: Project) -> None:
    dataset = small.root / "data/dataset"
    cache = left_by_ultralytics(dataset)[0]
    assert validate(dataset, pictures=False) == []
    label = min((dataset / "labels/train").iterdir())
    content, times = label.read_bytes(), label.stat()
    os.utime(cache, (times.st_atime, times.st_mtime + 1))

    label.unlink()
    label.write_bytes(content)
    os.utime(label, (times.st_atime, times.st_mtime))  # as a link into DVC's cache has the time at which it was put there

    what = "is older than the labels, and a trainer may take it for them; remove it"
    assert validate(dataset, pictures=False) == [Fault("labels/train.cache", what)]


@pytest.mark.parametrize("path", ["runs/detect/train/weights/best.pt", "yolo26n.pt"])
def test_what_a_trainer_leaves_in_the_project_is_never_committed(tmp_path: Path, path: str) -> None:
    for name, text in {"init": project_files(Answers(name="tools"))[".gitignore"], "ours": (REPOSITORY / ".gitignore").read_text()}.items():
        subprocess.run(["git", "init", "-q", tmp_path / name], check=True)
        (tmp_path / name / ".gitignore").write_text(text)
        ignored = subprocess.run(["git", "check-ignore", path], cwd=tmp_path / name, capture_output=True, text=True, check=False).stdout
        assert ignored == f"{path}\n"


BLOCKS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/training.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_python_block_of_the_page_is_python(block: str) -> None:
    compile(block, "docs/training.md", "exec")


@pytest.mark.pipeline
def test_the_page_lists_the_pictures_that_are_known_for_every_category(small: Project) -> None:
    code = next(block for block in BLOCKS if "import boxset" in block)

    said = small.run(sys.executable, "-c", code).stdout

    lists = {split: (small.root / f"runs/known/{split}.txt").read_text().splitlines() for split in ("train", "val", "test")}
    expected = {split: fully_known(small, split) for split in lists}
    assert lists == expected
    assert said == "".join(f"{split} {len(paths)}\n" for split, paths in expected.items())
    assert any(expected.values())


def fully_known(project: Project, split: str) -> list[str]:
    """The pictures of a split of which every category is boxed or absent, and which have no crowd."""
    found = project.json(f"data/dataset/annotations/instances_{split}.json")
    crowds = {a["image_id"] for a in found["annotations"] if a["iscrowd"]}
    whole = {c["id"] for c in found["categories"]}
    images = [one for one in found["images"] if one["id"] not in crowds and {*one["neg_category_ids"], *one["exhaustive_category_ids"]} == whole]
    return [str(project.root / "data/dataset/images" / split / one["file_name"]) for one in images]

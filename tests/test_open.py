"""A data set as tables, in the work tree or at a revision."""

import subprocess
import sys
from pathlib import Path

import pytest

import boxset
from boxset.dataset.coco import SPLITS, Coco, write_coco
from boxset.errors import InputError, ProjectError
from tests.versions import coco, sha

HAMMER = ("hammer", (10.0, 10.0, 40.0, 40.0))


def write(root: Path, **parts: Coco) -> None:
    """Write a data set's annotations; splits that are not named are empty."""
    for split in SPLITS:
        write_coco(root / f"data/dataset/annotations/instances_{split}.json", parts.get(split, coco()))


def test_images_and_boxes_are_tables_with_names_joined(tmp_path: Path) -> None:
    known = {"exhaustive_category_ids": (1,), "neg_category_ids": (2,), "license": 2}
    write(tmp_path, train=coco(("a", [HAMMER, HAMMER]), fields=known), val=coco(("b", [])))

    dataset = boxset.open(tmp_path)

    columns = ["file_name", "split", "license", "source", "complete", "partial", "absent"]
    assert dataset.images[columns].to_dict("records") == [
        {
            "file_name": f"{sha('a')}.jpg", "split": "train", "license": "unknown", "source": "lvis",
            "complete": ("hammer",), "partial": (), "absent": ("screwdriver",),
        },
        {"file_name": f"{sha('b')}.jpg", "split": "val", "license": "CC-BY-2.0", "source": "lvis", "complete": (), "partial": (), "absent": ()},
    ]  # fmt: skip
    assert dataset.boxes[["sha256", "split", "category", "x", "y", "w", "h", "source"]].to_dict("records") == [
        {"sha256": sha("a"), "split": "train", "category": "hammer", "x": 10, "y": 10, "w": 40, "h": 40, "source": "lvis"}
    ] * 2
    assert dataset.images.path[0] == str(tmp_path / f"data/dataset/images/train/{sha('a')}.jpg")


def test_an_empty_data_set_has_all_columns(tmp_path: Path) -> None:
    write(tmp_path)

    dataset = boxset.open(tmp_path)

    assert (len(dataset.images), len(dataset.boxes)) == (0, 0)
    assert {"sha256", "split", "category"} <= set(dataset.boxes.columns)


def test_a_revision_opens_beside_the_work_tree(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@shop.example", *arguments], cwd=tmp_path, check=True, capture_output=True)

    write(tmp_path, train=coco(("a", [HAMMER])))
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "Build")
    write(tmp_path, train=coco(("a", [HAMMER]), ("b", [HAMMER])))

    assert [len(boxset.open(tmp_path, rev).images) for rev in ("HEAD", None)] == [1, 2]


def test_a_project_that_was_not_built_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="`dvc repro` builds it"):
        boxset.open(tmp_path)


@pytest.mark.parametrize("content", [b"{}", b'{"info": {"description": "\xff"}}'], ids=["other fields", "no text"])
def test_a_file_of_another_form_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path)
    (tmp_path / "data/dataset/annotations/instances_val.json").write_bytes(content)

    with pytest.raises(InputError, match=r"instances_val\.json, work tree: not what was expected"):
        boxset.open(tmp_path)


def test_importing_boxset_loads_nothing_heavy() -> None:
    code = "import sys, boxset; print(sorted({'pandas', 'numpy', 'msgspec', 'yaml', 'pyarrow'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"

"""`boxset predictions add` in a project with labels: ids that mean something else are refused category by category, and a file of some categories is judged by these."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from boxset.cli import cli
from boxset.dataset.coco import CocoCategory, write_coco
from boxset.dataset.records import BBox
from tests.build import annotation, coco, image
from tests.detector import result

HAMMER, SAW, WRENCH = 1, 2, 3
NAMES = {HAMMER: "hammer", SAW: "saw", WRENCH: "wrench"}
PLACES: dict[int, BBox] = {HAMMER: (10.0, 20.0, 100.0, 80.0), SAW: (220.0, 150.0, 100.0, 80.0), WRENCH: (10.0, 180.0, 60.0, 90.0)}


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of 150 pictures, all with a hammer, the first 40 with a saw too, the first 30 with a wrench."""
    boxes = [(n, i) for n in range(1, 151) for i, count in ((HAMMER, 150), (SAW, 40), (WRENCH, 30)) if n <= count]
    found = coco([image(n) for n in range(1, 151)], [annotation(place, n, i, bbox=PLACES[i]) for place, (n, i) in enumerate(boxes, 1)])
    train = msgspec.structs.replace(found, categories=tuple(CocoCategory(id=i, name=name) for i, name in NAMES.items()))
    write_coco(tmp_path / "data/dataset/annotations/instances_train.json", train)
    monkeypatch.chdir(tmp_path)


def seen(category_id: int, where: int, pictures: Iterable[int]) -> list[dict[str, Any]]:
    """Predictions of a category at the place where another, or the same, is labelled."""
    return [result(image_id=n, category_id=category_id, bbox=list(PLACES[where]), score=0.5 + n / 1000) for n in pictures]


def add(*some: list[dict[str, Any]]) -> Result:
    """What the command says."""
    Path("results.json").write_text(json.dumps([one for part in some for one in part]))
    return CliRunner().invoke(cli, ["predictions", "add", "results.json", "--images", "data/dataset/annotations/instances_train.json"])


@pytest.mark.usefixtures("labelled")
@pytest.mark.parametrize(
    ("results", "images", "says"),
    [
        ("r.json", "no.json", "no.json: it is not there. Name the COCO file with `images` that the detector was run on: `boxset predictions images` writes one"),
        ("no.json", "data/dataset/annotations/instances_train.json", "no.json: it is not there. Name the file that the detector wrote. Results are a list of"),
    ],
)
def test_a_file_that_is_not_there_is_called_that_with_what_to_name(results: str, images: str, says: str) -> None:
    Path("r.json").write_text("[]")

    done = CliRunner().invoke(cli, ["predictions", "add", results, "--images", images])

    assert str(done.exception).startswith(says)


@pytest.mark.usefixtures("labelled")
def test_two_categories_that_are_mixed_up_are_refused_though_the_third_is_right() -> None:
    done = add(seen(HAMMER, HAMMER, range(1, 141)), seen(SAW, WRENCH, range(1, 29)), seen(WRENCH, SAW, range(1, 36)))

    assert str(done.exception).startswith("results.json: category_id: 28 of 30 labels of wrench have a saw on them, and 0 a wrench. The ids are not those of data/dataset")
    assert not list(Path("predictions").glob("*.gz"))


@pytest.mark.usefixtures("labelled")
def test_a_file_of_one_category_is_judged_by_its_labels_alone() -> None:
    """It takes some hammers for wrenches, as a detector of nothing else does."""
    done = add(seen(WRENCH, WRENCH, range(1, 11)), seen(WRENCH, HAMMER, range(40, 72)))

    assert done.exception is None
    assert "10 of 30 labels, of the categories that it names, of 150 pictures of the data set are found (33%)" in done.output
    assert "warning" not in done.output


@pytest.mark.usefixtures("labelled")
def test_a_file_of_one_category_under_another_ones_number_is_refused() -> None:
    done = add(seen(SAW, WRENCH, range(1, 29)))

    assert "28 of 30 labels of wrench have a saw on them, and 0 a wrench" in str(done.exception)


@pytest.mark.usefixtures("labelled")
def test_numbers_of_another_list_that_happen_to_be_ours_are_refused_where_nothing_is_found() -> None:
    """COCO's person is 1, its bicycle 2: they stand in our pictures, and not where our labels are."""
    people = [result(image_id=n, category_id=1 + n % 2, bbox=[150.0, 5.0, 60.0, 120.0], score=0.5 + n / 1000) for n in range(1, 151)]

    done = add(people)

    assert "0 of the 190 labels of the categories that it names are found: other ids (of COCO's list, say), other pictures or another size" in str(done.exception)


@pytest.mark.usefixtures("labelled")
def test_a_category_without_labels_that_lies_on_anothers_is_asked_about_and_taken_in() -> None:
    path = Path("data/dataset/annotations/instances_train.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "categories": [*content["categories"], {"id": 4, "name": "tool"}]}))

    done = add([{**one, "category_id": 4} for one in seen(HAMMER, HAMMER, range(1, 141))])

    assert done.exception is None
    assert "warning: category_id: 140 of 150 labels of hammer have a tool on them, and 0 a hammer. No tool is labelled yet: does the number mean that?" in done.output

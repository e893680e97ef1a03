"""COCO's quick reading: what it reads is what the patient one reads, and it reads what publishers write."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from boxset.errors import InputError
from boxset.sources import coco, tables
from tests.test_sources import INDEX, all_boxes, build

POLYGON, TWO, RLE = [[1.5, 2, 3, 4]], [[1, 2, 3, 4], [5, 6, 7, 8]], {"counts": [1, 2], "size": [3, 4]}


ORDERS = ["info licenses images annotations categories", "annotations images categories", "categories images annotations"]
ORDERS += ["annotations info categories licenses images"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(coco, "BLOCK", 1 << 11)


def document(count: int = 300) -> dict[str, Any]:
    """A file of some blocks; a few of its boxes are of no image, or of no category."""
    rng = random.Random(count)
    boxes = [
        {"segmentation": rng.choice([POLYGON, TWO, RLE]), "iscrowd": n % 2, "image_id": rng.randrange(41), "bbox": [n, 1.25, 1e1, 4], "category_id": rng.randrange(1, 9), "id": n}
        for n in range(count)
    ]
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 64, "height": 48} for n in range(40)]
    categories = [{"id": n, "name": f"c{n}", "supercategory": 'an "annotations": ['} for n in range(1, 8)]
    return {"info": {}, "licenses": [], "images": images, "annotations": boxes, "categories": categories}


def found() -> Any:
    """What is built, or why not."""
    try:
        counted = build("coco", files={"instances_train": "c.json"}, splits=("train",), max_lost_share=0.5)
    except InputError as err:
        return str(err)
    return counted, all_boxes(), tables.read_classes(INDEX), tables.all_images(INDEX)


def is_read_alike(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that both readings come to the same."""
    Path("c.json").write_text(text)
    at_once = found()
    monkeypatch.setattr(coco, "_at_once", lambda _: None)
    assert at_once == found()


@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}, {"indent": 1}])
@pytest.mark.parametrize("order", ORDERS)
def test_what_publishers_write_is_read_at_once_in_whatever_order(form: dict[str, Any], order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = document()
    text = json.dumps({key: whole[key] for key in order.split()}, **form).replace('an \\"annotations\\": [', "thing")
    Path("c.json").write_text(text)
    with monkeypatch.context() as only_at_once:
        only_at_once.setattr(coco, "decode", lambda *_: pytest.fail("decoded in one piece"))
        assert found()[0]["boxes"] > 200

    is_read_alike(text, monkeypatch)


VALUES = ['"image_id": 1.0', '"image_id": "1"', '"image_id": null', '"image_id": 12345678901234567890', '"image_id": 99', '"category_id": true', '"category_id": 77']
VALUES += [f'"bbox": {said}' for said in ("[1, 2, 3]", "[1, 2, 3, 4, 5]", "null", "[1, 2, null, 4]", "[1, 2, 3, 1e999]", "[1, 2, 3, NaN]", '[1, 2, 3, "4"]', "[]", "[1, 2, 03, 4]")]
VALUES += [f'"iscrowd": {said}' for said in ("true", "null", "2", '"1"', "[1]")]
VALUES += ['"bbox": [1, 2, 3, 4], "bbox": [5, 6, 7, 8]', '"is_crowd": [1]', '"note": "}, {\\"segmentation\\": [[1]]"']
VALUES += ['"annotations": [{"segmentation": [[1]]}, {"segmentation": [[2]]}]']
VALUES += ['"segmentation\\"": 1', '"note": [{}], "categories": [1]', '"info": "]", "categories": 3', '"note": "]}"']


@pytest.mark.parametrize("odd", VALUES)
def test_one_odd_record_is_read_as_in_one_piece(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = document()
    key = odd.partition('":')[0].strip('"')
    whole["annotations"][150].pop(key, None)
    text = json.dumps(whole).replace('"id": 150}', f'{odd}, "id": 150}}')
    is_read_alike(text, monkeypatch)


@pytest.mark.parametrize("cut", [-1, -30, -400, -4000])
def test_a_file_that_breaks_off_is_refused_as_in_one_piece(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    is_read_alike(json.dumps(document())[:cut], monkeypatch)


TWICE = [('"annotations": [{', '"annotations": [], "annotations": [{'), ('"info": {}', '"info": {"annotations": [{"a": 1}]}')]
TWICE += [('"images"', '"annotations": [], "images"')]


@pytest.mark.parametrize("change", TWICE)
def test_lists_of_the_same_name_are_not_mixed_up(change: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    is_read_alike(json.dumps(document()).replace(*change, 1), monkeypatch)


def test_a_later_list_of_the_same_name_is_the_one_that_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(document())
    is_read_alike(f'{text[:-1]}, "annotations": {json.dumps(document(7)["annotations"])}}}', monkeypatch)

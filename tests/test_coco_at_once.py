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
    monkeypatch.setattr(coco, "TAIL", 1 << 7)  # shorter than many a record


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
    return counted, all_boxes(), tables.classes_table(INDEX).to_pylist(), tables.all_images(INDEX)


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


def alike(change: Any = dict, count: int = 300) -> str:
    """A file whose records differ in their numbers alone."""
    rng = random.Random(count)
    whole = document(count)
    plain = {"segmentation": 0, "area": 2.5, "iscrowd": 0, "image_id": 0, "bbox": [], "category_id": 0, "id": 0}
    boxes = [
        {**plain, "segmentation": rng.choice([POLYGON, TWO, RLE]), "iscrowd": n % 2, "image_id": rng.randrange(40), "bbox": [n / 8, -1, 30, 4.75], "category_id": 1 + n % 7}
        for n in range(count)
    ]
    return json.dumps({**whole, "annotations": [change(box) for box in boxes]})


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":"), (",\n", ": ")])
def test_records_that_differ_in_their_numbers_alone_are_read_as_rows_of_numbers(separators: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    between, _ = separators
    text = alike() if "\n" in between else json.dumps(json.loads(alike()), separators=separators)
    text = text.replace("}, {", f"}}{between}{{")
    Path("c.json").write_text(text)
    with monkeypatch.context() as only_numbers:
        only_numbers.setattr(coco, "_of_records", lambda *_: pytest.fail("read as JSON"))
        assert found()[0]["boxes"] == 300

    is_read_alike(text, monkeypatch)


EVERYWHERE = {
    "a second spelling of crowd": lambda box: {**box, "is_crowd": 1},
    "no crowd, as LVIS": lambda box: {key: value for key, value in box.items() if key != "iscrowd"},
    "a list of crowds": lambda box: {**box, "is_crowd": [1]},
    "true": lambda box: {**box, "iscrowd": True},
    "null": lambda box: {**box, "iscrowd": None},
    "five numbers": lambda box: {**box, "bbox": [*box["bbox"], 5]},
    "three numbers": lambda box: {**box, "bbox": box["bbox"][:3]},
    "lists of lists for boxes": lambda box: {**box, "bbox": [box["bbox"]]},
    "digits in a name": lambda box: {**box, "score2": 1},
    "a point in a name": lambda box: {**box, "bbox.1": 7},
    "an empty name": lambda box: {**box, "": 7},
    "texts": lambda box: {**box, "note": "a, 7: }b"},
    "objects": lambda box: {**box, "attributes": {"iscrowd": 1}},
    "no category": lambda box: {key: value for key, value in box.items() if key != "category_id"},
    "fractions for ids": lambda box: {**box, "image_id": 0.5},
    "ids as texts": lambda box: {**box, "image_id": "1"},
    "another order": lambda box: dict(reversed(box.items())),
    "polygons of polygons": lambda box: {**box, "segmentation": [POLYGON, [[TWO]]]},
    "letters in polygons": lambda box: {**box, "segmentation": [["a"]]},
    "a text that is everywhere the same": lambda box: {"note": "x", **box},
    "a text that is another's name": lambda box: {"note": "bbox", **box},
    "a box within another value": lambda box: {**{key: value for key, value in box.items() if key != "bbox"}, "segmentation": {"bbox": box["bbox"]}},
    "an id within another value": lambda box: {**{key: value for key, value in box.items() if key != "image_id"}, "of": {"image_id": box["image_id"]}},
    "no polygon": lambda box: {**box, "segmentation": []},
}


@pytest.mark.parametrize("change", EVERYWHERE.values(), ids=EVERYWHERE)
@pytest.mark.parametrize("which", ["all", "the first", "one"])
def test_what_is_more_than_numbers_is_read_as_in_one_piece(change: Any, which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(300))
    changed = {"all": set(range(300)), "the first": {0}, "one": {150}}[which]
    is_read_alike(alike(lambda box: change(box) if next(numbers) in changed else box), monkeypatch)


@pytest.mark.parametrize("said", ["", "1-2", "--1", "-", "1.2.3", "1 2", "+1", "1e2", "1E400", "NaN", "1_0", "\\u0031", "0x1", "9" * 400])
@pytest.mark.parametrize("key", ["image_id", "iscrowd", "bbox"])
def test_what_is_no_number_is_read_as_in_one_piece(key: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    was = '"bbox": [18.75, ' if key == "bbox" else f'"{key}": '
    text = alike()
    place = text.index(was, text.index('"bbox": [18.625')) + len(was)
    is_read_alike(text[:place] + said + text[place:].lstrip("-0123456789."), monkeypatch)


@pytest.mark.parametrize("damage", ["\0" * 700, "~" * 700, '", "' * 200])
@pytest.mark.parametrize("begin", range(0, 120, 7))
def test_a_hole_from_one_polygon_into_another_loses_no_box_in_silence(damage: str, begin: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = alike()
    place = text.index('"bbox": [18.75') + begin
    is_read_alike(text[:place] + damage + text[place + len(damage) :], monkeypatch)

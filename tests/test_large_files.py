"""Files of many blocks, runs and buckets: the same index as from one piece, errors with their row, class counts that are true."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boxset.errors import InputError
from boxset.sources import clustered, coco, delimited, tables, visual_genome
from boxset.work import Behind
from tests.test_sources import HEADER, INDEX, all_boxes, build, open_images_of

IDS = {"hexadecimal": "{:016x}", "numbers": "{}", "words": "picture {}", "padded": "{:07d}"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(delimited, "BLOCK", 1 << 12)
    monkeypatch.setattr(visual_genome, "BLOCK", 1 << 11)
    monkeypatch.setattr(clustered, "RUN", 300)
    monkeypatch.setattr(clustered, "LONG_RUN", 900)
    monkeypatch.setattr(clustered, "SHORT_PIECE", 12)


def rows(ids: str, *, in_order: bool, count: int = 2000) -> list[tuple[str, str, float]]:
    """Image, class and left edge of many boxes; some images have several of one class."""
    rng = random.Random(count)
    numbers = [rng.randrange(400) for _ in range(count)]
    return [(IDS[ids].format(n), f"/m/{int(60 * rng.random() ** 3)}", rng.randrange(900) / 1000) for n in (sorted(numbers) if in_order else numbers)]


@pytest.mark.parametrize("ids", sorted(IDS))
@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_no_row_is_lost_between_blocks_and_each_class_counts_its_images(ids: str, in_order: bool, end: str) -> None:
    given = rows(ids, in_order=in_order)

    classes = "".join(f"{label},{label}\n" for label in sorted({label for _, label, _ in given}))
    open_images_of(end.join([HEADER, *(f"{image},x,{label},1,{x},1,0,1,0,0,0,0,0" for image, label, x in given)]), classes=classes)

    found = [(b["image_id"], b["class_id"], b["x"]) for b in all_boxes()]
    assert sorted(found) == sorted(given)
    for label in {label for _, label, _ in given}:  # the order of the source stays within a class
        assert [row for row in found if row[1] == label] == [row for row in given if row[1] == label]
    counted = {row["class_id"]: (row["boxes"], row["images"]) for row in tables.classes_table(INDEX).to_pylist() if row["boxes"]}
    pairs = Counter(label for _, label in {(image, label) for image, label, _ in given})
    assert counted == {label: (number, pairs[label]) for label, number in Counter(label for _, label, _ in given).items()}


@pytest.mark.parametrize("numbers", [range(400), range(-200, 200), range(1 << 40, (1 << 40) + 400), [0, -(1 << 63), (1 << 63) - 1]], ids=["plain", "negative", "long", "extreme"])
@pytest.mark.parametrize("in_order", [True, False])
def test_images_that_have_numbers_are_counted_as_those_that_have_names(numbers: Sequence[int], in_order: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "ROWS", 100)
    rng = random.Random(1)
    of_boxes = [rng.choice(numbers) for _ in range(2000)]
    given = [(number, 1 + int(60 * rng.random() ** 3), rng.randrange(900)) for number in (sorted(of_boxes) if in_order else of_boxes)]
    images = [{"id": number, "width": 1000, "height": 10} for number in numbers]
    boxes = [{"image_id": image, "bbox": [x, 1, 2, 3], "category_id": category, "iscrowd": 0, "id": 1} for image, category, x in given]
    categories = [{"id": number, "name": f"c{number}"} for number in range(1, 61)]
    Path("c.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))

    build("coco", files={"instances_train": "c.json"}, splits=("train",))

    found = [(int(b["image_id"]), int(b["class_id"]), b["x"]) for b in all_boxes()]
    assert sorted(found) == sorted(given)
    for category in range(1, 61):
        assert [row for row in found if row[1] == category] == [row for row in given if row[1] == category]
    pairs = Counter(str(category) for _, category in {(image, category) for image, category, _ in given})
    assert {row["class_id"]: row["images"] for row in tables.classes_table(INDEX).to_pylist() if row["boxes"]} == dict(pairs)


def test_batches_may_have_other_columns_and_ids_than_those_before() -> None:
    def batch(n: int) -> dict[str, Any]:
        ids = [pa.array([n] * 50), [f"{n:016x}"] * 50, [f"picture {n}"] * 50][n % 3]
        corners = {name: [float(n)] * 50 for name in "xywh"}
        return {"image_id": ids, "class_id": [str(k % 7) for k in range(50)], **corners, **({"occluded": [True] * 50} if n % 2 else {})}

    with tables.IndexWriter(INDEX, source="x", format="coco", version=1, coordinates="pixels") as writer:
        for n in range(60):
            writer.add_boxes(batch(n))

    found = all_boxes()
    assert Counter((box["image_id"], box["class_id"]) for box in found) == Counter(
        (f"{n:016x}" if n % 3 == 1 else f"picture {n}" if n % 3 == 2 else str(n), str(k % 7)) for n in range(60) for k in range(50)
    )
    assert all((box["occluded"], box["iscrowd"]) == (True if box["x"] % 2 else None, None) for box in found)
    for label in range(7):
        assert [box["x"] for box in found if box["class_id"] == str(label)] == sorted(box["x"] for box in found if box["class_id"] == str(label))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_bad_row_is_named_by_its_line_however_far_down(end: str) -> None:
    lines = [HEADER, *(f"{n:016x},x,/m/1,1,0.1,1,0,1,0,0,0,0,0" for n in range(900))]
    for changed, field, said in (("0.1", "wide", r"boxes\.csv:778: XMin: not a double: invalid value 'wide'"), ("0.1", "77", r"boxes\.csv:778: XMin: 77 in")):
        broken = [line.replace(changed, field) if number == 778 else line for number, line in enumerate(lines, 1)]

        with pytest.raises(InputError, match=said):
            open_images_of(end.join(broken), max_lost_share=0.0)


def test_a_file_without_a_last_line_end_keeps_its_last_row() -> None:
    one = "a,x,/m/1,1,0.1,1,0,1,0,0,0,0,0"

    assert [open_images_of(f"{HEADER}\n{one}{end}")["boxes"] for end in ("", "\n", "\n\n", "\r\n\r\n")] == [1, 1, 1, 1]


def genome(count: int = 300) -> list[dict[str, Any]]:
    """Images with objects whose names and synsets are none, one or two."""
    rng = random.Random(count)
    words = [["hammer"], ["Hammer "], ["claw hammer", "hammer"], [], ["drill"]]
    synsets = [[], ["hammer.n.01"], ["hammer.n.01", "tool.n.01"]]

    def thing(number: int) -> dict[str, Any]:
        return {"x": rng.randrange(90), "y": 1, "w": 2, "h": 3, "object_id": number, "names": rng.choice(words), "synsets": rng.choice(synsets)}

    return [{"image_id": number, "objects": [thing(n) for n in range(rng.randrange(9))], "image_url": "u"} for number in range(count)]


@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}, {"indent": 1}])
def test_visual_genome_is_the_same_however_it_is_written(form: dict[str, Any]) -> None:
    given = genome()
    Path("o.json").write_text(json.dumps(given, **form))

    build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "none"})

    expected = sorted((str(i["image_id"]), "|".join([*o["names"], *o["synsets"]]), o["x"]) for i in given for o in i["objects"])
    assert sorted((b["image_id"], b["class_id"], b["x"]) for b in all_boxes()) == expected
    assert {row["image_id"] for row in tables.all_images(INDEX)} == {str(i["image_id"]) for i in given}


ODD = ['"x": 1e999', '"x": null', '"x": "1"', '"x": 1, "x": 2', '"x": -0.0', '"x": 12345678901234567890', '"x": NaN', '"x": true', '"x": 01']
NAMES = ['["caf\\u00e9"]', '["café"]', '["\\ud83d"]', '["\\udc00"]', "[null]", "null", '["a|b", ""]', '[", {\\"image_id\\""]', '"hammer"', '[["a"]]']
ODD += [f'"names": {said}' for said in NAMES]


@pytest.mark.parametrize("odd", ODD)
def test_a_block_of_visual_genome_read_at_once_is_what_it_is_object_by_object(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {'"x"': '"x": 1', '"names"': '"names": ["saw"]'} | {odd.partition(":")[0]: odd}
    thing = f'{{{", ".join(fields.values())}, "y": 1, "w": 2, "h": 3, "synsets": []}}'
    images = [json.dumps(image) for image in genome()]
    images.insert(150, f'{{"image_id": 1000, "objects": [{thing}]}}')
    Path("o.json").write_text(f"[{', '.join(images)}]")

    def found() -> Any:
        try:
            counted = build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "none"})
        except InputError as err:  # no JSON at all
            return str(err)
        return counted, all_boxes(), tables.classes_table(INDEX).to_pylist()

    at_once = found()
    monkeypatch.setattr(visual_genome, "_plain", lambda _: None)

    assert at_once == found()


def test_blocks_as_the_publisher_writes_them_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("o.json").write_text(json.dumps(genome()))
    monkeypatch.setattr(visual_genome, "_read", lambda *_: pytest.fail("read object by object"))

    assert build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "none"})["boxes"] == sum(len(i["objects"]) for i in genome())


@pytest.mark.parametrize("cut", [-1, -40, -4000])
def test_a_visual_genome_file_that_breaks_off_is_refused(cut: int) -> None:
    Path("o.json").write_text(json.dumps(genome())[:cut])

    with pytest.raises(InputError, match=r"o\.json: it breaks off"):
        build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "none"})


def test_what_fails_behind_the_caller_is_raised_to_it() -> None:
    behind = Behind()

    def fail() -> None:
        raise OSError("disk full")

    behind.run(fail)
    with pytest.raises(OSError, match="disk full"):
        behind.wait()
    behind.close()

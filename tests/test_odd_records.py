"""One odd record never fails a source, and is never lost without being counted; a file of another kind always fails it."""

import json
from pathlib import Path
from typing import Any

import pytest

from boxset.errors import InputError
from boxset.sources import delimited, tables
from tests.test_refusals import BOX, IMAGE, read
from tests.test_sources import COCO, HEADER, INDEX, all_boxes, build

ROW = "{n:016x},xclick,/m/1,1,0.1,0.5,0.2,0.3,0,-1,1,0,0"
IMAGES = "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,Rotation"
IMAGE_ROW = "{n:016x},train,https://x/{n},https://www.flickr.com/photos/u/{n},https://creativecommons.org/licenses/by/2.0/,https://p,A,T,0.0"
LABELS = "ImageID,Source,LabelName,Confidence"
LABEL_ROW = "{n:016x},verification,/m/1,1"
FILES: dict[str, tuple[str, str]] = {"boxes": (HEADER, ROW), "images": (IMAGES, IMAGE_ROW), "labels": (LABELS, LABEL_ROW)}
TREE = '{"LabelName": "/m/0", "Subcategory": [{"LabelName": "/m/1"}]}'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def csv_of(kind: str, *odd: str, count: int = 99) -> str:
    """A sound file of many rows, with odd ones in their middle."""
    head, row = FILES[kind]
    rows = [row.format(n=n) for n in range(count)]
    return "\n".join([head, *rows[: count // 2], *odd, *rows[count // 2 :], ""])


def open_images(changed: dict[str, str | bytes] | None = None, **more: Any) -> dict[str, Any]:
    """Index one split of Open Images, some of whose files are others."""
    files = {"classes": "/m/1,Hammer\n", "hierarchy": TREE, **{kind: csv_of(kind) for kind in FILES}, **(changed or {})}
    for name, content in files.items():
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    named = {f"{name}_train" if name in FILES else name: name for name in files}
    return build("open_images", files=named, splits=("train",), **more)


ODD = {
    "boxes": ["a,x,/m/1,1,0.1,x,0.2,0.3,0,0,0,0,0", "a,x,/m/1,1,0.1,0.5,0.2,0.3,yes,0,0,0,0", "a,x", ",,,,,,,,,,,,", "a,x,/m/9,1,0.1,0.5,0.2,0.3,0,0,0,0,0"],
    "images": [",,,,,,,,", "a,b", ",train,u,l,https://creativecommons.org/licenses/by/2.0/,p,A,T,0.0"],
    "labels": [",,,", "a,v,/m/1,", "a,v,/m/1,x", "a", ",v,/m/1,1"],
}


@pytest.mark.parametrize(("kind", "odd"), [(kind, odd) for kind, rows in ODD.items() for odd in rows])
@pytest.mark.parametrize("quoted", [False, True])
def test_an_odd_row_of_open_images_is_counted_and_named(kind: str, odd: str, quoted: bool) -> None:
    text = csv_of(kind, odd)
    text = text.replace(text.partition(",")[0], '"ImageID"', 1) if quoted else text

    metrics = open_images({kind: text})

    assert metrics["dropped"] == {"bad_row": 1}
    assert (metrics["images"], metrics["boxes"], metrics["verified"]) == (99, 99, 99)
    with pytest.raises(InputError, match=f"^{kind}: 1 of 100 rows is unreadable; the first: "):
        open_images({kind: text}, max_lost_share=0.001)


@pytest.mark.parametrize("odd", ODD["boxes"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_first_odd_row_is_named_by_its_line_in_whatever_block(odd: str, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 1 << 9)

    with pytest.raises(InputError, match=r"^boxes: 1 of 1,000 rows is unreadable; the first: boxes:501: "):
        open_images({"boxes": csv_of("boxes", odd, count=999).replace("\n", end)}, max_lost_share=0.0)


@pytest.mark.parametrize("kind", sorted(FILES))
def test_sound_rows_around_an_odd_one_are_what_they_would_be_without_it(kind: str) -> None:
    open_images()
    before = (all_boxes(), tables.all_images(INDEX), tables.read_verified(INDEX, ["/m/1"]).to_pylist())

    open_images({kind: csv_of(kind, "a,b")})

    assert (all_boxes(), tables.all_images(INDEX), tables.read_verified(INDEX, ["/m/1"]).to_pylist()) == before


def test_whole_numbers_written_with_a_point_are_flags() -> None:
    open_images({"boxes": csv_of("boxes").replace(",0,-1,1,0,0", ",0.0,-1.0,1.0,0,0")})

    assert {(box["occluded"], box["truncated"], box["group_of"]) for box in all_boxes()} == {(False, None, True)}


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        *((kind, f"{FILES[kind][0]}\n", f"^{kind}: no .* at all: the .*stripped") for kind in FILES),
        *((kind, f"{FILES[kind][0]}\n" + f"{',' * FILES[kind][0].count(',')}\n" * 9, f"^{kind}: 9 of 9 rows are unreadable") for kind in FILES),
        ("images", csv_of("boxes"), "^images:1: a column LabelName"),
        ("images", csv_of("labels"), "^images:1: a column LabelName"),
        ("labels", csv_of("boxes"), "^labels:1: a column XMin"),
        ("hierarchy", json.dumps(COCO), "^hierarchy: not the class hierarchy"),
        ("classes", "/m/1,Hammer\n/m/2,Caf\u00e9\n".encode("latin-1"), "^classes:2: not UTF-8: byte 0xe9"),
        ("images", csv_of("images").replace(",A,", ",M\u00fcller,").encode("latin-1"), "^images: 99 of 99 rows are unreadable; the first: Author: .*UTF8"),
    ],
)
def test_a_file_that_is_hollow_or_another_one_is_refused(kind: str, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_images({kind: content})


@pytest.mark.parametrize("kind", sorted(FILES))
def test_blanks_in_the_first_line_are_passed_over(kind: str) -> None:
    head, _ = FILES[kind]

    assert open_images({kind: csv_of(kind).replace(head, head.replace(",", ", "))}) == open_images()


def test_labels_of_classes_without_boxes_are_passed_over() -> None:
    metrics = open_images({"labels": csv_of("labels", *["a,v,/m/without,1"] * 50)})

    assert (metrics["verified"], metrics["dropped"]) == (99, {})
    assert [row["class_id"] for row in tables.classes_table(INDEX).to_pylist()] == ["/m/1"]


def test_an_image_that_a_list_names_twice_is_one() -> None:
    rows = [IMAGE_ROW.format(n=n) for n in (3, 1, 2)]
    second = [row.replace(",A,", ",B,") for row in rows]

    metrics = open_images({"images": "\n".join([IMAGES, *rows, *second])})

    assert (metrics["images"], metrics["dropped"]) == (3, {"duplicate": 3})
    assert [row["author"] for row in tables.all_images(INDEX)] == ["A"] * 3


def test_imagenet_and_visual_genome_know_an_image_once_too() -> None:
    Path("LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "v1,n01 1 2 3 4\n" * 2)
    assert build("imagenet", path=".")["dropped"] == {"duplicate": 1}

    Path("o.json").write_text(json.dumps([genome_image(1)] * 2))
    Path("i.json").write_text(json.dumps([{"image_id": 1, "width": 9, "height": n, "url": "u"} for n in (8, 7)]))
    assert build("visual_genome", files={"objects": "o.json", "images": "i.json", "aliases": "none"})["dropped"] == {"duplicate": 1}
    assert [row["height"] for row in tables.all_images(INDEX)] == [8]


def test_imagenet_synsets_that_are_not_utf_8_are_refused_by_line() -> None:
    Path("LOC_val_solution.csv").write_text("ImageId,PredictionString\nv1,n01 1 2 3 4\n")
    Path("LOC_synset_mapping.txt").write_bytes("n00000001 tench\nn00000002 caf\u00e9\n".encode("latin-1"))

    with pytest.raises(InputError, match=r"LOC_synset_mapping\.txt:2: not UTF-8"):
        build("imagenet", path=".")


@pytest.mark.parametrize("odd", [{"bbox": []}, {"bbox": None}, {"bbox": [1, 2, 3]}, {"category_id": "one"}, {"image_id": None}])
def test_an_odd_annotation_of_coco_is_counted_and_named(odd: dict[str, Any]) -> None:
    value = {"images": [IMAGE], "annotations": [*[BOX] * 60, {**BOX, **odd}, *[BOX] * 39], "categories": COCO["categories"]}

    metrics = read("coco", value)

    assert (metrics["seen"], metrics["boxes"], metrics["dropped"]) == (100, 99, {"bad_row": 1})
    with pytest.raises(InputError, match=rf"^c\.json: 1 of 101 rows is unreadable; the first: .*annotations\[60\].*{next(iter(odd))}"):
        read("coco", value, max_lost_share=0.001)


def test_an_odd_image_of_coco_is_counted_with_its_boxes() -> None:
    value = {"images": [IMAGE, {**IMAGE, "id": 8, "width": "wide"}], "annotations": [BOX, BOX, {**BOX, "image_id": 8}], "categories": COCO["categories"]}

    assert read("coco", value, max_lost_share=0.5)["dropped"] == {"bad_row": 1, "no_picture": 1}


@pytest.mark.parametrize(
    ("image", "width"), [({"width": 640.0}, 640), ({"width": 1 << 40}, None), ({"width": 10.5}, None), ({"coco_url": None, "flickr_url": None}, 10)]
)
def test_an_image_of_coco_keeps_what_can_be_read(image: dict[str, Any], width: int | None) -> None:
    value = {"images": [{**IMAGE, **image}], "annotations": [{**BOX, "iscrowd": None}], "categories": COCO["categories"], "licenses": None}

    assert read("coco", value)["dropped"] == {}
    assert [row["width"] for row in tables.all_images(INDEX)] == [width]


def test_a_mark_of_byte_order_is_passed_over() -> None:
    assert read("coco", "\ufeff" + json.dumps(COCO)) == read("coco", COCO)
    for broken in ('{"images": [', json.dumps({**COCO, "annotations": [{"id": 1}]})):
        with pytest.raises(InputError, match=r"c\.json: not a COCO file"):
            read("coco", f"\ufeff{broken}")


def genome_image(number: int, *, count: int = 1, odd: dict[str, Any] | None = None) -> dict[str, Any]:
    """An image with objects, the first of which may be odd."""
    things = [{"object_id": n, "x": 1, "y": 2, "w": 3, "h": 4, "names": ["hammer"], "synsets": []} for n in range(count)]
    return {"image_id": number, "objects": [{**things[0], **(odd or {})}, *things[1:]]}


@pytest.mark.parametrize("odd", [{"x": None}, {"names": "hammer"}, {"w": "3"}])
def test_an_odd_object_of_visual_genome_is_counted(odd: dict[str, Any]) -> None:
    Path("o.json").write_text("\ufeff" + json.dumps([genome_image(1, count=99, odd=odd), genome_image(2)]))
    Path("i.json").write_text(json.dumps([{"image_id": n, "width": 1 << 40, "height": 8, "url": None} for n in (1, 2)]))

    metrics = build("visual_genome", files={"objects": "o.json", "images": "i.json", "aliases": "none"})

    assert (metrics["seen"], metrics["boxes"], metrics["images"], metrics["dropped"]) == (100, 99, 2, {"bad_row": 1})


def test_numbers_that_no_id_can_be_are_counted() -> None:
    images = [genome_image(n, count=20) for n in range(9)]
    Path("o.json").write_text(json.dumps([*images, genome_image(1 << 64)]))
    boxes = [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]} for _ in range(99)]
    ids = [{"id": 1, "width": 9, "height": 9}, {"id": 1 << 64, "width": 9, "height": 9}]
    categories = [{"id": 1, "name": "hammer"}]
    Path("c.json").write_text(json.dumps({"images": ids, "annotations": [*boxes, {**boxes[0], "image_id": 1 << 64}], "categories": categories}))

    genome = build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "none"})
    coco = build("coco", files={"instances_train": "c.json"}, splits=("train",))

    Path("c.json").write_text(json.dumps({"images": ids[:1], "annotations": boxes, "categories": [*categories, {"id": 1 << 64, "name": "saw"}]}))
    with pytest.raises(InputError, match=r"c\.json: not a COCO file: .*\$\.categories\[1\]\.id"):
        build("coco", files={"instances_train": "c.json"}, splits=("train",))

    assert (genome["boxes"], genome["images"], genome["dropped"]) == (180, 9, {"bad_row": 1})
    assert (coco["boxes"], coco["images"], coco["dropped"]) == (99, 1, {"bad_row": 2})


@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}, {"indent": 1}])
def test_visual_genome_1_0_whose_objects_begin_like_their_images_is_read_in_pieces(form: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxset.sources.visual_genome.BLOCK", 1 << 11)
    things = [{"id": n, "x": 1, "y": 2, "w": 3, "h": 4, "names": ["a [odd] {name"]} for n in range(30)]
    Path("o.json").write_text(json.dumps([{"id": n, "objects": things[: n % 31]} for n in range(300)], **form))

    metrics = build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "none"})

    assert (metrics["images"], metrics["boxes"], metrics["dropped"]) == (300, sum(n % 31 for n in range(300)), {})

"""Every box of every row reaches the index; what is not the format is refused by file, row and field."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from boxset.endpoints import Endpoints
from boxset.errors import InputError, ParamsError
from boxset.params import ClassTerm, Licences
from boxset.resolve import IndexOrder
from boxset.sources import tables
from boxset.sources.classes import Vocabulary
from boxset.sources.index import build_index
from boxset.sources.licences import allowed, spdx_of_short, spdx_of_url
from tests.project import REALDATA

real = pytest.mark.skipif(not REALDATA.is_dir(), reason="the folder of real files is not here")
INDEX = Path("data/index/x")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def build(format_: str, *, path: str | Path = "", files: Mapping[str, str | Path] | None = None, **more: Any) -> dict[str, Any]:
    """Build an index in `data/index/x`."""
    named = {name: str(file) for name, file in (files or {}).items()}
    fields: dict[str, Any] = {"sha256": {}, "splits": (), "annotations": "", "license": "", "max_lost_share": 0.02, "on": True, **more}
    order = IndexOrder(name="x", format=format_, path=str(path), files=named, **fields)
    return build_index(order, INDEX, endpoints=Endpoints(), contact="a@shop.example", version=1)


def all_boxes() -> list[dict[str, Any]]:
    """Every box of the index."""
    return list(tables.read_boxes(INDEX, [row["class_id"] for row in tables.classes_table(INDEX).to_pylist()]).to_pylist())


HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
ROWS = ["b,xclick,/m/1,1,0.25,0.5,0.1,0.2,0,1,0,0,0", "a,xclick,/m/2,1,1e-3,0.5,0.25,0.75,-1,-1,-1,-1,-1", "b,activemil,/m/1,1,0.5,1,0,1,0,0,1,0,0"]


def open_images_of(boxes: str | bytes, *, classes: str = "LabelName,DisplayName\r\n/m/1,Hammer\r\n/m/2,Saw\r\n", **more: Any) -> dict[str, Any]:
    """Build an Open Images index of one split."""
    Path("boxes.csv").write_bytes(boxes if isinstance(boxes, bytes) else boxes.encode())
    Path("classes.csv").write_text(classes, newline="")
    Path("hierarchy.json").write_text(
        '{"LabelName": "/m/0", "Subcategory": [{"LabelName": "/m/1", "Subcategory": [{"LabelName": "/m/2"}]}, {"LabelName": "/m/2"}]}'
    )
    files = {"boxes_train": "boxes.csv", "classes": "classes.csv", "hierarchy": "hierarchy.json", "images_train": "none", "labels_train": "none"}
    return build("open_images", files=files, splits=("train",), **more)


def test_open_images_licences_may_be_names_as_well_as_addresses() -> None:
    open_images_of("\n".join([HEADER, *ROWS]))
    said = ["CC BY-NC 2.0", "https://creativecommons.org/licenses/by/2.0/", "house rules", ""]
    Path("images.csv").write_text("ImageID,License\n" + "".join(f"{n},{text}\n" for n, text in enumerate(said)))
    files = {"boxes_train": "boxes.csv", "classes": "classes.csv", "hierarchy": "hierarchy.json", "images_train": "images.csv", "labels_train": "none"}

    build("open_images", files=files, splits=("train",))

    rows = tables.read_images(INDEX, [str(n) for n in range(4)])
    assert [rows[str(n)]["license"] for n in range(4)] == ["CC-BY-NC-2.0", "CC-BY-2.0", "LicenseRef-house-rules", None]


def test_quoted_fields_are_read_too() -> None:
    quoted = "\n".join(",".join(f'"{field}"' for field in line.split(",")) for line in [HEADER, *ROWS])
    open_images_of("\n".join([HEADER, *ROWS]))
    plain = all_boxes()

    open_images_of(quoted)

    assert all_boxes() == plain


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("clicks", [False, True])
def test_open_images_boxes_are_read_in_every_dialect(end: str, delimiter: str, clicks: bool) -> None:
    more = [",XClick1X,XClick2X", ",0.1,-1"] if clicks else ["", ""]
    text = end.join([HEADER + more[0], *(row + more[1] for row in ROWS), ""]).replace(",", delimiter)

    metrics = open_images_of(text)

    assert metrics == {"images": 0, "boxes": 3, "verified": 0, "seen": 3, "dropped": {}}
    found = {(b["image_id"], b["class_id"], b["x"], b["y"], b["w"], b["h"], b["group_of"], b["truncated"]) for b in all_boxes()}
    assert found == {
        ("b", "/m/1", 0.25, 0.1, 0.25, 0.1, False, True),
        ("a", "/m/2", 0.001, 0.25, 0.499, 0.5, None, None),
        ("b", "/m/1", 0.5, 0.0, 0.5, 1.0, True, False),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", r"boxes\.csv:1: a Git-LFS pointer"),
        ("<!DOCTYPE html><html>Not found</html>", r"boxes\.csv:1: a web page"),
        ("", r"boxes\.csv: empty"),
        ("ImageID,Source,LabelName,Confidence\na,x,/m/1,1\n", r"boxes\.csv:1: no column XMin"),
        (HEADER + "\n", r"boxes\.csv: no boxes at all"),
        (HEADER + "\n" + "a,x,/m/1,1,10,200,30,400,0,0,0,0,0\n", r"these are pixels"),
        (HEADER + "\n" + "a,x,/m/1,1,abc,0.2,0.3,0.4,0,0,0,0,0\n", r"boxes\.csv:2: XMin: not a double: invalid value .abc"),
        (HEADER + "\n" + ",,,,,,,,,,,,\n" * 9, r"9 of 9 rows are unreadable"),
    ],
)
def test_a_box_file_that_is_none_is_refused(content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_images_of(content)


def test_a_few_bad_rows_are_counted_and_too_many_fail() -> None:
    rows = [f"i{n},xclick,/m/1,1,0.1,0.2,0.1,0.2,0,0,0,0,0" for n in range(99)]

    metrics = open_images_of("\n".join([HEADER, *rows, ",,,,,,,,,,,,"]))

    assert (metrics["seen"], metrics["boxes"], metrics["dropped"]) == (100, 99, {"bad_row": 1})


def test_imagenet_rows_hold_many_boxes_and_end_in_a_blank() -> None:
    Path("LOC_val_solution.csv").write_text("ImageId,PredictionString\nv1,n01 1 2 3 4 n02 0 0 9 9 \nv2,n01 1 2 3 \n")
    Path("LOC_synset_mapping.txt").write_text("n00000001 tench, Tinca tinca\n")

    metrics = build("imagenet", path=".", max_lost_share=0.5)

    assert metrics == {"images": 1, "boxes": 2, "verified": 2, "seen": 2, "dropped": {"bad_row": 1}}
    assert sorted((b["class_id"], b["x"], b["y"], b["w"], b["h"]) for b in all_boxes()) == [("n01", 1, 2, 2, 2), ("n02", 0, 0, 9, 9)]
    assert tables.read_images(INDEX, ["v1"])["v1"]["url"] == "ILSVRC/Data/CLS-LOC/val/v1.JPEG"


COCO = {
    "images": [{"id": 7, "width": 10, "height": 8, "file_name": "a.jpg", "license": 4}, {"id": 8, "width": 10, "height": 8, "file_name": "b.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2.5, 3, 4], "iscrowd": 0, "segmentation": [[1, 2, 3]], "area": 1},
        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 8], "iscrowd": 1, "segmentation": {"counts": [1], "size": [1, 1]}},
    ],
    "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
}


def test_coco_without_info_or_licences_with_crowds_and_images_without_boxes() -> None:
    Path("c.json").write_text(json.dumps(COCO))

    metrics = build("coco", files={"instances_train": "c.json"}, splits=("train",))

    assert (metrics["images"], metrics["boxes"]) == (2, 2)
    assert [(b["x"], b["y"], b["w"], b["h"], b["iscrowd"]) for b in all_boxes()] == [(1, 2.5, 3, 4, False), (0, 0, 9, 8, True)]
    assert tables.about(INDEX).exhaustive


@pytest.mark.parametrize(
    ("licences", "spdx"),
    [
        (None, "CC-BY-NC-2.0"),
        ([{"id": 2}], "CC-BY-NC-2.0"),
        ([{"id": 2, "name": "Attribution-NonCommercial License"}], "CC-BY-NC-2.0"),
        ([{"id": 2, "name": "CC BY-ND 4.0", "url": None}], "CC-BY-ND-4.0"),
        ([{"id": 2, "name": "x", "url": "https://shop.example/terms"}], "LicenseRef-shop.example-terms"),
    ],
)
def test_cocos_licence_numbers_mean_flickrs_licences_unless_the_file_says_otherwise(licences: Any, spdx: str) -> None:
    more = {} if licences is None else {"licenses": licences}
    Path("c.json").write_text(json.dumps({**COCO, "images": [{**COCO["images"][0], "license": 2}], **more}))

    build("coco", files={"instances_train": "c.json"}, splits=("train",))

    assert tables.read_images(INDEX, ["7"])["7"]["license"] == spdx


STATIC = "http://farm4.staticflickr.com/3153/2970773875_164f0c0b83_z.jpg"


@pytest.mark.parametrize(
    ("flickr_url", "told"),
    [
        (STATIC, ("https://www.flickr.com/photo.gne?id=2970773875", STATIC, "2970773875")),
        ("https://www.flickr.com/photos/ann/77", ("https://www.flickr.com/photos/ann/77", "https://www.flickr.com/photos/ann/77", "77")),
        (None, (None, None, None)),
    ],
)
@pytest.mark.parametrize("format_", ["coco", "lvis"])
def test_the_landing_page_of_cocos_pictures_is_a_page_and_the_original_address_the_picture(format_: str, flickr_url: str | None, told: tuple[str | None, ...]) -> None:
    image = {**COCO["images"][0], "flickr_url": flickr_url, "coco_url": "http://images.cocodataset.org/train2017/7.jpg"}
    more = {"neg_category_ids": [], "not_exhaustive_category_ids": []} if format_ == "lvis" else {}
    Path("c.json").write_text(json.dumps({**COCO, "images": [{**image, **more}]}))

    build(format_, files={f"{'lvis' if format_ == 'lvis' else 'instances'}_train": "c.json"}, splits=("train",))

    row = tables.read_images(INDEX, ["7"])["7"]
    assert (row["landing_url"], row["original_url"], row["flickr_id"]) == told


def test_lvis_says_what_is_absent_and_what_is_not_complete() -> None:
    image = {
        "id": 7,
        "width": 10,
        "height": 8,
        "coco_url": "http://images.cocodataset.org/train2017/7.jpg",
        "neg_category_ids": [2],
        "not_exhaustive_category_ids": [1],
    }
    categories = [{"id": n, "name": name, "synset": f"{name}.n.01", "synonyms": [name, "garden_cart"]} for n, name in ((1, "barrow"), (2, "saw"))]
    Path("l.json").write_text(json.dumps({"images": [image], "annotations": COCO["annotations"][:1], "categories": categories}))

    build("lvis", files={"lvis_train": "l.json"}, splits=("train",))

    said = [(r["class_id"], r["present"], r["exhaustive"]) for r in tables.read_verified(INDEX, ["1", "2"]).to_pylist()]
    assert sorted(said) == [("1", True, False), ("2", False, False)]
    vocabulary = Vocabulary("lvis", tables.classes_table(INDEX).to_pylist())
    assert [vocabulary.find(ClassTerm(name=n), where="") for n in ("garden cart", "barrow.n.01", "id:1", "name:barrow")] == [
        ["1", "2"],
        ["1"],
        ["1"],
        ["1"],
    ]


def test_visual_genome_keeps_empty_and_double_synsets() -> None:
    thing = {"x": 1, "y": 2, "w": 3, "h": 4, "object_id": 5, "merged_object_ids": []}
    objects = [{**thing, "names": ["hammer"], "synsets": ["hammer.n.01", "tool.n.01"]}, {**thing, "names": ["Hammer "], "synsets": []}]
    Path("o.json").write_text(json.dumps([{"image_id": n, "objects": objects, "image_url": "u"} for n in (1, 2)], indent=1))
    Path("aliases.txt").write_text("hammer , mallet\n")

    metrics = build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "aliases.txt"})

    vocabulary = Vocabulary("vg", tables.classes_table(INDEX).to_pylist())
    assert metrics["boxes"] == 4
    assert len(vocabulary.find(ClassTerm(name="name:hammer"), where="")) == 2
    assert len(vocabulary.find(ClassTerm(name="hammer.n.01"), where="")) == 1
    assert len(vocabulary.find(ClassTerm(name="mallet"), where="")) == 2


@pytest.mark.parametrize("content", ['{"a": 1}', '[{"regions": []}]', '[{"image_id": 1, "objects": [{"x": "left"}]}]'])
def test_another_data_sets_objects_are_refused(content: str) -> None:
    Path("o.json").write_text(content)

    with pytest.raises(InputError, match=r"o\.json"):
        build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "none"})


def test_children_are_found_once_however_many_parents_they_have() -> None:
    open_images_of("\n".join([HEADER, *ROWS]))
    vocabulary = Vocabulary("open_images", tables.classes_table(INDEX).to_pylist())

    assert vocabulary.find(ClassTerm(name="Hammer", children=True), where="") == ["/m/1", "/m/2"]
    assert vocabulary.find(ClassTerm(name="hammer"), where="") == ["/m/1"]
    with pytest.raises(ParamsError, match="did you mean Hammer"):
        vocabulary.find(ClassTerm(name="Hamer"), where="categories.hammer.classes.open_images")


def test_licences_become_spdx_and_policies_decide() -> None:
    assert [
        spdx_of_url(u) for u in ("http://creativecommons.org/licenses/by-nc-sa/2.0/", "https://creativecommons.org/publicdomain/zero/1.0/", "x", None)
    ] == [
        "CC-BY-NC-SA-2.0",
        "CC0-1.0",
        "",
        "",
    ]
    assert [spdx_of_short("by-sa", "4.0"), spdx_of_short("cc-by-4.0"), spdx_of_short("cc0"), spdx_of_short("weird")] == [
        "CC-BY-SA-4.0",
        "CC-BY-4.0",
        "CC0-1.0",
        "",
    ]
    assert [allowed(s, "commercial", Licences()) for s in ("CC-BY-4.0", "CC-BY-NC-2.0", "LicenseRef-research-only", "")] == [True, False, False, True]
    assert allowed("CC-BY-NC-2.0", "research", Licences())
    assert not allowed("CC-BY-4.0", "research", Licences(deny=("CC-BY-*",)))
    assert not allowed("CC-BY-ND-4.0", "research", Licences(deny=("*-nd*",)))
    assert not allowed("", "research", Licences(unknown="deny"))
    assert not allowed("CC-BY-4.0", "research", Licences(allow=("CC0-1.0",)))


def test_a_source_that_is_not_set_up_is_empty_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = build("imagenet")

    assert metrics["boxes"] == 0
    assert capsys.readouterr().out == "x: skipped, sources.x.path is not set\n"


def test_a_missing_file_and_a_wrong_checksum_are_named() -> None:
    with pytest.raises(InputError, match="there is no such file"):
        build("coco", files={"instances_train": "nowhere.json"}, splits=("train",))
    Path("c.json").write_text(json.dumps(COCO))
    with pytest.raises(InputError, match="SHA-256"):
        build("coco", files={"instances_train": "c.json"}, splits=("train",), sha256={"instances_train": "0" * 64})


@real
def test_real_open_images_hold_every_box_of_an_independent_reading() -> None:
    folder = REALDATA / "open_images"
    files = {"classes": folder / "class-descriptions-boxable.csv", "hierarchy": folder / "bbox_labels_600_hierarchy.json"}
    files |= {"boxes_train": folder / "train-annotations-bbox.subset.csv", "images_train": Path("none"), "labels_train": Path("none")}

    metrics = build("open_images", files=files, splits=("train",))

    with (folder / "train-annotations-bbox.subset.csv").open(newline="") as file:
        expected = sorted((r["ImageID"], r["LabelName"], float(r["XMin"]), float(r["YMin"]), r["IsGroupOf"] == "1") for r in csv.DictReader(file))
    assert sorted((b["image_id"], b["class_id"], b["x"], b["y"], bool(b["group_of"])) for b in all_boxes()) == expected
    assert metrics["boxes"] == 13_134


@real
def test_real_imagenet_holds_every_box_also_those_that_the_published_result_lost() -> None:
    metrics = build("imagenet", path=REALDATA / "imagenet")

    found = {(b["image_id"], b["x"], b["y"], b["w"], b["h"]) for b in all_boxes()}
    published = json.loads((REALDATA / "published-result/merged/datasets/imagenet_coco-dataset-validation.json").read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in published["images"]}
    theirs = {(names[a["image_id"]], *map(float, a["bbox"])) for a in published["annotations"]}
    assert metrics["boxes"] == 80_477
    assert theirs - found == set()
    tools = {"n03481172", "n04154565", "n03995372", "n03876231", "n02797295"}
    assert sum(b["class_id"] in tools for b in all_boxes()) > len(published["annotations"]) == 250


@real
def test_real_visual_genome_and_coco_hold_every_box() -> None:
    vg = build(
        "visual_genome",
        files={"objects": REALDATA / "visual_genome/objects.subset.json", "images": "none", "aliases": REALDATA / "visual_genome/object_alias.txt"},
    )
    assert vg["boxes"] == 460

    files = {f"instances_{s}": REALDATA / f"coco/tiny_coco/annotations/instances_{s}2017.json" for s in ("train", "val")}
    assert build("coco", files=files)["boxes"] == 424
    assert sum(b["iscrowd"] for b in all_boxes()) == 5

"""Real files, read a second way: every box, coordinate and flag is in the index, and every box that the published result has or lost."""

import csv
import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from boxset.params import ClassTerm
from boxset.sources import tables
from boxset.sources.classes import Vocabulary
from boxset.sources.extract import in_pixels
from tests.build import picture
from tests.project import REALDATA
from tests.test_sources import INDEX, all_boxes, build

pytestmark = pytest.mark.skipif(not REALDATA.is_dir(), reason="the folder of real files is not here")
OI, VG, LOC = REALDATA / "open_images", REALDATA / "visual_genome", REALDATA / "imagenet"
TOOLS = {"n03481172": "hammer", "n04154565": "screwdriver", "n03995372": "power drill", "n03876231": "paintbrush", "n02797295": "barrow"}
FLAGS = {"group_of": "IsGroupOf", "occluded": "IsOccluded", "truncated": "IsTruncated", "depiction": "IsDepiction", "inside": "IsInside"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def open_images(boxes: Path, **files: Path) -> dict[str, Any]:
    """Index one split of Open Images' real files."""
    every = {"classes": OI / "class-descriptions-boxable.csv", "hierarchy": OI / "bbox_labels_600_hierarchy.json", "boxes_train": boxes}
    return build("open_images", files={"images_train": "none", "labels_train": "none", **every, **files}, splits=("train",))


def oi_row(row: dict[str, str]) -> tuple[Any, ...]:
    """A row of Open Images' CSV as an index has it."""
    left, right, top, bottom = (float(row[name]) for name in ("XMin", "XMax", "YMin", "YMax"))
    flags = tuple({"1": True, "0": False, "-1": None}[row[name]] for name in FLAGS.values())
    return row["ImageID"], row["LabelName"], left, top, right - left, bottom - top, str(flags)


def as_row(box: dict[str, Any], *more: str) -> tuple[Any, ...]:
    """A box of an index to compare."""
    return box["image_id"], box["class_id"], box["x"], box["y"], box["w"], box["h"], *more


def test_every_coordinate_and_flag_of_open_images_is_there() -> None:
    metrics = open_images(OI / "train-annotations-bbox.subset.csv", classes=OI / "class-descriptions-boxable.subset.csv")

    with (OI / "train-annotations-bbox.subset.csv").open(newline="") as file:
        expected = sorted(oi_row(row) for row in csv.DictReader(file))
    assert sorted(as_row(box, str(tuple(box[flag] for flag in FLAGS))) for box in all_boxes()) == expected
    assert (metrics["seen"], metrics["boxes"], metrics["dropped"]) == (13_134, 13_134, {})


def test_open_images_v6_with_its_further_columns_lists_and_labels() -> None:
    head = OI / "v6-head-rows"
    files = {
        "images_train": head / "train-images-boxable-with-rotation.csv",
        "labels_train": head / "train-annotations-human-imagelabels-boxable.csv",
    }
    open_images(head / "oidv6-train-annotations-bbox.csv", **files)

    with (head / "oidv6-train-annotations-bbox.csv").open(newline="") as file:
        expected = sorted(oi_row(row) for row in csv.DictReader(file))
    assert sorted(as_row(box, str(tuple(box[flag] for flag in FLAGS))) for box in all_boxes()) == expected
    with files["images_train"].open(newline="") as file:
        rows = {row["ImageID"]: row for row in csv.DictReader(file)}
    for image, row in tables.read_images(INDEX, rows).items():
        said = (rows[image]["Author"], rows[image]["Title"], rows[image]["OriginalLandingURL"], "CC-BY-2.0", rows[image]["OriginalLandingURL"].rpartition("/")[2])
        assert (row["author"], row["title"], row["landing_url"], row["license"], row["flickr_id"]) == said
        assert (row["original_url"], row["author_url"]) == (rows[image]["OriginalURL"], rows[image]["AuthorProfileURL"])
    with files["labels_train"].open(newline="") as file:
        labels = {(row["ImageID"], row["LabelName"], row["Confidence"] == "1") for row in csv.DictReader(file)}
    names = sorted({name for _, name, _ in labels})
    assert {(r["image_id"], r["class_id"], r["present"]) for r in tables.read_verified(INDEX, names).to_pylist()} == labels


def test_the_real_hierarchy_gives_every_child_once_and_parts_are_no_kinds() -> None:
    open_images(OI / "train-annotations-bbox.subset.csv")
    vocabulary = Vocabulary.of(INDEX)

    def below(node: dict[str, Any], name: str, inside: bool = False) -> set[str]:
        own = {node["LabelName"]} if inside else set()
        return own.union(*(below(child, name, inside or node["LabelName"] == name) for child in node.get("Subcategory", ())))

    root = json.loads((OI / "bbox_labels_600_hierarchy.json").read_text())
    for name in ("/m/07k1x", "/m/0jbk", "/m/01g317"):
        assert vocabulary.below([name]) == below(root, name)
    assert vocabulary.find(ClassTerm(name="Drill (Tool)"), where="") == ["/m/01d380"]
    assert vocabulary.matches("drill").exact == ["/m/01d380"]
    assert "/m/03l9g" in vocabulary.find(ClassTerm(name="Tool", children=True), where="")


def loc_rows() -> list[tuple[Any, ...]]:
    """Every box of ImageNet's validation file, read a second way."""
    rows = []
    with (LOC / "LOC_val_solution.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            words = row["PredictionString"].split()
            for start in range(0, len(words), 5):
                left, top, right, bottom = map(float, words[start + 1 : start + 5])
                rows.append((row["ImageId"], words[start], left, top, right - left, bottom - top))
    return rows


def test_every_box_of_imagenet_is_there_also_repeated_ones() -> None:
    build("imagenet", path=LOC)

    expected = loc_rows()
    assert Counter(map(as_row, all_boxes())) == Counter(expected)
    assert len(expected) == 80_477
    assert sum(count - 1 for count in Counter(expected).values()) == 4


def test_imagenets_names_lead_to_their_synsets() -> None:
    build("imagenet", path=LOC)
    vocabulary = Vocabulary.of(INDEX)

    assert vocabulary.find(ClassTerm(name="wheelbarrow"), where="") == ["n02797295"]
    assert vocabulary.find(ClassTerm(name="crane"), where="") == ["n02012849", "n03126707"]
    assert {wnid: vocabulary.rows[wnid]["name"] for wnid in TOOLS} == TOOLS


def test_the_published_validation_part_is_found_whole_and_so_is_what_it_lost() -> None:
    build("imagenet", path=LOC)
    published = json.loads((REALDATA / "published-result/merged/datasets/imagenet_coco-dataset-validation.json").read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in published["images"]}
    theirs = {(names[a["image_id"]], *map(float, a["bbox"])) for a in published["annotations"]}

    ours = [as_row(box) for box in all_boxes() if box["class_id"] in TOOLS]

    expected = [row for row in loc_rows() if row[1] in TOOLS]
    assert sorted(ours) == sorted(expected)
    places = {(image, *box) for image, _, *box in ours}
    assert len(published["annotations"]) == 250
    assert theirs <= places
    of_their_images = [row for row in expected if row[0] in set(names.values())]
    assert len(places - theirs) == len(set(of_their_images)) - 250 > 0


def test_every_box_name_and_synset_of_visual_genome_is_there() -> None:
    build("visual_genome", files={"objects": VG / "objects.subset.json", "images": "none", "aliases": VG / "object_alias.txt"})
    objects = [(image["image_id"], thing) for image in json.loads((VG / "objects.subset.json").read_text()) for thing in image["objects"]]
    vocabulary = Vocabulary.of(INDEX)

    expected = sorted((str(image), *(float(thing[side]) for side in "xywh")) for image, thing in objects)
    assert sorted((box["image_id"], box["x"], box["y"], box["w"], box["h"]) for box in all_boxes()) == expected
    by_synset: Counter[str] = Counter(synset for _, thing in objects for synset in set(thing["synsets"]))
    by_name: Counter[str] = Counter(name.strip().lower() for _, thing in objects for name in set(thing["names"]))
    for kind, counts in (("synset", by_synset), ("name", by_name)):
        for word, count in counts.items():
            ids = vocabulary.find(ClassTerm(name=f"{kind}:{word}"), where="")
            assert tables.read_boxes(INDEX, ids).num_rows == count, (kind, word)


def test_the_real_alias_file_is_read_whole() -> None:
    build("visual_genome", files={"objects": VG / "objects.subset.json", "images": "none", "aliases": VG / "object_alias.txt"})
    lines = [[word.strip().lower() for word in line.split(",")] for line in (VG / "object_alias.txt").read_text().splitlines()]
    vocabulary = Vocabulary.of(INDEX)
    names = {row["name"] for row in vocabulary.rows.values()}

    checked = 0
    for words in lines:
        for word in set(words) & names:
            for other in set(words) - {word, ""}:
                found = {vocabulary.rows[c]["name"] for c in vocabulary.search(other)}
                assert word in found, (word, other)
                checked += 1
    assert checked > 50


def test_the_real_synset_list_says_why_a_drill_is_named_and_not_a_synset() -> None:
    with zipfile.ZipFile(VG / "object_synsets.json.zip") as archive:
        synsets = json.load(io.TextIOWrapper(archive.open(archive.namelist()[0])))

    assert (synsets["drill"], synsets["wheelbarrow"]) == ("exercise.n.03", "barrow.n.03")


def test_every_box_of_coco_is_there_with_its_crowds_and_images_without_boxes() -> None:
    folder = REALDATA / "coco/tiny_coco/annotations"
    files = {f"instances_{split}": folder / f"instances_{split}2017.json" for split in ("train", "val")}
    metrics = build("coco", files=files)

    whole = [json.loads(path.read_text()) for path in files.values()]
    expected = [
        (str(a["image_id"]), str(a["category_id"]), *map(float, a["bbox"]), str(bool(a["iscrowd"]))) for part in whole for a in part["annotations"]
    ]
    assert sorted(as_row(box, str(box["iscrowd"])) for box in all_boxes()) == sorted(expected)
    images = {str(image["id"]): image for part in whole for image in part["images"]}
    found = tables.read_images(INDEX, images)
    assert {i: (r["width"], r["height"], r["url"]) for i, r in found.items()} == {i: (r["width"], r["height"], r["coco_url"]) for i, r in images.items()}
    assert metrics["images"] == len(images) > len({box["image_id"] for box in all_boxes()})


def test_open_images_shares_become_pixels_once_and_unrounded() -> None:
    shown = picture("a", width=1024, height=683)

    assert in_pixels((0.1, 0.2, 0.3, 0.4), shown, {}, "fraction") == pytest.approx((102.4, 136.6, 307.2, 273.2), abs=1e-12)

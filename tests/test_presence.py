"""What each source knows of a category in an image reaches the data set: absent, perhaps incomplete, complete, or nothing."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from boxset.assemble.merge import merge
from boxset.dataset.records import Pool, read_pool
from boxset.endpoints import Endpoints
from boxset.errors import ParamsError
from boxset.params import ClassTerm, FlagPolicies, Licences, Merge
from boxset.resolve import ExtractOrder, Identity, Ids, IndexOrder
from boxset.sources import tables
from boxset.sources.choice import choose
from boxset.sources.classes import Vocabulary
from boxset.sources.extract import extract
from boxset.sources.index import build_index
from boxset.sources.known import Answer, kinship, state_of
from tests.project import Project

IDS = Ids(categories={"hammer": Identity(id=1, supercategory="object"), "saw": Identity(id=2, supercategory="object")})
HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
PICTURES = Path("pictures")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def photo(path: str, tone: int) -> None:
    """Put a picture where the mirror of a source has it."""
    out = io.BytesIO()
    left = Image.effect_noise((320, 240), 10 + tone * 7 % 90).point(lambda v: (v + tone * 31) % 256)
    left.convert("RGB").save(out, "JPEG")
    (PICTURES / path).parent.mkdir(parents=True, exist_ok=True)
    (PICTURES / path).write_bytes(out.getvalue())


def order(format_: str, classes: dict[str, tuple[ClassTerm, ...]], **more: Any) -> ExtractOrder:
    """What to take out of a source."""
    fields: dict[str, Any] = {"max_images_per_category": 0, "negatives": 9, "max_missing_share": 0.0, "retry": 0, "category": "", "annotations": ""}
    fields |= {"path": "", "use": "research", "licences": Licences(), "flags": FlagPolicies(), **more}
    return ExtractOrder(name=format_, on=True, format=format_, classes=classes, **fields)


def pool_of(format_: str, files: dict[str, str], classes: dict[str, tuple[ClassTerm, ...]], **more: Any) -> Pool:
    """Index and extract one split of a source, its pictures from mirrors."""
    for name, content in files.items():
        Path(f"{format_}-{name}").write_text(content)
    named = {name: f"{format_}-{name}" for name in files}
    mirrors = {f"http{s}://{host}/": f"{PICTURES}/" for s in ("", "s") for host in ("images.cocodataset.org", "open-images-dataset.s3.amazonaws.com", "vg.example")}
    endpoints = Endpoints(mirrors=mirrors)
    splits = () if format_ == "visual_genome" else ("train",)
    path = str(PICTURES) if format_ == "imagenet" else ""
    index = IndexOrder(
        name=format_, on=True, format=format_, path=path, files=named, sha256={}, splits=splits, annotations="", license="", max_lost_share=0
    )
    build_index(index, Path("data/index") / format_, endpoints=endpoints, contact="a@shop.example", version=1)
    out = Path("data/extract") / format_
    asked = order(format_, classes, **({"path": path} | more))
    extract(asked, Path("data/index") / format_, out, endpoints=endpoints, contact="a@shop.example", version=1)
    return read_pool(out / "annotations.json")


def in_data_set(pool: Pool) -> dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Source's image → absent, perhaps incomplete, and complete category ids, after the merge."""
    coco = merge({"x": pool}, {}, answers=Pool(), ids=IDS, settings=Merge()).coco
    return {i.source_id: (i.neg_category_ids, i.not_exhaustive_category_ids, i.exhaustive_category_ids) for i in coco.images}


BOTH = {"hammer": (ClassTerm(name="hammer"),), "saw": (ClassTerm(name="saw"),)}


def test_open_images_verified_labels_also_of_parents_and_children() -> None:
    for number, image in enumerate("abcdef"):
        photo(f"train/{image}.jpg", number)
    boxes = HEADER + "".join(f"{i},xclick,/m/{c},1,0.1,0.5,0.1,0.5,0,0,0,0,0\n" for i, c in (("a", "hammer"), ("b", "hammer"), ("c", "saw"), ("e", "tool")))
    labels = [("a", "hammer", 1), ("a", "saw", 0), ("c", "saw", 1), ("c", "tool", 1), ("d", "tool", 0), ("e", "tool", 1), ("e", "hammer", 0), ("f", "saw", 0)]
    tree = {"LabelName": "/m/all", "Subcategory": [{"LabelName": "/m/tool", "Subcategory": [{"LabelName": "/m/hammer"}, {"LabelName": "/m/saw"}]}]}
    files = {
        "boxes_train": boxes,
        "classes": "/m/hammer,Hammer\n/m/saw,Saw\n/m/tool,Tool\n",
        "hierarchy": json.dumps(tree),
        "images_train": "ImageID,License\n",
        "labels_train": "ImageID,Source,LabelName,Confidence\n" + "".join(f"{i},verification,/m/{c},{yes}\n" for i, c, yes in labels),
    }
    Path("open_images-none").touch()

    leaves = in_data_set(_with_urls(files, BOTH))
    plain = in_data_set(_with_urls(files, {"hammer": (ClassTerm(name="tool"),)}))
    whole = in_data_set(_with_urls(files, {"saw": (ClassTerm(name="tool", children=True),)}))

    assert leaves == {
        "a": ((2,), (), (1,)),  # hammers boxed, saws verified absent
        "b": ((), (1,), ()),  # a box, but nobody verified: there may be more
        "c": ((), (), (2,)),
        "d": ((1, 2), (), ()),  # no tool at all, so neither of its kinds
        "e": ((1,), (), ()),  # some tool, no hammer; whether it is a saw nobody said
        "f": ((2,), (), ()),
    }
    assert plain == {"d": ((1,), (), ()), "e": ((), (1,), ())}  # without children: what is boxed as a saw would be missing
    assert whole["e"] == ((), (), (2,))  # with them: all
    assert whole["a"] == ((), (2,), ())  # a hammer is a tool, and no box says Tool; of other tools nobody spoke
    assert whole["c"] == ((), (), (2,))


def test_a_class_that_two_categories_name_by_different_words_stops_the_source() -> None:
    photo("train/a.jpg", 1)
    files = {
        "boxes_train": HEADER + "a,xclick,/m/hammer,1,0.1,0.5,0.1,0.5,0,0,0,0,0\n",
        "classes": "/m/hammer,Hammer\n/m/saw,Saw\n/m/tool,Tool\n",
        "hierarchy": json.dumps({"LabelName": "/m/tool", "Subcategory": [{"LabelName": "/m/hammer"}]}),
        "images_train": "ImageID,License\n",
        "labels_train": "ImageID,Source,LabelName,Confidence\na,verification,/m/hammer,1\n",
    }

    with pytest.raises(ParamsError) as caught:
        _with_urls(files, {"hammer": (ClassTerm(name="hammer"),), "saw": (ClassTerm(name="tool", children=True),)})

    assert str(caught.value) == (
        "params.yaml: categories.saw.classes.open_images: hammer has Hammer (/m/hammer) as well: each such object would get both labels. "
        "Take it out of hammer or of saw, or make the two one category"
    )


def _with_urls(files: dict[str, str], classes: dict[str, tuple[ClassTerm, ...]]) -> Pool:
    images = "ImageID,License\n" + "".join(f"{image},https://creativecommons.org/licenses/by/2.0/\n" for image in "abcdef")
    return pool_of("open_images", {**files, "images_train": images}, classes)


def coco_file(**more: Any) -> str:
    """A COCO or LVIS file of four images; the first has a hammer."""
    images = [{"id": n, "width": 320, "height": 240, "coco_url": f"http://images.cocodataset.org/train2017/{n}.jpg", **more} for n in (1, 2, 3, 4)]
    if more:
        images[0] |= {"neg_category_ids": [12], "not_exhaustive_category_ids": []}
        images[1] |= {"neg_category_ids": [], "not_exhaustive_category_ids": [11]}
        images[2] |= {"neg_category_ids": [11], "not_exhaustive_category_ids": []}
    categories = [{"id": 11, "name": "hammer"}, {"id": 12, "name": "saw"}]
    boxes = [{"id": n, "image_id": n, "category_id": 11, "bbox": [1, 2, 30, 40]} for n in (1, 2)]
    return json.dumps({"images": images, "annotations": boxes, "categories": categories})


def test_coco_is_fully_boxed_everywhere() -> None:
    for number in (1, 2, 3, 4):
        photo(f"train2017/{number}.jpg", number)

    assert in_data_set(pool_of("coco", {"instances_train": coco_file()}, BOTH, negatives=1)) == {
        "1": ((2,), (), (1,)),
        "2": ((2,), (), (1,)),
        "4": ((1, 2), (), ()),
    }


def test_lvis_says_what_is_absent_and_what_is_incomplete() -> None:
    for number in (1, 2, 3, 4):
        photo(f"train2017/{number}.jpg", number)

    found = in_data_set(pool_of("lvis", {"lvis_train": coco_file(neg_category_ids=[], not_exhaustive_category_ids=[])}, BOTH))

    assert found == {"1": ((2,), (), (1,)), "2": ((), (1,), ()), "3": ((1,), (), ())}


def test_imagenet_knows_its_own_synset_and_nothing_else() -> None:
    photo("ILSVRC/Data/CLS-LOC/train/n00000001/n00000001_1.JPEG", 1)
    files = {"boxes_train": "ImageId,PredictionString\nn00000001_1,n00000001 1 2 30 40 \n", "synsets": "n00000001 hammer\nn00000002 saw\n", "boxes_val": ""}

    assert in_data_set(pool_of("imagenet", files, BOTH)) == {"n00000001_1": ((), (), (1,))}


def test_visual_genome_knows_only_that_there_is_one() -> None:
    photo("1.jpg", 1)
    objects = [{"x": 1, "y": 2, "w": 30, "h": 40, "object_id": 1, "names": ["hammer"], "synsets": []}, {"x": 1, "y": 2, "w": 3, "h": 4, "object_id": 2, "names": ["saw"]}]
    files = {
        "objects": json.dumps([{"image_id": 1, "objects": objects[:1]}, {"image_id": 2, "objects": objects[1:]}]),
        "images": json.dumps([{"image_id": n, "width": 320, "height": 240, "url": f"https://vg.example/{n}.jpg"} for n in (1, 2)]),
        "aliases": "hammer,mallet\n",
    }

    assert in_data_set(pool_of("visual_genome", files, {"hammer": BOTH["hammer"]})) == {"1": ((), (1,), ())}


def test_a_box_that_a_policy_drops_leaves_its_image_incomplete_and_chooses_none() -> None:
    for number in (1, 2, 3, 4):
        photo(f"train2017/{number}.jpg", number)
    text = json.loads(coco_file())
    text["annotations"] += [{"id": 9, "image_id": 1, "category_id": 11, "bbox": [5, 5, 9, 9], "iscrowd": 1}]
    text["annotations"] += [{"id": 10, "image_id": 3, "category_id": 11, "bbox": [5, 5, 9, 9], "iscrowd": 1}]

    pool = pool_of("coco", {"instances_train": json.dumps(text)}, BOTH, flags=FlagPolicies(iscrowd="drop"), negatives=0)

    assert in_data_set(pool) == {"1": ((2,), (1,), ()), "2": ((2,), (), (1,))}


def test_an_image_whose_licence_keeps_it_out_takes_no_place_in_the_limit() -> None:
    for number in (1, 2, 3, 4):
        photo(f"train2017/{number}.jpg", number)
    text = json.loads(coco_file())
    text["licenses"] = [{"id": 2, "url": "http://creativecommons.org/licenses/by-nc/2.0/"}, {"id": 4, "url": "http://creativecommons.org/licenses/by/2.0/"}]
    text["annotations"] = [{"id": n, "image_id": n, "category_id": 11, "bbox": [1, 2, 30, 40]} for n in (1, 2, 3, 4)]
    for image, licence in zip(text["images"], (2, 4, 2, 4), strict=True):
        image["license"] = licence

    pool_of("coco", {"instances_train": json.dumps(text)}, BOTH, use="commercial", max_images_per_category=2, negatives=0)

    rows = [json.loads(line) for line in Path("data/extract/coco/images.jsonl").read_text().splitlines()]
    assert {row["source_id"] for row in rows if row["outcome"] == "kept"} == {"2", "4"}
    assert all(row["detail"] == "CC-BY-NC-2.0" for row in rows if row["outcome"] == "licence")
    choice = choose(order("coco", BOTH, use="commercial", max_images_per_category=1, negatives=0), Path("data/index/coco"))
    assert len(set(choice.images) - set(choice.refused)) == 1


@pytest.mark.pipeline
def test_every_image_of_a_built_data_set_says_what_the_verified_labels_say(small_project: Project) -> None:
    root, checked = small_project.root, 0
    categories = small_project.params()["categories"]
    for split in ("train", "val", "test"):
        for image in small_project.json(f"data/dataset/annotations/instances_{split}.json")["images"]:
            if image["source"] not in ("open_images", "lvis", "imagenet", "visual_genome") or image["also_in"]:
                continue
            index = root / "data/index" / image["source"]
            vocabulary = Vocabulary.of(index)
            for category in categories.values():
                terms = category["classes"].get(image["source"])
                ids = {c for term in terms for c in vocabulary.find(ClassTerm(name=term), where="")}
                state = _state_in(index, vocabulary, ids, image["source_id"]) if ids else None
                said = [name for name in ("neg", "not_exhaustive", "exhaustive") if category["id"] in image[f"{name}_category_ids"]]
                expected = {"absent": ["neg"], "partial": ["not_exhaustive"], "present": ["exhaustive"], "None": []}[str(state)]
                assert said == expected, (image["source"], image["source_id"], terms)
                checked += 1
    assert checked > 100


def _state_in(index: Path, vocabulary: Vocabulary, ids: set[str], image: str) -> object:
    kin = kinship(vocabulary, ids)
    rows = [row for row in tables.read_verified(index, sorted(kin.relevant)).to_pylist() if row["image_id"] == image]
    boxed = {row["class_id"] for row in tables.read_boxes(index, sorted(ids)).to_pylist() if row["image_id"] == image}
    return state_of(kin, {row["class_id"]: Answer(row["present"], row["exhaustive"]) for row in rows}, boxed)


@pytest.mark.pipeline
def test_what_a_source_states_of_a_picture_stands_in_the_attribution(small_project: Project) -> None:
    with (small_project.root / "data/dataset/ATTRIBUTION.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] in ("open_images", "lvis", "coco", "imagenet", "visual_genome")]
    seen = {row["source"] for row in rows}
    also_in = {(i["source"], i["source_id"]): i["also_in"] for i in small_project.json("data/merge/annotations.json")["images"]}

    def stated_by(source: str, source_id: str) -> dict[str, Any]:
        return tables.read_images(small_project.root / "data/index" / source, [source_id])[source_id]

    for row in rows:
        stated = stated_by(row["source"], row["source_id"])
        copies = [stated_by(*copy.split(":", 1)) for copy in also_in[row["source"], row["source_id"]] if copy.split(":")[0] in seen]
        teller = next((one for one in (stated, *copies) if one["license"]), stated)  # of copies, one that states a licence
        assert (row["address"], row["licence"]) == (stated["url"], teller["license"] or "unknown")
        assert (row["author"], row["title"]) == (teller["author"] or stated["author"] or "", teller["title"] or stated["title"] or "")
        if teller["landing_url"]:
            assert row["landing_page"] == teller["landing_url"]
        author = teller if teller["author"] else stated if stated["author"] else teller
        assert row["author_page"] == (author["author_url"] or "")
        originals = [one["original_url"] for one in (teller, stated, *copies) if one["original_url"]]
        assert row["original_address"] == (originals[0] if originals else "")
    assert {"open_images", "lvis", "imagenet"} <= seen
    assert any(row["author"] and row["author_page"] and row["landing_page"] for row in rows)
    assert any(row["original_address"] and row["original_address"] != row["address"] for row in rows if row["source"] == "open_images")

"""One's own pictures: from a folder or a bucket, with COCO, YOLO or no annotations; what changes there is noticed, and nothing else."""

import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from PIL import Image

from boxset.cli import cli
from boxset.dataset.records import ImageRow, Pool, Refused, read_pool, read_refused
from boxset.endpoints import Endpoints
from boxset.errors import InputError, ParamsError, ServiceError
from boxset.files import read_jsonl, write_json
from boxset.labeling.aws import DENIED
from boxset.params import ClassTerm, FlagPolicies, Licences, Source, checked
from boxset.resolve import ExtractOrder, IndexOrder, index_order, known_listings
from boxset.sources.coverage import coverage
from boxset.sources.extract import extract
from boxset.sources.index import build_index
from boxset.sources.place import listings, place_of
from boxset.sources.s3 import Bucket
from boxset.sources.tables import classes_table

CATEGORIES = [{"id": 3, "name": "hammer"}, {"id": 0, "name": "saw"}]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    Path("own").mkdir()


def photo(tone: int, *, size: tuple[int, int] = (400, 300)) -> bytes:
    """A picture."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).point(lambda v: (v + tone) % 256).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def put(**files: bytes | str) -> None:
    """Write files below `own`; `__` is a slash, `_dot_` a dot."""
    for name, content in files.items():
        path = Path("own") / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def coco(images: list[dict[str, Any]], boxes: list[dict[str, Any]], **more: Any) -> str:
    """A COCO file."""
    full = [{"id": n, "image_id": 1, "category_id": 3, "bbox": [10, 20, 30, 40], **box} for n, box in enumerate(boxes, 1)]
    return json.dumps({"images": images, "annotations": full, "categories": CATEGORIES, **more})


def index(path: str = "own", *, name: str = "own", annotations: str = "", license_: str = "LicenseRef-own", **more: Any) -> dict[str, Any]:
    """Index a place."""
    source = Source(format="local", path=path, annotations=annotations, license=license_, max_lost_share=0.9, **more)
    return build_index(index_order(name, source), Path("data/index") / name, endpoints=Endpoints(), contact="", version=1)


def take(path: str = "own", *, name: str = "own", **more: Any) -> tuple[dict[str, Any], Pool]:
    """Extract hammers."""
    fields: dict[str, Any] = {"classes": {"hammer": (ClassTerm(name="hammer"),)}, "category": "", "negatives": 0, "annotations": "", "retry": 0, **more}
    limits: dict[str, Any] = {"max_images_per_category": 0, "max_missing_share": 1.0}
    policies: dict[str, Any] = {"use": "commercial", "licences": Licences(), "flags": FlagPolicies()}
    order = ExtractOrder(name=name, on=True, format="local", path=path, **policies, **limits, **fields)
    out = Path("data/extract") / name
    metrics = extract(order, Path("data/index") / name, out, endpoints=Endpoints(), contact="", version=1)
    return metrics, read_pool(out / "annotations.json")


def states(pool: Pool) -> dict[str, str]:
    """Picture → what is known of hammers in it."""
    names = {picture.sha256: picture.source_id for picture in pool.pictures}
    return {names[p.sha256]: str(p.state) for p in pool.presence if p.category == "hammer"}


def test_a_coco_file_anywhere_in_the_folder_finds_its_pictures() -> None:
    images = [{"id": n, "file_name": name} for n, name in enumerate(("deep/a.jpg", ".\\b.jpg", "c.jpg", "gone.jpg"), 1)]
    put(pictures__deep__a_dot_jpg=photo(1), annotations__b_dot_jpg=photo(2), pictures__c_dot_jpg=photo(3), other__c_dot_jpg=photo(4))
    put(annotations__coco_dot_json=coco(images, [{}, {"image_id": 2}, {"image_id": 3}, {"image_id": 4}]))

    index()
    metrics, pool = take()

    assert sorted(p.source_id for p in pool.pictures) == ["annotations/b.jpg", "other/c.jpg", "pictures/c.jpg", "pictures/deep/a.jpg"]
    assert set(states(pool)) == {"annotations/b.jpg", "pictures/deep/a.jpg"}  # which of two c.jpg is meant nobody knows
    assert metrics["dropped"] == {"gone": 2}


def test_what_a_coco_file_says_is_counted_and_what_it_does_not_say_goes_to_labelling() -> None:
    put(a_dot_jpg=photo(1), b_dot_jpg=photo(2), new_dot_jpg=photo(3))
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    boxes = [{}, {}, {"image_id": 99}, {"category_id": 77}, {"bbox": [5, 5, -3, 4]}, {"is_crowd": [1], "bbox": [1, 1, 9, 9]}, {"category_id": 0}]
    put(c_dot_json=coco(images, boxes))

    indexed = index()
    metrics, pool = take(negatives=5, category="hammer")

    assert (indexed["seen"], indexed["boxes"], indexed["dropped"]) == (7, 5, {"bad_row": 1, "duplicate": 1, "no_picture": 1})
    assert metrics["boxes_dropped"] == {"duplicate": 1, "empty_box": 1}
    assert sorted((a.bbox, a.iscrowd) for a in pool.annotations) == [((1, 1, 9, 9), 1), ((10, 20, 30, 40), 0)]
    assert states(pool) == {"a.jpg": "partial", "b.jpg": "absent"}  # one of a's boxes is empty
    assert {p.source_id: p.category for p in pool.pictures} == {"a.jpg": "", "b.jpg": "", "new.jpg": "hammer"}


def test_a_coco_file_without_its_boxes_is_refused_unless_it_says_what_is_absent() -> None:
    put(a_dot_jpg=photo(1), c_dot_json=coco([{"id": 1, "file_name": "a.jpg"}], []))
    with pytest.raises(InputError, match=r"c\.json: annotations: none at all.*neg_category_ids.*empty label files"):
        index()

    put(c_dot_json=coco([{"id": 1, "file_name": "a.jpg", "neg_category_ids": [3]}], []))
    index()
    _, pool = take(negatives=5)

    assert states(pool) == {"a.jpg": "absent"}


def test_pictures_without_our_categories_are_counted_where_no_negatives_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    put(**{f"images__{name}_dot_jpg": photo(n) for n, name in enumerate("abcd", 1)})
    put(labels__a_dot_txt="0 0.5 0.5 0.2 0.2\n", labels__b_dot_txt="", labels__c_dot_txt="1 0.5 0.5 0.2 0.2\n", classes_dot_txt="hammer\nsaw\n")
    index()

    metrics, pool = take()
    told = capsys.readouterr().out
    rows = read_jsonl(Path("data/extract/own/images.jsonl"), ImageRow)
    with_negatives, all_of_them = take(negatives=5)

    why = "it shows none of our categories, and sources.own.negatives is 0"
    assert states(pool) == {"images/a.jpg": "present"}
    assert (metrics["seen"], metrics["kept"], metrics["dropped"]) == (4, 2, {"over_limit": 2})  # d has no label file: nobody has looked
    assert told == f"own: 2 of your pictures left out, each: {why}\n"
    assert (with_negatives["kept"], with_negatives["dropped"]) == (4, {})
    assert states(all_of_them) == {"images/a.jpg": "present", "images/b.jpg": "absent", "images/c.jpg": "absent"}
    assert [(row.source_id, row.detail) for row in rows if row.outcome == "over_limit"] == [("images/b.jpg", why), ("images/c.jpg", why)]


def test_a_picture_of_ones_own_that_was_left_out_is_explained_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    put(images__a_dot_jpg=photo(1), images__b_dot_jpg=photo(2), labels__a_dot_txt="0 0.5 0.5 0.2 0.2\n", labels__b_dot_txt="", classes_dot_txt="hammer\n")
    index()
    take()

    for name in ("own/images/b.jpg", "./own/images/b.jpg", "images/b.jpg", "own:b.jpg", "own:images/b.jpg"):
        done = CliRunner().invoke(cli, ["explain", name])
        assert done.exit_code == 0
        assert "left out: over_limit: there were more than were asked for" in done.output
        assert "what was seen: it shows none of our categories, and sources.own.negatives is 0" in done.output
    for name in ("own/images/a.jpg", "own:a.jpg"):
        assert "kept; not merged yet" in CliRunner().invoke(cli, ["explain", name]).output
    assert CliRunner().invoke(cli, ["explain", "other:b.jpg"]).exit_code == 1


def test_a_file_that_says_what_is_known_is_believed() -> None:
    put(**{f"{name}_dot_jpg": photo(n) for n, name in enumerate("abcd")})
    images = [
        {"id": 1, "file_name": "a.jpg", "neg_category_ids": [], "not_exhaustive_category_ids": [3], "author": "Ann", "license": 1},
        {"id": 2, "file_name": "b.jpg", "neg_category_ids": [3], "not_exhaustive_category_ids": []},
        {"id": 3, "file_name": "c.jpg", "neg_category_ids": [], "not_exhaustive_category_ids": []},
        {"id": 4, "file_name": "d.jpg", "neg_category_ids": [], "not_exhaustive_category_ids": []},
    ]
    put(c_dot_json=coco(images, [{}, {"image_id": 3}], licenses=[{"id": 1, "name": "CC-BY-4.0", "url": ""}]))

    index()
    _, pool = take(negatives=5)

    assert states(pool) == {"a.jpg": "partial", "b.jpg": "absent", "c.jpg": "present"}
    assert [(p.author, p.license) for p in pool.pictures if p.source_id == "a.jpg"] == [("Ann", "LicenseRef-own")]


def test_a_licence_that_is_stated_in_any_words_is_known_and_coverage_agrees_with_what_is_taken() -> None:
    named = ["CC BY-NC 4.0", "Attribution-NonCommercial License", "All rights reserved", "MIT", "our terms", None]
    put(**{f"{n}_dot_jpg": photo(n) for n in range(1, 9)})
    flickr = {7: {"license": 0, "flickr_url": "http://farm3.staticflickr.com/2/77_a_z.jpg"}, 8: {"license": 9}}
    images = [{"id": n, "file_name": f"{n}.jpg", "license": n, **flickr.get(n, {})} for n in range(1, 9)]
    licences = [{"id": n, "name": name, "url": None} for n, name in enumerate(named, 1)]
    put(c_dot_json=coco(images, [{"image_id": n} for n in range(1, 9)], licenses=licences))

    index(license_="")
    metrics, pool = take()
    (found,) = coverage(Path("data/index"), ["hammer"], use="commercial", licences=Licences())

    assert {p.source_id: p.license for p in pool.pictures} == {"4.jpg": "MIT", "5.jpg": "LicenseRef-our-terms", "6.jpg": "", "8.jpg": ""}
    assert (metrics["dropped"], metrics["boxes_dropped"]) == ({"licence": 4}, {"licence": 4})
    assert found.kept_out == {"CC-BY-NC-4.0": 1, "LicenseRef-CC-BY-NC": 1, "LicenseRef-all-rights-reserved": 2}
    assert found.total.usable_boxes == 4


def test_pictures_that_a_licence_keeps_out_are_named_for_other_sources_chosen_or_not() -> None:
    put(a_dot_jpg=photo(1), b_dot_jpg=photo(2))
    images = [{"id": n, "file_name": f"{name}.jpg", "license": n, "flickr_url": f"http://farm3.staticflickr.com/2/{n}7_a_z.jpg"} for n, name in ((1, "a"), (2, "b"))]
    put(c_dot_json=coco(images, [{"category_id": 0}], licenses=[{"id": 1, "name": "CC BY-NC 4.0"}, {"id": 2, "name": "CC BY 4.0"}]))

    index(license_="")
    take()

    assert read_refused([Path("data/extract/own/refused.json"), Path("not/here")]) == Refused(flickr_ids=("17",), marks=(hashlib.sha256(photo(1)).hexdigest()[:16],))


def test_a_file_of_ones_own_keeps_flickrs_page_and_address() -> None:
    put(a_dot_jpg=photo(1), b_dot_jpg=photo(2))
    static, page = "http://farm3.staticflickr.com/2/17_a_z.jpg", "https://www.flickr.com/photos/ann/27"
    images = [{"id": n, "file_name": f"{name}.jpg", "flickr_url": url} for n, name, url in ((1, "a", static), (2, "b", page))]
    put(c_dot_json=coco(images, [{}, {"image_id": 2}]))

    index()
    _, pool = take()

    told = {p.source_id: (p.landing_url, p.original_url, p.flickr_id) for p in pool.pictures}
    assert told == {"a.jpg": ("https://www.flickr.com/photo.gne?id=17", static, "17"), "b.jpg": (page, "", "27")}


def test_the_licence_in_the_parameters_may_be_spelt_as_people_do() -> None:
    put(a_dot_jpg=photo(1))

    index(license_="CC BY-NC 4.0")
    metrics, _ = take(classes={}, category="hammer")

    assert metrics["dropped"] == {"licence": 1}


def test_several_coco_files_are_one_source_where_their_ids_agree() -> None:
    put(train__a_dot_jpg=photo(1), val__a_dot_jpg=photo(2))
    image = [{"id": 1, "file_name": "a.jpg"}]
    put(train__x_dot_json=coco(image, [{}]), val__x_dot_json=coco(image, [{"bbox": [1, 2, 3, 4]}]))

    with pytest.raises(InputError, match=r"own: several JSON files: train/x\.json, val/x\.json.*annotations"):
        index()
    index(annotations="*/x.json")
    _, pool = take(annotations="*/x.json")

    names = {p.sha256: p.source_id for p in pool.pictures}
    assert sorted((names[a.sha256], a.bbox) for a in pool.annotations) == [("train/a.jpg", (10, 20, 30, 40)), ("val/a.jpg", (1, 2, 3, 4))]
    put(val__x_dot_json=coco(image, [{}]).replace('"hammer"', '"mallet"'))
    with pytest.raises(InputError, match="category 3 is 'mallet' here, and 'hammer' before"):
        index(annotations="*/x.json")


def test_yolo_reads_boxes_polygons_and_confidences_and_a_picture_without_a_label_file_is_unknown() -> None:
    put(data_dot_yaml="names: {0: hammer, 1: saw}", **{f"train__images__{name}_dot_jpg": photo(n) for n, name in enumerate("abcd")})
    put(train__labels__a_dot_txt="\ufeff0 0.5 0.5 0.5 0.5\r\n0 0.1 0.1 0.2 0.2 0.9\r\n0 0 0 0.5 0 0.5 1\r\n1 .2 .2 .1 .1\r\nx\r\n7 .1 .1 .1 .1\r\n0 .1 .1\r\n")
    put(train__labels__b_dot_txt="", train__labels__c_dot_txt="1 0.5 0.5 1 1\n")

    indexed = index()
    _, pool = take(negatives=9, category="hammer")

    assert (indexed["seen"], indexed["boxes"], indexed["dropped"]) == (8, 5, {"bad_row": 3})
    assert sorted(a.bbox for a in pool.annotations) == [pytest.approx(b) for b in ((0, 0, 80, 60), (0, 0, 200, 300), (100, 75, 200, 150))]
    assert states(pool) == {"train/images/a.jpg": "partial", "train/images/b.jpg": "absent", "train/images/c.jpg": "absent"}
    assert [p.source_id for p in pool.pictures if p.category == "hammer"] == ["train/images/d.jpg"]


def test_a_yolo_picture_of_which_a_row_is_lost_is_not_called_absent_or_fully_boxed() -> None:
    put(classes_dot_txt="hammer\nsaw\n", **{f"images__{name}_dot_jpg": photo(n) for n, name in enumerate("abc")})
    put(labels__a_dot_txt="0 x y z w\n", labels__b_dot_txt="0 .5 .5 .1 .1\n9 .5 .5 .1 .1\n", labels__c_dot_txt="1 .5 .5 .1 .1\n")

    indexed = index()
    _, pool = take(negatives=9, category="hammer")

    assert (indexed["seen"], indexed["dropped"]) == (4, {"bad_row": 2})
    assert states(pool) == {"images/b.jpg": "partial", "images/c.jpg": "absent"}
    assert [p.source_id for p in pool.pictures if p.category] == ["images/a.jpg"]  # what its file says nobody can read: people are asked


def test_yolo_boxes_that_reach_outside_are_clipped() -> None:
    put(classes_dot_txt="hammer\n", images__a_dot_jpg=photo(1))
    put(labels__a_dot_txt="0 .5 .5 1.02 .4\n0 -.1 .5 .4 .2\n0 1.8 .5 .2 .2\n0 -3 .5 .2 .2\n0 nan .5 .2 .2\n")

    indexed = index()
    metrics, pool = take()

    assert (indexed["boxes"], indexed["dropped"]) == (3, {"bad_row": 2})
    assert sorted(a.bbox for a in pool.annotations) == [pytest.approx(b) for b in ((0, 90, 400, 120), (0, 120, 40, 60))]
    assert (metrics["boxes_clipped"], metrics["boxes_dropped"], states(pool)) == (2, {"empty_box": 1}, {"images/a.jpg": "partial"})


@pytest.mark.parametrize(
    ("picture", "label", "names"),
    [
        ("a.jpg", "a.txt", "classes.txt"),
        ("deep/a.jpg", "deep/a.txt", "deep/classes.txt"),
        ("images/a.jpg", "labels/a.txt", "labels/classes.txt"),
        ("a.jpg", "labels/a.txt", "classes.txt"),
        ("Images/train/a.JPG", "Labels/train/a.TXT", "Classes.txt"),
        ("set/images/a.jpg", "set/labels/a.txt", "set/obj.names"),
    ],
)
def test_yolo_labels_are_found_in_every_usual_layout(picture: str, label: str, names: str) -> None:
    for path, content in ((picture, photo(1)), (label, b"1 .5 .5 .5 .5\n"), (names, b"saw\nhammer\n"), ("other.jpg", photo(2))):
        (Path("own") / path).parent.mkdir(parents=True, exist_ok=True)
        (Path("own") / path).write_bytes(content)

    index()
    _, pool = take(category="hammer")

    assert [(a.category, a.bbox) for a in pool.annotations] == [("hammer", (100, 75, 200, 150))]
    assert states(pool) == {picture: "present"}
    assert [p.source_id for p in pool.pictures if p.category] == ["other.jpg"]


def test_label_files_without_a_picture_are_counted_and_lists_and_remarks_are_not() -> None:
    put(classes_dot_txt="hammer\n", a_dot_jpg=photo(1), a_dot_txt="0 .5 .5 .5 .5\n", gone_dot_txt="0 .5 .5 .5 .5\n0 .1 .1 .1 .1\n")
    put(train_dot_txt="images/a.jpg\n", readme_dot_txt="These are our hammers of last year\n")

    indexed = index()

    assert (indexed["seen"], indexed["boxes"], indexed["dropped"]) == (3, 1, {"no_picture": 2})


def test_labels_of_which_none_fits_a_picture_are_an_error() -> None:
    put(classes_dot_txt="hammer\n", a_dot_jpg=photo(1), labels__b_dot_txt="0 .5 .5 .5 .5\n")

    with pytest.raises(InputError, match=r"own: no label file fits any picture.*beside it"):
        index()


def test_too_many_labels_without_pictures_fail_the_source() -> None:
    put(classes_dot_txt="hammer\n", a_dot_jpg=photo(1), a_dot_txt="0 .5 .5 .5 .5\n", gone_dot_txt="0 .5 .5 .5 .5\n" * 19)

    said = r"own: 19 of 20 rows are unreadable or have no picture \(no_picture 19\); the first: own/gone\.txt: no picture has this name\. .*max_lost_share"
    with pytest.raises(InputError, match=said):
        index()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2 .5 .5 .5 .5", "class 2: there are names for 2 classes, from 0 on"),
        ("-1 .5 .5 .5 .5", "class -1: there are names for 2 classes"),
        ("0,.5,.5,.5,.5", r"expected a class's number and shares of the picture, found '0,\.5,\.5,\.5,\.5'"),
        ("0.5 .5 .5 .5 .5", "expected a class's number"),
        ("0 .5 .5 .5 -1.5", "no shares from 0 to 1"),
        ("0 .5 .5 .5", "3 numbers after the class are neither a box nor a polygon"),
        ("0 .1 .1 .9 .1 .5 1.5", "a polygon beyond the picture"),
    ],
)
def test_the_first_row_of_yolos_that_cannot_be_read_is_named_with_what_is_wrong(row: str, said: str) -> None:
    put(classes_dot_txt="hammer\nsaw\n", images__a_dot_jpg=photo(1), labels__a_dot_txt=f"0 .5 .5 .5 .5\n\n{row}\n" + "1\n" * 20)

    with pytest.raises(InputError, match=rf"21 of 22 rows are unreadable; the first: own/labels/a\.txt:3: {said}"):
        index()


def test_yolo_is_read_as_numpy_and_windows_write_it() -> None:
    put(classes_dot_txt="hammer\nsaw\n", images__a_dot_jpg=photo(1), images__b_dot_jpg=photo(2), labels__a_dot_txt="1.000000e+00 5.0e-01 .5 .5 .5\n")
    put(labels__b_dot_txt="0 .5 .5 .5 .5\r\n".encode("utf-16"))

    assert index()["dropped"] == {}
    _, pool = take()

    assert states(pool) == {"images/b.jpg": "present"}


@pytest.mark.parametrize("names", ["names: [on, 12:30, 1.10]\n", "names: {'2': 1.10, 0: on, 1: 12:30}\n", "names:\n- on\n- 12:30\n- '1.10'\n"])
def test_names_of_classes_are_as_they_are_written(names: str) -> None:
    put(data_dot_yaml=names, images__a_dot_jpg=photo(1), labels__a_dot_txt="0 .5 .5 .5 .5\n")
    index()

    assert classes_table(Path("data/index/own")).column("name").to_pylist() == ["on", "12:30", "1.10"]


@pytest.mark.parametrize("others", ["classes.txt", "more/data.yaml", "labels/classes.txt", "other.yaml"])
def test_two_lists_of_classes_that_differ_are_not_chosen_between(others: str) -> None:
    put(data_dot_yaml="names: [hammer, saw]\n", images__a_dot_jpg=photo(1), labels__a_dot_txt="0 .5 .5 .5 .5\n")
    (Path("own") / others).parent.mkdir(exist_ok=True)

    (Path("own") / others).write_text("names: [Hammer, saw]\n" if others.endswith("yaml") else "Hammer\nsaw\n")
    assert index()["boxes"] == 1
    (Path("own") / others).write_text("names: [saw, hammer]\n" if others.endswith("yaml") else "saw\nhammer\n")
    with pytest.raises(InputError, match=rf"own/{others}: its classes are not those of data\.yaml\. Keep the one"):
        index()


def test_other_yaml_files_further_down_do_not_matter() -> None:
    put(data_dot_yaml="names: [hammer]\n", images__a_dot_jpg=photo(1), labels__a_dot_txt="0 .5 .5 .5 .5\n", code__coco_dot_yaml="names: [person]\n", code__x_dot_yml="{")

    assert index()["boxes"] == 1


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("classes.txt", b"hammer\n\nsaw\n", r"classes\.txt:2: an empty line"),
        ("classes.txt", b"caf\xe9\n", r"classes\.txt: not UTF-8"),
        ("data.yaml", b"names:\n- saw\n-\n", r"data\.yaml:3: names: class 1 has no name"),
        ("data.yaml", b"names: {1: saw, 2: hammer}\n", r"data\.yaml: names: the numbers of the classes are not 0, 1"),
        ("data.yaml", b"names: [\n", r"data\.yaml: not YAML"),
        ("data.yaml", b"names: [hammer]\nkpt_shape: [17, 3]\n", r"data\.yaml: kpt_shape"),
        ("data.yaml", b"nc: 1\n", r"own: no data\.yaml with `names`.*annotations: none"),
    ],
)
def test_class_names_that_are_not_sure_are_refused(file: str, content: bytes, said: str) -> None:
    put(a_dot_jpg=photo(1), a_dot_txt="0 .5 .5 .5 .5\n")
    (Path("own") / file).write_bytes(content)

    with pytest.raises(InputError, match=said):
        index()


def test_records_of_ones_own_are_read_as_tools_write_them() -> None:
    put(a_dot_jpg=photo(1), b_dot_jpg=photo(2))
    images = [{"id": "1", "file_name": "a.jpg", "width": 400.0, "height": 300.0, "license": "CC BY 4.0"}, {"id": 2, "file_name": "b.jpg", "license": "7"}]
    boxes = [{"category_id": "3", "iscrowd": None, "attributes": None}, {"image_id": "2", "is_crowd": None, "iscrowd": "0", "attributes": {"is_crowd": "false"}}]
    put(c_dot_json=coco(images, boxes, licenses=[{"id": "7", "name": "MIT"}, {"name": "none"}]))

    assert index(license_="")["dropped"] == {}
    _, pool = take()

    assert [(a.category, a.bbox, a.iscrowd) for a in pool.annotations] == [("hammer", (10, 20, 30, 40), 0)] * 2
    assert {p.source_id: p.license for p in pool.pictures} == {"a.jpg": "CC-BY-4.0", "b.jpg": "MIT"}


def test_a_picture_that_is_missing_is_not_taken_from_another_folder() -> None:
    put(val__a_dot_jpg=photo(1), train__b_dot_jpg=photo(2))
    train = coco([{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}], [{}, {"image_id": 2}])
    put(train__x_dot_json=train, val__x_dot_json=coco([{"id": 1, "file_name": "a.jpg"}], [{"bbox": [1, 2, 3, 4]}]))

    index(annotations="*/x.json")
    metrics, pool = take(annotations="*/x.json")

    names = {p.sha256: p.source_id for p in pool.pictures}
    assert sorted((names[a.sha256], a.bbox) for a in pool.annotations) == [("train/b.jpg", (10, 20, 30, 40)), ("val/a.jpg", (1, 2, 3, 4))]
    assert (metrics["dropped"], metrics["boxes_dropped"]) == ({"gone": 1}, {"no_picture": 1})


@pytest.mark.parametrize("missing", [["train/a.jpg", "val/a.jpg"], ["/old/x/a.jpg", "/old/y/a.jpg"], ["a.jpg", "y/a.jpg"]])
def test_of_two_names_that_one_picture_could_have_none_is_guessed(missing: list[str]) -> None:
    put(deep__z__a_dot_jpg=photo(1), c_dot_json=coco([{"id": n, "file_name": name} for n, name in enumerate(missing)], [{"image_id": 0}, {"image_id": 1}]))

    index()

    assert take(category="hammer")[0]["boxes_dropped"] == {"no_picture": 2}


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@pytest.mark.parametrize("name", ["c.json", "labels/a.txt", "data.yaml", "classes.txt"])
def test_what_git_has_not_pulled_is_called_so(name: str) -> None:
    put(images__a_dot_jpg=photo(1))
    if name != "c.json":
        put(labels__a_dot_txt="0 .5 .5 .1 .1\n", **{} if name in ("data.yaml", "classes.txt") else {"classes_dot_txt": "hammer\n"})
    (Path("own") / name).write_bytes(POINTER)

    with pytest.raises(InputError, match=rf"own/{name}:1: a Git-LFS pointer, not the file itself\. `git lfs pull`"):
        index()


def test_two_pictures_with_one_number_are_refused_and_one_that_is_named_twice_is_one() -> None:
    put(a_dot_jpg=photo(1), b_dot_jpg=photo(2), c_dot_json=coco([{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}], [{}]))

    with pytest.raises(InputError, match=r"own/c\.json: images: 1 is a\.jpg and b\.jpg: a box could be of either"):
        index()
    put(c_dot_json=coco([{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "./a.jpg"}], [{}]))
    assert index()["dropped"] == {"duplicate": 1}


def test_a_crowd_may_be_said_in_words() -> None:
    put(a_dot_jpg=photo(1), c_dot_json=coco([{"id": 1, "file_name": "a.jpg"}], [{"attributes": {"is_crowd": "True"}}]))
    index()

    assert [a.iscrowd for a in take()[1].annotations] == [1]


@pytest.mark.parametrize("size", [{"width": 10**12, "height": 300}, {"width": -5, "height": 0}, {"width": 400.5, "height": None}])
def test_a_size_that_none_can_be_is_unknown_and_moves_no_box(size: dict[str, Any]) -> None:
    put(a_dot_jpg=photo(1), c_dot_json=coco([{"id": 1, "file_name": "a.jpg", **size}], [{}]))
    index()

    assert [a.bbox for a in take()[1].annotations] == [(10, 20, 30, 40)]


def test_an_odd_record_of_ones_own_is_counted_named_and_makes_nothing_absent() -> None:
    put(a_dot_jpg=photo(1), b_dot_jpg=photo(2), d_dot_jpg=photo(3))
    images = [{"id": n, "file_name": f"{name}.jpg"} for n, name in ((1, "a"), (2, "b"))]
    odd = [{"image_id": 2, "category_id": 0, "bbox": []}, {"image_id": 2, "category_id": 3, "bbox": None}]
    put(c_dot_json=coco([*images, {"id": 3, "file_name": None}], [{}, *odd, {"image_id": 3}]))

    indexed = index()
    _, pool = take(negatives=9, category="hammer")

    assert (indexed["seen"], indexed["boxes"], indexed["dropped"]) == (5, 1, {"bad_row": 3, "no_picture": 1})
    assert states(pool) == {"a.jpg": "present"}
    assert sorted(p.source_id for p in pool.pictures if p.category) == ["b.jpg", "d.jpg"]
    put(c_dot_json=coco(images, [{}, *odd * 10]))
    with pytest.raises(InputError, match=r"20 of 21 rows are unreadable; the first: own/c\.json: Expected `array` of length 4 - at `\$\.annotations\[1\]\.bbox`"):
        index()


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ({"category_id": 9}, r"annotations\[0\]\.category_id: '9' is none of its categories"),
        ({"image_id": 9}, r"annotations\[0\]\.image_id: '9' is none of its images"),
        ({"bbox": [0.1, 0.2, 0.9, 0.5]}, r"own/c\.json: annotations\[…\]\.bbox: no box goes beyond 1: these are shares"),
        ({"bbox": [float("nan"), 1, 2, 3]}, r"invalid character \(byte \d+\), line 1: '.*NaN, 1"),
    ],
)
def test_what_is_wrong_in_a_coco_file_of_ones_own_is_said(box: dict[str, Any], said: str) -> None:
    put(a_dot_jpg=photo(1), c_dot_json=coco([{"id": 1, "file_name": "a.jpg"}], [box]))

    with pytest.raises(InputError, match=said):
        index()


@pytest.mark.parametrize(("there", "named"), [("e\u0301.jpg", "\u00e9.jpg"), ("IMG.JPG", "img.jpg"), ("Sub/IMG.jpg", "sub/img.JPG"), ("x/a.jpg", "elsewhere\\x\\a.jpg")])
def test_a_picture_is_found_however_its_name_is_written(there: str, named: str) -> None:
    (Path("own") / there).parent.mkdir(exist_ok=True)
    (Path("own") / there).write_bytes(photo(1))
    put(c_dot_json=coco([{"id": 1, "file_name": named}], [{}]))
    index()

    assert states(take(category="hammer")[1]) == {there: "present"}


@pytest.mark.parametrize("name", ["c.json.gz", "c.JSON", "deep/c.Json.GZ"])
def test_a_coco_file_is_found_packed_and_in_capitals(name: str) -> None:
    put(a_dot_jpg=photo(1))
    text = coco([{"id": 1, "file_name": "a.jpg"}], [{}]).encode()
    (Path("own") / name).parent.mkdir(exist_ok=True)
    (Path("own") / name).write_bytes(gzip.compress(text) if name.lower().endswith("gz") else text)

    index()
    _, pool = take()

    assert states(pool) == {"a.jpg": "present"}


def test_a_packed_file_that_is_cut_short_is_refused() -> None:
    put(a_dot_jpg=photo(1), c_dot_json_dot_gz=gzip.compress(coco([{"id": 1, "file_name": "a.jpg"}], [{}]).encode())[:-20])

    with pytest.raises(InputError, match=r"own/c\.json\.gz: not a COCO file"):
        index()


@pytest.mark.parametrize("name", ["ann.zip", "voc/a.xml", "boxes.csv"])
def test_annotations_of_a_kind_that_is_not_read_are_no_silence(name: str) -> None:
    put(a_dot_jpg=photo(1))
    (Path("own") / name).parent.mkdir(exist_ok=True)
    (Path("own") / name).write_bytes(b"x")

    with pytest.raises(InputError, match=f"own: no annotations of a kind that is read, but {name}.*annotations: none"):
        index()
    assert index(annotations="none")["files_dropped"] == {"not_an_image": 1}


def test_a_json_file_and_labels_side_by_side_are_not_guessed_between() -> None:
    put(classes_dot_txt="hammer\n", a_dot_jpg=photo(1), a_dot_txt="0 .5 .5 .5 .5\n", coco_dot_json="{}")

    with pytest.raises(InputError, match=r"a JSON file, coco\.json, and YOLO labels, a\.txt"):
        index()
    assert index(annotations="yolo")["boxes"] == 1


def test_what_label_studio_writes_beside_yolos_labels_is_no_second_kind_of_annotations() -> None:
    put(classes_dot_txt="hammer\nsaw\n", notes_dot_json='{"categories": [], "info": {}}', images__a_dot_jpg=photo(1), labels__a_dot_txt="1 .5 .5 .5 .5\n")

    assert index()["boxes"] == 1


def test_a_category_that_names_a_class_where_no_annotations_are_found_is_an_error() -> None:
    put(a_dot_jpg=photo(1))
    index()

    with pytest.raises(ParamsError, match=r"categories\.hammer\.classes\.own: no annotations.*NAME\.txt.*`dvc repro --force --single-item resolve` sees it.*\[\]"):
        take()
    assert take(classes={}, category="hammer")[0]["kept"] == 1


def test_yolo_in_pixels_is_refused_by_file() -> None:
    put(classes_dot_txt="hammer\n", images__a_dot_jpg=photo(1), labels__a_dot_txt="0 120 80 40 40\n")

    with pytest.raises(InputError, match=r"own/labels/a\.txt:1: 120 where shares from 0 to 1 stand: these are pixels"):
        index()


def test_hidden_files_and_links_out_of_the_folder_are_no_pictures(tmp_path: Path) -> None:
    put(a_dot_jpg=photo(1))
    for name in (".hidden.jpg", "__MACOSX/._a.jpg", ".git/x.jpg", "notes.md"):
        (Path("own") / name).parent.mkdir(exist_ok=True)
        (Path("own") / name).write_bytes(photo(2))
    (tmp_path / "secret.jpg").write_bytes(photo(3))
    Path("own/link.jpg").symlink_to(tmp_path / "secret.jpg")

    assert [entry.name for entry in place_of("own", Endpoints()).entries()] == ["a.jpg"]


def test_files_that_are_passed_over_are_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(a_dot_jpg=photo(1), notes_dot_md="x", deep__b_dot_mov="x", _dot_hidden="x")
    (tmp_path / "album").mkdir()
    (tmp_path / "album/secret.jpg").write_bytes(photo(3))
    for name, target in {"link.jpg": "album/secret.jpg", "album": "album", "gone.jpg": "nowhere.jpg", "inside.jpg": "own/a.jpg"}.items():
        (Path("own") / name).symlink_to(tmp_path / target)

    metrics = index()

    assert (metrics["images"], metrics["files_dropped"]) == (2, {"bad_address": 3, "not_an_image": 2})
    assert capsys.readouterr().out.splitlines() == [
        "own: 3 passed over as bad_address, links to folders, out of the folder, or to nothing: album, gone.jpg, link.jpg",
        "own: 2 passed over as not_an_image, neither pictures nor annotations by their names: deep/b.mov, notes.md",
    ]


def test_pictures_of_kinds_that_are_not_read_are_tried_and_counted() -> None:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), "red").save(out, "TIFF")
    put(a_dot_jfif=photo(1), b_dot_tif=out.getvalue(), c_dot_HEIC=b"\0\0\0\x18ftypheic")

    index()
    metrics, pool = take(classes={}, category="hammer")

    assert [p.source_id for p in pool.pictures] == ["a.jfif"]
    assert metrics["dropped"] == {"not_an_image": 2}


def test_passed_over_in_a_bucket_too(bucket: Any) -> None:
    for key in ("a.jpg", "b.mov", ".c.txt"):
        bucket.put_object(Bucket="shop", Key=key, Body=b"x")

    assert [(one.name, str(one.reason)) for one in place_of("s3://shop", Endpoints()).passed_over()] == [("b.mov", "not_an_image")]


def params(**paths: str) -> Any:
    """Parameters with some local sources."""
    sources = {name: {"format": "local", "path": path} for name, path in paths.items()}
    found, faults = checked(
        {"world": "live", "project": {"name": "x"}, "categories": {"hammer": {"id": 1, "target": 1}}, "sources": {"open_images": {}, **sources}}
    )
    assert found is not None
    assert faults == []
    return found


def test_what_lies_in_a_folder_is_noticed_whatever_changes_and_copies_are_equal() -> None:
    put(a_dot_jpg=photo(1))

    def now() -> str:
        return listings(params(own="own"), Endpoints(), {})[0]["own"]

    before = now()
    Path("own/a.jpg").touch()
    assert now() == before
    content = photo(1)
    Path("own/a.jpg").write_bytes(content[:-3] + b"xyz")  # the same size
    changed = now()
    put(b_dot_jpg=photo(2))
    added = now()
    Path("own/b.jpg").rename("own/c.jpg")
    assert len({before, changed, added, now()}) == 4


def test_an_emptied_place_empties_no_data_set() -> None:
    put(c_dot_json="{}")
    order = index_order("own", Source(format="local", path="own"), "abc")

    with pytest.raises(InputError, match=r"own: there is no picture in it any more\. Is it mounted"):
        build_index(order, Path("data/index/own"), endpoints=Endpoints(), contact="", version=1)
    assert listings(params(own="own"), Endpoints(), {"own": "abc"}) == ({"own": "abc"}, ["own: own: there is no picture in it any more; its pictures stay as they were"])


def test_a_place_that_is_empty_from_the_beginning_waits_for_pictures() -> None:
    first, lines = listings(params(own="own"), Endpoints(), {})
    build_index(index_order("own", Source(format="local", path="own"), first["own"]), Path("data/index/own"), endpoints=Endpoints(), contact="", version=1)
    put(notes_dot_txt="x")
    still, _ = listings(params(own="own"), Endpoints(), first)
    put(a_dot_jpg=photo(1))

    assert lines == ["own: own: there is no picture in it yet"]
    assert still == first
    assert listings(params(own="own"), Endpoints(), first)[0]["own"] not in ("", first["own"])


def test_names_that_are_no_text_and_links_in_a_ring_are_passed_over_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    put(b_dot_jpg=photo(1))
    Path(os.fsdecode(b"own/caf\xe9.jpg")).write_bytes(photo(2))
    Path("own/ring.jpg").symlink_to("ring.jpg")

    assert index()["files_dropped"] == {"bad_address": 2}
    assert "names that are not UTF-8: caf\\udce9.jpg" in capsys.readouterr().out


def test_a_folder_that_cannot_be_read_is_named_and_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    put(b_dot_jpg=photo(1), mine__c_dot_jpg=photo(2))
    scan = os.scandir

    def closed(path: str | Path) -> Any:
        if str(path).endswith("mine"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("boxset.sources.place.os.scandir", closed)
    with pytest.raises(InputError, match=r"own/mine: cannot read: Permission denied"):
        index()


def test_a_place_that_is_not_here_keeps_what_is_known_of_it() -> None:
    put(a_dot_jpg=photo(1))
    marks, lines = listings(params(own="own", away="not/here"), Endpoints(), {"away": "abc"})

    assert marks["away"] == "abc"
    assert marks["own"] != ""
    assert lines == ["away: not/here: there is no such folder; its pictures stay as they were"]


def test_a_changed_picture_is_taken_anew_a_removed_one_leaves_and_nothing_else_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    put(a_dot_jpg=photo(1), b_dot_jpg=photo(2), c_dot_jpg=photo(3))
    index()
    _, first = take(classes={}, category="hammer")
    put(a_dot_jpg=photo(9))
    Path("own/b.jpg").unlink()
    index()
    read: list[str] = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.append(path.name), whole(path))[1])

    _, second = take(classes={}, category="hammer")

    assert [name for name in read if name.endswith(".jpg")] == ["a.jpg"]
    before, after = ({p.source_id: p.sha256 for p in pool.pictures} for pool in (first, second))
    assert after.keys() == {"a.jpg", "c.jpg"}
    assert (after["a.jpg"] == before["a.jpg"], after["c.jpg"] == before["c.jpg"]) == (False, True)
    assert {path.stem for path in Path("data/extract/own/images").iterdir()} == set(after.values())


def test_several_local_sources_live_side_by_side() -> None:
    put(a_dot_jpg=photo(1))
    Path("more").mkdir()
    Path("more/a.jpg").write_bytes(photo(2))
    for name, path in (("own", "own"), ("more", "more")):
        index(path, name=name)

    pools = [take(path, name=name, classes={}, category="hammer")[1] for name, path in (("own", "own"), ("more", "more"))]

    assert [[(p.source, p.source_id) for p in pool.pictures] for pool in pools] == [[("own", "a.jpg")], [("more", "a.jpg")]]


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an empty bucket `shop`, with the environment that leads there."""
    for name, value in {"ENDPOINT_URL_S3": s3_server, "ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=s3_server, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    client.create_bucket(Bucket="shop")
    for item in client.list_objects_v2(Bucket="shop").get("Contents", ()):
        client.delete_object(Bucket="shop", Key=item["Key"])
    yield client
    client.close()


def test_pictures_in_a_bucket_are_listed_fetched_and_kept_by_their_etags(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, content in {"photos/a.jpg": photo(1), "photos/b c+ä.jpg": photo(2), "photos-2/z.jpg": photo(3), "photos/": b""}.items():
        bucket.put_object(Bucket="shop", Key=key, Body=content)
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b c+ä.jpg"}]
    bucket.put_object(Bucket="shop", Key="photos/coco.json", Body=coco(images, [{}, {"image_id": 2}]).encode())
    place = "s3://shop/photos/"
    index(place)
    metrics, pool = take(place)
    assert (metrics["kept"], metrics["boxes"]) == (2, {"hammer": 2})
    assert listings(params(own=place), Endpoints(), {})[1] == []

    bucket.put_object(Bucket="shop", Key="photos/a.jpg", Body=photo(7))
    index(place)
    asked: list[str] = []
    from boxset.sources.s3 import Bucket

    real = Bucket.picture
    monkeypatch.setattr(Bucket, "picture", lambda self, name, *, max_bytes: (asked.append(name), real(self, name, max_bytes=max_bytes))[1])
    _, again = take(place)

    assert asked == ["a.jpg"]
    assert len({p.sha256 for p in pool.pictures} | {p.sha256 for p in again.pictures}) == 3


def test_yolo_in_a_bucket(bucket: Any) -> None:
    files = {"classes.txt": b"hammer\nsaw\n", "images/a.jpg": photo(1), "labels/a.txt": b"0 0.5 0.5 0.5 0.5\n"}
    for key, content in files.items():
        bucket.put_object(Bucket="shop", Key=key, Body=content)

    index("s3://shop")
    _, pool = take("s3://shop")

    assert [a.bbox for a in pool.annotations] == [(100, 75, 200, 150)]


def test_a_bucket_is_listed_once(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put_object(Bucket="shop", Key="photos/a.jpg", Body=photo(1))
    listed: list[str] = []
    entries = Bucket.entries
    monkeypatch.setattr(Bucket, "entries", lambda self: listed.append(self.prefix) or entries(self))

    index("s3://shop/photos")

    assert listed == ["photos"]


def test_more_pictures_than_a_page_lists_are_all_there(bucket: Any) -> None:
    for number in range(1005):
        bucket.put_object(Bucket="shop", Key=f"many/{number}.jpg", Body=b"x")

    assert len(place_of("s3://shop/many", Endpoints()).entries()) == 1005


def test_a_bucket_that_is_not_there_or_refuses_is_named(bucket: Any) -> None:
    with pytest.raises(ServiceError, match=r"s3://nowhere/x: NoSuchBucket.*sources.<name>.path in params.yaml"):
        index("s3://nowhere/x")


@pytest.mark.parametrize("code", DENIED)
def test_a_bucket_that_may_not_be_listed_says_which_rights_are_needed(bucket: Any, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "Access Denied"}}, "ListObjectsV2")

    monkeypatch.setattr("botocore.paginate.PageIterator.__iter__", denied)

    with pytest.raises(ServiceError, match=r"s3://shop/x: AccessDenied: it may not be listed.* needs s3:ListBucket on shop and s3:GetObject"):
        index("s3://shop/x")


def test_orders_of_another_version_are_no_hindrance() -> None:
    Path("data/resolve/sources").mkdir(parents=True)
    Path("data/resolve/sources/own.json").write_text('{"name": "own", "listing": "abc"}')
    write_json(Path("data/resolve/sources/more.json"), index_order("more", Source(format="local"), "def"))

    assert known_listings(Path("data/resolve")) == {"more": "def"}


def test_order_of_a_source_that_is_not_local_has_no_listing() -> None:
    assert index_order("coco", Source()) == IndexOrder(
        name="coco", on=True, format="coco", path="", files={}, sha256={}, splits=(), annotations="", license="", max_lost_share=0.02, listing=""
    )

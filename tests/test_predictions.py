"""A detector's results come in record by record or not at all, and are kept by the pictures' content."""

import gzip
import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxset.dataset.predictions import Predictions
from boxset.errors import InputError, ProjectError
from boxset.predictions import results as results_module
from boxset.predictions.images import Listed, counted_from, read_images, write_images
from boxset.predictions.results import read_results
from boxset.predictions.store import names, path_of, read, read_folder, write
from tests.detector import predictions, result, write_listed

CATEGORIES = {1: "hammer", 2: "saw"}


def taken(folder: Path, content: object, *, least: float = 0.0, partial: bool = False) -> Predictions:
    """What is read of a results file with this content: bytes as they are, anything else as JSON."""
    path = folder / "results.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return read_results([path], read_images(write_listed(folder / "images.json")), least=least, partial=partial).predictions


def rows(found: Predictions) -> dict[str, list[tuple[Any, ...]]]:
    """Predictions by the last digit of the picture's hash."""
    said: dict[str, list[tuple[Any, ...]]] = {}
    for place, sha256 in enumerate(found.pictures):
        part = range(*found.starts[place : place + 2])
        said[sha256[-1]] = [(int(found.category_ids[k]), *found.boxes[k].tolist(), round(float(found.scores[k]), 4)) for k in part]
    return said


def test_results_are_kept_by_content_the_surest_first_and_pictures_without_any_too(tmp_path: Path) -> None:
    found = taken(tmp_path, [result(image_id=3, score=0.4), result(image_id=1), result(image_id=3, category_id=2, score=0.7)])

    assert rows(found) == {
        "1": [(1, 10.0, 20.0, 100.0, 80.0, 0.9)],
        "2": [],
        "3": [(2, 10.0, 20.0, 100.0, 80.0, 0.7), (1, 10.0, 20.0, 100.0, 80.0, 0.4)],
    }


def test_partial_results_say_nothing_of_pictures_that_they_do_not_name(tmp_path: Path) -> None:
    found = taken(tmp_path, [result(image_id=3), result(image_id=2, score=0.01)], least=0.05, partial=True)

    assert {name: len(some) for name, some in rows(found).items()} == {"2": 0, "3": 1}


@pytest.mark.parametrize("name", [1, f"{1:064x}", f"{1:064x}.jpg", f"pictures/{1:064x}.jpg"])
def test_a_picture_may_be_called_by_its_id_or_by_its_files_name(tmp_path: Path, name: int | str) -> None:
    assert len(rows(taken(tmp_path, [result(image_id=name)]))["1"]) == 1


def test_a_box_that_sticks_out_by_rounding_is_clipped(tmp_path: Path) -> None:
    found = taken(tmp_path, [result(bbox=[-1.5, 0, 403, 301.9])])

    assert rows(found)["1"][0][1:5] == (0.0, 0.0, 400.0, 300.0)


@pytest.mark.parametrize("bbox", [[400, 20, 0, 30], [400.4, 20, 1, 30], [10, 300.0, 20, 0.0]])
def test_some_boxes_without_an_area_as_detectors_clip_them_are_left_out_and_counted(tmp_path: Path, bbox: list[float]) -> None:
    many = [result(bbox=[n, 20, 30, 40], score=n / 200) for n in range(1, 200)]
    path = tmp_path / "results.json"
    path.write_text(json.dumps([result(bbox=bbox, image_id=2, score=0.01), *many]))
    listed = read_images(write_listed(tmp_path / "images.json"))

    found = read_results([path], listed, least=0.0)
    path.write_text(json.dumps([result(category_id=1.0), *(result(bbox=bbox, score=n / 9) for n in range(1, 4)), *many]))

    assert (len(found.predictions), found.flat) == (199, 1)
    with pytest.raises(InputError, match="record 2: bbox: "):
        read_results([path], listed, least=0.0)


def test_a_box_may_stick_out_of_a_large_picture_by_a_hundredth(tmp_path: Path) -> None:
    large = [{"id": 1, "file_name": f"{1:064x}.jpg", "width": 4000, "height": 300}]
    listed = read_images(write_listed(tmp_path / "images.json", images=large))
    path = tmp_path / "results.json"
    path.write_text(json.dumps([result(bbox=[-39, 10, 4070, 200])]))

    assert read_results([path], listed, least=0.0).predictions.boxes.tolist() == [[0, 10, 4000, 200]]


def test_a_thin_box_is_written_so_that_it_is_read_again(tmp_path: Path) -> None:
    write(path_of("v1", tmp_path), predictions({"a" * 64: [(1, (1.0, 2.0, 0.03, 4.0), 0.9)]}), CATEGORIES)

    assert read("v1", tmp_path).boxes.tolist() == [[1.0, 2.0, 0.1, 4.0]]


def test_a_name_that_two_pictures_have_is_none_and_a_number_goes_before_a_name(tmp_path: Path) -> None:
    images = [{"id": name, "file_name": f"{folder}/b.jpg", "width": 400, "height": 300, "sha256": f"{n:064x}"} for n, name, folder in ((1, "one", "b"), (2, "b/b.jpg", "c"))]
    listed = read_images(write_listed(tmp_path / "images.json", images=images))
    path = tmp_path / "results.json"
    path.write_text(json.dumps([result(image_id="b/b.jpg")]))

    assert {name: len(some) for name, some in rows(read_results([path], listed, least=0.0).predictions).items()} == {"1": 0, "2": 1}
    path.write_text(json.dumps([result(image_id="b.jpg")]))
    with pytest.raises(InputError, match=r'has no picture "b\.jpg"'):
        read_results([path], listed, least=0.0)


def test_a_score_above_one_by_rounding_is_one(tmp_path: Path) -> None:
    assert rows(taken(tmp_path, [result(score=1.00000012)]))["1"][0][5] == 1.0


def test_a_string_that_a_piece_cuts_is_read_beside_numbers_that_are_written_as_floats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_module, "PIECE", 1000)
    many = [result(category_id=1.0, bbox=[n, 20, 30, 40], score=n / 100, segmentation={"counts": "x" * 700}) for n in range(1, 90)]

    assert len(taken(tmp_path, many)) == 89


def test_fields_that_are_not_asked_for_are_passed_over_and_numbers_may_be_written_as_floats(tmp_path: Path) -> None:
    found = taken(tmp_path, [result(segmentation={"counts": "}, {]", "size": [3, 4]}, category_id=1.0, area=1, id=4)])

    assert len(found) == 1


def test_a_category_that_is_named_is_what_its_name_says_whatever_number_the_detector_has_for_it(tmp_path: Path) -> None:
    named = [result(category_id=87, category_name="saw"), result(category_id=1.0, category_name="saw", score=0.8), result(category_id=1, score=0.7, category_name=None)]

    assert [row[0] for row in rows(taken(tmp_path, named))["1"]] == [2, 2, 1]


EVIL: dict[str, tuple[Callable[[], object], str]] = {
    "unknown picture": (lambda: [result(), result(image_id=9)], r"record 2: image_id: .*images.json has no picture 9. Name the file that"),
    "unknown name": (lambda: [result(image_id="9.jpg")], r'record 1: image_id: .* has no picture "9.jpg"'),
    "no picture": (lambda: [{k: v for k, v in result().items() if k != "image_id"}], r"record 1: image_id: missing"),
    "picture that is none": (lambda: [result(image_id=None)], r"record 1: image_id: null is neither a whole number nor a file's name"),
    "unknown category": (lambda: [result(category_id=7)], r"record 1: category_id: 7 is none of 1 hammer, 2 saw"),
    "yolo's category": (lambda: [result(category_id=0)], r"category_id: 0 is none of 1 hammer, 2 saw. YOLO counts classes in the order of the ids: --yolo-from 0"),
    "coco's category": (lambda: [result(category_id=44)], r"44 is none of 1 hammer, 2 saw. .* such as COCO's 1 to 90, can give each record a category_name"),
    "another category's name": (lambda: [result(), result(category_name="hamer")], r'record 2: category_name: "hamer" is none of hammer, saw; did you mean hammer'),
    "a name that is none": (lambda: [result(category_name=["hammer"])], r'record 1: category_name: \["hammer"\] is no name'),
    "category in words": (lambda: [result(category_id="hammer")], r'record 1: category_id: "hammer" is no whole number'),
    "category true": (lambda: [result(category_id=True)], r"record 1: category_id: true is no whole number"),
    "score above one": (lambda: [result(score=1.01)], r"record 1: score: 1.01 does not lie within 0 to 1"),
    "score in percent": (lambda: [result(score=93)], r"score: 93 does not lie within 0 to 1; is it in percent"),
    "score below nought": (lambda: [result(score=-0.1)], r"score: -0.1 does not lie within 0 to 1"),
    "score NaN": (lambda: json.dumps([result(), result(score=float("nan"))]).encode(), r"record 2: score: nan does not lie within 0 to 1"),
    "score infinite": (lambda: json.dumps([result(score=float("inf"))]).encode(), r"record 1: score: inf does not lie"),
    "score null": (lambda: [result(score=None)], r"record 1: score: null is no number"),
    "score misspelt": (lambda: [{**{k: v for k, v in result().items() if k != "score"}, "scores": 0.5}], r"record 1: score: missing; did you mean scores"),
    "bbox NaN": (lambda: json.dumps([result(bbox=[1, float("nan"), 3, 4])]).encode(), r"record 1: bbox: y: nan is no number"),
    "bbox of three": (lambda: [result(bbox=[1, 2, 3])], r"record 1: bbox: \[1, 2, 3\] is not four numbers"),
    "bbox of words": (lambda: [result(bbox=["1", 2, 3, 4])], r"record 1: bbox: .* is not four numbers"),
    "bbox null": (lambda: [result(bbox=None)], r"record 1: bbox: null is not four numbers"),
    "bbox beyond all numbers": (lambda: [result(bbox=[1e308, 20, 1e308, 4])], r"record 1: bbox: \[1e\+308, 20, 1e\+308, 4\] lies outside"),
    "picture beyond all numbers": (lambda: [result(image_id=1 << 63)], r"record 1: image_id: 9223372036854775808 is neither a whole number"),
    "category beyond all numbers": (lambda: [result(category_id=10**400)], r"record 1: category_id: 10+ is no whole number"),
    "a number without end": (lambda: b'[{"image_id": ' + b"1" * 5000 + b"}]", r"record 1: no JSON: a number without end"),
    "no width": (lambda: [result(bbox=[10, 20, 0, 4])], r"record 1: bbox: width: 0 is not more than 0"),
    "negative height": (lambda: [result(bbox=[10, 20, 5, -4])], r"record 1: bbox: height: -4 is not more than 0"),
    "outside": (lambda: [result(), result(bbox=[350, 20, 60, 4])], r"record 2: bbox: \[350, 20, 60, 4\] lies outside the picture of 400 x 300. Was the detector"),
    "far outside": (lambda: [result(bbox=[500, 20, 60, 4])], r"record 1: bbox: .* lies outside"),
    "two corners": (lambda: [result(bbox=[200, 150, 390, 290], score=0.1)], r"lies outside the picture of 400 x 300. These look like two corners"),
    "just outside": (lambda: [result(bbox=[400.5, 20, 1, 4])], r"record 1: bbox: \[400.5, 20, 1, 4\] lies outside the picture"),
    "shares": (lambda: [result(bbox=[0.1, 0.2, 0.3, n / 100]) for n in range(1, 30)], r"record 1: bbox: all numbers are shares of the picture"),
    "the same twice": (lambda: [result(), result(image_id=2), result()], r"record 3: the same as record 1"),
    "ground truth as a list": (lambda: [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12}], r"record 1: score: missing; these are a data set's annotations"),
    "ground truth with scores": (lambda: [result(bbox=[n, 20, 30, 40], score=1.0) for n in range(1, 30)], r"score: all 29 are 1: a data set's own boxes"),
    "ground truth": (lambda: {"images": [], "annotations": [], "categories": []}, r"results.json: a COCO data set, not a detector's results. Results are a list"),
    "an object": (lambda: {"predictions": []}, r"results.json: an object, not a list"),
    "a number": (lambda: 3, r"results.json: no JSON list: it begins with"),
    "an empty list": (list, r"results.json: an empty list"),
    "empty": (lambda: b"", r"results.json: empty"),
    "a record that is a list": (lambda: [result(), [1, 2]], r"record 2: not an object: \[1, 2\]"),
    "cut off in a record": (lambda: json.dumps([result(), result(image_id=2)]).encode()[:-20], r"record 2: the file ends in the middle of it. It was cut off"),
    "cut off after a record": (lambda: json.dumps([result(), result(image_id=2)]).encode()[:-1], r"the list does not end after record 2"),
    "cut off after a comma": (lambda: json.dumps([result(), result(image_id=2)]).encode().partition(b"}, ")[0] + b"}, ", r"the list does not end after record 1"),
    "no commas": (lambda: b"[" + json.dumps(result()).encode() + b" " + json.dumps(result(image_id=2)).encode() + b"]", r"record 1: '\{' follows it, not a comma"),
    "something behind": (lambda: json.dumps([result()]).encode() + b" [1]", r"after the list, which ends with record 1, stands '\[1\]'"),
    "one record a line": (lambda: json.dumps(result()).encode() + b"\n" + json.dumps(result()).encode(), r"an object, not a list"),
    "no JSON inside": (lambda: b"[" + json.dumps(result()).encode() + b", {image_id: 1}]", r"record 2: no JSON: Expecting property name"),
    "deeply nested": (lambda: b"[" + b"[" * 200_000, r"record 1: (no JSON: nested too deeply|the file ends)"),
    "not UTF-8": (lambda: json.dumps([result()]).encode().replace(b"score", b"sc\xffre"), r"not UTF-8"),
    "a pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", r"results.json:1: a Git-LFS pointer"),
    "a web page": (lambda: b"<!DOCTYPE html><html>404</html>", r"results.json:1: a web page, not data"),
    "a broken archive": (lambda: gzip.compress(json.dumps([result()] * 3).encode())[:-12], r"results.json: cannot read"),
}


@pytest.mark.parametrize("what", EVIL)
def test_what_is_wrong_is_named_by_file_record_and_field(tmp_path: Path, what: str) -> None:
    content, message = EVIL[what]

    with pytest.raises(InputError, match=message) as raised:
        taken(tmp_path, content())

    assert str(raised.value).startswith(str(tmp_path / "results.json"))


@pytest.mark.parametrize("piece", [64, 200, 1000])
def test_a_fault_has_the_same_number_wherever_the_file_is_cut_into_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(results_module, "PIECE", piece)
    many = [result(bbox=[n, 20, 30, 40], score=n / 100, extra={"nested": [{"a": 1}, {"b": 2}], "said": "}, {"}) for n in range(1, 90)]

    assert len(taken(tmp_path, many)) == 89
    many[70]["score"] = 2
    with pytest.raises(InputError, match="record 71: score: 2 does not lie"):
        taken(tmp_path, many)
    del many[70]["score"]
    with pytest.raises(InputError, match="record 71: score: missing"):
        taken(tmp_path, many)


@settings(max_examples=60)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_no_bytes_whatever_bring_anything_but_an_error_that_says_what(tmp_path_factory: pytest.TempPathFactory, junk: bytes, where: int) -> None:
    whole = json.dumps([result(), result(image_id=2)]).encode()

    with suppress(InputError):
        assert len(taken(tmp_path_factory.mktemp("junk"), whole[:where] + junk + whole[where:])) <= 2


def test_folds_come_in_together_and_a_picture_of_two_of_them_does_not(tmp_path: Path) -> None:
    listed = read_images(write_listed(tmp_path / "images.json"))
    folds = [tmp_path / "fold1.json", tmp_path / "fold2.json"]
    for number, path in enumerate(folds, 1):
        path.write_text(json.dumps([result(image_id=number)]))

    both = read_results(folds, listed, least=0.0).predictions
    folds[1].write_text(json.dumps([result(image_id=2), result(image_id=1, score=0.3)]))

    assert {name: len(some) for name, some in rows(both).items()} == {"1": 1, "2": 1, "3": 0}
    with pytest.raises(InputError, match=r"fold2.json: image_id: .*fold1.json has predictions of pictures/0+1.jpg as well"):
        read_results(folds, listed, least=0.0)


def test_what_is_under_the_least_score_is_counted_and_packed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json.gz"
    path.write_bytes(gzip.compress(json.dumps([result(), result(image_id=2, score=0.01)]).encode()))

    found = read_results([path], read_images(write_listed(tmp_path / "images.json")), least=0.05)

    assert (len(found.predictions), found.weak) == (1, 1)


IMAGES: dict[str, tuple[Callable[[], object], str]] = {
    "no images": (lambda: {"annotations": []}, r"not a COCO file of images: .*images"),
    "results": (lambda: [result()], r"not a COCO file of images"),
    "no hash": (lambda: {"images": [{"id": 1, "file_name": "a.jpg", "width": 4, "height": 3}]}, r"images\[0\].sha256: a.jpg: there is no SHA-256"),
    "one id twice": (
        lambda: {"images": [{"id": 1, "file_name": f"{n:064x}.jpg", "width": 4, "height": 3} for n in (1, 2)]},
        r"images\[1\].id: 1: images\[0\] has it as well",
    ),
    "one picture twice": (
        lambda: {"images": [{"id": n, "file_name": f"{1:064x}.jpg", "width": 4, "height": 3} for n in (1, 2)]},
        r"images\[1\].sha256: 0+1: images\[0\] has it as well",
    ),
    "no size": (
        lambda: {"images": [{"id": 1, "file_name": f"{1:064x}.jpg", "width": 0, "height": 3}]},
        r"not a COCO file of images: Expected `int` >= 1 - at `\$.images\[0\].width`",
    ),
    "one category id twice": (
        lambda: {"images": [], "categories": [{"id": 1, "name": "hammer"}, {"id": 1, "name": "saw"}]},
        r"categories\[1\].id: 1: it is hammer as well",
    ),
}


@pytest.mark.parametrize("what", IMAGES)
def test_an_images_file_that_will_not_do_is_refused_by_record_and_field(tmp_path: Path, what: str) -> None:
    content, message = IMAGES[what]
    (tmp_path / "images.json").write_text(json.dumps(content()))

    with pytest.raises(InputError, match=message):
        read_images(tmp_path / "images.json")


def test_an_images_file_leads_from_its_own_folder_to_the_pictures(tmp_path: Path) -> None:
    listed = [Listed(id=1, file_name="data/a.jpg", width=4, height=3, sha256=f"{1:064x}", split="val")]

    write_images(tmp_path / "runs/one/images.json", listed, CATEGORIES, root=tmp_path)

    found = json.loads((tmp_path / "runs/one/images.json").read_text())
    assert found["images"] == [{"id": 1, "file_name": "../../data/a.jpg", "width": 4, "height": 3, "sha256": f"{1:064x}", "split": "val"}]
    assert read_images(tmp_path / "runs/one/images.json").categories == CATEGORIES


def test_the_order_of_the_records_changes_no_byte(tmp_path: Path) -> None:
    many = [result(image_id=1 + n % 3, bbox=[n, 20, 30, 40], score=round(0.3 + n % 5 / 10, 2), category_id=1 + n % 2) for n in range(60)]
    write(tmp_path / "a.jsonl.gz", taken(tmp_path, many), CATEGORIES)
    random.Random(1).shuffle(many)
    write(tmp_path / "b.jsonl.gz", taken(tmp_path, many), CATEGORIES)

    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    seen = predictions({"a" * 64: [(1, (1.0, 2.0, 3.5, 4.0), 0.9), (2, (1.0, 2.0, 0.1, 4.0), 0.25)], "b" * 64: []})
    write(path_of("v1", tmp_path), seen, CATEGORIES)

    found = read("v1", tmp_path)

    assert (found.pictures, found.models) == (seen.pictures, ("v1",))
    assert rows(found) == rows(seen)


def test_the_later_of_two_names_holds_and_an_empty_folder_has_none(tmp_path: Path) -> None:
    for name in ("v10", "v9", "v9-crawl"):
        write(path_of(name, tmp_path), predictions({"a" * 64: [(1, (1, 2, 3, 4), 0.5)]}), CATEGORIES)

    assert names(tmp_path) == ["v9", "v9-crawl", "v10"]
    assert [read_folder(tmp_path, categories=CATEGORIES).models[m] for m in read_folder(tmp_path, categories=CATEGORIES).model_of] == ["v10"]
    assert read_folder(tmp_path / "none", categories=CATEGORIES).pictures == ()


def test_names_that_count_alike_have_one_order(tmp_path: Path) -> None:
    for name in ("v1", "v01", "v001", "v0001", "v00001"):
        write(path_of(name, tmp_path), predictions({"a" * 64: []}), CATEGORIES)

    assert names(tmp_path) == ["v00001", "v0001", "v001", "v01", "v1"]


@pytest.mark.parametrize("name", ["v\N{SUPERSCRIPT TWO}", "my model"])
def test_a_file_whose_name_is_none_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.jsonl.gz").write_bytes(b"")

    with pytest.raises(InputError, match=rf"{name}.jsonl.gz: '{name}' is no name. Rename it"):
        names(tmp_path)


TODAY: dict[str, tuple[dict[int, str], list[int]]] = {
    "as it was": ({1: "hammer", 2: "saw"}, [1, 2]),
    "one has another id": ({1: "hammer", 2: "wrench", 3: "saw"}, [1, 3]),
    "both have the other's": ({2: "hammer", 1: "saw"}, [2, 1]),
    "one was renamed": ({1: "claw hammer", 2: "saw"}, [1, 2]),
    "one is no more": ({1: "hammer"}, [1, 2]),
    "one is no more, and the other has its id": ({1: "saw"}, [-1, 1]),
}


@pytest.mark.parametrize("what", TODAY)
def test_predictions_keep_their_category_when_ids_move(tmp_path: Path, what: str) -> None:
    today, ids = TODAY[what]
    write(path_of("v1", tmp_path), predictions({"a" * 64: [(1, (1, 2, 3, 4), 0.9), (2, (1, 2, 3, 4), 0.5)]}), CATEGORIES)

    assert read_folder(tmp_path, categories=today).category_ids.tolist() == ids


def spoilt(edit: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    """An edit of the lines inside the packed file."""
    return lambda content: gzip.compress(b"".join(edit(gzip.decompress(content).splitlines(keepends=True))))


SPOILT: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut off": (lambda content: content[:-9], r"v1.jsonl.gz: cannot be unpacked"),
    "no archive": (lambda content: b"hello, this is no archive", r"v1.jsonl.gz: cannot be unpacked"),
    "empty": (lambda content: b"", r"v1.jsonl.gz: empty"),
    "a pointer": (lambda content: b"version https://git-lfs.github.com/spec/v1\n", r"v1.jsonl.gz:1: a Git-LFS pointer"),
    "a line lost": (spoilt(lambda lines: lines[:-1]), r"v1.jsonl.gz: 1 picture and 1 box, and the first line says 2 and 1"),
    "another order": (spoilt(lambda lines: [lines[0], *lines[:0:-1]]), r"v1.jsonl.gz:3: sha256: the pictures are not in their order"),
    "another format": (spoilt(lambda lines: [lines[0].replace(b"predictions 1", b"predictions 9"), *lines[1:]]), r"v1.jsonl.gz:1: format: 'boxset predictions 9'"),
    "no header": (spoilt(lambda lines: lines[1:]), r"v1.jsonl.gz:1: not what was expected"),
    "a score too high": (spoilt(lambda lines: [lines[0], lines[1].replace(b"0.5", b"1.5"), lines[2]]), r"v1.jsonl.gz:2: not what was expected: .*<= 1"),
    "no hash": (spoilt(lambda lines: [lines[0], lines[1].replace(b"aaa", b"xyz"), lines[2]]), r"v1.jsonl.gz:2: not what was expected"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_file_that_was_spoilt_is_named_by_file_and_line(tmp_path: Path, what: str) -> None:
    edit, message = SPOILT[what]
    path = path_of("v1", tmp_path)
    write(path, predictions({"a" * 64: [(1, (1, 2, 3, 4), 0.5)], "b" * 64: []}), CATEGORIES)
    path.write_bytes(edit(path.read_bytes()))

    with pytest.raises(InputError, match=message):
        read_folder(tmp_path, categories=CATEGORIES)


def test_predictions_that_dvc_keeps_elsewhere_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "v1.jsonl.gz.dvc").write_text("outs:\n")

    with pytest.raises(ProjectError, match=r"v1.jsonl.gz: DVC keeps these predictions, and they are not here. `dvc pull"):
        read_folder(tmp_path, categories=CATEGORIES)


def test_a_file_that_does_not_belong_there_is_named(tmp_path: Path) -> None:
    (tmp_path / ".gitkeep").touch()
    (tmp_path / "results.json").write_text("[]")

    with pytest.raises(InputError, match=r"results.json: not what `boxset predictions add` writes"):
        read_folder(tmp_path, categories=CATEGORIES)


@pytest.mark.parametrize("name", ["", "../v1", "a/b", ".v1", "v 1", "v1.jsonl.gz", "x" * 65])
def test_a_name_that_would_leave_the_folder_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no name"):
        path_of(name, tmp_path)


@pytest.mark.parametrize("first", [0, 1])
def test_classes_that_yolo_counts_become_the_data_sets_ids(tmp_path: Path, first: int) -> None:
    categories = [{"id": 9, "name": "saw"}, {"id": 4, "name": "hammer"}]
    listed = counted_from(read_images(write_listed(tmp_path / "images.json", categories=categories)), first)
    path = tmp_path / "results.json"
    path.write_text(json.dumps([result(category_id=first), result(category_id=first + 1, score=0.5)]))

    found = read_results([path], listed, least=0.0).predictions
    path.write_text(json.dumps([result(category_id=first + 2)]))

    assert found.category_ids.tolist() == [4, 9]
    with pytest.raises(InputError, match=f"category_id: {first + 2} is none of {first} hammer, {first + 1} saw"):
        read_results([path], listed, least=0.0)


def test_cocos_own_tools_load_the_images_file_and_results_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO

    write_images(tmp_path / "images.json", [Listed(id=1, file_name="a.jpg", width=400, height=300, sha256=f"{1:064x}")], CATEGORIES, root=tmp_path)

    loaded = COCO(str(tmp_path / "images.json"))

    assert len(loaded.loadRes([result()]).anns) == 1
    capsys.readouterr()

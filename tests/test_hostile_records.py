"""Source files that are damaged, or say what they should not: nothing is lost or invented in silence, and nothing false is concluded."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from boxset.dataset.records import State
from boxset.errors import InputError
from boxset.params import ClassTerm, FlagPolicies, Licences
from boxset.resolve import ExtractOrder
from boxset.sources import coco, tables
from boxset.sources.choice import choose
from boxset.sources.licences import allowed, stated
from tests.project import REPOSITORY
from tests.test_odd_records import LABELS, csv_of, open_images
from tests.test_sources import INDEX, all_boxes, build

IMAGE = {"id": 1, "width": 10, "height": 10, "file_name": "a.jpg"}
BOX = {"segmentation": [[1.5, 2.5, 3.5, 4.5]], "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
DOCUMENT = {"images": [IMAGE], "annotations": [BOX], "categories": [{"id": 1, "name": "hammer"}]}
THING = {"x": 1, "y": 2, "w": 3, "h": 4, "names": ["a"], "synsets": ["a.n.01"]}
ONE = {"image_id": 1, "objects": [THING]}
DEEP = "[" * 3000 + "]" * 3000


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read_coco(text: str | bytes, **more: Any) -> dict[str, Any]:
    """Index one split of COCO."""
    Path("c.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return build("coco", files={"instances_train": "c.json"}, splits=("train",), **{"max_lost_share": 0.9, **more})


def read_genome(text: str | bytes, **more: Any) -> dict[str, Any]:
    """Index Visual Genome's objects."""
    Path("o.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return build("visual_genome", files={"objects": "o.json", "images": "none", "aliases": "none"}, **more)


def known(source: str) -> dict[tuple[str, str], State]:
    """What is known of hammers in the chosen images of an index, a hundred negatives among them."""
    fields: dict[str, Any] = {"max_images_per_category": 0, "negatives": 100, "max_missing_share": 0.0, "retry": 0, "category": "", "annotations": "", "path": ""}
    order = ExtractOrder(
        name="x", on=True, format=source, classes={"hammer": (ClassTerm(name="Hammer"),)}, use="research", licences=Licences(), flags=FlagPolicies(), **fields
    )
    return choose(order, INDEX).known


def test_a_hole_in_a_file_of_cocos_is_refused() -> None:
    boxes = [{**BOX, "segmentation": [[1.25] * 60], "bbox": [n, 2, 3, 4]} for n in range(200)]
    text = json.dumps({**DOCUMENT, "annotations": boxes}).encode()
    begin = text.find(b"1.25, 1.25", len(text) // 2)
    end = text.find(b"1.25, 1.25", begin + 4096)
    for hole in (bytes(end - begin), b'"}, {"x": ' * 3, b"\xff" * 40):
        with pytest.raises(InputError, match=r"c\.json"):
            read_coco(text[:begin] + hole + text[end:], max_lost_share=0.0)


@pytest.mark.parametrize("text", ["[null]", "[null, null]", '[{"image_id": 1, "objects": []}, null]', "[1]", '["a"]'])
def test_an_array_of_other_things_is_refused_and_ends_no_process(text: str) -> None:
    code = f"""
from boxset.errors import InputError
from tests.test_hostile_records import read_genome
try:
    read_genome({text!r})
except InputError as err:
    print(err.where)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(REPOSITORY)}, check=True)
    assert done.stdout.splitlines()[-1].startswith("o.json")


def test_an_image_with_a_box_that_cannot_be_read_is_never_said_to_show_none() -> None:
    boxes = [{**BOX, "image_id": n} for n in range(1, 100)] + [{**BOX, "image_id": n, "bbox": [1, 2, 3, None]} for n in (99, 100)]
    images = [{**IMAGE, "id": n, "file_name": f"{n}.jpg"} for n in range(1, 103)]
    metrics = read_coco(json.dumps({**DOCUMENT, "images": images, "annotations": boxes}), max_lost_share=0.02)

    states = known("coco")

    assert metrics["dropped"] == {"bad_row": 2}
    assert (states["98", "hammer"], states["99", "hammer"], states["101", "hammer"]) == (State.PRESENT, State.PARTIAL, State.ABSENT)
    assert ("100", "hammer") not in states


@pytest.mark.parametrize("odd", ["{id},xclick,/m/1,1,x,0.5,0.2,0.3,0,0,0,0,0", "{id},xclick,/m/1,1,0.1,1.5,0.2,0.3,0,0,0,0,0"])
def test_an_image_of_open_images_of_which_a_row_is_lost_is_not_fully_boxed(odd: str) -> None:
    one = f"{7:016x}"
    open_images({"boxes": csv_of("boxes", odd.format(id=one))})

    states = known("open_images")

    assert (states[one, "hammer"], states[f"{8:016x}", "hammer"]) == (State.PARTIAL, State.PRESENT)


def test_labels_that_contradict_each_other_say_nothing() -> None:
    other, none = f"{900:016x}", f"{901:016x}"
    open_images({"labels": csv_of("labels", f"{other},verification,/m/1,1", f"{other},verification,/m/1,0", f"{none},verification,/m/1,0")})

    states = known("open_images")

    assert (other, "hammer") not in states
    assert states[none, "hammer"] is State.ABSENT


@pytest.mark.parametrize("source", ["coco", "lvis"])
def test_numbers_that_mean_other_things_in_another_split_are_refused(source: str) -> None:
    more: dict[str, Any] = {"neg_category_ids": [], "not_exhaustive_category_ids": []} if source == "lvis" else {}
    Path("a.json").write_text(json.dumps({**DOCUMENT, "images": [{**IMAGE, **more}]}))
    other = {"images": [{**IMAGE, **more, "id": 2}], "annotations": [{**BOX, "image_id": 2}], "categories": [{"id": 1, "name": "saw"}]}
    Path("b.json").write_text(json.dumps(other))
    name = "instances" if source == "coco" else "lvis"

    with pytest.raises(InputError, match=r"b\.json: categories\[…\]: 1 is 'saw' here, and 'hammer' before"):
        build(source, files={f"{name}_train": "a.json", f"{name}_val": "b.json"})


def test_one_number_with_two_names_is_refused_and_one_category_said_twice_is_one() -> None:
    with pytest.raises(InputError, match="1 is 'saw' here, and 'hammer' before"):
        read_coco(json.dumps({**DOCUMENT, "categories": [{"id": 1, "name": "hammer"}, {"id": 1, "name": "saw"}]}))
    read_coco(json.dumps({**DOCUMENT, "categories": [{"id": 1, "name": "hammer"}, {"id": 1, "name": "hammer"}]}))
    assert [(row["name"], row["boxes"]) for row in tables.classes_table(INDEX).to_pylist()] == [("hammer", 1)]


@pytest.mark.parametrize(
    ("said", "is_allowed"),
    [
        *((text, False) for text in ("for research purposes only", "For academic purposes only", "only for research", "Only for the use in education")),
        *((text, False) for text in ("all rights are reserved", "CC BY-NonCom 4.0", "CC BY 4.0, no commercial use", "Attribution 4.0, personal use only")),
        *((f"CC BY 4.0{text}", False) for text in (", personal use only", ", not for commercial use", ", commercial use prohibited")),
        *((f"CC BY{text}", False) for text in (", research only", "-SA (academic use)")),
        ("CC BY-SA 4.0 except for commercial use", False),
        *((text, False) for text in ("not free for commercial use", "May not be used for commercial purposes", "Commercial use is not permitted")),
        *((text, True) for text in ("free for personal and commercial use", "Not for resale; commercial use allowed", "CC BY")),
        ("not copyrighted, commercial use ok", True),
        *((text, True) for text in ("CC BY-NoDerivs 2.0", "CC BY-ND 4.0", "Attribution-NoDerivatives 4.0 International", "Zero-Clause BSD", "CC0")),
    ],
)
def test_terms_that_forbid_commerce_in_usual_words_are_kept_out_of_it(said: str, is_allowed: bool) -> None:
    assert allowed(stated(said), "commercial", Licences()) is is_allowed


@pytest.mark.parametrize(
    ("said", "spdx"),
    [
        ("CC BY-NonCom 4.0", "CC-BY-NC-4.0"),
        ("Zero-Clause BSD", "LicenseRef-Zero-Clause-BSD"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("zero", "CC0-1.0"),
        ("Not public domain", "LicenseRef-Not-public-domain"),
        ("Creative Commons Attribution-NoDerivs 2.0 Generic", "CC-BY-ND-2.0"),
    ],
)
def test_no_licence_is_invented(said: str, spdx: str) -> None:
    assert stated(said) == spdx


def test_a_machines_labels_are_not_taken_for_peoples() -> None:
    with pytest.raises(InputError, match=r"labels:51: Source: a machine's labels"):
        open_images({"labels": csv_of("labels", f"{7:016x},machine,/m/1,0.4")})


@pytest.mark.parametrize("confidence", ["0.4", "-1", "7", "inf", "nan"])
def test_a_confidence_that_no_person_gives_is_counted(confidence: str) -> None:
    metrics = open_images({"labels": csv_of("labels", f"{7:016x},verification,/m/1,{confidence}")})
    assert (metrics["verified"], metrics["dropped"]) == (99, {"bad_row": 1})


def test_labels_of_none_of_the_classes_are_passed_over() -> None:
    metrics = open_images({"labels": f"{LABELS}\na,verification,/m/other,1\n"})
    assert (metrics["verified"], metrics["boxes"]) == (0, 99)


def test_authors_and_titles_that_read_like_nothing_are_kept() -> None:
    text = csv_of("images").replace("A,T,0.0", "nan,null,0.0", 1).replace("A,T,0.0", '"NA","N/A",0.0', 1)
    open_images({"images": text})
    rows = {row["image_id"]: (row["author"], row["title"]) for row in tables.all_images(INDEX)}
    assert (rows[f"{0:016x}"], rows[f"{1:016x}"]) == (("nan", "null"), ("NA", "N/A"))


def test_bytes_that_are_no_text_are_a_refusal_of_the_file() -> None:
    with pytest.raises(InputError, match=r"c\.json"):
        read_coco(json.dumps(DOCUMENT).encode().replace(b"hammer", b"marteau \xe9"))
    Path("own").mkdir()
    Path("own/c.json").write_bytes(json.dumps(DOCUMENT).encode().replace(b"hammer", b"marteau \xe9"))
    with pytest.raises(InputError, match=r"c\.json"):
        build("local", path="own")
    with pytest.raises(InputError, match="hierarchy"):
        open_images({"hierarchy": b'{"LabelName": "/m/\xe9", "Subcategory": []}'})


def test_a_name_that_is_no_text_costs_its_own_object() -> None:
    text = json.dumps([{"image_id": n, "objects": [THING, THING]} for n in range(100)]).encode().replace(b'"a"', b'"\xe9"', 1)
    metrics = read_genome(text)
    assert (metrics["boxes"], metrics["dropped"]) == (199, {"bad_row": 1})


@pytest.mark.parametrize("source", ["coco", "visual_genome", "local"])
def test_thousands_of_brackets_are_an_answer_and_no_crash(source: str) -> None:
    if source == "visual_genome":
        with pytest.raises(InputError, match=r"o\.json"):
            read_genome(json.dumps([ONE]).replace('"a"', DEEP, 1))
        return
    text = json.dumps(DOCUMENT).replace("[[1.5, 2.5, 3.5, 4.5]]", DEEP)
    if source == "coco":  # nobody looks into what is no box
        assert read_coco(text)["boxes"] == 1
        with pytest.raises(InputError, match=r"c\.json"):
            read_coco(text.replace('"hammer"', DEEP))
        return
    Path("own").mkdir()
    Path("own/c.json").write_text(text)
    with pytest.raises(InputError, match=r"c\.json"):
        build("local", path="own")


@pytest.mark.parametrize("token", ["1_0", "\u0663", "\uff15", "+-1"])
def test_what_only_python_reads_as_a_number_is_a_bad_row_of_imagenets(token: str) -> None:
    Path("LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + f"v1,n00000001 {token} 2 30 40 \n" + "v2,n00000001 1 2 3 4 \n" * 99)
    metrics = build("imagenet", path=".", splits=("val",))
    assert (metrics["boxes"], metrics["dropped"]["bad_row"]) == (99, 1)


def test_a_bad_image_of_visual_genome_is_counted_wherever_blocks_end() -> None:
    images: list[dict[str, Any]] = [{**ONE, "image_id": n} for n in range(20_000)]
    images[0]["pad"] = "x" * ((1 << 20) - len(json.dumps(images)) % (1 << 20) - 12)  # the last whole block ends with the last sound image
    metrics = read_genome(json.dumps([*images, {**ONE, "image_id": "x"}]))
    assert (metrics["boxes"], metrics["dropped"]) == (20_000, {"bad_row": 1})


def test_empty_lines_do_not_shift_the_row_that_is_named() -> None:
    row = f"{1:016x},xclick,/m/1,1,0.1,0.5,0.2,0.3,0,0,0,0,0"
    head = csv_of("boxes", count=3)
    with pytest.raises(InputError, match=r"^boxes:8: XMax: 500 in a column of shares"):
        open_images({"boxes": f"{head}\n\n\n{row.replace('0.5', '500')}\n"})
    with pytest.raises(InputError, match=r"the first: boxes:8: XMax: 1\.5 is no share"):
        open_images({"boxes": f"{head}\n\n\n{row.replace('0.5', '1.5')}\n"}, max_lost_share=0.001)
    with pytest.raises(InputError, match=r"^classes:4: expected an id and a name"):
        open_images({"classes": "/m/1,Hammer\n\n\n/m/2\n"})


def both(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """What both readings come to."""

    def found() -> Any:
        try:
            return read_coco(text), all_boxes()
        except InputError as err:
            return str(err)

    at_once = found()
    with monkeypatch.context() as patiently:
        patiently.setattr(coco, "_at_once", lambda _: None)
        return at_once, found()


WHOLE = json.dumps(DOCUMENT)
TWO = json.dumps({**DOCUMENT, "annotations": [BOX, BOX]})


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"info": {"annotations": [BOX]}, **DOCUMENT, "annotations": []}),
        json.dumps({"info": {"annotations": []}, **DOCUMENT}),
        WHOLE[:-1] + ', "annotations": []}',
        WHOLE[:-1] + f', "annotations": {json.dumps([BOX, BOX])}' + "}",
        json.dumps({**DOCUMENT, "annotations": [{**BOX, "is_crowd": 1}]}).replace("is_crowd", "is\\u005fcrowd"),
        json.dumps({**DOCUMENT, "annotations": [{**BOX, "area": float("nan")}]}),
        json.dumps({**DOCUMENT, "annotations": [{**BOX, "area": float("inf")}]}),
        *(TWO.replace('}, {"segm', f'}}{between}{{"segm') for between in ("\n", " ", "", ",,", ", ,", "\v,", ",\f")),
        json.dumps({**DOCUMENT, "images": [{"id": 1, "file_name": "a.jpg"}]}),
        json.dumps({**DOCUMENT, "images": [{**IMAGE, "width": None}]}),
    ],
)
def test_both_readings_of_an_unusual_file_come_to_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, patient = both(text, monkeypatch)
    assert at_once == patient


def test_an_image_without_a_size_keeps_its_boxes() -> None:
    assert read_coco(json.dumps({**DOCUMENT, "images": [{"id": 1, "file_name": "a.jpg"}]}))["boxes"] == 1
    assert tables.all_images(INDEX)[0]["width"] is None


def test_a_number_that_a_files_list_of_licences_does_not_have_is_unknown() -> None:
    licences = [{"id": 1, "name": "MIT"}]
    read_coco(json.dumps({**DOCUMENT, "licenses": licences, "images": [{**IMAGE, "license": 4}, {**IMAGE, "id": 2, "license": 1}]}))
    assert [row["license"] for row in tables.all_images(INDEX)] == [None, "MIT"]

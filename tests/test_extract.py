"""Pictures and boxes come out of an index: in pixels of what is stored, with what is known, and nothing twice."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from boxset.dataset.records import ImageRow, Picture, read_pool
from boxset.dataset.takedown import NOTHING_DOWN, Takedowns, takedowns_for, takedowns_of
from boxset.endpoints import Endpoints
from boxset.errors import InputError
from boxset.files import read_jsonl
from boxset.params import ClassTerm, FlagPolicies, Licences
from boxset.resolve import ExtractOrder, IndexOrder
from boxset.sources.extract import extract, in_pixels
from boxset.sources.index import build_index
from boxset.sources.tables import FLAGS, IndexWriter
from tests.outside import outside
from tests.outside import photo as outside_photo

OUT = Path("data/extract/own")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()


def photo(name: str, *, size: tuple[int, int] = (400, 300), orientation: int = 1) -> None:
    """Put a picture into the folder of one's own."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).rotate(hash(name) % 5).convert("RGB").save(out, "JPEG", exif=exif)
    Path("own", name).write_bytes(out.getvalue())


FIELDS: dict[str, Any] = {
    "name": "own",
    "on": True,
    "format": "local",
    "path": "own",
    "use": "commercial",
    "licences": Licences(),
    "flags": FlagPolicies(),
    "max_images_per_category": 0,
    "negatives": 0,
    "max_missing_share": 0.5,
    "retry": 0,
    "category": "",
    "annotations": "c.json",
    "classes": {"hammer": (ClassTerm(name="hammer"),)},
}


def run(boxes: list[dict[str, Any]], images: list[dict[str, Any]], *, down: Takedowns = NOTHING_DOWN, **more: Any) -> dict[str, Any]:
    """Index and extract a folder with a COCO file."""
    categories = [{"id": 1, "name": "Hammer"}, {"id": 2, "name": "saw"}]
    Path("own/c.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    index = IndexOrder(
        name="own", on=True, format="local", path="own", files={}, sha256={}, splits=(), annotations="c.json", license="", max_lost_share=0.5
    )
    build_index(index, Path("data/index/own"), endpoints=Endpoints(), contact="", version=1)
    return extract(ExtractOrder(**{**FIELDS, **more}), Path("data/index/own"), OUT, endpoints=Endpoints(), contact="", version=1, down=down)


def image(number: int, name: str, width: int = 400, height: int = 300) -> dict[str, Any]:
    """An image's record."""
    return {"id": number, "file_name": name, "width": width, "height": height}


def box(image_id: int, bbox: list[float], category: int = 1, **more: Any) -> dict[str, Any]:
    """A box's record."""
    return {"id": image_id, "image_id": image_id, "category_id": category, "bbox": bbox, **more}


def test_boxes_are_clipped_scaled_and_empty_ones_counted() -> None:
    photo("a.jpg")

    metrics = run([box(1, [-20, 10, 100.5, 50]), box(1, [900, 10, 5, 5]), box(1, [10, 10, 20, 30], iscrowd=1)], [image(1, "a.jpg", 800, 600)])

    pool = read_pool(OUT / "annotations.json")
    assert [(a.bbox, a.iscrowd) for a in pool.annotations] == [((0.0, 5.0, 40.25, 25.0), 0), ((5.0, 5.0, 10.0, 15.0), 1)]
    assert metrics["boxes_dropped"] == {"empty_box": 1}
    assert (metrics["boxes"], metrics["images"], metrics["crowds"]) == ({"hammer": 1}, {"hammer": 1}, 1)


def test_a_picture_with_an_empty_box_is_not_fully_boxed_for_its_category_alone() -> None:
    for number, name in enumerate("abc", 1):
        photo(f"{name}.jpg", size=(400 + number, 300))
    images = [image(n, f"{name}.jpg", 400 + n) for n, name in enumerate("abc", 1)]
    classes = {name: (ClassTerm(name=name),) for name in ("hammer", "saw")}

    run([box(1, [5, 5, 0, 9]), box(2, [5, 5, 9, 9]), box(2, [900, 5, 9, 9]), box(3, [5, 5, 9, 9]), box(3, [9, 9, 9, 0], 2)], images, classes=classes)

    pool = read_pool(OUT / "annotations.json")
    names = {picture.sha256: picture.source_id for picture in pool.pictures}
    said = {(names[p.sha256], p.category): str(p.state) for p in pool.presence}
    assert {key[0]: state for key, state in said.items() if key[1] == "hammer"} == {"a.jpg": "partial", "b.jpg": "partial", "c.jpg": "present"}
    assert {key[0]: state for key, state in said.items() if key[1] == "saw"} == {"a.jpg": "absent", "b.jpg": "absent", "c.jpg": "partial"}


def test_of_what_is_taken_down_neither_boxes_nor_bytes_stay() -> None:
    for number, name in enumerate("ab", 1):
        photo(f"{name}.jpg", size=(400, 200 + 90 * number))
    images, boxes = [image(n, f"{name}.jpg", 400, 200 + 90 * n) for n, name in enumerate("ab", 1)], [box(1, [5, 5, 9, 9]), box(2, [5, 5, 9, 9])]
    run(boxes, images)
    first = next(picture for picture in read_pool(OUT / "annotations.json").pictures if picture.source_id == "a.jpg")

    metrics = run(boxes, images, down=takedowns_of(takedowns_for([first], why="", by="me", at=datetime(2026, 11, 26, tzinfo=UTC))))

    assert (metrics["dropped"], metrics["boxes_dropped"]) == ({"taken_down": 1}, {"taken_down": 1})
    assert [row.outcome for row in read_jsonl(OUT / "images.jsonl", ImageRow)] == ["taken_down", "kept"]
    assert first.file_name not in [path.name for path in (OUT / "images").iterdir()]
    assert run(boxes, images)["kept"] == 2


def test_a_copy_of_what_is_taken_down_is_fetched_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    photo("a.jpg")
    images, boxes = [image(1, "a.jpg")], [box(1, [5, 5, 9, 9])]
    run(boxes, images)
    (first,) = read_pool(OUT / "annotations.json").pictures
    (line,) = takedowns_for([first], why="", by="me", at=datetime(2026, 11, 26, tzinfo=UTC))
    elsewhere = takedowns_of([msgspec.structs.replace(line, names=("https://shop.example/a.jpg",))])
    run(boxes, images, down=elsewhere)
    asked: list[str] = []
    monkeypatch.setattr("boxset.sources.place.Folder.picture", lambda _, name, **__: asked.append(name) or b"")

    metrics = run(boxes, images, down=elsewhere)

    assert (metrics["dropped"], asked) == ({"taken_down": 1}, [])


def test_a_picture_that_is_turned_upright_turns_its_boxes() -> None:
    photo("a.jpg", orientation=6)

    run([box(1, [10, 20, 30, 40])], [image(1, "a.jpg")])

    pool = read_pool(OUT / "annotations.json")
    assert (pool.pictures[0].width, pool.pictures[0].height, pool.pictures[0].orientation) == (300, 400, 6)
    assert [a.bbox for a in pool.annotations] == [(240, 10, 40, 30)]


@pytest.mark.parametrize(
    ("orientation", "size", "shown", "lies"),
    [
        (6, (400, 300), True, (240, 10, 40, 30)),  # the raster's size
        (6, (300, 400), False, (10, 20, 30, 40)),  # what a viewer sees
        (6, (150, 200), False, (20, 40, 60, 80)),  # the same, annotated at half its size
        (6, (200, 150), True, (180, 20, 80, 60)),
        (6, (None, None), False, (240, 10, 40, 30)),
        (6, (None, None), True, (10, 20, 30, 40)),
        (3, (400, 300), False, (360, 240, 30, 40)),  # a half turn leaves no trace in the size
        (3, (400, 300), True, (10, 20, 30, 40)),
        (3, (800, 600), True, (5, 10, 15, 20)),
        (1, (800, 600), False, (5, 10, 15, 20)),
    ],
)
def test_boxes_of_a_turned_picture_lie_where_they_were_drawn(orientation: int, size: tuple[int | None, int | None], shown: bool, lies: tuple[float, ...]) -> None:
    upright = (300, 400) if orientation > 4 else (400, 300)
    texts = dict.fromkeys(("sha256", "file_name", "phash", "source", "source_id", "url"), "x")
    picture = Picture(width=upright[0], height=upright[1], orientation=orientation, **texts)

    assert in_pixels((10, 20, 30, 40), picture, {"width": size[0], "height": size[1]}, "pixels", shown=shown) == pytest.approx(lies)


@pytest.mark.parametrize("size", [(300, 400), (None, None)])
def test_boxes_of_ones_own_are_of_the_picture_as_it_is_shown(size: tuple[int | None, int | None]) -> None:
    photo("a.jpg", orientation=6)
    photo("b.jpg", orientation=3)

    run([box(1, [10, 20, 30, 40]), box(2, [10, 20, 30, 40])], [{**image(1, "a.jpg"), "width": size[0], "height": size[1]}, image(2, "b.jpg")])

    assert [a.bbox for a in read_pool(OUT / "annotations.json").annotations] == [(10, 20, 30, 40)] * 2


def test_missing_pictures_are_counted_and_too_many_fail_but_keep_what_was_had() -> None:
    photo("a.jpg")
    Path("own/b.jpg").write_bytes(b"<html>")
    images, boxes = [image(1, "a.jpg"), image(2, "b.jpg"), image(3, "c.jpg")], [box(n, [1, 1, 9, 9]) for n in (1, 2, 3)]

    metrics = run(boxes, images, max_missing_share=0.7)

    assert (metrics["seen"], metrics["kept"], metrics["dropped"]) == (3, 1, {"gone": 1, "not_an_image": 1})
    assert [row.outcome for row in read_jsonl(OUT / "images.jsonl", ImageRow)] == ["kept", "not_an_image", "gone"]
    with pytest.raises(InputError, match=r"2 of 3 pictures cannot be had .*Look at b\.jpg \(a web page\), raise"):
        run(boxes, images, max_missing_share=0.5)
    assert len(list((OUT / "images").iterdir())) == 1


def test_what_nobody_answered_for_is_asked_again_by_the_next_run() -> None:
    images = [{**image(n, f"{n}.jpg"), "coco_url": f"http://pictures.example/{n}.jpg"} for n in (1, 2)]
    Path("c.json").write_text(json.dumps({"images": images, "annotations": [box(n, [1, 1, 9, 9]) for n in (1, 2)], "categories": [{"id": 1, "name": "Hammer"}]}))
    index = IndexOrder(
        name="coco", on=True, format="coco", path="", files={"instances_train": "c.json"}, sha256={}, splits=("train",), annotations="", license="", max_lost_share=0
    )
    build_index(index, Path("data/index/coco"), endpoints=Endpoints(), contact="a@b.example", version=1)
    order = ExtractOrder(**{**FIELDS, "name": "coco", "format": "coco", "path": "", "annotations": "", "max_missing_share": 0.0})

    with outside(lambda _: (0, {}, b"")) as world:
        with pytest.raises(InputError, match=r"2 of 2 pictures cannot be had \(unreachable 2\)"):
            extract(order, Path("data/index/coco"), OUT, endpoints=world.endpoints, contact="a@b.example", version=1)
        world.answer = lambda asked: (200, {}, outside_photo(int(asked.path[1])))
        metrics = extract(order, Path("data/index/coco"), OUT, endpoints=world.endpoints, contact="a@b.example", version=1)

    assert (metrics["kept"], metrics["dropped"]) == (2, {})


def test_flags_follow_their_policies() -> None:
    photo("a.jpg")
    crowd = [box(1, [10, 10, 20, 30], iscrowd=1)]

    run(crowd, [image(1, "a.jpg")], flags=FlagPolicies(iscrowd="keep"))
    kept = read_pool(OUT / "annotations.json").annotations
    dropped = run(crowd, [image(1, "a.jpg")], flags=FlagPolicies(iscrowd="drop"))

    assert [a.iscrowd for a in kept] == [0]
    assert dropped["boxes_dropped"] == {"flag": 1}


def test_exhaustive_sources_say_what_is_absent_and_negatives_come_along() -> None:
    photo("a.jpg")
    photo("b.jpg", size=(320, 300))

    run([box(1, [1, 1, 50, 50]), box(2, [1, 1, 50, 50], category=2)], [image(1, "a.jpg"), image(2, "b.jpg", 320)], negatives=1)

    said = sorted((p.category, str(p.state)) for p in read_pool(OUT / "annotations.json").presence)
    assert said == [("hammer", "absent"), ("hammer", "present")]


def test_pictures_that_no_category_needs_any_more_are_removed() -> None:
    photo("a.jpg")
    run([box(1, [1, 1, 50, 50])], [image(1, "a.jpg")])

    metrics = run([box(1, [1, 1, 50, 50])], [image(1, "a.jpg")], on=False)

    assert metrics["seen"] == 0
    assert list((OUT / "images").iterdir()) == []


def test_unlabelled_pictures_of_ones_own_are_asked_about_their_category() -> None:
    photo("a.jpg")

    run([box(1, [1, 1, 9, 9], 2)], [image(1, "a.jpg")], classes={}, category="hammer")

    assert [p.category for p in read_pool(OUT / "annotations.json").pictures] == ["hammer"]


def flagged(policies: FlagPolicies) -> tuple[list[tuple[float, int, dict[str, Any]]], dict[str, Any]]:
    """Boxes with each flag alone, at x 0, 10, 20 …, one with none and one with all; what becomes of them."""
    photo("a.jpg")
    every = [*({name: True} for name in FLAGS), {}, dict.fromkeys(FLAGS, True), dict.fromkeys(FLAGS, False)]
    with IndexWriter(Path("data/index/own"), source="own", format="local", version=1, coordinates="pixels") as writer:
        writer.add_classes([{"class_id": "1", "name": "hammer"}])
        writer.add_images({"image_id": ["a"], "url": ["a.jpg#1"]})
        columns = {name: [flags.get(name) for flags in every] for name in FLAGS}
        size = len(every)
        places = {"x": [10.0 * n for n in range(size)], "y": [1.0] * size, "w": [5.0] * size, "h": [5.0] * size}
        writer.add_boxes({"image_id": ["a"] * size, "class_id": ["1"] * size, **places, **columns})
    limits: dict[str, Any] = {"max_images_per_category": 0, "negatives": 0, "max_missing_share": 0.0, "retry": 0, "category": "", "annotations": ""}
    asked = {"use": "commercial", "licences": Licences(), "flags": policies, "classes": {"hammer": (ClassTerm(name="hammer"),)}}
    order = ExtractOrder(name="own", on=True, format="local", path="own", **asked, **limits)
    metrics = extract(order, Path("data/index/own"), OUT, endpoints=Endpoints(), contact="", version=1)
    found = sorted((a.bbox[0], a.iscrowd, a.attributes) for a in read_pool(OUT / "annotations.json").annotations)
    return found, metrics["boxes_dropped"]


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("policy", ["keep", "crowd", "drop"])
def test_every_flag_follows_its_own_policy(flag: str, policy: Any) -> None:
    keep = dict.fromkeys(FLAGS, "keep")

    found, dropped = flagged(FlagPolicies(**{**keep, flag: policy}))  # type: ignore[arg-type]

    crowds = {x for x, crowd, _ in found if crowd}
    own, with_all = 10.0 * FLAGS.index(flag), 10.0 * (len(FLAGS) + 1)
    assert {x for x, *_ in found} == {10.0 * n for n in range(len(FLAGS) + 3)} - ({own, with_all} if policy == "drop" else set())
    assert crowds == ({own, with_all} if policy == "crowd" else set())
    assert dropped == ({"flag": 2} if policy == "drop" else {})


def test_flags_stand_on_the_box_and_unknown_ones_do_not() -> None:
    found, _ = flagged(FlagPolicies())

    said = {x: (crowd, attributes) for x, crowd, attributes in found}
    assert said[0.0] == (1, {"group_of": True})
    assert said[10.0 * FLAGS.index("depiction")] == (0, {"depiction": True})
    assert said[10.0 * FLAGS.index("iscrowd")] == (1, {})
    assert said[10.0 * len(FLAGS)] == (0, {})
    assert said[10.0 * (len(FLAGS) + 2)] == (0, dict.fromkeys([name for name in FLAGS if name != "iscrowd"], False))

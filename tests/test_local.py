"""One's own pictures: from a folder or a bucket, with COCO, YOLO or no annotations; what changes there is noticed, and nothing else."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from boxset.dataset.records import Pool, read_pool
from boxset.endpoints import Endpoints
from boxset.errors import InputError, ServiceError
from boxset.files import write_json
from boxset.params import ClassTerm, FlagPolicies, Licences, Source, checked
from boxset.resolve import ExtractOrder, IndexOrder, index_order, known_listings
from boxset.sources.extract import extract
from boxset.sources.index import build_index
from boxset.sources.place import listings, place_of

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


def index(path: str = "own", *, name: str = "own", annotations: str = "", **more: Any) -> dict[str, Any]:
    """Index a place."""
    source = Source(format="local", path=path, annotations=annotations, license="LicenseRef-own", max_lost_share=0.9, **more)
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
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, {"id": 2, "file_name": "new.jpg"}]
    boxes = [{}, {}, {"image_id": 99}, {"category_id": 77}, {"bbox": [5, 5, -3, 4]}, {"is_crowd": [1], "bbox": [1, 1, 9, 9]}, {"category_id": 0}]
    put(c_dot_json=coco(images, boxes))

    indexed = index()
    metrics, pool = take(negatives=5, category="hammer")

    assert (indexed["seen"], indexed["boxes"], indexed["dropped"]) == (7, 5, {"bad_row": 1, "duplicate": 1, "no_picture": 1})
    assert metrics["boxes_dropped"] == {"duplicate": 1, "empty_box": 1}
    assert sorted((a.bbox, a.iscrowd) for a in pool.annotations) == [((1, 1, 9, 9), 1), ((10, 20, 30, 40), 0)]
    assert states(pool) == {"a.jpg": "present", "b.jpg": "absent"}
    assert {p.source_id: p.category for p in pool.pictures} == {"a.jpg": "", "b.jpg": "", "new.jpg": "hammer"}


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
    with pytest.raises(InputError, match="category 3 is 'mallet' here and 'hammer'"):
        index(annotations="*/x.json")


def test_yolo_reads_boxes_polygons_and_confidences_and_a_picture_without_a_label_file_is_unknown() -> None:
    put(data_dot_yaml="names: {0: hammer, 1: saw}", **{f"train__images__{name}_dot_jpg": photo(n) for n, name in enumerate("abcd")})
    put(train__labels__a_dot_txt="\ufeff0 0.5 0.5 0.5 0.5\r\n0 0.1 0.1 0.2 0.2 0.9\r\n0 0 0 0.5 0 0.5 1\r\n1 .2 .2 .1 .1\r\nx\r\n7 .1 .1 .1 .1\r\n0 .1 .1\r\n")
    put(train__labels__b_dot_txt="", train__labels__c_dot_txt="1 0.5 0.5 1 1\n")

    indexed = index()
    _, pool = take(negatives=9, category="hammer")

    assert (indexed["seen"], indexed["boxes"], indexed["dropped"]) == (8, 5, {"bad_row": 3})
    assert sorted(a.bbox for a in pool.annotations) == [pytest.approx(b) for b in ((0, 0, 80, 60), (0, 0, 200, 300), (100, 75, 200, 150))]
    assert states(pool) == {"train/images/a.jpg": "present", "train/images/b.jpg": "absent", "train/images/c.jpg": "absent"}
    assert [p.source_id for p in pool.pictures if p.category == "hammer"] == ["train/images/d.jpg"]


def test_yolo_in_pixels_is_refused_by_file() -> None:
    put(classes_dot_txt="hammer\n", images__a_dot_jpg=photo(1), labels__a_dot_txt="0 120 80 40 40\n")

    with pytest.raises(InputError, match=r"own/labels/a\.txt: 120 where shares from 0 to 1 stand: these are pixels"):
        index()


def test_hidden_files_and_links_out_of_the_folder_are_no_pictures(tmp_path: Path) -> None:
    put(a_dot_jpg=photo(1))
    for name in (".hidden.jpg", "__MACOSX/._a.jpg", ".git/x.jpg", "notes.md"):
        (Path("own") / name).parent.mkdir(exist_ok=True)
        (Path("own") / name).write_bytes(photo(2))
    (tmp_path / "secret.jpg").write_bytes(photo(3))
    Path("own/link.jpg").symlink_to(tmp_path / "secret.jpg")

    assert [entry.name for entry in place_of("own", Endpoints()).entries()] == ["a.jpg"]


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


def test_a_place_that_is_not_here_keeps_what_is_known_of_it() -> None:
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


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server, moto's, with more than one page of listing."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an empty bucket `shop`, with the environment that leads there."""
    for name, value in {"ENDPOINT_URL_S3": s3, "ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=s3, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
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


def test_more_pictures_than_a_page_lists_are_all_there(bucket: Any) -> None:
    for number in range(1005):
        bucket.put_object(Bucket="shop", Key=f"many/{number}.jpg", Body=b"x")

    assert len(place_of("s3://shop/many", Endpoints()).entries()) == 1005


def test_a_bucket_that_is_not_there_or_refuses_is_named(bucket: Any) -> None:
    with pytest.raises(ServiceError, match=r"s3://nowhere/x: NoSuchBucket.*sources.….path in params.yaml"):
        index("s3://nowhere/x")


def test_orders_of_another_version_are_no_hindrance() -> None:
    Path("data/resolve/sources").mkdir(parents=True)
    Path("data/resolve/sources/own.json").write_text('{"name": "own", "listing": "abc"}')
    write_json(Path("data/resolve/sources/more.json"), index_order("more", Source(format="local"), "def"))

    assert known_listings(Path("data/resolve")) == {"more": "def"}


def test_order_of_a_source_that_is_not_local_has_no_listing() -> None:
    assert index_order("coco", Source()) == IndexOrder(
        name="coco", on=True, format="coco", path="", files={}, sha256={}, splits=(), annotations="", license="", max_lost_share=0.02, listing=""
    )

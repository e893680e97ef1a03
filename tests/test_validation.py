"""Every kind of fault is found and names its record; a sound set has none."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from boxset.dataset.coco import Coco, CocoCategory, write_coco
from boxset.dataset.validation import Fault, faults_of
from boxset.formats.check import read_parts, validate
from boxset.formats.yolo import write_yolo
from tests.build import annotation, coco, image

change = msgspec.structs.replace


def sound() -> dict[str, Coco]:
    """A data set without faults."""
    return {"train": coco([image(1, exhaustive_category_ids=(1,))], [annotation(1, 1)]), "test": coco([image(2)], [annotation(2, 2)])}


def with_image(**more: object) -> Callable[[dict[str, Coco]], dict[str, Coco]]:
    """Change the first image."""
    return lambda parts: {**parts, "train": change(parts["train"], images=(change(parts["train"].images[0], **more),))}


def with_box(**more: object) -> Callable[[dict[str, Coco]], dict[str, Coco]]:
    """Change the first box."""
    return lambda parts: {**parts, "train": change(parts["train"], annotations=(change(parts["train"].annotations[0], **more),))}


def with_part(**more: object) -> Callable[[dict[str, Coco]], dict[str, Coco]]:
    """Change the train split."""
    return lambda parts: {**parts, "train": change(parts["train"], **more)}


def twice(field: str) -> Callable[[dict[str, Coco]], dict[str, Coco]]:
    """Let the first record of a list stand twice."""
    return lambda parts: {**parts, "train": change(parts["train"], **{field: getattr(parts["train"], field) * 2})}


FAULTS = {
    "train images: id 0: ids start at 1": with_image(id=0),
    "train images: id 1: stands twice": twice("images"),
    "train annotations: id 1: stands twice": twice("annotations"),
    "train categories: id 1: stands twice": twice("categories"),
    "train category hammer: two categories have this name": with_part(
        categories=(CocoCategory(id=1, name="hammer"), CocoCategory(id=2, name="hammer"))
    ),
    "train image 1: size 0x300": with_image(width=0),
    "train image 1: license 5 is not in licenses": with_image(license=5),
    "train image 1: file_name 'train/a.jpg' is not a bare name": with_image(file_name="train/a.jpg"),
    "train image 1: sha256 is not 64 hexadecimal digits": with_image(sha256="abc"),
    "train image 1: phash is not 16 hexadecimal digits": with_image(phash="xyz"),
    "train image 1: grid is neither empty nor 96 hexadecimal digits": with_image(grid="abc"),
    "train image 1: file_name is not named by sha256": with_image(file_name="a.jpg"),
    "train image 1: source is empty": with_image(source=""),
    "train image 1: neg_category_ids: there is no category 9": with_image(neg_category_ids=(9,)),
    "train image 1: category 1 is in several of neg, not_exhaustive and exhaustive_category_ids": with_image(not_exhaustive_category_ids=(1,)),
    "train annotation 1: there is no category 7": with_box(category_id=7),
    "train annotation 1: iscrowd is 2": with_box(iscrowd=2),
    "train annotation 1: source is empty": with_box(source=""),
    "train annotation 1: bbox or area is not a finite number": with_box(area=float("nan")),
    "train annotation 1: bbox is empty: 0 by 80": with_box(bbox=(10.0, 20.0, 0.0, 80.0), area=0.0),
    "train annotation 1: area is 1, the box's is 8000": with_box(area=1.0),
    "train annotation 1: there is no image 8 in this split": with_box(image_id=8),
    "train annotation 1: bbox leaves image 1 of 400x300": with_box(bbox=(350.0, 20.0, 100.0, 80.0)),
    "train annotation 1: a box of category 1, which image 1 says is absent": with_image(neg_category_ids=(1,), exhaustive_category_ids=()),
    "group 2: stands in train and in test": with_image(group=2),
    "image id 2: stands in train and in test": with_image(id=2),
    "annotation id 2: stands in train and in test": with_box(id=2),
    "categories: the splits have different categories": with_part(categories=(CocoCategory(id=1, name="hammer"),)),
}


def test_a_sound_set_has_no_faults() -> None:
    assert faults_of(sound()) == []


@pytest.mark.parametrize("expected", FAULTS)
def test_a_planted_fault_is_named(expected: str) -> None:
    found = [f"{fault.where}: {fault.what}" for fault in faults_of(FAULTS[expected](sound()))]

    assert expected in found


def test_one_picture_in_two_splits_is_found() -> None:
    parts = sound()
    leaked = {**parts, "test": change(parts["test"], images=(change(parts["test"].images[0], sha256=image(1).sha256),))}

    assert f"picture {image(1).sha256}" in [fault.where for fault in faults_of(leaked)]


# a folder


def laid_out(dataset: Path, parts: dict[str, Coco]) -> Path:
    """Write a data set's records and labels, without its pictures and tables."""
    every = {"train": coco([], []), "val": coco([], []), "test": coco([], [])} | parts
    for split, part in every.items():
        write_coco(dataset / "annotations" / f"instances_{split}.json", part)
    write_yolo(dataset, sound() | every)
    return dataset


@pytest.mark.parametrize("change", [{"width": 0}, {"phash": ""}, {"phash": "xyz"}, {"grid": "abc"}, {"file_name": ""}, {"file_name": f"{'a' * 300}.jpg"}], ids=str)
def test_what_no_picture_can_be_held_against_is_a_fault_and_the_rest_is_looked_at(tmp_path: Path, change: dict[str, Any]) -> None:
    dataset = laid_out(tmp_path, sound())
    spoilt = with_image(**change)(sound())
    write_coco(dataset / "annotations/instances_train.json", spoilt["train"])

    found = validate(dataset)

    assert [fault for fault in faults_of(read_parts(dataset)) if fault not in found] == []
    assert "images/test" in {fault.where for fault in found}


SPOILT = {
    "data.yaml": (b"names: [\n", "data.yaml", "its names are not the categories in the order of their ids"),
    "data.yaml of another kind": (b"- a\n", "data.yaml", "its names are not the categories in the order of their ids"),
    "data.yaml that is no text": (b"\xff\xfe", "data.yaml", "its names are not the categories in the order of their ids"),
    f"labels/train/{image(1).file_name[:-4]}.txt": (b"\xff", f"labels/train/{image(1).file_name[:-4]}.txt", "does not say what the COCO file says"),
    "ATTRIBUTION.csv": (b"\xff\n", f"ATTRIBUTION.csv: {image(1).file_name}", "has no row"),
    "repeat_factors.csv": (b"factor\n0\n", "repeat_factors.csv: None", "factor 0"),
    "repeat_factors.csv with a field without an end": (b'a\n"' + b"x" * 200_000, "repeat_factors.csv", "is no table: field larger than field limit (131072)"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_file_that_is_not_what_it_should_be_is_a_fault(tmp_path: Path, name: str) -> None:
    content, where, what = SPOILT[name]
    dataset = laid_out(tmp_path, sound())
    (dataset / name.partition(" ")[0]).write_bytes(content)

    assert Fault(where, what) in validate(dataset, pictures=False)


def png(width: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG whose head says how wide it is, and no more of it than these chunks."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, 30_000, 8, 2, 0, 0, 0)), *more]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)


@pytest.mark.parametrize("content", [png(30_000, (b"IDAT", b"")), png(2, (b"eXIf", b"MM\0*\0\0"), (b"IDAT", b""))], ids=["more pixels than are opened", "EXIF that breaks off"])
def test_a_picture_that_cannot_be_opened_is_a_fault(tmp_path: Path, content: bytes) -> None:
    dataset = laid_out(tmp_path, sound())
    (dataset / "images/train" / image(1).file_name).write_bytes(content)

    assert Fault("train image 1", f"{image(1).file_name}: its content has another SHA-256") in validate(dataset)

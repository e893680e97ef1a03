"""Every kind of fault is found and names its record; a sound set has none."""

from collections.abc import Callable

import msgspec
import pytest

from boxset.dataset.coco import Coco, CocoCategory
from boxset.dataset.validation import faults_of
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

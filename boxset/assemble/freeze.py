"""Hold the test set to what was frozen: its records and boxes stay as they were, and whatever stands near one of its pictures trains nothing.

A frozen picture is looked for in what is merged today by content, else by the names of its copies: then a better copy has come, and the frozen
one stays. Pictures that share a group with a frozen one, or with what was a copy of it, are left out of every split, so that nothing leaks and
the test set does not change.
The frozen records keep their ids; all others are numbered round them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage, CocoLicense, part_of
from boxset.dataset.frozen import Frozen, removed_categories
from boxset.dataset.photos import numbers_of
from boxset.dataset.reasons import Reason
from boxset.dataset.similar import copies
from boxset.errors import ProjectError

change = msgspec.structs.replace
NONE: Mapping[str, str] = {}
IsDenied = Callable[[CocoImage, str], bool]
"""Tells, of a frozen picture that is merged no more and its licence, whether the licence is why."""


@dataclass(frozen=True)
class Holding:
    """The merged set with the frozen pictures as they were frozen; what today's merge says of these; and what was left out."""

    coco: Coco
    images: frozenset[int]  # ids of the frozen pictures
    today: Coco  # the same pictures, or their better copies, as they are merged today
    near: tuple[CocoImage, ...]  # left out of every split
    denied: tuple[CocoImage, ...]  # frozen, and kept out by their licence now
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Futile:
    """The pictures, by SHA-256, of which labels would come to nothing while test is held to a version; no version, no pictures."""

    version: str = ""
    pictures: frozenset[str] = frozenset()


ALL_COUNT = Futile()


def hold(merged: Coco, frozen: Frozen, *, files: Collection[str], is_denied: IsDenied, bits: int, dropped: Mapping[str, str] = NONE) -> Holding:
    """Hold the test set to a frozen version.

    `files`: names of the pictures that are here; `dropped`: SHA-256 of pictures that `merge` left out → an image in their group that stayed.
    A licence that keeps a picture out wins over the freeze. Raises ProjectError where another picture is gone.
    """
    denied = _denied(frozen, {image.sha256 for image in merged.images}, is_denied)
    barred = {image.sha256 for image in denied}
    kept = [image for image in frozen.coco.images if image.sha256 not in barred]
    twins = _twins(kept, merged.images)
    _refuse_missing([image for image in kept if image.file_name not in files], frozen)
    near = _near(kept, merged.images, bits, {dropped[image.sha256] for image in kept if image.sha256 in dropped})
    gone = removed_categories(frozen.coco.categories, merged.categories)
    held = held_records(frozen.coco, without=barred, gone=gone)
    rest = part_of(merged, {image.id for image in merged.images} - {image.id for image in near} - {twin.id for twin in twins.values()})
    new = sorted({category.key for category in merged.categories} - {category.key for category in frozen.coco.categories})
    metrics = {
        "name": frozen.name,
        "sha256": frozen.sha256,
        "images": len(held.images),
        "boxes": sum(not annotation.iscrowd for annotation in held.annotations),
        "denied": len(denied),
        "near_left_out": len(near),
        "merged_no_more": len(kept) - len(twins),
        "removed_boxes": sum(annotation.category_id in gone for annotation in frozen.coco.annotations),
        "unknown_categories": new,
    }
    today = part_of(merged, {twin.id for twin in twins.values()})
    return Holding(_united(rest, held), frozenset(image.id for image in kept), today, near, tuple(denied), metrics)


def futile(
    every: Coco, image_of: Mapping[str, str], frozen: Frozen, *, merged: Collection[str], is_denied: IsDenied, bits: int
) -> Futile:
    """Return the pictures that `hold` would leave out of every split if they were labelled, or whose boxes would go to a frozen picture that keeps its own.

    `every`: all pictures as the images that they would be then, and `image_of` each picture's (`merge.every_image`); `merged`: the images that are
    labelled today. A frozen picture itself is none of them: what is drawn in it comes with a new version.
    """
    barred = {image.sha256 for image in _denied(frozen, merged, is_denied)}
    kept = [image for image in frozen.coco.images if image.sha256 not in barred]
    own, linked = {image.sha256 for image in kept}, _linked(kept, every.images, bits)
    there = {image_of[sha256] for sha256 in own if sha256 in image_of} | (linked & set(merged))
    groups = {image.group for image in every.images if image.sha256 in there}
    out = {image.sha256 for image in every.images if image.sha256 in linked or image.group in groups}
    return Futile(frozen.name, frozenset(sha256 for sha256, image in image_of.items() if image in out and sha256 not in own))


def _denied(frozen: Frozen, merged: Collection[str], is_denied: IsDenied) -> list[CocoImage]:
    """Return the frozen pictures that their licence keeps out of what is merged (SHA-256 of its images)."""
    licence = {one.id: one.name for one in frozen.coco.licenses}
    return [image for image in frozen.coco.images if image.sha256 not in merged and is_denied(image, licence[image.license])]


def _twins(frozen: Iterable[CocoImage], merged: Iterable[CocoImage]) -> dict[str, CocoImage]:
    """Return a frozen picture's SHA-256 → what is merged of it today: the same content, else one that counts it among its copies."""
    images = sorted(merged, key=lambda image: image.sha256)
    by_content = {image.sha256: image for image in images}
    by_name = {name: image for image in reversed(images) for name in _names(image)}
    found = ((one, by_content.get(one.sha256) or next((by_name[n] for n in sorted(_names(one)) if n in by_name), None)) for one in frozen)
    return {one.sha256: twin for one, twin in found if twin is not None}


def _names(image: CocoImage) -> set[str]:
    return {f"{image.source}:{image.source_id}", *image.also_in}


def _refuse_missing(missing: list[CocoImage], frozen: Frozen) -> None:
    if missing:
        some = ", ".join(f"{image.sha256[:12]} of {image.source}" for image in missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        do = "Bring its source, category or address back (`boxset explain` says what became of it), or take split.freeze_test out, build, and freeze a new version"
        raise ProjectError(f"a picture of the frozen test set is gone: {some}", where=f"frozen/{frozen.name}.jsonl", do=do)


def _near(kept: list[CocoImage], merged: Sequence[CocoImage], bits: int, beside: Collection[str]) -> tuple[CocoImage, ...]:
    """Return what is not frozen and stands in one group with a frozen picture, with any copy of it, or with what looks like one that is merged no more.

    `beside`: images that stand where a frozen one that `merge` left out would.
    """
    own, linked = {image.sha256 for image in kept}, _linked(kept, merged, bits)
    groups = {image.group for image in merged if image.sha256 in linked or image.sha256 in beside}
    return tuple(image for image in merged if image.group in groups and image.sha256 not in own)


def _linked(kept: list[CocoImage], images: Sequence[CocoImage], bits: int) -> set[str]:
    """Return, by SHA-256, the images that are a frozen picture, have a name or number of one, or look like one that is none of them."""
    own, here = {image.sha256 for image in kept}, {image.sha256 for image in images}
    names = {name for image in kept for name in _names(image) | numbers_of(image)}
    found = {image.sha256 for image in images if image.sha256 in own or not names.isdisjoint(_names(image) | numbers_of(image))}
    gone = [image for image in kept if image.sha256 not in here]
    return found | {images[j].sha256 for _, j in copies(gone, images, bits)}


def held_records(coco: Coco, *, without: Collection[str], gone: frozenset[int]) -> Coco:
    """Return the frozen set without pictures that may not stay and without what is said of categories that there are no more."""
    part = part_of(coco, {image.id for image in coco.images if image.sha256 not in without})
    if not gone:
        return part
    annotations = tuple(annotation for annotation in part.annotations if annotation.category_id not in gone)
    return change(part, images=tuple(_forget(image, gone) for image in part.images), annotations=annotations)


def _forget(image: CocoImage, gone: frozenset[int]) -> CocoImage:
    fields = ("neg_category_ids", "not_exhaustive_category_ids", "exhaustive_category_ids")
    return change(image, **{field: tuple(number for number in getattr(image, field) if number not in gone) for field in fields})


def _united(rest: Coco, held: Coco) -> Coco:
    """Return both as one set: the held records as they are, the others numbered round them, in the order of ids."""
    licences = _licences(held.licenses, rest.licenses)
    number = {one.name: one.id for one in licences}
    licence = {one.id: number[one.name] for one in rest.licenses}
    images = _numbers((image.id for image in rest.images), {image.id for image in held.images})
    groups = _numbers((image.group for image in rest.images), {image.group for image in held.images})
    boxes = _numbers((annotation.id for annotation in rest.annotations), {annotation.id for annotation in held.annotations})
    moved = [change(image, id=images[image.id], group=groups[image.group], license=licence[image.license]) for image in rest.images]
    drawn: list[CocoAnnotation] = [change(a, id=boxes[a.id], image_id=images[a.image_id]) for a in rest.annotations]
    return change(
        rest,
        licenses=licences,
        images=tuple(sorted([*held.images, *moved], key=lambda image: image.id)),
        annotations=tuple(sorted([*held.annotations, *drawn], key=lambda annotation: annotation.id)),
    )


def _numbers(old: Iterable[int], taken: set[int]) -> dict[int, int]:
    """Return old number → new one, in the order of the old ones, passing over those that are taken."""
    free: Iterator[int] = (number for number in count(1) if number not in taken)
    return {number: next(free) for number in sorted(set(old))}


def _licences(frozen: tuple[CocoLicense, ...], today: tuple[CocoLicense, ...]) -> tuple[CocoLicense, ...]:
    known = {one.name for one in frozen}
    new = [one for one in today if one.name not in known]
    return (*frozen, *(change(one, id=len(frozen) + place) for place, one in enumerate(new, 1)))


def left_out(holding: Holding) -> dict[str, int]:
    """Return how many pictures were left out for the freeze, by reason."""
    counts = {Reason.NEAR_FROZEN.value: len(holding.near), Reason.LICENCE.value: len(holding.denied)}
    return {reason: number for reason, number in counts.items() if number}

"""Does anything stand in two splits, or elsewhere than it is remembered? Looked for anew, by content, by the names that pictures go by outside, and by what they look like.

The groups that `merge` made are not asked: a mistake there would hide itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from boxset.dataset.coco import Coco, CocoImage
from boxset.dataset.photos import numbers_of
from boxset.dataset.records import CRAWL, Picture
from boxset.dataset.similar import near_pairs, same_picture
from boxset.dataset.validation import Fault


def leaks(parts: Mapping[str, Coco], *, bits: int, extracted: Iterable[Picture] = ()) -> list[Fault]:
    """Return what stands in two splits. `extracted`: the sources' own records, which know COCO's and Flickr's ids, where they are here."""
    images = [(split, image) for split, coco in parts.items() for image in coco.images]
    told = _told(extracted)
    names = {image.sha256: _names(image) | told.get(image.sha256, set()) for _, image in images}
    found = dict.fromkeys(chain(_shared(images, names), _alike(images, bits)))
    return [Fault(f"picture {one}", f"{what} in {other}") for what, one, other in found]


def strays(parts: Mapping[str, Coco], remembered: Mapping[str, str], copies: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
    """Yield the pictures that stand elsewhere than `splits.csv` has them, or a copy of them (`copies`: SHA-256 → those that gave way to it)."""
    for split, image in ((split, image) for split, coco in parts.items() for image in coco.images):
        names = (image.sha256, *copies.get(image.sha256, ()))
        for other in sorted({remembered[name] for name in names if name in remembered} - {split}):
            yield Fault(f"picture {image.sha256}", f"is in {split}, and splits.csv has it, or a copy of it, in {other}: `dvc repro`")


def _told(pictures: Iterable[Picture]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for picture in pictures:
        ids = {f"coco_id {picture.coco_id}" if picture.coco_id else "", f"flickr_id {picture.flickr_id}" if picture.flickr_id else ""}
        found.setdefault(picture.sha256, set()).update(ids - {""})
    return found


def _names(image: CocoImage) -> set[str]:
    """Return all that a picture is known by outside: its content, where its copies are from, COCO's and Flickr's numbers in its addresses.

    Not where a crawl found it: one address may have given two pictures at two times.
    """
    copies = {f"{image.source}:{image.source_id}", *image.also_in}
    return {f"content {image.sha256}", *(f"copy {name}" for name in copies if not name.startswith(f"{CRAWL}:"))} | numbers_of(image)


def _shared(images: list[tuple[str, CocoImage]], names: Mapping[str, set[str]]) -> Iterator[tuple[str, str, str]]:
    first: dict[str, tuple[str, CocoImage]] = {}
    for split, image in images:
        for name in sorted(names[image.sha256]):
            where, other = first.setdefault(name, (split, image))
            if where != split:
                yield f"in {where} has the same {name} as", other.sha256, f"{split}: {image.sha256}"


def _alike(images: list[tuple[str, CocoImage]], bits: int) -> Iterator[tuple[str, str, str]]:
    for i, j in near_pairs([image.phash for _, image in images], bits):
        (one, first), (other, second) = images[i], images[j]
        if one != other and first.sha256 != second.sha256 and same_picture(first, second, bits):
            yield f"in {one} looks like", first.sha256, f"{other}: {second.sha256}"

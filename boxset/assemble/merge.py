"""Unite pools, crawl and answers into one COCO set: the same picture once, one object's boxes once, and what is known of every category.

Two records are one image where they have the same bytes, the same COCO or Flickr id and one shape, or are confirmed copies of each other
(`similar.same_picture`). Of its copies the largest is kept, among equals one whose licence is known, then the most trusted source's; its
licence and author are those that a copy states. Copies that state other licences are conflicts, and so is a source that refuses the image for
the one that it states; where no copy states any, such an image is left out.
What people decided in `boxset review` counts after what was bought and before what sources say: an image that was taken down or is unusable is left out, a `no` leaves
out the boxes of sources and makes the category absent, a `yes` makes it present and perhaps without a box. A decision alone brings no image in.
Copies that are merely near (crops, bursts; the same photo of Flickr's, turned or cut; an address that tells it) stay images of their own but share a `group`, so
that a split never parts them.
"""

import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from boxset.assemble.reviewed import REVIEW, WEIGHT, Denied, Reviewed
from boxset.dataset.coco import Coco, CocoAnnotation, CocoCategory, CocoImage, CocoLicense
from boxset.dataset.decisions import NOBODY, Decisions
from boxset.dataset.geometry import clipped, iou, scaled
from boxset.dataset.photos import photo_numbers
from boxset.dataset.reasons import Reason, count_reasons
from boxset.dataset.records import Annotation, BBox, Picture, Pool, Presence, Refused, State
from boxset.dataset.similar import Groups, distance, same_frame, same_shape, twins
from boxset.errors import ProjectError
from boxset.params import Merge
from boxset.resolve import Ids
from boxset.wording import counted

REFUSING = "another source or crawl"  # what a conflict about a licence calls a source that refuses the image: which one is not known
SAME_BITS = 4  # copies of one picture; between this and `duplicate_bits` they are near, and share a group
LICENCE_URLS = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "LicenseRef-PDM-1.0": "https://creativecommons.org/publicdomain/mark/1.0/",
}


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Two records that contradict each other; both are named, `kept` says which one holds."""

    sha256: str
    what: str
    kept: str
    other: str


class Dropped(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A picture that was left out here, and why."""

    sha256: str
    source: str
    source_id: str
    reason: str
    near: str = ""  # an image that stayed and is in its group, by SHA-256


@dataclass(frozen=True)
class Merged:
    """The merged set, and the fate of everything that went in."""

    coco: Coco
    conflicts: tuple[Conflict, ...]
    dropped: tuple[Dropped, ...]
    metrics: dict[str, Any]
    copies: dict[str, tuple[str, ...]]  # an image's SHA-256 → those of its copies that gave way to it


@dataclass(frozen=True)
class _Image:
    """One image: its best copy, all its copies, its group, and the copy that states its licence."""

    best: Picture
    copies: tuple[Picture, ...]
    group: str  # the lowest SHA-256 of the group
    licensed: Picture


def merge(
    pools: dict[str, Pool],
    crawled: dict[str, tuple[Picture, ...]],
    *,
    answers: Pool,
    ids: Ids,
    settings: Merge,
    refused: Refused = Refused(),
    decisions: Decisions = NOBODY,
) -> Merged:
    """Merge. The order of sources changes nothing; merging with itself changes nothing. `refused`: what sources keep out for its licence."""
    pictures = _all_pictures(pools, crawled)
    images = _images(pictures, settings)
    best_of = {copy.sha256: image.best.sha256 for image in images for copy in image.copies}
    group_of = {image.best.sha256: image.group for image in images}
    reviewed = Reviewed.of(pictures, best_of, decisions, ids)
    barred = _barred(images, refused) | reviewed.barred()
    images = [image for image in images if image.best.sha256 not in barred]
    image_of = {copy.sha256: image for image in images for copy in image.copies}
    everything = [*pools.values(), answers]
    left, denied = reviewed.deny(pools.values(), answers=answers)
    boxes, fused, crossed = _boxes([*left, answers], image_of, ids, settings)
    boxed = {(sha256, box.category) for sha256, some in boxes.items() for box in some}
    known, said = _known([*everything, reviewed.presence()], image_of, ids, settings, boxed)
    spoken_of = boxes.keys() | _looked_at(everything, image_of, ids) | {one.sha256 for one in denied}
    kept = [image for image in images if image.best.sha256 in spoken_of]
    kept, unknown = _policy(kept, known, ids, settings)
    coco = _coco(kept, boxes, known, ids)
    names = {image.best.sha256 for image in kept}
    out = reviewed.rejected(pictures) | barred | unknown
    near = {image.group: image.best.sha256 for image in reversed(kept)}
    dropped = tuple(
        Dropped(sha256=p.sha256, source=p.source, source_id=p.source_id, reason=out.get(best, Reason.UNLABELLED), near=near.get(group_of[best], ""))
        for p in pictures
        if (best := best_of[p.sha256]) not in names
    )
    copies = {image.best.sha256: others for image in kept if (others := tuple(sorted({c.sha256 for c in image.copies} - {image.best.sha256})))}
    denied = [one for one in denied if one.sha256 not in barred]
    conflicts = [*said, *crossed, *map(_against_review, denied), *_licences_at_odds(kept, refused)]
    united = sum(len(image.copies) - 1 for image in kept)
    metrics = _metrics(coco, pictures, dropped=dropped, united=united, fused=fused, denied=sum(one.boxes for one in denied), conflicts=len(conflicts))
    return Merged(coco, tuple(sorted(conflicts, key=lambda c: (c.sha256, c.what, c.kept, c.other))), dropped, metrics, copies)


def every_image(
    pools: dict[str, Pool], crawled: dict[str, tuple[Picture, ...]], *, ids: Ids, settings: Merge
) -> tuple[Coco, dict[str, str]]:
    """Return all pictures as the images that they would be if all were labelled, without boxes; and SHA-256 of each picture → that of its image."""
    images = _images(_all_pictures(pools, crawled), settings)
    return _coco(images, {}, {}, ids), {copy.sha256: image.best.sha256 for image in images for copy in image.copies}


def boxes_counted(coco: Coco, ids: Ids) -> dict[str, int]:
    """Return the boxes of each category, crowds apart: what targets count."""
    names = {category.id: category.key for category in coco.categories}
    counts = Counter(names[annotation.category_id] for annotation in coco.annotations if not annotation.iscrowd)
    return {name: counts[name] for name in ids.categories}


def _all_pictures(pools: dict[str, Pool], crawled: dict[str, tuple[Picture, ...]]) -> list[Picture]:
    every = [*(p for pool in pools.values() for p in pool.pictures), *(p for some in crawled.values() for p in some)]
    return sorted(set(every), key=_picture_order)


def _picture_order(picture: Picture) -> tuple[str, str, str, str]:
    return picture.sha256, picture.source, picture.source_id, picture.category


def _images(pictures: Sequence[Picture], settings: Merge) -> list[_Image]:
    """Return the pictures, which are in the order of their content, as images. A group is called by the lowest content in it: that of its lowest position."""
    same, near = _joined(pictures, settings.duplicate_bits)
    images = [_image(tuple(pictures[m] for m in members), pictures[near.root(members[0])].sha256, settings) for members in same.members()]
    return sorted(images, key=lambda image: image.best.sha256)


def _joined(pictures: Sequence[Picture], bits: int) -> tuple[Groups, Groups]:
    """Return the positions of pictures joined where they are copies of one, and where they are merely near as well."""
    same, near = Groups(len(pictures)), Groups(len(pictures))
    for key in ("sha256", "coco_id", "flickr_id"):
        for positions in _positions(pictures, key):
            near.join_all(positions)
            for alike in _of_one_shape(pictures, positions):
                same.join_all(alike)
    for positions in _told(pictures):
        near.join_all(positions)
    for i, j in twins(pictures, bits):
        near.join(i, j)
        if _is_copy(pictures[i], pictures[j]):
            same.join(i, j)
    return same, near


def _image(copies: tuple[Picture, ...], group: str, settings: Merge) -> _Image:
    def trusted(picture: Picture) -> tuple[Any, ...]:
        return _trust(picture.source, settings), _picture_order(picture)

    best = min(copies, key=lambda p: (-p.width * p.height, not p.license, trusted(p)))
    licensed = best if best.license else min((p for p in copies if p.license), key=trusted, default=best)
    return _Image(best, copies, group, licensed)


def _barred(images: Iterable[_Image], refused: Refused) -> dict[str, Reason]:
    """Return the images of which no copy states a licence, and that a source refuses for the one that it states."""
    is_refused = refused.test()
    unstated = (image for image in images if not image.licensed.license)
    return {image.best.sha256: Reason.LICENCE for image in unstated if any(map(is_refused, image.copies))}


def _licences_at_odds(images: Iterable[_Image], refused: Refused) -> Iterable[Conflict]:
    """Yield a conflict for each other licence that a copy states, and for a source that refuses the image for the one that it states."""
    is_refused = refused.test()
    for image in (image for image in images if image.licensed.license):
        kept = f"{image.licensed.source}: {image.licensed.license}"
        others = {f"{copy.source}: {copy.license}" for copy in image.copies if copy.license not in ("", image.licensed.license)}
        others |= {f"{REFUSING}: refused for the licence that it states"} if any(map(is_refused, image.copies)) else set()
        yield from (Conflict(sha256=image.best.sha256, what="licence", kept=kept, other=other) for other in sorted(others))


def _positions(pictures: Sequence[Picture], key: str) -> Iterable[list[int]]:
    found: dict[str, list[int]] = {}
    for position, picture in enumerate(pictures):
        value = getattr(picture, key)
        if value:
            found.setdefault(value, []).append(position)
    return found.values()


def _of_one_shape(pictures: Sequence[Picture], positions: Iterable[int]) -> list[list[int]]:
    """Return positions in parts of one shape: a photo that its owner has turned or cut keeps its number, and boxes of the one lie elsewhere in the other."""
    found: list[list[int]] = []
    for position in positions:
        part = next((some for some in found if same_shape(pictures[some[0]], pictures[position])), None)
        if part is None:
            found.append(part := [])
        part.append(position)
    return found


def _told(pictures: Sequence[Picture]) -> Iterable[list[int]]:
    """Return where pictures stand whose addresses, or sources, tell one photo of Flickr's or one picture of COCO's."""
    found: dict[str, list[int]] = {}
    for position, picture in enumerate(pictures):
        own = {f"{key} {number}" for key in ("coco_id", "flickr_id") if (number := getattr(picture, key))}
        for number in own | photo_numbers((picture.url, picture.original_url, picture.landing_url)):
            found.setdefault(number, []).append(position)
    return found.values()


def _is_copy(first: Picture, second: Picture) -> bool:
    """Return whether two near pictures show exactly the same frame, so that a box of one can be drawn on the other."""
    return distance(first.phash, second.phash) <= SAME_BITS and same_frame(first, second)


def _trust(source: str, settings: Merge) -> int:
    return settings.trust.index(source) if source in settings.trust else len(settings.trust)


Known = dict[tuple[str, str], State]


def _known(pools: Iterable[Pool], image_of: dict[str, _Image], ids: Ids, settings: Merge, boxed: Container[tuple[str, str]]) -> tuple[Known, list[Conflict]]:
    """Return what is known of each image and category; the most trusted source wins, contradictions are logged.

    Where there is a box (`boxed`) nothing is absent, whoever says so: whole images alone are left out, never single boxes.
    """
    said: dict[tuple[str, str], list[Presence]] = {}
    for presence in (p for pool in pools for p in pool.presence):
        if presence.category in ids.categories and presence.sha256 in image_of:
            said.setdefault((image_of[presence.sha256].best.sha256, presence.category), []).append(presence)
    known, conflicts = {}, []
    for (sha256, category), records in said.items():
        weight = WEIGHT if any(p.source == REVIEW for p in records) else {}
        ordered = sorted(records, key=lambda p: (weight.get(p.source, len(WEIGHT)), _trust(p.source, settings), p.source, p.state))
        states = {p.state for p in ordered}
        first, is_boxed = ordered[0], (sha256, category) in boxed
        holds = next((p for p in ordered if p.state is not State.ABSENT), first) if is_boxed else first
        state = State.PRESENT if State.PRESENT in states and State.ABSENT not in states else holds.state
        known[sha256, category] = State.PARTIAL if is_boxed and first.state is State.ABSENT else state
        other = next((p for p in ordered if (p.state is State.ABSENT) != (holds.state is State.ABSENT)), None)
        if other is not None:
            kept = f"{holds.source}: {holds.state}"
            conflicts.append(Conflict(sha256=sha256, what=presence_of(category), kept=kept, other=f"{other.source}: {other.state}"))
    return known, conflicts


def presence_of(category: str) -> str:
    """Return what a conflict is about where one says that a category is there, and another that it is not."""
    return f"presence of {category}"


def _looked_at(pools: Iterable[Pool], image_of: dict[str, _Image], ids: Ids) -> set[str]:
    """Return the images of which a source, or people who were asked, say something."""
    every = (presence for pool in pools for presence in pool.presence if presence.category in ids.categories)
    return {image_of[presence.sha256].best.sha256 for presence in every if presence.sha256 in image_of}


def _against_review(denied: Denied) -> Conflict:
    boxes = f"{denied.source}: {counted(denied.boxes, 'box')}"
    return Conflict(sha256=denied.sha256, what=f"boxes of {denied.category}", kept=f"{REVIEW}: no by {denied.decision.by}", other=boxes)


Boxes = dict[str, list[Annotation]]


@dataclass(frozen=True)
class _Drawn:
    """A box in pixels of an image's best copy, and the copy that it was drawn on, by SHA-256."""

    box: Annotation
    on: str


def _boxes(pools: Iterable[Pool], image_of: dict[str, _Image], ids: Ids, settings: Merge) -> tuple[Boxes, int, list[Conflict]]:
    """Return each image's boxes in pixels of its best copy, one for each object; how many were fused; cross-category contradictions."""
    found: dict[str, list[_Drawn]] = {}
    sizes = {copy.sha256: copy for image in image_of.values() for copy in image.copies}
    for annotation in (a for pool in pools for a in pool.annotations):
        image = image_of.get(annotation.sha256)
        if image is None or annotation.category not in ids.categories:
            continue
        bbox = _on_best(annotation.bbox, sizes[annotation.sha256], image.best)
        if bbox is not None:
            box = msgspec.structs.replace(annotation, sha256=image.best.sha256, bbox=bbox)
            found.setdefault(image.best.sha256, []).append(_Drawn(box, annotation.sha256))
    total = sum(len(boxes) for boxes in found.values())
    fused = {sha256: _fused(boxes, settings) for sha256, boxes in found.items()}
    conflicts = [conflict for boxes in fused.values() for conflict in _crossed(boxes, settings)]
    return fused, total - sum(len(boxes) for boxes in fused.values()), conflicts


def _on_best(bbox: BBox, copy: Picture, best: Picture) -> BBox | None:
    if (copy.width, copy.height) == (best.width, best.height):
        return clipped(bbox, best.width, best.height)
    return clipped(scaled(bbox, best.width / copy.width, best.height / copy.height), best.width, best.height)


def _order(annotation: Annotation, settings: Merge, *of_one_source: Any) -> tuple[Any, ...]:
    return _trust(annotation.source, settings), annotation.iscrowd, annotation.source, *of_one_source, annotation.category, annotation.bbox


def _fused(drawn: list[_Drawn], settings: Merge) -> list[Annotation]:
    """Return one box for each object: the most trusted one, of one source that of the best copy; exact repetitions in one copy go too."""
    kept: list[_Drawn] = []
    for one in sorted(drawn, key=lambda d: _order(d.box, settings, d.on != d.box.sha256, d.on)):
        if not any(_is_one_object(other, one, settings) for other in kept):
            kept.append(one)
    return sorted((one.box for one in kept), key=lambda a: (a.category, a.bbox, a.source))


def _is_one_object(first: _Drawn, second: _Drawn, settings: Merge) -> bool:
    """Return whether two boxes are of one object. What one source boxed in one copy it told apart."""
    one, other = first.box, second.box
    if one.category != other.category or one.iscrowd != other.iscrowd:
        return False
    overlap = iou(one.bbox, other.bbox)
    return overlap > 1 - 1e-9 if (one.source, first.on) == (other.source, second.on) else overlap >= settings.fuse_iou


def _crossed(boxes: list[Annotation], settings: Merge) -> list[Conflict]:
    """Return pairs of boxes of two categories on one object; both stay, for a person to look at."""
    found = []
    for position, first in enumerate(boxes):
        for second in boxes[position + 1 :]:
            if (
                first.category != second.category
                and not first.iscrowd
                and not second.iscrowd
                and iou(first.bbox, second.bbox) >= settings.conflict_iou
            ):
                one, two = sorted((first, second), key=lambda a: _order(a, settings))
                found.append(
                    Conflict(
                        sha256=first.sha256,
                        what="two categories on one box",
                        kept=f"{one.source}: {one.category}",
                        other=f"{two.source}: {two.category}",
                    )
                )
    return found


def _policy(images: list[_Image], known: Known, ids: Ids, settings: Merge) -> tuple[list[_Image], dict[str, Reason]]:
    """Return the images that stay, and the reason of those that do not because nobody looked for some category in them."""
    if settings.unknown == "keep":
        return images, {}
    whole = [image for image in images if all((image.best.sha256, category) in known for category in ids.categories)]
    kept = {image.best.sha256 for image in whole}
    return whole, {image.best.sha256: Reason.UNKNOWN_CATEGORY for image in images if image.best.sha256 not in kept}


def _coco(images: list[_Image], boxes: Boxes, known: Known, ids: Ids) -> Coco:
    licences = sorted({image.licensed.license for image in images})
    licence_ids = {name: number for number, name in enumerate(licences, 1)}
    groups = {name: number for number, name in enumerate(sorted({image.group for image in images}), 1)}
    categories = tuple(
        CocoCategory.shown(id=i.id, key=n, name=i.name, supercategory=i.supercategory) for n, i in sorted(ids.categories.items(), key=lambda item: item[1].id)
    )
    coco_images = tuple(
        _coco_image(number, image, license_=licence_ids[image.licensed.license], group=groups[image.group], known=known, ids=ids)
        for number, image in enumerate(images, 1)
    )
    numbered = [(image.id, box) for image in coco_images for box in boxes.get(image.sha256, ())]
    annotations = tuple(_coco_annotation(number, image_id, box, ids) for number, (image_id, box) in enumerate(numbered, 1))
    return Coco(
        info={"description": "merged by Boxset"},
        licenses=tuple(CocoLicense(id=number, name=name or "unknown", url=licence_url(name)) for name, number in licence_ids.items()),
        categories=categories,
        images=coco_images,
        annotations=annotations,
    )


def licence_url(spdx: str) -> str:
    """Return where a Creative Commons licence's text stands, in its ported version where it is one, or an empty string."""
    found = re.fullmatch(r"(?:LicenseRef-)?CC-(BY[A-Z-]*)-(\d\.\d)(?:-([A-Z]{2,3}))?", spdx)
    if found is None:
        return LICENCE_URLS.get(spdx, "")
    return "/".join(["https://creativecommons.org/licenses", *(part.lower() for part in found.groups() if part), ""])


def _coco_image(number: int, image: _Image, *, license_: int, group: int, known: Known, ids: Ids) -> CocoImage:
    best = image.best
    by_state = {state: tuple(sorted(i.id for n, i in ids.categories.items() if known.get((best.sha256, n)) is state)) for state in State}
    others = sorted({f"{copy.source}:{copy.source_id}" for copy in image.copies} - {f"{best.source}:{best.source_id}"})
    landings = [copy.landing_url for copy in (image.licensed, best, *image.copies) if copy.landing_url]
    flickr = next((page for page in landings if "flickr" in page), "")
    original = next((copy.original_url for copy in (image.licensed, best, *image.copies) if copy.original_url), "")
    maker = next((copy for copy in (image.licensed, best, *sorted(image.copies, key=lambda copy: not copy.license)) if copy.author), image.licensed)
    return CocoImage(
        id=number,
        file_name=best.file_name,
        width=best.width,
        height=best.height,
        license=license_,
        coco_url=best.url,
        flickr_url=flickr,
        landing_url=landings[0] if landings else "",
        original_url=original,
        source=best.source,
        source_id=best.source_id,
        source_split=best.split,
        author=maker.author,
        author_url=maker.author_url,
        title=image.licensed.title or best.title,
        sha256=best.sha256,
        phash=best.phash,
        grid=best.grid,
        group=group,
        also_in=tuple(others),
        flags=best.flags,
        neg_category_ids=by_state[State.ABSENT],
        not_exhaustive_category_ids=by_state[State.PARTIAL],
        exhaustive_category_ids=by_state[State.PRESENT],
    )


def _coco_annotation(number: int, image_id: int, box: Annotation, ids: Ids) -> CocoAnnotation:
    return CocoAnnotation(
        id=number,
        image_id=image_id,
        category_id=ids.categories[box.category].id,
        bbox=box.bbox,
        area=box.bbox[2] * box.bbox[3],
        iscrowd=box.iscrowd,
        segmentation=(),
        source=box.source,
        attributes=box.attributes,
    )


def _metrics(coco: Coco, pictures: list[Picture], *, dropped: tuple[Dropped, ...], united: int, fused: int, denied: int, conflicts: int) -> dict[str, Any]:
    reasons = count_reasons(d.reason for d in dropped)
    if len(coco.images) + united + sum(reasons.values()) != len(pictures):
        raise ProjectError("records were lost in the merge: this is a fault of Boxset")
    return {
        "seen": len(pictures),
        "kept": len(coco.images),
        "united": united,
        "dropped": reasons,
        "fused_boxes": fused,
        "denied_boxes": denied,
        "conflicts": conflicts,
        **counts(coco),
    }


def counts(coco: Coco) -> dict[str, Any]:
    """Return boxes, and images that have some, by category, by its key; crowds apart, in all."""
    names = {category.id: category.key for category in coco.categories}
    boxes = dict.fromkeys(names.values(), 0)
    images: dict[str, set[int]] = {name: set() for name in names.values()}
    for annotation in (a for a in coco.annotations if not a.iscrowd):
        boxes[names[annotation.category_id]] += 1
        images[names[annotation.category_id]].add(annotation.image_id)
    return {"boxes": boxes, "images": {name: len(found) for name, found in images.items()}, "crowds": len(coco.annotations) - sum(boxes.values())}

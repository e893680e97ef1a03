"""What of a data set may be passed on: the pictures that their licences and the terms of their boxes let go, and what keeps the others back."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from boxset.assemble.merge import REFUSING, Conflict
from boxset.dataset.coco import Coco, CocoImage, part_of
from boxset.errors import InputError, ProjectError
from boxset.files import read_jsonl
from boxset.sources.terms import LETS, Passing, asks, box_terms, passing, passing_with_boxes
from boxset.wording import counted

PURPOSES = {"share": "may be passed on", "commerce": "may be passed on for commerce"}


class LeftOut(msgspec.Struct, frozen=True, order=True):
    """Pictures that stay back for one reason. `under`: the licence; `why`: what it asks, or whose licence it is."""

    under: str
    why: str
    pictures: int


@dataclass(frozen=True)
class Shared:
    """The part of a data set that may be passed on for a purpose of `PURPOSES`, by split, and the whole that it is of."""

    purpose: str
    parts: dict[str, Coco]
    whole: dict[str, Coco]
    left: tuple[LeftOut, ...]


def passing_of(parts: Mapping[str, Coco], formats: Mapping[str, str]) -> dict[str, Passing]:
    """Return each picture's name → whether it may be passed on with all of its boxes. `formats`: source → its format."""
    found = {}
    for coco in parts.values():
        licences, drawn = {one.id: one.name for one in coco.licenses}, _sources_of_boxes(coco)
        for image in coco.images:
            terms = [box_terms(source, formats) for source in drawn.get(image.id, ())]
            found[image.file_name] = passing_with_boxes(licences[image.license], terms)
    return found


def shared(parts: Mapping[str, Coco], purpose: str, *, formats: Mapping[str, str], stated: Mapping[str, Collection[str]]) -> Shared:
    """Return what may be passed on: whole pictures with all of their boxes, ids and splits as they are.

    A picture with a box that may not be passed on is left out: without the box it would teach that nothing is there. `formats`: source → its
    format; `stated`: SHA-256 → other licences that copies of the picture state, which must let it go as well. Raises InputError where nothing stays.
    """
    kept, left = {}, Counter[tuple[str, str]]()
    for split, coco in parts.items():
        against = _against(coco, purpose, formats, stated)
        left.update(against.values())
        kept[split] = _without(coco, against)
    if not any(coco.images for coco in kept.values()):
        says = "; ".join(f"{counted(n, 'picture')} {under}: {why}" for (under, why), n in sorted(left.items())) or "there are no pictures"
        raise InputError(f"no picture {PURPOSES[purpose]} ({says})", do="`boxset audit` says where the boxes are from, the data card which licences there are")
    rows = sorted((LeftOut(under, why, n) for (under, why), n in left.items()), key=lambda one: (-one.pictures, one))
    return Shared(purpose, kept, dict(parts), tuple(rows))


def left_out_words(done: Shared) -> list[str]:
    """Say what was left out, under which licence and why, and what that does to test."""
    said = [f"{counted(one.pictures, 'picture')} left out: {one.under} ({one.why})" for one in done.left]
    for split, whole in done.whole.items():
        have, of = len(done.parts[split].images), len(whole.images)
        if of and not have:
            said.append(f"{split} is empty: none of its {counted(of, 'picture')} {PURPOSES[done.purpose]}")
        elif split == "test" and have < of:
            said.append(f"test has {have:,} of its {counted(of, 'picture')}: a score on it does not compare with one on the whole")
    return said


def _sources_of_boxes(coco: Coco) -> dict[int, list[str]]:
    found: dict[int, set[str]] = {}
    for annotation in coco.annotations:
        found.setdefault(annotation.image_id, set()).add(annotation.source)
    return {image: sorted(sources) for image, sources in found.items()}


def _against(coco: Coco, purpose: str, formats: Mapping[str, str], stated: Mapping[str, Collection[str]]) -> dict[int, tuple[str, str]]:
    """Return the images that stay back → under which licence, and why."""
    licences, drawn = {one.id: one.name for one in coco.licenses}, _sources_of_boxes(coco)
    found = {}
    for image in coco.images:
        reasons = [
            *_of_licence(image, licences[image.license], purpose, formats),
            *_of_boxes(drawn.get(image.id, ()), purpose, formats),
            *_of_copies(image, licences[image.license], purpose, stated),
        ]
        if reasons:
            found[image.id] = reasons[0]
    return found


def _of_licence(image: CocoImage, licence: str, purpose: str, formats: Mapping[str, str]) -> list[tuple[str, str]]:
    found = passing(licence)
    if found in LETS[purpose]:
        return []
    is_ours_to_say = formats.get(image.source) == "local" and found in (Passing.NOBODY, Passing.UNREAD)
    return [(licence or "unknown", f"sources.{image.source}.license may state one" if is_ours_to_say else asks(licence))]


def _of_boxes(sources: Iterable[str], purpose: str, formats: Mapping[str, str]) -> list[tuple[str, str]]:
    terms = {source: box_terms(source, formats) for source in sources}
    return [
        (one.licence or "unknown", f"licence of boxes of {source}, without which it would lack some")
        for source, one in terms.items()
        if not one.own and passing(one.licence) not in LETS[purpose]
    ]


def _of_copies(image: CocoImage, licence: str, purpose: str, stated: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
    """Return the licences of copies that do not let the picture go, or its own where a source refuses it for another."""
    others = sorted(other for other in stated.get(image.sha256, ()) if passing(other) not in LETS[purpose])
    return [(other, "licence that another source states for it") if other else (licence, "another source keeps it out for its licence") for other in others]


def _without(coco: Coco, out: Collection[int]) -> Coco:
    """Return the file without some images, and with the licences of the others alone, under the ids that they have."""
    part = part_of(coco, {image.id for image in coco.images} - set(out))
    used = {image.license for image in part.images}
    return msgspec.structs.replace(part, licenses=tuple(one for one in coco.licenses if one.id in used))


def stated_elsewhere(dataset: Path) -> dict[str, set[str]]:
    """Return SHA-256 of a picture → the other licences that copies of it state, from what `merge` wrote beside a data set; nothing away from a project.

    An empty licence: a source refuses it. Raises ProjectError where that is not here.
    """
    root, file = dataset.parent.parent, dataset.parent / "merge/conflicts.jsonl"
    if not (root / "dvc.yaml").exists():
        return {}
    if not file.exists():
        raise ProjectError("is missing, and says where sources contradict each other about a licence", where=str(file), do="`dvc pull merge`, or `dvc repro`")
    found: dict[str, set[str]] = {}
    for row in read_jsonl(file, Conflict):
        if row.what == "licence":
            source, _, licence = row.other.partition(": ")
            found.setdefault(row.sha256, set()).add("" if source == REFUSING else licence)
    return found

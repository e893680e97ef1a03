"""What licences ask of whoever passes pictures on, and under which terms the public sources give their boxes. No legal advice: it says what is stated."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from enum import StrEnum
from typing import NamedTuple

from boxset.dataset.records import PEOPLE
from boxset.params import Licences
from boxset.sources.licences import RESEARCH_ONLY, allowed
from boxset.wording import counted

FREE = ("CC0-1.0", "LicenseRef-PDM-1.0", "CC-PDDC", "Unlicense", "PDDL-1.0", "LicenseRef-no-known-copyright-restrictions", "LicenseRef-us-government-work")
NOBODY, PERMISSION, UNREAD = "nobody states a licence, so no permission is known", "permission: it may not be passed on without", "what its text says: read it"
ASKS = {"BY": "credit", "NC": "no commerce", "ND": "that it stays unchanged", "SA": "the same licence for what is made of it"}


class BoxTerms(NamedTuple):
    """The licence of a source's boxes, whom it wants to be credited, and where that stands. An empty licence: nobody states one."""

    licence: str
    credit: str
    page: str = ""
    own: bool = False  # the project's own, to pass on as it likes


BOXES: Mapping[str, BoxTerms] = {  # by the source's format, as its publisher states them
    "open_images": BoxTerms("CC-BY-4.0", "Open Images, Google LLC", "https://storage.googleapis.com/openimages/web/index.html"),
    "coco": BoxTerms("CC-BY-4.0", "COCO Consortium", "https://cocodataset.org/#termsofuse"),
    "lvis": BoxTerms("CC-BY-4.0", "LVIS, Gupta, Dollár and Girshick", "https://www.lvisdataset.org"),
    "visual_genome": BoxTerms("CC-BY-4.0", "Visual Genome, Krishna et al.", "https://homes.cs.washington.edu/~ranjay/visualgenome/"),
    "imagenet": BoxTerms(RESEARCH_ONLY, "ImageNet, Russakovsky et al.", "https://www.image-net.org/download.php"),
    "local": BoxTerms("", "as you know", own=True),
    PEOPLE: BoxTerms("", "drawn for this project", own=True),
}


def box_terms(source: str, formats: Mapping[str, str]) -> BoxTerms:
    """Return the terms of the boxes that a source brought. `formats`: source → its format, where that is not its name."""
    return BOXES.get(formats.get(source, source), BoxTerms("", ""))


def asks(licence: str) -> str:
    """Return what a picture's licence asks of whoever passes it on, in a few words; `unknown` and an empty text are nobody's."""
    if licence in ("", "unknown"):
        return NOBODY
    if licence in FREE:
        return "nothing"
    parts = re.fullmatch(r"(?:LicenseRef-)?CC-(BY(?:-(?:NC|ND|SA))*)(?:-\d\.\d(?:-[A-Z]{2,3})?)?", licence)
    if parts:
        return ", ".join(ASKS[part] for part in parts[1].split("-"))
    return UNREAD if allowed(licence, "commercial", Licences()) else PERMISSION


class Passing(StrEnum):
    """Whether a picture may be passed on, as far as is stated; the best first."""

    OPEN = "may be passed on, under what their licences ask"
    NO_COMMERCE = "may be passed on, but not for commerce"
    UNREAD = "have licences whose texts must be read"
    PERMISSION = "may not be passed on without permission (research only, or rights reserved)"
    NOBODY = "may not be passed on as far as is known: nobody states a licence"
    BOXES = "could be passed on, but hold boxes that may not"


LETS: Mapping[str, Set[Passing]] = {"share": {Passing.OPEN, Passing.NO_COMMERCE}, "commerce": {Passing.OPEN}}
"""What a copy is for → the pictures that may be in it."""


def passing(licence: str) -> Passing:
    """Return whether what is under a licence may be passed on."""
    found = asks(licence)
    if found in (NOBODY, PERMISSION, UNREAD):
        return {NOBODY: Passing.NOBODY, PERMISSION: Passing.PERMISSION, UNREAD: Passing.UNREAD}[found]
    return Passing.NO_COMMERCE if ASKS["NC"] in found else Passing.OPEN


def passing_with_boxes(licence: str, boxes: Iterable[BoxTerms]) -> Passing:
    """Return whether a picture may be passed on with all of its boxes: without one of them it would say that nothing is there."""
    found = passing(licence)
    drawn = {passing(terms.licence) for terms in boxes if not terms.own}
    if found not in LETS["share"] or drawn <= {Passing.OPEN}:
        return found
    return Passing.NO_COMMERCE if drawn <= LETS["share"] else Passing.BOXES


def passing_on(pictures: Iterable[Passing]) -> list[str]:
    """Say of how many pictures nothing stands against passing them on, and of how many something does."""
    counts = Counter(pictures)
    return [f"{counts[group]:,} of {counted(counts.total(), 'picture')} {group}" for group in Passing if counts[group]]

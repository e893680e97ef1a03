"""Known pictures: which of those that people could be asked have boxes that are known already, and which are asked, so that one sees how well people draw. Values in, values out.

What is known is what the sources, and one's own labels, say without anything that people were asked here: their part of `merge`. No mark says in the ledger that a
picture was known, as a job goes out with its lines: it follows from the picture being a source's, and no crawl's.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from pathlib import Path

import msgspec

from boxset.assemble.merge import Merged, merge, presence_of
from boxset.dataset.coco import CocoAnnotation, CocoImage, annotations_by_image
from boxset.dataset.decisions import Decisions
from boxset.dataset.geometry import scaled
from boxset.dataset.records import BBox, Picture, Pool, Refused
from boxset.files import read_json, sha256_of, write_json
from boxset.params import Merge
from boxset.resolve import Ids
from boxset.wording import counted, dollars, noun

LEAST_SIDE_PX, LEAST_SIDE_SHARE = 16, 0.02  # of a box, the latter of its picture's longer side: smaller things are not seen on a screen
MOST_BOXES = 20  # of a known picture: nobody draws more for the price of one
FIRST = 10  # pictures of a plan among which the first known one is: a trial is to have it

FILE = "known.json"  # beside the plan

Crawled = Mapping[str, Sequence[Picture]]


class KnownBox(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One box of a known picture, in its pixels. `is_crowd`: a region in which single things have none."""

    category_id: int
    bbox: BBox
    is_crowd: bool = False


class Known(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A picture of which is known where everything is of some categories, or that there is none. Its size, and the boxes, are those of the copy that is here."""

    sha256: str
    width: int
    height: int
    category_ids: tuple[int, ...]
    boxes: tuple[KnownBox, ...]
    closed: tuple[int, ...] = ()  # the categories to which what people draw here adds nothing: the sources' boxes hold

    @property
    def single(self) -> list[KnownBox]:
        """Return the boxes of single things."""
        return [box for box in self.boxes if not box.is_crowd]

    @property
    def shown(self) -> frozenset[int]:
        """Return the categories of which it has one."""
        return frozenset(box.category_id for box in self.single)

    @property
    def is_askable(self) -> bool:
        """Return whether it shows something, every known thing in it is large enough to be drawn, and there are not too many."""
        least = max(LEAST_SIDE_PX, LEAST_SIDE_SHARE * max(self.width, self.height))
        return 0 < len(self.single) <= MOST_BOXES and all(min(box.bbox[2:]) >= least for box in self.single)


@dataclass(frozen=True)
class SourcesAlone:
    """What is known without anybody's being asked.

    `pictures`: those of sources, by SHA-256; `askable`: the best copies of the images that no crawl has, and that may be asked; `apart`: all copies of those images.
    """

    pictures: Mapping[str, Known] = field(default_factory=dict)
    askable: Sequence[Picture] = ()
    apart: frozenset[str] = frozenset()

    def also_of(self, copy_of: Mapping[str, str]) -> "SourcesAlone":
        """Return what is known also of pictures that are here no more, as their source was switched off: what is known of the copy that stands for each, unless a crawl has one."""
        gone = {name: msgspec.structs.replace(self.pictures[one], sha256=name) for name, one in copy_of.items() if one in self.apart & self.pictures.keys()}
        return replace(self, pictures={**gone, **self.pictures})

    @property
    def closed(self) -> dict[str, tuple[int, ...]]:
        """Return of the pictures that are sources' alone the categories to which what people draw adds nothing."""
        return {sha256: one.closed for sha256, one in self.pictures.items() if one.closed}


NOTHING_KNOWN = SourcesAlone()


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """The known pictures of a plan. Money in mills, part of the plan's."""

    share: float  # `label.gold_share`
    wanted: int
    pictures: int
    cost_mills: int
    sha256s: tuple[str, ...]  # in the order of the plan


def boxed(extracted: Iterable[Pool]) -> frozenset[str]:
    """Return the pictures in which a source has a box."""
    return frozenset(a.sha256 for pool in extracted for a in pool.annotations)


def of_sources(extracted: Iterable[Pool], crawled: Crawled) -> frozenset[str]:
    """Return the pictures in which a source has a box and that no crawl has: people are asked about them only as known ones."""
    return boxed(extracted) - {picture.sha256 for some in crawled.values() for picture in some}


def sources_alone(
    pools: dict[str, Pool], crawled: dict[str, tuple[Picture, ...]], *, ids: Ids, settings: Merge, refused: Refused, decisions: Decisions
) -> SourcesAlone:
    """Return what the sources know. A category in whose state they contradict each other, of which several have boxes, or of which a decision speaks, is not known.

    Closed are the known categories in pictures in which a single thing is known, and that no crawl has: those were asked for another reason. So of each category that
    people drew either what they drew is measured, or it is an answer like any other. A copy in which its own source has no box (`boxed`) is left out.
    """
    merged = merge(pools, crawled, answers=Pool(), ids=ids, settings=msgspec.structs.replace(settings, unknown="keep"), refused=refused)
    told = boxed(pools.values())
    own = {picture.sha256: picture for pool in pools.values() for picture in pool.pictures}
    found = {picture.sha256 for some in crawled.values() for picture in some}
    reviews = dict(zip(own, decisions.of(list(own.values())), strict=True))
    boxes, doubts = annotations_by_image(merged.coco), _contradicted(merged, ids)
    pictures, askable, apart = dict[str, Known](), list[Picture](), set[str]()
    for image in merged.coco.images:
        copies = {image.sha256, *merged.copies.get(image.sha256, ())}
        ours, drawn = sorted(copies & own.keys()), boxes.get(image.id, [])
        whole = {*image.exhaustive_category_ids, *image.neg_category_ids}
        is_out = any(reviews[one].unusable or reviews[one].taken_down for one in ours)
        decided = whole if is_out else {number for one in ours for number in reviews[one].by_category}
        sure = whole - doubts.get(image.sha256, set()) - _of_several(drawn) - decided
        pictures |= {one: _known(own[one], image, drawn, sure, is_found=one in found) for one in ours if one in told}
        apart |= copies if not copies & found else set()
        if image.sha256 in apart & told and pictures[image.sha256].is_askable:
            askable.append(own[image.sha256])
    return SourcesAlone(pictures, askable, frozenset(apart))


def _contradicted(merged: Merged, ids: Ids) -> dict[str, set[int]]:
    """Return image → the categories of which one source says that they are there, and another that they are not."""
    numbers = {presence_of(name): identity.id for name, identity in ids.categories.items()}
    found: dict[str, set[int]] = {}
    for conflict in merged.conflicts:
        if conflict.what in numbers:
            found.setdefault(conflict.sha256, set()).add(numbers[conflict.what])
    return found


def _of_several(boxes: Sequence[CocoAnnotation]) -> set[int]:
    """Return the categories of which more than one source has a box that no other one's is: they do not see the same things."""
    sources = {(box.category_id, box.source) for box in boxes}
    return {number for number, times in Counter(number for number, _ in sources).items() if times > 1}


def _known(picture: Picture, image: CocoImage, boxes: Sequence[CocoAnnotation], sure: Collection[int], *, is_found: bool) -> Known:
    """Return what is known of a copy of an image, in its own pixels. `is_found`: a crawl has it, so that people decide what is in it."""
    across, down = picture.width / image.width, picture.height / image.height
    found = [
        KnownBox(category_id=box.category_id, bbox=scaled(box.bbox, across, down), is_crowd=bool(box.iscrowd or box.attributes.get("group_of")))
        for box in boxes
        if box.category_id in sure
    ]
    known = Known(sha256=picture.sha256, width=picture.width, height=picture.height, category_ids=tuple(sorted(sure)), boxes=tuple(found))
    return known if is_found or not known.single else msgspec.structs.replace(known, closed=known.category_ids)


@dataclass(frozen=True)
class Offer:
    """The known pictures that there are for a purchase of so many pictures at the most, of which they are to be a share."""

    share: float
    most: int
    askable: Sequence[Picture]

    @property
    def room(self) -> int:
        """Return how many other pictures the purchase has room for."""
        return self.most - min(self._most_known, len(self.askable))

    def wanted(self, others: int) -> int:
        """Return how many known pictures the purchase is to have beside so many others; where it is full, the share of all of it."""
        return self._most_known if others >= self.room else self._beside(others)

    def beside(self, others: int) -> int:
        """Return how many known pictures there would be beside so many others if nothing bound."""
        return min(len(self.askable), self._beside(others))

    @property
    def _most_known(self) -> int:
        return min(ceil(self._exact * self.most), self.most // 2)

    def _beside(self, others: int) -> int:
        return ceil(self._exact * others / (1 - self._exact))

    @property
    def _exact(self) -> Fraction:
        return Fraction(str(self.share))


def chosen(known: Mapping[str, Known], askable: Iterable[Picture], count: int, *, bought_for: Mapping[int, int], asked: Iterable[str]) -> list[tuple[Picture, int]]:
    """Return known pictures to ask, each with the category that it is taken for.

    The next one is of the category of which the fewest were asked (`asked`: pictures, by SHA-256), of equals of that for which most is bought (`bought_for`: category
    id → pictures); those for which nothing is bought come last. Within a category they come in an order that their names do not tell: lowest names first would.
    """
    times = Counter(number for sha256 in asked if sha256 in known for number in known[sha256].shown)
    taken, found, queues = set[str](), list[tuple[Picture, int]](), _queues(known, askable)
    while queues and len(found) < count:
        number = min(queues, key=lambda one: (not bought_for.get(one), times[one], -bought_for.get(one, 0), one))
        picture = next((one for one in queues[number] if one.sha256 not in taken), None)
        if picture is None:
            del queues[number]
            continue
        taken.add(picture.sha256)
        times.update(known[picture.sha256].shown)
        found.append((picture, number))
    return found


def _queues(known: Mapping[str, Known], askable: Iterable[Picture]) -> dict[int, Iterator[Picture]]:
    """Return category → the pictures that show it, in the order in which they are asked."""
    queues: dict[int, list[Picture]] = {}
    for picture in sorted(askable, key=lambda one: _mixed(one.sha256)):
        for number in known[picture.sha256].shown:
            queues.setdefault(number, []).append(picture)
    return {number: iter(some) for number, some in queues.items()}


def places(count: int, others: Sequence[str]) -> list[int]:
    """Return the places of known pictures among others, by SHA-256: one in each of so many equal parts, where in it only who has all others can tell.

    So every part of a purchase that is sent alone has its share. The first is among the first ten, and never the very first: a purchase of one picture is to bring something.
    """
    every, secret = count + len(others), sha256_of("".join(others).encode())
    ends = [part * every // count for part in range(1, count + 1)]
    parts = zip([1, *ends], [min(ends[0], FIRST), *ends[1:]] if ends else [], strict=False)
    return [start + int(_mixed(f"{secret} {start}"), 16) % (end - start) for start, end in parts]


def _mixed(name: str) -> str:
    return sha256_of(f"known {name}".encode())


def write_known(folder: Path, known: Mapping[str, Known]) -> None:
    """Write what is known of the pictures that were asked, or are to be: `boxset label` measures by it what comes back. No file where nothing is."""
    if known:
        write_json(folder / FILE, [known[sha256] for sha256 in sorted(known)])
    else:
        (folder / FILE).unlink(missing_ok=True)


def read_known(folder: Path) -> dict[str, Known]:
    """Read it, by the pictures' SHA-256; nothing where there is no file. Raises InputError naming the file and the field."""
    path = folder / FILE
    return {one.sha256: one for one in read_json(path, tuple[Known, ...])} if path.exists() else {}


def words(share: Share) -> list[str]:
    """Say how many known pictures a plan has, what they cost, and where they are fewer than `label.gold_share` wants."""
    what = noun(share.pictures, "it shows how well people draw, and brings no box", "they show how well people draw, and bring no box")
    some = f"{counted(share.pictures, 'known picture')} among them, {dollars(share.cost_mills)}: {what}"
    there = counted(share.pictures, "is", "are") if share.pictures else "there are none"
    few = f"label.gold_share wants {counted(share.wanted, 'known picture')}, and {there}{' there' if share.pictures else ''} that may be asked"
    return [*([some] if share.pictures else []), *([few] if share.pictures < share.wanted else [])]

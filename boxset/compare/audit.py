"""Where each box of a data set is from, what it cost, whom to credit for it, and what its picture's licence asks. Values in, values out."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

import msgspec

from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage
from boxset.dataset.records import PEOPLE

NOTHING = Fraction(0)


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """One box. `origin`: the job that people drew it in, else the source that brought it. Money in USD; an empty text: nobody states it."""

    file_name: str
    split: str
    category: str
    left: float
    top: float
    width: float
    height: float
    iscrowd: int
    origin: str
    usd: Fraction
    workers: str  # how many drew it, of how many who looked, where the service says so
    box_licence: str
    box_credit: str
    source: str  # of the picture
    source_id: str
    address: str
    landing_page: str
    licence: str
    asks: str
    author: str
    author_page: str
    title: str


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What one job or source brought, crowds apart. `usd_elsewhere`: of a job's money, what went to pictures that have no box of it in the data set."""

    name: str
    boxes: int
    crowds: int
    pictures: int
    usd: Fraction
    usd_elsewhere: Fraction
    licence: str
    credit: str


class _Part(NamedTuple):
    """A split, with what its boxes name by number."""

    split: str
    images: Mapping[int, CocoImage]
    categories: Mapping[int, str]
    licences: Mapping[int, str]

    @classmethod
    def of(cls, split: str, coco: Coco) -> "_Part":
        categories, licences = {c.id: c.name for c in coco.categories}, {one.id: one.name for one in coco.licenses}
        return cls(split, {image.id: image for image in coco.images}, categories, licences)


def trace(
    parts: Mapping[str, Coco], prices: Mapping[str, Fraction], *, terms: Callable[[str], tuple[str, str]], asks: Callable[[str], str]
) -> list[Traced]:
    """Return every box of a data set, in the order of its files.

    `prices`: job → what it cost for each picture, shared by the boxes that it brought in the picture; `terms`: source → licence of its boxes
    and whom to credit; `asks`: a picture's licence → what it asks.
    """
    rows = []
    for split, coco in parts.items():
        part = _Part.of(split, coco)
        sharing = Counter((a.image_id, _origin(a)) for a in coco.annotations)
        for a in coco.annotations:
            usd = prices.get(_origin(a), NOTHING) / sharing[a.image_id, _origin(a)] if a.source == PEOPLE else NOTHING
            rows.append(_traced(a, part, usd=usd, terms=terms(a.source), asks=asks))
    return rows


def _origin(box: CocoAnnotation) -> str:
    return str(box.attributes.get("job") or PEOPLE) if box.source == PEOPLE else box.source


def _traced(a: CocoAnnotation, part: _Part, *, usd: Fraction, terms: tuple[str, str], asks: Callable[[str], str]) -> Traced:
    drew, looked = a.attributes.get("workers"), a.attributes.get("of_workers")
    image = part.images[a.image_id]
    licence = part.licences[image.license]
    return Traced(
        file_name=image.file_name,
        split=part.split,
        category=part.categories[a.category_id],
        left=a.bbox[0],
        top=a.bbox[1],
        width=a.bbox[2],
        height=a.bbox[3],
        iscrowd=a.iscrowd,
        origin=_origin(a),
        usd=usd,
        workers=f"{drew} of {looked}" if drew and looked else "",
        box_licence=terms[0],
        box_credit=terms[1],
        source=image.source,
        source_id=image.source_id,
        address=image.coco_url,
        landing_page=image.landing_url,
        licence=licence,
        asks=asks(licence),
        author=image.author,
        author_page=image.author_url,
        title=image.title,
    )


def by_origin(rows: Iterable[Traced], spent: Mapping[str, Fraction]) -> list[Origin]:
    """Return what each origin brought; `spent`: job → all that it cost. The money of all origins is all that was spent."""
    found: dict[str, list[Traced]] = {name: [] for name in sorted(spent)}
    for row in rows:
        found.setdefault(row.origin, []).append(row)
    return [_origin_of(name, found[name], spent.get(name, NOTHING)) for name in sorted(found, key=lambda name: (name in spent, name))]


def _origin_of(name: str, rows: list[Traced], spent: Fraction) -> Origin:
    usd, crowds = sum((row.usd for row in rows), NOTHING), sum(row.iscrowd for row in rows)
    return Origin(
        name=name,
        boxes=len(rows) - crowds,
        crowds=crowds,
        pictures=len({row.file_name for row in rows}),
        usd=usd,
        usd_elsewhere=spent - usd,
        licence=rows[0].box_licence if rows else "",
        credit=rows[0].box_credit if rows else "",
    )

"""Out of one source's index: which images our categories need, their pictures, their boxes in pixels, and what is known of them."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from threading import Lock
from typing import Any

from boxset.dataset.geometry import clipped, scaled, turned
from boxset.dataset.reasons import Reason, Refusal, count_reasons
from boxset.dataset.records import (
    KEPT,
    Annotation,
    BBox,
    ImageRow,
    Picture,
    Pool,
    Presence,
    Seen,
    State,
    known_of,
    outcome_counts,
    write_pool,
    write_refused,
)
from boxset.dataset.takedown import NOTHING_DOWN, Takedowns
from boxset.endpoints import Endpoints
from boxset.errors import InputError
from boxset.files import read_jsonl, write_jsonl
from boxset.images.archive import holds_pictures, pictures_in
from boxset.resolve import ExtractOrder
from boxset.sources import tables
from boxset.sources.choice import Choice, choose, refused_everywhere
from boxset.sources.imagenet import ARCHIVE
from boxset.sources.imagenet import FOLDER as IMAGENET_FOLDER
from boxset.sources.local import unversioned
from boxset.sources.place import MAX_BYTES, READERS, Place, place_of
from boxset.sources.raw import RawFiles
from boxset.terminal import say
from boxset.text import cleaned
from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy
from boxset.web.mirror import from_folder
from boxset.web.pictures import Get, Journal, Outcome, Shelf, Stored, Wanted, fetch_all, keep_only, pictures_elsewhere, stored_elsewhere
from boxset.wording import counted
from boxset.work import Flow

CONNECTIONS = 32
PER_HOST = 16
FLAGS = tables.FLAGS
TOLD = ("split", "landing_url", "original_url", "license", "author", "author_url", "title", "flickr_id", "coco_id")
NOT_TRIED = (Reason.LICENCE, Reason.OVER_LIMIT, Reason.TAKEN_DOWN)
ROUNDING_PX = 1e-3  # a box that clipping changes by less was not outside
SHAPE = 1e-3  # shapes that differ by less, as logarithms, are one
Row = dict[str, Any]


def extract(
    order: ExtractOrder, index: Path, out: Path, *, endpoints: Endpoints, contact: str, version: int, down: Takedowns = NOTHING_DOWN  # noqa: ARG001 - part of every stage's call
) -> dict[str, Any]:
    """Write `images.jsonl`, `annotations.json`, `refused.json` and `images/`; return the metrics.

    Goes on where a killed run stopped; a picture that is there is not fetched again. What is taken down is not fetched, and of it no bytes stay.
    Raises InputError where more than `max_missing_share` of the pictures cannot be had; what was fetched stays.
    """
    choice = choose(order, index) if order.on else Choice({}, {}, {}, {}, frozenset(), 0)
    journal_path = Path(".boxset/journal") / f"extract-{order.name}.{order.retry}.jsonl"
    with Journal(journal_path) as journal:
        _remember(journal, out, retry=order.retry)
        unasked = _known_to_be_down(order, choice, out, down)
        outcomes = _pictures(order, _wanted(choice, unasked), out, journal=journal, endpoints=endpoints, contact=contact)
        passed = [ImageRow(source_id=image, url=url, outcome=Reason.OVER_LIMIT, detail=why) for image, (url, why) in choice.passed.items()]
        chosen = [_row(order, choice, image, outcomes) for image in choice.images if image not in unasked]
        rows = sorted([*_without_copies(chosen, down), *unasked.values(), *passed], key=lambda row: row.source_id)
        _check_missing(order, rows)
    for why, count in count_reasons(row.detail for row in passed).items():
        say(f"{order.name}: {count:,} of your pictures left out, each: {why}")
    pool, fate = _pool(order, choice, rows, tables.about(index).coordinates)
    write_jsonl(out / "images.jsonl", rows)
    write_pool(out / "annotations.json", pool)
    write_refused(out / "refused.json", refused_everywhere(order, index))
    keep_only(out / "images", {row.picture.file_name for row in rows if row.picture is not None})
    return _metrics(order, pool, rows, fate)


def _remember(journal: Journal, out: Path, *, retry: int) -> None:
    """Take what an earlier run of the stage wrote as known, so that a pulled clone fetches nothing again."""
    for row in read_jsonl(out / "images.jsonl", ImageRow):
        if row.url not in journal.known and (row.picture is not None or not retry) and row.outcome not in NOT_TRIED:
            journal.known[row.url] = Outcome(url=row.url, outcome=row.outcome, detail=row.detail, stored=_stored(row.picture))


def _stored(picture: Picture | None) -> Stored | None:
    if picture is None:
        return None
    swapped = picture.orientation > 4
    raw = (picture.height, picture.width) if swapped else (picture.width, picture.height)
    return Stored(**known_of(picture), raw_width=raw[0], raw_height=raw[1], looks=picture.flags)


def _known_to_be_down(order: ExtractOrder, choice: Choice, out: Path, down: Takedowns) -> dict[str, ImageRow]:
    """Return image → its row for what is taken down by a name, or was seen to be a copy of what is: it is not asked for."""
    earlier = [(row, row.seen) for row in read_jsonl(out / "images.jsonl", ImageRow) if row.seen is not None] if down.held else []
    alike = down.of([seen.picture(source=order.name, source_id=row.source_id, url=row.url) for row, seen in earlier])
    found = {row.source_id: row for (row, _), one in zip(earlier, alike, strict=True) if one and row.source_id in choice.images}
    for image, row in choice.images.items():
        url = row.get("url") or ""
        if image not in found and down.named(f"{order.name}:{image}", url, row.get("original_url") or ""):
            found[image] = ImageRow(source_id=image, url=url, outcome=Reason.TAKEN_DOWN)
    return found


def _without_copies(rows: list[ImageRow], down: Takedowns) -> list[ImageRow]:
    """Return the rows; those of pictures of which a copy was taken down say so, and what the picture was."""
    kept = [row.picture for row in rows if row.picture is not None]
    out = {picture.sha256 for picture, one in zip(kept, down.of(kept), strict=True) if one}
    return [
        ImageRow(source_id=row.source_id, url=row.url, outcome=Reason.TAKEN_DOWN, seen=Seen.of(row.picture)) if row.picture and row.picture.sha256 in out else row
        for row in rows
    ]


def _wanted(choice: Choice, unasked: Container[str]) -> list[Wanted]:
    """Return the pictures to be had, each address once."""
    urls = dict.fromkeys(row.get("url") or "" for image, row in choice.images.items() if image not in unasked and image not in choice.refused)
    return [Wanted(url=url) for url in urls if url]


def _pictures(order: ExtractOrder, wanted: list[Wanted], out: Path, *, journal: Journal, endpoints: Endpoints, contact: str) -> dict[str, Outcome]:
    """Return address → what became of it."""
    shelf = Shelf(out / "images", twins=pictures_elsewhere(out.parent.parent, out))
    if order.format == "local":
        return _done(fetch_all(wanted, _from_place(order, endpoints), shelf=shelf, journal=journal, elsewhere={}, flow=Flow(READERS)))
    if order.format == "imagenet" and wanted:
        _out_of_archive(order, wanted, shelf, journal=journal, endpoints=endpoints, contact=contact)
        return _done(
            fetch_all(wanted, lambda _: Refusal(Reason.GONE, "not in the archive"), shelf=shelf, journal=journal, elsewhere={}, flow=Flow(4))
        )
    if not wanted:
        return {}
    policy = FetchPolicy(connections=CONNECTIONS, per_host=PER_HOST, pace_s=0.0, robots=False)
    with Fetcher(endpoints, contact=contact, policy=policy) as fetcher:

        def get(item: Wanted) -> bytes | Refusal:
            shelved = from_folder(endpoints, item.url, max_bytes=policy.max_bytes)
            if shelved is not None:
                return shelved
            answer = fetcher.get(item.url)
            return answer.body if isinstance(answer, Fetched) else answer

        elsewhere = stored_elsewhere(out.parent.parent, out)
        return _done(fetch_all(wanted, get, shelf=shelf, journal=journal, elsewhere=elsewhere, flow=Flow(CONNECTIONS, PER_HOST)))


def _done(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    return {outcome.url: outcome for outcome in outcomes}


def _from_place(order: ExtractOrder, endpoints: Endpoints) -> Get:
    """Return how to read one's own pictures; the place is looked for when the first one is needed."""
    places: list[Place] = []
    lock = Lock()

    def get(item: Wanted) -> bytes | Refusal:
        with lock:
            if not places:
                places.append(place_of(order.path, endpoints))
        return places[0].picture(unversioned(item.url), max_bytes=MAX_BYTES)

    return get


def _out_of_archive(order: ExtractOrder, wanted: list[Wanted], shelf: Shelf, *, journal: Journal, endpoints: Endpoints, contact: str) -> None:
    """Take the pictures that are not here yet out of the archive, in one pass."""
    missing = [item for item in wanted if not _is_settled(journal.known.get(item.url), shelf)]
    if not missing:
        return
    place = _archive(order, [item.url for item in missing], endpoints, contact)
    for name, raw in pictures_in(place, [item.url for item in missing]):
        stored = shelf.put(raw)
        refused = isinstance(stored, Refusal)
        journal.add(
            Outcome(url=name, outcome=stored.reason, detail=stored.detail) if refused else Outcome(url=name, outcome=KEPT, stored=stored)  # type: ignore[union-attr, arg-type]
        )


def _archive(order: ExtractOrder, wanted: list[str], endpoints: Endpoints, contact: str) -> Path:
    """Return what holds ImageNet's pictures: what `files.pictures` names, `path` itself, or Kaggle's archive in it."""
    place = Path(order.pictures or order.path)
    if place.is_file() or holds_pictures(place, wanted) or (place / IMAGENET_FOLDER).is_dir():
        return place
    named = {ARCHIVE[0]: order.pictures} if order.pictures else {}
    return RawFiles(endpoints, contact=contact, path=order.path, files=named, sha256={}).get(*ARCHIVE)


def _is_settled(known: Outcome | None, shelf: Shelf) -> bool:
    return known is not None and (known.stored is None or shelf.has(known.stored))


def _told(name: str, text: str) -> str:
    """Return what a source says of a picture, without control characters; no address that has some."""
    return "" if name.endswith("_url") and cleaned(text) != text else cleaned(text)


def _row(order: ExtractOrder, choice: Choice, image: str, outcomes: dict[str, Outcome]) -> ImageRow:
    row = choice.images[image]
    url = row.get("url") or ""
    if image in choice.refused:
        return ImageRow(source_id=image, url=url, outcome=Reason.LICENCE, detail=choice.refused[image])
    outcome = outcomes.get(url) or Outcome(url=url, outcome=Reason.NO_PICTURE, detail="the source names no picture")
    if outcome.stored is None:
        return ImageRow(source_id=image, url=url, outcome=outcome.outcome, detail=outcome.detail)
    stored = outcome.stored
    said: dict[str, Any] = {name: _told(name, str(row.get(name) or "")) for name in TOLD}
    picture = Picture(
        **known_of(stored),
        source=order.name,
        source_id=image,
        url=url,
        category=order.category if image in choice.unlooked else "",
        **said,
    )
    return ImageRow(source_id=image, url=url, outcome=KEPT, picture=picture)


def _check_missing(order: ExtractOrder, rows: list[ImageRow]) -> None:
    tried = [row for row in rows if row.outcome not in NOT_TRIED]
    missing = [row for row in tried if row.outcome != KEPT]
    if tried and len(missing) > order.max_missing_share * len(tried):
        reasons = ", ".join(f"{reason} {count}" for reason, count in count_reasons(row.outcome for row in missing).items())
        first = missing[0]
        of_which = f"{first.source_id if order.format == 'local' else first.url}{f' ({first.detail})' if first.detail else ''}"
        do = f"What was fetched is kept. Look at {of_which}, raise sources.{order.name}.retry to try again, or max_missing_share to go on"
        raise InputError(f"{len(missing):,} of {counted(len(tried), 'picture')} cannot be had ({reasons})", where=f"source {order.name}", do=do)


def _pool(order: ExtractOrder, choice: Choice, rows: list[ImageRow], coordinates: str) -> tuple[Pool, "_Fate"]:
    pictures = {row.source_id: row.picture for row in rows if row.picture is not None}
    down = {row.source_id for row in rows if row.outcome == Reason.TAKEN_DOWN}
    annotations: dict[Any, Annotation] = {}
    fate = _Fate(lost=[Reason.FLAG] * choice.flagged)
    for image, boxes in choice.boxes.items():
        for box in boxes:
            made = _annotation(order, box, pictures.get(image) or _why_none(choice, image, down), choice.images[image], coordinates)
            if isinstance(made, Annotation):
                key = (made.sha256, made.category, made.bbox, made.iscrowd)
                made = Reason.DUPLICATE if key in annotations else annotations.setdefault(key, made)
            if isinstance(made, Reason):
                fate.lost.append(made)
                fate.emptied |= {(image, box["category"])} if made is Reason.EMPTY_BOX else set()
            elif _was_clipped(order, made, box, pictures[image], choice.images[image], coordinates):
                fate.clipped += 1
    known = choice.known | dict.fromkeys(fate.emptied, State.PARTIAL)
    presence = [
        Presence(sha256=pictures[image].sha256, category=category, state=state, source=order.name)
        for (image, category), state in known.items()
        if image in pictures
    ]
    pool = Pool(pictures=tuple(pictures.values()), annotations=tuple(annotations.values()), presence=tuple(presence))
    assert len(annotations) + len(fate.lost) == choice.flagged + sum(len(boxes) for boxes in choice.boxes.values())
    return pool, fate


@dataclass
class _Fate:
    """What became of boxes that did not enter as the source has them."""

    lost: list[Reason]
    clipped: int = 0
    emptied: set[tuple[str, str]] = field(default_factory=set)  # image and category of an object whose box is empty


def _why_none(choice: Choice, image: str, down: set[str]) -> Reason:
    if image in down:
        return Reason.TAKEN_DOWN
    return Reason.LICENCE if image in choice.refused else Reason.NO_PICTURE


def _was_clipped(order: ExtractOrder, made: Annotation, box: Row, picture: Picture, image: Row, coordinates: str) -> bool:
    whole = _placed(order, box, picture, image, coordinates)
    return any(abs(one - other) > ROUNDING_PX for one, other in zip(whole, made.bbox, strict=True))


def _annotation(order: ExtractOrder, box: Row, picture: Picture | Reason, image: Row, coordinates: str) -> Annotation | Reason:
    if isinstance(picture, Reason):
        return picture
    is_crowd = any(box.get(flag) and getattr(order.flags, flag) == "crowd" for flag in FLAGS)
    bbox = clipped(_placed(order, box, picture, image, coordinates), picture.width, picture.height)
    if bbox is None:
        return Reason.EMPTY_BOX
    attributes = {flag: bool(box[flag]) for flag in FLAGS if box.get(flag) is not None and (flag != "iscrowd" or (box[flag] and not is_crowd))}
    return Annotation(sha256=picture.sha256, category=box["category"], bbox=bbox, source=order.name, iscrowd=int(is_crowd), attributes=attributes)


def _placed(order: ExtractOrder, box: Row, picture: Picture, image: Row, coordinates: str) -> BBox:
    return in_pixels((box["x"], box["y"], box["w"], box["h"]), picture, image, coordinates, shown=order.format == "local")


def in_pixels(bbox: BBox, picture: Picture, image: Row, coordinates: str, *, shown: bool = False) -> BBox:
    """Return a source's box in pixels of the picture as stored.

    Shares of the picture are of what a viewer sees. Pixels are scaled where the picture has another size than the source states. Where EXIF turns
    a picture, the stated size tells whether they are of what a viewer sees or of the raster in the file, and boxes on the raster are turned with it;
    where no size tells, as in a half turn, `shown` does: the public sources' own tools decode the raster, those of today show pictures upright.
    """
    upright = (picture.width, picture.height)
    if coordinates == "fraction":
        return scaled(bbox, *upright)
    raster = upright[::-1] if picture.orientation > 4 else upright
    width, height = image.get("width"), image.get("height")
    as_seen = _as_seen(width / height, raster[0] / raster[1]) if width and height and picture.orientation > 4 else None
    if shown if as_seen is None else as_seen:
        return scaled(bbox, upright[0] / (width or upright[0]), upright[1] / (height or upright[1]))
    on_raster = scaled(bbox, raster[0] / (width or raster[0]), raster[1] / (height or raster[1]))
    return turned(on_raster, picture.orientation, *raster)


def _as_seen(stated: float, raster: float) -> bool | None:
    """Return whether a shape, width by height, is that of the picture turned by a quarter and not the raster's; None where both are as near."""
    to_raster, to_upright = abs(log(stated / raster)), abs(log(stated * raster))
    return None if abs(to_raster - to_upright) < SHAPE else to_upright < to_raster


def _metrics(order: ExtractOrder, pool: Pool, rows: list[ImageRow], fate: _Fate) -> dict[str, Any]:
    plain = [a for a in pool.annotations if not a.iscrowd]
    boxes = {category: sum(a.category == category for a in plain) for category in order.classes}
    images = {category: len({a.sha256 for a in plain if a.category == category}) for category in order.classes}
    drawn = {"boxes": boxes, "images": images, "crowds": len(pool.annotations) - len(plain)}
    counts = outcome_counts(rows)
    kept = counts.pop(KEPT)
    assert kept + sum(counts.values()) == len(rows)
    lost = count_reasons(fate.lost)
    return {"seen": len(rows), "kept": kept, "dropped": counts, **drawn, "boxes_dropped": lost, "boxes_clipped": fate.clipped}

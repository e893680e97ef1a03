"""Build one source's index from its files."""

from pathlib import Path
from typing import Any

from boxset.dataset.reasons import Reason, count_reasons
from boxset.endpoints import Endpoints
from boxset.errors import InputError
from boxset.resolve import IndexOrder
from boxset.sources.counts import Counts
from boxset.sources.lean import lean_arrow
from boxset.sources.place import Place, place_of, refuse_emptied, told_of
from boxset.sources.raw import RawFiles
from boxset.sources.tables import IndexWriter
from boxset.terminal import say
from boxset.wording import counted, noun

FRACTIONS = {"open_images"}


def build_index(order: IndexOrder, out: Path, *, endpoints: Endpoints, contact: str, version: int) -> dict[str, Any]:
    """Write the index's tables and return its metrics.

    A source that is off or not set up gets empty tables and one line that says so. Raises InputError where more than
    `max_lost_share` of its rows are unreadable.
    """
    lean_arrow()
    files = RawFiles(endpoints, contact=contact, path=order.path, files=order.files, sha256=order.sha256)
    why_not = _skipped(order)
    place = place_of(order.path, endpoints) if order.format == "local" and not why_not else None
    coordinates = "fraction" if order.format in FRACTIONS or (place and _is_yolo(place, order)) else "pixels"
    with IndexWriter(out, source=order.name, format=order.format, version=version, coordinates=coordinates) as writer:  # type: ignore[arg-type]
        try:
            counts = Counts() if why_not else _local(place, order, writer) if place else _read(order, files, writer)
            if not why_not:
                _check_lost(order, counts)
            writer.torn = counts.torn
        except InputError as err:
            raise files.advised(err) from err
    if why_not:
        say(f"{order.name}: skipped, {why_not}")
    counts.lose(Reason.DUPLICATE, writer.second_images)
    dropped = {str(reason): number for reason, number in sorted(counts.lost.items())}
    metrics = {"images": writer.images, "boxes": writer.boxes, "verified": writer.verified, "seen": counts.seen, "dropped": dropped}
    return metrics | (_passed_over(order.name, place) if place else {})


def _passed_over(name: str, place: Place) -> dict[str, Any]:
    """Say which files of one's own were neither read nor fetched, and count them."""
    passed = place.passed_over()
    for line in told_of(name, passed):
        say(line)
    return {"files_dropped": count_reasons(one.reason for one in passed)}


def _is_yolo(place: Place, order: IndexOrder) -> bool:
    from boxset.sources import local

    return local.is_yolo(order.annotations, place)


def _local(place: Place, order: IndexOrder, writer: IndexWriter) -> Counts:
    from boxset.sources import local

    refuse_emptied(place, order.listing)
    return local.build(place, order.annotations, order.license, writer)


def _skipped(order: IndexOrder) -> str:
    if not order.on:
        return "it is off"
    if order.format in ("imagenet", "local") and not order.path and not order.files:
        return f"sources.{order.name}.path is not set"
    return ""


def _read(order: IndexOrder, files: RawFiles, writer: IndexWriter) -> Counts:
    """Read a public source; of the formats' modules only its own is loaded, as they take a tenth of the time that a small index does."""
    match order.format:
        case "open_images":
            from boxset.sources import open_images

            return open_images.build(files, writer, order.splits)
        case "imagenet":
            from boxset.sources import imagenet

            return imagenet.build(files, writer, order.splits)
        case "visual_genome":
            from boxset.sources import visual_genome

            return visual_genome.build(files, writer, order.splits)
        case name:
            from boxset.sources import coco

            return (coco.build if name == "coco" else coco.build_lvis)(files, writer, order.splits)


def _check_lost(order: IndexOrder, counts: Counts) -> None:
    if order.format != "local" and not counts.seen:
        do = "Fetch it again, or name the publisher's file"
        raise InputError("its files hold no box at all: the boxes are stripped", where=f"source {order.name}", do=do)
    do = f"Look at the file, or raise sources.{order.name}.max_lost_share"
    for file in counts.files:
        if file.bad > order.max_lost_share * file.rows:
            first = f"; the first: {file.first}" if file.first else ""
            raise InputError(f"{file.bad:,} of {counted(file.rows, 'row')} {noun(file.bad, 'is', 'are')} unreadable{first}", where=str(file.path), do=do)
    lost = sum(number for reason, number in counts.lost.items() if reason != Reason.DUPLICATE)
    if lost > order.max_lost_share * max(counts.seen, sum(file.rows for file in counts.files)):
        firsts = [*[f"{file.path}: {file.first}" for file in counts.files if file.first][:1], *counts.firsts.values()]
        first = f"; the first: {', and '.join(firsts)}" if firsts else ""
        orphans = counts.lost.get(Reason.NO_PICTURE, 0)
        why = f"unreadable or {noun(lost, 'has', 'have')} no picture ({Reason.NO_PICTURE} {orphans:,})" if orphans else "unreadable"
        raise InputError(f"{lost:,} of {counted(counts.seen, 'row')} {noun(lost, 'is', 'are')} {why}{first}", where=f"source {order.name}", do=do)

"""What the stages hand to each other: pictures by content, boxes in pixels, and what is known of a picture.

Every picture is named by the SHA-256 of its bytes as stored, from the stage that fetched it to the data set, so that two
stages never need to agree on anything else. Boxes are `(left, top, width, height)` in pixels of the stored picture.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import msgspec

from boxset.dataset.reasons import Reason
from boxset.files import read_json, read_jsonl, whole_file

BBox = tuple[float, float, float, float]
"""Left, top, width, height in pixels of the stored picture; half-open; inside it; never empty."""

KEPT = "kept"
KNOWN_OF_BOTH = ("sha256", "file_name", "width", "height", "phash", "grid", "orientation")  # fields of a picture that is here, and of one that was left out
PEOPLE = "label"  # what boxes that people of this project drew call their source
CRAWL = "crawl"  # and what pictures that a crawl found call theirs; their `source_id` is the address
UNSTATED = "unknown"  # how a crawl's row says that a licence is


class Picture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stored picture and where it came from. An empty string means: not stated."""

    sha256: str
    file_name: str
    width: int
    height: int
    phash: str  # 64-bit perceptual hash, 16 hexadecimal digits
    grid: str = ""  # mean colours of 4 x 4 cells, row by row, RGB, 96 hexadecimal digits; confirms what `phash` suspects
    source: str  # a source's name, or `crawl`
    source_id: str  # the source's own id; for a crawl the address
    url: str  # where the bytes came from, before any mirror
    split: str = ""  # the source's own split
    landing_url: str = ""
    original_url: str = ""  # where its author published it, where a source that has its own copy says so
    license: str = ""  # SPDX identifier or LicenseRef-…; empty: unknown
    author: str = ""
    author_url: str = ""  # the page of the author
    title: str = ""
    flickr_id: str = ""
    coco_id: str = ""
    orientation: int = 1  # the EXIF orientation that was baked into the pixels
    flags: tuple[str, ...] = ()  # drawing, screenshot, catalogue, thumbnail
    category: str = ""  # a crawl's: the category it was looked for
    query: str = ""
    supplier: str = ""
    engine: str = ""
    rank: int = 0


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of a picture that was left out, so that it can be judged by other rules without its bytes."""

    sha256: str
    file_name: str
    width: int
    height: int
    phash: str
    grid: str
    orientation: int = 1
    animated: bool = False

    @classmethod
    def of(cls, picture: Picture) -> "Seen":
        """Return what is remembered of a picture that is here."""
        return cls(**known_of(picture))

    def picture(self, *, source: str, source_id: str, url: str) -> Picture:
        """Return the picture as far as it is remembered."""
        return Picture(**known_of(self), source=source, source_id=source_id, url=url)


class Fingerprint(Protocol):
    """What tells a picture by its content and its look, whoever remembers it."""

    @property
    def sha256(self) -> str: ...  # noqa: D102 - as in Picture
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def phash(self) -> str: ...  # noqa: D102
    @property
    def grid(self) -> str: ...  # noqa: D102


def known_of(one: Fingerprint) -> dict[str, Any]:
    """Return the fields that a picture that is here has in common with one that was stored, or left out."""
    return {name: getattr(one, name) for name in KNOWN_OF_BOTH}


def remembered(known: Fingerprint, *, source: str, file_name: str = "") -> Picture:
    """Return a picture as far as those know it who decided on it, drew in it or took it down; `source` says who."""
    return Picture(
        sha256=known.sha256,
        file_name=file_name,
        width=known.width,
        height=known.height,
        phash=known.phash,
        grid=known.grid,
        source=source,
        source_id=known.sha256,
        url="",
    )


class ImageRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One address or image that was tried: kept with its picture, or left out for a reason. One line of `images.jsonl`."""

    source_id: str
    url: str
    outcome: str  # KEPT or a Reason
    detail: str = ""
    tried: int = 0  # a crawl's: the `crawl.retry` under which it could not be had
    checked: int = 0  # a crawl's: the `crawl.refresh` under which its address was last asked again
    died: int = 0  # a crawl's: the `crawl.refresh` under which its address no longer answered; the picture stays
    looks: tuple[str, ...] = ()  # a crawl's: what the picture looks like, whatever the policies for it say
    seen: Seen | None = None  # the picture that was left out, where it was had: of a crawl, or taken down
    picture: Picture | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The pictures, fetched or not, that the licence which is stated of them keeps out; by what others know of them. `refused.json` of `extract`, and what crawls say."""

    coco_ids: tuple[str, ...] = ()
    flickr_ids: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()  # of one's own files: the marks of their contents
    urls: tuple[str, ...] = ()  # of crawls: the addresses

    def test(self) -> Callable[[Picture], bool]:
        """Return what tells whether a picture is one of them, whoever gave it."""
        coco, flickr, marks, urls = set(self.coco_ids), set(self.flickr_ids), set(self.marks), set(self.urls)
        return lambda picture: (
            picture.coco_id in coco or picture.flickr_id in flickr or content_mark(picture.url) in marks or bool(urls & {picture.url, picture.original_url})
        )


def content_mark(url: str) -> str:
    """Return the mark of its content in the address of one's own picture (`photos/a.jpg#0123…`), or an empty string."""
    return "" if "://" in url else url.rpartition("#")[2] if "#" in url else ""


class Annotation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One box of one category in one picture."""

    sha256: str  # the picture
    category: str
    bbox: BBox
    source: str
    iscrowd: int = 0
    attributes: dict[str, Any] = {}  # group_of, occluded, truncated, depiction, inside; job, workers, of_workers, service_confidence


class State(StrEnum):
    """What is known of a category in a picture. No record means: unknown."""

    PRESENT = "present"  # every instance has its box
    PARTIAL = "partial"  # it is there, and may be there without a box as well (LVIS: not exhaustive)
    ABSENT = "absent"  # verified: it is not there


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """Someone looked for a category in a picture, and what they found."""

    sha256: str
    category: str
    state: State
    source: str


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage hands on: `annotations.json` of `extract` and `label`. Sorted, so that it has one spelling."""

    pictures: tuple[Picture, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    presence: tuple[Presence, ...] = ()


def sorted_pool(pool: Pool) -> Pool:
    """Return the pool in its one order: by picture, category, box."""
    return Pool(
        pictures=tuple(sorted(pool.pictures, key=lambda p: (p.sha256, p.source, p.source_id))),
        annotations=tuple(sorted(pool.annotations, key=lambda a: (a.sha256, a.category, a.bbox, a.source, a.iscrowd))),
        presence=tuple(sorted(pool.presence, key=lambda p: (p.sha256, p.category, p.source, p.state))),
    )


def write_refused(path: Path, refused: Refused) -> None:
    """Write what a source refuses, one identity a line."""
    write_records(path, {name: getattr(refused, name) for name in ("coco_ids", "flickr_ids", "marks")})


def read_refused(paths: Iterable[Path]) -> Refused:
    """Read what any source refuses; a source without the file refuses nothing."""
    return united_refused(read_json(path, Refused) for path in paths if path.exists())


def united_refused(every: Iterable[Refused]) -> Refused:
    """Return all that is refused, sorted."""
    some = list(every)
    return Refused(**{name: tuple(sorted({one for refused in some for one in getattr(refused, name)})) for name in Refused.__struct_fields__})


def write_pool(path: Path, pool: Pool) -> None:
    """Write a pool in its one order, one record a line."""
    ordered = sorted_pool(pool)
    write_records(path, {"pictures": ordered.pictures, "annotations": ordered.annotations, "presence": ordered.presence})


def read_pool(path: Path) -> Pool:
    """Read a pool. Raises InputError naming the file and the field."""
    return read_json(path, Pool)


def write_records(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object; each of its tuples with one record a line, streamed."""
    encoder = msgspec.json.Encoder()
    with whole_file(path) as out:
        for position, (name, value) in enumerate(values.items()):
            out.write((b",\n" if position else b"{\n") + encoder.encode(name) + b": ")
            if not isinstance(value, tuple) or not value:
                out.write(encoder.encode(value))
                continue
            for number, record in enumerate(value):
                out.write((b",\n" if number else b"[\n") + encoder.encode(record))
            out.write(b"\n]")
        out.write(b"\n}\n")


def kept_pictures(rows: list[ImageRow]) -> tuple[Picture, ...]:
    """Return the pictures of the rows that were kept."""
    return tuple(row.picture for row in rows if row.outcome == KEPT and row.picture is not None)


def read_crawled(data: Path) -> dict[str, tuple[Picture, ...]]:
    """Return the pictures that were kept of every crawl under a project's `data/`, by category."""
    return {path.parent.name: kept_pictures(read_jsonl(path, ImageRow)) for path in sorted(data.glob("crawl/*/images.jsonl"))}


def read_extracted(data: Path) -> dict[str, Pool]:
    """Return what was extracted of every source under a project's `data/`, by source."""
    return {path.parent.name: read_pool(path) for path in sorted(data.glob("extract/*/annotations.json"))}


def picture_files(data: Path) -> dict[str, Path]:
    """Return where each stored picture lies under a project's `data/`, by its file name; one that lies in several folders in the first of them."""
    found: dict[str, Path] = {}
    for folder in sorted([*data.glob("crawl/*/images"), *data.glob("extract/*/images")]):
        for path in sorted(folder.iterdir()):
            found.setdefault(path.name, path)
    return found


def outcome_counts(rows: list[ImageRow]) -> dict[str, int]:
    """Count kept and every reason; the sum is the number of rows."""
    counts: dict[str, int] = {KEPT: 0}
    for row in sorted(rows, key=lambda r: r.outcome):
        name = row.outcome if row.outcome == KEPT else Reason(row.outcome).value
        counts[name] = counts.get(name, 0) + 1
    return counts

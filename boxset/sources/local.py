"""One's own pictures, in a folder or a bucket: with COCO files, with YOLO labels, or with none (they go to labelling).

A picture that an annotation file speaks of is fully boxed for all of that file's classes, unless the file says for itself what is known
of its images (LVIS's fields, as Boxset writes them). Of every other picture nothing is known: it goes to labelling.
"""

import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Set
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

import msgspec

from boxset.dataset.photos import flickr_page, flickr_photo
from boxset.dataset.reasons import Reason
from boxset.errors import InputError
from boxset.sources import yolo
from boxset.sources.coco import flickr_terms, is_crowd
from boxset.sources.json_lines import UNREADABLE
from boxset.sources.licences import spdx_of, stated
from boxset.sources.place import READERS, Place, is_picture
from boxset.sources.s3 import Entry
from boxset.sources.tables import IndexWriter
from boxset.work import in_threads

ROWS = 1 << 17
Counts = dict[str, int]
Box = yolo.Box
GZIP = b"\x1f\x8b"
UNREAD = (".zip", ".xml", ".csv", ".tsv", ".jsonl", ".ndjson", ".tar", ".tgz", ".gz", ".7z", ".rar", ".parquet", ".tfrecord")  # may hold annotations


class _License(msgspec.Struct):
    id: int
    name: str | None = None
    url: str | None = None


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int | None = None
    height: int | None = None
    license: int | None = None
    coco_url: str | None = None
    flickr_url: str | None = None
    author: str | None = None
    title: str | None = None
    neg_category_ids: tuple[int, ...] | None = None
    not_exhaustive_category_ids: tuple[int, ...] | None = None
    exhaustive_category_ids: tuple[int, ...] | None = None


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: Box
    iscrowd: int | bool = 0
    is_crowd: int | bool | list[int] = 0
    attributes: dict[str, Any] = {}


class _Category(msgspec.Struct):
    id: int
    name: str


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]
    licenses: list[_License] = []


def build(place: Place, annotations: str, license_: str, writer: IndexWriter) -> Counts:
    """Read a place. `annotations` is `none`, `yolo`, a COCO file's name (`*` for several), or empty: found by looking."""
    entries = place.entries()
    kind = annotations.removeprefix("./") or _found(place, entries)
    pictures = {entry.name: entry for entry in entries if is_picture(entry.name)}
    if kind == "none":
        _add_images(writer, pictures.values(), license_, {})
        return {"seen": len(pictures)}
    if kind == "yolo":
        return _yolo(place, {entry.name for entry in entries}, pictures, license_, writer)
    files = [entry.name for entry in entries if _is_json(entry.name) and (entry.name == kind or fnmatch(entry.name, kind))]
    if not files:
        raise InputError("there is no such file", where=f"{place.address}/{kind}", do="Name the COCO file in sources.….annotations, from the folder")
    return _coco(place, files, pictures, license_, writer)


def is_yolo(annotations: str, place: Place) -> bool:
    """Return whether boxes are shares of the picture."""
    return annotations == "yolo" or (not annotations and _found(place, place.entries()) == "yolo")


def _is_json(name: str) -> bool:
    return name.lower().endswith((".json", ".json.gz"))


def _found(place: Place, entries: list[Entry]) -> str:
    """Return what kind of annotations lies there. Raises InputError where that is not clear, or none is of a kind that is read."""
    files = [entry.name for entry in entries if _is_json(entry.name)]
    texts = yolo.Texts(entry.name for entry in entries)
    label = next(iter(sorted(texts.in_labels())), None) or next((text for entry in entries if is_picture(entry.name) and (text := texts.of(entry.name))), None)
    if len(files) > 1 or (files and label):
        what = f"several JSON files: {', '.join(files[:4])}" if len(files) > 1 else f"a JSON file, {files[0]}, and YOLO labels, {label}"
        do = "Name the COCO file in sources.….annotations; `*` stands for any letters, where several belong together; or say yolo, or none"
        raise InputError(what, where=place.address, do=do)
    unread = [] if files or label else [one.name for one in place.passed_over() if one.name.lower().endswith(UNREAD)]
    if unread:
        do = "Unpack it, or export COCO (.json, .json.gz) or YOLO (.txt); where it holds no annotations, say sources.….annotations: none"
        raise InputError(f"no annotations of a kind that is read, but {', '.join(unread[:4])}", where=place.address, do=do)
    return files[0] if files else "yolo" if label else "none"


def versioned(entry: Entry) -> str:
    """Return a picture's address here: its name, and a mark that changes with its content."""
    return f"{entry.name}#{entry.mark}"


def unversioned(address: str) -> str:
    """Return the name in an address."""
    return address.rpartition("#")[0] or address


def _add_images(writer: IndexWriter, pictures: Iterable[Entry], license_: str, said: dict[str, dict[str, Any]]) -> None:
    """Add pictures, and missing ones that only a file speaks of, with what it says of them."""
    names = {entry.name: versioned(entry) for entry in pictures}
    every = [*names, *(name for name in said if name not in names)]
    columns: dict[str, list[Any]] = {"image_id": every, "url": [names.get(name, name) for name in every], "split": [split_of(name) for name in every]}
    for field in ("width", "height", "license", "author", "title", "landing_url", "original_url", "flickr_id"):
        columns[field] = [said.get(name, {}).get(field) or None for name in every]
    if stated(license_):
        columns["license"] = [stated(license_)] * len(every)
    if every:
        writer.add_images(columns)


def split_of(name: str) -> str:
    """Return the split that a path speaks of, or an empty string."""
    return next((part for part in PurePosixPath(name).parts[:-1] if part in ("train", "val", "valid", "test")), "")


def _add_known(writer: IndexWriter, rows: Iterator[tuple[str, str, bool, bool]]) -> None:
    """Add rows of image, class, present, exhaustive."""
    part: list[tuple[str, str, bool, bool]] = []
    for row in rows:
        part.append(row)
        if len(part) == ROWS:
            writer.add_verified(dict(zip(("image_id", "class_id", "present", "exhaustive"), zip(*part, strict=True), strict=True)))
            part = []
    if part:
        writer.add_verified(dict(zip(("image_id", "class_id", "present", "exhaustive"), zip(*part, strict=True), strict=True)))


def _fully_boxed(boxed: dict[str, set[str]], classes: Iterable[str], *, torn: Set[str] = frozenset()) -> Iterator[tuple[str, str, bool, bool]]:
    """Yield what is known of images that are fully boxed; of `torn` ones, which lost a row, only that what has a box is there."""
    every = sorted(classes)
    for image, there in boxed.items():
        for class_id in sorted(there) if image in torn else ():
            yield image, class_id, True, False
        for class_id in every if image not in torn else ():
            yield image, class_id, class_id in there, class_id in there


def _add_boxes(writer: IndexWriter, rows: list[tuple[str, str, Box, bool]]) -> None:
    if rows:
        images, classes, boxes, crowds = zip(*rows, strict=True)
        sides = dict(zip("xywh", zip(*boxes, strict=True), strict=True))
        writer.add_boxes({"image_id": images, "class_id": classes, **sides, "iscrowd": crowds})


def _yolo(place: Place, files: set[str], pictures: dict[str, Entry], license_: str, writer: IndexWriter) -> Counts:
    """Read YOLO's `class xc yc w h` lines in shares of the picture. A picture without a label file is one that nobody has looked at."""
    names, texts = yolo.class_names(place, files), yolo.Texts(files)
    writer.add_classes({"class_id": str(number), "name": name} for number, name in enumerate(names))
    counts: Counts = {"seen": 0, Reason.BAD_ROW: 0}
    boxed: dict[str, set[str]] = {}
    torn: set[str] = set()
    rows: list[tuple[str, str, Box, bool]] = []
    labelled = [(picture, labels) for picture in pictures if (labels := texts.of(picture)) is not None]
    if pictures and not labelled:
        do = "A picture's labels stand in `labels` where it stands in `images`, in `labels` under it, or beside it"
        raise InputError("no label file fits any picture", where=place.address, do=do)
    contents = in_threads(lambda pair: place.read(pair[1]), labelled, workers=READERS)
    for (picture, labels), text in zip(labelled, contents, strict=True):
        read = [yolo.box_of(line.split(), len(names), f"{place.address}/{labels}") for line in yolo.lines_of(text)]
        found = [row for row in read if row is not None]
        rows += [(picture, class_id, box, False) for class_id, box in found]
        boxed[picture] = {class_id for class_id, _ in found}
        torn |= {picture} if len(found) < len(read) else set()
        counts["seen"] += len(read)
        counts[Reason.BAD_ROW] += len(read) - len(found)
    _count_orphans(place, texts, {labels for _, labels in labelled}, counts)
    _add_images(writer, pictures.values(), license_, {})
    _add_boxes(writer, rows)
    _add_known(writer, _fully_boxed(boxed, (str(number) for number in range(len(names))), torn=torn))
    return _told(counts)


def _count_orphans(place: Place, texts: yolo.Texts, used: set[str], counts: Counts) -> None:
    """Count the rows of label files whose pictures are not there; an empty one as a row."""
    orphans = sorted((texts.in_labels() | texts.beside(used)) - used)
    for text in in_threads(place.read, orphans, workers=READERS):
        lines = yolo.lines_of(text)
        rows = max(1, len(lines)) if yolo.seems_labels(lines) else 0
        counts["seen"] += rows
        counts[Reason.NO_PICTURE] = counts.get(Reason.NO_PICTURE, 0) + rows


def _told(counts: Counts) -> Counts:
    return {key: number for key, number in counts.items() if number or key == "seen"}


def _coco(place: Place, files: list[str], pictures: dict[str, Entry], license_: str, writer: IndexWriter) -> Counts:
    """Read COCO files over one set of pictures; they must agree on what their category ids mean."""
    counts: Counts = {"seen": 0}
    names: dict[str, str] = {}
    said: dict[str, dict[str, Any]] = {}
    for file in files:
        decoded = _decoded(place, file)
        for category in decoded.categories:
            if names.setdefault(str(category.id), category.name) != category.name:
                what = f"category {category.id} is {category.name!r} here and {names[str(category.id)]!r} in another file"
                raise InputError(what, where=f"{place.address}/{file}", do="Make a source of its own of it")
        _refuse_stripped(decoded, f"{place.address}/{file}")
        _add_coco(decoded, _paths(decoded.images, file, pictures), said, writer, counts)
    writer.add_classes({"class_id": number, "name": name} for number, name in names.items())
    _add_images(writer, pictures.values(), license_, said)
    return _told(counts)


def _decoded(place: Place, file: str) -> _File:
    try:
        content = place.read(file)
        return msgspec.json.decode(gzip.decompress(content) if content.startswith(GZIP) else content.removeprefix(BOM_UTF8), type=_File)
    except (*UNREADABLE, OSError, EOFError, zlib.error) as err:
        raise InputError(f"not a COCO file: {err}", where=f"{place.address}/{file}", do="Export it as COCO instances, or name another file") from err


def _refuse_stripped(decoded: _File, where: str) -> None:
    """Raise InputError where nothing but the silence of a file without boxes would say that its classes are in none of its images."""
    if decoded.images and not decoded.annotations and not _is_federated(decoded):
        do = "Export it again; pictures that show none of its classes say so by neg_category_ids on each image, or as YOLO with empty label files"
        raise InputError("annotations: none at all: the boxes are stripped", where=where, do=do)


def _is_federated(decoded: _File) -> bool:
    return any(image.neg_category_ids is not None for image in decoded.images)


def _paths(images: list[_Image], file: str, pictures: dict[str, Entry]) -> dict[int, str]:
    """Return image id → picture. A name is looked for from the folder, from the file's own folder, then by its end where only one fits."""
    by_name: dict[str, list[str]] = {}
    for name in pictures:
        by_name.setdefault(PurePosixPath(name).name, []).append(name)
    home = PurePosixPath(file).parent
    paths: dict[int, str] = {}
    for image in images:
        plain = image.file_name.replace("\\", "/").removeprefix("./")
        near = [name for name in (plain, str(home / plain)) if name in pictures]
        ending = [name for name in by_name.get(PurePosixPath(plain).name, ()) if name.endswith(f"/{plain}")] or by_name.get(PurePosixPath(plain).name, [])
        found = near or (ending if len(ending) == 1 else [name for name in ending if PurePosixPath(name).is_relative_to(home)][:2])
        paths.setdefault(image.id, found[0] if len(found) == 1 or near else plain)
    return paths


def _add_coco(decoded: _File, paths: dict[int, str], said: dict[str, dict[str, Any]], writer: IndexWriter, counts: Counts) -> None:
    classes = {category.id for category in decoded.categories}
    rows: list[tuple[str, str, Box, bool]] = []
    boxed: dict[str, set[str]] = {paths[image.id]: set() for image in decoded.images}
    for one in decoded.annotations:
        counts["seen"] += 1
        if one.image_id not in paths or one.category_id not in classes:
            reason = Reason.NO_PICTURE if one.image_id not in paths else Reason.BAD_ROW
            counts[reason] = counts.get(reason, 0) + 1
            continue
        rows.append((paths[one.image_id], str(one.category_id), one.bbox, is_crowd(one.iscrowd, one.is_crowd, one.attributes)))
        boxed[paths[one.image_id]].add(str(one.category_id))
    counts[Reason.DUPLICATE] = counts.get(Reason.DUPLICATE, 0) + len(decoded.images) - len(paths)
    _add_boxes(writer, rows)
    known = _stated(decoded.images, paths, boxed) if _is_federated(decoded) else _fully_boxed(boxed, map(str, classes))
    _add_known(writer, known)
    terms = {licence.id: spdx_of(licence.url) or stated(licence.name, licence.url) for licence in decoded.licenses}
    for image in decoded.images:
        address = image.flickr_url or image.coco_url or ""
        landing = flickr_page(address)
        told = {"width": image.width, "height": image.height, "author": image.author, "title": image.title, "license": _licence(image, terms)}
        where = {"landing_url": landing, "original_url": address if landing != address else None, "flickr_id": flickr_photo(address)}
        said.setdefault(paths[image.id], {**told, **where})


def _licence(image: _Image, terms: dict[int, str]) -> str:
    """Return an image's licence. A number that the file does not explain says something only of Flickr's pictures, in COCO's numbering."""
    if image.license is None:
        return ""
    if image.license in terms:
        return terms[image.license]
    return flickr_terms(image.license) if "flickr" in (image.flickr_url or "") or "cocodataset" in (image.coco_url or "") else ""


def _stated(images: list[_Image], paths: dict[int, str], boxed: dict[str, set[str]]) -> Iterator[tuple[str, str, bool, bool]]:
    """Yield what a file itself says is known of its images; a box alone says that there is one."""
    for image in images:
        path = paths[image.id]
        partial = set(map(str, image.not_exhaustive_category_ids or ()))
        whole = set(map(str, image.exhaustive_category_ids)) if image.exhaustive_category_ids is not None else boxed[path] - partial
        for class_id in sorted(boxed[path] | partial | whole):
            yield path, class_id, True, class_id in whole
        for class_id in sorted(set(map(str, image.neg_category_ids or ())) - boxed[path] - partial - whole):
            yield path, class_id, False, False

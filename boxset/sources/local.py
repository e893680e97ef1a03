"""One's own pictures, in a folder or a bucket: with COCO files, with YOLO labels, or with none (they go to labelling).

A picture that an annotation file speaks of is fully boxed for all of that file's classes, unless the file says for itself what is known
of its images (LVIS's fields, as Boxset writes them). Of every other picture nothing is known: it goes to labelling.
"""

import gzip
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Set
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Annotated, Any

import msgspec

from boxset.dataset.photos import flickr_page, flickr_photo
from boxset.dataset.reasons import Reason
from boxset.errors import InputError
from boxset.sources import yolo
from boxset.sources.coco import LONGEST_SIDE, flickr_terms, is_crowd
from boxset.sources.counts import Counts
from boxset.sources.json_lines import UNREADABLE, readable
from boxset.sources.licences import spdx_of, stated
from boxset.sources.naming import Named, pictures_meant
from boxset.sources.place import READERS, Place, is_picture
from boxset.sources.raw import refuse_pointer
from boxset.sources.s3 import Entry
from boxset.sources.tables import IndexWriter
from boxset.work import in_threads

ROWS = 1 << 17
Box = yolo.Box
GZIP = b"\x1f\x8b"
UNREAD = (".zip", ".xml", ".csv", ".tsv", ".jsonl", ".ndjson", ".tar", ".tgz", ".gz", ".7z", ".rar", ".parquet", ".tfrecord")  # may hold annotations
LABEL_STUDIO = "notes.json"  # what it writes beside YOLO's labels and their classes.txt
Id = int | str
"""A record's number; many tools write it as text, also where they refer to it as a number."""


class _License(msgspec.Struct):
    id: Id | None = None
    name: str | None = None
    url: str | None = None


class _Image(msgspec.Struct):
    id: Id
    file_name: Annotated[str, msgspec.Meta(min_length=1)]
    width: int | float | None = None
    height: int | float | None = None
    license: Id | None = None
    coco_url: str | None = None
    flickr_url: str | None = None
    author: str | None = None
    title: str | None = None
    neg_category_ids: tuple[Id, ...] | None = None
    not_exhaustive_category_ids: tuple[Id, ...] | None = None
    exhaustive_category_ids: tuple[Id, ...] | None = None


class _Annotation(msgspec.Struct):
    image_id: Id
    category_id: Id
    bbox: Box
    iscrowd: int | bool | str | None = 0
    is_crowd: int | bool | str | list[int] | None = 0
    attributes: dict[str, Any] | list[Any] | None = None


class _Of(msgspec.Struct):
    """What image an annotation is of that cannot be read otherwise."""

    image_id: Id


class _Category(msgspec.Struct):
    id: Id
    name: str


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]
    licenses: list[_License] | None = None
    torn: frozenset[str] = frozenset()  # ids of images with an annotation that cannot be read


class _Records(msgspec.Struct):
    """The same file, its images and annotations not looked into yet."""

    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[_Category]
    licenses: list[_License] | None = None


def build(place: Place, annotations: str, license_: str, writer: IndexWriter) -> Counts:
    """Read a place. `annotations` is `none`, `yolo`, a COCO file's name (`*` for several), or empty: found by looking."""
    entries = place.entries()
    kind = annotations.removeprefix("./") or _found(place, entries)
    pictures = {entry.name: entry for entry in entries if is_picture(entry.name)}
    if kind == "none":
        _add_images(writer, pictures.values(), license_, {})
        return Counts(len(pictures))
    if kind == "yolo":
        return _yolo(place, {entry.name for entry in entries}, pictures, license_, writer)
    files = [entry.name for entry in entries if _is_json(entry.name) and (entry.name == kind or fnmatch(entry.name, kind))]
    if not files:
        raise InputError("there is no such file", where=f"{place.address}/{kind}", do="Name the COCO file in sources.<name>.annotations, from the folder")
    return _coco(place, files, pictures, license_, writer)


def is_yolo(annotations: str, place: Place) -> bool:
    """Return whether boxes are shares of the picture."""
    return annotations == "yolo" or (not annotations and _found(place, place.entries()) == "yolo")


def _is_json(name: str) -> bool:
    return name.lower().endswith((".json", ".json.gz"))


def _is_notes(name: str, names: Set[str]) -> bool:
    """Return whether a JSON file is what Label Studio writes beside YOLO's labels."""
    path = PurePosixPath(name)
    return path.name == LABEL_STUDIO and str(path.with_name("classes.txt")) in names


def _found(place: Place, entries: list[Entry]) -> str:
    """Return what kind of annotations lies there. Raises InputError where that is not clear, or none is of a kind that is read."""
    names = {entry.name for entry in entries}
    files = [entry.name for entry in entries if _is_json(entry.name) and not _is_notes(entry.name, names)]
    texts = yolo.Texts(entry.name for entry in entries)
    label = next(iter(sorted(texts.in_labels())), None) or next((text for entry in entries if is_picture(entry.name) and (text := texts.of(entry.name))), None)
    if len(files) > 1 or (files and label):
        what = f"several JSON files: {', '.join(files[:4])}" if len(files) > 1 else f"a JSON file, {files[0]}, and YOLO labels, {label}"
        do = "Name the COCO file in sources.<name>.annotations; `*` stands for any letters, where several belong together; or say yolo, or none"
        raise InputError(what, where=place.address, do=do)
    unread = [] if files or label else [one.name for one in place.passed_over() if one.name.lower().endswith(UNREAD)]
    if unread:
        do = "Unpack it, or export COCO (.json, .json.gz) or YOLO (.txt); where it holds no annotations, say sources.<name>.annotations: none"
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
    counts = Counts()
    boxed: dict[str, set[str]] = {}
    torn: set[str] = set()
    rows: list[tuple[str, str, Box, bool]] = []
    labelled = [(picture, labels) for picture in pictures if (labels := texts.of(picture)) is not None]
    if pictures and not labelled:
        do = "A picture's labels stand in `labels` where it stands in `images`, in `labels` under it, or beside it"
        raise InputError("no label file fits any picture", where=place.address, do=do)
    contents = in_threads(lambda pair: place.read(pair[1]), labelled, workers=READERS)
    for (picture, labels), text in zip(labelled, contents, strict=True):
        found, bad = yolo.read_labels(text, len(names), f"{place.address}/{labels}")
        rows += [(picture, class_id, box, False) for class_id, box in found]
        boxed[picture] = {class_id for class_id, _ in found}
        torn |= {picture} if bad else set()
        counts.seen += len(found) + len(bad)
        counts.lose(Reason.BAD_ROW, len(bad), next(iter(bad), None))
    _count_orphans(place, texts, {labels for _, labels in labelled}, counts)
    _add_images(writer, pictures.values(), license_, {})
    _add_boxes(writer, rows)
    _add_known(writer, _fully_boxed(boxed, (str(number) for number in range(len(names))), torn=torn))
    return counts


def _count_orphans(place: Place, texts: yolo.Texts, used: set[str], counts: Counts) -> None:
    """Count the rows of label files whose pictures are not there; an empty one as a row."""
    orphans = sorted((texts.in_labels() | texts.beside(used)) - used)
    for name, text in zip(orphans, in_threads(place.read, orphans, workers=READERS), strict=True):
        lines = yolo.lines_of(text)
        rows = max(1, len(lines)) if yolo.seems_labels(lines) else 0
        counts.seen += rows
        counts.lose(Reason.NO_PICTURE, rows, InputError("no picture has this name", where=f"{place.address}/{name}"))


def _coco(place: Place, files: list[str], pictures: dict[str, Entry], license_: str, writer: IndexWriter) -> Counts:
    """Read COCO files over one set of pictures; they must agree on what their category ids mean."""
    counts = Counts()
    said: dict[str, dict[str, Any]] = {}
    read = {file: _decoded(place.read(file), f"{place.address}/{file}", counts) for file in files}
    names = _category_names(place, read)
    meant = pictures_meant(((file, image.file_name) for file, decoded in read.items() for image in decoded.images), pictures.keys())
    for file, decoded in read.items():
        where = f"{place.address}/{file}"
        _refuse_stripped(decoded, where)
        _refuse_shares(decoded, where)
        _add_coco(decoded, _paths(decoded.images, file, meant, where), said, writer, counts, where)
    writer.add_classes({"class_id": number, "name": name} for number, name in names.items())
    _add_images(writer, pictures.values(), license_, said)
    return counts


def _category_names(place: Place, read: Mapping[str, _File]) -> dict[str, str]:
    """Return category id → name. Raises InputError where one number stands for two."""
    names: dict[str, str] = {}
    for file, decoded in read.items():
        for category in decoded.categories:
            if names.setdefault(str(category.id), category.name) != category.name:
                what = f"category {category.id} is {category.name!r} here, and {names[str(category.id)]!r} before"
                raise InputError(what, where=f"{place.address}/{file}", do="Files whose numbers mean other things are sources of their own")
    return names


def _decoded(content: bytes, where: str, counts: Counts) -> _File:
    """Decode strictly; where that fails, record by record, and count those that cannot be read. Raises InputError for a file of another kind."""
    do = "Export it as COCO instances, or name another file"
    refuse_pointer(content[:256], where)
    try:
        text = gzip.decompress(content) if content.startswith(GZIP) else content.removeprefix(BOM_UTF8)
        try:
            return msgspec.json.decode(text, type=_File)
        except UNREADABLE as err:
            return _patiently(text, where, counts, err)
    except (*UNREADABLE, OSError, EOFError, zlib.error) as err:
        raise InputError(f"not a COCO file: {err}{_there(content, err)}", where=where, do=do) from err


def _there(content: bytes, err: Exception) -> str:
    """Return what stands where the text of a file is no JSON."""
    found = re.search(r"\(byte (\d+)\)$", str(err))
    if found is None or content.startswith(GZIP):
        return ""
    place = int(found[1])
    line = content.count(b"\n", 0, place) + 1
    return f", line {line}: {content[max(0, place - 30) : place + 10].decode('utf-8', 'replace')!r}"


def _patiently(text: bytes, where: str, counts: Counts, failure: Exception) -> _File:
    records = msgspec.json.decode(text, type=_Records)
    images, odd = readable(records.images, _Image)
    boxes, bad = readable(records.annotations, _Annotation)
    if len(odd) == len(records.images) or (bad and not boxes):
        raise failure
    counts.seen += len(odd) + len(bad)
    counts.lose(Reason.BAD_ROW, len(odd) + len(bad), InputError(str(failure), where=where))
    torn = frozenset(str(one.image_id) for one in readable(bad, _Of)[0])
    return _File(images, boxes, records.categories, records.licenses, torn)


def _refuse_stripped(decoded: _File, where: str) -> None:
    """Raise InputError where nothing but the silence of a file without boxes would say that its classes are in none of its images."""
    if decoded.images and not decoded.annotations and not _is_federated(decoded):
        do = "Export it again; pictures that show none of its classes say so by neg_category_ids on each image, or as YOLO with empty label files"
        raise InputError("annotations: none at all: the boxes are stripped", where=where, do=do)


def _refuse_shares(decoded: _File, where: str) -> None:
    """Raise InputError where all boxes lie within one pixel: these are shares of the picture, as Azure Machine Learning writes them."""
    boxes = [one.bbox for one in decoded.annotations if one.bbox[2] > 0 and one.bbox[3] > 0]
    if boxes and all(x + w <= 1 and y + h <= 1 for x, y, w, h in boxes):
        raise InputError("annotations[…].bbox: no box goes beyond 1: these are shares of the picture", where=where, do="Write pixels: x, y, width, height")


def _is_federated(decoded: _File) -> bool:
    return any(image.neg_category_ids is not None for image in decoded.images)


def _paths(images: Iterable[_Image], file: str, meant: Mapping[Named, str], where: str) -> dict[str, str]:
    """Return image id → picture. Raises InputError where two pictures have one id."""
    paths: dict[str, str] = {}
    for image in images:
        path = meant[file, image.file_name]
        if paths.setdefault(str(image.id), path) != path:
            do = "Number the images anew; two files that were put into one are read as two: sources.<name>.annotations takes a `*`"
            raise InputError(f"images: {image.id} is {paths[str(image.id)]} and {path}: a box could be of either", where=where, do=do)
    return paths


def _add_coco(decoded: _File, paths: dict[str, str], said: dict[str, dict[str, Any]], writer: IndexWriter, counts: Counts, where: str) -> None:
    classes = {str(category.id) for category in decoded.categories}
    rows: list[tuple[str, str, Box, bool]] = []
    boxed: dict[str, set[str]] = {path: set() for path in paths.values()}
    for number, one in enumerate(decoded.annotations):
        counts.seen += 1
        image, class_id = str(one.image_id), str(one.category_id)
        if image not in paths:
            counts.lose(Reason.NO_PICTURE, 1, InputError(f"annotations[{number}].image_id: {image!r:.40} is none of its images", where=where))
        elif class_id not in classes:
            counts.lose(Reason.BAD_ROW, 1, InputError(f"annotations[{number}].category_id: {class_id!r:.40} is none of its categories", where=where))
        else:
            rows.append((paths[image], class_id, one.bbox, _is_crowd(one)))
            boxed[paths[image]].add(class_id)
    counts.lose(Reason.DUPLICATE, len(decoded.images) - len(paths))
    _add_boxes(writer, rows)
    torn = {paths[image] for image in decoded.torn if image in paths}
    known = _stated(decoded.images, paths, boxed, torn) if _is_federated(decoded) else _fully_boxed(boxed, classes, torn=torn)
    _add_known(writer, known)
    _say(decoded, paths, said)


def _say(decoded: _File, paths: dict[str, str], said: dict[str, dict[str, Any]]) -> None:
    """Take down what a file says of its images; what an earlier one said of a picture stays."""
    terms = {str(one.id): spdx_of(one.url) or stated(one.name, one.url) for one in decoded.licenses or () if one.id is not None}
    for image in decoded.images:
        address = image.flickr_url or image.coco_url or ""
        landing = flickr_page(address)
        told = {"width": _pixels(image.width), "height": _pixels(image.height), "author": image.author, "title": image.title, "license": _licence(image, terms)}
        where = {"landing_url": landing, "original_url": address if landing != address else None, "flickr_id": flickr_photo(address)}
        said.setdefault(paths[str(image.id)], {**told, **where})


def _pixels(side: int | float | None) -> int | None:
    """Return a side's length; None, unknown, for what none can be."""
    return int(side) if side is not None and 0 < side <= LONGEST_SIDE and side == int(side) else None


def _is_crowd(one: _Annotation) -> bool:
    attributes = one.attributes if isinstance(one.attributes, dict) else {}
    return is_crowd(_meant(one.iscrowd), _meant(one.is_crowd), {name: _meant(value) for name, value in attributes.items()})


def _meant(flag: Any) -> Any:
    """Return a flag that is written as text as what it means."""
    return flag.strip().lower() not in ("", "0", "false", "no", "none") if isinstance(flag, str) else flag


def _licence(image: _Image, terms: dict[str, str]) -> str:
    """Return an image's licence. A number that the file does not explain says something only of Flickr's pictures, in COCO's numbering."""
    said = "" if image.license is None else str(image.license).strip()
    if said in terms or not said:
        return terms.get(said, "")
    if not said.isdigit():
        return stated(said)
    return flickr_terms(said) if "flickr" in (image.flickr_url or "") or "cocodataset" in (image.coco_url or "") else ""


def _stated(images: list[_Image], paths: dict[str, str], boxed: dict[str, set[str]], torn: Set[str]) -> Iterator[tuple[str, str, bool, bool]]:
    """Yield what a file itself says is known of its images; a box alone says that there is one. Of `torn` ones it says no more."""
    for image in images:
        path = paths[str(image.id)]
        partial = set(map(str, image.not_exhaustive_category_ids or ()))
        whole = set(map(str, image.exhaustive_category_ids)) if image.exhaustive_category_ids is not None else boxed[path] - partial
        for class_id in sorted(boxed[path] | partial | whole):
            yield path, class_id, True, class_id in whole and path not in torn
        for class_id in sorted(set(map(str, image.neg_category_ids or ())) - boxed[path] - partial - whole) if path not in torn else ():
            yield path, class_id, False, False

"""The data set in other formats. Crowds stay where a format knows them (COCO); elsewhere they are left out, counted in what is returned."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import msgspec

from boxset.assemble.balance import boxes_by_image, repeat_factors
from boxset.assemble.split import counts_of
from boxset.assemble.trust import trust
from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage, annotations_by_image, write_coco
from boxset.errors import InputError, ParamsError, ProjectError, did_you_mean
from boxset.files import link_or_copy, read_bytes, write_bytes, write_jsonl, write_text
from boxset.formats.card import GROUPS, TRAINING, card
from boxset.formats.check import read_parts, taken_down
from boxset.formats.folder import write_attribution, write_factors
from boxset.formats.sharing import PURPOSES, Shared, left_out_words
from boxset.formats.yolo import class_numbers, write_yolo
from boxset.wording import counted

TERMS = ("ATTRIBUTION.csv", "README.md")  # who made each picture, under which licence, and the data card
RARE, COMMON = 10, 100  # LVIS: pictures of train with the category, up to which it is rare, or common


@dataclass(frozen=True)
class Copy:
    """What may be passed on of a data set, and what its card and tables are made of. `guidelines`: name of a category → its text."""

    shared: Shared
    name: str
    formats: Mapping[str, str]
    guidelines: Mapping[str, str]
    repeat_threshold: float


def export(dataset: Path, format_: str, out: Path, *, only: Copy | None = None) -> dict[str, int]:
    """Write the data set in a format into an empty folder, with its licences and its card; return pictures, boxes, and crowds kept and left out.

    `only`: the part of it that is written, with a card and a list of licences of its own. Raises ParamsError for an unknown format, InputError
    where the folder is not empty, the data set has no list of licences, or a picture of it was taken down since it was built,
    ProjectError where one is missing. Nothing is written then.
    """
    if format_ not in FORMATS:
        raise ParamsError(f"no format {format_}{did_you_mean(format_, FORMATS)}", do=f"One of {', '.join(FORMATS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("is not empty" if out.is_dir() else "is a file", where=str(out), do="Name another folder")
    parts = only.shared.parts if only else read_parts(dataset)
    _check_none_taken_down(dataset, only.shared.whole if only else parts)
    terms = {} if only else {name: _terms(dataset / name) for name in (*TERMS, *TABLES.get(format_, ()))}
    _check_none_missing(dataset, parts)
    FORMATS[format_](dataset, out, parts)
    for name, content in terms.items():
        write_bytes(out / name, content)
    if only:
        _write_terms(out, format_, only)
    if format_ in TRAINING_OF:
        path = out / "README.md"
        write_bytes(path, read_bytes(path).replace(TRAINING.encode(), f"{TRAINING_OF[format_]}\n{GROUPS}".encode()))
    crowds = sum(a.iscrowd for part in parts.values() for a in part.annotations)
    boxes = sum(len(part.annotations) for part in parts.values()) - crowds
    kept = crowds if format_ in KEEP_CROWDS else 0
    return {"pictures": sum(len(part.images) for part in parts.values()), "boxes": boxes, "crowds": kept, "crowds_left_out": crowds - kept}


def _check_none_missing(dataset: Path, parts: dict[str, Coco]) -> None:
    wanted = [dataset / "images" / split / image.file_name for split, part in parts.items() for image in part.images]
    missing = [path for path in wanted if not path.exists()]
    if missing:
        what = f"{counted(len(missing), 'picture is', 'pictures are')} missing, such as {missing[0].relative_to(dataset)}"
        raise ProjectError(what, where=str(dataset), do="`dvc pull` fetches them, `dvc checkout` puts them back; then export")


def _check_none_taken_down(dataset: Path, parts: dict[str, Coco]) -> None:
    down = taken_down(dataset, parts)
    if down:
        what = f"{counted(len(down), 'picture was', 'pictures were')} taken down since it was built"
        raise InputError(what, where=str(dataset), do="`dvc repro` takes them out, then export")


def _write_terms(out: Path, format_: str, only: Copy) -> None:
    """Write the list of licences, the card and the tables of the part that is written."""
    parts = only.shared.parts
    splits = {image.id: split for split, part in parts.items() for image in part.images}
    every = msgspec.structs.replace(
        parts["train"],
        licenses=tuple({one.id: one for part in parts.values() for one in part.licenses}.values()),
        images=tuple(sorted((image for part in parts.values() for image in part.images), key=lambda image: image.id)),
        annotations=tuple(a for part in parts.values() for a in part.annotations),
    )
    write_attribution(out, every, splits)
    metrics = {**counts_of(every, splits), "test": trust(every, {number for number, split in splits.items() if split == "test"}, {})}
    of = counted(sum(len(part.images) for part in only.shared.whole.values()), "picture")
    lead = f"These are the pictures that {PURPOSES[only.shared.purpose]}, of {of}"
    says = {"Left out": [f"{line}." for line in (lead, *left_out_words(only.shared))]}
    write_text(out / "README.md", card(only.name, parts, says, only.guidelines, test=metrics, formats=only.formats))
    if "repeat_factors.csv" in TABLES.get(format_, ()):
        write_factors(out, every, splits, repeat_factors(every, only.repeat_threshold))


def _terms(path: Path) -> bytes:
    """Return a file that goes along with every picture. Raises InputError where it is missing."""
    if not path.is_file():
        what = "is missing, and says whom to credit for the pictures" if path.name in TERMS else "is missing"
        raise InputError(what, where=str(path), do="`dvc repro` writes it, `dvc pull` fetches it")
    return read_bytes(path)


def _pictures(dataset: Path, split: str, part: Coco, folder: Path) -> None:
    for image in part.images:
        link_or_copy(dataset / "images" / split / image.file_name, folder / image.file_name)


def _boxes(part: Coco) -> Iterator[tuple[CocoImage, list[CocoAnnotation]]]:
    found = annotations_by_image(part)
    for image in part.images:
        yield image, [box for box in found.get(image.id, ()) if not box.iscrowd]


def _whole_px(box: CocoAnnotation, image: CocoImage) -> tuple[int, int, int, int]:
    """Return where a box begins and ends in whole pixels, for formats that know no parts of one: left, top, right, bottom; a pixel at the least."""
    x, y, w, h = box.bbox
    (left, right), (top, bottom) = _whole_side(x, w, image.width), _whole_side(y, h, image.height)
    return left, top, right, bottom


def _whole_side(start: float, length: float, most: int) -> tuple[int, int]:
    """Return where a side begins and ends in whole pixels; one that rounding leaves nothing of is the pixel that it begins in."""
    first, end = round(start), round(start + length)
    if end > first:
        return first, end
    pixel = min(int(start), most - 1)
    return pixel, pixel + 1


def _voc(dataset: Path, out: Path, parts: dict[str, Coco]) -> None:
    """Pascal VOC: one XML file a picture, corners from 1, inclusive; `labelmap.txt` names the categories, which Datumaro takes for VOC's own without it."""
    names = {category.id: category.name for category in parts["train"].categories}
    if not any(":" in name or name.startswith("#") for name in names.values()):  # its fields end with a colon, its comments begin with #
        write_text(out / "labelmap.txt", "".join(f"{names[number]}:::\n" for number in sorted(names)))
    for split, part in parts.items():
        _pictures(dataset, split, part, out / "JPEGImages")
        for image, boxes in _boxes(part):
            objects = "".join(_voc_object(box, image, names) for box in boxes)
            size = f"<size><width>{image.width}</width><height>{image.height}</height><depth>3</depth></size>"
            xml = f"<annotation><filename>{escape(image.file_name)}</filename>{size}{objects}</annotation>\n"
            write_text(out / "Annotations" / f"{Path(image.file_name).stem}.xml", xml)
        write_text(out / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{Path(image.file_name).stem}\n" for image in part.images))


def _voc_object(box: CocoAnnotation, image: CocoImage, names: dict[int, str]) -> str:
    left, top, right, bottom = _whole_px(box, image)
    corners = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    flags = "".join(f"<{flag}>{int(bool(box.attributes.get(flag)))}</{flag}>" for flag in ("truncated", "occluded"))
    return f"<object><name>{escape(names[box.category_id])}</name>{flags}<difficult>0</difficult><bndbox>{corners}</bndbox></object>"


def _roboflow(dataset: Path, out: Path, parts: dict[str, Coco]) -> None:
    """RF-DETR and Roboflow: a COCO file beside the pictures of each split; category ids from 1 without gaps, which RF-DETR's heads are sized by."""
    for split, part in parts.items():
        folder = out / {"val": "valid"}.get(split, split)
        _pictures(dataset, split, part, folder)
        write_bytes(folder / "_annotations.coco.json", msgspec.json.encode(_without_gaps(part)))


def _without_gaps(part: Coco) -> Coco:
    """Return the file with its categories numbered from 1 in the order of their ids."""
    numbers = {category_id: number + 1 for category_id, number in class_numbers(part).items()}
    replace = msgspec.structs.replace
    return replace(
        part,
        categories=tuple(replace(c, id=numbers[c.id]) for c in sorted(part.categories, key=lambda c: c.id)),
        images=tuple(_renumbered(image, numbers) for image in part.images),
        annotations=tuple(replace(a, category_id=numbers[a.category_id]) for a in part.annotations),
    )


def _renumbered(image: CocoImage, numbers: dict[int, int]) -> CocoImage:
    names = ("neg_category_ids", "not_exhaustive_category_ids", "exhaustive_category_ids")
    return msgspec.structs.replace(image, **{name: tuple(numbers[i] for i in getattr(image, name)) for name in names})


def _lvis(dataset: Path, out: Path, parts: dict[str, Coco]) -> None:
    """LVIS v1, for an evaluation that knows what nobody looked for: a category's frequency is counted in train.

    LVIS knows no crowds: each becomes a category of its picture that may lack boxes, in which no detection counts as wrong.
    """
    frequencies = _frequencies(parts["train"])
    for split, part in parts.items():
        _pictures(dataset, split, part, out / "images" / split)
        crowds: dict[int, set[int]] = {}
        for a in part.annotations:
            if a.iscrowd:
                crowds.setdefault(a.image_id, set()).add(a.category_id)
        content = {
            "info": part.info,
            "licenses": part.licenses,
            "categories": [{**msgspec.to_builtins(c), **frequencies[c.id]} for c in part.categories],
            "images": [_partly(image, crowds.get(image.id, set())) for image in part.images],
            "annotations": [a for a in part.annotations if not a.iscrowd],
        }
        write_bytes(out / "annotations" / f"lvis_{split}.json", msgspec.json.encode(content))


def _partly(image: CocoImage, crowds: set[int]) -> CocoImage:
    """Return the image with the categories of its crowds among those that may lack a box."""
    return msgspec.structs.replace(
        image,
        not_exhaustive_category_ids=tuple(sorted({*image.not_exhaustive_category_ids, *crowds})),
        exhaustive_category_ids=tuple(i for i in image.exhaustive_category_ids if i not in crowds),
    )


def _frequencies(train: Coco) -> dict[int, dict[str, object]]:
    """Return each category's counts, and LVIS's letter for them: r up to 10 pictures, c up to 100, f above."""
    boxes: Counter[int] = Counter()
    pictures: Counter[int] = Counter()
    for counts in boxes_by_image(train).values():
        boxes.update(counts)
        pictures.update(counts.keys())
    return {c.id: {"frequency": _letter(pictures[c.id]), "image_count": pictures[c.id], "instance_count": boxes[c.id]} for c in train.categories}


def _letter(pictures: int) -> str:
    return "r" if pictures <= RARE else "c" if pictures <= COMMON else "f"


def _coco_yolo(dataset: Path, out: Path, parts: dict[str, Coco]) -> None:
    """The data set's own folder: COCO files, pictures, YOLO labels; it trains as it lies there."""
    for split, part in parts.items():
        _pictures(dataset, split, part, out / "images" / split)
        write_coco(out / "annotations" / f"instances_{split}.json", part)
    write_yolo(out, parts)


def _cvat(dataset: Path, out: Path, parts: dict[str, Coco]) -> None:
    """CVAT's COCO 1.0: annotations/instances_<subset>.json, and images/."""
    for split, part in parts.items():
        _pictures(dataset, split, part, out / "images" / split)
        write_bytes(out / "annotations" / f"instances_{split}.json", msgspec.json.encode(part))


def _hugging_face(dataset: Path, out: Path, parts: dict[str, Coco]) -> None:
    """Hugging Face's imagefolder: metadata.jsonl beside the pictures, classes from 0 in the order of the ids, their names in classes.txt.

    The fields are those of CPPE-5, which Transformers' examples of object detection read. A split without a picture has no folder:
    Hugging Face loads none of the data set where one of its splits is empty.
    """
    for split, part in parts.items():
        if not part.images:
            continue
        _pictures(dataset, split, part, out / split)
        numbers = class_numbers(part)
        write_jsonl(out / split / "metadata.jsonl", (_hugging_face_row(image, boxes, numbers) for image, boxes in _boxes(part)))
    write_text(out / "classes.txt", "".join(f"{c.name}\n" for c in sorted(parts["train"].categories, key=lambda c: c.id)))


def _hugging_face_row(image: CocoImage, boxes: list[CocoAnnotation], numbers: dict[int, int]) -> dict[str, object]:
    objects = {
        "id": [b.id for b in boxes],
        "area": [b.area for b in boxes],
        "bbox": [b.bbox for b in boxes],
        "category": [numbers[b.category_id] for b in boxes],
    }
    return {"file_name": image.file_name, "image_id": image.id, "width": image.width, "height": image.height, "objects": objects}


def _manifest(dataset: Path, out: Path, parts: dict[str, Coco]) -> None:
    """SageMaker's augmented manifest: one line a picture; `source-ref` is the file's name, to be prefixed with your bucket."""
    for split, part in parts.items():
        _pictures(dataset, split, part, out / split)
        numbers = class_numbers(part)
        names = {str(numbers[c.id]): c.name for c in sorted(part.categories, key=lambda c: c.id)}
        write_text(out / f"{split}.manifest", "".join(json.dumps(_manifest_line(image, boxes, numbers, names)) + "\n" for image, boxes in _boxes(part)))


def _manifest_line(image: CocoImage, boxes: list[CocoAnnotation], numbers: dict[int, int], names: dict[str, str]) -> dict[str, object]:
    corners = [(numbers[box.category_id], *_whole_px(box, image)) for box in boxes]
    found = [{"class_id": number, "left": left, "top": top, "width": right - left, "height": bottom - top} for number, left, top, right, bottom in corners]
    size = [{"width": image.width, "height": image.height, "depth": 3}]
    meta = {"class-map": names, "type": "groundtruth/object-detection", "human-annotated": "yes"}
    return {
        "source-ref": image.file_name,
        "boxes": {"image_size": size, "annotations": found},
        "boxes-metadata": {"objects": [{"confidence": 1} for _ in found], **meta},
    }


FORMATS = {"coco-yolo": _coco_yolo, "cvat": _cvat, "huggingface": _hugging_face, "lvis": _lvis, "manifest": _manifest, "roboflow": _roboflow, "voc": _voc}
KEEP_CROWDS = {"coco-yolo", "cvat", "roboflow"}
TABLES = {"coco-yolo": ("repeat_factors.csv",)}
TRAINING_OF = {  # what the card says of it, where it is not the data set's own folder
    "cvat": "- CVAT imports it as COCO 1.0; any COCO trainer: `annotations/instances_train.json` with `images/train`; ids start at 1",
    "huggingface": '- `load_dataset("imagefolder", data_dir=…)` with this folder; classes count from 0, in the order of `classes.txt`',
    "lvis": "- LVIS's evaluation: `annotations/lvis_test.json` with `images/test`",
    "manifest": "- SageMaker: `train.manifest`, with your bucket before each `source-ref`; classes count from 0",
    "roboflow": "- RF-DETR, Roboflow: this folder; categories count from 1 without gaps",
    "voc": "- `ImageSets/Main/train.txt` names the pictures of train, `Annotations` has their boxes, corners from 1",
}

"""YOLO's form of the data set: a text file per picture, `class xc yc w h` in shares of it, classes from 0 in the order of the ids.

Crowds have no place in YOLO and are left out of its labels; the COCO files keep them.
"""

from pathlib import Path

import yaml

from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage, annotations_by_image
from boxset.files import write_text

HAIR = 6e-8  # a share that single precision cannot tell from none, where a box ends at its picture's edge
MILLIONTH = 1e-6


def write_yolo(out: Path, parts: dict[str, Coco]) -> None:
    """Write `labels/<split>/*.txt` and `data.yaml` beside `images/`.

    `data.yaml` names no `path`: Ultralytics then takes its own folder as the root. A `path` of `.` would be the folder that one trains from.
    """
    for split, part in parts.items():
        (out / "labels" / split).mkdir(parents=True, exist_ok=True)
        (out / "images" / split).mkdir(parents=True, exist_ok=True)
        boxes, numbers = annotations_by_image(part), class_numbers(part)
        for image in part.images:
            lines = [yolo_line(box, image, numbers) for box in boxes.get(image.id, ()) if not box.iscrowd]
            write_text(out / "labels" / split / Path(image.file_name).with_suffix(".txt").name, "".join(lines))
    names = {number: category.name for number, category in enumerate(sorted(parts["train"].categories, key=lambda c: c.id))}
    content = {**{split: f"images/{split}" for split in parts}, "names": names}
    write_text(out / "data.yaml", yaml.safe_dump(content, sort_keys=False))


def class_numbers(coco: Coco) -> dict[int, int]:
    """Return category id → YOLO's class number."""
    return {category.id: number for number, category in enumerate(sorted(coco.categories, key=lambda c: c.id))}


def yolo_line(box: CocoAnnotation, image: CocoImage, numbers: dict[int, int]) -> str:
    """Return one line for one box."""
    x, y, w, h = box.bbox
    (centre_x, width), (centre_y, height) = _side(x, w, image.width), _side(y, h, image.height)
    values = (centre_x, centre_y, width, height)
    return f"{numbers[box.category_id]} {' '.join(f'{value:.8f}' for value in values)}\n"


def same_boxes(said: str, lines: list[str]) -> bool:
    """Return whether a file of labels says what these lines do; less than a millionth of a picture is no difference, as older versions rounded otherwise."""
    rows, wanted = said.splitlines(), "".join(lines).splitlines()
    return len(rows) == len(wanted) and all(map(_same_box, rows, wanted))


def _same_box(said: str, line: str) -> bool:
    (number, *sides), (wanted, *shares) = said.split(" "), line.split(" ")
    try:
        return number == wanted and all(abs(float(a) - float(b)) < MILLIONTH for a, b in zip(sides, shares, strict=True))
    except ValueError:
        return False


def _side(start: float, length: float, whole: int) -> tuple[float, float]:
    """Return a side's centre and length in shares of the whole: at the edge a hair shorter.

    In single precision the centre less half the length would often lie below 0, and Albumentations refuses such a box in the middle of a training.
    """
    centre = (start + length / 2) / whole
    return centre, min(length / whole, 2 * (min(centre, 1 - centre) - HAIR))

"""The data set's folder: COCO files, pictures, YOLO labels, licences and a card; it trains as it lies there."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from boxset.assemble.balance import Chosen
from boxset.assemble.split import Parted
from boxset.dataset.coco import SPLITS, Coco, CocoImage, names_of, part_of, write_coco
from boxset.dataset.records import picture_files
from boxset.errors import ProjectError
from boxset.files import link_or_copy, read_text, write_csv, write_text
from boxset.formats.card import NO_FORMATS, card
from boxset.formats.yolo import write_yolo

ATTRIBUTION = ("file_name", "split", "source", "source_id", "address", "original_address", "landing_page", "author", "author_page", "licence", "title")


def write_dataset(out: Path, chosen: Chosen, parted: Parted, *, name: str, guidelines: dict[str, str], pictures: Path, formats: Mapping[str, str] = NO_FORMATS) -> None:
    """Write the data set. Pictures are hard links to those of `extract` and `crawl`. Raises ProjectError where one is missing.

    `guidelines`: key of a category → path; `formats`: source → its format, for the terms of its boxes.
    """
    coco = chosen.coco
    parts = {split: _part(coco, split, parted, name) for split in SPLITS}
    where = picture_files(pictures)
    for split, part in parts.items():
        write_coco(out / "annotations" / f"instances_{split}.json", part)
        for image in part.images:
            if image.file_name not in where:
                raise ProjectError("the picture is missing", where=f"{pictures}: {image.file_name}", do="`dvc pull`, then `dvc repro`")
            link_or_copy(where[image.file_name], out / "images" / split / image.file_name)
    write_yolo(out, parts)
    write_factors(out, coco, parted.assignment, chosen.repeat_factors)
    write_attribution(out, coco, parted.assignment)
    write_text(out / "README.md", card(name, parts, {"Balance": chosen.says}, texts_of(guidelines, names_of(coco.categories)), test=parted.metrics, formats=formats))


def _part(coco: Coco, split: str, parted: Parted, name: str) -> Coco:
    part = part_of(coco, {number for number, assigned in parted.assignment.items() if assigned == split})
    return msgspec.structs.replace(part, info={"description": f"{name}, {split}", "version": "1.0", "contributor": "Boxset"})


def write_factors(out: Path, coco: Coco, splits: Mapping[int, str], factors: Mapping[int, float]) -> None:
    """Write `repeat_factors.csv`: how often each picture should be seen. `splits`, `factors`: by the id of an image."""
    rows = ((image.file_name, splits[image.id], f"{factors[image.id]:g}") for image in coco.images)
    write_csv(out / "repeat_factors.csv", ("file_name", "split", "factor"), rows)


def write_attribution(out: Path, coco: Coco, splits: Mapping[int, str]) -> None:
    """Write `ATTRIBUTION.csv`: who made each picture, where it is from, under which licence. `splits`: id of an image → its split."""
    licences = {licence.id: licence.name for licence in coco.licenses}
    rows = (_attribution(image, splits[image.id], licences[image.license]) for image in coco.images)
    write_csv(out / "ATTRIBUTION.csv", ATTRIBUTION, rows)


def _attribution(image: CocoImage, split: str, licence: str) -> tuple[str, ...]:
    origin = (image.source, image.source_id, image.coco_url, image.original_url, image.landing_url)
    return image.file_name, split, *origin, image.author, image.author_url, licence, image.title


def texts_of(guidelines: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Return what the guideline of each category says, by its name for show; of those that have one. Raises InputError where one is no text."""
    return {names.get(key, key): read_text(Path(path)) for key, path in guidelines.items() if path and Path(path).is_file()}

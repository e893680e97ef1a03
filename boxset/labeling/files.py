"""Labelling by files: a folder of tasks goes out, a COCO file (CVAT, Label Studio, anything) or a Ground Truth manifest comes back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boxset.errors import InputError
from boxset.files import link_or_copy, read_bytes, write_json, write_text
from boxset.labeling.ground_truth import ATTRIBUTE, read_manifest
from boxset.labeling.labeler import Progress
from boxset.labeling.ledger import Answered, Drawn, Job, Reserved
from boxset.labeling.ledger import Asked as Item
from boxset.params import Params


class Folder:
    """`<folder>/<job>/tasks` goes out; results are put into `<folder>/<job>/results` by hand."""

    def __init__(self, params: Params) -> None:
        self._root = Path(params.labeler.folder)

    def check(self) -> None:
        """Nothing can be missing."""

    def send(self, reserved: Reserved, asked: Sequence[Item], pictures: Mapping[str, Path]) -> None:
        """Write pictures, a COCO file without boxes, and a word on what to do."""
        tasks = self._root / reserved.job / "tasks"
        for item in asked:
            link_or_copy(pictures[item.sha256], tasks / "images" / item.file_name)
        images = [{"id": n, "file_name": item.file_name, "width": item.width, "height": item.height} for n, item in enumerate(asked, 1)]
        categories = [{"id": number, "name": name} for name, number in reserved.categories.items()]
        write_json(tasks / "annotations" / "instances_default.json", {"images": images, "annotations": [], "categories": categories})
        names = ", ".join(reserved.categories)
        text = f"Draw a tight box round every {names}.\nPut the COCO file (or Ground Truth's output.manifest) into {self._root}/{reserved.job}/results/.\n"
        write_text(tasks / "README.txt", text)
        (self._root / reserved.job / "results").mkdir(parents=True, exist_ok=True)

    def jobs(self, prefix: str) -> list[str]:
        """Return the folders."""
        return sorted(path.name for path in self._root.glob(f"{prefix}*") if (path / "tasks").is_dir())

    def progress(self, job: Job) -> Progress:
        """A job is complete when a result lies there."""
        if not (self._root / job.name / "tasks" / "annotations").is_dir():
            return Progress("unknown")
        results = self._results(job)
        return Progress("completed" if results else "open", len(job.asked) if results else 0)

    def _results(self, job: Job) -> list[Path]:
        return sorted(path for path in (self._root / job.name / "results").rglob("*") if path.suffix in (".json", ".manifest"))

    def answers(self, job: Job) -> list[Answered]:
        """Read all results. In a COCO file an image without boxes was looked at and has none; an image that is not listed was not looked at."""
        found: list[Answered] = []
        for path in self._results(job):
            body = read_bytes(path)
            found += (
                read_manifest(body, job, where=str(path), attribute=ATTRIBUTE) if path.suffix == ".manifest" else read_coco_result(body, job, path)
            )
        return found

    def cancel(self, job: Job) -> None:
        """Nothing runs anywhere."""


def read_coco_result(body: bytes, job: Job, path: Path) -> list[Answered]:
    """Read a COCO file by file names and category names, whatever ids the tool gave them. Raises InputError naming the record."""
    try:
        coco = json.loads(body)
        images = {image["id"]: image for image in coco["images"]}
        names = {category["id"]: category["name"] for category in coco["categories"]}
        boxes: dict[Any, list[Drawn]] = {number: [] for number in images}
        for annotation in coco["annotations"]:
            boxes[annotation["image_id"]].append(
                Drawn(category_id=job.reserved.categories[names[annotation["category_id"]]], bbox=tuple(annotation["bbox"]))
            )
    except (ValueError, KeyError, TypeError) as err:
        raise InputError(
            f"not a COCO result of this job: {type(err).__name__} {err}", where=str(path), do="Export as COCO with the job's own labels"
        ) from err
    asked = {item.file_name: item for item in job.asked}
    found = []
    for number, image in images.items():
        item = asked.get(Path(str(image["file_name"])).name)
        if item is None:
            raise InputError(f"{image['file_name']}: was not asked about in this job", where=str(path), do="Put it into the folder of its own job")
        found.append(Answered(job=job.name, sha256=item.sha256, state="labelled", boxes=tuple(boxes[number])))
    return found

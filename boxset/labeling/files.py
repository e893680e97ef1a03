"""Labelling by files: a folder of tasks goes out, a COCO file (CVAT, Label Studio, anything) or a Ground Truth manifest comes back."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path, PureWindowsPath
from typing import Any

import msgspec

from boxset.dataset.geometry import around_turned
from boxset.errors import InputError
from boxset.files import link_or_copy, read_bytes, write_json, write_text
from boxset.labeling.ground_truth import ATTRIBUTE, read_manifest
from boxset.labeling.instructions import instructions_of
from boxset.labeling.labeler import LastLook, Progress, nothing_to_see
from boxset.labeling.ledger import Answered, Drawn, Job, Reserved
from boxset.labeling.ledger import Asked as Item
from boxset.labeling.received import UNFIT, Pile, Received, Refusal, checked_bbox, latest, listed, reason, record
from boxset.params import Params

PACKED = (".zip", ".gz", ".tar", ".7z", ".rar")


class Folder:
    """`<folder>/<job>/tasks` goes out; results are put into `<folder>/<job>/results` by hand."""

    takes_corrections = True
    is_shared = False
    takes_once = True

    def __init__(self, params: Params) -> None:
        self._params, self._root = params, Path(params.labeler.folder)

    def check(self) -> None:
        """Check the instructions: nothing else can be missing."""
        instructions_of(self._params, self._params.categories)

    def send(self, reserved: Reserved, asked: Sequence[Item], pictures: Mapping[str, Path], last_look: LastLook = nothing_to_see) -> None:
        """Write pictures, a COCO file without boxes, and a word on what to do."""
        says = instructions_of(self._params, reserved.categories)
        last_look()
        tasks = self._root / reserved.job / "tasks"
        for item in asked:
            link_or_copy(pictures[item.sha256], tasks / "images" / item.file_name)
        images = [{"id": n, "file_name": item.file_name, "width": item.width, "height": item.height} for n, item in enumerate(asked, 1)]
        categories = [{"id": number, "name": name} for name, number in reserved.categories.items()]
        write_json(tasks / "annotations" / "instances_default.json", {"images": images, "annotations": [], "categories": categories})
        text = f"{says.short}\nPut the COCO file (or Ground Truth's output.manifest) into {self._root}/{reserved.job}/results/.\n"
        text += "It lists every picture that was looked at, also those with nothing to draw; the job waits for those that it does not list.\n"
        write_text(tasks / "README.txt", text + (f"\n{says.guidelines}\n" if says.guidelines else ""))
        (self._root / reserved.job / "results").mkdir(parents=True, exist_ok=True)

    def jobs(self, prefix: str) -> list[str]:
        """Return the folders."""
        return sorted(path.name for path in self._root.glob(f"{prefix}*") if (path / "tasks").is_dir())

    def lines(self, job: str) -> str:  # noqa: ARG002 - a service's call
        """Nobody else sees this folder: what is in it stands in the ledger."""
        return ""

    def progress(self, job: Job) -> Progress:
        """A job is complete when its results speak of every picture that was asked."""
        if not (self._root / job.name / "tasks" / "annotations").is_dir():
            return Progress("unknown")
        answers = self.answers(job).answers
        failed = sum(answer.state == "failed" for answer in answers)
        return Progress("completed" if len(answers) == len(job.asked) else "open", len(answers) - failed, failed)

    def _results(self, job: Job) -> list[Path]:
        """Return the result files, the one that was written last first."""
        found = [path for path in self._files(job) if path.suffix.lower() in (".json", ".manifest")]
        return sorted(found, key=lambda path: (-path.stat().st_mtime_ns, str(path)))

    def _files(self, job: Job) -> list[Path]:
        """Return what lies in the folder of results, without what systems and editors hide there."""
        results = self._root / job.name / "results"
        return [path for path in sorted(results.rglob("*")) if path.is_file() and not any(part.startswith(".") for part in path.relative_to(results).parts)]

    def answers(self, job: Job) -> Received:
        """Read all results; of several on one picture the file that was written last holds.

        In a COCO file an image without boxes was looked at and has none; an image that is not listed was not looked at.
        """
        found = self._results(job)
        packed = [] if found else [path for path in self._files(job) if path.suffix.lower() in PACKED]
        return latest(_read(path, job) for path in found) if found else Received(refused=tuple(Refusal(str(path), "packed: put what is in it here") for path in packed))

    def cancel(self, job: Job) -> bool:  # noqa: ARG002 - a service's call
        """Nothing runs anywhere: the job is over at once."""
        return True


def _read(path: Path, job: Job) -> Received:
    try:
        body = read_bytes(path)
    except InputError as err:
        return Received(refused=(Refusal(str(path), err.what),))
    if path.suffix.lower() == ".manifest":
        return read_manifest(body, job, where=str(path), attribute=ATTRIBUTE)
    return read_coco_result(body, job, path)


Number = int | str  # tools number their records in either way


class _Image(msgspec.Struct, frozen=True):
    id: Number
    file_name: str
    width: float | None = None
    height: float | None = None


class _Category(msgspec.Struct, frozen=True):
    id: Number
    name: str


class _Box(msgspec.Struct, frozen=True):
    image_id: Number
    category_id: Number
    bbox: tuple[float, float, float, float]
    attributes: dict[str, Any] = {}

    @property
    def upright(self) -> tuple[float, ...]:
        """The box round what CVAT's `rotation` turned about the middle, in degrees."""
        turn = self.attributes.get("rotation", 0)
        if not isinstance(turn, (int, float)) or not isfinite(turn) or not turn:
            return self.bbox
        x, y, w, h = self.bbox
        across, down = (round(side, 3) for side in around_turned(w, h, turn)[2:])
        return x + (w - across) / 2, y + (h - down) / 2, across, down


def read_coco_result(body: bytes, job: Job, path: Path) -> Received:
    """Read a COCO file by file names and category names, whatever ids the tool gave them. What cannot be used is refused by file, record and field."""
    pile = Pile()
    try:
        coco = json.loads(body)
        records = {name: listed(coco, name) for name in ("categories", "images", "annotations")}
        categories = {category.id: category.name for category in (record(raw, _Category) for raw in records["categories"])}
    except UNFIT as err:
        return Received(refused=(Refusal(str(path), f"not a COCO result of this job: {reason(err)}"),))
    images = _images(records["images"], job, str(path), pile)
    others = {_id(raw) for raw in records["images"]} - images.keys()
    ids = {number: job.reserved.categories.get(name) for number, name in categories.items()}
    boxes = _boxes(records["annotations"], images, others, ids, where=str(path), pile=pile)
    for number, item in images.items():
        pile.answer(Answered(job=job.name, sha256=item.sha256, state="labelled", boxes=tuple(boxes.get(number, ()))), f"{path}: images")
    return pile.received()


def _images(raws: list[Any], job: Job, where: str, pile: Pile) -> dict[Number, Item]:
    """Return the asked picture of every image by the file's own number; one whose size is another than was sent is refused."""
    by_name = {item.file_name: item for item in job.asked}
    found: dict[Number, Item] = {}
    for place, raw in enumerate(raws):
        try:
            image = record(raw, _Image)
            item = by_name.get(PureWindowsPath(image.file_name).name)
            if item is None:
                raise ValueError(f"file_name: {image.file_name} was not asked about in this job")
        except UNFIT as err:
            pile.refuse(f"{where}: images[{place}]", reason(err))
            continue
        if found.setdefault(image.id, item) is not item:
            pile.refuse(f"{where}: images[{place}]", f"id: {image.id} stands twice", found[image.id].sha256)
            pile.refuse(f"{where}: images[{place}]", f"id: {image.id} stands twice", item.sha256)
        elif (image.width and image.width != item.width) or (image.height and image.height != item.height):
            size = f"width, height: {image.width or 0:g} x {image.height or 0:g}, and the picture was sent with {item.width} x {item.height}"
            pile.refuse(f"{where}: images[{place}]", size, item.sha256)
    return found


def _boxes(
    raws: list[Any], images: dict[Number, Item], others: set[Number], ids: dict[Number, int | None], *, where: str, pile: Pile
) -> dict[Number, list[Drawn]]:
    found: dict[Number, list[Drawn]] = {}
    for place, raw in enumerate(raws):
        item = images.get(_id(raw, "image_id"))
        try:
            box = record(raw, _Box)
            if item is None and box.image_id in others:
                continue  # its image is refused already
            if item is None:
                raise ValueError(f"image_id: {box.image_id} is none of this file's images that were asked about")
            number = ids.get(box.category_id)
            if number is None:
                raise ValueError(f"category_id: {box.category_id} is none of this job's categories")
            bbox = checked_bbox(box.upright, item, [f"bbox[{n}]" for n in range(4)])
            found.setdefault(box.image_id, []).append(Drawn(category_id=number, bbox=bbox))
        except UNFIT as err:
            pile.refuse(f"{where}: {_named(place, raw)}", reason(err), item.sha256 if item else "")
    return found


def _named(place: int, raw: object) -> str:
    return f"annotation {_id(raw)}" if _id(raw) != "" else f"annotations[{place}]"


def _id(raw: object, field: str = "id") -> Number:
    found = raw.get(field) if isinstance(raw, dict) else None
    return found if isinstance(found, (int, str)) else ""

"""Label Studio over its REST API: one project a job, rectangles in percent of the picture.

Tried against no server in the tests of this version; see docs/labelling.md.
"""

import base64
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import count
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import urllib3

from boxset.dataset.geometry import around_turned, scaled
from boxset.dataset.records import BBox
from boxset.endpoints import Endpoints
from boxset.errors import ParamsError, ServiceError
from boxset.labeling.labeler import LastLook, Progress, nothing_to_see
from boxset.labeling.ledger import Answered, Asked, Drawing, Drawn, Job, Reserved, reservation_lines, worker_mark
from boxset.labeling.received import UNFIT, Pile, Received, Refusal, checked_bbox, listed, reason, record
from boxset.params import Params

T = TypeVar("T")
BATCH = 50
LINES = "ledger"  # in a task's data: its lines of the ledger
PAGE = 100  # projects asked for at once; a server may give fewer


class _Project(msgspec.Struct, frozen=True):
    id: int
    description: str | None = None  # the job's name
    maximum_annotations: int | None = None  # how many people are to draw in a picture; 1 where it is not set


class _Page(msgspec.Struct, frozen=True):
    results: list[_Project]
    next: str | None = None  # the next page's address, as the server sees itself: only whether there is one counts
    count: int | None = None


class LabelStudio:
    """A Label Studio server of one's own; the token comes from LABEL_STUDIO_TOKEN."""

    takes_corrections = False
    is_shared = True

    def __init__(self, params: Params, endpoints: Endpoints) -> None:
        self._base, self._endpoints = params.labeler.url.rstrip("/"), endpoints
        self._token = os.environ.get("LABEL_STUDIO_TOKEN", "")
        self._title = params.labeler.title
        self._pools = urllib3.PoolManager(timeout=urllib3.Timeout(connect=10, read=120), retries=False)

    def check(self) -> None:
        """Check address and token."""
        if not self._base:
            raise ParamsError("labeler.url: empty", where="params.yaml", do="Set your Label Studio server's address")
        if not self._token:
            raise ServiceError("no token", where=f"Label Studio at {self._base}", do="export LABEL_STUDIO_TOKEN=…")
        self._call("GET", "/api/projects?page_size=1")

    def send(self, reserved: Reserved, asked: Sequence[Asked], pictures: Mapping[str, Path], last_look: LastLook = nothing_to_see) -> None:
        """Create the job's project and import the pictures that it lacks.

        Label Studio makes a second project of one description too: of two clones that did at once the later one stops, and its project stays empty.
        """
        project = self._project(reserved.job)
        if project is None:
            last_look()
            project = self._created(reserved)
            self._check_first(project, reserved.job)
        here = {_data(task).get("sha256") for task in self._tasks(project)}
        missing = [item for item in asked if item.sha256 not in here]
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            tasks = [{"data": {"sha256": item.sha256, "image": _data_uri(pictures[item.sha256]), LINES: reservation_lines(reserved, [item])}} for item in batch]
            self._call("POST", f"/api/projects/{project.id}/import", tasks)

    def jobs(self, prefix: str) -> list[str]:
        """Return the names of our projects."""
        return [name for project in self._projects() if (name := project.description or "").startswith(prefix)]

    def lines(self, job: str) -> str:
        """Return what the tasks' data say beside the picture."""
        project = self._project(job)
        return "".join(str(_data(task).get(LINES, "")) for task in self._tasks(project)) if project else ""

    def progress(self, job: Job) -> Progress:
        """Return how many tasks have an annotation that can be taken in; the job is over when all have as many as the project wants of each."""
        project = self._project(job.name)
        if project is None:
            return Progress("unknown")
        tasks = self._tasks(project)
        asked, done = {item.sha256 for item in job.asked}, len(read_tasks(tasks, job, where=job.name).answers)
        least = min((len(_annotations(task)) for task in tasks if _data(task).get("sha256") in asked), default=0)
        return Progress("completed" if done >= len(job.asked) and least >= (project.maximum_annotations or 1) else "open", done)

    def answers(self, job: Job) -> Received:
        """Return the annotated tasks; of several annotations the first that was not cancelled."""
        project = self._project(job.name)
        tasks = self._tasks(project) if project else []
        return read_tasks(tasks, job, where=f"Label Studio, {job.name}")

    def cancel(self, job: Job) -> bool:  # noqa: ARG002 - a service's call
        """Label Studio has nothing to stop: the project stays, and what is drawn later is not collected."""
        return True

    def _config(self, reserved: Reserved) -> str:
        labels = "".join(f'<Label value="{escape(name)}"/>' for name in reserved.categories)
        return f'<View><Header value="{escape(self._title)}"/><Image name="image" value="$image"/><RectangleLabels name="boxes" toName="image">{labels}</RectangleLabels></View>'

    def _created(self, reserved: Reserved) -> "_Project":
        made = self._call("POST", "/api/projects", {"title": reserved.job[:50], "description": reserved.job, "label_config": self._config(reserved)})
        return self._read(made, _Project, f"{reserved.job}: the new project")

    def _projects(self) -> list["_Project"]:
        """Return all projects, of all pages. Raises ServiceError where there are fewer than the server counts."""
        found: list[_Project] = []
        for number in count(1):
            answer = self._call("GET", f"/api/projects?page_size={PAGE}&page={number}")
            if isinstance(answer, list):  # as old servers answer
                return self._read(answer, list[_Project], "the list of projects")
            page = self._read(answer, _Page, "the list of projects")
            found += page.results
            if not page.next or not page.results:
                break
        if page.next or (page.count is not None and len(found) < page.count):
            raise ServiceError("the list of projects is not whole", where=f"Label Studio at {self._base}", do="Nothing was bought: run it again")
        return found

    def _project(self, job: str) -> "_Project | None":
        """Return a job's project: the first that was made."""
        return min((project for project in self._projects() if project.description == job), key=lambda project: project.id, default=None)

    def _check_first(self, made: "_Project", job: str) -> None:
        first = self._project(job)
        if first is not None and first.id != made.id:
            do = f"Submit again once they are done; delete project {made.id}, which is empty"
            raise ServiceError(f"another clone has just made project {first.id} for job {job}", where=f"Label Studio at {self._base}", do=do)

    def _tasks(self, project: "_Project") -> list[Any]:
        answer = self._call("GET", f"/api/projects/{project.id}/export?exportType=JSON&download_all_tasks=true")
        return self._read(answer, list[Any], f"{project.description}: the export")

    def _read(self, answer: Any, as_type: type[T], what: str) -> T:
        try:
            return msgspec.convert(answer, as_type)
        except msgspec.ValidationError as err:
            do = "Nothing was bought or taken in: see what the server answers"
            raise ServiceError(f"{what} is not what it should be: {err}", where=f"Label Studio at {self._base}", do=do) from err

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        url, headers = self._endpoints.connect(f"{self._base}{path}")
        sent = {"Authorization": f"Token {self._token}", "Content-Type": "application/json", **headers}
        where = f"Label Studio at {self._base}"
        try:
            answer = self._pools.request(method, url, headers=sent, body=None if body is None else msgspec.json.encode(body))
            if answer.status == 401:
                raise ServiceError("the token is wrong", where=where, do="export LABEL_STUDIO_TOKEN=…")
            if answer.status >= 400:
                raise ServiceError(f"HTTP {answer.status}: {answer.data[:200]!r}", where=where, do="Nothing was lost: run it again")
            return json.loads(answer.data)  # which reads NaN, as Python's servers write it: the box is refused then, not every picture
        except (urllib3.exceptions.HTTPError, ValueError, RecursionError) as err:
            raise ServiceError(f"does not answer as it should ({type(err).__name__})", where=where, do="Start it, or correct labeler.url") from err


def _data_uri(path: Path) -> str:
    kind = "png" if path.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


class _Value(msgspec.Struct, frozen=True):
    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0
    rectanglelabels: list[str] = []


def read_tasks(tasks: Sequence[Any], job: Job, *, where: str) -> Received:
    """Read exported tasks: rectangles in percent of the picture, turned ones by the box round them. A bad one refuses its picture.

    Of several annotations the first holds that was not cancelled; each is a drawing besides.
    """
    by_hash = {item.sha256: item for item in job.asked}
    pile, drawings, unread = Pile(), list[Drawing](), list[Refusal]()
    for task in tasks:
        asked = by_hash.get(str(_data(task).get("sha256")))
        if asked is None:
            continue
        at = f"{where}, task {task.get('id', '?')}"
        try:
            boxes = _task_boxes(task, asked, job)
        except UNFIT as err:
            pile.refuse(at, reason(err), asked.sha256)
            continue
        if boxes is not None:
            pile.answer(Answered(job=job.name, sha256=asked.sha256, state="labelled", boxes=boxes), at)
        for one in _annotations(task):
            try:
                drawings.append(Drawing(job=job.name, sha256=asked.sha256, worker=_worker(one), boxes=_boxes(one, asked, job)))
            except UNFIT as err:
                unread.append(Refusal(f"{at}, annotation {one.get('id', '?')}", reason(err), asked.sha256))
    return replace(pile.received(), drawings=_one_of_each(drawings), unread=tuple(unread))


def _one_of_each(drawings: Sequence[Drawing]) -> tuple[Drawing, ...]:
    """Return each person's first drawing in a picture, of pictures that several people drew in."""
    first = {(one.sha256, one.worker): one for one in reversed(drawings)}
    people = Counter(sha256 for sha256, _ in first)
    return tuple(sorted((one for one in first.values() if people[one.sha256] > 1), key=lambda one: (one.sha256, one.worker)))


def _data(task: object) -> dict[str, Any]:
    found = task.get("data") if isinstance(task, dict) else None
    return found if isinstance(found, dict) else {}


def _annotations(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a task's annotations that were not cancelled."""
    made = task.get("annotations")
    return [one for one in made if isinstance(one, dict) and not one.get("was_cancelled")] if isinstance(made, list) else []


def _task_boxes(task: dict[str, Any], asked: Asked, job: Job) -> tuple[Drawn, ...] | None:
    """Return the boxes of the first annotation that was not cancelled, or None where there is none."""
    drawn = next((a for a in task.get("annotations") or [] if not a.get("was_cancelled")), None)
    return None if drawn is None else _boxes(drawn, asked, job)


def _worker(annotation: dict[str, Any]) -> str:
    """Return the mark of who drew: by their number, as `completed_by` may hold a mail address besides; without one, of nobody else."""
    by = annotation.get("completed_by")
    number = by.get("id") if isinstance(by, dict) else by
    return worker_mark(str(number) if isinstance(number, int) else f"annotation {annotation.get('id')}")


def _boxes(annotation: dict[str, Any], asked: Asked, job: Job) -> tuple[Drawn, ...]:
    results = [(place, raw) for place, raw in enumerate(listed(annotation, "result")) if "rectanglelabels" in raw.get("value", {})]
    return tuple(box for place, raw in results for box in _result_boxes(raw["value"], f"result[{place}].", asked, job))


def _result_boxes(raw: dict[str, Any], at: str, asked: Asked, job: Job) -> list[Drawn]:
    try:
        value = record(raw, _Value)
    except ValueError as err:
        raise ValueError(f"{at}{err}") from err
    unknown = next((label for label in value.rectanglelabels if label not in job.reserved.categories), "")
    if unknown:
        raise ValueError(f"{at}rectanglelabels: {unknown} is none of this job's categories")
    bbox = checked_bbox(_upright(value, asked), asked, [f"{at}{name}" for name in ("x", "y", "width", "height")])
    return [Drawn(category_id=job.reserved.categories[label], bbox=bbox) for label in value.rectanglelabels]


def _upright(value: _Value, asked: Asked) -> BBox:
    """Return the box in pixels round a rectangle that is turned about its top left corner, clockwise, in degrees."""
    x, y, w, h = scaled((value.x, value.y, value.width, value.height), asked.width / 100, asked.height / 100)
    if not value.rotation or not isfinite(value.rotation):
        return x, y, w, h
    left, top, across, down = around_turned(w, h, value.rotation)
    return x + left, y + top, across, down

"""Label Studio over its REST API: one project a job, rectangles in percent of the picture.

Tried against Label Studio Community 1.23.2; see docs/labelling.md.
"""

import base64
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
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
from boxset.labeling.fuse import are_fusible, fuse
from boxset.labeling.instructions import instructions_of
from boxset.labeling.labeler import LastLook, Progress, nothing_to_see
from boxset.labeling.ledger import Answered, Asked, Drawing, Drawn, Job, Reserved, reservation_lines, worker_mark
from boxset.labeling.received import UNFIT, Received, Refusal, checked_bbox, listed, reason, record
from boxset.labeling.studio_tasks import DATA, MEMORY, NAMES, NotOfferedError, Tasks
from boxset.params import Params
from boxset.wording import counted

T = TypeVar("T")
BATCH, BATCH_BYTES = 50, 20_000_000  # pictures in one import: a server takes requests of 250 MB, and less behind a proxy
LINES = "ledger"  # in a task's data: its lines of the ledger
PASSES_BY = (429, 502, 503, 504)  # HTTP statuses that say nothing of what a server can do
PAGE = 100  # projects asked for at once; a server may give fewer


class _Project(msgspec.Struct, frozen=True):
    id: int
    description: str | None = None  # the job's name
    maximum_annotations: int | None = None  # how many people are to draw in a picture

    @property
    def people(self) -> int:
        """How many people the project asks of a picture: 1 where it is not set."""
        return self.maximum_annotations or 1


class _Page(msgspec.Struct, frozen=True):
    results: list[_Project]
    next: str | None = None  # the next page's address, as the server sees itself: only whether there is one counts
    count: int | None = None


class _Access(msgspec.Struct, frozen=True):
    access: str


class LabelStudio:
    """A Label Studio server of one's own; the token comes from LABEL_STUDIO_TOKEN: a personal access token, or a legacy one."""

    takes_corrections = False
    is_shared = True
    takes_once = False  # what two clones import at once is there twice

    def __init__(self, params: Params, endpoints: Endpoints, memory: Path = MEMORY) -> None:
        self._base, self._endpoints = params.labeler.url.rstrip("/"), endpoints
        self._token, self._access = os.environ.get("LABEL_STUDIO_TOKEN", ""), ""
        self._params, self._title, self._people = params, params.labeler.title, params.label.workers
        self._tasks = Tasks(lambda method, path: self._call(method, path), self._base, memory)
        self._pools = urllib3.PoolManager(timeout=urllib3.Timeout(connect=10, read=120), retries=False)

    def check(self) -> None:
        """Check address, token and instructions."""
        if not self._base:
            raise ParamsError("labeler.url: empty", where="params.yaml", do="Set your Label Studio server's address")
        if not self._token:
            raise ServiceError("no token", where=f"Label Studio at {self._base}", do="export LABEL_STUDIO_TOKEN=…")
        instructions_of(self._params, self._params.categories)
        self._call("GET", "/api/projects?page_size=1")

    def send(self, reserved: Reserved, asked: Sequence[Asked], pictures: Mapping[str, Path], last_look: LastLook = nothing_to_see) -> None:
        """Create the job's project and import the pictures that it lacks; nothing is imported into one that asks another number of people.

        Label Studio makes a second project of one description too: of two clones that did at once the later one stops, and its project stays empty.
        """
        project = self._project(reserved.job)
        if project is None:
            last_look()
            project = self._created(reserved)
            self._check_first(project, reserved.job)
        filling = _Filling(f"Label Studio at {self._base}", reserved.job)
        filling.sees(self._tasks.of(project.id, reserved.job, NAMES))
        filling.start = filling.last
        missing = [item for item in asked if item.sha256 not in filling.here]
        if missing:
            self._check_people(project, reserved.job)
        for batch in _batches(missing, pictures):
            last_look()
            filling.sees(self._tasks.since(project.id, reserved.job, filling.behind))
            tasks = [_task(item, reserved, pictures[item.sha256]) for item in batch if item.sha256 not in filling.here]
            if tasks:
                filling.imported(self._call("POST", f"/api/projects/{project.id}/import?return_task_ids=true", tasks))
        if missing:
            filling.sees(self._tasks.since(project.id, reserved.job, filling.behind))

    def jobs(self, prefix: str) -> list[str]:
        """Return the names of our projects."""
        return [name for project in self._projects() if (name := project.description or "").startswith(prefix)]

    def lines(self, job: str) -> str:
        """Return what the tasks' data say beside the picture."""
        project = self._project(job)
        return "".join(str(_data(task).get(LINES, "")) for task in self._tasks.of(project.id, job, DATA)) if project else ""

    def progress(self, job: Job) -> Progress:
        """Return how many pictures have an answer; the job is over when all have."""
        project = self._project(job.name)
        if project is None:
            return Progress("unknown")
        people, seen = _people(project, job), _Seen(project.people)
        found = read_tasks(seen.through(self._tasks.of(project.id, job.name)), job, where=job.name, people=people)
        state = "completed" if len(found.answers) >= len(job.asked) else "open"
        return Progress(state, len(found.answers), detail=seen.detail(people, {one.sha256 for one in found.partial}, {item.sha256 for item in job.asked}))

    def answers(self, job: Job) -> Received:
        """Return what people drew, fused by agreement in pictures that as many drew in as were asked."""
        project = self._project(job.name)
        tasks = self._tasks.of(project.id, job.name) if project else ()
        return read_tasks(tasks, job, where=f"Label Studio, {job.name}", people=_people(project, job)) if project else Received()

    def cancel(self, job: Job) -> bool:  # noqa: ARG002 - a service's call
        """Label Studio has nothing to stop: the project stays, and what is drawn later is not collected."""
        return True

    def _config(self, reserved: Reserved) -> str:
        labels = "".join(f'<Label value="{escape(name)}"/>' for name in reserved.categories)
        return f'<View><Header value="{escape(self._title)}"/><Image name="image" value="$image"/><RectangleLabels name="boxes" toName="image">{labels}</RectangleLabels></View>'

    def _created(self, reserved: Reserved) -> "_Project":
        names = {"title": reserved.job[:50], "description": reserved.job}
        told = escape(instructions_of(self._params, reserved.categories).whole).replace("\n", "<br>")  # it is shown as HTML
        shown = {"label_config": self._config(reserved), "expert_instruction": told, "show_instruction": True}
        made = self._call("POST", "/api/projects", {**names, **shown, "maximum_annotations": self._people})
        return self._read(made, _Project, f"{reserved.job}: the new project")

    def _check_people(self, project: "_Project", job: str) -> None:
        """Raise ServiceError where a project asks more people of a picture than are paid, or fewer."""
        if project.people != self._people:
            what = f"project {project.id} of job {job} asks {counted(project.people, 'person', 'people')} a picture, and label.workers is {self._people}: no picture was sent now"
            do = f"Set its maximum_annotations to {self._people} (PATCH /api/projects/{project.id}/) and submit again, or give the job up with `boxset label cancel {job}`"
            raise ServiceError(what, where=f"Label Studio at {self._base}", do=do)

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

    def _read(self, answer: Any, as_type: type[T], what: str) -> T:
        try:
            return msgspec.convert(answer, as_type)
        except msgspec.ValidationError as err:
            do = "Nothing was bought or taken in: see what the server answers"
            raise ServiceError(f"{what} is not what it should be: {err}", where=f"Label Studio at {self._base}", do=do) from err

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = self._request(method, path, body, self._authorization())
            if answer.status == 401 and self._access:  # which holds for minutes
                self._access = ""
                answer = self._request(method, path, body, self._authorization())
            return self._content(answer)
        except (urllib3.exceptions.HTTPError, ValueError, RecursionError) as err:
            do = "Start it, or correct labeler.url"
            raise ServiceError(f"does not answer as it should ({type(err).__name__})", where=f"Label Studio at {self._base}", do=do) from err

    def _authorization(self) -> str:
        """Return what a request says: a legacy token as it is; of a personal access token, which is a JWT, what the server gives for it."""
        if self._token.count(".") != 2:
            return f"Token {self._token}"
        if not self._access:
            answer = self._request("POST", "/api/token/refresh/", {"refresh": self._token}, "")
            self._access = self._read(self._content(answer), _Access, "what it gives for the token").access
        return f"Bearer {self._access}"

    def _request(self, method: str, path: str, body: Any, authorization: str) -> urllib3.BaseHTTPResponse:
        url, headers = self._endpoints.connect(f"{self._base}{path}")
        sent = {"Content-Type": "application/json", **({"Authorization": authorization} if authorization else {}), **headers}
        return self._pools.request(method, url, headers=sent, body=None if body is None else msgspec.json.encode(body))

    def _content(self, answer: urllib3.BaseHTTPResponse) -> Any:
        where, again = f"Label Studio at {self._base}", "Nothing was lost: run it again"
        if answer.status == 401:
            do = "export LABEL_STUDIO_TOKEN=… with a personal access token (Account & Settings), or a legacy one where the organisation allows these"
            raise ServiceError("the token is wrong, or of a kind that the server does not take", where=where, do=do)
        if answer.status >= 400:
            refusal = ServiceError if answer.status in PASSES_BY else NotOfferedError
            raise refusal(f"HTTP {answer.status}: {answer.data[:200]!r}", where=where, do=again)
        if answer.status >= 300 or answer.data.lstrip()[:1] == b"<":
            do = "Correct labeler.url; where a proxy wants people to log in, let /api/ pass"
            raise ServiceError(f"HTTP {answer.status}: a page for people, as of a login, or the way to one, and no data", where=where, do=do)
        return json.loads(answer.data)  # which reads NaN, as Python's servers write it: the box is refused then, not every picture


def _batches(asked: Sequence[Asked], pictures: Mapping[str, Path]) -> Iterator[list[Asked]]:
    """Yield pictures as they are imported, in their order; one that is too large by itself goes alone."""
    batch, size = list[Asked](), 0
    for item in asked:
        own = pictures[item.sha256].stat().st_size
        if batch and (len(batch) == BATCH or size + own > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch, size = [*batch, item], size + own
    if batch:
        yield batch


def _task(item: Asked, reserved: Reserved, picture: Path) -> dict[str, Any]:
    """Return a task as it is imported. `meta` can be had without the picture; beside the picture, too, as other versions look for it there."""
    data = {"sha256": item.sha256, "image": _data_uri(picture), LINES: reservation_lines(reserved, [item])}
    return {"data": data, "meta": {"sha256": item.sha256}}


@dataclass
class _Filling:
    """What is in a job's project while pictures go into it."""

    where: str
    job: str
    here: dict[str, int] = field(default_factory=dict)  # of each picture its first task
    ours: set[int] = field(default_factory=set)  # tasks that are of this submit
    start: int = 0  # the last task that was there before
    last: int = 0

    @property
    def behind(self) -> int:
        """Behind which task to look for new ones: of two imports at once the one with the lower numbers may be there later."""
        return max(self.start, self.last - 2 * BATCH)

    def sees(self, tasks: Iterable[Any]) -> None:
        """Note tasks. Raises ServiceError where another clone imports the same pictures at this moment, and was first in one: of the two this one stops."""
        twice = 0
        for task in tasks:
            number, first = _number(task), self.here.setdefault(str(_data(task).get("sha256")), _number(task))
            twice += (first in self.ours) != (number in self.ours) and min(first, number) not in self.ours
            self.last = max(self.last, number)
        if twice:
            what = f"another clone sends job {self.job} at this moment: {counted(twice, 'picture')} went out twice, and no more goes out from here"
            raise ServiceError(what, where=self.where, do="Let it finish, and submit again; `boxset label status` says what to do about what is there twice")

    def imported(self, answer: Any) -> None:
        """Note which tasks the server made of an import, where it says so."""
        made = answer.get("task_ids") if isinstance(answer, dict) else None
        self.ours |= {number for number in made if isinstance(number, int)} if isinstance(made, list) else set()


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


def _people(project: _Project, job: Job) -> int:
    """Return how many people a picture of a job waits for: as many as its project asks, and no more than are paid, where the ledger says that."""
    return min(project.people, job.reserved.workers or project.people)


def _is_held(task: dict[str, Any], asks: int) -> bool:
    """Return whether a task is handed to nobody any more though fewer people drew in it than its project asks.

    Label Studio 1.23.2 counts annotations there: who drew twice took another's place.
    """
    made = [one for one in _annotations(task) if isinstance(one, dict)]
    return len(made) >= asks > len({_worker(one) for one in made})


@dataclass
class _Seen:
    """What a project's tasks say besides what was drawn. `asks`: how many people it asks."""

    asks: int
    times: Counter[str] = field(default_factory=Counter)
    held: set[str] = field(default_factory=set)

    def through(self, tasks: Iterable[Any]) -> Iterator[Any]:
        """Pass tasks on, and note what they say."""
        for task in tasks:
            sha256 = str(_data(task).get("sha256"))
            self.times[sha256] += 1
            if _data(task) and _is_held(task, self.asks):
                self.held.add(sha256)
            yield task

    def detail(self, people: int, waits: Set[str], asked: Set[str]) -> str:
        """Return what pictures wait for, and what is there twice."""
        twice = sum(self.times[sha256] > 1 for sha256 in asked)
        says = f"{counted(twice, 'picture')} there twice, so that people may be asked twice: delete the task in which nobody drew, in the project's list"
        return "; ".join(filter(None, [_waits_for(people, len(waits), len(waits & self.held)), says if twice else ""]))


def _waits_for(people: int, waits: int, held: int) -> str:
    if not waits:
        return ""
    says = f"fewer than {people} people have drawn in {counted(waits, 'picture')} so far"
    theirs = f"; in {held:,} of them somebody drew more than once, and Label Studio hands it to nobody else: let another person open it from the project's list"
    return f"{says}{theirs if held else ''}"


@dataclass
class _Drawn:
    """What people drew in one picture: of each the first that can be read, and what cannot be."""

    drawings: dict[str, Drawing] = field(default_factory=dict)
    bad: list[Refusal] = field(default_factory=list)

    @property
    def people(self) -> list[tuple[Drawn, ...]]:
        """What each person drew."""
        return [one.boxes for one in self.drawings.values()]

    def answer(self, job: str, sha256: str) -> Answered:
        """Return what most of them drew. Whose drawing cannot be read has looked as well."""
        boxes, left_out = fuse(self.people)
        return Answered(job=job, sha256=sha256, state="labelled", boxes=boxes, workers=len(self.drawings) + len(self.bad), doubtful=left_out)


def read_tasks(tasks: Iterable[Any], job: Job, *, where: str, people: int = 1) -> Received:
    """Read tasks: rectangles in percent of the picture, turned ones by the box round them.

    A picture is answered once `people` have drawn in it what can be read; until then what there is stands in `partial`, and a drawing that cannot
    be read refuses its picture. Where one person was asked and one drew, the answer is theirs as it is.
    """
    by_hash = {item.sha256: item for item in job.asked}
    found: dict[str, _Drawn] = {}
    for task in tasks:
        asked = by_hash.get(str(_data(task).get("sha256")))
        if asked is not None:
            _read_task(task, asked, job, found.setdefault(asked.sha256, _Drawn()), f"{where}, task {task.get('id', '?')}")
    answers, partial, refused, unread = list[Answered](), list[Answered](), list[Refusal](), list[Refusal]()
    for sha256, drawn in found.items():
        is_whole = len(drawn.drawings) >= people
        (unread if is_whole else refused).extend(drawn.bad)
        if people == len(drawn.drawings) == 1:
            (alone,) = drawn.drawings.values()
            answers.append(Answered(job=job.name, sha256=sha256, state="labelled", boxes=alone.boxes))
        elif not are_fusible(drawn.people):
            boxes, crew = counted(sum(map(len, drawn.people)), "box"), counted(len(drawn.people), "person", "people")
            what = f"more was drawn than can be united: {boxes} of {crew}"
            refused.append(Refusal(f"{where}, picture {sha256[:16]}…", what, sha256))
        elif drawn.drawings:
            (answers if is_whole else partial).append(drawn.answer(job.name, sha256))
    several = sorted((one for drawn in found.values() if len(drawn.drawings) > 1 for one in drawn.drawings.values()), key=lambda one: (one.sha256, one.worker))
    return Received(tuple(answers), tuple(refused), tuple(several), tuple(unread), tuple(partial))


def _read_task(task: dict[str, Any], asked: Asked, job: Job, drawn: _Drawn, at: str) -> None:
    """Add what people drew in a task."""
    made = _annotations(task)
    for one in made:
        try:
            drawing = Drawing(job=job.name, sha256=asked.sha256, worker=_worker(one), boxes=_boxes(one, asked, job))
        except UNFIT as err:
            which = f", annotation {_number(one) or '?'}" if len(made) > 1 else ""
            drawn.bad.append(Refusal(f"{at}{which}", reason(err), asked.sha256))
        else:
            drawn.drawings.setdefault(drawing.worker, drawing)


def _data(task: object) -> dict[str, Any]:
    found = task.get("data") if isinstance(task, dict) else None
    return found if isinstance(found, dict) else {}


def _annotations(task: dict[str, Any]) -> list[Any]:
    """Return a task's annotations that were not cancelled, in the order in which they were made."""
    made = task.get("annotations") or []
    some = [one for one in made if not (isinstance(one, dict) and one.get("was_cancelled"))] if isinstance(made, list) else [made]
    return sorted(some, key=_number)


def _number(annotation: Any) -> int:
    number = annotation.get("id") if isinstance(annotation, dict) else None
    return number if isinstance(number, int) else 0


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

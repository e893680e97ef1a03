"""The tasks of a Label Studio project, page by page and without their pictures.

Asked and expected is what Label Studio Community 1.23.2 does: `include` names the fields of tasks and, alike, of their annotations. A page begins
behind the last task that was seen, so that none is passed over while others come and go.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec

from boxset.errors import InputError, ServiceError
from boxset.files import read_json, sha256_of, write_json
from boxset.wording import counted

PAGE, WITH_PICTURES = 100, 10  # tasks asked for at once: without their pictures, and with them
LOOKS = 3  # at tasks that are fewer than the server counts, as where some are deleted meanwhile
GROWS = 1_000  # by so many more than once again itself no project grows while it is read
MOST_TASKS = 1_000_000  # what is more is no count of tasks
MEMORY = Path(".boxset/label_studio")


class NotOfferedError(ServiceError):
    """A server has not what it was asked for, or cannot do it."""


class _Otherwise(Exception):  # noqa: N818 - no error: the export is read then
    """A server answers otherwise than 1.23.2."""


class _Annotation(msgspec.Struct, frozen=True):
    id: int
    result: Any
    completed_by: Any
    was_cancelled: bool


class _Task(msgspec.Struct, frozen=True):
    id: Annotated[int, msgspec.Meta(gt=0)]
    project: int
    meta: Any = None
    data: Any = None
    created_at: str = ""
    annotations: Any = None

    @property
    def sha256(self) -> str:
        """Which picture it asks about, as far as what came says so: a version before wrote that beside the picture alone."""
        said = [part.get("sha256") for part in (self.meta, self.data) if isinstance(part, dict)]
        return next((one for one in said if isinstance(one, str)), "")

    @property
    def mark(self) -> str:
        """What no other task has, also where a server begins to count anew."""
        return f"{self.id} {self.created_at}"


class _Page(msgspec.Struct, frozen=True):
    tasks: list[_Task]
    total: Annotated[int, msgspec.Meta(ge=0)]  # of the query: of this page and those behind it


@dataclass(frozen=True)
class Fields:
    """What is asked of each task."""

    include: str
    more: str = ""


NAMES = Fields("id,project,meta,created_at")
DRAWN = Fields(f"{NAMES.include},annotations,result,completed_by,was_cancelled", more="&fields=all")
DATA = Fields("id,project,data")


@dataclass
class _Memory:
    """Which pictures tasks ask about that say so beside the picture alone."""

    path: Path
    known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            try:
                self.known = read_json(self.path, dict[str, str])
            except InputError:
                self.known = {}  # what is damaged is asked for again

    def add(self, fresh: dict[str, str]) -> None:
        """Remember more, on disk."""
        if fresh:
            self.known |= fresh
            write_json(self.path, self.known)


class Tasks:
    """Reads the tasks of a server's projects: each comes once, with its annotations, and with data that say its sha256 and nothing else.

    A server that answers otherwise than expected is asked for whole exports from then on, pictures and all.
    """

    def __init__(self, call: Callable[[str, str], Any], base: str, memory: Path = MEMORY) -> None:
        self._call, self._base, self._folder = call, base, memory
        self._memories: dict[int, _Memory] = {}
        self._has_pages = True

    def of(self, project: int, job: str, fields: Fields = DRAWN) -> Iterator[dict[str, Any]]:
        """Yield the tasks of a job's project; of `DATA` with their data as they are.

        Raises ServiceError where they stay fewer than the server counts, where one is another project's, and where they do not end.
        """
        seen = set[int]()
        if self._has_pages:
            try:
                yield from self._whole(project, job, fields, seen)
            except _Otherwise:
                self._has_pages = False
        if not self._has_pages:
            yield from self._exported(project, job, seen)

    def since(self, project: int, job: str, last: int) -> list[dict[str, Any]]:
        """Return the tasks with greater numbers than `last`, without annotations; none where the server gives no pages."""
        if not self._has_pages:
            return []
        try:
            return [task for page in self._pages(project, job, NAMES, last) for task in self._named(project, job, page.tasks)]
        except _Otherwise:
            self._has_pages = False
            return []

    def _whole(self, project: int, job: str, fields: Fields, seen: set[int]) -> Iterator[dict[str, Any]]:
        """Yield the tasks that are not in `seen`, and note them there, until as many were there at once as the server counts."""
        found = total = 0
        for _ in range(LOOKS):
            found = total = 0
            for page in self._pages(project, job, fields):
                tasks = [{"id": task.id, "data": task.data} for task in page.tasks] if fields is DATA else self._named(project, job, page.tasks)
                total, found = total or page.total, found + len(tasks)
                fresh = [task for task in tasks if task["id"] not in seen]
                seen |= {task["id"] for task in fresh}
                yield from fresh
            if found >= total:
                return
        raise self._error(f"{job}: it counts {counted(total, 'task')} and gives {found:,}")

    def _pages(self, project: int, job: str, fields: Fields, last: int = 0) -> Iterator[_Page]:
        """Yield pages of the tasks behind `last`, each beginning behind the one before, until one is empty: what a server counts is not relied on."""
        read = most = 0
        while True:
            behind = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": last}
            page = self._page(project, job, fields, {"filters": {"conjunction": "and", "items": [behind]}, "ordering": ["tasks:id"]})
            numbers = [last, *(task.id for task in page.tasks)]
            if numbers != sorted(set(numbers)):
                raise _Otherwise
            if not page.tasks:
                return
            read, most, last = read + len(page.tasks), most or 2 * page.total + GROWS, numbers[-1]
            if read > most:
                raise self._error(f"{job}: its tasks do not end: {read:,} so far")
            yield page

    def _page(self, project: int, job: str, fields: Fields, query: dict[str, Any]) -> _Page:
        size = WITH_PICTURES if fields is DATA else PAGE
        asks = f"project={project}&page_size={size}&include={fields.include}&resolve_uri=false{fields.more}"
        try:
            page = msgspec.convert(self._call("GET", f"/api/tasks?{asks}&query={quote(json.dumps(query))}"), _Page)
            if fields is DRAWN:
                msgspec.convert([task.annotations for task in page.tasks], list[list[_Annotation]])
        except (NotOfferedError, msgspec.ValidationError) as err:
            raise _Otherwise from err
        if page.total > MOST_TASKS:
            raise self._error(f"{job}: it counts {page.total:,} tasks")
        self._check_own(project, job, page.tasks)
        return page

    def _named(self, project: int, job: str, tasks: Sequence[_Task]) -> list[dict[str, Any]]:
        """Return tasks with what they ask about as their data. One that is gone before that was known is left out."""
        memory = self._memory(project)
        unknown = {task.id: task.mark for task in tasks if not task.sha256 and task.mark not in memory.known}
        memory.add({unknown[task.id]: task.sha256 for task in self._told(project, job, list(unknown))})
        names = [(task, task.sha256 or memory.known.get(task.mark)) for task in tasks]
        return [{"id": task.id, "data": {"sha256": name}, "annotations": task.annotations} for task, name in names if name is not None]

    def _memory(self, project: int) -> _Memory:
        """Return what is remembered of a project; the file is read once."""
        if project not in self._memories:
            self._memories[project] = _Memory(self._folder / f"{sha256_of(f'{self._base} {project}'.encode())[:16]}.json")
        return self._memories[project]

    def _told(self, project: int, job: str, numbers: Sequence[int]) -> Iterator[_Task]:
        """Yield some tasks with their data, a few pictures at a time."""
        for start in range(0, len(numbers), WITH_PICTURES):
            some = numbers[start : start + WITH_PICTURES]
            page = self._page(project, job, DATA, {"selectedItems": {"all": False, "included": some}, "ordering": ["tasks:id"]})
            if any(task.id not in some or task.data is None for task in page.tasks):
                raise _Otherwise
            yield from page.tasks

    def _exported(self, project: int, job: str, seen: set[int]) -> Iterator[Any]:
        """Yield what a project's export holds but the tasks of `seen`."""
        answer = self._call("GET", f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true")
        try:
            tasks = msgspec.convert(answer, list[Any])
        except msgspec.ValidationError as err:
            raise self._error(f"{job}: the export is not what it should be: {err}") from err
        marked = [task for task in tasks if isinstance(task, dict) and isinstance(task.get("id"), int) and isinstance(task.get("project"), int)]
        self._check_own(project, job, [_Task(task["id"], task["project"]) for task in marked])
        known = {id(task) for task in marked if task["id"] in seen}
        yield from (task for task in tasks if id(task) not in known)

    def _check_own(self, project: int, job: str, tasks: Sequence[_Task]) -> None:
        other = next((task for task in tasks if task.project != project), None)
        if other is not None:
            raise self._error(f"{job}: task {other.id} that it gives is one of project {other.project}, not of {project}")

    def _error(self, what: str) -> ServiceError:
        return ServiceError(what, where=f"Label Studio at {self._base}", do="Nothing was bought or taken in: run it again, and see what the server answers")

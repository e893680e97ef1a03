"""Label Studio's API in memory, as far as Boxset asks it: written from what a real one sends, and held against one (tests/test_real_label_studio.py)."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class Studio:
    """A server of one organisation.

    Tasks come by pages: those of a query in the order of their numbers, `total` says how many the query has, and behind the last one a page is empty.
    `include` names the fields of a task and of its annotations alike, and without `fields=all` there are no annotations.

    A project asks `maximum_annotations` people of each task, 1 where that is not set. Nobody is handed a task any more once so many annotations
    were made in it, be two of them one person's; who skipped it has made none. Who opens such a task may still draw in it, or draw once more. The
    export does not say how many people are asked. `people`: what the server makes of any `maximum_annotations`, None: as
    it is told. `between`: what comes right before a project is made; `fails`: the first word of a call, and its path, at which the client is killed.
    """

    def __init__(self) -> None:
        self.projects: list[dict[str, Any]] = []
        self.tasks: dict[int, list[dict[str, Any]]] = {}
        self.people: int | None = None
        self.fails = ""
        self.between: Callable[[], None] = lambda: None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Answer a request of `LabelStudio`."""
        address, asks = urlsplit(path).path.rstrip("/"), dict(parse_qsl(urlsplit(path).query))
        if self.fails and f"{method} {address}".endswith(self.fails):
            self.fails = ""
            raise ConnectionError(address)
        number = int("".join(re.findall(r"/projects/(\d+)", address)) or 0)
        answers = {
            "POST /api/projects": lambda: self._make(body),
            "GET /api/projects": lambda: {"count": len(self.projects), "next": None, "previous": None, "results": self.projects[::-1]},  # the latest first
            f"PATCH /api/projects/{number}": lambda: self.projects[number - 1].update(body) or self.projects[number - 1],
            f"POST /api/projects/{number}/import": lambda: self._take(number, body, asks),
            "GET /api/tasks": lambda: self._page(asks),
            f"GET /api/projects/{number}/export": lambda: self.tasks[number],
        }
        return answers[f"{method} {address}"]()

    def _make(self, body: dict[str, Any]) -> dict[str, Any]:
        then, self.between = self.between, lambda: None
        then()
        asks = body.get("maximum_annotations", 1) if self.people is None else self.people
        self.projects.append({**body, "id": len(self.projects) + 1, "maximum_annotations": asks})
        self.tasks[len(self.projects)] = []
        return self.projects[-1]

    def _take(self, number: int, body: list[dict[str, Any]], asks: dict[str, str]) -> dict[str, Any]:
        before = sum(map(len, self.tasks.values()))
        made = [self._task(before + n, number, one) for n, one in enumerate(body, 1)]
        self.tasks[number] += made
        ids = {"task_ids": [task["id"] for task in made]} if asks.get("return_task_ids") == "true" else {}
        counts = {"task_count": len(body), "annotation_count": 0, "prediction_count": 0, "duration": 0.01}
        return {**counts, "file_upload_ids": [], "could_be_tasks_list": False, "found_formats": [], "data_columns": [], **ids}

    def _task(self, task: int, project: int, one: dict[str, Any]) -> dict[str, Any]:
        return {"id": task, "annotations": [], "data": one["data"], "meta": one.get("meta", {}), "created_at": _at(task), "project": project}

    def _page(self, asks: dict[str, str]) -> dict[str, Any]:
        query, size, at = json.loads(asks.get("query", "{}")), int(asks.get("page_size", 100)), int(asks.get("page", 1))
        found = sorted(filter(_wanted(query), self.tasks[int(asks["project"])]), key=lambda task: int(task["id"]))
        made = sum(not one["was_cancelled"] for task in found for one in task["annotations"])
        shown = [_shown(task, asks) for task in found[(at - 1) * size : at * size]]
        return {"total_annotations": made, "total_predictions": 0, "total": len(found), "tasks": shown}

    def handed_to(self, person: int, number: int = 1) -> list[dict[str, Any]]:
        """Return the tasks of a project that a person is still handed."""
        return [task for task in self.tasks[number] if not self._is_full(task, number) and person not in _people(task["annotations"])]

    def _is_full(self, task: dict[str, Any], number: int) -> bool:
        made = [one for one in task["annotations"] if not one["was_cancelled"]]
        return len(made) >= self.projects[number - 1]["maximum_annotations"]

    def draw(self, task: dict[str, Any], person: int, *xs: float, label: str = "hammer", skips: bool = False) -> dict[str, Any]:
        """Let a person draw boxes of a quarter by a fifth of the picture, by their left sides in percent; none: nothing is there."""
        values = [{"x": x, "y": 10, "width": 25, "height": 20, "rotation": 0, "rectanglelabels": [label]} for x in xs]
        result = [{"type": "rectanglelabels", "from_name": "boxes", "to_name": "image", "original_width": 400, "original_height": 300, "value": value} for value in values]
        number = 1 + sum(len(one["annotations"]) for tasks in self.tasks.values() for one in tasks)
        made = {"id": number, "completed_by": person, "was_cancelled": skips, "result": result, "created_at": _at(number), "project": task["project"]}
        task["annotations"].insert(0, made)  # the export states no order
        return made


def _people(annotations: Any) -> set[int]:
    return {one["completed_by"] for one in annotations}


def _at(number: int) -> str:
    """Return when the so manieth thing was made."""
    return (datetime(2026, 11, 27, tzinfo=UTC) + timedelta(microseconds=number)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _wanted(query: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    """Return which tasks a query is about: those with greater numbers than a filter says, or those that it lists."""
    some = query.get("selectedItems", {"all": True})
    behind = [one["value"] for one in query.get("filters", {}).get("items", [])]
    return lambda task: all(task["id"] > number for number in behind) and (some["all"] or task["id"] in some["included"])


def _shown(task: dict[str, Any], asks: dict[str, str]) -> dict[str, Any]:
    fields = asks["include"].split(",")
    annotations = [{name: one[name] for name in one if name in fields} for one in task["annotations"]]
    has_them = asks.get("fields") == "all"
    return {name: annotations if name == "annotations" else task[name] for name in task if name in fields and (has_them or name != "annotations")}

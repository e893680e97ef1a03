"""Label Studio's API in memory, as far as Boxset asks it: as its documentation says, and as a real one answers (tests/test_real_label_studio.py)."""

import re
from collections.abc import Callable
from typing import Any


class Studio:
    """A server of one organisation.

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
        address = path.partition("?")[0].rstrip("/")
        if self.fails and f"{method} {address}".endswith(self.fails):
            self.fails = ""
            raise ConnectionError(address)
        number = int("".join(re.findall(r"/projects/(\d+)", address)) or 0)
        answers = {
            "POST /api/projects": lambda: self._make(body),
            "GET /api/projects": lambda: {"count": len(self.projects), "next": None, "previous": None, "results": self.projects[::-1]},  # the latest first
            f"PATCH /api/projects/{number}": lambda: self.projects[number - 1].update(body) or self.projects[number - 1],
            f"POST /api/projects/{number}/import": lambda: self._take(number, body),
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

    def _take(self, number: int, body: list[dict[str, Any]]) -> dict[str, Any]:
        before = sum(map(len, self.tasks.values()))
        self.tasks[number] += [{"id": before + n, "data": one["data"], "annotations": []} for n, one in enumerate(body, 1)]
        return {"task_count": len(body)}

    def handed_to(self, person: int, number: int = 1) -> list[dict[str, Any]]:
        """Return the tasks of a project that a person is still handed."""
        return [task for task in self.tasks[number] if not self._is_full(task, number) and person not in _people(task["annotations"])]

    def _is_full(self, task: dict[str, Any], number: int) -> bool:
        made = [one for one in task["annotations"] if not one["was_cancelled"]]
        return len(made) >= self.projects[number - 1]["maximum_annotations"]

    def draw(self, task: dict[str, Any], person: int, *xs: float, label: str = "hammer", skips: bool = False) -> dict[str, Any]:
        """Let a person draw boxes of a quarter by a fifth of the picture, by their left sides in percent; none: nothing is there."""
        values = [{"x": x, "y": 10, "width": 25, "height": 20, "rotation": 0, "rectanglelabels": [label]} for x in xs]
        result = [{"type": "rectanglelabels", "original_width": 400, "original_height": 300, "value": value} for value in values]
        number = 1 + sum(len(one["annotations"]) for tasks in self.tasks.values() for one in tasks)
        made = {"id": number, "completed_by": person, "was_cancelled": skips, "result": result}
        task["annotations"].insert(0, made)  # the export states no order
        return made


def _people(annotations: Any) -> set[int]:
    return {one["completed_by"] for one in annotations}

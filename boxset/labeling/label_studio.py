"""Label Studio over its REST API: one project a job, rectangles in percent of the picture.

Tried against no server in the tests of this version; see docs/labelling.md.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import msgspec
import urllib3

from boxset.endpoints import Endpoints
from boxset.errors import ParamsError, ServiceError
from boxset.labeling.labeler import Progress
from boxset.labeling.ledger import Answered, Asked, Drawn, Job, Reserved
from boxset.params import Params

BATCH = 50


class LabelStudio:
    """A Label Studio server of one's own; the token comes from LABEL_STUDIO_TOKEN."""

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

    def send(self, reserved: Reserved, asked: Sequence[Asked], pictures: Mapping[str, Path]) -> None:
        """Create the job's project and import the pictures that it lacks."""
        project = self._project(reserved.job) or self._call(
            "POST", "/api/projects", {"title": reserved.job[:50], "description": reserved.job, "label_config": self._config(reserved)}
        )
        here = {task["data"].get("sha256") for task in self._tasks(project["id"])}
        missing = [item for item in asked if item.sha256 not in here]
        for start in range(0, len(missing), BATCH):
            tasks = [{"data": {"sha256": item.sha256, "image": _data_uri(pictures[item.sha256])}} for item in missing[start : start + BATCH]]
            self._call("POST", f"/api/projects/{project['id']}/import", tasks)

    def jobs(self, prefix: str) -> list[str]:
        """Return the names of our projects."""
        return [name for name in (str(p.get("description") or "") for p in self._projects()) if name.startswith(prefix)]

    def progress(self, job: Job) -> Progress:
        """Return how many tasks have an annotation."""
        project = self._project(job.name)
        if project is None:
            return Progress("unknown")
        done = sum(bool(task.get("annotations")) for task in self._tasks(project["id"]))
        return Progress("completed" if done >= len(job.asked) else "open", done)

    def answers(self, job: Job) -> list[Answered]:
        """Return the annotated tasks; of several annotations the first that was not cancelled."""
        project = self._project(job.name)
        tasks = self._tasks(project["id"]) if project else []
        return [answer for task in tasks if (answer := read_task(task, job)) is not None]

    def cancel(self, job: Job) -> None:
        """Label Studio has nothing to stop: the project stays, and what is drawn later is not collected."""

    def _config(self, reserved: Reserved) -> str:
        labels = "".join(f'<Label value="{escape(name)}"/>' for name in reserved.categories)
        return f'<View><Header value="{escape(self._title)}"/><Image name="image" value="$image"/><RectangleLabels name="boxes" toName="image">{labels}</RectangleLabels></View>'

    def _projects(self) -> list[dict[str, Any]]:
        found = self._call("GET", "/api/projects?page_size=1000")
        return list(found["results"] if isinstance(found, dict) else found)

    def _project(self, job: str) -> dict[str, Any] | None:
        return next((project for project in self._projects() if project.get("description") == job), None)

    def _tasks(self, project: int) -> list[dict[str, Any]]:
        return list(self._call("GET", f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"))

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
            return msgspec.json.decode(answer.data)
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError) as err:
            raise ServiceError(f"does not answer as it should ({type(err).__name__})", where=where, do="Start it, or correct labeler.url") from err


def _data_uri(path: Path) -> str:
    kind = "png" if path.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def read_task(task: dict[str, Any], job: Job) -> Answered | None:
    """Read one exported task: rectangles in percent of the picture, turned ones by the box round them."""
    asked = next((item for item in job.asked if item.sha256 == task.get("data", {}).get("sha256")), None)
    drawn = next((a for a in task.get("annotations") or [] if not a.get("was_cancelled")), None)
    if asked is None or drawn is None:
        return None
    boxes = []
    for result in drawn.get("result", []):
        value = result.get("value", {})
        for label in value.get("rectanglelabels", []):
            if label in job.reserved.categories:
                bbox = (
                    value["x"] * asked.width / 100,
                    value["y"] * asked.height / 100,
                    value["width"] * asked.width / 100,
                    value["height"] * asked.height / 100,
                )
                boxes.append(Drawn(category_id=job.reserved.categories[label], bbox=bbox))
    return Answered(job=job.name, sha256=asked.sha256, state="labelled", boxes=tuple(boxes))

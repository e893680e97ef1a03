"""A real Label Studio on loopback with a folder of its own, and the people who draw in it, for tests."""

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zipfile import ZipFile

from tests.searx import ENDS_WITH_US, free_port, stop, wait_for

STARTS_WITHIN_S = 900.0  # it makes its database first, in a minute or two
NAME = os.environ.get("LABEL_STUDIO") or "label-studio"
COMMAND = shutil.which(NAME)
MISSING = "" if COMMAND else f"{NAME} is no command here (LABEL_STUDIO may name one, docs/labelling.md): nothing was tried against a real Label Studio"
SILENT = {
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
    "http_proxy": "http://127.0.0.1:9",  # whatever else would leave this machine fails
    "https_proxy": "http://127.0.0.1:9",
    "no_proxy": "127.0.0.1,localhost",
}
Box = tuple[float, float, float, float, float, str]  # left, top, width, height in percent; turned by degrees; label


@dataclass(frozen=True)
class Person:
    """A user of the server, who has signed up there, or started it."""

    url: str
    token: str

    def call(self, method: str, path: str, body: Any = None, *, kind: str = "Token") -> Any:
        """Ask the server's API as this person; of an answer that is no success return the status."""
        headers = {"Authorization": f"{kind} {self.token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(), headers=headers)
        try:
            with _opener().open(asked, timeout=120) as answer:
                content = answer.read()
        except urllib.error.HTTPError as err:
            with err:
                return err.code
        return content if content[:2] == b"PK" else json.loads(content or b"null")

    def corners(self, project: int, label: str) -> list[tuple[float, ...]]:
        """Return the corners of the boxes of a label, x and y by turns as shares of the picture, as the server's own export of turned boxes has them."""
        with ZipFile(BytesIO(self.call("GET", f"/api/projects/{project}/export?exportType=YOLO_OBB"))) as export:
            number = export.read("classes.txt").decode().splitlines().index(label)
            lines = [line.split() for name in export.namelist() if name.endswith(".txt") and name != "classes.txt" for line in export.read(name).decode().splitlines()]
        return [tuple(map(float, words[1:])) for words in lines if words[0] == str(number)]

    def handed(self, project: int) -> int:
        """Return which task the server hands this person next; 404: none."""
        found = self.call("GET", f"/api/projects/{project}/next")
        return found if isinstance(found, int) else found["id"]

    def draw(self, task: int, *boxes: Box, skips: bool = False) -> None:
        """Submit an annotation, or skip the task."""
        result = [
            {
                "type": "rectanglelabels",
                "from_name": "boxes",
                "to_name": "image",
                "original_width": 400,
                "original_height": 300,
                "value": {"x": x, "y": y, "width": w, "height": h, "rotation": turned, "rectanglelabels": [label]},
            }
            for x, y, w, h, turned, label in boxes
        ]
        made = self.call("POST", f"/api/tasks/{task}/annotations/", {"result": result, "was_cancelled": skips})
        assert isinstance(made, dict), f"HTTP {made}"


@contextmanager
def running(folder: Path) -> Iterator[Person]:
    """Run a Label Studio; give its first user, who may do everything. It ends with the block, however that ends."""
    port, token = free_port(), os.urandom(20).hex()
    others = ("PYTHON", "LABEL_STUDIO", "HEARTEX", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others) and "proxy" not in name.lower()}
    environment = {**kept, **SILENT, "LABEL_STUDIO_BASE_DATA_DIR": str(folder), "HOME": str(folder)}
    first = ["--username", "ann@shop.example", "--password", "ann-draws-too", "--user-token", token, "--enable-legacy-api-token"]
    start = [str(COMMAND), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port), *first]
    with (folder / "label-studio.log").open("wb") as log:
        process = subprocess.Popen([*ENDS_WITH_US, *start], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(port, process, folder / "label-studio.log", within_s=STARTS_WITHIN_S)
        yield Person(f"http://127.0.0.1:{port}", token)
    finally:
        stop(process)


def joined(url: str, name: str) -> Person:
    """Sign up as somebody new does, on the server's page, and return them with their own token."""
    browser = _opener(CookieJar())
    with browser.open(f"{url}/user/signup/", timeout=120) as page:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())
    assert found is not None, "the page for signing up has no form"
    form = {"csrfmiddlewaretoken": found[1], "email": f"{name}@shop.example", "password": f"{name}-draws-too"}
    browser.open(f"{url}/user/signup/", urlencode(form).encode(), timeout=120).close()
    with browser.open(f"{url}/api/current-user/token", timeout=120) as answer:
        return Person(url, json.loads(answer.read())["token"])


def _opener(jar: CookieJar | None = None) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar))

"""A look through pictures that a crawl for hammers found, for tests: as values, as a project, and as the command that serves it."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from boxset.dataset.decisions import read_decisions
from boxset.dataset.records import KEPT, ImageRow, Picture
from boxset.files import write_json, write_jsonl
from boxset.review.session import Session
from tests.build import picture, sha

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


def found(name: object, **more: Any) -> Picture:
    """A picture that a crawl for hammers found."""
    return picture(name, **{"source": "crawl", "category": "hammer", "query": "claw hammer", "engine": "flickr", **more})


def session(pictures: int = 3, by: str = "Anna", **more: Any) -> Session:
    """A look through pictures, in which a second passes with each decision."""
    seconds = count()
    return Session("hammer", 1, [found(n, **more) for n in range(pictures)], by, Path("decisions"), lambda: AT + timedelta(seconds=next(seconds)))


def on_disk() -> dict[str, str]:
    """What the file says of each picture."""
    return {name: one[0].words for name, one in read_decisions(Path("decisions")).by_picture.items() if one[0].verdict != "undone"}


def store(*names: object) -> None:
    """Write the files of pictures."""
    for name in names:
        file = Path(f"data/crawl/hammer/images/{sha(name)}.jpg")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (640, 480), "red").save(file)


def project(count_: int = 3) -> None:
    """A project whose crawl for hammers has found pictures, in the order of their rank; files of all of them."""
    write_json(Path("params.yaml"), {"world": "embedded", "project": {"name": "tools"}, "categories": {"hammer": {"id": 1, "target": 9}}, "sources": {}})
    kept = [found(n, rank=n, source_id=f"u{n}") for n in range(count_)]
    store(*range(count_))
    write_jsonl(Path("data/crawl/hammer/images.jsonl"), [ImageRow(source_id=p.source_id, url=p.url, outcome=KEPT, picture=p) for p in kept])


def started() -> tuple[subprocess.Popen[str], str]:
    """Start the real command in a project here; return it, and the address that it prints."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "boxset", "review", "hammer", "--by", "Anna"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a script ignores it, and hands that on
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True)
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("open  http://127.0.0.1:"):
            return server, line.split()[1]
    raise AssertionError("it ended before it served")

"""A scripted outside for tests of the crawl: one server on loopback that answers for every host, and records what it was asked."""

import io
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

from boxset.endpoints import Endpoints

Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Outside:
    """What answers, and what was asked. `answer` may be replaced at any time."""

    answer: Callable[[Asked], Reply]
    gateway: str = ""
    asked: list[Asked] = field(default_factory=list)

    @property
    def endpoints(self) -> Endpoints:
        """Endpoints that lead here."""
        return Endpoints(gateway=self.gateway)

    def count(self, host: str) -> int:
        """Return how often a host was asked, robots.txt aside."""
        return sum(one.host == host and one.path != "/robots.txt" for one in self.asked)


@contextmanager
def outside(answer: Callable[[Asked], Reply]) -> Iterator[Outside]:
    """Serve for every host."""
    world, lock = Outside(answer), Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(self.headers["Host"], parts.path, query, {name.lower(): value for name, value in self.headers.items()})
            with lock:
                world.asked.append(asked)
            status, headers, body = world.answer(asked)
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, *_: Any) -> None:
            """A client that hangs up is no error here."""

    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    world.gateway = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    """Return a JSON reply; underscores in header names stand for hyphens."""
    return status, {name.replace("_", "-"): text for name, text in headers.items()}, json.dumps(value).encode()


def photo(seed: int, side: int = 240) -> bytes:
    """Return a JPEG unlike that of any other seed."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((side, side + 20), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


@dataclass
class Clock:
    """Time that passes only while somebody waits."""

    at: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Return the time."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.slept.append(seconds)
        self.at += seconds


@dataclass
class Search:
    """A SearXNG instance and the sites that its results lead to: pictures by query, in pages of `size`."""

    pictures: dict[str, list[str]]  # query → addresses
    size: int = 10
    photos: dict[str, bytes] = field(default_factory=dict)
    delay_s: float = 0.0  # at the most, by chance
    gone: set[str] = field(default_factory=set)
    down: set[tuple[str, int]] = field(default_factory=set)  # query and page that are answered with 500
    silent: tuple[tuple[str, str], ...] = ()
    chance: random.Random = field(default_factory=lambda: random.Random(4))
    lock: Any = field(default_factory=Lock)

    def __post_init__(self) -> None:
        for number, url in enumerate(url for urls in self.pictures.values() for url in urls):
            self.photos.setdefault(url, photo(number))

    def __call__(self, asked: Asked) -> Reply:
        if asked.host == "sx.example":
            return self._search(asked)
        url = f"https://{asked.host}{asked.path}"
        if self.delay_s:
            with self.lock:
                wait_s = self.chance.uniform(0, self.delay_s)
            time.sleep(wait_s)
        return (200, {"Content-Type": "image/jpeg"}, self.photos[url]) if url in self.photos and url not in self.gone else (404, {}, b"")

    def _search(self, asked: Asked) -> Reply:
        if asked.path == "/config":
            return as_json({"engines": [{"name": "bing images", "categories": ["images"]}, *({"name": n, "categories": ["images"]} for n, _ in self.silent)]})
        q, page = asked.query["q"], int(asked.query["pageno"])
        if (q, page) in self.down:
            return 500, {}, b""
        urls = self.pictures.get(q, [])[(page - 1) * self.size : page * self.size]
        results = [{"template": "images.html", "img_src": url, "url": url, "title": "", "engine": "bing images"} for url in urls]
        return as_json({"results": results, "unresponsive_engines": [list(pair) for pair in self.silent]})

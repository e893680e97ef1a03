"""A real searx, or a real SearXNG, on loopback, its engines pointed at the drawn world, for tests."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import yaml

from boxset.endpoints import Endpoints
from tests.project import REPOSITORY

STARTS_WITHIN_S = 60.0
SEARXNG = os.environ.get("SEARXNG", "")  # a Python that can import SearXNG's `searx`
NO_SEARXNG = "" if SEARXNG else "SEARXNG names no Python that has SearXNG (docs/searxng.md): nothing was tried against a real one"
MISSING = "" if shutil.which("searx-run") else "searx is not installed (apt-get install searx, as .ci/run does on Debian): nothing was tried against a real one"
ENDS_WITH_US = ["setpriv", "--pdeathsig", "KILL"]  # so that no searx is left where a test run is killed
Reply = tuple[int, str, bytes]
FAILURES: dict[str, Reply] = {
    "429": (429, "text/plain", b"slow down"),
    "403": (403, "text/plain", b"go away"),
    "garbage": (200, "application/json", b"\x00{[<html>"),
    "empty": (200, "application/json", b'{"results": []}'),
}


@dataclass(frozen=True)
class Beside(Endpoints):
    """The drawn world, and one address beside it that is really asked."""

    beside: str = ""

    def connect(self, address: str) -> tuple[str, dict[str, str]]:
        """Return where an address leads."""
        return (address, {}) if address.startswith(self.beside) else super().connect(address)


@contextmanager
def front(gateway: str) -> Iterator[str]:
    """Serve /HOST/PATH with what the world answers for HOST, and /fail/HOW/… with a failure; give the address."""

    def reply(path: str) -> Reply:
        host, _, rest = path.lstrip("/").partition("/")
        return FAILURES[rest.partition("/")[0]] if host == "fail" else fetched(f"{gateway}/{rest}", {"Host": host})

    with serving(reply) as address:
        yield address


@contextmanager
def serving(reply: Callable[[str], Reply]) -> Iterator[str]:
    """Answer every GET with what `reply` says for its path and query; give the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = reply(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def fetched(url: str, headers: dict[str, str] | None = None) -> Reply:
    """Ask an address on loopback, whatever proxies are set."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=30) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as err:
        with err:
            return err.code, err.headers.get_content_type(), err.read()


def engines(world: str) -> list[dict[str, Any]]:
    """Return three real engines that ask the world, and one for each way to fail. The weights alone decide between equal places."""
    flickr = f"{world}/api.flickr.com/services/rest/?method=flickr.photos.search&api_key={{api_key}}&{{text}}&per_page=15&page={{page}}"
    real = [
        {"name": "bing images", "engine": "bing_images", "base_url": f"{world}/www.bing.com/", "weight": 1.0002},
        {"name": "flickr", "engine": "flickr", "api_key": "none", "url": flickr, "weight": 1.0001},
        {"name": "openverse", "engine": "openverse", "base_url": f"{world}/api.openverse.org/v1/images/", "weight": 1.0},
    ]
    broken = [{"name": f"fails by {how}", "engine": "openverse", "base_url": f"{world}/fail/{how}/"} for how in FAILURES]
    off = {**real[2], "name": "switched off", "disabled": True}
    down = {"name": "fails by refusal", "engine": "openverse", "base_url": f"http://127.0.0.1:{free_port()}/"}
    common = {"categories": "images", "enable_http": True}
    return [{**engine, **common, "shortcut": f"e{place}"} for place, engine in enumerate([*real, *broken, down, off])]


def searxng_settings(port: int, world: str, **changes: Any) -> dict[str, Any]:
    """Return SearXNG's settings: those that `boxset init` writes, with engines that ask `world`, and changes to its sections."""
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "boxset/project/searxng.yml").read_text())
    bing = {"base_url": f"{world}/www.bing.com/images"}  # one that both versions tried make an address of
    found["engines"] = [{**engine, **(bing if engine["name"] == "bing images" else {})} for engine in engines(world)]
    found["use_default_settings"] = {"engines": {"keep_only": [engine["name"] for engine in found["engines"]]}}
    found["server"].update(port=port, bind_address="127.0.0.1", secret_key=os.urandom(16).hex())
    for section, values in changes.items():
        found.setdefault(section, {}).update(values)
    return found


def settings(port: int, engines_: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all the settings that searx 1.1.0 needs."""
    share = Path("/usr/share/python3-searx")
    return {
        "general": {"debug": False, "instance_name": "searx"},
        "brand": {},
        "search": {"safe_search": 0, "autocomplete": "", "default_lang": "", "ban_time_on_fail": 5, "max_ban_time_on_fail": 120},
        "server": {"port": port, "bind_address": "127.0.0.1", "secret_key": os.urandom(16).hex(), "base_url": False, "image_proxy": False},
        "ui": {"static_path": str(share / "static"), "templates_path": str(share / "templates"), "default_theme": "oscar", "default_locale": "en"},
        "outgoing": {"request_timeout": 30.0},
        "enabled_plugins": [],
        "engines": engines_,
        "locales": {"en": "English"},
        "doi_resolvers": {"doi.org": "https://doi.org/"},
        "default_doi_resolver": "doi.org",
    }


def free_port() -> int:
    """Return a port of loopback on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def searx(folder: Path, world: str) -> Iterator[str]:
    """Run a searx whose engines ask `world`; give its address. It ends with the block, however that ends."""
    with running(folder, lambda port: settings(port, engines(world))) as url:
        yield url


@contextmanager
def searxng(folder: Path, world: str, **changes: Any) -> Iterator[str]:
    """Run a SearXNG whose engines ask `world`, with changes to its settings; give its address."""
    with running(folder, lambda port: searxng_settings(port, world, **changes), command=(SEARXNG, "-m", "searx.webapp")) as url:
        yield url


@contextmanager
def running(folder: Path, of_port: Callable[[int], dict[str, Any]], command: Sequence[str] = ("searx-run",)) -> Iterator[str]:
    """Run a searx with the settings that `of_port` gives for a port."""
    port = free_port()
    written = folder / "searx.yml"
    written.write_text(yaml.safe_dump(of_port(port)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SEARX", "VIRTUAL_ENV")) and "proxy" not in name.lower()}
    environment = {**kept, "SEARX_SETTINGS_PATH": str(written), "SEARXNG_SETTINGS_PATH": str(written)}
    with (folder / "searx.log").open("wb") as log:
        process = subprocess.Popen([*ENDS_WITH_US, *command], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(port, process, folder / "searx.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, *, within_s: float = STARTS_WITHIN_S) -> None:
    """Return once something listens on the port. Raises where the process ends first, or where it takes too long."""
    deadline = time.monotonic() + within_s
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"{log.stem} did not start (exit {process.poll()}):\n{log.read_text()[-3000:]}")


def stop(process: subprocess.Popen[bytes], *, patience_s: float = 10.0) -> None:
    """End a process, by force where it does not end by itself."""
    process.terminate()
    try:
        process.wait(timeout=patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def search_url(base: str, q: str, engine: str, page: int) -> str:
    """Return the address of one page of one engine in JSON."""
    return f"{base}/search?q={quote(q)}&engines={quote(engine)}&pageno={page}&format=json&language=en"

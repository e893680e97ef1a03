"""`mirrors` for pictures: a folder or another address stands in for a site, and nothing outside it is read or asked."""

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from boxset.dataset.reasons import Reason
from boxset.endpoints import Endpoints
from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy


class Mirror(BaseHTTPRequestHandler):
    """Answers everything with its path, and forbids everything in its robots.txt; `/away` leads to the real site."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def do_GET(self) -> None:
        Mirror.asked.append(self.path)
        body = b"User-agent: *\nDisallow: /" if self.path.endswith("robots.txt") else self.path.encode()
        self.send_response(302 if self.path.endswith("away") else 200)
        self.send_header("Location", "http://pics.example/elsewhere.jpg")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def served() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    Thread(target=server.serve_forever, daemon=True).start()
    Mirror.asked = []
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def got(mirrors: dict[str, str], url: str, **policy: int) -> bytes | Reason:
    """What comes for an address; names that are looked up lead to a machine of ours, which nobody may ask."""
    settings = FetchPolicy(tries=1, pace_s=0.0, **policy)  # type: ignore[arg-type]
    with Fetcher(Endpoints(mirrors=mirrors), contact="a@b.example", policy=settings, resolving=lambda *_: ["127.0.0.1"]) as fetcher:
        answer = fetcher.get(url)
    return answer.body if isinstance(answer, Fetched) else answer.reason


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A folder with pictures, and a secret beside it."""
    (tmp_path / "own/p").mkdir(parents=True)
    for name in ("a.jpg", "my hammer.jpg", "raw%20name.jpg", "b.jpg?size=1", "c.jpg", "молоток.jpg", "..dots.jpg"):
        (tmp_path / "own/p" / name).write_bytes(name.encode())
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    os.mkfifo(tmp_path / "own/p/pipe.jpg")
    return f"{tmp_path}/own/"


@pytest.mark.parametrize(("path", "name"), [
    ("p/a.jpg", "a.jpg"), ("p/a.jpg#top", "a.jpg"), ("p/my%20hammer.jpg", "my hammer.jpg"), ("p/my hammer.jpg", "my hammer.jpg"),
    ("p/raw%20name.jpg", "raw%20name.jpg"), ("p/b.jpg?size=1", "b.jpg?size=1"), ("p/c.jpg?size=1", "c.jpg"), ("p/молоток.jpg", "молоток.jpg"),
    ("p/..dots.jpg", "..dots.jpg"),
])  # fmt: skip
def test_a_folder_stands_in_for_a_site(folder: str, path: str, name: str) -> None:
    assert got({"http://pics.example/": folder}, f"http://pics.example/{path}") == name.encode()


@pytest.mark.parametrize("path", ["../secret.jpg", "p/../../secret.jpg", "%2e%2e/secret.jpg", "p/%2E%2E/..%2fsecret.jpg", "..%5csecret.jpg", "p/a%00.jpg"])
def test_nothing_outside_the_folder_is_read(folder: str, path: str) -> None:
    assert got({"http://pics.example/": folder}, f"http://pics.example/{path}") is Reason.BAD_ADDRESS


@pytest.mark.parametrize("path", ["../admin", "a/../../admin", "%2e%2e/admin", "..%2Fadmin", "%2E./admin", "..\\admin"])
def test_nothing_outside_a_mirrors_address_is_asked_for(served: str, path: str) -> None:
    assert got({"http://pics.example": f"{served}/copy"}, f"http://pics.example/{path}") is Reason.BAD_ADDRESS
    assert Mirror.asked == []


def test_absolute_paths_folders_pipes_and_missing_files_are_not_there(folder: str) -> None:
    secret = folder.removesuffix("own/") + "secret.jpg"
    for path in (secret, f"/{secret}", "p", "", "p/pipe.jpg", "p/none.jpg", "p/a.jpg/b.jpg", f"p/{'n' * 300}.jpg"):
        assert got({"http://pics.example/": folder}, f"http://pics.example/{path}") is Reason.GONE


def test_a_file_larger_than_the_limit_is_too_large(folder: str) -> None:
    assert got({"http://pics.example/": folder}, "http://pics.example/p/a.jpg", max_bytes=4) is Reason.TOO_LARGE
    assert got({"http://pics.example/": folder}, "http://pics.example/p/a.jpg", max_bytes=5) == b"a.jpg"


def test_a_mirror_without_a_slash_stands_in_for_no_host_that_only_begins_like_it(folder: str, served: str) -> None:
    for mirror in (folder.rstrip("/"), served):
        assert got({"http://pics.example": mirror}, "http://pics.example/p/a.jpg") in (b"a.jpg", b"/p/a.jpg")
        assert got({"http://pics.example": mirror}, "http://pics.example.evil/p/a.jpg") is Reason.PRIVATE_ADDRESS


@pytest.mark.parametrize("prefix", ["http://pics.example/", "http://pics.example/p/"])
def test_a_mirrored_address_asks_for_no_robots_txt(served: str, prefix: str) -> None:
    assert got({prefix: f"{served}/m/"}, "http://pics.example/p/a.jpg") in (b"/m/a.jpg", b"/m/p/a.jpg")
    assert len(Mirror.asked) == 1


def test_what_is_not_mirrored_is_guarded_as_ever(served: str) -> None:
    mirrors = {"http://pics.example/p/": f"{served}/p/"}

    assert got(mirrors, "http://pics.example/q/a.jpg") is Reason.PRIVATE_ADDRESS
    assert got(mirrors, "http://pics.example/p/away") is Reason.PRIVATE_ADDRESS
    assert Mirror.asked == ["/p/away"]


def test_the_longest_prefix_wins(folder: str, served: str) -> None:
    mirrors = {"http://pics.example/": f"{served}/", "http://pics.example/q/": folder}

    assert got(mirrors, "http://pics.example/q/p/a.jpg") == b"a.jpg"
    assert got(mirrors, "http://pics.example/p/a.jpg") == b"/p/a.jpg"

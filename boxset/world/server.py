"""One server on loopback that answers for every host of the drawn world, by the Host header; it lives as long as its process."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote

from boxset.files import disk_error, make_folder
from boxset.world.drawn import drawn, world
from boxset.world.http import Answer, Request

SERVICES = ("localhost:8888", "api.openverse.org", "commons.wikimedia.org", "www.bing.com", "api.flickr.com")


@contextmanager
def serving(state: Path) -> Iterator[str]:
    """Serve the world; give its address. Jobs, buckets and a log of all requests are kept in `state`."""
    drawn()
    make_folder(state)
    outside = Outside(state)

    class Handler(_Handler):
        answer_of = staticmethod(outside.answer)

    server = _Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="world", daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        outside.close()


class Outside:
    """Everything outside this machine."""

    def __init__(self, state: Path) -> None:
        self._state, self._lock, self._met = state, Lock(), set[str]()
        try:
            self._log = (state / "requests.jsonl").open("a")
        except OSError as err:
            raise disk_error(err, state) from err
        self._aws: Any = None

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def answer(self, request: Request, host: str) -> Answer:
        """Answer a request for a host (with its port)."""
        answer = self._answer(request, host)
        with self._lock:
            url = f"{host}{request.path}" + (f"?{request.query}" if request.query else "")
            self._log.write(json.dumps({"method": request.method, "url": url, "status": answer.status, "whole": answer.cut_at is None}) + "\n")
            self._log.flush()
        return answer

    def _answer(self, request: Request, host: str) -> Answer:
        if host.startswith("127.0.0.1:"):
            return self._amazon(request)
        if host in SERVICES:
            from boxset.world import engines, search

            services = (search.searxng, search.openverse, search.commons, engines.bing, engines.flickr)
            return dict(zip(SERVICES, services, strict=True))[host](request)
        return self._page(request, host)

    def _page(self, request: Request, host: str) -> Answer:
        address = f"{host.partition(':')[0]}{unquote(request.path)}"
        page = world().pages.get(address)
        if page is None:
            known = any(name.startswith(f"{host}/") for name in world().pages)
            return Answer(status=404 if known else 0)
        with self._lock:
            is_first = page.first and address not in self._met
            self._met.add(address)
        if is_first:
            return Answer(status=page.first, headers={"Retry-After": "0"})
        body = (drawn() / "files" / page.file).read_bytes() if page.file else b""
        headers = {"Content-Type": page.type, **page.headers, **({"Location": page.location} if page.location else {})}
        return Answer(status=page.status, body=body, headers=headers, cut_at=len(body) // 2 if page.cut else None, slow_s=page.slow_s)

    def _amazon(self, request: Request) -> Answer:
        with self._lock:
            if self._aws is None:
                from boxset.world.ground_truth import GroundTruth
                from boxset.world.s3 import S3

                s3 = S3(self._state / "s3")
                self._aws = (s3, GroundTruth(self._state / "jobs", s3))
        s3, ground_truth = self._aws
        answer: Answer = ground_truth.answer(request) if "x-amz-target" in request.headers else s3.answer(request)
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer_of: Any
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing: the world keeps a log of its own."""

    def _handle(self) -> None:
        path, _, query = self.path.partition("?")
        host = (self.headers.get("Host") or "").lower()
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self._body(headers)
        answer = self.answer_of(Request(self.command, host.partition(":")[0], path, query, headers, body), host)
        if answer.slow_s:
            time.sleep(answer.slow_s)
        if answer.status == 0:  # a host that is not there
            self.close_connection = True
            return
        self._send(answer, headers.get("range", ""))

    def _body(self, headers: dict[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", ""):
            return self.rfile.read(int(headers.get("content-length", "0") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _send(self, answer: Answer, wanted: str) -> None:
        body, status, headers = answer.body, answer.status, dict(answer.headers)
        if status == 200 and wanted.startswith("bytes=") and "Content-Range" not in headers and self.command == "GET":
            first, _, last = wanted[6:].partition("-")
            if first.isdigit():
                start, end = int(first), min(int(last), len(body) - 1) if last.isdigit() else len(body) - 1
                if start >= len(body):
                    status, body = 416, b""
                else:
                    headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
                    status, body = 206, body[start : end + 1]
        self.send_response(status)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if answer.cut_at is None else body[: answer.cut_at])
        if answer.cut_at is not None:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the standard library's names

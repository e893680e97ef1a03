"""The page of `boxset review`: a server on loopback that answers nobody but the page which it gave out.

An address is only known to who started it: it holds a secret. Host and Origin are checked, so that neither a name that was bent to this
machine nor another site in the same browser gets in; nothing is loaded from anywhere else.
"""

import io
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Thread

import msgspec
from PIL import Image

from boxset.dataset.decisions import Verdict
from boxset.errors import BoxsetError, InputError, ProjectError
from boxset.review.session import MOST_CHOICES, Choice, Reply, Screen, Session, picture_file

HOST = "127.0.0.1"
SIDE = 320  # of a thumbnail
KEPT_THUMBNAILS = 2000
AT_ONCE = 4  # pictures that are decoded
MAX_BODY = 1 << 18
IDLE_S = 60.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ASSETS = {"": ("page.html", "text/html; charset=utf-8"), "page.css": ("page.css", "text/css"), "page.js": ("page.js", "text/javascript")}
TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
KEEP = "private, max-age=86400, immutable"


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes = b""
    type: str = "application/json"
    cache: str = "no-store"
    is_last: bool = False  # somebody said that the look is over; once this is sent


NOT_HERE, REFUSED = Answer(404, b'{"error": "there is nothing here"}'), Answer(403, b'{"error": "refused"}')


@dataclass
class Desk:
    """What the server answers from: the look, where pictures lie, the secret, and whether somebody said that it is done."""

    session: Session
    root: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    done: Event = field(default_factory=Event)
    _thumbnails: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)
    _decoding: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(AT_ONCE))

    def get(self, path: str) -> Answer:
        """Answer a GET of a path behind the secret."""
        if path in ASSETS:
            name, type_ = ASSETS[path]
            return Answer(200, files("boxset.review").joinpath(name).read_bytes(), type_)
        kind, _, name = path.partition("/")
        if kind == "screen" and name.isascii() and name.isdigit() and len(name) < 9:
            return _told(lambda: self.session.screen(int(name)))
        picture = self.session.by_name.get(name)
        if picture is None or kind not in ("thumb", "picture"):
            return NOT_HERE
        file = picture_file(picture, self.root)
        try:
            return Answer(200, self._thumbnail(name, file), "image/jpeg", KEEP) if kind == "thumb" else _whole(file)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return NOT_HERE

    def post(self, path: str, body: bytes) -> Answer:
        """Answer a POST of a path behind the secret."""
        if path == "done":
            return Answer(200, b"{}", is_last=True)
        if path != "decide":
            return NOT_HERE
        try:
            choices = msgspec.json.decode(body, type=list[Choice])
        except (msgspec.MsgspecError, ValueError) as err:
            return _error(400, f"not a list of choices: {err}")
        if len(choices) > MOST_CHOICES or len({choice.sha256 for choice in choices}) < len(choices):
            return _error(400, "too many choices, or two on one picture")
        gone = [choice.sha256[:12] for choice in choices if choice.verdict is Verdict.YES and not self._is_here(choice.sha256)]
        if gone:
            return _error(400, f"nothing was written: nobody can have seen what is not on this disk any more, {', '.join(gone[:3])}: `dvc pull`")
        return _told(lambda: self.session.decide(choices))

    def _is_here(self, name: str) -> bool:
        picture = self.session.by_name.get(name)
        return picture is None or picture_file(picture, self.root).is_file()  # what is no picture of this look is said elsewhere

    def _thumbnail(self, name: str, file: Path) -> bytes:
        with self._lock:
            known = self._thumbnails.get(name)
        if known is not None:
            return known
        with self._decoding:
            made = _small(file)
        with self._lock:
            self._thumbnails[name] = made
            while len(self._thumbnails) > KEPT_THUMBNAILS:
                self._thumbnails.popitem(last=False)
        return made


FILE_FAULT = ".jsonl"  # an error that names a line of the decisions is the file's, not the request's


def _told(ask: Callable[[], Screen | Reply]) -> Answer:
    """Answer with what the session says; where it cannot, with why."""
    try:
        return Answer(200, msgspec.json.encode(ask()))
    except BoxsetError as err:
        return _error(500 if isinstance(err, ProjectError) or FILE_FAULT in err.where else 400, str(err))


def _error(status: int, what: str) -> Answer:
    return Answer(status, msgspec.json.encode({"error": what}))


def _whole(file: Path) -> Answer:
    return Answer(200, file.read_bytes(), TYPES[file.suffix], KEEP) if file.suffix in TYPES else NOT_HERE


def _small(file: Path) -> bytes:
    with Image.open(file, formats=("JPEG", "PNG")) as opened:
        opened.draft("RGB", (SIDE, SIDE))
        small = opened.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A page that was closed is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Boxset", ""
    timeout = IDLE_S
    disable_nagle_algorithm = True
    desk: Desk
    port: int

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is the user's, and addresses hold the secret."""

    def do_GET(self) -> None:
        """Answer a GET."""
        path = self._path()
        self._send(REFUSED if not self._is_ours() else NOT_HERE if path is None else self.desk.get(path))

    def do_POST(self) -> None:
        """Answer a POST of the page itself."""
        body = self._body()
        path = self._path()
        if isinstance(body, Answer):
            self._send(body)
        elif not self._is_ours() or not self._is_from_page():
            self._send(REFUSED)
        else:
            self._send(NOT_HERE if path is None else self.desk.post(path, body))

    def _path(self) -> str | None:
        """Return what stands behind the secret, or None where another or none stands there."""
        first, _, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
        is_known = secrets.compare_digest(first.encode("utf-8", "replace"), self.desk.token.encode())
        return rest if is_known and self.path.startswith(f"/{first}/") else None

    def _is_ours(self) -> bool:
        """Return whether the browser believes to speak to this very server, and no other site is behind it."""
        hosts = self.headers.get_all("Host") or []
        origins = self.headers.get_all("Origin") or []
        return len(hosts) == 1 and hosts[0].lower() in self._names() and all(origin in self._origins() for origin in origins)

    def _is_from_page(self) -> bool:
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        type_ = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return self.headers.get("Origin") in self._origins() and site == "same-origin" and type_ == "application/json"

    def _names(self) -> set[str]:
        return {f"{HOST}:{self.port}", f"localhost:{self.port}"}

    def _origins(self) -> set[str]:
        return {f"http://{name}" for name in self._names()}

    def _body(self) -> bytes | Answer:
        """Return the body, or what to say where it has no length, or too much of it; such a connection is not used again."""
        lengths = self.headers.get_all("Content-Length") or []
        self.close_connection = True
        if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdigit()) or "Transfer-Encoding" in self.headers:
            return _error(411, "say how long it is")
        if len(lengths[0]) > 9 or int(lengths[0]) > MAX_BODY:
            return _error(413, "too much at once")
        body = self.rfile.read(int(lengths[0]))
        if len(body) < int(lengths[0]):
            return _error(400, "less than was announced")
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        return body

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        own = {"Content-Type": answer.type, "Content-Length": str(len(answer.body)), "Cache-Control": answer.cache}
        for name, value in {**HEADERS, **own, **({"Connection": "close"} if self.close_connection else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.is_last:
            self.desk.done.set()


@contextmanager
def serving(desk: Desk, port: int = 0) -> Iterator[str]:
    """Serve the page on loopback, on a free port where none is named; give its address. Raises InputError where the port is taken."""

    class Handler(_Handler):
        pass

    Handler.desk = desk
    try:
        server = _Server((HOST, port), Handler)
    except (OSError, OverflowError) as err:
        raise InputError(f"port {port} is not to be had: {err}", where="--port", do="Leave it out, and a free one is taken") from err
    Handler.port = int(server.server_address[1])
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="review", daemon=True).start()
    try:
        yield f"http://{HOST}:{Handler.port}/{desk.token}/"
    finally:
        server.shutdown()
        server.server_close()

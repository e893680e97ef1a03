"""One large file from a server, whole or not at all: it goes on where it stopped as long as the server still has the same file.

A partial file is only ever continued under the server's own validator (`If-Range` with a strong ETag or a date), so that two
versions never become one file. A file takes its name when its length, and its MD5 where the server states one, are right.
"""

import base64
import hashlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from boxset.endpoints import Endpoints
from boxset.errors import InputError, ServiceError
from boxset.files import disk_error, write_text
from boxset.sources.raw import refuse_foreign
from boxset.terminal import say
from boxset.text import visible

CHUNK = 1 << 20
TRIES = 5  # in a row without a single new byte
RETRIED = {408, 425, 429, 500, 502, 503, 504}
LONGEST_WAIT_S = 60.0
MOST_DIGITS = 20  # of a length: longer ones are no file's
NOTICED_S = 2.0  # a wait of this length is announced
CONNECT_S, READ_S = 20, 60

CAUSES: tuple[tuple[type[BaseException], str], ...] = (  # the first that fits
    (urllib3.exceptions.NameResolutionError, "no server of that name is found (is there a network?)"),
    (urllib3.exceptions.NewConnectionError, "no connection: nothing listens there, or the network is down"),
    (urllib3.exceptions.ConnectTimeoutError, f"no connection within {CONNECT_S} s"),
    (urllib3.exceptions.ReadTimeoutError, f"nothing came for {READ_S} s"),
    (urllib3.exceptions.SSLError, "its certificate is not accepted"),
    (urllib3.exceptions.ProxyError, "the proxy lets nothing through"),
    (urllib3.exceptions.ResponseError, "too many redirects"),
    (TimeoutError, f"nothing came for {READ_S} s"),
    (ConnectionRefusedError, "nothing listens there"),
)

Connect = Callable[[], tuple[str, dict[str, str]]]
"""Returns the address to connect to, and the headers that this needs; asked anew at each try, as signed addresses grow old."""


def connected(address: str, endpoints: Endpoints) -> tuple[str, dict[str, str]]:
    """Return where to connect to for an address. `s3://` is asked without a signature first, whatever credentials there are."""
    return endpoints.connect(s3_address(address, endpoints) if address.startswith("s3://") else address)


def s3_address(address: str, endpoints: Endpoints) -> str:
    """Return the http(s) address of an S3 object: at the project's or the environment's endpoint, else at AWS."""
    parts = urlsplit(address)
    endpoint = endpoints.aws or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        return f"{endpoint.rstrip('/')}/{parts.netloc}{parts.path}"
    if "." in parts.netloc:  # such a name does not fit AWS's certificate
        return f"https://s3.amazonaws.com/{parts.netloc}{parts.path}"
    return f"https://{parts.netloc}.s3.amazonaws.com{parts.path}"


def _signing(address: str, endpoints: Endpoints) -> Connect:
    from boxset.sources.s3 import Bucket

    return lambda: (Bucket.of(address, endpoints).signed(urlsplit(address).path.lstrip("/")), {})


def download(address: str, target: Path, *, endpoints: Endpoints, headers: dict[str, str], sleep: Callable[[float], None]) -> None:
    """Fetch a file. Raises ServiceError where the server does not give it, InputError where it is plainly no data; what came so far stays."""
    part = _Part(target, address)

    def unsigned() -> tuple[str, dict[str, str]]:
        return connected(address, endpoints)

    connect: Connect = unsigned
    idle, failure = 0, "what arrives is never whole"
    while True:
        before, asked_s = part.size, 0.0
        try:
            if _go_on(part, connect, headers):
                part.finish()
                return
        except _Refused as err:
            if err.status in (401, 403) and address.startswith("s3://") and connect is unsigned:
                connect = _signing(address, endpoints)
            elif err.status not in RETRIED:
                raise ServiceError(f"answers HTTP {err.status}", where=address, do=_hint(address, err.status)) from err
            failure, asked_s = f"answers HTTP {err.status}", err.after_s
        except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError, ValueError) as err:  # of what is no HTTP urllib3 says so in either way
            failure = f"does not answer: {cause_of(err)}"
        except OSError as err:
            raise disk_error(err, part.path) from err
        idle = idle + 1 if part.size <= before else 0
        if idle == TRIES:
            raise ServiceError(failure, where=address, do="Run it again: it goes on where it stopped. A mirror can be named under `mirrors`")
        _wait(address, failure, min(max(asked_s, 0.5 * 2**idle if idle else 0.0), LONGEST_WAIT_S), sleep)


def _wait(address: str, failure: str, seconds: float, sleep: Callable[[float], None]) -> None:
    """Wait before the next try, and say so where it is long enough to be noticed."""
    if seconds >= NOTICED_S:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")  # what `_show` has left
            sys.stderr.flush()
        say(f"{address}: {failure}; asking again in {seconds:.0f} s")
    sleep(seconds)


def cause_of(err: BaseException) -> str:
    """Say in words why a server was not reached, or its answer not whole."""
    cause = getattr(err, "reason", None)
    cause = cause if isinstance(cause, BaseException) else err
    return next((words for kind, words in CAUSES if isinstance(cause, kind)), "the connection broke off")


def _hint(address: str, status: int) -> str:
    if address.startswith("s3://") and status in (401, 403):
        return "Export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of someone who may read it"
    return "Check the address, or name a copy under `mirrors` or `sources.<name>.files`"


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, status: int, after_s: float) -> None:
        super().__init__(status)
        self.status, self.after_s = status, after_s


class _Part:
    """A partial file, and the validator of the version that it is a part of."""

    def __init__(self, target: Path, address: str) -> None:
        self._target, self.address = target, address
        self.path = target.with_name(f".{target.name}.part")
        self._mark = target.with_name(f".{target.name}.version")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> str:
        """The validator, or an empty string: then it cannot be continued."""
        return self._mark.read_text().strip() if self._mark.exists() and self.size else ""

    def begin(self, version: str) -> None:
        self.path.unlink(missing_ok=True)
        write_text(self._mark, version)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name. Raises InputError where it is a web page or a Git-LFS pointer."""
        with self.path.open("rb") as file:
            head = file.read(512)
        try:
            refuse_foreign(head, Path(self.address))
        except InputError as err:
            self.discard()
            raise InputError(f"the server sent {err.what}", where=self.address, do="Check the address, or name a copy under `mirrors`") from err
        self.path.replace(self._target)
        self._mark.unlink(missing_ok=True)


def _go_on(part: _Part, connect: Connect, headers: dict[str, str]) -> bool:
    """Fetch what is missing; return whether the file is whole and right now."""
    have, version = part.size, part.version
    url, more = connect()
    ranged = {"Range": f"bytes={have}-", "If-Range": version} if version else {}
    retries = urllib3.Retry(total=5, connect=0, read=0, redirect=5, status=0, other=0, respect_retry_after_header=False)
    with urllib3.PoolManager(timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S), retries=retries) as pools:
        answer = pools.request("GET", url, headers={**headers, **more, **ranged}, preload_content=False, redirect=True)
        try:
            return _taken(part, answer, have=have, version=version)
        finally:
            answer.close()


def _taken(part: _Part, answer: Any, *, have: int, version: str) -> bool:
    first, total = _content_range(answer.headers.get("content-range", ""))
    if answer.status == 416 and version:
        if total == have:
            return True
        part.discard()
        return False
    if answer.status not in (200, 206):
        raise _Refused(answer.status, _seconds(answer.headers.get("retry-after", "")))
    if answer.status == 206 and (first != have or _validator(answer) not in ("", version)):
        part.discard()  # another piece than was asked for, or one of another version
        return False
    if answer.status == 200:
        part.begin(_validator(answer))
        total = _number(answer.headers.get("content-length", ""))
        if total is None and "chunked" not in answer.headers.get("transfer-encoding", "").lower():
            say(f"{part.address}: the server states no length: nobody can tell whether all of it has come")
    with part.path.open("ab") as out:
        for chunk in answer.stream(CHUNK, decode_content=False):
            out.write(chunk)
            _show(part.address, out.tell())
    if total is not None and part.size != total:
        if part.size > total:
            part.discard()
        return False
    return _md5_holds(part, answer.headers.get("x-goog-hash", ""))


def _content_range(header: str) -> tuple[int | None, int | None]:
    """Return first byte and whole size of `bytes 5-9/10`, `bytes */10` or `bytes 5-9/*`."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", header.strip())
    return (_number(found[1] or ""), _number(found[2])) if found else (None, None)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < MOST_DIGITS else None


def _validator(answer: Any) -> str:
    """Return what `If-Range` may hold for this version: a strong ETag, else the date of its last change."""
    etag = str(answer.headers.get("etag", ""))
    return etag if etag.startswith('"') else str(answer.headers.get("last-modified", ""))


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _md5_holds(part: _Part, header: str) -> bool:
    """Compare with the MD5 that Google's storage states. Raises ServiceError, and throws the part away, where it differs."""
    wanted = next((item.strip()[4:] for item in header.split(",") if item.strip().startswith("md5=")), "")
    if wanted:
        with part.path.open("rb") as file:
            digest = hashlib.file_digest(file, "md5").digest()
        if base64.b64encode(digest).decode() != wanted:
            part.discard()
            raise ServiceError("what arrived is not what the server announced (MD5)", where=part.address, do="Run it again")
    return True


def _show(address: str, size: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r  {visible(address.rpartition('/')[2])}: {size / 1e6:,.0f} MB")
        sys.stderr.flush()

"""The guarded fetcher: every byte from a site that nobody vouches for comes through here.

An address is vetted, its host resolved once, every resolved address vetted, and the connection made to exactly that address, so that
no second look-up can lead elsewhere; each redirect goes the same way. See docs/security.md for what was tried against it.
"""

import random
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead
from math import inf
from threading import Event, Lock, Semaphore, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import DecodeError, HTTPError, InvalidHeader, NewConnectionError

from boxset import __version__
from boxset.dataset.reasons import Reason, Refusal
from boxset.endpoints import Endpoints
from boxset.errors import ParamsError
from boxset.files import EXHAUSTED, too_many_files
from boxset.params import UNSENDABLE, is_sendable
from boxset.web.addresses import is_public, redirected, vetted
from boxset.web.mirror import from_folder
from boxset.web.robots import MAX_BYTES, Robots, header_refusal

AGENT = "Boxset"
RETRIED = {408, 425, 429, 500, 502, 503, 504}
REDIRECTS = {301, 302, 303, 307, 308}
CHUNK = 1 << 17
NO_TIME = "no time was left"

Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class FetchPolicy:
    """How a fetcher behaves. Times in seconds, sizes in bytes."""

    max_bytes: int = 40_000_000
    timeout_s: float = 30.0  # a whole answer, from the first byte sent to the last received
    idle_s: float = 10.0  # without any byte
    min_rate: int = 1000  # bytes a second, from `idle_s` on
    max_redirects: int = 5
    tries: int = 3
    backoff_s: float = 0.5
    max_wait_s: float = 30.0  # the longest Retry-After that is obeyed; longer ones end the try
    connections: int = 32
    per_host: int = 2
    pace_s: float = 0.1
    robots: bool = True
    ports: frozenset[int] = frozenset({80, 443})
    until: float = inf  # on the clock of time.monotonic(): nothing is waited for any longer, robots.txt included
    allowed: frozenset[tuple[str, int]] = frozenset()  # hosts and ports that are exempt from the address guard: tests' own servers

    @property
    def left_s(self) -> float:
        """Return the seconds until `until`, never less than 0."""
        return max(0.0, self.until - time.monotonic())

    @property
    def patience_s(self) -> float:
        """Return for how long a connection may say nothing by now."""
        return max(0.01, min(self.idle_s, self.left_s))


@dataclass(frozen=True)
class Fetched:
    """The whole body of an answer with status 200."""

    body: bytes = field(repr=False)


class PrivateAddressError(HTTPError):
    """A host resolved to an address that is not public."""


@dataclass
class _Host:
    """What is remembered of a host: how many may ask at once, when the last one did, and how long it wants to be left alone."""

    places: Semaphore
    lock: Lock
    next_at: float = 0.0
    quiet_until: float = 0.0


def resolve(host: str, port: int) -> list[str]:
    """Return all addresses of a host, in the system's order."""
    return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


class Fetcher:
    """Fetches addresses politely and safely; a context manager; may be used from many threads.

    `contact` is sent to every site; without one only the embedded world and folders that are mirrors are asked, and `get` raises ParamsError
    before anything else is. Raises ParamsError where no header can carry it.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        contact: str,
        policy: FetchPolicy = FetchPolicy(),
        resolving: Resolve = resolve,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        if not is_sendable(contact):
            raise ParamsError(f"project.contact: {contact!r}: {UNSENDABLE[0]}", where="params.yaml", do=UNSENDABLE[1])
        self.policy, self._endpoints, self._contact, self._sleep = policy, endpoints, contact, sleep
        self._rng = rng or random.Random()  # noqa: S311 - only spreads retries; nothing that is kept depends on it
        self._agent = f"{AGENT}/{__version__} (training-set builder; contact: {contact or 'none'})"
        self._resolving, self._hosts, self._lock = resolving, dict[str, _Host](), Lock()
        self._ports = policy.ports | {port for _, port in policy.allowed}
        self._watch = _Watch(policy.timeout_s, policy.until)
        self._guarded = self._pools(guarded=True)
        self._trusted = self._pools(guarded=False)
        self._robots = Robots(AGENT, self._robots_txt)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        self._watch.close()
        for pools in (self._guarded, self._trusted):
            for key in pools.pools.keys():  # noqa: SIM118 - urllib3's container cannot be iterated
                pools.pools[key].close()
            pools.clear()

    def get(self, url: str, *, max_bytes: int | None = None) -> Fetched | Refusal:
        """Return the whole answer, or why there is none; tries again where that can help."""
        start = vetted(url, ports=self._ports)
        if isinstance(start, Refusal):
            return start
        outcome: Fetched | Refusal | _Again = Refusal(Reason.UNREACHABLE)
        for attempt in range(self.policy.tries):
            if not self.policy.left_s:
                return Refusal(Reason.TIMEOUT, NO_TIME)
            outcome = self._follow(start, max_bytes or self.policy.max_bytes)
            if not isinstance(outcome, _Again):
                return outcome
            wait_s = outcome.after_s if outcome.after_s is not None else self._rng.uniform(0, self.policy.backoff_s * 2**attempt)
            if attempt + 1 == self.policy.tries or wait_s > self.policy.max_wait_s or wait_s >= self.policy.left_s:
                break
            self._sleep(wait_s)
        return outcome.refusal if isinstance(outcome, _Again) else outcome

    def _follow(self, url: str, max_bytes: int) -> "Fetched | Refusal | _Again":
        at = url
        for _ in range(self.policy.max_redirects + 1):
            shelved = from_folder(self._endpoints, at, max_bytes=max_bytes)
            if shelved is not None:
                return shelved if isinstance(shelved, Refusal) else Fetched(shelved)
            self._endpoints.check_contact(self._contact)
            kept_out = self._robots.refusal(at) if self.policy.robots and self._endpoints.mirror_of(at) is None else None
            if kept_out is not None:
                return kept_out
            answer = self._once(at, max_bytes)
            if not isinstance(answer, _Moved):
                return answer
            target = redirected(at, answer.location, ports=self._ports)
            if isinstance(target, Refusal):
                return target
            at = target
        return Refusal(Reason.REDIRECTS, f"more than {self.policy.max_redirects}")

    def _once(self, url: str, max_bytes: int) -> "Fetched | Refusal | _Moved | _Again":
        host = self._host(url)
        if time.monotonic() < host.quiet_until:
            return Refusal(Reason.RATE_LIMITED, "it wants to be left alone")
        try:
            with self._turn(url), self._answer(url) as response:
                return self._heeded(self._read(response, max_bytes), host)
        except PrivateAddressError as err:
            return Refusal(Reason.PRIVATE_ADDRESS, str(err))
        except (HTTPError, OSError, ValueError) as err:
            return self._failed(err)

    def _heeded(self, outcome: "Fetched | Refusal | _Moved | _Again", host: _Host) -> "Fetched | Refusal | _Moved | _Again":
        """Remember of a host that it wants to be left alone for longer than is waited for."""
        if isinstance(outcome, _Again) and outcome.refusal.reason is Reason.RATE_LIMITED and outcome.after_s is not None and outcome.after_s > self.policy.max_wait_s:
            host.quiet_until = time.monotonic() + outcome.after_s
        return outcome

    def _failed(self, err: Exception) -> "Refusal | _Again":
        cause = _cause(err)
        if isinstance(cause, PrivateAddressError):
            return Refusal(Reason.PRIVATE_ADDRESS, str(cause))
        if isinstance(cause, NewConnectionError):
            return _Again(Refusal(Reason.UNREACHABLE, str(cause).rpartition(": ")[2][:80]))
        if self._watch.ended_this():
            return Refusal(Reason.TIMEOUT, f"more than {self.policy.timeout_s:g} s")
        if isinstance(cause, urllib3.exceptions.TimeoutError | TimeoutError):
            return _Again(Refusal(Reason.TIMEOUT, "nothing comes"))
        if isinstance(cause, IncompleteRead):
            return _Again(Refusal(Reason.BROKEN, "the answer broke off"))
        if isinstance(err, DecodeError | InvalidHeader) or (isinstance(cause, HTTPException | ValueError) and not isinstance(cause, HTTPError | OSError)):
            return Refusal(Reason.BROKEN, f"not an HTTP answer ({type(cause).__name__})")
        if isinstance(cause, ssl.SSLError):
            return Refusal(Reason.UNREACHABLE, f"TLS: {cause.reason or type(cause).__name__}"[:80])
        return _Again(Refusal(Reason.UNREACHABLE, type(cause).__name__))

    def _read(self, response: Any, max_bytes: int) -> "Fetched | Refusal | _Moved | _Again":
        headers = _by_name(response.headers.items())
        if response.status in REDIRECTS and headers.get("location"):
            return _Moved(_as_meant(headers["location"].partition("\n")[0]))
        if response.status != 200:
            return _refused(response.status, headers)
        directive = header_refusal(headers, AGENT) if self.policy.robots else ""
        if directive:
            return Refusal(Reason.ROBOTS, directive)
        announced = _whole_number(headers.get("content-length", ""))
        if announced is not None and announced > max_bytes:
            return Refusal(Reason.TOO_LARGE, f"{announced:.0f} bytes announced")
        return self._body(response, max_bytes)

    def _body(self, response: Any, max_bytes: int) -> "Fetched | Refusal | _Again":
        parts, size, start = [], 0, time.monotonic()
        while part := response.read1(CHUNK):
            size, passed_s = size + len(part), time.monotonic() - start
            if size > max_bytes:
                return Refusal(Reason.TOO_LARGE, f"more than {max_bytes} bytes")
            if passed_s > self.policy.timeout_s or (passed_s > self.policy.idle_s and size < passed_s * self.policy.min_rate):
                return Refusal(Reason.TIMEOUT, "too slow")
            parts.append(part)
        if self._watch.ended_this():  # a body without a length ends like this
            return Refusal(Reason.TIMEOUT, "too slow")
        return Fetched(b"".join(parts))

    @contextmanager
    def _answer(self, url: str) -> Iterator[Any]:
        """Open an answer; its connection is kept only where the body was read to the end."""
        mirrored = self._endpoints.mirrored(url)
        address, headers = self._endpoints.connect(mirrored)
        if mirrored == url and self._endpoints.gateway is not None:
            _refuse_private_literal(url)
        pools = self._guarded if mirrored == url and self._endpoints.gateway is None else self._trusted
        self._watch.rest()
        timeout = urllib3.Timeout(connect=self.policy.patience_s, read=self.policy.patience_s)
        sent = {"User-Agent": self._agent, "Accept-Encoding": "identity", "Accept": "image/*,*/*;q=0.5", **headers}
        response = pools.request("GET", address, headers=sent, preload_content=False, redirect=False, retries=False, timeout=timeout)
        try:
            yield response
        finally:
            unread = getattr(response, "_fp", None)
            if response.status < 200 or (unread is not None and not unread.isclosed()):
                response.close()  # what is left, or comes after an interim answer, must not be taken for the next one
            response.release_conn()
            self._watch.done()

    def _host(self, url: str) -> _Host:
        name = urlsplit(url).netloc
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = _Host(Semaphore(self.policy.per_host), Lock())
            return self._hosts[name]

    @contextmanager
    def _turn(self, url: str) -> Iterator[None]:
        """Wait for a place at the host, and for its pace."""
        host = self._host(url)
        if not host.places.acquire(timeout=None if self.policy.until == inf else self.policy.left_s):
            raise TimeoutError(NO_TIME)
        try:
            pace_s = max(self.policy.pace_s, self._robots.delay_s(url))
            if pace_s > 0:
                with host.lock:
                    wait_s = host.next_at - time.monotonic()
                    host.next_at = max(host.next_at, time.monotonic()) + pace_s
                if wait_s >= self.policy.left_s:
                    raise TimeoutError(NO_TIME)
                if wait_s > 0:
                    self._sleep(wait_s)
            yield
        finally:
            host.places.release()

    def _robots_txt(self, url: str) -> tuple[int, bytes] | Refusal:
        """Fetch a robots.txt through the same guard, in two tries; a redirect that is not followed counts as none there."""
        outcome: tuple[int, bytes] | Refusal = Refusal(Reason.UNREACHABLE)
        for _ in range(2):
            outcome = self._robots_once(url)
            if not isinstance(outcome, Refusal) or outcome.reason is Reason.PRIVATE_ADDRESS or not self.policy.left_s:
                break
        return outcome

    def _robots_once(self, url: str) -> tuple[int, bytes] | Refusal:
        at: str | Refusal = url
        for _ in range(self.policy.max_redirects + 1):
            if isinstance(at, Refusal):
                break
            try:
                with self._turn(at), self._answer(at) as response:
                    if response.status not in REDIRECTS or not response.headers.get("location"):
                        body = response.read(MAX_BYTES)
                        return Refusal(Reason.TIMEOUT, "too slow") if self._watch.ended_this() else (response.status, body)
                    at = redirected(at, _as_meant(response.headers["location"]), ports=self._ports)
            except PrivateAddressError as err:
                return Refusal(Reason.PRIVATE_ADDRESS, str(err))
            except (HTTPError, OSError, ValueError) as err:
                failed = self._failed(err)
                return failed.refusal if isinstance(failed, _Again) else failed
        return 404, b""

    def _pools(self, *, guarded: bool) -> urllib3.PoolManager:
        manager = urllib3.PoolManager(num_pools=max(64, self.policy.connections * 2), maxsize=self.policy.connections, retries=False)
        manager.pool_classes_by_scheme = _pool_classes(self._watch, self._connect if guarded else None)
        return manager

    def _connect(self, connection: HTTPConnection) -> socket.socket:
        """Connect to the first address of the host that answers, once all of them are known to be public."""
        host, port = connection.host, connection.port or 80
        try:
            addresses = self._resolving(host, port)
        except (OSError, UnicodeError) as err:
            raise NewConnectionError(connection, f"no such host: {err}") from err
        if (host, port) not in self.policy.allowed:
            for address in addresses:
                if not is_public(address):
                    raise PrivateAddressError(f"{host} is {address}")
        return _first_that_answers(connection, addresses, port, self.policy)


def _first_that_answers(connection: HTTPConnection, addresses: list[str], port: int, policy: FetchPolicy) -> socket.socket:
    error: OSError | None = None
    for address in addresses[:4]:
        try:
            return socket.create_connection((address, port), timeout=policy.patience_s)
        except OSError as err:
            if err.errno in EXHAUSTED:  # ours, and no fault of the site
                raise too_many_files() from err
            error = err
    raise NewConnectionError(connection, f"cannot connect: {error}") from error


@dataclass(frozen=True)
class _Moved:
    location: str


@dataclass(frozen=True)
class _Again:
    """A failure that another try may mend."""

    refusal: Refusal
    after_s: float | None = None


def _refused(status: int, headers: dict[str, str]) -> Refusal | _Again:
    detail = f"HTTP {status}"
    if status in (404, 410):
        return Refusal(Reason.GONE, detail)
    if status == 429:
        return _Again(Refusal(Reason.RATE_LIMITED, detail), retry_after_s(headers.get("retry-after", "")))
    if status in RETRIED:
        return _Again(Refusal(Reason.SERVER_ERROR, detail), retry_after_s(headers.get("retry-after", "")))
    return Refusal(Reason.SERVER_ERROR if status >= 500 else Reason.REFUSED, detail)


def retry_after_s(value: str, *, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date), or None where it is neither."""
    seconds = _whole_number(value)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (ValueError, TypeError, OverflowError):
        return None


def _whole_number(value: str) -> float | None:
    """Return a header's number; however many digits it has it is no more than infinite."""
    plain = value.strip()
    return float(plain) if plain.isascii() and plain.isdigit() else None


def _by_name(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers by name in small letters; those that come more than once on a line each."""
    found: dict[str, str] = {}
    for name, value in lines:
        key = name.lower()
        found[key] = f"{found[key]}\n{value}" if key in found else value
    return found


def _as_meant(value: str) -> str:
    """Return a header's value as the UTF-8 that it was sent as; as it is where it was not."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _refuse_private_literal(url: str) -> None:
    """In the embedded world names are not resolved, but an address written as a number is vetted all the same."""
    host = urlsplit(url).hostname or ""
    try:
        literal = host if ":" in host else socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        literal = "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else ""
    if literal and not is_public(literal):
        raise PrivateAddressError(f"{host} is {literal}")


def _cause(err: BaseException) -> BaseException:
    """Return what stands behind urllib3's wrapping."""
    while True:
        inner = getattr(err, "reason", None)
        inner = inner if isinstance(inner, BaseException) else next((a for a in err.args if isinstance(a, BaseException)), None)
        if inner is None or isinstance(err, PrivateAddressError):
            return err
        err = inner


class _Watch:
    """Shuts the sockets of answers that take too long, also those that drip single bytes to look alive."""

    def __init__(self, timeout_s: float, until: float) -> None:
        from threading import local

        self._timeout_s, self._until, self._lock, self._open = timeout_s, until, Lock(), dict[int, tuple[float, socket.socket]]()
        self._mine, self._ended, self._stop = local(), set[int](), Event()
        Thread(target=self._run, name="boxset-watch", daemon=True).start()

    def begin(self, sock: socket.socket) -> None:
        with self._lock:
            self._mine.key = id(sock)
            self._ended.discard(id(sock))
            self._open[id(sock)] = (min(self._until, time.monotonic() + self._timeout_s), sock)

    def rest(self) -> None:
        """Forget the present thread's last answer."""
        self._mine.key = 0

    def done(self) -> None:
        with self._lock:
            self._open.pop(getattr(self._mine, "key", 0), None)

    def ended_this(self) -> bool:
        """Return whether the present thread's last answer was shut for its slowness."""
        with self._lock:
            return getattr(self._mine, "key", 0) in self._ended

    def close(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(0.25):
            now = time.monotonic()
            with self._lock:
                late = [(key, sock) for key, (deadline, sock) in self._open.items() if deadline < now]
                for key, sock in late:
                    del self._open[key]
                    self._ended.add(key)
                    _shut(sock)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _pool_classes(watch: _Watch, connect: Callable[[HTTPConnection], socket.socket] | None) -> dict[str, Any]:
    """Return urllib3's pools with connections that are watched, and guarded where `connect` is given."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self) if connect else super()._new_conn()

        def getresponse(self) -> Any:
            watch.begin(self.sock)
            return super().getresponse()

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connect(self) if connect else super()._new_conn()

        def getresponse(self) -> Any:
            watch.begin(self.sock)
            return super().getresponse()

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}

"""Asking the services that the user configured. They are no sites met on the way, so they are asked directly, not through the guarded fetcher."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from boxset import __version__
from boxset.endpoints import Endpoints
from boxset.errors import ServiceError
from boxset.web.fetcher import retry_after_s
from boxset.web.suppliers.answers import PageError

MAX_BYTES = 20_000_000
WAITS_S = (0.3, 1.5)  # before the second and third try
MAX_WAIT_S = 120.0  # the longest Retry-After that is waited for
BUSY = {502, 503, 504}


@dataclass(frozen=True)
class Reply:
    """An answer with its whole body. Header names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    def wait_s(self, default_s: float) -> float:
        """Return how long the service asks to wait."""
        asked = retry_after_s(self.headers.get("retry-after", ""))
        return default_s if asked is None else asked


class Web:
    """Asks services, one request at a time, in the pace that each wants."""

    def __init__(
        self, endpoints: Endpoints, contact: str, *, sleep: Callable[[float], None] = time.sleep, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoints, self._contact, self.sleep, self._now = endpoints, contact, sleep, now
        self._agent = f"Boxset/{__version__} (training-set builder; contact: {contact or 'none'}) urllib3"
        self._pools = urllib3.PoolManager(timeout=urllib3.Timeout(connect=10, read=60))
        self._free_at: dict[str, float] = {}

    def get(
        self, address: str, parameters: dict[str, Any], *, headers: dict[str, str] | None = None, pace_s: float = 0.0, follow: bool = True
    ) -> Reply:
        """Return the service's reply; where it is busy or nothing answers it is asked twice more.

        Raises ServiceError where nothing answers, ParamsError where the internet would be asked without a contact.
        """
        self._endpoints.check_contact(self._contact)
        for wait_s in WAITS_S:
            try:
                reply = self._once(address, parameters, headers or {}, pace_s=pace_s, follow=follow)
            except PageError:
                raise
            except ServiceError:
                self.sleep(wait_s)
                continue
            wait_s = reply.wait_s(wait_s)
            if reply.status not in BUSY or wait_s > MAX_WAIT_S:
                return reply
            self.sleep(wait_s)
        return self._once(address, parameters, headers or {}, pace_s=pace_s, follow=follow)

    def _once(self, address: str, parameters: dict[str, Any], headers: dict[str, str], *, pace_s: float, follow: bool) -> Reply:
        url, more = self._endpoints.connect(f"{address}?{urlencode(parameters)}" if parameters else address)
        sent = {"User-Agent": self._agent, "Accept": "application/json", "Accept-Language": "en", **headers, **more}
        hops = urllib3.Retry(total=None, connect=0, read=0, other=0, status=0, redirect=5 if follow else 0, raise_on_redirect=False, respect_retry_after_header=False)
        self._wait_for_turn(urlsplit(address).netloc, pace_s)
        try:
            answer = self._pools.request("GET", url, headers=sent, preload_content=False, redirect=follow, retries=hops)
            body: bytes = answer.read(MAX_BYTES + 1)
        except (urllib3.exceptions.HTTPError, ValueError) as err:  # of what is no HTTP urllib3 says so in either way
            raise ServiceError(f"does not answer: {_why(err)}", where=address, do="Run it again: what was answered is kept") from err
        if len(body) > MAX_BYTES:
            answer.close()
            raise PageError(f"its answer is larger than {MAX_BYTES:,} bytes", where=address)
        answer.release_conn()
        return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)

    def _wait_for_turn(self, host: str, pace_s: float) -> None:
        wait_s = self._free_at.get(host, 0.0) - self._now()
        if wait_s > 0:
            self.sleep(wait_s)
        self._free_at[host] = self._now() + pace_s


def _why(err: Exception) -> str:
    cause = getattr(err, "reason", None) or err
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return "no server of that name is found (is there a network?)"
    if isinstance(cause, urllib3.exceptions.TimeoutError) and not isinstance(cause, urllib3.exceptions.NewConnectionError):
        return "too slow"
    return "nothing listens there" if isinstance(cause, urllib3.exceptions.NewConnectionError) else "the connection broke off"

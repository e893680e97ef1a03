"""What a site asks robots to leave alone: robots.txt (RFC 9309) and the X-Robots-Tag and TDM headers."""

import re
from collections.abc import Callable, Mapping
from threading import Lock
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from boxset.dataset.reasons import Reason, Refusal

MAX_BYTES = 500 * 1024  # RFC 9309 2.5: at least this much is read
REFUSING = {"noai", "noimageai", "noindex", "noimageindex", "none"}

Get = Callable[[str], tuple[int, bytes] | Refusal]
"""Fetches an address: its status and the first `MAX_BYTES` of its body, or why it cannot be reached."""


class Robots:
    """The rules of every site met so far, each fetched once."""

    def __init__(self, agent: str, get: Get) -> None:
        self._agent, self._get = agent, get
        self._rules: dict[str, RobotFileParser | Refusal] = {}
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()

    def refusal(self, url: str) -> Refusal | None:
        """Return why robots.txt keeps us from an address, or None. 4xx: all is allowed; 5xx or unreachable: nothing is."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            lock = self._locks.setdefault(site, Lock())
        with lock:
            if site not in self._rules:
                self._rules[site] = self._read(f"{site}/robots.txt")
        rules = self._rules[site]
        if isinstance(rules, Refusal):
            return rules
        return None if rules.can_fetch(self._agent, url) else Refusal(Reason.ROBOTS, "robots.txt")

    def _read(self, url: str) -> RobotFileParser | Refusal:
        answer = self._get(url)
        if isinstance(answer, Refusal):
            return answer
        status, body = answer
        rules = RobotFileParser()
        if 200 <= status < 300:
            rules.parse(body[:MAX_BYTES].decode("utf-8", "replace").splitlines())
        elif 400 <= status < 500:
            rules.parse([])
        else:
            rules.parse(["User-agent: *", "Disallow: /"])
        rules.modified()
        return rules


def header_refusal(headers: Mapping[str, str], agent: str) -> str:
    """Return the directive of an answer's headers (names in small letters) that asks us not to use it, or an empty string."""
    if headers.get("tdm-reservation", "").strip() == "1":
        return "tdm-reservation: 1"
    scope = ""
    for part in re.split(r"[,;]", headers.get("x-robots-tag", "").lower()):
        name, colon, rest = part.strip().partition(":")
        if colon and name not in ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"):
            scope, directive = name.strip(), rest.strip()
        else:
            directive = part.strip()
        if directive in REFUSING and scope in ("", agent.lower()):
            return directive
    return ""

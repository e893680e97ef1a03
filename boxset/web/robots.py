"""What a site asks robots to leave alone: robots.txt (RFC 9309) and the X-Robots-Tag and TDM headers."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from threading import Lock
from urllib.parse import quote, urlsplit

from boxset.dataset.reasons import Reason, Refusal

MAX_BYTES = 500 * 1024  # RFC 9309 2.5: at least this much is read
MAX_DELAY_S = 10.0  # a longer Crawl-delay is taken for this one
REST_S = 60.0
REFUSING = {"noai", "noimageai", "noindex", "noimageindex", "none"}
_UNRESERVED = re.compile(r"%(2D|2E|5F|7E|3[0-9]|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])")
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_TOKEN = re.compile(r"[a-z_-]+|\*")
_SCOPE = re.compile(r"[\w.*/-]+")  # an agent's name; a date that a comma has cut in two is none

Get = Callable[[str], tuple[int, bytes] | Refusal]
"""Fetches an address: its status and the first `MAX_BYTES` of its body, or why it cannot be reached."""


@dataclass(frozen=True)
class Rules:
    """The rules of a robots.txt that hold for us: whether a pattern is allowed, and the seconds between two requests."""

    patterns: tuple[tuple[bool, str], ...] = ()
    delay_s: float = 0.0

    def allow(self, path: str) -> bool:
        """Return whether a path with its query may be asked for: the longest pattern that matches says so, of two equals the milder."""
        plain = _plain(path)
        matching = [(len(pattern), allowed) for allowed, pattern in self.patterns if _matches(pattern, plain)]
        return max(matching)[1] if matching else True


NOTHING = Rules(((False, "/"),))


def parse(text: str, agent: str) -> Rules:
    """Return the rules for an agent: those of all groups that name it, or else of those for everybody."""
    found: dict[str, tuple[list[tuple[bool, str]], list[float]]] = {}
    names, in_head = [""], False
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition("#")[0].partition(":"))
        key = key.lower()
        if key == "user-agent":
            token = _TOKEN.match(value.lower())
            names = [*(names if in_head else []), token.group() if token else ""]
            found.setdefault(names[-1], ([], []))
            in_head = True
        elif key in ("allow", "disallow", "crawl-delay"):
            in_head = False
            for name in names:
                patterns, delays = found.setdefault(name, ([], []))
                if key == "crawl-delay":
                    delays.append(_seconds(value))
                elif value:
                    patterns.append((key == "allow", _plain(value)))
    patterns, delays = found.get(agent.lower(), found.get("*", ([], [])))
    return Rules(tuple(patterns), min(MAX_DELAY_S, max(delays, default=0.0)))


def _seconds(value: str) -> float:
    return float(value) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) else 0.0


def _plain(path: str) -> str:
    """Return the one spelling of a path or pattern: escapes in capitals, and only where they are needed."""
    quoted = quote(path, safe="/%:@!$&'()*+,;=~?-._[]")
    return _UNRESERVED.sub(lambda m: chr(int(m.group(1), 16)), _ESCAPE.sub(lambda m: m.group().upper(), quoted))


def _matches(pattern: str, path: str) -> bool:
    """Return whether a pattern with `*` and a closing `$` matches the beginning of a path; in a time that grows with their lengths only."""
    parts = pattern.removesuffix("$").split("*")
    if not path.startswith(parts[0]):
        return False
    at = len(parts[0])
    for part in parts[1:]:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    if not pattern.endswith("$"):
        return True
    return path.endswith(parts[-1]) if len(parts) > 1 else at == len(path)


class Robots:
    """The rules of every site met so far, each fetched once; where a site could not say them, it is asked again after a while."""

    def __init__(self, agent: str, get: Get, *, now: Callable[[], float] = time.monotonic) -> None:
        self._agent, self._get, self._now = agent, get, now
        self._rules: dict[str, Rules | Refusal] = {}
        self._until: dict[str, float] = {}  # when a site that could not say its rules is asked again
        self._locks: dict[str, Lock] = {}
        self._lock = Lock()

    def refusal(self, url: str) -> Refusal | None:
        """Return why robots.txt keeps us from an address, or None. 4xx: all is allowed; 5xx or unreachable: nothing is."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            lock = self._locks.setdefault(site, Lock())
        with lock:
            if site not in self._rules or self._now() >= self._until.get(site, inf):
                rules = self._rules[site] = self._read(f"{site}/robots.txt")
                self._until[site] = self._now() + REST_S if rules is NOTHING or isinstance(rules, Refusal) else inf
            rules = self._rules[site]
        if isinstance(rules, Refusal):
            return rules
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        return None if rules.allow(path) else Refusal(Reason.ROBOTS, "robots.txt")

    def delay_s(self, url: str) -> float:
        """Return the seconds that a site wants between two requests, as far as it is known by now."""
        parts = urlsplit(url)
        rules = self._rules.get(f"{parts.scheme}://{parts.netloc}")
        return rules.delay_s if isinstance(rules, Rules) else 0.0

    def _read(self, url: str) -> Rules | Refusal:
        answer = self._get(url)
        if isinstance(answer, Refusal):
            return answer
        status, body = answer
        if 200 <= status < 300:
            return parse(body[:MAX_BYTES].decode("utf-8-sig", "replace"), self._agent)
        return Rules() if 400 <= status < 500 else NOTHING


def header_refusal(headers: Mapping[str, str], agent: str) -> str:
    """Return the directive of an answer's headers (names in small letters, values of one name on a line each) that asks us not to use it."""
    if "1" in headers.get("tdm-reservation", "").split():
        return "tdm-reservation: 1"
    for line in headers.get("x-robots-tag", "").lower().split("\n"):
        scope = ""
        for part in re.split(r"[,;]", line):
            name, colon, rest = (piece.strip() for piece in part.partition(":"))
            if colon and _SCOPE.fullmatch(name) and name not in ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"):
                scope, directive = name.partition("/")[0], rest
            else:
                directive = part
            found = next((word for word in directive.split() if word in REFUSING), "")
            if found and scope in ("", "*", agent.lower()):
                return found
    return ""

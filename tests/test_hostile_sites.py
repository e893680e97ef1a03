"""The fetcher against sites that break the rules of HTTP, of robots.txt and of good manners, on loopback, byte by byte."""

import datetime
import gzip
import ipaddress
import os
import resource
import socket
import ssl
import tracemalloc
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest

from boxset.dataset.reasons import Reason, Refusal
from boxset.endpoints import Endpoints
from boxset.errors import ProjectError
from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy, retry_after_s
from boxset.web.robots import parse
from tests.site import Behave, Guest, Site, open_site

OK = b"x" * 100
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


def raw(*parts: bytes) -> Behave:
    """Send exactly this and hang up."""
    return lambda guest: guest.say(*parts)


def body_of(encoding: str, body: bytes) -> Behave:
    """Answer with an encoding that nobody asked for."""
    return lambda guest: guest.answer(body, Content_Encoding=encoding)


def head_then(head: bytes, then: str, part: bytes = b"") -> Behave:
    """Begin well, then drip, flood or stall."""

    def behave(guest: Guest) -> None:
        guest.say(head)
        getattr(guest, then)(*([part] if part else []))

    return behave


BOMB = gzip.compress(b"\0" * 50_000_000)
LAYERS = b"x"
for _ in range(12):
    LAYERS = gzip.compress(LAYERS)

CASES: dict[str, tuple[Behave, str, int]] = {
    "/drip-status": (head_then(b"H", "drip", b"T"), "timeout", 1),
    "/drip-headers": (head_then(b"HTTP/1.1 200 OK\r\n", "drip", b"X"), "timeout", 1),
    "/drip-body": (head_then(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", "drip", b"x"), "timeout", 1),
    "/drip-without-length": (head_then(b"HTTP/1.1 200 OK\r\n\r\n", "drip", b"x"), "timeout", 1),
    "/drip-chunks": (head_then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "drip", b"1\r\nx\r\n"), "timeout", 1),
    "/stall": (head_then(b"", "stall"), "timeout", 3),
    "/stall-in-body": (head_then(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\nxxxx", "stall"), "timeout", 3),
    "/interim-flood": (head_then(b"", "flood", b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout", 1),
    "/endless-headers": (head_then(b"HTTP/1.1 200 OK\r\n", "flood", b"X-More: and more\r\n"), "broken", 1),
    "/huge-header": (head_then(b"HTTP/1.1 200 OK\r\nX-Huge: ", "flood", b"x" * 1000), "broken", 1),
    "/endless-body": (head_then(b"HTTP/1.1 200 OK\r\n\r\n", "flood", b"x" * 1000), "too_large", 1),
    "/endless-chunks": (head_then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "flood", b"3e8\r\n" + b"x" * 1000 + b"\r\n"), "too_large", 1),
    "/garbage": (raw(bytes(range(128, 256)) * 20), "broken", 1),
    "/no-such-status": (raw(b"HTTP/1.1 99999 OK\r\n\r\n"), "broken", 1),
    "/chunk-garbage": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n"), "broken", 3),
    "/chunk-lie": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nxx"), "broken", 3),
    "/says-more": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nxx"), "broken", 3),
    "/says-less": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + OK), "fetched", 1),
    "/two-lengths": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 90\r\n\r\n" + OK), "broken", 1),
    "/negative-length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + OK), "fetched", 1),
    "/odd-length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n" + OK), "fetched", 1),
    "/astronomic-length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"), "too_large", 1),
    "/gzip-bomb": (body_of("gzip", BOMB), "too_large", 1),
    "/deflate-bomb": (body_of("deflate", zlib.compress(b"\0" * 50_000_000)), "too_large", 1),
    "/gzip-layers": (body_of(", ".join(["gzip"] * 12), LAYERS), "broken", 1),
    "/no-gzip": (body_of("gzip", OK), "broken", 1),
    "/reset": (lambda guest: guest.reset(), "unreachable", 3),
    "/hang-up": (raw(b""), "unreachable", 3),
    "/interim": (raw(b"HTTP/1.1 103 Early Hints\r\n\r\n", EVIL), "refused", 1),
    "/two-tags": (raw(b"HTTP/1.1 200 OK\r\nX-Robots-Tag: noai\r\nX-Robots-Tag: all\r\nContent-Length: 1\r\n\r\nx"), "robots", 1),
    "/tag-for-others": (raw(b"HTTP/1.1 200 OK\r\nX-Robots-Tag: otherbot: noindex\r\nX-Robots-Tag: nofollow\r\nContent-Length: 1\r\n\r\nx"), "fetched", 1),
    "/later-tag": (raw(b"HTTP/1.1 200 OK\r\nX-Robots-Tag: otherbot: all\r\nX-Robots-Tag: noindex\r\nContent-Length: 1\r\n\r\nx"), "robots", 1),
    "/to-protocol-relative": (raw(b"HTTP/1.1 302 Found\r\nLocation: //127.0.0.1:22/\r\n\r\n"), "bad_address", 1),
    "/to-decimal": (raw(b"HTTP/1.1 302 Found\r\nLocation: http://2130706433/\r\n\r\n"), "private_address", 1),
    "/to-credentials": (raw(b"HTTP/1.1 302 Found\r\nLocation: http://a:b@shop.example/\r\n\r\n"), "bad_address", 1),
    "/to-data": (raw(b"HTTP/1.1 302 Found\r\nLocation: data:image/png;base64,xx\r\n\r\n"), "bad_address", 1),
    "/to-nowhere": (raw(b"HTTP/1.1 302 Found\r\n\r\n"), "refused", 1),
}
PAGES: dict[str, Behave] = {"/ok": lambda guest: guest.answer(OK), **{path: case[0] for path, case in CASES.items()}}


@pytest.fixture
def site() -> Iterator[Site]:
    """A site that breaks the rules."""
    with open_site(PAGES) as site:
        yield site


def fetching(site: Site, **policy: Any) -> Fetcher:
    """A fetcher with little patience, that may ask the site and nothing else here; it does not sleep between its tries."""
    fields = {"pace_s": 0, "timeout_s": 1, "idle_s": 0.5, "max_bytes": 200_000, "allowed": frozenset({("127.0.0.1", site.port)}), **policy}
    return Fetcher(Endpoints(), contact="me@shop.example", policy=FetchPolicy(**fields), sleep=policy.pop("sleep", lambda s: None))


def reason(outcome: Fetched | Refusal) -> str:
    """Why there is nothing, or `fetched`."""
    return outcome.reason.value if isinstance(outcome, Refusal) else "fetched"


@pytest.mark.parametrize("path", CASES)
def test_every_breach_of_http_has_its_outcome_and_the_next_picture_comes(site: Site, path: str) -> None:
    with fetching(site) as fetcher:
        outcome = fetcher.get(site.url(path))
        after = fetcher.get(site.url("/ok"))

    assert (reason(outcome), site.asked[path]) == CASES[path][1:]
    assert isinstance(after, Fetched)
    assert after.body == OK


def test_an_answer_that_comes_too_slowly_is_given_up_long_before_its_deadline() -> None:
    def drips_to_the_end(guest: Guest) -> None:
        guest.say(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
        for _ in range(40):
            guest.site.closing.wait(0.05)
            guest.say(b"x")

    with open_site({"/drip": drips_to_the_end}) as site, fetching(site, timeout_s=3600) as fetcher:
        assert reason(fetcher.get(site.url("/drip"))) == "timeout"


def test_what_follows_an_answer_is_not_taken_for_the_next_one() -> None:
    def poisoned(guest: Guest) -> bool:
        return guest.answer(b"good" + EVIL, Content_Length="4")

    with open_site({"/poison": poisoned, "/ok": PAGES["/ok"]}) as site, fetching(site) as fetcher:
        first, second = fetcher.get(site.url("/poison")), fetcher.get(site.url("/ok"))

    assert isinstance(first, Fetched)
    assert isinstance(second, Fetched)
    assert (first.body, second.body) == (b"good", OK)


def test_a_bomb_in_the_content_encoding_takes_no_memory(site: Site) -> None:
    with fetching(site) as fetcher:
        fetcher.get(site.url("/ok"))
        tracemalloc.start()
        outcome = fetcher.get(site.url("/gzip-bomb"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert reason(outcome) == "too_large"
    assert peak < 4_000_000


def test_a_certificate_that_nobody_vouches_for_is_refused_once(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, met = listening.getsockname()[1], list[int]()

        def serve() -> None:
            while True:
                try:
                    with listening.accept()[0] as link:
                        met.append(1)
                        context.wrap_socket(link, server_side=True).close()
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        thread = Thread(target=serve, daemon=True)
        thread.start()
        policy = FetchPolicy(robots=False, pace_s=0, allowed=frozenset({("127.0.0.1", port)}))
        with Fetcher(Endpoints(), contact="a@b", policy=policy, sleep=lambda s: None) as fetcher:
            outcome = fetcher.get(f"https://127.0.0.1:{port}/a.jpg")
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()

    assert outcome == Refusal(Reason.UNREACHABLE, "TLS: CERTIFICATE_VERIFY_FAILED")
    assert met == [1]


def self_signed(folder: Path) -> Path:
    """A certificate that we made ourselves, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=36500))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "own.pem"
    path.write_bytes(secret + pem)
    return path


def test_a_host_is_asked_by_no_more_at_once_than_allowed_also_by_way_of_redirects() -> None:
    waiting, at_once = Lock(), list[int]()  # how many stand in between; nobody is counted once his answer is on its way
    inside = set[Guest]()

    def slow(guest: Guest) -> bool:
        with waiting:
            inside.add(guest)
            at_once.append(len(inside))
        guest.site.closing.wait(0.03)
        with waiting:
            inside.remove(guest)
        return guest.answer(OK, "302 Found", Location="/end") if guest.path.startswith("/from") else guest.answer(OK)

    with open_site({"/robots.txt": slow, "/from": slow, "/end": slow}) as site, fetching(site, per_host=2) as fetcher:
        with ThreadPoolExecutor(12) as pool:
            outcomes = list(pool.map(lambda n: reason(fetcher.get(site.url(f"/from?{n}"))), range(24)))

        assert outcomes == ["fetched"] * 24
        assert (site.asked["/end"], site.asked["/robots.txt"], max(at_once)) == (24, 1, 2)


@pytest.mark.parametrize(("delay", "expected"), [("", 5), ("Crawl-delay: 1", 5), ("Crawl-delay: 7.5", 7.5), ("Crawl-delay: 900", 10), ("Crawl-delay: ²", 5)])
def test_requests_to_a_host_keep_their_distance_and_redirects_count(delay: str, expected: float) -> None:
    naps: list[float] = []
    robots = f"User-agent: *\n{delay}".encode()
    pages: dict[str, Behave] = {"/robots.txt": lambda g: g.answer(robots), "/a": lambda g: g.answer(b"", "302 Found", Location="/b"), "/b": PAGES["/ok"]}
    with open_site(pages) as site:
        policy = FetchPolicy(pace_s=5, allowed=frozenset({("127.0.0.1", site.port)}))
        with Fetcher(Endpoints(), contact="a@b", policy=policy, sleep=naps.append) as fetcher:
            assert reason(fetcher.get(site.url("/a"))) == "fetched"

    assert [0 < naps[0] <= 5, expected < naps[1] <= expected + 5, len(naps)] == [True, True, 2]  # robots.txt comes first, and waits for nothing


ROBOTS = {
    "nothing": (b"", "fetched"),
    "all out": (b"User-agent: *\nDisallow: /", "robots"),
    "others out": (b"User-agent: otherbot\nDisallow: /\n", "fetched"),
    "we out, by name and version": (b"User-agent: BOXSET/1.0\nDisallow: /\n\nUser-agent: *\nAllow: /", "robots"),
    "our group counts alone": (b"User-agent: *\nDisallow: /\n\nUser-agent: boxset\nDisallow: /else/", "fetched"),
    "byte order mark": (b"\xef\xbb\xbfUser-agent: *\nDisallow: /", "robots"),
    "groups of ours in two places": (b"User-agent: boxset\nAllow: /x\nUser-agent: *\nDisallow:\nUser-agent: boxset\nDisallow: /pictures", "robots"),
    "a group for many": (b"User-agent: a\nUser-agent: boxset\nUser-agent: b\nDisallow: /pictures", "robots"),
    "star in the middle": (b"User-agent: *\nDisallow: /*/large", "robots"),
    "the end of the path": (b"User-agent: *\nDisallow: /*.jpg$", "robots"),
    "not the end of the path": (b"User-agent: *\nDisallow: /*.jp$", "fetched"),
    "the longest pattern decides": (b"User-agent: *\nDisallow: /pictures/\nAllow: /pictures/large", "fetched"),
    "of two equals the milder": (b"User-agent: *\nDisallow: /pictures/large\nAllow: /pictures/large", "fetched"),
    "escapes": (b"User-agent: *\nDisallow: /%70ictures/", "robots"),
    "carriage returns and comments": (b"# x\rUser-agent: * # all\rDisallow: / # this\r", "robots"),
    "a page": (b"<!doctype html><p>User-agent", "fetched"),
}


@pytest.mark.parametrize("name", ROBOTS)
def test_robots_txt_is_read_as_its_standard_says(name: str) -> None:
    text, expected = ROBOTS[name]
    with open_site({"/robots.txt": lambda g: g.answer(text), "*": PAGES["/ok"]}) as site, fetching(site) as fetcher:
        assert reason(fetcher.get(site.url("/pictures/large/a.jpg"))) == expected


ROBOTS_ANSWERS: dict[str, tuple[Behave, str]] = {
    "404": (lambda g: g.answer(b"", "404 Not Found"), "fetched"),
    "403": (lambda g: g.answer(b"", "403 Forbidden"), "fetched"),
    "503": (lambda g: g.answer(b"", "503 Busy"), "robots"),
    "stalls": (lambda g: g.stall(), "timeout"),
    "resets": (lambda g: g.reset(), "unreachable"),
    "garbage": (raw(b"\xff" * 100), "broken"),
    "drips, and says of no length": (head_then(b"HTTP/1.1 200 OK\r\n\r\nUser-agent: *\n", "drip", b"#"), "timeout"),
    "redirected": (lambda g: g.answer(b"", "301 Moved", Location="/robots-here"), "robots"),
    "redirected to a machine of ours": (lambda g: g.answer(b"", "301 Moved", Location="http://10.0.0.1/"), "private_address"),
    "redirected to where nobody should ask": (lambda g: g.answer(b"", "301 Moved", Location="http://u:p@127.0.0.1:22/"), "fetched"),
    "redirected for ever": (lambda g: g.answer(b"", "301 Moved", Location="/robots.txt"), "fetched"),
    "huge, what matters first": (lambda g: g.answer(b"User-agent: *\nDisallow: /\n" + b"# much more\n" * 200_000), "robots"),
    "huge, what matters beyond 500 KiB": (lambda g: g.answer(b"# much more\n" * 43_000 + b"User-agent: *\nDisallow: /\n"), "fetched"),
    "endless": (head_then(b"HTTP/1.1 200 OK\r\n\r\nUser-agent: *\nDisallow: /\n", "flood", b"# more\n" * 100), "robots"),
}


@pytest.mark.parametrize("name", ROBOTS_ANSWERS)
def test_whatever_robots_txt_does_has_its_outcome(name: str) -> None:
    behave, expected = ROBOTS_ANSWERS[name]
    pages: dict[str, Behave] = {"/robots.txt": behave, "/robots-here": lambda g: g.answer(b"User-agent: *\nDisallow: /"), "*": PAGES["/ok"]}
    with open_site(pages) as site, fetching(site) as fetcher:
        assert [reason(fetcher.get(site.url(f"/{n}.jpg"))) for n in range(2)] == [expected] * 2


def test_many_stars_in_robots_txt_take_no_time() -> None:
    rules = parse("User-agent: *\n" + f"Disallow: /{'*a' * 2000}$\n" * 50, "Boxset")

    assert rules.allow("/" + "a" * 1999)
    assert not rules.allow("/" + "a" * 4000)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", 0), ("-5", None), ("\xb2", None), ("9" * 400, float("inf")), ("Wed, 21 Oct 99999 07:28:00 GMT", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("", None)],
)
def test_odd_waiting_times_are_no_trap(value: str, expected: float | None) -> None:
    assert retry_after_s(value) == expected


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_wait_that_is_too_long_is_not_waited_for(status: int) -> None:
    naps: list[float] = []
    with open_site({"*": lambda g: g.answer(b"", f"{status} Later", Retry_After="86400")}) as site:
        policy = FetchPolicy(pace_s=0, robots=False, allowed=frozenset({("127.0.0.1", site.port)}))
        with Fetcher(Endpoints(), contact="a@b", policy=policy, sleep=naps.append) as fetcher:
            outcome = fetcher.get(site.url("/a"))

        assert isinstance(outcome, Refusal)
        assert (sum(site.asked.values()), naps) == (1, [])


@pytest.mark.parametrize(("wait", "others"), [("86400", 0), ("20", 1), ("", 1)])
def test_a_host_that_wants_to_be_left_alone_for_long_is_asked_for_nothing_else(wait: str, others: int) -> None:
    pages: dict[str, Behave] = {"/a": lambda g: g.answer(b"", "429 Enough", Retry_After=wait), "/b": PAGES["/ok"]}
    with open_site(pages) as site, open_site(pages) as another:
        policy = FetchPolicy(pace_s=0, robots=False, allowed=frozenset({("127.0.0.1", site.port), ("127.0.0.1", another.port)}))
        with Fetcher(Endpoints(), contact="a@b", policy=policy, sleep=lambda _: None) as fetcher:
            outcomes = [reason(fetcher.get(url)) for url in (site.url("/a"), site.url("/b"), another.url("/b"))]

    assert outcomes == ["rate_limited", "fetched" if others else "rate_limited", "fetched"]
    assert (site.asked["/b"], another.asked["/b"]) == (others, 1)


ODD_HOSTS = "127。0。0。1 ⓛocalhost localhost. 0177.0.0.1 0 [::] [fe80::1] [::ffff:10.0.0.1] [fd00::1] 192.0.0.8 198.18.0.1"


@pytest.mark.parametrize("host", ODD_HOSTS.split())
def test_private_hosts_in_odd_letters_and_numbers_are_refused(host: str) -> None:
    with Fetcher(Endpoints(), contact="a@b", policy=FetchPolicy(robots=False, tries=1)) as fetcher:
        assert reason(fetcher.get(f"http://{host}/")) == "private_address"


def test_what_is_sent_is_honest_and_no_more_than_needed(site: Site) -> None:
    with fetching(site) as fetcher:
        fetcher.get(site.url("/ok"))

    names = [line.partition(":")[0].lower() for line in site.heads[-1].decode().split("\r\n")[1:]]
    assert sorted(names) == ["accept", "accept-encoding", "host", "user-agent"]
    assert b"accept-encoding: identity" in site.heads[-1].lower()
    assert b"Boxset/" in site.heads[-1]
    assert b"contact: me@shop.example" in site.heads[-1]


def test_that_no_further_file_may_be_opened_is_no_fault_of_a_site(site: Site) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with fetching(site, robots=False) as fetcher:
        with Path(os.devnull).open() as next_one:
            resource.setrlimit(resource.RLIMIT_NOFILE, (next_one.fileno(), limits[1]))
        try:
            with pytest.raises(ProjectError, match=r"too many open files\. Raise `ulimit -n`, or lower crawl\.connections"):
                fetcher.get(site.url("/ok"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_proxy_in_the_environment_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with fetching(site) as fetcher:
        assert reason(fetcher.get(site.url("/ok"))) == "fetched"


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Oops"])
def test_a_robots_txt_with_a_chunk_of_negative_length_is_a_refusal(status: str) -> None:
    lie = raw(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n".encode())
    with open_site({"/robots.txt": lie, "/x": lambda guest: guest.answer()}) as site, fetching(site) as fetcher:
        found = fetcher.get(site.url("/x"))

    assert isinstance(found, Refusal)
    assert found.reason is Reason.BROKEN
    assert not site.asked["/x"]


@pytest.mark.parametrize("place", ["/x", "/robots.txt"])
@pytest.mark.parametrize("where", ["http://[::1", "//[", "http://[x]/", "http://a]b/"])
def test_a_redirect_to_what_is_no_address_ends_no_crawl(place: str, where: str) -> None:
    pages: dict[str, Behave] = {"/x": lambda guest: guest.answer(), place: lambda guest: guest.answer(b"", "302 Found", Location=where)}
    with open_site(pages) as site, fetching(site) as fetcher:
        found = fetcher.get(site.url("/x"))

    if place == "/x":
        assert isinstance(found, Refusal)
        assert found.reason is Reason.BAD_ADDRESS
    else:  # no robots.txt there: all is allowed
        assert isinstance(found, Fetched)


def test_a_redirect_is_read_as_the_utf_8_that_it_was_sent_as() -> None:
    moved = raw("HTTP/1.1 302 Found\r\nLocation: /b\u00fccher.jpg\r\nContent-Length: 0\r\n\r\n".encode())
    with open_site({"/x": moved, "/b%C3%BCcher.jpg": lambda guest: guest.answer()}) as site, fetching(site) as fetcher:
        assert isinstance(fetcher.get(site.url("/x")), Fetched)

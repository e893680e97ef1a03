"""The guarded fetcher against a server that breaks every rule, and pictures that are not what they say."""

import io
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from boxset.dataset.photos import flickr_page, flickr_photo
from boxset.dataset.reasons import Reason, Refusal
from boxset.dataset.similar import distance
from boxset.endpoints import Endpoints
from boxset.errors import ParamsError
from boxset.images.prepare import Limits, Prepared, prepare
from boxset.web.addresses import dedup_key, is_public, redirected, site_of, vetted
from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy, retry_after_s
from boxset.web.robots import header_refusal
from boxset.web.suppliers import Web

Reply = tuple[int, dict[str, str], bytes]
OK: Reply = (200, {}, b"x" * 1000)
MOVED = {
    "/to-loopback": "http://127.0.0.1:22/",
    "/to-metadata": "http://169.254.169.254/latest/meta-data/",
    "/to-private": "http://10.0.0.1/",
    "/to-file": "file:///etc/passwd",
    "/loop": "/loop",
    "/good": "/ok",
}
PAGES: dict[str, Reply] = {
    "/ok": OK,
    "/robots.txt": (200, {}, b"User-agent: *\nDisallow: /kept-out/\n"),
    "/kept-out/a.jpg": OK,
    "/announced": (200, {"Content-Length": "99999999"}, b""),
    "/endless": (200, {"Content-Length": "6000"}, b"y" * 6000),
    "/cut": (200, {"Content-Length": "1000"}, b"z" * 10),
    "/noai": (200, {"X-Robots-Tag": "noai"}, b"x"),
    "/other-agent": (200, {"X-Robots-Tag": "otherbot: noai"}, b"x"),
    "/tdm": (200, {"tdm-reservation": "1"}, b"x"),
    **{path: (302, {"Location": target}, b"") for path, target in MOVED.items()},
    **{f"/{status}": (status, {}, b"") for status in (401, 403, 404, 410, 451, 500)},
}


class Site(BaseHTTPRequestHandler):
    """A site that answers from PAGES; `/busy` is busy twice."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[Counter[str]] = Counter()
    agents: ClassVar[set[str]] = set()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def do_GET(self) -> None:
        Site.asked[self.path] += 1
        Site.agents.add(self.headers["User-Agent"])
        if self.path == "/busy" and Site.asked[self.path] % 3:
            status, headers, body = 429, {"Retry-After": "7"}, b""
        else:
            status, headers, body = OK if self.path == "/busy" else PAGES.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if int(headers.get("Content-Length", len(body))) != len(body):
            self.close_connection = True


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A site's port on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def naps() -> list[float]:
    """How long the fetcher would have slept."""
    return []


@pytest.fixture
def fetcher(port: int, naps: list[float]) -> Iterator[Fetcher]:
    """A fetcher that may ask the site on loopback, and nothing else there."""
    policy = FetchPolicy(pace_s=0, timeout_s=5, idle_s=2, max_bytes=5000, allowed=frozenset({("127.0.0.1", port)}))
    with Fetcher(Endpoints(), contact="me@shop.example", policy=policy, sleep=naps.append) as fetcher:
        yield fetcher


def reason(outcome: Fetched | Refusal) -> str:
    """Why there is nothing, or `fetched`."""
    return outcome.reason.value if isinstance(outcome, Refusal) else "fetched"


@pytest.mark.parametrize(
    ("path", "expected", "times"),
    [
        ("/ok", "fetched", 1),
        ("/good", "fetched", 1),
        ("/to-loopback", "bad_address", 1),
        ("/to-metadata", "private_address", 1),
        ("/to-private", "private_address", 1),
        ("/to-file", "bad_address", 1),
        ("/loop", "redirects", 6),
        ("/announced", "too_large", 1),
        ("/endless", "too_large", 1),
        ("/cut", "broken", 3),
        ("/noai", "robots", 1),
        ("/other-agent", "fetched", 1),
        ("/tdm", "robots", 1),
        ("/kept-out/a.jpg", "robots", 0),
        ("/401", "refused", 1),
        ("/403", "refused", 1),
        ("/404", "gone", 1),
        ("/410", "gone", 1),
        ("/451", "refused", 1),
        ("/500", "server_error", 3),
    ],
)
def test_each_answer_has_its_outcome_and_only_passing_faults_are_tried_again(
    fetcher: Fetcher, port: int, path: str, expected: str, times: int
) -> None:
    before = Site.asked[path]

    outcome = fetcher.get(f"http://127.0.0.1:{port}{path}")

    assert (reason(outcome), Site.asked[path] - before) == (expected, times)


def test_retry_after_is_obeyed_and_the_contact_is_sent(fetcher: Fetcher, port: int, naps: list[float]) -> None:
    assert reason(fetcher.get(f"http://127.0.0.1:{port}/busy")) == "fetched"
    assert naps == [7.0, 7.0]
    assert any("me@shop.example" in agent and agent.startswith("Boxset/") for agent in Site.agents)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.1.1",
        "224.0.0.1",
        "0.0.0.0",
    ],
)
def test_private_addresses_are_refused_in_every_spelling(host: str) -> None:
    with (
        Fetcher(Endpoints(), contact="a@b") as guarded,
        Fetcher(Endpoints(gateway="http://127.0.0.1:9"), contact="", policy=FetchPolicy(robots=False)) as embedded,
    ):
        assert reason(guarded.get(f"http://{host}/")) == "private_address"
        assert reason(embedded.get(f"http://{host}/")) == "private_address"


def test_one_private_address_among_public_ones_is_enough_and_names_are_looked_up_once() -> None:
    looked_up = []

    def resolving(host: str, port: int) -> list[str]:
        looked_up.append((host, port))
        return ["93.184.215.14", "127.0.0.1"]

    with Fetcher(Endpoints(), contact="a@b", policy=FetchPolicy(robots=False), resolving=resolving) as fetcher:
        assert reason(fetcher.get("http://rebind.example/")) == "private_address"
    assert looked_up == [("rebind.example", 80)]


def test_a_name_that_changes_its_address_is_connected_to_where_it_was_vetted(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, connected = iter([["93.184.215.14"], ["127.0.0.1"]]), []

    def connect(address: tuple[str, int], **_: Any) -> None:
        connected.append(address)
        raise OSError("nobody there")

    monkeypatch.setattr("socket.create_connection", connect)

    with Fetcher(Endpoints(), contact="a@b", policy=FetchPolicy(robots=False, tries=1), resolving=lambda *_: next(answers)) as fetcher:
        assert reason(fetcher.get("http://rebind.example/")) == "unreachable"
    assert connected == [("93.184.215.14", 80)]


def test_a_host_that_is_not_there_is_unreachable(naps: list[float]) -> None:
    def resolving(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with Fetcher(Endpoints(), contact="a@b", resolving=resolving, sleep=naps.append) as fetcher:
        assert reason(fetcher.get("http://nowhere.example/")) == "unreachable"


def test_nobody_is_asked_without_a_contact(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a copy")
    asked: list[str] = []
    here = Endpoints(mirrors={"https://photos.example/": f"{tmp_path}/"})

    with Fetcher(here, contact="", resolving=lambda host, *_: [asked.append(host) or host]) as fetcher:  # type: ignore[func-returns-value]
        copy = fetcher.get("https://photos.example/a.jpg")
        with pytest.raises(ParamsError, match=r"project\.contact"):
            fetcher.get("https://elsewhere.example/a.jpg")
    with pytest.raises(ParamsError, match=r"project\.contact"):
        Web(Endpoints(), "").get("http://127.0.0.1:9/search", {})

    assert (copy, asked) == (Fetched(b"a copy"), [])


def test_a_contact_that_no_header_can_carry_is_refused_before_anyone_is_asked() -> None:
    with pytest.raises(ParamsError, match=r"project\.contact: 'https://例え\.example/bot': no request can carry its letters"):
        Fetcher(Endpoints(), contact="https://例え.example/bot")


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://a/b", "file:///etc/passwd", "http://u:p@a/", "http://a:22/", "javascript:1", "data:image/png;base64,x"),
        *("http://", "http://a\nb/", "//[::1", f"http://a/{'x' * 5000}"),
    ],
)
def test_addresses_that_nobody_should_ask_are_refused(url: str) -> None:
    assert isinstance(vetted(url), Refusal)


def test_addresses_take_one_plain_form() -> None:
    assert vetted("//Tools.Example/ä b.jpg?x=1#top") == "https://tools.example/%C3%A4%20b.jpg?x=1"
    assert vetted("http://bücher.example:80") == "http://xn--bcher-kva.example/"
    assert redirected("https://a.example/x", "http://a.example/y") == Refusal(Reason.REDIRECTS, "from https to http")
    assert dedup_key("https://www.a.example/p/?b=2&a=1&utm_source=z") == dedup_key("http://a.example/p?a=1&b=2")
    assert [site_of(u) for u in ("https://cdn.shop.example/x", "http://a.b.co.uk/")] == ["shop.example", "b.co.uk"]


def test_waiting_times_are_seconds_or_dates() -> None:
    assert retry_after_s("120") == 120.0
    assert retry_after_s("Thu, 01 Jan 1970 00:02:00 GMT", now=lambda: 60.0) == 60.0
    assert retry_after_s("soon") is None
    assert header_refusal({"x-robots-tag": "boxset: noimageai, otherbot: none"}, "Boxset") == "noimageai"


def picture(size: tuple[int, int] = (640, 480), seed: int = 1) -> Image.Image:
    """A picture with some structure."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **more: Any) -> bytes:
    """A picture's bytes."""
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def prepared(raw: bytes) -> Prepared:
    """What is stored of a good picture."""
    found = prepare(raw)
    assert isinstance(found, Prepared)
    return found


def test_a_plain_jpeg_keeps_its_pixels_and_loses_its_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret camera"
    raw = encoded(picture(), "JPEG", quality=80, exif=exif, comment=b"home address") + b"trailing"

    stored = prepared(raw)

    assert np.array_equal(np.asarray(Image.open(io.BytesIO(raw))), np.asarray(Image.open(io.BytesIO(stored.content))))
    assert [word for word in (b"Secret", b"home", b"trailing") if word in stored.content] == []
    assert prepared(stored.content).sha256 == stored.sha256


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (encoded(picture().convert("CMYK"), "JPEG"), "JPEG"),
        (encoded(picture(), "WEBP", quality=90), "JPEG"),
        (encoded(picture().convert("P"), "GIF"), "PNG"),
        (encoded(picture(), "BMP"), "PNG"),
        (encoded(Image.fromarray(np.asarray(picture().convert("L"), dtype=np.uint16) * 257), "PNG"), "PNG"),
        (encoded(picture().convert("RGBA"), "PNG"), "PNG"),
        (encoded(picture(), "JPEG", progressive=True), "JPEG"),
    ],
)
def test_every_kind_becomes_upright_rgb_or_grey_and_stays_recognisable(raw: bytes, kind: str) -> None:
    stored = prepared(raw)

    with Image.open(io.BytesIO(stored.content)) as opened:
        assert (opened.format, opened.size, opened.mode in ("RGB", "L"), dict(opened.getexif())) == (kind, (640, 480), True, {})
    assert distance(stored.phash, prepared(encoded(picture(), "JPEG")).phash) <= 6
    assert prepared(stored.content).sha256 == stored.sha256


def test_a_turned_picture_is_stored_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    stored = prepared(encoded(picture(), "JPEG", exif=exif))

    assert (stored.width, stored.height, stored.raw_width, stored.orientation) == (480, 640, 640, 6)


def test_what_was_transparent_is_white() -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))

    with Image.open(io.BytesIO(prepared(encoded(clear, "PNG")).content)) as opened:
        assert opened.getpixel((5, 5)) == (255, 255, 255)


def test_animations_are_told() -> None:
    frames = [picture((64, 64), seed) for seed in (1, 2)]

    assert prepared(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])).animated
    assert not prepared(encoded(frames[0], "GIF")).animated


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", Refusal(Reason.NOT_AN_IMAGE, "nothing")),
        (b"<!DOCTYPE html><p>", Refusal(Reason.NOT_AN_IMAGE, "a web page")),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', Refusal(Reason.NOT_AN_IMAGE, "svg")),
        (b"\x00\x00\x00\x18ftypmp42", Refusal(Reason.NOT_AN_IMAGE, "unknown type")),
        (b"version https://git-lfs.github.com/spec/v1\n", Refusal(Reason.NOT_AN_IMAGE, "a Git-LFS pointer, which is not read")),
        (b"\x00\x00\x00\x18ftypheic", Refusal(Reason.NOT_AN_IMAGE, "HEIC, which is not read")),
        (b"\x00\x00\x00\x20ftypavif", Refusal(Reason.NOT_AN_IMAGE, "AVIF, which is not read")),
    ],
)
def test_what_is_no_picture_is_refused(raw: bytes, expected: Refusal) -> None:
    assert prepare(raw) == expected


def test_a_truncated_picture_is_broken_and_a_bomb_is_seen_in_its_header() -> None:
    raw = encoded(picture(), "JPEG")

    truncated, bomb = prepare(raw[: len(raw) // 2]), prepare(raw, Limits(max_pixels=1000))

    assert isinstance(truncated, Refusal)
    assert truncated.reason is Reason.BROKEN
    assert bomb == Refusal(Reason.TOO_MANY_PIXELS, "640x480")


TURNED = Image.Exif()
TURNED[0x0112] = 6
JPEGS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("RGB", {}),
    "with tables of its own": ("RGB", {"optimize": True}),
    "with whole colours": ("RGB", {"subsampling": 0}),
    "with restarts": ("RGB", {"restart_marker_rows": 1}),
    "grey": ("L", {}),
    "CMYK": ("CMYK", {}),
    "turned": ("RGB", {"exif": TURNED}),
}


@pytest.mark.parametrize("what", JPEGS)
def test_a_jpeg_whose_data_ends_early_is_broken_though_its_end_is_marked_and_one_on_plain_grey_is_not(what: str) -> None:
    mode, more = JPEGS[what]
    raw = encoded(picture().convert(mode), "JPEG", **more)
    start = raw.index(b"\xff\xda")
    on_grey = Image.new("RGB", (640, 480), (128, 128, 128))
    on_grey.paste(picture((200, 200)), (100, 100))

    cut = [prepare(raw[: start + round((len(raw) - start) * share)].rstrip(b"\xff") + b"\xff\xd9") for share in (0.1, 0.5, 0.9)]

    assert cut == [Refusal(Reason.BROKEN, "its data ends before the picture does")] * 3
    assert isinstance(prepare(raw), Prepared)
    assert isinstance(prepare(encoded(on_grey.convert(mode), "JPEG", **more)), Prepared)


@pytest.mark.parametrize(
    ("url", "photo"),
    [
        ("https://live.staticflickr.com/4544/7199149555_35efa92dfd_b.jpg", "7199149555"),
        ("http://farm3.staticflickr.com/2/77_a_z.jpg?zz=1", "77"),
        ("http://farm3.static.flickr.com/2345/1234567890_abc.jpg", "1234567890"),
        ("http://static.flickr.com/2345/1234567890_abc.jpg", "1234567890"),
        ("http://farm3.staticflickr.com./2/77_a_z.jpg", "77"),
        ("https://www.flickr.com/photos/ann/12345/", "12345"),
        ("https://live.staticflickr.com/4544/logo_b.jpg", None),
        ("https://live.staticflickr.com/4544/²³_b.jpg", None),
        ("https://shop.example/?from=live.staticflickr.com/4544/77_a_b.jpg", None),
        ("https://staticflickr.com.shop.example/2/77_a_z.jpg", None),
        ("https://shop.example/flickr/99_x.jpg", None),
        ("https://flickr.shop.example/99_x.jpg", None),
    ],
)
def test_a_photo_is_known_by_flickrs_own_addresses_alone(url: str, photo: str | None) -> None:
    assert flickr_photo(url) == photo


@pytest.mark.parametrize("where", ["http://[::1", "//[", "http://[x]/", "http://a]b/"])
def test_a_redirect_to_what_is_no_address_is_refused(where: str) -> None:
    found = redirected("https://shop.example/a.jpg", where)
    assert isinstance(found, Refusal)
    assert found.reason is Reason.BAD_ADDRESS


@pytest.mark.parametrize("address", ["fec0::1", "feff::1", "3fff::1", "3fff:fff:ffff::1", "2001:db8::1", "fc00::1", "fe80::1"])
def test_an_address_of_a_site_of_ones_own_is_not_public(address: str) -> None:
    assert not is_public(address)


def test_names_in_other_encodings_than_utf_8_are_told_apart() -> None:
    names = [name.encode("gbk") for name in ("锤子", "钳子", "扳手")]
    urls = ["https://shop.example/" + "".join(f"%{byte:02X}" for byte in name) + ".jpg" for name in names]
    queries = ["https://shop.example/?name=" + "".join(f"%{byte:02X}" for byte in name) for name in names]
    assert len({dedup_key(url) for url in (*urls, *queries)}) == 6
    assert dedup_key("http://www.shop.example/%41b/?b=1&a=%C3%BC") == dedup_key("https://shop.example/Ab?a=%c3%bc&b=1&utm_source=x")


@pytest.mark.parametrize(
    ("value", "directive"),
    [
        ("unavailable_after: Wed, 03 Jan 2029 10:00:00 GMT, noai", "noai"),
        ("unavailable_after: Wednesday, 03-Jan-29 10:00:00 GMT, noindex", "noindex"),
        ("otherbot: unavailable_after: Wed, 03 Jan 2029 10:00:00 GMT, noai", ""),
        ("otherbot: noai, boxset: noimageai", "noimageai"),
    ],
)
def test_a_date_in_the_robots_header_hides_nothing_behind_it(value: str, directive: str) -> None:
    assert header_refusal({"x-robots-tag": value}, "Boxset") == directive


@pytest.mark.parametrize(
    ("value", "directive"),
    [
        ("*: noindex", "noindex"),
        ("Boxset/1.0: noindex", "noindex"),
        ("nofollow noai", "noai"),
        ("otherbot: nofollow noai", ""),
    ],
)
def test_what_robots_are_asked_is_read_in_every_spelling(value: str, directive: str) -> None:
    assert header_refusal({"x-robots-tag": value}, "Boxset") == directive


def test_of_two_reservations_the_stricter_holds() -> None:
    assert header_refusal({"tdm-reservation": "1\n0"}, "Boxset") == "tdm-reservation: 1"


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("http://farm4.staticflickr.com/3153/2970773875_164f0c0b83_z.jpg", "https://www.flickr.com/photo.gne?id=2970773875"),
        ("https://live.staticflickr.com/4544/7199149555_35efa92dfd_b.jpg?zz=1", "https://www.flickr.com/photo.gne?id=7199149555"),
        ("http://farm1.static.flickr.com/2/1418878_1e92283336.jpg", "https://www.flickr.com/photo.gne?id=1418878"),
        *((url, url) for url in (
            "https://www.flickr.com/photos/ann/2970773875", "https://www.flickr.com/photo.gne?id=7", "https://live.staticflickr.com/4544/logo_b.jpg",
            "https://staticflickr.com.shop.example/2/77_a_z.jpg", "https://shop.example/77_a_z.jpg", "http://[farm4.staticflickr.com/77_a.jpg", "",
        )),
    ],
)  # fmt: skip
def test_a_picture_on_flickrs_servers_leads_to_its_page_and_the_page_to_its_number(url: str, page: str) -> None:
    assert flickr_page(url) == page
    if page != url:
        assert flickr_photo(page) == flickr_photo(url) == page.partition("=")[2]

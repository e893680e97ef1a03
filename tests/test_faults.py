"""The whole crawl while a third of the addresses misbehave, and while it is killed again and again."""

import io
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from boxset.dataset.records import KEPT, ImageRow
from boxset.endpoints import Endpoints
from boxset.errors import ServiceError
from boxset.files import read_jsonl
from boxset.params import Crawl, Licences, Query, Searxng
from boxset.resolve import CrawlOrder
from boxset.web.crawl import crawl
from tests.project import REPOSITORY
from tests.site import Behave, Guest, Site, open_site

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("faults")]

OUT = "data/crawl/hammer"
MANY, HOSTS, CONNECTIONS = 240, 16, 16
Fault = Callable[[Guest, bytes], bool | None]

FAULTS: dict[str, tuple[Fault, str]] = {
    "resets": (lambda guest, body: guest.reset(), "unreachable"),
    "resets in the middle": (lambda guest, body: cut(guest, body, "reset"), "unreachable"),
    "stalls": (lambda guest, body: guest.stall(), "timeout"),
    "stalls in the middle": (lambda guest, body: cut(guest, body, "stall"), "timeout"),
    "says less than it sends": (lambda guest, body: guest.answer(body, Content_Length=str(len(body) // 2)), "broken"),
    "says more than it sends": (lambda guest, body: cut(guest, body, ""), "broken"),
    "sends garbage for an answer": (lambda guest, body: guest.say(b"\xff" * 2000), "broken"),
    "sends garbage for a picture": (lambda guest, body: guest.answer(random.Random(1).randbytes(4000)), "not_an_image"),
    "sends a page": (lambda guest, body: guest.answer(b"<!doctype html><p>Not here"), "not_an_image"),
    "sends half a picture": (lambda guest, body: guest.answer(body[: len(body) // 2]), "broken"),
    "is busy for ever": (lambda guest, body: guest.answer(b"", "503 Busy", Retry_After="600"), "server_error"),
    "has forgotten": (lambda guest, body: guest.answer(b"", "404 Not Found"), "gone"),
}
SWIFT = [name for name in FAULTS if "stalls" not in name]


def cut(guest: Guest, body: bytes, then: str) -> None:
    """Send the first half of what was announced."""
    guest.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2])
    getattr(guest, then)() if then else None


def photo(number: int) -> bytes:
    """A picture unlike all others."""
    rng = np.random.default_rng(number)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((320, 240), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return out.getvalue()


PHOTOS = [photo(number) for number in range(MANY)]


def url(number: int) -> str:
    """Where a picture is said to be."""
    return f"http://host{number % HOSTS}.example/{number}.jpg"


def fault_of(number: int, names: list[str]) -> str:
    """How an address misbehaves: every third one, each fault in turn."""
    return names[number // 3 % len(names)] if number % 3 == 1 else ""


def site_with(names: list[str]) -> dict[str, Behave]:
    """All pictures, a third of them behind a fault."""

    def page(number: int) -> Behave:
        name = fault_of(number, names) if names else ""
        return (lambda guest: FAULTS[name][0](guest, PHOTOS[number])) if name else (lambda guest: guest.answer(PHOTOS[number]))

    return {f"/{number}.jpg": page(number) for number in range(MANY)}


def run(folder: Path, gateway: str, number: int = 0) -> dict[str, Any]:
    """Crawl all addresses of a list, as a guest who says the run's number. Called by a process of its own too."""
    (folder / "list.csv").write_text("url,category\n" + "".join(f"{url(number)},hammer\n" for number in range(MANY)))
    order = CrawlOrder(
        category="hammer", crawl_images=MANY, use="research", licences=Licences(), queries=(Query(q="hammer"),), confusers=(), reject_words=()
    )
    settings = Crawl(searxng=Searxng(on=False), url_lists=("list.csv",), pace_s=0.0, per_site=0, timeout_s=2, connections=CONNECTIONS, per_host=2)
    return crawl(order, settings, Path(OUT), endpoints=Endpoints(gateway=gateway), contact=f"run-{number}@shop.example")


def content(folder: Path) -> dict[str, bytes]:
    """The whole output."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted((folder / OUT).rglob("*")) if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a crawl runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_third_of_the_addresses_misbehaving_costs_exactly_these(folder: Path) -> None:
    with open_site(site_with(list(FAULTS))) as site:
        metrics = run(folder, site.url(""))
    rows = read_jsonl(folder / OUT / "images.jsonl", ImageRow)
    kept = {row.url: row.picture for row in rows if row.outcome == KEPT}

    with open_site(site_with([])) as site:
        for name in ("data", ".boxset"):
            (folder / name).rename(folder / f"{name}-disturbed")
        run(folder, site.url(""))
    undisturbed = {row.url: row.picture for row in read_jsonl(folder / OUT / "images.jsonl", ImageRow)}

    expected = [FAULTS[fault_of(number, list(FAULTS))][1] if fault_of(number, list(FAULTS)) else KEPT for number in range(MANY)]
    assert [row.outcome for row in rows] == expected
    assert metrics["seen"] == metrics["kept"] + sum(metrics["dropped"].values()) == MANY
    assert kept == {url: picture for url, picture in undisturbed.items() if url in kept}
    for picture in kept.values():
        assert picture is not None
        name = f"{OUT}/images/{picture.file_name}"
        assert (folder / name.replace("data", "data-disturbed", 1)).read_bytes() == (folder / name).read_bytes()


def test_twenty_kills_change_nothing_and_nothing_that_was_had_is_asked_again(folder: Path) -> None:
    rng = random.Random(20)
    (folder / "calm").mkdir()
    (folder / "killed").mkdir()

    with open_site(site_with(SWIFT)) as site:
        finish(folder / "calm", site, 0)
        settled = dict[str, int]()  # and after which run
        for number in range(1, 21):
            kill_after(folder / "killed", site, number, lines=rng.randint(0, 20), wait_s=rng.uniform(0, 0.03))
            settled = {**dict.fromkeys(settled_in(folder / "killed"), number), **settled}
        finish(folder / "killed", site, 21)

        asked_again = {path for path, number in map(guest_of, site.heads) if number > settled.get(path, 21)}

    assert content(folder / "killed") == content(folder / "calm")
    assert len(settled) > MANY / 4
    assert asked_again == set()


def test_of_a_network_that_is_down_for_a_while_no_address_dies(folder: Path) -> None:
    with open_site(site_with(SWIFT)) as site:
        run(folder, site.url(""))
        calm = content(folder)
        (folder / "data").rename(folder / "data-calm")
        (folder / ".boxset").rename(folder / ".boxset-calm")
    with open_site(site_with(SWIFT)) as site:
        up = site.pages
        site.pages = {path: until_it_breaks(site, page, after=120) for path, page in up.items()}
        with pytest.raises(ServiceError, match="hammer: no site answers any more"):
            run(folder, site.url(""))
        settled, site.pages = settled_in(folder), up

        run(folder, site.url(""), 1)

        asked_again = {path for path, number in map(guest_of, site.heads) if number == 1 and path in settled}

    assert content(folder) == calm
    assert len(settled) > 30
    assert asked_again == set()


def until_it_breaks(site: Site, page: Behave, *, after: int) -> Behave:
    """Answer until so many were asked; then nobody is there any more."""
    return lambda guest: page(guest) if site.asked.total() <= after else guest.reset()


OTHER = Path("/dev/shm")


@pytest.mark.skipif(not OTHER.is_dir() or OTHER.stat().st_dev == Path.cwd().stat().st_dev, reason="there is one file system only")
def test_data_may_lie_on_another_file_system(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=OTHER) as other, open_site(site_with(SWIFT)) as site:
        (folder / "data").symlink_to(other)
        run(folder, site.url(""))
        before = content(folder)
        (folder / OUT / "images/left.jpg").write_bytes(b"no longer wanted")
        run(folder, site.url(""))

        assert content(folder) == before
        assert (folder / ".boxset/shelf/hammer/left.jpg").read_bytes() == b"no longer wanted"


def test_what_a_killed_run_was_writing_does_not_stay(folder: Path) -> None:
    torn = folder / OUT / ".images.jsonl.1-1.part"
    torn.parent.mkdir(parents=True)
    torn.write_text('{"source_id"')

    with open_site(site_with(SWIFT)) as site:
        finish(folder, site)

    assert (folder / OUT / "images.jsonl").exists()
    assert not torn.exists()


CRAWL = "import sys; from pathlib import Path; from tests.test_faults import run; run(Path(), sys.argv[1], int(sys.argv[2]))"


def start(folder: Path, site: Site, number: int) -> subprocess.Popen[bytes]:
    """Begin a crawl in a process of its own."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); {CRAWL}", site.url(""), str(number)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)


def finish(folder: Path, site: Site, number: int = 0) -> None:
    """Crawl to the end."""
    assert start(folder, site, number).wait(120) == 0


def kill_after(folder: Path, site: Site, number: int, *, lines: int, wait_s: float) -> None:
    """Begin a crawl and kill it when it has written down so much, and a moment later."""
    until, crawling = len(journal(folder)) + lines, start(folder, site, number)
    while len(journal(folder)) < until and crawling.poll() is None:
        time.sleep(0.005)  # the kill comes at some moment of the work
    time.sleep(wait_s)
    crawling.send_signal(signal.SIGKILL)
    crawling.wait(60)


def journal(folder: Path) -> list[bytes]:
    """What is written down whole."""
    path = folder / ".boxset/journal/crawl-hammer.0.jsonl"
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def settled_in(folder: Path) -> set[str]:
    """The paths whose outcome is written down."""
    return {"/" + json.loads(line)["url"].rpartition("/")[2] for line in journal(folder)}


def guest_of(head: bytes) -> tuple[str, int]:
    """Which path was asked for, and by which run. A site hears of some requests only after their run was killed."""
    said = re.search(rb"run-(\d+)@", head)
    assert said is not None
    return head.split(b" ", 2)[1].decode(), int(said[1])

"""A real searx (Debian's 1.1.0) whose engines ask the drawn world: it gives what the world's own interface gives."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from boxset.dataset.records import ImageRow
from boxset.doctor import FIX, OK, Finding, examine, patient
from boxset.endpoints import Endpoints
from boxset.errors import ParamsError, ServiceError
from boxset.files import read_jsonl
from boxset.newproject import Answers, write_project
from boxset.params import Crawl, Licences, Query, Searxng
from boxset.resolve import CrawlOrder
from boxset.web.crawl import crawl
from boxset.web.suppliers import Answer, Supplier, suppliers_of
from boxset.world.search import engine_page
from tests.searx import MISSING, Beside, fetched, search_url, searx, serving, stop

ENGINES = ("bing images", "flickr", "openverse")
PAGES = 20  # more than any engine of the world has
Q = Query(q="hammer drill screwdriver paintbrush wheelbarrow")  # what every engine of the world has several pages of
FRENCH = Query(q="marteau pinceau tournevis brouette perceuse", lang="fr")
OUT = Path("data/crawl/hammer")

pytestmark = [pytest.mark.xdist_group("searx"), pytest.mark.skipif(bool(MISSING), reason=MISSING)]


@pytest.fixture(scope="module")
def instance(engine_front: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A searx that all tests of this module share: nothing here fails an engine that another test needs."""
    with searx(tmp_path_factory.mktemp("searx"), engine_front) as url:
        yield url


@pytest.fixture
def fresh(engine_front: str, tmp_path: Path) -> Iterator[str]:
    """A searx of the test's own, in which no engine is suspended yet."""
    with searx(tmp_path, engine_front) as url:
        yield url


def settings(url: str = "http://localhost:8888", *engines: str) -> Crawl:
    """Return parameters of a crawl through one instance. Unlike the world's interface, searx 1.1.0 tells no sizes, so thumbnails stay."""
    return Crawl(searxng=Searxng(url=url, engines=engines, pages=PAGES), pace_s=0.0, per_site=0, thumbnails="flag")


def supplier(world: Endpoints, url: str, *engines: str) -> Supplier:
    """Return the SearXNG supplier for an instance that is really asked."""
    return suppliers_of(settings(url, *engines), beside(world, url), contact="a@shop.example", category="hammer")[0]


def beside(world: Endpoints, url: str) -> Beside:
    """Return the world with an instance beside it."""
    return Beside(gateway=world.gateway, beside=url)


def crawled(folder: Path, endpoints: Endpoints, crawl_settings: Crawl, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Crawl all that there is for two queries, in a folder of its own; return the metrics."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    order = CrawlOrder(
        category="hammer", crawl_images=10_000, use="research", licences=Licences(), queries=(Q, FRENCH), confusers=(), reject_words=()
    )
    return crawl(order, crawl_settings, OUT, endpoints=endpoints, contact="a@shop.example")


def pictures(folder: Path) -> list[tuple[str, str]]:
    """Return address and content hash of every kept picture, in rank order."""
    return [(row.url, row.picture.sha256) for row in read_jsonl(folder / OUT / "images.jsonl", ImageRow) if row.picture]


def answers(folder: Path) -> list[Answer]:
    """Return what the supplier answered."""
    return read_jsonl(folder / OUT / "results.jsonl", Answer)


def asked_to_the_end(asked: Supplier) -> list[Answer]:
    """Ask page by page until the supplier says that there are no more."""
    pages = []
    for page in range(1, PAGES + 1):
        pages.append(asked.ask(Q, page))
        if pages[-1].last:
            return pages
    raise AssertionError("no end in sight")


@pytest.mark.parametrize("engines", [ENGINES, *((name,) for name in ENGINES)], ids=lambda names: "+".join(names))
def test_a_crawl_through_searx_keeps_the_pictures_of_the_worlds_own_interface(
    world: Endpoints, instance: str, engines: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crawled(tmp_path / "real", beside(world, instance), settings(instance, *engines), monkeypatch)
    crawled(tmp_path / "own", world, settings("http://localhost:8888", *engines), monkeypatch)

    real, own = pictures(tmp_path / "real"), pictures(tmp_path / "own")
    assert len(own) > 15
    assert real == own
    assert {row.engine for answer in answers(tmp_path / "real") for row in answer.hits} == set(engines)


@pytest.mark.parametrize(("engine", "size"), [("bing images", 28), ("flickr", 15), ("openverse", 20)])
def test_pages_are_asked_to_the_end_and_hold_all_that_an_engine_has(world: Endpoints, instance: str, engine: str, size: int) -> None:
    pages = asked_to_the_end(supplier(world, instance, engine))

    everything = engine_page(engine, Q.q, 1, 10_000)
    assert len(pages) == ceil(len(everything) / size) + 1 > 2
    assert [hit.title for page in pages for hit in page.hits if hit.url] == [hit.title for hit in everything if not hit.url.startswith("data:")]
    assert (pages[-1].hits, pages[-1].unresponsive, pages[-1].last) == ((), (), True)


@pytest.mark.parametrize(
    ("how", "said"),
    [("429", "too many requests"), ("403", "blocked"), ("garbage", "unexpected crash"), ("refusal", "HTTP error")],
)
def test_an_engine_that_fails_is_named_and_is_not_the_end(world: Endpoints, fresh: str, how: str, said: str) -> None:
    alone = supplier(world, fresh, f"fails by {how}").ask(Q, 1)

    assert (alone.hits, alone.unresponsive, alone.last) == ((), ((f"fails by {how}", said),), False)


def test_engines_that_fail_take_nothing_from_the_others(
    world: Endpoints, fresh: str, instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = tuple(f"fails by {how}" for how in ("429", "403", "garbage", "refusal"))

    metrics = crawled(tmp_path / "some", beside(world, fresh), settings(fresh, "openverse", *failing), monkeypatch)
    crawled(tmp_path / "all", beside(world, instance), settings(instance, "openverse"), monkeypatch)

    assert {name.partition(" (")[0] for name in metrics["unresponsive"]} == set(failing)
    assert pictures(tmp_path / "some") == pictures(tmp_path / "all") != []


def test_searx_hides_an_engine_while_it_is_suspended(world: Endpoints, fresh: str) -> None:
    """Only its first failure is told: why docs/searxng.md prefers SearXNG, which names it at every page."""
    asked = supplier(world, fresh, "flickr", "fails by 429")

    first, second = asked.ask(Q, 1), asked.ask(Q, 2)

    assert (len(first.hits), first.unresponsive) == (15, (("fails by 429", "too many requests"),))
    assert (len(second.hits) > 0, second.unresponsive) == (True, ())


def test_an_engine_without_results_ends_at_once(world: Endpoints, instance: str) -> None:
    answer = supplier(world, instance, "fails by empty").ask(Q, 1)

    assert (answer.hits, answer.unresponsive, answer.last) == ((), (), True)


def test_an_engine_that_is_off_is_asked_where_it_is_named_and_only_there(world: Endpoints, fresh: str) -> None:
    named = supplier(world, fresh, "switched off").ask(Q, 1)
    all_that_are_on = supplier(world, fresh).ask(Q, 1)

    assert {hit.engine for hit in named.hits} == {"switched off"}
    assert {hit.engine for hit in all_that_are_on.hits} == set(ENGINES)


def test_a_misspelt_engine_is_an_error_where_searx_would_say_nothing(world: Endpoints, instance: str) -> None:
    status, _, body = fetched(search_url(instance, "hammer", "bing imags", 1))
    assert (status, json.loads(body)["results"], json.loads(body)["unresponsive_engines"]) == (200, [], [])

    with pytest.raises(ParamsError, match=r"the instance has no engine 'bing imags'.*did you mean bing images"):
        supplier(world, instance, "bing imags").ask(Q, 1)


def test_a_page_instead_of_json_is_an_error_that_names_the_address(world: Endpoints, instance: str) -> None:
    def without_json(path: str) -> tuple[int, str, bytes]:
        return fetched(instance + path.replace("format=json", "format=html"))

    with serving(without_json) as url, pytest.raises(ServiceError) as raised:
        supplier(world, url, "flickr").ask(Q, 1)

    assert (raised.value.where, raised.value.what) == (f"SearXNG at {url}", "it answers with a web page, not with JSON")
    assert "crawl.searxng.url" in raised.value.do


def test_an_address_beside_the_instance_is_an_error(world: Endpoints, instance: str) -> None:
    with pytest.raises(ServiceError, match="HTTP 404"):
        supplier(world, f"{instance}/searx").ask(Q, 1)


def test_doctor_finds_it_well(instance: str, tmp_path: Path, world: Endpoints) -> None:
    found = diagnosed(tmp_path, instance, beside(world, instance), *ENGINES)

    expected = sum(len(engine_page(name, "hammer", 1, size)) for name, size in zip(ENGINES, (28, 15, 20), strict=True))
    assert (found.verdict, found.what) == (OK, f"{instance}: JSON is on, {expected} pictures for one query")


def test_doctor_suggests_the_name_of_an_engine(instance: str, tmp_path: Path, world: Endpoints) -> None:
    found = diagnosed(tmp_path, instance, beside(world, instance), "flicker")

    assert found.verdict == FIX
    assert "the instance has no engine 'flicker'; did you mean flickr" in found.what


def test_doctor_names_the_command_that_starts_one_that_is_stopped(engine_front: str, tmp_path: Path, world: Endpoints) -> None:
    with searx(tmp_path, engine_front) as url:
        assert fetched(f"{url}/config")[0] == 200

    found = diagnosed(tmp_path, url, beside(world, url))

    assert (found.verdict, found.do.split(",")[0]) == (FIX, "Start it (`docker compose up -d searxng`)")


def diagnosed(folder: Path, url: str, endpoints: Endpoints, *engines: str) -> Finding:
    """Return what `boxset doctor` says of the instance in a new project."""
    project = folder / "tools"
    write_project(project, Answers(name="tools", contact="cv@shop.example"))
    params = (project / "params.yaml").read_text()
    named = f'searxng: {{url: "{url}", engines: {json.dumps(engines)}}}'
    (project / "params.yaml").write_text(params.replace('searxng: {url: "http://localhost:8888"}', named))
    return next(finding for finding in examine(patient(project, endpoints)) if finding.subject == "searxng")


def test_a_searx_that_cannot_start_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "searx-run"
    script.write_text("#!/bin/sh\necho no such setting\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(AssertionError, match=r"exit 3\):\nno such setting"), searx(tmp_path, "http://127.0.0.1"):
        pass


def test_a_searx_ends_with_a_test_that_fails(engine_front: str, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), searx(tmp_path, engine_front) as url:
        assert 1 / 0

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))).close()


def test_a_searx_that_will_not_end_is_ended_by_force() -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"

        stop(process, patience_s=0.2)

    assert process.returncode == -signal.SIGKILL

"""A real SearXNG with the settings that `boxset init` writes, its engines asking the drawn world: it gives what the world's own interface gives.

SEARXNG names a Python that has it (docs/searxng.md); elsewhere nothing here runs.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from boxset.dataset.records import ImageRow
from boxset.doctor import FIX, OK, Finding, examine, patient
from boxset.endpoints import Endpoints
from boxset.errors import ParamsError, ServiceError
from boxset.files import read_jsonl
from boxset.newproject import Answers, write_project
from boxset.params import Crawl, Licences, Query, Searxng
from boxset.resolve import CrawlOrder
from boxset.web.crawl import crawl
from boxset.web.suppliers import Supplier, suppliers_of
from boxset.world.search import engine_page
from tests.searx import ENDS_WITH_US, NO_SEARXNG, SEARXNG, Beside, fetched, free_port, running, searxng, stop

ENGINES = ("bing images", "flickr", "openverse")
Q = Query(q="hammer drill screwdriver paintbrush wheelbarrow")
STORE = shutil.which("valkey-server") or shutil.which("redis-server")  # what its limiter counts in

pytestmark = [pytest.mark.xdist_group("searxng"), pytest.mark.skipif(bool(NO_SEARXNG), reason=NO_SEARXNG)]


@pytest.fixture(scope="module")
def instance(engine_front: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SearXNG that the tests of this module share: nothing here fails an engine that another test needs."""
    with searxng(tmp_path_factory.mktemp("searxng"), engine_front) as url:
        yield url


def settings(url: str, *engines: str) -> Crawl:
    """Return parameters of a crawl through one instance."""
    return Crawl(searxng=Searxng(url=url, engines=engines, pages=20), pace_s=0.0, per_site=0, thumbnails="flag")


def supplier(world: Endpoints, url: str, *engines: str) -> Supplier:
    """Return the SearXNG supplier for an instance that is really asked."""
    return suppliers_of(settings(url, *engines), Beside(gateway=world.gateway, beside=url), contact="a@shop.example", category="hammer")[0]


def pictures(folder: Path, endpoints: Endpoints, url: str, engines: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Crawl all that there is for a query, in a folder of its own; return address and content hash of what is kept, in rank order."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    order = CrawlOrder(category="hammer", crawl_images=10_000, use="research", licences=Licences(), queries=(Q,), confusers=(), reject_words=())
    crawl(order, settings(url, *engines), Path("hammer"), endpoints=endpoints, contact="a@shop.example")
    return [(row.url, row.picture.sha256) for row in read_jsonl(folder / "hammer/images.jsonl", ImageRow) if row.picture]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_crawl_through_one_engine_keeps_the_pictures_of_the_worlds_own_interface_in_their_order(
    world: Endpoints, instance: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pictures(tmp_path / "real", Beside(gateway=world.gateway, beside=instance), instance, (engine,), monkeypatch)
    own = pictures(tmp_path / "own", world, "http://localhost:8888", (engine,), monkeypatch)

    assert len(own) > 15
    assert real == own


def test_a_crawl_through_all_of_them_keeps_the_same_pictures_whatever_the_order_of_its_pages(
    world: Endpoints, instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pages of Bing are longer than those of the world's own interface, so that engines take turns at other places."""
    real = pictures(tmp_path / "real", Beside(gateway=world.gateway, beside=instance), instance, ENGINES, monkeypatch)
    own = pictures(tmp_path / "own", world, "http://localhost:8888", ENGINES, monkeypatch)

    assert len(own) > 45
    assert {sha256 for _, sha256 in real} == {sha256 for _, sha256 in own}


def test_sizes_and_authors_are_read_where_an_engine_states_them(world: Endpoints, instance: str) -> None:
    bing, flickr = (supplier(world, instance, name).ask(Q, 1).hits for name in ("bing images", "flickr"))

    assert sum(hit.width > 0 < hit.height for hit in bing) > 10
    assert all(hit.author and hit.landing_url.startswith("https://www.flickr.com/photos/") for hit in flickr)


@pytest.mark.parametrize(
    ("how", "first", "then"),
    [
        ("429", "too many requests", "Suspended: too many requests"),
        ("403", "access denied", "Suspended: access denied"),
        ("garbage", "parsing error", "parsing error"),
        ("refusal", "HTTP connection error", "Suspended: HTTP connection error"),
    ],
)
def test_an_engine_that_fails_is_named_at_every_page_and_is_not_the_end(
    world: Endpoints, engine_front: str, tmp_path: Path, how: str, first: str, then: str
) -> None:
    with searxng(tmp_path, engine_front) as url:
        asked = supplier(world, url, f"fails by {how}", "flickr")
        pages = [asked.ask(Q, page) for page in (1, 2)]

    assert [page.unresponsive for page in pages] == [((f"fails by {how}", first),), ((f"fails by {how}", then),)]
    assert all(page.hits and not page.last for page in pages)


def test_an_engine_without_results_ends_at_once(world: Endpoints, instance: str) -> None:
    answer = supplier(world, instance, "fails by empty").ask(Q, 1)

    assert (answer.hits, answer.unresponsive, answer.last) == ((), (), True)


def test_an_engine_that_is_off_is_asked_where_it_is_named(world: Endpoints, instance: str) -> None:
    assert {hit.engine for hit in supplier(world, instance, "switched off").ask(Q, 1).hits} == {"switched off"}


def test_a_misspelt_engine_is_an_error_where_searxng_would_say_nothing(world: Endpoints, instance: str) -> None:
    with pytest.raises(ParamsError, match=r"the instance has no engine 'bing imags'.*did you mean bing images"):
        supplier(world, instance, "bing imags").ask(Q, 1)


def test_a_language_that_it_does_not_know_is_named_with_the_query(world: Endpoints, instance: str) -> None:
    with pytest.raises(ServiceError, match=r"HTTP 400: Invalid value .?FR.? for parameter language") as raised:
        supplier(world, instance, "flickr").ask(Query(q="marteau", lang="FR"), 1)

    assert "'marteau' (lang: FR)" in raised.value.do


def test_without_json_the_setting_is_named(world: Endpoints, engine_front: str, tmp_path: Path) -> None:
    with searxng(tmp_path, engine_front, search={"formats": ["html"]}) as url, pytest.raises(ServiceError, match="HTTP 403: its JSON format is off") as raised:
        supplier(world, url, "flickr").ask(Q, 1)

    assert "formats: [html, json]" in raised.value.do


@pytest.mark.skipif(STORE is None, reason="neither valkey-server nor redis-server is here, without which SearXNG's limiter does nothing")
def test_with_its_limiter_on_the_setting_is_named(world: Endpoints, engine_front: str, tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen([*ENDS_WITH_US, str(STORE), "--port", str(port), "--bind", "127.0.0.1", "--save", ""], cwd=tmp_path, stdout=subprocess.DEVNULL) as store:
        try:
            changes: dict[str, Any] = {"server": {"limiter": True}, "valkey": {"url": f"valkey://127.0.0.1:{port}/0"}}
            with searxng(tmp_path, engine_front, **changes) as url, pytest.raises(ServiceError, match="HTTP 429: its limiter") as raised:
                supplier(world, url, "flickr").ask(Q, 1)
        finally:
            stop(store)

    assert "limiter: false" in raised.value.do


def test_it_starts_with_the_settings_of_a_new_project_as_they_are(tmp_path: Path) -> None:
    """But for the key and the port, which the container gets from outside."""
    write_project(tmp_path / "tools", Answers(name="tools", contact="cv@shop.example"))
    own: dict[str, Any] = yaml.safe_load((tmp_path / "tools/searxng/settings.yml").read_text())
    kept = set(own["use_default_settings"]["engines"]["keep_only"])

    def with_port(port: int) -> dict[str, Any]:
        return {**own, "server": {**own["server"], "port": port, "bind_address": "127.0.0.1", "secret_key": "0" * 64}}

    with running(tmp_path, with_port, command=(SEARXNG, "-m", "searx.webapp")) as url:
        config = json.loads(fetched(f"{url}/config")[2])

    assert {engine["name"]: engine["enabled"] for engine in config["engines"]} == {name: name != "google images" for name in kept}


def test_doctor_finds_it_well_and_suggests_an_engines_name(world: Endpoints, instance: str, tmp_path: Path) -> None:
    well, misspelt = (diagnosed(tmp_path / name, instance, world, name) for name in ("flickr", "flicker"))

    expected = len(engine_page("flickr", "hammer", 1, 15))
    assert (well.verdict, well.what) == (OK, f"{instance}: JSON is on, {expected} pictures for one query")
    assert (misspelt.verdict, "did you mean flickr" in misspelt.what) == (FIX, True)


def diagnosed(project: Path, url: str, world: Endpoints, engine: str) -> Finding:
    """Return what `boxset doctor` says of the instance in a new project."""
    write_project(project, Answers(name="tools", contact="cv@shop.example"))
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace('searxng: {url: "http://localhost:8888"}', f'searxng: {{url: "{url}", engines: ["{engine}"]}}'))
    findings = examine(patient(project, Beside(gateway=world.gateway, beside=url)))
    return next(finding for finding in findings if finding.subject == "searxng")

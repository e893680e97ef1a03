"""The crawl of the embedded world: rows add up, nothing is fetched twice, the same answers give the same bytes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from boxset.dataset.records import ImageRow
from boxset.endpoints import Endpoints, open_world
from boxset.errors import ParamsError, ServiceError
from boxset.files import read_jsonl
from boxset.labeling.ledger import PURCHASES, Asked, Reserved, append
from boxset.params import Commons, Crawl, Licences, Openverse, Params, Project, Query, Searxng
from boxset.resolve import CrawlOrder
from boxset.web.crawl import crawl
from boxset.web.suppliers import Searxng as SearxngSupplier
from boxset.web.suppliers import Web, read_searxng
from boxset.web.words import folded
from tests.project import REALDATA, copy_of_repository

OUT = Path("data/crawl/hammer")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoints]:
    """The embedded world, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    params = Params(world="embedded", project=Project(name="x"), categories={}, sources={})
    with open_world(params) as endpoints:
        yield endpoints


def run(endpoints: Endpoints, wanted: int = 8, *, order: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """Crawl for hammers."""
    fields: dict[str, Any] = {
        "queries": (Query(q="claw hammer"), Query(q="marteau", lang="fr")),
        "confusers": (),
        "reject_words": (),
        **(order or {}),
    }
    asked = CrawlOrder(category="hammer", crawl_images=wanted, use="research", licences=Licences(), **fields)
    sources = {"searxng": Searxng(pages=2), "openverse": Openverse(on=True, pages=1), "commons": Commons(on=True, pages=1)}
    return crawl(asked, Crawl(**{"pace_s": 0.0, **sources, **settings}), OUT, endpoints=endpoints, contact="a@shop.example")


def rows() -> list[ImageRow]:
    """Every address that was tried."""
    return read_jsonl(OUT / "images.jsonl", ImageRow)


def requests() -> list[dict[str, Any]]:
    """Every request that the world has answered."""
    return [json.loads(line) for line in Path(".boxset/world/requests.jsonl").read_text().splitlines()]


def content() -> dict[str, bytes]:
    """The whole output."""
    return {path.name: path.read_bytes() for path in sorted(OUT.rglob("*")) if path.is_file()}


def test_without_a_contact_nobody_is_asked_and_where_nothing_is_wanted_none_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service on loopback would answer; a project whose pictures are all its own never comes to it."""
    monkeypatch.chdir(tmp_path)
    nothing = CrawlOrder(category="hammer", queries=(), confusers=(), crawl_images=0, reject_words=(), use="research", licences=Licences())
    some = msgspec.structs.replace(nothing, queries=(Query(q="claw hammer"),), crawl_images=5)
    Path("mine.csv").write_text("url,category\nhttps://photos.example/a.jpg,hammer\n")
    listed = Crawl(searxng=Searxng(on=False), url_lists=("mine.csv",))

    metrics = crawl(nothing, Crawl(), OUT, endpoints=Endpoints(), contact="")

    assert (metrics["seen"], rows()) == (0, [])
    for order, settings in ((some, Crawl(searxng=Searxng(url="http://127.0.0.1:9"))), (msgspec.structs.replace(some, queries=()), listed)):
        with pytest.raises(ParamsError, match=r"project\.contact"):
            crawl(order, settings, OUT, endpoints=Endpoints(), contact="")


def test_rows_add_up_and_pictures_are_exactly_the_kept_ones(world: Endpoints) -> None:
    metrics = run(world)

    assert metrics["kept"] == 8
    assert metrics["seen"] == metrics["kept"] + sum(metrics["dropped"].values()) == len(rows())
    assert {path.name for path in (OUT / "images").iterdir()} == {row.picture.file_name for row in rows() if row.picture}
    assert metrics["unresponsive"] == {"google images (CAPTCHA)": 2}


def test_running_again_asks_nobody_and_changes_nothing(world: Endpoints) -> None:
    run(world)
    before, asked = content(), len(requests())

    run(world)

    assert (content(), len(requests())) == (before, asked)


def test_a_pulled_clone_asks_nobody(world: Endpoints) -> None:
    run(world)
    before = content()
    for folder in ("journal", "shelf"):
        shutil.rmtree(Path(".boxset") / folder)
    asked = len(requests())

    run(world)

    assert (content(), len(requests())) == (before, asked)


def test_timing_changes_nothing(world: Endpoints) -> None:
    run(world, connections=1)
    one = content()
    for folder in ("data", ".boxset/journal", ".boxset/shelf"):
        shutil.rmtree(folder)

    run(world, connections=48, per_host=16)

    assert content() == one


def test_raising_the_target_goes_on_and_fetches_no_picture_twice(world: Endpoints) -> None:
    run(world, 5)
    first = [row for row in rows() if row.picture]

    run(world, 15)

    kept = [row for row in rows() if row.picture]
    assert kept[:5] == first
    assert len(kept) == 15
    whole = [r["url"] for r in requests() if r["status"] == 200 and r["whole"] and r["url"].endswith(".jpg")]
    assert len(whole) == len(set(whole))


def test_words_sites_and_shapes_keep_pictures_out(world: Endpoints) -> None:
    metrics = run(world, 12, order={"reject_words": ("review",)}, per_site=1, min_side=500)

    assert {"reject_word", "site_limit", "too_small"} <= metrics["dropped"].keys()
    assert folded("Marteau-Piqueur, à VENDRE!") == "marteau piqueur a vendre"


def test_the_stage_keeps_what_the_ledger_says_was_bought(tmp_path: Path) -> None:
    project = copy_of_repository(tmp_path / "tools")
    for file in (project.root / "ledger").glob("*.jsonl"):
        file.write_text("")
    stages = (("python", "-m", "stages.resolve"), ("python", "-m", "stages.crawl", "hammer"))
    for stage in stages:
        project.run(*stage)
    rows = read_jsonl(project.root / OUT / "images.jsonl", ImageRow)
    bought = next(row.picture for row in rows if row.picture and row.picture.query == "claw hammer")
    asked = Asked(job="j", sha256=bought.sha256, file_name=bought.file_name, width=bought.width, height=bought.height, phash=bought.phash)
    reserved = Reserved(job="j", backend="files", version=1, categories={"hammer": 2}, pictures=1, worst_mills=116)
    append(project.root / "ledger", PURCHASES, [reserved, asked])
    params = project.params()
    params["categories"]["hammer"] |= {"queries": ["sledge"], "crawl_images": 3}
    project.set_params(params)
    for stage in stages:
        project.run(*stage)

    after = read_jsonl(project.root / OUT / "images.jsonl", ImageRow)

    assert {row.picture.query for row in after if row.picture} == {"sledge", "claw hammer"}
    assert [row.picture.sha256 for row in after if row.picture and row.picture.query == "claw hammer"] == [bought.sha256]
    assert (project.root / OUT / "images" / bought.file_name).exists()


def test_near_copies_are_dropped_and_name_their_twin(world: Endpoints) -> None:
    run(world, 20)

    twins = [row for row in rows() if row.outcome == "duplicate"]
    assert twins != []
    assert {row.detail for row in twins} <= {row.url for row in rows() if row.picture}


def test_no_trap_is_ever_asked(world: Endpoints) -> None:
    run(world, 40)

    assert [r["url"] for r in requests() if r["url"].startswith(("127.0.0.1/", "10.", "169.254", "user"))] == []


def test_a_supplier_that_is_down_is_an_error_alone_and_a_warning_beside_others(world: Endpoints, capsys: pytest.CaptureFixture[str]) -> None:
    down = Searxng(url="http://nowhere.example")

    with pytest.raises(ServiceError, match=r"crawl\.searxng\.url"):
        run(world, searxng=down, openverse=Openverse(), commons=Commons())
    metrics = run(world, 2, searxng=down)

    assert metrics["kept"] == 2
    assert "warning: SearXNG at http://nowhere.example" in capsys.readouterr().out


def test_engine_names_are_checked_before_anything_is_asked(world: Endpoints) -> None:
    supplier = SearxngSupplier(Searxng(engines=("bing image",)), Web(world, "a@b"))

    with pytest.raises(ParamsError, match="did you mean bing images"):
        supplier.ask(Query(q="hammer"), 1)


def test_results_are_read_in_all_their_spellings() -> None:
    body = json.dumps(
        {
            "results": [
                {
                    "img_src": "//a.example/1.jpg",
                    "url": "https://a.example",
                    "resolution": "1882×1264",
                    "template": "images.html",
                    "title": "<b>Big</b> hammer",
                },
                {"img_src": "data:image/gif;base64,xx", "thumbnail_src": "https://t.example/2.jpg", "resolution": "680x470"},
                {"img_src": "", "url": "https://b.example"},
                {"title": "a page", "template": "default.html", "img_src": "https://c.example/3.jpg"},
            ],
            "unresponsive_engines": [["google images", "CAPTCHA"]],
        }
    ).encode()

    answer = read_searxng(body, Query(q="hammer"), 1, where="s")

    assert [(h.url, h.thumbnail, h.width, h.title) for h in answer.hits] == [
        ("https://a.example/1.jpg", "", 1882, "Big hammer"),
        ("", "https://t.example/2.jpg", 680, ""),
    ]
    assert (answer.unresponsive, answer.last) == ((("google images", "CAPTCHA"),), False)


@pytest.mark.skipif(not REALDATA.is_dir(), reason="the folder of real files is not here")
def test_a_captured_answer_is_read_whole() -> None:
    answer = read_searxng((REALDATA / "searxng/searxng_images.json").read_bytes(), Query(q="x"), 1, where="s")

    assert len(answer.hits) > 700
    assert len(answer.unresponsive) > 0

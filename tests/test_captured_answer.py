"""A captured answer of a real SearXNG, 723 results: read again by other means, and followed through a crawl to the last one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from boxset.dataset.records import KEPT, ImageRow
from boxset.endpoints import Endpoints, open_world
from boxset.files import read_jsonl
from boxset.params import Crawl, Licences, Params, Project, Query, Searxng
from boxset.resolve import CrawlOrder
from boxset.web.crawl import crawl
from boxset.web.suppliers import Answer, read_searxng
from tests.project import REALDATA
from tests.searx import Beside, serving

CAPTURED = REALDATA / "searxng/searxng_images.json"
OUT = Path("data/crawl/hammer")
NOTHING = b'{"results": []}'

pytestmark = pytest.mark.skipif(not CAPTURED.is_file(), reason="the folder of real files is not here")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoints]:
    """The drawn world, which has none of the captured addresses."""
    monkeypatch.chdir(tmp_path)
    with open_world(Params(world="embedded", project=Project(name="x"), categories={}, sources={})) as endpoints:
        yield endpoints


def results() -> list[dict[str, Any]]:
    """The captured results, as JSON has them."""
    found: list[dict[str, Any]] = json.loads(CAPTURED.read_bytes())["results"]
    return found


def size(result: dict[str, Any]) -> tuple[int, int]:
    """Return what a result says of its size."""
    numbers = re.findall("[0-9]+", result.get("resolution") or "")
    return (int(numbers[0]), int(numbers[1])) if numbers else (0, 0)


def test_every_captured_result_is_a_hit_with_all_that_it_says() -> None:
    answer = read_searxng(CAPTURED.read_bytes(), Query(q="x"), 1, where="s")

    hits = [(hit.url, hit.thumbnail, hit.landing_url, hit.engine, (hit.width, hit.height)) for hit in answer.hits]
    expected = [(r["img_src"], r.get("thumbnail_src") or r["thumbnail"] or "", r["url"], r["engine"], size(r)) for r in results()]
    assert len(hits) == 723
    assert hits == expected
    assert sum(width > 0 for *_, (width, _) in hits) == 54


def test_titles_keep_their_words() -> None:
    answer = read_searxng(CAPTURED.read_bytes(), Query(q="x"), 1, where="s")

    wrong = [(hit.title, r["title"]) for hit, r in zip(answer.hits, results(), strict=True) if words(hit.title) != words(r["title"])]
    assert wrong == []


def words(text: str) -> list[str]:
    """Return the words of a text, without the marks that engines put round what was searched for."""
    return re.findall(r"[^\W_]+", re.sub("[\ue000-\uf8ff]", "", text))


def test_engines_that_did_not_answer_are_all_named() -> None:
    answer = read_searxng(CAPTURED.read_bytes(), Query(q="x"), 1, where="s")

    assert [list(pair) for pair in answer.unresponsive] == json.loads(CAPTURED.read_bytes())["unresponsive_engines"]
    assert (len(answer.unresponsive), answer.last) == (11, False)


def test_every_captured_address_is_followed_to_a_row(world: Endpoints) -> None:
    def reply(path: str) -> tuple[int, str, bytes]:
        return 200, "application/json", CAPTURED.read_bytes() if "pageno=1&" in path else NOTHING

    order = CrawlOrder(
        category="hammer", crawl_images=1000, use="research", licences=Licences(), queries=(Query(q="hammer"),), confusers=(), reject_words=()
    )
    with serving(reply) as url:
        settings = Crawl(searxng=Searxng(url=url), pace_s=0.0, per_host=16)
        crawl(order, settings, OUT, endpoints=Beside(gateway=world.gateway, beside=url), contact="a@shop.example")

    rows = read_jsonl(OUT / "images.jsonl", ImageRow)
    addresses = {place_of(result["img_src"]) for result in results()}
    assert sum(len(answer.hits) for answer in read_jsonl(OUT / "results.jsonl", Answer)) == 723
    assert (len(addresses), len(rows)) == (721, 722)  # two stand there twice, one of them in two spellings, each of which has a row
    assert [row.outcome for row in rows].count("duplicate_address") == 1
    assert {place_of(row.url) for row in rows} == addresses
    assert [row.outcome for row in rows if row.outcome == KEPT] == []


def place_of(url: str) -> tuple[str, str, str]:
    """Return what tells one address from another: its host, path and query, however they are spelt."""
    parts = urlsplit(url)
    return parts.hostname or "", unquote(parts.path), parts.query

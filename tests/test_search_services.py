"""The drawn world's search services: engines that are named are paged each by itself, and two of them answer in their own forms."""

import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from boxset.world.engines import bing, flickr
from boxset.world.http import Answer, Request
from boxset.world.search import engine_page, searxng

Q = "hammer drill screwdriver paintbrush wheelbarrow"


def asked(path: str, **query: Any) -> Request:
    """A request as the world's server hands it on."""
    return Request("GET", "any.example", path, urlencode(query), {}, b"")


def said(answer: Answer) -> Any:
    """What an answer holds."""
    assert answer.status == 200
    return json.loads(answer.body)


def searched(page: int, *engines: str) -> Any:
    """A page of the SearXNG interface."""
    named = {"engines": ",".join(engines)} if engines else {}
    return said(searxng(asked("/search", q=Q, pageno=page, format="json", **named)))


@pytest.mark.parametrize("engine", ["bing images", "flickr", "openverse", "wikicommons.images"])
def test_pages_of_a_named_engine_have_no_gap_and_lose_nothing(engine: str) -> None:
    pages = [searched(page, engine)["results"] for page in range(1, 12)]

    sizes = [len(page) for page in pages]
    assert [result["img_src"] for page in pages for result in page] == [hit.url for hit in engine_page(engine, Q, 1, 10_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[1] > 0, sizes[-1]) == (True, 0)


def test_named_engines_are_merged_by_their_places() -> None:
    results = searched(1, "bing images", "flickr")["results"]

    assert [result["engine"] for result in results[:4]] == ["bing images", "flickr"] * 2
    assert {result["engine"] for result in results} == {"bing images", "flickr"}


def test_an_engine_that_is_off_is_known_and_not_asked_unless_it_is_named() -> None:
    config = {engine["name"]: engine["enabled"] for engine in said(searxng(asked("/config")))["engines"]}

    assert (config["openverse"], config["bing images"]) == (False, True)
    assert "openverse" not in {result["engine"] for page in range(1, 12) for result in searched(page)["results"]}


def test_bings_page_holds_its_pictures_as_an_engine_reads_them() -> None:
    page = bing(asked("/images/search", q=Q, count=28, first=29)).body.decode()

    tiles = [json.loads(html.unescape(text)) for text in re.findall(r'<div class="imgpt"><a class="iusc" m="([^"]*)">', page)]
    assert [(tile["murl"], tile["purl"], tile["t"]) for tile in tiles] == [(h.url, h.page, h.title) for h in engine_page("bing images", Q, 2, 28)]
    assert len(tiles) > 0


def test_flickrs_interface_gives_a_page_of_photos() -> None:
    photos = said(flickr(asked("/services/rest/", text=Q, per_page=15, page=2)))["photos"]["photo"]

    assert [(photo["url_o"], photo["ownername"]) for photo in photos] == [(h.url, h.author) for h in engine_page("flickr", Q, 2, 15)]
    assert len(photos) == 15

"""Each supplier against a server that behaves as its service does: what is asked, how answers are read, what every refusal says to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from boxset.endpoints import Endpoints
from boxset.errors import InputError, ParamsError, ServiceError
from boxset.params import Commons, Openverse, Query, Searxng
from boxset.sources.licences import spdx_of
from boxset.web.suppliers import Answer, Hit, PageError, UrlList, Web, read_searxng
from boxset.web.suppliers import Commons as CommonsSupplier
from boxset.web.suppliers import Openverse as OpenverseSupplier
from boxset.web.suppliers import Searxng as SearxngSupplier
from boxset.web.suppliers.url_lists import Listed, read_list, summary_of
from tests.outside import Asked, Clock, Outside, Reply, as_json, outside
from tests.site import open_site

HAMMER = Query(q="claw hammer", lang="fr")
CONFIG = {
    "engines": [
        {"name": "bing images", "categories": ["images"], "enabled": True},
        {"name": "flickr", "categories": ["images"], "enabled": True},
        {"name": "google images", "categories": ["images"], "enabled": False},
        {"name": "bing", "categories": ["general"], "enabled": True},
    ]
}


def web(world: Outside, clock: Clock | None = None) -> Web:
    """Ask that world."""
    own = clock or Clock()
    return Web(world.endpoints, "cv@shop.example", sleep=own.sleep, now=own.now)


def searx(reply: Reply | Callable[[Asked], Reply], config: Reply | None = None) -> Callable[[Asked], Reply]:
    """An instance with a /config and one answer to every search."""
    return lambda asked: (config or as_json(CONFIG)) if asked.path.endswith("/config") else reply(asked) if callable(reply) else reply


def test_searxng_is_asked_for_images_in_the_language_and_page() -> None:
    with outside(searx(as_json({"results": [{"img_src": "https://a.example/1.jpg", "engine": "flickr", "engines": ["flickr", "bing images"]}]}))) as world:
        answer = SearxngSupplier(Searxng(url="http://sx.example/searx/", safesearch=2), web(world)).ask(HAMMER, 3)

    asked = world.asked[-1]
    assert (asked.host, asked.path) == ("sx.example", "/searx/search")
    assert asked.query == {"q": "claw hammer", "language": "fr", "pageno": "3", "safesearch": "2", "format": "json", "categories": "images"}
    assert asked.headers["accept-language"] == "en"
    assert answer.hits == (Hit(url="https://a.example/1.jpg", engine="flickr", also=("bing images",)),)
    assert answer.asked == ("bing images", "flickr")


def test_named_engines_are_asked_alone_and_the_configuration_is_read_once() -> None:
    with outside(searx(as_json({"results": []}))) as world:
        supplier = SearxngSupplier(Searxng(url="http://sx.example", engines=("google images", "flickr")), web(world))
        answers = [supplier.ask(HAMMER, page) for page in (1, 2)]

    assert [one.path for one in world.asked] == ["/config", "/search", "/search"]
    assert world.asked[-1].query["engines"] == "google images,flickr"
    assert "categories" not in world.asked[-1].query
    assert answers[0].asked == ("google images", "flickr")
    assert answers[0].last


def test_an_engine_that_the_instance_does_not_know_is_found_before_any_search() -> None:
    with outside(searx(as_json({"results": []}))) as world, pytest.raises(ParamsError, match=r"crawl\.searxng\.engines.*did you mean bing images"):
        SearxngSupplier(Searxng(url="http://sx.example", engines=("bing image",)), web(world)).ask(HAMMER, 1)

    assert [one.path for one in world.asked] == ["/config"]


@pytest.mark.parametrize("config", [(404, {}, b"<html>"), (200, {}, b'{"engines": [{"name": "\xff\xfe"}]}'), (200, {}, b"[" * 100_000)])
def test_an_instance_that_hides_its_configuration_is_asked_all_the_same(config: Reply) -> None:
    with outside(searx(as_json({"results": []}), config=config)) as world:
        answer = SearxngSupplier(Searxng(url="http://sx.example", engines=("whatever",)), web(world)).ask(HAMMER, 1)

    assert answer.asked == ("whatever",)


@pytest.mark.parametrize(
    ("reply", "what", "do"),
    [
        ((403, {}, b"Forbidden"), "HTTP 403: its JSON format is off", "formats: [html, json]"),
        ((429, {}, b""), "HTTP 429: its limiter keeps programs out", "limiter: false"),
        ((200, {}, b"<!doctype html>"), "it answers with a web page, not with JSON", "crawl.searxng.url"),
        ((404, {}, b"<html>"), "HTTP 404: no SearXNG answers there", "crawl.searxng.url"),
        ((302, {"Location": "https://s.shop.example/sx/search?q=x"}, b""), "HTTP 302: it sends to another address", "crawl.searxng.url: https://s.shop.example/sx"),
        ((302, {"Location": "//[::1"}, b""), "HTTP 302: it sends to another address", "as the browser shows it"),
        ((302, {"Location": "ftp://s.shop.example/"}, b""), "HTTP 302: it sends to another address", "as the browser shows it"),
        ((400, {}, b'{"error": "Invalid value \\"FR\\" for parameter language"}'), 'HTTP 400: Invalid value "FR" for parameter language', "(lang: fr)"),
        ((400, {}, b"[" * 100_000), "HTTP 400: it does not understand the request", "the query 'claw hammer'"),
        ((400, {}, b"Bad request"), "HTTP 400: it does not understand the request", "the query 'claw hammer'"),
        ((301, {"Location": "/login"}, b""), "HTTP 301: it sends to another address", "crawl.searxng.url"),
        ((500, {}, b""), "HTTP 500", "its log"),
        (as_json({"answers": 1}), "its answer is not what was expected", "crawl.searxng.url"),
        ((0, {}, b""), "does not answer: the connection broke off", "docker compose up -d searxng"),
    ],
)  # fmt: skip
def test_each_refusal_of_searxng_names_the_setting_to_change(reply: Reply, what: str, do: str) -> None:
    with outside(searx(reply)) as world, pytest.raises(ServiceError) as caught:
        SearxngSupplier(Searxng(url="http://sx.example"), web(world)).ask(HAMMER, 1)

    assert caught.value.what.startswith(what)
    assert do in caught.value.do
    assert caught.value.where == "SearXNG at http://sx.example"


GOOD = {"img_src": "https://a.example/1.jpg", "engine": "flickr", "title": "A"}
ODD: list[tuple[bytes, int, int]] = [  # one result beside a good one; how many hits there are, and how many are lost
    (b'{"img_src": "https://a.example/2.jpg", "title": 5}', 1, 1),
    (b'{"img_src": "https://a.example/2.jpg", "author": ["Ann"]}', 1, 1),
    (b'{"img_src": ["x"]}', 1, 1),
    (b"null", 1, 1),
    (b'"text"', 1, 1),
    (b'{"img_src": "https://a.example/2.jpg", "title": "a\\ud800b"}', 2, 0),
    (b'{"img_src": "https://a.example/2.jpg", "engine": "a\\ud800b"}', 2, 0),
    (b'{"img_src": "https://a.example/2.jpg", "score": NaN}', 2, 0),
    (b'{"img_src": "https://a.example/2.jpg", "score": ' + b"9" * 5000 + b"}", 2, 0),
    (b'{"img_src": "https://a.example/2.jpg", "title": "\xff"}', 2, 0),
    (b'{"img_src": "https://a.example/2.jpg", "resolution": "' + b"9" * 5000 + b' x 5"}', 2, 0),
]


@pytest.mark.parametrize(("odd", "hits", "lost"), ODD)
def test_an_odd_result_of_searxng_is_lost_alone(odd: bytes, hits: int, lost: int) -> None:
    body = b'{"results": [' + odd + b", " + json.dumps(GOOD).encode() + b'], "unresponsive_engines": null}'

    answer = read_searxng(body, HAMMER, 1, where="sx")

    assert (len(answer.hits), answer.blank, answer.unresponsive) == (hits, lost, ())
    assert answer.hits[-1] == Hit(url="https://a.example/1.jpg", engine="flickr", title="A")
    assert (answer.hits[0].width, answer.hits[0].height) == (0, 0)
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Answer) == answer


@pytest.mark.parametrize("silent", [None, {}, "x", 5, [None, [], "x"]])
def test_whatever_stands_for_engines_that_did_not_answer_is_tolerated(silent: Any) -> None:
    answer = read_searxng(json.dumps({"results": [GOOD], "unresponsive_engines": silent}).encode(), HAMMER, 1, where="sx")

    assert (len(answer.hits), answer.unresponsive) == (1, ())


@pytest.mark.parametrize(
    ("reply", "is_of_the_page"),
    [
        ((500, {}, b""), True),
        (as_json({"results": 5}), True),
        ((200, {}, b"[" * 100_000), True),
        ((401, {}, b""), False),
        ((403, {}, b""), False),
        ((429, {}, b""), False),
        ((200, {}, b"<html>"), False),
        ((0, {}, b""), False),
    ],
)
def test_only_what_says_something_of_the_whole_instance_is_a_failure_of_it(reply: Reply, is_of_the_page: bool) -> None:
    with outside(searx(reply)) as world, pytest.raises(ServiceError) as caught:
        SearxngSupplier(Searxng(url="http://sx.example"), web(world)).ask(HAMMER, 1)

    assert isinstance(caught.value, PageError) == is_of_the_page


def test_odd_works_of_openverse_and_pages_of_commons_are_lost_alone() -> None:
    works = {"results": [{"url": 5}, None, {"url": "https://a.example/1.jpg", "width": "wide"}, {"url": "https://a.example/2.jpg"}], "page_count": None}
    with outside(lambda _: as_json(works)) as world:
        answer = openverse(world).ask(HAMMER, 1)
    with outside(lambda _: as_json({"query": {"pages": [page(1), {"title": 5}, None]}})) as world:
        pages = commons(world).ask(HAMMER, 1)

    assert ([hit.url for hit in answer.hits], answer.blank, answer.last) == (["https://a.example/2.jpg"], 3, False)
    assert (len(pages.hits), pages.blank) == (1, 2)


@pytest.mark.parametrize(
    "lie",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
    ],
)
def test_a_service_that_breaks_the_rules_of_http_does_not_answer(lie: bytes) -> None:
    with open_site({"*": lambda guest: guest.say(lie)}) as site, pytest.raises(ServiceError, match="does not answer: the connection broke off"):
        Web(Endpoints(gateway=site.url("")), "cv@shop.example", sleep=lambda _: None).get("http://sx.example/search", {})


def test_a_service_that_is_busy_for_a_moment_is_asked_again() -> None:
    replies = iter([(503, {"Retry-After": "7"}, b""), (0, {}, b""), as_json({"results": []})])
    clock = Clock()
    with outside(searx(lambda _: next(replies))) as world:
        SearxngSupplier(Searxng(url="http://sx.example"), web(world, clock)).ask(HAMMER, 1)

    assert clock.slept == [7.0, 1.5]


def test_an_instance_that_is_down_names_the_command_that_starts_it() -> None:
    with outside(searx(as_json({}))) as world:
        asked = web(world)

    with pytest.raises(ServiceError, match=r"does not answer: nothing listens there\. Start it \(`docker compose up -d searxng`\)"):
        SearxngSupplier(Searxng(url="http://sx.example"), asked).ask(HAMMER, 1)


def openverse(world: Outside, clock: Clock | None = None) -> OpenverseSupplier:
    return OpenverseSupplier(Openverse(on=True, licences=("cc0", "by")), web(world, clock))


WORK = {"url": "https://a.example/1.jpg", "license": "by-sa", "license_version": "2.0", "creator": None, "source": "flickr", "width": 640, "height": 480}


def test_openverse_is_asked_anonymously_for_twenty_works_under_the_licences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENVERSE_TOKEN", raising=False)
    with outside(lambda _: as_json({"results": [WORK, {"url": None}], "page_count": 2})) as world:
        answer = openverse(world).ask(HAMMER, 1)

    asked = world.asked[0]
    assert (asked.host, asked.path) == ("api.openverse.org", "/v1/images/")
    assert asked.query == {"q": "claw hammer", "page": "1", "page_size": "20", "license": "cc0,by"}
    assert "authorization" not in asked.headers
    assert answer.hits == (Hit(url="https://a.example/1.jpg", engine="flickr", width=640, height=480, license="CC-BY-SA-2.0"),)
    assert (answer.last, answer.blank) == (False, 1)


def test_the_token_for_openverse_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVERSE_TOKEN", "t0ken\n")
    with outside(lambda _: as_json({"results": [], "page_count": 0})) as world:
        openverse(world).ask(HAMMER, 1)

    assert world.asked[0].headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(("token", "do"), [("", "crawl.openverse.pages"), ("old", "new OPENVERSE_TOKEN")])
def test_a_401_of_openverse_means_a_bad_token_or_too_much_without_one(token: str, do: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVERSE_TOKEN", token)
    with outside(lambda _: as_json({"detail": "no"}, 401)) as world, pytest.raises(ServiceError) as caught:
        openverse(world).ask(HAMMER, 1)

    assert do in caught.value.do


def test_a_page_that_openverse_does_not_have_is_the_end() -> None:
    with outside(lambda _: as_json({"detail": "Invalid page."}, 404)) as world:
        assert openverse(world).ask(HAMMER, 13).last


def test_the_minute_limit_of_openverse_is_waited_for() -> None:
    minute = {"x_ratelimit_limit_anon_burst": "20/min", "x_ratelimit_available_anon_burst": "0", "x_ratelimit_available_anon_sustained": "150"}
    replies = iter([as_json({}, 429, **minute, retry_after="41"), as_json({}, 429, **minute), as_json({"results": [WORK], "page_count": 1})])
    clock = Clock()
    with outside(lambda _: next(replies)) as world:
        answer = openverse(world, clock).ask(HAMMER, 1)

    assert len(answer.hits) == 1
    assert clock.slept == [41.0, 60.0]


@pytest.mark.parametrize("status", [200, 429])
def test_the_daily_limit_of_openverse_stops_it_for_today_without_another_request(status: int) -> None:
    headers = {"X-RateLimit-Limit-anon_sustained": "200/day", "X-RateLimit-Available-anon_sustained": "0"}
    clock = Clock()
    with outside(lambda _: (status, headers, as_json({"results": [WORK], "page_count": 9})[2])) as world:
        supplier = openverse(world, clock)
        if status == 200:
            assert len(supplier.ask(HAMMER, 1).hits) == 1
        for _ in range(2):
            with pytest.raises(ServiceError, match=r"its limit of 200/day is used up\. Go on tomorrow"):
                supplier.ask(HAMMER, 2)

    assert (len(world.asked), clock.slept) == (1, [])


def commons(world: Outside, clock: Clock | None = None) -> CommonsSupplier:
    return CommonsSupplier(Commons(on=True), web(world, clock))


def page(number: int, mime: str = "image/jpeg", **said: str) -> dict[str, Any]:
    """A page of Commons with one file."""
    info = {"url": f"https://upload.example/{number}.jpg", "descriptionurl": f"https://commons.example/{number}", "width": 800, "height": 600, "mime": mime, "user": "U"}
    return {"title": f"File:{number}.jpg", "index": number, "imageinfo": [{**info, "extmetadata": {name: {"value": value} for name, value in said.items()}}]}


def test_commons_gets_its_continue_back_in_the_pace_that_it_wants() -> None:
    more = {"gsroffset": 50, "continue": "gsroffset||"}
    replies = iter([as_json({"query": {"pages": [page(2), page(1)]}, "continue": more}), as_json({"query": {"pages": [page(3)]}})])
    clock = Clock()
    with outside(lambda _: next(replies)) as world:
        supplier = commons(world, clock)
        first = supplier.ask(HAMMER, 1)
        second = supplier.ask(HAMMER, 2, first)

    assert [hit.title for hit in first.hits] == ["1.jpg", "2.jpg"]
    assert (first.last, second.last) == (False, True)
    assert "gsroffset" not in world.asked[0].query
    assert (world.asked[1].query["gsroffset"], world.asked[1].query["continue"]) == ("50", "gsroffset||")
    assert world.asked[0].query["maxlag"] == "5"
    assert "cv@shop.example" in world.asked[0].headers["user-agent"]
    assert clock.slept == [pytest.approx(0.21)]


def test_commons_is_waited_for_where_it_lags_or_is_busy() -> None:
    lag = as_json({"error": {"code": "maxlag", "info": "Waiting for a database"}}, retry_after="5")
    replies = iter([lag, (429, {"Retry-After": "9"}, b"slow down"), as_json({"query": {"pages": [page(1)]}})])
    clock = Clock()
    with outside(lambda _: next(replies)) as world:
        answer = commons(world, clock).ask(HAMMER, 1)

    assert len(answer.hits) == 1
    assert clock.slept == [5.0, 9.0]


@pytest.mark.parametrize(
    ("reply", "what", "do"),
    [
        ((403, {}, b"Please set a user-agent"), "HTTP 403", "project.contact"),
        ((429, {"Retry-After": "3600"}, b""), "it asks to wait 3,600 s", "later"),
        (as_json({"error": {"code": "maxlag"}}), "it is busy, and stays so", "later"),
        (as_json({"error": {"code": "badvalue", "info": "<b>No</b> such thing"}}), "badvalue: No such thing", "crawl.commons.on: false"),
        ((200, {}, b"<html>"), "it answers with a web page", "crawl.commons.on: false"),
        ((500, {}, b""), "HTTP 500", "crawl.commons.on: false"),
    ],
)
def test_each_refusal_of_commons_says_what_to_do(reply: Reply, what: str, do: str) -> None:
    with outside(lambda _: reply) as world, pytest.raises(ServiceError) as caught:
        commons(world).ask(HAMMER, 1)

    assert caught.value.what.startswith(what)
    assert do in caught.value.do


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ({"LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0/deed.en"}, "CC-BY-SA-4.0"),
        ({"License": "cc-by-3.0"}, "CC-BY-3.0"),
        ({"LicenseShortName": "CC BY-SA 2.5"}, "CC-BY-SA-2.5"),
        ({"LicenseShortName": "Public domain"}, "LicenseRef-PDM-1.0"),
        ({"LicenseUrl": "http://artlibre.org", "License": "fal"}, ""),
        ({}, ""),
    ],
)
def test_a_licence_of_commons_is_read_from_whatever_field_states_it(said: dict[str, str], licence: str) -> None:
    with outside(lambda _: as_json({"query": {"pages": [page(1, Artist='<a href="//x">Ada <i>L.</i></a>', **said)]}})) as world:
        hit = commons(world).ask(HAMMER, 1).hits[0]

    assert (hit.license, hit.author) == (licence, "Ada L.")


USER = "//commons.wikimedia.org/wiki/User:Ada_%26_Co"


@pytest.mark.parametrize(
    ("artist", "url"),
    [
        (f'<a href="{USER}" title="User:Ada">Ada</a>', f"https:{USER}"),
        (f"Photo by <a class='x' href='{USER}'><b>Ada</b></a>, <a href='https://b.example/'>Ben</a>", f"https:{USER}"),
        (f'<a href="//commons.wikimedia.org/wiki/File:A.jpg"><img src="x"></a> <a href="{USER}">Ada</a>', f"https:{USER}"),
        ('<a href="//commons.wikimedia.org/w/index.php?title=User:X&amp;action=edit&amp;redlink=1" class="new">X</a>', ""),
        ('<a href="https://a.example/?a=1&amp;b=2">Ada</a>', "https://a.example/?a=1&b=2"),
        ('<a href="javascript:alert(1)">Ada</a>', ""),
        ("Ada L.", ""),
        ("", ""),
    ],
)
def test_the_page_of_an_author_is_what_commons_links_to(artist: str, url: str) -> None:
    with outside(lambda _: as_json({"query": {"pages": [page(1, Artist=artist)]}})) as world:
        assert commons(world).ask(HAMMER, 1).hits[0].author_url == url


@pytest.mark.parametrize(("said", "url"), [("https://www.flickr.com/photos/ada", "https://www.flickr.com/photos/ada"), ("javascript:x", ""), (None, "")])
def test_the_page_of_an_author_is_what_openverse_states(said: str | None, url: str) -> None:
    work = {"url": "https://a.example/1.jpg", "creator": "Ada", "creator_url": said}
    with outside(lambda _: as_json({"results": [work], "page_count": 1})) as world:
        (hit,) = openverse(world).ask(HAMMER, 1).hits

    assert (hit.author, hit.author_url) == ("Ada", url)


@pytest.mark.parametrize("mime", ["application/pdf", "image/vnd.djvu", "image/tiff", "image/svg+xml"])
def test_what_is_no_picture_on_commons_carries_its_type(mime: str) -> None:
    with outside(lambda _: as_json({"query": {"pages": [page(1, mime)]}})) as world:
        assert commons(world).ask(HAMMER, 1).hits[0].mime == mime


def test_lists_are_read_in_every_common_form(tmp_path: Path) -> None:
    rows = "url;category;licence;author;author_url\r\nhttps://a.example/1.jpg;hammer;CC BY 4.0;Ada;https://ada.example/\r\n\r\nhttps://a.example/2.jpg;hammer;house rules;;\r\n"
    (tmp_path / "one.csv").write_bytes(b"\xef\xbb\xbf" + rows.encode())
    (tmp_path / "two.csv").write_text('Address,Category,Title\nhttps://a.example/3.jpg,hammer,"big, and\nred"\nhttps://a.example/4.jpg,saw,x\n')

    one, two = (UrlList(str(tmp_path / name), "hammer").ask(HAMMER, 1) for name in ("one.csv", "two.csv"))

    assert msgspec.structs.replace(one, content="") == Answer(
        supplier="url_lists",
        list_name=str(tmp_path / "one.csv"),
        q="",
        lang="",
        page=1,
        hits=(
            Hit(url="https://a.example/1.jpg", engine="one", license="CC-BY-4.0", author="Ada", author_url="https://ada.example/"),
            Hit(url="https://a.example/2.jpg", engine="one", license="LicenseRef-house-rules"),
        ),
        last=True,
    )
    assert two.hits == (Hit(url="https://a.example/3.jpg", engine="two", title="big, and red"),)


def test_bad_rows_of_a_list_are_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text('url,category\nhttps://a.example/1.jpg,hammer\n,hammer\nhttps://a.example/2.jpg\nhttps://a.example/3.jpg,\n,""x\n')

    summary = summary_of(path)
    answer = UrlList(str(path), "hammer").ask(HAMMER, 1)

    assert summary.rows == {"hammer": 1}
    assert summary.bad == [f"{path}:3: no url", f"{path}:4: 1 columns instead of 2", f"{path}:5: no category", f"{path}:6: no url"]
    assert (len(answer.hits), answer.blank) == (1, 4)
    assert answer.notes == (f"4 rows cannot be used: {'; '.join(summary.bad[:3])} and 1 more",)


def test_a_cell_without_end_costs_its_own_row_only(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text(f"url,category\nhttps://a.example/1.jpg,hammer\nhttps://a.example/{'x' * 200_000},hammer\nhttps://a.example/2.jpg,hammer\n")

    summary = summary_of(path)

    assert (summary.rows, len(summary.bad)) == ({"hammer": 2}, 1)
    assert summary.bad[0].startswith(f"{path}:3: field larger")


def test_long_lists_come_page_by_page_from_any_page_on(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("url,category\n" + "".join(f"https://a.example/{n}.jpg,hammer\n" for n in range(250)))
    supplier = UrlList(str(tmp_path / "l.csv"), "hammer")
    first = supplier.ask(HAMMER, 1)
    second = supplier.ask(HAMMER, 2, first)
    other = UrlList(str(tmp_path / "l.csv"), "hammer")
    assert other.again([first, second], print) == [first, second]
    third = other.ask(HAMMER, 3, second)

    assert [len(one.hits) for one in (first, second, third)] == [100, 100, 50]
    assert len({hit.url for one in (first, second, third) for hit in one.hits}) == 250
    assert (second.last, third.last) == (False, True)
    assert supplier.ask(HAMMER, 1) == first


@pytest.mark.parametrize(
    ("content", "what", "do"),
    [
        (None, "cannot read: No such file or directory", "crawl.url_lists"),
        (b"link,what\n", "its columns are link, what", "url and category"),
        (b"", "its columns are none", "url and category"),
        (b"url,category\nhttps://a.example/\xe9.jpg,hammer\n", "not UTF-8", "UTF-8"),
    ],
)
def test_a_list_that_cannot_be_read_says_what_it_needs(tmp_path: Path, content: bytes | None, what: str, do: str) -> None:
    if content is not None:
        (tmp_path / "l.csv").write_bytes(content)

    with pytest.raises(InputError) as caught:
        UrlList(str(tmp_path / "l.csv"), "hammer").ask(HAMMER, 1)

    assert caught.value.what.startswith(what)
    assert do in caught.value.do


@pytest.mark.parametrize(
    ("text", "spdx"),
    [
        ("CC BY 4.0", "CC-BY-4.0"),
        ("CC-BY-NC-ND-4.0", "CC-BY-NC-ND-4.0"),
        ("https://creativecommons.org/licenses/by/2.0/", "CC-BY-2.0"),
        ("Creative Commons Attribution-Share Alike 2.5", "CC-BY-SA-2.5"),
        ("Attribution-NonCommercial-NoDerivs 2.0 Generic", "CC-BY-NC-ND-2.0"),
        ("by-nc/4.0", "CC-BY-NC-4.0"),
        ("cc-by-sa-3.0-de", "CC-BY-SA-3.0-DE"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("Public Domain Mark 1.0", "LicenseRef-PDM-1.0"),
        ("All rights reserved", "LicenseRef-all-rights-reserved"),
        ("LicenseRef-own", "LicenseRef-own"),
        ("CC BY", ""),
        ("standby 1.0", ""),
        ("", ""),
    ],
)
def test_a_licence_in_any_usual_spelling_becomes_spdx(text: str, spdx: str) -> None:
    assert spdx_of(text) == spdx


@pytest.mark.parametrize("behind", [1, 5, 50, 6000])
def test_a_quote_that_nobody_closed_costs_its_own_row(tmp_path: Path, behind: int) -> None:
    lines = ["url,category,title", "https://a.example/0.jpg,hammer,first", 'https://a.example/bad.jpg,hammer,"a hammer']
    lines += [f"https://a.example/{n}.jpg,hammer,a {n} inch hammer" for n in range(1, behind + 1)]
    (tmp_path / "l.csv").write_text("\n".join(lines) + "\n")

    found = list(read_list(tmp_path / "l.csv"))

    assert [row for row in found if isinstance(row, str)] == [f"{tmp_path}/l.csv:3: a quote that is not closed"]
    assert [(row.line, row.url) for row in found if isinstance(row, Listed)] == [
        (2, "https://a.example/0.jpg"),
        *((n + 3, f"https://a.example/{n}.jpg") for n in range(1, behind + 1)),
    ]


def test_a_cell_may_hold_lines_and_quotes(tmp_path: Path) -> None:
    text = 'url,category,title\r\nhttps://a.example/1.jpg,hammer,"two\r\nlines, ""quoted"""\r\n\r\nhttps://a.example/2.jpg,hammer,5" nails'
    (tmp_path / "l.csv").write_bytes(text.encode())

    found = list(read_list(tmp_path / "l.csv"))

    assert [(row.line, row.title) for row in found if isinstance(row, Listed)] == [(2, 'two\r\nlines, "quoted"'), (5, '5" nails')]

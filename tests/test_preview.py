"""The preview: what sources and searches bring, judged as the crawl would, in time, on a page that needs and trusts nothing."""

import re
import socket
import time
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from boxset.cli import cli
from boxset.dataset.reasons import Reason, Refusal
from boxset.dataset.records import ImageRow
from boxset.endpoints import Endpoints, open_world
from boxset.errors import ParamsError, ServiceError
from boxset.files import read_jsonl, write_json
from boxset.params import Commons, Openverse, Params, Project, Searxng, Source, read_params
from boxset.resolve import crawl_order, index_order
from boxset.sources.index import build_index
from boxset.web.crawl import crawl
from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy
from boxset.web.pictures import Wanted
from boxset.web.preview import LATE, PATIENCE, Clock, Row, Shot, _Pass, preview, run_within, web
from boxset.web.preview_page import page
from boxset.yaml12 import parsed_yaml
from tests.outside import as_json, outside
from tests.project import REPOSITORY
from tests.test_good_pictures import encoded
from tests.test_looks import on_white, textured

Changed = dict[str, Any]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The project's parameters, in a folder of the test's own that holds nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    return read_params()


@pytest.fixture
def world(params: Params) -> Iterator[Endpoints]:
    """The embedded world."""
    with open_world(params) as endpoints:
        yield endpoints


def one_search(params: Params, **crawl: Any) -> Params:
    """Only SearXNG, only the first query of hammer, no source."""
    hammer = msgspec.structs.replace(params.categories["hammer"], queries=params.categories["hammer"].queries[:1], reject_words=("screwdriver",))
    settings = {"searxng": Searxng(pages=1), "openverse": Openverse(on=False), "commons": Commons(on=False), "pace_s": 0.0, **crawl}
    return msgspec.structs.replace(params, categories={"hammer": hammer}, sources={}, crawl=msgspec.structs.replace(params.crawl, **settings))


def wanted(url: str) -> Wanted:
    return Wanted(url=url)


def by_title(rows: list[Row]) -> dict[str, Row]:
    return {row.title: row for row in rows}


def test_a_new_project_shows_its_searches_and_says_that_its_indexes_are_missing(params: Params, world: Endpoints) -> None:
    rows = by_title(preview("hammer", params, endpoints=world, most=6, seconds=60))

    assert rows["open_images: /m/03l9g"].said == "its index is not here yet; `dvc repro index@open_images` builds it"
    searched = [row for title, row in rows.items() if title.startswith(("searxng", "openverse", "commons"))]
    assert len(searched) == 9
    assert all(row.shots for row in searched)
    assert all(len(row.shots) <= sum(row.counts.values()) <= 6 for row in searched)
    assert rows["searxng: claw hammer"].said == "did not answer: google images (CAPTCHA)"


def test_an_engine_that_gives_no_reason_for_its_silence_is_named_with_none(params: Params) -> None:
    silent = as_json({"results": [], "unresponsive_engines": [["bing", ""], ["flickr"]]})
    with outside(lambda asked: as_json({"engines": []}) if asked.path == "/config" else silent) as world:
        rows = preview("hammer", one_search(params), endpoints=world.endpoints, most=6, seconds=60)

    assert rows[0].said == "did not answer: bing (no reason given), flickr (no reason given)"


def test_pictures_of_indexed_sources_are_shown_whether_they_lie_on_the_web_or_in_an_archive(params: Params, world: Endpoints) -> None:
    for name in ("open_images", "imagenet"):
        order = index_order(name, params.sources[name])
        build_index(order, Path("data/index") / name, endpoints=world, contact="a@b", version=1)

    rows = by_title(preview("hammer", params, endpoints=world, most=5, seconds=60))

    assert len(rows["open_images: /m/03l9g"].shots) == 5
    assert len(rows["imagenet: n03481172"].shots) == 5
    assert {shot.licence for shot in rows["imagenet: n03481172"].shots} == {"LicenseRef-research-only"}


def test_pictures_that_the_licence_keeps_out_are_shown_so(params: Params, world: Endpoints) -> None:
    commercial = msgspec.structs.replace(params, project=msgspec.structs.replace(params.project, use="commercial"))
    build_index(index_order("imagenet", params.sources["imagenet"]), Path("data/index/imagenet"), endpoints=world, contact="a@b", version=1)

    rows = by_title(preview("hammer", commercial, endpoints=world, most=3, seconds=60))

    assert [(shot.dropped, shot.detail) for shot in rows["imagenet: n03481172"].shots] == [("licence", "LicenseRef-research-only")] * 3


def test_an_archive_is_read_in_one_pass_that_nobody_waits_for_longer_than_there_is_time(tmp_path: Path) -> None:
    place = tmp_path / "pictures.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("ILSVRC/val/a.JPEG", b"a")
        archive.writestr("ILSVRC/val/b.JPEG", b"b")
    time, none = Clock(30.0, now=lambda: 0.0), Clock(0.0, now=lambda: 0.0)

    found = _Pass(place, ["val/b.JPEG", "val/c.JPEG"], time)
    broken = _Pass(tmp_path / "nothing.zip", ["val/b.JPEG"], time)

    assert [found.get(wanted("val/b.JPEG")), found.get(wanted("val/c.JPEG"))] == [b"b", Refusal(Reason.GONE, "not in the archive")]
    assert isinstance(broken.get(wanted("val/b.JPEG")), Refusal)
    assert _Pass(place, [], none).get(wanted("val/z.JPEG")) in (Refusal(Reason.GONE, "not in the archive"), Refusal(Reason.TIMEOUT, LATE))


def test_own_pictures_without_labels_need_no_index(params: Params, world: Endpoints) -> None:
    folder = Path("own/shelf 1")
    folder.mkdir(parents=True)
    (folder / "one.jpg").write_bytes(encoded(textured(1)))
    (folder / "two.jpg").write_bytes(encoded(on_white(2)))
    own = Source(format="local", path="own", annotations="none", category="hammer", license="LicenseRef-own")

    rows = preview("hammer", msgspec.structs.replace(one_search(params), sources={"own": own}), endpoints=world, most=5, seconds=60)

    shown = by_title(rows)["own"].shots
    assert sorted((shot.title, shot.licence, shot.flags) for shot in shown) == [
        ("shelf 1/one.jpg", "LicenseRef-own", ()),
        ("shelf 1/two.jpg", "LicenseRef-own", ("catalogue",)),
    ]


def test_without_a_contact_own_pictures_are_shown_and_nobody_is_asked(params: Params) -> None:
    Path("own").mkdir()
    (Path("own") / "one.jpg").write_bytes(encoded(textured(1)))
    own = Source(format="local", path="own", annotations="none", category="hammer", license="LicenseRef-own")
    searching = msgspec.structs.replace(one_search(params), project=Project(name="own"), sources={"own": own})
    hammer = msgspec.structs.replace(params.categories["hammer"], queries=())
    resting = msgspec.structs.replace(searching, categories={"hammer": hammer})

    rows = preview("hammer", resting, endpoints=Endpoints(), most=5, seconds=60)

    assert [len(row.shots) for row in rows] == [1]
    with pytest.raises(ParamsError, match=r"project\.contact"):
        preview("hammer", searching, endpoints=Endpoints(), most=5, seconds=60)


def test_each_list_of_ones_own_has_a_row_that_names_its_file(params: Params, world: Endpoints) -> None:
    [known] = preview("hammer", one_search(params), endpoints=world, most=1, seconds=60)
    Path("lists").mkdir()
    Path("lists/from shop.csv").write_text(f"url,category,licence\n{known.shots[0].url},hammer,CC0 1.0\n")
    Path("other.csv").write_text(f"url,category\n{known.shots[0].url},saw\n")

    rows = preview("hammer", one_search(params, url_lists=("lists/from shop.csv", "other.csv")), endpoints=world, most=1, seconds=60)

    assert [(row.title, [shot.licence for shot in row.shots], row.said) for row in rows[:2]] == [
        ("url_lists: lists/from shop.csv", ["CC0-1.0"], ""),
        ("url_lists: other.csv", [], "has nothing for it"),
    ]


def test_another_spelling_is_left_out_only_where_the_first_was_had(params: Params, world: Endpoints) -> None:
    [known] = preview("hammer", one_search(params), endpoints=world, most=9, seconds=60)
    one, two = [shot.url for shot in known.shots if not shot.dropped][:2]
    rejected = next(shot.url for shot in known.shots if shot.dropped == "reject_word")
    urls = [one.replace("//", "//www."), one, two, f"{two}?utm_source=x", rejected, f"{rejected}?utm_source=x"]
    Path("l.csv").write_text("url,category\n" + "".join(f"{url},hammer\n" for url in urls))

    [row, _] = preview("hammer", one_search(params, url_lists=("l.csv",), robots=False), endpoints=world, most=9, seconds=60)

    assert {shot.url: shot.dropped for shot in row.shots} == dict(zip(urls[1:], ["", "", "duplicate_address", "reject_word", "reject_word"], strict=True))
    assert sum(row.counts.values()) == 6


def test_it_says_of_each_address_what_the_crawl_then_does(params: Params, world: Endpoints) -> None:
    only = one_search(params)

    [row] = preview("hammer", only, endpoints=world, most=100, seconds=60)
    order = msgspec.structs.replace(crawl_order(only, "hammer"), crawl_images=1000, confusers=())
    crawl(order, only.crawl, Path("data/crawl/hammer"), endpoints=world, contact="a@b")

    done = {r.url: r for r in read_jsonl(Path("data/crawl/hammer/images.jsonl"), ImageRow)}
    assert {shot.url: shot.dropped or "kept" for shot in row.shots} == {shot.url: done[shot.url].outcome for shot in row.shots}
    assert {shot.dropped for shot in row.shots} >= {"", "reject_word", "duplicate"}
    assert sum(row.counts.values()) >= len(done)


def test_a_second_look_asks_for_no_picture_again(params: Params, world: Endpoints) -> None:
    only = one_search(params)
    log = Path(".boxset/world/requests.jsonl")
    first = preview("hammer", only, endpoints=world, most=8, seconds=60)
    before = log.read_text().count('"status":200')

    again = preview("hammer", only, endpoints=world, most=8, seconds=60)

    assert again == first
    assert log.read_text().count('"status":200') - before <= 4  # the search itself, and robots.txt of what failed


def test_a_service_that_is_down_is_said_in_its_rows_and_stops_nothing_else(params: Params, world: Endpoints) -> None:
    crawling = msgspec.structs.replace(params.crawl, searxng=Searxng(url="http://nowhere.example"))

    rows = by_title(preview("hammer", msgspec.structs.replace(params, crawl=crawling), endpoints=world, most=3, seconds=60))

    assert "does not answer" in rows["searxng: claw hammer"].said or "HTTP" in rows["searxng: claw hammer"].said
    assert rows["commons: claw hammer"].shots


def test_without_time_it_shows_what_there_is_and_says_that_the_rest_is_late(params: Params, world: Endpoints) -> None:
    rows = preview("hammer", one_search(params), endpoints=world, most=5, seconds=0)

    assert [(row.shots, row.said) for row in rows] == [((), LATE)]


def test_a_fetch_that_hangs_is_left_to_itself_and_named(params: Params, world: Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()

    def hang(*_: object, **__: object) -> Refusal:
        over.wait()
        return Refusal(Reason.GONE)

    monkeypatch.setattr(Fetcher, "get", hang)
    found: list[Row] = []
    run_within([lambda: found.extend(preview("hammer", one_search(params), endpoints=world, most=5, seconds=2))], workers=1, seconds=60)
    over.set()

    (row,) = found
    late = row.counts[Reason.TIMEOUT]
    assert late >= 1
    assert row.said.endswith(f"{late} of 5 {LATE}")
    assert sum(row.counts.values()) == 5
    assert f"{late} of 5 {LATE}" in page({"hammer": found})


def test_hosts_that_accept_and_say_nothing_hold_nobody_past_the_time(params: Params) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        port = mute.getsockname()[1]
        policy = FetchPolicy(
            idle_s=600, timeout_s=600, per_host=1, allowed=frozenset({("mute.example", port)}), ports=frozenset({port}), until=time.monotonic() + 1
        )
        answers: list[Fetched | Refusal] = []
        with Fetcher(Endpoints(), contact="a@b.example", policy=policy, resolving=lambda *_: ["127.0.0.1"]) as fetcher:
            jobs = [lambda n=n: answers.append(fetcher.get(f"http://mute.example:{port}/{n}.jpg")) for n in range(4)]  # type: ignore[misc]
            run_within(jobs, workers=4, seconds=120)

    assert [answer.reason for answer in answers if isinstance(answer, Refusal)] == [Reason.TIMEOUT] * 4


@pytest.mark.parametrize("policy", [FetchPolicy(robots=False, until=0.0), FetchPolicy(robots=False, tries=1, pace_s=1000.0, until=time.monotonic() + 500)], ids=["over", "pace"])
def test_what_would_have_to_wait_past_the_time_is_not_asked(policy: FetchPolicy, world: Endpoints) -> None:
    with Fetcher(world, contact="", policy=policy, sleep=lambda _: pytest.fail("it waits")) as fetcher:
        answers = [fetcher.get("http://nowhere.example/a.jpg") for _ in range(2)]

    assert isinstance(answers[1], Refusal)
    assert answers[1].reason is Reason.TIMEOUT


def test_a_host_that_is_slow_is_soon_left_alone_and_others_are_not(params: Params, world: Endpoints) -> None:
    asked: list[str] = []

    class Slow(Fetcher):
        def get(self, url: str, *, max_bytes: int | None = None) -> Fetched | Refusal:
            asked.append(url)
            return Refusal(Reason.TIMEOUT) if "slow" in url else Fetched(b"picture")

    with web(params, world, FetchPolicy(), Clock(5.0, now=lambda: 0.0), fetching=Slow) as get:
        said = [get(wanted(f"https://{host}.example/{n}.jpg")) for n in range(4) for host in ("slow", "quick")]

    assert said[1::2] == [b"picture"] * 4
    assert {refusal.reason for refusal in said[::2] if isinstance(refusal, Refusal)} == {Reason.TIMEOUT}
    assert sum("slow" in url for url in asked) == PATIENCE


def test_jobs_that_hang_are_left_to_themselves_and_faults_are_raised() -> None:
    hanging, done = Event(), list[int]()

    run_within([hanging.wait, lambda: done.append(1), lambda: done.append(2)], workers=2, seconds=0.3)  # type: ignore[list-item]
    hanging.set()

    assert done == [1, 2]
    with pytest.raises(ZeroDivisionError):
        run_within([lambda: done.append(1 // 0)], workers=1, seconds=30)
    assert Clock(5.0, now=lambda: 7.0).left_s == 0.0


class Read(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "srcset", "data", "action") or name.startswith("on")]
        self.linked += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.said += data


def read(text: str) -> Read:
    found = Read()
    found.feed(text)
    return found


def test_a_hostile_title_is_text_and_the_page_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(encoded(textured(1)))
    evil = '"><script>alert(1)</script><img src=http://x.test onerror=alert(1)>'
    shot = Shot(
        file,
        f"https://a.test/{evil}",
        evil,
        evil,
        evil,
        640,
        480,
        landing_url="javascript:alert(1)",
        flags=(evil,),
        dropped="reject_word",
        detail=evil,
    )
    row = Row(
        evil,
        (shot, Shot(file, "https://b.test/1.jpg", "", "b.test", "", 1, 1, landing_url="https://b.test/p?a=1&b=2")),
        {"kept": 1, evil: 1},
        f"`{evil}`",
    )

    found = read(page({evil: [row], "hammer": [row]}))

    assert found.tags.isdisjoint({"script", "link", "iframe", "form", "object"})
    assert found.loaded
    assert all(value.startswith("data:image/jpeg;base64,") for value in found.loaded)
    assert {link for link in found.linked if not link.startswith("#")} == {"https://b.test/p?a=1&b=2"}
    assert found.said.count("alert(1)") > 5
    assert "default-src 'none'; img-src data:" in page({"hammer": [row]})


def test_every_picture_says_what_it_is_and_what_becomes_of_it(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(encoded(textured(1)))
    kept = Shot(file, "https://a.test/1.jpg", "Claw hammer", "a.test", "CC-BY-4.0", 640, 480, flags=("catalogue",))
    left = Shot(file, "https://b.test/2.jpg", "", "b.test", "", 100, 90, dropped="reject_word", detail="clipart")
    counts = {"kept": 1, "reject_word": 1, "gone": 2}

    said = read(page({"hammer": [Row("searxng: claw hammer", (kept, left), counts, "did not answer: bing (timeout)")]})).said

    for part in ("Claw hammer", "a.test", "640×480 · CC-BY-4.0", "catalogue", "2.jpg", "100×90 · licence unknown", "reject word: clipart"):
        assert part in said
    assert "1 of 4 pictures would be kept; left out: gone 2, reject word 1" in said
    assert "did not answer: bing (timeout)" in said


def test_headings_go_down_one_level_at_a_time() -> None:
    row = Row("searxng: claw hammer", (), {}, "")

    levels = [re.findall(r"<h(\d)", page(rows)) for rows in ({"hammer": [row]}, {"hammer": [row], "saw": [row]})]

    assert levels == [["1", "2"], ["1", "2", "3", "2", "3"]]


def test_the_command_writes_one_page_for_a_category_or_for_all(params: Params) -> None:
    one = CliRunner().invoke(cli, ["preview", "hammer", "--n", "2"])
    every = CliRunner().invoke(cli, ["preview", "--all", "--n", "1"])

    assert (one.exit_code, every.exit_code) == (0, 0), one.output + every.output
    assert "wrote preview/hammer.html" in one.output
    assert "searxng: claw hammer: " in one.output
    assert {f"#{name}" for name in params.categories} <= set(read(Path("preview/all.html").read_text()).linked)


def test_the_command_says_what_it_waits_for_before_it_waits(params: Params) -> None:
    lines = CliRunner().invoke(cli, ["preview", "hammer", "--n", "1", "--seconds", "60"]).output.splitlines()

    assert lines[0] == "hammer: looks into its sources and asks the search services; 60 s in all, at the most"
    assert re.fullmatch(r"hammer: fetches \d+ pictures?, \d+ s at the most", lines[1])
    assert "hammer: commons: claw hammer: 1 picture" in lines


def offline(*, categories: tuple[str, ...]) -> None:
    """Let the project have no source, and one search service, which does not answer."""
    read = parsed_yaml(Path("params.yaml").read_text(), where="params.yaml")
    known = {name: {**read["categories"][name], "classes": {}} for name in categories}
    asking = {"searxng": {"url": "http://nowhere.example"}, "openverse": {"on": False}, "commons": {"on": False}}
    write_json(Path("params.yaml"), {**read, "sources": {}, "categories": known, "crawl": asking})


def test_a_supplier_that_does_not_answer_says_so_once_and_nothing_to_show_is_an_error(params: Params) -> None:
    offline(categories=("driller", "hammer"))

    done = CliRunner().invoke(cli, ["preview", "--all", "--n", "1"])

    assert done.exit_code == 1
    assert isinstance(done.exception, ServiceError)
    assert str(done.exception).startswith("nothing to show: no supplier answers (is there a network?). `boxset doctor`")
    assert [line for line in done.output.splitlines() if line.startswith("searxng")] == [line for line in done.output.splitlines() if "nowhere.example" in line]
    assert done.output.count("nowhere.example") == 1
    assert not Path("preview").exists()


def test_what_is_shown_in_spite_of_a_supplier_that_fails_is_no_error(params: Params) -> None:
    offline(categories=("hammer",))
    Path("l.csv").write_text("url,category\nhttp://nowhere.example/1.jpg,hammer\n")
    read = parsed_yaml(Path("params.yaml").read_text(), where="params.yaml")
    write_json(Path("params.yaml"), {**read, "crawl": {**read["crawl"], "url_lists": ["l.csv"]}})

    done = CliRunner().invoke(cli, ["preview", "hammer", "--n", "1"])

    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "wrote preview/hammer.html")


def test_the_command_wants_a_category_that_there_is(params: Params) -> None:
    assert "name a category, or --all" in CliRunner().invoke(cli, ["preview"]).output
    assert "did you mean hammer" in str(CliRunner().invoke(cli, ["preview", "hamer"]).exception)

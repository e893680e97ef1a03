"""The crawl against scripted sites: every address has its row, timing changes nothing, and what was kept stays as parameters change."""

import io
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from boxset.dataset.records import ImageRow
from boxset.dataset.takedown import NOTHING_DOWN, Takedowns
from boxset.endpoints import Endpoints
from boxset.errors import ServiceError
from boxset.files import read_jsonl
from boxset.params import Commons, Crawl, Licences, Openverse, Query, Searxng
from boxset.resolve import CrawlOrder
from boxset.web.crawl import crawl
from boxset.web.suppliers import Answer
from tests.outside import Asked, Outside, Search, as_json, outside, photo
from tests.project import REPOSITORY

OUT = Path("data/crawl/hammer")
URLS = {q: [f"https://{q}{n % 3}.example/{n}.jpg" for n in range(30)] for q in ("claw", "sledge")}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def world(here: Path) -> Iterator[Outside]:
    """An instance that knows thirty pictures for each of two queries, and their sites."""
    with outside(Search(URLS)) as world:
        yield world


def run(
    world: Outside | Endpoints,
    wanted: int = 12,
    *,
    queries: tuple[str, ...] = ("claw", "sledge"),
    asked: frozenset[str] = frozenset(),
    down: Takedowns = NOTHING_DOWN,
    **more: Any,
) -> dict[str, Any]:
    """Crawl for hammers; `order__x` are fields of the order, the others of the settings."""
    fields: dict[str, Any] = {"confusers": (), "reject_words": (), "use": "research", "licences": Licences()}
    fields |= {name.removeprefix("order__"): value for name, value in more.items() if name.startswith("order__")}
    order = CrawlOrder(category="hammer", crawl_images=wanted, queries=tuple(Query(q=q) for q in queries), **fields)
    settings = {"pace_s": 0.0, "per_host": 16, "searxng": Searxng(url="http://sx.example"), **{n: v for n, v in more.items() if not n.startswith("order__")}}
    endpoints = world if isinstance(world, Endpoints) else world.endpoints
    return crawl(order, Crawl(**settings), OUT, endpoints=endpoints, contact="a@shop.example", asked=asked, down=down)


def rows() -> list[ImageRow]:
    """Every address that was tried."""
    return read_jsonl(OUT / "images.jsonl", ImageRow)


def kept() -> list[str]:
    """The addresses of the kept pictures, in order."""
    return [row.url for row in rows() if row.picture is not None]


def content() -> dict[str, bytes]:
    """The whole output."""
    return {path.relative_to(OUT).as_posix(): path.read_bytes() for path in sorted(OUT.rglob("*")) if path.is_file()}


def forget() -> None:
    """Forget what stands outside the output, as in another clone."""
    shutil.rmtree(".boxset")


def fetched(world: Outside) -> list[str]:
    """The pictures that were asked for."""
    return [f"https://{one.host}{one.path}" for one in world.asked if one.host != "sx.example" and one.path != "/robots.txt"]


def test_one_connection_and_sixty_four_give_the_same_bytes_whatever_the_delays(here: Path) -> None:
    broken = {url for n, url in enumerate(URLS["claw"] + URLS["sledge"]) if n % 4 == 1}
    outputs = []
    for connections, delay_s in ((1, 0.0), (64, 0.03), (64, 0.0)):
        with outside(Search(URLS, delay_s=delay_s, gone=broken)) as world:
            metrics = run(world, 15, connections=connections, per_site=3)
        outputs.append((metrics, content()))
        shutil.rmtree(OUT)
        forget()

    assert outputs[0][0]["kept"] == 15
    assert outputs[0][0]["dropped"].keys() == {"gone", "site_limit"}
    assert outputs[1] == outputs[0]
    assert outputs[2] == outputs[0]


CRAWL = """
import sys
from boxset.endpoints import Endpoints
from tests.test_crawl_rules import run
run(Endpoints(gateway=sys.argv[1]), 150, connections=4, robots=False)
"""


class Killer:
    """Answers as the search does, and kills whoever asks for the so-many-th time."""

    def __init__(self, search: Search) -> None:
        self.search, self.child, self.left = search, None, 0

    def __call__(self, asked: Asked) -> Any:
        self.left -= 1
        if self.left <= 0 and self.child is not None:  # a request of the one killed before may have been counted
            self.child.kill()
        return self.search(asked)


def test_twenty_kills_at_any_moment_change_nothing(here: Path) -> None:
    many = {q: [f"https://{q}{n % 3}.example/{n}.jpg" for n in range(110)] for q in ("claw", "sledge")}
    killer = Killer(Search(many, gone={url for n, url in enumerate(many["claw"]) if n % 4 == 1}))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    kills = 0
    with outside(killer) as world:
        metrics = run(world, 150, connections=4, robots=False)
        undisturbed = content()
        shutil.rmtree(OUT)
        forget()
        while kills < 20 and not OUT.joinpath("images.jsonl").exists():
            killer.left = 1 + kills % 4
            killer.child = subprocess.Popen([sys.executable, "-c", CRAWL, world.gateway], env=environment, stdout=subprocess.DEVNULL)
            kills += killer.child.wait() == -signal.SIGKILL
        killer.child = None

        assert kills == 20
        assert (run(world, 150, connections=4, robots=False), content()) == (metrics, undisturbed)


def test_a_rebuild_needs_nobody(world: Outside) -> None:
    metrics = run(world)
    before = content()
    forget()

    nobody = Endpoints(gateway="http://127.0.0.1:1")

    assert (run(nobody), content()) == (metrics, before)


def test_a_crawl_that_came_to_the_end_of_everything_is_rebuilt_with_everybody_down(world: Outside) -> None:
    metrics = run(world, 999, queries=("claw",))
    before = content()
    forget()

    assert metrics["short"] == 999 - 30
    assert (run(Endpoints(gateway="http://127.0.0.1:1"), 999, queries=("claw",)), content()) == (metrics, before)


def test_a_first_crawl_with_everybody_down_is_an_error(here: Path) -> None:
    with pytest.raises(ServiceError, match=r"crawl\.searxng\.url"):
        run(Endpoints(gateway="http://127.0.0.1:1"))


def test_a_first_crawl_that_no_supplier_answers_says_so_and_what_to_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ServiceError) as caught:
        run(Endpoints(gateway="http://127.0.0.1:1"), openverse=Openverse(on=True), commons=Commons(on=True))

    assert str(caught.value) == (
        "hammer: no supplier answers (is there a network?). What each of them said stands above; "
        "`boxset doctor` asks the search service, `dvc repro` all of them again"
    )
    lines = capsys.readouterr().out.splitlines()
    assert "hammer: warning: https://commons.wikimedia.org/w/api.php: does not answer: nothing listens there. Run it again: what was answered is kept" in lines


def test_every_address_has_one_row_also_where_it_is_not_asked(here: Path) -> None:
    good = "https://a.example/1.jpg"
    results: list[dict[str, Any]] = [
        {"img_src": good},
        {"img_src": good},
        {"img_src": "https://www.a.example/1.jpg?utm_source=x"},
        {"img_src": "https://a.example/gavel.jpg"},
        {"img_src": "https://user:pw@a.example/2.jpg"},
        {"img_src": "", "thumbnail_src": "https://t.example/3.jpg"},
        {"img_src": "", "url": "https://a.example/page"},
    ]

    def answer(asked: Asked) -> Any:
        if asked.host == "sx.example":
            return as_json({"results": results if asked.query.get("pageno") == "1" else []}) if asked.path == "/search" else as_json({})
        return 200, {}, photo(1)

    with outside(answer) as world:
        metrics = run(world, queries=("x",), order__reject_words=("gavel",))

    assert [(row.url, row.outcome, row.detail) for row in rows()] == [
        (good, "kept", ""),
        ("https://www.a.example/1.jpg?utm_source=x", "duplicate_address", good),
        ("https://a.example/gavel.jpg", "reject_word", "gavel"),
        ("https://user:pw@a.example/2.jpg", "bad_address", "credentials in the address"),
        ("https://t.example/3.jpg", "thumbnail", "no original"),
    ]
    assert fetched(world) == [good]
    assert (metrics["repeated"], metrics["blank"]) == (1, 1)
    assert metrics["seen"] == len(rows()) == 5


def spellings(number: int) -> list[str]:
    """Three spellings of one address."""
    return [f"https://s{number}.example/1.jpg", f"https://www.s{number}.example/1.jpg", f"https://s{number}.example/1.jpg/"]


def test_another_spelling_is_asked_in_its_turn_where_those_before_it_failed_whatever_the_timing(here: Path) -> None:
    all_spelt = [spellings(number) for number in range(8)]
    gone = {url for number, spelt in enumerate(all_spelt) for url in spelt[: number % 4]}
    search = {"claw": [spelt[place] for place in range(3) for spelt in all_spelt]}
    outputs, asked = [], []
    for connections, delay_s in ((1, 0.0), (64, 0.02), (64, 0.0)):
        with outside(Search(search, delay_s=delay_s, gone=gone)) as world:
            metrics = run(world, 30, queries=("claw",), connections=connections)
        outputs.append((metrics, content()))
        asked.append(sorted(fetched(world)))
        outcomes = {row.url: (row.outcome, row.detail) for row in rows()}
        shutil.rmtree(OUT)
        forget()

    for number, spelt in enumerate(all_spelt):
        dead = number % 4
        expected = [("gone", "HTTP 404")] * dead + [("kept", "")] * (dead < 3) + [("duplicate_address", url) for url in spelt[dead : dead + 1]] * (2 - dead)
        assert [outcomes[url] for url in spelt] == expected
    assert outputs[1] == outputs[2] == outputs[0]
    assert asked[1] == asked[2] == asked[0] == sorted(url for number, spelt in enumerate(all_spelt) for url in spelt[: number % 4 + 1])


def test_what_came_by_another_spelling_is_rebuilt_without_a_request_and_a_retry_asks_what_failed(here: Path) -> None:
    first, second, third = spellings(1)
    search = Search({"claw": [first, second, third]}, gone={first})
    with outside(search) as world:
        metrics = run(world, 5, queries=("claw",))
        before = content()
        forget()
        rebuilt = (run(Endpoints(gateway="http://127.0.0.1:1"), 5, queries=("claw",)), content())
        search.gone = set()
        run(world, 5, queries=("claw",), retry=1)

    assert rebuilt == (metrics, before)
    assert [(row.url, row.outcome, row.detail) for row in rows()] == [(first, "kept", ""), (second, "duplicate_address", first), (third, "duplicate_address", first)]
    assert fetched(world) == [first, second, first]


def test_another_clone_that_lacks_the_picture_of_another_spelling_fetches_it_where_a_rule_lets_it_in(here: Path) -> None:
    first, second, _ = spellings(1)
    with outside(Search({"claw": [first, second]}, gone={first})) as world:
        run(world, 5, queries=("claw",), min_side=300)
        small = [(row.url, row.outcome) for row in rows()]
        forget()
        run(world, 5, queries=("claw",), min_side=200)

    assert small == [(first, "gone"), (second, "too_small")]
    assert kept() == [second]
    assert fetched(world) == [first, second, second]


@pytest.mark.parametrize(("status", "outcomes"), [
    (404, ["gone", "kept"]),
    (403, ["refused", "kept"]),
    (500, ["server_error", "kept"]),
    (200, ["not_an_image", "kept"]),
    (429, ["rate_limited", "duplicate_address"]),
])  # fmt: skip
def test_another_spelling_is_no_way_round_a_site_that_wants_to_be_left_alone(here: Path, status: int, outcomes: list[str]) -> None:
    first, second, _ = spellings(1)
    search = Search({"claw": [first, second]})

    def answer(asked: Asked) -> Any:
        return (status, {"Retry-After": "0"}, b"<html>no</html>") if (asked.host, asked.path) == ("s1.example", "/1.jpg") else search(asked)

    with outside(answer) as world:
        run(world, 5, queries=("claw",))

    assert [row.outcome for row in rows()] == outcomes


def test_a_list_of_dead_sites_is_a_result_once_another_category_has_reached_somebody(here: Path) -> None:
    """Of a machine that has never reached anybody it is left open whether it is online."""
    Path("mine.csv").write_text("url,category\n" + "".join(f"https://dead{n}.example/{n}.jpg,hammer\n" for n in range(7)))
    search = Search({"claw": URLS["claw"]})

    def listed(world: Outside) -> dict[str, Any]:
        return run(world, 5, queries=(), searxng=Searxng(on=False), url_lists=("mine.csv",))

    with outside(lambda asked: (0, {}, b"") if asked.host.startswith("dead") else search(asked)) as world:
        with pytest.raises(ServiceError, match=r"no site answers .* take them out of the list"):
            listed(world)
        run(world, 3, queries=("claw",))
        OUT.rename(OUT.parent / "saw")
        forget()

        metrics = listed(world)

    assert (metrics["seen"], metrics["kept"], metrics["dropped"]) == (7, 0, {"unreachable": 7})


def test_a_server_that_does_not_answer_is_asked_under_another_name_only(here: Path) -> None:
    bare, www, slash = spellings(1)
    search = Search({"claw": [bare, slash, www]})
    with outside(lambda asked: (0, {}, b"") if asked.host == "s1.example" else search(asked)) as world:
        run(world, 5, queries=("claw",), robots=False)

    assert [(row.url, row.outcome, row.detail) for row in rows() if row.url != bare] == [(slash, "duplicate_address", bare), (www, "kept", "")]
    assert rows()[0].outcome == "unreachable"


def test_another_spelling_of_a_full_site_is_not_asked(here: Path) -> None:
    first, second, _ = spellings(1)
    with outside(Search({"claw": [first, "https://s1.example/2.jpg", second]}, gone={first})) as world:
        run(world, 5, queries=("claw",), per_site=1)

    assert [row.outcome for row in rows()] == ["gone", "kept", "site_limit"]
    assert second not in fetched(world)


@pytest.mark.parametrize(
    ("word", "rejected"),
    [
        ("молоток", ["Старый МОЛОТОК", "%D0%BC%D0%BE%D0%BB%D0%BE%D1%82%D0%BE%D0%BA"]),
        ("3D модель", ["3d-модель"]),
        ("3D", ["3d-модель", "A 3D print"]),
        ("C++", ["Learn C++ now"]),
        ("C", ["Learn C++ now", "Vitamin C"]),
        ("锤子", ["大锤子图片"]),
        ("हथौड़ा", ["बड़ा हथौड़ा"]),
        ("marteau à", ["Marteau À vendre"]),
        ("🔨", []),
        ("-", []),
        ("vitamin", ["Vitamin C"]),
    ],
)
def test_reject_words_of_every_script_find_whole_words_and_a_mere_sign_finds_nothing(here: Path, word: str, rejected: list[str]) -> None:
    words = ["3d-модель", "A 3D print", "Learn C++ now", "Vitamin C", "Старый МОЛОТОК", "大锤子图片", "बड़ा हथौड़ा", "हथौड़े", "Marteau À vendre", "🔨 - hammer"]
    titles = dict.fromkeys(words) | {"%D0%BC%D0%BE%D0%BB%D0%BE%D1%82%D0%BE%D0%BA": ""}
    lines = [f"https://a{n}.example/{title if known == '' else n}.jpg,hammer,{known if known is not None else title}" for n, (title, known) in enumerate(titles.items())]
    Path("l.csv").write_text("\n".join(["url,category,title", *lines]))
    with outside(lambda _: (404, {}, b"")) as world:
        run(world, queries=(), url_lists=("l.csv",), searxng=Searxng(on=False), order__reject_words=(word,))

    assert {title for title, row in zip(titles, rows(), strict=True) if row.outcome == "reject_word"} == set(rejected)


def test_what_the_licence_policy_keeps_out_is_not_fetched(world: Outside) -> None:
    metrics = run(world, order__licences=Licences(unknown="deny"))

    assert (metrics["dropped"], metrics["kept"]) == ({"licence": 60}, 0)
    assert fetched(world) == []


def test_lists_of_ones_own_and_what_no_picture_is(here: Path) -> None:
    Path("l.csv").write_text("url,category\nhttps://claw0.example/0.jpg,hammer\nftp://a.example/1,hammer\nnonsense,hammer\nhttps://claw1.example/1.jpg,saw\n")
    with outside(Search(URLS)) as world:
        run(world, queries=(), url_lists=("l.csv",), searxng=Searxng(on=False))

    assert [(row.url, row.outcome) for row in rows()] == [
        ("https://claw0.example/0.jpg", "kept"),
        ("ftp://a.example/1", "bad_address"),
        ("nonsense", "bad_address"),
    ]


def test_an_added_list_fills_what_is_missing_and_the_pictures_of_a_removed_one_leave(here: Path) -> None:
    lists = {"a.csv": URLS["claw"][:3], "b.csv": URLS["sledge"][:3]}
    for name, urls in lists.items():
        Path(name).write_text("url,category\n" + "".join(f"{url},hammer\n" for url in urls))
    states: list[tuple[str, ...]] = [("a.csv",), ("a.csv", "b.csv"), ("b.csv",), ()]
    seen = []
    with outside(Search(URLS)) as world:
        for url_lists in states:
            run(world, 5, queries=(), url_lists=url_lists, searxng=Searxng(on=False))
            seen.append(kept())

    assert seen == [lists["a.csv"], [*lists["a.csv"], *lists["b.csv"][:2]], lists["b.csv"], []]


def listed(rows_of_hammer: list[str], *, name: str = "l.csv", head: str = "") -> None:
    """Write a list, of rows as they are or addresses; `head` stands before them."""
    Path(name).write_text("url,category,licence\n" + head + "".join(f"{row if ',' in row else row + ',hammer,'}\n" for row in rows_of_hammer))


def crawl_list(world: Outside, wanted: int = 9, **more: Any) -> list[str]:
    """Crawl by `l.csv` alone and return what was kept."""
    run(world, wanted, queries=(), **{"url_lists": ("l.csv",), "searxng": Searxng(on=False), **more})
    return kept()


def test_a_row_that_is_taken_out_of_a_list_takes_its_picture_out_and_a_new_one_comes_last(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c, d, e = URLS["claw"][:5]
    with outside(Search(URLS)) as world:
        states = []
        for urls in ([a, b, c], [c, d, a, e], [c, d, a, e], [e]):
            listed(urls)
            states.append((crawl_list(world), [line for line in capsys.readouterr().out.splitlines() if "has changed" in line]))
        forget()
        again = crawl_list(world)

    changed = "hammer: l.csv has changed since it was read: {} of its rows {} gone, {} not read yet"
    assert states == [([a, b, c], []), ([a, c, d, e], [changed.format(1, "is", 2)]), ([a, c, d, e], []), ([e], [changed.format(3, "are", 0)])]
    assert again == [e]
    assert sorted(fetched(world)) == sorted([a, b, c, d, e])
    assert [path.name for path in (OUT / "images").iterdir()] == [row.picture.file_name for row in rows() if row.picture]


def test_rows_for_others_and_another_order_change_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urls = URLS["claw"][:3]
    with outside(Search(URLS)) as world:
        listed([*urls, urls[0]])
        crawl_list(world)
        before = content()
        listed([*urls, urls[0]], head=f"{URLS['claw'][5]},saw,\n")
        crawl_list(world)

    assert content() == before
    assert "has changed" not in capsys.readouterr().out


def test_pictures_that_people_were_asked_about_stay_when_their_row_is_gone(here: Path) -> None:
    a, b, c = URLS["claw"][:3]
    with outside(Search(URLS)) as world:
        listed([a, b])
        crawl_list(world)
        asked = frozenset(row.picture.sha256 for row in rows() if row.picture and row.url == a)
        listed([c])

        assert crawl_list(world, asked=asked) == [c, a]
        assert crawl_list(world) == [c]


def test_a_row_that_is_gone_leaves_its_address_to_a_search_that_names_it_too(here: Path) -> None:
    urls = URLS["claw"][:3]
    with outside(Search({"claw": urls})) as world:
        listed([f"{url},hammer,CC0 1.0" for url in urls[:2]])
        run(world, 9, queries=("claw",), url_lists=("l.csv",))
        listed([f"{urls[1]},hammer,CC BY 4.0"])
        run(world, 9, queries=("claw",), url_lists=("l.csv",))

    told = {row.url: (row.picture.supplier, row.picture.license) for row in rows() if row.picture}
    assert told == {urls[0]: ("searxng", ""), urls[1]: ("url_lists", "CC-BY-4.0"), urls[2]: ("searxng", "")}
    assert sorted(fetched(world)) == urls


def test_a_licence_that_is_corrected_in_a_list_decides(here: Path) -> None:
    urls = URLS["claw"][:2]
    with outside(Search(URLS)) as world:
        listed(urls)
        first = crawl_list(world, order__use="commercial")
        listed([f"{urls[0]},hammer,CC BY-NC 4.0", urls[1]])

        assert (first, crawl_list(world, order__use="commercial")) == (urls, urls[1:])
    assert [(row.url, row.outcome) for row in rows()] == [(urls[0], "licence"), (urls[1], "kept")]


def test_a_list_that_is_not_here_says_what_it_said(here: Path) -> None:
    urls = URLS["claw"][:3]
    with outside(Search(URLS)) as world:
        listed(urls)
        crawl_list(world)
        before = content()
        Path("l.csv").unlink()
        forget()
        crawl_list(world)

    assert content() == before


def test_no_row_is_passed_over_when_rows_before_it_leave(here: Path) -> None:
    many = [f"https://m{n}.example/1.jpg" for n in range(230)]
    with outside(Search({"x": many}, gone=set(many[3:228]))) as world:
        listed(many)
        few = crawl_list(world, 3, robots=False)
        listed(many[2:])
        more = crawl_list(world, 9, robots=False)

    assert (few, more) == (many[:3], [many[2], *many[228:]])
    answers = read_jsonl(OUT / "results.jsonl", Answer)
    assert [hit.url for answer in answers for hit in answer.hits] == many[2:]
    assert [len(answer.hits) for answer in answers] == [98, 100, 30]


def test_a_refresh_reads_a_list_from_its_first_row_and_rows_that_are_gone_leave_all_the_same(here: Path) -> None:
    a, b, c = URLS["claw"][:3]
    with outside(Search(URLS)) as world:
        listed([a, b])
        crawl_list(world)
        listed([c, b])
        refreshed = crawl_list(world, refresh=1)
        listed([c])

        assert (refreshed, crawl_list(world, refresh=1)) == ([b, c], [c])


def test_raising_the_number_keeps_what_is_kept_and_lowering_it_takes_from_the_end(world: Outside) -> None:
    run(world, 8)
    eight = rows()
    run(world, 30)
    thirty = rows()
    asked = len(world.asked)
    run(world, 8)

    assert thirty[: len(eight)] == eight
    assert rows() == eight
    run(world, 30)
    assert rows() == thirty
    assert len(world.asked) == asked
    assert len(fetched(world)) == len(set(fetched(world)))


def test_in_another_clone_a_lower_number_and_a_rejected_word_take_pictures_out_without_a_request(world: Outside) -> None:
    run(world, 12)
    first = kept()
    forget()
    world.asked.clear()

    run(world, 6)
    assert kept() == first[:6]
    assert sorted(path.name for path in (OUT / "images").iterdir()) == sorted(row.picture.file_name for row in rows() if row.picture)

    forget()
    run(world, 3, order__reject_words=("claw0",))
    assert kept() == [url for url in first[:6] if "claw0" not in url][:3]
    assert fetched(world) == []


def test_a_list_or_supplier_that_came_to_a_full_crawl_is_named_as_not_asked(world: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, 4, queries=("claw",))
    Path("l.csv").write_text("url,category\nhttp://own.example/1.jpg,hammer\n")
    Path("saws.csv").write_text("url,category\nhttp://own.example/2.jpg,saw\n")
    capsys.readouterr()

    run(world, 4, queries=("claw",), commons=Commons(on=True), url_lists=("l.csv", "saws.csv"))
    said = capsys.readouterr().out
    run(world, 4, queries=("claw",), refresh=1, searxng=Searxng(url="http://sx.example"))

    assert "not asked for, as enough pictures came before: l.csv, commons; raise crawl_images to go on with them" in said
    assert "not asked for, as enough pictures came before: 'claw'; raise" in capsys.readouterr().out


def test_a_new_query_takes_nothing_out_and_fills_what_is_missing(world: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, 12, queries=("claw",))
    first = kept()
    run(world, 12, queries=("claw", "sledge"))
    full = kept()
    said = capsys.readouterr().out
    run(world, 16, queries=("claw", "sledge"))

    assert full == first
    assert "not asked for, as enough pictures came before: 'sledge'; raise crawl_images" in said
    assert kept()[:12] == first
    assert len(kept()) == 16


def test_a_removed_query_takes_its_pictures_out_and_the_rest_goes_on_in_order(world: Outside) -> None:
    run(world)
    before = kept()
    run(world, queries=("sledge",))

    assert kept()[:6] == [url for url in before if "sledge" in url]
    assert len(kept()) == 12
    assert {row.picture.query for row in rows() if row.picture} == {"sledge"}


def test_a_picture_that_people_were_asked_about_stays_whatever_the_queries_say(world: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    run(world)
    bought = [row.picture for row in rows() if row.picture and row.picture.query == "claw"][:2]
    asked = frozenset(picture.sha256 for picture in bought)
    run(world, queries=("sledge",), asked=asked)
    after_removal = kept()
    assert "14 of 12 pictures kept" in (said := capsys.readouterr().out)
    assert said.rstrip().endswith("; those that people were asked about stay")
    run(world, 0, queries=(), asked=asked)
    after_all = kept()
    run(world, asked=asked)

    assert after_removal[12:] == [picture.url for picture in bought]
    assert after_all == [picture.url for picture in bought]
    assert (OUT / "images" / bought[0].file_name).exists()
    assert len(kept()) == len(set(kept())) == 12


def test_a_copy_of_a_picture_that_people_were_asked_about_does_not_take_its_place(here: Path) -> None:
    first, second = "https://a.example/1.jpg", "https://b.example/2.jpg"
    search = Search({"old": [first], "new": [second]}, photos={first: photo(1), second: photo(1, side=300)})
    with outside(search) as world:
        run(world, 5, queries=("old",))
        asked = frozenset(row.picture.sha256 for row in rows() if row.picture)
        run(world, 5, queries=("new", "old"), asked=asked)
        both = [(row.url, row.outcome, row.detail) for row in rows()]
        run(world, 5, queries=("new",), asked=asked)

    assert both == [(first, "kept", ""), (second, "duplicate", first)]
    assert [(row.url, row.outcome) for row in rows()] == [(second, "duplicate"), (first, "kept")]


def test_the_same_bytes_as_a_bought_picture_at_another_address_are_kept_once_unless_a_word_takes_the_bought_one_out(here: Path) -> None:
    first, second, other = "https://a.example/1.jpg", "https://b.example/2.jpg", "https://b.example/3.jpg"
    search = Search({"old": [first], "new": [second, first, other]}, photos={first: photo(1), second: photo(1), other: photo(2)})
    with outside(search) as world:
        run(world, 5, queries=("old",))
        asked = frozenset(row.picture.sha256 for row in rows() if row.picture)
        (OUT / "results.jsonl").unlink()
        run(world, 2, queries=("new",), asked=asked)
        stays = [(row.url, row.outcome, row.detail) for row in rows()]
        run(world, 2, queries=("new",), asked=asked, order__reject_words=("a example",))

    assert stays == [(second, "duplicate", first), (first, "kept", ""), (other, "kept", "")]
    assert [(row.url, row.outcome) for row in rows()] == [(second, "kept"), (first, "reject_word"), (other, "kept")]
    assert len(list((OUT / "images").iterdir())) == 2


def test_another_spelling_of_an_address_that_people_were_asked_about_does_not_take_its_place(here: Path) -> None:
    first, dead = "https://a.example/1.jpg", "https://www.a.example/1.jpg"
    search = Search({"old": [first], "new": [dead]}, gone={dead})
    with outside(search) as world:
        run(world, 5, queries=("old",))
        asked = frozenset(row.picture.sha256 for row in rows() if row.picture)
        (OUT / "results.jsonl").unlink()
        forget()
        run(world, 5, queries=("new", "old"), asked=asked)

    assert [(row.url, row.outcome) for row in rows()] == [(dead, "gone"), (first, "kept")]


def test_an_address_that_several_suppliers_name_has_the_licence_that_one_of_them_states(here: Path) -> None:
    url = URLS["claw"][0]
    Path("l.csv").write_text(f"url,category,licence\n{url},hammer,CC BY 4.0\n")
    with outside(Search({"claw": [url]})) as world:
        run(world, queries=("claw",), url_lists=("l.csv",), order__licences=Licences(unknown="deny"))

    assert [(row.url, row.picture.license) for row in rows() if row.picture] == [(url, "CC-BY-4.0")]


def test_the_licence_that_a_list_states_counts_also_where_the_search_has_the_address_higher(here: Path) -> None:
    urls = URLS["claw"][:4]
    listed = [urls[1], urls[2], urls[0]]
    Path("l.csv").write_text("url,category,licence,author,author_url\n" + "".join(f"{url},hammer,CC BY 4.0,Ann,https://ann.example/\n" for url in listed))
    with outside(Search({"claw": urls})) as world:
        run(world, 9, queries=("claw",), url_lists=("l.csv",))

    pictures = [row.picture for row in rows() if row.picture]
    assert [p.url for p in pictures] == [urls[1], urls[0], urls[2], urls[3]]
    stated = [(p.supplier, p.license, p.author, p.author_url) for p in pictures]
    assert stated == [("url_lists", "CC-BY-4.0", "Ann", "https://ann.example/")] * 3 + [("searxng", "", "", "")]
    assert [p.rank for p in pictures] == [1, 2, 3, 4]


def test_only_words_and_licences_take_out_what_people_were_asked_about(world: Outside) -> None:
    run(world, 3)
    asked = frozenset(row.picture.sha256 for row in rows() if row.picture)
    run(world, 3, asked=asked, min_side=2000, per_site=1)
    strict = kept()
    run(world, 0, asked=asked, order__licences=Licences(unknown="deny"))

    assert len(strict) == 3
    assert kept() == []
    assert {row.outcome for row in rows()} == {"licence"}


def test_a_full_site_is_not_asked_and_a_higher_limit_asks_it(world: Outside) -> None:
    metrics = run(world, 60, queries=("claw",), per_site=2, connections=1)
    few = fetched(world)
    run(world, 60, queries=("claw",), per_site=9, connections=64)

    assert (metrics["kept"], metrics["dropped"]) == (6, {"site_limit": 24})
    assert len(few) == 6
    assert len(kept()) == 27
    assert len(fetched(world)) == len(set(fetched(world)))


def test_a_site_limit_of_one_run_is_no_outcome_in_another_clone(world: Outside) -> None:
    run(world, 60, queries=("claw",), per_site=2)
    forget()
    run(world, 60, queries=("claw",), per_site=9)

    assert len(kept()) == 27


def test_another_clone_judges_sizes_anew_and_fetches_only_what_it_now_wants(world: Outside) -> None:
    run(world, 60, queries=("claw",), min_side=241)
    assert kept() == []
    forget()
    asked = len(fetched(world))
    run(world, 60, queries=("claw",), min_side=250)
    assert len(fetched(world)) == asked
    run(world, 60, queries=("claw",), min_side=200)

    assert len(kept()) == 30


def drawn() -> bytes:
    """A PNG of flat ellipses with black outlines."""
    picture, chance, out = Image.new("RGB", (640, 480), "white"), random.Random(1), io.BytesIO()
    pencil = ImageDraw.Draw(picture)
    for _ in range(14):
        x, y = chance.randrange(560), chance.randrange(400)
        colour = tuple(chance.choice((0, 80, 255, 200)) for _ in range(3))
        pencil.ellipse((x, y, x + chance.randrange(40, 200), y + chance.randrange(40, 200)), fill=colour, outline="black", width=4)
    picture.save(out, "PNG")
    return out.getvalue()


VARIED = {
    "https://a.example/1.jpg": photo(1, side=500),
    "https://a.example/copy.jpg": photo(1, side=300),
    "https://b.example/2.png": drawn(),
    "https://b.example/thumb/3-150x150.jpg": photo(3, side=150),
    "https://c.example/4.jpg": photo(4, side=230),
}


@pytest.mark.parametrize(
    ("before", "after", "outcomes", "fetches"),
    [
        ({"drawings": "keep"}, {"drawings": "flag"}, ["kept", "duplicate", "kept", "thumbnail", "kept"], 0),
        ({"drawings": "keep"}, {"drawings": "drop"}, ["kept", "duplicate", "drawing", "thumbnail", "kept"], 0),
        ({"drawings": "drop"}, {"drawings": "drop", "min_side": 245}, ["kept", "duplicate", "drawing", "thumbnail", "too_small"], 0),
        ({"drawings": "drop"}, {"drawings": "keep"}, ["kept", "duplicate", "kept", "thumbnail", "kept"], 1),
        ({"near_duplicates": 0}, {"near_duplicates": 6}, ["kept", "duplicate", "kept", "thumbnail", "kept"], 0),
        ({}, {"near_duplicates": 0}, ["kept", "kept", "kept", "thumbnail", "kept"], 1),
        ({"thumbnails": "flag"}, {"thumbnails": "drop"}, ["kept", "duplicate", "kept", "thumbnail", "kept"], 0),
        ({"thumbnails": "drop"}, {"thumbnails": "flag", "min_side": 100}, ["kept", "duplicate", "kept", "kept", "kept"], 1),
        ({}, {"min_side": 400}, ["kept", "too_small", "kept", "thumbnail", "too_small"], 0),
        ({"min_side": 400}, {"min_side": 200}, ["kept", "duplicate", "kept", "thumbnail", "kept"], 2),  # the copy was too small; that it is one shows in its turn
        ({"min_side": 400}, {"min_side": 200, "order__reject_words": ("1",)}, ["reject_word", "kept", "kept", "thumbnail", "kept"], 2),
    ],
)
def test_another_clone_judges_a_changed_rule_as_the_machine_that_crawled(
    here: Path, before: dict[str, Any], after: dict[str, Any], outcomes: list[str], fetches: int
) -> None:
    with outside(Search({"claw": list(VARIED)}, photos=dict(VARIED))) as world:
        run(world, 5, queries=("claw",), **before)
        shutil.copytree(OUT, here / "pulled")
        run(world, 5, queries=("claw",), **after)
        crawled = content()
        shutil.rmtree(OUT)
        shutil.move(here / "pulled", OUT)
        forget()
        world.asked.clear()
        run(world, 5, queries=("claw",), **after)

    assert [row.outcome for row in rows()] == outcomes
    assert content() == crawled
    assert len(fetched(world)) == fetches


def test_a_copy_is_remembered_as_one_though_its_address_was_tried_in_vain_since(here: Path) -> None:
    first, second = list(VARIED)[:2]
    search = Search({"claw": [first, second]}, photos=dict(VARIED))
    with outside(search) as world:
        run(world, 5, queries=("claw",))
        before = content()
        forget()
        search.gone = {second}
        run(world, 5, queries=("claw",))
        assert (content(), sorted(fetched(world))) == (before, [first, second])
        run(world, 5, queries=("claw",), near_duplicates=0)
        vain = [row.outcome for row in rows()]
        run(world, 5, queries=("claw",))

    assert vain == [row.outcome for row in rows()] == ["kept", "gone"]


def test_a_copy_is_fetched_again_where_its_twin_is_gone_from_the_order(here: Path) -> None:
    first, second = "https://a.example/1.jpg", "https://b.example/2.jpg"
    search = Search({"old": [first], "new": [second]}, photos={first: photo(1), second: photo(1, side=300)})
    with outside(search) as world:
        run(world, 5, queries=("old", "new"))
        both = [row.outcome for row in rows()]
        forget()
        run(world, 5, queries=("new",))

    assert both == ["kept", "duplicate"]
    assert kept() == [second]


def test_a_refresh_keeps_every_picture_in_place_adds_after_and_says_what_died(world: Outside) -> None:
    run(world, 60)
    before = rows()
    search = world.answer
    assert isinstance(search, Search)
    fresh = [f"https://fresh.example/{n}.jpg" for n in range(5)]
    search.pictures = {"claw": fresh + URLS["claw"], "sledge": []}
    search.photos |= {url: photo(900 + n) for n, url in enumerate(fresh)}
    search.gone = {URLS["claw"][3], URLS["sledge"][0]}
    run(world, 70, refresh=1)
    after = rows()
    asked, whole = len(world.asked), content()
    run(world, 70, refresh=1)
    forget()
    run(world, 70, refresh=1)

    assert [row.picture for row in after[: len(before)]] == [row.picture for row in before]
    assert [row.url for row in after[len(before) :] if row.picture] == fresh
    assert {row.url for row in after if row.died} == search.gone
    assert {(row.checked, row.died) for row in after} == {(1, 0), (1, 1)}
    assert (len(world.asked), content()) == (asked, whole)


def test_a_refresh_of_a_full_crawl_says_that_it_asked_no_supplier(world: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, 12)
    searches = world.count("sx.example")
    capsys.readouterr()
    run(world, 12, refresh=1, connections=1)

    assert "not asked for, as enough pictures came before: 'claw', 'sledge'; raise crawl_images to go on with them" in capsys.readouterr().out
    assert world.count("sx.example") == searches


def test_an_address_that_died_is_not_asked_in_the_next_refresh(world: Outside) -> None:
    run(world, 4)
    search = world.answer
    assert isinstance(search, Search)
    search.gone = {kept()[0]}
    run(world, 4, refresh=1)
    search.gone = {kept()[1]}
    world.asked.clear()
    run(world, 4, refresh=2)

    assert [row.died for row in rows()] == [1, 2, 0, 0]
    assert len(fetched(world)) == 3
    assert len(kept()) == 4


def test_a_refresh_without_a_network_notes_no_death(world: Outside) -> None:
    run(world, 4)

    run(Endpoints(gateway="http://127.0.0.1:1"), 4, refresh=1)

    assert {(row.checked, row.died) for row in rows()} == {(0, 0)}


def test_a_retry_asks_dead_addresses_once_more_in_whichever_clone(world: Outside) -> None:
    search = world.answer
    assert isinstance(search, Search)
    search.gone = set(URLS["claw"][:10])
    run(world, 60, queries=("claw",))
    search.gone = set(URLS["claw"][:5])
    world.asked.clear()
    run(world, 60, queries=("claw",), retry=1)
    again = fetched(world)
    forget()
    world.asked.clear()
    run(world, 60, queries=("claw",), retry=1)

    assert sorted(again) == sorted(URLS["claw"][:10])
    assert len(kept()) == 25
    assert fetched(world) == []


def test_too_few_pictures_say_how_many_and_what_to_do(world: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    search = world.answer
    assert isinstance(search, Search)
    search.down = {("sledge", 2)}
    metrics = run(world, 99)
    said = capsys.readouterr().out
    search.down = set()
    first = kept()
    run(world, 99)

    assert metrics["short"] == 99 - metrics["kept"]
    assert f"hammer: {metrics['short']} pictures short. Not all was had from searxng: `dvc repro --force --single-item crawl@hammer` goes on there" in said
    assert kept()[: len(first)] == first
    assert len(kept()) == 60


def test_the_page_limit_is_named_where_more_pages_would_help(world: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, 99, searxng=Searxng(url="http://sx.example", pages=2))

    assert "Raise crawl.searxng.pages. Turn on crawl.openverse or crawl.commons. Add queries to categories.hammer.queries" in capsys.readouterr().out


def test_where_unknown_licences_are_denied_no_more_pages_of_a_search_that_states_none_are_advised(world: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = run(world, 99, searxng=Searxng(url="http://sx.example", pages=2), order__licences=Licences(unknown="deny"))

    assert metrics["dropped"] == {"licence": 40}
    said = "99 pictures short. `licences` in params.yaml keeps 40 addresses out. Turn on crawl.openverse or crawl.commons"
    assert said in capsys.readouterr().out


def test_the_health_of_each_engine_stands_in_the_metrics_and_on_the_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with outside(Search(URLS, silent=(("google images", "CAPTCHA"),))) as world:
        metrics = run(world, 12)

    assert metrics["engines"] == {
        "bing images": {"asked": 2, "answered": 2, "hits": 20, "kept": 12},
        "google images": {"asked": 2, "answered": 0, "hits": 0, "kept": 0},
    }
    assert metrics["suppliers"] == {"searxng": {"asked": 2, "answered": 2, "hits": 20, "kept": 12}}
    assert metrics["unresponsive"] == {"google images (CAPTCHA)": 2}
    assert "hammer:   google images      2              0       0       0  no answer on 2: CAPTCHA" in capsys.readouterr().out


def test_answers_stand_in_the_order_of_asking_and_none_that_was_not_needed(world: Outside) -> None:
    run(world, 15, connections=64)

    answers = read_jsonl(OUT / "results.jsonl", Answer)

    assert [(a.q, a.page) for a in answers] == [("claw", 1), ("sledge", 1)]
    run(world, 21)
    assert [(a.q, a.page) for a in read_jsonl(OUT / "results.jsonl", Answer)] == [("claw", 1), ("sledge", 1), ("claw", 2), ("sledge", 2)]

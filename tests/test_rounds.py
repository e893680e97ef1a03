"""The turns of asking: what ends a query, what does not, and what happens when suppliers fail. Suppliers are scripted, time is made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from boxset.errors import ServiceError
from boxset.files import write_jsonl
from boxset.params import Query
from boxset.web.rounds import Clock, Memory, Rounds
from boxset.web.suppliers import Answer, Hit, PageError
from tests.outside import Clock as MadeTime

SILENT = (("bing images", "CAPTCHA"), ("flickr", "délai dépassé"))


@dataclass
class Scripted:
    """A supplier that answers from a function, and remembers what it was asked."""

    says: Callable[[str, int], Answer | None]
    name: str = "searxng"
    pages: int = 9
    takes_queries: bool = True
    list_name: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)

    def ask(self, query: Query, page: int, before: Answer | None = None) -> Answer:
        assert page == 1 or before is not None
        self.asked.append((query.q, page))
        answer = self.says(query.q, page)
        if answer is None:
            raise ServiceError("is down", where=self.name)
        return answer


def answer(q: str, page: int, count: int = 2, *, name: str = "searxng", **more: object) -> Answer:
    """A page with new addresses."""
    hits = tuple(Hit(url=f"https://a.example/{name}/{q}/{page}/{n}", engine="bing images") for n in range(count))
    return Answer(supplier=name, q=q, lang="all", page=page, **{"hits": hits, **more})  # type: ignore[arg-type]


def hits(answers: list[Answer]) -> list[str]:
    return [hit.url for one in answers for hit in one.hits]


class Crawl:
    """A crawl's asking, run again and again in one folder."""

    def __init__(self, folder: Path, *suppliers: Scripted, queries: tuple[str, ...] = ("a",)) -> None:
        self.folder, self.suppliers, self.queries = folder, list(suppliers), queries
        self.said: list[str] = []
        self.time = MadeTime()

    def rounds(self, refresh: int = 0) -> Rounds:
        return Rounds(
            [Query(q=q) for q in self.queries],
            list(self.suppliers),
            Memory(self.folder / "results.jsonl", self.folder / f"written.{refresh}.jsonl"),
            refresh=refresh,
            say=self.said.append,
            clock=Clock(self.time.now, self.time.sleep),
        )

    def run(self, most: int = 99, refresh: int = 0) -> list[Answer]:
        """Ask for so many turns at the most and write down what was said."""
        answers: list[Answer] = []
        for number, one in enumerate(self.rounds(refresh), 1):
            answers += one.answers
            if number == most:
                break
        write_jsonl(self.folder / "results.jsonl", answers)
        return answers


def test_an_empty_page_is_the_end(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, 2 if page < 4 else 0))

    Crawl(tmp_path, supplier).run()

    assert supplier.asked == [("a", 1), ("a", 2), ("a", 3), ("a", 4)]


def test_a_page_without_a_new_address_is_the_end(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, hits=answer(q, min(page, 2)).hits))

    Crawl(tmp_path, supplier).run()

    assert supplier.asked == [("a", 1), ("a", 2), ("a", 3)]


def test_a_page_that_some_engines_answered_is_not_the_end_however_short(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, 1 if page == 2 else 5, unresponsive=SILENT[:1]), pages=4)

    Crawl(tmp_path, supplier).run()

    assert len(supplier.asked) == 4


def test_a_supplier_none_of_whose_engines_answers_rests_and_is_asked_for_the_same_page(tmp_path: Path) -> None:
    silent = iter([True, True])

    def says(q: str, page: int) -> Answer:
        if page == 2 and next(silent, False):
            return answer(q, page, 0, asked=("bing images",), unresponsive=SILENT[:1])
        return answer(q, page, last=page == 3)

    supplier = Scripted(says)
    crawl = Crawl(tmp_path, supplier)

    answers = crawl.run()

    assert supplier.asked == [("a", 1), ("a", 2), ("a", 2), ("a", 2), ("a", 3)]
    assert crawl.time.slept == [5.0, 30.0]
    assert [(one.page, one.turn, len(one.hits)) for one in answers] == [(1, 0, 2), (2, 0, 0), (2, 3, 2), (3, 4, 2)]
    assert crawl.said.count("searxng: bing images did not answer (CAPTCHA); its results are missing") == 1


def test_a_supplier_that_stays_silent_is_given_up_for_this_run_and_asked_in_the_next(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, 0, asked=("bing images", "flickr"), unresponsive=SILENT))
    crawl = Crawl(tmp_path, supplier, queries=("a", "b"))
    first = crawl.run()
    supplier.says = lambda q, page: answer(q, page, last=True)
    second = crawl.run()

    assert crawl.time.slept == [5.0, 30.0, 200.0]
    assert "warning: searxng: none of its engines answers. They are suspended" in "\n".join(crawl.said)
    assert [(one.q, one.page, len(one.hits)) for one in first] == [("a", 1, 0)]
    assert [(one.q, one.page, len(one.hits)) for one in second] == [("a", 1, 0), ("a", 1, 2), ("b", 1, 2)]


def test_a_silent_supplier_holds_up_no_other(tmp_path: Path) -> None:
    silent = Scripted(lambda q, page: answer(q, page, 0, unresponsive=SILENT))
    other = Scripted(lambda q, page: answer(q, page, name="commons"), name="commons", pages=3)
    crawl = Crawl(tmp_path, silent, other)
    turns = iter(crawl.rounds())

    for _ in range(3):
        next(turns)

    assert (len(silent.asked), len(other.asked), crawl.time.slept) == (1, 3, [])


def test_an_empty_page_is_put_off_where_only_the_engines_that_answered_came_to_their_end(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, 2 if page == 1 else 0, asked=("bing images", "flickr"), unresponsive=SILENT[1:]))
    crawl = Crawl(tmp_path, supplier)
    first = crawl.run()
    second = crawl.run()

    assert supplier.asked == [("a", 1), ("a", 2), ("a", 2)]
    assert crawl.time.slept == []
    assert second == first


def test_a_page_that_brings_nothing_new_is_no_end_where_an_engine_was_silent(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, hits=answer(q, 1).hits, unresponsive=SILENT[1:] if page == 2 else ()))
    crawl = Crawl(tmp_path, supplier)
    crawl.run()
    crawl.run()

    assert supplier.asked == [("a", 1), ("a", 2), ("a", 3)]


def test_an_engine_without_a_result_on_page_1_is_named_once(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, asked=("bing images", "flickr", "photon"), unresponsive=(("photon", "timeout"),), last=True))
    crawl = Crawl(tmp_path, supplier, queries=("a", "b"))

    crawl.run()

    assert [line for line in crawl.said if "warning" in line] == [
        "warning: searxng: nothing from flickr on page 1 of 'a', and no error: does it still work? (docs/searxng.md)"
    ]


def test_a_supplier_that_fails_halfway_loses_nothing_and_goes_on_there(tmp_path: Path) -> None:
    is_down = True
    supplier = Scripted(lambda q, page: None if is_down and (q, page) == ("b", 3) else answer(q, page, last=page == 4))
    other = Scripted(lambda q, page: answer(q, page, name="commons", last=page == 5), name="commons")
    crawl = Crawl(tmp_path, supplier, other, queries=("a", "b"))
    first = crawl.run()
    asked = len(supplier.asked)
    is_down = False
    second = crawl.run()

    assert hits(second)[: len(hits(first))] == hits(first)
    assert supplier.asked[asked:] == [("a", 4), ("b", 3), ("b", 4)]
    assert sorted(hits(second)) == sorted({url for q in "ab" for page in range(1, 5) for url in hits([answer(q, page)])} | {u for u in hits(first) if "commons" in u})
    assert crawl.run() == second
    assert len(supplier.asked) == asked + 3


def test_a_page_that_fails_holds_up_its_own_query_only_and_comes_in_a_later_run(tmp_path: Path) -> None:
    bad = {("a", 2)}

    def says(q: str, page: int) -> Answer:
        if (q, page) in bad:
            raise PageError("HTTP 500", where="searxng")
        return answer(q, page, last=page == 3)

    supplier = Scripted(says)
    crawl = Crawl(tmp_path, supplier, queries=("a", "b"))
    first = crawl.run()
    asked = list(supplier.asked)
    bad.clear()
    again = crawl.run()

    assert asked == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("b", 3)]
    assert crawl.said == ["warning: searxng: HTTP 500 (page 2 of 'a')"]
    assert supplier.asked[len(asked) :] == [("a", 2), ("a", 3)]
    assert again[: len(first)] == first
    assert [(one.q, one.page, one.turn) for one in again[len(first) :]] == [("a", 2, 4), ("a", 3, 5)]


def test_turns_that_were_asked_and_not_needed_are_not_asked_again(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, last=page == 4))
    whole = Crawl(tmp_path / "whole", supplier, queries=("a", "b")).run()
    supplier.asked.clear()
    crawl = Crawl(tmp_path, supplier, queries=("a", "b"))
    turns = iter(crawl.rounds())
    next(turns)
    next(turns)
    with (tmp_path / "written.0.jsonl").open("ab") as file:
        file.write(b'{"supplier":"searxng","q":"a","la')

    assert crawl.run() == whole
    assert len(supplier.asked) == len(set(supplier.asked)) == 8


def test_a_refresh_asks_anew_and_only_adds(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, last=page == 2))
    crawl = Crawl(tmp_path, supplier)
    first = crawl.run()
    supplier.says = lambda q, page: answer(q, page + 10, last=True)
    second = crawl.run(refresh=1)

    assert second[: len(first)] == first
    assert [(one.refresh, one.page) for one in second[len(first) :]] == [(1, 11)]
    assert crawl.run(refresh=0) == first


def test_a_new_query_comes_after_what_is_known_and_a_removed_one_leaves_the_rest_in_order(tmp_path: Path) -> None:
    supplier = Scripted(lambda q, page: answer(q, page, last=page == 2))
    crawl = Crawl(tmp_path, supplier, queries=("a", "b"))
    first = crawl.run()
    crawl.queries = ("c", "a", "b")
    more = crawl.run()
    crawl.queries = ("b", "c")
    fewer = crawl.run()

    assert more[: len(first)] == first
    assert [(one.q, one.page, one.turn) for one in more[len(first) :]] == [("c", 1, 3), ("c", 2, 4)]
    assert fewer == [one for one in more if one.q != "a"]
    assert len(supplier.asked) == 6


def test_all_failures_and_limits_are_known_at_the_end(tmp_path: Path) -> None:
    down = Scripted(lambda q, page: None, name="openverse")
    deep = Scripted(lambda q, page: answer(q, page, name="commons"), name="commons", pages=2)
    crawl = Crawl(tmp_path, down, deep)
    rounds = crawl.rounds()
    list(rounds)

    assert rounds.failed.keys() == {"openverse"}
    assert rounds.cut_off() == ["commons"]
    assert len(down.asked) == 1


@pytest.mark.parametrize("name", ["url_lists", "searxng"])
def test_answers_of_suppliers_that_are_off_are_not_used(tmp_path: Path, name: str) -> None:
    write_jsonl(tmp_path / "results.jsonl", [answer("a", 1, name=name)])

    assert Crawl(tmp_path, Scripted(lambda q, page: answer(q, page, 0, name="commons"), name="commons")).rounds().known == []

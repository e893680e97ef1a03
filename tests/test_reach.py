"""Whether a site is dead or this machine is offline, and what is written down while that is open."""

from pathlib import Path

import pytest

from boxset.dataset.reasons import Reason, Refusal
from boxset.errors import ServiceError
from boxset.web.fetcher import Fetched
from boxset.web.pictures import Journal, Outcome
from boxset.web.reach import IN_A_ROW, Reach
from boxset.web.robots import REST_S, Robots

DEAD, SLOW, GONE = Refusal(Reason.UNREACHABLE), Refusal(Reason.TIMEOUT), Refusal(Reason.GONE)


class Net:
    """A network that is there or not, and how often it was looked at."""

    def __init__(self, *before: str) -> None:
        self.answer: Fetched | Refusal = DEAD
        self.looks: list[str] = []
        self.look: Fetched | Refusal = Refusal(Reason.TOO_LARGE)
        self.reach = Reach(lambda _: self.answer, self._look, where="hammer", before=before)

    def _look(self, url: str) -> Fetched | Refusal:
        self.looks.append(url)
        return self.look

    def ask(self, times: int, *, sites: int = 9) -> None:
        """Ask so many addresses of so many sites."""
        for number in range(times):
            self.reach.get(f"http://host{number % sites}.example/{number}")


def test_why_the_last_one_did_not_answer_is_told() -> None:
    net = Net()
    net.answer = Refusal(Reason.UNREACHABLE, "TLS: CERTIFICATE_VERIFY_FAILED")

    with pytest.raises(ServiceError, match=r"no site answers \(the last one: TLS: CERTIFICATE_VERIFY_FAILED; is this machine online\?\)"):
        net.ask(IN_A_ROW)


@pytest.mark.parametrize("silence", [DEAD, SLOW])
def test_where_no_site_has_ever_answered_the_run_ends(silence: Refusal) -> None:
    net = Net()
    net.answer = silence
    net.ask(IN_A_ROW - 1)

    for _ in range(2):  # whoever asks afterwards hears it at once
        with pytest.raises(ServiceError, match=r"hammer: no site answers \(is this machine online\?\)\. What was fetched is kept"):
            net.ask(1)
    assert net.looks == []


def test_where_even_what_has_answered_is_silent_the_run_ends() -> None:
    net = Net()
    net.answer = GONE
    net.ask(1)
    net.answer = net.look = DEAD

    with pytest.raises(ServiceError, match="no site answers any more"):
        net.ask(IN_A_ROW)
    assert net.looks == ["http://host0.example/0"]


def test_dead_sites_in_a_row_end_nothing_while_another_answers() -> None:
    net = Net()
    net.answer = Fetched(b"x")
    net.ask(1)
    net.answer = DEAD
    net.ask(3 * IN_A_ROW)

    assert len(net.looks) == 3


@pytest.mark.parametrize("times", [7, 2 * IN_A_ROW])
def test_dead_sites_alone_end_nothing_where_one_of_an_earlier_run_still_answers(times: int) -> None:
    net = Net("http://a.example/1", "http://a.example/2", "http://b.example/3")
    net.ask(times)
    net.reach.check()

    assert set(net.looks) == {"http://a.example/2"}


def test_where_those_of_earlier_runs_are_silent_too_the_run_ends() -> None:
    net = Net("http://a.example/1", "http://b.example/3")
    net.look = DEAD
    net.ask(7)

    with pytest.raises(ServiceError, match=r"no site answers \(is this machine online\?\)"):
        net.reach.check()
    assert net.looks == ["http://a.example/1", "http://b.example/3"]


@pytest.mark.parametrize("times", [7, 2 * IN_A_ROW])
def test_a_list_of_dead_sites_is_a_result_where_what_another_category_fetched_still_answers(times: int) -> None:
    net = Net()
    net.reach = Reach(lambda _: DEAD, net._look, where="hammer", others=["http://a.example/1", "http://a.example/2", "http://b.example/1"])
    net.ask(times)
    net.reach.check()

    assert set(net.looks) == {"http://a.example/1"}


def test_where_those_of_other_categories_are_silent_too_the_run_ends_after_a_few_of_them_were_asked() -> None:
    net = Net()
    net.look = DEAD
    others = [f"http://other{number // 2}.example/{number}" for number in range(40)]
    net.reach = Reach(lambda _: DEAD, net._look, where="hammer", before=["http://a.example/1"], others=others)
    net.ask(7)

    with pytest.raises(ServiceError, match="no site answers"):
        net.reach.check()
    assert net.looks == ["http://a.example/1", "http://other0.example/0", "http://other1.example/2", "http://other2.example/4"]


def test_what_to_do_about_a_list_of_dead_sites_is_said_where_nothing_has_ever_answered() -> None:
    def said(*before: str) -> str:
        net = Net(*before)
        net.look = DEAD
        net.ask(7)
        with pytest.raises(ServiceError) as caught:
            net.reach.check()
        return str(caught.value)

    assert said().endswith("once there is a network. If there is one, these sites are gone: take them out of the list, or search for something else")
    assert said("http://a.example/1").endswith("once there is a network")


def test_dead_sites_alone_end_nothing_where_a_search_has_brought_something() -> None:
    net, found = Net(), [False]
    net.reach = Reach(lambda _: DEAD, net._look, where="hammer", is_online=lambda: found[0])
    found[0] = True
    net.ask(3 * IN_A_ROW)
    net.reach.check()

    found[0] = False
    with pytest.raises(ServiceError, match="no site answers"):
        net.reach.check()


def test_one_dead_site_is_no_network_that_is_down() -> None:
    net = Net()
    net.ask(5 * IN_A_ROW, sites=2)
    net.reach.check()


def test_what_is_refused_without_being_asked_says_nothing_of_the_network() -> None:
    net = Net()
    net.answer = Refusal(Reason.ROBOTS)
    net.ask(1)
    net.answer = DEAD
    net.ask(7)

    with pytest.raises(ServiceError, match="no site answers"):
        net.reach.check()


def test_that_nobody_answered_is_written_down_with_the_next_answer_or_at_the_end(tmp_path: Path) -> None:
    path, urls = tmp_path / "j.jsonl", []
    with Journal(path) as journal:
        for name, outcome in (("a", "unreachable"), ("b", "gone"), ("c", "timeout")):
            journal.add(Outcome(url=name, outcome=outcome))
            urls.append(known(path))

    assert urls == [[], ["a", "b"], ["a", "b"]]
    assert known(path) == ["a", "b", "c"]


def test_that_nobody_answered_is_not_written_down_where_the_run_fails(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"

    def run() -> None:
        with Journal(path) as journal:
            journal.add(Outcome(url="a", outcome="gone"))
            journal.add(Outcome(url="b", outcome="unreachable"))
            raise ServiceError("no site answers")

    with pytest.raises(ServiceError):
        run()

    assert known(path) == ["a"]


def known(path: Path) -> list[str]:
    """The addresses that are written down."""
    return [line.split('"')[3] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("fault", [DEAD, (503, b"")])
def test_a_robots_txt_that_could_not_be_had_is_asked_for_again_after_a_while(fault: Refusal | tuple[int, bytes]) -> None:
    answers, clock = [fault, fault, (200, b"User-agent: *\nDisallow: /x")], [0.0]
    asked: list[str] = []

    def get(url: str) -> Refusal | tuple[int, bytes]:
        asked.append(url)
        return answers[len(asked) - 1]

    robots = Robots("Boxset", get, now=lambda: clock[0])
    refused = []
    for at in (0, REST_S - 1, REST_S, 2 * REST_S, 9 * REST_S):
        clock[0] = at
        refused.append(robots.refusal("http://a.example/y") is not None)

    assert refused == [True, True, True, False, False]
    assert len(asked) == 3

"""The review's page in a real browser: what keys and clicks do, and that nothing is shown as decided that is not on disk."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from boxset.dataset.decisions import FILE, Verdict, append_decisions, decided
from boxset.errors import ProjectError
from boxset.review.server import Desk, serving
from boxset.review.session import SCREEN, Choice, Reply
from tests.browser import MISSING, Browser
from tests.build import sha
from tests.reviews import AT, found, on_disk, project, session, started, store

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.skipif(bool(MISSING), reason=MISSING)]

SHOWN = "document.querySelector('[aria-selected=true]') && [...document.images].every((image) => image.complete)"
STATE = """
const of = (name) => [...document.querySelectorAll('.picture')].map((one) => one.dataset[name]);
const chosen = document.querySelector('[aria-selected=true]');
return {marks: of('mark'), at: chosen && Number(chosen.id.slice(8)), large: document.getElementById('large').open,
        alarm: document.getElementById('alarm').hidden ? '' : document.getElementById('alarm').textContent,
        progress: document.getElementById('progress').textContent, screen: document.getElementById('screen').textContent};
"""
IDLE = "!document.querySelector('.pending')"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("decisions").mkdir()
    (Path("decisions") / FILE).touch()


@pytest.fixture
def look(window: Browser) -> Iterator[Callable[..., Desk]]:
    """Opens the page of a look through pictures, all of which but those `without` have files."""
    with ExitStack() as open_:

        def opened(pictures: int = 4, without: Sequence[int] = (), **more: Any) -> Desk:
            store(*(n for n in range(pictures) if n not in without))
            desk = Desk(session(pictures, **more), Path())
            window.go(open_.enter_context(serving(desk)))
            window.until(SHOWN)
            return desk

        yield opened


def state(window: Browser) -> dict[str, Any]:
    """What the page shows once nothing is on its way any more."""
    window.run("return chain.then(() => true)")
    window.until(IDLE)
    shown: dict[str, Any] = window.run(STATE)
    return shown


def names(*numbers: int) -> list[str]:
    """The names of pictures by their numbers."""
    return [sha(n) for n in numbers]


def full(*_: Any) -> None:
    """Fail as a full disk does."""
    raise ProjectError("the disk is full", where="decisions/review.jsonl")


# deciding


def test_keys_decide_the_selected_picture_and_go_on_to_the_next(window: Browser, look: Callable[..., Desk]) -> None:
    look(4)

    window.press("y", "n", "d")

    assert state(window) == {
        "marks": ["✓", "no", "drawing", ""], "at": 3, "large": False, "alarm": "", "screen": "1 of 1",
        "progress": "3 of 4 decided: 1 yes, 1 no, 1 unusable · by Anna",
    }  # fmt: skip
    assert on_disk() == dict(zip(names(0, 1, 2), ["yes", "no", "unusable (drawing)"], strict=True))


@pytest.mark.parametrize(("key", "reason"), [("d", "drawing"), ("c", "catalogue"), ("b", "broken"), ("p", "private"), ("o", "other")])
def test_every_reason_has_its_key(window: Browser, look: Callable[..., Desk], key: str, reason: str) -> None:
    look(1)

    window.press(key)

    assert (state(window)["marks"], on_disk()) == ([reason], {sha(0): f"unusable ({reason})"})


def test_buttons_do_what_keys_do_and_the_next_enter_presses_none_of_them(window: Browser, look: Callable[..., Desk]) -> None:
    look(3)

    window.click("#picture-1")
    window.click("button[data-reason=private]")
    window.press("Enter")

    assert (state(window)["marks"], state(window)["at"], state(window)["large"]) == (["", "private", ""], 2, True)


def test_the_last_picture_ends_the_look_and_stays_where_it_can_be_changed(window: Browser, look: Callable[..., Desk]) -> None:
    look(2)

    window.press("y", "e", "n")
    ended = state(window)
    window.press("y")

    assert (ended["marks"], ended["at"], ended["large"]) == (["✓", "no"], 1, False)
    assert ended["progress"].endswith("by Anna · All are decided: “done” ends this.")
    assert (state(window)["marks"], on_disk()) == (["✓", "✓"], {sha(0): "yes", sha(1): "yes"})


def test_a_key_that_is_held_down_decides_one_picture(window: Browser, look: Callable[..., Desk]) -> None:
    look(3)

    window.run("for (const repeat of [false, true, true]) document.dispatchEvent(new KeyboardEvent('keydown', {key: 'y', repeat}));")

    assert state(window)["marks"] == ["✓", "", ""]


def test_keys_of_the_browser_decide_nothing(window: Browser, look: Callable[..., Desk]) -> None:
    look(2)

    window.run("for (const held of ['ctrlKey', 'metaKey', 'altKey']) document.dispatchEvent(new KeyboardEvent('keydown', {key: 'y', [held]: true}));")

    assert (state(window)["marks"], on_disk()) == (["", ""], {})


def test_the_rest_of_a_screen_is_yes_but_for_pictures_that_cannot_be_seen(window: Browser, look: Callable[..., Desk]) -> None:
    look(4, without=[2])

    window.press("n", "A")

    assert (state(window)["marks"], state(window)["alarm"]) == (["no", "✓", "", "✓"], "1 of them cannot be seen here (yet), and stay undecided.")
    assert sorted(on_disk()) == sorted(names(0, 1, 3))


# undoing


def test_undo_takes_back_step_by_step_and_returns_to_the_picture(window: Browser, look: Callable[..., Desk]) -> None:
    look(4)
    window.press("y", "n", "A")

    window.press("u")
    whole = state(window)
    window.press("u")
    one = state(window)
    window.press("u", "u")

    assert (whole["marks"], one["marks"], one["at"]) == (["✓", "no", "", ""], ["✓", "", "", ""], 1)
    assert (state(window)["marks"], state(window)["at"], on_disk()) == ([""] * 4, 0, {})


def test_keys_that_are_faster_than_the_disk_hold_in_their_order(window: Browser, look: Callable[..., Desk]) -> None:
    look(1)
    window.press("d", "y")
    changed = state(window)

    window.press("y", "u", "n", "u")

    assert (changed["marks"], state(window)["marks"], on_disk()) == (["✓"], ["drawing"], {sha(0): "unusable (drawing)"})


def test_an_undo_that_could_not_be_written_can_be_tried_again(window: Browser, look: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    look(2)
    window.press("y")
    state(window)

    with monkeypatch.context() as patched:
        patched.setattr("boxset.review.session.append_decisions", full)
        window.press("u")
        failed = state(window)
    window.press("u")

    assert (failed["marks"], "the disk is full" in failed["alarm"]) == (["✓", ""], True)
    assert (state(window)["marks"], state(window)["alarm"], on_disk()) == (["", ""], "", {})


# moving


def test_arrows_letters_home_and_end_move_and_stop_at_the_edges(window: Browser, look: Callable[..., Desk]) -> None:
    look(14)  # two rows of six, and two pictures

    visited = []
    for key in ("Left", "Right", "l", "h", "Down", "j", "j", "k", "Right", "Down", "Up", "k", "End", "Right", "Home", "Up"):
        window.press(key)
        visited.append(state(window)["at"])

    assert visited == [0, 1, 2, 1, 7, 13, 13, 7, 8, 8, 2, 2, 13, 13, 0, 0]
    assert on_disk() == {}


def test_what_is_selected_is_told_to_a_screen_reader(window: Browser, look: Callable[..., Desk]) -> None:
    look(2, title="Claw hammer", flags=("drawing",))

    window.press("n")
    state(window)

    told = window.run("return [document.activeElement.getAttribute('aria-activedescendant'), ...[...document.querySelectorAll('[role=option]')].map((o) => o.ariaLabel)]")
    assert told == ["picture-1", "Claw hammer, drawing, no", "Claw hammer, drawing, undecided"]


def test_screens_turn_by_keys_and_undo_finds_the_one_it_was_on(window: Browser, look: Callable[..., Desk]) -> None:
    look(SCREEN + 2)
    window.press("n", "]")
    window.until("document.getElementById('screen').textContent === '2 of 2'")
    second = state(window)

    window.press("y", "]", "u", "u")
    window.until("document.getElementById('screen').textContent === '1 of 2'")

    assert (second["marks"], second["at"]) == (["", ""], 0)
    assert (set(state(window)["marks"]), state(window)["at"], on_disk()) == ({""}, 0, {})


def test_the_large_picture_follows_and_ends_by_keys(window: Browser, look: Callable[..., Desk]) -> None:
    look(3, landing_url="https://shop.example/hammer")
    source = "document.querySelector('#large img').getAttribute('src')"

    window.press("Enter", "Enter", "e", "y")
    shown = (state(window)["large"], window.run(f"return {source}"), window.run("return document.querySelector('#large a').href"))
    window.press("Escape")

    assert shown == (True, f"picture/{sha(1)}", "https://shop.example/hammer")
    assert (state(window)["large"], state(window)["marks"]) == (False, ["✓", "", ""])
    assert len(window.ask("GET", "/window/handles")) == 1  # Enter followed no link


# what is on disk


def test_loading_the_page_again_shows_what_was_decided_and_goes_on_there(window: Browser, look: Callable[..., Desk]) -> None:
    look(4)
    window.press("y", "c")
    state(window)

    window.ask("POST", "/refresh", {})
    window.until(SHOWN)

    assert (state(window)["marks"], state(window)["at"]) == (["✓", "catalogue", "", ""], 2)


def test_a_picture_is_shown_as_decided_when_it_is_on_disk_and_not_before(window: Browser, look: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    desk, may = look(3), Event()
    decide = desk.session.decide

    def slowly(choices: Sequence[Choice]) -> Reply:
        assert may.wait(60)
        return decide(choices)

    monkeypatch.setattr(desk.session, "decide", slowly)
    window.press("y", "n")
    marks = window.run(STATE)["marks"]
    asks = window.run("return !window.dispatchEvent(new Event('beforeunload', {cancelable: true}))")
    before = on_disk()
    may.set()

    assert (marks, before) == (["", "", ""], {})
    assert asks, "the tab would close over decisions that are not written"
    assert (state(window)["marks"], len(on_disk())) == (["✓", "no", ""], 2)
    assert window.run("return window.dispatchEvent(new Event('beforeunload', {cancelable: true}))")


def test_a_server_that_is_gone_is_said_and_nothing_is_shown_as_decided_that_is_not_on_disk(window: Browser) -> None:
    project(3)
    server, address = started()
    window.go(address)
    window.until(SHOWN)
    window.press("y")
    state(window)
    os.kill(server.pid, signal.SIGKILL)
    server.communicate()

    window.press("n")
    window.until("!document.getElementById('alarm').hidden")

    assert state(window)["alarm"].startswith("The server has stopped: nothing more is written. What is marked here is saved; start “boxset review” again")
    assert (state(window)["marks"], on_disk()) == (["✓", "", ""], {sha(0): "yes"})


def test_a_decision_that_cannot_be_written_is_said_and_can_be_taken_again(window: Browser, look: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    desk = look(2)

    with monkeypatch.context() as patched:
        patched.setattr("boxset.review.session.append_decisions", full)
        window.press("y")
        failed = state(window)
    window.press("Home", "y")

    assert (failed["marks"], "the disk is full" in failed["alarm"]) == (["", ""], True)
    assert (state(window)["marks"], state(window)["alarm"], desk.session.written) == (["✓", ""], "", 1)


def test_what_somebody_else_decided_meanwhile_is_shown_and_kept(window: Browser, look: Callable[..., Desk]) -> None:
    look(2)
    append_decisions([decided(found(0), 1, Verdict.NO, by="Ben", at=AT)], Path("decisions"))

    window.press("y")

    assert state(window)["alarm"] == "Somebody decided this meanwhile, and that was kept: look again where the mark is not yours."
    assert (state(window)["marks"], on_disk()) == (["no", ""], {sha(0): "no"})


def test_done_ends_the_look_and_no_key_works_any_more(window: Browser, look: Callable[..., Desk]) -> None:
    desk = look(2)
    window.press("y")

    window.click("button.done")
    window.until("document.querySelector('.nothing')")
    window.press("n")
    state(window)

    assert "Everything is saved" in window.run("return document.querySelector('#grid[role=status]').textContent")
    assert (on_disk(), desk.done.is_set()) == ({sha(0): "yes"}, True)


def test_nothing_of_the_page_is_refused_by_its_own_policy_or_fails(window: Browser, look: Callable[..., Desk]) -> None:
    window.complaints()
    look(3, title="<img src=x onerror=alert(1)>")

    window.press("e", "y", "Escape", "n", "u", "A")
    state(window)

    assert [said for said in window.complaints() if "favicon.ico" not in said] == []


@pytest.mark.parametrize(("width", "height"), [(1280, 860), (400, 800)])
def test_all_of_the_page_is_on_the_screen(window: Browser, look: Callable[..., Desk], width: int, height: int) -> None:
    window.resize(width, height)
    look(SCREEN)

    window.press("End")
    seen = window.run("""
      const inside = (one) => { const b = one.getBoundingClientRect(); return b.left >= 0 && b.top >= 0 && b.right <= innerWidth && b.bottom <= innerHeight; };
      return [...document.querySelectorAll('button, [aria-selected=true], #about')].map((one) => [one.textContent.trim(), inside(one)]);""")
    window.resize(1280, 860)

    assert [name for name, inside in seen if not inside] == []
    assert len(seen) > 12

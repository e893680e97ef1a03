"""The review's page: what it shows, what it writes down before it says so, and whom it refuses."""

import http.client
import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from PIL import Image

from boxset.cli import cli
from boxset.dataset.decisions import FILE, Verdict, append_decisions, decided, read_decisions
from boxset.errors import InputError, ProjectError
from boxset.files import sole_writer, write_json
from boxset.review.server import HEADERS, MAX_BODY, Desk, serving
from boxset.review.session import SCREEN, Choice, Reply, State
from boxset.review.takein import taken_in
from tests.build import sha
from tests.reviews import AT, found, on_disk, project, session, started, store

YES, NO, DRAWING, OPEN = (State(verdict=v, reason=r, by="Anna" if v else "") for v, r in (("yes", ""), ("no", ""), ("unusable", "drawing"), ("", "")))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("decisions").mkdir()
    (Path("decisions") / FILE).touch()


def choice(name: object, verdict: str = "yes", reason: str = "", seen: str = "") -> Choice:
    """A choice on a picture of that name."""
    return Choice(sha256=sha(name), verdict=Verdict(verdict), reason=reason, seen=seen)


# the look


def test_a_decision_is_on_disk_when_it_is_told() -> None:
    look = session()

    reply = look.decide([choice(0), choice(1, "no"), choice(2, "unusable", "drawing")])

    assert reply == Reply(states={sha(0): YES, sha(1): NO, sha(2): DRAWING}, stale=(), counts={"yes": 1, "no": 1, "unusable": 1})
    assert on_disk() == {sha(0): "yes", sha(1): "no", sha(2): "unusable (drawing)"}
    assert look.written == 3


def test_a_decision_is_flushed_to_the_disk_before_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    look, told = session(), []
    sync = os.fsync
    monkeypatch.setattr("boxset.files.os.fsync", lambda handle: (told.append(look.state(sha(0))), sync(handle)))

    look.decide([choice(0)])

    assert told == [OPEN, OPEN]  # the file, then its folder; nobody was told before
    assert look.state(sha(0)) == YES


def test_a_decision_can_be_undone_and_taken_again_and_every_step_stays_in_the_file() -> None:
    look = session()
    look.decide([choice(0)])

    undone = look.decide([choice(0, "undone", seen="yes")])
    again = look.decide([choice(0, "no")])

    assert (undone.states[sha(0)], again.states[sha(0)]) == (OPEN, NO)
    assert [json.loads(line)["verdict"] for line in (Path("decisions") / FILE).read_text().splitlines()] == ["yes", "undone", "no"]


def test_what_is_decided_so_already_is_not_written_again() -> None:
    look = session()
    look.decide([choice(0)])
    look.decide([choice(0, seen="yes"), choice(1, "undone")])

    assert look.written == 1


def test_of_two_tabs_the_one_that_did_not_see_the_other_changes_nothing_and_is_told() -> None:
    look = session()
    look.decide([choice(0, "no")])

    reply = look.decide([choice(0), choice(1)])

    assert (reply.stale, reply.states) == ((sha(0),), {sha(0): NO, sha(1): YES})
    assert on_disk() == {sha(0): "no", sha(1): "yes"}


def test_of_two_servers_neither_misses_what_the_other_has_written() -> None:
    one, two = session(), session(by="Ben")
    one.decide([choice(0, "no")])

    reply = two.decide([choice(0)])

    assert (reply.stale, reply.states[sha(0)]) == ((sha(0),), NO)
    assert two.screen(0).counts == {"yes": 0, "no": 1, "unusable": 0}
    assert two.decide([choice(0, seen="no")]).states[sha(0)] == State(verdict="yes", by="Ben")


def test_nobody_else_may_write_between_what_a_choice_has_seen_and_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def append(*said: Any) -> None:
        with pytest.raises(ProjectError), sole_writer(Path("decisions"), wait=False):
            pass
        refused.append(True)
        append_decisions(*said)

    monkeypatch.setattr("boxset.review.session.append_decisions", append)
    session().decide([choice(0)])

    assert refused == [True]


def test_a_line_that_git_pulled_in_meanwhile_is_seen() -> None:
    look = session()
    append_decisions([decided(found(0), 1, Verdict.NO, by="Ben", at=AT)], Path("decisions"))

    assert look.screen(0).items[0].state == State(verdict="no", by="Ben")


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (choice("elsewhere"), "no picture of this look"),
        (choice(1, "unusable"), "one of the reasons"),
        (choice(1, "unusable", "ugly"), "one of the reasons"),
        (choice(1, "no", "drawing"), "no other has one"),
    ],
)
def test_of_choices_with_a_bad_one_none_is_written(bad: Choice, says: str) -> None:
    look = session()

    with pytest.raises(InputError, match=says):
        look.decide([choice(0), bad])

    assert on_disk() == {}


def test_screens_follow_the_plans_order_and_end_where_pictures_do() -> None:
    look = session(SCREEN + 5)

    first, second, beyond = look.screen(0), look.screen(1), look.screen(99)

    assert [item.sha256 for item in (*first.items, *second.items)] == [sha(n) for n in range(SCREEN + 5)]
    assert (first.screens, first.total, len(second.items), beyond) == (2, SCREEN + 5, 5, second)


def test_what_a_page_shows_of_a_picture_is_plain_text_and_no_other_address_than_the_webs() -> None:
    instead = "\N{REPLACEMENT CHARACTER}"
    texts = {"title": "a\x1b[31m\u202eb", "query": "claw\x07hammer", "flags": ("drawing",), "landing_url": "javascript:alert(1)", "license": ""}

    (item,) = session(1, **texts).screen(0).items

    assert (item.title, item.query, item.flags, item.page) == (f"a{instead}[31m{instead}b", f"claw{instead}hammer (flickr)", ("drawing",), "")
    assert item.licence == "licence unknown"


# the server


class Browser:
    """Speaks to a server as a browser does, and as none would."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        assert parts.hostname == "127.0.0.1"
        self.port, self.base = parts.port, parts.path
        self.origin = f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send a request whose headers are as given (`sec_fetch_site`), an empty one left out; return status, headers and body."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.putrequest(method, path, skip_host="Host" in named, skip_accept_encoding=True)
            if body is not None and "Content-Length" not in named:
                named["Content-Length"] = str(len(body))
            for name, value in named.items():
                if value:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Get a path behind the secret."""
        return self.ask("GET", self.base + path, **headers)

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
        """Post to a path behind the secret as the page does, but for the headers given."""
        own = {"origin": self.origin, "content_type": "application/json", "sec_fetch_site": "same-origin"}
        status, _, said = self.ask("POST", self.base + path, body, **{**own, **headers})
        return status, json.loads(said)


@pytest.fixture
def desk() -> Desk:
    """Three pictures; the last has no file."""
    store(0, 1)
    return Desk(session(), Path())


@pytest.fixture
def browser(desk: Desk) -> Iterator[Browser]:
    """A browser at the page."""
    with serving(desk) as address:
        yield Browser(address)


def choices(*some: Any) -> bytes:
    """The body of a request to decide."""
    return json.dumps([{"sha256": sha(name), "verdict": verdict} for name, verdict in some]).encode()


def test_the_page_and_all_that_it_loads_is_here_and_nothing_is_loaded_from_elsewhere(browser: Browser) -> None:
    page = browser.get("")
    assets = re.findall(r'(?:src|href)="([^"]+)"', page[2].decode())

    assert sorted(assets) == ["page.css", "page.js"]
    assert [browser.get(asset)[0] for asset in assets] == [200, 200]
    for asset in assets:
        assert re.findall(rb"https?://|//\w+\.|@import|url\(", browser.get(asset)[2]) == []
    assert not re.search(rb"<script(?! src)|\son\w+=|style=", page[2])


def test_every_answer_says_that_nothing_else_may_be_loaded_and_nobody_may_frame_it(browser: Browser) -> None:
    for path in ("", "page.js", "screen/0", f"thumb/{sha(0)}", "nothing", "../secret"):
        headers = browser.get(path)[1]
        assert {name: headers.get(name) for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert {part for part in policy.split("; ") if part.endswith("'none'")} == {f"{name} 'none'" for name in ("default-src", "base-uri", "form-action", "frame-ancestors")}
    assert "unsafe" not in policy
    assert (HEADERS["Referrer-Policy"], HEADERS["X-Frame-Options"], HEADERS["X-Content-Type-Options"]) == ("same-origin", "DENY", "nosniff")


def test_pictures_are_small_first_and_whole_where_they_are_looked_at(browser: Browser) -> None:
    small, whole = browser.get(f"thumb/{sha(0)}"), browser.get(f"picture/{sha(0)}")

    assert (small[0], Image.open(io.BytesIO(small[2])).size) == (200, (320, 240))
    assert whole[2] == Path(f"data/crawl/hammer/images/{sha(0)}.jpg").read_bytes()


def test_the_page_decides_and_is_done(browser: Browser, desk: Desk) -> None:
    status, said = browser.post("decide", choices((0, "yes"), (1, "no")))

    assert (status, said["states"][sha(0)]["verdict"], said["counts"]) == (200, "yes", {"yes": 1, "no": 1, "unusable": 0})
    assert on_disk() == {sha(0): "yes", sha(1): "no"}
    assert json.loads(browser.get("screen/0")[2])["items"][1]["state"] == {"verdict": "no", "reason": "", "by": "Anna"}
    assert not desk.done.is_set()
    assert browser.post("done", b"{}") == (200, {})
    assert desk.done.wait(10)


FOREIGN: dict[str, dict[str, str]] = {
    "a name that was bent to this machine": {"host": "evil.example"},
    "that name with our port": {"host": "evil.example:{port}"},
    "another port": {"host": "127.0.0.1:1"},
    "no port": {"host": "127.0.0.1"},
    "another spelling of this machine": {"host": "0.0.0.0:{port}"},
    "another site": {"origin": "http://evil.example"},
    "another site on this machine": {"origin": "http://127.0.0.1:1"},
    "a site over https": {"origin": "https://127.0.0.1:{port}"},
    "a page without an origin of its own": {"origin": "null"},
}


@pytest.mark.parametrize("who", FOREIGN)
def test_whoever_is_not_the_page_is_refused_even_with_the_secret(browser: Browser, who: str) -> None:
    headers = {name: value.format(port=browser.port) for name, value in FOREIGN[who].items()}

    assert browser.get("", **headers)[0] == 403
    assert browser.get(f"thumb/{sha(0)}", **headers)[0] == 403
    assert browser.post("decide", choices((0, "yes")), **headers) == (403, {"error": "refused"})
    assert on_disk() == {}


@pytest.mark.parametrize(
    "headers",
    [{"origin": ""}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"content_type": "text/plain"}, {"content_type": ""}],
    ids=["no origin", "cross-site", "same-site", "a form's type", "no type"],
)
def test_a_post_that_the_page_would_not_send_is_refused(browser: Browser, desk: Desk, headers: dict[str, str]) -> None:
    assert browser.post("decide", choices((0, "yes")), **headers)[0] == 403
    assert browser.post("done", b"{}", **headers)[0] == 403
    assert (on_disk(), desk.done.is_set()) == ({}, False)


def test_without_the_secret_there_is_nothing(browser: Browser, desk: Desk) -> None:
    wrong = "x" * len(desk.token)

    for path in ("/", "//", f"/{wrong}/", f"/{desk.token[:-1]}/", f"/{desk.token}", f"/{desk.token.swapcase()}/", f"/?token={desk.token}", "/%C3%A9/"):
        assert browser.ask("GET", path)[0] == 404, path
    for path in ("/decide", f"/{wrong}/decide"):
        assert browser.ask("POST", path, choices((0, "yes")), origin=browser.origin, content_type="application/json")[0] == 404
    assert on_disk() == {}
    assert len(desk.token) >= 32


@pytest.mark.parametrize(
    "path",
    [
        f"thumb/{sha('elsewhere')}", f"picture/{sha(2)}", "picture/../../decisions/review.jsonl", "picture/..%2f..%2fparams.yaml", "picture//etc/passwd",
        "../params.yaml", "page.py", "server.py", "screen/-1", "screen/x", "screen/²", "screen/" + "9" * 400, "thumb/", "picture", "decide",
    ],
)  # fmt: skip
def test_what_is_no_picture_of_the_look_is_not_there(browser: Browser, path: str) -> None:
    assert browser.ask("GET", browser.base + path.replace("²", "%C2%B2"))[0] == 404


def test_a_picture_that_names_a_path_reaches_no_other_file() -> None:
    Path("secret.jpg").write_bytes(b"secret")
    desk = Desk(session(1, file_name="../../../../secret.jpg"), Path())

    assert (desk.get(f"picture/{sha(0)}").status, desk.get(f"thumb/{sha(0)}").status) == (404, 404)


def test_a_file_that_is_no_picture_is_not_shown(browser: Browser) -> None:
    Path(f"data/crawl/hammer/images/{sha(1)}.jpg").write_bytes(b"<script>alert(1)</script>")

    assert browser.get(f"thumb/{sha(1)}")[0] == 404
    whole = browser.get(f"picture/{sha(1)}")
    assert (whole[1]["Content-Type"], whole[1]["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")


def test_a_stored_file_of_another_type_is_neither_decoded_nor_sent() -> None:
    folder = Path("data/crawl/hammer/images")
    folder.mkdir(parents=True)
    (folder / "page.html").write_bytes(b"<script>alert(1)</script>")
    Image.new("RGB", (4, 4)).save(folder / "a.jpg", "TIFF")
    page, tiff = (Desk(session(1, file_name=name), Path()) for name in ("page.html", "a.jpg"))

    assert (page.get(f"picture/{sha(0)}").status, tiff.get(f"thumb/{sha(0)}").status) == (404, 404)


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no list": b"{}",
    "no choices": b"[1, 2]",
    "no verdict": json.dumps([{"sha256": sha(0)}]).encode(),
    "an unknown verdict": choices((0, "maybe")),
    "an unknown picture": choices((0, "yes"), ("elsewhere", "yes")),
    "a field too many": json.dumps([{"sha256": sha(0), "verdict": "yes", "by": "Mallory"}]).encode(),
    "unusable without a reason": choices((0, "unusable")),
    "two choices on one picture": choices((0, "yes"), (0, "no")),
    "far too many choices": choices(*[(n, "yes") for n in range(1001)]),
    "a nest of lists": b"[" * 20_000,
    "bytes that are no text": b"\xff\xfe[]",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_bad_request_writes_nothing_and_the_next_one_is_served(browser: Browser, body: str) -> None:
    status, said = browser.post("decide", BODIES[body])

    assert (status, bool(said["error"]), on_disk()) == (400, True, {})
    assert browser.post("decide", choices((0, "yes")))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_length": str(MAX_BODY + 1)}, 413),
        ({"content_length": "9" * 5000}, 413),
        ({"content_length": "-1"}, 411),
        ({"content_length": "1e3"}, 411),
        ({"transfer_encoding": "chunked", "content_length": "2"}, 411),
    ],
)
def test_a_body_that_is_too_large_or_has_no_length_is_not_read(browser: Browser, headers: dict[str, str], status: int) -> None:
    assert browser.post("decide", b"[]", **headers)[0] == status
    assert browser.post("decide", choices((0, "yes")))[0] == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_do_nothing(browser: Browser, method: str) -> None:
    assert browser.ask(method, browser.base + "decide")[0] == 501


def test_a_picture_that_is_too_large_to_be_decoded_is_not_shown(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 1000)

    assert browser.get(f"thumb/{sha(0)}")[0] == 404


def test_nobody_says_yes_to_a_picture_that_is_gone(browser: Browser) -> None:
    status, said = browser.post("decide", choices((0, "yes"), (2, "yes")))

    assert (status, sha(2)[:12] in said["error"], on_disk()) == (400, True, {})
    assert browser.post("decide", choices((0, "yes"), (2, "no")))[0] == 200


def test_a_file_that_was_spoilt_meanwhile_is_named_to_the_page(browser: Browser) -> None:
    (Path("decisions") / FILE).write_text("yes\n")

    status, said = browser.post("decide", choices((0, "yes")))

    assert (status, said["error"].partition(": not")[0]) == (500, f"decisions/{FILE}:1")


def test_a_screen_that_cannot_be_shown_for_a_spoilt_file_says_so_and_the_server_goes_on(browser: Browser) -> None:
    path = Path("decisions") / FILE
    path.write_text("<<<<<<< HEAD\n=======\n>>>>>>> origin/main\n")

    status, _, said = browser.get("screen/0")

    assert (status, json.loads(said)["error"].partition(". ")[0]) == (500, f"decisions/{FILE}:1: a merge conflict of git is not resolved")
    path.write_text("")
    assert browser.get("screen/0")[0] == 200


def test_the_server_listens_on_loopback_alone_and_names_a_port_that_is_taken(desk: Desk) -> None:
    with serving(desk) as address:
        port = int(urlsplit(address).port or 0)
        with pytest.raises(InputError, match=rf"^--port: port {port} is not to be had"), serving(desk, port):
            pass


# the command


def run(*arguments: str) -> tuple[int, str]:
    """Run the command; return exit code and what it printed, errors too."""
    done = CliRunner().invoke(cli, ["review", *arguments])
    return done.exit_code, done.output + (str(done.exception) if isinstance(done.exception, InputError) else "")


def start() -> tuple[subprocess.Popen[str], Browser]:
    """Start the real command, and go to the address that it prints."""
    server, address = started()
    return server, Browser(address)


def test_a_killed_server_loses_nothing_and_the_next_look_goes_on_where_it_was() -> None:
    project()
    server, browser = start()
    browser.post("decide", choices((1, "no")))
    os.kill(server.pid, signal.SIGKILL)
    server.communicate()
    with (Path("decisions") / FILE).open("a") as file:
        file.write('{"sha256":"00')  # what a kill in the middle of a write leaves

    server, browser = start()
    waiting = [item["sha256"] for item in json.loads(browser.get("screen/0")[2])["items"]]
    browser.post("decide", choices((0, "yes")))
    os.kill(server.pid, signal.SIGINT)
    printed, _ = server.communicate(timeout=60)

    assert waiting == [sha(0), sha(2)]
    assert on_disk() == {sha(1): "no", sha(0): "yes"}
    assert server.returncode == 0
    assert "1 decision written; of these pictures 1 yes" in printed
    assert "commit it, then `dvc repro`" in printed


def test_done_on_the_page_ends_the_command() -> None:
    project()
    server, browser = start()

    browser.post("done", b"{}")

    printed, _ = server.communicate(timeout=60)
    assert (server.returncode, "0 decisions written; of these pictures none is decided" in printed) == (0, True)


def test_where_nothing_waits_no_page_is_opened() -> None:
    project(1)
    append_decisions([decided(found(0), 1, Verdict.YES, by="Anna", at=AT)], Path("decisions"))

    assert run("hammer", "--by", "Anna") == (
        0,
        "no picture waits for review in hammer: `boxset review hammer --list` says what was decided; more come with queries or crawl_images\n",
    )


def test_the_list_says_what_was_decided_by_whom_and_what_waits() -> None:
    project(5)
    said = [(0, Verdict.YES, "", "Anna"), (1, Verdict.UNUSABLE, "private", "Ben"), (2, Verdict.NO, "", "Anna"), (3, Verdict.UNDONE, "", "Ben")]
    append_decisions([decided(found(n), 1, verdict, reason=reason, by=by, at=AT) for n, verdict, reason, by in said], Path("decisions"))

    code, printed = run("--list")

    assert (code, [line.rstrip() for line in printed.splitlines()]) == (
        0,
        ["category  yes  no  private  waiting  by", "hammer      1   1        1        2  Anna 2, Ben 1", "unusable: private"],
    )


def test_a_name_with_brackets_is_listed_as_it_is() -> None:
    project()
    append_decisions([decided(found(0), 1, Verdict.YES, by="[/red] Ann [bold]", at=AT)], Path("decisions"))

    code, printed = run("--list")

    assert code == 0
    assert "[/red] Ann [bold] 1" in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hamer"], "there is no category hamer; did you mean hammer?"),
        ([], "name one category"),
        (["hammer", "--list", "--from", "mine.csv"], "one of them"),
        (["hammer", "--from", "no.csv", "--by", "Anna"], "no.csv: it is not there. Name a CSV file whose first line is sha256,verdict,reason"),
        (["hammer", "--port", "70000"], "70000 is not in the range"),
    ],
)
def test_a_command_that_cannot_be_meant_says_so(arguments: list[str], says: str) -> None:
    project()
    done = CliRunner().invoke(cli, ["review", *arguments])

    assert done.exit_code != 0
    assert says in f"{done.output}{done.exception}"


def test_somebody_must_have_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    project()
    monkeypatch.setattr("boxset.history.user_name", lambda: "")

    assert "--by: nobody is named to have decided it" in run("hammer")[1]


def test_before_anything_was_found_it_says_so() -> None:
    write_json(Path("params.yaml"), {"world": "embedded", "project": {"name": "tools"}, "categories": {"hammer": {"id": 1, "target": 9}}, "sources": {}})

    assert "data: nothing was found yet. `dvc repro label` searches" in run("hammer", "--by", "Anna")[1]


# decisions from elsewhere


def test_the_list_is_there_in_a_clone_without_data() -> None:
    project()
    Path("data/crawl/hammer/images.jsonl").unlink()
    append_decisions([decided(found(0), 1, Verdict.YES, by="Anna", at=AT)], Path("decisions"))

    assert run("--list")[1].split()[5:] == ["hammer", "1", "0", "–", "Anna", "1"]


def test_decisions_are_taken_in_from_a_file_once() -> None:
    project()
    Path("mine.csv").write_text(f"\ufeffsha256,verdict,reason\r\n{sha(0)},yes,\r\n\r\n{sha(1).upper()}, Unusable ,broken\r\n")

    first, again = run("hammer", "--from", "mine.csv", "--by", "Ben"), run("hammer", "--from", "mine.csv", "--by", "Ben")

    assert first == (0, "1 yes, 1 unusable by Ben in decisions/review.jsonl: commit it, then `dvc repro`\n")
    assert again == (0, "nothing new: all of it was decided so before\n")
    assert on_disk() == {sha(0): "yes", sha(1): "unusable (broken)"}


def test_of_a_file_with_faulty_lines_nothing_is_taken_in_and_every_one_is_named() -> None:
    project()
    rows = [(sha(0), "yes", ""), ("abc", "yes", ""), (sha("elsewhere"), "no", ""), (sha(1), "jes", ""), (sha(2), "unusable", "broke"), (sha(0), "no", "")]
    Path("mine.csv").write_text("sha256,verdict,reason\n" + "".join(",".join(row) + "\n" for row in rows))

    code, printed = run("hammer", "--from", "mine.csv", "--by", "Ben")

    assert (code, printed.splitlines()) == (
        1,
        [
            "mine.csv: 5 lines are wrong, and nothing was taken in. Correct them and take it in again:",
            "mine.csv:3: 'abc' is no SHA-256 (64 digits, as `boxset explain` and file names have them)",
            f"mine.csv:4: no picture of this project is {sha('elsewhere')[:12]}…",
            "mine.csv:5: 'jes' is no verdict; did you mean yes?: one of yes, no, unusable",
            "mine.csv:6: 'broke' is no reason; did you mean broken?: one of drawing, catalogue, broken, private, other",
            "mine.csv:7: the same picture as in line 2",
        ],
    )
    assert on_disk() == {}


def test_two_verdicts_on_copies_of_one_picture_are_named_and_one_is_taken_in() -> None:
    alike = [found(name, phash="0" * 16, grid="80" * 48) for name in "ab"]
    pictures = {one.sha256: one for one in alike}
    Path("mine.csv").write_text(f"sha256,verdict\n{sha('a')},no\n{sha('b')},yes\n")
    Path("same.csv").write_text(f"sha256,verdict\n{sha('a')},no\n{sha('b')},no\n")

    with pytest.raises(InputError, match=r"mine\.csv:3: a copy of the picture in line 2, with another verdict"):
        taken_in(Path("mine.csv"), 1, pictures, read_decisions(Path("decisions")), by="Ben", at=AT)
    assert len(taken_in(Path("same.csv"), 1, pictures, read_decisions(Path("decisions")), by="Ben", at=AT)) == 2


@pytest.mark.parametrize(
    ("content", "where", "says"),
    [
        (b"", "mine.csv:1", "the first line is ''"),
        (b"sha,verdict\n", "mine.csv:1", "the first line is 'sha,verdict'"),
        (b"sha256,verdict,verdict\n", "mine.csv:1", "the first line is"),
        (b"sha256,verdict\na\n", "mine.csv:2", "not a row of the columns"),
        (b"sha256,verdict\na,b,c\n", "mine.csv:2", "not a row of the columns"),
        (b'sha256,verdict\n"a,yes\n', "mine.csv:2", "not a row of the columns"),
        (b"sha256,verdict\n\xff,yes\n", "mine.csv:2", "not UTF-8"),
        (b"sha256,verdict\n<<<<<<< HEAD\na,b\n", "mine.csv:2", "a merge conflict of git is not resolved"),
    ],
)
def test_a_file_that_is_no_table_is_named_by_line(content: bytes, where: str, says: str) -> None:
    Path("mine.csv").write_bytes(content)

    with pytest.raises(InputError, match=re.escape(says)) as caught:
        taken_in(Path("mine.csv"), 1, {}, read_decisions(Path("decisions")), by="Ben", at=AT)

    assert caught.value.where == where


def test_a_decision_from_elsewhere_is_later_than_what_it_replaces() -> None:
    ahead = decided(found(0), 1, Verdict.NO, by="Anna", at=AT + timedelta(days=900))
    append_decisions([ahead], Path("decisions"))
    Path("mine.csv").write_text(f"sha256,verdict\n{sha(0)},yes\n")

    found_ = taken_in(Path("mine.csv"), 1, {sha(0): found(0)}, read_decisions(Path("decisions")), by="Ben", at=AT)
    append_decisions(found_, Path("decisions"))

    assert on_disk() == {sha(0): "yes"}



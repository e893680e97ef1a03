"""What comes from outside cannot act on the terminal, nor on a page: neither where it enters nor where it goes out."""

import ast
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from boxset.cli import check_folder, cli
from boxset.commands.explain import _print as print_story
from boxset.compare.explain import Step, Story
from boxset.dataset.reasons import Reason, Refusal
from boxset.errors import MOST_NAMED, InputError, ProjectError, no_category
from boxset.files import write_json
from boxset.params import Query
from boxset.report.html import tag
from boxset.sources.extract import _told
from boxset.terminal import console, say
from boxset.text import INSTEAD, cleaned, visible
from boxset.web.addresses import vetted
from boxset.web.health import health_lines, healths
from boxset.web.preview import Row, Shot
from boxset.web.preview_page import page
from boxset.web.progress import Progress
from boxset.web.suppliers.answers import page_address, plain, web_address
from boxset.web.suppliers.searxng import read_searxng
from boxset.web.suppliers.url_lists import UrlList
from tests.build import coco, image

ROOT = Path(__file__).parents[1]

ACTING = {
    "colour": "\x1b[31m", "title": "\x1b]0;owned\x07", "link": "\x1b]8;;http://evil.example\x1b\\", "C1": "\x9b31m", "back": "\x08\r", "override": "\u202e",
    "isolate": "\u2066", "NUL": "\0", "delete": "\x7f", "separator": "\u2028",
}  # fmt: skip
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
ALL = "".join(ACTING.values())


@pytest.mark.parametrize("group", ["label", "predictions"])
def test_no_line_of_a_groups_help_is_cut_off(group: str) -> None:
    assert "..." not in CliRunner().invoke(cli, [group, "--help"]).output.partition("Commands:")[2]


def test_a_command_in_a_folder_of_a_project_says_where_the_project_is(tmp_path: Path) -> None:
    project, below = tmp_path / "my tools", tmp_path / "my tools/notes/old"
    below.mkdir(parents=True)
    check_folder(["status"], below)
    for name in ("params.yaml", "dvc.yaml"):
        (project / name).write_text("")

    for asked in ([], ["init", "x"], ["status", "--help"], ["--version"]):
        check_folder(asked, below)
    check_folder(["status"], project)

    with pytest.raises(ProjectError, match=re.escape(f"no params.yaml here: the project is {project}. cd '{project}'")):
        check_folder(["label", "status"], below)


def test_a_terminal_without_unicode_gets_a_mark_in_place_of_a_character_and_no_traceback(tmp_path: Path) -> None:
    categories = {"hammer": {"id": 1, "target": 9}}
    write_json(tmp_path / "params.yaml", {"world": "embedded", "project": {"name": "tools"}, "categories": categories, "sources": {}})

    done = subprocess.run(
        [sys.executable, "-m", "boxset", "status"], cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"hammer +9 +0 +0 +0 \?{8} ", done.stdout)


def test_a_command_that_is_not_there_is_met_with_the_nearest() -> None:
    done = CliRunner().invoke(cli, ["lable", "plan"])

    assert (done.exit_code, done.output.splitlines()[-1]) == (2, "Error: there is no command lable; did you mean label?")


@pytest.mark.parametrize("asked", ["status", "collect"])
def test_a_project_that_bought_nothing_is_told_so_in_words_and_not_by_an_empty_table(asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert CliRunner().invoke(cli, ["label", asked]).output == "nothing was ever bought\n"


@pytest.mark.parametrize(
    ("command", "where"),
    [("preview", "params.yaml"), ("review", "params.yaml"), ("suspicious", "data/dataset"), ("suspicious --merge", "data/merge")],
)
def test_a_category_that_is_not_there_is_met_with_the_nearest_and_with_all(command: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    categories = {"hammer": {"id": 1, "target": 9}, "saw": {"id": 2, "target": 9}}
    write_json(Path("params.yaml"), {"world": "embedded", "project": {"name": "tools"}, "categories": categories, "sources": {}})
    for path in ("data/dataset/annotations/instances_train.json", "data/merge/annotations.json"):
        write_json(Path(path), coco([image()], []))

    done = CliRunner().invoke(cli, [*command.split(), "hamer"])

    assert str(done.exception) == f"{where}: there is no category hamer; did you mean hammer? There are hammer, saw"


def test_of_many_categories_an_error_names_the_first_and_counts_the_rest() -> None:
    assert str(no_category("axe", [f"n{number:02}" for number in range(MOST_NAMED + 5)])).endswith(f", n{MOST_NAMED - 1} and 5 more")


@pytest.mark.parametrize("acting", ACTING.values(), ids=ACTING)
def test_what_acts_on_a_terminal_is_out_of_every_text(acting: str) -> None:
    for text in (cleaned(f"a{acting}b"), visible(f"a{acting}b"), plain(f"a{acting}b"), str(InputError(f"a{acting}b", where=acting, do=acting))):
        assert not HARMFUL.search(text)
        assert text.startswith("a") or INSTEAD in text
    assert visible("a\n\tb é 锤子 אב ن\u200cی") == "a\n\tb é 锤子 אב ن\u200cی"
    assert cleaned("a\n\tb é 锤子 אב ن\u200cی") == "a  b é 锤子 אב ن\u200cی"


@pytest.mark.parametrize("acting", ACTING.values(), ids=ACTING)
def test_an_address_with_control_characters_is_not_asked_and_not_linked_to(acting: str) -> None:
    address = f"http://pics.example/a{acting}b.jpg"

    assert isinstance(vetted(address), Refusal)
    named = web_address(address)
    assert not HARMFUL.search(named)
    refusal = vetted(named)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.BAD_ADDRESS
    assert page_address(address) == ""
    assert page_address("http://pics.example/锤子?a=1") == "http://pics.example/锤子?a=1"


def test_a_search_answer_full_of_escapes_is_read_as_plain_text() -> None:
    hit = {
        "url": f"http://evil.example/{ALL}", "img_src": f"http://pics.example/{ALL}.jpg", "thumbnail_src": f"http://pics.example/t{ALL}", "title": f"t{ALL}",
        "engine": f"e{ALL}", "engines": [f"e{ALL}", f"f{ALL}"], "author": f"a{ALL}", "template": "images.html",
    }  # fmt: skip
    body = json.dumps({"results": [hit], "unresponsive_engines": [[f"g{ALL}", f"why{ALL}"]]}).encode()

    answer = read_searxng(body, Query(q="hammer"), 1, where="here")

    (found,) = answer.hits
    assert found.landing_url == ""
    assert len(found.also) == 1
    texts = (found.url, found.thumbnail, found.title, found.engine, *found.also, found.author, *answer.unresponsive[0], *health_lines(healths([answer], [])))
    assert not HARMFUL.search("".join(texts))


def test_a_list_full_of_escapes_is_read_as_plain_text(tmp_path: Path) -> None:
    bad = ALL.replace("\0", "").replace("\r", "")
    (tmp_path / "a.csv").write_text(
        f"url,category,title,author,licence,landing_url\nhttp://pics.example/{bad}.jpg,hammer,t{bad},a{bad},LicenseRef-x{bad},http://x.example/{bad}\nx{bad},hammer,,,,\n"
    )

    answer = UrlList(str(tmp_path / "a.csv"), "hammer").ask(Query(q=""), 1)

    assert len(answer.hits) == 2
    assert answer.hits[0].landing_url == ""
    assert not HARMFUL.search("".join(f"{h.url}{h.title}{h.author}{h.license}{h.engine}" for h in answer.hits))


def test_what_a_source_says_of_a_picture_is_plain_text() -> None:
    assert _told("title", "A\x1b[31m ham\u202emer") == "A [31m hammer"
    assert _told("landing_url", "https://flickr.example/1\x1b[31m") == ""
    assert _told("landing_url", "https://flickr.example/1") == "https://flickr.example/1"


def test_nothing_that_is_printed_holds_a_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    story = Story(name=ALL, verdict=ALL, steps=(Step(where=ALL, what=ALL, details=(f"shown on {ALL}",)),))
    print_story(console(file=out, width=100), story)
    say(f"said {ALL}")
    say(f"styled {ALL}", bold=True)
    Progress("hammer", 1).say(f"warning {ALL}")

    printed = out.getvalue() + capsys.readouterr().out
    assert all(word in printed for word in ("shown on", "said", "styled", "warning"))
    assert not HARMFUL.search(printed)


def test_our_own_colours_still_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    console(file=out, force_terminal=True, color_system="standard").print("[green]good[/green]")
    assert out.getvalue() == "\x1b[32mgood\x1b[0m\n"


def test_a_page_holds_no_control_characters(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.jpg")
    shot = Shot(tmp_path / "a.jpg", f"http://a/{ALL}", f"t{ALL}", f"s{ALL}", f"l{ALL}", 64, 64, landing_url=f"http://a/{ALL}", dropped="licence", detail=ALL)

    assert not HARMFUL.search(page({"hammer": [Row(f"r{ALL}", (shot,), {}, f"`code{ALL}` said{ALL}")]}))
    assert tag("a", f"x{ALL}", href=f"http://a/{ALL}").text.count(INSTEAD) > 2


def test_everything_that_is_printed_goes_one_way() -> None:
    own = re.compile(r"\bclick\.echo\(|\bConsole\(|^\s*print\(|stdout\.write", re.MULTILINE)
    printing = {path.relative_to(ROOT).as_posix() for path in [*(ROOT / "boxset").rglob("*.py"), *(ROOT / "stages").glob("*.py")] if own.search(path.read_text())}
    assert printing <= {"boxset/terminal.py", "boxset/world/__main__.py"}


def test_no_error_begins_with_the_commands_own_name() -> None:
    """`boxset: ` stands before every error that the command line prints."""
    calls = [node for path in (ROOT / "boxset").rglob("*.py") for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]

    places = {keyword.value.value for call in calls for keyword in call.keywords if keyword.arg == "where" and isinstance(keyword.value, ast.Constant)}

    assert "params.yaml" in places
    assert [place for place in places if str(place).startswith("boxset")] == []

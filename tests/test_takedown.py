"""A picture that its owner wants out stays out: of crawls, sources, purchases, the data set, the frozen test set and exports."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from boxset.cli import cli
from boxset.dataset.decisions import Decisions, Verdict, append_decisions, decided, decisions_of, read_decisions
from boxset.dataset.reasons import Reason
from boxset.dataset.records import KEPT, ImageRow, Picture, Seen
from boxset.dataset.takedown import Takedowns, TakenDown, append_takedowns, names_of, read_takedowns, takedowns_for, takedowns_of
from boxset.dataset.validation import Fault
from boxset.errors import InputError
from boxset.files import read_jsonl, write_jsonl
from boxset.formats.check import validate
from boxset.formats.export import export
from boxset.labeling.ledger import Ledger
from boxset.labeling.plan import Stock, make_plan
from tests import test_crawl_rules
from tests.build import IDS, box, merged, picture, pool, sha
from tests.project import Project
from tests.test_costs import job
from tests.test_crawl_rules import OUT, here, kept, world
from tests.test_labeling import NOTHING, label
from tests.test_reviewed import TARGETS, crawled, names

__all__ = ["here", "world"]  # fixtures
AT = datetime(2026, 11, 26, 9, tzinfo=UTC)
PRINT: dict[str, Any] = {"phash": "0f" * 8, "grid": "8090a0" * 16}


def down(*pictures: Picture, minute: int = 0) -> list[TakenDown]:
    """The lines that take pictures down, each by itself."""
    return [line for one in pictures for line in takedowns_for([one], why="a letter", by="legal", at=AT.replace(minute=minute))]


def back(line: TakenDown, minute: int) -> TakenDown:
    """The line that lets a picture in again."""
    return msgspec.structs.replace(line, is_back=True, at=AT.replace(minute=minute))


def keeps_out(lines: list[TakenDown], *pictures: Picture) -> list[bool]:
    """Whether each picture is kept out."""
    return [one is not None for one in takedowns_of(lines).of(pictures)]


def test_a_takedown_holds_for_the_picture_its_copies_and_its_addresses() -> None:
    one = picture("a", url="https://shop.example/a.jpg", **PRINT)
    copy = picture("b", url="https://other.example/b.jpg", source_id="b", **{**PRINT, "phash": f"{'0f' * 7}0e"}, width=800, height=600)
    refetched = picture("c", url="https://shop.example/a.jpg", source_id="c", phash="f" * 16)
    other = picture("d", url="https://shop.example/d.jpg", source_id="d", phash="f0" * 8)

    assert keeps_out(down(one), one, copy, refetched, other) == [True, True, True, False]


def test_the_name_of_a_file_of_ones_own_may_come_to_hold_another_picture() -> None:
    assert names_of(picture("a", source="own", source_id="a.jpg", url="a.jpg#0a1b")) == ("a.jpg#0a1b",)


@given(st.permutations(["down", "back", "down again"]))
def test_the_latest_line_holds_in_whatever_order_branches_merge(order: list[str]) -> None:
    (first,), (again,) = down(picture("a")), down(picture("a"), minute=5)
    lines = {"down": first, "back": back(first, 3), "down again": again}

    assert keeps_out([lines[name] for name in order], picture("a")) == [True]
    assert keeps_out([lines[name] for name in order if name != "down again"], picture("a")) == [False]


def test_of_two_lines_of_one_time_the_one_that_keeps_it_out_holds() -> None:
    (line,) = down(picture("a"))

    assert keeps_out([line, back(line, 0)], picture("a")) == [True]


def test_a_line_that_is_no_takedown_is_named_and_one_cut_short_is_passed_over(tmp_path: Path) -> None:
    append_takedowns(down(picture("a")), tmp_path)
    file = tmp_path / "takedown.jsonl"
    whole = file.read_bytes()

    file.write_bytes(whole + whole[:40])
    assert read_takedowns(tmp_path).contents == {sha("a")}
    for wrong in (b'{"by":"me","at":"2026-11-26T09:00:00Z"}', b"<<<<<<< HEAD", whole.strip().replace(b"phash", b"hash")):
        file.write_bytes(wrong + b"\n" + whole)
        with pytest.raises(InputError, match=r"takedown\.jsonl"):
            read_takedowns(tmp_path)


def test_a_last_line_that_somebody_spoilt_is_named_and_lets_nothing_in_again(tmp_path: Path) -> None:
    append_takedowns(down(picture("a")), tmp_path)
    (tmp_path / "takedown.jsonl").write_bytes((tmp_path / "takedown.jsonl").read_bytes().replace(b'"why"', b"why"))

    with pytest.raises(InputError, match=r"takedown\.jsonl:1: not a takedown"):
        read_takedowns(tmp_path)


def test_nothing_is_written_that_could_not_be_read_again(tmp_path: Path) -> None:
    append_takedowns(down(picture("a")), tmp_path)
    before = read_takedowns(tmp_path)

    with pytest.raises(InputError, match=r"could be read again: .* <= 500 - at `\$\.why`. Nothing was written"):
        append_takedowns(takedowns_for([picture("b")], why="x" * 501, by="legal", at=AT), tmp_path)
    assert read_takedowns(tmp_path) == before


def test_a_takedown_makes_every_plan_old(tmp_path: Path) -> None:
    before = read_decisions(tmp_path).fingerprint
    append_takedowns(down(picture("a")), tmp_path)

    assert read_decisions(tmp_path).fingerprint != before == ""


# what it does


def test_merge_leaves_out_what_is_taken_down_with_its_copies_and_bought_boxes() -> None:
    large, small, other = picture("large", width=800, height=600, coco_id="9"), picture("small", source="vg", coco_id="9"), picture("other")
    answers = pool(box("large", source="label"))
    decisions = deciding(down(small))

    result = merged(pool(large, other, box("other")), pool(small, box("small", source="vg")), answers=answers, decisions=decisions)

    assert [image.sha256 for image in result.coco.images] == [sha("other")]
    assert sorted((one.sha256, one.reason) for one in result.dropped) == sorted([(sha("large"), "taken_down"), (sha("small"), "taken_down")])


def deciding(lines: list[TakenDown]) -> Decisions:
    """Decisions that hold nothing but takedowns."""
    return replace(decisions_of([]), taken_down=takedowns_of(lines))


def test_what_is_taken_down_is_not_bought() -> None:
    pictures = crawled(*"abc")

    plan = make_plan(Ledger({}, ""), IDS, TARGETS, label(), Stock(pictures, [], decisions=deciding(down(pictures["hammer"][1]))), have=NOTHING)

    assert names(plan) == ["a", "c"]


def test_a_crawl_asks_for_nothing_that_is_taken_down_and_keeps_no_byte_of_it(world: test_crawl_rules.Outside) -> None:
    run = test_crawl_rules.run
    run(world, 12)
    first = next(row.picture for row in read_jsonl(OUT / "images.jsonl", ImageRow) if row.picture is not None)
    asked = len(world.asked)

    metrics = run(world, 12, asked=frozenset({first.sha256}), down=takedowns_of(down(first)))

    assert metrics["dropped"] == {"taken_down": 1}
    assert (first.url in kept(), len(kept())) == (False, 12)
    assert [path for top in (OUT, Path(".boxset/shelf")) for path in top.rglob(f"{first.sha256}*")] == []
    assert first.url not in [f"https://{one.host}{one.path}" for one in world.asked[asked:]]


def test_a_crawl_knows_a_copy_at_another_address(world: test_crawl_rules.Outside) -> None:
    run = test_crawl_rules.run
    run(world, 12)
    first = next(row.picture for row in read_jsonl(OUT / "images.jsonl", ImageRow) if row.picture is not None)
    (line,) = down(first)

    nameless = takedowns_of([msgspec.structs.replace(line, names=())])
    metrics = run(world, 12, down=nameless)
    asked = len(world.asked)
    run(world, 12, down=nameless)
    test_crawl_rules.forget()  # as in another clone
    run(world, 12, down=nameless)

    assert metrics["dropped"] == {"taken_down": 1}
    assert first.url not in [f"https://{one.host}{one.path}" for one in world.asked[asked:]]
    assert [path for top in (OUT, Path(".boxset/shelf")) for path in top.rglob(f"{first.sha256}*")] == []


def test_what_is_let_in_again_comes_back(world: test_crawl_rules.Outside) -> None:
    run = test_crawl_rules.run
    run(world, 12)
    before = kept()
    first = next(row.picture for row in read_jsonl(OUT / "images.jsonl", ImageRow) if row.picture is not None)

    run(world, 12, down=takedowns_of(down(first)))
    run(world, 12, down=Takedowns())

    assert kept() == before


# the command


def test_an_author_whose_pictures_are_several_is_asked_about_before_all_of_them_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").touch()
    theirs = [picture(name, source="crawl", source_id=name, url=f"https://a.example/{name}.jpg", author_url="https://a.example/ann") for name in "ab"]
    other = picture("c", source="crawl", source_id="c", url="https://b.example/c.jpg", phash="f0" * 8)
    write_jsonl(Path("data/crawl/hammer/images.jsonl"), [ImageRow(source_id=p.source_id, url=p.url, outcome=KEPT, picture=p) for p in (*theirs, other)])
    sent = Path("labelling/job-1/tasks", theirs[0].file_name)
    sent.parent.mkdir(parents=True)
    sent.write_bytes(b"a copy")
    run = CliRunner().invoke

    asked = run(cli, ["takedown", "https://a.example/ann", "--by", "me"])
    before = Path("decisions/takedown.jsonl").exists()
    done = run(cli, ["takedown", "https://a.example/ann", "--by", "me", "--all"])

    assert (str(asked.exception).startswith("https://a.example/ann: 2 pictures fit"), before) == (True, False)
    assert f"A copy lies in {sent}: remove it" in done.output
    assert read_takedowns().contents == {one.sha256 for one in theirs}


@pytest.mark.pipeline
def test_one_command_takes_a_frozen_picture_out_for_good(small: Project) -> None:
    small.run("boxset", "freeze", "v1", "-m", "first")
    small.set_params({**(params := small.params()), "split": {**params["split"], "freeze_test": "v1"}})
    small.repro()
    test = small.json("data/dataset/annotations/instances_test.json")["images"]
    one = next(image for image in test if image["source"] == "open_images")

    said = small.run("boxset", "takedown", one["landing_url"], "--why", "letter of 20 November", "--by", "legal").stdout
    with pytest.raises(InputError, match="1 picture was taken down since it was built"):
        export(small.root / "data/dataset", "voc", small.root / "voc")
    assert validate(small.root / "data/dataset") == [Fault(f"picture {one['sha256']}", "was taken down since: `dvc repro` takes it out")]
    small.repro()

    assert "decisions/takedown.jsonl: commit it" in said
    assert "files/md5/" in said
    assert list((small.root / "data").rglob(f"{one['sha256']}*")) == []
    assert one["sha256"] not in {image["sha256"] for image in small.json("data/dataset/annotations/instances_test.json")["images"]}
    assert small.json("metrics/dataset.json")["frozen"]["denied"] == 1
    assert validate(small.root / "data/dataset") == []
    assert "taken down for its owner" in small.run("boxset", "explain", one["coco_url"]).stdout
    assert "by legal" in small.run("boxset", "explain", one["sha256"]).stdout

    small.run("boxset", "takedown", one["sha256"], "--undo", "--by", "legal")
    small.repro()
    assert [image["sha256"] for image in small.json("data/dataset/annotations/instances_test.json")["images"]] == [image["sha256"] for image in test]


def test_an_address_or_a_file_that_the_project_does_not_know_stays_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").touch()
    Image.linear_gradient("L").resize((300, 200)).save("theirs.png")
    run = CliRunner().invoke

    address = run(cli, ["takedown", "https://Shop.example/a.jpg", "--by", "me"])
    file = run(cli, ["takedown", "theirs.png", "--by", "me"])
    neither = run(cli, ["takedown", "no such thing", "--by", "me"])

    assert (address.exit_code, file.exit_code) == (0, 0)
    assert address.output.splitlines() == [
        "no picture of this project is known by it; it stays out from now on, should it ever be found",
        "the address taken down in decisions/takedown.jsonl: commit it, then `dvc repro` and `dvc push`",
    ]
    lines = [json.loads(line) for line in Path("decisions/takedown.jsonl").read_text().splitlines() if line]
    assert (lines[0]["names"], lines[1]["width"]) == (["https://shop.example/a.jpg"], 300)
    assert "nothing is known of it" in str(neither.exception)
    listed = run(cli, ["takedown", "--list"]).output
    assert "https://shop.example/a.jpg" in listed


def test_an_undo_lets_in_what_it_names_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").touch()
    known = [TakenDown(sha256=digit * 64, phash="0" * 16, width=9, height=9, names=(f"https://shop.example/{digit}.jpg",), by="legal", at=AT) for digit in "ab"]
    append_takedowns(known)

    for name in ("https://other.example/", "https://other.example/a.jpg", "a"):
        wrong = CliRunner().invoke(cli, ["takedown", name, "--undo", "--by", "legal"])
        assert str(wrong.exception).startswith(f"{name}: is not taken down")
    assert read_takedowns().held == tuple(known)
    done = CliRunner().invoke(cli, ["takedown", "https://SHOP.example/a.jpg", "--undo", "--by", "legal"])

    assert done.output.startswith("1 copy of the picture let in again")
    assert read_takedowns().contents == {"b" * 64}


OWN = picture("own", source="own", source_id="shelf/a.jpg", url="shelf/a.jpg#0a1b2c3d")
THEIRS = picture(
    "theirs", source="crawl", source_id="b", url="https://a.example/b.jpg", landing_url="https://a.example/b", author_url="https://a.example/ann", phash="f0" * 8, coco_id="7"
)


def built(*, down: bool) -> None:
    """Write what a build remembers of one's own picture and of one that was crawled: kept, or left out as taken down."""
    for place, one in {"extract/own": OWN, "crawl/hammer": THEIRS}.items():
        left_out = ImageRow(source_id=one.source_id, url=one.url, outcome=Reason.TAKEN_DOWN, seen=Seen.of(one))
        row = left_out if down else ImageRow(source_id=one.source_id, url=one.url, outcome=KEPT, picture=one)
        write_jsonl(Path("data") / place / "images.jsonl", [row])


@pytest.mark.parametrize(
    ("taken", "undone", "which"),
    [
        ("own:shelf/a.jpg", "own:shelf/a.jpg", OWN),
        ("photos/shelf/a.jpg", "a.jpg", OWN),
        (OWN.sha256, "./photos/shelf/a.jpg", OWN),
        ("https://a.example/b", "https://a.example/b", THEIRS),
        ("https://a.example/ann", "https://a.example/ann", THEIRS),
        ("coco:7", "coco:7", THEIRS),
        ("crawl:b", THEIRS.sha256[:40], THEIRS),
    ],
)
def test_after_a_build_a_picture_is_let_in_again_by_any_name_by_which_it_was_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str, undone: str, which: Picture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").touch()
    built(down=False)
    assert CliRunner().invoke(cli, ["takedown", taken, "--by", "me"]).exception is None
    assert read_takedowns().contents == {which.sha256}
    built(down=True)

    done = CliRunner().invoke(cli, ["takedown", undone, "--undo", "--by", "me"])

    assert (done.exception, read_takedowns().contents) == (None, frozenset())


def test_what_only_calls_a_picture_keeps_nothing_out() -> None:
    (line,) = takedowns_for([THEIRS], why="", by="me", at=AT, called="https://a.example/ann")

    assert keeps_out([line], picture("other", source="crawl", source_id="c", url="https://a.example/ann", phash="3c" * 8)) == [False]


def test_of_several_pictures_none_is_let_in_again_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").touch()
    append_takedowns(line for one in (OWN, THEIRS) for line in takedowns_for([one], why="", by="me", at=AT, called="https://a.example/ann"))

    asked = CliRunner().invoke(cli, ["takedown", "https://a.example/ann", "--undo", "--by", "me"])
    before = read_takedowns().contents
    done = CliRunner().invoke(cli, ["takedown", "https://a.example/ann", "--undo", "--all", "--by", "me"])

    assert str(asked.exception).startswith("https://a.example/ann: 2 pictures fit")
    assert before == {OWN.sha256, THEIRS.sha256}
    assert (done.exception, read_takedowns().contents) == (None, frozenset())


def test_a_picture_that_was_paid_for_or_decided_on_and_is_not_here_can_be_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").touch()
    job(Path("ledger"), "one", 300, {"bought": ()})
    append_decisions([decided(picture("decided", **PRINT), 1, Verdict.NO, by="Ann", at=AT)])
    run = CliRunner().invoke

    done = [run(cli, ["takedown", sha(name), "--by", "legal"]) for name in ("bought", "decided")]

    assert [one.exception for one in done] == [None, None]
    assert "It was sent to be labelled in one (files)" in done[0].output
    assert [(one.sha256, one.names) for one in read_takedowns().held] == [(sha(name), ()) for name in sorted(("bought", "decided"), key=sha)]
    assert keeps_out([*read_takedowns().held], picture("copy", source_id="elsewhere", **PRINT)) == [True]
    assert run(cli, ["takedown", sha("bought"), "--by", "legal"]).exception is None


@pytest.mark.parametrize("words", [["https://a.example/1.jpg"], ["--list"], ["https://a.example/1.jpg", "--undo"]])
def test_in_a_folder_without_a_project_nothing_is_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(cli, ["takedown", *words])

    assert "this folder holds no project" in str(done.exception)
    assert list(tmp_path.iterdir()) == []

"""What was decided in a review: which line holds, for which pictures, and what is refused by line."""

import errno
import json
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from boxset.cli import cli
from boxset.dataset import decisions
from boxset.dataset.decisions import FILE, NOBODY, Decision, Verdict, append_decisions, decided, decisions_of, read_decisions
from boxset.dataset.records import Picture
from boxset.dataset.similar import copies
from boxset.errors import InputError, ProjectError
from tests.build import picture, sha
from tests.project import REPOSITORY

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
GRID, OTHER_GRID = "80" * 48, "10" * 48


def decision(name: object = "a", verdict: str = "yes", *, minute: int = 0, category_id: int = 1, reason: str = "", by: str = "Anna", **more: Any) -> Decision:
    """A decision on a picture of that name."""
    return decided(picture(name, **more), category_id, Verdict(verdict), reason=reason, by=by, at=AT + timedelta(minutes=minute))


def unusable(name: object = "a", **more: Any) -> Decision:
    """A decision that a picture is unusable."""
    return decision(name, "unusable", reason="drawing", **more)


def says(decisions: list[Decision], name: object = "a", **more: Any) -> dict[int, str]:
    """What holds for a picture, by category id."""
    (review,) = decisions_of(decisions).of([picture(name, **more)])
    return {number: one.words for number, one in review.by_category.items()}


RULES: dict[str, tuple[list[Decision], dict[int, str]]] = {
    "nothing": ([], {}),
    "one": ([decision()], {1: "yes"}),
    "the latest holds": ([decision(minute=1), decision(verdict="no", by="Ben")], {1: "yes"}),
    "the latest holds, also after unusable": ([unusable(), decision(minute=1, by="Ben")], {1: "yes"}),
    "at one time no beats yes": ([decision(), decision(verdict="no", by="Ben")], {1: "no"}),
    "at one time unusable beats no": ([unusable(by="Ben"), decision(verdict="no")], {1: "unusable (drawing)"}),
    "at one time undone beats yes": ([decision(), decision(verdict="undone")], {}),
    "at one time no beats undone": ([decision(verdict="no"), decision(verdict="undone")], {1: "no"}),
    "undone": ([decision(), decision(verdict="undone", minute=1)], {}),
    "decided again": ([decision(), decision(verdict="undone", minute=1), decision(verdict="no", minute=2)], {1: "no"}),
    "each category for itself": ([decision(), decision(verdict="no", category_id=2)], {1: "yes", 2: "no"}),
    "another picture": ([decision("b")], {}),
    "the same line twice": ([decision(), decision()], {1: "yes"}),
}


@pytest.mark.parametrize("rule", RULES)
def test_which_decision_holds(rule: str) -> None:
    decisions, expected = RULES[rule]

    assert says(decisions) == says(decisions[::-1]) == expected


@given(st.permutations([decision(), decision(verdict="no", by="Ben"), unusable(minute=1), decision(verdict="undone", minute=2), decision("b", minute=3)]))
def test_the_order_of_lines_means_nothing(decisions: list[Decision]) -> None:
    assert decisions_of(decisions) == decisions_of(sorted(decisions, key=lambda one: one.at))


COPIES: dict[str, tuple[dict[str, Any], bool]] = {
    "the same": ({}, True),
    "near in hash, shape and colours": ({"phash": "000000000000003f"}, True),
    "too far in hash": ({"phash": "00000000000000ff"}, False),
    "another shape": ({"width": 300, "height": 400}, False),
    "other colours": ({"grid": OTHER_GRID}, False),
    "scaled": ({"width": 800, "height": 600}, True),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_decision_holds_for_copies_of_its_picture_and_for_no_others(copy: str) -> None:
    more, holds = COPIES[copy]
    one = decision("a", "no", phash="0" * 16, grid=GRID)

    assert says([one], "b", **{"phash": "0" * 16, "grid": GRID, **more}) == ({1: "no"} if holds else {})


def test_of_decisions_on_two_copies_the_later_holds() -> None:
    alike = {"phash": "0" * 16, "grid": GRID}

    assert says([decision("a", **alike), decision("b", "no", minute=1, **alike)], "a", **alike) == {1: "no"}
    assert says([decision("a", **alike), decision("b", "undone", minute=1, **alike)], "a", **alike) == {}


def test_a_copys_later_line_is_what_is_counted() -> None:
    alike = {"phash": "0" * 16, "grid": GRID}
    no, undone, yes = decision("a", "no", **alike), decision("b", "undone", minute=1, **alike), decision("b", minute=2, **alike)

    assert decisions_of([no]).tally(1) == {"no": 1}
    assert decisions_of([no, undone]).tally(1) == {}
    assert decisions_of([no, undone, yes]).tally(1) == {"yes": 2}  # two files
    assert decisions_of([no, undone, yes, decision("c", category_id=2, **alike)]).tally(1) == {"yes": 2}


LINES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["yes", "no", "undone"]), st.integers(0, 5), st.integers(1, 2), st.sampled_from(["0" * 16, "f" * 16])),
    max_size=12,
)


@given(LINES)
def test_as_many_pictures_are_counted_as_are_named_with_their_decisions(lines: list[tuple[str, str, int, int, str]]) -> None:
    found = decisions_of(decision(name, verdict, minute=minute, category_id=i, phash=phash, grid=GRID) for name, verdict, minute, i, phash in lines)

    assert [found.counted.get(i, 0) for i in (1, 2)] == [len(found.of_category(i)) for i in (1, 2)]


def test_status_compares_no_pictures_where_nothing_was_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    append_decisions([decision("a"), decision("b", "no"), unusable("c", category_id=2)])
    compared: list[int] = []

    def counted(pictures: Sequence[Picture], known: Sequence[Picture], bits: int) -> Iterator[tuple[int, int]]:
        compared.append(len(known))
        return copies(pictures, known, bits)

    monkeypatch.setattr(decisions, "copies", counted)

    def reviewed() -> dict[str, int]:
        done = CliRunner().invoke(cli, ["status", "--json"], catch_exceptions=False)
        return {one["name"]: one["reviewed"] for one in json.loads(done.output)["categories"] if one["reviewed"]}

    first, before = reviewed(), list(compared)
    append_decisions([decision("a", "undone", minute=1)])

    assert (first, before) == ({"driller": 2, "hammer": 1}, [])
    assert reviewed() == {"driller": 1, "hammer": 1}
    assert compared[0] == 1  # what was undone


def test_the_same_file_keeps_its_decision_whatever_a_hand_made_of_its_hash() -> None:
    assert says([decision("a", phash="f" * 16)], "a", phash="0" * 16) == {1: "yes"}


def test_a_picture_that_is_unusable_for_one_category_is_unusable() -> None:
    (review,) = decisions_of([unusable(category_id=9), decision(minute=1)]).of([picture("a")])

    assert review.unusable == unusable(category_id=9)


def test_a_decision_in_knowledge_of_another_is_later_whatever_the_clock_says() -> None:
    ahead = decision(minute=60)

    again = decided(picture("a"), 1, Verdict.NO, by="Ben", at=AT, after=ahead)

    assert says([ahead, again]) == {1: "no"}


# the file


def test_what_is_appended_is_read_again_with_its_mark(tmp_path: Path) -> None:
    some = [decision(), decision("b", "no", minute=1), unusable("c", minute=2)]
    append_decisions(some[:1], tmp_path)
    append_decisions(some[1:], tmp_path)

    assert read_decisions(tmp_path) == decisions_of(some)
    assert read_decisions(tmp_path / "none") == NOBODY
    assert len({decisions_of(part).fingerprint for part in ([], some[:1], some)}) == 3
    assert NOBODY.fingerprint == ""


LINE = msgspec.json.encode(decision("a", grid=GRID)).decode()


def edited(**fields: Any) -> str:
    """The line with other fields; None takes one out."""
    plain = {**msgspec.json.decode(LINE), **fields}
    return msgspec.json.encode({name: value for name, value in plain.items() if value is not None}).decode()


FAULTS: dict[str, tuple[str, str]] = {
    "no JSON": ("yes, it is", "malformed"),
    "a list": ("[]", "Expected `object`"),
    "a short hash": (edited(sha256="abc"), "sha256"),
    "a hash in capitals": (edited(sha256="A" * 64), "sha256"),
    "no such verdict": (edited(verdict="maybe"), "verdict"),
    "no such reason": (edited(verdict="unusable", reason="ugly"), "reason"),
    "unusable without a reason": (edited(verdict="unusable"), "reason"),
    "a reason for a yes": (edited(reason="drawing"), "reason"),
    "category zero": (edited(category_id=0), "category_id"),
    "nobody": (edited(by=""), "by"),
    "no time": (edited(at=None), "at"),
    "a time without a zone": (edited(at="2026-11-26T12:00:00"), "at"),
    "a year that other zones of time have left": (edited(at="9999-12-31T23:59:59-12:00"), "year 9999"),
    "a year before all others": (edited(at="0001-01-01T00:00:00+14:00"), "year 1,"),
    "a day that is none": (edited(at="2026-13-99T12:00:00Z"), "at"),
    "a field too many": (edited(verdikt="no"), "verdikt"),
    "a hash of other letters": (edited(phash="z" * 16), "phash"),
    "half a grid": (edited(grid="80"), "grid"),
    "no width": (edited(width=0), "width"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_line_that_is_no_decision_is_named(tmp_path: Path, fault: str) -> None:
    line, says_ = FAULTS[fault]
    (tmp_path / FILE).write_text(f"{LINE}\n\n{line}\n{edited(verdict='no')}\n")

    with pytest.raises(InputError) as caught:
        read_decisions(tmp_path)

    assert caught.value.where == f"{tmp_path / FILE}:3"
    assert says_ in caught.value.what
    assert caught.value.do == "Correct the line, or take it from git's history"


def test_a_merge_that_git_left_unresolved_is_called_that(tmp_path: Path) -> None:
    (tmp_path / "decisions").mkdir()
    (tmp_path / "decisions" / FILE).write_text(f"{LINE}\n<<<<<<< HEAD\n{LINE}\n=======\n{edited(by='Ben')}\n>>>>>>> other\n")

    with pytest.raises(InputError, match=r"review\.jsonl:2: a merge conflict of git is not resolved\. Delete the marker lines and keep the rows of both"):
        read_decisions(tmp_path / "decisions")


def test_a_line_that_a_kill_cut_short_is_passed_over_and_cut_off_by_the_next(tmp_path: Path) -> None:
    append_decisions([decision()], tmp_path)
    with (tmp_path / FILE).open("a") as file:
        file.write(edited(verdict="no")[:40])

    torn = read_decisions(tmp_path)
    append_decisions([decision("b")], tmp_path)

    assert torn == decisions_of([decision()])
    assert read_decisions(tmp_path) == decisions_of([decision(), decision("b")])


def test_lines_with_the_ends_of_another_system_are_the_same(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(f"{LINE}\r\n{LINE}\r\n".encode())

    assert read_decisions(tmp_path) == decisions_of([decision("a", grid=GRID)])


def test_nothing_is_written_that_could_not_be_read_again(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could be read again"):
        append_decisions([decision(), msgspec.structs.replace(decision(), by="")], tmp_path)

    assert not (tmp_path / FILE).exists()


def test_where_the_disk_is_full_nothing_of_what_was_to_be_appended_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_decisions([decision()], tmp_path)
    before = (tmp_path / FILE).read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("boxset.files.os.fsync", full)
    with pytest.raises(ProjectError, match="the disk is full"):
        append_decisions([decision("b"), decision("c")], tmp_path)

    assert (tmp_path / FILE).read_bytes() == before


def test_two_branches_that_reviewed_merge_without_a_word_and_the_rule_decides(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@shop.example", *words], cwd=tmp_path, check=True, capture_output=True)

    def commit(*decisions: Decision) -> None:
        append_decisions(decisions, tmp_path / "decisions")
        git("add", "-A")
        git("commit", "-qm", "Review")

    git("init", "-q", "-b", "main")
    (tmp_path / ".gitattributes").write_text((Path(__file__).parents[1] / ".gitattributes").read_text())
    (tmp_path / "decisions").mkdir()
    (tmp_path / "decisions" / FILE).touch()
    commit()
    git("checkout", "-qb", "other")
    commit(decision("a", "no", minute=2, by="Ben"), decision("b"))
    git("checkout", "-q", "main")
    commit(decision("a"), unusable("c", minute=1))
    git("merge", "-q", "other")

    found = read_decisions(tmp_path / "decisions")
    assert {sha256: one[0].words for sha256, one in found.by_picture.items()} == {sha("a"): "no", sha("b"): "yes", sha("c"): "unusable (drawing)"}


def test_a_hundred_thousand_rows_are_read(tmp_path: Path) -> None:
    plain = msgspec.json.decode(LINE)
    rows = (msgspec.json.encode({**plain, "sha256": f"{n:064x}", "phash": f"{n * 0x9E3779B97F4A7C15 % (1 << 64):016x}"}) for n in range(100_000))
    (tmp_path / FILE).write_bytes(b"\n".join(rows) + b"\n")

    assert len(read_decisions(tmp_path).latest) == 100_000

"""What changed between two versions: pictures by content, boxes by place."""

import io
import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from boxset.cli import cli
from boxset.compare.diff import BoxChange, CategoryChange, Change, Diff, ImageChange, diff
from boxset.compare.matching import best_assignment
from boxset.dataset.coco import Coco, CocoLicense, write_coco
from boxset.report.diff_page import diff_page
from boxset.report.markdown import MOST, diff_markdown
from boxset.report.pictures import Pictures
from boxset.report.terminal import diff_text
from tests.versions import annotation, coco, image, sha

NAMES = ("v1", "v2")
HAMMER = ("hammer", (10.0, 10.0, 40.0, 40.0))
DRIVER = ("screwdriver", (60.0, 60.0, 20.0, 20.0))

coordinates = st.floats(0, 60, width=32)
sides = st.floats(1, 40, width=32)
boxes = st.lists(st.tuples(st.sampled_from(["hammer", "screwdriver"]), st.tuples(coordinates, coordinates, sides, sides)), max_size=5)
versions = st.dictionaries(st.sampled_from("abcdef"), boxes, max_size=5).map(lambda pictures: {"train": coco(*pictures.items())})


def compare(old: Coco, new: Coco) -> Diff:
    """Compare two versions that have one split."""
    return diff({"train": old}, {"train": new}, names=NAMES)


def change(**fields: Any) -> BoxChange:
    """A box's change in picture `a`."""
    return BoxChange(sha256=sha("a"), file_name=f"{sha('a')}.jpg", split="train", source="lvis", **fields)


def test_renumbered_and_reordered_records_are_no_change() -> None:
    old = coco(("a", [HAMMER, DRIVER]), ("b", [HAMMER]))
    new = coco(("b", [HAMMER]), ("a", [DRIVER, HAMMER]), first=70)

    found = compare(old, new)

    assert (found.image_changes, found.box_changes, found.is_empty) == ((), (), True)


def test_a_box_that_was_drawn_anew_has_moved() -> None:
    found = compare(coco(("a", [HAMMER])), coco(("a", [("hammer", (15.0, 10.0, 40.0, 40.0))])))

    assert found.box_changes == (
        change(kind="moved", category="hammer", old_bbox=(10, 10, 40, 40), bbox=(15, 10, 40, 40), iou=0.7778),
    )


def test_a_box_with_another_label_was_relabelled() -> None:
    found = compare(coco(("a", [HAMMER])), coco(("a", [("screwdriver", HAMMER[1])])))

    assert found.box_changes == (
        change(kind="relabelled", category="screwdriver", old_category="hammer", old_bbox=(10, 10, 40, 40), bbox=(10, 10, 40, 40), iou=1.0),
    )


def test_boxes_that_share_too_little_went_and_came() -> None:
    found = compare(coco(("a", [HAMMER])), coco(("a", [("hammer", (40.0, 10.0, 40.0, 40.0))])))

    assert found.box_changes == (
        change(kind="added", category="hammer", bbox=(40, 10, 40, 40)),
        change(kind="removed", category="hammer", old_bbox=(10, 10, 40, 40)),
    )


def test_what_becomes_a_crowd_is_told() -> None:
    old = coco(("a", [HAMMER]))
    crowd = msgspec.structs.replace(old, annotations=(msgspec.structs.replace(old.annotations[0], iscrowd=1),))

    found = compare(old, crowd)

    assert [(c.kind, c.old_category, c.category) for c in found.box_changes] == [("relabelled", "hammer", "hammer (crowds)")]
    assert list(found.categories) == ["hammer", "hammer (crowds)", "screwdriver"]


def test_crowds_are_counted_apart_as_metrics_and_report_do() -> None:
    plain = coco(("a", [HAMMER, DRIVER]))
    extra = msgspec.structs.replace(annotation(3, 1, 1, (0.0, 0.0, 90.0, 90.0)), iscrowd=1)
    crowded = msgspec.structs.replace(plain, annotations=(*plain.annotations, extra))

    found = compare(plain, crowded)

    assert (found.boxes, found.splits["train"]["boxes"]) == (Change(old=2, new=2),) * 2
    assert {name: (c.old_boxes, c.new_boxes, c.added) for name, c in found.categories.items()} == {
        "hammer": (1, 1, 0),
        "hammer (crowds)": (0, 1, 1),
        "screwdriver": (1, 1, 0),
    }


def test_a_better_copy_replaces_a_picture_and_its_boxes_are_compared_at_the_new_size() -> None:
    old = {"train": Coco(info={}, licenses=(), categories=coco().categories, images=(image(1, "small"),), annotations=(annotation(1, 1, 1, HAMMER[1]),))}
    large = image(1, "large", width=200, height=200, source="open_images", also_in=("lvis:small",))
    new = {"train": Coco(info={}, licenses=(), categories=coco().categories, images=(large,), annotations=(annotation(1, 1, 1, (20.0, 20.0, 80.0, 80.0)),))}

    found = diff(old, new, names=NAMES)

    assert found.box_changes == ()
    assert found.image_changes == (
        ImageChange(
            kind="replaced", sha256=sha("large"), file_name=f"{sha('large')}.jpg", split="train", source="open_images", source_id="large",
            boxes={"hammer": 1}, old_sha256=sha("small"), old_split="train",
        ),
    )  # fmt: skip


def test_a_picture_in_another_split_is_told() -> None:
    one, none = coco(("a", [HAMMER])), coco()

    found = diff({"train": one, "test": none}, {"train": none, "test": one}, names=NAMES)

    assert [(c.kind, c.old_split, c.split) for c in found.image_changes] == [("split", "train", "test")]
    assert found.splits["test"] == {"images": Change(old=0, new=1), "boxes": Change(old=0, new=1)}
    assert found.box_changes == ()


def test_licences_that_change_places_are_told_though_their_counts_are_the_same() -> None:
    licences = (CocoLicense(id=1, name="CC-BY-2.0"), CocoLicense(id=2, name="CC-BY-NC-2.0"))
    parts = [
        Coco(info={}, licenses=licences, categories=coco().categories, images=(image(1, "a", license=one), image(2, "b", license=other)), annotations=())
        for one, other in ((1, 2), (2, 1))
    ]

    found = compare(*parts)

    assert not found.is_empty
    assert [(c.kind, c.sha256, c.old_licence, c.licence) for c in found.image_changes] == [
        ("licence", sha("a"), "CC-BY-2.0", "CC-BY-NC-2.0"),
        ("licence", sha("b"), "CC-BY-NC-2.0", "CC-BY-2.0"),
    ]
    assert found.relicensed == {"CC-BY-2.0 → CC-BY-NC-2.0": 1, "CC-BY-NC-2.0 → CC-BY-2.0": 1}
    assert "2 pictures under another licence" in diff_markdown(found)
    assert "was under CC-BY-2.0, is under CC-BY-NC-2.0" in diff_markdown(found)
    console = Console(width=120, file=io.StringIO())
    with console.capture() as printed:
        console.print(diff_text(found))
    assert "CC-BY-2.0 → CC-BY-NC-2.0: 1" in printed.get()


def test_a_category_that_came_stands_beside_those_that_stayed() -> None:
    new = coco(("a", [HAMMER]), ("b", [("wrench", (1.0, 1.0, 5.0, 5.0))]), categories=("hammer", "screwdriver", "wrench"))

    found = compare(coco(("a", [HAMMER])), new)

    assert list(found.categories) == ["hammer", "screwdriver", "wrench"]
    assert found.categories["wrench"] == CategoryChange(
        old_images=0, new_images=1, old_boxes=0, new_boxes=1, came=1, went=0, added=0, removed=0, moved=0, relabelled_from=0, relabelled_to=0
    )


def test_the_fewest_changes_explain_overlapping_boxes() -> None:
    """The nearest box of the first old one is the only one of the second: greedy pairing would lose a pair."""
    old = coco(("a", [("hammer", (0.0, 0.0, 60.0, 30.0)), ("hammer", (0.0, 0.0, 40.0, 30.0))]))
    new = coco(("a", [("hammer", (0.0, 0.0, 52.0, 30.0)), ("hammer", (0.0, 0.0, 90.0, 30.0))]))

    found = compare(old, new)

    assert [c.kind for c in found.box_changes] == ["moved", "moved"]


def test_of_two_boxes_that_are_as_near_the_order_in_the_file_does_not_choose() -> None:
    one, other = ("hammer", (5.0, 10.0, 30.0, 30.0)), ("hammer", (5.0, 5.0, 30.0, 30.0))
    new = coco(("a", [("screwdriver", one[1]), ("hammer", (10.0, 10.0, 30.0, 22.0))]))

    assert compare(coco(("a", [one, other])), new) == compare(coco(("a", [other, one])), new)


@given(versions, versions)
def test_counts_add_up_whatever_changed(old: dict[str, Coco], new: dict[str, Coco]) -> None:
    found = diff(old, new, names=NAMES)

    for c in found.categories.values():
        assert c.old_boxes + c.came + c.added + c.relabelled_to - c.went - c.removed - c.relabelled_from == c.new_boxes
    came = sum(c.kind == "added" for c in found.image_changes) - sum(c.kind == "removed" for c in found.image_changes)
    assert found.images.old + came == found.images.new


@given(versions)
def test_a_version_does_not_differ_from_itself(version: dict[str, Coco]) -> None:
    assert diff(version, version, names=NAMES).is_empty


@given(versions, versions)
def test_back_is_the_mirror_of_forth(old: dict[str, Coco], new: dict[str, Coco]) -> None:
    forth, back = diff(old, new, names=NAMES), diff(new, old, names=NAMES)

    assert {n: (c.came, c.added, c.moved) for n, c in forth.categories.items()} == {n: (c.went, c.removed, c.moved) for n, c in back.categories.items()}


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_the_assignment_is_the_best_there_is(rows: int, columns: int, data: st.DataObject) -> None:
    weights = np.array([[data.draw(st.sampled_from([0.0, 0.5, 0.6, 0.7, 0.9, 1.0])) for _ in range(columns)] for _ in range(rows)])

    found = sum(weights[pair] for pair in best_assignment(weights))

    wide = weights if rows <= columns else weights.T
    every = itertools.permutations(range(wide.shape[1]), wide.shape[0])
    assert found == pytest.approx(max(sum(wide[row, column] for row, column in enumerate(order)) for order in every))


CHANGED = (
    {"train": coco(("a", [HAMMER, DRIVER]), ("b", [HAMMER]), ("c", [DRIVER]))},
    {"train": coco(("a", [("hammer", (15.0, 10.0, 40.0, 40.0))]), ("b", [("screwdriver", HAMMER[1])]), ("d", [HAMMER]))},
)


def test_the_terminal_shows_counts_and_names_the_changes() -> None:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as printed:
        console.print(diff_text(diff(*CHANGED, names=NAMES)))

    shown = [" ".join(line.split()) for line in printed.get().splitlines()]

    assert shown == [
        "v1 → v2",
        "pictures 3 boxes 4 → 3 (−1)",
        "",
        "category boxes came went added removed moved relabelled",
        "hammer 2 1 · · · 1 −1",
        "screwdriver 2 → 1 −1 · 1 · 1 · +1",
        "came, went: with their pictures; added, removed: in pictures that both have",
        "",
        "pictures 1 added, 1 removed",
        "test: unchanged since v1",
        "",
        "moved hammer IoU 0.78 610000000000",
        "removed screwdriver 610000000000",
        "relabelled hammer → screwdriver IoU 1.00 620000000000",
    ]


def test_markdown_folds_each_category() -> None:
    text = diff_markdown(diff(*CHANGED, names=NAMES))

    assert text.startswith("### Data set: `v1` → `v2`\n\n**3 pictures · 3 boxes (−1)**\n\n| category |")
    assert "| screwdriver | 1 | −1 |  | 1 |  | 1 |  | +1 |" in text
    assert "<details><summary>hammer: 1 moved, 1 relabelled</summary>\n\n- `610000000000` moved: hammer [10, 10, 40, 40] → [15, 10, 40, 40], IoU 0.78" in text
    assert "<details><summary>1 picture removed</summary>\n\n- `630000000000` train, from lvis `c`: 1 screwdriver\n" in text


def test_markdown_stays_short_enough_for_a_comment() -> None:
    names = [f"tool_{number}" for number in range(200)]
    old = coco(*((f"p{n}{i}", [(name, HAMMER[1])]) for n, name in enumerate(names) for i in range(9)), categories=names)
    new = coco(*((f"p{n}{i}", [(name, (15.0, 10.0, 40.0, 40.0))]) for n, name in enumerate(names) for i in range(9)), categories=names)

    text = diff_markdown(compare(old, new))

    assert len(text) < MOST + 100
    assert "more lists did not fit" in text


def test_names_from_outside_stay_text() -> None:
    old, new = coco(), coco(("a", [HAMMER]), fields={"source_id": "`<script>alert(1)</script>`", "source": "<b>"})
    found = compare(old, new)

    page = diff_page(found, {"train": old}, {"train": new}, Pictures((), budget=0))

    assert "<script>" not in page
    assert "<b>," not in page
    assert "``" not in diff_markdown(found)


def test_json_holds_every_change() -> None:
    found = diff(*CHANGED, names=NAMES)

    assert msgspec.json.decode(msgspec.json.encode(found), type=Diff) == found
    assert {c["kind"] for c in json.loads(msgspec.json.encode(found))["box_changes"]} == {"moved", "removed", "relabelled"}


def test_the_page_draws_old_and_new_boxes_and_needs_no_network() -> None:
    found = diff(*CHANGED, names=NAMES)

    page = diff_page(found, *CHANGED, Pictures((), budget=0))

    assert '<rect class="old" x="10.0" y="10.0" width="40.0" height="40.0"><title>was hammer</title></rect>' in page
    assert '<rect class="moved" x="15.0" y="10.0" width="40.0" height="40.0"><title>hammer, lvis</title></rect>' in page
    assert "http" not in page.partition("</style>")[2]


# the command


@pytest.fixture
def two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose annotations stand in git, and differ in the work tree."""
    for split in ("train", "val", "test"):
        write_coco(tmp_path / f"data/dataset/annotations/instances_{split}.json", CHANGED[0].get(split, coco()))
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("-c", "user.name=T", "-c", "user.email=t@shop.example", "commit", "-qm", "Build")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    write_coco(tmp_path / "data/dataset/annotations/instances_train.json", CHANGED[1]["train"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_compares_head_with_the_work_tree(two_versions: Path) -> None:
    done = CliRunner().invoke(cli, ["diff", "--json", "--exit-code"])

    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (found["old"], found["new"], found["boxes"], len(found["box_changes"])) == ("HEAD", "work tree", {"old": 4, "new": 3}, 3)


def test_the_command_finds_no_change_in_one_version(two_versions: Path) -> None:
    done = CliRunner().invoke(cli, ["diff", "main", "HEAD", "--exit-code"])

    assert (done.exit_code, done.stdout.splitlines()) == (
        0,
        ["main → HEAD", "The two hold the same pictures, boxes, splits and licences.", "test: unchanged since main"],
    )


def test_the_command_writes_the_page(two_versions: Path) -> None:
    done = CliRunner().invoke(cli, ["diff", "--html", "out.html"])

    assert done.stdout == "out.html: 2 pictures and 3 boxes changed\n"
    assert (two_versions / "out.html").read_text().startswith("<!doctype html>")


TEST_CHANGES = {
    "test: unchanged since v1": {"test": coco(("a", [HAMMER]), ("b", [DRIVER]))},
    "test: 1 picture removed since v1": {"test": coco(("a", [HAMMER]))},
    "test: 1 picture added since v1": {"test": coco(("a", [HAMMER]), ("b", [DRIVER]), ("d", [HAMMER, HAMMER]))},
    "test: 2 boxes changed in 1 picture since v1": {"test": coco(("a", [DRIVER]), ("b", [DRIVER]))},
    "test: 1 picture added, 1 picture removed since v1": {"train": coco(("b", [])), "test": coco(("a", [HAMMER]), ("c", [DRIVER]), first=9)},
    "test: 1 picture removed, 1 box changed in 1 picture since v1": {"test": coco(("a", [])), "train": coco(("b", [DRIVER]), ("c", []), first=9)},
}


@pytest.mark.parametrize("words", TEST_CHANGES)
def test_one_line_says_whether_test_is_the_same(words: str) -> None:
    old = {"train": coco(("c", [HAMMER]), first=5), "test": coco(("a", [HAMMER]), ("b", [DRIVER]))}

    found = diff(old, {"train": coco(("c", []), first=5), **TEST_CHANGES[words]}, names=NAMES)

    assert found.test.words == words
    assert f"- {words}" in diff_markdown(found).splitlines()

"""Groups never leak, images never move as the data set grows, and what is remembered can be merged."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxset.assemble.split import Remembered, read_splits, short_words, split, write_splits
from boxset.dataset.coco import Coco
from boxset.errors import InputError
from boxset.files import sha256_of
from boxset.params import Ratio, Split
from tests.build import annotation, coco, image


def data(count: int, *, groups: int | None = None, **more: object) -> Coco:
    """Images with one box each, alternately of two categories; in groups of neighbours where told."""
    images = [image(n, group=n if groups is None else n % groups + 1, **more) for n in range(1, count + 1)]
    return coco(images, [annotation(n, n, n % 2 + 1) for n in range(1, count + 1)])


@given(st.integers(5, 60), st.integers(1, 20))
@settings(max_examples=30)
def test_a_group_lies_in_one_split(count: int, groups: int) -> None:
    found = data(count, groups=groups)

    parted = split(found, {}, Split())

    where: dict[int, set[str]] = {}
    for one in found.images:
        where.setdefault(one.group, set()).add(parted.assignment[one.id])
    assert {g: s for g, s in where.items() if len(s) > 1} == {}
    assert len(parted.assignment) == count


def test_the_shares_are_kept_for_every_category() -> None:
    parted = split(data(200), {}, Split())

    assert parted.metrics["images"] == {"train": 160, "val": 20, "test": 20}
    assert parted.metrics["boxes_by_split"]["test"] == {"hammer": 10, "saw": 10}


def test_an_image_keeps_its_split_over_ten_versions() -> None:
    past: Remembered = {}
    for version in range(1, 11):
        parted = split(data(20 * version), past, Split())
        assert {name: parted.remembered[name] for name in past} == past
        assert parted.metrics["moved"] == {"ratio": 0, "floor": 0, "merged_groups": 0, "rule": 0}
        past = parted.remembered


def test_a_picture_that_comes_back_finds_its_split_again() -> None:
    first = split(data(50), {}, Split())
    without = split(data(30), first.remembered, Split())

    assert split(data(50), without.remembered, Split()).assignment == first.assignment


def test_a_new_ratio_moves_few() -> None:
    first = split(data(100), {}, Split())

    second = split(data(100), first.remembered, Split(ratio=Ratio(train=0.7, val=0.15, test=0.15)))

    moved = sum(first.assignment[i] != second.assignment[i] for i in first.assignment)
    assert Counter(second.assignment.values()) == {"train": 70, "val": 15, "test": 15}
    assert moved == second.metrics["moved"]["ratio"] == 10


@pytest.mark.parametrize(
    ("first", "second", "goes_to"), [("train", "test", "test"), ("val", "train", "val"), ("val", "test", "test"), ("train", "train", "train")]
)
def test_groups_that_become_one_go_to_test_else_val_else_train(first: str, second: str, goes_to: str) -> None:
    both = coco([image(1, group=1), image(2, group=1)], [])
    past = {image(1).sha256: first, image(2).sha256: second}

    parted = split(both, past, Split())

    assert set(parted.assignment.values()) == {goes_to}
    assert parted.metrics["moved"]["merged_groups"] == int(first != second)


def test_sources_can_be_kept_out_of_test_or_be_its_only_ones() -> None:
    own = coco([image(n, source="own" if n % 2 else "coco") for n in range(1, 41)], [])

    never = split(own, {}, Split(never_test=("coco",)))
    only = split(own, {}, Split(test_only_from=("own",)))

    for parted in (never, only):
        assert {own.images[i - 1].source for i, name in parted.assignment.items() if name == "test"} == {"own"}


def test_a_remembered_test_picture_leaves_test_where_its_source_may_not_be_there() -> None:
    parted = split(coco([image(1)], []), {image(1).sha256: "test"}, Split(never_test=("coco",)))

    assert parted.assignment == {1: "train"}


def test_val_and_test_hold_the_floor_where_there_are_enough() -> None:
    rare = coco([image(n) for n in range(1, 101)], [annotation(n, n, 1 if n <= 20 else 2) for n in range(1, 101)])

    parted = split(rare, {}, Split(min_boxes=4))

    assert [parted.metrics["boxes_by_split"][name]["hammer"] for name in ("val", "test")] == [4, 4]


def test_crowds_fill_no_floor_and_are_no_boxes_that_a_score_counts() -> None:
    crowds = coco([image(n) for n in range(1, 101)], [annotation(n, n, iscrowd=int(n <= 50)) for n in range(1, 101)])

    parted = split(crowds, {}, Split(min_boxes=9))

    usual = {name: sum(part == name and number > 50 for number, part in parted.assignment.items()) for name in ("train", "val", "test")}
    assert {name: boxes["hammer"] for name, boxes in parted.metrics["boxes_by_split"].items()} == usual
    assert (min(usual["val"], usual["test"]), parted.metrics["boxes"]) == (9, {"hammer": 50, "saw": 0})


def rare_tools() -> Coco:
    """100 pictures, the first 20 with a hammer."""
    return coco([image(n) for n in range(1, 101)], [annotation(n, n, 1 if n <= 20 else 2) for n in range(1, 101)])


def test_a_floor_that_comes_later_is_filled_out_of_train_and_nothing_leaves_test() -> None:
    past = {one.sha256: "train" if number < 20 else "test" for number, one in enumerate(rare_tools().images, 1)}

    parted = split(rare_tools(), past, Split(min_boxes=4))

    hammers = {name: parted.metrics["boxes_by_split"][name]["hammer"] for name in ("train", "val", "test")}
    assert hammers == {"train": 12, "val": 4, "test": 4}
    assert parted.metrics["moved"] == {"ratio": 0, "floor": 7, "merged_groups": 0, "rule": 0}
    assert {parted.remembered[name] for name, was in past.items() if was == "test"} == {"test"}
    again = split(rare_tools(), parted.remembered, Split(min_boxes=4))
    assert (again.assignment, again.metrics["moved"]["floor"]) == (parted.assignment, 0)


def test_new_pictures_fill_the_floor_before_old_ones_move() -> None:
    hammers = coco([image(n) for n in range(1, 61)], [annotation(n, n, 1) for n in range(1, 61)])
    past = {one.sha256: "train" for one in hammers.images if one.id > 20}

    parted = split(hammers, past, Split(min_boxes=12))

    assert parted.metrics["boxes_by_split"] == {name: {"hammer": n, "saw": 0} for name, n in (("train", 36), ("val", 12), ("test", 12))}
    assert parted.metrics["moved"]["floor"] == 4
    assert {name for number, name in parted.assignment.items() if number <= 20} == {"val", "test"}


def test_a_split_under_the_floor_is_counted_and_named_with_what_helps() -> None:
    few = coco([image(n) for n in range(1, 7)], [annotation(n, n, 1) for n in range(1, 7)])
    kept_out = coco([image(n, source="coco") for n in range(1, 41)], [annotation(n, n, 1) for n in range(1, 41)])

    parted = split(few, {}, Split(min_boxes=5))

    assert parted.metrics["short_of_min_boxes"] == {"val": {"hammer": 4}, "test": {"hammer": 4}}
    assert short_words(parted.metrics)[1] == (
        "hammer: test has 1 of the 5 boxes of split.min_boxes. It says little about a detector. "
        "More boxes of it help (queries, crawl_images, labels); or lower split.min_boxes"
    )
    assert split(kept_out, {}, Split(min_boxes=4, never_test=("coco",))).metrics["short_of_min_boxes"] == {"test": {"hammer": 4}}
    assert split(rare_tools(), {}, Split(min_boxes=4)).metrics["short_of_min_boxes"] == {}


def test_splits_are_written_sorted_and_read_back(tmp_path: Path) -> None:
    remembered = {"b" * 64: "val", "a" * 64: "test"}

    write_splits(tmp_path / "splits.csv", remembered)

    assert (tmp_path / "splits.csv").read_text() == f"sha256,split\n{'a' * 64},test\n{'b' * 64},val\n"
    assert read_splits(tmp_path / "splits.csv") == remembered
    assert read_splits(tmp_path / "none.csv") == {}


def test_of_double_rows_after_a_merge_of_branches_the_stronger_holds(tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_text(f"sha256,split\n{'a' * 64},train\n{'a' * 64},test\n\n{'a' * 64},val\nratio,0.8/0.1/0.1\nratio,0.7/0.2/0.1\n")

    assert read_splits(tmp_path / "splits.csv") == {"a" * 64: "test", "ratio": "0.7/0.2/0.1|0.8/0.1/0.1"}


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", f"{'a' * 64},validation", f"{'a' * 64}", "abc,train"])
def test_a_line_that_is_none_names_itself(tmp_path: Path, line: str) -> None:
    (tmp_path / "splits.csv").write_text(f"sha256,split\n{line}\n")

    with pytest.raises(InputError, match=r"splits\.csv:2"):
        read_splits(tmp_path / "splits.csv")


def test_a_quote_that_does_not_end_names_its_line_and_takes_no_other(tmp_path: Path) -> None:
    rows = [f"{number:064x},train" for number in range(3000)]
    (tmp_path / "splits.csv").write_text("\n".join(["sha256,split", f'"{"a" * 64}","test"', '"', *rows]))

    with pytest.raises(InputError, match=r"splits\.csv:3: expected a SHA-256 and train, val or test, found '\"'\."):
        read_splits(tmp_path / "splits.csv")

    (tmp_path / "splits.csv").write_text(f'"sha256","split"\r\n"{"a" * 64}","test"\r\n')
    assert read_splits(tmp_path / "splits.csv") == {"a" * 64: "test"}


SPLITS_BEFORE_RULES = "876aaba3d88b2cd80b835d26ecc1d54b228b0bc1b466fdd75a509e3d2c57cd2b"


def test_without_rules_and_freeze_every_picture_goes_where_it_always_went() -> None:
    """Four builds with growth, a floor, a new ratio and groups that join, as they were split before there were rules for test."""
    wide, past, told = Ratio(train=0.6, val=0.2, test=0.2), dict[str, str](), []
    for count, joins, rules in ((40, 30, Split()), (90, 60, Split(min_boxes=6)), (90, 60, Split(ratio=wide)), (150, 70, Split(ratio=wide, min_boxes=9))):
        images = [image(n, group=n // 2 if n % joins else 1) for n in range(1, count + 1)]
        parted = split(coco(images, [annotation(n, n, n % 3 % 2 + 1) for n in range(1, count + 1)]), past, rules)
        past = parted.remembered
        told.append("".join(parted.assignment[n][1] for n in sorted(parted.assignment)))

    assert sha256_of("\n".join(told).encode() + repr(sorted(past.items())).encode()) == SPLITS_BEFORE_RULES


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\xff" * 64, b"g" * 64], ids=["no text", "no text of that length", "no hexadecimal"])
def test_what_is_no_sha256_names_its_line_whatever_its_bytes(tmp_path: Path, name: bytes) -> None:
    file = tmp_path / "splits.csv"
    file.write_bytes(b"sha256,split\n" + name + b",test\n")

    with pytest.raises(InputError, match=r"splits.csv:2: expected a SHA-256 and train, val or test"):
        read_splits(file)

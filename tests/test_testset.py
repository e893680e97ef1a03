"""A test set that can be trusted: who may be in it, that a frozen one never changes, and that nothing leaks out of it."""

from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from boxset.assemble.balance import balance
from boxset.assemble.freeze import Holding, hold, left_out
from boxset.assemble.split import Parted, Remembered, read_splits, room_words, short_words, split, words_on_test, write_splits
from boxset.assemble.trust import Z, frozen_words, half_width, trust, trust_words
from boxset.dataset.coco import Coco, CocoCategory, CocoImage, CocoLicense
from boxset.dataset.frozen import Frozen, frozen_path, read_frozen, write_frozen
from boxset.dataset.validation import Fault
from boxset.errors import InputError, ProjectError
from boxset.formats.leaks import leaks, strays
from boxset.params import Balance, Ratio, Split
from boxset.resolve import Target, Targets
from tests.build import TARGETS, annotation, box, coco, image, merged, picture, pool, sha

change = msgspec.structs.replace


def mixed(count: int, own: int, *, groups: int | None = None) -> Coco:
    """Pictures with one box each, the first `own` of one's own source, the others from coco."""
    images = [image(n, source="own" if n <= own else "coco", group=n if groups is None else n % groups + 1) for n in range(1, count + 1)]
    return coco(images, [annotation(n, n, n % 2 + 1) for n in range(1, count + 1)])


def sources_in(data: Coco, parted: Parted, name: str) -> set[str]:
    """The sources of a split's pictures."""
    return {one.source for one in data.images if parted.assignment[one.id] == name}


# a better copy


@pytest.mark.parametrize(("was", "goes_to"), [(("test",), "test"), (("val",), "val"), (("train", "test"), "test"), (("train",), "train")])
def test_a_better_copy_goes_where_the_picture_was(was: tuple[str, ...], goes_to: str) -> None:
    better = coco([image(9)], [])
    copies = {image(9).sha256: [image(n).sha256 for n in (1, 2)]}
    past = {image(n).sha256: name for n, name in enumerate(was, 1)}

    parted = split(better, past, Split(), copies=copies)

    assert parted.assignment == {9: goes_to}
    assert parted.remembered == {**{image(n).sha256: goes_to for n in (1, 2, 9)}, "ratio": "0.8/0.1/0.1"}


@pytest.mark.parametrize(
    ("what", "moved"), [("ratio", Split(ratio=Ratio(train=0.9, val=0.1, test=0))), ("rule", Split(never_test=("coco",)))], ids=["ratio", "rule"]
)
def test_where_a_better_copy_was_moved_the_old_ones_row_does_not_pull_it_back(what: str, moved: Split) -> None:
    first = split(coco([image(n) for n in range(1, 101)], []), {}, Split())
    better = {n: image(n + 200 if name == "test" else n) for n, name in first.assignment.items()}
    copies = {one.sha256: [image(n).sha256] for n, one in better.items() if one.id > 200}
    grown = coco(list(better.values()), [])

    second = split(grown, first.remembered, moved, copies=copies)
    third = split(grown, second.remembered, moved, copies=copies)

    assert (second.metrics["images"]["test"], second.metrics["moved"][what]) == (0, len(copies))
    assert (third.assignment, third.remembered, third.metrics["moved"][what]) == (second.assignment, second.remembered, 0)


def test_a_copy_that_comes_back_alone_is_where_the_better_one_was() -> None:
    past = {image(1).sha256: "train", image(2).sha256: "test"}
    united = split(coco([image(9)], []), past, Split(), copies={image(9).sha256: [image(1).sha256, image(2).sha256]})

    assert split(coco([image(1)], []), united.remembered, Split()).assignment == {1: "test"}


@pytest.mark.parametrize("name", ["val", "test"])
def test_a_worse_copy_stays_where_the_better_one_was_when_that_ones_source_is_turned_off(name: str) -> None:
    small, large = picture("a", flickr_id="7"), picture("b", flickr_id="7", width=800, height=600, source="lvis")
    others = [record for n in range(1, 30) for record in (picture(n), box(n))]
    both, alone = merged(pool(small, box("a"), *others), pool(large, box("b", source="lvis"))), merged(pool(small, box("a"), *others))
    past = {large.sha256: name, **{sha(n): "train" if n < 20 else name for n in range(1, 30)}, "ratio": "0.8/0.1/0.1"}

    first = split(both.coco, past, Split(), copies=both.copies)
    second = split(alone.coco, first.remembered, Split(), copies=alone.copies)

    assert [first.assignment[one.id] for one in both.coco.images if one.sha256 == large.sha256] == [name]
    assert [second.assignment[one.id] for one in alone.coco.images if one.sha256 == small.sha256] == [name]


def test_what_was_tested_and_may_be_in_test_no_more_trains_only_where_the_rule_is_a_new_one() -> None:
    """The copy of one's own source made it a picture to test on; turning that source off is no decision about the rule."""
    own, public = picture("b", flickr_id="7", width=800, height=600, source="own"), picture("a", flickr_id="7")
    both, alone = merged(pool(own, box("b", source="own")), pool(public, box("a"))), merged(pool(public, box("a")))
    rules = Split(test_only_from=("own",), ratio=Ratio(train=0, val=0, test=1))
    first = split(both.coco, {}, rules, copies=both.copies)

    kept = split(alone.coco, first.remembered, rules, copies=alone.copies)
    decided = split(alone.coco, first.remembered, Split(never_test=("coco",)), copies=alone.copies)

    assert [list(one.assignment.values()) for one in (first, kept, decided)] == [["test"], ["val"], ["train"]]


def test_while_test_is_frozen_the_copies_of_its_pictures_are_remembered_too(tmp_path: Path) -> None:
    small, large = picture("a", flickr_id="7"), picture("b", flickr_id="7", width=800, height=600, source="lvis")
    alone, both = merged(pool(small, box("a"))), merged(pool(small, box("a")), pool(large, box("b", source="lvis")))
    found = hold(
        both.coco, frozen_of(alone.coco, tmp_path, 1), files={small.file_name}, is_denied=lambda _image, _licence: False, bits=6
    )

    parted = split(found.coco, {}, Split(), frozen=found.images, copies=both.copies)

    assert {name: parted.remembered[name] for name in (small.sha256, large.sha256)} == {small.sha256: "test", large.sha256: "test"}


def test_merge_tells_which_copies_gave_way() -> None:
    small, large, other = picture("a", flickr_id="7"), picture("b", flickr_id="7", width=800, height=600), picture("c")

    found = merged(pool(small, large, other, box("a"), box("c")))

    assert found.copies == {large.sha256: (small.sha256,)}


# who may be in test


@pytest.mark.parametrize(
    ("sources", "rules", "may"),
    [
        (("own", "coco"), {}, True),
        (("own", "coco"), {"test_only_from": ("own",)}, True),
        (("coco",), {"test_only_from": ("own",)}, False),
        (("own", "coco"), {"never_test": ("coco",)}, False),
        (("own",), {"never_test": ("coco",)}, True),
        (("own", "coco"), {"test_only_from": ("own",), "never_test": ("coco",)}, False),
        (("own", "lvis"), {"test_only_from": ("own",), "never_test": ("coco",)}, True),
        (("crawl",), {"test_only_from": ("crawl",)}, True),
    ],
)
def test_a_group_may_be_in_test_where_its_sources_let_it(sources: tuple[str, ...], rules: dict[str, Any], may: bool) -> None:
    one_group = coco([image(n, source=source, group=1) for n, source in enumerate(sources, 1)], [])

    parted = split(one_group, {}, Split(ratio=Ratio(train=0, val=0, test=1), **rules))

    assert set(parted.assignment.values()) == ({"test"} if may else {next(iter({"train", "val"} & set(parted.assignment.values())))})


def test_a_copy_from_a_source_that_never_is_in_test_keeps_a_picture_out_as_well() -> None:
    copied = coco([image(1, source="own", also_in=("coco:7",))], [])

    parted = split(copied, {}, Split(ratio=Ratio(train=0, val=0, test=1), never_test=("coco",)))

    assert parted.assignment[1] != "test"


def test_too_few_pictures_for_the_floor_are_said_and_not_filled_from_elsewhere() -> None:
    data = mixed(100, 6)
    rules = Split(test_only_from=("own",), min_boxes=8)

    parted = split(data, {}, rules)

    assert sources_in(data, parted, "test") == {"own"}
    assert parted.metrics["short_of_min_boxes"]["test"] == {"hammer": 5, "saw": 5}
    assert parted.metrics["may_test"] == {"images": 6, "boxes": {"hammer": 3, "saw": 3}, "short_of_ratio": 4}
    assert short_words(parted.metrics)[0] == (
        "hammer: test has 3 of the 8 boxes of split.min_boxes. The sources that may be in test have 3 in all, and no other fills it. "
        "More of theirs help; or change split.test_only_from, never_test"
    )
    (room,) = room_words(parted.metrics)
    assert room == (
        "test has 6 pictures of the 10 that split.ratio wants: the sources that may be in it have 6; none of theirs is left for train and val. "
        "Lower ratio.test or bring more of them"
    )


def test_without_rules_nothing_is_said_of_them() -> None:
    parted = split(mixed(40, 6), {}, Split())

    assert "may_test" not in parted.metrics
    assert room_words(parted.metrics) == []
    assert "rule" not in parted.remembered


def test_a_new_rule_moves_what_it_forbids_and_fills_test_from_what_it_allows() -> None:
    data = mixed(100, 50)
    first = split(data, {}, Split())
    rules = Split(test_only_from=("own",))

    second = split(data, first.remembered, rules)
    third = split(data, second.remembered, rules)

    evicted = sum(first.assignment[one.id] == "test" and one.source == "coco" for one in data.images)
    moved = sum(first.assignment[i] != second.assignment[i] for i in first.assignment)
    assert sources_in(data, second, "test") == {"own"}
    assert second.metrics["images"] == {"train": 80, "val": 10, "test": 10}
    assert second.metrics["moved"] == {"ratio": 0, "floor": 0, "merged_groups": 0, "rule": 2 * evicted}
    assert 0 < moved == 2 * evicted
    assert (third.assignment, third.metrics["moved"]["rule"]) == (second.assignment, 0)


@pytest.mark.parametrize("ratio", [Ratio(), Ratio(train=0.7, val=0.1, test=0.2)], ids=["the same ratio", "a new ratio"])
@pytest.mark.parametrize("new", [10, 30, 100])
def test_a_new_rule_fills_test_though_pictures_come_that_may_not_be_in_it(new: int, ratio: Ratio) -> None:
    first = split(mixed(100, 50), {}, Split())
    data = mixed(100 + new, 50)
    rules = Split(test_only_from=("own",), ratio=ratio)

    second = split(data, first.remembered, rules)
    third = split(data, second.remembered, rules)

    moved = sum(second.assignment[n] != name for n, name in first.assignment.items())
    assert second.metrics["moved"]["ratio"] + second.metrics["moved"]["rule"] == moved
    assert sources_in(data, second, "test") == {"own"}
    assert room_words(second.metrics) == [] or second.metrics["images"]["test"] == 50
    assert (third.assignment, third.metrics["moved"]["rule"]) == (second.assignment, 0)


@pytest.mark.parametrize("new", [0, 30, 100])
def test_a_new_ratio_fills_test_though_the_pictures_that_come_may_not_be_in_it(new: int) -> None:
    rules = {"test_only_from": ("own",)}
    first = split(mixed(100, 50), {}, Split(**rules))
    data = mixed(100 + new, 50)

    parted = split(data, first.remembered, Split(ratio=Ratio(train=0.6, val=0.2, test=0.2), **rules))

    assert room_words(parted.metrics) == []
    assert {n for n, name in first.assignment.items() if name == "test"} <= {n for n, name in parted.assignment.items() if name == "test"}


def test_of_new_groups_test_takes_no_more_than_its_share() -> None:
    data = mixed(100, 60)

    parted = split(data, {"rule": "test_only_from=own"}, Split(test_only_from=("own",), min_boxes=0))

    assert parted.metrics["images"] == {"train": 80, "val": 10, "test": 10}
    assert "own" in sources_in(data, parted, "train")


def test_the_rule_has_a_row_of_its_own_that_a_merge_of_branches_may_double(tmp_path: Path) -> None:
    file = tmp_path / "splits.csv"
    parted = split(mixed(10, 5), {}, Split(never_test=("coco",), test_only_from=("own",)))
    write_splits(file, parted.remembered)
    file.write_text(file.read_text() + "rule,never_test=lvis\n")

    assert read_splits(file) == {**parted.remembered, "rule": "never_test=coco test_only_from=own|never_test=lvis"}
    assert split(mixed(10, 5), read_splits(file), Split(never_test=("coco",), test_only_from=("own",))).remembered == parted.remembered


def test_a_doubled_rule_that_waits_is_written_as_it_was_read(tmp_path: Path) -> None:
    """While the test set is frozen no build settles which of two rules holds: the row stays, and grows with no build."""
    file, data = tmp_path / "splits.csv", coco([far(1), far(2)], [])
    file.write_text("sha256,split\nrule,never_test=coco\nrule,test_only_from=own\n")

    written = []
    for _ in range(3):
        write_splits(file, split(data, read_splits(file), Split(), frozen=frozenset({1})).remembered)
        written.append(file.read_text())

    assert "rule,never_test=coco|test_only_from=own\n" in written[0]
    assert written == written[:1] * 3


@given(st.integers(3, 50), st.integers(1, 12), st.integers(0, 50), st.sampled_from([{"never_test": ("coco",)}, {"test_only_from": ("own",)}]))
@example_settings(max_examples=40)
def test_under_any_rule_no_group_is_parted_and_only_what_may_is_in_test(count: int, groups: int, own: int, rules: dict[str, Any]) -> None:
    data = mixed(count, own, groups=groups)
    past = split(data, {}, Split()).remembered

    parted = split(data, past, Split(min_boxes=3, **rules))

    where: dict[int, set[str]] = {}
    inside: dict[int, set[str]] = {}
    for one in data.images:
        where.setdefault(one.group, set()).add(parted.assignment[one.id])
        inside.setdefault(one.group, set()).add(one.source)
    assert {group for group, splits in where.items() if len(splits) > 1} == set()
    wrong = {g for g, splits in where.items() if "test" in splits and ("coco" in inside[g] if "never_test" in rules else "own" not in inside[g])}
    assert wrong == set()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2)), min_size=5, max_size=40), st.integers(1, 12), st.integers(2, 8), st.booleans())
@example_settings(max_examples=150)
def test_a_build_settles_all_so_that_the_same_build_again_moves_nothing(boxes: list[tuple[int, int]], groups: int, floor: int, ruled: bool) -> None:
    images = [image(n, source="own" if n % 2 else "coco", group=n % groups + 1) for n in range(1, len(boxes) + 1)]
    drawn = [(n, category) for n, (count, category) in enumerate(boxes, 1) for _ in range(count)]
    data = coco(images, [annotation(place, n, category) for place, (n, category) in enumerate(drawn, 1)])
    past = split(data, {}, Split(ratio=Ratio(train=0.5, val=0.3, test=0.2))).remembered
    settings = Split(min_boxes=floor, test_only_from=("own",) if ruled else ())

    first = split(data, past, settings)
    again = split(data, first.remembered, settings)

    assert (again.assignment, again.remembered) == (first.assignment, first.remembered)


# frozen


def frozen_of(data: Coco, tmp_path: Path, *numbers: int) -> Frozen:
    """Freeze some pictures of a data set as v1."""
    images = tuple(one for one in data.images if one.id in numbers)
    part = change(data, images=images, annotations=tuple(a for a in data.annotations if a.image_id in numbers))
    return write_frozen(frozen_path("v1", tmp_path), part, text="the first", commit="0" * 40)


def held(merged: Coco, frozen: Frozen, **more: Any) -> Holding:
    """Hold the test set; every picture of both is here, and no licence denies one."""
    files = {one.file_name for one in (*merged.images, *frozen.coco.images)}
    return hold(merged, frozen, **{"files": files, "is_denied": lambda _image, _licence: False, "bits": 6, **more})


def far(number: int, **more: Any) -> CocoImage:
    """A picture whose fingerprint is far from that of other numbers."""
    return image(number, phash=picture(number).phash, **more)


def test_a_frozen_version_is_read_back_whole(tmp_path: Path) -> None:
    data = coco([far(1), far(2)], [annotation(1, 1), annotation(2, 2, 2), annotation(3, 1, 2)])

    frozen = frozen_of(data, tmp_path, 1, 2)

    assert frozen.coco == data
    assert (frozen.name, frozen.text, frozen.commit) == ("v1", "the first", "0" * 40)
    assert read_frozen(frozen_path("v1", tmp_path)) == frozen


def edit(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Change the first of something in a file."""
    return lambda content: content.replace(old, new, 1)


BROKEN = {
    "a box that was moved": (edit(b"[10.0,", b"[11.0,"), "v1.jsonl: it was changed after it was frozen"),
    "a text that was mended": (edit(b"the first", b"the last"), "v1.jsonl: it was changed after it was frozen"),
    "a line that is cut": (lambda content: content[:-9], "v1.jsonl:4: not what was frozen: "),
    "a line that is gone": (lambda content: b"\n".join(content.splitlines()[:-1]) + b"\n", "v1.jsonl: it was changed after it was frozen"),
    "another name": (edit(b'"frozen":"v1"', b'"frozen":"v0"'), "v1.jsonl:1: it was frozen as v0"),
    "another name in both places": (edit(b'"frozen":"v0"', b'"frozen":"v1"'), "v1.jsonl: it was changed after it was frozen"),
    "a conflict": (lambda content: b"<<<<<<< HEAD\n" + content, "v1.jsonl:1: a merge conflict of git is not resolved. Two branches froze one name"),
    "nothing at all": (lambda _: b"", "v1.jsonl:1: not what was frozen: "),
    "one line": (lambda content: content.splitlines()[0] + b"\n", "v1.jsonl:2: not what was frozen: "),
    "a field of another type": (edit(b'"width":400', b'"width":"x"'), "v1.jsonl:3: not what was frozen: "),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_frozen_file_that_was_touched_names_its_line_and_what_to_do(tmp_path: Path, what: str) -> None:
    break_it, message = BROKEN[what]
    path = frozen_path("v1", tmp_path)
    written = path.with_name("v0.jsonl") if what == "another name in both places" else path
    write_frozen(written, coco([far(1), far(2)], [annotation(1, 1)]), text="the first", commit="0" * 40)
    path.write_bytes(break_it(written.read_bytes()))

    with pytest.raises(InputError) as caught:
        read_frozen(path)

    assert message in str(caught.value)
    assert "git " in caught.value.do


def test_a_name_that_was_never_frozen_suggests_one_that_was(tmp_path: Path) -> None:
    frozen_of(coco([far(1)], []), tmp_path, 1)

    with pytest.raises(InputError, match=r"there is no such frozen test set; did you mean v1\? There are v1"):
        read_frozen(frozen_path("v11", tmp_path))


def test_a_frozen_set_is_held_whole_with_the_records_that_it_had(tmp_path: Path) -> None:
    data = coco([far(n) for n in range(1, 7)], [annotation(n, n) for n in range(1, 7)])
    frozen = frozen_of(data, tmp_path, 2, 5)
    renumbered = [far(n, id=n + 1, group=n + 1) for n in range(1, 9)]
    grown = coco([far(9, id=1, group=1), *renumbered], [annotation(n, n, 2, bbox=(0.0, 0.0, 9.0, 9.0), area=81.0) for n in range(1, 10)])

    found = held(grown, frozen)
    parted = split(found.coco, {}, Split(), frozen=found.images)

    in_test = {i for i, name in parted.assignment.items() if name == "test"}
    assert in_test == found.images == {2, 5}
    assert tuple(one for one in found.coco.images if one.id in in_test) == frozen.coco.images
    assert tuple(a for a in found.coco.annotations if a.image_id in in_test) == frozen.coco.annotations
    assert sorted(one.sha256 for one in found.coco.images) == sorted(one.sha256 for one in grown.images)
    assert len({one.id for one in found.coco.images}) == len({a.id for a in found.coco.annotations}) == 9
    assert {one.sha256 for one in found.today.images} == {one.sha256 for one in frozen.coco.images}


def test_right_after_the_freeze_nothing_at_all_changes(tmp_path: Path) -> None:
    data = coco([far(n) for n in range(1, 30)], [annotation(n, n) for n in range(1, 30)])
    before = split(data, {}, Split())
    test = [i for i, name in before.assignment.items() if name == "test"]

    found = held(data, frozen_of(data, tmp_path, *test))
    after = split(found.coco, before.remembered, Split(), frozen=found.images)

    assert found.coco == data
    assert (after.assignment, after.remembered) == (before.assignment, before.remembered)


def test_a_near_copy_of_a_frozen_picture_is_in_no_split_and_counted(tmp_path: Path) -> None:
    data = coco([far(1), far(2)], [])
    grown = coco([far(1), far(2), far(3, group=1), far(4)], [annotation(1, 3)])

    found = held(grown, frozen_of(data, tmp_path, 1))

    assert [one.sha256 for one in found.near] == [far(3).sha256]
    assert {one.sha256 for one in found.coco.images} == {far(n).sha256 for n in (1, 2, 4)}
    assert found.coco.annotations == ()
    assert left_out(found) == {"near_frozen": 1}


def test_a_better_copy_does_not_take_the_frozen_ones_place(tmp_path: Path) -> None:
    frozen = frozen_of(coco([far(1, source="lvis", source_id="7")], [annotation(1, 1)]), tmp_path, 1)
    grown = coco([far(8, source="own", source_id="x", also_in=("lvis:7",)), far(2)], [annotation(1, 8)])

    found = held(grown, frozen)

    assert [one.sha256 for one in found.coco.images] == [far(1).sha256, far(2).sha256]
    assert found.coco.annotations == frozen.coco.annotations
    assert [one.sha256 for one in found.today.images] == [one.sha256 for one in found.near] == [far(8).sha256]


def test_a_frozen_picture_that_is_merged_no_more_stays_and_keeps_its_likes_out(tmp_path: Path) -> None:
    frozen = frozen_of(coco([far(1)], [annotation(1, 1)]), tmp_path, 1)
    like = image(5, phash=far(1).phash, group=3)

    found = held(coco([like, far(6, group=3), far(2)], []), frozen)

    assert {one.sha256 for one in found.coco.images} == {far(1).sha256, far(2).sha256}
    assert {one.sha256 for one in found.near} == {far(5).sha256, far(6).sha256}
    assert found.metrics["merged_no_more"] == 1


def test_what_was_a_copy_of_a_frozen_picture_is_near_it_though_nothing_links_them_now(tmp_path: Path) -> None:
    """The copy that both were like has gone: they stand apart, in groups of their own."""
    first = far(1, source="lvis", source_id="7", also_in=("coco:9", "visual_genome:3"))
    frozen = frozen_of(coco([first], [annotation(1, 1)]), tmp_path, 1)
    apart = [far(1, source="lvis", source_id="7"), far(5, source="visual_genome", source_id="3"), far(6, source="coco", source_id="9"), far(7, group=6)]

    found = held(coco([*apart, far(2)], []), frozen)

    assert {one.sha256 for one in found.coco.images} == {far(1).sha256, far(2).sha256}
    assert {one.sha256 for one in found.near} == {far(5).sha256, far(6).sha256, far(7).sha256}


def test_another_picture_of_a_frozen_photo_is_near_it_though_the_frozen_one_is_merged_no_more(tmp_path: Path) -> None:
    frozen = frozen_of(coco([far(1, coco_url="https://live.staticflickr.com/1/4242_ab.jpg")], []), tmp_path, 1)
    crop = far(5, landing_url="https://www.flickr.com/photos/someone/4242")

    assert held(coco([crop, far(2)], []), frozen).near == (crop,)


def test_what_stood_in_the_group_of_a_frozen_picture_that_merge_leaves_out_is_near_it(tmp_path: Path) -> None:
    """Only the source knows the frozen one's number at Flickr, and nobody vouches for that picture any more."""
    alone, crop, other = picture(1, flickr_id="4242"), picture(5, landing_url="https://www.flickr.com/photos/someone/4242"), picture(2)
    frozen = frozen_of(merged(pool(alone, box(1))).coco, tmp_path, 1)
    today = merged(pool(alone, crop, other, box(5), box(2)))
    files = {one.file_name for one in (alone, crop, other)}

    found = held(today.coco, frozen, files=files, dropped={one.sha256: one.near for one in today.dropped if one.near})

    assert [(one.sha256, one.near) for one in today.dropped] == [(alone.sha256, crop.sha256)]
    assert [one.sha256 for one in found.near] == [crop.sha256]
    assert [one.sha256 for one in found.coco.images] == [alone.sha256, other.sha256]


def test_where_a_frozen_picture_has_other_content_now_what_looks_like_the_frozen_one_is_near_it_too(tmp_path: Path) -> None:
    frozen = frozen_of(coco([far(1, source="own", source_id="x")], []), tmp_path, 1)
    like = image(5, phash=far(1).phash)

    found = held(coco([far(8, source="own", source_id="x"), like, far(2)], []), frozen)

    assert {one.sha256 for one in found.near} == {far(8).sha256, like.sha256}


def test_a_frozen_picture_that_is_gone_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    frozen = frozen_of(coco([far(1), far(2)], []), tmp_path, 1, 2)

    with pytest.raises(ProjectError, match=r"v1.jsonl: a picture of the frozen test set is gone: 0{12} of coco. Bring its source"):
        held(coco([far(2)], []), frozen, files={far(2).file_name})


def test_a_licence_that_denies_wins_over_the_freeze_and_is_counted(tmp_path: Path) -> None:
    frozen = frozen_of(coco([far(1), far(2)], [annotation(1, 1)]), tmp_path, 1, 2)

    found = held(coco([far(2)], []), frozen, files={far(2).file_name}, is_denied=lambda _, licence: licence == "CC-BY-4.0")

    assert [one.sha256 for one in found.denied] == [far(1).sha256]
    assert [one.sha256 for one in found.coco.images] == [far(2).sha256]
    assert (found.metrics["denied"], left_out(found)) == (1, {"licence": 1})


def test_a_category_that_came_later_is_unknown_to_a_frozen_set_and_one_that_went_takes_its_boxes(tmp_path: Path) -> None:
    data = coco([far(1, exhaustive_category_ids=(1, 2))], [annotation(1, 1, 1), annotation(2, 1, 2)])
    today = (CocoCategory(id=1, name="hammer"), CocoCategory(id=3, name="wrench"))
    grown = change(coco([far(1), far(2)], [annotation(1, 1), annotation(2, 1, 3)]), categories=today)

    found = held(grown, frozen_of(data, tmp_path, 1))

    frozen_image = next(one for one in found.coco.images if one.id == 1)
    assert found.coco.categories == today
    assert [(a.id, a.category_id) for a in found.coco.annotations if a.image_id == 1] == [(1, 1)]
    assert (frozen_image.exhaustive_category_ids, frozen_image.neg_category_ids) == ((1,), ())
    assert (found.metrics["unknown_categories"], found.metrics["removed_boxes"]) == (["wrench"], 1)


def test_a_category_under_another_name_is_another_one_though_it_has_the_id(tmp_path: Path) -> None:
    data = coco([far(1)], [annotation(1, 1, 1), annotation(2, 1, 2)])
    renamed = change(data, categories=(CocoCategory(id=1, name="mallet"), CocoCategory(id=2, name="saw")))

    found = held(renamed, frozen_of(data, tmp_path, 1))

    assert [a.category_id for a in found.coco.annotations] == [2]
    assert (found.metrics["unknown_categories"], found.metrics["removed_boxes"]) == (["mallet"], 1)


def test_licences_keep_the_numbers_that_they_had_in_the_frozen_set(tmp_path: Path) -> None:
    data = coco([far(1)], [])
    names = (CocoLicense(id=1, name="CC-BY-2.0"), CocoLicense(id=2, name="CC-BY-4.0"))
    grown = change(coco([far(1, license=2), far(2, license=2), far(3, license=1)], []), licenses=names)

    found = held(grown, frozen_of(data, tmp_path, 1))

    name = {one.id: one.name for one in found.coco.licenses}
    assert [name[one.license] for one in found.coco.images] == ["CC-BY-4.0", "CC-BY-4.0", "CC-BY-2.0"]
    assert name[1] == "CC-BY-4.0"


def test_what_was_in_test_and_is_not_frozen_leaves_it_and_is_counted(tmp_path: Path) -> None:
    data = coco([far(n) for n in range(1, 11)], [])
    past: Remembered = {far(n).sha256: "test" if n < 4 else "train" for n in range(1, 11)}

    found = held(data, frozen_of(data, tmp_path, 1, 9))
    parted = split(found.coco, past, Split(ratio=Ratio(train=0.2, val=0.2, test=0.6), min_boxes=5), frozen=found.images)

    assert {i for i, name in parted.assignment.items() if name == "test"} == {1, 9}
    assert parted.metrics["moved"]["rule"] == 3


def test_rules_wait_while_the_test_set_is_frozen(tmp_path: Path) -> None:
    data = mixed(100, 50)
    first = split(data, {}, Split())
    frozen = frozen_of(data, tmp_path, *(i for i, name in first.assignment.items() if name == "test"))
    found, rules = held(data, frozen, bits=0), Split(test_only_from=("own",))

    while_frozen = split(found.coco, first.remembered, rules, frozen=found.images)
    thawed = split(data, while_frozen.remembered, rules)

    assert (while_frozen.assignment, while_frozen.remembered) == (first.assignment, first.remembered)
    assert "may_test" not in while_frozen.metrics
    assert thawed.metrics["moved"]["rule"] > 0
    assert sources_in(data, thawed, "test") == {"own"}
    assert thawed.metrics["images"]["test"] == 10


def test_a_new_rule_moves_nothing_between_train_and_val_while_the_test_set_is_frozen(tmp_path: Path) -> None:
    data = coco([far(n) for n in range(1, 41)], [])
    past: Remembered = {far(n).sha256: "test" if n == 1 else "train" for n in range(1, 41)}
    found = held(data, frozen_of(data, tmp_path, 1), bits=0)

    parted = split(found.coco, past, Split(never_test=("coco",)), frozen=found.images)

    assert parted.metrics["images"] == {"train": 39, "val": 0, "test": 1}


def test_no_cap_takes_a_frozen_picture_out() -> None:
    empty = coco([image(n) for n in range(1, 21)], [annotation(1, 1)])

    chosen = balance(empty, TARGETS, Balance(negatives_share=0.1), keep=frozenset({7, 8}))

    assert {one.id for one in chosen.coco.images} >= {1, 7, 8}


def test_no_choice_takes_a_frozen_picture_out() -> None:
    crowded = coco([image(n) for n in range(1, 21)], [annotation(n, n) for n in range(1, 21)])
    few = Targets(categories={"hammer": Target(target=5, max=5), "saw": Target(target=5, max=5)})
    chosen = {one.id for one in balance(crowded, few, Balance(mode="select")).coco.images}
    left = next(n for n in range(1, 21) if n not in chosen)

    assert left in {one.id for one in balance(crowded, few, Balance(mode="select"), keep=frozenset({left})).coco.images}


numbers = st.integers(1, 40)


@given(st.sets(numbers, min_size=4), st.lists(st.sets(numbers), max_size=4), st.integers(2, 9), st.booleans())
@example_settings(max_examples=60)
def test_however_the_set_grows_the_frozen_one_is_the_same_and_nothing_near_it_trains(
    tmp_path_factory: pytest.TempPathFactory, first: set[int], more: list[set[int]], groups: int, ruled: bool
) -> None:
    """Pictures come; groups join as others come; boxes are drawn anew; rules and ratios change."""

    def version(pictures: set[int], turn: int) -> Coco:
        ordered = sorted(pictures, key=lambda n: far(n).phash)
        images = [far(n, id=place, group=n % (groups + 5 - turn) + 1) for place, n in enumerate(ordered, 1)]
        return coco(images, [annotation(n, n, turn % 2 + 1, bbox=(0.0, 0.0, 5.0 + turn, 5.0), area=25.0 + 5 * turn) for n in range(1, len(images) + 1)])

    data = version(first, 0)
    before = split(data, {}, Split())
    test = [i for i, name in before.assignment.items() if name == "test"] or [1]
    frozen = frozen_of(data, tmp_path_factory.mktemp("frozen"), *test)
    past, pictures = before.remembered, set(first)
    for turn, new in enumerate(more, 1):
        pictures |= new
        grown = version(pictures, turn)
        rules = Split(min_boxes=turn, never_test=("coco",) if ruled else (), ratio=Ratio(train=0.5, val=0.2, test=0.3) if turn % 2 else Ratio())
        found = held(grown, frozen)
        parted = split(found.coco, past, rules, frozen=found.images)
        past = parted.remembered

        tested = [one for one in found.coco.images if parted.assignment[one.id] == "test"]
        assert tuple(tested) == frozen.coco.images
        assert tuple(a for a in found.coco.annotations if parted.assignment[a.image_id] == "test") == frozen.coco.annotations
        group = {one.sha256: one.group for one in grown.images}
        trained = {group[one.sha256] for one in found.coco.images if parted.assignment[one.id] != "test"}
        assert {group[one.sha256] for one in tested} & trained == set()
        assert len(found.coco.images) + len(found.near) == len(grown.images)


HELD = {
    "name": "v1",
    "changed": {"boxes": 0, "images": 0},
    "merged_no_more": 0,
    "denied": 0,
    "removed_boxes": 0,
    "unknown_categories": [],
    "against_rules": 0,
}
FROZEN_SAYS: dict[str, dict[str, Any]] = {
    "test differs from frozen v1: 3 boxes in 2 pictures. The frozen ones stay; a new version takes the changes in": {"changed": {"boxes": 3, "images": 2}},
    "2 pictures of frozen v1 would be left out today (`boxset explain` says why); frozen ones stay": {"merged_no_more": 2},
    "1 picture of frozen v1 left test, as a licence keeps them out now or they were taken down: scores no longer compare": {"denied": 1},
    "4 boxes of frozen v1 left test, as their category is no longer here": {"removed_boxes": 4},
    "saw, wrench: newer than frozen v1, whose pictures nobody looked through for it; test cannot measure it until a new version": {
        "unknown_categories": ["saw", "wrench"]
    },
    "2 pictures of frozen v1 are from sources that split.never_test or test_only_from keep out; frozen ones stay": {"against_rules": 2},
}


@pytest.mark.parametrize("sentence", FROZEN_SAYS)
def test_how_test_stands_to_its_frozen_version_is_said(sentence: str) -> None:
    assert frozen_words({}) == frozen_words({"frozen": HELD}) == []
    assert frozen_words({"frozen": {**HELD, **FROZEN_SAYS[sentence]}}) == [sentence]


def test_of_a_frozen_set_under_the_floor_is_said_that_it_takes_nothing_more() -> None:
    boxes = {"boxes_by_split": {"test": {"hammer": 2, "wrench": 0}}, "short_of_min_boxes": {"test": {"hammer": 3, "wrench": 5}}}
    held = {"frozen": {**HELD, "unknown_categories": ["wrench"]}, "may_test": {"images": 9, "boxes": {}, "short_of_ratio": 4}}

    assert short_words({**boxes, **held}) == [
        "hammer: test has 2 of the 5 boxes of split.min_boxes. The test set is frozen and takes nothing more; a new version can: docs/testset.md"
    ]
    assert room_words({**held, "images": {"test": 2}}) == []


def test_where_nothing_may_be_in_test_it_is_said_how_theirs_come_in() -> None:
    data = mixed(100, 0)

    parted = split(data, {}, Split(test_only_from=("crawl",), min_boxes=0))

    first, second = words_on_test(parted.metrics)[:2]
    assert first.startswith("the data set has no picture of a source that may be in test. Pictures of theirs that have no labels yet come in once people have drawn some")
    assert second == "test is empty: nothing can be measured"


@pytest.mark.parametrize(("lacking", "images", "said"), [(1, 20, False), (2, 20, True), (4, 200, False), (5, 200, True)])
def test_a_share_is_short_where_it_is_missed_by_more_than_groups_explain(lacking: int, images: int, said: bool) -> None:
    room = {"images": 60, "boxes": {}, "short_of_ratio": lacking}

    assert bool(room_words({"images": {"train": images - 9, "val": 0, "test": 9}, "may_test": room})) == said


# trust


@pytest.mark.parametrize("boxes", [0, 1, 5, 100, 1000])
def test_the_half_width_is_that_of_wilsons_interval_at_its_widest(boxes: int) -> None:
    def wilson(p: float) -> float:
        return Z / (1 + Z * Z / boxes) * sqrt(p * (1 - p) / boxes + Z * Z / (4 * boxes * boxes)) if boxes else 0.5

    assert half_width(boxes) == pytest.approx(max(wilson(hits / 50) for hits in range(51)))


def test_the_figures_say_where_test_is_from_who_drew_it_and_what_is_known() -> None:
    data = coco(
        [
            image(1, source="crawl", exhaustive_category_ids=(1, 2)),
            image(2, source="crawl", neg_category_ids=(1, 2)),
            image(3, source="lvis", exhaustive_category_ids=(1,)),
            image(4, source="lvis"),
            image(5, source="coco"),
        ],
        [
            annotation(1, 1, source="label"),
            annotation(2, 3, source="lvis"),
            annotation(3, 3, source="label"),
            annotation(4, 4, source="lvis"),
            annotation(5, 3, source="lvis", iscrowd=1),
        ],
    )

    found = trust(data, {1, 2, 3, 4}, {image(1).sha256: "claw hammer", image(2).sha256: "claw hammer"})

    assert found == {
        "half_width": {"hammer": 0.35, "saw": 0.5},
        "sources": {"crawl": 2, "lvis": 2},
        "queries": 1,
        "labelled_by": {"people": 2, "public": 1, "both": 1},
        "known_for_all": 2,
    }


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "one source": ({"sources": {"lvis": 9}}, "all 9 pictures of test are from lvis: a score says little of pictures from elsewhere"),
    "one query": ({"sources": {"crawl": 9}, "queries": 1}, "all 9 pictures of test were found by one query: a score says little of others"),
    "not known": (
        {"known_for_all": 2},
        "2 of the 9 pictures of test are known for every category; in the other 7 nobody looked for some category, so a right find may count as a mistake",
    ),
    "nothing known": (
        {"known_for_all": 0},
        "no picture of test is known for every category: nobody looked for some, so a right find may count as a mistake",
    ),
}


@pytest.mark.parametrize("what", SAID)
def test_what_limits_the_trust_is_said_in_plain_words(what: str) -> None:
    fields, sentence = SAID[what]
    sound = {"half_width": {}, "sources": {"lvis": 4, "coco": 5}, "queries": 0, "labelled_by": {}, "known_for_all": 9}

    assert trust_words({"images": {"test": 9}, "test": sound}) == []
    assert trust_words({"images": {"test": 9}, "test": {**sound, **fields}}) == [sentence]


def test_one_picture_is_of_one_source_and_nothing_is_said_of_that() -> None:
    assert trust_words({"images": {"test": 1}, "test": {"sources": {"lvis": 1}, "queries": 0, "known_for_all": 1}}) == []


def test_a_category_that_test_has_nothing_of_is_named_without_a_floor_too() -> None:
    parted = split(coco([image(1, neg_category_ids=(2,), exhaustive_category_ids=(1,))], [annotation(1, 1)]), {}, Split())

    assert words_on_test(parted.metrics) == ["test is empty: nothing can be measured"]
    assert trust_words({**parted.metrics, "images": {"test": 1}}) == [
        "hammer: test has no box of it, so nothing is measured of it",
        "no picture of test is known for every category: nobody looked for some, so a right find may count as a mistake",
    ]


# leaks


LEAKS: dict[str, tuple[dict[str, Any], str]] = {
    "the same content": ({"sha256": image(1).sha256}, f"in train has the same content {image(1).sha256} as in test: {image(1).sha256}"),
    "a Flickr photo": (
        {"flickr_url": "https://www.flickr.com/photos/someone/4242"},
        f"in train has the same flickr_id 4242 as in test: {image(2).sha256}",
    ),
    "a picture of COCO's": (
        {"coco_url": "http://images.cocodataset.org/val2014/COCO_val2014_000000000042.jpg"},
        f"in train has the same coco_id 42 as in test: {image(2).sha256}",
    ),
    "another copy of one": ({"also_in": ("lvis:9",)}, f"in train has the same copy lvis:9 as in test: {image(2).sha256}"),
    "a near-copy": ({"phash": f"{int(picture(1).phash, 16) ^ 3:016x}"}, f"in train looks like in test: {image(2).sha256}"),
}


@pytest.mark.parametrize("what", LEAKS)
def test_what_stands_in_two_splits_is_found_whatever_the_groups_say(what: str) -> None:
    fields, message = LEAKS[what]
    address = {"coco_url": "http://images.cocodataset.org/train2017/000000000042.jpg", "flickr_url": "https://live.staticflickr.com/1/4242_ab.jpg"}
    train = {"train": coco([far(1, also_in=("lvis:9",), **address)], [])}

    sound = leaks({**train, "test": coco([far(2)], [])}, bits=6)
    found = leaks({**train, "test": coco([change(far(2), **fields)], [])}, bits=6)

    assert sound == []
    assert Fault(f"picture {image(1).sha256}", message) in found


def test_ids_that_only_the_sources_records_know_are_asked_too() -> None:
    parts = {"train": coco([far(1)], []), "val": coco([far(2)], [])}
    told = [picture(n, sha256=far(n).sha256, coco_id="42") for n in (1, 2)]

    assert leaks(parts, bits=6) == []
    assert leaks(parts, bits=6, extracted=told) == [Fault(f"picture {far(1).sha256}", f"in train has the same coco_id 42 as in val: {far(2).sha256}")]


def test_the_same_content_is_not_named_as_a_likeness_too() -> None:
    found = leaks({"train": coco([far(1)], []), "test": coco([far(1)], [])}, bits=6)

    assert [fault.what.partition(" as in test")[0] for fault in found] == [f"in train has the same {name}" for name in (f"content {image(1).sha256}", "copy coco:1")]


def test_an_address_that_gave_two_pictures_at_two_times_is_no_leak() -> None:
    first, later = far(1, source="crawl", source_id="http://a.example/x.jpg"), far(2, source="crawl", source_id="http://a.example/x.jpg")

    assert leaks({"train": coco([first], []), "test": coco([later], [])}, bits=6) == []


@pytest.mark.parametrize("remembered", [1, 9])
def test_a_picture_that_trains_though_it_or_a_copy_of_it_is_remembered_in_test_is_a_fault(remembered: int) -> None:
    parts = {"train": coco([image(1), image(2)], []), "test": coco([image(3)], [])}
    past = {image(2).sha256: "train", image(3).sha256: "test"}
    copies = {image(1).sha256: [image(9).sha256]}

    found = list(strays(parts, {**past, image(remembered).sha256: "test"}, copies))

    assert list(strays(parts, {**past, image(remembered).sha256: "train"}, copies)) == []
    assert found == [Fault(f"picture {image(1).sha256}", "is in train, and splits.csv has it, or a copy of it, in test: `dvc repro`")]


def test_colours_confirm_what_the_hash_suspects() -> None:
    red, blue = "ff0000" * 16, "0000ff" * 16
    parts = {"train": coco([image(1, phash="0" * 16, grid=red)], []), "test": coco([image(2, phash="0" * 16, grid=blue)], [])}

    assert leaks(parts, bits=6) == []

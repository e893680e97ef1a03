"""Labels that a detector contradicts, kind by kind, and what is none of them."""

from typing import Any

import pytest

from boxset.compare.calibration import agreement, calibrated, compared
from boxset.compare.sightings import sightings
from boxset.compare.suspicious import LEAST, Suspect, counts, suspects
from boxset.dataset.coco import Coco, CocoAnnotation
from boxset.dataset.predictions import latest
from boxset.dataset.records import BBox
from tests.build import annotation, coco, image
from tests.detector import Seen, predictions

BOX: BBox = (10.0, 20.0, 100.0, 80.0)
ELSEWHERE: BBox = (220.0, 150.0, 100.0, 80.0)
SHIFTED: BBox = (40.0, 20.0, 100.0, 80.0)  # overlaps BOX by 0.54
RIGHT = 60  # pictures in which the detector and the labels agree
ODD = RIGHT + 1  # the picture that a case is about
HAMMER, SAW = 1, 2

Label = tuple[int, BBox] | tuple[int, BBox, int]


def case(labels: list[Label], seen: list[Seen], **more: Any) -> list[Suspect]:
    """Suspects of a data set in which one picture has these labels and predictions, and 60 others agree on hammers and saws at 0.9."""
    images = [image(n, exhaustive_category_ids=(1, 2)) for n in range(1, RIGHT + 1)]
    images.append(image(ODD, **{"exhaustive_category_ids": (1, 2), **more}))
    right = [(n, 1 + n % 2, BOX if n % 3 else ELSEWHERE) for n in range(1, RIGHT + 1)]
    drawn = [annotation(k, n, i, bbox=bbox) for k, (n, i, bbox) in enumerate(right, 1)]
    drawn += [_drawn(100 + k, label) for k, label in enumerate(labels)]
    agreed = {f"{n:064x}": [(i, bbox, 0.9)] for n, i, bbox in right}
    return suspects({"train": coco(images, drawn)}, predictions({**agreed, f"{ODD:064x}": seen}))


def _drawn(number: int, label: Label) -> CocoAnnotation:
    return annotation(number, ODD, label[0], bbox=label[1], iscrowd=label[2] if len(label) > 2 else 0, attributes={"job": "tools-1"}, source="label")


CASES: dict[str, tuple[list[Label], list[Seen], dict[str, Any], list[tuple[str, str, str]]]] = {
    "all agree": ([(HAMMER, BOX)], [(HAMMER, BOX, 0.9)], {}, []),
    "nothing labelled, nothing seen": ([], [], {}, []),
    "missed": ([], [(HAMMER, BOX, 0.9)], {}, [("missed", "hammer", "hammer")]),
    "missed beside another": ([(HAMMER, BOX)], [(HAMMER, BOX, 0.9), (HAMMER, ELSEWHERE, 0.9)], {}, [("missed", "hammer", "hammer")]),
    "missed once, seen twice": ([], [(HAMMER, BOX, 0.92), (HAMMER, (12.0, 20.0, 100.0, 80.0), 0.9)], {}, [("missed", "hammer", "hammer")]),
    "nobody looked": ([], [(HAMMER, BOX, 0.9)], {"exhaustive_category_ids": ()}, [("missed", "hammer", "hammer")]),
    "known to be absent": ([], [(HAMMER, BOX, 0.9)], {"exhaustive_category_ids": (), "neg_category_ids": (1,)}, []),
    "not every one has its box": ([], [(HAMMER, BOX, 0.9)], {"exhaustive_category_ids": (), "not_exhaustive_category_ids": (1,)}, []),
    "in a crowd": ([(HAMMER, (0.0, 0.0, 400.0, 300.0), 1)], [(HAMMER, BOX, 0.9)], {}, []),
    "in a crowd of another category": ([(SAW, (0.0, 0.0, 400.0, 300.0), 1)], [(HAMMER, BOX, 0.9)], {}, [("missed", "hammer", "hammer")]),
    "a faint prediction": ([], [(HAMMER, BOX, 0.2)], {}, []),
    "seen a second time on one label": ([(HAMMER, BOX)], [(HAMMER, BOX, 0.9), (HAMMER, SHIFTED, 0.9)], {}, []),
    "spurious": ([(HAMMER, BOX)], [], {}, [("spurious", "hammer", "")]),
    "spurious beside a right one": ([(HAMMER, BOX), (HAMMER, ELSEWHERE)], [(HAMMER, BOX, 0.9)], {}, [("spurious", "hammer", "")]),
    "drawn twice": ([(HAMMER, BOX), (HAMMER, (14.0, 20.0, 100.0, 80.0))], [(HAMMER, BOX, 0.9)], {}, [("spurious", "hammer", "")]),
    "a crowd that is not seen": ([(HAMMER, BOX, 1)], [], {}, []),
    "mislabelled": ([(HAMMER, BOX)], [(SAW, BOX, 0.9)], {}, [("mislabelled", "hammer", "saw")]),
    "two things in one place": ([(HAMMER, BOX), (SAW, BOX)], [(HAMMER, BOX, 0.9), (SAW, BOX, 0.9)], {}, []),
    "seen as both": ([(HAMMER, BOX)], [(HAMMER, BOX, 0.9), (SAW, BOX, 0.9)], {}, []),
    "badly placed": ([(HAMMER, BOX)], [(HAMMER, SHIFTED, 0.9)], {}, [("badly placed", "hammer", "hammer")]),
    "placed a little off": ([(HAMMER, BOX)], [(HAMMER, (18.0, 20.0, 100.0, 80.0), 0.9)], {}, []),
}


@pytest.mark.parametrize("what", CASES)
def test_each_fault_is_of_its_kind_and_what_is_right_is_none(what: str) -> None:
    labels, seen, fields, expected = CASES[what]

    found = case(labels, seen, **fields)

    assert [(s.kind, s.category, s.predicted) for s in found] == expected
    assert all(LEAST[s.kind] <= s.score <= 1 and s.sha256 == f"{ODD:064x}" for s in found)


def test_a_suspect_says_where_it_is_who_labelled_it_and_what_is_seen() -> None:
    (one,) = case([(HAMMER, BOX)], [(SAW, BOX, 0.9)])

    assert (one.label, one.prediction, one.overlap, one.confidence) == (BOX, BOX, 1.0, 0.9)
    assert (one.labelled_by, one.split, one.model) == ("people, tools-1", "train", "v1")
    assert one.words == "labelled hammer, v1 sees saw (0.90)"


def test_absent_pictures_are_looked_at_when_that_is_asked_for() -> None:
    images = [image(n, neg_category_ids=(1,) if n == 1 else (), exhaustive_category_ids=() if n == 1 else (1,)) for n in range(1, 40)]
    labelled = coco(images, [annotation(n, n, HAMMER, bbox=BOX) for n in range(2, 40)])
    seen = predictions({f"{n:064x}": [(HAMMER, BOX, 0.9)] for n in range(1, 40)})

    (one,) = suspects({"val": labelled}, seen, absent=True)

    assert suspects({"val": labelled}, seen) == []
    assert (one.kind, one.split, one.words) == ("missed", "val", "no hammer is labelled where v1 sees one (0.90); said to be absent")


def scored(precision: float, *, count: int = 200) -> list[tuple[Coco, Any]]:
    """A data set whose hammers are confirmed at a score of 0.6 in a share of the pictures."""
    images = [image(n, exhaustive_category_ids=(1, 2)) for n in range(1, count + 1)]
    hits = round(precision * count)
    labelled = coco(images, [annotation(n, n, HAMMER, bbox=BOX) for n in range(1, hits + 1)])
    return [(labelled, predictions({f"{n:064x}": [(HAMMER, BOX, 0.6)] for n in range(1, count + 1)}))]


@pytest.mark.parametrize(("precision", "suspicious"), [(0.9, True), (0.2, False)])
def test_the_same_score_is_worth_what_it_was_worth_on_the_labelled_pictures(precision: float, *, suspicious: bool) -> None:
    ((labelled, seen),) = scored(precision)

    trust = calibrated(compared([labelled], seen)).precision(seen)
    found = suspects({"train": labelled}, seen)

    assert abs(trust[0] - precision) < 0.05
    assert bool(found) is suspicious


def test_what_a_model_mostly_overlooks_is_not_called_spurious() -> None:
    images = [image(n, exhaustive_category_ids=(1,)) for n in range(1, 101)]
    labelled = coco(images, [annotation(n, n, HAMMER, bbox=BOX) for n in range(1, 101)])

    found_rarely = predictions({f"{n:064x}": [(HAMMER, BOX, 0.9)] if n <= 30 else [] for n in range(1, 101)})
    found_mostly = predictions({f"{n:064x}": [(HAMMER, BOX, 0.9)] if n <= 97 else [] for n in range(1, 101)})

    assert suspects({"train": labelled}, found_rarely) == []
    assert [(s.kind, int(s.sha256, 16)) for s in suspects({"train": labelled}, found_mostly)] == [("spurious", n) for n in (98, 99, 100)]


def test_a_label_is_listed_by_the_likeliest_kind_among_those_that_list_it() -> None:
    """One label in ten is not found, so that spurious is little; another category is seen on one of these, more likely than that but less than is listed."""
    images = [image(n, exhaustive_category_ids=(1, 2)) for n in range(1, 101)]
    labelled = coco(images, [annotation(n, n, HAMMER, bbox=BOX) for n in range(1, 101)])
    seen = {f"{n:064x}": [(HAMMER, BOX, 0.9)] if n <= 90 else [] for n in range(1, 101)}
    doubtful: list[Seen] = [(SAW, BOX, 0.42)]

    found = suspects({"train": labelled}, predictions({**seen, f"{100:064x}": doubtful}))

    assert LEAST["spurious"] < found[0].score < 0.42 < LEAST["mislabelled"]
    assert {(s.kind, int(s.sha256, 16)) for s in found} == {("spurious", n) for n in range(91, 101)}


def test_pictures_that_the_detector_was_not_run_on_are_left_alone() -> None:
    labelled = coco([image(1), image(2)], [annotation(1, 1, bbox=BOX), annotation(2, 2, bbox=BOX)])

    assert suspects({"train": labelled}, predictions({})) == []
    assert suspects({"train": labelled}, predictions({"f" * 64: [(HAMMER, BOX, 0.9)]})) == []


def test_of_two_models_the_later_one_is_heard_on_each_picture() -> None:
    old = predictions({"a" * 64: [(HAMMER, BOX, 0.9)], "b" * 64: [(SAW, BOX, 0.8), (HAMMER, BOX, 0.7)]}, "v1")
    new = predictions({"a" * 64: [(SAW, ELSEWHERE, 0.6)], "c" * 64: [], "d" * 64: [(HAMMER, BOX, 0.5)]}, "v2")

    both = latest([old, new])

    said = [[(int(both.category_ids[k]), float(both.scores[k])) for k in range(both.starts[n], both.starts[n + 1])] for n in range(3)]
    assert both.pictures == ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
    assert said == [[(SAW, 0.6)], [(SAW, 0.8), (HAMMER, 0.7)], []]
    assert [both.models[m] for m in both.model_of] == ["v2", "v1", "v2", "v2"]


def test_a_later_file_of_some_categories_leaves_the_others_to_the_file_before() -> None:
    hammers = predictions({"a" * 64: [(HAMMER, BOX, 0.9)], "b" * 64: [], "c" * 64: [(HAMMER, BOX, 0.4)]}, "v1")
    saws = predictions({"a" * 64: [(SAW, ELSEWHERE, 0.95), (SAW, BOX, 0.3)], "b" * 64: []}, "v1-saws")

    both = latest([hammers, saws])
    sees = sightings(coco([], []), both, [HAMMER, SAW])

    said = [[(int(both.category_ids[k]), float(both.scores[k])) for k in range(*both.starts[n : n + 2])] for n in range(3)]
    assert said == [[(SAW, 0.95), (HAMMER, 0.9), (SAW, 0.3)], [], [(HAMMER, 0.4)]]
    assert [both.models[m] for m in both.model_of] == ["v1 + v1-saws", "v1 + v1-saws", "v1"]
    assert [sees.turn(letter * 64, HAMMER) for letter in "abc"] == [0, 2, 1]
    assert [sees.turn(letter * 64, SAW) for letter in "abc"] == [0, 2, 1]  # v1 knows no saws
    assert sees.words("c" * 64, SAW) == ""


def test_a_second_run_of_a_model_is_judged_category_by_category_as_the_first() -> None:
    """Hammers at a score of 0.6 are nearly all right, saws nearly all wrong, and half of the saws are overlooked; the second run is over pictures that nobody labelled."""
    images = [image(n, exhaustive_category_ids=(1, 2)) for n in range(1, 201)]
    hammers = [annotation(n, n, HAMMER, bbox=BOX) for n in range(1, 191)]
    saws = [annotation(200 + n, n, SAW, bbox=ELSEWHERE if n <= 20 else (340.0, 5.0, 50.0, 50.0)) for n in range(1, 41)]
    both: list[Seen] = [(HAMMER, BOX, 0.6), (SAW, ELSEWHERE, 0.6)]
    first, crawl = {f"{n:064x}": both for n in range(1, 201)}, {"e" * 64: both, "f" * 64: []}
    labelled = coco(images, [*hammers, *saws])

    once = sightings(labelled, predictions({**first, **crawl}), [HAMMER, SAW])
    twice = sightings(labelled, latest([predictions(first, "v1"), predictions(crawl, "v1-crawl")]), [HAMMER, SAW])

    assert [twice.boxes["e" * 64, i] for i in (HAMMER, SAW)] == pytest.approx([once.boxes["e" * 64, i] for i in (HAMMER, SAW)], abs=0.06)
    assert [twice.turn("e" * 64, i) for i in (HAMMER, SAW)] == [0, 1]
    assert [twice.expected("f" * 64, i, 1.0) for i in (HAMMER, SAW)] == pytest.approx([0.0, 0.4], abs=0.1)


def test_counts_have_every_kind_and_category() -> None:
    found = case([(HAMMER, BOX)], [(SAW, BOX, 0.9)])

    assert counts(found, ["hammer", "saw"]) == {
        "missed": {"hammer": 0, "saw": 0},
        "spurious": {"hammer": 0, "saw": 0},
        "mislabelled": {"hammer": 1, "saw": 0},
        "badly_placed": {"hammer": 0, "saw": 0},
    }


def test_agreement_tells_corners_and_other_ids_from_results() -> None:
    labelled = coco([image(1)], [annotation(1, 1, HAMMER, bbox=ELSEWHERE)])
    x, y, w, h = ELSEWHERE

    corners = agreement([labelled], predictions({f"{1:064x}": [(HAMMER, (x, y, x + w, y + h), 0.9)]}))
    other_ids = agreement([labelled], predictions({f"{1:064x}": [(SAW, ELSEWHERE, 0.9)]}))

    assert (corners.labels, corners.found, corners.as_corners) == (1, 0, 1)
    assert (other_ids.found, other_ids.of_any) == (0, 1)


def test_thousands_of_things_without_labels_in_one_picture_are_all_named() -> None:
    images = [image(n, exhaustive_category_ids=(1, 2)) for n in range(1, RIGHT + 1)] + [image(ODD, width=3000, height=3000)]
    labelled = coco(images, [annotation(n, n, HAMMER, bbox=BOX) for n in range(1, RIGHT + 1)])
    grid: list[Seen] = [(HAMMER, (20.0 * (k % 100), 20.0 * (k // 100), 15.0, 15.0), 0.9) for k in range(3000)]
    seen = predictions({**{f"{n:064x}": [(HAMMER, BOX, 0.9)] for n in range(1, RIGHT + 1)}, f"{ODD:064x}": grid})

    assert len(suspects({"train": labelled}, seen)) == 3000


def test_a_category_that_a_model_does_not_know_is_neither_unseen_nor_spurious() -> None:
    images = [image(n, exhaustive_category_ids=(1, 2)) for n in range(1, 201)]
    hammers = [annotation(n, n, HAMMER, bbox=BOX) for n in range(1, 201)]
    seen = predictions({**{f"{n:064x}": [(HAMMER, BOX, 0.9)] for n in range(1, 201)}, "f" * 64: []})
    labelled = coco(images, [*hammers, annotation(201, 1, SAW, bbox=ELSEWHERE)])

    sees = sightings(labelled, seen, [HAMMER, SAW])

    assert suspects({"train": labelled}, seen) == []
    assert (sees.expected("f" * 64, SAW, 0.7), sees.turn("f" * 64, SAW), sees.words("f" * 64, SAW)) == (0.7, 1, "")
    assert (sees.turn("f" * 64, HAMMER), sees.words("f" * 64, HAMMER)) == (2, "v1 sees none here")
    assert sees.expected("f" * 64, HAMMER, 1.0) < 0.05


def test_labels_that_a_model_cannot_find_do_not_lower_what_it_finds_of_others() -> None:
    images = [image(n, exhaustive_category_ids=(1, 2)) for n in range(1, 101)]
    hammers = [annotation(n, n, HAMMER, bbox=BOX) for n in range(1, 101)]
    seen = predictions({f"{n:064x}": [(HAMMER, BOX, 0.9)] for n in range(1, 101)})

    without = calibrated(compared([coco(images, hammers)], seen))
    with_saws = calibrated(compared([coco(images, [*hammers, *(annotation(100 + n, n, SAW, bbox=ELSEWHERE) for n in range(1, 101))])], seen))

    assert with_saws.any_recall == without.any_recall


def test_what_a_model_finds_is_measured_for_each_model_and_category() -> None:
    images = [image(n, exhaustive_category_ids=(1, 2)) for n in range(1, 401)]
    labelled = coco(images, [annotation(2 * n + i, n, i, bbox=BOX if i == HAMMER else ELSEWHERE) for n in range(1, 401) for i in (HAMMER, SAW)])
    halves = (range(1, 201), range(201, 401))
    old = predictions({f"{n:064x}": [(HAMMER, BOX, 0.9), *([(SAW, ELSEWHERE, 0.9)] if n % 2 else [])] for n in halves[0]}, "v1")
    new = predictions({f"{n:064x}": [*([(HAMMER, BOX, 0.9)] if n % 4 == 0 else []), (SAW, ELSEWHERE, 0.9)] for n in halves[1]}, "v2")

    trust = calibrated(compared([labelled], latest([old, new])))

    assert [round(trust.recall(model, category), 1) for model in (0, 1) for category in (HAMMER, SAW)] == [1.0, 0.5, 0.3, 1.0]


@pytest.mark.parametrize(("precision", "turn"), [(0.6, 0), (0.4, 1)])
def test_a_picture_comes_first_where_a_thing_is_more_likely_there_than_not(precision: float, turn: int) -> None:
    ((labelled, seen),) = scored(precision)

    assert sightings(labelled, seen, [HAMMER]).turn(f"{1:064x}", HAMMER) == turn


def test_what_to_expect_is_what_is_seen_and_a_share_of_what_is_overlooked() -> None:
    images = [image(n, exhaustive_category_ids=(1, 2)) for n in range(1, 201)]
    labelled = coco(images, [annotation(n, n, HAMMER, bbox=BOX) for n in range(1, 201)])
    seen = {f"{n:064x}": [(HAMMER, BOX, 0.9)] if n % 4 else [] for n in range(1, 201)}

    sees = sightings(labelled, predictions({**seen, "e" * 64: [(HAMMER, BOX, 0.9), (HAMMER, ELSEWHERE, 0.9)], "f" * 64: []}), [HAMMER, SAW])

    assert sees.expected("e" * 64, HAMMER, 1.0) == pytest.approx(2 + 0.25, abs=0.1)
    assert sees.expected("f" * 64, HAMMER, 1.0) == pytest.approx(0.25, abs=0.05)
    assert sees.expected("d" * 64, HAMMER, 0.7) == 0.7
    assert [sees.turn(letter * 64, HAMMER) for letter in "edf"] == [0, 1, 2]
    assert [sees.words(letter * 64, HAMMER) for letter in "edf"] == ["v1 sees 2.0 here", "", "v1 sees none here"]

"""What a decision does: to the plan, to a purchase, to the merged set, and to what people are told."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from boxset.assemble.merge import Conflict
from boxset.compare.explain import Records, explain
from boxset.compare.sightings import Sightings
from boxset.dataset.decisions import Decision, decisions_of
from boxset.dataset.records import KEPT, ImageRow, Picture, Refused, State
from boxset.errors import ProjectError
from boxset.labeling.ledger import ANSWERS, PURCHASES, Answered, Asked, Closed, Drawn, Ledger, Reserved, append, read_ledger
from boxset.labeling.plan import Plan, Stock, make_plan, to_review, waits_for_review
from boxset.labeling.purchase import submit
from boxset.labeling.show import plan_table
from boxset.labeling.yields import PRIOR_YES, Yields, learned
from boxset.params import Label
from boxset.report import sections
from boxset.report.data import Planned, PlannedRow, ReportData
from boxset.report.status import next_step, status
from boxset.report.terminal import status_text
from boxset.resolve import Target, Targets
from tests.build import IDS, box, known, merged, picture, pool, sha
from tests.test_decisions import decision, unusable
from tests.test_labeling import NOTHING, Workforce, label, shop
from tests.test_report import BOUGHT, METRICS, PARAMS

TARGETS = Targets(categories={"hammer": Target(target=50, max=0), "saw": Target(target=0, max=0)})
BOTH = Targets(categories={"hammer": Target(target=50, max=0), "saw": Target(target=50, max=0)})
HAMMER, SAW = 1, 2


def found(name: object, category: str = "hammer", **more: Any) -> Picture:
    """A picture that a crawl found."""
    return picture(name, **{"source": "crawl", "category": category, "query": f"{category} wood", **more})


def crawled(*names: object, saws: tuple[object, ...] = ()) -> dict[str, tuple[Picture, ...]]:
    """Pictures found for hammers and for saws, in the order of their rank."""
    hammers = tuple(found(name, rank=rank) for rank, name in enumerate(names))
    return {"hammer": hammers, "saw": tuple(found(name, "saw", rank=rank) for rank, name in enumerate(saws))}


def planned(decisions: list[Decision], pictures: dict[str, tuple[Picture, ...]], *, ledger: Ledger | None = None, targets: Targets = TARGETS, **more: Any) -> Plan:
    """The plan after a review."""
    bought = ledger or Ledger({}, "")
    return make_plan(bought, IDS, targets, label(**more), Stock(pictures, [], decisions=decisions_of(decisions)), have=NOTHING)


def names(plan: Plan) -> list[str]:
    """The names of the pictures that a plan buys, in order."""
    return [bytes.fromhex(item.sha256).lstrip(b"\0").decode() for item in plan.items]


# the plan

PLANS: dict[str, tuple[list[Decision], str, list[str]]] = {
    "nobody has looked": ([], "first", ["a", "b", "c", "d"]),
    "yes comes first": ([decision("c")], "first", ["c", "a", "b", "d"]),
    "no is not bought": ([decision("b", "no")], "first", ["a", "c", "d"]),
    "unusable is not bought": ([unusable("b")], "first", ["a", "c", "d"]),
    "nor where it was called so for another category": ([unusable("b", category_id=SAW), decision("b")], "first", ["a", "c", "d"]),
    "no to another category says nothing of this one": ([decision("b", "no", category_id=SAW)], "first", ["a", "b", "c", "d"]),
    "what was undone counts as not looked at": ([decision("b", "no"), decision("b", "undone", minute=1)], "first", ["a", "b", "c", "d"]),
    "a category of another time says nothing": ([decision("b", "no", category_id=99)], "first", ["a", "b", "c", "d"]),
    "required: nothing without a yes": ([], "required", []),
    "required: what has a yes": ([decision("c"), decision("d"), decision("a", "no")], "required", ["c", "d"]),
}


def test_a_persons_word_comes_before_what_a_detector_sees() -> None:
    sees = Sightings(models={sha(name): "v1" for name in "abcd"}, boxes={(sha("d"), HAMMER): 2.0}, sure=frozenset({(sha("d"), HAMMER)}), recall=0.8)
    decisions = decisions_of([decision("c"), decision("b", "no")])

    plan = make_plan(Ledger({}, ""), IDS, TARGETS, label(), Stock(crawled(*"abcd"), [], decisions=decisions, sees=sees), have=NOTHING)
    waiting = to_review(Ledger({}, ""), IDS, Label(), Stock(crawled(*"abcd"), [], decisions=decisions, sees=sees))

    assert names(plan) == ["c", "d", "a"]
    assert plan.rows[HAMMER - 1].expected == round(PRIOR_YES + 2.0 + 0.2 + 0.2)
    assert [one.sha256 for one in waiting["hammer"]] == [sha("d"), sha("a")]


def test_nothing_is_expected_where_a_person_said_no_whatever_a_detector_sees() -> None:
    sees = Sightings(models={sha("a"): "v1"}, boxes={(sha("a"), HAMMER): 3.0}, sure=frozenset({(sha("a"), HAMMER)}), recall=0.9)
    decisions = decisions_of([decision("a", "no"), decision("a", "yes", category_id=SAW)])

    plan = make_plan(Ledger({}, ""), IDS, BOTH, label(), Stock(crawled("a"), [], decisions=decisions, sees=sees), have=NOTHING)

    assert names(plan) == ["a"]
    assert plan.rows[HAMMER - 1].expected == 0


@pytest.mark.parametrize("case", PLANS)
def test_the_plan_goes_by_the_review(case: str) -> None:
    decisions, review, expected = PLANS[case]

    assert names(planned(decisions, crawled(*"abcd"), review=review)) == expected


def test_a_picture_without_what_it_was_found_for_is_bought_for_what_a_person_saw_in_it() -> None:
    said = [decision("a", "no"), decision("a", "yes", category_id=SAW)]

    plan = planned(said, crawled("a", "b"), targets=BOTH)
    without = planned(said, crawled("a", "b"))

    assert [(item.sha256, item.found_for, item.wanted_for) for item in plan.items] == [(sha("b"), "hammer", "hammer"), (sha("a"), "hammer", "saw")]
    assert names(without) == ["b"]
    assert [(row.category, row.candidates - row.pictures) for row in plan.rows] == [("hammer", 0), ("saw", 0)]


def test_of_pictures_labelled_before_those_with_a_yes_are_asked_about_a_newer_category_first_and_those_with_a_no_are_not(tmp_path: Path) -> None:
    ledger = answered(tmp_path, {"a": 1, "b": 1, "c": 1}, categories={"hammer": HAMMER})
    said = [decision("b", "no", category_id=SAW), decision("c", category_id=SAW)]

    assert names(planned(said, crawled(*"abc"), ledger=ledger, targets=BOTH, old_pictures="all")) == ["c", "a"]
    assert names(planned(said, crawled(*"abc"), ledger=ledger, targets=BOTH, old_pictures="all", review="required")) == ["c"]


def test_a_yes_comes_before_pictures_of_which_more_is_hoped(tmp_path: Path) -> None:
    ledger = answered(tmp_path, {f"x{n}": 9 for n in range(40)}, query="rich")
    pictures = {"hammer": (found("a", query="rich"), found("b", query="poor", rank=1))}

    assert names(planned([], pictures, ledger=ledger)) == ["a", "b"]
    assert names(planned([decision("b")], pictures, ledger=ledger)) == ["b", "a"]


def test_a_copy_that_was_found_for_another_category_is_bought_for_that_one() -> None:
    alike = {"phash": "0" * 16, "grid": "80" * 48}
    pictures = {"hammer": (found("a", **alike),), "saw": (found("b", "saw", **alike),)}

    assert names(planned([decision("a", "no", **alike)], pictures, targets=BOTH)) == ["b"]
    assert names(planned([unusable("a", **alike)], pictures, targets=BOTH)) == []


def test_the_plan_says_how_many_wait_for_review_and_how_to_do_it(capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned([decision("a"), unusable("b")], crawled(*"abcd", saws=("e",)), targets=BOTH, review="required")
    plan_table(plan)
    printed = " ".join(capsys.readouterr().out.split())

    assert [(row.category, row.candidates, row.reviewed, row.waiting, row.decided) for row in plan.rows] == [("hammer", 1, 1, 2, 2), ("saw", 0, 0, 1, 0)]
    assert "label.review is required, and 3 pictures wait for it: `boxset review hammer` (2), `boxset review saw` (1)" in printed
    assert "It stops because no pictures that were said yes are left for hammer, saw, and others wait for review." in printed
    assert waits_for_review("first", {"hammer": 3}) == waits_for_review("required", {"hammer": 0}) == []


def test_a_review_shows_what_the_plan_would_buy_in_its_order_and_nothing_that_is_decided_or_bought(tmp_path: Path) -> None:
    ledger = answered(tmp_path, {"a": 1}, query="hammer wood")
    pictures = {"hammer": (found("a"), found("b", rank=1, query="other"), found("c", rank=2), found("d", rank=3)), "saw": (found("e", "saw"),)}
    decisions = [decision("d", "no"), decision("e", "yes", category_id=SAW)]

    waiting = reviewable(ledger, pictures, decisions)
    bought = names(planned(decisions, pictures, ledger=ledger))

    assert waiting == {"hammer": bought, "saw": []}
    assert sorted(bought) == ["b", "c"]


def reviewable(ledger: Ledger, pictures: dict[str, tuple[Picture, ...]], decisions: list[Decision]) -> dict[str, list[str]]:
    """The names of what waits for review, by category."""
    waiting = to_review(ledger, IDS, Label(), Stock(pictures, [], decisions=decisions_of(decisions)))
    return {name: [p.source_id for p in some] for name, some in waiting.items()}


def test_what_a_licence_keeps_out_is_not_reviewed() -> None:
    pictures = {"hammer": (found("a", coco_id="7", license=""), found("b", rank=1))}

    waiting = to_review(Ledger({}, ""), IDS, Label(), Stock(pictures, [], refused=Refused(coco_ids=("7",)), decisions=decisions_of([])))

    assert [p.source_id for p in waiting["hammer"]] == ["b"]


def test_unlabelled_pictures_of_ones_own_are_reviewed_too() -> None:
    own = picture("mine", source="returns", category="hammer")
    pools = [pool(own), pool(picture("public"), box("public"))]

    waiting = to_review(Ledger({}, ""), IDS, Label(), Stock({}, pools, decisions=decisions_of([])))

    assert waiting == {"hammer": [own], "saw": []}


# what a picture brings


def answered(folder: Path, boxes: dict[str, int], *, query: str = "", categories: dict[str, int] | None = None) -> Ledger:
    """A ledger in which people, asked about all categories or these, drew so many hammers in each picture."""
    asked_about = categories or {"hammer": 1, "saw": 2}
    reserved = Reserved(job="j", backend="files", version=1, categories=asked_about, pictures=len(boxes), worst_mills=116)
    drawn = Drawn(category_id=1, bbox=(1.0, 2.0, 30.0, 40.0))
    pictures = {name: picture(name) for name in boxes}
    asked = [
        Asked(job="j", sha256=p.sha256, file_name=p.file_name, width=p.width, height=p.height, phash=p.phash, found_for="hammer", query=query)
        for p in pictures.values()
    ]
    append(folder, PURCHASES, [reserved, *asked, Closed(job="j", state="completed", cost_mills=116)])
    append(folder, ANSWERS, [Answered(job="j", sha256=sha(name), state="labelled", boxes=(drawn,) * n) for name, n in boxes.items()])
    return read_ledger(folder)


def test_a_picture_in_which_a_person_saw_it_is_worth_more_than_one_that_nobody_looked_at() -> None:
    nothing = Yields({}, {})

    assert nothing.rate("hammer", "", "hammer", "yes") == PRIOR_YES > nothing.rate("hammer", "", "hammer")
    assert nothing.rate("hammer", "", "saw", "yes") == PRIOR_YES > nothing.rate("hammer", "", "saw")
    assert nothing.rate("hammer", "", "hammer", "no") == 0
    assert planned([decision("a")], crawled("a", "b")).rows[0].expected == 2  # 1.3 and 1


def test_a_yes_is_never_worth_less_than_no_look(tmp_path: Path) -> None:
    many = learned(answered(tmp_path, {"a": 4, "b": 4}), IDS, {})

    assert many.rate("hammer", "", "hammer", "yes") == many.rate("hammer", "", "hammer") > PRIOR_YES


def test_what_reviewed_pictures_brought_is_learned_of_reviewed_pictures_alone(tmp_path: Path) -> None:
    ledger = answered(tmp_path, {"a": 4, "b": 4, "c": 0, "d": 0})
    said = {sha("a"): {"hammer": "yes"}, sha("b"): {"hammer": "yes"}}

    without, with_review = learned(ledger, IDS, {}), learned(ledger, IDS, {}, said)

    assert without.rate("hammer", "", "hammer") == pytest.approx((8 + 8) / (4 + 8))
    assert with_review.rate("hammer", "", "hammer") == pytest.approx((0 + 8) / (2 + 8))
    assert with_review.rate("hammer", "", "hammer", "yes") == pytest.approx((8 + 8 * PRIOR_YES) / (2 + 8))
    assert with_review.rate("hammer", "", "saw") == without.rate("hammer", "", "saw")  # nobody reviewed saws


# the purchase


def test_a_plan_that_is_older_than_the_review_buys_nothing(tmp_path: Path) -> None:
    plan, workforce = planned([], crawled(*"abc")), Workforce()
    buying = shop(tmp_path, workforce, label())

    later = decisions_of([decision("a", "no")])
    with pytest.raises(ProjectError, match=r"older than the decisions of `boxset review`.*`dvc repro label` makes a new plan"):
        submit(with_decisions(buying, later.fingerprint), msgspec.structs.replace(plan, ledger=read_ledger(buying.ledger).fingerprint))
    assert workforce.sent == {}

    current = make_plan(read_ledger(buying.ledger), IDS, TARGETS, label(), Stock(crawled(*"abc"), [], decisions=later), have=NOTHING)
    submit(with_decisions(buying, later.fingerprint), current)
    assert [sorted(sent) for sent in workforce.sent.values()] == [sorted([sha("b"), sha("c")])]


def with_decisions(buying: Any, mark: str) -> Any:
    """The shop, which knows what was decided."""
    return replace(buying, decisions=mark)


# the merged set


def state_of(result: Any, name: str = "a") -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | str:
    """Absent, perhaps incomplete and complete category ids of a picture; or why it was left out."""
    for image in result.coco.images:
        if image.sha256 == sha(name):
            return image.neg_category_ids, image.not_exhaustive_category_ids, image.exhaustive_category_ids
    return next(one.reason for one in result.dropped if one.sha256 == sha(name))


PUBLIC = pool(picture("a"), box("a"), known("a"))
BARE = pool(picture("a"), known("a", State.ABSENT))
CRAWLED = {"hammer": (found("a"),)}
DRAWN = pool(box("a", source="label"), known("a", source="label"))
ELSEWHERE = pool(box("a", (200, 100, 50, 50), source="label"), known("a", source="label"))
EMPTY = pool(known("a", State.ABSENT, source="label"))

MERGES: dict[str, tuple[dict[str, Any], list[Decision], Any, int]] = {
    # what there is, what was decided → what is known of the hammer in the picture, or why it is out; boxes
    "a source's picture": ({"pool": PUBLIC}, [], ((), (), (1,)), 1),
    "a source's picture that is unusable": ({"pool": PUBLIC}, [unusable()], "unusable", 0),
    "a source's box against a no": ({"pool": PUBLIC}, [decision("a", "no")], ((1,), (), ()), 0),
    "a source's box with a yes": ({"pool": PUBLIC}, [decision("a")], ((), (), (1,)), 1),
    "a source's absent against a yes": ({"pool": BARE}, [decision("a")], ((), (1,), ()), 0),
    "a source's absent with a no": ({"pool": BARE}, [decision("a", "no")], ((1,), (), ()), 0),
    "a no to another category": ({"pool": PUBLIC}, [decision("a", "no", category_id=SAW)], ((2,), (), (1,)), 1),
    "a bought box": ({"crawled": CRAWLED, "answers": DRAWN}, [], ((), (), (1,)), 1),
    "a bought box against a no": ({"crawled": CRAWLED, "answers": DRAWN}, [decision("a", "no")], ((), (), (1,)), 1),
    "a bought box in an unusable picture": ({"crawled": CRAWLED, "answers": DRAWN}, [unusable()], "unusable", 0),
    "a bought nothing against a yes": ({"crawled": CRAWLED, "answers": EMPTY}, [decision("a")], ((1,), (), ()), 0),
    "a bought box and a source's against a no": ({"pool": PUBLIC, "answers": ELSEWHERE}, [decision("a", "no")], ((), (), (1,)), 2),
    "a crawled picture": ({"crawled": CRAWLED}, [], "unlabelled", 0),
    "a crawled picture with a yes waits for its box": ({"crawled": CRAWLED}, [decision("a")], "unlabelled", 0),
    "a crawled picture with a no": ({"crawled": CRAWLED}, [decision("a", "no")], "rejected", 0),
    "with a no, and a yes for another": ({"crawled": CRAWLED}, [decision("a", "no"), decision("a", category_id=SAW)], "unlabelled", 0),
    "a crawled picture that is unusable": ({"crawled": CRAWLED}, [unusable(category_id=SAW)], "unusable", 0),
    "undone": ({"pool": PUBLIC}, [unusable(), decision("a", "undone", minute=1)], ((), (), (1,)), 1),
}  # fmt: skip


@pytest.mark.parametrize("case", MERGES)
def test_the_merged_set_goes_by_the_review(case: str) -> None:
    there, decisions, expected, boxes = MERGES[case]
    pools = [there["pool"]] if "pool" in there else []

    result = merged(*pools, crawled=there.get("crawled"), answers=there.get("answers"), decisions=decisions_of(decisions))

    assert (state_of(result), len(result.coco.annotations)) == (expected, boxes)
    assert result.metrics["kept"] + result.metrics["united"] + sum(result.metrics["dropped"].values()) == result.metrics["seen"]


def test_a_box_that_a_no_stands_against_is_counted_and_both_sides_are_named() -> None:
    result = merged(pool(picture("a"), box("a"), box("a", (200, 20, 50, 50)), known("a"), box("a", category="saw")), decisions=decisions_of([decision("a", "no")]))

    assert result.metrics["denied_boxes"] == 2
    assert [a.category_id for a in result.coco.annotations] == [SAW]
    assert result.conflicts == (
        Conflict(sha256=sha("a"), what="boxes of hammer", kept="review: no by Anna", other="coco: 2 boxes"),
        Conflict(sha256=sha("a"), what="presence of hammer", kept="review: absent", other="coco: present"),
    )


def test_a_picture_that_was_found_for_two_is_rejected_when_it_misses_both() -> None:
    twice = {"hammer": (found("a"),), "saw": (found("a", "saw"),)}
    no, nor = decision("a", "no"), decision("a", "no", category_id=SAW)

    assert state_of(merged(crawled=twice, decisions=decisions_of([no]))) == "unlabelled"
    assert state_of(merged(crawled=twice, decisions=decisions_of([no, nor]))) == "rejected"
    assert state_of(merged(pool(picture("a")), decisions=decisions_of([no, nor]))) == "unlabelled"  # it was found for none


def test_boxes_in_a_picture_that_is_out_anyway_stand_against_nothing() -> None:
    result = merged(PUBLIC, decisions=decisions_of([decision("a", "no"), unusable("a", category_id=SAW)]))

    assert (state_of(result), result.metrics["denied_boxes"], result.conflicts) == ("unusable", 0, ())


def test_a_bought_box_against_a_no_is_named_as_a_conflict() -> None:
    result = merged(crawled=CRAWLED, answers=DRAWN, decisions=decisions_of([decision("a", "no")]))

    assert result.conflicts == (Conflict(sha256=sha("a"), what="presence of hammer", kept="label: present", other="review: absent"),)
    assert result.metrics["denied_boxes"] == 0


def test_a_decision_on_one_copy_holds_for_the_image_whichever_copy_is_kept() -> None:
    alike = {"phash": "0" * 16, "grid": "80" * 48}
    small, large = picture("a", **alike), picture("b", width=800, height=600, source="lvis", **alike)
    by_id = picture("c", coco_id="7"), picture("d", coco_id="7", width=800, height=600, source="lvis")

    near = merged(pool(small, box("a")), pool(large), decisions=decisions_of([decision("a", "no", **alike)]))
    same = merged(pool(by_id[0], box("c")), pool(by_id[1]), decisions=decisions_of([unusable("c")]))

    assert (state_of(near, "b"), near.metrics["denied_boxes"]) == (((1,), (), ()), 1)
    assert (same.coco.images, same.metrics["dropped"]) == ((), {"unusable": 2})


def test_without_decisions_nothing_changes() -> None:
    assert merged(PUBLIC, BARE, answers=EMPTY) == merged(PUBLIC, BARE, answers=EMPTY, decisions=decisions_of([decision("elsewhere", "no")]))


def test_the_order_of_trust_holds_where_no_review_speaks() -> None:
    said = pool(picture("a"), known("a", State.ABSENT, source="lvis"), known("a", source="label"))

    assert state_of(merged(said, trust=("lvis", "label"))) == ((1,), (), ())
    assert state_of(merged(said, trust=("lvis", "label"), decisions=decisions_of([decision()]))) == ((), (), (1,))


# what people are told


def test_the_history_of_a_picture_tells_who_decided_what_and_when() -> None:
    row = ImageRow(source_id="a", url="http://photos.example/a.jpg", outcome=KEPT, picture=found("a"))
    decisions = decisions_of([unusable("a"), decision("a", category_id=SAW, by="Ben", minute=5)])

    (story,) = explain(sha("a"), Records(tried={"crawl hammer": [row]}, decisions=decisions, names={1: "hammer"}, dropped={sha("a"): "unusable"}))

    assert [step.what for step in story.steps if step.where == "review"] == [
        "hammer: unusable (drawing), by Anna at 2026-11-26 12:00 UTC",
        "category 2: yes, by Ben at 2026-11-26 12:05 UTC",
    ]
    assert story.verdict == "not in the data set: unusable: a person said in `boxset review` that it is no picture to learn from"


def test_the_report_tells_what_was_said_yes_to_and_what_waits() -> None:
    def said(**more: Any) -> str:
        row = PlannedRow(category="hammer", have=1, target=9, pictures=0, expected=0, candidates=2, **more)
        money = {"per_picture_mills": 116, "cost_mills": 0, "committed_mills": 0, "budget_mills": 0, "to_targets_mills": 0, "old_mills": 0}
        none: dict[str, Any] = {"items": (), "to_targets_pictures": 0, "to_targets_stops_at": "", "old_pictures": 0, "old_categories": ()}
        planned = Planned(rows=(row,), stops_at="label.budget_usd is 0", review="required", **none, **money)
        return sections.plan(ReportData({}, plan=planned)).text

    assert "people said yes to 2 in <code>boxset review</code>; 1,200 were not looked at." in said(reviewed=2, waiting=1200)
    assert "label.review is required, and 1,200 pictures wait for it: <code>boxset review hammer</code> (1,200)." in said(waiting=1200)
    assert "review" not in said()


def test_the_status_tells_how_many_were_reviewed_and_how_many_wait() -> None:
    metrics = {**METRICS, "label": {**METRICS["label"], "reviewed": {"hammer": 2}, "to_review": {"hammer": 10, "saw": 3}}}
    state = status(PARAMS, metrics, replace(BOUGHT, reviewed={"hammer": 5, "saw": 0}, is_review_news=True))
    console = Console(width=120, file=io.StringIO())
    with console.capture() as printed:
        console.print(status_text(state))

    assert [(c.name, c.reviewed, c.to_review) for c in state.categories] == [("hammer", 5, 7), ("saw", 0, 3)]
    assert "hammer 5 of 12, saw 0 of 3" in printed.get()
    assert "the plan is older than what was reviewed: dvc repro label first" in printed.get()
    assert next_step(state) == "`dvc repro` takes in what was decided in `boxset review`: commit it"
    waiting = msgspec.structs.replace(state, is_review_new=False, only_reviewed=True, planned=0)
    assert next_step(waiting) == "`boxset review saw` shows the 3 pictures that wait for a yes before they are bought"

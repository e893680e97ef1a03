"""Known pictures: which are asked, that nobody can tell them from others, and that what people draw there is measured and changes no known box."""

import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from itertools import permutations
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stages.merge
from boxset.assemble.freeze import Futile
from boxset.commands.explain import read_records
from boxset.compare.explain import explain
from boxset.dataset.coco import CocoAnnotation, CocoImage, read_coco
from boxset.dataset.decisions import NOBODY, Decision, Decisions, Verdict, decided, decisions_of
from boxset.dataset.geometry import iou
from boxset.dataset.records import BBox, Picture, Pool, Refused, State, write_pool
from boxset.errors import ProjectError
from boxset.files import write_json
from boxset.labeling.answers import answered_pool, copies_for
from boxset.labeling.gold import (
    FIRST,
    Known,
    KnownBox,
    Offer,
    Share,
    SourcesAlone,
    chosen,
    places,
    read_known,
    sources_alone,
    words,
    write_known,
)  # fmt: skip
from boxset.labeling.ledger import (
    ANSWERS,
    DRAWINGS,
    PURCHASES,
    Answered,
    Asked,
    Drawing,
    Drawn,
    Job,
    Ledger,
    Reserved,
    append,
    read_ledger,
    worker_mark,
)
from boxset.labeling.measure import gold_metrics, gold_words, interval, measured
from boxset.labeling.plan import Plan, Stock, make_plan
from boxset.labeling.price import per_picture_mills
from boxset.labeling.purchase import collect, submit
from boxset.labeling.show import plan_table, status_table
from boxset.labeling.standing import check_is_of
from boxset.params import Merge
from tests.build import IDS, box, known, picture, pool, sha
from tests.team import Clone, Team, in_place, known_photos, photos
from tests.test_labeling import NOTHING, TARGETS, Workforce, crawled, label, shop
from tests.walk import FRESH, walk

HAMMER, SAW = 1, 2
HERE: BBox = (10.0, 20.0, 100.0, 80.0)
THERE: BBox = (200.0, 20.0, 100.0, 80.0)


def alone(*pools: Pool, found: Sequence[Picture] = (), decisions: Decisions = NOBODY, **settings: Any) -> SourcesAlone:
    """What sources know, named by their place, beside what was crawled."""
    named = {f"s{place}": one for place, one in enumerate(pools)}
    return sources_alone(named, {"hammer": tuple(found)}, ids=IDS, settings=Merge(**settings), refused=Refused(), decisions=decisions)


def askable(found: SourcesAlone) -> list[str]:
    return sorted(one.source_id for one in found.askable)


# what is known


def test_a_picture_is_known_in_the_categories_that_are_wholly_boxed_or_verified_to_be_absent() -> None:
    found = alone(pool(picture(), box(), known(), known(state=State.ABSENT, category="saw")))

    expected = Known(sha256=sha("a"), width=400, height=300, category_ids=(HAMMER, SAW), boxes=(KnownBox(category_id=HAMMER, bbox=HERE),), closed=(HAMMER, SAW))
    assert found.pictures == {sha("a"): expected}
    assert askable(found) == ["a"]


BOTH_LOOKED = [known(), known(state=State.ABSENT, category="saw")]
NOT_ASKED: dict[str, tuple[Pool, ...]] = {
    "partly boxed": (pool(picture(), box(), known(state=State.PARTIAL)),),
    "nobody said that all is boxed": (pool(picture(), box()),),
    "nothing in it": (pool(picture(), *[known(state=State.ABSENT)]),),
    "a crowd alone": (pool(picture(), box(iscrowd=1), known()),),
    "a group alone": (pool(picture(), box(attributes={"group_of": True}), known()),),
    "too small a thing": (pool(picture(), box(bbox=(10, 20, 15.9, 80)), known()),),
    "a small thing beside a large one": (pool(picture(), box(), box(bbox=(200, 20, 10, 80)), known()),),
    "too small a share": (pool(picture(width=4000), box(bbox=(10, 20, 79, 80)), known()),),
    "too many": (pool(picture(), *[box(bbox=(18 * n, 20, 17, 80)) for n in range(21)], known()),),
    "contradicted by one that is trusted more": (pool(picture(), box(), known()), pool(picture(source="lvis"), known(state=State.ABSENT, source="lvis"))),
    "contradicted by one that is trusted less": (pool(picture(), box(), known()), pool(picture(source="x"), known(state=State.ABSENT, source="x"))),
    "boxes of two that do not meet": (
        pool(picture(), box(), known()),
        pool(picture(source="lvis"), box(source="lvis", bbox=THERE), known(source="lvis")),
    ),
}


@pytest.mark.parametrize("case", NOT_ASKED)
def test_what_is_not_wholly_and_plainly_known_is_not_asked(case: str) -> None:
    assert askable(alone(*NOT_ASKED[case])) == []


def test_two_sources_that_box_the_same_things_know_them() -> None:
    found = alone(pool(picture(), box(), known()), pool(picture(source="lvis"), box(source="lvis", bbox=(12, 20, 100, 80)), known(source="lvis")))

    assert [one.bbox for one in found.pictures[sha("a")].boxes] == [(12, 20, 100, 80)]
    assert len(found.askable) == 1


def test_what_is_known_of_a_picture_is_known_of_its_copies_in_their_pixels_and_the_best_one_is_asked() -> None:
    small = picture("small", width=200, height=150, coco_id="7")
    saw = box("small", (30, 70, 20, 20), category="saw", source="lvis")
    found = alone(pool(picture(coco_id="7"), box(), known()), pool(small, saw, known("small", category="saw", source="lvis")))

    assert [(one.category_id, one.bbox) for one in found.pictures[sha("small")].boxes] == [(HAMMER, (5, 10, 50, 40)), (SAW, (30, 70, 20, 20))]
    assert askable(found) == ["a"]
    assert found.closed == {sha("a"): (HAMMER, SAW), sha("small"): (HAMMER, SAW)}


def test_where_nothing_is_known_to_be_there_what_people_drew_holds() -> None:
    found = alone(pool(picture(), known(state=State.ABSENT), box(category="saw"), known(category="saw", state=State.PARTIAL)))

    assert found.pictures[sha("a")].category_ids == (HAMMER,)
    assert found.closed == {}


def test_a_picture_that_a_crawl_has_is_not_asked_as_a_known_one_and_people_decide_what_is_in_it() -> None:
    same = alone(pool(picture(), box(), known()), found=[picture(source="crawl", category="hammer")])
    copy = alone(pool(picture(coco_id="7"), box(), known()), found=[picture("b", source="crawl", category="hammer", coco_id="7")])

    assert (askable(same), same.closed) == ([], {})
    assert (askable(copy), copy.closed) == ([], {sha("a"): (HAMMER,)})
    assert same.pictures.keys() == copy.pictures.keys() == {sha("a")}


def said(name: str, verdict: Verdict, category_id: int = HAMMER) -> Decision:
    """What somebody decided."""
    reason = {"reason": "other"} if verdict is Verdict.UNUSABLE else {}
    return decided(picture(name), category_id, verdict, by="ann", at=datetime(2026, 1, 1, tzinfo=UTC), **reason)


@pytest.mark.parametrize(("verdict", "category_id", "names"), [(Verdict.NO, HAMMER, []), (Verdict.UNUSABLE, SAW, []), (Verdict.NO, SAW, ["a"])])
def test_what_a_person_decided_on_is_no_yardstick(verdict: Verdict, category_id: int, names: list[str]) -> None:
    found = alone(pool(picture(), box(), *BOTH_LOOKED), decisions=decisions_of([said("a", verdict, category_id)]))

    assert askable(found) == names
    assert category_id not in found.pictures[sha("a")].category_ids


UNSURE: dict[str, tuple[Pool, ...]] = {name: NOT_ASKED[name] for name in NOT_ASKED if "contradicted" in name or "meet" in name}


@pytest.mark.parametrize("case", [*UNSURE, "decided"])
def test_what_people_drew_is_measured_or_an_answer_like_any_other(case: str, tmp_path: Path) -> None:
    public = UNSURE.get(case, (pool(picture(), box(), *BOTH_LOOKED),))
    decisions = decisions_of([said("a", Verdict.YES)]) if case == "decided" else NOBODY
    ledger = answered(tmp_path, {"a": [(HAMMER, (300, 200, 50, 50))]})

    found = alone(*public, decisions=decisions)

    measure = measured(ledger, found.pictures)
    answers = answered_pool(ledger, IDS, crawled={}, extracted=list(public), closed=found.closed)
    assert "hammer" not in measure.categories
    assert [(one.category, one.bbox) for one in answers.annotations] == [("hammer", (300, 200, 50, 50))]


def test_a_group_alone_closes_nothing_nor_is_a_copy_known_in_which_its_own_source_has_no_box() -> None:
    group = alone(pool(picture(), box(attributes={"group_of": True}), known()))
    copy = alone(pool(picture(coco_id="7", source="own", category="hammer")), pool(picture("small", width=200, height=150, coco_id="7"), box("small", HERE), known("small")))

    assert group.closed == {}
    assert (askable(copy), copy.pictures.keys(), copy.closed) == ([], {sha("small")}, {sha("small"): (HAMMER,)})


def test_of_a_picture_that_its_owner_labels_after_people_did_what_people_drew_of_categories_that_the_file_does_not_name_stays(tmp_path: Path) -> None:
    ledger = answered(tmp_path, {"a": [(HAMMER, THERE), (SAW, THERE)]})
    hammers = [picture(source="own"), box(source="own"), known(source="own")]
    drawn_of = []

    for labels in (pool(picture(source="own", category="hammer")), pool(*hammers), pool(*hammers, known(source="own", category="saw", state=State.ABSENT))):
        answers = answered_pool(ledger, IDS, crawled={}, extracted=[labels], closed=alone(labels).closed)
        drawn_of.append([one.category for one in answers.annotations])

    assert drawn_of == [["hammer", "saw"], ["saw"], []]


@pytest.mark.parametrize("is_crawled", [False, True])
def test_a_known_picture_whose_source_is_switched_off_stays_known_by_the_copy_of_another_source_unless_a_crawl_has_one(is_crawled: bool, tmp_path: Path) -> None:
    look: dict[str, Any] = {"phash": picture("a").phash, "grid": "80" * 48}
    public = pool(picture("small", width=200, height=150, **look), box("small", (5, 10, 50, 40)), known("small"))
    found = {"hammer": (picture("found", width=100, height=75, source="crawl", category="hammer", **look),)} if is_crawled else {}
    ledger = answered(tmp_path, {"a": [(HAMMER, SHIFTED), (SAW, THERE)]}, phash=look["phash"])
    copy_of = copies_for(ledger, crawled=found, extracted=[public])

    every = sources_alone({"s": public}, found, ids=IDS, settings=Merge(), refused=Refused(), decisions=NOBODY).also_of({sha("a"): sha("small")})

    measure = measured(ledger, every.pictures)
    answers = answered_pool(ledger, IDS, crawled=found, extracted=[public], closed=every.closed)
    assert copy_of == {sha("a"): min(sha("small"), sha("found")) if is_crawled else sha("small")}
    assert every.closed.get(sha("a"), ()) == (() if is_crawled else (HAMMER,))
    assert (measure.total.together, round(measure.total.overlap, 3)) == ((0, 0) if is_crawled else (1, 0.818))
    assert {one.category for one in answers.annotations} == ({"hammer", "saw"} if is_crawled else {"saw"})


def test_a_category_that_nobody_looked_for_is_kept_where_merge_drops_such_pictures() -> None:
    assert askable(alone(pool(picture(), box(), known()), unknown="drop")) == ["a"]


def test_an_unusable_picture_measures_nobody(tmp_path: Path) -> None:
    ledger = answered(tmp_path, {"a": []})
    public = pool(picture(), box(), *BOTH_LOOKED)

    measures = [measured(ledger, alone(public, decisions=decisions_of(some)).pictures).total.missed for some in ([], [said("a", Verdict.UNUSABLE, SAW)])]

    assert measures == [1, 0]


# how many, and where


def offer(share: float, most: int, there: int = 99) -> Offer:
    """An offer of so many known pictures."""
    return Offer(share, most, [picture(n) for n in range(there)])


def test_a_share_is_rounded_up_and_exact() -> None:
    assert (offer(0.03, 80).room, offer(0.03, 80).wanted(77), offer(0.07, 100).wanted(93), offer(0.2, 1).room, offer(0.2, 2).room) == (77, 3, 7, 1, 1)
    assert [offer(0.2, 80).wanted(others) for others in (0, 1, 8, 9, 64)] == [0, 1, 2, 3, 16]
    assert (offer(0.0, 80).room, offer(0.0, 80).wanted(80)) == (80, 0)
    assert [offer(0.03, 80, there).room for there in (0, 1, 2, 3)] == [80, 79, 78, 77]


@given(st.integers(1, 20), st.integers(0, 400), st.integers(0, 60), st.integers(0, 500))
def test_known_pictures_and_others_fill_a_purchase_and_are_its_share(percent: int, most: int, there: int, candidates: int) -> None:
    exact, some = Fraction(percent, 100), Offer(percent / 100, most, [picture()] * there)
    others = min(candidates, some.room)

    count = min(there, some.wanted(others))

    every = others + count
    assert every <= most
    assert every == most or others == candidates
    assert count in (min(there, ceil(exact * every), every // 2), min(there, ceil(exact * most), most // 2))


@given(st.integers(1, 12), st.integers(0, 80), st.integers(0, 9))
def test_each_part_of_a_purchase_has_a_known_picture_the_first_ten_one_and_the_places_tell_nothing(count: int, more: int, seed: int) -> None:
    names = [f"{seed} {n}" for n in range(count + more)]
    every = count + len(names)

    found = places(count, names)

    assert all(part * every // count <= place < (part + 1) * every // count for part, place in enumerate(found))
    assert 0 < found[0] < FIRST
    assert found == places(count, names)


def test_the_places_differ_from_purchase_to_purchase() -> None:
    assert len({tuple(places(3, [f"{seed} {n}" for n in range(77)])) for seed in range(30)}) == 30
    assert places(0, ["a"]) == []


def by_hand(every: Mapping[str, Known], names: Sequence[Picture], count: int, bought: Mapping[int, int], asked: Sequence[str]) -> list[str]:
    """Choose as `chosen` says it, another way: keep a list of each category and look at all of them anew each time."""
    left, times, found = {one.sha256 for one in names}, {HAMMER: 0, SAW: 0}, []
    for name in asked:
        for number in {one.category_id for one in every[name].boxes if not one.is_crowd}:
            times[number] += 1
    while left and len(found) < count:
        best = None
        for number in (HAMMER, SAW):
            some = [name for name in left if any(one.category_id == number and not one.is_crowd for one in every[name].boxes)]
            if some:
                key = (0 if bought.get(number) else 1, times[number], -bought.get(number, 0), number)
                best = min(best, (key, some)) if best else (key, some)
        assert best is not None
        name = sorted(best[1], key=lambda one: sha256(f"known {one}".encode()).hexdigest())[0]
        left.remove(name)
        found.append(name)
        for number in {one.category_id for one in every[name].boxes if not one.is_crowd}:
            times[number] += 1
    return found


@pytest.mark.parametrize("seed", range(40))
def test_known_pictures_are_spread_over_the_categories_that_are_bought_for(seed: int) -> None:
    rng = random.Random(seed)
    every = {}
    for n in range(rng.randint(0, 14)):
        boxes = [KnownBox(category_id=number, bbox=HERE, is_crowd=rng.random() < 0.2) for number in rng.sample([HAMMER, SAW], rng.randint(1, 2))]
        every[sha(n)] = Known(sha256=sha(n), width=400, height=300, category_ids=(HAMMER, SAW), boxes=(*boxes, KnownBox(category_id=HAMMER, bbox=THERE)))
    names = [picture(n) for n in range(len(every)) if rng.random() < 0.7]
    asked = [one for one in every if one not in {picture_.sha256 for picture_ in names}]
    bought = {number: count for number in (HAMMER, SAW) if (count := rng.randint(0, 3))}
    count = rng.randint(0, 10)

    found = chosen(every, names, count, bought_for=bought, asked=asked)

    assert [one.sha256 for one, _ in found] == by_hand(every, names, count, bought, asked)
    assert chosen(every, names[::-1], count, bought_for=bought, asked=asked) == found


def test_the_lowest_names_are_not_taken_first() -> None:
    every = {sha(n): Known(sha256=sha(n), width=400, height=300, category_ids=(HAMMER,), boxes=(KnownBox(category_id=HAMMER, bbox=HERE),)) for n in range(40)}

    found = [one.sha256 for one, _ in chosen(every, [picture(n) for n in range(40)], 10, bought_for={HAMMER: 1}, asked=())]

    assert found != sorted(every)[:10]
    assert found != sorted(found)


# the plan

PUBLIC = 12
KNOWN = {sha(f"k{n}") for n in range(PUBLIC)}


def stock(count: int = 40, there: int = PUBLIC, **more: Any) -> Stock:
    """Pictures that were crawled for the hammer, and known ones."""
    public = pool(*[one for n in range(there) for one in (picture(f"k{n}"), box(f"k{n}"), known(f"k{n}"), known(f"k{n}", State.ABSENT, category="saw"))])
    return Stock(crawled(count), [public], known=alone(public), **more)


def plan_with(folder: Path, share: float = 0.2, there: Stock | None = None, **more: Any) -> Plan:
    """The plan that the ledger in a folder calls for."""
    return make_plan(read_ledger(folder / "ledger"), IDS, TARGETS, label(gold_share=share, **more), there or stock(), have=NOTHING)


def test_known_pictures_are_among_those_of_a_plan_cost_like_them_and_bring_nothing(tmp_path: Path) -> None:
    plain, plan = plan_with(tmp_path, 0.0), plan_with(tmp_path)

    assert [item for item in plan.items if item.sha256 not in KNOWN] == list(plain.items)
    assert plan.known_pictures == tuple(item.sha256 for item in plan.items if item.sha256 in KNOWN)
    assert (len(plain.items), len(plan.items), plan.cost_mills) == (40, 50, 50 * per_picture_mills(label()))
    assert (plan.rows, plan.useful_box_mills, plan.stops_at) == (plain.rows, plain.useful_box_mills, plain.stops_at)
    assert plan.to_targets_pictures == len(plan.items)
    assert {(item.found_for, item.wanted_for, item.asks) for item in plan.items} == {("hammer", "hammer", ("hammer", "saw"))}


def test_without_a_share_the_plan_has_the_bytes_that_it_had(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, 0.0)

    assert b"known" not in msgspec.json.encode(plan)
    assert msgspec.json.encode(plan) == msgspec.json.encode(plan_with(tmp_path, 0.0, replace(stock(), known=SourcesAlone())))


@pytest.mark.parametrize(("limit", "pictures", "some"), [({"max_images": 30}, 30, 6), ({"budget_usd": 2.4}, 20, 4), ({"max_images": 1}, 1, 0), ({"budget_usd": 0.0}, 0, 0)])
def test_known_pictures_take_room_of_the_limit_and_the_budget(limit: dict[str, Any], pictures: int, some: int, tmp_path: Path) -> None:
    plan = plan_with(tmp_path, **limit)

    assert (len(plan.items), len(plan.known_pictures)) == (pictures, some)
    assert plan.cost_mills <= plan.budget_mills
    assert plan.to_targets_pictures == 50


def test_a_trial_of_ten_has_a_known_picture_and_so_has_each_part_of_a_purchase(tmp_path: Path) -> None:
    shas = [item.sha256 for item in plan_with(tmp_path, 0.03).items]

    assert len(KNOWN.intersection(shas)) == 2
    assert len(KNOWN.intersection(shas[:10])) == 1
    assert len(KNOWN.intersection(shas[: len(shas) // 2])) == 1
    assert shas[-1] not in KNOWN


@pytest.mark.parametrize("limit", [{"max_images": 2}, {"max_images": 3}, {"max_images": 40}, {}])
@pytest.mark.parametrize("pictures", range(1, 5))
def test_what_is_left_of_a_plan_where_little_may_be_spent_is_never_of_known_pictures_alone(pictures: int, limit: dict[str, int], tmp_path: Path) -> None:
    plan, workforce = plan_with(tmp_path, **limit), Workforce()

    submit(shop(tmp_path, workforce, label(gold_share=0.2, **limit)), plan, max_mills=pictures * plan.per_picture_mills)

    (sent,) = workforce.sent.values()
    assert len(sent) == min(pictures, len(plan.items))
    assert set(sent) - KNOWN


def test_a_known_picture_is_asked_once_nor_is_a_copy_until_the_version_rises(tmp_path: Path) -> None:
    workforce, asked = Workforce(), list[str]()
    for _ in range(4):
        plan = plan_with(tmp_path, max_images=20)
        submit(shop(tmp_path, workforce, label(gold_share=0.2, max_images=20)), plan)
        asked += [item.sha256 for item in plan.items]
    copies = pool(*[one for n in range(PUBLIC) for one in (picture(f"copy{n}", phash=picture(f"k{n}").phash), box(f"copy{n}"), known(f"copy{n}"))])

    assert len(KNOWN.intersection(asked)) == 10
    assert len(asked) == len(set(asked))
    assert len(plan_with(tmp_path, there=replace(stock(60), extracted=[copies], known=alone(copies))).known_pictures) == 2  # of the two that are left
    assert len(plan_with(tmp_path, instructions_version=2).known_pictures) == 10


def test_of_two_known_pictures_that_are_nearly_the_same_one_is_asked(tmp_path: Path) -> None:
    near = {"a": "0" * 16, "b": f"{0b111111:016x}"}
    public = pool(*[one for name, phash in near.items() for one in (picture(name, phash=phash, grid="80" * 48), box(name), known(name))])
    found = alone(public)

    plan = plan_with(tmp_path, there=replace(stock(), extracted=[public], known=found))

    assert (len(found.askable), len(plan.known_pictures)) == (2, 1)


def test_near_copies_of_the_frozen_test_set_are_no_known_pictures(tmp_path: Path) -> None:
    near = frozenset(sorted(KNOWN)[:8])
    plan = plan_with(tmp_path, there=replace(stock(), futile=Futile("v1", near)))

    assert set(plan.known_pictures) == KNOWN - near
    assert (plan.near_frozen, words(share_of(plan))[1]) == (0, "label.gold_share wants 10 known pictures, and 4 are there that may be asked")


def share_of(plan: Plan) -> Share:
    """The known pictures of a plan."""
    assert isinstance(plan.known, Share)
    return plan.known


def test_a_shown_plan_says_what_known_pictures_cost_and_where_there_are_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for there in (PUBLIC, 1, 0):
        plan_table(plan_with(tmp_path, there=stock(there=there)))

    printed = " ".join(capsys.readouterr().out.split())
    assert "10 known pictures among them, $1.16: they show how well people draw, and bring no box budget" in printed
    assert "1 known picture among them, $0.12: it shows how well people draw, and brings no box label.gold_share wants 10 known pictures" in printed
    assert "label.gold_share wants 10 known pictures, and 1 is there that may be asked budget" in printed
    assert "label.gold_share wants 10 known pictures, and there are none that may be asked budget" in printed


def test_a_plan_of_another_share_buys_nothing(tmp_path: Path) -> None:
    buying = shop(tmp_path, Workforce(), label(gold_share=0.1))

    with pytest.raises(ProjectError, match=r"the plan is older than label\.gold_share"):
        check_is_of(plan_with(tmp_path), buying.params)

    check_is_of(plan_with(tmp_path, 0.1), buying.params)


def test_answers_on_known_pictures_teach_nothing_of_what_pictures_bring(tmp_path: Path) -> None:
    settings_ = label(gold_share=0.2, max_images=20)
    buying = shop(tmp_path, Workforce(), settings_)
    submit(buying, plan_with(tmp_path, max_images=20))
    collect(buying)
    lines = (tmp_path / "ledger/answers.jsonl").read_text().splitlines()
    taught = plan_with(tmp_path, 0.0)

    others = [line for line in lines if json.loads(line)["sha256"] not in KNOWN]
    (tmp_path / "ledger/answers.jsonl").write_text("".join(f"{line}\n" for line in others))

    assert len(others) == 16
    assert plan_with(tmp_path, 0.0).rows == taught.rows
    assert taught.rows[0].learned_from == sum('"labelled"' in line for line in others)


# the measure


def answered(
    folder: Path,
    answers: Mapping[str, Sequence[tuple[int, BBox]]],
    drawings: Sequence[tuple[str, str, Sequence[tuple[int, BBox]]]] = (),
    *,
    job: str = "j",
    phash: str = "0" * 16,
) -> Ledger:
    """A ledger with one job: what came of each picture, and who drew what."""
    names = sorted({*answers, *(name for name, _, _ in drawings)})
    reserved = Reserved(job=job, backend="label_studio", version=1, categories={"hammer": HAMMER, "saw": SAW}, pictures=len(names), worst_mills=348 * len(names))
    asked = [Asked(job=job, sha256=sha(name), file_name=f"{name}.jpg", width=400, height=300, phash=phash) for name in names]
    append(folder, PURCHASES, [reserved, *asked])
    append(folder, ANSWERS, [Answered(job=job, sha256=sha(name), state="labelled", boxes=drawn(boxes)) for name, boxes in answers.items()])
    append(folder, DRAWINGS, [Drawing(job=job, sha256=sha(name), worker=worker_mark(who), boxes=drawn(boxes)) for name, who, boxes in drawings])
    return read_ledger(folder)


def drawn(boxes: Sequence[tuple[int, BBox]]) -> tuple[Drawn, ...]:
    return tuple(Drawn(category_id=number, bbox=bbox) for number, bbox in boxes)


def yardstick(name: str, *boxes: tuple[int, BBox], crowds: Sequence[tuple[int, BBox]] = (), ids: tuple[int, ...] = (HAMMER,)) -> dict[str, Known]:
    """A picture of which everything is known of some categories."""
    every = [KnownBox(category_id=number, bbox=bbox, is_crowd=is_crowd) for some, is_crowd in ((boxes, False), (crowds, True)) for number, bbox in some]
    return {sha(name): Known(sha256=sha(name), width=400, height=300, category_ids=ids, boxes=tuple(every))}


SHIFTED: BBox = (20.0, 20.0, 100.0, 80.0)  # overlaps HERE by 90 / 110


def test_found_missed_and_extra_boxes_are_counted_for_the_known_categories_alone(tmp_path: Path) -> None:
    ledger = answered(tmp_path, {"a": [(HAMMER, SHIFTED), (HAMMER, (300, 200, 50, 50)), (SAW, HERE)], "b": [(SAW, HERE)], "other": [(HAMMER, HERE)]})
    every = {**yardstick("a", (HAMMER, HERE), (HAMMER, THERE)), **yardstick("b", ids=(SAW,))}

    assert gold_metrics(measured(ledger, every)) == {
        "gold": {
            "pictures": 2, "boxes": 2, "found": 1, "extra": 2, "mean_iou": 0.818,
            "categories": {"hammer": {"pictures": 1, "boxes": 2, "found": 1, "extra": 1, "mean_iou": 0.818}, "saw": {"pictures": 1, "boxes": 0, "found": 0, "extra": 1}},
        }
    }  # fmt: skip


def test_a_picture_of_which_several_categories_are_known_counts_once(tmp_path: Path) -> None:
    found = measured(answered(tmp_path, {"a": [(HAMMER, HERE)]}), yardstick("a", (HAMMER, HERE), (SAW, THERE), ids=(HAMMER, SAW)))

    assert (found.total.pictures, found.jobs["j"].pictures, found.total.together, found.total.missed) == (1, 1, 1, 1)


def test_a_box_in_a_crowd_is_neither_right_nor_wrong_and_nobody_has_to_find_the_crowd(tmp_path: Path) -> None:
    crowd: BBox = (200, 100, 200, 200)
    inside, half, less = (250, 150, 20, 20), (180, 150, 40, 20), (170, 150, 40, 20)
    every = yardstick("a", (HAMMER, HERE), crowds=[(HAMMER, crowd)])

    found = measured(answered(tmp_path, {"a": [(HAMMER, one) for one in (HERE, inside, half, less)]}), every)

    assert (found.total.boxes, found.total.alone, found.total.missed, found.total.together) == (2, 1, 0, 1)


def test_nothing_is_said_where_nothing_known_was_answered(tmp_path: Path) -> None:
    ledger = answered(tmp_path, {"a": []})

    assert gold_metrics(measured(ledger, yardstick("b", (HAMMER, HERE)))) == {}
    assert gold_metrics(measured(ledger, yardstick("a", (HAMMER, HERE), ids=()))) == {}
    assert gold_words({}) == []


def counted_by_hand(known_: Known, boxes: Sequence[tuple[int, BBox]]) -> tuple[int, int, int, float]:
    """Found, missed, extra and the sum of overlaps, by trying all ways to pair."""
    totals = [0, 0, 0, 0.0]
    for number in known_.category_ids:
        single = [one.bbox for one in known_.boxes if one.category_id == number and not one.is_crowd]
        crowds = [one.bbox for one in known_.boxes if one.category_id == number and one.is_crowd]
        mine = [bbox for one, bbox in boxes if one == number]
        best: tuple[float, list[tuple[int, int]]] = (0.0, [])
        slots = [*range(len(mine)), *[-1] * len(single)]
        for order in set(permutations(slots, len(single))):
            pairs = [(place, other) for place, other in enumerate(order) if other >= 0 and iou(single[place], mine[other]) >= 0.5]
            best = max(best, (sum(iou(single[place], mine[other]) for place, other in pairs), pairs), key=lambda one: one[0])
        left = [bbox for place, bbox in enumerate(mine) if place not in {other for _, other in best[1]}]
        extra = [(x, y, w, h) for x, y, w, h in left if not any(cells((x, y, w, h)) and 2 * len(cells((x, y, w, h)) & cells(crowd)) >= w * h for crowd in crowds)]
        totals = [totals[0] + len(best[1]), totals[1] + len(single) - len(best[1]), totals[2] + len(extra), totals[3] + best[0]]
    return int(totals[0]), int(totals[1]), int(totals[2]), totals[3]


def cells(bbox: BBox) -> set[tuple[int, int]]:
    x, y, w, h = (int(value) for value in bbox)
    return {(across, down) for across in range(x, x + w) for down in range(y, y + h)}


SMALL = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(2, 8), st.integers(2, 8)).map(lambda one: tuple(map(float, one)))
LABELLED = st.lists(st.tuples(st.sampled_from([HAMMER, SAW]), SMALL), max_size=4)


@given(LABELLED, LABELLED, LABELLED.map(lambda some: some[:1]), st.sampled_from([(HAMMER,), (HAMMER, SAW)]))
def test_the_measure_is_that_of_all_ways_to_pair(there: Any, mine: Any, crowds: Any, ids: tuple[int, ...]) -> None:
    (one,) = yardstick("a", *[box_ for box_ in there if box_[0] in ids], crowds=[box_ for box_ in crowds if box_[0] in ids], ids=ids).values()
    asked = Asked(job="j", sha256=one.sha256, file_name="a.jpg", width=400, height=300, phash="0" * 16)
    reserved = Reserved(job="j", backend="files", version=1, categories={"hammer": HAMMER, "saw": SAW}, pictures=1, worst_mills=1)
    answer = Answered(job="j", sha256=one.sha256, state="labelled", boxes=drawn(mine))
    ledger = Ledger({"j": Job(reserved, (asked,), True, None, {one.sha256: answer})}, "")

    found = measured(ledger, {one.sha256: one}).total

    assert (found.together, found.missed, found.alone) == counted_by_hand(one, mine)[:3]
    assert found.overlap == pytest.approx(counted_by_hand(one, mine)[3])
    assert found.boxes == found.together + found.alone


def crew(folder: Path, pictures: int, bad: str) -> tuple[Ledger, dict[str, Known]]:
    """Three people draw in known pictures; one of them leaves out every second hammer."""
    names = [f"n{n}" for n in range(pictures)]
    every = {one: known_ for name in names for one, known_ in yardstick(name, (HAMMER, HERE), (HAMMER, THERE)).items()}
    drawings = [(name, who, [(HAMMER, HERE), *([(HAMMER, THERE)] if who != bad else [])]) for name in names for who in ("7", "8", "9")]
    return answered(folder, {name: [(HAMMER, HERE), (HAMMER, THERE)] for name in names}, drawings), every


def test_status_shows_how_well_people_draw_of_how_many_and_names_who_is_clearly_worse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger, every = crew(tmp_path, 40, "7")

    status_table(ledger, {}, budget_usd=40.0, known=every)

    printed = capsys.readouterr().out
    rows = [" ".join(line.split()) for line in printed[printed.index("known pictures") :].splitlines()]
    assert rows[:3] == [
        "known pictures pictures found not there mean IoU",
        "all 40 80 of 80, 100% (95–100%) 0 of 80, 0% (0–5%) 1.00",
        "hammer 40 80 of 80, 100% (95–100%) 0 of 80, 0% (0–5%) 1.00",
    ]
    assert f"worker {worker_mark('7')} 40 40 of 80, 50% (39–61%) 0 of 40, 0% (0–9%) 1.00" in rows[3:6]
    assert (
        f"worker {worker_mark('7')} is off in 40 known pictures: 40 of 80 known boxes are missing, and 0 of their 40 boxes are not there "
        "(40 of 80, 50%, of the others' 0 of 160, 0%)" in printed
    )


def test_few_known_pictures_name_nobody_and_a_job_has_a_row_where_there_are_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crew(tmp_path, 3, "7")
    ledger = answered(tmp_path, {"other": [(HAMMER, HERE)]}, job="k")
    every = {**crew(tmp_path / "same", 3, "7")[1], **yardstick("other", (HAMMER, HERE))}

    status_table(ledger, {}, budget_usd=40.0, known=every)

    printed = capsys.readouterr().out
    assert measured(ledger, every).off == []
    assert [line.split()[:2] for line in printed[printed.index("known pictures") :].splitlines()[1:5]] == [["all", "4"], ["hammer", "4"], ["j", "3"], ["k", "1"]]


def test_one_picture_that_somebody_skipped_names_nobody(tmp_path: Path) -> None:
    many: list[tuple[int, BBox]] = [(HAMMER, (19.0 * n, 20.0, 18.0, 80.0)) for n in range(20)]
    every = {**yardstick("many", *many), **{one: known_ for n in range(20) for one, known_ in yardstick(f"n{n}", (HAMMER, HERE)).items()}}
    drawings = [(f"n{n}", who, [(HAMMER, HERE)]) for n in range(20) for who in ("7", "8", "9")]
    drawings += [("many", who, many if who != "7" else []) for who in ("7", "8", "9")]

    found = measured(answered(tmp_path, {}, drawings), every)

    assert found.people[worker_mark("7")].missed == 20
    assert found.off == []


def test_of_people_who_are_equally_good_next_to_none_is_named_and_who_is_bad_is(tmp_path: Path) -> None:
    rng, named, caught = random.Random(5), 0, 0
    for run in range(20):
        drawings = []
        every = {}
        for n in range(40):
            every |= yardstick(f"n{n}", (HAMMER, HERE), (HAMMER, THERE))
            for who, miss in (("7", 0.5), ("8", 0.06), ("9", 0.06), ("10", 0.06)):
                drawings.append((f"n{n}", who, [(HAMMER, one) for one in (HERE, THERE) if rng.random() >= miss]))
        off = {one.worker for one in measured(answered(tmp_path / str(run), {}, drawings), every).off}
        named += len(off - {worker_mark("7")})
        caught += worker_mark("7") in off

    assert (named, caught) == (0, 20)


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert interval(17, 20) == pytest.approx((0.6396, 0.9476), abs=1e-4)
    assert interval(0, 0) == (0.0, 1.0)


def test_the_report_says_in_a_sentence_how_well_people_drew() -> None:
    figures = {"pictures": 12, "boxes": 20, "found": 17, "extra": 1, "mean_iou": 0.871}

    assert gold_words(figures) == [
        "In 12 pictures whose boxes are known, people found 17 of 20 boxes and drew 1 that is not there; those found overlap the known ones by 0.87 (mean IoU)"
    ]


def test_what_is_known_is_written_and_read_and_no_file_is_left_where_nothing_is(tmp_path: Path) -> None:
    every = yardstick("a", (HAMMER, HERE), crowds=[(HAMMER, THERE)])
    write_known(tmp_path, every)
    assert read_known(tmp_path) == every

    write_known(tmp_path, {})
    assert (read_known(tmp_path), list(tmp_path.iterdir())) == ({}, [])


# for a whole project

Play = Callable[..., Team]
TEAM_KNOWN = [one.sha256 for one in known_photos(6).pictures]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Let ann have a project with a labelling service, crawled pictures and known ones."""
    with ExitStack() as stack:

        def begin(backend: str) -> Team:
            params = json.loads(json.dumps(FRESH))
            params["label"]["gold_share"], params["labeler"] = 0.2, {**params["labeler"], "backend": backend, "trial": 0}
            team = Team(tmp_path, params, {"ann": [one for one in photos("hammer", 16) if one.sha256[-1] == "0"]})
            team.put_known(team.clones["ann"], known_photos(6))
            stack.enter_context(in_place(team))
            return team

        yield begin


def buy(team: Team) -> tuple[Clone, list[str]]:
    """Plan and submit; return the clone and the pictures in the order in which people get them."""
    ann = team.clones["ann"]
    team.repro(ann)
    team.run(ann, "submit", "--yes")
    return ann, [ask.sha256 for ask in team.truth.asks]


def handed_out(team: Team, ann: Clone) -> dict[str, str]:
    """Return what goes out of each picture, by its name."""
    found: dict[str, str] = {}
    for path in sorted(ann.root.glob("labelling/*/tasks/annotations/*.json")):
        found |= {image["file_name"].partition(".")[0]: json.dumps({**image, "id": 0}) for image in json.loads(path.read_bytes())["images"]}
    found |= {task["data"]["sha256"]: json.dumps({**task, "id": 0}) for tasks in team.studio.tasks.values() for task in tasks}
    for key, content in team.bucket.objects.items():
        if key.endswith(("input.manifest", "ledger.jsonl")):
            lines = [json.loads(line) for line in content.splitlines()]
            found |= {line["sha256"]: found.get(line["sha256"], "") + json.dumps(line) for line in lines if "sha256" in line}
    return found


@pytest.mark.parametrize("backend", ["files", "label_studio", "ground_truth"])
def test_nothing_that_goes_out_tells_a_known_picture_from_another(backend: str, play: Play) -> None:
    team = play(backend)
    ann, order = buy(team)

    out = handed_out(team, ann)

    assert len(out) == len(order) == 20
    assert len({text.replace(name, "NAME").replace(name[:16], "HASH") for name, text in out.items()}) == 1
    sent = [*out.values(), *map(str, team.studio.projects), *(str(job["request"]) for job in team.sagemaker.jobs.values())]
    sent += [content.decode() for content in team.bucket.objects.values()]
    sent += [path.read_text() for path in ann.root.rglob("labelling/*/tasks/**/*") if path.suffix in (".txt", ".json")]
    assert not any(word in text for word in ("known", "gold", "public/", '"public"') for text in sent)
    known_ = [place for place, name in enumerate(order) if name in TEAM_KNOWN]
    assert len(known_) == 4
    assert order == sorted(order) if backend == "ground_truth" else [place * 4 // len(order) for place in known_] == [0, 1, 2, 3]


def test_the_measure_finds_what_people_did_wrong_and_no_known_box_is_changed(play: Play) -> None:
    team = play("files")
    ann, order = buy(team)
    asked = [name for name in order if name in TEAM_KNOWN]
    job = team.truth.asks[0].job
    images = [{"id": n, "file_name": f"{name}.jpg", "width": 400, "height": 300} for n, name in enumerate(order)]
    shifted, spam, saw = [20, 10, 100, 80], [200, 150, 60, 60], [300, 200, 50, 50]
    boxes = [{"image_id": n, "category_id": 1, "bbox": shifted} for n, name in enumerate(order) if name != asked[0]]  # one hammer is missed
    boxes += [{"image_id": order.index(asked[1]), "category_id": 1, "bbox": spam}, {"image_id": order.index(asked[2]), "category_id": 2, "bbox": saw}]
    coco = {"images": images, "annotations": [{"id": n, **one} for n, one in enumerate(boxes)], "categories": [{"id": 1, "name": "hammer"}, {"id": 2, "name": "saw"}]}
    write_json(ann.root / f"labelling/{job}/results/coco.json", coco)

    printed = " ".join(team.run(ann, "collect").split())
    team.repro(ann)

    assert "all 4 3 of 4, 75% (30–95%) 1 of 4, 25% (5–70%) 0.82 hammer 4" in printed
    figures = {"pictures": 4, "boxes": 4, "found": 3, "extra": 1, "mean_iou": 0.818}
    assert json.loads((ann.root / "metrics/label.json").read_text())["gold"] == {**figures, "categories": {"hammer": figures}}
    with team.at(ann):
        history = [detail for step in explain(asked[1], read_records(Path()))[0].steps for detail in step.details]
    assert "a known picture: what its sources say of hammer holds, and what people drew of that shows how well they draw" in history
    images_, labels = built(team, ann)
    assert {one.sha256 for one in images_.values()} >= set(TEAM_KNOWN)
    of_known = {(images_[one.image_id].sha256, one.category_id, one.bbox, one.source) for one in labels if images_[one.image_id].sha256 in TEAM_KNOWN}
    assert of_known == {*((name, HAMMER, (10.0, 10.0, 100.0, 80.0), "public") for name in TEAM_KNOWN), (asked[2], SAW, tuple(map(float, saw)), "label")}
    assert {one.sha256: (one.exhaustive_category_ids, one.neg_category_ids) for one in images_.values() if one.sha256 in TEAM_KNOWN} == {
        name: ((HAMMER, SAW), ()) if name == asked[2] else ((HAMMER,), (SAW,) if name in asked else ()) for name in TEAM_KNOWN
    }
    assert {one.bbox for one in labels if images_[one.image_id].sha256 in set(order) - set(TEAM_KNOWN)} == {tuple(map(float, shifted))}


def label_files(team: Team, ann: Clone, **label_: Any) -> tuple[Any, Any, Any]:
    """Run the stage label with other settings; return the measure, the rows of the plan, and what the answers say."""
    ann.params["label"] |= label_
    team.set_params(ann)
    team.repro(ann)
    metrics, plan, answers = (json.loads((ann.root / path).read_text()) for path in ("metrics/label.json", "data/label/plan.json", "data/label/annotations.json"))
    return metrics.get("gold"), plan["rows"], (answers["annotations"], sorted(one["category"] for one in answers["presence"]))


def test_neither_another_share_nor_the_copies_of_another_source_instead_change_labels_measure_or_what_was_learned(play: Play) -> None:
    team = play("label_studio")
    label_files(team, team.clones["ann"], max_images=10)
    ann, order = buy(team)
    for ask in team.truth.asks:
        ask.state, ask.boxes = "answered", 1
    team.run(ann, "collect")
    before = label_files(team, ann, max_images=8)
    without = label_files(team, ann, gold_share=0.0, max_images=6)
    other = known_photos(6)
    names = {one.sha256: f"{one.sha256[:-1]}1" for one in other.pictures}
    copies = [msgspec.structs.replace(one, sha256=names[one.sha256], file_name=f"{names[one.sha256]}.jpg", source="other") for one in other.pictures]
    said_ = [msgspec.structs.replace(one, sha256=names[one.sha256], source="other") for one in (*other.annotations, *other.presence)]
    shutil.rmtree(ann.root / "data/extract/public")
    (ann.root / "data/extract/other").mkdir()
    write_pool(ann.root / "data/extract/other/annotations.json", pool(*copies, *said_))

    after = label_files(team, ann)

    assert before[0]["pictures"] == len(set(order) & set(TEAM_KNOWN)) == 2
    assert before[1][0]["learned_from"] == 8
    assert before == without == after


def built(team: Team, ann: Clone) -> tuple[dict[int, CocoImage], Sequence[CocoAnnotation]]:
    """Run the stage merge and return its images, by id, and boxes."""
    shutil.rmtree(ann.root / "data/crawl/axe")
    ann.params["sources"] = {"public": {"format": "coco", "on": True}}
    team.set_params(ann)
    with team.at(ann):
        stages.merge.main()
        coco = read_coco(Path("data/merge/annotations.json"))
    return {image.id: image for image in coco.images}, coco.annotations


def test_in_a_clone_without_data_status_says_what_shows_the_measure(play: Play) -> None:
    team = play("label_studio")
    ann, _ = buy(team)
    for ask in team.truth.asks:
        ask.state, ask.boxes = "answered", 1
    team.run(ann, "collect")
    team.repro(ann)
    shutil.rmtree(ann.root / "data")

    printed = team.run(ann, "status")

    assert "how well people draw in known pictures is not shown: `dvc pull data/label` brings what is known of them" in printed
    assert "mean IoU" not in printed


def test_some_walks_of_a_team_ask_known_pictures() -> None:
    asked = [{ask.sha256 for ask in walk(seed).team.truth.asks} for seed in range(3)]

    assert any(not some.isdisjoint(TEAM_KNOWN) for some in asked)

"""What a purchase should bring is a range that the answers bear out, and has a price for each box that counts."""

import random
from math import ceil, floor, inf, isclose, sqrt
from pathlib import Path

import msgspec
import pytest

from boxset.labeling.ledger import ANSWERS, PURCHASES, Answered, Asked, Closed, Drawn, Ledger, Reserved, Sent, append, read_ledger
from boxset.labeling.plan import Plan, Row, Stock, bought_metrics, make_plan
from boxset.labeling.show import plan_table
from boxset.labeling.yields import PRIOR_OTHER, PRIOR_OWN, PRIOR_PICTURES, PRIOR_YES, QUERY_PICTURES, Rate, Yields, interval, learned, likely
from boxset.resolve import Identity, Ids, Target, Targets
from tests.build import IDS
from tests.test_labeling import NOTHING, crawled, label

HAMMERS = (("hammer",), "hammer")


def answered(folder: Path, counts: list[int]) -> Ledger:
    """A ledger with one answer for each count, of so many hammers, in pictures that were found for hammers."""
    shas = [f"{n:064x}" for n in range(1_000, 1_000 + len(counts))]
    reserved = Reserved(job="j", backend="files", version=1, categories={"hammer": 1, "saw": 2}, pictures=len(counts), worst_mills=0)
    asked = [Asked(job="j", sha256=one, file_name=f"{one}.jpg", width=400, height=300, phash=f"{n:016x}", found_for="hammer") for n, one in enumerate(shas)]
    append(folder, PURCHASES, [reserved, *asked])
    drawn = Drawn(category_id=1, bbox=(1.0, 2.0, 30.0, 40.0))
    append(folder, ANSWERS, [Answered(job="j", sha256=one, state="labelled", boxes=(drawn,) * count) for one, count in zip(shas, counts, strict=True)])
    return read_ledger(folder)


def planned(ledger: Ledger, count: int = 20, *, target: int = 50, have: int = 0) -> Plan:
    """The plan for `count` pictures that were found for hammers."""
    targets = Targets(categories={"hammer": Target(target=target, max=0), "saw": Target(target=0, max=0)})
    return make_plan(ledger, IDS, targets, label(), Stock(crawled(count), []), have={**NOTHING, "hammer": have})


def range_of(row: Row) -> tuple[int, int]:
    assert row.interval is not None
    return row.interval


def test_the_range_is_that_of_a_gamma_distribution_of_the_same_mean_and_variance() -> None:
    exact = {(100.0, 100.0): (87.42, 113.01), (20.0, 80.0): (9.73, 31.97), (3.0, 9.0): (0.316, 6.908)}  # 10 % and 90 % points, from the incomplete gamma function

    for (mean, variance), (low, high) in exact.items():
        assert likely(mean, variance) == (floor(low), ceil(high))
    assert (likely(0.0, 0.0), likely(0.01, 5.0)[0]) == ((0, 0), 0)


def test_what_a_group_taught_is_one_error_for_all_its_pictures_and_their_own_chance_is_not() -> None:
    one = Rate(1.0, 0.5, {HAMMERS: 0.2})

    assert interval([one] * 100) == likely(100.0, 100 * 0.5 + (100 * 0.2) ** 2)
    assert interval([one] * 50 + [Rate(1.0, 0.5, {(("saw",), "hammer"): 0.2})] * 50) == likely(100.0, 100 * 0.5 + 2 * (50 * 0.2) ** 2)


def test_a_rate_is_as_uncertain_as_its_answers_are_few_and_a_guess_may_be_off_by_itself() -> None:
    guess = Yields({}, {}).of("hammer", "", "hammer")
    known = Yields({HAMMERS: 32}, {HAMMERS: 64}, {HAMMERS: 192}).of("hammer", "", "hammer")

    spread = (192 - 64**2 / 32 + PRIOR_PICTURES * PRIOR_OWN) / 40
    assert guess == Rate(PRIOR_OWN, PRIOR_OWN, {HAMMERS: PRIOR_OWN})
    assert (known.boxes, known.spread) == (72 / 40, spread)
    assert isclose(known.errors[HAMMERS], sqrt(0.8**2 * spread / 32 + 0.2**2))


def test_a_query_takes_over_the_uncertainty_of_its_category_as_far_as_it_goes_by_it() -> None:
    query = (("hammer", "claw"), "hammer")
    rate = Yields({HAMMERS: 32, query: 20}, {HAMMERS: 64, query: 60}, {HAMMERS: 192, query: 200}).of("hammer", "claw", "hammer")

    own = Yields({HAMMERS: 32}, {HAMMERS: 64}, {HAMMERS: 192}).of("hammer", "", "hammer")
    spread = (200 - 60**2 / 20 + QUERY_PICTURES * own.spread) / 40
    assert isclose(rate.errors[HAMMERS], 0.5 * own.errors[HAMMERS])
    assert isclose(rate.errors[query] ** 2, 0.5**2 * spread / 20 + 0.5**2 * (60 / 20 - own.boxes) ** 2)


@pytest.mark.parametrize("said", ["yes", "no"])
def test_what_a_review_says_is_a_guess_of_its_own_until_it_is_answered(said: str) -> None:
    rate = Yields({HAMMERS: 32}, {HAMMERS: 10}, {HAMMERS: 10}).of("hammer", "", "hammer", said)

    assert rate == (Rate(PRIOR_YES, PRIOR_YES, {(("hammer", "", "yes"), "hammer"): PRIOR_YES}) if said == "yes" else Rate(0.0, 0.0, {(("hammer", "", "no"), "hammer"): 0.0}))


def test_the_range_is_wide_while_nothing_is_known_and_narrows_with_the_answers(tmp_path: Path) -> None:
    none, few, many = (planned(answered(tmp_path / str(n), [n % 3 for n in range(n)])).rows[0] for n in (0, 9, 300))

    widths = [high - low for low, high in map(range_of, (none, few, many))]
    assert widths[0] > 1.5 * widths[1] > 1.5 * widths[2] > 0
    assert [low <= row.expected <= high for row in (none, few, many) for low, high in [range_of(row)]] == [True] * 3
    assert (none.learned_from, few.learned_from, many.learned_from) == (0, 9, 300)


def test_what_is_known_of_pictures_found_for_something_else_or_reviewed_leaves_the_rest_a_guess(tmp_path: Path) -> None:
    ledger = answered(tmp_path, [1] * 5)
    yields = learned(ledger, IDS, {}, {f"{n:064x}": {"hammer": "yes"} for n in (1_000, 1_001)})

    assert [yields.answered("hammer", some) for some in ([("hammer", "")], [("hammer", "yes")], [("hammer", ""), ("hammer", "yes")], [("saw", "")], [])] == [3, 2, 5, 0, 0]
    assert yields.answered("saw", [("hammer", "")]) == 5


@pytest.mark.parametrize("trial", [10, 80])
def test_four_of_five_ranges_hold_what_came(tmp_path: Path, trial: int) -> None:
    chance, held = random.Random(7), 0

    def drawn(rate: float) -> int:  # none in every third picture, else one and more
        return 0 if chance.random() < 0.33 else 1 + sum(chance.random() < (rate / 0.67 - 1) / 8 for _ in range(8))

    for turn in range(300):
        rate = chance.uniform(0.7, 3.0)
        yields = learned(answered(tmp_path / str(turn), [drawn(rate) for _ in range(trial)]), IDS, {})
        low, high = interval([yields.of("hammer", "", "hammer")] * 60)
        held += low <= sum(drawn(rate) for _ in range(60)) <= high

    assert 0.74 <= held / 300 <= 0.92


@pytest.mark.parametrize(("category", "rate"), [("hammer", 0.1), ("hammer", 3.0), ("hammer", 5.0), ("saw", 0.5), ("saw", 2.0)])
def test_a_trial_that_brings_what_nobody_guessed_widens_the_range_towards_it(category: str, rate: float) -> None:
    chance, known, held = random.Random(7), (("hammer",), category), 0

    def drawn() -> int:
        return sum(chance.random() < rate / 20 for _ in range(20))

    for _ in range(300):
        trial = [drawn() for _ in range(10)]
        of = Yields({known: 10}, {known: sum(trial)}, {known: sum(n**2 for n in trial)}).of("hammer", "", category)
        low, high = interval([of] * 60)
        held += low <= sum(drawn() for _ in range(60)) <= high

    assert held / 300 >= 0.65


def test_a_box_that_counts_costs_what_the_pictures_cost_shared_by_the_boxes_that_the_target_misses(tmp_path: Path) -> None:
    ledger = answered(tmp_path, [1] * 92)  # (92 + 8) / (92 + 8): exactly one box a picture

    whole, last = planned(ledger, 20, target=200), planned(ledger, 20, target=100, have=95)

    assert (whole.rows[0].pictures, whole.rows[0].expected, whole.rows[0].useful_box_mills, whole.useful_box_mills) == (20, 20, 116, 116)
    assert (last.rows[0].pictures, last.rows[0].expected, last.rows[0].useful_box_mills) == (5, 5, 116)
    assert (whole.rows[1].useful_box_mills, planned(ledger, 20, target=90, have=95).useful_box_mills) == (None, None)


def test_boxes_beyond_the_target_do_not_make_the_others_cheaper(tmp_path: Path) -> None:
    ledger = answered(tmp_path, [4] * 992)

    plan = planned(ledger, 20, target=3)

    assert (plan.rows[0].pictures, plan.rows[0].expected) == (1, 4)
    assert (plan.rows[0].useful_box_mills, plan.useful_box_mills) == (39, 39)  # 116 mills for the 3 that are missing, rounded up


def test_the_plan_shows_the_range_and_the_price_and_says_what_is_a_guess(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan_table(planned(answered(tmp_path, [])))
    guess = capsys.readouterr().out
    plan_table(planned(answered(tmp_path, [1] * 92)))
    known = capsys.readouterr().out

    row = planned(answered(tmp_path / "again", [1] * 92)).rows[0]
    low, high = range_of(row)
    assert "boxes expected" in known
    assert "per useful box" in known
    assert f"20 ({low}–{high})" in known
    assert "0.116" in known
    assert "a guess" not in known
    assert "a guess for hammer, saw: no answer yet on pictures like these, and it may be off" in guess


def test_a_plan_of_an_older_boxset_is_still_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = msgspec.to_builtins(planned(answered(tmp_path, [])))
    del plan["useful_box_mills"]
    for row in plan["rows"]:
        for name in ("interval", "learned_from", "useful_box_mills"):
            del row[name]

    plan_table(msgspec.convert(plan, Plan))

    assert "hammer" in capsys.readouterr().out


def test_no_range_is_without_an_end() -> None:
    assert all(0 <= low <= high < inf for low, high in (likely(m, v) for m in (0.001, 0.5, 3.0, 1e4) for v in (1e-9, 0.5, 1e3, 1e8)))


def test_answers_teach_nothing_of_a_category_that_nobody_was_asked_about(tmp_path: Path) -> None:
    """A category that came later: its boxes in old pictures stay a guess, they were not looked for."""
    wrench = Ids(categories={**IDS.categories, "wrench": Identity(id=3, supercategory="object")})
    ledger = answered(tmp_path, [2] * 30)

    found = learned(ledger, wrench, {})

    assert {category for _, category in found.pictures} == {"hammer", "saw"}
    assert found.rate("hammer", "", "wrench") == PRIOR_OTHER


def test_a_picture_that_two_jobs_asked_about_is_one_and_a_job_that_was_never_sent_asked_nothing(tmp_path: Path) -> None:
    answered(tmp_path, [1, 0, 2])
    again = [Asked(job=job, sha256=f"{1_000:064x}", file_name="a.jpg", width=400, height=300, phash="0" * 16) for job in ("k", "lost")]
    other = Asked(job="lost", sha256="f" * 64, file_name="f.jpg", width=400, height=300, phash="f" * 16)
    jobs = [Reserved(job=job, backend="files", version=1, categories={"axe": 3}, pictures=count, worst_mills=0) for job, count in (("k", 1), ("lost", 2))]
    append(tmp_path, PURCHASES, [*jobs, *again, other, Sent(job="k"), Closed(job="lost", state="withdrawn", cost_mills=0)])

    assert bought_metrics(read_ledger(tmp_path))["images"] == {"asked": 3, "labelled": 3}

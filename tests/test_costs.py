"""What labels cost: every dollar of the ledger lies under one heading, and a box costs its part of its picture."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

from boxset.cli import cli
from boxset.labeling.costs import Cost, cost, costs, per_job, shares
from boxset.labeling.ledger import ANSWERS, PURCHASES, Answered, Asked, Closed, Drawn, Ledger, Reserved, append, read_ledger
from boxset.labeling.purchase import submit
from tests.build import sha
from tests.test_labeling import Workforce, label, plan_of, shop

IDS = {"hammer": 1, "saw": 2}
NAMES = {number: name for name, number in IDS.items()}
HAMMER, SAW = (Drawn(category_id=number, bbox=(1.0, 2.0, 30.0, 40.0)) for number in (1, 2))


def job(folder: Path, name: str, mills: int, pictures: dict[str, tuple[Drawn, ...] | None], *, found_for: str = "hammer", at: str = "") -> Ledger:
    """Write a job of a cost in mills, its pictures and what was drawn in them (None: it failed); and return the ledger."""
    reserved = Reserved(job=name, backend="files", version=1, categories=IDS, pictures=len(pictures), worst_mills=9999, at=at)
    asked = [
        Asked(job=name, sha256=sha(p), file_name=f"{sha(p)}.jpg", width=400, height=300, phash="0" * 16, found_for=found_for) for p in pictures
    ]
    answers = [Answered(job=name, sha256=sha(p), state="labelled" if boxes is not None else "failed", boxes=boxes or ()) for p, boxes in pictures.items()]
    append(folder, PURCHASES, [reserved, *asked, Closed(job=name, state="completed", cost_mills=mills)])
    append(folder, ANSWERS, answers)
    return read_ledger(folder)


def test_a_pictures_price_is_shared_by_its_boxes_and_is_its_categorys_where_there_is_none(tmp_path: Path) -> None:
    ledger = job(tmp_path, "j", 400, {"a": (HAMMER, HAMMER, HAMMER, SAW), "b": (SAW,), "c": (), "d": None})

    assert costs(shares(ledger, NAMES), "category") == [
        Cost(name="hammer", pictures=3, boxes=3, usd=Fraction(275, 1000), usd_without_box=Fraction(2, 10)),
        Cost(name="saw", pictures=2, boxes=2, usd=Fraction(125, 1000), usd_without_box=Fraction(0)),
    ]


@pytest.mark.parametrize("by", ["category", "job", "month"])
def test_the_money_of_all_headings_is_all_that_was_spent_to_the_mill(tmp_path: Path, by: str) -> None:
    job(tmp_path, "one", 1001, {"a": (HAMMER, HAMMER, SAW), "b": (), "c": (SAW,)}, at="2026-10-30T09:00:00Z")
    ledger = job(tmp_path, "two", 7, {"d": None, "e": (HAMMER,)}, found_for="", at="2026-11-02T09:00:00Z")

    rows = costs(shares(ledger, NAMES), by)  # type: ignore[arg-type]

    assert sum(row.usd for row in rows) == sum(per_job(ledger).values()) == Fraction(1008, 1000)
    assert [row.name for row in rows] == {"category": ["(none)", "hammer", "saw"], "job": ["one", "two"], "month": ["2026-10", "2026-11"]}[by]


def test_a_category_that_is_no_more_keeps_its_costs_under_the_name_that_it_had(tmp_path: Path) -> None:
    ledger = job(tmp_path, "j", 100, {"a": (SAW,)})

    assert [row.name for row in costs(shares(ledger, {1: "hammer"}), "category")] == ["saw"]


def test_a_purchase_says_when_it_was_made(tmp_path: Path) -> None:
    from dataclasses import replace

    settings = label()
    submit(replace(shop(tmp_path, Workforce(), settings), at="2026-11-26T09:00:00Z"), plan_of(tmp_path, settings))

    (bought,) = read_ledger(tmp_path / "ledger").jobs.values()
    assert bought.reserved.at == "2026-11-26T09:00:00Z"
    assert costs(shares(read_ledger(tmp_path / "ledger"), NAMES), "month")[0].name == "2026-11"


def test_nothing_spent_costs_nothing() -> None:
    assert shares(Ledger({}, ""), NAMES) == []
    assert (cost("all", []).usd, cost("all", []).usd_per_box) == (0, None)


def test_the_command_answers_for_one_category_by_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    category = "{id: %d, target: 5}"
    Path("params.yaml").write_text(f"world: live\nproject: {{name: tools}}\ncategories:\n  hammer: {category % 1}\n  saw: {category % 2}\nsources: {{}}\n")
    job(Path("ledger"), "one", 300, {"a": (HAMMER, SAW), "b": (HAMMER,), "c": ()})
    run = CliRunner().invoke

    text = run(cli, ["label", "costs", "hammer", "--by", "job"]).output
    found = json.loads(run(cli, ["label", "costs", "--json"]).output)

    assert [line.split() for line in text.splitlines()][1:] == [["one", "3", "2", "$0.25", "$0.10", "$0.125"], ["all", "3", "2", "$0.25", "$0.10", "$0.125"]]
    assert found[-1] == {"name": "all", "pictures": 3, "boxes": 3, "usd": 0.3, "usd_without_box": 0.1, "usd_per_box": 0.1}
    assert str(run(cli, ["label", "costs", "hamer"]).exception).startswith("params.yaml: there is no category hamer; did you mean hammer?")


def test_a_category_is_named_by_its_name_for_show_too_and_one_without_a_purchase_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(
        "world: live\nproject: {name: tools}\nsources: {}\ncategories:\n"
        "  hammer: {id: 1, target: 5, name: Claw hammer}\n  saw: {id: 2, target: 5}\n  drill: {id: 3, target: 5}\n"
    )
    job(Path("ledger"), "one", 300, {"a": (HAMMER,), "b": (SAW,)})
    run = CliRunner().invoke

    by_key, by_name = (run(cli, ["label", "costs", word]).output for word in ("hammer", "claw hammer"))
    nothing = run(cli, ["label", "costs", "drill"])

    assert by_key == by_name
    assert by_key.splitlines()[1].split()[:4] == ["hammer", "1", "1", "$0.15"]
    assert (nothing.exit_code, nothing.output.splitlines()[-1].split()) == (0, ["all", "0", "0", "$0.00", "$0.00", "–"])

"""A user's first day holds together from the first command to the last."""

from pathlib import Path

import pytest

from tests.tour import REFUSED, fresh_copy, walk

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("full")]


def test_the_first_day_goes_through_and_buys_nothing_twice(tmp_path: Path) -> None:
    project = fresh_copy(tmp_path / "tools")

    steps = list(walk(project))

    assert [(command, printed) for purpose, command, printed, code in steps if bool(code) != (purpose in REFUSED)] == []
    said = {purpose: printed for purpose, _, printed, _ in steps}
    assert "nothing bought" in said["nothing is bought twice"]
    assert "wrench" in said["in numbers"]
    assert "drawn by several" in said["take the answers in"]
    assert "per useful box" in said["what to buy next, and at what price"]
    asked = [line for line in (project.root / "ledger/purchases.jsonl").read_text().splitlines() if '"asked"' in line]
    assert len(asked) == len(set(asked)) > 20
    drawings = (project.root / "ledger/drawings.jsonl").read_text().splitlines()
    answers = [line for line in (project.root / "ledger/answers.jsonl").read_text().splitlines() if '"labelled"' in line]
    assert len(drawings) == len(set(drawings)) == project.params()["label"]["workers"] * len(answers)
    assert project.json("metrics/label.json")["cost_usd"]["committed"] <= project.params()["label"]["budget_usd"]

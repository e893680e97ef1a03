"""A user's first day holds together from the first command to the last."""

from pathlib import Path

import pytest

from tests.project import REPOSITORY
from tests.tour import REFUSED, fresh_copy, walk

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("full")]


def shown_in_the_readme() -> list[str]:
    """Return the lines that the README shows of the tour, without its commands and what it leaves out."""
    session = (REPOSITORY / "README.md").read_text().partition("as `make tour` prints it (shortened):\n\n```\n")[2].partition("```")[0]
    return [line.rstrip() for line in session.splitlines() if not line.startswith(("$", "…"))]


def test_the_first_day_goes_through_and_buys_nothing_twice(tmp_path: Path) -> None:
    project = fresh_copy(tmp_path / "tools")

    steps = list(walk(project))

    assert len(shown_in_the_readme()) > 10
    assert [(command, printed) for purpose, command, printed, code in steps if bool(code) != (purpose in REFUSED)] == []
    assert [line for line in shown_in_the_readme() if line not in {line.rstrip() for _, _, printed, _ in steps for line in printed.splitlines()}] == []
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

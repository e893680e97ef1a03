"""`boxset status`: what was built, and where to look."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from boxset.commands.label import LEDGER, PLAN
from boxset.params import Params, read_params
from boxset.terminal import console, say

if TYPE_CHECKING:
    from boxset.labeling.standing import Standing


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Say what was built, what it cost, and what to do next.

    Reads params.yaml, metrics/ and ledger/, so it is true in a clone without data as well.
    """
    from boxset.report.data import read_metrics
    from boxset.report.status import status

    metrics = read_metrics(Path("metrics"))
    params = read_params()
    state = status(params, metrics, _standing(params, metrics.get("label", {})))
    if as_json:
        import msgspec

        say(msgspec.json.format(msgspec.json.encode(state)).decode())
        return
    from boxset.report.terminal import status_text

    console(highlight=False).print(status_text(state), crop=False)


def _standing(params: Params, built: Mapping[str, Any]) -> "Standing":
    from dataclasses import replace

    from boxset.dataset.decisions import read_decisions
    from boxset.files import read_json
    from boxset.labeling.ledger import read_ledger
    from boxset.labeling.plan import Plan
    from boxset.labeling.price import cap_mills
    from boxset.labeling.standing import standing

    plan = read_json(PLAN, Plan) if PLAN.exists() else None
    bought = standing(read_ledger(LEDGER), cap_mills=cap_mills(params.label.budget_usd), planned_from=plan.ledger if plan else None, built=built)
    decisions = read_decisions()
    reviewed = {name: decisions.counted.get(category.id, 0) for name, category in params.categories.items()}
    known = built.get("reviewed", {})
    is_known = plan.decisions == decisions.fingerprint if plan else all(count == known.get(name, 0) for name, count in reviewed.items())
    return replace(bought, reviewed=reviewed, is_review_news=not is_known)

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

    console(highlight=False).print(status_text(state))


def _standing(params: Params, built: Mapping[str, Any]) -> "Standing":
    from boxset.files import read_json
    from boxset.labeling.ledger import read_ledger
    from boxset.labeling.plan import Plan
    from boxset.labeling.price import cap_mills
    from boxset.labeling.standing import standing

    mark = read_json(PLAN, Plan).ledger if PLAN.exists() else None
    return standing(read_ledger(LEDGER), cap_mills=cap_mills(params.label.budget_usd), planned_from=mark, built=built)

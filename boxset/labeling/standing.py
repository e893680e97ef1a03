"""How the ledger stands now: its money, and whether the plan and the last build know of it. Values in, values out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boxset.errors import ProjectError
from boxset.labeling.ledger import Ledger
from boxset.labeling.plan import Plan, bought_metrics
from boxset.labeling.price import usd


@dataclass(frozen=True)
class Standing:
    """What the ledger says now. `is_news`: the last `dvc repro label` did not know it."""

    committed_mills: int
    spent_mills: int
    is_news: bool


def standing(ledger: Ledger, *, planned_from: str | None, built: Mapping[str, Any]) -> Standing:
    """Return how the ledger stands.

    `planned_from` is the mark of the ledger in the plan, None where there is no plan here (a clone without data): then the figures of
    `metrics/label.json` are compared, `built`, which misses corrections that change no figure.
    """
    is_known = planned_from == ledger.fingerprint if planned_from is not None else _figures(built) == _figures(bought_metrics(ledger))
    return Standing(ledger.committed_mills, ledger.spent_mills, not is_known)


def _figures(metrics: Mapping[str, Any]) -> tuple[Any, ...]:
    images, cost = metrics.get("images", {}), metrics.get("cost_usd", {})
    return images.get("asked", 0), images.get("labelled", 0), cost.get("spent", 0), cost.get("committed", 0)


def check_is_current(plan: Plan, ledger: Ledger) -> None:
    """Raise ProjectError where a plan was made from another ledger than this."""
    if plan.ledger != ledger.fingerprint:
        what = f"nothing bought: the plan is older than the ledger, which stands at {usd(ledger.committed_mills)} USD spent or reserved"
        raise ProjectError(what, do="`dvc repro label` makes a new plan")

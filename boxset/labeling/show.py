"""The plan and the jobs as tables for the terminal."""

from rich.table import Table

from boxset.labeling.labeler import Progress
from boxset.labeling.ledger import Ledger
from boxset.labeling.plan import Plan, near_frozen_words, waits_for_review
from boxset.labeling.price import cap_mills, usd
from boxset.labeling.standing import faults
from boxset.terminal import console


def plan_table(plan: Plan) -> None:
    """Print a plan."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("category", "target", "have", "buy pictures", "boxes expected", "USD", "pictures left"):
        table.add_column(name, justify="left" if name == "category" else "right")
    for row in plan.rows:
        cost = usd(row.pictures * plan.per_picture_mills)
        table.add_row(
            row.category, *(f"{n:,}" for n in (row.target, row.have, row.pictures, row.expected)), cost, f"{row.candidates - row.pictures:,}"
        )
    terminal = console()
    terminal.print(table)
    people = "1 worker" if plan.workers == 1 else f"{plan.workers} workers"
    terminal.print(
        f"{len(plan.items):,} pictures, {people} each, {usd(plan.per_picture_mills)} USD a picture: {usd(plan.cost_mills)} USD at the most",
        highlight=False,
    )
    terminal.print(
        f"budget {usd(plan.budget_mills)}, spent or reserved {usd(plan.committed_mills)}. It stops because {plan.stops_at}.", highlight=False
    )
    if isinstance(plan.predictions, str):
        terminal.print(plan.predictions, highlight=False, soft_wrap=True, markup=False)
    for sentence in [*near_frozen_words(plan.frozen, plan.near_frozen), *waits_for_review(plan.review, {row.category: row.waiting for row in plan.rows})]:
        terminal.print(sentence, highlight=False)
    if plan.old_pictures:
        terminal.print(f"not included: asking {plan.old_pictures:,} old pictures about newer categories, {usd(plan.old_mills)} USD", highlight=False)


def status_table(ledger: Ledger, progress: dict[str, Progress], *, budget_usd: float) -> None:
    """Print every job, and what was bought amiss."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "state", "pictures", "labelled", "failed", "unanswered", "empty", "boxes", "USD"):
        table.add_column(name, justify="left" if name in ("job", "state") else "right", overflow="fold")
    for job in ledger.jobs.values():
        labelled = [answer for answer in job.answers.values() if answer.state == "labelled"]
        at = progress.get(job.name)
        state = job.closed.state if job.closed else at.state if at else "reserved"
        empty = sum(not answer.boxes for answer in labelled)
        boxes = sum(len(answer.boxes) for answer in labelled)
        failed = len(job.answers) - len(labelled)
        table.add_row(job.name, state, *(f"{n:,}" for n in (len(job.asked), len(labelled), failed, len(job.asked) - len(job.answers), empty, boxes)), usd(job.committed_mills))
    terminal = console()
    terminal.print(table)
    terminal.print(f"{usd(ledger.committed_mills)} USD spent or reserved of {budget_usd:,.2f}", highlight=False)
    for fault in faults(ledger, cap_mills=cap_mills(budget_usd)):
        terminal.print(fault, style="yellow", highlight=False, soft_wrap=True, markup=False)

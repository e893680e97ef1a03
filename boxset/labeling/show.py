"""The plan and the jobs as tables for the terminal."""

from collections.abc import Iterator, Sequence

import msgspec
from rich.table import Table

from boxset.labeling.costs import Cost
from boxset.labeling.labeler import Progress
from boxset.labeling.ledger import Job, Ledger
from boxset.labeling.plan import Plan, near_frozen_words, waits_for_review
from boxset.labeling.price import cap_mills, usd
from boxset.labeling.standing import faults
from boxset.terminal import console

WIDEST = 300  # columns of a table


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


def costs_table(title: str, rows: Sequence[Cost]) -> None:
    """Print what was spent under each heading; the last row is the sum."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (title, "pictures", "boxes drawn", "USD", "without a box", "USD a box"):
        table.add_column(name, justify="left" if name == title else "right", no_wrap=True)
    for row in rows:
        each = "–" if row.usd_per_box is None else f"{float(row.usd_per_box):,.3f}"
        table.add_row(row.name, f"{row.pictures:,}", f"{row.boxes:,}", f"{float(row.usd):,.2f}", f"{float(row.usd_without_box):,.2f}", each)
    terminal = console()
    terminal.width = max(terminal.width, terminal.measure(table, options=terminal.options.update(width=WIDEST)).maximum)
    terminal.print(table)


def costs_json(rows: Sequence[Cost]) -> str:
    """Return the same as JSON, money to a hundredth of a cent."""
    found = [
        {
            "name": row.name,
            "pictures": row.pictures,
            "boxes": row.boxes,
            "usd": round(float(row.usd), 4),
            "usd_without_box": round(float(row.usd_without_box), 4),
            "usd_per_box": None if row.usd_per_box is None else round(float(row.usd_per_box), 4),
        }
        for row in rows
    ]
    return msgspec.json.format(msgspec.json.encode(found)).decode()


def status_table(ledger: Ledger, progress: dict[str, Progress], *, budget_usd: float) -> None:
    """Print every job, and what was bought amiss."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "state", "pictures", "labelled", "failed", "unanswered", "empty", "boxes", "USD"):
        table.add_column(name, justify="left" if name in ("job", "state") else "right", no_wrap=True)
    for job in ledger.jobs.values():
        labelled = [answer for answer in job.answers.values() if answer.state == "labelled"]
        state = _state(job, progress)
        empty = sum(not answer.boxes for answer in labelled)
        boxes = sum(len(answer.boxes) for answer in labelled)
        failed = len(job.answers) - len(labelled)
        table.add_row(job.name, state, *(f"{n:,}" for n in (len(job.asked), len(labelled), failed, len(job.asked) - len(job.answers), empty, boxes)), usd(job.committed_mills))
    terminal = console()
    terminal.width = max(terminal.width, terminal.measure(table, options=terminal.options.update(width=WIDEST)).maximum)  # a name that is cut cannot be copied into a command
    terminal.print(table)
    terminal.print(f"{usd(ledger.committed_mills)} USD spent or reserved of {budget_usd:,.2f}", highlight=False)
    for hint in _left_lying(ledger, progress):
        terminal.print(hint, highlight=False, soft_wrap=True, markup=False)
    for fault in faults(ledger, cap_mills=cap_mills(budget_usd)):
        terminal.print(fault, style="yellow", highlight=False, soft_wrap=True, markup=False)


def _state(job: Job, progress: dict[str, Progress]) -> str:
    """Return a job's state in a word: as the ledger closed it, as the service has it, or what it means that the service does not know it."""
    if job.closed:
        return job.closed.state
    at = progress.get(job.name)
    if at and at.state != "unknown":
        return at.state
    return "elsewhere" if job.is_sent else "reserved"


def _left_lying(ledger: Ledger, progress: dict[str, Progress]) -> Iterator[str]:
    """Say what becomes of jobs that were never sent, and of those that the service does not know."""
    for name, job in ledger.jobs.items():
        give_up, state = f"`boxset label cancel {name}`", _state(job, progress)
        if state == "reserved":
            yield f"{name} is reserved and was never sent: `boxset label submit --yes` sends it, {give_up} gives it up"
        if state == "elsewhere":
            do = f"collect it in the clone or with the settings that bought it, or give it up with {give_up}"
            yield f"{name} was sent with labeler.backend: {job.reserved.backend}, which does not know it here: {do}"


def stopped_lines(ledger: Ledger, stopped: Sequence[str]) -> list[str]:
    """Say what a `cancel` of these jobs came to. `ledger`: as it is afterwards."""
    open_ = [name for name, job in ledger.jobs.items() if job.closed is None]
    if stopped:
        return [f"stopping  {name}: the service has been told; `boxset label collect` closes it" if name in open_ else f"stopped  {name}" for name in stopped]
    if not open_:
        return ["nothing to stop: no job is open"]
    return [f"nothing was stopped: the service does not know {', '.join(open_)}. By name they can be given up: `boxset label cancel {' '.join(open_)}`"]

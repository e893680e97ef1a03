"""The plan, the jobs, what they cost, how well their people agree, and what is claimed: as tables for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from boxset.labeling import gold
from boxset.labeling.agreement import Off, Quality, Tally, quality
from boxset.labeling.claims import Ticket
from boxset.labeling.costs import Cost
from boxset.labeling.labeler import Progress
from boxset.labeling.ledger import Job, Ledger
from boxset.labeling.measure import Measure, interval, known_boxes, measured
from boxset.labeling.plan import Plan, expected_words, near_frozen_words, waits_for_review, without_limit
from boxset.labeling.price import cap_mills
from boxset.labeling.standing import faults
from boxset.terminal import console, print_whole
from boxset.wording import counted, dollars, moment, money, noun


def plan_table(plan: Plan) -> None:
    """Print a plan."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("category", "target", "have", "buy pictures", "boxes expected", "cost", "per useful box", "pictures left"):
        table.add_column(name, justify="left" if name == "category" else "right")
    for row in plan.rows:
        numbers = (f"{n:,}" for n in (row.target, row.have, row.pictures))
        price = "" if row.useful_box_mills is None else dollars(row.useful_box_mills, to_the_mill=True)
        cost = dollars(row.pictures * plan.per_picture_mills)
        table.add_row(row.category, *numbers, expected_words(row.expected, row.interval), cost, price, f"{row.candidates - row.pictures:,}")
    terminal = console()
    print_whole(terminal, table)
    terminal.print(
        f"{counted(len(plan.items), 'picture')}, {counted(plan.workers, 'worker')} each, {dollars(plan.per_picture_mills, to_the_mill=True)} a picture: "
        f"{dollars(plan.cost_mills)} at the most",
        highlight=False,
        soft_wrap=True,
    )
    for sentence in gold.words(plan.known) if isinstance(plan.known, gold.Share) else ():
        terminal.print(sentence, highlight=False, soft_wrap=True)
    terminal.print(
        f"budget {dollars(plan.budget_mills)}, spent or reserved {dollars(plan.committed_mills)}. It stops because {plan.stops_at}.",
        highlight=False,
        soft_wrap=True,
    )
    for sentence in [*without_limit(plan.to_targets_pictures, plan.to_targets_mills, plan.to_targets_stops_at, planned=len(plan.items)), *_worth(plan)]:
        terminal.print(sentence, highlight=False, soft_wrap=True)
    if isinstance(plan.predictions, str):
        terminal.print(plan.predictions, highlight=False, soft_wrap=True, markup=False)
    for sentence in [*near_frozen_words(plan.frozen, plan.near_frozen), *waits_for_review(plan.review, {row.category: row.waiting for row in plan.rows})]:
        terminal.print(sentence, highlight=False, soft_wrap=True)
    if plan.old_pictures:
        asking = f"asking {counted(plan.old_pictures, 'old picture')} about {', '.join(plan.old_categories)}, {dollars(plan.old_mills)}"
        terminal.print(f"not included: {asking}", highlight=False, soft_wrap=True)


def _worth(plan: Plan) -> Iterator[str]:
    """Say what a box costs that counts, how sure what is expected is, and where it is a guess."""
    if plan.useful_box_mills is not None:
        yield f"A useful box, one that a target misses, costs {dollars(plan.useful_box_mills, to_the_mill=True)}. The ranges hold with a chance of 80 %."
    guesses = [row.category for row in plan.rows if row.interval and row.interval[1] and not row.learned_from]
    if guesses:
        yield f"What is expected is a guess for {', '.join(guesses)}: no answer yet on pictures like these, and it may be off by more than the range."


def costs_table(title: str, rows: Sequence[Cost]) -> None:
    """Print what was spent under each heading; the last row is the sum."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (title, "pictures", "boxes drawn", "cost", "without a box", "a box"):
        table.add_column(name, justify="left" if name == title else "right", no_wrap=True)
    for row in rows:
        each = "–" if row.usd_per_box is None else money(row.usd_per_box, to_the_mill=True)
        table.add_row(row.name, f"{row.pictures:,}", f"{row.boxes:,}", money(row.usd), money(row.usd_without_box), each)
    print_whole(console(), table)


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


def status_table(ledger: Ledger, progress: dict[str, Progress], *, budget_usd: float, known: Mapping[str, gold.Known] | None = None) -> None:
    """Print every job, how well its people agree and draw (`known`: pictures whose boxes are known), and what was bought amiss."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "state", "pictures", "labelled", "failed", "unanswered", "empty", "boxes", "cost"):
        table.add_column(name, justify="left" if name in ("job", "state") else "right", no_wrap=True)
    for job in ledger.jobs.values():
        labelled = [answer for answer in job.answers.values() if answer.state == "labelled"]
        state = _state(job, progress)
        empty = sum(not answer.boxes for answer in labelled)
        boxes = sum(len(answer.boxes) for answer in labelled)
        failed = len(job.answers) - len(labelled)
        table.add_row(job.name, state, *(f"{n:,}" for n in (len(job.asked), len(labelled), failed, len(job.asked) - len(job.answers), empty, boxes)), dollars(job.committed_mills))
    terminal = console()
    print_whole(terminal, table)
    terminal.print(f"{dollars(ledger.committed_mills)} spent or reserved of {dollars(cap_mills(budget_usd))}", highlight=False)
    _print_quality(terminal, quality(ledger))
    _print_measure(terminal, measured(ledger, known or {}))
    for name, at in progress.items():
        if at.detail:
            terminal.print(f"{name} ({at.state}): {at.detail}", highlight=False, soft_wrap=True, markup=False)
    for hint in _left_lying(ledger, progress):
        terminal.print(hint, highlight=False, soft_wrap=True, markup=False)
    for fault in faults(ledger, cap_mills=cap_mills(budget_usd)):
        terminal.print(fault, style="yellow", highlight=False, soft_wrap=True, markup=False)


def claims_table(tickets: Sequence[Ticket]) -> None:
    """Print what is claimed for jobs that the ledger does not know as sent or over."""
    terminal = console()
    if not tickets:
        terminal.print("nothing is claimed but what the ledger knows", highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "state", "by", "at", "service", "pictures", "cost"):
        table.add_column(name, justify="right" if name in ("pictures", "cost") else "left", no_wrap=True)
    for one in tickets:
        cost = dollars(one.worst_mills) if one.worst_mills else "?"
        table.add_row(*map(Text, (one.job, one.state, one.who or "?", moment(one.at) or "?", one.service or "?", f"{one.pictures:,}", cost)))
    print_whole(terminal, table)
    if any(one.state == "releasing" for one in tickets):
        terminal.print("releasing: somebody began to release it and did not end; release it once more", highlight=False, soft_wrap=True)


def _print_quality(terminal: Any, found: Quality) -> None:
    """Print how well people agree where several drew in the same pictures, and name those who are clearly off."""
    if not found.jobs:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "people", "drawn by several", "mean IoU", "boxes", "drawn by one alone"):
        table.add_column(name, justify="left" if name == "job" else "right", no_wrap=True)
    for name, one in found.jobs.items():
        overlap = f"{one.mean_overlap:.2f}" if one.alone < one.boxes else ""
        table.add_row(name, f"{one.people:,}", f"{one.pictures:,}", overlap, f"{one.boxes:,}", f"{one.alone:,}{_share(one.alone, one.boxes)}")
    terminal.print()
    print_whole(terminal, table)
    for off in found.off:
        terminal.print(off_words(off), style="yellow", highlight=False, soft_wrap=True, markup=False)


def _print_measure(terminal: Any, found: Measure) -> None:
    """Print how well people draw in pictures whose boxes are known, and name those who are clearly worse than the others."""
    if not found.total.pictures:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("known pictures", "pictures", "found", "not there", "mean IoU"):
        table.add_column(name, justify="left" if name == "known pictures" else "right", no_wrap=True)
    parts = (("", found.categories), ("", found.jobs if len(found.jobs) > 1 else {}), ("worker ", found.people))
    for name, tally in [("all", found.total), *((f"{what}{name}", tally) for what, some in parts for name, tally in some.items())]:
        table.add_row(name, f"{tally.pictures:,}", _of(tally.together, known_boxes(tally)), _of(tally.alone, tally.boxes), f"{tally.mean_overlap:.2f}" if tally.together else "")
    terminal.print()
    print_whole(terminal, table)
    for off in found.off:
        terminal.print(worse_words(off), style="yellow", highlight=False, soft_wrap=True, markup=False)


def _of(some: int, of: int) -> str:
    """Say a share with its 95 % interval, and of how many it is."""
    low, high = interval(some, of)
    return f"{some:,} of {of:,}, {some / of:.0%} ({100 * low:.0f}–{high:.0%})" if of else ""


def worse_words(off: Off) -> str:
    """Say of a person who is clearly worse than the others at known pictures by what, with the counts behind it."""
    own, others = off.own, off.others
    missed = f"{own.missed:,} of {counted(known_boxes(own), 'known box')} {noun(own.missed, 'is', 'are')} missing"
    extra = f"{own.alone:,} of their {counted(own.boxes, 'box')} {noun(own.alone, 'is', 'are')} not there"
    apart = f"{missed}, and {extra} ({_off(own)}, of the others' {_off(others)})"
    loose = f"the mean IoU of their boxes with the known ones is {own.mean_overlap:.2f} over {own.together:,} things ({others.mean_overlap:.2f} of the others')"
    return f"worker {off.worker} is off in {counted(own.pictures, 'known picture')}: {_how(off, apart, loose)}"


def off_words(off: Off) -> str:
    """Say of a person who is off by what, with the counts behind it."""
    own, others = off.own, off.others
    alone = f"{own.alone:,} of their {counted(own.boxes, 'box')} nobody else drew"
    missed = f"{counted(own.missed, 'thing is', 'things are')} missing that most others drew"
    apart = f"{alone}, and {missed} ({_off(own)}, of the others' {_off(others)})"
    loose = f"the mean IoU of their boxes with the others' is {own.mean_overlap:.2f} over {own.together:,} things ({others.mean_overlap:.2f} among the others)"
    return f"worker {off.worker} is off from the others, in {counted(own.pictures, 'picture')}: {_how(off, apart, loose)}"


def _how(off: Off, apart: str, loose: str) -> str:
    """Say in which way somebody is off, of the two that there are."""
    return "; ".join([*([apart] if off.is_apart else []), *([loose] if off.is_loose else [])])


def _off(tally: Tally) -> str:
    return f"{tally.off:,} of {tally.of:,}{_share(tally.off, tally.of)}"


def _share(some: int, of: int) -> str:
    return f", {some / of:.0%}" if of else ""


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


def open_lines(ledger: Ledger, names: Sequence[str]) -> list[str]:
    """Return a line for each open job, or for those named: how much of it is answered."""
    jobs = [job for job in ledger.jobs.values() if job.closed is None and (not names or job.name in names)]
    return [f"{job.name}: {len(job.answers):,} of {counted(len(job.asked), 'picture')} answered" for job in jobs]


def stopped_lines(ledger: Ledger, stopped: Sequence[str]) -> list[str]:
    """Say what a `cancel` of these jobs came to. `ledger`: as it is afterwards."""
    open_ = [name for name, job in ledger.jobs.items() if job.closed is None]
    if stopped:
        return [f"stopping  {name}: the service has been told; `boxset label collect` closes it" if name in open_ else f"stopped  {name}" for name in stopped]
    if not open_:
        return ["nothing to stop: no job is open"]
    return [f"nothing was stopped: the service does not know {', '.join(open_)}. By name they can be given up: `boxset label cancel {' '.join(open_)}`"]

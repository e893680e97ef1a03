"""Buying a plan and taking the answers in: reserve first, send then, write down what came; every step may be killed and run again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from boxset.errors import BudgetError, ProjectError
from boxset.files import sha256_of
from boxset.labeling.claims import Claims
from boxset.labeling.labeler import Labeler, Progress
from boxset.labeling.ledger import ANSWERS, PURCHASES, Asked, Closed, Event, Job, Ledger, Reserved, Sent, append, read_ledger
from boxset.labeling.plan import Item, Plan
from boxset.labeling.price import mills, per_picture_mills, usd
from boxset.params import Params

PREFIX_LENGTH = 24


@dataclass(frozen=True)
class Shop:
    """Where things are bought: the project's ledger, its parameters, the service, and the pictures' files."""

    ledger: Path
    params: Params
    labeler: Labeler
    picture: Callable[[str], Path]  # file name → path
    claims: Claims | None = None

    @property
    def prefix(self) -> str:
        """What the names of this project's jobs begin with."""
        name = "".join(c if c.isalnum() else "-" for c in self.params.project.name).strip("-")[:PREFIX_LENGTH].strip("-") or "boxset"
        return f"{name}-"


@dataclass(frozen=True)
class Bought:
    """What a submit did: jobs that were sent now, pictures and worst-case cost of the new ones, and what is left to say."""

    sent: tuple[str, ...]
    pictures: int
    worst_mills: int
    says: str


def submit(shop: Shop, plan: Plan, *, trial: bool = True, max_mills: int | None = None) -> Bought:
    """Buy the plan. First finishes what an earlier, killed submit reserved and did not send; a plan older than the ledger is refused.

    Raises BudgetError where the worst case would pass the cap, ProjectError where the ledger and the service disagree.
    """
    if shop.params.label.budget_usd <= 0:
        raise BudgetError("label.budget_usd is 0: nobody is contacted", where="params.yaml", do="Set a cap in USD")
    shop.labeler.check()
    ledger = read_ledger(shop.ledger)
    _check_witness(shop, ledger)
    resumed = tuple(_send(shop, job.reserved, job.asked) for job in ledger.jobs.values() if not job.is_sent and job.closed is None)
    if resumed:
        return Bought(resumed, 0, 0, "finished what an interrupted submit had reserved; `dvc repro label` makes the next plan")
    if plan.ledger != ledger.fingerprint:
        return Bought((), 0, 0, "nothing bought: the plan is older than the ledger. `dvc repro label` makes a new one")
    items, is_trial, says = _due(shop, plan, ledger, trial=trial)
    items = items[: max_mills // plan.per_picture_mills] if max_mills is not None and plan.per_picture_mills else items
    if not items:
        return Bought((), 0, 0, says or "nothing to buy")
    reserved, asked = _reservation(shop, plan, items, trial=is_trial)
    _check_budget(shop, ledger, reserved)
    if shop.claims is not None:
        shop.claims.take(reserved, asked)
    append(shop.ledger, PURCHASES, [reserved, *asked])
    return Bought((_send(shop, reserved, asked),), len(asked), reserved.worst_mills, says)


def _check_witness(shop: Shop, ledger: Ledger) -> None:
    unknown = sorted({name for name in shop.labeler.jobs(shop.prefix) if name.lower() not in {known.lower() for known in ledger.jobs}})
    if unknown:
        do = "A colleague's purchase that is not in your git: `git pull`. Otherwise restore ledger/ from git's history"
        raise ProjectError(f"the service has a job {unknown[0]} that the ledger does not know", where="ledger", do=do)


def _due(shop: Shop, plan: Plan, ledger: Ledger, *, trial: bool) -> tuple[Sequence[Item], bool, str]:
    """Return what is to be bought now: a trial first; the rest only once a trial of these instructions has been answered."""
    size = shop.params.labeler.trial
    if not trial or not size or len(plan.items) <= size:
        return plan.items, False, ""
    trials = [job for job in ledger.jobs.values() if job.reserved.trial and job.reserved.version == plan.version]
    if not trials:
        return plan.items[:size], True, f"a trial of {size}; look at its answers, then submit again for the other {len(plan.items) - size}"
    if not any(answer.state == "labelled" for job in trials for answer in job.answers.values()):
        return (), False, "nothing bought: the trial is not answered yet. `boxset label collect` takes answers in"
    return plan.items, False, ""


def _reservation(shop: Shop, plan: Plan, items: Sequence[Item], *, trial: bool) -> tuple[Reserved, tuple[Asked, ...]]:
    categories = {row.category: row.id for row in plan.rows}
    asked = tuple(
        Asked(job="", sha256=i.sha256, file_name=i.file_name, width=i.width, height=i.height, phash=i.phash, grid=i.grid, found_for=i.found_for)
        for i in items
    )
    content = "\n".join([*sorted(a.sha256 for a in asked), *map(str, categories.values()), str(plan.version)])
    name = f"{shop.prefix}{sha256_of(content.encode())[:16]}"
    reserved = Reserved(
        job=name,
        backend=shop.params.labeler.backend,
        version=plan.version,
        categories=categories,
        pictures=len(asked),
        worst_mills=len(asked) * per_picture_mills(shop.params.label),
        trial=trial,
    )
    return reserved, tuple(_named(a, name) for a in asked)


def _named(asked: Asked, job: str) -> Asked:
    import msgspec

    return msgspec.structs.replace(asked, job=job)


def _check_budget(shop: Shop, ledger: Ledger, reserved: Reserved) -> None:
    cap = mills(shop.params.label.budget_usd)
    if ledger.committed_mills + reserved.worst_mills > cap:
        what = f"{usd(reserved.worst_mills)} USD on top of {usd(ledger.committed_mills)} would pass the cap of {usd(cap)}"
        raise BudgetError(what, where="label.budget_usd", do="Raise the cap, or `dvc repro label` for a plan that fits")


def _send(shop: Shop, reserved: Reserved, asked: Sequence[Asked]) -> str:
    pictures = {item.sha256: shop.picture(item.file_name) for item in asked}
    missing = next((item.file_name for item in asked if not pictures[item.sha256].is_file()), "")
    if missing:
        raise ProjectError("the picture is not here", where=missing, do="`dvc pull data/crawl`, then submit again: the reservation stands")
    shop.labeler.send(reserved, asked, pictures)
    append(shop.ledger, PURCHASES, [Sent(job=reserved.job)])
    return reserved.job


def collect(shop: Shop) -> dict[str, Progress]:
    """Take in what has been answered; close jobs that are over. Running it again takes in nothing twice."""
    ledger = read_ledger(shop.ledger)
    found = {}
    for job in ledger.jobs.values():
        if job.closed is None and job.is_sent:
            found[job.name] = progress = shop.labeler.progress(job)
            fresh = [a for a in shop.labeler.answers(job) if job.answers.get(a.sha256) != a] if progress.state != "unknown" else []
            if fresh:
                append(shop.ledger, ANSWERS, fresh)
            _close(shop, job, progress)
    return found


def _close(shop: Shop, job: Job, progress: Progress) -> None:
    if progress.state in ("completed", "stopped", "failed"):
        events: list[Event] = [Closed(job=job.name, state=progress.state, cost_mills=_cost(job, progress))]  # type: ignore[arg-type]
        append(shop.ledger, PURCHASES, events)


def _cost(job: Job, progress: Progress) -> int:
    """Return what a job has cost: every picture that people touched; failed ones may be billed, so they count. A stopped job pays for what was done."""
    each = job.reserved.worst_mills // job.reserved.pictures if job.reserved.pictures else 0
    touched = job.reserved.pictures if progress.state == "completed" else min(job.reserved.pictures, progress.done + progress.failed)
    return each * touched


def status(shop: Shop) -> dict[str, Progress]:
    """Return how far every open job is."""
    ledger = read_ledger(shop.ledger)
    return {job.name: shop.labeler.progress(job) for job in ledger.jobs.values() if job.closed is None}


def cancel(shop: Shop) -> list[str]:
    """Stop every open job, then take in what was answered."""
    ledger = read_ledger(shop.ledger)
    stopped = [job for job in ledger.jobs.values() if job.closed is None and job.is_sent]
    for job in stopped:
        shop.labeler.cancel(job)
    collect(shop)
    collect(shop)
    return [job.name for job in stopped]

"""Buying a plan and taking the answers in: reserve first, send then, write down what came; every step may be killed and run again."""

import re
from collections.abc import Callable, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TypeVar

import msgspec

from boxset.dataset.records import PEOPLE, remembered
from boxset.errors import BudgetError, ProjectError
from boxset.files import read_json, sha256_of, write_json
from boxset.labeling.asked import as_picture, bought, ids_asked, times_asked
from boxset.labeling.claims import Claims
from boxset.labeling.labeler import Labeler, Progress
from boxset.labeling.ledger import (
    ANSWERS,
    DRAWINGS,
    PURCHASES,
    Answered,
    Asked,
    Closed,
    Drawing,
    Job,
    Ledger,
    Reserved,
    Sent,
    append,
    read_ledger,
    whole_lines,
)
from boxset.labeling.plan import Item, Plan
from boxset.labeling.price import cap_mills, mills, per_picture_mills
from boxset.labeling.received import Received, Refusal
from boxset.labeling.standing import check_is_current, check_is_of, over_cap
from boxset.params import Label, Params
from boxset.wording import counted, dollars

E = TypeVar("E", Answered, Drawing)
PREFIX_LENGTH = 24
DIGITS = 16  # of a job's name, behind the project's
OVER = ("completed", "stopped", "failed")


@dataclass(frozen=True)
class Upstream:
    """A branch that this clone follows, as last fetched: its name, the lines of its ledger, and how many of its decisions this clone has not."""

    name: str
    lines: frozenset[bytes]
    unseen: int = 0
    take: str = "git pull"  # the command that brings what it has
    is_merged: bool = False  # this clone has had all of it: what is missing was lost since


@dataclass(frozen=True)
class Shop:
    """Where things are bought: the project's ledger, its parameters, the service, and the pictures' files."""

    ledger: Path
    params: Params
    labeler: Labeler
    picture: Callable[[str], Path]  # file name → path
    claims: Claims | None = None
    upstreams: tuple[Upstream, ...] = ()
    decisions: str | None = None  # a mark of what was decided in `boxset review`; None: not looked at
    mark: str = ""  # of this purchase alone; names its job where a service is no witness
    at: str = ""  # when, for the accounts

    @property
    def own(self) -> Path:
        """Where this clone notes the last job that it has reserved itself; not in git."""
        return self.ledger.parent / ".boxset/reserved.json"

    @property
    def prefix(self) -> str:
        """What the names of this project's jobs begin with."""
        name = "".join(c if c.isalnum() else "-" for c in self.params.project.name).strip("-")[:PREFIX_LENGTH].strip("-") or "boxset"
        return f"{name}-"

    def is_own(self, job: str) -> bool:
        """Return whether a job has a name as this project gives them, in whatever case."""
        return re.fullmatch(f"{re.escape(self.prefix)}[0-9a-f]{{{DIGITS}}}", job, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Bought:
    """What a submit did: jobs that were sent now, pictures and worst-case cost of the new ones, and what is left to say."""

    sent: tuple[str, ...]
    pictures: int
    worst_mills: int
    says: str


def submit(shop: Shop, plan: Plan, *, trial: bool = True, max_mills: int | None = None) -> Bought:
    """Buy the plan. First finishes what an earlier, killed submit reserved and did not send.

    Raises BudgetError where the cap is passed or would be in the worst case, ProjectError where the ledger and the service disagree, the
    upstream branch has purchases or decisions that this clone has not, or the plan is older than the ledger, the decisions or params.yaml.
    """
    if shop.params.label.budget_usd <= 0:
        raise BudgetError("label.budget_usd is 0: nobody is contacted", where="params.yaml", do="Set a cap in USD")
    ledger = read_ledger(shop.ledger)
    _check_under_cap(shop, ledger)
    check_upstream(shop)
    shop.labeler.check()
    _take_back(shop, ledger, {name.lower() for name in _check_witness(shop, ledger)})
    if shop.claims is not None:
        shop.claims.give_back_leftover(ledger.jobs)
    own, others = _reserved(shop, ledger)
    _check_reserved(shop, own, max_mills)
    resumed = tuple(_send(shop, job.reserved, job.asked) for job in own)
    if resumed:
        return Bought(resumed, 0, 0, _lines_of("finished what an interrupted submit had reserved; `dvc repro label` makes the next plan", *others))
    check_is_current(plan, ledger, shop.decisions)
    check_is_of(plan, shop.params)
    most = max_mills // plan.per_picture_mills if max_mills is not None and plan.per_picture_mills else len(plan.items)
    items, is_trial, says = _due(shop, plan, ledger, trial=trial, most=most)
    if not items:
        says = says or (f"nothing bought: a picture costs {dollars(plan.per_picture_mills, to_the_mill=True)}" if plan.items else "nothing to buy")
        return Bought((), 0, 0, _lines_of(says, *others))
    reserved, asked = _reservation(shop, plan, ledger, items, trial=is_trial)
    _check_budget(shop, ledger, reserved)
    with shop.claims.held(reserved, asked) if shop.claims is not None else nullcontext():
        write_json(shop.own, reserved.job)
        append(shop.ledger, PURCHASES, [reserved, *asked])
    return Bought((_send(shop, reserved, asked),), len(asked), reserved.worst_mills, _lines_of(says, *others))


def _lines_of(*texts: str) -> str:
    return "\n".join(filter(None, texts))


def _check_under_cap(shop: Shop, ledger: Ledger) -> None:
    passed = over_cap(ledger, cap_mills=cap_mills(shop.params.label.budget_usd))
    if passed:
        raise BudgetError(passed, do="Stop an open job with `boxset label cancel JOB`, or raise the cap")


def check_upstream(shop: Shop) -> None:
    """Raise ProjectError where a branch that this clone follows has purchases, answers or decisions that this clone has not."""
    here = frozenset[bytes]().union(*(whole_lines(path.read_bytes()) for path in sorted(shop.ledger.glob("*.jsonl"))))
    for upstream in shop.upstreams:
        missing = len(upstream.lines - here)
        if missing:
            what = f"{upstream.name} has {counted(missing, 'line')} that this clone's ledger has not: a colleague's purchases or answers"
            raise ProjectError(what, where="ledger", do=_take_in_from(upstream, "ledger"))
        if upstream.unseen:
            what = f"{upstream.name} has {counted(upstream.unseen, 'decision')} of `boxset review` that this clone has not: what is bought may be sorted out"
            raise ProjectError(what, where="decisions", do=_take_in_from(upstream, "decisions"))


def _take_in_from(upstream: Upstream, folder: str) -> str:
    if upstream.is_merged:
        return f"`git diff {upstream.name} -- {folder}` shows them: they were here and are lost; put them back, or push what you took out"
    return f"`{upstream.take}`, `dvc repro label`, and submit the new plan"


def _check_witness(shop: Shop, ledger: Ledger) -> list[str]:
    """Return the names of all jobs that the service has. Raises ProjectError where the ledger does not know one of this project that it, or the team's bucket, has."""
    known = {name.lower() for name in ledger.jobs}
    there = shop.labeler.jobs(shop.prefix)
    unknown = sorted({name for name in there if shop.is_own(name) and name.lower() not in known})
    told = [] if unknown or shop.claims is None else sorted(filter(shop.is_own, shop.claims.sent_jobs(ledger.jobs)))
    if unknown or told:
        who, name = ("the service", unknown[0]) if unknown else ("project.bucket", told[0])
        branch = f"one of another branch (`git log --all -S {name} -- ledger` finds it): merge that"
        do = f"A colleague's purchase: `git pull`; {branch}. If their machine is lost, `boxset label adopt {name}` takes it into the ledger"
        raise ProjectError(f"{who} has a job {name} that the ledger does not know", where="ledger", do=do)
    return there


def _take_back(shop: Shop, ledger: Ledger, there: Set[str]) -> None:
    """Write down as sent what was given up here and another clone has sent all the same. Raises ProjectError where there was such a job."""
    given_up = [job for job in ledger.jobs.values() if job.is_withdrawn and job.name.lower() in there]
    sent = [job.name for job in given_up if shop.labeler.progress(job).state != "unknown"]
    if sent:
        append(shop.ledger, PURCHASES, [Sent(job=name) for name in sent])
        raise _sent_elsewhere(sent[0], "`dvc repro label` makes a plan without its pictures, `boxset label collect` takes its answers in")


def _sent_elsewhere(job: str, do: str) -> ProjectError:
    return ProjectError("another clone has sent this job, or was about to: it counts as sent here from now on", where=job, do=do)


def _reserved(shop: Shop, ledger: Ledger) -> tuple[list[Job], list[str]]:
    """Return the jobs that are reserved and not sent yet, and in words those that are another service's or clone's: their money and pictures stay theirs."""
    waiting = [job for job in ledger.jobs.values() if not job.is_sent and job.closed is None]
    own = [job for job in waiting if job.reserved.backend == shop.params.labeler.backend and _is_ours(shop, job.name)]
    return own, [_of_another(job, shop.params.labeler.backend) for job in waiting if job not in own]


def _is_ours(shop: Shop, job: str) -> bool:
    """Return whether this clone may send a reservation: folders of two clones are no witness of what both send, so there only the one that made it may."""
    return shop.labeler.is_shared or shop.claims is not None or is_there(shop, job) or (shop.own.exists() and read_json(shop.own, str) == job)


def _of_another(job: Job, current: str) -> str:
    backend, what = job.reserved.backend, f"{counted(len(job.asked), 'picture')}, {dollars(job.reserved.worst_mills)}"
    if backend == current:
        return f"job {job.name} of {backend} ({what}) was reserved in another clone, and is sent there; `boxset label cancel {job.name}` gives it up"
    do = f"`boxset label submit --yes` sends it and `boxset label cancel {job.name}` gives it up"
    return f"job {job.name} of {backend} ({what}) is reserved and was never sent: with labeler.backend: {backend}, {do}"


def _check_reserved(shop: Shop, jobs: Sequence[Job], max_mills: int | None) -> None:
    """Check that what is reserved and not sent yet is still what it was reserved as (the service is told today's workers and pay), and costs no more than may be spent now."""
    for job in jobs:
        _check_terms(shop.params.label, job)
    total, names = sum(job.reserved.worst_mills for job in jobs), [job.name for job in jobs]
    if max_mills is not None and total > max_mills:
        what = f"{dollars(total, to_the_mill=True)} is reserved for {', '.join(names)} and not sent yet, more than {dollars(max_mills, to_the_mill=True)}"
        do = f"Send them by a submit without --max-usd, or give them up with `boxset label cancel {' '.join(names)}`"
        raise BudgetError(what, where="--max-usd", do=do)


def _check_terms(label: Label, job: Job) -> None:
    """Raise BudgetError where a job that is not sent yet would cost more than is reserved, or go to other workers or at another pay than its end counts with."""
    price, pay = per_picture_mills(label), mills(label.price.usd_per_task)
    was = now = ""
    if price * len(job.asked) > job.reserved.worst_mills:
        was, now = (f"at {dollars(one, to_the_mill=True)} a picture" for one in (job.reserved.worst_mills // max(1, len(job.asked)), price))
    elif job.reserved.workers and (job.reserved.workers, job.reserved.worker_mills) != (label.workers, pay):
        terms = (job.reserved.workers, job.reserved.worker_mills), (label.workers, pay)
        was, now = (f"for {counted(people, 'worker')} a picture at {dollars(each, to_the_mill=True)} each" for people, each in terms)
    if was:
        do = f"Set label.workers and label.price back and submit again, or give it up with `boxset label cancel {job.name}`"
        raise BudgetError(f"job {job.name} was reserved {was} and not sent; params.yaml now says {now}", where="label.price", do=do)


def _check_not_bought(ledger: Ledger, reserved: Reserved, asked: Sequence[Asked]) -> None:
    """Raise ProjectError where pictures of a job that is not sent yet were bought in another one since it was reserved, in a clone that did not know of it."""
    pictures, wanted = [as_picture(item) for item in asked], set(reserved.categories.values())
    ids = ids_asked(pictures, bought(ledger, reserved.version, but=reserved.job))
    times = times_asked(ledger, reserved.version, pictures, but=reserved.job)
    again = sum(bool(known & wanted) and count > item.attempt for item, known, count in zip(asked, ids, times, strict=True))
    if again:
        what = f"job {reserved.job} was reserved and not sent, and another one has asked {again:,} of its pictures meanwhile"
        raise ProjectError(what, where="ledger", do=f"`boxset label cancel {reserved.job}` gives it up, then `dvc repro label`")


def _check_backend(shop: Shop, job: Job) -> None:
    if job.reserved.backend != shop.params.labeler.backend:
        do = f"Set it to {job.reserved.backend} for that, and back afterwards"
        raise ProjectError(f"job {job.name} is one of {job.reserved.backend}, and labeler.backend is {shop.params.labeler.backend}", where="params.yaml", do=do)


def _due(shop: Shop, plan: Plan, ledger: Ledger, *, trial: bool, most: int) -> tuple[Sequence[Item], bool, str]:
    """Return what is to be bought now, `most` pictures at the most: a trial first; the rest only once a trial of these instructions has been answered."""
    size = shop.params.labeler.trial
    if not trial or not size or len(plan.items) <= size:
        return plan.items[:most], False, ""
    trials = [job for job in ledger.jobs.values() if job.reserved.trial and job.reserved.version == plan.version]
    labelled = any(answer.state == "labelled" for job in trials for answer in job.answers.values())
    if not labelled and all(job.closed for job in trials):  # one that was cancelled, or came to nothing, is repeated
        items = plan.items[: min(size, most)]
        says = f"a trial of {len(items)}; look at its answers, then submit again for the other {len(plan.items) - len(items)}"
        return items, True, says if items else ""
    if not labelled:
        return (), False, "nothing bought: the trial is not answered yet. `boxset label collect` takes answers in"
    return plan.items[:most], False, ""


def _reservation(shop: Shop, plan: Plan, ledger: Ledger, items: Sequence[Item], *, trial: bool) -> tuple[Reserved, tuple[Asked, ...]]:
    categories = {row.category: row.id for row in plan.rows}
    before = times_asked(ledger, plan.version, [remembered(i, source=PEOPLE) for i in items])
    name = _job_name(shop, ledger, [*sorted(i.sha256 for i in items), *map(str, categories.values()), str(plan.version)])
    asked = tuple(
        Asked(
            job=name,
            sha256=i.sha256,
            file_name=i.file_name,
            width=i.width,
            height=i.height,
            phash=i.phash,
            grid=i.grid,
            found_for=i.found_for,
            attempt=times,
        )
        for i, times in zip(items, before, strict=True)
    )
    reserved = Reserved(
        job=name,
        backend=shop.params.labeler.backend,
        version=plan.version,
        categories=categories,
        pictures=len(asked),
        worst_mills=len(asked) * per_picture_mills(shop.params.label),
        trial=trial,
        at=shop.at,
        workers=shop.params.label.workers,
        worker_mills=mills(shop.params.label.price.usd_per_task),
    )
    return reserved, asked


def _job_name(shop: Shop, ledger: Ledger, asks: Sequence[str]) -> str:
    """Return the name that these asks of this service have in every clone, so that it takes them once; the next one where the ledger has that job.

    Folders of two clones are no such service: there the name is this purchase's own, so that the ledger tells two of the same pictures apart.
    """
    own = [shop.params.labeler.backend] if shop.labeler.is_shared else [shop.mark]
    contents = ("\n".join([*asks, *own, *([str(n)] if n else [])]) for n in count())
    names = (f"{shop.prefix}{sha256_of(content.encode())[:DIGITS]}" for content in contents)
    return next(name for name in names if name not in ledger.jobs)


def _check_budget(shop: Shop, ledger: Ledger, reserved: Reserved) -> None:
    cap = cap_mills(shop.params.label.budget_usd)
    if ledger.committed_mills + reserved.worst_mills > cap:
        first, spent, most = (dollars(mills, to_the_mill=True) for mills in (reserved.worst_mills, ledger.committed_mills, cap))
        what = f"{first} on top of {spent} would pass the cap of {most}"
        raise BudgetError(what, where="label.budget_usd", do="Raise the cap, or `dvc repro label` for a plan that fits")


def _send(shop: Shop, reserved: Reserved, asked: Sequence[Asked]) -> str:
    """Send a reserved job. Raises ProjectError, and sends nothing, where the team's claims for it were released meanwhile, or another clone has sent it."""
    ledger, has_it = read_ledger(shop.ledger), is_there(shop, reserved.job)
    claims = None if has_it and shop.labeler.is_shared and shop.labeler.takes_once else shop.claims  # nobody can have released what the service has
    if claims is not None:
        if claims.was_sent(reserved.job):
            append(shop.ledger, PURCHASES, [Sent(job=reserved.job)])
            raise _sent_elsewhere(reserved.job, "`git pull` once they have pushed their ledger, then `dvc repro label`")
        claims.check_held(reserved, asked)  # before the pictures go out; and once more right before the service is told
    if not has_it:
        _check_not_bought(ledger, reserved, asked)
    goes_on = shop.labeler.takes_once and (has_it or shop.labeler.is_shared)
    pictures = {item.sha256: shop.picture(item.file_name) for item in asked}
    missing = next((item.file_name for item in asked if not pictures[item.sha256].is_file()), "")
    if missing:
        raise ProjectError("the picture is not here", where=missing, do="`dvc pull data/crawl data/extract`, then submit again: the reservation stands")

    def last_look() -> None:
        _check_witness(shop, ledger)  # a colleague may have bought while the pictures went out
        if claims is not None:
            claims.going(reserved, asked, goes_on=goes_on)

    shop.labeler.send(reserved, asked, pictures, last_look)
    append(shop.ledger, PURCHASES, [Sent(job=reserved.job)])
    if shop.claims is not None:
        shop.claims.gone(reserved.job)
    return reserved.job


def is_there(shop: Shop, job: str) -> bool:
    """Return whether the service has a job already, or its tasks are here: a killed submit had come so far."""
    return job.lower() in {name.lower() for name in shop.labeler.jobs(shop.prefix)}


@dataclass(frozen=True)
class Collected:
    """How far each job is that was looked at, what came back and was not taken in, and which drawings of single people could not be used."""

    progress: dict[str, Progress]
    refused: tuple[Refusal, ...]
    unread: tuple[Refusal, ...] = ()


def collect(shop: Shop, *, again: bool = False) -> Collected:
    """Take in what has been answered; close jobs that are over. Running it again takes in nothing twice.

    `again`: look at jobs that are over, too, for what came later or could not be read before.
    What cannot be taken in is returned, and the rest goes on. A job of which a picture is refused stays open, so that it is not bought again.
    """
    ledger = _with_all_sent(shop, read_ledger(shop.ledger))
    found, refused, unread = {}, list[Refusal](), list[Refusal]()
    for job in ledger.jobs.values():
        if job.is_sent and (job.closed is None or ((again or shop.labeler.takes_corrections) and not job.is_withdrawn)):
            progress, received = _take_in(shop, job)
            refused += [one for one in received.refused if not _is_given_up(job, one)]
            unread += received.unread
            if job.closed is None:
                found[job.name] = progress
    return Collected(found, tuple(refused), tuple(unread))


def _with_all_sent(shop: Shop, ledger: Ledger) -> Ledger:
    """Write down as sent what a submit that was killed had sent, where people are through with all of it; return the ledger as it is then."""
    waiting = [job for job in ledger.jobs.values() if not job.is_sent and job.closed is None]
    done = [job.name for job in waiting if job.reserved.backend == shop.params.labeler.backend and shop.labeler.progress(job).state in OVER]
    if not done:
        return ledger
    append(shop.ledger, PURCHASES, [Sent(job=name) for name in done])
    return read_ledger(shop.ledger)


def _take_in(shop: Shop, job: Job, *, wait: bool = True) -> tuple[Progress, Received]:
    """Write down the answers and drawings of a job that are new or corrected, and then its end once nothing is left to wait for.

    `wait`: for more people in pictures that fewer have drawn than were to; nobody waits for them once a job is closed.
    """
    progress = shop.labeler.progress(job)
    received = shop.labeler.answers(job) if progress.state != "unknown" else Received()
    if job.closed is not None or not wait:
        received = received.without_waiting()
    fresh = [answer for one in received.answers if (answer := _news(job, one)) is not None]
    if fresh:
        append(shop.ledger, ANSWERS, fresh)
    drawn = [drawing for one in received.drawings if (drawing := _redrawn(job, one)) is not None]
    if drawn:
        append(shop.ledger, DRAWINGS, drawn)
    now = replace(job, answers={**job.answers, **{one.sha256: one for one in fresh}})
    missing = {asked.sha256 for asked in job.asked} - now.answers.keys()
    if progress.state in OVER and not (received.refused and missing):
        _close(shop, now, progress)
    elif job.closed is not None:  # people went on with what was given up
        _close(shop, now, replace(progress, state="stopped", done=len(now.answers), failed=0))
    return progress, received


def _news(job: Job, answer: Answered) -> Answered | None:
    """Return an answer as the ledger takes it, a correction with its number, or None where the ledger's own holds."""
    known = job.answers.get(answer.sha256)
    if known is None:
        return answer
    return None if known.state == "labelled" and answer.state != "labelled" else _corrected(known, answer)


def _redrawn(job: Job, drawing: Drawing) -> Drawing | None:
    """Return a drawing as the ledger takes it, a correction with its number, or None where the ledger has it."""
    known = next((one for one in job.drawings.get(drawing.sha256, ()) if one.worker == drawing.worker), None)
    return drawing if known is None else _corrected(known, drawing)


def _corrected(known: E, fresh: E) -> E | None:
    """Return what came of something known as a correction with its number; None where it is the same."""
    return None if msgspec.structs.replace(fresh, revision=known.revision) == known else msgspec.structs.replace(fresh, revision=known.revision + 1)


def _is_given_up(job: Job, refusal: Refusal) -> bool:
    """Return whether a job was closed without the picture that a refusal speaks of, for the same reason."""
    known = job.answers.get(refusal.sha256)
    return job.closed is not None and known is not None and known.state == "failed" and known.why == _why(refusal)


def _why(refusal: Refusal) -> str:
    return f"refused: {refusal}"[:200]


def _close(shop: Shop, job: Job, progress: Progress) -> None:
    """Write down that a job is over; of one that is closed already, only that it has cost more."""
    cost = _cost(job, progress)
    if job.closed is None or cost > job.closed.cost_mills:
        append(shop.ledger, PURCHASES, [Closed(job=job.name, state=progress.state, cost_mills=cost)])  # type: ignore[arg-type]


def _cost(job: Job, progress: Progress) -> int:
    """Return what a job has cost: every picture that people touched; failed ones may be billed, so they count. A stopped job pays for what was done."""
    each = job.reserved.worst_mills // job.reserved.pictures if job.reserved.pictures else 0
    touched = job.reserved.pictures if progress.state == "completed" else min(job.reserved.pictures, progress.done + progress.failed)
    return each * touched - job.reserved.worker_mills * _nobody_drew(job)


def _nobody_drew(job: Job) -> int:
    """Return how many drawings were set aside for and never made, in pictures of which the service says how many people drew: these cost nothing."""
    drew = [max(answer.workers, len(job.drawings.get(sha256, ()))) for sha256, answer in job.answers.items() if answer.workers]
    return sum(max(0, job.reserved.workers - people) for people in drew)


def status(labeler: Labeler, ledger: Ledger) -> dict[str, Progress]:
    """Return how far every open job is."""
    return {job.name: labeler.progress(job) for job in ledger.jobs.values() if job.closed is None}


def cancel(shop: Shop, names: Sequence[str] = ()) -> list[str]:
    """Stop the open jobs that the service knows, or those of these names, and take in what was answered; the rest is given up.

    A colleague's job whose folder lies elsewhere is stopped by its name alone, and so is one that was reserved and never sent.
    Raises ProjectError for a name that is no open job's.
    """
    open_ = {job.name: job for job in read_ledger(shop.ledger).jobs.values() if job.closed is None}
    unknown = next((name for name in names if name not in open_), "")
    if unknown:
        raise ProjectError("no open job has this name", where=unknown, do="`boxset label status` lists the jobs")
    stopped = list(names) or [name for name, job in open_.items() if shop.labeler.progress(job).state != "unknown"]
    for name in stopped:
        _check_backend(shop, open_[name])
    for name in stopped:
        _stop(shop, open_[name])
    return stopped


def _stop(shop: Shop, job: Job) -> None:
    if not job.is_sent:
        if shop.labeler.progress(job).state == "unknown":
            _withdraw(shop, job)
            return
        if shop.claims is not None:  # whose submit was killed does not go on with it
            shop.claims.give_up(job.reserved, job.asked, goes_on=True)
        append(shop.ledger, PURCHASES, [Sent(job=job.name)])  # a killed submit had come so far
    state = shop.labeler.progress(job).state
    if state == "unknown":  # what people did cannot be looked up here
        append(shop.ledger, PURCHASES, [Closed(job=job.name, state="stopped", cost_mills=job.reserved.worst_mills)])
        return
    at_once = state in OVER or shop.labeler.cancel(job)
    _take_in(shop, job, wait=not at_once)
    _take_in(shop, read_ledger(shop.ledger).jobs[job.name], wait=not at_once)
    now = read_ledger(shop.ledger).jobs[job.name]
    if now.closed is None and at_once:
        _give_up(shop, now)


def _withdraw(shop: Shop, job: Job) -> None:
    """Give up a job that was never sent. Raises ProjectError where the team's ticket says that another clone has sent it, or was about to."""
    if shop.claims is not None and not shop.claims.give_up(job.reserved, job.asked, goes_on=shop.labeler.is_shared or is_there(shop, job.name)):
        append(shop.ledger, PURCHASES, [Sent(job=job.name)])
        do = f"`git pull` once they have pushed their ledger; `boxset label cancel {job.name}` gives it up here all the same"
        raise _sent_elsewhere(job.name, do)
    append(shop.ledger, PURCHASES, [Closed(job=job.name, state="withdrawn", cost_mills=0)])


def _give_up(shop: Shop, job: Job) -> None:
    """Close a job whose service brings nothing more; a refused picture is written down as failed, with the reason."""
    refused = {one.sha256: one for one in reversed(shop.labeler.answers(job).refused) if one.sha256 and one.sha256 not in job.answers}
    append(shop.ledger, ANSWERS, [Answered(job=job.name, sha256=sha256, state="failed", why=_why(one)) for sha256, one in refused.items()])
    progress = shop.labeler.progress(job)
    state = progress.state if progress.state in OVER else "stopped"
    done = len(job.answers) + len(refused)
    _close(shop, job, replace(progress, state=state, done=done, failed=0))

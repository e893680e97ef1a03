"""`boxset label`: plan, submit, status, collect, cancel, release, adopt."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import InputError
from boxset.terminal import WholeHelp, say
from boxset.wording import counted, dollars, noun

if TYPE_CHECKING:
    from boxset.labeling.costs import By
    from boxset.labeling.ledger import Answered, Ledger
    from boxset.labeling.plan import Plan
    from boxset.labeling.purchase import Collected, Shop, Upstream
    from boxset.labeling.received import Refusal
    from boxset.params import Labeler

LEDGER = Path("ledger")
PLAN = Path("data/label/plan.json")
MOST_NAMED = 20  # refusals that are printed one by one


@click.group(cls=WholeHelp)
def command() -> None:
    """Plan, buy and collect labels."""


@contextmanager
def _shop() -> Iterator["Shop"]:
    from datetime import UTC, datetime
    from uuid import uuid4

    from boxset.dataset.decisions import read_decisions
    from boxset.dataset.records import picture_files
    from boxset.endpoints import open_world
    from boxset.files import sole_writer
    from boxset.history import user_name
    from boxset.labeling.claims import claims_of
    from boxset.labeling.labeler import labeler_of
    from boxset.labeling.purchase import Shop
    from boxset.params import read_params

    params = read_params()
    with sole_writer(LEDGER), open_world(params) as endpoints:
        where = picture_files(Path("data"))
        labeler = labeler_of(params, endpoints)
        at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        claims, decided = claims_of(params, endpoints, who=user_name(), at=at), read_decisions().fingerprint
        yield Shop(LEDGER, params, labeler, lambda name: where.get(name, Path(name)), claims, _upstreams(), decided, mark=uuid4().hex, at=at)


def _upstreams() -> "tuple[Upstream, ...]":
    from boxset.dataset import decisions, takedown
    from boxset.history import follows, has_merged, upstreams
    from boxset.labeling.ledger import ANSWERS, PURCHASES
    from boxset.labeling.purchase import Upstream

    paths = [(takedown.FOLDER / name).as_posix() for name in (decisions.FILE, takedown.FILE)]
    here, followed = _lines([Path(path).read_bytes() for path in paths if Path(path).exists()]), follows(Path())
    found = []
    for name, files in upstreams(Path(), [*(f"{LEDGER}/{name}" for name in (PURCHASES, ANSWERS)), *paths]).items():
        unseen = len(_lines([files.pop(path, b"") for path in paths]) - here)
        lines = _lines(files.values())
        take = "git pull" if name == followed else f"git merge {name}"
        found.append(Upstream(name, lines, unseen, take, has_merged(Path(), name)))
    return tuple(found)


def _lines(contents: Iterable[bytes]) -> frozenset[bytes]:
    from boxset.labeling.ledger import whole_lines

    return frozenset[bytes]().union(*map(whole_lines, contents))


def _warn_of_other_clones() -> None:
    """Say in a line that nobody but git knows of other clones' purchases, where that is so."""
    from boxset.params import read_params

    params = read_params()
    if params.labeler.backend == "files" and not params.project.bucket:
        names = " and ".join(one.name for one in _upstreams())
        seen = f"this ledger is compared with {names} as last fetched" if names else "this branch follows none to compare with"
        say(f"Other clones' purchases are not seen until they are pushed and pulled (`files`, no project.bucket): `git fetch` first; {seen}.")


def _plan(*, is_current: bool = True) -> "Plan":
    """Return the plan. Raises ProjectError where it is older than the ledger, the decisions or params.yaml, unless that is looked at later."""
    from boxset.dataset.decisions import read_decisions
    from boxset.files import read_json
    from boxset.labeling.ledger import read_ledger
    from boxset.labeling.plan import Plan
    from boxset.labeling.standing import check_is_current, check_is_of
    from boxset.params import read_params

    if not PLAN.exists():
        raise InputError("there is no plan", where=str(PLAN), do="`dvc repro label` makes one")
    found = read_json(PLAN, Plan)
    if is_current:
        check_is_current(found, read_ledger(LEDGER), read_decisions().fingerprint)
        check_is_of(found, read_params())
    return found


@command.command()
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON.")
def plan(as_json: bool) -> None:
    """Show what to buy next, why and at what price; buys nothing."""
    from boxset.labeling.show import plan_table

    if as_json:
        _plan()
        say(PLAN.read_text(encoding="utf-8"), nl=False)
        return
    plan_table(_plan())
    for line in _waiting():
        say(line)


def _waiting() -> list[str]:
    """Say which of one's own pictures no plan can name, as the last build counted them."""
    from boxset.assemble.waiting import unnamed_words
    from boxset.params import read_params
    from boxset.report.data import read_metrics

    return unnamed_words(read_metrics(Path("metrics")).get("label", {}).get("without_category", {}), read_params().categories)


def _finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    from math import isfinite

    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is no number")
    return value


@command.command()
@click.option("--yes", is_flag=True, help="Buy it; without this, only show what would be bought.")
@click.option("--max-usd", type=click.FloatRange(min=0), callback=_finite, help="Spend this much at the most now.")
@click.option("--no-trial", is_flag=True, help="Send everything at once.")
def submit(yes: bool, max_usd: float | None, no_trial: bool) -> None:
    """Buy the plan: a trial first, the rest when its answers are in."""
    from boxset.labeling.price import mills
    from boxset.labeling.purchase import submit as buy
    from boxset.labeling.show import plan_table

    found = _plan(is_current=not yes)
    _warn_of_other_clones()
    if not yes:
        plan_table(found)
        say("Nothing was bought. `boxset label submit --yes` buys it.")
        return
    with _shop() as shop:
        bought = buy(shop, found, trial=not no_trial, max_mills=None if max_usd is None else mills(max_usd))
    for job in bought.sent:
        say(f"sent  {job}{_handed_out(shop.params.labeler, job)}")
    if bought.pictures:
        say(f"{counted(bought.pictures, 'picture')}, {dollars(bought.worst_mills)} at the most, reserved in {LEDGER}/ : commit it")
    if bought.says:
        say(bought.says)


def _say_not_here() -> None:
    """Say where the known pictures are that the last build measured by, where they are not here."""
    from boxset.report.data import read_metrics

    if not PLAN.exists() and "gold" in read_metrics(Path("metrics")).get("label", {}):
        say(f"how well people draw in known pictures is not shown: `dvc pull {PLAN.parent}` brings what is known of them")


def _handed_out(labeler: "Labeler", job: str) -> str:
    """Say where a job's tasks lie, where they are files that somebody has to hand out."""
    folder = f"{labeler.folder}/{job}"
    return f": tasks in {folder}/tasks; put results into {folder}/results, then `boxset label collect`" if labeler.backend == "files" else ""


@command.command()
def status() -> None:
    """How far every job is, and what was spent."""
    from boxset.labeling.gold import read_known
    from boxset.labeling.ledger import read_ledger
    from boxset.labeling.purchase import status as ask
    from boxset.labeling.show import status_table

    ledger = read_ledger(LEDGER)
    if not ledger.jobs:
        say("nothing was ever bought")
        return
    with _shop() as shop:
        status_table(ledger, ask(shop.labeler, ledger), budget_usd=shop.params.label.budget_usd, known=read_known(PLAN.parent))
    _say_not_here()


@command.command()
@click.argument("categories", nargs=-1, metavar="[CATEGORY]...")
@click.option("--by", type=click.Choice(["category", "job", "month"]), default="category", show_default=True, help="What each row is for.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def costs(categories: tuple[str, ...], by: "By", as_json: bool) -> None:
    """What was spent or reserved, and what a box cost: of all categories, or of those named.

    A picture's price is shared by the boxes that people drew in it; one without boxes is paid by the category that it was found for.
    """
    from boxset.labeling.costs import cost, shares
    from boxset.labeling.costs import costs as table
    from boxset.labeling.ledger import read_ledger
    from boxset.labeling.show import costs_json, costs_table
    from boxset.params import category_key, read_params

    params = read_params()
    every = shares(read_ledger(LEDGER), {one.id: name for name, one in params.categories.items()})
    paid = {share.category for share in every}  # those that are no more among them
    asked = {word if word in paid else category_key(word, params) for word in categories}
    wanted = [share for share in every if not asked or share.category in asked]
    rows = [*table(wanted, by), cost("all", wanted)]
    if as_json:
        say(costs_json(rows))
    else:
        costs_table(by, rows)


@command.command()
@click.option("--wait", is_flag=True, help="Ask again until every job is over, and say how far it is.")
@click.option("--every-s", type=click.FloatRange(min=1), callback=_finite, default=60.0, show_default=True, help="Seconds between two looks while waiting.")
@click.option("--again", is_flag=True, help="Look at jobs that are over, too: for answers and drawings that came later, or could not be read before.")
def collect(wait: bool, every_s: float, again: bool) -> None:
    """Take the answers into the ledger; then `dvc repro` builds with them."""
    import time

    from boxset.labeling.gold import read_known
    from boxset.labeling.ledger import read_ledger
    from boxset.labeling.purchase import collect as take
    from boxset.labeling.show import open_lines, status_table

    before, said = read_ledger(LEDGER), list[str]()
    if not before.jobs:
        say("nothing was ever bought")
        return
    with _shop() as shop:
        embedded = shop.params.world == "embedded" and shop.params.labeler.backend == "ground_truth"  # its people work when they are asked
        found = take(shop, again=again)
        while (wait or embedded) and any(progress.state == "open" for progress in found.progress.values()):
            if not embedded:
                said = _said_anew(open_lines(read_ledger(LEDGER), ()), said)
                time.sleep(every_s)
            found = take(shop, again=again)
        after = read_ledger(LEDGER)
        status_table(after, found.progress, budget_usd=shop.params.label.budget_usd, known=read_known(PLAN.parent))
    _say_not_here()
    say(_news(before, after))
    _say_unread(found)
    _check_none_refused(found)


def _said_anew(lines: list[str], before: list[str]) -> list[str]:
    """Say the lines that were not said the last time, and return all of them."""
    for line in lines:
        if line not in before:
            say(line)
    return lines


def _news(before: "Ledger", after: "Ledger") -> str:
    """Say what a collect has brought, and what to do with it."""
    fresh = len(_answers(after) - _answers(before))
    if after.fingerprint != before.fingerprint:
        return f"{counted(fresh, 'new answer')} in {LEDGER}/ : commit it, then `dvc repro`"
    if any(job.drawings != before.jobs[name].drawings for name, job in after.jobs.items()):
        return f"no new answers, but new drawings of single people in {LEDGER}/ : commit it"
    return "no new answers"


def _say_unread(found: "Collected") -> None:
    """Name what single people drew that could not be read; no answer was kept back for it."""
    _name("not read, for `label status` alone", found.unread)


def _check_none_refused(found: "Collected") -> None:
    """Name what was refused. Raises InputError where anything was."""
    _name("refused", found.refused)
    if found.refused:
        do = "Correct them where they were drawn and collect again; `boxset label cancel JOB` gives them up"
        raise InputError(f"{counted(len(found.refused), 'record was', 'records were')} refused, the rest was taken in", do=do)


def _name(what: str, refusals: "Sequence[Refusal]") -> None:
    for refusal in refusals[:MOST_NAMED]:
        say(f"{what}  {refusal}")
    if len(refusals) > MOST_NAMED:
        say(f"… and {len(refusals) - MOST_NAMED} more")


def _answers(ledger: "Ledger") -> "set[tuple[str, Answered]]":
    return {(job.name, answer) for job in ledger.jobs.values() for answer in job.answers.values()}


@command.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...")
@click.option("--yes", is_flag=True, help="Stop them; without this, name them and ask.")
def cancel(jobs: tuple[str, ...], yes: bool) -> None:
    """Stop every open job, or those named; what was answered is kept, the rest is given up."""
    from boxset.labeling.ledger import read_ledger
    from boxset.labeling.purchase import cancel as stop
    from boxset.labeling.show import open_lines, stopped_lines

    named = open_lines(read_ledger(LEDGER), jobs)
    if named and not yes:
        say("\n".join(named))
        click.confirm(f"Stop {noun(len(named), 'this job', 'these jobs')}?", abort=True)
    with _shop() as shop:
        names = stop(shop, jobs)
        for line in stopped_lines(read_ledger(LEDGER), names):
            say(line)


@command.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...")
@click.option("--yes", is_flag=True, help="Release them; without this, only ask whether that may be.")
@click.option("--lost", is_flag=True, help="You state that their machine sends them no more and nobody was given their tasks, where that cannot be looked up.")
def release(jobs: tuple[str, ...], yes: bool, lost: bool) -> None:
    """Give back what a lost machine claimed in project.bucket for jobs that were never sent; without JOB, list what is claimed.

    Refused where the ledger or the service has the job, or the service cannot be asked. A machine that comes back sends nothing of it.
    """
    from boxset.labeling.release import release as give_back
    from boxset.labeling.release import unsettled
    from boxset.labeling.show import claims_table

    with _shop() as shop:
        if not jobs:
            claims_table(unsettled(shop))
            return
        tickets = give_back(shop, jobs, lost=lost, is_sure=yes)
    if not yes:
        claims_table(tickets)
        say(f"Nothing was released. `boxset label release {' '.join(jobs)}{' --lost' if lost else ''} --yes` releases it.")
        return
    for ticket in tickets:
        say(f"released  {ticket.job}: its {counted(ticket.pictures, 'picture')} can be bought again; `dvc repro label` plans that")


@command.command()
@click.argument("job")
def adopt(job: str) -> None:
    """Take a job that a lost machine has sent, and never pushed, into the ledger.

    Its lines are read where it went out to. Harmless where the machine comes back.
    """
    from boxset.labeling.release import adopt as take

    with _shop() as shop:
        pictures = take(shop, job)
    say(f"adopted  {job}: {counted(pictures, 'picture')} in {LEDGER}/ : commit it, then `boxset label collect`")

"""How the ledger stands now: its money, what was bought amiss, and whether the plan and the last build know of it. Values in, values out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from boxset.dataset.similar import COPY_BITS, groups
from boxset.errors import InputError, ProjectError
from boxset.labeling.asked import as_picture, came_to_nothing
from boxset.labeling.gold import Share
from boxset.labeling.ledger import Asked, Job, Ledger
from boxset.labeling.plan import Plan, bought_metrics
from boxset.labeling.price import per_picture_mills
from boxset.params import Params, put_back
from boxset.wording import counted, dollars

MOST_NAMED = 6  # jobs


@dataclass(frozen=True)
class Standing:
    """What the ledger says now. `is_news`: the last `dvc repro label` did not know it. `faults`: what was bought amiss.

    `reviewed`: pictures decided in `boxset review`, by category. `is_review_news`: the last `dvc repro label` did not know them.
    """

    committed_mills: int
    spent_mills: int
    is_news: bool
    faults: tuple[str, ...] = ()
    reviewed: Mapping[str, int] = field(default_factory=dict)
    is_review_news: bool = False


def standing(ledger: Ledger, *, cap_mills: int, planned_from: str | None, built: Mapping[str, Any]) -> Standing:
    """Return how the ledger stands.

    `planned_from` is the mark of the ledger in the plan, None where there is no plan here (a clone without data): then the figures of
    `metrics/label.json` are compared, `built`, which misses corrections that change no figure.
    """
    is_known = planned_from == ledger.fingerprint if planned_from is not None else _figures(built) == _figures(bought_metrics(ledger))
    return Standing(ledger.committed_mills, ledger.spent_mills, not is_known, faults(ledger, cap_mills=cap_mills))


def _figures(metrics: Mapping[str, Any]) -> tuple[Any, ...]:
    images, cost = metrics.get("images", {}), metrics.get("cost_usd", {})
    return images.get("asked", 0), images.get("labelled", 0), cost.get("spent", 0), cost.get("committed", 0)


def check_is_current(plan: Plan, ledger: Ledger, decisions: str | None = None) -> None:
    """Raise ProjectError where a plan was made from another ledger than this, or from other decisions (their mark; None: not looked at)."""
    if plan.ledger != ledger.fingerprint:
        what = f"nothing bought: the plan is older than the ledger, which stands at {dollars(ledger.committed_mills)} spent or reserved"
        raise ProjectError(what, do="`dvc repro label` makes a new plan")
    if decisions is not None and plan.decisions != decisions:
        what = "nothing bought: the plan is older than the decisions of `boxset review`, and could buy what was sorted out"
        raise ProjectError(what, do="`dvc repro label` makes a new plan")


def check_is_of(plan: Plan, params: Params) -> None:
    """Raise ProjectError where a plan was made for other categories, instructions, workers, prices, share of known pictures or frozen test set than params.yaml has."""
    label = params.label
    share = plan.known.share if isinstance(plan.known, Share) else 0.0
    was = plan.version, plan.workers, plan.per_picture_mills, share, plan.frozen, {row.category: row.id for row in plan.rows}
    now = label.instructions_version, label.workers, per_picture_mills(label), label.gold_share, params.split.freeze_test, {name: one.id for name, one in params.categories.items()}
    words = "label.instructions_version", "label.workers", "label.price", "label.gold_share", "split.freeze_test", "categories"
    changed = next((word for word, one, other in zip(words, was, now, strict=True) if one != other), "")
    if changed:
        raise ProjectError(f"nothing bought: the plan is older than {changed}", where="params.yaml", do="`dvc repro label` makes a new plan")


def check_ids(ledger: Ledger, ids: Mapping[str, int]) -> None:
    """Raise InputError where a job asked about a category under an id that is another's now, or about one that has another id now: its boxes would change their name."""
    names = {number: name for name, number in ids.items()}
    for job in ledger.jobs.values():
        for name, number in job.reserved.categories.items():
            taken = names.get(number, name) != name
            if taken or ids.get(name, number) != number:
                now = f"which is {names[number]}'s" if taken else f"and {name} has {ids[name]}"
                what = f"job {job.name} asked about {name} under the id {number}, {now} in params.yaml"
                do = "Set key and id back as they were; a ledger of another project does not belong here"
                do = f"{put_back(name, names[number])}. {do}" if taken and name not in ids else do
                raise InputError(what, where="ledger", do=do)


def faults(ledger: Ledger, *, cap_mills: int) -> tuple[str, ...]:
    """Return what merged purchases did amiss, naming the jobs: pictures that were asked twice, a cap that is passed."""
    twice = [
        f"{counted(count, 'picture was', 'pictures were')} asked more than once, by {' and '.join(jobs)}{_stoppable(jobs, ledger)}"
        for jobs, count in bought_twice(ledger)
    ]
    passed = over_cap(ledger, cap_mills=cap_mills)
    return (*twice, passed) if passed else tuple(twice)


def bought_twice(ledger: Ledger) -> list[tuple[tuple[str, ...], int]]:
    """Return the jobs that asked the same pictures about the same category and version, and how many pictures.

    No ask that came to nothing counts, nor one about what is old in a job that knew of it and asked for a category that is new.
    """
    every = [(item, job) for job in ledger.jobs.values() for item in job.asked]
    first, attempts = _first_copies([item for item, _ in every]), dict[tuple[str, int], list[int]]()
    asks: dict[tuple[str, int], list[tuple[int, Job]]] = {}
    for item, job in every:
        key = first[item.sha256], job.reserved.version
        attempts.setdefault(key, []).append(item.attempt)
        if not job.is_withdrawn and not came_to_nothing(job, item.sha256):
            asks.setdefault(key, []).append((item.attempt, job))
    pictures: dict[tuple[str, ...], set[str]] = {}
    for key, some in asks.items():
        for names in _askers(some, attempts[key]) if len(some) > 1 else ():
            pictures.setdefault(names, set()).add(key[0])
    return [(names, len(found)) for names, found in sorted(pictures.items())]


def _first_copies(asked: Sequence[Asked]) -> dict[str, str]:
    """Return for each asked picture the first of its copies, by SHA-256."""
    pictures = list({item.sha256: as_picture(item) for item in asked}.values())
    return {one.sha256: some[0].sha256 for some in groups(pictures, COPY_BITS) for one in some}


def _askers(asks: Sequence[tuple[int, Job]], attempts: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """Yield the jobs that asked one picture about the same category, by their numbers of earlier asks; `attempts`: those of all its asks, whatever became of them.

    A job of which the ledger has more earlier asks than its number says did not know them all.
    """
    by_id: dict[int, list[str]] = {}
    for attempt, job in asks:
        ids, knew_all = set(job.reserved.categories.values()), sum(one < attempt for one in attempts) <= attempt
        known = {number for before, other in asks if knew_all and before < attempt for number in other.reserved.categories.values()}
        for category_id in ids - known or ids:
            by_id.setdefault(category_id, []).append(job.name)
    yield from sorted({tuple(sorted(names)) for names in by_id.values() if len(names) > 1})


def _stoppable(names: Sequence[str], ledger: Ledger) -> str:
    open_ = [name for name in names if ledger.jobs[name].closed is None]
    least = min(open_, key=lambda name: (len(ledger.jobs[name].answers), name), default="")
    return f"; `boxset label cancel {least}` stops one" if least else ""


def over_cap(ledger: Ledger, *, cap_mills: int) -> str:
    """Return in words that more was bought than the cap allows, and by which jobs; an empty string where it was not, or the cap is 0: buy nothing more."""
    if not 0 < cap_mills < ledger.committed_mills:
        return ""
    jobs = sorted((job for job in ledger.jobs.values() if job.committed_mills), key=lambda job: (-job.committed_mills, job.name))
    named = ", ".join(f"{job.name} {dollars(job.committed_mills, to_the_mill=True)}" for job in jobs[:MOST_NAMED])
    more = f" and {len(jobs) - MOST_NAMED} more" if len(jobs) > MOST_NAMED else ""
    spent, cap = (dollars(mills, to_the_mill=True) for mills in (ledger.committed_mills, cap_mills))
    return f"{spent} spent or reserved, over the cap of {cap} in label.budget_usd: {named}{more}"

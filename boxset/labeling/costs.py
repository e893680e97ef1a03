"""What labels cost, by category, job and month. Values in, values out.

A picture costs what its job costs, by the number of the job's pictures. Where people drew boxes in it, its price is shared by these, whatever
categories they are of; where they drew none, or it came to nothing, it is that of the category that it was found for. So the money of all
categories is all that was spent or reserved.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Literal

import msgspec

from boxset.labeling.ledger import Asked, Job, Ledger

By = Literal["category", "job", "month"]
NO_CATEGORY, NO_MONTH = "(none)", "(not stated)"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a picture's price: for one box, or for a picture in which nobody drew any."""

    category: str
    job: str
    month: str
    sha256: str
    boxes: int
    usd: Fraction


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent under one heading, for how many boxes."""

    name: str
    pictures: int
    boxes: int
    usd: Fraction
    usd_without_box: Fraction  # of it, for pictures in which nobody drew a box

    @property
    def usd_per_box(self) -> Fraction | None:
        """Return what a box cost, all money counted; None where there is none."""
        return self.usd / self.boxes if self.boxes else None


def per_picture(ledger: Ledger) -> dict[str, Fraction]:
    """Return what each job cost for a picture, in USD."""
    return {name: Fraction(job.committed_mills, 1000 * max(1, len(job.asked))) for name, job in ledger.jobs.items()}


def per_job(ledger: Ledger) -> dict[str, Fraction]:
    """Return what each job cost, in USD."""
    return {name: Fraction(job.committed_mills, 1000) for name, job in ledger.jobs.items()}


def shares(ledger: Ledger, names: Mapping[int, str]) -> list[Share]:
    """Return all money of the ledger, shared out. `names`: category id → its name now."""
    prices = per_picture(ledger)
    return [share for name, job in ledger.jobs.items() for asked in job.asked for share in _shares(job, asked, prices[name], names)]


def _shares(job: Job, asked: Asked, price: Fraction, names: Mapping[int, str]) -> Iterator[Share]:
    then = job.reserved.names
    answer = job.answers.get(asked.sha256)
    drawn = [names.get(box.category_id) or then.get(box.category_id, NO_CATEGORY) for box in answer.boxes] if answer else []
    for category in drawn or [asked.found_for or NO_CATEGORY]:
        yield Share(
            category=category,
            job=job.name,
            month=job.reserved.at[:7] or NO_MONTH,
            sha256=asked.sha256,
            boxes=1 if drawn else 0,
            usd=price / max(1, len(drawn)),
        )


def costs(every: Sequence[Share], by: By) -> list[Cost]:
    """Return what was spent under each heading, in the order of their names."""
    found: dict[str, list[Share]] = {}
    for share in every:
        found.setdefault(str(getattr(share, by)), []).append(share)
    return [cost(name, found[name]) for name in sorted(found)]


def cost(name: str, some: Sequence[Share]) -> Cost:
    """Return what shares come to."""
    return Cost(
        name=name,
        pictures=len({(share.job, share.sha256) for share in some}),
        boxes=sum(share.boxes for share in some),
        usd=sum((share.usd for share in some), Fraction(0)),
        usd_without_box=sum((share.usd for share in some if not share.boxes), Fraction(0)),
    )

"""Giving back what a lost machine claimed: only after the ledger, its upstream and the service say that the job was never sent."""

from collections.abc import Sequence

from boxset.errors import ProjectError, did_you_mean
from boxset.labeling.claims import Claims, Read, Ticket
from boxset.labeling.ledger import PURCHASES, Ledger, Sent, append, read_ledger, read_reservation
from boxset.labeling.purchase import Shop, check_upstream, is_there

NOT_SENT = "`boxset label release` lists what was claimed and not sent. A project of Label Studio that stands empty was not sent: delete it there"
STATE_IT = "if its machine is lost and nobody was given its tasks, --lost says so"


def unsettled(shop: Shop) -> tuple[Ticket, ...]:
    """Return what is claimed for jobs that the ledger does not know as sent or over. Raises ProjectError where no team shares claims here."""
    return tuple(one.ticket for one in _unsettled(_claims(shop), read_ledger(shop.ledger)))


def release(shop: Shop, names: Sequence[str], *, lost: bool = False, is_sure: bool = False) -> tuple[Ticket, ...]:
    """Give back the claims of the named jobs, after everything was asked that can be; return their tickets. Not sure: only look.

    `lost`: somebody states what cannot be looked up, that the job goes out no more. Raises ProjectError or ServiceError, before anything is given
    back, where a job may have been sent, or the service cannot be asked. Its owner's next submit sees that it was released, and sends nothing.
    """
    claims, ledger = _claims(shop), read_ledger(shop.ledger)
    check_upstream(shop)
    found = {one.ticket.job: one for one in _unsettled(claims, ledger)}
    for name in names:
        _check_unknown(shop, ledger, name)
        if name not in found:
            do = "`boxset label release` lists what is claimed"
            raise ProjectError(f"nothing is claimed for a job of this name{did_you_mean(name, found)}", where=name, do=do)
        _check_never_sent(claims, found[name].ticket, lost=lost)
    _check_service(shop, names)
    for name in names if is_sure else ():
        claims.release(found[name])
    return tuple(found[name].ticket for name in names)


def adopt(shop: Shop, name: str) -> int:
    """Take a job that was sent, and that no ledger has as its machine is lost, into this ledger, by the lines that it went out with; return how many pictures it asks.

    Does no harm where the machine comes back: the lines are the same. Raises ProjectError where nobody has them, or this ledger has the job.
    """
    ledger = read_ledger(shop.ledger)
    check_upstream(shop)
    _check_unknown(shop, ledger, name)
    has_it = is_there(shop, name)
    told = shop.claims.sent_lines(name, is_there=has_it or not shop.labeler.is_shared) if shop.claims is not None else ""
    found = read_reservation(told or (shop.labeler.lines(name) if has_it else ""), name)
    if found is None:
        what = f"neither project.bucket nor {shop.params.labeler.backend} has the lines of a job of this name that was sent"
        raise ProjectError(what, where=name, do=f"`git pull`, once its owner has pushed; {NOT_SENT}")
    append(shop.ledger, PURCHASES, [found[0], *found[1], Sent(job=name)])
    return len(found[1])


def _claims(shop: Shop) -> Claims:
    if shop.claims is None:
        raise ProjectError("project.bucket is empty: no team shares claims here", where="params.yaml", do="Nothing is claimed, and nothing to be released")
    return shop.claims


def _unsettled(claims: Claims, ledger: Ledger) -> list[Read]:
    settled = [job for job in ledger.jobs.values() if job.is_sent or job.closed]
    return claims.unsettled(settled, [job for job in ledger.jobs.values() if not job.is_sent and not job.closed])


def _check_unknown(shop: Shop, ledger: Ledger, name: str) -> None:
    """Raise ProjectError where the ledger has the job, or it is none of this project."""
    job = ledger.jobs.get(name)
    if job is not None and job.closed:
        raise ProjectError("the ledger has this job, and it is over", where=name, do="Its claims hold nobody up who has this ledger: `git push` it")
    if job is not None:
        what = f"the ledger has this job, {'sent' if job.is_sent else 'reserved and not sent yet'}"
        raise ProjectError(what, where=name, do=f"`boxset label cancel {name}` gives it up, and the ledger says so to everybody")
    if not shop.is_own(name):
        do = f"Release it in the project whose jobs are called so; those of this one begin with {shop.prefix}"
        raise ProjectError("this is no job of this project", where=name, do=do)


def _check_never_sent(claims: Claims, ticket: Ticket, *, lost: bool) -> None:
    """Raise ProjectError where a job's ticket says that it was sent, or may have been, or that another service must be asked."""
    if ticket.state == "sent":
        raise ProjectError("its owner has sent it", where=ticket.job, do=_take_over(ticket.job))
    if ticket.service and ticket.service != claims.service:
        do = "Set labeler as it was there, release it, and set it back"
        raise ProjectError(f"it is one of {ticket.service}, and labeler in params.yaml is {claims.service}", where=ticket.job, do=do)
    doubts = {
        "a version of Boxset before tickets claimed it, which does not say at which service": not ticket.service,
        "its owner was about to tell the service of it, which may still come": ticket.state == "sending",
        "its owner gave it up, and may have bought its pictures in another job": ticket.is_given_up,
        "with `files` nobody can look whether its tasks went out": ticket.service == "files",
    }
    doubt = next((words for words, holds in doubts.items() if holds), "")
    if doubt and not lost:
        raise ProjectError(f"not released: {doubt}", where=ticket.job, do=f"Ask {ticket.released_by or ticket.who or 'whoever bought it'}; {STATE_IT}")


def _check_service(shop: Shop, names: Sequence[str]) -> None:
    """Raise ServiceError where the service cannot be asked, ProjectError where it has one of the jobs."""
    shop.labeler.check()
    there = {name.lower() for name in shop.labeler.jobs(shop.prefix)}
    here = next((name for name in names if name.lower() in there), "")
    if here:
        raise ProjectError("the service has this job", where=here, do=_take_over(here))


def _take_over(job: str) -> str:
    return f"It may be paid for: let its owner push their ledger, and `git pull`; if their machine is lost, `boxset label adopt {job}` takes it in"

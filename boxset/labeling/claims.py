"""What a team shares before it buys: claims in S3 by conditional writes, so that two clones or branches cannot buy the same picture.

Each picture has a claim, and each job a ticket, which says who claimed it, when and for how much. The ticket is where a job goes on or is
released: both change it only as they have read it (`If-Match`), so that one of the two wins. It is never deleted, a claim is.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

import msgspec

from boxset.endpoints import Endpoints
from boxset.errors import InputError, ProjectError, ServiceError
from boxset.files import read_json, write_json
from boxset.labeling.aws import bucket_and_key, client, code_of, errors, keys_under, refused
from boxset.labeling.ledger import Asked, Job, Reserved, reservation_lines
from boxset.params import Params
from boxset.wording import moment

LEFTOVER = Path(".boxset/claims.json")  # what a killed submit had begun to claim, on this machine
SENDING = "sending.json"  # beside it: what this machine was sending
BEATEN = ("PreconditionFailed", "ConditionalRequestConflict")  # how S3 says that somebody else was faster
OTHER_ETAG = '"0"'  # no object's
TRIES = 5
T = TypeVar("T")


class Leftover(msgspec.Struct, frozen=True):
    """Claims that a submit has begun to take, written down before the first; `by` tells them from another clone's for the same job."""

    job: str
    keys: tuple[str, ...]
    by: str


class Claim(msgspec.Struct, frozen=True):
    """What a claim says: the job that it is for, and the submit that wrote it."""

    job: str
    by: str = ""


FREE = Claim("")  # one that was given back, in an S3 that cannot delete on a condition


class Sending(msgspec.Struct, frozen=True):
    """The job that this clone told a service of last, or was about to, and what its ticket says `by` then."""

    job: str
    by: str


class Ticket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a job's ticket says.

    `state`: claimed (nothing is sent), sending (the service is being told), sent, releasing (somebody gives its claims back), released.
    """

    job: str
    by: str
    state: Literal["claimed", "sending", "sent", "releasing", "released"] = "claimed"
    service: str = ""  # whom to ask for the job; empty: not known, of a version before tickets
    who: str = ""
    at: str = ""  # as in the ledger; `2026-11-26 10:00 UTC` in tickets of before
    pictures: int = 0
    worst_mills: int = 0
    keys: tuple[str, ...] = ()  # of its claims
    lines: str = ""  # of the ledger: the job's reservation, for everybody if its machine is lost
    released_by: str = ""
    released_at: str = ""
    is_given_up: bool = False  # in a ledger, before it was sent: its claims stay, and that ledger may have bought its pictures in another job

    @property
    def is_over(self) -> bool:
        """Whether it was given back, or is being given back."""
        return self.state in ("releasing", "released")

    @property
    def end(self) -> str:
        """Say who released it, and when."""
        return f"released by {self.released_by or 'its own submit, which failed'}{f' at {moment(self.released_at)}' if self.released_at else ''}"


class Read(msgspec.Struct, frozen=True):
    """A ticket as it was read; `etag` changes with it, and is empty where there is none yet."""

    ticket: Ticket
    etag: str = ""


class Claims:
    """Claims under `project.bucket`; one object per picture, category, version and attempt, written only where there is none; one ticket per job.

    `who`, `at`: who works here and when, for the tickets.
    """

    def __init__(self, params: Params, endpoints: Endpoints, leftover: Path = LEFTOVER, *, who: str = "", at: str = "") -> None:
        self._bucket, self._prefix = bucket_and_key(params.project.bucket, key="project.bucket")
        self._s3: Any = client("s3", endpoints, region=params.labeler.region)
        self._leftover, self._sending, self._who, self._at = leftover, leftover.with_name(SENDING), who, at
        self.service = service_of(params)

    @contextmanager
    def held(self, reserved: Reserved, asked: Sequence[Asked]) -> Iterator[None]:
        """Claim every picture for a job: for good if the block, which writes the job into the ledger, ends well; else they are given back.

        A claim of the same job counts as ours. Raises ProjectError naming the first that is another's, or where somebody releases the job meanwhile.
        """
        keys = self._keys(reserved, asked)
        own = Claim(reserved.job, uuid4().hex)
        write_json(self._leftover, Leftover(reserved.job, keys, own.by))
        try:
            self._open(self._new_ticket(reserved, asked, own.by))
            self._check_conditions(reserved.job)
            for key in keys:
                self._take(key, own)
            self.check_held(reserved, asked)
            yield
        except Exception:
            with suppress(ServiceError):  # the next submit tries again
                self._give_back(keys, own)
                self._leftover.unlink()
            raise
        self._leftover.unlink()

    def give_back_leftover(self, known: Container[str]) -> None:
        """Give back what a killed submit had claimed for a job that is not in the ledger. `known`: the ledger's jobs."""
        if not self._leftover.exists():
            return
        left = read_json(self._leftover, Leftover)
        if left.job not in known:
            self._give_back(left.keys, Claim(left.job, left.by))
        self._leftover.unlink()

    # going on with a job

    def check_held(self, reserved: Reserved, asked: Sequence[Asked]) -> None:
        """Raise ProjectError where a reserved job's claims were released, so that it must not be sent."""
        self._check_held(self._ticket(reserved.job), reserved, asked)

    def was_sent(self, job: str) -> bool:
        """Return whether a clone has sent a job, and written that into its ledger."""
        found = self._ticket(job)
        return found is not None and found.ticket.state == "sent"

    def sent_jobs(self, known: Container[str]) -> list[str]:
        """Return the names of the jobs that any clone has sent, or was about to, but those that are known."""
        folder = self._path("jobs/")
        names = (key.removeprefix(folder) for key in keys_under(self._s3, self._bucket, folder, where=f"s3://{self._bucket}"))
        tickets = (self._ticket(name) for name in names if name not in known)
        return [one.ticket.job for one in tickets if one is not None and one.ticket.state in ("sending", "sent")]

    def sent_lines(self, job: str, *, is_there: bool) -> str:
        """Return the lines of the ledger of a job that a clone has sent; an empty text where none has, or its ticket has none.

        `is_there`: whether one that a clone was about to send was sent, or may have been.
        """
        found = self._ticket(job)
        return found.ticket.lines if found is not None and found.ticket.state in ("sent", "sending" if is_there else "sent") else ""

    def going(self, reserved: Reserved, asked: Sequence[Asked], *, goes_on: bool) -> None:
        """Write down that the service is about to be told of a job: from now on nobody can release it. Raises ProjectError where it was released, or sent.

        This clone goes on where it was itself, also after a kill. `goes_on`: whether it does no harm to go on where another was about to tell it.
        """
        by = self._sender(reserved.job)
        for _ in range(TRIES):
            found = self._ticket(reserved.job)
            self._check_held(found, reserved, asked)
            if found is not None and found.ticket.state == "sending" and found.ticket.by == by:
                return
            if found is not None and (found.ticket.state == "sent" or (found.ticket.state == "sending" and not goes_on)):
                do = f"Let them finish, and `git pull`. If their machine is lost, `boxset label cancel {reserved.job}` gives it up here"
                raise ProjectError(f"another clone has sent job {reserved.job}, or was about to", where=f"s3://{self._bucket}", do=do)
            if found is None:
                found = Read(self._new_ticket(reserved, asked, by))
            if found.ticket.state != "claimed" or self._write(msgspec.structs.replace(found.ticket, state="sending", by=by), found.etag):
                return
        raise self._changing(reserved.job)

    def _sender(self, job: str) -> str:
        """Return what a job's ticket says `by` while this clone sends it: the same after a kill."""
        known = read_json(self._sending, Sending) if self._sending.exists() else None
        if known is None or known.job != job:
            known = Sending(job, uuid4().hex)
            write_json(self._sending, known)
        return known.by

    def give_up(self, reserved: Reserved, asked: Sequence[Asked], *, goes_on: bool) -> bool:
        """Write down that a reserved job is given up, so that no other clone that has it sends it. Return whether nobody has sent it before, or may have.

        `goes_on`: as for `going`.
        Its claims stay: they hold up nobody who has the ledger that gave it up, and everybody else, as its pictures may be bought anew there.
        """
        for _ in range(TRIES):
            found = self._ticket(reserved.job) or Read(self._new_ticket(reserved, asked, uuid4().hex))
            if found.ticket.is_over or found.ticket.state == "sent" or (found.ticket.state == "sending" and not goes_on):
                return found.ticket.is_over
            over = msgspec.structs.replace(found.ticket, state="released", released_by=self._who or "somebody", released_at=self._at, is_given_up=True)
            if self._write(over, found.etag):
                return True
        raise self._changing(reserved.job)

    def gone(self, job: str) -> None:
        """Write down that the service has a job. What cannot be written now does no harm: the ledger and the service have it."""
        with suppress(ServiceError):
            found = self._ticket(job)
            if found is not None and found.ticket.state == "sending":
                self._write(msgspec.structs.replace(found.ticket, state="sent"), found.etag)

    def _check_held(self, found: Read | None, reserved: Reserved, asked: Sequence[Asked]) -> None:
        """Check a job's ticket; without one, which is how a version before tickets claimed, that each of its claims is there."""
        if found is not None and not found.ticket.is_over:
            return
        if found is None and all((self._holder(key) or Claim("")).job == reserved.job for key in self._keys(reserved, asked)):
            return
        why = f"its claims were {found.ticket.end}" if found else "its claims are not there: released, or reserved before project.bucket was set"
        do = f"Others may buy its pictures now: `boxset label cancel {reserved.job}` gives it up here, then `dvc repro label`"
        raise ProjectError(f"job {reserved.job} is not sent: {why}", where=f"s3://{self._bucket}", do=do)

    # releasing one

    def unsettled(self, settled: Iterable[Job], unsent: Iterable[Job]) -> list[Read]:
        """Return the tickets of all jobs but the settled ones, which the ledger knows as sent or over, in the order of names.

        Claims that no ticket names have one made up: a version before tickets wrote them, or a submit that somebody released while it claimed.
        """
        over, waiting = {job.name: job for job in settled}, list(unsent)
        names = list(keys_under(self._s3, self._bucket, self._path(""), where=f"s3://{self._bucket}"))
        folder = self._path("jobs/")
        read = (self._ticket(key.removeprefix(folder)) for key in names if key.startswith(folder) and key.removeprefix(folder) not in over)
        found = {one.ticket.job: one for one in read if one is not None and one.ticket.state != "released"}
        told = {key for job in (*over.values(), *waiting) for key in self._keys(job.reserved, job.asked)}
        told |= {key for one in found.values() for key in one.ticket.keys}
        rest: dict[str, list[str]] = {}
        for key in names:
            if not key.startswith(folder) and key not in told and (holder := self._holder(key)) is not None:
                rest.setdefault(holder.job, []).append(key)
        found |= {job: self._without_ticket(job, keys) for job, keys in rest.items() if job not in found}
        return [found[name] for name in sorted(found)]

    def release(self, read: Read) -> None:
        """Give back the claims of a job whose ticket stands as it was read; one that somebody had begun to release is finished.

        Raises ProjectError where its owner, or somebody else, has gone on with it since.
        """
        by = self._who or "somebody"
        ticket = msgspec.structs.replace(read.ticket, state="releasing", released_by=by, released_at=self._at, is_given_up=False)
        if not self._write(ticket, read.etag):
            what = f"job {ticket.job} is not released: somebody has gone on with it just now"
            raise ProjectError(what, where=f"s3://{self._bucket}", do="`boxset label release` shows how it stands")
        for key in ticket.keys:
            held, etag = self._read(key, Claim)
            if held is not None and held.job == ticket.job:
                self._free(key, etag)
        found = self._ticket(ticket.job)
        if found is not None and found.ticket == ticket:
            self._write(msgspec.structs.replace(ticket, state="released"), found.etag)

    def _without_ticket(self, job: str, keys: Sequence[str]) -> Read:
        """Return a ticket for claims that have none, or only one that was released; what it does not know is left empty."""
        found = self._ticket(job)
        pictures = len({key.rpartition("/")[2] for key in keys})
        if found is not None:
            return Read(msgspec.structs.replace(found.ticket, keys=tuple(keys), pictures=pictures), found.etag)
        return Read(Ticket(job=job, by=uuid4().hex, pictures=pictures, keys=tuple(keys)))

    # tickets and claims

    def _new_ticket(self, reserved: Reserved, asked: Sequence[Asked], by: str) -> Ticket:
        whose = Ticket(job=reserved.job, by=by, service=self.service, who=self._who, at=self._at, lines=reservation_lines(reserved, asked))
        return msgspec.structs.replace(whose, pictures=reserved.pictures, worst_mills=reserved.worst_mills, keys=self._keys(reserved, asked))

    def _open(self, ticket: Ticket) -> None:
        """Write a job's ticket, over one that was released. One of the same job is ours too. Raises ProjectError where somebody is releasing it, or gave it up."""
        for _ in range(TRIES):
            found = self._ticket(ticket.job)
            if found is not None and found.ticket.is_given_up:
                do = f"Let them push their ledger: `git pull`, `dvc repro label`, submit. `boxset label release {ticket.job}` gives back what a lost machine claimed"
                what = f"job {ticket.job} was given up, {found.ticket.end}, who may have bought its pictures anew"
                raise ProjectError(what, where=f"s3://{self._bucket}", do=do)
            if found is not None and found.ticket.state == "releasing":
                do = f"`boxset label release {ticket.job} --yes` ends that, then submit again"
                raise ProjectError(f"job {ticket.job} is being {found.ticket.end}", where=f"s3://{self._bucket}", do=do)
            if (found is not None and found.ticket.state != "released") or self._write(ticket, found.etag if found else ""):
                return
        raise self._changing(ticket.job)

    def _check_conditions(self, job: str) -> None:
        """Raise ServiceError where the bucket writes over a ticket that is there, or is another than was read: there no claim keeps anybody from anything."""
        found = self._ticket(job)
        if found is not None and (self._write(found.ticket, "") or self._write(found.ticket, OTHER_ETAG)):
            what = "the bucket takes no notice of the conditions of a write (If-None-Match, If-Match): two clones could buy the same picture"
            raise ServiceError(what, where=f"s3://{self._bucket}", do="Nothing was bought. Take an S3 that knows them, or leave project.bucket empty")

    def _changing(self, job: str) -> ProjectError:
        what = f"the ticket of job {job} changes all the time, or the bucket does not know its own ETags again (If-Match)"
        return ProjectError(what, where=f"s3://{self._bucket}", do="Nothing was sent: submit again")

    def _ticket(self, job: str) -> Read | None:
        found, etag = self._read(self._path(f"jobs/{job}"), Ticket)
        return None if found is None else Read(found, etag)

    def _write(self, ticket: Ticket, etag: str) -> bool:
        """Write a ticket where it stands as it was read; no etag: where there is none. Return whether it did."""
        return self._put(self._path(f"jobs/{ticket.job}"), ticket, **({"IfMatch": etag} if etag else {"IfNoneMatch": "*"}))

    def _keys(self, reserved: Reserved, asked: Iterable[Asked]) -> tuple[str, ...]:
        return tuple(self._key(reserved.version, number, item) for item in asked for number in reserved.categories.values())

    def _key(self, version: int, category_id: int, item: Asked) -> str:
        again = f".{item.attempt}" if item.attempt else ""
        return self._path(f"{version}/{category_id}/{item.sha256}{again}")

    def _path(self, name: str) -> str:
        return f"{self._prefix}/claims/{name}".lstrip("/")

    def _take(self, key: str, own: Claim) -> None:
        """Write a claim where there is none, or one that was given back. Raises ProjectError where there is one of another job."""
        if self._put(key, own, IfNoneMatch="*"):
            return
        holder, etag = self._read(key, Claim)
        if holder == FREE:
            if self._put(key, own, IfMatch=etag):
                return
            holder = self._holder(key)
        if holder is None:
            raise ProjectError("another submit has just given this claim back", where=f"s3://{self._bucket}/{key}", do="Submit again")
        if holder.job != own.job:
            lost = f"Where no ledger has that job, their submit was killed: it must run again; `boxset label release {holder.job}` gives back what a lost machine claimed"
            do = f"A colleague is buying it: `git pull`, `dvc repro label`, and submit the new plan. {lost}"
            raise ProjectError(f"claimed by job {holder.job}", where=f"s3://{self._bucket}/{key}", do=do)

    def _give_back(self, keys: Sequence[str], own: Claim) -> None:
        """Free our claims, and then say so in the ticket, where it is ours."""
        for key in keys:
            held, etag = self._read(key, Claim)
            if held == own:
                self._free(key, etag)
        found = self._ticket(own.job)
        if found is not None and found.ticket.by == own.by and found.ticket.state == "claimed":
            self._write(msgspec.structs.replace(found.ticket, state="released", released_at=self._at), found.etag)

    def _holder(self, key: str) -> Claim | None:
        """Return what a claim says; None where there is none, or it was given back."""
        held, _ = self._read(key, Claim)
        return None if held == FREE else held

    # S3

    def _put(self, key: str, value: Claim | Ticket, **condition: str) -> bool:
        """Write an object on a condition. Return whether it held."""
        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=msgspec.json.encode(value), **condition)
        except errors() as err:
            if code_of(err) not in BEATEN:
                raise refused(err, f"s3://{self._bucket}") from err
            return False
        return True

    def _read(self, key: str, as_type: type[T]) -> tuple[T | None, str]:
        """Return what an object says, and its ETag; None where there is none."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
            found, etag = answer["Body"].read(), str(answer.get("ETag", ""))
        except errors() as err:
            if code_of(err) == "NoSuchKey":
                return None, ""
            raise refused(err, f"s3://{self._bucket}") from err
        if not etag:
            raise ServiceError("the bucket gives objects no ETag", where=f"s3://{self._bucket}", do="Take an S3 that does, or leave project.bucket empty")
        try:
            return msgspec.json.decode(found, type=as_type), etag
        except msgspec.MsgspecError as err:
            raise InputError(f"no claim of Boxset: {err}", where=f"s3://{self._bucket}/{key}", do="Take another prefix in project.bucket") from err

    def _free(self, key: str, etag: str) -> None:
        """Delete a claim that stands as it was read, or write that it is free where the S3 cannot delete on a condition; another that was written since stays."""
        try:
            self._s3.delete_object(Bucket=self._bucket, Key=key, IfMatch=etag)
        except errors() as err:
            if code_of(err) == "NotImplemented":
                self._put(key, FREE, IfMatch=etag)
            elif code_of(err) not in (*BEATEN, "NoSuchKey"):
                raise refused(err, f"s3://{self._bucket}/{key}") from err


def service_of(params: Params) -> str:
    """Return which service the parameters name, and where it is: whom to ask whether it has a job."""
    labeler = params.labeler
    where = {"ground_truth": f"{labeler.region}, {labeler.bucket or params.project.bucket}", "label_studio": labeler.url.rstrip("/")}
    return f"{labeler.backend} ({where[labeler.backend]})" if labeler.backend in where else labeler.backend


def claims_of(params: Params, endpoints: Endpoints, *, who: str = "", at: str = "") -> Claims | None:
    """Return the team's claims where `project.bucket` is set. `who`, `at`: as for `Claims`."""
    return Claims(params, endpoints, who=who, at=at) if params.project.bucket else None

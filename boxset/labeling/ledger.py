"""The ledger: every picture ever sent to be labelled, what it may cost, and its answer; append-only, in git.

`purchases.jsonl` holds jobs (reserved before anything is sent), the pictures they ask about, and how they went on; `answers.jsonl` what people
said; `drawings.jsonl` what each of several people drew in one picture, which tells how good the answers are and changes none. Lines are whole
events: branches merge by taking the lines of both, in any order. Readers resolve what then stands double or apart so:

- the same line twice counts once, and the order of lines means nothing;
- a reservation counts from its last picture on: one with fewer pictures than it states was cut off while it was written, so nothing was sent;
- a job costs its worst case until a line closes it, then the highest of its closing costs; a bill beats both, of two bills the higher;
- where two clones have reserved a job at different prices, it costs what was done at the higher one;
- of two lines on one picture of a job, or two reservations of it, the greater holds;
- of two answers of one job on one picture, one that labels beats one that failed, then the later revision holds, then that of more people, then
  the greater line;
- of two drawings of one person in one picture of a job, the later revision holds, then the greater line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from boxset.dataset.records import BBox
from boxset.errors import InputError
from boxset.files import append_lines, as_line, is_json, read_lines, sha256_of

PURCHASES, ANSWERS, DRAWINGS = "purchases.jsonl", "answers.jsonl", "drawings.jsonl"
WHAT = "a line of the ledger"
MARK = 8  # hexadecimal digits of the hash that stands for a person
Count = Annotated[int, msgspec.Meta(ge=0)]  # of pictures, or of mills: nothing gives money back


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event", gc=False):
    """Base of all lines."""

    job: str


class Reserved(Event, frozen=True, tag="reserved"):
    """Money set aside for a job, written before anything is sent."""

    backend: str
    version: int  # of the instructions
    categories: dict[str, int]  # name → id, in the order in which workers see them
    pictures: Count
    worst_mills: Count
    trial: bool = False
    at: str = ""  # UTC, to the second; ledgers of before do not state it, nor the two below
    workers: Count = 0  # how many are to draw each picture
    worker_mills: Count = 0  # what each of them is paid for one

    @property
    def names(self) -> dict[int, str]:
        """Return what each category was called then, by its id."""
        return {number: name for name, number in self.categories.items()}


class Asked(Event, frozen=True, tag="asked"):
    """One picture of a job."""

    sha256: str
    file_name: str
    width: int
    height: int
    phash: str
    grid: str = ""
    found_for: str = ""
    query: str = ""
    attempt: int = 0  # how many jobs had it before


class Sent(Event, frozen=True, tag="sent"):
    """The service has the job."""


class Closed(Event, frozen=True, tag="closed"):
    """The job is over; what it has cost as far as the service's counts tell. `withdrawn`: it was never sent."""

    state: Literal["completed", "stopped", "failed", "withdrawn"]
    cost_mills: Count


class Billed(Event, frozen=True, tag="billed"):
    """What the bill says that the job has cost."""

    cost_mills: Count


class Drawn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One box that people drew, in pixels of the picture as sent."""

    category_id: int
    bbox: BBox
    workers: int = 0  # how many drew it; 0: the service does not say
    confidence: float = 0.0  # as the service states it; 0 where one person drew alone


class Answered(Event, frozen=True, tag="answered"):
    """What came back for one picture. No boxes: people looked and there is none."""

    sha256: str
    state: Literal["labelled", "failed"]
    boxes: tuple[Drawn, ...] = ()
    why: str = ""
    workers: int = 0  # how many looked; 0: the service does not say
    doubtful: tuple[int, ...] = ()  # category ids of which some drew a box that is left out, as not more than half did
    made: str = ""  # when, as the service states it
    revision: int = 0  # counts the corrections that were collected


class Drawing(Event, frozen=True, tag="drawing"):
    """What one of several people drew in one picture; `worker` is the mark of their id (`worker_mark`)."""

    sha256: str
    worker: str
    boxes: tuple[Drawn, ...] = ()
    revision: int = 0  # counts the corrections that were collected


def worker_mark(worker_id: str) -> str:
    """Return what stands in the ledger for a person: the first digits of the SHA-256 of the id that the service knows them by. No name, no address."""
    return sha256_of(worker_id.encode())[:MARK]


Purchase = Reserved | Asked | Sent | Closed | Billed
E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Job:
    """All that the ledger says of a job."""

    reserved: Reserved
    asked: tuple[Asked, ...]
    is_sent: bool
    closed: Closed | None
    answers: dict[str, Answered]
    billed: Billed | None = None
    drawings: Mapping[str, tuple[Drawing, ...]] = field(default_factory=dict)  # by picture; of each person one, sorted by their marks

    @property
    def name(self) -> str:
        """The job's name."""
        return self.reserved.job

    @property
    def is_withdrawn(self) -> bool:
        """Whether it was given up before it was sent."""
        return self.closed is not None and self.closed.state == "withdrawn"

    @property
    def committed_mills(self) -> int:
        """What the job has cost, or may cost at the most while it is open."""
        if self.billed:
            return self.billed.cost_mills
        return self.closed.cost_mills if self.closed else self.reserved.worst_mills


@dataclass(frozen=True)
class Ledger:
    """Every job, by name."""

    jobs: dict[str, Job]
    fingerprint: str  # of its distinct lines, in whatever order, but drawings: they change no plan

    @property
    def committed_mills(self) -> int:
        """What was ever spent, and is reserved now."""
        return sum(job.committed_mills for job in self.jobs.values())

    @property
    def spent_mills(self) -> int:
        """What closed jobs have cost."""
        return sum(job.committed_mills for job in self.jobs.values() if job.closed)


def read_ledger(folder: Path) -> Ledger:
    """Read the ledger; no files, no purchases. Raises InputError naming file and line."""
    purchases: dict[bytes, Purchase] = _read(folder / PURCHASES, Purchase)
    answers: dict[bytes, Answered] = _read(folder / ANSWERS, Answered)
    drawings: dict[bytes, Drawing] = _read(folder / DRAWINGS, Drawing)
    jobs = jobs_of([*purchases.values(), *answers.values(), *drawings.values()], where=str(folder))
    return Ledger(jobs, sha256_of(b"\n".join(sorted({*purchases, *answers})))[:16])


def _read(path: Path, as_type: Any) -> dict[bytes, Any]:
    return read_lines(path, as_type, what=WHAT, do="Take the line from git's history")


def reservation_lines(reserved: Reserved, asked: Iterable[Asked]) -> str:
    """Return a reservation as it stands in the ledger: a job goes out with it, so that it is not lost with the machine that bought it."""
    return "".join(msgspec.json.encode(event).decode() + "\n" for event in (reserved, *asked))


def read_reservation(lines: str, job: str) -> tuple[Reserved, tuple[Asked, ...]] | None:
    """Return a job's reservation, as far as it went out with the job; None where it did not."""
    events = [msgspec.json.decode(line, type=Reserved | Asked) for line in sorted(whole_lines(lines.encode()))]
    reserved = next((event for event in events if isinstance(event, Reserved) and event.job == job), None)
    asked = tuple(event for event in events if isinstance(event, Asked) and event.job == job)
    if reserved is None or not asked:
        return None
    worst = reserved.worst_mills // max(1, reserved.pictures) * len(asked)  # a sender that was killed had not sent all
    return msgspec.structs.replace(reserved, pictures=len(asked), worst_mills=worst), asked


def whole_lines(content: bytes) -> frozenset[bytes]:
    """Return the distinct lines of a ledger's file, without one that was cut short."""
    return frozenset(line for line in (raw.strip() for raw in content.split(b"\n")) if line and is_json(line))


def jobs_of(events: Iterable[Event], *, where: str) -> dict[str, Job]:
    """Return the jobs that events tell of, by name. Raises InputError where events speak of a job whose reservation is not whole."""
    by_job: dict[str, list[Event]] = {}
    for event in events:
        by_job.setdefault(event.job, []).append(event)
    found = {name: _job(name, some, where) for name, some in sorted(by_job.items())}
    return {name: job for name, job in found.items() if job is not None}


def _job(name: str, events: list[Event], where: str) -> Job | None:
    reserved = max(_of(events, Reserved), key=lambda r: (r.worst_mills, msgspec.json.encode(r)), default=None)
    asked = {event.sha256: event for event in sorted(_of(events, Asked), key=msgspec.json.encode)}
    later = [event for event in events if not isinstance(event, (Reserved, Asked))]
    if reserved is None or len(asked) != reserved.pictures:
        _check_never_sent(name, later, where)
        return None
    dearer = Fraction(reserved.worst_mills, max(1, min(one.worst_mills for one in _of(events, Reserved))))
    is_sent = any(isinstance(event, (Sent, Answered)) for event in later)
    closed = [
        msgspec.structs.replace(event, cost_mills=min(reserved.worst_mills, ceil(event.cost_mills * dearer)))  # at whose price it was sent is not known
        for event in _of(later, Closed)
        if not (is_sent and event.state == "withdrawn")  # one clone gave up what another sent
    ]
    return Job(
        reserved,
        tuple(asked.values()),
        is_sent,
        max(closed, key=lambda c: (c.cost_mills, c.state), default=None),
        _answers(_of(later, Answered)),
        max(_of(later, Billed), key=lambda b: b.cost_mills, default=None),
        _drawings(_of(later, Drawing)),
    )


def _of(events: Iterable[Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def _check_never_sent(name: str, later: list[Event], where: str) -> None:
    if later:
        files = sorted({_file_of(event) for event in later})
        do = f"{' and '.join(files)} of {where} speak of it, and its reservation is not whole in {PURCHASES}: lines were lost, or the files are of two branches. "
        do += "Take them from git's history together, and merge branches by keeping the lines of both"
        raise InputError(f"job {name} goes on, and its reservation is not there or not whole", where=where, do=do)


def _file_of(event: Event) -> str:
    return {Answered: ANSWERS, Drawing: DRAWINGS}.get(type(event), PURCHASES)


def _answers(events: list[Answered]) -> dict[str, Answered]:
    found: dict[str, Answered] = {}
    for event in events:
        found[event.sha256] = max(found.get(event.sha256, event), event, key=_authority)
    return found


def _drawings(events: list[Drawing]) -> dict[str, tuple[Drawing, ...]]:
    latest = {(event.sha256, event.worker): event for event in sorted(events, key=lambda e: (e.revision, msgspec.json.encode(e)))}
    found: dict[str, tuple[Drawing, ...]] = {}
    for (sha256, _), drawing in sorted(latest.items()):
        found[sha256] = (*found.get(sha256, ()), drawing)
    return found


def _authority(answer: Answered) -> tuple[bool, int, int, bytes]:
    return answer.state == "labelled", answer.revision, answer.workers, msgspec.json.encode(answer)


def append(folder: Path, file: str, events: Iterable[Event]) -> None:
    """Append events, on disk before this returns. One process at a time; a line that a killed one left half written is cut off.

    Raises InputError, and writes nothing, where an event could not be read again.
    """
    append_lines(folder / file, [as_line(event, what=WHAT, where=f"job {event.job}") for event in events])

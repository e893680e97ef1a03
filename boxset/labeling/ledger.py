"""The ledger: every picture ever sent to be labelled, what it may cost, and its answer; append-only, in git.

`purchases.jsonl` holds jobs (reserved before anything is sent), the pictures they ask about, and how they went on; `answers.jsonl` what people
said. Lines are whole events: branches merge by taking the lines of both. Readers resolve double lines so: the same line twice counts once; of two
answers of one job on one picture, one that labels beats one that failed, then the greater line holds; a job counts at its worst-case cost until a
line closes it, and at the highest of its closing costs then.
"""

import fcntl
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from boxset.dataset.records import BBox
from boxset.errors import InputError
from boxset.files import disk_error, sha256_of

PURCHASES, ANSWERS = "purchases.jsonl", "answers.jsonl"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event"):
    """Base of all lines."""

    job: str


class Reserved(Event, frozen=True, tag="reserved"):
    """Money set aside for a job, written before anything is sent."""

    backend: str
    version: int  # of the instructions
    categories: dict[str, int]  # name → id, in the order in which workers see them
    pictures: int
    worst_mills: int
    trial: bool = False


class Asked(Event, frozen=True, tag="asked"):
    """One picture of a job."""

    sha256: str
    file_name: str
    width: int
    height: int
    phash: str
    grid: str = ""
    found_for: str = ""


class Sent(Event, frozen=True, tag="sent"):
    """The service has the job."""


class Closed(Event, frozen=True, tag="closed"):
    """The job is over."""

    state: Literal["completed", "stopped", "failed"]
    cost_mills: int


class Drawn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One box that people drew, in pixels of the picture as sent."""

    category_id: int
    bbox: BBox
    workers: int = 0  # how many drew it; 0: the service does not say
    confidence: float = 0.0


class Answered(Event, frozen=True, tag="answered"):
    """What came back for one picture. No boxes: people looked and there is none."""

    sha256: str
    state: Literal["labelled", "failed"]
    boxes: tuple[Drawn, ...] = ()
    why: str = ""


Purchase = Reserved | Asked | Sent | Closed


@dataclass(frozen=True)
class Job:
    """All that the ledger says of a job."""

    reserved: Reserved
    asked: tuple[Asked, ...]
    is_sent: bool
    closed: Closed | None
    answers: dict[str, Answered]

    @property
    def name(self) -> str:
        """The job's name."""
        return self.reserved.job

    @property
    def committed_mills(self) -> int:
        """What the job has cost, or may cost at the most while it is open."""
        return self.closed.cost_mills if self.closed else self.reserved.worst_mills


@dataclass(frozen=True)
class Ledger:
    """Every job, by name."""

    jobs: dict[str, Job]
    fingerprint: str  # of both files

    @property
    def committed_mills(self) -> int:
        """What was ever spent, and is reserved now."""
        return sum(job.committed_mills for job in self.jobs.values())

    @property
    def spent_mills(self) -> int:
        """What closed jobs have cost."""
        return sum(job.closed.cost_mills for job in self.jobs.values() if job.closed)


def read_ledger(folder: Path) -> Ledger:
    """Read the ledger; no files, no purchases. Raises InputError naming file and line."""
    purchases = _lines(folder / PURCHASES, Reserved | Asked | Sent | Closed)
    answers = _lines(folder / ANSWERS, Answered)
    reserved = {event.job: event for event in purchases if isinstance(event, Reserved)}
    asked: dict[str, dict[str, Asked]] = {}
    for event in purchases:
        if isinstance(event, Asked):
            asked.setdefault(event.job, {})[event.sha256] = event
    sent = {event.job for event in purchases if isinstance(event, Sent)}
    closed: dict[str, Closed] = {}
    for event in purchases:
        if isinstance(event, Closed) and (event.job not in closed or event.cost_mills > closed[event.job].cost_mills):
            closed[event.job] = event
    said = _answers(answers)
    jobs = {
        name: Job(event, tuple(asked.get(name, {}).values()), name in sent, closed.get(name), said.get(name, {}))
        for name, event in sorted(reserved.items())
    }
    _check_known({event.job for event in [*purchases, *answers]} - jobs.keys(), folder)
    return Ledger(jobs, fingerprint(folder))


def _check_known(unknown: set[str], folder: Path) -> None:
    if unknown:
        do = "Lines were lost: take the file from git's history, and merge branches by keeping the lines of both"
        raise InputError(f"speaks of a job {min(unknown)} that was never reserved", where=str(folder), do=do)


def _answers(events: list[Answered]) -> dict[str, dict[str, Answered]]:
    found: dict[str, dict[str, Answered]] = {}
    for event in events:
        of_job = found.setdefault(event.job, {})
        of_job[event.sha256] = max(of_job.get(event.sha256, event), event, key=lambda a: (a.state == "labelled", msgspec.json.encode(a)))
    return found


def fingerprint(folder: Path) -> str:
    """Return a digest of the ledger as it stands."""
    return sha256_of(b"\0".join((folder / name).read_bytes() if (folder / name).exists() else b"" for name in (PURCHASES, ANSWERS)))[:16]


def _lines(path: Path, as_type: Any) -> list[Any]:
    """Read distinct lines in order; a torn last line was never acted on and is passed over."""
    if not path.exists():
        return []
    decoder = msgspec.json.Decoder(as_type)
    lines = path.read_bytes().split(b"\n")
    found: dict[bytes, Any] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line in found:
            continue
        try:
            found[line] = decoder.decode(line)
        except msgspec.MsgspecError as err:
            if number == len(lines):
                continue
            raise InputError(f"not a line of the ledger: {err}", where=f"{path}:{number}", do="Take the line from git's history") from err
    return list(found.values())


def append(folder: Path, file: str, events: Iterable[Event]) -> None:
    """Append events in one write, on disk before this returns. Only one process at a time; a torn line of an earlier one is cut off."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    content = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
    try:
        with path.open("ab+") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            _cut_torn_line(out)
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except OSError as err:
        raise disk_error(err, path) from err


def _cut_torn_line(out: Any) -> None:
    end = out.seek(0, os.SEEK_END)
    if not end:
        return
    out.seek(max(0, end - (1 << 20)))
    tail = out.read()
    if not tail.endswith(b"\n"):
        out.truncate(end - len(tail) + tail.rfind(b"\n") + 1)
    out.seek(0, os.SEEK_END)

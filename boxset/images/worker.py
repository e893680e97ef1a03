"""The other side of `decoders`: a process that only turns bytes into pictures, held in by limits of memory and time.

It is handed one job after the other on a socket, and ends with it, so also when the process that started it is killed.
"""

import errno
import os
import resource
import socket
import struct
import sys
import traceback
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Protocol

import msgspec

from boxset.dataset.reasons import Reason, Refusal
from boxset.images.prepare import Limits, Prepared, prepare

FRAME = struct.Struct("!IQ")  # the lengths of what follows: a message and a picture's bytes
BUFFER = 1 << 20
LEAST_MEMORY = 64 << 20  # without so much to be had there is no sense in starting

_numbers = count()


class Stored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A picture that lies in a folder, and how it came."""

    sha256: str
    file_name: str
    width: int
    height: int
    phash: str
    grid: str
    raw_width: int
    raw_height: int
    orientation: int = 1
    animated: bool = False
    looks: tuple[str, ...] = ()  # what kind of picture it seems to be: drawing, screenshot, catalogue, placeholder


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to do with a picture's bytes: where to write it, what to refuse, and what to look at it with (`module:function`)."""

    folder: str
    max_pixels: int
    max_side: int
    parent: int  # the process that asks; without it nothing is written any more
    look: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of it: a picture in the file `part` (empty where the picture was there already), a refusal, or an error."""

    stored: Stored | None = None
    part: str = ""
    reason: Reason | None = None
    detail: str = ""
    errno: int = 0  # the folder could not be written
    bug: str = ""  # ours, with its traceback


def answer(job: Job, raw: bytes) -> Answer:
    """Prepare a picture and write it beside its place. Never raises: whatever a decoder does with hostile bytes is the picture's fault."""
    prepared = prepare(raw, Limits(job.max_pixels, job.max_side))
    if isinstance(prepared, Refusal):
        return Answer(reason=prepared.reason, detail=prepared.detail)
    try:
        stored = _stored(prepared, job.look)
        return Answer(stored=stored, part=_written(prepared, Path(job.folder)) if os.getppid() == job.parent else "")
    except OSError as err:
        return Answer(errno=err.errno or errno.EIO)
    except Exception:  # noqa: BLE001 - carried to the other side, and raised there
        return Answer(bug=traceback.format_exc())


def _stored(prepared: Prepared, look: str) -> Stored:
    module, _, name = look.partition(":")
    return Stored(
        sha256=prepared.sha256,
        file_name=prepared.file_name,
        width=prepared.width,
        height=prepared.height,
        phash=prepared.phash,
        grid=prepared.grid,
        raw_width=prepared.raw_width,
        raw_height=prepared.raw_height,
        orientation=prepared.orientation,
        animated=prepared.animated,
        looks=getattr(import_module(module), name)(prepared) if look else (),
    )


def _written(prepared: Prepared, folder: Path) -> str:
    if (folder / prepared.file_name).exists():
        return ""
    part = folder / f".{prepared.file_name}.{os.getpid()}-{next(_numbers)}.part"  # the same picture may come again before this one has its name
    try:
        part.write_bytes(prepared.content)
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(prepared.content)
    return str(part)


def main(memory_bytes: int, cpu_s: int) -> None:
    """Do jobs until the other side goes away. Each has `cpu_s` seconds of computing; more ends the process."""
    _limit(resource.RLIMIT_AS, memory_bytes, for_good=True)
    _limit(resource.RLIMIT_CORE, 0, for_good=True)
    link = socket.socket(fileno=0)
    with link:
        jobs = _Whole(link)
        bytearray(LEAST_MEMORY)
        send(link, b"ready")
        while (received := receive(jobs)) is not None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + cpu_s)
            send(link, msgspec.msgpack.encode(answer(msgspec.msgpack.decode(received[0], type=Job), received[1])))


def _limit(kind: int, value: int, *, for_good: bool = False) -> None:
    """Set a limit as far as this system lets us."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, value if for_good else hard))
    except (ValueError, OSError):
        return


def send(link: socket.socket, message: bytes, raw: bytes = b"") -> None:
    """Send a message and a picture's bytes."""
    link.sendall(FRAME.pack(len(message), len(raw)) + message)
    if raw:
        link.sendall(raw)


class _Whole:
    """Reads from a socket without a time-out; wakes up once for all that is asked for."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, or fewer where the other side has gone."""
        return self._link.recv(size, socket.MSG_WAITALL) if size else b""


class Readable(Protocol):
    """What a message can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, or fewer at the end."""


def receive(stream: Readable) -> tuple[bytes, bytes] | None:
    """Return the next message and its bytes, or None where the other side has gone."""
    head = stream.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    lengths = FRAME.unpack(head)
    message, raw = stream.read(lengths[0]), stream.read(lengths[1])
    return (message, raw) if (len(message), len(raw)) == lengths else None


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

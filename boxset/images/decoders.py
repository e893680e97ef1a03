"""Decoding what strangers sent, in processes of their own: what crashes, hangs or swells there is one broken picture, and no more.

A decoder has a limit of memory and, for each picture, one of computing and one of waiting. It starts when there is something to
decode, sees nothing of this process's environment and open files, and ends with this process, also when that is killed.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Condition
from typing import BinaryIO

import msgspec

from boxset.dataset.reasons import Reason, Refusal
from boxset.errors import ProjectError
from boxset.files import disk_error
from boxset.images.prepare import Limits, Prepared
from boxset.images.worker import BUFFER, Answer, Job, Stored, receive, send

PER_DECODER = 48  # so many pictures are decoded before one process more starts: few pictures do not pay for it
START = "import sys, json; sys.path[:0] = json.loads(sys.argv.pop(1)); from boxset.images.worker import main; main(*map(int, sys.argv[1:]))"
ENVIRONMENT = {  # nothing of ours; one thread each; freed memory is kept for the next picture, which saves a quarter of the time
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_TOP_PAD_": str(16 << 20),
}
LIBRARY = str(Path(__file__).parents[2])
TOO_LONG = Refusal(Reason.BROKEN, "it takes too long to decode")

Look = Callable[[Prepared], tuple[str, ...]]
"""Says what kind of picture it seems to be. A function of a module, as it is called in another process."""


@dataclass(frozen=True)
class Guards:
    """What a decoder may use: memory in all, and for each picture seconds of computing and of the clock."""

    memory_bytes: int = 2 << 30
    cpu_s: int = 20
    wall_s: float = 120.0


class Decoders:
    """Up to `most` decoding processes, started as the work grows; may be used from many threads.

    By default one for each core, and one more, so that no core rests while one waits for its next picture.
    """

    def __init__(self, guards: Guards = Guards(), *, most: int = 0) -> None:
        self.guards, self.most = guards, most or _cores() + 1
        self._idle: list[_Decoder] = []
        self._alive = self._done = 0
        self._changed = Condition()

    def prepare(self, raw: bytes, folder: Path, limits: Limits = Limits(), look: Look | None = None) -> tuple[Stored, Path | None] | Refusal:
        """Prepare a picture and write it into `folder`, under a temporary name that is returned, or None where it lies there already.

        A picture that ends its decoder is tried once more, as something else may have ended it.
        Raises ProjectError where no decoder can start, or nothing can be written.
        """
        job = Job(folder=str(folder.absolute()), max_pixels=limits.max_pixels, max_side=limits.max_side, parent=os.getpid(), look=_name(look))
        message = msgspec.msgpack.encode(job)
        answer = self._once(message, raw) or self._once(message, raw) or Refusal(Reason.BROKEN, "it ends the decoder")
        if isinstance(answer, Refusal):
            return answer
        if answer.bug:
            raise RuntimeError(answer.bug)
        if answer.errno:
            raise disk_error(OSError(answer.errno, os.strerror(answer.errno)), folder)
        if answer.stored is None:
            return Refusal(answer.reason or Reason.BROKEN, answer.detail)
        return answer.stored, Path(answer.part) if answer.part else None

    def _once(self, message: bytes, raw: bytes) -> Answer | Refusal | None:
        decoder = self._taken()
        outcome: Answer | Refusal | None = None
        try:
            outcome = decoder.ask(message, raw)
        finally:
            with self._changed:
                self._done += 1
                if isinstance(outcome, Answer):
                    self._idle.append(decoder)
                else:
                    decoder.close()
                    self._alive -= 1
                self._changed.notify()
        return outcome

    def _taken(self) -> "_Decoder":
        with self._changed:
            while not self._idle and self._alive >= min(self.most, 1 + self._done // PER_DECODER):
                self._changed.wait()
            if self._idle:
                return self._idle.pop()
            self._alive += 1
        try:
            return _Decoder(self.guards)
        except BaseException:
            with self._changed:
                self._alive -= 1
                self._changed.notify()
            raise

    def close(self) -> None:
        """End all decoders that rest."""
        with self._changed:
            self._alive -= len(self._idle)
            while self._idle:
                self._idle.pop().close()


class _Decoder:
    """One process and the socket to it."""

    def __init__(self, guards: Guards) -> None:
        self._link, theirs = socket.socketpair()
        for end in (self._link, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        with theirs:
            command = [sys.executable, "-I", "-S", "-c", START, json.dumps(_search_path()), str(guards.memory_bytes), str(guards.cpu_s)]
            null = subprocess.DEVNULL
            try:
                self._process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=null, stderr=null, env=ENVIRONMENT, start_new_session=True)  # noqa: S603 - ourselves
            except OSError:
                self._link.close()
                raise
        self._answers: BinaryIO = self._link.makefile("rb")
        self._link.settimeout(guards.wall_s)
        if self._received() is None:
            self.close()
            raise ProjectError("the process that decodes pictures cannot start", do=f"It may use {guards.memory_bytes >> 20} MiB; is there so much?")

    def ask(self, message: bytes, raw: bytes) -> Answer | Refusal | None:
        """Return its answer, a refusal of a picture that takes too long, or None where it has died."""
        try:
            send(self._link, message, raw)
            received = receive(self._answers)
        except TimeoutError:
            return TOO_LONG
        except OSError:
            received = None
        if received is not None:
            return msgspec.msgpack.decode(received[0], type=Answer)
        return TOO_LONG if self._ended_by(signal.SIGXCPU) else None

    def _received(self) -> tuple[bytes, bytes] | None:
        try:
            return receive(self._answers)
        except OSError:
            return None

    def _ended_by(self, number: int) -> bool:
        try:
            return self._process.wait(5) == -int(number)
        except subprocess.TimeoutExpired:
            return False

    def close(self) -> None:
        """End it at once, whatever it does."""
        self._answers.close()
        self._link.close()
        self._process.kill()
        self._process.wait()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _search_path() -> list[str]:
    """Return where it finds our library and what that needs: as here, without what is relative to the working directory."""
    return [LIBRARY, *(str(Path(place).absolute()) for place in sys.path if place and place != LIBRARY)]


def _name(look: Look | None) -> str:
    return f"{look.__module__}:{look.__qualname__}" if look is not None else ""


@cache
def shared() -> Decoders:
    """Return this process's decoders; they end with it."""
    decoders = Decoders()
    atexit.register(decoders.close)
    return decoders

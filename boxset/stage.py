"""What every stage has around it: one writer at a time, a clear end, and no silent rebuild in a clone."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from boxset.conflicts import read_lock
from boxset.errors import BoxsetError, ProjectError
from boxset.files import sole_writer, unforeseen
from boxset.params import Params
from boxset.terminal import show_what_can_be_shown


def run(out: Path, do: Callable[[], None], *, live: bool = False) -> None:
    """Run a stage's work as the only writer of `out`. An error that a user can act on ends it with one line and exit code 1, Ctrl-C with one line and 130."""
    end_with_parent()
    show_what_can_be_shown()
    try:
        if live:
            refuse_silent_rebuild(out)
        with ended_by_interrupt(), sole_writer(out):
            do()
    except BoxsetError as err:
        sys.exit(f"boxset: {err}")
    except OSError as err:
        sys.exit(f"boxset: {unforeseen(err, out)}")


@contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C end this process at once, whoever it waits for: a kill at any moment loses nothing."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # whoever started us in the background wants it ignored
        yield
        return
    signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(number: int, frame: object) -> None:  # noqa: ARG001 - what a signal's handler is called with
    shown_again = b"\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else b""  # a bar may have hidden the cursor
    os.write(2, shown_again + b"boxset: stopped; `dvc repro` goes on from what there is\n")
    os._exit(130)


def refuse_silent_rebuild(out: Path, *, lock: Path = Path("dvc.lock")) -> None:
    """Raise ProjectError where `dvc.lock` knows `out` and it is not here: pulling is cheaper than building it again.

    `BOXSET_REBUILD=1` builds it all the same.
    """
    if out.exists() or os.environ.get("BOXSET_REBUILD") == "1":
        return
    if out.as_posix() in locked_outputs(lock):
        do = f"`dvc checkout {out}` takes it from DVC's cache here, `dvc pull {out}` fetches it; `BOXSET_REBUILD=1 dvc repro` builds it again from the internet"
        raise ProjectError("dvc.lock has this output, and it is not here", where=str(out), do=do)


def locked_outputs(lock: Path) -> set[str]:
    """Return the paths of all outputs in `dvc.lock`. Raises ProjectError where it cannot be read."""
    return {out["path"] for stage in read_lock(lock).values() for out in stage.get("outs", [])}


def outputs_not_here(root: Path, params: Params | None) -> list[str]:
    """Return what `dvc.lock` has and this machine has not, but what is of a source or category that is declared no more.

    Raises ProjectError where the lock cannot be read.
    """
    return sorted(path for path in locked_outputs(root / "dvc.lock") if not (root / path).exists() and _is_declared(path, params))


def _is_declared(path: str, params: Params | None) -> bool:
    parts = Path(path).parts
    if params is None or len(parts) < 3 or parts[:2] not in {("data", "index"), ("data", "extract"), ("data", "crawl")}:
        return True
    return parts[2] in (params.categories if parts[1] == "crawl" else params.sources)


def end_with_parent() -> None:
    """End when the process that started this one (DVC) is killed, where the system can do that (Linux)."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG

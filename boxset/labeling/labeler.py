"""What every labelling service can do for us, and which one the parameters name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from boxset.endpoints import Endpoints
from boxset.labeling.ledger import Asked, Job, Reserved
from boxset.labeling.received import Received
from boxset.params import Params


@dataclass(frozen=True)
class Progress:
    """How far a job is. `state`: unknown (the service has no such job), open, completed, stopped or failed."""

    state: str
    done: int = 0
    failed: int = 0
    detail: str = ""  # why it failed, in the service's words, or what it waits for


LastLook = Callable[[], None]


def nothing_to_see() -> None:
    """Look at nothing: no team shares this purchase."""


class Labeler(Protocol):
    """A labelling service. Every call may be repeated: sending a job that is there already changes nothing.

    `takes_corrections`: whether results of a job that is over may still change, and looking costs nothing.
    `is_shared`: whether every clone sees the same jobs, so that two of one name are one.
    `takes_once`: whether nothing comes twice where a job is handed over a second time while the first is still at it.
    """

    takes_corrections: bool
    is_shared: bool
    takes_once: bool

    def check(self) -> None:
        """Raise an error where a job could not be sent as things stand; spends nothing."""
        ...

    def send(self, reserved: Reserved, asked: Sequence[Asked], pictures: Mapping[str, Path], last_look: LastLook = nothing_to_see) -> None:
        """Hand a job over; idempotent by its name. `last_look` is called right before the service is told of what it may not have: an error there stops it."""
        ...

    def jobs(self, prefix: str) -> list[str]:
        """Return the names of all jobs that the service has under a prefix: the second witness of what was bought."""
        ...

    def lines(self, job: str) -> str:
        """Return the lines of the ledger that a job went out with, as far as the service has them."""
        ...

    def progress(self, job: Job) -> Progress:
        """Return how far a job is."""
        ...

    def answers(self, job: Job) -> Received:
        """Return what has come back so far, checked."""
        ...

    def cancel(self, job: Job) -> bool:
        """Stop a job; what was answered stays. Return whether it is over at once, whatever the service says."""
        ...


def labeler_of(params: Params, endpoints: Endpoints) -> Labeler:
    """Return the service that `labeler.backend` names."""
    if params.labeler.backend == "ground_truth":
        from boxset.labeling.ground_truth import GroundTruth

        return GroundTruth(params, endpoints)
    if params.labeler.backend == "label_studio":
        from boxset.labeling.label_studio import LabelStudio

        return LabelStudio(params, endpoints)
    from boxset.labeling.files import Folder

    return Folder(params)

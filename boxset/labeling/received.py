"""What comes back from people is checked here before anything is written: the ledger takes in no box that it could not read or use again.

A picture with one bad box is refused whole, with file, record and field: without the box it would be called fully labelled. What is refused
costs nothing that was paid for: the other pictures are taken in, the service's file stays as it is, and the job stays open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, TypeVar

import msgspec

from boxset.dataset.geometry import clipped
from boxset.dataset.records import BBox
from boxset.labeling.ledger import Answered, Asked, Drawing

TOLERANCE_PX, TOLERANCE_SHARE = 2.0, 0.01  # a box may stick out of its picture by so much, whichever is more, and is clipped
FIELDS = ("left", "top", "width", "height")
UNFIT = (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError, msgspec.MsgspecError)
"""What a record that is not what it should be raises while it is read."""

T = TypeVar("T")


@dataclass(frozen=True)
class Refusal:
    """What came back and is not taken in: where it stands, what is wrong, and of which picture where that is known."""

    where: str
    what: str
    sha256: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Received:
    """What came back for a job: of each picture one answer or its refusals, never both.

    `drawings`: what each of several people drew, where the service tells; `unread`: drawings that cannot be used, which keep no answer from coming in.
    `partial`: what those drew who did, in pictures that wait for more people, or for one whose drawing is refused.
    """

    answers: tuple[Answered, ...] = ()
    refused: tuple[Refusal, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    unread: tuple[Refusal, ...] = ()
    partial: tuple[Answered, ...] = ()

    def without_waiting(self) -> "Received":
        """Return what holds once nobody is waited for: the partial answers are answers, and keep no picture refused."""
        known = {one.sha256 for one in self.partial}
        refused = tuple(one for one in self.refused if one.sha256 not in known)
        unread = tuple(one for one in self.refused if one.sha256 in known)
        return replace(self, answers=(*self.answers, *self.partial), refused=refused, unread=(*self.unread, *unread), partial=())


@dataclass
class Pile:
    """Answers and refusals as they are read, one record after the other."""

    answers: dict[str, Answered] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)

    def answer(self, one: Answered, where: str) -> None:
        """Take an answer; a second one on its picture that differs refuses both."""
        known = self.answers.get(one.sha256, one)
        if known != one:
            self.refuse(where, f"{one.sha256[:16]}… stands here twice, with other boxes", one.sha256)
        self.answers[one.sha256] = known

    def refuse(self, where: str, what: object, sha256: str = "") -> None:
        """Refuse a record, and with it its picture."""
        self.refused.append(Refusal(where, str(what), sha256))

    def received(self) -> Received:
        """Return what may be taken in."""
        out = {refusal.sha256 for refusal in self.refused}
        return Received(tuple(one for one in self.answers.values() if one.sha256 not in out), tuple(self.refused))


def latest(many: Iterable[Received]) -> Received:
    """Return of each picture what the first says that speaks of it, and all refusals that name no picture."""
    answers: dict[str, Answered] = {}
    refused: list[Refusal] = []
    seen: set[str] = set()
    for received in many:
        answers.update({one.sha256: one for one in received.answers if one.sha256 not in seen})
        refused += [one for one in received.refused if not one.sha256 or one.sha256 not in seen]
        seen |= {one.sha256 for one in received.answers} | {one.sha256 for one in received.refused}
    return Received(tuple(answers.values()), tuple(refused))


def record(raw: object, as_type: type[T]) -> T:
    """Return a foreign record as a type. Raises ValueError naming the field."""
    try:
        return msgspec.convert(raw, as_type)
    except (msgspec.ValidationError, OverflowError) as err:
        raise ValueError(_field_first(str(err))) from err


def _field_first(message: str) -> str:
    what, _, where = message.partition(" - at `$")
    return f"{where.rstrip('`').lstrip('.')}: {what}" if where else message


def checked_bbox(bbox: Sequence[float], asked: Asked, fields: Sequence[str] = FIELDS) -> BBox:
    """Return a box in pixels of its picture, clipped where it sticks out by a little.

    Raises ValueError naming the field of a number that is not finite, a side that is not positive, and a box that lies outside.
    """
    numbers = left, top, width, height = tuple(map(float, bbox))
    bad = next((f"{name}: {number:g}" for name, number in zip(fields, numbers, strict=True) if not isfinite(number)), "")
    if bad:
        raise ValueError(f"{bad} is no number")
    small = next((f"{name}: {side:g}" for name, side in zip(fields[2:], (width, height), strict=True) if side <= 0), "")
    if small:
        raise ValueError(f"{small} is not more than 0")
    _check_inside(left, left + width, asked.width, (fields[0], fields[2]))
    _check_inside(top, top + height, asked.height, (fields[1], fields[3]))
    inside = clipped((left, top, width, height), asked.width, asked.height)
    if inside is None:
        raise ValueError(f"{fields[2]}, {fields[3]}: nothing of the box lies inside the picture of {asked.width} x {asked.height}")
    return inside


def _check_inside(start: float, end: float, side: int, names: tuple[str, str]) -> None:
    slack = max(TOLERANCE_PX, side * TOLERANCE_SHARE)
    if start < -slack:
        raise ValueError(f"{names[0]}: {start:g} lies outside the picture")
    if end > side + slack:
        raise ValueError(f"{' + '.join(names)}: {end:g} lies outside the picture of {side} pixels")


def reason(err: BaseException) -> str:
    """Return in a few words what is wrong with a record."""
    if isinstance(err, KeyError):
        return f"{err.args[0]}: missing"
    return str(err) if type(err) is ValueError else f"{type(err).__name__} {err}"


def listed(raw: Any, name: str) -> list[Any]:
    """Return a list of a foreign file. Raises ValueError where there is none."""
    found = raw.get(name) if isinstance(raw, dict) else None
    if not isinstance(found, list):
        raise ValueError(f"{name}: there is no such list")  # noqa: TRY004 - what is wrong is the file
    return found

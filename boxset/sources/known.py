"""What a source's verified labels say of one of our categories in an image: present, partly boxed, absent, or nothing.

A category may be several classes, and a class may lie in a hierarchy of which only the most specific label is boxed (Open Images). So:
what is absent is absent with all its children; a child that is there is an instance of its parent; a class that is present and
exhaustively boxed has every instance boxed under itself or one of its children; and a category is fully boxed only where each of its
classes is either fully boxed under labels that are ours as well, or absent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from boxset.dataset.records import State
from boxset.sources.classes import Vocabulary


class Answer(NamedTuple):
    """A person has looked for a class in an image: it is there or not, and if it is, whether every instance has its box."""

    present: bool
    exhaustive: bool


@dataclass(frozen=True)
class Kinship:
    """A category's classes in a source, and what lies over and under each in its hierarchy."""

    classes: frozenset[str]
    above: Mapping[str, frozenset[str]]  # of each of `classes` and of `foreign`
    below: Mapping[str, frozenset[str]]  # of each relevant class
    foreign: frozenset[str]  # children of ours that are not ours

    @property
    def relevant(self) -> frozenset[str]:
        """Every class of which an answer says something about the category."""
        return frozenset(self.below)


def kinship(vocabulary: Vocabulary, classes: Iterable[str]) -> Kinship:
    """Return what is over and under a category's classes."""
    own = frozenset(classes)
    foreign = frozenset(vocabulary.below(own)) - own
    above = {one: frozenset(vocabulary.above([one])) for one in own | foreign}
    relevant = own | foreign | frozenset(chain.from_iterable(above.values()))
    return Kinship(own, above, {one: frozenset(vocabulary.below([one])) for one in relevant}, foreign)


def state_of(kin: Kinship, answers: Mapping[str, Answer], boxed: Iterable[str]) -> State | None:
    """Return what is known of a category in an image of which `answers` and boxes of `boxed` classes tell; None: nothing."""
    present = {one for one, answer in answers.items() if answer.present} | set(boxed)
    if present & (kin.classes | kin.foreign):
        return State.PRESENT if all(_complete(one, kin, answers, present) for one in kin.classes) else State.PARTIAL
    return State.ABSENT if all(_absent(one, kin, answers, present) for one in kin.classes) else None


def _absent(one: str, kin: Kinship, answers: Mapping[str, Answer], present: set[str]) -> bool:
    """Return whether a class is verified to be absent, itself or with what lies over it. Where a child is there, the denial is wrong."""
    denied = (name for name in (one, *kin.above[one]) if name in answers and not answers[name].present)
    return any(name not in present and not kin.below[name] & present for name in denied)


def _complete(one: str, kin: Kinship, answers: Mapping[str, Answer], present: set[str]) -> bool:
    """Return whether every instance of a class has a box that is ours."""
    if _absent(one, kin, answers, present):
        return True
    covering = [name for name in (one, *(kin.above[one] & kin.classes)) if name in answers and answers[name] == Answer(True, True)]
    foreign = kin.below[one] - kin.classes
    return bool(covering) and all(_absent(child, kin, answers, present) for child in foreign)

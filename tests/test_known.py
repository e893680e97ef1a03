"""Present, partly boxed, absent, or nothing: what verified labels say of a category of one or more classes in a hierarchy."""

import pytest

from boxset.dataset.records import State
from boxset.sources.classes import Vocabulary
from boxset.sources.known import Answer, kinship, state_of

YES, SOME, NO = Answer(True, True), Answer(True, False), Answer(False, False)
TREE = [
    {"class_id": "tool", "name": "Tool"},
    {"class_id": "kitchen", "name": "Kitchen tool"},
    {"class_id": "hammer", "name": "Hammer", "parents": ["tool"]},
    {"class_id": "knife", "name": "Knife", "parents": ["tool", "kitchen"]},
    {"class_id": "mallet", "name": "Mallet"},
]
LEAF, PARENT, FAMILY, TWO = ("hammer",), ("tool",), ("tool", "hammer", "knife"), ("hammer", "mallet")


@pytest.mark.parametrize(
    ("classes", "answers", "boxed", "state"),
    [
        # one class without children
        (LEAF, {}, (), None),
        (LEAF, {"hammer": YES}, ("hammer",), State.PRESENT),
        (LEAF, {"hammer": SOME}, ("hammer",), State.PARTIAL),
        (LEAF, {}, ("hammer",), State.PARTIAL),
        (LEAF, {"hammer": YES}, (), State.PRESENT),
        (LEAF, {"hammer": NO}, (), State.ABSENT),
        (LEAF, {"hammer": NO}, ("hammer",), State.PARTIAL),  # a box is there: the denial is wrong
        # its parent
        (LEAF, {"tool": NO}, (), State.ABSENT),
        (LEAF, {"tool": YES}, (), None),
        (LEAF, {"tool": NO, "hammer": YES}, ("hammer",), State.PRESENT),
        # a parent without its children: theirs are instances of it, boxed under their own names
        (PARENT, {"tool": YES}, ("tool",), State.PARTIAL),
        (PARENT, {"tool": YES, "hammer": NO, "knife": NO}, ("tool",), State.PRESENT),
        (PARENT, {"tool": YES, "hammer": NO, "kitchen": NO}, ("tool",), State.PRESENT),
        (PARENT, {"hammer": YES}, (), State.PARTIAL),
        (PARENT, {"hammer": NO, "knife": NO}, (), None),
        (PARENT, {"tool": NO}, (), State.ABSENT),
        # with them
        (FAMILY, {"tool": YES}, ("tool", "hammer"), State.PRESENT),
        (FAMILY, {"hammer": YES}, ("hammer",), State.PARTIAL),
        (FAMILY, {"hammer": YES, "tool": NO}, ("hammer",), State.PARTIAL),  # the denial of the parent is wrong where its child is there
        (FAMILY, {"tool": NO}, (), State.ABSENT),
        (FAMILY, {"hammer": NO, "knife": NO}, (), None),
        # several classes that have nothing to do with each other
        (TWO, {"hammer": YES}, ("hammer",), State.PARTIAL),
        (TWO, {"hammer": YES, "mallet": NO}, ("hammer",), State.PRESENT),
        (TWO, {"hammer": YES, "mallet": YES}, ("hammer", "mallet"), State.PRESENT),
        (TWO, {"hammer": YES, "mallet": SOME}, ("hammer", "mallet"), State.PARTIAL),
        (TWO, {"hammer": NO}, (), None),
        (TWO, {"tool": NO, "mallet": NO}, (), State.ABSENT),
    ],
)
def test_what_is_known_of_a_category(classes: tuple[str, ...], answers: dict[str, Answer], boxed: tuple[str, ...], state: State | None) -> None:
    kin = kinship(Vocabulary("x", TREE), classes)

    assert state_of(kin, answers, boxed) is state


def test_answers_of_parents_and_children_matter_and_no_others() -> None:
    kin = kinship(Vocabulary("x", TREE), PARENT)

    assert (kin.foreign, kin.relevant) == ({"hammer", "knife"}, {"tool", "hammer", "knife", "kitchen"})


def test_a_circle_in_a_hierarchy_ends() -> None:
    rows = [{"class_id": "a", "name": "a", "parents": ["b"]}, {"class_id": "b", "name": "b", "parents": ["a"]}]
    kin = kinship(Vocabulary("x", rows), ["a"])

    assert kin.foreign == {"b"}
    assert state_of(kin, {"a": YES}, ("a",)) is State.PARTIAL

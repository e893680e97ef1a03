"""A suspicious label, for tests."""

from typing import Any

import msgspec

from boxset.compare.suspicious import Suspect

ONE = Suspect(
    kind="mislabelled",
    score=0.9,
    category="hammer",
    key="hammer",
    predicted="saw",
    confidence=0.8,
    overlap=0.7,
    label=(10.0, 20.0, 100.0, 80.0),
    prediction=(12.0, 20.0, 100.0, 80.0),
    sha256="a" * 64,
    file_name="a.jpg",
    width=400,
    height=300,
    split="train",
    source="local",
    labelled_by="local",
    known="complete",
    model="v1",
)


def suspect(**more: Any) -> Suspect:
    """A hammer that the model takes for a saw."""
    return msgspec.structs.replace(ONE, **more)

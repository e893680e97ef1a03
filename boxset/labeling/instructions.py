"""What workers are told: the text of `labeler.instructions`, or a short one, and the guideline of each category that is asked about."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from boxset.files import read_text
from boxset.params import Params


@dataclass(frozen=True)
class Instructions:
    """`short` says what there is to do; `guidelines` what counts as each category, empty where none has one."""

    short: str
    guidelines: str

    @property
    def whole(self) -> str:
        """Both, as one text."""
        return "\n\n".join(part for part in (self.short, self.guidelines) if part)


def instructions_of(params: Params, asked: Iterable[str]) -> Instructions:
    """Return what to tell those who are asked about categories. Raises InputError where a file cannot be read."""
    names = list(asked)
    path = params.labeler.instructions
    short = _text(path) if path else f"Draw a tight box round every {', '.join(names)}. None of them there: draw nothing."
    files = {name: params.categories[name].guideline for name in names if name in params.categories}
    return Instructions(short, "\n\n".join(f"{name}:\n{_text(file)}" for name, file in files.items() if file))


def _text(path: str) -> str:
    return read_text(Path(path), do="Write it, or correct the path in params.yaml").strip()

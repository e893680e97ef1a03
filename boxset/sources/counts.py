"""What was read of a source's files: rows seen, and rows left out by reason, file by file where they cannot be read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from boxset.dataset.reasons import Reason
from boxset.errors import InputError


@dataclass
class FileCount:
    """One file's rows: all, those that cannot be read, and what is wrong with the first of these."""

    path: Path
    rows: int = 0
    bad: int = 0
    first: str = ""


@dataclass
class Counts:
    """`seen`: rows of boxes. `lost`: what was left out by reason, of whatever file."""

    seen: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    files: list[FileCount] = field(default_factory=list)
    firsts: dict[str, str] = field(default_factory=dict)  # what is wrong with the first record that was lost for a reason, where that is known
    torn: set[str] = field(default_factory=set)  # images of which a record cannot be read: what has no box there may be there all the same

    def lose(self, reason: Reason, number: int = 1, why: InputError | None = None) -> None:
        """Count records that are left out; `why`: what is wrong with the first of them."""
        if number:
            self.lost[reason] = self.lost.get(reason, 0) + number
            self.firsts |= {reason: f"{why.where}: {why.what}"} if why is not None and reason not in self.firsts else {}

    def begin(self, path: Path) -> FileCount:
        """Count a further file by itself, so that a large one does not hide a small one that is broken."""
        self.files.append(FileCount(path))
        return self.files[-1]

    def unreadable(self, file: FileCount, number: int, why: Callable[[], InputError] | None = None) -> None:
        """Count rows that cannot be read; `why` is asked of the first ones alone."""
        if number and why and not file.first:
            err = why()
            file.first = f"{err.where}: {err.what}".removeprefix(f"{file.path}: ")
        file.bad += number
        self.lose(Reason.BAD_ROW, number)

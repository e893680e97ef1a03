"""The one tree of errors: what went wrong, where, and what to do next.

    BoxsetError
    ├── ParamsError     a parameter is wrong, missing or misspelt
    ├── InputError      a file or record from outside is not what it should be
    ├── ServiceError    a service or site does not answer, or refuses
    ├── BudgetError     a purchase would pass the cap, or cannot be proven not to
    └── ProjectError    the project's own state: world, lock, missing outputs, disk

The command line and the stages print one line and exit 1; anything else is a bug and keeps its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from boxset.text import visible

MOST_NAMED = 30  # names that one line lists


class BoxsetError(Exception):
    """An error that a user can act on.

    `what` says what is wrong, `where` names the file, row, field or address, `do` the next step.
    """

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        self.what, self.where, self.do = what, where, do
        super().__init__(visible(_sentence(what, where, do)))


class ParamsError(BoxsetError):
    """A parameter is wrong, missing or misspelt."""


class InputError(BoxsetError):
    """A file or record from outside is not what it should be."""


class ServiceError(BoxsetError):
    """A service or site does not answer, or refuses."""


class BudgetError(BoxsetError):
    """A purchase would pass the cap, or cannot be proven not to."""


class ProjectError(BoxsetError):
    """The project's own state is in the way."""


def did_you_mean(word: str, known: Iterable[str], *, most: int = 3) -> str:
    """Return `; did you mean a or b?`, or an empty string where nothing is near."""
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), by_folded, n=most, cutoff=0.6)
    return f"; did you mean {' or '.join(by_folded[name] for name in near)}?" if near else ""


def no_category(name: str, known: Iterable[str], *, where: str = "params.yaml") -> ParamsError:
    """Return the error for a category that a command names and `where` does not have: the nearest ones, and which there are."""
    names = list(known)
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ParamsError(f"there is no category {name}{did_you_mean(name, names)}", where=where, do=f"There are {', '.join(names[:MOST_NAMED])}{more}")


def _sentence(what: str, where: str, do: str) -> str:
    head = f"{where}: {what}" if where else what
    return f"{head}{'' if head.endswith(('?', '.')) else '.'} {do}" if do else head

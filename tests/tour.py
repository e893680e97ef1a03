"""A user's first day, in a copy of this project with an empty ledger: `make tour` shows it, a test runs it."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.project import Project, copy_of_repository

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("check the parameters", ("boxset", "check")),
    ("build what can be had for nothing", ("dvc", "repro", "-q")),
    ("what is there", ("boxset", "status")),
    ("keep this version", ("git", "commit", "-qam", "First round")),
    ("what to buy next, and at what price", ("boxset", "label", "plan")),
    ("what of it can be looked at before", ("boxset", "review", "--list")),
    ("buy it: a trial first", ("boxset", "label", "submit", "--yes")),
    ("how far are they", ("boxset", "label", "status")),
    ("take the answers in", ("boxset", "label", "collect")),
    ("the trial looked good: a plan that knows it", ("dvc", "repro", "-q", "label")),
    ("buy the rest", ("boxset", "label", "submit", "--yes")),
    ("take the answers in", ("boxset", "label", "collect")),
    ("nothing is bought twice", ("boxset", "label", "submit", "--yes")),
    ("rebuild with the answers", ("dvc", "repro", "-q")),
    ("what changed", ("boxset", "diff", "HEAD")),
    ("keep this version", ("git", "commit", "-qam", "With the first labels")),
    ("one more category", ("boxset", "add", "wrench", "adjustable wrench")),
    ("only the new work runs", ("dvc", "repro", "-q")),
    ("in numbers", ("dvc", "metrics", "diff", "--md")),
    ("what changed", ("boxset", "diff", "HEAD")),
    ("is the data set sound", ("boxset", "validate")),
    ("what is there", ("boxset", "status")),
)

REFUSED = {"nothing is bought twice"}  # these are to exit with 1


def fresh_copy(root: Path, **environment: str) -> Project:
    """Copy the project and empty what it bought and remembers."""
    project = copy_of_repository(root, **environment)
    for file in (root / "ledger").glob("*.jsonl"):
        file.write_text("")
    for name in ("dvc.lock", "splits.csv"):
        (root / name).unlink(missing_ok=True)
    shutil.rmtree(root / "metrics", ignore_errors=True)
    project.commit("An empty ledger")
    return project


def walk(project: Project) -> Iterator[tuple[str, tuple[str, ...], str, int]]:
    """Run the steps; yield what each is for, its command, what it printed and its exit code."""
    for purpose, command in STEPS:
        if command[:2] == ("git", "commit"):
            project.run("git", "add", "-A")
        done = project.run(*command, check=False)
        yield purpose, command, done.stdout + done.stderr, done.returncode


def main() -> None:
    """Show the tour; stop at the first step that fails."""
    with tempfile.TemporaryDirectory() as folder:
        for purpose, command, printed, code in walk(fresh_copy(Path(folder) / "tools")):
            print(f"\n# {purpose}\n$ {' '.join(command)}\n{printed.rstrip()}")
            if code and purpose not in REFUSED:
                sys.exit(code)


if __name__ == "__main__":
    main()

"""The console command `boxset`: names its commands and loads each from `boxset/commands/` when it is called."""

import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from boxset import __version__
from boxset.errors import BoxsetError, ProjectError, did_you_mean
from boxset.files import unforeseen
from boxset.terminal import show_what_can_be_shown

PARAMS = "params.yaml"
COMMANDS = {
    "init": "Write a new live project.",
    "check": "Check all parameters, or explain one.",
    "doctor": "List what a project still needs, and the command that mends it.",
    "add": "Add a category to params.yaml.",
    "coverage": "Which sources have a thing, how many boxes, usable under my licence?",
    "preview": "Look at pictures of every source and query before committing to anything.",
    "review": "Look at a category's pictures, and sort them before you pay.",
    "label": "Plan, buy and collect labels.",
    "status": "What was built, and where to look.",
    "diff": "What changed between two versions, box by box.",
    "predictions": "Take in what a detector of your own sees.",
    "suspicious": "Labels that are likely wrong, by what a detector sees.",
    "explain": "The whole history of one picture, or where it was left out.",
    "audit": "Where each box is from, what it cost, whom to credit, what may be passed on.",
    "takedown": "Keep a picture out of all later builds, as its owner wants.",
    "freeze": "Declare the test set of now as a version that no later build changes.",
    "validate": "Check a data set record by record.",
    "export": "Write the data set in another format.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of a user's day."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import `boxset.commands.<name>` and return its `command`. Raises UsageError where there is none."""
        if cmd_name not in COMMANDS and ctx.resilient_parsing:  # a shell asks how the line goes on
            return None
        if cmd_name not in COMMANDS:
            raise click.UsageError(f"there is no command {cmd_name}{did_you_mean(cmd_name, COMMANDS)}", ctx)
        command = import_module(f"boxset.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup)
@click.version_option(__version__)
def cli() -> None:
    """Build training sets for object detection from a list of categories."""


def check_folder(arguments: Sequence[str], here: Path) -> None:
    """Raise ProjectError where a command that works on a project is run further down in one: it would find nothing there, and say so."""
    if not arguments or arguments[0] not in COMMANDS or arguments[0] == "init" or "--help" in arguments or (here / PARAMS).exists():
        return
    above = next((folder for folder in here.parents if (folder / PARAMS).is_file() and (folder / "dvc.yaml").is_file()), None)
    if above is not None:
        raise ProjectError(f"no {PARAMS} here: the project is {above}", do=f"cd {shlex.quote(str(above))}")


def main() -> None:
    """Run the command line; an error that a user can act on is one line and exit code 1."""
    show_what_can_be_shown()
    try:
        check_folder(sys.argv[1:], Path.cwd())
        cli(standalone_mode=True)
    except BoxsetError as err:
        sys.exit(f"boxset: {err}")
    except OSError as err:
        sys.exit(f"boxset: {unforeseen(err, Path())}")

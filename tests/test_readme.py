"""The README names commands and files that there are, and every command stands in it."""

import re
import shlex
from pathlib import Path

import click
import pytest

from boxset.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TOLD = sorted({line.strip() for line in re.findall(r"(?:^\$? ?|`|&& )(boxset [a-z][^`#\n]*)", README, flags=re.MULTILINE)})


@pytest.mark.parametrize("told", TOLD)
def test_every_command_and_option_of_the_readme_is_there(told: str) -> None:
    words = shlex.split(told.partition(" && ")[0])[1:]
    command: click.Command | None = cli
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))

    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


def test_every_command_stands_in_the_readme() -> None:
    assert {name for name in COMMANDS if not any(line.startswith(f"boxset {name}") for line in TOLD)} == set()


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for file, anchor in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", README):
        headings = re.findall(r"^#+ (.+)$", (ROOT / file).read_text(), flags=re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_installs_the_pinned_versions() -> None:
    assert re.findall(r"^pip install .*?(?=  |$)", README, flags=re.MULTILINE) == ["pip install -r requirements.txt ."]

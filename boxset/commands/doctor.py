"""`boxset doctor`: what a project still needs, and the command that mends it."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from boxset.checks import problems
from boxset.doctor import FIX, LATER, OK, Finding, examine, patient
from boxset.endpoints import Endpoints, open_world
from boxset.errors import ParamsError
from boxset.params import Params
from boxset.terminal import console, say

COLOURS = {OK: "green", FIX: "bold red", LATER: "dim"}


@click.command("doctor")
def command() -> None:
    """List every prerequisite: ok, FIX (the next `dvc repro` needs it), or - (not needed for that), and the command that mends it.

    Asks the search service and, where there is a budget, the labelling service whether they would answer; fetches and buys nothing.
    Exits 1 where something must be fixed.
    """
    with _endpoints() as endpoints:
        findings = list(examine(patient(Path(), endpoints)))
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140
    console(width=wide).print(table(findings))
    missing = sum(finding.verdict == FIX for finding in findings)
    say(f"{missing} to fix before `dvc repro`" if missing else "ready: dvc repro")
    sys.exit(1 if missing else 0)


@contextmanager
def _endpoints() -> Iterator[Endpoints]:
    params = _readable()
    if params is None:
        yield Endpoints()
        return
    with open_world(params) as endpoints:
        yield endpoints


def _readable() -> Params | None:
    try:
        return problems()[0]
    except ParamsError:
        return None  # `examine` says why


def table(findings: Iterable[Finding]) -> Table:
    """Return the findings as a table for a terminal."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold", ratio=3)
    shown.add_column(overflow="fold", ratio=2)
    for finding in findings:
        colour = COLOURS[finding.verdict]
        shown.add_row(escape(finding.subject), f"[{colour}]{finding.verdict}[/]", escape(finding.what), escape(finding.do))
    return shown

"""`boxset check`: all that is wrong with the parameters, before anything runs; what any key means."""

import sys
from pathlib import Path

import click

from boxset.checks import notes, problems
from boxset.conflicts import conflicts
from boxset.errors import BoxsetError
from boxset.params import Params, place_of, read_params
from boxset.reference import ANY, Entry, as_markdown, as_text, entry_of, every_entry, parts_of, spelt, value_at, values_at
from boxset.terminal import say
from boxset.wording import counted

PARAMS = Path("params.yaml")


@click.command("check")
@click.option("--explain", metavar="KEY", help="Say what a key means, takes and is here: label.budget_usd, categories.*.target, crawl.")
@click.option("--reference", is_flag=True, help="Print the reference of all keys as Markdown (docs/parameters.md).")
def command(explain: str | None, reference: bool) -> None:
    """Check all parameters before anything runs, or explain one.

    Prints every problem, each on one line with its key and what to do, and exits 1 where there is one.
    """
    if reference:
        say(as_markdown(every_entry()), nl=False)
    elif explain is not None:
        say(explanation(explain))
    else:
        sys.exit(report())


def report() -> int:
    """Print problems and notes, or what a merge left unresolved; return the exit code."""
    unresolved = conflicts(Path())
    for conflict in unresolved:
        say(str(conflict))
    if unresolved:
        return 1
    params, found = problems()
    for fault in found:
        say(str(fault.error(place_of(fault, PARAMS))))
    for note in notes(params) if params else ():
        say(f"note: {note}")
    if params and not found:
        say(f"{PARAMS}: {counted(len(params.categories), 'category')}, {counted(len(params.sources), 'source')}: all good")
    elif len(found) > 1:
        say(f"{PARAMS}: {counted(len(found), 'problem')}")
    return 1 if found else 0


def explanation(key: str) -> str:
    """Return what a key means, and its value in the project where there is one."""
    entry = entry_of(key)
    return as_text(entry, _here(key, entry))


def _here(key: str, entry: Entry) -> list[str]:
    try:
        params = read_params(PARAMS) if PARAMS.exists() else None
    except BoxsetError:
        return ["(params.yaml has an error: `boxset check`)"]
    if params is None or not entry.plain:
        return _names(params, key) if params and entry.key in ("categories", "sources") else []
    if ANY in parts_of(key):
        return [f"{name}: {spelt(value)}" for name, value in values_at(params, key).items()]
    value = value_at(params, key)
    return [] if value is None else [f"{spelt(value)}{' (the default)' if value == entry.default and not entry.required else ''}"]


def _names(params: Params, key: str) -> list[str]:
    names = value_at(params, key)
    return [", ".join(names)] if isinstance(names, dict) else []

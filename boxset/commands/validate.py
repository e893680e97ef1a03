"""`boxset validate`."""

import sys
from pathlib import Path

import click

from boxset.terminal import say

MOST = 50  # faults that are printed


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path), default=Path("data/dataset"))
@click.option("--no-pictures", is_flag=True, help="Check the records alone, where the pictures were not pulled.")
def command(dataset: Path, no_pictures: bool) -> None:
    """Check a data set record by record; exit 1 where a fault is found."""
    from boxset.formats.check import validate

    faults = validate(dataset, pictures=not no_pictures)
    for fault in faults[:MOST]:
        say(f"{fault.where}: {fault.what}")
    if len(faults) > MOST:
        say(f"… and {len(faults) - MOST} more")
    say(f"{dataset}: {len(faults)} faults" if faults else f"{dataset}: no faults")
    sys.exit(1 if faults else 0)

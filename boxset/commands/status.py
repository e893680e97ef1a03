"""`boxset status`: what was built, and where to look."""

from pathlib import Path

import click

from boxset.params import read_params
from boxset.terminal import console, say


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Say what was built, what it cost, and what to do next.

    Reads params.yaml and metrics/ alone, so it is true in a clone without data as well.
    """
    from boxset.report.data import read_metrics
    from boxset.report.status import status

    state = status(read_params(), read_metrics(Path("metrics")))
    if as_json:
        import msgspec

        say(msgspec.json.format(msgspec.json.encode(state)).decode())
        return
    from boxset.report.terminal import status_text

    console(highlight=False).print(status_text(state))

"""`boxset preview`."""

import os
import sys
from pathlib import Path
from threading import enumerate as running

import click

from boxset.terminal import say

STORING = "boxset-store"  # the threads that decode


@click.command()
@click.argument("categories", nargs=-1, metavar="CATEGORY...")
@click.option("--all", "every", is_flag=True, help="All categories, on one page.")
@click.option("--n", "most", default=24, show_default=True, type=click.IntRange(1, 200), help="Pictures a row at the most.")
@click.option(
    "--seconds", default=90.0, show_default=True, type=click.FloatRange(1), help="Time for a category; what is late is left out, and named."
)
def command(categories: tuple[str, ...], *, every: bool, most: int, seconds: float) -> None:
    """Write a page with pictures of every source and query of CATEGORY, and what the crawl would make of them."""
    from boxset.endpoints import open_world
    from boxset.files import write_bytes
    from boxset.params import category_key, read_params
    from boxset.web.preview import preview
    from boxset.web.preview_page import page

    params = read_params()
    names = tuple(params.categories) if every else tuple(dict.fromkeys(category_key(word, params) for word in categories))
    if not names:
        raise click.UsageError("name a category, or --all")
    rows = {}
    with open_world(params) as endpoints:
        for name in names:
            rows[name] = preview(name, params, endpoints=endpoints, most=most, seconds=seconds)
            for row in rows[name]:
                say(f"{name}: {row.title}: {len(row.shots)} pictures" + (f" ({row.said})" if row.said else ""))
    out = Path("preview") / f"{'all' if every else '-'.join(names)}.html"
    write_bytes(out, page(rows).encode())
    say(f"wrote {out}")
    _leave_the_late_behind()


def _leave_the_late_behind() -> None:
    """End the process at once where pictures of a look that is over are still being decoded: Python would wait for them."""
    if any(thread.name.startswith(STORING) for thread in running()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

"""`boxset preview`."""

import os
import sys
from functools import partial
from pathlib import Path
from threading import enumerate as running
from typing import TYPE_CHECKING

import click

from boxset.errors import ServiceError
from boxset.terminal import say
from boxset.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boxset.web.preview import Row

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
    rows: dict[str, list[Row]] = {}
    failed: set[str] = set()
    with open_world(params) as endpoints:
        for name in names:
            rows[name] = preview(name, params, endpoints=endpoints, most=most, seconds=seconds, tell=partial(_tell, name))
            for line in _lines(name, rows[name], failed):
                say(line)
    _check_any_answered([row for some in rows.values() for row in some])
    out = Path("preview") / f"{'all' if every else '-'.join(names)}.html"
    write_bytes(out, page(rows).encode())
    say(f"wrote {out}")
    _leave_the_late_behind()


def _tell(category: str, what: str) -> None:
    say(f"{category}: {what}")


def _lines(category: str, rows: "list[Row]", failed: set[str]) -> "Iterator[str]":
    """Yield a line for each row; a supplier that does not answer has one in all, and is `failed` from then on."""
    for row in rows:
        if row.is_answered or row.shots:
            yield f"{category}: {row.title}: {counted(len(row.shots), 'picture')}" + (f" ({row.said})" if row.said else "")
        elif row.supplier not in failed:
            failed.add(row.supplier)
            yield f"{row.supplier}: {row.said}"


def _check_any_answered(rows: "list[Row]") -> None:
    """Raise ServiceError where there is nothing to show as no supplier answers."""
    asked = [row for row in rows if row.supplier]
    if asked and not any(row.is_answered for row in asked) and not any(row.shots for row in rows):
        do = "`boxset doctor` says what each of them needs; sources show pictures once they are indexed: `dvc repro index`"
        raise ServiceError("nothing to show: no supplier answers (is there a network?)", do=do)


def _leave_the_late_behind() -> None:
    """End the process at once where pictures of a look that is over are still being decoded: Python would wait for them."""
    if any(thread.name.startswith(STORING) for thread in running()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

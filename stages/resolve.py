"""Turn `params.yaml` into one file for each consumer, and remove what belongs to no category or source any more."""

from contextlib import nullcontext
from pathlib import Path

from boxset.endpoints import Endpoints, open_world
from boxset.history import check_ids_against_history
from boxset.params import read_params
from boxset.resolve import check_world, known_listings, known_lists, prune, write_resolved
from boxset.sources.marks import raw_marks
from boxset.sources.place import listings, needs_world, unwatched
from boxset.stage import run
from boxset.terminal import say
from boxset.web.suppliers.url_lists import changed_lists, list_marks

VERSION = 7
OUT = Path("data/resolve")


def main() -> None:
    """Read the parameters, check what needs the past, write, prune."""
    params = read_params()
    check_world(params, OUT)
    check_ids_against_history(params)
    known, known_rows = known_listings(OUT), known_lists(OUT)
    with open_world(params) if needs_world(params) else nullcontext(Endpoints(mirrors=params.mirrors)) as endpoints:
        own, lines = listings(params, endpoints, known)
        found = {**own, **raw_marks(params, endpoints, known)}
    rows = list_marks(params.crawl.url_lists, known_rows)
    news = [*(name for name, mark in found.items() if mark != known.get(name, "")), *changed_lists(params.crawl.url_lists, known_rows, rows)]
    for line in [*lines, *unwatched(params, Path("dvc.yaml"), news)]:
        say(line)
    write_resolved(params, OUT, version=VERSION, listings=found, lists=rows)
    prune(params, Path())


if __name__ == "__main__":
    run(OUT, main)

"""Look for new pictures of one category and fetch them."""

import sys
from pathlib import Path

from boxset.dataset.takedown import read_takedowns
from boxset.endpoints import open_world
from boxset.files import read_json, write_json
from boxset.labeling.asked import pictures_asked
from boxset.labeling.ledger import read_ledger
from boxset.params import read_params
from boxset.resolve import CrawlOrder
from boxset.stage import run
from boxset.web.crawl import crawl

VERSION = 7


def main(name: str) -> None:
    """Ask the suppliers what is not answered yet, fetch what is not fetched yet, write every row."""
    params = read_params()
    order = read_json(Path(f"data/resolve/queries/{name}.json"), CrawlOrder)
    asked = pictures_asked(read_ledger(Path("ledger")))  # a memory, no dependency: what was bought takes nothing out, and needs no new crawl
    with open_world(params) as endpoints:
        out, down = Path(f"data/crawl/{name}"), read_takedowns()
        metrics = crawl(order, params.crawl, out, endpoints=endpoints, contact=params.project.contact, asked=asked, down=down)
    write_json(Path(f"metrics/crawl/{name}.json"), metrics)


if __name__ == "__main__":
    category = sys.argv[1]
    run(Path(f"data/crawl/{category}"), lambda: main(category), live=read_params().world == "live")

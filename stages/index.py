"""Read one source's files into the common tables."""

import sys
from pathlib import Path

from boxset.endpoints import open_world
from boxset.files import read_json, write_json
from boxset.params import read_params
from boxset.resolve import IndexOrder
from boxset.sources.index import build_index
from boxset.stage import run

VERSION = 11


def main(name: str) -> None:
    """Fetch what is not cached yet, read, write tables and metrics."""
    params = read_params()
    order = read_json(Path(f"data/resolve/sources/{name}.json"), IndexOrder)
    with open_world(params) as endpoints:
        metrics = build_index(order, Path(f"data/index/{name}"), endpoints=endpoints, contact=params.project.contact, version=VERSION)
    write_json(Path(f"metrics/index/{name}.json"), metrics)


if __name__ == "__main__":
    source = sys.argv[1]
    run(Path(f"data/index/{source}"), lambda: main(source), live=read_params().world == "live")

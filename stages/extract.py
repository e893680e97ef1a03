"""Take what our categories need out of one source's index, and fetch its pictures."""

import sys
from pathlib import Path

from boxset.dataset.takedown import read_takedowns
from boxset.endpoints import open_world
from boxset.files import read_json, write_json
from boxset.params import read_params
from boxset.resolve import ExtractOrder
from boxset.sources.extract import extract
from boxset.stage import run

VERSION = 9


def main(name: str) -> None:
    """Choose images, fetch pictures, write boxes in pixels and what is known."""
    params = read_params()
    order = read_json(Path(f"data/resolve/classes/{name}.json"), ExtractOrder)
    with open_world(params) as endpoints:
        metrics = extract(
            order,
            Path(f"data/index/{name}"),
            Path(f"data/extract/{name}"),
            endpoints=endpoints,
            contact=params.project.contact,
            version=VERSION,
            down=read_takedowns(),
        )
    write_json(Path(f"metrics/extract/{name}.json"), metrics)


if __name__ == "__main__":
    source = sys.argv[1]
    run(Path(f"data/extract/{source}"), lambda: main(source), live=read_params().world == "live")

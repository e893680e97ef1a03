"""Turn `params.yaml` into one file for each consumer, and remove what belongs to no category or source any more."""

from pathlib import Path

from boxset.history import check_ids_against_history
from boxset.params import read_params
from boxset.resolve import check_world, prune, write_resolved
from boxset.stage import run

VERSION = 1
OUT = Path("data/resolve")


def main() -> None:
    """Read the parameters, check what needs the past, write, prune."""
    params = read_params()
    check_world(params, OUT)
    check_ids_against_history(params)
    write_resolved(params, OUT, version=VERSION)
    prune(params, Path())


if __name__ == "__main__":
    run(OUT, main)

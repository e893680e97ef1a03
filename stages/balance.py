"""Balance the merged pictures, split them, and lay the data set out so that it trains at once."""

from pathlib import Path

from boxset.assemble.balance import balance
from boxset.assemble.split import read_splits, short_words, split, write_splits
from boxset.dataset.coco import read_coco
from boxset.files import read_json, write_json
from boxset.formats.folder import write_dataset
from boxset.params import read_params
from boxset.resolve import Targets
from boxset.stage import run
from boxset.terminal import say

VERSION = 5
OUT = Path("data/dataset")
SPLITS = Path("splits.csv")


def main() -> None:
    """Read the merged set and the past splits, balance, split, write."""
    params = read_params()
    merged = read_coco(Path("data/merge/annotations.json"))
    chosen = balance(merged, read_json(Path("data/resolve/targets.json"), Targets), params.balance)
    parted = split(chosen.coco, read_splits(SPLITS), params.split)
    write_dataset(OUT, chosen, parted, name=params.project.name, guidelines={n: c.guideline for n, c in params.categories.items()}, pictures=Path("data"))
    write_splits(SPLITS, parted.remembered)
    write_json(Path("metrics/dataset.json"), {**chosen.metrics, **parted.metrics})
    for line in short_words(parted.metrics):
        say(f"warning: {line}")


if __name__ == "__main__":
    run(OUT, main)

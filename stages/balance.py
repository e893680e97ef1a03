"""Balance the merged pictures, split them, and lay the data set out so that it trains at once."""

from dataclasses import replace
from pathlib import Path

from boxset.assemble.balance import balance
from boxset.assemble.split import read_splits, room_words, short_words, split, write_splits
from boxset.assemble.trust import frozen_words
from boxset.dataset.coco import read_coco
from boxset.files import read_json, write_json
from boxset.formats.folder import write_dataset
from boxset.freezing import hold_test, with_freeze, write_record
from boxset.params import read_params
from boxset.resolve import Formats, Targets
from boxset.stage import run
from boxset.terminal import say

VERSION = 15
OUT = Path("data/dataset")
SPLITS = Path("splits.csv")
MERGED = Path("data/merge")


def main() -> None:
    """Read the merged set and the past splits, hold the test set where it is frozen, balance, split, write."""
    params = read_params()
    merged = read_coco(MERGED / "annotations.json")
    holding, record = hold_test(merged, params) or (None, None)
    frozen = holding.images if holding else None
    targets = read_json(Path("data/resolve/targets.json"), Targets)
    chosen = balance(holding.coco if holding else merged, targets, params.balance, keep=frozen or frozenset())
    queries, copies = read_json(MERGED / "queries.json", dict[str, str]), read_json(MERGED / "copies.json", dict[str, list[str]])
    parted = split(chosen.coco, read_splits(SPLITS), params.split, frozen=frozen, copies=copies, queries=queries)
    parted = replace(parted, metrics=with_freeze({**chosen.metrics, **parted.metrics}, holding))
    formats = read_json(Path("data/resolve/formats.json"), Formats).sources
    guidelines = {n: c.guideline for n, c in params.categories.items()}
    write_dataset(OUT, chosen, parted, name=params.project.name, guidelines=guidelines, pictures=Path("data"), formats=formats)
    write_splits(SPLITS, parted.remembered)
    if record:
        write_record(OUT, record)
    write_json(Path("metrics/dataset.json"), parted.metrics)
    for line in [*short_words(parted.metrics), *room_words(parted.metrics), *frozen_words(parted.metrics)]:
        say(f"warning: {line}")


if __name__ == "__main__":
    run(OUT, main)

"""Unite every source, the crawl and the answers into one COCO file."""

from pathlib import Path

from boxset.assemble.merge import merge
from boxset.dataset.coco import write_coco
from boxset.dataset.decisions import read_decisions
from boxset.dataset.records import read_crawled, read_extracted, read_pool
from boxset.dataset.refused import refused_in
from boxset.files import read_json, write_json, write_jsonl
from boxset.params import read_params
from boxset.resolve import Ids, check_folders
from boxset.stage import run

VERSION = 13
OUT = Path("data/merge")


def main() -> None:
    """Read all pools, merge, write the COCO file, the conflicts, and the fate of every record."""
    params = read_params()
    check_folders(params, Path("data"))
    crawled = read_crawled(Path("data"))
    merged = merge(
        read_extracted(Path("data")),
        crawled,
        answers=read_pool(Path("data/label/annotations.json")),
        ids=read_json(Path("data/resolve/ids.json"), Ids),
        settings=params.merge,
        refused=refused_in(Path("data")),
        decisions=read_decisions(),
    )
    write_coco(OUT / "annotations.json", merged.coco)
    write_json(OUT / "queries.json", {p.sha256: p.query for some in crawled.values() for p in some if p.query})
    write_json(OUT / "copies.json", merged.copies)
    write_jsonl(OUT / "conflicts.jsonl", merged.conflicts)
    write_jsonl(OUT / "dropped.jsonl", merged.dropped)
    write_json(Path("metrics/merge.json"), merged.metrics)


if __name__ == "__main__":
    run(OUT, main)

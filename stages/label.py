"""Take in the answers that there are, lay a detector's predictions beside the labels, and plan the next purchase. Buys nothing and contacts nobody."""

from pathlib import Path

from boxset.assemble.merge import boxes_counted, merge
from boxset.compare.sightings import sightings
from boxset.compare.suspicious import counts, suspects
from boxset.dataset.decisions import read_decisions
from boxset.dataset.reasons import Reason
from boxset.dataset.records import read_crawled, read_extracted, read_refused, write_pool
from boxset.files import read_json, write_json
from boxset.freezing import futile_labels
from boxset.labeling.answers import answered_pool
from boxset.labeling.ledger import read_ledger
from boxset.labeling.plan import make_plan, plan_metrics
from boxset.labeling.standing import check_ids
from boxset.params import read_params
from boxset.predictions.store import read_folder
from boxset.resolve import Freeze, Ids, Targets
from boxset.stage import run

VERSION = 13
OUT = Path("data/label")


def main() -> None:
    """Read the ledger and the candidates, write answers and plan."""
    params = read_params()
    ids, targets = read_json(Path("data/resolve/ids.json"), Ids), read_json(Path("data/resolve/targets.json"), Targets)
    ledger, decisions = read_ledger(Path("ledger")), read_decisions()
    check_ids(ledger, {name: identity.id for name, identity in ids.categories.items()})
    pools, crawled = read_extracted(Path("data")), read_crawled(Path("data"))
    extracted = list(pools.values())
    refused = read_refused(sorted(Path("data/extract").glob("*/refused.json")))
    answers = answered_pool(ledger, ids, params.label, crawled=crawled, extracted=extracted)
    merged = merge(pools, crawled, answers=answers, ids=ids, settings=params.merge, refused=refused, decisions=decisions)
    labelled, denied = merged.coco, {one.sha256 for one in merged.dropped if one.reason == Reason.LICENCE}
    version = read_json(Path("data/resolve/freeze.json"), Freeze).freeze_test
    futile = futile_labels(version, params, pools, crawled, ids=ids, merged={image.sha256 for image in labelled.images}, refused=denied)
    named = {identity.id: name for name, identity in ids.categories.items()}
    seen, have = read_folder(Path("predictions"), categories=named), boxes_counted(labelled, ids)
    sees = sightings(labelled, seen, list(named))
    plan = make_plan(
        ledger,
        ids,
        targets,
        params.label,
        have=have,
        crawled=crawled,
        extracted=extracted,
        refused=refused,
        decisions=decisions,
        sees=sees,
        futile=futile,
    )
    suspicious = {"suspicious": counts(suspects({"merge": labelled}, seen), list(ids.categories))} if seen.pictures else {}
    write_pool(OUT / "annotations.json", answers)
    write_json(OUT / "plan.json", plan)
    write_json(Path("metrics/label.json"), {**plan_metrics(plan, answers, ledger), **suspicious})


if __name__ == "__main__":
    run(OUT, main)

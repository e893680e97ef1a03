"""Take in the answers that there are, lay a detector's predictions beside the labels, and plan the next purchase. Buys nothing and contacts nobody."""

from itertools import chain
from pathlib import Path

from boxset.assemble.merge import boxes_counted, merge
from boxset.assemble.waiting import unnamed, unnamed_words
from boxset.compare.sightings import sightings
from boxset.compare.suspicious import counts, suspects
from boxset.dataset.decisions import read_decisions
from boxset.dataset.records import read_crawled, read_extracted, write_pool
from boxset.dataset.refused import refused_in
from boxset.files import read_json, write_json
from boxset.freezing import DENIES, futile_labels
from boxset.labeling.answers import answered_pool, copies_for, unused
from boxset.labeling.asked import pictures_asked
from boxset.labeling.gold import NOTHING_KNOWN, boxed, sources_alone, write_known
from boxset.labeling.ledger import read_ledger
from boxset.labeling.measure import gold_metrics, measured
from boxset.labeling.plan import Stock, make_plan, plan_metrics
from boxset.labeling.standing import check_ids
from boxset.params import read_params
from boxset.predictions.store import read_folder
from boxset.resolve import Freeze, Ids, Targets
from boxset.stage import run
from boxset.terminal import say

VERSION = 20
OUT = Path("data/label")


def main() -> None:
    """Read the ledger and the candidates, write answers and plan."""
    params = read_params()
    ids, targets = read_json(Path("data/resolve/ids.json"), Ids), read_json(Path("data/resolve/targets.json"), Targets)
    ledger, decisions = read_ledger(Path("ledger")), read_decisions()
    check_ids(ledger, {name: identity.id for name, identity in ids.categories.items()})
    pools, crawled = read_extracted(Path("data")), read_crawled(Path("data"))
    extracted, refused = list(pools.values()), refused_in(Path("data"))
    asked = pictures_asked(ledger)
    copy_of = copies_for(ledger, crawled=crawled, extracted=extracted)
    has_known = params.label.gold_share > 0 or not boxed(extracted).isdisjoint(asked.union(copy_of.values()))
    alone = sources_alone(pools, crawled, ids=ids, settings=params.merge, refused=refused, decisions=decisions) if has_known else NOTHING_KNOWN
    alone = alone.also_of(copy_of)
    answers = answered_pool(ledger, ids, crawled=crawled, extracted=extracted, closed=alone.closed)
    merged = merge(pools, crawled, answers=answers, ids=ids, settings=params.merge, refused=refused, decisions=decisions)
    labelled, denied = merged.coco, {one.sha256 for one in merged.dropped if one.reason in DENIES}
    version = read_json(Path("data/resolve/freeze.json"), Freeze).freeze_test
    futile = futile_labels(version, params, pools, crawled, ids=ids, merged={image.sha256 for image in labelled.images}, refused=denied)
    named = {identity.id: name for name, identity in ids.categories.items()}
    seen, have = read_folder(Path("predictions"), categories=named), boxes_counted(labelled, ids)
    stock = Stock(crawled, extracted, refused, decisions, sightings(labelled, seen, list(named)), futile, alone)
    plan = make_plan(ledger, ids, targets, params.label, stock, have=have)
    known = {sha256: one for sha256, one in alone.pictures.items() if sha256 in asked.union(plan.known_pictures)}
    suspicious = {"suspicious": counts(suspects({"merge": labelled}, seen), list(ids.categories))} if seen.pictures else {}
    write_pool(OUT / "annotations.json", answers)
    write_json(OUT / "plan.json", plan)
    write_known(OUT, known)
    idle = unused(ledger, chain((image.sha256 for image in labelled.images), *merged.copies.values()), crawled=crawled, extracted=extracted)
    waiting = unnamed(pools, answers, params.sources)
    unasked = {"without_category": waiting} if waiting else {}
    write_json(Path("metrics/label.json"), {**plan_metrics(plan, answers, ledger, unused=idle), **suspicious, **unasked, **gold_metrics(measured(ledger, known))})
    for line in unnamed_words(waiting, ids.categories):
        say(f"warning: {line}")


if __name__ == "__main__":
    run(OUT, main)

"""Known pictures in the embedded world: people there err, the measure says how, and what they drew changes no known box."""

import json
from collections import Counter
from typing import Any

import msgspec

from boxset.dataset.coco import CocoAnnotation, CocoImage, read_coco
from boxset.dataset.geometry import iou
from boxset.labeling.gold import Known, read_known
from boxset.labeling.ledger import ANSWERS, Answered, Drawn, append, read_ledger
from boxset.labeling.measure import measured
from tests.project import Project

TRUTH = """
import json, sys
from pathlib import Path
from boxset.dataset.records import picture_files
from boxset.world.truth import boxes_in
here = {name.partition(".")[0]: path for name, path in picture_files(Path("data")).items()}
print(json.dumps({name: boxes_in(here[name].read_bytes()) for name in sys.argv[1:]}))
"""
PEOPLE = 9


def buy(project: Project) -> list[str]:
    """Ask people, known pictures among the others; return the known ones that were answered."""
    params = project.params()
    params["label"] |= {"gold_share": 0.2, "workers": PEOPLE}
    project.set_params(params)
    assert project.repro("label") == ["label"]
    planned = project.json("data/label/plan.json")["known"]["sha256s"]
    shown = " ".join(project.run("boxset", "label", "plan").stdout.split())
    assert f"{len(planned)} known pictures among them, $2.42: they show how well people draw, and bring no box" in shown
    project.run("boxset", "label", "submit", "--yes", "--no-trial")
    project.run("boxset", "label", "collect")
    answers = [one for job in read_ledger(project.root / "ledger").jobs.values() for one in job.answers.values() if one.state == "labelled"]
    return sorted({one.sha256 for one in answers}.intersection(planned))


def merged(project: Project) -> tuple[dict[str, CocoImage], dict[str, list[CocoAnnotation]]]:
    """Return what merge made: images and their boxes, by SHA-256."""
    coco = read_coco(project.root / "data/merge/annotations.json")
    names = {image.id: image.sha256 for image in coco.images}
    boxes: dict[str, list[CocoAnnotation]] = {image.sha256: [] for image in coco.images}
    for one in coco.annotations:
        boxes[names[one.image_id]].append(msgspec.structs.replace(one, id=0, image_id=0))
    return {image.sha256: image for image in coco.images}, boxes


def against_truth(known: Known, truth: list[Any], drawn: tuple[Drawn, ...], names: dict[int, str]) -> Counter[str]:
    """Count what somebody drew against what the picture truly shows, the nearest pairs first."""
    counts: Counter[str] = Counter()
    for number in known.category_ids:
        there = [tuple(bbox) for name, bbox in truth if name == names.get(number)]
        mine = [one.bbox for one in drawn if one.category_id == number]
        counts["known"] += len(there)
        for _, one, other in sorted(((iou(one, other), one, other) for one in there for other in mine), reverse=True):  # type: ignore[arg-type]
            if one in there and other in mine and iou(one, other) >= 0.5:  # type: ignore[arg-type]
                there.remove(one)
                mine.remove(other)
                counts["found"] += 1
        counts["extra"] += len(mine)
    return counts


def test_what_people_of_this_world_did_wrong_is_found_and_nothing_known_is_changed(small: Project) -> None:
    before = merged(small)
    asked = buy(small)
    truth = json.loads(small.run("python", "-c", TRUTH, *asked).stdout)
    names = {one["id"]: name for name, one in small.params()["categories"].items()}

    assert small.repro() == ["label", "merge", "balance", "report"]

    ledger, known = read_ledger(small.root / "ledger"), read_known(small.root / "data/label")
    (job,) = ledger.jobs.values()
    by_worker: dict[str, Counter[str]] = {}
    for name in asked:
        for drawing in job.drawings[name]:
            by_worker.setdefault(drawing.worker, Counter()).update(against_truth(known[name], truth[name], drawing.boxes, names))
    found = measured(ledger, known)
    assert {who: Counter(known=one.together + one.missed, found=one.together, extra=one.alone) for who, one in found.people.items()} == by_worker
    assert sum((one["known"] - one["found"] for one in by_worker.values()), 0) > 0  # they err
    answered = sum((against_truth(known[name], truth[name], job.answers[name].boxes, names) for name in asked), Counter[str]())
    figures = small.json("metrics/label.json")["gold"]
    assert (figures["pictures"], figures["boxes"], figures["found"], figures["extra"]) == (len(asked), answered["known"], answered["found"], answered["extra"])
    assert f"people found {figures['found']} of {figures['boxes']} boxes" in (small.root / "data/report/index.html").read_text()
    check_nothing_known_is_changed(small, before, asked, known)
    spam(small, asked, known)
    assert small.repro() == ["label", "merge", "balance", "report"]
    check_nothing_known_is_changed(small, before, asked, known)
    assert small.json("metrics/label.json")["gold"]["extra"] >= len(asked)
    assert set(small.json("data/label/plan.json").get("known", {}).get("sha256s", ())).isdisjoint(asked)


def spam(project: Project, asked: list[str], known: dict[str, Known]) -> None:
    """Let the answers on known pictures be corrected to one box of every category in the corner."""
    ledger = read_ledger(project.root / "ledger")
    (job,) = ledger.jobs.values()
    boxes = tuple(Drawn(category_id=number, bbox=(0.0, 0.0, 30.0, 30.0)) for number in job.reserved.categories.values())
    append(project.root / "ledger", ANSWERS, [Answered(job=job.name, sha256=name, state="labelled", boxes=boxes, revision=9) for name in asked])


def check_nothing_known_is_changed(
    project: Project, before: tuple[dict[str, CocoImage], dict[str, list[CocoAnnotation]]], asked: list[str], known: dict[str, Known]
) -> None:
    """Known categories are as they were; those that were open have what people said."""
    images, boxes = merged(project)
    ids = {one["id"] for one in project.params()["categories"].values()}
    opened = 0
    for name in asked:
        closed = set(known[name].category_ids)
        was, now = (sorted((one for one in some[name] if one.category_id in closed), key=lambda one: one.bbox) for some in (before[1], boxes))
        assert was == now
        assert all(one.source != "label" for one in now)
        states = [{number: place for place, field in enumerate(("exhaustive", "neg")) for number in getattr(some[name], f"{field}_category_ids")} for some in (before[0], images)]
        assert {number: states[0].get(number) for number in closed} == {number: states[1].get(number) for number in closed}
        opened += sum(number in states[1] for number in ids - closed)
    assert opened > 0

"""From the ledger to what `merge` takes: boxes, and what is known of the categories that people were asked about."""

from collections.abc import Container, Iterable, Mapping
from typing import Any

from boxset.dataset.geometry import clipped, scaled
from boxset.dataset.records import PEOPLE, Annotation, Picture, Pool, Presence, State
from boxset.dataset.similar import distance, same_frame
from boxset.labeling.asked import as_picture, copies
from boxset.labeling.ledger import Answered, Asked, Drawn, Job, Ledger
from boxset.resolve import Ids

SURE_BITS = 4  # a copy further off takes boxes only if it is of the same frame


def answered_pool(
    ledger: Ledger, ids: Ids, *, crawled: dict[str, tuple[Picture, ...]], extracted: list[Pool], closed: Mapping[str, Container[int]] | None = None
) -> Pool:
    """Return the answers on pictures that are here. Of several answers on one picture and category the newest instructions hold.

    `closed`: known picture → the category ids of which its sources have every box. What people drew of them is measured, and comes into no data set.
    """
    present = current_pictures(crawled, extracted)
    latest = _latest(ledger)
    where = places([asked for _, asked, _ in latest.values()], present)
    names = {identity.id: name for name, identity in ids.categories.items()}
    annotations: list[Annotation] = []
    presence: list[Presence] = []
    for (_, category_id), (_, asked, answer) in latest.items():
        picture, category = where.get(asked.sha256), names.get(category_id)
        if picture is None or category is None or category_id in (closed or {}).get(asked.sha256, ()):
            continue
        boxes = _boxes(answer, asked, picture, category_id, category)
        annotations += boxes
        state = _state(boxes, is_doubtful=category_id in answer.doubtful)
        if state is not None:
            presence.append(Presence(sha256=picture.sha256, category=category, state=state, source=PEOPLE))
    return Pool(annotations=tuple(annotations), presence=tuple(presence))


def unused(ledger: Ledger, merged: Iterable[str], *, crawled: dict[str, tuple[Picture, ...]], extracted: list[Pool]) -> int:
    """Return how many pictures that people labelled bring nothing now: gone, or left out of the merge. `merged`: its pictures and their copies, by SHA-256."""
    labelled = {asked.sha256: asked for _, asked, _ in _latest(ledger).values()}
    where, kept = places(labelled.values(), current_pictures(crawled, extracted)), set(merged)
    return sum(sha256 not in where or where[sha256].sha256 not in kept for sha256 in labelled)


def _state(boxes: list[Annotation], *, is_doubtful: bool) -> State | None:
    """Return what the answer says of a category; a box that is left out, as not more than half drew it, leaves open whether there is more."""
    if is_doubtful:
        return State.PARTIAL if boxes else None
    return State.PRESENT if boxes else State.ABSENT


def _latest(ledger: Ledger) -> dict[tuple[str, int], tuple[Job, Asked, Answered]]:
    """Return for each picture and category id the labelled answer of the newest instructions; of equals, of the last job by name."""
    found: dict[tuple[str, int], tuple[Job, Asked, Answered]] = {}
    for job in sorted(ledger.jobs.values(), key=lambda j: (j.reserved.version, j.name)):
        for asked in job.asked:
            answer = job.answers.get(asked.sha256)
            if answer is not None and answer.state == "labelled":
                for category_id in job.reserved.categories.values():
                    found[asked.sha256, category_id] = (job, asked, answer)
    return found


def current_pictures(crawled: Mapping[str, tuple[Picture, ...]], extracted: Iterable[Pool]) -> list[Picture]:
    """Return every picture of the project once, sorted."""
    every = [*(p for some in crawled.values() for p in some), *(p for pool in extracted for p in pool.pictures)]
    return list({p.sha256: p for p in sorted(every, key=lambda p: (p.sha256, p.source, p.category))}.values())


def copies_for(ledger: Ledger, *, crawled: Mapping[str, tuple[Picture, ...]], extracted: Iterable[Pool]) -> dict[str, str]:
    """Return the pictures that people were asked about and that are here no more, each with the copy that takes what they drew, by SHA-256."""
    asked = [one for job in ledger.jobs.values() if not job.is_withdrawn for one in job.asked]
    return {sha256: picture.sha256 for sha256, picture in places(asked, current_pictures(crawled, extracted)).items() if sha256 != picture.sha256}


def places(asked: Iterable[Asked], present: list[Picture]) -> dict[str, Picture]:
    """Return for each asked picture the one that is here: itself, or the nearest copy of it, by the test that keeps copies from being bought again."""
    by_hash = {picture.sha256: picture for picture in present}
    wanted = {a.sha256: a for a in asked}
    missing = [as_picture(a) for sha256, a in sorted(wanted.items()) if sha256 not in by_hash]
    near: dict[str, list[tuple[int, str]]] = {}
    for i, j in copies(missing, present):
        bits = distance(missing[i].phash, present[j].phash)
        if bits <= SURE_BITS or same_frame(missing[i], present[j]):
            near.setdefault(missing[i].sha256, []).append((bits, present[j].sha256))
    found = {sha256: by_hash[sha256] for sha256 in wanted if sha256 in by_hash}
    return found | {sha256: by_hash[min(some)[1]] for sha256, some in near.items()}


def _boxes(answer: Answered, asked: Asked, picture: Picture, category_id: int, category: str) -> list[Annotation]:
    found = []
    for drawn in answer.boxes:
        if drawn.category_id != category_id:
            continue
        bbox = clipped(scaled(drawn.bbox, picture.width / asked.width, picture.height / asked.height), picture.width, picture.height)
        if bbox is not None:
            attributes = {"job": answer.job, **_agreement(drawn, answer)}
            found.append(Annotation(sha256=picture.sha256, category=category, bbox=bbox, source=PEOPLE, attributes=attributes))
    return found


def _agreement(drawn: Drawn, answer: Answered) -> dict[str, Any]:
    """Return how many drew the box, of how many, and the service's confidence, each where it is known.

    Not `confidence`: FiftyOne keeps that word for the score of a prediction, and takes no file that has it among a box's attributes.
    """
    known = {"workers": drawn.workers, "of_workers": answer.workers if drawn.workers else 0, "service_confidence": round(drawn.confidence, 3)}
    return {name: value for name, value in known.items() if value}

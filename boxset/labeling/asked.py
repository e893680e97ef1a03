"""What was asked already: the key of a purchase is (what the picture is, category id, version of the instructions). Values in, values out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from boxset.dataset import similar
from boxset.dataset.records import PEOPLE, Picture, remembered
from boxset.labeling.ledger import Asked, Job, Ledger

MAX_ATTEMPTS = 2  # a picture that came back without an answer so often is not sent again

Ids = frozenset[int]


@dataclass(frozen=True)
class Bought:
    """A picture that was paid for, and the category ids that it was asked about."""

    picture: Picture
    ids: Ids


def as_picture(asked: Asked) -> Picture:
    """Return an asked picture as far as the ledger knows it."""
    return remembered(asked, source=PEOPLE, file_name=asked.file_name)


def bought(ledger: Ledger, version: int, *, but: str = "") -> list[Bought]:
    """Return all that was asked under a version of the instructions, except by the job `but`, by withdrawn jobs, and what may be tried again."""
    jobs = [job for job in ledger.jobs.values() if job.reserved.version == version and job.name != but and not job.is_withdrawn]
    failures: dict[tuple[str, int], int] = {}
    asked: dict[tuple[str, int], Asked] = {}
    for job in jobs:
        for item in job.asked:
            for category_id in job.reserved.categories.values():
                failures[item.sha256, category_id] = failures.get((item.sha256, category_id), 0) + _was_tried_in_vain(job, item.sha256)
                if failures[item.sha256, category_id] >= MAX_ATTEMPTS or not came_to_nothing(job, item.sha256):
                    asked[item.sha256, category_id] = item
    by_picture: dict[str, set[int]] = {}
    for sha256, category_id in asked:
        by_picture.setdefault(sha256, set()).add(category_id)
    items = {item.sha256: item for item in asked.values()}
    return [Bought(as_picture(items[sha256]), frozenset(ids)) for sha256, ids in sorted(by_picture.items())]


def times_asked(ledger: Ledger, version: int, pictures: Sequence[Picture], *, but: str = "") -> list[int]:
    """Return in how many jobs, except `but`, each picture, or a copy of it, was, under a version of the instructions, whatever became of them.

    No fewer than the last of them knew of: a job that was adopted may have known some that were lost with its machine.
    """
    items = [item for job in ledger.jobs.values() if job.reserved.version == version and job.name != but for item in job.asked]
    times, last = Counter(item.sha256 for item in items), dict[str, int]()
    for item in items:
        last[item.sha256] = max(last.get(item.sha256, 0), item.attempt + 1)
    known = list({item.sha256: as_picture(item) for item in items}.values())
    found, least = [0] * len(pictures), [0] * len(pictures)
    for picture, other in copies(pictures, known):
        found[picture] += times[known[other].sha256]
        least[picture] = max(least[picture], last[known[other].sha256])
    return [max(pair) for pair in zip(found, least, strict=True)]


def pictures_asked(ledger: Ledger) -> frozenset[str]:
    """Return every picture that people were ever asked about, by its SHA-256; jobs that were never sent do not count."""
    return frozenset(asked.sha256 for job in ledger.jobs.values() if not job.is_withdrawn for asked in job.asked)


def came_to_nothing(job: Job, sha256: str) -> bool:
    """Return whether a job ended without an answer on a picture."""
    answer = job.answers.get(sha256)
    return job.closed is not None if answer is None else answer.state == "failed"


def _was_tried_in_vain(job: Job, sha256: str) -> bool:
    """Return whether a picture came to nothing in a job, but not only because the job was stopped before anybody had drawn it."""
    was_stopped = job.closed is not None and job.closed.state == "stopped" and sha256 not in job.answers
    return came_to_nothing(job, sha256) and not was_stopped


def ids_asked(pictures: Sequence[Picture], past: Sequence[Bought]) -> list[Ids]:
    """Return for each picture the category ids that it, or a copy of it, was asked about."""
    found: list[set[int]] = [set() for _ in pictures]
    for picture, known in copies(pictures, [one.picture for one in past]):
        found[picture] |= past[known].ids
    return [frozenset(ids) for ids in found]


def copies(pictures: Sequence[Picture], known: Sequence[Picture]) -> Iterable[tuple[int, int]]:
    """Return the positions of a picture and of a known one that are the same picture."""
    return similar.copies(pictures, known, similar.COPY_BITS)

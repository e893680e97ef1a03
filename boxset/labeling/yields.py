"""How many boxes a picture brings, learned from the answers so far. Values in, values out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from boxset.dataset.records import Picture
from boxset.labeling.ledger import Ledger
from boxset.resolve import Ids

PRIOR_OWN, PRIOR_OTHER = 1.0, 0.1  # boxes of the thing that was looked for, and of each other one, before anything was learned
PRIOR_PICTURES = 8.0  # for how many pictures these guesses count
QUERY_PICTURES = 20.0  # for how many pictures the category's rate counts in each of its queries


@dataclass(frozen=True)
class Yields:
    """Answered pictures, and their boxes by category, by what they were found for and by the query that found them."""

    pictures: Mapping[tuple[str, ...], int]
    boxes: Mapping[tuple[tuple[str, ...], str], int]

    def rate(self, found_for: str, query: str, category: str) -> float:
        """Return the boxes of a category that a picture brings: the query's share drawn towards the category's, that towards a guess."""
        guess = PRIOR_OWN if category == found_for else PRIOR_OTHER
        own = self._drawn_to(guess, PRIOR_PICTURES, (found_for,), category)
        return self._drawn_to(own, QUERY_PICTURES, (found_for, query), category) if query else own

    def _drawn_to(self, guess: float, weight: float, group: tuple[str, ...], category: str) -> float:
        return (self.boxes.get((group, category), 0) + weight * guess) / (self.pictures.get(group, 0) + weight)


def learned(ledger: Ledger, ids: Ids, pictures: Mapping[str, Picture]) -> Yields:
    """Count what the answers say. `pictures` tells the query of a picture where the ledger does not."""
    names = {identity.id: name for name, identity in ids.categories.items()}
    seen: Counter[tuple[str, ...]] = Counter()
    boxes: Counter[tuple[tuple[str, ...], str]] = Counter()
    for job in ledger.jobs.values():
        for asked in job.asked:
            answer = job.answers.get(asked.sha256)
            if answer is None or answer.state != "labelled":
                continue
            known = pictures.get(asked.sha256)
            groups = [(asked.found_for,), (asked.found_for, asked.query or (known.query if known else ""))]
            seen.update(groups)
            boxes.update((group, names.get(drawn.category_id, "")) for group in groups for drawn in answer.boxes)
    return Yields(seen, boxes)

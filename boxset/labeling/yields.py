"""How many boxes a picture brings, learned from the answers so far. Values in, values out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from boxset.dataset.records import Picture
from boxset.labeling.ledger import Ledger
from boxset.resolve import Ids

PRIOR_OWN, PRIOR_OTHER = 1.0, 0.1  # boxes of the thing that was looked for, and of each other one, before anything was learned
PRIOR_YES, PRIOR_NO = 1.3, 0.0  # of a thing that a person saw in the picture, or did not see
PRIOR_PICTURES = 8.0  # for how many pictures these guesses count
QUERY_PICTURES = 20.0  # for how many pictures the category's rate counts in each of its queries

Group = tuple[str, ...]  # what a picture was found for; that and the query; or a category and what a person said of it (`_reviewed`)
Said = Mapping[str, Mapping[str, str]]
"""Picture → category → `yes` or `no`, where a person said so in `boxset review`."""


@dataclass(frozen=True)
class Yields:
    """Answered pictures, and their boxes by category, by what they were found for, by the query that found them, and by what a review said."""

    pictures: Mapping[tuple[Group, str], int]
    boxes: Mapping[tuple[Group, str], int]

    def rate(self, found_for: str, query: str, category: str, said: str = "") -> float:
        """Return the boxes of a category that a picture brings: the query's share drawn towards the category's, that towards a guess.

        `said`: what a review says of the category in the picture. Such pictures tell of their like, and nothing of those that nobody saw.
        """
        guess = PRIOR_OWN if category == found_for else PRIOR_OTHER
        own = self._drawn_to(guess, PRIOR_PICTURES, (found_for,), category)
        unseen = self._drawn_to(own, QUERY_PICTURES, (found_for, query), category) if query else own
        if not said:
            return unseen
        return self._drawn_to(max(PRIOR_YES, unseen) if said == "yes" else PRIOR_NO, PRIOR_PICTURES, _reviewed(category, said), category)

    def _drawn_to(self, guess: float, weight: float, group: Group, category: str) -> float:
        return (self.boxes.get((group, category), 0) + weight * guess) / (self.pictures.get((group, category), 0) + weight)


def _reviewed(category: str, said: str) -> Group:
    return category, "", said


def learned(ledger: Ledger, ids: Ids, pictures: Mapping[str, Picture], said: Said | None = None) -> Yields:
    """Count what the answers say. `pictures` tells the query of a picture where the ledger does not, `said` what a review says of it."""
    seen: Counter[tuple[Group, str]] = Counter()
    boxes: Counter[tuple[Group, str]] = Counter()
    for job in ledger.jobs.values():
        for asked in job.asked:
            answer = job.answers.get(asked.sha256)
            if answer is None or answer.state != "labelled":
                continue
            known, drawn = pictures.get(asked.sha256), Counter(one.category_id for one in answer.boxes)
            found: list[Group] = [(asked.found_for,), (asked.found_for, asked.query or (known.query if known else ""))]
            for name, identity in ids.categories.items():
                word = (said or {}).get(asked.sha256, {}).get(name, "")
                for group in [_reviewed(name, word)] if word else found:
                    seen[group, name] += 1
                    boxes[group, name] += drawn[identity.id]
    return Yields(seen, boxes)

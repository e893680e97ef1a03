"""What people decided in `boxset review`, as `merge` needs it: images to leave out, what is present and absent, and boxes that a `no` stands against.

What was bought counts before a decision (people drew it, and were paid to look), a decision before what sources say.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from boxset.dataset.decisions import Decision, Decisions, Review, Verdict, united
from boxset.dataset.reasons import Reason
from boxset.dataset.records import PEOPLE, Picture, Pool, Presence, State
from boxset.resolve import Ids

REVIEW = "review"  # what a decision calls its source
WEIGHT = {PEOPLE: 0, REVIEW: 1}  # of what is known of one category in one image, where a decision is among it; sources follow by trust
STATES = {Verdict.YES: State.PARTIAL, Verdict.NO: State.ABSENT}  # a glance sees that there is one, not that every one has a box


@dataclass(frozen=True)
class Denied:
    """Boxes of one source that are left out because a person said no."""

    sha256: str  # the image
    category: str
    source: str
    boxes: int
    decision: Decision


@dataclass(frozen=True)
class Reviewed:
    """The decisions on each image, by the name of its best copy; `name_of` gives that for every copy."""

    reviews: Mapping[str, Review]
    name_of: Mapping[str, str]
    ids: Ids

    @classmethod
    def of(cls, pictures: Sequence[Picture], name_of: Mapping[str, str], decisions: Decisions, ids: Ids) -> "Reviewed":
        """Return what was decided for images, given all their copies."""
        by_image: dict[str, list[Review]] = {}
        for picture, review in zip(pictures, decisions.of(pictures), strict=True):
            if review.by_category or review.taken_down:
                by_image.setdefault(name_of[picture.sha256], []).append(review)
        return cls({name: united(some) for name, some in by_image.items()}, name_of, ids)

    def barred(self) -> dict[str, Reason]:
        """Return the images that a person called unusable, and those of which a copy was taken down."""
        unusable = {name: Reason.UNUSABLE for name, review in self.reviews.items() if review.unusable}
        return unusable | {name: Reason.TAKEN_DOWN for name, review in self.reviews.items() if review.taken_down}

    def rejected(self, pictures: Iterable[Picture]) -> dict[str, Reason]:
        """Return the images in which a person missed what they were found for, and saw nothing else."""
        found_for: dict[str, set[str]] = {}
        for picture in pictures:
            found_for.setdefault(self.name_of[picture.sha256], set()).add(picture.category)
        return {name: Reason.REJECTED for name in self.reviews if self._is_rejected(name, found_for[name] & self.ids.categories.keys())}

    def _is_rejected(self, name: str, found_for: set[str]) -> bool:
        said = {category: self.reviews[name].says(identity.id) for category, identity in self.ids.categories.items()}
        return {said[category] for category in found_for} == {Verdict.NO} and Verdict.YES not in said.values()

    def presence(self) -> Pool:
        """Return what the decisions say of categories in images."""
        said = [(name, category, self.reviews[name].of(identity.id)) for name in self.reviews for category, identity in self.ids.categories.items()]
        return Pool(
            presence=tuple(
                Presence(sha256=name, category=category, state=STATES[decision.verdict], source=REVIEW)
                for name, category, decision in said
                if decision is not None and decision.verdict in STATES
            )
        )

    def deny(self, pools: Iterable[Pool], *, answers: Pool) -> tuple[list[Pool], list[Denied]]:
        """Return the sources' pools without boxes that a `no` stands against, unless people who were paid drew some; and those boxes, counted."""
        drawn = {(self.name_of.get(a.sha256, ""), a.category) for a in answers.annotations}
        noes = {key: decision for key, decision in self._noes().items() if key not in drawn}
        if not noes:
            return list(pools), []
        lost: Counter[tuple[str, str, str]] = Counter()
        left = []
        for pool in pools:
            out = [a for a in pool.annotations if (self.name_of.get(a.sha256, ""), a.category) in noes]
            lost.update((self.name_of[a.sha256], a.category, a.source) for a in out)
            gone = set(map(id, out))
            left.append(msgspec.structs.replace(pool, annotations=tuple(a for a in pool.annotations if id(a) not in gone)) if out else pool)
        return left, [Denied(*key, boxes, noes[key[:2]]) for key, boxes in sorted(lost.items())]

    def _noes(self) -> dict[tuple[str, str], Decision]:
        said = ((name, category, self.reviews[name].of(i.id)) for name in self.reviews for category, i in self.ids.categories.items())
        return {(name, category): decision for name, category, decision in said if decision is not None and decision.verdict is Verdict.NO}

"""How many boxes a picture brings, learned from the answers so far, and how far that may be off. Values in, values out.

A rate is drawn from a guess towards what a group of answered pictures says (Bühlmann's credibility: "Experience rating and credibility", ASTIN
Bulletin 4, 1967), the rate of a query from that of its category. What is not known of it is one error for all pictures of the group, so that it
does not average out over a purchase; the chance of each picture does. A guess may be off by as much as itself.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, floor, sqrt

from boxset.dataset.records import Picture
from boxset.labeling.ledger import Ledger
from boxset.resolve import Ids

PRIOR_OWN, PRIOR_OTHER = 1.0, 0.1  # boxes of the thing that was looked for, and of each other one, before anything was learned
PRIOR_YES, PRIOR_NO = 1.3, 0.0  # of a thing that a person saw in the picture, or did not see
PRIOR_PICTURES = 8.0  # for how many pictures these guesses count
QUERY_PICTURES = 20.0  # for how many pictures the category's rate counts in each of its queries
INSIDE_80 = 1.2816  # standard deviations from the middle of a normal distribution, between which 80 % lie

Group = tuple[str, ...]  # what a picture was found for; that and the query; or a category and what a person said of it (`_reviewed`)
Known = tuple[Group, str]  # and the category whose boxes are counted
Said = Mapping[str, Mapping[str, str]]
"""Picture → category → `yes` or `no`, where a person said so in `boxset review`."""


@dataclass(frozen=True)
class Rate:
    """The boxes of a category that a picture brings: how many on average, and how far one picture and that average may be off."""

    boxes: float
    spread: float  # the variance from picture to picture
    errors: Mapping[Known, float]  # standard deviations of the average, by the group that taught it: one error for all pictures that it touches

    def times(self, factor: float) -> "Rate":
        """Return the rate of pictures that bring so many times as much, as uncertain by share."""
        return Rate(self.boxes * factor, self.spread * factor, {known: error * factor for known, error in self.errors.items()})


@dataclass(frozen=True)
class Yields:
    """Answered pictures, and their boxes by category, by what they were found for, by the query that found them, and by what a review said.

    `squares`: the sum of the squares of each picture's boxes.
    """

    pictures: Mapping[Known, int]
    boxes: Mapping[Known, int]
    squares: Mapping[Known, int] = field(default_factory=dict)
    _rates: dict[tuple[str, ...], Rate] = field(default_factory=dict, repr=False, compare=False)

    def rate(self, found_for: str, query: str, category: str, said: str = "") -> float:
        """Return the boxes of a category that a picture brings: the query's share drawn towards the category's, that towards a guess.

        `said`: what a review says of the category in the picture. Such pictures tell of their like, and nothing of those that nobody saw.
        """
        return self.of(found_for, query, category, said).boxes

    def of(self, found_for: str, query: str, category: str, said: str = "") -> Rate:
        """Return that rate, with what is not known of it."""
        key = found_for, query, category, said
        if key not in self._rates:
            unseen = self._of_unseen(found_for, query, category)
            self._rates[key] = self._of_reviewed(category, said, unseen.boxes) if said else unseen
        return self._rates[key]

    def answered(self, category: str, pictures: Iterable[tuple[str, str]]) -> int:
        """Return how many answered pictures teach what others bring, each by what it was found for and what a review says of the category in it."""
        groups = {_reviewed(category, said) if said else (found_for,) for found_for, said in pictures}
        return sum(self.pictures.get((group, category), 0) for group in groups)

    def _of_unseen(self, found_for: str, query: str, category: str) -> Rate:
        guess = PRIOR_OWN if category == found_for else PRIOR_OTHER
        own = self._drawn_from(_guessed(guess), ((found_for,), category), weight=PRIOR_PICTURES, doubt=guess**2)
        return self._drawn_from(own, ((found_for, query), category), weight=QUERY_PICTURES, doubt=own.spread / QUERY_PICTURES) if query else own

    def _of_reviewed(self, category: str, said: str, unseen: float) -> Rate:
        guess = max(PRIOR_YES, unseen) if said == "yes" else PRIOR_NO
        return self._drawn_from(_guessed(guess), (_reviewed(category, said), category), weight=PRIOR_PICTURES, doubt=guess**2)

    def _drawn_from(self, base: Rate, known: Known, *, weight: float, doubt: float) -> Rate:
        """Return a base, which counts for `weight` pictures, drawn towards a group's answers.

        `doubt`: the variance of such groups about their base. A group whose answers lie further off is doubted by that much.
        """
        pictures, boxes = self.pictures.get(known, 0), self.boxes.get(known, 0)
        scatter = self.squares.get(known, 0) - boxes**2 / pictures if pictures else 0.0
        spread = (max(0.0, scatter) + weight * base.spread) / (pictures + weight)
        rest = weight / (pictures + weight)
        seen = (boxes / pictures - base.boxes) ** 2 if pictures else 0.0
        variance = (1 - rest) * spread / (pictures + weight) + rest**2 * max(doubt, seen)
        errors = {other: rest * error for other, error in base.errors.items()} | {known: sqrt(variance)}
        return Rate((boxes + weight * base.boxes) / (pictures + weight), spread, errors)


def _guessed(boxes: float) -> Rate:
    """Return a guess, with the variance of a Poisson distribution."""
    return Rate(boxes, boxes, {})


def interval(rates: Iterable[Rate]) -> tuple[int, int]:
    """Return between how many boxes pictures of these rates bring, with a chance of 80 %."""
    boxes = variance = 0.0
    errors: defaultdict[Known, float] = defaultdict(float)
    for rate in rates:
        boxes, variance = boxes + rate.boxes, variance + rate.spread
        for known, error in rate.errors.items():
            errors[known] += error
    return likely(boxes, variance + sum(error**2 for error in errors.values()))


def likely(boxes: float, variance: float) -> tuple[int, int]:
    """Return the whole numbers round the middle 80 % of a gamma distribution of this mean and variance.

    By the cube root's being nearly normal (Wilson and Hilferty, "The distribution of chi-square", PNAS 17, 1931).
    """
    if boxes <= 0:
        return 0, 0
    ninth = variance / boxes**2 / 9
    low, high = (boxes * max(0.0, 1 - ninth + sign * INSIDE_80 * sqrt(ninth)) ** 3 for sign in (-1, 1))
    return floor(low), ceil(max(high, boxes))


def _reviewed(category: str, said: str) -> Group:
    return category, "", said


def learned(ledger: Ledger, ids: Ids, pictures: Mapping[str, Picture], said: Said | None = None, *, but: Collection[str] = ()) -> Yields:
    """Count what the answers say of the categories that were asked about. `pictures` tells the query of a picture where the ledger does not, `said` what a review says of it.

    `but`: pictures of which no query found any; that they show something was known before they were asked.
    """
    seen: Counter[Known] = Counter()
    boxes: Counter[Known] = Counter()
    squares: Counter[Known] = Counter()
    for job in ledger.jobs.values():
        about = [(name, identity.id) for name, identity in ids.categories.items() if identity.id in job.reserved.names]
        for asked in job.asked:
            answer = job.answers.get(asked.sha256)
            if answer is None or answer.state != "labelled" or asked.sha256 in but:
                continue
            known, drawn = pictures.get(asked.sha256), Counter(one.category_id for one in answer.boxes)
            found: list[Group] = [(asked.found_for,), (asked.found_for, asked.query or (known.query if known else ""))]
            for name, category_id in about:
                word = (said or {}).get(asked.sha256, {}).get(name, "")
                for group in [_reviewed(name, word)] if word else found:
                    seen[group, name] += 1
                    boxes[group, name] += drawn[category_id]
                    squares[group, name] += drawn[category_id] ** 2
    return Yields(seen, boxes, squares)

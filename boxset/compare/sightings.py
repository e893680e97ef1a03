"""What a detector sees in pictures that nobody labelled: how many boxes of a category to expect there. Values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from boxset.compare.calibration import Calibration, calibrated, compared
from boxset.compare.overlaps import of_categories
from boxset.dataset.coco import Coco
from boxset.dataset.predictions import Predictions

SURE = 0.5  # precision from which the model is taken to see a thing: more likely there than not
FAINT = 0.05  # boxes in all below which it sees none
FIRST, BETWEEN, LAST = 0, 1, 2  # turns


@dataclass(frozen=True)
class Sightings:
    """What is seen in each picture that a detector was run on, by category id. Nothing was run on a picture that is not in `models`."""

    models: Mapping[str, str] = field(default_factory=dict)  # by the picture's SHA-256
    boxes: Mapping[tuple[str, int], float] = field(default_factory=dict)  # how many predictions a label would confirm
    sure: frozenset[tuple[str, int]] = frozenset()
    recalls: Mapping[tuple[str, int], float] = field(default_factory=dict)  # by model and category id
    recall: float = 0.0
    silent: frozenset[tuple[str, int]] = frozenset()  # model and category id of which it has no prediction at all: it may not know the category

    def expected(self, sha256: str, category_id: int, rate: float) -> float:
        """Return the boxes to expect: those that the detector sees, and of those that such a picture brings (`rate`) the share that it overlooks."""
        if not self._speaks(sha256, category_id):
            return rate
        found = self.recalls.get((self.models[sha256], category_id), self.recall)
        return self.boxes.get((sha256, category_id), 0.0) + (1 - found) * rate

    def turn(self, sha256: str, category_id: int) -> int:
        """Return when a picture's turn is: FIRST where the category is seen, LAST where it is not, BETWEEN in doubt or where no model that knows the category was run."""
        if not self._speaks(sha256, category_id):
            return BETWEEN
        if (sha256, category_id) in self.sure:
            return FIRST
        return BETWEEN if self.boxes.get((sha256, category_id), 0.0) >= FAINT else LAST

    def words(self, sha256: str, category_id: int) -> str:
        """Return what the detector sees, or an empty string where it was not run or does not know the category."""
        if not self._speaks(sha256, category_id):
            return ""
        seen = self.boxes.get((sha256, category_id), 0.0)
        return f"{self.models[sha256]} sees {'none' if seen < FAINT else f'{seen:.1f}'} here"

    def _speaks(self, sha256: str, category_id: int) -> bool:
        return sha256 in self.models and (self.models[sha256], category_id) not in self.silent


NO_SIGHTINGS = Sightings()


def sightings(labelled: Coco, predictions: Predictions, category_ids: Sequence[int]) -> Sightings:
    """Return what is seen, by the precision and recall that the detector has on the labelled pictures."""
    if not predictions.pictures:
        return NO_SIGHTINGS
    known = of_categories(predictions, category_ids)
    trust = calibrated(compared([labelled], known))
    precision = trust.precision(known)
    keys = list(zip(known.picture_of.tolist(), known.category_ids.tolist(), precision.tolist(), strict=True))
    boxes: dict[tuple[str, int], float] = {}
    for place, category_id, share in keys:
        key = known.pictures[place], category_id
        boxes[key] = boxes.get(key, 0.0) + share
    sure = frozenset((known.pictures[place], category_id) for place, category_id, share in keys if share >= SURE)
    models = {sha256: known.models[model] for sha256, model in zip(known.pictures, known.model_of.tolist(), strict=True)}
    silent = frozenset((name, i) for model, name in enumerate(known.models) for i in category_ids if (model, i) not in known.known)
    return Sightings(models, boxes, sure, _recalls(trust, known, category_ids), trust.any_recall, silent)


def _recalls(trust: Calibration, known: Predictions, category_ids: Sequence[int]) -> dict[tuple[str, int], float]:
    return {(name, i): trust.recall(model, i) for model, name in enumerate(known.models) for i in category_ids}

"""What a detector sees, for tests: predictions by picture, and the files that it writes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boxset.dataset.predictions import Predictions
from boxset.dataset.records import BBox

Seen = tuple[int, BBox, float]
"""Category id, box, score."""


def predictions(seen: Mapping[str, Sequence[Seen]], model: str = "v1") -> Predictions:
    """Predictions of pictures by SHA-256."""
    pictures = tuple(sorted(seen))
    rows = [one for sha256 in pictures for one in sorted(seen[sha256], key=lambda s: -s[2])]
    starts = np.cumsum([0, *(len(seen[sha256]) for sha256 in pictures)])
    boxes = np.array([box for _, box, _ in rows], np.float64).reshape(-1, 4)
    ids, scores = np.array([i for i, _, _ in rows], np.int64), np.array([s for *_, s in rows], np.float64)
    return Predictions(pictures, starts, ids, boxes, scores, (model,), np.zeros(len(pictures), np.int64))


def result(**more: Any) -> dict[str, Any]:
    """One record of a results file."""
    return {"image_id": 1, "category_id": 1, "bbox": [10.0, 20.0, 100.0, 80.0], "score": 0.9, **more}


def write_listed(path: Path, count: int = 3, **more: Any) -> Path:
    """Write an images file: `count` pictures of 400 x 300, numbered from 1."""
    images = [{"id": n, "file_name": f"pictures/{n:064x}.jpg", "width": 400, "height": 300, "sha256": f"{n:064x}"} for n in range(1, count + 1)]
    content = {"images": images, "categories": [{"id": 1, "name": "hammer"}, {"id": 2, "name": "saw"}], "annotations": [], **more}
    path.write_text(json.dumps(content))
    return path

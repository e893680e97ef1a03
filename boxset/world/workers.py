"""The people of the embedded world: they draw what is there, and miss, jitter and mislabel, each in their own way."""

import hashlib
import random
from typing import Any

from boxset.world.truth import boxes_in

MISS, WRONG, EXTRA = 0.06, 0.03, 0.02
JITTER = 0.03  # standard deviation of an edge, as a share of the box's side
EXPIRED = 0.03  # tasks that nobody takes


def worker_id(worker: int, region: str) -> str:
    """Return the id that the service knows a person by."""
    return f"private.{region}.{hashlib.sha256(f'worker/{worker}'.encode()).hexdigest()[:16]}"


def nobody_came(picture: str, job: str) -> bool:
    """Return whether a task expires."""
    return random.Random(f"expired/{job}/{picture}").random() < EXPIRED


def drawn_by(worker: int, picture: bytes, *, key: str, labels: list[str], size: tuple[int, int]) -> list[dict[str, Any]]:
    """Return one person's boxes: label and absolute left, top, width, height, inside the picture."""
    rng = random.Random(f"worker/{worker}/{key}")
    found = []
    for category, box in boxes_in(picture):
        if category not in labels or rng.random() < MISS:
            continue
        label = rng.choice(labels) if rng.random() < WRONG else category
        found.append({"label": label, **_jittered(box, size, rng)})
    if rng.random() < EXTRA:
        found.append({"label": rng.choice(labels), "left": 1, "top": 1, "width": size[0] // 8, "height": size[1] // 8})
    return found


def _jittered(box: tuple[float, float, float, float], size: tuple[int, int], rng: random.Random) -> dict[str, int]:
    x, y, w, h = box
    left, right = x + rng.gauss(0, JITTER * w), x + w + rng.gauss(0, JITTER * w)
    top, bottom = y + rng.gauss(0, JITTER * h), y + h + rng.gauss(0, JITTER * h)
    left, top = max(0, round(left)), max(0, round(top))
    return {"left": left, "top": top, "width": max(1, min(size[0], round(right)) - left), "height": max(1, min(size[1], round(bottom)) - top)}


def agreed(answers: list[list[dict[str, Any]]]) -> list[tuple[dict[str, Any], float]]:
    """Return the boxes that most people drew, averaged, each with the share of people who drew it."""
    pool = [(worker, box) for worker, boxes in enumerate(answers) for box in boxes]
    used: set[int] = set()
    found = []
    for place, (_, box) in enumerate(pool):
        if place in used:
            continue
        together = {
            worker: other
            for other, (worker, b) in reversed(list(enumerate(pool)))
            if other not in used and b["label"] == box["label"] and _overlap(b, box) > 0.4
        }
        if len(together) * 2 > len(answers):
            used |= set(together.values())
            boxes = [pool[i][1] for i in sorted(together.values())]
            mean = {side: round(sum(b[side] for b in boxes) / len(boxes)) for side in ("left", "top", "width", "height")}
            found.append(({"label": box["label"], **mean}, len(boxes) / len(answers)))
    return found


def _overlap(first: dict[str, Any], second: dict[str, Any]) -> float:
    across = min(first["left"] + first["width"], second["left"] + second["width"]) - max(first["left"], second["left"])
    down = min(first["top"] + first["height"], second["top"] + second["height"]) - max(first["top"], second["top"])
    if across <= 0 or down <= 0:
        return 0.0
    united = first["width"] * first["height"] + second["width"] * second["height"] - across * down
    return float(across * down / united)

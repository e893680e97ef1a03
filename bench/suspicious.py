"""How many of the label faults that were put in are found, and how many of the first suspects are faults. A simulation.

    python -m bench.suspicious [--pictures 5000] [--seed 0] [--dataset data/dataset]

Truth: drawn boxes (log-normal sizes, one to a dozen a picture, some overlapping), or those of --dataset, taken to be right. Faults are put into a
share of the labels: dropped, added, moved, or of another category. The detector is drawn from the truth, not from the faulty labels, as one is
that was trained by cross-validation: it overlooks small things more often, confuses categories, shifts its boxes, sees things that are not
there, fires twice, and its scores mean another precision in each category. "by score" ranks by the detector's own scores and fixed overlaps, without
calibration: a prediction's score for what is missed, one minus the score of the best prediction for what is spurious, and so on.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from boxset.compare.suspicious import KINDS, Suspect, suspects
from boxset.dataset.coco import Coco, CocoAnnotation, CocoCategory, CocoImage, CocoLicense, read_coco
from boxset.dataset.geometry import clipped, iou
from boxset.dataset.predictions import Predictions

NAMES = ("driller", "hammer", "paintbrush", "screwdriver", "wheelbarrow")
SHARES = {"missed": 0.03, "spurious": 0.02, "mislabelled": 0.02, "badly placed": 0.03}
DETECTORS = {  # overlooked at 32 and at 128 pixels, shift of an edge as a share of the side, false boxes a picture, confused
    "strong": (0.25, 0.04, 0.04, 0.3, 0.02),
    "middling": (0.45, 0.12, 0.07, 0.8, 0.05),
    "weak": (0.65, 0.30, 0.11, 2.0, 0.10),
}
LEVELS = (100, 300, 1000)


def drawn_truth(pictures: int, rng: np.random.Generator) -> Coco:
    """Pictures of 640 x 480 with boxes of realistic number and size."""
    images, annotations = [], []
    usual = rng.dirichlet(np.full(len(NAMES), 3.0))
    for number in range(1, pictures + 1):
        images.append(image(number))
        main = rng.choice(len(NAMES), p=usual)
        for _ in range(min(12, 1 + rng.geometric(0.55) - 1 + rng.poisson(0.4))):
            category = main if rng.random() < 0.75 else rng.choice(len(NAMES), p=usual)
            side, aspect = np.exp(rng.normal(4.4, 0.8)), np.exp(rng.normal(0, 0.45))
            w, h = min(600.0, side * aspect), min(440.0, side / aspect)
            box = clipped((rng.uniform(-0.1 * w, 640 - 0.9 * w), rng.uniform(-0.1 * h, 480 - 0.9 * h), w, h), 640, 480)
            if box and min(box[2:]) >= 6:
                annotations.append(annotation(len(annotations) + 1, number, int(category) + 1, box))
    return complete(images, annotations, NAMES)


def image(number: int, **more: object) -> CocoImage:
    digest = f"{number:064x}"
    known = {"id": number, "file_name": f"{digest}.jpg", "width": 640, "height": 480, "license": 1, "sha256": digest, "group": number, "source": "drawn"}
    empty = dict.fromkeys(("coco_url", "flickr_url", "source_id", "source_split", "author", "title", "phash", "grid"), "")
    lists = dict.fromkeys(("also_in", "flags", "neg_category_ids", "not_exhaustive_category_ids", "exhaustive_category_ids"), ())
    return CocoImage(**{**known, **empty, **lists, **more})


def annotation(number: int, image_id: int, category_id: int, box: tuple) -> CocoAnnotation:
    bbox = tuple(float(v) for v in box)
    return CocoAnnotation(id=number, image_id=image_id, category_id=category_id, bbox=bbox, area=bbox[2] * bbox[3], iscrowd=0, segmentation=(), source="drawn", attributes={})


def complete(images, annotations, names) -> Coco:
    """Call every category complete in every picture."""
    every = tuple(range(1, len(names) + 1))
    categories = tuple(CocoCategory(id=i, name=name) for i, name in enumerate(names, 1))
    known = tuple(image(i.id, sha256=i.sha256, file_name=i.file_name, width=i.width, height=i.height, exhaustive_category_ids=every) for i in images)
    return Coco(info={}, licenses=(CocoLicense(id=1, name="x"),), categories=categories, images=known, annotations=tuple(annotations))


def read_truth(folder: Path) -> Coco:
    images, annotations = [], []
    for split in ("train", "val", "test"):
        coco = read_coco(folder / f"annotations/instances_{split}.json")
        ids = {c.id: place for place, c in enumerate(sorted(coco.categories, key=lambda c: c.id), 1)}
        images += coco.images
        annotations += [annotation(a.id, a.image_id, ids[a.category_id], a.bbox) for a in coco.annotations if not a.iscrowd]
    names = [c.name for c in sorted(coco.categories, key=lambda c: c.id)]
    return complete(images, annotations, names)


def with_faults(truth: Coco, rng: np.random.Generator) -> tuple[Coco, list[tuple[str, str, tuple]]]:
    """Return the labels with faults, and each fault: kind, picture, and the box where it is to be found."""
    sizes = {i.id: i for i in truth.images}
    kinds = rng.choice(["", "missed", "mislabelled", "badly placed"], len(truth.annotations), p=[0.92, SHARES["missed"], SHARES["mislabelled"], SHARES["badly placed"]]).tolist()
    kept, faults = [], []
    beside: dict[int, list[CocoAnnotation]] = {}
    for a in truth.annotations:
        beside.setdefault(a.image_id, []).append(a)
    for a, kind in zip(truth.annotations, kinds, strict=True):
        sha, box, category = sizes[a.image_id].sha256, a.bbox, a.category_id
        if kind == "mislabelled":
            category = int(rng.choice([c.id for c in truth.categories if c.id != a.category_id]))
        if kind == "badly placed":
            box = moved(a.bbox, sizes[a.image_id], rng)
        if kind:
            faults.append((kind, sha, box))
        if kind != "missed":
            kept.append(annotation(len(kept) + 1, a.image_id, category, box))
    for a in rng.choice(np.array(truth.annotations, object), int(SHARES["spurious"] * len(truth.annotations))):
        other = sizes[a.image_id]
        w, h = min(a.bbox[2], other.width * 0.9), min(a.bbox[3], other.height * 0.9)
        box = (float(rng.uniform(0, other.width - w)), float(rng.uniform(0, other.height - h)), w, h)
        if all(iou(box, b.bbox) < 0.3 for b in beside[a.image_id]):
            kept.append(annotation(len(kept) + 1, a.image_id, a.category_id, box))
            faults.append(("spurious", other.sha256, box))
    return complete(truth.images, kept, [c.name for c in truth.categories]), faults


def moved(box: tuple, of: CocoImage, rng: np.random.Generator) -> tuple:
    """Return a box that overlaps the true one by 0.4 to 0.7."""
    x, y, w, h = box
    for _ in range(200):
        dx, dy, dw, dh = rng.normal(0, 0.25, 4)
        new = clipped((x + dx * w, y + dy * h, w * np.exp(dw), h * np.exp(dh)), of.width, of.height)
        if new and 0.4 <= iou(new, box) <= 0.7:
            return new
    return clipped((x, y, w * 0.55, h), of.width, of.height)


def detector(truth: Coco, kind: str, rng: np.random.Generator) -> Predictions:
    """Return what a detector of stated noise sees."""
    small, large, shift, false, confused = DETECTORS[kind]
    count = len(truth.categories)
    power = np.exp(rng.normal(0, 0.7, count + 1))  # scores of a category are all higher, or lower
    rows: dict[str, list[tuple]] = {i.sha256: [] for i in truth.images}
    sizes = {i.id: i for i in truth.images}
    for a in truth.annotations:
        of, (x, y, w, h) = sizes[a.image_id], a.bbox
        side = np.sqrt(w * h) * 640 / max(of.width, of.height)
        overlooked = np.clip(np.interp(np.log2(max(side, 1)), [5, 7], [small, large]), 0, 0.95)
        if rng.random() < overlooked:
            continue
        for again in range(1 + (rng.random() < 0.06)):
            dx, dy, dw, dh = rng.normal(0, shift * (2 if again else 1), 4)
            box = clipped((x + dx * w, y + dy * h, w * np.exp(dw), h * np.exp(dh)), of.width, of.height)
            category = a.category_id if rng.random() >= confused else int(rng.integers(1, count + 1))
            sure = rng.beta(6, 1.5 + 3 * overlooked) * (0.4 if again else 1.0) * (0.7 if category != a.category_id else 1.0)
            if box:
                rows[of.sha256].append((category, *box, float(sure ** power[category])))
    for of in truth.images:
        for _ in range(rng.poisson(false)):
            side, aspect = np.exp(rng.normal(4.2, 0.9)), np.exp(rng.normal(0, 0.5))
            box = clipped((rng.uniform(0, of.width), rng.uniform(0, of.height), side * aspect, side / aspect), of.width, of.height)
            category = int(rng.integers(1, count + 1))
            if box:
                rows[of.sha256].append((category, *box, float(rng.beta(1.0, 4.0) ** power[category])))
    return as_predictions(rows)


def as_predictions(rows: dict[str, list[tuple]]) -> Predictions:
    shas = tuple(sorted(rows))
    flat = np.array([row for sha in shas for row in sorted(rows[sha], key=lambda r: -r[5])], np.float64).reshape(-1, 6)
    starts = np.cumsum([0, *(len(rows[sha]) for sha in shas)])
    return Predictions(shas, starts, flat[:, 0].astype(np.int64), flat[:, 1:5], flat[:, 5], ("model",), np.zeros(len(shas), np.int64))


def by_score(labels: Coco, seen: Predictions) -> list[tuple[str, float, str, tuple]]:
    """Suspects by the detector's own scores, without calibration."""
    of = {i.id: i.sha256 for i in labels.images}
    boxes: dict[str, list[CocoAnnotation]] = {}
    for a in labels.annotations:
        boxes.setdefault(of[a.image_id], []).append(a)
    found = []
    for place, sha in enumerate(seen.pictures):
        span = range(*seen.starts[place : place + 2])
        mine, drawn = [(int(seen.category_ids[k]), tuple(seen.boxes[k]), float(seen.scores[k])) for k in span], boxes.get(sha, [])
        for _, box, score in mine:
            over = [(iou(box, a.bbox), a.category_id) for a in drawn]
            if all(o < 0.5 for o, _ in over):
                found.append(("missed", score, sha, box))
        for a in drawn:
            own = max(((iou(b, a.bbox), s) for c, b, s in mine if c == a.category_id and iou(b, a.bbox) >= 0.4), default=(0.0, 0.0))
            other = max((s for c, b, s in mine if c != a.category_id and iou(b, a.bbox) >= 0.5), default=0.0)
            kinds = {"spurious": 1 - max(own[1], other), "mislabelled": other * (own[0] < 0.5), "badly placed": own[1] * (1 - own[0]) * (0.4 <= own[0] < 0.75)}
            kind = max(kinds, key=kinds.__getitem__)
            found.append((kind, kinds[kind], sha, a.bbox))
    return sorted(found, key=lambda one: -one[1])


def as_found(found: list[Suspect]) -> list[tuple[str, float, str, tuple]]:
    return [(s.kind, s.score, s.sha256, s.label or s.prediction) for s in found]


def judged(found, faults) -> dict[str, list[bool]]:
    """Return for each kind which of its suspects, the worst first, are faults of that kind."""
    where: dict[tuple[str, str], list[tuple]] = {}
    for kind, sha, box in faults:
        where.setdefault((kind, sha), []).append(box)
    result: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for kind, _, sha, box in found:
        left = where.get((kind, sha), [])
        hit = next((b for b in left if iou(b, box) >= (0.4 if kind == "missed" else 0.95)), None)
        if hit is not None:
            left.remove(hit)
        result[kind].append(hit is not None)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    truth = read_truth(args.dataset) if args.dataset else drawn_truth(args.pictures, rng)
    labels, faults = with_faults(truth, rng)
    put_in = Counter(kind for kind, _, _ in faults)
    print(f"{len(truth.images):,} pictures, {len(truth.annotations):,} boxes; faults put in: {dict(put_in)}")
    print("\ndetector  kind          faults  listed  precision  recall  P@faults  by score  " + "  ".join(f"P@{k}" for k in LEVELS))
    for kind_of in DETECTORS:
        seen = detector(truth, kind_of, rng)
        began = time.perf_counter()
        ours = suspects({"train": labels}, seen)
        took = time.perf_counter() - began
        mine, plain = judged(as_found(ours), list(faults)), judged(by_score(labels, seen), list(faults))
        for kind in KINDS:
            hits, n = mine[kind], put_in[kind]
            at = lambda some, k: f"{sum(some[:k]) / k:.2f}" if len(some) >= k else "   –"  # noqa: E731
            first = f"{sum(hits[:n]) / n:.2f}"
            cells = (f"{n:>6}", f"{len(hits):>6}", f"{sum(hits) / max(1, len(hits)):>9.2f}", f"{sum(hits) / n:>6.2f}", f"{first:>8}", f"{sum(plain[kind][:n]) / n:>8.2f}")
            print(f"{kind_of:<9} {kind:<13} {'  '.join(cells)}  {'  '.join(at(hits, k) for k in LEVELS)}")
        print(f"          {len(seen):,} predictions, {took:.1f} s")


if __name__ == "__main__":
    main()

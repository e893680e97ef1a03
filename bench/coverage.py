"""`boxset coverage` over indexes of the real ones' size and shape, whole process: wall, CPU and peak memory.

    python -m bench.coverage [--scale 1.0] [WORD…]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import Process
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boxset.sources.tables import IndexWriter

DATA = Path("bench/data")
CC = [f"CC-{kind}-2.0" for kind in ("BY", "BY-NC-SA", "BY-NC", "BY-NC-ND", "BY-SA", "BY-ND")]
NAMED = ["hammer", "drill", "paintbrush", "screwdriver", "wheelbarrow"]
ROWS = 1 << 18
PARAMS = """\
world: live
project: {name: bench, use: commercial, contact: a@shop.example}
categories: {hammer: {id: 1, target: 10}}
sources: {open_images: {}, imagenet: {path: .}, visual_genome: {}, coco: {}, lvis: {}}
"""


def sources(scale: float) -> Iterator[tuple[str, dict]]:
    """Every source's classes, images, boxes and splits, as published."""
    yield "open_images", {"names": thing_names(601), "images": 1_910_098, "boxes": 15_851_536, "licences": CC[:1], "splits": ["train", "validation", "test"]}
    yield "imagenet", {"names": thing_names(1000), "images": 594_546, "boxes": 1_000_000, "licences": ["LicenseRef-research-only"], "splits": ["train", "val"]}
    yield "visual_genome", {"names": spellings(int(100_000 * scale)), "images": 108_077, "boxes": 2_516_939, "licences": [None], "splits": [None]}
    yield "coco", {"names": thing_names(80), "images": 123_287, "boxes": 896_782, "licences": CC, "splits": ["train", "val"]}
    yield "lvis", {"names": thing_names(1203), "images": 119_979, "boxes": 1_514_848, "licences": CC, "splits": ["train", "val"]}


def thing_names(count: int) -> list[tuple[str, list[str]]]:
    """Names and synonyms of a closed vocabulary, our five among them."""
    things = [f"thing {n} of kind {n % 40}" for n in range(count - len(NAMED))]
    return [(name, [f"{name}.n.01"]) for name in [*things[: count // 2], *NAMED, *things[count // 2 :]]]  # the first ones have the most boxes


def spellings(count: int) -> list[tuple[str, list[str]]]:
    """What people wrote: a few dozen spellings hold each common word."""
    rng = np.random.default_rng(3)
    adjectives = [f"adjective{n}" for n in range(400)]
    nouns = [*NAMED, "paint brush", "hammers", *(f"noun{n}" for n in range(3000))]
    found = {(nouns[n % len(nouns)] if n < len(nouns) else f"{adjectives[rng.integers(400)]} {nouns[rng.integers(len(nouns))]}") for n in range(2 * count)}
    return [(name, [f"{name.split()[-1]}.n.01"]) for name in sorted(found, key=lambda name: (len(name.split()), name))[:count]]


def write_index(out: Path, about: dict, scale: float) -> None:
    """Write an index through the writer that the readers use."""
    rng = np.random.default_rng(1)
    names, images, boxes = about["names"], int(about["images"] * scale), int(about["boxes"] * scale)
    ids = pa.array([f"{n * 2654435761 % (1 << 62):016x}" for n in range(images)])
    free = out.name == "visual_genome"
    classes = pa.array(["|".join([name, *more]) if free else f"/m/{n:06d}" for n, (name, more) in enumerate(names)])
    with IndexWriter(out, source=out.name, format=out.name, version=1, coordinates="pixels") as writer:
        writer.add_classes({"class_id": str(c), "name": name, "synonyms": more} for c, (name, more) in zip(classes, names, strict=True))
        for start in range(0, images, ROWS):
            part = ids[start : start + ROWS]
            licences, splits = (pa.array(about[k]).cast(pa.string()).take(pa.array(rng.integers(len(about[k]), size=len(part)))) for k in ("licences", "splits"))
            url = pa.array([f"https://pictures.example/{i}.jpg" for i in part.to_pylist()])
            writer.add_images({"image_id": part, "split": splits, "url": url, "license": licences, "author": url, "title": url, "landing_url": url})
        for start in range(0, boxes, ROWS):
            size = min(ROWS, boxes - start)
            whose = pa.array(np.sort(rng.integers(images, size=size)))
            kinds = pa.array((len(names) * rng.random(size) ** 3).astype("int64"))
            writer.add_boxes({"image_id": ids.take(whose), "class_id": classes.take(kinds), **{c: pa.array(rng.random(size)) for c in "xywh"}})


def measure(words: list[str], folder: Path) -> tuple[float, float, float]:
    """Run the command in a process of its own; return wall s, CPU s and peak MiB."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "boxset", "coverage", *words], stdout=subprocess.DEVNULL, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _alone(do: Callable[..., None], *given: Any) -> None:
    """Call in a process of its own: what is started from one that has grown counts its size at the fork as its own peak."""
    process = Process(target=do, args=given)
    process.start()
    process.join()
    assert process.exitcode == 0


def main() -> None:
    """Generate once for each scale, measure three times, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("words", nargs="*", default=["hammer", "drill", "paint brush"])
    asked = parser.parse_args()
    folder = DATA / f"coverage-{asked.scale:g}"
    for name, about in sources(asked.scale):
        out = folder / "data/index" / name
        if not (out / "about.json").exists():
            _alone(write_index, out, about, asked.scale)
    (folder / "params.yaml").write_text(PARAMS)
    for _ in range(3):
        print(json.dumps(dict(zip(("wall_s", "cpu_s", "peak_mib"), (round(x, 2) for x in measure(asked.words, folder)), strict=True))))


if __name__ == "__main__":
    main()

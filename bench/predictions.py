"""How long a large results file takes to come in, to be read again, and to be laid beside labels, and how much memory.

    python -m bench.predictions [--pictures 100000] [--predictions 2000000]

Made-up pictures of 640 x 480, two labels each, the predictions spread evenly; the results file is written as Python's json writes it.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.suspicious import annotation, complete, image
from boxset.dataset.coco import write_coco
from boxset.predictions.images import Listed, write_images

CATEGORIES = {1: "driller", 2: "hammer", 3: "paintbrush", 4: "screwdriver", 5: "wheelbarrow"}
STEPS = {
    "add": "t = read_results([Path('results.json')], read_images(Path('images.json')), least=0.0); write(Path('predictions/v1.jsonl.gz'), t.predictions, {1: 'driller'})",
    "read": "read_folder(Path('predictions'), categories={})",
    "suspicious": "print('   ', len(suspects({'train': read_coco(Path('coco.json'))}, read_folder(Path('predictions'), categories={}))), 'suspects')",
}
IMPORTS = (
    "import resource, sys, time; from pathlib import Path; from boxset.predictions.results import read_results; from boxset.predictions.images import read_images; "
    "from boxset.predictions.store import read_folder, write; from boxset.compare.suspicious import suspects; from boxset.dataset.coco import read_coco; "
)


def write_inputs(folder: Path, pictures: int, predictions: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"{int(n):064x}" for n in rng.permutation(pictures)]
    write_images(folder / "images.json", [Listed(id=n, file_name=f"{sha}.jpg", width=640, height=480, sha256=sha) for n, sha in enumerate(names, 1)], CATEGORIES, root=folder)
    labels = [annotation(2 * n + k, n + 1, 1 + (n + k) % 5, (50 + 200 * k, 60, 150, 200)) for n in range(pictures) for k in (0, 1)]
    write_coco(folder / "coco.json", complete([image(n, sha256=sha, file_name=f"{sha}.jpg") for n, sha in enumerate(names, 1)], labels, list(CATEGORIES.values())))
    which = np.sort(rng.integers(0, pictures, predictions))
    corner, size, score = rng.uniform(0, 300, (predictions, 2)), rng.uniform(10, 170, (predictions, 2)), rng.beta(0.6, 2, predictions)
    near = rng.random(predictions) < 0.08
    with (folder / "results.json").open("w") as out:
        for k in range(predictions):
            n = int(which[k])
            x, y, w, h = (52.0, 61.0, 149.0, 197.0) if near[k] else (*corner[k], *size[k])
            category, sure = (1 + n % 5, 0.5 + score[k] / 2) if near[k] else (1 + k % 5, score[k])
            out.write(f'{", " if k else "["}{{"image_id": {n + 1}, "category_id": {category}, "bbox": [{x + k % 97 / 1000:.3f}, {y:.3f}, {w:.3f}, {h:.3f}], "score": {sure:.8f}}}')
        out.write("]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--predictions", type=int, default=2_000_000)
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, args.pictures, args.predictions)
        print(f"{args.predictions:,} predictions of {args.pictures:,} pictures: results.json {(folder / 'results.json').stat().st_size / 1e6:.0f} MB")
        for step, code in STEPS.items():
            began = time.perf_counter()
            tail = "; print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))"
            done = subprocess.run([sys.executable, "-c", IMPORTS + code + tail], cwd=folder, env={"PYTHONPATH": str(Path(__file__).parents[1])}, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            *said, peak = done.stdout.split("\n")[:-1]
            print(f"{step:<11} {time.perf_counter() - began:5.1f} s, {int(peak):,} MB at the most", *said)
        print(f"v1.jsonl.gz {(folder / 'predictions/v1.jsonl.gz').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

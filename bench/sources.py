"""Indexes of generated files of the real files' shape, against pandas, csv, json and pycocotools; each in a process of its own.

    python -m bench.sources [--scale 1.0]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

DATA = Path("bench/data")
OI_ROWS, COCO_IMAGES, VG_IMAGES, LOC_ROWS = 14_610_229, 118_287, 108_077, 544_546
COCO_CROWDS = 0.012  # of the boxes
OI_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside,"
    "XClick1X,XClick2X,XClick3X,XClick4X,XClick1Y,XClick2Y,XClick3Y,XClick4Y\n"
)
FIVE_OI = ["/m/000010", "/m/000020", "/m/000030", "/m/000040", "/m/000050"]

OURS = """
from pathlib import Path
from boxset.sources.index import build_index
from boxset.resolve import IndexOrder
from boxset.endpoints import Endpoints
order = IndexOrder(name="x", on=True, format={format!r}, path="", files={files!r}, sha256={{}}, splits={splits!r}, annotations="", license="", max_lost_share=0.02)
print(build_index(order, Path("bench/data/index-{format}"), endpoints=Endpoints(), contact="", version=1)["boxes"])
"""
FIVE = """
from pathlib import Path
from boxset.sources.tables import read_boxes
print(read_boxes(Path("bench/data/index-open_images"), {five!r}).num_rows)
"""
FILTER = """
import mmap, re
pattern = re.compile(rb"^[^,\\n]*,[^,\\n]*,(?:" + b"|".join(x.encode() for x in {five!r}) + rb"),.*$", re.M)
with open({file!r}, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
    print(sum(1 for _ in pattern.finditer(content)))
"""
CHUNKED = """
import pandas
columns = ["ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsGroupOf"]
print(sum(chunk.LabelName.isin({five!r}).sum() for chunk in pandas.read_csv({file!r}, usecols=columns, chunksize=500_000)))
"""
SPLIT = """
import csv
n = 0
for row in csv.DictReader(open({file!r})):
    words = row["PredictionString"].split()
    n += len([(words[i], *map(float, words[i + 1 : i + 5])) for i in range(0, len(words), 5)])
print(n)
"""
EXPLODED = """
import pandas
table = pandas.read_csv({file!r})
words = table.PredictionString.str.split().explode()
print(len(words.iloc[1::5].astype(float)))
"""


def generate(scale: float) -> dict[str, Path]:
    """Write the files once for each scale."""
    folder = DATA / f"{scale:g}"
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}" for name in ("oi.csv", "classes.csv", "hierarchy.json", "coco.json", "vg.json", "loc.csv")}
    writers = {"oi.csv": _oi, "coco.json": _coco, "vg.json": _vg, "loc.csv": _loc}
    for name, write in writers.items():
        if not files[name].exists():
            with files[name].with_suffix(".part").open("w") as out:
                write(out, scale)
            files[name].with_suffix(".part").rename(files[name])
    files["classes.csv"].write_text("LabelName,DisplayName\n" + "".join(f"/m/{n:06d},Thing {n}\n" for n in range(601)))
    files["hierarchy.json"].write_text('{"LabelName": "/m/0", "Subcategory": [{"LabelName": "/m/000001"}]}')
    return files


def _oi(out, scale):
    rng = random.Random(1)
    tails = [f"{rng.random():.6f}," * 8 for _ in range(997)]
    out.write(OI_HEADER)
    labels = [f"/m/{int(601 * rng.random() ** 3):06d}" for _ in range(9973)]
    number, left = 0, 0
    for n in range(int(OI_ROWS * scale)):
        if not left:  # as published: in the order of the images' ids, which are 16 hexadecimal digits
            number, left = number + rng.randrange(1 << 41), rng.randint(1, 15)
            image = f"{number:016x}"
        left -= 1
        a, b, c, d = rng.random(), rng.random(), rng.random(), rng.random()
        out.write(f"{image},xclick,{labels[n % 9973]},1,{min(a, b):.6f},{max(a, b):.6f},{min(c, d):.6f},{max(c, d):.6f},0,1,0,0,0,{tails[n % 997][:-1]}\n")


def _coco(out, scale):
    """Write instances as train2017 has them: a twentieth of the polygons in parts, the crowds with their run lengths at the end."""
    rng = random.Random(2)
    images = [_coco_image(rng, n) for n in range(int(COCO_IMAGES * scale))]
    out.write('{"info": {}, "licenses": [], "images": ' + json.dumps(images) + ', "annotations": [')
    rows = int(860_001 * scale)
    for n in range(rows):
        crowd = n >= rows * (1 - COCO_CROWDS)
        box = [round(rng.random() * 300, 2) for _ in range(4)]
        segmentation = _run_lengths(rng) if crowd else _polygons(rng)
        number = 900_100_000_000 + n if crowd else n
        row = {"segmentation": segmentation, "area": round(rng.random() * 1e4, 3), "iscrowd": int(crowd), "image_id": rng.randrange(len(images)), "bbox": box, "category_id": rng.randint(1, 80), "id": number}
        out.write((", " if n else "") + json.dumps(row))
    out.write('], "categories": ' + json.dumps([{"id": n, "name": f"c{n}"} for n in range(1, 81)]) + "}")


def _coco_image(rng, n):
    flickr = f"http://farm{rng.randint(1, 9)}.staticflickr.com/{rng.randrange(9999)}/{rng.randrange(10**9, 10**10)}_{rng.randrange(16**10):010x}_z.jpg"
    return {"license": rng.randint(1, 8), "file_name": f"{n:012d}.jpg", "coco_url": f"http://images.cocodataset.org/train2017/{n:012d}.jpg", "height": 480, "width": 640, "date_captured": "2013-11-14 17:02:52", "flickr_url": flickr, "id": n}


def _polygons(rng):
    parts = 1 if rng.random() > 0.05 else rng.randint(2, 4)
    return [[round(rng.random() * 600, 2) for _ in range(40 // parts // 2 * 2)] for _ in range(parts)]


def _run_lengths(rng):
    return {"counts": [rng.randrange(400) for _ in range(800)], "size": [480, 640]}


def _vg(out, scale):
    rng = random.Random(3)
    out.write("[")
    for n in range(int(VG_IMAGES * scale)):
        things = [int(30_000 * rng.random() ** 4) for _ in range(23)]
        objects = [
            {"synsets": [f"thing{k % 7000}.n.01"], "h": 10, "object_id": n * 23 + k, "merged_object_ids": [], "names": [f"thing {k}"], "w": 11, "y": 12, "x": 13} for k in things
        ]
        out.write((", " if n else "") + json.dumps({"image_id": n, "objects": objects, "image_url": "https://cs.stanford.edu/people/rak248/VG_100K/1.jpg"}))
    out.write("]")


def _loc(out, scale):
    rng = random.Random(4)
    out.write("ImageId,PredictionString\n")
    for n in range(int(LOC_ROWS * scale)):
        wnid = f"n{rng.randrange(1000):08d}"
        out.write(f"{wnid}_{n}," + f"{wnid} 1 2 300 400 " * rng.choice((1, 1, 1, 2, 3)) + "\n")


def measure(code: str) -> tuple[float, float, float, str]:
    """Run code in a process of its own; return wall s, CPU s, peak MiB and what it printed last."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0, code
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, printed.strip().splitlines()[-1]


def compare(title: str, variants: dict[str, str]) -> None:
    """Print a table; ratios are to the first row, ours."""
    print(f"\n{title}\n{'':34}{'wall s':>9}{'CPU s':>9}{'peak MiB':>10}{'wall ÷':>8}{'peak ÷':>8}  result")
    first = None
    for name, code in variants.items():
        wall, cpu, peak, printed = measure(code)
        first = first or (wall, peak)
        print(f"{name:34}{wall:9.2f}{cpu:9.2f}{peak:10.0f}{wall / first[0]:8.1f}{peak / first[1]:8.1f}  {printed}", flush=True)


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    scale = parser.parse_args().scale
    versus_others(scale)
    growth(scale)


def versus_others(scale: float) -> None:
    """Compare every reader with what a user would use instead."""
    f = {name: str(path) for name, path in generate(scale).items()}
    compare(
        f"Open Images boxes, {int(OI_ROWS * scale):,} rows",
        {
            "boxset index": ours("open_images", f),
            "pandas.read_csv, as FiftyOne does": f"import pandas; print(len(pandas.read_csv({f['oi.csv']!r})))",
            "csv.DictReader, as the old scripts": f"import csv; print(sum(1 for _ in csv.DictReader(open({f['oi.csv']!r}))))",
        },
    )
    compare(
        "five categories",
        {
            "boxset, finished index": FIVE.format(five=FIVE_OI),
            "re over the mapped file": FILTER.format(five=FIVE_OI, file=f["oi.csv"]),
            "pandas, seven columns, in chunks": CHUNKED.format(five=FIVE_OI, file=f["oi.csv"]),
        },
    )
    compare(
        "COCO instances",
        {
            "boxset index": ours("coco", f),
            "pycocotools.COCO": f"from pycocotools.coco import COCO; print(len(COCO({f['coco.json']!r}).anns))",
            "json.load": f"import json; print(len(json.load(open({f['coco.json']!r}))['annotations']))",
        },
    )
    compare(
        "Visual Genome objects",
        {"boxset index": ours("visual_genome", f), "json.load": f"import json; print(sum(len(i['objects']) for i in json.load(open({f['vg.json']!r}))))"},
    )
    compare(
        "ImageNet localisation, all its boxes",
        {"boxset index": ours("imagenet", f), "csv.DictReader, split": SPLIT.format(file=f["loc.csv"]), "pandas, split and exploded": EXPLODED.format(file=f["loc.csv"])},
    )


def growth(scale: float) -> None:
    """Show the peak memory of an index of a tenth and of the whole."""
    print(f"\npeak MiB as the file grows tenfold\n{'':34}{'a tenth':>9}{'whole':>9}{'ratio':>8}")
    small, whole = ({name: str(path) for name, path in generate(size).items()} for size in (scale / 10, scale))
    for reader in ("open_images", "imagenet", "visual_genome"):
        a, b = (measure(ours(reader, f))[2] for f in (small, whole))
        print(f"{reader:34}{a:9.0f}{b:9.0f}{b / a:8.2f}", flush=True)


def ours(reader: str, f: dict[str, str]) -> str:
    """Return the code that builds an index of a generated file."""
    files, splits = {
        "open_images": ({"boxes_train": f["oi.csv"], "classes": f["classes.csv"], "hierarchy": f["hierarchy.json"], "images_train": "none", "labels_train": "none"}, ("train",)),
        "coco": ({"instances_train": f["coco.json"]}, ("train",)),
        "visual_genome": ({"objects": f["vg.json"], "images": "none", "aliases": "none"}, ()),
        "imagenet": ({"boxes_train": f["loc.csv"], "synsets": "none", "boxes_val": "none"}, ("train",)),
    }[reader]
    return OURS.format(format=reader, files=files, splits=splits)


if __name__ == "__main__":
    main()

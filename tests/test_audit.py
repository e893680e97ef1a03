"""Every box has its origin, its cost and its terms, and the money adds up."""

import csv
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from boxset.compare.audit import Traced, by_origin, trace
from boxset.dataset.coco import Coco
from boxset.sources.terms import asks, box_terms
from tests.build import annotation, coco, image
from tests.project import Project

JOB = {"job": "job-1", "workers": 2, "of_workers": 3}


def traced(parts: dict[str, Coco], **prices: Fraction) -> list[Traced]:
    """The boxes of a data set; `job_1` is the price of a picture in job-1."""
    named = {name.replace("_", "-"): price for name, price in prices.items()}
    return trace(parts, named, terms=lambda source: box_terms(source, {"ours": "lvis"})[:2], asks=asks)


def test_boxes_of_a_job_share_the_price_of_their_picture_and_those_of_sources_are_free() -> None:
    boxes = [annotation(n, 1, source="label", attributes=JOB) for n in (1, 2)] + [annotation(3, 1, source="ours"), annotation(4, 2, source="label", attributes=JOB)]

    rows = traced({"train": coco([image(1), image(2)], boxes)}, job_1=Fraction(18, 100))

    assert [(row.origin, row.usd, row.workers) for row in rows] == [
        ("job-1", Fraction(9, 100), "2 of 3"),
        ("job-1", Fraction(9, 100), "2 of 3"),
        ("ours", 0, ""),
        ("job-1", Fraction(18, 100), "2 of 3"),
    ]
    assert [(row.box_licence, row.licence, row.asks) for row in rows[1:3]] == [("", "CC-BY-4.0", "credit"), ("CC-BY-4.0", "CC-BY-4.0", "credit")]


def test_what_a_job_cost_for_pictures_without_a_box_in_the_set_is_named_apart() -> None:
    rows = traced({"train": coco([image(1)], [annotation(1, 1, source="label", attributes=JOB), annotation(2, 1, source="lvis")])}, job_1=Fraction(1, 10))

    found = by_origin(rows, {"job-1": Fraction(5, 10), "job-2": Fraction(2, 10)})

    assert [(one.name, one.boxes, one.pictures, one.usd, one.usd_elsewhere) for one in found] == [
        ("lvis", 1, 1, 0, 0),
        ("job-1", 1, 1, Fraction(1, 10), Fraction(4, 10)),
        ("job-2", 0, 0, 0, Fraction(2, 10)),
    ]


def test_crowds_are_counted_apart() -> None:
    (found,) = by_origin(traced({"train": coco([image(1)], [annotation(n, 1, source="lvis", iscrowd=int(n == 1)) for n in (1, 2, 3)])}), {})

    assert (found.boxes, found.crowds, found.pictures) == (2, 1, 1)


@pytest.mark.pipeline
def test_the_command_writes_a_row_for_each_box_of_a_version(small: Project) -> None:
    said = small.run("boxset", "audit").stdout
    small.run("boxset", "audit", "--csv", "boxes.csv", "--rev", "HEAD")
    only = small.run("boxset", "audit", "--origin", "lvis", "--category", "hammer", "--csv", "lvis.csv").stdout
    wrong = small.run("boxset", "audit", "--origin", "lvsi", check=False)
    misspelt = small.run("boxset", "audit", "--category", "hamer", check=False)

    annotations = [a for split in ("train", "val", "test") for a in small.json(f"data/dataset/annotations/instances_{split}.json")["annotations"]]
    with Path(small.root, "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["origin"] for row in rows) == Counter(a["source"] for a in annotations)
    assert all(row["licence"] and row["asks"] for row in rows)
    assert {row["box_licence"] for row in rows if row["origin"] == "imagenet"} == {"LicenseRef-research-only"}
    hammers = [row for row in rows if (row["origin"], row["category"]) == ("lvis", "hammer")]
    assert only.startswith(f"lvis.csv: {sum(row['iscrowd'] == '0' for row in hammers)} box")
    assert "may not be passed on without permission" in said
    assert "did you mean lvis?" in wrong.stderr
    assert "did you mean hammer?" in misspelt.stderr

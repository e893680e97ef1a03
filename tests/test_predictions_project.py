"""Predictions in a whole project: what to run a detector on, what comes in, what runs anew, what is shown, and that no label comes of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from boxset.report.suspicious_page import region_of
from tests.project import Project

pytestmark = pytest.mark.pipeline


def listed(project: Project, *options: str) -> Any:
    """The images file that the project writes."""
    (project.root / "to-predict.json").unlink(missing_ok=True)
    project.run("boxset", "predictions", "images", "to-predict.json", *options)
    return project.json("to-predict.json")


def labels(project: Project) -> dict[str, list[tuple[int, list[float]]]]:
    """Category and box of every label of the data set, by picture."""
    found: dict[str, list[tuple[int, list[float]]]] = {}
    for split in ("train", "val", "test"):
        coco = project.json(f"data/dataset/annotations/instances_{split}.json")
        hashes = {image["id"]: image["sha256"] for image in coco["images"]}
        for a in coco["annotations"]:
            if not a["iscrowd"]:
                found.setdefault(hashes[a["image_id"]], []).append((a["category_id"], a["bbox"]))
    return found


def detect(project: Project, *, hammer_in: str = "") -> list[dict[str, Any]]:
    """Results of a detector that sees every label but the first picture's, and one more hammer in a picture."""
    images, truth = listed(project, "--all")["images"], labels(project)
    unseen = next(image["sha256"] for image in images if image["sha256"] in truth)
    found = []
    for image in images:
        for place, (category_id, bbox) in enumerate(truth.get(image["sha256"], []) if image["sha256"] != unseen else []):
            found.append({"image_id": image["id"], "category_id": category_id, "bbox": bbox, "score": 0.9 - place / 50})
        if image["sha256"] == hammer_in:
            found.append({"image_id": image["id"], "category_id": 2, "bbox": [1, 1, image["width"] / 2, image["height"] / 2], "score": 0.95})
    return found


def add(project: Project, results: list[dict[str, Any]], *options: str, check: bool = True) -> Any:
    """Take results in."""
    (project.root / "results.json").write_text(json.dumps(results))
    return project.run("boxset", "predictions", "add", "results.json", "--images", "to-predict.json", *options, check=check)


def test_predictions_run_the_plan_and_the_report_alone_and_taking_them_out_leaves_nothing(small: Project) -> None:
    before = small.bytes_of("data/label", "data/merge", "data/dataset", "data/report", "metrics")
    add(small, detect(small))

    ran = small.repro()
    with_them = small.bytes_of("data/label", "data/merge", "data/dataset", "data/report", "metrics")
    again = small.repro()
    (small.root / "predictions/v1.jsonl.gz").unlink()
    ran_without = small.repro()

    changed = {name for name in before if with_them[name] != before[name]}
    assert (ran, again) == (["label", "report"], [])
    assert changed == {"data/label/plan.json", "data/report/index.html", "metrics/label.json"}
    assert set(ran_without) <= {"label", "report"}
    assert small.bytes_of("data/label", "data/merge", "data/dataset", "data/report", "metrics") == before


def test_the_pictures_to_run_a_detector_on_are_there_and_say_what_they_are(small: Project) -> None:
    own, other = listed(small)["images"], listed(small, "--unlabelled")["images"]
    both = listed(small, "--all")

    assert [image["id"] for image in both["images"]] == list(range(1, len(own) + len(other) + 1))
    assert {image["sha256"] for image in own} == {path.stem for path in (small.root / "data/dataset/images").glob("*/*")}
    assert all((small.root / image["file_name"]).is_file() for image in both["images"])
    assert {image.get("split", "") for image in other} == {""}
    assert other
    assert both["annotations"] == []
    assert small.run("boxset", "predictions", "images", "--all").returncode == 0
    other_pictures = small.run("boxset", "predictions", "images", check=False)
    assert "to-predict.json: it is there, with other pictures or numbers. Results that are made of it need it" in other_pictures.stderr
    assert small.json("to-predict.json") == both
    assert list(small.root.glob(".*.new")) == []
    assert [c["name"] for c in both["categories"]] == ["hammer", "screwdriver", "wheelbarrow"]


def test_a_hammer_that_is_seen_where_none_is_labelled_is_planned_first_and_becomes_no_label(small: Project) -> None:
    crawled = listed(small, "--unlabelled")["images"]
    planned = [item["sha256"] for item in small.json("data/label/plan.json")["items"] if item["found_for"] == "hammer"]
    last = planned[-1]
    add(small, detect(small, hammer_in=last))

    small.repro()

    plan = small.json("data/label/plan.json")
    first = next(item for item in plan["items"] if item["found_for"] == "hammer")
    assert last in {image["sha256"] for image in crawled}
    assert (first["sha256"], first["why"].partition("; ")[2]) == (last, "v1 sees 1.0 here")
    assert plan["predictions"].startswith("Predictions of v1 were used on ")
    assert plan["predictions"].endswith("No prediction becomes a label.")
    assert "No prediction becomes a label." in small.run("boxset", "label", "plan").stdout
    assert last not in (small.root / "data/merge/annotations.json").read_text()


def test_suspicious_labels_are_listed_shown_and_counted(small: Project) -> None:
    nothing = small.run("boxset", "suspicious", check=False)
    picture = next(image["sha256"] for image in listed(small)["images"] if not any(i == 2 for i, _ in labels(small).get(image["sha256"], [])) and _may_have(small, image["sha256"]))
    said = add(small, detect(small, hammer_in=picture)).stdout
    small.repro()

    found = json.loads(small.run("boxset", "suspicious", "hammer", "--json").stdout)
    text = small.run("boxset", "suspicious").stdout
    first = small.run("boxset", "suspicious", "--n", "1").stdout
    drawn = small.run("boxset", "suspicious", "--html", "out/suspicious.html", "--n", "1").stdout
    count = len(json.loads(small.run("boxset", "suspicious", "--json", "--n", "10000").stdout))
    small.run("boxset", "suspicious", "--html", "out/suspicious.html")
    page, report = (small.root / "out/suspicious.html").read_text(), (small.root / "data/report/index.html").read_text()

    assert "there are no predictions. `boxset predictions images` writes what to run a detector on" in nothing.stderr
    assert "pictures of the data set are found (" in said
    assert [(s["kind"], s["sha256"]) for s in found if s["kind"] == "missed"] == [("missed", picture)]
    assert f"{picture[:12]}  missed" in text
    assert f"\n{count - 1} more: --n {count}. " in first
    assert drawn == f"out/suspicious.html: 1 of {count} suspicious labels; --n {count} shows all\n"
    assert f"boxset explain {picture[:16]}" in page
    assert 'class="seen"' in page
    assert "data:image/jpeg" in page
    assert "Suspicious labels" in report
    assert small.json("metrics/label.json")["suspicious"]["missed"]["hammer"] >= 1
    assert "http" not in page


def _may_have(project: Project, sha256: str) -> bool:
    """Whether a picture of the data set may have a hammer, as far as is known."""
    for split in ("train", "val", "test"):
        for image in project.json(f"data/dataset/annotations/instances_{split}.json")["images"]:
            if image["sha256"] == sha256:
                return 2 not in image["neg_category_ids"] + image["not_exhaustive_category_ids"]
    return False


def test_a_command_that_went_wrong_leaves_nothing_and_says_what_to_do(small: Project) -> None:
    results = detect(small)
    add(small, results, "--name", "v1")
    wrong_ids = [{**one, "category_id": {1: 2, 2: 4, 4: 5, 5: 2}.get(one["category_id"], 2)} for one in results]
    ours = {i for i, _ in (label for some in labels(small).values() for label in some)}

    twice = add(small, results, "--name", "v1", check=False)
    bad = add(small, [*results, {**results[0], "score": 7}], "--name", "v2", check=False)
    mixed = add(small, [one for one in wrong_ids if one["category_id"] in ours], "--name", "v3", check=False)
    corners = add(small, [{**one, "bbox": _corners(one["bbox"])} for one in results if _far(one["bbox"])], "--name", "v4", check=False)
    replaced = add(small, results, "--name", "v1", "--replace")

    assert "predictions/v1.jsonl.gz: there are predictions of this name. Name another with --name" in twice.stderr
    assert f"results.json: record {len(results) + 1}: score: 7 does not lie within 0 to 1" in bad.stderr
    assert "category_id: " in mixed.stderr
    assert "YOLO counts classes in the order of the ids" in mixed.stderr
    assert corners.returncode == 1
    assert "Traceback" not in twice.stderr + bad.stderr + mixed.stderr + corners.stderr
    assert [path.name for path in (small.root / "predictions").glob("*.gz")] == ["v1.jsonl.gz"]
    assert "predictions/v1.jsonl.gz: " in replaced.stdout
    assert "v1" in small.run("boxset", "predictions", "list").stdout


def test_a_name_that_dvc_keeps_elsewhere_is_taken(small: Project) -> None:
    results = detect(small)
    (small.root / "predictions/v1.jsonl.gz.dvc").write_text("outs:\n")

    twice = add(small, results, "--name", "v1", check=False)
    replaced = add(small, results, "--name", "v1", "--replace")

    assert "predictions/v1.jsonl.gz: there are predictions of this name" in twice.stderr
    assert "DVC keeps it: `dvc add predictions/v1.jsonl.gz` and commit predictions/v1.jsonl.gz.dvc" in replaced.stdout


def _corners(bbox: list[float]) -> list[float]:
    x, y, w, h = bbox
    return [x, y, x + w, y + h]


def _far(bbox: list[float]) -> bool:
    return bbox[0] > 20 and bbox[1] > 20


def test_a_clone_that_pulled_has_the_same_predictions_and_runs_nothing(small: Project, tmp_path: Path) -> None:
    add(small, detect(small))
    small.repro()
    small.commit("Predict")
    clone = small.clone_to(tmp_path / "clone")
    clone.run("dvc", "config", "--local", "cache.dir", str(small.root / ".dvc/cache"))
    clone.run("dvc", "checkout")

    assert clone.repro() == []


def test_a_crop_shows_both_boxes_and_stays_inside_its_picture() -> None:
    assert region_of([(100.0, 100.0, 50.0, 40.0), (120.0, 90.0, 50.0, 40.0)], 400, 300) == pytest.approx((58.0, 48.0, 154.0, 134.0))
    assert region_of([(0.0, 0.0, 10.0, 10.0)], 400, 300) == pytest.approx((0.0, 0.0, 53.0, 53.0))
    assert region_of([(0.0, 0.0, 400.0, 300.0)], 400, 300) == (0.0, 0.0, 400.0, 300.0)

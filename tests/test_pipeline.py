"""The pipeline as DVC runs it: what runs, what does not, what is left behind."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.project import Project, copy_of_repository

pytestmark = pytest.mark.pipeline

SOURCES = ("open_images", "imagenet", "visual_genome", "coco", "lvis")
AFTER_LABEL = ["label", "merge", "balance", "report"]
TRACKED = ("dvc.lock", "splits.csv", "metrics")


@pytest.mark.xdist_group("full")
def test_a_fresh_clone_builds_the_same_bytes_and_then_runs_nothing(tmp_path: Path) -> None:
    """Where this fails after an edit: raise VERSION in the stages whose outputs changed, run `dvc repro`, commit `dvc.lock`."""
    project = copy_of_repository(tmp_path / "clone")
    committed = project.bytes_of(*TRACKED)

    project.repro()
    rebuilt = project.bytes_of(*TRACKED)

    assert {name for name in rebuilt.keys() | committed.keys() if rebuilt.get(name) != committed.get(name)} == set()
    assert project.repro() == []
    assert project.run("boxset", "validate").stdout.strip().endswith("no faults")


def test_a_second_run_runs_nothing_and_fetches_nothing(small: Project) -> None:
    before = len(small.requests())

    assert small.repro() == []
    assert len(small.requests()) == before


def test_adding_a_category_crawls_it_alone_and_fetches_no_picture_twice(small: Project) -> None:
    small.run("boxset", "add", "wrench", "adjustable wrench")
    ran = small.repro()

    crawls = [stage for stage in ran if stage.startswith("crawl@")]
    assert crawls == ["crawl@wrench"]
    assert not [stage for stage in ran if stage.startswith("index@")]
    assert [stage for stage in ran if stage in AFTER_LABEL] == AFTER_LABEL
    assert small.json("metrics/crawl/wrench.json")["kept"] > 0
    assert pictures_fetched_twice(small) == {}
    params_diff = small.run("dvc", "params", "diff").stdout
    assert "categories.wrench.id" in params_diff
    assert "wrench" in small.run("dvc", "metrics", "diff").stdout


def test_a_row_taken_out_of_a_list_takes_its_picture_out_at_the_next_repro_and_crawls_for_its_category_alone(small: Project) -> None:
    rows = [json.loads(line) for line in (small.root / "data/crawl/wheelbarrow/images.jsonl").read_text().splitlines()]
    first, second = [row["url"] for row in rows if row["outcome"] == "kept"][:2]
    (small.root / "mine.csv").write_text(f"url,category\n{first},hammer\n{second},hammer\n")
    params = small.params()
    params["crawl"]["url_lists"] = ["mine.csv"]
    params["categories"]["hammer"]["crawl_images"] = 99
    small.set_params(params)
    pipeline = (small.root / "dvc.yaml").read_text()
    (small.root / "dvc.yaml").write_text(pipeline.replace("# always_changed: true", "always_changed: true"))
    small.repro()
    listed = kept_from_list(small)
    unchanged = small.repro()
    (small.root / "mine.csv").write_text(f"url,category\n{second},hammer\n")
    ran = small.repro()

    assert (listed, unchanged) == ({first, second}, ["resolve"])
    assert [stage for stage in ran if "@" in stage or stage == "resolve"] == ["resolve", "crawl@hammer"]
    assert kept_from_list(small) == {second}
    assert small.repro() == ["resolve"]


def kept_from_list(project: Project) -> set[str]:
    """The addresses of the crawl's pictures of hammers that a list named."""
    rows = [json.loads(line) for line in (project.root / "data/crawl/hammer/images.jsonl").read_text().splitlines()]
    return {row["url"] for row in rows if row["outcome"] == "kept" and row["picture"]["supplier"] == "url_lists"}


def pictures_fetched_twice(project: Project) -> dict[str, int]:
    """Addresses whose picture was sent in full more than once."""
    sent = Counter(
        r["url"]
        for r in project.requests()
        if r["status"] == 200 and r["whole"] and r["url"].endswith((".jpg", ".jpeg", ".png", ".webp", ".gif", ".JPEG"))
    )
    return {url: times for url, times in sent.items() if times > 1}


def change(path: str, value: Any) -> Callable[[Any], None]:
    """An edit of one parameter."""

    def edit(params: Any) -> None:
        *parents, last = path.split(".")
        for part in parents:
            params = params.setdefault(part, {})
        params[last] = value

    return edit


EDITS = {
    "a query": (change("categories.hammer.queries", ["claw hammer", "sledge hammer"]), ["resolve", "crawl@hammer", *AFTER_LABEL]),
    "a target": (change("categories.hammer.target", 31), ["resolve", "label", "balance", "report"]),
    "a split ratio": (change("split.ratio", {"train": 0.6, "val": 0.2, "test": 0.2}), ["resolve", "balance", "report"]),
    "who never is in test": (change("split.never_test", ["coco", "lvis"]), ["resolve", "balance", "report"]),
    "who alone is in test": (change("split.test_only_from", ["open_images"]), ["resolve", "balance", "report"]),
    "the budget": (change("label.budget_usd", 7.0), ["label", "report"]),
    "the labelling service": (change("labeler.title", "Boxes, please"), []),
    "the contact": (change("project.contact", "someone@shop.example"), []),
    "a picture limit of one source": (
        change("sources.open_images.max_images_per_category", 3),
        ["resolve", "extract@open_images", *AFTER_LABEL],
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_runs_only_what_depends_on_it(small: Project, what: str) -> None:
    edit, expected = EDITS[what]
    params = small.params()
    edit(params)
    small.set_params(params)

    ran = small.repro()

    assert [stage for stage in ran if stage not in expected] == []
    must_run = [stage for stage in expected if stage not in AFTER_LABEL]
    assert [stage for stage in must_run if stage not in ran] == []


def test_reviewing_runs_the_plan_the_merge_and_what_follows_and_what_was_sorted_out_is_neither_bought_nor_kept(small: Project) -> None:
    before = small.json("data/label/plan.json")["items"]
    sorted_out, wanted = [item["sha256"] for item in before if item["wanted_for"] == "hammer"][:2], before[-1]["sha256"]
    public = next(image["sha256"] for image in small.json("data/merge/annotations.json")["images"] if 2 in image["exhaustive_category_ids"])
    small.run("git", "config", "user.name", "Anna")
    rows = [(sorted_out[0], "no", ""), (sorted_out[1], "unusable", "drawing"), (public, "no", "")]
    (small.root / "mine.csv").write_text("sha256,verdict,reason\n" + "".join(",".join(row) + "\n" for row in rows))

    said = small.run("boxset", "review", "hammer", "--from", "mine.csv").stdout
    stale = [small.run("boxset", "label", *words, check=False) for words in (("plan",), ("submit", "--yes"))]
    ran = small.repro()

    assert said == "1 unusable, 2 no by Anna in decisions/review.jsonl: commit it, then `dvc repro`\n"
    assert [(one.returncode, "the plan is older than the decisions" in one.stderr) for one in stale] == [(1, True)] * 2
    assert ran == AFTER_LABEL
    planned = {item["sha256"] for item in small.json("data/label/plan.json")["items"]}
    assert (planned & set(sorted_out), wanted in planned) == (set(), True)
    dropped = {row["sha256"]: row["reason"] for row in map(json.loads, (small.root / "data/merge/dropped.jsonl").read_text().splitlines())}
    assert [dropped[sha256] for sha256 in sorted_out] == ["rejected", "unusable"]
    assert small.json("metrics/merge.json")["denied_boxes"] > 0
    image = next(image for image in small.json("data/merge/annotations.json")["images"] if image["sha256"] == public)
    assert 2 in image["neg_category_ids"]
    assert "hammer: unusable (drawing), by Anna at " in small.run("boxset", "explain", sorted_out[1]).stdout
    assert small.run("boxset", "validate").stdout.strip().endswith("no faults")
    assert small.repro() == []


def test_where_a_review_is_required_the_plan_has_only_what_a_person_saw(small: Project) -> None:
    params = small.params()
    params["label"]["review"] = "required"
    small.set_params(params)
    ran = small.repro()
    says = " ".join(small.run("boxset", "label", "plan").stdout.split())
    waiting = small.json("metrics/label.json")["to_review"]["hammer"]

    assert [stage for stage in ran if stage not in ("label", "merge", "report")] == []
    assert small.json("data/label/plan.json")["items"] == []
    assert f"`boxset review hammer` ({waiting:,})" in says
    assert f"hammer 0 of {waiting:,}" in small.run("boxset", "status").stdout


def test_removing_a_category_that_was_just_added_leaves_nothing_of_it(small: Project) -> None:
    untouched = small.params()
    small.run("boxset", "add", "wrench", "adjustable wrench")
    small.repro()
    assert (small.root / "data/crawl/wrench").is_dir()

    small.set_params(untouched)
    small.repro()

    assert list(small.root.glob("data/**/*wrench*")) == []
    assert list(small.root.glob("metrics/**/*wrench*")) == []
    assert "wrench" not in (small.root / "data/dataset/annotations/instances_train.json").read_text()


def test_removing_a_source_leaves_nothing_of_it(small: Project) -> None:
    params = small.params()
    del params["sources"]["visual_genome"]
    for category in params["categories"].values():
        category["classes"].pop("visual_genome", None)
    small.set_params(params)

    small.repro()

    assert list(small.root.glob("data/*/visual_genome*")) == []
    assert list(small.root.glob("metrics/*/visual_genome*")) == []
    images = [image for split in ("train", "val", "test") for image in small.json(f"data/dataset/annotations/instances_{split}.json")["images"]]
    assert [image["id"] for image in images if image["source"] == "visual_genome"] == []
    assert images != []


@pytest.mark.parametrize("stage", ["crawl@hammer", "extract@imagenet", "extract@open_images", "index@open_images"])
def test_a_kill_in_the_middle_loses_nothing(small: Project, stage: str) -> None:
    name, item = stage.split("@")
    whole = small.bytes_of(f"data/{name}/{item}", f"metrics/{name}/{item}.json")
    lock = (small.root / "dvc.lock").read_bytes()
    forget(small, name, item)

    for wait_s in (0.9, 1.3, 1.8):
        kill_after(small, wait_s, "dvc", "repro", "-s", "-f", stage)
        mend_dvc(small, lock)
    small.run("dvc", "repro", "-s", "-f", stage)

    assert small.bytes_of(f"data/{name}/{item}", f"metrics/{name}/{item}.json") == whole


def forget(project: Project, name: str, item: str) -> None:
    """Remove a stage's outputs and whatever the project remembers outside them."""
    project.run("rm", "-rf", f"data/{name}/{item}", ".boxset")


def mend_dvc(project: Project, lock: bytes) -> None:
    """Do what a user does after a kill of DVC: it writes `dvc.lock` and its table of locks in place, so that both may be torn."""
    (project.root / "dvc.lock").write_bytes(lock)
    (project.root / ".dvc/tmp/rwlock").unlink(missing_ok=True)


def kill_after(project: Project, wait_s: float, *command: str) -> None:
    """Start a command and kill it, and not what it started, after a while."""
    started = project.start(*command)
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and started.poll() is None:
        time.sleep(0.05)  # waiting is the point: the kill comes at some moment of the work
    os.kill(started.pid, signal.SIGKILL) if started.poll() is None else None
    started.wait()


def test_a_moved_world_is_refused(small: Project) -> None:
    params = small.params()
    params["world"] = "live"
    small.set_params(params)

    done = small.run("dvc", "repro", check=False)

    assert done.returncode != 0
    assert "embedded world" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_experiments_buy_nothing(small: Project) -> None:
    before = small.bytes_of("ledger")

    small.run("dvc", "exp", "run", "-S", "label.budget_usd=3")

    assert small.bytes_of("ledger") == before
    assert json.loads((small.root / "metrics/label.json").read_text())


def test_pictures_stand_on_disk_once(small: Project) -> None:
    pictures = [p for p in (small.root / "data").rglob("*.jpg") if "/images/" in p.as_posix()]

    by_name: dict[str, set[int]] = {}
    for picture in pictures:
        by_name.setdefault(picture.name, set()).add(picture.stat().st_ino)

    assert {name: len(inodes) for name, inodes in by_name.items() if len(inodes) > 1} == {}

"""`boxset freeze` in a real project: what it refuses, that test stays what it was, and that every command says where it would have changed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from boxset.dataset.photos import photo_numbers
from boxset.freezing import yaml_text
from boxset.wording import boxes_and_crowds
from tests.project import Project
from tests.test_pipeline import change

pytestmark = pytest.mark.pipeline

TEST = "data/dataset/annotations/instances_test.json"


@pytest.fixture(scope="module")
def frozen_project(small_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project, its test set frozen as v1 and held to it, committed. Copy it before changing it."""
    project = small_project.copy_to(tmp_path_factory.mktemp("frozen") / "project")
    project.run("boxset", "freeze", "v1", "-m", "the first", "--tag")
    edit(project, "split.freeze_test", "v1")
    assert project.repro() == ["resolve", "label", "balance", "report"]
    project.commit("Freeze the test set as v1")
    return project


@pytest.fixture
def frozen(frozen_project: Project, tmp_path: Path) -> Project:
    """A copy of the frozen project for one test."""
    return frozen_project.copy_to(tmp_path / "frozen")


def edit(project: Project, key: str, value: Any) -> None:
    """Change one parameter."""
    params = project.params()
    change(key, value)(params)
    project.set_params(params)


def records(project: Project) -> tuple[Any, Any]:
    """The pictures and the boxes of test."""
    test = project.json(TEST)
    return test["images"], test["annotations"]


def test_freezing_prints_what_to_do_and_names_the_commit(small: Project) -> None:
    head = small.run("git", "rev-parse", "HEAD").stdout.strip()
    pictures, boxes = records(small)
    crowds = sum(box["iscrowd"] for box in boxes)

    printed = small.run("boxset", "freeze", "v1", "-m", "it's the first").stdout.splitlines()

    assert printed == [
        f"frozen/v1.jsonl: {len(pictures)} pictures, {boxes_and_crowds(len(boxes) - crowds, crowds)}, as commit {head[:9]} has them in test",
        "to hold test to it: write `freeze_test: v1` under `split` in params.yaml, then",
        "  dvc repro",
        "  git add frozen params.yaml dvc.lock metrics splits.csv && git commit -m 'Freeze the test set as v1'",
        f"  git tag -a v1 -m 'it'\"'\"'s the first' {head[:9]}",
        "  # DVC has no remote, so its pictures stay on this machine: dvc remote add -d storage s3://your-bucket/dvc",
        "  # git has no remote of its own: git remote add origin ADDRESS, then git push origin HEAD v1",
    ]
    assert small.run("git", "tag").stdout == ""


def test_freezing_names_the_remotes_that_there_are(small: Project, tmp_path: Path) -> None:
    small.run("dvc", "remote", "add", "-d", "storage", str(tmp_path / "storage"))
    small.commit("Name the remote")
    small.run("git", "remote", "add", "team", str(tmp_path / "team.git"))

    printed = small.run("boxset", "freeze", "v1").stdout.splitlines()

    assert printed[-2:] == ["  dvc push", "  git push team HEAD v1"]


@pytest.mark.parametrize(
    ("name", "text"), [("v1", "v1"), ("2026-11-26", '"2026-11-26"'), ("1.0", '"1.0"'), ("007", '"007"'), ("1e3", '"1e3"'), ("no", '"no"'), ("null", '"null"')]
)
def test_a_name_is_printed_so_that_yaml_reads_it_as_a_text(name: str, text: str) -> None:
    assert yaml_text(name) == text
    assert yaml.safe_load(f"freeze_test: {text}") == {"freeze_test": name}


def test_a_tag_stands_on_the_commit_whose_data_set_it_is(frozen: Project) -> None:
    assert frozen.run("git", "log", "-1", "--format=%s", "v1").stdout == "Build\n"
    assert frozen.run("git", "tag", "-n").stdout.split() == ["v1", "the", "first"]


def refused(project: Project, *arguments: str) -> str:
    """What `boxset freeze` says where it refuses; nothing is written then."""
    before = project.bytes_of("frozen")
    done = project.run("boxset", "freeze", *arguments, check=False)
    assert (done.returncode, project.bytes_of("frozen")) == (1, before)
    return done.stderr


def test_a_test_set_that_is_not_what_was_committed_is_not_frozen(small: Project) -> None:
    (small.root / "notes.txt").write_text("x")
    assert "changes that are not committed: notes.txt. Commit them" in refused(small, "v1")
    (small.root / "notes.txt").unlink()

    annotations = small.root / TEST
    whole = annotations.read_bytes()
    annotations.unlink()
    annotations.write_bytes(whole.replace(b'"iscrowd":0', b'"iscrowd":1', 1))

    assert "data/dataset is not what dvc.lock says: balance, report changed. `dvc repro`" in refused(small, "v1")
    annotations.unlink()
    assert "there is no data set here. `dvc pull` or `dvc repro` brings it" in refused(small, "v1")


def test_a_name_is_used_once_and_fits_a_tag_and_a_file(small: Project) -> None:
    small.run("git", "tag", "v0")
    small.run("boxset", "freeze", "v1")
    small.commit("Freeze")

    assert "frozen/V1.jsonl: this version is frozen already" in refused(small, "V1")
    assert "git has a tag v0 already" in refused(small, "v0", "--tag")
    for name in ("main", "HEAD"):
        assert f"{name}: git has a branch or commit of this name. Take another one" in refused(small, name)
    for name in ("../v1", "a b", "v1.lock", "v..1", ".v"):
        assert "is no name for a frozen test set" in refused(small, name)


def test_a_held_test_set_is_frozen_under_no_second_name(frozen: Project) -> None:
    assert "test is held to frozen v1, so it would be the same again. For a new version take split.freeze_test out" in refused(frozen, "v2")


def test_right_after_freezing_the_data_set_has_the_same_bytes(small: Project, frozen: Project) -> None:
    folders = ("data/dataset/annotations", "data/dataset/labels", "splits.csv")

    assert frozen.bytes_of(*folders) == small.bytes_of(*folders)
    assert frozen.json("metrics/dataset.json")["frozen"]["changed"] == {"boxes": 0, "images": 0}
    assert frozen.run("boxset", "diff", "v1").stdout.splitlines()[-1] == "test: unchanged since v1"


def test_whatever_grows_the_test_set_is_the_same(frozen: Project) -> None:
    before = records(frozen)
    frozen.run("boxset", "label", "submit", "--yes")
    frozen.run("boxset", "add", "wrench", "adjustable wrench")
    edit(frozen, "split.ratio", {"train": 0.5, "val": 0.2, "test": 0.3})
    frozen.run("boxset", "label", "collect")
    frozen.repro()

    metrics = frozen.json("metrics/dataset.json")
    assert records(frozen) == before
    assert metrics["images"]["train"] + metrics["images"]["val"] > 40
    assert metrics["frozen"]["unknown_categories"] == ["wrench"]
    validated = frozen.run("boxset", "validate").stdout.splitlines()
    assert validated[-1] == "data/dataset: no faults"
    assert any(line.startswith("note: wrench: newer than frozen v1") for line in validated)
    assert "test: unchanged since v1" in frozen.run("boxset", "diff", "v1").stdout
    assert "- test: unchanged since v1" in frozen.run("boxset", "diff", "v1", "--md").stdout.splitlines()
    assert json.loads(frozen.run("boxset", "diff", "v1", "--json").stdout)["test"]["boxes"] == 0
    assert frozen.repro() == []


def test_a_box_that_would_have_changed_is_named_and_the_frozen_one_stays(frozen: Project) -> None:
    before = records(frozen)
    box, picture = before[1][0], {one["id"]: one for one in before[0]}[before[1][0]["image_id"]]
    merged = frozen.json("data/merge/annotations.json")
    (now,) = [a for a in merged["annotations"] if a["id"] == box["id"]]
    now["bbox"][2] -= 1
    now["area"] = now["bbox"][2] * now["bbox"][3]
    rewrite(frozen.root / "data/merge/annotations.json", merged)

    said = frozen.run("python", "-m", "stages.balance").stdout

    sentence = "test differs from frozen v1: 1 box in 1 picture. The frozen ones stay; a new version takes the changes in"
    assert records(frozen) == before
    assert f"warning: {sentence}" in said
    validated = frozen.run("boxset", "validate").stdout.splitlines()
    assert f"note: {sentence}" in validated
    assert any(line.startswith(f"  {picture['sha256'][:12]} moved ") for line in validated)
    assert f"note: {sentence}" in frozen.run("boxset", "check").stdout
    assert "test differs from frozen v1: 1 box in 1 picture" in frozen.run("boxset", "status").stdout


def rewrite(path: Path, value: Any) -> None:
    """Write JSON where a hard link of DVC's cache stands, and leave the cache alone."""
    path.unlink()
    path.write_text(json.dumps(value))


def test_a_near_copy_that_comes_is_left_out_and_explained(frozen: Project) -> None:
    pictures, _ = records(frozen)
    merged = frozen.json("data/merge/annotations.json")
    in_test = {one["sha256"] for one in pictures}
    group = next(one["group"] for one in merged["images"] if one["sha256"] in in_test)
    other = next(one for one in merged["images"] if one["sha256"] not in in_test)
    other["group"] = group
    rewrite(frozen.root / "data/merge/annotations.json", merged)

    frozen.run("python", "-m", "stages.balance")

    metrics = frozen.json("metrics/dataset.json")
    assert (metrics["left_out"], metrics["frozen"]["near_left_out"]) == ({"near_frozen": 1}, 1)
    assert "left out, near_frozen: it is like a picture of the frozen test set" in " ".join(frozen.run("boxset", "explain", other["sha256"]).stdout.split())
    assert "1 picture near one of these left out of training" in " ".join(frozen.run("boxset", "status").stdout.split())


def test_a_picture_of_a_frozen_photo_is_not_bought_while_test_is_held(frozen: Project) -> None:
    addresses = [one[key] for one in records(frozen)[0] for key in ("coco_url", "flickr_url", "original_url", "landing_url")]
    photo = next(address for address in addresses if photo_numbers([address]))
    wanted = frozen.json("data/label/plan.json")["items"][0]
    rows = frozen.root / f"data/crawl/{wanted['found_for']}/images.jsonl"
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    next(row for row in found if row["outcome"] == "kept" and row["picture"]["sha256"] == wanted["sha256"])["picture"]["landing_url"] = photo
    rows.unlink()
    rows.write_text("".join(json.dumps(row) + "\n" for row in found))

    frozen.run("python", "-m", "stages.label")
    plan, says = frozen.json("data/label/plan.json"), frozen.run("boxset", "label", "plan").stdout
    edit(frozen, "split.freeze_test", "")
    stale = frozen.run("boxset", "label", "submit", "--yes", check=False)
    frozen.run("python", "-m", "stages.resolve")
    frozen.run("python", "-m", "stages.label")

    assert (wanted["sha256"] in {item["sha256"] for item in plan["items"]}, plan["near_frozen"]) == (False, 1)
    assert "not bought: 1 picture that is a near copy of the test set frozen as v1, as `balance` would leave it out" in " ".join(says.split())
    assert "the plan is older than split.freeze_test. `dvc repro label` makes a new plan" in stale.stderr
    assert wanted["sha256"] in {item["sha256"] for item in frozen.json("data/label/plan.json")["items"]}


def test_a_licence_that_denies_wins_and_a_source_that_goes_is_refused(frozen: Project) -> None:
    pictures, _ = records(frozen)
    names = {one["id"]: one["name"] for one in frozen.json(TEST)["licenses"]}
    denied = next(names[one["license"]] for one in pictures if names[one["license"]].startswith("CC-"))
    count = sum(names[one["license"]] == denied for one in pictures)
    untouched = frozen.params()

    edit(frozen, "licences.deny", [denied])
    frozen.repro()

    assert frozen.json("metrics/dataset.json")["frozen"]["denied"] == count
    assert len(records(frozen)[0]) == len(pictures) - count
    assert f"{count} picture{'' if count == 1 else 's'} of frozen v1 left test, as a licence keeps" in frozen.run("boxset", "validate").stdout

    frozen.set_params(untouched)
    edit(frozen, f"sources.{pictures[0]['source']}.on", False)
    done = frozen.run("dvc", "repro", check=False)

    assert done.returncode != 0
    assert f"a picture of the frozen test set is gone: {pictures[0]['sha256'][:12]} of {pictures[0]['source']}" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_suspicious_labels_of_a_frozen_test_set_are_listed_with_what_to_do_and_it_stays(frozen: Project) -> None:
    before = frozen.bytes_of("data/dataset/annotations", "frozen")
    pictures, boxes = records(frozen)
    frozen.run("boxset", "predictions", "images", "all.json", "--all")
    numbers = {one["sha256"]: one["id"] for one in frozen.json("all.json")["images"]}
    found = [
        {"image_id": numbers[image["sha256"]], "category_id": box["category_id"], "bbox": box["bbox"], "score": 0.9 - place / 1000}
        for split in ("train", "val", "test")
        for coco in [frozen.json(f"data/dataset/annotations/instances_{split}.json")]
        for image in coco["images"]
        for place, box in enumerate(coco["annotations"])
        if box["image_id"] == image["id"] and not box["iscrowd"]
    ]
    of = {one["id"]: one for one in pictures}
    wrong = boxes[0]
    sha256 = of[wrong["image_id"]]["sha256"]
    other = next(i for i in (2, 4, 5) if i != wrong["category_id"])
    mistaken = [{**one, "category_id": other} if one["image_id"] == numbers[sha256] and one["bbox"] == wrong["bbox"] else one for one in found]
    (frozen.root / "results.json").write_text(json.dumps(mistaken))
    frozen.run("boxset", "predictions", "add", "results.json", "--images", "all.json")
    frozen.repro()

    listed, merged = frozen.run("boxset", "suspicious").stdout, frozen.run("boxset", "suspicious", "--merge").stdout

    assert any("· test, labelled by " in line for line in listed.splitlines() if f"{sha256[:12]}  mislabelled" in line)
    assert "in test, which is held to frozen v1 and does not change by itself: mend" in listed
    assert "held to frozen" not in merged
    assert "held to frozen v1" in (frozen.root / "data/report/index.html").read_text()
    assert frozen.bytes_of("data/dataset/annotations", "frozen") == before


def test_a_frozen_file_that_was_edited_is_named_with_the_line_of_its_key(frozen: Project) -> None:
    path = frozen.root / "frozen/v1.jsonl"
    path.write_text(path.read_text().replace('"iscrowd":0', '"iscrowd":1', 1))
    line = 1 + [text.strip() for text in (frozen.root / "params.yaml").read_text().splitlines()].index("freeze_test: v1")

    checked = frozen.run("boxset", "check", check=False)
    built = frozen.run("dvc", "repro", check=False)

    message = f"params.yaml:{line}: split.freeze_test: frozen/v1.jsonl: it was changed after it was frozen"
    assert checked.returncode == 1
    assert checked.stdout.startswith(message)
    assert "frozen/v1.jsonl: it was changed after it was frozen" in built.stderr + built.stdout
    assert "Traceback" not in built.stderr + built.stdout


def test_a_version_that_is_not_held_is_checked_too_and_names_its_own_file(frozen: Project) -> None:
    (frozen.root / "frozen/v0.jsonl").write_text((frozen.root / "frozen/v1.jsonl").read_text())

    checked = frozen.run("boxset", "check", check=False)

    assert checked.returncode == 1
    assert checked.stdout.startswith("frozen/v0.jsonl:1: it was frozen as v1. A frozen test set keeps its name")


def test_a_copy_of_the_data_set_is_validated_away_from_its_project(frozen: Project, tmp_path: Path) -> None:
    frozen.run("cp", "-r", "data/dataset", str(tmp_path / "copy"))

    assert frozen.run("boxset", "validate", str(tmp_path / "copy")).stdout.strip().endswith("no faults")


def test_a_version_that_is_not_there_is_refused_with_the_nearest(frozen: Project) -> None:
    edit(frozen, "split.freeze_test", "v11")

    done = frozen.run("boxset", "check", check=False)

    assert done.returncode == 1
    assert "split.freeze_test: frozen/v11.jsonl: there is no such frozen test set; did you mean v1?" in done.stdout
    assert "is v11, and the data set was built with v1: `dvc repro`" in frozen.run("boxset", "validate", "--no-pictures", check=False).stdout


EDITS = {
    "a box that was moved": (lambda test: test["annotations"][0]["bbox"].__setitem__(0, test["annotations"][0]["bbox"][0] + 0.5), "its boxes are not those"),
    "what a box says beside": (lambda test: test["annotations"][0]["attributes"].update(occluded=True), "its boxes are not those"),
    "what is known": (lambda test: test["images"][0].update(neg_category_ids=[], exhaustive_category_ids=[], not_exhaustive_category_ids=[1]), "its record is not that"),
    "where it is from": (lambda test: test["images"][0].update(author="Nobody"), "its record is not that"),
}


@pytest.mark.parametrize("what", EDITS)
def test_a_data_set_that_was_edited_is_not_the_frozen_one(frozen: Project, what: str) -> None:
    edit_it, message = EDITS[what]
    test = frozen.json(TEST)
    edit_it(test)
    rewrite(frozen.root / TEST, test)

    done = frozen.run("boxset", "validate", "--no-pictures", check=False)

    assert done.returncode == 1
    assert f"{message} of frozen v1" in done.stdout


def test_two_versions_are_compared_by_name_where_git_has_no_tag_of_them(frozen: Project) -> None:
    frozen.run("git", "tag", "-d", "v1")

    assert frozen.run("boxset", "diff", "v1").stdout.splitlines()[-1] == "test: unchanged since v1"


def test_a_branch_of_a_versions_name_is_never_taken_for_it(frozen: Project) -> None:
    commit = frozen.run("git", "rev-parse", "v1^{commit}").stdout.strip()[:9]
    frozen.run("git", "branch", "v1", "HEAD")

    with_tag = frozen.run("boxset", "diff", "v1")
    frozen.run("git", "tag", "-d", "v1")
    elsewhere = frozen.run("boxset", "diff", "v1", check=False)
    named = [frozen.run("boxset", "diff", name).stdout.splitlines()[-1] for name in (commit, "refs/heads/v1")]
    frozen.run("git", "branch", "-f", "v1", commit)

    assert (elsewhere.returncode, elsewhere.stdout) == (1, "")
    assert f"v1: the test set was frozen under this name at {commit}, and git has a branch of the name at another commit. Name {commit}, or refs/heads/v1" in elsewhere.stderr
    assert with_tag.stdout.splitlines()[-1] == "test: unchanged since v1"
    assert named == [f"test: unchanged since {name}" for name in (commit, "refs/heads/v1")]
    assert frozen.run("boxset", "diff", "v1").stdout.splitlines()[-1] == "test: unchanged since v1"


def test_a_clone_has_nothing_to_run(frozen: Project, tmp_path: Path) -> None:
    clone = frozen.clone_to(tmp_path / "clone")
    clone.run("dvc", "config", "--local", "cache.dir", str(frozen.root / ".dvc/cache"))
    clone.run("dvc", "checkout")

    assert clone.repro() == []
    assert clone.bytes_of("data/dataset") == frozen.bytes_of("data/dataset")

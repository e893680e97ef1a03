"""What a merge of git left unresolved is called that, by every command that reads it, with what to do."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from boxset.assemble.split import read_splits
from boxset.cli import cli
from boxset.conflicts import conflicts, read_lock
from boxset.dataset.decisions import read_decisions
from boxset.dataset.frozen import frozen_path, read_frozen, write_frozen
from boxset.errors import BoxsetError, InputError, ProjectError
from boxset.files import read_json, read_jsonl
from boxset.labeling.ledger import read_ledger
from boxset.lines import line_of
from boxset.newcategory import add_category
from boxset.params import read_params
from tests.build import annotation, coco, image
from tests.project import REPOSITORY
from tests.test_check import git

SIDES = "<<<<<<< HEAD\n{ours}\n=======\n{theirs}\n>>>>>>> other\n"
BUILT = "Either side will do, as `dvc repro` writes it anew: `git checkout --ours dvc.lock metrics`, then `dvc repro`"
BOTH = "Delete the marker lines and keep the rows of both sides: double rows are resolved when it is read"
EDIT = "Keep what is wanted of both sides, delete the marker lines, then `boxset check`"
SIDE = "Two branches froze one name: take one side whole (`git checkout --ours` or `--theirs` and the file), and freeze the other under another name"
FILES = {
    "params.yaml": ("world: embedded\n" + SIDES.format(ours="a: 1", theirs="a: 2"), 2, EDIT),
    "dvc.lock": ("schema: '2.0'\nstages:\n" + SIDES.format(ours="  a: {}", theirs="  b: {}"), 3, BUILT),
    "splits.csv": ("sha256,split\n" + SIDES.format(ours="a" * 64 + ",train", theirs="a" * 64 + ",val"), 2, BOTH),
    "decisions/review.jsonl": (SIDES.format(ours="{}", theirs="{}"), 1, BOTH),
    "ledger/purchases.jsonl": (SIDES.format(ours="{}", theirs="{}"), 1, BOTH),
    "frozen/v1.jsonl": (SIDES.format(ours="{}", theirs="{}"), 1, SIDE),
    "metrics/crawl/hammer.json": ("{\n" + SIDES.format(ours='  "kept": 1', theirs='  "kept": 2') + "}\n", 2, BUILT),
}


@pytest.fixture
def merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with git's markers in every file that may have some."""
    monkeypatch.chdir(tmp_path)
    for name, (text, _, _) in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


LINES = [f"{name}:{line}: a merge conflict of git is not resolved. {do}" for name, (_, line, do) in FILES.items()]


def test_every_file_is_named_with_its_line_and_what_to_do(merged: Path) -> None:
    assert [str(one) for one in conflicts(merged)] == LINES


def test_check_names_them_all_and_fails(merged: Path) -> None:
    done = CliRunner().invoke(cli, ["check"])

    assert (done.exit_code, done.output.splitlines()) == (1, LINES)


def test_doctor_goes_on_and_says_what_to_mend(merged: Path) -> None:
    done = CliRunner().invoke(cli, ["doctor"], env={"COLUMNS": "400"}, catch_exceptions=False)

    rows = [line.split() for line in done.output.splitlines()]
    assert [row[2] for row in rows if row[:2] == ["merge", "FIX"]] == [f"{name}:{line}:" for name, (_, line, _) in FILES.items()]
    assert [row[0] for row in rows if row[0] in ("python", "git", "parameters", "outputs")] == ["python", "git", "parameters"]
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (read_params, "params.yaml"),
        (read_lock, "dvc.lock"),
        (read_splits, "splits.csv"),
        (lambda path: read_jsonl(path, dict[str, int]), "ledger/purchases.jsonl"),
        (lambda path: read_ledger(path.parent), "ledger/purchases.jsonl"),
        (lambda path: read_decisions(path.parent), "decisions/review.jsonl"),
        (read_frozen, "frozen/v1.jsonl"),
        (lambda path: read_json(path, dict[str, int]), "metrics/crawl/hammer.json"),
    ],
)
def test_whoever_reads_one_says_so(merged: Path, read: object, name: str) -> None:
    with pytest.raises(BoxsetError, match=rf"^{name}:{FILES[name][1]}: a merge conflict of git is not resolved\. "):
        read(Path(name))  # type: ignore[operator]


def test_a_lock_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("- a\n")

    with pytest.raises(ProjectError, match=r"dvc\.lock: not what DVC writes\. `git checkout HEAD dvc\.lock`, then `dvc repro`"):
        read_lock(tmp_path / "dvc.lock")


def test_a_line_of_equals_signs_is_no_conflict(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("=======\n")

    with pytest.raises(InputError, match=r"rows\.jsonl:1: not what was expected"):
        read_jsonl(tmp_path / "rows.jsonl", dict[str, int])


def repository(folder: Path) -> Path:
    """A small project under git, with the categories hammer, saw and wrench."""
    text = """\
world: embedded
project: {name: tools}
categories:
  # about hammers
  hammer:
    id: 1
    target: 10
    # the end of hammer

  # about saws
  saw:
    id: 2
    target: 20
  wrench: {id: 3, target: 5}

sources: {lvis: {on: true}}
"""
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(text)
    git(folder, "init", "-qb", "main")
    git(folder, "add", "params.yaml")
    git(folder, "commit", "-qm", "Start")
    return folder


def added_in_branches(folder: Path, one: str, other: str) -> subprocess.CompletedProcess[str]:
    """Add a category in each of two branches, and merge the second into the first."""
    for branch, name in (("one", one), ("other", other)):
        git(folder, "switch", "-qc", branch, "main")
        add_category(name, (f"{name} tool",), folder)
        git(folder, "commit", "-qam", f"Add {name}")
    git(folder, "switch", "-q", "one")
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@shop.example"]
    return subprocess.run(["git", *who, "merge", "-q", "--no-edit", "other"], cwd=folder, capture_output=True, text=True, check=False)


def test_categories_added_in_two_branches_merge_cleanly_and_the_ids_differ(tmp_path: Path) -> None:
    done = added_in_branches(repository(tmp_path), "pliers", "drill")

    params = read_params(tmp_path / "params.yaml")
    assert done.returncode == 0
    assert list(params.categories) == ["drill", "hammer", "pliers", "saw", "wrench"]
    assert len({category.id for category in params.categories.values()}) == 5


def test_a_block_goes_between_the_blocks_and_comments_of_its_neighbours(tmp_path: Path) -> None:
    add_category("pliers", ("long pliers",), repository(tmp_path))

    lines = (tmp_path / "params.yaml").read_text().splitlines()
    at = lines.index("  pliers:")
    assert lines[at - 2 : at + 1] == ["    # the end of hammer", "", "  pliers:"]
    assert lines[at + 6 : at + 8] == ["  # about saws", "  saw:"]


def test_in_a_list_without_order_a_block_goes_to_the_end(tmp_path: Path) -> None:
    path = repository(tmp_path) / "params.yaml"
    path.write_text(path.read_text().replace("  wrench:", "  axe:"))

    add_category("pliers", ("long pliers",), tmp_path)

    assert list(read_params(path).categories) == ["hammer", "saw", "axe", "pliers"]


def test_two_clones_that_took_one_id_are_told_which_of_the_two_changes_and_to_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, clone = repository(tmp_path / "home"), tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(home), str(clone))
    for folder, name in ((home, "pliers"), (clone, "drill")):
        add_category(name, (f"{name} tool",), folder)
        git(folder, "commit", "-qam", f"Add {name}")
    git(home, "pull", "-q", "--no-rebase", "--no-edit", str(clone), "main")
    monkeypatch.chdir(home)

    done = CliRunner().invoke(cli, ["check"])

    (told,) = [line for line in done.output.splitlines() if not line.startswith("note: ")]
    newer = "drill" if "categories.drill" in told else "pliers"
    at = line_of((home / "params.yaml").read_text(), f"categories.{newer}.id")
    assert told.startswith(f"params.yaml:{at}: categories.{newer}.id: 4 was the id of ")
    assert told.endswith(f"An id is never used again; {newer} can have 5")
    params = home / "params.yaml"
    params.write_text(params.read_text().replace(f"  {newer}:\n    id: 4", f"  {newer}:\n    id: 5"))
    assert CliRunner().invoke(cli, ["check"]).exit_code == 0


def branches_that_freeze(root: Path, one: str, other: str) -> subprocess.CompletedProcess[str]:
    """Merge a branch that froze a test set under one name into one that froze another test set."""
    (root / ".gitattributes").write_text((REPOSITORY / ".gitattributes").read_text())
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Start")
    for branch, name, number in (("ours", one, 1), ("theirs", other, 2)):
        git(root, "checkout", "-q", "-b", branch, "main")
        write_frozen(frozen_path(name, root), coco([image(number)], [annotation(number, number)]), text=branch, commit="0" * 40)
        git(root, "add", "-A")
        git(root, "commit", "-qm", branch)
    git(root, "checkout", "-q", "ours")
    command = ("git", "-c", "user.name=T", "-c", "user.email=t@shop.example", "merge", "-q", "--no-edit", "theirs")
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_versions_that_two_branches_froze_merge_by_themselves(tmp_path: Path) -> None:
    merge = branches_that_freeze(tmp_path, "v1", "v2")

    assert merge.returncode == 0
    assert [read_frozen(frozen_path(name, tmp_path)).text for name in ("v1", "v2")] == ["ours", "theirs"]


def test_of_two_versions_of_one_name_no_line_is_mixed(tmp_path: Path) -> None:
    merge = branches_that_freeze(tmp_path, "v1", "v1")

    assert merge.returncode == 1
    assert read_frozen(frozen_path("v1", tmp_path)).text == "ours"

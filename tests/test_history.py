"""Files of other versions, and ids that are never used again."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from boxset.errors import InputError, ParamsError, ProjectError
from boxset.history import Claim, Revision, check_ids_against_history, first_claims
from boxset.params import Category, Params, Project

ANNOTATIONS = "data/dataset/annotations/instances_train.json"


def git(root: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def params(**ids: int) -> Params:
    """Parameters with these categories."""
    categories = {name: Category(id=number, target=1) for name, number in ids.items()}
    return Params(world="embedded", project=Project(name="tools"), categories=categories, sources={})


def commit_params(root: Path, **ids: int) -> str:
    """Commit a params.yaml with these categories; return the commit."""
    text = {"world": "embedded", "categories": {name: {"id": number, "target": 1} for name, number in ids.items()}, "sources": {"coco": {}}}
    (root / "params.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "Change")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """An empty git repository."""
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "config", "user.name", "Tester")
    git(tmp_path, "config", "user.email", "tester@shop.example")
    return tmp_path


def test_without_git_or_history_there_is_nothing_to_check(tmp_path: Path, repo: Path) -> None:
    (tmp_path / "plain").mkdir()

    check_ids_against_history(params(hammer=1), repo)
    check_ids_against_history(params(hammer=1), tmp_path / "plain")


def test_an_id_of_a_category_that_is_gone_is_refused_with_its_commit(repo: Path) -> None:
    old = commit_params(repo, driller=1, hammer=2)
    commit_params(repo, driller=1)

    with pytest.raises(ParamsError) as error:
        check_ids_against_history(params(driller=1, wrench=2), repo)

    assert error.value.what.startswith(f"categories.wrench.id: 2 was the id of hammer in commit {old[:9]} of 20")
    rename = "Is it a new name for hammer? Put the key hammer back and write `name: wrench` under it: what people drew and decided stays with the key"
    assert error.value.do == f"An id is never used again; wrench can have 3. {rename}"


@pytest.mark.parametrize(
    "text",
    [
        "world: embedded\ncategories: {\n  hammer: {id: 2, target: 1}\n}\nsources: {}\n",
        "usual: &usual {id: 2, target: 1}\ncategories:\n  hammer: *usual\n",
    ],
    ids=["a brace at the margin", "an anchor above"],
)
def test_an_id_is_found_however_its_block_was_written(repo: Path, text: str) -> None:
    (repo / "params.yaml").write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "Begin")

    with pytest.raises(ParamsError, match="2 was the id of hammer"):
        check_ids_against_history(params(wrench=2), repo)


def test_a_category_that_had_another_id_is_refused(repo: Path) -> None:
    old = commit_params(repo, hammer=2)

    with pytest.raises(ParamsError) as error:
        check_ids_against_history(params(hammer=7), repo)

    assert error.value.what.startswith(f"categories.hammer.id: 7, but hammer had the id 2 in commit {old[:9]}")
    assert error.value.do == "Set it back to 2, or give what is new a name of its own"


def test_a_category_may_come_back_with_its_own_id(repo: Path) -> None:
    commit_params(repo, driller=1, hammer=2)
    commit_params(repo, driller=1)

    check_ids_against_history(params(driller=1, hammer=2, wrench=3), repo)


def test_another_branch_counts_and_an_experiment_does_not(repo: Path) -> None:
    commit_params(repo, hammer=1)
    git(repo, "checkout", "-q", "-b", "colleague")
    commit_params(repo, hammer=1, saw=2)
    git(repo, "checkout", "-q", "main")
    git(repo, "update-ref", "refs/exps/tried", commit_params(repo, hammer=1, axe=3))
    git(repo, "reset", "-q", "--hard", "HEAD~1")

    check_ids_against_history(params(hammer=1, wrench=3), repo)
    with pytest.raises(ParamsError, match="2 was the id of saw"):
        check_ids_against_history(params(hammer=1, wrench=2), repo)


def test_what_only_a_merge_brought_counts(repo: Path) -> None:
    commit_params(repo, hammer=1)
    git(repo, "checkout", "-q", "-b", "side")
    commit_params(repo, hammer=1, saw=2)
    git(repo, "checkout", "-q", "main")
    commit_params(repo, hammer=1, axe=3)
    git(repo, "merge", "-q", "--no-commit", "-s", "ours", "side")
    commit_params(repo, hammer=1, saw=2, axe=3, pliers=4)
    commit_params(repo, hammer=1)

    with pytest.raises(ParamsError, match="4 was the id of pliers"):
        check_ids_against_history(params(hammer=1, wrench=4), repo)


def test_a_mistake_in_the_past_can_be_put_right() -> None:
    """`saw` took the id of `hammer` once: hammer keeps it, saw takes a new one."""
    claims = [Claim("hammer", 2, "a", ""), Claim("saw", 2, "b", ""), Claim("saw", 8, "c", "")]

    owner, home = first_claims(claims)

    assert {number: claim.name for number, claim in owner.items()} == {2: "hammer", 8: "saw"}
    assert {name: claim.id for name, claim in home.items()} == {"hammer": 2, "saw": 8}


def test_a_version_that_is_no_yaml_is_passed_over(repo: Path) -> None:
    (repo / "params.yaml").write_text("categories: {hammer: [\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "Broken")
    commit_params(repo, hammer=1)

    check_ids_against_history(params(hammer=1), repo)


def test_a_version_with_a_day_that_is_none_is_read_like_any_other(repo: Path) -> None:
    (repo / "params.yaml").write_text("categories:\n  drill: {id: 1, name: 2026-02-30}\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "Call it by a day")
    commit_params(repo, hammer=2)

    check_ids_against_history(params(hammer=2), repo)


def test_a_clone_without_the_versions_of_before_says_so(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    commit_params(repo, hammer=1)
    commit_params(repo, hammer=1, saw=2)
    git(repo, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path_factory.mktemp("clone") / "part"
    git(repo, "clone", "-q", "--filter=blob:none", repo.as_uri(), str(clone))
    git(clone, "remote", "set-url", "origin", (repo / "gone").as_uri())

    with pytest.raises(ProjectError, match=r"^part: git has not every version of params\.yaml here\. A clone that was made with --filter"):
        check_ids_against_history(params(hammer=1), clone)


def test_two_hundred_versions_take_no_call_of_git_each(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = {f"tool_{number}": number for number in range(1, 8)}
    stream = b""
    for number in range(200):
        text = yaml.safe_dump({"categories": {name: {"id": i, "target": number} for name, i in base.items()}}).encode()
        stream += b"commit refs/heads/main\ncommitter T <t@shop.example> %d +0000\ndata 1\nx\n" % (1_700_000_000 + number)
        stream += b"M 644 inline params.yaml\ndata %d\n%s\n" % (len(text), text)
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo, input=stream, check=True)

    calls: list[object] = []
    run = subprocess.run
    monkeypatch.setattr("boxset.history.subprocess.run", lambda command, **how: calls.append(command) or run(command, **how))
    check_ids_against_history(params(**base), repo)

    assert 0 < len(calls) < 10


# files of other versions


def put(root: Path, content: bytes) -> str:
    """Store an object in DVC's cache; return its hash."""
    from hashlib import md5

    name = md5(content, usedforsecurity=False).hexdigest()
    path = root / ".dvc/cache/files/md5" / name[:2] / name[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


def commit_output(root: Path, content: bytes) -> None:
    """Commit a dvc.lock whose data set holds one annotation file, cached, nothing of it in the work tree."""
    listing = json.dumps([{"md5": put(root, content), "relpath": "annotations/instances_train.json"}]).encode()
    folder = put(root, listing)
    shutil.copy(root / ".dvc/cache/files/md5" / folder[:2] / folder[2:], root / f".dvc/cache/files/md5/{folder[:2]}/{folder[2:]}.dir")
    outs = [{"path": "data/dataset", "hash": "md5", "md5": f"{folder}.dir"}, {"path": "splits.csv", "md5": "0" * 32}]
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"balance": {"cmd": "x", "outs": outs}}}))
    (root / ".gitignore").write_text("/.dvc/cache\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Build")


def test_a_file_inside_an_output_is_read_from_the_cache(repo: Path) -> None:
    commit_output(repo, b"one")
    commit_output(repo, b"two")

    assert [Revision(rev, repo).read(ANNOTATIONS) for rev in ("HEAD~1", "HEAD", "main")] == [b"one", b"two", b"two"]


def test_a_file_in_git_is_read_from_git(repo: Path) -> None:
    (repo / "splits.csv").write_text("old\n")
    commit_output(repo, b"one")
    (repo / "splits.csv").write_text("new\n")

    assert Revision("HEAD", repo).read("splits.csv") == b"old\n"
    assert Revision(None, repo).read("splits.csv") == b"new\n"


def test_the_cache_lies_where_dvc_is_told(repo: Path) -> None:
    commit_output(repo, b"one")
    (repo / ".dvc/cache").rename(repo / "elsewhere")
    (repo / ".dvc/config.local").write_text("[cache]\n    dir = ../elsewhere\n")

    assert Revision("HEAD", repo).read(ANNOTATIONS) == b"one"


def test_a_listing_that_was_collected_says_how_to_get_it(repo: Path) -> None:
    commit_output(repo, b"one")
    for listing in (repo / ".dvc/cache").rglob("*.dir"):
        listing.unlink()

    with pytest.raises(ProjectError, match="neither in DVC's cache nor in a remote") as error:
        Revision("HEAD", repo).read(ANNOTATIONS)

    assert error.value.do.startswith("`dvc fetch --all-commits data/dataset`")


@pytest.mark.parametrize("named", ["before", "after"])
def test_what_is_not_here_comes_from_the_remote_also_where_it_was_named_after_the_version(repo: Path, tmp_path: Path, named: str) -> None:
    def dvc(*arguments: str) -> None:
        subprocess.run(["dvc", *arguments], cwd=repo, check=True, capture_output=True)

    dvc("init", "-q")
    if named == "before":
        dvc("remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    commit_output(repo, b"one")
    (repo / "dvc.yaml").write_text("stages:\n  balance:\n    cmd: x\n    outs:\n      - data/dataset\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "Stage")
    if named == "after":
        dvc("remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    shutil.copytree(repo / ".dvc/cache/files", tmp_path / "store/files")
    shutil.rmtree(repo / ".dvc/cache")

    assert Revision("HEAD", repo).read(ANNOTATIONS) == b"one"


@pytest.mark.parametrize(
    ("rev", "path", "error", "says"),
    [
        ("mian", ANNOTATIONS, ProjectError, "git knows no such revision; did you mean main?"),
        ("--help", ANNOTATIONS, ProjectError, "git knows no such revision"),
        ("HEAD", "data/dataset/annotations/other.json", InputError, "no such file in data/dataset"),
        ("HEAD", "data/merge/annotations.json", ProjectError, "data/merge/annotations.json is not in this version. It had not been built and committed then"),
        (None, ANNOTATIONS, ProjectError, "cannot read: No such file or directory"),
    ],
)
def test_what_is_not_to_be_had_is_told(repo: Path, rev: str | None, path: str, error: type[Exception], says: str) -> None:
    commit_output(repo, b"one")

    with pytest.raises(error) as raised:
        Revision(rev, repo).read(path)

    assert says in str(raised.value)


def test_a_version_before_the_first_build_is_told(repo: Path) -> None:
    commit_params(repo, hammer=1)

    with pytest.raises(ProjectError, match="there is no dvc"):
        Revision("HEAD", repo).read(ANNOTATIONS)


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> main\n", "- a\n", "stages: [a]\n", "stages: {a: 1}\n"])
def test_a_version_whose_lock_is_none_is_told(repo: Path, text: str) -> None:
    (repo / "dvc.lock").write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "Merge")

    with pytest.raises(ProjectError, match=r"^revision HEAD: its dvc\.lock is not what DVC writes\. Take another revision$"):
        Revision("HEAD", repo).read(ANNOTATIONS)


def test_a_project_without_a_commit_is_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")

    with pytest.raises(ProjectError, match=r"^revision HEAD: nothing is committed yet.* `git commit` dvc\.lock after each build$"):
        Revision("HEAD", tmp_path).read(ANNOTATIONS)


def test_a_folder_without_git_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="not under git"):
        Revision("HEAD", tmp_path).read(ANNOTATIONS)

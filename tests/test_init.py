"""`boxset init`: a live project that differs from this one in its parameters alone."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from boxset.checks import notes, problems
from boxset.commands.init import command
from boxset.errors import ProjectError
from boxset.newproject import Answers, dvc_config, project_files, write_project
from boxset.params import Labeler, read_params
from tests.project import REPOSITORY, Project

CONTACT = "cv-team@shop.example"


def test_a_new_project_has_one_thing_left_to_do(tmp_path: Path) -> None:
    write_project(tmp_path / "tools", Answers(name="tools"))

    assert [fault.key for fault in problems(tmp_path / "tools")[1]] == ["project.contact"]


def test_a_new_project_with_a_contact_is_sound(tmp_path: Path) -> None:
    write_project(tmp_path / "tools", Answers(name="tools", contact=CONTACT))

    params, found = problems(tmp_path / "tools")
    assert params is not None
    assert found == []
    assert notes(params) == []
    assert (params.world, params.label.budget_usd, params.project.use) == ("live", 0.0, "commercial")
    assert "TODO" not in (tmp_path / "tools/params.yaml").read_text()


def test_its_categories_have_the_ids_and_classes_of_this_repository(tmp_path: Path) -> None:
    write_project(tmp_path / "tools", Answers(name="tools"))
    ours, theirs = read_params(REPOSITORY / "params.yaml"), read_params(tmp_path / "tools/params.yaml")

    assert {n: (c.id, c.classes) for n, c in theirs.categories.items()} == {n: (c.id, c.classes) for n, c in ours.categories.items()}
    assert list(theirs.sources) == list(ours.sources)
    assert {name: source.path for name, source in theirs.sources.items()} == dict.fromkeys(theirs.sources, "")


def test_pipeline_and_stages_are_the_very_files_of_this_repository() -> None:
    files = project_files(Answers(name="tools"))
    shared = [path for path in files if path.startswith("stages/")] + ["dvc.yaml", "requirements.txt", ".gitattributes", ".dvcignore"]

    assert {path: files[path] for path in shared} == {path: (REPOSITORY / path).read_text() for path in shared}
    assert {Path(p).name for p in shared if p.startswith("stages/")} == {p.name for p in (REPOSITORY / "stages").glob("*.py")}


def test_pictures_that_are_sent_out_to_be_labelled_are_never_committed(tmp_path: Path) -> None:
    sent = f"{Labeler().folder}/tools-1/tasks/images/a.jpg"

    for name, text in {"init": project_files(Answers(name="tools"))[".gitignore"], "ours": (REPOSITORY / ".gitignore").read_text()}.items():
        subprocess.run(["git", "init", "-q", tmp_path / name], check=True)
        (tmp_path / name / ".gitignore").write_text(text)
        ignored = subprocess.run(["git", "check-ignore", sent], cwd=tmp_path / name, capture_output=True, text=True, check=False).stdout
        assert ignored == f"{sent}\n"


def test_answers_stand_in_the_files_as_they_were_given(tmp_path: Path) -> None:
    name = 'Bob\'s "tools" {use} é'

    write_project(tmp_path / "x", Answers(name=name, use="research", contact=CONTACT, bucket="s3://shop-cv/tools"))

    project = read_params(tmp_path / "x/params.yaml").project
    assert (project.name, project.use, project.contact, project.bucket) == (name, "research", CONTACT, "s3://shop-cv/tools")
    assert (tmp_path / "x/README.md").read_text().startswith(f"# {name}\n")


def test_a_bucket_becomes_dvcs_remote() -> None:
    assert dvc_config("s3://shop/tools/").splitlines()[4:] == [
        "    remote = storage", "[cache]", '    type = "hardlink,symlink,copy"', "['remote \"storage\"']", "    url = s3://shop/tools/dvc",
    ]  # fmt: skip
    assert "remote" not in dvc_config("")


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("mine")

    with pytest.raises(ProjectError, match=r"it holds params.yaml. Name a new folder"):
        write_project(tmp_path, Answers(name="tools"))
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_repository_that_was_just_cloned_empty_will_do(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(tmp_path)], check=True)

    write_project(tmp_path, Answers(name="tools"))

    assert (tmp_path / ".git/HEAD").read_text() == "ref: refs/heads/trunk\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--contact", "me"], "--contact: 'me' is neither an e-mail address nor the address of a page"),
        (["--bucket", "shop"], "--bucket: 'shop' is not of the form s3://bucket/prefix"),
        (["--name", " "], "--name: ' ' is no name for a data set. Write one on a single line"),
    ],
)
def test_a_malformed_answer_writes_nothing(tmp_path: Path, options: list[str], message: str) -> None:
    done = CliRunner().invoke(command, [str(tmp_path / "x"), *options])

    assert str(done.exception) == message
    assert not (tmp_path / "x").exists()


def test_every_folder_that_was_written_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(tmp_path / "tools")])

    written = {path.name for path in (tmp_path / "tools").iterdir() if path.name != ".git"}
    assert {name for name in written if name not in done.output} == set()


def test_dvc_and_git_take_the_project_as_it_is(tmp_path: Path) -> None:
    write_project(tmp_path / "tools", Answers(name="tools", contact=CONTACT))
    project = Project(tmp_path / "tools")

    stages = project.run("dvc", "stage", "list", "--name-only").stdout.split()
    untracked = project.run("git", "status", "--porcelain", "-uall").stdout

    assert stages[0] == "resolve"
    assert len([stage for stage in stages if stage.startswith(("index@", "extract@", "crawl@"))]) == 15
    assert stages[-4:] == ["label", "merge", "balance", "report"]
    assert "stages/resolve.py" in untracked
    assert "ledger/.gitkeep" in untracked
    assert "decisions/review.jsonl" in untracked

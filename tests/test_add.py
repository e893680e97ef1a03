"""`boxset add`: one more category, and not another byte."""

import difflib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from boxset.checks import problems
from boxset.commands.add import command
from boxset.errors import ParamsError
from boxset.newcategory import add_category, with_block
from boxset.params import checked, read_params
from boxset.sources.tables import IndexWriter
from boxset.yaml12 import parsed_yaml
from tests.project import REPOSITORY
from tests.test_check import git, project
from tests.test_params import plain

BLOCK = """\
  wrench:
    id: 6
    target: 90
    classes: {}  # no index here of open_images, imagenet, visual_genome, coco, lvis: `boxset coverage wrench` finds its classes after `dvc repro`
    queries: [adjustable wrench, wrench]
    crawl_images: 24
"""


def copy_of_parameters(folder: Path) -> Path:
    """Copy the repository's own parameters into a folder."""
    (folder / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    return folder / "params.yaml"


def index(folder: Path, *classes: tuple[str, str, list[str]]) -> None:
    """Write an index that holds some classes (id, name, synonyms) and nothing else."""
    with IndexWriter(folder, source=folder.name, format=folder.name, version=1, coordinates="pixels") as writer:
        writer.add_classes({"class_id": i, "name": name, "synonyms": synonyms, "parents": []} for i, name, synonyms in classes)


def test_one_block_is_written_and_no_other_byte_changes(tmp_path: Path) -> None:
    path = copy_of_parameters(tmp_path)
    before = path.read_text()

    block = add_category("wrench", ("adjustable wrench",), tmp_path)

    changes = [line for line in difflib.ndiff(before.splitlines(keepends=True), path.read_text().splitlines(keepends=True)) if line[0] != " "]
    assert block == BLOCK
    assert changes == [f"+ {line}" for line in BLOCK.splitlines(keepends=True)]
    assert problems(tmp_path)[1] == []


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    path = copy_of_parameters(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    before = path.read_bytes().splitlines(keepends=True)

    add_category("wrench", ("adjustable wrench",), tmp_path)

    after = path.read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\r\n") for line in after)
    assert len(after) == len(before) + len(BLOCK.splitlines())


def test_classes_are_those_that_the_indexes_have_under_these_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy_of_parameters(tmp_path)
    index(tmp_path / "data/index/open_images", ("/m/01j5ks", "Wrench", []), ("/m/0x", "Wrench socket", []))
    index(tmp_path / "data/index/imagenet", ("n03481172", "hammer", []))
    index(tmp_path / "data/index/lvis", ("1194", "wrench", ["spanner", "wrench.n.03"]))
    index(tmp_path / "data/index/visual_genome", ("a", "wrench", []), ("b", "wrench", ["wrench.n.03"]), ("c", "tool", ["wrench"]))

    add_category("wrench", ("spanner",), tmp_path)

    assert yaml.safe_load((tmp_path / "params.yaml").read_text())["categories"]["wrench"]["classes"] == {
        "open_images": ["/m/01j5ks"],
        "imagenet": [],
        "visual_genome": ["name:wrench"],
        "lvis": ["wrench"],
    }
    assert [fault for fault in problems(tmp_path)[1] if "wrench" in fault.key] == []


def test_a_source_that_is_off_is_not_waited_for(tmp_path: Path) -> None:
    path = copy_of_parameters(tmp_path)
    path.write_text(path.read_text().replace("  imagenet: {on: true", "  imagenet: {on: false").replace("  coco: {on: true", "  coco: {on: false"))
    assert not read_params(path).sources["imagenet"].on

    block = add_category("wrench", ("adjustable wrench",), tmp_path)

    assert "no index here of open_images, visual_genome, lvis:" in block


@pytest.mark.parametrize(("lock", "says"), [
    ("stages: {}\n", "`dvc repro` will run: resolve, crawl@wrench, label, merge, balance, report"),
    ("", "`dvc repro` builds the data set with it"),
])  # fmt: skip
def test_the_command_prints_the_block_and_what_will_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: str, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    copy_of_parameters(tmp_path)
    if lock:
        Path("dvc.lock").write_text(lock)

    done = CliRunner().invoke(command, ["wrench", "adjustable wrench"])

    assert done.output == f"params.yaml:\n{BLOCK}{says}\n"


def test_the_id_was_never_used_and_a_category_that_returns_gets_its_own_back(tmp_path: Path) -> None:
    git(project(tmp_path, **{"categories.file": {"id": 7, "target": 1}}), "init", "-q")
    git(tmp_path, "add", "params.yaml")
    git(tmp_path, "commit", "-qm", "Start")
    project(tmp_path)

    add_category("wrench", (), tmp_path)
    add_category("file", (), tmp_path)

    assert {name: c.id for name, c in read_params(tmp_path / "params.yaml").categories.items()} == {"hammer": 1, "saw": 2, "wrench": 8, "file": 7}
    assert problems(tmp_path)[1] == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hammer", "params.yaml: categories.hammer: it is there already. Edit its block, or choose another name"),
        ("hammers", "params.yaml: categories.hammer: it is there already. Edit its block instead of adding hammers"),
        ("Pipe Wrench", "'Pipe Wrench' is no name: a small letter followed by small letters, digits and _; pipe_wrench would do"),
        ("3d", "'3d' is no name: a small letter followed by small letters, digits and _"),
    ],
)
def test_a_name_that_is_taken_or_none_changes_nothing(tmp_path: Path, name: str, message: str) -> None:
    path = copy_of_parameters(tmp_path)
    before = path.read_bytes()

    with pytest.raises(ParamsError) as caught:
        add_category(name, (), tmp_path)

    assert str(caught.value) == message
    assert path.read_bytes() == before


def test_a_name_that_no_index_has_is_added_only_with_words_or_when_it_is_insisted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project(tmp_path))
    index(tmp_path / "data/index/lvis", ("1", "hammer", []), ("2", "wrench", []))
    before = (tmp_path / "params.yaml").read_bytes()

    refused = CliRunner().invoke(command, ["hamer"])

    assert str(refused.exception) == (
        "categories.hamer: no class of that name in lvis; did you mean hammer? "
        "Correct the name; or give words to search for: `boxset add hamer QUERY…`; or `boxset add hamer --anyway`"
    )
    assert (tmp_path / "params.yaml").read_bytes() == before
    for words in (["wrench"], ["hamer", "--anyway"], ["gizmo", "blue gizmo"]):
        assert CliRunner().invoke(command, words).exit_code == 0
    assert set(read_params(tmp_path / "params.yaml").categories) == {"hammer", "saw", "wrench", "hamer", "gizmo"}


def test_a_category_whose_classes_another_has_is_not_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = copy_of_parameters(tmp_path)
    index(tmp_path / "data/index/open_images", ("/m/01d380", "Drill (Tool)", []))
    before = path.read_bytes()

    with pytest.raises(ParamsError) as caught:
        add_category("drill", (), tmp_path)

    assert str(caught.value) == (
        "params.yaml: categories.drill: driller has these classes already: open_images /m/01d380. "
        "Edit the block of driller; or write that of drill by hand, with classes of its own"
    )
    assert path.read_bytes() == before


HEAD = "world: embedded\nproject: {name: x}\n"
TAIL = "sources: {lvis: {on: true}}\n"
LAYOUTS = {
    "comments after it": HEAD + "categories:\n  a:\n    id: 1\n    target: 1\n    # about a\n\n# about sources\n" + TAIL,
    "last in the file": HEAD + TAIL + "categories:\n  a: {id: 1, target: 1}",
    "wider indent": HEAD + "categories:\n    a:\n        id: 1\n        target: 1\n" + TAIL,
    "Windows line ends": (HEAD + "categories:\n  a: {id: 1, target: 1}\n" + TAIL).replace("\n", "\r\n"),
    "accents before it": "# déjà vu 🔨\n" + HEAD + "categories:\n  a: {id: 1, target: 1}\n" + TAIL,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_block_finds_its_place_in_any_layout(layout: str) -> None:
    text = LAYOUTS[layout]

    changed = with_block(text, "  wrench:\n    id: 2\n    target: 5\n")

    before, after = parsed_yaml(text, where="x"), parsed_yaml(changed, where="x")
    assert after == {**before, "categories": {**before["categories"], "wrench": {"id": 2, "target": 5}}}
    assert [line for line in text.splitlines() if line not in changed.splitlines()] == []


def test_a_block_replaces_an_empty_map() -> None:
    changed = with_block(HEAD + "categories: {}  # none yet\n" + TAIL, "  a:\n    id: 1\n    target: 5\n")

    assert parsed_yaml(changed, where="x")["categories"] == {"a": {"id": 1, "target": 5}}
    assert parsed_yaml(changed, where="x")["sources"] == {"lvis": {"on": True}}


def test_what_follows_an_empty_map_stays_apart_from_it() -> None:
    changed = with_block(HEAD + "categories: {}\n\n# about sources\n" + TAIL, "  a:\n    id: 1\n    target: 5\n")

    assert changed == HEAD + "categories:\n  a:\n    id: 1\n    target: 5\n\n# about sources\n" + TAIL


def test_categories_on_one_line_are_left_alone() -> None:
    with pytest.raises(ParamsError, match=r"params.yaml:3: categories: written on one line"):
        with_block(HEAD + "categories: {a: {id: 1, target: 1}}\n" + TAIL, "  b:\n    id: 2\n")


@given(st.lists(st.text(min_size=1, max_size=12).filter(str.strip), max_size=3))
def test_any_words_come_back_as_they_were_given(words: list[str]) -> None:
    from boxset.newcategory import block_of, new_category

    params, _ = checked(plain())
    assert params is not None
    block = block_of("wrench", new_category(params, 3, tuple(words)), {})

    assert parsed_yaml(block, where="x")["wrench"]["queries"] == words

"""`params.yaml`: strict, every fault at its true key, every key explained."""

import ast
from pathlib import Path
from typing import Any, get_origin

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from boxset.errors import InputError, ParamsError
from boxset.params import Category, Params, Project, Query, checked, queries_of, read_params
from boxset.reference import as_markdown, entry_of, every_entry, value_at, values_at
from boxset.sources.tables import FLAGS
from boxset.strict import bare, faults, is_section, keys_of, takes
from boxset.yaml12 import parsed_yaml
from tests.project import REPOSITORY


def plain(**changes: Any) -> dict[str, Any]:
    """Return a small, sound `params.yaml`; a key like `categories.hammer.id` changes one value, `...` deletes it."""
    params: dict[str, Any] = {
        "world": "embedded",
        "project": {"name": "tools"},
        "categories": {
            "hammer": {"id": 1, "target": 10, "classes": {"lvis": ["hammer"]}},
            "saw": {"id": 2, "target": 20, "classes": {"lvis": []}},
        },
        "sources": {"lvis": {"on": True}},
    }
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = params
        for part in parents:
            place = place.setdefault(part, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return params


def wrong_with(params: Any) -> list[str]:
    """Return everything that is wrong, each as `key: what`."""
    return [f"{fault.key}: {fault.what}" for fault in checked(params)[1]]


def test_the_repositorys_own_parameters_are_read() -> None:
    params = read_params(REPOSITORY / "params.yaml")

    assert params.world == "embedded"
    assert {name: category.id for name, category in params.categories.items()} == {
        "driller": 1, "hammer": 2, "paintbrush": 3, "screwdriver": 4, "wheelbarrow": 5,
    }  # fmt: skip
    assert list(params.sources) == ["open_images", "imagenet", "visual_genome", "coco", "lvis"]


def test_sound_parameters_have_nothing_wrong() -> None:
    assert wrong_with(plain()) == []


A_LIST = "expected a list of texts or sections with the keys q, lang"
A_NAME = "a name is a small letter followed by small letters, digits and _, 48 at the most"
WRONG = [
    ({"categories.hammer.targett": 3}, "categories.hammer.targett: unknown key; did you mean target?"),
    ({"categories.hammer.target": "many"}, "categories.hammer.target: expected a whole number of at least 0, not 'many'"),
    ({"categories.hammer.target": True}, "categories.hammer.target: expected a whole number of at least 0, not true"),
    ({"categories.hammer.target": -1}, "categories.hammer.target: expected a whole number of at least 0, not -1"),
    ({"categories.hammer.target": None}, "categories.hammer.target: expected a whole number of at least 0, not nothing"),
    ({"categories.hammer.target": ...}, "categories.hammer.target: missing: a whole number of at least 0"),
    ({"categories.hammer.id": 0}, "categories.hammer.id: expected a whole number of at least 1, not 0"),
    ({"categories.saw.id": 1}, "categories.saw.id: 1 is the id of hammer as well"),
    (
        {"categories.hammer.queries": [{"q": "marteau", "lan": "fr"}]},
        "categories.hammer.queries[0].lan: unknown key; did you mean lang?",
    ),
    ({"categories.hammer.queries": ["x", {"q": ""}]}, "categories.hammer.queries[1].q: expected a text of 1 to 200 characters, not ''"),
    (
        {"categories.hammer.queries": "hammer"},
        f"categories.hammer.queries: {A_LIST}, not 'hammer'; write [hammer]",
    ),
    ({"sources.lvis.splits": 3}, "sources.lvis.splits: expected a list of texts, not 3"),
    (
        {"categories.hammer.classes": {"lvis": "name:hammer"}},
        "categories.hammer.classes.lvis: expected a list of texts or sections with the keys name, children, not 'name:hammer'; write [\"name:hammer\"]",
    ),
    ({"categories.hammer.classes": {"lvs": []}}, "categories.hammer.classes.lvs: there is no such source; did you mean lvis?"),
    (
        {"categories.Hammer": {"id": 3, "target": 1}},
        f"categories.Hammer: {A_NAME}",
    ),
    ({"categories": {}}, "categories: there is none"),
    ({"sources.lvis.on": "yes"}, "sources.lvis.on: expected true or false, not 'yes'; write true"),
    ({"categories.hammer.target": "3,000"}, "categories.hammer.target: expected a whole number of at least 0, not '3,000'; write 3000"),
    ({"label.budget_usd": "900"}, "label.budget_usd: expected a number of at least 0, not '900'; write 900"),
    ({"label": {"budget_usd": 1, 0: None}}, "label.0: a number is no key"),
    ({"sources.ovis": {}}, "sources.ovis.format: no reader called ovis; did you mean lvis?"),
    ({"sources.label": {"format": "coco"}}, "sources.label: label is what Boxset calls pictures and boxes of its own label stage"),
    ({"sources.mine": {"format": "local", "category": "hamer"}}, "sources.mine.category: there is no category hamer; did you mean hammer?"),
    ({"world": "embeded"}, "world: expected one of embedded, live, not 'embeded'; did you mean embedded?"),
    ({"crawl.searxng.urll": "http://x"}, "crawl.searxng.urll: unknown key; did you mean url?"),
    ({"label.budget_usd": float("inf")}, "label.budget_usd: expected a finite number, not inf"),
    ({"split.ratio": {"train": 0.5}}, "split.ratio: the shares add up to 0.7, not 1"),
    ({"split.never_test": ["coco"]}, "split.never_test[0]: there is no source coco"),
    ({"merge": None}, f"merge: expected a section with the keys {', '.join(keys_of(bare(keys_of(Params)['merge'].type)))}, not nothing"),
    ({"budget": 3}, f"budget: unknown key; known here: {', '.join(keys_of(Params))}"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_fault_is_named_with_its_true_key(change: dict[str, Any], message: str) -> None:
    assert wrong_with(plain(**change)) == [message]


def test_a_file_that_a_tool_of_yaml_1_1_wrote_anew_is_told_so(tmp_path: Path) -> None:
    text = yaml.safe_dump(yaml.safe_load("world: embedded\nproject: {name: tools}\ncategories: {}\nsources:\n  coco: {on: false}\n"))
    (tmp_path / "params.yaml").write_text(text)

    with pytest.raises(ParamsError, match=r"params\.yaml:6: sources\.coco\.true: unknown key: what wrote this file takes `on` for true"):
        read_params(tmp_path / "params.yaml")


def test_all_faults_are_found_at_once() -> None:
    params = plain(**{"categories.hammer.targett": 3, "categories.saw.id": "two", "label.workers": 0, "world": ...})

    assert [line.split(":")[0] for line in wrong_with(params)] == ["categories.hammer.targett", "categories.saw.id", "label.workers", "world"]


def test_reading_raises_the_first_fault_and_counts_the_others(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(plain(**{"categories.hammer.targett": 3, "label.workers": 0})))

    with pytest.raises(ParamsError) as caught:
        read_params(tmp_path / "params.yaml")

    assert str(caught.value) == (
        f"{tmp_path}/params.yaml:8: categories.hammer.targett: unknown key; did you mean target? "
        "`boxset check --explain categories.hammer` says what may stand here. `boxset check` lists 1 more"
    )


def test_a_missing_file_says_where_to_run() -> None:
    with pytest.raises(InputError, match=r"no/params.yaml: cannot read: No such file or directory. Run in a Boxset project"):
        read_params(Path("no/params.yaml"))


COLON = "A key wants a space after its colon, here or in the line above; a text with a colon in it wants quotes"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "p.yaml:2: not YAML: did not find expected node content. Mend that line"),
        ("ü:\n\tb: 2\n", "p.yaml:2: not YAML: found character that cannot start any token. Indent with spaces, not with a tab"),
        ("ü: 1\nb: @x\n", "p.yaml:2: not YAML: found character that cannot start any token. Put that text in quotes"),
        ("a:\n  id:2\n  b: 3\n", "p.yaml:3: not YAML: mapping values are not allowed in this context. " + COLON),
        ("a: [1\nb: 2\n", "p.yaml:2: not YAML: did not find expected ',' or ']'. A bracket is not closed or a comma is missing, here or in a line above"),
        ("a: 1\nb: 2\na: 3\n", "p.yaml:3: not YAML: the key a stands twice. Mend that line"),
        ("a: \x00", "p.yaml: not YAML: unacceptable character #x0000: control characters are not allowed. Mend that line"),
    ],
)
def test_yaml_that_cannot_be_read_names_its_line(text: str, message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        parsed_yaml(text, where="p.yaml")

    assert str(caught.value) == message


def test_a_file_that_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"world: \xff\n")

    with pytest.raises(ParamsError, match="not UTF-8 at byte 7"):
        read_params(tmp_path / "params.yaml")


def test_booleans_are_read_as_dvc_reads_them() -> None:
    assert parsed_yaml("{on: true, off: False, yes: no}", where="x") == {"on": True, "off": False, "yes": "no"}


def test_queries_have_one_form() -> None:
    params, _ = checked(plain(**{"categories.hammer.queries": ["claw hammer", {"q": "marteau", "lang": "fr"}]}))

    assert params is not None
    assert queries_of(params.categories["hammer"]) == (Query(q="claw hammer", lang="all"), Query(q="marteau", lang="fr"))


names = st.sampled_from(["id", "target", "classes", "q", "hammer", "on", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "target", "classes", "q", "hammer", "on", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    values, st.sampled_from(["world", "categories", "categories.hammer", "categories.hammer.classes", "sources", "sources.lvis", "label", "crawl"])
)
def test_whatever_stands_in_the_file_it_is_read_or_each_fault_has_a_key(value: Any, where: str) -> None:
    params, found = checked(plain(**{where: value}))

    assert params is not None or found
    assert [fault for fault in found if not fault.key or not fault.what] == []


def test_a_file_that_holds_no_map_is_one_fault() -> None:
    assert [fault.key for fault in faults([], Params)] == [""]
    assert str(next(faults(None, Params)).error("params.yaml")).startswith("params.yaml: the file: expected a section with the keys world, project")


# the reference


ENTRIES = every_entry()


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.key for entry in ENTRIES])
def test_every_key_says_what_it_means_its_unit_and_why_its_default(entry: Any) -> None:
    assert len(entry.meaning) > 10
    assert entry.meaning.endswith(".")
    if entry.plain and "number" in takes_of(entry.key):
        assert entry.unit
    if entry.plain and not entry.required:
        assert len(entry.why) > 8


def takes_of(key: str) -> str:
    """Return what a plain number or text takes, and nothing for lists and maps."""
    taken = entry_of(key).takes
    return taken if not taken.startswith(("a list", "a map")) else ""


def test_the_reference_on_disk_is_the_one_in_the_types() -> None:
    """Where this fails: `boxset check --reference > docs/parameters.md`."""
    assert (REPOSITORY / "docs/parameters.md").read_text() == as_markdown(ENTRIES)


def test_every_key_of_every_section_is_in_the_reference() -> None:
    sections = {bare(key.type) for section in all_sections(Params) for key in keys_of(section).values()} | {Params}

    named = {entry.key.rpartition(".")[2] for entry in ENTRIES}

    assert {name for section in sections if is_section(section) for name in keys_of(section)} <= named


def test_every_key_is_read_by_the_library_or_a_stage() -> None:
    own = {REPOSITORY / "boxset/params.py", REPOSITORY / "boxset/reference.py"}
    files = {*(REPOSITORY / "boxset").rglob("*.py"), *(REPOSITORY / "stages").glob("*.py")} - own
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)} | {*FLAGS}  # flags are read by name

    assert [entry.key for entry in ENTRIES if entry.plain and entry.key.rpartition(".")[2] not in read] == []


def all_sections(top: Any) -> list[Any]:
    """Return a section and those below it."""
    below = [bare(key.type) for key in keys_of(top).values()]
    inner = [bare(b.__args__[1]) if get_origin(b) is dict else b for b in below]
    return [top, *(s for b in inner if is_section(b) for s in all_sections(b))]


@pytest.mark.parametrize("key", ["categories.hammer.target", "categories.*.target", "categories.wrench.target"])
def test_a_name_and_a_star_explain_the_same_key(key: str) -> None:
    assert entry_of(key).key == "categories.*.target"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("label.budgetusd", "label.budgetusd: unknown key; did you mean budget_usd?"),
        ("lable", "lable: unknown key; did you mean label"),
        ("queries", "queries: unknown key; did you mean categories.*.queries?"),
        ("ratio.test", "ratio.test: unknown key; did you mean split.ratio.test?"),
        ("label.budget_usd.more", "label.budget_usd.more: unknown key"),
        ("", "--explain: name a key"),
    ],
)
def test_an_unknown_key_is_met_with_the_nearest(key: str, message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        entry_of(key)

    assert str(caught.value).startswith(message)


def test_values_are_found_by_key() -> None:
    params, _ = checked(plain())

    assert params is not None
    assert value_at(params, "categories.saw.target") == 20
    assert value_at(params, "label.budget_usd") == 0.0
    assert value_at(params, "categories.wrench.target") is None
    assert values_at(params, "categories.*.target") == {"hammer": 10, "saw": 20}


def test_types_are_said_in_words() -> None:
    split = keys_of(bare(keys_of(Params)["split"].type))

    assert takes(split["never_test"].type) == "a list of texts"
    assert takes(keys_of(Category)["classes"].type) == "a map of names to lists of texts or sections with the keys name, children"
    assert takes(keys_of(Project)["name"].type) == "a text that is not empty"
    assert takes(keys_of(Category)["name"].type) == "a text of at most 60 characters"
    assert takes(keys_of(bare(split["ratio"].type))["train"].type) == "a number of at least 0 and at most 1"

"""`boxset coverage`: what the indexes hold of a word, what the licences leave of it, and a block that `boxset check` accepts."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from boxset.checks import problems
from boxset.cli import cli
from boxset.errors import InputError, ParamsError
from boxset.params import ClassTerm, Licences
from boxset.sources.classes import Vocabulary, forms
from boxset.sources.coverage import Count, coverage
from boxset.sources.tables import IndexWriter
from boxset.wording import counted

PARAMS = """\
world: embedded
project: {name: tools, use: commercial}
categories:
  hammer: {id: 1, target: 10}
sources: {open_images: {}, imagenet: {path: .}, visual_genome: {}, lvis: {}, own: {format: local, path: .}}
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)


def index(source: str, classes: list[dict[str, Any]], boxes: list[tuple[str, str]], images: list[dict[str, Any]]) -> None:
    """Write a source's index; a box is its image and class."""
    with IndexWriter(Path("data/index") / source, source=source, format=source, version=1, coordinates="pixels") as writer:
        writer.add_classes(classes)
        writer.add_images({name: [image.get(name) for image in images] for name in ("image_id", "split", "license")})
        geometry = {side: [1.0] * len(boxes) for side in "xywh"}
        writer.add_boxes({"image_id": [image for image, _ in boxes], "class_id": [kind for _, kind in boxes], **geometry})


def every_source() -> None:
    """Three sources: one free, one partly NC, one for research only."""
    names = [
        {"class_id": "/m/1", "name": "Drill (Tool)"},
        {"class_id": "/m/2", "name": "Paint brush"},
        {"class_id": "/m/3", "name": "Drilling rig"},
    ]
    images = [{"image_id": "a", "split": "train", "license": "CC-BY-2.0"}, {"image_id": "b", "split": "test", "license": "CC-BY-NC-2.0"}]
    index("open_images", names, [("a", "/m/1"), ("a", "/m/1"), ("b", "/m/1"), ("b", "/m/2"), ("a", "/m/3")], images)
    power = [{"class_id": "n03995372", "name": "power drill", "synonyms": []}, {"class_id": "n2", "name": "barrow", "synonyms": ["wheelbarrow"]}]
    index("imagenet", power, [("v", "n03995372"), ("w", "n2")], [{"image_id": i, "split": "val", "license": "LicenseRef-research-only"} for i in "vw"])
    said = [
        {"class_id": "drill|exercise.n.03", "name": "drill", "synonyms": ["exercise.n.03"]},
        {"class_id": "tool|Drill ", "name": "tool", "synonyms": ["drill"]},
        {"class_id": "red drill", "name": "red drill", "synonyms": []},
    ]
    index("visual_genome", said, [("1", c["class_id"]) for c in said], [{"image_id": "1"}])


def run(*words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["coverage", *words], catch_exceptions=False)


def test_boxes_and_images_are_counted_by_source_and_split_and_under_the_licences() -> None:
    every_source()

    found = {record.source: record for record in coverage(Path("data/index"), ["drill"], use="commercial", licences=Licences())}

    assert found["open_images"].total == Count(boxes=3, images=2, usable_boxes=2, usable_images=1)
    assert found["open_images"].by_split == {
        "test": Count(boxes=1, images=1, usable_boxes=0, usable_images=0),
        "train": Count(boxes=2, images=1, usable_boxes=2, usable_images=1),
    }
    assert found["open_images"].kept_out == {"CC-BY-NC-2.0": 1}
    assert found["imagenet"].total == Count(boxes=1, images=1, usable_boxes=0, usable_images=0)
    assert found["visual_genome"].total == Count(boxes=2, images=1, usable_boxes=2, usable_images=1)


@pytest.mark.parametrize(
    ("use", "licences", "usable"),
    [
        ("research", Licences(), {"imagenet": 1, "open_images": 3, "visual_genome": 2}),
        ("research", Licences(unknown="deny"), {"imagenet": 1, "open_images": 3, "visual_genome": 0}),
        ("research", Licences(allow=("CC-BY-2.0",)), {"imagenet": 0, "open_images": 2, "visual_genome": 2}),
        ("research", Licences(deny=("*-NC-*", "LicenseRef-*")), {"imagenet": 0, "open_images": 2, "visual_genome": 2}),
    ],
)
def test_policies_decide_what_is_usable(use: str, licences: Licences, usable: dict[str, int]) -> None:
    every_source()

    found = coverage(Path("data/index"), ["drill"], use=use, licences=licences)

    assert {record.source: record.total.usable_boxes for record in found} == usable


@pytest.mark.parametrize("word", ["paint brush", "paintbrush", "Paint-Brush", "paint_brushes", "PAINTBRUSHES"])
def test_a_word_is_found_however_it_is_written(word: str) -> None:
    every_source()

    assert [(r.source, [c.id for c in r.exact]) for r in coverage(Path("data/index"), [word], use="research", licences=Licences())] == [
        ("open_images", ["/m/2"])
    ]


def test_exact_classes_come_before_those_that_hold_the_word_and_other_words_stay_out() -> None:
    every_source()

    found = {r.source: [(c.id, c.term, c.exact) for c in r.classes] for r in coverage(Path("data/index"), ["drill"], use="research", licences=Licences())}

    assert found == {
        "open_images": [("/m/1", "/m/1", True)],
        "imagenet": [("n03995372", "n03995372", False)],
        "visual_genome": [("drill|exercise.n.03", "name:drill", True), ("tool|Drill ", "name:drill", True), ("red drill", "name:red drill", False)],
    }


def test_plurals_are_english_ones() -> None:
    assert [forms(w) & {"knife", "brush", "pliers", "glass", "axe", "ax", "berry", "bus"} for w in ("knives", "brushes", "glass", "axes", "berries", "bus")] == [
        {"knife"}, {"brush"}, {"glass"}, {"ax"}, {"berry"}, {"bus"},
    ]  # fmt: skip
    assert "axes" in forms("axe")
    assert "pliers" in forms("pliers")
    assert "glas" not in forms("glass")


def test_the_block_is_accepted_and_brings_exactly_the_boxes_shown() -> None:
    every_source()

    out = run("drill", "paint brush", "hammer").stdout

    block = out.partition("under `categories`:\n")[2]
    Path("params.yaml").write_text(PARAMS.replace("sources:", f"{block}sources:"))
    params, faults = problems()
    assert faults == []
    assert params is not None
    assert {name: category.id for name, category in params.categories.items()} == {"hammer": 1, "drill": 2, "paint_brush": 3}
    vocabulary = Vocabulary.of(Path("data/index/visual_genome"))
    assert [vocabulary.find(ClassTerm(name=str(t)), where="") for t in params.categories["drill"].classes["visual_genome"]] == [
        ["drill|exercise.n.03", "tool|Drill "]
    ]
    assert params.categories["drill"].classes["imagenet"] == ()
    assert "imagenet: []  # perhaps n03995372 (power drill): 1" in block
    _, _, there = block.partition("  # There already; merge by hand what you want of this:\n")
    assert yaml.safe_load("\n".join(line.removeprefix("  # ") for line in there.splitlines())) == {"hammer": {"classes": {"open_images": [], "imagenet": [], "visual_genome": []}}}


@pytest.mark.parametrize("words", [("wrench", "hammer", "日本", "ドリル"), ("hammer", "saw", "hammers", "saws"), ("7", "id:7", "größe", "name:saw", "日本")])
def test_whatever_is_asked_at_once_the_whole_can_be_pasted(words: tuple[str, ...]) -> None:
    every_source()

    block = run(*words).stdout.partition("under `categories`:\n")[2]

    Path("params.yaml").write_text(PARAMS.replace("sources:", f"{block}sources:"))
    params, faults = problems()
    assert params is not None
    assert faults == []
    assert "For params.yaml" not in run(*words).stdout  # each is a category now, and is known again


DRILLER = PARAMS.replace("hammer: {id: 1, target: 10}", 'driller: {id: 1, target: 10, classes: {open_images: [/m/1], visual_genome: ["name:drill"]}}')


def test_classes_that_a_category_has_are_printed_as_comments_and_named_as_its_own() -> None:
    every_source()
    Path("params.yaml").write_text(DRILLER)

    out = run("drill").stdout

    assert "For params.yaml" not in out
    assert "  # driller has these classes already: drill\n  # There already; merge by hand what you want of this:\n  # drill:\n" in out
    assert [line for line in out.splitlines() if "/m/1]" in line] == ["  #     open_images: [/m/1]  # Drill (Tool): 3 boxes"]


def test_a_new_category_gets_only_the_classes_that_are_free() -> None:
    every_source()
    Path("params.yaml").write_text(DRILLER.replace(', visual_genome: ["name:drill"]', ""))

    block = run("drill").stdout.partition("under `categories`:\n")[2]

    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("sources:", f"{block}sources:"))
    params, faults = problems()
    assert faults == []
    assert params is not None
    assert params.categories["drill"].classes == {"open_images": (), "imagenet": (), "visual_genome": ("name:drill",)}
    assert "      open_images: []  # driller has /m/1 (Drill (Tool))\n" in block


def test_one_class_under_two_words_becomes_one_new_category() -> None:
    every_source()

    block = run("barrow", "wheelbarrow").stdout.partition("under `categories`:\n")[2]

    assert list(yaml.safe_load(block)) == ["barrow"]
    assert "  # barrow has these classes already: wheelbarrow\n" in block


def test_words_without_latin_letters_become_categories_of_their_own() -> None:
    named = [{"class_id": "1", "name": "日本"}, {"class_id": "2", "name": "ドリル"}]
    index("lvis", named, [("a", "1"), ("a", "2")], [{"image_id": "a"}])

    lines = run("日本", "ドリル").stdout.splitlines()

    assert [line for line in lines if line.endswith(":") and line.startswith("  u")] == ["  unnamed_2:", "  unnamed_3:"]
    assert [line.strip() for line in lines if "queries" in line] == ['queries: ["日本"]', 'queries: ["ドリル"]']


def test_a_word_that_nobody_has_gets_its_likely_spelling_and_no_block() -> None:
    every_source()

    one, both = run("drll"), run("drll", "drill")

    assert one.exit_code == 1
    assert "did you mean drill" in one.stdout
    assert "# No block for drll: no index here has it." in one.stdout
    assert "For params.yaml" not in one.stdout
    assert both.exit_code == 0
    assert list(yaml.safe_load(both.stdout.partition("under `categories`:\n")[2])) == ["drill"]


def test_a_class_without_boxes_is_known_and_named() -> None:
    index("coco", [{"class_id": "24", "name": "zebra"}, {"class_id": "1", "name": "person"}], [("a", "1")], [{"image_id": "a"}])
    Path("params.yaml").write_text(PARAMS.replace("lvis: {}", "lvis: {}, coco: {}"))

    done = run("zebra")

    assert done.exit_code == 0
    assert [" ".join(line.split()) for line in done.stdout.splitlines() if line.startswith("  coco")] == ["coco 0 0 0 0 zebra; no boxes in its index"]
    assert "did you mean" not in done.stdout
    assert "      coco: [zebra]  # zebra: 0 boxes\n" in done.stdout


def test_together_counts_what_the_block_takes() -> None:
    every_source()

    lines = run("drill").stdout.splitlines()

    assert next(line for line in lines if "together" in line).split() == ["together", "5", "3", "4", "2", "of", "that", "name"]
    assert next(line for line in lines if line.startswith("  imagenet")).endswith("none of that name; power drill (n03995372)")


@pytest.mark.parametrize(
    ("term", "category", "source", "boxes"),
    [
        ("name:drill", "drill", "visual_genome", 2),
        ("name:drill (tool)", "drill_tool", "open_images", 3),
        ("exercise.n.03", "exercise", "visual_genome", 1),
        ("id:/m/1", "drill", "open_images", 3),
        ("/m/1", "drill", "open_images", 3),
        ("synset:exercise.n.03", "exercise", "visual_genome", 1),
    ],
)
def test_an_exact_term_is_taken_as_it_is(term: str, category: str, source: str, boxes: int) -> None:
    every_source()

    block = run(term).stdout.partition("under `categories`:\n")[2]

    read = yaml.safe_load(block)[category]
    assert read["classes"][source] == [term]
    assert read["queries"] == [category.replace("_", " ") if "(" not in term else "drill (tool)"]
    assert f": {counted(boxes, 'box')}" in block


def test_a_spelling_that_is_an_id_hides_no_other_spelling() -> None:
    said = [{"class_id": name, "name": name, "synonyms": []} for name in ("hammer", "hammers", "claw hammer")]
    index("visual_genome", said, [("1", row["class_id"]) for row in said], [{"image_id": "1"}])

    out = run("hammer").stdout

    assert '["name:hammer", "name:hammers"]  # hammer: 1 box, hammers: 1 box; also "name:claw hammer": 1' in out


def test_what_brings_nothing_is_named_with_its_reason() -> None:
    every_source()

    out = run("drll").stdout

    assert "none in open_images, imagenet, visual_genome; did you mean drill" in out
    assert "no index yet of lvis, own: `dvc repro index@lvis index@own`" in out


def test_without_indexes_it_says_what_they_need() -> None:
    live = PARAMS.replace("world: embedded", "world: live")

    embedded = run_without_catching("drill")
    Path("params.yaml").write_text(live)

    assert embedded == "data/index: there are no indexes yet. `dvc pull data/index`, or `dvc repro index`"
    assert run_without_catching("drill") == (
        f"{embedded}, which fetches once, in GB: open_images 3.4, visual_genome 0.1, lvis 0.5; `dvc repro index@visual_genome` makes one alone"
    )


def run_without_catching(*words: str) -> str:
    """Run the command and return the error that it ends with."""
    with pytest.raises(InputError) as caught:
        run(*words)
    return str(caught.value)


def test_json_says_the_same() -> None:
    every_source()

    rows = json.loads(CliRunner().invoke(cli, ["coverage", "--json", "wheelbarrow"]).stdout)

    assert [(r["source"], r["classes"], r["total"]["boxes"]) for r in rows] == [
        ("imagenet", [{"id": "n2", "name": "barrow", "term": "n2", "boxes": 1, "exact": True}], 1)
    ]


def test_a_free_name_is_no_id_and_a_second_name_counts() -> None:
    rows = [
        {"class_id": "hammer", "name": "hammer", "synonyms": []},
        {"class_id": "hammer|hammer.n.01", "name": "hammer", "synonyms": ["hammer.n.01"]},
        {"class_id": "tool|hammer", "name": "tool", "synonyms": ["hammer"]},
        {"class_id": "mallet", "name": "mallet", "synonyms": ["hammer"]},
    ]
    vocabulary = Vocabulary("visual_genome", rows)

    assert vocabulary.find(ClassTerm(name="hammer"), where="") == ["hammer", "hammer|hammer.n.01", "tool|hammer"]
    assert vocabulary.find(ClassTerm(name="name:hammer"), where="") == ["hammer", "hammer|hammer.n.01", "tool|hammer"]
    assert vocabulary.find(ClassTerm(name="id:hammer"), where="") == ["hammer"]
    assert vocabulary.find(ClassTerm(name="synset:hammer.n.01"), where="") == ["hammer|hammer.n.01"]
    with pytest.raises(ParamsError, match=r"has no class 'hamer'; did you mean hammer"):
        vocabulary.find(ClassTerm(name="hamer"), where="categories.hammer.classes.visual_genome")


@pytest.mark.parametrize("odd", ["a.b", "c++ (x", "[", "\\", "|", "name:", ":", " "])
def test_signs_with_a_meaning_in_patterns_are_plain_text(odd: str) -> None:
    vocabulary = Vocabulary("x", [{"class_id": "1", "name": "plain"}, {"class_id": "2", "name": f"odd {odd}".strip()}])

    assert "1" not in vocabulary.search(odd)

"""A category's name for show: what the data set says, while folders, the ledger and predictions go by key and id."""

import io
import json
from pathlib import Path

import msgspec
import pytest
import yaml
from click.testing import CliRunner
from rich.console import Console

from boxset.assemble.balance import balance
from boxset.assemble.freeze import hold
from boxset.assemble.merge import merge
from boxset.assemble.split import split
from boxset.cli import cli
from boxset.compare.diff import diff
from boxset.compare.suspicious import counts, suspects
from boxset.dataset.coco import Coco, CocoCategory, category_name, write_coco
from boxset.dataset.frozen import Frozen
from boxset.dataset.records import Pool
from boxset.errors import InputError, ParamsError
from boxset.files import write_json
from boxset.formats.card import card
from boxset.formats.export import export
from boxset.formats.yolo import write_yolo
from boxset.labeling.ledger import Job, Ledger, Reserved
from boxset.labeling.standing import check_ids
from boxset.params import Balance, Merge, Split, category_key
from boxset.predictions.store import read_folder
from boxset.report.diff_page import diff_page
from boxset.report.markdown import diff_markdown
from boxset.report.pictures import Pictures
from boxset.report.terminal import diff_text
from boxset.resolve import Identity, Ids
from tests.build import TARGETS, annotation, box, coco, image, picture, pool
from tests.detector import predictions, result
from tests.project import Project
from tests.test_params import plain, wrong_with
from tests.test_resolve import params_of

CLAW = "Claw hammer | 16 oz"
NAMED = Ids(categories={"hammer": Identity(id=1, supercategory="object", name=CLAW), "saw": Identity(id=2, supercategory="object")})


def renamed(found: Coco, name: str = CLAW) -> Coco:
    """The same set once its first category has a name for show."""
    first, *rest = found.categories
    return msgspec.structs.replace(found, categories=(CocoCategory.shown(id=first.id, key=first.key, name=name), *rest))


def two_boxes() -> Coco:
    """A picture with a box of each category."""
    return coco([image(1)], [annotation(1, 1, 1), annotation(2, 1, 2, bbox=(200.0, 100.0, 50.0, 50.0))])


# params.yaml


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (" Claw hammer", "begins or ends with a blank"),
        ("Claw\thammer", "control characters"),
        ("Claw\u2028hammer", "control characters"),
        ("Claw\u202ehammer", "control characters"),
        ("x" * 61, "60"),
        ("SAW", "is saw's key"),
    ],
)
def test_a_name_that_shows_badly_or_could_be_anothers_is_refused(name: str, says: str) -> None:
    (wrong,) = wrong_with(plain(**{"categories.hammer.name": name}))

    assert wrong.startswith("categories.hammer.name: ")
    assert says in wrong


def test_two_names_that_differ_in_case_alone_are_refused() -> None:
    assert wrong_with(plain(**{"categories.hammer.name": "Hand Saw", "categories.saw.name": "hand saw"})) == ["categories.saw.name: 'hand saw' is hammer's name"]


@pytest.mark.parametrize("name", ["", "Hammer", "hammer", CLAW, "Vorschlaghammer (groß)", "x" * 60, "锤子"])
def test_a_free_text_nothing_and_ones_own_key_in_other_letters_are_names(name: str) -> None:
    assert wrong_with(plain(**{"categories.hammer.name": name})) == []


def test_a_new_category_whose_key_is_anothers_name_is_refused() -> None:
    assert wrong_with(plain(**{"categories.hammer.name": "Mallet", "categories.mallet": {"id": 3, "target": 1}})) == ["categories.hammer.name: 'Mallet' is mallet's key"]


@pytest.mark.parametrize("word", ["hammer", CLAW, CLAW.upper()])
def test_commands_find_a_category_by_key_and_by_name(word: str) -> None:
    assert category_key(word, params_of(**{"categories.hammer.name": CLAW})) == "hammer"


def test_a_word_that_is_no_category_is_refused_with_the_nearest() -> None:
    with pytest.raises(ParamsError, match="there is no category Claw hamer; did you mean Claw hammer"):
        category_key("Claw hamer", params_of(**{"categories.hammer.name": "Claw hammer"}))


def test_a_ledger_whose_key_was_changed_says_to_put_it_back_and_set_a_name() -> None:
    asked = Reserved(job="a", backend="files", version=1, categories={"driller": 1}, pictures=0, worst_mills=0)
    job = Job(asked, (), is_sent=True, closed=None, answers={})

    with pytest.raises(InputError, match="Put the key driller back and write `name: cordless drill` under it"):
        check_ids(Ledger({"a": job}, ""), {"cordless_drill": 1})


# the data set


def test_the_merged_set_shows_the_name_and_keeps_the_key_and_metrics_go_by_key() -> None:
    found = merge({"coco": pool(picture(), box())}, {}, answers=Pool(), ids=NAMED, settings=Merge())

    assert [(c.id, c.name, c.key) for c in found.coco.categories] == [(1, CLAW, "hammer"), (2, "saw", "saw")]
    assert found.metrics["boxes"] == {"hammer": 1, "saw": 0}


def test_without_a_name_the_file_says_what_it_always_said(tmp_path: Path) -> None:
    ids = Ids(categories={"hammer": Identity(id=1, supercategory="object", name="hammer")})
    (plainly,) = merge({}, {}, answers=Pool(), ids=ids, settings=Merge()).coco.categories
    write_json(tmp_path / "ids.json", Ids(categories={"hammer": Identity(id=1, supercategory="object")}))

    assert msgspec.json.encode(plainly) == b'{"id":1,"name":"hammer","supercategory":"object"}'
    assert json.loads((tmp_path / "ids.json").read_text()) == {"categories": {"hammer": {"id": 1, "supercategory": "object"}}}


def test_targets_and_the_split_go_by_key_and_the_card_shows_names() -> None:
    found = renamed(two_boxes())
    chosen = balance(found, TARGETS, Balance(mode="select"))

    parted = split(chosen.coco, {}, Split(min_boxes=3))

    assert chosen.says[0] == f"{CLAW}: 1 box, all that there is; the target is 10"
    assert list(parted.metrics["boxes"]) == list(parted.metrics["test"]["half_width"]) == ["hammer", "saw"]
    text = card("tools", {"train": chosen.coco}, {"Balance": chosen.says}, {CLAW: "Has a claw."}, test=parted.metrics)
    assert "| Claw hammer \\| 16 oz | 1 | 1 |" in text
    assert f"## What counts as {CLAW}" in text
    assert "- Claw hammer | 16 oz: val has 0 of the 3 boxes" in text or "| Claw hammer \\| 16 oz | 0 | ±" in text
    assert "hammer:" not in text


def test_yolo_and_the_exports_show_the_name(tmp_path: Path) -> None:
    parts = {name: renamed(two_boxes() if name == "train" else coco([], [])) for name in ("train", "val", "test")}
    for name, part in parts.items():
        write_coco(tmp_path / f"set/annotations/instances_{name}.json", part)
        for one in part.images:
            (tmp_path / f"set/images/{name}").mkdir(parents=True)
            (tmp_path / f"set/images/{name}" / one.file_name).write_bytes(b"a picture")

    write_yolo(tmp_path / "set", parts)
    for name in ("ATTRIBUTION.csv", "README.md"):
        (tmp_path / "set" / name).write_text("")
    for format_ in ("lvis", "huggingface", "roboflow", "voc", "manifest", "cvat"):
        export(tmp_path / "set", format_, tmp_path / format_)

    assert yaml.safe_load((tmp_path / "set/data.yaml").read_text())["names"] == {0: CLAW, 1: "saw"}
    assert (tmp_path / "huggingface/classes.txt").read_text().splitlines() == [CLAW, "saw"]
    for path in ("lvis/annotations/lvis_train.json", "roboflow/train/_annotations.coco.json", "cvat/annotations/instances_train.json"):
        assert [c["name"] for c in json.loads((tmp_path / path).read_text())["categories"]] == [CLAW, "saw"]
    assert f"<name>{CLAW}</name>" in (tmp_path / f"voc/Annotations/{1:064x}.xml").read_text()
    assert json.loads((tmp_path / "manifest/train.manifest").read_text())["boxes-metadata"]["class-map"] == {"0": CLAW, "1": "saw"}


# across a rename


def test_a_rename_is_no_change_of_boxes_and_is_said() -> None:
    old, new = two_boxes(), renamed(two_boxes())

    found = diff({"train": old}, {"train": new}, names=("v1", "v2"))

    assert found.renamed == {"hammer": CLAW}
    assert not found.is_empty
    assert found.box_changes == ()
    assert {name: change.changed for name, change in found.categories.items()} == {CLAW: False, "saw": False}
    assert msgspec.json.decode(msgspec.json.encode(found))["renamed"] == {"hammer": CLAW}
    console = Console(width=120, file=io.StringIO())
    with console.capture() as printed:
        console.print(diff_text(found))
    assert f"renamed hammer → {CLAW}" in " ".join(printed.get().split())
    assert f"- renamed hammer → {CLAW}\n" in diff_markdown(found)
    assert f"renamed hammer → {CLAW}" in diff_page(found, {"train": old}, {"train": new}, Pictures((), budget=0))


def test_a_name_of_brackets_is_printed_as_it_is() -> None:
    found = diff({"train": two_boxes()}, {"train": renamed(two_boxes(), "[bold]hammer")}, names=("v1", "v2"))

    console = Console(width=120, file=io.StringIO())
    with console.capture() as printed:
        console.print(diff_text(found))

    assert printed.get().count("[bold]hammer") == 2


def test_boxes_that_changed_besides_the_name_are_told_under_the_new_one() -> None:
    new = renamed(coco([image(1)], [annotation(1, 1, 1, bbox=(12.0, 20.0, 100.0, 80.0))]))

    found = diff({"train": two_boxes()}, {"train": new}, names=("v1", "v2"))

    assert [(change.kind, change.category) for change in found.box_changes] == [("moved", CLAW), ("removed", "saw")]


def test_a_name_that_another_category_had_before_keeps_the_two_apart() -> None:
    old = renamed(two_boxes(), "Tool")
    both = two_boxes()
    new = msgspec.structs.replace(both, categories=(both.categories[0], CocoCategory.shown(id=2, key="saw", name="Tool")))

    found = diff({"train": old}, {"train": new}, names=("v1", "v2"))

    assert found.renamed == {"Tool": "hammer", "saw": "Tool"}
    assert (found.box_changes, [c.changed for c in found.categories.values()]) == ((), [False, False])


def test_a_frozen_test_set_takes_a_renamed_category_for_the_same() -> None:
    frozen = Frozen(name="v1", sha256="0", text="", commit="", coco=two_boxes())
    files = [one.file_name for one in frozen.coco.images]

    held = hold(renamed(two_boxes()), frozen, files=files, is_denied=lambda *_: False, bits=6)

    assert (held.metrics["removed_boxes"], held.metrics["unknown_categories"], len(held.coco.annotations)) == (0, [], 2)
    assert held.coco.categories[0].name == CLAW


# predictions


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose hammer has a name for show."""
    monkeypatch.chdir(tmp_path)
    found = coco([image(n) for n in range(1, 31)], [annotation(n, n, 1) for n in range(1, 31)])
    write_coco(tmp_path / "data/dataset/annotations/instances_train.json", renamed(found))
    write_coco(tmp_path / "before.json", found)
    write_json(tmp_path / "data/resolve/ids.json", NAMED)
    return tmp_path


@pytest.mark.parametrize("listed", ["data/dataset/annotations/instances_train.json", "before.json"])
@pytest.mark.parametrize("word", ["hammer", CLAW])
def test_results_may_name_a_category_by_key_or_by_name_and_are_kept_by_key(labelled: Path, listed: str, word: str) -> None:
    Path("results.json").write_text(json.dumps([result(image_id=n, category_id=99, category_name=word, score=0.5 + n / 100) for n in range(1, 31)]))

    done = CliRunner().invoke(cli, ["predictions", "add", "results.json", "--images", listed])

    assert done.exit_code == 0, done.output
    for now in ({1: "hammer", 2: "saw"}, {2: "hammer", 1: "saw"}):
        ids = {i for i, name in now.items() if name == "hammer"}
        assert set(read_folder(labelled / "predictions", categories=now).category_ids.tolist()) == ids


def test_suspicious_labels_are_asked_for_by_key_or_name(labelled: Path) -> None:
    write_coco(labelled / "data/dataset/annotations/instances_train.json", renamed(coco([image(1), image(2)], [annotation(1, 1, 1)])))
    Path("results.json").write_text(json.dumps([result(image_id=n) for n in (1, 2)]))
    images = "data/dataset/annotations/instances_train.json"
    assert CliRunner().invoke(cli, ["predictions", "add", "results.json", "--images", images]).exit_code == 0

    said = [CliRunner().invoke(cli, ["suspicious", word, "--json"]) for word in ("hammer", CLAW, "saw")]

    assert [done.exit_code for done in said] == [0, 0, 0]
    by_key, by_name, of_saw = (json.loads(done.output) for done in said)
    assert [one["category"] for one in by_key] == [CLAW]
    assert (by_name, of_saw) == (by_key, [])


@pytest.mark.parametrize("word", ["hammer", CLAW, CLAW.upper()])
def test_boxes_are_audited_by_key_or_name(labelled: Path, word: str) -> None:
    for split_ in ("val", "test"):
        write_coco(labelled / f"data/dataset/annotations/instances_{split_}.json", renamed(coco([], [])))
    Path("params.yaml").write_text("world: live\nproject: {name: tools}\ncategories: {hammer: {id: 1, target: 5}}\nsources: {}\n")

    done = CliRunner().invoke(cli, ["audit", "--category", word, "--csv", "boxes.csv"])
    wrong = CliRunner().invoke(cli, ["audit", "--category", "hamer"])

    assert (done.output, done.exception) == ("boxes.csv: 30 boxes\n", None)
    assert isinstance(wrong.exception, ParamsError)
    assert "there is no category hamer; did you mean hammer" in str(wrong.exception)


def test_suspicious_labels_are_counted_by_key_so_that_a_rename_moves_no_metric() -> None:
    seen = predictions({one: [(1, (10.0, 20.0, 100.0, 80.0), 0.9)] for one in (f"{1:064x}", f"{2:064x}")})
    found = renamed(coco([image(1), image(2)], [annotation(1, 1, 1)]))

    assert counts(suspects({"merge": found}, seen), ["hammer", "saw"])["missed"] == {"hammer": 1, "saw": 0}


# the pipeline

BUILT = ("data/dataset/annotations", "data/dataset/data.yaml", "data/dataset/README.md", "data/merge")


def rename(project: Project, name: str | None) -> None:
    """Give the hammer a name for show, or none."""
    params = project.params()
    params["categories"]["hammer"].pop("name", None)
    params["categories"]["hammer"] |= {"name": name} if name else {}
    project.set_params(params)


@pytest.mark.pipeline
def test_a_rename_runs_what_shows_it_and_crawls_and_buys_and_asks_nothing(small: Project) -> None:
    unchanged = ("ledger", "splits.csv", "metrics", "data/crawl", "data/extract", "data/label")
    before, built, asked = small.bytes_of(*unchanged), small.bytes_of(*BUILT), len(small.requests())
    rename(small, CLAW)

    ran = small.repro()

    assert ran == ["resolve", "label", "merge", "balance", "report"]
    assert (small.bytes_of(*unchanged), len(small.requests())) == (before, asked)
    categories = small.json("data/dataset/annotations/instances_train.json")["categories"]
    assert categories[0] == {"id": 2, "name": CLAW, "supercategory": "object", "key": "hammer"}
    assert yaml.safe_load((small.root / "data/dataset/data.yaml").read_text())["names"][0] == CLAW
    assert "| Claw hammer \\| 16 oz |" in (small.root / "data/dataset/README.md").read_text()
    assert CLAW in (small.root / "data/report/index.html").read_text()
    assert f"renamed hammer → {CLAW}" in small.run("boxset", "diff").stdout
    assert small.run("boxset", "check").stdout.endswith("all good\n")
    small.run("boxset", "validate")
    rename(small, None)
    small.repro()
    assert small.bytes_of(*unchanged, *BUILT) == before | built


@pytest.mark.pipeline
def test_a_job_that_was_sent_before_a_rename_is_taken_in_after_it(small: Project) -> None:
    small.run("boxset", "label", "submit", "--yes", "--no-trial")
    small.repro()
    rename(small, CLAW)
    small.repro()

    small.run("boxset", "label", "collect")
    small.repro()

    drawn = [json.loads(line) for line in (small.root / "ledger/answers.jsonl").read_text().splitlines()]
    assert any(one["category_id"] == 2 for answer in drawn for one in answer.get("boxes", ()))
    parts = [small.json(f"data/dataset/annotations/instances_{name}.json") for name in ("train", "val", "test")]
    assert any(a["source"] == "label" and a["category_id"] == 2 for part in parts for a in part["annotations"])
    assert small.json("metrics/label.json")["boxes"].get("hammer")


@pytest.mark.pipeline
def test_a_changed_key_is_told_to_come_back_and_take_a_name(small: Project) -> None:
    params = small.params()
    params["categories"] = {{"hammer": "claw_hammer"}.get(key, key): value for key, value in params["categories"].items()}
    small.set_params(params)

    done = small.run("boxset", "check", check=False)

    assert done.returncode == 1
    assert "Is it a new name for hammer? Put the key hammer back and write `name: claw hammer` under it" in done.stdout + done.stderr


def test_a_category_of_a_data_set_is_found_by_key_and_by_name_in_any_case() -> None:
    kinds = [CocoCategory.shown(id=1, key="hammer", name=CLAW), CocoCategory.shown(id=2, key="saw", name="")]

    assert [category_name(word, kinds, where="here") for word in ("hammer", CLAW.upper(), "Saw")] == [CLAW, CLAW, "saw"]
    with pytest.raises(ParamsError, match="here: there is no category hamer; did you mean hammer"):
        category_name("hamer", kinds, where="here")

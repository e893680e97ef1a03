"""`boxset check`: all problems at once, before anything runs; what any key means."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from boxset.checks import notes, problems
from boxset.commands.check import command
from boxset.labeling.ledger import ANSWERS, PURCHASES, Answered, Asked, Drawn, Reserved, append
from boxset.params import checked
from boxset.passedover import FILES, SPLITS
from boxset.sources import coco, imagenet, open_images, visual_genome
from boxset.sources.classes import Shared, shared_classes
from boxset.sources.tables import IndexWriter
from tests.project import REPOSITORY
from tests.test_params import plain

ROLE = "arn:aws:iam::123456789012:role/GroundTruth"
TEAM = "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/us"
PUBLIC = "arn:aws:sagemaker:us-east-1:394669845002:workteam/public-crowd/default"
READY = {"labeler.backend": "ground_truth", "labeler.bucket": "s3://shop/jobs", "labeler.role_arn": ROLE, "labeler.workteam_arn": TEAM}


def project(folder: Path, **changes: Any) -> Path:
    """Write a small project's parameters."""
    (folder / "params.yaml").write_text(yaml.safe_dump(plain(**changes), sort_keys=False))
    return folder


def faults_in(folder: Path, **changes: Any) -> list[str]:
    """Return what is wrong with a small project, each as `key: what`."""
    return [f"{fault.key}: {fault.what}" for fault in problems(project(folder, **changes))[1]]


def test_a_sound_project_is_all_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project(tmp_path))

    done = CliRunner().invoke(command, [])

    assert (done.exit_code, done.output) == (0, "params.yaml: 2 categories, 1 source: all good\n")


def test_every_problem_is_one_line_and_the_exit_code_is_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project(tmp_path, **{"world": "live", "categories.hammer.crawl_images": 5, "categories.saw.max": 3, "split.ratio": {"val": 0.3}}))

    done = CliRunner().invoke(command, [])

    assert done.exit_code == 1
    assert [line.split(": ")[1] for line in done.output.splitlines()[:-1]] == [
        "split.ratio", "project.contact", "categories.hammer.queries", "categories.saw.max",
    ]  # fmt: skip
    assert done.output.splitlines()[-1] == "params.yaml: 4 problems"


def test_a_section_that_a_stage_names_and_that_is_left_to_its_defaults_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text((REPOSITORY / "boxset/project/dvc.yaml").read_text())
    project(tmp_path)
    whole = yaml.safe_load((tmp_path / "params.yaml").read_text())
    sections = {"world": "live", "licences": {}, "crawl": {}, "label": {}, "merge": {}, "balance": {}, "split": {}}
    whole |= {name: whole.get(name, default) for name, default in sections.items()}
    whole["project"] = {"use": "research", "name": "tools", **whole.get("project", {})}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(whole))
    assert not [fault for fault in problems(tmp_path)[1] if "dvc.yaml" in fault.what]

    for name in sections.keys() - {"world"}:
        (tmp_path / "params.yaml").write_text(yaml.safe_dump({key: value for key, value in whole.items() if key != name}))
        missing = [fault for fault in problems(tmp_path)[1] if "dvc.yaml" in fault.what]
        assert [(fault.key, fault.do) for fault in missing] == [(name, f"Write {name}: {{}}")]


@pytest.mark.parametrize("key", ["categories.hammer.guideline", "labeler.instructions"])
def test_a_text_that_is_not_utf_8_is_a_problem_before_anything_runs(tmp_path: Path, key: str) -> None:
    (tmp_path / "how.txt").write_bytes("Was ein Hammer ist:\nNägel\n".encode("latin-1"))

    assert faults_in(tmp_path, **{key: "how.txt"}) == [f"{key}: how.txt is not UTF-8"]


PROBLEMS: list[tuple[dict[str, Any], list[str]]] = [
    ({"project.contact": "me"}, ["project.contact: 'me' is neither an e-mail address nor the address of a page"]),
    ({"project.contact": "https://shop.example/bot"}, []),
    ({"project.contact": "jürgen@shop.example"}, []),
    ({"project.contact": "https://例え.example/bot"}, ["project.contact: 'https://例え.example/bot': no request can carry its letters"]),
    ({"categories.hammer.guideline": "guide.md"}, ["categories.hammer.guideline: guide.md is not there"]),
    ({"categories.hammer.reject_words": ["", "x"]}, ["categories.hammer.reject_words[0]: an empty text"]),
    ({"labeler.instructions": "how.txt"}, ["labeler.instructions: how.txt is not there"]),
    ({"crawl.url_lists": ["mine.csv"]}, ["crawl.url_lists[0]: mine.csv is not there"]),
    ({"sources.lvis.splits": ["trian"]}, ["sources.lvis.splits: there is no trian; did you mean train?"]),
    ({"sources.own": {"format": "local", "splits": ["train"]}}, ["sources.own.splits: local does not read it"]),
    ({"sources.own": {"format": "local", "sha256": {"x": "0" * 64}}}, ["sources.own.sha256: local does not read it"]),
    ({"sources.lvis.license": "MIT"}, ["sources.lvis.license: lvis does not read it"]),
    ({"sources.visual_genome.splits": ["train"]}, ["sources.visual_genome.splits: visual_genome does not read it"]),
    ({"sources.lvis.files": {"lvis_trn": "https://a.example/x"}}, ["sources.lvis.files: there is no lvis_trn; did you mean lvis_train or lvis_val?"]),
    ({"sources.lvis.sha256": {"lvis_train": "abc"}}, ["sources.lvis.sha256.lvis_train: a SHA-256 has 64 hexadecimal digits"]),
    ({"sources.lvis.path": "nowhere/"}, ["sources.lvis.path: nowhere/ is not there"]),
    ({"sources.lvis.path": "nowhere/", "sources.lvis.on": False}, []),
    ({"project.bucket": "shop"}, ["project.bucket: 'shop' is not of the form s3://bucket/prefix"]),
    ({"crawl.searxng.url": "localhost:8888"}, ["crawl.searxng.url: 'localhost:8888' is not an address"]),
    ({"crawl.searxng.url": "http://[::1"}, ["crawl.searxng.url: 'http://[::1' is not an address"]),
    ({"crawl.searxng.url": "http://[::1]:8888/sx"}, []),
    ({"crawl.searxng.url": ""}, ["crawl.searxng.url: '' is not an address"]),
    ({"crawl.searxng.url": "", "crawl.searxng.on": False}, []),
    ({"mirrors": {"https://a.example/": "http://b.example/x"}}, [
        "mirrors.https://a.example/: one of https://a.example/ and http://b.example/x ends with / and the other does not",
    ]),
    ({"mirrors": {"openimages/": "http://b.example/"}}, [
        "mirrors.openimages/: a mirror stands in for addresses that begin with http://, https:// or s3://",
    ]),
    ({"licences.deny": ["nc"]}, ["licences.deny: 'nc' is not spelt as SPDX does, and would match nothing"]),
    ({"licences.deny": ["*-NC-*", "CC-BY-ND-2.0"]}, []),
    ({"licences.deny": ["*-nd*", "cc-by-sa-*"]}, []),
    ({"licences.allow": ["CC-BY-ND"]}, ["licences.allow: 'CC-BY-ND' names no version, and would match nothing"]),
    ({"crawl.openverse.licences": ["by_sa"]}, ["crawl.openverse.licences: Openverse has no licence 'by_sa'; did you mean by-sa or by-nc-sa?"]),
    ({"merge.trust": ["lvsi"]}, ["merge.trust: there is no source lvsi; did you mean lvis?"]),
    (READY, []),
    ({"labeler.backend": "label_studio"}, ["labeler.url: empty, and the backend is label_studio"]),
    ({**READY, "labeler.role_arn": "GroundTruth"}, ["labeler.role_arn: 'GroundTruth' is not a role"]),
    ({**READY, "labeler.role_arn": ""}, ["labeler.role_arn: empty, and the backend is ground_truth"]),
    ({**READY, "labeler.region": "eu-west-3"}, [
        "labeler.region: Ground Truth is not in 'eu-west-3'; did you mean eu-west-2 or eu-west-1 or us-west-2?",
        "labeler.workteam_arn: the team is in us-east-1, and labeler.region is eu-west-3",
    ]),
    ({**READY, "labeler.workteam_arn": PUBLIC}, ["labeler.workteam_arn: labeler.public is false, and this is the public workforce"]),
    ({**READY, "labeler.workteam_arn": "", "labeler.public": True}, [
        "labeler.free_of_personal_data: false, and the public workforce is chosen",
    ]),
    ({**READY, "labeler.workteam_arn": "", "labeler.public": True, "labeler.free_of_personal_data": True, "label.price.usd_per_task": 0.05}, [
        "label.price.usd_per_task: $0.05 is none of AWS's prices; the nearest is $0.048",
    ]),
]  # fmt: skip


OWN = {"own": {"format": "local", "path": "photos"}}
CRAWLED = {"categories.hammer.queries": ["hammer"], "categories.hammer.crawl_images": 5}


@pytest.mark.parametrize(
    ("needed", "changes"),
    [
        (True, {}),
        (False, {"world": "embedded"}),
        (False, {"sources": {}}),
        (False, {"sources": OWN}),
        (False, {"sources": {"own": {"format": "local", "path": "s3://shop/photos"}}}),
        (False, {"sources": {**OWN, "lvis": {"on": False}}}),
        (False, {"sources": {**OWN, "imagenet": {"path": "raw/imagenet"}}}),
        (True, {"sources": {**OWN, "imagenet": {"path": "https://mirror.example/"}}}),
        (True, {"sources": OWN, **CRAWLED}),
        (False, {"sources": OWN, **CRAWLED, "categories.hammer.crawl_images": 0}),
        (True, {"sources": OWN, "crawl.url_lists": ["mine.csv"], "categories.hammer.crawl_images": 5}),
    ],
)
def test_a_contact_is_asked_for_where_something_comes_from_the_internet(tmp_path: Path, *, needed: bool, changes: dict[str, Any]) -> None:
    found = [fault for fault in faults_in(tmp_path, **{"world": "live", **changes}) if fault.startswith("project.contact")]

    assert found == ["project.contact: empty, and nothing is fetched from the internet without one"] * needed


@pytest.mark.parametrize(("changes", "expected"), PROBLEMS, ids=[(expected or ["sound"])[0][:60] + f"-{i}" for i, (_, expected) in enumerate(PROBLEMS)])
def test_a_problem_is_found_before_anything_runs(tmp_path: Path, changes: dict[str, Any], expected: list[str]) -> None:
    assert faults_in(tmp_path, **changes) == expected


def index(folder: Path, *names: str) -> None:
    """Write an index that holds some classes and nothing else."""
    with IndexWriter(folder, source=folder.name, format="lvis", version=1, coordinates="pixels") as writer:
        writer.add_classes({"class_id": str(i), "name": name, "synonyms": [], "parents": []} for i, name in enumerate(names, 1))


def test_a_class_that_a_source_does_not_have_is_met_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    index(tmp_path / "data/index/lvis", "hammer", "screwdriver")

    assert faults_in(tmp_path, **{"categories.hammer.classes": {"lvis": ["hamer"]}}) == [
        "categories.hammer.classes.lvis: lvis has no class 'hamer'; did you mean hammer?"
    ]
    assert faults_in(tmp_path) == []


BOTH = "as well: each such object would get both labels"


@pytest.mark.parametrize(
    ("hammer", "saw", "expected"),
    [
        (["hammer"], ["saw", "hammer"], [f"categories.saw.classes.lvis: hammer has hammer {BOTH}"]),
        (["hammer"], ["id:1"], [f"categories.saw.classes.lvis: hammer has hammer (1) {BOTH}"]),
        (["hammer"], [{"name": "hammer", "children": True}], [f"categories.saw.classes.lvis: hammer has hammer {BOTH}"]),
        (["hammer"], ["saw"], []),
    ],
)
def test_a_class_of_two_categories_is_refused_by_any_of_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hammer: list[Any], saw: list[Any], expected: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    index(tmp_path / "data/index/lvis", "hammer", "saw")

    assert faults_in(tmp_path, **{"categories.hammer.classes": {"lvis": hammer}, "categories.saw.classes": {"lvis": saw}}) == expected


def test_the_same_word_in_two_categories_is_refused_without_an_index() -> None:
    assert [f"{fault.key}: {fault.what}. {fault.do}" for fault in checked(plain(**{"categories.saw.classes": {"lvis": ["hammer"]}}))[1]] == [
        f"categories.saw.classes.lvis: hammer has hammer {BOTH}. Take it out of hammer or of saw, or make the two one category"
    ]


def test_an_object_that_people_called_by_two_names_is_no_reason_to_refuse_either() -> None:
    drill, driver = {"drill", "drill|screwdriver"}, {"screwdriver", "drill|screwdriver"}

    assert shared_classes({"drill": drill, "driver": driver}, free=True) == []
    assert shared_classes({"drill": drill, "driver": driver}, free=False) == [Shared("drill", "driver", ("drill|screwdriver",))]
    assert shared_classes({"drill": drill, "driver": {"drill"}}, free=True) == [Shared("drill", "driver", ("drill",))]


def git(folder: Path, *words: str) -> None:
    """Run git as a tester."""
    subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@shop.example", *words], cwd=folder, check=True, capture_output=True)


def test_an_id_that_another_category_had_in_the_past_is_refused(tmp_path: Path) -> None:
    git(project(tmp_path), "init", "-q")
    git(tmp_path, "add", "params.yaml")
    git(tmp_path, "commit", "-qm", "Start")

    found = faults_in(tmp_path, **{"categories.saw": ..., "categories.wrench": {"id": 2, "target": 1}})

    assert len(found) == 1
    assert found[0].startswith("categories.wrench.id: 2 was the id of saw in commit ")


def told_of(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    """What `boxset check` prints of a small project, without notes and the count."""
    monkeypatch.chdir(project(folder, **changes))
    return [line for line in CliRunner().invoke(command, []).output.splitlines() if "note: " not in line and not line.endswith("problems")]


def test_one_id_for_two_gets_one_hint_whatever_git_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told_of(tmp_path, monkeypatch, **{"categories.saw.id": 1}) == [
        "params.yaml:12: categories.saw.id: 1 is the id of hammer as well. Give it 2, which none has had"
    ]
    git(project(tmp_path), "init", "-q")
    git(tmp_path, "add", "params.yaml")
    git(tmp_path, "commit", "-qm", "Start")

    (told,) = told_of(tmp_path, monkeypatch, **{"categories.saw.id": 1})
    (other,) = told_of(tmp_path, monkeypatch, **{"categories.hammer.id": 2})

    assert (told.split(" in commit")[0], told.rpartition(". ")[2]) == ("params.yaml:12: categories.saw.id: 1 was the id of hammer", "An id is never used again; saw can have 2")
    assert other.startswith("params.yaml:6: categories.hammer.id: 2 was the id of saw")


def test_a_wrong_value_names_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told_of(tmp_path, monkeypatch, **{"categories.saw.target": -1, "split.min_boxes": "x"}) == [
        "params.yaml:13: categories.saw.target: expected a whole number of at least 0, not -1. `boxset check --explain categories.saw.target` says more",
        "params.yaml:20: split.min_boxes: expected a whole number of at least 0, not 'x'. `boxset check --explain split.min_boxes` says more",
    ]


def test_a_moved_world_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data/resolve").mkdir(parents=True)
    (tmp_path / "data/resolve/world.json").write_text(json.dumps({"world": "embedded", "version": 1}))

    found = faults_in(tmp_path, world="live", **{"project.contact": "cv@shop.example"})

    assert found == ["world: the data here came from the embedded world, and `world` now says live"]


def test_a_moved_world_is_refused_in_a_clone_that_has_pulled_nothing(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("stages:\n  resolve:\n    params:\n      params.yaml:\n        world: embedded\n")

    found = faults_in(tmp_path, world="live", **{"project.contact": "cv@shop.example"})

    assert found == ["world: the data here came from the embedded world, and `world` now says live"]


def test_what_is_perhaps_not_meant_is_noted(tmp_path: Path) -> None:
    params, _ = checked(
        plain(**{
            "categories.hammers": {"id": 3, "target": 1, "classes": {"lvis": []}},
            "categories.saw.queries": ["saw"],
            "sources.imagenet": {"on": True},
            "sources.store": {"format": "local"},
            "categories.saw.classes": {"lvis": [], "imagenet": []},
            "categories.hammer.classes": {"lvis": [], "imagenet": []},
        })
    )  # fmt: skip

    assert params is not None
    assert notes(params, tmp_path) == [
        "categories hammer and hammers have nearly the same name: one thing under two names teaches a detector to doubt",
        "sources.imagenet: its terms are research only, so nothing of it enters under use: commercial",
        "sources.store: it has no path, so it is skipped",
        "categories.saw: it has queries and crawl_images is 0, so nothing is crawled",
        "categories.hammers.classes: nothing said of imagenet; `boxset coverage hammers` finds them, [] says: none",
    ]


@pytest.mark.parametrize(("changes", "noted"), [({}, True), ({"licences.unknown": "allow"}, False), ({"crawl.searxng.on": False}, False)])
def test_a_search_of_which_nothing_may_enter_is_noted(tmp_path: Path, changes: dict[str, Any], noted: bool) -> None:
    params, _ = checked(plain(**{"categories.saw.queries": ["saw"], "categories.saw.crawl_images": 9, "licences.unknown": "deny", **changes}))

    assert params is not None
    assert [note for note in notes(params, tmp_path) if note.startswith("licences.unknown: SearXNG states no licence")] == notes(params, tmp_path)[:1] * noted


@pytest.mark.parametrize(("lists", "found"), [
    (["own.csv"], []),
    ([], ["categories.hammer.queries: empty, and 10 pictures are wanted from the crawl"]),
    (["other.csv"], ["categories.hammer.queries: empty, and 10 pictures are wanted from the crawl, and no row of crawl.url_lists is for it"]),
    (["other.csv", "own.csv"], []),
])  # fmt: skip
def test_a_category_may_live_on_lists_of_addresses_alone(tmp_path: Path, lists: list[str], found: list[str]) -> None:
    (tmp_path / "own.csv").write_text("url,category\nhttps://a.example/1.jpg,hammer\n")
    (tmp_path / "other.csv").write_text("url,category\nhttps://a.example/1.jpg,saw\n,hammer\n")

    assert faults_in(tmp_path, **{"categories.hammer.crawl_images": 10, "categories.hammer.queries": [], "crawl.url_lists": lists}) == found


@pytest.mark.parametrize(
    ("changes", "is_noted"),
    [
        ({"labeler.backend": "files", "label.budget_usd": 100.0}, True),
        ({"labeler.backend": "files", "label.budget_usd": 0.0}, False),
        ({"labeler.backend": "files", "label.budget_usd": 100.0, "label.price": {"usd_service_fee": 0.0}}, False),
        ({"labeler.backend": "ground_truth", "label.budget_usd": 100.0}, False),
    ],
)
def test_ground_truths_fee_is_noted_where_another_draws(tmp_path: Path, changes: dict[str, Any], is_noted: bool) -> None:
    params, _ = checked(plain(**changes))

    assert params is not None
    assert ["label.price: usd_service_fee counts 0.08 USD a picture" in note for note in notes(params, tmp_path) if "price" in note] == [True] * is_noted


def test_lists_of_addresses_are_read_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("url,category\nhttps://a.example/1.jpg,hamer\nhttps://a.example/2.jpg,hammer\n,hammer\n")
    (tmp_path / "bad.csv").write_text("link\n")
    params, found = problems(project(tmp_path, **{"crawl.url_lists": ["good.csv", "bad.csv", "none.csv"]}))

    assert params is not None
    assert [f"{fault.key}: {fault.what}" for fault in found] == ["crawl.url_lists[2]: none.csv is not there", "crawl.url_lists: bad.csv:1: its columns are link"]
    assert [note for note in notes(params, tmp_path) if ".csv" in note] == [
        f"good.csv: 1 row cannot be used: {tmp_path}/good.csv:4: no url",
        "good.csv: 1 row is for 'hamer', which is no category; did you mean hammer?",
    ]


def test_the_names_of_splits_and_files_are_those_that_the_readers_ask_for() -> None:
    assert {"open_images": open_images.SPLITS, "imagenet": imagenet.SPLITS, "coco": coco.SPLITS, "lvis": coco.SPLITS} == SPLITS
    assert set(FILES["open_images"]) == {
        open_images.CLASS_FILE[0], open_images.HIERARCHY[0], *(f"{kind}_{split}" for kind in ("boxes", "images", "labels") for split in open_images.SPLITS),
    }  # fmt: skip
    assert set(FILES["imagenet"]) == {imagenet.SYNSETS[0], imagenet.ARCHIVE[0], *(f"boxes_{split}" for split in imagenet.SPLITS)}
    assert set(FILES["visual_genome"]) == {visual_genome.OBJECTS[0], visual_genome.IMAGES[0], visual_genome.ALIASES[0]}
    assert set(FILES["lvis"]) == {f"lvis_{split}" for split in coco.LVIS_ZIPS}


EXPLAINED = """\
label.budget_usd
  Cap over everything ever bought in the project, in all its branches. 0: nobody is contacted.
  takes    a number of at least 0
  unit     USD
  default  0.0; spending is something that you decide
  here     0.0 (the default)
"""


def test_a_key_is_explained_with_its_value_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project(tmp_path))

    assert CliRunner().invoke(command, ["--explain", "label.budget_usd"]).output == EXPLAINED
    assert CliRunner().invoke(command, ["--explain", "categories.hammer.target"]).output.splitlines()[-1] == "  here     10"
    assert CliRunner().invoke(command, ["--explain", "categories.*.target"]).output.splitlines()[-2:] == ["  here     hammer: 10", "  here     saw: 20"]
    assert CliRunner().invoke(command, ["--explain", "categories"]).output.splitlines()[-1] == "  here     hammer, saw"


def test_a_key_is_explained_outside_a_project_and_beside_a_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outside = CliRunner().invoke(command, ["--explain", "label.budget_usd"]).output
    (tmp_path / "params.yaml").write_text("a: [")
    broken = CliRunner().invoke(command, ["--explain", "label.budget_usd"]).output

    assert outside == "\n".join(EXPLAINED.splitlines()[:-1]) + "\n"
    assert broken.splitlines()[-1] == "  here     (params.yaml has an error: `boxset check`)"


def bought(folder: Path, name: str, number: int) -> None:
    """Write a ledger in which people were paid for two pictures found for a category, and drew one box of it."""
    (folder / "ledger").mkdir()
    asked = [Asked(job="tools-1", sha256=c * 64, file_name=f"{c}.jpg", width=9, height=9, phash="0" * 16, found_for=name) for c in "ab"]
    reserved = Reserved(job="tools-1", backend="files", version=1, categories={name: number}, pictures=2, worst_mills=9)
    append(folder / "ledger", PURCHASES, [reserved, *asked])
    boxes = (Drawn(category_id=number, bbox=(1, 1, 2, 2)),)
    append(folder / "ledger", ANSWERS, [Answered(job="tools-1", sha256=one.sha256, state="labelled", boxes=boxes if one.sha256[0] == "a" else ()) for one in asked])


@pytest.mark.parametrize(
    ("name", "number", "says"),
    [
        ("axe", 1, "categories: job tools-1 asked about axe under the id 1, which is hammer's in params.yaml"),
        ("hammer", 7, "categories: job tools-1 asked about hammer under the id 7, and hammer has 1 in params.yaml"),
    ],
)
def test_a_ledger_with_other_names_or_ids_is_a_problem(tmp_path: Path, name: str, number: int, says: str) -> None:
    bought(tmp_path, name, number)

    assert faults_in(tmp_path) == [says]


def test_a_category_that_was_paid_for_and_is_none_any_more_is_noted_with_what_goes_with_it(tmp_path: Path) -> None:
    params, _ = checked(plain())
    assert params is not None
    before = notes(params, tmp_path)

    bought(tmp_path, "axe", 9)

    says = "categories: people drew 1 box of axe (id 9), which is no category any more: it stays in ledger/, and comes back with name and id. "
    says += "`dvc repro` removes data/crawl/axe: 2 paid pictures were found for it, and leave the data set with all their boxes, unless another crawl has them"
    assert [note for note in notes(params, tmp_path) if note not in before] == [says]

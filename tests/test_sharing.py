"""A copy of what may be passed on holds no picture and no box that may not be, and says what it left out."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from boxset.cli import cli
from boxset.dataset.coco import Coco, CocoImage, CocoLicense
from boxset.errors import InputError, ProjectError
from boxset.formats.card import TRAINING
from boxset.formats.check import validate
from boxset.formats.export import FORMATS, Copy, export
from boxset.formats.sharing import LeftOut, Shared, left_out_words, passing_of, shared, stated_elsewhere
from boxset.sources.terms import LETS, NOBODY, PERMISSION
from tests.build import annotation, coco, image
from tests.project import Project
from tests.test_training import HAMMER, written

LICENCES = ("CC-BY-4.0", "CC-BY-NC-2.0", "unknown", "LicenseRef-research-only", "LicenseRef-own")
OPEN, NO_COMMERCE, UNKNOWN, RESEARCH, OWN = range(1, 6)


def licensed(images: list[CocoImage], *boxes: tuple[int, str]) -> dict[str, Coco]:
    """A data set whose train has these images, and boxes (id of the image, source)."""
    licences = tuple(CocoLicense(id=number, name=name) for number, name in enumerate(LICENCES, 1))
    drawn = [annotation(number, one, source=source) for number, (one, source) in enumerate(boxes, 1)]
    parts = {"train": coco(images, drawn), "val": coco([], []), "test": coco([], [])}
    return {split: msgspec.structs.replace(part, licenses=licences) for split, part in parts.items()}


def chosen(parts: dict[str, Coco], purpose: str = "share", formats: Mapping[str, str] | None = None, **stated: set[str]) -> Shared:
    """What may be passed on; `stated`: `p` and the id of an image → licences of its copies."""
    named = {f"{int(name[1:]):064x}": licences for name, licences in stated.items()}
    return shared(parts, purpose, formats=formats or {}, stated=named)


def ids(part: Coco) -> list[int]:
    return [one.id for one in part.images]


@pytest.mark.parametrize(("purpose", "stay"), [("share", [1, 2]), ("commerce", [1])])
def test_a_licence_that_is_unknown_or_does_not_let_it_keeps_a_picture_back(purpose: str, stay: list[int]) -> None:
    parts = licensed([image(number, license=number) for number in (OPEN, NO_COMMERCE, UNKNOWN, RESEARCH)])

    done = chosen(parts, purpose)

    assert ids(done.parts["train"]) == stay
    assert [one.id for one in done.parts["train"].licenses] == stay
    assert LeftOut("unknown", NOBODY, 1) in done.left
    assert LeftOut("LicenseRef-research-only", PERMISSION, 1) in done.left
    assert sum(one.pictures for one in done.left) + len(stay) == 4


def test_a_picture_with_one_box_that_may_not_be_passed_on_is_left_out_with_all_of_them() -> None:
    parts = licensed([image(1), image(2), image(3)], (1, "lvis"), (1, "pictures"), (2, "pictures"), (3, "label"))

    done = chosen(parts, formats={"pictures": "imagenet"})

    assert (ids(done.parts["train"]), [a.image_id for a in done.parts["train"].annotations]) == ([3], [3])
    assert done.left == (LeftOut("LicenseRef-research-only", "licence of boxes of pictures, without which it would lack some", 2),)


def test_a_licence_that_another_copy_states_counts_where_it_does_not_let_the_picture_go() -> None:
    parts = licensed([image(number) for number in (1, 2, 3)])

    done = chosen(parts, "commerce", p1={"CC-BY-NC-2.0"}, p2={"CC-BY-SA-2.0"}, p3={""})

    assert ids(done.parts["train"]) == [2]
    assert {(one.under, one.why) for one in done.left} == {
        ("CC-BY-NC-2.0", "licence that another source states for it"),
        ("CC-BY-4.0", "another source keeps it out for its licence"),
    }
    assert ids(chosen(parts, "share", p1={"CC-BY-NC-2.0"}).parts["train"]) == [1, 2, 3]


def test_who_left_the_licence_of_own_pictures_open_is_told_where_to_state_it() -> None:
    parts = licensed([image(1), image(2, license=UNKNOWN, source="photos"), image(3, license=OWN, source="photos")])

    done = chosen(parts, formats={"photos": "local"})

    assert {(one.under, one.why) for one in done.left} == {(name, "sources.photos.license may state one") for name in ("unknown", "LicenseRef-own")}


def test_where_nothing_may_be_passed_on_it_is_refused_with_the_reasons() -> None:
    parts = licensed([image(1, license=UNKNOWN), image(2, license=NO_COMMERCE)])

    with pytest.raises(InputError) as refused:
        chosen(parts, "commerce")

    assert str(refused.value).startswith("no picture may be passed on for commerce (1 picture CC-BY-NC-2.0: credit, no commerce; 1 picture unknown: ")


def test_a_split_that_is_empty_now_and_a_smaller_test_are_said() -> None:
    parts = licensed([image(1)])
    parts["val"] = licensed([image(2, license=UNKNOWN)])["train"]
    parts["test"] = licensed([image(3), image(4, license=UNKNOWN)])["train"]

    assert left_out_words(chosen(parts)) == [
        f"2 pictures left out: unknown ({NOBODY})",
        "val is empty: none of its 1 picture may be passed on",
        "test has 1 of its 2 pictures: a score on it does not compare with one on the whole",
    ]


def test_what_copies_state_is_read_from_the_project_and_wanted_there(tmp_path: Path) -> None:
    dataset, merged = tmp_path / "data/dataset", tmp_path / "data/merge"
    assert stated_elsewhere(dataset) == {}
    (tmp_path / "dvc.yaml").touch()
    with pytest.raises(ProjectError, match="dvc pull merge"):
        stated_elsewhere(dataset)
    rows = [("a", "licence", "lvis: CC-BY-NC-2.0"), ("a", "presence of hammer", "lvis: absent"), ("b", "licence", "another source or crawl: refused for it")]
    merged.mkdir(parents=True)
    (merged / "conflicts.jsonl").write_text("".join(json.dumps({"sha256": s, "what": w, "kept": "", "other": o}) + "\n" for s, w, o in rows))

    assert stated_elsewhere(dataset) == {"a": {"CC-BY-NC-2.0"}, "b": {""}}


def test_the_table_of_what_stays_counts_crowds_apart_as_everything_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [annotation(1, 1, HAMMER), annotation(2, 1, HAMMER, iscrowd=1), annotation(3, 2, HAMMER, iscrowd=1)]
    written(tmp_path / "data/dataset", coco([image(1), image(2)], drawn))
    (tmp_path / "params.yaml").write_text("world: live\nproject: {name: tools}\ncategories: {hammer: {id: 3, target: 5}}\nsources: {}\n")
    monkeypatch.chdir(tmp_path)

    said = CliRunner().invoke(cli, ["export", "coco-yolo", "out", "--for", "share"]).stdout.splitlines()

    assert [line.split() for line in said if line.startswith("hammer")] == [["hammer", "1", "0", "0", "1", "1"]]
    assert said[-1] == "out: 2 pictures, 1 box and 2 crowds"
    assert "2 pictures, 1 box and 2 crowds." in (tmp_path / "out/README.md").read_text()
    assert "| coco | 2 | 1 |" in (tmp_path / "out/README.md").read_text()


@pytest.mark.pipeline
@pytest.mark.parametrize(("purpose", "worst"), [("share", "NC"), ("commerce", "")])
def test_the_copy_is_a_sound_data_set_of_what_may_be_passed_on(small: Project, purpose: str, worst: str) -> None:
    said = small.run("boxset", "export", "coco-yolo", "out", "--for", purpose).stdout

    out = small.root / "out"
    parts = {split: msgspec.json.decode((out / f"annotations/instances_{split}.json").read_bytes(), type=Coco) for split in ("train", "val", "test")}
    with (out / "ATTRIBUTION.csv").open(newline="") as file:
        credited = {row["file_name"]: row["licence"] for row in csv.DictReader(file)}
    pictures = {path.name for path in out.rglob("*.jpg")}
    assert validate(out) == []
    assert 0 < len(pictures) < sum(small.json("metrics/dataset.json")["images"].values())
    assert pictures == credited.keys()
    assert {name for name in credited.values() if "research" in name or name == "unknown" or (not worst and "-NC" in name)} == set()
    assert set(passing_of(parts, {}).values()) <= LETS[purpose]
    assert {a.source for part in parts.values() for a in part.annotations} & {"imagenet"} == set()
    text = (out / "README.md").read_text()
    assert f"{len(pictures):,} pictures, " in text
    assert "imagenet |" not in text
    assert all(line in said and f"- {line}." in text for line in said.splitlines() if "left out" in line)
    assert said.splitlines()[-1].startswith(f"out: {len(pictures):,} pictures, ")


@pytest.mark.pipeline
def test_audit_and_the_card_count_what_the_copy_holds(small: Project) -> None:
    said = small.run("boxset", "audit").stdout

    text = (small.root / "data/dataset/README.md").read_text()
    counts = [line for line in said.splitlines() if " pictures may " in line]
    images = sum(small.json("metrics/dataset.json")["images"].values())
    assert counts
    assert all(f" of {images:,} pictures " in line and f"- {line}.\n" in text for line in counts)


@pytest.mark.pipeline
@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_every_format_takes_the_part_and_its_card_says_how_to_train_on_it(small: Project, tmp_path: Path, format_: str) -> None:
    dataset = small.root / "data/dataset"
    parts = {split: msgspec.json.decode((dataset / f"annotations/instances_{split}.json").read_bytes(), type=Coco) for split in ("train", "val", "test")}
    only = Copy(shared(parts, "share", formats={}, stated={}), "tools", {}, {"hammer": "Has a head."}, 0.1)

    done = export(dataset, format_, tmp_path / "part", only=only)
    export(dataset, format_, tmp_path / "whole")

    names = {path.name for path in (tmp_path / "part").rglob("*.jpg")}
    assert names == {one.file_name for part in only.shared.parts.values() for one in part.images}
    assert done["pictures"] == len(names)
    for folder in ("part", "whole"):
        text = (tmp_path / folder / "README.md").read_text()
        assert (TRAINING in text) == (format_ == "coco-yolo")
        assert "pictures of one group of near-duplicates lie in one split" in text


@pytest.mark.pipeline
def test_nothing_is_written_where_the_purpose_is_none(small: Project) -> None:
    done = small.run("boxset", "export", "voc", "out", "--for", "sharing", check=False)

    assert done.returncode != 0
    assert "'share', 'commerce'" in done.stderr
    assert not (small.root / "out").exists()

"""A user drops new photos into their folder and runs `dvc repro`: they are in. A colleague without the folder builds nothing anew."""

from pathlib import Path

import pytest
import yaml

from tests.project import Project, with_git_identity
from tests.test_local import coco, photo

pytestmark = pytest.mark.pipeline

PARAMS = """\
world: live
project: {name: own, use: commercial}
categories:
  hammer: {id: 1, target: 10, classes: {own: [hammer]}}
sources:
  own: {format: local, path: photos, license: CC-BY-4.0, category: hammer}
  store: {format: local, path: store, annotations: none, license: LicenseRef-own}
licences: {unknown: deny}
crawl: {searxng: {on: false}}
label: {budget_usd: 0.0}
merge: {unknown: keep}
balance: {mode: weights}
split: {min_boxes: 0}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A live project over two folders of one's own."""
    root = tmp_path_factory.mktemp("local") / "project"
    Project(root.parent).run("boxset", "init", str(root))
    project = with_git_identity(Project(root))
    (root / "params.yaml").write_text(PARAMS)
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text().replace("# always_changed: true", "always_changed: true"))
    (root / "photos").mkdir()
    (root / "store").mkdir()
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + "/photos\n/store\n")
    images = [{"id": n, "file_name": f"{n}.jpg", "author": "Ann", "flickr_url": f"https://pages.example/{n}"} for n in (1, 2)]
    for number in (1, 2):
        (root / f"photos/{number}.jpg").write_bytes(photo(number * 60))
    (root / "photos/coco.json").write_text(coco(images, [{}, {"image_id": 2}]))
    project.repro()
    project.commit("Build")
    return project


def test_new_photos_are_in_after_repro_and_nothing_else_runs_anew(built: Project, tmp_path: Path) -> None:
    project = built.copy_to(tmp_path / "p")
    assert project.repro() == ["resolve"]
    (project.root / "store/new.jpg").write_bytes(photo(200))

    ran = project.repro()

    assert ran[:3] == ["resolve", "index@store", "extract@store"]
    assert not [stage for stage in ran if "own" in stage]
    assert project.json("metrics/extract/store.json")["kept"] == 1
    assert project.json("metrics/label.json")["without_category"] == {"store": 1}
    assert "1 picture of store has no labels and cannot be bought or reviewed: write `category: hammer`" in project.run("boxset", "label", "plan").stdout
    assert project.repro() == ["resolve"]


def test_a_clone_without_the_folder_keeps_what_was_built(built: Project, tmp_path: Path) -> None:
    clone = built.clone_to(tmp_path / "clone")
    clone.run("dvc", "remote", "add", "-d", "here", str(built.root / ".dvc/cache"))
    clone.run("dvc", "config", "--local", "cache.dir", str(built.root / ".dvc/cache"))
    clone.run("dvc", "checkout")

    done = clone.run("dvc", "repro")

    assert [line for line in done.stdout.splitlines() if line.startswith("Running stage")] == ["Running stage 'resolve':"]
    assert "own: photos: there is no such folder; its pictures stay as they were" in done.stdout
    assert clone.bytes_of("data/dataset") == built.bytes_of("data/dataset")


def test_licence_author_and_pages_reach_the_data_sets_attribution(built: Project) -> None:
    lines = (built.root / "data/dataset/ATTRIBUTION.csv").read_text().splitlines()

    fields = dict(zip(lines[0].split(","), sorted(lines[1:])[0].split(","), strict=True))
    assert (fields["source"], fields["author"], fields["licence"]) == ("own", "Ann", "CC-BY-4.0")
    assert fields["landing_page"] == f"https://pages.example/{fields['source_id'].partition('.')[0]}"


def test_without_watching_it_is_said_how_new_photos_are_noticed_when_there_are_some_and_else_nothing(built: Project, tmp_path: Path) -> None:
    project = built.copy_to(tmp_path / "p")
    pipeline = yaml.safe_load((project.root / "dvc.yaml").read_text())
    del pipeline["stages"]["resolve"]["always_changed"]
    (project.root / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))

    def said(target: int) -> list[str]:
        params = project.params()
        params["categories"]["hammer"]["target"] = target
        project.set_params(params)
        return [line for line in project.run("dvc", "repro", "resolve").stdout.splitlines() if "are noticed after" in line]

    unchanged = said(11)
    (project.root / "store/new.jpg").write_bytes(photo(200))

    assert unchanged == []
    assert [line.partition(":")[0] for line in said(12)] == ["store"]
    assert said(13) == []

"""`resolve`: one file for each consumer, nothing left of what is gone, and errors of one line."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxset.errors import ParamsError, ProjectError
from boxset.files import link_or_copy, sole_writer, whole_file, write_json, write_text
from boxset.freezing import _refuse_changed
from boxset.params import Params, checked
from boxset.resolve import CrawlOrder, ExtractOrder, Ids, IndexOrder, Targets, check_folders, check_world, known_lists, prune, write_resolved
from boxset.sources.place import unwatched
from boxset.stage import run
from boxset.web.pictures import Journal, Outcome
from boxset.web.suppliers.url_lists import changed_lists, list_marks
from boxset.world.server import Outside
from tests.project import REPOSITORY
from tests.test_check import project
from tests.test_params import plain


def params_of(**changes: Any) -> Params:
    """Return small, sound parameters."""
    params, wrong = checked(plain(**changes))
    assert params is not None
    assert wrong == []
    return params


def resolved(folder: Path, **changes: Any) -> dict[str, bytes]:
    """Resolve small parameters and return the files, by path."""
    write_resolved(params_of(**changes), folder, version=1)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*.json"))}


EVERY_FILE = {
    "classes/lvis.json", "sources/lvis.json", "queries/hammer.json", "queries/saw.json", "targets.json", "ids.json", "formats.json", "freeze.json",
    "world.json",
}  # fmt: skip


def test_every_consumer_has_a_file_that_it_can_read(tmp_path: Path) -> None:
    from boxset.files import read_json

    assert set(resolved(tmp_path)) == EVERY_FILE
    assert read_json(tmp_path / "sources/lvis.json", IndexOrder).format == "lvis"
    assert list(read_json(tmp_path / "classes/lvis.json", ExtractOrder).classes) == ["hammer"]
    assert read_json(tmp_path / "queries/saw.json", CrawlOrder).category == "saw"
    assert {name: target.target for name, target in read_json(tmp_path / "targets.json", Targets).categories.items()} == {"hammer": 10, "saw": 20}
    assert {name: one.id for name, one in read_json(tmp_path / "ids.json", Ids).categories.items()} == {"hammer": 1, "saw": 2}


EDITS: list[tuple[dict[str, Any], set[str]]] = [
    ({"split.ratio": {"train": 0.5, "val": 0.2, "test": 0.3}}, set()),
    ({"split.freeze_test": "v1"}, {"freeze.json"}),
    ({"categories.hammer.target": 11}, {"targets.json"}),
    ({"categories.hammer.max": 50}, {"targets.json"}),
    ({"categories.hammer.queries": ["claw hammer"]}, {"queries/hammer.json"}),
    ({"categories.hammer.classes": {"lvis": ["mallet"]}}, {"classes/lvis.json"}),
    ({"categories.saw.id": 3}, {"ids.json"}),
    ({"categories.saw.supercategory": "tool"}, {"ids.json"}),
    ({"categories.saw.name": "Hand saw"}, {"ids.json"}),
    ({"categories.saw.name": "saw"}, set()),
    ({"sources.lvis.negatives": 3}, {"classes/lvis.json"}),
    ({"sources.lvis.splits": ["val"]}, {"sources/lvis.json"}),
    ({"sources.lvis.on": False}, {"classes/lvis.json", "sources/lvis.json"}),
    ({"sources.coco": {}}, {"classes/coco.json", "sources/coco.json", "formats.json"}),
    ({"sources.lvis.format": "coco"}, {"classes/lvis.json", "sources/lvis.json", "formats.json"}),
    ({"project.use": "research"}, {"classes/lvis.json", "queries/hammer.json", "queries/saw.json"}),
    ({"categories.file": {"id": 9, "target": 1}}, {"queries/file.json", "targets.json", "ids.json"}),
    ({"categories.file": {"id": 9, "target": 1, "classes": {"lvis": ["file"]}}}, {"queries/file.json", "classes/lvis.json", "targets.json", "ids.json"}),
    ({"project.name": "other"}, set()),
    ({"label.budget_usd": 3.0}, set()),
    ({"crawl.pace_s": 1.0}, set()),
]


@pytest.mark.parametrize(("change", "files"), EDITS, ids=[f"{next(iter(change))}-{i}" for i, (change, _) in enumerate(EDITS)])
def test_an_edit_changes_the_files_of_those_whom_it_concerns(tmp_path: Path, change: dict[str, Any], files: set[str]) -> None:
    before, after = resolved(tmp_path / "a"), resolved(tmp_path / "b", **change)

    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == files


def test_the_order_of_blocks_changes_nothing(tmp_path: Path) -> None:
    params = plain()
    turned = {**params, "categories": dict(reversed(params["categories"].items()))}
    other, _ = checked(turned)
    assert other is not None

    write_resolved(other, tmp_path / "b", version=1)

    assert {f.relative_to(tmp_path / "b").as_posix(): f.read_bytes() for f in (tmp_path / "b").rglob("*.json")} == resolved(tmp_path / "a")


def write_lists(**texts: str) -> None:
    """Write lists of addresses by their names."""
    for name, rows in texts.items():
        Path(f"{name}.csv").write_text(f"url,category\n{rows}")


LISTED = {"crawl.url_lists": ["one.csv", "two.csv"]}
ONE, TWO = "https://a.example/1.jpg,hammer\nhttps://a.example/2.jpg,hammer\nhttps://a.example/3.jpg,saw\n", "https://b.example/1.jpg,hammer\n"


def marks_after(known: dict[str, bytes] | None = None) -> dict[str, dict[str, str]]:
    """Return the marks of the lists as `resolve` writes and reads them again; `known` is in place before."""
    lists = list_marks(LISTED["crawl.url_lists"], known_lists(Path("out")) if known is not None else {})
    write_resolved(params_of(**LISTED), Path("out"), version=1, lists=lists)
    return known_lists(Path("out"))


@pytest.mark.parametrize(
    ("one", "concerned"),
    [
        (ONE.replace("https://a.example/2.jpg,hammer\n", ""), {"hammer"}),
        (ONE.replace("3.jpg", "4.jpg"), {"saw"}),
        (ONE.replace("https://a.example/3.jpg,saw\n", ""), {"saw"}),
        (f"{ONE}https://a.example/9.jpg,file\n", set()),
        (f"https://a.example/3.jpg,saw\n\n{ONE.replace('https://a.example/3.jpg,saw', '')}", set()),
        ("", {"hammer", "saw"}),
    ],
)
def test_a_changed_list_concerns_the_categories_whose_rows_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: str, concerned: set[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_lists(one=ONE, two=TWO)
    before = marks_after()
    write_lists(one=one)
    after = marks_after()

    assert {category: set(lists) for category, lists in before.items()} == {"hammer": {"one.csv", "two.csv"}, "saw": {"one.csv"}}
    assert {category for category in before if before[category] != after[category]} == concerned


@pytest.mark.parametrize("content", [None, "no,columns\n"])
def test_a_list_that_is_not_here_or_cannot_be_read_is_taken_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None) -> None:
    monkeypatch.chdir(tmp_path)
    write_lists(one=ONE, two=TWO)
    before = marks_after()
    Path("one.csv").unlink()
    if content:
        Path("one.csv").write_text(content)

    assert marks_after({}) == before


def test_a_list_is_news_when_it_is_new_and_when_rows_of_ours_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def news() -> list[str]:
        known = known_lists(Path("out"))
        return changed_lists(LISTED["crawl.url_lists"], known, list_marks(LISTED["crawl.url_lists"], known))

    monkeypatch.chdir(tmp_path)
    write_lists(one=f"{ONE}https://a.example/9.jpg,file\n", two=TWO)
    assert news() == ["one.csv", "two.csv"]
    marks_after()
    assert news() == []
    write_lists(one=ONE)
    assert news() == []
    write_lists(one=ONE.replace("3.jpg", "4.jpg"))
    assert news() == ["one.csv"]
    Path("one.csv").unlink()
    assert news() == []


@pytest.mark.parametrize(("watch", "said"), [(False, 1), (True, 0)])
def test_lists_that_are_not_watched_are_named(tmp_path: Path, watch: bool, said: int) -> None:
    (tmp_path / "dvc.yaml").write_text(f"stages: {{resolve: {{cmd: x, always_changed: {str(watch).lower()}}}}}\n")

    lines = unwatched(params_of(**{"crawl.url_lists": ["one.csv"]}), tmp_path / "dvc.yaml", ["one.csv"])

    line = "one.csv: changed rows are noticed after `dvc repro --force --single-item resolve`; at every `dvc repro` with `always_changed: true` under resolve in dvc.yaml"
    assert lines == [line] * said


# what would be passed over


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sources.lvis.sha256": {"lvis_trian": "a" * 64}}, "sources.lvis.sha256: there is no lvis_trian; did you mean lvis_train or lvis_val?"),
        ({"sources.lvis.sha256": {"lvis_train": "abc"}}, "sources.lvis.sha256.lvis_train: a SHA-256 has 64 hexadecimal digits"),
        ({"sources.lvis.files": {"train": "x.json"}}, "sources.lvis.files: there is no train"),
        ({"sources.lvis.splits": ["trian"]}, "sources.lvis.splits: there is no trian; did you mean train?"),
        ({"sources.lvis.license": "CC0-1.0"}, "sources.lvis.license: lvis does not read it"),
        ({"licences.deny": ["CC-BY-NC"]}, "licences.deny: 'CC-BY-NC' names no version, and would match nothing"),
        ({"licences.deny": ["nc"], "licences.allow": ["cc"]}, "licences.allow: 'cc' is not spelt as SPDX does, and would match nothing"),
    ],
)
def test_a_build_refuses_what_it_would_pass_over(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError, match=re.escape(said)):
        write_resolved(params_of(**changes), tmp_path / "out", version=1)

    assert not (tmp_path / "out").exists()


# pruning


def built(root: Path) -> set[str]:
    """Write what a build leaves: outputs as read-only hard links into a cache, and metrics."""
    (root / "cache").mkdir(parents=True)
    paths = [
        *(f"data/{stage}/{source}/a.json" for stage in ("index", "extract") for source in ("lvis", "coco")),
        *(f"data/crawl/{category}/images/b.jpg" for category in ("hammer", "saw", "wrench")),
        *(f"metrics/{stage}/{source}.json" for stage in ("index", "extract") for source in ("lvis", "coco")),
        *(f"metrics/crawl/{category}.json" for category in ("hammer", "saw", "wrench")),
        *(f"data/resolve/{kind}/{source}.json" for kind in ("sources", "classes") for source in ("lvis", "coco")),
        *(f"data/resolve/queries/{category}.json" for category in ("hammer", "saw", "wrench")),
        "data/merge/annotations.json", "metrics/merge.json", "metrics/crawl/.gitkeep",
    ]  # fmt: skip
    for number, path in enumerate(paths):
        cached = root / "cache" / str(number)
        cached.write_text(path)
        cached.chmod(0o444)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(cached, root / path)
    return set(paths)


def test_nothing_is_left_of_a_category_or_source_that_is_gone_and_the_cache_keeps_it(tmp_path: Path) -> None:
    paths = built(tmp_path)

    prune(params_of(), tmp_path)

    left = {path.relative_to(tmp_path).as_posix() for top in ("data", "metrics") for path in (tmp_path / top).rglob("*") if path.is_file()}
    assert left == {path for path in paths if "wrench" not in path and "coco" not in path}
    assert [path for path in tmp_path.rglob("*") if "wrench" in path.name or "coco" in path.name] == []
    assert sorted(int(file.name) for file in (tmp_path / "cache").iterdir()) == list(range(len(paths)))


def test_a_link_to_a_folder_elsewhere_goes_and_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mine.jpg").touch()
    (tmp_path / "data/crawl").mkdir(parents=True)
    (tmp_path / "data/crawl/wrench").symlink_to(tmp_path / "elsewhere")

    prune(params_of(), tmp_path)

    assert not (tmp_path / "data/crawl/wrench").is_symlink()
    assert (tmp_path / "elsewhere/mine.jpg").exists()


def test_what_cannot_be_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path)

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)

    with pytest.raises(ProjectError, match=r"coco: cannot remove it: Permission denied. Nothing declares it any more"):
        prune(params_of(), tmp_path)


def test_folders_that_are_missing_or_left_over_stop_the_merge(tmp_path: Path) -> None:
    for path in ("extract/lvis", "crawl/hammer", "crawl/wrench"):
        (tmp_path / path).mkdir(parents=True)

    with pytest.raises(ProjectError, match=r"crawl: missing saw; left over wrench. `dvc pull`, then `dvc repro`"):
        check_folders(params_of(), tmp_path)


def test_a_world_is_only_compared_with_what_is_there(tmp_path: Path) -> None:
    check_world(params_of(), tmp_path, lock=tmp_path / "dvc.lock")

    write_json(tmp_path / "world.json", {"world": "live", "version": 1})
    with pytest.raises(ProjectError, match=r"the data here came from the live world, and `world` now says embedded"):
        check_world(params_of(), tmp_path, lock=tmp_path / "dvc.lock")


# one line, exit code 1


def resolve_stage(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the stage as DVC does."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run([sys.executable, "-m", "stages.resolve"], cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"categories.hammer.targett": 1}, "boxset: params.yaml:11: categories.hammer.targett: unknown key; did you mean target? "),
        ({"categories.saw.id": 1}, "boxset: params.yaml:12: categories.saw.id: 1 is the id of hammer as well. `boxset check` says which of the two changes, and to what"),
        ({"split.ratio": {"val": 0.5}}, "boxset: params.yaml:20: split.ratio: the shares add up to 1.4, not 1. Change one of them"),
    ],
)
def test_a_wrong_parameter_ends_the_stage_with_one_line(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    done = resolve_stage(project(tmp_path, **changes))

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(line)
    assert not (tmp_path / "data/resolve").exists()


def test_a_missing_file_ends_the_stage_with_one_line(tmp_path: Path) -> None:
    done = resolve_stage(tmp_path)

    do = "Run in a Boxset project, or make one with `boxset init DIR`"
    assert (done.returncode, done.stderr) == (1, f"boxset: params.yaml: cannot read: No such file or directory. {do}\n")


def test_a_moved_world_ends_the_stage_and_changes_nothing(tmp_path: Path) -> None:
    assert resolve_stage(project(tmp_path)).returncode == 0
    before = {file: file.read_bytes() for file in (tmp_path / "data").rglob("*.json")}

    done = resolve_stage(project(tmp_path, world="live"))

    assert done.returncode == 1
    assert done.stderr.startswith("boxset: params.yaml: world: the data here came from the embedded world, and `world` now says live. Make a project")
    assert {file: file.read_bytes() for file in (tmp_path / "data").rglob("*.json")} == before


def test_one_run_at_a_time_writes_a_folder_also_after_another_one_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hold = "from pathlib import Path\nfrom boxset.files import sole_writer\nwith sole_writer(Path('data/merge')):\n    print('held', flush=True)\n    input()"
    pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, "-c", hold], stdin=pipe, stdout=pipe, env=environment) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ProjectError, match="data/merge: another run still writes here"), sole_writer(Path("data/merge"), wait=False):
            pass
        other.kill()

    with sole_writer(Path("data/merge"), wait=False):
        written = sorted(path.as_posix() for path in Path().rglob("*.lock"))

    assert written == [".boxset/locks/data-merge.lock"]


def test_a_lock_that_cannot_be_written_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".boxset").write_text("a file, where the folder should be")

    with pytest.raises(ProjectError, match=r"^\.boxset/locks/ledger\.lock: cannot write: .*Check the folder's owner and permissions"), sole_writer(Path("ledger")):
        pytest.fail("wrote without the lock")


@pytest.mark.parametrize("write", [lambda path: write_json(path, {}), lambda path: link_or_copy(Path(__file__), path)], ids=["write", "link"])
def test_a_folder_that_cannot_be_made_is_said_in_a_line(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "preview").write_text("a file, where the folder should be")

    with pytest.raises(ProjectError, match=r"preview/a: cannot write: .*Check the folder's owner and permissions"):
        write(tmp_path / "preview/a/hammer.html")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_ends_a_stage_with_one_line_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boxset.stage.end_with_parent", lambda: None)
    kept = tmp_path / "data/kept.json"
    write_json(kept, {"before": 1})

    def write_on_a_full_disk() -> None:
        with whole_file(kept) as out:
            out.write(b"half")
            raise OSError(code, os.strerror(code))

    with pytest.raises(SystemExit) as caught:
        run(Path("data"), write_on_a_full_disk)

    assert caught.value.code == f"boxset: {kept}: the disk is full. Free some space and run it again; nothing written so far is lost"
    assert kept.read_text() == '{\n  "before": 1\n}\n'
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["kept.json"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "data/a/images"), "data/a/images: Permission denied. Check the folder's owner and permissions"),
        (OSError(errno.EROFS, "Read-only file system", "data/a"), "data/a: Read-only file system. Check the folder's owner and permissions"),
        (OSError(errno.EMFILE, "Too many open files", "data/x"), "too many open files. Raise `ulimit -n`, or lower crawl.connections"),
        (OSError(errno.ENOSPC, "No space left on device"), "data: the disk is full. Free some space and run it again; nothing written so far is lost"),
    ],
)
def test_what_a_disk_refuses_anywhere_ends_a_stage_with_one_line(fault: OSError, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boxset.stage.end_with_parent", lambda: None)

    def fail() -> None:
        raise fault

    with pytest.raises(SystemExit) as caught:
        run(Path("data"), fail)

    assert caught.value.code == f"boxset: {said}"


WAITS_FOR_EVER = """
import signal, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from boxset.stage import run
signal.signal(signal.SIGINT, signal.default_int_handler)
with ThreadPoolExecutor(1) as pool:
    run(Path("data"), lambda: print("begun", flush=True) or pool.submit(Event().wait).result())
"""


def test_ctrl_c_ends_a_stage_at_once_with_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", WAITS_FOR_EVER]
    stage = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert stage.stdout is not None
        stage.stdout.readline()
        stage.send_signal(signal.SIGINT)
        said = stage.communicate(timeout=60)[1]
    finally:
        stage.kill()

    assert (stage.returncode, said) == (130, "boxset: stopped; `dvc repro` goes on from what there is\n")


def test_a_fault_that_is_no_disks_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("boxset.stage.end_with_parent", lambda: None)

    with pytest.raises(FileNotFoundError):
        run(Path("data"), lambda: Path("not-there").unlink())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_journal_on_a_full_disk_says_so_when_it_is_closed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *mode: opened(Path("/dev/full") if mode == ("ab",) else path, *mode))

    with pytest.raises(ProjectError, match=r"crawl.jsonl: the disk is full. Free some space"), Journal(tmp_path / "crawl.jsonl") as journal:
        journal.add(Outcome(url="http://shop.example/1.jpg", outcome="gone"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_device_that_is_really_full_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *mode: opened(Path("/dev/full") if path.name.endswith(".part") else path, *mode))

    with pytest.raises(ProjectError, match=r"x.json: the disk is full. Free some space"):
        write_json(tmp_path / "x.json", {"a": 1})


def test_an_output_that_a_source_left_behind_is_taken_back_from_dvcs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from boxset.stage import refuse_silent_rebuild

    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").write_text("stages: {index@lvis: {outs: [{path: data/index/lvis}]}}\n")

    with pytest.raises(ProjectError, match=r"`dvc checkout data/index/lvis` takes it .*`dvc pull data/index/lvis` fetches it; `BOXSET_REBUILD=1 dvc repro`"):
        refuse_silent_rebuild(Path("data/index/lvis"))


def test_pictures_of_a_folder_may_be_named_as_an_address(tmp_path: Path) -> None:
    changed = {"sources": {"imagenet": {"path": "file:///data/im", "files": {"pictures": "file:///data/p"}}, "lvis": {}}}

    order = json.loads(resolved(tmp_path, **changed)["classes/imagenet.json"])

    assert (order["path"], order["pictures"]) == ("/data/im", "/data/p")


def test_a_read_only_disk_is_said_to_be_and_nothing_is_removed_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("open", "unlink"):
        monkeypatch.setattr(Path, name, refused)

    with pytest.raises(ProjectError, match=r"out\.html: cannot write: Read-only file system\. Check the folder's owner and permissions"):
        write_text(tmp_path / "out.html", "x")


def test_a_world_that_cannot_write_its_log_says_so(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").mkdir()

    with pytest.raises(ProjectError, match="cannot write: Is a directory"):
        Outside(tmp_path)


def test_freeze_passes_on_what_dvc_complains_of_and_not_where_it_says_that_help_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "ERROR: unexpected error - Read-only file system\n\nHaving any troubles? Ask us\n"
    monkeypatch.setattr("boxset.freezing.changed_files", lambda _: [])
    monkeypatch.setattr("boxset.freezing.subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], 255, "", said))

    with pytest.raises(ProjectError, match=r"`dvc status` failed and said: ERROR: unexpected error - Read-only file system\. Mend that first"):
        _refuse_changed(tmp_path)


def test_ones_own_pictures_have_no_limit_but_one_that_is_written(tmp_path: Path) -> None:
    mine = {"local": {"path": "a"}, "mine": {"format": "local", "path": "b"}, "some": {"format": "local", "path": "c", "max_images_per_category": 4000}, "lvis": {}}

    files = resolved(tmp_path, sources=mine)

    limits = {name: json.loads(files[f"classes/{name}.json"])["max_images_per_category"] for name in mine}
    assert limits == {"local": 0, "mine": 0, "some": 4000, "lvis": 4000}

"""A raw file on this machine that is changed in its place is noticed, by its content alone; addresses are not asked."""

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from boxset.endpoints import Endpoints
from boxset.errors import ParamsError
from boxset.params import checked
from boxset.passedover import FILES
from boxset.sources import marks
from boxset.sources.marks import raw_marks
from tests.project import REPOSITORY
from tests.test_params import plain


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mark(source: dict[str, Any], *, known: str = "", mirrors: dict[str, str] | None = None) -> str | None:
    """The mark of the one source of a project, or None where it has none."""
    params, _ = checked(plain(sources={"lvis": source}))
    assert params is not None
    return raw_marks(params, Endpoints(mirrors=mirrors or {}), {"lvis": known}).get("lvis")


def lvis_file(folder: str = "raw", text: str = "one") -> Path:
    """A file of the train split."""
    path = Path(folder) / "lvis_v1_train.json.zip"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("way", ["path", "url", "files", "mirrors"])
def test_a_changed_file_changes_the_mark_and_a_touched_or_copied_one_does_not(way: str) -> None:
    file = lvis_file()
    source: dict[str, Any] = {
        "path": {"path": "raw"}, "url": {"path": f"file://{Path('raw').resolve()}"}, "files": {"files": {"lvis_train": str(file)}}, "mirrors": {},
    }[way]  # fmt: skip
    mirrors = {"https://dl.fbaipublicfiles.com/LVIS/": "raw/"} if way == "mirrors" else {}
    first = mark(source, mirrors=mirrors)
    os.utime(file, (1, 1))
    touched = mark(source, mirrors=mirrors)
    lvis_file(text="two")

    assert first
    assert touched == first
    assert mark(source, mirrors=mirrors) not in (first, None, "")
    lvis_file("elsewhere")
    assert mark({"path": "elsewhere"}) == first


def test_a_member_of_a_zip_is_marked_too() -> None:
    def packed(text: str) -> str | None:
        with zipfile.ZipFile("all.zip", "w") as archive:
            archive.writestr("deep/lvis_v1_train.json.zip", text)
        return mark({"path": "all.zip"})

    assert packed("one") == packed("one") != packed("two")


def test_addresses_are_not_asked_and_a_clone_without_the_files_keeps_what_is_known() -> None:
    assert mark({}) is None
    assert mark({"path": "https://h.example/lvis", "files": {"lvis_val": "s3://b/v.json"}}, known="before") is None
    assert mark({"path": "nowhere"}, known="before") == "before"
    assert mark({"path": "raw", "on": False}) is None


def test_a_file_is_read_once_for_each_time_of_change(monkeypatch: pytest.MonkeyPatch) -> None:
    lvis_file()
    first = mark({"path": "raw"})
    monkeypatch.setattr(marks.hashlib, "file_digest", None)

    assert mark({"path": "raw"}) == first


def test_the_names_of_files_stand_in_the_documents() -> None:
    assert {kind: set(marks._addresses(kind)) for kind in FILES} == {kind: set(names) - {"pictures"} for kind, names in FILES.items()}
    text = (REPOSITORY / "docs/sources.md").read_text()
    for names in FILES.values():
        assert all(f"`{name}`" in text for name in names if not name.endswith(("_validation", "_test")))


def test_a_hash_of_an_archive_of_pictures_is_refused() -> None:
    _, wrong = checked(plain(sources={"imagenet": {"path": ".", "sha256": {"pictures": "0" * 64}}, "lvis": {}}))

    assert [fault.key for fault in wrong] == ["sources.imagenet.sha256.pictures"]
    assert isinstance(wrong[0].error("params.yaml"), ParamsError)

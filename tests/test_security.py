"""The table of attacks in docs/security.md is true: each row names tests that are there."""

import re
from pathlib import Path

import pytest

from boxset.dataset.reasons import Reason, Refusal
from boxset.endpoints import Endpoints
from boxset.sources.place import place_of
from tests import test_fetching, test_hostile_sites
from tests.project import REPOSITORY

TITLES = ("|---", "| attack", "| what a")
ROWS = [row for row in (REPOSITORY / "docs/security.md").read_text().splitlines() if row.startswith("|") and not row.startswith(TITLES)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_every_attack_names_tests_that_are_there(row: str) -> None:
    tests = set(re.findall(r"^def (test_\w+)", "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py")), re.MULTILINE))
    cases = {*test_hostile_sites.CASES, *test_fetching.PAGES}

    named, paths = re.findall(r"`(test_\w+)`", row), re.findall(r"`(/[\w-]+)`", row.split("|")[3])
    assert named or paths
    assert [name for name in named if name not in tests] == []
    assert [path for path in paths if path not in cases] == []


def test_every_breach_of_http_that_is_tried_is_in_the_table() -> None:
    said = set(re.findall(r"`(/[\w-]+)`", "\n".join(ROWS)))

    assert set(test_hostile_sites.CASES) - said == set()


def test_a_local_file_name_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "own/link.jpg").symlink_to(tmp_path / "secret.jpg")

    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "link.jpg"):
        found = place_of(str(tmp_path / "own"), Endpoints()).picture(name, max_bytes=1000)
        assert isinstance(found, Refusal)
        assert found.reason is Reason.GONE

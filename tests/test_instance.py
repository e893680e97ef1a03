"""The SearXNG of one's own that `boxset init` sets up: what its two files say, and that nothing is left to do by hand."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from boxset.doctor import WRITE_KEY, examine, patient
from boxset.endpoints import Endpoints
from boxset.newproject import Answers, write_project
from boxset.params import read_params
from tests.project import REPOSITORY
from tests.searx import MISSING, fetched, free_port, running

PAGE = (REPOSITORY / "docs/searxng.md").read_text()
DEFAULTS = Path("/usr/share/doc/searx/examples/settings.yml")
KEPT = ["bing images", "brave.images", "brave", "duckduckgo images", "flickr", "google images", "startpage images", "startpage"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new project."""
    write_project(tmp_path / "tools", Answers(name="tools", contact="cv@shop.example"))
    return tmp_path / "tools"


def service(project: Path) -> dict[str, Any]:
    """What the project's compose file says of its one service."""
    services: dict[str, Any] = yaml.safe_load((project / "compose.yaml").read_text())["services"]
    assert list(services) == ["searxng"]
    found: dict[str, Any] = services["searxng"]
    return found


def settings(project: Path) -> dict[str, Any]:
    """The settings of the project's SearXNG."""
    found: dict[str, Any] = yaml.safe_load((project / "searxng/settings.yml").read_text())
    return found


def key(project: Path) -> str:
    """The key of the project's SearXNG."""
    return (project / ".env").read_text().removeprefix("SEARXNG_SECRET=").strip()


def test_it_listens_on_this_machine_alone_where_the_crawl_asks(project: Path) -> None:
    (port,) = service(project)["ports"]

    assert port == "127.0.0.1:8888:8080"
    assert read_params(project / "params.yaml").crawl.searxng.url == "http://localhost:8888"


def test_its_image_is_one_of_a_day_until_another_is_named(project: Path) -> None:
    assert re.fullmatch(r"docker\.io/searxng/searxng:\$\{SEARXNG_VERSION:-20\d\d\.\d+\.\d+-[0-9a-f]{9}\}", service(project)["image"])


def test_its_settings_are_mounted_read_only_so_that_they_stay_the_users(project: Path) -> None:
    (mount,) = service(project)["volumes"]

    assert mount == "./searxng/settings.yml:/etc/searxng/settings.yml:ro"
    assert (project / "searxng/settings.yml").stat().st_mode & 0o004


def test_each_project_has_a_key_of_its_own_that_git_never_sees(project: Path, tmp_path: Path) -> None:
    write_project(tmp_path / "other", Answers(name="other"))

    assert re.fullmatch("[0-9a-f]{64}", key(project))
    assert key(project) != key(tmp_path / "other")
    assert (project / ".env").stat().st_mode & 0o077 == 0
    assert ".env" not in subprocess.run(["git", "status", "--porcelain", "-uall"], cwd=project, capture_output=True, text=True, check=True).stdout
    assert all(key(project) not in path.read_text() for path in project.rglob("*") if path.is_file() and path.name != ".env" and ".git" not in path.parts)


def test_without_a_key_it_does_not_start_with_a_known_one(project: Path) -> None:
    (said,) = service(project)["environment"].items()

    assert said[0] == "SEARXNG_SECRET"
    assert said[1].startswith("${SEARXNG_SECRET:?")
    assert "secret_key" not in settings(project)["server"]


def test_a_clone_is_told_the_line_that_writes_its_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEARXNG_SECRET", raising=False)
    (project / "params.yaml").write_text((project / "params.yaml").read_text().replace("localhost:8888", f"127.0.0.1:{free_port()}"))
    before = searxng_finding(project)
    (project / ".env").unlink()
    after = searxng_finding(project)
    subprocess.run(["bash", "-c", WRITE_KEY.replace("python", "python3", 1)], cwd=project, check=True)

    assert before.startswith("Start it (`docker compose up -d searxng`)")
    assert after == f"{WRITE_KEY}; then: {before}"
    assert re.fullmatch("[0-9a-f]{64}", key(project))
    assert searxng_finding(project) == before


def searxng_finding(project: Path) -> str:
    """What doctor says to do about the project's SearXNG."""
    return next(finding.do for finding in examine(patient(project, Endpoints())) if finding.subject == "searxng")


def test_its_settings_are_what_the_page_says(project: Path) -> None:
    said = settings(project)

    assert said["search"] == {"formats": ["html", "json"]}
    assert said["server"] == {"limiter": False, "image_proxy": False}
    assert said["outgoing"] == {"request_timeout": 6.0, "max_request_timeout": 15.0}
    assert said["use_default_settings"] == {"engines": {"keep_only": KEPT}}
    assert said["engines"] == [{"name": "duckduckgo images", "disabled": False}, {"name": "google images", "inactive": False, "disabled": True}]
    assert all(f"`{words}`" in PAGE for words in ("search.formats", "server.limiter", "outgoing.request_timeout", "keep_only", ".env"))
    assert all(name in PAGE for name in KEPT)
    assert service(project)["image"].split(":-")[1].rstrip("}") in PAGE


@pytest.mark.xdist_group("searx")
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_real_searx_starts_with_them_on_top_of_its_own_defaults(project: Path, tmp_path: Path) -> None:
    """Both searx and SearXNG merge a user's settings into their defaults by the same rules; here searx's code does it."""
    merge = (
        "import json, sys; from searx.settings_loader import load_yaml, update_settings;"
        "print(json.dumps(update_settings(load_yaml(sys.argv[1]), load_yaml(sys.argv[2]))))"
    )
    command = ["/usr/bin/python3", "-c", merge, str(DEFAULTS), str(project / "searxng/settings.yml")]
    done = subprocess.run(command, env={"SEARX_SETTINGS_PATH": str(DEFAULTS)}, capture_output=True, text=True, check=True)
    merged = json.loads(done.stdout)
    merged["server"]["secret_key"] = key(project)

    with running(tmp_path, lambda port: {**merged, "server": {**merged["server"], "port": port}}) as url:
        config = json.loads(fetched(f"{url}/config")[2])

    engines = {engine["name"]: engine["enabled"] for engine in config["engines"]}
    assert {"bing images", "flickr", "google images"} <= set(engines) <= set(KEPT)
    assert engines["google images"] is False

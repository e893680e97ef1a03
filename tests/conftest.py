"""Projects that several tests share; each is built once and copied."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from moto.server import ThreadedMotoServer

from boxset.endpoints import Endpoints, open_world
from boxset.params import Params
from boxset.params import Project as Identity
from tests.browser import Browser, browsing
from tests.project import Project, copy_of_repository
from tests.searx import front

settings.register_profile("same", deadline=None, derandomize=True)  # a machine that is busy is no fault of the code, and every run tries the same
settings.register_profile("search", deadline=None)  # HYPOTHESIS_PROFILE=search: other examples each time
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

SMALL_WORLD = {"BOXSET_WORLD_SCENES": "160"}
SMALL_CATEGORIES = ("hammer", "screwdriver", "wheelbarrow")


@pytest.fixture(autouse=True)
def _no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands print plain text of a known width."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server that asks for no signature: moto's, or the one that S3_SERVER names. Tests keep to buckets of their own names."""
    if named := os.environ.get("S3_SERVER"):
        yield named
        return
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """The drawn world."""
    params = Params(world="embedded", project=Identity(name="x"), categories={}, sources={})
    with open_world(params, state=tmp_path_factory.mktemp("world")) as endpoints:
        yield endpoints


@pytest.fixture(scope="session")
def engine_front(world: Endpoints) -> Iterator[str]:
    """The world's search engines, where a searx or a SearXNG can ask them."""
    assert world.gateway is not None
    with front(world.gateway) as address:
        yield address


@pytest.fixture(scope="session")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The window of a real browser that tests share; each opens a page of its own in it."""
    with browsing(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="session")
def small_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A built project with fewer categories and scenes, committed. Copy it before changing it."""
    project = copy_of_repository(tmp_path_factory.mktemp("small") / "project", **SMALL_WORLD)
    shutil.rmtree(project.root / "metrics", ignore_errors=True)
    shrink(project)
    for name in ("dvc.lock", "splits.csv"):
        (project.root / name).unlink(missing_ok=True)
    project.repro()
    project.commit("Build")
    return project


@pytest.fixture
def small(small_project: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the small project for one test."""
    copy = small_project.copy_to(tmp_path / "project")
    yield copy
    shutil.rmtree(copy.root, ignore_errors=True)


def shrink(project: Project) -> None:
    """Reduce the project's parameters: three categories, small crawls, an empty ledger."""
    params = project.params()
    params["categories"] = {name: {**params["categories"][name], "crawl_images": 8} for name in SMALL_CATEGORIES}
    project.set_params(params)
    for file in (project.root / "ledger").glob("*.jsonl"):
        file.write_text("")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that share a built project on one worker."""
    for item in items:
        if "small" in getattr(item, "fixturenames", ()) or "small_project" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("small"))


os.environ.setdefault("GIT_CONFIG_NOSYSTEM", "1")

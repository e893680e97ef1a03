"""`boxset doctor`: every prerequisite, and the command that mends it."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from rich.console import Console

from boxset.commands.doctor import command, table
from boxset.doctor import FIX, LATER, OK, Finding, bytes_needed, examine, patient
from boxset.endpoints import Endpoints
from boxset.labeling.ledger import PURCHASES, Reserved, append
from boxset.newproject import Answers, write_project
from boxset.params import checked
from tests.searx import serving
from tests.test_check import git, project
from tests.test_params import plain

RESULTS = '{"results": [{"img_src": "https://shop.example/a.jpg", "template": "images.html"}], "unresponsive_engines": [["bing images", "CAPTCHA"]]}'


def findings(folder: Path, endpoints: Endpoints | None = None) -> dict[str, Finding]:
    """Return every finding by its subject."""
    return {finding.subject: finding for finding in examine(patient(folder, endpoints or Endpoints()))}


@contextmanager
def searxng(status: int, body: str) -> Iterator[str]:
    """Run a search service that always answers the same, and give its address."""
    with serving(lambda _: (status, "application/json", body.encode())) as address:
        yield address


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """Write a new live project that asks no search service."""
    write_project(tmp_path / "tools", Answers(name="tools", contact="cv@shop.example"))
    edit(tmp_path / "tools", 'searxng: {url: "http://localhost:8888"}', "searxng: {on: false}")
    return tmp_path / "tools"


def edit(folder: Path, old: str, new: str) -> None:
    """Replace one text in the parameters."""
    text = (folder / "params.yaml").read_text()
    assert text.count(old) == 1
    (folder / "params.yaml").write_text(text.replace(old, new))


def test_a_new_project_with_a_contact_needs_nothing_more(live: Path) -> None:
    verdicts = {name: finding.verdict for name, finding in findings(live).items()}

    assert {name for name, verdict in verdicts.items() if verdict == FIX} == set()
    assert {name for name, verdict in verdicts.items() if verdict == OK} >= {"python", "git", "dvc", "parameters", "links", "ledger", "world", "contact"}
    assert {name for name, verdict in verdicts.items() if verdict == LATER} == {
        "remote", "labels", "open_images", "imagenet", "visual_genome", "coco", "lvis",
    }  # fmt: skip


def test_decisions_that_are_missing_or_cannot_be_read_are_named(live: Path) -> None:
    (live / "decisions/review.jsonl").write_text("\nyes\n")
    torn = findings(live)["decisions"]
    shutil.rmtree(live / "decisions")
    missing = findings(live)["decisions"]

    assert (torn.verdict, torn.what.partition(": not")[0]) == (FIX, "review.jsonl:2")
    assert (missing.verdict, missing.what) == (FIX, "the folder decisions/ is missing")


def test_a_project_from_before_takedowns_is_named(live: Path) -> None:
    pipeline = (live / "dvc.yaml").read_text()
    (live / "decisions/takedown.jsonl").unlink()
    (live / "dvc.yaml").write_text(pipeline.replace("        - decisions/takedown.jsonl\n", ""))

    found = findings(live)

    assert (found["decisions"].verdict, found["decisions"].what) == (FIX, "decisions/takedown.jsonl is missing")
    assert (found["pipeline"].verdict, found["pipeline"].what) == (
        FIX, "not as this Boxset writes it: dvc.yaml (extract, crawl without decisions/takedown.jsonl)",
    )  # fmt: skip


def test_all_that_an_older_project_must_take_over_is_named_at_once(live: Path) -> None:
    pipeline, stage = (live / "dvc.yaml").read_text(), live / "stages/balance.py"
    (live / "dvc.yaml").write_text(pipeline.replace("        - decisions/takedown.jsonl\n", "").replace("      - data/resolve/formats.json\n", ""))
    stage.write_text(stage.read_text().replace("VERSION = ", "VERSION = 0"))
    (live / "stages/report.py").unlink()

    found = findings(live)["pipeline"]

    assert found.what == (
        "not as this Boxset writes it: stages/ (balance.py, report.py), "
        "dvc.yaml (balance without data/resolve/formats.json; extract, crawl without decisions/takedown.jsonl)"
    )
    assert found.do == "Take dvc.yaml and stages/ from what `boxset init` writes into a new folder"


def test_who_has_an_older_boxset_than_the_project_is_not_told_to_take_its_stages_back(live: Path) -> None:
    stage = live / "stages/balance.py"
    stage.write_text(stage.read_text().replace("VERSION = ", "VERSION = 9"))

    found = findings(live)["pipeline"]

    assert found.what.startswith("stages/ (balance.py) is from a later Boxset than ")
    assert found.do == "Install the Boxset that wrote it"


def test_stages_of_ones_own_and_always_changed_are_nothing_outdated(live: Path) -> None:
    pipeline = (live / "dvc.yaml").read_text()
    (live / "dvc.yaml").write_text(pipeline.replace("# always_changed", "always_changed") + "\n  mine:\n    cmd: echo\n")

    assert "pipeline" not in findings(live)


def test_lines_that_git_lacks_to_keep_both_sides_rows_are_named(live: Path) -> None:
    attributes = live / ".gitattributes"
    attributes.write_text(attributes.read_text().replace("decisions/*.jsonl merge=union\n", ""))

    assert findings(live)["pipeline"] == Finding(
        "pipeline", LATER, ".gitattributes lacks decisions/*.jsonl merge=union", "Add this line to .gitattributes, as `boxset init` writes it"
    )


def test_a_pipeline_from_before_reviews_is_named(live: Path) -> None:
    pipeline = (live / "dvc.yaml").read_text()
    assert "decisions" not in findings(live)
    assert "pipeline" not in findings(live)

    (live / "dvc.yaml").write_text(pipeline.replace("      - decisions\n", "", 1))

    assert findings(live)["pipeline"].verdict == FIX
    assert findings(live)["pipeline"].what == "not as this Boxset writes it: dvc.yaml (label without decisions)"


def test_purchases_over_the_cap_and_a_ledger_that_cannot_be_read_are_named(live: Path) -> None:
    edit(live, "budget_usd: 0", "budget_usd: 1")
    reserved = Reserved(job="tools-1", backend="files", version=1, categories={"hammer": 2}, pictures=0, worst_mills=1500)
    append(live / "ledger", PURCHASES, [reserved])

    assert findings(live)["purchases"] == Finding(
        "purchases", LATER, "$1.50 spent or reserved, over the cap of $1.00 in label.budget_usd: tools-1 $1.50", "boxset label status"
    )
    (live / "ledger" / PURCHASES).write_text('{"event":"bought"}\n')
    assert (findings(live)["purchases"].verdict, "purchases.jsonl:1" in findings(live)["purchases"].what) == (FIX, True)


def test_a_missing_contact_is_to_be_fixed(live: Path) -> None:
    edit(live, '"cv@shop.example"', '""')

    assert findings(live)["contact"] == Finding("contact", FIX, "empty, and nothing is fetched without one", "Write project.contact in params.yaml")
    assert findings(live)["parameters"] == Finding("parameters", FIX, "1 problem in params.yaml", "boxset check")


def test_parameters_that_cannot_be_read_whole_still_show_the_rest(tmp_path: Path) -> None:
    found = findings(project(tmp_path, **{"categories.hammer.targett": 1}))

    assert found["parameters"].verdict == FIX
    assert found["git"] == Finding("git", FIX, "this folder is not in a repository", "git init")
    assert found["dvc"].do == "dvc init"
    assert found["ledger"].verdict == FIX
    assert "world" not in found


def test_copies_instead_of_links_are_pointed_out(live: Path) -> None:
    (live / ".dvc/config").write_text("[core]\n    analytics = false\n")

    assert findings(live)["links"] == Finding(
        "links", LATER, "DVC copies: each picture lies on disk twice", "dvc config cache.type hardlink,symlink,copy"
    )


def test_a_remote_is_shown(live: Path) -> None:
    (live / ".dvc/config").write_text("[core]\n    remote = storage\n['remote \"storage\"']\n    url = s3://shop/dvc\n")

    assert findings(live)["remote"] == Finding("remote", OK, "storage: s3://shop/dvc")


def test_purchases_that_are_not_committed_are_pointed_out(live: Path) -> None:
    (live / "ledger/asked.jsonl").write_text("{}\n")
    before = findings(live)["ledger"]
    git(live, "add", "ledger")
    git(live, "commit", "-qm", "Record purchases")

    assert before == Finding("ledger", LATER, "it holds purchases that are not committed", 'git add ledger && git commit -m "Record purchases"')
    assert findings(live)["ledger"] == Finding("ledger", OK, "all of it is committed")


def test_a_clone_that_has_not_pulled_is_told_to(live: Path) -> None:
    lock = "stages:\n  a:\n    outs:\n" + "".join(f"    - path: data/{path}\n" for path in ("merge", "crawl/hammer", "crawl/gone"))
    (live / "dvc.lock").write_text(lock)

    assert findings(live)["outputs"] == Finding("outputs", FIX, "dvc.lock has data/crawl/hammer, data/merge, and they are not here", "dvc pull")


def test_a_full_disk_is_to_be_fixed(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=10**12, used=10**12, free=10**9))

    found = findings(live)["disk"]

    assert (found.verdict, found.what.split(",")[0]) == (FIX, "1 GB free")


def test_what_is_needed_on_disk_falls_with_what_is_there(live: Path) -> None:
    params, _ = checked(plain(world="live", **{"categories.hammer.crawl_images": 1000, "categories.hammer.queries": ["hammer"]}))
    assert params is not None
    before = bytes_needed(params, live)
    (live / "data/index/lvis").mkdir(parents=True)
    (live / "data/crawl/hammer").mkdir(parents=True)
    (live / "data/crawl/hammer/images.jsonl").touch()

    assert before - bytes_needed(params, live) == 500_000_000 + 1000 * 300_000


def test_a_cache_folder_that_cannot_be_written_is_to_be_fixed(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setenv("BOXSET_CACHE", "/nowhere/at/all")

    assert findings(live)["raw files"] == Finding(
        "raw files", FIX, "/nowhere/at/all cannot be written", "export BOXSET_CACHE=/a/folder/of/yours"
    )


@pytest.mark.parametrize(
    ("status", "body", "verdict", "what"),
    [
        (200, RESULTS, OK, "{url}: JSON is on, 1 picture for one query; silent: bing images (CAPTCHA)"),
        (200, '{"results": []}', FIX, "{url} answers without a picture"),
        (403, "", FIX, "SearXNG at {url}: HTTP 403: its JSON format is off"),
        (429, "", FIX, "SearXNG at {url}: HTTP 429: its limiter keeps programs out"),
        (200, "<html>", FIX, "SearXNG at {url}: it answers with a web page, not with JSON"),
    ],
)
def test_the_search_service_is_asked(live: Path, status: int, body: str, verdict: str, what: str) -> None:
    with searxng(status, body) as url:
        edit(live, "searxng: {on: false}", f'searxng: {{url: "{url}"}}')
        found = findings(live)["searxng"]

    assert (found.verdict, found.what) == (verdict, what.format(url=url))
    assert bool(found.do) == (verdict == FIX)


def test_lists_of_addresses_and_the_token_for_openverse_are_looked_at(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (live / "l.csv").write_text("url,category\nhttps://a.example/1.jpg,hammer\nhttps://a.example/1.jpg,anvil\n,hammer\n")
    edit(live, "searxng: {on: false}", "searxng: {on: false}\n  url_lists: [l.csv, none.csv]")
    monkeypatch.setenv("OPENVERSE_TOKEN", "t")
    found = findings(live)

    assert found["l.csv"] == Finding("l.csv", OK, "1 of 2 addresses is for our categories, 1 cannot be used")
    assert found["none.csv"].verdict == FIX
    assert found["openverse"].what == "on; with the token in OPENVERSE_TOKEN"


def test_a_search_service_that_does_not_answer_names_the_command_that_starts_it(live: Path) -> None:
    with searxng(200, "") as url:
        pass
    edit(live, "searxng: {on: false}", f'searxng: {{url: "{url}"}}')

    found = findings(live)["searxng"]

    assert found.verdict == FIX
    assert found.do.startswith("Start it (`docker compose up -d searxng`)")


def test_a_labelling_service_without_its_token_is_told_how_to_get_one(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_TOKEN", raising=False)
    edit(live, "labeler: {backend: files}", "labeler: {backend: label_studio, url: http://labels.shop.example}")
    edit(live, "budget_usd: 0.0", "budget_usd: 9.0")

    found = findings(live)["labels"]

    assert found.verdict == LATER
    assert "no token" in found.what
    assert found.do == "export LABEL_STUDIO_TOKEN=…"


def test_a_source_that_is_not_set_up_is_no_fault(live: Path) -> None:
    edit(live, "imagenet: {on: false}", "imagenet: {on: true}")
    before = findings(live)["imagenet"]
    (live / "data/index/imagenet").mkdir(parents=True)
    (live / "data/index/lvis").mkdir(parents=True)
    (live / "data/index/lvis/about.json").touch()

    assert before == Finding("imagenet", LATER, "on, and it has no path: skipped", "Set sources.imagenet.path in params.yaml, or on: false")
    assert findings(live)["lvis"] == Finding("lvis", OK, "indexed")


def test_a_project_of_own_pictures_alone_needs_no_contact(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(
        "world: live\nproject: {name: own}\ncategories: {hammer: {id: 1, target: 5}}\nsources: {own: {format: local, path: photos, category: hammer}}\n"
    )

    assert findings(tmp_path)["contact"] == Finding("contact", OK, "empty; nothing that is declared comes from the internet")


def test_the_command_shows_a_table_and_exits_1_where_something_is_to_be_fixed(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(live)
    ready = CliRunner().invoke(command, [])
    edit(live, '"cv@shop.example"', '""')
    unready = CliRunner().invoke(command, [])

    assert (ready.exit_code, ready.output.splitlines()[-1]) == (0, "ready: dvc repro")
    assert (unready.exit_code, unready.output.splitlines()[-1]) == (1, "2 to fix before `dvc repro`")
    assert "Write project.contact in params.yaml" in unready.output


def test_the_folder_of_predictions_is_looked_at_where_the_pipeline_reads_it(live: Path) -> None:
    sound = findings(live).get("predictions")
    (live / "predictions/v1.jsonl.gz.dvc").write_text("outs:\n")
    elsewhere = findings(live)["predictions"]
    for path in (live / "predictions").iterdir():
        path.unlink()
    (live / "predictions").rmdir()
    missing = findings(live)["predictions"]

    assert sound is None
    assert (elsewhere.verdict, elsewhere.what) == (FIX, "predictions/v1.jsonl.gz: DVC keeps these predictions, and they are not here")
    assert (missing.verdict, missing.what) == (FIX, "the folder predictions/ is missing")
    assert missing.do == "mkdir predictions && touch predictions/.gitkeep"


def test_brackets_in_a_finding_are_shown_as_they_are() -> None:
    finding = Finding("[x]", FIX, r"no folder C:\data\[new]", "`pip install '.[dvc]'`")
    terminal = Console(file=io.StringIO(), width=200)

    terminal.print(table([finding]))

    assert terminal.file.getvalue().split() == ["[x]", "FIX", "no", "folder", r"C:\data\[new]", "`pip", "install", "'.[dvc]'`"]

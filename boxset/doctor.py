"""What a project still needs: every prerequisite looked at, with the command that mends it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from boxset.checks import problems
from boxset.conflicts import conflicts
from boxset.endpoints import Endpoints, needs_contact
from boxset.errors import BoxsetError, InputError, ParamsError
from boxset.outdated import lacking_in_pipeline, lacking_lines, outdated_stages
from boxset.params import Params, Query, Source
from boxset.predictions.store import FOLDER, names
from boxset.stage import outputs_not_here
from boxset.wording import counted, dollars, noun

OK, FIX, LATER = "ok", "FIX", "-"
GB = 1_000_000_000
PICTURE_BYTES = 300_000  # a usual photograph from the web, as stored
ADD_REMOTE = "dvc remote add -d storage s3://your-bucket/dvc"
RAW_BYTES = {"open_images": 3.4 * GB, "imagenet": 0.1 * GB, "visual_genome": 0.1 * GB, "coco": 0.3 * GB, "lvis": 0.5 * GB}
WRITE_KEY = """python -c "import secrets; print('SEARXNG_SECRET=' + secrets.token_hex(32))" >> .env"""
LINKS = {"reflink", "hardlink", "symlink"}


@dataclass(frozen=True)
class Finding:
    """One prerequisite: `ok`, `FIX` (the next `dvc repro` needs it), or `-` (not needed for that); and the command that mends it."""

    subject: str
    verdict: str
    what: str
    do: str = ""


@dataclass(frozen=True)
class Patient:
    """A project to look at. `params` is None where they are not well formed."""

    root: Path
    params: Params | None
    faults: int
    endpoints: Endpoints
    unreadable: str = ""  # why params.yaml could not be read at all


def patient(root: Path, endpoints: Endpoints) -> Patient:
    """Read a project as far as it can be read."""
    try:
        params, faults = problems(root)
    except ParamsError as err:
        return Patient(root, None, 1, endpoints, f"{err.where}: {err.what}")
    return Patient(root, params, len(faults), endpoints)


def examine(project: Patient) -> Iterator[Finding]:
    """Yield a finding for every prerequisite, as each has been looked at; services are asked, nothing is fetched or bought."""
    for look in ALWAYS:
        yield from look(project)
    for look_inside in WITH_PARAMS:
        if project.params is not None:
            yield from look_inside(project, project.params)


def _tools(project: Patient) -> Iterator[Finding]:
    release = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", OK, release) if sys.version_info >= (3, 11) else Finding("python", FIX, release, "Install Python 3.11 or newer")
    yield _git(project.root)
    yield _dvc(project.root)


def _git(root: Path) -> Finding:
    if shutil.which("git") is None:
        return Finding("git", FIX, "not installed", "Install git")
    inside = _said("git", "rev-parse", "--is-inside-work-tree", cwd=root)
    if inside != "true":
        return Finding("git", FIX, "this folder is not in a repository", "git init")
    return Finding("git", OK, _said("git", "--version", cwd=root).removeprefix("git version "))


def _dvc(root: Path) -> Finding:
    try:
        release = version("dvc")
    except PackageNotFoundError:
        return Finding("dvc", FIX, "not installed", "pip install -r requirements.txt")
    if not (root / ".dvc").is_dir():
        return Finding("dvc", FIX, f"{release}, and this folder is not under DVC", "dvc init")
    return Finding("dvc", OK, release)


def _said(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    return done.stdout.strip() if done.returncode == 0 else ""


def _unresolved(project: Patient) -> Iterator[Finding]:
    for conflict in conflicts(project.root):
        yield Finding("merge", FIX, f"{conflict.where}: {conflict.what}", conflict.do)


def _parameters(project: Patient) -> Iterator[Finding]:
    if project.unreadable:
        yield Finding("parameters", FIX, project.unreadable, "boxset check")
    elif project.faults:
        yield Finding("parameters", FIX, f"{counted(project.faults, 'problem')} in params.yaml", "boxset check")
    else:
        yield Finding("parameters", OK, "params.yaml is sound")


def _links(project: Patient) -> Iterator[Finding]:
    types = {word.strip() for word in _dvc_config(project.root).get("cache", "type", fallback="").strip("\"'").split(",")}
    if not types & LINKS:
        do = "dvc config cache.type hardlink,symlink,copy"
        yield Finding("links", LATER, "DVC copies: each picture lies on disk twice", do)
    elif not _hard_link_works(project.root):
        yield Finding("links", LATER, "this file system has no hard links: pictures may lie on disk twice", "Move the project to another disk")
    else:
        yield Finding("links", OK, "pictures lie on disk once")


def _hard_link_works(root: Path) -> bool:
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=".boxset-link-") as folder:
            first = Path(folder) / "a"
            first.touch()
            os.link(first, Path(folder) / "b")
    except OSError:
        return False
    return True


def _remote(project: Patient) -> Iterator[Finding]:
    name = dvc_remote(project.root)
    if name:
        url = _dvc_config(project.root).get(f"'remote \"{name}\"'", "url", fallback="?")
        yield Finding("remote", OK, f"{name}: {url}")
    else:
        yield Finding("remote", LATER, "none: versions stay on this machine", ADD_REMOTE)


def dvc_remote(root: Path) -> str:
    """Return the name of DVC's default remote; empty where there is none."""
    return _dvc_config(root).get("core", "remote", fallback="")


def _dvc_config(root: Path) -> ConfigParser:
    """Return DVC's configuration of a project, the personal one on top."""
    parser = ConfigParser(interpolation=None, strict=False)
    for file in (root / ".dvc/config", root / ".dvc/config.local"):
        try:
            parser.read(file)
        except (ConfigError, UnicodeDecodeError):
            continue
    return parser


def _ledger(project: Patient) -> Iterator[Finding]:
    changed = _said("git", "status", "--porcelain", "--", "ledger", cwd=project.root)
    if not (project.root / "ledger").is_dir():
        yield Finding("ledger", FIX, "the folder ledger/ is missing", "git checkout -- ledger, or mkdir ledger")
    elif changed and list((project.root / "ledger").glob("*.jsonl")):
        yield Finding("ledger", LATER, "it holds purchases that are not committed", 'git add ledger && git commit -m "Record purchases"')
    else:
        yield Finding("ledger", OK, "all of it is committed" if list((project.root / "ledger").glob("*.jsonl")) else "nothing bought yet")


def _decisions(project: Patient) -> Iterator[Finding]:
    from boxset.dataset.decisions import read_decisions

    if not (project.root / "decisions").is_dir():
        make = "mkdir decisions && touch decisions/review.jsonl && echo > decisions/takedown.jsonl"
        yield Finding("decisions", FIX, "the folder decisions/ is missing", f"git checkout -- decisions, or {make}")
        return
    try:
        read_decisions(project.root / "decisions")
    except InputError as err:
        if not conflicts(project.root):  # they have lines of their own
            yield Finding("decisions", FIX, f"{Path(err.where).name}: {err.what}", err.do)
        return
    if not (project.root / "decisions/takedown.jsonl").exists():
        yield Finding("decisions", FIX, "decisions/takedown.jsonl is missing", "git checkout -- decisions, or `echo > decisions/takedown.jsonl`")
    if any(file.stat().st_size > 1 for file in (project.root / "decisions").glob("*.jsonl")) and _said(
        "git", "status", "--porcelain", "--", "decisions", cwd=project.root
    ):
        yield Finding("decisions", LATER, "it holds decisions that are not committed", 'git add decisions && git commit -m "Record a review"')


def _pipeline(project: Patient) -> Iterator[Finding]:
    """Name what is not as `boxset init` writes it now, and how it is taken over; nothing away from a pipeline."""
    if not (project.root / "dvc.yaml").is_file():
        return
    (stages, is_newer), reads = outdated_stages(project.root), lacking_in_pipeline(project.root)
    if is_newer:
        yield Finding("pipeline", FIX, f"stages/ ({', '.join(stages)}) is from a later Boxset than {version('boxset')}", "Install the Boxset that wrote it")
    elif stages or reads:
        said = [*([f"stages/ ({', '.join(stages)})"] if stages else []), *([f"dvc.yaml ({'; '.join(reads)})"] if reads else [])]
        do = "Take dvc.yaml and stages/ from what `boxset init` writes into a new folder"
        yield Finding("pipeline", FIX, f"not as this Boxset writes it: {', '.join(said)}", do)
    for name, lines in lacking_lines(project.root).items():
        yield Finding("pipeline", LATER, f"{name} lacks {', '.join(lines)}", f"Add {noun(len(lines), 'this line', 'these lines')} to {name}, as `boxset init` writes it")


def _frozen(project: Patient) -> Iterator[Finding]:
    if not (project.root / "frozen").is_dir():
        yield Finding("frozen", FIX, "the folder frozen/ is missing, and dvc.yaml's balance reads it", "git checkout -- frozen, or mkdir frozen")


def _predictions(project: Patient) -> Iterator[Finding]:
    folder, pipeline = project.root / FOLDER, project.root / "dvc.yaml"
    if not folder.is_dir() and pipeline.is_file() and f"- {FOLDER}\n" in pipeline.read_text(encoding="utf-8", errors="replace"):
        yield Finding("predictions", FIX, f"the folder {FOLDER}/ is missing", f"mkdir {FOLDER} && touch {FOLDER}/.gitkeep")
    try:
        names(folder)
    except BoxsetError as err:
        yield Finding("predictions", FIX, f"{Path(err.where).relative_to(project.root)}: {err.what}", err.do)


def _outputs(project: Patient) -> Iterator[Finding]:
    try:
        missing = outputs_not_here(project.root, project.params)
    except BoxsetError as err:
        if not conflicts(project.root):  # they have lines of their own
            yield Finding("outputs", FIX, f"{Path(err.where).name}: {err.what}", err.do)
        return
    if missing:
        some = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        yield Finding("outputs", FIX, f"dvc.lock has {some}, and they are not here", "dvc pull")


def _world(_: Patient, params: Params) -> Iterator[Finding]:
    says = "a stand-in on this machine plays everything outside" if params.world == "embedded" else "the real internet"
    yield Finding("world", OK, f"{params.world}: {says}")
    if params.world == "embedded":
        return
    if params.project.contact:
        yield Finding("contact", OK, params.project.contact)
    elif not needs_contact(params):
        yield Finding("contact", OK, "empty; nothing that is declared comes from the internet")
    else:
        yield Finding("contact", FIX, "empty, and nothing is fetched without one", "Write project.contact in params.yaml")


def _disk(project: Patient, params: Params) -> Iterator[Finding]:
    free, needed = shutil.disk_usage(project.root).free, bytes_needed(params, project.root)
    text = f"{free / GB:,.0f} GB free, about {max(needed / GB, 0.1):,.1f} GB needed"
    do = "Free some space, or lower crawl_images and max_images_per_category"
    yield Finding("disk", OK, text) if free > needed else Finding("disk", FIX, text, do)


def bytes_needed(params: Params, root: Path) -> float:
    """Estimate what is still to be fetched: raw files of sources without an index, and pictures that are not here yet."""
    if params.world == "embedded":
        return 0.3 * GB
    raw = sum(RAW_BYTES.get(source.format or name, 0) for name, source in _used(params) if not (root / "data/index" / name).is_dir())
    crawled = sum(c.crawl_images for name, c in params.categories.items() if not (root / "data/crawl" / name / "images.jsonl").exists())
    extracts = [name for name, _ in _used(params) if not (root / "data/extract" / name / "images.jsonl").exists()]
    wanted = sum(min(300, c.target) for c in params.categories.values() for name in extracts if c.classes.get(name))
    return raw + (crawled + wanted) * PICTURE_BYTES


def _used(params: Params) -> list[tuple[str, Source]]:
    return [(name, source) for name, source in params.sources.items() if source.on]


def _raw_cache(_: Patient, params: Params) -> Iterator[Finding]:
    from boxset.sources.raw import cache_folder

    folder = cache_folder()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if params.world == "embedded":
        return
    if os.access(nearest, os.W_OK):
        yield Finding("raw files", OK, f"kept in {folder} for all projects")
    else:
        yield Finding("raw files", FIX, f"{folder} cannot be written", "export BOXSET_CACHE=/a/folder/of/yours")


def _sources(project: Patient, params: Params) -> Iterator[Finding]:
    for name, source in params.sources.items():
        yield Finding(name, *_source(project.root, name, source))


def _source(root: Path, name: str, source: Source) -> tuple[str, str, str]:
    kind = source.format or name
    if not source.on:
        terms = ": its terms are research only" if kind == "imagenet" else ""
        return LATER, f"off{terms}", f"Set sources.{name}.on: true in params.yaml to use it"
    if kind in ("imagenet", "local") and not source.path and not source.files:
        return LATER, "on, and it has no path: skipped", f"Set sources.{name}.path in params.yaml, or on: false"
    if (root / "data/index" / name / "about.json").exists():
        return OK, "indexed", ""
    return LATER, "no index yet", "dvc repro builds it"


def _suppliers(project: Patient, params: Params) -> Iterator[Finding]:
    wanted = [c for c in params.categories.values() if c.queries and c.crawl_images]
    settings = params.crawl
    if settings.searxng.on and wanted:
        yield _searxng(project, params)
    if settings.openverse.on and wanted:
        token = os.environ.get("OPENVERSE_TOKEN", "")
        says = "with the token in OPENVERSE_TOKEN" if token else "200 requests a day; more with an account: export OPENVERSE_TOKEN"
        yield Finding("openverse", OK, f"on; {says}")
    if settings.commons.on and wanted:
        yield Finding("commons", OK, "on; asked one request at a time")
    for name in settings.url_lists:
        yield _url_list(project.root / name, name, params)
    if wanted and not any((settings.searxng.on, settings.openverse.on, settings.commons.on, settings.url_lists)):
        yield Finding("suppliers", FIX, "all are off, and pictures are wanted from the crawl", "Set crawl.searxng.on: true in params.yaml")


def _url_list(path: Path, name: str, params: Params) -> Finding:
    from boxset.web.suppliers.url_lists import summary_of

    try:
        summary = summary_of(path)
    except BoxsetError as err:
        return Finding(name, FIX, err.what, err.do)
    ours = sum(count for category, count in summary.rows.items() if category in params.categories)
    rest = f", {len(summary.bad):,} cannot be used" if summary.bad else ""
    return Finding(name, OK, f"{ours:,} of {counted(sum(summary.rows.values()), 'address')} {noun(ours, 'is', 'are')} for our categories{rest}")


def _searxng(project: Patient, params: Params) -> Finding:
    from boxset.web.suppliers import suppliers_of

    alone = {"on": False}
    settings = _with(params, openverse=alone, commons=alone, url_lists=[])
    try:
        answer = suppliers_of(settings.crawl, project.endpoints, contact=params.project.contact, category="")[0].ask(Query(q="hammer"), 1)
    except BoxsetError as err:
        return Finding("searxng", FIX, f"{err.where}: {err.what}" if err.where else err.what, _with_secret(project.root, err.do))
    silent = f"; silent: {', '.join(f'{engine} ({why})' for engine, why in answer.unresponsive)}" if answer.unresponsive else ""
    if not answer.hits:
        return Finding("searxng", FIX, f"{settings.crawl.searxng.url} answers without a picture{silent}", "Look at its engines: docs/searxng.md")
    return Finding("searxng", OK, f"{settings.crawl.searxng.url}: JSON is on, {counted(len(answer.hits), 'picture')} for one query{silent}")


def _with_secret(root: Path, do: str) -> str:
    """Return how to start the instance; in a clone its key, which git does not carry, comes first."""
    secrets = root / ".env"
    has_one = "SEARXNG_SECRET" in os.environ or (secrets.is_file() and "SEARXNG_SECRET=" in secrets.read_text(errors="replace"))
    needs_one = "docker compose" in do and (root / "compose.yaml").is_file() and not has_one
    return f"{WRITE_KEY}; then: {do}" if needs_one else do


def _with(params: Params, **crawl: object) -> Params:
    import msgspec

    return msgspec.structs.replace(params, crawl=msgspec.convert({**msgspec.to_builtins(params.crawl), **crawl}, type(params.crawl)))


def _purchases(project: Patient, params: Params) -> Iterator[Finding]:
    from boxset.labeling.ledger import read_ledger
    from boxset.labeling.price import cap_mills
    from boxset.labeling.standing import faults

    try:
        found = faults(read_ledger(project.root / "ledger"), cap_mills=cap_mills(params.label.budget_usd))
    except BoxsetError as err:
        yield Finding("purchases", FIX, f"{err.where}: {err.what}", err.do)
        return
    for fault in found:
        yield Finding("purchases", LATER, fault, "boxset label status")


def _labels(project: Patient, params: Params) -> Iterator[Finding]:
    backend = params.labeler.backend
    if params.label.budget_usd == 0:
        do = "Set label.budget_usd in params.yaml when you want to buy"
        yield Finding("labels", LATER, f"{backend}; the budget is 0, so nobody is contacted", do)
        return
    from boxset.labeling.labeler import labeler_of
    from boxset.labeling.price import cap_mills

    try:
        labeler_of(params, project.endpoints).check()
    except BoxsetError as err:
        what = f"{err.where}: {err.what}" if err.where else err.what
        yield Finding("labels", LATER, f"{backend}: {what}", err.do or "Needed before `boxset label submit`")
    else:
        yield Finding("labels", OK, f"{backend}: could be sent; the budget is {dollars(cap_mills(params.label.budget_usd))}")


ALWAYS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (_tools, _unresolved, _parameters, _links, _remote, _ledger, _decisions, _predictions, _frozen, _pipeline, _outputs)
WITH_PARAMS: tuple[Callable[[Patient, Params], Iterator[Finding]], ...] = (_world, _disk, _raw_cache, _sources, _suppliers, _purchases, _labels)

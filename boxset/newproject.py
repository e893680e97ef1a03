"""A new live project: the same pipeline as everywhere, and parameters of its own."""

import json
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from boxset.checks import BUCKET, CONTACT
from boxset.errors import ParamsError, ProjectError
from boxset.files import disk_error, write_text
from boxset.params import Use, checked
from boxset.yaml12 import parsed_yaml

TEMPLATES = Path(__file__).parent / "project"
FILES = {
    "params.yaml": "params.live.yaml",
    "README.md": "README.project.md",
    "dvc.yaml": "dvc.yaml",
    "requirements.txt": "requirements.txt",
    ".gitignore": "gitignore.txt",
    ".gitattributes": "gitattributes.txt",
    ".dvcignore": "dvcignore.txt",
    "compose.yaml": "compose.yaml",
    "searxng/settings.yml": "searxng.yml",
}
SECRETS = ".env"
ALLOWED_BEFORE = {".git", ".DS_Store"}
TODO = "TODO: "


@dataclass(frozen=True)
class Answers:
    """What only the user knows. Empty: still to be written into `params.yaml`."""

    name: str
    use: Use = "commercial"
    contact: str = ""
    bucket: str = ""


def write_project(folder: Path, answers: Answers) -> list[str]:
    """Write a live project into a new or empty folder, and return the paths written. Nothing is ever overwritten.

    Raises ParamsError where an answer is malformed, ProjectError where the folder holds something or cannot be written.
    """
    _check(answers)
    _check_empty(folder)
    texts = project_files(answers)
    _check_params(texts["params.yaml"])
    for path, text in texts.items():
        write_text(folder / path, text)
    (folder / SECRETS).chmod(0o600)
    _start_git(folder)
    return sorted(texts)


def project_files(answers: Answers) -> dict[str, str]:
    """Return the content of every file of a new project, by path; the key in `.env` is another one each time."""
    texts = {path: _filled((TEMPLATES / template).read_text(encoding="utf-8"), path, answers) for path, template in FILES.items()}
    stages = {f"stages/{file.name}": file.read_text(encoding="utf-8") for file in sorted((TEMPLATES / "stages").glob("*.py"))}
    dvc = {".dvc/config": dvc_config(answers.bucket), ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n"}
    kept = {f"{folder}/.gitkeep": "" for folder in ("frozen", "ledger", "metrics", "predictions")}
    decided = {"decisions/review.jsonl": "", "decisions/takedown.jsonl": "\n"}  # there from the start, so that two branches add to one file; DVC warns of empty files
    return {**texts, **stages, **dvc, **kept, **decided, SECRETS: secret_line()}


def secret_line() -> str:
    """Return a fresh key for the project's SearXNG, as `.env` holds it; the file is not for git."""
    return f"SEARXNG_SECRET={secrets.token_hex(32)}\n"


def dvc_config(bucket: str) -> str:
    """Return DVC's configuration: pictures once on disk, no reports to anyone, and the team's remote where there is a bucket."""
    core = ["analytics = false", "check_update = false", "autostage = true", *(["remote = storage"] if bucket else [])]
    remote = ["['remote \"storage\"']", f"    url = {bucket.rstrip('/')}/dvc"] if bucket else []
    lines = ["[core]", *(f"    {line}" for line in core), "[cache]", '    type = "hardlink,symlink,copy"', *remote]
    return "\n".join(lines) + "\n"


def _filled(text: str, path: str, answers: Answers) -> str:
    if path == "README.md":
        return text.replace("{name}", answers.name)
    if path != "params.yaml":
        return text
    text = text.replace(TODO, "") if answers.contact else text
    quoted = {key: json.dumps(getattr(answers, key), ensure_ascii=False) for key in ("name", "contact", "bucket")}
    return re.sub(r"\{(name|contact|bucket|use)\}", lambda found: quoted.get(found[1], answers.use), text)


def _check(answers: Answers) -> None:
    if not answers.name.strip() or not answers.name.isprintable():
        raise ParamsError(f"{answers.name!r} is no name for a data set", where="--name", do="Write one on a single line")
    if answers.contact and not CONTACT.fullmatch(answers.contact):
        raise ParamsError(f"{answers.contact!r} is neither an e-mail address nor the address of a page", where="--contact")
    if answers.bucket and not BUCKET.fullmatch(answers.bucket):
        raise ParamsError(f"{answers.bucket!r} is not of the form s3://bucket/prefix", where="--bucket")


def _check_params(text: str) -> None:
    _, wrong = checked(parsed_yaml(text, where="params.yaml"))
    if wrong:
        raise wrong[0].error("params.yaml")


def _check_empty(folder: Path) -> None:
    try:
        there = sorted({path.name for path in folder.iterdir()} - ALLOWED_BEFORE) if folder.exists() else []
    except OSError as err:
        raise disk_error(err, folder) from err
    if there:
        some = ", ".join(there[:3]) + (", …" if len(there) > 3 else "")
        raise ProjectError(f"it holds {some}", where=str(folder), do="Name a new folder: nothing is ever overwritten")


def _start_git(folder: Path) -> None:
    """Make the folder a git repository, where git is there and has not begun one already."""
    if shutil.which("git") and not (folder / ".git").exists():
        subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=False)  # noqa: S603, S607 - the user's own git

"""A project in a folder of its own, for tests that run the real thing."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from boxset.yaml12 import read_yaml

REPOSITORY = Path(__file__).parents[1]
REALDATA = Path(os.environ.get("BOXSET_REALDATA") or REPOSITORY.parent / "shared" / "realdata")


@dataclass(frozen=True)
class Project:
    """A project's folder, and what is run in it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, check: bool = True, timeout_s: float = 900) -> subprocess.CompletedProcess[str]:
        """Run a command in the project and return what it printed; a failure shows all of it."""
        done = subprocess.run(command, cwd=self.root, env=self.env(), capture_output=True, text=True, timeout=timeout_s, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(command, cwd=self.root, env=self.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def repro(self, *targets: str) -> list[str]:
        """Run `dvc repro` and return the stages that ran, in order."""
        done = self.run("dvc", "repro", *targets)
        return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]

    def env(self) -> dict[str, str]:
        """Return the environment of the project's commands."""
        binaries = str(Path(sys.executable).parent)
        own = {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1", "COLUMNS": "120", "PYTHONDONTWRITEBYTECODE": ""}
        own["PYTHONPATH"] = ""
        return {**os.environ, **own, **self.environment}

    def params(self) -> Any:
        """Return the parameters as they stand."""
        return read_yaml(self.root / "params.yaml")

    def set_params(self, params: Any) -> None:
        """Write the parameters."""
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def json(self, path: str) -> Any:
        """Read a JSON file of the project."""
        return json.loads((self.root / path).read_text())

    def bytes_of(self, *paths: str) -> dict[str, bytes]:
        """Return the content of files and folders, by path."""
        found: dict[str, bytes] = {}
        for path in paths:
            top = self.root / path
            for file in [top] if top.is_file() else sorted(p for p in top.rglob("*") if p.is_file()):
                found[file.relative_to(self.root).as_posix()] = file.read_bytes()
        return found

    def requests(self) -> list[dict[str, Any]]:
        """Return every request that the stand-in has answered in this project."""
        log = self.root / ".boxset/world/requests.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def commit(self, message: str) -> None:
        """Commit everything that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", message)

    def copy_to(self, root: Path) -> "Project":
        """Copy the whole project, hard links kept."""
        subprocess.run(["cp", "-a", str(self.root), str(root)], check=True)
        return Project(root, self.environment)

    def clone_to(self, root: Path) -> "Project":
        """Clone the project as a colleague would."""
        subprocess.run(["git", "clone", "-q", str(self.root), str(root)], check=True)
        return with_git_identity(Project(root, self.environment))


def copy_of_repository(root: Path, **environment: str) -> Project:
    """Copy what git tracks or would track of this repository, as it is in the work tree, and commit it there."""
    listing = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, check=True)
    for name in sorted({n for n in listing.stdout.decode().split("\0") if n}):
        source = REPOSITORY / name
        if source.is_file():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    project = Project(root, environment)
    project.run("git", "init", "-q", "-b", "main")
    with_git_identity(project).commit("Start")
    return project


def with_git_identity(project: Project) -> Project:
    """Give the project's repository a committer."""
    project.run("git", "config", "user.name", "Tester")
    project.run("git", "config", "user.email", "tester@shop.example")
    return project

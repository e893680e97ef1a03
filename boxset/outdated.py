"""What of a project's pipeline is not as `boxset init` writes it now: stages, what they depend on, and the lines by which git and DVC handle its files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boxset.errors import BoxsetError
from boxset.newproject import Answers, project_files
from boxset.yaml12 import parsed_yaml, read_yaml

VERSION = re.compile(r"^VERSION = (\d+)$", re.MULTILINE)
LINES = (".gitattributes", ".gitignore", ".dvcignore")


def outdated_stages(root: Path) -> tuple[list[str], bool]:
    """Return the stages' files that differ from this Boxset's, and whether the project's are newer."""
    differ, is_newer = [], False
    for path, ours in project_files(Answers(name="any")).items():
        if path.startswith("stages/"):
            theirs = (root / path).read_text(encoding="utf-8", errors="replace") if (root / path).is_file() else ""
            if theirs != ours:
                differ.append(path.removeprefix("stages/"))
                is_newer = is_newer or _version(theirs) > _version(ours)
    return differ, is_newer


def _version(stage: str) -> int:
    found = VERSION.search(stage)
    return int(found[1]) if found else 0


def lacking_in_pipeline(root: Path) -> list[str]:
    """Say what the project's dvc.yaml lacks of this Boxset's: stages, and what they read; nothing where it cannot be read, which is said elsewhere."""
    ours = parsed_yaml(project_files(Answers(name="any"))["dvc.yaml"], where="dvc.yaml")["stages"]
    try:
        theirs = read_yaml(root / "dvc.yaml")["stages"]
        lacking: dict[str, list[str]] = {}
        for name, stage in ours.items():
            if name not in theirs:
                lacking.setdefault("", []).append(name)
            for what in sorted(_reads(stage) - _reads(theirs.get(name, stage))):
                lacking.setdefault(what, []).append(name)
    except (BoxsetError, KeyError, TypeError, AttributeError):
        return []
    return [f"{', '.join(names)} {'is missing' if not what else f'without {what}'}" for what, names in sorted(lacking.items())]


def _reads(stage: Mapping[str, Any]) -> set[str]:
    inner = stage.get("do", stage)
    return {str(one) for key in ("deps", "params") for one in inner.get(key) or ()}


def lacking_lines(root: Path) -> dict[str, list[str]]:
    """Return the file → the lines that `boxset init` writes into it and that it lacks; in the order in which they are written."""
    files = project_files(Answers(name="any"))
    found = {}
    for name in LINES:
        theirs = set((root / name).read_text(encoding="utf-8", errors="replace").splitlines()) if (root / name).is_file() else set()
        found[name] = [line for line in files[name].splitlines() if line and not line.startswith("#") and line not in theirs]
    return {name: lines for name, lines in found.items() if lines}

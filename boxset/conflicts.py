"""What a merge of git left unresolved: its markers in the project's own files, each with what to do."""

import re
from pathlib import Path
from typing import Any

from boxset.errors import InputError, ProjectError

MARKER = re.compile(rb"^(?:<{7} .*|={7}|>{7} .*|\|{7} .*)\r?$", re.MULTILINE)
BUILT = "Either side will do, as `dvc repro` writes it anew: `git checkout --ours dvc.lock metrics`, then `dvc repro`"
BOTH = "Delete the marker lines and keep the rows of both sides: double rows are resolved when it is read"
EDIT = "Keep what is wanted of both sides, delete the marker lines, then `boxset check`"
SIDE = "Two branches froze one name: take one side whole (`git checkout --ours` or `--theirs` and the file), and freeze the other under another name"
ADVICE = {"params.yaml": EDIT, "dvc.yaml": EDIT, "dvc.lock": BUILT, "metrics": BUILT, "splits.csv": BOTH, "ledger": BOTH, "decisions": BOTH, "frozen": SIDE}


def conflict_in(content: bytes, where: Path | str) -> InputError | None:
    """Return an error that names the first marker of git in a file's content, or None. `where` is the file's path in the project."""
    first = MARKER.search(content)
    if first is None or not first[0].startswith((b"<", b">")):
        return None
    line = content.count(b"\n", 0, first.start()) + 1
    return InputError("a merge conflict of git is not resolved", where=f"{where}:{line}", do=_advice(Path(where)))


def _advice(path: Path) -> str:
    return next((ADVICE[part] for part in reversed(path.parts) if part in ADVICE), EDIT)


def conflicts(root: Path) -> list[InputError]:
    """Return an error for each of the project's own files that a merge left unresolved: parameters, lock, splits, ledger, decisions, frozen test sets, metrics."""
    named = [root / name for name in ("params.yaml", "dvc.yaml", "dvc.lock", "splits.csv")]
    lines = sorted([*(root / "ledger").glob("*.jsonl"), *(root / "decisions").glob("*.jsonl")])
    frozen = sorted((root / "frozen").glob("*.jsonl"))
    files = [*named, *lines, *frozen, *sorted((root / "metrics").rglob("*.json"))]
    found = (conflict_in(path.read_bytes(), path.relative_to(root)) for path in files if path.is_file())
    return [conflict for conflict in found if conflict]


def read_lock(path: Path) -> dict[str, Any]:
    """Return the stages of a `dvc.lock`; none where there is no file. Raises ProjectError where it cannot be read."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    conflict = conflict_in(content, path)
    if conflict:
        raise ProjectError(conflict.what, where=conflict.where, do=conflict.do)
    stages = locked_stages(content)
    if stages is None:
        raise ProjectError("not what DVC writes", where=str(path), do=f"`git checkout HEAD {path.name}`, then `dvc repro`")
    return stages


def locked_stages(content: bytes) -> dict[str, Any] | None:
    """Return the stages in the text of a `dvc.lock`; None where it is none."""
    import yaml  # here, as whatever reads a file of the project comes by this module

    from boxset.lines import LOADER

    try:
        stages = (yaml.load(content, Loader=LOADER) or {}).get("stages", {})  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, AttributeError):
        return None
    return stages if isinstance(stages, dict) and all(isinstance(stage, dict) for stage in stages.values()) else None

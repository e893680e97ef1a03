"""What git and DVC remember: category ids of all times, and files of another revision."""

import re
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import msgspec
import yaml

from boxset.errors import InputError, ParamsError, ProjectError
from boxset.params import Params


class PastId(msgspec.Struct, frozen=True):
    """A category and its id, and a commit where they stood so."""

    name: str
    id: int
    commit: str


def check_ids_against_history(params: Params, root: Path = Path()) -> None:
    """Raise ParamsError where a category's id was another's before, or the category had another id, in any commit of any branch."""
    past = past_ids(root)
    names, ids = {p.id: p for p in past}, {p.name: p for p in past}
    free = max([*names, *(c.id for c in params.categories.values())], default=0) + 1
    for name, category in params.categories.items():
        before = names.get(category.id)
        if before and before.name != name:
            what = f"categories.{name}.id: {category.id} was the id of {before.name} in commit {before.commit[:10]}"
            raise ParamsError(what, where="params.yaml", do=f"Ids are never reused: take {free} or higher")
        had = ids.get(name)
        if had and had.id != category.id:
            what = f"categories.{name}.id: {category.id}, but it was {had.id} in commit {had.commit[:10]}"
            raise ParamsError(what, where="params.yaml", do=f"Set it back to {had.id}")


def past_ids(root: Path = Path()) -> list[PastId]:
    """Return each category and id that ever stood in a committed `params.yaml`, oldest first; nothing where there is no git."""
    log = git(root, "log", "--all", "--format=%H", "--reverse", "--", "params.yaml")
    if log is None:
        return []
    found: dict[tuple[str, int], PastId] = {}
    commits = log.decode().split()
    for commit, text in zip(commits, blobs(root, [f"{commit}:./params.yaml" for commit in commits]), strict=True):
        for name, number in ids_in(text):
            found.setdefault((name, number), PastId(name, number, commit))
    return list(found.values())


@lru_cache(maxsize=512)
def ids_in(text: bytes) -> tuple[tuple[str, int], ...]:
    """Return the categories and ids of a `params.yaml`; nothing where it is not readable as one."""
    try:
        params = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
    except yaml.YAMLError:
        return ()
    categories = params.get("categories") if isinstance(params, dict) else None
    if not isinstance(categories, dict):
        return ()
    return tuple((str(n), c["id"]) for n, c in categories.items() if isinstance(c, dict) and isinstance(c.get("id"), int))


def git(root: Path, *arguments: str, given: bytes | None = None) -> bytes | None:
    """Return what git prints, or None where it fails or is not there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, input=given, capture_output=True, check=False)  # noqa: S603, S607 - our own arguments
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def blobs(root: Path, names: list[str]) -> Iterable[bytes]:
    """Yield the content of git objects; empty where there is none."""
    answer = git(root, "cat-file", "--batch", given="".join(f"{name}\n" for name in names).encode()) or b""
    position = 0
    for name in names:
        head, _, _ = answer[position:].partition(b"\n")
        position += len(head) + 1
        size = re.fullmatch(rb"[0-9a-f]+ blob (\d+)", head)
        if size is None:
            yield b""
            continue
        yield answer[position : position + int(size[1])]
        position += int(size[1]) + 1
        del name

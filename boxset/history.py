"""Files of another version: what git and DVC remember, read without changing the work tree and without pulling a picture."""

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml

from boxset.conflicts import locked_stages
from boxset.errors import InputError, ParamsError, ProjectError, did_you_mean
from boxset.lines import LOADER
from boxset.params import Params, put_back

WORK_TREE = "work tree"
EVERY_BRANCH = ("HEAD", "--branches", "--tags", "--remotes")  # not refs/exps: an experiment that was only tried claims no id
CATEGORIES_BLOCK = re.compile(rb"^categories:.*\n(?:(?:[ \t#\r].*)?\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Claim:
    """A category's name and id, and the first commit in which they stood together."""

    name: str
    id: int
    commit: str
    date: str


# ids


def check_ids_against_history(params: Params, root: Path = Path()) -> None:
    """Raise ParamsError where a category's id was once another's, or where a category once had another id.

    Looks at every version of `params.yaml` on every branch and tag. Whoever used an id first owns it, so that a mistake in
    the past can be put right. Without git or history there is nothing to check.
    """
    owner, home = past_claims(root)
    for name, category in params.categories.items():
        taken = owner.get(category.id)
        if taken and taken.name != name:
            own = home[name].id if name in home else max([*owner, *(c.id for c in params.categories.values())]) + 1
            what = f"categories.{name}.id: {category.id} was the id of {taken.name} in commit {taken.commit[:9]} of {taken.date}"
            renamed = "" if taken.name in params.categories else f". {put_back(taken.name, name)}"
            raise ParamsError(what, where="params.yaml", do=f"An id is never used again; {name} can have {own}{renamed}")
        had = home.get(name)
        if had and had.id != category.id:
            what = f"categories.{name}.id: {category.id}, but {name} had the id {had.id} in commit {had.commit[:9]} of {had.date}"
            raise ParamsError(what, where="params.yaml", do=f"Set it back to {had.id}, or give what is new a name of its own")


def past_claims(root: Path = Path()) -> tuple[dict[int, Claim], dict[str, Claim]]:
    """Return who owns each id that any version of `params.yaml` ever gave out, and each past category's own id."""
    return first_claims(_claims(root))


def first_claims(claims: Iterable[Claim]) -> tuple[dict[int, Claim], dict[str, Claim]]:
    """Return who owns each id, and each name's own id, from claims in the order of time."""
    owner: dict[int, Claim] = {}
    home: dict[str, Claim] = {}
    for claim in claims:
        if owner.setdefault(claim.id, claim).name == claim.name:
            home.setdefault(claim.name, claim)
    return owner, home


def _claims(root: Path) -> Iterator[Claim]:
    """Yield what stood in every version of `params.yaml`, oldest first."""
    versions = _versions(root, "params.yaml")
    texts = _blobs(root, [blob for blob, _, _ in versions])
    for blob, commit, date in versions:
        for name, number in _ids_in(texts[blob]).items():
            yield Claim(name=name, id=number, commit=commit, date=date)


def _versions(root: Path, path: str) -> list[tuple[str, str, str]]:
    """Return (blob, commit, date) of every version of a file, oldest first, each blob once."""
    options = ("--topo-order", "--reverse", "--full-history", "--diff-merges=separate", "--no-renames", "--raw", "--no-abbrev", "--format=%H %cs")
    listing = _git_or_none(root, "log", *options, *EVERY_BRANCH, "--", path)
    first: dict[str, tuple[str, str]] = {}
    commit, date = "", ""
    for line in (listing or b"").decode().splitlines():
        if line.startswith(":"):
            blob = line.split()[3]
            first.setdefault(blob, (commit, date))
        elif line:
            commit, _, date = line.partition(" ")
    return [(blob, *when) for blob, when in first.items() if set(blob) != {"0"}]


def _blobs(root: Path, names: list[str]) -> dict[str, bytes]:
    """Return the content of many blobs from one git process. Raises ProjectError where this clone lacks one and cannot fetch it."""
    if not names:
        return {}
    answer = io.BytesIO(_git_or_none(root, "cat-file", "--batch", stdin="\n".join(names).encode() + b"\n") or b"")
    contents = {}
    for name in names:
        head = answer.readline().split()  # name, kind, size; or that it is missing
        if len(head) < 3:
            do = "A clone that was made with --filter needs its remote for this: run it again where that answers, or clone anew without"
            raise ProjectError("git has not every version of params.yaml here", where=str(root.resolve().name), do=do)
        contents[name] = answer.read(int(head[2]))
        answer.readline()
    return contents


def _ids_in(text: bytes) -> dict[str, int]:
    """Return the ids of the categories in the text of a `params.yaml`; none where it cannot be read."""
    block = CATEGORIES_BLOCK.search(text + b"\n")  # a tenth of the file: the rest need not be parsed, unless the block alone makes no sense
    for part in ((block[0], text) if block else (text,)):
        try:
            categories = yaml.load(part, Loader=LOADER).get("categories") or {}  # noqa: S506 - a safe loader
            return {str(name): c["id"] for name, c in categories.items() if isinstance(c, dict) and isinstance(c.get("id"), int)}
        except (yaml.YAMLError, AttributeError, ValueError):
            continue
    return {}


def upstreams(root: Path, paths: Sequence[str]) -> dict[str, dict[str, bytes]]:
    """Return the branch that this one follows, then the remote's own where that is another, each with these files as last fetched; empty where there is none."""
    home = home_remote(root)
    main = next(filter(None, (_branch_name(root, f"{home}/{name}") for name in ("HEAD", "main", "master") if home)), "")
    return {name: _files_at(root, name, paths) for name in dict.fromkeys((follows(root), main)) if name}


def home_remote(root: Path) -> str:
    """Return the name of git's remote: `origin`, else the only one; empty where there is none, or several.

    A second may be the template that the project began as, with purchases of its own.
    """
    remotes = (_git_or_none(root, "remote") or b"").decode().split()
    return "origin" if "origin" in remotes else remotes[0] if len(remotes) == 1 else ""


def _branch_name(root: Path, name: str) -> str:
    return (_git_or_none(root, "rev-parse", "--verify", "--abbrev-ref", "--symbolic-full-name", name) or b"").decode().strip()


def _files_at(root: Path, name: str, paths: Sequence[str]) -> dict[str, bytes]:
    found = {path: _git_or_none(root, "cat-file", "blob", f"{name}:./{path}") for path in paths}
    return {path: content for path, content in found.items() if content is not None}


def follows(root: Path) -> str:
    """Return the name of the branch that this one follows; an empty string where it follows none."""
    return _branch_name(root, "@{upstream}")


def has_merged(root: Path, name: str) -> bool:
    """Return whether all of a branch is in what is checked out."""
    return _git_or_none(root, "merge-base", "--is-ancestor", name, "HEAD") is not None


def user_name(root: Path = Path()) -> str:
    """Return the user's name in git; an empty string where there is none."""
    return (_git_or_none(root, "config", "user.name") or b"").decode(errors="replace").strip()


def changed_files(root: Path) -> list[str]:
    """Return the paths that git would commit or does not know yet. Raises ProjectError where there is no git."""
    listing = _git_or_none(root, "status", "--porcelain", "-z", "--no-renames", "--", ".")
    if listing is None:
        raise ProjectError("this folder is not under git", where=str(root.resolve()), do="`git init`, and commit what was built")
    return [entry[3:] for entry in listing.decode(errors="replace").split("\0") if entry]


def is_revision(name: str, root: Path = Path()) -> bool:
    """Return whether git knows a revision of this name."""
    return _git_or_none(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}") is not None


def head_commit(root: Path) -> str:
    """Return the hash of the commit that is checked out."""
    return Revision("HEAD", root).commit


def has_tag(name: str, root: Path = Path()) -> bool:
    """Return whether git has a tag of this name."""
    return _git_or_none(root, "rev-parse", "--verify", "--quiet", f"refs/tags/{name}") is not None


def refuse_tag_that_is_there(name: str, root: Path) -> None:
    """Raise ProjectError where git has a tag of this name already."""
    if has_tag(name, root):
        raise ProjectError(f"git has a tag {name} already", where=name, do="Take another name, or leave out --tag")


def set_tag(root: Path, name: str, message: str, commit: str) -> None:
    """Set an annotated tag on a commit. Raises ProjectError with what git says where it cannot."""
    done = subprocess.run(["git", "tag", "-a", name, "-m", message, commit], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603, S607 - the user's own git
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise ProjectError(f"git could not set the tag and said: {said}", where=name, do="Mend that, then `git tag` by hand: the version is frozen")


# files


@dataclass(frozen=True)
class Revision:
    """A version of the project: a git revision, or the work tree where `rev` is None."""

    rev: str | None
    root: Path = field(default_factory=Path)

    @property
    def title(self) -> str:
        """Return how to name it to a user."""
        return self.rev or WORK_TREE

    def read(self, path: str) -> bytes:
        """Return a file that git or DVC tracks. Raises ProjectError or InputError where it is not to be had."""
        if self.rev is None:
            return _work_tree_file(self.root, path)
        tracked = _git_or_none(self.root, "cat-file", "blob", f"{self.commit}:./{path}")
        return tracked if tracked is not None else self._from_dvc(path)

    @cached_property
    def commit(self) -> str:
        """Return the commit's full hash."""
        found = _git_or_none(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{self.rev}^{{commit}}")
        if found is None:
            raise _no_such_revision(self.root, str(self.rev))
        return found.decode().strip()

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """Return the hash of every output in this version's `dvc.lock`, by path."""
        text = _git_or_none(self.root, "cat-file", "blob", f"{self.commit}:./dvc.lock")
        if text is None:
            do = "Nothing had been built and committed then; take a later revision"
            raise ProjectError("there is no dvc.lock", where=f"revision {self.rev}", do=do)
        stages = locked_stages(text)
        if stages is None:
            raise ProjectError("its dvc.lock is not what DVC writes", where=f"revision {self.rev}", do="Take another revision")
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ()) if "md5" in out}

    def _from_dvc(self, path: str) -> bytes:
        output = next((p for p in (path, *_parents(path)) if p in self.outputs), None)
        if output is None:
            raise ProjectError(f"{path} is not in this version", where=f"revision {self.rev}", do="It had not been built and committed then; take another revision")
        md5 = self.outputs[output]
        if output != path:
            md5 = self._in_folder(output, md5, path)
        content = _cached(self.root, md5) if md5 else None
        return content if content is not None else _from_remote(self, path, output)

    def _in_folder(self, folder: str, md5: str, path: str) -> str:
        """Return the hash of a file inside a folder's listing, or an empty string where the listing itself is not here."""
        listing = _cached(self.root, md5)
        if listing is None:
            return ""
        inside = path.removeprefix(f"{folder}/")
        for entry in json.loads(listing):
            if entry["relpath"] == inside:
                return str(entry["md5"])
        raise InputError(f"no such file in {folder}", where=f"{path} at revision {self.rev}")


def _work_tree_file(root: Path, path: str) -> bytes:
    try:
        return (root / path).read_bytes()
    except OSError as err:
        raise ProjectError(f"cannot read: {err.strerror or err}", where=path, do="`dvc repro` builds it; in a clone, `dvc pull` fetches it") from err


def _parents(path: str) -> list[str]:
    return [parent.as_posix() for parent in Path(path).parents]


def _no_such_revision(root: Path, rev: str) -> ProjectError:
    if _git_or_none(root, "rev-parse", "--git-dir") is None:
        do = "`git init`, and commit dvc.lock after each build"
        return ProjectError("this folder is not under git, so it has no other versions", where=f"revision {rev}", do=do)
    if _git_or_none(root, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        return ProjectError("nothing is committed yet, so there are no other versions", where=f"revision {rev}", do="`git commit` dvc.lock after each build")
    names = (_git_or_none(root, "for-each-ref", "--format=%(refname:short)") or b"").decode().split()
    return ProjectError(f"git knows no such revision{did_you_mean(rev, names)}", where=rev, do="`git log --oneline` lists what there is")


def _git_or_none(root: Path, *arguments: str, stdin: bytes | None = None) -> bytes | None:
    """Return what a git command prints, or None where it fails or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, input=stdin, capture_output=True, check=False)  # noqa: S603, S607 - the user's own git
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


# DVC


def _cached(root: Path, md5: str) -> bytes | None:
    """Return an object of DVC's cache, or None where it is not there."""
    for folder in _cache_folders(root):
        try:
            return (folder / "files" / "md5" / md5[:2] / md5[2:]).read_bytes()
        except FileNotFoundError:
            continue
    return None


def _cache_folders(root: Path) -> list[Path]:
    """Return where DVC's cache may be: the nearest configuration that says so, else `.dvc/cache`."""
    config, stated = _configured(root, "cache", "dir")
    return [config.parent / Path(stated).expanduser() if stated else config.parent / "cache"]


def _configured(root: Path, section: str, key: str) -> tuple[Path, str]:
    """Return what the nearest configuration of DVC that says something of a key says, and which it is; the project's own and nothing where none does."""
    here = root.resolve()
    dvc = next((folder / ".dvc" for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here / ".dvc")
    personal = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "dvc" / "config"
    stated = ((config, _value_in(config, section, key)) for config in (dvc / "config.local", dvc / "config", personal))
    return next((found for found in stated if found[1]), (dvc / "config", ""))


def _value_in(config: Path, section: str, key: str) -> str:
    parser = ConfigParser(interpolation=None)
    try:
        parser.read(config)
    except (ConfigError, UnicodeDecodeError):
        return ""
    return parser.get(section, key, fallback="")


def _from_remote(version: Revision, path: str, output: str) -> bytes:
    """Return a file from the default remote, by its name now: the version may be older than the remote. Raises ProjectError where it is not had."""
    _, remote = _configured(version.root, "core", "remote")
    with tempfile.TemporaryDirectory() as folder:
        got = Path(folder) / "got"
        command = [sys.executable, "-m", "dvc", "get", "-q", str(version.root.resolve()), path, "--rev", version.commit, "-o", str(got)]
        if remote:
            command += ["--remote", remote]
        done = subprocess.run(command, cwd=version.root, capture_output=True, check=False)  # noqa: S603 - DVC, with our own words
        if done.returncode == 0 and got.is_file():
            return got.read_bytes()
    what = f"the content of {output} at that revision is neither in DVC's cache nor in a remote that answers"
    pushed = f"`dvc push --all-commits {output}` where it was built"
    do = f"`dvc fetch --all-commits {output}`, after {pushed}; where nobody has it, check that revision out and build it"
    raise ProjectError(what, where=f"{path} at revision {version.rev}", do=do)

"""Freezing the test set: what a project's folders say when it is declared, when it is held, and when it is checked."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import yaml

from boxset.assemble.freeze import ALL_COUNT, Futile, Holding, futile, held_records, hold, left_out
from boxset.assemble.merge import Dropped, every_image
from boxset.assemble.split import may_be_in_test, sources_of
from boxset.compare.diff import BoxChange, diff
from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage, part_of, read_coco
from boxset.dataset.frozen import Frozen, frozen_names, frozen_path, read_frozen, removed_categories, write_frozen
from boxset.dataset.reasons import Reason
from boxset.dataset.records import CRAWL, ImageRow, Picture, Pool, picture_files
from boxset.dataset.takedown import FOLDER, read_takedowns
from boxset.dataset.validation import Fault
from boxset.errors import ParamsError, ProjectError
from boxset.files import read_json, read_jsonl, write_json
from boxset.history import changed_files, has_tag, head_commit, is_revision
from boxset.params import FROZEN_NAME, FROZEN_NAME_DO, Params
from boxset.resolve import Ids
from boxset.sources.licences import allowed

DATASET = Path("data/dataset")
TEST = DATASET / "annotations/instances_test.json"
RECORD = "frozen.json"  # in the data set: what the freeze kept out, and what would have changed
BUILT = ("balance", "report")
DENIES = (Reason.LICENCE, Reason.TAKEN_DOWN)  # what wins over a freeze


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that the freeze keeps out of every split, or a frozen one that its licence keeps out."""

    sha256: str
    source: str
    source_id: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`data/dataset/frozen.json`: how the test set that was built stands to the frozen one."""

    name: str
    sha256: str
    changes: tuple[BoxChange, ...]
    near: tuple[LeftOut, ...]
    denied: tuple[LeftOut, ...]


# holding it


def hold_test(merged: Coco, params: Params) -> tuple[Holding, Record] | None:
    """Hold the test set of a project to `split.freeze_test`; None where that is empty. Raises InputError or ProjectError."""
    if not params.split.freeze_test:
        return None
    frozen, data = read_frozen(frozen_path(params.split.freeze_test)), Path("data")
    dropped = {one.sha256: one.near for one in read_jsonl(data / "merge/dropped.jsonl", Dropped) if one.near}
    is_denied = _Denied(params, data, denied_by_merge(data))
    holding = hold(merged, frozen, files=picture_files(data).keys(), is_denied=is_denied, bits=params.merge.duplicate_bits, dropped=dropped)
    held = part_of(holding.coco, holding.images)
    changes = diff({"test": held}, {"test": holding.today}, names=(frozen.name, "now")).box_changes
    against = sum(not may_be_in_test(sources_of([image]), params.split) for image in held.images)
    changed = {"boxes": len(changes), "images": len({change.sha256 for change in changes})}
    near, denied = (tuple(map(_left_out, some)) for some in (holding.near, holding.denied))
    told = replace(holding, metrics={**holding.metrics, "changed": changed, "against_rules": against})
    return told, Record(name=frozen.name, sha256=frozen.sha256, changes=changes, near=near, denied=denied)


def futile_labels(
    version: str, params: Params, pools: dict[str, Pool], crawled: dict[str, tuple[Picture, ...]], *, ids: Ids, merged: Collection[str], refused: Collection[str]
) -> Futile:
    """Return the pictures of a project that no label helps while test is held to a version; none where that is empty. Raises InputError.

    `merged`: the images that are labelled today; `refused`: the pictures that `merge` left out for what wins over a freeze; both by SHA-256.
    """
    if not version:
        return ALL_COUNT
    every, image_of = every_image(pools, crawled, ids=ids, settings=params.merge)
    is_denied, bits = _Denied(params, Path("data"), refused), params.merge.duplicate_bits
    return futile(every, image_of, read_frozen(frozen_path(version)), merged=merged, is_denied=is_denied, bits=bits)


def denied_by_merge(data: Path) -> set[str]:
    """Return the pictures, by SHA-256, that `merge` left out for what wins over a freeze."""
    return {one.sha256 for one in read_jsonl(data / "merge/dropped.jsonl", Dropped) if one.reason in DENIES}


def write_record(out: Path, record: Record) -> None:
    """Write the record beside the data set that it speaks of."""
    write_json(out / RECORD, record)


def with_freeze(metrics: dict[str, Any], holding: Holding | None) -> dict[str, Any]:
    """Return the data set's metrics with what the freeze did."""
    if holding is None:
        return metrics
    out = Counter(metrics.get("left_out", {})) + Counter(left_out(holding))
    return {**metrics, "frozen": holding.metrics, **({"left_out": dict(out)} if out else {})}


def _left_out(image: CocoImage) -> LeftOut:
    return LeftOut(sha256=image.sha256, source=image.source, source_id=image.source_id)


class _Denied:
    """Tells whether a licence or a takedown is why a frozen picture is merged no more: by the rules of now, or by what became of it on its way."""

    def __init__(self, params: Params, data: Path, refused: Collection[str]) -> None:
        """Take what `merge` left out for such a reason (`refused`, by SHA-256)."""
        self._params, self._data, self._contents = params, data, refused
        self._down = read_takedowns(data.parent / FOLDER)  # no dependency of the stage: what takes a picture out changes what is merged

    def __call__(self, image: CocoImage, licence: str) -> bool:
        if not allowed("" if licence == "unknown" else licence, self._params.project.use, self._params.licences):
            return True
        if image.sha256 in self._contents or self._down.of([image])[0]:
            return True
        return (image.source, image.source_id) in self._refused

    @cached_property
    def _refused(self) -> set[tuple[str, str]]:
        """Return what sources and crawls left out for such a reason, by source and id; read where the rest does not say."""
        tried = [(p.parent.name, p) for p in sorted(self._data.glob("extract/*/images.jsonl"))]
        tried += [(CRAWL, p) for p in sorted(self._data.glob("crawl/*/images.jsonl"))]
        rows = ((source, row) for source, path in tried for row in read_jsonl(path, ImageRow))
        return {(source, row.source_id) for source, row in rows if row.outcome in DENIES}


# declaring it


def freeze(root: Path, name: str, text: str) -> Frozen:
    """Declare the test set of now as a version, and return it. Raises ParamsError or ProjectError where it may not be declared."""
    if not FROZEN_NAME.fullmatch(name):
        raise ParamsError(f"{name!r} is no name for a frozen test set", do=FROZEN_NAME_DO)
    if is_revision(name, root) and not has_tag(name, root):
        do = f"Take another one: `boxset diff {name}` and `git push` of it could mean either"
        raise ProjectError("git has a branch or commit of this name", where=name, do=do)
    path = frozen_path(name, root)
    if path.exists() or name.casefold() in {other.casefold() for other in frozen_names(root)}:
        raise ProjectError("this version is frozen already, and a version never changes", where=str(path), do="Take the next name")
    if not (root / TEST).exists():
        raise ProjectError("there is no data set here", where=str(TEST), do="`dvc pull` or `dvc repro` brings it")
    record = read_record(root / DATASET)
    if record is not None:
        do = "For a new version take split.freeze_test out, `dvc repro`, look, commit, and freeze then"
        raise ProjectError(f"test is held to frozen {record.name}, so it would be the same again", where="split.freeze_test", do=do)
    _refuse_changed(root)
    commit = head_commit(root)
    coco = read_coco(root / TEST)
    if not coco.images:
        raise ProjectError("test has no picture", where=str(TEST), do="There is nothing to freeze: see split.ratio, test_only_from and never_test")
    return write_frozen(path, coco, text=" ".join(text.split()), commit=commit)


def yaml_text(name: str) -> str:
    """Return a version's name as it stands in params.yaml: quoted where YAML would read a date, a number or a truth value."""
    return name if name[0].isalpha() and yaml.safe_load(name) == name else f'"{name}"'


def _refuse_changed(root: Path) -> None:
    """Raise ProjectError where the work tree is not what is committed, or the data set not what `dvc.lock` says."""
    changed = changed_files(root)
    if changed:
        some = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        raise ProjectError(f"changes that are not committed: {some}", where=str(root.resolve().name), do="Commit them: a version is of a commit")
    command = (sys.executable, "-m", "dvc", "status", "--json", *BUILT)
    done = subprocess.run(command, cwd=root, capture_output=True, check=False, text=True)  # noqa: S603 - DVC, with our own words
    found = re.search(r"^\{.*", done.stdout, re.MULTILINE | re.DOTALL)
    if done.returncode or not found:
        lines = done.stderr.strip().splitlines() or ["nothing"]
        said = next((line for line in lines if line.startswith("ERROR")), lines[-1])  # DVC's last line may be where to get help
        raise ProjectError(f"`dvc status` failed and said: {said}", where="dvc.lock", do="Mend that first: whether the data set is the built one is not known")
    if stages := json.loads(found[0]):
        what = f"data/dataset is not what dvc.lock says: {', '.join(sorted(stages))} changed"
        raise ProjectError(what, where="dvc.lock", do="`dvc repro` (in a clone `dvc pull`), commit, then freeze")


# checking it


def read_record(dataset: Path) -> Record | None:
    """Return how the data set's test stands to the frozen one; None where it was built without a freeze."""
    return read_json(dataset / RECORD, Record) if (dataset / RECORD).is_file() else None


def frozen_faults(parts: dict[str, Coco], record: Record | None, root: Path) -> Iterator[Fault]:
    """Yield where the test set that was built is not the frozen version that it is held to. Raises InputError where that is unsound.

    `root`: the data set's project.
    """
    if record is None or not (root / "dvc.yaml").exists():
        return  # a copy of a data set, away from its project
    frozen = read_frozen(frozen_path(record.name, root))
    if frozen.sha256 != record.sha256:
        yield Fault(str(frozen_path(record.name)), "is another one than the data set was built with: `dvc repro`")
    gone = removed_categories(frozen.coco.categories, parts["test"].categories)
    wanted = _records(held_records(frozen.coco, without={one.sha256 for one in record.denied}, gone=gone))
    have = _records(parts["test"])
    yield from (Fault(f"test image {sha}", f"is missing: it is in frozen {record.name}") for sha in sorted(wanted.keys() - have.keys()))
    yield from (Fault(f"test image {sha}", f"is in test, and not in frozen {record.name}") for sha in sorted(have.keys() - wanted.keys()))
    for sha in sorted(wanted.keys() & have.keys()):
        for what, one, other in zip(("its record is not that", "its boxes are not those"), wanted[sha], have[sha], strict=True):
            if one != other:
                yield Fault(f"test image {sha}", f"{what} of frozen {record.name}")


def _records(coco: Coco) -> dict[str, tuple[CocoImage, list[CocoAnnotation]]]:
    """Return each picture's record and its boxes, by content."""
    found: dict[int, tuple[CocoImage, list[CocoAnnotation]]] = {image.id: (image, []) for image in coco.images}
    for annotation in coco.annotations:
        if annotation.image_id in found:
            found[annotation.image_id][1].append(annotation)
    return {image.sha256: (image, boxes) for image, boxes in found.values()}


def change_lines(record: Record, most: int) -> list[str]:
    """Name the frozen pictures that a licence keeps out, and the boxes that would have changed, one a line."""
    denied = [f"  {one.sha256[:12]} kept out by its licence or taken down: {one.source} {one.source_id}" for one in record.denied]
    lines = [*denied, *(f"  {change.sha256[:12]} {_words(change)}" for change in record.changes)]
    return [*lines[:most], *([f"  … and {len(lines) - most:,} more in data/dataset/{RECORD}"] if len(lines) > most else [])]


def _words(change: BoxChange) -> str:
    return f"{change.kind} {change.label} {change.places} ({change.source})"

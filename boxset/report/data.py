"""What the report shows, read from a project's folders; whatever was not built is simply not there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from boxset.assemble.merge import Conflict
from boxset.assemble.trust import with_names
from boxset.compare.suspicious import Suspect, suspects
from boxset.dataset.coco import SPLITS, Coco, names_of, read_coco
from boxset.files import read_json, read_jsonl, read_text
from boxset.labeling.gold import Share
from boxset.predictions.store import read_folder
from boxset.report.pictures import picture_folders
from boxset.resolve import Targets

Metrics = Mapping[str, Any]


class PlannedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One category of the plan; boxes and pictures."""

    category: str
    have: int
    target: int
    pictures: int
    expected: int
    candidates: int
    reviewed: int = 0
    waiting: int = 0
    interval: tuple[int, int] | None = None
    useful_box_mills: int | None = None


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What the report shows of `data/label/plan.json`. Money in mills (0.001 USD)."""

    items: tuple[msgspec.Raw, ...]
    rows: tuple[PlannedRow, ...]
    per_picture_mills: int
    cost_mills: int
    committed_mills: int
    budget_mills: int
    stops_at: str
    to_targets_pictures: int
    to_targets_mills: int
    to_targets_stops_at: str
    old_pictures: int
    old_categories: tuple[str, ...]
    old_mills: int
    review: str = "first"
    frozen: str = ""
    near_frozen: int = 0
    predictions: str = ""
    known: Share | None = None


@dataclass(frozen=True)
class ReportData:
    """A project's results: the data set by split, metrics by name (`crawl/hammer`), the plan, what was logged."""

    dataset: Mapping[str, Coco]
    metrics: Mapping[str, Metrics] = field(default_factory=dict)
    targets: Targets = field(default_factory=lambda: Targets(categories={}))
    plan: Planned | None = None
    conflicts: tuple[Conflict, ...] = ()
    balance_says: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    suspicious: tuple[Suspect, ...] | None = None  # None: there are no predictions

    @property
    def name(self) -> str:
        """Return the data set's name."""
        described = next((str(coco.info.get("description", "")) for coco in self.dataset.values()), "")
        return described.rpartition(",")[0] or "Data set"

    @property
    def pictures(self) -> int:
        """Return how many pictures the data set has."""
        return sum(len(coco.images) for coco in self.dataset.values())

    @property
    def categories(self) -> tuple[str, ...]:
        """Return the categories' names by id."""
        return tuple(dict.fromkeys(name for _, name in sorted({(c.id, c.name) for coco in self.dataset.values() for c in coco.categories})))

    @property
    def names(self) -> dict[str, str]:
        """Return the categories' names by their keys: metrics, targets and the plan go by key."""
        return names_of(category for coco in self.dataset.values() for category in coco.categories)

    @property
    def wanted(self) -> dict[str, int]:
        """Return how many boxes are wanted, by the categories' names."""
        return {self.names.get(key, key): target.target for key, target in self.targets.categories.items()}

    @property
    def figures(self) -> Metrics:
        """Return the data set's metrics, with the categories' names."""
        return with_names(self.metrics.get("dataset", {}), self.names)


def read_report_data(root: Path) -> ReportData:
    """Read what was built under `root`. Raises InputError naming a file that is not what it should be."""
    data = root / "data"
    targets, plan = data / "resolve/targets.json", data / "label/plan.json"
    return ReportData(
        dataset=(dataset := read_dataset(data / "dataset")),
        metrics=read_metrics(root / "metrics"),
        targets=read_json(targets, Targets) if targets.exists() else Targets(categories={}),
        plan=read_json(plan, Planned) if plan.exists() else None,
        conflicts=tuple(read_jsonl(data / "merge/conflicts.jsonl", Conflict)),
        balance_says=balance_words(data / "dataset/README.md"),
        folders=tuple(picture_folders(root)),
        suspicious=_suspicious(dataset, root / "predictions"),
    )


def _suspicious(dataset: Mapping[str, Coco], folder: Path) -> tuple[Suspect, ...] | None:
    predictions = read_folder(folder, categories={c.id: c.key for coco in dataset.values() for c in coco.categories})
    return tuple(suspects(dict(dataset), predictions)) if predictions.pictures else None


def read_dataset(folder: Path) -> dict[str, Coco]:
    """Return the COCO file of each split that there is."""
    paths = {split: folder / "annotations" / f"instances_{split}.json" for split in SPLITS}
    return {split: read_coco(path) for split, path in paths.items() if path.exists()}


def read_metrics(folder: Path) -> dict[str, Metrics]:
    """Return all metrics by their path without `.json`, in the order of paths."""
    found = sorted(folder.rglob("*.json"))
    return {path.relative_to(folder).with_suffix("").as_posix(): read_json(path, dict[str, Any]) for path in found}


def balance_words(card: Path) -> tuple[str, ...]:
    """Return what balance says it did, from the data set's card."""
    text = read_text(card) if card.exists() else ""
    section = text.partition("## Balance\n")[2].partition("\n## ")[0]
    return tuple(line.removeprefix("- ") for line in section.splitlines() if line.startswith("- "))

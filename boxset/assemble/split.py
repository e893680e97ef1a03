"""Train, val and test: groups of near-duplicates as units, stratified over boxes, remembered in `splits.csv` for good.

An image does not change its split as the data set grows. Where groups that lie in different splits become one, it goes to test, else val,
else train, so that nothing that was tested on is ever trained on. Only a new ratio or other rules for test (`ratio` and `rule` have a row of their own) move
groups, the fewest, and the floor (`min_boxes`) where new groups do not fill it: out of train alone, never out of test. Of two rows for one picture (after a merge
of branches) the same rule decides. Where the test set is frozen, it is what was frozen and nothing else (`assemble.freeze`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxset.assemble.balance import boxes_by_image
from boxset.assemble.trust import frozen_words, trust, trust_words
from boxset.conflicts import conflict_in
from boxset.dataset.coco import SPLITS, Coco, CocoImage
from boxset.errors import InputError
from boxset.files import write_csv
from boxset.params import Split
from boxset.wording import counted

STRENGTH = {"train": 0, "val": 1, "test": 2}
HEADER = ("sha256", "split")
SHA256 = re.compile(r"[0-9a-f]{64}")
RATIO = "ratio"
RULE = "rule"  # which sources may be in test; there is no such row where all may
OWN_ROWS = (RATIO, RULE)
NO_COPIES: Mapping[str, Sequence[str]] = {}
NO_QUERIES: Mapping[str, str] = {}
SLACK = 0.5  # groups are moved for a new ratio only where a split is off by more than this share of a group's mean size

Remembered = dict[str, str]


@dataclass(frozen=True)
class Parted:
    """Image → split, what to remember, and the counts."""

    assignment: dict[int, str]
    remembered: Remembered
    metrics: dict[str, Any]


@dataclass(frozen=True)
class _Group:
    key: str  # lowest SHA-256
    images: tuple[int, ...]
    weight: Counter[int]  # boxes by category, crowds apart; category 0 counts images
    past: frozenset[str]
    allowed: frozenset[str]

    @property
    def was(self) -> str:
        """Where it was: the strongest split where its pictures were in several; empty for a new one."""
        return _strongest(self.past)


def read_splits(path: Path) -> Remembered:
    """Read which split each picture went to; nothing where there is no file. Raises InputError naming the line."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    conflict = conflict_in(content, path)
    if conflict:
        raise conflict
    found: Remembered = {}
    for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):  # what is no UTF-8 is no SHA-256 either, and has a line
        row = [cell.strip('"') for cell in line.split(",")]  # as a spreadsheet may write them; no cell holds a comma
        if not line or (number == 1 and tuple(row) == HEADER):
            continue
        if len(row) == 2 and row[0] in OWN_ROWS:
            found[row[0]] = "|".join(sorted({*found.get(row[0], row[1]).split("|"), *row[1].split("|")}))
            continue
        if len(row) != 2 or row[1] not in SPLITS or not SHA256.fullmatch(row[0]):
            raise InputError(
                f"expected a SHA-256 and train, val or test, found {line[:80]!r}",
                where=f"{path}:{number}",
                do="Take the line from git's history",
            )
        found[row[0]] = _strongest((found.get(row[0], row[1]), row[1]))
    return found


def write_splits(path: Path, remembered: Remembered) -> None:
    """Write one line per picture, sorted."""
    write_csv(path, HEADER, sorted(remembered.items()))


def split(
    coco: Coco,
    past: Remembered,
    settings: Split,
    *,
    frozen: frozenset[int] | None = None,
    copies: Mapping[str, Sequence[str]] = NO_COPIES,
    queries: Mapping[str, str] = NO_QUERIES,
) -> Parted:
    """Assign every image; pictures that are gone stay remembered, so that they come back to the same split.

    `frozen`: the images that are the test set, and no others; None where it is not frozen. `copies`: SHA-256 → those of copies that gave
    way to it, so that a better copy goes where the picture was, and a worse one later where the better one is. `queries`: SHA-256 of crawled pictures → what found them.
    """
    groups = _groups(coco, _known_copies(past, copies), settings, frozen)
    ratio, rule = f"{settings.ratio.train:g}/{settings.ratio.val:g}/{settings.ratio.test:g}", _rule(settings)
    is_new_ratio = ratio not in past.get(RATIO, ratio).split("|")
    is_new_rule = rule not in past.get(RULE, "").split("|")
    assigned = {group.key: _kept(group, is_decided=is_new_rule or frozen is not None) for group in groups}
    state = _State(groups, assigned, settings)
    moved = {"ratio": 0, "floor": 0, "merged_groups": sum(len(group.past) > 1 for group in groups), "rule": sum(map(_is_evicted, groups))}
    if is_new_ratio:
        moved["ratio"] = state.rebalance()
    state.place_new()
    if frozen is None and (is_new_rule or (is_new_ratio and rule)):
        moved["rule"] += state.rebalance()  # what may be in test, where new groups do not fill it
    moved["floor"] = state.raise_to_floor()
    assignment = {image: state.split_of[group.key] for group in groups for image in group.images}
    rule = rule if frozen is None else past.get(RULE, "")  # rules wait while the test set is frozen
    remembered = {**_rows(coco, assignment, past, copies), RATIO: ratio, **({RULE: rule} if rule else {})}
    counts = counts_of(coco, assignment)
    test = trust(coco, {image for image, name in assignment.items() if name == "test"}, queries)
    rules = _room(coco, groups, counts["images"], settings) if frozen is None else {}
    short = _short(counts["boxes_by_split"], settings)
    return Parted(assignment, remembered, {**counts, "moved": moved, "short_of_min_boxes": short, "test": test, **rules})


def _rows(coco: Coco, assignment: Mapping[int, str], past: Remembered, copies: Mapping[str, Sequence[str]]) -> Remembered:
    """Return the past with the splits of now. All copies of a picture go along: one may stand alone later, and an old row would pull the picture back."""
    placed = {image.sha256: assignment[image.id] for image in coco.images}
    every = {one: (sha256, *others) for sha256, others in copies.items() for one in (sha256, *others)}
    along = {other: name for sha256, name in placed.items() for other in every.get(sha256, ())}
    return {**{name: row for name, row in past.items() if name != RULE}, **along, **placed}


def _rule(settings: Split) -> str:
    """Return which sources may be in test, as `splits.csv` has it; empty where all may."""
    lists = {"never_test": settings.never_test, "test_only_from": settings.test_only_from}
    return " ".join(f"{key}={'+'.join(sorted(set(names)))}" for key, names in lists.items() if names)


def _room(coco: Coco, groups: Sequence["_Group"], images: Mapping[str, int], settings: Split) -> dict[str, Any]:
    """Return what the rules leave to test: boxes and pictures that may be in it, and how many pictures its share lacks. Nothing without rules."""
    if not _rule(settings):
        return {}
    weight = sum((group.weight for group in groups if "test" in group.allowed), Counter[int]())
    boxes = {category.key: weight[category.id] for category in coco.categories}
    lacking = max(0, round(settings.ratio.test * len(coco.images)) - images["test"])
    return {"may_test": {"images": weight[0], "boxes": boxes, "short_of_ratio": lacking}}


def _short(boxes: dict[str, dict[str, int]], settings: Split) -> dict[str, dict[str, int]]:
    """Return split → category → how many boxes it lacks of the floor; of categories that have boxes, in splits that are wanted."""
    has_some = {category for counts in boxes.values() for category, count in counts.items() if count}
    wanted = [name for name in ("val", "test") if getattr(settings.ratio, name)]
    lacking = {name: {c: settings.min_boxes - n for c, n in boxes[name].items() if c in has_some and n < settings.min_boxes} for name in wanted}
    return {name: categories for name, categories in lacking.items() if categories}


def short_words(metrics: Mapping[str, Any], splits: Sequence[str] = ("val", "test")) -> list[str]:
    """Say of each of these splits and each category that is under the floor what it has, and what helps."""
    return [
        f"{category}: {name} has {(have := metrics['boxes_by_split'][name][category]):,} of the {counted(have + lacking, 'box')} of split.min_boxes. "
        + _what_helps(metrics, name, category)
        for name, categories in metrics.get("short_of_min_boxes", {}).items()
        if name in splits
        for category, lacking in categories.items()
        if not (name == "test" and category in metrics.get("frozen", {}).get("unknown_categories", ()))
    ]


def _what_helps(metrics: Mapping[str, Any], name: str, category: str) -> str:
    if name == "test" and "frozen" in metrics:
        return "The test set is frozen and takes nothing more; a new version can: docs/testset.md"
    if name == "test" and "may_test" in metrics:
        most = metrics["may_test"]["boxes"].get(category, 0)
        return f"The sources that may be in test have {most:,} in all, and no other fills it. More of theirs help; or change split.test_only_from, never_test"
    return "It says little about a detector. More boxes of it help (queries, crawl_images, labels); or lower split.min_boxes"


def room_words(metrics: Mapping[str, Any]) -> list[str]:
    """Say where the sources that may be in test do not fill its share."""
    room = metrics.get("may_test", {})
    if "frozen" in metrics or room.get("short_of_ratio", 0) <= _tolerance(sum(metrics.get("images", {}).values())):
        return []
    have, may = metrics["images"]["test"], room["images"]
    if not may:
        do = "Pictures of theirs that have no labels yet come in once people have drawn some (`boxset label plan`); or change split.test_only_from, never_test"
        return [f"the data set has no picture of a source that may be in test. {do}"]
    elsewhere = f"{may - have:,} of theirs are in train and val" if may > have else "none of theirs is left for train and val"
    wanted = f"{have + room['short_of_ratio']:,} that split.ratio wants"
    do = "Lower ratio.test or bring more of them"
    return [f"test has {counted(have, 'picture')} of the {wanted}: the sources that may be in it have {may:,}; {elsewhere}. {do}"]


def words_on_test(metrics: Mapping[str, Any]) -> list[str]:
    """Say in plain words all that limits the trust in a score on test, from `metrics/dataset.json`."""
    return [*frozen_words(metrics), *short_words(metrics, ("test",)), *room_words(metrics), *trust_words(metrics)]


def _groups(coco: Coco, past: Remembered, settings: Split, frozen: frozenset[int] | None) -> list[_Group]:
    boxes = boxes_by_image(coco)
    members: dict[int, list[CocoImage]] = {}
    for image in coco.images:
        members.setdefault(image.group, []).append(image)
    groups = []
    for images in members.values():
        weight: Counter[int] = Counter({0: len(images)})
        for image in images:
            weight.update(boxes.get(image.id, {}))
        was = frozenset(past[image.sha256] for image in images if image.sha256 in past)
        groups.append(_Group(min(i.sha256 for i in images), tuple(i.id for i in images), weight, was, _allowed(images, settings, frozen)))
    return sorted(groups, key=lambda group: group.key)


def _known_copies(past: Remembered, copies: Mapping[str, Sequence[str]]) -> Remembered:
    """Return the past with pictures that stand in for copies of theirs: these go where the copies were, to the strongest of their splits."""
    were = {sha256: _strongest(past[other] for other in (sha256, *others) if other in past) for sha256, others in copies.items()}
    return {**past, **{sha256: name for sha256, name in were.items() if name}}


def _strongest(splits: Iterable[str]) -> str:
    return max(splits, key=STRENGTH.__getitem__, default="")


def _allowed(images: Iterable[CocoImage], settings: Split, frozen: frozenset[int] | None) -> frozenset[str]:
    """Return the splits that a group may be in: whole groups, so one picture of a source that never is in test keeps all of its group out."""
    if frozen is not None:
        return frozenset({"test"} if any(image.id in frozen for image in images) else {"train", "val"})
    return frozenset(SPLITS if may_be_in_test(sources_of(images), settings) else ("train", "val"))


def sources_of(images: Iterable[CocoImage]) -> set[str]:
    """Return the sources of pictures and of their other copies."""
    return {name for image in images for name in (image.source, *(other.partition(":")[0] for other in image.also_in))}


def may_be_in_test(sources: set[str], settings: Split) -> bool:
    """Return whether a group whose pictures are from these sources may be in test."""
    return not sources & set(settings.never_test) and (not settings.test_only_from or bool(sources & set(settings.test_only_from)))


def _kept(group: _Group, *, is_decided: bool) -> str:
    """Return the split that a group was in; empty for a new one.

    Where it may not be there, it goes to train if that `is_decided` by a new rule or a freeze; otherwise what was tested on stays out of train.
    """
    if not _is_evicted(group):
        return group.was
    return next(name for name in (SPLITS if is_decided else SPLITS[::-1]) if name in group.allowed)


def _is_evicted(group: _Group) -> bool:
    """Return whether a group may not be where it was."""
    return bool(group.past) and group.was not in group.allowed


class _State:
    """The groups' splits while they are decided."""

    def __init__(self, groups: list[_Group], assigned: dict[str, str], settings: Split) -> None:
        self.groups, self.split_of, self._settings = groups, assigned, settings
        self.total: Counter[int] = Counter()
        for group in groups:
            self.total.update(group.weight)
        self.have = {name: Counter[int]() for name in SPLITS}
        for group in groups:
            if assigned[group.key]:
                self.have[assigned[group.key]].update(group.weight)
        self._ratio = {name: getattr(settings.ratio, name) for name in SPLITS}

    def place_new(self) -> None:
        """Place groups without a past, those of the rarest categories first, each where it is missed most.

        Where rules leave few to test, test takes of those first.
        """
        new = [group for group in self.groups if not self.split_of[group.key]]
        for group in sorted(new, key=lambda g: (-self._rarity(g), g.key)):
            is_scarce = bool(_rule(self._settings)) and "test" in group.allowed and self._missed(group, "test") > 0
            self._put(group, "test" if is_scarce else max(sorted(group.allowed, key=SPLITS.index), key=lambda name: self._missed(group, name)))

    def _rarity(self, group: _Group) -> float:
        return sum(count / self.total[category] for category, count in group.weight.items())

    def _missed(self, group: _Group, name: str) -> float:
        """Return how much nearer to the wished shares a split comes with a group, over its categories."""
        gain = 0.0
        for category, count in group.weight.items():
            wished = self._ratio[name] * self.total[category]
            before = wished - self.have[name][category]
            gain += (abs(before) - abs(before - count)) / self.total[category] + (before / wished * 1e-3 if wished else -1.0)
        return gain

    def _put(self, group: _Group, name: str) -> None:
        self.split_of[group.key] = name
        self.have[name].update(group.weight)

    def _move(self, group: _Group, name: str) -> None:
        self.have[self.split_of[group.key]].subtract(group.weight)
        self._put(group, name)

    def rebalance(self) -> int:
        """Move groups only where the wished shares cannot be reached by placing the new ones; return how many with a past moved."""
        new = sum(len(group.images) for group in self.groups if not self.split_of[group.key])
        moved = 0
        for name in SPLITS:
            surplus = self.have[name][0] - self._ratio[name] * self.total[0]
            if surplus <= _tolerance(self.total[0]):
                continue
            moved += self._shed(name, surplus, new)
        return moved

    def _shed(self, name: str, surplus: float, new: int) -> int:
        """Move groups of a split that is too large to those that lack more than the new groups can fill."""
        moved = 0
        lacking = {other: self._ratio[other] * self.total[0] - self.have[other][0] for other in SPLITS if other != name}
        short = sum(max(0.0, value) for value in lacking.values()) - new
        for group in sorted((g for g in self.groups if self.split_of[g.key] == name), key=lambda g: (-len(g.images), g.key)):
            size = group.weight[0]
            if min(surplus, short) < size * SLACK:
                continue
            goal = max((o for o in lacking if o in group.allowed), key=lambda o: lacking[o], default="")
            if not goal or lacking[goal] <= 0:
                continue
            self._move(group, goal)
            lacking[goal] -= size
            surplus, short, moved = surplus - size, short - size, moved + bool(group.past)
        return moved

    def raise_to_floor(self) -> int:
        """Take groups from train until val and test hold `min_boxes` of every category, where there are enough; new ones first.

        Return how many groups left train that had been there before.
        """
        return sum(self._raise(name, category) for name in ("test", "val") for category in sorted(c for c in self.total if c))

    def _raise(self, name: str, category: int) -> int:
        floor = min(self._settings.min_boxes, int(self.total[category] * self._ratio[name] * 2))
        if self.have[name][category] >= floor:
            return 0
        moved = 0
        spare = (g for g in self.groups if g.weight[category] and self.split_of[g.key] == "train" and name in g.allowed)
        for group in sorted(spare, key=lambda g: (len(g.images), g.key) if g.past else (0, g.key)):
            if self.have[name][category] >= floor:
                break
            self._move(group, name)
            moved += bool(group.past)
        return moved


def _tolerance(images: int) -> float:
    """Return by how many pictures a split may miss its share: groups are not parted, and boxes of every category want theirs."""
    return max(1.0, 0.02 * images)


def counts_of(coco: Coco, assignment: Mapping[int, str]) -> dict[str, Any]:
    """Return the pictures of each split, and the boxes of each category in all and in each split; crowds apart, which no score counts."""
    names = {category.id: category.key for category in coco.categories}
    images = {name: sum(part == name for part in assignment.values()) for name in SPLITS}
    boxes = {name: dict.fromkeys(names.values(), 0) for name in SPLITS}
    for image, counts in boxes_by_image(coco).items():
        for category, count in counts.items():
            boxes[assignment[image]][names[category]] += count
    total = {category: sum(boxes[name][category] for name in SPLITS) for category in names.values()}
    return {"images": images, "boxes": total, "boxes_by_split": boxes}

"""What changed between two versions of a data set: pictures, boxes, categories, splits, licences, sources.

Ids of images and annotations are ignored: a picture is its content, a box is its place, a category is its key in `params.yaml` whatever it is called.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from boxset.compare.matching import Mark, Pair, match
from boxset.dataset.coco import Coco, CocoImage, names_of
from boxset.dataset.geometry import scaled
from boxset.dataset.records import BBox
from boxset.wording import counted

ImageKind = Literal["added", "removed", "replaced", "split", "licence"]
BoxKind = Literal["added", "removed", "moved", "relabelled"]
SAME_PX = 0.01  # what rounding in a file may do to a coordinate
SAME_SHARE = 0.005  # and what scaling to another copy's size may do, as a share of its longer side
IMAGE_WORDS: Mapping[ImageKind, str] = {  # what is said of pictures that changed so, behind their number
    "added": "added",
    "removed": "removed",
    "replaced": "replaced by a better copy",
    "split": "in another split",
    "licence": "under another licence",
}


class ImageChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One picture that came, went, was replaced by another copy of itself, went to another split, or stands under another licence."""

    kind: ImageKind
    sha256: str  # of the newer version, where there is one
    file_name: str
    split: str
    source: str
    source_id: str
    boxes: dict[str, int]  # category → boxes
    old_sha256: str = ""
    old_split: str = ""
    licence: str = ""  # where it is another one
    old_licence: str = ""


class BoxChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One box that changed in a picture that both versions have. Boxes in pixels of the newer version's picture."""

    kind: BoxKind
    sha256: str
    file_name: str
    split: str
    category: str
    source: str
    old_category: str = ""
    old_bbox: BBox | None = None
    bbox: BBox | None = None
    iou: float | None = None

    @property
    def label(self) -> str:
        """Return its category, where it is another one with what it was."""
        return f"{self.old_category} → {self.category}" if self.old_category else self.category

    @property
    def places(self) -> str:
        """Return where it was and is, as far as it was and is there, in whole pixels."""
        return " → ".join(f"[{', '.join(f'{value:.0f}' for value in bbox)}]" for bbox in (self.old_bbox, self.bbox) if bbox is not None)


class CategoryChange(msgspec.Struct, frozen=True, kw_only=True):
    """A category's boxes, or its crowds, in both versions; `old + came + added - went - removed + relabelled_to - relabelled_from == new`."""

    old_images: int
    new_images: int
    old_boxes: int
    new_boxes: int
    came: int  # with pictures that were added
    went: int  # with pictures that were removed
    added: int  # in pictures that both have
    removed: int
    moved: int
    relabelled_from: int
    relabelled_to: int

    @property
    def changed(self) -> bool:
        """Whether anything of it changed."""
        return bool(self.came or self.went or self.added or self.removed or self.moved or self.relabelled_from or self.relabelled_to)

    @property
    def relabelled(self) -> str:
        """Say how many boxes got its name, and how many lost it; nothing where none did."""
        return " ".join(f"{sign}{count}" for sign, count in (("+", self.relabelled_to), ("−", self.relabelled_from)) if count)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A count in both versions."""

    old: int
    new: int


class ChangeInTest(msgspec.Struct, frozen=True, kw_only=True):
    """What changed of test: pictures that it gained, lost or has in another copy, and boxes in those that both have."""

    old: str
    added: int
    removed: int
    replaced: int
    boxes: int
    box_images: int  # pictures in which boxes changed

    @property
    def words(self) -> str:
        """Say it in one line."""
        changes = {"added": self.added, "removed": self.removed, "replaced by another copy": self.replaced}
        said = [f"{counted(count, 'picture')} {what}" for what, count in changes.items() if count]
        boxes = [f"{counted(self.boxes, 'box')} changed in {counted(self.box_images, 'picture')}"] if self.boxes else []
        return f"test: {', '.join([*said, *boxes])} since {self.old}" if said or boxes else f"test: unchanged since {self.old}"


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that changed from `old` to `new` (their names). All rendering starts from this value."""

    old: str
    new: str
    images: Change
    boxes: Change  # without crowds, as everything counts them
    categories: dict[str, CategoryChange]  # the crowds of a category, where it has any, on their own
    renamed: dict[str, str]  # categories that are called otherwise now: old name → new one
    splits: dict[str, dict[str, Change]]  # split → images, boxes
    licences: dict[str, Change]  # images
    sources: dict[str, Change]  # images
    image_changes: tuple[ImageChange, ...]
    box_changes: tuple[BoxChange, ...]
    test: ChangeInTest

    @property
    def is_empty(self) -> bool:
        """Whether the two versions hold the same."""
        return not self.image_changes and not self.box_changes and not self.renamed

    @property
    def renames(self) -> str:
        """Say in one line which categories are called otherwise now; nothing where none is."""
        return ", ".join(f"renamed {was} → {now}" for was, now in self.renamed.items())

    @property
    def mixes(self) -> dict[str, dict[str, Change]]:
        """Return the pictures by split, by source and by licence, of each those whose number changed."""
        every = {"split": {name: counts["images"] for name, counts in self.splits.items()}, "source": self.sources, "licence": self.licences}
        return {what: {name or "unknown": c for name, c in changes.items() if c.old != c.new} for what, changes in every.items()}

    @property
    def relicensed(self) -> dict[str, int]:
        """Return how many pictures that both versions have went from one licence to another (`CC-BY-2.0 → CC-BY-NC-2.0`)."""
        return dict(sorted(Counter(f"{c.old_licence} → {c.licence}" for c in self.image_changes if c.kind == "licence").items()))


@dataclass(frozen=True)
class _Shot:
    """A picture with its split, its boxes and the names it is known by."""

    image: CocoImage
    split: str
    licence: str
    boxes: tuple[tuple[str, int, BBox, str], ...]  # category, crowds by a name of their own, iscrowd, bbox, source; sorted, so that of two equal ways to pair them one is taken

    @property
    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(category for category, *_ in self.boxes).items()))

    @property
    def names(self) -> set[str]:
        return {f"{self.image.source}:{self.image.source_id}", *self.image.also_in}


def diff(old: Mapping[str, Coco], new: Mapping[str, Coco], *, names: tuple[str, str]) -> Diff:
    """Compare two versions, each given as split → COCO file. The order of records and their ids change nothing."""
    called = _called(old, new)
    before, after = _shots(old, called), _shots(new, called)
    both, removed, added = _paired(before, after)
    box_changes = [change for a, b in both for change in _box_changes(a, b)]
    image_changes = [
        *(_image_change("added", shot) for shot in added),
        *(_image_change("removed", shot) for shot in removed),
        *(change for a, b in both for change in _kept_image_changes(a, b)),
    ]
    return Diff(
        test=_test_change(names[0], image_changes, box_changes),
        old=names[0],
        new=names[1],
        images=Change(old=len(before), new=len(after)),
        boxes=_boxes(before, after),
        categories=_categories((before, after), (removed, added), box_changes, order=_category_order(old, new, called=called, shots=[*before, *after])),
        renamed=_renamed(old, new),
        splits={split: _split_change(before, after, split) for split in dict.fromkeys((*old, *new))},
        licences=_changes(before, after, lambda shot: shot.licence),
        sources=_changes(before, after, lambda shot: shot.image.source),
        image_changes=tuple(sorted(image_changes, key=lambda c: (c.kind, c.source, c.source_id, c.sha256))),
        box_changes=tuple(sorted(box_changes, key=lambda c: (c.sha256, c.category, c.kind, c.bbox or c.old_bbox or (0, 0, 0, 0)))),
    )


def _test_change(old: str, images: Sequence[ImageChange], boxes: Iterable[BoxChange]) -> ChangeInTest:
    kinds = Counter(_test_kind(change) for change in images)
    came = {change.sha256 for change in images if change.kind == "split"}  # what was no test before is counted whole
    changed = [change.sha256 for change in boxes if change.split == "test" and change.sha256 not in came]
    counts = {"added": kinds["added"], "removed": kinds["removed"], "replaced": kinds["replaced"]}
    return ChangeInTest(old=old, **counts, boxes=len(changed), box_images=len(set(changed)))


def _test_kind(change: ImageChange) -> str:
    """Return what a picture's change is to test; empty where it is none."""
    if change.kind == "split":
        return "added" if change.split == "test" else "removed" if change.old_split == "test" else ""
    return change.kind if change.split == "test" and change.old_split in ("", "test") else ""


def _names(version: Mapping[str, Coco]) -> dict[str, str]:
    """Return each category's name by its key."""
    return names_of(category for coco in version.values() for category in coco.categories)


def _called(old: Mapping[str, Coco], new: Mapping[str, Coco]) -> dict[str, str]:
    """Return by its key what each category is called here: its newest name, with the key where two would be called the same."""
    names = {**_names(old), **_names(new)}
    counts = Counter(names.values())
    return {key: name if counts[name] == 1 else f"{name} ({key})" for key, name in names.items()}


def _of_crowds(name: str) -> str:
    """Return what the crowds of a category are called: they are counted apart from its boxes."""
    return f"{name} (crowds)"


def _renamed(old: Mapping[str, Coco], new: Mapping[str, Coco]) -> dict[str, str]:
    was, now = _names(old), _names(new)
    return {name: now[key] for key, name in was.items() if now.get(key, name) != name}


def _shots(version: Mapping[str, Coco], called: Mapping[str, str]) -> list[_Shot]:
    return [shot for split, coco in version.items() for shot in _shots_of(split, coco, called)]


def _shots_of(split: str, coco: Coco, called: Mapping[str, str]) -> list[_Shot]:
    categories = {category.id: called[category.key] for category in coco.categories}
    licences = {licence.id: licence.name for licence in coco.licenses}
    boxes: dict[int, list[tuple[str, int, BBox, str]]] = {}
    for a in coco.annotations:
        boxes.setdefault(a.image_id, []).append((_of_crowds(categories[a.category_id]) if a.iscrowd else categories[a.category_id], a.iscrowd, a.bbox, a.source))
    return [_Shot(image, split, licences.get(image.license, ""), tuple(sorted(boxes.get(image.id, ())))) for image in coco.images]


def _paired(old: list[_Shot], new: list[_Shot]) -> tuple[list[tuple[_Shot, _Shot]], list[_Shot], list[_Shot]]:
    """Pair the same picture in both versions: by content, else by a copy that both know; return the pairs and both rests."""
    by_content = {shot.image.sha256: shot for shot in new}
    both = [(shot, by_content[shot.image.sha256]) for shot in old if shot.image.sha256 in by_content]
    seen = {shot.image.sha256 for shot, _ in both}
    old_left, new_left = ([shot for shot in side if shot.image.sha256 not in seen] for side in (old, new))
    by_name = {name: shot for shot in sorted(new_left, key=lambda s: s.image.sha256, reverse=True) for name in shot.names}
    went, came = set[str](), set[str]()
    for shot in sorted(old_left, key=lambda s: s.image.sha256):
        same = next((by_name[name] for name in sorted(shot.names) if name in by_name), None)
        if same is not None and same.image.sha256 not in came:
            went.add(shot.image.sha256)
            came.add(same.image.sha256)
            both.append((shot, same))
    return both, [s for s in old_left if s.image.sha256 not in went], [s for s in new_left if s.image.sha256 not in came]


def _box_changes(old: _Shot, new: _Shot) -> list[BoxChange]:
    if old.boxes == new.boxes and old.image.sha256 == new.image.sha256:
        return []
    across, down = new.image.width / old.image.width, new.image.height / old.image.height
    before = [Mark(n, (c, crowd), scaled(bbox, across, down)) for n, (c, crowd, bbox, _) in enumerate(old.boxes)]
    after = [Mark(n, (c, crowd), bbox) for n, (c, crowd, bbox, _) in enumerate(new.boxes)]
    tolerance = SAME_PX if old.image.sha256 == new.image.sha256 else SAME_SHARE * max(new.image.width, new.image.height)
    pairs = match(before, after, tolerance_px=tolerance)
    gone, found = {p.old.number for p in pairs}, {p.new.number for p in pairs}
    return [
        *(_pair_change(p, new) for p in pairs if p.old.label != p.new.label or p.iou < 1),
        *(_one_sided("removed", m, old, new) for m in before if m.number not in gone),
        *(_one_sided("added", m, new, new) for m in after if m.number not in found),
    ]


def _pair_change(pair: Pair, new: _Shot) -> BoxChange:
    (was, _), (now, _) = pair.old.label, pair.new.label
    return BoxChange(
        kind="moved" if pair.old.label == pair.new.label else "relabelled",
        sha256=new.image.sha256,
        file_name=new.image.file_name,
        split=new.split,
        category=now,
        old_category=was if pair.old.label != pair.new.label else "",
        source=new.boxes[pair.new.number][3],
        old_bbox=_rounded(pair.old.bbox),
        bbox=pair.new.bbox,
        iou=round(pair.iou, 4),
    )


def _one_sided(kind: BoxKind, mark: Mark, owner: _Shot, new: _Shot) -> BoxChange:
    return BoxChange(
        kind=kind,
        sha256=new.image.sha256,
        file_name=new.image.file_name,
        split=new.split,
        category=mark.label[0],
        source=owner.boxes[mark.number][3],
        old_bbox=_rounded(mark.bbox) if kind == "removed" else None,
        bbox=mark.bbox if kind == "added" else None,
    )


def _rounded(bbox: BBox) -> BBox:
    x, y, w, h = (round(value, 4) for value in bbox)
    return x, y, w, h


def _image_change(kind: ImageKind, shot: _Shot, *, old: _Shot | None = None) -> ImageChange:
    return ImageChange(
        kind=kind,
        sha256=shot.image.sha256,
        file_name=shot.image.file_name,
        split=shot.split,
        source=shot.image.source,
        source_id=shot.image.source_id,
        boxes=shot.counts,
        old_sha256=old.image.sha256 if old else "",
        old_split=old.split if old else "",
        licence=shot.licence if kind == "licence" else "",
        old_licence=old.licence if old and kind == "licence" else "",
    )


def _kept_image_changes(old: _Shot, new: _Shot) -> list[ImageChange]:
    kinds: list[ImageKind] = []
    if old.image.sha256 != new.image.sha256:
        kinds.append("replaced")
    if old.split != new.split:
        kinds.append("split")
    if old.licence != new.licence:
        kinds.append("licence")
    return [_image_change(kind, new, old=old) for kind in kinds]


def _category_order(*versions: Mapping[str, Coco], called: Mapping[str, str], shots: Iterable[_Shot]) -> list[str]:
    """Return what all categories are called, by id, the crowds of each after its boxes where there are some."""
    known = {(c.id, called[c.key]) for version in versions for coco in version.values() for c in coco.categories}
    crowds = {category for shot in shots for category, crowd, *_ in shot.boxes if crowd}
    every = (one for _, name in sorted(known) for one in (name, *({_of_crowds(name)} & crowds)))
    return list(dict.fromkeys(every))


def _categories(
    versions: tuple[list[_Shot], list[_Shot]], moved: tuple[list[_Shot], list[_Shot]], changes: list[BoxChange], *, order: list[str]
) -> dict[str, CategoryChange]:
    (old, new), (removed, added) = versions, moved
    kinds = Counter((change.kind, change.category) for change in changes)
    left = Counter(change.old_category for change in changes if change.kind == "relabelled")
    boxes, images = [_box_counts(side) for side in (old, new, removed, added)], [_image_counts(side) for side in (old, new)]
    return {
        name: CategoryChange(
            old_images=images[0][name],
            new_images=images[1][name],
            old_boxes=boxes[0][name],
            new_boxes=boxes[1][name],
            went=boxes[2][name],
            came=boxes[3][name],
            added=kinds["added", name],
            removed=kinds["removed", name],
            moved=kinds["moved", name],
            relabelled_from=left[name],
            relabelled_to=kinds["relabelled", name],
        )
        for name in order
    }


def _box_counts(shots: Iterable[_Shot]) -> Counter[str]:
    return Counter(category for shot in shots for category, *_ in shot.boxes)


def _image_counts(shots: Iterable[_Shot]) -> Counter[str]:
    return Counter(category for shot in shots for category in shot.counts)


def _split_change(old: list[_Shot], new: list[_Shot], split: str) -> dict[str, Change]:
    before, after = ([shot for shot in side if shot.split == split] for side in (old, new))
    return {
        "images": Change(old=len(before), new=len(after)),
        "boxes": _boxes(before, after),
    }


def _boxes(old: Iterable[_Shot], new: Iterable[_Shot]) -> Change:
    before, after = (sum(not crowd for shot in side for _, crowd, *_ in shot.boxes) for side in (old, new))
    return Change(old=before, new=after)


def _changes(old: list[_Shot], new: list[_Shot], of: Callable[[_Shot], str]) -> dict[str, Change]:
    before, after = Counter(map(of, old)), Counter(map(of, new))
    return {name: Change(old=before[name], new=after[name]) for name in sorted(before | after)}

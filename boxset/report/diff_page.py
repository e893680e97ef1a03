"""What changed between two versions as one HTML page, the old and new boxes drawn on the pictures that are on this machine."""

from collections.abc import Iterable, Mapping, Sequence

from boxset.compare.diff import BoxChange, CategoryChange, Change, Diff, ImageChange
from boxset.dataset.coco import Coco
from boxset.report.html import Column, Content, Html, box_keys, coded, joined, number, page, section, table, tag, tiles
from boxset.report.pictures import Drawn, Pictures, shot
from boxset.wording import counted

EACH = 60  # pictures drawn of one category or kind
SIDES = {"added": "new", "removed": "old", "moved": "moved", "relabelled": "moved"}
LINES = {"old": "dashed red: as it was", "new": "solid green: new", "moved": "dotted orange: where a moved or relabelled box is now"}
KINDS = {"added": "Pictures added", "removed": "Pictures removed", "replaced": "Replaced by a better copy", "split": "In another split", "licence": "Under another licence"}

Sizes = dict[str, tuple[int, int]]
Boxes = dict[str, list[Drawn]]
Version = Mapping[str, Coco]


def diff_page(diff: Diff, before: Version, after: Version, pictures: Pictures) -> str:
    """Return the page; `before` and `after` are what was compared."""
    sizes = {image.sha256: (image.width, image.height) for version in (before, after) for coco in version.values() for image in coco.images}
    boxes = _drawn_of(before, "old") | _drawn_of(after, "new")
    title = f"What changed: {diff.old} → {diff.new}"
    made = {"counts": ("Counts", section("counts", "Counts", _categories(diff), _mixes(diff)))}
    for place, name in enumerate(diff.categories, 1):
        changes = [c for c in diff.box_changes if name in (c.category, c.old_category)]
        if changes:
            anchor = f"category-{place}"
            made[anchor] = (name, section(anchor, name, _box_sheet(changes, pictures, sizes)))
    for kind, words in KINDS.items():
        images = [c for c in diff.image_changes if c.kind == kind]
        if images:
            made[f"pictures-{kind}"] = (words, section(f"pictures-{kind}", words, _image_sheet(images, pictures, sizes, boxes=boxes)))
    totals = ((_delta(diff.images), "pictures"), (_delta(diff.boxes), "boxes"), (len(diff.box_changes), "boxes changed in pictures that both have"))
    said = [tag("p", words) for words in (diff.renames, diff.test.words) if words]
    more = tag("p", coded("`boxset explain PICTURE` tells the history of a picture, by the digits under it."), class_="soft")
    return page(title, joined([tiles(totals), *said, box_keys(LINES), more]), made, footer="Made by boxset diff.")


def _drawn_of(version: Version, kind: str) -> Boxes:
    """Return the boxes of every picture, by SHA-256."""
    found: Boxes = {}
    for coco in version.values():
        names, pictures = {c.id: c.name for c in coco.categories}, {image.id: image.sha256 for image in coco.images}
        for a in coco.annotations:
            found.setdefault(pictures[a.image_id], []).append(Drawn(a.bbox, kind, f"{names[a.category_id]}, {a.source}"))
    return found


def _delta(change: Change) -> str:
    grown = f" ({change.new - change.old:+,})".replace("-", "−")
    return number(change.new) + (grown if change.new != change.old else "")


def _categories(diff: Diff) -> Html:
    columns = [Column("category"), *map(Column, ("before", "now", "came", "went", "added", "removed", "moved", "relabelled to", "relabelled from"))]
    came = "Came and went: with pictures that were added or removed. Added and removed: in pictures that both versions have."
    lead = f"{came} Relabelled to and from: boxes that got, or lost, the category’s name. Empty: none."
    rows = [(name, *_cells(c)) for name, c in diff.categories.items()]
    return joined([tag("p", lead), table(columns, rows, name="boxes by category")])


def _cells(c: CategoryChange) -> Sequence[Content]:
    changed = (c.came, c.went, c.added, c.removed, c.moved, c.relabelled_to, c.relabelled_from)
    return c.old_boxes, c.new_boxes, *(n or None for n in changed)


def _mixes(diff: Diff) -> Html:
    columns = [Column("pictures by"), Column("which", "left"), Column("before"), Column("now")]
    rows = [(what, name, c.old, c.new) for what, changes in diff.mixes.items() for name, c in changes.items()]
    return table(columns, rows, name="pictures by split, source and licence") if rows else Html("")


def _box_sheet(changes: Sequence[BoxChange], pictures: Pictures, sizes: Sizes) -> Html:
    by_picture: dict[str, list[BoxChange]] = {}
    for change in changes:
        by_picture.setdefault(change.sha256, []).append(change)
    shots = [_box_shot(some, pictures, sizes) for _, some in zip(range(EACH), by_picture.values(), strict=False)]
    return joined([tag("div", *shots, class_="sheet large"), _left_over(len(by_picture))])


def _box_shot(changes: Sequence[BoxChange], pictures: Pictures, sizes: Sizes) -> Html:
    first = changes[0]
    words = ", ".join(dict.fromkeys(_words(change) for change in changes))
    caption = joined([tag("b", words), Html("<br>"), f"{first.split} · {first.sha256[:12]}"])
    drawn = [box for change in changes for box in _drawn(change)]
    return shot(pictures.address(first.file_name), sizes[first.sha256], drawn, alt=words, caption=caption)


def _words(change: BoxChange) -> str:
    if change.kind == "relabelled":
        return change.label
    return f"moved, IoU {change.iou:.2f}" if change.kind == "moved" and change.iou is not None else change.kind


def _drawn(change: BoxChange) -> Iterable[Drawn]:
    if change.old_bbox is not None:
        yield Drawn(change.old_bbox, "old", f"was {change.old_category or change.category}")
    if change.bbox is not None:
        yield Drawn(change.bbox, SIDES[change.kind], f"{change.category}, {change.source}")


def _image_sheet(changes: Sequence[ImageChange], pictures: Pictures, sizes: Sizes, *, boxes: Boxes) -> Html:
    shots = [_image_shot(c, pictures, sizes[c.sha256], boxes.get(c.sha256, [])) for c in changes[:EACH]]
    return joined([tag("div", *shots, class_="sheet large"), _left_over(len(changes))])


def _image_shot(change: ImageChange, pictures: Pictures, size: tuple[int, int], drawn: Sequence[Drawn]) -> Html:
    words = ", ".join(f"{n} {name}" for name, n in change.boxes.items()) or "no boxes"
    moved = f"{change.old_split} → {change.split}" if change.kind == "split" else change.split
    moved = f"{change.old_licence} → {change.licence}" if change.kind == "licence" else moved
    caption = joined([tag("b", words), Html("<br>"), f"{change.source}, {moved} · {change.sha256[:12]}"])
    return shot(pictures.address(change.file_name), size, drawn, alt=words, caption=caption)


def _left_over(count: int) -> Html:
    return tag("p", f"And {counted(count - EACH, 'more picture')}; `boxset diff --json` has them all.", class_="soft") if count > EACH else Html("")

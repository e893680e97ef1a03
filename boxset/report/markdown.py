"""What changed between two versions as Markdown, for a pull request: compact, each category folded."""

from collections import Counter
from collections.abc import Iterable

from boxset.compare.diff import IMAGE_WORDS, BoxChange, CategoryChange, Change, Diff, ImageChange
from boxset.wording import counted

EACH = 15  # changes named in one fold
_BAR = "\\|"  # in a cell of a table
MOST = 60_000  # characters; GitHub refuses a comment of more than 65,536


def diff_markdown(diff: Diff) -> str:
    """Return what changed; a text that is too long for a comment loses its folds from the end and says so."""
    head = [f"### Data set: `{diff.old}` → `{diff.new}`", ""]
    if diff.is_empty:
        return "\n".join([*head, "The two hold the same pictures, boxes, splits and licences.", "", diff.test.words, ""])
    head += [f"**{_delta(diff.images, 'picture')} · {_delta(diff.boxes, 'box')}**", "", *_categories(diff), "", *_mixes(diff)]
    head += [*([f"- {diff.renames}"] if diff.renamed else []), f"- {diff.test.words}", ""]
    text, left = "\n".join(head), 0
    for fold in _folds(diff):
        if len(text) + len(fold) > MOST:
            left += 1
        else:
            text += f"\n{fold}"
    return text + (f"\n{counted(left, 'more list')} did not fit; `boxset diff --json` has them all.\n" if left else "")


def _delta(change: Change, word: str) -> str:
    return counted(change.new, word) + (f" ({_signed(change.new - change.old)})" if change.new != change.old else "")


def _signed(number: int) -> str:
    return f"+{number:,}" if number > 0 else f"−{-number:,}" if number else ""


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    titles = list(header)
    lines = [f"| {' | '.join(titles)} |", "|---" + "|--:" * (len(titles) - 1) + "|"]
    return [*lines, *(f"| {' | '.join(cell.replace('|', _BAR) for cell in row)} |" for row in rows)]


def _categories(diff: Diff) -> list[str]:
    header = ("category", "boxes", "Δ", "came¹", "went¹", "added²", "removed²", "moved", "relabelled")
    rows = [(name, *_cells(c)) for name, c in diff.categories.items() if c.changed]
    note = "<sub>¹ with pictures that were added or removed · ² in pictures that both versions have</sub>"
    return [*_table(header, rows), "", note] if rows else ["No box changed."]


def _cells(c: CategoryChange) -> tuple[str, ...]:
    counts = (f"{n:,}" if n else "" for n in (c.came, c.went, c.added, c.removed, c.moved))
    return f"{c.new_boxes:,}", _signed(c.new_boxes - c.old_boxes), *counts, c.relabelled


def _mixes(diff: Diff) -> list[str]:
    told = {what: ", ".join(f"{name} {c.old:,} → {c.new:,}" for name, c in changes.items()) for what, changes in diff.mixes.items()}
    return [f"- {what.capitalize()}s (pictures): {words}" for what, words in told.items() if words]


def _folds(diff: Diff) -> Iterable[str]:
    for name in diff.categories:
        boxes = [c for c in diff.box_changes if name in (c.category, c.old_category)]
        if boxes:
            counts = Counter(c.kind for c in boxes)
            yield _fold(f"{name}: {', '.join(f'{n:,} {kind}' for kind, n in sorted(counts.items()))}", map(_box_line, boxes), len(boxes))
    for kind, title in IMAGE_WORDS.items():
        images = [c for c in diff.image_changes if c.kind == kind]
        if images:
            yield _fold(f"{counted(len(images), 'picture')} {title}", map(_image_line, images), len(images))


def _fold(title: str, lines: Iterable[str], count: int) -> str:
    shown = [line for _, line in zip(range(EACH), lines, strict=False)]
    more = [f"- … and {count - EACH:,} more"] if count > EACH else []
    return "\n".join([f"<details><summary>{title}</summary>", "", *shown, *more, "", "</details>", ""])


def _box_line(change: BoxChange) -> str:
    overlap = f", IoU {change.iou:.2f}" if change.iou is not None else ""
    return f"- `{change.sha256[:12]}` {change.kind}: {change.label} {change.places}{overlap} ({change.source}, {change.split})"


def _image_line(change: ImageChange) -> str:
    boxes = ", ".join(f"{n} {name}" for name, n in change.boxes.items()) or "no boxes"
    was = f"; was in {change.old_split}" if change.kind == "split" else f"; was `{change.old_sha256[:12]}`" if change.old_sha256 else ""
    was = f"; was under {_plain(change.old_licence)}, is under {_plain(change.licence)}" if change.kind == "licence" else was
    return f"- `{change.sha256[:12]}` {change.split}, from {change.source} `{_plain(change.source_id)}`: {boxes}{was}"


def _plain(text: str) -> str:
    """Return a name from outside without what would end its code span or make it long."""
    return text.replace("`", "'").replace("\n", " ")[:80]

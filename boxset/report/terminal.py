"""Tables for the terminal: the state of a project, and what changed between two versions."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from boxset.compare.diff import IMAGE_WORDS, CategoryChange, Change, Diff
from boxset.report.status import REPORT, TRAINING, Status, next_step
from boxset.terminal import whole_width
from boxset.wording import counted, money

BAR = 8
LEGEND = "came, went: with their pictures; added, removed: in pictures that both have"
FIRST = 12  # changes that are named one by one


class Whole:
    """A table with its columns whole, also where the terminal is narrower: print it with `crop=False`."""

    def __init__(self, table: Table) -> None:
        """Hold the table."""
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table as wide as it needs."""
        yield from console.render(self.table, options.update(width=whole_width(console, self.table, options)))


def status_text(state: Status) -> RenderableType:
    """Return the state of a project for the terminal; print it with `crop=False`."""
    below = Table.grid(padding=(0, 2))
    below.add_column(style="dim", no_wrap=True)
    below.add_column()
    for title, words in _facts(state):
        below.add_row(title, words)
    return Group(Whole(_categories(state)), Text(), below)


def _categories(state: Status) -> Table:
    table = _table("category", "wanted", "public", "people", "in set", "", "train", "val", "test", "crawl kept", left=(5,))
    for c in state.categories:
        bar, colour = _progress(c.boxes, c.wanted)
        crawl = f"{c.kept:,} of {c.tried:,}" if c.tried else "–"
        counts = (c.wanted, c.public, c.people, c.boxes)
        table.add_row(c.name, *map(_n, counts), Text(bar, style=colour), *map(_n, c.by_split.values()), crawl)
    total = [sum(getattr(c, field) for c in state.categories) for field in ("wanted", "public", "people", "boxes")]
    splits = [sum(c.by_split[split] for c in state.categories) for split in state.pictures]
    table.add_row("boxes", *map(_n, total), "", *map(_n, splits), "", style="bold")
    table.add_row("pictures", "", "", "", _n(sum(state.pictures.values())), "", *map(_n, state.pictures.values()), "")
    return table


def _progress(have: int, wanted: int) -> tuple[str, str]:
    full = BAR if not wanted else min(BAR, BAR * have // wanted)
    return "━" * full + "╌" * (BAR - full), "green" if full == BAR else "yellow"


def _facts(state: Status) -> Iterable[tuple[str, RenderableType]]:
    for origin, funnel in state.funnels.items():
        yield origin, Text(" → ".join(f"{count:,} {step}" for step, count in funnel.items()))
    out = f", {state.unused:,} of these not in it (`boxset explain` says why)" if state.unused else ""
    yield "data set", coded(f"{counted(sum(state.pictures.values()), 'picture')}; people have labelled {state.labelled:,}{out}")
    planned = f"; the next plan: {counted(state.planned, 'picture')}, {money(state.planned_usd)}" if state.planned else ""
    planned = "; the plan is older than what was reviewed: `dvc repro label` first" if state.is_review_new else planned
    planned = "; the plan is older than the ledger: `dvc repro label` first" if state.is_plan_old else planned
    yield "labels", coded(f"{money(state.spent_usd)} spent or reserved of {money(state.budget_usd)}{planned}")
    looked = [f"{c.name} {c.reviewed:,} of {c.reviewed + c.to_review:,}" for c in state.categories if c.reviewed or c.to_review]
    if looked:
        yield "reviewed", Text(", ".join(looked))
    yield from (("waiting", coded(sentence)) for sentence in state.waiting)
    yield from (("amiss", coded(fault)) for fault in state.faults)
    yield from (("val set", coded(sentence)) for sentence in state.val_says)
    yield from (("test set", coded(sentence)) for sentence in (state.frozen, *state.test_says) if sentence)
    if state.is_built:
        yield "look at", Text(REPORT)
    if state.pictures.get("train"):
        yield "train on", Text(TRAINING)
    yield "next", coded(next_step(state))


def coded(sentence: str) -> Text:
    """Return a sentence in which `…` stands out."""
    text = Text()
    for position, part in enumerate(re.split("`", sentence)):
        text.append(part, style="bold cyan" if position % 2 else "")
    return text


def diff_text(diff: Diff) -> RenderableType:
    """Return what changed, for the terminal; print it with `crop=False`."""
    head = Text.assemble((diff.old, "bold"), " → ", (diff.new, "bold"))
    if diff.is_empty:
        return Group(head, Text("The two hold the same pictures, boxes, splits and licences."), Text(diff.test.words))
    totals = Text.assemble("pictures ", _change(diff.images), "   boxes ", _change(diff.boxes))
    renamed = [Text(diff.renames)] if diff.renamed else []
    parts: list[RenderableType] = [head, totals, *renamed, Text(), Whole(_changed_categories(diff)), Text(LEGEND, style="dim"), Text(), _changed_rest(diff), Text(diff.test.words)]
    return Group(*parts, *_named(diff))


def _changed_categories(diff: Diff) -> Table:
    table = _table("category", "boxes", "", "came", "went", "added", "removed", "moved", "relabelled", left=(2,))
    for name, c in diff.categories.items():
        table.add_row(Text(name), *_category_cells(c), style="" if c.changed else "dim")
    return table


def _category_cells(c: CategoryChange) -> tuple[RenderableType, ...]:
    counts = (c.came, c.went, c.added, c.removed, c.moved)
    marked = [Text(f"{n:,}" if n else "·", style=style if n else "dim") for n, style in zip(counts, _STYLES, strict=True)]
    arrow = f"{c.old_boxes:,} → {c.new_boxes:,}" if c.old_boxes != c.new_boxes else f"{c.new_boxes:,}"
    return arrow, signed(c.new_boxes - c.old_boxes), *marked, Text(c.relabelled or "·", style="yellow" if c.relabelled else "dim")


_STYLES = ("green", "red", "green", "red", "yellow")


def _changed_rest(diff: Diff) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    grid.add_row("pictures", Text(", ".join(picture_words(diff)) or "none changed"))
    for what, changes in diff.mixes.items():
        if changes:
            grid.add_row(f"{what}s", Text("   ").join(Text.assemble(f"{name} ", _change(change)) for name, change in changes.items()))
    if diff.relicensed:
        grid.add_row("relicensed", Text("   ").join(Text(f"{what}: {count:,}") for what, count in diff.relicensed.items()))
    return grid


def picture_words(diff: Diff) -> list[str]:
    """Return how many pictures came, went, were replaced and went to another split."""
    counts = Counter(change.kind for change in diff.image_changes)
    return [f"{counts[kind]:,} {words}" for kind, words in IMAGE_WORDS.items() if counts[kind]]


def _named(diff: Diff) -> list[RenderableType]:
    """Return the first boxes that changed in pictures that both have: what a count hides."""
    if not diff.box_changes:
        return []
    grid = Table.grid(padding=(0, 2))
    for change in diff.box_changes[:FIRST]:
        overlap = f"IoU {change.iou:.2f}" if change.iou is not None else ""
        grid.add_row(Text(change.kind, style=_KINDS[change.kind]), Text(change.label), overlap, Text(change.sha256[:12], style="dim"))
    left = len(diff.box_changes) - FIRST
    more = [coded(f"and {left:,} more: `boxset diff --html FILE` draws them, `--json` lists them")] if left > 0 else []
    return [Text(), grid, *more]


_KINDS = {"added": "green", "removed": "red", "moved": "yellow", "relabelled": "yellow"}


def _change(change: Change) -> Text:
    if change.old == change.new:
        return Text(f"{change.new:,}")
    return Text.assemble(f"{change.old:,} → {change.new:,} (", signed(change.new - change.old), ")")


def signed(number: int) -> Text:
    """Return a difference with its sign; nothing for none."""
    if not number:
        return Text("")
    return Text(f"+{number:,}", style="green") if number > 0 else Text(f"−{-number:,}", style="red")


def _table(*titles: str, left: Sequence[int] = ()) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for position, title in enumerate(titles):
        table.add_column(title, justify="left" if position == 0 or position in left else "right", no_wrap=True)
    return table


def _n(count: int) -> str:
    return f"{count:,}"

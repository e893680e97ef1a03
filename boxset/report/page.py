"""The report: one HTML page that says what was built, and needs no network to be read."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from boxset.compare.suspicious import frozen_words
from boxset.files import write_json, write_text
from boxset.report import gallery, html, sections
from boxset.report.data import ReportData, read_report_data
from boxset.report.figures import Box, boxes_of, without_crowds
from boxset.report.html import Content, Html, tag
from boxset.report.pictures import Pictures
from boxset.report.suspicious_page import suspicious_section
from boxset.wording import counted, dollars, noun

__all__ = ["read_report_data", "render", "write_report"]

SUSPECT_BYTES = 600_000  # of crops, where there are predictions
SUSPECTS = 24  # crops in the page; `boxset suspicious` has all
PICTURE_BYTES = 2_400_000  # of thumbnails in the page, so that it stays under 3 MB


def write_report(out: Path, data: ReportData) -> None:
    """Write `index.html`, and the counts behind its first plot for `dvc plots`."""
    write_text(out / "index.html", render(data))
    write_json(out / "boxes.json", box_series(data))


def render(data: ReportData) -> str:
    """Return the page; the same data give the same bytes."""
    boxes = boxes_of(data.dataset)
    plain = without_crowds(boxes)
    made: dict[str, tuple[str, Callable[[], Html]]] = {
        "categories": ("Categories", lambda: sections.categories(data, plain)),
        "splits": ("Splits", lambda: sections.splits(data)),
        "funnel": ("Funnel", lambda: sections.funnel(data)),
        "boxes": ("Boxes", lambda: sections.boxes(data, plain)),
        "known": ("What is known", lambda: sections.known(data)),
        "licences": ("Licences", lambda: sections.licences(data)),
        "plan": ("Next purchase", lambda: sections.plan(data)),
        "gallery": ("Gallery", lambda: gallery.gallery(data, boxes, budget=PICTURE_BYTES * 3 // 4)),
        "look": ("Worth a look", lambda: gallery.worth_a_look(data, boxes, budget=PICTURE_BYTES // 4)),
    }
    if (found := data.suspicious) is not None:
        says = frozen_words(found, data.metrics.get("dataset", {}).get("frozen", {}).get("name", ""))
        made["suspicious"] = ("Suspicious labels", lambda: suspicious_section(found, SUSPECTS, Pictures(data.folders, SUSPECT_BYTES), says))
    written = {anchor: (name, html.section(anchor, name, make())) for anchor, (name, make) in made.items()}
    footer = "Made by the stage report from data/ and metrics/. The same data give the same page."
    return html.page(data.name, _header(data, boxes), written, footer=footer)


def box_series(data: ReportData) -> list[dict[str, str | int]]:
    """Return boxes by category, source and split, one record each, as `dvc plots` reads them; crowds apart."""
    counts = Counter((box.category, box.annotation.source, box.split) for box in without_crowds(boxes_of(data.dataset)))
    return [{"category": c, "source": s, "split": p, "boxes": n} for (c, s, p), n in sorted(counts.items())]


def _header(data: ReportData, boxes: Sequence[Box]) -> Html:
    have = Counter(box.category for box in without_crowds(boxes))
    crowds = len(boxes) - have.total()
    wanted = data.wanted
    reached = sum(have[name] >= target for name, target in wanted.items())
    facts: list[tuple[Content, str]] = [
        (data.pictures, noun(data.pictures, "picture")),
        (have.total(), noun(have.total(), "box") + (f", and {counted(crowds, 'crowd')}" if crowds else "")),
        (f"{reached} of {len(wanted)}", "categories at their target"),
        (len({box.annotation.source for box in boxes}), "sources of boxes"),
    ]
    if data.plan is not None:
        facts.append((dollars(data.plan.committed_mills), f"spent or reserved, of {dollars(data.plan.budget_mills)}"))
    return html.joined([tag("p", "What was built, from where, and what is still missing.", class_="soft"), html.tiles(facts)])

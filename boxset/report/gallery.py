"""Pictures in the report: a contact sheet of each category, and what a person should look at."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest

from boxset.assemble.split import short_words
from boxset.report.data import ReportData
from boxset.report.figures import Box, Odd, by_category, odd_boxes
from boxset.report.html import Content, Html, box_keys, coded, joined, tag
from boxset.report.pictures import Drawn, Pictures, shot
from boxset.wording import counted

SHEET = 21  # pictures of a category: whole rows on a wide screen
SHOTS = 240  # pictures of all categories together
LOOK = 35


def gallery(data: ReportData, boxes: Sequence[Box], *, budget: int) -> Html:
    """Return a contact sheet for each category: its sources in turn, its boxes in green, those of others dashed."""
    grouped = by_category(boxes)
    names = [name for name in data.categories if name in grouped]
    each = min(SHEET, max(4, SHOTS // max(1, len(names))))
    of_image = _by_image(boxes)
    sheets = []
    for name in names:
        pictures = Pictures(data.folders, budget // len(names))
        chosen = _chosen(grouped[name], each)
        shots = [_shot(sha256, of_image[sha256], name, pictures) for sha256 in chosen]
        count = len({box.image.sha256 for box in grouped[name]})
        title = tag("h3", f"{name} ", tag("small", f"{len(chosen)} of {counted(count, 'picture')}"))
        sheets.append(joined([title, tag("div", *shots, class_="sheet")]))
    lead = "A few pictures of each category, its sources in turn; under each its source, its split and the digits that `boxset explain` knows it by."
    return joined([tag("p", coded(lead)), box_keys({"mine": "solid green: of the category", "other": "dashed white: of others"}), *sheets])


def worth_a_look(data: ReportData, boxes: Sequence[Box], *, budget: int) -> Html:
    """Return splits under the floor, boxes far from their category's usual size or shape, and records that contradict each other."""
    short = _short(data)
    odd = _varied(odd_boxes(boxes))
    pictures = Pictures(data.folders, budget)
    lead = "Not errors by themselves (drawn in red): boxes far from the usual size or shape of their category, and places where sources contradict each other."
    if not odd and not data.conflicts:
        return short if short.text else tag("p", "Nothing stands out.")
    sheet = tag("div", *(_odd_shot(one, pictures) for one in odd), class_="sheet")
    return joined([short, tag("p", lead), sheet, _conflicts(data)])


def _short(data: ReportData) -> Html:
    lines = [tag("li", coded(line)) for line in short_words(data.figures)]
    return joined([tag("h3", "Too few to measure by"), tag("ul", *lines, class_="warn")]) if lines else Html("")


def _by_image(boxes: Sequence[Box]) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = {}
    for box in boxes:
        found.setdefault(box.image.sha256, []).append(box)
    return found


def _chosen(boxes: Sequence[Box], most: int) -> list[str]:
    """Return pictures, the sources in turn, within a source by hash: a mixed sample that stays the same."""
    by_source: dict[str, set[str]] = {}
    for box in boxes:
        by_source.setdefault(box.annotation.source, set()).add(box.image.sha256)
    turns = zip_longest(*(sorted(by_source[source]) for source in sorted(by_source)))
    return list(dict.fromkeys(sha256 for sha256 in chain.from_iterable(turns) if sha256))[:most]


def _shot(sha256: str, boxes: Sequence[Box], category: str, pictures: Pictures) -> Html:
    image = boxes[0].image
    drawn = [Drawn(b.annotation.bbox, "mine" if b.category == category else "other", f"{b.category}, {b.annotation.source}") for b in boxes]
    drawn.sort(key=lambda d: d.kind == "mine")
    names = ", ".join(dict.fromkeys(b.category for b in boxes))
    caption = _caption(image.source, boxes[0].split, sha256)
    return shot(pictures.address(image.file_name), (image.width, image.height), drawn, alt=f"{counted(len(boxes), 'box')}: {names}", caption=caption)


def _odd_shot(odd: Odd, pictures: Pictures) -> Html:
    box = odd.box
    drawn = [Drawn(box.annotation.bbox, "odd", f"{box.category}, {box.annotation.source}")]
    caption = joined([tag("b", box.category), f" {odd.why}. ", _caption(box.annotation.source, box.split, box.image.sha256)])
    address = pictures.address(box.image.file_name)
    return shot(address, (box.image.width, box.image.height), drawn, alt=f"{box.category}: {odd.why}", caption=caption)


def _caption(source: str, split: str, sha256: str) -> Content:
    return tag("span", f"{source}, {split} · {sha256[:10]}", title=f"boxset explain {sha256}")


def _varied(odd: Sequence[Odd]) -> list[Odd]:
    """Return the oddest boxes, the categories in turn, one a picture."""
    by_name: dict[str, list[Odd]] = {}
    for one in odd:
        by_name.setdefault(one.box.category, []).append(one)
    return list(_once(chain.from_iterable(zip_longest(*by_name.values()))))[:LOOK]


def _once(odd: Iterable[Odd | None]) -> Iterator[Odd]:
    seen = set()
    for one in odd:
        if one is not None and one.box.image.sha256 not in seen:
            seen.add(one.box.image.sha256)
            yield one


def _conflicts(data: ReportData) -> Html:
    if not data.conflicts:
        return Html("")
    counts = Counter(conflict.what for conflict in data.conflicts)
    lines = [tag("li", f"{what}: {n:,}") for what, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    first = [tag("li", tag("code", c.sha256[:10]), f" {c.what}: kept {c.kept}, against {c.other}") for c in data.conflicts[:20]]
    more = tag("details", tag("summary", "The first of them"), tag("ul", *first))
    return joined([tag("h3", "Contradictions between sources"), tag("ul", *lines), more])

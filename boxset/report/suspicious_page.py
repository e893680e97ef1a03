"""Suspicious labels as a page, and as a section of the report: crops with the label in one colour and the prediction in another."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from boxset.compare.suspicious import KINDS, Suspect
from boxset.dataset.records import BBox
from boxset.report.html import Content, Html, box_keys, coded, html, joined, page, section, tag, tiles
from boxset.report.pictures import Pictures, data_address, unreadable
from boxset.wording import noun

SIDE = 420  # pixels of a crop's longer side
AROUND = 0.6  # of the boxes' longer side that is shown around them
LEAST = 96.0  # pixels of a picture that a crop shows at the least
TITLES = {"missed": "Missed", "spurious": "Spurious", "mislabelled": "Mislabelled", "badly placed": "Badly placed"}
MEANS = {
    "missed": "The model is sure of an object that has no label, in a picture where its category was looked for or may be.",
    "spurious": "A label that the model does not see, though it finds most of its category and size.",
    "mislabelled": "The model is sure of another category in the label's place.",
    "badly placed": "Label and prediction of one category overlap worse than nearly all others.",
}
LINES = {"label": "solid red: the label", "seen": "dashed blue: the prediction"}
SCORE = "The score, from 0 to 1, is how likely the label is wrong, by the model's own record on this data set; in brackets, how sure the model is."
DO = (
    "The model may be wrong: look first. `boxset explain PICTURE` tells where a picture and its labels are from, and there a fault is mended: "
    "in your own files, by collecting a correction, or at the source."
)
STYLE = """<style>
.suspects { --side: 220px; display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 1rem; }
.suspects .shot figcaption { font-size: .8rem; line-height: 1.4; } .suspects b { color: var(--ink); }
.suspects code { user-select: all; font-size: .95em; }
rect.label { stroke: #ff3d2e; stroke-width: 2.25; } rect.seen { stroke: #2aa8ff; stroke-width: 2.25; stroke-dasharray: 6 5; }
</style>"""


def suspicious_page(found: Sequence[Suspect], most: int, pictures: Pictures, says: Sequence[str] = ()) -> str:
    """Return the page: the worst of all kinds, each kind with its own section. `says`: what else is to be said of them."""
    shown = found[:most]
    made = {}
    for kind in KINDS:
        some = [one for one in shown if one.kind == kind]
        if some:
            anchor = kind.replace(" ", "-")
            made[anchor] = (TITLES[kind], section(anchor, TITLES[kind], tag("p", MEANS[kind]), sheet(some, pictures)))
    counts = tiles((sum(one.kind == kind for one in found), kind) for kind in KINDS)
    nothing = [] if found else [tag("p", "Nothing is suspicious by these predictions.")]
    first = [tag("p", f"The first {most:,} of {len(found):,} are shown.", class_="soft")] if len(found) > most else []
    frames = [tag("p", coded(sentence), class_="soft") for sentence in _empty_frames(shown, pictures)]
    header = joined([Html(STYLE), counts, box_keys(LINES), tag("p", SCORE), tag("p", coded(DO)), *_said(says), *nothing, *first, *frames])
    return page("Suspicious labels", header, made, footer="Made by boxset suspicious. It changes nothing.")


def _said(sentences: Iterable[str]) -> list[Html]:
    return [tag("p", coded(f"{one}."), class_="warn") for one in sentences]


def _empty_frames(shown: Sequence[Suspect], pictures: Pictures) -> list[str]:
    """Say why some crops are empty frames."""
    missing = sum(pictures.find(one.file_name) is None for one in shown)
    said = [f"{missing:,} of these pictures {noun(missing, 'is', 'are')} not on this machine; `dvc pull` fetches {noun(missing, 'it', 'them')}."] if missing else []
    full = [f"The page is full at {pictures.budget / 1e6:.0f} MB: the last pictures are left out. Ask for one category or kind."]
    return [*said, *(full if pictures.spent >= pictures.budget else [])]


def suspicious_section(found: Sequence[Suspect], most: int, pictures: Pictures, says: Sequence[str] = ()) -> Html:
    """Return the content of the report's section."""
    counts = ", ".join(f"{sum(one.kind == kind for one in found):,} {kind}" for kind in KINDS)
    lead = f"By what your detector sees: {counts}. `boxset suspicious --html FILE` shows more."
    return joined([Html(STYLE), tag("p", coded(lead)), box_keys(LINES), tag("p", SCORE), *_said(says), sheet(found[:most], pictures)])


def sheet(found: Sequence[Suspect], pictures: Pictures) -> Html:
    """Return crops, each with its words."""
    return tag("div", *(_shot(one, pictures) for one in found), class_="suspects")


def _shot(one: Suspect, pictures: Pictures) -> Html:
    region = region_of([box for box in (one.label, one.prediction) if box], one.width, one.height)
    address = _crop(one, region, pictures)
    who = f"labelled by {one.labelled_by}" if one.labelled_by else "not labelled"
    do = tag("code", f"boxset explain {one.sha256[:16]}")
    lines: list[Content] = [tag("b", f"score {one.score:.2f}"), Html("<br>"), one.words, Html("<br>"), f"{one.source}, {one.split} · {who}", Html("<br>"), do]
    return tag("figure", tag("div", _fit(address, region, one)), tag("figcaption", *lines), class_="shot")


def _fit(address: str, region: BBox, one: Suspect) -> Html:
    left, top, width, height = region
    drawn = "".join(_rect(box, kind) for box, kind in ((one.label, "label"), (one.prediction, "seen")) if box)
    overlay = f'<svg viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'
    if address:
        return tag("div", Html(f'<img src="{address}" alt="{html(one.words)}" loading="lazy">'), Html(overlay), class_="fit")
    across = 220 * min(1.0, width / height)
    style = f"width:{across:.0f}px;height:{across * height / width:.0f}px;outline:1px dashed var(--line)"
    return tag("div", Html(overlay), class_="fit", style=style, title="the picture is not shown")


def _rect(box: BBox, kind: str) -> str:
    place = 'x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"'.format(*box)
    return f'<rect class="{kind}" {place}></rect>'


def region_of(boxes: Sequence[BBox], width: int, height: int) -> BBox:
    """Return the part of a picture that shows boxes with something around them, inside the picture."""
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    side = max(right - left, bottom - top)
    margin = max(side * AROUND, (LEAST - side) / 2)
    x, y = max(0.0, left - margin), max(0.0, top - margin)
    return x, y, min(float(width), right + margin) - x, min(float(height), bottom + margin) - y


def _crop(one: Suspect, region: BBox, pictures: Pictures) -> str:
    """Return the crop as a data address; empty where the picture is not here or the page is full."""
    path = pictures.find(one.file_name) if pictures.spent < pictures.budget else None
    address = crop(path, region) if path else ""
    pictures.spent += len(address)
    return address


def crop(path: Path, region: BBox) -> str:
    """Return part of a picture as a small JPEG. Raises InputError for a file that cannot be decoded."""
    from PIL import Image

    left, top, width, height = region
    try:
        with Image.open(path) as image:
            part = image.convert("RGB").resize(_size(width, height), box=(left, top, min(left + width, image.width), min(top + height, image.height)))
    except (OSError, SyntaxError, ValueError) as err:
        raise unreadable(err, path) from err
    return data_address(part)


def _size(width: float, height: float) -> tuple[int, int]:
    scale = min(2.0, SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))

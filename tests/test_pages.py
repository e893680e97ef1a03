"""What every page has in common: it can be read in both schemes, its parts are found by name, and its tables scroll by keys."""

import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from boxset.compare.diff import diff
from boxset.dataset.records import KEPT
from boxset.report.data import ReportData
from boxset.report.diff_page import diff_page
from boxset.report.html import Column, table
from boxset.report.page import render
from boxset.report.pictures import Pictures
from boxset.report.suspicious_page import suspicious_page
from boxset.web.preview import Row, Shot
from boxset.web.preview_page import STYLE, page
from tests.browser import MISSING, Browser
from tests.suspects import suspect
from tests.versions import coco

BOX = (10.0, 10.0, 40.0, 40.0)
LONG = ("a_hammer_with_a_name_that_no_narrow_screen_can_hold_in_one_line", "saw")
SHEETS = {
    "report": files("boxset.report").joinpath("page.css").read_text(),
    "review": files("boxset.review").joinpath("page.css").read_text(),
    "preview": STYLE,
}
GROUNDS = ("paper", "card", "track", "badly", "warmly")
WORDS = ("ink", "soft", "accent", "bad", "warn", "yes", "no")


def pages(*names: str) -> dict[str, str]:
    """One of each page, with two categories of these names."""
    one, other = names or ("hammer", "saw")
    before = {"train": coco(("a", [(one, BOX)]), ("b", [(one, BOX)]), categories=(one, other))}
    after = {"train": coco(("a", [(other, BOX)]), categories=(one, other)), "val": coco(("c", [(one, BOX)]), categories=(one, other))}
    changed = diff(before, after, names=("main", "work tree"))
    return {
        "report": render(ReportData(dataset=before)),
        "diff": diff_page(changed, before, after, Pictures((), budget=0)),
        "suspicious": suspicious_page([suspect(category=one, predicted=other)], 50, Pictures((), budget=0)),
        "preview": page({one: [Row(f"searxng: {one}", (), {}, "")], other: []}),
        "review": files("boxset.review").joinpath("page.html").read_text(),
    }


class Outline(HTMLParser):
    """The landmarks, headings and scrolling parts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.words: dict[int, str] = {}
        self.outside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.words[len(self.seen) - 1] = self.words.get(len(self.seen) - 1, "") + data.strip()
        if not {"main", "header", "nav", "footer", "head"} & set(self.open) and "body" in self.open:
            self.outside += data.strip()

    def named(self, *tags: str) -> list[tuple[dict[str, str], str]]:
        return [(attributes, self.words.get(place, "")) for place, (tag, attributes) in enumerate(self.seen) if tag in tags]


@pytest.mark.parametrize("name", ["report", "diff", "suspicious", "preview", "review"])
def test_every_page_has_one_main_part_and_all_its_words_stand_in_a_part(name: str) -> None:
    read = Outline(pages()[name])

    assert len(read.named("main")) == 1
    assert read.outside == ""
    assert all(attributes.get("aria-label") for attributes, _ in read.named("nav"))


@pytest.mark.parametrize("name", ["report", "diff"])
def test_every_table_scrolls_by_keys_under_a_name_of_its_own_and_every_column_has_one_too(name: str) -> None:
    read = Outline(pages()[name])
    frames = [attributes for attributes, _ in read.named("div") if attributes.get("class") == "wide"]
    names = [frame["aria-label"] for frame in frames]

    assert len(frames) == len(read.named("table")) > 0
    assert {(frame["tabindex"], frame["role"]) for frame in frames} == {("0", "group")}
    assert len(set(names)) == len(names)
    assert [words for attributes, words in read.named("th") if not words] == []


def test_a_table_may_end_in_several_rows_of_sums() -> None:
    made = table([Column("boxes of"), Column("train")], [("hammer", 3)], name="splits", feet=[("pictures", 2), ("share", "100 %")]).text

    assert made.partition("<tfoot>")[2].count("<tr>") == 2


@pytest.mark.parametrize("sheet", SHEETS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_on_every_ground_they_stand_on(sheet: str, scheme: str) -> None:
    colours = colours_of(SHEETS[sheet])[scheme]
    pairs = [(word, ground) for word in WORDS for ground in GROUNDS if word in colours and ground in colours]

    assert len(pairs) > 5
    assert {pair: round(found, 2) for pair in pairs if (found := contrast(*(colours[one] for one in pair))) < 4.5} == {}


@pytest.mark.xdist_group("browser")
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize("name", ["report", "diff", "suspicious", "preview"])
def test_a_narrow_screen_shows_all_of_a_page_and_what_is_wider_scrolls_by_keys(name: str, window: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(pages(*LONG)[name])
    window.resize(400, 800)
    window.complaints()

    window.go((tmp_path / "page.html").as_uri())
    over = window.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    wider = window.run("return [...document.querySelectorAll('.wide')].findIndex((frame) => frame.scrollWidth > frame.clientWidth)")
    if wider >= 0:
        window.run("document.querySelectorAll('.wide')[arguments[0]].focus()", wider)
        window.press("Right", "Right")
        window.until(f"document.querySelectorAll('.wide')[{wider}].scrollLeft > 0")
    window.resize(1280, 860)

    assert (over, wider >= 0) == (0, name in ("report", "diff"))
    assert window.complaints() == []


@pytest.mark.xdist_group("browser")
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_on_paper_no_table_is_cut_off(window: Browser, tmp_path: Path) -> None:
    dropped = {"not_an_image": 1_204, "copy_of_another": 310, "reject_word": 2_077, "too_small": 411, "no_answer": 93, "thumbnail": 5_120}
    found = {"crawl/screwdriver": {"seen": 31_402, "kept": 7_960, "found": {"searxng": 31_402}, "dropped": dropped, "unresponsive": {"google images (CAPTCHA)": 610}}}
    (tmp_path / "page.html").write_text(render(ReportData(dataset={"train": coco(("a", [("hammer", BOX)]))}, metrics=found)))
    window.resize(620, 800)
    window.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"media": "print"}})

    window.go((tmp_path / "page.html").as_uri())
    cut = window.run("return [...document.querySelectorAll('.wide')].filter((f) => f.scrollWidth > f.clientWidth).map((f) => f.getAttribute('aria-label'))")
    over = window.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    window.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"media": ""}})
    window.resize(1280, 860)

    assert (cut, over) == ([], 0)


@pytest.mark.xdist_group("browser")
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_on_paper_no_picture_of_a_preview_is_torn_its_words_are_whole_and_there_is_no_menu(window: Browser, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    shot = Shot(tmp_path / "a.jpg", "https://photos.example/a.jpg", "A hammer whose title is far longer than a card is wide", "photos.example", "", 64, 48)
    (tmp_path / "page.html").write_text(page({"hammer": [Row("lvis: hammer", (shot,) * 3, {KEPT: 3}, "")], "saw": []}))
    window.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"media": "print"}})

    window.go((tmp_path / "page.html").as_uri())
    found = window.run("return ['li', 'nav', '.row'].map((name) => getComputedStyle(document.querySelector(name))).map((s) => [s.breakInside, s.breakAfter, s.display])")
    cut = window.run("return [...document.querySelectorAll('.line')].filter((line) => line.scrollWidth > line.clientWidth).length")
    ground = window.run("return getComputedStyle(document.body).backgroundColor")
    window.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"media": ""}})

    assert (found[0][0], found[1][2], found[2][1]) == ("avoid", "none", "avoid")
    assert (cut, ground) == (0, "rgb(255, 255, 255)")


def colours_of(sheet: str) -> dict[str, dict[str, str]]:
    """The colours of a style sheet, by scheme and name."""
    light, dark = (dict(re.findall(r"--(\w+): ?#([0-9a-f]{3,6})\b", block)) for block in re.findall(r":root ?\{([^}]*)\}", sheet)[:2])
    return {"light": light, "dark": {**light, **dark}}


def contrast(one: str, other: str) -> float:
    """The contrast of two colours by WCAG 2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of a colour by WCAG 2."""
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

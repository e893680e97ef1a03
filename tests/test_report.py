"""The report page, the status table: what they count, and that they need nothing from outside."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image
from rich.console import Console

from boxset.dataset.coco import CocoLicense, write_coco
from boxset.errors import InputError
from boxset.files import write_json, write_jsonl, write_text
from boxset.labeling.standing import Standing
from boxset.params import Category, Label, Params, Project, Source
from boxset.report import figures, sections, svg
from boxset.report.data import ReportData, balance_words
from boxset.report.html import Html, coded, html, percent, tag
from boxset.report.page import box_series, read_report_data, render, write_report
from boxset.report.pictures import Pictures, thumbnail
from boxset.report.status import Status, next_step, status
from boxset.report.terminal import status_text
from tests.versions import coco, sha

HAMMER = ("hammer", (10.0, 10.0, 40.0, 40.0))
VOID = {"meta", "img", "br"}


class Outline(HTMLParser):
    """Reads a page strictly: elements are closed in order; notes what would be fetched, and the ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids += [str(named["id"])] if "id" in named else []
        self.fetched += [str(named[key]) for key in ("src", "srcset", "data") if key in named]
        self.fetched += [tag] if tag in ("script", "link", "iframe") else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(page: str) -> Outline:
    """Read a page."""
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def project(root: Path) -> Path:
    """A small project's results: three pictures, metrics, a plan, a contradiction."""
    parts = {"train": coco(("a", [HAMMER]), ("b", [HAMMER, ("screwdriver", (0.0, 0.0, 100.0, 100.0))])), "val": coco(("c", [HAMMER]), first=3), "test": coco()}
    for split, part in parts.items():
        write_coco(root / f"data/dataset/annotations/instances_{split}.json", part)
        for one in part.images:
            path = root / "data/dataset/images" / split / one.file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((100, 100), 60).convert("RGB").save(path)
    write_json(root / "data/resolve/targets.json", {"categories": {"hammer": {"target": 3, "max": 0}, "screwdriver": {"target": 5, "max": 0}}})
    write_json(root / "metrics/crawl/hammer.json", CRAWL)
    write_json(root / "metrics/extract/lvis.json", {"seen": 3, "kept": 2, "dropped": {"gone": 1}, "boxes": {"hammer": 3}})
    write_json(root / "metrics/extract/coco.json", {"seen": 0, "kept": 0, "dropped": {}})
    write_json(root / "metrics/label.json", {"boxes": {}, "images": {"asked": 4, "labelled": 3, "planned": 1}, "cost_usd": {}})
    write_json(root / "data/label/plan.json", PLAN)
    write_jsonl(root / "data/merge/conflicts.jsonl", [{"sha256": sha("a"), "what": "presence of <hammer>", "kept": "lvis: present", "other": "coco: absent"}])
    write_text(root / "data/dataset/README.md", "# tools\n\n## Balance\n\n- 4 pictures were left out\n\n## Sources\n\n- none\n")
    return root


CRAWL = {"found": {"searxng": 9}, "seen": 8, "kept": 2, "dropped": {"gone": 4, "too_small": 2}, "unresponsive": {"qwant": 2}}
PLAN = {
    "items": [{"sha256": sha("d")}],
    "rows": [{"category": "screwdriver", "id": 2, "target": 5, "have": 1, "pictures": 1, "expected": 1, "candidates": 6, "interval": [0, 3], "useful_box_mills": 93}],
    "per_picture_mills": 116, "cost_mills": 116, "committed_mills": 1160, "budget_mills": 9000, "stops_at": "the budget is used up",
    "to_targets_pictures": 4, "to_targets_mills": 464, "to_targets_stops_at": "the targets are reached",
    "old_pictures": 3, "old_categories": ["wrench"], "old_mills": 348,
}  # fmt: skip


def test_the_page_stands_alone_and_every_link_in_it_leads_somewhere(tmp_path: Path) -> None:
    page = render(read_report_data(project(tmp_path)))

    read = outline(page)

    assert [address for address in read.fetched if not address.startswith("data:image/jpeg;base64,")] == []
    assert "url(" not in page
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))


def test_the_page_says_what_was_built(tmp_path: Path) -> None:
    words = " ".join(" ".join(outline(render(read_report_data(project(tmp_path)))).text).split())

    for told in (
        "tools",
        "hammer lvis: 3 wanted: 3 lvis 3 3 3 reached 3",
        "screwdriver 1 5 1 1 (0–3) $0.093 6",
        "screwdriver lvis: 1 wanted: 5 lvis 1 1 5 4 1",
        "4 pictures were left out",
        "crawl: hammer kept: 2 left out: 6 9 8 2 gone 4 · too small 2 · qwant gave no answer 2 times",
        "label kept: 3 left out: 1 4 3 not answered, or failed 1",
        "Nothing was tried for coco.",
        "1 picture at $0.116 each: $0.12 at the most, after $1.16 of $9.00. It stops there because the budget is used up.",
        "Without that limit it would be 4 pictures, $0.46 at the most, and stop because the targets are reached.",
        "Asking 3 pictures labelled before about wrench too would cost $0.35.",
        "presence of <hammer>: 1",
        "screwdriver covers 100% of the picture",
    ):
        assert told in words


@pytest.mark.parametrize("items", [PLAN["items"], []])
def test_the_page_says_what_known_pictures_are_planned_and_what_came_of_those_that_were_asked(items: list[Any], tmp_path: Path) -> None:
    root = project(tmp_path)
    planned = {"share": 0.05, "wanted": 2, "pictures": 1, "cost_mills": 116, "sha256s": [sha("d")]}
    write_json(root / "data/label/plan.json", {**PLAN, "items": items, "known": planned})
    gold = {"pictures": 3, "boxes": 4, "found": 3, "extra": 2, "mean_iou": 0.871, "categories": {}}
    write_json(root / "metrics/label.json", {"boxes": {}, "images": {}, "cost_usd": {}, "gold": gold})

    words = " ".join(" ".join(outline(render(read_report_data(root))).text).split())

    assert "1 known picture among them, $0.12: it shows how well people draw, and brings no box. label.gold_share wants 2 known pictures, and 1 is there" in words
    assert "In 3 pictures whose boxes are known, people found 3 of 4 boxes and drew 2 that are not there; those found overlap the known ones by 0.87 (mean IoU)." in words


def test_a_crowd_reaches_no_target(tmp_path: Path) -> None:
    path = project(tmp_path) / "data/dataset/annotations/instances_val.json"
    path.write_text(path.read_text().replace('"iscrowd":0', '"iscrowd":1'))

    words = " ".join(" ".join(outline(render(read_report_data(tmp_path))).text).split())

    assert "hammer lvis: 2 wanted: 3 lvis 2 2 3 1 2" in words
    assert "hammer 2 0 0 2" in words
    assert "3 boxes, and 1 crowd 0 of 2 categories at their target" in words
    assert sum(row["boxes"] for row in box_series(read_report_data(tmp_path))) == 3


def test_pictures_that_may_only_be_passed_on_unchanged_are_counted(tmp_path: Path) -> None:
    def words(*names: str) -> str:
        licences = tuple(CocoLicense(id=number, name=name) for number, name in enumerate(names, 1))
        train = msgspec.structs.replace(coco(("a", [HAMMER]), ("b", [HAMMER])), licenses=licences)
        return " ".join(" ".join(outline(render(ReportData(dataset={"train": train}))).text).split())

    told = "2 pictures may be passed on unchanged only (CC-BY-ND-2.0): no derivatives."

    assert told in words("CC-BY-ND-2.0", "unknown")
    assert "no derivatives" not in words("CC-BY-SA-2.0", "CC-BY-ND-2.0")  # which is the licence of none of them


def test_a_split_too_small_to_measure_by_is_worth_a_look(tmp_path: Path) -> None:
    by_split = {"train": {"hammer": 2}, "val": {"hammer": 1}, "test": {"hammer": 0}}
    write_json(project(tmp_path) / "metrics/dataset.json", {"boxes_by_split": by_split, "short_of_min_boxes": {"test": {"hammer": 5}}})

    words = " ".join(" ".join(outline(render(read_report_data(tmp_path))).text).split())

    assert "Too few to measure by hammer: test has 0 of the 5 boxes of split.min_boxes." in words
    assert "hammer: val" not in words


def test_where_nothing_stands_out_that_is_said() -> None:
    page = render(ReportData(dataset={"train": coco(("a", [HAMMER]))}))

    assert "Nothing stands out." in page.partition('id="look"')[2]


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    data = read_report_data(project(tmp_path / "project"))

    write_report(tmp_path / "one", data)
    write_report(tmp_path / "two", data)

    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0].keys() == {"index.html", "boxes.json"}
    assert files[0] == files[1]


def test_a_project_where_nothing_was_built_has_a_page_too(tmp_path: Path) -> None:
    read = outline(render(read_report_data(tmp_path)))

    assert "There is no plan yet." in read.text


def test_the_series_for_plots_count_boxes(tmp_path: Path) -> None:
    assert box_series(read_report_data(project(tmp_path))) == [
        {"category": "hammer", "source": "lvis", "split": "train", "boxes": 2},
        {"category": "hammer", "source": "lvis", "split": "val", "boxes": 1},
        {"category": "screwdriver", "source": "lvis", "split": "train", "boxes": 1},
    ]


def test_text_from_outside_is_escaped() -> None:
    assert html('<b>"&') == "&lt;b&gt;&quot;&amp;"
    assert tag("p", "<b>", title='"x"', class_="").text == '<p title="&quot;x&quot;">&lt;b&gt;</p>'
    assert coded("run `a<b` now").text == "run <code>a&lt;b</code> now"
    assert html(Html("<b>")) == "<b>"


@pytest.mark.parametrize(("part", "whole", "said"), [(0, 0, "–"), (0, 9, "0 %"), (1, 200, "0.5 %"), (1, 3, "33 %")])
def test_shares_are_said_briefly(part: int, whole: int, said: str) -> None:
    assert percent(part, whole).replace("\N{NO-BREAK SPACE}", " ") == said


# pictures


def test_thumbnails_stop_when_the_page_is_full(tmp_path: Path) -> None:
    for name in "abc":
        Image.effect_noise((400, 300), 60).convert("RGB").save(tmp_path / f"{name}.jpg")
    pictures = Pictures([tmp_path], budget=1)

    assert [bool(pictures.address(f"{name}.jpg")) for name in "abc"] == [True, False, False]


def test_a_picture_that_is_not_here_is_passed_over(tmp_path: Path) -> None:
    assert Pictures([tmp_path], budget=1000).address("a.jpg") == ""


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")

    with pytest.raises(InputError, match=re.escape(str(tmp_path / "a.jpg"))):
        thumbnail(tmp_path / "a.jpg")


# figures


def boxes(*found: tuple[str, tuple[float, float, float, float]]) -> list[figures.Box]:
    """Boxes of one picture of 100 x 100 pixels."""
    return figures.boxes_of({"train": coco(("a", found))})


def test_sizes_are_those_at_the_training_size() -> None:
    """A hundred pixels become 640: a side of 2 px is 12.8 px there, one of 40 px 256 px."""
    counts = figures.size_counts(boxes(("hammer", (0, 0, 2, 90)), ("hammer", (0, 0, 1, 1)), ("hammer", (0, 0, 40, 40))))

    assert counts == [1, 1, 0, 0, 0, 0, 1]


def test_places_are_the_cells_whose_middle_a_box_covers() -> None:
    assert figures.places(boxes(("hammer", (0, 0, 50, 50)), ("hammer", (0, 0, 100, 25))), cells=4) == [
        [1.0, 1.0, 0.5, 0.5],
        [0.5, 0.5, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ]


def test_pictures_are_counted_by_their_boxes() -> None:
    drawn = coco(("a", []), ("b", [HAMMER] * 6), ("c", [HAMMER] * 2))
    dataset = {"train": msgspec.structs.replace(drawn, annotations=(*drawn.annotations[:-1], msgspec.structs.replace(drawn.annotations[-1], iscrowd=1)))}

    assert figures.boxes_per_image(dataset) == {"0": 1, "1": 1, "2": 0, "3": 0, "4": 0, "5–9": 1, "10+": 0}


def test_a_box_far_from_the_usual_is_odd_and_says_how() -> None:
    usual = [("hammer", (0.0, 0.0, 20.0 + n % 3, 20.0)) for n in range(40)]

    odd = figures.odd_boxes(boxes(*usual, ("hammer", (0.0, 0.0, 80.0, 80.0)), ("hammer", (0.0, 0.0, 90.0, 5.0))))

    assert [(one.box.annotation.bbox[2], one.why) for one in odd] == [(90.0, "17.1 times wider than most"), (80.0, "15 times larger than most")]


def test_few_boxes_have_no_outliers_but_one_round_the_whole_picture() -> None:
    odd = figures.odd_boxes(boxes(HAMMER, ("hammer", (0.0, 0.0, 100.0, 99.0)), ("hammer", (0.0, 0.0, 2.0, 2.0))))

    assert [one.why for one in odd] == ["covers 99% of the picture"]


def test_a_name_that_turns_the_direction_of_reading_turns_none_in_a_plot() -> None:
    name = "saw\u202e<b>"
    plots = [svg.stacked_bar({name: 1}, {name: "red"}, full=1, label=name), svg.histogram({name: 1}, label=name), svg.sparkline([1], label=name)]

    assert [("\u202e" in plot.text, "<b>" in plot.text, "saw\ufffd&lt;b&gt;" in plot.text) for plot in plots] == [(False, False, True)] * 3


def test_a_bar_marks_what_is_wanted() -> None:
    bar = svg.stacked_bar({"lvis": 30}, {"lvis": "red"}, full=60, mark=45, label="hammer").text

    assert 'width="50.000" height="10" fill="red"><title>lvis: 30</title>' in bar
    assert '<path class="mark" d="M75.000 0V16"><title>wanted: 45</title>' in bar


def test_a_card_that_is_no_text_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"# x\n\xe4\n")

    with pytest.raises(InputError, match=r"README\.md:2: not UTF-8"):
        balance_words(tmp_path / "README.md")


def test_what_balance_says_comes_from_the_card(tmp_path: Path) -> None:
    write_text(tmp_path / "README.md", "# x\n\n## Balance\n\n- one\n- two\n\n## Sources\n\n- other\n")

    assert balance_words(tmp_path / "README.md") == ("one", "two")
    assert balance_words(tmp_path / "none.md") == ()


# status

PARAMS = Params(
    world="embedded",
    project=Project(name="tools"),
    categories={"hammer": Category(id=1, target=10), "saw": Category(id=2, target=4)},
    sources={"lvis": Source(), "coco": Source()},
    label=Label(budget_usd=5),
)
METRICS: dict[str, Any] = {
    "extract/lvis": {"seen": 20, "kept": 18, "boxes": {"hammer": 7}},
    "extract/coco": {"seen": 5, "kept": 5, "boxes": {"hammer": 1, "saw": 2}},
    "crawl/hammer": {"found": {"searxng": 90}, "seen": 30, "kept": 12},
    "label": {"boxes": {"hammer": 2}, "images": {"labelled": 3, "planned": 4}, "cost_usd": {"spent": 1.0, "committed": 1.0, "plan": 0.464}},
    "dataset": {
        "images": {"train": 14, "val": 2, "test": 2}, "boxes": {"hammer": 10, "saw": 2},
        "boxes_by_split": {"train": {"hammer": 8, "saw": 2}, "val": {"hammer": 1}, "test": {"hammer": 1}},
    },
}  # fmt: skip


BOUGHT = Standing(1000, 1000, is_news=False)


@pytest.mark.parametrize("width", [80, 120])
def test_the_status_fits_its_terminal(width: int) -> None:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as printed:
        console.print(status_text(status(PARAMS, METRICS, BOUGHT)))

    lines = [line.rstrip() for line in printed.get().splitlines()]

    assert lines[:5] == [
        "category wanted public people in set          train val test crawl kept",
        "hammer       10      8      2     10 ━━━━━━━━     8   1    1   12 of 30",
        "saw           4      2      0      2 ━━━━╌╌╌╌     2   0    0          –",
        "boxes        14     10      2     12             10   1    1",
        "pictures                          18             14   2    2",
    ]
    assert "…" not in printed.get()
    assert "data/report/index.html" in printed.get()


def test_the_status_prints_the_ledgers_money_and_offers_no_plan_that_is_older() -> None:
    state = status(PARAMS, METRICS, Standing(15_792, 15_792, is_news=True, faults=("5 pictures were asked more than once, by a and b",)))
    console = Console(width=120, file=io.StringIO())
    with console.capture() as printed:
        console.print(status_text(state))

    assert "$15.79 spent or reserved" in printed.get()
    assert "the plan is older than the ledger: dvc repro label first" in printed.get()
    assert re.search("amiss +5 pictures were asked more than once, by a and b", printed.get())
    assert "next plan" not in printed.get()
    assert "submit" not in printed.get()


def test_the_status_of_a_project_that_was_not_built() -> None:
    state = status(PARAMS, {}, Standing(0, 0, is_news=False))

    assert (state.is_built, state.funnels["crawl"]["tried"], next_step(state)) == (False, 0, "`dvc repro` builds the data set")


def test_the_status_tells_what_the_crawl_the_public_sources_and_own_pictures_brought() -> None:
    own = msgspec.structs.replace(PARAMS, sources={**PARAMS.sources, "returns": Source(format="local", path="photos")})
    console = Console(width=120, file=io.StringIO())

    with console.capture() as printed:
        console.print(status_text(status(own, {**METRICS, "extract/returns": {"seen": 4, "kept": 3}}, BOUGHT)))

    lines = {line[:16].strip(): line[16:].strip() for line in printed.get().splitlines()}
    assert {name: lines[name] for name in ("crawl", "public sources", "own pictures", "data set")} == {
        "crawl": "90 found by search → 30 tried → 12 kept",
        "public sources": "25 tried → 23 kept",
        "own pictures": "4 tried → 3 kept",
        "data set": "18 pictures; people have labelled 3",
    }
    assert list(status(PARAMS, METRICS, BOUGHT).funnels) == ["crawl", "public sources"]


def test_the_status_names_nothing_to_train_on_where_train_is_empty() -> None:
    console = Console(width=120, file=io.StringIO())

    with console.capture() as printed:
        for images in ({"train": 0, "val": 0, "test": 0}, {"train": 9, "val": 0, "test": 0}):
            console.print(status_text(status(PARAMS, {**METRICS, "dataset": {**METRICS["dataset"], "images": images}}, BOUGHT)))

    assert re.findall("look at|train on", printed.get()) == ["look at", "look at", "train on"]


def test_the_status_says_which_of_ones_own_pictures_wait_for_a_category() -> None:
    metrics = {**METRICS, "label": {"without_category": {"store": 60}}}
    console = Console(width=200, file=io.StringIO())

    with console.capture() as printed:
        console.print(status_text(state := status(PARAMS, metrics, BOUGHT)))

    assert re.search("waiting +60 pictures of store have no labels and cannot be bought or reviewed: write category: hammer, ", printed.get())
    assert next_step(state) == "name a category for the pictures that wait, as it says above, then `dvc repro`"


def test_in_a_narrow_terminal_no_name_and_no_number_of_the_status_is_cut() -> None:
    long = "a_category_whose_name_is_as_long_as_a_name_may_be"
    params = msgspec.structs.replace(PARAMS, categories={long: Category(id=7, target=12_345)})
    console = Console(width=50, file=io.StringIO())

    with console.capture() as printed:
        console.print(status_text(status(params, METRICS, BOUGHT)), crop=False)

    table, _, rest = printed.get().partition("\n\n")
    assert "…" not in table
    assert re.search(f"{long} +12,345 ", table)
    assert max(map(len, rest.splitlines())) <= 50


def test_it_is_said_how_many_groups_went_to_another_split() -> None:
    moved = {"floor": 1, "ratio": 0, "merged_groups": 2}

    said = str(sections.splits(ReportData(dataset={"train": coco(("a", [HAMMER]))}, metrics={"dataset": {"moved": moved}})))

    assert "In this build 1 group of pictures went from train to val or test for split.min_boxes and 2 groups of pictures joined some that lay in different splits." in said


def test_what_val_lacks_is_not_said_of_test() -> None:
    short = {"short_of_min_boxes": {"val": {"hammer": 4}, "test": {"hammer": 2}}}
    console = Console(width=200, file=io.StringIO())

    with console.capture() as printed:
        console.print(status_text(status(PARAMS, {**METRICS, "dataset": {**METRICS["dataset"], **short}}, BOUGHT)))

    said = [line.split(". ")[0].split("  ") for line in printed.get().splitlines() if "split.min_boxes" in line]
    assert [(where, what.strip()) for where, *_, what in said] == [
        ("val set", "hammer: val has 1 of the 5 boxes of split.min_boxes"),
        ("test set", "hammer: test has 1 of the 3 boxes of split.min_boxes"),
    ]


def test_the_status_says_how_many_labelled_pictures_bring_nothing() -> None:
    metrics = {**METRICS, "label": {**METRICS["label"], "images": {"labelled": 3, "planned": 4, "unused": 2}}}
    console = Console(width=120, file=io.StringIO())

    with console.capture() as printed:
        console.print(status_text(status(PARAMS, metrics, BOUGHT)))

    assert "18 pictures; people have labelled 3, 2 of these not in it (boxset explain says why)" in printed.get()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"open_usd": 0.2}, "`boxset label collect`"),
        ({"is_plan_old": True}, "`dvc repro label` plans from the ledger as it is now"),
        ({"planned": 4, "planned_usd": 0.464}, "`boxset label plan` shows the 4 pictures to buy next, for $0.46"),
        ({"planned": 0, "budget_usd": 1.0}, "raise `label.budget_usd` and `dvc repro` for a plan that brings boxes of saw"),
        ({"planned": 0, "to_targets": 3}, "raise `label.budget_usd` and `dvc repro` for a plan that brings boxes of saw"),
        ({"planned": 0, "budget_usd": 0.0, "to_targets": 0}, "raise `crawl_images` or add queries for saw"),
        ({"planned": 0}, "raise `crawl_images` or add queries for saw"),
        ({"planned": 0, "funnels": {"crawl": {"tried": 0}}}, "more pictures of saw are needed: a folder of your own, public boxes (`boxset coverage saw`), or a crawl"),
        ({"planned": 0, "categories": ()}, "train: `yolo detect train data=data/dataset/data.yaml`"),
    ],
)
def test_the_next_step_follows_from_the_state(change: dict[str, Any], says: str) -> None:
    state: Status = msgspec.structs.replace(status(PARAMS, METRICS, BOUGHT), **change)

    assert next_step(state).startswith(says)


@pytest.mark.parametrize("change", [{"budget_usd": 1.0}, {"funnels": {"crawl": {"tried": 0}}}])
def test_nobody_is_told_to_train_without_a_box(change: dict[str, Any]) -> None:
    state = msgspec.structs.replace(status(PARAMS, METRICS, BOUGHT), planned=0, **change)
    without = msgspec.structs.replace(state, categories=tuple(msgspec.structs.replace(c, boxes=0, wanted=9) for c in state.categories))

    assert next_step(state).endswith("; or train as it is")
    assert "train" not in next_step(without)


def test_the_next_step_is_to_sort_the_pictures_of_which_most_wait_before_any_are_bought() -> None:
    state = status(PARAMS, METRICS, BOUGHT)
    waiting = tuple(msgspec.structs.replace(c, to_review=number, boxes=0, wanted=9) for number, c in enumerate(state.categories, 1))

    said = next_step(msgspec.structs.replace(state, planned=4, planned_usd=0.464, categories=waiting))

    assert said.startswith(f"`boxset review {waiting[-1].name}` sorts pictures before you pay; `boxset label plan` shows the 4 pictures")

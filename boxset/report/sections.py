"""The report's sections: what was wanted and had, the splits, the funnel, the boxes, what is known, licences, the next purchase."""

from collections import Counter
from collections.abc import Mapping, Sequence

from boxset.assemble.split import words_on_test
from boxset.dataset.coco import Coco
from boxset.dataset.records import PEOPLE
from boxset.labeling.gold import words as known_words
from boxset.labeling.measure import gold_words
from boxset.labeling.plan import expected_words, near_frozen_words, waits_for_review, without_limit
from boxset.report import html, svg
from boxset.report.data import Metrics, Planned, PlannedRow, ReportData
from boxset.report.figures import SIZE_STEPS, TRAINING_SIDE, Box, boxes_per_image, by_category, places, size_counts
from boxset.report.html import Column, Content, Html, joined, percent, table, tag
from boxset.sources.licences import no_derivatives
from boxset.wording import counted, dollars

MANY_REASONS = 6
SUBMIT = "`boxset label submit` buys it; nothing else does."
FUNNEL = {"kept": "var(--accent)", "left out": "var(--rest)"}
KNOWN = {"complete": "var(--accent)", "partly": "var(--c1)", "absent": "var(--c0)", "nobody looked": "var(--rest)"}
MEANS = {"complete": "complete: every one has its box", "partly": "partly: one may lack its box", "absent": "absent: somebody made sure"}
SHOWN = {PEOPLE: f"{PEOPLE}: drawn by people for this project"}


def categories(data: ReportData, boxes: Sequence[Box]) -> Html:
    """Boxes of each category by source, against those wanted, and what balance did. `boxes`: without crowds, which no target counts."""
    colours = svg.colours_of(sorted({box.annotation.source for box in boxes}))
    grouped = by_category(boxes)
    wanted = data.wanted
    full = max([1, *wanted.values(), *map(len, grouped.values())])
    rows = [_category_row(name, grouped.get(name, []), wanted.get(name, 0), colours=colours, full=full) for name in data.categories]
    columns = (Column("category"), Column("boxes by source", "chart"), *map(Column, ("boxes", "wanted", "missing", "pictures")))
    missing = sum(max(0, target - len(grouped.get(name, ()))) for name, target in wanted.items())
    foot = ("all", "", len(boxes), sum(wanted.values()), missing, data.pictures)
    lead = "Boxes in the data set against those wanted (the tick). A picture with several categories counts once in each row."
    key = html.legend({SHOWN.get(source, source): colour for source, colour in colours.items()})
    return joined([tag("p", lead), key, table(columns, rows, name="boxes of each category", feet=[foot]), _balance(data)])


def _category_row(name: str, boxes: Sequence[Box], wanted: int, *, colours: Mapping[str, str], full: int) -> tuple[Content, ...]:
    parts = dict(sorted(Counter(box.annotation.source for box in boxes).items()))
    spoken = f"{name}: " + ", ".join(f"{n} from {source}" for source, n in parts.items())
    bar = svg.stacked_bar(parts, colours, full=full, mark=wanted, label=spoken)
    chart = joined([bar, tag("small", " · ".join(f"{source}\N{NO-BREAK SPACE}{n:,}" for source, n in parts.items()), aria_hidden="true")])
    missing = max(0, wanted - len(boxes))
    state = tag("span", missing, class_="warn") if missing else tag("span", "reached", class_="up") if wanted else None
    return name, chart, len(boxes), wanted or None, state, len({box.image.sha256 for box in boxes})


def _balance(data: ReportData) -> Html:
    nothing = "Nothing was left out: all that was merged is in the data set. `repeat_factors.csv` says how often a sampler should show each picture."
    said = data.balance_says or (nothing,)
    return joined([tag("h3", "Balance"), tag("ul", *(tag("li", html.coded(sentence)) for sentence in said))])


def splits(data: ReportData) -> Html:
    """Boxes of each category in each split, and the pictures."""
    parts = data.dataset.values()
    rows: list[Sequence[Content]] = []
    by_split = [_boxes_by_name(coco) for coco in parts]
    for name in data.categories:
        counts = [some[name] for some in by_split]
        rows.append((name, *counts, sum(counts)))
    pictures: Sequence[Content] = ("pictures", *(len(coco.images) for coco in parts), data.pictures)
    shares = ("share of pictures", *(percent(len(coco.images), data.pictures) for coco in parts), percent(data.pictures, data.pictures))
    lead = "Boxes of each category in each split. Pictures that look alike lie in the same split, and a picture stays where it once was."
    columns = [Column("boxes of"), *map(Column, data.dataset), Column("all")]
    return joined([tag("p", lead), table(columns, rows, name="boxes and pictures of each split", feet=[pictures, shares]), _moved(data), _trust(data)])


def _trust(data: ReportData) -> Html:
    """How far test can be trusted: how exactly it measures each category, where it is from, and what limits it."""
    metrics = data.figures
    test = metrics.get("test")
    if not test:
        return Html("")
    rows = [(name, metrics["boxes_by_split"]["test"].get(name, 0), f"±{100 * width:.1f} %") for name, width in test["half_width"].items()]
    by, held, pictures = test["labelled_by"], metrics.get("frozen"), metrics["images"]["test"]
    frozen = f"Frozen as {held['name']}: no build changes it until a new version. " if held else ""
    origin = f"{frozen}The {counted(pictures, 'picture')} of test are from: {', '.join(f'{name} {count:,}' for name, count in test['sources'].items()) or 'none'}. "
    people = f"Labelled by people of this project {by['people']:,}, by public sources {by['public']:,}, by both {by['both']:,}. "
    lead = "To within how much a share such as recall is known from so many boxes (95 %, Wilson’s interval, where it is widest; boxes of one picture are alike)."
    known = f"Known for every category: {test['known_for_all']:,}."
    limits = words_on_test(metrics)
    says = [tag("ul", *(tag("li", html.coded(sentence)) for sentence in limits))] if limits else []
    columns = (Column("category"), Column("boxes in test"), Column("known to within"))
    shown = table(columns, rows, name="how exactly test measures each category")
    return joined([tag("h3", "How far test can be trusted"), tag("p", lead), shown, tag("p", origin + people + known), *says])


def _boxes_by_name(coco: Coco) -> Counter[str]:
    names = {c.id: c.name for c in coco.categories}
    return Counter(names[a.category_id] for a in coco.annotations if not a.iscrowd)


def _moved(data: ReportData) -> Html:
    told = {
        "ratio": "went to another split for the ratio",
        "floor": "went from train to val or test for split.min_boxes",
        "rule": "went to another split for the rules of test (never_test, test_only_from, freeze_test)",
        "merged_groups": "joined some that lay in different splits",
    }
    moved = data.metrics.get("dataset", {}).get("moved", {})
    said = [f"{counted(count, 'group')} of pictures {told.get(key, key)}" for key, count in moved.items() if count]
    return tag("p", f"In this build {' and '.join(said)}." if said else "No picture went to another split in this build.", class_="soft")


def funnel(data: ReportData) -> Html:
    """Say what became of every picture that was looked at, by source and crawl."""
    names = [name for kind in ("extract/", "crawl/") for name in data.metrics if name.startswith(kind)]
    steps = {**{name: data.metrics[name] for name in names}, "label": _asked(data), "merge": data.metrics.get("merge", {})}
    rows = [_funnel_row(name, metrics) for name, metrics in steps.items() if metrics.get("seen")]
    columns = (Column("where"), Column("kept", "chart"), *map(Column, ("found", "tried", "kept")), Column("left out, and why", "words"))
    lead = "What became of every picture that was looked at. Each has its own line, with the reason, in `images.jsonl`."
    end = f"{data.pictures:,} of these are in the data set. `boxset explain PICTURE` tells the whole history of one."
    unused = [name.partition("/")[2] for name in names if not data.metrics[name].get("seen")]
    skipped = [tag("p", f"Nothing was tried for {', '.join(unused)}.", class_="soft")] if unused else []
    shown = joined([html.legend(FUNNEL), table(columns, rows, name="what became of the pictures", slim=True)])
    return joined([tag("p", html.coded(lead)), shown, tag("p", html.coded(end), class_="soft"), *skipped])


def _asked(data: ReportData) -> Metrics:
    """Return what became of the pictures that people were asked about, as a step of the funnel."""
    images = data.metrics.get("label", {}).get("images", {})
    asked, labelled = images.get("asked", 0), images.get("labelled", 0)
    return {"seen": asked, "kept": labelled, "dropped": {"not answered, or failed": asked - labelled} if asked > labelled else {}}


def _funnel_row(name: str, metrics: Metrics) -> tuple[Content, ...]:
    seen, kept = int(metrics.get("seen", 0)), int(metrics.get("kept", 0))
    found = sum(metrics.get("found", {}).values()) or None
    bar = svg.stacked_bar({"kept": kept, "left out": seen - kept}, FUNNEL, full=seen, label=f"{name}: {kept} kept of {seen}")
    return name.replace("/", ": "), bar, found, seen, kept, _reasons(metrics)


def _reasons(metrics: Metrics) -> str:
    dropped = {reason.replace("_", " "): count for reason, count in metrics.get("dropped", {}).items()}
    if metrics.get("united"):
        dropped["copy of another"] = metrics["united"]
    largest = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{name} {count:,}" for name, count in largest[:MANY_REASONS]]
    rest = sum(count for _, count in largest[MANY_REASONS:])
    silent = [f"{engine} gave no answer {counted(times, 'time')}" for engine, times in metrics.get("unresponsive", {}).items()]
    return " · ".join([*words, *([f"other reasons {rest:,}"] if rest else []), *silent])


def boxes(data: ReportData, found: Sequence[Box]) -> Html:
    """How large the boxes are, how many a picture has, and where in it they lie. `found`: without crowds."""
    grouped = {name: some for name, some in by_category(found).items() if name in data.categories}
    order = [name for name in data.categories if name in grouped]
    under = (f"under {px} px" for px in SIZE_STEPS[:3])
    columns = (Column("category"), Column(f"sizes, <{SIZE_STEPS[0]} to ≥{SIZE_STEPS[-1]} px", "left"), *map(Column, (*under, "median, px", "boxes a picture")))
    lead = f"Sizes are those of the box's shorter side once the picture's longer side is {TRAINING_SIDE} px, as detectors are mostly trained."
    sizes = dict(zip([*(f"<{px}" for px in SIZE_STEPS), f"≥{SIZE_STEPS[-1]}"], size_counts(found), strict=True))
    plots = (_plot(sizes, "boxes by their shorter side, px"), _plot(boxes_per_image(data.dataset), "pictures by their number of boxes"))
    maps = tag("div", *(_place(name, grouped[name]) for name in order), class_="grid")
    where = [tag("h3", "Where in the picture"), tag("p", "The stronger the colour, the more boxes of the category cover that part of the picture."), maps]
    rows = [_size_row(name, grouped[name]) for name in order]
    return joined([tag("p", lead), table(columns, rows, name="sizes of boxes"), tag("div", *plots, class_="grid big"), *where])


def _size_row(name: str, boxes: Sequence[Box]) -> tuple[Content, ...]:
    counts = size_counts(boxes)
    sides = sorted(box.side_px for box in boxes)
    under = [percent(sum(counts[: n + 1]), len(boxes)) for n in range(3)]
    per_picture = len(boxes) / len({box.image.sha256 for box in boxes})
    return name, svg.sparkline(counts, label=f"{name}: boxes by shorter side"), *under, round(sides[len(sides) // 2]), f"{per_picture:.1f}"


def _plot(counts: Mapping[str, int], title: str) -> Html:
    spoken = f"{title}: {', '.join(f'{name}: {count:,}' for name, count in counts.items())}"
    return tag("figure", tag("figcaption", title), svg.histogram(counts, label=spoken), class_="plot panel")


def _place(name: str, boxes: Sequence[Box]) -> Html:
    grid = svg.heat_map(places(boxes), label=f"where boxes of {name} lie")
    return tag("figure", tag("figcaption", name), grid, class_="plot panel")


def known(data: ReportData) -> Html:
    """For each category, in how many pictures somebody looked for it."""
    ids = {c.name: c.id for coco in data.dataset.values() for c in coco.categories}
    rows = [_known_row(name, ids[name], data) for name in data.categories]
    lead = "An object that stands in a picture without a box teaches a detector to miss it. For each category: in how many pictures somebody looked."
    columns = (Column("category"), Column("pictures", "chart"), *map(Column, KNOWN))
    key = html.legend({MEANS.get(state, state): colour for state, colour in KNOWN.items()})
    return joined([tag("p", lead), key, table(columns, rows, name="in how many pictures somebody looked")])


def _known_row(name: str, number: int, data: ReportData) -> tuple[Content, ...]:
    images = [image for coco in data.dataset.values() for image in coco.images]
    sets = ("exhaustive_category_ids", "not_exhaustive_category_ids", "neg_category_ids")
    counts = [sum(number in getattr(image, field) for image in images) for field in sets]
    parts = dict(zip(KNOWN, [*counts, len(images) - sum(counts)], strict=True))
    bar = svg.stacked_bar(parts, KNOWN, full=len(images), label=f"{name}: what is known in {counted(len(images), 'picture')}")
    return name, bar, *parts.values()


def licences(data: ReportData) -> Html:
    """Pictures by licence, and the sources that they came from."""
    names = {licence.id: licence for coco in data.dataset.values() for licence in coco.licenses}
    images = [image for coco in data.dataset.values() for image in coco.images]
    counts = Counter(image.license for image in images)
    rows = []
    for number, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        sources = sorted({image.source for image in images if image.license == number})
        rows.append((names[number].name or "unknown", count, percent(count, len(images)), ", ".join(sources), _link(names[number].url)))
    columns = (Column("licence"), Column("pictures"), Column("share"), Column("from", "left"), Column("text", "left"))
    lead = "Who made each picture and where it is from stands in `data/dataset/ATTRIBUTION.csv`. Of those called unknown, nobody stated a licence."
    bound = _no_derivatives({names[number].name: count for number, count in counts.items()})
    return joined([tag("p", html.coded(lead)), table(columns, rows, name="pictures by licence"), bound])


def _no_derivatives(counts: Mapping[str, int]) -> Html:
    """Say how many pictures may be passed on unchanged only, where there are some."""
    bound = {name: count for name, count in sorted(counts.items()) if no_derivatives(name)}
    if not bound:
        return Html("")
    do = "`licences.deny` with `*-ND*` keeps them out; docs/sources.md says more."
    words = f"{counted(sum(bound.values()), 'picture')} may be passed on unchanged only ({', '.join(bound)}): no derivatives. {do}"
    return tag("p", html.coded(words), class_="warn")


def _link(url: str) -> Content:
    return tag("a", url.removeprefix("https://"), href=url, rel="noreferrer") if url.startswith("https://") else None


def plan(data: ReportData) -> Html:
    """Say what to buy next, what it costs, and what it should bring."""
    if data.plan is None:
        return tag("p", "There is no plan yet.")
    planned = data.plan
    if not planned.items:
        nothing = f"Nothing to buy: {planned.stops_at}. The budget is `label.budget_usd`: {dollars(planned.budget_mills)}."
        return joined([tag("p", html.coded(nothing)), *_without_limit(planned), *_review(planned), *_near_frozen(planned), *_drawn(data)])
    rows = [(data.names.get(r.category, r.category), r.have, r.target, r.pictures, *_worth(r), r.candidates) for r in planned.rows]
    columns = [Column("category"), *map(Column, ("boxes now", "wanted", "pictures to buy", "boxes expected (80 %)", "a useful box", "pictures to choose from"))]
    cost = f"{counted(len(planned.items), 'picture')} at {dollars(planned.per_picture_mills, to_the_mill=True)} each: {dollars(planned.cost_mills)} at the most"
    lead = f"{cost}, after {dollars(planned.committed_mills)} of {dollars(planned.budget_mills)}. It stops there because {planned.stops_at}."
    asked = f"{counted(planned.old_pictures, 'picture')} labelled before about {', '.join(planned.old_categories)}"
    old = f"Asking {asked} too would cost {dollars(planned.old_mills)}."
    end = [(planned.predictions, bool(planned.predictions)), (old, planned.old_pictures > 0), (SUBMIT, True)]
    said = (tag("p", html.coded(sentence), class_="soft") for sentence, holds in end if holds)
    return joined([tag("p", lead), *_without_limit(planned), table(columns, rows, name="what to buy next"), *_review(planned), *_near_frozen(planned), *_drawn(data), *said])


def _worth(row: PlannedRow) -> tuple[str, str]:
    """Say how many boxes of a category will come, and what one costs that a target misses."""
    price = "" if row.useful_box_mills is None else dollars(row.useful_box_mills, to_the_mill=True)
    return expected_words(row.expected, row.interval), price


def _without_limit(planned: Planned) -> list[Html]:
    found = without_limit(planned.to_targets_pictures, planned.to_targets_mills, planned.to_targets_stops_at, planned=len(planned.items))
    return [tag("p", html.coded(f"{one[0].upper()}{one[1:]}."), class_="soft") for one in found]


def _near_frozen(planned: Planned) -> list[Html]:
    return [tag("p", html.coded(f"{one[0].upper()}{one[1:]}."), class_="soft") for one in near_frozen_words(planned.frozen, planned.near_frozen)]


def _drawn(data: ReportData) -> list[Html]:
    """Say how many known pictures the plan has, and how well people drew in those that were answered."""
    planned = known_words(data.plan.known) if data.plan and data.plan.known else []
    found = gold_words(data.metrics.get("label", {}).get("gold", {}))
    return [tag("p", html.coded(f"{one}."), class_="soft") for one in (*planned, *found)]


def _review(planned: Planned) -> list[Html]:
    """Say what people have sorted of the pictures to choose from, where they have begun to."""
    reviewed, waiting = sum(row.reviewed for row in planned.rows), {row.category: row.waiting for row in planned.rows}
    some = f"Of the pictures to choose from, people said yes to {reviewed:,} in `boxset review`; {sum(waiting.values()):,} were not looked at."
    said = [*([some] if reviewed else []), *(f"{one}." for one in waits_for_review(planned.review, waiting))]
    return [tag("p", html.coded(sentence)) for sentence in said]

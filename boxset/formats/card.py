"""The data card: what is in the data set, from where, under which licences, and what is not known of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from boxset.assemble.split import short_words, words_on_test
from boxset.assemble.trust import with_names
from boxset.dataset.coco import Coco, names_of
from boxset.formats.sharing import passing_of
from boxset.sources.terms import BoxTerms, asks, box_terms, passing_on
from boxset.wording import boxes_and_crowds, counted

NO_FORMATS: Mapping[str, str] = {}


def card(
    name: str,
    parts: Mapping[str, Coco],
    says: Mapping[str, Sequence[str]],
    guidelines: Mapping[str, str],
    *,
    test: Mapping[str, Any],
    formats: Mapping[str, str] = NO_FORMATS,
) -> str:
    """Return the card as Markdown.

    `says`: title → sentences, a section each; `test`: the data set's metrics, of which it says how far test can be trusted, and what val lacks;
    `formats`: of each source.
    """
    images = sum(len(part.images) for part in parts.values())
    crowds = sum(a.iscrowd for part in parts.values() for a in part.annotations)
    boxes = sum(len(part.annotations) for part in parts.values()) - crowds
    named = with_names(test, names_of(parts["train"].categories))
    val = short_words(named, ("val",))
    sections = [
        f"# {name}\n\n{counted(images, 'picture')}, {boxes_and_crowds(boxes, crowds)}.",
        "## Boxes\n\n" + _boxes_table(parts),
        *(f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) for title, lines in says.items() if lines),
        "## Sources\n\n" + _sources(parts, formats),
        *(["## Val\n\n" + "\n".join(f"- {sentence}." for sentence in val)] if val else []),
        "## Test\n\n" + _test(named),
        "## Licences\n\n" + _licences(parts, formats) + "\n\nWho made each picture, and where it is from: `ATTRIBUTION.csv`.",
        "## What is not known\n\n" + _gaps(parts),
        "## Training\n\n" + TRAINING,
    ]
    sections += [f"## What counts as {category}\n\n{text.strip()}" for category, text in sorted(guidelines.items())]
    return "\n\n".join(sections) + "\n"


GROUPS = "- pictures of one group of near-duplicates lie in one split"
TRAINING = f"""\
- `yolo detect train data=data.yaml`, from any folder: its paths are taken from where the file lies
- any COCO trainer: `annotations/instances_train.json` with `images/train`; ids start at 1; `iscrowd: 1` marks groups, to be ignored
- `repeat_factors.csv`: how often each picture should be seen, for a sampler of your own
{GROUPS}"""


def _test(metrics: Mapping[str, Any]) -> str:
    """Say how exactly test measures, where its pictures are from, and what limits the trust in it."""
    test, images = metrics["test"], metrics["images"]["test"]
    held = metrics.get("frozen")
    rows = [(name, f"{metrics['boxes_by_split']['test'][name]:,}", f"±{width:.1%}") for name, width in test["half_width"].items()]
    by = test["labelled_by"]
    facts = [
        *([f"Frozen as {held['name']}: no build changes it until a new version."] if held else []),
        f"Sources of its {counted(images, 'picture')}: {', '.join(f'{name} {count:,}' for name, count in test['sources'].items()) or 'none'}.",
        f"Labelled by people of this project {by['people']:,}, by public sources {by['public']:,}, by both {by['both']:,}.",
        f"Known for every category: {test['known_for_all']:,}.",
        *(f"{sentence}." for sentence in words_on_test(metrics)),
    ]
    lead = "A share such as recall, measured on so many boxes, is known to within (95 %, Wilson's interval, where it is widest):"
    return "\n\n".join([lead, _table(("", "boxes", "95 %"), rows), "\n".join(f"- {fact}" for fact in facts)])


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)])


def _boxes_table(parts: Mapping[str, Coco]) -> str:
    counts = {split: Counter(a.category_id for a in part.annotations if not a.iscrowd) for split, part in parts.items()}
    rows = [
        (c.name, *(f"{counts[split][c.id]:,}" for split in parts), f"{sum(count[c.id] for count in counts.values()):,}")
        for c in parts["train"].categories
    ]
    pictures = ("pictures", *(f"{len(part.images):,}" for part in parts.values()), f"{sum(len(part.images) for part in parts.values()):,}")
    return _table(("", *parts, "all"), [*rows, pictures])


def _sources(parts: Mapping[str, Coco], formats: Mapping[str, str]) -> str:
    images = Counter(image.source for part in parts.values() for image in part.images)
    drawn = {a.source for part in parts.values() for a in part.annotations}
    boxes = Counter(a.source for part in parts.values() for a in part.annotations if not a.iscrowd)
    rows = []
    for name in sorted(images.keys() | drawn):
        terms = box_terms(name, formats) if name in drawn else BoxTerms("", "")
        credit = f"[{terms.credit}]({terms.page})" if terms.page else terms.credit
        rows.append((name, f"{images[name]:,}", f"{boxes[name]:,}", terms.licence, credit))
    return _table(("source", "pictures", "boxes", "licence of its boxes", "credit for them"), rows)


def _licences(parts: Mapping[str, Coco], formats: Mapping[str, str]) -> str:
    names = {licence.id: (licence.name, licence.url) for part in parts.values() for licence in part.licenses}
    counts = Counter(image.license for part in parts.values() for image in part.images)
    rows = [(names[i][0], f"{n:,}", asks(names[i][0]), names[i][1]) for i, n in sorted(counts.items())]
    said = "\n".join(f"- {line}." for line in passing_on(passing_of(parts, formats).values()))
    return f"{_table(('licence', 'pictures', 'asks', 'text'), rows)}\n\n{said}"


def _gaps(parts: Mapping[str, Coco]) -> str:
    images = [image for part in parts.values() for image in part.images]
    total = len(images) or 1
    rows = []
    for category in parts["train"].categories:
        complete = sum(category.id in image.exhaustive_category_ids for image in images)
        partly = sum(category.id in image.not_exhaustive_category_ids for image in images)
        absent = sum(category.id in image.neg_category_ids for image in images)
        rows.append((category.name, *(f"{n / total:.0%}" for n in (complete, partly, absent, total - complete - partly - absent))))
    text = "Share of the pictures in which every one is boxed, some may lack a box, none is there, nobody looked:\n\n"
    return text + _table(("", "complete", "partly", "absent", "unknown"), rows)

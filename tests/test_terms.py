"""What licences ask of whoever passes a data set on stands in its card, for pictures and for boxes."""

import pytest

from boxset.assemble.split import split
from boxset.formats.card import card
from boxset.params import Split
from boxset.sources.terms import BOXES, NOBODY, PERMISSION, UNREAD, BoxTerms, Passing, asks, box_terms, passing, passing_on, passing_with_boxes
from tests.build import annotation, coco, image


@pytest.mark.parametrize(
    ("licence", "what"),
    [
        ("CC-BY-4.0", "credit"),
        ("CC-BY-3.0-DE", "credit"),
        ("LicenseRef-CC-BY-NC-2.0-IT", "credit, no commerce"),
        ("LicenseRef-CC-BY-NC", "credit, no commerce"),
        ("LicenseRef-CC-BY-4.0-personal-use-only", PERMISSION),
        ("LicenseRef-CC-BY-4.0-with-thanks", UNREAD),
        ("CC-BY-NC-ND-2.0", "credit, no commerce, that it stays unchanged"),
        ("CC-BY-SA-4.0", "credit, the same licence for what is made of it"),
        ("CC0-1.0", "nothing"),
        ("LicenseRef-PDM-1.0", "nothing"),
        ("LicenseRef-research-only", PERMISSION),
        ("LicenseRef-all-rights-reserved", PERMISSION),
        ("LicenseRef-Acme-stock-licence-2025", UNREAD),
        ("MIT", UNREAD),
        ("unknown", NOBODY),
        ("", NOBODY),
    ],
)
def test_what_a_licence_asks(licence: str, what: str) -> None:
    assert asks(licence) == what


def test_every_picture_counts_once_in_what_may_be_passed_on() -> None:
    licences = {"CC-BY-2.0": 4, "CC0-1.0": 1, "CC-BY-NC-2.0": 2, "unknown": 3, "LicenseRef-research-only": 5, "MIT": 6}

    said = passing_on(passing(licence) for licence, count in licences.items() for _ in range(count))

    assert [line.split(" of ")[0] for line in said] == ["5", "2", "6", "5", "3"]
    assert all(" of 21 pictures " in line for line in said)
    assert passing_on([Passing.OPEN] * 4) == ["4 of 4 pictures may be passed on, under what their licences ask"]


@pytest.mark.parametrize(
    ("licence", "sources", "expected"),
    [
        ("CC-BY-4.0", ("lvis", "label", "local"), Passing.OPEN),
        ("CC-BY-4.0", ("lvis", "imagenet"), Passing.BOXES),
        ("CC-BY-4.0", ("gone",), Passing.BOXES),
        ("CC-BY-NC-2.0", ("lvis",), Passing.NO_COMMERCE),
        ("CC-BY-NC-2.0", ("imagenet",), Passing.BOXES),
        ("unknown", ("imagenet",), Passing.NOBODY),
        ("CC-BY-4.0", (), Passing.OPEN),
    ],
)
def test_a_picture_is_passed_on_with_all_of_its_boxes_or_not(licence: str, sources: tuple[str, ...], expected: Passing) -> None:
    assert passing_with_boxes(licence, [box_terms(source, {}) for source in sources]) is expected


def test_boxes_that_want_no_commerce_keep_it_from_the_picture() -> None:
    assert passing_with_boxes("CC-BY-4.0", [BoxTerms("CC-BY-NC-4.0", "theirs"), BoxTerms("CC-BY-4.0", "ours")]) is Passing.NO_COMMERCE


def test_the_card_has_the_terms_of_the_boxes_by_the_sources_format_and_of_the_pictures() -> None:
    boxes = [annotation(1, 1, source="our_lvis"), annotation(2, 1, source="label")]
    parts = {"train": coco([image(1, source="crawl")], boxes), "val": coco([], []), "test": coco([], [])}

    test = split(parts["train"], {}, Split()).metrics

    text = card("tools", parts, {}, {}, test=test, formats={"our_lvis": "lvis"})

    assert "| crawl | 1 | 0 |  |  |" in text
    assert f"| our_lvis | 0 | 1 | CC-BY-4.0 | [{BOXES['lvis'].credit}]({BOXES['lvis'].page}) |" in text
    assert "| label | 0 | 1 |  | drawn for this project |" in text
    assert "| CC-BY-4.0 | 1 | credit |" in text
    assert "- 1 of 1 picture may be passed on, under what their licences ask.\n" in text


def test_the_card_counts_crowds_apart_in_both_of_its_tables() -> None:
    parts = {"train": coco([image(1)], [annotation(1, 1), annotation(2, 1, iscrowd=1)]), "val": coco([], []), "test": coco([], [])}

    text = card("tools", parts, {}, {}, test=split(parts["train"], {}, Split()).metrics)

    assert text.startswith("# tools\n\n1 picture, 1 box and 1 crowd.\n")
    assert "| hammer | 1 | 0 | 0 | 1 |" in text

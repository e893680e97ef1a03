"""Counts, money and times, as every command and page says them."""

import ast
from fractions import Fraction

import pytest

from boxset.wording import counted, dollars, moment, money, noun
from tests.project import REPOSITORY

NOUNS = ("pictures", "boxes", "images", "rows", "lines", "addresses", "categories", "sources", "problems", "faults", "predictions", "answers", "decisions", "records")


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (0, ("picture",), "0 pictures"),
        (1, ("picture",), "1 picture"),
        (2, ("box",), "2 boxes"),
        (1200, ("address",), "1,200 addresses"),
        (2, ("category",), "2 categories"),
        (2, ("day",), "2 days"),
        (1, ("picture waits", "pictures wait"), "1 picture waits"),
        (3, ("picture waits", "pictures wait"), "3 pictures wait"),
    ],
)
def test_a_count_has_its_noun(count: int, words: tuple[str, ...], said: str) -> None:
    assert counted(count, *words) == said
    assert said.endswith(noun(count, *words))


def test_no_text_has_a_number_with_a_plural_of_its_own() -> None:
    """Where this fails: `counted` says 1 picture and 2 pictures."""
    files = [path for path in (REPOSITORY / "boxset").rglob("*.py") if "world" not in path.parts] + [*(REPOSITORY / "stages").glob("*.py")]
    texts = [(path.name, node) for path in files for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.JoinedStr)]

    assert [f"{name}:{text.lineno}" for name, text in texts if any(map(_is_plural_after_number, text.values, text.values[1:]))] == []


def _is_plural_after_number(value: ast.expr, after: ast.expr) -> bool:
    words = str(after.value).split() if isinstance(after, ast.Constant) and str(after.value).startswith(" ") else []
    return isinstance(value, ast.FormattedValue) and _is_count(value) and bool(words) and words[0].rstrip(".,;:") in NOUNS


def _is_count(value: ast.FormattedValue) -> bool:
    """Return whether a value is written as a number: with commas, or as a length. A limit of ours is never 1."""
    is_length = isinstance(value.value, ast.Call) and isinstance(value.value.func, ast.Name) and value.value.func.id == "len"
    is_limit = isinstance(value.value, ast.Name) and value.value.id.isupper()
    return not is_limit and (is_length or (value.format_spec is not None and ast.unparse(value.format_spec) == "f','"))


@pytest.mark.parametrize(
    ("mills", "said", "exact"),
    [
        (0, "$0.00", "$0.00"),
        (188, "$0.19", "$0.188"),
        (116, "$0.12", "$0.116"),
        (580, "$0.58", "$0.58"),
        (14_852, "$14.85", "$14.852"),
        (14_855, "$14.86", "$14.855"),
        (14_999, "$15.00", "$14.999"),
        (1_234_567_005, "$1,234,567.01", "$1,234,567.005"),
    ],
)
def test_money_is_said_to_the_cent_and_a_price_to_the_mill(mills: int, said: str, exact: str) -> None:
    assert (dollars(mills), dollars(mills, to_the_mill=True)) == (said, exact)
    assert (money(mills / 1000), money(Fraction(mills, 1000), to_the_mill=True)) == (said, exact)


@pytest.mark.parametrize("at", ["2026-11-26T10:00:59Z", "2026-11-26 10:00 UTC"])
def test_a_time_reads_alike_in_whichever_form_a_clone_wrote_it(at: str) -> None:
    assert moment(at) == "2026-11-26 10:00 UTC"

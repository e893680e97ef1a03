"""How counts, money and times are said to users, everywhere in one form."""

import re
from fractions import Fraction


def counted(count: int, word: str, many: str = "") -> str:
    """Return a number with its noun: 1 picture, 2 pictures; `many` is its plural where that is not plain."""
    return f"{count:,} {noun(count, word, many)}"


def noun(count: int, word: str, many: str = "") -> str:
    """Return a noun as it stands with a number."""
    return word if count == 1 else many or _plural(word)


def boxes_and_crowds(boxes: int, crowds: int) -> str:
    """Return how many boxes there are, and how many crowds apart, which no target, score or price counts."""
    return counted(boxes, "box") + (f" and {counted(crowds, 'crowd')}" if crowds else "")


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}{'es' if word.endswith(('x', 's', 'ch', 'sh')) else 's'}"


def dollars(mills: int, *, to_the_mill: bool = False) -> str:
    """Return mills (0.001 USD) as $14.85: a half cent goes up.

    `to_the_mill`: $0.188 where cents would hide what matters, in the price of a picture and where an amount is held against a cap.
    """
    if to_the_mill and mills % 10:
        return f"${mills // 1000:,}.{mills % 1000:03}"
    cents = (mills + 5) // 10
    return f"${cents // 100:,}.{cents % 100:02}"


def money(usd: Fraction | float, *, to_the_mill: bool = False) -> str:
    """Return US dollars, to the nearest mill, as `dollars` says them."""
    return dollars(round(usd * 1000), to_the_mill=to_the_mill)


def moment(at: str) -> str:
    """Return a time as purchases state it (`2026-11-26T10:00:00Z`) to the minute, as people read it; a text of another form as it is."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\dZ$", r"\1 \2 UTC", at)

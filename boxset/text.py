"""Text from outside: freed of what is no text where it enters, and shown harmlessly where it goes out."""

import re

_UNSEEN = "\x00-\x1f\x7f-\x9f\u2028\u2029"  # C0, DEL, C1, line and paragraph separators: what a terminal acts upon
_TURNING = "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates: what makes text read as other than it is
_SURROGATES = "\ud800-\udfff"
UNTEXT = re.compile(f"[{_UNSEEN}{_TURNING}{_SURROGATES}]")
_UNTEXT_BUT_LINES = re.compile(f"(?![\n\t])[{_UNSEEN}{_TURNING}{_SURROGATES}]")
_UNTURNED = re.compile(f"[{_TURNING}{_SURROGATES}]")

INSTEAD = "\N{REPLACEMENT CHARACTER}"


def cleaned(text: str) -> str:
    """Return a name or title without control characters (a space instead) and without those that turn the direction of reading."""
    return UNTEXT.sub(" ", _UNTURNED.sub("", text)) if UNTEXT.search(text) else text


def visible(text: str) -> str:
    """Return text in which each of these characters is a replacement character; lines and tabs stay. The same for text that has none."""
    return _UNTEXT_BUT_LINES.sub(INSTEAD, text)

"""A category's reject_words in whatever script: text as words are found in it, and what finds them."""

import re
import unicodedata

ACCENTS = {*range(10, 36), *range(200, 241)}  # combining classes: of Hebrew and Arabic vowels, and of marks above and below letters
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")  # Thai, Lao, Burmese, Khmer, kana, Han


def folded(text: str) -> str:
    """Return text in small letters, without accents, words set apart by blanks. Letters and digits of every script stay, and `+`, `#`, `%` at a word's end."""
    if text.isascii():
        bare = re.sub(r"[^a-z0-9+#%]+", " ", text.lower())
    else:
        letters = (c for c in unicodedata.normalize("NFKD", text).casefold() if unicodedata.combining(c) not in ACCENTS)
        bare = "".join(c if c.isalnum() or c in "+#%" or unicodedata.category(c)[0] == "M" else " " for c in letters)
    return " ".join(re.sub(r"(?<!\S)[+#%]+|(?<![+#%])[+#%]++(?=\S)", " ", bare).split())


def pattern_of(word: str) -> re.Pattern[str] | None:
    """Return what finds a word in folded text: as a whole, but anywhere where its script sets no blanks. None for one without letters and digits."""
    text = folded(word)
    if not text:
        return None
    before = "" if UNSPACED.match(text[0]) else r"(?<!\S)"
    after = "" if UNSPACED.match(text[-1]) else r"(?!\S)" if text[-1] in "+#%" else r"(?![^\s+#%])"
    return re.compile(f"{before}{re.escape(text)}{after}")

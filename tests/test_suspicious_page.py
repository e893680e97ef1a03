"""The page of suspicious labels: what is escaped, and what it says of pictures that it cannot show."""

from pathlib import Path

from PIL import Image

from boxset.compare.suspicious import Suspect, frozen_words
from boxset.report.pictures import Pictures
from boxset.report.suspicious_page import suspicious_page
from tests.suspects import suspect

EVIL = "<script>alert(1)</script>\"'&"


def page(found: list[Suspect], folder: Path, budget: int = 1_000_000) -> str:
    """The page with the pictures of a folder."""
    return suspicious_page(found, 50, Pictures([folder], budget))


def test_no_text_of_others_is_taken_for_html(tmp_path: Path) -> None:
    shown = page([suspect(source=EVIL, labelled_by=EVIL, file_name=f"{EVIL}.jpg", category=EVIL, predicted=EVIL, model=EVIL, split=EVIL)], tmp_path)

    assert "<script>alert" not in shown
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;") >= 4


def test_suspects_in_a_frozen_test_set_are_shown_with_what_to_do(tmp_path: Path) -> None:
    found = [suspect(split="test"), suspect(split="train"), suspect(split="test", sha256="b" * 64)]
    sentence = (
        "2 are in test, which is held to frozen v1 and does not change by itself: mend them where they were drawn; a new version takes them in: "
        "empty `split.freeze_test`, `dvc repro`, look at `boxset diff v1`, commit, and freeze the next (docs/testset.md)"
    )

    assert frozen_words(found, "v1") == [sentence]
    assert frozen_words(found, "") == frozen_words(found[1:2], "v1") == []
    assert "2 are in test, which is held to frozen v1" in suspicious_page(found, 50, Pictures([tmp_path], 1), frozen_words(found, "v1"))


def test_the_page_says_why_a_picture_is_not_shown(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300)).save(tmp_path / "here.jpg")
    found = [suspect(file_name="here.jpg"), suspect(file_name="here.jpg"), suspect(file_name="gone.jpg")]

    whole, full = page(found, tmp_path), page(found[:2], tmp_path, budget=100)

    assert "1 of these pictures is not on this machine; <code>dvc pull</code> fetches it." in whole
    assert "The page is full" not in whole
    assert whole.count("data:image/jpeg") == 2
    assert "The page is full" in full
    assert "not on this machine" not in full
    assert full.count("data:image/jpeg") == 1

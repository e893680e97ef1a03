"""One's own pictures that nobody looked at and no category is named for are counted, so that nobody takes them for done."""

from boxset.assemble.waiting import unnamed, unnamed_words
from boxset.params import Source
from tests.build import box, known, picture, pool

LOCAL = Source(format="local", path="photos")


def test_pictures_wait_that_no_source_and_no_person_said_anything_of_and_no_category_is_named_for() -> None:
    store = pool(picture("a"), picture("b"), picture("c"), picture("d", category="hammer"), picture("e"), known("c"))
    pools = {"store": store, "returns": pool(picture("f"), box("f")), "lvis": pool(picture("g"), box("b"))}

    waiting = unnamed(pools, pool(picture("e"), box("e")), {"store": LOCAL, "returns": LOCAL, "gone": LOCAL, "lvis": Source()})

    assert waiting == {"store": 1}


def test_it_is_said_what_lets_them_in() -> None:
    first, second = unnamed_words({"returns": 1, "store": 60}, ["saw", "hammer"])

    assert first.startswith("1 picture of returns has no labels and cannot be bought or reviewed: write `category: saw`")
    assert second.endswith("under sources.store; then `dvc repro`")

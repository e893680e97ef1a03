"""No label is bought that a frozen test set would leave out again; every other one may be."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from rich.console import Console

from boxset.assemble.freeze import Futile, futile, hold
from boxset.assemble.merge import every_image
from boxset.dataset.decisions import NOBODY
from boxset.dataset.frozen import Frozen, frozen_path, write_frozen
from boxset.dataset.records import Picture, Refused, State
from boxset.errors import ProjectError
from boxset.labeling.ledger import read_ledger
from boxset.labeling.plan import Plan, Stock, make_plan, near_frozen_words, to_review
from boxset.labeling.purchase import submit
from boxset.labeling.show import plan_table
from boxset.params import Merge, Split
from boxset.report import sections
from boxset.report.data import Planned, ReportData
from tests.build import IDS, box, known, merged, picture, pool, sha
from tests.test_labeling import NOTHING, TARGETS, Workforce, label, shop

change = msgspec.structs.replace
PHOTO = "https://www.flickr.com/photos/someone/4242"
EMPTY = read_ledger(Path("no-ledger"))


def found(name: object, **more: Any) -> Picture:
    """A picture that the crawl found for the hammer."""
    return picture(name, **{"source": "crawl", "category": "hammer", "query": "claw hammer", **more})


@dataclass(frozen=True)
class World:
    """Public pictures, each with a box but for those that nobody vouches for any more, those of the crawl, and the public ones that are frozen as v1."""

    public: Sequence[Picture]
    crawl: Sequence[Picture]
    frozen: Frozen
    bare: frozenset[str] = frozenset()

    def futile(self, *, denied: bool = False, bits: int = 6) -> Futile:
        """What no label helps; `denied`: every frozen picture's licence keeps it out now."""
        today = self.labelled(bits=bits)
        images, image_of = every_image(*self._all, ids=IDS, settings=Merge(duplicate_bits=bits))
        here = {image.sha256 for image in today.coco.images}
        return futile(images, image_of, self.frozen, merged=here, is_denied=lambda *_: denied, bits=bits)

    def left_out(self, one: Picture, *, bits: int = 6) -> bool:
        """Whether a picture that people labelled is in no split after all, or only lends its boxes to a frozen picture, which keeps its own."""
        today = self.labelled(one, bits=bits)
        beside = {dropped.sha256: dropped.near for dropped in today.dropped if dropped.near}
        files = {p.file_name for p in (*self.public, *self.crawl)}
        held = hold(today.coco, self.frozen, files=files, is_denied=lambda *_: False, bits=bits, dropped=beside)
        own = {image.sha256 for image in held.coco.images if image.id in held.images}
        name = next((best for best, copies in today.copies.items() if one.sha256 in copies), one.sha256)
        return one.sha256 not in own and (name in own or name in {image.sha256 for image in held.near})

    def labelled(self, *those: Picture, bits: int = 6) -> Any:
        """The merged set when people have looked at some of the crawl's pictures."""
        answers = pool(*(known(sha256=p.sha256, category=name, state=State.ABSENT, source="label") for p in those for name in IDS.categories))
        public, crawled = self._all
        return merged(*public.values(), crawled=crawled, answers=answers, duplicate_bits=bits)

    @property
    def _all(self) -> tuple[dict[str, Any], dict[str, tuple[Picture, ...]]]:
        return {"s0": pool(*self.public, *(box(sha256=p.sha256) for p in self.public if p.sha256 not in self.bare))}, {"hammer": tuple(self.crawl)}

    def plan(self, lost: Futile) -> Plan:
        """The plan."""
        public, crawled = self._all
        return make_plan(EMPTY, IDS, TARGETS, label(), Stock(crawled, list(public.values()), futile=lost), have=NOTHING)


def world(tmp_path: Path, public: Sequence[Picture], crawl: Sequence[Picture], *, frozen: Sequence[Picture]) -> World:
    """A world in which some of the public pictures, as they are alone, are the frozen test set v1."""
    first = merged(pool(*frozen, *(box(sha256=p.sha256) for p in frozen))).coco
    return World(public, crawl, write_frozen(frozen_path("v1", tmp_path), first, text="", commit="0" * 40))


def names(plan: Plan) -> list[str]:
    """The names of the pictures that a plan buys, in order."""
    return [bytes.fromhex(item.sha256).lstrip(b"\0").decode() for item in plan.items]


def near(name: object, one: Picture, bits: int) -> dict[str, Any]:
    """The fingerprint of a picture that differs from another's by so many bits."""
    return {"sha256": sha(name), "phash": f"{int(one.phash, 16) ^ ((1 << bits) - 1):016x}"}


def test_a_near_copy_of_a_frozen_picture_is_not_bought_and_counted(tmp_path: Path) -> None:
    tested = picture("t", landing_url=PHOTO)
    there = world(tmp_path, [tested], [found("a", landing_url=PHOTO), found("b", rank=1)], frozen=[tested])

    plan, before = there.plan(there.futile()), there.plan(Futile())

    assert names(before) == ["a", "b"]
    assert (names(plan), plan.frozen, plan.near_frozen, plan.rows[0].candidates) == (["b"], "v1", 1, 1)
    assert (before.frozen, before.near_frozen) == ("", 0)


def test_what_no_label_helps_is_not_shown_for_review_either(tmp_path: Path) -> None:
    tested = picture("t", landing_url=PHOTO)
    there = world(tmp_path, [tested], [found("a", landing_url=PHOTO), found("b")], frozen=[tested])
    given_: dict[str, Any] = {"crawled": {"hammer": tuple(there.crawl)}, "extracted": [], "refused": Refused(), "decisions": NOBODY}

    waiting = to_review(EMPTY, IDS, label(), Stock(**given_, futile=there.futile()))

    assert [one.sha256 for one in waiting["hammer"]] == [sha("b")]


def test_where_a_licence_keeps_the_frozen_picture_out_its_near_copies_are_bought(tmp_path: Path) -> None:
    tested = picture("t", landing_url=PHOTO)
    there = world(tmp_path, [], [found("a", landing_url=PHOTO)], frozen=[tested])

    assert there.futile().pictures == {sha("a")}
    assert there.futile(denied=True) == Futile("v1")


def test_a_frozen_picture_that_is_to_be_asked_again_is_bought(tmp_path: Path) -> None:
    tested = found("a")
    there = world(tmp_path, [], [tested, found("b", **near("b", tested, 3))], frozen=[tested])

    assert there.futile().pictures == {sha("b")}
    assert names(there.plan(there.futile())) == ["a"]


def test_a_copy_of_a_near_copy_that_is_not_near_itself_is_bought_in_its_place(tmp_path: Path) -> None:
    """`merge` groups by fewer bits here than the plan takes copies by."""
    tested = picture("t")
    close = found("a", **near("a", tested, 2))
    apart = found("b", rank=1, phash=f"{int(close.phash, 16) ^ 0x7000:016x}")
    there = world(tmp_path, [tested], [close, apart], frozen=[tested])
    lost = there.futile(bits=4)
    bought: dict[str, Any] = {"crawled": {"hammer": (close, apart)}, "extracted": []}

    plan, before = (make_plan(EMPTY, IDS, TARGETS, label(), Stock(**bought, futile=one), have=NOTHING) for one in (lost, Futile()))

    assert lost.pictures == {sha("a")}
    assert (names(before), names(plan), plan.near_frozen) == (["a"], ["b"], 1)


def test_what_only_an_unlabelled_picture_links_to_a_frozen_one_is_bought(tmp_path: Path) -> None:
    """The frozen picture has gone; a picture that was its copy would be near it, and one in that picture's group only once both are labelled."""
    tested = picture("t", source_id="7", source="lvis")
    copy, other = found("a", source="lvis", source_id="7"), found("b")
    linked = [change(copy, landing_url=PHOTO), change(other, landing_url=PHOTO)]
    there = world(tmp_path, [], linked, frozen=[tested])

    assert there.futile().pictures == {sha("a")}


PHOTOS = ("", "", "https://www.flickr.com/photos/a/1", "https://www.flickr.com/photos/a/2", "https://www.flickr.com/photos/a/3")
one_picture = st.tuples(st.integers(0, 3), st.integers(0, 9), st.sampled_from(PHOTOS), st.sampled_from(["", "", "8", "9"]), st.booleans())


@given(st.lists(one_picture, min_size=2, max_size=8), st.lists(one_picture, min_size=1, max_size=6), st.integers(2, 7), st.integers(0, 2))
@example_settings(max_examples=150)
def test_what_is_futile_is_what_balance_leaves_out_when_it_is_labelled(
    tmp_path_factory: pytest.TempPathFactory, public: list[tuple[Any, ...]], crawl: list[tuple[Any, ...]], bits: int, bare: int
) -> None:
    def made(place: object, one: tuple[Any, ...], **more: Any) -> Picture:
        likeness, flips, photo, flickr_id, large = one
        size = {"width": 800, "height": 600} if large else {}
        return found(place, phash=f"{int(picture(likeness).phash, 16) ^ ((1 << flips) - 1):016x}", landing_url=photo, flickr_id=flickr_id, **size, **more)

    sources = [made(f"p{n}", one, source="coco", category="") for n, one in enumerate(public)]
    pictures = [made(f"c{n}", one) for n, one in enumerate(crawl)]
    there = replace(world(tmp_path_factory.mktemp("world"), sources, pictures, frozen=sources[:2]), bare=frozenset(p.sha256 for p in sources[:bare]))

    assert there.futile(bits=bits).pictures & {p.sha256 for p in pictures} == {p.sha256 for p in pictures if there.left_out(p, bits=bits)}


def test_the_plan_says_how_many_are_not_bought_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = picture("t", landing_url=PHOTO)
    there = world(tmp_path, [tested], [found("a", landing_url=PHOTO), found("b")], frozen=[tested])
    plan, out = there.plan(there.futile()), io.StringIO()
    monkeypatch.setattr("boxset.labeling.show.console", lambda: Console(file=out, width=200))
    sentence = "ot bought: 1 picture that is a near copy of the test set frozen as v1, as `balance` would leave it out"

    plan_table(plan)
    page = sections.plan(ReportData({}, plan=msgspec.json.decode(msgspec.json.encode(plan), type=Planned)))

    assert f"n{sentence}\n" in out.getvalue()
    assert f"N{sentence.replace('`balance`', '<code>balance</code>')}." in str(page)
    assert near_frozen_words("v1", 0) == []
    assert near_frozen_words("v1", 2) == ["not bought: 2 pictures that are near copies of the test set frozen as v1, as `balance` would leave them out"]


@pytest.mark.parametrize("held", ["", "v2"])
def test_a_plan_that_was_made_for_another_freeze_buys_nothing(tmp_path: Path, held: str) -> None:
    tested, workforce = picture("t"), Workforce()
    there = world(tmp_path, [tested], [found("a")], frozen=[tested])
    buying = shop(tmp_path, workforce, label())
    buying = replace(buying, params=change(buying.params, split=Split(freeze_test=held)))

    with pytest.raises(ProjectError, match=r"the plan is older than split\.freeze_test\. `dvc repro label`"):
        submit(buying, there.plan(there.futile()))

    assert (workforce.sent, read_ledger(buying.ledger).jobs) == ({}, {})

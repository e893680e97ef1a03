"""One picture once, one object's boxes once, and what is known of every category."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxset.assemble.merge import Conflict
from boxset.dataset.reasons import Reason
from boxset.dataset.records import ImageRow, Pool, Refused, State
from boxset.dataset.refused import refused_by
from boxset.dataset.validation import faults_of
from tests.build import box, known, merged, picture, pool, sha

GRID = "80" * 48


def boxes_of(result: Any) -> list[tuple[int, str, tuple[float, ...]]]:
    """Category id, source and corners of every box."""
    return [(a.category_id, a.source, a.bbox) for a in result.coco.annotations]


def test_same_bytes_from_two_sources_become_one_image() -> None:
    result = merged(pool(picture("a"), box("a")), pool(picture("a", source="lvis", source_id="7"), box("a", (200, 100, 50, 50), source="lvis")))

    assert [(i.id, i.source, i.also_in) for i in result.coco.images] == [(1, "lvis", ("coco:a",))]
    assert boxes_of(result) == [(1, "coco", (10, 20, 100, 80)), (1, "lvis", (200, 100, 50, 50))]
    assert result.metrics["united"] == 1


@pytest.mark.parametrize("key", ["coco_id", "flickr_id"])
def test_same_photo_under_another_name_becomes_one_image_and_its_boxes_are_scaled(key: str) -> None:
    large = picture("large", width=800, height=600, **{key: "9"})
    small = picture("small", source="vg", **{key: "9"})

    result = merged(pool(large), pool(small, box("small", (10, 20, 100, 80), source="vg")))

    assert [i.sha256 for i in result.coco.images] == [sha("large")]
    assert boxes_of(result) == [(1, "vg", (20, 40, 200, 160))]


@pytest.mark.parametrize("key", ["coco_id", "flickr_id"])
def test_the_same_photo_turned_by_its_owner_stays_apart_in_the_same_group(key: str) -> None:
    lying, upright = picture("lying", **{key: "9"}), picture("upright", source="vg", width=600, height=800, **{key: "9"})

    result = merged(pool(lying, box("lying")), pool(upright, box("upright", (30, 40, 60, 90), source="vg")))

    assert [(a.source, a.bbox) for a in result.coco.annotations] == [("coco", (10, 20, 100, 80)), ("vg", (30, 40, 60, 90))]
    assert [image.group for image in result.coco.images] == [1, 1]


@pytest.mark.parametrize(
    ("ids", "refused"),
    [
        ({"coco_id": "111"}, Refused(coco_ids=("111",))),
        ({"flickr_id": "111"}, Refused(flickr_ids=("111",))),
        ({"url": "my/a.jpg#0a1b"}, Refused(marks=("0a1b",))),
        ({"url": "https://shop.example/a.jpg"}, Refused(urls=("https://shop.example/a.jpg",))),
        ({"original_url": "https://shop.example/a.jpg"}, Refused(urls=("https://shop.example/a.jpg",))),
    ],
)
def test_what_one_source_refuses_for_its_licence_does_not_come_in_through_another(ids: dict[str, str], refused: Refused) -> None:
    vg = picture("vg", source="vg", license="", **ids)
    same_bytes = picture("vg", source="own", source_id="o", license="")
    other = picture("other", source="vg", license="", **dict.fromkeys(ids, "my/b.jpg#112"))

    result = merged(pool(vg, other, box("vg"), box("vg", (11, 20, 100, 80), source="own"), box("other")), pool(same_bytes), refused=refused)

    assert [i.sha256 for i in result.coco.images] == [sha("other")]
    assert sorted((d.source, d.reason) for d in result.dropped) == [("own", "licence"), ("vg", "licence")]
    assert (result.metrics["seen"], result.metrics["dropped"], result.metrics["fused_boxes"]) == (3, {"licence": 2}, 0)


def test_what_a_crawl_refuses_for_a_stated_licence_comes_in_through_no_other() -> None:
    rows = [
        ImageRow(source_id=url, url=url, outcome=outcome, detail=detail)
        for url, outcome, detail in (
            ("https://live.staticflickr.com/1/2345_abc_b.jpg", Reason.LICENCE, "CC-BY-NC-4.0"),
            ("https://shop.example/a.jpg", Reason.LICENCE, "LicenseRef-all-rights-reserved"),
            ("https://shop.example/b.jpg", Reason.LICENCE, "unknown"),
            ("https://shop.example/c.jpg", Reason.GONE, "404"),
        )
    ]

    assert refused_by(rows) == Refused(flickr_ids=("2345",), urls=(rows[0].url, rows[1].url))


def test_a_picture_under_a_stated_licence_is_not_refused_for_what_another_source_says() -> None:
    result = merged(pool(picture("a", coco_id="111"), box("a")), refused=Refused(coco_ids=("111",)))

    assert [i.sha256 for i in result.coco.images] == [sha("a")]


def test_copies_that_state_other_licences_are_a_conflict_and_the_kept_copys_holds() -> None:
    large = picture("large", width=800, height=600, coco_id="9")
    others = [picture(name, source=name, license=licence, coco_id="9") for name, licence in (("vg", ""), ("lvis", "CC-BY-NC-2.0"), ("own", "CC-BY-4.0"))]

    result = merged(pool(large, *others, box("large")))

    kept = f"{large.source}: CC-BY-4.0"
    assert [one.name for one in result.coco.licenses] == ["CC-BY-4.0"]
    assert result.conflicts == (Conflict(sha256=sha("large"), what="licence", kept=kept, other="lvis: CC-BY-NC-2.0"),)


def test_a_source_that_refuses_a_picture_which_another_licenses_is_a_conflict() -> None:
    one, unlabelled = picture("a", coco_id="111"), picture("b", coco_id="112")

    result = merged(pool(one, unlabelled, box("a")), refused=Refused(coco_ids=("111", "112")))

    assert [(c.sha256, c.what, c.other) for c in result.conflicts] == [(sha("a"), "licence", "another source or crawl: refused for the licence that it states")]


def test_an_author_whom_any_copy_names_is_credited() -> None:
    large = picture("large", width=800, height=600, coco_id="9")
    copies = [picture("vg", source="vg", license="", coco_id="9", author="an uploader"), picture("oi", source="oi", coco_id="9", **ANN)]

    (one,) = merged(pool(large, *copies, box("large"))).coco.images

    assert {"author": one.author, "author_url": one.author_url} == ANN


def test_the_licence_of_a_united_picture_is_the_one_that_a_copy_states() -> None:
    large = picture("large", width=800, height=600, source="vg", license="", coco_id="9", author="somebody")
    small = picture("small", coco_id="9", author="Ann", landing_url="https://flickr.example/9")

    result = merged(pool(large, small, box("small")))

    (one,) = result.coco.images
    assert (one.sha256, result.coco.licenses[0].name, one.author, one.landing_url) == (sha("large"), "CC-BY-4.0", "Ann", "https://flickr.example/9")


ANN, BEN = {"author": "Ann", "author_url": "https://people.example/ann"}, {"author": "Ben", "author_url": "https://people.example/ben"}


@pytest.mark.parametrize(
    ("licensed", "larger", "author"),
    [
        (ANN, BEN, ANN),
        ({"author": "Ann"}, BEN, {"author": "Ann", "author_url": ""}),
        ({}, BEN, BEN),
        ({"author_url": ANN["author_url"]}, {}, {"author": "", "author_url": ANN["author_url"]}),
    ],
)
def test_the_page_of_an_author_is_that_of_the_one_who_is_named(licensed: dict[str, str], larger: dict[str, str], author: dict[str, str]) -> None:
    large = picture("large", width=800, height=600, source="vg", license="", coco_id="9", **larger)
    small = picture("small", coco_id="9", **licensed)

    (one,) = merged(pool(large, small, box("small"))).coco.images

    assert {"author": one.author, "author_url": one.author_url} == author


def test_a_near_copy_of_the_same_frame_is_united() -> None:
    one, copy = picture("one", phash="0" * 16, grid=GRID), picture("copy", phash=f"{3:016x}", grid=GRID, width=200, height=150, source="vg")

    result = merged(pool(one, box("one")), pool(copy, box("copy", (5, 10, 50, 40), source="vg")))

    assert len(result.coco.images) == 1
    assert result.metrics["fused_boxes"] == 1


@pytest.mark.parametrize(
    "told",
    [
        {"landing_url": "https://www.flickr.com/photos/someone/4242"},
        {"original_url": "https://live.staticflickr.com/7/4242_abc_o.jpg"},
        {"url": "http://images.cocodataset.org/val2017/000000000042.jpg"},
    ],
    ids=["page", "original", "coco"],
)
def test_pictures_whose_addresses_tell_one_photo_share_a_group_and_stay_apart(told: dict[str, str]) -> None:
    result = merged(pool(picture("a", flickr_id="4242", coco_id="42"), picture("b", **told), picture("c"), box("a"), box("b"), box("c")))

    groups = {i.sha256: i.group for i in result.coco.images}
    assert len(groups) == 3
    assert groups[sha("a")] == groups[sha("b")] != groups[sha("c")]


def test_a_crop_stays_an_image_of_its_own_in_the_same_group() -> None:
    one, crop = picture("one", phash="0" * 16, grid=GRID), picture("crop", phash=f"{63:016x}", grid=GRID, width=390, height=290)
    other = picture("other", phash="f" * 16)

    result = merged(pool(one, crop, other, box("one"), box("crop"), box("other")))

    groups = {i.sha256: i.group for i in result.coco.images}
    assert len(groups) == 3
    assert groups[sha("one")] == groups[sha("crop")] != groups[sha("other")]


def test_of_boxes_of_one_object_the_most_trusted_stays() -> None:
    result = merged(
        pool(
            picture("a"),
            box("a", (12, 20, 100, 80), source="visual_genome"),
            box("a", (10, 20, 100, 80), source="label"),
            box("a", (10, 20, 100, 80), source="lvis", iscrowd=1),
        )
    )

    assert sorted((a.source, a.iscrowd) for a in result.coco.annotations) == [("label", 0), ("lvis", 1)]


def test_two_boxes_of_one_source_are_two_objects_unless_they_are_equal() -> None:
    result = merged(pool(picture("a"), box("a"), box("a"), box("a", (12, 20, 100, 80))))

    assert boxes_of(result) == [(1, "coco", (10, 20, 100, 80)), (1, "coco", (12, 20, 100, 80))]


def test_one_object_boxed_by_one_source_in_two_copies_has_one_box_and_that_of_the_best_copy_stays() -> None:
    """A photo that lies twice in a folder of one's own, once smaller, labelled both times."""
    large, small = picture("large", source="mine", grid=GRID, width=800, height=600), picture("small", source="mine", grid=GRID, phash=picture("large").phash)
    beside = [box("large", (30, 60, 200, 160), source="mine"), box("small", (16, 30, 100, 80), source="mine")]

    result = merged(pool(large, small, box("large", (20, 40, 200, 160), source="mine"), box("small", (10, 21, 100, 79), source="mine"), *beside))

    assert [a.bbox for a in result.coco.annotations] == [(20, 40, 200, 160), (30, 60, 200, 160)]
    assert (len(result.coco.images), result.metrics["fused_boxes"]) == (1, 2)


def test_two_categories_on_one_box_are_logged_and_both_stay() -> None:
    result = merged(pool(picture("a"), box("a", source="lvis"), box("a", category="saw", source="vg")))

    assert len(result.coco.annotations) == 2
    assert [(c.what, c.kept, c.other) for c in result.conflicts] == [("two categories on one box", "lvis: hammer", "vg: saw")]


def test_what_is_known_reaches_the_image_and_contradictions_are_logged() -> None:
    result = merged(
        pool(picture("a"), box("a"), known("a", State.PARTIAL), known("a", State.ABSENT, category="saw", source="lvis")),
        pool(known("a", State.PRESENT, category="saw", source="visual_genome")),
    )

    image = result.coco.images[0]
    assert (image.neg_category_ids, image.not_exhaustive_category_ids, image.exhaustive_category_ids) == ((2,), (1,), ())
    assert [(c.what, c.kept, c.other) for c in result.conflicts] == [("presence of saw", "lvis: absent", "visual_genome: present")]


def test_nothing_is_absent_where_a_box_stays_whoever_says_so() -> None:
    """LVIS looked for it in COCO's copy and saw none, and Visual Genome has a box of it."""
    result = merged(
        pool(picture("a", source="lvis", coco_id="7"), known("a", State.ABSENT, source="lvis")),
        pool(picture("b", source="visual_genome", coco_id="7"), box("b", source="visual_genome"), known("b", State.PARTIAL, source="visual_genome")),
    )

    (image,) = result.coco.images
    assert (image.neg_category_ids, image.not_exhaustive_category_ids, len(result.coco.annotations)) == ((), (1,), 1)
    assert [(c.what, c.kept, c.other) for c in result.conflicts] == [("presence of hammer", "visual_genome: partial", "lvis: absent")]
    assert not [fault for fault in faults_of({"train": result.coco}) if "absent" in fault.what]


def test_crowds_are_counted_apart() -> None:
    result = merged(pool(picture("a"), picture("b"), box("a"), box("a", (9, 9, 300, 250), iscrowd=1), box("b", iscrowd=1)))

    assert {name: result.metrics[name] for name in ("boxes", "images", "crowds")} == {"boxes": {"hammer": 1, "saw": 0}, "images": {"hammer": 1, "saw": 0}, "crowds": 2}


def test_a_crawled_picture_waits_until_people_have_looked() -> None:
    crawled = {"hammer": (picture("seen", source="crawl"), picture("unseen", source="crawl"))}

    result = merged(crawled=crawled, answers=pool(known("seen", State.ABSENT, source="label")))

    assert [i.sha256 for i in result.coco.images] == [sha("seen")]
    assert [(d.sha256, d.reason) for d in result.dropped] == [(sha("unseen"), "unlabelled")]
    assert result.metrics["seen"] == result.metrics["kept"] + result.metrics["united"] + sum(result.metrics["dropped"].values())


def test_unknown_drop_leaves_out_pictures_where_nobody_looked_for_some_category() -> None:
    whole = [picture("whole"), box("whole"), known("whole"), known("whole", State.ABSENT, category="saw")]

    result = merged(pool(*whole, picture("half"), box("half"), known("half")), unknown="drop")

    assert [i.sha256 for i in result.coco.images] == [sha("whole")]
    assert result.metrics["dropped"] == {"unknown_category": 1}


def test_records_of_removed_categories_and_unknown_pictures_are_ignored() -> None:
    result = merged(pool(picture("a"), box("a"), box("a", category="axe"), box("gone"), known("a", category="axe"), known("gone")))

    assert len(result.coco.annotations) == 1


def test_licences_are_listed_once_with_their_text_and_unknown_by_name() -> None:
    result = merged(
        pool(picture("a", license="CC-BY-SA-2.0"), picture("b", license=""), picture("c", license="CC0-1.0"), picture("d", license="LicenseRef-own")),
        pool(*(known(n, State.ABSENT) for n in "abcd")),
    )

    assert [(x.id, x.name, x.url) for x in result.coco.licenses] == [
        (1, "unknown", ""),
        (2, "CC-BY-SA-2.0", "https://creativecommons.org/licenses/by-sa/2.0/"),
        (3, "CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        (4, "LicenseRef-own", ""),
    ]


@given(st.permutations(range(4)))
def test_the_order_of_sources_changes_nothing(order: list[int]) -> None:
    pools = [
        pool(picture("a"), box("a")),
        pool(picture("a", source="lvis"), box("a", (11, 20, 100, 80), source="lvis"), known("a", source="lvis")),
        pool(picture("b", source="vg", flickr_id="3"), box("b", source="vg")),
        pool(picture("c", source="imagenet", flickr_id="3", width=800, height=600), box("c", (20, 40, 200, 160), source="imagenet")),
    ]

    assert merged(*(pools[i] for i in order)).coco == merged(*pools).coco


def test_merging_with_itself_changes_nothing() -> None:
    one = pool(picture("a"), box("a"), box("a", (200, 100, 50, 50)), known("a"))

    assert merged(one, one).coco == merged(one).coco
    assert merged(Pool()).coco.images == ()


PLACES = st.tuples(st.sampled_from([0.0, 2.0, 10.0]), st.sampled_from([0.0, 3.0]), st.sampled_from([50.0, 52.0, 60.0]), st.sampled_from([50.0, 55.0]))
NAMES, SOURCES, NAMED = st.sampled_from("abcd"), st.sampled_from(["lvis", "coco", "mine", "other"]), st.sampled_from(["hammer", "saw"])
PHOTOS = st.fixed_dictionaries({"flickr_id": st.sampled_from(["", "1"]), "width": st.sampled_from([400, 800]), "license": st.sampled_from(["", "CC0-1.0"])})


@st.composite
def sources(draw: st.DrawFn) -> list[Pool]:
    """What a few sources say of the same few pictures, contradicting each other as they like; each speaks once of a place and of a category."""
    photos = {name: draw(PHOTOS) for name in "abcd"}
    pools = []
    for source in draw(st.lists(SOURCES, min_size=1, unique=True)):
        here = draw(st.lists(NAMES, min_size=1, unique=True))
        drawn = draw(st.lists(st.tuples(st.sampled_from(here), NAMED, PLACES, st.sampled_from([0, 0, 1])), max_size=6, unique=True))
        said = draw(st.dictionaries(st.tuples(st.sampled_from(here), NAMED), st.sampled_from(State), max_size=4))
        pictures = [picture(name, source=source, source_id=f"{source}-{name}", **{**photos[name], "height": photos[name]["width"] * 3 // 4}) for name in here]
        boxes = [box(name, place, category=category, source=source, iscrowd=crowd) for name, category, place, crowd in drawn]
        pools.append(pool(*pictures, *boxes, *(known(name, state, category=category, source=source) for (name, category), state in said.items())))
    return pools


@given(sources(), st.randoms())
def test_whatever_sources_say_the_set_is_sound_and_the_same_in_any_order(pools: list[Pool], chance: random.Random) -> None:
    found = merged(*pools)

    turned = merged(*(Pool(**{name: tuple(chance.sample(some, len(some))) for name, some in msgspec.structs.asdict(one).items()}) for one in chance.sample(pools, len(pools))))
    assert (turned.coco, turned.conflicts, turned.metrics) == (found.coco, found.conflicts, found.metrics)
    assert [fault for fault in faults_of({"train": found.coco}) if "file_name" not in fault.what] == []
    assert merged(*pools, *pools).coco == found.coco

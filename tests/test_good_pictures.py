"""Which pictures a crawl keeps: each rule with pictures and hits made here that only that rule tells apart."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageOps

from boxset.dataset.reasons import Reason
from boxset.dataset.records import KEPT, ImageRow
from boxset.images.look import looks
from boxset.params import Crawl, Licences
from boxset.resolve import CrawlOrder
from boxset.web.judge import Candidate, Judge, Kept
from boxset.web.pictures import Outcome, Shelf, Stored
from boxset.web.suppliers import Hit
from boxset.web.thumbnails import is_thumbnail, names_thumbnail
from tests.test_looks import drawn, no_image, on_white, screen, textured

HIT = Hit(url="https://shop.example/p/1.jpg", title="A hammer", landing_url="https://shop.example/hammer", width=640, height=480)


class Trial:
    """A judge, and the pictures it has kept."""

    def __init__(self, folder: Path, *, words: tuple[str, ...] = (), licences: Licences = Licences(), use: str = "research", **settings: Any) -> None:
        order = CrawlOrder(category="hammer", queries=(), confusers=(), crawl_images=9, reject_words=words, use=use, licences=licences)
        self.kept = Kept(Crawl(**settings).near_duplicates)
        self.judge = Judge(order, Crawl(**settings), self.kept)
        self.shelf = Shelf(folder, look=looks)

    def row(self, picture: Image.Image | bytes, hit: Hit = HIT, **changed: Any) -> ImageRow:
        """What becomes of a picture; `changed` are fields of the hit."""
        hit = Hit(**{**{name: getattr(hit, name) for name in Hit.__struct_fields__}, **changed})
        stored = self.shelf.put(picture if isinstance(picture, bytes) else encoded(picture))
        kept = isinstance(stored, Stored)
        outcome = Outcome(url=hit.url, outcome=KEPT, stored=stored) if kept else Outcome(url=hit.url, outcome=stored.reason)  # type: ignore[union-attr, arg-type]
        url, refusal = self.judge.address(hit)
        candidate = Candidate(url, hit, "hammer", "searxng", rank=1, place=(0, 1))
        refusal = refusal or self.judge.before(candidate)
        if refusal is not None:
            return ImageRow(source_id=url, url=url, outcome=refusal.reason, detail=refusal.detail)
        row = self.judge.row(candidate, outcome)
        if row.picture is not None:
            self.kept.add(row.picture)
        return row

    def outcome(self, picture: Image.Image | bytes, **changed: Any) -> str:
        """Only whether it is kept, or why not."""
        return str(self.row(picture, **changed).outcome)


def encoded(picture: Image.Image, name: str = "JPEG", **options: Any) -> bytes:
    out = BytesIO()
    picture.save(out, name, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("title", "Vector clip-art of a Hammer"),
        ("title", "VECTOR!"),
        ("title", "un véctor gratuit"),
        ("url", "https://cdn.example/free-vector/hammer.jpg"),
        ("landing_url", "https://cdn.example/vector_hammer"),
    ],
)
def test_a_rejected_word_in_title_or_address_keeps_a_picture_out(tmp_path: Path, field: str, text: str) -> None:
    row = Trial(tmp_path, words=("vector",)).row(textured(1), **{field: text})

    assert (row.outcome, row.detail) == (Reason.REJECT_WORD, "vector")


def test_a_word_within_another_rejects_nothing_and_several_words_must_follow_one_another(tmp_path: Path) -> None:
    trial = Trial(tmp_path, words=("bit", "oil rig"))

    assert trial.outcome(textured(1), title="A bitter end, rig with oil") == KEPT
    assert trial.outcome(textured(2), title="On the oil-rig") == Reason.REJECT_WORD


def test_one_site_fills_a_category_up_to_its_limit_whatever_its_hosts_are_called(tmp_path: Path) -> None:
    trial = Trial(tmp_path, per_site=2)

    said = [trial.outcome(textured(n), url=f"https://cdn{n}.shop.example/{n}.jpg") for n in range(3)]

    assert said == [KEPT, KEPT, Reason.SITE_LIMIT]
    assert trial.outcome(textured(9), url="https://other.test/1.jpg") == KEPT


def test_what_is_left_out_does_not_count_for_its_site(tmp_path: Path) -> None:
    trial = Trial(tmp_path, per_site=1)

    assert trial.outcome(textured(1, (640, 100)), width=0, height=0) == Reason.TOO_SMALL
    assert trial.outcome(textured(2)) == KEPT


def test_the_shorter_side_and_the_shape_have_their_limits(tmp_path: Path) -> None:
    trial = Trial(tmp_path, min_side=200, max_aspect=3.0)
    sizes = {(600, 200): KEPT, (600, 199): Reason.TOO_SMALL, (700, 200): Reason.ODD_SHAPE, (200, 700): Reason.ODD_SHAPE, (200, 600): KEPT}

    found = {size: trial.outcome(textured(n, size), width=0, height=0, url=f"https://s{n}.test/a.jpg") for n, size in enumerate(sizes)}

    assert found == sizes


def test_svg_and_animations_are_no_pictures(tmp_path: Path) -> None:
    trial, still = Trial(tmp_path), textured(1)
    moving = encoded(still, "GIF", save_all=True, append_images=[textured(2)])

    assert trial.outcome(b'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="600"><rect/></svg>') == Reason.NOT_AN_IMAGE
    assert trial.outcome(moving) == Reason.ANIMATED
    assert trial.outcome(encoded(still, "GIF")) == KEPT


def test_a_placeholder_is_never_kept(tmp_path: Path) -> None:
    assert Trial(tmp_path, drawings="keep", screenshots="keep").outcome(no_image()) == Reason.PLACEHOLDER


@pytest.mark.parametrize(
    ("kind", "setting", "make"), [("drawing", "drawings", drawn), ("screenshot", "screenshots", screen), ("catalogue", "catalogue", on_white)]
)
def test_looks_are_dropped_flagged_or_kept_as_the_parameters_say(tmp_path: Path, kind: str, setting: str, make: Any) -> None:
    said = {policy: Trial(tmp_path, **{setting: policy}).row(make(3), width=0, height=0) for policy in ("drop", "flag", "keep")}

    assert said["drop"].outcome == Reason(kind)
    assert {policy: row.picture.flags for policy, row in said.items() if row.picture} == {"flag": (kind,), "keep": ()}


def test_a_thumbnail_is_dropped_or_flagged(tmp_path: Path) -> None:
    small = textured(1, (400, 300))
    promised = {"width": 2000, "height": 1500}

    assert Trial(tmp_path).outcome(small, **promised) == Reason.THUMBNAIL
    assert Trial(tmp_path).outcome(small, url="https://encrypted-tbn0.gstatic.com/images?q=tbn:x", width=0, height=0) == Reason.THUMBNAIL
    flagged = Trial(tmp_path, thumbnails="flag").row(small, **promised)
    only = Trial(tmp_path, thumbnails="flag").row(small, url="", thumbnail="https://t.example/1.jpg", width=0, height=0)
    assert [row.picture.flags for row in (flagged, only) if row.picture] == [("thumbnail",), ("thumbnail",)]


def test_a_large_picture_is_no_thumbnail_whatever_was_promised() -> None:
    address = "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/Hammer.jpg/1280px-Hammer.jpg"

    assert not is_thumbnail(address, (1280, 960), (6000, 4500))
    assert is_thumbnail("https://a.example/h.jpg", (400, 300), (1000, 750))
    assert not is_thumbnail("https://a.example/h.jpg", (400, 300), (0, 0))
    assert not is_thumbnail("https://a.example/h.jpg", (400, 300), (640, 480))


@pytest.mark.parametrize(
    "url",
    [
        "https://encrypted-tbn0.gstatic.com/images?q=tbn:ANd9GcQ",
        "https://tse1.mm.bing.net/th?id=OIP.abc&pid=15.1",
        "https://ts.mm.bing.net/th?id=1",
        "https://th.bing.com/th/id/OIP.xyz?w=183",
        "https://lh3.googleusercontent.com/abc=s150",
        "https://lh3.googleusercontent.com/abc=w200-h150-c",
        "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/Hammer.jpg/220px-Hammer.jpg",
        "https://live.staticflickr.com/65535/1_2_q.jpg",
        "https://i.pinimg.com/236x/aa/bb.jpg",
        "https://m.media-amazon.com/images/I/41abc._AC_US40_.jpg",
        "https://blog.example/wp-content/uploads/2020/hammer-300x225.jpg",
        "https://cdn.shop.example/products/hammer_100x.jpg",
        "https://shop.example/thumbs/hammer.jpg",
        "https://shop.example/img/hammer_thumb.jpg",
        "https://img.youtube.com/vi/abc/mqdefault.jpg",
        "https://shop.example/image?id=7&w=160",
    ],
)
def test_addresses_of_thumbnails_are_known(url: str) -> None:
    assert names_thumbnail(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hammer.jpg",
        "https://shop.example/thumbtack/small-hammer.jpg",
        "https://live.staticflickr.com/65535/1_2_b.jpg",
        "https://live.staticflickr.com/65535/1_2.jpg",
        "https://i.pinimg.com/originals/aa/bb.jpg",
        "https://i.pinimg.com/736x/aa/bb.jpg",
        "https://m.media-amazon.com/images/I/41abc._AC_SL1500_.jpg",
        "https://blog.example/wp-content/uploads/hammer-1024x768.jpg",
        "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/Hammer.jpg/1280px-Hammer.jpg",
        "https://img.youtube.com/vi/abc/maxresdefault.jpg",
        "https://shop.example/image?id=160&w=1200",
        "https://www.bing.com/images/hammer.jpg",
    ],
)
def test_addresses_of_whole_pictures_are_not_taken_for_thumbnails(url: str) -> None:
    assert not names_thumbnail(url)


def test_a_copy_in_other_size_and_quality_is_a_duplicate_and_names_its_twin(tmp_path: Path) -> None:
    trial, picture = Trial(tmp_path), textured(1)
    first = trial.row(picture)

    copy = trial.row(encoded(picture.resize((480, 360)), quality=60), url="https://other.test/copy.jpg", width=0, height=0)

    assert first.picture is not None
    assert (copy.outcome, copy.detail) == (Reason.DUPLICATE, HIT.url)
    assert trial.outcome(textured(2), url="https://other.test/2.jpg") == KEPT


def test_a_mirrored_copy_is_a_duplicate_too(tmp_path: Path) -> None:
    trial = Trial(tmp_path)

    assert trial.outcome(textured(1)) == KEPT
    assert trial.outcome(ImageOps.mirror(textured(1)), url="https://other.test/m.jpg") == Reason.DUPLICATE
    assert trial.outcome(ImageOps.flip(textured(1)), url="https://other.test/f.jpg") == KEPT


def test_two_things_of_other_colours_in_one_pose_on_white_are_two_pictures(tmp_path: Path) -> None:
    def bar(colour: str) -> Image.Image:
        picture = Image.new("RGB", (600, 600), "white")
        ImageDraw.Draw(picture).rectangle((100, 220, 500, 420), fill=colour)
        picture.paste(Image.blend(picture, textured(4, (600, 600)), 0.25), (0, 0), Image.new("L", (600, 600), 90))
        return picture

    trial = Trial(tmp_path)

    assert trial.outcome(bar("#c02020"), width=0, height=0) == KEPT
    assert trial.outcome(bar("#2040c0"), width=0, height=0, url="https://b.test/1.jpg") == KEPT


def test_licences_that_may_not_enter_are_left_out(tmp_path: Path) -> None:
    trial = Trial(tmp_path, use="commercial")

    assert trial.outcome(textured(1), license="CC-BY-NC-4.0") == Reason.LICENCE
    assert trial.outcome(textured(1), license="CC-BY-4.0") == KEPT
    assert Trial(tmp_path, licences=Licences(unknown="deny")).outcome(textured(1), license="") == Reason.LICENCE


def test_no_outside_name_reaches_the_file_system(tmp_path: Path) -> None:
    row = Trial(tmp_path / "shelf").row(textured(1), url="https://a.test/..%2f..%2fetc/passwd", title="../../x")

    assert row.picture is not None
    assert [p.name for p in tmp_path.rglob("*.*")] == [row.picture.file_name] == [f"{row.picture.sha256}.jpg"]

"""What a picture seems to be: pictures made here, and real photographs where they are at hand."""

import random
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from boxset.dataset.reasons import Refusal
from boxset.images.look import looks, looks_of, white_border
from boxset.images.prepare import prepare
from boxset.images.small import Small
from tests.project import REALDATA


def as_crawled(picture: Image.Image, quality: int = 85) -> tuple[str, ...]:
    """What the crawl says of a picture that it met as a JPEG."""
    out = BytesIO()
    picture.save(out, "JPEG", quality=quality)
    prepared = prepare(out.getvalue())
    assert not isinstance(prepared, Refusal)
    return looks(prepared)


def textured(seed: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Something like a photograph: soft shapes of many sizes, in light that changes, with grain."""
    rng = np.random.default_rng(seed)
    values = np.zeros((size[1], size[0], 3))
    for cells, height in ((3, 70), (9, 40), (40, 25), (160, 14)):
        rough = rng.normal(128, 40, (max(2, cells * size[1] // size[0]), cells, 3)).clip(0, 255).astype(np.uint8)
        values += (np.asarray(Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC)).astype(float) - 128) * height / 40
    return Image.fromarray((128 + values + rng.normal(0, 4, values.shape)).clip(0, 255).astype(np.uint8))


def on_white(seed: int) -> Image.Image:
    """A textured thing on white, with a soft shadow."""
    picture, outline = Image.new("RGB", (640, 640), "white"), Image.new("L", (640, 640))
    ImageDraw.Draw(outline).polygon([(120, 480), (430, 150), (520, 230), (210, 540)], fill=255)
    shadow = outline.filter(ImageFilter.GaussianBlur(14)).point([v // 4 for v in range(256)])
    picture.paste((60, 60, 60), (12, 16), shadow)
    picture.paste(textured(seed, (640, 640)), (0, 0), outline)
    return picture


def drawn(seed: int) -> Image.Image:
    """Clip art: flat colours within dark outlines."""
    rng = random.Random(seed)
    picture = Image.new("RGB", (600, 600), "white")
    draw = ImageDraw.Draw(picture)
    for _ in range(7):
        left, top = rng.randint(60, 380), rng.randint(60, 380)
        box = (left, top, left + rng.randint(60, 160), top + rng.randint(60, 160))
        colour = (rng.randint(120, 255), rng.randint(0, 160), rng.randint(0, 120))
        rng.choice((draw.ellipse, draw.rectangle))(box, fill=colour, outline=(20, 20, 20), width=6)
    return picture


def screen(seed: int) -> Image.Image:
    """A window with a title, lines of text and fields."""
    rng = random.Random(seed)
    picture = Image.new("RGB", (900, 600), (244, 244, 246))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 900, 36), fill=(52, 60, 84))
    for row in range(24):
        y = 52 + row * 22
        draw.text(
            (20, y), " ".join(rng.choice(("file", "edit", "value", "100.0", "total", "name")) for _ in range(rng.randint(5, 16))), fill=(30, 30, 30)
        )
        draw.rectangle((640, y, 870, y + 17), fill="white", outline=(150, 150, 160))
        draw.text((648, y + 3), "field", fill=(30, 30, 30))
    return picture


def no_image(words: str = "No image available") -> Image.Image:
    """What a site shows in place of a picture."""
    picture = Image.new("RGB", (500, 400), (236, 236, 236))
    ImageDraw.Draw(picture).text((250, 200), words, fill=(120, 120, 120), anchor="mm", font_size=30)
    return picture


@pytest.mark.parametrize("seed", range(6))
def test_photographs_are_nothing_else(seed: int) -> None:
    assert as_crawled(textured(seed)) == ()


@pytest.mark.parametrize("seed", range(6))
def test_a_photograph_on_white_is_a_catalogue_shot_and_no_drawing(seed: int) -> None:
    assert as_crawled(on_white(seed)) == ("catalogue",)


@pytest.mark.parametrize("seed", range(6))
def test_clip_art_is_a_drawing_and_no_catalogue_shot(seed: int) -> None:
    assert as_crawled(drawn(seed)) == ("drawing",)


@pytest.mark.parametrize("seed", range(6))
def test_a_window_is_a_screenshot(seed: int) -> None:
    assert as_crawled(screen(seed)) == ("screenshot",)


@pytest.mark.parametrize("quality", [50, 90])
def test_words_or_nothing_on_a_plain_ground_are_a_placeholder(quality: int) -> None:
    assert as_crawled(no_image(), quality) == ("placeholder",)
    assert as_crawled(Image.new("RGB", (400, 300), (200, 30, 30)), quality) == ("placeholder",)


def test_a_dot_that_was_stretched_and_a_strip_show_nothing() -> None:
    assert looks_of(Small.of(Image.new("RGB", (1, 1), "white"))) == ("placeholder",)
    assert looks_of(Small.of(textured(1, (256, 15)))) == ("placeholder",)
    assert looks_of(Small.of(textured(1, (256, 16)))) == ()


def test_a_grey_picture_is_looked_at_too() -> None:
    assert looks_of(Small.of(textured(1, (256, 200)).convert("L"))) == ()


def test_the_border_alone_makes_it_white() -> None:
    framed = np.full((100, 100, 4), 250, dtype=np.uint8)
    framed[10:90, 10:90] = 0
    half = framed.copy()
    half[:50] = 100

    assert white_border(framed) == 1.0
    assert 0.4 < white_border(half) < 0.6


needs_photographs = pytest.mark.skipif(not REALDATA.is_dir(), reason="the folder of real files is not here")


@needs_photographs
def test_real_photographs_are_hardly_ever_taken_for_something_made() -> None:
    files = [*REALDATA.glob("tool_photos/*/images/*"), *REALDATA.rglob("tiny_coco/images/*/*.jpg")]

    said = [looks(p) for file in files if not isinstance(p := prepare(file.read_bytes()), Refusal)]

    assert len(said) > 80
    made = [found for found in said if found not in ((), ("catalogue",))]
    assert len(made) <= 0.02 * len(said)


@needs_photographs
def test_real_shots_on_white_are_catalogue_shots_and_those_on_a_table_are_not() -> None:
    files = sorted(REALDATA.glob("tool_photos/*/images/*"))
    on_a_table = {f for f in files if f.name.startswith(("IMG_", "maxresdefault"))}

    said = {f for f in files if not isinstance(p := prepare(f.read_bytes()), Refusal) and looks(p) == ("catalogue",)}

    assert not said & on_a_table
    assert len(said) >= 22
    assert len(files) - len(on_a_table) == 24

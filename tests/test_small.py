"""The small version of a picture and its hash are those that Pillow's filters give; only that they take less time."""

import numpy as np
import pytest
from PIL import Image

from boxset.images.phash import phash
from boxset.images.small import Small


def rough(width: int, height: int, seed: int = 5) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8))


@pytest.mark.parametrize("size", [(257, 200), (288, 216), (300, 300), (384, 250), (384, 256), (512, 400), (250, 320), (900, 700), (3, 280)])
def test_a_large_picture_is_shrunk_as_a_box_filter_does_it(size: tuple[int, int]) -> None:
    picture = rough(*size)
    expected = picture.copy()
    expected.thumbnail((256, 256), Image.Resampling.BOX)

    small = Small.of(picture)

    assert small.size == expected.size
    far = np.abs(np.asarray(expected, dtype=int) - small.pixels[..., :3])
    assert far.max() <= (size[1] > 1.5 * size[0])  # Pillow shrinks tall pictures by columns first, and rounds in between
    assert small.picture.tobytes() == small.pixels[..., :3].tobytes()


def test_a_picture_that_is_small_stays_as_it_is() -> None:
    picture = rough(256, 100)

    small = Small.of(picture)

    assert small.pixels[..., :3].tobytes() == picture.tobytes()
    assert small.grey.tobytes() == picture.convert("L").tobytes()
    assert Small.of(picture.convert("L")).grey.tobytes() == small.grey.tobytes()


@pytest.mark.parametrize("size", [(256, 192), (245, 171), (200, 256), (32, 32), (40, 30), (20, 17), (256, 16)])
def test_the_hash_is_that_of_a_lanczos_filter(size: tuple[int, int]) -> None:
    grey = rough(*size).convert("L")
    values = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS), dtype=np.float64)
    k, n = np.arange(8)[:, None], np.arange(32)[None, :]
    cosines = np.cos(np.pi * k * (2 * n + 1) / 64)
    low = cosines @ values @ cosines.T

    assert phash(Small.of(grey)) == np.packbits((low > np.median(low)).ravel()).tobytes().hex()

"""The small version of a picture: what its fingerprints are taken from, and what tells what kind of picture it is."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Places = npt.NDArray[np.intp]
Values = npt.NDArray[np.float64]

MOST_SIDE = 256


@dataclass(frozen=True)
class Small:
    """At most MOST_SIDE pixels a side, RGB. `pixels` are rows by columns by red, green, blue and nothing; `grey` are rows by columns."""

    picture: Image.Image
    pixels: Bytes
    grey: Bytes

    @classmethod
    def of(cls, picture: Image.Image) -> Self:
        """Return the small version of a picture."""
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        if MOST_SIDE < max(picture.size) <= 2 * MOST_SIDE:
            picture = _shrunk(picture)
        elif max(picture.size) > MOST_SIDE:
            picture = picture.copy()
            picture.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.BOX)
        return cls(picture, _array(picture, "RGBX").reshape(picture.height, picture.width, 4), _array(picture.convert("L"), "L"))

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height."""
        return self.picture.size


def _array(picture: Image.Image, mode: str) -> Bytes:
    return np.frombuffer(picture.tobytes("raw", mode), np.uint8).reshape(picture.height, -1)


def _shrunk(picture: Image.Image) -> Image.Image:
    """Return what Pillow's box filter makes of a picture at most twice too large, in two fifths of the time.

    A pixel is one of the larger picture's, or the mean of two, along each side.
    """
    size = _fitting(picture.size)
    (left, right), (upper, lower) = (_sources(old, new) for old, new in zip(picture.size, size, strict=True))
    wide: Words = _array(picture, "RGBX").view(np.uint32)
    narrow = _mean(wide.take(left, axis=1), wide.take(right, axis=1))
    small = _mean(narrow.take(upper, axis=0), narrow.take(lower, axis=0))
    return Image.frombytes("RGB", size, small.tobytes(), "raw", "RGBX")


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which the longer side is MOST_SIDE, as near to the shape as it can be."""
    width, height = size
    shorter = MOST_SIDE * min(size) / max(size)
    near = [(MOST_SIDE, max(1, side)) if width >= height else (max(1, side), MOST_SIDE) for side in (floor(shorter), ceil(shorter))]
    return min(near, key=lambda new: abs(width / height - new[0] / new[1]))


@lru_cache(maxsize=512)
def _sources(old: int, new: int) -> tuple[Places, Places]:
    """Return the first and the last of the `old` pixels that lie within each of `new` ones."""
    scale = old / new
    centres = (np.arange(new, dtype=np.float64) + 0.5) * scale
    places = (np.arange(old)[:, None] - centres + 0.5) * (1 / scale)
    inside = reached(old, centres, scale / 2) & (places > -0.5) & (places <= 0.5)
    return inside.argmax(axis=0), old - 1 - inside[::-1].argmax(axis=0)


def reached(length: int, centres: Values, reach: float) -> npt.NDArray[np.bool_]:
    """Return which of so many pixels (rows) a filter of Pillow's looks at around each centre (columns)."""
    first, behind = np.trunc(np.maximum(0, centres - reach + 0.5)), np.trunc(np.minimum(length, centres + reach + 0.5))
    at = np.arange(length)[:, None]
    inside: npt.NDArray[np.bool_] = (at >= first) & (at < behind)
    return inside


def _mean(first: Words, second: Words) -> Words:
    """Return the means of each of four bytes, halves rounded up."""
    a, b = first.view(np.uint8), second.view(np.uint8)
    mean: Words = ((a | b) - ((a ^ b) >> 1)).view(np.uint32)
    return mean

"""The small version of a picture: what its fingerprints are taken from, and what tells what kind of picture it is."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]

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
        if max(picture.size) > MOST_SIDE:
            picture = picture.copy()
            picture.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.BOX)
        return cls(picture, _array(picture, "RGBX"), _array(picture.convert("L"), "L"))

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height."""
        return self.grey.shape[1], self.grey.shape[0]


def _array(picture: Image.Image, mode: str) -> Bytes:
    return np.frombuffer(picture.tobytes("raw", mode), np.uint8).reshape(picture.height, picture.width, *([4] if mode == "RGBX" else []))

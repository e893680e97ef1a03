"""Fingerprints of a decoded picture: a perceptual hash and a grid of colours.

The hash is the usual 64-bit pHash: grey, 32 by 32, the 8 by 8 lowest frequencies of its DCT-II, each bit whether a value is above their median.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE, KEPT, CELLS = 32, 8, 4


def phash(picture: Image.Image) -> str:
    """Return 16 hexadecimal digits for an RGB or grey picture."""
    grey = np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
    rows = _cosines()
    low = rows @ grey @ rows.T
    bits = (low > np.median(low)).ravel()
    return np.packbits(bits).tobytes().hex()


def grid(picture: Image.Image) -> str:
    """Return the mean colours of 4 by 4 cells of an RGB picture as 96 hexadecimal digits."""
    return picture.convert("RGB").resize((CELLS, CELLS), Image.Resampling.BOX).tobytes().hex()


@lru_cache(maxsize=1)
def _cosines() -> npt.NDArray[np.float64]:
    k, n = np.arange(KEPT)[:, None], np.arange(SIDE)[None, :]
    return np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))

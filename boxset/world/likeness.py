"""A fingerprint of what a picture looks like, the world's own, so that it never checks the pipeline's hash with itself."""

import math
from functools import cache

import numpy as np
from PIL import Image

SIDE = 32


def fingerprint(picture: Image.Image) -> int:
    """Return 64 bits of a picture's lowest frequencies: the signs of its 8 × 8 lowest cosine terms against their median."""
    return fingerprint_of_thumb(thumb(picture))


def thumb(picture: Image.Image) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Return the picture in 32 × 32 grey values."""
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.float32)


def fingerprint_of_thumb(values: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> int:
    """Return the fingerprint of 32 × 32 grey values."""
    terms = (_waves() @ values @ _waves().T).ravel()
    bits = terms > np.median(terms[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@cache
def _waves() -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    rows = [[math.cos(math.pi * (2 * x + 1) * wave / (2 * SIDE)) for x in range(SIDE)] for wave in range(8)]
    return np.array(rows, dtype=np.float32)

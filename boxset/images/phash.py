"""Fingerprints of a small picture: a perceptual hash and a grid of colours.

The hash is the usual 64-bit pHash: grey, 32 by 32, the 8 by 8 lowest frequencies of its DCT-II, each bit whether a value is above their median.
It is made small as Pillow's Lanczos filter does it, by rows first, but in a product of matrices, which takes half the time.
"""

from functools import lru_cache

import numpy as np
from PIL import Image

from boxset.images.small import Bytes, Small, Values, reached

SIDE, KEPT, CELLS = 32, 8, 4
LOBES = 3  # of the filter, on each side
UNIT = 1 << 22  # what a weight of 1 is: whole numbers, so that sums are exact in any order of adding


def phash(small: Small) -> str:
    """Return 16 hexadecimal digits."""
    low = np.round(_cosines() @ np.ascontiguousarray(_shrunk(_shrunk(small.grey).T).T) @ _cosines().T, 6)  # a processor's own last digits say nothing
    ordered = np.sort(low, axis=None)
    bits = low > (ordered[KEPT * KEPT // 2 - 1] + ordered[KEPT * KEPT // 2]) / 2
    return np.packbits(bits).tobytes().hex()


def grid(small: Small) -> str:
    """Return the mean colours of 4 by 4 cells as 96 hexadecimal digits."""
    return small.picture.resize((CELLS, CELLS), Image.Resampling.BOX).tobytes().hex()


def _shrunk(grey: Bytes | Values) -> Values:
    """Return the rows at a length of SIDE, in whole numbers up to 255."""
    if grey.shape[1] == SIDE:
        return grey.astype(np.float64)
    sums: Values = grey.astype(np.float64) @ _weights(grey.shape[1])
    return np.minimum(np.maximum(np.floor((sums + UNIT // 2) / UNIT), 0), 255)


@lru_cache(maxsize=256)
def _weights(length: int) -> Values:
    """Return what each of so many values counts for in each of SIDE: a sinc within the first lobes of a wider one."""
    scale = length / SIDE
    width = max(1.0, scale)
    centres = np.arange(SIDE, dtype=np.float64) * scale + scale / 2
    places = (np.arange(length)[:, None] - centres + 0.5) / width
    found = np.where(reached(length, centres, LOBES * width), np.sinc(places) * np.sinc(places / LOBES), 0.0)
    shares = found / found.sum(axis=0)
    whole: Values = np.trunc(shares * UNIT + np.copysign(0.5, shares))
    return whole


@lru_cache(maxsize=1)
def _cosines() -> Values:
    k, n = np.arange(KEPT)[:, None], np.arange(SIDE)[None, :]
    return np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))

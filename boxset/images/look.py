"""What kind of picture it seems to be, told cheaply from a small version of it: placeholder, catalogue shot, drawing, screenshot.

Rules of thumb on colours and flat areas. Their precision on photographs is measured in docs/crawl.md.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from boxset.images.prepare import Prepared

Array = npt.NDArray[np.int16]
WHITE = 244
FLAT = 2  # difference to the right and lower neighbour up to which a pixel is flat


def looks(prepared: Prepared) -> tuple[str, ...]:
    """Return the kinds that a picture seems to be, in a fixed order."""
    return looks_of(prepared.preview)


def looks_of(preview: Image.Image) -> tuple[str, ...]:
    """As `looks`, for a small RGB picture."""
    pixels = np.asarray(preview.convert("RGB"), dtype=np.int16)
    if min(pixels.shape[:2]) < 8:
        return ("placeholder",)
    colours, flat = _colours(pixels), _flat_share(pixels)
    found = []
    if colours <= 4 or (colours <= 24 and flat > 0.94):
        found.append("placeholder")
    if _border_share(pixels) > 0.92 and _white_share(pixels) < 0.97:
        found.append("catalogue")
    if "placeholder" not in found and flat > 0.72 and colours < 260:
        found.append("screenshot" if _straight_share(pixels) > 0.6 else "drawing")
    return tuple(found)


def _colours(pixels: Array) -> int:
    """Count colours of 4 bits a channel that cover more than a thousandth of the picture."""
    coded = (pixels[..., 0] >> 4) * 256 + (pixels[..., 1] >> 4) * 16 + (pixels[..., 2] >> 4)
    counts = np.bincount(coded.ravel(), minlength=4096)
    return int((counts > coded.size / 1000).sum())


def _steps(pixels: Array) -> tuple[Array, Array]:
    grey = pixels.sum(axis=2) // 3
    return np.abs(np.diff(grey, axis=1))[:-1], np.abs(np.diff(grey, axis=0))[:, :-1]


def _flat_share(pixels: Array) -> float:
    across, down = _steps(pixels)
    return float(((across <= FLAT) & (down <= FLAT)).mean())


def _straight_share(pixels: Array) -> float:
    """Return how much of the strong edges runs in straight lines along rows or columns."""
    across, down = _steps(pixels)
    strong_across, strong_down = across > 24, down > 24
    total = int(strong_across.sum() + strong_down.sum())
    if not total:
        return 0.0
    long_columns = strong_across.sum(axis=0) > 0.25 * across.shape[0]
    long_rows = strong_down.sum(axis=1) > 0.25 * down.shape[1]
    return float((strong_across[:, long_columns].sum() + strong_down[long_rows].sum()) / total)


def _border_share(pixels: Array) -> float:
    edge = max(2, min(pixels.shape[:2]) // 32)
    parts = (pixels[:edge], pixels[-edge:], pixels[:, :edge], pixels[:, -edge:])
    return float(np.concatenate([part.reshape(-1, 3).min(axis=1) > WHITE for part in parts]).mean())


def _white_share(pixels: Array) -> float:
    return float((pixels.min(axis=2) > WHITE).mean())

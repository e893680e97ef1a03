"""What kind of picture it seems to be, told cheaply from a small version of it: placeholder, catalogue shot, drawing, screenshot.

A few numbers describe the picture, most of them only what stands before its background or near its edges, so that a photograph on
white is no drawing because white is flat. Two linear models weigh them: whether it was made rather than photographed, and if so,
whether on a screen. Their coefficients come from `python -m bench.looks --fit`; docs/crawl.md says from what, and how often they are right.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from boxset.images.prepare import Prepared
from boxset.images.small import Bytes, Small

Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.intp]

SMALLEST = 16  # a picture with a shorter side shows nothing
WHITE = np.array([240, 240, 240, 0], np.uint8).view(np.uint32)[0]  # every channel has these bits, so is at least 240: a studio's white, after JPEG
WHITE_BORDER = 0.85  # share of the border
NOTHING, FLAT, EDGE, HARD = 1, 16, 24, 48  # differences of neighbours, of 255: up to nothing; below flat; above an edge; above a hard one
CELL = 8


class Traits(NamedTuple):
    """What a small picture is described by. Shares are of pixels; `before_`: of those that stand before the background."""

    background: float  # share of the commonest colour
    flat: float  # without any step to the next pixel
    before_flat: float
    before_soft: float  # with a small step
    before_hard: float  # with a hard step
    before_vivid: float
    before_pale: float
    before_dark: float
    top_one: float  # share of the commonest colour of those before the background
    top_four: float
    entropy: float  # of those colours, in bits
    colours: float  # logarithm of how many cover a two-thousandth each
    spiky: float  # in grey levels that are far more common than their neighbours
    straight: float  # share of edges in long lines along rows or columns
    axial: float  # share of edges with nothing at all in the other direction
    grain: float  # mean step, of 255, where there is one but no edge
    lively: float  # share of cells that hold an edge
    near_flat: float  # in those cells, without any step
    near_soft: float  # in those cells, with a small step


MADE_BIAS, SCREEN_BIAS = 2.668, -1.01
MADE_FROM = 1.77  # 199 of 200 photographs of the fitting score less
CLIP = 3.0  # no trait counts for more than so many spreads
WEIGHTS: Values = np.array(
    [  # mean and spread of each trait, and its weight in both models
        (0.5421, 0.2113, 0.795, 2.053),  # background
        (0.6446, 0.2118, 0.683, -1.928),  # flat
        (0.3549, 0.2665, 2.72, -1.071),  # before_flat
        (0.2661, 0.1796, 0.669, -1.989),  # before_soft
        (0.1512, 0.135, 2.389, -1.559),  # before_hard
        (0.0971, 0.2044, 0.702, -0.569),  # before_vivid
        (0.4458, 0.348, -0.069, 1.377),  # before_pale
        (0.0881, 0.1603, -0.117, -0.521),  # before_dark
        (0.3051, 0.2232, -1.106, 0.304),  # top_one
        (0.5345, 0.2442, 1.48, -0.109),  # top_four
        (4.3072, 1.5915, 0.546, 0.77),  # entropy
        (3.9468, 0.7069, -0.371, 1.099),  # colours
        (0.2037, 0.2362, 2.036, 0.856),  # spiky
        (0.2147, 0.2321, -0.287, 1.166),  # straight
        (0.3191, 0.1847, 1.612, -0.15),  # axial
        (2.713, 1.2853, -0.319, -0.69),  # grain
        (0.3961, 0.2122, 2.394, 0.472),  # lively
        (0.3259, 0.1944, 0.859, -0.285),  # near_flat
        (0.2736, 0.1487, 0.477, -0.462),  # near_soft
    ]
)


def looks(prepared: Prepared) -> tuple[str, ...]:
    """Return the kinds that a picture seems to be: none, or the one that says most."""
    return looks_of(prepared.small)


def looks_of(small: Small) -> tuple[str, ...]:
    """As `looks`, for the small version alone."""
    if min(small.size) < SMALLEST:
        return ("placeholder",)
    traits = traits_of(small)
    if is_placeholder(traits):
        return ("placeholder",)
    made, screen = scores(traits)
    if made > MADE_FROM:
        return ("screenshot",) if screen > 0 else ("drawing",)
    return ("catalogue",) if white_border(small.pixels) > WHITE_BORDER else ()


def is_placeholder(traits: Traits) -> bool:
    """Return whether there is nothing to see, or little more than a grey sign or a few words on a plain ground."""
    if traits.flat > 0.999:
        return True
    plain = traits.background > 0.8 and traits.flat > 0.88 and traits.lively < 0.3
    few = traits.colours < np.log1p(14) and traits.top_four > 0.35
    return plain and few and (traits.before_pale > 0.95 or (traits.before_vivid < 0.001 and traits.top_four > 0.5))


def scores(traits: Traits) -> tuple[float, float]:
    """Return how much the picture seems made rather than photographed, and if so, a screen rather than a drawing."""
    scaled = (np.array(traits) - WEIGHTS[:, 0]) / WEIGHTS[:, 1]
    made, screen = np.minimum(np.maximum(scaled, -CLIP), CLIP) @ WEIGHTS[:, 2:]
    return MADE_BIAS + float(made), SCREEN_BIAS + float(screen)


def traits_of(small: Small) -> Traits:
    """Describe a small picture, each side at least SMALLEST pixels. Colours are those of every other pixel of every other row."""
    height, width = (side - 1 for side in small.grey.shape)
    across, down = _steps(small.grey)
    step = np.maximum(across, down)
    edges = step > EDGE
    red, green, blue = (small.pixels[: height // 2 * 2 : 2, : width // 2 * 2 : 2, channel].copy() for channel in range(3))
    codes = ((red >> 4).astype(np.uint16) << 8) | (green & 0xF0) | (blue >> 4)  # colours of 4 bits a channel
    counts = np.bincount(codes.ravel(), minlength=4096)
    ground = int(counts.argmax())
    return Traits._make(
        (
            float(counts[ground] / codes.size),
            (np.count_nonzero(step <= NOTHING) - height) / (height * width),  # but for the last column
            *_before(step[: height // 2 * 2 : 2, : width // 2 * 2 : 2].copy(), (red, green, blue), codes != ground),
            *_palette(counts),
            _spiky(small.grey),
            _straight(across, down),
            _share(edges & (np.minimum(across, down) <= 2), int(np.count_nonzero(edges))),
            _grain(across, step),
            *_near_edges(step, edges),
        )
    )


def white_border(pixels: Bytes) -> float:
    """Return how much of a picture's border is white; its pixels have four channels."""
    edge = max(2, min(pixels.shape[:2]) // 32)
    parts = (pixels[:edge], pixels[-edge:], pixels[:, :edge], pixels[:, -edge:])
    border = np.concatenate([part.reshape(-1, 4) for part in parts]).view(np.uint32)
    return _share(border & WHITE == WHITE)


def _share(flags: Flags, of: int | None = None) -> float:
    """Return how many are true, as a share of all or of so many."""
    return np.count_nonzero(flags) / max(1, flags.size if of is None else of)


def _steps(grey: Bytes) -> tuple[Bytes, Bytes]:
    """Return the differences to the right and lower neighbour, without the last row; nothing in the last column.

    All rows are one long row for this, which takes a third of the time.
    """
    width, flat = grey.shape[1], grey.ravel()
    here, right, below = flat[:-width], flat[1 : 1 - width], flat[width:]
    across, down = ((np.maximum(here, other) - np.minimum(here, other)).reshape(-1, width) for other in (right, below))
    across[:, -1] = down[:, -1] = 0
    return across, down


def _before(step: Bytes, colours: tuple[Bytes, Bytes, Bytes], before: Flags) -> tuple[float, ...]:
    """Return the shares of what stands before the background; of everything where nothing does."""
    total = int(np.count_nonzero(before))
    before, total = (before, total) if total else (np.ones_like(before), before.size)
    red, green, blue = colours
    high = np.maximum(np.maximum(red, green), blue)
    chroma = high - np.minimum(np.minimum(red, green), blue)
    tests = (step <= NOTHING, (step > 2) & (step < FLAT), step > HARD, chroma > 150, chroma < 10, high < 40)
    return tuple(_share(test & before, total) for test in tests)


def _palette(counts: Counts) -> tuple[float, float, float, float]:
    """Return the shares of the commonest and the four commonest colours but the background, their entropy, and how many there are."""
    found = np.sort(counts[counts > 0].astype(np.int32))[::-1]
    many = float(np.log1p(np.count_nonzero(found > found.sum() / 2000)))
    used = found[1:]
    if not used.size:
        return 1.0, 1.0, 0.0, many
    parts = used / used.sum()
    return float(parts[0]), float(parts[:4].sum()), -float(parts @ np.log2(parts)), many


def _spiky(grey: Bytes) -> float:
    counts = np.bincount(grey[::2, ::2].ravel(), minlength=256).astype(np.float64)
    counts[counts.argmax()] = 0.0  # the background
    total = counts.sum()
    if not total:
        return 1.0
    padded = np.concatenate([counts[:1], counts[:1], counts, counts[-1:], counts[-1:]])
    around = (padded[:-4] + padded[1:-3] + padded[3:-1] + padded[4:]) / 2
    return float(np.maximum(counts - around, 0).sum() / total)


def _straight(across: Bytes, down: Bytes) -> float:
    columns, rows = (np.add.reduce((steps > EDGE).view(np.uint8), axis=axis, dtype=np.uint8) for axis, steps in enumerate((across, down)))
    total = int(columns.sum()) + int(rows.sum())
    height, width = len(rows), len(columns) - 1
    return int(columns[columns > 0.25 * height].sum() + rows[rows > 0.25 * width].sum()) / max(1, total)


def _grain(across: Bytes, step: Bytes) -> float:
    calm = (step < FLAT) & (step > 0)
    return int(np.add.reduce(across * calm, axis=0, dtype=np.uint16).sum()) / max(1, int(np.count_nonzero(calm)))


def _near_edges(step: Bytes, edges: Flags) -> tuple[float, float, float]:
    """Return the share of cells that hold an edge, and in them the shares of flat and of soft pixels."""
    lively = np.bitwise_or.reduce(_in_cells(edges), axis=2) != 0
    near = _in_cells(step)[lively].view(np.uint8)
    return (len(near) / lively.size, _share(near <= NOTHING), _share((near > 2) & (near < FLAT))) if len(near) else (0.0, 0.5, 0.25)


def _in_cells(values: Bytes | Flags) -> npt.NDArray[np.uint64]:
    """Return the whole cells: rows of them, in each row one after the other, of each its rows, 8 pixels in one number."""
    rows, columns = values.shape[0] // CELL, (values.shape[1] - 1) // CELL
    return np.ascontiguousarray(values[: rows * CELL, : columns * CELL]).view(np.uint64).reshape(rows, CELL, columns).swapaxes(1, 2)

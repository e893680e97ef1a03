"""What things lie on: wood, brick, grass and the like, each made once as a large square and cut up by the scenes."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from boxset.world.shapes import Colour, shade

SIDE = 1160
Field = "np.ndarray[tuple[int, int], np.dtype[np.float32]]"


def clouds(rng: "np.random.Generator", *, cells: tuple[int, ...], size: tuple[int, int] = (SIDE, SIDE), stretch: int = 1) -> Any:
    """Return smooth noise around 0: one layer of about ±1 for each number of cells, finer ones weaker."""
    total = np.zeros((size[1], size[0]), dtype=np.float32)
    for layer, count in enumerate(cells):
        coarse = rng.standard_normal((count, max(2, count // stretch))).astype(np.float32)
        total += np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)) * 0.72**layer
    return total


def tinted(field: Any, colour: Colour, depth: float) -> Image.Image:
    """Return noise as a picture of one colour that is `depth` grey values lighter and darker."""
    spread = np.clip(np.array(colour, dtype=np.float32) + field[:, :, None] * depth, 0, 255)
    return Image.fromarray(spread.astype(np.uint8), "RGB")


def planks(rng: "np.random.Generator", colour: Colour, *, wide: int) -> Image.Image:
    """Return boards with grain."""
    field = clouds(rng, cells=(60, 180, 400), stretch=14) + clouds(rng, cells=(5,)) * 0.4
    for top in range(0, SIDE, wide):
        field[top : top + wide] += rng.uniform(-0.9, 0.9)
        field[top : top + 4] -= 3.2
    return tinted(field, colour, 15)


def concrete(rng: "np.random.Generator", colour: Colour) -> Image.Image:
    """Return a mottled surface."""
    return tinted(clouds(rng, cells=(4, 14, 60, 240)), colour, 11)


def grass(rng: "np.random.Generator", colour: Colour) -> Image.Image:
    """Return a lawn."""
    picture = tinted(clouds(rng, cells=(5, 30, 120)), colour, 14)
    draw, dice = ImageDraw.Draw(picture), random.Random(int(rng.integers(1 << 30)))
    for _ in range(15000):
        x, y = dice.randrange(SIDE), dice.randrange(SIDE)
        draw.line((x, y, x + dice.randint(-6, 6), y - dice.randint(5, 16)), fill=shade(colour, dice.uniform(0.62, 1.5)), width=2)
    return picture


def stones(rng: "np.random.Generator", colour: Colour) -> Image.Image:
    """Return gravel."""
    picture = tinted(clouds(rng, cells=(8, 60)), shade(colour, 0.6), 12)
    draw, dice = ImageDraw.Draw(picture), random.Random(int(rng.integers(1 << 30)))
    for _ in range(9000):
        x, y, wide, high = dice.randrange(SIDE), dice.randrange(SIDE), dice.randint(8, 20), dice.randint(6, 15)
        draw.ellipse((x, y, x + wide, y + high), fill=shade(colour, dice.uniform(0.7, 1.3)))
    return picture


def bricks(rng: "np.random.Generator", colour: Colour) -> Image.Image:
    """Return a wall of bricks."""
    picture = tinted(clouds(rng, cells=(6, 80)), (168, 162, 152), 9)
    draw, dice = ImageDraw.Draw(picture), random.Random(int(rng.integers(1 << 30)))
    for row in range(SIDE // 44 + 1):
        for left in range(-60 * (row % 2), SIDE, 120):
            draw.rectangle((left + 3, row * 44 + 3, left + 116, row * 44 + 40), fill=shade(colour, dice.uniform(0.8, 1.18)))
    return Image.blend(picture, tinted(clouds(rng, cells=(10, 90, 300)), colour, 22), 0.3)


def pegboard(rng: "np.random.Generator", colour: Colour) -> Image.Image:
    """Return a board with rows of holes."""
    picture = tinted(clouds(rng, cells=(4, 90)), colour, 6)
    draw = ImageDraw.Draw(picture)
    for y in range(20, SIDE, 46):
        for x in range(20, SIDE, 46):
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=shade(colour, 0.36))
    return picture


def weave(rng: "np.random.Generator", colour: Colour) -> Image.Image:
    """Return cloth."""
    field = clouds(rng, cells=(5, 12)) * 1.2
    field[::3] -= 0.8
    field[:, ::3] -= 0.8
    return tinted(field, colour, 12)


def squares(rng: "np.random.Generator", colour: Colour) -> Image.Image:
    """Return floor tiles."""
    field = clouds(rng, cells=(6, 40, 200))
    for line in range(0, SIDE, 145):
        field[line : line + 5] -= 3
        field[:, line : line + 5] -= 3
    return tinted(field, colour, 12)


def brushed(rng: "np.random.Generator", colour: Colour) -> Image.Image:
    """Return sheet metal."""
    return tinted(clouds(rng, cells=(300, 560), stretch=60) + clouds(rng, cells=(4,)) * 1.4, colour, 9)


Maker = Callable[["np.random.Generator"], Image.Image]

INDOORS: dict[str, Maker] = {
    "oak": lambda rng: planks(rng, (172, 130, 84), wide=145),
    "pine": lambda rng: planks(rng, (206, 172, 122), wide=232),
    "walnut": lambda rng: planks(rng, (110, 78, 54), wide=116),
    "concrete": lambda rng: concrete(rng, (150, 148, 144)),
    "plaster": lambda rng: concrete(rng, (208, 202, 188)),
    "pegboard": lambda rng: pegboard(rng, (190, 158, 116)),
    "steel": lambda rng: brushed(rng, (150, 154, 160)),
    "blue cloth": lambda rng: weave(rng, (62, 84, 122)),
    "red cloth": lambda rng: weave(rng, (140, 56, 52)),
    "tiles": lambda rng: squares(rng, (176, 168, 156)),
}
OUTDOORS: dict[str, Maker] = {
    "lawn": lambda rng: grass(rng, (86, 124, 58)),
    "meadow": lambda rng: grass(rng, (128, 134, 70)),
    "soil": lambda rng: concrete(rng, (112, 84, 60)),
    "gravel": lambda rng: stones(rng, (160, 154, 146)),
    "pavement": lambda rng: squares(rng, (140, 138, 134)),
    "brick": lambda rng: bricks(rng, (154, 82, 62)),
    "decking": lambda rng: planks(rng, (146, 122, 98), wide=97),
}
TEXTURES = {**INDOORS, **OUTDOORS}


def all_textures(seed: int) -> dict[str, Image.Image]:
    """Make every surface, always the same for a seed."""
    return {name: make(np.random.default_rng([seed, number])) for number, (name, make) in enumerate(TEXTURES.items())}

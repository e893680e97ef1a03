"""How each tool and each other thing looks, drawn flat on a transparent tile; the tile's alpha is the thing's true outline."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

STEEL: tuple[Colour, ...] = ((150, 154, 160), (172, 174, 178), (124, 128, 134), (190, 191, 193))
WOOD: tuple[Colour, ...] = ((176, 128, 76), (150, 102, 58), (198, 158, 106), (120, 78, 44))
PAINT: tuple[Colour, ...] = (
    (196, 40, 36),
    (226, 132, 24),
    (232, 196, 40),
    (38, 92, 168),
    (32, 122, 74),
    (44, 46, 52),
    (20, 130, 140),
    (120, 60, 130),
)
CLEAR = (0, 0, 0, 0)


@dataclass(frozen=True)
class Pen:
    """Draws in units of the tile's width, x to the right and y down."""

    draw: ImageDraw.ImageDraw
    scale: float

    def poly(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self.draw.polygon([(x * self.scale, y * self.scale) for x, y in points], fill=(*colour, 255))

    def oval(self, box: tuple[float, float, float, float], colour: Colour) -> None:
        """Fill an ellipse in (left, top, right, bottom)."""
        self.draw.ellipse([v * self.scale for v in box], fill=(*colour, 255))

    def slab(self, box: tuple[float, float, float, float], colour: Colour, *, round_by: float = 0.0) -> None:
        """Fill a rectangle in (left, top, right, bottom), lighter at its upper edge and darker at its lower, corners rounded."""
        left, top, right, bottom = (v * self.scale for v in box)
        deep = bottom - top
        self.draw.rounded_rectangle((left, top, right, bottom), round_by * self.scale, fill=(*shade(colour, 0.72), 255))
        self.draw.rounded_rectangle((left, top, right, bottom - 0.16 * deep), round_by * self.scale, fill=(*colour, 255))
        if deep > 6:
            inset = min(round_by * self.scale, (right - left) / 3)
            self.draw.rectangle((left + inset, top + 0.16 * deep, right - inset, top + 0.3 * deep), fill=(*shade(colour, 1.25), 255))

    def stroke(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """Draw a line with round joints."""
        self.draw.line(
            [(x * self.scale, y * self.scale) for x, y in points], fill=(*colour, 255), width=max(1, round(width * self.scale)), joint="curve"
        )

    def cut_oval(self, box: tuple[float, float, float, float]) -> None:
        """Make an ellipse transparent."""
        self.draw.ellipse([v * self.scale for v in box], fill=CLEAR)

    def cut_poly(self, points: Sequence[Point]) -> None:
        """Make a polygon transparent."""
        self.draw.polygon([(x * self.scale, y * self.scale) for x, y in points], fill=CLEAR)


def shade(colour: Colour, factor: float) -> Colour:
    """Return the colour made lighter or darker."""
    red, green, blue = (max(0, min(255, round(part * factor))) for part in colour)
    return red, green, blue


def near(rng: random.Random, colours: Sequence[Colour]) -> Colour:
    """Return one of the colours, a little changed."""
    red, green, blue = rng.choice(colours)
    return shade((red + rng.randint(-10, 10), green + rng.randint(-10, 10), blue + rng.randint(-10, 10)), rng.uniform(0.85, 1.12))


def hammer(pen: Pen, rng: random.Random) -> None:
    """Draw a claw hammer."""
    steel, wood, grip = near(rng, STEEL), near(rng, WOOD), near(rng, PAINT)
    pen.slab((0.02, 0.195, 0.9, 0.255), wood, round_by=0.02)
    if rng.random() < 0.65:
        pen.slab((0.0, 0.182, 0.36, 0.268), grip, round_by=0.04)
        for step in range(5):
            pen.stroke(((0.06 + 0.06 * step, 0.19), (0.06 + 0.06 * step, 0.26)), shade(grip, 0.6), 0.008)
    pen.poly(((0.84, 0.16), (0.93, 0.16), (0.935, 0.34), (0.835, 0.34)), steel)
    pen.slab((0.815, 0.33, 0.955, 0.42), shade(steel, 0.9), round_by=0.012)
    pen.poly(((0.84, 0.17), (0.93, 0.17), (0.925, 0.1), (0.86, 0.03), (0.77, 0.0), (0.76, 0.025), (0.82, 0.07)), shade(steel, 1.06))
    pen.stroke(((0.85, 0.15), (0.85, 0.33)), shade(steel, 1.3), 0.012)
    pen.stroke(((0.92, 0.13), (0.925, 0.33)), shade(steel, 0.65), 0.012)


def screwdriver(pen: Pen, rng: random.Random) -> None:
    """Draw a screwdriver, flat or cross-headed."""
    grip, steel = near(rng, PAINT), near(rng, STEEL)
    second = shade(near(rng, PAINT), 0.7)
    pen.slab((0.46, 0.062, 0.96, 0.098), steel)
    pen.slab((0.0, 0.01, 0.42, 0.15), grip, round_by=0.05)
    pen.slab((0.37, 0.035, 0.47, 0.125), second, round_by=0.02)
    for height in (0.045, 0.08, 0.112):
        pen.stroke(((0.06, height), (0.35, height)), shade(grip, 0.62), 0.01)
    if rng.random() < 0.5:
        pen.poly(((0.92, 0.062), (0.97, 0.05), (1.0, 0.055), (1.0, 0.105), (0.97, 0.11), (0.92, 0.098)), shade(steel, 0.8))
    else:
        pen.poly(((0.94, 0.062), (1.0, 0.08), (0.94, 0.098)), shade(steel, 0.6))


def driller(pen: Pen, rng: random.Random) -> None:
    """Draw a cordless drill."""
    body, dark, steel = near(rng, PAINT[:5] + PAINT[6:7]), near(rng, ((38, 38, 42), (58, 58, 60))), near(rng, STEEL)
    pen.slab((0.79, 0.185, 1.0, 0.215), steel)
    for step in range(5):
        pen.stroke(((0.82 + 0.035 * step, 0.215), (0.84 + 0.035 * step, 0.185)), shade(steel, 0.55), 0.006)
    pen.poly(((0.14, 0.26), (0.34, 0.26), (0.29, 0.6), (0.1, 0.6)), body)
    pen.poly(((0.14, 0.3), (0.2, 0.3), (0.16, 0.6), (0.1, 0.6)), dark)
    pen.slab((0.02, 0.57, 0.38, 0.7), dark, round_by=0.02)
    pen.slab((0.06, 0.05, 0.62, 0.33), body, round_by=0.07)
    pen.slab((0.6, 0.09, 0.7, 0.3), dark, round_by=0.015)
    pen.poly(((0.7, 0.11), (0.8, 0.15), (0.8, 0.25), (0.7, 0.285)), shade(steel, 0.55))
    pen.poly(((0.33, 0.33), (0.4, 0.33), (0.36, 0.45), (0.315, 0.44)), shade(dark, 1.5))
    for step in range(4):
        pen.stroke(((0.11, 0.12 + 0.045 * step), (0.22, 0.12 + 0.045 * step)), shade(body, 0.5), 0.014)
    pen.slab((0.3, 0.15, 0.5, 0.22), shade(body, 1.35), round_by=0.01)


def paintbrush(pen: Pen, rng: random.Random) -> None:
    """Draw a flat paintbrush, often with paint on it."""
    wood, steel, hair = near(rng, (*WOOD, *PAINT)), near(rng, STEEL), near(rng, ((62, 46, 34), (200, 180, 140), (36, 34, 34)))
    pen.poly(
        ((0.0, 0.13), (0.03, 0.11), (0.28, 0.1), (0.42, 0.04), (0.46, 0.03), (0.46, 0.27), (0.42, 0.26), (0.28, 0.2), (0.03, 0.19), (0.0, 0.17)), wood
    )
    pen.poly(((0.03, 0.125), (0.28, 0.115), (0.44, 0.06), (0.44, 0.1), (0.28, 0.135), (0.03, 0.14)), shade(wood, 1.22))
    pen.oval((0.03, 0.137, 0.055, 0.162), shade(wood, 0.4))
    pen.poly(((0.63, 0.02), (0.97, 0.03), (1.0, 0.06), (0.99, 0.24), (0.96, 0.275), (0.63, 0.28)), hair)
    if rng.random() < 0.7:
        paint = near(rng, PAINT)
        pen.poly(((0.84, 0.025), (0.97, 0.03), (1.0, 0.06), (0.99, 0.24), (0.96, 0.275), (0.82, 0.277), (0.86, 0.2), (0.8, 0.12)), paint)
    for step in range(8):
        height = 0.045 + 0.03 * step
        pen.stroke(((0.64, height), (0.97, height + rng.uniform(-0.012, 0.012))), shade(hair, rng.uniform(0.55, 1.45)), 0.005)
    pen.slab((0.44, 0.015, 0.64, 0.285), steel)
    for edge in (0.48, 0.6):
        pen.stroke(((edge, 0.02), (edge, 0.28)), shade(steel, 0.6), 0.008)


def wheelbarrow(pen: Pen, rng: random.Random) -> None:
    """Draw a wheelbarrow from the side, wheel in front."""
    tray, frame, tyre = near(rng, PAINT), near(rng, (*STEEL, *WOOD, (52, 52, 56))), (34, 33, 34)
    pen.stroke(((0.14, 0.47), (0.44, 0.41), (0.68, 0.3), (0.98, 0.2)), frame, 0.028)
    pen.slab((0.86, 0.195, 1.0, 0.235), shade(near(rng, PAINT), 0.7), round_by=0.012)
    pen.stroke(((0.56, 0.34), (0.64, 0.58), (0.72, 0.58)), shade(frame, 0.85), 0.026)
    pen.stroke(((0.5, 0.38), (0.56, 0.58), (0.64, 0.58)), shade(frame, 0.7), 0.022)
    pen.poly(((0.1, 0.06), (0.84, 0.02), (0.7, 0.31), (0.32, 0.38), (0.24, 0.33)), tray)
    pen.poly(((0.1, 0.06), (0.84, 0.02), (0.82, 0.065), (0.12, 0.105)), shade(tray, 1.28))
    pen.poly(((0.24, 0.33), (0.32, 0.38), (0.7, 0.31), (0.72, 0.26), (0.34, 0.32)), shade(tray, 0.68))
    pen.stroke(((0.44, 0.08), (0.46, 0.35)), shade(tray, 0.75), 0.01)
    pen.oval((0.0, 0.34, 0.27, 0.61), tyre)
    pen.oval((0.05, 0.39, 0.22, 0.56), shade(frame, 1.1))
    pen.oval((0.075, 0.415, 0.195, 0.535), shade(tray, 0.75))
    pen.oval((0.115, 0.455, 0.155, 0.495), (60, 60, 62))


def wrench(pen: Pen, rng: random.Random) -> None:
    """Draw an open-ended or ring spanner."""
    steel = near(rng, STEEL)
    pen.slab((0.14, 0.09, 0.86, 0.16), steel, round_by=0.02)
    pen.stroke(((0.24, 0.125), (0.76, 0.125)), shade(steel, 0.78), 0.022)
    pen.oval((0.76, 0.005, 1.0, 0.245), shade(steel, 0.95))
    pen.cut_poly(((0.9, 0.075), (1.02, 0.05), (1.02, 0.16), (0.92, 0.175), (0.87, 0.12)))
    if rng.random() < 0.5:
        pen.oval((0.0, 0.02, 0.21, 0.23), shade(steel, 1.05))
        pen.cut_oval((0.05, 0.07, 0.16, 0.18))
    else:
        pen.oval((0.0, 0.02, 0.21, 0.23), shade(steel, 1.05))
        pen.cut_poly(((-0.02, 0.085), (0.08, 0.075), (0.12, 0.12), (0.08, 0.165), (-0.02, 0.175)))


def pliers(pen: Pen, rng: random.Random) -> None:
    """Draw combination pliers, a little open."""
    grip, steel = near(rng, PAINT), near(rng, STEEL)
    for side in (-1, 1):
        arm = [(0.0, 0.2 + 0.17 * side), (0.1, 0.2 + 0.185 * side), (0.35, 0.2 + 0.12 * side), (0.62, 0.2 + 0.03 * side), (0.66, 0.2 - 0.02 * side)]
        back = [(0.62, 0.2 - 0.05 * side), (0.33, 0.2 + 0.05 * side), (0.1, 0.2 + 0.11 * side), (0.0, 0.2 + 0.12 * side)]
        pen.poly((*arm, *back), grip if side > 0 else shade(grip, 0.85))
        jaw = ((0.6, 0.2 - 0.06 * side), (0.72, 0.2 - 0.075 * side), (0.9, 0.2 - 0.06 * side), (1.0, 0.2 - 0.03 * side))
        pen.poly((*jaw, (1.0, 0.2 - 0.012 * side), (0.78, 0.2 - 0.006 * side), (0.6, 0.2)), steel if side > 0 else shade(steel, 0.8))
    pen.oval((0.58, 0.125, 0.73, 0.275), shade(steel, 1.1))
    pen.oval((0.62, 0.165, 0.69, 0.235), shade(steel, 0.6))


def saw(pen: Pen, rng: random.Random) -> None:
    """Draw a hand saw."""
    steel, wood = near(rng, STEEL), near(rng, (*WOOD, *PAINT))
    teeth = [(0.98 - 0.02 * step, 0.27 + 0.012 * (step % 2) + 0.0004 * step) for step in range(36)]
    pen.poly(((0.22, 0.05), (0.98, 0.16), (0.99, 0.26), *teeth, (0.24, 0.28)), shade(steel, 1.12))
    pen.stroke(((0.25, 0.09), (0.95, 0.185)), shade(steel, 1.35), 0.008)
    pen.poly(((0.02, 0.1), (0.08, 0.03), (0.26, 0.02), (0.31, 0.1), (0.3, 0.25), (0.2, 0.31), (0.1, 0.32), (0.0, 0.26)), wood)
    pen.poly(((0.02, 0.1), (0.08, 0.03), (0.26, 0.02), (0.27, 0.05), (0.1, 0.06), (0.05, 0.12)), shade(wood, 1.25))
    pen.cut_poly(((0.09, 0.12), (0.19, 0.1), (0.2, 0.21), (0.1, 0.24)))
    for x, y in ((0.26, 0.09), (0.265, 0.2)):
        pen.oval((x - 0.012, y - 0.012, x + 0.012, y + 0.012), shade(steel, 0.6))


def chisel(pen: Pen, rng: random.Random) -> None:
    """Draw a wood chisel."""
    wood, steel = near(rng, (*WOOD, *PAINT)), near(rng, STEEL)
    pen.slab((0.0, 0.02, 0.4, 0.12), wood, round_by=0.03)
    pen.slab((0.0, 0.03, 0.035, 0.11), shade(steel, 0.7), round_by=0.01)
    pen.slab((0.38, 0.035, 0.45, 0.105), shade(steel, 0.75))
    pen.poly(
        ((0.45, 0.055), (0.55, 0.05), (0.6, 0.02), (0.93, 0.015), (1.0, 0.02), (1.0, 0.12), (0.93, 0.125), (0.6, 0.12), (0.55, 0.09), (0.45, 0.085)),
        steel,
    )
    pen.poly(((0.93, 0.015), (1.0, 0.02), (1.0, 0.12), (0.93, 0.125)), shade(steel, 1.3))
    pen.stroke(((0.6, 0.035), (0.92, 0.03)), shade(steel, 1.25), 0.01)


def axe(pen: Pen, rng: random.Random) -> None:
    """Draw an axe."""
    wood, steel = near(rng, WOOD), near(rng, STEEL)
    pen.poly(
        ((0.0, 0.13), (0.04, 0.1), (0.3, 0.13), (0.6, 0.11), (0.92, 0.08), (0.92, 0.145), (0.6, 0.165), (0.3, 0.185), (0.06, 0.18), (0.0, 0.2)), wood
    )
    pen.poly(((0.05, 0.115), (0.3, 0.14), (0.9, 0.09), (0.9, 0.105), (0.3, 0.155), (0.05, 0.13)), shade(wood, 1.25))
    pen.poly(((0.8, 0.06), (0.95, 0.05), (0.96, 0.17), (1.0, 0.37), (0.9, 0.41), (0.77, 0.39), (0.81, 0.17)), steel)
    pen.poly(((0.775, 0.33), (0.99, 0.31), (1.0, 0.37), (0.9, 0.41), (0.77, 0.39)), shade(steel, 1.3))
    if rng.random() < 0.5:
        pen.poly(((0.8, 0.06), (0.95, 0.05), (0.955, 0.12), (0.805, 0.13)), near(rng, PAINT))


def shovel(pen: Pen, rng: random.Random) -> None:
    """Draw a shovel with a D-shaped handle."""
    wood, steel = near(rng, WOOD), near(rng, (*STEEL, (60, 62, 66), (96, 60, 40)))
    pen.slab((0.1, 0.115, 0.72, 0.155), wood)
    pen.poly(((0.0, 0.06), (0.035, 0.045), (0.14, 0.115), (0.14, 0.155), (0.035, 0.225), (0.0, 0.21)), shade(wood, 0.8))
    pen.cut_poly(((0.03, 0.085), (0.1, 0.125), (0.1, 0.145), (0.03, 0.185)))
    pen.poly(((0.64, 0.11), (0.7, 0.03), (0.74, 0.01), (0.9, 0.03), (1.0, 0.135), (0.9, 0.24), (0.74, 0.26), (0.7, 0.24), (0.64, 0.16)), steel)
    pen.poly(((0.66, 0.12), (0.72, 0.05), (0.88, 0.06), (0.95, 0.125), (0.8, 0.11)), shade(steel, 1.25))
    pen.stroke(((0.66, 0.135), (0.86, 0.135)), shade(steel, 0.65), 0.02)


def tape_measure(pen: Pen, rng: random.Random) -> None:
    """Draw a tape measure with its tongue out."""
    body, tape = near(rng, PAINT), near(rng, ((236, 206, 60), (240, 236, 214)))
    pen.slab((0.5, 0.53, 1.0, 0.6), tape)
    for step in range(12):
        pen.stroke(((0.68 + 0.026 * step, 0.53), (0.68 + 0.026 * step, 0.565 if step % 3 else 0.59)), (40, 36, 30), 0.006)
    pen.slab((0.985, 0.5, 1.0, 0.63), near(rng, STEEL))
    pen.slab((0.0, 0.04, 0.64, 0.63), body, round_by=0.13)
    pen.slab((0.0, 0.54, 0.64, 0.63), (46, 46, 48), round_by=0.04)
    pen.oval((0.1, 0.1, 0.52, 0.52), shade(body, 0.55))
    pen.oval((0.13, 0.13, 0.49, 0.49), near(rng, ((230, 228, 220), (240, 200, 60), (60, 60, 62))))
    pen.slab((0.22, 0.27, 0.4, 0.35), shade(body, 0.8))


def bottle(pen: Pen, rng: random.Random) -> None:
    """Draw a bottle."""
    glass = near(rng, ((40, 92, 60), (110, 66, 30), (120, 150, 160), (210, 210, 200)))
    pen.slab((0.0, 0.02, 0.66, 0.32), glass, round_by=0.06)
    pen.poly(((0.62, 0.04), (0.76, 0.12), (0.76, 0.22), (0.62, 0.3)), shade(glass, 0.9))
    pen.slab((0.74, 0.12, 0.95, 0.22), glass)
    pen.slab((0.92, 0.105, 1.0, 0.235), near(rng, PAINT))
    pen.slab((0.16, 0.03, 0.5, 0.31), near(rng, ((226, 220, 200), *PAINT)))


def ball(pen: Pen, rng: random.Random) -> None:
    """Draw a ball."""
    skin = near(rng, PAINT)
    pen.oval((0.0, 0.0, 1.0, 1.0), shade(skin, 0.75))
    pen.oval((0.04, 0.02, 0.92, 0.9), skin)
    pen.oval((0.2, 0.14, 0.46, 0.36), shade(skin, 1.4))
    pen.stroke(((0.05, 0.5), (0.35, 0.62), (0.7, 0.6), (0.95, 0.45)), shade(skin, 0.5), 0.03)


def mug(pen: Pen, rng: random.Random) -> None:
    """Draw a mug."""
    glaze = near(rng, (*PAINT, (226, 222, 214)))
    pen.oval((0.55, 0.22, 1.0, 0.72), shade(glaze, 0.8))
    pen.cut_oval((0.64, 0.32, 0.9, 0.62))
    pen.poly(((0.02, 0.1), (0.74, 0.1), (0.7, 0.84), (0.06, 0.84)), glaze)
    pen.poly(((0.55, 0.1), (0.74, 0.1), (0.7, 0.84), (0.56, 0.84)), shade(glaze, 0.75))
    pen.oval((0.02, 0.0, 0.74, 0.2), shade(glaze, 1.15))
    pen.oval((0.07, 0.03, 0.69, 0.17), (70, 44, 26))


def flowerpot(pen: Pen, rng: random.Random) -> None:
    """Draw a plant in a pot."""
    clay, leaf = near(rng, ((176, 96, 62), (150, 80, 56), (90, 92, 96))), near(rng, ((58, 118, 52), (82, 140, 66), (38, 92, 58)))
    for step in range(9):
        x = 0.1 + 0.1 * step
        pen.poly(((0.5, 0.6), (x - 0.05, rng.uniform(0.0, 0.25)), (x + 0.05, rng.uniform(0.2, 0.4))), shade(leaf, rng.uniform(0.7, 1.3)))
    pen.poly(((0.2, 0.6), (0.8, 0.6), (0.7, 1.05), (0.3, 1.05)), clay)
    pen.slab((0.16, 0.54, 0.84, 0.66), shade(clay, 1.1))


def carton(pen: Pen, rng: random.Random) -> None:
    """Draw a cardboard box."""
    card = near(rng, ((186, 146, 98), (164, 124, 80), *PAINT))
    pen.poly(((0.0, 0.16), (0.62, 0.2), (0.62, 0.78), (0.0, 0.7)), card)
    pen.poly(((0.62, 0.2), (1.0, 0.12), (1.0, 0.64), (0.62, 0.78)), shade(card, 0.68))
    pen.poly(((0.0, 0.16), (0.4, 0.06), (1.0, 0.12), (0.62, 0.2)), shade(card, 1.2))
    pen.poly(((0.24, 0.175), (0.36, 0.183), (0.36, 0.32), (0.24, 0.31)), shade(card, 1.35))


def paint_tin(pen: Pen, rng: random.Random) -> None:
    """Draw a tin of paint."""
    steel, label = near(rng, STEEL), near(rng, PAINT)
    pen.slab((0.05, 0.14, 0.95, 1.0), steel, round_by=0.05)
    pen.slab((0.05, 0.34, 0.95, 0.84), label)
    pen.poly(((0.2, 0.44), (0.8, 0.44), (0.8, 0.6), (0.2, 0.6)), shade(label, 1.5))
    pen.oval((0.05, 0.02, 0.95, 0.28), shade(steel, 1.2))
    pen.oval((0.13, 0.06, 0.87, 0.24), near(rng, PAINT))


@dataclass(frozen=True)
class Shape:
    """A thing's drawing, its tile's height by width, and its usual length as a share of the picture's longer side."""

    draw: Callable[[Pen, random.Random], None]
    aspect: float
    size: tuple[float, float]
    lies: bool = True  # any way round; else it stands as drawn


TOOLS: dict[str, Shape] = {
    "driller": Shape(driller, 0.72, (0.24, 0.5), lies=False),
    "hammer": Shape(hammer, 0.44, (0.25, 0.58)),
    "paintbrush": Shape(paintbrush, 0.3, (0.22, 0.5)),
    "screwdriver": Shape(screwdriver, 0.16, (0.2, 0.5)),
    "wheelbarrow": Shape(wheelbarrow, 0.63, (0.38, 0.74), lies=False),
    "wrench": Shape(wrench, 0.26, (0.22, 0.48)),
    "pliers": Shape(pliers, 0.4, (0.22, 0.44)),
    "saw": Shape(saw, 0.34, (0.35, 0.68)),
    "chisel": Shape(chisel, 0.14, (0.22, 0.46)),
    "axe": Shape(axe, 0.42, (0.32, 0.64)),
    "shovel": Shape(shovel, 0.27, (0.45, 0.8)),
    "tape_measure": Shape(tape_measure, 0.65, (0.14, 0.3), lies=False),
}

THINGS: dict[str, Shape] = {
    "bottle": Shape(bottle, 0.34, (0.16, 0.3)),
    "ball": Shape(ball, 1.0, (0.08, 0.16)),
    "mug": Shape(mug, 0.86, (0.1, 0.18), lies=False),
    "flowerpot": Shape(flowerpot, 1.07, (0.14, 0.3), lies=False),
    "carton": Shape(carton, 0.8, (0.16, 0.32), lies=False),
    "paint_tin": Shape(paint_tin, 1.02, (0.1, 0.2), lies=False),
}

SHAPES = {**TOOLS, **THINGS}


def tile(name: str, length: int, rng: random.Random, *, angle: float, mirrored: bool) -> Image.Image:
    """Draw a thing `length` pixels long, turned by `angle` degrees, as an RGBA picture that its outline fills."""
    shape = SHAPES[name]
    fine = 2 if length < 480 else 1.5
    width, height = round(length * fine), round(length * fine * shape.aspect) + 2
    picture = Image.new("RGBA", (width, height), CLEAR)
    shape.draw(Pen(ImageDraw.Draw(picture), width - 1), rng)
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if angle:
        picture = picture.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    picture = picture.resize((max(2, round(picture.width / fine)), max(2, round(picture.height / fine))), Image.Resampling.BOX)
    outline = picture.getchannel("A").point(_solid).getbbox()
    return picture.crop(outline) if outline else picture


def lit(thing: Image.Image, light: Image.Image) -> Image.Image:
    """Return a tile with uneven light on it; `light` is a grey picture of any size."""
    grey = light.resize(thing.size, Image.Resampling.BILINEAR)
    colour = ImageChops.multiply(thing.convert("RGB"), Image.merge("RGB", (grey, grey, grey)))
    colour.putalpha(thing.getchannel("A"))
    return colour


def _solid(alpha: float) -> float:
    return 255 if alpha > 127 else 0

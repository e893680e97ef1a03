"""Draws the scenes: backgrounds, tools with their true boxes, light, shadow and grain."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import msgspec
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from boxset.world.likeness import fingerprint
from boxset.world.plan import SEED, Photo, Plan, plan_scene
from boxset.world.shapes import SHAPES, TOOLS, lit, tile
from boxset.world.textures import SIDE, all_textures

APART = 14
"""Bits of 64 by which the fingerprints of any two scenes differ at least."""

Box = tuple[int, int, int, int]


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """One tool in a scene: its true box in pixels (left, top, width, height) and what is special about it."""

    category: str
    box: Box
    truncated: bool = False
    occluded: bool = False
    depiction: bool = False
    racked: bool = False  # one of many that touch


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One drawn scene."""

    number: int
    role: str
    style: str
    main: str
    width: int
    height: int
    fingerprint: int
    things: tuple[Thing, ...]
    photo: Photo

    @property
    def name(self) -> str:
        """Return the scene's name within the world."""
        return f"{self.number:04d}"


@dataclass(frozen=True)
class Studio:
    """What all scenes are drawn with: surfaces and grain."""

    surfaces: dict[str, Image.Image]
    grain: Image.Image

    def surface(self, name: str, size: tuple[int, int], rng: random.Random) -> Image.Image:
        """Cut a piece out of a surface."""
        left, top = rng.randint(0, SIDE - size[0]), rng.randint(0, SIDE - size[1])
        return self.surfaces[name].crop((left, top, left + size[0], top + size[1]))


def open_studio() -> Studio:
    """Make the surfaces and the grain."""
    rng = np.random.default_rng([SEED, 999])
    grain = np.clip(128 + rng.standard_normal((SIDE, SIDE, 3)) * 4.2, 0, 255).astype(np.uint8)
    return Studio(all_textures(SEED), Image.fromarray(grain, "RGB").filter(ImageFilter.GaussianBlur(0.6)))


def draw_scenes(count: int) -> Iterator[tuple[Scene, bytes]]:
    """Draw `count` scenes; yield each with its picture, a JPEG. A scene too like an earlier one is drawn anew."""
    studio = open_studio()
    seen: list[int] = []
    for number in range(count):
        plan = plan_scene(number)
        for attempt in range(50):
            scene, picture = draw_scene(plan, studio, random.Random(f"{SEED}/scene/{number}/{attempt}"))
            if all((scene.fingerprint ^ other).bit_count() >= APART for other in seen):
                break
        seen.append(scene.fingerprint)
        yield scene, as_jpeg(picture, quality=80)


def as_jpeg(picture: Image.Image, *, quality: int) -> bytes:
    """Return the picture as JPEG."""
    out = BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def draw_scene(plan: Plan, studio: Studio, rng: random.Random) -> tuple[Scene, Image.Image]:
    """Draw one scene."""
    canvas = _ground(plan, studio, rng)
    for name in plan.things:
        _put(canvas, _Wish(name, rng.uniform(*SHAPES[name].size), plan), [], rng)
    boxes: list[Box] = []
    things = _rack(canvas, plan, boxes, rng) if plan.rack else _scatter(canvas, plan, boxes, rng)
    canvas = _finish(canvas, plan, studio, rng)
    scene = Scene(
        number=plan.number,
        role=plan.role,
        style=plan.style,
        main=plan.main,
        width=plan.width,
        height=plan.height,
        fingerprint=fingerprint(canvas),
        things=_with_occlusion(things),
        photo=plan.photo,
    )
    return scene, canvas


def _ground(plan: Plan, studio: Studio, rng: random.Random) -> Image.Image:
    size = (plan.width, plan.height)
    if plan.style in ("catalogue", "drawing"):
        return Image.new("RGB", size, (250, 250, 249))
    canvas = studio.surface(plan.surfaces[0], size, rng)
    if len(plan.surfaces) > 1:
        horizon = round(plan.height * rng.uniform(0.22, 0.5))
        canvas.paste(studio.surface(plan.surfaces[1], (plan.width, horizon), rng), (0, 0))
        ImageDraw.Draw(canvas).line((0, horizon, plan.width, horizon + rng.randint(-8, 8)), fill=(60, 56, 50), width=5)
    for _ in range(rng.choice((0, 0, 1, 2))):
        _lay_sheet(canvas, studio, rng)
    return canvas


def _lay_sheet(canvas: Image.Image, studio: Studio, rng: random.Random) -> None:
    """Lay a cloth or a board on the ground."""
    size = (round(canvas.width * rng.uniform(0.25, 0.5)), round(canvas.height * rng.uniform(0.25, 0.5)))
    sheet = studio.surface(rng.choice(("blue cloth", "red cloth", "plaster", "pine", "steel")), size, rng).convert("RGBA")
    sheet = sheet.rotate(rng.uniform(-30, 30), expand=True)
    canvas.paste(sheet, (rng.randint(-size[0] // 3, canvas.width - size[0] // 2), rng.randint(-size[1] // 3, canvas.height - size[1] // 2)), sheet)


@dataclass(frozen=True)
class _Wish:
    """A thing to be put somewhere: its name, its length as a share of the longer side, and where it may stand."""

    name: str
    share: float
    plan: Plan
    angle: float | None = None
    centre: tuple[float, float] | None = None
    shadow: bool = True


def _scatter(canvas: Image.Image, plan: Plan, boxes: list[Box], rng: random.Random) -> tuple[Thing, ...]:
    things = []
    for position, name in enumerate(plan.tools):
        share = rng.uniform(*TOOLS[name].size) * (1.0 if position == 0 else 0.8)
        if plan.style == "catalogue":
            share = rng.uniform(0.6, 0.8)
        thing = _put(canvas, _Wish(name, share, plan, shadow=plan.style != "drawing"), boxes, rng)
        if thing is not None:
            boxes.append(thing.box)
            things.append(_depicted(thing) if plan.style in ("poster", "drawing") else thing)
    return tuple(things)


def _depicted(thing: Thing) -> Thing:
    """Return the thing as a drawing of it."""
    return msgspec.structs.replace(thing, depiction=True)


def _rack(canvas: Image.Image, plan: Plan, boxes: list[Box], rng: random.Random) -> tuple[Thing, ...]:
    """Hang many of one tool side by side, so close that they touch."""
    count, share = rng.randint(6, 8), rng.uniform(0.26, 0.36)
    step = share * TOOLS[plan.main].aspect * 0.96 * max(plan.width, plan.height) / plan.width
    left, middle = rng.uniform(0.06 + step, max(0.08 + step, 0.92 - count * step)), rng.uniform(0.35, 0.65)
    things = []
    for position in range(count):
        wish = _Wish(plan.main, share, plan, angle=90 + rng.uniform(-2, 2), centre=(left + position * step, middle))
        thing = _put(canvas, wish, [], rng)
        if thing is not None:
            boxes.append(thing.box)
            things.append(msgspec.structs.replace(thing, racked=True))
    return tuple(things)


def _put(canvas: Image.Image, wish: _Wish, taken: list[Box], rng: random.Random) -> Thing | None:
    """Put a thing on the picture where it hides little of what is there; None where there is no room."""
    length = round(wish.share * max(canvas.size))
    for attempt in range(14):
        piece = tile(wish.name, max(24, round(length * 0.94**attempt)), rng, angle=_angle(wish, rng), mirrored=rng.random() < 0.5)
        left, top = _place(canvas.size, piece.size, wish, rng)
        box = _visible(canvas.size, piece.size, (left, top))
        if box is not None and all(_hidden(box, other) < 0.2 for other in taken):
            _paste(canvas, piece, (left, top), wish, rng)
            whole = box[2] * box[3] == piece.width * piece.height
            return Thing(category=wish.name, box=box, truncated=not whole)
    return None


def _angle(wish: _Wish, rng: random.Random) -> float:
    if wish.angle is not None:
        return wish.angle
    shape = SHAPES[wish.name]
    if wish.plan.style == "catalogue":
        return rng.choice((0, 0, 35, -35)) if shape.lies else 0
    return rng.uniform(0, 360) if shape.lies else rng.uniform(-9, 9)


def _place(size: tuple[int, int], piece: tuple[int, int], wish: _Wish, rng: random.Random) -> tuple[int, int]:
    if wish.centre is not None:
        return round(wish.centre[0] * size[0] - piece[0] / 2), round(wish.centre[1] * size[1] - piece[1] / 2)
    if wish.plan.style == "catalogue":
        return (size[0] - piece[0]) // 2, (size[1] - piece[1]) // 2
    over = 0.22 if rng.random() < 0.14 else 0.0  # some stick out of the picture
    left, top = (rng.randint(*sorted((round(-over * piece[k]) + 2, round(size[k] - piece[k] * (1 - over)) - 2))) for k in (0, 1))
    return left, top


def _visible(size: tuple[int, int], piece: tuple[int, int], at: tuple[int, int]) -> Box | None:
    left, top = max(0, at[0]), max(0, at[1])
    right, bottom = min(size[0], at[0] + piece[0]), min(size[1], at[1] + piece[1])
    seen = max(0, right - left) * max(0, bottom - top)
    return (left, top, right - left, bottom - top) if seen >= 0.6 * piece[0] * piece[1] else None


def _hidden(box: Box, other: Box) -> float:
    """Return the share of the smaller box that lies in both."""
    wide = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
    high = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    return max(0, wide) * max(0, high) / min(box[2] * box[3], other[2] * other[3])


def _paste(canvas: Image.Image, piece: Image.Image, at: tuple[int, int], wish: _Wish, rng: random.Random) -> None:
    if wish.shadow:
        reach = max(3, min(piece.size) // 14)
        _shadow(canvas, piece.getchannel("A"), (at[0] + reach, at[1] + reach), reach)
        light = Image.frombytes("L", (3, 3), bytes(rng.randint(190, 255) for _ in range(9)))
        piece = lit(piece, light)
    canvas.paste(piece, at, piece)


def _shadow(canvas: Image.Image, outline: Image.Image, at: tuple[int, int], reach: int) -> None:
    """Darken the ground beside a thing, softly: blurred at a quarter of its size."""
    pad = 2 * reach
    small = (max(1, (outline.width + 2 * pad) // 4), max(1, (outline.height + 2 * pad) // 4))
    wide = Image.new("L", (outline.width + 2 * pad, outline.height + 2 * pad))
    wide.paste(outline.point(_half), (pad, pad))
    soft = wide.resize(small, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(max(1.0, reach / 6))).resize(wide.size, Image.Resampling.BILINEAR)
    canvas.paste((22, 20, 20), (at[0] - pad, at[1] - pad), soft)


def _half(alpha: float) -> float:
    return alpha * 0.5


def _finish(canvas: Image.Image, plan: Plan, studio: Studio, rng: random.Random) -> Image.Image:
    """Add uneven light, a colour cast and grain; drawings and catalogue shots stay clean."""
    if plan.style == "drawing":
        return canvas
    darkest = 232 if plan.style == "catalogue" else 138
    cells = Image.frombytes("L", (5, 4), bytes(rng.randint(darkest, 255) for _ in range(20)))
    light = cells.resize(canvas.size, Image.Resampling.BICUBIC)
    warm = rng.uniform(0.9, 1.0), rng.uniform(0.93, 1.0), rng.uniform(0.86, 1.0)
    bands = [ImageChops.multiply(band, light.point([round(v * part) for v in range(256)])) for band, part in zip(canvas.split(), warm, strict=True)]
    left, top = rng.randint(0, SIDE - canvas.width), rng.randint(0, SIDE - canvas.height)
    grain = studio.grain.crop((left, top, left + canvas.width, top + canvas.height))
    return ImageChops.add(Image.merge("RGB", bands), grain, 1, -128)


def _with_occlusion(things: tuple[Thing, ...]) -> tuple[Thing, ...]:
    """Mark what a later thing lies over."""
    return tuple(
        msgspec.structs.replace(thing, occluded=any(_hidden(thing.box, later.box) > 0.04 for later in things[number + 1 :]))
        for number, thing in enumerate(things)
    )

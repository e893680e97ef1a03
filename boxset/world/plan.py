"""What every scene shows and who is said to have photographed it: decided from the seed and the scene's number alone."""

import random

import msgspec

from boxset.world.shapes import THINGS, TOOLS
from boxset.world.textures import INDOORS, OUTDOORS

SEED = 20261123

FLICKR, IMAGENET, WEB = "flickr", "imagenet", "web"
ROLES = (FLICKR, IMAGENET, WEB, FLICKR, WEB, WEB, FLICKR, WEB, FLICKR, IMAGENET, WEB, FLICKR, WEB, IMAGENET, WEB, WEB)
"""Where a scene is published first, by its number."""

MAIN: dict[str, tuple[str, ...]] = {
    FLICKR: (
        *("screwdriver", "hammer", "driller", "wheelbarrow", "paintbrush", "screwdriver", "wrench", "pliers", "screwdriver", "saw", "hammer", ""),
        *("driller", "screwdriver", "wheelbarrow", "chisel", "paintbrush", "axe", "screwdriver", "shovel", "hammer", "tape_measure", "wheelbarrow"),
        *("screwdriver", "driller", "paintbrush"),
    ),
    IMAGENET: (
        "screwdriver",
        "hammer",
        "driller",
        "paintbrush",
        "wheelbarrow",
        "screwdriver",
        "axe",
        "hammer",
        "driller",
        "paintbrush",
        "shovel",
        "wheelbarrow",
    ),
    WEB: (
        *("hammer", "driller", "screwdriver", "wheelbarrow", "paintbrush", "wrench", "pliers", "hammer", "screwdriver", "driller", "wheelbarrow"),
        *("paintbrush", "saw", "wrench", "hammer", "screwdriver", "chisel", "driller", "wheelbarrow", "paintbrush", "axe", "shovel", "hammer"),
        *("screwdriver", "driller", "wrench", "wheelbarrow", "paintbrush", "tape_measure", "pliers", "screwdriver", ""),
    ),
}
"""The main thing of each scene in turn; none: no tool at all. Screwdrivers are far too many, as they are in reality."""

OUTDOOR_TOOLS = ("wheelbarrow", "shovel", "axe")
SIZES = (
    (1024, 768),
    (1024, 683),
    (800, 600),
    (768, 1024),
    (1024, 680),
    (640, 480),
    (683, 1024),
    (900, 600),
    (600, 800),
    (960, 720),
    (720, 720),
    (500, 375),
)
STYLES = ("photo",) * 22 + ("catalogue", "catalogue", "poster", "drawing")

FIRST = (
    "Ada",
    "Bruno",
    "Chiara",
    "Dmitri",
    "Emeka",
    "Farah",
    "Gustavo",
    "Hanna",
    "Ines",
    "Jonas",
    "Keiko",
    "Lars",
    "Mina",
    "Nuno",
    "Olga",
    "Pavel",
    "Rosa",
    "Tomasz",
)
LAST = (
    "Abel",
    "Brandt",
    "Costa",
    "Duval",
    "Ekström",
    "Ferri",
    "Gruber",
    "Hughes",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lopes",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
    "Quinn",
)
TITLES = (
    "{} in the shed",
    "my {}",
    "{}, well used",
    '"{}" for sale',
    "Sunday: {} and coffee",
    "old {}",
    "{} no. 2",
    "DSC_{:04d}",
    "new {}!",
    "Das hier ist ein {}",
)
LICENCES = (4, 4, 4, 4, 5, 5, 1, 2, 2, 3, 6, 7, 8, 9)
"""Flickr's numbers: 1 BY-NC-SA, 2 BY-NC, 3 BY-NC-ND, 4 BY, 5 BY-SA, 6 BY-ND, 7 none known, 8 US government, 9 CC0."""


class Photo(msgspec.Struct, frozen=True, kw_only=True):
    """Who is said to have taken a scene's picture, and what Flickr says of it."""

    flickr_id: str
    secret: str
    farm: int
    server: int
    author: str
    alias: str
    title: str
    licence: int
    taken: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a scene is to show; where everything stands is found by drawing it."""

    number: int
    role: str
    style: str
    main: str
    tools: tuple[str, ...]
    rack: bool  # many of the main tool, side by side and touching
    things: tuple[str, ...]
    surfaces: tuple[str, ...]
    width: int
    height: int
    photo: Photo


def plan_scene(number: int) -> Plan:
    """Decide what the scene of this number shows."""
    rng = random.Random(f"{SEED}/plan/{number}")
    role = ROLES[number % len(ROLES)]
    turn = sum(ROLES[n % len(ROLES)] == role for n in range(number))
    main = MAIN[role][turn % len(MAIN[role])]
    rack = main in ("screwdriver", "chisel", "paintbrush", "wrench") and rng.random() < 0.12
    style = "photo" if rack or main == "wheelbarrow" else rng.choice(STYLES)
    outdoors = main in OUTDOOR_TOOLS or rng.random() < 0.12
    width, height = rng.choice(SIZES)
    return Plan(
        number=number,
        role=role,
        style=style,
        main=main,
        tools=_tools(rng, main, outdoors=outdoors, alone=style != "photo" or rack),
        rack=rack,
        things=() if style == "catalogue" else tuple(rng.choice(tuple(THINGS)) for _ in range(rng.choice((0, 0, 1, 1, 2) if main else (2, 3, 4)))),
        surfaces=_surfaces(rng, outdoors=outdoors),
        width=width,
        height=height,
        photo=_photo(rng, main or "garden"),
    )


def _tools(rng: random.Random, main: str, *, outdoors: bool, alone: bool) -> tuple[str, ...]:
    if not main:
        return ()
    if alone:
        return (main,)
    more = rng.choice((1, 2, 3, 4)) if main == "screwdriver" else rng.choice((0, 0, 1, 1, 2, 3))
    others = [rng.choice((*OUTDOOR_TOOLS[1:], "hammer", "saw")) if outdoors else _indoor_tool(rng) for _ in range(more)]
    return (main, *others)


def _indoor_tool(rng: random.Random) -> str:
    return "screwdriver" if rng.random() < 0.45 else rng.choice([tool for tool in TOOLS if tool not in OUTDOOR_TOOLS])


def _surfaces(rng: random.Random, *, outdoors: bool) -> tuple[str, ...]:
    choice = tuple(OUTDOORS) if outdoors else tuple(INDOORS)
    return tuple(rng.sample(choice, 2 if rng.random() < 0.45 or outdoors else 1))


def _photo(rng: random.Random, what: str) -> Photo:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    day, hour = (rng.randint(2005, 2013), rng.randint(1, 12), rng.randint(1, 28)), (rng.randint(6, 20), rng.randint(0, 59), rng.randint(0, 59))
    title = rng.choice(TITLES)
    return Photo(
        flickr_id=str(rng.randint(1_000_000_00, 9_000_000_000)),
        secret=f"{rng.getrandbits(40):010x}",
        farm=rng.randint(1, 9),
        server=rng.randint(1000, 8999),
        author=f"{first} {last}",
        alias=f"{first}{last}".lower().replace("ö", "o"),
        title=title.format(rng.randint(1, 9999)) if "04d" in title else title.format(what.replace("_", " ")),
        licence=rng.choice(LICENCES),
        taken="{:04d}-{:02d}-{:02d}".format(*day) + " {:02d}:{:02d}:{:02d}".format(*hour),
    )

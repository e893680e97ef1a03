"""The world on disk: drawn once per seed, code and size, then only read.

`table.json` says for every address what is answered; `files/` holds the bodies; `scenes.json` the truth.
"""

import fcntl
import hashlib
import io
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec
from PIL import Image

from boxset.world.plan import SEED
from boxset.world.scenes import Scene, draw_scenes

SCENES = 480


class Page(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one address answers. `first` is the status of the first answer, where a second try succeeds."""

    file: str = ""
    type: str = "image/jpeg"
    status: int = 200
    location: str = ""
    headers: dict[str, str] = {}
    cut: bool = False
    slow_s: float = 0.0
    first: int = 0


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One picture that the search services know."""

    url: str
    page: str
    title: str
    words: tuple[str, ...]
    engine: str
    service: str  # searxng, openverse or commons
    width: int
    height: int
    licence: int
    author: str
    number: int


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is answered."""

    pages: dict[str, Page]
    hits: tuple[Hit, ...]


def scene_count() -> int:
    """Return how many scenes there are; tests make the world smaller."""
    return int(os.environ.get("BOXSET_WORLD_SCENES") or SCENES)


@cache
def drawn() -> Path:
    """Return the folder of the drawn world; draws it where this seed, code and size were never drawn here."""
    root = Path(os.environ.get("BOXSET_CACHE") or Path.home() / ".cache" / "boxset") / "world"
    target = root / f"{SEED}-{_code_digest()}-{scene_count()}"
    if target.exists():
        return target
    root.mkdir(parents=True, exist_ok=True)
    with (root / f".{target.name}.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not target.exists():
            scratch = Path(mkdtemp(prefix=".drawing-", dir=root))
            try:
                _draw(scratch)
                scratch.replace(target)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return target


def _code_digest() -> str:
    here = Path(__file__).parent
    names = ("drawn", "likeness", "plan", "published", "scenes", "shapes", "sites", "textures")
    return hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in names)).hexdigest()[:12]


class Builder:
    """Collects the world's addresses and files while it is drawn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: dict[str, Page] = {}
        self.hits: list[Hit] = []
        (folder / "files").mkdir()

    def file(self, content: bytes) -> str:
        """Keep a body; return its name."""
        name = hashlib.sha256(content).hexdigest()[:24]
        (self.folder / "files" / name).write_bytes(content)
        return name

    def put(self, address: str, content: bytes, **more: Any) -> None:
        """Answer an address (host and path, without scheme) with a body."""
        self.pages[address.partition("://")[2] or address] = Page(file=self.file(content), **more)

    def say(self, address: str, **page: Any) -> None:
        """Answer an address without a body."""
        self.pages[address.partition("://")[2] or address] = Page(**page)


def _draw(folder: Path) -> None:
    from boxset.world.published import publish
    from boxset.world.sites import open_sites

    scenes, pictures = [], {}
    for scene, jpeg in draw_scenes(scene_count()):
        scenes.append(scene)
        pictures[scene.number] = jpeg
    builder = Builder(folder)
    publish(builder, scenes, pictures)
    open_sites(builder, scenes, pictures)
    (folder / "scenes.json").write_bytes(msgspec.json.encode(scenes))
    (folder / "table.json").write_bytes(msgspec.json.encode(World(pages=builder.pages, hits=tuple(builder.hits))))


@cache
def world() -> World:
    """Return the world's answers."""
    return msgspec.json.decode((drawn() / "table.json").read_bytes(), type=World)


@cache
def scenes() -> tuple[Scene, ...]:
    """Return the truth."""
    return msgspec.json.decode((drawn() / "scenes.json").read_bytes(), type=tuple[Scene, ...])


def resized(jpeg: bytes, longest: int, *, quality: int = 85) -> tuple[bytes, int, int]:
    """Return a picture at most `longest` pixels long, and its size."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return encoded(small, "JPEG", quality=quality), small.width, small.height


def encoded(picture: Image.Image, format_: str, **options: Any) -> bytes:
    """Return a picture's bytes in a format."""
    out = io.BytesIO()
    picture.save(out, format_, **options)
    return out.getvalue()

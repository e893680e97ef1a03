"""The web of the drawn world: shops, forums and photo sites with pictures, and everything that goes wrong there."""

import io
import random

import numpy as np
from PIL import Image, ImageDraw

from boxset.world.drawn import Builder, Hit, encoded, resized
from boxset.world.plan import FLICKR, SEED, WEB
from boxset.world.scenes import Scene

HOSTS = (
    "tools.example", "werkzeug.example", "bricolage.example", "cdn.workshop.example", "forum.makers.example", "diy-blog.example", "img.hardware.example",
    "garden.example", "static.shop.example", "photos.builder.example", "handyman.example", "old-tools.example",
)  # fmt: skip
SLOW, BUSY, STRICT, NOAI, DEAD = "slow.example", "busy.example", "private-garden.example", "artists.example", "gone-for-good.example"
WORDS = {
    "driller": ("drill", "driller", "perceuse", "visseuse", "cordless", "bohrer"),
    "hammer": ("hammer", "marteau", "nails", "claw", "sledge"),
    "paintbrush": ("paintbrush", "pinceau", "brush", "paint", "peinture"),
    "screwdriver": ("screwdriver", "tournevis", "schraubendreher"),
    "wheelbarrow": ("wheelbarrow", "brouette", "barrow", "schubkarre"),
    "wrench": ("wrench", "spanner", "clef"),
    "pliers": ("pliers", "pince"),
    "saw": ("saw", "scie"),
    "chisel": ("chisel", "ciseau"),
    "axe": ("axe", "hache", "hatchet"),
    "shovel": ("shovel", "pelle", "spade"),
    "tape_measure": ("tape", "measure", "ruban"),
    "": ("garden", "workshop"),
}
ENGINES = ("bing images", "flickr", "duckduckgo images", "wikicommons.images", "google images")
PLACEHOLDER = "no-image.jpg"


def open_sites(world: Builder, scenes: list[Scene], pictures: dict[int, bytes]) -> None:
    """Put every web scene on a site, copies on others, and trouble in between."""
    _robots(world)
    placeholder = _placeholder()
    for host in HOSTS[:4]:
        world.put(f"{host}/{PLACEHOLDER}", placeholder)
    web = [scene for scene in scenes if scene.role == WEB]
    photos = [scene for scene in scenes if scene.role == FLICKR and scene.main]
    for place, scene in enumerate(web):
        _publish(world, scene, pictures[scene.number], place)
        if place % 3 == 1:
            _copy(world, scene, pictures[scene.number], place)
        if place % 5 == 0:
            _openverse(world, scene, pictures[scene.number])
        if place % 7 == 2:
            _commons(world, scene, pictures[scene.number])
        if place % 4 == 3:
            _trouble(world, scene, pictures[scene.number], place)
        if place % 11 == 5:
            _trap(world, scene, place)
    for place, scene in enumerate(photos[::9]):
        _copy(world, scene, pictures[scene.number], place + 1000)


def _robots(world: Builder) -> None:
    world.put(f"{STRICT}/robots.txt", b"User-agent: *\nDisallow: /\n", type="text/plain")
    world.put(f"{HOSTS[0]}/robots.txt", b"User-agent: *\nDisallow: /cart/\nCrawl-delay: 0\n", type="text/plain")
    world.say("unreadable.example/robots.txt", status=503)


def _hit(world: Builder, scene: Scene, url: str, *, place: int, width: int, height: int, service: str = "searxng", title: str = "") -> None:
    name = (scene.main or "garden").replace("_", " ")
    title = title or f"{name} {('for sale', 'in the workshop', 'how to use it', 'review', '№ 7')[place % 5]}"
    world.hits.append(
        Hit(
            url=url,
            page=f"https://{url.split('/')[2] if '//' in url else HOSTS[0]}/page/{scene.number}",
            title=title,
            words=WORDS[scene.main],
            engine=ENGINES[place % 4],
            service=service,
            width=width,
            height=height,
            licence=scene.photo.licence,
            author=scene.photo.author,
            number=len(world.hits),
        )
    )


def _publish(world: Builder, scene: Scene, jpeg: bytes, place: int) -> None:
    host = (*HOSTS, SLOW, BUSY, NOAI)[place % (len(HOSTS) + 3)]
    url = f"https://{host}/media/{scene.number}/{(scene.main or 'scene').replace('_', '-')}.jpg"
    more: dict[str, object] = {}
    if host == SLOW:
        more["slow_s"] = 0.15
    if host == BUSY:
        more["first"] = 429
    if host == NOAI:
        more["headers"] = {"X-Robots-Tag": "noai, noimageai"}
    world.put(url, jpeg, **more)
    _hit(world, scene, url, place=place, width=scene.width, height=scene.height)


def _copy(world: Builder, scene: Scene, jpeg: bytes, place: int) -> None:
    """The same photo elsewhere: smaller, re-encoded, or a little cropped."""
    rng = random.Random(f"{SEED}/copy/{scene.number}")
    host = HOSTS[(place * 5 + 3) % len(HOSTS)]
    url = f"http://{host}/wp-content/uploads/{scene.number}.jpg"
    if place % 9 == 4:
        with Image.open(io.BytesIO(jpeg)) as picture:
            edge = max(2, round(min(picture.size) * 0.015))
            cropped = picture.convert("RGB").crop((edge, edge, picture.width - edge, picture.height - edge))
        content, width, height = encoded(cropped, "JPEG", quality=84), cropped.width, cropped.height
    else:
        content, width, height = resized(jpeg, rng.choice((480, 560, 720)), quality=rng.choice((70, 78, 88)))
    world.put(url, content)
    _hit(world, scene, url, place=place + 1, width=width, height=height)


def _openverse(world: Builder, scene: Scene, jpeg: bytes) -> None:
    photo = scene.photo
    content, width, height = resized(jpeg, 800, quality=86)
    url = f"https://live.staticflickr.com/{photo.server}/{photo.flickr_id}_{photo.secret}_b.jpg"
    world.put(url, content)
    _hit(world, scene, url, place=scene.number, width=width, height=height, service="openverse", title=photo.title)


def _commons(world: Builder, scene: Scene, jpeg: bytes) -> None:
    content, width, height = resized(jpeg, 960, quality=90)
    url = f"https://upload.wikimedia.org/wikipedia/commons/{scene.number % 10}/{scene.number}_{scene.main or 'scene'}.jpg"
    world.put(url, content)
    _hit(
        world, scene, url, place=scene.number, width=width, height=height, service="commons", title=f"File:{scene.main or 'scene'} {scene.number}.jpg"
    )


def _trouble(world: Builder, scene: Scene, jpeg: bytes, place: int) -> None:
    """Addresses that search engines list and that bring no good picture, or a good one in an unusual form."""
    kind = place // 4 % 20
    host = HOSTS[place % len(HOSTS)]
    url = f"https://{host}/odd/{scene.number}.jpg"
    with Image.open(io.BytesIO(jpeg)) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    match kind:
        case 0:
            world.say(url, status=404)
        case 1:
            world.say(url, status=410)
        case 2:
            url = f"https://{DEAD}/{scene.number}.jpg"
        case 3:
            world.say(url, status=302, location=f"https://{host}/moved/{scene.number}.jpg")
            world.put(f"https://{host}/moved/{scene.number}.jpg", encoded(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "JPEG", quality=85))
        case 4:
            world.say(url, status=302, location=url)
        case 5:
            world.say(url, status=302, location="http://127.0.0.1/admin.jpg")
        case 6:
            world.say(url, status=301, location="http://169.254.169.254/latest/meta-data/")
        case 7:
            world.put(url, b"<!doctype html><title>Sign in</title>", type="image/jpeg")
        case 8:
            world.put(url, b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>', type="image/svg+xml")
        case 9:
            frames = [picture.resize((320, 240)), picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((320, 240))]
            out = io.BytesIO()
            frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=100)
            world.put(url, out.getvalue(), type="image/gif")
        case 10:
            world.put(url, jpeg, cut=True)
        case 11:
            exif = Image.Exif()
            exif[0x0112] = 6
            world.put(url, encoded(picture.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=88, exif=exif))
        case 12:
            world.put(url, encoded(picture.convert("CMYK"), "JPEG", quality=88))
        case 13:
            grey = np.asarray(picture.convert("L"), dtype=np.uint16) * 257
            world.put(url, encoded(Image.fromarray(grey), "PNG"), type="image/png")
        case 14:
            clear = picture.convert("RGBA")
            ImageDraw.Draw(clear).rectangle((0, 0, width // 20, height // 20), fill=(0, 0, 0, 0))
            world.put(url, encoded(clear.resize((width // 2, height // 2)), "PNG"), type="image/png")
        case 15:
            world.put(url, encoded(picture, "WEBP", quality=82), type="image/webp")
        case 16:
            world.put(url, resized(jpeg, 120)[0])
        case 17:
            url = f"https://{host}/{PLACEHOLDER}" if host in HOSTS[:4] else f"https://{HOSTS[0]}/{PLACEHOLDER}"
        case 18:
            world.put(url, jpeg, first=503)
        case _:
            url = f"https://{STRICT}/{scene.number}.jpg"
            world.put(url, jpeg)
    _hit(world, scene, url, place=place + 2, width=width, height=height)


def _trap(world: Builder, scene: Scene, place: int) -> None:
    """Answers that no address stands in, or one that nobody should ask."""
    url = (
        "",
        f"//{HOSTS[1]}/protocol/{scene.number}.jpg",
        "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
        "http://10.0.0.7/x.jpg",
        "https://user:pw@tools.example/x.jpg",
    )[place % 5]
    _hit(world, scene, url, place=place, width=0, height=0, title=("clipart " if place % 2 else "") + (scene.main or "garden"))


def _placeholder() -> bytes:
    picture = Image.new("RGB", (640, 480), (238, 238, 238))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((250, 190, 390, 290), outline=(200, 200, 200), width=6)
    return encoded(picture, "JPEG", quality=90)

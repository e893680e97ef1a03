"""The search services of the drawn world: SearXNG, Openverse and Wikimedia Commons, in their own forms."""

import json
from collections.abc import Sequence
from itertools import zip_longest
from urllib.parse import parse_qs

from boxset.world.drawn import Hit, world
from boxset.world.http import Answer, Request
from boxset.world.sites import ENGINES

PAGE = {"searxng": 14, "openverse": 20, "commons": 50}
ENGINE_PAGE = {"bing images": 28, "flickr": 15, "openverse": 20}
LICENCES = {1: "by-nc-sa", 2: "by-nc", 3: "by-nc-nd", 4: "by", 5: "by-sa", 6: "by-nd", 7: "pdm", 8: "pdm", 9: "cc0"}
BROKEN = {"google images": "CAPTCHA"}


def searxng(request: Request) -> Answer:
    """Answer /search, /config and /healthz as SearXNG does."""
    if request.path == "/healthz":
        return Answer(body=b"OK", headers={"Content-Type": "text/plain"})
    if request.path == "/config":
        known = [
            {"name": name, "categories": ["images"], "enabled": name in ENGINES, "paging": True, "safesearch": True}
            for name in (*ENGINES, "openverse")
        ]
        return in_json({"engines": known, "categories": ["images"], "instance_name": "embedded"})
    asked = asked_for(request)
    if asked.get("format") != "json":
        return Answer(status=403, body=b"Forbidden")
    if not asked.get("q"):
        return in_json({"error": "No query"}, status=400)
    page = asked.get("pageno", "1")
    if not page.isdigit() or page == "0":
        return in_json({"error": f'Invalid value "{page}" for parameter pageno'}, status=400)
    engines = [name for name in asked.get("engines", "").split(",") if name]
    found = _merged(engines, asked["q"], int(page)) if engines else _found("searxng", asked["q"], int(page))
    silent = [[name, BROKEN[name]] for name in engines or ENGINES if name in BROKEN]
    return in_json({"query": asked["q"], "results": [_result(hit) for hit in found], "answers": [], "suggestions": [], "unresponsive_engines": silent})


def asked_for(request: Request) -> dict[str, str]:
    """Return the parameters of a query, each once."""
    return {name: values[0] for name, values in parse_qs(request.query).items()}


def engine_page(engine: str, q: str, page: int, size: int) -> list[Hit]:
    """Return a page of what one search engine has."""
    hits = _matching("openverse", q) if engine == "openverse" else [hit for hit in _matching("searxng", q) if hit.engine == engine]
    return hits[(page - 1) * size : page * size]


def _merged(engines: Sequence[str], q: str, page: int) -> list[Hit]:
    """Return a page of each engine that is named, by their positions in it, as SearXNG merges engines of one weight."""
    pages = [engine_page(name, q, page, ENGINE_PAGE.get(name, PAGE["searxng"])) for name in engines]
    return [hit for row in zip_longest(*pages) for hit in row if hit is not None]


def _found(service: str, q: str, page: int) -> list[Hit]:
    start = (page - 1) * PAGE[service]
    return _matching(service, q)[start : start + PAGE[service]]


def _matching(service: str, q: str) -> list[Hit]:
    """Return hits in rank order: those of which a word is asked for; now and then one that has nothing to do with it."""
    words = {word.strip(".,!").lower() for word in q.replace("filetype:bitmap", "").split()}
    hits = [hit for hit in world().hits if hit.service == service and (words & set(hit.words) or hit.number % 41 == len(q) % 41)]
    return sorted(hits, key=lambda hit: (hit.number * 7919 + len(q) * 31) % 1009)


def thumbnail(hit: Hit) -> str:
    """Return where a small copy would stand."""
    return f"https://tse1.mm.example/th?id={hit.number}"


def _result(hit: Hit) -> dict[str, object]:
    spellings = (f"{hit.width} x {hit.height}", f"{hit.width}×{hit.height}", f"{hit.width}x{hit.height}", "")
    return {
        "template": "images.html",
        "url": hit.page,
        "title": hit.title,
        "img_src": hit.url,
        "thumbnail_src": thumbnail(hit),
        "content": "",
        "resolution": spellings[hit.number % 4] if hit.width else "",
        "img_format": "jpeg",
        "engine": hit.engine,
        "engines": [hit.engine],
        "positions": [1],
        "score": 1.0,
        "category": "images",
        "parsed_url": ["https", "tools.example", "/", "", "", ""],
    }


def openverse(request: Request) -> Answer:
    """Answer /v1/images/ as Openverse does; anonymous pages of 20 at the most."""
    asked = asked_for(request)
    page, size = int(asked.get("page", "1")), int(asked.get("page_size", "20"))
    if size > 20 and "authorization" not in request.headers:
        return in_json({"detail": "Anonymous requests: page_size must be 20 or less."}, status=401)
    wanted = set(asked.get("license", "").split(",")) - {""}
    hits = [hit for hit in _found("openverse", asked.get("q", ""), page) if not wanted or LICENCES[hit.licence] in wanted]
    pages = page + 1 if _found("openverse", asked.get("q", ""), page + 1) else page
    return in_json({"result_count": len(hits), "page_count": pages, "page_size": size, "page": page, "results": [_work(hit) for hit in hits]})


def landing(hit: Hit) -> str:
    """Return the page of a photo on Flickr."""
    return f"https://www.flickr.com/photos/someone/{hit.number}"


def _work(hit: Hit) -> dict[str, object]:
    code = LICENCES[hit.licence]
    versions = {"cc0": "1.0", "pdm": "1.0"}
    return {
        "id": f"{hit.number:08x}-0000-4000-8000-000000000000",
        "title": hit.title,
        "foreign_landing_url": landing(hit),
        "url": hit.url,
        "creator": hit.author,
        "creator_url": "https://www.flickr.com/photos/someone",
        "license": code,
        "license_version": versions.get(code, "2.0"),
        "provider": "flickr",
        "source": "flickr",
        "width": hit.width,
        "height": hit.height,
        "mature": False,
    }


def commons(request: Request) -> Answer:
    """Answer a generator=search query with imageinfo as Wikimedia Commons does."""
    asked = asked_for(request)
    if "@" not in request.headers.get("user-agent", "") and "http" not in request.headers.get("user-agent", ""):
        return Answer(status=403, body=b"Please set a user-agent and respect our robot policy")
    offset = int(asked.get("gsroffset", "0"))
    hits = _found("commons", asked.get("gsrsearch", ""), offset // 50 + 1)
    pages = [_page(hit, place) for place, hit in enumerate(hits, offset + 1)]
    more = {"continue": {"gsroffset": offset + 50, "continue": "gsroffset||"}} if len(hits) == 50 else {}
    return in_json({"batchcomplete": True, **more, **({"query": {"pages": pages}} if pages else {})})


def _page(hit: Hit, place: int) -> dict[str, object]:
    free = hit.licence in (7, 8, 9)
    licence = (
        ("CC0", "https://creativecommons.org/publicdomain/zero/1.0/") if free else ("cc-by-sa-4.0", "https://creativecommons.org/licenses/by-sa/4.0/")
    )
    said = {"LicenseShortName": {"value": licence[0]}, "License": {"value": licence[0].lower()}, "LicenseUrl": {"value": licence[1]}}
    artist = {"Artist": {"value": f'<a href="//commons.wikimedia.org/wiki/User:X">{hit.author}</a>'}}
    info = {
        "url": hit.url,
        "descriptionurl": hit.page,
        "width": hit.width,
        "height": hit.height,
        "mime": "image/jpeg",
        "user": "X",
        "extmetadata": {**said, **artist},
    }
    return {"pageid": hit.number, "ns": 6, "title": hit.title, "index": place, "imageinfo": [info]}


def in_json(value: object, *, status: int = 200) -> Answer:
    """Answer in JSON."""
    return Answer(status=status, body=json.dumps(value).encode(), headers={"Content-Type": "application/json"})

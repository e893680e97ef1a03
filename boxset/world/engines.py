"""Two search engines of the drawn world as a meta-search of one's own meets them: Bing's page of pictures and Flickr's API."""

import html
import json

from boxset.world.drawn import Hit
from boxset.world.http import Answer, Request
from boxset.world.search import asked_for, engine_page, in_json, thumbnail


def bing(request: Request) -> Answer:
    """Answer with a page of `count` pictures from place `first`, in a markup that searx 1.1.0 (/images/search) and SearXNG (/images/async) both read."""
    asked = asked_for(request)
    size = int(asked.get("count", "28"))
    found = engine_page("bing images", asked.get("q", ""), int(asked.get("first", "1")) // size + 1, size)
    body = f'<!doctype html><html><body><h1>Images</h1><ul class="dgControl_list">{"".join(map(_tile, found))}</ul></body></html>'
    return Answer(body=body.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def _tile(hit: Hit) -> str:
    said = json.dumps({"t": hit.title, "purl": hit.page, "murl": hit.url, "turl": thumbnail(hit)})
    size = f"{hit.width} x {hit.height} \u00b7 jpeg" if hit.width else "jpeg"
    info = f'<div class="img_info hon"><span class="nowrap">{size}</span><div class="lnkw"><a href="{html.escape(hit.page)}">tools.example</a></div></div>'
    name = f'<div class="infnmpt"><a>{html.escape(hit.title)}</a></div>'
    return f'<li><div class="imgpt"><a class="iusc" m="{html.escape(said)}"></a>{info}</div>{name}</li>'


def flickr(request: Request) -> Answer:
    """Answer flickr.photos.search of /services/rest/."""
    asked = asked_for(request)
    size, page = int(asked.get("per_page", "100")), int(asked.get("page", "1"))
    photos = [_photo(hit) for hit in engine_page("flickr", asked.get("text", ""), page, size)]
    return in_json({"photos": {"page": page, "perpage": size, "photo": photos}, "stat": "ok"})


def _photo(hit: Hit) -> dict[str, object]:
    return {
        "id": str(hit.number),
        "owner": "someone",
        "title": hit.title,
        "description": {"_content": ""},
        "ownername": hit.author,
        "url_n": thumbnail(hit),
        "url_o": hit.url,
        "width_o": hit.width,
        "height_o": hit.height,
    }

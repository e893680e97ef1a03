"""Wikimedia Commons: licence and author of every picture; https://commons.wikimedia.org/w/api.php, by its robot policy."""

import html
import re
from typing import Any

import msgspec

from boxset.errors import ServiceError
from boxset.params import Commons as Settings
from boxset.params import Query
from boxset.sources.licences import spdx_of
from boxset.web.suppliers.answers import MOST_TEXT, Answer, Hit, PageError, decoded, each, page_address, plain, web_address
from boxset.web.suppliers.service import MAX_WAIT_S, Reply, Web

COMMONS = "https://commons.wikimedia.org/w/api.php"
WIDTH = 1280  # one of the standard widths that robots are asked to take
PACE_S = 0.21  # fewer than five requests a second
LAG_S = 5  # it answers `maxlag` where its databases are further behind
TRIES = 5
LINK = re.compile(r"<a\b[^>]*?\bhref=[\"']([^\"']+)[\"'][^>]*>(.*?)</a>", re.IGNORECASE | re.DOTALL)
PICTURES = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"}


class _Value(msgspec.Struct):
    value: Any = ""


class _ImageInfo(msgspec.Struct):
    url: str = ""
    thumburl: str = ""
    descriptionurl: str = ""
    width: int = 0
    height: int = 0
    mime: str = ""
    user: str = ""
    extmetadata: dict[str, _Value] | list[Any] = {}


class _Page(msgspec.Struct):
    title: str = ""
    index: int = 0
    imageinfo: list[_ImageInfo] = []


class _Query(msgspec.Struct):
    pages: list[Any] = []


class _Error(msgspec.Struct):
    code: str = ""
    info: str = ""


class _Commons(msgspec.Struct):
    query: _Query | None = None
    error: _Error | None = None
    continue_: dict[str, Any] | None = msgspec.field(name="continue", default=None)


class Commons:
    """Wikimedia Commons, one request at a time; pictures are taken in a standard width."""

    name = "commons"
    takes_queries = True
    list_name = ""

    def __init__(self, settings: Settings, web: Web) -> None:
        self.pages, self._web = settings.pages, web

    def ask(self, query: Query, page: int, before: Answer | None = None) -> Answer:
        """Ask for the next 50, sending back the `continue` that came with those before."""
        search = {"generator": "search", "gsrsearch": f"filetype:bitmap {query.q}", "gsrnamespace": 6, "gsrlimit": 50}
        info = {"prop": "imageinfo", "iiprop": "url|size|mime|user|extmetadata", "iiurlwidth": WIDTH, "maxlag": LAG_S}
        more = before.more if before is not None else {}
        answer = self._asked({"action": "query", "format": "json", "formatversion": 2, **search, **info, **more})
        named = answer.query.pages if answer.query else []
        pages = sorted(each(named, _Page), key=lambda found: found.index)
        return Answer(
            supplier=self.name,
            q=query.q,
            lang=query.lang,
            page=page,
            hits=tuple(_hit(found) for found in pages if found.imageinfo),
            blank=len(named) - len(pages),
            last=not answer.continue_,
            more={name: str(value) for name, value in sorted((answer.continue_ or {}).items())},
        )

    def _asked(self, parameters: dict[str, object]) -> _Commons:
        """Ask; wait as long as it says where it is busy. Raises ServiceError where it stays so, or refuses."""
        for _ in range(TRIES):
            reply = self._web.get(COMMONS, parameters, pace_s=PACE_S)
            wait_s = reply.wait_s(LAG_S)
            answer = _read(reply) if reply.status != 429 else None
            if answer is not None and (answer.error is None or answer.error.code not in ("maxlag", "ratelimited", "readonly")):
                break
            if wait_s > MAX_WAIT_S:
                raise _refusal(f"it asks to wait {wait_s:,.0f} s", "Go on later")
            self._web.sleep(wait_s)
        else:
            raise _refusal("it is busy, and stays so", "Go on later")
        if answer.error is not None:
            do = "Look at the query, or set crawl.commons.on: false"
            raise PageError(f"{answer.error.code}: {plain(answer.error.info)}", where="Wikimedia Commons", do=do)
        return answer


def _refusal(what: str, do: str) -> ServiceError:
    return ServiceError(what, where="Wikimedia Commons", do=do)


def _read(reply: Reply) -> _Commons:
    if reply.status == 403:
        raise _refusal("HTTP 403", "Set project.contact to an address of yours: it wants to know who asks")
    if reply.status != 200:
        kind = ServiceError if reply.status == 401 else PageError
        raise kind(f"HTTP {reply.status}", where="Wikimedia Commons", do="Try again later, or set crawl.commons.on: false")
    answer: _Commons = decoded(reply.body, _Commons, where="Wikimedia Commons", do="Try again later, or set crawl.commons.on: false")
    return answer


def _hit(page: _Page) -> Hit:
    info = page.imageinfo[0]
    fields = info.extmetadata if isinstance(info.extmetadata, dict) else {}  # an empty one comes as a list
    said = {name: str(field.value) for name, field in fields.items()}
    is_scaled = bool(info.thumburl) and info.width > WIDTH
    licences = (spdx_of(plain(said.get(name))) for name in ("LicenseUrl", "License", "LicenseShortName", "UsageTerms"))
    return Hit(
        url=web_address(info.thumburl if is_scaled else info.url),
        landing_url=page_address(info.descriptionurl),
        title=plain(page.title.removeprefix("File:")),
        engine="commons",
        width=WIDTH if is_scaled else info.width,
        height=info.height * WIDTH // info.width if is_scaled else info.height,
        license=next((licence for licence in licences if licence), ""),
        author=plain(said.get("Artist")) or plain(info.user),
        author_url=_page_of(said.get("Artist", "")),
        mime="" if info.mime in PICTURES or not info.mime else plain(info.mime),
    )


def _page_of(artist: str) -> str:
    """Return where the first link with words leads that stands in what is said of an artist; no page that nobody has written."""
    pages = (page_address(html.unescape(href)) for href, words in LINK.findall(artist[:MOST_TEXT]) if plain(words))
    return next((page for page in pages if page and "redlink=1" not in page), "")

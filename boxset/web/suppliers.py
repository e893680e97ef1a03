"""Where a crawl gets addresses: SearXNG, Openverse, Wikimedia Commons, and lists of one's own, behind one small protocol.

These are services that the user configured, not sites met on the way: they are asked directly, not through the guarded fetcher.
"""

import csv
import html
import os
import re
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec
import urllib3

from boxset import __version__
from boxset.endpoints import Endpoints
from boxset.errors import InputError, ParamsError, ServiceError, did_you_mean
from boxset.params import Crawl, Query
from boxset.sources.licences import spdx_of_short, spdx_of_url

OPENVERSE = "https://api.openverse.org/v1/images/"
COMMONS = "https://commons.wikimedia.org/w/api.php"
MAX_ANSWER = 20_000_000


class Hit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One picture that a supplier names. Empty: not stated."""

    url: str
    thumbnail: str = ""
    landing_url: str = ""
    title: str = ""
    engine: str = ""
    width: int = 0
    height: int = 0
    license: str = ""
    author: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page of one query from one supplier, as it came. One line of `results.jsonl`."""

    supplier: str
    q: str
    lang: str
    page: int
    refresh: int = 0
    hits: tuple[Hit, ...] = ()
    last: bool = False  # the supplier says that there are no more
    unresponsive: tuple[tuple[str, str], ...] = ()  # engine and why


class Supplier(Protocol):
    """Answers a query page by page, from page 1."""

    name: str
    pages: int

    def ask(self, query: Query, page: int) -> Answer:
        """Return one page. Raises ServiceError where the service does not answer, naming the setting to change."""
        ...


def suppliers_of(settings: Crawl, endpoints: Endpoints, *, contact: str, category: str) -> list[Supplier]:
    """Return the suppliers that are on, in a fixed order."""
    web = _Web(endpoints, contact)
    found: list[Supplier] = []
    if settings.url_lists:
        found.append(UrlLists(settings.url_lists, category))
    if settings.searxng.on:
        found.append(Searxng(settings, web))
    if settings.openverse.on:
        found.append(Openverse(settings, web))
    if settings.commons.on:
        found.append(Commons(settings, web))
    return found


class _Web:
    """JSON from configured services."""

    def __init__(self, endpoints: Endpoints, contact: str) -> None:
        self._endpoints = endpoints
        self._agent = f"Boxset/{__version__} (training-set builder; contact: {contact or 'none'})"
        retry = urllib3.Retry(2, status_forcelist=[502, 503, 504], backoff_factor=0.3, raise_on_status=False, respect_retry_after_header=True)
        self._pools = urllib3.PoolManager(timeout=urllib3.Timeout(connect=10, read=60), retries=retry)

    def get(self, address: str, parameters: dict[str, Any], headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Return status and body. Raises ServiceError where nothing answers."""
        url, more = self._endpoints.connect(f"{address}?{urlencode(parameters)}" if parameters else address)
        sent = {"User-Agent": self._agent, "Accept": "application/json", "Accept-Language": "en", **(headers or {}), **more}
        try:
            answer = self._pools.request("GET", url, headers=sent, preload_content=False)
            body: bytes = answer.read(MAX_ANSWER)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as err:
            raise ServiceError(f"does not answer ({type(err).__name__})", where=address) from err
        return answer.status, body


def _decoded(body: bytes, as_type: Any, where: str) -> Any:
    try:
        return msgspec.json.decode(body, type=as_type, strict=False)
    except msgspec.MsgspecError as err:
        raise ServiceError(
            f"its answer is not what was expected: {err}", where=where, do="Check that this is the address of the service itself"
        ) from err


class _Result(msgspec.Struct):
    url: str | None = None
    img_src: str | None = None
    thumbnail_src: str | None = None
    thumbnail: str | None = None
    title: str | None = None
    resolution: str | None = None
    engine: str | None = None
    author: str | None = None
    template: str | None = None


class _Results(msgspec.Struct):
    results: list[_Result]
    unresponsive_engines: list[Any] = []


class _Engine(msgspec.Struct):
    name: str
    enabled: bool = True
    categories: list[str] = []


class _Config(msgspec.Struct):
    engines: list[_Engine]


class Searxng:
    """A SearXNG instance of one's own; its JSON format must be on and its limiter off (docs/searxng.md)."""

    name = "searxng"

    def __init__(self, settings: Crawl, web: _Web) -> None:
        self.pages, self._settings, self._web = settings.searxng.pages, settings.searxng, web
        self._base = settings.searxng.url.rstrip("/")
        self._checked = False

    def ask(self, query: Query, page: int) -> Answer:
        """Ask the instance; engines that did not answer are named in the answer and are no end of the results."""
        self._check_engines()
        chosen = {"engines": ",".join(self._settings.engines)} if self._settings.engines else {"categories": "images"}
        parameters = {"q": query.q, "language": query.lang, "pageno": page, "safesearch": self._settings.safesearch, "format": "json", **chosen}
        status, body = self._asked("/search", parameters)
        if status != 200:
            raise self._refused(status)
        return read_searxng(body, query, page, where=f"{self._base}/search")

    def _asked(self, path: str, parameters: dict[str, Any]) -> tuple[int, bytes]:
        try:
            return self._web.get(f"{self._base}{path}", parameters)
        except ServiceError as err:
            do = "Start it (`docker compose up -d searxng`), correct crawl.searxng.url, or set crawl.searxng.on: false"
            raise ServiceError(err.what, where=f"SearXNG at {self._base}", do=do) from err

    def _refused(self, status: int) -> ServiceError:
        where = f"SearXNG at {self._base}"
        if status == 403:
            return ServiceError("HTTP 403: its JSON format is off", where=where, do="Set `search: {formats: [html, json]}` in its settings.yml")
        if status == 429:
            do = "Set `server: {limiter: false}` in its settings.yml, or let this machine pass in limiter.toml"
            return ServiceError("HTTP 429: its limiter allows 4 JSON requests an hour", where=where, do=do)
        return ServiceError(f"HTTP {status}", where=where, do="Look at its log; docs/searxng.md has settings that work")

    def _check_engines(self) -> None:
        """Engine names are checked first: an unknown one would give an empty answer without an error."""
        if self._checked or not self._settings.engines:
            return
        status, body = self._asked("/config", {})
        if status == 200:
            known = {engine.name for engine in _decoded(body, _Config, f"{self._base}/config").engines}
            for name in self._settings.engines:
                if name not in known:
                    raise ParamsError(f"crawl.searxng.engines: the instance has no engine {name!r}{did_you_mean(name, known)}", where="params.yaml")
        self._checked = True


def read_searxng(body: bytes, query: Query, page: int, *, where: str) -> Answer:
    """Read a SearXNG or searx answer."""
    results = _decoded(body, _Results, where)
    hits = []
    for result in results.results:
        if result.template not in (None, "images.html"):
            continue
        width, height = _resolution(result.resolution)
        thumbnail = _absolute(result.thumbnail_src or result.thumbnail)
        url = _absolute(result.img_src)
        if url or thumbnail:
            hits.append(
                Hit(
                    url=url,
                    thumbnail=thumbnail,
                    landing_url=_absolute(result.url),
                    title=plain(result.title),
                    engine=result.engine or "",
                    width=width,
                    height=height,
                    author=plain(result.author),
                )
            )
    unresponsive = tuple(
        (str(item[0]), str(item[1]) if len(item) > 1 else "") for item in results.unresponsive_engines if isinstance(item, list) and item
    )
    last = not results.results and not unresponsive
    return Answer(supplier="searxng", q=query.q, lang=query.lang, page=page, hits=tuple(hits), last=last, unresponsive=unresponsive)


def _absolute(url: str | None) -> str:
    text = (url or "").strip()
    text = f"https:{text}" if text.startswith("//") else text
    return text if text.startswith(("http://", "https://")) else ""


def _resolution(text: str | None) -> tuple[int, int]:
    found = re.search(r"(\d+)\s*[x×X*]\s*(\d+)", text or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)


def plain(text: str | None) -> str:
    """Return text without markup and control characters, at most 300 characters."""
    bare = html.unescape(re.sub(r"<[^>]*>", " ", text or ""))
    return " ".join("".join(c if c.isprintable() else " " for c in bare if not "\ue000" <= c <= "\uf8ff").split())[:300]


class _Work(msgspec.Struct):
    url: str | None = None
    thumbnail: str | None = None
    foreign_landing_url: str | None = None
    title: str | None = None
    creator: str | None = None
    license: str | None = None
    license_version: str | None = None
    license_url: str | None = None
    width: int | None = None
    height: int | None = None
    source: str | None = None


class _Works(msgspec.Struct):
    results: list[_Work]
    page_count: int = 0


class Openverse:
    """Openverse: states licence and author; without a token 20 works a page and 200 requests a day."""

    name = "openverse"

    def __init__(self, settings: Crawl, web: _Web) -> None:
        self.pages, self._settings, self._web = settings.openverse.pages, settings.openverse, web
        token = os.environ.get("OPENVERSE_TOKEN", "")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, query: Query, page: int) -> Answer:
        """Ask for one page of 20."""
        parameters = {"q": query.q[:200], "page": page, "page_size": 20, "license": ",".join(self._settings.licences)}
        status, body = self._web.get(OPENVERSE, parameters, self._headers)
        if status in (400, 404) and page > 1:
            return Answer(supplier=self.name, q=query.q, lang=query.lang, page=page, last=True)
        if status != 200:
            hint = {
                401: "Its token is wrong: export OPENVERSE_TOKEN",
                429: "Its daily limit is used up: go on tomorrow, or register and export OPENVERSE_TOKEN",
            }
            raise ServiceError(f"HTTP {status}", where="Openverse", do=hint.get(status, "Try again later, or set crawl.openverse.on: false"))
        works = _decoded(body, _Works, OPENVERSE)
        return Answer(
            supplier=self.name,
            q=query.q,
            lang=query.lang,
            page=page,
            hits=tuple(_openverse_hit(w) for w in works.results if w.url),
            last=page >= works.page_count,
        )


def _openverse_hit(work: _Work) -> Hit:
    return Hit(
        url=_absolute(work.url),
        thumbnail=_absolute(work.thumbnail),
        landing_url=_absolute(work.foreign_landing_url),
        title=plain(work.title),
        engine=work.source or "",
        width=work.width or 0,
        height=work.height or 0,
        license=spdx_of_short(work.license, work.license_version) or spdx_of_url(work.license_url),
        author=plain(work.creator),
    )


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
    extmetadata: dict[str, _Value] = {}


class _Page(msgspec.Struct):
    title: str = ""
    index: int = 0
    imageinfo: list[_ImageInfo] = []


class _Query(msgspec.Struct):
    pages: list[_Page] = []


class _Commons(msgspec.Struct):
    query: _Query | None = None
    continue_: dict[str, Any] | None = msgspec.field(name="continue", default=None)


class Commons:
    """Wikimedia Commons: states licence and author; pictures are taken in a standard width, as it asks robots to."""

    name = "commons"
    width = 1280

    def __init__(self, settings: Crawl, web: _Web) -> None:
        self.pages, self._web = settings.commons.pages, web

    def ask(self, query: Query, page: int) -> Answer:
        """Ask for one page of 50, one request at a time."""
        search = {"generator": "search", "gsrsearch": f"filetype:bitmap {query.q}", "gsrnamespace": 6, "gsrlimit": 50, "gsroffset": (page - 1) * 50}
        info = {"prop": "imageinfo", "iiprop": "url|size|mime|user|extmetadata", "iiurlwidth": self.width}
        status, body = self._web.get(COMMONS, {"action": "query", "format": "json", "formatversion": 2, **search, **info})
        if status != 200:
            raise ServiceError(
                f"HTTP {status}", where="Wikimedia Commons", do="Set project.contact to an address of yours, or crawl.commons.on: false"
            )
        answer = _decoded(body, _Commons, COMMONS)
        pages = sorted(answer.query.pages if answer.query else [], key=lambda found: found.index)
        hits = tuple(_commons_hit(found) for found in pages if found.imageinfo)
        return Answer(supplier=self.name, q=query.q, lang=query.lang, page=page, hits=hits, last=answer.continue_ is None)


def _commons_hit(page: _Page) -> Hit:
    info = page.imageinfo[0]
    said = {name: str(field.value) for name, field in info.extmetadata.items()}
    scaled = bool(info.thumburl) and info.width > Commons.width
    return Hit(
        url=info.thumburl if scaled else info.url,
        landing_url=info.descriptionurl,
        title=plain(page.title.removeprefix("File:")),
        engine="commons",
        width=Commons.width if scaled else info.width,
        height=info.height * Commons.width // info.width if scaled else info.height,
        license=spdx_of_url(said.get("LicenseUrl")) or spdx_of_short(said.get("License")),
        author=plain(said.get("Artist")) or info.user,
    )


class UrlLists:
    """CSV files of addresses from anyone: url, category, and licence, author, title, landing_url where known."""

    name = "url_lists"
    pages = 1

    def __init__(self, lists: tuple[str, ...], category: str) -> None:
        self._lists, self._category = lists, category

    def ask(self, query: Query, page: int) -> Answer:  # noqa: ARG002 - the lists know no queries
        """Return all addresses of the category, in the order of the files."""
        return Answer(supplier=self.name, q="", lang="", page=1, hits=tuple(hit for name in self._lists for hit in self._hits(Path(name))), last=True)

    def _hits(self, path: Path) -> list[Hit]:
        try:
            rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error) as err:
            raise InputError(f"cannot read: {err}", where=str(path), do="Correct crawl.url_lists in params.yaml") from err
        if rows and not {"url", "category"} <= rows[0].keys():
            raise InputError(f"its columns are {', '.join(rows[0])}", where=f"{path}:1", do="It needs at least url and category")
        return [_listed(row, path.stem) for row in rows if (row.get("category") or "").strip() == self._category]


def _listed(row: dict[str, str | None], name: str) -> Hit:
    licence = (row.get("licence") or row.get("license") or "").strip()
    return Hit(
        url=(row.get("url") or "").strip(),
        landing_url=_absolute(row.get("landing_url")),
        title=plain(row.get("title")),
        engine=name,
        license=spdx_of_url(licence) or spdx_of_short(licence) or licence,
        author=plain(row.get("author")),
    )

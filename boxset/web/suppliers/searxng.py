"""SearXNG, and the older searx: many search engines behind one address, without a word on licences."""

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from boxset.errors import ParamsError, ServiceError, did_you_mean
from boxset.params import Query
from boxset.params import Searxng as Settings
from boxset.web.suppliers.answers import Answer, Hit, PageError, decoded, each, page_address, plain, web_address
from boxset.web.suppliers.service import Reply, Web

ADDRESS = "Set crawl.searxng.url to the base address of your instance, as the browser shows it without /search"


class _Result(msgspec.Struct):
    url: str | None = None
    img_src: str | None = None
    thumbnail_src: str | None = None
    thumbnail: str | None = None
    title: str | None = None
    resolution: str | None = None
    engine: str | None = None
    engines: list[str] | None = None
    author: str | None = None
    template: str | None = None


class _Results(msgspec.Struct):
    results: list[Any]
    unresponsive_engines: Any = None


class _Engine(msgspec.Struct):
    name: str
    enabled: bool = True
    categories: list[str] = []


class _Config(msgspec.Struct):
    engines: list[_Engine]


class _Fault(msgspec.Struct):
    error: str


class Searxng:
    """A SearXNG instance of one's own; its JSON format must be on and its limiter off (docs/searxng.md)."""

    name = "searxng"
    takes_queries = True
    list_name = ""

    def __init__(self, settings: Settings, web: Web) -> None:
        self.pages, self._settings, self._web = settings.pages, settings, web
        self._base = settings.url.rstrip("/")
        self._where = f"SearXNG at {self._base}"
        self._engines: tuple[str, ...] | None = None

    def ask(self, query: Query, page: int, before: Answer | None = None) -> Answer:  # noqa: ARG002 - it counts pages
        """Ask the instance; engines that did not answer are named in the answer and are no end of the results."""
        if self._engines is None:
            self._engines = self._known_engines()
        chosen = {"engines": ",".join(self._settings.engines)} if self._settings.engines else {"categories": "images"}
        parameters = {"q": query.q, "language": query.lang, "pageno": page, "safesearch": self._settings.safesearch, "format": "json", **chosen}
        reply = self._asked("/search", parameters)
        if reply.status != 200:
            raise self._refused(reply, query)
        return read_searxng(reply.body, query, page, where=self._where, asked=self._engines)

    def _asked(self, path: str, parameters: dict[str, Any]) -> Reply:
        try:
            return self._web.get(f"{self._base}{path}", parameters, follow=False)
        except PageError:
            raise
        except ServiceError as err:
            do = "Start it (`docker compose up -d searxng`), correct crawl.searxng.url, or set crawl.searxng.on: false"
            raise ServiceError(err.what, where=self._where, do=do) from err

    def _refused(self, reply: Reply, query: Query) -> ServiceError:
        if 300 <= reply.status < 400:
            return self._moved(reply)
        if reply.status == 400:
            do = f"Correct the query {query.q!r} (lang: {query.lang or 'empty'}) in params.yaml; a language is spelt as `fr`, `pt-BR` or `all`"
            return PageError(f"HTTP 400: {_fault_of(reply.body)}", where=self._where, do=do)
        if reply.status == 403:
            do = "Set `search: {formats: [html, json]}` in its settings.yml"
            return ServiceError("HTTP 403: its JSON format is off", where=self._where, do=do)
        if reply.status == 429:
            do = "Set `server: {limiter: false}` in its settings.yml, or let this machine pass in limiter.toml"
            return ServiceError("HTTP 429: its limiter keeps programs out", where=self._where, do=do)
        if reply.status in (404, 405):
            return ServiceError(f"HTTP {reply.status}: no SearXNG answers there", where=self._where, do=ADDRESS)
        kind = ServiceError if reply.status == 401 else PageError
        return kind(f"HTTP {reply.status}", where=self._where, do="Look at its log; docs/searxng.md has settings that work")

    def _moved(self, reply: Reply) -> ServiceError:
        try:
            target = urlsplit(reply.headers.get("location", ""))
        except ValueError:
            target = urlsplit("")
        base = f"{target.scheme}://{target.netloc}{target.path.removesuffix('/').removesuffix('/search')}" if target.scheme in ("http", "https") and target.netloc else ""
        do = f"Set crawl.searxng.url: {base}" if base else ADDRESS
        return ServiceError(f"HTTP {reply.status}: it sends to another address", where=self._where, do=do)

    def _known_engines(self) -> tuple[str, ...]:
        """Return the engines that will be asked. Raises ParamsError for a name that the instance does not know: it would answer nothing, without an error.

        An instance that hides its /config is not checked; then only the engines of the parameters are known.
        """
        reply = self._asked("/config", {})
        try:
            engines = msgspec.json.decode(reply.body, type=_Config).engines if reply.status == 200 else None
        except (ValueError, RecursionError):
            engines = None
        if engines is None:
            return self._settings.engines
        known = {engine.name for engine in engines}
        for name in self._settings.engines:
            if name not in known:
                raise ParamsError(f"crawl.searxng.engines: the instance has no engine {name!r}{did_you_mean(name, known)}", where="params.yaml")
        return self._settings.engines or tuple(sorted(plain(engine.name) for engine in engines if engine.enabled and "images" in engine.categories))


def _fault_of(body: bytes) -> str:
    """Return what it says of a request that it does not understand."""
    try:
        return plain(msgspec.json.decode(body, type=_Fault).error)
    except (ValueError, RecursionError):
        return "it does not understand the request"


def read_searxng(body: bytes, query: Query, page: int, *, where: str, asked: tuple[str, ...] = ()) -> Answer:
    """Read a SearXNG or searx answer; `asked` are the engines that were asked, where they are known."""
    results: _Results = decoded(body, _Results, where=where, do=ADDRESS)
    readable = each(results.results, _Result)
    found = [_hit(result) for result in readable if result.template in (None, "images.html")]
    hits = tuple(hit for hit in found if hit.url or hit.thumbnail)
    unresponsive = _unresponsive(results.unresponsive_engines)
    return Answer(
        supplier="searxng",
        q=query.q,
        lang=query.lang,
        page=page,
        hits=hits,
        last=not hits and not unresponsive,
        asked=asked,
        unresponsive=unresponsive,
        blank=len(found) - len(hits) + len(results.results) - len(readable),
    )


def _unresponsive(said: Any) -> tuple[tuple[str, str], ...]:
    silent = [item for item in said if isinstance(item, list) and item] if isinstance(said, list) else []
    return tuple((plain(str(item[0])), plain(str(item[1])) if len(item) > 1 else "") for item in silent)


def _hit(result: _Result) -> Hit:
    width, height = _resolution(result.resolution)
    return Hit(
        url=web_address(result.img_src),
        thumbnail=web_address(result.thumbnail_src or result.thumbnail),
        landing_url=page_address(result.url),
        title=plain(result.title),
        engine=plain(result.engine),
        also=tuple(sorted({plain(name) for name in result.engines or ()} - {plain(result.engine), ""})),
        width=width,
        height=height,
        author=plain(result.author),
    )


def _resolution(text: str | None) -> tuple[int, int]:
    found = re.search(r"(?<!\d)(\d{1,6})\s*[x×X*]\s*(\d{1,6})(?!\d)", text or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)

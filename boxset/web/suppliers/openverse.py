"""Openverse: licence and author of every picture; https://api.openverse.org."""

import os
from typing import Any

import msgspec

from boxset.errors import ServiceError
from boxset.params import Openverse as Settings
from boxset.params import Query
from boxset.sources.licences import spdx_of_short, spdx_of_url
from boxset.web.suppliers.answers import Answer, Hit, PageError, decoded, each, page_address, plain, web_address
from boxset.web.suppliers.service import MAX_WAIT_S, Reply, Web

OPENVERSE = "https://api.openverse.org/v1/images/"
PAGE_SIZE = 20  # anonymous requests for more are refused
MINUTE_S = 60.0
TRIES = 3


class _Work(msgspec.Struct):
    url: str | None = None
    thumbnail: str | None = None
    foreign_landing_url: str | None = None
    title: str | None = None
    creator: str | None = None
    creator_url: str | None = None
    license: str | None = None
    license_version: str | None = None
    license_url: str | None = None
    width: int | None = None
    height: int | None = None
    source: str | None = None


class _Works(msgspec.Struct):
    results: list[Any]
    page_count: Any = 0


class Openverse:
    """Openverse; without a token 20 requests a minute and 200 a day, which its headers state."""

    name = "openverse"
    takes_queries = True
    list_name = ""

    def __init__(self, settings: Settings, web: Web) -> None:
        self.pages, self._settings, self._web = settings.pages, settings, web
        token = os.environ.get("OPENVERSE_TOKEN", "").strip()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._used_up = ""  # the limit that leaves nothing for today, as `200/day`

    def ask(self, query: Query, page: int, before: Answer | None = None) -> Answer:  # noqa: ARG002 - it counts pages
        """Ask for one page of 20."""
        reply = self._asked({"q": query.q[:200], "page": page, "page_size": PAGE_SIZE, "license": ",".join(self._settings.licences)})
        if reply.status in (400, 404) and page > 1:
            return Answer(supplier=self.name, q=query.q, lang=query.lang, page=page, last=True)
        if reply.status != 200:
            raise self._refused(reply)
        works: _Works = decoded(reply.body, _Works, where="Openverse", do="Try again later, or set crawl.openverse.on: false")
        hits = tuple(_hit(work) for work in each(works.results, _Work) if work.url)
        return Answer(
            supplier=self.name,
            q=query.q,
            lang=query.lang,
            page=page,
            hits=hits,
            last=isinstance(works.page_count, int) and page >= works.page_count,
            blank=len(works.results) - len(hits),
        )

    def _asked(self, parameters: dict[str, object]) -> Reply:
        """Ask; wait where the limit of a minute is reached. Raises ServiceError where that of a day is."""
        for _ in range(TRIES):
            if self._used_up:
                raise self._over()
            reply = self._web.get(OPENVERSE, parameters, headers=self._headers)
            self._used_up = _used_up(reply)
            wait_s = reply.wait_s(MINUTE_S)
            if reply.status != 429 or wait_s > MAX_WAIT_S or self._used_up:
                break
            self._web.sleep(wait_s)
        if reply.status == 429:
            raise self._over()
        return reply

    def _over(self) -> ServiceError:
        hint = "or register and export OPENVERSE_TOKEN" if not self._headers else "or set crawl.openverse.on: false"
        limit = f"its limit of {self._used_up} is used up" if self._used_up else "HTTP 429: its limit is used up"
        return ServiceError(limit, where="Openverse", do=f"Go on tomorrow, {hint}")

    def _refused(self, reply: Reply) -> ServiceError:
        if reply.status == 401 and self._headers:
            return ServiceError("HTTP 401: the token is wrong or has ended", where="Openverse", do="Export a new OPENVERSE_TOKEN, or unset it")
        if reply.status == 401:
            do = "Lower crawl.openverse.pages, or register and export OPENVERSE_TOKEN"
            return ServiceError("HTTP 401: more than it gives without an account", where="Openverse", do=do)
        kind = ServiceError if reply.status == 403 else PageError
        return kind(f"HTTP {reply.status}", where="Openverse", do="Try again later, or set crawl.openverse.on: false")


def _used_up(reply: Reply) -> str:
    """Return the limit of a day or longer that leaves no further request, or an empty string."""
    for name, left in reply.headers.items():
        limit = reply.headers.get(name.replace("-available-", "-limit-"), "")
        if name.startswith("x-ratelimit-available-") and left.strip() == "0" and limit.endswith(("day", "month")):
            return limit
    return ""


def _hit(work: _Work) -> Hit:
    return Hit(
        url=web_address(work.url),
        thumbnail=web_address(work.thumbnail),
        landing_url=page_address(work.foreign_landing_url),
        title=plain(work.title),
        engine=plain(work.source),
        width=work.width or 0,
        height=work.height or 0,
        license=spdx_of_short(work.license, work.license_version) or spdx_of_url(work.license_url),
        author=plain(work.creator),
        author_url=page_address(work.creator_url),
    )

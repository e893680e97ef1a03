"""Where a crawl gets addresses: SearXNG, Openverse, Wikimedia Commons, and lists of one's own, behind one small protocol."""

from boxset.endpoints import Endpoints
from boxset.params import Crawl
from boxset.web.suppliers.answers import Answer, Hit, PageError, Supplier
from boxset.web.suppliers.commons import Commons
from boxset.web.suppliers.openverse import Openverse
from boxset.web.suppliers.searxng import Searxng, read_searxng
from boxset.web.suppliers.service import Web
from boxset.web.suppliers.url_lists import UrlList, as_listed

__all__ = ["Answer", "Commons", "Hit", "Openverse", "PageError", "Searxng", "Supplier", "UrlList", "Web", "as_listed", "read_searxng", "suppliers_of"]


def suppliers_of(settings: Crawl, endpoints: Endpoints, *, contact: str, category: str) -> list[Supplier]:
    """Return the suppliers that are on; those that state licences first, as an address that several name counts for the first. Nothing is asked yet."""
    web = Web(endpoints, contact)
    found: list[Supplier] = [UrlList(name, category) for name in dict.fromkeys(settings.url_lists)]
    if settings.openverse.on:
        found.append(Openverse(settings.openverse, web))
    if settings.commons.on:
        found.append(Commons(settings.commons, web))
    if settings.searxng.on:
        found.append(Searxng(settings.searxng, web))
    return found

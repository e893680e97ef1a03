"""Which pictures are kept out for a licence that somebody states of them: a source, a supplier of a crawl, or a list of one's own."""

from collections.abc import Iterable
from pathlib import Path

from boxset.dataset.photos import flickr_photo
from boxset.dataset.reasons import Reason
from boxset.dataset.records import UNSTATED, ImageRow, Refused, read_refused, united_refused
from boxset.files import read_jsonl


def refused_in(data: Path) -> Refused:
    """Read what any source or crawl under a project's `data/` refuses."""
    crawls = (refused_by(read_jsonl(path, ImageRow)) for path in sorted(data.glob("crawl/*/images.jsonl")))
    return united_refused([read_refused(sorted(data.glob("extract/*/refused.json"))), *crawls])


def refused_by(rows: Iterable[ImageRow]) -> Refused:
    """Return what a crawl refuses for a licence; not what it refuses because nobody states one."""
    urls = tuple(row.url for row in rows if row.outcome == Reason.LICENCE and row.detail != UNSTATED)
    return Refused(urls=urls, flickr_ids=tuple(photo for url in urls if (photo := flickr_photo(url))))

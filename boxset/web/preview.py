"""Two dozen pictures of every source and query side by side, before anything is decided: one HTML page, no network needed to read it."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path

from PIL import Image

from boxset.dataset.reasons import Refusal
from boxset.endpoints import Endpoints
from boxset.errors import BoxsetError
from boxset.params import Params, queries_of, terms_of
from boxset.sources import tables
from boxset.sources.classes import Vocabulary
from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy
from boxset.web.pictures import Journal, Shelf, Wanted, fetch_all
from boxset.web.suppliers import suppliers_of

THUMB = 180
STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;color:#222;background:#fafafa}h2{margin:2rem 0 .5rem;font-size:1.05rem}"
    ".row{display:flex;flex-wrap:wrap;gap:6px}.row img{height:120px;border-radius:4px;background:#ddd}small{color:#666;font-weight:400}"
    "@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}small{color:#999}}"
)


@dataclass(frozen=True)
class Row:
    """One row of the page: where pictures come from, and their files; `said` tells why there are none."""

    title: str
    pictures: tuple[Path, ...]
    said: str = ""


def preview(category: str, params: Params, out: Path, *, endpoints: Endpoints, most: int) -> Path:
    """Fetch a few pictures of each source and query and write the page. What fails says so in its row."""
    shelf = Shelf(Path(".boxset/preview") / category)
    policy = FetchPolicy(connections=16, per_host=4, pace_s=0.0, tries=2)
    with (
        Journal(Path(".boxset/journal") / f"preview-{category}.jsonl") as journal,
        Fetcher(endpoints, contact=params.project.contact, policy=policy) as fetcher,
    ):

        def get(item: Wanted) -> bytes | Refusal:
            answer = fetcher.get(item.url)
            return answer.body if isinstance(answer, Fetched) else answer

        rows = []
        for title, urls, said in [*_from_sources(category, params, most), *_from_queries(category, params, endpoints, most)]:
            wanted = [Wanted(key=url, url=url) for url in urls]
            outcomes = fetch_all(wanted, get, shelf=shelf, journal=journal, elsewhere={}, connections=16)
            files = tuple(shelf.images / outcome.stored.file_name for outcome in outcomes if outcome.stored is not None)
            rows.append(Row(title, files[:most], said or ("" if files else "no picture could be had")))
    page = out / f"{category}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(_page(category, rows), encoding="utf-8")
    return page


def _from_sources(category: str, params: Params, most: int) -> Iterable[tuple[str, list[str], str]]:
    for source in params.sources:
        index = Path("data/index") / source
        terms = terms_of(params.categories[category], source)
        if not terms or not (index / "about.json").exists():
            continue
        try:
            vocabulary = Vocabulary.of(index)
            ids = sorted({c for term in terms for c in vocabulary.find(term, where=f"categories.{category}.classes.{source}")})
            images = sorted(set(tables.read_boxes(index, ids).column("image_id").to_pylist()), key=lambda i: sha256(i.encode()).hexdigest())[:most]
            urls = [row["url"] or "" for row in tables.read_images(index, images).values()]
        except BoxsetError as err:
            yield f"{source}", [], str(err)
            continue
        web = [url for url in urls if url.startswith("http")]
        yield f"{source}: {', '.join(term.name for term in terms)}", web, "" if web else "its pictures lie in an archive; `dvc repro` takes them out"


def _from_queries(category: str, params: Params, endpoints: Endpoints, most: int) -> Iterable[tuple[str, list[str], str]]:
    for supplier in suppliers_of(params.crawl, endpoints, contact=params.project.contact, category=category):
        for query in queries_of(params.categories[category]):
            title = f"{supplier.name}: {query.q}" + (f" ({query.lang})" if query.lang != "all" else "")
            try:
                hits = supplier.ask(query, 1).hits
            except BoxsetError as err:
                yield title, [], str(err)
                break
            yield title, [hit.url for hit in hits if hit.url][:most], ""


def _page(category: str, rows: Sequence[Row]) -> str:
    parts = "".join(
        f"<h2>{escape(row.title)} <small>{escape(row.said) or f'{len(row.pictures)} pictures'}</small></h2><div class=row>{''.join(map(_image, row.pictures))}</div>"
        for row in rows
    )
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(category)}: preview</title><style>{STYLE}</style><h1>{escape(category)}</h1>{parts}</html>"


def _image(path: Path) -> str:
    with Image.open(path) as opened:
        small = opened.convert("RGB")
    small.thumbnail((THUMB * 2, THUMB))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=72)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}">'

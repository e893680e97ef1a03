"""The crawl of one category: from its queries to good pictures, in two frozen steps, decided in rank order.

What the suppliers answered stands in `results.jsonl`; what became of every address in `images.jsonl`. The same answers give the same
pictures whatever the timing: addresses are fetched ahead, but judged one after the other, until enough are kept.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from boxset.dataset.reasons import Reason, Refusal
from boxset.dataset.records import KEPT, ImageRow, Picture, outcome_counts
from boxset.dataset.similar import same_picture
from boxset.endpoints import Endpoints
from boxset.errors import ServiceError
from boxset.files import read_jsonl, write_jsonl
from boxset.images.look import looks
from boxset.params import Crawl, Query
from boxset.resolve import CrawlOrder
from boxset.sources.licences import allowed
from boxset.web.addresses import dedup_key, site_of, vetted
from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy
from boxset.web.pictures import Journal, Outcome, Shelf, Stored, Wanted, fetch_all, keep_only, pictures_elsewhere, stored_elsewhere
from boxset.web.suppliers import Answer, Hit, Supplier, suppliers_of

CONFUSER_EVERY = 10  # one address of a confuser's search after so many others
THUMBNAIL_SHARE = 0.6  # of the size that was promised
JUDGED = {
    Reason.TOO_SMALL, Reason.ODD_SHAPE, Reason.ANIMATED, Reason.PLACEHOLDER, Reason.DRAWING, Reason.SCREENSHOT, Reason.CATALOGUE,
    Reason.THUMBNAIL, Reason.DUPLICATE, Reason.SITE_LIMIT, Reason.REJECT_WORD, Reason.LICENCE, Reason.DUPLICATE_ADDRESS,
}  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """An address to be tried, and how it was found."""

    url: str
    hit: Hit
    query: str
    supplier: str
    rank: int  # its place in the order of trying, from 1


@dataclass
class Kept:
    """The pictures kept so far, for telling duplicates and full sites."""

    near_bits: int
    pictures: list[Picture] = field(default_factory=list)
    sites: dict[str, int] = field(default_factory=dict)
    _hashes: Any = field(default_factory=lambda: np.empty(1024, dtype=np.uint64))

    def add(self, picture: Picture) -> None:
        """Keep one more."""
        if len(self.pictures) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._hashes[len(self.pictures)] = int(picture.phash, 16)
        self.pictures.append(picture)
        self.sites[site_of(picture.url)] = self.sites.get(site_of(picture.url), 0) + 1

    def twin(self, picture: Picture) -> Picture | None:
        """Return a kept picture that this one is a copy of."""
        near = np.bitwise_count(self._hashes[: len(self.pictures)] ^ np.uint64(int(picture.phash, 16))) <= self.near_bits
        return next((self.pictures[i] for i in np.flatnonzero(near) if same_picture(self.pictures[i], picture, self.near_bits)), None)


def crawl(order: CrawlOrder, settings: Crawl, out: Path, *, endpoints: Endpoints, contact: str, version: int) -> dict[str, Any]:  # noqa: ARG001 - part of every stage's call
    """Write `results.jsonl`, `images.jsonl` and `images/`; return the metrics.

    Asks suppliers only what is not answered yet, fetches only what is not known yet. Raises ServiceError where no supplier answers.
    """
    answers = _Answers(order, settings, out, suppliers_of(settings, endpoints, contact=contact, category=order.category))
    journal_path = Path(".boxset/journal") / f"crawl-{order.category}.{settings.retry}.jsonl"
    shelf = Shelf(Path(".boxset/shelf") / order.category, look=looks, also=out / "images", twins=pictures_elsewhere(out.parent.parent, out))
    with Journal(journal_path) as journal, Fetcher(endpoints, contact=contact, policy=_policy(settings)) as fetcher:
        _remember(journal, out, retry=settings.retry)
        rows = _rows(order, settings, answers, journal=journal, fetcher=fetcher, shelf=shelf, elsewhere=stored_elsewhere(out.parent.parent, out))
    _settle(rows, shelf, out)
    write_jsonl(out / "results.jsonl", answers.known.values())
    write_jsonl(out / "images.jsonl", rows)
    return _metrics(order, answers, rows)


def _policy(settings: Crawl) -> FetchPolicy:
    return FetchPolicy(
        max_bytes=settings.max_bytes,
        timeout_s=settings.timeout_s,
        connections=settings.connections,
        per_host=settings.per_host,
        pace_s=settings.pace_s,
        robots=settings.robots,
    )


class _Answers:
    """What the suppliers said, page by page; a page that is known is not asked for again."""

    def __init__(self, order: CrawlOrder, settings: Crawl, out: Path, suppliers: list[Supplier]) -> None:
        self._order, self._refresh, self._suppliers = order, settings.refresh, suppliers
        self._journal = Path(".boxset/journal") / f"results-{order.category}.{settings.refresh}.jsonl"
        kept = [*read_jsonl(out / "results.jsonl", Answer), *read_jsonl(self._journal, Answer)]
        self.known = {_key(answer): answer for answer in kept if self._is_wanted(answer)}
        self.failed: dict[str, ServiceError] = {}
        self._silent: set[str] = set()
        self.answered: set[str] = {answer.supplier for answer in self.known.values()}

    def _is_wanted(self, answer: Answer) -> bool:
        queries = {(query.q, query.lang) for query in self._queries()}
        return answer.supplier == "url_lists" or (answer.supplier in {s.name for s in self._suppliers} and (answer.q, answer.lang) in queries)

    def _queries(self) -> list[Query]:
        return [*self._order.queries, *(Query(q=confuser) for confuser in self._order.confusers)]

    def rounds(self) -> Iterator[list[Answer]]:
        """Yield, page by page, the answers of every supplier and query that has not come to its end. Earlier refreshes come first."""
        for refresh in range(self._refresh + 1):
            ended: set[tuple[str, str, str]] = set()
            for page in range(1, max((s.pages for s in self._suppliers), default=0) + 1):
                answers = [answer for answer in self._page(page, refresh, ended) if answer is not None]
                if not answers:
                    break
                yield answers
        self._check_any()

    def _page(self, page: int, refresh: int, ended: set[tuple[str, str, str]]) -> Iterator[Answer | None]:
        for supplier in self._suppliers:
            queries = self._queries() if supplier.name != "url_lists" else [Query(q="-", lang="")]
            for query in queries:
                series = (supplier.name, query.q, query.lang)
                if page > supplier.pages or series in ended:
                    continue
                answer = self._one(supplier, query, page, refresh)
                if answer is None or answer.last or (not answer.hits and not answer.unresponsive):
                    ended.add(series)
                yield answer

    def _one(self, supplier: Supplier, query: Query, page: int, refresh: int) -> Answer | None:
        q, lang = ("", "") if supplier.name == "url_lists" else (query.q, query.lang)
        known = self.known.get((supplier.name, q, lang, page, refresh))
        if known is not None or refresh < self._refresh or supplier.name in self.failed:
            return known
        try:
            answer = supplier.ask(query, page)
        except ServiceError as err:
            self.failed[supplier.name] = err
            sys.stdout.write(f"{self._order.category}: warning: {err}\n")
            return None
        answer = Answer(**{name: getattr(answer, name) for name in Answer.__struct_fields__ if name != "refresh"}, refresh=refresh)
        self._note(answer, page)
        return answer

    def _note(self, answer: Answer, page: int) -> None:
        self.known[_key(answer)] = answer
        self.answered.add(answer.supplier)
        import msgspec

        self._journal.parent.mkdir(parents=True, exist_ok=True)
        with self._journal.open("ab") as file:
            file.write(msgspec.json.encode(answer) + b"\n")
        for engine, why in answer.unresponsive:
            if engine not in self._silent:
                self._silent.add(engine)
                sys.stdout.write(f"{self._order.category}: {answer.supplier}: {engine} did not answer ({why}); its results are missing\n")
        if page == 1 and not answer.hits and not answer.unresponsive:
            sys.stdout.write(f"{self._order.category}: warning: {answer.supplier} has nothing for {answer.q!r}\n")

    def _check_any(self) -> None:
        if self.failed and not self.answered:
            raise next(iter(self.failed.values()))


def _key(answer: Answer) -> tuple[str, str, str, int, int]:
    return answer.supplier, answer.q, answer.lang, answer.page, answer.refresh


def _rows(
    order: CrawlOrder, settings: Crawl, answers: _Answers, *, journal: Journal, fetcher: Fetcher, shelf: Shelf, elsewhere: dict[str, Path]
) -> list[ImageRow]:
    """Try addresses in rank order until enough pictures are kept; return a row for each."""
    kept, rows = Kept(settings.near_duplicates), list[ImageRow]()
    if not order.crawl_images:
        return rows
    judge = _Judge(order, settings, kept)

    def get(item: Wanted) -> bytes | Refusal:
        site = site_of(item.url)
        if settings.per_site and kept.sites.get(site, 0) >= settings.per_site:
            return Refusal(Reason.SITE_LIMIT, site)
        answer = fetcher.get(item.url)
        return answer.body if isinstance(answer, Fetched) else answer

    progress = _Progress(order.category, order.crawl_images)
    with progress:
        by_url: dict[str, Candidate] = {}
        wanted = (_noted(by_url, candidate) for candidate in _candidates(order, settings, answers, rows))
        for outcome in fetch_all(wanted, get, shelf=shelf, journal=journal, elsewhere=elsewhere, connections=settings.connections):
            row = judge.row(by_url.pop(outcome.url), outcome)
            rows.append(row)
            if row.picture is not None:
                kept.add(row.picture)
            progress.show(len(kept.pictures), len(rows))
            if len(kept.pictures) >= order.crawl_images:
                break
    return rows


def _noted(by_url: dict[str, Candidate], candidate: Candidate) -> Wanted:
    by_url[candidate.url] = candidate
    return Wanted(key=candidate.url, url=candidate.url)


def _candidates(order: CrawlOrder, settings: Crawl, answers: _Answers, rows: list[ImageRow]) -> Iterator[Candidate]:  # noqa: ARG001 - rows grow while this runs
    """Yield addresses to try, each once, in rank order: the pages in turn, in a page the queries and suppliers in turn."""
    seen: set[str] = set()
    rank = 0
    confusers = set(order.confusers)
    for answered in answers.rounds():
        main = [a for a in answered if a.q not in confusers]
        others = [a for a in answered if a.q in confusers]
        for answer, hit in _mixed(_in_turn(main), _in_turn(others)):
            url = hit.url or (hit.thumbnail if settings.thumbnails == "flag" else "")
            plain = vetted(url) if url else None
            if plain is None or dedup_key(plain if isinstance(plain, str) else url) in seen:
                continue
            seen.add(dedup_key(plain if isinstance(plain, str) else url))
            rank += 1
            yield Candidate(url=plain if isinstance(plain, str) else url, hit=hit, query=answer.q, supplier=answer.supplier, rank=rank)


def _in_turn(answers: list[Answer]) -> Iterator[tuple[Answer, Hit]]:
    for row in zip_longest(*([(answer, hit) for hit in answer.hits] for answer in answers)):
        yield from (pair for pair in row if pair is not None)


def _mixed(main: Iterator[tuple[Answer, Hit]], others: Iterator[tuple[Answer, Hit]]) -> Iterator[tuple[Answer, Hit]]:
    for number, pair in enumerate(main, 1):
        yield pair
        if number % CONFUSER_EVERY == 0:
            other = next(others, None)
            if other is not None:
                yield other
    yield from others


class _Judge:
    """Decides, in rank order, whether an address's picture is kept."""

    def __init__(self, order: CrawlOrder, settings: Crawl, kept: Kept) -> None:
        self._order, self._settings, self._kept = order, settings, kept
        self._rejected = [(word, re.compile(rf"\b{re.escape(folded(word))}\b")) for word in order.reject_words]

    def row(self, candidate: Candidate, outcome: Outcome) -> ImageRow:
        """Return the row of one address."""
        before = self._before(candidate)
        if before is not None:
            return _left_out(candidate, before)
        if outcome.stored is None:
            return ImageRow(source_id=candidate.url, url=candidate.url, outcome=outcome.outcome, detail=outcome.detail)
        verdict = self._verdict(candidate, outcome.stored)
        return verdict if isinstance(verdict, ImageRow) else _left_out(candidate, verdict)

    def _before(self, candidate: Candidate) -> Refusal | None:
        """What can be told without the picture."""
        text = folded(f"{candidate.hit.title} {candidate.url} {candidate.hit.landing_url}")
        word = next((word for word, pattern in self._rejected if pattern.search(text)), None)
        if word is not None:
            return Refusal(Reason.REJECT_WORD, word)
        if not allowed(candidate.hit.license, self._order.use, self._order.licences):
            return Refusal(Reason.LICENCE, candidate.hit.license or "unknown")
        site = site_of(candidate.url)
        if self._settings.per_site and self._kept.sites.get(site, 0) >= self._settings.per_site:
            return Refusal(Reason.SITE_LIMIT, site)
        return None

    def _verdict(self, candidate: Candidate, stored: Stored) -> ImageRow | Refusal:
        flags = [] if self._is_whole(candidate, stored) else ["thumbnail"]
        refused = self._refusal(stored, flags)
        if refused is not None:
            return refused
        flags += [name for name, policy in self._policies() if name in stored.looks and policy == "flag"]
        picture = _picture(candidate, stored, self._order.category, tuple(flags))
        twin = self._kept.twin(picture)
        if twin is not None:
            return Refusal(Reason.DUPLICATE, twin.url)
        return ImageRow(source_id=candidate.url, url=candidate.url, outcome=KEPT, picture=picture)

    def _refusal(self, stored: Stored, flags: list[str]) -> Refusal | None:
        short, long = sorted((stored.width, stored.height))
        size = f"{stored.width}x{stored.height}"
        checks = (
            (stored.animated, Reason.ANIMATED),
            ("placeholder" in stored.looks, Reason.PLACEHOLDER),
            (bool(flags) and self._settings.thumbnails == "drop", Reason.THUMBNAIL),
            (short < self._settings.min_side, Reason.TOO_SMALL),
            (long > short * self._settings.max_aspect, Reason.ODD_SHAPE),
            *((name in stored.looks and policy == "drop", Reason(name)) for name, policy in self._policies()),
        )
        return next((Refusal(reason, size) for is_so, reason in checks if is_so), None)

    def _policies(self) -> tuple[tuple[str, str], ...]:
        return ("drawing", self._settings.drawings), ("screenshot", self._settings.screenshots), ("catalogue", self._settings.catalogue)

    def _is_whole(self, candidate: Candidate, stored: Stored) -> bool:
        if not candidate.hit.url:
            return False
        return max(stored.width, stored.height) >= THUMBNAIL_SHARE * max(candidate.hit.width, candidate.hit.height)


def folded(text: str) -> str:
    """Return text in small letters, without accents, words set apart by blanks."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", " ", bare).strip()


def _left_out(candidate: Candidate, refusal: Refusal) -> ImageRow:
    return ImageRow(source_id=candidate.url, url=candidate.url, outcome=refusal.reason, detail=refusal.detail)


def _picture(candidate: Candidate, stored: Stored, category: str, flags: tuple[str, ...]) -> Picture:
    hit = candidate.hit
    return Picture(
        sha256=stored.sha256,
        file_name=stored.file_name,
        width=stored.width,
        height=stored.height,
        phash=stored.phash,
        grid=stored.grid,
        orientation=stored.orientation,
        source="crawl",
        source_id=candidate.url,
        url=candidate.url,
        landing_url=hit.landing_url,
        license=hit.license,
        author=hit.author,
        title=hit.title,
        flags=flags,
        category=category,
        query=candidate.query,
        supplier=candidate.supplier,
        engine=hit.engine,
        rank=candidate.rank,
    )


def _remember(journal: Journal, out: Path, *, retry: int) -> None:
    """Take what an earlier run of the stage wrote as known, so that a pulled clone fetches nothing again."""
    for row in read_jsonl(out / "images.jsonl", ImageRow):
        if row.url in journal.known:
            continue
        if row.picture is not None:
            p = row.picture
            stored = Stored(
                sha256=p.sha256, file_name=p.file_name, width=p.width, height=p.height, phash=p.phash, grid=p.grid,
                raw_width=p.width, raw_height=p.height, orientation=p.orientation, looks=tuple(f for f in p.flags if f != "thumbnail"),
            )  # fmt: skip
            journal.known[row.url] = Outcome(url=row.url, outcome=KEPT, stored=stored)
        elif not retry or row.outcome in JUDGED:
            journal.known[row.url] = Outcome(url=row.url, outcome=row.outcome, detail=row.detail)


def _settle(rows: list[ImageRow], shelf: Shelf, out: Path) -> None:
    """Move the kept pictures from the shelf to the output; what is not kept stays on the shelf, and is not fetched again."""
    names = {row.picture.file_name for row in rows if row.picture is not None}
    target = out / "images"
    target.mkdir(parents=True, exist_ok=True)
    for name in sorted(names):
        if not (target / name).exists():
            (shelf.images / name).replace(target / name)
    for left in sorted(target.iterdir()):
        if left.name not in names:
            left.replace(shelf.images / left.name)
    keep_only(target, names)


def _metrics(order: CrawlOrder, answers: _Answers, rows: list[ImageRow]) -> dict[str, Any]:
    counts = outcome_counts(rows)
    kept = counts.pop(KEPT)
    assert kept + sum(counts.values()) == len(rows)
    found: dict[str, int] = {}
    silent: dict[str, int] = {}
    for answer in answers.known.values():
        found[answer.supplier] = found.get(answer.supplier, 0) + len(answer.hits)
        for engine, _ in answer.unresponsive:
            silent[engine] = silent.get(engine, 0) + 1
    return {
        "wanted": order.crawl_images,
        "found": dict(sorted(found.items())),
        "seen": len(rows),
        "kept": kept,
        "dropped": counts,
        "unresponsive": dict(sorted(silent.items())),
    }


class _Progress:
    """A bar on a terminal; one line at the end elsewhere."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total, self._bar, self._task = label, total, None, None
        self._kept = self._seen = 0

    def __enter__(self) -> None:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[seen]} tried"),
                TimeRemainingColumn(),
            )
            bar: Any = Progress(*columns, console=Console(stderr=True))
            bar.start()
            self._bar, self._task = bar, bar.add_task(self._label, total=self._total, seen=0)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        sys.stdout.write(f"{self._label}: {self._kept} of {self._total} pictures kept, {self._seen} addresses tried\n")

    def show(self, kept: int, seen: int) -> None:
        """Show how far it is."""
        self._kept, self._seen = kept, seen
        if self._bar is not None:
            self._bar.update(self._task, completed=kept, seen=seen)

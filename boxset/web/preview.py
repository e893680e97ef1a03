"""Two dozen pictures of every source and query, before anything is decided: what a crawl would keep, flag and leave out, and why.

Asks and fetches for a stated time at the most and shows what has come by then. Nothing here enters the data set.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from threading import Condition, Lock, Semaphore, Thread
from typing import Any

import msgspec

from boxset.dataset.reasons import Reason, Refusal
from boxset.dataset.records import KEPT
from boxset.dataset.takedown import read_takedowns
from boxset.endpoints import Endpoints
from boxset.errors import BoxsetError
from boxset.images.archive import pictures_in
from boxset.images.look import looks
from boxset.params import Params, Query, queries_of, terms_of
from boxset.resolve import ExtractOrder, crawl_order, extract_order
from boxset.sources.choice import choose
from boxset.sources.extract import _archive, _from_place
from boxset.sources.place import is_picture, place_of
from boxset.web.addresses import dedup_key, site_of, vetted
from boxset.web.crawl import SPELT_WRONG
from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy
from boxset.web.judge import Candidate, Judge, Kept
from boxset.web.pictures import Get, Journal, Outcome, Shelf, Stored, Wanted, fetch_all, stored_elsewhere
from boxset.web.suppliers import Hit, Supplier, suppliers_of
from boxset.wording import counted
from boxset.work import Flow

AT_ONCE = 64
PATIENCE = 2  # time-outs of a host after which it is not asked any more
TIMEOUT_S = 10.0
GRACE_S = 1.0  # for what has come in time to be decoded
LATE = "did not answer in time"


@dataclass(frozen=True)
class Shot:
    """One picture that is shown: its file, what is known of it, and what would become of it."""

    file: Path
    url: str
    title: str
    site: str
    licence: str
    width: int
    height: int
    landing_url: str = ""
    flags: tuple[str, ...] = ()
    dropped: str = ""  # the reason why the crawl or the source's licence would leave it out
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """Where pictures come from, what has come, and how many became what; `said` tells why something is missing.

    `supplier`: whose answer it is, a service or one list; empty for a source. `is_answered`: what was asked has answered, with pictures or with none.
    """

    title: str
    shots: tuple[Shot, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    said: str = ""
    supplier: str = ""
    is_answered: bool = True


@dataclass
class _Part:
    """A row in the making."""

    title: str
    judged: bool  # by the crawl's rules
    hits: list[Hit] = field(default_factory=list)
    said: str = ""
    query: str = ""
    supplier: str = ""
    is_answered: bool = True
    named: dict[str, Hit] = field(default_factory=dict)  # address → the hit as it came
    refused: dict[str, str] = field(default_factory=dict)  # address → the licence that keeps it out
    get: Get | None = None  # where its pictures do not come from the web


@dataclass(frozen=True)
class Clock:
    """How long there still is."""

    until: float
    now: Callable[[], float] = time.monotonic

    @property
    def left_s(self) -> float:
        """Return the seconds left, never less than 0."""
        return max(0.0, self.until - self.now())


@dataclass(frozen=True)
class _Look:
    """What is looked at: a category of a project, so many pictures a row, for so long."""

    category: str
    params: Params
    endpoints: Endpoints
    most: int
    clock: Clock


@dataclass(frozen=True)
class _Trial:
    """The crawl's judge, and what it has kept so far."""

    judge: Judge
    kept: Kept


def preview(category: str, params: Params, *, endpoints: Endpoints, most: int, seconds: float, tell: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Return the rows of a category, sources first. Ends after about `seconds`; what fails or is late says so in its row.

    `tell` is told what is waited for, before the wait. Raises ParamsError where the internet would be asked without a contact.
    """
    clock = Clock(time.monotonic() + seconds)
    look = _Look(category, params, endpoints, most, clock)
    tell(f"looks into its sources and asks the search services; {seconds:g} s in all, at the most")
    parts = [*_from_sources(look), *_from_queries(look)]
    found = len({hit.url for part in parts for hit in part.hits})
    if any(hit for part in parts if part.get is None for hit in part.hits):
        endpoints.check_contact(params.project.contact)
    if found:
        tell(f"fetches {counted(found, 'picture')}, {clock.left_s + GRACE_S:.0f} s at the most")
    outcomes = _fetched(look, parts)
    kept = Kept(params.crawl.near_duplicates)
    judge = _Trial(Judge(crawl_order(params, category), params.crawl, kept, read_takedowns()), kept)
    seen: set[str] = set()
    return [_row(part, outcomes, judge, seen, Path(".boxset/preview") / category) for part in parts]


def _from_sources(look: _Look) -> Iterator[_Part]:
    for name, source in look.params.sources.items():
        terms = terms_of(look.params.categories[look.category], name)
        is_local = (source.format or name) == "local"
        if not source.on or not (terms or (is_local and source.category == look.category)):
            continue
        part = _Part(f"{name}: {', '.join(term.name for term in terms)}" if terms else name, judged=False)
        try:
            _fill(part, look, name)
        except BoxsetError as err:
            part.said = str(err)
        yield part


def _fill(part: _Part, look: _Look, name: str) -> None:
    """Choose images as the stage would, and say where their bytes are."""
    category, most = look.category, look.most
    source, index = look.params.sources[name], Path("data/index") / name
    order = extract_order(look.params, name, source)
    if order.format == "local":
        part.get = _from_place(order, look.endpoints)
    if not (index / "about.json").exists():
        if order.format == "local" and not order.classes.get(category):
            names = sorted((entry.name for entry in place_of(source.path, look.endpoints).entries() if is_picture(entry.name)), key=_mixed)[:most]
            part.hits = [Hit(url=name, title=name, license=source.license) for name in names]
        else:
            part.said = f"its index is not here yet; `dvc repro index@{name}` builds it"
        return
    only = {category: order.classes[category]} if category in order.classes else {}
    choice = choose(msgspec.structs.replace(order, classes=only, max_images_per_category=most, negatives=0), index)
    rows = [row for row in choice.images.values() if row.get("url")][:most]
    part.hits = [_source_hit(row) for row in rows]
    part.refused = {row["url"]: choice.refused[row["image_id"]] for row in rows if row["image_id"] in choice.refused}
    part.said = "" if rows else "nothing of it may enter: its classes have no boxes, or the licence policy keeps them out"
    if order.format == "imagenet" and rows:
        part.get = _out_of_archive(order, [hit.url for hit in part.hits], look)


def _source_hit(row: dict[str, Any]) -> Hit:
    return Hit(
        url=row["url"],
        title=row.get("title") or row["image_id"],
        landing_url=row.get("landing_url") or "",
        license=row.get("license") or "",
        author=row.get("author") or "",
    )


def _mixed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _out_of_archive(order: ExtractOrder, names: list[str], look: _Look) -> Get:
    """Read what is on this machine in one pass; a live archive elsewhere is not fetched for a look."""
    if "://" in (order.pictures or order.path) and look.endpoints.gateway is None:
        return lambda _: Refusal(Reason.GONE, "in an archive that is not on this machine")
    place = _archive(order, names, look.endpoints, look.params.project.contact)
    return _Pass(place, names, look.clock).get


class _Pass:
    """One pass over an archive, in a thread that nobody waits for longer than there is time: it may be very large."""

    def __init__(self, place: Path, names: list[str], clock: Clock) -> None:
        self._clock, self._found, self._over, self._changed = clock, dict[str, bytes](), "", Condition()
        Thread(target=self._run, args=(place, names), daemon=True).start()

    def _run(self, place: Path, names: list[str]) -> None:
        over = "not in the archive"
        try:
            for name, raw in pictures_in(place, names):
                with self._changed:
                    self._found[name] = raw
                    self._changed.notify_all()
        except BoxsetError as err:
            over = str(err)
        with self._changed:
            self._over = over
            self._changed.notify_all()

    def get(self, item: Wanted) -> bytes | Refusal:
        """Return a member as soon as it was met."""
        name = item.url
        with self._changed:
            self._changed.wait_for(lambda: name in self._found or self._over, timeout=self._clock.left_s)
            if name in self._found:
                return self._found[name]
            return Refusal(Reason.GONE, self._over) if self._over else Refusal(Reason.TIMEOUT, LATE)


def _from_queries(look: _Look) -> list[_Part]:
    """Ask all suppliers at once, each its queries one after the other, for half of the time at the most."""
    parts: list[_Part] = []
    settings, category = look.params.crawl, look.category
    jobs: list[Callable[[], None]] = []
    if queries_of(look.params.categories[category]):
        look.endpoints.check_contact(look.params.project.contact)
    for supplier in suppliers_of(settings, look.endpoints, contact=look.params.project.contact, category=category):
        queries = queries_of(look.params.categories[category]) if supplier.takes_queries else (Query(q="", lang=""),)
        own = [_Part(_asked(supplier, query), judged=True, said=LATE, query=query.q, supplier=supplier.name, is_answered=False) for query in queries]
        jobs.append(_asking(supplier, queries, own, look.most))
        parts += own
    run_within(jobs, workers=max(1, len(jobs)), seconds=look.clock.left_s / 2)
    return [replace(part) for part in parts]  # a late answer changes what is shown no more


def _asked(supplier: Supplier, query: Query) -> str:
    language = f" ({query.lang})" if query.lang not in ("all", "") else ""
    return f"{supplier.name}: {supplier.list_name or query.q}{language}"


def _asking(supplier: Supplier, queries: Sequence[Query], parts: list[_Part], most: int) -> Callable[[], None]:
    def ask() -> None:
        for place, (query, part) in enumerate(zip(queries, parts, strict=True)):
            try:
                answer = supplier.ask(query, 1)
            except BoxsetError as err:
                part.said = str(err)
                for unasked in parts[place + 1 :]:
                    unasked.said = f"not asked, as {part.title} failed"
                return
            silent = ", ".join(f"{engine} ({why or 'no reason given'})" for engine, why in answer.unresponsive)
            part.named = dict([found for found in map(_plain, answer.hits) if found is not None][:most])
            part.hits = [msgspec.structs.replace(hit, url=url) for url, hit in part.named.items()]
            part.said = f"did not answer: {silent}" if silent else "" if part.hits else "has nothing for it"
            part.is_answered = bool(part.hits) or not silent

    return ask


def _plain(hit: Hit) -> tuple[str, Hit] | None:
    """Return the address to look at, the thumbnail's where there is no other, and the hit; None where there is nothing to look at."""
    url = vetted(hit.url or hit.thumbnail)
    return (url, hit) if isinstance(url, str) else None


def _fetched(look: _Look, parts: list[_Part]) -> dict[str, Outcome]:
    """Fetch what can be had in time, all rows at once, the first of each before the second of any; what is still under way then is left to itself."""
    journal = Journal(Path(".boxset/journal") / f"preview-{look.category}.jsonl")
    journal.forget_failures()
    run_within([lambda: _fetch(look, parts, journal)], workers=1, seconds=look.clock.left_s + GRACE_S)
    folder = Path(".boxset/preview") / look.category
    return {url: outcome for url, outcome in dict(journal.known).items() if outcome.stored is None or (folder / outcome.stored.file_name).exists()}


def _fetch(look: _Look, parts: list[_Part], journal: Journal) -> None:
    shelf = Shelf(Path(".boxset/preview") / look.category, look=looks)
    elsewhere = stored_elsewhere(Path("data"), Path("data"))
    settings = look.params.crawl
    policy = FetchPolicy(
        connections=AT_ONCE, per_host=settings.per_host, pace_s=settings.pace_s, tries=1, timeout_s=min(TIMEOUT_S, settings.timeout_s), robots=settings.robots,
        max_bytes=settings.max_bytes, until=look.clock.until,
    )  # fmt: skip
    with journal, web(look.params, look.endpoints, policy, look.clock) as from_web:
        own = {hit.url: part.get for part in parts if part.get is not None for hit in part.hits}

        def get(item: Wanted) -> bytes | Refusal:
            return own.get(item.url, from_web)(item)

        turns = zip_longest(*(part.hits for part in parts))
        wanted = {hit.url: Wanted(url=hit.url) for turn in turns for hit in turn if hit is not None and not hit.mime}
        for _ in fetch_all(wanted.values(), get, shelf=shelf, journal=journal, elsewhere=elsewhere, flow=Flow(AT_ONCE)):
            pass  # the journal has it


@contextmanager
def web(params: Params, endpoints: Endpoints, policy: FetchPolicy, clock: Clock, *, fetching: type[Fetcher] = Fetcher) -> Iterator[Get]:
    """Yield a function that fetches an address while there is time; a host that is slow is soon left alone."""
    places: dict[str, Semaphore] = {}
    slow: dict[str, int] = {}
    lock = Lock()

    with fetching(endpoints, contact=params.project.contact, policy=policy) as fetcher:

        def get(item: Wanted) -> bytes | Refusal:
            host = site_of(item.url)
            with lock:
                place = places.setdefault(host, Semaphore(policy.per_host))
            if not place.acquire(timeout=clock.left_s):
                return Refusal(Reason.TIMEOUT, LATE)
            try:
                if slow.get(host, 0) >= PATIENCE or not clock.left_s:
                    return Refusal(Reason.TIMEOUT, LATE)
                answer = fetcher.get(item.url)
                if isinstance(answer, Fetched):
                    return answer.body
                slow[host] = slow.get(host, 0) + (answer.reason == Reason.TIMEOUT)
                return answer
            finally:
                place.release()

        yield get


def run_within(jobs: Sequence[Callable[[], None]], *, workers: int, seconds: float) -> None:
    """Run jobs in threads and return when all are done or the time is over; those that still run are left to themselves."""
    waiting, done = deque(jobs), Semaphore(0)
    failed: list[Exception] = []

    def work() -> None:
        while waiting:
            try:
                waiting.popleft()()
            except IndexError:
                return
            except Exception as err:  # noqa: BLE001 - raised again where the jobs were asked for
                failed.append(err)
            finally:
                done.release()

    clock = Clock(time.monotonic() + seconds)
    for _ in range(min(workers, len(jobs))):
        Thread(target=work, daemon=True).start()
    for _ in jobs:
        if failed or not done.acquire(timeout=clock.left_s):
            break
    waiting.clear()
    if failed:
        raise failed[0]


def _row(part: _Part, outcomes: dict[str, Outcome], judge: _Trial, seen: set[str], folder: Path) -> Row:
    """Judge what has come, in the order of the answer; count everything, show what there is to see."""
    shots: list[Shot] = []
    counts: dict[str, int] = {}
    for rank, hit in enumerate(part.hits, 1):
        outcome = outcomes.get(hit.url) or _not_had(hit)
        fate = (str(Reason.LICENCE), part.refused[hit.url]) if hit.url in part.refused else (outcome.outcome, "")
        flags = outcome.stored.looks if outcome.stored else ()
        if part.judged:
            key = dedup_key(hit.url)
            fate, flags = _judged(part, hit, outcome, rank, judge) if key not in seen else ((Reason.DUPLICATE_ADDRESS, ""), flags)
            if fate[0] not in (*SPELT_WRONG, Reason.REJECT_WORD, Reason.LICENCE):
                seen.add(key)
        counts[str(fate[0])] = counts.get(str(fate[0]), 0) + 1
        if outcome.stored is not None:
            shots.append(_shot(hit, outcome.stored, folder, flags, fate))
    late = counts.get(Reason.TIMEOUT, 0)
    said = "; ".join([*filter(None, [part.said]), *([f"{late:,} of {len(part.hits):,} {LATE}"] if late else [])])
    return Row(part.title, tuple(shots), counts, said, part.supplier if part.query else part.title if part.judged else "", part.is_answered)


def _not_had(hit: Hit) -> Outcome:
    """Return the outcome of what was not asked for as it is no picture, or is not here yet."""
    return Outcome(url=hit.url, outcome=Reason.NOT_AN_IMAGE, detail=hit.mime) if hit.mime else Outcome(url=hit.url, outcome=Reason.TIMEOUT, detail=LATE)


def _judged(part: _Part, hit: Hit, outcome: Outcome, rank: int, judge: _Trial) -> tuple[tuple[str, str], tuple[str, ...]]:
    """Return what the crawl would say, and why, and the flags that the picture would carry."""
    named = part.named[hit.url]
    candidate = Candidate(hit.url, named, part.query, part.supplier, rank=rank, place=(0, 1))
    refusal = judge.judge.address(named)[1] or judge.judge.before(candidate)
    if refusal is not None:
        return (refusal.reason, refusal.detail), outcome.stored.looks if outcome.stored else ()
    row = judge.judge.row(candidate, outcome)
    if row.picture is None:
        return (row.outcome, row.detail), outcome.stored.looks if outcome.stored else ()
    judge.kept.add(row.picture)
    return (KEPT, ""), row.picture.flags


def _shot(hit: Hit, stored: Stored, folder: Path, flags: tuple[str, ...], fate: tuple[str, str]) -> Shot:
    return Shot(
        file=folder / stored.file_name,
        url=hit.url,
        title=hit.title,
        site=site_of(hit.url),
        licence=hit.license,
        width=stored.width,
        height=stored.height,
        landing_url=hit.landing_url,
        flags=flags,
        dropped="" if fate[0] == KEPT else str(fate[0]),
        detail=fate[1],
    )

"""The crawl of one category: from its queries to good pictures, in two frozen steps, decided in rank order.

What the suppliers answered stands in `results.jsonl`; what became of every address in `images.jsonl`. The same answers give the same
pictures whatever the timing: addresses are fetched ahead, but judged one after the other, until enough are kept. docs/crawl.md has the rules.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from boxset.dataset.reasons import NOBODY, Reason, Refusal
from boxset.dataset.records import KEPT, ImageRow, Picture, outcome_counts
from boxset.dataset.takedown import NOTHING_DOWN, Takedowns
from boxset.endpoints import Endpoints
from boxset.errors import ServiceError
from boxset.files import make_folder, move, read_jsonl, write_jsonl
from boxset.images.look import looks
from boxset.params import Crawl, Query
from boxset.resolve import CrawlOrder
from boxset.web.addresses import dedup_key
from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy
from boxset.web.health import Healths, health_lines, health_metrics, healths
from boxset.web.judge import Candidate, Judge, Kept
from boxset.web.pictures import Journal, Outcome, Shelf, Stored, Wanted, fetch_all, pictures_elsewhere, stored_elsewhere
from boxset.web.progress import Progress
from boxset.web.reach import Reach
from boxset.web.rounds import Memory, Round, Rounds
from boxset.web.suppliers import Answer, Hit, suppliers_of
from boxset.web.suppliers.url_lists import list_marks
from boxset.web.words import folded
from boxset.wording import counted
from boxset.work import Flow, in_threads

FAR_AHEAD = 16  # addresses in hand for each connection at the most: what is beyond a slow one, and may turn out not to be needed
CONFUSER_EVERY = 10  # one address of a confuser's search after so many others
BY_RULE = (  # what parameters decide: decided anew
    *(Reason.SITE_LIMIT, Reason.REJECT_WORD, Reason.LICENCE, Reason.TAKEN_DOWN, Reason.DUPLICATE_ADDRESS, Reason.BAD_ADDRESS, Reason.THUMBNAIL, Reason.DUPLICATE),
    *(Reason.ANIMATED, Reason.PLACEHOLDER, Reason.TOO_SMALL, Reason.ODD_SHAPE, Reason.DRAWING, Reason.SCREENSHOT, Reason.CATALOGUE),
)
DEAD = (Reason.GONE, Reason.REFUSED, Reason.UNREACHABLE)
PASSING = (*NOBODY, Reason.SERVER_ERROR, Reason.RATE_LIMITED)  # another day it may be had
SILENT = (*NOBODY, Reason.PRIVATE_ADDRESS)  # of the server, whatever it is asked for
SPELT_WRONG = (*DEAD, *SILENT, Reason.SERVER_ERROR, Reason.REDIRECTS, Reason.NOT_AN_IMAGE)  # another spelling may mend it; a site that wants peace has it


def crawl(
    order: CrawlOrder,
    settings: Crawl,
    out: Path,
    *,
    endpoints: Endpoints,
    contact: str,
    asked: frozenset[str] = frozenset(),
    down: Takedowns = NOTHING_DOWN,
) -> dict[str, Any]:
    """Write `results.jsonl`, `images.jsonl` and `images/`; return the metrics.

    Asks suppliers only what is not answered yet, fetches only what is not known yet. `asked` are the pictures that people were asked
    about: those of them that are here stay. What is taken down is not fetched, and of it no bytes stay. Raises ServiceError where no supplier answers, and
    none ever has, and where no site answers any more.
    """
    progress = Progress(order.category, order.crawl_images)
    for word in (word for word in order.reject_words if not folded(word)):
        progress.say(f"warning: {word!r} in reject_words has neither letters nor digits, and matches nothing")
    queries = [*order.queries, *(Query(q=confuser) for confuser in order.confusers)]
    suppliers = suppliers_of(settings, endpoints, contact=contact, category=order.category)
    memory = Memory(out / "results.jsonl", Path(f".boxset/journal/results-{order.category}.{settings.refresh}.jsonl"))
    rounds = Rounds(queries, suppliers, memory, refresh=settings.refresh, say=progress.say)
    shelf = Shelf(Path(".boxset/shelf") / order.category, look=looks, also=out / "images", twins=pictures_elsewhere(out.parent.parent, out))
    earlier = read_jsonl(out / "images.jsonl", ImageRow)
    held = _held(earlier, asked, lambda picture: _is_here(picture, shelf, out))
    with _journal(order, settings) as journal, Fetcher(endpoints, contact=contact, policy=_policy(settings)) as fetcher, progress:
        _remember(journal, earlier, settings, shelf)
        tried = _Tried(order, settings, rounds, held=held, down=down)
        flow = Flow(settings.connections, settings.per_host, tried.ahead)
        before = (row.url for row in earlier if row.picture is not None)
        look = partial(fetcher.get, max_bytes=1)
        elsewhere = stored_elsewhere(out.parent.parent, out)
        others = [url for url in elsewhere if _tells_of_the_network(url, endpoints)]
        reach = Reach(fetcher.get, look, where=order.category, before=before, others=others, is_online=lambda: rounds.is_online)
        fetching = _fetching(reach, journal, shelf, flow=flow, elsewhere=elsewhere)
        tried.run(fetching, journal, progress)
        reach.check()
        rows = _looked_again(tried.rows, earlier, settings, get=look, say=progress.say)
    if not rounds.known and not tried.answers:
        _check_any_answered(rounds, order.category)
    _settle(rows, shelf, out, down)
    write_jsonl(out / "results.jsonl", tried.answers)
    write_jsonl(out / "images.jsonl", rows)
    found = healths(tried.answers, rows)
    for line in [*health_lines(found), *_ending(order, settings, rounds, rows)]:
        progress.say(line)
    return _metrics(order, rows, found, repeated=tried.repeated)


def _tells_of_the_network(url: str, endpoints: Endpoints) -> bool:
    """Return whether an answer of an address shows that this machine is online: one's own file, or a mirror's, does not."""
    return url.startswith(("http://", "https://")) and endpoints.mirror_of(url) is None


def _check_any_answered(rounds: Rounds, category: str) -> None:
    """Raise ServiceError where what was asked for failed: what the one fault says, or that several suppliers do not answer."""
    if len(rounds.failed) > 1:
        do = "What each of them said stands above; `boxset doctor` asks the search service, `dvc repro` all of them again"
        raise ServiceError("no supplier answers (is there a network?)", where=category, do=do)
    for err in (*rounds.failed.values(), *rounds.bad_pages):
        raise err


def _policy(settings: Crawl) -> FetchPolicy:
    return FetchPolicy(
        max_bytes=settings.max_bytes,
        timeout_s=settings.timeout_s,
        connections=settings.connections,
        per_host=settings.per_host,
        pace_s=settings.pace_s,
        robots=settings.robots,
    )


def _held(earlier: list[ImageRow], asked: frozenset[str], is_here: Callable[[Picture], bool]) -> list[Picture]:
    """Return the pictures that stay: each once, however many addresses had the same bytes."""
    found: dict[str, Picture] = {}
    for row in earlier:
        if row.picture is not None and row.picture.sha256 in asked and is_here(row.picture):
            found.setdefault(row.picture.sha256, row.picture)
    return list(found.values())


def _is_here(picture: Picture, shelf: Shelf, out: Path) -> bool:
    return (out / "images" / picture.file_name).exists() or (shelf.images / picture.file_name).exists()


def _journal(order: CrawlOrder, settings: Crawl) -> Journal:
    """Return the journal of this `retry`; of earlier ones it knows what could be had."""
    paths = [Path(f".boxset/journal/crawl-{order.category}.{retry}.jsonl") for retry in range(settings.retry + 1)]
    journal = Journal(paths[-1])
    for path in paths[:-1]:
        if path.exists():
            with Journal(path) as past:
                journal.known = {**{url: outcome for url, outcome in past.known.items() if outcome.stored is not None}, **journal.known}
    return journal


Fetching = Callable[[Iterable[Wanted]], Iterator[Outcome]]


def _fetching(reach: Reach, journal: Journal, shelf: Shelf, *, flow: Flow, elsewhere: dict[str, Path]) -> Fetching:
    def get(item: Wanted) -> bytes | Refusal:
        answer = reach.get(item.url)
        return answer.body if isinstance(answer, Fetched) else answer

    return lambda wanted: fetch_all(wanted, get, shelf=shelf, journal=journal, elsewhere=elsewhere, flow=flow)


Named = tuple[Answer, Hit, str, Refusal | None]
"""A hit of an answer, its address, and why that is not asked."""


class _Tried:
    """The addresses, tried in rank order until enough pictures are kept: a row for each."""

    def __init__(self, order: CrawlOrder, settings: Crawl, rounds: Rounds, *, held: list[Picture], down: Takedowns) -> None:
        self._order, self._settings, self._rounds, self._held = order, settings, rounds, held
        wanted = Judge(order, settings, Kept(settings.near_duplicates), down).wanted
        self._kept = Kept(settings.near_duplicates, held={picture.url: picture for picture in held if wanted(picture)})
        self._judge = Judge(order, settings, self._kept, down)
        self._waiting: deque[Candidate] = deque()
        self._asked: list[Round] = []
        self._remembered: dict[str, Outcome] = {}  # pictures whose bytes are fetched again; whether they are kept is judged by what they were
        self.rows: list[ImageRow] = []
        self._failed: dict[str, str] = {}  # address → why it could not be had, where another spelling may mend it
        self._instead: dict[str, str] = {}  # the first spelling of an address → the last one that was tried
        self.repeated = 0
        self._place, self._is_dry = (-1, 0), False

    @property
    def answers(self) -> list[Answer]:
        """All answers that were known before, and those of the turns that were needed; how far was fetched ahead leaves no trace."""
        new = [one for one in self._asked[len(self._rounds.known) :] if self._is_dry or one.place <= self._place]
        return [answer for one in (*self._rounds.known, *new) for answer in one.answers]

    def ahead(self) -> int:
        """Return how many addresses may be in hand: no more than are still wanted, or than keep every connection busy past slow ones."""
        busy = self._settings.connections
        return 1 if busy == 1 else max(busy, min(FAR_AHEAD * busy, self._order.crawl_images - len(self._kept.pictures)))

    def run(self, fetching: Fetching, journal: Journal, progress: Progress) -> None:
        """Try until enough are kept or nothing is left; then add what people were asked about and no query names any more."""
        if self._order.crawl_images:
            for row in self._in_order(fetching, journal):
                self.rows.append(row)
                if row.picture is not None:
                    self._kept.add(row.picture)
                elif row.outcome in SPELT_WRONG:
                    self._failed[row.url] = row.outcome
                progress.show(len(self._kept.pictures), len(self.rows))
                if len(self._kept.pictures) >= self._order.crawl_images:
                    break
        self.rows += self._left_behind()

    def _in_order(self, fetching: Fetching, journal: Journal) -> Iterator[ImageRow]:
        def fetched(candidate: Candidate) -> Outcome:
            return next(iter(fetching([Wanted(url=candidate.url)])))

        def judged(candidate: Candidate, outcome: Outcome) -> ImageRow:
            row = self._judge.row(candidate, self._remembered.get(candidate.url, outcome))
            if row.picture is not None and outcome.absent:
                del journal.known[outcome.url]
                outcome = fetched(candidate)
            return row if row.picture is None else self._judge.row(candidate, outcome)

        def refused() -> Iterator[ImageRow]:
            while self._waiting and (refusal := self._waiting[0].refusal) is not None:
                candidate = self._next()
                left_out = self._still_refused(candidate, refusal)
                yield judged(candidate, fetched(candidate)) if left_out is None else candidate.left_out(left_out)

        for outcome in fetching(self._wanted(journal)):
            yield from refused()
            yield judged(self._next(), outcome)
        yield from refused()
        self._is_dry = True

    def _still_refused(self, candidate: Candidate, refusal: Refusal) -> Refusal | None:
        """Return why an address stays unasked now that all before it are judged; None where it is another spelling of one that failed."""
        if refusal.reason is not Reason.DUPLICATE_ADDRESS:
            return refusal
        last = self._instead.get(refusal.detail, refusal.detail)
        if last not in self._failed or (self._failed[last] in SILENT and urlsplit(last)[:2] == urlsplit(candidate.url)[:2]):
            return Refusal(Reason.DUPLICATE_ADDRESS, last)
        full = self._judge.full_site(candidate)
        if full is None:
            self._instead[refusal.detail] = candidate.url
        return full

    def _wanted(self, journal: Journal) -> Iterator[Wanted]:
        """Yield what is to be fetched. A site that is full of pictures that rank higher stays full, so that nothing of it needs to be asked.

        Of a picture that is remembered without its bytes they are fetched where the rules would take it now. One that was left out as a
        copy probably is one still; should it not be, it is fetched when its turn comes.
        """
        for candidate in self._candidates():
            refusal = candidate.refusal or self._judge.full_site(candidate)
            self._waiting.append(replace(candidate, refusal=refusal))
            known = journal.known.get(candidate.url)
            if refusal is None and known is not None and known.absent and known.outcome != Reason.DUPLICATE and self._judge.passes(candidate, known):
                self._remembered[candidate.url] = journal.known.pop(candidate.url)
            if refusal is None:
                yield Wanted(url=candidate.url)

    def _next(self) -> Candidate:
        candidate = self._waiting.popleft()
        self._place = candidate.place
        self.repeated += candidate.repeated
        return candidate

    def _candidates(self) -> Iterator[Candidate]:
        """Yield every address once, in rank order: the turns one after the other, in a turn the queries and suppliers by turns."""
        urls: set[int] = set()
        first: dict[str, str] = {}
        rank = repeated = 0
        for one in self._rounds:
            self._asked.append(one)
            for answer, hit, url, refusal in self._in_turn(one.answers):
                if hash(url) in urls:
                    repeated += 1
                    continue
                urls.add(hash(url))
                rank += 1
                candidate = Candidate(url, hit, answer.q, answer.supplier, rank=rank, place=one.place, repeated=repeated)
                refusal = refusal or self._judge.before(candidate) or self._named_before(candidate, first)
                repeated = 0
                yield replace(candidate, refusal=refusal)

    def _in_turn(self, answers: tuple[Answer, ...]) -> Iterator[Named]:
        """Yield every hit of a turn in rank order, with its address; for an address that several suppliers name always the hit that counts."""
        confusers = set(self._order.confusers)
        main, others = [a for a in answers if a.q not in confusers], [a for a in answers if a.q in confusers]
        mixed = [(answer, hit, *self._judge.address(hit)) for answer, hit in _mixed(_by_turns(main), _by_turns(others))]
        places = {name: place for place, name in enumerate(dict.fromkeys(answer.supplier for answer in answers))}
        counts: dict[str, Named] = {}
        for named in sorted(mixed, key=lambda named: (named[3] is not None, not named[1].license, places[named[0].supplier])):
            counts.setdefault(named[2], named)
        yield from (counts[named[2]] for named in mixed)

    def _named_before(self, candidate: Candidate, first: dict[str, str]) -> Refusal | None:
        """Return a refusal where the address stood there in another spelling."""
        other = first.setdefault(dedup_key(candidate.url), candidate.url)
        return None if other == candidate.url or candidate.url in self._kept.held else Refusal(Reason.DUPLICATE_ADDRESS, other)

    def _left_behind(self) -> list[ImageRow]:
        """Return rows of the pictures that people were asked about and that were not come to."""
        here = {picture.sha256 for picture in self._kept.pictures} | {row.url for row in self.rows}
        missing = [p for p in self._held if p.sha256 not in here and p.url not in here]
        ranked = [msgspec.structs.replace(p, rank=rank) for rank, p in enumerate(missing, len(self.rows) + 1)]
        return [self._judge.held_row(picture) for picture in ranked]


def _by_turns(answers: list[Answer]) -> Iterator[tuple[Answer, Hit]]:
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


def _remember(journal: Journal, earlier: list[ImageRow], settings: Crawl, shelf: Shelf) -> None:
    """Take what an earlier run of the stage wrote as known, so that a pulled clone fetches nothing again, and judges as the machine that crawled."""
    for row in earlier:
        known, stored = journal.known.get(row.url), _stored(row)
        if known is not None and (shelf.has(known.stored) if known.stored is not None else row.seen is None):
            continue
        if stored is not None:
            absent = row.seen is not None and not shelf.has(stored)
            journal.known[row.url] = Outcome(url=row.url, outcome=row.outcome, stored=stored, absent=absent)
        elif row.outcome not in BY_RULE and row.tried >= settings.retry:
            journal.known[row.url] = Outcome(url=row.url, outcome=row.outcome, detail=row.detail)


def _stored(row: ImageRow) -> Stored | None:
    """Return the picture that a row tells of, kept or left out."""
    p = row.picture or row.seen
    if p is None:
        return None
    return Stored(
        sha256=p.sha256, file_name=p.file_name, width=p.width, height=p.height, phash=p.phash, grid=p.grid, raw_width=p.width, raw_height=p.height,
        orientation=p.orientation, animated=row.seen is not None and row.seen.animated, looks=row.looks,
    )  # fmt: skip


def _looked_again(
    rows: list[ImageRow], earlier: list[ImageRow], settings: Crawl, *, get: Callable[[str], Fetched | Refusal], say: Callable[[str], None]
) -> list[ImageRow]:
    """Return the rows, and in those of kept pictures whether the address died by this refresh. Each is asked once a refresh, without its body."""
    before = {row.url: row for row in earlier if row.picture is not None}
    marked = [_as_before(row, before) for row in rows]
    due = [row.url for row in marked if row.picture is not None and row.url in before and not row.died and row.checked < settings.refresh]
    found = dict(zip(due, in_threads(get, due, workers=settings.connections), strict=True))
    died = {url for url, answer in found.items() if isinstance(answer, Refusal) and answer.reason in DEAD}
    if due and all(isinstance(a, Refusal) and a.reason is Reason.UNREACHABLE for a in found.values()):
        say("warning: no address of the kept pictures answers; is this machine online? The next run looks again")
        return marked
    if due:
        say(f"asked {counted(len(due), 'address')} of kept pictures again: {counted(len(died), 'no longer answers', 'no longer answer')}; every picture stays")
    checked = {row.url for row in marked if row.picture is not None and settings.refresh and not row.died}
    return [
        msgspec.structs.replace(row, checked=settings.refresh, died=settings.refresh if row.url in died else 0) if row.url in checked else row
        for row in marked
    ]


def _as_before(row: ImageRow, before: dict[str, ImageRow]) -> ImageRow:
    old = before.get(row.url) if row.picture is not None else None
    return row if old is None else msgspec.structs.replace(row, checked=old.checked, died=old.died, looks=row.looks or old.looks)


def _settle(rows: list[ImageRow], shelf: Shelf, out: Path, down: Takedowns) -> None:
    """Move the kept pictures from the shelf to the output; what is not kept stays on the shelf, and is not fetched again, unless it was taken down."""
    names = {row.picture.file_name for row in rows if row.picture is not None}
    target = out / "images"
    make_folder(target)
    for name in sorted(names):
        if not (target / name).exists():
            move(shelf.images / name, target / name)
    make_folder(shelf.images)
    for left in sorted(target.iterdir()):
        if left.name not in names:
            move(left, shelf.images / left.name)
    gone = down.contents | {row.seen.sha256 for row in rows if row.outcome == Reason.TAKEN_DOWN and row.seen is not None}
    for left in (left for left in sorted(shelf.images.iterdir()) if left.stem in gone):
        left.unlink()
    for torn in (*out.glob(".*.part"), *shelf.images.glob(".*.part")):  # of a run that was killed while it wrote
        torn.unlink()


def _metrics(order: CrawlOrder, rows: list[ImageRow], found: Healths, *, repeated: int) -> dict[str, Any]:
    counts = outcome_counts(rows)
    kept = counts.pop(KEPT)
    assert kept + sum(counts.values()) == len(rows)
    died = sum(bool(row.died) for row in rows)
    return {
        "wanted": order.crawl_images,
        "short": max(0, order.crawl_images - kept),
        "seen": len(rows),
        "kept": kept,
        "dropped": counts,
        "repeated": repeated,
        "blank": found.blank,
        "died": died,
        **health_metrics(found),
    }


def _ending(order: CrawlOrder, settings: Crawl, rounds: Rounds, rows: list[ImageRow]) -> Iterator[str]:
    """Say what was had, and where too little, what to do."""
    if not order.crawl_images and not rows:
        return
    counts = outcome_counts(rows)
    kept = counts.pop(KEPT)
    why = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    beyond = "; those that people were asked about stay" if kept > order.crawl_images else ""
    yield f"{kept:,} of {counted(order.crawl_images, 'picture')} kept, {counted(len(rows), 'address')} tried" + (f" ({why})" if why else "") + beyond
    if kept >= order.crawl_images:
        unasked = [*map(repr, rounds.unasked()), *_unmet(order, settings, rounds)] if order.crawl_images else []
        if unasked:
            yield f"not asked for, as enough pictures came before: {', '.join(unasked)}; raise crawl_images to go on with them"
        return
    yield f"{counted(order.crawl_images - kept, 'picture')} short. {'. '.join(_remedies(order, settings, rounds, counts))}"


def _unmet(order: CrawlOrder, settings: Crawl, rounds: Rounds) -> list[str]:
    """Return the suppliers that were never asked, and the lists with rows for the category."""
    unmet = rounds.unmet()
    lists = list_marks([name for name in settings.url_lists if name in unmet], {order.category: order.lists}).get(order.category, {})
    return [name for name in unmet if name in lists or name not in settings.url_lists]


def _remedies(order: CrawlOrder, settings: Crawl, rounds: Rounds, counts: Mapping[str, int]) -> Iterator[str]:
    if rounds.failed or rounds.put_off():
        names = ", ".join(sorted({*rounds.failed, *rounds.put_off()}))
        yield f"Not all was had from {names}: `dvc repro --force --single-item crawl@{order.category}` goes on there"
    refused = counts.get(Reason.LICENCE, 0)
    if refused:
        yield f"`licences` in params.yaml keeps {counted(refused, 'address')} out"
    silent = sum(counts.get(reason, 0) for reason in PASSING)
    if silent:
        yield f"Raise crawl.retry to ask {counted(silent, 'address')} again that did not answer, or were busy"
    unstated = {"searxng"} if order.licences.unknown == "deny" else set()  # more of its pages bring nothing that may enter
    cut_off = [name for name in rounds.cut_off() if name not in unstated]
    if cut_off:
        yield f"Raise {' and '.join(f'crawl.{name}.pages' for name in cut_off)}"
    off = [name for name in ("searxng", "openverse", "commons") if not getattr(settings, name).on]
    if off:
        yield f"Turn on {' or '.join(f'crawl.{name}' for name in off)}"
    yield f"Add queries to categories.{order.category}.queries, or lower its crawl_images"

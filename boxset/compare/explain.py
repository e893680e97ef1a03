"""The whole history of one picture: found where, fetched, labelled at what price, merged with what, in which split; or where it was left out."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from difflib import get_close_matches
from functools import cached_property
from typing import TypeVar

import msgspec

from boxset.dataset.coco import Coco, CocoAnnotation, CocoImage
from boxset.dataset.decisions import NOBODY, Decision, Decisions, review_of
from boxset.dataset.reasons import Reason
from boxset.dataset.records import Annotation, ImageRow, Picture, Pool, Presence, State
from boxset.dataset.takedown import TakenDown
from boxset.errors import InputError
from boxset.wording import counted, money, noun

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
FEWEST_DIGITS = 6  # of a SHA-256, that name a picture
WHY = {
    Reason.BAD_ADDRESS: "no http(s) address, or one that is not asked: credentials in it, a refused port",
    Reason.PRIVATE_ADDRESS: "the address leads to a machine that is not public",
    Reason.DUPLICATE_ADDRESS: "the same address was tried before, in another spelling",
    Reason.REJECT_WORD: "one of the category's reject_words stands in its title or address",
    Reason.SITE_LIMIT: "crawl.per_site pictures of this site were kept already",
    Reason.LICENCE: "the licence policy does not let it in (project.use, licences)",
    Reason.TAKEN_DOWN: "it was taken down for its owner (`boxset takedown`)",
    Reason.ROBOTS: "the site asks not to be fetched by robots",
    Reason.GONE: "the server says that it is not there any more",
    Reason.REFUSED: "the server refuses it",
    Reason.RATE_LIMITED: "the server asked to be left alone, to the end",
    Reason.SERVER_ERROR: "the server failed",
    Reason.UNREACHABLE: "no server answers there",
    Reason.TIMEOUT: "it took longer than crawl.timeout_s",
    Reason.REDIRECTS: "too many redirects, or from https to http",
    Reason.TOO_LARGE: "more bytes than crawl.max_bytes",
    Reason.NOT_AN_IMAGE: "what came is no picture",
    Reason.BROKEN: "it cannot be decoded to its end",
    Reason.TOO_MANY_PIXELS: "more pixels than are decoded",
    Reason.TOO_SMALL: "its shorter side is under crawl.min_side",
    Reason.ODD_SHAPE: "longer and narrower than crawl.max_aspect",
    Reason.ANIMATED: "it is animated",
    Reason.PLACEHOLDER: "it looks like a placeholder of the site",
    Reason.DRAWING: "it looks drawn, and crawl.drawings says drop",
    Reason.SCREENSHOT: "it looks like a screen, and crawl.screenshots says drop",
    Reason.CATALOGUE: "it is a shot on white, and crawl.catalogue says drop",
    Reason.THUMBNAIL: "a thumbnail came in place of the original",
    Reason.DUPLICATE: "it shows the same as one that was kept",
    Reason.OVER_LIMIT: "there were more than were asked for",
    Reason.BAD_ROW: "its row cannot be read",
    Reason.EMPTY_BOX: "its box is empty",
    Reason.FLAG: "the policy for one of its flags is drop",
    Reason.NO_PICTURE: "its picture was left out, or is unknown",
    Reason.UNLABELLED: "nobody has looked at it yet: it waits for labels",
    Reason.UNKNOWN_CATEGORY: "it may show a category that nobody looked for (merge.unknown)",
    Reason.NEAR_FROZEN: "it is like a picture of the frozen test set (split.freeze_test), so it may neither train nor enter test",
    Reason.OVER_CAP: "more than balance takes in (a category's max, balance.negatives_share)",
    Reason.REJECTED: "a person said in `boxset review` that its category is not in it, and nothing else is known of it",
    Reason.UNUSABLE: "a person said in `boxset review` that it is no picture to learn from",
}


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """What a supplier named: `url` is the address that would be tried for it."""

    url: str
    category: str
    supplier: str
    query: str
    lang: str
    page: int
    place: int  # on the page, from 1
    engine: str
    title: str = ""


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of one labelling job."""

    sha256: str
    job: str
    backend: str
    categories: tuple[str, ...]
    price_usd: float  # its share of what the job costs, or may cost while it is open
    state: str  # labelled, failed, or open
    boxes: dict[str, int]
    why: str = ""
    people: int = 0  # who drew in it, where it is known who drew what
    picture: Picture | None = None  # as far as the ledger knows it


def _nobody_knows(_: Bought) -> Sequence[tuple[str, int]]:
    return ()


@dataclass(frozen=True)
class Records:
    """Everything that the project remembers of its pictures. Whatever was not built is empty."""

    tried: Mapping[str, Sequence[ImageRow]] = field(default_factory=dict)  # `crawl/hammer`, `extract/lvis` → rows
    hits: Sequence[Hit] = ()
    pools: Mapping[str, Pool] = field(default_factory=dict)  # source → what it says
    bought: Sequence[Bought] = ()
    drew: Callable[[Bought], Sequence[tuple[str, int]]] = _nobody_knows  # each thing that people drew: its category, and how many drew it
    merged: Coco | None = None
    dropped: Mapping[str, str] = field(default_factory=dict)  # SHA-256 → reason, in the merge
    conflicts: Mapping[str, Sequence[str]] = field(default_factory=dict)  # SHA-256 → what contradicts what
    dataset: Mapping[str, Coco] = field(default_factory=dict)
    wanted: Mapping[str, int] = field(default_factory=dict)  # category → how many pictures its crawl was to keep
    closed: Mapping[str, Sequence[int]] = field(default_factory=dict)  # SHA-256 → ids of categories to which what people drew adds nothing, as a source has all boxes
    near_frozen: frozenset[str] = frozenset()  # SHA-256 of pictures that the frozen test set keeps out
    decisions: Decisions = NOBODY
    names: Mapping[int, str] = field(default_factory=dict)  # category id → name
    forms: Sequence[Callable[[str], str]] = ()  # of an address, in which spellings of it are equal; each one says so of more than the one before
    not_here: Callable[[], Sequence[str]] = tuple  # outputs that were built and are not on this machine

    @cached_property
    def rows(self) -> list[tuple[str, ImageRow]]:
        """Every row with the place that wrote it."""
        return [(where, row) for where, rows in self.tried.items() for row in rows]

    @cached_property
    def pictures(self) -> list[Picture]:
        """Every picture that was kept somewhere, copies among them."""
        return [row.picture for _, row in self.rows if row.picture is not None]

    @cached_property
    def remembered(self) -> list[str]:
        """Every picture, by SHA-256, that was bought, decided on or looked at, whether or not it is here."""
        looked_at = (row.seen.sha256 for _, row in self.rows if row.seen is not None)
        return sorted({*(one.sha256 for one in self.bought), *self.decisions.by_picture, *self.decisions.taken_down.contents, *looked_at})

    @cached_property
    def hits_of(self) -> dict[str, list[Hit]]:
        """Every hit by its address."""
        return _grouped((hit.url, hit) for hit in self.hits)

    @cached_property
    def image_of(self) -> dict[str, CocoImage]:
        """The merged image of every copy, by the copy's SHA-256."""
        images = self.merged.images if self.merged else ()
        by_origin = {origin: image for image in images for origin in (f"{image.source}:{image.source_id}", *image.also_in)}
        united = {p.sha256: by_origin[origin_of(p)] for p in self.pictures if origin_of(p) in by_origin}
        return united | {image.sha256: image for image in images}

    def called(self, sha256: str) -> str:
        """The merged image that a content is of, by its SHA-256; of no image the content itself."""
        return self.image_of[sha256].sha256 if sha256 in self.image_of else sha256

    @cached_property
    def kept(self) -> dict[str, list[tuple[str, Picture]]]:
        """Every picture that was kept with the place that kept it, all copies by what they are `called`."""
        return _grouped((self.called(row.picture.sha256), (where, row.picture)) for where, row in self.rows if row.picture is not None)

    @cached_property
    def seen(self) -> dict[str, list[tuple[str, ImageRow]]]:
        """Every row that left a picture out after it was looked at, by the picture's SHA-256."""
        return _grouped((row.seen.sha256, (where, row)) for where, row in self.rows if row.seen is not None)

    @cached_property
    def died(self) -> list[tuple[str, ImageRow]]:
        """Every row whose address no longer answered."""
        return [(where, row) for where, row in self.rows if row.died]

    @cached_property
    def said(self) -> dict[str, dict[str, list[Annotation | Presence]]]:
        """What each source says, by the picture's SHA-256."""
        every: dict[str, list[Annotation | Presence]] = {where: [*pool.annotations, *pool.presence] for where, pool in self.pools.items()}
        return {where: _grouped((one.sha256, one) for one in some) for where, some in every.items()}

    @cached_property
    def near(self) -> Counter[int]:
        """How many merged images each group has."""
        return Counter(image.group for image in self.merged.images) if self.merged else Counter()

    @cached_property
    def boxes(self) -> dict[tuple[str, int], list[CocoAnnotation]]:
        """The boxes of the data set by split and the id of their image."""
        return _grouped(((split, a.image_id), a) for split, coco in self.dataset.items() for a in coco.annotations)

    @cached_property
    def placed(self) -> dict[str, tuple[str, CocoImage]]:
        """The split and record of every picture of the data set, by SHA-256."""
        return {image.sha256: (split, image) for split, coco in self.dataset.items() for image in coco.images}


def _grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    found: dict[Key, list[Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def origin_of(picture: Picture) -> str:
    """Return how `also_in` names a picture."""
    return f"{picture.source}:{picture.source_id}"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the picture in one place."""

    where: str
    what: str
    details: tuple[str, ...] = ()
    is_end: bool = False  # it was left out here


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The history of one picture, or of an address that brought none."""

    name: str
    verdict: str
    steps: tuple[Step, ...]


def explain(name: str, records: Records) -> list[Story]:
    """Return the history of every picture or address that a name fits: SHA-256 or its start, file name, address, source's id.

    Raises InputError where nothing is known of it.
    """
    stories = _tried(name, records) or _spelt_otherwise(name, records) or _untried(name, records)
    if not stories:
        raise _unknown(name, records)
    return stories


def _tried(name: str, records: Records) -> list[Story]:
    return [*(_picture_story(sha256, records) for sha256 in _pictures(name, records)), *_lost_stories(name, records)]


def _spelt_otherwise(name: str, records: Records) -> list[Story]:
    """Return the stories of an address that was tried in another spelling, the nearest ones only."""
    urls = list(dict.fromkeys(url for _, row in records.rows for url in _addresses(row) if url)) if "/" in name else []
    for form in records.forms:
        own = form(name)
        same = [story for url in urls if form(url) == own for story in _tried(url, records)]
        if same:
            return list({(story.name, story.verdict): story for story in same}.values())
    return []


def _addresses(row: ImageRow) -> tuple[str, ...]:
    """Return the address that was tried, and the one at which the author published the picture."""
    return (row.url, row.picture.original_url) if row.picture is not None else (row.url,)


def _pictures(name: str, records: Records) -> list[str]:
    """Return the content of each picture that a name fits; united copies once, by the copy that was kept."""
    called = contents_called(name)
    found = [p.sha256 for p in records.pictures if name in _names(p) or _is_own(name, p.source, p.source_id, p.url) or called(p.sha256)]
    found = found or [sha256 for sha256 in records.remembered if called(sha256)]
    return list(dict.fromkeys(map(records.called, found)))


def contents_called(name: str) -> Callable[[str], bool]:
    """Return what tells whether a SHA-256 is meant by its first digits, or by the name or path of a file that is called so."""
    digits = name.rpartition("/")[2].partition(".")[0].lower()
    return lambda sha256: len(digits) >= FEWEST_DIGITS and sha256.startswith(digits)


def _is_own(name: str, source: str, source_id: str, url: str) -> bool:
    """Return whether a name is that of a picture of one's own, whose address is its name and a mark: `SOURCE:NAME`, or a path that ends alike."""
    if not url.startswith(f"{source_id}#"):
        return False
    prefix, colon, rest = name.partition(":")
    path = (rest if colon and prefix == source else name).removeprefix("./")
    return bool(path) and (path == source_id or source_id.endswith(f"/{path}") or path.endswith(f"/{source_id}"))


def _names(picture: Picture) -> set[str]:
    numbers = [f"{kind}:{number}" for kind, number in (("coco", picture.coco_id), ("flickr", picture.flickr_id)) if number]
    addresses = (picture.url, picture.original_url, picture.landing_url, picture.author_url)
    return {picture.source_id, *addresses, origin_of(picture), picture.file_name, *numbers} - {""}


def _unknown(name: str, records: Records) -> InputError:
    by_end = {url.rpartition("/")[2]: url for _, row in records.rows for url in _addresses(row) if url}
    near = get_close_matches(name.rpartition("/")[2], by_end, n=2) if "/" in name else []
    hint = f"; did you mean {' or '.join(by_end[end] for end in near)}?" if near else ""
    do = "Give a SHA-256 or its start, a file name of the data set, the address it came from or was published at, or SOURCE:ID"
    if not_here := records.not_here():
        do = f"{counted(len(not_here), 'folder')} of data/ that may know it {noun(len(not_here), 'is', 'are')} not here: `dvc pull`, then try again"
    return InputError(f"nothing is known of it{hint}", where=name, do=do)


def _picture_story(sha256: str, records: Records) -> Story:
    image = records.image_of.get(sha256)
    copies = records.kept.get(records.called(sha256), [])
    pictures = [p for _, p in copies]
    contents = {p.sha256 for p in pictures} | {sha256}
    steps = [_kept_step(where, p, records) for where, p in copies]
    steps += [_lost_step(where, row, records) for where, row in records.seen.get(sha256, ())] if not copies else []
    steps += [_died_step(where, row) for where, row in records.died if row.picture in pictures]
    steps += [step for where, said in records.said.items() for step in _pool_steps(where, [one for sha in contents for one in said.get(sha, ())])]
    steps += _review_steps(pictures or [one.picture for one in records.decisions.by_picture.get(sha256, ())[:1]], records)
    steps += [Step(where="takedown", what=down_words(one), is_end=True) for one in _downs(sha256, pictures, records)]
    steps += [_bought_step(bought, records) for bought in records.bought if bought.sha256 in contents]
    steps += _merge_steps(sha256, image, records, copies=len(copies))
    steps += _dataset_steps(sha256, image, records)
    return Story(name=sha256, verdict=_verdict(sha256, image, records), steps=tuple(steps))


def _downs(sha256: str, copies: Sequence[Picture], records: Records) -> list[TakenDown]:
    """Return the takedown of a picture, here or not."""
    down = records.decisions.taken_down
    own = [one for one in down.held if one.sha256 == sha256]
    return (own or [one for one in down.of(copies) if one])[:1]


def down_words(one: TakenDown) -> str:
    """Say who took a picture down, when and why."""
    return f"by {one.by} at {one.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC{f': {one.why}' if one.why else ''}"


def copies_told(story: Story, records: Records) -> list[Picture]:
    """Return the pictures that a story tells of, each copy once; one that is not here as far as it is remembered, and without a source where nobody knows it."""
    kept = {p.sha256: p for _, p in records.kept.get(records.called(story.name), ())}
    if kept:
        return [kept[sha256] for sha256 in sorted(kept)]
    left_out = ((where, row, row.seen) for where, row in records.rows if row.seen is not None and story.name in (row.seen.sha256, row.url))
    found = [seen.picture(source=_source_of(where), source_id=row.source_id, url=row.url) for where, row, seen in left_out]
    return (found or _remembered(story.name, records))[:1]


def _remembered(sha256: str, records: Records) -> list[Picture]:
    """Return a picture as those know it who decided on it, drew in it or took it down."""
    found = [decision.picture for decision in records.decisions.by_picture.get(sha256, ())]
    found += [one.picture for one in records.bought if one.sha256 == sha256 and one.picture is not None]
    found += [one.picture for one in records.decisions.taken_down.held if one.sha256 == sha256]
    return [msgspec.structs.replace(picture, source="") for picture in found]


def _source_of(where: str) -> str:
    """Return the source of the pictures of a place: `lvis` of `extract lvis`, `crawl` of every crawl."""
    stage, _, name = where.partition(" ")
    return name if stage == "extract" else stage


def _verdict(sha256: str, image: CocoImage | None, records: Records) -> str:
    found = _placed(sha256, image, records)
    if found:
        split, placed = found
        return f"in the data set: {split}, {counted(len(records.boxes.get((split, placed.id), ())), 'box')}"
    if image is not None:
        return f"left out by balance: {WHY[_reason(image, records)]}" if records.dataset else "merged; the data set is not built yet"
    dropped = _dropped(sha256, records)
    if dropped:
        return f"not in the data set: {dropped}"
    if sha256 in records.kept:
        return "kept; not merged yet"
    if sha256 in records.decisions.taken_down.contents:
        return f"not in the data set: {_why(Reason.TAKEN_DOWN)}"
    seen = records.seen.get(sha256, ())
    return f"left out: {_why(seen[0][1].outcome)}" if seen else "not here: its source or category is gone, or a licence or a reject word keeps its address out now"


def _placed(sha256: str, image: CocoImage | None, records: Records) -> tuple[str, CocoImage] | None:
    """Return where a picture lies in the data set: what it was merged into, else itself or another copy, as a frozen one does whatever is merged."""
    copies = [p.sha256 for _, p in records.kept.get(image.sha256, ())] if image is not None else []
    names = [*([image.sha256] if image is not None else []), sha256, *copies]
    return next((records.placed[name] for name in names if name in records.placed), None)


def _reason(image: CocoImage, records: Records) -> Reason:
    """Return why balance leaves a merged picture out."""
    return Reason.NEAR_FROZEN if image.sha256 in records.near_frozen else Reason.OVER_CAP


def _why(reason: str) -> str:
    """Return a reason with its meaning in words."""
    return f"{reason}: {WHY[Reason(reason)]}" if reason in set(Reason) else reason


def _kept_step(where: str, picture: Picture, records: Records) -> Step:
    found = f", found by {picture.supplier} for “{picture.query}”, rank {picture.rank}" if picture.query else f" {picture.source_id}"
    details = [f"from {picture.url}"]
    if picture.original_url:
        details.append(f"published at {picture.original_url}")
    if picture.landing_url:
        details.append(f"shown on {picture.landing_url}")
    details += [f"titled “{picture.title}”"] if picture.title else []
    size = f"{picture.width} x {picture.height}"
    author = " ".join(filter(None, (picture.author, picture.author_url)))
    details.append(f"{size}, licence {picture.license or 'unknown'}{f', by {author}' if author else ''}")
    details += [f"looks like: {', '.join(picture.flags)}"] if picture.flags else []
    details += _hit_lines(picture.url, records)
    return Step(where=where, what=f"kept as {picture.file_name[:12]}…{found}", details=tuple(details))


def _died_step(where: str, row: ImageRow) -> Step:
    return Step(where=where, what=f"{row.url} no longer answered when `crawl.refresh` was {row.died}; the picture stays")


def _hit_lines(url: str, records: Records) -> list[str]:
    return [_hit_line(hit) for hit in records.hits_of.get(url, ())]


def _hit_line(hit: Hit) -> str:
    return f"result {hit.place} on page {hit.page} of {hit.supplier} ({hit.engine or 'no engine named'}) for “{hit.query}”, {hit.category}"


def _lost_stories(name: str, records: Records) -> list[Story]:
    """Return one story for each address that a name fits and that brought no picture, wherever it was tried."""
    by_url: dict[str, list[tuple[str, ImageRow]]] = {}
    for where, row in records.rows:
        if row.picture is None and (name in (row.url, row.source_id) or _is_own(name, where.rpartition(" ")[2], row.source_id, row.url)):
            by_url.setdefault(row.url or row.source_id, []).append((where, row))
    return [
        Story(name=url, verdict=f"left out: {_why(rows[0][1].outcome)}", steps=tuple(_lost_step(where, row, records) for where, row in rows))
        for url, rows in by_url.items()
    ]


def _lost_step(where: str, row: ImageRow, records: Records) -> Step:
    details = [f"what was seen: {row.detail}"] if row.detail else []
    down = records.decisions.taken_down.named(row.url, f"{_source_of(where)}:{row.source_id}") if row.outcome == Reason.TAKEN_DOWN else None
    details += [down_words(down)] if down else []
    details += [f"the one that was kept: {story.name}, {story.verdict}" for story in _twin(row, records)]
    details += _first_spelling(where, row, records)
    own = where.partition(" ")[2]
    details += [line for line in _hit_lines(row.url, records) if line.endswith(f", {own}")]
    return Step(where=where, what=f"left out, {_why(row.outcome)}", details=tuple(details), is_end=True)


def _first_spelling(where: str, row: ImageRow, records: Records) -> list[str]:
    """Say what became of the address that one was left out for, where that one was left out too."""
    first = [one for one in records.tried[where] if one.url == row.detail and one.picture is None] if row.outcome == Reason.DUPLICATE_ADDRESS else []
    return [f"that one: left out, {_why(one.outcome)}" for one in first]


def _twin(row: ImageRow, records: Records) -> list[Story]:
    """Return the history of the picture that a duplicate was left out for; its detail names that one's address."""
    if row.outcome not in (Reason.DUPLICATE, Reason.DUPLICATE_ADDRESS):
        return []
    return [_picture_story(p.sha256, records) for p in records.pictures if row.detail and row.detail in (p.url, p.sha256)][:1]


def _untried(name: str, records: Records) -> list[Story]:
    """Return a story for an address that suppliers named and nobody tried."""
    hits: Sequence[Hit] = records.hits_of.get(name, ())
    for form in records.forms if "/" in name else ():
        own = form(name)
        hits = hits or [hit for hit in records.hits if form(hit.url) == own]
    steps = [
        Step(where="crawl", what=_untried_why(category, records), details=tuple(_hit_line(hit) for hit in hits if hit.category == category), is_end=True)
        for category in dict.fromkeys(hit.category for hit in hits)
    ]
    return [Story(name=hits[0].url, verdict="found, and not tried", steps=tuple(steps))] if hits else []


def _untried_why(category: str, records: Records) -> str:
    """Say why a crawl did not come to an address, as far as its own numbers bear it out."""
    kept = sum(row.picture is not None for row in records.tried.get(f"crawl {category}", ()))
    wanted = records.wanted.get(category, 0)
    if wanted and kept >= wanted:
        return f"found, and not tried: enough good pictures came before it ({kept:,} of {wanted:,})"
    return f"found, and not tried: the crawl has not come to it ({kept:,} kept{f' of {wanted:,}' if wanted else ''})"


def _pool_steps(where: str, found: Sequence[Annotation | Presence]) -> list[Step]:
    boxes = Counter(one.category for one in found if isinstance(one, Annotation))
    said = {state: sorted({one.category for one in found if isinstance(one, Presence) and one.state is state}) for state in State}
    words = {State.PRESENT: "every one boxed", State.PARTIAL: "may lack a box", State.ABSENT: "verified absent"}
    details = [f"{words[state]}: {', '.join(names)}" for state, names in said.items() if names]
    if not boxes and not details:
        return []
    told = ", ".join(f"{n} {name}" for name, n in sorted(boxes.items())) or "no boxes"
    return [Step(where=where, what=f"says: {told}", details=tuple(details))]


def _review_steps(pictures: Sequence[Picture], records: Records) -> list[Step]:
    """Say what holds for each category, and who decided it when, about the picture or any copy of it."""
    every = [decision for review in records.decisions.of(pictures) for decision in review.by_category.values()]
    return [Step(where="review", what=_decided(decision, records)) for _, decision in sorted(review_of(every).by_category.items())]


def _decided(decision: Decision, records: Records) -> str:
    category = records.names.get(decision.category_id, f"category {decision.category_id}")
    return f"{category}: {decision.words}, by {decision.by} at {decision.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _bought_step(bought: Bought, records: Records) -> Step:
    asked = f"asked about {', '.join(bought.categories)} in {bought.job} ({bought.backend}) for {money(bought.price_usd, to_the_mill=True)}"
    told = ", ".join(f"{n} {name}" for name, n in sorted(bought.boxes.items())) or "none of them is there"
    answers = {"labelled": f"answered: {told}", "failed": f"failed: {bought.why or 'no reason given'}"}
    return Step(where="label", what=asked, details=(answers.get(bought.state, "not answered yet"), *_drew_lines(bought, records), *_known_lines(bought, records)))


def _known_lines(bought: Bought, records: Records) -> list[str]:
    """Say of which categories people's answer is measured, and comes into no data set."""
    names = [name for number, name in records.names.items() if number in records.closed.get(bought.sha256, ())]
    return [f"a known picture: what its sources say of {', '.join(names)} holds, and what people drew of that shows how well they draw"] if names else []


def _drew_lines(bought: Bought, records: Records) -> list[str]:
    """Say how many of the people who drew in a picture drew each thing."""
    if not bought.people:
        return []
    return [f"of {bought.people} people who drew: {'; '.join(f'{category} by {many}' for category, many in records.drew(bought)) or 'nothing'}"]


def _merge_steps(sha256: str, image: CocoImage | None, records: Records, *, copies: int) -> list[Step]:
    if image is None:
        dropped = _dropped(sha256, records)
        return [Step(where="merge", what=f"left out, {dropped}", is_end=True)] if dropped else []
    what = f"the best of {copies} copies: {image.source} {image.source_id}" if copies > 1 else "the only copy"
    details = [f"also in {other}" for other in image.also_in]
    near = records.near[image.group] - 1
    details += [f"{counted(near, 'picture')} much like it, in the same split"] if near > 0 else []
    details += [f"contradiction: {line}" for line in records.conflicts.get(image.sha256, ())]
    return [Step(where="merge", what=what, details=tuple(details))]


def _dropped(sha256: str, records: Records) -> str:
    """Say why the merge left a picture out; nothing where it did not."""
    reason = records.dropped.get(sha256)
    if reason == Reason.UNLABELLED and any(one.sha256 == sha256 and one.state == "labelled" for one in records.bought):
        return f"{reason}: its answer is newer than this merge, and `dvc repro` takes it in, or it is about no category of now"
    return _why(reason) if reason else ""


def _dataset_steps(sha256: str, image: CocoImage | None, records: Records) -> list[Step]:
    found = _placed(sha256, image, records)
    if found is None and (image is None or not records.dataset):
        return []
    if found is None:
        assert image is not None
        return [Step(where="balance", what=f"left out, {_why(_reason(image, records))}", is_end=True)]
    split, placed = found
    coco = records.dataset[split]
    names = {c.id: c.name for c in coco.categories}
    boxes = records.boxes.get((split, placed.id), ())
    lines = [f"{names[a.category_id]} [{', '.join(f'{v:.1f}' for v in a.bbox)}] from {a.source}{' (crowd)' if a.iscrowd else ''}" for a in boxes]
    frozen = [] if image is not None and image.sha256 == placed.sha256 else ["as it was frozen (split.freeze_test), whatever is merged now"]
    return [Step(where="balance", what=f"image {placed.id}, data/dataset/images/{split}/{placed.file_name}", details=(*frozen, *lines))]

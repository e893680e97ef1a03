"""Whether the picture of an address is kept: by what its hit tells, by what it is, and by what is kept already. docs/crawl.md has the rules."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec
import numpy as np

from boxset.dataset.photos import flickr_photo
from boxset.dataset.reasons import Reason, Refusal
from boxset.dataset.records import CRAWL, KEPT, UNSTATED, ImageRow, Picture, Seen, known_of
from boxset.dataset.similar import mirrored, same_mirrored, same_picture
from boxset.dataset.takedown import NOTHING_DOWN, Takedowns
from boxset.params import Crawl
from boxset.resolve import CrawlOrder
from boxset.sources.licences import allowed
from boxset.web.addresses import ADDRESS_LENGTH, site_of, vetted
from boxset.web.pictures import Outcome, Stored
from boxset.web.suppliers import Hit
from boxset.web.thumbnails import is_thumbnail
from boxset.web.words import folded, pattern_of


@dataclass(frozen=True)
class Candidate:
    """An address to be tried, and how it was found."""

    url: str
    hit: Hit
    query: str
    supplier: str
    rank: int  # its place in the order of trying, from 1
    place: tuple[int, int]  # the turn of asking that it came from
    refusal: Refusal | None = None  # why it is left out without being asked
    repeated: int = 0  # hits before it, after the last one, that named an address once more

    def left_out(self, refusal: Refusal) -> ImageRow:
        """Return its row where it is left out."""
        return ImageRow(source_id=self.url, url=self.url, outcome=refusal.reason, detail=refusal.detail)


@dataclass
class Kept:
    """The pictures kept so far, for telling duplicates and full sites."""

    near_bits: int
    held: dict[str, Picture] = field(default_factory=dict)  # by address: people were asked about them, so that they stay
    pictures: list[Picture] = field(default_factory=list)
    urls: set[str] = field(default_factory=set)
    sites: dict[str, int] = field(default_factory=dict)
    _stays: Any = None
    _hashes: Any = field(default_factory=lambda: np.empty(1024, dtype=np.uint64))

    def __post_init__(self) -> None:
        self._stays = np.array([int(picture.phash, 16) for picture in self.held.values()], dtype=np.uint64)

    def has(self, url: str) -> bool:
        """Return whether the picture of an address is kept, or stays."""
        return url in self.urls or url in self.held

    def add(self, picture: Picture) -> None:
        """Keep one more."""
        if len(self.pictures) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._hashes[len(self.pictures)] = int(picture.phash, 16)
        self.pictures.append(picture)
        self.urls.add(picture.url)
        self.sites[site_of(picture.url)] = self.sites.get(site_of(picture.url), 0) + 1

    def twin(self, picture: Picture) -> Picture | None:
        """Return a picture that this one is a copy of, as it is or mirrored: one that is kept, or that stays."""
        for phash, is_copy in ((picture.phash, same_picture), (mirrored(picture).phash, same_mirrored)):
            found = next((other for other in self._near(phash) if is_copy(picture, other, self.near_bits)), None)
            if found is not None:
                return found
        return None

    def _near(self, phash: str) -> Iterator[Picture]:
        own = np.uint64(int(phash, 16))
        kept = np.flatnonzero(np.bitwise_count(self._hashes[: len(self.pictures)] ^ own) <= self.near_bits)
        yield from (self.pictures[i] for i in kept)
        if self.held:
            stays = np.flatnonzero(np.bitwise_count(self._stays ^ own) <= self.near_bits)
            held = list(self.held.values()) if len(stays) else []
            yield from (held[i] for i in stays)


class Judge:
    """Decides, in rank order, whether an address's picture is kept."""

    def __init__(self, order: CrawlOrder, settings: Crawl, kept: Kept, down: Takedowns = NOTHING_DOWN) -> None:
        self._order, self._settings, self._kept, self._down = order, settings, kept, down
        self._rejected = [(word, pattern) for word in order.reject_words if (pattern := pattern_of(word)) is not None]

    def address(self, hit: Hit) -> tuple[str, Refusal | None]:
        """Return the address to try for a hit, or the one that it names and why that is not asked."""
        plain = vetted(hit.url) if hit.url else Refusal(Reason.THUMBNAIL, "no original")
        if isinstance(plain, str):
            return plain, None
        small = vetted(hit.thumbnail) if hit.thumbnail else plain
        if isinstance(small, str):
            return small, None if self._settings.thumbnails == "flag" or small in self._kept.held else Refusal(Reason.THUMBNAIL, "no original")
        return (hit.url or hit.thumbnail)[:ADDRESS_LENGTH], plain if hit.url else small

    def before(self, candidate: Candidate) -> Refusal | None:
        """Return why an address is not asked, as far as its hit tells."""
        if candidate.hit.mime:
            return Refusal(Reason.NOT_AN_IMAGE, candidate.hit.mime)
        return self._unwanted(candidate.hit, candidate.url)

    def _unwanted(self, hit: Hit | Picture, url: str) -> Refusal | None:
        if self._down.named(url) or (isinstance(hit, Picture) and self._is_down(hit)):
            return Refusal(Reason.TAKEN_DOWN)
        text = folded(f"{hit.title} {unquote(url)} {unquote(hit.landing_url)}") if self._rejected else ""
        word = next((word for word, pattern in self._rejected if pattern.search(text)), None)
        if word is not None:
            return Refusal(Reason.REJECT_WORD, word)
        if not allowed(hit.license, self._order.use, self._order.licences):
            return Refusal(Reason.LICENCE, hit.license or UNSTATED)
        return None

    def _is_down(self, picture: Picture) -> bool:
        return self._down.of([picture])[0] is not None

    def full_site(self, candidate: Candidate) -> Refusal | None:
        """Return a refusal where enough pictures of the address's site are kept."""
        site = site_of(candidate.url)
        is_full = bool(self._settings.per_site) and self._kept.sites.get(site, 0) >= self._settings.per_site
        return Refusal(Reason.SITE_LIMIT, site) if is_full and candidate.url not in self._kept.held else None

    def row(self, candidate: Candidate, outcome: Outcome) -> ImageRow:
        """Return the row of one address that was asked, or is known."""
        full = self.full_site(candidate)
        if full is not None:
            return candidate.left_out(full)
        if outcome.stored is None:
            detail, tried = outcome.detail, self._settings.retry
            return ImageRow(source_id=candidate.url, url=candidate.url, outcome=outcome.outcome, detail=detail, tried=tried)
        verdict = self._verdict(candidate, outcome.stored)
        seen = Seen(**known_of(outcome.stored), animated=outcome.stored.animated)
        row = verdict if isinstance(verdict, ImageRow) else msgspec.structs.replace(candidate.left_out(verdict), seen=seen)
        return msgspec.structs.replace(row, looks=outcome.stored.looks)

    def passes(self, candidate: Candidate, outcome: Outcome) -> bool:
        """Return whether a picture would be kept if it were no copy of another."""
        stored = outcome.stored
        if stored is None or self._is_down(_picture(candidate, stored, self._order.category, ())):
            return False
        return candidate.url in self._kept.held or self._refusal(stored, self._thumbnail(candidate, stored)) is None

    def wanted(self, picture: Picture) -> bool:
        """Return whether neither words, the licence policy nor its owner take a picture out that people were asked about."""
        return self._unwanted(picture, picture.url) is None

    def held_row(self, picture: Picture) -> ImageRow:
        """Return the row of a picture that stays; only words, the licence policy and its owner take it out."""
        refusal = self._unwanted(picture, picture.url)
        if refusal is not None:
            return ImageRow(source_id=picture.url, url=picture.url, outcome=refusal.reason, detail=refusal.detail)
        return ImageRow(source_id=picture.url, url=picture.url, outcome=KEPT, picture=picture)

    def _verdict(self, candidate: Candidate, stored: Stored) -> ImageRow | Refusal:
        is_held = candidate.url in self._kept.held
        flags = self._thumbnail(candidate, stored)
        refused = None if is_held else self._refusal(stored, flags)
        if refused is not None:
            return refused
        flags += [name for name, policy in self._policies() if name in stored.looks and policy == "flag"]
        picture = _picture(candidate, stored, self._order.category, tuple(flags))
        if self._is_down(picture):
            return Refusal(Reason.TAKEN_DOWN)
        twin = None if is_held else self._kept.twin(picture)
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

    def _thumbnail(self, candidate: Candidate, stored: Stored) -> list[str]:
        size, promised = (stored.width, stored.height), (candidate.hit.width, candidate.hit.height)
        return [] if candidate.hit.url and not is_thumbnail(candidate.url, size, promised) else ["thumbnail"]


def _picture(candidate: Candidate, stored: Stored, category: str, flags: tuple[str, ...]) -> Picture:
    hit = candidate.hit
    return Picture(
        **known_of(stored),
        source=CRAWL,
        source_id=candidate.url,
        url=candidate.url,
        landing_url=hit.landing_url,
        license=hit.license,
        author=hit.author,
        author_url=hit.author_url,
        title=hit.title,
        flickr_id=flickr_photo(candidate.url) or "",
        flags=flags,
        category=category,
        query=candidate.query,
        supplier=candidate.supplier,
        engine=hit.engine,
        rank=candidate.rank,
    )

"""`boxset review`: sort a category's pictures before any of them is bought."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import InputError
from boxset.terminal import console, say
from boxset.wording import counted

if TYPE_CHECKING:
    from boxset.assemble.freeze import Futile
    from boxset.compare.sightings import Sightings
    from boxset.dataset.decisions import Decisions
    from boxset.dataset.records import Picture
    from boxset.params import Params

DATA, LEDGER, DECISIONS = Path("data"), Path("ledger"), Path("decisions")
AFTER = f"{DECISIONS}/review.jsonl: commit it, then `dvc repro`"


@click.command()
@click.argument("categories", nargs=-1, metavar="CATEGORY")
@click.option("--list", "is_list", is_flag=True, help="Print what was decided, and how many pictures wait; without CATEGORY, of all.")
@click.option("--from", "file", type=click.Path(dir_okay=False, path_type=Path), help="Take decisions from a CSV file (sha256, verdict, reason).")
@click.option("--by", default="", help="Who decides; your name in git if left out.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="The port of the page; a free one if left out.")
def command(categories: tuple[str, ...], *, is_list: bool, file: Path | None, by: str, port: int) -> None:
    """Look at the pictures found for CATEGORY and say yes, no or unusable, before labels are bought.

    Opens a page on this machine, in the order in which `boxset label plan` would buy; docs/review.md has its keys.
    Every decision stands in decisions/review.jsonl before the page shows it.
    """
    from boxset.params import category_key, read_params

    params = read_params()
    categories = tuple(category_key(word, params) for word in categories)
    if is_list and file is not None:
        raise click.UsageError("--list prints, --from takes in: one of them")
    if is_list:
        _print_list(params, categories or tuple(params.categories))
        return
    if len(categories) != 1:
        raise click.UsageError("name one category")
    if file is not None:
        _take_in(params, categories[0], file, by=by)
    else:
        _look(params, categories[0], by=by, port=port)


def _look(params: "Params", category: str, *, by: str, port: int) -> None:
    from boxset.dataset.decisions import read_decisions
    from boxset.review.server import Desk, serving
    from boxset.review.session import Session, summary

    name = decider(by)
    pictures = _Found(params).to_review(read_decisions(DECISIONS))[category]
    if not pictures:
        say(f"no picture waits for review in {category}: `boxset review {category} --list` says what was decided; more come with queries or crawl_images")
        return
    session = Session(category, params.categories[category].id, pictures, name, DECISIONS, decided_now)
    desk = Desk(session, Path())
    with serving(desk, port) as address:
        say(f"{category}: {counted(len(pictures), 'picture waits', 'pictures wait')} for review by {name}")
        say(f"open  {address}")
        say("“done” on the page, or Ctrl-C here, ends it; nothing is lost in either case")
        try:
            while not desk.done.wait(0.5):
                pass
        except KeyboardInterrupt:
            say()
    say(summary(session.counts(), session.written))
    if session.written:
        say(AFTER)


def _take_in(params: "Params", category: str, file: Path, *, by: str) -> None:
    from boxset.dataset.decisions import append_decisions, read_decisions
    from boxset.files import sole_writer
    from boxset.review.takein import taken_in

    name, pictures = decider(by), {picture.sha256: picture for picture in _Found(params).pictures}
    with sole_writer(DECISIONS):
        found = taken_in(file, params.categories[category].id, pictures, read_decisions(DECISIONS), by=name, at=decided_now())
        if found:
            append_decisions(found, DECISIONS)
    counts = Counter(str(decision.verdict) for decision in found)
    told = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items(), reverse=True))
    say(f"{told} by {name} in {AFTER}" if found else "nothing new: all of it was decided so before")


def _print_list(params: "Params", categories: tuple[str, ...]) -> None:
    from rich.table import Table
    from rich.text import Text

    from boxset.dataset.decisions import UNUSABLE, read_decisions

    decisions = read_decisions(DECISIONS)
    waiting = {name: f"{len(some):,}" for name, some in _Found(params).to_review(decisions).items()} if _is_found() else {}
    tallies = {name: decisions.tally(params.categories[name].id) for name in categories}
    reasons = [reason for reason in UNUSABLE if any(tally[f"unusable ({reason})"] for tally in tallies.values())]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("category", "yes", "no", *reasons, "waiting", "by"):
        table.add_column(title, justify="left" if title in ("category", "by") else "right")
    for name, tally in tallies.items():
        people = Counter(one.by for one in decisions.of_category(params.categories[name].id))
        counts = [tally["yes"], tally["no"], *(tally[f"unusable ({reason})"] for reason in reasons)]
        who = ", ".join(f"{person} {count:,}" for person, count in sorted(people.items(), key=lambda item: (-item[1], item[0])))
        table.add_row(name, *(f"{count:,}" for count in counts), waiting.get(name, "–"), Text(who or "–"))
    terminal = console(highlight=False)
    terminal.print(table)
    if reasons:
        terminal.print(f"unusable: {', '.join(reasons)}", style="dim")


def _is_found() -> bool:
    return any(DATA.glob("crawl/*/images.jsonl")) or any(DATA.glob("extract/*/annotations.json"))


class _Found:
    """The pictures that crawls and sources found, as they lie in data/."""

    def __init__(self, params: "Params") -> None:
        from boxset.dataset.records import read_crawled, read_extracted
        from boxset.dataset.refused import refused_in
        from boxset.labeling.ledger import read_ledger
        from boxset.resolve import ids_of

        self.params, self.ids, self.ledger = params, ids_of(params), read_ledger(LEDGER)
        self.crawled, self.pools = read_crawled(DATA), read_extracted(DATA)
        self.refused = refused_in(DATA)
        if not _is_found():
            raise InputError("nothing was found yet", where=str(DATA), do="`dvc repro label` searches and fetches; in a clone, `dvc pull`")

    @property
    def pictures(self) -> "list[Picture]":
        """Return every picture once."""
        from boxset.labeling.answers import current_pictures

        return current_pictures(self.crawled, self.pools.values())

    def to_review(self, decisions: "Decisions") -> "dict[str, list[Picture]]":
        """Return the pictures of each category that wait for review, in the order of the plan."""
        from boxset.labeling.plan import Stock, to_review

        stock = Stock(self.crawled, list(self.pools.values()), self.refused, decisions, self._sees(), self._futile())
        return to_review(self.ledger, self.ids, self.params.label, stock)

    def _futile(self) -> "Futile":
        """Return the pictures that the plan leaves out as `balance` would, for a frozen test set."""
        from boxset.dataset.coco import read_coco
        from boxset.freezing import denied_by_merge, futile_labels

        path, version = DATA / "merge/annotations.json", self.params.split.freeze_test
        merged = {image.sha256 for image in read_coco(path).images} if version and path.exists() else set()
        return futile_labels(version, self.params, self.pools, self.crawled, ids=self.ids, merged=merged, refused=denied_by_merge(DATA))

    def _sees(self) -> "Sightings":
        """Return what a detector sees in the pictures, which the plan goes by."""
        from boxset.compare.sightings import NO_SIGHTINGS, sightings
        from boxset.dataset.coco import read_coco
        from boxset.predictions.store import read_folder

        named = {identity.id: name for name, identity in self.ids.categories.items()}
        merged, seen = DATA / "merge/annotations.json", read_folder(categories=named)
        return sightings(read_coco(merged), seen, list(named)) if seen.pictures and merged.exists() else NO_SIGHTINGS


def decider(by: str) -> str:
    """Return who decides: the name given, else git's. Raises InputError where there is none."""
    from boxset.dataset.decisions import MAX_NAME
    from boxset.history import user_name
    from boxset.text import cleaned

    found = cleaned(by or user_name()).strip()[:MAX_NAME]
    if not found:
        raise InputError("nobody is named to have decided it", where="--by", do='Give a name, or `git config user.name "Your Name"`')
    return found


def decided_now() -> datetime:
    """Return the time as decisions have it, in whole milliseconds."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)

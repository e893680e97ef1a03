"""`boxset explain`: the whole history of one picture, or where it was left out."""

import re
from collections import Counter
from contextlib import suppress
from errno import ENAMETOOLONG
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from boxset.errors import BoxsetError, InputError
from boxset.terminal import console, say

if TYPE_CHECKING:
    from boxset.compare.explain import Bought, Hit, Records, Story
    from boxset.labeling.ledger import Job, Ledger
    from boxset.web.suppliers import Answer
    from boxset.web.suppliers import Hit as Found

MANY = 5
TOLD_IN = ("data/crawl/", "data/extract/", "data/merge", "data/dataset")  # outputs that tell of pictures


@click.command()
@click.argument("picture")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--all", "show_all", is_flag=True, help=f"Show every picture that fits, not the first {MANY}.")
def command(picture: str, *, as_json: bool, show_all: bool) -> None:
    """Tell the whole history of a PICTURE: found where, fetched, labelled at what price, merged with what, in which split; or left out why.

    PICTURE is a SHA-256 or its first digits, a file name, the address it came from or was published at, its page or its author's, SOURCE:ID, or a
    picture file of your own.
    """
    stories = stories_of(picture, read_records(Path()))
    if as_json:
        import msgspec

        say(msgspec.json.format(msgspec.json.encode(stories)).decode())
        return
    terminal = console(highlight=False)
    for story in stories if show_all else stories[:MANY]:
        _print(terminal, story)
    if len(stories) > MANY and not show_all:
        terminal.print(f"and {len(stories) - MANY:,} more: --all shows them")


def stories_of(picture: str, records: "Records") -> "list[Story]":
    """Return the stories of a file by its content, else by its name: one that was left out unread is known by its name alone."""
    from boxset.compare.explain import explain

    name = _name_of(picture)
    if name != picture:
        with suppress(InputError):
            return explain(name, records)
    return explain(picture, records)


def _name_of(picture: str) -> str:
    """Return the SHA-256 as stored of a file that is here, else the name as it is."""
    path = file_called(picture)
    if path is None or re.fullmatch(r"[0-9a-f]{64}\..+", path.name):
        return picture
    from boxset.files import read_bytes
    from boxset.images.prepare import Prepared, prepare

    prepared = prepare(read_bytes(path))
    return prepared.sha256 if isinstance(prepared, Prepared) else picture


def file_called(name: str) -> Path | None:
    """Return the file of this name that is here; None where there is none, as for an address that is longer than a file's name can be."""
    path = Path(name)
    try:
        return path if path.is_file() else None
    except OSError as err:
        if err.errno != ENAMETOOLONG:
            raise
        return None


def _print(terminal: Any, story: "Story") -> None:
    from rich.text import Text

    is_in = story.verdict.startswith("in the data set")
    terminal.print(Text(story.name, style="bold"))
    terminal.print(Text(story.verdict, style="green" if is_in else "yellow"), soft_wrap=True)
    for step in story.steps:
        terminal.print(Text.assemble("  ", ("✗ " if step.is_end else "• ", "red" if step.is_end else "green"), (f"{step.where}  ", "bold"), step.what), soft_wrap=True)
        for detail in step.details:
            terminal.print(Text(f"      {detail}", style="dim"), soft_wrap=True)
    terminal.print()


def read_records(root: Path) -> "Records":
    """Read all that the project remembers of its pictures; whatever was not built is empty."""
    from boxset.assemble.merge import Conflict, Dropped
    from boxset.compare.explain import Records
    from boxset.dataset.coco import read_coco
    from boxset.dataset.decisions import read_decisions
    from boxset.dataset.records import ImageRow, read_pool
    from boxset.dataset.takedown import FOLDER
    from boxset.files import read_jsonl
    from boxset.freezing import read_record
    from boxset.labeling.gold import read_known
    from boxset.labeling.ledger import read_ledger
    from boxset.report.data import read_dataset

    data, ledger = root / "data", read_ledger(root / "ledger")
    rows = sorted([*data.glob("extract/*/images.jsonl"), *data.glob("crawl/*/images.jsonl")])
    merged = data / "merge/annotations.json"
    conflicts: dict[str, list[str]] = {}
    for one in read_jsonl(data / "merge/conflicts.jsonl", Conflict):
        conflicts.setdefault(one.sha256, []).append(f"{one.what}: kept {one.kept}, against {one.other}")
    return Records(
        tried={_where(path): read_jsonl(path, ImageRow) for path in rows},
        hits=_hits(data),
        pools={_where(path): read_pool(path) for path in sorted(data.glob("extract/*/annotations.json"))},
        bought=[one for job in ledger.jobs.values() for one in _bought_in(job)],
        drew=lambda bought: _drew(ledger, bought),
        merged=read_coco(merged) if merged.exists() else None,
        dropped={one.sha256: one.reason for one in read_jsonl(data / "merge/dropped.jsonl", Dropped)},
        conflicts=conflicts,
        dataset=read_dataset(data / "dataset"),
        wanted={path.stem: _wanted(path) for path in sorted((root / "metrics/crawl").glob("*.json"))},
        decisions=read_decisions(root / FOLDER),
        names=_names(data),
        closed={sha256: one.closed for sha256, one in read_known(data / "label").items()},
        forms=(_plain, _key),
        near_frozen=frozenset(one.sha256 for one in record.near) if (record := read_record(data / "dataset")) else frozenset(),
        not_here=lambda: _not_here(root),
    )


def _not_here(root: Path) -> list[str]:
    """Return the folders that tell of pictures, were built, and are not on this machine; none where that cannot be read."""
    from boxset.params import read_params
    from boxset.stage import outputs_not_here

    params = None
    with suppress(BoxsetError):
        params = read_params(root / "params.yaml")
    with suppress(BoxsetError):
        return [path for path in outputs_not_here(root, params) if path.startswith(TOLD_IN)]
    return []


def _names(data: Path) -> dict[int, str]:
    from boxset.files import read_json
    from boxset.resolve import Ids

    path = data / "resolve/ids.json"
    return {identity.id: name for name, identity in read_json(path, Ids).categories.items()} if path.exists() else {}


def _wanted(path: Path) -> int:
    from boxset.files import read_json

    wanted = read_json(path, dict[str, Any]).get("wanted", 0)
    return wanted if isinstance(wanted, int) else 0


def _plain(address: str) -> str:
    """Return the form in which an address is asked; what is never asked in the form in which it is written down."""
    from boxset.text import visible
    from boxset.web.addresses import ADDRESS_LENGTH, vetted

    plain = vetted(address)
    return plain if isinstance(plain, str) else visible(address.strip())[:ADDRESS_LENGTH]


def _key(address: str) -> str:
    from boxset.web.addresses import dedup_key, vetted

    plain = vetted(address)
    return dedup_key(plain) if isinstance(plain, str) else _plain(address)


def _where(path: Path) -> str:
    return f"{path.parent.parent.name} {path.parent.name}"


def _hits(data: Path) -> "list[Hit]":
    from boxset.files import read_jsonl
    from boxset.web.suppliers import Answer

    paths = sorted(data.glob("crawl/*/results.jsonl"))
    return [hit for path in paths for answer in read_jsonl(path, Answer) for hit in _hits_of(answer, path.parent.name)]


def _hits_of(answer: "Answer", category: str) -> "list[Hit]":
    from boxset.compare.explain import Hit

    page: dict[str, Any] = {"category": category, "supplier": answer.supplier, "query": answer.q, "lang": answer.lang, "page": answer.page}
    return [Hit(url=_address(hit), place=place, engine=hit.engine, title=hit.title, **page) for place, hit in enumerate(answer.hits, 1)]


def _address(hit: "Found") -> str:
    """Return the address that a crawl tries for a hit."""
    from boxset.web.addresses import vetted

    for named in (hit.url, hit.thumbnail):
        plain = vetted(named) if named else None
        if isinstance(plain, str):
            return plain
    return _plain(hit.url or hit.thumbnail)


def _bought_in(job: "Job") -> "list[Bought]":
    from boxset.compare.explain import Bought
    from boxset.labeling.asked import as_picture

    price = round(job.committed_mills / 1000 / max(1, len(job.asked)), 4)
    bought: dict[str, Any] = {"job": job.name, "backend": job.reserved.backend, "categories": tuple(job.reserved.categories), "price_usd": price}
    return [Bought(sha256=asked.sha256, picture=as_picture(asked), **bought, **_answer(job, asked.sha256)) for asked in job.asked]


def _answer(job: "Job", sha256: str) -> "dict[str, Any]":
    from boxset.labeling.agreement import are_comparable

    answer = job.answers.get(sha256)
    if answer is None:
        return {"state": "failed" if job.closed else "open", "boxes": {}, "why": "the job ended without an answer"}
    drawings = job.drawings.get(sha256, ())
    boxes = Counter(_called(drawn.category_id, job) for drawn in answer.boxes)
    return {"state": answer.state, "boxes": dict(boxes), "why": answer.why, "people": len(drawings) if are_comparable(drawings) else 0}


def _drew(ledger: "Ledger", bought: "Bought") -> list[tuple[str, int]]:
    from boxset.labeling.agreement import things

    job = ledger.jobs[bought.job]
    return [(_called(thing.category_id, job), len(thing.people)) for thing in things(job.drawings[bought.sha256])]


def _called(category_id: int, job: "Job") -> str:
    return job.reserved.names.get(category_id, f"category {category_id}")

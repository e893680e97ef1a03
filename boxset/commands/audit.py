"""`boxset audit`: where the boxes of a data set are from, what they cost, and under which terms."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import InputError, did_you_mean
from boxset.terminal import console, print_whole, say
from boxset.wording import boxes_and_crowds, money

if TYPE_CHECKING:
    from boxset.compare.audit import Origin, Traced
    from boxset.sources.terms import Passing

NUMBERS = ("boxes", "crowds", "pictures", "cost", "cost elsewhere", "a box")


@click.command()
@click.option("--origin", default="", help="Only what this source or labelling job brought.")
@click.option("--category", default="", help="Only boxes of this category, by its key or name.")
@click.option("--rev", default=None, help="A version of before: a commit, tag or branch.")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write a row for each box: where it is from, its cost, its terms.")
def command(origin: str, category: str, rev: str | None, file: Path | None) -> None:
    """Say where the boxes of the data set are from: sources and labelling jobs, what each cost, whom to credit, and what may be passed on."""
    from boxset.api import read_version
    from boxset.compare.audit import by_origin, trace
    from boxset.dataset.coco import category_name
    from boxset.formats.sharing import passing_of
    from boxset.labeling.costs import per_job, per_picture
    from boxset.labeling.ledger import read_ledger
    from boxset.params import read_params
    from boxset.resolve import formats_of
    from boxset.sources.terms import asks, box_terms

    formats, version = formats_of(read_params()), read_version(rev)
    if category:
        category = category_name(category, (one for part in version.values() for one in part.categories), where="data/dataset")
    ledger = read_ledger(Path("ledger"))
    every = trace(version, per_picture(ledger), terms=lambda source: box_terms(source, formats)[:2], asks=asks)
    spent = per_job(ledger)
    _check_origin(origin, {row.origin for row in every} | spent.keys())
    rows = [row for row in every if origin in ("", row.origin) and category in ("", row.category)]
    if file is not None:
        _write(file, rows)
        crowds = sum(row.iscrowd for row in rows)
        say(f"{file}: {boxes_and_crowds(len(rows) - crowds, crowds)}")
        return
    only = {name: usd for name, usd in spent.items() if origin in ("", name)} if not category else {}
    is_whole = not (origin or category)
    shown = {row.file_name for row in rows}
    pictures = [passing for name, passing in passing_of(version, formats).items() if is_whole or name in shown]
    _print(by_origin(rows, only), pictures, with_rest=bool(only))


def _check_origin(name: str, known: set[str]) -> None:
    if name and name not in known:
        raise InputError(f"no box of the data set is of such a source or job{did_you_mean(name, known)}", where=name, do=f"There are {', '.join(sorted(known))}")


def _write(file: Path, rows: "list[Traced]") -> None:
    import msgspec

    from boxset.compare.audit import Traced
    from boxset.files import write_csv

    values = (msgspec.structs.asdict(row) | {"usd": f"{float(row.usd):.4f}"} for row in rows)
    write_csv(file, Traced.__struct_fields__, (tuple(one.values()) for one in values))


def _print(origins: "list[Origin]", pictures: "list[Passing]", *, with_rest: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from boxset.sources.terms import passing_on

    has_crowds = any(one.crowds for one in origins)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("from", "boxes", *(["crowds"] if has_crowds else []), "pictures", "cost", *(["cost elsewhere"] if with_rest else []), "a box", "licence of its boxes", "credit"):
        table.add_column(title, justify="right" if title in NUMBERS else "left", no_wrap=True)
    for one in origins:
        rest, crowds = [money(one.usd_elsewhere)] if with_rest else [], [f"{one.crowds:,}"] if has_crowds else []
        each = money(one.usd / one.boxes, to_the_mill=True) if one.usd and one.boxes else "–"
        table.add_row(Text(one.name), f"{one.boxes:,}", *crowds, f"{one.pictures:,}", money(one.usd), *rest, each, Text(one.licence or "–"), Text(one.credit or "–"))
    print_whole(console(highlight=False), table)
    if with_rest:
        say(f"{money(sum(one.usd + one.usd_elsewhere for one in origins))} were spent or reserved in all; elsewhere: for pictures that have no box of the job in this data set")
    for line in passing_on(pictures):
        say(line)
    say("--csv FILE writes a row for each box; data/dataset/ATTRIBUTION.csv has one for each picture")
    say("boxset export coco-yolo OUT --for share (or commerce) writes a copy of what may be passed on")

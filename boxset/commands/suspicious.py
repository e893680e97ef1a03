"""`boxset suspicious`: labels that are likely wrong, by what a detector sees."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import ProjectError
from boxset.terminal import say
from boxset.wording import counted

if TYPE_CHECKING:
    from boxset.compare.suspicious import Suspect
    from boxset.dataset.coco import Coco

DATASET = Path("data/dataset")
KINDS = ("missed", "spurious", "mislabelled", "badly placed")
PICTURE_BYTES = 12_000_000  # of crops in a page


@click.command()
@click.argument("category", required=False)
@click.option("--kind", type=click.Choice(KINDS), help="One kind alone.")
@click.option("--n", "most", default=50, show_default=True, type=click.IntRange(1), help="So many, the worst first.")
@click.option("--merge", "merged", is_flag=True, help="Of all that was merged, not of the data set alone.")
@click.option("--absent", is_flag=True, help="Also what is seen where its category was said to be absent.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with label and prediction drawn on the pictures.")
def command(category: str | None, *, kind: str | None, most: int, merged: bool, absent: bool, as_json: bool, page: Path | None) -> None:
    """List labels that are likely wrong, by what your detector sees: missed, spurious, mislabelled, badly placed; of one CATEGORY or all.

    Each has a score from 0 to 1. It changes nothing. Says what to do about those in a frozen test set.
    """
    from boxset.compare.suspicious import frozen_words, suspects
    from boxset.dataset.coco import name_of
    from boxset.freezing import read_record
    from boxset.predictions.store import FOLDER, read_folder

    splits = _splits(merged=merged)
    kinds = sorted(next(iter(splits.values())).categories, key=lambda c: c.id)
    if category is not None:
        category = name_of(category, kinds, where=_folder(merged=merged))
    predictions = read_folder(categories={c.id: c.key for c in kinds})
    if not predictions.pictures:
        do = "`boxset predictions images` writes what to run a detector on, `boxset predictions add` takes its results in"
        raise ProjectError("there are no predictions", where=str(FOLDER), do=do)
    found = [s for s in suspects(splits, predictions, absent=absent) if category in (None, s.category, s.predicted) and kind in (None, s.kind)]
    record = None if merged else read_record(DATASET)
    says = frozen_words(found, record.name if record else "")
    if page is not None:
        _write_page(page, found, most, says)
    if as_json:
        import msgspec

        say(msgspec.json.format(msgspec.json.encode(found[:most])).decode())
    elif page is None:
        _print(found, most, says)
    else:
        more = f"; --n {len(found)} shows all" if len(found) > most else ""
        say(f"{page}: {min(most, len(found)):,} of {counted(len(found), 'suspicious label')}{more}")


def _splits(*, merged: bool) -> "dict[str, Coco]":
    from boxset.dataset.coco import read_coco
    from boxset.report.data import read_dataset

    path = Path("data/merge/annotations.json")
    found = ({"merge": read_coco(path)} if path.exists() else {}) if merged else read_dataset(DATASET)
    if not found:
        raise ProjectError("there is no data set here", where=_folder(merged=merged), do="`dvc repro` builds it; `dvc pull` fetches it")
    return found


def _folder(*, merged: bool) -> str:
    return "data/merge" if merged else str(DATASET)


def _print(found: "list[Suspect]", most: int, says: list[str]) -> None:
    from collections import Counter

    kinds = Counter(one.kind for one in found)
    say(f"{counted(len(found), 'suspicious label')}: {', '.join(f'{kinds[kind]:,} {kind}' for kind in KINDS)}")
    for one in found[:most]:
        where = ", ".join(filter(None, (one.split, f"labelled by {one.labelled_by}" if one.labelled_by else "")))
        say(f"{one.score:.2f}  {one.sha256[:12]}  {one.kind:<12}  {one.words} · {where}")
    if found:
        more = f"{len(found) - most:,} more: --n {len(found)}. " if len(found) > most else ""
        for sentence in says:
            say(sentence)
        say(f"{more}--html FILE draws them; `boxset explain PICTURE` tells where a picture and its labels are from")


def _write_page(page: Path, found: "list[Suspect]", most: int, says: list[str]) -> None:
    from boxset.files import write_text
    from boxset.report.pictures import Pictures, picture_folders
    from boxset.report.suspicious_page import suspicious_page

    write_text(page, suspicious_page(found, most, Pictures(picture_folders(Path()), budget=PICTURE_BYTES), says))

"""`boxset export`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import ProjectError
from boxset.terminal import console, say
from boxset.wording import boxes_and_crowds, counted

if TYPE_CHECKING:
    from boxset.formats.export import Copy
    from boxset.formats.sharing import Shared


@click.command()
@click.argument("format_", metavar="FORMAT")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["share", "commerce"]),
    help="Only pictures that may be passed on (or passed on for commerce) with all of their boxes; those of unknown licence are left out.",
)
@click.option("--dataset", type=click.Path(path_type=Path), default=Path("data/dataset"), show_default=True)
def command(format_: str, out: Path, purpose: str | None, dataset: Path) -> None:
    """Write the data set as coco-yolo, cvat, huggingface, lvis, manifest, roboflow or voc into OUT. data/dataset itself is coco-yolo already."""
    from boxset.formats.export import export

    if not (dataset / "annotations").is_dir():
        raise ProjectError("there is no data set here", where=str(dataset), do="`dvc repro` builds it; `dvc pull` fetches it")
    only = _only(dataset, purpose) if purpose else None
    done = export(dataset, format_, out, only=only)
    if only:
        _print(only.shared)
    crowds = done["crowds_left_out"]
    left = f"; {counted(crowds, 'crowd')} left out, as {format_} has no place for them" if crowds else ""
    say(f"{out}: {counted(done['pictures'], 'picture')}, {boxes_and_crowds(done['boxes'], done['crowds'])}{left}")


def _only(dataset: Path, purpose: str) -> "Copy":
    from boxset.dataset.coco import names_of
    from boxset.formats.check import read_parts
    from boxset.formats.export import Copy
    from boxset.formats.folder import texts_of
    from boxset.formats.sharing import shared, stated_elsewhere
    from boxset.params import read_params
    from boxset.resolve import formats_of

    params, parts = read_params(), read_parts(dataset)
    formats = formats_of(params)
    chosen = shared(parts, purpose, formats=formats, stated=stated_elsewhere(dataset))
    guidelines = {key: category.guideline for key, category in params.categories.items()}
    texts = texts_of(guidelines, names_of(parts["train"].categories))
    return Copy(chosen, params.project.name, formats, texts, params.balance.repeat_threshold)


def _print(done: "Shared") -> None:
    """Say how many boxes of each category and pictures stay, and what was left out."""
    from rich.table import Table
    from rich.text import Text

    from boxset.formats.sharing import left_out_words

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for title in (*done.parts, "all", "of"):
        table.add_column(title, justify="right", no_wrap=True)
    stay, whole = ([Counter(a.category_id for a in part.annotations if not a.iscrowd) for part in parts.values()] for parts in (done.parts, done.whole))
    for category in done.parts["train"].categories:
        counts = [count[category.id] for count in stay]
        table.add_row(Text(category.name), *(f"{n:,}" for n in (*counts, sum(counts), sum(count[category.id] for count in whole))))
    pictures = [[len(part.images) for part in parts.values()] for parts in (done.parts, done.whole)]
    table.add_row("pictures", *(f"{n:,}" for n in (*pictures[0], sum(pictures[0]), sum(pictures[1]))))
    console(highlight=False).print(table)
    for line in left_out_words(done):
        say(line)

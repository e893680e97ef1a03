"""`boxset coverage`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import InputError

if TYPE_CHECKING:
    from boxset.sources.coverage import Found


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--use", type=click.Choice(["commercial", "research"]), help="What the data set is for; default: project.use.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def command(words: tuple[str, ...], use: str | None, as_json: bool) -> None:
    """Which sources have WORDS, how many boxes, usable under my licence? From the indexes alone."""
    import msgspec

    from boxset.params import read_params
    from boxset.sources.coverage import coverage, pasteable

    params = read_params()
    index = Path("data/index")
    if not any(index.glob("*/about.json")):
        raise InputError("there are no indexes yet", where=str(index), do="`dvc pull data/index`, or `dvc repro index`")
    found = coverage(index, words, use=use or params.project.use, licences=params.licences)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    _tables(words, found)
    for word in words:
        click.echo(f"\n  {word.replace(' ', '_')}:\n{pasteable(word, found, list(params.sources))}")


def _tables(words: tuple[str, ...], found: "list[Found]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("word", "source", "boxes", "pictures", "usable boxes", "by split", "classes"):
        table.add_column(name, justify="right" if name in ("boxes", "pictures", "usable boxes") else "left")
    for word in words:
        rows = [record for record in found if record.word == word]
        for record in rows:
            classes = ", ".join(f"{name} ({class_id})" for class_id, name, _ in record.classes[:4])
            splits = " ".join(f"{split} {count:,}" for split, count in record.by_split.items())
            table.add_row(word, record.source, f"{record.boxes:,}", f"{record.images:,}", f"{record.usable_boxes:,}", splits, classes)
        if not rows:
            table.add_row(word, "none has it", "0", "0", "0", "", "")
    Console().print(table)

"""`boxset export`."""

from pathlib import Path

import click

from boxset.terminal import say


@click.command()
@click.argument("format_", metavar="FORMAT")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--dataset", type=click.Path(path_type=Path), default=Path("data/dataset"), show_default=True)
def command(format_: str, out: Path, dataset: Path) -> None:
    """Write the data set as cvat, huggingface, lvis, manifest, roboflow or voc into OUT. COCO and YOLO it is already."""
    from boxset.formats.export import export

    done = export(dataset, format_, out)
    say(f"{out}: {done['pictures']} pictures, {done['boxes']} boxes; {done['crowds_left_out']} crowds have no place in {format_}")

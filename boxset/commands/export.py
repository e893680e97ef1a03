"""`boxset export`."""

from pathlib import Path

import click

from boxset.errors import ProjectError
from boxset.terminal import say


@click.command()
@click.argument("format_", metavar="FORMAT")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--dataset", type=click.Path(path_type=Path), default=Path("data/dataset"), show_default=True)
def command(format_: str, out: Path, dataset: Path) -> None:
    """Write the data set as cvat, huggingface, lvis, manifest, roboflow or voc into OUT. COCO and YOLO it is already."""
    from boxset.formats.export import export
    from boxset.wording import counted

    if not (dataset / "annotations").is_dir():
        raise ProjectError("there is no data set here", where=str(dataset), do="`dvc repro` builds it; `dvc pull` fetches it")
    done = export(dataset, format_, out)
    crowds = done["crowds_left_out"]
    left = f"; {counted(crowds, 'crowd')} left out, as {format_} has no place for them" if crowds else ""
    say(f"{out}: {counted(done['pictures'], 'picture')}, {counted(done['boxes'], 'box')}{left}")

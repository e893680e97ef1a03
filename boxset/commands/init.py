"""`boxset init`: a new live project."""

from pathlib import Path
from typing import cast, get_args

import click

from boxset.newproject import Answers, write_project
from boxset.params import Use
from boxset.terminal import say


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Name of the data set. Default: the folder's.")
@click.option("--use", type=click.Choice(get_args(Use)), default="commercial", show_default=True, help="Which licences may enter.")
@click.option("--contact", default="", help="E-mail address or page, sent to every site that is fetched from.")
@click.option("--bucket", default="", help="s3://bucket/prefix that a team shares; becomes DVC's remote as well.")
def command(folder: Path, name: str, use: str, contact: str, bucket: str) -> None:
    """Write a new live project into DIR, a new or empty folder.

    It holds dvc.yaml and stages/ as everywhere, parameters with five categories to start from, DVC's configuration and a README.
    Nothing is fetched and nothing is bought.
    """
    answers = Answers(name=name or folder.resolve().name, use=cast("Use", use), contact=contact, bucket=bucket)
    written = write_project(folder, answers)
    shown = [path for path in written if not path.startswith("stages/") and not path.endswith(".gitkeep")]
    folders = sorted({f"{path.partition('/')[0]}/" for path in written if path not in shown})
    say(f"{folder}: wrote {', '.join([*shown, *folders])}")
    say(f"next:  cd {folder} && boxset doctor")

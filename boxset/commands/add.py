"""`boxset add`: one more category, written into `params.yaml`."""

from pathlib import Path

import click

from boxset.newcategory import add_category
from boxset.params import read_params
from boxset.terminal import say


@click.command("add")
@click.argument("name")
@click.argument("words", nargs=-1)
@click.option("--anyway", is_flag=True, help="Add it without WORDS though no index here has a class of that name.")
def command(name: str, words: tuple[str, ...], *, anyway: bool) -> None:
    """Add the category NAME to params.yaml, searched for by WORDS and its name.

    Its id is one that was never used, its classes are those that the indexes here have under these words, its target and crawl are
    like the others'. Only the new block is written; read it, correct it, then run `dvc repro`.
    """
    block = add_category(name, words, anyway=anyway)
    say("params.yaml:")
    say(block, nl=False)
    if not Path("dvc.lock").exists():
        say("`dvc repro` builds the data set with it")
        return
    extracts = [f"extract@{source}" for source, terms in read_params().categories[name].classes.items() if terms]
    stages = ["resolve", f"crawl@{name}", *extracts, "label", "merge", "balance", "report"]
    say(f"`dvc repro` will run: {', '.join(stages)}")

"""`boxset freeze`: declare the test set of now as a version that no later build changes."""

import shlex
from pathlib import Path

import click

from boxset.terminal import say
from boxset.wording import boxes_and_crowds, counted


@click.command("freeze")
@click.argument("name")
@click.option("-m", "--message", "text", default="", help="What it is, in a few words.")
@click.option("--tag", "tagged", is_flag=True, help="Set git's tag of this name as well, on the commit whose data set it is.")
def command(name: str, text: str, *, tagged: bool) -> None:
    """Declare the test set of now as version NAME, in frozen/NAME.jsonl; print what to do next.

    With `split.freeze_test: NAME` no later build changes it: no picture enters or leaves, no box moves. Needs a clean work tree, and the
    data set that dvc.lock names. val is not frozen: it may grow.
    """
    from boxset.freezing import freeze, yaml_text
    from boxset.history import refuse_tag_that_is_there, set_tag

    root = Path()
    if tagged:
        refuse_tag_that_is_there(name, root)
    frozen = freeze(root, name, text)
    message = frozen.text or f"Test set {name}"
    if tagged:
        set_tag(root, name, message, frozen.commit)
    coco = frozen.coco
    crowds = sum(a.iscrowd for a in coco.annotations)
    held = f"{counted(len(coco.images), 'picture')}, {boxes_and_crowds(len(coco.annotations) - crowds, crowds)}"
    say(f"frozen/{name}.jsonl: {held}, as commit {frozen.commit[:9]} has them in test")
    say(f"to hold test to it: write `freeze_test: {yaml_text(name)}` under `split` in params.yaml, then")
    tag = () if tagged else (f"git tag -a {name} -m {shlex.quote(message)} {frozen.commit[:9]}",)
    keep = f"git add frozen params.yaml dvc.lock metrics splits.csv && git commit -m {shlex.quote(f'Freeze the test set as {name}')}"
    for line in ("dvc repro", keep, *tag, *_pushes(root, name)):
        say(f"  {line}")


def _pushes(root: Path, name: str) -> list[str]:
    """Return the commands that give a version to others, and as a remark those that this project needs first."""
    from boxset.doctor import ADD_REMOTE, dvc_remote
    from boxset.history import home_remote

    data, code = dvc_remote(root), home_remote(root)
    return [
        "dvc push" if data else f"# DVC has no remote, so its pictures stay on this machine: {ADD_REMOTE}",
        f"git push {code} HEAD {name}" if code else f"# git has no remote of its own: git remote add origin ADDRESS, then git push origin HEAD {name}",
    ]

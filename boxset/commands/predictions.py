"""`boxset predictions`: what a detector is to be run on, and what it saw."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import InputError
from boxset.terminal import WholeHelp, console, say
from boxset.wording import counted

if TYPE_CHECKING:
    from boxset.compare.calibration import Agreement, Mistaken
    from boxset.dataset.coco import Coco
    from boxset.dataset.predictions import Predictions
    from boxset.predictions.images import Images, Listed
    from boxset.predictions.results import Taken

LARGE = 20_000_000  # bytes from which a file is better kept by DVC than in git
MANY = 5000  # pictures of the data set that are compared with their labels, at the most
FEW = 20  # labels below which nothing is concluded from how many are found
MANY_LABELS = 100  # from which a detector finds some, whatever it is worth
OTHER_IDS = "The ids are not those of data/dataset/annotations; YOLO counts classes in the order of the ids: --yolo-from 0, or 1"


@click.group(cls=WholeHelp)
def command() -> None:
    """Run a detector of your own over the pictures, and take in what it saw."""


@command.command()
@click.argument("out", default="to-predict.json", type=click.Path(path_type=Path, dir_okay=False), metavar="[OUT.json]")
@click.option("--unlabelled", is_flag=True, help="The pictures that nobody labelled yet, instead of the data set's.")
@click.option("--all", "every", is_flag=True, help="Both.")
def images(out: Path, *, unlabelled: bool, every: bool) -> None:
    """Write a COCO file of the pictures to run a detector on (default: to-predict.json).

    Each `file_name` leads from the folder of OUT.json to the picture. Labels are not in it. A file with other pictures is not written over:
    results that are made of it cannot be read without it.
    """
    from boxset.predictions.images import to_predict
    from boxset.predictions.store import FOLDER

    if out.parent.resolve() == FOLDER.resolve():
        raise InputError("the folder is kept for what came back", where=str(out), do="Write it elsewhere")
    listed, categories = to_predict(Path(), dataset=every or not unlabelled, unlabelled=every or unlabelled)
    _write_once(out, listed, categories)
    own = sum(bool(one.split) for one in listed)
    parts = [f"{count:,} {what}" for count, what in ((own, "of the data set"), (len(listed) - own, "not labelled yet")) if count]
    say(f"{out}: {counted(len(listed), 'picture')}, {' and '.join(parts) or 'none'}")
    say(f"run the detector on them, then `boxset predictions add RESULTS.json --images {out}`")


def _write_once(out: Path, listed: "list[Listed]", categories: Mapping[int, str]) -> None:
    """Write the file. Raises InputError where there is another one: its numbers may be out with a detector."""
    from boxset.predictions.images import write_images

    new = out.with_name(f".{out.name}.new")
    write_images(new, listed, categories)
    if out.exists() and out.read_bytes() != new.read_bytes():
        new.unlink()
        raise InputError("it is there, with other pictures or numbers", where=str(out), do="Results that are made of it need it: name another file, or delete it")
    new.replace(out)


@command.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="RESULTS.json...")
@click.option("--images", "listed", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The COCO file with the pictures that they were made of.")
@click.option("--name", help="The model and run, such as v1 or v1-crawl; default: the next free v1, v2, …")
@click.option("--replace", is_flag=True, help="Write over predictions of that name.")
@click.option("--partial", is_flag=True, help="The detector was run only on the pictures that it has predictions of.")
@click.option("--yolo-from", type=click.Choice(["0", "1"]), help="category_id counts the classes of data.yaml from this number, as Ultralytics writes it.")
@click.option("--min-score", default=0.05, show_default=True, type=click.FloatRange(0, 1), help="Leave out predictions of a lower score.")
def add(
    results: tuple[Path, ...], *, listed: Path, name: str | None, replace: bool, partial: bool, yolo_from: str | None, min_score: float
) -> None:
    """Take in a detector's results: COCO's list of {image_id, category_id, bbox, score}, one file or one for each fold.

    Every record is checked; one that is wrong is named, and nothing is written then. No prediction ever becomes a label.
    """
    from boxset.files import sole_writer
    from boxset.predictions.images import counted_from, read_images
    from boxset.predictions.results import read_results
    from boxset.predictions.store import FOLDER, kept_by_dvc, names, path_of, write

    path = path_of(name or _next_name(names()))
    if (path.exists() or kept_by_dvc(path)) and not replace:
        raise InputError("there are predictions of this name", where=str(path), do="Name another with --name, or write over them with --replace")
    images_ = _in_our_words(read_images(listed))
    numbered = counted_from(images_, int(yolo_from)) if yolo_from else images_
    taken = read_results(results, numbered, least=min_score, partial=partial)
    _check_meaning(taken.predictions, results)
    with sole_writer(FOLDER):
        write(path, taken.predictions, images_.categories)
    _tell(path, taken, min_score=min_score, partial=partial)


@command.command(name="list")
def list_() -> None:
    """List what came in, and how much of the pictures it covers."""
    from rich.table import Table

    from boxset.predictions.store import names, read

    found = names()
    if not found:
        say("no predictions: `boxset predictions images` writes what to run a detector on")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "pictures", "predictions", "in the data set", "others"):
        table.add_column(title, justify="left" if title == "name" else "right")
    known = {image.sha256 for coco in _dataset().values() for image in coco.images}
    for name in found:
        one = read(name)
        inside = sum(sha256 in known for sha256 in one.pictures)
        table.add_row(name, *(f"{n:,}" for n in (len(one.pictures), len(one), inside, len(one.pictures) - inside)))
    console().print(table)
    say("of a picture and a category that several have, the last holds")


def _next_name(known: list[str]) -> str:
    number = 1
    while f"v{number}" in known:
        number += 1
    return f"v{number}"


def _in_our_words(found: "Images") -> "Images":
    """Return the file with its categories under their keys. Raises InputError where its ids are none of this project, or have other names."""
    from boxset.files import read_json
    from boxset.predictions.images import of_project
    from boxset.resolve import Ids

    path = Path("data/resolve/ids.json")
    ids = read_json(path, Ids) if path.exists() else Ids(categories={})
    listed, ours = of_project(found, ids), {identity.id: name for name, identity in ids.categories.items()}
    other = next((i for i, name in sorted(listed.categories.items()) if ours.get(i, name) != name), None)
    if other is not None:
        what = f"categories: {other} is {listed.categories[other]} here, and {ours[other]} in params.yaml"
        raise InputError(what, where=str(listed.path), do="`boxset predictions images` writes a file with the project's own ids")
    if not listed.categories:
        raise InputError("categories: there are none", where=str(listed.path), do="`boxset predictions images` writes a file that has them")
    return listed


def _dataset() -> "Mapping[str, Coco]":
    from boxset.report.data import read_dataset

    return read_dataset(Path("data/dataset"))


def _check_meaning(found: "Predictions", results: tuple[Path, ...]) -> None:
    """Raise InputError where the labels of this project show that numbers mean something else than they should."""
    from boxset.compare.calibration import agreement
    from boxset.compare.overlaps import only

    cocos = list(_dataset().values())
    known = {image.sha256 for coco in cocos for image in coco.images}
    named = {c.id: c.name for coco in cocos for c in coco.categories}
    some = [sha256 for sha256 in found.pictures if sha256 in known][:MANY]  # in the order of hashes: as good as drawn by lot
    if not some:
        return
    one, where = agreement(cocos, only(found, some)), str(results[0])
    if max(one.labels, one.of_any, one.as_corners) < FEW:
        return
    if one.as_corners >= FEW and one.as_corners > 3 * one.found:
        what = f"bbox: read as two corners they lie on {one.as_corners:,} labels, read as [x, y, width, height] on {one.found:,}"
        raise InputError(what, where=where, do="Write [x, y, width, height]")
    if one.labels and one.of_any >= max(FEW, one.every / 5) and one.of_any > 3 * one.found:
        what = f"category_id: {one.of_any:,} labels have a prediction on them, {one.found:,} one of their own category"
        raise InputError(what, where=where, do=OTHER_IDS)
    for pair in filter(_is_mixed_up, one.mistaken):
        labelled, predicted = (named.get(i, str(i)) for i in (pair.labelled, pair.predicted))
        what = f"category_id: {pair.on:,} of {pair.of:,} labels of {labelled} have a {predicted} on them, and {pair.found:,} a {labelled}"
        if pair.own_of:
            raise InputError(what, where=where, do=OTHER_IDS)
        say(f"warning: {what}. No {predicted} is labelled yet: does the number mean that?")
    if one.labels >= MANY_LABELS and one.found < one.labels / MANY_LABELS:
        what = f"{one.found:,} of the {one.labels:,} labels of the categories that it names are found: other ids (of COCO's list, say), other pictures or another size"
        raise InputError(what, where=where, do="Were ids and --images those that the detector was run with? `boxset predictions images` writes both")
    _say_agreement(one, len(some))


def _is_mixed_up(one: "Mistaken") -> bool:
    """Return whether predictions called one category lie where another is labelled as if they meant that one, though they find next to nothing of their own."""
    return one.on >= max(FEW, one.of / 2) and one.on > 3 * one.found and one.on * one.own_of >= 3 * one.own * one.of


def _say_agreement(one: "Agreement", pictures: int) -> None:
    share = one.found / one.labels if one.labels else 0.0
    those = "labels" if one.labels == one.every else "labels, of the categories that it names,"
    say(f"{one.found:,} of {one.labels:,} {those} of {counted(pictures, 'picture')} of the data set are found ({share:.0%})")
    if one.labels >= FEW and share < 0.1:
        say("warning: that is next to nothing. Is --images the very file that the detector was run on?")


def _tell(path: Path, taken: "Taken", *, min_score: float, partial: bool) -> None:
    from boxset.predictions.store import kept_by_dvc

    found = taken.predictions
    left = ((taken.weak, f"under {min_score:g}"), (taken.flat, "without an area"))
    said = "".join(f", {count:,} {what} left out" for count, what in left if count)
    say(f"{path}: {counted(len(found), 'prediction')} of {counted(len(found.pictures), 'picture')}{said}")
    empty = sum(first == last for first, last in zip(found.starts[:-1].tolist(), found.starts[1:].tolist(), strict=True))
    if empty and not partial:
        say(f"in {empty:,} of them nothing was seen; if the detector was not run on these, add it with --partial")
    size, is_dvcs = path.stat().st_size, kept_by_dvc(path) is not None
    why = "DVC keeps it" if is_dvcs else f"it is large ({size / 1e6:.0f} MB)"
    keep = f"{why}: `dvc add {path}` and commit {path}.dvc" if is_dvcs or size > LARGE else "commit it"
    say(f"{keep}, then `dvc repro` and `boxset suspicious`")

"""`boxset takedown`: keep a picture out of every later build, as its owner wants."""

from collections.abc import Iterable
from contextlib import suppress
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import InputError, ProjectError
from boxset.terminal import say
from boxset.wording import counted

if TYPE_CHECKING:
    from boxset.compare.explain import Records, Story
    from boxset.dataset.records import Picture
    from boxset.dataset.takedown import Takedowns, TakenDown

DECISIONS = Path("decisions")
LYING_ABOUT = ("labelling", "preview", ".boxset/preview")  # folders of ours that no build clears
AFTER = "decisions/takedown.jsonl: commit it, then `dvc repro` and `dvc push`"


@click.command()
@click.argument("picture", required=False)
@click.option("--why", default="", help="What was asked, when and by whom; stands in the file and in `boxset explain`.")
@click.option("--by", default="", help="Who takes it down; your name in git if left out.")
@click.option("--all", "take_all", is_flag=True, help="Take down, or let in again, every picture that fits, where several do.")
@click.option("--undo", is_flag=True, help="Let it in again.")
@click.option("--list", "is_list", is_flag=True, help="Print what is taken down.")
def command(picture: str | None, *, why: str, by: str, take_all: bool, undo: bool, is_list: bool) -> None:
    """Keep a PICTURE, and every copy of it, out of all later builds, exports, reviews and purchases, the frozen test set among them.

    PICTURE is named as for `boxset explain`: an address, its page or its author's, a SHA-256, a file name, SOURCE:ID, or a picture file that its
    owner sent. The address of a picture, or a file, that this project does not know yet stays out too; in a clone `dvc pull` first.
    """
    from boxset.dataset.takedown import append_takedowns, read_takedowns
    from boxset.files import sole_writer

    if not Path("params.yaml").exists():  # else it would be kept out of nothing
        raise ProjectError("this folder holds no project", where=str(Path.cwd()), do="Run it in the folder that holds params.yaml")
    if is_list:
        _print_list(read_takedowns(DECISIONS).held)
        return
    if not picture:
        raise click.UsageError("name one picture, or --list")
    with sole_writer(DECISIONS):
        lines = _undone(picture, why=why, by=by, take_all=take_all) if undo else _taken_down(picture, why=why, by=by, take_all=take_all)
        append_takedowns(lines, DECISIONS)
    say(f"{_what(lines)} {'let in again' if undo else 'taken down'} in {AFTER}")


def _what(lines: "list[TakenDown]") -> str:
    contents = len({line.sha256 for line in lines if line.sha256})
    return f"{counted(contents, 'copy')} of the picture" if contents else "the address"


def _taken_down(name: str, *, why: str, by: str, take_all: bool) -> "list[TakenDown]":
    from boxset.commands.explain import file_called, read_records
    from boxset.commands.review import decided_now, decider
    from boxset.compare.explain import contents_called, copies_told
    from boxset.dataset.takedown import TakenDown, takedowns_for

    records, who, now = read_records(Path()), decider(by), decided_now()
    stories = _stories(name, records)
    if len(stories) > 1 and not take_all:
        named = "\n".join(f"{story.name}  {story.verdict}" for story in stories)
        raise InputError(counted(len(stories), "picture fits", "pictures fit"), where=name, do=f"Name one of them, or --all takes them all down:\n{named}")
    found = [copies_told(story, records) for story in stories] or [_sent_by_its_owner(name)]
    if not stories:
        say("no picture of this project is known by it; it stays out from now on, should it ever be found")
    for story in stories:
        say(f"{story.name}\n  {story.verdict}")
    for line in _elsewhere({picture.sha256 for some in found for picture in some}, records):
        say(line)
    addresses = [story.name for story in stories] or [name]
    is_plain = file_called(name) is not None or any(map(contents_called(name), (picture.sha256 for some in found for picture in some)))
    return [
        line
        for some, address in zip(found, addresses, strict=True)
        for line in takedowns_for(some, why=why, by=who, at=now, called="" if is_plain else name) or [TakenDown(names=(_address(address),), why=why, by=who, at=now)]
    ]


def _stories(name: str, records: "Records") -> "list[Story]":
    """Return what is known of a picture; nothing of an address or a file that the project does not know.

    Raises InputError for other names, and where what was built is not here to know it: its copies would stay.
    """
    from boxset.commands.explain import file_called, stories_of

    try:
        return stories_of(name, records)
    except InputError:
        if ("://" in name or file_called(name)) and not records.not_here():
            return []
        raise


def _address(name: str) -> str:
    from boxset.web.addresses import vetted

    plain = vetted(name)
    if not isinstance(plain, str):
        raise InputError("is no address that is ever asked, and no picture", where=name)
    return plain


def _sent_by_its_owner(name: str) -> "list[Picture]":
    """Return a picture file that the project does not know, as it would be stored."""
    from boxset.commands.explain import file_called
    from boxset.dataset.records import Picture
    from boxset.files import read_bytes
    from boxset.images.prepare import Prepared, prepare

    path = file_called(name)
    if path is None:
        return []
    done = prepare(read_bytes(path))
    if not isinstance(done, Prepared):
        raise InputError("cannot be read as a picture", where=name)
    fields = {field: getattr(done, field) for field in ("sha256", "width", "height", "phash", "grid")}
    return [Picture(**fields, file_name="", source="", source_id="", url="")]


def _elsewhere(contents: set[str], records: "Records") -> "Iterable[str]":
    """Say what else holds a picture, which no build reaches."""
    from boxset.dataset.records import picture_files

    files = [path for path in picture_files(Path("data")).values() if path.stem in contents]
    marks = sorted(md5(path.read_bytes(), usedforsecurity=False).hexdigest() for path in files)
    if marks:
        yield "Versions of before keep its bytes, in DVC's cache (`dvc cache dir`) and in each remote. After `dvc repro`, delete there"
        yield from (f"  files/md5/{mark[:2]}/{mark[2:]}" for mark in marks)
        yield "(those versions can then be read, and no longer checked out). Exports made before are yours to find."
    yield from (f"A copy lies in {path}: remove it" for top in LYING_ABOUT for path in sorted(Path(top).rglob("*")) if path.stem in contents)
    jobs = sorted({f"{bought.job} ({bought.backend})" for bought in records.bought if bought.sha256 in contents})
    if jobs:
        yield f"It was sent to be labelled in {', '.join(jobs)}: that service has a copy. What was paid stays in ledger/."


def _undone(name: str, *, why: str, by: str, take_all: bool) -> "list[TakenDown]":
    import msgspec

    from boxset.commands.review import decided_now, decider
    from boxset.dataset.takedown import linked, read_takedowns

    down = read_takedowns(DECISIONS)
    found = _down_by_name(name, down) or _down_by_record(name, down)
    if not found:
        raise InputError("is not taken down", where=name, do="`boxset takedown --list` names what is, by SHA-256 and address")
    pictures = [lines for lines in linked(down.held) if any(one in found for one in lines)]
    if len(pictures) > 1 and not take_all:
        named = "\n".join(lines[0].key for lines in pictures)
        raise InputError(counted(len(pictures), "picture fits", "pictures fit"), where=name, do=f"Name one of them, or --all lets them all in again:\n{named}")
    who, now = decider(by), decided_now()
    return [msgspec.structs.replace(one, is_back=True, why=why, by=who, at=max(now, one.at)) for lines in pictures for one in lines]


def _down_by_name(name: str, down: "Takedowns") -> "list[TakenDown]":
    """Return what is taken down under a name by what its lines say themselves."""
    from boxset.compare.explain import contents_called

    called, asked = contents_called(name), _address(name) if "://" in name else name
    return [one for one in down.held if {name, asked} & {*one.names, one.called} or called(one.sha256)]


def _down_by_record(name: str, down: "Takedowns") -> "list[TakenDown]":
    """Return what is taken down of the pictures that a name fits by the project's records: a build that left a picture out remembers what it was called."""
    from boxset.commands.explain import read_records
    from boxset.compare.explain import copies_told

    records = read_records(Path())
    with suppress(InputError):
        return [one for story in _stories(name, records) for one in down.of(copies_told(story, records)) if one]
    return []


def _print_list(held: "tuple[TakenDown, ...]") -> None:
    from boxset.compare.explain import down_words

    for one in sorted(held, key=lambda one: (one.at, one.key)):
        say("\n  ".join([f"{one.sha256[:12] or 'an address'}  {down_words(one)}", *one.names]))
    if not held:
        say("nothing is taken down")

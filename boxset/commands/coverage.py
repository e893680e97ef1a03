"""`boxset coverage`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxset.errors import InputError
from boxset.terminal import say

if TYPE_CHECKING:
    from boxset.params import Params
    from boxset.sources.coverage import Count, Found

INDEX = Path("data/index")
COLUMNS = ("boxes", "images", "usable boxes", "usable images")


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--use", type=click.Choice(["commercial", "research"]), help="What the data set is for; default: project.use.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def command(words: tuple[str, ...], use: str | None, as_json: bool) -> None:
    """Which sources have WORDS, how many boxes, usable under my licence? From the indexes alone.

    Prints a block for params.yaml of each word that some source has; exits 1 where none has any.
    """
    from boxset.params import read_params
    from boxset.sources.coverage import coverage
    from boxset.sources.lean import lean_arrow

    params = read_params()
    if not any(INDEX.glob("*/about.json")):
        raise InputError("there are no indexes yet", where=str(INDEX), do=_how_to_index(params))
    words = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    if not words:
        raise click.UsageError("an empty word finds nothing")
    lean_arrow()
    found = coverage(INDEX, words, use=use or params.project.use, licences=params.licences)
    if as_json:
        import msgspec

        say(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    from boxset.newcategory import pasteable

    for word in words:
        _show(word, [record for record in found if record.word == word], params, use or params.project.use)
    blocks = pasteable(words, found, params, Path())
    if blocks.new:
        say("For params.yaml, under `categories`:", bold=True)
        say("".join(blocks.new), nl=False)
    for line in blocks.told:
        say(line)
    if blocks.there:
        say("  # There already; merge by hand what you want of this:")
        say("".join(blocks.there), nl=False)
    for word in blocks.unknown:
        say(f"  # No block for {word}: no index here has it. `boxset add NAME QUERY…` writes a category that lives on the crawl.")
    sys.exit(0 if found else 1)


def _how_to_index(params: "Params") -> str:
    """Say what brings the indexes, and what that fetches in a live project."""
    from boxset.doctor import RAW_BYTES

    sizes = {name: RAW_BYTES.get(source.format or name, 0) / 1e9 for name, source in params.sources.items() if source.on and not source.path}
    smallest = min((name for name in sizes if sizes[name]), key=lambda name: sizes[name], default="")
    each = ", ".join(f"{name} {size:.1f}" for name, size in sizes.items() if size)
    fetches = f", which fetches once, in GB: {each}; `dvc repro index@{smallest}` makes one alone" if params.world == "live" and smallest else ""
    return f"`dvc pull data/index`, or `dvc repro index`{fetches}"


def _show(word: str, found: "list[Found]", params: "Params", use: str) -> None:
    source_width = max([14, *(len(record.source) + 2 for record in found)])
    say(f"{word:{source_width}}", bold=True, nl=False)
    say("".join(f"{name:>15}" for name in COLUMNS) + "   classes")
    for record in found:
        classes = _classes(record)
        say(f"  {record.source:{source_width - 2}}{_numbers(record.total)}   {classes}")
        for split, count in record.by_split.items():
            if split != "all":
                say(f"    {split:{source_width - 4}}{_numbers(count)}", dim=True)
    exact = [record for record in found if record.exact]
    if exact and len(found) > 1:
        say(f"  {'together':{source_width - 2}}{_sums(exact)}{'' if len(exact) == len(found) else '   of that name'}")
    for line in [*_left_out(found, use), *_without(word, found, params)]:
        say(f"  {line}")
    say()


def _numbers(count: "Count") -> str:
    return "".join(f"{number:>15,}" for number in (count.boxes, count.images, count.usable_boxes, count.usable_images))


def _sums(found: "list[Found]") -> str:
    totals = [record.total for record in found]
    sums = (sum(t.boxes for t in totals), sum(t.images for t in totals), sum(t.usable_boxes for t in totals), sum(t.usable_images for t in totals))
    return "".join(f"{number:>15,}" for number in sums)


def _classes(record: "Found") -> str:
    """Name the first classes, and say where they only hold the word."""
    named = [f"{one.name} ({one.id})" if one.term == one.id else one.name for one in record.counted]
    distinct = list(dict.fromkeys(named))
    more = f" and {len(distinct) - 3} more" if len(distinct) > 3 else ""
    empty = "" if record.total.boxes else "; no boxes in its index"
    return f"{'' if record.exact else 'none of that name; '}{', '.join(distinct[:3])}{more}{empty}"


def _left_out(found: "list[Found]", use: str) -> list[str]:
    """Say which licences keep boxes out."""
    by_licence: dict[str, int] = {}
    for record in found:
        for licence, boxes in record.kept_out.items():
            by_licence[licence] = by_licence.get(licence, 0) + boxes
    said = ", ".join(f"{licence} {boxes:,}" for licence, boxes in sorted(by_licence.items(), key=lambda item: (-item[1], item[0])))
    return [f"kept out by `use: {use}` and `licences`: {said}"] if said else []


def _without(word: str, found: "list[Found]", params: "Params") -> list[str]:
    """Say of the project's other sources why they bring nothing, and what a word that nobody has may be meant for."""
    from boxset.sources.coverage import nearest

    others = [name for name, source in params.sources.items() if source.on and name not in {record.source for record in found}]
    unread = [name for name in others if not (INDEX / name / "about.json").exists()]
    silent = [name for name in others if name not in unread]
    near = ", ".join(nearest(INDEX, word)) if not found else ""
    return [
        *([f"none in {', '.join(silent)}{f'; did you mean {near}?' if near else ''}"] if silent else []),
        *([f"no index yet of {', '.join(unread)}: `dvc repro {' '.join(f'index@{name}' for name in unread)}`"] if unread else []),
    ]

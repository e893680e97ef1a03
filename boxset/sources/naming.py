"""Which of the pictures in a place the names in annotation files mean."""

import unicodedata
from collections.abc import Iterable, Mapping, Set
from pathlib import PurePosixPath

Named = tuple[str, str]
"""An annotation file, and the name of a picture in it."""


def pictures_meant(named: Iterable[Named], pictures: Set[str]) -> dict[Named, str]:
    """Return each name's picture; the name itself, plain, where there is none or several could be meant.

    A name is looked for from the folder, then from the file's own folder. Else it is guessed by its end, whatever its capitals and accents, where only
    one picture fits that nothing else names: what is missing in one folder must not be taken from another.
    """
    names = list(dict.fromkeys(named))
    sure = {one: near for one in names if (near := _near(one, pictures))}
    by_name = _by_name(pictures)
    guessed = {one: like for one in names if one not in sure and (like := _alike(one, by_name))}
    claims: dict[str, set[Named]] = {}
    for (file, name), picture in guessed.items():
        claims.setdefault(picture, set()).add((str(PurePosixPath(file).parent), plain(name)))
    taken = set(sure.values())
    fits = {one: picture for one, picture in guessed.items() if picture not in taken and len(claims[picture]) == 1}
    return {one: sure.get(one) or fits.get(one) or plain(one[1]) for one in names}


def plain(name: str) -> str:
    """Return a name with slashes, and without `./` before it."""
    return name.replace("\\", "/").removeprefix("./")


def _near(named: Named, pictures: Set[str]) -> str:
    name, home = plain(named[1]), PurePosixPath(named[0]).parent
    return next((place for place in (name, str(home / name)) if place in pictures), "")


def _alike(named: Named, by_name: Mapping[str, list[str]]) -> str:
    name, home = plain(named[1]), PurePosixPath(named[0]).parent
    alike = by_name.get(_folded(PurePosixPath(name).name), [])
    found = [one for one in alike if _folded(f"/{one}").endswith(_folded(f"/{name}"))] or alike
    if len(found) > 1:
        found = [one for one in found if PurePosixPath(one).is_relative_to(home)]
    return found[0] if len(found) == 1 else ""


def _by_name(pictures: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in sorted(pictures):
        found.setdefault(_folded(PurePosixPath(name).name), []).append(name)
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()

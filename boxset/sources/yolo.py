"""YOLO's text files: `class xc yc w h` in shares of the picture, a line an object, beside the pictures or in a folder `labels`."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import yaml

from boxset.errors import InputError
from boxset.sources.place import Place

Box = tuple[float, float, float, float]


class Texts:
    """The text files of a place, found whatever the spelling of folders and suffix (`Labels/a.TXT`)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {_key(PurePosixPath(name)): name for name in sorted(names, reverse=True) if name.lower().endswith(".txt") and not is_names(name)}

    def of(self, picture: str) -> str | None:
        """Return a picture's label file: in `labels` where the picture is in `images`, in `labels` under it, or beside it."""
        return next((self._names[_key(path)] for path in _label_files(PurePosixPath(picture)) if _key(path) in self._names), None)

    def in_labels(self) -> set[str]:
        """Return the label files that stand in a folder `labels`."""
        return {name for name in self._names.values() if "labels" in PurePosixPath(name.lower()).parts[:-1]}

    def beside(self, used: Iterable[str]) -> set[str]:
        """Return all text files in the folders of some others."""
        folders = {PurePosixPath(name).parent for name in used}
        return {name for name in self._names.values() if PurePosixPath(name).parent in folders}


def _key(path: PurePosixPath) -> tuple[str, str]:
    return str(path.parent).lower(), path.stem


def _label_files(picture: PurePosixPath) -> Iterator[PurePosixPath]:
    parts = [part.lower() for part in picture.parts[:-1]]
    if "images" in parts:
        place = len(parts) - 1 - parts[::-1].index("images")
        yield PurePosixPath(*picture.parts[:place], "labels", *picture.parts[place + 1 :]).with_suffix(".txt")
    yield picture.parent / "labels" / f"{picture.stem}.txt"
    yield picture.with_suffix(".txt")


def is_names(file: str) -> bool:
    """Return whether a file may list the classes' names."""
    return PurePosixPath(file.lower()).name == "classes.txt" or file.lower().endswith((".yaml", ".yml", ".names"))


def class_names(place: Place, files: Iterable[str]) -> list[str]:
    """Return the names by class number, from the file that stands highest. Raises InputError where there is none, or two that differ."""
    listing = sorted((name for name in files if is_names(name)), key=lambda name: (name.count("/"), name.lower().endswith((".txt", ".names")), name))
    found: dict[str, list[str]] = {}
    for file in listing:
        if found and file.count("/") > next(iter(found)).count("/"):
            break
        found |= {file: names} if (names := _names_in(place, file)) else {}
    if not found:
        do = "Add one: a name a line, in the order of the class numbers; where the .txt files are no labels, say annotations: none"
        raise InputError("no data.yaml with `names`, and no classes.txt", where=place.address, do=do)
    first = next(iter(found))
    other = next((file for file, names in found.items() if names != found[first] and "/" in file), "")
    if other:
        raise InputError(f"its classes are not those of {first}", where=f"{place.address}/{other}", do="Make a source of its own of each")
    return found[first]


def _names_in(place: Place, file: str) -> list[str]:
    where = f"{place.address}/{file}"
    try:
        text = place.read(file).decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise InputError(f"not UTF-8: {err.reason} at byte {err.start}", where=where, do="Save it as UTF-8") from err
    if file.lower().endswith((".yaml", ".yml")):
        return _names_in_yaml(text, where)
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if "" in lines[:-1]:
        raise InputError("an empty line: the numbers of the classes after it are not sure", where=f"{where}:{lines.index('') + 1}", do="Name the class, or close the gap")
    return lines


def _names_in_yaml(text: str, where: str) -> list[str]:
    try:
        said = yaml.safe_load(text) or {}
    except yaml.YAMLError as err:
        raise InputError(f"not YAML: {str(err).splitlines()[0]}", where=where) from err
    if isinstance(said, dict) and "kpt_shape" in said:
        raise InputError("kpt_shape: these are key points, which look like polygons", where=where, do="Export boxes or polygons")
    names = said.get("names") if isinstance(said, dict) else None
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise InputError("names: the numbers of the classes are not 0, 1, 2, …", where=where, do="Number them so")
        return [str(names[number]) for number in range(len(names))]
    return [str(name) for name in names] if isinstance(names, list) else []


def lines_of(text: bytes) -> list[str]:
    """Return the lines of a label file that hold something."""
    return [line for line in text.decode("utf-8-sig", "replace").splitlines() if line.strip()]


def seems_labels(lines: list[str]) -> bool:
    """Return whether lines look like objects, and not like prose or a list of files; nothing at all may be a picture without any."""
    return all(len(line.split()) >= 5 and line.split()[0].isdigit() for line in lines)


def box_of(tokens: list[str], classes: int, where: str) -> tuple[str, Box] | None:
    """Return class and left, top, width, height in shares, perhaps partly outside. A polygon (six numbers or more) gives the box round it."""
    try:
        number, values = int(tokens[0]), [float(token) for token in tokens[1:]]
    except (ValueError, IndexError):
        return None
    if any(value > 2 for value in values):
        raise InputError(f"{max(values):g} where shares from 0 to 1 stand: these are pixels", where=where, do="Write shares of the picture's sides")
    if not 0 <= number < classes:
        return None
    if len(values) in (4, 5) and all(-1 <= value <= 2 for value in values):  # a fifth is a detector's confidence
        x, y, w, h = values[:4]
        return str(number), (x - w / 2, y - h / 2, w, h)
    if len(values) < 6 or len(values) % 2 or not all(-0.01 <= value <= 1.01 for value in values):
        return None
    xs, ys = values[0::2], values[1::2]
    return str(number), (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))

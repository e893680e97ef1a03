"""YOLO's text files: `class xc yc w h` in shares of the picture, a line an object, beside the pictures or in a folder `labels`."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import yaml

from boxset.errors import InputError
from boxset.sources.classes import folded
from boxset.sources.place import Place
from boxset.sources.raw import refuse_pointer

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


def _names_alone(file: str) -> bool:
    """Return whether a file lists classes' names by what it is called, and is no other YAML file."""
    return not file.lower().endswith((".yaml", ".yml")) or PurePosixPath(file.lower()).stem == "data"


def class_names(place: Place, files: Iterable[str]) -> list[str]:
    """Return the names by class number. Raises InputError where there is none, or two files that may name them differ."""
    listing = sorted((name for name in files if is_names(name)), key=lambda name: (name.count("/"), name.lower().endswith((".txt", ".names")), name))
    found: dict[str, list[str]] = {}
    for file in listing:
        if not found or file.count("/") == next(iter(found)).count("/") or _names_alone(file):
            found |= {file: names} if (names := _names_in(place, file)) else {}
    if not found:
        do = "Add one: a name a line, in the order of the class numbers; where the .txt files are no labels, say annotations: none"
        raise InputError("no data.yaml with `names`, and no classes.txt", where=place.address, do=do)
    first = next(iter(found))
    other = next((file for file, names in found.items() if list(map(folded, names)) != list(map(folded, found[first]))), "")
    if other:
        do = "Keep the one that the labels were written with; two sets of labels are two sources"
        raise InputError(f"its classes are not those of {first}", where=f"{place.address}/{other}", do=do)
    return found[first]


def _names_in(place: Place, file: str) -> list[str]:
    where, content = f"{place.address}/{file}", place.read(file)
    refuse_pointer(content[:256], where)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise InputError(f"not UTF-8: {err.reason} at byte {err.start}", where=where, do="Save it as UTF-8") from err
    if file.lower().endswith((".yaml", ".yml")):
        return list(_names_in_yaml(text, where))
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if "" in lines[:-1]:
        raise InputError("an empty line: the numbers of the classes after it are not sure", where=f"{where}:{lines.index('') + 1}", do="Name the class, or close the gap")
    return lines


def _names_in_yaml(text: str, where: str) -> Iterator[str]:
    """Yield the names as they are written: `on` and `12:30` are words here."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as err:
        raise InputError(f"not YAML: {str(err).splitlines()[0]}", where=where, do="Mend it, or take it out of the folder") from err
    said = {key.value: node for key, node in root.value if isinstance(key, yaml.ScalarNode)} if isinstance(root, yaml.MappingNode) else {}
    if "kpt_shape" in said:
        raise InputError("kpt_shape: these are key points, which look like polygons", where=where, do="Export boxes or polygons")
    names = said.get("names")
    nodes = names.value if isinstance(names, yaml.SequenceNode) else []
    if isinstance(names, yaml.MappingNode):
        numbers = [key.value for key, _ in names.value]
        if sorted(numbers) != sorted(map(str, range(len(numbers)))):
            raise InputError("names: the numbers of the classes are not 0, 1, 2, …", where=where, do="Number them so")
        nodes = [node for _, node in sorted(names.value, key=lambda pair: int(pair[0].value))]
    for number, node in enumerate(nodes):
        if not isinstance(node, yaml.ScalarNode) or node.tag.endswith(":null"):
            raise InputError(f"names: class {number} has no name", where=f"{where}:{node.start_mark.line + 1}", do="Name it")
        yield node.value.strip()


def lines_of(text: bytes) -> list[tuple[int, str]]:
    """Return the lines of a label file that hold something, with their numbers."""
    encoding = "utf-16" if text.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return [(number, line) for number, line in enumerate(text.decode(encoding, "replace").splitlines(), 1) if line.strip()]


def seems_labels(lines: list[tuple[int, str]]) -> bool:
    """Return whether lines look like objects, and not like prose or a list of files; nothing at all may be a picture without any."""
    return all(len(words) >= 5 and _class_number(words[0]) is not None for words in (line.split() for _, line in lines))


def read_labels(text: bytes, classes: int, where: str) -> tuple[list[tuple[str, Box]], list[InputError]]:
    """Return the objects of a label file, as class and box, and what is wrong with each row that is none. Raises InputError for pixels."""
    refuse_pointer(text[:256], where)
    found, bad = [], []
    for number, line in lines_of(text):
        read = _object_of(line.split(), classes, f"{where}:{number}")
        bad += [InputError(read, where=f"{where}:{number}")] if isinstance(read, str) else []
        found += [read] if not isinstance(read, str) else []
    return found, bad


def _object_of(tokens: list[str], classes: int, where: str) -> tuple[str, Box] | str:
    """Return class and left, top, width, height in shares, perhaps partly outside, or what is wrong. A polygon (six numbers or more) gives the box round it."""
    number, values = _class_number(tokens[0]), [value for token in tokens[1:] if (value := _number(token)) is not None]
    if number is None or len(values) < len(tokens) - 1:
        return f"expected a class's number and shares of the picture, found {' '.join(tokens)!r:.60}"
    if any(value > 2 for value in values):
        raise InputError(f"{max(values):g} where shares from 0 to 1 stand: these are pixels", where=where, do="Write shares of the picture's sides")
    if not 0 <= number < classes:
        return f"class {number}: there are names for {classes} classes, from 0 on"
    if len(values) in (4, 5):  # a fifth is a detector's confidence
        x, y, w, h = values[:4]
        return (str(number), (x - w / 2, y - h / 2, w, h)) if all(-1 <= value <= 2 for value in values) else f"no shares from 0 to 1: {' '.join(tokens)!r:.60}"
    if len(values) < 6 or len(values) % 2:
        return f"{len(values)} numbers after the class are neither a box nor a polygon"
    if not all(-0.01 <= value <= 1.01 for value in values):
        return f"a polygon beyond the picture: {' '.join(tokens)!r:.60}"
    xs, ys = values[0::2], values[1::2]
    return str(number), (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def _class_number(token: str) -> int | None:
    """Return a class's number, also where it is written with a point, as NumPy does (`1.000000e+00`)."""
    value = _number(token)
    return int(value) if value is not None and value.is_integer() else None


def _number(token: str) -> float | None:
    try:
        return float(token)
    except ValueError:
        return None

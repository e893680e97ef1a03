"""A frozen test set: one file of lines in git, `frozen/NAME.jsonl`, that is written once and never edited.

The first line has the name and a SHA-256 over the name and all the lines below, the second says what the set is, and then each picture has
a line with its record and its boxes, in the order of ids. So the test set can be laid out again byte for byte, whatever became of the rest.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from boxset.conflicts import conflict_in
from boxset.dataset.coco import Coco, CocoAnnotation, CocoCategory, CocoImage, CocoLicense
from boxset.errors import InputError, did_you_mean
from boxset.files import read_bytes, sha256_of, write_bytes

FOLDER = Path("frozen")
T = TypeVar("T")


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """The first line."""

    frozen: str
    sha256: str


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The second line: what was frozen, why, and the commit whose data set it is."""

    text: str
    commit: str
    pictures: int
    boxes: int
    info: dict[str, Any]
    licenses: tuple[CocoLicense, ...]
    categories: tuple[CocoCategory, ...]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One picture and its boxes."""

    image: CocoImage
    boxes: tuple[CocoAnnotation, ...]


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the test set. Its COCO file is in the order of ids, as the data set's is."""

    name: str
    sha256: str
    text: str
    commit: str
    coco: Coco


def frozen_path(name: str, root: Path = Path()) -> Path:
    """Return where a version lies."""
    return root / FOLDER / f"{name}.jsonl"


def frozen_names(root: Path = Path()) -> list[str]:
    """Return the names of all versions."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.jsonl"))


def write_frozen(path: Path, coco: Coco, *, text: str, commit: str) -> Frozen:
    """Write a version under the name that its path has, and return it."""
    encode = msgspec.json.Encoder().encode
    boxes: dict[int, list[CocoAnnotation]] = {image.id: [] for image in coco.images}
    for annotation in sorted(coco.annotations, key=lambda a: a.id):
        boxes[annotation.image_id].append(annotation)
    about = About(
        text=text, commit=commit, pictures=len(coco.images), boxes=len(coco.annotations), info=coco.info, licenses=coco.licenses, categories=coco.categories
    )
    held = [Held(image=image, boxes=tuple(boxes[image.id])) for image in sorted(coco.images, key=lambda i: i.id)]
    body = b"".join(encode(line) + b"\n" for line in (about, *held))
    write_bytes(path, encode(Seal(frozen=path.stem, sha256=_sealed(path.stem, body))) + b"\n" + body)
    return read_frozen(path)


def read_frozen(path: Path) -> Frozen:
    """Read a version strictly. Raises InputError naming the file and, where one line is to blame, that line."""
    if not path.is_file():
        names = frozen_names(path.parent.parent)
        have = f"There are {', '.join(names)}" if names else "None was frozen yet"
        do = f"{have}; `boxset freeze {path.stem}` freezes the test set of now"
        raise InputError(f"there is no such frozen test set{did_you_mean(path.stem, names)}", where=str(path), do=do)
    content = read_bytes(path)
    conflict = conflict_in(content, path)
    if conflict:
        raise conflict
    first, _, body = content.partition(b"\n")
    seal = _line(first, Seal, path, 1)
    about, *rest = body.splitlines() or [b""]
    said = _line(about, About, path, 2)
    held = [_line(line, Held, path, number) for number, line in enumerate(rest, 3)]
    if seal.frozen != path.stem:
        raise InputError(f"it was frozen as {seal.frozen}", where=f"{path}:1", do=f"A frozen test set keeps its name: `git rm {path}`, or name it {seal.frozen} again")
    if seal.sha256 != _sealed(path.stem, body):
        raise InputError("it was changed after it was frozen: its content has another SHA-256", where=str(path), do=_back(path))
    annotations = sorted((box for one in held for box in one.boxes), key=lambda a: a.id)
    images = tuple(one.image for one in held)
    coco = Coco(info=said.info, licenses=said.licenses, categories=said.categories, images=images, annotations=tuple(annotations))
    return Frozen(name=seal.frozen, sha256=seal.sha256, text=said.text, commit=said.commit, coco=coco)


def _line(line: bytes, kind: type[T], path: Path, number: int) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as err:
        raise InputError(f"not what was frozen: {str(err).rstrip()}", where=f"{path}:{number}", do=_back(path)) from err


def _back(path: Path) -> str:
    return f"`git log -- {path}` shows who; `git checkout <commit> -- {path}` takes it back. A changed test set is a new version: `boxset freeze`"


def _sealed(name: str, body: bytes) -> str:
    return sha256_of(name.encode() + b"\n" + body)


def removed_categories(frozen: Sequence[CocoCategory], today: Sequence[CocoCategory]) -> frozenset[int]:
    """Return the ids of categories that the project no longer has."""
    known = {(category.id, category.key) for category in today}
    return frozenset(category.id for category in frozen if (category.id, category.key) not in known)

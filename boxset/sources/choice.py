"""Which images of one source's index our categories need, their boxes, and what is known of each category in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from boxset.dataset.records import Refused, State, content_mark
from boxset.errors import ParamsError
from boxset.params import FlagPolicies
from boxset.resolve import ExtractOrder
from boxset.sources import tables
from boxset.sources.classes import FREE, Vocabulary, shared_classes
from boxset.sources.known import Answer, kinship, state_of
from boxset.sources.licences import allowed
from boxset.sources.place import LOOK

Row = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """What is taken out of an index: images in the order of their ids, boxes by image, and what is known."""

    images: dict[str, Row]
    boxes: dict[str, list[Row]]  # each with `category`
    known: dict[tuple[str, str], State]  # image and category
    refused: dict[str, str]  # image → the licence that keeps it out
    unlooked: frozenset[str]  # one's own pictures that nobody has looked at yet
    flagged: int  # boxes that a flag's policy leaves out, over all images of the source
    passed: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # one's own pictures that were looked at and not asked for → address and why


def choose(order: ExtractOrder, index: Path) -> Choice:
    """Choose images: those with boxes of our categories up to the limit of each, in an order that never changes as others are added.

    An image whose licence keeps it out takes no place: the next one does. Boxes that a flag's policy drops choose no image.
    """
    vocabulary = Vocabulary.of(index)
    classes = _class_ids(order, vocabulary)
    found = {category: _Boxes(index, class_ids, order.flags) for category, class_ids in sorted(classes.items())}
    licences = _Licences(order, index)
    chosen = {image for boxes in found.values() for image in licences.first(boxes.images(), order.max_images_per_category)}
    about, said = tables.about(index), _Said(index, vocabulary, classes)
    chosen |= _negatives(order, index, said, found, licences=licences, about=about)
    unlooked = _unlooked(index, classes) if order.format == "local" and order.on else frozenset()
    chosen |= unlooked
    passed = _passed(order, index, chosen, found) if order.format == "local" and order.on else {}
    images = tables.read_images(index, chosen)
    ordered = {image: images.get(image, {"image_id": image}) for image in sorted(chosen)}
    refused = {image: terms for image in ordered if (terms := licences.refusing(image)) is not None}
    by_image: dict[str, list[Row]] = {image: [] for image in ordered}
    for category, boxes in found.items():
        for row in boxes.rows(chosen):
            by_image[row["image_id"]].append({**row, "category": category})
    known = _known(said, by_image, found, exhaustive=about.exhaustive, torn=frozenset(about.torn))
    return Choice(ordered, by_image, known, refused, unlooked, sum(boxes.dropped for boxes in found.values()), passed)


def _passed(order: ExtractOrder, index: Path, chosen: set[str], found: Mapping[str, "_Boxes"]) -> dict[str, tuple[str, str]]:
    """Return the address of each of one's own pictures that are not chosen, and what would let it in."""
    boxed = {image for boxes in found.values() for image in boxes.images()}
    most = f"sources.{order.name}.max_images_per_category is {order.max_images_per_category}"
    none = f"it shows none of our categories, and sources.{order.name}.negatives is {order.negatives}"
    rows = tables.image_columns(index, ["image_id", "url"]).to_pylist()
    return {row["image_id"]: (row["url"] or "", most if row["image_id"] in boxed else none) for row in rows if row["image_id"] not in chosen}


def refused_everywhere(order: ExtractOrder, index: Path) -> Refused:
    """Return the images, chosen or not, that the licence which the source states for them keeps out, by what other sources know of them."""
    terms = pc.unique(tables.image_columns(index, ["license"]).column("license")).to_pylist() if order.on else []
    names = [name for name in terms if name and not allowed(name, order.use, order.licences)]
    if not names:
        return Refused()
    table = tables.image_columns(index, ["license", "coco_id", "flickr_id", "url"])
    kept_out = table.filter(pc.is_in(table.column("license").cast(pa.string()), value_set=pa.array(names, pa.string())))
    coco, flickr = (tuple(sorted(filter(None, pc.unique(kept_out.column(name)).to_pylist()))) for name in ("coco_id", "flickr_id"))
    own = kept_out.column("url").to_pylist() if order.format == "local" else []
    return Refused(coco_ids=coco, flickr_ids=flickr, marks=tuple(sorted({mark for url in own if (mark := content_mark(url or ""))})))


def _unlooked(index: Path, classes: dict[str, set[str]]) -> frozenset[str]:
    """Return the images in which nobody has looked for a category of ours: no annotation file speaks of them, or none of our classes."""
    said = set(tables.read_verified(index, list(tables.about(index).verified)).column("image_id").to_pylist()) if classes else set()
    return frozenset(tables.image_columns(index, ["image_id"]).column("image_id").to_pylist()) - said


def _class_ids(order: ExtractOrder, vocabulary: Vocabulary) -> dict[str, set[str]]:
    """Return category → class ids. Raises ParamsError where two categories name the same class."""
    if not vocabulary.rows:
        _check_annotated(order)
        return {}
    classes = {
        category: set(chain.from_iterable(vocabulary.find(term, where=f"categories.{category}.classes.{order.name}") for term in terms))
        for category, terms in order.classes.items()
    }
    for shared in shared_classes(classes, free=order.format in FREE):
        what, do = shared.fault(vocabulary.rows)
        raise ParamsError(f"categories.{shared.other}.classes.{order.name}: {what}", where="params.yaml", do=do)
    return classes


def _check_annotated(order: ExtractOrder) -> None:
    """Raise ParamsError where categories name classes of one's own pictures, of which no annotation file was found."""
    if order.format == "local" and order.on and order.path and order.classes:
        where = f"categories.{next(iter(order.classes))}.classes.{order.name}"
        what = f"{where}: no annotations were found in {order.path}; looked for a .json or .json.gz (COCO), labels/*.txt and NAME.txt beside NAME.jpg (YOLO)"
        do = f"Put one there, then `{LOOK}` sees it; name the file in sources.{order.name}.annotations; or write [] for the category, and its pictures go to labelling"
        raise ParamsError(what, where="params.yaml", do=do)


class _Boxes:
    """The boxes of one category in an index: those that are wanted, and those that a flag's policy drops. Few are ever held whole."""

    def __init__(self, index: Path, class_ids: set[str], flags: FlagPolicies) -> None:
        self._index, self._class_ids = index, sorted(class_ids)
        self._drop = [flag for flag in tables.FLAGS if getattr(flags, flag) == "drop"]
        table = tables.read_boxes(index, self._class_ids, ["image_id", *self._drop])
        self._dropped = self._is_dropped(table)
        self._images = table.column("image_id")
        self.dropped = int(pc.sum(self._dropped).as_py() or 0)

    def _is_dropped(self, table: pa.Table) -> pa.Array:
        drop = pa.array([False] * table.num_rows, pa.bool_())
        for flag in self._drop:
            drop = pc.or_(drop, pc.fill_null(table.column(flag).combine_chunks(), False))
        return drop

    def images(self) -> list[str]:
        """Return the images with a wanted box."""
        ids: list[str] = pc.unique(self._images.filter(pc.invert(self._dropped))).to_pylist()
        return ids

    def images_dropped(self) -> set[str]:
        """Return the images with a box that is dropped."""
        return set(self._images.filter(self._dropped).to_pylist())

    def rows(self, images: Iterable[str]) -> list[Row]:
        """Return the wanted boxes in some images."""
        table = _of_images(tables.read_boxes(self._index, self._class_ids), images)
        rows: list[Row] = table.filter(pc.invert(self._is_dropped(table.combine_chunks()))).to_pylist()
        return rows


def _of_images(table: pa.Table, images: Iterable[str]) -> pa.Table:
    return table.filter(pc.is_in(table.column("image_id"), value_set=pa.array(sorted(images), pa.string())))


class _Licences:
    """Which images of an index may enter, and the order in which they are taken."""

    def __init__(self, order: ExtractOrder, index: Path) -> None:
        table = tables.image_columns(index, ["image_id", "license"])
        stated = table.filter(pc.is_valid(table.column("license"))) if order.on else table.slice(0, 0)
        self._terms = tables.about(index).license
        named = [*pc.unique(stated.column("license").cast(pa.string())).to_pylist(), self._terms]
        self._refused = {name for name in named if not allowed(name, order.use, order.licences)}
        kept_out = stated.filter(pc.is_in(stated.column("license").cast(pa.string()), value_set=pa.array(sorted(self._refused), pa.string())))
        self._kept_out = dict(zip(kept_out.column("image_id").to_pylist(), kept_out.column("license").to_pylist(), strict=True))
        self._stated = set(stated.column("image_id").to_pylist()) if self._terms in self._refused else set()

    def refusing(self, image: str) -> str | None:
        """Return the licence that keeps an image out (`licence unknown` where nobody states one), or None."""
        unstated = (self._terms or "licence unknown") if self._terms in self._refused and image not in self._stated else None
        return self._kept_out.get(image, unstated)

    def first(self, images: Iterable[str], limit: int) -> list[str]:
        """Return images, lowest hash first, until `limit` of them (0: all) may enter; those on the way that may not are among them."""
        taken: list[str] = []
        room = limit or -1
        for image in sorted(images, key=_mixed):
            if room == 0:
                break
            taken.append(image)
            room -= self.refusing(image) is None
        return taken


def _mixed(image: str) -> str:
    return sha256(image.encode()).hexdigest()


class _Said:
    """What people have verified of our categories."""

    def __init__(self, index: Path, vocabulary: Vocabulary, classes: dict[str, set[str]]) -> None:
        self.kin = {category: kinship(vocabulary, class_ids) for category, class_ids in classes.items()}
        self._table = tables.read_verified(index, sorted({one for kin in self.kin.values() for one in kin.relevant}))

    def of(self, images: Iterable[str]) -> dict[str, dict[str, Answer]]:
        """Return the answers about some images: image → class → answer. Two that contradict each other say nothing."""
        found: dict[str, dict[str, Answer]] = {}
        contradicted: set[tuple[str, str]] = set()
        for row in _of_images(self._table, images).to_pylist():
            answer, answers = Answer(row["present"], row["exhaustive"]), found.setdefault(row["image_id"], {})
            before = answers.setdefault(row["class_id"], answer)
            if before.present != answer.present:
                contradicted.add((row["image_id"], row["class_id"]))
            elif not answer.exhaustive:
                answers[row["class_id"]] = answer
        for image, class_id in contradicted:
            del found[image][class_id]
        return found

    def denying(self, category: str) -> list[str]:
        """Return the images in which a class of a category, or one over it, is said to be absent."""
        kin = self.kin[category]
        names = pa.array(sorted(kin.relevant - kin.foreign), pa.string())
        mask = pc.and_(pc.invert(self._table.column("present")), pc.is_in(self._table.column("class_id"), value_set=names))
        ids: list[str] = pc.unique(self._table.filter(mask).column("image_id")).to_pylist()
        return ids


def _known(
    said: _Said, boxes: dict[str, list[Row]], found: dict[str, _Boxes], *, exhaustive: bool, torn: frozenset[str]
) -> dict[tuple[str, str], State]:
    """Return what is known of each chosen image and category. An object whose box a policy dropped, or cannot be read, has none: it is partly boxed."""
    answers = said.of(boxes)
    known: dict[tuple[str, str], State] = {}
    for category, kin in said.kin.items():
        unboxed = found[category].images_dropped()
        for image, rows in boxes.items():
            boxed = {row["class_id"] for row in rows if row["category"] == category}
            state: State | None = _exhaustive_state(boxed) if exhaustive else state_of(kin, answers.get(image, {}), boxed)
            if image in unboxed or (image in torn and state is State.PRESENT):
                state = State.PARTIAL
            elif image in torn and state is State.ABSENT:
                state = None
            if state is not None:
                known[image, category] = state
    return known


def _exhaustive_state(boxed: set[str]) -> State:
    return State.PRESENT if boxed else State.ABSENT


def _negatives(order: ExtractOrder, index: Path, said: _Said, found: dict[str, _Boxes], *, licences: _Licences, about: tables.About) -> set[str]:
    """Return images in which a category is verified absent, up to `negatives` each; of a source without our classes, any images."""
    if not order.negatives:
        return set()
    torn = set(about.torn)
    every = [image for row in tables.all_images(index) if (image := row["image_id"]) not in torn] if about.exhaustive or not order.classes else []
    if not order.classes:
        return set(licences.first(every, order.negatives))
    if about.exhaustive:
        boxed = {image for boxes in found.values() for image in (*boxes.images(), *boxes.images_dropped())}
        return set(licences.first((image for image in every if image not in boxed), order.negatives))
    chosen: set[str] = set()
    for category, kin in said.kin.items():
        boxed = {*found[category].images(), *found[category].images_dropped()}
        candidates = [image for image in said.denying(category) if image not in boxed and image not in torn]
        answers = said.of(candidates)
        absent = (image for image in candidates if state_of(kin, answers[image], ()) is State.ABSENT)
        chosen.update(licences.first(absent, order.negatives))
    return chosen

"""What each stage is asked to do: the parameters of one consumer, defaults filled in, so that DVC sees only what concerns it."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from boxset.conflicts import read_lock
from boxset.errors import InputError, ProjectError
from boxset.files import read_json, write_json
from boxset.params import Category, ClassTerm, FlagPolicies, Licences, Params, Query, Source, queries_of, terms_of
from boxset.passedover import refuse_passed_over


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what a stage reads from `data/resolve`."""


T = TypeVar("T", bound=Order)


class IndexOrder(Order, frozen=True):
    """`sources/<s>.json`: what to read, from where."""

    name: str
    on: bool
    format: str
    path: str
    files: dict[str, str]
    sha256: dict[str, str]
    splits: tuple[str, ...]
    annotations: str
    license: str
    max_lost_share: float
    listing: str = ""  # what lies on this machine now, so that a new picture or a changed file is noticed


class ExtractOrder(Order, frozen=True):
    """`classes/<s>.json`: what to take out of a source's index."""

    name: str
    on: bool
    format: str
    path: str
    use: str
    licences: Licences
    flags: FlagPolicies
    max_images_per_category: int
    negatives: int
    max_missing_share: float
    retry: int
    category: str  # local without annotations: what its pictures are asked about
    annotations: str
    classes: dict[str, tuple[ClassTerm, ...]]  # category → its classes here; only categories that name one
    pictures: str = ""  # imagenet: another place of its pictures


class CrawlOrder(Order, frozen=True):
    """`queries/<c>.json`: what to look for."""

    category: str
    queries: tuple[Query, ...]
    confusers: tuple[str, ...]
    crawl_images: int
    reject_words: tuple[str, ...]
    use: str
    licences: Licences
    lists: dict[str, str] = {}  # list of crawl.url_lists → a mark of the rows that it has for the category, so that a changed one is noticed


class Target(Order, frozen=True):
    """How many boxes of a category are wanted, and how many at most (0: no limit)."""

    target: int
    max: int


class Targets(Order, frozen=True):
    """`targets.json`."""

    categories: dict[str, Target]


class Freeze(Order, frozen=True):
    """`freeze.json`: the version that test is held to; empty: none."""

    freeze_test: str


class Formats(Order, frozen=True):
    """`formats.json`: each source's format, by which the card knows the terms of its boxes."""

    sources: dict[str, str]


class Identity(Order, frozen=True, omit_defaults=True):
    """A category's id and supercategory, and its name for show where that is another than its key."""

    id: int
    supercategory: str
    name: str = ""


class Ids(Order, frozen=True):
    """`ids.json`."""

    categories: dict[str, Identity]


class WorldMark(Order, frozen=True):
    """`world.json`: the world that made what is in `data/`."""

    world: str


def write_resolved(
    params: Params, out: Path, *, version: int, listings: dict[str, str] | None = None, lists: dict[str, dict[str, str]] | None = None
) -> None:
    """Write one file per consumer; files of what is gone are removed by `prune`.

    `listings`: a mark of what each source has on this machine; `lists`: category → list of addresses → a mark of its rows.
    Raises ParamsError where something in the parameters would be passed over.
    """
    refuse_passed_over(params)
    for name, source in params.sources.items():
        write_json(out / "sources" / f"{name}.json", index_order(name, source, (listings or {}).get(name, "")))
        write_json(out / "classes" / f"{name}.json", extract_order(params, name, source))
    for name in params.categories:
        write_json(out / "queries" / f"{name}.json", crawl_order(params, name, (lists or {}).get(name, {})))
    write_json(out / "targets.json", Targets(categories={n: Target(target=c.target, max=c.max) for n, c in params.categories.items()}))
    write_json(out / "ids.json", ids_of(params))
    write_json(out / "formats.json", Formats(sources=formats_of(params)))
    write_json(out / "freeze.json", Freeze(freeze_test=params.split.freeze_test))
    write_json(out / "world.json", {"world": params.world, "version": version})


def formats_of(params: Params) -> dict[str, str]:
    """Return each source's format, by which the terms of its boxes are known."""
    return {name: source.format or name for name, source in params.sources.items()}


def ids_of(params: Params) -> Ids:
    """Return what tells the categories apart, in the order of their ids."""
    by_id = sorted(params.categories.items(), key=lambda item: item[1].id)
    return Ids(categories={key: _identity(key, category) for key, category in by_id})


def _identity(key: str, category: Category) -> Identity:
    return Identity(id=category.id, supercategory=category.supercategory, name=category.name if category.name != key else "")


def known_listings(out: Path) -> dict[str, str]:
    """Return the marks of what each source had on this machine when it was last looked into."""
    return {name: order.listing for name, order in _orders(out / "sources", IndexOrder)}


def known_lists(out: Path) -> dict[str, dict[str, str]]:
    """Return category → list of addresses → the mark of its rows when it was last looked into."""
    return {name: order.lists for name, order in _orders(out / "queries", CrawlOrder)}


def _orders(folder: Path, kind: type[T]) -> Iterator[tuple[str, T]]:
    """Yield what was resolved before, by name; what another version has written is about to be written anew."""
    for path in sorted(folder.glob("*.json")):
        with suppress(InputError):
            yield path.stem, read_json(path, kind)


def index_order(name: str, source: Source, listing: str = "") -> IndexOrder:
    """Return what `index` needs to know of a source."""
    return IndexOrder(
        name=name,
        on=source.on,
        format=source.format or name,
        path=source.path,
        files=source.files,
        sha256=source.sha256,
        splits=source.splits,
        annotations=source.annotations,
        license=source.license,
        max_lost_share=source.max_lost_share,
        listing=listing,
    )


def extract_order(params: Params, name: str, source: Source) -> ExtractOrder:
    """Return what `extract` needs to know of a source: only categories that name a class in it stand there."""
    wanted = {category: terms_of(c, name) for category, c in params.categories.items()}
    return ExtractOrder(
        name=name,
        on=source.on,
        format=source.format or name,
        path=source.path.removeprefix("file://"),
        use=params.project.use,
        licences=params.licences,
        flags=source.flags,
        max_images_per_category=source.max_images_per_category,
        negatives=source.negatives,
        max_missing_share=source.max_missing_share,
        retry=source.retry,
        category=source.category,
        annotations=source.annotations,
        classes={category: terms for category, terms in wanted.items() if terms},
        pictures=source.files.get("pictures", "").removeprefix("file://"),
    )


def crawl_order(params: Params, name: str, lists: dict[str, str] | None = None) -> CrawlOrder:
    """Return what `crawl` needs to know of a category."""
    category = params.categories[name]
    return CrawlOrder(
        category=name,
        queries=queries_of(category),
        confusers=category.confusers,
        crawl_images=category.crawl_images,
        reject_words=category.reject_words,
        use=params.project.use,
        licences=params.licences,
        lists=lists or {},
    )


def check_world(params: Params, out: Path, *, lock: Path = Path("dvc.lock")) -> None:
    """Raise ProjectError where the data here, or what `dvc.lock` says of it in a clone, came from another world."""
    mark = out / "world.json"
    made_in = read_json(mark, WorldMark).world if mark.exists() else _locked_world(lock)
    if made_in and made_in != params.world:
        do = "Make a project of its own with `boxset init DIR`, or set `world` back"
        raise ProjectError(f"world: the data here came from the {made_in} world, and `world` now says {params.world}", where="params.yaml", do=do)


def _locked_world(lock: Path) -> str:
    """Return the world with which `resolve` last ran, or an empty string. Raises ProjectError where the lock cannot be read."""
    return str(read_lock(lock).get("resolve", {}).get("params", {}).get("params.yaml", {}).get("world", ""))


def prune(params: Params, root: Path) -> None:
    """Remove from `data/` and `metrics/` what belongs to no category or source any more. Raises ProjectError where it cannot."""
    for pattern, names in _kept_names(params).items():
        for path in sorted(root.glob(pattern)):
            if path.name.removesuffix(".json") not in names and not path.name.startswith("."):
                _remove(path)


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as err:
        do = "Nothing declares it any more: remove it, then run again"
        raise ProjectError(f"cannot remove it: {err.strerror or err}", where=str(path), do=do) from err


def check_folders(params: Params, data: Path) -> None:
    """Raise ProjectError where `data/` does not hold exactly the sources and categories of the parameters."""
    for kind, names in (("extract", params.sources), ("crawl", params.categories)):
        have = {path.name for path in (data / kind).glob("*") if path.is_dir()}
        missing, foreign = sorted(set(names) - have), sorted(have - set(names))
        if missing or foreign:
            found = "; ".join(f"{word} {', '.join(some)}" for word, some in (("missing", missing), ("left over", foreign)) if some)
            raise ProjectError(found, where=str(data / kind), do="`dvc pull`, then `dvc repro`")


def _kept_names(params: Params) -> dict[str, set[str]]:
    sources, categories = set(params.sources), set(params.categories)
    by_source = ("data/index/*", "data/extract/*", "data/resolve/sources/*", "data/resolve/classes/*", "metrics/index/*", "metrics/extract/*")
    by_category = ("data/crawl/*", "data/resolve/queries/*", "metrics/crawl/*")
    return {**dict.fromkeys(by_source, sources), **dict.fromkeys(by_category, categories)}

"""What stands in params.yaml and no build would ever look at: a file or split that a reader does not know, a licence that is never spelt so."""

import re
from collections.abc import Iterator
from pathlib import Path

from boxset.errors import did_you_mean
from boxset.params import FORMATS, Licences, Params, Source, place_of
from boxset.strict import Fault

SPLITS = {
    "open_images": ("train", "validation", "test"),
    "imagenet": ("train", "val"),
    "coco": ("train", "val"),
    "lvis": ("train", "val"),
}
FILES = {
    "open_images": ("classes", "hierarchy", *(f"{kind}_{split}" for kind in ("boxes", "images", "labels") for split in SPLITS["open_images"])),
    "imagenet": ("synsets", "boxes_train", "boxes_val", "pictures"),
    "visual_genome": ("objects", "images", "aliases"),
    "coco": ("instances_train", "instances_val"),
    "lvis": ("lvis_train", "lvis_val"),
}
SPDX = re.compile(r"(?:[A-Z0-9*]|[a-z0-9]+-)[A-Za-z0-9.*+-]*")
VERSIONLESS = re.compile(r"CC-BY(?:-(?:NC|ND|SA))*|CC0", re.IGNORECASE)
SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def refuse_passed_over(params: Params, path: Path = Path("params.yaml")) -> None:
    """Raise ParamsError where something would be passed over in silence: a pin that pins nothing, a licence that is denied in vain."""
    found = list(passed_over(params))
    if found:
        raise found[0].error(place_of(found[0], path) if path.exists() else str(path), others=len(found) - 1)


def passed_over(params: Params) -> Iterator[Fault]:
    """Return what would be passed over."""
    for name, source in params.sources.items():
        kind = source.format or name
        yield from _unknown_words(source.splits, SPLITS.get(kind), f"sources.{name}.splits")
        yield from _unknown_words(tuple(source.files), FILES.get(kind), f"sources.{name}.files")
        yield from _unknown_words(tuple(source.sha256), FILES.get(kind), f"sources.{name}.sha256")
        yield from _unread(source, kind, f"sources.{name}")
        for file, digest in source.sha256.items():
            if not SHA256.fullmatch(digest):
                yield Fault(f"sources.{name}.sha256.{file}", "a SHA-256 has 64 hexadecimal digits", "Copy it again")
    yield from _licences(params.licences)


def _unknown_words(words: tuple[str, ...], known: tuple[str, ...] | None, key: str) -> Iterator[Fault]:
    for word in words:
        if known and word not in known:
            yield Fault(key, f"there is no {word}{did_you_mean(word, known)}", f"One of {', '.join(known)}")


def _unread(source: Source, kind: str, key: str) -> Iterator[Fault]:
    """What a source says that its reader does not look at, whatever is written there."""
    of_public = ("splits", "files", "sha256") if kind == "local" else ("splits",) if kind == "visual_genome" else ()
    for name in (*of_public, *(("annotations", "license", "category") if kind != "local" and kind in FORMATS else ())):
        if getattr(source, name):
            do = "Name its folder in `path`, or its file in `annotations`" if kind == "local" else "Delete it"
            yield Fault(f"{key}.{name}", f"{kind} does not read it", do)


def _licences(licences: Licences) -> Iterator[Fault]:
    for key, patterns in (("allow", licences.allow), ("deny", licences.deny)):
        for pattern in patterns:
            if not SPDX.fullmatch(pattern):
                do = "Write CC-BY-4.0, *-NC-* or LicenseRef-own"
                yield Fault(f"licences.{key}", f"{pattern!r} is not spelt as SPDX does, and would match nothing", do)
            elif VERSIONLESS.fullmatch(pattern):
                yield Fault(f"licences.{key}", f"{pattern!r} names no version, and would match nothing", f"Write {pattern}-*")

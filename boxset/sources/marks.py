"""What a source's raw files on this machine hold now, as one mark: so that a file that is changed in its place is read anew."""

import hashlib
import json
import zipfile
from pathlib import Path

import msgspec

from boxset.endpoints import Endpoints
from boxset.files import write_bytes
from boxset.params import Params, Source
from boxset.sources.raw import RawFiles, member_of_zip

HASHED = Path(".boxset/raw.hashed")  # what was hashed before, by size and time of change
Known = dict[str, tuple[int, int, str]]


def raw_marks(params: Params, endpoints: Endpoints, known: dict[str, str]) -> dict[str, str]:
    """Return a mark for every public source some of whose files lie on this machine. Addresses are not asked.

    A mark changes with the content alone, so that a copy elsewhere has the same one. Where none of the files is here (a colleague's
    clone) what is `known` of them stays, so that nothing is built anew.
    """
    memory, marks = _remembered(), {}
    fresh: Known = {}
    for name, source in params.sources.items():
        places = _places(name, source, endpoints) if source.on and (source.format or name) != "local" else {}
        found = {file: mark for file, place in places.items() if (mark := _mark(place, memory, fresh))}
        if places:
            marks[name] = hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest() if found else known.get(name, "")
    if fresh:
        write_bytes(HASHED, msgspec.json.encode({**memory, **fresh}))
    return marks


def _places(name: str, source: Source, endpoints: Endpoints) -> dict[str, Path]:
    """Return where the files are that lie on this machine by what `params.yaml` says."""
    if not (source.path or source.files or endpoints.mirrors):
        return {}
    files = RawFiles(endpoints, contact="", path=source.path, files=source.files, sha256={})
    places = {file: files.local(file, address) for file, address in _addresses(source.format or name).items()}
    return {file: place for file, place in places.items() if place is not None}


def _addresses(format_: str) -> dict[str, str]:
    """Return the names of a reader's files, and their public addresses or names."""
    from boxset.sources import coco, imagenet, open_images, visual_genome

    by_split = {"boxes": open_images.BOX_FILES, "images": open_images.IMAGE_FILES, "labels": open_images.LABEL_FILES}
    lists = {f"{kind}_{split}": address for kind, files in by_split.items() for split, address in files.items()}
    return {
        "open_images": {**dict([open_images.CLASS_FILE, open_images.HIERARCHY]), **lists},
        "imagenet": {**dict([imagenet.SYNSETS]), **{f"boxes_{split}": file for split, file in imagenet.BOX_FILES.items()}},
        "visual_genome": dict([visual_genome.OBJECTS, visual_genome.IMAGES, visual_genome.ALIASES]),
        "coco": {f"instances_{split}": coco.ZIP for split in coco.SPLITS},
        "lvis": {f"lvis_{split}": address for split, address in coco.LVIS_ZIPS.items()},
    }.get(format_, {})


def _mark(place: Path, memory: Known, fresh: Known) -> str:
    """Return a mark of a file's content; an empty string where it is not there. A zip's member has one in the zip's directory."""
    if not place.is_file():
        member = member_of_zip(place)
        return _in_zip(place.parent, member) if member else ""
    state, name = place.stat(), str(place.resolve())
    known = fresh.get(name) or memory.get(name)
    if known is None or known[:2] != (state.st_size, state.st_mtime_ns):
        with place.open("rb") as file:
            known = (state.st_size, state.st_mtime_ns, hashlib.file_digest(file, "sha256").hexdigest())
        fresh[name] = known
    return known[2]


def _in_zip(archive: Path, member: str) -> str:
    with zipfile.ZipFile(archive) as packed:
        info = packed.getinfo(member)
    return f"{info.file_size} {info.CRC:08x}"


def _remembered() -> Known:
    try:
        return msgspec.json.decode(HASHED.read_bytes(), type=Known)
    except (OSError, msgspec.MsgspecError):
        return {}

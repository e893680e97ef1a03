"""Pictures out of a folder, a zip, a tar or a tar.gz; an archive is read in one pass and never unpacked."""

import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from boxset.errors import InputError

MAX_BYTES = 100_000_000


def pictures_in(place: Path, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the wanted members that are there, in the archive's order; stops when all were found.

    A member's name may stand below further folders. Raises InputError where the archive breaks off.
    """
    names = set(wanted)
    if place.is_dir():
        yield from ((name, (place / name).read_bytes()) for name in sorted(names) if (place / name).is_file())
        return
    try:
        with place.open("rb") as file:
            source = _zip(file, names) if zipfile.is_zipfile(place) else _tar(file, names)
            yield from source
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as err:
        raise InputError(f"broken archive: {err}", where=str(place), do="Fetch it again; what was found so far is kept") from err


def _zip(file: IO[bytes], names: set[str]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            name = _wanted(info.filename, names)
            if name and info.file_size <= MAX_BYTES:
                yield name, archive.read(info)


def _tar(file: IO[bytes], names: set[str]) -> Iterator[tuple[str, bytes]]:
    left = set(names)
    head = file.read(2)
    file.seek(0)
    stream: IO[bytes] = _gunzipped(file) if head == b"\x1f\x8b" else file
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = _wanted(member.name, left)
            content = archive.extractfile(member) if name and member.isfile() and member.size <= MAX_BYTES else None
            if content is not None:
                left.discard(name)
                yield name, content.read()
            if not left:
                return


def _gunzipped(file: IO[bytes]) -> IO[bytes]:
    try:
        from isal.igzip import IGzipFile
    except ImportError:
        from gzip import GzipFile

        return GzipFile(fileobj=file)  # type: ignore[return-value]
    return IGzipFile(fileobj=file)  # type: ignore[no-any-return]


def _wanted(member: str, names: set[str]) -> str:
    """Return the wanted name that a member's path ends with, or an empty string."""
    parts = member.split("/")
    for start in range(len(parts)):
        name = "/".join(parts[start:])
        if name in names:
            return name
    return ""

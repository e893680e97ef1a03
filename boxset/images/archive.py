"""Pictures out of a folder, a zip, a tar or a tar.gz, or a tar.gz within a zip; an archive is read in one pass and never unpacked."""

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, Self, cast

from boxset.errors import InputError

DAMAGED: tuple[type[Exception], ...] = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    NotImplementedError,  # zipfile's, of a version or a flag that nobody has
)  # fmt: skip
"""What Python raises for an archive that was cut off or changed on its way."""
try:
    from isal import igzip, isal_zlib
except ImportError:
    igzip = gzip
else:
    DAMAGED = (*DAMAGED, cast(type[Exception], isal_zlib.error))

open_gzip: Any = igzip.open
BROKEN: tuple[type[Exception], ...] = (*DAMAGED, OSError, UnicodeDecodeError)  # a disk that fails, and names that are none, too
MAX_BYTES = 100_000_000
PACKED = (".tar", ".tar.gz", ".tgz")
UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)  # ways of packing that can be undone


def readable(info: zipfile.ZipInfo, archive: Path) -> zipfile.ZipInfo:
    """Return a zip's member. Raises InputError for one that is encrypted, or packed in a way that cannot be undone (Windows' Deflate64)."""
    why = "encrypted" if info.flag_bits & 1 else "" if info.compress_type in UNPACKED else f"packed by method {info.compress_type}, which is not read"
    if why:
        raise InputError(f"{info.filename} in it is {why}", where=str(archive), do="Unpack it, and name the folder")
    return info


def pictures_in(place: Path, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the wanted members that are there, in the archive's order; stops when all were found.

    A member's path may have further folders before the wanted one; a folder may also stand further down that path, so that
    `…/CLS-LOC/val` serves for `ILSVRC/Data/CLS-LOC/val/x.JPEG`. Raises InputError where the archive breaks off.
    """
    names = set(wanted)
    if place.is_dir():
        yield from _in_folder(place, names)
        return
    try:
        with place.open("rb") as file:
            yield from _zip(file, names, place) if zipfile.is_zipfile(place) else _tar(file, names)
    except BROKEN as err:
        raise InputError(f"broken archive: {err}", where=str(place), do="Fetch it again; what was found so far is kept") from err


def holds_pictures(place: Path, wanted: Iterable[str]) -> bool:
    """Return whether a folder holds one of the wanted pictures."""
    return place.is_dir() and any(True for _ in _in_folder(place, set(wanted), read=False))


def _in_folder(place: Path, names: set[str], *, read: bool = True) -> Iterator[tuple[str, bytes]]:
    for name in sorted(names):
        path = _below(place, name)
        if path is not None and path.stat().st_size <= MAX_BYTES:
            yield name, path.read_bytes() if read else b""


def _below(place: Path, name: str) -> Path | None:
    parts = name.split("/")
    return next((path for start in range(len(parts)) if (path := place.joinpath(*parts[start:])).is_file()), None)


def _zip(file: IO[bytes], names: set[str], place: Path) -> Iterator[tuple[str, bytes]]:
    left = set(names)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            name = _wanted(info.filename, left)
            if name and info.file_size <= MAX_BYTES:
                left.discard(name)
                yield name, archive.read(readable(info, place))
        for info in archive.infolist() if left else ():
            if info.filename.endswith(PACKED):
                with archive.open(readable(info, place)) as inner:
                    yield from _tar(inner, left)


class _Member(tarfile.TarInfo):
    """A member; the archive notes that its end marker was met, which a cut archive lacks."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            tarfile_.has_ended = True  # type: ignore[attr-defined]
            raise


def _tar(file: IO[bytes], names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Read a tar file, packed or not, from its beginning until all is found; it only ever seeks forwards."""
    left = set(names)
    head = file.read(2)
    file.seek(0)
    with (
        open_gzip(file, "rb") if head == b"\x1f\x8b" else nullcontext(file) as plain,
        tarfile.open(fileobj=plain, mode="r:", tarinfo=_Member) as archive,
    ):
        while left and (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined] # else it remembers each of a million
            name = _wanted(member.name, left)
            content = archive.extractfile(member) if name and member.isfile() and member.size <= MAX_BYTES else None
            if content is not None:
                left.discard(name)
                yield name, content.read()
        if left and not hasattr(archive, "has_ended"):
            raise tarfile.ReadError("it has no end")


def _wanted(member: str, names: set[str]) -> str:
    """Return the wanted name that a member's path ends with, or an empty string."""
    start = 0
    while start <= len(member):
        if member[start:] in names:
            return member[start:]
        start = member.find("/", start) + 1 or len(member) + 1
    return ""

"""A source's raw files: fetched once into a cache that projects share, resumable and checked; opened as streams, whatever packs them."""

import fcntl
import hashlib
import io
import mmap
import os
import re
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from boxset import __version__
from boxset.endpoints import Endpoints
from boxset.errors import InputError
from boxset.files import make_folder, whole_file
from boxset.images.archive import DAMAGED, open_gzip, readable
from boxset.terminal import say

CHUNK = 1 << 20
PACKINGS = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR", b"\x28\xb5\x2f\xfd": "Zstandard"}  # none of them is read
LFS = b"version https://git-lfs.github.com/spec/"


def cache_folder() -> Path:
    """Return where raw files are kept for all projects: BOXSET_CACHE, or the user's cache folder."""
    return Path(os.environ.get("BOXSET_CACHE") or Path.home() / ".cache" / "boxset")


def cached_name(address: str) -> Path:
    """Return where a file of an address is kept below the cache's folder: two addresses never share a place."""
    parts = urlsplit(address)
    safe = [re.sub(r"[^\w.+=@,-]", "_", part) for part in (parts.netloc, *parts.path.split("/")) if part not in ("", ".", "..")]
    if parts.query:
        safe[-1] += "~" + hashlib.sha256(parts.query.encode()).hexdigest()[:12]
    return Path(*safe)


class RawFiles:
    """Finds a source's files: under `path` (a folder, a zip or an address) or at their public addresses, with single files named in `files`."""

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        contact: str,
        path: str,
        files: dict[str, str],
        sha256: dict[str, str],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._endpoints, self._contact, self._path, self._files, self._sha256, self._sleep = endpoints, contact, path, files, sha256, sleep
        self._out_of_cache: dict[str, str] = {}

    def get(self, name: str, address: str) -> Path:
        """Return a file's local path. `address` is its public address, or its name where the source has none.

        Raises InputError where it is missing or is not what was expected, ServiceError where a server does not answer, ParamsError where the
        internet would be asked without a contact.
        """
        where = self._where(name, address)
        found = self._fetched(where) if _is_remote(where) else self._out_of_zip(Path(where)) or Path(where.removeprefix("file://"))
        if not found.is_file():
            do = f"Put it there, or name another place: sources.<name>.files.{name} in params.yaml"
            raise InputError("there is no such file", where=str(found), do=do)
        self._check(name, found)
        return found

    def has(self, name: str, address: str) -> bool:
        """Return whether a local file is there, and say so where it is not; always true for addresses."""
        where = self._where(name, address)
        there = _is_remote(where) or Path(where.removeprefix("file://")).is_file() or member_of_zip(Path(where)) is not None
        if not there:
            say(f"no {name} ({where}): what it tells stays unknown")
        return there

    def local(self, name: str, address: str) -> Path | None:
        """Return where a file is to be on this machine, whether or not it is; None where an address leads elsewhere."""
        where = self._where(name, address)
        return None if _is_remote(where) else Path(where.removeprefix("file://"))

    def _where(self, name: str, address: str) -> str:
        return self._endpoints.mirrored(self._files.get(name) or (_joined(self._path, address) if self._path else address))

    def _out_of_zip(self, place: Path) -> Path | None:
        """Return the unpacked member for a path that leads into a zip file, or None."""
        member = member_of_zip(place)
        if member is None:
            return None
        archive = place.parent
        state = archive.stat()
        mark = hashlib.sha256(f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:16]
        target = Path(".boxset/raw") / f"{archive.name}-{mark}" / place.name
        if not target.exists():
            with zipfile.ZipFile(archive) as packed, _named(archive), packed.open(readable(packed.getinfo(member), archive)) as inner, whole_file(target) as out:
                shutil.copyfileobj(inner, out, CHUNK)
        return target

    def _check(self, name: str, found: Path) -> None:
        wanted = self._sha256.get(name)
        if wanted:
            with found.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != wanted.lower():
                raise InputError(
                    f"SHA-256 is {digest[:16]}…, expected {wanted[:16]}…", where=str(found), do="Delete it and fetch it again, or correct `sha256`"
                )

    def _fetched(self, address: str) -> Path:
        from boxset.sources.download import download  # where nothing is fetched, its HTTP client need not be loaded

        root = Path(".boxset/raw") if self._endpoints.gateway else cache_folder() / "raw"
        target = root / cached_name(address)
        make_folder(target.parent)
        sent = {"User-Agent": f"Boxset/{__version__} (contact: {self._contact})", "Accept-Encoding": "identity"}
        with _locked(target.with_name(f".{target.name}.lock")):
            if not target.exists():
                self._endpoints.check_contact(self._contact)
                download(address, target, endpoints=self._endpoints, headers=sent, sleep=self._sleep)
        self._out_of_cache[str(target)] = address
        return target

    def advised(self, err: InputError) -> InputError:
        """Return an error about a file of the cache with what helps: without deleting it, it would never be fetched again."""
        cached = next((path for path in self._out_of_cache if err.where.startswith(path)), None)
        if cached is None:
            return err
        do = f"If it was cut off on its way from {self._out_of_cache[cached]}: `rm '{cached}'`, and run again. Else: {err.do[:1].lower()}{err.do[1:]}"
        return InputError(err.what, where=err.where, do=do.removesuffix(" Else: "))


def _is_remote(where: str) -> bool:
    return "://" in where and not where.startswith("file:")


def member_of_zip(place: Path) -> str | None:
    """Return the member of a zip file that a path through that file names, or None where it does not lead through one."""
    if not place.parent.is_file() or not zipfile.is_zipfile(place.parent):
        return None
    with zipfile.ZipFile(place.parent) as archive:
        return next((name for name in archive.namelist() if name.rpartition("/")[2] == place.name and not name.startswith("__MACOSX")), None)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _joined(path: str, address: str) -> str:
    """Return where a file lies below a path; in a folder it may be packed in another way than its publisher packs it, or not at all."""
    name = address.rpartition("/")[2]
    if "://" in path:
        return f"{path.rstrip('/')}/{name}"
    plain = name.removesuffix(".zip")
    places = [Path(path) / one for one in (name, plain, f"{plain}.gz", f"{plain}.zip")]
    return str(next((place for place in places if place.is_file()), places[0]))


@contextmanager
def opened(path: Path, member: str = "") -> Iterator[IO[bytes]]:
    """Open a plain, gzip, zip or tar file as a stream of what it holds; `member` ends the name of the wanted one in an archive.

    Raises InputError for what is no data at all: a Git-LFS pointer, a web page, a broken archive.
    """
    with _named(path), _unpacked(path, member) as stream:
        refuse_foreign(stream.peek(512) if hasattr(stream, "peek") else b"", path)
        yield stream


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the archive of which a block reads that it is broken."""
    try:
        yield
    except DAMAGED as err:
        raise InputError(f"broken archive: {err}", where=str(path), do="Delete it and fetch it again") from err


@contextmanager
def _unpacked(path: Path, member: str) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        head = file.read(6)
    if head[:4] == b"PK\x03\x04":
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(readable(archive.getinfo(_member(archive.namelist(), member, path)), path)) as inner,
            io.BufferedReader(inner, CHUNK) as stream,  # type: ignore[type-var]
        ):
            yield stream
    elif packing := next((name for mark, name in PACKINGS.items() if head.startswith(mark)), ""):
        raise InputError(f"packed by {packing}, which is not read", where=str(path), do="Unpack it, or pack it with gzip")
    elif tarfile.is_tarfile(path) and not head.startswith(b"ImageI"):
        with _gunzipped(path) as plain, tarfile.open(fileobj=plain, mode="r:") as tar:
            name = _member(tar.getnames(), member, path)
            while plain.read(CHUNK):  # to the end, where gzip's checksum stands
                pass
            found = _file_of(tar, name)
            if found is None:
                raise InputError(f"{name} in it is no file", where=str(path), do="Unpack it, and name the file")
            with io.BufferedReader(found, CHUNK) as stream:  # type: ignore[type-var]
                yield stream
    elif head[:2] == b"\x1f\x8b":
        with open_gzip(path, "rb") as plain, io.BufferedReader(plain, CHUNK) as stream:
            yield stream
    else:
        with path.open("rb", buffering=CHUNK) as stream:
            yield stream


def read_text(path: Path, member: str = "") -> str:
    """Return a text file's content. Raises InputError naming the line that is not UTF-8."""
    with opened(path, member) as stream:
        content = stream.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise InputError(f"not UTF-8: byte {content[err.start]:#x}", where=f"{path}:{line}", do="Save it as UTF-8, or use the publisher's file") from err


def _gunzipped(path: Path) -> Any:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return open_gzip(path, "rb") if packed else path.open("rb")


def _file_of(tar: tarfile.TarFile, name: str) -> IO[bytes] | None:
    """Return a member; None for a folder, or a link to what the archive does not hold."""
    try:
        return tar.extractfile(name)
    except KeyError:
        return None


def _member(names: list[str], wanted: str, path: Path) -> str:
    files = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX")]
    found = [name for name in files if name.endswith(wanted)] or (files if len(files) == 1 else [])
    if not found:
        raise InputError(f"holds no {wanted}", where=str(path), do=f"It holds {', '.join(files[:5])}")
    return min(found, key=len)


def refuse_pointer(head: bytes, where: str) -> None:
    """Raise InputError for what stands in a file's place where git's large files were not pulled."""
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(LFS):
        raise InputError("a Git-LFS pointer, not the file itself", where=f"{where}:1", do="`git lfs pull` where it came from")


def refuse_foreign(head: bytes, path: Path) -> None:
    """Raise InputError for bytes that are plainly no data file."""
    refuse_pointer(head, str(path))
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:256]
    if start[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise InputError("a web page, not data: the server answered with an error page", where=f"{path}:1", do="Delete it and fetch it again")
    if not start:
        raise InputError("empty", where=str(path), do="Delete it and fetch it again")


class Mapped(NamedTuple):
    """A file's content as memory that the system pages in, and its descriptor, for `os.pread`."""

    memory: mmap.mmap
    file: int


@contextmanager
def mapped(path: Path, member: str = "") -> Iterator[Mapped]:
    """Give a file's content as memory; packed files are unpacked to a scratch file first."""
    from tempfile import TemporaryFile

    scratch = Path(".boxset/scratch")
    scratch.mkdir(parents=True, exist_ok=True)
    with opened(path, member) as stream, TemporaryFile(dir=scratch) as plain:
        source: Any = stream
        if not (isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO)):
            while chunk := stream.read(CHUNK):
                plain.write(chunk)
            plain.flush()
            source = plain
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as memory:
            yield Mapped(memory, source.fileno())

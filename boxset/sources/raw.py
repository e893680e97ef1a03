"""A source's raw files: fetched once into a cache that projects share, resumable and checked; opened as streams, whatever packs them."""

import fcntl
import hashlib
import io
import mmap
import os
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import urllib3

from boxset import __version__
from boxset.endpoints import Endpoints
from boxset.errors import InputError, ServiceError
from boxset.files import disk_error

CHUNK = 1 << 20
LFS = b"version https://git-lfs.github.com/spec/"


def cache_folder() -> Path:
    """Return where raw files are kept for all projects: BOXSET_CACHE, or the user's cache folder."""
    return Path(os.environ.get("BOXSET_CACHE") or Path.home() / ".cache" / "boxset")


class RawFiles:
    """Finds a source's files: under `path` or at their public addresses, with single files named otherwise in `files`."""

    def __init__(self, endpoints: Endpoints, *, contact: str, path: str, files: dict[str, str], sha256: dict[str, str]) -> None:
        self._endpoints, self._contact, self._path, self._files, self._sha256 = endpoints, contact, path, files, sha256

    def get(self, name: str, address: str) -> Path:
        """Return a file's local path. `address` is its public address, or its name where the source has none.

        Raises InputError where it is missing or is not what was expected, ServiceError where a server does not answer.
        """
        where = self._files.get(name) or (_joined(self._path, address) if self._path else address)
        where = self._endpoints.mirrored(where)
        found = self._fetched(where) if "://" in where and not where.startswith("file:") else Path(where.removeprefix("file://"))
        if not found.is_file():
            do = f"Put it there, or name another place: sources.….files.{name} in params.yaml"
            raise InputError("there is no such file", where=str(found), do=do)
        self._check(name, found)
        return found

    def has(self, name: str, address: str) -> bool:
        """Return whether a local file is there; always true for addresses."""
        where = self._endpoints.mirrored(self._files.get(name) or (_joined(self._path, address) if self._path else address))
        return "://" in where or Path(where).is_file()

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
        parts = urlsplit(address)
        if parts.scheme == "s3":
            address = f"https://{parts.netloc}.s3.amazonaws.com{parts.path}"
            parts = urlsplit(address)
        root = Path(".boxset/raw") if self._endpoints.gateway else cache_folder() / "raw"
        target = root / parts.netloc.replace(":", "_") / parts.path.strip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(f".{target.name}.lock")):
            if not target.exists():
                self._download(address, target)
        return target

    def _download(self, address: str, target: Path) -> None:
        """Fetch into a partial file that a later try goes on with; it takes its name when length and MD5 are right."""
        part = target.with_name(f".{target.name}.part")
        url, headers = self._endpoints.connect(address)
        sent = {"User-Agent": f"Boxset/{__version__} (contact: {self._contact})", "Accept-Encoding": "identity", **headers}
        for attempt in range(5):
            try:
                if _go_on(url, sent, part, label=target.name, address=address):
                    part.replace(target)
                    return
            except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as err:
                if attempt == 4:
                    do = "Run it again: it goes on where it stopped. A mirror can be named under `mirrors`"
                    raise ServiceError(f"does not answer: {type(err).__name__}", where=address, do=do) from err
            except OSError as err:
                raise disk_error(err, part) from err


def _go_on(url: str, headers: dict[str, str], part: Path, *, label: str, address: str) -> bool:
    """Fetch what is missing of a file; return whether it is whole and right now."""
    have = part.stat().st_size if part.exists() else 0
    sent = {**headers, "Range": f"bytes={have}-"} if have else headers
    with urllib3.PoolManager(timeout=urllib3.Timeout(connect=20, read=60), retries=urllib3.Retry(3, redirect=5, backoff_factor=0.5)) as pools:
        answer = pools.request("GET", url, headers=sent, preload_content=False)
        if answer.status == 416:
            part.unlink()
            return False
        if answer.status not in (200, 206):
            answer.close()
            do = "Check the address, or name a copy under `mirrors` or `sources.….files`"
            raise ServiceError(f"answers HTTP {answer.status}", where=address, do=do)
        with part.open("ab" if answer.status == 206 else "wb") as out:
            for chunk in answer.stream(CHUNK):
                out.write(chunk)
                _show(label, out.tell())
        size = _whole_size(answer)
        if size is not None and part.stat().st_size != size:
            return False
        _check_md5(part, answer.headers.get("x-goog-hash", ""), address)
    return True


def _whole_size(answer: Any) -> int | None:
    total = answer.headers.get("content-range", "").rpartition("/")[2] or (answer.headers.get("content-length", "") if answer.status == 200 else "")
    return int(total) if total.isdigit() else None


def _check_md5(part: Path, header: str, address: str) -> None:
    import base64

    wanted = next((item.strip()[4:] for item in header.split(",") if item.strip().startswith("md5=")), "")
    if wanted:
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "md5").digest()
        if base64.b64encode(digest).decode() != wanted:
            part.unlink()
            raise ServiceError("what arrived is not what the server announced (MD5)", where=address, do="Run it again")


def _show(label: str, size: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r  {label}: {size / 1e6:,.0f} MB")
        sys.stderr.flush()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _joined(path: str, address: str) -> str:
    name = address.rpartition("/")[2]
    return f"{path.rstrip('/')}/{name}" if "://" in path else str(Path(path) / name)


@contextmanager
def opened(path: Path, member: str = "") -> Iterator[IO[bytes]]:
    """Open a plain, gzip, zip or tar file as a stream of what it holds; `member` ends the name of the wanted one in an archive.

    Raises InputError for what is no data at all: a Git-LFS pointer, a web page, a broken archive.
    """
    try:
        with _unpacked(path, member) as stream:
            refuse_foreign(stream.peek(512) if hasattr(stream, "peek") else b"", path)
            yield stream
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as err:
        raise InputError(f"broken archive: {err}", where=str(path), do="Delete it and fetch it again") from err


@contextmanager
def _unpacked(path: Path, member: str) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        head = file.read(6)
    if head[:4] == b"PK\x03\x04":
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(_member(archive.namelist(), member, path)) as inner,
            io.BufferedReader(inner, CHUNK) as stream,  # type: ignore[type-var]
        ):
            yield stream
    elif tarfile.is_tarfile(path) and not head.startswith(b"ImageI"):
        with tarfile.open(path) as tar:
            found = tar.extractfile(_member(tar.getnames(), member, path))
            if found is None:
                raise InputError(f"{member} is not a file", where=str(path))
            with io.BufferedReader(found, CHUNK) as stream:  # type: ignore[type-var]
                yield stream
    elif head[:2] == b"\x1f\x8b":
        with _gzip().open(path, "rb") as plain, io.BufferedReader(plain, CHUNK) as stream:
            yield stream
    else:
        with path.open("rb", buffering=CHUNK) as stream:
            yield stream


def _gzip() -> Any:
    try:
        from isal import igzip
    except ImportError:
        import gzip

        return gzip
    return igzip


def _member(names: list[str], wanted: str, path: Path) -> str:
    files = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX")]
    found = [name for name in files if name.endswith(wanted)] or (files if len(files) == 1 else [])
    if not found:
        raise InputError(f"holds no {wanted}", where=str(path), do=f"It holds {', '.join(files[:5])}")
    return min(found, key=len)


def refuse_foreign(head: bytes, path: Path) -> None:
    """Raise InputError for bytes that are plainly no data file."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:256]
    if start.startswith(LFS):
        raise InputError("a Git-LFS pointer, not the file itself", where=f"{path}:1", do="`git lfs pull` where it came from")
    if start[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise InputError("a web page, not data: the server answered with an error page", where=f"{path}:1", do="Delete it and fetch it again")
    if not start:
        raise InputError("empty", where=str(path), do="Delete it and fetch it again")


@contextmanager
def mapped(path: Path, member: str = "") -> Iterator[memoryview]:
    """Give a file's content as memory that the system pages in; packed files are unpacked to a scratch file first."""
    from tempfile import TemporaryFile

    scratch = Path(".boxset/scratch")
    scratch.mkdir(parents=True, exist_ok=True)
    with opened(path, member) as stream, TemporaryFile(dir=scratch) as plain:
        source: Any = stream
        if not _is_plain(path):
            while chunk := stream.read(CHUNK):
                plain.write(chunk)
            plain.flush()
            source = plain
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as memory, memoryview(memory) as view:
            yield view


def _is_plain(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4)
    return head[:2] != b"\x1f\x8b" and head != b"PK\x03\x04"

"""Files appear whole or not at all, and the same values give the same bytes."""

import csv
import errno
import fcntl
import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from threading import get_ident
from typing import Any, BinaryIO, TypeVar

import msgspec

from boxset.conflicts import conflict_in
from boxset.errors import InputError, ProjectError

FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # how spreadsheets know one
T = TypeVar("T")
TAIL = 1 << 20
FULL = {errno.ENOSPC, errno.EDQUOT}
EXHAUSTED = {errno.EMFILE, errno.ENFILE}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` for writing; it takes that name only if the block ends well.

    Raises ProjectError where the disk is full or the folder cannot be made or written.
    """
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}.part")
    try:
        with part.open("wb") as out:
            yield out
        part.replace(path)
    except OSError as err:
        raise disk_error(err, path) from err
    finally:
        with suppress(OSError):  # a file system that is read-only says so here too
            part.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there. Raises ProjectError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise disk_error(err, path) from err


def disk_error(err: OSError, path: Path) -> ProjectError:
    """Say what a failed write means to a user."""
    if err.errno in FULL:
        return ProjectError("the disk is full", where=str(path), do="Free some space and run it again; nothing written so far is lost")
    return ProjectError(f"cannot write: {err.strerror or err}", where=str(path), do="Check the folder's owner and permissions")


def unforeseen(err: OSError, path: Path) -> ProjectError:
    """Return what a user can do about a fault of the disk that nobody was ready for, at `path` where it names no file; raise it again where that is nothing."""
    where = Path(os.fsdecode(err.filename)) if isinstance(err.filename, str | bytes) else path
    if err.errno in EXHAUSTED:
        return too_many_files()
    if err.errno in FULL:
        return disk_error(err, where)
    if err.errno in FORBIDDEN and err.filename:
        return ProjectError(err.strerror or str(err), where=str(where), do="Check the folder's owner and permissions")
    raise err


def too_many_files() -> ProjectError:
    """Say what to do where this process may open no further file or connection."""
    return ProjectError("too many open files", do="Raise `ulimit -n`, or lower crawl.connections")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file."""
    with whole_file(path) as out:
        out.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write stable, indented JSON: keys sorted, one final newline."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n")


def read_json(path: Path, as_type: type[T]) -> T:
    """Read JSON strictly as a type. Raises InputError naming the file and the field."""
    content = read_bytes(path)
    try:
        return msgspec.json.decode(content, type=as_type)
    except (msgspec.MsgspecError, UnicodeDecodeError) as err:
        raise conflict_in(content, path) or InputError(f"not what was expected: {err}", where=str(path)) from err


def read_bytes(path: Path, *, do: str = "") -> bytes:
    """Read a file. Raises InputError where that cannot be; `do`: the next step where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError as err:
        raise InputError("it is not there", where=str(path), do=do) from err
    except OSError as err:
        raise InputError(f"cannot read: {err.strerror or err}", where=str(path)) from err


def read_text(path: Path, *, do: str = "") -> str:
    """Read a text of a person's, with whatever line ends. Raises InputError as `read_bytes` does, and where it is not UTF-8, naming the line."""
    try:
        return io.TextIOWrapper(io.BytesIO(read_bytes(path, do=do)), encoding="utf-8").read()
    except UnicodeDecodeError as err:
        line = err.object.count(b"\n", 0, err.start) + 1
        raise InputError("not UTF-8", where=f"{path}:{line}", do="Save it as UTF-8") from err


def write_jsonl(path: Path, rows: Iterable[object]) -> None:
    """Write one JSON object a line, keys in the order of their type."""
    encoder = msgspec.json.Encoder()
    with whole_file(path) as out:
        for row in rows:
            out.write(encoder.encode(row) + b"\n")


def read_jsonl(path: Path, as_type: type[T]) -> list[T]:
    """Read one JSON object a line; a missing file is an empty one. Raises InputError naming file and line."""
    if not path.exists():
        return []
    decoder = msgspec.json.Decoder(as_type)
    rows, content = [], read_bytes(path)
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            rows.append(decoder.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError) as err:
            raise conflict_in(content, path) or InputError(f"not what was expected: {err}", where=f"{path}:{number}") from err
    return rows


def read_lines(path: Path, as_type: type[T], *, what: str, do: str) -> dict[bytes, T]:
    """Read a file that lines of JSON are only ever appended to: each distinct line with what it says, in their order; no file, none.

    A line that a kill cut short was never acted on, and is passed over, also where a merge of git has put others behind it. Raises InputError
    naming file and line of one that is not `what` it should be, or an unresolved merge; `do`: the next step.
    """
    content = read_bytes(path) if path.exists() else b""
    decoder = msgspec.json.Decoder(as_type)
    lines = [line.rstrip(b"\r") for line in content.split(b"\n")]
    found: dict[bytes, T] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line in found:
            continue
        try:
            found[line] = decoder.decode(line)
        except (msgspec.MsgspecError, ValueError) as err:
            if _is_cut(line) or (number == len(lines) and not is_json(line)):
                continue
            raise conflict_in(content, path) or InputError(f"not {what}: {err}", where=f"{path}:{number}", do=do) from err
    return found


def as_line(value: msgspec.Struct, *, what: str, where: str) -> bytes:
    """Return a value as a line for such a file. Raises InputError, which says `where` it is from, for one that could not be read again."""
    line = msgspec.json.encode(value)
    try:
        msgspec.json.decode(line, type=type(value))
    except (msgspec.MsgspecError, ValueError) as err:
        raise InputError(f"not {what} that could be read again: {err}", where=where, do="Nothing was written") from err
    return line


def append_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Append JSON lines, on disk before this returns; all, or none where the disk is full. One process at a time.

    A line that a killed one left half written is cut off.
    """
    content = b"".join(line + b"\n" for line in lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            _end_last_line(out)
            end = out.seek(0, os.SEEK_END)
            try:
                _write_all(out, content)
                os.fsync(out.fileno())
            except OSError:
                out.truncate(end)
                raise
        _sync_folder(path.parent)
    except OSError as err:
        raise disk_error(err, path) from err


def _write_all(out: RawIOBase, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[out.write(left) or 0 :]


def _end_last_line(out: RawIOBase) -> None:
    """Leave the file at the end of a whole line: a line that lacks only its end gets it, half a line goes."""
    end = start = out.seek(0, os.SEEK_END)
    tail = b""
    while start and b"\n" not in tail:
        start = max(0, start - TAIL)
        out.seek(start)
        tail = out.read() or b""
    tail = tail.rpartition(b"\n")[2]
    if tail and is_json(tail):
        out.write(b"\n")
    elif tail:
        out.truncate(end - len(tail))
    out.seek(0, os.SEEK_END)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_json(line: bytes) -> bool:
    """Return whether a line is whole JSON."""
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _is_cut(line: bytes) -> bool:
    """Return whether a line is the beginning of a JSON object, and no more."""
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        return line.startswith(b"{") and ("truncated" in str(err) or not line.endswith(b"}"))
    return False


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with a header and LF line ends. What a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_inert(cell) for cell in row] for row in rows)
    write_bytes(path, text.getvalue().encode())


def _inert(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULAS) else cell


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link where the file system can, a copy elsewhere, which appears whole."""
    make_folder(target.parent)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        _copy(source, target)


def move(source: Path, target: Path) -> None:
    """Give a file another name; on another file system it appears whole, too."""
    try:
        source.replace(target)
    except OSError as err:
        if err.errno != errno.EXDEV:
            raise disk_error(err, target) from err
        _copy(source, target)
        source.unlink()


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as content, whole_file(target) as out:
        shutil.copyfileobj(content, out)


@contextmanager
def sole_writer(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the only right to write `folder`, against orphans of killed runs too.

    The lock lives beside the project's state, never inside an output. Waits for the present holder, or raises
    ProjectError where `wait` is false; where the lock cannot be written in any case.
    """
    lock = Path(".boxset") / "locks" / (folder.as_posix().strip("/").replace("/", "-") + ".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        opened = lock.open("a+")
    except OSError as err:
        raise disk_error(err, lock) from err
    with opened as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as err:
            raise ProjectError("another run still writes here", where=str(folder), do="Wait until it ends, or stop it") from err
        yield

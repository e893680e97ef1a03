"""Decisions that were taken elsewhere: a CSV file with the columns sha256, verdict and reason; all of it or nothing."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from boxset.conflicts import conflict_in
from boxset.dataset.decisions import UNUSABLE, Decision, Decisions, Verdict, decided
from boxset.dataset.records import Picture
from boxset.dataset.similar import COPY_BITS, twins
from boxset.errors import InputError, did_you_mean
from boxset.files import read_bytes
from boxset.wording import counted

COLUMNS = ("sha256", "verdict", "reason")
VERDICTS = tuple(str(verdict) for verdict in (Verdict.YES, Verdict.NO, Verdict.UNUSABLE))
MOST_NAMED = 20  # lines that are named one by one
Row = tuple[int, str, str, str]
"""Line, SHA-256, verdict, reason."""


def taken_in(path: Path, category_id: int, pictures: Mapping[str, Picture], decisions: Decisions, *, by: str, at: datetime) -> list[Decision]:
    """Return the decisions of a file that are not known yet. Raises InputError that names every faulty line, up to twenty."""
    rows = _rows(path)
    faults = _faults(rows, pictures) or _contradictions(rows, pictures)
    if faults:
        lines = [f"{path}:{line}: {what}" for line, what in faults[:MOST_NAMED]] + ([f"… and {len(faults) - MOST_NAMED} more"] if len(faults) > MOST_NAMED else [])
        what = f"{counted(len(faults), 'line is', 'lines are')} wrong, and nothing was taken in"
        raise InputError(what, where=str(path), do="\n".join(["Correct them and take it in again:", *lines]))
    here = [pictures[sha256] for _, sha256, _, _ in rows]
    last = decisions.last(here, category_id)
    return [
        decided(picture, category_id, Verdict(verdict), reason=reason, by=by, at=at, after=before)
        for (_, _, verdict, reason), picture, before in zip(rows, here, last, strict=True)
        if before is None or (before.verdict, before.reason) != (verdict, reason)
    ]


def _rows(path: Path) -> list[Row]:
    content = read_bytes(path, do=f"Name a CSV file whose first line is {','.join(COLUMNS)}")
    conflict = conflict_in(content, path)
    if conflict:
        raise conflict
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = tuple(cell.strip() for cell in next(reader, []))
        if not {"sha256", "verdict"} <= set(header) <= set(COLUMNS) or len(set(header)) < len(header):
            raise InputError(f"the first line is {','.join(header)[:80]!r}", where=f"{path}:1", do=f"It names the columns: {','.join(COLUMNS)}")
        return [_row(reader.line_num, dict(zip(header, cells, strict=True))) for cells in reader if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise InputError("not UTF-8", where=f"{path}:{line}", do="Save it as UTF-8") from err
    except (csv.Error, ValueError) as err:
        where = f"{path}:{reader.line_num}"
        raise InputError(f"not a row of the columns in its first line: {err}", where=where, do="Correct it and take it in again") from err


def _row(line: int, cells: Mapping[str, str]) -> Row:
    return line, cells["sha256"].strip().lower(), cells["verdict"].strip().lower(), cells.get("reason", "").strip().lower()


def _faults(rows: Sequence[Row], pictures: Mapping[str, Picture]) -> list[tuple[int, str]]:
    first: dict[str, int] = {}
    found = []
    for line, sha256, verdict, reason in rows:
        earlier = first.setdefault(sha256, line)
        what = f"the same picture as in line {earlier}" if earlier != line else _fault(sha256, verdict, reason, pictures)
        if what:
            found.append((line, what))
    return found


def _contradictions(rows: Sequence[Row], pictures: Mapping[str, Picture]) -> list[tuple[int, str]]:
    """Name the lines that say something else of a copy: only one of both could hold, and taken in again, the other."""
    here = [pictures[sha256] for _, sha256, _, _ in rows]
    found: dict[int, str] = {}
    for i, j in twins(here, COPY_BITS):
        if rows[i][2:] != rows[j][2:]:
            found.setdefault(rows[j][0], f"a copy of the picture in line {rows[i][0]}, with another verdict")
    return sorted(found.items())


def _fault(sha256: str, verdict: str, reason: str, pictures: Mapping[str, Picture]) -> str:
    if len(sha256) != 64 or sha256.strip("0123456789abcdef"):
        return f"{sha256[:70]!r} is no SHA-256 (64 digits, as `boxset explain` and file names have them)"
    if sha256 not in pictures:
        return f"no picture of this project is {sha256[:12]}…"
    if verdict not in VERDICTS:
        return f"{verdict!r} is no verdict{did_you_mean(verdict, VERDICTS)}: one of {', '.join(VERDICTS)}"
    if verdict == Verdict.UNUSABLE and reason not in UNUSABLE:
        return f"{reason!r} is no reason{did_you_mean(reason, UNUSABLE)}: one of {', '.join(UNUSABLE)}"
    return f"a reason is for unusable pictures, and the verdict is {verdict}" if reason and verdict != Verdict.UNUSABLE else ""

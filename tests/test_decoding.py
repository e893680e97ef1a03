"""Decoding in processes of their own: whatever a picture does to its decoder, it is one broken picture and the rest goes on."""

import errno
import io
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from PIL import Image

from boxset.dataset.reasons import Reason, Refusal
from boxset.errors import ProjectError
from boxset.images.decoders import Decoders, Guards
from boxset.images.look import looks
from boxset.images.prepare import Limits, Prepared, prepare
from boxset.images.worker import Job, Stored, answer
from tests import hostile
from tests.project import REPOSITORY

TOO_LONG = Refusal(Reason.BROKEN, "it takes too long to decode")


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    """Decoders with little time."""
    decoders = Decoders(Guards(cpu_s=1, wall_s=20), most=1)
    yield decoders
    decoders.close()


def photo(shade: int = 1) -> bytes:
    """A small JPEG."""
    return encoded(Image.linear_gradient("L").rotate(shade).convert("RGB"), "JPEG")


def encoded(picture: Image.Image, kind: str, **more: Any) -> bytes:
    """A picture's bytes."""
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


def stored(found: tuple[Stored, Path | None] | Refusal) -> Stored:
    """What was stored; the picture is sound."""
    assert isinstance(found, tuple)
    return found[0]


def test_what_a_decoder_makes_is_what_is_made_here(decoders: Decoders, tmp_path: Path) -> None:
    here = prepare(photo())
    assert isinstance(here, Prepared)

    there, part = decoders.prepare(photo(), tmp_path, look=looks)  # type: ignore[misc]

    assert part.read_bytes() == here.content
    assert {name: getattr(there, name) for name in ("sha256", "phash", "grid", "width")} == {
        name: getattr(here, name) for name in ("sha256", "phash", "grid", "width")
    }
    assert there.looks == looks(here)


def test_a_picture_that_lies_there_is_not_written_again(decoders: Decoders, tmp_path: Path) -> None:
    found, part = decoders.prepare(photo(), tmp_path)  # type: ignore[misc]
    part.rename(tmp_path / found.file_name)

    assert decoders.prepare(photo(), tmp_path) == (found, None)


def test_a_picture_that_comes_again_before_it_has_its_name_has_a_file_of_its_own(decoders: Decoders, tmp_path: Path) -> None:
    found = [decoders.prepare(photo(), tmp_path) for _ in range(2)]

    parts = [one[1] for one in found if isinstance(one, tuple) and one[1] is not None]
    assert len(set(parts)) == 2
    assert all(part.exists() for part in parts)


def test_a_crash_of_the_decoder_is_a_broken_picture_and_the_next_one_is_sound(decoders: Decoders, tmp_path: Path) -> None:
    assert decoders.prepare(photo(), tmp_path, look=hostile.crash) == Refusal(Reason.BROKEN, "it ends the decoder")

    assert stored(decoders.prepare(photo(), tmp_path)).width == 256


@pytest.fixture
def patient() -> Iterator[Decoders]:
    """Decoders that may compute for a second, and that no clock ends."""
    decoders = Decoders(Guards(cpu_s=1, wall_s=3600), most=1)
    yield decoders
    decoders.close()


def test_computing_for_ever_is_ended_by_the_limit_of_computing(patient: Decoders, tmp_path: Path) -> None:
    assert patient.prepare(photo(), tmp_path, look=hostile.spin) == TOO_LONG

    assert stored(patient.prepare(photo(), tmp_path)).width == 256


def test_a_picture_of_a_few_kilobytes_that_takes_minutes_is_broken(patient: Decoders, tmp_path: Path) -> None:
    raw = hostile.many_scans(8_000, side=2000)
    assert len(raw) < 1_000_000

    assert patient.prepare(raw, tmp_path) == TOO_LONG


def test_waiting_for_ever_is_ended_by_the_clock(tmp_path: Path) -> None:
    decoders = Decoders(Guards(wall_s=2), most=1)

    assert decoders.prepare(photo(), tmp_path, look=hostile.hang) == TOO_LONG

    decoders.close()


def test_a_picture_that_swells_past_the_memory_limit_is_broken_and_the_decoder_lives(tmp_path: Path) -> None:
    decoders = Decoders(Guards(memory_bytes=400 << 20), most=1)

    assert decoders.prepare(hostile.wide(50), tmp_path) == Refusal(Reason.BROKEN, "it takes too much memory to decode")
    assert stored(decoders.prepare(photo(), tmp_path)).width == 256

    decoders.close()


def test_the_largest_picture_that_is_let_in_fits_into_the_memory_limit(tmp_path: Path) -> None:
    decoders = Decoders(most=1)

    assert stored(decoders.prepare(hostile.wide(50), tmp_path)).width == 10_000

    decoders.close()


def test_a_canvas_of_hundreds_of_megapixels_is_seen_in_the_header(decoders: Decoders, tmp_path: Path) -> None:
    found = decoders.prepare(hostile.huge_canvas(), tmp_path)

    assert isinstance(found, Refusal)
    assert found.reason is Reason.TOO_MANY_PIXELS


def test_a_decoder_that_something_else_ends_costs_no_picture(decoders: Decoders, tmp_path: Path) -> None:
    decoders.prepare(photo(), tmp_path)
    os.kill(children_of(os.getpid())[0], signal.SIGKILL)

    assert stored(decoders.prepare(photo(2), tmp_path)).width == 256


def test_a_fault_of_our_own_is_not_the_pictures(decoders: Decoders, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug of ours"):
        decoders.prepare(photo(), tmp_path, look=hostile.stumble)


def test_decoders_that_cannot_start_are_an_error_and_no_broken_pictures(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot start"):
        Decoders(Guards(memory_bytes=8 << 20), most=1).prepare(photo(), tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error(decoders: Decoders, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ProjectError, match="cannot write"):
        decoders.prepare(photo(), tmp_path / "file")


def test_a_decoder_that_the_system_does_not_start_leaves_no_connection_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[socket.socket] = []
    pair = socket.socketpair
    monkeypatch.setattr("boxset.images.decoders.socket.socketpair", lambda: ends.extend(pair()) or tuple(ends))
    monkeypatch.setattr("boxset.images.decoders.subprocess.Popen", Mock(side_effect=OSError(errno.EAGAIN, "no more processes")))

    with pytest.raises(OSError, match="no more processes"):
        Decoders().prepare(photo(), tmp_path)

    assert [end.fileno() for end in ends] == [-1, -1]


def test_a_decoder_sees_nothing_of_ours(decoders: Decoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    with (tmp_path / "open").open("wb"):
        seen = stored(decoders.prepare(photo(), tmp_path, look=hostile.surroundings)).looks

    assert [name for name in seen if "AWS" in name or str(tmp_path) in name] == []
    assert "OPENBLAS_NUM_THREADS" in seen


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM", "TGA", "JPEG2000", "PDF", "EPS", "PCX", "ICNS"])
def test_no_decoder_beyond_the_five_is_ever_reached(kind: str) -> None:
    named = {"TIFF": "TIFF, which is not read", "JPEG2000": "JPEG 2000, which is not read", "PDF": "PDF, which is not read"}

    assert prepare(encoded(Image.linear_gradient("L").convert("RGB"), kind)) == Refusal(Reason.NOT_AN_IMAGE, named.get(kind, "unknown type"))


def test_a_picture_on_which_the_decoder_itself_fails_is_broken() -> None:
    head = struct.pack(">IIBBBBB", 20, 20, 16, 0, 0, 0, 255)  # interlaced in a way that there is not
    png = bytearray(encoded(Image.new("I;16", (20, 20)), "PNG"))
    png[16:33] = head + struct.pack(">I", zlib.crc32(b"IHDR" + head))

    found = prepare(bytes(png))

    assert isinstance(found, Refusal)
    assert found.reason is Reason.BROKEN


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_damaged_bytes_of_every_kind_have_an_answer(kind: str, tmp_path: Path) -> None:
    whole, rng = encoded(Image.linear_gradient("L").resize((48, 40)).convert("RGB"), kind), random.Random(kind)
    job = Job(folder=str(tmp_path), max_pixels=1_000_000, max_side=2000, parent=os.getppid())

    for _ in range(150):
        found = answer(job, damaged(whole, rng))
        assert (found.stored is None) != (found.reason is None)
        assert not found.bug


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, left out or put in."""
    changed = bytearray(raw)
    for _ in range(rng.randint(1, 12)):
        at = rng.randrange(len(changed))
        changed[at : at + rng.choice((0, 1, 1, 4))] = rng.randbytes(rng.choice((0, 1, 1, 4)))
    return bytes(changed)


def test_few_pictures_start_one_decoder_and_many_start_more(tmp_path: Path) -> None:
    decoders = Decoders(most=2)
    before = len(children_of(os.getpid()))

    for _ in range(20):
        decoders.prepare(photo(), tmp_path)

    assert len(children_of(os.getpid())) - before == 1
    decoders.close()
    assert len(children_of(os.getpid())) == before


PARENT = """
import sys
from pathlib import Path
from boxset.images.decoders import Decoders
from tests.hostile import hang
from tests.test_decoding import children_of, photo
import os, threading
decoders = Decoders(most=1)
decoders.prepare(photo(), Path(sys.argv[1]))
print(children_of(os.getpid())[0], flush=True)
threading.Event().wait()
"""


def test_decoders_end_with_the_process_that_started_them_also_when_it_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        decoder = int(parent.stdout.readline())

    parent.kill()
    parent.wait()

    assert is_gone(decoder)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def is_gone(pid: int) -> bool:
    """Whether a process ends in a while."""
    for _ in range(200):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)  # it ends by itself; waiting only lets it
    return False


def test_limits_are_carried_into_the_decoder(decoders: Decoders, tmp_path: Path) -> None:
    assert decoders.prepare(photo(), tmp_path, Limits(max_pixels=1000)) == Refusal(Reason.TOO_MANY_PIXELS, "256x256")

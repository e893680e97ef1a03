"""What decoders do on a bad day: looked at in their process, as nothing else lets a test in there. And bytes made to hurt them."""

import io
import os
import signal
import struct
import time
from pathlib import Path

from PIL import Image

from boxset.images.prepare import Prepared

FOREVER_S = 3600


def crash(prepared: Prepared) -> tuple[str, ...]:
    """End as a decoder that overruns its memory does."""
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(FOREVER_S)
    return ()


def hang(prepared: Prepared) -> tuple[str, ...]:
    """Wait for ever, computing nothing."""
    time.sleep(FOREVER_S)
    return ()


def spin(prepared: Prepared) -> tuple[str, ...]:
    """Compute for far longer than a test allows; without its limit the picture is sound at last."""
    while time.process_time() < 15:
        pass
    return ()


def stumble(prepared: Prepared) -> tuple[str, ...]:
    """Fail as our own code may."""
    raise KeyError("a bug of ours")


def surroundings(prepared: Prepared) -> tuple[str, ...]:
    """Tell what can be seen from inside: variables, and what open files lead to."""
    return *os.environ, *(str(fd.resolve()) for fd in Path("/proc/self/fd").iterdir())


def many_scans(scans: int, side: int = 4000) -> bytes:
    """A small progressive JPEG whose last scan comes again and again: each costs a pass over the whole picture."""
    out = io.BytesIO()
    Image.new("L", (side, side), 200).save(out, "JPEG", progressive=True)
    raw = out.getvalue()
    last = raw.rindex(b"\xff\xda")
    return raw[:last] + raw[last:-2] * scans + raw[-2:]


def huge_canvas() -> bytes:
    """A WebP of 30 bytes that says it is 16383 by 16383."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "WEBP", lossless=True)
    raw = bytearray(out.getvalue())
    struct.pack_into("<I", raw, 21, 16382 | 16382 << 14)
    return bytes(raw)


def wide(megapixels: int) -> bytes:
    """A PNG of one colour: some kilobytes that take hundreds of megabytes when decoded."""
    out = io.BytesIO()
    Image.new("RGBA", (10_000, megapixels * 100)).save(out, "PNG", compress_level=1)
    return out.getvalue()

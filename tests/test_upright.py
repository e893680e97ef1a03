"""What is stored is upright, white where it was clear, and of the colours that the file means, whatever its marks say beside that."""

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, ImageOps

from boxset.images.jpeg import without_metadata
from boxset.images.phash import phash
from boxset.images.prepare import Prepared, prepare
from boxset.images.small import Small

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
UNNAMED = SRGB.replace(b"sRGB", b"xRGB").replace(b"s\0R\0G\0B", b"x\0R\0G\0B")  # a profile that does not say that it is sRGB, as Display P3
NOISE = np.random.default_rng(1).integers(0, 255, (6, 8, 3), dtype=np.uint8)
PHOTO = Image.fromarray(NOISE).resize((400, 300), Image.Resampling.BICUBIC)
ORIENTATION = 0x0112


def encoded(picture: Image.Image, kind: str, **more: Any) -> bytes:
    """Return a picture in a file format."""
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


def pixels(picture: Image.Image) -> npt.NDArray[np.int64]:
    """Return a picture's values, red, green and blue."""
    return np.asarray(picture.convert("RGB"), np.int64)


def stored(raw: bytes) -> tuple[Prepared, npt.NDArray[np.int64]]:
    """Return what is made of a file, and its pixels."""
    found = prepare(raw)
    assert isinstance(found, Prepared)
    return found, pixels(Image.open(io.BytesIO(found.content)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("profile", [None, SRGB, UNNAMED], ids=["none", "srgb", "other"])
def test_a_picture_with_a_profile_is_turned_upright_too(kind: str, orientation: int, profile: bytes | None) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    raw = encoded(PHOTO, kind, exif=exif.tobytes(), icc_profile=profile)
    found, seen = stored(raw)
    upright = pixels(ImageOps.exif_transpose(Image.open(io.BytesIO(raw))))
    assert (found.orientation, seen.shape) == (orientation, upright.shape)
    assert np.abs(seen - upright).mean() < 6
    assert (found.raw_width, found.raw_height) == (400, 300)


def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    """Return one entry of an EXIF block."""
    return struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")


def with_exif(*entries: bytes) -> bytes:
    """Return a JPEG whose EXIF block has these entries."""
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0"
    plain = encoded(PHOTO, "JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]


SIX = entry(ORIENTATION, 3, 1, struct.pack("<H", 6))


@pytest.mark.parametrize(
    ("raw", "orientation"),
    [
        (with_exif(SIX), 6),
        (with_exif(entry(ORIENTATION, 1, 1, b"\x06")), 1),
        (with_exif(entry(ORIENTATION, 2, 2, b"6\0")), 1),
        (with_exif(entry(ORIENTATION, 7, 1, b"\x06")), 1),
        (with_exif(entry(ORIENTATION, 11, 1, struct.pack("<f", float("nan")))), 1),
        (with_exif(entry(ORIENTATION, 11, 1, struct.pack("<f", float("inf")))), 1),
        (with_exif(entry(ORIENTATION, 3, 1, struct.pack("<H", 77))), 1),
        (with_exif(SIX, entry(0x0128, 4, 1, struct.pack("<I", 2))), 6),  # ResolutionUnit as a long number
        (with_exif(SIX, entry(0x0128, 2, 2, b"2\0")), 6),
        (with_exif(SIX, entry(0x010F, 11, 1, struct.pack("<f", 1.5))), 6),  # the maker is a number
    ],
)
def test_an_odd_entry_of_an_exif_block_costs_no_picture(raw: bytes, orientation: int) -> None:
    found, seen = stored(raw)
    assert found.orientation == orientation
    assert seen.shape == ((400, 300, 3) if orientation == 6 else (300, 400, 3))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "I;16"])
def test_what_a_colour_key_makes_clear_is_white(mode: str) -> None:
    if mode == "I;16":
        values = np.full((60, 80), 40_000, np.uint16)
        values[:, :40] = 1000
        picture, key = Image.fromarray(values), 1000
    else:
        picture = Image.new("RGB", (80, 60), (10, 10, 10))
        picture.paste((200, 30, 30), (40, 0, 80, 60))
        picture = picture.convert(mode) if mode != "P" else picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
        corner = picture.getpixel((0, 0))
        assert corner is not None
        key = corner  # type: ignore[assignment]
    _, seen = stored(encoded(picture, "PNG", transparency=key))
    assert (seen[:, :40] == 255).all()
    assert (seen[:, 40:] != 255).any(axis=2).all()


def marked(*segments: bytes, names: bytes = b"\1\2\3") -> bytes:
    """Return a JPEG that begins with these segments, and whose components have these names."""
    plain = bytearray(encoded(PHOTO, "JPEG", subsampling=0))
    jfif = plain.index(b"\xff\xe0")
    del plain[jfif : jfif + 2 + int.from_bytes(plain[jfif + 2 : jfif + 4], "big")]
    frame, scan = plain.index(b"\xff\xc0"), plain.index(b"\xff\xda")
    for number, name in enumerate(names):
        plain[frame + 10 + 3 * number] = plain[scan + 5 + 2 * number] = name
    return bytes(plain[:2]) + b"".join(segments) + bytes(plain[2:])


JFIF = b"\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def adobe(transform: int, more: bytes = b"") -> bytes:
    """Return Adobe's mark, and what somebody put behind it."""
    content = b"Adobe\0\x64\0\0\0\0" + bytes([transform]) + more
    return b"\xff\xee" + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("names", [b"\1\2\3", b"RGB", b"\0\1\2"], ids=["123", "rgb", "012"])
@pytest.mark.parametrize(
    "marks",
    [(), (JFIF,), (adobe(0),), (adobe(1),), (JFIF, adobe(0)), (JFIF, adobe(1)), (JFIF, b"\xff\xee\x00\x08secret"), (adobe(1, b"51.5N 0.1W"),)],
    ids=["none", "jfif", "rgb", "ycc", "jfif-rgb", "jfif-ycc", "other", "more"],
)
def test_a_jpeg_keeps_its_colours_whatever_marks_it_has(marks: tuple[bytes, ...], names: bytes) -> None:
    raw = marked(*marks, names=names)
    found, seen = stored(raw)
    assert np.abs(seen - pixels(Image.open(io.BytesIO(raw)))).mean() < 3
    assert b"secret" not in found.content
    assert b"51.5N" not in found.content
    kept = without_metadata(raw)
    if kept is not None:
        assert (seen == pixels(Image.open(io.BytesIO(raw)))).all()
        assert without_metadata(kept) == kept


@pytest.mark.parametrize("shade", [0, 100, 128, 255])
def test_the_hash_of_a_plain_picture_is_no_rounding_noise(shade: int) -> None:
    plain = Small.of(Image.new("RGB", (300, 200), (shade, shade, shade)))
    assert phash(plain) == ("8000000000000000" if shade else "0000000000000000")

"""From bytes of anyone's making to a picture that is safe to store: upright, RGB or grey, no metadata, JPEG or PNG.

A JPEG that already is all that keeps its own pixels, bit for bit; only its metadata goes. Everything else is decoded and written anew.
The fingerprints are always taken from the stored bytes by one way of decoding, so that equal files have equal ones.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from boxset.dataset.reasons import Reason, Refusal
from boxset.images.jpeg import without_metadata
from boxset.images.phash import grid, phash
from boxset.images.small import MOST_SIDE, Small

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
LOSSY = {"JPEG", "MPO", "WEBP"}
LEAST_SIDE = MOST_SIDE * 3 // 4  # the decoder shrinks a JPEG by 2, 4 or 8 as long as the small version's longer side keeps so much
ORIENTATION = 0x0112
UPRIGHT = {  # an EXIF orientation → what turns it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUALITY = 95
OTHERS = (  # kinds of pictures that are not read, by where their mark stands
    (4, b"ftyphei", "HEIC"), (4, b"ftyphev", "HEIC"), (4, b"ftypmif1", "HEIC"), (4, b"ftypmsf1", "HEIC"), (4, b"ftypavi", "AVIF"), (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"),
    (0, b"\xff\x0a", "JPEG XL"), (4, b"JXL ", "JPEG XL"), (4, b"jP  ", "JPEG 2000"), (0, b"%PDF", "PDF"),
    (0, b"version https://git-lfs", "a Git-LFS pointer"),
)  # fmt: skip

NOTHING = (128, (128,) * 3, (127,) * 4, (128,) * 4)  # what a decoder draws, without a word, where a JPEG's data has ended: in grey, in RGB, in CMYK both ways
MORE = bytes(range(1, 255))  # data of a scan, whatever it would draw, with no marker in it

_Broken = (OSError, SyntaxError, ValueError, IndexError, EOFError, Image.DecompressionBombError, ImageCms.PyCMSError)


@dataclass(frozen=True)
class Limits:
    """What is refused before it is decoded."""

    max_pixels: int = 50_000_000
    max_side: int = 30_000


@dataclass(frozen=True)
class Prepared:
    """A picture ready to be stored. `raw_width` and `raw_height` are those of the raster as it came, before it was turned upright."""

    content: bytes
    sha256: str
    file_name: str
    width: int
    height: int
    phash: str
    grid: str
    raw_width: int
    raw_height: int
    orientation: int
    animated: bool
    small: Small = field(repr=False, compare=False)


def prepare(raw: bytes, limits: Limits = Limits()) -> Prepared | Refusal:
    """Decode fully, normalise, fingerprint. Returns a Refusal for anything that is not a sound picture; never raises for bad bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _within_limits(raw, limits)
        except _Broken as err:
            return Refusal(Reason.BROKEN, _short(err))
        except MemoryError:
            return Refusal(Reason.BROKEN, "it takes too much memory to decode")
        except Exception as err:  # noqa: BLE001 - decoders fail in any way on bytes that were made to hurt them
            return Refusal(Reason.BROKEN, type(err).__name__)


def _within_limits(raw: bytes, limits: Limits) -> Prepared | Refusal:
    try:
        opened = Image.open(io.BytesIO(raw), formats=FORMATS)
    except UnidentifiedImageError:
        return Refusal(Reason.NOT_AN_IMAGE, _seems(raw))
    except Image.DecompressionBombError as err:
        return Refusal(Reason.TOO_MANY_PIXELS, _short(err).partition(" exceeds")[0])
    with opened:
        width, height = opened.size
        if width * height > limits.max_pixels or max(width, height) > limits.max_side:
            return Refusal(Reason.TOO_MANY_PIXELS, f"{width}x{height}")
        return _prepared(raw, opened)


def _prepared(raw: bytes, opened: Image.Image) -> Prepared:
    orientation = orientation_of(opened)
    raw_width, raw_height = opened.size
    animated = bool(getattr(opened, "is_animated", False)) and opened.format != "MPO"
    content = kept = _kept_jpeg(raw, opened, orientation)
    if content is None:
        content = _rewritten(opened, orientation)
    stored, small = _decoded_small(content)
    if opened.format in ("JPEG", "MPO"):
        _refuse_cut(kept or raw, small.picture if kept else opened)
    digest = hashlib.sha256(content).hexdigest()
    return Prepared(
        content=content,
        sha256=digest,
        file_name=digest + (".jpg" if content.startswith(b"\xff\xd8") else ".png"),
        width=stored[0],
        height=stored[1],
        phash=phash(small),
        grid=grid(small),
        raw_width=raw_width,
        raw_height=raw_height,
        orientation=orientation,
        animated=animated,
        small=small,
    )


def orientation_of(opened: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where none is stated, or nothing that can be read: whatever is wrong there, the picture is whole."""
    try:
        stated = opened.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001 - an EXIF block of anyone's making fails in any way
        return 1
    return stated if isinstance(stated, int) and stated in UPRIGHT else 1


def _kept_jpeg(raw: bytes, opened: Image.Image, orientation: int) -> bytes | None:
    """Return the JPEG without its metadata where its pixels can stay as they are."""
    if opened.format not in ("JPEG", "MPO") or orientation != 1 or opened.mode not in ("RGB", "L") or not _is_srgb(opened):
        return None
    return without_metadata(raw)


def _is_srgb(opened: Image.Image) -> bool:
    profile = opened.info.get("icc_profile")
    return not profile or _names_srgb(profile)


def _names_srgb(profile: bytes) -> bool:
    return b"sRGB" in profile[:4096] or b"s\x00R\x00G\x00B" in profile[:4096]


def _rewritten(opened: Image.Image, orientation: int) -> bytes:
    lossy = opened.format in LOSSY
    if getattr(opened, "is_animated", False):
        opened.seek(0)
    opened.load()
    picture = _without_info(_in_srgb(_plain(opened), opened.info.get("icc_profile")))
    picture = picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture
    out = io.BytesIO()
    if lossy:
        picture.save(out, "JPEG", quality=QUALITY, subsampling=0)
    else:
        picture.save(out, "PNG", compress_level=6)
    return out.getvalue()


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return RGB or grey, converted from an embedded profile; CMYK without one is left to Pillow's plain formula."""
    if profile and (picture.mode == "CMYK" or not _names_srgb(profile)):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            picture = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or picture
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a profile of another kind of picture, or none at all
    return picture if picture.mode in ("RGB", "L") else picture.convert("RGB")


def _plain(picture: Image.Image) -> Image.Image:
    """Return RGB, CMYK or 8-bit grey; white where it was transparent; 16 bits scaled to 8."""
    if picture.mode in ("I;16", "I;16B", "I;16L", "I"):
        return _of_16_bits(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        ground = Image.new("RGB", layered.size, "white")
        ground.paste(layered, mask=layered.getchannel("A"))
        return ground
    return picture if picture.mode in ("RGB", "L", "CMYK") else picture.convert("RGB")


def _of_16_bits(picture: Image.Image) -> Image.Image:
    values = np.array(picture, dtype=np.int32)
    clear = values == picture.info["transparency"] if isinstance(picture.info.get("transparency"), int) else None
    values >>= 8
    if clear is not None:
        values[clear] = 255
    return Image.fromarray(values.clip(0, 255, out=values).astype(np.uint8))


def _without_info(picture: Image.Image) -> Image.Image:
    bare = picture.copy()
    bare.info = {}
    return bare


def _decoded_small(content: bytes) -> tuple[tuple[int, int], Small]:
    """Return the size and the small version; a JPEG is shrunk while decoding, which still reads every bit of it."""
    with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as stored:
        size = stored.size
        longer = max(size)
        stored.draft("RGB", (max(1, size[0] * LEAST_SIDE // longer), max(1, size[1] * LEAST_SIDE // longer)))
        stored.load()
        return size, Small.of(stored)


def _refuse_cut(jpeg: bytes, decoded: Image.Image) -> None:
    """Raise OSError where a JPEG's data ends before its picture, though its end is marked: what is put before that mark would then be drawn."""
    bare = without_metadata(jpeg) if _ends_in_nothing(decoded) else None
    if bare is None:
        return
    _, drawn = _decoded_small(bare)
    _, more = _decoded_small(bare[:-2] + MORE + bare[-2:])
    if not np.array_equal(drawn.pixels, more.pixels):
        raise OSError("its data ends before the picture does")


def _ends_in_nothing(picture: Image.Image) -> bool:
    """Return whether the whole last row is as a decoder draws where there is no data; so it is of some sound pictures too."""
    width, height = picture.size
    corner = picture.getpixel((width - 1, height - 1))
    return corner in NOTHING and picture.crop((0, height - 1, width, height)).getcolors(1) == [(width, corner)]


def _seems(raw: bytes) -> str:
    head = raw[:512].lstrip().lower()
    if not raw:
        return "nothing"
    if b"<svg" in head:
        return "svg"
    if head.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page"
    return next((f"{name}, which is not read" for place, mark, name in OTHERS if raw.startswith(mark, place)), "unknown type")


def _short(err: Exception) -> str:
    return str(err).splitlines()[0][:80] if str(err) else type(err).__name__

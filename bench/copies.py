"""How many copies of real photographs are found, and how many pairs of different ones are taken for copies.

    python -m bench.copies DIR… [--bits 6] [--squares DIR]

Every photograph is copied in the ways that the web copies pictures; pairs of different photographs are the counter-check. Those of
--squares (things on white) are set in the middle of a white square first: nothing is harder to tell apart by shape and colours.
"""

import argparse
import itertools
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from boxset.dataset.reasons import Refusal
from boxset.dataset.records import Picture
from boxset.dataset.similar import colour_distance, distance, mirrored, same_mirrored, same_picture
from boxset.images.look import white_border
from boxset.images.prepare import prepare
from boxset.images.small import Small

SIDE = 320  # fingerprints see no more than this
Change = Callable[[Image.Image], Image.Image]


def cropped(share: float, side: str) -> Change:
    def change(p: Image.Image) -> Image.Image:
        x, y = round(p.width * share), round(p.height * share)
        boxes = {
            "all sides": (x / 2, y / 2, p.width - x / 2, p.height - y / 2),
            "bottom": (0, 0, p.width, p.height - y),
            "right": (0, 0, p.width - x, p.height),
        }
        return p.crop(tuple(round(v) for v in boxes[side]))

    return change


def scaled(share: float) -> Change:
    return lambda p: p.resize((max(16, round(p.width * share)), max(16, round(p.height * share))), Image.Resampling.LANCZOS)


def compressed(quality: int) -> Change:
    def change(p: Image.Image) -> Image.Image:
        out = BytesIO()
        p.save(out, "JPEG", quality=quality)
        return Image.open(out).convert("RGB")

    return change


def watermarked(p: Image.Image) -> Image.Image:
    over = Image.new("L", p.size)
    ImageDraw.Draw(over).text((p.width / 2, p.height / 2), "stock photo", fill=110, anchor="mm", font_size=max(10, p.width / 7))
    return Image.composite(Image.new("RGB", p.size, "white" if np.asarray(p).mean() < 128 else "black"), p, over.rotate(25))


def captioned(p: Image.Image) -> Image.Image:
    copy = p.copy()
    draw, top = ImageDraw.Draw(copy), round(p.height * 0.9)
    draw.rectangle((0, top, p.width, p.height), fill="black")
    draw.text((p.width / 2, (top + p.height) / 2), "www.tools.example", fill="white", anchor="mm", font_size=max(8, p.height / 20))
    return copy


CHANGES: dict[str, Change] = {
    "as PNG": lambda p: p, "half size": scaled(0.5), "quarter size": scaled(0.25), "twice as large": scaled(2), "JPEG quality 75": compressed(75),
    "JPEG quality 30": compressed(30), "half size, quality 50": lambda p: compressed(50)(scaled(0.5)(p)), "darker by 15 %": lambda p: ImageEnhance.Brightness(p).enhance(0.85), "brighter by 15 %": lambda p: ImageEnhance.Brightness(p).enhance(1.15),
    "more contrast by 20 %": lambda p: ImageEnhance.Contrast(p).enhance(1.2), "more vivid by 40 %": lambda p: ImageEnhance.Color(p).enhance(1.4), "grey": lambda p: p.convert("L").convert("RGB"),
    "cropped 2 %": cropped(0.02, "all sides"), "cropped 5 %": cropped(0.05, "all sides"), "cropped 10 %": cropped(0.10, "all sides"),
    "bottom cut 5 %": cropped(0.05, "bottom"), "right cut 5 %": cropped(0.05, "right"), "watermark": watermarked, "caption over the bottom": captioned,
    "border 3 %": lambda p: ImageOps.expand(p, round(max(p.size) * 0.03), "white"), "black border 3 %": lambda p: ImageOps.expand(p, round(max(p.size) * 0.03), "black"),
    "turned by 1°": lambda p: p.rotate(1, Image.Resampling.BICUBIC, fillcolor=p.getpixel((0, 0))),
    "turned by 3°": lambda p: p.rotate(3, Image.Resampling.BICUBIC, fillcolor=p.getpixel((0, 0))), "mirrored": ImageOps.mirror,
}  # fmt: skip


def as_picture(name: str, picture: Image.Image) -> Picture:
    out = BytesIO()
    picture.save(out, "PNG", compress_level=1)
    p = prepare(out.getvalue())
    assert not isinstance(p, Refusal)
    return Picture(
        sha256=p.sha256, file_name=p.file_name, width=p.width, height=p.height, phash=p.phash, grid=p.grid, source="crawl", source_id=name, url=name
    )


def squared(p: Image.Image) -> Image.Image:
    side = round(max(p.size) * 1.1)
    ground = Image.new("RGB", (side, side), "white")
    ground.paste(p, ((side - p.width) // 2, (side - p.height) // 2))
    return ground


def read(folders: list[Path], change: Change) -> dict[str, Image.Image]:
    files = [f for folder in folders for f in sorted(folder.rglob("*")) if f.suffix.lower() in (".jpg", ".jpeg", ".png")]
    found = {}
    for f in files:
        opened = Image.open(f)
        opened.draft("RGB", (SIDE * 2, SIDE * 2))
        picture = opened.convert("RGB")
        picture.thumbnail((SIDE, SIDE))
        found[str(f)] = change(picture)
    return found


def recall(pictures: dict[str, Image.Image], originals: dict[str, Picture], bits: int) -> None:
    print(f"\n{'copies found':26}{'found':>8}{'bits 50 %':>11}{'90 %':>6}{'colours 50 %':>14}{'90 %':>6}")
    for name, change in CHANGES.items():
        pairs = [(originals[key], as_picture(key, change(p))) for key, p in pictures.items()]
        found = np.mean([same_picture(a, b, bits) or same_mirrored(a, b, bits) for a, b in pairs])
        far, colours = [distance(a.phash, b.phash) for a, b in pairs], [colour_distance(a.grid, b.grid) for a, b in pairs]
        print(
            f"{name:26}{found:8.1%}{np.median(far):11.0f}{np.quantile(far, 0.9):6.0f}{np.median(colours):14.1f}{np.quantile(colours, 0.9):6.1f}",
            flush=True,
        )


def recoloured(pictures: dict[str, Image.Image], originals: dict[str, Picture], bits: int) -> None:
    """Things on white in other colours, in one pose: other products, not copies."""
    white = {key: p for key, p in pictures.items() if white_border(Small.of(p).pixels) > 0.85 and (np.ptp(np.asarray(p), axis=2) > 80).mean() > 0.03}
    taken = [same_picture(originals[key], as_picture(key, _turned_hue(p, turn)), bits) for key, p in white.items() for turn in (60, 128, 190)]
    print(f"\n{len(white)} vivid things on white, each in three other colours: {sum(taken)} of {len(taken)} taken for copies")


def _turned_hue(p: Image.Image, turn: int) -> Image.Image:
    hue, saturation, value = p.convert("HSV").split()
    return Image.merge("HSV", (hue.point([(v + turn) % 256 for v in range(256)]), saturation, value)).convert("RGB")


def false_pairs(pictures: dict[str, Picture], bits: int) -> None:
    values = np.array([int(p.phash, 16) for p in pictures.values()], dtype=np.uint64)
    listed = list(pictures.values())
    i, j = np.triu_indices(len(listed), 1)
    turned = np.array([int(mirrored(p).phash, 16) for p in listed], dtype=np.uint64)
    far = np.minimum(np.bitwise_count(values[i] ^ values[j]), np.bitwise_count(turned[i] ^ values[j]))
    print(f"\n{len(i):,} pairs of different photographs; within 4, 6, 8, 10, 11 bits: {[int((far <= b).sum()) for b in (4, 6, 8, 10, 11)]}")
    for a, b in zip(i[far <= 11], j[far <= 11], strict=True):
        x, y = listed[a], listed[b]
        taken = same_picture(x, y, bits) or same_mirrored(x, y, bits)
        print(
            f"  {'TAKEN ' if taken else 'told  '}{distance(x.phash, y.phash):3} bits {colour_distance(x.grid, y.grid):6.1f}  {Path(x.url).name[:34]:36}{Path(y.url).name[:34]}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--squares", type=Path, action="append", default=[])
    parser.add_argument("--bits", type=int, default=6)
    given = parser.parse_args()
    pictures = read(given.folders, lambda p: p)
    originals = {key: as_picture(key, p) for key, p in pictures.items()}
    print(f"{len(pictures)} photographs, {given.bits} bits")
    recall(pictures, originals, given.bits)
    recoloured(pictures, originals, given.bits)
    hard = {key: as_picture(key, p) for key, p in read(given.squares, squared).items()}
    both = dict(itertools.chain(originals.items(), ((f"{key}#", p) for key, p in hard.items())))
    false_pairs({key: p for key, p in both.items() if not (key.endswith("#") and key[:-1] in originals)}, given.bits)


if __name__ == "__main__":
    main()

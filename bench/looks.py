"""How often the looks of a picture are told right, on folders that you name; and the fit of the two linear models.

    python -m bench.looks --photos DIR --drawings DIR --screenshots DIR [--plots DIR] [--catalogue FILE] --test NAME,NAME… [--fit]

Each DIR holds one folder for each package that its pictures came from. Whole packages are for testing (--test) or for fitting, never
single pictures: what one hand made looks alike. --fit prints the table that stands in boxset/images/look.py; without it that table is used.
Placeholders are drawn here. Photographs on white, of the fitting part, are also set on grounds of other shades, larger and softer.
"""

import argparse
import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from boxset.dataset.reasons import Refusal
from boxset.images import look
from boxset.images.prepare import prepare
from boxset.images.small import Small

KINDS = ("photos", "drawings", "screenshots", "plots", "placeholders")
MOST = 250  # pictures of a package
SAID = (
    "Image not available",
    "No image",
    "No Image Available",
    "Photo coming soon",
    "404",
    "Kein Bild vorhanden",
    "Pas d'image",
    "This image was removed",
)


class Pictures(dict[str, list[tuple[str, Small]]]):
    """Package → name and small version of each."""

    def only(self, names: set[str], *, inside: bool) -> "Pictures":
        return Pictures({k: v for k, v in self.items() if (k in names) == inside})

    def traits(self) -> np.ndarray:
        return np.array([look.traits_of(small) for found in self.values() for _, small in found]).reshape(-1, len(look.Traits._fields))

    def weights(self) -> np.ndarray:
        """A package counts by the square root of its size, so that a large one does not decide alone; all together count 1000."""
        each = np.array([1 / np.sqrt(len(found)) for found in self.values() for _ in found])
        return each / each.sum() * 1000

    def __len__(self) -> int:
        return sum(map(len, self.values()))


def read(folder: Path | None) -> Pictures:
    """Read up to MOST pictures of each package, made small as the crawl makes them."""
    found = Pictures()
    for package in sorted(p for p in folder.iterdir() if p.is_dir()) if folder else ():
        files = sorted(p for p in package.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        random.Random(package.name).shuffle(files)
        small = [(f.name, p.small) for f in files[:MOST] if not isinstance(p := prepare(f.read_bytes()), Refusal)]
        found[package.name] = [(name, p) for name, p in small if min(p.size) >= look.SMALLEST]
    return found


def studio(pictures: Pictures) -> Pictures:
    """Set photographs that stand on white on other grounds, larger and softer: two of each."""
    rng, noise = random.Random(2), np.random.default_rng(2)
    white = [(n, p.pixels) for found in pictures.values() for n, p in found if look.white_border(p.pixels) > look.WHITE_BORDER]
    return Pictures(studio=[(name, _small(_on_ground(Image.fromarray(p[..., :3]), rng, noise), rng)) for name, p in white for _ in range(2)])


def _on_ground(picture: Image.Image, rng: random.Random, noise: np.random.Generator) -> Image.Image:
    side = rng.choice((400, 600, 900))
    ground = Image.new("RGB", (side, round(side * rng.choice((0.5, 0.75, 1, 1)))), "white")
    scale = min(side * rng.uniform(0.5, 0.95) / max(picture.size), ground.height * 0.95 / picture.height)
    large = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BICUBIC)
    ground.paste(large, ((ground.width - large.width) // 2, (ground.height - large.height) // 2))
    if rng.random() < 0.4:
        return ground
    low = rng.randint(110, 235)
    light = Image.fromarray(noise.integers(low, min(255, low + 25), (3, 4)).astype(np.uint8)).resize(ground.size, Image.Resampling.BICUBIC)
    values = np.asarray(ground) * (np.asarray(light)[..., None] / 255) + noise.normal(0, rng.choice((0, 1.5, 3)), (*ground.size[::-1], 1))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _small(picture: Image.Image, rng: random.Random) -> Small:
    out = BytesIO()
    picture.save(out, "JPEG", quality=rng.choice((60, 75, 85, 92)))
    prepared = prepare(out.getvalue())
    assert not isinstance(prepared, Refusal)
    return prepared.small


def placeholders(count: int = 120) -> Pictures:
    """Draw signs and words on plain grounds."""
    rng = random.Random(5)
    return Pictures(drawn=[(str(n), _small(_placeholder(n, rng), rng)) for n in range(count)])


def _placeholder(number: int, rng: random.Random) -> Image.Image:
    width, height = rng.choice(((400, 400), (640, 480), (300, 300), (800, 600), (1000, 1000), (600, 400)))
    shade = rng.choice((255, 255, 250, 238, 230, 224, 204))
    picture = Image.new("RGB", (width, height), (shade,) * 3 if rng.random() < 0.8 else tuple(rng.randint(180, 255) for _ in range(3)))
    draw, ink = ImageDraw.Draw(picture), (rng.choice((0, 60, 120, 150, 170)),) * 3
    kind = number % 5  # words, sign and words twice, sign, nothing
    if kind in (0, 1, 2):
        words = rng.choice(SAID)
        draw.text(
            (width / 2, height * (0.5 if kind == 0 else 0.75)), words, fill=ink, anchor="mm", font_size=width / len(words) * rng.uniform(0.9, 1.5)
        )
    if kind in (1, 2, 3):
        s, x, y = min(width, height) * rng.uniform(0.1, 0.22), width / 2, height * 0.45
        draw.rounded_rectangle((x - s * 1.3, y - s, x + s * 1.3, y + s), radius=s / 6, outline=ink, width=max(2, int(s / 10)))
        draw.ellipse((x - s * 0.9, y - s * 0.7, x - s * 0.5, y - s * 0.3), fill=ink)
        draw.polygon([(x - s * 1.2, y + s * 0.9), (x - s * 0.3, y - s * 0.1), (x + s * 0.6, y + s * 0.4), (x + s * 1.2, y + s * 0.9)], fill=ink)
    return picture


def fit(photos: Pictures, drawings: Pictures, screens: Pictures) -> None:
    """Fit both models on traits scaled to mean 0 and spread 1, and set them in the module."""
    p, d, s = photos.traits(), drawings.traits(), screens.traits()
    everything = np.vstack([p, d, s])
    mean, spread = np.round(everything.mean(axis=0), 4), np.round(everything.std(axis=0) + 1e-9, 4)

    def scaled(traits: np.ndarray) -> np.ndarray:
        return np.clip((traits - mean) / spread, -look.CLIP, look.CLIP)

    halves = np.concatenate([photos.weights(), drawings.weights() / 2, screens.weights() / 2])
    made = _logistic(scaled(everything), np.arange(len(everything)) >= len(p), halves)
    screen = _logistic(scaled(np.vstack([d, s])), np.arange(len(d) + len(s)) >= len(d), np.concatenate([drawings.weights(), screens.weights()]))
    look.WEIGHTS = np.column_stack([mean, spread, np.round(made[1:], 3), np.round(screen[1:], 3)])
    look.MADE_BIAS, look.SCREEN_BIAS = round(float(made[0]), 3), round(float(screen[0]), 3)
    of_photos = look.MADE_BIAS + scaled(p) @ look.WEIGHTS[:, 2]
    look.MADE_FROM = round(float(np.quantile(of_photos, 0.995)), 2)


def _logistic(x: np.ndarray, y: np.ndarray, weight: np.ndarray, *, ridge: float = 1.0) -> np.ndarray:
    """Weighted logistic regression with a ridge, by Newton's method; the first coefficient is the constant."""
    rows = np.column_stack([np.ones(len(x)), x])
    penalty = np.eye(rows.shape[1]) * ridge
    penalty[0, 0] = 0
    found = np.zeros(rows.shape[1])
    for _ in range(40):
        chance = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        curvature = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + penalty
        found -= np.linalg.solve(curvature, rows.T @ (weight * (chance - y)) + penalty @ found)
    return found


def print_model() -> None:
    """Print what stands in the module."""
    print(f"MADE_BIAS, SCREEN_BIAS = {look.MADE_BIAS}, {look.SCREEN_BIAS}\nMADE_FROM = {look.MADE_FROM}")
    for name, row in zip(look.Traits._fields, look.WEIGHTS, strict=True):
        print(f"        ({', '.join(f'{v:g}' for v in row)}),  # {name}")


def count(pictures: Pictures) -> dict[str, int]:
    """Count what they seem to be; "" is none."""
    said = [(look.looks_of(small) or ("",))[0] for found in pictures.values() for _, small in found]
    return {kind: said.count(kind) for kind in ("", "catalogue", "drawing", "screenshot", "placeholder")}


def show(title: str, material: dict[str, Pictures], *, each: bool) -> None:
    """Print a row for each kind, and for each package where asked."""
    print(f"\n{title:34}{'pictures':>9}{'none':>7}{'catal.':>8}{'drawing':>9}{'screen':>8}{'placeh.':>9}")
    for kind, pictures in material.items():
        for name, part in [(kind, pictures), *([(f"  {n}", Pictures({n: found})) for n, found in pictures.items()] if each else [])]:
            counts = count(part)
            print(f"{name:34}{len(part):9}" + "".join(f"{counts[k]:{w}}" for k, w in zip(counts, (7, 8, 9, 8, 9), strict=True)))


def wrong_photos(photos: Pictures) -> Iterator[str]:
    """Yield which photographs are taken for something else."""
    for package, found in photos.items():
        for name, small in found:
            said = look.looks_of(small)
            if said not in ((), ("catalogue",)):
                yield f"  {said[0]}: {package}/{name}"


def main() -> None:
    """Read, fit where asked, report."""
    parser = argparse.ArgumentParser()
    for kind in KINDS[:-1]:
        parser.add_argument(f"--{kind}", type=Path)
    parser.add_argument("--test", type=lambda text: set(text.split(",")), required=True)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--each", action="store_true", help="a row for each package")
    given = parser.parse_args()
    material = {kind: read(getattr(given, kind)) for kind in KINDS[:-1]}
    fitting = {kind: pictures.only(given.test, inside=False) for kind, pictures in material.items()}
    testing = {kind: pictures.only(given.test, inside=True) for kind, pictures in material.items()} | {"placeholders": placeholders()}
    if given.fit:
        fitting["photos"].update(studio(fitting["photos"]))
        fit(fitting["photos"], fitting["drawings"], fitting["screenshots"])
        print_model()
    show("fitted on", fitting, each=given.each)
    show("held out", testing, each=given.each)
    print("\nphotographs of the held-out part taken for something else:", *wrong_photos(testing["photos"]), sep="\n")


if __name__ == "__main__":
    main()

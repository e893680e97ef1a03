"""Copies are found by hash, and confirmed by shape and colours."""

import random
from itertools import combinations

import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from boxset.dataset.records import Picture
from boxset.dataset.similar import colour_distance, distance, groups, mirrored, near_between, near_pairs, same_mirrored, same_picture
from boxset.images.phash import grid, phash
from boxset.images.small import Small
from tests.build import picture
from tests.project import REALDATA


def hashes_with_neighbours(count: int, *, seed: int) -> list[str]:
    """Random hashes, half of them with a neighbour up to eleven bits away."""
    rng = random.Random(seed)
    found = [rng.getrandbits(64) for _ in range(count)]
    for value in found[: count // 2]:
        for bit in rng.sample(range(64), rng.randint(0, 11)):
            value ^= 1 << bit
        found.append(value)
    return [f"{value:016x}" for value in found]


@pytest.mark.parametrize("bits", [0, 3, 6, 7, 9, 11])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_near_hashes_of_two_lists_are_those_that_comparing_all_would_find(bits: int, share: float) -> None:
    every = hashes_with_neighbours(200, seed=bits) + ["0" * 16] * 4
    random.Random(5).shuffle(every)
    first, second = every[: int(share * len(every))], every[int(share * len(every)) :]

    expected = [(i, j) for i, a in enumerate(first) for j, b in enumerate(second) if distance(a, b) <= bits]

    assert sorted(near_between(first, second, bits)) == expected
    assert bool(expected) == bool(share)


@pytest.mark.parametrize("bits", [0, 3, 6, 7, 9, 11])
def test_near_pairs_are_exactly_those_of_brute_force(bits: int) -> None:
    hashes = hashes_with_neighbours(300, seed=bits)
    expected = [(i, j) for i in range(len(hashes)) for j in range(i + 1, len(hashes)) if distance(hashes[i], hashes[j]) <= bits]

    assert near_pairs(hashes, bits) == expected
    assert expected != []


def test_equal_hashes_are_pairs_too() -> None:
    assert near_pairs(["0" * 16, "f" * 16, "0" * 16], 0) == [(0, 2)]


def test_more_bits_than_the_search_is_exact_for_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to 11"):
        near_pairs([], 12)


def test_a_copy_is_near_in_hash_shape_and_colours() -> None:
    grid, other_grid = "80" * 48, "20" * 48
    one = picture("one", phash="0" * 16, grid=grid)

    assert same_picture(one, picture("copy", phash=f"{7:016x}", grid=grid, width=200, height=150), 6)
    assert same_picture(one, one, 0)
    assert not same_picture(one, picture("far", phash=f"{0xFF:016x}", grid=grid), 6)
    assert not same_picture(one, picture("square", phash="0" * 16, grid=grid, width=300), 6)
    assert not same_picture(one, picture("dark", phash="0" * 16, grid=other_grid), 6)


def test_without_colours_half_the_bits_must_do() -> None:
    one = picture("one", phash="0" * 16)

    assert same_picture(one, picture("near", phash=f"{7:016x}"), 6)
    assert not same_picture(one, picture("less near", phash=f"{15:016x}"), 6)
    assert colour_distance("", "80" * 48) == 0.0


def test_groups_carry_on_from_copy_to_copy() -> None:
    chain = [picture(n, phash=f"{value:016x}") for n, value in enumerate((0, 0b111, 0b111111))]
    alone = picture("alone", phash="f" * 16)

    assert groups([alone, *chain], 6) == [[alone], chain]


def photographed(colours: tuple[str, str, str] = ("#c03028", "#303030", "#b0b0b0"), *, turn: float = 0) -> Image.Image:
    """A tool on white: a handle, a shaft, a head."""
    drawing = Image.new("RGB", (600, 450), "white")
    draw = ImageDraw.Draw(drawing)
    draw.rounded_rectangle((60, 230, 290, 300), 20, fill=colours[0])
    draw.rectangle((290, 252, 480, 276), fill=colours[2])
    draw.polygon([(480, 200), (540, 220), (540, 340), (480, 320)], fill=colours[1])
    return drawing.rotate(turn, fillcolor="white")


def fingerprinted(drawing: Image.Image) -> Picture:
    """Its fingerprints; every one is another file."""
    return picture(f"file {random.getrandbits(60)}", phash=phash(Small.of(drawing)), grid=grid(Small.of(drawing)), width=drawing.width, height=drawing.height)


def test_a_copy_may_be_lit_and_coloured_otherwise_and_may_be_grey() -> None:
    tool = photographed()
    changed = [
        *(ImageEnhance.Brightness(tool).enhance(share) for share in (0.75, 0.85)),
        *(ImageEnhance.Color(tool).enhance(share) for share in (0.6, 1.3)),
        ImageEnhance.Contrast(tool).enhance(1.2),
        tool.convert("L").convert("RGB"),
        tool.resize((300, 225)),
    ]

    found = [
        same_picture(fingerprinted(tool), fingerprinted(copy), 6) and same_picture(fingerprinted(copy), fingerprinted(tool), 6) for copy in changed
    ]

    assert found == [True] * len(changed)


@pytest.mark.parametrize("handle", ["#2848c0", "#28a040", "#804090"])
def test_a_tool_with_a_handle_of_another_colour_is_another_tool(handle: str) -> None:
    one, other = fingerprinted(photographed()), fingerprinted(photographed((handle, "#303030", "#b0b0b0")))

    assert distance(one.phash, other.phash) <= 6
    assert colour_distance(one.grid, other.grid) < 18
    assert not same_picture(one, other, 6)


def test_a_mirrored_copy_is_known_by_its_mirrored_fingerprint() -> None:
    tool = photographed(turn=20)
    one, copy = fingerprinted(tool), fingerprinted(ImageOps.mirror(tool))

    assert not same_picture(one, copy, 6)
    assert same_mirrored(one, copy, 6)
    assert same_mirrored(copy, one, 6)
    assert not same_mirrored(one, fingerprinted(ImageEnhance.Brightness(ImageOps.mirror(tool)).enhance(0.9)), 6)
    assert mirrored(mirrored(one)) == one
    assert mirrored(picture("no colours", phash="0" * 16)).grid == ""


needs_photographs = pytest.mark.skipif(not REALDATA.is_dir(), reason="the folder of real files is not here")


@needs_photographs
def test_no_real_tool_is_taken_for_another_and_their_copies_are_found() -> None:
    photographs = [Image.open(file).convert("RGB") for file in sorted(REALDATA.glob("tool_photos/*/images/*"))]
    for photograph in photographs:
        photograph.thumbnail((256, 256))
    known = [fingerprinted(p) for p in photographs]

    false = [(a, b) for a, b in combinations(known, 2) if same_picture(a, b, 6) or same_mirrored(a, b, 6)]
    missed = [
        p for p, one in zip(photographs, known, strict=True) if not same_picture(one, fingerprinted(ImageEnhance.Brightness(p).enhance(0.85)), 6)
    ]
    turned = [p for p, one in zip(photographs, known, strict=True) if not same_mirrored(one, fingerprinted(ImageOps.mirror(p)), 6)]

    assert (len(known), false, missed) == (43, [], [])
    assert len(turned) <= 4

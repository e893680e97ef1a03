"""Copies are found by hash, and confirmed by shape and colours."""

import random

import pytest

from boxset.dataset.similar import colour_distance, distance, groups, near_pairs, same_picture
from tests.build import picture


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

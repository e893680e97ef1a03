"""Which pictures are the same or nearly so, by perceptual hash, confirmed by shape and colours.

Measured on real photographs by `python -m bench.copies` (docs/crawl.md): copies that were scaled, recompressed, lit or coloured otherwise
are found, and no tool on white was taken for another; past 6 bits tools on white begin to meet. Crops by 5 % and more are often missed.

Hashes are 64 bits, written as 16 hexadecimal digits. Search is exact up to 11 bits: by the pigeonhole principle two hashes that
differ in at most 7 bits agree to within one bit in one of their four 16-bit bands, and up to 11 bits to within two.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import msgspec
import numpy as np
import numpy.typing as npt

from boxset.dataset.coco import CocoImage
from boxset.dataset.records import Picture

Keys = npt.NDArray[np.uint16]
Cells = npt.NDArray[np.float64]
Print = Picture | CocoImage  # what has a size, a hash and colours

BANDS = 4
MAX_BITS = 11
COPY_BITS = 6  # what was bought, decided or taken down may be found again in a picture whose hash differs by so many bits; shape and colours confirm it
MAX_ASPECT_RATIO = 1.06  # how far the shapes of two copies may differ
MAX_COLOUR_DISTANCE = 18.0  # mean absolute difference over the grid, of 255
MAX_MIRRORED_DISTANCE = 4.0
SAME_COLOURS = 8.0  # of two pictures of one frame
MIN_GAIN, MAX_LIT_DISTANCE = 0.75, 12.0  # or this mean difference, after the brighter one was dimmed to so much of it at the least
MIN_SATURATION, MAX_HUE_DISTANCE = 0.5, 12.0  # largest difference of a cell's hue, after the more vivid one was paled to so much at the least
GREY = 4.0  # a picture none of whose cells is further from grey has no hues to compare
ODD_COLUMNS = 0x5555555555555555  # of the hash: what changes sign where a picture is mirrored


def distance(first: str, second: str) -> int:
    """Return in how many bits two hashes differ."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def same_picture(first: Print, second: Print, bits: int) -> bool:
    """Return whether two pictures are copies of one: near in hash, in shape and in colours. The order does not matter."""
    if first.sha256 == second.sha256:
        return True
    if distance(first.phash, second.phash) > (bits if first.grid and second.grid else bits // 2):
        return False
    return _shape_ratio(first, second) <= MAX_ASPECT_RATIO and same_colours(first.grid, second.grid)


def same_frame(first: Print, second: Print) -> bool:
    """Return whether two near pictures have one shape to the pixel and nearly the same colours, so that neither is cut or taken a moment later."""
    return same_shape(first, second) and colour_distance(first.grid, second.grid) <= SAME_COLOURS


def same_shape(first: Print, second: Print) -> bool:
    """Return whether two pictures have one shape to the pixel, so that a box of one can be drawn on the other where they show the same."""
    return _shape_ratio(first, second) <= 1 + 2 / min(first.width, first.height, second.width, second.height)


def mirrored(picture: Picture) -> Picture:
    """Return the picture as its mirrored copy would be fingerprinted: nearly, for the hash; its file and size stay."""
    swapped = "".join(picture.grid[row + 6 * cell : row + 6 * cell + 6] for row in range(0, len(picture.grid), 24) for cell in (3, 2, 1, 0))
    return msgspec.structs.replace(picture, phash=f"{int(picture.phash, 16) ^ ODD_COLUMNS:016x}", grid=swapped)


def same_mirrored(first: Picture, second: Picture, bits: int) -> bool:
    """Return whether one is a mirrored copy of the other. Stricter in colours: a thing's other side looks like its mirrored picture."""
    turned = mirrored(first)
    return same_picture(turned, second, bits) and colour_distance(turned.grid, second.grid) <= MAX_MIRRORED_DISTANCE


def colour_distance(first: str, second: str) -> float:
    """Return the mean absolute difference of two colour grids, 0 to 255; 0 where one is not known."""
    if not first or not second:
        return 0.0
    a, b = _cells(first), _cells(second)
    return float(np.abs(a - b).mean())


def same_colours(first: str, second: str) -> bool:
    """Return whether two colour grids are of one picture, but for light, contrast and saturation; true where one is not known.

    Tools of one shape and other colours on white differ in few cells only: so colours are compared cell by cell, and only
    brightness on the whole.
    """
    if not first or not second:
        return True
    a, b = _cells(first), _cells(second)
    return _same_light(a, b) and _same_hues(a, b)


def _cells(grid: str) -> Cells:
    return np.frombuffer(bytes.fromhex(grid), np.uint8).astype(np.float64).reshape(-1, 3)


def _same_light(a: Cells, b: Cells) -> bool:
    if np.abs(a - b).mean() <= MAX_COLOUR_DISTANCE:
        return True
    dark, bright = sorted((a, b), key=lambda cells: float(cells.mean()))
    gain = max(MIN_GAIN, float(dark.mean()) / max(1.0, float(bright.mean())))
    return bool(np.abs(dark - bright * gain).mean() <= MAX_LIT_DISTANCE)


def _same_hues(a: Cells, b: Cells) -> bool:
    pale, vivid = sorted((a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)), key=lambda hues: float((hues**2).sum()))
    if np.abs(pale).max() <= GREY:
        return True  # a copy in grey
    share = min(1.0, max(MIN_SATURATION, float((pale * vivid).sum() / (vivid**2).sum())))
    return bool(np.abs(pale - vivid * share).max() <= MAX_HUE_DISTANCE)


def _shape_ratio(first: Print, second: Print) -> float:
    ratio = (first.width * second.height) / (first.height * second.width)
    return max(ratio, 1 / ratio)


def near_pairs(hashes: Sequence[str], bits: int) -> list[tuple[int, int]]:
    """Return all pairs of positions `i < j` whose hashes differ in at most `bits` (0 to 11), sorted."""
    if not 0 <= bits <= MAX_BITS:
        raise ValueError(f"bits must be 0 to {MAX_BITS}")
    positions: dict[str, list[int]] = defaultdict(list)
    for position, value in enumerate(hashes):
        positions[value].append(position)
    groups = list(positions.values())
    pairs = {pair for group in groups for pair in combinations(group, 2)}
    distinct = np.array([int(hashes[group[0]], 16) for group in groups], dtype=np.uint64)
    for i, j in _distinct_pairs(distinct, bits):
        pairs |= {(min(a, b), max(a, b)) for a in groups[i] for b in groups[j]}
    return sorted(pairs)


def near_between(first: Sequence[str], second: Sequence[str], bits: int) -> Iterator[tuple[int, int]]:
    """Yield once each pair of a position in `first` and one in `second` whose hashes differ in at most `bits` (0 to 11). Takes time as the shorter one is long."""
    if not 0 <= bits <= MAX_BITS:
        raise ValueError(f"bits must be 0 to {MAX_BITS}")
    if len(first) > len(second):
        yield from ((i, j) for j, i in near_between(second, first, bits))
        return
    few, many = (np.array([int(value, 16) for value in hashes], dtype=np.uint64) for hashes in (first, second))
    found: set[tuple[int, int]] = set()
    for band in range(BANDS):
        keys, sought = (_keys(hashes, band) for hashes in (many, few))
        order = np.argsort(keys, kind="stable")
        for start, stop in _spans(keys, sought, bits):
            for i, j in _candidates(order, start, stop):
                near = np.bitwise_count(few[i] ^ many[j]) <= bits
                found |= set(zip(i[near].tolist(), j[near].tolist(), strict=True))
    yield from sorted(found)


def _distinct_pairs(hashes: npt.NDArray[np.uint64], bits: int) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for band in range(BANDS):
        keys = _keys(hashes, band)
        order = np.argsort(keys, kind="stable")
        for start, stop in _spans(keys, keys, bits):
            for i, j in _candidates(order, start, stop):
                near = (i < j) & (np.bitwise_count(hashes[i] ^ hashes[j]) <= bits)
                found |= set(zip(i[near].tolist(), j[near].tolist(), strict=True))
    return found


def _keys(hashes: npt.NDArray[np.uint64], band: int) -> Keys:
    return (hashes >> np.uint64(16 * band)).astype(np.uint16)


def _spans(keys: Keys, sought: Keys, bits: int) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Yield for every way in which a band's key may differ where each key that is sought stands among the keys in order: first, and behind the last."""
    places = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=1 << 16))])
    for probe in _probes(2 if bits > 7 else 1 if bits > 3 else 0):
        wanted = (sought ^ np.uint16(probe)).astype(np.intp)
        yield places[wanted], places[wanted + 1]


def _candidates(
    order: npt.NDArray[np.intp], start: npt.NDArray[np.intp], stop: npt.NDArray[np.intp], *, most: int = 1 << 22
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Yield arrays of positions `i`, `j` that share a band's key, at most about `most` at once."""
    counts = stop - start
    begin = 0
    while begin < len(counts):
        end = int(np.searchsorted(np.cumsum(counts[begin:]), most, "right")) + begin
        end = max(end, begin + 1)
        part = counts[begin:end]
        i = np.repeat(np.arange(begin, end), part)
        offsets = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part)
        j = order[np.repeat(start[begin:end], part) + offsets]
        yield i, j
        begin = end


def _probes(flips: int) -> list[int]:
    return [sum(1 << bit for bit in chosen) for count in range(flips + 1) for chosen in combinations(range(16), count)]


def copies(pictures: Sequence[Print], known: Sequence[Print], bits: int) -> Iterator[tuple[int, int]]:
    """Yield the positions of a picture and of a known one that are the same picture."""
    for i, j in near_between([picture.phash for picture in pictures], [picture.phash for picture in known], bits):
        if same_picture(pictures[i], known[j], bits):
            yield i, j


def twins(pictures: Sequence[Print], bits: int) -> Iterator[tuple[int, int]]:
    """Yield the positions, the lower first, of pictures that are the same picture."""
    for i, j in near_pairs([picture.phash for picture in pictures], bits):
        if same_picture(pictures[i], pictures[j], bits):
            yield i, j


def groups(pictures: Sequence[Picture], bits: int) -> list[list[Picture]]:
    """Return the pictures in groups of copies (`same_picture`, carried on), each and all in the order given."""
    joined = Groups(len(pictures))
    for i, j in twins(pictures, bits):
        joined.join(i, j)
    return [[pictures[member] for member in members] for members in joined.members()]


class Groups:
    """Positions joined into groups; a group is known by its lowest position."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, position: int) -> int:
        """Return the lowest position of the group."""
        while self._parent[position] != position:
            self._parent[position] = self._parent[self._parent[position]]
            position = self._parent[position]
        return position

    def join(self, first: int, second: int) -> None:
        """Make one group of two."""
        low, high = sorted((self.root(first), self.root(second)))
        self._parent[high] = low

    def join_all(self, positions: Iterable[int]) -> None:
        """Make one group of all."""
        first, *rest = positions
        for position in rest:
            self.join(first, position)

    def members(self) -> list[list[int]]:
        """Return all groups, by their lowest position."""
        found: dict[int, list[int]] = {}
        for position in range(len(self._parent)):
            found.setdefault(self.root(position), []).append(position)
        return list(found.values())

"""Boxes: from a source's coordinates to pixels of the stored picture, clipped; overlap."""

from math import cos, isfinite, radians, sin

from boxset.dataset.records import BBox

MIN_SIDE = 1e-6


def clipped(bbox: BBox, width: float, height: float) -> BBox | None:
    """Return the part of a box inside a picture, or None where nothing is left."""
    x, y, w, h = bbox
    left, top, right, bottom = max(0.0, x), max(0.0, y), min(float(width), x + w), min(float(height), y + h)
    if not all(map(isfinite, bbox)) or not (right - left > MIN_SIDE and bottom - top > MIN_SIDE):
        return None
    return left, top, right - left, bottom - top


def scaled(bbox: BBox, across: float, down: float) -> BBox:
    """Return a box with its x and width, and its y and height, multiplied."""
    x, y, w, h = bbox
    return x * across, y * down, w * across, h * down


def around_turned(width: float, height: float, degrees: float) -> BBox:
    """Return the upright box round a rectangle that is turned clockwise about its top left corner, which is the origin."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    across, down = (0.0, width * c, -height * s, width * c - height * s), (0.0, width * s, height * c, width * s + height * c)
    return min(across), min(down), max(across) - min(across), max(down) - min(down)


def turned(bbox: BBox, orientation: int, width: float, height: float) -> BBox:
    """Return a box of a raster of `width` by `height` where it lies once the raster is turned upright by its EXIF orientation (1 to 8)."""
    x, y, w, h = bbox
    right, bottom = width - x - w, height - y - h
    corners = {
        1: (x, y, w, h),
        2: (right, y, w, h),
        3: (right, bottom, w, h),
        4: (x, bottom, w, h),
        5: (y, x, h, w),
        6: (bottom, x, h, w),
        7: (bottom, right, h, w),
        8: (y, right, h, w),
    }
    return corners[orientation]


def iou(first: BBox, second: BBox) -> float:
    """Return the shared area over the united area of two boxes, 0 to 1."""
    across = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    down = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)

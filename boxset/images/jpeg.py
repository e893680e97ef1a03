"""Taking metadata out of a JPEG file without decoding its picture.

Format: ITU-T T.81, annex B: segments of a marker and a length, then entropy-coded data until the next marker.
"""

import re

EOI, SOS = 0xD9, 0xDA
FRAMES = {0xC0, 0xC1, 0xC2}
KEPT = {*FRAMES, 0xC4, 0xDB, 0xDD, 0xDA}  # frames, Huffman and quantisation tables, restarts, scans
APP0, APP14 = 0xE0, 0xEE
ADOBE = 12  # bytes of Adobe's segment, the last of which says how the colours are transformed
JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def without_metadata(jpeg: bytes) -> bytes | None:
    """Return the same picture without EXIF, profiles, comments and what follows its end; None where the structure is unusual.

    What says how its colours are meant stays: JFIF's mark, or Adobe's. It is unusual where they contradict each other, or where only
    the names of its components say so: a mark that is added would change its colours.
    """
    if jpeg[:2] != b"\xff\xd8":
        return None
    parts: list[bytes] = []
    position, adobe, jfif, is_rgb = 2, b"", False, False
    while position + 4 <= len(jpeg):
        if jpeg[position] != 0xFF:
            return None
        marker = jpeg[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == EOI:
            break
        start = position + 4
        end = position + 2 + int.from_bytes(jpeg[position + 2 : start], "big")
        if marker == APP14 and jpeg[start:end].startswith(b"Adobe") and end - start >= ADOBE:
            adobe = jpeg[start : start + ADOBE]
        jfif = jfif or (marker == APP0 and jpeg[start:end].startswith(b"JFIF\x00"))
        is_rgb = is_rgb or (marker in FRAMES and jpeg[start + 6 : end : 3] == b"RGB")
        if marker == SOS:
            following = _NEXT_MARKER.search(jpeg, end)
            if following is None:
                return None
            end = following.start()
        if marker in KEPT:
            parts.append(jpeg[position:end])
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            return None
        position = end
    if jpeg[position : position + 2] != b"\xff\xd9" or (is_rgb and not jfif and not adobe) or (jfif and adobe.endswith(b"\x00")):
        return None
    mark = b"\xff\xee\x00\x0e" + adobe if adobe else JFIF
    return b"".join([b"\xff\xd8", mark, *parts, b"\xff\xd9"])

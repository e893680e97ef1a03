"""Taking metadata out of a JPEG file without decoding its picture.

Format: ITU-T T.81, annex B: segments of a marker and a length, then entropy-coded data until the next marker.
"""

import re

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
KEPT = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xDA, 0xEE}  # frames, Huffman and quantisation tables, restarts, scans, Adobe's colour transform
JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def without_metadata(jpeg: bytes) -> bytes | None:
    """Return the same picture without EXIF, profiles, comments and what follows its end; None where the structure is unusual."""
    if jpeg[:2] != b"\xff\xd8":
        return None
    parts: list[bytes] = []
    position, adobe = 2, False
    while position + 4 <= len(jpeg):
        if jpeg[position] != 0xFF:
            return None
        marker = jpeg[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == EOI:
            return b"".join([b"\xff\xd8", b"" if adobe else JFIF, *parts, b"\xff\xd9"])
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if marker == SOS:
            following = _NEXT_MARKER.search(jpeg, end)
            if following is None:
                return None
            end = following.start()
        if marker in KEPT:
            parts.append(jpeg[position:end])
            adobe = adobe or marker == 0xEE
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            return None
        position = end
    return b"".join([b"\xff\xd8", b"" if adobe else JFIF, *parts, b"\xff\xd9"]) if jpeg[position : position + 2] == b"\xff\xd9" else None

"""The closed list of reasons for which a record is left out; each record lost is counted under one of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why something was left out. The value is what stands in `images.jsonl` and in `metrics/`."""

    # the address
    BAD_ADDRESS = "bad_address"  # not an http(s) address, credentials in it, refused port
    PRIVATE_ADDRESS = "private_address"  # resolves to a machine that is not public
    DUPLICATE_ADDRESS = "duplicate_address"
    REJECT_WORD = "reject_word"
    SITE_LIMIT = "site_limit"
    LICENCE = "licence"  # the licence policy does not let it in
    TAKEN_DOWN = "taken_down"  # its owner wants it out (`boxset takedown`)
    # the answer
    ROBOTS = "robots"  # robots.txt or X-Robots-Tag
    GONE = "gone"  # 404 or 410
    REFUSED = "refused"  # 401, 403, 451
    RATE_LIMITED = "rate_limited"  # 429 to the end
    SERVER_ERROR = "server_error"
    UNREACHABLE = "unreachable"  # no such host, connection refused or reset
    TIMEOUT = "timeout"
    REDIRECTS = "redirects"  # too many, or https to http
    TOO_LARGE = "too_large"  # over the byte limit
    # the bytes
    NOT_AN_IMAGE = "not_an_image"  # a web page, SVG, video, nothing
    BROKEN = "broken"  # truncated or undecodable
    TOO_MANY_PIXELS = "too_many_pixels"
    # the picture
    TOO_SMALL = "too_small"
    ODD_SHAPE = "odd_shape"
    ANIMATED = "animated"
    PLACEHOLDER = "placeholder"
    DRAWING = "drawing"
    SCREENSHOT = "screenshot"
    CATALOGUE = "catalogue"
    THUMBNAIL = "thumbnail"
    DUPLICATE = "duplicate"  # the same bytes or picture as one that is kept
    OVER_LIMIT = "over_limit"  # more than was asked for
    # the boxes
    BAD_ROW = "bad_row"
    EMPTY_BOX = "empty_box"
    FLAG = "flag"  # the policy for a flag is `drop`
    NO_PICTURE = "no_picture"  # its picture was left out or is unknown
    # the data set
    UNLABELLED = "unlabelled"  # waits for people
    UNKNOWN_CATEGORY = "unknown_category"  # may show a category that nobody looked for
    OVER_CAP = "over_cap"  # balance leaves it out
    NEAR_FROZEN = "near_frozen"  # a copy or near-copy of a picture of the frozen test set
    REJECTED = "rejected"  # a person said in `boxset review` that its category is not in it, and nothing else is known of it
    UNUSABLE = "unusable"  # a person said in `boxset review` that it is no picture to learn from


NOBODY = (Reason.UNREACHABLE, Reason.TIMEOUT)  # nobody answered: the site is dead, or this machine reaches nobody


def count_reasons(reasons: Iterable[Reason | str]) -> dict[str, int]:
    """Count reasons, keys sorted."""
    counts: dict[str, int] = {}
    for reason in sorted(str(reason) for reason in reasons):
        counts[reason] = counts.get(reason, 0) + 1
    return counts


@dataclass(frozen=True)
class Refusal:
    """An expected failure: why something is left out, and what was seen."""

    reason: Reason
    detail: str = ""

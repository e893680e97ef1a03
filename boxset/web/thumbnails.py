"""Whether a picture is a thumbnail in place of the original: by its size, by what was promised, and by what its address says."""

import re
from urllib.parse import urlsplit

WHOLE = 640  # a picture with a longer side of so many pixels is no thumbnail, whatever was said of it
SHARE = 0.6  # of the size that was promised

_HOSTS = re.compile(r"(?:^|\.)(?:encrypted-tbn\d*\.gstatic\.com|(?:\w+\.)?mm\.bing\.net|(?:t|tn|thumbs?)\d*\.[^.]+\.\w+)$")
_PATHS = re.compile(
    r"""
    /(?:thumbs?|thumbnails?|tn|_thumbs|previews?/small)/          # a folder of them
    | /styles/(?:thumbnail|small)                                 # Drupal
    | [-_.](?:thumb|thumbnail|small|tiny)\.\w{3,4}$               # …_thumb.jpg
    | ^/vi(?:_webp)?/[^/]+/(?:\d|default|mqdefault|hqdefault)\.   # a video's still
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FLICKR = re.compile(r"_[stqmn]\.(?:jpg|png)$")
_SIZES = (
    re.compile(r"[-_](\d{2,4})x(\d{2,4})?(?:_crop\w*)?(?:@\dx)?\.\w{3,4}$"),  # WordPress, Shopify
    re.compile(r"/(\d{2,4})x(\d{2,4})?(?:_RS)?/"),  # Pinterest and others
    re.compile(r"[=-][sw](\d{2,4})(?:-h?(\d{2,4}))?(?:-[a-z]+)*$"),  # Google's photo hosts
    re.compile(r"\._[A-Z0-9,_]*?(?:S[XYLS]|U[SXYL]|AA|CR)(\d{2,4})_"),  # Amazon
    re.compile(r"/(\d{2,4})px-[^/]+$"),  # MediaWiki
)
_QUERY = re.compile(r"(?:^|&)(?:w|width|h|height|maxwidth|sz|size)=(\d{1,4})(?:&|$)")
NAMED = 320  # a size in an address up to which it names a thumbnail


def is_thumbnail(url: str, size: tuple[int, int], promised: tuple[int, int]) -> bool:
    """Return whether a picture of a size, from an address, with another size promised (zeros: none), is a thumbnail."""
    longer = max(size)
    return longer < WHOLE and (longer < SHARE * max(promised) or names_thumbnail(url))


def names_thumbnail(url: str) -> bool:
    """Return whether an address is of the form that thumbnails have."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _HOSTS.search(host) or (host.endswith("bing.com") and parts.path.startswith("/th")):
        return True
    if host.endswith("staticflickr.com") and _FLICKR.search(parts.path):
        return True
    sizes = [int(n) for pattern in (*_SIZES,) for found in pattern.findall(parts.path) for n in ([found] if isinstance(found, str) else found) if n]
    sizes += [int(n) for n in _QUERY.findall(parts.query)]
    return max(sizes) <= NAMED if sizes else bool(_PATHS.search(parts.path))

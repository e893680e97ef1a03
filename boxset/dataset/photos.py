"""Which photo of Flickr's, and which picture of COCO's, an address tells: the same one stands in many data sets, under many addresses."""

import re
from collections.abc import Iterable

from boxset.dataset.coco import CocoImage

FLICKR_PAGE = "https://www.flickr.com/photo.gne?id="  # leads on to the photo's page, whoever's it is
FLICKR_PICTURE = re.compile(r"(?:https?:)?//(?:[a-z0-9-]+\.)?static\.?flickr\.com\.?/(?:[^/?#\s]+/)*([0-9]{1,20})_[^/?#\s]+(?:[?#].*)?", re.IGNORECASE)
_FLICKR_PHOTO = re.compile(r"(?:https?:)?//(?:www\.)?flickr\.com/(?:photo\.gne\?id=|photos/[^/?#\s]+/)([0-9]{1,20})(?:[/?#&].*)?", re.IGNORECASE)
_COCO_PICTURE = re.compile(r"https?://(?:images\.cocodataset\.org|[^/]*mscoco\.org)/(?:[^/]+/)+(?:COCO_[a-z]+2014_)?0*(\d+)\.jpg", re.IGNORECASE)


def flickr_photo(url: str) -> str | None:
    """Return the photo's number from an address of Flickr's: a picture's (http://farm1.staticflickr.com/1/2345_abc_z.jpg) or its page's; or None."""
    found = FLICKR_PICTURE.fullmatch(url) or _FLICKR_PHOTO.fullmatch(url)
    return found[1] if found else None


def photo_numbers(addresses: Iterable[str]) -> set[str]:
    """Return the numbers of photos at Flickr and of pictures of COCO's that addresses tell, as `flickr_id 2345` and `coco_id 42`."""
    known = [address for address in addresses if address]
    photos = {f"flickr_id {photo}" for address in known if (photo := flickr_photo(address))}
    return photos | {f"coco_id {found[1]}" for address in known if (found := _COCO_PICTURE.fullmatch(address))}


def numbers_of(image: CocoImage) -> set[str]:
    """Return the numbers that an image's addresses tell."""
    return photo_numbers((image.coco_url, image.flickr_url, image.original_url, image.landing_url))


def flickr_page(url: str) -> str:
    """Return the address of the page that shows a photo for that of a picture on Flickr's own servers; any other address as it is."""
    found = FLICKR_PICTURE.fullmatch(url)
    return f"{FLICKR_PAGE}{found[1]}" if found else url

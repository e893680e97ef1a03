"""Small pictures with boxes drawn on them, inside the page itself."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from boxset.dataset.records import BBox
from boxset.errors import InputError
from boxset.report.html import Content, Html, html, tag

if TYPE_CHECKING:
    from PIL import Image

SIDE = 264  # pixels of a thumbnail's longer side: sharp on a dense screen at the size it is shown
QUALITY = 58


@dataclass(frozen=True)
class Drawn:
    """A box to draw; `kind` names its class in the style sheet."""

    bbox: BBox
    kind: str
    title: str


@dataclass
class Pictures:
    """Where pictures lie, and how many bytes of them a page may still take."""

    folders: Sequence[Path]
    budget: int
    spent: int = 0
    _cache: dict[str, str] = field(default_factory=dict)

    def find(self, file_name: str) -> Path | None:
        """Return a picture's path, or None where it is not on this machine."""
        return next((folder / file_name for folder in self.folders if (folder / file_name).is_file()), None)

    def address(self, file_name: str) -> str:
        """Return a thumbnail as a data address; empty where the picture is not here or the page is full."""
        if file_name not in self._cache:
            path = self.find(file_name) if self.spent < self.budget else None
            self._cache[file_name] = thumbnail(path) if path else ""
        self.spent += len(self._cache[file_name])
        return self._cache[file_name]


def picture_folders(root: Path) -> list[Path]:
    """Return every folder that holds pictures, the data set's own first."""
    data = root / "data"
    return [folder for pattern in ("dataset/images/*", "extract/*/images", "crawl/*/images") for folder in sorted(data.glob(pattern))]


def thumbnail(path: Path) -> str:
    """Return a small JPEG as a data address. Raises InputError for a file that cannot be decoded."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("RGB", (SIDE, SIDE))
            small = image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as err:
        raise unreadable(err, path) from err
    small.thumbnail((SIDE, SIDE))
    return data_address(small)


def data_address(picture: "Image.Image") -> str:
    """Return a picture as a JPEG within an address."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def unreadable(err: Exception, path: Path) -> InputError:
    """Return an error for a stored file that cannot be decoded."""
    return InputError(f"not a picture: {err}", where=str(path), do="`dvc checkout` restores it")


def shot(address: str, size: tuple[int, int], boxes: Sequence[Drawn], *, alt: str, caption: Content) -> Html:
    """Return a thumbnail with its boxes and a caption; without an address, the boxes alone on an empty frame."""
    wide, high = size
    drawn = "".join(html(_rect(box)) for box in boxes)
    overlay = Html(f'<svg viewBox="0 0 {wide} {high}" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>')
    if address:
        inner = tag("div", Html(f'<img src="{address}" alt="{html(alt)}" loading="lazy">'), overlay, class_="fit")
    else:
        across = 132 * min(1.0, wide / high)
        style = f"width:{across:.0f}px;height:{across * high / wide:.0f}px;outline:1px dashed var(--line)"
        inner = tag("div", overlay, class_="fit", style=style, title="the picture is not on this machine")
    return tag("figure", tag("div", inner), tag("figcaption", caption), class_="shot")


def _rect(box: Drawn) -> Html:
    x, y, w, h = (f"{value:.1f}" for value in box.bbox)
    return Html(f'<rect class="{box.kind}" x="{x}" y="{y}" width="{w}" height="{h}"><title>{html(box.title)}</title></rect>')

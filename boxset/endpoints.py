"""Where the outside is: the one module that knows the world.

Everything else asks `Endpoints` where an address really leads. In the embedded world a stand-in on loopback answers for every
host (by the Host header); in a live project addresses lead where they say, or to a mirror.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from boxset.errors import ParamsError
from boxset.params import NO_CONTACT, Params, Source


@dataclass(frozen=True)
class Endpoints:
    """Where addresses lead.

    `mirrors` maps address prefixes to other addresses or folders. `gateway` is the base address of a server on loopback
    that answers for every host, or None for the internet. `aws` is the endpoint of S3 and SageMaker, or None for AWS itself.
    """

    mirrors: Mapping[str, str] = field(default_factory=dict)
    gateway: str | None = None
    aws: str | None = None

    def check_contact(self, contact: str) -> None:
        """Raise ParamsError where the internet would be asked without saying who asks."""
        if not contact and self.gateway is None:
            raise ParamsError(f"project.contact: {NO_CONTACT[0]}", where="params.yaml", do=NO_CONTACT[1])

    def mirrored(self, address: str) -> str:
        """Return the mirror's address or path for an address; the longest prefix wins; without one the address itself."""
        mirror = self.mirror_of(address)
        return address if mirror is None else "".join(mirror)

    def mirror_of(self, address: str) -> tuple[str, str] | None:
        """Return the mirror of an address and what follows its prefix there, or None. No prefix ends in the middle of a host's name."""
        for prefix in sorted(self.mirrors, key=len, reverse=True):
            rest = address[len(prefix) :]
            if address.startswith(prefix) and (prefix.count("/") > 2 or rest[:1] in ("", "/", "?")):
                return self.mirrors[prefix], rest
        return None

    def connect(self, address: str) -> tuple[str, dict[str, str]]:
        """Return the address to connect to for an http(s) address, and the headers that this needs."""
        if self.gateway is None:
            return address, {}
        parts = urlsplit(address)
        query = f"?{parts.query}" if parts.query else ""
        return f"{self.gateway}{parts.path or '/'}{query}", {"Host": parts.netloc}


def needs_contact(params: Params) -> bool:
    """Return whether anything that is declared comes from the internet: a public source, or what a crawl finds. One's own pictures do not."""
    crawls = any(category.crawl_images and (category.queries or params.crawl.url_lists) for category in params.categories.values())
    return params.world == "live" and (crawls or any(source.on and _is_fetched(source.format or name, source) for name, source in params.sources.items()))


def _is_fetched(format_: str, source: Source) -> bool:
    """Return whether a source's files or pictures may be asked for; ImageNet's are on this machine unless an address is named."""
    named = any(place.startswith(("http://", "https://")) for place in (source.path, *source.files.values()))
    return format_ != "local" and (format_ != "imagenet" or named)


@contextmanager
def open_world(params: Params, *, state: Path = Path(".boxset/world")) -> Iterator[Endpoints]:
    """Give the endpoints of the project's world; the embedded one lives as long as the block (and dies with the process)."""
    if params.world == "live":
        yield Endpoints(mirrors=params.mirrors)
        return
    from boxset.world.server import serving

    with serving(state) as gateway:
        yield Endpoints(mirrors=params.mirrors, gateway=gateway, aws=gateway)

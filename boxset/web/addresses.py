"""Which addresses may be asked at all, and when two of them are the same."""

import ipaddress
import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

from boxset.dataset.reasons import Reason, Refusal
from boxset.text import INSTEAD, UNTEXT

PORTS = {"http": 80, "https": 443}
LONGEST = 4096  # characters of an address
ADDRESS_LENGTH = 500  # of one that cannot be asked, as a crawl writes it down
TRACKING = re.compile(r"^(utm_\w+|fbclid|gclid|mc_eid|mc_cid|igshid)$", re.IGNORECASE)

Address4Or6 = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_PROTOCOL_ASSIGNMENTS = ipaddress.ip_network("192.0.0.0/24")
_OWN_SITE, _DOCUMENTATION = ipaddress.ip_network("fec0::/10"), ipaddress.ip_network("3fff::/20")  # RFC 3879, RFC 9637


def vetted(url: str, *, ports: frozenset[int] = frozenset(PORTS.values())) -> str | Refusal:
    """Return the address in its plain form (http or https, ASCII host, no fragment), or why it is not asked."""
    if len(url) > LONGEST or INSTEAD in url or UNTEXT.search(url):
        return Refusal(Reason.BAD_ADDRESS, "too long, or control characters")
    try:
        parts = urlsplit(f"https:{url}" if url.startswith("//") else url.strip())
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode() if not _is_literal(parts.hostname or "") else parts.hostname or ""
    except (ValueError, UnicodeError) as err:
        return Refusal(Reason.BAD_ADDRESS, str(err)[:80])
    if parts.scheme not in PORTS or not host:
        return Refusal(Reason.BAD_ADDRESS, f"scheme {parts.scheme[:20] or 'none'}")
    if parts.username is not None or parts.password is not None:
        return Refusal(Reason.BAD_ADDRESS, "credentials in the address")
    if (PORTS[parts.scheme] if port is None else port) not in ports:
        return Refusal(Reason.BAD_ADDRESS, f"port {port}")
    netloc = f"[{host}]" if ":" in host else host
    netloc = netloc if port in (None, PORTS[parts.scheme]) else f"{netloc}:{port}"
    return urlunsplit((parts.scheme, netloc, _encoded(parts.path) or "/", _encoded(parts.query), ""))


def redirected(base: str, location: str, *, ports: frozenset[int] = frozenset(PORTS.values())) -> str | Refusal:
    """Return where a redirect leads, or why it is not followed."""
    try:
        target = vetted(urljoin(base, location), ports=ports)
    except ValueError as err:
        return Refusal(Reason.BAD_ADDRESS, f"a redirect: {err}"[:80])
    if isinstance(target, str) and base.startswith("https:") and target.startswith("http:"):
        return Refusal(Reason.REDIRECTS, "from https to http")
    return target


def dedup_key(url: str) -> str:
    """Return the form in which two spellings of one address are equal: no scheme, no tracking, sorted query.

    Escapes are read byte by byte, as nobody says in which encoding a name is: in UTF-8 alone, all names of another would be one.
    """
    parts = urlsplit(url)
    query = sorted((k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True, encoding="latin-1") if not TRACKING.match(k))
    return f"{(parts.hostname or '').removeprefix('www.')}{unquote(parts.path, 'latin-1').rstrip('/')}?{urlencode(query)}"


def site_of(url: str) -> str:
    """Return the site that an address belongs to: its last two host labels, three where the second is short (co.uk)."""
    labels = (urlsplit(url).hostname or "").split(".")
    take = 3 if len(labels) > 2 and len(labels[-2]) <= 3 and len(labels[-1]) == 2 else 2
    return ".".join(labels[-take:])


def is_public(address: str) -> bool:
    """Return whether an IP address, looked into as far as it can carry another one, is a public host's."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = _carried(ip)
    if inner is not None:
        return is_public(str(inner))
    if ip in _PROTOCOL_ASSIGNMENTS if ip.version == 4 else any(ip in network for network in (_NAT64_LOCAL, _OWN_SITE, _DOCUMENTATION)):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local)


def _carried(ip: Address4Or6) -> ipaddress.IPv4Address | None:
    if isinstance(ip, ipaddress.IPv4Address):
        return None
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip.teredo is not None:
        return ip.teredo[1]
    return ip.ipv4_mapped or ip.sixtofour


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _encoded(part: str) -> str:
    return quote(part, safe="/%:@!$&'()*+,;=~?-._")

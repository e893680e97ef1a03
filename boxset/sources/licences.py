"""Licences as SPDX identifiers, and which of them may enter."""

import re
from fnmatch import fnmatchcase

from boxset.params import Licences

FLICKR = {
    "0": "LicenseRef-all-rights-reserved",
    "1": "CC-BY-NC-SA-2.0",
    "2": "CC-BY-NC-2.0",
    "3": "CC-BY-NC-ND-2.0",
    "4": "CC-BY-2.0",
    "5": "CC-BY-SA-2.0",
    "6": "CC-BY-ND-2.0",
    "7": "LicenseRef-no-known-copyright-restrictions",
    "8": "LicenseRef-us-government-work",
    "9": "CC0-1.0",
    "10": "LicenseRef-PDM-1.0",
}
RESEARCH_ONLY = "LicenseRef-research-only"
_CREATIVE_COMMONS = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)(?:/([a-z]{2,3}))?(?:[/?#]|$)", re.IGNORECASE)
_PUBLIC_DOMAIN = re.compile(r"creativecommons\.org/(?:publicdomain/(zero|mark|certification)\b|licenses/(publicdomain))", re.IGNORECASE)
_DOMAINS = {"zero": "CC0-1.0", "mark": "LicenseRef-PDM-1.0", "certification": "CC-PDDC", "publicdomain": "CC-PDDC"}
# https://spdx.org/licenses: the only ported versions that have identifiers of their own
_PORTED = {
    "CC-BY-2.5-AU", *(f"CC-BY-3.0-{land}" for land in ("AT", "AU", "DE", "IGO", "NL", "US")), "CC-BY-NC-3.0-DE", "CC-BY-NC-ND-3.0-DE",
    "CC-BY-NC-ND-3.0-IGO", "CC-BY-NC-SA-2.0-DE", "CC-BY-NC-SA-2.0-FR", "CC-BY-NC-SA-2.0-UK", "CC-BY-NC-SA-3.0-DE", "CC-BY-NC-SA-3.0-IGO",
    "CC-BY-ND-3.0-DE", "CC-BY-SA-2.0-UK", "CC-BY-SA-2.1-JP", "CC-BY-SA-3.0-AT", "CC-BY-SA-3.0-DE", "CC-BY-SA-3.0-IGO",
}  # fmt: skip
_OTHERS = {"flickr.com/commons/usage": FLICKR["7"], "usa.gov/copyright": FLICKR["8"]}
_URLS = {"CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/", "LicenseRef-PDM-1.0": "https://creativecommons.org/publicdomain/mark/1.0/"}


def spdx_of_url(url: str | None) -> str:
    """Return the SPDX identifier of a licence's address, `LicenseRef-…` where SPDX has none, or an empty string where it is not known."""
    if not url:
        return ""
    found = _CREATIVE_COMMONS.search(url)
    if found:
        name, port = found[1].upper().replace("BY-ND-NC", "BY-NC-ND"), found[3]
        plain = f"CC-{name}-{found[2]}"
        ported = f"{plain}-{port.upper()}" if port else plain
        return ported if not port or ported in _PORTED else f"LicenseRef-{ported}"
    domain = _PUBLIC_DOMAIN.search(url)
    if domain:
        return _DOMAINS[(domain[1] or domain[2]).lower()]
    return next((spdx for part, spdx in _OTHERS.items() if part in url), "")


def spdx_of_name(name: str) -> str:
    """Return a name that is an SPDX identifier already, as Boxset's own files have them, or an empty string."""
    return name if re.fullmatch(r"CC0-1\.0|CC-[A-Z0-9.-]+|CC-PDDC|LicenseRef-[A-Za-z0-9.-]+", name) else ""


def spdx_of_short(name: str | None, version: str | None = None) -> str:
    """Return the SPDX identifier of a short spelling such as `by-sa` with `4.0`, `cc-by-4.0`, `cc0`, `pdm`."""
    text = (name or "").strip().lower().removeprefix("cc-").removeprefix("cc ").replace(" ", "-")
    if text.startswith(("cc0", "zero")):
        return "CC0-1.0"
    if text in ("pd", "pdm", "public-domain"):
        return "LicenseRef-PDM-1.0"
    found = re.fullmatch(r"(by(?:-nc)?(?:-nd|-sa)?)(?:-(\d\.\d))?", text)
    version = (found[2] if found else None) or version
    return f"CC-{found[1].upper()}-{version}" if found and version else ""


def spdx_of(text: str | None) -> str:
    """Return the SPDX identifier of a licence in any usual spelling: an address, a short or long name, an identifier; else an empty string."""
    said = " ".join((text or "").split())
    if said.startswith("LicenseRef-"):
        return said
    return spdx_of_url(said) or spdx_of_short(said) or _spdx_of_words(said.casefold())


def _spdx_of_words(said: str) -> str:
    """Read names such as `CC BY-SA 4.0 International`, `Creative Commons Attribution-NonCommercial 2.0 Generic`, `Public Domain Mark 1.0`."""
    if re.search(r"\bcc[ -]?0\b|\bcc[ -]?zero\b", said):
        return "CC0-1.0"
    if re.search(r"public[ -]domain|\bpdm\b", said):
        return "LicenseRef-PDM-1.0"
    if "all rights reserved" in said:
        return FLICKR["0"]
    version = re.search(r"\d\.\d", said)
    words = set(re.findall(r"[a-z]+", re.sub(r"non[ -]?commercial", "nc", said.replace("sharealike", "sa"))))
    words |= {short for short, long in (("by", "attribution"), ("sa", "alike"), ("nd", "derivatives"), ("nd", "noderivatives"), ("nd", "noderivs")) if long in words}
    if "by" not in words or version is None or not (words & {"cc", "creative", "attribution"} or said.startswith("by")):
        return ""
    plain = "-".join(["CC-BY", *(part.upper() for part in ("nc", "nd", "sa") if part in words), version[0]])
    port = re.search(r"\d\.\d[ -]([a-z]{2})$", said)
    return f"LicenseRef-{plain}-{port[1].upper()}" if port else plain


def url_of(spdx: str) -> str:
    """Return where a licence's text stands, or an empty string."""
    found = re.fullmatch(r"CC-(BY[A-Z-]*)-(\d\.\d)", spdx)
    return f"https://creativecommons.org/licenses/{found[1].lower()}/{found[2]}/" if found else _URLS.get(spdx, "")


def allowed(spdx: str, use: str, policy: Licences) -> bool:
    """Return whether a picture under a licence (empty: unknown) may enter. Commercial use excludes NC and research-only terms."""
    if not spdx:
        return policy.unknown == "allow"
    if any(fnmatchcase(spdx, pattern) for pattern in policy.deny):
        return False
    if use == "commercial" and (re.search(r"-NC(-|$)", spdx) or spdx in (RESEARCH_ONLY, FLICKR["0"])):
        return False
    return not policy.allow or any(fnmatchcase(spdx, pattern) for pattern in policy.allow)

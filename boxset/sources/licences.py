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
_NOT_COMMERCIAL = re.compile(
    r"noncom|nocommercial|(except(for|ing)?|excluding)commercial|allrights(are)?reserved"
    r"|not(free|available|licensed|permitted|allowed|intended|suitable|tobe|be|beused|used|usable|use|for|in|any)*commercial"
    r"|commercial(use|usage|purposes?)(is|are)?(prohibited|forbidden|excluded|disallowed|not(allowed|permitted|free|licensed|granted))"
    r"|(research|academic|personal|private|educational|editorial)((use|purposes?)?(and\w+)?only|use|purpose)"
    r"|onlyfor(the)?(use(in)?)?(research|academic|personal|private|education|editorial)"
)
_LIMITING = {"only", "not", "no", "non", "noncom", "except", "research", "academic", "personal", "private", "educational", "editorial", "prohibited", "forbidden"}
_NOTHING_SAID = {"unknown", "none", "n/a", "na", "nan", "null", "not stated", "unspecified", "undefined", "not specified", "license", "licence"}
_IDENTIFIERS = (
    "MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Unlicense", "CC-PDDC", "ODbL-1.0", "ODC-By-1.0", "PDDL-1.0", "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "GFDL-1.2-or-later", "GFDL-1.3-or-later", "GPL-2.0-only", "GPL-3.0-only", "AGPL-3.0-only", "LAL-1.3", "OGL-UK-3.0",
)  # fmt: skip
_BY_FOLDED = {identifier.casefold(): identifier for identifier in _IDENTIFIERS}
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
    creative = r"CC0-1\.0|CC-BY(-[A-Z]+)*-\d\.\d(-[A-Z]+)?|LicenseRef-[\w.-]+"
    return name if re.fullmatch(creative, name) else _BY_FOLDED.get(name.casefold().replace(" ", "-").removesuffix("-license"), "")


def spdx_of_short(name: str | None, version: str | None = None) -> str:
    """Return the SPDX identifier of a short spelling such as `by-sa` with `4.0`, `cc-by-4.0`, `cc0`, `pdm`."""
    text = (name or "").strip().lower().removeprefix("cc-").removeprefix("cc ").replace(" ", "-")
    if re.fullmatch(r"(cc0|zero)(-1\.0)?(-universal)?", text):
        return "CC0-1.0"
    if text in ("pd", "pdm", "public-domain"):
        return "LicenseRef-PDM-1.0"
    found = re.fullmatch(r"(by(?:-nc)?(?:-nd|-sa)?)(?:-(\d\.\d))?", text)
    version = (found[2] if found else None) or version
    return f"CC-{found[1].upper()}-{version}" if found and version else ""


def spdx_of(text: str | None) -> str:
    """Return the SPDX identifier of a licence in any usual spelling: an address, a short or long name, an identifier; else an empty string."""
    said = " ".join((text or "").split())
    return spdx_of_name(said) or spdx_of_url(said) or spdx_of_short(said) or _spdx_of_words(said.casefold().replace("_", " "))


def stated(*texts: str | None) -> str:
    """Return the SPDX identifier of the first text that has one, else `LicenseRef-…` of what the first one says; empty where none says anything.

    What a source states and nobody knows is not the same as what it does not state: only the latter is `unknown`.
    """
    said = [text for text in (" ".join((text or "").split()) for text in texts) if text and text.casefold() not in _NOTHING_SAID]
    known = next((spdx for text in said if (spdx := spdx_of(text))), "")
    return known or next((f"LicenseRef-{slug}" for text in said if (slug := _unversioned(text.casefold().replace("_", " ")) or _slug(text))), "")


def _slug(text: str) -> str:
    """Return the letters and digits of a name or an address as SPDX has them in identifiers."""
    plain = re.sub(r"^(https?://(www\.)?|LicenseRef-)", "", text)
    return "-".join("".join(c if c.isalnum() or c in ".-" else " " for c in plain).split()).strip(".-")


def _unversioned(said: str) -> str:
    """Return `CC-BY-NC` for a Creative Commons licence whose version is not said, or an empty string; what limits it further is no such licence."""
    named = re.search(r"\bcc\b|\bcreative commons\b|creativecommons\.org/licenses/|^attribution([ -]\w+)* licen[sc]e$", said)
    words = _words(said) if named else set()
    return "-".join(["CC-BY", *_parts(words)]) if "by" in words and not words & _LIMITING else ""


def _spdx_of_words(said: str) -> str:
    """Read names such as `CC BY-SA 4.0 International`, `Creative Commons Attribution-NonCommercial 2.0 Generic`, `Public Domain Mark 1.0`."""
    if re.search(r"\bcc[ -]?0\b|\bcc[ -]?zero\b", said):
        return "CC0-1.0"
    if re.search(r"public[ -]domain|\bpdm\b", said) and not _words(said) & _LIMITING:
        return "LicenseRef-PDM-1.0"
    if "all rights reserved" in said:
        return FLICKR["0"]
    version, words = re.search(r"\d\.\d", said), _words(said)
    if "by" not in words or version is None or words & _LIMITING or not (words & {"cc", "creative", "attribution"} or said.startswith("by")):
        return ""
    plain = "-".join(["CC-BY", *_parts(words), version[0]])
    port = re.search(r"\d\.\d[ -]([a-z]{2}|igo)$", said)
    ported = f"{plain}-{port[1].upper()}" if port else plain
    return ported if not port or ported in _PORTED else f"LicenseRef-{ported}"


def _words(said: str) -> set[str]:
    words = set(re.findall(r"[a-z]+", re.sub(r"no[ -]?deriv\w*", "nd", re.sub(r"non?[ -]?com(mercial)?\b", "nc", said.replace("sharealike", "sa")))))
    longer = (("by", "attribution"), ("sa", "alike"), ("nd", "derivatives"), ("nd", "noderivatives"), ("nd", "noderivs"), ("nd", "derivs"))
    return words | {short for short, long in longer if long in words}


def _parts(words: set[str]) -> list[str]:
    return [part.upper() for part in ("nc", "nd", "sa") if part in words]


def allowed(spdx: str, use: str, policy: Licences) -> bool:
    """Return whether a picture under a licence (empty: unknown) may enter.

    Commercial use excludes NC, research-only and reserved terms. ND terms allow commerce and enter: see `no_derivatives`.
    """
    if not spdx:
        return policy.unknown == "allow"
    if any(_fits(spdx, pattern) for pattern in policy.deny):
        return False
    if use == "commercial" and _forbids_commerce(spdx):
        return False
    return not policy.allow or any(_fits(spdx, pattern) for pattern in policy.allow)


def _fits(spdx: str, pattern: str) -> bool:
    return fnmatchcase(spdx.casefold(), pattern.casefold())  # capitals do not count in SPDX's identifiers


def no_derivatives(spdx: str) -> bool:
    """Return whether a licence lets a picture be passed on unchanged only."""
    return re.search(r"-ND(-|$)|noderiv", spdx, re.IGNORECASE) is not None


def _forbids_commerce(spdx: str) -> bool:
    return bool(re.search(r"-NC(-|$)", spdx, re.IGNORECASE) or _NOT_COMMERCIAL.search(re.sub(r"[^a-z]", "", spdx.casefold())))

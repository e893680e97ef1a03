"""Every licence address and spelling becomes its SPDX identifier, and the policy alone decides what enters."""

import pytest

from boxset.assemble.merge import licence_url
from boxset.params import Licences, Use
from boxset.sources.licences import allowed, spdx_of_name, spdx_of_short, spdx_of_url, stated

CC = "creativecommons.org"


@pytest.mark.parametrize(
    ("url", "spdx"),
    [
        (f"https://{CC}/licenses/by/2.0/", "CC-BY-2.0"),
        (f"http://www.{CC}/licenses/by/2.0", "CC-BY-2.0"),
        (f"{CC}/licenses/by-sa/4.0/deed.de", "CC-BY-SA-4.0"),
        (f"https://{CC}/licenses/by-nc-nd/3.0/legalcode", "CC-BY-NC-ND-3.0"),
        (f"https://{CC}/licenses/by/4.0?ref=openverse", "CC-BY-4.0"),
        (f"https://{CC}/licenses/by-nd-nc/1.0/", "CC-BY-NC-ND-1.0"),
        (f"https://{CC}/licenses/BY-SA/3.0/", "CC-BY-SA-3.0"),
        (f"https://{CC}/licenses/by/3.0/de/", "CC-BY-3.0-DE"),
        (f"https://{CC}/licenses/by/3.0/igo/", "CC-BY-3.0-IGO"),
        (f"https://{CC}/licenses/by/3.0/pl/deed.pl", "LicenseRef-CC-BY-3.0-PL"),
        (f"https://{CC}/licenses/by-nc/2.0/it/", "LicenseRef-CC-BY-NC-2.0-IT"),
        (f"https://{CC}/publicdomain/zero/1.0/", "CC0-1.0"),
        (f"https://{CC}/publicdomain/mark/1.0/", "LicenseRef-PDM-1.0"),
        (f"http://{CC}/licenses/publicdomain/", "CC-PDDC"),
        ("http://flickr.com/commons/usage/", "LicenseRef-no-known-copyright-restrictions"),
        ("http://www.usa.gov/copyright.shtml", "LicenseRef-us-government-work"),
        ("https://shop.example/terms", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_addresses(url: str | None, spdx: str) -> None:
    assert spdx_of_url(url) == spdx


@pytest.mark.parametrize(
    ("spdx", "path"),
    [
        ("CC-BY-2.0", "licenses/by/2.0/"),
        ("CC-BY-NC-ND-3.0", "licenses/by-nc-nd/3.0/"),
        ("CC-BY-SA-3.0-IGO", "licenses/by-sa/3.0/igo/"),
        ("LicenseRef-CC-BY-3.0-PL", "licenses/by/3.0/pl/"),
        ("CC0-1.0", "publicdomain/zero/1.0/"),
        ("LicenseRef-PDM-1.0", "publicdomain/mark/1.0/"),
    ],
)
def test_a_licences_address_leads_to_that_licence(spdx: str, path: str) -> None:
    assert licence_url(spdx) == f"https://{CC}/{path}"
    assert spdx_of_url(licence_url(spdx)) == spdx


@pytest.mark.parametrize("spdx", ["", "unknown", "MIT", "LicenseRef-CC-BY-NC", "LicenseRef-own", "CC-PDDC"])
def test_what_has_no_text_at_creative_commons_has_no_address(spdx: str) -> None:
    assert licence_url(spdx) == ""


def test_names_and_short_spellings() -> None:
    assert [spdx_of_name(n) for n in ("CC-BY-4.0", "LicenseRef-own", "CC0-1.0", "unknown", "Attribution License")] == ["CC-BY-4.0", "LicenseRef-own", "CC0-1.0", "", ""]
    assert [spdx_of_short(*s) for s in (("by-nc-sa", "2.0"), ("CC BY 4.0",), ("pdm",), ("pd",), ("sampling+", "1.0"), (None,))] == [
        "CC-BY-NC-SA-2.0", "CC-BY-4.0", "LicenseRef-PDM-1.0", "LicenseRef-PDM-1.0", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "spdx"),
    [
        (("CC BY-NC 4.0", ""), "CC-BY-NC-4.0"),
        (("cc_by_nc_4.0",), "CC-BY-NC-4.0"),
        (("CC BY-NC 2.0",), "CC-BY-NC-2.0"),
        (("https://creativecommons.org/licenses/by-nc-sa/",), "LicenseRef-CC-BY-NC-SA"),
        (("Attribution-NonCommercial License", None), "LicenseRef-CC-BY-NC"),
        (("Attribution License",), "LicenseRef-CC-BY"),
        (("Creative Commons Attribution Non-Commercial No Derivs",), "LicenseRef-CC-BY-NC-ND"),
        (("All rights reserved", "https://example.com/proprietary"), "LicenseRef-all-rights-reserved"),
        (("mit", ""), "MIT"),
        (("MIT License",), "MIT"),
        (("CC-PDDC",), "CC-PDDC"),
        (("CC-BY-3.0-IGO",), "CC-BY-3.0-IGO"),
        (("LicenseRef-own",), "LicenseRef-own"),
        (("house rules",), "LicenseRef-house-rules"),
        (("house rules", f"https://{CC}/licenses/by/2.0/"), "CC-BY-2.0"),
        (("", "https://www.example.com/terms?x=1"), "LicenseRef-example.com-terms-x-1"),
        (("unknown", ""), ""),
        (("N/A", None, " - "), ""),
        ((), ""),
    ],
)
def test_what_is_stated_is_never_unknown(texts: tuple[str | None, ...], spdx: str) -> None:
    assert stated(*texts) == spdx
    assert stated(spdx) == spdx


@pytest.mark.parametrize(
    ("spdx", "use", "policy", "enters"),
    [
        ("CC-BY-2.0", "commercial", Licences(), True),
        ("CC-BY-ND-2.0", "commercial", Licences(), True),
        ("CC-BY-NC-ND-2.0", "commercial", Licences(), False),
        ("LicenseRef-CC-BY-NC-2.0-IT", "commercial", Licences(), False),
        ("LicenseRef-research-only", "commercial", Licences(), False),
        ("LicenseRef-research-only", "commercial", Licences(allow=("LicenseRef-*",)), False),
        ("LicenseRef-research-only", "research", Licences(), True),
        ("LicenseRef-all-rights-reserved", "commercial", Licences(), False),
        ("LicenseRef-CC-BY-NC", "commercial", Licences(), False),
        ("LicenseRef-for-non-commercial-use", "commercial", Licences(allow=("LicenseRef-*",)), False),
        ("LicenseRef-Non-Commercial-Government-Licence", "commercial", Licences(), False),
        ("LicenseRef-Academic-use", "commercial", Licences(), False),
        ("LicenseRef-for-research-and-teaching-only", "commercial", Licences(), False),
        ("LicenseRef-for-research-and-teaching-only", "research", Licences(), True),
        ("LicenseRef-house-rules", "commercial", Licences(unknown="deny"), True),
        ("LicenseRef-house-rules", "commercial", Licences(deny=("LicenseRef-*",)), False),
        ("MIT", "commercial", Licences(), True),
        ("CC-BY-2.0", "research", Licences(deny=("CC-BY-2.0",)), False),
        ("CC-BY-SA-2.0", "research", Licences(allow=("CC-BY-*",), deny=("*-SA-*",)), False),
        ("", "research", Licences(), True),
        ("", "research", Licences(unknown="deny"), False),
        ("", "research", Licences(allow=("CC0-1.0",)), True),  # `unknown` alone decides of what nobody states
    ],
)
def test_policies(spdx: str, use: Use, policy: Licences, enters: bool) -> None:
    assert allowed(spdx, use, policy) is enters

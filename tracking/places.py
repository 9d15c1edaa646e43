"""Which country a visit comes from, looked up at once, so that the address need not be kept."""

from collections.abc import Mapping

import iptocc
from babel import Locale

# What lists hold beside countries: unknown, Tor, and the regions that registries once gave addresses to.
NO_COUNTRY = frozenset({"XX", "T1", "EU", "AP", "ZZ"})
TERRITORIES: Mapping[str, str] = Locale("en").territories
COUNTRY_HEADERS = (b"cf-ipcountry", b"x-vercel-ip-country", b"cloudfront-viewer-country")


def country(ip: str, headers: dict[bytes, bytes]) -> str:
    """Give the ISO 3166-1 code, or "". `headers` are a trusted proxy's; pass none of a stranger's."""
    for name in COUNTRY_HEADERS:
        told = headers.get(name, b"").decode("latin-1").upper()
        if len(told) == 2 and told.isascii() and told.isalpha():
            return "" if told in NO_COUNTRY else told
    found: str | None = iptocc.country_code(ip) if ip else None
    return "" if found is None or found in NO_COUNTRY else found


def country_name(code: str) -> str:
    """Give the English name of a country; a code that is none stays as it is."""
    return TERRITORIES.get(code, code)

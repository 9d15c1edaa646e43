"""Where a request comes from, as far as accounts need to know it."""

import ipaddress
from dataclasses import dataclass

from django.http import HttpRequest

# Whoever has an address of their own has, of IPv6, at least so much more of them.
PREFIXES = {4: 24, 6: 64}


@dataclass(frozen=True, slots=True)
class Origin:
    """`network` is the address's /24 or /64, "" if unknown; it is counted by, and kept only as a keyed hash."""

    network: str
    browser: str
    system: str


def network(address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> str:
    if address is None:
        return ""
    return str(ipaddress.ip_network((address, PREFIXES[address.version]), strict=False))


def origin_of(request: HttpRequest) -> Origin:
    """Give what the wiring's middleware has put on the request."""
    origin: Origin = request.origin  # type: ignore[attr-defined]
    return origin

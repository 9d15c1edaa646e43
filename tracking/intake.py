"""Which hits each site takes, and what it calls their sources, as its owners have said.

The ingest knows it without asking the database each time.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tracking.hits import Refusal, hostname_of
from tracking.known import Known
from tracking.recorder import Database
from tracking.sources import NO_RULES, OwnRules, own_rules
from tracking.visitors import Address, Network

ALL = """
SELECT site.key, site.id, site.domain, intake.hostnames, intake.excluded_networks, intake.respects_gpc,
    intake.respects_dnt, intake.takes_null_origin, intake.has_hash_routes,
    ARRAY(
        SELECT ARRAY[rule.looks_at, rule.pattern, rule.source, rule.channel]::text[]
        FROM tracking_sourcerule AS rule WHERE rule.site_id = site.id
    )
FROM sites_site AS site LEFT JOIN tracking_intake AS intake ON intake.site_id = site.id
"""
ONE = f"{ALL} WHERE site.key = %s"
REREAD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What one site takes. Without hostnames of its own, whatever is on its domain or below."""

    site_id: int
    domain: str
    hostnames: tuple[str, ...] = ()
    excluded_networks: tuple[Network, ...] = ()
    respects_gpc: bool = False
    respects_dnt: bool = False
    takes_null_origin: bool = False
    has_hash_routes: bool = False
    sources: OwnRules = NO_RULES

    def refusal(self, hostname: str, headers: dict[bytes, bytes], address: Address | None) -> Refusal | None:
        """Tell why a hit on a page of `hostname` is not taken, from who sends it and what the browser says."""
        if not self.owns(hostname) or not self._owns_origin(headers.get(b"origin", b"")):
            return Refusal.OTHER_HOST
        return self.refusal_anywhere(headers, address)

    def refusal_anywhere(self, headers: dict[bytes, bytes], address: Address | None) -> Refusal | None:
        """Tell why hits of who sends these headers from this address are not taken, whatever page they are on."""
        if self.respects_gpc and headers.get(b"sec-gpc", b"").strip() == b"1":
            return Refusal.GPC
        if self.respects_dnt and headers.get(b"dnt", b"").strip() == b"1":
            return Refusal.DNT
        if address is not None and any(address in network for network in self.excluded_networks):
            return Refusal.EXCLUDED
        return None

    def owns(self, hostname: str) -> bool:
        if not self.hostnames:
            return hostname == self.domain or hostname.endswith("." + self.domain)
        return any(
            hostname.endswith(pattern[1:]) if pattern.startswith("*.") else hostname == pattern
            for pattern in self.hostnames
        )

    def page(self, path: str) -> str:
        """Give the path as it is kept: with the route behind its # only if that is another page."""
        return path if self.has_hash_routes else path.partition("#")[0]

    def _owns_origin(self, origin: bytes) -> bool:
        """Browsers send an origin with each hit, programs mostly none; it is `null` for pages in a sandbox."""
        if not origin:
            return True
        if origin == b"null":
            return self.takes_null_origin
        return self.owns(hostname_of(origin.decode("latin-1")))


def known_sites(database: Database) -> Known[Rules]:
    """The rules of all sites, by their keys."""
    return Known(database, ALL, read_rules, REREAD_SECONDS)


def read_rules(row: Sequence[Any]) -> Rules:
    """Read a row of ALL, but for the key."""
    site_id, domain, hostnames, networks, gpc, dnt, null_origin, hash_routes, source_rules = row
    return Rules(
        site_id,
        domain,
        tuple(hostnames or ()),
        tuple(ipaddress.ip_network(network, strict=False) for network in networks or ()),
        bool(gpc),
        bool(dnt),
        bool(null_origin),
        bool(hash_routes),
        own_rules(source_rules),
    )

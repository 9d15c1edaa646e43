"""Who is the same visitor, told without keeping anything about them."""

import hashlib
import hmac
import ipaddress
import uuid
from collections.abc import Collection

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address(text: str) -> Address | None:
    """Read an IP address as proxies write it, with brackets or a port; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text, closed, _ = text[1:].partition("]")
        if not closed:
            return None
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0]) if text.isascii() else None
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped
    return found


def is_trusted(peer: str, trusted: Collection[Network]) -> bool:
    found = address(peer) if trusted else None
    return found is not None and _is_within(found, trusted)


def _is_within(found: Address, networks: Collection[Network]) -> bool:
    return any(found in network for network in networks)


def client_address(peer: str, forwarded_for: str, trusted: Collection[Network]) -> tuple[Address | None, bool]:
    """Give the visitor's address, None if it cannot be told, and whether a proxy of ours tells it.

    That is the nearest hop that is no proxy of ours. `peer` is the other end of the connection, `forwarded_for` the
    X-Forwarded-For header, which only a trusted proxy may add to: it is read from the right, and what stands left of
    the first stranger is hearsay.
    """
    nearest = address(peer)
    if nearest is None or not _is_within(nearest, trusted):
        return nearest, False
    for hop in reversed(forwarded_for.split(",")):
        if not hop.strip():
            continue
        nearest = address(hop)
        if nearest is None or not _is_within(nearest, trusted):
            break
    return nearest, True


def client_ip(peer: str, forwarded_for: str, trusted: Collection[Network]) -> str:
    """Give `client_address` as text, "" if it cannot be told."""
    found, _ = client_address(peer, forwarded_for, trusted)
    return str(found or "")


def visitor(salt: bytes, site_key: str, ip: str, user_agent: str) -> uuid.UUID:
    """Give the day's name of a visitor: 128 bits that say nothing once `salt` is destroyed."""
    message = "\0".join([site_key, ip, user_agent]).encode("utf-8", "replace")
    return uuid.UUID(bytes=hmac.digest(salt, message, hashlib.sha256)[:16])

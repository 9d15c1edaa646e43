"""Asks a page of a customer's site how it answers, as a browser would, before a test sends visitors there.

Only the site's own hosts are asked, only at public addresses and the usual ports, so that nobody can use it to look
at what else this machine can reach. The address that was looked up and found to be public is the one that is asked.
"""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from threading import Timer
from urllib.parse import SplitResult, urljoin, urlsplit

SECONDS = 5
MOST_REDIRECTS = 3
# IPv6 addresses that stand for IPv4 ones, be those public or not.
TRANSLATED = [ipaddress.ip_network(each) for each in ("2002::/16", "64:ff9b::/96", "64:ff9b:1::/48")]
REDIRECTS = {301, 302, 303, 307, 308}
# Some servers answer no program that does not say what it is.
HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; Humblytics checking a split test)", "Accept": "text/html,*/*"}


class ProbeError(Exception):
    """The page could not be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer: `url` is where it came from, or where it points to if that is none of the site's."""

    status: int
    url: str
    leaves: bool = False


def probe(url: str, owns: Callable[[str], bool], is_local: bool = False) -> Answer:
    """Ask for a page and follow redirects within the hosts that `owns` knows. Raise ProbeError.

    Only what `is_local` is asked at loopback addresses, and at any port.
    """
    for _ in range(MOST_REDIRECTS + 1):
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not owns(address.hostname or ""):
            return Answer(302, url, leaves=True)
        status, location = _ask(address, is_local)
        if status not in REDIRECTS or not location:
            return Answer(status, url)
        url = urljoin(url, location)
    raise ProbeError(f"It redirects more than {MOST_REDIRECTS} times.")


def _ask(address: SplitResult, is_local: bool) -> tuple[int, str]:
    host, is_tls = address.hostname or "", address.scheme == "https"
    try:
        port = address.port or (443 if is_tls else 80)
        if not is_local and port not in (80, 443):
            raise ProbeError("Only the usual ports, 80 and 443, are asked.")
        connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
        # So that the Host header names no port that goes without saying.
        connection.default_port = 443 if is_tls else 80
        connection.sock = _connected(host, port, is_tls, is_local)
        # Each wait has an end of its own, and together they have one, too.
        timer = Timer(SECONDS, _hang_up, [connection.sock])
        timer.start()
        try:
            target = (address.path or "/") + (f"?{address.query}" if address.query else "")
            connection.request("GET", target, headers=HEADERS)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Location", "")
        finally:
            timer.cancel()
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ProbeError(f"{host} could not be reached ({type(error).__name__}).") from None


def _connected(host: str, port: int, is_tls: bool, is_local: bool) -> socket.socket:
    ip = "127.0.0.1" if is_local else _public_address(host, port)
    connected = socket.create_connection((ip, port), timeout=SECONDS)
    if not is_tls:
        return connected
    try:
        return ssl.create_default_context().wrap_socket(connected, server_hostname=host)
    except OSError:
        connected.close()
        raise


def _public_address(host: str, port: int) -> str:
    """Look a host up; if any of its addresses is not public, none is asked."""
    found = [ipaddress.ip_address(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not found or not all(_is_public(ip) for ip in found):
        raise ProbeError(f"{host} is not at a public address, and no other is asked.")
    return str(found[0])


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in TRANSLATED)


def _hang_up(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It has ended already.
        return

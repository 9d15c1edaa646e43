import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.visitors import client_ip, visitor

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        pytest.param("203.0.113.7", "", "203.0.113.7", id="nobody-forwards"),
        pytest.param("203.0.113.7", "1.1.1.1", "203.0.113.7", id="a-stranger-forwards"),
        pytest.param("10.0.0.1", "203.0.113.7", "203.0.113.7", id="a-proxy-forwards"),
        pytest.param("10.0.0.1", "1.1.1.1, 203.0.113.7", "203.0.113.7", id="the-visitor-lies-on-the-left"),
        pytest.param("10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7", id="two-proxies"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="only-proxies"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="a-proxy-that-forwards-nothing"),
        pytest.param("10.0.0.1", "evil", "", id="a-proxy-forwards-garbage"),
        pytest.param("10.0.0.1", "203.0.113.7:4711", "203.0.113.7", id="with-a-port"),
        pytest.param("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7", id="v6-with-a-port"),
        pytest.param("::ffff:10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7", id="v4-inside-v6"),
        pytest.param("fe80::1%eth0", "", "fe80::1", id="with-a-zone"),
        pytest.param("", "203.0.113.7", "", id="no-peer"),
        pytest.param("10.0.0.1", "２０３.0.113.7", "", id="digits-of-another-alphabet"),
    ],
)
def test_the_nearest_hop_that_is_no_proxy_is_the_visitor(peer: str, forwarded_for: str, expected: str) -> None:
    assert client_ip(peer, forwarded_for, PROXIES) == expected


@given(st.text(max_size=200), st.lists(st.ip_addresses().map(str) | st.text(max_size=20)).map(",".join))
def test_any_header_gives_an_address_or_nothing(peer: str, forwarded_for: str) -> None:
    found = client_ip(peer, forwarded_for, PROXIES)
    assert not found or ipaddress.ip_address(found)


Hop = tuple[str, ipaddress.IPv4Address | ipaddress.IPv6Address | None]


def hop(address: ipaddress.IPv4Address | ipaddress.IPv6Address, way: int, port: int) -> Hop:
    """An address as one of the proxies there are may write it, and what it is."""
    if address.version == 4:
        mapped = f"::ffff:{address}"
        ways = [f"{address}", f" {address} ", f"{address}:{port}", mapped, f"[{mapped}]", f"[{mapped}]:{port}"]
    else:
        text = address.compressed
        ways = [text, address.exploded, text.upper(), f"[{text}]", f"[{text}]:{port}", f"{text}%eth0"]
    return ways[way], getattr(address, "ipv4_mapped", None) or address


PROXY = st.sampled_from([ipaddress.ip_address(text) for text in ("10.0.0.1", "10.255.0.9", "fd00::1", "fd12:3::4")])
HOP = st.builds(hop, PROXY | st.ip_addresses(), st.integers(0, 5), st.integers(0, 65535))
GARBAGE: st.SearchStrategy[Hop] = st.sampled_from(
    [
        "evil",
        "unknown",
        "_hidden",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1:2",
        "[",
        "]",
        "[::1",
        "::1::",
        "１.1.1.1",
        "\ud800",
        "%",
    ]
).map(lambda text: (text, None))
NOTHING: st.SearchStrategy[Hop | None] = st.just(None)


@given(peer=HOP, hops=st.lists(HOP | GARBAGE | NOTHING, max_size=8), more=st.sampled_from([1, 1, 1, 50]))
def test_the_visitor_is_found_by_walking_back_over_proxies_however_they_write(
    peer: Hop, hops: list[Hop | None], more: int
) -> None:
    text, expected = peer
    hops *= more
    for each in reversed(hops):
        if expected is None or not any(expected in network for network in PROXIES):
            break
        if each is not None:
            expected = each[1]
    header = ",".join(each[0] if each else " " for each in hops)
    assert client_ip(text, header, PROXIES) == str(expected or "")


@given(st.ip_addresses().map(str))
def test_without_trusted_proxies_the_header_changes_nothing(forwarded: str) -> None:
    assert client_ip("203.0.113.7", forwarded, ()) == "203.0.113.7"


def test_a_visitor_is_known_by_site_address_browser_and_day() -> None:
    known = visitor(b"salt", "site", "203.0.113.7", "browser")
    assert visitor(b"salt", "site", "203.0.113.7", "browser") == known
    others = {
        visitor(b"other", "site", "203.0.113.7", "browser"),
        visitor(b"salt", "elsewhere", "203.0.113.7", "browser"),
        visitor(b"salt", "site", "203.0.113.8", "browser"),
        visitor(b"salt", "site", "203.0.113.7", "other"),
    }
    assert len(others | {known}) == 5

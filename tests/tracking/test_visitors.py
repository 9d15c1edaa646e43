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

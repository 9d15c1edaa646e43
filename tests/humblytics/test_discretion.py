import pytest
from hypothesis import given
from hypothesis import strategies as st

from humblytics.discretion import discreet


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("from 91.64.211.197.", "from ….", id="IPv4"),
        pytest.param("91.64.211.197:50123, 8.8.8.8", "…:50123, …", id="several, with a port"),
        pytest.param("[2a02:3100:9d5e::594c]:443", "[…]:443", id="IPv6"),
        pytest.param("for=2A02:3100:9d5e:71c4:b3a8:6f12:e07d:594c: gone", "for=…: gone", id="IPv6 before a colon"),
        pytest.param("::ffff:91.64.211.197 fe80::1%eth0", "… …%eth0", id="mapped, and with a zone"),
        pytest.param("127.0.0.1:8000, 0.0.0.0 and [::1]", "127.0.0.1:8000, 0.0.0.0 and [::1]", id="ours"),
        pytest.param("12:30:45.123, 300.1.1.1, v1.2.3, x::y", "12:30:45.123, 300.1.1.1, v1.2.3, x::y", id="none"),
        pytest.param('at "https://shop.example/p?mail=a@b.c#x" now', 'at "https://shop.example/p?…" now', id="query"),
        pytest.param("key sk_live_51H8abcdefgh", "key sk_live_…", id="secret"),
    ],
)
def test_what_may_not_be_written_down_is_struck_out(text: str, expected: str) -> None:
    assert discreet(text) == expected


@given(st.ip_addresses().filter(lambda address: not address.is_loopback and not address.is_unspecified))
def test_no_address_is_left(address: object) -> None:
    assert str(address) not in discreet(f"KeyError: '{address}' at {address}, ({address}) [{address}]:80")

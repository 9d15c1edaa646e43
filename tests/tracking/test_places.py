import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.places import country


@pytest.mark.parametrize(
    ("ip", "headers", "expected"),
    [
        pytest.param("91.64.0.1", {}, "DE", id="v4"),
        pytest.param("2001:4860:4860::8888", {}, "US", id="v6"),
        pytest.param("91.64.0.1", {b"cf-ipcountry": b"jp"}, "JP", id="a-proxy-knows-better"),
        pytest.param("91.64.0.1", {b"cf-ipcountry": b"T1"}, "DE", id="tor-is-no-country"),
        pytest.param("91.64.0.1", {b"cf-ipcountry": b"XX"}, "", id="a-proxy-that-does-not-know"),
        pytest.param("91.64.0.1", {b"cf-ipcountry": b"<b>"}, "DE", id="garbage"),
        pytest.param("127.0.0.1", {}, "", id="loopback"),
        pytest.param("", {}, "", id="no-address"),
    ],
)
def test_a_country_is_looked_up(ip: str, headers: dict[bytes, bytes], expected: str) -> None:
    assert country(ip, headers) == expected


@given(st.ip_addresses().map(str) | st.text(max_size=20))
def test_any_address_has_a_country_or_none(ip: str) -> None:
    assert len(country(ip, {})) in (0, 2)

import ipaddress
import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from humblytics.asgi import Application
from sites.models import Site
from tests.factories import CHROME, collect
from tests.mmdb import write_mmdb
from tracking.models import Visit
from tracking.places import Atlas, Place, UnreadableError
from tracking.visitors import Network

V4, V6, UNLISTED = "91.64.3.3", "2a02:3100::7", "8.8.8.8"
PLACES: dict[str, Any] = {
    # As MaxMind and DB-IP lay a record out.
    "91.64.0.0/16": {
        "country": {"iso_code": "DE", "names": {"de": "Deutschland", "en": "Germany"}},
        "subdivisions": [{"iso_code": "BE", "names": {"de": "Land Berlin", "en": "State of Berlin"}}],
        "city": {"names": {"en": "Berlin"}},
    },
    "2a02:3100::/32": {"country": {"iso_code": "FR"}, "city": {"names": {"en": "Paris"}}},
    # As others do.
    "91.65.0.0/16": {"country_code": "GB", "state1": "Scotland", "city": "Edinburgh"},
    "91.66.0.0/16": {"country": "United States", "country_code": "US", "continent": "North America"},
    "91.67.0.0/16": {"country": "PL", "region": "Mazovia", "city": "Warsaw\0 "},
    # As nobody should.
    "91.68.0.0/16": {"country": {"iso_code": "EU"}, "city": {"names": {"en": "Brussels"}}},
    "91.69.0.0/16": {"country": ["DE"], "subdivisions": {"a": "b"}, "city": []},
    "91.70.0.0/16": {"country": {"iso_code": "IT"}, "subdivisions": ["Lazio"], "city": "Rome"},
    "91.71.0.0/16": "Germany",
}
BERLIN = Place("DE", "State of Berlin", "Berlin")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_mmdb(tmp_path / "places.mmdb", PLACES)


@pytest.mark.parametrize(
    ("ip", "headers", "expected"),
    [
        pytest.param(V4, {}, "DE", id="v4"),
        pytest.param("2001:4860:4860::8888", {}, "US", id="v6"),
        pytest.param(V4, {b"cf-ipcountry": b"jp"}, "JP", id="a-proxy-knows-better"),
        pytest.param(V4, {b"x-appengine-country": b"ZZ", b"cf-ipcountry": b"JP"}, "JP", id="one-of-two-proxies-knows"),
        pytest.param(V4, {b"cf-ipcountry": b"T1"}, "DE", id="tor-is-no-country"),
        pytest.param(V4, {b"cf-ipcountry": b"XX"}, "DE", id="a-proxy-that-does-not-know"),
        pytest.param(V4, {b"cf-ipcountry": b"<b>"}, "DE", id="garbage"),
        pytest.param(V4, {b"cf-ipcountry": b"\xff\xfe"}, "DE", id="garbled"),
        pytest.param("127.0.0.1", {}, "", id="loopback"),
        pytest.param("", {}, "", id="no-address"),
    ],
)
def test_a_country_is_looked_up(ip: str, headers: dict[bytes, bytes], expected: str) -> None:
    assert Atlas().locate(ip, headers) == Place(expected)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(
            {b"cf-ipcountry": b"AT", b"cf-ipcity": "Mödling".encode(), b"cf-region": b"Lower Austria"},
            Place("AT", "Lower Austria", "Mödling"),
            id="cloudflare",
        ),
        pytest.param(
            {
                b"cloudfront-viewer-country": b"BR",
                b"cloudfront-viewer-country-region": b"SP",
                b"cloudfront-viewer-country-region-name": b"S%C3%A3o%20Paulo",
                b"cloudfront-viewer-city": b"S%C3%A3o%20Paulo",
            },
            Place("BR", "São Paulo", "São Paulo"),
            id="cloudfront",
        ),
        pytest.param(
            {b"x-vercel-ip-country": b"US", b"x-vercel-ip-country-region": b"CA", b"x-vercel-ip-city": b"San%20Diego"},
            Place("US", "US-CA", "San Diego"),
            id="vercel",
        ),
        pytest.param(
            {b"x-appengine-country": b"US", b"x-appengine-region": b"ca", b"x-appengine-city": b"mountain view"},
            Place("US", "US-CA", "mountain view"),
            id="app-engine",
        ),
        pytest.param({b"cdn-requestcountrycode": b"SE"}, Place("SE"), id="bunny"),
        pytest.param({b"x-country-code": b"NL", b"x-city": b"Delft"}, Place("NL", "", "Delft"), id="set-by-hand"),
        pytest.param({b"x-country-code": b"NL", b"x-city": b"%00a\x7f" + b"b" * 200}, Place("NL", "", "a" + "b" * 99)),
        pytest.param({b"cf-ipcity": b"Berlin"}, Place("US"), id="a-city-without-a-country"),
    ],
)
def test_a_trusted_proxy_tells_region_and_city(headers: dict[bytes, bytes], expected: Place) -> None:
    assert Atlas().locate(UNLISTED, headers) == expected


@pytest.mark.parametrize(
    ("ip", "headers", "expected"),
    [
        pytest.param(V4, {}, BERLIN, id="nested"),
        pytest.param(V6, {}, Place("FR", "", "Paris"), id="v6-without-region"),
        pytest.param("91.65.0.1", {}, Place("GB", "Scotland", "Edinburgh"), id="flat"),
        pytest.param("91.66.0.1", {}, Place("US"), id="country-by-name-and-code"),
        pytest.param("91.67.0.1", {}, Place("PL", "Mazovia", "Warsaw"), id="country-by-code-alone"),
        pytest.param("91.70.0.1", {}, Place("IT"), id="texts-for-maps"),
        pytest.param("no address", {}, Place(""), id="no-address"),
        pytest.param(V4, {b"cf-ipcountry": b"DE"}, BERLIN, id="the-proxy's-country-and-the-file's-city"),
        pytest.param(V4, {b"cf-ipcountry": b"FR"}, Place("FR"), id="no-city-of-another-country"),
        pytest.param(V4, {b"cf-ipcountry": b"DE", b"cf-ipcity": b"Bonn"}, Place("DE", "", "Bonn"), id="proxy's-city"),
    ],
)
def test_the_owner_s_file_tells_region_and_city(
    file: Path, ip: str, headers: dict[bytes, bytes], expected: Place
) -> None:
    assert Atlas(str(file)).locate(ip, headers) == expected


@pytest.mark.parametrize("ip", ["91.68.0.1", "91.69.0.1", "91.71.0.1", UNLISTED])
def test_what_the_file_does_not_know_the_registries_may(file: Path, ip: str) -> None:
    assert Atlas(str(file)).locate(ip, {}) == Atlas().locate(ip, {}) != Place("")


def test_a_file_for_ipv4_leaves_ipv6_to_the_registries(tmp_path: Path) -> None:
    file = write_mmdb(tmp_path / "v4.mmdb", {"91.64.0.0/16": PLACES["91.64.0.0/16"]}, ip_version=4)
    atlas = Atlas(str(file))
    assert atlas.locate(V4, {}) == BERLIN
    assert atlas.locate("2001:4860:4860::8888", {}) == Place("US")


@given(ip=st.ip_addresses().map(str) | st.text(max_size=20), header=st.binary(max_size=20))
def test_any_address_and_any_header_give_a_place_that_can_be_stored(ip: str, header: bytes) -> None:
    names = [b"cf-ipcountry", b"cf-region", b"cf-region-code", b"cf-ipcity"]
    for headers in ({}, dict.fromkeys(names, header), dict.fromkeys(names, header) | {b"cf-ipcountry": b"DE"}):
        place = Atlas().locate(ip, headers)
        assert re.fullmatch("([A-Z]{2})?", place.country)
        assert "\0" not in "".join(place)
        "".join(place).encode()


def damage(file: Path, way: str) -> None:
    content = file.read_bytes()
    if way == "gone":
        file.unlink()
    elif way == "of something else":
        write_mmdb(file, {"91.64.0.0/16": {"autonomous_system_organization": "A"}}, "GeoLite2-ASN")
    else:
        half = len(content) // 2
        file.write_bytes({"empty": b"", "cut off": content[:half], "no map": b"<html>", "torn": content[half:]}[way])


WAYS = ["gone", "of something else", "empty", "cut off", "no map", "torn"]


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_no_good_keeps_the_server_from_starting_and_says_so(file: Path, way: str, settings: Any) -> None:
    damage(file, way)
    settings.GEOIP_PATH = str(file)
    with pytest.raises(UnreadableError):
        Atlas(str(file))
    with pytest.raises(ImproperlyConfigured, match=f"^GEOIP_PATH: {re.escape(str(file))} (cannot be read|is )"):
        Application()
    (problem,) = [found for found in run_checks() if found.id == "tracking.E001"]
    assert str(file) in problem.msg


def test_a_good_file_and_none_pass_the_check(file: Path, settings: Any) -> None:
    for path in (str(file), ""):
        settings.GEOIP_PATH = path
        assert [found for found in run_checks() if found.id == "tracking.E001"] == []


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_file_that_is_replaced_is_taken_up_without_a_restart(file: Path, tmp_path: Path) -> None:
    clock = Clock()
    atlas = Atlas(str(file), clock)
    assert atlas.locate(V4, {}) == BERLIN
    moved = {**PLACES, "91.64.0.0/16": {"country_code": "DE", "city": "Bonn"}}
    os.replace(write_mmdb(tmp_path / "fresh.mmdb", moved), file)
    assert atlas.locate(V4, {}) == BERLIN
    clock.now += 10
    assert atlas.locate(V4, {}) == Place("DE", "", "Bonn")


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_replaced_by_one_that_is_no_good_is_kept_until_a_good_one_comes(
    file: Path, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    atlas = Atlas(str(file), clock)
    damage(file, way)
    for _ in range(3):
        clock.now += 10
        with caplog.at_level(logging.WARNING):
            assert atlas.locate(V4, {}) == BERLIN
    assert [record.name for record in caplog.records] == ["tracking.places"]
    write_mmdb(file, {"91.64.0.0/16": {"country_code": "AT"}})
    clock.now += 10
    assert atlas.locate(V4, {}) == Place("AT")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        pytest.param([ipaddress.ip_network("203.0.113.7")], Place("JP", "Tokyo", "Tokyo"), id="trusted"),
        pytest.param([], BERLIN, id="stranger"),
    ],
)
def test_a_visit_keeps_its_place_and_only_a_trusted_proxy_may_say_it(
    site: Site, file: Path, trusted: list[Network], expected: Place
) -> None:
    peer = "203.0.113.7" if trusted else V4
    told = {b"cf-ipcountry": b"JP", b"cf-region": b"Tokyo", b"cf-ipcity": b"Tokyo", b"x-forwarded-for": V4.encode()}
    headers = [(b"content-type", b"text/plain"), (b"user-agent", CHROME.encode()), *told.items()]
    body = b'{"site": "%s", "view": "0190163d-8694-739b-aea5-966c26f8ad91", "url": "https://%s/"}'
    status, _ = collect(
        body % (site.key.encode(), site.domain.encode()),
        headers,
        peer,
        trusted_proxies=trusted,
        atlas=Atlas(str(file)),
    )
    visit = Visit.objects.get()
    assert (status, Place(visit.country, visit.region, visit.city)) == (202, expected)

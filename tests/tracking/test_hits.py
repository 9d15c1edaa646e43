import contextlib
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.hits import LONGEST_BODY, LONGEST_PATH, Hit, Refusal, RefusedError, parse

VIEW = "0190a0b1-0000-7000-8000-000000000001"


def body(**changed: Any) -> bytes:
    said = {"site": "abc", "view": VIEW, "url": "https://shop.example/a", "referrer": ""} | changed
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()


def refusal(raw: bytes) -> Refusal:
    with pytest.raises(RefusedError) as refused:
        parse(raw)
    return refused.value.refusal


def test_a_view_is_read() -> None:
    assert parse(body(referrer="https://www.google.com/", variants=[2, 1, 2])) == Hit(
        site_key="abc",
        id=uuid.UUID(VIEW),
        view_id=uuid.UUID(VIEW),
        event="",
        url="https://shop.example/a",
        hostname="shop.example",
        path="/a",
        referrer="https://www.google.com/",
        variants=(1, 2),
    )


def test_an_event_has_an_id_of_its_own() -> None:
    hit = parse(body(event="signup", id="0190a0b1-0000-7000-8000-000000000002"))
    assert (hit.event, hit.id.int & 0xF, hit.view_id.int & 0xF) == ("signup", 2, 1)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://Shop.Example/a?token=secret#part", ("shop.example", "/a"), id="no-query-no-fragment"),
        pytest.param("https://user:password@shop.example:8443/", ("shop.example", "/"), id="no-user-no-port"),
        pytest.param("http://shop.example.", ("shop.example", "/"), id="trailing-dot"),
        pytest.param("https://shop.example/a\u0000b", ("shop.example", "/ab"), id="nul"),
        pytest.param("https://shop.example/" + "a" * 5000, ("shop.example", "/" + "a" * (LONGEST_PATH - 1)), id="long"),
        pytest.param("https://bücher.example/ä", ("bücher.example", "/ä"), id="idn"),
    ],
)
def test_of_an_address_only_host_and_path_are_kept(url: str, expected: tuple[str, str]) -> None:
    hit = parse(body(url=url))
    assert (hit.hostname, hit.path) == expected


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="no-utf-8"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"1", id="number"),
        pytest.param(b'{"site": NaN}', id="nan"),
        pytest.param(body()[:-1] + b', "width": 1e999}', id="endless-number"),
        pytest.param(body()[:-1] + b', "site": "x"}', id="said-twice"),
        pytest.param(b"[" * 4000, id="deep"),
        pytest.param(body(view=None), id="no-view"),
        pytest.param(body(view="x"), id="view-is-no-uuid"),
        pytest.param(body(view=7), id="view-is-a-number"),
        pytest.param(body(url=None), id="no-url"),
        pytest.param(body(url="javascript:alert(1)"), id="javascript"),
        pytest.param(body(url="file:///etc/passwd"), id="file"),
        pytest.param(body(url="https://[::1"), id="broken-address"),
        pytest.param(body(variants="1"), id="variants-text"),
        pytest.param(body(variants=[True]), id="variants-bool"),
        pytest.param(body(variants=[2**31]), id="variants-too-big"),
        pytest.param(body(variants=list(range(1, 50))), id="variants-too-many"),
        pytest.param(body(event="x"), id="event-without-id"),
        pytest.param(body(event=["x"]), id="event-is-a-list"),
    ],
)
def test_what_cannot_be_read_is_malformed(raw: bytes) -> None:
    assert refusal(raw) is Refusal.MALFORMED


def test_a_body_over_8_kib_is_too_large() -> None:
    assert refusal(b" " * (LONGEST_BODY + 1)) is Refusal.TOO_LARGE


@given(
    st.binary(max_size=300)
    | st.dictionaries(st.text(), st.text() | st.integers()).map(lambda said: json.dumps(said).encode())
)
def test_any_body_is_a_hit_or_a_refusal(raw: bytes) -> None:
    with contextlib.suppress(RefusedError):
        assert isinstance(parse(raw), Hit)


@given(st.text(), st.text())
def test_what_is_read_can_be_stored(referrer: str, path: str) -> None:
    try:
        hit = parse(body(referrer=referrer, url="https://shop.example/" + path))
    except RefusedError:
        return
    for text in (hit.referrer, hit.path, hit.hostname):
        text.encode()
        assert "\0" not in text

import contextlib
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.hits import (
    LONGEST_BODY,
    LONGEST_BODY_WITH_PROPS,
    LONGEST_ENGAGEMENT,
    LONGEST_PATH,
    Hit,
    Kind,
    Refusal,
    RefusedError,
    parse,
)

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
        kind=Kind.VIEW,
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
    assert (hit.kind, hit.event, hit.id.int & 0xF, hit.view_id.int & 0xF) == (Kind.EVENT, "signup", 2, 1)


def test_an_event_has_properties() -> None:
    hit = parse(body(event="signup", id=VIEW, props={"plan": "pro\0", "seats": 3, "price": 9.5, "trial": True}))
    assert hit.props == {"plan": "pro", "seats": 3, "price": 9.5, "trial": True}


def test_engagement_tells_how_long_and_how_far_a_view_was_read() -> None:
    hit = parse(body(engaged=40_000, scrolled=80))
    assert (hit.kind, hit.id, hit.engaged_ms, hit.scrolled) == (Kind.ENGAGEMENT, hit.view_id, 40_000, 80)
    hit = parse(body(engaged=10**9, scrolled=10**9))
    assert (hit.engaged_ms, hit.scrolled) == (LONGEST_ENGAGEMENT, 100)


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
        pytest.param(body(event="x", id=VIEW, props=["x"]), id="props-are-a-list"),
        pytest.param(body(event="x", id=VIEW, props={"x": {"y": 1}}), id="props-in-props"),
        pytest.param(body(event="x", id=VIEW, props={"x": None}), id="prop-is-null"),
        pytest.param(body(event="x", id=VIEW, props={"x": 2**63}), id="prop-is-too-big"),
        pytest.param(body(event="x", id=VIEW, props={"x" * 61: 1}), id="name-of-prop-is-too-long"),
        pytest.param(body(event="x", id=VIEW, props={str(n): n for n in range(21)}), id="too-many-props"),
        pytest.param(body(engaged=-1), id="engaged-less-than-nothing"),
        pytest.param(body(engaged=1.5), id="engaged-is-a-fraction"),
        pytest.param(body(engaged=True), id="engaged-is-a-truth"),
        pytest.param(body(engaged=1, scrolled="50%"), id="scrolled-is-a-text"),
    ],
)
def test_what_cannot_be_read_is_malformed(raw: bytes) -> None:
    assert refusal(raw) is Refusal.MALFORMED


def test_a_body_over_8_kib_is_too_large_and_with_properties_one_over_16() -> None:
    assert refusal(body() + b" " * LONGEST_BODY) is Refusal.TOO_LARGE
    event = body(event="x", id=VIEW, props={"x": 1})
    assert parse(event + b" " * LONGEST_BODY).props == {"x": 1}
    assert refusal(event + b" " * LONGEST_BODY_WITH_PROPS) is Refusal.TOO_LARGE


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

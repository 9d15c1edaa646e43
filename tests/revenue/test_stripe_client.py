import datetime as dt
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.messages import Request, Response
from revenue.sandbox.world import World
from revenue.secrecy import Secret
from revenue.stripe_client import (
    ATTENDED,
    MOST_TRIES,
    CursorGoneError,
    KeyRefusedError,
    KeyShapeError,
    MalformedAnswerError,
    NotFoundError,
    PermissionMissingError,
    ReadError,
    RequestRefusedError,
    StripeReader,
    StripeUnreachableError,
    ThrottledError,
    is_live,
    read_key,
)

KEY = "sk_test_51Nx8qLKJ2eZvKYlo2C"
HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json"}


class Always:
    """Answer every request with the given responses in turn, the last one for ever."""

    def __init__(self, *responses: Response | None) -> None:
        self.responses = list(responses)
        self.asked = 0

    def __call__(self, request: Request) -> Response | None:
        self.asked += 1
        return self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def reader(sandbox: SandboxServer, account: Account, pauses: list[float]) -> Iterator[StripeReader]:
    with StripeReader(Secret(account.secret_key), sleep=pauses.append) as reader:
        yield reader


@pytest.mark.parametrize("kind", ["sk_test", "sk_live", "rk_test", "rk_live"])
@pytest.mark.parametrize("around", ["", " ", "\n", "\r\n"])
def test_a_secret_or_restricted_key_is_read_without_what_surrounds_it(kind: str, around: str) -> None:
    key = read_key(f"{around}{kind}_51Nx8qLKJ2eZvKYlo2C{around}")

    assert key.reveal() == f"{kind}_51Nx8qLKJ2eZvKYlo2C"
    assert is_live(key) is kind.endswith("live")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "Enter", id="empty"),
        pytest.param(" \n ", "Enter", id="blank"),
        pytest.param("pk_live_51Nx8qLKJ2eZvKYlo2C", "publishable", id="publishable"),
        pytest.param("whsec_51Nx8qLKJ2eZvKYlo2C", "webhook", id="webhook"),
        pytest.param("sk_org_live_51Nx8qLKJ2eZvKYlo2C", "organization", id="organization"),
        pytest.param("sk_live_51Nx8qLK J2eZvKYlo2C", "space", id="space"),
        pytest.param("sk_live_51Nx8qLK\nJ2eZvKYlo2C", "invisible", id="newline"),
        pytest.param("sk_live_51Nx8qLK\tJ2eZvKYlo2C", "invisible", id="tab"),
        pytest.param("\tsk_live_51Nx8qLKJ2eZvKYlo2C", "invisible", id="tab before"),
        pytest.param("sk_live_51Nx8qLK\u200bJ2eZvKYlo2C", "invisible", id="zero width"),
        pytest.param("sk_live_51Nx8qLKJ2eZvKYlo2Ç", "invisible", id="foreign letter"),
        pytest.param("sk_live_51Nx8qLKJ2eZvKYl\u0662\u0662", "invisible", id="foreign digit"),
        pytest.param("owner@example.com", "not a Stripe key", id="e-mail"),
        pytest.param("sk_live_", "not a Stripe key", id="prefix alone"),
        pytest.param("SK_LIVE_51Nx8qLKJ2eZvKYlo2C", "not a Stripe key", id="capitals"),
        pytest.param("sk_live_51Nx8qLK:J2eZvKYlo2C", "not a Stripe key", id="colon"),
        pytest.param("sk_live_" + "a" * 400, "not a Stripe key", id="endless"),
    ],
)
def test_what_is_no_key_is_refused_with_a_reason_that_does_not_repeat_it(text: str, says: str) -> None:
    with pytest.raises(KeyShapeError, match=says) as caught:
        read_key(text)

    assert "51Nx8" not in "".join(traceback.format_exception(caught.value))


@given(st.text())
def test_whatever_is_pasted_is_a_key_or_refused(text: str) -> None:
    try:
        key = read_key(text).reveal()
    except KeyShapeError:
        return
    assert key.isascii()
    assert key.isprintable()
    assert key in text


def test_an_answer_is_plain_data_with_the_time_of_stripe(reader: StripeReader, world: World) -> None:
    world.advance(-86400)

    answer = reader.get("/v1/account")

    assert answer.data["object"] == "account"
    assert abs(answer.date.timestamp() - world.now()) <= 1
    assert answer.date.tzinfo == dt.UTC
    assert answer.request_id.startswith("req_")
    assert reader.reads == 1


def test_a_fraction_is_read_exactly(reader: StripeReader, sandbox: SandboxServer) -> None:
    sandbox.faults.append(Always(Response(200, b'{"exchange_rate": 0.1000000000000000055511151231257827}', JSON)))

    assert reader.get("/v1/account").data["exchange_rate"] == Decimal("0.1000000000000000055511151231257827")


def test_the_pinned_version_and_no_telemetry_are_sent(reader: StripeReader, sandbox: SandboxServer) -> None:
    sent: list[Request] = []
    sandbox.faults.append(lambda request: sent.append(request))  # type: ignore[func-returns-value]
    reader.get("/v1/account")
    reader.get("/v1/account")

    assert {request.headers["Stripe-Version"] for request in sent} == {"2026-06-24.dahlia"}
    assert not any("X-Stripe-Client-Telemetry" in request.headers for request in sent)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(Response(500, b'{"error": {"type": "api_error"}}', JSON), id="500"),
        pytest.param(Response(502, b"<html>Bad gateway</html>", HTML), id="HTML 502"),
        pytest.param(Response(200, b"<html>Log in to the WiFi</html>", HTML), id="HTML 200"),
        pytest.param(Response(200, b'{"object": "list", "da', JSON), id="cut short"),
        pytest.param(
            Response(200, b'{"object"', {"Content-Length": "999", "Connection": "close"}), id="shorter than announced"
        ),
        pytest.param(Response(429, b'{"error": {"code": "rate_limit"}}', JSON), id="429"),
        pytest.param(Response(200, b"[]", JSON), id="no object"),
        pytest.param(Response(200, b'{"a": NaN}', JSON), id="no number"),
    ],
)
def test_what_may_pass_is_tried_again(reader: StripeReader, sandbox: SandboxServer, bad: Response) -> None:
    sandbox.faults.append(Always(bad, None))

    assert reader.get("/v1/account").data["object"] == "account"
    assert reader.reads == 2


def test_a_reset_connection_is_tried_again(reader: StripeReader, sandbox: SandboxServer) -> None:
    resets = iter([True, True, False])

    def reset(request: Request) -> Response | None:
        if next(resets):
            raise ConnectionResetError
        return None

    sandbox.faults.append(reset)

    assert reader.get("/v1/account").data["object"] == "account"
    assert reader.reads == 3


def test_a_429_waits_as_long_as_stripe_asks(reader: StripeReader, sandbox: SandboxServer, pauses: list[float]) -> None:
    sandbox.faults.append(Always(Response(429, b'{"error": {}}', {**JSON, "Retry-After": "7"}), None))
    reader.get("/v1/account")

    assert len(pauses) == 1
    assert 7.5 <= pauses[0] <= 8


def test_who_is_to_wait_for_longer_than_a_minute_is_told_how_long_at_once(
    reader: StripeReader, sandbox: SandboxServer, pauses: list[float]
) -> None:
    sandbox.faults.append(Always(Response(429, b'{"error": {}}', {**JSON, "Retry-After": "7200"})))
    with pytest.raises(ThrottledError) as caught:
        reader.get("/v1/account")

    assert (caught.value.wait, pauses, reader.reads) == (7200, [], 1)


def test_nobody_who_waits_for_a_page_is_put_off(sandbox: SandboxServer, pauses: list[float]) -> None:
    sandbox.faults.append(Always(Response(429, b'{"error": {}}', {**JSON, "Retry-After": "4"})))
    with StripeReader(Secret(KEY), ATTENDED, sleep=pauses.append) as hasty, pytest.raises(ThrottledError):
        hasty.get("/v1/account")

    assert pauses == []


def test_pauses_grow_and_stay_under_a_minute(reader: StripeReader, sandbox: SandboxServer, pauses: list[float]) -> None:
    sandbox.faults.append(Always(Response(503, b"")))
    with pytest.raises(StripeUnreachableError):
        reader.get("/v1/account")
    assert all(2**n / 2 <= pause <= 2**n for n, pause in enumerate(pauses))
    assert len(pauses) == MOST_TRIES - 1
    assert reader.reads == MOST_TRIES


def test_a_redirect_is_not_followed(reader: StripeReader, sandbox: SandboxServer) -> None:
    away = Always(Response(302, b"", {"Location": f"{sandbox.url}/v1/elsewhere"}))
    sandbox.faults.append(away)

    with pytest.raises(MalformedAnswerError):
        reader.get("/v1/account")
    assert away.asked == 1


def test_proxies_and_netrc_of_the_environment_are_ignored(
    reader: StripeReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert reader.get("/v1/account").data["object"] == "account"


def error_body(**error: str) -> bytes:
    return ('{"error": {' + ", ".join(f'"{name}": "{value}"' for name, value in error.items()) + "}}").encode()


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        pytest.param(Response(401, error_body(message=KEY)), KeyRefusedError, id="401"),
        pytest.param(Response(403, error_body(message=KEY)), PermissionMissingError, id="403"),
        pytest.param(Response(404, error_body(message=KEY, param="id")), NotFoundError, id="404"),
        pytest.param(Response(400, error_body(message=KEY, param="starting_after")), CursorGoneError, id="cursor"),
        pytest.param(Response(404, error_body(message=KEY, param="starting_after")), CursorGoneError, id="404"),
        pytest.param(Response(400, error_body(message=KEY, code=KEY, param=KEY)), RequestRefusedError, id="400"),
        pytest.param(Response(404, b"<html>customer@example.com</html>"), MalformedAnswerError, id="HTML 404"),
        pytest.param(Response(500, error_body(message=KEY)), StripeUnreachableError, id="500"),
        pytest.param(Response(429, error_body(message=KEY)), ThrottledError, id="429"),
        pytest.param(Response(200, b"customer@example.com"), MalformedAnswerError, id="200"),
        pytest.param(Response(200, b'{"email": "customer@example.com"'), MalformedAnswerError, id="cut"),
    ],
)
def test_an_error_has_a_name_and_nothing_secret_in_it(
    sandbox: SandboxServer, caplog: pytest.LogCaptureFixture, response: Response, kind: type[ReadError]
) -> None:
    sandbox.faults.append(Always(response))
    caplog.set_level(logging.DEBUG)

    with StripeReader(Secret(KEY), sleep=lambda seconds: None) as reader, pytest.raises(kind) as caught:
        reader.get("/v1/charges")

    error = caught.value
    assert type(error) is kind
    assert error.__context__ is None
    told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + repr(reader)
    for text in (told, caplog.text):
        assert KEY[-8:] not in text
        assert "customer@example.com" not in text


def test_no_answer_at_all_is_an_error_with_a_name(settings: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.STRIPE_API_BASE = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with StripeReader(Secret(KEY), sleep=lambda s: None) as reader, pytest.raises(StripeUnreachableError) as caught:
            reader.get("/v1/account")

    assert caught.value.status == 0


def test_answers_with_personal_data_are_not_logged(
    reader: StripeReader, buy: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    buy()

    assert "@" in str(reader.get("/v1/charges").data)
    assert "@" not in caplog.text


def test_a_missing_permission_is_named_as_stripe_names_it(
    world: World, account: Account, sandbox: SandboxServer
) -> None:
    key = world.add_restricted_key(account, frozenset())

    with StripeReader(Secret(key)) as reader, pytest.raises(PermissionMissingError) as caught:
        reader.get("/v1/disputes")

    assert caught.value.permission == "Disputes (rak_dispute_read)"
    assert account.id not in str(caught.value)

"""The one door to Stripe: reads with a secret key, answered as plain data, refused by name.

Stripe's library signs and sends; what could lose data or leak is kept from it: redirects are refused, proxies and
netrc files are ignored, its logging and telemetry are off, and its errors, which can hold the key or a customer's
data, never leave this module.
"""

import datetime as dt
import json
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import msgspec
import requests
import stripe
from django.conf import settings

from revenue.secrecy import Secret

STRIPE_VERSION = "2026-06-24.dahlia"
CONNECT_SECONDS = 5
READ_SECONDS = 30
MOST_TRIES = 6
LONGEST_WAIT = 60

KEY = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9]{8,240}")
# What Stripe calls an error or a parameter. Anything else in their place is not repeated.
NAME = re.compile(r"[a-z][a-z0-9_.\[\]]{0,60}")
REQUEST_ID = re.compile(r"req_[A-Za-z0-9]{1,60}")
PERMISSION = re.compile(r"\brak_[a-z_]{1,60}")
ACCOUNT = re.compile(r"\bacct_[A-Za-z0-9]{1,58}\b")

# How the rows of Stripe's form for restricted keys are called.
PERMISSIONS = {
    "/v1/account": "Account",
    "/v1/balance_transactions": "Balance transactions",
    "/v1/balance": "Balance",
    "/v1/charges": "Charges and Refunds",
    "/v1/checkout/sessions": "Checkout Sessions",
    "/v1/customers": "Customers",
    "/v1/disputes": "Disputes",
    "/v1/events": "Events",
    "/v1/invoice_payments": "Invoices",
    "/v1/refunds": "Charges and Refunds",
}

# Twice as fast as Python's own.
DECODER = msgspec.json.Decoder(float_hook=Decimal)

stripe.enable_telemetry = False
# At its debug level the library logs whole answers, with names and e-mail addresses in them.
logging.getLogger("stripe").setLevel(logging.WARNING)


class KeyShapeError(ValueError):
    """A text is no secret key of Stripe's; says why without repeating it."""


class ReadError(Exception):
    """Stripe was not read. `sentence` is for people; nothing of Stripe's own message is in it."""

    sentence = "Stripe could not be read."

    def __init__(
        self, sentence: str = "", *, status: int = 0, code: str = "", param: str = "", request_id: str = ""
    ) -> None:
        self.sentence = sentence or self.sentence
        self.status, self.code, self.param, self.request_id = status, code, param, request_id
        super().__init__(self.sentence)

    def __str__(self) -> str:
        known = {"HTTP": self.status, "code": self.code, "parameter": self.param, "request": self.request_id}
        details = ", ".join(f"{name} {value}" for name, value in known.items() if value)
        return f"{self.sentence} ({details})" if details else self.sentence


class KeyRefusedError(ReadError):
    sentence = "Stripe does not accept the key: it is wrong, has expired, or was deleted."


class AddressRefusedError(KeyRefusedError):
    sentence = "Stripe takes the key only from other addresses. In Stripe, let it be used from this server's, too."


class PermissionMissingError(ReadError):
    """`permission` is the plain name of what the key may not read, `account` whose it is, if Stripe says so."""

    def __init__(self, permission: str, account: str = "", **details: Any) -> None:
        self.permission, self.account = permission, account
        super().__init__(f"The key is not allowed to read this. Grant it read access to {permission}.", **details)


class NotFoundError(ReadError):
    sentence = "Stripe knows no such object, or does not show it yet."


class CursorGoneError(ReadError):
    sentence = "Stripe no longer knows the object that the next page was to start after."


class RequestRefusedError(ReadError):
    sentence = "Stripe refuses the request."


class StripeUnreachableError(ReadError):
    sentence = "Stripe cannot be reached, or answers with errors only."


class ThrottledError(StripeUnreachableError):
    """`wait` is how many seconds Stripe asks to wait; 0 when it does not say."""

    sentence = "Stripe does not allow more reads at the moment."

    def __init__(self, wait: float = 0, **details: Any) -> None:
        self.wait = wait
        super().__init__(**details)


class MalformedAnswerError(ReadError):
    sentence = "What answered is not Stripe, or its answer is damaged."


class AccountChangedError(ReadError):
    sentence = "The key opens another Stripe account than the one that was connected with it."


class WrongModeError(ReadError):
    sentence = "Stripe answered with live objects to a test key, or the other way round."


def read_key(text: str) -> Secret:
    """Read a key as it was pasted, spaces and newlines around it dropped. Raise KeyShapeError."""
    key = text.strip(" \r\n")
    if not key:
        raise KeyShapeError("Enter a Stripe key.")
    if not key.isascii() or not key.isprintable():
        raise KeyShapeError("The key contains invisible or foreign characters. Copy it again from Stripe's own page.")
    if " " in key:
        raise KeyShapeError("The key contains a space. Copy the key alone, without its name.")
    if key.startswith("pk_"):
        raise KeyShapeError("That is a publishable key (pk_). Use a restricted key (rk_) or the secret key (sk_).")
    if key.startswith("whsec_"):
        raise KeyShapeError(
            "That is a webhook's signing secret (whsec_). Use a restricted key (rk_): no webhook is needed."
        )
    if key.startswith("sk_org_"):
        raise KeyShapeError("That is an organization's key (sk_org_). Use a key of the one account to read.")
    if not KEY.fullmatch(key):
        raise KeyShapeError("That is not a Stripe key. It starts with rk_live_, sk_live_, rk_test_ or sk_test_.")
    return Secret(key)


def is_live(key: Secret) -> bool:
    return key.reveal().split("_")[1] == "live"


@dataclass(frozen=True, slots=True)
class Answer:
    """What Stripe said, and when by its own clock."""

    data: dict[str, Any]
    date: dt.datetime
    request_id: str


class DirectSession(requests.Session):
    """HTTP without proxies, netrc files and redirects: each could send the key, or the question, elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Wire(stripe.RequestsClient):
    """Keeps the last answer, and shows the library an empty object for it: it would parse every page a second time."""

    body = b""

    def request(  # type: ignore[override]  # the library's own sub-classes answer bytes too
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        self.body, status, answered = super().request(method, url, headers, post_data)
        return b"{}" if status == HTTPStatus.OK else self.body, status, answered


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a read is tried, how long an answer may be silent each time, and how long Stripe may put us off."""

    tries: int
    seconds: float
    wait: float


UNATTENDED = Patience(MOST_TRIES, READ_SECONDS, LONGEST_WAIT)
# With somebody, and a thread of the web server, waiting for the page.
ATTENDED = Patience(2, 6, 3)


class StripeReader:
    """Reads one account with its key, for one task: neither shared between threads nor kept."""

    def __init__(
        self,
        key: Secret,
        patience: Patience = UNATTENDED,
        sleep: Callable[[float], None] = time.sleep,
        before_read: Callable[[], None] | None = None,
    ) -> None:
        self.reads = 0
        self._before_read = before_read
        self._patience = patience
        self._sleep = sleep
        self._session = DirectSession()
        self._wire = _Wire(timeout=(CONNECT_SECONDS, patience.seconds), session=self._session)
        self._client = stripe.StripeClient(
            key.reveal(),
            stripe_version=STRIPE_VERSION,
            base_addresses={"api": settings.STRIPE_API_BASE},
            max_network_retries=0,
            http_client=self._wire,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Give Stripe's answer to `GET path`; what may pass is tried again. Raise ReadError."""
        answer, wait = self._try(path, params or {})
        for tried in range(1, self._patience.tries):
            # Whoever is to wait for long had better come back another time.
            if wait is None or wait > self._patience.wait:
                break
            # Part of the pause is random, so that readers who were refused together do not return together.
            self._sleep(wait + 2.0 ** (tried - 1) * (0.5 + random.random() / 2))
            answer, wait = self._try(path, params or {})
        if isinstance(answer, ReadError):
            raise answer
        return answer

    def _try(self, path: str, params: Mapping[str, Any]) -> tuple[Answer | ReadError, float | None]:
        """Ask once. With an error, tell how many seconds to wait at least before the next try; None: none helps.

        The error is handed back, not raised, so that the library's own, with the key or a body in it, is not
        attached to it as its context.
        """
        if self._before_read:
            self._before_read()
        self.reads += 1
        try:
            response = self._client.raw_request("get", path, **params)
        except stripe.StripeError as error:
            return _named(error, path)
        try:
            data = _parsed(self._wire.body)
            date = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError, RecursionError):
            data, date = None, None
        request_id = _known(REQUEST_ID, response.headers.get("Request-Id"))
        if not isinstance(data, dict) or date is None or date.tzinfo is None:
            return MalformedAnswerError(status=response.code, request_id=request_id), 0
        return Answer(data, date, request_id), None


def _named(error: stripe.StripeError, path: str) -> tuple[ReadError, float | None]:
    status = error.http_status or 0
    body: Any = error.json_body
    said = body.get("error") if isinstance(body, dict) else None
    said = said if isinstance(said, dict) else {}
    details: dict[str, Any] = {
        "status": status,
        "code": _known(NAME, said.get("code")),
        "param": _known(NAME, said.get("param")),
        "request_id": _known(REQUEST_ID, (error.headers or {}).get("Request-Id")),
    }
    if status == 0:
        return StripeUnreachableError(**details), 0
    if status == 429:
        wait = _seconds((error.headers or {}).get("Retry-After"))
        return ThrottledError(wait, **details), wait
    if status == 409 or status >= 500:
        return StripeUnreachableError(**details), 0
    if status == 401:
        return KeyRefusedError(**details), None
    if status == 403 and details["code"] == "ip_denied":
        return AddressRefusedError(**details), None
    if status == 403:
        message = said.get("message")
        accounts = ACCOUNT.findall(message) if isinstance(message, str) else []
        return PermissionMissingError(_permission(path, message), "".join(accounts[:1]), **details), None
    if status in (400, 404) and details["param"] == "starting_after":
        return CursorGoneError(**details), None
    if status == 404 and said:
        return NotFoundError(**details), None
    if status == 400 and said:
        return RequestRefusedError(**details), None
    # A redirect leads elsewhere each time; a 200 that is no JSON may have been cut short on its way.
    return MalformedAnswerError(**details), 0 if status < 300 else None


def _permission(path: str, message: object) -> str:
    """Name what is to be granted, with Stripe's own identifiers if its message has any."""
    resource = next((name for start, name in PERMISSIONS.items() if path.startswith(start)), path)
    identifiers = PERMISSION.findall(message) if isinstance(message, str) else []
    return f"{resource} ({', '.join(identifiers)})" if identifiers else resource


def _known(shape: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and shape.fullmatch(value) else ""


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value) else 0.0


def _parsed(body: bytes) -> Any:
    """Raise ValueError or RecursionError."""
    try:
        return DECODER.decode(body)
    except msgspec.DecodeError:
        # Python's own reads half of a surrogate pair too: one in somebody's metadata must not keep a page from us.
        return json.loads(body.decode(), parse_float=Decimal, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")

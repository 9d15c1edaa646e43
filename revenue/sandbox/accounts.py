"""Accounts and the keys that open them."""

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple

from revenue.sandbox.objects import API_VERSION, identifier

READ_PERMISSIONS = frozenset(
    {
        "rak_accounts_kyc_basic_read",
        "rak_balance_transaction_source_read",
        "rak_charge_read",
        "rak_balance_read",
        "rak_checkout_session_read",
        "rak_customer_read",
        "rak_dispute_read",
        "rak_event_read",
        "rak_invoice_read",
        "rak_payment_intent_read",
        "rak_payment_link_read",
        "rak_payout_read",
        "rak_setup_intent_read",
        "rak_subscription_read",
    }
)


class Owner(NamedTuple):
    """Whose objects, and in which mode: test and live share nothing."""

    account_id: str
    livemode: bool


@dataclass(frozen=True)
class Account:
    """`restricted_key` is a test key that may read everything and write nothing.

    `api_version` is what requests without a version of their own, and all events, are answered in.
    """

    id: str
    name: str
    country: str
    default_currency: str
    secret_key: str
    live_secret_key: str
    restricted_key: str
    created: int
    api_version: str = API_VERSION


@dataclass(frozen=True)
class ApiKey:
    """`permissions` None means a secret key, which may do anything; `expires_at` None that it is good for ever."""

    owner: Owner
    permissions: frozenset[str] | None
    expires_at: int | None = None

    def lacking(self, needed: tuple[str, ...]) -> list[str]:
        return [] if self.permissions is None else [name for name in needed if name not in self.permissions]


def new_account(
    name: str, country: str, default_currency: str, secret_key: str | None, created: int, api_version: str
) -> Account:
    """Everything about an account whose secret key is given follows from that key."""
    key = secret_key or identifier("sk_test_51", 97)
    match = re.fullmatch(r"sk_test_([A-Za-z0-9]{8,})", key)
    if not match:
        raise ValueError("an account's secret key is sk_test_ and at least eight letters or digits")
    tail = match[1]
    return Account(
        id="acct_1" + hashlib.sha256(tail.encode()).hexdigest()[:15].upper(),
        name=name,
        country=country,
        default_currency=default_currency,
        secret_key=key,
        live_secret_key=f"sk_live_{tail}",
        restricted_key=f"rk_test_{tail}",
        created=created,
        api_version=api_version,
    )

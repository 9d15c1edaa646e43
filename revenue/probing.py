"""What a key must be able to read, tried read by read, and what it means when it cannot."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from revenue import customers
from revenue.streams import EVENTS, LISTS
from revenue.stripe_client import PERMISSION, PERMISSIONS, PermissionMissingError, StripeReader

ACCOUNT, BALANCE, CUSTOMERS = "/v1/account", "/v1/balance", "/v1/customers"
PROBES: list[tuple[str, dict[str, Any]]] = [
    (ACCOUNT, {}),
    *((path, {**params, "limit": 1}) for path, params in LISTS.values()),
    (EVENTS, {"limit": 1}),
    (BALANCE, {}),
    (CUSTOMERS, {"limit": 1}),
]
DASHBOARD = "https://dashboard.stripe.com"


@dataclass(frozen=True, slots=True)
class Need:
    """A row of Stripe's form for restricted keys: what it is needed for, and what its boxes are called in addresses.

    What is not `is_advised` either serves few shops only, and would show a person's data to all others for nothing.
    """

    name: str
    without: str
    permissions: tuple[str, ...]
    is_required: bool = True
    is_advised: bool = True


NEEDS = (
    Need(
        "Checkout Sessions",
        "No payment can be credited to a visit: the session is what carries the view id.",
        # Stripe asks for both to list sessions.
        ("rak_checkout_session_read", "rak_payment_intent_read"),
    ),
    Need("Charges and Refunds", "Neither payments nor refunds can be read.", ("rak_charge_read",)),
    Need("Disputes", "What customers dispute would count as revenue.", ("rak_dispute_read",)),
    Need(
        "Balance transactions",
        "Fees are unknown, and nothing proves that no payment is missing.",
        # Each comes with what moved the money, which may be a payout.
        ("rak_balance_transaction_source_read", "rak_payout_read"),
    ),
    Need("Invoices", "Renewals cannot be led back to the visit that began the subscription.", ("rak_invoice_read",)),
    Need("Events", "What changes after a payment is seen up to a day late.", ("rak_event_read",)),
    Need(
        "Account",
        "The account’s currency and first day are unknown, and it is not looked each day whether the key still opens "
        "the same account.",
        ("rak_accounts_kyc_basic_read",),
        is_required=False,
    ),
    Need(
        "Balance",
        "The sum of all movements is not held against Stripe’s balance each night.",
        ("rak_balance_read",),
        is_required=False,
    ),
    Need(
        customers.NAME,
        "Needed only if your checkout puts the view id on the Customer.",
        (customers.PERMITTED_BY,),
        is_required=False,
        is_advised=False,
    ),
)
ADVISED = tuple(need for need in NEEDS if need.is_advised)
REQUIRED = frozenset(need.name for need in NEEDS if need.is_required)


@dataclass(frozen=True, slots=True)
class Probe:
    """What Stripe says of the account, and what the key may not read, each with Stripe's own identifiers."""

    account: dict[str, Any]
    refused: dict[str, str]

    @property
    def lacking(self) -> list[str]:
        return list(self.refused)

    @property
    def indispensable(self) -> list[str]:
        """Of what the key may not read, that without which nothing can be begun, with Stripe's own identifiers."""
        is_known = "id" in self.account
        return [text for name, text in self.refused.items() if name in REQUIRED or (name == "Account" and not is_known)]


def probe(reader: StripeReader) -> Probe:
    """Read the account, and one object of every list, as a sync will. Raise ReadError."""
    account: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for path, params in PROBES:
        try:
            answer = reader.get(path, params)
        except PermissionMissingError as error:
            refused |= {name: text for name, text in lacking(path, error).items() if name not in refused}
            # A refusal names the account, too.
            if error.account and not account:
                account = {"id": error.account}
        else:
            account = answer.data if path == ACCOUNT else account
    return Probe(account, refused)


def lacking(path: str, error: PermissionMissingError) -> dict[str, str]:
    """Name what a key may not read that was refused at `path`, each with Stripe's own identifiers.

    A list whose objects come with others is also refused for the sake of those.
    """
    told = PERMISSION.findall(error.permission)
    named = {need.name: [each for each in told if each in need.permissions] for need in NEEDS}
    found = {name: f"{name} ({', '.join(identifiers)})" for name, identifiers in named.items() if identifiers}
    return found or {PERMISSIONS[path]: error.permission}


def new_key_url(is_live: bool = True) -> str:
    """Where Stripe makes a restricted key, with what is needed filled in as far as Stripe takes it from an address."""
    asked = [("name", "Humblytics"), *(("permissions[]", name) for need in ADVISED for name in need.permissions)]
    return f"{DASHBOARD}{'' if is_live else '/test'}/apikeys/create?{urlencode(asked)}"

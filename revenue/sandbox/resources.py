"""The lists of the API: where each is, who may read it, and what it can be filtered by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from revenue.sandbox.objects import StripeObject
from revenue.sandbox.parameters import Reader, choice, integer, listed, period, record, text


@dataclass(frozen=True)
class Resource:
    """A list at /v1/`path`, with each of its objects under it.

    `noun` and `param` are how Stripe names an object that is not there; `permissions` are what a restricted
    key needs to read it.
    """

    path: str
    kind: str
    permissions: tuple[str, ...]
    filters: Mapping[str, Reader] = field(default_factory=dict)
    noun: str = ""
    param: str = "id"


RESOURCES = (
    Resource(
        "balance_transactions",
        "balance_transaction",
        ("rak_balance_transaction_source_read",),
        {"currency": text, "source": text, "type": text},
        noun="balance transaction",
    ),
    Resource("charges", "charge", ("rak_charge_read",), {"payment_intent": text}),
    Resource(
        "checkout/sessions",
        "checkout.session",
        ("rak_payment_intent_read", "rak_checkout_session_read"),
        {"payment_intent": text, "status": choice("complete", "expired", "open")},
        param="session",
    ),
    Resource(
        "disputes",
        "dispute",
        ("rak_dispute_read",),
        {"charge": text, "payment_intent": text},
        param="dispute",
    ),
    Resource("events", "event", ("rak_event_read",), {"type": text, "types": listed(text, most=20)}),
    Resource(
        "invoice_payments",
        "invoice_payment",
        ("rak_invoice_read",),
        {
            "invoice": text,
            "payment": record({"type": text, "payment_intent": text, "payment_record": text}, ("type",)),
            "status": choice("canceled", "open", "paid"),
        },
    ),
    Resource(
        "invoices",
        "invoice",
        ("rak_invoice_read",),
        {"status": choice("draft", "open", "paid", "uncollectible", "void"), "subscription": text},
        param="invoice",
    ),
    Resource("payment_intents", "payment_intent", ("rak_payment_intent_read",), param="intent"),
    Resource("refunds", "refund", ("rak_charge_read",), {"charge": text, "payment_intent": text}, param="refund"),
)
BY_PATH = {resource.path: resource for resource in RESOURCES}
BY_KIND = {resource.kind: resource for resource in RESOURCES}

EXPAND: Mapping[str, Reader] = {"expand": listed(text, most=20)}
PAGING: Mapping[str, Reader] = {
    **EXPAND,
    "created": period,
    "ending_before": text,
    "limit": integer(least=1, most=100),
    "starting_after": text,
}


def matches(given: Mapping[str, Any], item: StripeObject) -> bool:
    """Whether an object passes the filters that were given. Types of events may be patterns: `charge.*`."""
    for name, wanted in given.items():
        if name == "types":
            if item["type"] not in wanted:
                return False
        elif name == "type" and item["object"] == "event":
            if not fnmatchcase(item["type"], wanted):
                return False
        elif item[name] != wanted:
            return False
    return True

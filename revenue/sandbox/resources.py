"""The lists of the API: where each is, who may read it, and what it can be filtered by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from revenue.sandbox.holdings import INDEXED
from revenue.sandbox.objects import StripeObject
from revenue.sandbox.parameters import Reader, choice, flag, integer, listed, period, record, text


@dataclass(frozen=True)
class Resource:
    """A list at /v1/`path`, with each of its objects under it.

    `noun` and `param` are how Stripe names an object that is not there; `permissions` are what a restricted
    key needs to read it. Nearly all lists can be bounded by `created`.
    """

    path: str
    kind: str
    permissions: tuple[str, ...]
    filters: Mapping[str, Reader] = field(default_factory=dict)
    noun: str = ""
    param: str = "id"
    has_created: bool = True


_CUSTOMER: Mapping[str, Reader] = {"customer": text, "customer_account": text}

RESOURCES = (
    Resource(
        "balance_transactions",
        "balance_transaction",
        ("rak_balance_transaction_source_read",),
        {"currency": text, "payout": text, "source": text, "type": text},
        noun="balance transaction",
    ),
    Resource(
        "charges", "charge", ("rak_charge_read",), {"customer": text, "payment_intent": text, "transfer_group": text}
    ),
    Resource(
        "checkout/sessions",
        "checkout.session",
        ("rak_payment_intent_read", "rak_checkout_session_read"),
        {
            **_CUSTOMER,
            "customer_details": record({"email": text}, ("email",)),
            "payment_intent": text,
            "payment_link": text,
            "status": choice("complete", "expired", "open"),
            "subscription": text,
        },
        param="session",
    ),
    Resource("customers", "customer", ("rak_customer_read",), {"email": text, "test_clock": text}),
    Resource(
        "disputes",
        "dispute",
        ("rak_dispute_read",),
        {"charge": text, "payment_intent": text},
        param="dispute",
    ),
    Resource(
        "events",
        "event",
        ("rak_event_read",),
        {"delivery_success": flag, "type": text, "types": listed(text, most=20)},
    ),
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
        {
            **_CUSTOMER,
            "collection_method": choice("charge_automatically", "send_invoice"),
            "due_date": period,
            "status": choice("draft", "open", "paid", "uncollectible", "void"),
            "subscription": text,
        },
        param="invoice",
    ),
    Resource("payment_intents", "payment_intent", ("rak_payment_intent_read",), _CUSTOMER, param="intent"),
    Resource(
        "payment_links",
        "payment_link",
        ("rak_payment_link_read",),
        {"active": flag},
        param="payment_link",
        has_created=False,
    ),
    Resource(
        "payouts",
        "payout",
        ("rak_payout_read",),
        {"arrival_date": period, "destination": text, "status": text},
        param="payout",
    ),
    Resource("refunds", "refund", ("rak_charge_read",), {"charge": text, "payment_intent": text}, param="refund"),
    Resource(
        "setup_intents",
        "setup_intent",
        ("rak_setup_intent_read",),
        {**_CUSTOMER, "attach_to_self": flag, "payment_method": text},
        param="intent",
    ),
    Resource(
        "subscriptions",
        "subscription",
        ("rak_subscription_read",),
        {
            **_CUSTOMER,
            "automatic_tax": record({"enabled": flag}, ("enabled",)),
            "collection_method": choice("charge_automatically", "send_invoice"),
            "current_period_end": period,
            "current_period_start": period,
            "plan": text,
            "price": text,
            "test_clock": text,
            "status": choice(
                *("active", "all", "canceled", "ended", "incomplete", "incomplete_expired"),
                *("past_due", "paused", "trialing", "unpaid"),
            ),
        },
    ),
)
BY_PATH = {resource.path: resource for resource in RESOURCES}
BY_KIND = {resource.kind: resource for resource in RESOURCES}

# What a list of subscriptions is bounded by when nothing is said.
NOT_CANCELED = "not canceled"

EXPAND: Mapping[str, Reader] = {"expand": listed(text, most=20)}
_PAGING: Mapping[str, Reader] = {
    **EXPAND,
    "ending_before": text,
    "limit": integer(least=1, most=100),
    "starting_after": text,
}


def parameters_of(resource: Resource) -> Mapping[str, Reader]:
    return {**_PAGING, **({"created": period} if resource.has_created else {}), **resource.filters}


def matches(given: Mapping[str, Any], item: StripeObject) -> bool:
    """Whether an object passes the filters that were given. Types of events may be patterns: `charge.*`."""
    return all(_passes(name, wanted, item) for name, wanted in given.items())


def indexed(given: Mapping[str, Any]) -> tuple[str, str] | None:
    """The filter, if there is one, for which the objects need not be looked through."""
    flat = {**given, **given.get("payment", {})}
    return next(((name, flat[name]) for name in INDEXED if name in flat), None)


def _passes(name: str, wanted: Any, item: StripeObject) -> bool:
    match name, item["object"]:
        case "types", _:
            return item["type"] in wanted
        case "type", "event":
            return fnmatchcase(item["type"], wanted)
        case "delivery_success", _:
            # There are no webhooks to fail.
            return bool(wanted)
        case "payout", "balance_transaction":
            return bool(item.get("_", {}).get("payout") == wanted)
        case "subscription", "invoice":
            return bool(item["parent"]["subscription_details"]["subscription"] == wanted)
        case "status", "subscription":
            return _is_in_status(item["status"], wanted)
        case "price" | "plan" | "current_period_end" | "current_period_start", "subscription":
            return any(_equals(part.get(name), wanted) for part in item["items"]["data"])
    return _equals(item.get(name), wanted)


def _is_in_status(status: str, wanted: str) -> bool:
    """Whether a subscription is listed. Canceled ones are not, unless somebody asks for them or for all."""
    groups = {"all": True, "ended": status in ("canceled", "incomplete_expired"), NOT_CANCELED: status != "canceled"}
    return groups.get(wanted, status == wanted)


def _equals(held: Any, wanted: Any) -> bool:
    """Whether a field is what is wanted: an id, all of an object's named fields, or a time within bounds."""
    if isinstance(held, Mapping):
        held = held if isinstance(wanted, Mapping) else held["id"]
        return held == wanted if isinstance(wanted, str) else all(held.get(k) == v for k, v in wanted.items())
    if isinstance(wanted, tuple):
        return held is not None and bool(wanted[0] <= held <= wanted[1])
    return bool(held == wanted)

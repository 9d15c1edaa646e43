"""What is taken from Stripe's objects: the fields named here and nothing else.

Whatever else Stripe sends, such as a customer's name, address or card, is never looked at.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from revenue.attribution import VIEW_ID
from revenue.models import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Dispute,
    InvoicePayment,
    Refund,
    StripeAccount,
)
from revenue.models.mirror import Mirrored
from revenue.pager import LATEST, check_object
from revenue.stripe_client import MalformedAnswerError
from revenue.upsert import filled

VIEW_ID_KEY = "humblytics_view_id"

StripeObject = Mapping[str, Any]
# What a row holds, by the names of its columns.
Values = dict[str, Any]


def rows(account: StripeAccount, objects: Iterable[StripeObject], observed_at: dt.datetime) -> list[Mirrored]:
    """Read the objects of one answer, and those that Stripe put into movements as their cause; none of them twice.

    Raise MalformedAnswerError or WrongModeError.
    """
    found: dict[tuple[type[Mirrored], str], Mirrored] = {}
    for item in objects:
        row = _row(account, item, observed_at)
        found[type(row), row.stripe_id] = row
        source = item.get("source")
        if isinstance(row, BalanceTransaction) and isinstance(source, dict) and source.get("object") in READERS:
            check_object(source, "/v1/balance_transactions", account.livemode)
            cause = _row(account, source, observed_at)
            found[type(cause), cause.stripe_id] = cause
    return list(found.values())


def object_type(row: Mirrored) -> str:
    """Stripe's name for what the row mirrors, with an underscore for the dot: `checkout_session`."""
    return NAMES[type(row)]


def _row(account: StripeAccount, item: StripeObject, observed_at: dt.datetime) -> Mirrored:
    model, read = READERS.get(str(item.get("object")), (None, None))
    if model is None or read is None:
        raise MalformedAnswerError("Stripe listed an object of another type than asked for.")
    values = read(item)
    values |= {"account_id": account.pk, "stripe_id": item["id"]}
    values |= {"created_at": _moment(item, "created"), "observed_at": observed_at}
    return filled(model, values)


def _session(item: StripeObject) -> Values:
    return {
        "mode": _word(item, "mode", 32),
        "status": _word(item, "status", 32),
        "payment_status": _word(item, "payment_status", 32),
        "currency": _word(item, "currency", 3),
        "amount_total": None if item.get("amount_total") is None else _whole(item, "amount_total"),
        "payment_intent": _reference(item, "payment_intent"),
        "subscription": _reference(item, "subscription"),
        "recovered_from": _reference(item, "recovered_from"),
        "expires_at": None if item.get("expires_at") is None else _moment(item, "expires_at"),
        "view_id": _carried(item.get("metadata"), VIEW_ID_KEY),
        "client_reference_id": _view_reference(item),
    }


def _view_reference(item: StripeObject) -> str:
    """The client's reference if it is a view id. Any other is the merchant's own, and may name a customer."""
    text = _carried(item, "client_reference_id").strip()
    return text if VIEW_ID.fullmatch(text) else ""


def _charge(item: StripeObject) -> Values:
    return {
        "status": _word(item, "status", 32),
        "captured": item.get("captured") is True,
        "amount": _whole(item, "amount"),
        "amount_captured": _whole(item, "amount_captured"),
        "amount_refunded": _whole(item, "amount_refunded"),
        "currency": _word(item, "currency", 3),
        "payment_intent": _reference(item, "payment_intent"),
        "balance_transaction": _reference(item, "balance_transaction"),
        "failure_balance_transaction": _reference(item, "failure_balance_transaction"),
        "view_id": _carried(item.get("metadata"), VIEW_ID_KEY),
        "customer_view_id": _carried_by_customer(item),
    }


def _carried_by_customer(item: StripeObject) -> str | None:
    """What the metadata of the payment's customer carry; None where Stripe did not put the customer there.

    It is the one thing of a customer that is looked at.
    """
    customer = item.get("customer")
    return _carried(customer.get("metadata"), VIEW_ID_KEY).strip() if isinstance(customer, dict) else None


def _refund(item: StripeObject) -> Values:
    return {
        "charge": _reference(item, "charge"),
        "status": _word(item, "status", 32),
        "amount": _whole(item, "amount"),
        "currency": _word(item, "currency", 3),
        "balance_transaction": _reference(item, "balance_transaction"),
        "failure_balance_transaction": _reference(item, "failure_balance_transaction"),
    }


def _dispute(item: StripeObject) -> Values:
    return {
        "charge": _reference(item, "charge"),
        "status": _word(item, "status", 32),
        "amount": _whole(item, "amount"),
        "currency": _word(item, "currency", 3),
    }


def _invoice_payment(item: StripeObject) -> Values:
    payment, invoice = _part(item, "payment"), _part(item, "invoice")
    of_subscription = _part(_part(invoice, "parent"), "subscription_details")
    return {
        "status": _word(item, "status", 32),
        "amount_paid": None if item.get("amount_paid") is None else _whole(item, "amount_paid"),
        "currency": _word(item, "currency", 3),
        "invoice": _reference(item, "invoice"),
        "type": _word(payment, "type", 32),
        "payment_intent": _reference(payment, "payment_intent"),
        "subscription": _reference(of_subscription, "subscription"),
        "invoice_view_id": _carried(invoice.get("metadata"), VIEW_ID_KEY),
        "subscription_view_id": _carried(of_subscription.get("metadata"), VIEW_ID_KEY),
    }


def _balance_transaction(item: StripeObject) -> Values:
    source = item.get("source")
    charge = ""
    if isinstance(source, dict):
        charge = (
            _reference({"charge": source}, "charge")
            if source.get("object") == "charge"
            else _reference(source, "charge")
        )
    return {
        "type": _word(item, "type", 64),
        "reporting_category": _word(item, "reporting_category", 64),
        "source": _reference(item, "source"),
        "charge": charge,
        "amount": _whole(item, "amount"),
        "fee": _whole(item, "fee"),
        "net": _whole(item, "net"),
        "currency": _word(item, "currency", 3),
        "balance_type": _word(item, "balance_type", 64),
    }


MODELS: dict[str, type[Mirrored]] = {
    "checkout_session": CheckoutSession,
    "balance_transaction": BalanceTransaction,
    "charge": Charge,
    "refund": Refund,
    "dispute": Dispute,
    "invoice_payment": InvoicePayment,
}
NAMES = {model: name for name, model in MODELS.items()}
READERS: dict[str, tuple[type[Mirrored], Callable[[StripeObject], Values]]] = {
    "checkout.session": (CheckoutSession, _session),
    "balance_transaction": (BalanceTransaction, _balance_transaction),
    "charge": (Charge, _charge),
    "refund": (Refund, _refund),
    "dispute": (Dispute, _dispute),
    "invoice_payment": (InvoicePayment, _invoice_payment),
}


def _damaged(item: StripeObject, name: str) -> MalformedAnswerError:
    return MalformedAnswerError(f"An object of Stripe's has no usable “{name}”.")


def _whole(item: StripeObject, name: str) -> int:
    value = item.get(name)
    if type(value) is not int or abs(value) >= 2**63:
        raise _damaged(item, name)
    return value


def _moment(item: StripeObject, name: str) -> dt.datetime:
    value = _whole(item, name)
    if not 0 <= value < LATEST:
        raise _damaged(item, name)
    return dt.datetime.fromtimestamp(value, dt.UTC)


def _word(item: StripeObject, name: str, longest: int) -> str:
    """A value of Stripe's own lists, kept as it is even when it is a new one; empty for none."""
    value = item.get(name) or ""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise _damaged(item, name)
    return value


def _reference(item: StripeObject, name: str) -> str:
    """The id of another object, whether Stripe gave the id or put the object there."""
    value = item.get(name)
    return _word(value, "id", 255) if isinstance(value, dict) else _word(item, name, 255)


def _part(item: StripeObject, name: str) -> StripeObject:
    """An object within the object; an empty one where Stripe gave none, or only its id."""
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _carried(item: object, name: str) -> str:
    """A text of the merchant's, cut to what Stripe itself allows, without what PostgreSQL cannot keep."""
    value = item.get(name) if isinstance(item, dict) else None
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text[:500].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()

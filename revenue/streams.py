"""Stripe's lists that are read, the events that hint at changes, and how far back each reading goes."""

import datetime as dt
from typing import Any

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)

# Stripe shows objects up to ten minutes after it has stamped them.
OVERLAP = dt.timedelta(minutes=15)
# What was created in the last minute before a list was read may have been missed in it.
LAG = dt.timedelta(seconds=60)
# A checkout ends after a day at most; whatever became of one is in the list that far back.
LOOK_BACK = 26 * HOUR
# Sweeps: how often, and what is read again. A payment can be refunded for half a year.
SWEEP_EVERY, SWEEP = DAY, 35 * DAY
DEEP_SWEEP_EVERY, DEEP_SWEEP = 7 * DAY, 190 * DAY

LISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "checkout_session": ("/v1/checkout/sessions", {}),
    # One read brings a hundred movements together with their charges, refunds and disputes.
    "balance_transaction": ("/v1/balance_transactions", {"expand": ["data.source"]}),
    "charge": ("/v1/charges", {}),
    "refund": ("/v1/refunds", {}),
    "dispute": ("/v1/disputes", {}),
    # The invoice names the subscription that a renewal belongs to.
    "invoice_payment": ("/v1/invoice_payments", {"expand": ["data.invoice"]}),
}
# No money moves without being in these; the others are read when an event names them, and in each sweep.
MONEY = ("checkout_session", "balance_transaction")

EVENTS = "/v1/events"
# Stripe takes twenty names at most. The first `refund.*` were only sent for some refunds, so both families count.
# That a checkout expired is in its list, and worth no read of its own.
HINTS = [
    *("checkout.session.completed", "checkout.session.async_payment_succeeded"),
    "checkout.session.async_payment_failed",
    *("charge.succeeded", "charge.captured", "charge.updated", "charge.failed", "charge.refunded"),
    *("charge.expired", "charge.refund.updated", "refund.created", "refund.updated", "refund.failed"),
    *("charge.dispute.created", "charge.dispute.closed"),
    *("charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"),
    *("invoice_payment.paid", "invoice.paid"),
]


def one(name: str) -> dict[str, Any]:
    """The parameters to read one object as its list shows it."""
    _, params = LISTS[name]
    return {"expand": [path.removeprefix("data.") for path in params["expand"]]} if "expand" in params else {}


def since(covered_to: dt.datetime | None, moment: dt.datetime, reach: dt.timedelta) -> dt.datetime:
    """From when on a list is read: at least so far back, and all that may have shown up since it was covered."""
    return moment - reach if covered_to is None else min(covered_to - OVERLAP, moment - reach)


def covered(began_at: dt.datetime) -> dt.datetime:
    """Up to when a list is covered that was read to its end by a tick that began then."""
    return began_at - LAG

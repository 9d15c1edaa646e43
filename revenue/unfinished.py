"""Which objects can still change by themselves, without an object of their own that says so.

They are read again until they have come to rest, however old they are: often at first, then once a day.
"""

import datetime as dt
from operator import attrgetter

from django.db.models import F, Q

from revenue.models import Charge, CheckoutSession, Dispute, InvoicePayment, Refund, StripeAccount
from revenue.models.mirror import Mirrored

CLOSED_DISPUTE = ("won", "lost", "warning_closed", "prevented")
OPEN_REFUND = ("pending", "requires_action")
# How long an object is left alone after it was read, by its age.
HOUR = dt.timedelta(hours=1)
PAUSES = [(8 * HOUR, HOUR), (48 * HOUR, 6 * HOUR), (None, 24 * HOUR)]

UNFINISHED: dict[type[Mirrored], Q] = {
    # An open one is nothing until it has ended: its payment comes with an event and a movement.
    CheckoutSession: Q(status="open", observed_at__lt=F("expires_at")) | Q(status="complete", payment_status="unpaid"),
    # A payment's movement may be booked later than the payment.
    Charge: Q(status="pending")
    | Q(status="succeeded", captured=False, amount_refunded__lt=F("amount"))
    | Q(status="succeeded", captured=True, balance_transaction=""),
    Refund: Q(status__in=OPEN_REFUND),
    Dispute: ~Q(status__in=CLOSED_DISPUTE),
    InvoicePayment: Q(status="open"),
}


def is_final(row: Mirrored) -> bool:
    """Tell of a row what UNFINISHED tells of rows in the database."""
    match row:
        case CheckoutSession():
            return row.status != "open" and (row.status, row.payment_status) != ("complete", "unpaid")
        case Charge():
            if row.status != "succeeded":
                return row.status != "pending"
            return bool(row.balance_transaction) if row.captured else row.amount_refunded >= row.amount
        case Refund():
            return row.status not in OPEN_REFUND
        case Dispute():
            return row.status in CLOSED_DISPUTE
        case InvoicePayment():
            return row.status != "open"
    return True


def due(account: StripeAccount, now: dt.datetime, most: int) -> list[Mirrored]:
    """The unfinished objects to be read again, by Stripe's time: those not looked at for the longest time."""
    found: list[Mirrored] = []
    is_due = Q()
    youngest = dt.timedelta(0)
    for age, pause in PAUSES:
        aged = Q(created_at__lte=now - youngest, observed_at__lte=now - pause)
        is_due |= aged & Q(created_at__gt=now - age) if age else aged
        youngest = age or youngest
    for model, condition in UNFINISHED.items():
        if model is CheckoutSession:
            # An open checkout is looked at once, when its time is over.
            condition &= ~Q(status="open") | Q(expires_at__lt=now - HOUR)
        rows = model._base_manager.filter(condition, is_due, account=account)
        found.extend(rows.order_by("observed_at")[:most])
    return sorted(found, key=attrgetter("observed_at"))[:most]

"""The shape of each object, in API version 2026-06-24.dahlia. An object is never changed, only replaced.

Fields that hold nothing here are written out as null, as Stripe does: who reads the sandbox sees every field
it will see in production. Two absences are Stripe's own: refunds and balance transactions carry no
`livemode`, and since 2025-03-31.basil neither a charge nor a payment intent names an invoice.

What the sandbox has to remember with an object, and Stripe does not show, is kept under "_".
"""

from revenue.sandbox.objects.accounts import account, customer
from revenue.sandbox.objects.balance import balance, balance_transaction, fee, payout
from revenue.sandbox.objects.billing import after, invoice, invoice_line, invoice_payment, subscription
from revenue.sandbox.objects.checkout import checkout_session, line_item, payment_link, price, setup_intent
from revenue.sandbox.objects.events import event
from revenue.sandbox.objects.payments import charge, dispute, payment_intent, refund, refund_without_charge
from revenue.sandbox.objects.shape import (
    API_VERSION,
    DAY,
    NO_ADDRESS,
    StripeObject,
    as_shown,
    identifier,
    listing,
    person,
)

__all__ = [
    "API_VERSION",
    "DAY",
    "NO_ADDRESS",
    "StripeObject",
    "account",
    "after",
    "as_shown",
    "balance",
    "balance_transaction",
    "charge",
    "checkout_session",
    "customer",
    "dispute",
    "event",
    "fee",
    "identifier",
    "invoice",
    "invoice_line",
    "invoice_payment",
    "line_item",
    "listing",
    "payment_intent",
    "payment_link",
    "payout",
    "person",
    "price",
    "refund",
    "refund_without_charge",
    "setup_intent",
    "subscription",
]

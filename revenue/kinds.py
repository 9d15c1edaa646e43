"""Revenue by what was sold, which the payment tells and no visit: how it was paid for, and whether it was a renewal."""

from revenue.models.accounts import IS_COUNTED

# A payment belongs to its checkout and its invoices through its intent. There may be several of either.
_PAID_FOR = f"""
    LEFT JOIN revenue_charge paid ON paid.account_id = line.account_id AND paid.stripe_id = line.charge
    LEFT JOIN (
        SELECT account_id, payment_intent, max(mode) AS mode FROM revenue_checkoutsession
        WHERE account_id {IS_COUNTED} AND payment_intent <> '' GROUP BY account_id, payment_intent
    ) checkout ON checkout.account_id = line.account_id AND checkout.payment_intent = paid.payment_intent
    LEFT JOIN (
        SELECT account_id, payment_intent, bool_or(subscription <> '') AS is_subscription FROM revenue_invoicepayment
        WHERE account_id {IS_COUNTED} AND payment_intent <> '' GROUP BY account_id, payment_intent
    ) bill ON bill.account_id = line.account_id AND bill.payment_intent = paid.payment_intent
"""
_MODE = """
    CASE WHEN line.charge = '' THEN ''
         WHEN bill.is_subscription THEN 'subscription'
         WHEN bill.is_subscription IS NOT NULL THEN 'invoice'
         ELSE coalesce(checkout.mode, 'direct') END
"""
_RENEWAL = "CASE WHEN line.charge = '' THEN '' WHEN decision.is_renewal THEN 'renewal' ELSE 'new' END"

# What a breakdown can be by beside a visit's dimensions: an expression, and what has to be joined for it.
KINDS = {"mode": (_MODE, _PAID_FOR), "renewal": (_RENEWAL, "")}
WORDS = {
    "payment": "One-off checkout",
    "subscription": "Subscription",
    "invoice": "Invoice",
    "direct": "Without a checkout",
    "new": "First payments",
    "renewal": "Renewals",
    "": "Refunds of no payment",
}


def named(value: str) -> str:
    """Give the words for a kind; one that Stripe has only lately begun to name keeps Stripe's."""
    return WORDS.get(value, value)

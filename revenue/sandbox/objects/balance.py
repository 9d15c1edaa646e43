"""The merchant's balance at Stripe: what moved it, what it is, and what was paid out of it."""

from collections.abc import Mapping

from revenue.sandbox.objects.shape import DAY, StripeObject, identifier


def balance_transaction(
    source: StripeObject,
    type: str,
    category: str,
    amount: int,
    currency: str,
    rate: float | None,
    fees: list[StripeObject],
    created: int,
) -> StripeObject:
    fee = sum(detail["amount"] for detail in fees)
    return {
        "id": identifier("txn_3", 23),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": (created // DAY + 7) * DAY if amount > 0 else created,
        "balance_type": "payments",
        "created": created,
        "currency": currency,
        "description": source.get("description"),
        "exchange_rate": rate,
        "fee": fee,
        "fee_details": fees,
        "net": amount - fee,
        "reporting_category": category,
        "source": source["id"],
        "status": "pending",
        "type": type,
    }


def fee(amount: int, currency: str, description: str) -> StripeObject:
    return {
        "amount": amount,
        "application": None,
        "currency": currency,
        "description": description,
        "type": "stripe_fee",
    }


def balance(available: Mapping[str, int], pending: Mapping[str, int], livemode: bool) -> StripeObject:
    def amounts(by_currency: Mapping[str, int]) -> list[StripeObject]:
        return [
            {"amount": amount, "currency": currency, "source_types": {"card": amount}}
            for currency, amount in sorted(by_currency.items())
        ]

    return {"object": "balance", "available": amounts(available), "livemode": livemode, "pending": amounts(pending)}


def payout(amount: int, currency: str, is_automatic: bool, created: int, livemode: bool) -> StripeObject:
    """On its way to the merchant's bank; no balance transaction records it yet."""
    return {
        "id": identifier("po_1"),
        "object": "payout",
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": (created // DAY + 2) * DAY,
        "automatic": is_automatic,
        "balance_transaction": None,
        "created": created,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": identifier("ba_1"),
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": livemode,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "in_progress" if is_automatic else "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "in_transit",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
    }

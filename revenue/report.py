"""What was earned as programs are told it: whole minor units, and currencies by their codes in capitals."""

from typing import Annotated, TypedDict

from revenue.attribution import Evidence, Reason
from revenue.money import exponent, mean
from revenue.stats import Payment, Row, Totals

Currency = Annotated[str, {"pattern": "^[A-Z]{3}$"}]
Why = Annotated[str | None, {"enum": [*Reason, None]}]


class Earned(TypedDict):
    """In minor units: 1234 are 12.34 EUR or 1234 JPY; `net` is gross less refunded, disputed and failed."""

    currency: Currency
    gross: int
    refunded: int
    disputed: int
    net: int
    orders: Annotated[int, "Payments, counted on the day they were made."]
    visitors: Annotated[int | None, "null where nobody is counted."]


class Unattributed(TypedDict):
    reason: Annotated[Why, "null for refunds of no payment."]
    orders: int
    net: int


class Money(TypedDict):
    """All of one currency; attributed and unattributed are the net."""

    currency: Currency
    decimals: Annotated[int, "How many of the last digits of an amount are decimals."]
    is_open: Annotated[bool, "Not settled by Stripe yet; only where settled amounts are asked for."]
    gross: int
    refunded: int
    disputed: int
    failed: Annotated[int, "Payments that failed after they had succeeded."]
    fees: Annotated[int, "Stripe’s own, of payments in this currency; no part of the net."]
    net: int
    orders: int
    renewals: Annotated[int, "Those of the orders that renew a subscription."]
    renewed: Annotated[int, "What these brought, before refunds."]
    purchases: Annotated[int, "Those of the orders that are none, and are credited to a visit."]
    attributed: int
    unattributed: int
    reasons: Annotated[list[Unattributed], "Why not."]
    average_payment: int | None
    revenue_per_visitor: int | None
    conversion_rate: Annotated[float | None, "Purchases per visitor."]


class Paid(TypedDict):
    """A charge, with what became of it until now."""

    occurred_at: Annotated[str, {"format": "date-time"}]
    account: str
    charge: str
    session: str | None
    currency: Currency
    gross: int
    refunded: int
    disputed: int
    net: int
    channel: str | None
    source: str | None
    view_id: Annotated[str | None, "What the checkout carried, whether it is one or not."]
    evidence: Annotated[str | None, {"enum": [*Evidence, None]}, "Where that was found."]
    reason: Annotated[Why, "Why it is credited to no visit."]


def earned(row: Row) -> Earned:
    return {
        "currency": row.currency.upper(),
        "gross": row.gross,
        "refunded": row.refunded,
        "disputed": row.disputed,
        "net": row.net,
        "orders": row.orders,
        "visitors": row.visitors,
    }


def paid(payment: Payment) -> Paid:
    return {
        "occurred_at": payment.occurred_at.isoformat(),
        "account": payment.account,
        "charge": payment.charge,
        "session": payment.session or None,
        "currency": payment.currency.upper(),
        "gross": payment.gross,
        "refunded": payment.refunded,
        "disputed": payment.disputed,
        "net": payment.net,
        "channel": payment.channel or None,
        "source": payment.source or None,
        "view_id": payment.view_id or None,
        "evidence": payment.evidence,
        "reason": payment.reason,
    }


def money(totals: Totals, visitors: int) -> Money:
    return {
        "currency": totals.currency.upper(),
        "decimals": exponent(totals.currency),
        "is_open": totals.is_open,
        "gross": totals.gross,
        "refunded": totals.refunded,
        "disputed": totals.disputed,
        "failed": totals.failed,
        "fees": totals.fees,
        "net": totals.net,
        "orders": totals.orders,
        "renewals": totals.renewals,
        "renewed": totals.renewed,
        "purchases": totals.purchases,
        "attributed": totals.attributed,
        "unattributed": totals.unattributed,
        "reasons": [{"reason": each.reason, "orders": each.orders, "net": each.net} for each in totals.reasons],
        "average_payment": totals.average if totals.orders else None,
        "revenue_per_visitor": mean(totals.net, visitors) if visitors else None,
        "conversion_rate": round(totals.purchases / visitors, 4) if visitors else None,
    }

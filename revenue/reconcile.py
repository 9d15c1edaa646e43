"""Holds the ledger against what Stripe says of the money: movement by movement, payment by payment, and in sum.

Every movement of a sale is named by exactly one line, every line by a movement; a payment's lines add up to what
was captured, its refunds to what was refunded; and all movements together are the balance.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from revenue import ledger
from revenue.models import BalanceTransaction, Finding, LedgerLine, StripeAccount
from revenue.models.findings import FindingKind
from revenue.models.ledger import Kind
from revenue.money import format_money

logger = logging.getLogger(__name__)

# Stripe may book a payment days after it was made; so long, the other half is waited for.
GRACE = dt.timedelta(hours=48)
# Of each kind: who has more of them needs no longer list.
MOST = 200
# Nobody buys so often from one page view: it was stored with the page, or written into the shop's code.
MOST_PER_VIEW = 20
# A movement that is of one of Stripe's other balances (of issued cards, say) does not change the payments' balance.
PAYMENTS_BALANCE = ("", "payments")


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not add up; `is_waiting` while Stripe may only be late with the other half of it.

    `concerned` is the type and id of the object that would show whether it is so, if there is one.
    """

    kind: FindingKind
    subject: str
    detail: str
    concerned: tuple[str, str] | None = None
    is_waiting: bool = False


def unmatched(*accounts: StripeAccount | int) -> QuerySet[BalanceTransaction]:
    """The accounts' movements that ought to be in the ledger and are not, or are of a type never seen."""
    lines = LedgerLine.objects.filter(account=OuterRef("account"), balance_transaction=OuterRef("stripe_id"))
    is_sale = Q(type__in=ledger.SALE_TYPES) | Q(reporting_category__in=ledger.SALE_CATEGORIES)
    is_new = ~Q(type__in=ledger.SALE_TYPES | ledger.OTHER_TYPES)
    return BalanceTransaction.objects.filter(is_sale | is_new, account__in=accounts).exclude(
        Exists(lines.exclude(kind=Kind.FEE))
    )


def differences(account: StripeAccount, now: dt.datetime) -> list[Difference]:
    """Find what does not add up among the account's rows, by Stripe's time."""
    return [
        *_unmatched(account, now),
        *_unproved(account, now),
        *_doubled(account),
        *_unequal(account),
        *_wrong_payments(account),
    ]


def _unmatched(account: StripeAccount, now: dt.datetime) -> Iterator[Difference]:
    for movement in unmatched(account).order_by("created_at", "pk")[:MOST]:
        is_known = movement.type in ledger.SALE_TYPES | ledger.OTHER_TYPES
        yield Difference(
            FindingKind.UNMATCHED,
            movement.stripe_id,
            f"{format_money(movement.amount, movement.currency)}, {movement.type}, {movement.reporting_category}"
            + ("" if is_known else ": a type that nobody here knows"),
            ("balance_transaction", movement.stripe_id),
            is_known and movement.created_at > now - GRACE,
        )


def _unproved(account: StripeAccount, now: dt.datetime) -> Iterator[Difference]:
    movements = BalanceTransaction.objects.filter(account=account, stripe_id=OuterRef("balance_transaction"))
    lines = LedgerLine.objects.filter(~Exists(movements), account=account)
    for line in lines.order_by("occurred_at", "pk")[:MOST]:
        kind, identity, *_ = line.key.split(":")
        yield Difference(
            FindingKind.UNPROVED,
            line.key,
            f"{format_money(line.amount, line.currency)} of {line.occurred_at:%Y-%m-%d}",
            ("balance_transaction", line.balance_transaction) if line.balance_transaction else (kind, identity),
            line.occurred_at > now - GRACE,
        )


def _doubled(account: StripeAccount) -> Iterator[Difference]:
    lines = LedgerLine.objects.filter(account=account).exclude(kind=Kind.FEE).exclude(balance_transaction="")
    several = lines.order_by().values("balance_transaction").annotate(lines=Count("pk")).filter(lines__gt=1)
    for each in several.order_by("balance_transaction")[:MOST]:
        movement = each["balance_transaction"]
        yield Difference(
            FindingKind.DOUBLED, movement, f"{each['lines']} lines name it", ("balance_transaction", movement)
        )


def _unequal(account: StripeAccount) -> Iterator[Difference]:
    """A line in the currency that it was settled in is its movement to the cent."""
    for key, movement, amount, moved, currency in _rows(
        """
        SELECT line.key, movement.stripe_id, line.amount,
               CASE line.kind WHEN 'fee' THEN -movement.fee ELSE movement.amount END, line.currency
        FROM revenue_ledgerline line
        JOIN revenue_balancetransaction movement
          ON movement.account_id = line.account_id AND movement.stripe_id = line.balance_transaction
         AND movement.currency = line.currency
        WHERE line.account_id = %(account)s
          AND line.amount <> CASE line.kind WHEN 'fee' THEN -movement.fee ELSE movement.amount END
        ORDER BY line.key LIMIT %(most)s
        """,
        account,
    ):
        detail = f"{format_money(amount, currency)} in the ledger, {format_money(moved, currency)} moved"
        yield Difference(FindingKind.UNEQUAL, key, detail, ("balance_transaction", movement))


def _wrong_payments(account: StripeAccount) -> Iterator[Difference]:
    for charge, currency, captured, sold in _rows(
        """
        SELECT * FROM (
            SELECT stripe_id, charge.currency,
                   CASE WHEN status = 'succeeded' AND captured AND failure_balance_transaction = ''
                        THEN amount_captured ELSE 0 END AS captured,
                   coalesce(line.amount, 0) AS sold
            FROM revenue_charge charge
            LEFT JOIN (
                SELECT charge, sum(amount)::bigint AS amount FROM revenue_ledgerline
                WHERE account_id = %(account)s AND kind IN ('charge', 'capture', 'payment_failure') GROUP BY charge
            ) line ON line.charge = charge.stripe_id
            WHERE account_id = %(account)s
        ) payment
        WHERE captured <> sold ORDER BY stripe_id LIMIT %(most)s
        """,
        account,
    ):
        detail = f"{format_money(captured, currency)} captured, {format_money(sold, currency)} in the ledger"
        yield Difference(FindingKind.CAPTURED, charge, detail, ("charge", charge))
    for charge, currency, refunded, given_back in _rows(
        """
        SELECT * FROM (
            SELECT stripe_id, charge.currency, amount_refunded, coalesce(refund.amount, 0) AS given_back
            FROM revenue_charge charge
            LEFT JOIN (
                SELECT charge, sum(amount)::bigint AS amount FROM revenue_refund
                WHERE account_id = %(account)s AND status NOT IN ('failed', 'canceled') GROUP BY charge
            ) refund ON refund.charge = charge.stripe_id
            WHERE account_id = %(account)s AND failure_balance_transaction = ''
        ) payment
        WHERE amount_refunded <> given_back ORDER BY stripe_id LIMIT %(most)s
        """,
        account,
    ):
        detail = f"{format_money(refunded, currency)} refunded, {format_money(given_back, currency)} in refunds"
        yield Difference(FindingKind.REFUNDED, charge, detail, ("charge", charge))


def off_balance(account: StripeAccount, balance: Mapping[str, int], at: dt.datetime) -> list[Difference]:
    """Find the currencies in which all movements up to a moment are not Stripe's `balance` at it, in minor units.

    Only of use when the whole history was read.
    """
    movements = BalanceTransaction.objects.filter(
        account=account, balance_type__in=PAYMENTS_BALANCE, created_at__lte=at
    )
    sums = dict(movements.order_by().values_list("currency").annotate(Sum("net")))
    return [
        Difference(
            FindingKind.BALANCE,
            currency,
            f"{format_money(sums.get(currency, 0), currency)} by its movements, "
            f"{format_money(balance.get(currency, 0), currency)} at Stripe",
        )
        for currency in sorted(sums.keys() | balance.keys())
        if sums.get(currency, 0) != balance.get(currency, 0)
    ]


def shared_views(account: StripeAccount) -> list[Difference]:
    """Find page views that pay again and again, renewals left aside: no money is wrong, but perhaps who is credited."""
    return [
        Difference(FindingKind.SHARED_VIEW, str(view), f"{times} times")
        for view, times in _rows(
            """
            SELECT decision.view_id, count(DISTINCT coalesce(nullif(bill.subscription, ''), decision.charge)) AS times
            FROM revenue_attribution decision
            JOIN revenue_charge charge
              ON charge.account_id = decision.account_id AND charge.stripe_id = decision.charge
            LEFT JOIN revenue_invoicepayment bill
              ON bill.account_id = charge.account_id AND bill.payment_intent = charge.payment_intent
             AND charge.payment_intent <> ''
            WHERE decision.account_id = %(account)s AND decision.model = 'last' AND decision.reason = ''
            GROUP BY decision.view_id
            HAVING count(DISTINCT coalesce(nullif(bill.subscription, ''), decision.charge)) > %(times)s
            ORDER BY times DESC LIMIT %(most)s
            """,
            account,
            times=MOST_PER_VIEW,
        )
    ]


def note(account: StripeAccount, found: Iterable[Difference], mended: Iterable[Difference], now: dt.datetime) -> None:
    """Keep what does not add up as findings, an alarm for each that is new, and end those that are in order again.

    `mended` is what was in order as soon as it was read again: it ought to have been so before.
    """
    wrong = {_key(each): each for each in found if not each.is_waiting}
    open_ = Finding.objects.filter(account=account, gone_at=None)
    known = {(finding.kind, finding.subject): finding for finding in open_}
    gone = [finding.pk for key, finding in known.items() if key not in wrong]
    Finding.objects.filter(pk__in=gone).update(gone_at=now)
    new: list[tuple[Difference, dt.datetime | None]] = [(each, None) for key, each in wrong.items() if key not in known]
    new += [(each, now) for each in mended if _key(each) not in known]
    for each, _ in new:
        logger.warning("%s: %s: %s (%s)", account, each.kind.label, each.subject, each.detail)
    Finding.objects.bulk_create(
        Finding(
            account=account,
            kind=each.kind,
            subject=each.subject,
            detail=each.detail[:300],
            found_at=now,
            gone_at=gone_at,
        )
        for each, gone_at in new
    )


def _key(difference: Difference) -> tuple[str, str]:
    return difference.kind.value, difference.subject


def _rows(statement: str, account: StripeAccount, **named: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"account": account.pk, "most": MOST, **named})
        return list(cursor.fetchall())

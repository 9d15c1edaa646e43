"""What moved, as a pure function of what Stripe says about one payment.

A line's key names the fact it stands for and its value follows from the latest state of that fact, so deriving
the lines again, in any order and any number of times, ends in the same ledger. Refunds and disputes are lines of
their own and never lower the payment's. Amounts are integer minor units of the line's own currency.

Facts and lines are named tuples, which are made several times as fast as frozen dataclasses: a history has millions.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

FAILED_REFUND = frozenset({"failed", "canceled"})
# A pending refund has left the balance already. One that waits for the customer's bank details has not, nor
# has one in a state that is not known, unless a movement proves it.
MOVED_REFUND = frozenset({"succeeded", "pending"})
DISPUTE_CATEGORIES = frozenset({"dispute", "dispute_reversal"})
# Of a capture of less than was held, Stripe may book all that was held and, at once, what of it was not captured.
NOT_CAPTURED = "partial_capture_reversal"
CHARGE_FAILURE = "charge_failure"
# Stripe writes down a refund for each of these, but nobody gave anything back: the payment was less, or none.
PAYMENT_CATEGORIES = frozenset({NOT_CAPTURED, CHARGE_FAILURE})

# Movements that each must be named by a line.
SALE_CATEGORIES = DISPUTE_CATEGORIES | PAYMENT_CATEGORIES | {"charge", "refund", "refund_failure"}
SALE_TYPES = frozenset(
    {
        *("charge", "payment", "payment_failure_refund", "payment_refund", "payment_reversal"),
        *("refund", "refund_failure"),
    }
)
# Movements that are no sales: payouts, fees of Stripe's, transfers, reserves, loans. A type in neither set is new.
OTHER_TYPES = frozenset(
    {
        *("adjustment", "advance", "advance_funding", "anticipation_repayment"),
        *("application_fee", "application_fee_refund", "climate_order_purchase", "climate_order_refund"),
        *("connect_collection_transfer", "contribution", "fee_credit_funding", "inbound_transfer"),
        *("inbound_transfer_reversal", "issuing_authorization_hold", "issuing_authorization_release"),
        *("issuing_dispute", "issuing_dispute_provisional_credit"),
        *("issuing_dispute_provisional_credit_reversal", "issuing_transaction", "obligation_outbound"),
        *("obligation_reversal_inbound", "payment_network_reserve_hold", "payment_network_reserve_release"),
        *("payment_unreconciled", "payout", "payout_cancel", "payout_failure"),
        *("payout_minimum_balance_hold", "payout_minimum_balance_release", "reserve_hold"),
        *("reserve_release", "reserve_transaction", "reserved_funds", "stripe_balance_payment_debit"),
        *("stripe_balance_payment_debit_reversal", "stripe_fee", "stripe_fx_fee", "tax_fee", "tax_fund"),
        *("topup", "topup_reversal", "transfer", "transfer_cancel", "transfer_failure", "transfer_refund"),
    }
)


class ChargeFact(NamedTuple):
    """`was_paid` tells of one that failed whether it had succeeded before: a debit may be refused before or after."""

    stripe_id: str
    created_at: dt.datetime
    status: str
    captured: bool
    amount: int
    amount_captured: int
    currency: str
    balance_transaction: str
    failure_balance_transaction: str
    was_paid: bool


class RefundFact(NamedTuple):
    stripe_id: str
    created_at: dt.datetime
    charge: str
    status: str
    amount: int
    currency: str
    balance_transaction: str
    failure_balance_transaction: str


class DisputeFact(NamedTuple):
    """A dispute moves nothing by itself: an inquiry never does. It tells which movements are disputes'."""

    stripe_id: str
    charge: str


class Movement(NamedTuple):
    """A balance transaction: an amount that entered or left Stripe's balance, in the settlement currency."""

    stripe_id: str
    created_at: dt.datetime
    type: str
    reporting_category: str
    source: str
    charge: str
    amount: int
    fee: int
    currency: str


class Line(NamedTuple):
    """`kind` is one of the ledger's kinds; `amount` is negative when money leaves the merchant."""

    key: str
    kind: str
    amount: int
    currency: str
    occurred_at: dt.datetime
    charge: str
    balance_transaction: str


def lines(
    charge_id: str,
    charge: ChargeFact | None,
    refunds: Sequence[RefundFact],
    disputes: Sequence[DisputeFact],
    movements: Sequence[Movement],
) -> list[Line]:
    """Give the lines of one payment, whether its charge is known yet or not.

    With an empty `charge_id`: of one refund that belongs to no payment.
    """
    by_id = {movement.stripe_id: movement for movement in movements}
    disputed = {dispute.stripe_id for dispute in disputes}
    found: list[Line] = []
    if charge:
        found.extend(_payment(charge, by_id))
    for refund in refunds:
        found.extend(_refund(refund, charge, by_id))
    for movement in movements:
        if movement.reporting_category in DISPUTE_CATEGORIES or movement.source in disputed:
            found.append(_moved(f"dispute:{movement.stripe_id}", "dispute", movement.amount, movement, charge_id))
        if movement.fee:
            found.append(_moved(f"fee:{movement.stripe_id}", "fee", -movement.fee, movement, charge_id))
    return found


def _payment(charge: ChargeFact, movements: Mapping[str, Movement]) -> Iterator[Line]:
    failure = movements.get(charge.failure_balance_transaction)
    if charge.failure_balance_transaction:
        taken = charge.amount_captured or charge.amount
        # Until the failure itself is known, the payment counts for nothing, as it will in the end.
        if not charge.was_paid or not failure:
            yield from _debit(charge, taken, failure, movements)
            return
        yield from _captures(charge, taken, movements)
        yield _failure(charge, "payment_failure", taken, failure)
    elif charge.status == "succeeded" and charge.captured:
        yield from _captures(charge, charge.amount_captured, movements)
    elif charge.status == "pending":
        yield from _debit(charge, charge.amount, None, movements)


def _debit(
    charge: ChargeFact, amount: int, failure: Movement | None, movements: Mapping[str, Movement]
) -> Iterator[Line]:
    """A debit that is on the balance although nobody has paid: the bank has not answered, or has refused."""
    if charge.balance_transaction:
        key, booked = f"charge:{charge.stripe_id}:pending", charge.balance_transaction
        yield _fact(key, "pending", amount, charge, charge.stripe_id, booked, movements)
        if failure:
            yield _failure(charge, "pending", amount, failure)


def _failure(charge: ChargeFact, kind: str, amount: int, failure: Movement) -> Line:
    key, at = f"charge:{charge.stripe_id}:failure", failure.created_at
    return Line(key, kind, -amount, charge.currency, at, charge.stripe_id, failure.stripe_id)


def _captures(charge: ChargeFact, captured: int, movements: Mapping[str, Movement]) -> Iterator[Line]:
    """What was captured: mostly in one movement, which the charge names; else each further one is a line too."""
    named = (charge.balance_transaction, charge.failure_balance_transaction)
    further = [
        movement
        for movement in movements.values()
        if (movement.reporting_category == "charge" and movement.source == charge.stripe_id)
        or movement.reporting_category == NOT_CAPTURED
        if movement.stripe_id not in named
    ]
    first = movements.get(charge.balance_transaction)
    settled = sum(movement.amount for movement in [*further, *([first] if first else [])])
    gross = captured
    for movement in further:
        if movement.currency == charge.currency:
            amount = movement.amount
        else:
            amount = round(Fraction(captured * movement.amount, settled)) if settled else 0
        gross -= amount
        key, at = f"capture:{movement.stripe_id}", movement.created_at
        yield Line(key, "capture", amount, charge.currency, at, charge.stripe_id, movement.stripe_id)
    key, booked = f"charge:{charge.stripe_id}:gross", charge.balance_transaction
    yield _fact(key, "charge", gross, charge, charge.stripe_id, booked, movements)


def _refund(refund: RefundFact, charge: ChargeFact | None, movements: Mapping[str, Movement]) -> Iterator[Line]:
    movement = movements.get(refund.balance_transaction)
    if movement and movement.reporting_category in PAYMENT_CATEGORIES:
        return
    failure = movements.get(refund.failure_balance_transaction)
    if refund.status in FAILED_REFUND:
        # Given back and returned, each on its day; without the return known, neither has happened.
        if not failure:
            return
    elif not movement and (_was_only_held(charge) or not (refund.balance_transaction or refund.status in MOVED_REFUND)):
        return
    yield _fact(
        f"refund:{refund.stripe_id}",
        "refund",
        -refund.amount,
        refund,
        refund.charge,
        refund.balance_transaction,
        movements,
    )
    if failure:
        yield Line(
            f"refund:{refund.stripe_id}:failure",
            "refund_failure",
            refund.amount,
            refund.currency,
            failure.created_at,
            refund.charge,
            failure.stripe_id,
        )


def _was_only_held(charge: ChargeFact | None) -> bool:
    """Tell whether some of the amount was never taken: letting go of it is a refund at Stripe, but moves nothing."""
    return charge is not None and charge.amount_captured < charge.amount


def _fact(
    key: str,
    kind: str,
    amount: int,
    fact: ChargeFact | RefundFact,
    charge: str,
    movement_id: str,
    movements: Mapping[str, Movement],
) -> Line:
    """A line in the fact's own currency, on the day its movement was booked, if that is known already."""
    movement = movements.get(movement_id)
    occurred_at = movement.created_at if movement else fact.created_at
    return Line(key, kind, amount, fact.currency, occurred_at, charge, movement_id)


def _moved(key: str, kind: str, amount: int, movement: Movement, charge: str) -> Line:
    return Line(key, kind, amount, movement.currency, movement.created_at, charge, movement.stripe_id)

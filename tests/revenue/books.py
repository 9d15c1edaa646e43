"""The ledger and the sandbox's own books, each in the other's shape, and all that a sync has written."""

import dataclasses
import datetime as dt
import json
from collections import Counter
from typing import Any

from revenue.models import (
    Attribution,
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Dispute,
    InvoicePayment,
    LedgerLine,
    Refund,
)
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World

MIRROR = [CheckoutSession, Charge, Refund, Dispute, InvoicePayment, BalanceTransaction]
# What a line counts as; what is pending counts as nothing.
COUNTED_AS = {
    "charge": "gross",
    "capture": "gross",
    "payment_failure": "gross",
    "refund": "refunded",
    "refund_failure": "refunded",
    "dispute": "disputed",
    "fee": "fees",
}


def sums() -> dict[str, dict[str, int]]:
    """The ledger in the shape of the world's truth."""
    found: dict[str, dict[str, int]] = {}
    for line in LedgerLine.objects.exclude(kind="pending"):
        currency = found.setdefault(line.currency, {"gross": 0, "refunded": 0, "disputed": 0, "fees": 0, "orders": 0})
        name = COUNTED_AS[line.kind]
        currency[name] += line.amount if name == "gross" else -line.amount
        currency["orders"] += line.kind == "charge"
    return found


def truth(world: World, account: Account) -> dict[str, dict[str, int]]:
    return {currency: dataclasses.asdict(sum_) for currency, sum_ in world.truth(account).items()}


# Payment, what it counts as, currency, moment.
Moved = Counter[tuple[str, str, str, dt.datetime]]


def booked() -> Moved:
    """What moved, by the ledger."""
    found: Moved = Counter()
    for line in LedgerLine.objects.exclude(kind="pending"):
        found[line.charge, COUNTED_AS[line.kind], line.currency, line.occurred_at] += line.amount
    return Counter({key: amount for key, amount in found.items() if amount})


def moved(world: World, account: Account) -> Moved:
    """What moved, by the sandbox's books."""
    found: Moved = Counter()
    for entry in world.books(account):
        at = dt.datetime.fromtimestamp(entry.at, dt.UTC)
        if entry.kind in ("gross", "refunded", "disputed"):
            found[entry.payment or "", entry.kind, entry.currency, at] += entry.amount
        if entry.fee:
            found[entry.payment or "", "fees", entry.moved_in, at] -= entry.fee
    return Counter({key: amount for key, amount in found.items() if amount})


def everything() -> dict[str, Any]:
    """All that a sync has written, without ids of rows and times of looking."""
    left_out = {"id", "observed_at", "decided_at", "booked_at"}
    return {
        model.__name__: sorted(
            json.dumps({name: value for name, value in row.items() if name not in left_out}, default=str)
            for row in model._base_manager.values()
        )
        for model in [*MIRROR, LedgerLine, Attribution]
    }

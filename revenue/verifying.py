"""Proves that nothing was missed: the rows are held against each other and against Stripe's balance, and whatever
does not add up is read once more before it counts as wrong.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from revenue.models import Slice, Stream, StripeAccount
from revenue.models.findings import FindingKind
from revenue.reconcile import Difference, differences, note, off_balance, shared_views
from revenue.streams import OVERLAP
from revenue.stripe_client import MalformedAnswerError, PermissionMissingError
from revenue.tick import Tick

# So many objects are read once more, of those that the differences concern.
MOST_READ_AGAIN = 50
# So often it is waited for a balance that nobody's payment changes while it is looked at.
MOST_TRIES = 3
MOVEMENTS = "balance_transaction"
# What is wrong when an object of Stripe's is missing here or outdated.
OF_OBJECTS = (FindingKind.REFUNDED, FindingKind.BALANCE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What Stripe's balance was at a moment, per currency in minor units."""

    at: dt.datetime
    balance: dict[str, int]


def verify(tick: Tick) -> list[Difference]:
    """Find what does not add up in the account of a tick that has run, and keep it as findings. Raise ReadError."""
    fresh = _fresh(tick)
    # A movement may show up minutes after it has changed the balance. Only who asks wants to hear of it before.
    reading = fresh if fresh and tick.plan.drain else _settled(tick)
    found = _judge(tick, reading)
    mended: list[Difference] = []
    if wrong := [each for each in found if not each.is_waiting]:
        _read_again(tick, wrong)
        found = _judge(tick, reading)
        left = {(each.kind, each.subject) for each in found}
        # An object that had been missed is told of by itself.
        mended = [each for each in wrong if (each.kind, each.subject) not in left and each.kind not in OF_OBJECTS]
    note(tick.account, [*found, *shared_views(tick.account)], mended, tick.now)
    if fresh:
        StripeAccount.objects.filter(pk=tick.account.pk).update(balance=fresh.balance, balance_at=fresh.at)
    return found


def _judge(tick: Tick, reading: Reading | None) -> list[Difference]:
    found = differences(tick.account, tick.moment)
    return [*found, *off_balance(tick.account, reading.balance, reading.at)] if reading else found


def _settled(tick: Tick) -> Reading | None:
    """The balance as it was read the last time, if that is long enough ago for all its movements to be known."""
    account = tick.account
    if account.balance is None or account.balance_at is None or not _is_whole(account):
        return None
    return Reading(account.balance_at, account.balance) if account.balance_at <= tick.moment - OVERLAP else None


def _fresh(tick: Tick) -> Reading | None:
    """The balance as it is now, with all its movements read; None, and a word why, when there is no such moment."""
    if not _is_whole(tick.account):
        tick.tell("balance: not compared, for not every movement is read yet")
        return None
    try:
        before = _read_balance(tick)
        for _ in range(MOST_TRIES):
            tick.read_latest(MOVEMENTS)
            after = _read_balance(tick)
            if before.balance == after.balance:
                return before
            before = after
    except PermissionMissingError:
        tick.tell("balance: not compared, for the key may not read it")
    else:
        tick.tell("balance: not compared, for money moved all the time")
    return None


def _is_whole(account: StripeAccount) -> bool:
    """Tell whether every movement since the account's first day was read."""
    is_begun = Stream.objects.filter(account=account, name=MOVEMENTS).exclude(covered_to=None).exists()
    return is_begun and not Slice.objects.filter(account=account, name=MOVEMENTS).exists()


def _read_balance(tick: Tick) -> Reading:
    answer = tick.reader.get("/v1/balance")
    sums: dict[str, int] = {}
    for name in ("available", "pending"):
        parts = answer.data.get(name)
        for part in parts if isinstance(parts, list) else [None]:
            amount, currency = (part.get("amount"), part.get("currency")) if isinstance(part, dict) else (None, None)
            if type(amount) is not int or not isinstance(currency, str):
                raise MalformedAnswerError(f"Stripe's balance has no usable “{name}”.")
            sums[currency] = sums.get(currency, 0) + amount
    return Reading(answer.date, sums)


def _read_again(tick: Tick, wrong: Iterable[Difference]) -> None:
    concerned = list(dict.fromkeys(each.concerned for each in wrong if each.concerned))
    for name, identity in concerned[:MOST_READ_AGAIN]:
        tick.read_again(name, identity)
    # For the beat that would be too much: its sweeps come round to it.
    if tick.plan.drain and any(each.kind == FindingKind.BALANCE for each in wrong):
        tick.read_all_again(MOVEMENTS)

"""How many of an account's reads are ours, and how often the account is read for them.

Stripe grants an account 500 reads for each of its transactions of the last 30 days, and 10,000 at least. The
merchant's other tools live on the same reads, so half of them is left alone.
"""

import datetime as dt
from dataclasses import dataclass

DAYS = 30
GRANTED_AT_LEAST = 10_000
GRANTED_PER_TRANSACTION = 500
# So many reads a day are made even when our half is spent, or nobody would learn of a payment for weeks.
TRICKLE = 24
# What the sweeps, the proof, and the look whether the account is still the same come to in a day.
SWEEPS = 14
LISTS_PER_DRAIN = 2
MOST_REFETCHED = 20

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the events are read, how often the lists without an event, and how much is read again with them."""

    tick: dt.timedelta
    drain: dt.timedelta
    refetched: int

    @property
    def reads_a_day(self) -> int:
        """What it costs while nothing happens, without what is read again."""
        return DAY // self.tick + LISTS_PER_DRAIN * (DAY // self.drain) + SWEEPS


STEPS = [
    (dt.timedelta(minutes=1), dt.timedelta(minutes=15)),
    (dt.timedelta(minutes=5), dt.timedelta(hours=1)),
    (dt.timedelta(minutes=15), dt.timedelta(hours=2)),
    (dt.timedelta(hours=1), dt.timedelta(hours=4)),
    (dt.timedelta(hours=4), DAY),
]


def granted(transactions: int) -> int:
    """How many reads Stripe grants in 30 days to an account with so many transactions in them."""
    return max(GRANTED_AT_LEAST, GRANTED_PER_TRANSACTION * transactions)


def share(transactions: int) -> int:
    """Our half of them."""
    return granted(transactions) // 2


def allowance(transactions: int, spent_before: int) -> int:
    """How many reads may be made today unasked, after `spent_before` in the 29 days before.

    Every day the same while that stays within our half of 30 days; less after a day that took more.
    """
    half = share(transactions)
    return max(TRICKLE, min(half // DAYS, half - spent_before))


def ceiling(transactions: int, spent_before: int) -> int:
    """How many may be made today when somebody asks for them, or the history is read for the first time."""
    return max(TRICKLE, granted(transactions) * 4 // 5 - spent_before)


def pace(reads: int) -> Pace:
    """The quickest pace that so many reads a day allow, with the rest for objects to be read again."""
    paces = [Pace(tick, drain, 1) for tick, drain in STEPS]
    chosen = next((each for each in paces if each.reads_a_day <= reads), paces[-1])
    spare = (reads - chosen.reads_a_day) // (DAY // chosen.drain)
    return Pace(chosen.tick, chosen.drain, min(max(spare, 1), MOST_REFETCHED))

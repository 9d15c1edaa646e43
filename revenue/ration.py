"""Counts the reads of each account and day, and stops who would take too many."""

import datetime as dt
from dataclasses import dataclass
from threading import Lock

from django.conf import settings
from django.db.models import F, Sum

from revenue import budget
from revenue.budget import Pace
from revenue.models import Charge, Connection, ReadCount, StripeAccount
from revenue.stripe_client import ReadError

# The sandbox has no ration, and a demo should not keep anybody waiting.
SANDBOX_PACE = Pace(dt.timedelta(seconds=4), dt.timedelta(minutes=15), budget.MOST_REFETCHED)


class RationSpentError(ReadError):
    sentence = "Reading waits, so that Stripe's ration of reads is left to your other tools."


class KeyGoneError(ReadError):
    sentence = "The connection has no key any more."


@dataclass(frozen=True, slots=True)
class Usage:
    """How many reads were made today and in the last 30 days, of how many we allow ourselves and Stripe grants."""

    today: int
    in_30_days: int
    share: int
    granted: int


def usage(account: StripeAccount, now: dt.datetime) -> Usage:
    transactions = _transactions(account, now)
    before, today = _spent(account, now)
    return Usage(today, before + today, budget.share(transactions), budget.granted(transactions))


def count_reads(account: StripeAccount, now: dt.datetime, reads: int) -> None:
    """Add reads to those of the day."""
    day = now.astimezone(dt.UTC).date()
    ReadCount.objects.bulk_create([ReadCount(account=account, read_on=day)], ignore_conflicts=True)
    ReadCount.objects.filter(account=account, read_on=day).update(reads=F("reads") + reads)


class Ration:
    """What one run may read by the key of a connection. One that somebody asked for may go beyond the day's part."""

    def __init__(self, connection: Connection, now: dt.datetime, *, is_asked_for: bool) -> None:
        self.reads = 0
        self._connection, self._account = connection, connection.account
        self._now, self._is_asked_for = now, is_asked_for
        self._kept = 0
        self._lock = Lock()
        self.measure()

    def measure(self) -> None:
        """See anew how much is left: payments that were read meanwhile come with reads of their own."""
        transactions = _transactions(self._account, self._now)
        before, today = _spent(self._account, self._now)
        self.allowance = budget.allowance(transactions, before)
        most = budget.ceiling(transactions, before) if self._is_asked_for else self.allowance
        self._left = most - today - (self.reads - self._kept)

    @property
    def is_spent(self) -> bool:
        return self._left <= 0 and not settings.STRIPE_IS_SANDBOX

    @property
    def pace(self) -> Pace:
        return SANDBOX_PACE if settings.STRIPE_IS_SANDBOX else budget.pace(self.allowance)

    @property
    def refetched(self) -> int:
        """How many objects that can still change are to be read again."""
        return budget.MOST_REFETCHED if self._is_asked_for else self.pace.refetched

    def count(self) -> None:
        """Count one read that is about to be made. Raise RationSpentError."""
        with self._lock:
            if self.is_spent:
                raise RationSpentError
            self._left -= 1
            self.reads += 1

    def keep(self) -> None:
        """Write down what was counted since the last time. Raise KeyGoneError if the key was destroyed."""
        reads = self.reads
        if reads > self._kept:
            if not Connection.objects.filter(pk=self._connection.pk).exclude(sealed_key="").exists():
                raise KeyGoneError
            count_reads(self._account, self._now, reads - self._kept)
            self._kept = reads


def _transactions(account: StripeAccount, now: dt.datetime) -> int:
    since = now - budget.DAYS * budget.DAY
    return Charge.objects.filter(account=account, created_at__gt=since, status="succeeded").count()


def _spent(account: StripeAccount, now: dt.datetime) -> tuple[int, int]:
    """The reads of the 29 days before, and of today."""
    day = now.astimezone(dt.UTC).date()
    counts = ReadCount.objects.filter(account=account, read_on__lte=day, read_on__gt=day - budget.DAYS * budget.DAY)
    before = counts.exclude(read_on=day).aggregate(total=Sum("reads"))["total"] or 0
    today = counts.filter(read_on=day).aggregate(total=Sum("reads"))["total"] or 0
    return before, today

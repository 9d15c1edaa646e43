"""How much of an account is read: up to which moment nothing is missing, and how far back its history reaches."""

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Min, Q

from revenue.backfill import FIRST_DAY
from revenue.models import Charge, Slice, Stream, StripeAccount
from revenue.streams import LISTS, MONEY


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a history that is still being read: `share` of its time, from 0 to 1; all that is newer than `back_to`, None
    while no list was begun; and how many payments were found.
    """

    share: float
    back_to: dt.datetime | None
    payments: int

    @property
    def percent(self) -> int:
        return int(self.share * 100)


def covered_to(account: StripeAccount) -> dt.datetime | None:
    """Every list was read once, the history too, and those in which money moves are read up to then."""
    covered = Stream.objects.filter(account=account, name__in=LISTS).exclude(covered_to=None)
    found = covered.aggregate(count=Count("pk"), moment=Min("covered_to", filter=Q(name__in=MONEY)))
    is_whole = found["count"] == len(LISTS) and not _left(account)
    return found["moment"] if is_whole else None


def progress(account: StripeAccount, now: dt.datetime) -> Progress | None:
    """Tell how far the first reading has got; None when the whole history is there."""
    begun = Stream.objects.filter(account=account, name__in=LISTS).exclude(covered_to=None).count()
    left = _left(account)
    if begun == len(LISTS) and not left:
        return None
    first_at = account.opened_at or FIRST_DAY
    whole = len(LISTS) * (now - first_at)
    missing = sum((each.until_at - max(each.since_at or first_at, first_at) for each in left), dt.timedelta())
    missing += (len(LISTS) - begun) * (now - first_at)
    back_to = max((each.until_at for each in left), default=None) if begun == len(LISTS) else None
    return Progress(
        min(max(1 - missing / whole, 0), 1), back_to, Charge.objects.filter(account=account, status="succeeded").count()
    )


def _left(account: StripeAccount) -> list[Slice]:
    return list(Slice.objects.filter(account=account, is_known=False))

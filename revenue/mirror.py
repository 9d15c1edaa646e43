"""Stripe's objects as rows, and the ledger lines that follow from them, a page at a time.

A row is replaced only by one observed at the same moment or later, and a page's rows and lines are committed
together, so a page that is stored again, late, or by two workers at once does no harm.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction

from revenue import allowlist
from revenue.allowlist import StripeObject, object_type
from revenue.booking import book
from revenue.models import BalanceTransaction, Dispute, Refund, StripeAccount
from revenue.models.mirror import Mirrored
from revenue.unfinished import is_final
from revenue.upsert import stored_fields, upsert

KEY = ("account_id", "stripe_id")


@dataclass(frozen=True, slots=True)
class Expected:
    """Which objects an earlier sync ought to have stored as they are now.

    Those created before `since`, but for the `hinted` ids, of which an event tells that they changed. `since` None
    expects nothing.
    """

    since: dt.datetime | None = None
    hinted: Collection[str] = ()

    def __contains__(self, row: Mirrored) -> bool:
        return self.since is not None and row.created_at < self.since and row.stripe_id not in self.hinted


@dataclass(frozen=True, slots=True)
class Stored:
    """The ids of what was stored, of those that were healed, and of charges that must have changed with it."""

    ids: set[str]
    healed: set[str]
    moved: set[str]


@dataclass(slots=True)
class Tally:
    """How many objects of a type were seen; of these, new here; of the known, changed.

    `healed` counts those new or changed that an earlier sync ought to have seen so.
    """

    seen: int = 0
    new: int = 0
    changed: int = 0
    healed: int = 0


def lock(account: StripeAccount) -> None:
    """Let one transaction at a time write what follows from the account's rows, until it ends."""
    StripeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)


def store(
    account: StripeAccount,
    objects: Iterable[StripeObject],
    observed_at: dt.datetime,
    tallies: Mapping[str, Tally],
    expected: Expected | None = None,
) -> Stored:
    """Store objects of one answer, with those that Stripe put into them, and the ledger lines they lead to.

    What is `expected` and yet new or changed counts as healed. Raise MalformedAnswerError, with nothing stored.
    """
    expected = expected or Expected()
    rows: dict[str, dict[str, Mirrored]] = defaultdict(dict)
    for item in objects:
        for each in allowlist.rows(account, item, observed_at):
            rows[object_type(each)][each.stripe_id] = each
    missed: list[Mirrored] = []
    fresh: list[Mirrored] = []
    with transaction.atomic():
        lock(account)
        for name, of_type in rows.items():
            for row in _upsert(list(of_type.values()), tallies[name]):
                (missed if row in expected else fresh).append(row)
        book(account, [row for of_type in rows.values() for row in of_type.values()])
    # A charge changes with the refund or dispute that has just come with it.
    moved = {row.charge for row in fresh if isinstance(row, Refund | Dispute | BalanceTransaction)}
    healed = [row for row in missed if row.stripe_id not in moved]
    for row in healed:
        tallies[object_type(row)].healed += 1
    ids = {identity for of_type in rows.values() for identity in of_type}
    return Stored(ids, {row.stripe_id for row in healed}, moved)


def _upsert(rows: list[Mirrored], tally: Tally) -> list[Mirrored]:
    """Store rows of one type, count them, and give those that say something new about what seemed final.

    Needs the account's lock, so that the counts are right.
    """
    model = type(rows[0])
    ids = [row.stripe_id for row in rows]
    known = {row.stripe_id: row for row in model._base_manager.filter(account=rows[0].account, stripe_id__in=ids)}
    upsert(rows, KEY, newer="observed_at")
    contents = [field.attname for field in stored_fields(model) if field.attname != "observed_at"]
    news = []
    tally.seen += len(rows)
    for row in rows:
        before = known.get(row.stripe_id)
        if before is None:
            tally.new += 1
            news.append(row)
        elif row.observed_at >= before.observed_at and any(
            getattr(row, name) != getattr(before, name) for name in contents
        ):
            tally.changed += 1
            if is_final(before):
                news.append(row)
    return news

"""Stripe's objects as rows, and the ledger lines that follow from them, a page at a time.

A row is replaced only by one observed at the same moment or later, and a page's rows and lines are committed
together, so a page that is stored again, late, or by two workers at once does no harm.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from django.db import connection, transaction
from django.db.models import Model

from revenue.allowlist import object_type
from revenue.booking import book
from revenue.models import BalanceTransaction, Dispute, Refund, StripeAccount
from revenue.models.mirror import Mirrored
from revenue.unfinished import is_final
from revenue.upsert import stored_fields, upsert, values

KEY = ("account_id", "stripe_id")
# With so many new rows a table may be far larger than the database believes.
MANY = 1_000
# Of 3,000 rows it is seen as well as of the usual 30,000 that there are many, and that their ids are all different.
ROUGHLY = 10


@dataclass(frozen=True, slots=True)
class Expected:
    """Which objects an earlier sync ought to have stored as they are now.

    Those created before `since`, but for the `hinted` ids, of which an event tells that they changed. `since` None
    expects nothing. In an account's history much comes twice in short order: what has not changed since is left alone.
    """

    since: dt.datetime | None = None
    hinted: Collection[str] = ()
    is_history: bool = False

    def __contains__(self, row: Mirrored) -> bool:
        return self.since is not None and row.created_at < self.since and row.stripe_id not in self.hinted


@dataclass(frozen=True, slots=True)
class Stored:
    """The ids of what was stored, of those that were healed, and of charges that must have changed with it; and how
    many had not been known.
    """

    new: int
    ids: set[str]
    healed: set[str]
    moved: set[str]


@dataclass(frozen=True, slots=True)
class Change:
    """A row that differs from the one that was there before, if any."""

    before: Mirrored | None
    after: Mirrored

    @property
    def is_news(self) -> bool:
        """It was not known, or seemed final."""
        return self.before is None or is_final(self.before)


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


def measure_tables(*models: type[Model]) -> None:
    """Let the database see at once how large the tables have become; by itself it looks a minute later.

    Until then it plans as for empty tables, and what decides about payments takes longer with the square of them.
    """
    with connection.cursor() as cursor:
        for model in models:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")


class Growth:
    """Measures tables that are being filled: roughly whenever as many rows have come as there were the last time."""

    def __init__(self, *models: type[Model]) -> None:
        self._models = models
        self._added, self._next = 0, MANY

    def add(self, rows: int) -> None:
        self._added += rows

    def measure(self) -> None:
        """Measure them if it is time to; not within a transaction, which would keep others from it."""
        if self._added < self._next:
            return
        self._next = 2 * self._added
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL default_statistics_target = {ROUGHLY}")
            measure_tables(*self._models)

    def finish(self) -> None:
        """Measure them as well as the database does by itself, if many rows have come."""
        if self._added >= MANY:
            measure_tables(*self._models)


def store(
    account: StripeAccount, rows: Iterable[Mirrored], tallies: Mapping[str, Tally], expected: Expected | None = None
) -> Stored:
    """Store rows that were read from Stripe's answers, and the ledger lines they lead to.

    What is `expected` and yet new or changed counts as healed. Where nothing is expected, as in an account's history,
    much comes twice in short order, and what has not changed is not booked again.
    """
    expected = expected or Expected()
    latest: dict[str, dict[str, Mirrored]] = defaultdict(dict)
    for row in rows:
        name = object_type(row)
        tallies[name].seen += 1
        other = latest[name].setdefault(row.stripe_id, row)
        if row.observed_at >= other.observed_at:
            latest[name][row.stripe_id] = row
    changes: list[Change] = []
    with transaction.atomic():
        lock(account)
        for name, of_type in latest.items():
            changes += _upsert(list(of_type.values()), tallies[name], is_history=expected.is_history)
        book(
            account,
            [change.after for change in changes]
            if expected.since is None
            else [row for of_type in latest.values() for row in of_type.values()],
        )
    news = [change.after for change in changes if change.is_news]
    # A charge changes with the refund or dispute that has just come with it.
    moved = {
        row.charge for row in news if row not in expected and isinstance(row, Refund | Dispute | BalanceTransaction)
    }
    healed = [row for row in news if row in expected and row.stripe_id not in moved]
    for row in healed:
        tallies[object_type(row)].healed += 1
    ids = {identity for of_type in latest.values() for identity in of_type}
    new = sum(change.before is None for change in changes)
    return Stored(new, ids, {row.stripe_id for row in healed}, moved)


def _upsert(rows: list[Mirrored], tally: Tally, *, is_history: bool) -> list[Change]:
    """Store rows of one type, count what is new and what changed, and give it.

    Of an account's history, what is stored already is not stored once more only because it was seen later. Needs the
    account's lock, so that the counts are right.
    """
    model = type(rows[0])
    # What lasts has not changed, and who was shown for the first time has changed nothing about the payment.
    aside = ("observed_at", *model.lasting)
    names = [field.attname for field in stored_fields(model) if field.attname not in aside]
    everything, first = attrgetter(*aside, *names), len(aside)
    ids = [row.stripe_id for row in rows]
    found = model._base_manager.filter(account=rows[0].account_id, stripe_id__among=ids)
    known = {identity: said for identity, *said in found.values_list("stripe_id", *aside, *names)}
    changes, written = [], []
    for row in rows:
        says, said = list(everything(row)), known.get(row.stripe_id)
        if said is None:
            changes.append(Change(None, row))
        elif says[0] >= said[0] and says[first:] != said[first:]:
            changes.append(Change(model(**dict(zip(names, said[first:], strict=True))), row))
        elif is_history and says[1:] == said[1:]:
            continue
        written.append(row)
    upsert(model, values(model, written), KEY, newer="observed_at", lasting=model.lasting)
    news = sum(change.before is None for change in changes)
    tally.new += news
    tally.changed += len(changes) - news
    return changes

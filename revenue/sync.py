"""One sync of a connection: what changed at Stripe becomes rows, ledger lines and decisions.

A run that dies anywhere leaves nothing that the next one does not repair.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from django.db import connection as database
from django.db.models import Count, Exists, Min, OuterRef, Q

from revenue import ledger
from revenue.attribution import Model
from revenue.crediting import credit
from revenue.encryption import UnreadableError
from revenue.mirror import Tally
from revenue.models import Attribution, BalanceTransaction, Connection, LedgerLine, Slice, Stream, StripeAccount
from revenue.models.accounts import Status
from revenue.models.ledger import Kind
from revenue.ration import Ration, RationSpentError
from revenue.secrecy import scrub
from revenue.streams import LISTS, MONEY
from revenue.stripe_client import (
    AccountChangedError,
    KeyRefusedError,
    ReadError,
    StripeReader,
    ThrottledError,
)
from revenue.tick import Plan, Tick

# A key that was refused is tried again now and then: a permission may have been granted, or a network set right.
REFUSED_AGAIN = dt.timedelta(hours=1)
# How long a run that the beat began may read history before the next one looks what is new.
BACKFILL_SECONDS = 600.0
NO_PAUSE = dt.timedelta(0)
LOCK = 1_215_655_266


class LockedError(Exception):
    """Another run is reading the same Stripe account."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a sync of one connection did, and how the account stands after it.

    `payments` are those credited to the connection's site and those credited to nobody; `covered_to` is the
    moment before which no object of Stripe's is missing. `error` is empty when everything was read; with
    `is_in_part`, some lists were and some were not.
    """

    site: str
    account: str
    mode: str
    status: str
    covered_to: dt.datetime | None
    reads: int
    objects: dict[str, Tally]
    attributed: int
    unattributed: dict[str, int]
    unmatched_balance_transactions: int
    error: str
    is_in_part: bool

    @property
    def payments(self) -> int:
        return self.attributed + sum(self.unattributed.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "site": self.site,
            "account": self.account,
            "mode": self.mode,
            "status": self.status,
            "covered_to": self.covered_to.isoformat() if self.covered_to else None,
            "reads": self.reads,
            "objects": {name: asdict(tally) for name, tally in self.objects.items()},
            "payments": self.payments,
            "attributed": self.attributed,
            "unattributed": self.unattributed,
            "unmatched_balance_transactions": self.unmatched_balance_transactions,
            "error": self.error or None,
        }


def sync(
    connection: Connection,
    now: dt.datetime,
    *,
    drain: bool = False,
    full: bool = False,
    since: dt.datetime | None = None,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Bring the account of `connection` up to date.

    Without `drain`, as the beat has it, the lists are only read when an event hints at something new or they are
    due, and only so much as the day's part of Stripe's ration allows. `full` reads everything again, or everything
    created `since` then, and decides again what no visit was credited with. What keeps Stripe from being read
    stands in the report and on the connection. Raise LockedError.
    """
    account = connection.account
    is_asked_for = drain or full
    ration = Ration(account, now, is_asked_for=is_asked_for or connection.synced_at is None)
    plan = Plan(is_asked_for, full, since, None if is_asked_for else BACKFILL_SECONDS)
    outcome = _Outcome(Status.DISCONNECTED, "The connection has no key any more.")
    tick = Tick(account, now, ration, plan, lambda count: _open(connection, count), progress)
    if connection.sealed_key:
        with _only_run(account):
            Connection.objects.filter(pk=connection.pk).update(tried_at=now)
            outcome = _read(connection, tick)
            credit(account, now, again=full)
            _note(connection, outcome, now)
            ration.measure()
            StripeAccount.objects.filter(pk=account.pk).update(due_at=now + max(outcome.pause, ration.pace.tick))
    return _report(connection, tick, outcome)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a reading, and how long the account is to be left alone at least."""

    status: Status
    problem: str = ""
    pause: dt.timedelta = NO_PAUSE


def _open(connection: Connection, before_read: Callable[[], None]) -> StripeReader:
    return StripeReader(connection.open_key(), before_read=before_read)


def _read(connection: Connection, tick: Tick) -> _Outcome:
    """Let the tick read Stripe. Pages stored before an error stay."""
    try:
        with _open(connection, tick.ration.count) as reader:
            try:
                tick.run(reader)
            finally:
                tick.ration.keep()
    except UnreadableError as error:
        return _Outcome(Status.KEY_UNREADABLE, str(error))
    except KeyRefusedError as error:
        return _Outcome(Status.KEY_REFUSED, str(error), REFUSED_AGAIN)
    except AccountChangedError as error:
        return _Outcome(Status.ACCOUNT_CHANGED, str(error), REFUSED_AGAIN)
    except RationSpentError as error:
        return _Outcome(Status.RATIONED, str(error))
    except ThrottledError as error:
        return _Outcome(Status.THROTTLED, str(error), dt.timedelta(seconds=error.wait))
    except ReadError as error:
        return _Outcome(Status.UNREACHABLE, str(error))
    return _Outcome(Status.UNREACHABLE, tick.problem) if tick.problem else _Outcome(Status.CONNECTED)


def _note(connection: Connection, outcome: _Outcome, now: dt.datetime) -> None:
    """Write on the connection how it went, unless its key was replaced or removed meanwhile."""
    news: dict[str, Any] = {"status": outcome.status, "problem": scrub(outcome.problem)[:300]}
    if outcome.status == Status.CONNECTED:
        # What one site's key has read is there for every site of the account.
        Connection.objects.filter(account=connection.account_id, status=Status.CONNECTED).update(synced_at=now)
        news["synced_at"] = now
    Connection.objects.filter(pk=connection.pk, sealed_key=connection.sealed_key).update(**news)


@contextmanager
def _only_run(account: StripeAccount) -> Iterator[None]:
    """Keep a second run from spending Stripe's ration of reads. Nothing else depends on it."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, account.pk])
        if cursor.fetchone() != (True,):
            raise LockedError
    try:
        yield
    finally:
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, account.pk])


def _report(connection: Connection, tick: Tick, outcome: _Outcome) -> Report:
    account = connection.account
    paid = LedgerLine.objects.filter(account=account, kind=Kind.CHARGE)
    decisions = (
        Attribution.objects.filter(account=account, model=Model.LAST_NON_DIRECT, charge__in=paid.values("charge"))
        .exclude(Q(reason="") & ~Q(site=connection.site_id))
        .values_list("reason")
        .annotate(count=Count("pk"))
    )
    unattributed = dict(decisions)
    return Report(
        site=connection.site.domain,
        account=account.acct_id,
        mode=account.mode,
        status=outcome.status.value,
        covered_to=_covered_to(account),
        reads=tick.ration.reads,
        objects=tick.tallies,
        attributed=unattributed.pop("", 0),
        unattributed=unattributed,
        unmatched_balance_transactions=_unmatched(account),
        error=scrub(outcome.problem),
        is_in_part=bool(tick.problems) and tick.is_complete,
    )


def _covered_to(account: StripeAccount) -> dt.datetime | None:
    """Every list was read once, the history too, and those in which money moves are read up to then."""
    covered = Stream.objects.filter(account=account, name__in=LISTS).exclude(covered_to=None)
    found = covered.aggregate(count=Count("pk"), moment=Min("covered_to", filter=Q(name__in=MONEY)))
    is_whole = found["count"] == len(LISTS) and not Slice.objects.filter(account=account, is_known=False).exists()
    return found["moment"] if is_whole else None


def _unmatched(account: StripeAccount) -> int:
    """Count the movements that ought to be in the ledger and are not, or are of a type never seen."""
    lines = LedgerLine.objects.filter(account=account, balance_transaction=OuterRef("stripe_id"))
    is_sale = Q(type__in=ledger.SALE_TYPES) | Q(reporting_category__in=ledger.DISPUTE_CATEGORIES)
    is_new = ~Q(type__in=ledger.SALE_TYPES | ledger.OTHER_TYPES)
    return (
        BalanceTransaction.objects.filter(is_sale | is_new, account=account)
        .exclude(Exists(lines.exclude(kind=Kind.FEE)))
        .count()
    )

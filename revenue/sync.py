"""One sync of a connection: what changed at Stripe becomes rows, ledger lines and decisions.

A run that dies anywhere leaves nothing that the next one does not repair.
"""

import datetime as dt
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from django.db import connection as database
from django.db.models import Count, Q

from revenue.attribution import Model
from revenue.crediting import credit
from revenue.customers import NAME as CUSTOMERS
from revenue.customers import Customers, PaymentReader
from revenue.encryption import UnreadableError
from revenue.mirror import Tally
from revenue.models import Attribution, Connection, LedgerLine, StripeAccount
from revenue.models.accounts import Status
from revenue.models.ledger import Kind
from revenue.probing import lacking
from revenue.progress import covered_to
from revenue.ration import KeyGoneError, Ration, RationSpentError
from revenue.reconcile import Difference, unmatched
from revenue.secrecy import scrub
from revenue.streams import EVENTS, LISTS
from revenue.stripe_client import (
    PERMISSIONS,
    AccountChangedError,
    KeyRefusedError,
    PermissionMissingError,
    ReadError,
    StripeReader,
    ThrottledError,
)
from revenue.tick import Plan, Tick
from revenue.verifying import verify
from sites import about

# A key that was refused is tried again now and then: a permission may have been granted, or a network set right.
REFUSED_AGAIN = dt.timedelta(hours=1)
# How long a run that the beat began may read history before the next one looks what is new.
BACKFILL_SECONDS = 600.0
NO_PAUSE = dt.timedelta(0)
# After how many new objects Python looks for garbage; it would after 700.
SELDOM = 10_000
LOCK = 1_215_655_266


class LockedError(Exception):
    """Another run is reading the same Stripe account."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a sync of one connection did, and how the account stands after it.

    `payments` are those credited to the connection's site and those credited to nobody; `covered_to` is the
    moment before which no object of Stripe's is missing. `error` is empty when everything was read and, if that
    was asked for, adds up; with `is_in_part`, some lists were read and some were not. `differences` are what does
    not add up, those too that may only be waiting; None when that was not asked for, or could not be told.
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
    differences: tuple[Difference, ...] | None

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
    is_verified: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Bring the account of `connection` up to date, as `catch_up` does, and report it. Raise LockedError."""
    run = catch_up(connection, now, drain=drain, full=full, since=since, is_verified=is_verified, progress=progress)
    return _report(connection, run)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a reading, and how long the account is to be left alone at least."""

    status: Status
    problem: str = ""
    pause: dt.timedelta = NO_PAUSE


@dataclass(frozen=True, slots=True)
class Run:
    """What a reading did, what became of it, and what does not add up; None when that was not verified."""

    tick: Tick
    outcome: _Outcome
    differences: list[Difference] | None = None


def catch_up(
    connection: Connection,
    now: dt.datetime,
    *,
    drain: bool = False,
    full: bool = False,
    since: dt.datetime | None = None,
    is_verified: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Run:
    """Bring the account of `connection` up to date.

    Without `drain`, as the beat has it, the lists are only read when an event hints at something new or they are
    due, and only so much as the day's part of Stripe's ration allows. `full` reads everything again, or everything
    created `since` then, and decides again what no visit was credited with. With `is_verified`, the account's
    books are proved too. What keeps Stripe from being read stands in the run and on the connection. Raise
    LockedError.
    """
    account = connection.account
    about.note(site=connection.site.domain, account=account.acct_id)
    is_asked_for = drain or full
    ration = Ration(connection, now, is_asked_for=is_asked_for or connection.synced_at is None)
    plan = Plan(is_asked_for, full, since, None if is_asked_for else BACKFILL_SECONDS)
    customers = Customers(are_asked_for=CUSTOMERS not in connection.lacking)
    open_reader = partial(_open, connection, customers)
    tick = Tick(account, now, ration, plan, open_reader, progress)
    run = Run(tick, _Outcome(Status.DISCONNECTED, "The connection has no key any more."))
    if connection.sealed_key:
        with _only_run(account), _seldom_collecting():
            Connection.objects.filter(pk=connection.pk).update(tried_at=now)
            run = _read(open_reader, tick, is_verified)
            tick.growth.finish()
            credit(account, now, again=full)
            _note(connection, run, customers, now)
            ration.measure()
            StripeAccount.objects.filter(pk=account.pk).update(due_at=now + max(run.outcome.pause, ration.pace.tick))
    return run


def _open(connection: Connection, customers: Customers, before_read: Callable[[], None]) -> StripeReader:
    return PaymentReader(connection.open_key(), customers, before_read)


def _read(open_reader: Callable[[Callable[[], None]], StripeReader], tick: Tick, is_verified: bool) -> Run:
    """Let the tick read Stripe. Pages stored before an error stay."""
    found: list[Difference] | None = None
    try:
        with open_reader(tick.ration.count) as reader:
            try:
                tick.run(reader)
                if is_verified:
                    found = verify(tick)
            finally:
                tick.ration.keep()
    except (UnreadableError, ReadError) as error:
        return Run(tick, _outcome(error))
    outcome = _Outcome(Status.UNREACHABLE, tick.problem) if tick.problem else _Outcome(Status.CONNECTED)
    return Run(tick, outcome, found)


def _outcome(error: UnreadableError | ReadError) -> _Outcome:
    match error:
        case UnreadableError():
            return _Outcome(Status.KEY_UNREADABLE, str(error))
        case KeyRefusedError():
            return _Outcome(Status.KEY_REFUSED, str(error), REFUSED_AGAIN)
        case AccountChangedError():
            return _Outcome(Status.ACCOUNT_CHANGED, str(error), REFUSED_AGAIN)
        case KeyGoneError():
            return _Outcome(Status.DISCONNECTED, str(error))
        case RationSpentError():
            return _Outcome(Status.RATIONED, str(error))
        case ThrottledError():
            return _Outcome(Status.THROTTLED, str(error), dt.timedelta(seconds=error.wait))
    return _Outcome(Status.UNREACHABLE, str(error))


def _note(connection: Connection, run: Run, customers: Customers, now: dt.datetime) -> None:
    """Write on the connection how it went, unless its key was replaced or removed meanwhile."""
    outcome = run.outcome
    news: dict[str, Any] = {
        "status": outcome.status,
        "problem": scrub(outcome.problem)[:300],
        "lacking": _lacking(connection, run.tick, customers),
    }
    if outcome.status == Status.CONNECTED:
        # What one site's key has read is there for every site of the account.
        Connection.objects.filter(account=connection.account_id, status=Status.CONNECTED).update(synced_at=now)
        news["synced_at"] = now
    Connection.objects.filter(pk=connection.pk, sealed_key=connection.sealed_key).update(**news)


def _lacking(connection: Connection, tick: Tick, customers: Customers) -> list[str]:
    """What the key may not read. What was not tried in this run stays as it was known."""
    refused = {
        name
        for each, error in tick.problems.items()
        if isinstance(error, PermissionMissingError)
        for name in lacking(_path(each), error)
    }
    if customers.are_forbidden:
        refused.add(CUSTOMERS)
    read = {PERMISSIONS[_path(each)] for each in tick.drained}
    return sorted((set(connection.lacking) - read) | refused)


def _path(name: str) -> str:
    return EVENTS if name == "event" else LISTS[name][0]


def is_running(account: StripeAccount) -> bool:
    """Tell whether the account is being read right now."""
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (
                SELECT FROM pg_locks
                WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2 AND granted
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            )
            """,
            [LOCK, account.pk],
        )
        return bool(cursor.fetchone() == (True,))


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


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for garbage in cycles less often. Pages and rows have none, and looking took a fifth of a history’s time."""
    usual = gc.get_threshold()
    gc.set_threshold(SELDOM, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _report(connection: Connection, run: Run) -> Report:
    account, tick = connection.account, run.tick
    found = run.differences
    wrong = sum(not each.is_waiting for each in found or ())
    differences = f"{wrong} things do not add up." if wrong > 1 else "Something does not add up." if wrong else ""
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
        status=run.outcome.status.value,
        covered_to=covered_to(account),
        reads=tick.ration.reads,
        objects=tick.tallies,
        attributed=unattributed.pop("", 0),
        unattributed=unattributed,
        unmatched_balance_transactions=unmatched(account).count(),
        error=scrub(run.outcome.problem) or differences,
        differences=None if found is None else tuple(found),
        is_in_part=bool(tick.problems) and tick.is_complete,
    )

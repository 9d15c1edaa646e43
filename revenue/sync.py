"""One sync of a connection: what changed at Stripe becomes rows, ledger lines and decisions.

No list of Stripe's can be asked for what changed, `created` has whole seconds, and objects show up late. So each
list is read again from a while before the moment it is covered to, everything is stored by id, and the moment
moves only when a list was read to its end. Events tell what to read again, never what it is worth. A run that
dies anywhere leaves nothing that the next one does not repair.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any
from urllib.parse import quote

from django.db import connection as database
from django.db.models import Count, Exists, F, Min, OuterRef, Q

from revenue import ledger
from revenue.attribution import Model
from revenue.crediting import credit
from revenue.encryption import UnreadableError
from revenue.mirror import MODELS, Tally, object_type, store
from revenue.models import (
    Attribution,
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Connection,
    Dispute,
    LedgerLine,
    Refund,
    Stream,
    StripeAccount,
)
from revenue.models.accounts import Status
from revenue.models.ledger import Kind
from revenue.models.mirror import Mirrored
from revenue.pager import Page, check_object, pages
from revenue.secrecy import scrub
from revenue.stripe_client import (
    READ_SECONDS,
    KeyRefusedError,
    MalformedAnswerError,
    NotFoundError,
    PermissionMissingError,
    ReadError,
    StripeReader,
)

# Stripe shows objects up to ten minutes after it has stamped them.
OVERLAP = dt.timedelta(minutes=15)
# What was created in the last minute before a list was read may have been missed in it.
LAG = dt.timedelta(seconds=60)
# With an events read each quarter of an hour, five lists every two hours keep a quiet account at 156 reads a day:
# under half of the 10,000 in 30 days that Stripe grants it.
DRAIN_EVERY = dt.timedelta(hours=2)
# An answer that was a while on its way may be older than its Date says.
ANSWER_AGE = dt.timedelta(seconds=READ_SECONDS)
# How many objects that are not final are read again with each drain, each at most once an hour.
MOST_REFETCHED = 20
REFETCH_AFTER = dt.timedelta(hours=1)
LOCK = 1_215_655_266

LISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "checkout_session": ("/v1/checkout/sessions", {}),
    # One read brings a hundred movements together with their charges, refunds and disputes.
    "balance_transaction": ("/v1/balance_transactions", {"expand": ["data.source"]}),
    "charge": ("/v1/charges", {}),
    "refund": ("/v1/refunds", {}),
    "dispute": ("/v1/disputes", {}),
}
EVENTS = "/v1/events"
# Stripe takes twenty names at most. The first `refund.*` were only sent for some refunds, so both families count.
HINTS = [
    *("checkout.session.completed", "checkout.session.async_payment_succeeded"),
    *("checkout.session.async_payment_failed", "checkout.session.expired"),
    *("charge.succeeded", "charge.captured", "charge.updated", "charge.failed", "charge.refunded"),
    *("charge.expired", "charge.refund.updated", "refund.created", "refund.updated", "refund.failed"),
    *("charge.dispute.created", "charge.dispute.closed"),
    *("charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"),
    *("invoice_payment.paid", "invoice.paid"),
]
CLOSED_DISPUTE = ["won", "lost", "warning_closed", "prevented"]


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


@dataclass(frozen=True, slots=True)
class Hint:
    """An event's word that an object changed at a moment."""

    type: str
    id: str
    at: dt.datetime


def sync(
    connection: Connection,
    now: dt.datetime,
    *,
    drain: bool = False,
    full: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Bring the account of `connection` up to date.

    Without `drain`, the lists are only read when an event hints at something new or two hours have passed. `full`
    reads them from the account's first day, and decides again what no visit was credited with. What keeps Stripe
    from being read stands in the report and on the connection. Raise LockedError.
    """
    account = connection.account
    tick = _Tick(account, now, full, progress)
    status, problem = Status.DISCONNECTED, "The connection has no key any more."
    if connection.sealed_key:
        with _only_run(account):
            Connection.objects.filter(pk=connection.pk).update(tried_at=now)
            status, problem = _read(connection, tick, drain or full)
            credit(account, now, again=full)
            _note(connection, status, problem, now)
    return _report(connection, tick, status, problem)


def _read(connection: Connection, tick: "_Tick", drain: bool) -> tuple[Status, str]:
    """Let the tick read Stripe; give what became of it. Pages stored before an error stay."""
    try:
        with StripeReader(connection.open_key()) as reader:
            try:
                tick.run(reader, drain)
            finally:
                tick.reads = reader.reads
    except UnreadableError as error:
        return Status.KEY_UNREADABLE, str(error)
    except KeyRefusedError as error:
        return Status.KEY_REFUSED, str(error)
    except ReadError as error:
        return Status.UNREACHABLE, str(error)
    problem = " ".join(tick.problems)
    return (Status.UNREACHABLE if problem else Status.CONNECTED), problem


def _note(connection: Connection, status: Status, problem: str, now: dt.datetime) -> None:
    """Write on the connection how it went, unless its key was replaced or removed meanwhile."""
    news: dict[str, Any] = {"status": status, "problem": scrub(problem)[:300]}
    if status == Status.CONNECTED:
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


class _Tick:
    """One reading of an account. Time is Stripe's: that of the first answer."""

    reader: StripeReader

    def __init__(
        self, account: StripeAccount, now: dt.datetime, full: bool, progress: Callable[[str], None] | None
    ) -> None:
        self.account, self.now, self.full = account, now, full
        self.began_at: dt.datetime | None = None
        self.reads = 0
        self.tallies = {name: Tally() for name in LISTS}
        self.read_again: set[str] = set()
        self.problems: list[str] = []
        self.is_damaged = False
        self.is_complete = False
        self._progress = progress

    def run(self, reader: StripeReader, drain: bool) -> None:
        self.reader = reader
        events = self._stream("event")
        hints: list[Hint] = []
        are_hints_read = False
        with self._tolerance("event"):
            hints = self._hints(events)
            are_hints_read = True
        outdated = self._outdated(hints)
        if drain or outdated or any(self._is_due(self._stream(name)) for name in LISTS):
            for name in LISTS:
                with self._tolerance(name):
                    self._drain(name, {hint.id for hint in hints})
            for hint in outdated:
                # The lists did not bring what was created long ago.
                if hint.type in MODELS and hint.id not in self.read_again:
                    with self._tolerance(hint.type):
                        self._fetch(hint.type, hint.id)
            for row in self._unfinished():
                with self._tolerance(object_type(row)):
                    self._fetch(object_type(row), row.stripe_id)
        # What could not be read again now is hinted at again next time.
        if are_hints_read and not self.is_damaged:
            self._cover(events)
        self.is_complete = True

    @contextmanager
    def _tolerance(self, name: str) -> Iterator[None]:
        """Let one list's trouble be no reason to leave the others unread."""
        try:
            yield
        except (PermissionMissingError, MalformedAnswerError) as error:
            self.is_damaged |= isinstance(error, MalformedAnswerError)
            problem = f"{name}: {error.sentence}"
            if problem not in self.problems:
                self.problems.append(problem)

    def _stream(self, name: str) -> Stream:
        return Stream.objects.get_or_create(account=self.account, name=name)[0]

    def _is_due(self, stream: Stream) -> bool:
        # A clock that was set back must not put off the next drain.
        return stream.drained_at is None or not self.now - DRAIN_EVERY < stream.drained_at <= self.now

    def _pages(self, path: str, since: dt.datetime | None, params: dict[str, Any]) -> Iterator[Page]:
        for page in pages(self.reader, path, livemode=self.account.livemode, since=since, params=params):
            self.began_at = self.began_at or page.observed_at
            yield page

    def _hints(self, events: Stream) -> list[Hint]:
        """Read which objects changed since the last time; nothing, before the lists were ever read."""
        newest: dict[str, Hint] = {}
        if events.covered_to:
            for page in self._pages(EVENTS, events.covered_to - OVERLAP, {"types": HINTS}):
                for hint in filter(None, map(_hint, page.objects)):
                    newest[hint.id] = max(newest.get(hint.id, hint), hint, key=attrgetter("at"))
        return sorted(newest.values(), key=attrgetter("at"))

    def _observed(self, hints: Iterable[Hint]) -> dict[str, dt.datetime]:
        ids = defaultdict(list)
        for hint in hints:
            ids[hint.type].append(hint.id)
        return {
            row.stripe_id: row.observed_at
            for name, wanted in ids.items()
            if name in MODELS
            for row in MODELS[name]._base_manager.filter(account=self.account, stripe_id__in=wanted)
        }

    def _outdated(self, hints: list[Hint]) -> list[Hint]:
        """The events' objects that were not certainly read after the event."""
        observed = self._observed(hints)
        covered_to = self._stream("charge").covered_to
        outdated = []
        for hint in hints:
            # An invoice has no row here: the charge that pays it is in the lists.
            seen_at = observed.get(hint.id) if hint.type in MODELS else covered_to
            if seen_at is None or seen_at <= hint.at + ANSWER_AGE:
                outdated.append(hint)
        return outdated

    def _drain(self, name: str, hinted: Collection[str]) -> None:
        stream = self._stream(name)
        path, params = LISTS[name]
        expected_since = stream.covered_to - OVERLAP if stream.covered_to else None
        for page in self._pages(path, None if self.full else expected_since, params):
            stored = store(self.account, page.objects, page.observed_at, self.tallies, expected_since, hinted)
            self.read_again |= stored.intersection(hinted)
            self._tell(f"{name}: {self.tallies[name].seen}")
        self._cover(stream)

    def _cover(self, stream: Stream) -> None:
        """Move the moment before which nothing is missing; never back, whatever a clock says."""
        if self.began_at:
            moment = self.began_at - LAG
            Stream.objects.filter(Q(covered_to=None) | Q(covered_to__lte=moment), pk=stream.pk).update(
                covered_to=moment, drained_at=self.now
            )

    def _unfinished(self) -> list[Mirrored]:
        """Objects that can still change, however old they are: those not looked at for the longest time."""
        assert self.began_at
        due: list[Mirrored] = []
        for model, condition in UNFINISHED.items():
            found = model._base_manager.filter(
                condition, account=self.account, observed_at__lte=self.began_at - REFETCH_AFTER
            )
            due.extend(found.order_by("observed_at")[:MOST_REFETCHED])
        return sorted(due, key=attrgetter("observed_at"))[:MOST_REFETCHED]

    def _fetch(self, name: str, identity: str) -> None:
        path, _ = LISTS[name]
        try:
            answer = self.reader.get(f"{path}/{quote(identity, safe='')}")
        except NotFoundError:
            # Not visible yet, or deleted: in either case it must not keep the others from their turn.
            MODELS[name]._base_manager.filter(
                account=self.account, stripe_id=identity, observed_at__lt=self.began_at
            ).update(observed_at=self.began_at)
            return
        check_object(answer.data, path, self.account.livemode)
        store(self.account, [answer.data], answer.date, self.tallies)

    def _tell(self, text: str) -> None:
        if self._progress:
            self._progress(text)


UNFINISHED: dict[type[Mirrored], Q] = {
    CheckoutSession: Q(status="open", observed_at__lt=F("expires_at") + dt.timedelta(hours=1))
    | Q(status="complete", payment_status="unpaid"),
    Charge: Q(status="pending") | Q(status="succeeded", captured=False, amount_refunded__lt=F("amount")),
    Refund: Q(status__in=["pending", "requires_action"]),
    Dispute: ~Q(status__in=CLOSED_DISPUTE),
}


def _hint(event: dict[str, Any]) -> Hint | None:
    """Which object an event is about. Its amounts are not looked at: they may be in the form of years ago."""
    data = event.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    if not isinstance(about, dict):
        return None
    kind, identity = about.get("object"), about.get("id")
    if not isinstance(kind, str) or not isinstance(identity, str):
        return None
    return Hint(kind.replace(".", "_"), identity, dt.datetime.fromtimestamp(event["created"], dt.UTC))


def _report(connection: Connection, tick: _Tick, status: Status, problem: str) -> Report:
    account = connection.account
    covered = Stream.objects.filter(account=account, name__in=LISTS).exclude(covered_to=None)
    covered_to = covered.aggregate(count=Count("pk"), moment=Min("covered_to"))
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
        status=status.value,
        covered_to=covered_to["moment"] if covered_to["count"] == len(LISTS) else None,
        reads=tick.reads,
        objects=tick.tallies,
        attributed=unattributed.pop("", 0),
        unattributed=unattributed,
        unmatched_balance_transactions=_unmatched(account),
        error=scrub(problem),
        is_in_part=bool(tick.problems) and tick.is_complete,
    )


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

"""One sync of a connection: what changed at Stripe becomes rows, ledger lines and decisions.

No list of Stripe's can be asked for what changed, `created` has whole seconds, and objects show up late. So each
list is read again from a while before the moment it is covered to, everything is stored by id, and the moment
moves only when a list was read to its end. Events tell what to read again, never what it is worth. A run that
dies anywhere leaves nothing that the next one does not repair.
"""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any
from urllib.parse import quote

from django.db import connection as database
from django.db import models, transaction
from django.db.models import Count, Exists, F, Min, OuterRef, Q

from revenue import attribution, ledger
from revenue.attribution import Carried, Decision, Evidence, Model, Reason, SeenView, SeenVisit
from revenue.encryption import UnreadableError
from revenue.mirror import MODELS, Tally, lock, object_type, store
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
from sites.models import Site
from tracking.models import View, Visit

# Stripe shows objects up to ten minutes after it has stamped them.
OVERLAP = dt.timedelta(minutes=15)
# What was created in the last minute before a list was read may have been missed in it.
LAG = dt.timedelta(seconds=60)
DRAIN_EVERY = dt.timedelta(hours=1)
# An answer that was a while on its way may be older than its Date says.
ANSWER_AGE = dt.timedelta(seconds=READ_SECONDS)
# How many objects that are not final are read again with each drain, each at most once an hour.
MOST_REFETCHED = 20
REFETCH_AFTER = dt.timedelta(hours=1)
CREDITED_AT_ONCE = 500
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

    Without `drain`, the lists are only read when an event hints at something new or an hour has passed. `full`
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
        with StripeReader(connection.open_key()) as tick.reader:
            tick.run(drain)
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
        self.tallies = {name: Tally() for name in LISTS}
        self.read_again: set[str] = set()
        self.problems: list[str] = []
        self.is_damaged = False
        self.is_complete = False
        self._progress = progress

    def run(self, drain: bool) -> None:
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


def credit(account: StripeAccount, now: dt.datetime, *, again: bool = False) -> None:
    """Decide, under each model, which visit every payment is credited to that has no final decision yet.

    With `again`, every payment without a visit is decided anew, however old.
    """
    waiting = list(_undecided(account, now, again))
    sites = frozenset(account.connections.exclude(sealed_key="").values_list("site_id", flat=True))
    for start in range(0, len(waiting), CREDITED_AT_ONCE):
        with transaction.atomic():
            lock(account)
            _decide(account, waiting[start : start + CREDITED_AT_ONCE], sites, now)


def _undecided(account: StripeAccount, now: dt.datetime, again: bool) -> models.QuerySet[Charge]:
    paid = LedgerLine.objects.filter(account=account, kind=Kind.CHARGE, charge=OuterRef("stripe_id"))
    decided = Attribution.objects.filter(account=account, charge=OuterRef("stripe_id"), model=Model.LAST_NON_DIRECT)
    sessions = CheckoutSession.objects.filter(account=account, payment_intent=OuterRef("payment_intent"))
    carrying = sessions.filter(~Q(view_id="") | Q(client_reference_id__iregex=attribution.VIEW_ID.pattern))
    is_open = (
        Q(~Exists(decided))
        | Q(Exists(decided.filter(rules_version__lt=attribution.RULES_VERSION)))
        # A view that has not come within its window will not count when it comes.
        | Q(
            Exists(decided.filter(reason__in=[Reason.WAITING, Reason.UNKNOWN])),
            created_at__gt=now - attribution.WINDOW,
        )
        | Q(Exists(decided.filter(reason=Reason.NO_SESSION)), ~Q(payment_intent=""), Exists(sessions))
        | Q(Exists(decided.filter(reason=Reason.NO_ID)), ~Q(view_id="") | Q(Exists(carrying)))
    )
    if again:
        is_open |= Q(~Exists(decided.filter(reason="")))
    return Charge.objects.filter(is_open, Exists(paid), account=account).order_by("created_at", "stripe_id")


def _decide(account: StripeAccount, charges: list[Charge], sites: frozenset[int], now: dt.datetime) -> None:
    sessions: dict[str, list[CheckoutSession]] = defaultdict(list)
    intents = {charge.payment_intent for charge in charges} - {""}
    for session in CheckoutSession.objects.filter(account=account, payment_intent__in=intents).order_by("created_at"):
        sessions[session.payment_intent].append(session)
    carried = {charge.stripe_id: _carried(charge, sessions[charge.payment_intent]) for charge in charges}
    views = _views({found.view_id for found in carried.values() if found.view_id}, sites)
    visits = _visits(views.values())
    rows = []
    for charge in charges:
        found = carried[charge.stripe_id]
        view = views.get(found.view_id) if found.view_id else None
        for model in Model:
            decision = attribution.decide(
                found,
                has_session=bool(sessions[charge.payment_intent]),
                view=view,
                visits=visits[view.site, view.visitor] if view else [],
                sites=sites,
                paid_at=charge.created_at,
                now=now,
                model=model,
            )
            rows.append(_decision_row(charge, model, decision, now))
    _set_decisions(account, rows)


def _carried(charge: Charge, sessions: Iterable[CheckoutSession]) -> Carried:
    carriers = [(Evidence.CHARGE, charge.view_id)]
    carriers += [(Evidence.SESSION, session.view_id) for session in sessions]
    carriers += [(Evidence.REFERENCE, session.client_reference_id) for session in sessions]
    return attribution.carried(carriers)


def _views(ids: set[uuid.UUID], sites: frozenset[int]) -> dict[uuid.UUID, SeenView]:
    """Find views by id, first on the account's own sites, where an id made up elsewhere cannot shadow them."""
    found: dict[uuid.UUID, SeenView] = {}
    own = View.objects.filter(site__in=sites, id__in=ids)
    found = {row.id: _seen_view(row) for row in own}
    # The sites are named so that the index, which begins with the site, is used.
    others = list(Site.objects.exclude(pk__in=sites).values_list("pk", flat=True))
    missing = ids - found.keys()
    if missing and others:
        found |= {row.id: _seen_view(row) for row in View.objects.filter(site__in=others, id__in=missing)}
    return found


def _seen_view(row: View) -> SeenView:
    return SeenView(row.site_id, row.id, row.visit_id, row.visitor, row.at, row.path, tuple(row.variants))


def _visits(views: Iterable[SeenView]) -> dict[tuple[int, uuid.UUID], list[SeenVisit]]:
    """The visits of the views' visitors, who are only the same visitor for a day."""
    visitors: dict[int, set[uuid.UUID]] = defaultdict(set)
    for view in views:
        visitors[view.site].add(view.visitor)
    found: dict[tuple[int, uuid.UUID], list[SeenVisit]] = defaultdict(list)
    for site, wanted in visitors.items():
        for row in Visit.objects.filter(site=site, visitor__in=wanted):
            same = {name: getattr(row, name) for name in SNAPSHOT}
            found[site, row.visitor].append(
                SeenVisit(row.id, row.started_at, row.entry_path, **same, variants=tuple(row.variants))
            )
    return found


# Of the credited visit's fields, those that stand under the same name in the decision.
SNAPSHOT = [
    *("channel", "source", "referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
    *("country", "region", "city", "browser", "os", "device"),
]


def _decision_row(charge: Charge, model: Model, decision: Decision, now: dt.datetime) -> Attribution:
    row = Attribution(
        account_id=charge.account_id,
        charge=charge.stripe_id,
        model=model.value,
        rules_version=attribution.RULES_VERSION,
        decided_at=now,
        reason=decision.reason.value if decision.reason else "",
        evidence=decision.carried.evidence.value if decision.carried.evidence else "",
        carried_id=decision.carried.text,
        variants=list(decision.variants),
    )
    if decision.view and decision.visit:
        row.site_id = decision.view.site
        row.view_id, row.viewed_at, row.page = decision.view.id, decision.view.at, decision.view.path
        row.visitor, row.visit_id = decision.view.visitor, decision.visit.id
        row.landing_page = decision.visit.landing_page
        for name in SNAPSHOT:
            setattr(row, name, getattr(decision.visit, name))
    return row


def _set_decisions(account: StripeAccount, rows: list[Attribution]) -> None:
    """Store the decisions that are new or differ from what was decided before."""
    names = [column.attname for column in Attribution._meta.concrete_fields if not column.primary_key]
    contents = [name for name in names if name != "decided_at"]
    known = {
        (row.charge, row.model): row
        for row in Attribution.objects.filter(account=account, charge__in={row.charge for row in rows})
    }

    def is_news(row: Attribution) -> bool:
        before = known.get((row.charge, row.model))
        return before is None or any(getattr(row, name) != getattr(before, name) for name in contents)

    keys = ["account", "charge", "model"]
    Attribution.objects.bulk_create(
        filter(is_news, rows),
        update_conflicts=True,
        unique_fields=keys,
        update_fields=[name for name in names if name not in ("account_id", "charge", "model")],
    )


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
        reads=tick.reader.reads if hasattr(tick, "reader") else 0,
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

"""Decides which visit each payment is credited to, from the mirror and the site's own views and visits.

Can run at any time and any number of times: a payment is decided again only while something new could change
the decision, and a decision that says the same is not written again.
"""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple, TypeVar

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q

from revenue import attribution, history
from revenue.attribution import Carried, Decision, Evidence, Model, Reason, SeenView, SeenVisit
from revenue.mirror import Growth, lock
from revenue.models import (
    Attribution,
    AttributionRules,
    Charge,
    CheckoutSession,
    InvoicePayment,
    LedgerLine,
    StripeAccount,
)
from revenue.models.ledger import Kind
from revenue.upsert import filled, stored_fields, upsert, values
from sites.models import Site
from tracking.models import BotView, View, Visit

LOOKED_UP_AT_ONCE = 10_000
CREDITED_AT_ONCE = 500
# The reasons of decisions that were made without a view.
UNSEEN = (Reason.UNKNOWN, Reason.BLOCKED, Reason.BOT)
NOTHING_SEEN = (Reason.NO_ID, Reason.MALFORMED, Reason.NO_SESSION, Reason.WAITING, *UNSEEN)
M = TypeVar("M", "Checkout", InvoicePayment)


@dataclass(frozen=True, slots=True)
class Change:
    """A decision, and the one that it replaces, if any."""

    before: Attribution | None
    after: Attribution


def credit(account: StripeAccount, now: dt.datetime, *, again: bool = False) -> None:
    """Decide, under each model, which visit every payment is credited to that has no final decision yet.

    With `again`, every payment without a visit is decided anew, however old.
    """
    growth = Growth(Attribution)
    for payments in _open(account, now, again):
        for _ in _credit(account, payments, now, list(Model)):
            growth.add(1)
            growth.measure()
    growth.finish()


def credit_anew(account: StripeAccount, now: dt.datetime, chosen: Collection[Model]) -> Iterator[Change]:
    """Decide anew about every payment, under the models chosen, and give what is now decided otherwise."""
    yield from _credit(account, _paid(account), now, chosen)


def decide_anew(account: StripeAccount) -> None:
    """Have the next `credit` decide about every payment once more."""
    Attribution.objects.filter(account=account).update(rules_version=0)


def _credit(
    account: StripeAccount, payments: models.QuerySet[Charge], now: dt.datetime, chosen: Collection[Model]
) -> Iterator[Change]:
    sites = frozenset(account.connections.exclude(sealed_key="").values_list("site_id", flat=True))
    is_later = Q()
    while listed := list(payments.filter(is_later).values_list("created_at", "stripe_id")[:LOOKED_UP_AT_ONCE]):
        for first in range(0, len(listed), CREDITED_AT_ONCE):
            ids = [identity for _, identity in listed[first : first + CREDITED_AT_ONCE]]
            with transaction.atomic():
                lock(account)
                found = _paid(account).filter(stripe_id__among=ids).values_list(*Payment._fields)
                changes = _decide(account, [Payment(*values) for values in found], sites, now, chosen)
            yield from changes
        at, identity = listed[-1]
        is_later = Q(created_at__gt=at) | Q(created_at=at, stripe_id__gt=identity)


def _paid(account: StripeAccount) -> models.QuerySet[Charge]:
    """Payments, the oldest first, so that a renewal's first payment is decided about before it."""
    booked = LedgerLine.objects.filter(account=account, kind=Kind.CHARGE, charge=OuterRef("stripe_id"))
    return Charge.objects.filter(Exists(booked), account=account).order_by("created_at", "stripe_id")


def _undecided(account: StripeAccount) -> models.QuerySet[Charge]:
    return _paid(account).filter(~Exists(_decisions(account).filter(charge=OuterRef("stripe_id"))))


def _open(account: StripeAccount, now: dt.datetime, again: bool) -> Iterator[models.QuerySet[Charge]]:
    """Payments to be decided about, in two lots. Each is found quickly however many are decided for good."""
    yield _undecided(account)
    is_outdated = Q(rules_version__lt=attribution.RULES_VERSION) | Q(reason=Reason.WAITING)
    decisions = _decisions(account).filter(is_outdated | ~Q(reason="") if again else is_outdated)
    is_open = Q(stripe_id__in=decisions.values("charge"))
    if not again:
        is_open |= Q(stripe_id__among=_reopened(account, now))
    yield _paid(account).filter(is_open)


def _reopened(account: StripeAccount, now: dt.datetime) -> set[str]:
    """Find payments about which something new may decide otherwise.

    Each question is asked by itself, if there are payments of its kind at all: of all in one, the database finds no
    way that is quick.
    """
    decisions = _decisions(account)
    kinds = set(decisions.order_by().values_list("reason", "evidence").distinct())
    reasons, evidences = {reason for reason, _ in kinds}, {evidence for _, evidence in kinds}
    charges = Charge.objects.filter(account=account)
    questions = []
    if reasons & set(UNSEEN):
        # A view does not come later than its window after the payment, and no decision is made before the payment.
        since = now - attribution.WINDOW
        recent = charges.filter(created_at__gt=since)
        arrived = _arrived(decisions.filter(decided_at__gt=since, charge__in=recent.values("stripe_id")))
        questions.append(charges.filter(stripe_id__among=arrived))
    decided = decisions.filter(charge=OuterRef("stripe_id"))
    of_intent = Q(~Q(payment_intent=""), account=account, payment_intent=OuterRef("payment_intent"))
    sessions, bills = CheckoutSession.objects.filter(of_intent), InvoicePayment.objects.filter(of_intent)
    if Reason.NO_SESSION in reasons:
        without = charges.filter(Exists(decided.filter(reason=Reason.NO_SESSION)))
        questions += [without.filter(Exists(sessions)), without.filter(Exists(bills))]
    if Reason.NO_ID in reasons:
        without = charges.filter(Exists(decided.filter(reason=Reason.NO_ID)))
        carries = ~Q(view_id="") | ~Q(client_reference_id="")
        begun = CheckoutSession.objects.filter(carries, account=account, subscription=OuterRef("subscription"))
        is_carrying = ~Q(invoice_view_id="") | ~Q(subscription_view_id="") | Q(~Q(subscription=""), Exists(begun))
        questions += [without.exclude(view_id=""), without.filter(Exists(sessions.filter(carries)))]
        questions.append(without.filter(Exists(bills.filter(is_carrying))))
    if reasons & {Reason.NO_SESSION, Reason.NO_ID}:
        # Of a renewal, the customer is not asked.
        asked = decided.filter(reason__in=[Reason.NO_SESSION, Reason.NO_ID], is_renewal=False)
        questions.append(charges.filter(Exists(asked), customer_view_id__gt=""))
    if Evidence.CUSTOMER in evidences:
        by_customer = charges.filter(Exists(decided.filter(evidence=Evidence.CUSTOMER)))
        questions.append(by_customer.filter(_is_outdone(account)).exclude(payment_intent=""))
    return {charge for question in questions for charge in question.values_list("stripe_id", flat=True)}


def _arrived(decisions: models.QuerySet[Attribution]) -> list[str]:
    """Give the payments that were decided about without a view which is there by now.

    The views are asked for apart, since they may be on other machines than the decisions.
    """
    carried = dict(decisions.filter(reason__in=UNSEEN).values_list("charge", "carried_id"))
    wanted = {charge: uuid.UUID(text) for charge, text in carried.items()}
    if not wanted:
        return []
    # The sites are named so that the index, which begins with them, is used.
    sites = list(Site.objects.values_list("pk", flat=True))
    found = set(View.objects.filter(site__in=sites, id__among=set(wanted.values())).values_list("id", flat=True))
    return [charge for charge, view in wanted.items() if view in found]


def _is_outdone(account: StripeAccount) -> Q:
    """Tell of a payment if something is known of it that is believed more than its customer's metadata.

    Objects show up late, and the history is read in parts: the customer comes with the payment, the rest may follow.
    """
    legible = rf"^\s*{attribution.VIEW_ID.pattern}\s*$"
    own = Q(account=account, payment_intent=OuterRef("payment_intent"))
    of_subscription = Q(~Q(subscription=""), account=account, subscription=OuterRef("subscription"))
    begun = CheckoutSession.objects.filter(of_subscription, view_id__iregex=legible)
    paid_before = InvoicePayment.objects.filter(
        of_subscription, ~Q(invoice=OuterRef("invoice")), status="paid", created_at__lt=OuterRef("created_at")
    )
    bills = InvoicePayment.objects.filter(
        Q(invoice_view_id__iregex=legible) | Q(subscription_view_id__iregex=legible) | Exists(begun), own
    )
    renewed = InvoicePayment.objects.filter(own, Exists(paid_before.exclude(payment_intent="")))
    decided = _decisions(account).filter(charge=OuterRef("stripe_id"), is_renewal=False)
    return (
        Exists(CheckoutSession.objects.filter(own, view_id__iregex=legible))
        | Exists(bills)
        | Q(Exists(decided), Exists(renewed))
    )


def _decisions(account: StripeAccount) -> models.QuerySet[Attribution]:
    """One of each payment: the models differ in the visit they credit, not in whether they do."""
    return Attribution.objects.filter(account=account, model=Model.LAST_NON_DIRECT)


class Payment(NamedTuple):
    """What a decision needs of a Charge. Tuples of a few columns are read several times as fast as whole rows."""

    stripe_id: str
    created_at: dt.datetime
    payment_intent: str
    view_id: str
    customer_view_id: str | None


class Checkout(NamedTuple):
    """What a decision needs of a CheckoutSession."""

    stripe_id: str
    created_at: dt.datetime
    payment_intent: str
    subscription: str
    recovered_from: str
    view_id: str
    client_reference_id: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of how a payment came about: its checkouts, or those its subscription began with."""

    bills: list[InvoicePayment]
    sessions: list[Checkout]

    @property
    def subscriptions(self) -> list[str]:
        return [bill.subscription for bill in self.bills if bill.subscription]

    def is_renewal(self, first_invoices: Mapping[str, str]) -> bool:
        """`first_invoices` are those of subscriptions, by their id."""
        return any(bill.invoice != first_invoices.get(bill.subscription, bill.invoice) for bill in self.bills)

    def carried(self, charge: Payment, *, is_renewal: bool) -> Carried:
        """What a payment's objects carried, or for a renewal those of its subscription.

        A renewal asks no customer: by then he may have come back for something else.
        """
        carriers = [(Evidence.CHARGE, charge.view_id)]
        carriers += [(Evidence.INVOICE, bill.invoice_view_id) for bill in self.bills]
        carriers += [(Evidence.SUBSCRIPTION, bill.subscription_view_id) for bill in self.bills]
        carriers += [(Evidence.SESSION, session.view_id) for session in self.sessions]
        carriers += [(Evidence.CUSTOMER, charge.customer_view_id or "")] if not is_renewal else []
        carriers += [(Evidence.REFERENCE, session.client_reference_id) for session in self.sessions]
        return attribution.carried(carriers)

    def begun_at(self, charge: Payment) -> dt.datetime:
        return min([charge.created_at, *(session.created_at for session in self.sessions)])


def _decide(
    account: StripeAccount, charges: list[Payment], sites: frozenset[int], now: dt.datetime, chosen: Collection[Model]
) -> list[Change]:
    """Store the decisions about payments, and give those that are new or differ from the ones before."""
    origins = _origins(account, charges)
    first_invoices = _first_invoices(account, origins.values())
    renewals = {charge for charge, origin in origins.items() if origin.is_renewal(first_invoices)}
    carried = {
        charge.stripe_id: origins[charge.stripe_id].carried(charge, is_renewal=charge.stripe_id in renewals)
        for charge in charges
    }
    wanted = {found.view_id for found in carried.values() if found.view_id}
    views = _views(wanted, sites)
    bots = set(
        BotView.objects.filter(site__in=sites, view_id__among=wanted - views.keys()).values_list("view_id", flat=True)
    )
    visits = _visits(views.values())
    rules = AttributionRules.objects.in_bulk({*sites, *(view.site for view in views.values())})
    before = {
        (row.charge, row.model): row
        for row in Attribution.objects.filter(account=account, charge__among=[charge.stripe_id for charge in charges])
    }
    rows = []
    for charge in charges:
        found, origin = carried[charge.stripe_id], origins[charge.stripe_id]
        view = views.get(found.view_id) if found.view_id else None
        of_visitor = visits[view.site, view.visitor] if view else []
        window = rules[view.site].window if view and view.site in rules else attribution.WINDOW
        decision = None
        for model in chosen:
            # If there is a reason not to credit a visit, it is the same under each model.
            if decision is None or decision.reason is None:
                decision = attribution.decide(
                    found,
                    has_session=bool(origin.sessions or origin.bills),
                    view=view,
                    visits=of_visitor,
                    sites=sites,
                    paid_at=charge.created_at,
                    begun_at=origin.begun_at(charge),
                    now=now,
                    model=model,
                    window=window,
                    is_bot=found.view_id in bots,
                )
            earlier = before.get((charge.stripe_id, model))
            if earlier and _must_stay(earlier, decision, of_visitor):
                rows.append(_kept_row(earlier))
            else:
                rows.append(_decision_row(account, charge, model, decision, now))
            rows[-1].is_renewal = charge.stripe_id in renewals
    rows = _without_renewals(_inherited(account, rows, origins), rules)
    changes = _set_decisions(account, rows, before, now)
    _reopen_later_payments(account, changes, origins)
    return changes


def _origins(account: StripeAccount, charges: list[Payment]) -> dict[str, Origin]:
    """Find the checkouts of payments: their own, or for a renewal the one its subscription began with."""
    sessions = (
        CheckoutSession.objects.filter(account=account)
        .order_by("created_at", "stripe_id")
        .values_list(*Checkout._fields)
    )
    intents = {charge.payment_intent for charge in charges} - {""}
    bills = list(InvoicePayment.objects.filter(account=account, payment_intent__among=intents).order_by("created_at"))
    subscriptions = {bill.subscription for bill in bills} - {""}
    is_own = Q(payment_intent__among=intents) | Q(subscription__among=subscriptions)
    found = [Checkout(*values) for values in sessions.filter(is_own)]
    # A buyer may come back to a session that has expired: then what the first one carried counts too.
    recovered = {session.recovered_from for session in found} - {""}
    first = {values[0]: Checkout(*values) for values in sessions.filter(stripe_id__among=recovered)}
    bills_of, sessions_of = _by(bills, "payment_intent"), _by(found, "payment_intent")
    sessions_of_subscription = _by(found, "subscription")
    origins = {}
    for charge in charges:
        paid = bills_of[charge.payment_intent] if charge.payment_intent else []
        own = dict.fromkeys(sessions_of[charge.payment_intent] if charge.payment_intent else [])
        for bill in paid:
            own |= dict.fromkeys(sessions_of_subscription[bill.subscription] if bill.subscription else [])
        own |= dict.fromkeys([first[session.recovered_from] for session in own if session.recovered_from in first])
        origins[charge.stripe_id] = Origin(paid, list(own))
    return origins


def _first_invoices(account: StripeAccount, origins: Iterable[Origin]) -> dict[str, str]:
    """Find the first invoice of each subscription that money was paid for."""
    subscriptions = {name for origin in origins for name in origin.subscriptions}
    if not subscriptions:
        return {}
    bills = list(InvoicePayment.objects.filter(account=account, subscription__in=subscriptions))
    paid = _paid(account).filter(payment_intent__in={bill.payment_intent for bill in bills} - {""})
    paid_at = {charge.payment_intent: (charge.created_at, charge.stripe_id) for charge in reversed(paid)}
    settled = [bill for bill in bills if bill.payment_intent in paid_at]
    last_first = sorted(settled, key=lambda bill: paid_at[bill.payment_intent], reverse=True)
    return {bill.subscription: bill.invoice for bill in last_first}


def _reopen_later_payments(account: StripeAccount, changes: Iterable[Change], origins: Mapping[str, Origin]) -> None:
    """Have payments decided about again that were their subscription's first as long as an earlier one was unknown."""
    firsts = {change.after.charge for change in changes if not change.before and not change.after.is_renewal}
    subscriptions = {name for charge in firsts for name in origins[charge].subscriptions}
    if subscriptions:
        bills = InvoicePayment.objects.filter(account=account, subscription__in=subscriptions)
        charges = Charge.objects.filter(account=account, payment_intent__in=bills.values("payment_intent"))
        others = charges.exclude(payment_intent="").exclude(stripe_id__in=firsts).values("stripe_id")
        Attribution.objects.filter(account=account, charge__in=others, is_renewal=False).update(rules_version=0)


def _by(rows: Iterable[M], name: str) -> dict[str, list[M]]:
    groups: dict[str, list[M]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, name)].append(row)
    return groups


def _inherited(account: StripeAccount, rows: list[Attribution], origins: Mapping[str, Origin]) -> list[Attribution]:
    """Let a renewal that no visit is found for inherit what its subscription's earlier payments were credited to."""
    wanted = {name for row in rows if row.reason for name in origins[row.charge].subscriptions}
    if not wanted:
        return rows
    earlier = _credited(account, wanted)
    for row in rows:
        names = origins[row.charge].subscriptions
        donor = next((earlier[name, row.model] for name in names if (name, row.model) in earlier), None)
        if row.reason and donor:
            for name in [*DECISION, *SNAPSHOT]:
                setattr(row, name, getattr(donor, name))
        elif not row.reason:
            for name in names:
                earlier.setdefault((name, row.model), row)
    return rows


def _without_renewals(rows: list[Attribution], rules: Mapping[int, AttributionRules]) -> list[Attribution]:
    """Take the credit from renewals on sites that credit first payments only."""
    nothing = Attribution()
    for row in rows:
        of_site = rules.get(row.site_id) if row.site_id else None
        if row.is_renewal and of_site and not of_site.credits_renewals:
            for name in [*CREDITED, *SNAPSHOT]:
                setattr(row, name, getattr(nothing, name))
            row.reason = Reason.RENEWAL.value
    return rows


def _credited(account: StripeAccount, subscriptions: set[str]) -> dict[tuple[str, str], Attribution]:
    """The first decision with a visit, or with one of a site that is deleted, for each subscription and model."""
    bills = InvoicePayment.objects.filter(account=account, subscription__in=subscriptions).exclude(payment_intent="")
    subscription_of = dict(bills.values_list("payment_intent", "subscription"))
    charges = Charge.objects.filter(account=account, payment_intent__in=subscription_of).order_by("created_at")
    intent_of = dict(charges.values_list("stripe_id", "payment_intent"))
    decided = {
        (row.charge, row.model): row
        for row in Attribution.objects.filter(
            account=account, charge__in=intent_of, reason__in=["", Reason.DELETED_SITE]
        )
    }
    found: dict[tuple[str, str], Attribution] = {}
    for charge, intent in intent_of.items():
        for model in Model:
            if row := decided.get((charge, model.value)):
                found.setdefault((subscription_of[intent], model.value), row)
    return found


def _views(ids: set[uuid.UUID], sites: frozenset[int]) -> dict[uuid.UUID, SeenView]:
    """Find views by id, first on the account's own sites, where an id made up elsewhere cannot shadow them."""
    found: dict[uuid.UUID, SeenView] = {}
    own = View.objects.filter(site__in=sites, id__among=ids)
    found = {row.id: _seen_view(row) for row in own}
    # The sites are named so that the index, which begins with the site, is used.
    others = list(Site.objects.exclude(pk__in=sites).values_list("pk", flat=True))
    missing = ids - found.keys()
    if missing and others:
        found |= {row.id: _seen_view(row) for row in View.objects.filter(site__in=others, id__among=missing)}
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
        for row in Visit.objects.filter(site=site, visitor__among=wanted):
            same = {name: getattr(row, name) for name in SNAPSHOT}
            found[site, row.visitor].append(
                SeenVisit(row.id, row.started_at, row.entry_path, **same, variants=tuple(row.variants))
            )
    return found


# Of a decision's fields, those that say which visit of which site is credited.
CREDITED = ["site_id", "view_id", "viewed_at", "page", "visitor", "visit_id", "landing_page", "variants"]
# Those that a renewal inherits beside the visit's.
DECISION = ["reason", "evidence", "carried_id", *CREDITED]
# Of the credited visit's fields, those that stand under the same name in the decision.
SNAPSHOT = [
    *("channel", "source", "referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
    *("country", "region", "city", "browser", "os", "device"),
]


BLANK = {field.attname: field.get_default() for field in Attribution._meta.concrete_fields}


def _decision_row(
    account: StripeAccount, charge: Payment, model: Model, decision: Decision, now: dt.datetime
) -> Attribution:
    values = {
        **BLANK,
        "account_id": account.pk,
        "charge": charge.stripe_id,
        "model": model.value,
        "rules_version": attribution.RULES_VERSION,
        "decided_at": now,
        "reason": decision.reason.value if decision.reason else "",
        "evidence": decision.carried.evidence.value if decision.carried.evidence else "",
        "carried_id": decision.carried.text,
        "variants": list(decision.variants),
    }
    if decision.view and decision.visit:
        view, visit = decision.view, decision.visit
        values |= {
            **{name: getattr(visit, name) for name in SNAPSHOT},
            "site_id": view.site,
            "view_id": view.id,
            "viewed_at": view.at,
            "page": view.path,
            "visitor": view.visitor,
            "visit_id": visit.id,
            "landing_page": visit.landing_page,
        }
    return filled(Attribution, values)


def _must_stay(earlier: Attribution, decision: Decision, visits: Iterable[SeenVisit]) -> bool:
    """Tell whether the earlier decision knew more: what has been deleted for its age, or is not connected any more."""
    if earlier.carried_id != decision.carried.text:
        return False
    if earlier.reason == Reason.BOT:
        return decision.reason in NOTHING_SEEN
    if earlier.reason in NOTHING_SEEN:
        return False
    if decision.reason is Reason.OTHER_SITE:
        # Its site was disconnected. What an account had earned for a site until then stays with it.
        return not earlier.reason
    if decision.reason:
        return decision.reason in NOTHING_SEEN
    return not earlier.reason and earlier.visit_id not in {visit.id for visit in visits}


def _kept_row(earlier: Attribution) -> Attribution:
    """The same decision, under the rules of now, so that it is not looked at each time."""
    row = copy(earlier)
    row.rules_version = attribution.RULES_VERSION
    return row


def _set_decisions(
    account: StripeAccount, rows: list[Attribution], decided: Mapping[tuple[str, str], Attribution], now: dt.datetime
) -> list[Change]:
    """Store the decisions that are new or differ from what was decided before; give those that say something else.

    What these replace is kept. A decision that says the same under newer rules is as old as it was.
    """
    said = [
        field.attname for field in stored_fields(Attribution) if field.attname not in ("decided_at", "rules_version")
    ]
    content = attrgetter(*said)
    changes, news = [], []
    for row in rows:
        before = decided.get((row.charge, row.model))
        if before is None or content(row) != content(before):
            row.decided_at = now
            changes.append(Change(before, row))
            news.append(row)
        elif row.rules_version != before.rules_version:
            row.decided_at = before.decided_at
            news.append(row)
    history.keep_decisions(account, [change.before.pk for change in changes if change.before], now)
    upsert(Attribution, values(Attribution, news), ("account_id", "charge", "model"))
    if changes:
        history.note_change(account, now)
    return changes

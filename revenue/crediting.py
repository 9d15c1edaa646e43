"""Decides which visit each payment is credited to, from the mirror and the site's own views and visits.

Can run at any time and any number of times: a payment is decided again only while something new could change
the decision, and a decision that says the same is not written again.
"""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q

from revenue import attribution
from revenue.attribution import Carried, Decision, Evidence, Model, Reason, SeenView, SeenVisit
from revenue.mirror import lock
from revenue.models import Attribution, Charge, CheckoutSession, LedgerLine, StripeAccount
from revenue.models.ledger import Kind
from sites.models import Site
from tracking.models import View, Visit

CREDITED_AT_ONCE = 500


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

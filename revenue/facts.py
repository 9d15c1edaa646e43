"""What health is judged from: looked up here, judged in `health`."""

import datetime as dt
from collections import Counter
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db.models import Max, Sum

from revenue.attribution import Model, Reason
from revenue.coverage import before_and_lately, coverages, has_dropped
from revenue.health import Facts, Reading
from revenue.models import Charge, Connection, LedgerLine, StripeAccount
from revenue.models.accounts import COUNTED_ACCOUNTS
from revenue.probing import NEEDS, Need
from revenue.progress import progress
from revenue.stats import connections, unsettled
from revenue.sync import is_running
from sites.models import Site
from tracking.hits import Refusal
from tracking.models import View, Visit
from tracking.refusals import refused_lately

# Whether customers carry ids shows in the newest payments.
LOOKED_AT = 1_000
DAYS_30 = dt.timedelta(days=30)
# Of what is refused, what no site has to do anything about.
PROGRAMS = (Refusal.BOT, Refusal.WEBDRIVER, Refusal.PREFETCH)


def gather(site: Site, now: dt.datetime) -> Facts:
    connected = connections(site)
    credits = _credits(site, now)
    refused = refused_lately(site, now, PROGRAMS)
    return Facts(
        now=now,
        readings=tuple(reading(each, now) for each in connected),
        is_sandbox=settings.STRIPE_IS_SANDBOX,
        payments_ever=LedgerLine.objects.filter(account__in=[each.account_id for each in connected]).exists(),
        credited=credits.pop("", 0),
        elsewhere=credits.pop("elsewhere", 0),
        reasons={Reason(reason): count for reason, count in credits.items()},
        has_dropped=has_dropped(*coverages(site, before_and_lately(now))),
        last_view_at=View.objects.filter(site=site).aggregate(last=Max("at"))["last"],
        hits=_views(site, now) if refused else 0,
        refused_hits=sum(each.hits for each in refused),
        refused=(refused[0].what, refused[0].advice) if refused else ("", ""),
    )


def reading(connection: Connection, now: dt.datetime) -> Reading:
    account = connection.account
    missing = [need for need in NEEDS if need.name in connection.lacking]
    return Reading(
        account=str(account),
        is_live=account.livemode,
        status=connection.status,
        problem=connection.problem,
        connected_at=connection.connected_at,
        synced_at=connection.synced_at,
        tried_at=connection.tried_at,
        due_at=account.due_at,
        is_running=is_running(account),
        is_whole=progress(account, now) is None,
        lacking={need.name: need.without for need in missing if need.is_required},
        spared={need.name: need.without for need in missing if not need.is_required and _is_missed(need, account)},
        unsettled=unsettled([connection]),
    )


def _is_missed(need: Need, account: StripeAccount) -> bool:
    """Tell whether somebody may want to grant it: what only few shops need, when it has been of use lately."""
    if need.is_advised:
        return True
    newest = Charge.objects.filter(account=account).order_by("-created_at").values_list("customer_view_id", flat=True)
    return any(newest[:LOOKED_AT])


def _views(site: Site, now: dt.datetime) -> int:
    visits = Visit.objects.filter(site=site, started_at__gt=now - DAYS_30)
    return visits.aggregate(views=Sum("views"))["views"] or 0


def _credits(site: Site, now: dt.datetime) -> Counter[str]:
    """Count the last 30 days' payments by why they are credited to no visit: "" when to one of the site's, "elsewhere"
    when to one of another's.
    """
    parameters: dict[str, Any] = {
        "site": site.pk,
        "model": Model.LAST_NON_DIRECT,
        "waiting": Reason.WAITING,
        "since": now - DAYS_30,
    }
    with database.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT CASE WHEN decision.reason = '' AND decision.site_id IS DISTINCT FROM %(site)s THEN 'elsewhere'
                        ELSE coalesce(decision.reason, %(waiting)s) END, count(*)
            FROM revenue_ledgerline line
            LEFT JOIN revenue_attribution decision
              ON decision.account_id = line.account_id AND decision.charge = line.charge
             AND decision.model = %(model)s
            WHERE line.account_id IN ({COUNTED_ACCOUNTS}) AND line.kind = 'charge' AND line.occurred_at > %(since)s
            GROUP BY 1
            """,
            parameters,
        )
        return Counter(dict(cursor.fetchall()))

"""What a site's day-visitors brought without any test: what A/A replays are dealt from."""

from typing import Any

from django.db import connection

from revenue.attribution import Model
from revenue.models.accounts import COUNTED_ACCOUNTS
from revenue.models.ledger import SALES
from sites.models import Site
from sites.periods import Period
from splittests.calibration import Day

DAYS = f"""
    WITH seen AS (
        SELECT visitor, min(started_at) AS first_at FROM tracking_visit
        WHERE site_id = %(site)s AND started_at >= %(start)s AND started_at < %(end)s
        GROUP BY visitor
    ),
    brought AS (
        SELECT decision.visitor, sum(line.amount)::bigint AS net
        FROM revenue_attribution decision
        JOIN revenue_ledgerline line ON line.account_id = decision.account_id AND line.charge = decision.charge
         AND line.currency = %(currency)s AND line.kind = ANY(%(sales)s)
        WHERE decision.site_id = %(site)s AND decision.model = %(model)s AND decision.reason = ''
          AND decision.account_id IN ({COUNTED_ACCOUNTS})
        GROUP BY decision.visitor
    )
    SELECT count(*), coalesce(array_agg(net ORDER BY net) FILTER (WHERE net IS NOT NULL), '{{}}')
    FROM seen LEFT JOIN brought USING (visitor)
    GROUP BY (first_at AT TIME ZONE %(zone)s)::date
    ORDER BY (first_at AT TIME ZONE %(zone)s)::date
"""


def days_of(site: Site, period: Period, currency: str) -> list[Day]:
    """Give the days that had visitors, each with what the ledger says now that its buyers brought."""
    parameters: dict[str, Any] = {
        "site": site.pk,
        "start": period.start_at,
        "end": period.end_at,
        "zone": site.timezone,
        "currency": currency,
        "model": Model.LAST.value,
        "sales": [kind.value for kind in SALES],
    }
    with connection.cursor() as cursor:
        cursor.execute(DAYS, parameters)
        return [Day(visitors, tuple(totals)) for visitors, totals in cursor.fetchall()]

"""What a site's day-visitors brought without any test: what A/A replays are dealt from, and tests planned by."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from revenue.attribution import Model
from revenue.models.accounts import COUNTED_ACCOUNTS
from revenue.models.ledger import SALES
from sites.models import Site
from sites.periods import Period
from splittests.calibration import Day
from splittests.goals import Reached
from splittests.inference import Sums
from splittests.pages import Rule
from splittests.planning import PageHistory
from splittests.traffic import ON_PAGES, on_pages

BROUGHT = f"""
    brought AS (
        SELECT decision.visitor, sum(line.amount)::bigint AS net
        FROM revenue_attribution decision
        JOIN revenue_ledgerline line ON line.account_id = decision.account_id AND line.charge = decision.charge
         AND line.currency = %(currency)s AND line.kind = ANY(%(sales)s)
        WHERE decision.site_id = %(site)s AND decision.model = %(model)s AND decision.reason = ''
          AND decision.account_id IN ({COUNTED_ACCOUNTS})
        GROUP BY decision.visitor
    )
"""

DAYS = f"""
    WITH {BROUGHT},
    seen AS (
        SELECT visitor, min(started_at) AS first_at FROM tracking_visit
        WHERE site_id = %(site)s AND started_at >= %(start)s AND started_at < %(end)s
        GROUP BY visitor
    )
    SELECT count(*), coalesce(array_agg(net ORDER BY net) FILTER (WHERE net IS NOT NULL), '{{}}')
    FROM seen LEFT JOIN brought USING (visitor)
    GROUP BY (first_at AT TIME ZONE %(zone)s)::date
    ORDER BY (first_at AT TIME ZONE %(zone)s)::date
"""

PAGES = f"""
    WITH {BROUGHT},
    seen AS (
        SELECT DISTINCT visitor FROM tracking_view x
        WHERE site_id = %(site)s AND at >= %(start)s AND at < %(end)s AND {ON_PAGES}
    )
    SELECT count(*), count(net), coalesce(sum(net), 0)::bigint, coalesce(sum(net::numeric * net), 0)
    FROM seen LEFT JOIN brought USING (visitor)
"""

REACHED = f"""
    WITH seen AS (
        SELECT visitor, min(at) AS first_at FROM tracking_view x
        WHERE site_id = %(site)s AND at >= %(start)s AND at < %(end)s AND {ON_PAGES}
        GROUP BY visitor
    ),
    done AS (
        SELECT visitor, max(at) AS last_at FROM {{table}} x
        WHERE site_id = %(site)s AND at >= %(start)s AND at < %(end)s AND {{condition}}
        GROUP BY visitor
    )
    SELECT count(*), count(*) FILTER (WHERE last_at >= first_at) FROM seen LEFT JOIN done USING (visitor)
"""


def days_of(site: Site, period: Period, currency: str) -> list[Day]:
    """Give the days that had visitors, each with what the ledger says now that its buyers brought."""
    return [Day(visitors, tuple(totals)) for visitors, totals in _rows(DAYS, site, period, currency)]


def earnings_on(site: Site, rules: Sequence[Rule], period: Period, currency: str) -> PageHistory:
    """Give what those brought who saw one of the pages in the period."""
    ((visitors, buyers, total, squares),) = _rows(PAGES, site, period, currency, **on_pages(rules))
    return PageHistory(period.days, buyers, Sums(visitors, total, int(squares)))


def conversions_on(site: Site, rules: Sequence[Rule], period: Period, goal: Reached) -> PageHistory:
    """Give how many of those who saw one of the pages in the period reached the goal, then or later in it."""
    statement = REACHED.format(table=goal.table, condition=goal.condition)
    ((visitors, converted),) = _rows(statement, site, period, "", **on_pages(rules), **goal.parameters)
    return PageHistory(period.days, converted, Sums(visitors, converted, converted))


def _rows(statement: str, site: Site, period: Period, currency: str, **more: str | list[str]) -> list[tuple[Any, ...]]:
    parameters: dict[str, Any] = {
        "site": site.pk,
        "start": period.start_at,
        "end": period.end_at,
        "zone": site.timezone,
        "currency": currency,
        "model": Model.LAST.value,
        "sales": [kind.value for kind in SALES],
        **more,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())

"""What share of a site's payments is credited to a visit, week by week, in counts: money would let one large order
hide a checkout that has stopped to carry the view id.
"""

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from revenue.attribution import Model, Reason
from revenue.models.accounts import IS_COUNTED
from sites.models import Site

# Whose view may still arrive; who is left out because the site wants it so; and whose site somebody has deleted.
NOT_COUNTED = (Reason.WAITING, Reason.RENEWAL, Reason.DELETED_SITE)
# A drop is told of when it is as large as this, and larger than chance makes it: by three standard errors.
LEAST_DROP = 0.1
STANDARD_ERRORS = 3
LATELY, BEFORE = dt.timedelta(days=7), dt.timedelta(days=28)


@dataclass(frozen=True, slots=True)
class Week:
    """The payments of the week that begins on a Monday, and how many of them are credited to a visit."""

    first_on: dt.date
    attributed: int
    total: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None without a payment."""
        return self.attributed / self.total if self.total else None


Span = tuple[dt.datetime, dt.datetime]


def coverage(site: Site, since: dt.datetime, until: dt.datetime) -> list[Week]:
    """Give a row for each week, by the site's clock, that touches the span from `since` up to before `until`.

    Only payments in the span are counted. Those credited to another site, those whose view may still arrive, and
    renewals that the site does not want credited are in neither count.
    """
    return coverages(site, [(since, until)])[0]


def coverages(site: Site, spans: Sequence[Span]) -> list[list[Week]]:
    """Give the coverage of several spans, which may overlap, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH span AS (
                SELECT * FROM unnest(%(sinces)s::timestamptz[], %(untils)s::timestamptz[])
                WITH ORDINALITY AS span (since, until, number)
            ),
            paid AS (
                SELECT line.occurred_at, date_trunc('week', line.occurred_at AT TIME ZONE %(zone)s)::date AS week,
                       coalesce(decision.reason, %(waiting)s) AS reason
                FROM revenue_ledgerline line
                LEFT JOIN revenue_attribution decision
                  ON decision.account_id = line.account_id AND decision.charge = line.charge
                 AND decision.model = %(model)s
                WHERE line.account_id {IS_COUNTED} AND line.kind = 'charge'
                  AND line.occurred_at >= %(first)s AND line.occurred_at < %(last)s
                  AND (decision.reason IS NULL OR decision.reason <> '' OR decision.site_id = %(site)s)
            )
            SELECT number, moment::date, count(*) FILTER (WHERE reason = ''), count(reason)
            FROM span
            CROSS JOIN generate_series(
                date_trunc('week', since AT TIME ZONE %(zone)s),
                (until AT TIME ZONE %(zone)s) - interval '1 microsecond',
                interval '1 week'
            ) moment
            LEFT JOIN paid ON paid.week = moment::date AND occurred_at >= since AND occurred_at < until
                          AND reason <> ALL(%(not_counted)s)
            GROUP BY number, moment ORDER BY number, moment
            """,
            {
                "site": site.pk,
                "zone": site.timezone,
                "sinces": [since for since, _ in spans],
                "untils": [until for _, until in spans],
                "first": min(since for since, _ in spans),
                "last": max(until for _, until in spans),
                "model": Model.LAST_NON_DIRECT,
                "waiting": Reason.WAITING,
                "not_counted": list(NOT_COUNTED),
            },
        )
        found: list[list[Week]] = [[] for _ in spans]
        for number, *week in cursor.fetchall():
            found[number - 1].append(Week(*week))
    return found


def before_and_lately(now: dt.datetime) -> tuple[Span, Span]:
    """The four weeks before the last one, and the last one: what is compared to tell a drop."""
    return (now - LATELY - BEFORE, now - LATELY), (now - LATELY, now)


def has_dropped(before: Iterable[Week], lately: Iterable[Week]) -> bool:
    """Tell whether a smaller share of the payments made lately is credited than before, and not by chance."""
    (known, of_known), (new, of_new) = _sum(before), _sum(lately)
    if not of_known or not of_new:
        return False
    drop = known / of_known - new / of_new
    pooled = (known + new) / (of_known + of_new)
    error = math.sqrt(pooled * (1 - pooled) * (1 / of_known + 1 / of_new))
    return drop >= max(LEAST_DROP, STANDARD_ERRORS * error)


def added_up(weeks: Iterable[Week]) -> Week:
    """Give the payments of several weeks, the first of which begins on the day of the answer."""
    found = list(weeks)
    return Week(found[0].first_on, *_sum(found))


def _sum(weeks: Iterable[Week]) -> tuple[int, int]:
    found = list(weeks)
    return sum(week.attributed for week in found), sum(week.total for week in found)

"""Retention: what single visitors did is deleted after some months. Counts of it, which know no visitor, stay."""

import datetime as dt
from calendar import monthrange
from dataclasses import dataclass

from django.db import connection

from sites.models import Site
from sites.periods import midnight
from tracking.ahead import count_days, counted_ahead
from tracking.counting import DAY
from tracking.models import Counted, Event, RefusedHits, View, Visit

# So that no statement runs long, and what has been deleted stays so if the next one fails.
AT_ONCE = 10_000

EVENTS = """
WITH gone AS (
    DELETE FROM tracking_event WHERE site_id = %(site)s AND id IN (
        SELECT id FROM tracking_event WHERE site_id = %(site)s AND at < %(before)s ORDER BY at LIMIT %(most)s)
    RETURNING id
)
SELECT count(*) FROM gone
"""
# Of a split test's views, what its result is counted from is kept.
VIEWS = """
WITH gone AS (
    DELETE FROM tracking_view WHERE site_id = %(site)s AND id IN (
        SELECT id FROM tracking_view WHERE site_id = %(site)s AND at < %(before)s ORDER BY at LIMIT %(most)s)
    RETURNING site_id, id, visitor, at, variants
), kept AS (
    INSERT INTO tracking_exposure (site_id, id, visitor, at, variants)
    SELECT site_id, id, visitor, at, variants FROM gone WHERE variants <> '{}'
)
SELECT count(*) FROM gone
"""
# A visit that went on after the moment goes a day later.
VISITS = """
WITH gone AS (
    DELETE FROM tracking_visit WHERE site_id = %(site)s AND id IN (
        SELECT id FROM tracking_visit
        WHERE site_id = %(site)s AND started_at < %(before)s AND last_at < %(before)s
        ORDER BY started_at LIMIT %(most)s)
    RETURNING id
)
SELECT count(*) FROM gone
"""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were deleted, from days before `before_on`.

    None of a day that was not counted yet is deleted: with `is_held_back`, some are older than they should be.
    """

    before_on: dt.date
    visits: int = 0
    views: int = 0
    events: int = 0
    refusals: int = 0
    is_held_back: bool = False


def prune(site: Site, now: dt.datetime, months: int) -> Pruned:
    """Delete what is older than so many months, after counting it. Can run again, and be broken off anywhere."""
    wanted_on = months_before(now.astimezone(site.zone).date(), months)
    count_days(site, now)
    before_on = min(wanted_on, _uncounted_from(site))
    before_at = midnight(before_on, site.zone)
    refusals, _ = RefusedHits.objects.filter(site=site, day__lt=wanted_on).delete()
    return Pruned(
        before_on,
        events=_delete(EVENTS, site, before_at),
        views=_delete(VIEWS, site, before_at),
        visits=_delete(VISITS, site, before_at),
        refusals=refusals,
        is_held_back=before_on < wanted_on and _has_older(site, midnight(wanted_on, site.zone)),
    )


def months_before(day: dt.date, months: int) -> dt.date:
    """Give the same day so many months before; the last of a month that has none of that number."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return dt.date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _uncounted_from(site: Site) -> dt.date:
    """Give the first day that was not counted in every way."""
    counted = dict(Counted.objects.filter(site=site, zone=site.timezone).values_list("dimension", "last_on"))
    return min(counted.get(name, dt.date.min) for name in counted_ahead(site)) + DAY


def _has_older(site: Site, moment: dt.datetime) -> bool:
    return (
        View.objects.filter(site=site, at__lt=moment).exists()
        or Event.objects.filter(site=site, at__lt=moment).exists()
        or Visit.objects.filter(site=site, started_at__lt=moment).exists()
    )


def _delete(statement: str, site: Site, before_at: dt.datetime) -> int:
    total = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(statement, {"site": site.pk, "before": before_at, "most": AT_ONCE})
            deleted = int(cursor.fetchone()[0])
            total += deleted
            if deleted < AT_ONCE:
                return total

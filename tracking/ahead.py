"""Counting ahead: days that cannot change any more are counted once, and whole months of them summed."""

import datetime as dt
import zoneinfo
from typing import Any

from django.db import connection, transaction
from django.db.models import Min

from sites.models import Site
from sites.periods import Period, midnight
from tracking.counting import DAY, PROPERTY, TOTAL, Asked, figures_of, fresh, goal_dimension, next_month
from tracking.dimensions import DIMENSIONS
from tracking.models import Counted, DailyCount, Event, Goal, MonthlyCount, View, Visit

# A hit has the time at which it came in, and may take a while to be written.
BEING_WRITTEN = dt.timedelta(minutes=15)
BY_VALUE = (*DIMENSIONS, PROPERTY)


def settled_through(now: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.date:
    """Give the last day whose visits have all ended.

    A visit goes on past midnight of UTC with the help of yesterday's salt, and so ends with the day after it began.
    """
    today = (now - BEING_WRITTEN).astimezone(dt.UTC).date()
    day = now.astimezone(zone).date()
    while (midnight(day + DAY, zone) - dt.timedelta(microseconds=1)).date() + 2 * DAY > today:
        day -= DAY
    return day


def count_days(site: Site, now: dt.datetime) -> None:
    """Count all settled days that were not counted yet. Can run again, and twice at once."""
    first_on = _first_day(site)
    if first_on is None:
        return
    days = Period(first_on, settled_through(now, site.zone), site.zone)
    done = dict(Counted.objects.filter(site=site, zone=site.timezone).values_list("dimension", "last_on"))
    for dimension, goal in counted_ahead(site).items():
        if done.get(dimension, dt.date.min) < days.last_on:
            while _count_month(site, days, dimension, goal):
                pass


def counted_ahead(site: Site) -> dict[str, Goal | None]:
    """Give all that is counted of a site by the names of its rows; of a goal's, with the goal."""
    goals = {goal_dimension(goal): goal for goal in Goal.objects.filter(site=site)}
    return {TOTAL: None, **dict.fromkeys(BY_VALUE), **goals}


@transaction.atomic
def _count_month(site: Site, days: Period, dimension: str, goal: Goal | None = None) -> bool:
    """Count the first days that were not, up to the end of their month; tell whether there are more."""
    # Who changes the zone, removes the goal or counts as well waits for this, or has done it before.
    if not Site.objects.select_for_update(no_key=True).filter(pk=site.pk, timezone=site.timezone).exists():
        return False
    if goal and not Goal.objects.select_for_update(no_key=True).filter(pk=goal.pk).exists():
        return False
    known = Counted.objects.filter(site=site, dimension=dimension).first()
    first_on = known.last_on + DAY if known and known.zone == site.timezone else days.first_on
    if first_on > days.last_on:
        return False
    if known and known.zone != site.timezone:
        _forget_since(first_on, site, dimension)
    month = first_on.replace(day=1)
    last_on = min(next_month(month) - DAY, days.last_on)
    _keep_days(site, dimension, Period(first_on, last_on, site.zone), goal)
    if last_on == next_month(month) - DAY and dimension in BY_VALUE:
        _keep_month(site, dimension, month)
    Counted.objects.bulk_create(
        [Counted(site=site, dimension=dimension, last_on=last_on, zone=site.timezone)],
        update_conflicts=True,
        unique_fields=["site", "dimension"],
        update_fields=["last_on", "zone"],
    )
    return last_on < days.last_on


def _forget_since(first_on: dt.date, site: Site, dimension: str) -> None:
    """Forget days that are others now; those before the first visit that is left cannot be counted again, and stay."""
    DailyCount.objects.filter(site=site, dimension=dimension, day__gte=first_on).delete()
    MonthlyCount.objects.filter(site=site, dimension=dimension, month__gte=first_on.replace(day=1)).delete()


def _keep_days(site: Site, dimension: str, days: Period, goal: Goal | None) -> None:
    counted = fresh(dimension, Asked(site, days), days.start_at, "value, day", goal)
    _keep("tracking_dailycount", "day", figures_of(dimension), site, dimension, counted.sql, counted.parameters)


def _keep_month(site: Site, dimension: str, month: dt.date) -> None:
    names = figures_of(dimension)
    counted = f"""
        SELECT value, %s::date AS month, {", ".join(f"sum({name}) AS {name}" for name in names)}
        FROM (
            SELECT unnest(values) AS value, {", ".join(f"unnest({name}) AS {name}" for name in names)}
            FROM tracking_dailycount WHERE site_id = %s AND dimension = %s AND day >= %s AND day < %s
        ) days GROUP BY value
    """
    parameters = [month, site.pk, dimension, month, next_month(month)]
    _keep("tracking_monthlycount", "month", names, site, dimension, counted, parameters)


def _keep(
    table: str, span: str, names: tuple[str, ...], site: Site, dimension: str, counted: str, parameters: list[Any]
) -> None:
    columns = ("values", *names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {table} (site_id, dimension, {span}, {", ".join(f'"{name}"' for name in columns)})
            SELECT %s, %s, {span}, array_agg(value ORDER BY visitors DESC, value),
                {", ".join(f"array_agg({name} ORDER BY visitors DESC, value)" for name in names)}
            FROM ({counted}) counted GROUP BY {span} ORDER BY {span}
            ON CONFLICT (site_id, dimension, {span}) DO UPDATE SET
                {", ".join(f'"{name}" = excluded."{name}"' for name in columns)}
            """,
            [site.pk, dimension, *parameters],
        )


def _first_day(site: Site) -> dt.date | None:
    """Give the day to count from when nothing holds that was counted before; None if there is nothing to count.

    In another zone the same moments are days a day apart at most. Where older days were counted, what they were
    counted from has been deleted, maybe within the first day that is left.
    """
    firsts = [
        Visit.objects.filter(site=site).aggregate(at=Min("started_at"))["at"],
        View.objects.filter(site=site).aggregate(at=Min("at"))["at"],
        Event.objects.filter(site=site).aggregate(at=Min("at"))["at"],
    ]
    known: list[dt.datetime] = [moment for moment in firsts if moment]
    if not known:
        return None
    first_on = min(known).astimezone(site.zone).date()
    has_older = DailyCount.objects.filter(site=site, dimension=TOTAL, day__lt=first_on - DAY).exists()
    return first_on + DAY if has_older else first_on - DAY


@transaction.atomic
def forget_goal(goal: Goal) -> None:
    """Remove a goal with what was counted of it."""
    # A counting that is under way ends first, and one that comes later does not find the goal.
    Goal.objects.select_for_update().filter(pk=goal.pk).first()
    of_goal = {"site": goal.site, "dimension": goal_dimension(goal)}
    DailyCount.objects.filter(**of_goal).delete()
    Counted.objects.filter(**of_goal).delete()
    goal.delete()

"""The numbers of the dashboard: one function and one query for each panel.

Visits count on the day they began, and bring their views, source and place with them; pages and events count when
they were seen and happened. A visitor is known for one day (see `visitors`): somebody who comes on three days
counts three times, so the visitors of days add up to those of a week or a year.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import connection
from django.db.models import Exists

from sites.models import Site
from sites.periods import Period
from tracking.counting import (
    HOUR_OF_VISIT,
    PROPERTY,
    Asked,
    Relation,
    ask,
    by_day,
    by_value,
    figures_of,
    fresh_visits,
)
from tracking.filters import like
from tracking.models import Counted, Goal, View
from tracking.places import codes_of

__all__ = ["Asked", "ask"]

ROWS = 10
LIVE_MINUTES = 5
# Values that differ only in what nobody reads to the end would fill a page of their own.
MOST_PROPERTIES = 200
TOTALS = ("visitors", "visits", "views", "bounces", "seconds")


@dataclass(frozen=True, slots=True)
class Totals:
    visitors: int = 0
    visits: int = 0
    views: int = 0
    bounces: int = 0
    seconds: int = 0

    @property
    def bounce_rate(self) -> float | None:
        """Give the share, 0 to 1, of visits that saw one page; None without visits."""
        return self.bounces / self.visits if self.visits else None

    @property
    def views_per_visit(self) -> float | None:
        return self.views / self.visits if self.visits else None

    @property
    def visit_duration(self) -> dt.timedelta | None:
        """Give the mean time from a visit's first hit to its last."""
        return dt.timedelta(seconds=self.seconds / self.visits) if self.visits else None


@dataclass(frozen=True, slots=True)
class Comparison:
    current: Totals
    previous: Totals


class Bucket(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Point:
    """An hour, a day, a week from Monday or a month, cut to the period; `start` is in the site's time zone."""

    start: dt.datetime
    totals: Totals


@dataclass(frozen=True, slots=True)
class Row:
    """One value of a breakdown, "" for none.

    Of a visit's dimension: visitors, visits, their views, bounces and seconds. Of a page: visitors, views, and for
    the `measured` of them the seconds in front and the sum of the percentages seen. Of an event: visitors, and in
    `views` how often it happened.
    """

    value: str
    visitors: int = 0
    visits: int = 0
    views: int = 0
    bounces: int = 0
    seconds: int = 0
    measured: int = 0
    scrolled: int = 0

    @property
    def totals(self) -> Totals:
        return Totals(self.visitors, self.visits, self.views, self.bounces, self.seconds)


@dataclass(frozen=True, slots=True)
class GoalRow:
    """`times` it was reached, by how many visitors; `rate` is their share, 0 to 1, None without visitors."""

    name: str
    visitors: int
    times: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class Property:
    """What an event was told with: `plan` is `pro`."""

    name: str
    value: str
    visitors: int
    times: int


def has_views(site: Site) -> bool:
    """Tell whether the site has ever had a hit."""
    # Views are deleted after some years, what was counted of them is not.
    seen, counted = View.objects.filter(site=site), Counted.objects.filter(site=site)
    return Site.objects.filter(Exists(seen) | Exists(counted), pk=site.pk).exists()


def live_visitors(site: Site, now: dt.datetime) -> int:
    """Count who saw a page in the last five minutes."""
    since = now - dt.timedelta(minutes=LIVE_MINUTES)
    return View.objects.for_site(site).filter(at__gte=since).values("visitor").distinct().count()


def compared(asked: Asked, now: dt.datetime, against: Period) -> Asked:
    """Ask about the period that another is compared with.

    While the other has not ended, this one is asked about up to the same moment: this morning is compared with
    yesterday morning.
    """
    ahead = max(asked.period.end_at - now, dt.timedelta())
    return asked.about(against, against.end_at - ahead)


def totals(asked: Asked, now: dt.datetime, against: Period) -> Comparison:
    """Count a period, and the one it is compared with (see `compared`)."""
    before = compared(asked, now, against)
    current, previous, sums = by_day(asked), by_day(before), _sums(*TOTALS)
    found = _rows(
        f"""
        SELECT true, {sums} FROM ({current.sql}) counted
        UNION ALL SELECT false, {sums} FROM ({previous.sql}) counted
        """,
        [*current.parameters, *previous.parameters],
    )
    counted = {is_current: Totals(*figures) for is_current, *figures in found}
    return Comparison(counted[True], counted[False])


def over_time(asked: Asked, bucket: Bucket) -> list[Point]:
    """Count by hour, day, week or month; every one that the period touches is there, in order.

    An hour that the clocks repeat is one point.
    """
    is_hourly = bucket is Bucket.HOUR
    counted = fresh_visits(asked, asked.period.start_at, "day", day=HOUR_OF_VISIT) if is_hourly else by_day(asked)
    found = _rows(
        f"""
        SELECT date_trunc(%s, day::timestamp), {_sums(*TOTALS)}
        FROM ({counted.sql}) counted GROUP BY 1
        """,
        [bucket.value, *counted.parameters],
    )
    known = {start: Totals(*figures) for start, *figures in found}
    return [Point(start, known.get(start, Totals())) for start in starts(asked.period, bucket)]


def starts(period: Period, bucket: Bucket) -> list[dt.datetime]:
    """Give the beginnings of the period's hours, days, weeks or months, without a zone."""
    days = [dt.datetime.combine(day, dt.time()) for day in period]
    if bucket is Bucket.HOUR:
        return [day + dt.timedelta(hours=hour) for day in days for hour in range(24)]
    if bucket is Bucket.WEEK:
        days = [day - dt.timedelta(days=day.weekday()) for day in days]
    elif bucket is Bucket.MONTH:
        days = [day.replace(day=1) for day in days]
    return list(dict.fromkeys(days))


def breakdown(
    asked: Asked, dimension: str, limit: int | None = ROWS, offset: int = 0, search: str = "", *, is_brief: bool = False
) -> list[Row]:
    """Give the values of a dimension that most visitors have, in the order of their number.

    Tags and places that visits do not have are left out. `search` is a part of the values wanted, of a country's
    its name. A brief answer has the first two figures only, and takes half the time over a year of many values.
    """
    names = figures_of(dimension)[: 2 if is_brief else None]
    counted = by_value(dimension, asked, names)
    tests: list[tuple[str, list[Any]]] = []
    if dimension in WITHOUT_NONE:
        tests.append(("value <> ''", []))
    if search and dimension == "country":
        tests.append(("value = ANY(%s)", [codes_of(search)]))
    elif search:
        tests.append(("value ILIKE %s", [f"%{like(search)}%"]))
    found = _rows(
        f"""
        SELECT value, {", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in names)}
        FROM ({counted.sql}) counted {"WHERE" if tests else ""} {" AND ".join(test for test, _ in tests)}
        GROUP BY value ORDER BY 2 DESC, 3 DESC, value LIMIT %s OFFSET %s
        """,
        [*counted.parameters, *(each for _, parameters in tests for each in parameters), limit, offset],
    )
    return [Row(value, **dict(zip(names, figures, strict=True))) for value, *figures in found]


WITHOUT_NONE = frozenset(
    {"referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "click_id", "region", "city"}
)


def goals(asked: Asked) -> list[GoalRow]:
    """Give each goal with the visitors who reached it, by name. (One query beside that for the goals.)"""
    defined = list(Goal.objects.filter(site=asked.site))
    everybody = by_day(asked)
    parts = [Relation(f"SELECT 0 AS goal, {_sums('visitors', 'views')} FROM ({everybody.sql}) c", everybody.parameters)]
    for goal in defined:
        counted = by_day(asked, goal)
        sql = f"SELECT %s AS goal, {_sums('visitors', 'views')} FROM ({counted.sql}) c"
        parts.append(Relation(sql, [goal.pk, *counted.parameters]))
    found = {
        number: (visitors, times)
        for number, visitors, times in _rows(
            " UNION ALL ".join(part.sql for part in parts),
            [parameter for part in parts for parameter in part.parameters],
        )
    }
    everyone = found[0][0]
    return [
        GoalRow(goal.name, *found[goal.pk], rate=found[goal.pk][0] / everyone if everyone else None) for goal in defined
    ]


def properties(asked: Asked, search: str = "") -> list[Property]:
    """Give what the events of the visits asked about were told with, the most frequent first."""
    counted = by_value(PROPERTY, asked, figures_of(PROPERTY))
    test = "WHERE value::jsonb ->> 0 ILIKE %s OR value::jsonb ->> 1 ILIKE %s" if search else ""
    found = _rows(
        f"""
        SELECT value, {_sums("visitors", "views")} FROM ({counted.sql}) counted {test}
        GROUP BY value ORDER BY 3 DESC, value LIMIT %s
        """,
        [*counted.parameters, *([f"%{like(search)}%"] * 2 if search else []), MOST_PROPERTIES],
    )
    told = ((*json.loads(value), visitors, times) for value, visitors, times in found)
    return [Property(name, value, visitors, times) for name, value, visitors, times in told]


def visitors(asked: Asked) -> int:
    """Count the day-visitors of the period."""
    counted = by_day(asked)
    ((count,),) = _rows(f"SELECT {_sums('visitors')} FROM ({counted.sql}) counted", counted.parameters)
    return int(count)


def _sums(*names: str) -> str:
    return ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in names)


def _rows(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())

"""Counts by day and by value, which all statistics are sums of.

A visitor counts once for each day and value. Days that cannot change any more were counted ahead (see `ahead`), and
whole months of them summed; `by_day` and `by_value` read those, and count the rest from the visits, views and events
themselves. With filters they count everything so. Both ways use the same words, and give the same.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from sites.models import Site
from sites.periods import Period, midnight
from tracking.dimensions import DIMENSIONS, Dimension, Of
from tracking.filters import GOAL, LONGEST_VISIT, Filters, GoalPattern, How, conditions, like_glob
from tracking.models import Counted, Goal

# The first two are what values are put in order by.
FIGURES = {
    Of.VISIT: ("visitors", "visits", "views", "bounces", "seconds"),
    Of.VIEW: ("visitors", "views", "seconds", "measured", "scrolled"),
    Of.EVENT: ("visitors", "views"),
}
TOTAL = "total"
# What events were told with: each name and value as a JSON array.
PROPERTY = "property"
# Sums that may pass two thousand million, as the models know.
LARGE = {"seconds", "scrolled"}
DAY = dt.timedelta(days=1)
# No period begins earlier.
BEFORE_ALL = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
DAY_OF_VISIT = "(v.started_at AT TIME ZONE %s)::date"
HOUR_OF_VISIT = "date_trunc('hour', v.started_at AT TIME ZONE %s)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page asks about: a period, up to `until` if it is cut short, and which visits.

    `counted` says for each dimension up to which day it was counted ahead, `goals` what the goals' names mean.
    """

    site: Site
    period: Period
    filters: Filters = ()
    counted: Mapping[str, dt.date] = field(default_factory=dict)
    goals: Mapping[str, GoalPattern] = field(default_factory=dict)
    until: dt.datetime | None = None

    @property
    def end_at(self) -> dt.datetime:
        return min(self.period.end_at, self.until) if self.until else self.period.end_at

    @property
    def last_whole_day(self) -> dt.date:
        """The last day of the period that is not cut short."""
        if self.until and self.until < self.period.end_at:
            return self.until.astimezone(self.period.zone).date() - DAY
        return self.period.last_on

    def about(self, period: Period, until: dt.datetime | None = None) -> "Asked":
        return replace(self, period=period, until=until)


class Relation(NamedTuple):
    """A query with its parameters, in order."""

    sql: str
    parameters: list[Any]

    def named(self, prefix: str) -> tuple[str, dict[str, Any]]:
        """Give the query for a statement whose parameters have names; these begin with `prefix`."""
        first, *rest = self.sql.split("%s")
        sql = first + "".join(f"%({prefix}{n})s{part}" for n, part in enumerate(rest))
        return sql, {f"{prefix}{n}": parameter for n, parameter in enumerate(self.parameters)}


def ask(site: Site, period: Period, filters: Filters = ()) -> Asked:
    """Look up what is needed to answer questions about the period."""
    rows = Counted.objects.filter(site=site, zone=site.timezone).values_list("dimension", "last_on")
    goals = goal_patterns(site) if any(each.dimension == GOAL for each in filters) else {}
    return Asked(site, period, filters, dict(rows), goals)


def goal_patterns(site: Site) -> dict[str, GoalPattern]:
    return {goal.name: pattern_of(goal) for goal in Goal.objects.filter(site=site)}


def pattern_of(goal: Goal) -> GoalPattern:
    if goal.kind == Goal.Kind.EVENT:
        return GoalPattern(True, goal.pattern)
    return GoalPattern(False, like_glob(goal.pattern))


def goal_dimension(goal: Goal) -> str:
    return f"goal:{goal.pk}"


def by_day(asked: Asked, goal: Goal | None = None) -> Relation:
    """Count all visits, or what reached a goal: rows of a day and its figures, some days in several rows."""
    dimension = goal_dimension(goal) if goal else TOTAL
    first_on, kept_on = asked.period.first_on, _kept_through(dimension, asked)
    parts = []
    if kept_on >= first_on:
        figures = ", ".join(f"{name}[1] AS {name}" for name in figures_of(dimension))
        parts.append(
            Relation(
                f"SELECT day, {figures} FROM tracking_dailycount "
                "WHERE site_id = %s AND dimension = %s AND day BETWEEN %s AND %s",
                [asked.site.pk, dimension, first_on, kept_on],
            )
        )
    if kept_on < asked.period.last_on:
        parts.append(fresh(dimension, asked, _after(kept_on, asked), "day", goal))
    return _union(parts)


def by_value(dimension: str, asked: Asked, names: Sequence[str]) -> Relation:
    """Count each value of a dimension, or each PROPERTY: rows of a value and those of its FIGURES that are named.

    Some values have several rows.
    """
    kept_on = _kept_through(dimension, asked)
    parts = _kept_values(dimension, names, asked.site, asked.period.first_on, kept_on)
    if kept_on < asked.period.last_on:
        counted = fresh(dimension, asked, _after(kept_on, asked), "value")
        # Of the types of the arrays: otherwise all that comes out of them is converted.
        figures = ", ".join(f"{name}::{'bigint' if name in LARGE else 'int'}" for name in names)
        parts.append(Relation(f"SELECT value, {figures} FROM ({counted.sql}) fresh", counted.parameters))
    return _union(parts)


def _kept_through(dimension: str, asked: Asked) -> dt.date:
    """Give the last day of the period that can be read from what was counted ahead, or one before the period."""
    before = asked.period.first_on - DAY
    if asked.filters:
        return before
    return max(before, min(asked.counted.get(dimension, before), asked.last_whole_day))


def _after(kept_on: dt.date, asked: Asked) -> dt.datetime:
    return midnight(kept_on + DAY, asked.period.zone)


def _kept_values(
    dimension: str, names: Sequence[str], site: Site, first_on: dt.date, last_on: dt.date
) -> list[Relation]:
    """Read whole months, and the days before and after them."""
    first_month = first_on if first_on.day == 1 else next_month(first_on)
    end_of_months = (last_on + DAY).replace(day=1)
    spans = [("daily", "day", first_on, last_on)]
    if first_month < end_of_months:
        spans = [
            ("monthly", "month", first_month, end_of_months - DAY),
            ("daily", "day", first_on, first_month - DAY),
            ("daily", "day", end_of_months, last_on),
        ]
    # In the select list arrays become rows faster than behind FROM.
    columns = ", ".join(["unnest(values) AS value", *(f"unnest({name}) AS {name}" for name in names)])
    return [
        Relation(
            f"SELECT {columns} FROM tracking_{table}count "
            f"WHERE site_id = %s AND dimension = %s AND {column} BETWEEN %s AND %s",
            [site.pk, dimension, first, last],
        )
        for table, column, first, last in spans
        if first <= last
    ]


def next_month(day: dt.date) -> dt.date:
    """Give the first day of the month after a day's."""
    return (day.replace(day=1) + dt.timedelta(days=31)).replace(day=1)


def _union(parts: Sequence[Relation]) -> Relation:
    return Relation(
        " UNION ALL ".join(part.sql for part in parts), [each for part in parts for each in part.parameters]
    )


def figures_of(dimension: str) -> tuple[str, ...]:
    """Give what is counted of a dimension's values, of all visits (TOTAL), of properties, or of a goal."""
    if dimension == TOTAL:
        return FIGURES[Of.VISIT]
    return FIGURES[DIMENSIONS[dimension].of if dimension in DIMENSIONS else Of.EVENT]


def fresh(dimension: str, asked: Asked, start_at: dt.datetime, by: str, goal: Goal | None = None) -> Relation:
    """Count from `start_at` on what was not counted before; `by` is "value", "day", or both with a comma."""
    if goal:
        return _fresh_goal(pattern_of(goal), asked, start_at, by)
    if dimension == PROPERTY:
        return _fresh_properties(asked, start_at, by)
    known = DIMENSIONS.get(dimension)
    if known is None or known.of is Of.VISIT:
        return fresh_visits(asked, start_at, by, f"v.{known.column}" if known else "''")
    return (
        _fresh_views(known, asked, start_at, by) if known.of is Of.VIEW else _fresh_events(known, asked, start_at, by)
    )


def fresh_visits(asked: Asked, start_at: dt.datetime, by: str, value: str = "''", day: str = DAY_OF_VISIT) -> Relation:
    """Count visits from `start_at` on; with HOUR_OF_VISIT, hours take the place of days."""
    # Who came twice on a day is found by grouping by visitor first, which needs no sorting.
    which, parameters = _visits(asked, start_at)
    return Relation(
        f"""
        SELECT {by}, count(*) AS visitors, sum(visits)::bigint AS visits, sum(views)::bigint AS views,
            sum(bounces)::bigint AS bounces, sum(seconds)::bigint AS seconds
        FROM (
            SELECT {value} AS value, {day} AS day, count(*) AS visits, sum(v.views) AS views,
                count(*) FILTER (WHERE v.views = 1) AS bounces,
                sum(date_part('epoch', v.last_at - v.started_at)::int) AS seconds
            FROM tracking_visit v WHERE {which}
            GROUP BY 1, 2, v.visitor
        ) one GROUP BY {by}
        """,
        [asked.period.zone.key, *parameters],
    )


def _fresh_views(known: Dimension, asked: Asked, start_at: dt.datetime, by: str) -> Relation:
    among, parameters = _among_visits(Of.VIEW, asked, start_at)
    return Relation(
        f"""
        SELECT {by}, count(*) AS visitors, sum(views)::bigint AS views, sum(seconds)::bigint AS seconds,
            sum(measured)::bigint AS measured, sum(scrolled)::bigint AS scrolled
        FROM (
            SELECT x.{known.column} AS value, (x.at AT TIME ZONE %s)::date AS day, count(*) AS views,
                sum((x.engaged_ms + 500) / 1000) AS seconds, count(*) FILTER (WHERE x.engaged_ms > 0) AS measured,
                sum(x.scrolled) FILTER (WHERE x.engaged_ms > 0) AS scrolled
            FROM tracking_view x WHERE {among}
            GROUP BY 1, 2, x.visitor
        ) one GROUP BY {by}
        """,
        [asked.period.zone.key, *parameters],
    )


def _fresh_events(known: Dimension, asked: Asked, start_at: dt.datetime, by: str) -> Relation:
    among, parameters = _among_visits(Of.EVENT, asked, start_at)
    found = f"SELECT x.{known.column} AS value, x.at, x.visitor FROM tracking_event x WHERE {among}"
    return _times(found, parameters, asked, by)


def _fresh_properties(asked: Asked, start_at: dt.datetime, by: str) -> Relation:
    """Count names and values of properties; if certain events are asked about, of those."""
    among, parameters = _among_visits(Of.EVENT, asked, start_at)
    events = [each.value for each in asked.filters if each.dimension == "event" and each.how is How.IS]
    found = f"""
        SELECT jsonb_build_array(prop.key, prop.value)::text AS value, x.at, x.visitor
        FROM tracking_event x CROSS JOIN LATERAL jsonb_each_text(x.props) AS prop
        WHERE {among} {"AND x.name = ANY(%s)" if events else ""}
    """
    return _times(found, [*parameters, *([events] if events else [])], asked, by)


def _fresh_goal(goal: GoalPattern, asked: Asked, start_at: dt.datetime, by: str) -> Relation:
    of, test = (Of.EVENT, "x.name = %s") if goal.is_event else (Of.VIEW, "x.path LIKE %s")
    among, parameters = _among_visits(of, asked, start_at)
    found = f"SELECT '' AS value, x.at, x.visitor FROM tracking_{of} x WHERE {among} AND {test}"
    return _times(found, [*parameters, goal.pattern], asked, by)


def _times(found: str, parameters: Sequence[Any], asked: Asked, by: str) -> Relation:
    """Count how often something happened, as `views`, and to how many visitors."""
    return Relation(
        f"""
        SELECT {by}, count(*) AS visitors, sum(times)::bigint AS views
        FROM (
            SELECT value, (at AT TIME ZONE %s)::date AS day, count(*) AS times
            FROM ({found}) found GROUP BY 1, 2, visitor
        ) one GROUP BY {by}
        """,
        [asked.period.zone.key, *parameters],
    )


def _visits(asked: Asked, start_at: dt.datetime) -> tuple[str, list[Any]]:
    """Say which visits `v` are asked about that began from `start_at` on."""
    filtered = conditions(asked.filters, asked.site.pk, start_at, asked.end_at, asked.goals)
    tests = ["v.site_id = %s AND v.started_at >= %s AND v.started_at < %s", *(each.sql for each in filtered)]
    return (
        " AND ".join(tests),
        [asked.site.pk, start_at, asked.end_at, *(parameter for each in filtered for parameter in each.parameters)],
    )


def _among_visits(of: Of, asked: Asked, start_at: dt.datetime) -> tuple[str, list[Any]]:
    """Say which views or events `x` are asked about that were seen or happened from `start_at` on."""
    inside, span = "x.site_id = %s AND x.at >= %s AND x.at < %s", [asked.site.pk, start_at, asked.end_at]
    if not asked.filters:
        return inside, span
    which, parameters = _visits(asked, start_at - LONGEST_VISIT if of is Of.VIEW else BEFORE_ALL)
    return f"{inside} AND x.visit_id IN (SELECT v.id FROM tracking_visit v WHERE {which})", [*span, *parameters]

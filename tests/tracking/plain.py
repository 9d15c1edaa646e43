"""The dashboard's counts once more, in plain Python from all rows: slow, and too simple to be wrong in the same way."""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sites.models import Site
from sites.periods import Period
from tracking.counting import FIGURES
from tracking.dimensions import DIMENSIONS, Of
from tracking.filters import GOAL, Filter, Filters, How
from tracking.models import Event, Goal, View, Visit
from tracking.places import country_name
from tracking.stats import Bucket, Row, Totals


class Plain:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.visits = list(Visit.objects.filter(site=site))
        self.views = list(View.objects.filter(site=site))
        self.events = list(Event.objects.filter(site=site))
        self.goals = list(Goal.objects.filter(site=site))

    def totals(self, period: Period, filters: Filters = (), until: dt.datetime | None = None) -> Totals:
        rows = self._among(self._visits(filters), "started_at", period, until)
        return Totals(**self._figures(Of.VISIT, rows, period))

    def over_time(self, period: Period, bucket: Bucket, filters: Filters = ()) -> dict[dt.datetime, Totals]:
        """Give the totals of those hours, days, weeks or months that have any."""
        grouped = defaultdict(list)
        for visit in self._among(self._visits(filters), "started_at", period):
            grouped[_start(visit.started_at.astimezone(period.zone), bucket)].append(visit)
        finest = Bucket.HOUR if bucket is Bucket.HOUR else Bucket.DAY
        return {start: Totals(**self._figures(Of.VISIT, rows, period, finest)) for start, rows in grouped.items()}

    def breakdown(self, dimension: str, period: Period, filters: Filters = ()) -> list[Row]:
        known = DIMENSIONS[dimension]
        grouped = defaultdict(list)
        for row in self._rows(known.of, period, filters):
            grouped[getattr(row, known.column)].append(row)
        rows = [Row(value, **self._figures(known.of, of_value, period)) for value, of_value in grouped.items()]
        first, second = FIGURES[known.of][:2]
        return sorted(rows, key=lambda row: (-getattr(row, first), -getattr(row, second), row.value))

    def goal(self, goal: Goal, period: Period, filters: Filters = ()) -> tuple[int, int]:
        """Give how many reached the goal, and how often."""
        of = Of.EVENT if goal.kind == "event" else Of.VIEW
        rows = [row for row in self._rows(of, period, filters) if _reaches(row, goal)]
        counted = self._figures(Of.EVENT, rows, period)
        return counted["visitors"], counted["views"]

    def _rows(self, of: Of, period: Period, filters: Filters) -> list[Any]:
        visits = self._visits(filters)
        if of is Of.VISIT:
            return self._among(visits, "started_at", period)
        known = {visit.id for visit in visits}
        rows: Sequence[Any] = self.views if of is Of.VIEW else self.events
        return self._among([row for row in rows if not filters or row.visit_id in known], "at", period)

    def _among(self, rows: Iterable[Any], at: str, period: Period, until: dt.datetime | None = None) -> list[Any]:
        return [
            row
            for row in rows
            if period.first_on <= getattr(row, at).astimezone(period.zone).date() <= period.last_on
            and (until is None or getattr(row, at) < until)
        ]

    def _figures(self, of: Of, rows: Sequence[Any], period: Period, once: Bucket = Bucket.DAY) -> dict[str, int]:
        """Count a visitor `once` a day, or an hour."""
        at = "started_at" if of is Of.VISIT else "at"
        seen = {(row.visitor, _start(getattr(row, at).astimezone(period.zone), once)) for row in rows}
        counted = {"visitors": len(seen), "views": len(rows)}
        if of is Of.VISIT:
            counted |= {
                "visits": len(rows),
                "views": sum(visit.views for visit in rows),
                "bounces": sum(visit.views == 1 for visit in rows),
                "seconds": sum(round((visit.last_at - visit.started_at).total_seconds()) for visit in rows),
            }
        if of is Of.VIEW:
            measured = [view for view in rows if view.engaged_ms]
            counted |= {
                "seconds": sum((view.engaged_ms + 500) // 1000 for view in rows),
                "measured": len(measured),
                "scrolled": sum(view.scrolled for view in measured),
            }
        assert set(counted) == set(FIGURES[of])
        return counted

    def _visits(self, filters: Filters) -> list[Visit]:
        return [visit for visit in self.visits if self._passes(visit, filters)]

    def _passes(self, visit: Visit, filters: Filters) -> bool:
        conditions: dict[tuple[How, str], list[str]] = defaultdict(list)
        for each in filters:
            conditions[each.how, each.dimension].append(each.value)
        for (how, dimension), wanted in conditions.items():
            told = list(self._told(visit, dimension, how, wanted))
            if (how is How.NOT) == any(told):
                return False
        return True

    def _told(self, visit: Visit, dimension: str, how: How, wanted: Sequence[str]) -> Iterator[bool]:
        """Say of each thing that the visit has of the dimension whether it is one of those wanted."""
        of_visit = [row for row in (*self.views, *self.events) if row.visit_id == visit.id]
        if dimension == GOAL:
            goals = [goal for goal in self.goals if any(_is(how, goal.name, value) for value in wanted)]
            yield from (_reaches(row, goal) for row in of_visit for goal in goals)
            return
        known = DIMENSIONS[dimension]
        kind = {Of.VISIT: Visit, Of.VIEW: View, Of.EVENT: Event}[known.of]
        for row in (visit, *of_visit):
            if isinstance(row, kind):
                told = getattr(row, known.column)
                if how is How.HAS and dimension == "country":
                    told = country_name(told)
                yield any(_is(how, told, value) for value in wanted)


def _start(local: dt.datetime, bucket: Bucket) -> dt.datetime:
    hour = local.replace(tzinfo=None, fold=0, minute=0, second=0, microsecond=0)
    if bucket is Bucket.HOUR:
        return hour
    day = hour.replace(hour=0)
    if bucket is Bucket.WEEK:
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1) if bucket is Bucket.MONTH else day


def _is(how: How, told: str, wanted: str) -> bool:
    return wanted.lower() in told.lower() if how is How.HAS else told == wanted


def _reaches(row: View | Event, goal: Goal) -> bool:
    if goal.kind == "event":
        return isinstance(row, Event) and row.name == goal.pattern
    pattern = ".*".join(re.escape(part) for part in goal.pattern.split("*"))
    return isinstance(row, View) and re.fullmatch(pattern, row.path, re.DOTALL) is not None


def filters_of(*told: tuple[str, str, str]) -> Filters:
    return tuple(Filter(How(how), dimension, value) for how, dimension, value in told)

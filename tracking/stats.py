"""The numbers of the dashboard: one function and one query for each panel.

Visits count on the day they began, and bring their views, source and place with them; only the panels about
single pages read views. A visitor is known for one day of UTC (see `visitors`): somebody who comes on three days
counts three times, and one who stays past the site's own midnight is a visitor of both days but one of the period.
"""

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, DateField, F, Q, Sum
from django.db.models.functions import ExtractHour, TruncDate, TruncMonth

from sites.models import Site
from sites.periods import Period
from tracking.models import View, Visit, VisitQuerySet

ROWS = 10
LIVE_MINUTES = 5
# The chart has a bar for each day of a year and a day at most; longer periods have a bar for each month.
MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Totals:
    visitors: int = 0
    visits: int = 0
    views: int = 0
    bounces: int = 0
    duration: dt.timedelta = dt.timedelta()

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
        return self.duration / self.visits if self.visits else None


@dataclass(frozen=True, slots=True)
class Comparison:
    current: Totals
    previous: Totals


@dataclass(frozen=True, slots=True)
class Point:
    """An hour, a day or a month; `label` names it in full, `short` on an axis."""

    label: str
    short: str
    visitors: int
    views: int


@dataclass(frozen=True, slots=True)
class Row:
    """One value of a breakdown, "" for none; `count` is of views for pages seen, of visits for all others."""

    value: str
    visitors: int
    count: int


def has_views(site: Site) -> bool:
    """Tell whether the site has ever had a hit."""
    return View.objects.for_site(site).exists()


def live_visitors(site: Site, now: dt.datetime) -> int:
    """Count who saw a page in the last five minutes."""
    since = now - dt.timedelta(minutes=LIVE_MINUTES)
    return View.objects.for_site(site).filter(at__gte=since).values("visitor").distinct().count()


def totals(site: Site, period: Period, now: dt.datetime) -> Comparison:
    """Count a period, and the equally long time before it.

    While the period has not ended, the one before is counted up to the same moment: this morning is compared
    with yesterday morning.
    """
    before = period.previous
    ahead = max(period.end_at - now, dt.timedelta())
    rows = (
        Visit.objects.for_site(site)
        .filter(
            Q(started_at__gte=before.start_at, started_at__lt=before.end_at - ahead)
            | Q(started_at__gte=period.start_at, started_at__lt=period.end_at)
        )
        .values(is_current=Q(started_at__gte=period.start_at))
        .annotate(
            visitors=Count("visitor", distinct=True),
            visits=Count("*"),
            seen=Sum("views"),
            bounces=Count("id", filter=Q(views=1)),
            duration=Sum(F("last_at") - F("started_at")),
        )
    )
    found = {
        row["is_current"]: Totals(row["visitors"], row["visits"], row["seen"], row["bounces"], row["duration"])
        for row in rows
    }
    return Comparison(found.get(True, Totals()), found.get(False, Totals()))


def by_day(site: Site, period: Period) -> list[Point]:
    """Count by day of the site's time zone, a single day by hour, and more than a year by month.

    Every hour, day or month of the period is there, in order. An hour that the clocks repeat is one point.
    """
    starts: dict[int | dt.date, tuple[str, str]]
    unit: ExtractHour | TruncDate | TruncMonth
    if period.days == 1:
        starts = {hour: (f"{hour:02}:00", f"{hour:02}:00") for hour in range(24)}
        unit = ExtractHour("started_at", tzinfo=period.zone)
    elif period.days <= MOST_DAYS:
        starts = {day: (f"{day:%a %-d %b %Y}", f"{day:%-d %b}") for day in period}
        unit = TruncDate("started_at", tzinfo=period.zone)
    else:
        starts = {day.replace(day=1): (f"{day:%b %Y}", f"{day:%b %Y}") for day in period}
        unit = TruncMonth("started_at", output_field=DateField(), tzinfo=period.zone)
    rows = (
        Visit.objects.for_site(site)
        .during(period)
        .values(start=unit)
        .annotate(visitors=Count("visitor", distinct=True), seen=Sum("views"))
    )
    found = {row["start"]: (row["visitors"], row["seen"]) for row in rows}
    return [Point(*names, *found.get(start, (0, 0))) for start, names in starts.items()]


def top_pages(site: Site, period: Period) -> list[Row]:
    rows = (
        View.objects.for_site(site)
        .during(period)
        .values(value=F("path"))
        .annotate(visitors=Count("visitor", distinct=True), count=Count("*"))
        .order_by("-visitors", "-count", "value")[:ROWS]
    )
    return [Row(**row) for row in rows]


def entry_pages(site: Site, period: Period) -> list[Row]:
    return _largest(Visit.objects.for_site(site).during(period), "entry_path")


def channels(site: Site, period: Period) -> list[Row]:
    return _largest(Visit.objects.for_site(site).during(period), "channel")


def sources(site: Site, period: Period) -> list[Row]:
    return _largest(Visit.objects.for_site(site).during(period), "source")


def referrers(site: Site, period: Period) -> list[Row]:
    """Leave out visits that came without a referrer."""
    return _largest(Visit.objects.for_site(site).during(period).exclude(referrer=""), "referrer")


def campaigns(site: Site, period: Period) -> list[Row]:
    """Leave out visits that came without a campaign."""
    return _largest(Visit.objects.for_site(site).during(period).exclude(utm_campaign=""), "utm_campaign")


def countries(site: Site, period: Period) -> list[Row]:
    """Values are ISO 3166-1 codes."""
    return _largest(Visit.objects.for_site(site).during(period), "country")


def browsers(site: Site, period: Period) -> list[Row]:
    return _largest(Visit.objects.for_site(site).during(period), "browser")


def operating_systems(site: Site, period: Period) -> list[Row]:
    return _largest(Visit.objects.for_site(site).during(period), "os")


def devices(site: Site, period: Period) -> list[Row]:
    return _largest(Visit.objects.for_site(site).during(period), "device")


def _largest(found: VisitQuerySet, column: str) -> list[Row]:
    """Give the values of a column that most visitors have, in the order of their number."""
    rows = (
        found.values(value=F(column))
        .annotate(visitors=Count("visitor", distinct=True), count=Count("*"))
        .order_by("-visitors", "-count", "value")[:ROWS]
    )
    return [Row(**row) for row in rows]

"""Periods as people pick them: days in a site's time zone, given to queries as moments."""

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass

LABELS = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "month": "This month",
    "last-month": "Last month",
    "year": "This year",
    "12mo": "Last 12 months",
}
LAST_DAYS = {"today": 1, "7d": 7, "30d": 30, "90d": 90, "12mo": 365}
DEFAULT = "30d"


class PeriodError(ValueError):
    """The words do not name a period."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days from `first_on` to `last_on`, both counted, in `zone`."""

    first_on: dt.date
    last_on: dt.date
    zone: zoneinfo.ZoneInfo
    name: str = ""

    @property
    def start_at(self) -> dt.datetime:
        return midnight(self.first_on, self.zone)

    @property
    def end_at(self) -> dt.datetime:
        """The first moment that is no longer inside."""
        return midnight(self.last_on + dt.timedelta(days=1), self.zone)

    @property
    def days(self) -> int:
        return (self.last_on - self.first_on).days + 1

    @property
    def previous(self) -> "Period":
        """The equally long period that ends the day before."""
        return Period(self.first_on - dt.timedelta(days=self.days), self.first_on - dt.timedelta(days=1), self.zone)

    @property
    def year_before(self) -> "Period":
        """The same days of the year before; the 29th of February is the 28th there."""
        return Period(_year_before(self.first_on), _year_before(self.last_on), self.zone)

    @property
    def label(self) -> str:
        if self.name:
            return LABELS[self.name]
        return f"{self.first_on:%-d %b %Y} – {self.last_on:%-d %b %Y}"

    def __iter__(self) -> Iterator[dt.date]:
        return (self.first_on + dt.timedelta(days=n) for n in range(self.days))


def _year_before(day: dt.date) -> dt.date:
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def midnight(day: dt.date, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """Give the moment at which a day begins, in UTC."""
    return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)


def between(first: str, last: str, zone: zoneinfo.ZoneInfo) -> Period:
    """Read two ISO dates. Raise PeriodError if one is no date, or they are not in order, or over 10 years."""
    try:
        period = Period(dt.date.fromisoformat(first), dt.date.fromisoformat(last), zone)
    except ValueError as error:
        raise PeriodError(f"“{first}” to “{last}”: dates are written like 2026-01-31.") from error
    if period.days < 1:
        raise PeriodError(f"The period ends ({last}) before it begins ({first}).")
    if period.days > 3660:
        raise PeriodError("A period is at most ten years long.")
    if not 1990 <= period.first_on.year <= period.last_on.year <= 2200:
        raise PeriodError("A period lies between the years 1990 and 2200.")
    return period


def picked(name: str, now: dt.datetime, zone: zoneinfo.ZoneInfo) -> Period:
    """Give the period that `name` means now. Raise PeriodError for an unknown name."""
    if name not in LABELS:
        raise PeriodError(f"“{name}” is no period: {', '.join(LABELS)}.")
    today = now.astimezone(zone).date()
    first_on, last_on = _days(name, today)
    return Period(first_on, last_on, zone, name)


def _days(name: str, today: dt.date) -> tuple[dt.date, dt.date]:
    day_before = today - dt.timedelta(days=1)
    if name == "yesterday":
        return day_before, day_before
    if name == "month":
        return today.replace(day=1), today
    if name == "last-month":
        last_on = today.replace(day=1) - dt.timedelta(days=1)
        return last_on.replace(day=1), last_on
    if name == "year":
        return today.replace(month=1, day=1), today
    return today - dt.timedelta(days=LAST_DAYS[name] - 1), today


def from_query(query: dict[str, str], now: dt.datetime, zone: zoneinfo.ZoneInfo) -> Period:
    """Read `from` and `to`, or `period`, from a page's address; what is not understood gives the default."""
    try:
        if query.get("from") and query.get("to"):
            return between(query["from"], query["to"], zone)
        return picked(query.get("period", DEFAULT), now, zone)
    except PeriodError:
        return picked(DEFAULT, now, zone)


def to_query(period: Period) -> dict[str, str]:
    """Give what `from_query` reads as this period."""
    if period.name:
        return {"period": period.name}
    return {"from": period.first_on.isoformat(), "to": period.last_on.isoformat()}

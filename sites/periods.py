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
FIRST_YEAR = 1990
# These go by the calendar: what is beside one is as many whole months.
MONTHS = {"month": 1, "last-month": 1, "year": 12}


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
        first, last = f"{self.first_on:%-d %b %Y}", f"{self.last_on:%-d %b %Y}"
        return first if first == last else f"{first} – {last}"

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
    if not FIRST_YEAR <= period.first_on.year <= period.last_on.year <= 2200:
        raise PeriodError(f"A period lies between the years {FIRST_YEAR} and 2200.")
    return period


def spanning(first: str | None, last: str | None, now: dt.datetime, zone: zoneinfo.ZoneInfo) -> Period:
    """Read two ISO dates, or one: without `last` up to today, without `first` of 30 days. Raise PeriodError."""
    if last is None:
        last = now.astimezone(zone).date().isoformat()
    ending = between(last, last, zone)
    if first is None:
        first = (ending.last_on - dt.timedelta(days=LAST_DAYS[DEFAULT] - 1)).isoformat()
    return between(first, last, zone)


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


def beside(period: Period, step: int, now: dt.datetime) -> Period | None:
    """Give the period of the same length right before (`step` -1) or after (1); None if none can be shown.

    Beside whole months there are as many whole months. What ends in the future ends today, and what has a name gets it.
    """
    today = now.astimezone(period.zone).date()
    if months := _whole_months(period):
        first_on = _months_later(period.first_on, step * months)
        last_on = _months_later(first_on, months) - dt.timedelta(days=1)
    else:
        first_on, last_on = (day + step * dt.timedelta(days=period.days) for day in (period.first_on, period.last_on))
    if first_on > today or first_on.year < FIRST_YEAR:
        return None
    found = Period(first_on, min(last_on, today), period.zone)
    lengths = MONTHS if months else {"yesterday": 1, **LAST_DAYS}
    names = (name for name, length in lengths.items() if length == (months or period.days))
    named = (picked(name, now, period.zone) for name in names)
    return next((each for each in named if (each.first_on, each.last_on) == (found.first_on, found.last_on)), found)


def _whole_months(period: Period) -> int:
    if period.name in MONTHS:
        return MONTHS[period.name]
    after = period.last_on + dt.timedelta(days=1)
    if period.name or period.first_on.day != 1 or after.day != 1:
        return 0
    return 12 * (after.year - period.first_on.year) + after.month - period.first_on.month


def _months_later(first_on: dt.date, months: int) -> dt.date:
    year, month = divmod(12 * first_on.year + first_on.month - 1 + months, 12)
    return dt.date(year, month + 1, 1)


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

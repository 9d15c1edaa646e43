import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.periods import LABELS, Period, PeriodError, beside, between, from_query, picked, to_query

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 3, 10, 23, 30, tzinfo=dt.UTC)
DAYS = st.dates(dt.date(1995, 1, 1), dt.date(2150, 1, 1))


def test_a_period_ends_today_where_the_site_is() -> None:
    # In Berlin it is half past midnight already.
    assert picked("today", NOW, BERLIN).first_on == dt.date(2026, 3, 11)
    assert picked("7d", NOW, BERLIN).first_on == dt.date(2026, 3, 5)


def test_the_day_the_clocks_go_forward_has_23_hours() -> None:
    day = between("2026-03-29", "2026-03-29", BERLIN)
    assert day.end_at - day.start_at == dt.timedelta(hours=23)


@given(DAYS, st.integers(1, 400))
def test_a_period_and_the_one_before_it_are_as_long_and_touch(first: dt.date, days: int) -> None:
    period = Period(first, first + dt.timedelta(days=days - 1), BERLIN)
    assert period.previous.days == period.days == days == len(list(period))
    assert period.previous.end_at == period.start_at


@pytest.mark.parametrize(
    ("first", "last"),
    [("2026-02-30", "2026-03-01"), ("yesterday", "today"), ("2026-03-02", "2026-03-01"), ("0001-01-01", "2026-01-01")],
)
def test_what_is_no_period_says_so(first: str, last: str) -> None:
    with pytest.raises(PeriodError):
        between(first, last, BERLIN)


# An alphabet of its own: building the table of all of Unicode takes seconds, which fails the first run anywhere.
TEXTS = st.text("0123456789-+:TZ%_\0 dmo٣é", max_size=30)


@given(
    st.dictionaries(st.sampled_from(["from", "to", "period"]), TEXTS | DAYS.map(str) | st.sampled_from(list(LABELS)))
)
def test_any_address_gives_a_period(query: dict[str, str]) -> None:
    period = from_query(query, NOW, BERLIN)
    assert period.start_at < period.end_at
    assert period.label


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("today", "2026-03-11", "2026-03-11"),
        ("yesterday", "2026-03-10", "2026-03-10"),
        ("7d", "2026-03-05", "2026-03-11"),
        ("30d", "2026-02-10", "2026-03-11"),
        ("90d", "2025-12-12", "2026-03-11"),
        ("month", "2026-03-01", "2026-03-11"),
        ("last-month", "2026-02-01", "2026-02-28"),
        ("year", "2026-01-01", "2026-03-11"),
        ("12mo", "2025-03-12", "2026-03-11"),
    ],
)
def test_named_periods_are_understood_in_addresses(name: str, first: str, last: str) -> None:
    period = from_query({"period": name}, NOW, BERLIN)
    assert (period.first_on.isoformat(), period.last_on.isoformat(), period.label) == (first, last, LABELS[name])
    assert from_query(to_query(period), NOW, BERLIN) == period


def test_the_29th_of_february_is_the_28th_of_the_year_before() -> None:
    before = between("2028-02-27", "2028-02-29", BERLIN).year_before
    assert (before.first_on, before.last_on) == (dt.date(2027, 2, 27), dt.date(2027, 2, 28))


@pytest.mark.parametrize(
    ("query", "earlier", "later"),
    [
        ("today", "Yesterday", None),
        ("yesterday", "9 Mar 2026", "Today"),
        ("7d", "26 Feb 2026 – 4 Mar 2026", None),
        ("12mo", "12 Mar 2024 – 11 Mar 2025", None),
        ("month", "Last month", None),
        ("last-month", "1 Jan 2026 – 31 Jan 2026", "This month"),
        ("year", "1 Jan 2025 – 31 Dec 2025", None),
        ("2025-01-01 2025-12-31", "1 Jan 2024 – 31 Dec 2024", "This year"),
        ("2025-10-01 2025-12-31", "1 Jul 2025 – 30 Sep 2025", "1 Jan 2026 – 11 Mar 2026"),
        ("2024-02-29 2024-02-29", "28 Feb 2024", "1 Mar 2024"),
        ("2026-03-01 2026-03-05", "24 Feb 2026 – 28 Feb 2026", "6 Mar 2026 – 10 Mar 2026"),
        ("2026-03-03 2026-03-08", "25 Feb 2026 – 2 Mar 2026", "9 Mar 2026 – 11 Mar 2026"),
        ("1990-01-01 1990-01-31", None, "1 Feb 1990 – 28 Feb 1990"),
    ],
)
def test_beside_a_period_is_one_as_long_by_the_calendar(query: str, earlier: str | None, later: str | None) -> None:
    period = picked(query, NOW, BERLIN) if query in LABELS else between(*query.split(), BERLIN)
    found = [beside(period, step, NOW) for step in (-1, 1)]
    assert [each and each.label for each in found] == [earlier, later]


@given(DAYS.filter(lambda day: day < dt.date(2026, 1, 1)), st.integers(1, 400))
def test_what_is_beside_a_period_touches_it(first: dt.date, days: int) -> None:
    period = Period(first, first + dt.timedelta(days=days - 1), BERLIN)
    earlier, later = beside(period, -1, NOW), beside(period, 1, NOW)
    assert earlier
    assert earlier.end_at == period.start_at
    assert later is None or later.start_at == period.end_at

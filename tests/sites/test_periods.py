import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.periods import NAMED_DAYS, Period, PeriodError, between, from_query, picked

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


@given(st.dictionaries(st.sampled_from(["from", "to", "period"]), st.text() | DAYS.map(str)))
def test_any_address_gives_a_period(query: dict[str, str]) -> None:
    period = from_query(query, NOW, BERLIN)
    assert period.start_at < period.end_at
    assert period.label


def test_named_periods_are_understood_in_addresses() -> None:
    for name, days in NAMED_DAYS.items():
        assert from_query({"period": name}, NOW, BERLIN).days == days

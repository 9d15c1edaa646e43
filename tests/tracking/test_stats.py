import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from sites.models import Site
from sites.periods import Period, between
from tests.factories import FIREFOX, IPHONE, SiteFactory, send_hit
from tracking import stats
from tracking.stats import Comparison, Point, Row, Totals

ANNA, BEN, CLEO = "8.8.8.8", "193.99.144.80", "203.0.113.9"
GOOGLE = "https://www.google.com/"
NEWS = "https://news.example/today?id=1"
BERLIN = "Europe/Berlin"


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-{text}:00+00:00")


@pytest.fixture
def berlin(site: Site) -> Site:
    site.timezone = BERLIN
    site.save()
    return site


@pytest.fixture
def visited(berlin: Site) -> Site:
    """Two days of November in Berlin, with a visit before, one after, and one on another site."""
    send_hit(berlin, "/old", ip=ANNA, at=moment("11-01T22:59"))
    send_hit(berlin, "/", GOOGLE, ip=ANNA, at=moment("11-01T23:00"))
    send_hit(berlin, "/pricing", ip=ANNA, at=moment("11-01T23:04"))
    send_hit(berlin, "/", GOOGLE, ip=BEN, user_agent=IPHONE, at=moment("11-02T09:00"))
    tags = "utm_source=letter&utm_medium=email&utm_campaign=autumn"
    send_hit(berlin, "/pricing", query=tags, ip=BEN, user_agent=IPHONE, at=moment("11-02T12:00"))
    send_hit(berlin, "/pricing", NEWS, ip=CLEO, user_agent=FIREFOX, at=moment("11-03T22:59"))
    send_hit(berlin, "/new", ip=BEN, at=moment("11-03T23:00"))
    send_hit(SiteFactory(), "/elsewhere", ip=ANNA, at=moment("11-02T09:00"))
    return berlin


@pytest.fixture
def period(berlin: Site) -> Period:
    return between("2026-11-02", "2026-11-03", berlin.zone)


def test_totals_count_the_period_and_the_one_before(
    berlin: Site, period: Period, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    send_hit(berlin, "/", ip=ANNA, at=moment("10-30T23:00"))
    send_hit(berlin, "/", ip=CLEO, at=moment("10-30T22:59"))
    send_hit(berlin, "/", ip=ANNA, at=moment("11-02T10:00"))
    send_hit(berlin, "/a", ip=ANNA, at=moment("11-02T10:04"))
    send_hit(berlin, "/b", ip=ANNA, at=moment("11-02T10:10"))
    send_hit(berlin, "/", ip=ANNA, at=moment("11-02T15:00"))
    send_hit(berlin, "/", ip=BEN, at=moment("11-03T10:00"))
    with django_assert_num_queries(1):
        counted = stats.totals(berlin, period, moment("11-20T00:00"))
    minutes = dt.timedelta(minutes=10)
    assert counted == Comparison(Totals(2, 3, 5, 2, minutes), Totals(1, 1, 1, 1, dt.timedelta()))
    assert counted.current.bounce_rate == 2 / 3
    assert counted.current.views_per_visit == 5 / 3
    assert counted.current.visit_duration == minutes / 3


def test_totals_of_nothing_have_no_rates(berlin: Site, period: Period) -> None:
    counted = stats.totals(berlin, period, moment("11-20T00:00"))
    assert counted == Comparison(Totals(), Totals())
    assert counted.current.bounce_rate is None
    assert counted.current.views_per_visit is None
    assert counted.current.visit_duration is None


def test_totals_compare_a_day_that_goes_on_with_the_same_hours_of_the_day_before(berlin: Site) -> None:
    send_hit(berlin, ip=ANNA, at=moment("11-02T09:59"))
    send_hit(berlin, ip=BEN, at=moment("11-02T10:00"))
    send_hit(berlin, ip=ANNA, at=moment("11-03T09:00"))
    today = between("2026-11-03", "2026-11-03", berlin.zone)
    counted = stats.totals(berlin, today, moment("11-03T10:00"))
    assert (counted.current.visits, counted.previous.visits) == (1, 1)
    assert stats.totals(berlin, today, moment("11-04T10:00")).previous.visits == 2


def test_a_visitor_counts_again_on_another_day(berlin: Site, period: Period) -> None:
    for day in ("11-02", "11-03"):
        for hour in ("09", "12"):
            send_hit(berlin, ip=ANNA, at=moment(f"{day}T{hour}:00"))
    current = stats.totals(berlin, period, moment("11-20T00:00")).current
    assert (current.visitors, current.visits) == (2, 4)


def test_by_day_has_every_day_of_the_sites_time_zone(
    visited: Site, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        points = stats.by_day(visited, between("2026-11-01", "2026-11-04", visited.zone))
    assert points == [
        # A visit that goes on past midnight counts, with all its views, on the day it began.
        Point("Sun 1 Nov 2026", "1 Nov", 1, 3),
        Point("Mon 2 Nov 2026", "2 Nov", 1, 2),
        Point("Tue 3 Nov 2026", "3 Nov", 1, 1),
        Point("Wed 4 Nov 2026", "4 Nov", 1, 1),
    ]


def test_by_day_shows_a_single_day_by_hour(berlin: Site, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    # The clocks go back at three: both of these are in the hour after two.
    send_hit(berlin, ip=ANNA, at=moment("10-25T00:30"))
    send_hit(berlin, ip=BEN, at=moment("10-25T01:30"))
    send_hit(berlin, ip=BEN, at=moment("10-25T22:30"))
    with django_assert_num_queries(1):
        points = stats.by_day(berlin, between("2026-10-25", "2026-10-25", berlin.zone))
    assert len(points) == 24
    assert [point for point in points if point.visitors] == [
        Point("02:00", "02:00", 2, 2),
        Point("23:00", "23:00", 1, 1),
    ]


def test_by_day_shows_more_than_a_year_by_month(
    visited: Site, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        points = stats.by_day(visited, between("2025-10-15", "2026-11-30", visited.zone))
    assert len(points) == 14
    assert points[0] == Point("Oct 2025", "Oct 2025", 0, 0)
    assert points[-1] == Point("Nov 2026", "Nov 2026", 4, 7)


def breakdowns() -> list[Any]:
    return [
        pytest.param(
            stats.top_pages, [Row("/pricing", 3, 3), Row("/", 2, 2)], id="top_pages counts views of every page"
        ),
        pytest.param(stats.entry_pages, [Row("/pricing", 2, 2), Row("/", 1, 1)], id="entry_pages"),
        pytest.param(
            stats.channels,
            [Row("Email", 1, 1), Row("Organic Search", 1, 1), Row("Referral", 1, 1)],
            id="channels",
        ),
        pytest.param(
            stats.sources, [Row("Google", 1, 1), Row("letter", 1, 1), Row("news.example", 1, 1)], id="sources"
        ),
        pytest.param(stats.referrers, [Row("google.com/", 1, 1), Row("news.example/today", 1, 1)], id="referrers"),
        pytest.param(stats.campaigns, [Row("autumn", 1, 1)], id="campaigns"),
        pytest.param(stats.countries, [Row("DE", 1, 2), Row("", 1, 1)], id="countries"),
        pytest.param(stats.browsers, [Row("Safari", 1, 2), Row("Firefox", 1, 1)], id="browsers"),
        pytest.param(stats.operating_systems, [Row("iOS", 1, 2), Row("Linux", 1, 1)], id="operating_systems"),
        pytest.param(stats.devices, [Row("Mobile", 1, 2), Row("Desktop", 1, 1)], id="devices"),
    ]


@pytest.mark.parametrize(("question", "answer"), breakdowns())
def test_breakdown_of_the_period(
    question: Callable[[Site, Period], list[Row]],
    answer: list[Row],
    visited: Site,
    period: Period,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(1):
        rows = question(visited, period)
    assert rows == answer


def test_breakdown_keeps_the_ten_largest(berlin: Site, period: Period) -> None:
    for page in range(12):
        send_hit(berlin, f"/{page:02}", ip=ANNA, at=moment("11-02T09:00"))
    send_hit(berlin, "/11", ip=BEN, at=moment("11-02T09:00"))
    assert [row.value for row in stats.top_pages(berlin, period)] == ["/11", *(f"/{n:02}" for n in range(9))]


def test_live_visitors_saw_a_page_in_the_last_five_minutes(
    berlin: Site, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    send_hit(berlin, "/", ip=ANNA, at=moment("11-02T08:50"))
    send_hit(berlin, "/", ip=BEN, at=moment("11-02T08:55"))
    send_hit(berlin, "/a", ip=BEN, at=moment("11-02T08:59"))
    send_hit(SiteFactory(), "/", ip=CLEO, at=moment("11-02T08:59"))
    with django_assert_num_queries(1):
        assert stats.live_visitors(berlin, moment("11-02T09:00")) == 1


def test_has_views_once_the_first_hit_has_come_in(
    site: Site, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert not stats.has_views(site)
    send_hit(site)
    assert stats.has_views(site)

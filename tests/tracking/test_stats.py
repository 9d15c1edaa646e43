import datetime as dt

import pytest
from pytest_django import DjangoAssertNumQueries

from sites.models import Site
from sites.periods import Period, between
from tests.factories import FIREFOX, IPHONE, SiteFactory, send_hit
from tracking import stats
from tracking.stats import Bucket, Comparison, Row, Totals, ask

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
    asked = ask(berlin, period)
    with django_assert_num_queries(1):
        counted = stats.totals(asked, moment("11-20T00:00"), period.previous)
    assert counted == Comparison(Totals(2, 3, 5, 2, 600), Totals(1, 1, 1, 1, 0))
    assert counted.current.bounce_rate == 2 / 3
    assert counted.current.views_per_visit == 5 / 3
    assert counted.current.visit_duration == dt.timedelta(seconds=200)


def test_totals_of_nothing_have_no_rates(berlin: Site, period: Period) -> None:
    counted = stats.totals(ask(berlin, period), moment("11-20T00:00"), period.previous)
    assert counted == Comparison(Totals(), Totals())
    assert counted.current.bounce_rate is None
    assert counted.current.views_per_visit is None
    assert counted.current.visit_duration is None


def test_totals_compare_a_day_that_goes_on_with_the_same_hours_of_the_day_before(berlin: Site) -> None:
    send_hit(berlin, ip=ANNA, at=moment("11-02T09:59"))
    send_hit(berlin, ip=BEN, at=moment("11-02T10:00"))
    send_hit(berlin, ip=ANNA, at=moment("11-03T09:00"))
    today = between("2026-11-03", "2026-11-03", berlin.zone)
    counted = stats.totals(ask(berlin, today), moment("11-03T10:00"), today.previous)
    assert (counted.current.visits, counted.previous.visits) == (1, 1)
    assert stats.totals(ask(berlin, today), moment("11-04T10:00"), today.previous).previous.visits == 2


def test_a_visitor_counts_again_on_another_day(berlin: Site, period: Period) -> None:
    for day in ("11-02", "11-03"):
        for hour in ("09", "12"):
            send_hit(berlin, ip=ANNA, at=moment(f"{day}T{hour}:00"))
    current = stats.totals(ask(berlin, period), moment("11-20T00:00"), period.previous).current
    assert (current.visitors, current.visits) == (2, 4)
    assert stats.visitors(ask(berlin, period)) == 2


def counted_by(site: Site, first: str, last: str, bucket: Bucket) -> list[tuple[str, int, int]]:
    """Give the start, the visitors and the views of each point."""
    points = stats.over_time(ask(site, between(first, last, site.zone)), bucket)
    return [(point.start.isoformat(" ", "minutes"), point.totals.visitors, point.totals.views) for point in points]


def test_over_time_has_every_day_of_the_sites_time_zone(
    visited: Site, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    asked = ask(visited, between("2026-11-01", "2026-11-04", visited.zone))
    for bucket in Bucket:
        with django_assert_num_queries(1):
            stats.over_time(asked, bucket)
    assert counted_by(visited, "2026-11-01", "2026-11-04", Bucket.DAY) == [
        # A visit that goes on past midnight counts, with all its views, on the day it began.
        ("2026-11-01 00:00", 1, 3),
        ("2026-11-02 00:00", 1, 2),
        ("2026-11-03 00:00", 1, 1),
        ("2026-11-04 00:00", 1, 1),
    ]


def test_over_time_shows_an_hour_that_the_clocks_repeat_once(berlin: Site) -> None:
    # The clocks go back at three: both of these are in the hour after two.
    send_hit(berlin, ip=ANNA, at=moment("10-25T00:30"))
    send_hit(berlin, ip=BEN, at=moment("10-25T01:30"))
    send_hit(berlin, ip=BEN, at=moment("10-25T22:30"))
    points = counted_by(berlin, "2026-10-25", "2026-10-25", Bucket.HOUR)
    assert len(points) == 24
    assert [point for point in points if point[1]] == [("2026-10-25 02:00", 2, 2), ("2026-10-25 23:00", 1, 1)]


def test_weeks_begin_on_monday_and_are_cut_to_the_period(visited: Site) -> None:
    # The 2nd of November is a Monday, and the hits of the 1st are no part of the period.
    assert counted_by(visited, "2026-11-02", "2026-11-10", Bucket.WEEK) == [
        ("2026-11-02 00:00", 3, 4),
        ("2026-11-09 00:00", 0, 0),
    ]
    assert counted_by(visited, "2026-11-01", "2026-11-02", Bucket.WEEK) == [
        ("2026-10-26 00:00", 1, 3),
        ("2026-11-02 00:00", 1, 2),
    ]


def test_months_are_all_there(visited: Site) -> None:
    months = counted_by(visited, "2025-10-15", "2026-11-30", Bucket.MONTH)
    assert len(months) == 14
    assert months[0] == ("2025-10-01 00:00", 0, 0)
    assert months[-1] == ("2026-11-01 00:00", 4, 7)


def of_visits(value: str, visitors: int, visits: int, views: int, bounces: int) -> Row:
    return Row(value, visitors, visits, views, bounces, seconds=0, measured=0, scrolled=0)


def of_views(value: str, visitors: int, views: int) -> Row:
    return Row(value, visitors, 0, views, 0, 0, 0, 0)


EACH_ONCE = (1, 1, 1, 1)
TWICE = (1, 2, 2, 2)


@pytest.mark.parametrize(
    ("dimension", "answer"),
    [
        pytest.param("page", [of_views("/pricing", 3, 3), of_views("/", 2, 2)], id="page: every one seen, when it was"),
        pytest.param("entry_page", [of_visits("/pricing", 2, 2, 2, 2), of_visits("/", *EACH_ONCE)], id="entry_page"),
        pytest.param("exit_page", [of_visits("/pricing", 2, 2, 2, 2), of_visits("/", *EACH_ONCE)], id="exit_page"),
        pytest.param(
            "channel",
            [of_visits(name, *EACH_ONCE) for name in ("Email", "Organic Search", "Referral")],
            id="channel",
        ),
        pytest.param(
            "source", [of_visits(name, *EACH_ONCE) for name in ("Google", "letter", "news.example")], id="source"
        ),
        pytest.param(
            "referrer",
            [of_visits("google.com/", *EACH_ONCE), of_visits("news.example/today", *EACH_ONCE)],
            id="referrer: none is left out",
        ),
        pytest.param("utm_source", [of_visits("letter", *EACH_ONCE)], id="utm_source"),
        pytest.param("utm_medium", [of_visits("email", *EACH_ONCE)], id="utm_medium"),
        pytest.param("utm_campaign", [of_visits("autumn", *EACH_ONCE)], id="utm_campaign"),
        pytest.param("utm_term", [], id="utm_term"),
        pytest.param("country", [of_visits("DE", *TWICE), of_visits("", *EACH_ONCE)], id="country"),
        pytest.param("browser", [of_visits("Safari", *TWICE), of_visits("Firefox", *EACH_ONCE)], id="browser"),
        pytest.param("os", [of_visits("iOS", *TWICE), of_visits("Linux", *EACH_ONCE)], id="os"),
        pytest.param("device", [of_visits("Mobile", *TWICE), of_visits("Desktop", *EACH_ONCE)], id="device"),
        pytest.param("hostname", [of_visits("shop.example", 2, 3, 3, 3)], id="hostname"),
        pytest.param("event", [], id="event"),
    ],
)
def test_breakdown_of_the_period(
    dimension: str,
    answer: list[Row],
    visited: Site,
    period: Period,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    asked = ask(visited, period)
    with django_assert_num_queries(1):
        rows = stats.breakdown(asked, dimension)
    assert rows == answer


def test_breakdown_keeps_the_ten_largest_and_gives_the_others_on_later_pages(berlin: Site, period: Period) -> None:
    for page in range(12):
        send_hit(berlin, f"/{page:02}", ip=ANNA, at=moment("11-02T09:00"))
    send_hit(berlin, "/11", ip=BEN, at=moment("11-02T09:00"))
    asked = ask(berlin, period)
    assert [row.value for row in stats.breakdown(asked, "page")] == ["/11", *(f"/{n:02}" for n in range(9))]
    assert [row.value for row in stats.breakdown(asked, "page", offset=10)] == ["/09", "/10"]
    assert len(stats.breakdown(asked, "page", limit=None)) == 12


@pytest.mark.parametrize(
    ("dimension", "search", "found"),
    [
        ("page", "RIC", ["/pricing"]),
        ("page", "_", []),
        ("page", "%", []),
        ("country", "german", ["DE"]),
        ("country", "DE", []),
    ],
)
def test_breakdown_searches_what_people_read(
    dimension: str, search: str, found: list[str], visited: Site, period: Period
) -> None:
    rows = stats.breakdown(ask(visited, period), dimension, search=search)
    assert [row.value for row in rows] == found


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

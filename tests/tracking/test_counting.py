"""Counts that were kept, counts that are made anew, and a plain count of all rows are the same."""

import datetime as dt
import threading
import time
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
from django.db import OperationalError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from sites.models import Site
from sites.periods import Period, between, midnight
from tests.factories import SiteFactory, send_engagement, send_event, send_hit
from tests.tracking.plain import Plain, filters_of
from tracking import goals, stats
from tracking.ahead import count_days, settled_through
from tracking.counting import TOTAL, Asked, ask, figures_of, goal_dimension
from tracking.dimensions import DIMENSIONS
from tracking.filters import Filters
from tracking.models import Counted, DailyCount, Event, Goal, MonthlyCount, View, Visit
from tracking.stats import Bucket

MAY = Period(dt.date(2026, 5, 1), dt.date(2026, 5, 31), zoneinfo.ZoneInfo("UTC"))
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
# Days on which the clocks change: at night, at midnight, by going on and back, and by a quarter of an hour's zone.
CHANGES = [
    ("UTC", dt.date(2026, 2, 28)),
    ("Europe/Berlin", dt.date(2026, 3, 29)),
    ("Europe/Berlin", dt.date(2026, 10, 25)),
    ("America/Sao_Paulo", dt.date(2018, 2, 17)),
    ("America/Sao_Paulo", dt.date(2018, 11, 4)),
    ("America/Havana", dt.date(2026, 11, 1)),
    ("Pacific/Chatham", dt.date(2026, 4, 5)),
    ("Pacific/Kiritimati", dt.date(2026, 1, 1)),
]
PATHS = ("/", "/a", "/a_b", "/thanks/1")
WHO = ("8.8.8.8", "193.99.144.80", "9.9.9.9")
TAGS = ("", "utm_source=letter&utm_campaign=May", "utm_source=may_letter", "gclid=1")
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody does at a minute of a day before or after the change of the clocks."""

    day: int
    minute: int
    who: int = 0
    path: int = 0
    tags: int = 0
    views: int = 1
    pause: int = 25
    event: str = ""
    engaged_ms: int = 0


# Around midnight is where days, salts and clocks change.
MINUTES = st.integers(0, 1439) | st.integers(0, 90) | st.integers(1350, 1439)
STEPS = st.builds(
    Step,
    day=st.integers(-1, 1),
    minute=MINUTES,
    who=st.integers(0, 2),
    path=st.integers(0, 3),
    tags=st.integers(0, 3),
    views=st.integers(1, 6),
    pause=st.sampled_from([7, 29, 29, 40]),
    event=st.sampled_from(["", "", "signup", "sign_up"]),
    engaged_ms=st.sampled_from([0, 499, 1_500, 70_000]),
)
FILTERS = st.lists(
    st.sampled_from(
        filters_of(
            ("is", "page", "/a"),
            ("is", "page", "/"),
            ("not", "page", "/a"),
            ("has", "page", "_"),
            ("is", "entry_page", "/"),
            ("not", "entry_page", "/a_b"),
            ("has", "utm_source", "LETTER"),
            ("is", "utm_source", ""),
            ("not", "country", "US"),
            ("is", "country", "US"),
            ("is", "country", "DE"),
            ("is", "event", "signup"),
            ("not", "event", "signup"),
            ("has", "event", "_"),
            ("is", "goal", "Thanked"),
            ("not", "goal", "Signed up"),
            ("has", "goal", "n"),
            ("is", "goal", "Nobody knows it"),
            ("not", "goal", "Nobody knows it"),
        )
    ),
    max_size=3,
    unique=True,
).map(tuple)


Happening = tuple[dt.datetime, Callable[[], object]]


def happenings(site: Site, change: dt.date, steps: list[Step]) -> Iterator[Happening]:
    for step in steps:
        start = midnight(change, site.zone) + dt.timedelta(days=step.day, minutes=step.minute)
        for n in range(step.views):
            view, when, ip = uuid.uuid4(), start + n * step.pause * MINUTE, WHO[step.who]
            path = PATHS[(step.path + n) % len(PATHS)]
            yield (
                when,
                partial(send_hit, site, path, query=TAGS[step.tags] if n == 0 else "", ip=ip, view_id=view, at=when),
            )
            if step.event:
                later = when + MINUTE
                yield later, partial(send_event, site, step.event, view_id=view, path=path, ip=ip, at=later)
            if step.engaged_ms:
                # A tab that was left open is closed hours later.
                later = when + step.minute * MINUTE
                yield later, partial(send_engagement, site, view, step.engaged_ms, 40, ip=ip, at=later)


def same_as_plain(site: Site, period: Period, filters: Filters = (), dimensions: Iterable[str] = DIMENSIONS) -> None:
    """Compare panels, headline, chart and goals with the plain count."""
    plain, asked = Plain(site), ask(site, period, filters)
    for dimension in dimensions:
        rows = plain.breakdown(dimension, period, filters)
        if dimension in stats.WITHOUT_NONE:
            rows = [row for row in rows if row.value]
        assert stats.breakdown(asked, dimension, limit=None) == rows, dimension
    current, previous = plain.totals(period, filters), plain.totals(period.previous, filters)
    assert stats.totals(asked, period.end_at, period.previous) == stats.Comparison(current, previous)
    for bucket in Bucket:
        points = {point.start: point.totals for point in stats.over_time(asked, bucket) if point.totals.visits}
        assert points == plain.over_time(period, bucket, filters), bucket
    reached = {row.name: (row.visitors, row.times) for row in stats.goals(asked)}
    assert reached == {goal.name: plain.goal(goal, period, filters) for goal in plain.goals}


@pytest.mark.django_db
@settings(max_examples=15)
@given(
    st.sampled_from(CHANGES),
    st.lists(STEPS, min_size=1, max_size=6),
    st.sets(st.sampled_from([-24, -6, 0, 1, 14, 24, 25, 48, 50]), max_size=4),
    st.integers(-2, 1),
    st.integers(1, 3),
    FILTERS,
)
def test_any_hits_are_counted_alike_however_much_was_counted_ahead(
    change: tuple[str, dt.date], steps: list[Step], runs: set[int], first: int, days: int, filters: Filters
) -> None:
    zone, day = change
    site = SiteFactory(timezone=zone)
    Goal.objects.create(site=site, name="Thanked", kind="page", pattern="/th*/1")
    Goal.objects.create(site=site, name="Signed up", kind="event", pattern="signup")
    moments = [midnight(day, site.zone) + dt.timedelta(hours=run, minutes=20) for run in runs]
    counting = [(when, partial(count_days, site, when)) for when in moments]
    for _, happens in sorted([*happenings(site, day, steps), *counting], key=lambda one: one[0]):
        happens()
    period = Period(day + first * DAY, day + (first + days - 1) * DAY, site.zone)
    some = ("page", "entry_page", "utm_source", "event")
    same_as_plain(site, period, filters, some)
    same_as_plain(site, period, (), some)
    count_days(site, midnight(day, site.zone) + 6 * DAY)
    same_as_plain(site, period, (), some)


def noon(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")


def busy(site: Site, first: dt.datetime, days: int) -> None:
    """Have visits on every sixth day, with another page and another source each time."""
    for day in range(0, days, 6):
        when, ip = first + day * DAY, WHO[day // 6 % 3]
        send_hit(site, PATHS[day // 6 % 4], "https://news.example/", TAGS[day // 6 % 4], ip=ip, at=when)
        view = send_hit(site, PATHS[day // 6 % 3], ip=ip, at=when + 3 * MINUTE)
        send_engagement(site, view, 2_000 + day, day, ip=ip, at=when + 4 * MINUTE)
        send_event(site, "signup", {"plan": f"p{day // 6 % 2}", "n": 7}, view, ip=ip, at=when + 5 * MINUTE)
        send_hit(site, "/", ip=WHO[(day // 6 + 1) % 3], at=when + 9 * 60 * MINUTE)


@pytest.fixture
def quarter(site: Site) -> Site:
    """A site in Berlin that was visited from the 20th of August to the 20th of November of 2026, and counted."""
    site.timezone = BERLIN.key
    site.save()
    Goal.objects.create(site=site, name="Thanked", kind="page", pattern="/th*")
    busy(site, noon("2026-08-20"), 92)
    count_days(site, noon("2026-11-22"))
    return site


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param("2026-08-20", "2026-11-20", id="all of it"),
        pytest.param("2026-09-01", "2026-09-30", id="a month"),
        pytest.param("2026-09-01", "2026-11-19", id="from the first of a month"),
        pytest.param("2026-08-31", "2026-10-31", id="to the last of a month"),
        pytest.param("2026-09-02", "2026-10-30", id="across a month's end, no month whole"),
        pytest.param("2026-10-25", "2026-10-25", id="the day of 25 hours"),
        pytest.param("2025-01-01", "2027-12-31", id="years"),
        pytest.param("2025-01-01", "2025-12-31", id="before anything"),
        pytest.param("2026-11-21", "2027-03-31", id="after everything"),
    ],
)
def test_months_and_days_counted_ahead_give_what_the_visits_do(quarter: Site, first: str, last: str) -> None:
    period = between(first, last, BERLIN)
    same_as_plain(quarter, period)
    assert stats.properties(ask(quarter, period)) == stats.properties(Asked(quarter, period))


def test_whole_months_are_summed_ahead_for_each_dimension(quarter: Site) -> None:
    months = MonthlyCount.objects.filter(site=quarter, dimension="page").order_by("month")
    assert [count.month.isoformat() for count in months] == ["2026-08-01", "2026-09-01", "2026-10-01"]
    assert set(MonthlyCount.objects.values_list("dimension", flat=True)) == {*DIMENSIONS, "property"}
    # The rows of a panel come from them: without, the whole month is gone.
    MonthlyCount.objects.filter(dimension="page", month="2026-09-01").delete()
    assert stats.breakdown(ask(quarter, between("2026-09-01", "2026-09-30", BERLIN)), "page") == []


def test_a_brief_breakdown_is_the_same_with_two_figures(quarter: Site) -> None:
    asked = ask(quarter, between("2026-08-20", "2026-11-20", BERLIN))
    for dimension in DIMENSIONS:
        names = figures_of(dimension)[:2]
        whole = [(row.value, *(getattr(row, name) for name in names)) for row in stats.breakdown(asked, dimension)]
        brief = stats.breakdown(asked, dimension, is_brief=True)
        assert [(row.value, *(getattr(row, name) for name in names)) for row in brief] == whole


def test_day_visitors_add_up(quarter: Site) -> None:
    whole = between("2026-08-20", "2026-11-20", BERLIN)
    days = [Period(day, day, BERLIN) for day in whole]
    assert sum(stats.visitors(ask(quarter, day)) for day in days) == stats.visitors(ask(quarter, whole)) == 32
    for bucket in (Bucket.DAY, Bucket.WEEK, Bucket.MONTH):
        assert sum(point.totals.visitors for point in stats.over_time(ask(quarter, whole), bucket)) == 32
    for dimension in ("page", "country", "event"):
        rows = [row for day in days for row in stats.breakdown(ask(quarter, day), dimension)]
        for row in stats.breakdown(ask(quarter, whole), dimension):
            assert row.visitors == sum(each.visitors for each in rows if each.value == row.value)


@pytest.mark.parametrize("is_counted", [False, True], ids=["fresh", "counted ahead"])
def test_what_goes_on_is_compared_up_to_the_same_moment(quarter: Site, is_counted: bool) -> None:
    if not is_counted:
        Counted.objects.all().delete()
    # That moment lay, in the period before, between two visits of the 7th of October.
    period, now = between("2026-10-16", "2026-11-08", BERLIN), dt.datetime(2026, 10, 31, 15, tzinfo=dt.UTC)
    until = period.previous.end_at - (period.end_at - now)
    compared = stats.totals(ask(quarter, period), now, period.previous)
    plain = Plain(quarter)
    assert compared.previous == plain.totals(period.previous, until=until)
    assert 0 < compared.previous.visits < plain.totals(period.previous).visits


@pytest.mark.parametrize(
    ("zone", "now", "settled"),
    [
        pytest.param("UTC", "2026-03-10T00:14", "2026-03-07", id="hits of yesterday may still be written"),
        pytest.param("UTC", "2026-03-10T00:15", "2026-03-08", id="visits of the day before yesterday have ended"),
        pytest.param("Europe/Berlin", "2026-03-10T00:15", "2026-03-08", id="the day ended before that of UTC"),
        pytest.param("Pacific/Kiritimati", "2026-03-10T00:15", "2026-03-08", id="14 hours before UTC"),
        pytest.param("Pacific/Honolulu", "2026-03-10T00:15", "2026-03-07", id="the day ended on the next of UTC"),
        pytest.param("Pacific/Honolulu", "2026-03-10T23:59", "2026-03-07", id="and still so in the evening"),
    ],
)
def test_a_day_is_settled_when_its_visits_have_ended(zone: str, now: str, settled: str) -> None:
    moment = dt.datetime.fromisoformat(f"{now}+00:00")
    assert settled_through(moment, zoneinfo.ZoneInfo(zone)).isoformat() == settled


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Honolulu", "Pacific/Kiritimati"])
def test_a_visit_that_goes_on_for_days_is_counted_only_once_it_has_ended(site: Site, zone: str) -> None:
    site.timezone = zone
    site.save()
    start = dt.datetime(2026, 3, 8, 0, 5, tzinfo=dt.UTC)
    for n in range(0, 3 * 24 * 60, 29):
        view = send_hit(site, f"/{n}", at=start + n * MINUTE)
        if n % 10 == 0:
            count_days(site, start + n * MINUTE)
    assert Counted.objects.get(dimension=TOTAL).last_on >= start.astimezone(site.zone).date()
    # The name of a visitor is known for two days of UTC, and no visit is longer.
    assert {visit.started_at.date().isoformat() for visit in Plain(site).visits} == {"2026-03-08", "2026-03-10"}
    same_as_plain(site, between("2026-03-01", "2026-03-31", site.zone))
    # Said again, or told to have been read for hours, days later: nothing that was counted changes.
    count_days(site, start + 9 * DAY)
    send_hit(site, f"/{n}", view_id=view, at=start + 9 * DAY)
    send_engagement(site, view, 3_600_000, 100, at=start + 9 * DAY)
    same_as_plain(site, between("2026-03-01", "2026-03-31", site.zone))


def test_another_time_zone_has_all_days_counted_anew(quarter: Site) -> None:
    everything = ("2026-08-01", "2026-11-30")
    visits = stats.totals(ask(quarter, between(*everything, BERLIN)), noon("2026-12-01"), MAY).current.visits
    by_day = [point.totals for point in stats.over_time(ask(quarter, between(*everything, BERLIN)), Bucket.DAY)]
    for zone in ("Pacific/Kiritimati", "America/Sao_Paulo", BERLIN.key):
        quarter.timezone = zone
        quarter.save()
        period = between(*everything, quarter.zone)
        same_as_plain(quarter, period)
        count_days(quarter, noon("2026-11-22"))
        same_as_plain(quarter, period)
        same_as_plain(quarter, between("2026-09-01", "2026-10-31", quarter.zone))
        assert stats.totals(ask(quarter, period), noon("2026-12-01"), MAY).current.visits == visits
    assert [point.totals for point in stats.over_time(ask(quarter, period), Bucket.DAY)] == by_day


def test_days_whose_visits_are_gone_stay_counted_after_a_change_of_zone(quarter: Site) -> None:
    before = between("2026-08-20", "2026-09-10", BERLIN)
    known = stats.breakdown(ask(quarter, before), "page")
    assert known
    start = {"site": quarter, "at__lt": midnight(dt.date(2026, 9, 11), BERLIN)}
    Visit.objects.filter(site=quarter, started_at__lt=start["at__lt"]).delete()
    View.objects.filter(**start).delete()
    Event.objects.filter(**start).delete()
    quarter.timezone = "America/New_York"
    quarter.save()
    count_days(quarter, noon("2026-11-22"))
    assert stats.breakdown(ask(quarter, between("2026-08-20", "2026-09-10", quarter.zone)), "page") == known
    months = stats.breakdown(ask(quarter, between("2026-08-01", "2026-09-30", quarter.zone)), "page")
    days = [
        row
        for day in between("2026-08-01", "2026-09-30", quarter.zone)
        for row in stats.breakdown(ask(quarter, Period(day, day, quarter.zone)), "page")
    ]
    assert sum(row.views for row in months) == sum(row.views for row in days)


def test_counting_again_changes_nothing(quarter: Site) -> None:
    def kept() -> list[dict[str, object]]:
        return [*DailyCount.objects.order_by("pk").values(), *MonthlyCount.objects.order_by("pk").values()]

    before = kept()
    count_days(quarter, noon("2026-11-22"))
    assert kept() == before
    # Even from the beginning, which a second counting may have begun before the first had ended.
    Counted.objects.all().delete()
    count_days(quarter, noon("2026-11-22"))
    assert kept() == before


def test_a_counting_of_what_is_counted_asks_little(
    quarter: Site, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(6):
        count_days(quarter, noon("2026-11-22"))


class Counting(threading.Thread):
    """Something that runs on a connection of its own."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._act()
        except OperationalError as error:
            self.error = error
        finally:
            connection.close()


def waiting_for(pid: int) -> int:
    """Wait until another connection waits for one; give its number."""
    for _ in range(2_000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid))", [pid])
            if found := cursor.fetchone():
                return int(found[0])
        time.sleep(0.01)
    raise AssertionError(f"nobody waits for {pid}")


@contextmanager
def held_up(site: Site, dimension: str, day: dt.date, act: Callable[[], object]) -> Iterator[tuple[Counting, int]]:
    """Do something on another connection that stops where it would write a day's count; it goes on afterwards."""
    counting = Counting(act)
    with transaction.atomic():
        DailyCount.objects.create(site=site, dimension=dimension, day=day, values=[], visitors=[], views=[])
        counting.start()
        yield counting, waiting_for(connection.connection.info.backend_pid)
        transaction.set_rollback(True)
    counting.join()


@pytest.fixture
def uncounted(transactional_db: None) -> Site:
    site = SiteFactory(timezone=BERLIN.key)
    for name, pattern in (("First", "/"), ("Second", "/a")):
        Goal.objects.create(site=site, name=name, kind="page", pattern=pattern)
    busy(site, noon("2026-08-20"), 50)
    return site


OCTOBER = noon("2026-10-11")
COUNTED = Period(dt.date(2026, 8, 20), dt.date(2026, 10, 8), BERLIN)


def test_a_counting_that_is_killed_halfway_is_gone_on_with(uncounted: Site) -> None:
    with held_up(uncounted, "page", dt.date(2026, 9, 13), partial(count_days, uncounted, OCTOBER)) as (counting, pid):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        counting.join()
    assert counting.error
    assert Counted.objects.get(dimension="page").last_on == dt.date(2026, 8, 31)
    assert not Counted.objects.filter(dimension="event").exists()
    same_as_plain(uncounted, COUNTED)
    count_days(uncounted, OCTOBER)
    assert {row.last_on for row in Counted.objects.all()} == {dt.date(2026, 10, 9)}
    same_as_plain(uncounted, COUNTED)


def test_two_countings_at_once_count_everything_once(uncounted: Site) -> None:
    act = partial(count_days, uncounted, OCTOBER)
    with held_up(uncounted, "page", dt.date(2026, 9, 13), act) as (_, pid):
        other = Counting(act)
        other.start()
        waiting_for(pid)
    other.join()
    assert {row.last_on for row in Counted.objects.all()} == {dt.date(2026, 10, 9)}
    same_as_plain(uncounted, COUNTED)


def test_a_zone_that_is_changed_during_a_counting_is_counted_by_the_next(uncounted: Site) -> None:
    changed = Site.objects.get(pk=uncounted.pk)
    changed.timezone = "Pacific/Kiritimati"
    with held_up(uncounted, "page", dt.date(2026, 9, 13), partial(count_days, uncounted, OCTOBER)) as (_, pid):
        change = Counting(changed.save)
        change.start()
        waiting_for(pid)
    change.join()
    period = Period(COUNTED.first_on, COUNTED.last_on, changed.zone)
    same_as_plain(changed, period)
    count_days(changed, OCTOBER)
    assert set(Counted.objects.values_list("zone", flat=True)) == {"Pacific/Kiritimati"}
    same_as_plain(changed, period)


@pytest.mark.parametrize("name", ["First", "Second"])
def test_a_goal_that_is_removed_during_a_counting_leaves_nothing(uncounted: Site, name: str) -> None:
    first, removed = Goal.objects.get(name="First"), Goal.objects.get(name=name)
    act = partial(count_days, uncounted, OCTOBER)
    with held_up(uncounted, goal_dimension(first), dt.date(2026, 9, 13), act) as (_, pid):
        removal = Counting(partial(goals.remove, removed))
        removal.start()
        if removed == first:
            waiting_for(pid)
        else:
            removal.join()
    removal.join()
    for model in (DailyCount, Counted):
        assert not model.objects.filter(dimension=goal_dimension(removed)).exists()
    same_as_plain(uncounted, COUNTED)

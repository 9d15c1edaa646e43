import datetime as dt
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.utils import timezone

from sites.models import Site
from sites.periods import Period
from tests.factories import SiteFactory, send_engagement, send_event, send_hit
from tracking import prune as pruning
from tracking import stats
from tracking.ahead import count_days
from tracking.counting import ask
from tracking.dimensions import DIMENSIONS
from tracking.models import Counted, DailyCount, Event, Goal, RefusedHits, View, Visit
from tracking.prune import Pruned, months_before, prune
from tracking.tasks import prune_task

NOW = dt.datetime(2026, 11, 20, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-11-20", 25, "2024-10-20"),
        ("2026-12-31", 1, "2026-11-30"),
        ("2026-03-31", 1, "2026-02-28"),
        ("2028-03-31", 1, "2028-02-29"),
        ("2026-01-15", 1, "2025-12-15"),
        ("2026-12-15", 12, "2025-12-15"),
    ],
)
def test_months_are_counted_back_by_the_calendar(day: str, months: int, expected: str) -> None:
    assert months_before(dt.date.fromisoformat(day), months).isoformat() == expected


def visit(site: Site, at: dt.datetime, ip: str = "203.0.113.1", source: str = "https://www.google.com/") -> None:
    """Two views, an event, and some reading."""
    view = send_hit(site, "/", referrer=source, query="utm_campaign=tea", ip=ip, at=at)
    send_hit(site, "/buy", ip=ip, at=at + 2 * dt.timedelta(minutes=1))
    send_event(site, "signup", {"plan": "pro"}, view, ip=ip, at=at + dt.timedelta(minutes=3))
    send_engagement(site, view, 20_000, 80, ip=ip, at=at + dt.timedelta(minutes=4))


GONE = Pruned(dt.date(2026, 8, 20), visits=4, views=8, events=4, refusals=2)


def everything_counted(site: Site, period: Period) -> dict[str, Any]:
    asked = ask(site, period)
    return {
        "totals": stats.totals(asked, NOW, period.previous).current,
        "days": stats.over_time(asked, stats.Bucket.DAY),
        "goals": stats.goals(asked),
        **{name: stats.breakdown(asked, name, limit=None) for name in DIMENSIONS},
    }


@pytest.fixture
def visited(site: Site) -> Site:
    """Two visitors on each of five days, two of them more than three months ago; a goal; refused hits."""
    Goal.objects.create(site=site, name="Bought", pattern="/buy")
    for days in (1, 60, 90, 95, 130):
        for n in range(2):
            visit(site, NOW - days * DAY, f"203.0.113.{n}")
        RefusedHits.objects.create(site=site, day=(NOW - days * DAY).date(), reason="bot", hits=days)
    return site


def test_what_single_visitors_did_goes_after_the_months_and_its_counts_stay(visited: Site) -> None:
    count_days(visited, NOW)
    periods = [
        Period(NOW.date() - 200 * DAY, NOW.date(), visited.zone),
        Period(NOW.date() - 130 * DAY, NOW.date() - 130 * DAY, visited.zone),
        Period(dt.date(2026, 8, 1), dt.date(2026, 8, 31), visited.zone),
    ]
    before = [everything_counted(visited, period) for period in periods]
    stranger = SiteFactory(domain="other.example")
    send_hit(stranger, at=NOW - 130 * DAY)

    assert prune(visited, NOW, 3) == GONE

    for model, left in ((Visit, 6), (View, 12), (Event, 6)):
        assert model.objects.filter(site=visited).count() == left
    assert not View.objects.filter(site=visited, at__lt=NOW - 91 * DAY).exists()
    assert set(RefusedHits.objects.values_list("hits", flat=True)) == {1, 60, 90}
    assert View.objects.filter(site=stranger).count() == 1
    assert [everything_counted(visited, period) for period in periods] == before
    assert len(before[0]["days"]) == 201
    assert prune(visited, NOW, 3) == Pruned(GONE.before_on)


def test_days_are_those_of_the_site_and_a_visit_that_goes_on_past_midnight_goes_a_day_later(site: Site) -> None:
    Site.objects.filter(pk=site.pk).update(timezone="America/New_York")
    site.refresh_from_db()
    midnight = dt.datetime(2026, 8, 20, 4, tzinfo=dt.UTC)
    send_hit(site, "/before", at=midnight - HOUR, ip="203.0.113.1")
    send_hit(site, "/late", at=midnight - HOUR / 6, ip="203.0.113.2")
    send_hit(site, "/later", at=midnight + HOUR / 6, ip="203.0.113.2")
    send_hit(site, "/after", at=midnight, ip="203.0.113.3")

    prune(site, NOW, 3)
    assert set(View.objects.values_list("path", flat=True)) == {"/later", "/after"}
    assert set(Visit.objects.values_list("entry_path", flat=True)) == {"/late", "/after"}

    prune(site, NOW + DAY, 3)
    assert not View.objects.exists()
    assert not Visit.objects.exists()


def test_many_rows_go_in_small_parts(visited: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    assert prune(visited, NOW, 3) == GONE
    assert View.objects.count() == 12


def test_nothing_goes_that_was_not_counted(visited: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "count_days", lambda site, now: None)
    assert prune(visited, NOW, 3) == Pruned(dt.date(1, 1, 2), refusals=2, is_held_back=True)
    # In one way only; a goal that is new, and a zone in which days are others.
    count_days(visited, NOW)
    goal = Goal.objects.create(site=visited, name="Signed up", kind=Goal.Kind.EVENT, pattern="signup")
    assert prune(visited, NOW, 3).is_held_back
    goal.delete()
    visited.timezone = "Asia/Tokyo"
    assert prune(visited, NOW, 3).is_held_back
    assert (Visit.objects.count(), View.objects.count(), Event.objects.count()) == (10, 20, 10)


@pytest.mark.parametrize("name", ["total", "page", "property"])
def test_what_one_count_still_needs_stays(visited: Site, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    count_days(visited, NOW)
    Counted.objects.filter(site=visited, dimension=name).update(last_on=dt.date(2026, 8, 10))
    monkeypatch.setattr(pruning, "count_days", lambda site, now: None)
    assert prune(visited, NOW, 3).before_on == dt.date(2026, 8, 11)


def test_days_are_only_gone_as_far_as_they_are_counted(visited: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    count_days(visited, NOW - 100 * DAY)
    monkeypatch.setattr(pruning, "count_days", lambda site, now: None)
    assert prune(visited, NOW, 3) == Pruned(dt.date(2026, 8, 11), 2, 4, 2, 2, is_held_back=True)
    assert Visit.objects.filter(started_at__lt=NOW - 94 * DAY).count() == 2


def test_another_zone_neither_loses_nor_doubles_what_was_deleted(site: Site) -> None:
    cut_on = dt.date(2026, 8, 20)
    for hours in range(-60, 60, 4):
        send_hit(site, at=dt.datetime(2026, 8, 20, 1, tzinfo=dt.UTC) + hours * HOUR, ip=f"203.0.113.{hours % 24}")
    count_days(site, NOW)
    period = Period(cut_on - 10 * DAY, cut_on + 10 * DAY, ZoneInfo("UTC"))
    everything = stats.totals(ask(site, period), NOW, period.previous).current.visits
    prune(site, NOW, 3)
    for zone in ("America/New_York", "Asia/Tokyo", "UTC"):
        Site.objects.filter(pk=site.pk).update(timezone=zone)
        site.refresh_from_db()
        count_days(site, NOW)
        period = Period(cut_on - 10 * DAY, cut_on + 10 * DAY, site.zone)
        # The days in which the deletion ended begin elsewhere: hours at their edge are lost, no day is.
        assert abs(stats.totals(ask(site, period), NOW, period.previous).current.visits - everything) <= 8


def test_a_zone_s_first_day_is_not_left_behind_when_nothing_was_deleted(site: Site) -> None:
    send_hit(site, at=dt.datetime(2026, 10, 9, 23, 30, tzinfo=dt.UTC))
    for zone in ("UTC", "Europe/Berlin", "America/New_York"):
        Site.objects.filter(pk=site.pk).update(timezone=zone)
        site.refresh_from_db()
        count_days(site, NOW)
        assert DailyCount.objects.filter(dimension="total").count() == 1


def test_a_site_whose_visits_are_all_deleted_still_has_its_dashboard(visited: Site) -> None:
    prune(visited, NOW + 200 * DAY, 3)
    assert not View.objects.exists()
    assert stats.has_views(visited)
    assert not stats.has_views(SiteFactory())


@pytest.fixture
def old(site: Site, settings: Any) -> Site:
    """A visit of a hundred days ago, and one of today; three months are kept."""
    settings.RETENTION_MONTHS = 3
    send_hit(site, at=timezone.now() - 100 * DAY)
    send_hit(site)
    return site


def test_the_command_says_what_it_deleted(old: Site, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("prune")
    assert "shop.example: before 20" in (said := capsys.readouterr().out)
    assert "deleted 1 visits, 1 views, 0 events and 0 counts" in said
    call_command("prune", "--json")
    (row,) = json.loads(capsys.readouterr().out)["sites"]
    assert row.pop("before_on") < timezone.now().date().isoformat()
    assert row == {"site": "shop.example", "visits": 0, "views": 0, "events": 0, "refusals": 0, "is_held_back": False}


def test_the_command_ends_with_3_when_days_wait_to_be_counted(
    old: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pruning, "count_days", lambda site, now: None)
    with pytest.raises(SystemExit, match="3"):
        call_command("prune")
    assert "waits for older days to be counted" in capsys.readouterr().out
    assert View.objects.count() == 2


def test_without_months_nothing_is_ever_deleted(old: Site, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.RETENTION_MONTHS = 0
    call_command("prune")
    prune_task()
    assert "nothing is ever deleted" in capsys.readouterr().out
    assert View.objects.count() == 2


def test_the_worker_prunes_every_day(old: Site, settings: Any) -> None:
    assert {"task": "tracking.prune", "schedule": 86400} in settings.CELERY_BEAT_SCHEDULE.values()
    prune_task()
    assert View.objects.count() == 1

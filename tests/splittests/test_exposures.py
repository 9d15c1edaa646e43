import datetime as dt
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from sites.models import Site
from splittests.exposures import gather
from splittests.models import Exposed, SplitTest, State
from splittests.tasks import gather_exposures
from tests.factories import IPHONE, send_hit
from tests.splittests.selling import HOUR, NOON, running, seen
from tracking.models import Exposure, View, Visit

MINUTE = HOUR / 60


def gathered(test: SplitTest) -> list[tuple[str | None, dt.datetime]]:
    gather(test)
    rows = Exposed.objects.filter(test=test).order_by("first_at", "visitor")
    names = dict(test.variants.values_list("pk", "name"))
    return [(names[row.variant_id] if row.variant_id else None, row.first_at) for row in rows]


def test_each_visitor_is_gathered_once_with_the_first_view(site: Site, django_assert_num_queries: Any) -> None:
    test = running(site, "Control", "B")
    seen(test, "Control", ip="203.0.113.1", at=NOON + MINUTE)
    seen(test, "Control", ip="203.0.113.1", at=NOON)
    seen(test, "B", ip="203.0.113.2", at=NOON + 2 * MINUTE)
    expected = [("Control", NOON), ("B", NOON + 2 * MINUTE)]
    assert gathered(test) == expected
    assert gathered(test) == expected


def test_later_views_are_added_to_what_is_known(site: Site) -> None:
    test = running(site, "Control", "B")
    seen(test, "Control", ip="203.0.113.1", at=NOON)
    seen(test, "B", ip="203.0.113.2", at=NOON)
    assert sorted(gathered(test), key=str) == [("B", NOON), ("Control", NOON)]
    seen(test, "B", ip="203.0.113.1", at=NOON + 9 * HOUR)
    seen(test, "B", ip="203.0.113.2", at=NOON + 9 * HOUR)
    seen(test, "B", ip="203.0.113.3", at=NOON + 10 * HOUR)
    assert sorted(gathered(test), key=str) == [("B", NOON), ("B", NOON + 10 * HOUR), (None, NOON)]
    # Who has seen two variants never comes back.
    seen(test, "Control", ip="203.0.113.1", at=NOON + 11 * HOUR)
    assert sorted(gathered(test), key=str) == [("B", NOON), ("B", NOON + 10 * HOUR), (None, NOON)]


def test_a_view_that_is_written_after_a_later_one_is_not_missed(site: Site) -> None:
    test = running(site, "Control")
    seen(test, "Control", ip="203.0.113.1", at=NOON)
    assert gathered(test) == [("Control", NOON)]
    seen(test, "Control", ip="203.0.113.2", at=NOON - 14 * MINUTE)
    assert gathered(test) == [("Control", NOON - 14 * MINUTE), ("Control", NOON)]


def test_only_new_views_are_read(site: Site) -> None:
    test = running(site, "Control")
    seen(test, "Control", ip="203.0.113.1", at=NOON)
    gather(test)
    test.refresh_from_db()
    assert test.gathered_at == NOON
    Exposed.objects.all().delete()
    SplitTest.objects.update(gathered_at=NOON + 20 * MINUTE)
    seen(test, "Control", ip="203.0.113.2", at=NOON + HOUR)
    assert gathered(test) == [("Control", NOON + HOUR)]


def test_a_visitor_comes_with_the_place_and_the_browser_of_the_first_visit(site: Site) -> None:
    test = running(site, "Control")
    variant = test.variants.get().pk
    send_hit(site, ip="91.64.0.1", user_agent=IPHONE, query="utm_medium=email", at=NOON, variants=[variant])
    send_hit(site, ip="91.64.0.1", user_agent=IPHONE, at=NOON + HOUR, variants=[variant])
    gather(test)
    row = Exposed.objects.get()
    assert (row.device, row.country, row.channel) == ("Mobile", "DE", "Email")


def test_what_is_left_of_deleted_views_is_gathered_without_their_visits(site: Site) -> None:
    test = running(site, "Control", "B")
    view = View.objects.get(id=seen(test, "B", ip="203.0.113.1"))
    Exposure.objects.create(site=site, id=view.id, visitor=view.visitor, at=view.at, variants=view.variants)
    View.objects.all().delete()
    Visit.objects.all().delete()
    assert gathered(test) == [("B", NOON)]
    assert Exposed.objects.get().channel == ""


def test_a_draft_gathers_nothing(site: Site) -> None:
    test = running(site, "Control", state=State.DRAFT, started_at=None)
    seen(test, "Control", ip="203.0.113.1")
    assert gathered(test) == []


@pytest.mark.parametrize("hours", [-1.5, 1, 2])
def test_what_was_seen_while_the_test_did_not_run_is_not_gathered(site: Site, hours: float) -> None:
    test = running(site, "Control", stopped_at=NOON + HOUR, state=State.STOPPED)
    seen(test, "Control", ip="203.0.113.1", at=NOON + hours * HOUR)
    assert gathered(test) == []


def test_what_was_gathered_goes_with_its_site(site: Site) -> None:
    test = running(site, "Control")
    seen(test, "Control", ip="203.0.113.1")
    gather(test)
    site.delete()
    assert not Exposed.objects.exists()


def test_the_worker_gathers_for_the_tests_that_were_shown_lately(site: Site) -> None:
    now = timezone.now()
    for key, days in [("running", None), ("stopped", 1), ("stopped-long-ago", 5)]:
        stopped = {"state": State.STOPPED, "stopped_at": now - dt.timedelta(days=days)} if days else {}
        test = running(site, "Control", key=key, **stopped)
        seen(test, "Control", ip=f"203.0.113.{len(key)}")
    gather_exposures()
    assert set(Exposed.objects.values_list("test__key", flat=True)) == {"running", "stopped"}
    beat = {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}
    assert gather_exposures.name in beat

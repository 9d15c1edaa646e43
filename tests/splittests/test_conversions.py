"""Goals that are no revenue, metrics and guardrails: what visitors did through /collect is what the results say."""

import datetime as dt
from typing import Any

import pytest
from django.db.models import Count
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.models import Site
from splittests import results
from splittests.exposures import gather
from splittests.models import Audience, Converted, Exposed, Goal, Metric, SplitTest, State
from splittests.readings import CONVERSION, Results
from tests.factories import IPHONE, send_event, send_hit
from tests.splittests.selling import HOUR, NOON, made, seen
from tracking.models import Event, View
from tracking.prune import prune

pytestmark = pytest.mark.django_db
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


def running(site: Site, *metrics: dict[str, Any], **fields: Any) -> SplitTest:
    """A test of a control and B that began an hour before noon."""
    test = made(
        {"name": "Control"},
        {"name": "B"},
        state=State.DRAFT,
        **{"site": site, "key": "k", "pages": ["/"], "currency": "eur", "started_at": NOON - HOUR} | fields,
    )
    for metric in metrics:
        test.metrics.create(**metric)
    SplitTest.objects.filter(pk=test.pk).update(state=State.RUNNING)
    test.refresh_from_db()
    return test


def results_of(test: SplitTest) -> Results:
    gather(test)
    return results.results_of(test, NOON)


def figures(found: Results) -> list[tuple[int, int]]:
    return [(arm.visitors, arm.conversions) for arm in found.arms]


@pytest.mark.parametrize(
    ("goal", "pattern", "done", "other"),
    [
        (Goal.PAGE, "/thanks/*", {"path": "/thanks/1"}, {"path": "/thankless"}),
        (Goal.EVENT, "Subscribed", {"name": "Subscribed"}, {"name": "Subscribed twice"}),
        (Goal.CLICK, "Buy", {"name": "Buy"}, {"name": "Buyer"}),
        (Goal.FORM, "signup", {"name": "Form submit", "props": {"form": "signup"}}, {"name": "Form submit"}),
    ],
)
def test_a_goal_is_reached_once_and_only_after_the_first_exposure(
    site: Site, goal: str, pattern: str, done: dict[str, Any], other: dict[str, Any]
) -> None:
    test = running(site, goal=goal, goal_pattern=pattern, window_days=1)
    send = send_hit if "path" in done else send_event

    def acts(ip: int, at: dt.datetime, what: dict[str, Any]) -> None:
        send(site, ip=f"203.0.113.{ip}", at=at, **what)

    for ip, name in enumerate(("Control", "Control", "B", "B", "B")):
        seen(test, name, ip=f"203.0.113.{ip}")
    acts(0, NOON - MINUTE, done)
    acts(1, NOON + MINUTE, other)
    acts(2, NOON + MINUTE, done)
    acts(2, NOON + 2 * MINUTE, done)
    acts(3, NOON + MINUTE, done)
    acts(4, NOON + MINUTE, done)
    # Who was shown two variants belongs to none.
    seen(test, "Control", ip="203.0.113.4", at=NOON + MINUTE)
    acts(9, NOON + MINUTE, done)

    found = results_of(test)
    assert figures(found) == [(2, 0), (2, 2)]
    assert [arm.capped for arm in found.arms] == [0, 2 * CONVERSION]
    assert (found.is_money, found.excluded) == (False, 1)
    ((_, days),) = [(look.day, look.intervals) for look in results.by_day(test, "UTC")]
    assert days == (None,)
    assert [(group.value, figures(group.results)) for group in results.breakdown(test, "device")] == [
        ("Desktop", [(2, 0), (2, 2)])
    ]


def test_what_comes_after_the_window_does_not_count(site: Site) -> None:
    test = running(site, goal=Goal.EVENT, goal_pattern="Subscribed", window_days=1)
    SplitTest.objects.filter(pk=test.pk).update(state=State.DRAFT)
    for ip, hours in ((1, 1), (2, 25)):
        seen(test, "B", ip=f"203.0.113.{ip}")
        visitor = View.objects.order_by("-id").values_list("visitor", flat=True)[0]
        send_event(site, "Subscribed", ip=f"203.0.113.{ip}", at=NOON + MINUTE)
        # A visitor is known for a day and the night after it at most.
        Event.objects.filter(visitor=visitor).update(at=NOON + hours * HOUR)
    assert figures(results_of(test)) == [(0, 0), (2, 1)]


def test_conversions_outlive_what_they_were_counted_from(site: Site) -> None:
    test = running(site, goal=Goal.EVENT, goal_pattern="Subscribed")
    seen(test, "B", ip="203.0.113.1")
    send_event(site, "Subscribed", ip="203.0.113.1", at=NOON + MINUTE)
    assert figures(results_of(test)) == [(0, 0), (1, 1)]
    prune(site, NOON + 800 * DAY, 25)
    assert not Event.objects.exists()
    assert figures(results_of(test)) == [(0, 0), (1, 1)]


def test_what_comes_late_is_found_and_what_is_known_is_not_looked_for_again(site: Site) -> None:
    now = timezone.now()
    test = running(site, goal=Goal.EVENT, goal_pattern="Subscribed", started_at=now - 5 * HOUR)
    seen(test, "B", ip="203.0.113.1", at=now - 4 * HOUR)
    assert figures(results_of(test)) == [(0, 0), (1, 0)]
    test.refresh_from_db()
    # Written a while after it came.
    send_event(site, "Subscribed", ip="203.0.113.1", at=now - 10 * MINUTE)
    assert figures(results_of(test)) == [(0, 0), (1, 1)]


GUARDRAIL = {"name": "Leads", "role": Metric.Role.GUARDRAIL, "goal": Goal.EVENT, "pattern": "Lead"}


@pytest.fixture
def harmful(site: Site) -> SplitTest:
    """Everybody subscribes with B, where half of the control do; and nobody leaves a lead, where a third did."""
    test = running(site, GUARDRAIL, goal=Goal.EVENT, goal_pattern="Subscribed", planned_visitors=300)
    for number in range(300):
        name, ip = ("Control", "B")[number % 2], f"91.64.{number // 200}.{number % 200}"
        at = NOON + number // 200 * DAY
        seen(test, name, ip=ip, at=at)
        if name == "B" or number % 4 == 0:
            send_event(site, "Subscribed", ip=ip, at=at + MINUTE)
        if number % (3 if name == "Control" else 5) == 0:
            send_event(site, "Lead", ip=ip, at=at + MINUTE)
    return test


def test_who_harms_a_guardrail_does_not_win(harmful: SplitTest, owner_client: Client) -> None:
    found = results_of(harmful)
    assert figures(found) == [(150, 75), (150, 150)]
    (leads,) = found.metrics
    assert (leads.name, leads.is_guardrail, figures(leads.results)) == ("Leads", True, [(150, 50), (150, 30)])
    # Fewer, but not clearly so: chance may do that.
    assert (leads.harm("B"), found.verdict.winner) == ("", "B")
    address = f"/shop.example/split-tests/{harmful.pk}/"
    page = " ".join(owner_client.get(address).content.decode().split())
    for text in ("B is the winner", "more conversions per 100 visitors than Control", "What else was counted", "33.3%"):
        assert text in page
    assert "Average order" not in page
    assert "conversions per 100 visitors" in owner_client.get(f"{address}over-time/").content.decode()

    Event.objects.filter(name="Lead", visitor__in=_visitors_of(harmful, "B")).delete()
    SplitTest.objects.update(converted_at=None)
    harmful.refresh_from_db()
    Converted.objects.all().delete()
    found = results_of(harmful)
    assert found.verdict.title == "B is ahead, but does harm"
    assert found.verdict.winner == ""
    assert "Leads: between" in found.verdict.text
    told = owner_client.get(f"{address}results.json").json()
    assert told["metrics"][0]["name"] == "Leads"
    assert told["comparisons"][0]["at_any_time"]["difference"]["estimate"] == pytest.approx(0.5)
    rows = owner_client.get(f"{address}results.csv").content.decode().splitlines()
    assert [row.split(",")[:2] for row in rows[3:]] == [["Leads", "Control"], ["Leads", "B"]]


def _visitors_of(test: SplitTest, name: str) -> list[Any]:
    return list(Exposed.objects.filter(test=test, variant__name=name).values_list("visitor", flat=True))


@settings(max_examples=15)
@given(
    steps=st.lists(
        st.lists(
            st.tuples(st.integers(1, 6), st.sampled_from(["Control", "B"]), st.integers(-30, 90), st.booleans()),
            max_size=6,
        ),
        max_size=4,
    )
)
def test_the_audience_is_counted_along(site: Site, steps: list[list[tuple[int, str, int, bool]]]) -> None:
    test = running(site, key=f"k{SplitTest.objects.count()}")
    for step in steps:
        for number, name, minutes, is_mobile in step:
            agent = {"user_agent": IPHONE} if is_mobile else {}
            variant = test.variants.get(name=name)
            send_hit(site, ip=f"203.0.113.{number}", at=NOON + minutes * MINUTE, variants=[variant.pk], **agent)
        gather(test)
    exposed = Exposed.objects.filter(test=test)
    for dimension in ("device", "country", "channel"):
        counted = Audience.objects.filter(test=test, dimension=dimension).exclude(visitors=0)
        expected = exposed.values_list(dimension, "variant_id").annotate(Count("visitor"))
        assert sorted(counted.values_list("value", "variant_id", "visitors")) == sorted(
            (value, variant or 0, visitors) for value, variant, visitors in expected
        )
    quarters = Audience.objects.filter(test=test, dimension="quarter").exclude(visitors=0)
    expected_quarters: dict[tuple[str, int], int] = {}
    for first_at, variant in exposed.values_list("first_at", "variant_id"):
        key = (str(int(first_at.timestamp()) // 900 * 900), variant or 0)
        expected_quarters[key] = expected_quarters.get(key, 0) + 1
    assert {
        (value, variant): visitors
        for value, variant, visitors in quarters.values_list("value", "variant_id", "visitors")
    } == expected_quarters

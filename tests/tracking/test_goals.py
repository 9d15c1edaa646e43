import datetime as dt
import uuid

import pytest
from django.test import Client
from django.utils import timezone

from sites.models import Role, Site, User
from sites.periods import picked
from tests.factories import MembershipFactory, SiteFactory, send_hit
from tracking import stats
from tracking.ahead import count_days
from tracking.counting import goal_dimension
from tracking.forms import GoalForm, page_pattern
from tracking.models import Counted, DailyCount, Event, Goal, View

PAGE = "/shop.example/settings/goals/"
LONG_AGO = dt.timedelta(days=5)


@pytest.fixture
def visited(site: Site) -> Site:
    """Two saw the thanks five days ago, one of them twice; one of them saw an order today."""
    before = timezone.now() - LONG_AGO
    for ip, path in (("8.8.8.8", "/thanks"), ("8.8.8.8", "/thanks"), ("9.9.9.9", "/thanks"), ("9.9.9.9", "/")):
        send_hit(site, path, ip=ip, at=before)
    send_hit(site, "/orders/7/done", ip="8.8.8.8")
    return site


def goal_of(site: Site, name: str = "Order", pattern: str = "/thanks", kind: str = "page") -> Goal:
    return Goal.objects.create(site=site, name=name, kind=kind, pattern=pattern)


def send_event(site: Site, name: str, view: uuid.UUID) -> None:
    seen = View.objects.get(id=view)
    Event.objects.create(
        site=site, id=uuid.uuid4(), view_id=view, visit_id=seen.visit_id, visitor=seen.visitor, at=seen.at, name=name
    )


def visitors(site: Site) -> dict[str, int]:
    period = picked("30d", timezone.now(), site.zone)
    return {row.name: row.visitors for row in stats.goals(stats.ask(site, period))}


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 404), (Role.EDITOR, 404), (Role.ADMIN, 200), (Role.OWNER, 200)]
)
def test_goals_are_for_admins_of_the_site(owner_client: Client, owner: User, role: Role, status: int) -> None:
    site = MembershipFactory(site__domain="other.example", user=owner, role=role).site
    goal = goal_of(site)
    page = "/other.example/settings/goals/"
    for path in ("", f"{goal.pk}/", "preview/?kind=page&pattern=/"):
        assert owner_client.get(page + path).status_code == status
    data = {"name": "More", "kind": "page", "pattern": "/more"}
    assert owner_client.post(page, data, follow=True).status_code == status
    assert owner_client.post(f"{page}{goal.pk}/", data | {"name": "Most"}, follow=True).status_code == status
    assert Goal.objects.count() == (2 if status == 200 else 1)


def test_the_goals_of_another_site_are_not_there(owner_client: Client, site: Site) -> None:
    other = goal_of(SiteFactory())
    assert owner_client.get(f"{PAGE}{other.pk}/").status_code == 404
    assert owner_client.post(f"{PAGE}{other.pk}/remove/").status_code == 404
    assert Goal.objects.get() == other


def test_a_page_without_goals_says_what_one_is(owner_client: Client, site: Site) -> None:
    assert "No goal has been set." in owner_client.get(PAGE).content.decode()


def test_a_goal_counts_what_was_there_before_it(owner_client: Client, visited: Site) -> None:
    owner_client.post(PAGE, {"name": "Thanked", "kind": "page", "pattern": "/thanks"})
    owner_client.post(PAGE, {"name": "Done", "kind": "page", "pattern": "https://shop.example/orders/*/done?x=1"})
    shown = [(goal.name, goal.pattern, seen) for goal, seen in owner_client.get(PAGE).context["goals"]]
    assert shown == [("Done", "/orders/*/done", "1"), ("Thanked", "/thanks", "2")]


@pytest.mark.parametrize(
    ("told", "mistake"),
    [
        pytest.param({"name": ""}, "This field is required.", id="no name"),
        pytest.param({"pattern": ""}, "This field is required.", id="no page"),
        pytest.param({"pattern": "thanks"}, "The address of a page begins with /", id="no path"),
        pytest.param({"kind": "event", "pattern": "x" * 121}, "at most 120 characters", id="a long event"),
        pytest.param({"kind": "wish"}, "Select a valid choice.", id="another kind"),
        pytest.param({"name": "Order"}, "There is a goal of this name already.", id="a name twice"),
        pytest.param({"pattern": "/\0"}, "Null characters are not allowed.", id="a NUL"),
    ],
)
def test_a_mistake_in_a_goal_is_shown(owner_client: Client, site: Site, told: dict[str, str], mistake: str) -> None:
    goal_of(site)
    response = owner_client.post(PAGE, {"name": "New", "kind": "page", "pattern": "/new"} | told)
    assert response.status_code == 200
    assert mistake in response.content.decode()
    assert Goal.objects.count() == 1


def test_the_same_goal_sent_twice_at_once_is_set_once(site: Site) -> None:
    data = {"name": "Order", "kind": "page", "pattern": "/thanks"}
    first, second = GoalForm(data, instance=Goal(site=site)), GoalForm(data, instance=Goal(site=site))
    assert first.is_valid()
    assert second.is_valid()
    assert first.is_kept()
    assert not second.is_kept()
    assert second.non_field_errors() == ["This is there already."]
    assert Goal.objects.count() == 1


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("/thank-you", "/thank-you"),
        ("*/done", "*/done"),
        ("https://shop.example/thanks?order=7", "/thanks"),
        ("https://shop.example", "/"),
        ("https://shop.example?x=/", "/"),
        ("/app#/orders", "/app#/orders"),
    ],
)
def test_the_path_is_found_in_what_is_pasted(text: str, pattern: str) -> None:
    assert page_pattern(text) == pattern


def test_a_goal_of_an_event_counts_its_exact_name(owner_client: Client, site: Site) -> None:
    view = send_hit(site)
    send_event(site, "signup", view)
    for name, pattern in (("Exact", "signup"), ("Star", "sign*")):
        owner_client.post(PAGE, {"name": name, "kind": "event", "pattern": pattern})
    assert visitors(site) == {"Exact": 1, "Star": 0}


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"kind": "page", "pattern": "/thanks"}, "2 visitors reached /thanks in the last 30 days."),
        ({"kind": "page", "pattern": "/orders/*"}, "1 visitor reached /orders/* in the last 30 days."),
        ({"kind": "page", "pattern": "/t_anks"}, "0 visitors reached /t_anks in the last 30 days."),
        ({"kind": "event", "pattern": "signup"}, "0 visitors reached signup in the last 30 days."),
    ],
)
def test_a_preview_counts_before_anything_is_saved(
    owner_client: Client, visited: Site, asked: dict[str, str], text: str
) -> None:
    assert text in owner_client.get(f"{PAGE}preview/", asked).content.decode()
    assert not Goal.objects.exists()


@pytest.mark.parametrize(
    "asked", [{}, {"kind": "page"}, {"kind": "page", "pattern": "x"}, {"kind": "x", "pattern": "/"}]
)
def test_a_preview_of_nothing_is_empty(owner_client: Client, site: Site, asked: dict[str, str]) -> None:
    response = owner_client.get(f"{PAGE}preview/", asked)
    assert response.status_code == 200
    assert "reached" not in response.content.decode()


def test_a_new_name_keeps_what_was_counted(owner_client: Client, visited: Site) -> None:
    goal = goal_of(visited)
    count_days(visited, timezone.now())
    counted = DailyCount.objects.filter(dimension=goal_dimension(goal)).count()
    assert counted
    owner_client.post(f"{PAGE}{goal.pk}/", {"name": "Thanked", "kind": "page", "pattern": "/thanks"})
    assert Goal.objects.get().name == "Thanked"
    assert DailyCount.objects.filter(dimension=goal_dimension(goal)).count() == counted
    assert visitors(visited) == {"Thanked": 2}


def test_another_page_has_the_goal_counted_anew(owner_client: Client, visited: Site) -> None:
    goal = goal_of(visited)
    count_days(visited, timezone.now())
    assert visitors(visited) == {"Order": 2}
    owner_client.post(f"{PAGE}{goal.pk}/", {"name": "Order", "kind": "page", "pattern": "/"})
    assert not DailyCount.objects.filter(dimension__startswith="goal:").exists()
    assert not Counted.objects.filter(dimension__startswith="goal:").exists()
    assert visitors(visited) == {"Order": 1}
    count_days(visited, timezone.now())
    assert visitors(visited) == {"Order": 1}


def test_a_mistake_in_a_change_leaves_the_goal_and_its_name_on_the_page(owner_client: Client, site: Site) -> None:
    goal = goal_of(site)
    response = owner_client.post(f"{PAGE}{goal.pk}/", {"name": "Wrong", "kind": "page", "pattern": "thanks"})
    assert '<h2 id="goal-title">Order</h2>' in response.content.decode()
    goal.refresh_from_db()
    assert (goal.name, goal.pattern) == ("Order", "/thanks")


def test_a_removed_goal_is_forgotten_with_its_counts(owner_client: Client, visited: Site) -> None:
    goal, other = goal_of(visited), goal_of(visited, "Home", "/")
    count_days(visited, timezone.now())
    owner_client.post(f"{PAGE}{goal.pk}/remove/")
    assert set(Goal.objects.all()) == {other}
    for model in (DailyCount, Counted):
        dimensions = set(model.objects.filter(dimension__startswith="goal:").values_list("dimension", flat=True))
        assert dimensions == {goal_dimension(other)}


def test_a_goal_changed_or_removed_in_the_admin_leaves_no_counts(admin_client: Client, visited: Site) -> None:
    goal = goal_of(visited)
    count_days(visited, timezone.now())
    data = {"site": visited.pk, "name": "Order", "kind": "page", "pattern": "/"}
    assert admin_client.post(f"/admin/tracking/goal/{goal.pk}/change/", data).status_code == 302
    assert visitors(visited) == {"Order": 1}
    count_days(visited, timezone.now())
    assert visitors(visited) == {"Order": 1}
    chosen = {"action": "delete_selected", "_selected_action": [Goal.objects.get().pk], "post": "yes"}
    assert admin_client.post("/admin/tracking/goal/", chosen).status_code == 302
    assert not Goal.objects.exists()
    assert not DailyCount.objects.filter(dimension__startswith="goal:").exists()

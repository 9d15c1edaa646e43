import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone

from sites.models import Membership, Role, Site
from splittests import schedule
from splittests.models import Metric, SplitTest, StartedError, State
from splittests.preview import previewed
from splittests.versions import next_version
from tests.factories import send_event, send_hit
from tests.splittests.selling import made
from tests.splittests.test_views import INDEX, NEW, change, filled

HOUR = dt.timedelta(hours=1)


def draft_of(site: Site, **fields: Any) -> SplitTest:
    """A test of a page that has been seen, and of a goal that has been reached."""
    now = timezone.now()
    send_hit(site, "/pricing", at=now - HOUR)
    told = {"key": "headline", "name": "Headline", "pages": ["/pricing"], "currency": "eur", "goal": "page"}
    told |= {"goal_pattern": "/pricing", "state": State.DRAFT, "started_at": None, "site": site}
    return made({"name": "Control"}, {"name": "Loud", "changes": [change("Buy now!")]}, **told | fields)


def state_of(test: SplitTest) -> str:
    return SplitTest.objects.get(pk=test.pk).state


def errors_of(client: Client, **changes: str) -> str:
    response = client.post(NEW, filled(**changes))
    assert response.status_code == 200
    return response.content.decode()


def test_everything_that_the_form_asks_is_kept_and_comes_back_for_editing(site: Site, owner_client: Client) -> None:
    told = {
        "hypothesis": "Because they read it.",
        "pages": "/pricing\n\n!/pricing?preview=*",
        "traffic_percent": "40",
        "devices": ["Mobile", "Tablet"],
        "countries": "Germany, ch",
        "channels": ["Email"],
        "goal": "event",
        "goal_pattern": "Sign up",
        "control_name": "As it is",
        "starts_at": "2999-07-01T09:30",
        "ends_at": "2999-07-15T09:30",
        "variants-0-changes-0-action": "css",
        "variants-0-changes-0-name": "color",
        "variants-0-changes-0-value": "red",
        "metrics-TOTAL_FORMS": "2",
        "metrics-0-goal": "page",
        "metrics-0-pattern": "/thank-you",
        "metrics-0-role": "guardrail",
        "metrics-1-goal": "revenue",
    }
    Site.objects.update(timezone="Europe/Berlin")
    owner_client.post(NEW, filled() | told)
    test = SplitTest.objects.get()
    assert (test.hypothesis, test.pages) == ("Because they read it.", ["/pricing", "!/pricing?preview=*"])
    assert (test.traffic_percent, test.devices, test.countries, test.channels) == (
        40, ["Mobile", "Tablet"], ["DE", "CH"], ["Email"],
    )  # fmt: skip
    assert (test.goal, test.goal_pattern) == ("event", "Sign up")
    assert test.starts_at == dt.datetime(2999, 7, 1, 7, 30, tzinfo=dt.UTC)
    css = {"selector": "h1", "action": "css", "name": "color", "value": "red"}
    assert list(test.variants.values_list("name", "changes")) == [("As it is", []), ("Loud", [css])]
    assert list(test.metrics.values_list("name", "role", "goal", "pattern")) == [
        ("/thank-you", "guardrail", "page", "/thank-you"),
        ("Revenue", "secondary", "revenue", ""),
    ]
    page = owner_client.get(f"{INDEX}{test.pk}/edit/").content.decode()
    for text in ("Because they read it.", "!/pricing?preview=*", "Germany, Switzerland", "2999-07-01T09:30", "red"):
        assert text in page
    edited = filled(name="Renamed", kind="redirect", variants__0__redirect_url="/pricing-b")
    owner_client.post(f"{INDEX}{test.pk}/edit/", edited)
    test.refresh_from_db()
    assert (test.name, test.key, test.goal, test.starts_at) == ("Renamed", "pricing-headline", "revenue", None)
    assert list(test.variants.values_list("changes", "redirect_url")) == [([], ""), ([], "/pricing-b")]
    assert not Metric.objects.exists()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"pages": "!/a"}, "Name at least one page", id="only left out"),
        pytest.param({"traffic_percent": "0"}, "greater than or equal to 1", id="nobody"),
        pytest.param({"countries": "Atlantis"}, "“Atlantis” is no country", id="country"),
        pytest.param({"devices": "Fridge"}, "Select a valid choice", id="device"),
        pytest.param({"goal": "form"}, "Say which one counts.", id="no pattern"),
        pytest.param({"goal": "page", "goal_pattern": "thanks"}, "begins with /", id="no path"),
        pytest.param({"starts_at": "2020-01-01T00:00"}, "This has passed already", id="past"),
        pytest.param(
            {"starts_at": "2999-01-02T00:00", "ends_at": "2999-01-01T00:00"}, "not after the start", id="end first"
        ),
        pytest.param({"kind": "redirect"}, "Enter the address of the page", id="no address"),
        pytest.param(
            {"kind": "redirect", "variants__0__redirect_url": "https://evil.example/"}, "only be sent to", id="away"
        ),
        pytest.param({"variants__0__changes__0__action": "attribute"}, "Name the attribute", id="no attribute"),
        pytest.param(
            {"variants__0__changes__0__action": "html", "variants__0__changes__0__value": "<script>x</script>"},
            "A test may not put &lt;script&gt; on the page.",
            id="script",
        ),
        pytest.param({"metrics-TOTAL_FORMS": "6"}, "submit at most 5 forms", id="too many metrics"),
        pytest.param({"metrics-TOTAL_FORMS": "1", "metrics-0-name": "x"}, "Say which one counts.", id="empty metric"),
    ],
)
def test_the_form_says_what_is_wrong(site: Site, owner_client: Client, changes: dict[str, str], error: str) -> None:
    assert error in errors_of(owner_client, **changes)
    assert not SplitTest.objects.exists()


@pytest.mark.parametrize("where", ["variants", "variants-0-changes", "metrics"])
def test_a_row_more_keeps_what_was_written_and_complains_about_nothing(
    site: Site, owner_client: Client, where: str
) -> None:
    told = filled(name="", pages="nowhere", add=where)
    content = owner_client.post(NEW, told).content.decode()
    number = told[f"{where}-TOTAL_FORMS"]
    assert f'name="{where}-{number}-name"' in content
    assert "nowhere" in content
    assert "errorlist" not in content
    owner_client.post(NEW, filled(add="secret") | {"variants-TOTAL_FORMS": "x"})
    assert not SplitTest.objects.exists()


def test_a_variant_of_changes_alone_is_called_by_its_number(site: Site, owner_client: Client) -> None:
    owner_client.post(NEW, filled(variants__0__name=""))
    assert list(SplitTest.objects.get().variants.values_list("name", "weight")) == [("Control", 1), ("Variant 1", 1)]


def test_what_is_written_for_another_kind_changes_nothing(site: Site, owner_client: Client) -> None:
    owner_client.post(NEW, filled(kind="code", variants__0__redirect_url="https://evil.example/"))
    loud = SplitTest.objects.get().variants.get(name="Loud")
    assert (loud.changes, loud.redirect_url) == ([], "")


def test_a_draft_says_what_is_wrong_before_it_is_started(site: Site, owner_client: Client) -> None:
    test = draft_of(site, goal="event", goal_pattern="Sign up")
    page = f"{INDEX}{test.pk}/"
    assert f'hx-get="{page}checks/"' in owner_client.get(page).content.decode()
    content = owner_client.get(f"{page}checks/").content.decode()
    assert "Nobody has reached “Sign up”" in content
    assert 'name="confirmed" required' in content
    assert "Nobody has reached" in owner_client.post(f"{page}start/", follow=True).content.decode()
    assert state_of(test) == State.DRAFT
    owner_client.post(f"{page}start/", {"confirmed": "on"})
    assert state_of(test) == State.RUNNING
    assert owner_client.get(f"{page}checks/").status_code == 404


def test_a_pause_is_recorded_and_ends_past_the_guards(site: Site, owner_client: Client) -> None:
    test = draft_of(site)
    page = f"{INDEX}{test.pk}/"
    for action, state in (("start", "running"), ("pause", "paused"), ("pause", "paused")):
        owner_client.post(f"{page}{action}/")
        assert state_of(test) == state
    assert not SplitTest.objects.running().exists()
    assert "Before it goes on" in owner_client.get(f"{page}checks/").content.decode()
    other = draft_of(site, key="other", state=State.RUNNING)
    assert "changes h1" in owner_client.post(f"{page}start/", follow=True).content.decode()
    assert state_of(test) == State.PAUSED
    other.stop(timezone.now())
    owner_client.post(f"{page}start/")
    assert state_of(test) == State.RUNNING
    owner_client.post(f"{page}pause/")
    owner_client.post(f"{page}stop/")
    assert state_of(test) == State.STOPPED
    assert [pause.ended_at is not None for pause in test.pauses.all()] == [True, True]
    assert owner_client.get(page).content.decode().count("<dt>Paused</dt>") == 2


def test_what_is_over_can_be_put_away(site: Site, owner_client: Client) -> None:
    running, draft = draft_of(site, state=State.RUNNING), draft_of(site, key="draft", name="Never begun")
    for test in (running, draft):
        owner_client.post(f"{INDEX}{test.pk}/archive/")
    assert (state_of(running), state_of(draft)) == (State.RUNNING, State.ARCHIVED)
    assert "Never begun" not in owner_client.get(INDEX).content.decode()
    archived = owner_client.get(f"{INDEX}?archived=1").content.decode()
    assert "Never begun" in archived
    assert "Archived (1)" in archived
    assert owner_client.get(f"{INDEX}{draft.pk}/").status_code == 200
    assert owner_client.get(f"{INDEX}{draft.pk}/edit/").status_code == 404


def test_what_was_started_is_not_changed_but_has_a_next_version(site: Site, owner_client: Client) -> None:
    test = draft_of(site, traffic_percent=30, starts_at=timezone.now() - HOUR)
    test.metrics.create(name="Thanks", pattern="/thanks")
    test.start(timezone.now())
    page = f"{INDEX}{test.pk}/"
    assert owner_client.post(f"{page}edit/", filled()).status_code == 404
    first = owner_client.post(f"{page}change/")
    again = owner_client.post(f"{page}change/")
    assert first["Location"] == again["Location"]
    draft = SplitTest.objects.get(version=2)
    assert first["Location"] == f"{INDEX}{draft.pk}/edit/"
    assert (draft.key, draft.previous, draft.traffic_percent, draft.state) == ("headline", test, 30, State.DRAFT)
    assert (draft.started_at, draft.starts_at, draft.secret == test.secret) == (None, None, False)
    assert list(draft.variants.values_list("name", "changes")) == list(test.variants.values_list("name", "changes"))
    assert draft.metrics.get().pattern == "/thanks"
    owner_client.post(f"{INDEX}{draft.pk}/start/", {"confirmed": "on"})
    assert (state_of(test), state_of(draft)) == (State.STOPPED, State.RUNNING)
    assert "after version 1" in owner_client.get(f"{INDEX}{draft.pk}/").content.decode()


def test_the_models_refuse_to_change_what_was_started(site: Site) -> None:
    test = draft_of(site, state=State.RUNNING)
    test.metrics.model(test=draft_of(site, key="draft"), name="Of a draft").save()
    test.name = "Renamed"
    variant = test.variants.get(name="Loud")
    for refused in (test.save, variant.save, variant.delete, lambda: test.metrics.create(name="Thanks")):
        with pytest.raises(StartedError):
            refused()
    test.refresh_from_db()
    assert test.name == "Headline"
    test.save()


def test_only_one_version_of_a_key_is_shown(site: Site) -> None:
    draft_of(site, state=State.RUNNING)
    with pytest.raises(IntegrityError), transaction.atomic():
        draft_of(site, state=State.PAUSED, version=2)


def test_a_version_that_was_put_away_is_not_gone_on_with(site: Site) -> None:
    test = draft_of(site, state=State.STOPPED)
    next_version(test).archive()
    assert next_version(test).version == 3


def test_the_schedule_starts_and_stops_what_is_due(site: Site) -> None:
    now = timezone.now()
    due = draft_of(site, starts_at=now - HOUR / 60)
    later = draft_of(site, key="later", pages=["/later"], starts_at=now + HOUR)
    over = draft_of(site, key="over", state=State.RUNNING, ends_at=now, pages=["/over"])
    broken = draft_of(site, key="broken", starts_at=now - HOUR, pages=["/nowhere"])
    schedule.keep(now)
    assert [state_of(test) for test in (due, later, over, broken)] == ["running", "draft", "stopped", "draft"]
    broken.refresh_from_db()
    assert "Nobody has been seen on /nowhere" in broken.start_refusal
    send_hit(site, "/nowhere", at=now)
    schedule.keep(now)
    assert state_of(broken) == State.DRAFT


def test_a_refused_start_is_told_until_the_draft_is_changed(site: Site, owner_client: Client) -> None:
    test = draft_of(site, starts_at=timezone.now() - HOUR, pages=["/nowhere"])
    schedule.keep(timezone.now())
    page = f"{INDEX}{test.pk}/"
    assert "could not: Nobody has been seen on /nowhere" in owner_client.get(page).content.decode()
    owner_client.post(f"{page}edit/", filled())
    test.refresh_from_db()
    assert test.start_refusal == ""


def test_a_preview_leads_to_a_page_of_the_test(site: Site, owner_client: Client) -> None:
    test = draft_of(site, pages=["/pri*"])
    send_hit(site, "/pricing", at=timezone.now())
    loud = test.variants.get(name="Loud")
    address = owner_client.get(f"{INDEX}{test.pk}/preview/{loud.pk}/")["Location"]
    page, _, token = address.partition("?humblytics_preview=")
    assert page == "https://shop.example/pricing"
    assert previewed(token) == (test.pk, loud.pk)
    assert previewed(f"{token}x") is None
    assert owner_client.get(f"{INDEX}{test.pk}/preview/{loud.pk + 9}/").status_code == 404


def test_conversions_are_planned_by_the_pages_own_rate(site: Site, owner_client: Client) -> None:
    at = timezone.now() - HOUR
    for number in range(40):
        view = send_hit(site, "/pricing", ip=f"91.64.0.{number}", at=at)
        if number % 4 == 0:
            send_event(site, "Sign up", {}, view, ip=f"91.64.0.{number}", at=at)
    asked = "pages=/pricing&goal=event&goal_pattern=Sign+up&traffic_percent="
    content = owner_client.get(f"{INDEX}plan/?{asked}100").content.decode()
    assert "/pricing had 40 visitors, of whom 10 reached “Sign up”." in content
    days = [int(each.partition(">")[2].partition("<")[0].replace(",", "")) for each in content.split('"Days"')[1:]]
    half = owner_client.get(f"{INDEX}plan/?{asked}50").content.decode()
    doubled = [int(each.partition(">")[2].partition("<")[0].replace(",", "")) for each in half.split('"Days"')[1:]]
    assert len(days) == 4
    assert all(2 * day - 1 <= more <= 2 * day for day, more in zip(days, doubled, strict=True))


def test_a_viewer_starts_nothing(site: Site, owner_client: Client) -> None:
    test = draft_of(site)
    Membership.objects.update(role=Role.VIEWER)
    page = f"{INDEX}{test.pk}/"
    assert "checks/" not in owner_client.get(page).content.decode()
    for action in ("start", "pause", "archive", "change"):
        assert owner_client.post(f"{page}{action}/").status_code == 404
    assert state_of(test) == State.DRAFT


@pytest.mark.django_db(transaction=True)
def test_tests_of_the_version_before_keep_their_page_element_and_texts() -> None:
    """A running test goes on as it was."""
    executor = MigrationExecutor(connection)
    executor.migrate([("splittests", "0002_plans_and_exposed")])
    try:
        before = executor.loader.project_state([("splittests", "0002_plans_and_exposed")]).apps
        site = Site.objects.create(domain="old.example")
        known = {"site_id": site.pk, "currency": "eur", "state": "running", "started_at": timezone.now()}
        old = before.get_model("splittests", "SplitTest")
        test = old.objects.create(key="a", path="/products/*", selector="#buy", **known)
        test.variants.create(name="Control")
        test.variants.create(name="B", text="Bring it home")
        old.objects.create(key="b", path="/", **known).variants.create(name="Control")
    finally:
        MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes("splittests"))
    texts, code = SplitTest.objects.order_by("key")
    assert (texts.pages, texts.kind, code.pages, code.kind) == (["/products/*"], "changes", ["/"], "code")
    text = {"selector": "#buy", "action": "text", "name": "", "value": "Bring it home"}
    assert list(texts.variants.values_list("name", "changes")) == [("Control", []), ("B", [text])]
    assert SplitTest.objects.running().count() == 2

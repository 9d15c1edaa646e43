import datetime as dt

import pytest
from django.test import Client

from sites.models import Site, User
from splittests.models import SplitTest, State

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
LIST = "/admin/splittests/splittest/"


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.com"))
    return client


@pytest.fixture
def draft(site: Site) -> SplitTest:
    test = SplitTest.objects.create(site=site, name="Headline", key="headline", pages=["/"], currency="eur")
    test.variants.create(name="Control")
    return test


def sent(test: SplitTest) -> dict[str, str]:
    """What a browser sends to rename the test and its variant."""
    variant = test.variants.get()
    return {
        "site": str(test.site_id),
        "name": "Renamed",
        "key": test.key,
        "kind": test.kind,
        "pages": "/",
        "traffic_percent": "100",
        "goal": test.goal,
        "currency": test.currency,
        "state": State.STOPPED,
        "variants-TOTAL_FORMS": "1",
        "variants-INITIAL_FORMS": "1",
        "variants-0-id": str(variant.pk),
        "variants-0-test": str(test.pk),
        "variants-0-name": "Renamed, too",
        "variants-0-weight": "2",
        "variants-0-changes": "[]",
        "metrics-TOTAL_FORMS": "0",
        "metrics-INITIAL_FORMS": "0",
    }


def test_draft_can_be_changed_except_for_its_state(draft: SplitTest, client: Client) -> None:
    assert client.post(f"{LIST}{draft.pk}/change/", sent(draft)).status_code == 302
    draft.refresh_from_db()
    assert (draft.name, draft.variants.get().name, draft.state) == ("Renamed", "Renamed, too", State.DRAFT)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("changes", '[{"selector": "h1", "action": "html", "name": "", "value": "<script>"}]', "may not put"),
        ("changes", '[{"selector": "h1"}]', "Write a list of objects"),
        ("redirect_url", "https://evil.example/", "only be sent to pages of shop.example"),
    ],
)
def test_admin_takes_no_more_than_the_form(
    draft: SplitTest, client: Client, field: str, value: str, error: str
) -> None:
    page = client.post(f"{LIST}{draft.pk}/change/", sent(draft) | {f"variants-0-{field}": value})
    assert error in page.content.decode()
    variant = draft.variants.get()
    assert (variant.changes, variant.redirect_url) == ([], "")


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED, State.STOPPED, State.ARCHIVED])
def test_definition_of_a_started_test_can_only_be_read(draft: SplitTest, client: Client, state: State) -> None:
    SplitTest.objects.update(state=state, started_at=NOW)
    page = client.get(f"{LIST}{draft.pk}/change/")
    assert page.status_code == 200
    assert 'name="name"' not in page.content.decode()
    assert 'name="variants-0-name"' not in page.content.decode()
    assert client.post(f"{LIST}{draft.pk}/change/", sent(draft)).status_code == 403
    draft.refresh_from_db()
    assert (draft.name, draft.variants.get().name) == ("Headline", "Control")


def test_running_test_cannot_be_deleted(draft: SplitTest, client: Client) -> None:
    SplitTest.objects.update(state=State.RUNNING, started_at=NOW)
    client.post(f"{LIST}{draft.pk}/delete/", {"post": "yes"})
    client.post(LIST, {"action": "delete_selected", "_selected_action": str(draft.pk), "post": "yes"})
    assert SplitTest.objects.exists()


@pytest.mark.parametrize("state", [State.DRAFT, State.RUNNING])
def test_secret_is_on_no_page(draft: SplitTest, client: Client, state: State) -> None:
    SplitTest.objects.update(state=state, secret=b"a secret to keep")
    for page in (LIST, f"{LIST}{draft.pk}/change/", f"{LIST}add/", f"{LIST}{draft.pk}/history/"):
        response = client.get(page)
        assert response.status_code == 200
        assert "secret" not in response.content.decode().lower()

"""The door to the API, tried with one of its endpoints: any is behind the same."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from sites import api, tokens
from sites.api import Scope
from sites.models import ApiToken, Site
from sites.tokens import issue

PATH = "/api/v1/sites/shop.example/live"


def get(token: str, path: str = PATH, **how: Any) -> Any:
    return Client().get(path, headers={"Authorization": f"Bearer {token}"}, **how)


@pytest.fixture
def token(site: Site) -> str:
    return issue(site, "Sheet", Scope.TRAFFIC)


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        (None, "Send the header “Authorization: Bearer” with an API token of the site."),
        ("", "Send the header “Authorization: Bearer” with an API token of the site."),
        ("Bearer", "Send the header “Authorization: Bearer” with an API token of the site."),
        ("Basic aGw6", "Send the header “Authorization: Bearer” with an API token of the site."),
        ("Bearer hl_nobody", "There is no such token; it may have been revoked."),
        ("Bearer \xff\x00", "There is no such token; it may have been revoked."),
        ("Bearer " + "x" * 9000, "There is no such token; it may have been revoked."),
    ],
)
def test_without_a_token_nothing_is_told(site: Site, authorization: str | None, message: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = Client().get(PATH, headers=headers)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert response.json() == {"error": "token", "message": message}
    assert response["Cache-Control"] == "no-store"


def test_a_revoked_token_opens_nothing_any_more(owner_client: Client, site: Site, token: str) -> None:
    assert get(token).status_code == 200
    owner_client.post(f"/shop.example/settings/sharing/tokens/{ApiToken.objects.get().pk}/revoke/")
    assert get(token).status_code == 401


def test_a_token_for_something_else_says_what_it_is_for(site: Site) -> None:
    response = get(issue(site, "Backend"))
    assert response.status_code == 403
    assert response.json() == {"error": "scope", "message": "This token is not for this: it may “Report events”."}


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_other_methods_are_refused_whoever_asks(site: Site, token: str, method: str) -> None:
    client = Client(enforce_csrf_checks=True)
    response = getattr(client, method)(PATH, headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert response.json() == {"error": "method", "message": "This is read by GET."}


def test_an_answer_sets_no_cookie_looks_at_no_session_and_is_for_no_other_page(
    owner_client: Client, site: Site, token: str
) -> None:
    response = owner_client.get(PATH, headers={"Authorization": f"Bearer {token}", "Origin": "https://evil.example"})
    assert response.status_code == 200
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")
    assert response["Cache-Control"] == "no-store"
    assert [name for name in response.headers if name.lower().startswith("access-control")] == []
    assert Client().head(PATH, headers={"Authorization": f"bearer {token}"}).status_code == 200


def test_each_answer_says_how_much_is_left_and_one_too_many_when_to_come_again(
    site: Site, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "BURST", 3)
    monkeypatch.setattr(tokens, "PAUSE", dt.timedelta(hours=1))
    first = get(token)
    assert (first["RateLimit-Remaining"], first["RateLimit-Reset"]) == ("2", "3600")
    # Mistakes count, too.
    assert get(token, f"{PATH}?shoe=40")["RateLimit-Remaining"] == "1"
    assert get(token)["RateLimit-Remaining"] == "0"
    refused = get(token)
    assert (refused.status_code, refused["Retry-After"]) == (429, "3600")
    assert refused.json() == {"error": "too-many", "message": "This token was used too often. Ask again in 3600 s."}
    assert get(issue(site, "Other", Scope.TRAFFIC)).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_servers_that_answer_at_once_count_together(site: Site, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads have a connection each, as processes do."""
    monkeypatch.setattr(tokens, "BURST", 7)
    monkeypatch.setattr(tokens, "PAUSE", dt.timedelta(hours=1))

    def status(_: int) -> int:
        try:
            return int(get(token).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(status, range(40)))
    assert sorted(statuses) == [200] * 7 + [429] * 33


def test_when_the_database_is_away_the_answer_says_so(site: Site, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OperationalError("gone: host 10.0.0.7")

    monkeypatch.setattr(api, "use", away)
    response = get(token)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.json() == {"error": "unavailable", "message": "The database is not available. Ask again."}

"""Every answer, whatever was asked and whatever went wrong, keeps browsers from what it does not need."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest
from django.test import Client
from django.urls import NoReverseMatch

from humblytics.asgi import Application
from humblytics.edge import Edge
from sites.models import Site
from tests.factories import UserFactory, exchange, send_hit
from tests.test_conventions import ROUTES

ANYWHERE = ["/", "/nowhere/", "/admin/nowhere/", "/static/css/humblytics.css", "/static/nowhere.css", "/shop.example"]

# What tells a browser to stay on https.
HANDED_ON = {"/login/": True, "/": True, "/js/nothere.js": False}


def lacking(headers: Mapping[str, str]) -> list[str]:
    """Name what an answer does not forbid."""
    told = {name.lower(): value for name, value in headers.items()}
    policy = {each.strip() for each in told.get("content-security-policy", "").split(";")}
    forbidden = {
        "sources": "default-src 'none'" in policy,
        "frames": "frame-ancestors 'none'" in policy,
        "unsafe": not any("unsafe" in each or "*" in each for each in policy),
        "guessed types": told.get("x-content-type-options") == "nosniff",
        "referrers": told.get("referrer-policy") in ("same-origin", "strict-origin"),
        "leaks in headers": not {"server", "x-powered-by"} & told.keys(),
    }
    if told.get("content-type", "").startswith("text/html"):
        forbidden |= {
            # The form of a split test is told by the site's page that it opens which element was picked there.
            "openers": told.get("cross-origin-opener-policy") in ("same-origin", "same-origin-allow-popups"),
            "forms": "form-action 'self'" in policy,
            "bases": "base-uri 'none'" in policy,
            "plugins": "object-src 'none'" in policy,
        }
    return [name for name, is_so in forbidden.items() if not is_so]


def addresses(domain: str) -> Iterator[str]:
    """Every address there is, with what stands for something that there is not, but for the site."""
    yield from ANYWHERE
    # Whoever has logged out is somebody else.
    for route in sorted(ROUTES, key=lambda route: "logout" in route.name):
        try:
            yield route.address(domain)
        except (NoReverseMatch, KeyError):
            assert route.name.startswith("admin:"), route.name


@pytest.fixture
def admins(site: Site) -> Client:
    """Somebody who may everything."""
    send_hit(site)
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True, email="admin@example.com"))
    return client


@pytest.mark.parametrize("who", ["client", "owner_client", "admins"])
def test_every_address_answers_strictly_whoever_asks(
    who: str, site: Site, admins: Client, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(who)
    seen, wrong = set(), {}
    for address in addresses(site.domain):
        for method in ("get", "post", "options"):
            response = getattr(client, method)(address)
            # A file is closed once it is read.
            response.getvalue()
            seen.add(response.status_code)
            if lack := lacking(response.headers):
                wrong[f"{method} {address}"] = lack
    assert wrong == {}
    assert {200, 302, 404, 405} <= seen


@pytest.mark.django_db
def test_what_django_refuses_or_fails_at_is_answered_strictly(
    site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    refused = {
        400: client.get("/login/", headers={"Host": "evil.example"}),
        403: client.post("/login/", {"username": "a"}),
        404: client.get("/share/nothing/"),
    }
    settings.SECURE_SSL_REDIRECT = True
    secure = Client()
    refused[301] = secure.get("/login/")
    host = secure.get("/login/", headers={"Host": "evil.example"})

    def fail(self: BaseHandler, request: HttpRequest) -> None:
        raise ZeroDivisionError

    settings.SECURE_SSL_REDIRECT = False
    monkeypatch.setattr(BaseHandler, "resolve_request", fail)
    refused[500] = Client(raise_request_exception=False).get("/login/")
    assert {status: response.status_code for status, response in refused.items()} == {
        status: status for status in refused
    }
    assert host.status_code == 400
    assert {status: lacking(response.headers) for status, response in [*refused.items(), (0, host)]} == {
        key: [] for key in [*refused, 0]
    }


def test_pages_stay_on_https_and_what_sites_hand_on_says_nothing_of_it(
    client: Client, site: Site, settings: Any
) -> None:
    settings.SECURE_HSTS_SECONDS = 60
    told = {path: "Strict-Transport-Security" in client.get(path, secure=True).headers for path in HANDED_ON}
    assert told == HANDED_ON
    scope = {"method": "POST", "path": "/collect", "headers": [], "client": ("203.0.113.7", 1)}
    assert "strict-transport-security" not in asyncio.run(exchange(Application(), scope, b"{"))[1]


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("it was not for Django")


@pytest.mark.parametrize("path", ["/collect", "/api/v1/events"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
def test_the_doors_for_hits_answer_strictly(path: str, method: str) -> None:
    scope = {"method": method, "path": path, "headers": [], "client": ("203.0.113.7", 1)}
    _, headers, _ = asyncio.run(exchange(Application(), scope, b"{"))
    assert lacking(headers) == []


@pytest.mark.parametrize(("path", "query", "status"), [("/healthz", b"", 200), ("/", b"a=%00", 400)])
def test_what_never_gets_to_django_is_answered_strictly(path: str, query: bytes, status: int) -> None:
    scope = {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": query, "headers": []}
    answered, headers, _ = asyncio.run(exchange(Edge(nothing, ()), scope, b""))
    assert (answered, lacking(headers)) == (status, [])

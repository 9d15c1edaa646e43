"""The API, asked by schemathesis whatever its own document lets a program ask, and what it does not."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from django.utils import timezone
from hypothesis import settings
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from humblytics.wsgi import application
from revenue.attribution import Evidence, Model, Reason
from revenue.models import Attribution, Connection, LedgerLine, StripeAccount
from sites import tokens
from sites.api import Scope
from sites.models import Site
from tests.factories import send_event, send_hit
from tracking.models import Goal

DOCUMENT = "/api/v1/openapi.json"


def described(covers_each_value: bool) -> Any:
    schema = schemathesis.openapi.from_wsgi(DOCUMENT, application, config=SchemathesisConfig())
    schema.config.phases.coverage.enabled = covers_each_value
    # Events are taken before Django: see tests/tracking/test_backend.py.
    return schema.include(method="GET")


@pytest.fixture
def token(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A token that may be used very often, of a site that has something to tell."""
    monkeypatch.setattr(tokens, "BURST", 1_000_000)
    view = send_hit(site, "/a", "https://news.example/today", "utm_source=letter&utm_campaign=autumn")
    send_event(site, "signup", {"plan": "pro"}, view)
    Goal.objects.create(site=site, name="Account", kind="event", pattern="signup")
    sell(site)
    # Between requests Django would close the test's own connection, and what the test has made would be gone.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield tokens.issue(site, "Fuzz", Scope.REVENUE)
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def sell(site: Site) -> None:
    """Two payments of now, one credited to a visit and one to none."""
    account, now = StripeAccount.objects.create(acct_id="acct_1", livemode=False), timezone.now()
    Connection.objects.create(site=site, account=account, connected_at=now, synced_at=now)
    decisions = {
        "ch_1": {"site": site, "channel": "Email", "evidence": Evidence.SESSION},
        "ch_2": {"reason": Reason.NO_ID},
    }
    for charge, decision in decisions.items():
        paid = {"account": account, "kind": "charge", "amount": 900, "currency": "eur", "occurred_at": now}
        LedgerLine.objects.create(key=charge, charge=charge, **paid)
        made = {"account": account, "charge": charge, "rules_version": 1, "decided_at": now}
        Attribution.objects.create(model=Model.LAST_NON_DIRECT, **made, **decision)


def ask(case: Case, site: Site, token: str) -> None:
    case.path_parameters["domain"] = site.domain
    # That a period must not end before it begins, for one, the document cannot say.
    case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, excluded_checks=[positive_data_acceptance])


@described(covers_each_value=False).parametrize()
@settings(max_examples=20)
@pytest.mark.django_db
def test_whatever_is_asked_is_answered_as_the_document_says(case: Case, site: Site, token: str) -> None:
    ask(case, site, token)


@described(covers_each_value=True).parametrize()
@settings(max_examples=200)
@pytest.mark.nightly
@pytest.mark.django_db
def test_every_value_of_every_parameter_is_answered_as_the_document_says(case: Case, site: Site, token: str) -> None:
    ask(case, site, token)


def test_the_document_is_there_for_everybody(client: Client) -> None:
    response = client.get(DOCUMENT)
    document = response.json()
    assert (document["openapi"], document["servers"]) == ("3.1.0", [{"url": "http://localhost:8000"}])
    assert "/api/v1/events" in document["paths"]
    assert "/api/v1/sites/{domain}/breakdown/{name}" in document["paths"]
    assert not response.cookies
    assert client.post(DOCUMENT).status_code == 405


@pytest.mark.parametrize(
    "path", ["", "%0A", "v1/", "v1/sites", "v1/sites/shop.example", "v1/sites/shop.example/figures/", "v2"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_what_is_not_there_is_said_in_json(path: str, method: str) -> None:
    response = getattr(Client(enforce_csrf_checks=True), method)(f"/api/{path}")
    assert response.status_code == 404
    assert response.json() == {
        "error": "not-found",
        "message": f"There is nothing here. http://localhost:8000{DOCUMENT} says what there is.",
    }

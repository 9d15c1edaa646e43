import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from revenue.connecting import connect
from revenue.milestones import steps
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.world import World
from revenue.sync import sync
from sites.models import Site
from tests.factories import CHROME, PLAIN, collect, send_hit
from tests.revenue.conftest import moment

pytestmark = pytest.mark.django_db
STEPS = "/shop.example/settings/revenue/steps/"


def done(site: Site) -> int:
    """How many steps are done; those after the first that is not must not be."""
    found = [step.is_done for step in steps(site)]
    assert found == sorted(found, reverse=True)
    return sum(found)


def test_each_step_is_done_by_what_happens(
    owner_client: Client, site: Site, account: Account, world: World, sandbox: SandboxServer, buy: Any
) -> None:
    assert done(site) == 0
    refused = {"site": site.key, "view": "0190f3c2-7a54-7c1d-9b7e-5d2f8e6a4c10", "url": "https://staging.example/"}
    collect(json.dumps(refused).encode(), [PLAIN, (b"user-agent", CHROME.encode())])
    assert done(site) == 1
    page = owner_client.get(STEPS).content.decode()
    assert 'hx-trigger="every 5s"' in page
    assert page.count('class="done"') == 1
    assert "Open a page of the site" in page

    view = send_hit(site)
    assert done(site) == 2
    connection = connect(site, account.restricted_key, timezone.now())
    assert done(site) == 3
    item = {"price_data": {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Tea"}}, "quantity": 1}
    shop = {"mode": "payment", "line_items": [item], "success_url": "https://shop.example/thanks"}
    world.create_session(account, **shop, metadata={"humblytics_view_id": "not an id"})
    session = world.create_session(account, **shop, client_reference_id=str(view))
    sync(connection, moment(world), drain=True)
    assert done(site) == 4
    world.pay(session["id"])
    sync(connection, moment(world), drain=True)
    assert done(site) == 6
    page = owner_client.get(STEPS).content.decode()
    assert "hx-get" not in page
    assert page.count('class="done"') == 6


@pytest.mark.parametrize(
    ("carried", "expected"),
    [
        pytest.param({"client_reference_id": "order-7"}, False, id="the merchant's own reference"),
        pytest.param({"client_reference_id": "0190F3C2-7A54-7C1D-9B7E-5D2F8E6A4C10"}, True, id="reference"),
        pytest.param({"metadata": {"humblytics_view_id": ""}}, False, id="empty"),
        pytest.param({"metadata": {"humblytics_view_id": "undefined"}}, False, id="not an id"),
        pytest.param({"metadata": {"humblytics_view_id": "0190f3c2-7a54-7c1d-9b7e-5d2f8e6a4c10"}}, True, id="session"),
        pytest.param(
            {"payment_intent_data": {"metadata": {"humblytics_view_id": "0190f3c2-7a54-7c1d-9b7e-5d2f8e6a4c10"}}},
            True,
            id="payment",
        ),
    ],
)
def test_a_checkout_carries_an_id_wherever_it_is(
    site: Site, run: Any, buy: Any, carried: dict[str, Any], expected: bool
) -> None:
    buy(**carried)
    run()
    assert [step.is_done for step in steps(site)][3] is expected

import datetime as dt
import uuid
from dataclasses import asdict
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from revenue import questions
from revenue.connecting import connect
from revenue.models import Connection
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import serve
from revenue.sandbox.world import World
from revenue.sync import sync
from sites.api import Scope
from sites.models import Site
from sites.tokens import issue
from splittests.earnings import Earned, earned, shares
from splittests.models import SplitTest, State
from tests.factories import send_hit
from tests.splittests.selling import made

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
PAGE = "/shop.example/split-tests/revenue/"


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splittests.views.timezone.now", lambda: NOON + dt.timedelta(hours=1))


@pytest.fixture
def world() -> World:
    return World(now=lambda: NOON.timestamp())


@pytest.fixture
def account(world: World) -> Account:
    return world.add_account("Shop")


def running(site: Site, name: str, *variants: str, **fields: Any) -> SplitTest:
    began = {"state": State.RUNNING, "started_at": NOON - dt.timedelta(days=2), "pages": ["/"], "currency": "eur"}
    named = ({"name": variant} for variant in variants)
    return made(*named, site=site, name=name, key=name.lower(), **began | fields)


def buy(world: World, account: Account, amount: int, view: uuid.UUID) -> str:
    item = {"price_data": {"currency": "eur", "unit_amount": amount, "product_data": {"name": "Tea"}}, "quantity": 1}
    session = world.create_session(
        account, mode="payment", line_items=[item], success_url="https://shop.example/thanks",
        metadata={"humblytics_view_id": str(view)},
    )  # fmt: skip
    return str(world.pay(session["id"])["payment_intent"])


@pytest.fixture
def sold(site: Site, world: World, account: Account, settings: Any) -> tuple[SplitTest, SplitTest]:
    """Two buyers who saw different variants, one of whom took part in a second test, and a third who saw none."""
    headline, price = running(site, "Headline", "Calm", "Loud"), running(site, "Price", "Low", "High")
    calm, loud = headline.variants.all()
    low, _ = price.variants.all()
    for number, (amount, shown) in enumerate([(5_000, [calm.pk, low.pk]), (2_000, [loud.pk]), (700, [])]):
        buy(world, account, amount, send_hit(site, at=NOON, ip=f"203.0.113.{number}", variants=shown))
    with serve(world) as server:
        settings.STRIPE_API_BASE = server.url
        sync(connect(site, account.secret_key, NOON), NOON, drain=True)
    return headline, price


def asked(site: Site, query: str = "period=7d") -> questions.Question:
    return questions.read(QueryDict(query), site, NOON + dt.timedelta(hours=1))


def test_a_payment_counts_in_each_test_whose_variant_its_buyer_saw(
    site: Site, sold: tuple[SplitTest, SplitTest], django_assert_num_queries: Any
) -> None:
    headline, price = sold
    about = asked(site)
    assert about.currency == "eur"
    with django_assert_num_queries(1):
        found = earned(about)
    assert found == [
        Earned(headline.pk, "Headline", "Calm", "eur", 5_000, 0, 0, 5_000, 1),
        Earned(headline.pk, "Headline", "Loud", "eur", 2_000, 0, 0, 2_000, 1),
        Earned(price.pk, "Price", "Low", "eur", 5_000, 0, 0, 5_000, 1),
        Earned(price.pk, "Price", "High", "eur", 0, 0, 0, 0, 0),
    ]
    assert shares(found) == [100, 40, 100, 0]
    assert [row.net for row in earned(asked(site, "period=7d&currency=eur&is.channel=Email"))] == [0, 0, 0, 0]


def test_tests_that_neither_ran_nor_have_money_in_the_period_are_left_out(
    site: Site, sold: tuple[SplitTest, SplitTest]
) -> None:
    running(site, "Draft", "A", state=State.DRAFT, started_at=None)
    running(site, "Later", "A", started_at=NOON + dt.timedelta(days=9))
    old = NOON - dt.timedelta(days=90)
    running(site, "Old", "A", state=State.STOPPED, started_at=old, stopped_at=old + dt.timedelta(days=1))
    assert {row.test for row in earned(asked(site))} == {"Headline", "Price"}
    assert {row.test for row in earned(asked(site, "from=2026-08-01&to=2026-08-30&currency=eur"))} == {"Old"}
    # Such as a refund after the stop.
    SplitTest.objects.filter(pk=sold[0].pk).update(started_at=old, stopped_at=old + dt.timedelta(days=1))
    assert {row.test for row in earned(asked(site))} == {"Headline", "Price"}


def test_the_revenue_page_shows_and_exports_them(
    owner_client: Client, site: Site, sold: tuple[SplitTest, SplitTest]
) -> None:
    page = owner_client.get("/shop.example/revenue/?period=7d").content.decode()
    assert f'hx-get="{PAGE}?period=7d' in page
    panel = owner_client.get(f"{PAGE}?period=7d").content.decode()
    assert "<bdi>Headline: Loud</bdi>" in panel
    assert "€20.00" in panel
    assert f'href="/shop.example/split-tests/{sold[0].pk}/"' in panel
    csv = owner_client.get("/shop.example/split-tests/export/revenue.csv?period=7d").content.decode().splitlines()
    assert csv[1:3] == ["Headline,Calm,EUR,50.00,1,50.00,0.00,0.00", "Headline,Loud,EUR,20.00,1,20.00,0.00,0.00"]


def test_without_a_test_there_is_nothing_to_show(owner_client: Client, site: Site) -> None:
    assert owner_client.get(PAGE).content == b""
    assert not Connection.objects.exists()


def test_versions_of_a_test_are_told_apart(site: Site, sold: tuple[SplitTest, SplitTest]) -> None:
    SplitTest.objects.filter(pk=sold[0].pk).update(version=2)
    assert {row.test for row in earned(asked(site))} == {"Headline, version 2", "Price"}


def test_a_program_is_told_the_same(client: Client, site: Site, sold: tuple[SplitTest, SplitTest]) -> None:
    headers = {"Authorization": f"Bearer {issue(site, 'Sheet', Scope.REVENUE)}"}
    address = "/api/v1/sites/shop.example/revenue/variants?from=2026-11-14&to=2026-11-20"
    found = client.get(address, headers=headers).json()
    assert (found["currency"], found["amounts"], found["model"]) == ("EUR", "paid", "last_non_direct")
    assert found["rows"] == [{**asdict(row), "currency": "EUR"} for row in earned(asked(site))]

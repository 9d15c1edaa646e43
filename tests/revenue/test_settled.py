"""Money of several currencies in the one that Stripe paid it out in, and only by Stripe's own amounts."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from revenue import stats
from revenue.attribution import Model, Reason
from revenue.ledger import SALE_CATEGORIES
from revenue.lines import Basis
from revenue.models import BalanceTransaction, Connection, LedgerLine
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from revenue.stats import Totals, Unattributed
from revenue.sync import Report
from sites.models import Site
from sites.periods import Period
from tests.revenue.conftest import moment, seen
from tracking.counting import Asked, ask
from tracking.stats import Bucket

pytestmark = pytest.mark.django_db
Run, Buy = Callable[..., Report], Callable[..., str]
MODEL, SETTLED = Model.LAST_NON_DIRECT, Basis(is_settled=True)
DAY = 86_400
PAGE = "/shop.example/revenue/"


@pytest.fixture
def asked(site: Site, world: World) -> Asked:
    today = moment(world).astimezone(site.zone).date()
    return ask(site, Period(today - dt.timedelta(days=1), today + dt.timedelta(days=9), site.zone))


@pytest.fixture
def traded(run: Run, buy: Buy, world: World, site: Site, connection: Connection) -> None:
    """Sales in three currencies of an account that is paid in euros, with what may come after a sale."""
    view = seen(site, moment(world), channel="Email", source="Letter", country="DE")
    carried = {"metadata": {"humblytics_view_id": str(view.id)}}
    buy(10_000, "eur", **carried)
    refunded, disputed = buy(20_000, "usd", **carried), buy(7_000, "gbp")
    buy(900, "jpy", **carried)
    world.refund(refunded, 5_000)
    world.dispute(disputed)
    world.advance(DAY)
    run()


def moved(**wanted: Any) -> int:
    """Add up what Stripe's own balance says of sales."""
    sales = BalanceTransaction.objects.filter(reporting_category__in=SALE_CATEGORIES, **wanted)
    return sum(sales.values_list("amount", flat=True))


def settled(asked: Asked) -> Totals:
    (euro,) = stats.totals(asked, MODEL, SETTLED)
    return euro


def test_settled_totals_are_stripes_balance_to_the_cent(traded: None, asked: Asked) -> None:
    euro = settled(asked)
    assert euro.account_net == moved()
    assert euro.attributed + euro.unattributed == euro.net
    # 200 dollars at 0.92, 70 pounds at 1.17, 900 yen at 0.0061.
    assert (euro.currency, euro.gross) == ("eur", 10_000 + 18_400 + 8_190 + 549)
    assert (euro.refunded, euro.disputed, euro.orders) == (4_600, 8_190, 4)
    assert euro.fees == -sum(LedgerLine.objects.filter(kind="fee").values_list("amount", flat=True))


def test_settled_breakdowns_and_series_add_up_to_the_settled_total(
    traded: None, asked: Asked, django_assert_num_queries: Callable[..., Any]
) -> None:
    euro = settled(asked)
    for by in (*stats.DIMENSIONS, *stats.KINDS):
        with django_assert_num_queries(1):
            found = stats.breakdown(asked, by, MODEL, "eur", basis=SETTLED)
        parts = [*found.rows, *(row for row in (found.others, found.unattributed) if row)]
        assert sum(row.net for row in parts) == euro.net
    for bucket in Bucket:
        with django_assert_num_queries(1):
            rows = stats.over_time(asked, MODEL, "eur", bucket, SETTLED)
        assert sum(row.net for row in rows) == euro.net
        assert sum(row.orders for row in rows) == euro.orders


def test_what_stripe_has_not_settled_is_in_no_sum_and_told_apart(
    traded: None, asked: Asked, run: Run, buy: Buy, world: World, owner_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = settled(asked)
    late = buy(3_000, "usd")
    run()
    booked = LedgerLine.objects.get(charge=late, kind="charge").balance_transaction
    BalanceTransaction.objects.filter(stripe_id=booked).delete()
    LedgerLine.objects.filter(charge=late, kind="fee").delete()

    reasons = (Unattributed(Reason.NO_ID, 1, 3_000),)
    waiting = Totals("usd", is_open=True, gross=3_000, orders=1, unattributed=3_000, reasons=reasons)
    assert stats.totals(asked, MODEL, SETTLED) == [before, waiting]
    monkeypatch.setattr("revenue.views.timezone.now", lambda: moment(world))
    page = " ".join(owner_client.get(f"{PAGE}?amounts=settled").content.decode().split())
    assert "Not settled by Stripe yet, and not in it: <strong>$30.00</strong> of 1 payment." in page


def test_the_page_offers_the_currency_that_everything_is_settled_in(
    traded: None, owner_client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revenue.views.timezone.now", lambda: moment(world))
    page = owner_client.get(f"{PAGE}?currency=usd").content.decode()
    assert 'id="currency-settled-eur" href="?period=30d&amp;amounts=settled&amp;currency=eur"' in page
    assert 'id="currency-jpy" href="?period=30d&amp;currency=jpy"' in page
    assert "currency-settled-usd" not in page
    whole = " ".join(owner_client.get(f"{PAGE}?amounts=settled").content.decode().split())
    assert "All in EUR" in whole
    assert "= Stripe’s total <strong>€243.49</strong>" in whole
    assert "amounts=settled" in whole
    panel = owner_client.get(f"{PAGE}channels/?amounts=settled&currency=eur").content.decode()
    assert "€243.49" in panel
    csv = owner_client.get(f"{PAGE}export/channels.csv?amounts=settled&currency=eur").content.decode()
    assert "Email,EUR,243.49,3," in csv


def test_an_account_of_one_currency_has_nothing_to_choose(
    run: Run, buy: Buy, world: World, owner_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    buy(10_000, "eur")
    run()
    monkeypatch.setattr("revenue.views.timezone.now", lambda: moment(world))
    assert 'id="currency"' not in owner_client.get(PAGE).content.decode()


def test_a_site_that_sells_in_a_currency_it_is_not_paid_in_can_see_both(
    run: Run, buy: Buy, world: World, owner_client: Client, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    buy(10_000, "usd")
    run()
    monkeypatch.setattr("revenue.views.timezone.now", lambda: moment(world))
    page = owner_client.get(PAGE).content.decode()
    assert 'id="currency-usd"' in page
    assert 'id="currency-settled-eur"' in page

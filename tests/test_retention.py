"""Deleting what visitors did, for its age, changes no amount of money, nowhere: by the sandbox's payments."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from revenue import attribution, connecting, stats
from revenue import sync as syncing
from revenue.attribution import Model, Reason
from revenue.connecting import connect
from revenue.customers import PaymentReader
from revenue.models import Attribution, Connection
from revenue.sandbox.accounts import Account, Owner
from revenue.sandbox.http import serve
from revenue.sandbox.world import World
from revenue.stripe_client import StripeReader
from revenue.sync import Report, sync
from sites.models import Site
from sites.periods import Period
from splittests.exposures import gather
from splittests.models import Audience, Exposed, SplitTest, State
from splittests.readings import Results
from splittests.results import results_of
from tests.factories import FIREFOX, IPHONE, SiteFactory, send_hit
from tests.revenue.shopping import subscribe
from tests.splittests.selling import made
from tracking.counting import ask
from tracking.models import View, Visit
from tracking.prune import prune

DAY, MONTH = dt.timedelta(days=1), dt.timedelta(days=31)
MONTHS = 3
LATER = 200 * DAY


class Shop:
    """A site with a sandbox Stripe account, whose time and ours are the same."""

    def __init__(self, site: Site, world: World, account: Account, connection: Connection) -> None:
        self.site, self.world, self.account, self.connection = site, world, account, connection
        self.now = dt.datetime.fromtimestamp(world.now(), dt.UTC)
        self.period = Period(self.now.date() - 400 * DAY, self.now.date() + DAY, site.zone)
        self.first, self.awaited = "", uuid.uuid4()

    def buy(self, amount: int, view: uuid.UUID | None, currency: str = "eur") -> str:
        """Pay for something that was put into the basket on a view; give the charge's id."""
        item = {
            "price_data": {"currency": currency, "unit_amount": amount, "product_data": {"name": "Tea"}},
            "quantity": 1,
        }
        metadata = {"humblytics_view_id": str(view)} if view else {}
        opened = self.world.create_session(
            self.account, mode="payment", line_items=[item], success_url="https://shop.example/", metadata=metadata
        )
        intent = self.world.pay(opened["id"], "pay")["payment_intent"]
        paid = self.world.page(
            Owner(self.account.id, False), "charge", lambda charge: charge["payment_intent"] == intent, limit=1
        )
        return str(paid.data[0]["id"])

    def subscribe(self, view: uuid.UUID) -> None:
        """Begin to pay 9.00 a month for something that was chosen on a view."""
        metadata = {"humblytics_view_id": str(view)}
        self.world.pay(self.world.create_session(self.account, **subscribe(metadata=metadata))["id"])

    def wait(self, time: dt.timedelta) -> None:
        self.world.advance(time.total_seconds())
        self.now += time
        self.period = replace(self.period, last_on=self.now.date() + DAY)

    def sync(self, **options: Any) -> Report:
        self.connection.refresh_from_db()
        return sync(self.connection, self.now, drain=True, **options)

    def money(self) -> dict[str, object]:
        """Every figure of money there is, under every model."""
        asked = ask(self.site, self.period)
        found: dict[str, object] = {}
        for model in Model:
            found[model] = totals = stats.totals(asked, model)
            for currency in [total.currency for total in totals]:
                found[f"{model} {currency} by day"] = stats.by_day(asked, model, currency)
                for by in stats.DIMENSIONS:
                    found[f"{model} {currency} by {by}"] = stats.breakdown(asked, by, model, currency)
            found[f"{model} payments"] = stats.payments(asked, model)
        return found


@pytest.fixture
def shop(site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    noon = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0) - DAY
    world = World(now=noon.timestamp)
    account = world.add_account("Shop")
    with serve(world) as server:
        settings.STRIPE_API_BASE = server.url
        monkeypatch.setattr(syncing, "PaymentReader", partial(PaymentReader, sleep=lambda seconds: None))
        monkeypatch.setattr(connecting, "StripeReader", partial(StripeReader, sleep=lambda seconds: None))
        connection = connect(site, account.secret_key, noon)
        yield Shop(site, world, account, connection)


@pytest.fixture
def split_test(shop: Shop) -> SplitTest:
    return made(
        {"name": "Control"},
        {"name": "B"},
        site=shop.site,
        key="headline",
        pages=["/"],
        currency="eur",
        state=State.STOPPED,
        started_at=shop.now - DAY,
        stopped_at=shop.now + DAY,
    )


@pytest.fixture
def sold(shop: Shop, split_test: SplitTest) -> Shop:
    """Payments of every fate that a visit's deletion could change, synced and counted."""
    at = shop.now - dt.timedelta(minutes=70)
    hit: Callable[..., uuid.UUID] = partial(send_hit, shop.site, at=at)
    variants = list(split_test.variants.values_list("pk", flat=True))
    google = hit("/tea", "https://www.google.com/", ip="203.0.113.1", variants=[variants[0]])
    later = send_hit(shop.site, "/buy", ip="203.0.113.1", at=at + dt.timedelta(minutes=40), variants=[variants[0]])
    mail = hit("/", query="utm_source=news&utm_medium=email&utm_campaign=may", ip="91.64.0.1", variants=[variants[1]])
    direct = hit("/", ip="203.0.113.3", user_agent=IPHONE, variants=variants)
    hit("/", ip="203.0.113.4", user_agent=FIREFOX, variants=[variants[1]])
    neighbour = send_hit(SiteFactory(domain="neighbour.example"), ip="203.0.113.5", at=at)
    shop.first = shop.buy(5_000, google)
    shop.buy(700, later)
    shop.world.refund(shop.buy(3_000, mail), 1_000)
    shop.buy(2_000, direct, currency="usd")
    shop.buy(400, None)
    shop.buy(300, neighbour)
    shop.buy(200, shop.awaited)
    shop.sync()
    return shop


@pytest.fixture
def renewed(shop: Shop, split_test: SplitTest) -> Shop:
    """A subscription that was begun on a visit, and was renewed twice."""
    variant = split_test.variants.get(name="Control").pk
    google = "https://www.google.com/"
    shop.subscribe(send_hit(shop.site, "/tea", google, at=shop.now - dt.timedelta(minutes=5), variants=[variant]))
    shop.sync()
    shop.wait(MONTH * 2)
    shop.sync()
    return shop


def worked_out(test: SplitTest) -> Results:
    """The results of a test as they are worked out by who has not gathered anything yet."""
    Exposed.objects.all().delete()
    Audience.objects.all().delete()
    SplitTest.objects.update(gathered_at=None)
    gather(test)
    return results_of(test, test.stopped_at or test.created_at)


def forget_all(shop: Shop) -> None:
    for site in Site.objects.all():
        prune(site, shop.now + LATER, MONTHS)
    assert not View.objects.exists()
    assert not Visit.objects.exists()


def test_no_figure_of_money_and_no_split_test_changes_when_visits_are_deleted(
    sold: Shop, split_test: SplitTest
) -> None:
    money, tested = sold.money(), worked_out(split_test)
    reasons = {each.reason for each in stats.totals(ask(sold.site, sold.period), Model.LAST)[0].reasons}
    assert reasons == {Reason.NO_ID, Reason.OTHER_SITE, Reason.WAITING}
    assert [arm.visitors for arm in tested.arms] == [1, 2]
    assert tested.excluded == 1
    forget_all(sold)
    assert sold.money() == money
    assert worked_out(split_test) == tested


def test_no_later_sync_and_no_new_rule_takes_a_payment_from_a_visit_that_was_deleted(
    sold: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold.now += DAY
    sold.sync()
    money = sold.money()
    forget_all(sold)
    sold.sync(full=True)
    assert sold.money() == money
    monkeypatch.setattr(attribution, "RULES_VERSION", attribution.RULES_VERSION + 1)
    sold.sync()
    assert sold.money() == money
    assert set(Attribution.objects.values_list("rules_version", flat=True)) == {attribution.RULES_VERSION}
    # A site that is connected later has its payments decided anew.
    connect(Site.objects.get(domain="neighbour.example"), sold.account.secret_key, sold.now)
    sold.sync(full=True)
    assert sold.money() == money


def test_a_decision_stands_too_when_only_the_credited_visit_was_deleted(
    sold: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments = {model: stats.payments(ask(sold.site, sold.period), model) for model in Model}
    # One order came with the visitor's second visit, which was direct.
    assert Visit.objects.filter(source="Google").delete()[0] == 1
    monkeypatch.setattr(attribution, "RULES_VERSION", attribution.RULES_VERSION + 1)
    sold.sync()
    assert {model: stats.payments(ask(sold.site, sold.period), model) for model in Model} == payments
    assert Attribution.objects.filter(source="Google").count() == 5


def test_a_refund_that_comes_after_the_visit_was_deleted_lowers_the_visit_s_source(sold: Shop) -> None:
    forget_all(sold)
    sold.world.refund(sold.first, 2_000)
    sold.sync()
    rows = stats.breakdown(ask(sold.site, sold.period), "source", Model.LAST_NON_DIRECT, "eur").rows
    assert {row.value: (row.gross, row.refunded) for row in rows}["Google"] == (5_700, 2_000)


def test_with_new_views_the_decisions_that_wait_are_still_made(sold: Shop) -> None:
    """What must not change is only what knew a visit."""
    forget_all(sold)
    send_hit(sold.site, referrer="https://www.google.com/", at=sold.now, view_id=sold.awaited)
    sold.sync()
    rows = stats.breakdown(ask(sold.site, sold.period), "source", Model.LAST_NON_DIRECT, "eur").rows
    assert {row.value: row.gross for row in rows}["Google"] == 5_900


def test_renewals_stay_and_go_on_being_credited_to_the_visit_that_was_deleted(
    renewed: Shop, split_test: SplitTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    money, tested = renewed.money(), worked_out(split_test)
    forget_all(renewed)
    assert renewed.money() == money
    assert worked_out(split_test) == tested
    monkeypatch.setattr(attribution, "RULES_VERSION", attribution.RULES_VERSION + 1)
    renewed.sync(full=True)
    assert renewed.money() == money
    renewed.wait(MONTH)
    renewed.sync()
    rows = stats.breakdown(ask(renewed.site, renewed.period), "source", Model.LAST_NON_DIRECT, "eur").rows
    assert [(row.value, row.gross, row.orders) for row in rows] == [("Google", 4 * 900, 4)]

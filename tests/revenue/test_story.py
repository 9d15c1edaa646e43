"""What the page of one payment tells, and to whom."""

import csv
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from revenue.connecting import connect
from revenue.models import Charge
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from revenue.sync import Report
from sites.models import Site
from tests.factories import MembershipFactory, SiteFactory, send_hit
from tests.revenue.conftest import moment, seen
from tests.revenue.shopping import subscribe
from tracking.models import View

pytestmark = pytest.mark.django_db
Run = Callable[..., Report]
Buy = Callable[..., str]
PAGE = "/shop.example/revenue/payments/"


def text(client: Client, charge: str, query: str = "") -> str:
    answer = client.get(f"{PAGE}{charge}/?{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_a_payment_tells_its_visit_its_pages_and_what_moved(
    run: Run, buy: Buy, site: Site, world: World, owner_client: Client, settings: Any
) -> None:
    began = moment(world) - dt.timedelta(minutes=20)
    send_hit(site, "/", referrer="https://www.google.com/", at=began)
    view = send_hit(site, "/cart", at=began + dt.timedelta(minutes=5))
    send_hit(site, "/", ip="198.51.100.9", at=began)
    send_hit(site, "/thanks", at=began + dt.timedelta(minutes=30))
    charge = buy(5000, metadata={"humblytics_view_id": str(view)})
    refund = world.refund(charge, 1200)
    run()
    page = text(owner_client, charge)

    for told in (
        *("Payment of €50.00", "Organic Search · <bdi>Google</bdi>", "Metadata of the session", str(view), "/cart"),
        *("€38.00 net until now", "Refund", "-€12.00", refund["id"], refund["balance_transaction"], charge),
    ):
        assert told in page, told
    assert f"https://dashboard.stripe.com/test/payments/{charge}" in page
    # What a sandbox made up is not to be found at Stripe.
    settings.STRIPE_IS_SANDBOX = True
    assert "dashboard.stripe.com" not in text(owner_client, charge)
    views = owner_client.get(f"{PAGE}{charge}/").context["story"].views
    assert [each.path for each in views] == ["/", "/cart"]

    View.objects.all().delete()
    assert "deleted for its age" in text(owner_client, charge)


def test_each_model_is_told_and_the_chosen_one_leads(
    run: Run, buy: Buy, site: Site, world: World, owner_client: Client
) -> None:
    began = moment(world) - dt.timedelta(hours=3)
    send_hit(site, "/", query="utm_source=letter&utm_medium=email", at=began)
    view = send_hit(site, "/buy", at=began + dt.timedelta(hours=2))
    charge = buy(metadata={"humblytics_view_id": str(view)})
    run()

    told = {model: owner_client.get(f"{PAGE}{charge}/?model={model}").context["credit"] for model in ("last", "first")}
    assert {model: credit.decision.channel for model, credit in told.items()} == {"last": "Direct", "first": "Email"}
    assert f"{PAGE}{charge}/?period=30d&amp;model=last" in owner_client.get(f"{PAGE}?model=last").content.decode()


def test_a_payment_of_nobody_says_why_and_what_to_do(run: Run, buy: Buy, owner_client: Client) -> None:
    charge = buy(metadata={"humblytics_view_id": "<script>alert(1)</script>"})
    run()
    page = text(owner_client, charge)

    assert "Not attributed" in page
    assert "not a view id" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page


def test_a_renewal_names_its_subscription(
    run: Run, world: World, account: Account, site: Site, owner_client: Client
) -> None:
    view = seen(site, moment(world), channel="Email", source="Letter")
    session = world.create_session(account, **subscribe(metadata={"humblytics_view_id": str(view.id)}))
    subscription = world.pay(session["id"])["subscription"]
    world.advance(31 * 86_400)
    run()
    first, second = Charge.objects.order_by("created_at").values_list("stripe_id", flat=True)

    assert "had been paid for before" not in text(owner_client, first)
    for told in ("had been paid for before", subscription, session["id"], "Letter"):
        assert told in text(owner_client, second), told


def test_what_is_no_payment_of_the_site_is_not_found(
    run: Run, buy: Buy, site: Site, account: Account, world: World, owner_client: Client
) -> None:
    blog = SiteFactory(domain="blog.example")
    connect(blog, account.secret_key, moment(world))
    view = seen(blog, moment(world))
    theirs, nobodys = buy(metadata={"humblytics_view_id": str(view.id)}), buy()
    run()
    stranger = Client()
    stranger.force_login(MembershipFactory(site=blog).user)

    assert owner_client.get(f"{PAGE}{theirs}/").status_code == 404
    assert owner_client.get(f"{PAGE}{nobodys}/").status_code == 200
    assert stranger.get(f"/blog.example/revenue/payments/{theirs}/").status_code == 200
    for charge in ("ch_nothing", "x", "%00", "re_1", "ch_1'--", "é" * 300):
        assert owner_client.get(f"{PAGE}{charge}/").status_code == 404, charge


def test_payments_are_exported_with_the_filters_of_the_page(
    run: Run, buy: Buy, site: Site, world: World, owner_client: Client
) -> None:
    view = seen(site, moment(world), channel="Email", source="=Letter")
    credited, nobodys = buy(5000, metadata={"humblytics_view_id": str(view.id)}), buy(250, "jpy")
    run()

    def rows(query: str = "") -> list[dict[str, Any]]:
        answer = owner_client.get(f"/shop.example/revenue/export/payments.csv?{query}").content.decode()
        return list(csv.DictReader(answer.splitlines()))

    told = {row["Payment"]: row for row in rows()}
    assert told.keys() == {credited, nobodys}
    assert (told[credited]["Net"], told[credited]["Currency"], told[credited]["Source"]) == ("50.00", "EUR", "'=Letter")
    assert (told[nobodys]["Gross"], told[nobodys]["Reason"]) == ("250", "no_id")
    assert [row["Payment"] for row in rows("is.channel=Email")] == [credited]
    assert rows("is.channel=Direct") == []

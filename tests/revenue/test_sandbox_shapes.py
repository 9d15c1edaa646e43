"""The sandbox against what stripe-python knows of Stripe: fields, lists and filters."""

import typing

import pytest
import stripe
import stripe.checkout
import stripe.params
import stripe.params.checkout

from revenue.sandbox.accounts import Owner
from revenue.sandbox.http import serve
from revenue.sandbox.resources import BY_KIND, RESOURCES, parameters_of
from revenue.sandbox.world import World
from tests.revenue.shopping import DAY, Clock, ask, buy, everything, paid_charge, subscribe

KINDS = {
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "invoice": stripe.Invoice,
    "invoice_payment": stripe.InvoicePayment,
    "payment_intent": stripe.PaymentIntent,
    "payment_link": stripe.PaymentLink,
    "payout": stripe.Payout,
    "refund": stripe.Refund,
    "setup_intent": stripe.SetupIntent,
    "subscription": stripe.Subscription,
}
# Of the caller's own library, and sent as headers.
OPTIONS = set(stripe.RequestOptions.__annotations__) | {"content_type"}


@pytest.fixture(scope="module")
def shop():
    """A sandbox in which there is at least one of everything: (server, account)."""
    world = World(Clock())
    account = world.add_account("Shop")
    owner = Owner(account.id, False)
    world.refund(paid_charge(world, account, customer_creation="always")["id"], 100)
    world.refund(paid_charge(world, account, 2000, "usd")["id"], status="failed")
    world.close_dispute(world.dispute(paid_charge(world, account)["id"])["id"])
    world.dispute(paid_charge(world, account, customer_email="ada@example.org")["id"])
    world.pay(world.create_session(account, **buy(payment_method_types=["sepa_debit"]))["id"], outcome="fail")
    world.create_session(account, **buy())
    link = world.create_link(owner, {"line_items": buy()["line_items"]})
    world.pay(world.follow_link(link["id"])["id"])
    world.pay(world.create_session(account, mode="setup", success_url="https://shop.example/")["id"])
    kept, left = (world.pay(world.create_session(account, **subscribe())["id"]) for _ in range(2))
    world.set_renewals(kept["subscription"], "wait")
    world.advance(31 * DAY)
    waiting = everything(world, account, "invoice")[-2]
    world.pay_invoice(waiting["id"], 100)
    world.pay_invoice_off_stripe(waiting["id"], 100)
    world.cancel_subscription(left["subscription"])
    world.pay_out(account, 500)
    world.pay_out(account)
    world.enter(account, "stripe_fee", -5)
    with serve(world) as server:
        yield server, account


def every(shop, path, query=""):
    server, account = shop
    status, _, content = ask(server, f"/v1/{path}?limit=100{query}", account.secret_key)
    assert status == 200
    assert not content["has_more"]
    return content["data"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_one_of_stripes(shop, kind):
    query = "&status=all" if kind == "subscription" else ""
    items = every(shop, BY_KIND[kind].path, query)
    assert items
    for item in items:
        assert item.keys() <= KINDS[kind].__annotations__.keys()


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_every_list_takes_exactly_stripes_parameters(resource):
    module = stripe.params.checkout if resource.kind.startswith("checkout") else stripe.params
    name = "".join(word.capitalize() for word in resource.kind.rpartition(".")[2].split("_"))
    theirs = set(getattr(module, f"{name}ListParams").__annotations__) - OPTIONS
    assert set(parameters_of(resource)) == theirs


# A filter, and how to read from an object the value that it should be found by.
FILTERS: list[tuple[str, str, typing.Callable[[typing.Any], typing.Any]]] = [
    ("balance_transactions", "currency", lambda item: item["currency"]),
    ("balance_transactions", "source", lambda item: item["source"]),
    ("balance_transactions", "type", lambda item: item["type"]),
    ("charges", "customer", lambda item: item["customer"]),
    ("charges", "payment_intent", lambda item: item["payment_intent"]),
    ("checkout/sessions", "customer", lambda item: item["customer"]),
    ("checkout/sessions", "customer_details[email]", lambda item: (item["customer_details"] or {}).get("email")),
    ("checkout/sessions", "payment_intent", lambda item: item["payment_intent"]),
    ("checkout/sessions", "payment_link", lambda item: item["payment_link"]),
    ("checkout/sessions", "status", lambda item: item["status"]),
    ("checkout/sessions", "subscription", lambda item: item["subscription"]),
    ("customers", "email", lambda item: item["email"]),
    ("disputes", "charge", lambda item: item["charge"]),
    ("disputes", "payment_intent", lambda item: item["payment_intent"]),
    ("invoice_payments", "invoice", lambda item: item["invoice"]),
    ("invoice_payments", "payment[type]", lambda item: item["payment"]["type"]),
    ("invoice_payments", "status", lambda item: item["status"]),
    ("invoices", "customer", lambda item: item["customer"]),
    ("invoices", "status", lambda item: item["status"]),
    ("invoices", "subscription", lambda item: item["parent"]["subscription_details"]["subscription"]),
    ("payment_intents", "customer", lambda item: item["customer"]),
    ("payouts", "arrival_date", lambda item: item["arrival_date"]),
    ("payouts", "status", lambda item: item["status"]),
    ("refunds", "charge", lambda item: item["charge"]),
    ("refunds", "payment_intent", lambda item: item["payment_intent"]),
    ("setup_intents", "customer", lambda item: item["customer"]),
    ("subscriptions", "current_period_end", lambda item: item["items"]["data"][0]["current_period_end"]),
    ("subscriptions", "customer", lambda item: item["customer"]),
    ("subscriptions", "price", lambda item: item["items"]["data"][0]["price"]["id"]),
]


@pytest.mark.parametrize(("path", "name", "read"), FILTERS, ids=[f"{path}-{name}" for path, name, _ in FILTERS])
def test_a_filter_selects_what_it_says_in_the_order_of_the_whole_list(shop, path, name, read):
    whole = every(shop, path)
    values = {read(item) for item in whole} - {None}
    assert values
    for value in values:
        selected = every(shop, path, f"&{name}={value}")
        assert selected == [item for item in whole if read(item) == value]
    assert every(shop, path, f"&{name}={0 if isinstance(value, int) else value}&created[lt]=1") == []


def test_payments_of_an_invoice_are_found_by_their_intent(shop):
    for payment in every(shop, "invoice_payments"):
        held = payment["payment"]
        name = held["type"]
        query = f"&payment[type]={name}&payment[{name}]={held[name]}"
        assert every(shop, "invoice_payments", query) == [payment]
    refused = ask(*shop[:1], "/v1/invoice_payments?payment[payment_intent]=pi_1", shop[1].secret_key)
    assert refused[2]["error"]["param"] == "payment[type]"


def test_balance_transactions_of_a_payout(shop):
    by_hand, automatic = sorted(every(shop, "payouts"), key=lambda payout: payout["automatic"])
    moves = every(shop, "balance_transactions", f"&payout={automatic['id']}")
    assert len(moves) > 1
    assert sum(move["net"] for move in moves if move["type"] != "payout") == automatic["amount"]
    assert len(every(shop, "balance_transactions", f"&payout={by_hand['id']}")) == 1


def test_nothing_that_is_only_kept_is_ever_shown(shop):
    server, account = shop
    deep = {
        "checkout/sessions": "line_items payment_intent.latest_charge.balance_transaction invoice customer",
        "charges": "refunds payment_intent balance_transaction",
        "balance_transactions": "source.payment_intent",
        "invoices": "payments customer",
        "invoice_payments": "invoice.payments",
        "disputes": "charge.payment_intent",
        "subscriptions": "latest_invoice.payments",
        "events": "",
    }
    for path, expanded in deep.items():
        query = "".join(f"&expand[]=data.{name}" for name in expanded.split())
        status, _, content = ask(server, f"/v1/{path}?limit=100{query}", account.secret_key)
        assert status == 200
        assert_not_kept(content)


def assert_not_kept(content):
    if isinstance(content, list):
        for member in content:
            assert_not_kept(member)
    elif isinstance(content, dict):
        assert "_" not in content
        for value in content.values():
            assert_not_kept(value)

"""Subscriptions: trials, renewals, refused cards, invoices paid in every way there is, in the current API's shape."""

import datetime as dt

import pytest

from revenue.sandbox.errors import StripeError
from revenue.sandbox.truth import CurrencyTruth
from revenue.sandbox.world import World
from tests.revenue.shopping import DAY, NOW, Clock, ask, buy, event_types, everything, subscribe

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture
def world():
    return World(Clock())


def begun(world, account, **params):
    """The session of a subscription that has just begun."""
    return world.pay(world.create_session(account, **subscribe(**params))["id"])


def latest_invoice(world, account):
    return everything(world, account, "invoice")[-1]


def test_the_first_payment_is_found_through_the_invoice_only(world, account, get):
    session = begun(world, account, metadata={"humblytics_view_id": "v1"})
    (charge,) = everything(world, account, "charge")
    assert (session["payment_intent"], session["payment_status"]) == (None, "paid")
    assert "invoice" not in charge
    path = f"invoice_payments?payment[type]=payment_intent&payment[payment_intent]={charge['payment_intent']}"
    (paid,) = get(f"{path}&expand[]=data.invoice")["data"]
    invoice = paid["invoice"]
    assert (paid["status"], paid["amount_paid"], paid["is_default"]) == ("paid", 900, True)
    assert (invoice["id"], invoice["billing_reason"]) == (session["invoice"], "subscription_create")
    assert invoice["parent"]["subscription_details"]["subscription"] == session["subscription"]
    assert (invoice["status"], invoice["amount_paid"], invoice["amount_remaining"]) == ("paid", 900, 0)
    (by_subscription,) = get(f"checkout/sessions?subscription={session['subscription']}")["data"]
    assert by_subscription["metadata"] == {"humblytics_view_id": "v1"}
    assert charge["customer"] == session["customer"] == invoice["customer"]
    assert get(f"subscriptions/{session['subscription']}")["status"] == "active"
    assert world.truth(account) == {"eur": CurrencyTruth(gross=900, orders=1, fees=39)}


def test_metadata_of_the_subscription_is_on_it_and_its_invoices_and_nowhere_else(world, account):
    begun(world, account, subscription_data={"metadata": {"humblytics_view_id": "v2"}})
    (subscription,) = everything(world, account, "subscription")
    assert subscription["metadata"] == {"humblytics_view_id": "v2"}
    details = latest_invoice(world, account)["parent"]["subscription_details"]
    assert details["metadata"] == {"humblytics_view_id": "v2"}
    for kind in ("charge", "payment_intent", "checkout.session", "customer"):
        assert everything(world, account, kind)[0]["metadata"] == {}


def test_a_renewal_is_a_draft_for_an_hour_and_has_no_session(world, account, get):
    session = begun(world, account, interval="week")
    world.advance(7 * DAY)
    invoice = latest_invoice(world, account)
    assert (invoice["status"], invoice["billing_reason"]) == ("draft", "subscription_cycle")
    assert get(f"subscriptions/{session['subscription']}")["latest_invoice"] == invoice["id"]
    world.advance(3600)
    renewal = everything(world, account, "charge")[-1]
    assert (renewal["created"], renewal["amount"]) == (NOW + 7 * DAY + 3600, 900)
    assert get(f"checkout/sessions?payment_intent={renewal['payment_intent']}")["data"] == []
    assert latest_invoice(world, account)["status"] == "paid"
    world.advance(30 * DAY)
    assert world.truth(account)["eur"].orders == 1 + 1 + 4


def test_months_end_on_the_day_they_began_or_on_their_last(world, account):
    began = dt.datetime(2027, 1, 31, 12, tzinfo=dt.UTC)
    world.advance(began.timestamp() - NOW)
    begun(world, account)
    world.advance(100 * DAY)
    renewed = [
        dt.datetime.fromtimestamp(invoice["created"], dt.UTC) for invoice in everything(world, account, "invoice")
    ]
    assert [(at.month, at.day, at.hour) for at in renewed] == [(1, 31, 12), (2, 28, 12), (3, 31, 12), (4, 30, 12)]


def test_a_trial_costs_nothing_until_it_is_over(world, account):
    session = begun(world, account, subscription_data={"trial_period_days": 14})
    assert (session["amount_total"], session["payment_status"]) == (0, "no_payment_required")
    (subscription,) = everything(world, account, "subscription")
    assert (subscription["status"], subscription["trial_end"]) == ("trialing", NOW + 14 * DAY)
    invoice = latest_invoice(world, account)
    assert (invoice["status"], invoice["total"]) == ("paid", 0)
    assert everything(world, account, "invoice_payment") == []

    world.advance(14 * DAY + 3600)

    assert everything(world, account, "subscription")[0]["status"] == "active"
    assert world.truth(account) == {"eur": CurrencyTruth(gross=900, orders=1, fees=39)}


def test_what_is_sold_once_beside_a_trial_is_due_at_once(world, account):
    items = [*subscribe(amount=900)["line_items"], *buy(amount=5000)["line_items"]]
    session = begun(world, account, line_items=items, subscription_data={"trial_period_days": 7})
    assert session["amount_total"] == 5000
    assert world.truth(account)["eur"].gross == 5000
    world.advance(8 * DAY)
    assert world.truth(account)["eur"].gross == 5900


def test_a_declined_card_begins_no_subscription_until_another_one_pays(world, account):
    session = world.create_session(account, **subscribe())
    declined = world.pay(session["id"], "decline")
    assert (declined["status"], declined["subscription"]) == ("open", None)
    assert [charge["status"] for charge in everything(world, account, "charge")] == ["failed"]
    world.pay(session["id"])
    intents = {charge["payment_intent"] for charge in everything(world, account, "charge")}
    assert len(intents) == 1
    assert world.truth(account)["eur"].orders == 1


def test_a_refused_renewal_is_tried_again_and_then_given_up(world, account):
    session = begun(world, account)
    world.set_renewals(session["subscription"], "decline")
    world.advance(31 * DAY)
    (subscription,) = everything(world, account, "subscription")
    invoice = latest_invoice(world, account)
    assert (subscription["status"], invoice["status"], invoice["attempt_count"]) == ("past_due", "open", 1)
    assert invoice["next_payment_attempt"] == everything(world, account, "charge")[-1]["created"] + 3 * DAY

    world.advance(9 * DAY)

    invoice = latest_invoice(world, account)
    assert (invoice["status"], invoice["attempt_count"]) == ("uncollectible", 4)
    assert everything(world, account, "subscription")[0]["status"] == "canceled"
    charges = everything(world, account, "charge")
    assert [charge["status"] for charge in charges] == ["succeeded"] + ["failed"] * 4
    assert len({charge["payment_intent"] for charge in charges[1:]}) == 1
    world.advance(90 * DAY)
    assert len(everything(world, account, "charge")) == 5


def test_a_refused_renewal_that_is_paid_at_the_second_try_goes_on(world, account):
    session = begun(world, account)
    world.set_renewals(session["subscription"], "decline")
    world.advance(31 * DAY)
    world.set_renewals(session["subscription"], "pay")
    world.advance(3 * DAY)
    assert latest_invoice(world, account)["status"] == "paid"
    assert everything(world, account, "subscription")[0]["status"] == "active"
    assert world.truth(account)["eur"].orders == 2


def test_a_renewal_by_debit_is_paid_days_later_or_fails(world, account):
    session = world.create_session(account, **subscribe(payment_method_types=["sepa_debit"]))
    session = world.pay(session["id"])
    assert (session["payment_status"], latest_invoice(world, account)["status"]) == ("unpaid", "open")
    assert everything(world, account, "subscription")[0]["status"] == "active"
    world.advance(5 * DAY)
    assert latest_invoice(world, account)["status"] == "paid"
    assert everything(world, account, "checkout.session")[0]["payment_status"] == "paid"
    assert "checkout.session.async_payment_succeeded" in event_types(world, account)

    world.set_renewals(session["subscription"], "fail", after=DAY)
    world.advance(25 * DAY + 3600)
    renewal = everything(world, account, "charge")[-1]
    assert renewal["status"] == "pending"
    world.advance(DAY)
    assert latest_invoice(world, account)["status"] == "open"
    assert everything(world, account, "subscription")[0]["status"] == "past_due"
    assert world.truth(account)["eur"].gross == 900


def open_invoice(world, account):
    """A renewal's invoice that nobody has tried to collect."""
    session = begun(world, account)
    world.set_renewals(session["subscription"], "wait")
    world.advance(31 * DAY)
    return latest_invoice(world, account)["id"]


def test_an_invoice_may_be_paid_with_two_payments(world, account, get):
    invoice = open_invoice(world, account)
    assert world.pay_invoice(invoice, 400)["status"] == "open"
    assert world.pay_invoice(invoice)["status"] == "paid"
    payments = get(f"invoice_payments?invoice={invoice}")["data"]
    assert [payment["amount_paid"] for payment in payments] == [500, 400]
    assert len({payment["payment"]["payment_intent"] for payment in payments}) == 2
    embedded = get(f"invoices/{invoice}?expand[]=payments")["payments"]["data"]
    assert [payment["id"] for payment in embedded] == [payment["id"] for payment in payments]
    assert world.truth(account)["eur"] == CurrencyTruth(gross=1800, orders=3, fees=39 + 31 + 33)
    with pytest.raises(StripeError, match="cannot be paid like that"):
        world.pay_invoice(invoice, 1)


def test_money_that_never_came_to_stripe_pays_an_invoice_and_is_not_on_the_balance(world, account, get):
    invoice = open_invoice(world, account)
    before = world.truth(account)
    paid = world.pay_invoice_off_stripe(invoice)
    assert (paid["status"], paid["amount_paid"]) == ("paid", 900)
    (payment,) = get(f"invoice_payments?invoice={invoice}")["data"]
    assert payment["payment"]["type"] == "payment_record"
    assert "payment_intent" not in payment["payment"]
    assert world.truth(account) == before


def test_a_customers_credit_pays_before_anything_is_charged(world, account):
    session = begun(world, account)
    world.credit_customer(session["customer"], 1000)
    world.advance(31 * DAY)
    invoice = latest_invoice(world, account)
    assert (invoice["total"], invoice["amount_due"], invoice["status"]) == (900, 0, "paid")
    assert (invoice["starting_balance"], invoice["ending_balance"]) == (-1000, -100)
    assert everything(world, account, "customer")[0]["balance"] == -100
    assert world.truth(account)["eur"].orders == 1
    world.advance(31 * DAY)
    assert everything(world, account, "charge")[-1]["amount"] == 800


def test_a_canceled_subscription_is_listed_only_when_asked_for(world, account, get):
    ends, stops = begun(world, account), begun(world, account)
    world.cancel_subscription(ends["subscription"], at_period_end=True)
    world.cancel_subscription(stops["subscription"])
    assert [item["id"] for item in get("subscriptions")["data"]] == [ends["subscription"]]
    assert len(get("subscriptions?status=all")["data"]) == 2
    world.advance(60 * DAY)
    assert get("subscriptions")["data"] == []
    assert len(get("subscriptions?status=ended")["data"]) == 2
    assert len(everything(world, account, "invoice")) == 2


def test_everything_about_an_invoice_happens_in_one_second(world, account):
    begun(world, account)
    events = everything(world, account, "event")
    assert {event["created"] for event in events} == {NOW}
    assert {
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
    } < {*event_types(world, account)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"line_items": buy()["line_items"]}, "at least one recurring price"),
        ({"mode": "payment"}, "passed a recurring price"),
    ],
)
def test_mode_and_prices_must_fit(world, account, changed, message):
    with pytest.raises(StripeError, match=message):
        world.create_session(account, **{**subscribe(), **changed})


class TestOldVersions:
    """An account keeps the version it began with; its events are frozen in that one."""

    def test_events_of_an_old_account_still_name_the_invoice(self, world, server):
        old = world.add_account("Old", api_version="2020-08-27")
        begun(world, old)
        events = {event["type"]: event for event in everything(world, old, "event")}
        charge = events["charge.succeeded"]["data"]["object"]
        intent = events["payment_intent.succeeded"]["data"]["object"]
        invoice = events["invoice.paid"]["data"]["object"]
        assert events["charge.succeeded"]["api_version"] == "2020-08-27"
        assert charge["invoice"] == intent["invoice"] == invoice["id"]
        assert ("latest_charge" in intent, intent["charges"]["data"][0]["id"]) == (False, charge["id"])
        assert (invoice["payment_intent"], invoice["charge"], invoice["paid"]) == (intent["id"], charge["id"], True)

        # A request's own version changes what it is shown, but no event.
        headers = {"Stripe-Version": "2026-06-24.dahlia"}
        assert "invoice" not in ask(server, "/v1/charges", old.secret_key, **headers)[2]["data"][0]
        shown = ask(server, "/v1/events?type=charge.succeeded", old.secret_key, **headers)
        assert shown[2]["data"][0]["data"]["object"]["invoice"] == invoice["id"]
        assert shown[1]["Stripe-Version"] == "2026-06-24.dahlia"

    def test_without_a_version_an_account_is_answered_in_its_own(self, world, server):
        old = world.add_account("Old", api_version="2024-06-20")
        begun(world, old)
        _, headers, content = ask(server, "/v1/charges", old.secret_key)
        assert headers["Stripe-Version"] == "2024-06-20"
        assert content["data"][0]["invoice"]
        _, headers, content = ask(server, "/v1/balance_transactions?expand[]=data.source", old.secret_key)
        assert content["data"][0]["source"]["invoice"]

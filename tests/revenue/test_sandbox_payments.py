"""Payments that are not over with the buyer's click, and the links and modes that lead to them."""

import pytest

from revenue.sandbox.accounts import Owner
from revenue.sandbox.currencies import CURRENCIES
from revenue.sandbox.errors import StripeError
from revenue.sandbox.truth import CurrencyTruth
from revenue.sandbox.world import World
from tests.revenue.shopping import (
    DAY,
    NOW,
    Clock,
    ask,
    buy,
    charges_of,
    error_of,
    event_types,
    everything,
    paid_charge,
    subscribe,
)

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture
def world():
    return World(Clock())


def held(world, account, amount=4900):
    """An authorised charge that was not captured."""
    return paid_charge(world, account, amount, payment_intent_data={"capture_method": "manual"})


class TestDebit:
    def opened(self, world, account, method="sepa_debit", **options):
        session = world.create_session(account, **buy(payment_method_types=["card", method]))
        return world.pay(session["id"], method=method, **options)

    def test_a_debit_is_on_the_balance_at_once_and_paid_days_later(self, world, account, get):
        session = self.opened(world, account)
        (charge,) = charges_of(world, account, session["payment_intent"])
        assert (session["status"], session["payment_status"]) == ("complete", "unpaid")
        assert charge["id"].startswith("py_")
        assert (charge["status"], charge["paid"], charge["captured"]) == ("pending", False, True)
        transaction = get(f"balance_transactions/{charge['balance_transaction']}")
        assert (transaction["type"], transaction["reporting_category"]) == ("payment", "charge")
        assert world.truth(account) == {"eur": CurrencyTruth(fees=99)}

        world.advance(5 * DAY)

        charge = get(f"charges/{charge['id']}")
        assert (charge["status"], charge["paid"]) == ("succeeded", True)
        assert get(f"checkout/sessions/{session['id']}")["payment_status"] == "paid"
        assert world.truth(account) == {"eur": CurrencyTruth(gross=4900, orders=1, fees=99)}
        event = everything(world, account, "event")[-1]
        assert (event["type"], event["created"]) == ("checkout.session.async_payment_succeeded", NOW + 5 * DAY)

    def test_a_debit_that_the_bank_refuses_leaves_the_balance_again(self, world, account, get):
        session = self.opened(world, account, outcome="fail", after=3 * DAY)
        world.advance(3 * DAY)

        (charge,) = charges_of(world, account, session["payment_intent"])
        assert (charge["status"], charge["failure_code"]) == ("failed", "debit_not_authorized")
        returned = get(f"balance_transactions/{charge['failure_balance_transaction']}")
        assert (returned["type"], returned["amount"]) == ("payment_failure_refund", -4900)
        assert get(f"checkout/sessions/{session['id']}")["payment_status"] == "unpaid"
        assert event_types(world, account)[-3:] == [
            "charge.failed",
            "payment_intent.payment_failed",
            "checkout.session.async_payment_failed",
        ]
        assert world.truth(account) == {"eur": CurrencyTruth(fees=99)}

    def test_a_payment_that_had_succeeded_is_taken_back(self, world, account, get):
        session = self.opened(world, account, "us_bank_account")
        world.advance(4 * DAY)
        (charge,) = charges_of(world, account, session["payment_intent"])
        world.advance(20 * DAY)
        world.fail_payment(charge["id"])

        charge = get(f"charges/{charge['id']}")
        returned = get(f"balance_transactions/{charge['failure_balance_transaction']}")
        assert (charge["status"], returned["created"]) == ("failed", NOW + 24 * DAY)
        assert world.truth(account) == {"eur": CurrencyTruth(gross=0, orders=1, fees=99)}
        with pytest.raises(StripeError, match="cannot fail any more"):
            world.fail_payment(charge["id"])

    def test_a_decision_that_was_made_early_is_not_made_again(self, world, account):
        session = self.opened(world, account)
        world.decide(session["payment_intent"], "fail")
        world.advance(30 * DAY)
        (charge,) = charges_of(world, account, session["payment_intent"])
        assert charge["status"] == "failed"


class TestVoucher:
    @pytest.mark.parametrize("method", ["boleto", "oxxo", "konbini", "multibanco", "customer_balance"])
    def test_there_is_no_charge_before_the_voucher_is_paid(self, world, account, method):
        session = world.create_session(account, **buy(payment_method_types=[method]))
        session = world.pay(session["id"], after=20 * DAY)
        assert (session["status"], session["payment_status"]) == ("complete", "unpaid")
        assert charges_of(world, account, session["payment_intent"]) == []

        world.advance(20 * DAY)

        (charge,) = charges_of(world, account, session["payment_intent"])
        assert (charge["created"], charge["status"]) == (NOW + 20 * DAY, "succeeded")
        assert charge["payment_method_details"]["type"] == method
        assert world.session(session["id"])["payment_status"] == "paid"
        assert world.truth(account)["eur"].orders == 1

    def test_a_voucher_that_runs_out_never_has_a_charge(self, world, account):
        session = world.create_session(account, **buy(payment_method_types=["oxxo"]))
        session = world.pay(session["id"], outcome="fail")
        world.advance(2 * DAY)
        assert everything(world, account, "charge") == []
        assert event_types(world, account)[-1] == "checkout.session.async_payment_failed"
        assert world.truth(account) == {}

    def test_a_session_takes_only_its_own_methods(self, world, account):
        session = world.create_session(account, **buy())
        with pytest.raises(StripeError, match="does not take oxxo"):
            world.pay(session["id"], method="oxxo")


class TestCapture:
    def test_what_is_only_held_is_no_revenue(self, world, account):
        charge = held(world, account)
        assert (charge["status"], charge["captured"], charge["amount_captured"]) == ("succeeded", False, 0)
        assert charge["balance_transaction"] is None
        (session,) = everything(world, account, "checkout.session")
        assert (session["status"], session["payment_status"]) == ("complete", "unpaid")
        assert world.truth(account) == {}

    def test_a_capture_takes_all_and_says_nothing_of_the_session(self, world, account):
        charge = held(world, account)
        world.advance(DAY)
        events = len(event_types(world, account))
        charge = world.capture(charge["id"])
        assert (charge["captured"], charge["amount_captured"], charge["amount_refunded"]) == (True, 4900, 0)
        assert everything(world, account, "balance_transaction")[0]["created"] == NOW + DAY
        assert everything(world, account, "checkout.session")[0]["payment_status"] == "paid"
        assert event_types(world, account)[events:] == ["charge.captured", "payment_intent.succeeded"]
        assert world.truth(account) == {"eur": CurrencyTruth(gross=4900, orders=1, fees=99)}

    def test_a_partial_capture_books_all_that_was_held_and_takes_the_rest_back(self, world, account, get):
        charge = world.capture(held(world, account)["id"], 3000)
        assert (charge["amount_captured"], charge["amount_refunded"], charge["refunded"]) == (3000, 1900, False)
        (released,) = get(f"charges/{charge['id']}/refunds")["data"]
        assert (released["amount"], released["status"]) == (1900, "succeeded")
        reversal = get(f"balance_transactions/{released['balance_transaction']}")
        assert (reversal["type"], reversal["reporting_category"]) == ("refund", "partial_capture_reversal")
        assert get(f"balance_transactions/{charge['balance_transaction']}")["amount"] == 4900
        assert (reversal["amount"], reversal["fee"]) == (-1900, 0)
        assert world.truth(account)["eur"] == CurrencyTruth(gross=3000, orders=1, fees=70)
        world.refund(charge["id"])
        assert world.truth(account)["eur"].refunded == 3000

    def test_each_of_several_captures_has_its_own_balance_transaction(self, world, account, server, get):
        charge = held(world, account)
        for amount in (1000, 2000):
            world.capture(charge["id"], amount, is_final=False)
        path = f"/v1/payment_intents/{charge['payment_intent']}/capture"
        status, _, intent = ask(server, path, account.secret_key, "POST", {"amount_to_capture": 1500})
        assert (status, intent["status"], intent["amount_received"]) == (200, "succeeded", 4500)

        charge = get(f"charges/{charge['id']}")
        moves = get(f"balance_transactions?source={charge['id']}")["data"]
        assert [move["amount"] for move in moves] == [1500, 2000, 1000]
        assert charge["balance_transaction"] == moves[-1]["id"]
        assert (charge["amount_captured"], charge["amount_refunded"]) == (4500, 400)
        (released,) = get(f"charges/{charge['id']}/refunds")["data"]
        assert released["balance_transaction"] is None
        assert world.truth(account)["eur"] == CurrencyTruth(gross=4500, orders=1, fees=40 + 55 + 48)
        refused = ask(server, path, account.secret_key, "POST", {})
        assert error_of(refused)[:3] == (400, "invalid_request_error", "payment_intent_unexpected_state")

    def test_more_than_is_held_is_not_captured(self, world, account):
        with pytest.raises(StripeError, match="no more than"):
            world.capture(held(world, account)["id"], 4901)

    def test_what_is_not_captured_within_a_week_lapses(self, world, account):
        charge = held(world, account)
        world.advance(7 * DAY - 1)
        assert everything(world, account, "refund") == []
        world.advance(1)
        (charge,) = everything(world, account, "charge")
        (refund,) = everything(world, account, "refund")
        (intent,) = everything(world, account, "payment_intent")
        assert (charge["captured"], charge["refunded"]) == (False, True)
        assert (refund["reason"], refund["balance_transaction"]) == ("expired_uncaptured_charge", None)
        assert (intent["status"], intent["cancellation_reason"]) == ("canceled", "automatic")
        assert event_types(world, account)[-2:] == ["charge.expired", "payment_intent.canceled"]
        assert world.truth(account) == {}

    def test_a_merchant_lets_go(self, world, account):
        charge = world.release(held(world, account)["id"])
        assert charge["refunded"] is True
        assert world.truth(account) == {}

    def test_a_captured_charge_does_not_lapse(self, world, account):
        world.capture(held(world, account)["id"])
        world.advance(8 * DAY)
        assert everything(world, account, "refund") == []

    def test_a_balance_transaction_may_come_later_than_its_charge(self, world, account, get):
        world.booked_after = 3600
        charge = paid_charge(world, account)
        assert charge["balance_transaction"] is None
        assert world.truth(account) == {"eur": CurrencyTruth(gross=4900, orders=1)}
        world.check(account)
        world.advance(3600)
        charge = get(f"charges/{charge['id']}")
        assert get(f"balance_transactions/{charge['balance_transaction']}")["created"] == NOW + 3600
        assert event_types(world, account)[-1] == "charge.updated"
        assert world.truth(account) == {"eur": CurrencyTruth(gross=4900, orders=1, fees=99)}


class TestSetup:
    def test_a_setup_keeps_a_method_and_moves_no_money(self, world, account, get):
        session = world.create_session(account, mode="setup", currency="eur", success_url="https://shop.example/")
        assert (session["amount_total"], session["payment_status"]) == (None, "no_payment_required")
        done = world.pay(session["id"])
        intent = get(f"setup_intents/{done['setup_intent']}")
        assert (done["status"], done["customer"], intent["status"]) == ("complete", intent["customer"], "succeeded")
        assert world.truth(account) == {}

    def test_its_page_shows_no_total(self, world, account, server):
        session = world.create_session(account, mode="setup", success_url="https://shop.example/")
        status, _, page = ask(server, session["url"].removeprefix(server.url))
        assert status == 200
        assert "Total" not in page


class TestPaymentLink:
    def link(self, world, account, **params):
        return world.create_link(Owner(account.id, False), {"line_items": buy()["line_items"], **params})

    def test_who_follows_a_link_gets_a_session_with_the_reference_of_the_address(self, world, account, server, get):
        link = self.link(world, account, metadata={"campaign": "spring"})
        path = link["url"].removeprefix(server.url)
        status, headers, _ = ask(server, f"{path}?client_reference_id=view-1&prefilled_email=ada%40example.org")
        assert status == 303
        (session,) = get(f"checkout/sessions?payment_link={link['id']}")["data"]
        assert headers["Location"] == session["url"]
        assert (session["client_reference_id"], session["customer_email"]) == ("view-1", "ada@example.org")
        assert session["metadata"] == {"campaign": "spring"}
        # Whatever else an address carries, such as campaign parameters, is not the session's.
        assert ask(server, f"{path}?utm_source=letter")[0] == 303

    def test_it_leads_back_to_the_shop_only_if_it_says_where_that_is(self, world, account, server):
        at_home = self.link(world, account)
        away = self.link(
            world, account, after_completion={"type": "redirect", "redirect": {"url": "https://shop.example/done"}}
        )
        form = {"outcome": "pay", "email": "ada@example.org"}
        stays, goes = (
            ask(server, f"/pay/{world.follow_link(link['id'])['id']}", None, "POST", form) for link in (at_home, away)
        )
        assert (stays[0], "This checkout is paid." in stays[2]) == (200, True)
        assert (goes[0], goes[1]["Location"]) == (303, "https://shop.example/done")
        assert world.truth(account)["eur"].orders == 2

    def test_the_api_makes_and_lists_links(self, world, account, server, get):
        form = {
            "line_items[0][quantity]": 1,
            "line_items[0][price_data][currency]": "eur",
            "line_items[0][price_data][unit_amount]": 500,
            "line_items[0][price_data][product_data][name]": "Tea",
        }
        status, _, link = ask(server, "/v1/payment_links", account.secret_key, "POST", form)
        assert (status, link["object"], "_" in link) == (200, "payment_link", False)
        assert [item["id"] for item in get("payment_links")["data"]] == [link["id"]]
        refused = ask(server, "/v1/payment_links?created[gte]=1", account.secret_key)
        assert error_of(refused)[2:4] == ("parameter_unknown", "created")

    def test_a_link_to_a_subscription_begins_one(self, world, account):
        link = self.link(world, account, line_items=subscribe()["line_items"])
        session = world.follow_link(link["id"])
        assert session["mode"] == "subscription"
        assert world.pay(session["id"])["subscription"]


class TestExpiry:
    def test_a_session_that_was_left_can_be_recovered_and_names_where_it_came_from(self, world, account, server, get):
        session = world.create_session(
            account, **buy(after_expiration={"recovery": {"enabled": True}}, metadata={"humblytics_view_id": "v1"})
        )
        with pytest.raises(StripeError, match="cannot be recovered"):
            world.recover(session["id"])
        world.advance(DAY)
        expired = get(f"checkout/sessions/{session['id']}")
        path = expired["after_expiration"]["recovery"]["url"].removeprefix(server.url)
        status, headers, _ = ask(server, path)
        assert status == 303
        recovered = everything(world, account, "checkout.session")[-1]
        assert headers["Location"] == recovered["url"]
        assert (recovered["recovered_from"], recovered["amount_total"]) == (session["id"], 4900)
        assert world.pay(recovered["id"])["payment_status"] == "paid"
        world.advance(31 * DAY)
        assert ask(server, path)[0] == 400

    def test_things_happen_at_their_own_times_however_far_the_clock_jumps(self, world, account):
        world.create_session(account, **buy(expires_at=NOW + 3600))
        session = world.create_session(account, **buy(payment_method_types=["sepa_debit"]))
        world.pay(session["id"])
        held(world, account)
        world.advance(40 * DAY)
        with world.at(NOW + 10 * DAY):
            happened = [
                (event["type"], event["created"] - NOW)
                for event in everything(world, account, "event")
                if event["created"] > NOW
            ]
        assert happened == [
            ("checkout.session.expired", 3600),
            ("charge.succeeded", 5 * DAY),
            ("payment_intent.succeeded", 5 * DAY),
            ("checkout.session.async_payment_succeeded", 5 * DAY),
            ("refund.created", 7 * DAY),
            ("charge.refunded", 7 * DAY),
            ("charge.expired", 7 * DAY),
            ("payment_intent.canceled", 7 * DAY),
        ]


class TestPayout:
    def test_what_is_available_is_paid_out_and_its_transactions_tell_in_which_payout(self, world, account, get):
        old = paid_charge(world, account, 10_000)
        world.advance(7 * DAY)
        new = paid_charge(world, account, 500)
        payout = world.pay_out(account)
        assert (payout["amount"], payout["status"], payout["automatic"]) == (10_000 - 175, "in_transit", True)
        moves = get(f"balance_transactions?payout={payout['id']}")["data"]
        assert {move["id"] for move in moves} == {payout["balance_transaction"], old["balance_transaction"]}
        balance = get("balance")
        assert [row["amount"] for row in (*balance["available"], *balance["pending"])] == [0, 500 - 33]
        assert new["balance_transaction"] not in {move["id"] for move in moves}

        world.advance(2 * DAY)
        assert get(f"payouts/{payout['id']}")["status"] == "paid"
        with pytest.raises(StripeError, match="insufficient"):
            world.pay_out(account)

    def test_a_payout_that_fails_comes_back(self, world, account, get):
        paid_charge(world, account, 10_000)
        payout = world.pay_out(account, 100, outcome="fail")
        world.advance(2 * DAY)
        path = f"payouts/{payout['id']}?expand[]=failure_balance_transaction"
        failed = get(path)
        assert (failed["status"], failed["automatic"]) == ("failed", False)
        assert failed["failure_balance_transaction"]["amount"] == 100

    def test_an_entry_of_a_type_that_nobody_knows_moves_the_balance_and_no_sale(self, world, account, get):
        world.enter(account, "quantum_fee", -123)
        (entry,) = get("balance_transactions")["data"]
        assert (entry["type"], entry["net"], entry["source"]) == ("quantum_fee", -123, None)
        assert world.truth(account) == {}


class TestJournal:
    def test_what_was_put_off_is_not_forgotten_and_not_done_twice(self, tmp_path):
        clock, path = Clock(), tmp_path / "journal"
        world = World.open(path, clock)
        account = world.add_account("Shop")
        debit = world.create_session(account, **buy(payment_method_types=["sepa_debit"]))
        world.pay(debit["id"])
        world.pay(world.create_session(account, **subscribe())["id"])
        world.advance(6 * DAY)
        truth = world.truth(account)
        world.close()

        again = World.open(path, clock)
        assert again.truth(account) == truth
        again.advance(40 * DAY)
        assert again.truth(account)["eur"].orders == 3
        again.check(account)
        again.close()


class TestCurrencies:
    @pytest.mark.parametrize("into", ["eur", "jpy", "kwd", "isk"])
    def test_every_currency_of_stripes_is_sold_in_and_settled_to_the_unit(self, world, into):
        account = world.add_account("Shop", default_currency=into)
        for currency in CURRENCIES:
            world.refund(paid_charge(world, account, 1_234_500, currency)["id"], 234_500)
        truth = world.truth(account)
        for currency in CURRENCIES:
            assert (truth[currency].gross, truth[currency].refunded) == (1_234_500, 234_500)
        for move in everything(world, account, "balance_transaction"):
            assert move["currency"] == into
        world.check(account)

    def test_there_are_all_of_them(self):
        assert len(CURRENCIES) > 135
        assert [code for code, (decimals, _) in CURRENCIES.items() if decimals == 0] == [
            *("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"),
            *("pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"),
        ]
        assert [code for code, (decimals, _) in CURRENCIES.items() if decimals == 3] == [
            *("bhd", "jod", "kwd", "omr", "tnd"),
        ]

    def test_what_the_buyer_saw_changes_no_amount(self, world, account, get):
        session = world.create_session(account, **buy())
        world.pay(session["id"], presented_in="usd")
        (charge,) = get("charges")["data"]
        world.refund(charge["id"], 1000)
        seen = {"presentment_amount": 5326, "presentment_currency": "usd"}
        assert charge["presentment_details"] == seen
        for path in ("checkout/sessions", "payment_intents"):
            assert get(path)["data"][0]["presentment_details"] == seen
        assert get("refunds")["data"][0]["presentment_details"]["presentment_amount"] == 1087
        assert (charge["amount"], charge["currency"]) == (4900, "eur")
        assert world.truth(account)["eur"].gross == 4900

    def test_what_the_subscriber_saw_stays_with_every_renewal(self, world, account, get):
        session = world.create_session(account, **subscribe(amount=900))
        world.pay(session["id"], presented_in="usd")
        world.advance(32 * DAY)
        seen = {"presentment_amount": 978, "presentment_currency": "usd"}
        for path in ("charges", "payment_intents"):
            assert [item["presentment_details"] for item in get(path)["data"]] == [seen, seen]
        (subscription,) = get("subscriptions")["data"]
        assert subscription["presentment_details"] == {"presentment_currency": "usd"}
        assert world.truth(account)["eur"].gross == 1800


class TestCustomer:
    @pytest.mark.parametrize("mode", ["payment", "subscription"])
    def test_a_session_for_a_customer_who_is_not_there_is_refused(self, world, account, server, mode):
        form = {
            "mode": mode,
            "customer": "cus_nobody",
            "success_url": "https://shop.example/thanks",
            "line_items[0][quantity]": 1,
            "line_items[0][price_data][currency]": "eur",
            "line_items[0][price_data][unit_amount]": 900,
            "line_items[0][price_data][product_data][name]": "Plan",
        }
        if mode == "subscription":
            form["line_items[0][price_data][recurring][interval]"] = "month"
        answer = ask(server, "/v1/checkout/sessions", account.secret_key, "POST", form)
        assert error_of(answer)[:4] == (400, "invalid_request_error", "resource_missing", "customer")
        assert everything(world, account, "checkout.session") == []

    def test_a_customer_of_anothers_is_not_there(self, world, account):
        other = world.add_account("Other")
        theirs = world.create_session(other, **buy(customer_creation="always"))
        customer = world.pay(theirs["id"])["customer"]
        with pytest.raises(StripeError, match="No such customer"):
            world.create_session(account, **buy(customer=customer))
        assert world.create_session(other, **buy(customer=customer))["customer"] == customer

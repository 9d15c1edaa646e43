"""Money that goes back, in every way it can, and what the balance says about it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revenue.sandbox.accounts import Owner
from revenue.sandbox.errors import StripeError
from revenue.sandbox.truth import CurrencyTruth
from revenue.sandbox.world import World
from tests.revenue.shopping import DAY, NOW, Clock, buy, event_types, everything, paid_charge, subscribe

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture
def world():
    return World(Clock())


class TestRefund:
    def test_one_that_waits_for_the_buyer_moves_money_only_when_he_answers(self, world, account, get):
        charge = paid_charge(world, account)
        refund = world.refund(charge["id"], 1000, status="requires_action", then=(3 * DAY, "succeeded"))
        assert refund["balance_transaction"] is None
        assert world.truth(account)["eur"].refunded == 0
        assert get(f"charges/{charge['id']}")["amount_refunded"] == 1000
        world.advance(3 * DAY)
        transaction = get(f"refunds/{refund['id']}?expand[]=balance_transaction")["balance_transaction"]
        assert (transaction["amount"], transaction["created"]) == (-1000, NOW + 3 * DAY)
        assert world.truth(account)["eur"].refunded == 1000

    @pytest.mark.parametrize(("status", "returns"), [("requires_action", 0), ("pending", 1)])
    def test_one_that_is_canceled_never_was(self, world, account, get, status, returns):
        charge = paid_charge(world, account)
        refund = world.refund(charge["id"], 1000, status=status)
        world.settle_refund(refund["id"], "canceled")
        assert get(f"refunds/{refund['id']}")["status"] == "canceled"
        assert len(get("balance_transactions?type=refund_failure")["data"]) == returns
        assert get(f"charges/{charge['id']}")["amount_refunded"] == 0
        assert world.truth(account)["eur"].refunded == 0

    def test_one_that_had_succeeded_comes_back_weeks_later(self, world, account, get):
        charge = paid_charge(world, account)
        refund = world.refund(charge["id"], then=(40 * DAY, "failed"))
        world.advance(40 * DAY)
        failed = get(f"refunds/{refund['id']}?expand[]=failure_balance_transaction")
        returned = failed["failure_balance_transaction"]
        assert (failed["status"], failed["failure_reason"]) == ("failed", "expired_or_canceled_card")
        assert (returned["type"], returned["amount"], returned["created"]) == ("refund_failure", 4900, NOW + 40 * DAY)
        charge = get(f"charges/{charge['id']}")
        assert (charge["amount_refunded"], charge["refunded"]) == (0, False)
        world.refund(charge["id"])
        assert world.truth(account)["eur"].refunded == 4900
        with pytest.raises(StripeError, match="already failed"):
            world.settle_refund(refund["id"], "succeeded")

    def test_one_of_no_charge(self, world, account, get):
        refund = world.refund_unused(account, 700, "eur")
        shown = get(f"refunds/{refund['id']}")
        assert (shown["charge"], shown["payment_intent"], shown["amount"]) == (None, None, 700)
        assert world.truth(account) == {"eur": CurrencyTruth(refunded=700)}

    def test_one_of_a_debit_is_a_payment_refund(self, world, account, get):
        session = world.create_session(account, **buy(payment_method_types=["ideal"]))
        world.pay(session["id"])
        (charge,) = everything(world, account, "charge")
        refund = world.refund(charge["id"])
        assert refund["id"].startswith("pyr_")
        assert [move["type"] for move in get("balance_transactions")["data"]] == ["payment_refund", "payment"]

    def test_one_in_a_foreign_currency_leaves_the_balance_in_the_accounts_own(self, world, account, get):
        world.refund(paid_charge(world, account, 1000, "jpy")["id"], 300)
        sent, came = get("balance_transactions")["data"]
        assert (came["amount"], sent["amount"], sent["currency"], sent["exchange_rate"]) == (610, -183, "eur", 0.61)
        assert world.truth(account)["jpy"].refunded == 300


class TestDispute:
    def test_an_inquiry_moves_no_money_and_lets_the_merchant_refund(self, world, account, get):
        charge = paid_charge(world, account)
        inquiry = world.dispute(charge["id"], status="warning_needs_response")
        shown = get(f"disputes/{inquiry['id']}")
        assert (shown["balance_transactions"], shown["is_charge_refundable"]) == ([], True)
        assert world.truth(account)["eur"].disputed == 0
        world.refund(charge["id"], 100)
        world.answer_dispute(inquiry["id"])
        assert get(f"disputes/{inquiry['id']}")["status"] == "warning_under_review"
        assert world.close_dispute(inquiry["id"])["status"] == "warning_closed"
        assert len(get("balance_transactions")["data"]) == 2

    def test_an_inquiry_that_is_not_settled_becomes_a_chargeback(self, world, account, get):
        charge = paid_charge(world, account)
        inquiry = world.dispute(charge["id"], status="warning_needs_response")
        world.advance(10 * DAY)
        world.escalate_dispute(inquiry["id"])
        dispute = get(f"disputes/{inquiry['id']}")
        assert (dispute["status"], dispute["is_charge_refundable"]) == ("needs_response", False)
        assert dispute["balance_transactions"][0]["created"] == NOW + 10 * DAY
        assert event_types(world, account)[-1] == "charge.dispute.funds_withdrawn"
        assert world.truth(account)["eur"] == CurrencyTruth(gross=4900, disputed=4900, orders=1, fees=99 + 2000)
        with pytest.raises(StripeError, match="no inquiry"):
            world.escalate_dispute(inquiry["id"])

    def test_one_that_was_prevented_takes_nothing(self, world, account, get):
        dispute = world.dispute(paid_charge(world, account)["id"], status="prevented")
        assert get(f"disputes/{dispute['id']}")["balance_transactions"] == []
        with pytest.raises(StripeError, match="already closed"):
            world.close_dispute(dispute["id"])

    def test_one_that_is_won_in_part_returns_a_part(self, world, account, get):
        dispute = world.dispute(paid_charge(world, account)["id"])
        world.close_dispute(dispute["id"], amount=1500)
        moves = get(f"disputes/{dispute['id']}")["balance_transactions"]
        assert [move["amount"] for move in moves] == [-4900, 1500]
        assert world.truth(account)["eur"].disputed == 3400

    def test_its_fee_may_come_back_as_a_fee_below_nothing(self, world, account, get):
        dispute = world.dispute(paid_charge(world, account)["id"])
        world.close_dispute(dispute["id"], is_fee_returned=True)
        returned = get(f"disputes/{dispute['id']}")["balance_transactions"][-1]
        assert (returned["amount"], returned["fee"], returned["net"]) == (4900, -2000, 6900)
        assert world.truth(account)["eur"] == CurrencyTruth(gross=4900, disputed=0, orders=1, fees=99)

    def test_one_may_be_in_another_currency_than_its_charge(self, world, account, get):
        charge = paid_charge(world, account, 1000, "jpy")
        dispute = world.dispute(charge["id"], is_settled_currency=True)
        assert (dispute["amount"], dispute["currency"]) == (610, "eur")
        assert world.truth(account)["eur"].disputed == 610
        world.close_dispute(dispute["id"])
        assert world.truth(account)["jpy"] == CurrencyTruth(gross=1000, orders=1)
        assert world.truth(account)["eur"].disputed == 0

    def test_after_a_partial_refund_only_the_rest_can_be_disputed(self, world, account):
        charge = paid_charge(world, account)
        world.refund(charge["id"], 1900)
        with pytest.raises(StripeError, match="cannot be disputed"):
            world.dispute(charge["id"], 3001)
        dispute = world.dispute(charge["id"])
        assert dispute["amount"] == 3000
        world.close_dispute(dispute["id"])
        truth = world.truth(account)["eur"]
        assert truth.gross - truth.refunded - truth.disputed == 3000


class TestBooks:
    def test_the_books_tell_each_movement_with_its_payment_and_its_balance_transaction(self, world, account):
        charge = paid_charge(world, account, 1000, "jpy")
        world.advance(DAY)
        refund = world.refund(charge["id"], 300)
        gross, sent = world.books(account)
        assert (gross.kind, gross.payment, gross.amount, gross.currency) == ("gross", charge["id"], 1000, "jpy")
        assert (gross.moved, gross.fee, gross.moved_in, gross.at) == (610, 34, "eur", NOW)
        assert gross.balance_transaction == charge["balance_transaction"]
        assert (sent.kind, sent.payment, sent.amount, sent.at) == ("refunded", charge["id"], -300, NOW + DAY)
        assert sent.balance_transaction == refund["balance_transaction"]

    @pytest.mark.parametrize(
        ("kind", "changed", "complaint"),
        [
            ("balance_transaction", {"net": 1}, "in the books"),
            ("charge", {"amount_captured": 1}, "took 1"),
            ("charge", {"amount_refunded": 1}, "gave back 1"),
        ],
    )
    def test_a_contradiction_is_found(self, account, kind, changed, complaint):
        other = World(Clock())
        shop = other.add_account("Other")
        paid_charge(other, shop)
        (item,) = everything(other, shop, kind)
        with other._act(Owner(shop.id, False)) as act:
            act.change(other.kept(item["id"]), **changed)
        with pytest.raises(AssertionError, match=complaint):
            other.check(shop)


class Shop:
    """Everything that can happen, to whatever it can happen to."""

    def __init__(self):
        self.world = World(Clock())
        self.account = self.world.add_account("Shop")
        # So that the first act already has something to happen to.
        self.buy()
        self.subscribe()

    def pick(self, kind, wanted=lambda item: True):
        found = [item for item in everything(self.world, self.account, kind) if wanted(item)]
        return found[-1:]

    def buy(self, currency="eur", method="card", outcome="pay", data=None):
        params = {"payment_intent_data": data} if data else {}
        opened = self.world.create_session(self.account, **buy(4999, currency, payment_method_types=[method], **params))
        self.world.pay(opened["id"], outcome)

    def subscribe(self, **params):
        self.world.pay(self.world.create_session(self.account, **subscribe(**params))["id"])

    def refund(self, amount, status="succeeded", then=None):
        for charge in self.pick("charge", is_refundable):
            self.world.refund(charge["id"], amount, status, then=then)

    def dispute(self, **options):
        for charge in self.pick("charge", is_refundable):
            self.world.dispute(charge["id"], **options)

    def close(self, **options):
        for dispute in self.pick("dispute", lambda item: item["status"] == "needs_response"):
            self.world.close_dispute(dispute["id"], **options)

    def capture(self, amount, is_final):
        for intent in self.pick("payment_intent", lambda item: item["amount_capturable"] > 1000):
            self.world.capture(intent["latest_charge"], amount, is_final)

    def fail(self):
        for charge in self.pick("charge", lambda item: is_refundable(item) and not item["amount_refunded"]):
            self.world.fail_payment(charge["id"])

    def renewals(self, outcome):
        for subscription in self.pick("subscription"):
            self.world.set_renewals(subscription["id"], outcome)

    def pay_invoice(self, off_stripe=False):
        for invoice in self.pick("invoice", lambda item: item["status"] == "open" and item["amount_remaining"] > 100):
            (self.world.pay_invoice_off_stripe if off_stripe else self.world.pay_invoice)(invoice["id"], 100)

    def pay_out(self, outcome="pay"):
        if self.world.balance(Owner(self.account.id, False))["available"][0:1]:
            self.world.pay_out(self.account, 1, outcome)


def is_refundable(charge):
    left = charge["amount_captured"] - charge["amount_refunded"]
    return charge["status"] == "succeeded" and charge["captured"] and not charge["disputed"] and left > 3000


ACTS = {
    "buy": Shop.buy,
    "buy in yen": lambda shop: shop.buy("jpy"),
    "decline": lambda shop: shop.buy(outcome="decline"),
    "debit": lambda shop: shop.buy(method="sepa_debit"),
    "debit that fails": lambda shop: shop.buy(method="sepa_debit", outcome="fail"),
    "voucher": lambda shop: shop.buy(method="boleto"),
    "hold": lambda shop: shop.buy(data={"capture_method": "manual"}),
    "capture a part": lambda shop: shop.capture(1000, is_final=False),
    "capture the rest": lambda shop: shop.capture(1000, is_final=True),
    "refund": lambda shop: shop.refund(None),
    "refund a part": lambda shop: shop.refund(1000),
    "refund that fails": lambda shop: shop.refund(1000, then=(DAY, "failed")),
    "refund that waits": lambda shop: shop.refund(1000, "requires_action", then=(DAY, "canceled")),
    "dispute": Shop.dispute,
    "dispute in euros": lambda shop: shop.dispute(is_settled_currency=True),
    "inquiry": lambda shop: shop.dispute(status="warning_needs_response"),
    "win": Shop.close,
    "win a part": lambda shop: shop.close(amount=1, is_fee_returned=True),
    "lose": lambda shop: shop.close(won=False),
    "fail late": Shop.fail,
    "subscribe": Shop.subscribe,
    "trial": lambda shop: shop.subscribe(subscription_data={"trial_period_days": 3}),
    "refuse renewals": lambda shop: shop.renewals("decline"),
    "leave renewals open": lambda shop: shop.renewals("wait"),
    "pay an invoice": Shop.pay_invoice,
    "pay an invoice elsewhere": lambda shop: shop.pay_invoice(off_stripe=True),
    "pay out": Shop.pay_out,
    "pay out in vain": lambda shop: shop.pay_out("fail"),
    "a day": lambda shop: shop.world.advance(DAY),
    "a month": lambda shop: shop.world.advance(31 * DAY),
    "book later": lambda shop: setattr(shop.world, "booked_after", 7200),
}


@settings(max_examples=60)
@given(acts=st.lists(st.sampled_from(sorted(ACTS)), min_size=8, max_size=25))
def test_the_balance_is_right_whatever_happens(acts):
    shop = Shop()
    for act in acts:
        ACTS[act](shop)
        shop.world.check(shop.account)
    shop.world.advance(400 * DAY)
    shop.world.check(shop.account)

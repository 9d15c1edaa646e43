"""Every way a payment can go, held against the sandbox's own books: to the cent, to the second."""

from collections.abc import Callable, Generator, Iterator
from inspect import isgeneratorfunction
from typing import Any

import pytest

from revenue.allowlist import rows
from revenue.mirror import Tally, store
from revenue.models import LedgerLine, Slice, Stream, StripeAccount
from revenue.sandbox.accounts import Account, Owner
from revenue.sandbox.world import World
from revenue.sync import Report
from tests.revenue.books import booked, moved, sums, truth
from tests.revenue.conftest import moment
from tests.revenue.shopping import buy, charges_of, everything, subscribe
from tests.revenue.test_sync import MIRROR

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books")]
DAY = 86_400
Buy = Callable[..., str]
# Between its steps some days pass, and Stripe is read.
Story = Generator[None, None, None]


def held(purchase: Buy, **options: Any) -> str:
    return purchase(5000, payment_intent_data={"capture_method": "manual"}, **options)


class Shop:
    """Gives a story's payment in one step of its own."""

    def __init__(self, world: World, account: Account, purchase: Buy) -> None:
        self.world, self.account, self.buy = world, account, purchase

    def delayed(self, method: str, currency: str = "eur", **options: Any) -> str:
        """Pay in a way that takes its time; give the payment intent's id."""
        session = self.world.create_session(self.account, **buy(5000, currency, payment_method_types=[method]))
        return str(self.world.pay(session["id"], **options)["payment_intent"])

    def debit(self, currency: str = "eur", **options: Any) -> str:
        intent = self.delayed("sepa_debit", currency, **options)
        return str(charges_of(self.world, self.account, intent)[0]["id"])

    # Held and captured.

    def released(self) -> Story:
        charge = held(self.buy)
        yield
        self.world.release(charge)

    def lapsed(self) -> Story:
        held(self.buy)
        yield

    def captured_in_part(self) -> Story:
        charge = held(self.buy)
        yield
        self.world.capture(charge, 3000)
        yield
        self.world.refund(charge, 500)

    def captured_in_part_abroad(self) -> Story:
        charge = held(self.buy, currency="jpy")
        yield
        self.world.capture(charge, 3333)

    def captured_several_times(self) -> Story:
        charge = held(self.buy)
        for amount in (1000, 1500):
            self.world.capture(charge, amount, is_final=False)
            yield
        self.world.refund(charge, 700)
        self.world.capture(charge, is_final=True)

    def captured_several_times_and_released(self) -> Story:
        charge = held(self.buy)
        for amount in (1000, 1500):
            self.world.capture(charge, amount, is_final=False)
            yield
        self.world.release(charge)

    def captured_several_times_abroad(self) -> Story:
        charge = held(self.buy, currency="jpy")
        for amount in (333, 777):
            self.world.capture(charge, amount, is_final=False)
            yield
        self.world.capture(charge)

    # In currencies of no, three and two decimals, and of large amounts.

    def paid_abroad(self) -> Story:
        for amount, currency in [(500, "jpy"), (5120, "kwd"), (500, "isk"), (99_999_999_999, "idr")]:
            self.buy(amount, currency)
        yield

    # By debit or voucher.

    def voucher_paid_after_weeks(self) -> Story:
        self.delayed("oxxo", after=20 * DAY)
        for _ in range(7):
            yield

    def voucher_never_paid(self) -> Story:
        self.delayed("boleto", outcome="fail")
        yield

    def debit_paid(self) -> Story:
        self.debit()
        yield

    def debit_refused(self) -> Story:
        self.debit(outcome="fail", after=3 * DAY)
        yield

    def debit_refused_abroad(self) -> Story:
        self.debit("usd", outcome="fail", after=3 * DAY)
        yield

    def debit_refused_after_it_was_paid(self) -> Story:
        charge = self.debit()
        yield
        yield
        self.world.fail_payment(charge)

    def debit_refunded(self) -> Story:
        charge = self.debit()
        yield
        yield
        self.world.refund(charge)

    # Given back.

    def refunded_in_many_parts(self) -> Story:
        charge = self.buy(5000)
        for _ in range(12):
            self.world.refund(charge, 7)
        yield

    def refund_pending_and_failed_late(self) -> Story:
        refund = self.world.refund(self.buy(5000), 2000, status="pending")
        yield
        yield
        self.world.settle_refund(refund["id"], "failed")

    def refund_failed_after_it_succeeded(self) -> Story:
        refund = self.world.refund(self.buy(5000), 2000)
        yield
        self.world.settle_refund(refund["id"], "failed")

    def refund_canceled(self) -> Story:
        refund = self.world.refund(self.buy(5000), 2000, status="pending")
        yield
        self.world.settle_refund(refund["id"], "canceled")

    def refund_that_waited_for_bank_details(self) -> Story:
        refund = self.world.refund(self.buy(5000), 2000, status="requires_action")
        yield
        self.world.settle_refund(refund["id"], "succeeded")

    def refund_whose_bank_details_never_came(self) -> Story:
        refund = self.world.refund(self.buy(5000), 2000, status="requires_action")
        yield
        self.world.settle_refund(refund["id"], "canceled")

    def refund_abroad(self) -> Story:
        charge = self.buy(5000, "usd")
        yield
        self.world.refund(charge, 1234)

    def refund_without_a_payment(self) -> Story:
        yield
        self.world.refund_unused(self.account, 900, "eur")

    # Disputed.

    def disputed_and_lost(self) -> Story:
        dispute = self.world.dispute(self.buy(5000))
        yield
        self.world.close_dispute(dispute["id"], won=False)

    def disputed_and_won(self) -> Story:
        dispute = self.world.dispute(self.buy(5000))
        yield
        self.world.close_dispute(dispute["id"], is_fee_returned=True)

    def disputed_and_won_in_part(self) -> Story:
        dispute = self.world.dispute(self.buy(5000))
        yield
        self.world.close_dispute(dispute["id"], amount=2000)

    def refunded_in_part_and_disputed_for_the_rest(self) -> Story:
        charge = self.buy(5000)
        self.world.refund(charge, 2000)
        yield
        dispute = self.world.dispute(charge)
        yield
        self.world.close_dispute(dispute["id"])

    def disputed_abroad(self) -> Story:
        self.world.dispute(self.buy(5000, "usd"))
        yield

    def disputed_in_the_settled_currency(self) -> Story:
        dispute = self.world.dispute(self.buy(5000, "usd"), is_settled_currency=True)
        yield
        self.world.close_dispute(dispute["id"])

    def inquired_and_closed(self) -> Story:
        dispute = self.world.dispute(self.buy(5000), status="warning_needs_response")
        yield
        self.world.close_dispute(dispute["id"])

    def inquired_and_disputed(self) -> Story:
        dispute = self.world.dispute(self.buy(5000), status="warning_needs_response")
        yield
        self.world.escalate_dispute(dispute["id"])

    def prevented(self) -> Story:
        self.world.dispute(self.buy(5000), status="prevented")
        yield

    # Billed.

    def subscribed(self, outcome: str, after: int | None = None, **options: Any) -> dict[str, Any]:
        session = self.world.create_session(self.account, **subscribe(interval="week", **options))
        paid = self.world.pay(session["id"])
        self.world.set_renewals(paid["subscription"], outcome, after)
        return paid

    def renewed_by_debit_at_the_second_try(self) -> Story:
        paid = self.subscribed("fail", DAY, payment_method_types=["sepa_debit"])
        for _ in range(3):
            yield
        self.world.set_renewals(paid["subscription"], "pay")
        yield

    def tried_and_then_paid_for(self) -> Story:
        self.subscribed("pay", subscription_data={"trial_period_days": 14})
        for _ in range(5):
            yield

    def renewed_by_the_customers_credit(self) -> Story:
        paid = self.subscribed("pay")
        self.world.credit_customer(paid["customer"], 1000)
        yield

    def renewed_off_stripe(self) -> Story:
        paid = self.subscribed("wait")
        for _ in range(3):
            yield
        invoice = next(
            invoice["id"]
            for invoice in everything(self.world, self.account, "invoice")
            if invoice["customer"] == paid["customer"] and invoice["status"] == "open"
        )
        self.world.pay_invoice(invoice, 400)
        self.world.pay_invoice_off_stripe(invoice)

    # On the balance, but no sale.

    def paid_out_and_sent_back(self) -> Story:
        yield
        self.world.pay_out(self.account, 1000, outcome="fail")


def stories(shop: Shop) -> Iterator[Story]:
    for name, member in vars(Shop).items():
        if isgeneratorfunction(member):
            yield getattr(shop, name)()


def test_the_ledger_is_the_books_to_the_second_however_a_payment_goes(
    run: Callable[..., Report], world: World, account: Account, buy: Buy
) -> None:
    going = list(stories(Shop(world, account, buy)))
    assert len(going) > 35
    while going:
        going = [story for story in going if next(story, "over") is None]
        report = run(is_verified=True)
        assert booked() == moved(world, account)
        assert report.differences == ()
        world.advance(3 * DAY)
    world.advance(40 * DAY)
    report = run(is_verified=True)

    assert booked() == moved(world, account)
    assert sums() == truth(world, account)
    assert (report.differences, report.unmatched_balance_transactions, report.error) == ((), 0, "")
    assert {name: tally.healed for name, tally in report.objects.items() if tally.healed} == {}

    # Read anew from nothing, it is the same.
    names = ["key", "kind", "amount", "currency", "occurred_at", "charge", "balance_transaction"]
    before = set(LedgerLine.objects.values_list(*names))
    for model in (*MIRROR, LedgerLine, Stream, Slice):
        model._base_manager.all().delete()
    run()
    assert set(LedgerLine.objects.values_list(*names)) == before


def test_that_a_failed_payment_had_been_paid_is_learnt_whenever_its_checkout_shows_up(
    run: Callable[..., Report], world: World, account: Account, buy: Buy
) -> None:
    charge = buy(5000)
    (session,) = everything(world, account, "checkout.session")
    world.hide(session["id"], until=world.now() + 600)
    world.advance(60)
    world.fail_payment(charge)
    run()
    assert set(LedgerLine.objects.values_list("kind", flat=True)) == {"pending", "fee"}
    world.advance(600)
    shown = world.find(Owner(account.id, False), "checkout.session", session["id"])
    stored = StripeAccount.objects.get()
    store(stored, rows(stored, [shown or {}], moment(world)), {"checkout_session": Tally()})

    assert booked() == moved(world, account)
    assert sums() == truth(world, account)

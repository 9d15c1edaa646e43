"""Whatever happens at Stripe, and to us meanwhile: what is known in the end is the truth to the cent."""

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any
from unittest import mock

import pytest
from django.db import connection as database
from django.test import override_settings
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from revenue import connecting
from revenue import sync as syncing
from revenue.connecting import connect
from revenue.customers import PaymentReader
from revenue.models import Charge, Connection, StripeAccount
from revenue.sandbox import faults
from revenue.sandbox.accounts import Owner
from revenue.sandbox.http import serve
from revenue.sandbox.objects import StripeObject
from revenue.sandbox.visibility import mostly_soon
from revenue.sandbox.world import World
from revenue.stripe_client import StripeReader
from revenue.sync import Report, sync
from sites.models import Site
from tests.revenue.books import booked, everything, moved
from tests.revenue.conftest import moment
from tests.revenue.shopping import Clock, buy, subscribe

MINUTE, HOUR, DAY = 60, 3600, 86_400
# Which of the objects that something can happen to.
NTH = st.integers(0, 3)
AMOUNTS = st.integers(100, 9999)


class KilledError(BaseException):
    pass


@contextmanager
def dying_at(statement: int) -> Iterator[None]:
    """Let the process, as far as the database can tell, be gone before its n-th statement."""
    left = statement

    def execute(execute: Any, *args: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            raise KilledError
        return execute(*args)

    with suppress(KilledError), database.execute_wrapper(execute):
        yield


class Sync(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        Connection.objects.all().delete()
        StripeAccount.objects.all().delete()
        self.world = World(Clock())
        self.account = self.world.add_account("Shop")
        self.key = self.account.secret_key
        self.server = serve(self.world)
        self.settings = override_settings(STRIPE_API_BASE=self.server.url)
        self.settings.enable()
        self.site = Site.objects.get_or_create(domain="any.example")[0]
        self.connection = connect(self.site, self.key, moment(self.world))

    # What happens at Stripe.

    @rule(
        amount=AMOUNTS,
        currency=st.sampled_from(["eur", "usd", "jpy", "kwd"]),
        outcome=st.sampled_from(["pay", "pay", "pay", "decline"]),
        capture=st.sampled_from(["automatic", "automatic", "manual"]),
    )
    def buy(self, amount: int, currency: str, outcome: str, capture: str) -> None:
        amount *= 10
        params = {"payment_intent_data": {"capture_method": capture}}
        self.world.pay(self.world.create_session(self.account, **buy(amount, currency, **params))["id"], outcome)

    @rule(
        amount=AMOUNTS,
        method=st.sampled_from(["sepa_debit", "boleto"]),
        outcome=st.sampled_from(["pay", "fail"]),
        after=st.sampled_from([HOUR, 3 * DAY, 20 * DAY]),
    )
    def buy_with_patience(self, amount: int, method: str, outcome: str, after: int) -> None:
        session = self.world.create_session(self.account, **buy(amount, payment_method_types=[method]))
        self.world.pay(session["id"], outcome, after=after)

    @rule(trial=st.sampled_from([None, 3]), interval=st.sampled_from(["day", "month"]))
    def subscribe(self, trial: int | None, interval: str) -> None:
        params = {"subscription_data": {"trial_period_days": trial}} if trial else {}
        self.world.pay(self.world.create_session(self.account, **subscribe(interval=interval, **params))["id"])

    @rule()
    def look_and_leave(self) -> None:
        self.world.create_session(self.account, **buy())

    @rule(nth=NTH)
    def expire(self, nth: int) -> None:
        for session in self.pick("checkout.session", nth, lambda item: item["status"] == "open"):
            self.world.expire(session["id"])

    @rule(
        nth=NTH,
        part=st.sampled_from([100, 1000, None]),
        status=st.sampled_from(["succeeded", "succeeded", "pending", "requires_action", "failed"]),
        then=st.sampled_from([None, "succeeded", "failed", "canceled"]),
        after=st.sampled_from([HOUR, 40 * DAY]),
    )
    def refund(self, nth: int, part: int | None, status: str, then: str | None, after: int) -> None:
        for charge in self.pick("charge", nth, is_refundable):
            self.world.refund(charge["id"], part, status, then=(after, then) if then else None)

    @rule(amount=AMOUNTS)
    def refund_without_a_charge(self, amount: int) -> None:
        self.world.refund_unused(self.account, amount, "eur")

    @rule(
        nth=NTH,
        part=st.sampled_from([100, None]),
        status=st.sampled_from(["needs_response", "needs_response", "warning_needs_response", "prevented"]),
        is_settled_currency=st.booleans(),
    )
    def dispute(self, nth: int, part: int | None, status: str, is_settled_currency: bool) -> None:
        for charge in self.pick("charge", nth, is_refundable):
            self.world.dispute(charge["id"], part, status, is_settled_currency=is_settled_currency)

    @rule(nth=NTH)
    def escalate(self, nth: int) -> None:
        for dispute in self.pick("dispute", nth, lambda item: item["status"] == "warning_needs_response"):
            if not self.world.kept(dispute["charge"])["disputed"]:
                self.world.escalate_dispute(dispute["id"])

    @rule(nth=NTH, won=st.booleans(), part=st.sampled_from([1, None]), is_fee_returned=st.booleans())
    def close_dispute(self, nth: int, won: bool, part: int | None, is_fee_returned: bool) -> None:
        for dispute in self.pick("dispute", nth, lambda item: item["status"] == "needs_response"):
            self.world.close_dispute(dispute["id"], won, part, is_fee_returned)

    @rule(nth=NTH, part=st.sampled_from([100, None]), is_final=st.booleans())
    def capture(self, nth: int, part: int | None, is_final: bool) -> None:
        for intent in self.pick("payment_intent", nth, lambda item: item["amount_capturable"] > 100):
            self.world.capture(intent["latest_charge"], part, is_final)

    @rule(nth=NTH)
    def release(self, nth: int) -> None:
        for intent in self.pick("payment_intent", nth, lambda item: item["amount_capturable"] > 0):
            self.world.release(intent["latest_charge"])

    @rule(nth=NTH)
    def fail_late(self, nth: int) -> None:
        for charge in self.pick("charge", nth, lambda item: is_refundable(item) and not item["amount_refunded"]):
            self.world.fail_payment(charge["id"])

    @rule(nth=NTH, outcome=st.sampled_from(["pay", "decline", "wait"]))
    def choose_renewals(self, nth: int, outcome: str) -> None:
        for subscription in self.pick("subscription", nth):
            self.world.set_renewals(subscription["id"], outcome)

    @rule(nth=NTH)
    def cancel(self, nth: int) -> None:
        for subscription in self.pick("subscription", nth, lambda item: item["status"] != "canceled"):
            self.world.cancel_subscription(subscription["id"])

    @rule(nth=NTH, is_off_stripe=st.booleans())
    def pay_invoice(self, nth: int, is_off_stripe: bool) -> None:
        for invoice in self.pick("invoice", nth, lambda item: item["status"] == "open"):
            pay = self.world.pay_invoice_off_stripe if is_off_stripe else self.world.pay_invoice
            pay(invoice["id"], min(100, invoice["amount_remaining"]))

    @rule(outcome=st.sampled_from(["pay", "fail"]))
    def pay_out(self, outcome: str) -> None:
        self.world.pay_out(self.account, 1, outcome)

    @rule(seconds=st.sampled_from([0, 2 * HOUR]))
    def book_later(self, seconds: int) -> None:
        self.world.booked_after = seconds

    @rule(seconds=st.sampled_from([1, MINUTE, 5 * MINUTE, HOUR, 5 * HOUR, DAY, 9 * DAY, 40 * DAY]))
    def wait(self, seconds: int) -> None:
        self.world.advance(seconds)

    @rule(seed=st.none() | st.integers(0, 9))
    def show_up_late(self, seed: int | None) -> None:
        """Whatever is new is hidden for a while: with a seed mostly for seconds, at worst for ten minutes."""
        chooser = random.Random(seed)
        self.world.lag = mostly_soon(seed) if seed else lambda item: chooser.choice([0, 90, 590])

    # What happens to us.

    @rule(drain=st.booleans())
    def tick(self, drain: bool) -> None:
        self.sync(drain=drain)

    @rule(statement=st.integers(1, 120), drain=st.booleans())
    def die(self, statement: int, drain: bool) -> None:
        with dying_at(statement):
            self.sync(drain=drain)

    @rule()
    def read_twice_at_once(self) -> None:
        """Nothing but the number of reads depends on the lock that keeps a second run away."""

        def work(drain: bool) -> None:
            try:
                self.sync(drain=drain)
            finally:
                database.close()

        with mock.patch.object(syncing, "_only_run", nullcontext), ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(work, drain) for drain in (True, False)]:
                done.result()

    @rule(is_noticed=st.booleans())
    def roll_the_key(self, is_noticed: bool) -> None:
        self.server.faults.clear()
        self.key = self.world.roll_key(self.key)
        if is_noticed:
            assert self.sync(drain=True).status == "auth_failed"
        connect(self.site, self.key, moment(self.world))

    @rule(seed=st.integers(0, 9))
    def be_troubled(self, seed: int) -> None:
        self.server.faults.chance(0.2, [*faults.PASSING, *faults.HARMLESS], seed)

    @rule()
    def be_cut_off(self) -> None:
        self.server.faults.insert(0, lambda request: faults.server_error())
        assert self.sync(drain=True).status == "degraded"
        self.server.faults.clear()

    @rule()
    def catch_up(self) -> None:
        self.server.faults.clear()
        self.world.lag = None
        self.world.advance(20 * MINUTE)
        report = self.sync(drain=True, is_verified=True)
        assert (report.status, report.error, report.unmatched_balance_transactions) == ("connected", "", 0)
        assert booked() == moved(self.world, self.account)

    # What always holds.

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        """Also while something is not known yet, no payment is worth more than was asked for."""
        most = dict(Charge.objects.values_list("stripe_id", "amount"))
        sold: Counter[str] = Counter()
        for (payment, kind, _, _), amount in booked().items():
            if kind == "gross":
                sold[payment] += amount
        assert all(0 <= amount <= most[payment] for payment, amount in sold.items())

    def teardown(self) -> None:
        try:
            self.catch_up()
            before = everything()
            self.sync(drain=True)
            assert everything() == before, "the same again is not the same"
            self.sync(full=True)
            assert everything() == before, "a full sync knows better"
            self.world.check(self.account)
        finally:
            self.settings.disable()
            self.server.stop()

    def sync(self, **options: Any) -> Report:
        connection = Connection.objects.select_related("account", "site").get(pk=self.connection.pk)
        return sync(connection, moment(self.world), **options)

    def pick(self, kind: str, nth: int, wanted: Any = lambda item: True) -> list[StripeObject]:
        """The n-th newest object that something can happen to, or none."""
        owner = Owner(self.account.id, False)
        with self.world.lock:
            found = [item for item in self.world._holdings[owner].all(kind) if wanted(item)]
        return found[::-1][nth : nth + 1]


def is_refundable(charge: StripeObject) -> bool:
    left = charge["amount_captured"] - charge["amount_refunded"]
    return charge["status"] == "succeeded" and charge["captured"] and not charge["disputed"] and left >= 1000


@pytest.fixture
def without_pauses(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncing, "PaymentReader", partial(PaymentReader, sleep=lambda seconds: None))
    monkeypatch.setattr(connecting, "StripeReader", partial(StripeReader, sleep=lambda seconds: None))


@pytest.mark.usefixtures("without_pauses")
@pytest.mark.parametrize(
    ("shops", "steps"),
    [pytest.param(12, 20, id="some"), pytest.param(500, 40, id="many", marks=pytest.mark.nightly)],
)
def test_incremental_equals_full_resync(shops: int, steps: int) -> None:
    limits = examples(max_examples=shops, stateful_step_count=steps, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Sync, settings=limits)

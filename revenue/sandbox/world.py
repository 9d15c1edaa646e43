"""What can be done to the sandbox from Python, and what happens there by itself in time.

world = World()
account = world.add_account("Shop")
with world.at(last_tuesday):
    session = world.create_session(account, mode="payment", success_url=..., line_items=[...])
    world.pay(session["id"])
world.advance(30 * 86_400)
"""

from typing import Any

from revenue.sandbox import billing, customers, objects, payments, payouts, reversals, sessions
from revenue.sandbox.accounts import Account, Owner
from revenue.sandbox.errors import StripeError, missing
from revenue.sandbox.objects import StripeObject
from revenue.sandbox.state import State
from revenue.sandbox.truth import CurrencyTruth, Entry, balance, entries, problems, truth


class World(State):
    def create_session(self, account: Account, livemode: bool = False, **params: Any) -> StripeObject:
        """Open a checkout session; the parameters are those of Stripe's API."""
        return self.open_session(Owner(account.id, livemode), params)

    def open_session(self, owner: Owner, params: dict[str, Any]) -> StripeObject:
        """Open a checkout session with parameters from outside, whatever their names."""
        with self.lock, self._act(owner) as act:
            session = sessions.open_session(act, params)
            customer = session["customer"]
            if customer and not self.find(owner, "customer", customer):
                raise missing("customer", customer, "customer", 400)
        return objects.as_shown(session)

    def create_customer(self, owner: Owner, params: dict[str, Any]) -> StripeObject:
        """Make a customer, whom `create_session` may then name, with the parameters of Stripe's API."""
        with self.lock, self._act(owner) as act:
            return customers.create(act, params)

    def update_customer(self, customer_id: str, params: dict[str, Any]) -> StripeObject:
        with self.lock:
            customer = self._required(customer_id, "customer")
            with self._act(self._owners[customer_id]) as act:
                return customers.update(act, customer, params)

    def create_link(self, owner: Owner, params: dict[str, Any]) -> StripeObject:
        """Make a payment link; `follow_link` opens a session for each buyer who comes by it."""
        with self.lock, self._act(owner) as act:
            link = sessions.create_link(act, params)
        return objects.as_shown(link)

    def follow_link(self, link_id: str, **params: str) -> StripeObject:
        """`params` are what Stripe takes in the link's address: client_reference_id, prefilled_email."""
        with self.lock:
            link = self._required(link_id, "payment_link")
            with self._act(self._owners[link_id]) as act:
                session = sessions.follow_link(act, link, params)
            return objects.as_shown(session)

    def session(self, session_id: str) -> StripeObject:
        """The session with all that is kept with it, whoever asks: this is what the checkout page shows."""
        with self.lock:
            return self._required(session_id, "checkout.session")

    def pay(
        self,
        session_id: str,
        outcome: str = "pay",
        email: str | None = None,
        name: str = "Robin Example",
        method: str | None = None,
        after: int | None = None,
        presented_in: str | None = None,
    ) -> StripeObject:
        """Let the buyer pay with one of the session's methods; return the session afterwards.

        With outcome "decline" the method is refused at once. A delayed method is decided after its usual time, or
        `after` so many seconds: with "fail" it fails then. `presented_in` is the buyer's own currency, in which
        Stripe showed him the price.
        """
        with self.lock:
            session = self.session(session_id)
            if session["status"] != "open":
                raise StripeError(400, f"This Checkout Session is {session['status']}.", param="session")
            owner = self._owners[session_id]
            email = email or session["customer_email"] or "buyer@example.com"
            buyer = objects.person(email, name, self.accounts[owner.account_id].country)
            with self._act(owner) as act:
                if presented_in:
                    session = sessions.present(act, session, presented_in)
                sessions.complete(act, session, method or session["payment_method_types"][0], buyer, outcome, after)
            return objects.as_shown(self.session(session_id))

    def decide(self, intent_id: str, outcome: str) -> None:
        """Let a delayed payment succeed ("pay") or fail ("fail") now."""
        with self.lock:
            intent = self._required(intent_id, "payment_intent")
            with self._act(self._owners[intent_id]) as act:
                sessions.decided(act, payments.decide(act, intent, outcome))

    def expire(self, session_id: str) -> StripeObject:
        with self.lock:
            session = self.session(session_id)
            if session["status"] != "open":
                raise StripeError(
                    400,
                    'Only Checkout Sessions with a status in ["open"] can be expired. '
                    f"This Checkout Session has a status of `{session['status']}`.",
                    param="session",
                )
            with self._act(self._owners[session_id]) as act:
                expired = sessions.expire(act, session)
            return objects.as_shown(expired)

    def recover(self, session_id: str) -> StripeObject:
        """Let the buyer come back to an expired session, which was opened with `after_expiration`."""
        with self.lock:
            session = self.session(session_id)
            with self._act(self._owners[session_id]) as act:
                opened = sessions.recover(act, session)
            return objects.as_shown(opened)

    def capture(self, charge_id: str, amount: int | None = None, is_final: bool = True) -> StripeObject:
        """Take what is held, or a part of it. Return the charge."""
        with self.lock:
            charge = self._required(charge_id, "charge")
            with self._act(self._owners[charge_id]) as act:
                sessions.follow(act, payments.capture(act, charge, amount, is_final), is_delayed=False)
            return self.kept(charge_id)

    def release(self, charge_id: str) -> StripeObject:
        """Let go of what is held, as the merchant does who cancels the order. Return the charge."""
        with self.lock:
            charge = self._required(charge_id, "charge")
            with self._act(self._owners[charge_id]) as act:
                payments.release(act, charge, "requested_by_customer", None)
            return self.kept(charge_id)

    def fail_payment(self, charge_id: str) -> StripeObject:
        """Take back a payment that had succeeded. Return the charge."""
        with self.lock:
            charge = self._required(charge_id, "charge")
            with self._act(self._owners[charge_id]) as act:
                payments.fail_late(act, charge)
            return self.kept(charge_id)

    def refund(
        self,
        charge_id: str,
        amount: int | None = None,
        status: str = "succeeded",
        reason: str | None = None,
        metadata: dict[str, str] | None = None,
        then: tuple[int, str] | None = None,
    ) -> StripeObject:
        """Refund `amount`, or what is left of the charge.

        Status is succeeded, pending, requires_action, failed or canceled; `then` is after how many seconds it
        becomes which other one.
        """
        with self.lock:
            charge = self._required(charge_id, "charge")
            owner = self._owners[charge_id]
            first = status if status in ("succeeded", "requires_action") else "pending"
            with self._act(owner) as act:
                made = reversals.refund(act, charge, amount, first, reason, metadata or {})
                if status != first:
                    made = reversals.settle_refund(act, made, status)
                if then:
                    act.later(act.now + then[0], "settle_refund", made["id"], then[1])
            return made

    def refund_unused(self, account: Account, amount: int, currency: str, livemode: bool = False) -> StripeObject:
        """Send back money that a customer transferred without buying anything: the refund has no charge."""
        with self.lock, self._act(Owner(account.id, livemode)) as act:
            customer = act.put(objects.customer(None, None, {}, act.now, act.livemode))
            made = reversals.refund_unused(act, customer["id"], amount, currency)
        return made

    def settle_refund(self, refund_id: str, status: str) -> StripeObject:
        """Let a refund reach succeeded, failed or canceled. Also one that succeeded may fail later."""
        with self.lock:
            refund = self._required(refund_id, "refund")
            with self._act(self._owners[refund_id]) as act:
                return reversals.settle_refund(act, refund, status)

    def dispute(
        self,
        charge_id: str,
        amount: int | None = None,
        status: str = "needs_response",
        reason: str = "fraudulent",
        is_settled_currency: bool = False,
    ) -> StripeObject:
        """Dispute `amount`, or what is left of the charge.

        Only with status needs_response is the money taken: warning_needs_response is an inquiry, and prevented
        ends it before it begins.
        """
        with self.lock:
            charge = self._required(charge_id, "charge")
            with self._act(self._owners[charge_id]) as act:
                return reversals.dispute(act, charge, amount, status, reason, is_settled_currency)

    def escalate_dispute(self, dispute_id: str) -> StripeObject:
        """Let an inquiry become a chargeback."""
        with self.lock:
            dispute = self._required(dispute_id, "dispute")
            with self._act(self._owners[dispute_id]) as act:
                return reversals.escalate(act, dispute)

    def answer_dispute(self, dispute_id: str) -> StripeObject:
        with self.lock:
            dispute = self._required(dispute_id, "dispute")
            with self._act(self._owners[dispute_id]) as act:
                return reversals.answer(act, dispute)

    def close_dispute(
        self, dispute_id: str, won: bool = True, amount: int | None = None, is_fee_returned: bool = False
    ) -> StripeObject:
        """End a dispute; `amount` is what comes back of one that is won only in part."""
        with self.lock:
            dispute = self._required(dispute_id, "dispute")
            with self._act(self._owners[dispute_id]) as act:
                return reversals.close_dispute(act, dispute, won, amount, is_fee_returned)

    def set_renewals(self, subscription_id: str, outcome: str, after: int | None = None) -> None:
        """Choose how the following invoices go.

        "pay"; "decline"; "fail" for a delayed method that fails in the end, `after` so many seconds; or "wait",
        which leaves them open for `pay_invoice`.
        """
        with self.lock:
            subscription = self._required(subscription_id, "subscription")
            with self._act(self._owners[subscription_id]) as act:
                act.keep(subscription, renewals=outcome, after=after)

    def cancel_subscription(self, subscription_id: str, at_period_end: bool = False) -> StripeObject:
        with self.lock:
            subscription = self._required(subscription_id, "subscription")
            with self._act(self._owners[subscription_id]) as act:
                if not at_period_end:
                    return billing.cancel(act, subscription)
                act.change(subscription, cancel_at_period_end=True, cancel_at=billing.period_end(subscription))
            return self.kept(subscription_id)

    def pay_invoice(self, invoice_id: str, amount: int | None = None, method: str = "card") -> StripeObject:
        """Pay an open invoice, or a part of it, with a payment of its own."""
        with self.lock:
            invoice = self._required(invoice_id, "invoice")
            with self._act(self._owners[invoice_id]) as act:
                billing.pay_in_part(act, invoice, amount or invoice["amount_remaining"], method)
            return self.kept(invoice_id)

    def pay_invoice_off_stripe(self, invoice_id: str, amount: int | None = None) -> StripeObject:
        """Mark an open invoice as paid by money that never came to Stripe."""
        with self.lock:
            invoice = self._required(invoice_id, "invoice")
            with self._act(self._owners[invoice_id]) as act:
                billing.pay_off_stripe(act, invoice, amount or invoice["amount_remaining"])
            return self.kept(invoice_id)

    def credit_customer(self, customer_id: str, amount: int) -> None:
        """Give a customer credit, which the next invoices use up before anything is charged."""
        with self.lock:
            customer = self._required(customer_id, "customer")
            with self._act(self._owners[customer_id]) as act:
                act.change(customer, balance=customer["balance"] - amount)

    def pay_out(
        self, account: Account, amount: int | None = None, outcome: str = "pay", livemode: bool = False
    ) -> StripeObject:
        """Send what is available to the merchant's bank, as Stripe does each day, or an `amount` by hand.

        With outcome "fail" the bank sends it back two days later.
        """
        owner = Owner(account.id, livemode)
        with self.lock:
            self.run_due()
            holdings = self._holdings[owner]
            if amount is None:
                ready = [
                    transaction
                    for transaction in holdings.all("balance_transaction")
                    if transaction["available_on"] <= self.now() and "payout" not in transaction.get("_", {})
                ]
                amount = sum(transaction["net"] for transaction in ready)
            else:
                ready = None
            with self._act(owner) as act:
                return payouts.pay_out(act, amount, ready, outcome)

    def enter(
        self, account: Account, type: str, amount: int, category: str = "other_adjustment", livemode: bool = False
    ) -> StripeObject:
        """Add a balance transaction of any type, also one that nobody has heard of, that belongs to no sale."""
        with self.lock, self._act(Owner(account.id, livemode)) as act:
            return payouts.enter(act, type, category, amount, "An entry of Stripe's own")

    def truth(self, account: Account, livemode: bool = False) -> dict[str, CurrencyTruth]:
        """Per currency what really moved, hidden objects included."""
        with self.lock:
            self.run_due()
            return truth(self._holdings[Owner(account.id, livemode)])

    def books(self, account: Account, livemode: bool = False) -> list[Entry]:
        """Each movement that really was, oldest first."""
        with self.lock:
            self.run_due()
            return entries(self._holdings[Owner(account.id, livemode)])

    def balance(self, owner: Owner) -> StripeObject:
        with self.lock:
            self.run_due()
            holdings = self._holdings[owner]
            total = balance(holdings)
            pending = dict.fromkeys(total, 0)
            for transaction in holdings.all("balance_transaction"):
                if self.now() < transaction["available_on"]:
                    pending[transaction["currency"]] += transaction["net"]
            available = {currency: amount - pending[currency] for currency, amount in total.items()}
            return objects.balance(available, pending, owner.livemode)

    def check(self, account: Account, livemode: bool = False) -> None:
        """Raise AssertionError unless objects, balance transactions and the sandbox's own books agree."""
        with self.lock:
            self.run_due()
            found = problems(self._holdings[Owner(account.id, livemode)])
        if found:
            raise AssertionError("; ".join(found))

"""Subscriptions: begun in a checkout, renewed period after period, and how each invoice is paid."""

from typing import Any

from revenue.sandbox import objects, payments
from revenue.sandbox.act import Act
from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import DAY, StripeObject

# A renewal's invoice is a draft for an hour; a refused payment is tried again three times, then given up.
_DRAFT_FOR = 3600
_RETRY_AFTER = 3 * DAY
_MOST_ATTEMPTS = 4


def customer_of(act: Act, session: StripeObject, buyer: StripeObject) -> StripeObject:
    if session["customer"]:
        return act.get(session["customer"])
    customer = act.put(objects.customer(buyer["email"], buyer["name"], {}, act.now, act.livemode))
    act.event("customer.created", customer)
    return customer


def finish(act: Act, session: StripeObject, buyer: StripeObject, payment_status: str, **fields: Any) -> None:
    done = act.change(
        session, status="complete", url=None, customer_details=buyer, payment_status=payment_status, **fields
    )
    act.event("checkout.session.completed", done)


def subscribe(
    act: Act, session: StripeObject, method: str, buyer: StripeObject, outcome: str, after: int | None
) -> None:
    """Begin the subscription of a session; with outcome "decline", only the first attempt to pay for it."""
    due = session["amount_total"]
    intent = _first_intent(act, session) if due else None
    session = act.get(session["id"])
    if outcome == "decline":
        if intent:
            payments.decline(act, intent, method, buyer)
        return
    customer = customer_of(act, session, buyer)
    subscription = _begin(act, session, customer, method, buyer)
    invoice = _first_invoice(act, session, subscription, customer)
    subscription = act.change(subscription, latest_invoice=invoice["id"])
    status = "no_payment_required"
    if intent:
        invoice = act.change(invoice, attempt_count=1, attempted=True)
        intent = act.keep(act.change(intent, customer=customer["id"]), invoice=invoice["id"])
        intent = _ask_for(act, invoice, intent, due)
        intent = payments.confirm(act, intent, method, buyer, outcome, after)
        status = "paid" if intent["status"] == "succeeded" else "unpaid"
        if status == "paid":
            follow(act, intent)
        else:
            _activate(act, invoice)
    begun = {"customer": customer["id"], "subscription": subscription["id"], "invoice": invoice["id"]}
    finish(act, session, buyer, status, **begun)


def _first_intent(act: Act, session: StripeObject) -> StripeObject:
    """The intent of a session's first payment: the same one for another card."""
    if tried := session["_"].get("intent"):
        return act.get(tried)
    intent = payments.new_intent(
        act,
        session["amount_total"],
        session["currency"],
        session["customer"],
        session["payment_method_types"],
        {"description": "Subscription creation", "setup_future_usage": "off_session"},
        session=session["id"],
    )
    act.keep(session, intent=intent["id"])
    return payments.presented(act, intent, session)


def _begin(act: Act, session: StripeObject, customer: StripeObject, method: str, buyer: StripeObject) -> StripeObject:
    data = session["_"].get("subscription_data", {})
    trial = data.get("trial_period_days")
    items = [item for item in session["_"]["line_items"]["data"] if item["price"]["recurring"]]
    subscription = act.put(
        objects.subscription(
            items,
            customer["id"],
            data.get("metadata", {}),
            data.get("description"),
            act.now + trial * DAY if trial else None,
            act.now,
            act.livemode,
            {"method": method, "buyer": buyer, "renewals": "pay", "after": None},
        )
    )
    if details := session.get("presentment_details"):
        shown = {"presentment_currency": details["presentment_currency"]}
        subscription = act.change(subscription, presentment_details=shown)
    if not session["amount_total"] and not trial:
        subscription = act.change(subscription, status="active")
    act.event("customer.subscription.created", subscription)
    act.later(period_end(subscription), "renew", subscription["id"], period_end(subscription))
    return subscription


def period_end(subscription: StripeObject) -> int:
    return int(subscription["items"]["data"][0]["current_period_end"])


def _first_invoice(act: Act, session: StripeObject, subscription: StripeObject, customer: StripeObject) -> StripeObject:
    period = (act.now, period_end(subscription))
    is_trial = subscription["trial_end"] is not None
    lines = [
        objects.invoice_line(
            item,
            subscription["id"],
            0 if is_trial and item["price"]["recurring"] else item["amount_total"],
            period,
            act.livemode,
        )
        for item in session["_"]["line_items"]["data"]
    ]
    invoice = objects.invoice(subscription, customer, lines, "subscription_create", (act.now, act.now), act.now)
    act.event("invoice.created", act.put(invoice))
    return finalize(act, invoice, is_collected=False)


def renew(act: Act, subscription: StripeObject, due_at: int) -> None:
    """Begin the next period, unless it has begun already or there is none."""
    if subscription["status"] not in ("active", "past_due", "trialing") or period_end(subscription) != due_at:
        return
    if subscription["cancel_at_period_end"]:
        cancel(act, subscription)
        return
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    end = objects.after(due_at, recurring, subscription["billing_cycle_anchor"])
    items = [
        {**item, "current_period_start": due_at, "current_period_end": end} for item in subscription["items"]["data"]
    ]
    customer = act.get(subscription["customer"])
    lines = [
        objects.invoice_line(
            item, subscription["id"], item["price"]["unit_amount"] * item["quantity"], (due_at, end), act.livemode
        )
        for item in items
    ]
    began = subscription["items"]["data"][0]["current_period_start"]
    invoice = act.put(objects.invoice(subscription, customer, lines, "subscription_cycle", (began, due_at), act.now))
    act.event("invoice.created", invoice)
    renewed = act.change(
        subscription,
        items={**subscription["items"], "data": items},
        latest_invoice=invoice["id"],
        status="active" if subscription["status"] == "trialing" else subscription["status"],
    )
    act.event("customer.subscription.updated", renewed)
    act.later(act.now + _DRAFT_FOR, "finalize", invoice["id"])
    act.later(end, "renew", subscription["id"], end)


def finalize(act: Act, invoice: StripeObject, is_collected: bool = True) -> StripeObject:
    """Make a draft final, and take its payment unless somebody else does."""
    if invoice["status"] != "draft":
        return invoice
    customer = act.get(invoice["customer"])
    used = invoice["amount_due"] - invoice["total"]
    if used:
        act.change(customer, balance=customer["balance"] - used)
    invoice = act.change(
        invoice,
        automatically_finalizes_at=None,
        effective_at=act.now,
        ending_balance=invoice["starting_balance"] - used,
        number=f"{customer['invoice_prefix']}-{invoice['id'][-4:]}",
        status="open",
        status_transitions={**invoice["status_transitions"], "finalized_at": act.now},
    )
    act.event("invoice.finalized", invoice)
    if not invoice["amount_due"]:
        return _settle(act, invoice)
    if is_collected:
        collect(act, invoice, 0)
    return act.get(invoice["id"])


def collect(act: Act, invoice: StripeObject, attempts: int) -> None:
    """Try to take the payment of an open invoice with the subscription's method."""
    subscription = act.get(_subscription_id(invoice))
    kept = subscription["_"]
    is_due = invoice["status"] == "open" and invoice["attempt_count"] == attempts
    if not is_due or kept["renewals"] == "wait" or subscription["status"] == "canceled":
        return
    intent = _intent_of(act, invoice, invoice["amount_remaining"])
    invoice = act.change(act.get(invoice["id"]), attempt_count=attempts + 1, attempted=True, next_payment_attempt=None)
    if kept["renewals"] == "decline":
        payments.decline(act, intent, kept["method"], kept["buyer"])
        _refused(act, invoice)
        return
    intent = payments.confirm(act, intent, kept["method"], kept["buyer"], kept["renewals"], kept["after"])
    if intent["status"] == "succeeded":
        follow(act, intent)


def _subscription_id(invoice: StripeObject) -> str:
    return str(invoice["parent"]["subscription_details"]["subscription"])


def _intent_of(act: Act, invoice: StripeObject, amount: int) -> StripeObject:
    """The intent that pays the invoice: the same one however often it is tried."""
    tried = invoice.get("_", {}).get("intent")
    if tried:
        return act.get(tried)
    subscription = act.get(_subscription_id(invoice))
    method = subscription["_"]["method"]
    data = {"description": "Subscription update"}
    intent = payments.new_intent(
        act, amount, invoice["currency"], invoice["customer"], [method], data, invoice=invoice["id"]
    )
    intent = payments.presented(act, intent, subscription)
    return _ask_for(act, invoice, intent, amount)


def _ask_for(act: Act, invoice: StripeObject, intent: StripeObject, amount: int) -> StripeObject:
    payment = {"payment_intent": intent["id"], "type": "payment_intent"}
    asked = act.put(objects.invoice_payment(invoice, payment, amount, True, act.now))
    act.keep(invoice, intent=intent["id"])
    return act.keep(intent, invoice_payment=asked["id"])


def follow(act: Act, intent: StripeObject) -> None:
    """Tell the intent's invoice, if it pays one, how its payment ended."""
    invoice_id = intent["_"].get("invoice")
    if not invoice_id:
        return
    asked = act.get(intent["_"]["invoice_payment"])
    invoice = act.get(invoice_id)
    if intent["status"] == "succeeded":
        _paid_part(act, invoice, asked, intent["amount_received"])
    elif intent["status"] == "requires_payment_method" and invoice["status"] == "open":
        _refused(act, invoice)


def _paid_part(act: Act, invoice: StripeObject, asked: StripeObject, amount: int) -> None:
    paid = act.change(
        asked,
        amount_paid=amount,
        status="paid",
        status_transitions={**asked["status_transitions"], "paid_at": act.now},
    )
    act.event("invoice_payment.paid", paid)
    total = invoice["amount_paid"] + amount
    invoice = act.change(invoice, amount_paid=total, amount_remaining=invoice["amount_due"] - total)
    if not invoice["amount_remaining"]:
        _settle(act, invoice)


def _settle(act: Act, invoice: StripeObject) -> StripeObject:
    invoice = act.change(
        invoice,
        attempted=True,
        next_payment_attempt=None,
        status="paid",
        status_transitions={**invoice["status_transitions"], "paid_at": act.now},
    )
    # In one second, in no order to rely on.
    act.event("invoice.paid", invoice)
    act.event("invoice.payment_succeeded", invoice)
    _activate(act, invoice)
    return invoice


def _activate(act: Act, invoice: StripeObject) -> None:
    subscription = act.get(_subscription_id(invoice))
    if subscription["status"] in ("incomplete", "past_due"):
        act.event("customer.subscription.updated", act.change(subscription, status="active"))


def _refused(act: Act, invoice: StripeObject) -> None:
    attempts = invoice["attempt_count"]
    if attempts >= _MOST_ATTEMPTS:
        invoice = act.change(
            invoice,
            auto_advance=False,
            status="uncollectible",
            status_transitions={**invoice["status_transitions"], "marked_uncollectible_at": act.now},
        )
        act.event("invoice.marked_uncollectible", invoice)
        cancel(act, act.get(_subscription_id(invoice)))
        return
    again = act.now + _RETRY_AFTER
    act.event("invoice.payment_failed", act.change(invoice, next_payment_attempt=again))
    act.later(again, "collect", invoice["id"], attempts)
    subscription = act.get(_subscription_id(invoice))
    if subscription["status"] == "active":
        act.event("customer.subscription.updated", act.change(subscription, status="past_due"))


def pay_in_part(act: Act, invoice: StripeObject, amount: int, method: str) -> None:
    """Pay some of an open invoice with a payment of its own."""
    _require_open(invoice, amount)
    subscription = act.get(_subscription_id(invoice))
    intent = payments.new_intent(
        act, amount, invoice["currency"], invoice["customer"], [method], {}, invoice=invoice["id"]
    )
    intent = payments.presented(act, intent, subscription)
    payment = {"payment_intent": intent["id"], "type": "payment_intent"}
    asked = act.put(objects.invoice_payment(invoice, payment, amount, False, act.now))
    intent = act.keep(intent, invoice_payment=asked["id"])
    intent = payments.confirm(act, intent, method, subscription["_"]["buyer"], "pay", None)
    if intent["status"] == "succeeded":
        follow(act, intent)


def pay_off_stripe(act: Act, invoice: StripeObject, amount: int) -> None:
    """The merchant says that the money came another way: Stripe records it, and its balance does not move."""
    _require_open(invoice, amount)
    payment = {"payment_record": objects.identifier("pr_1"), "type": "payment_record"}
    asked = act.put(objects.invoice_payment(invoice, payment, amount, False, act.now))
    _paid_part(act, invoice, asked, amount)


def _require_open(invoice: StripeObject, amount: int) -> None:
    if invoice["status"] != "open" or not 0 < amount <= invoice["amount_remaining"]:
        raise StripeError(400, f"Invoice {invoice['id']} cannot be paid like that.", param="invoice")


def cancel(act: Act, subscription: StripeObject) -> StripeObject:
    if subscription["status"] == "canceled":
        raise StripeError(404, f"No such subscription: '{subscription['id']}'", code="resource_missing", param="id")
    canceled = act.change(subscription, status="canceled", canceled_at=act.now, ended_at=act.now)
    act.event("customer.subscription.deleted", canceled)
    return canceled

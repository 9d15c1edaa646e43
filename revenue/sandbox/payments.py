"""How a payment goes: confirmed, declined, captured, decided days later, taken back after all."""

from typing import Any

from revenue.sandbox import objects
from revenue.sandbox.act import Act
from revenue.sandbox.currencies import processing_fee, settle
from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import DAY, StripeObject
from revenue.sandbox.objects.methods import METHODS, Course

# How long an authorisation holds.
AUTHORIZED_FOR = 7 * DAY


def new_intent(
    act: Act, amount: int, currency: str, customer: str | None, methods: list[str], params: StripeObject, **kept: Any
) -> StripeObject:
    """`kept` names the session or invoice that is to learn how the payment ends."""
    intent = act.put(objects.payment_intent(amount, currency, customer, methods, params, kept, act.now, act.livemode))
    act.event("payment_intent.created", intent)
    return intent


def presented(act: Act, item: StripeObject, origin: StripeObject) -> StripeObject:
    """Tell with a payment, if its origin does, in which currency the buyer saw the price."""
    if "presentment_details" not in origin:
        return item
    currency = origin["presentment_details"]["presentment_currency"]
    shown, _ = settle(item["amount"], item["currency"], currency)
    return act.change(item, presentment_details={"presentment_amount": shown, "presentment_currency": currency})


def confirm(
    act: Act, intent: StripeObject, method: str, buyer: StripeObject, outcome: str, after: int | None
) -> StripeObject:
    """Let the buyer confirm with a method. `outcome` is how a delayed one is decided, `after` some seconds."""
    way = METHODS[method]
    intent = act.change(intent, payment_method=objects.identifier("pm_1"), last_payment_error=None)
    intent = act.keep(intent, method=method, buyer=buyer)
    if way.course is Course.NOW:
        return _authorize(act, intent) if intent["capture_method"] == "manual" else _succeed(act, intent)
    intent = _await_bank(act, intent) if way.course is Course.DEBIT else _await_buyer(act, intent)
    act.later(act.now + (way.decided_after if after is None else after), "decide", intent["id"], outcome)
    return intent


def decline(act: Act, intent: StripeObject, method: str, buyer: StripeObject) -> StripeObject:
    """The method is refused: a failed charge, and an intent that waits for another one."""
    intent = act.change(intent, payment_method=objects.identifier("pm_1"))
    attempt = objects.charge(intent, buyer, method, act.now)
    outcome = {
        **attempt["outcome"],
        "network_decline_code": "01",
        "network_status": "declined_by_network",
        "reason": "generic_decline",
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }
    charge = _failed(act, attempt, "card_declined", captured=False, amount_captured=0, outcome=outcome)
    return _unpaid(act, intent, charge, "card_declined")


def _failed(act: Act, charge: StripeObject, code: str, **fields: Any) -> StripeObject:
    message = {"card_declined": "Your card was declined."}.get(code, "The payment failed.")
    failed = act.change(charge, failure_code=code, failure_message=message, paid=False, status="failed", **fields)
    act.event("charge.failed", failed)
    return failed


def _unpaid(act: Act, intent: StripeObject, charge: StripeObject | None, code: str) -> StripeObject:
    """Back to the start: the buyer may try again."""
    error = {
        "code": code,
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
        "message": charge["failure_message"] if charge else "The payment failed.",
        "type": "card_error" if code == "card_declined" else "invalid_request_error",
    }
    if charge:
        error |= {"charge": charge["id"], "decline_code": "generic_decline"}
    failed = act.change(
        intent,
        last_payment_error=error,
        latest_charge=charge["id"] if charge else intent["latest_charge"],
        next_action=None,
        payment_method=None,
        status="requires_payment_method",
    )
    act.event("payment_intent.payment_failed", failed)
    return failed


def _new_charge(act: Act, intent: StripeObject, **fields: Any) -> StripeObject:
    kept = intent["_"]
    charge = act.change(objects.charge(intent, kept["buyer"], kept["method"], act.now), **fields)
    return presented(act, charge, intent)


def _succeed(act: Act, intent: StripeObject) -> StripeObject:
    charge = _new_charge(act, intent)
    if act.booked_after:
        _post_gross(act, charge, charge["amount"])
        act.later(act.now + act.booked_after, "book", charge["id"])
    else:
        charge = book(act, charge)
    act.event("charge.succeeded", charge)
    return _paid(act, intent, charge)


def _paid(act: Act, intent: StripeObject, charge: StripeObject) -> StripeObject:
    paid = act.change(
        intent,
        amount_capturable=0,
        amount_received=charge["amount_captured"],
        latest_charge=charge["id"],
        next_action=None,
        status="succeeded",
    )
    act.event("payment_intent.succeeded", paid)
    return paid


def book(act: Act, charge: StripeObject) -> StripeObject:
    """Record a captured charge on the balance."""
    transaction = _book_sale(act, charge, charge["amount_captured"])
    _post_gross(act, charge, charge["amount_captured"], transaction)
    return act.change(charge, balance_transaction=transaction["id"])


def _book_sale(act: Act, charge: StripeObject, amount: int, fee: int | None = None) -> StripeObject:
    if fee is None:
        fee = processing_fee(act.settled(amount, charge["currency"]))
    return act.book(charge, _sale_type(charge), "charge", amount, fee=fee)


def _sale_type(charge: StripeObject) -> str:
    return "charge" if charge["id"].startswith("ch_") else "payment"


def _post_gross(
    act: Act, charge: StripeObject, amount: int, transaction: StripeObject | None = None, part: str = "all"
) -> None:
    moved = act.settled(amount, charge["currency"]) if transaction else 0
    act.post(
        f"{charge['id']}:gross:{part}",
        "gross",
        charge["id"],
        amount,
        charge["currency"],
        moved=moved,
        fee=transaction["fee"] if transaction else 0,
        transaction=transaction["id"] if transaction else None,
    )


def book_late(act: Act, charge: StripeObject) -> None:
    if charge["balance_transaction"] is None:
        act.event("charge.updated", book(act, charge))


def _authorize(act: Act, intent: StripeObject) -> StripeObject:
    """The buyer's bank holds the amount; nothing is taken yet."""
    charge = _new_charge(act, intent, amount_captured=0, captured=False)
    act.event("charge.succeeded", charge)
    held = act.change(intent, amount_capturable=intent["amount"], latest_charge=charge["id"], status="requires_capture")
    act.event("payment_intent.amount_capturable_updated", held)
    act.later(act.now + AUTHORIZED_FOR, "lapse", charge["id"])
    return held


def capture(act: Act, charge: StripeObject, amount: int | None, is_final: bool) -> StripeObject:
    """Take what is held, or a part of it; with the final capture the rest is let go. Return the intent."""
    intent = act.get(charge["payment_intent"])
    held = intent["amount_capturable"]
    wanted = held if amount is None else amount
    if intent["status"] != "requires_capture":
        raise not_capturable(intent)
    if not 0 < wanted <= held:
        raise StripeError(
            400,
            "The amount to capture must be no more than what can be captured.",
            code="amount_too_large",
            param="amount_to_capture",
        )
    before = charge["amount_captured"]
    rest = held - wanted
    is_over = is_final or not rest
    # Stripe books all that was held and takes the rest back at once, but for one of several captures.
    is_reversed = is_over and rest and not before
    booked = held if is_reversed else wanted
    fee = processing_fee(act.settled(wanted, charge["currency"]))
    transaction = _book_sale(act, charge, booked, fee)
    _post_gross(act, charge, booked, transaction, part=str(before))
    # Further captures have balance transactions of their own, which the charge does not name.
    charge = act.change(
        charge,
        amount_captured=before + wanted,
        balance_transaction=charge["balance_transaction"] or transaction["id"],
        captured=True,
    )
    if not is_over:
        act.event("charge.captured" if not before else "charge.updated", charge)
        return act.change(intent, amount_capturable=rest, amount_received=charge["amount_captured"])
    if rest:
        charge = _let_go(act, charge, rest, None, is_reversed)
    act.event("charge.captured" if not before else "charge.updated", charge)
    return _paid(act, intent, charge)


def not_capturable(intent: StripeObject) -> StripeError:
    return StripeError(
        400,
        f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a "
        "PaymentIntent with one of the following statuses may be captured: requires_capture.",
        code="payment_intent_unexpected_state",
    )


def lapse(act: Act, charge: StripeObject) -> None:
    """The bank lets go of what was never captured."""
    intent = act.get(charge["payment_intent"])
    if intent["status"] == "requires_capture":
        release(act, charge, "automatic", "expired_uncaptured_charge")


def release(act: Act, charge: StripeObject, cause: str, reason: str | None) -> StripeObject:
    intent = act.get(charge["payment_intent"])
    held = intent["amount_capturable"]
    charge = _let_go(act, charge, held, reason)
    if reason:
        act.event("charge.expired", charge)
    # What was captured in parts has been paid.
    if charge["amount_captured"]:
        return _paid(act, intent, charge)
    canceled = act.change(
        intent, amount_capturable=0, canceled_at=act.now, cancellation_reason=cause, status="canceled"
    )
    act.event("payment_intent.canceled", canceled)
    return canceled


def _let_go(act: Act, charge: StripeObject, amount: int, reason: str | None, is_reversed: bool = False) -> StripeObject:
    """A refund of what was never taken: it has no balance transaction unless it was booked with the rest."""
    made = act.put(objects.refund(charge, amount, "succeeded", reason, {}, act.now))
    if is_reversed:
        transaction = act.book(made, "refund", "partial_capture_reversal", -amount)
        _post_gross(act, charge, -amount, transaction, part="reversed")
        made = act.change(made, balance_transaction=transaction["id"])
    total = charge["amount_refunded"] + amount
    charge = act.change(charge, amount_refunded=total, refunded=total == charge["amount"])
    charge = act.keep(charge, released=amount)
    act.event("refund.created", made)
    act.event("charge.refunded", charge)
    return charge


def _await_bank(act: Act, intent: StripeObject) -> StripeObject:
    """A debit is on the balance at once, although the bank may still refuse it for days."""
    charge = _new_charge(act, intent, paid=False, status="pending")
    transaction = _book_sale(act, charge, charge["amount"])
    moved = act.settled(charge["amount"], charge["currency"])
    act.post(
        f"{charge['id']}:debit",
        "pending",
        charge["id"],
        0,
        charge["currency"],
        moved=moved,
        fee=processing_fee(moved),
        transaction=transaction["id"],
    )
    charge = act.change(charge, balance_transaction=transaction["id"])
    act.event("charge.pending", charge)
    started = act.change(intent, latest_charge=charge["id"], status="processing")
    act.event("payment_intent.processing", started)
    return started


def _await_buyer(act: Act, intent: StripeObject) -> StripeObject:
    method = intent["_"]["method"]
    waiting = act.change(intent, next_action={"type": f"{method}_display_details"}, status="requires_action")
    act.event("payment_intent.requires_action", waiting)
    return waiting


def decide(act: Act, intent: StripeObject, outcome: str) -> StripeObject | None:
    """The bank answers, or the voucher was paid or ran out; None if that was known already."""
    if intent["status"] not in ("processing", "requires_action"):
        return None
    if intent["status"] == "requires_action":
        return _succeed(act, intent) if outcome == "pay" else _unpaid(act, intent, None, "payment_method_expired")
    charge = act.get(intent["latest_charge"])
    if outcome != "pay":
        charge = _take_back(act, charge, "pending", 0)
        return _unpaid(act, intent, charge, "debit_not_authorized")
    charge = act.change(charge, paid=True, status="succeeded")
    act.post(
        f"{charge['id']}:gross:all",
        "gross",
        charge["id"],
        charge["amount"],
        charge["currency"],
        moved=0,
        transaction=charge["balance_transaction"],
        at=charge["created"],
    )
    act.event("charge.succeeded", charge)
    return _paid(act, intent, charge)


def fail_late(act: Act, charge: StripeObject) -> StripeObject:
    """A payment that had succeeded is taken back by the bank. Return the intent."""
    if charge["status"] != "succeeded" or charge["failure_balance_transaction"] or charge["amount_refunded"]:
        raise StripeError(400, f"Charge {charge['id']} cannot fail any more.", param="charge")
    charge = _take_back(act, charge, "gross", -charge["amount_captured"])
    return _unpaid(act, act.get(charge["payment_intent"]), charge, "debit_not_authorized")


def _take_back(act: Act, charge: StripeObject, kind: str, sales: int) -> StripeObject:
    amount = charge["amount_captured"]
    returned = act.book(charge, "payment_failure_refund", "charge_failure", -amount)
    act.post(
        f"{charge['id']}:failure",
        kind,
        charge["id"],
        sales,
        charge["currency"],
        moved=act.settled(-amount, charge["currency"]),
        transaction=returned["id"],
    )
    return _failed(act, charge, "debit_not_authorized", failure_balance_transaction=returned["id"])

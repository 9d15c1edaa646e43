"""Money that goes back: refunds the merchant gives, and disputes the buyer's bank opens."""

from collections.abc import Mapping

from revenue.sandbox import objects
from revenue.sandbox.act import Act
from revenue.sandbox.currencies import DISPUTE_FEE, display, settle
from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import StripeObject

# What a refund can become. Also one that succeeded may come back weeks later.
_NEXT: Mapping[str, tuple[str, ...]] = {
    "requires_action": ("pending", "succeeded", "canceled", "failed"),
    "pending": ("succeeded", "failed", "canceled"),
    "succeeded": ("failed",),
}


def refund(
    act: Act,
    charge: StripeObject,
    amount: int | None,
    status: str,
    reason: str | None,
    metadata: dict[str, str],
) -> StripeObject:
    """Send money back, all that is left when no amount is given.

    It leaves the balance at once, also while the refund is pending, but not while it waits for the buyer's
    bank details.
    """
    left = refundable(charge)
    if charge["status"] != "succeeded":
        raise StripeError(400, f"This charge ({charge['id']}) has not been paid and cannot be refunded.")
    if charge["disputed"]:
        raise StripeError(
            400,
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    if not left:
        raise StripeError(400, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    wanted = left if amount is None else amount
    if not 0 < wanted <= left:
        asked, rest = display(wanted, charge["currency"]), display(left, charge["currency"])
        raise StripeError(
            400,
            f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})",
            param="amount",
        )
    made = act.put(objects.refund(charge, wanted, status, reason, metadata, act.now))
    if details := charge.get("presentment_details"):
        shown, _ = settle(wanted, charge["currency"], details["presentment_currency"])
        made = act.change(made, presentment_details={**details, "presentment_amount": shown})
    if status != "requires_action":
        made = _send(act, made)
    charged = _add_refunded(act, charge, wanted)
    act.event("refund.created", made)
    act.event("charge.refunded", charged)
    return made


def refundable(charge: StripeObject) -> int:
    """What was captured and not yet given back."""
    given_back = charge["amount_refunded"] - charge.get("_", {}).get("released", 0)
    return int(charge["amount_captured"] - given_back)


def refund_unused(act: Act, customer: str, amount: int, currency: str) -> StripeObject:
    """Send back what a customer had transferred without buying anything: no charge belongs to it."""
    made = _send(act, act.put(objects.refund_without_charge(customer, amount, currency, act.now)))
    act.event("refund.created", made)
    return made


def _send(act: Act, made: StripeObject) -> StripeObject:
    type = "payment_refund" if made["id"].startswith("pyr_") else "refund"
    transaction = act.book(made, type, "refund", -made["amount"])
    _post(act, made, "sent", -made["amount"], transaction)
    return act.change(made, balance_transaction=transaction["id"])


def _post(act: Act, made: StripeObject, part: str, amount: int, transaction: StripeObject) -> None:
    act.post(
        f"{made['id']}:{part}",
        "refunded",
        made["charge"],
        amount,
        made["currency"],
        moved=act.settled(amount, made["currency"]),
        transaction=transaction["id"],
    )


def can_become(made: StripeObject, status: str) -> bool:
    return status in _NEXT.get(made["status"], ())


def settle_refund(act: Act, made: StripeObject, status: str) -> StripeObject:
    if not can_become(made, status):
        raise StripeError(400, f"This refund has already {made['status']}.", param="refund")
    had_left = made["balance_transaction"] is not None
    made = act.change(made, status=status)
    if status in ("failed", "canceled"):
        made = _return(act, made, had_left)
    elif not had_left:
        made = _send(act, made)
    act.event("refund.updated", made)
    if status == "failed":
        act.event("refund.failed", made)
    act.event("charge.refund.updated", made)
    return made


def _return(act: Act, made: StripeObject, had_left: bool) -> StripeObject:
    """The refund never was: what it took is given back to the balance, and to what can be refunded."""
    if had_left:
        returned = act.book(made, "refund_failure", "refund_failure", made["amount"])
        _post(act, made, "returned", made["amount"], returned)
        made = act.change(made, failure_balance_transaction=returned["id"])
    if made["status"] == "failed":
        made = act.change(made, failure_reason="expired_or_canceled_card")
    if made["charge"]:
        act.event("charge.updated", _add_refunded(act, act.get(made["charge"]), -made["amount"]))
    return made


def _add_refunded(act: Act, charge: StripeObject, amount: int) -> StripeObject:
    total = charge["amount_refunded"] + amount
    return act.change(charge, amount_refunded=total, refunded=total == charge["amount"])


def dispute(
    act: Act, charge: StripeObject, amount: int | None, status: str, reason: str, is_settled_currency: bool
) -> StripeObject:
    """Let the buyer's bank ask for money back. An inquiry, and what was prevented, move none.

    With `is_settled_currency`, the dispute is in the currency the account is paid in, not in the charge's.
    """
    left = refundable(charge)
    wanted = left if amount is None else amount
    if charge["disputed"] or not 0 < wanted <= left:
        raise StripeError(400, f"Charge {charge['id']} cannot be disputed for this amount.", param="amount")
    currency = charge["currency"]
    if is_settled_currency:
        wanted, currency = act.settled(wanted, currency), act.account.default_currency
    opened = act.put(objects.dispute(charge, wanted, currency, status, reason, act.now))
    act.event("charge.dispute.created", opened)
    return _withdraw(act, opened) if status == "needs_response" else opened


def escalate(act: Act, opened: StripeObject) -> StripeObject:
    """An inquiry that was not answered well becomes a chargeback."""
    if opened["status"] not in ("warning_needs_response", "warning_under_review"):
        raise StripeError(400, f"This dispute ({opened['id']}) is no inquiry.", param="dispute")
    opened = act.change(opened, status="needs_response", is_charge_refundable=False)
    act.event("charge.dispute.updated", opened)
    return _withdraw(act, opened)


def _withdraw(act: Act, opened: StripeObject) -> StripeObject:
    withdrawn = act.book(
        opened,
        "adjustment",
        "dispute",
        -opened["amount"],
        fee=DISPUTE_FEE,
        fee_description="Dispute fee",
        description=f"Chargeback withdrawal for {opened['charge']}",
    )
    _post_dispute(act, opened, withdrawn, DISPUTE_FEE)
    opened = act.change(opened, balance_transactions=[withdrawn])
    act.change(act.get(opened["charge"]), disputed=True)
    act.event("charge.dispute.funds_withdrawn", opened)
    return opened


def _post_dispute(act: Act, dispute: StripeObject, transaction: StripeObject, fee: int) -> None:
    act.post(
        f"{dispute['id']}:{len(dispute['balance_transactions'])}",
        "disputed",
        dispute["charge"],
        # What a bank takes, it takes in the currency the account is paid in.
        transaction["amount"],
        transaction["currency"],
        moved=transaction["amount"],
        fee=fee,
        transaction=transaction["id"],
    )


def answer(act: Act, opened: StripeObject) -> StripeObject:
    """The merchant hands in evidence; the bank looks at it."""
    following = {"needs_response": "under_review", "warning_needs_response": "warning_under_review"}
    if opened["status"] not in following:
        raise StripeError(400, f"This dispute ({opened['id']}) cannot be answered.", param="dispute")
    details = {**opened["evidence_details"], "has_evidence": True, "submission_count": 1}
    opened = act.change(opened, evidence_details=details, status=following[opened["status"]])
    act.event("charge.dispute.updated", opened)
    return opened


def close_dispute(act: Act, opened: StripeObject, won: bool, amount: int | None, is_fee_returned: bool) -> StripeObject:
    """Let the bank decide. `amount` is what comes back of a dispute won in part."""
    if opened["status"] in ("won", "lost", "warning_closed", "prevented"):
        raise StripeError(400, f"This dispute ({opened['id']}) is already closed.", param="dispute")
    if opened["status"].startswith("warning_"):
        closed = act.change(opened, status="warning_closed")
        act.event("charge.dispute.closed", closed)
        return closed
    if not won:
        closed = act.change(opened, status="lost")
        act.event("charge.dispute.closed", closed)
        return closed
    returned = opened["amount"] if amount is None else amount
    if not 0 < returned <= opened["amount"]:
        raise StripeError(400, "No more comes back than was disputed.", param="amount")
    fee = -DISPUTE_FEE if is_fee_returned else 0
    reinstated = act.book(
        opened,
        "adjustment",
        "dispute_reversal",
        returned,
        fee=fee,
        fee_description="Dispute fee refund",
        description=f"Chargeback reversal for {opened['charge']}",
    )
    _post_dispute(act, opened, reinstated, fee)
    closed = act.change(opened, balance_transactions=[*opened["balance_transactions"], reinstated], status="won")
    act.event("charge.dispute.funds_reinstated", closed)
    act.event("charge.dispute.closed", closed)
    return closed

"""What each act changes: the objects as they were go in, new versions and events come out, in order."""

from dataclasses import dataclass

from revenue.sandbox import objects
from revenue.sandbox.currencies import DISPUTE_FEE, display, processing_fee, settle
from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import StripeObject


@dataclass(frozen=True)
class Moment:
    """When something happens, in which mode, and in which currency the account is paid."""

    now: int
    livemode: bool
    settled_in: str

    def event(self, type: str, subject: StripeObject) -> StripeObject:
        return objects.event(type, subject, self.now, self.livemode)

    def balance_transaction(
        self,
        source: StripeObject,
        type: str,
        category: str,
        amount: int,
        fee: int = 0,
        fee_description: str = "Stripe processing fees",
    ) -> StripeObject:
        settled, rate = settle(amount, source["currency"], self.settled_in)
        fees = [objects.fee(fee, self.settled_in, fee_description)] if fee else []
        return objects.balance_transaction(
            source,
            type,
            category,
            settled,
            self.settled_in,
            None if rate is None else float(rate),
            fees,
            self.now,
        )


def pay(session: StripeObject, intent: StripeObject | None, buyer: StripeObject, moment: Moment) -> list[StripeObject]:
    """Complete an open session: charge the buyer, unless there is nothing to pay."""
    completed = {**session, "status": "complete", "url": None, "customer_details": buyer}
    if session["amount_total"] == 0:
        return [completed, moment.event("checkout.session.completed", completed)]
    started, changes = (intent, []) if intent else _new_intent(session, moment)
    charge = objects.charge(started, buyer, objects.identifier("pm_1"), moment.now)
    settled, _ = settle(charge["amount"], charge["currency"], moment.settled_in)
    transaction = moment.balance_transaction(charge, "charge", "charge", charge["amount"], fee=processing_fee(settled))
    charge["balance_transaction"] = transaction["id"]
    paid = {
        **started,
        "amount_received": charge["amount"],
        "last_payment_error": None,
        "latest_charge": charge["id"],
        "payment_method": charge["payment_method"],
        "status": "succeeded",
    }
    completed |= {"payment_intent": paid["id"], "payment_status": "paid"}
    return [
        *changes,
        paid,
        charge,
        transaction,
        completed,
        moment.event("charge.succeeded", charge),
        moment.event("payment_intent.succeeded", paid),
        moment.event("checkout.session.completed", completed),
    ]


def decline(
    session: StripeObject, intent: StripeObject | None, buyer: StripeObject, moment: Moment
) -> list[StripeObject]:
    """The card is refused: a failed charge, and a session that stays open for another card."""
    started, changes = (intent, []) if intent else _new_intent(session, moment)
    attempt = objects.charge(started, buyer, objects.identifier("pm_1"), moment.now)
    charge = {
        **attempt,
        "amount_captured": 0,
        "captured": False,
        "failure_code": "card_declined",
        "failure_message": "Your card was declined.",
        "outcome": {
            **attempt["outcome"],
            "network_decline_code": "01",
            "network_status": "declined_by_network",
            "reason": "generic_decline",
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        },
        "paid": False,
        "status": "failed",
    }
    failed = {
        **started,
        "last_payment_error": {
            "charge": charge["id"],
            "code": "card_declined",
            "decline_code": "generic_decline",
            "doc_url": "https://stripe.com/docs/error-codes/card-declined",
            "message": "Your card was declined.",
            "type": "card_error",
        },
        "latest_charge": charge["id"],
    }
    return [
        *changes,
        failed,
        charge,
        {**session, "payment_intent": failed["id"]},
        moment.event("charge.failed", charge),
        moment.event("payment_intent.payment_failed", failed),
    ]


def _new_intent(session: StripeObject, moment: Moment) -> tuple[StripeObject, list[StripeObject]]:
    """The intent of a first attempt, and its event.

    Only what was given as `payment_intent_data` gets there; the session's own metadata does not.
    """
    data = session["payment_intent_data"]
    intent = objects.payment_intent(
        session["amount_total"],
        session["currency"],
        moment.now,
        moment.livemode,
        data.get("metadata", {}),
        data.get("description"),
    )
    return intent, [moment.event("payment_intent.created", intent)]


def expire(session: StripeObject, moment: Moment) -> list[StripeObject]:
    expired = {**session, "status": "expired", "url": None}
    return [expired, moment.event("checkout.session.expired", expired)]


def refund(
    charge: StripeObject,
    amount: int | None,
    status: str,
    reason: str | None,
    metadata: dict[str, str],
    moment: Moment,
) -> list[StripeObject]:
    """Send money back, all that is left when no amount is given. The refund is the first of the changes.

    The amount leaves the balance at once, also while the refund is pending.
    """
    left = charge["amount_captured"] - charge["amount_refunded"]
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
    made = objects.refund(charge, wanted, status, reason, metadata, moment.now)
    transaction = moment.balance_transaction(made, "refund", "refund", -wanted)
    made["balance_transaction"] = transaction["id"]
    charged = _refunded(charge, wanted)
    return [
        made,
        transaction,
        charged,
        moment.event("refund.created", made),
        moment.event("charge.refunded", charged),
    ]


def succeed_refund(refund: StripeObject, moment: Moment) -> list[StripeObject]:
    succeeded = {**refund, "status": "succeeded"}
    return [
        succeeded,
        moment.event("refund.updated", succeeded),
        moment.event("charge.refund.updated", succeeded),
    ]


def fail_refund(refund: StripeObject, charge: StripeObject, moment: Moment) -> list[StripeObject]:
    """The buyer's bank sent the money back, so the refund never was: it returns to the balance."""
    returned = moment.balance_transaction(refund, "refund_failure", "refund_failure", refund["amount"])
    failed = {
        **refund,
        "failure_balance_transaction": returned["id"],
        "failure_reason": "expired_or_canceled_card",
        "status": "failed",
    }
    charged = _refunded(charge, -refund["amount"])
    return [
        failed,
        returned,
        charged,
        moment.event("refund.updated", failed),
        moment.event("refund.failed", failed),
        moment.event("charge.refund.updated", failed),
        moment.event("charge.updated", charged),
    ]


def _refunded(charge: StripeObject, amount: int) -> StripeObject:
    total = charge["amount_refunded"] + amount
    return {**charge, "amount_refunded": total, "refunded": total == charge["amount_captured"]}


def dispute(charge: StripeObject, amount: int | None, moment: Moment) -> list[StripeObject]:
    """The buyer's bank takes the money back. The dispute is the first of the changes."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    wanted = left if amount is None else amount
    if charge["disputed"] or not 0 < wanted <= left:
        raise StripeError(400, f"Charge {charge['id']} cannot be disputed for this amount.", param="amount")
    opened = objects.dispute(charge, wanted, moment.now)
    withdrawn = moment.balance_transaction(
        opened, "adjustment", "dispute", -wanted, fee=DISPUTE_FEE, fee_description="Dispute fee"
    )
    withdrawn["description"] = f"Chargeback withdrawal for {charge['id']}"
    opened["balance_transactions"] = [withdrawn]
    charged = {**charge, "disputed": True}
    return [
        opened,
        withdrawn,
        charged,
        moment.event("charge.dispute.created", opened),
        moment.event("charge.dispute.funds_withdrawn", opened),
    ]


def close_dispute(dispute: StripeObject, won: bool, moment: Moment) -> list[StripeObject]:
    if dispute["status"] in ("won", "lost"):
        raise StripeError(400, f"This dispute ({dispute['id']}) is already closed.", param="dispute")
    if not won:
        lost = {**dispute, "status": "lost"}
        return [lost, moment.event("charge.dispute.closed", lost)]
    reinstated = moment.balance_transaction(dispute, "adjustment", "dispute_reversal", dispute["amount"])
    reinstated["description"] = f"Chargeback reversal for {dispute['charge']}"
    closed = {
        **dispute,
        "balance_transactions": [*dispute["balance_transactions"], reinstated],
        "status": "won",
    }
    return [
        closed,
        reinstated,
        moment.event("charge.dispute.funds_reinstated", closed),
        moment.event("charge.dispute.closed", closed),
    ]

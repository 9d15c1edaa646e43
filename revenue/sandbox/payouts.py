"""What else moves the balance: payouts to the merchant's bank, and entries that belong to no sale."""

from collections.abc import Sequence

from revenue.sandbox import objects
from revenue.sandbox.act import Act
from revenue.sandbox.errors import StripeError
from revenue.sandbox.objects import DAY, StripeObject


def pay_out(act: Act, amount: int, ready: Sequence[StripeObject] | None, outcome: str) -> StripeObject:
    """Send `amount` of the balance to the bank. `ready` are the transactions of an automatic payout."""
    if amount <= 0:
        raise StripeError(
            400, "You have insufficient funds in your Stripe account for a payout.", code="balance_insufficient"
        )
    currency = act.account.default_currency
    payout = act.put(objects.payout(amount, currency, ready is not None, act.now, act.livemode))
    transaction = act.book(payout, "payout", "payout", -amount)
    _post(act, payout, "sent", -amount, transaction)
    payout = act.change(payout, balance_transaction=transaction["id"])
    for paid in [*(ready or ()), transaction]:
        act.keep(act.get(paid["id"]), payout=payout["id"])
    act.event("payout.created", payout)
    act.later(act.now + 2 * DAY, "arrive", payout["id"], outcome)
    return payout


def arrive(act: Act, payout: StripeObject, outcome: str) -> None:
    if payout["status"] != "in_transit":
        return
    if outcome == "pay":
        act.event("payout.paid", act.change(payout, status="paid", reconciliation_status="completed"))
        return
    returned = act.book(payout, "payout_failure", "payout_reversal", payout["amount"])
    _post(act, payout, "returned", payout["amount"], returned)
    failed = act.change(
        payout,
        status="failed",
        failure_balance_transaction=returned["id"],
        failure_code="account_closed",
        failure_message="The bank account has been closed.",
    )
    act.event("payout.failed", failed)


def _post(act: Act, payout: StripeObject, part: str, amount: int, transaction: StripeObject) -> None:
    act.post(
        f"{payout['id']}:{part}", "payout", None, 0, payout["currency"], moved=amount, transaction=transaction["id"]
    )


def enter(act: Act, type: str, category: str, amount: int, description: str) -> StripeObject:
    """An entry of Stripe's own, such as a fee or a reserve; it names no source."""
    source = {"id": None, "currency": act.account.default_currency}
    transaction = act.book(source, type, category, amount, description=description)
    act.post(transaction["id"], "other", None, 0, transaction["currency"], moved=amount, transaction=transaction["id"])
    return transaction

"""The sandbox's own books: what really moved, written down as it happened. Others' totals are measured by them.

They are kept apart from the balance transactions, and `problems` holds one against the other.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from revenue.sandbox.holdings import Holdings


@dataclass
class CurrencyTruth:
    """One currency's sums in its minor units.

    Disputed and fees stand under the currency the account is paid in, for it is that which was taken.
    """

    gross: int = 0
    refunded: int = 0
    disputed: int = 0
    fees: int = 0
    orders: int = 0


@dataclass(frozen=True)
class Entry:
    """One movement: what sales changed by, in `currency`, and the balance before the fee, in `moved_in`.

    `kind` is gross, refunded or disputed; pending is a debit the bank has not answered, payout and other are no
    sales. `payment` is the charge's id, None where there is none.
    """

    kind: str
    payment: str | None
    amount: int
    currency: str
    moved: int
    fee: int
    moved_in: str
    at: int
    balance_transaction: str | None


def entries(holdings: Holdings) -> list[Entry]:
    """The books, oldest first."""
    return [
        Entry(
            posting["kind"],
            posting["payment"],
            posting["amount"],
            posting["currency"],
            posting["moved"],
            posting["fee"],
            posting["moved_in"],
            posting["created"],
            posting["balance_transaction"],
        )
        for posting in holdings.all("posting")
    ]


def truth(holdings: Holdings) -> dict[str, CurrencyTruth]:
    """Sum up per currency.

    Refunded counts what left the balance and has not come back, disputed what was taken and not won back. An
    order is a payment that succeeded, also if it was lost again.
    """
    sums: dict[str, CurrencyTruth] = defaultdict(CurrencyTruth)
    orders: set[tuple[str, str]] = set()
    for entry in entries(holdings):
        match entry.kind:
            case "gross":
                sums[entry.currency].gross += entry.amount
                if entry.amount > 0:
                    assert entry.payment
                    orders.add((entry.payment, entry.currency))
            case "refunded":
                sums[entry.currency].refunded -= entry.amount
            case "disputed":
                sums[entry.currency].disputed -= entry.amount
        if entry.fee:
            sums[entry.moved_in].fees += entry.fee
    for _, currency in orders:
        sums[currency].orders += 1
    return dict(sums)


def balance(holdings: Holdings) -> dict[str, int]:
    """What the account holds, per currency."""
    sums: dict[str, int] = defaultdict(int)
    for entry in entries(holdings):
        # What is not booked yet has moved nothing.
        if entry.balance_transaction:
            sums[entry.moved_in] += entry.moved - entry.fee
    return dict(sums)


def problems(holdings: Holdings) -> list[str]:
    """Where the objects contradict the books or each other; empty as long as the sandbox is right."""
    return [*_unbooked(holdings), *_wrong_charges(holdings)]


def _unbooked(holdings: Holdings) -> Iterator[str]:
    booked: dict[str | None, int] = defaultdict(int)
    for entry in entries(holdings):
        booked[entry.balance_transaction] += entry.moved - entry.fee
    if booked.pop(None, 0):
        yield "the books know movements without a balance transaction"
    sums: dict[str, int] = defaultdict(int)
    for transaction in holdings.all("balance_transaction"):
        net = booked.pop(transaction["id"], None)
        if not transaction["net"] == transaction["amount"] - transaction["fee"] == net:
            yield f"{transaction['id']} is {transaction['net']}, in the books {net}"
        sums[transaction["currency"]] += transaction["net"]
    yield from (f"{transaction} is in the books only" for transaction in booked)
    if sums != balance(holdings):
        yield f"balance transactions add up to {dict(sums)}, the books to {balance(holdings)}"


def _wrong_charges(holdings: Holdings) -> Iterator[str]:
    sold: dict[str | None, int] = defaultdict(int)
    given_back: dict[str | None, int] = defaultdict(int)
    for entry in entries(holdings):
        if entry.kind == "gross":
            sold[entry.payment] += entry.amount
        elif entry.kind == "refunded":
            given_back[entry.payment] -= entry.amount
    sales = {entry.balance_transaction for entry in entries(holdings) if entry.kind == "gross"}
    for refund in holdings.all("refund"):
        # Neither has given anything back: what was only held, and what waits for the buyer's bank details.
        is_sent = refund["balance_transaction"] and refund["balance_transaction"] not in sales
        if refund["status"] not in ("failed", "canceled") and not is_sent:
            given_back[refund["charge"]] += refund["amount"]
    for charge in holdings.all("charge"):
        paid = charge["amount_captured"] if charge["status"] == "succeeded" and charge["captured"] else 0
        if sold[charge["id"]] != paid:
            yield f"{charge['id']} took {paid}, in the books {sold[charge['id']]}"
        if given_back[charge["id"]] != charge["amount_refunded"]:
            yield f"{charge['id']} gave back {charge['amount_refunded']}, its refunds {given_back[charge['id']]}"

"""What really moved, summed up from the sandbox's own objects: what others' totals are to be measured by."""

from collections import defaultdict
from dataclasses import dataclass

from revenue.sandbox.holdings import Holdings


@dataclass
class CurrencyTruth:
    """One currency's sums in its minor units. Fees stand under the currency the account is paid in."""

    gross: int = 0
    refunded: int = 0
    disputed: int = 0
    fees: int = 0
    orders: int = 0


def truth(holdings: Holdings) -> dict[str, CurrencyTruth]:
    """Sum up per currency.

    Refunded counts what left the balance, pending refunds too, failed ones not. Disputed counts withdrawals
    that were not won back.
    """
    sums: dict[str, CurrencyTruth] = defaultdict(CurrencyTruth)
    for charge in holdings.all("charge"):
        if charge["status"] == "succeeded":
            sums[charge["currency"]].gross += charge["amount_captured"]
            sums[charge["currency"]].orders += 1
    for refund in holdings.all("refund"):
        if refund["status"] != "failed":
            sums[refund["currency"]].refunded += refund["amount"]
    for dispute in holdings.all("dispute"):
        if dispute["status"] != "won":
            sums[dispute["currency"]].disputed += dispute["amount"]
    for transaction in holdings.all("balance_transaction"):
        if transaction["fee"]:
            sums[transaction["currency"]].fees += transaction["fee"]
    return dict(sums)

"""What was earned from the buyers of each variant, as the Revenue page shows it, as JSON."""

from typing import TypedDict

from revenue.api import COUNTED, IN_ONE_CURRENCY, AboutRevenue, about_revenue, question
from revenue.report import Currency
from sites.api import Call, Scope, endpoint
from splittests.earnings import earned


class VariantRow(TypedDict):
    test_id: int
    test: str
    variant: str
    currency: Currency
    gross: int
    refunded: int
    disputed: int
    net: int
    orders: int


class RevenueVariants(AboutRevenue):
    amounts: str
    currency: Currency
    rows: list[VariantRow]


@endpoint(
    "What was earned from those who were shown each variant of the period’s split tests",
    Scope.REVENUE,
    IN_ONE_CURRENCY,
    f"{COUNTED} What a test proves is another question: see its results.",
)
def variants(call: Call) -> RevenueVariants:
    about = question(call)
    return {
        **about_revenue(call, about),
        "amounts": call.told["amounts"],
        "currency": about.currency.upper(),
        "rows": [
            {
                "test_id": row.test_id,
                "test": row.test,
                "variant": row.variant,
                "currency": row.currency.upper(),
                "gross": row.gross,
                "refunded": row.refunded,
                "disputed": row.disputed,
                "net": row.net,
                "orders": row.orders,
            }
            for row in earned(about)
        ],
    }

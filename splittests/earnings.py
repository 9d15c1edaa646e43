"""What was earned from buyers who had been shown each variant, for the Revenue page.

This counts in that page's way, by period, model and filters. What a test proves is another question, which its own
results answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from revenue.lines import SUMS, fetch, named_lines
from revenue.money import format_money, plain
from revenue.questions import Question
from tracking.export import harmless


@dataclass(frozen=True, slots=True)
class Earned:
    test_id: int
    test: str
    variant: str
    currency: str
    gross: int
    refunded: int
    disputed: int
    net: int
    orders: int

    @property
    def net_text(self) -> str:
        return format_money(self.net, self.currency)


def earned(about: Question) -> list[Earned]:
    """Give each variant of the tests that ran in the period or have money in it, the newest test first.

    A payment counts in each test that its buyer was shown a variant of.
    """
    lines, parameters = named_lines(about.asked, about.model, about.basis, "decision.variants")
    found = fetch(
        f"""
        WITH {lines},
        money AS (
            SELECT variant_id, {SUMS}
            FROM lines CROSS JOIN LATERAL unnest(value) AS variant_id
            WHERE currency = %(currency)s AND NOT is_open AND credit = 'site' AND kind NOT IN ('fee', 'pending')
            GROUP BY variant_id
        )
        SELECT test.id, concat(test.name, CASE WHEN test.version > 1 THEN ', version ' || test.version END),
               variant.name, coalesce(gross, 0), coalesce(refunded, 0), coalesce(disputed, 0), coalesce(net, 0),
               coalesce(orders, 0)
        FROM splittests_splittest test
        JOIN splittests_variant variant ON variant.test_id = test.id
        LEFT JOIN money ON money.variant_id = variant.id
        WHERE test.site_id = %(site)s AND test.started_at < %(end)s
          AND (
              coalesce(test.stopped_at, 'infinity') >= %(start)s
              OR test.id IN (SELECT test_id FROM splittests_variant WHERE id IN (SELECT variant_id FROM money))
          )
        ORDER BY test.started_at DESC, test.id, variant.id
        """,
        {**parameters, "currency": about.currency},
    )
    return [Earned(test_id, test, variant, about.currency, *figures) for test_id, test, variant, *figures in found]


def shares(rows: Sequence[Earned]) -> list[float]:
    """Give the length of each variant's bar, in percent of the longest."""
    most = max((row.net for row in rows), default=0)
    return [round(100 * max(row.net, 0) / most, 2) if most > 0 else 0 for row in rows]


def export(rows: Sequence[Earned]) -> Iterator[list[object]]:
    """Headings, then a row for each variant, with amounts in the currency's major unit."""
    yield ["Test", "Variant", "Currency", "Net", "Payments", "Gross", "Refunded", "Disputed"]
    for row in rows:
        net, *amounts = (plain(each, row.currency) for each in (row.net, row.gross, row.refunded, row.disputed))
        yield [harmless(row.test), harmless(row.variant), row.currency.upper(), net, row.orders, *amounts]

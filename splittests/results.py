"""What each variant of a test earned, from the page views that showed it and its visitors' lines in the ledger.

A visitor is one for a day, and belongs to a variant from the first page view that showed it while the test
ran. Somebody whom the test showed two variants tells nothing about either and is only counted as such. An
order counts when the page view it was paid from is such a visitor's, when it was paid after that first page
view, in the test's currency, and when it reached the target, if there is one. What it brought is what the
ledger says now: refunds and disputes lower it even after the test has stopped, and the same ledger always
gives the same results.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection

from revenue.attribution import Model
from revenue.models.accounts import COUNTED_ACCOUNTS
from revenue.models.ledger import GROSS, SALES
from revenue.money import format_money
from sites.models import Site
from splittests import inference
from splittests.inference import (
    LEAST_CONVERSIONS,
    LEAST_VISITORS,
    SUSPICIOUS_RATIO_P,
    Comparison,
    Interval,
    Sums,
)
from splittests.models import SplitTest

# Of views that were deleted for their age, tracking_exposure holds what is needed here.
# `exposed` has a row per test and visitor, whose `variant_id` is NULL for those who saw two. The views are
# unfolded before they are joined to anything, and what they lead to is summed up before it is put together:
# PostgreSQL's guesses about arrays are poor, and on a poor guess it would compare all visitors with all buyers.
EXPOSED = """
    shown AS MATERIALIZED (
        SELECT visitor, at, unnest(variants) AS variant_id
        FROM (
            SELECT site_id, visitor, at, variants FROM tracking_view WHERE variants <> '{}'
            UNION ALL
            SELECT site_id, visitor, at, variants FROM tracking_exposure
        ) seen
        WHERE site_id = %(site)s
          AND at >= (SELECT min(started_at) FROM splittests_splittest
                     WHERE site_id = %(site)s AND id = coalesce(%(test)s, id))
          AND at < (SELECT max(coalesce(stopped_at, 'infinity')) FROM splittests_splittest
                    WHERE site_id = %(site)s AND id = coalesce(%(test)s, id))
    ),
    exposed AS MATERIALIZED (
        SELECT test.id AS test_id, shown.visitor, min(shown.at) AS first_at,
               CASE WHEN min(variant.id) = max(variant.id) THEN min(variant.id) END AS variant_id
        FROM shown
        JOIN splittests_variant variant ON variant.id = shown.variant_id
        JOIN splittests_splittest test ON test.id = variant.test_id AND shown.at >= test.started_at
         AND (test.stopped_at IS NULL OR shown.at < test.stopped_at)
        WHERE test.site_id = %(site)s AND test.id = coalesce(%(test)s, test.id)
        GROUP BY test.id, shown.visitor
    )
"""

# Stripe tells the time of a payment in whole seconds, hence date_trunc.
RESULTS = f"""
    WITH {EXPOSED},
    audience AS (SELECT variant_id, count(*) AS visitors FROM exposed GROUP BY variant_id),
    orders AS (
        SELECT exposed.variant_id, exposed.visitor, sum(line.amount) AS net,
               sum(line.amount) FILTER (WHERE line.kind = ANY(%(gross)s)) AS gross
        FROM exposed
        JOIN revenue_attribution decision ON decision.site_id = %(site)s
         AND decision.visitor = exposed.visitor AND decision.model = %(model)s AND decision.reason = ''
         AND decision.account_id IN ({COUNTED_ACCOUNTS})
        JOIN revenue_ledgerline line ON line.account_id = decision.account_id
         AND line.charge = decision.charge AND line.currency = %(currency)s AND line.kind = ANY(%(sales)s)
        GROUP BY exposed.variant_id, exposed.visitor, exposed.first_at, decision.account_id, decision.charge
        HAVING sum(line.amount) FILTER (WHERE line.kind = ANY(%(gross)s)) >= %(target)s
           AND min(line.occurred_at) FILTER (WHERE line.kind = 'charge')
               >= date_trunc('second', exposed.first_at)
    ),
    buyers AS (
        SELECT variant_id, visitor, count(*) AS orders, sum(gross) AS gross, sum(net) AS net
        FROM orders GROUP BY variant_id, visitor
    ),
    earnings AS (
        SELECT variant_id, count(*) AS conversions, sum(orders) AS orders, sum(gross) AS gross, sum(net) AS net,
               sum(net * net) AS net_squares
        FROM buyers GROUP BY variant_id
    )
    SELECT variant.name, variant.weight, coalesce(visitors, 0), coalesce(conversions, 0),
           coalesce(orders, 0)::bigint, coalesce(gross, 0)::bigint, coalesce(net, 0)::bigint,
           coalesce(net_squares, 0), coalesce((SELECT visitors FROM audience WHERE variant_id IS NULL), 0)
    FROM splittests_variant variant
    LEFT JOIN audience ON audience.variant_id = variant.id
    LEFT JOIN earnings ON earnings.variant_id = variant.id
    WHERE variant.test_id = %(test)s
    ORDER BY variant.id
"""

OVERVIEW = f"""
    WITH {EXPOSED},
    audience AS (SELECT test_id, count(variant_id) AS visitors FROM exposed GROUP BY test_id)
    SELECT test.*, coalesce(audience.visitors, 0) AS visitors
    FROM splittests_splittest test LEFT JOIN audience ON audience.test_id = test.id
    WHERE test.site_id = %(site)s
    ORDER BY test.created_at DESC, test.id DESC
"""


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant's visitors and what they paid, in minor units; `net` is `gross` less what went back."""

    name: str
    weight: int
    currency: str
    visitors: int
    conversions: int
    orders: int
    gross: int
    net: int
    net_squares: int

    @property
    def sums(self) -> Sums:
        return Sums(self.visitors, self.net, self.net_squares)

    @property
    def conversion_rate(self) -> Interval | None:
        return inference.proportion(self.conversions, self.visitors)

    @property
    def revenue_per_visitor(self) -> Interval | None:
        return inference.mean(self.sums)

    @property
    def is_telling(self) -> bool:
        return inference.is_telling(self.visitors, self.conversions)

    @property
    def net_text(self) -> str:
        return format_money(self.net, self.currency)

    @property
    def returned_text(self) -> str:
        return format_money(self.gross - self.net, self.currency) if self.gross != self.net else ""

    @property
    def average_order_text(self) -> str:
        return _money(self.gross / self.orders, self.currency) if self.orders else "–"

    @property
    def rate_text(self) -> str:
        return f"{self.conversions / self.visitors:.1%}" if self.visitors else "–"

    @property
    def rate_range(self) -> str:
        rate = self.conversion_rate
        return f"{rate.low:.1%} to {rate.high:.1%}" if rate else ""

    @property
    def per_visitor_text(self) -> str:
        return _money(self.net / self.visitors, self.currency) if self.visitors else "–"

    @property
    def per_visitor_range(self) -> str:
        mean = self.revenue_per_visitor
        return f"{_money(mean.low, self.currency)} to {_money(mean.high, self.currency)}" if mean else ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """An interval as percentages of a width that all intervals of the picture share."""

    low: float
    estimate: float
    high: float
    zero: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What may be said of one variant's revenue per visitor against the control's."""

    control: Arm
    variant: Arm
    comparison: Comparison | None
    drawing: Drawing | None

    @property
    def is_telling(self) -> bool:
        return self.control.is_telling and self.variant.is_telling

    @property
    def tone(self) -> str:
        if self.comparison is None or not self.is_telling:
            return ""
        if self.comparison.difference.low > 0:
            return "good"
        return "bad" if self.comparison.difference.high < 0 else ""

    @property
    def sentence(self) -> str:
        """Say what the interval says, and no more."""
        if not self.is_telling:
            return f"Too early to tell: both need {LEAST_VISITORS} visitors and {LEAST_CONVERSIONS} conversions."
        if self.comparison is None:
            return "All visitors brought the same, so there is no range to be given."
        low, high = self.comparison.difference.low, self.comparison.difference.high
        less, more = _money(abs(low), self.variant.currency), _money(abs(high), self.variant.currency)
        if low > 0:
            return f"Between {less} and {more} more per visitor than {self.control.name}."
        if high < 0:
            return f"Between {more} and {less} less per visitor than {self.control.name}."
        return (
            f"Anything between {less} less and {more} more per visitor than {self.control.name}: "
            "the difference may be chance."
        )

    @property
    def difference_text(self) -> str:
        if self.comparison is None:
            return "–"
        estimate = self.comparison.difference.estimate
        return f"{'+' if estimate > 0 else ''}{_money(estimate, self.variant.currency)}"

    @property
    def uplift_text(self) -> str:
        """Give the difference as a share of the control's revenue, with its range; empty if that is none."""
        uplift = self.comparison.uplift if self.comparison else None
        return f"{uplift.estimate:+.1%} ({uplift.low:+.1%} to {uplift.high:+.1%})" if uplift else ""

    @property
    def p_text(self) -> str:
        if self.comparison is None:
            return "–"
        return f"p = {self.comparison.p_value:.3f}" if self.comparison.p_value >= 0.001 else "p < 0.001"


@dataclass(frozen=True, slots=True)
class Results:
    """The arms, the control first, and how many visitors were left out because they saw two variants."""

    arms: tuple[Arm, ...]
    excluded: int

    @property
    def is_lopsided(self) -> bool:
        """Tell whether visitors split so unlike the weights that something must be broken."""
        p = inference.sample_ratio_p([arm.visitors for arm in self.arms], [arm.weight for arm in self.arms])
        return p is not None and p < SUSPICIOUS_RATIO_P

    @property
    def readings(self) -> list[Reading]:
        """Compare each variant with the control."""
        control, *variants = self.arms
        comparisons = [inference.difference(control.sums, variant.sums) for variant in variants]
        drawings = _drawings([comparison.difference if comparison else None for comparison in comparisons])
        return [Reading(control, *each) for each in zip(variants, comparisons, drawings, strict=True)]


def results_of(test: SplitTest) -> Results:
    parameters = {
        "site": test.site_id,
        "test": test.pk,
        "model": Model.LAST.value,
        # Fees are the account's, in the currency that it settles in.
        "sales": [kind.value for kind in SALES],
        "gross": [kind.value for kind in GROSS],
        "currency": test.currency,
        # Without a target any order counts that brought something.
        "target": test.target_amount or 1,
    }
    found = _rows(RESULTS, parameters)
    arms = tuple(
        Arm(
            name=name,
            weight=weight,
            currency=test.currency,
            visitors=visitors,
            conversions=conversions,
            orders=orders,
            gross=gross,
            net=net,
            net_squares=int(squares),
        )
        for name, weight, visitors, conversions, orders, gross, net, squares, _ in found
    )
    return Results(arms, excluded=found[0][-1] if found else 0)


def overview(site: Site) -> list[SplitTest]:
    """Give the site's tests, the newest first, each with the `visitors` it counts."""
    return list(SplitTest.objects.raw(OVERVIEW, {"site": site.pk, "test": None}))


def _rows(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _money(minor: float, currency: str) -> str:
    return format_money(round(minor), currency)


def _drawings(intervals: Iterable[Interval | None]) -> list[Drawing | None]:
    """Place the intervals on one scale on which zero, too, has its place."""
    intervals = list(intervals)
    ends = [0.0, *(end for interval in intervals if interval for end in (interval.low, interval.high))]
    # Room for the round ends of the lines.
    margin = (max(ends) - min(ends)) * 0.05
    start, width = min(ends) - margin, max(ends) - min(ends) + 2 * margin

    def place(value: float) -> float:
        return round(100 * (value - start) / width, 2)

    return [
        Drawing(place(interval.low), place(interval.estimate), place(interval.high), place(0)) if interval else None
        for interval in intervals
    ]

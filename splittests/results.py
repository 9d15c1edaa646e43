"""What each variant of a test earned, from its exposures and its visitors' lines in the ledger.

An order counts when the page view it was paid from is an exposed visitor's, when it was paid after their first
exposure and within the test's conversion window, in the test's currency, and when it reached the target, if there
is one. What it brought is what the ledger says now: refunds and disputes lower it even after the test has stopped,
and the same ledger always gives the same results. `exposures.gather` comes first.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import connection

from revenue.attribution import Model
from revenue.models.accounts import COUNTED_ACCOUNTS
from revenue.models.ledger import GROSS, SALES
from sites.models import Site
from splittests.inference import Sums
from splittests.looks import Growth, Look, looks
from splittests.models import SplitTest, Variant
from splittests.readings import Arm, Results, Returns

# Stripe tells the time of a payment in whole seconds, hence date_trunc.
ORDERS = f"""
    orders AS (
        SELECT exposed.variant_id, exposed.visitor, exposed.device, exposed.country, exposed.channel,
               decision.account_id, decision.charge, sum(line.amount) AS net,
               sum(line.amount) FILTER (WHERE line.kind = ANY(%(gross)s)) AS gross,
               sum(line.amount) FILTER (WHERE line.is_late) AS late, max(line.occurred_at) FILTER (WHERE line.is_late)
                   AS late_at
        FROM splittests_exposed exposed
        JOIN revenue_attribution decision ON decision.site_id = %(site)s
         AND decision.visitor = exposed.visitor AND decision.model = %(model)s AND decision.reason = ''
         AND decision.account_id IN ({COUNTED_ACCOUNTS})
        JOIN (
            SELECT *, occurred_at >= %(stopped)s::timestamptz AND kind <> ALL(%(gross)s) AS is_late
            FROM revenue_ledgerline WHERE currency = %(currency)s AND kind = ANY(%(sales)s)
        ) line ON line.account_id = decision.account_id AND line.charge = decision.charge
        WHERE exposed.site_id = %(site)s AND exposed.test_id = %(test)s AND exposed.variant_id IS NOT NULL
        GROUP BY exposed.site_id, exposed.test_id, exposed.visitor, decision.account_id, decision.charge
        HAVING sum(line.amount) FILTER (WHERE line.kind = ANY(%(gross)s)) >= %(target)s
           AND min(line.occurred_at) FILTER (WHERE line.kind = 'charge') >= date_trunc('second', exposed.first_at)
           AND (%(window)s::interval IS NULL OR min(line.occurred_at) FILTER (WHERE line.kind = 'charge')
                < exposed.first_at + %(window)s::interval)
    ),
    buyers AS (
        SELECT variant_id, visitor, device, country, channel, count(*) AS orders, sum(gross) AS gross, sum(net) AS net
        FROM orders GROUP BY variant_id, visitor, device, country, channel
    ),
    cap AS (
        SELECT percentile_disc(%(percentile)s::float8) WITHIN GROUP (ORDER BY net) AS most FROM buyers WHERE net > 0
    ),
    capped AS (SELECT buyers.*, least(net, most) AS kept FROM buyers CROSS JOIN cap)
"""
EARNINGS = """
    count(*) AS conversions, sum(orders)::bigint AS orders, sum(gross)::bigint AS gross, sum(net)::bigint AS net,
    sum(kept)::bigint AS kept, sum(kept * kept) AS kept_squares
"""

RESULTS = f"""
    WITH {ORDERS},
    audience AS (
        SELECT variant_id, count(*) AS visitors,
               count(*) FILTER (WHERE first_at > %(now)s - %(window)s::interval) AS ripening
        FROM splittests_exposed WHERE site_id = %(site)s AND test_id = %(test)s GROUP BY variant_id
    ),
    earnings AS (SELECT variant_id, {EARNINGS} FROM capped GROUP BY variant_id)
    SELECT coalesce((SELECT visitors FROM audience WHERE variant_id IS NULL), 0), (SELECT most::bigint FROM cap),
           (SELECT sum(late)::bigint FROM orders), (SELECT max(late_at) FROM orders), coalesce(ripening, 0),
           variant.name, variant.weight, coalesce(visitors, 0), coalesce(conversions, 0), coalesce(orders, 0),
           coalesce(gross, 0), coalesce(net, 0), coalesce(kept, 0), coalesce(kept_squares, 0)
    FROM splittests_variant variant
    LEFT JOIN audience ON audience.variant_id = variant.id
    LEFT JOIN earnings ON earnings.variant_id = variant.id
    WHERE variant.test_id = %(test)s
    ORDER BY variant.id
"""

# A line counts on the day it came, the charge's on the day it was paid. Visitors are counted by quarters of an hour
# first, since telling the day of each takes longer than all else; no zone's day begins within one.
BY_DAY = f"""
    WITH {ORDERS},
    moves AS (
        SELECT orders.variant_id, orders.visitor, (line.occurred_at AT TIME ZONE %(zone)s)::date AS day,
               sum(line.amount) AS net
        FROM orders
        JOIN revenue_ledgerline line ON line.account_id = orders.account_id AND line.charge = orders.charge
         AND line.currency = %(currency)s AND line.kind = ANY(%(sales)s)
        GROUP BY orders.variant_id, orders.visitor, day
    ),
    totals AS (
        SELECT variant_id, visitor, day,
               least(sum(net) OVER (PARTITION BY visitor ORDER BY day), (SELECT most FROM cap)) AS kept
        FROM moves
    ),
    steps AS (
        SELECT variant_id, day, kept, lag(kept) OVER (PARTITION BY visitor ORDER BY day) AS before FROM totals
    ),
    earned AS (
        SELECT variant_id, day, count(*) FILTER (WHERE before IS NULL) AS conversions,
               sum(kept - coalesce(before, 0)) AS kept,
               sum(kept * kept - coalesce(before * before, 0)) AS kept_squares
        FROM steps GROUP BY variant_id, day
    ),
    seen AS (
        SELECT variant_id, (quarter AT TIME ZONE %(zone)s)::date AS day, sum(visitors)::bigint AS visitors
        FROM (
            SELECT variant_id, date_bin('15 minutes', first_at, 'epoch') AS quarter, count(*) AS visitors
            FROM splittests_exposed WHERE site_id = %(site)s AND test_id = %(test)s AND variant_id IS NOT NULL
            GROUP BY variant_id, quarter
        ) quarters GROUP BY variant_id, day
    )
    SELECT day, variant_id, coalesce(visitors, 0), coalesce(conversions, 0), coalesce(kept, 0),
           coalesce(kept_squares, 0)
    FROM seen FULL JOIN earned USING (variant_id, day) ORDER BY day
"""

# Of the values that most visitors had.
BY_VALUE = f"""
    WITH {ORDERS},
    audience AS (
        SELECT {{column}} AS value, variant_id, count(*) AS visitors
        FROM splittests_exposed WHERE site_id = %(site)s AND test_id = %(test)s AND variant_id IS NOT NULL
        GROUP BY value, variant_id
    ),
    largest AS (
        SELECT value, sum(visitors) AS most FROM audience GROUP BY value ORDER BY most DESC, value LIMIT %(groups)s
    ),
    earnings AS (SELECT {{column}} AS value, variant_id, {EARNINGS} FROM capped GROUP BY value, variant_id)
    SELECT value, name, weight, coalesce(visitors, 0), coalesce(conversions, 0), coalesce(orders, 0),
           coalesce(gross, 0), coalesce(net, 0), coalesce(kept, 0), coalesce(kept_squares, 0)
    FROM largest
    CROSS JOIN (SELECT * FROM splittests_variant WHERE test_id = %(test)s) variant
    LEFT JOIN (SELECT value, variant_id AS id, visitors FROM audience) audience USING (value, id)
    LEFT JOIN (SELECT *, variant_id AS id FROM earnings) earnings USING (value, id)
    ORDER BY largest.most DESC, value, id
"""
GROUPS = 8
BREAKDOWNS = ("device", "country", "channel")

FIGURES = ("visitors", "conversions", "orders", "gross", "net", "capped")

OVERVIEW = """
    WITH audience AS (
        SELECT test_id, count(variant_id) AS visitors FROM splittests_exposed WHERE site_id = %(site)s GROUP BY test_id
    )
    SELECT test.*, coalesce(audience.visitors, 0) AS visitors
    FROM splittests_splittest test LEFT JOIN audience ON audience.test_id = test.id
    WHERE test.site_id = %(site)s
    ORDER BY test.created_at DESC, test.id DESC
"""


@dataclass(frozen=True, slots=True)
class Group:
    """The visitors who had one value in common, such as a device, and what they tell."""

    value: str
    results: Results


def results_of(test: SplitTest, now: dt.datetime) -> Results:
    found = list(_rows(RESULTS, asked_of(test) | {"now": now}))
    excluded, cap, late, late_at, *_ = found[0] if found else (0, None, None, None)
    return Results(
        arms=tuple(_arm(test, row[5:]) for row in found),
        excluded=excluded,
        ripening=sum(row[4] for row in found),
        planned=test.planned_visitors,
        is_stopped=test.stopped_at is not None,
        cap=cap,
        returns=Returns(-late, late_at) if late else None,
    )


def _arm(test: SplitTest, row: tuple[Any, ...]) -> Arm:
    name, weight, *figures, squares = row
    return Arm(name, weight, test.currency, **dict(zip(FIGURES, figures, strict=True)), capped_squares=int(squares))


def by_day(test: SplitTest, zone: str) -> list[Look]:
    """Read the test at the end of each day on which anything happened, by the ledger of now."""
    variants = list(Variant.objects.filter(test=test).order_by("pk").values_list("pk", flat=True))
    grown = dict.fromkeys(variants, Growth(Sums(0, 0, 0), 0))
    days = []
    rows = _rows(BY_DAY, asked_of(test) | {"zone": zone})
    for day, of_day in groupby(rows, key=itemgetter(0)):
        for _, variant, visitors, conversions, kept, squares in of_day:
            before = grown[variant]
            sums = before.sums + Sums(visitors, int(kept), int(squares))
            grown[variant] = Growth(sums, before.conversions + conversions)
        days.append((day, [grown[variant] for variant in variants]))
    return looks(days, test.planned_visitors)


def breakdown(test: SplitTest, by: str) -> list[Group]:
    """Give the results of each value that most visitors had; `by` is one of BREAKDOWNS."""
    assert by in BREAKDOWNS
    rows = _rows(BY_VALUE.format(column=by), asked_of(test) | {"groups": GROUPS})
    return [
        Group(value, Results(tuple(_arm(test, row[1:]) for row in of_value)))
        for value, of_value in groupby(rows, key=itemgetter(0))
    ]


def overview(site: Site) -> list[SplitTest]:
    """Give the site's tests, the newest first, each with the `visitors` it counts."""
    return list(SplitTest.objects.raw(OVERVIEW, {"site": site.pk}))


def asked_of(test: SplitTest) -> dict[str, Any]:
    """Give what ORDERS needs to know of the test."""
    return {
        "site": test.site_id,
        "test": test.pk,
        "model": Model.LAST.value,
        # Fees are the account's, in the currency that it settles in.
        "sales": [kind.value for kind in SALES],
        "gross": [kind.value for kind in GROSS],
        "currency": test.currency,
        # Without a target any order counts that brought something.
        "target": test.target_amount or 1,
        "window": dt.timedelta(days=test.window_days) if test.window_days else None,
        "stopped": test.stopped_at or "infinity",
        "percentile": float(test.cap_percentile) / 100 if test.cap_percentile else None,
    }


def _rows(statement: str, parameters: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        yield from cursor.fetchall()

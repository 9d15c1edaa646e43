"""What each variant of a test brought, from its exposures and its visitors' lines in the ledger or conversions.

An order counts when the page view it was paid from is an exposed visitor's, when it was paid after their first
exposure and within the test's conversion window, in the test's currency, and when it reached the target, if there
is one. What it brought is what the ledger says now: refunds and disputes lower it even after the test has stopped,
and the same ledger always gives the same results. Of any other goal, whoever reached it is gathered by
`conversions`. `exposures.gather` comes first.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import connection

from revenue.attribution import Model
from revenue.models import Connection
from revenue.models.accounts import IS_COUNTED
from revenue.models.ledger import GROSS, SALES
from revenue.stats import is_test_money
from sites.models import Site
from splittests.crossings import losses
from splittests.inference import Sums
from splittests.looks import Growth, Look, looks
from splittests.models import GOAL, Goal, Metric, SplitTest, Variant
from splittests.readings import CONVERSION, Arm, Measured, Results, Returns

# Stripe tells the time of a payment in whole seconds, hence date_trunc. Each payment's buyer is looked up among the
# exposed, of whom there are many times as many: the LIMIT keeps the database from reading them all for that.
ORDERS = f"""
    paid AS (
        SELECT account_id, charge, currency, min(occurred_at) FILTER (WHERE kind = 'charge') AS at, sum(amount) AS net,
               sum(amount) FILTER (WHERE kind = ANY(%(gross)s)) AS gross,
               sum(amount) FILTER (WHERE is_late) AS late, max(occurred_at) FILTER (WHERE is_late) AS late_at,
               array_agg(occurred_at) AS moments, array_agg(amount) AS amounts
        FROM (
            SELECT *, occurred_at >= %(stopped)s::timestamptz AND kind <> ALL(%(gross)s) AS is_late
            FROM revenue_ledgerline
            WHERE account_id {IS_COUNTED} AND kind = ANY(%(sales)s)
              AND occurred_at >= date_trunc('second', %(started)s::timestamptz)
        ) line
        GROUP BY account_id, charge, currency
        HAVING sum(amount) FILTER (WHERE kind = ANY(%(gross)s))
            >= CASE WHEN currency = %(currency)s THEN %(target)s ELSE 1 END
    ),
    matched AS (
        SELECT exposed.variant_id, exposed.visitor, exposed.device, exposed.country, exposed.channel,
               paid.currency, paid.net, paid.gross, paid.late, paid.late_at, paid.moments, paid.amounts
        FROM paid
        JOIN revenue_attribution decision ON decision.account_id = paid.account_id AND decision.charge = paid.charge
         AND decision.model = %(model)s AND decision.site_id = %(site)s AND decision.reason = ''
        CROSS JOIN LATERAL (
            SELECT * FROM splittests_exposed
            WHERE site_id = %(site)s AND test_id = %(test)s AND visitor = decision.visitor AND variant_id IS NOT NULL
            LIMIT 1
        ) exposed
        WHERE paid.at >= date_trunc('second', exposed.first_at)
          AND (%(window)s::interval IS NULL OR paid.at < exposed.first_at + %(window)s::interval)
    ),
    orders AS (SELECT * FROM matched WHERE currency = %(currency)s),
    strays AS (
        SELECT currency, count(*) AS orders FROM matched WHERE currency <> %(currency)s GROUP BY currency
    ),
    buyers AS (
        SELECT variant_id, visitor, device, country, channel, count(*) AS orders, sum(gross) AS gross, sum(net) AS net
        FROM orders GROUP BY variant_id, visitor, device, country, channel
    ),
    -- Once for all buyers: where few of them are guessed, the database would find it anew for each.
    cap AS MATERIALIZED (
        SELECT percentile_disc(%(percentile)s::float8) WITHIN GROUP (ORDER BY net) AS most FROM buyers WHERE net > 0
    ),
    capped AS (SELECT buyers.*, least(net, most) AS kept FROM buyers CROSS JOIN cap),
    moves AS (
        SELECT variant_id, visitor, (moment AT TIME ZONE %(zone)s)::date AS day, sum(amount) AS net
        FROM (SELECT variant_id, visitor, unnest(moments) AS moment, unnest(amounts) AS amount FROM orders) line
        GROUP BY variant_id, visitor, day
    )
"""
# The same of who reached another goal.
CONVERSIONS = f"""
    orders AS (SELECT 0::bigint AS late, NULL::timestamptz AS late_at WHERE false),
    strays AS (SELECT '' AS currency, 0::bigint AS orders WHERE false),
    cap AS (SELECT NULL::bigint AS most),
    capped AS (
        SELECT exposed.variant_id, exposed.visitor, exposed.device, exposed.country, exposed.channel, converted.at,
               0 AS orders, 0 AS gross, 0 AS net, {CONVERSION}::bigint AS kept
        FROM splittests_converted converted
        JOIN splittests_exposed exposed ON exposed.site_id = %(site)s AND exposed.test_id = %(test)s
         AND exposed.visitor = converted.visitor AND exposed.variant_id IS NOT NULL
        WHERE converted.site_id = %(site)s AND converted.test_id = %(test)s AND converted.metric_id = %(metric)s
    ),
    moves AS (
        SELECT variant_id, visitor, (at AT TIME ZONE %(zone)s)::date AS day, kept AS net FROM capped
    )
"""
EARNINGS = """
    count(*) AS conversions, sum(orders)::bigint AS orders, sum(gross)::bigint AS gross, sum(net)::bigint AS net,
    sum(kept)::bigint AS kept, sum(kept * kept) AS kept_squares
"""

# Who came within the quarter of an hour in which the window ends is told to be inside it.
AUDIENCE = """
    WITH audience AS (
        SELECT variant_id, sum(visitors)::bigint AS visitors, (sum(visitors) FILTER (
                   WHERE to_timestamp(value::bigint) > %(now)s - %(window)s::interval - interval '15 minutes'
               ))::bigint AS ripening
        FROM splittests_audience
        WHERE site_id = %(site)s AND test_id = %(test)s AND dimension = 'quarter' GROUP BY variant_id
    )
    SELECT variant.id, variant.name, variant.weight, coalesce(visitors, 0), coalesce(ripening, 0),
           coalesce((SELECT visitors FROM audience WHERE variant_id = 0), 0)
    FROM splittests_variant variant LEFT JOIN audience ON audience.variant_id = variant.id
    WHERE variant.test_id = %(test)s
    ORDER BY variant.id
"""
EARNED = f"""
    WITH {{brought}},
    late AS (SELECT sum(late)::bigint AS amount, max(late_at) AS last_at FROM orders),
    stray AS (
        SELECT array_agg(currency ORDER BY orders DESC, currency) AS currencies,
               array_agg(orders ORDER BY orders DESC, currency) AS orders FROM strays
    ),
    earned AS (SELECT variant_id, {EARNINGS} FROM capped GROUP BY variant_id)
    SELECT variant_id, (SELECT most::bigint FROM cap), late.amount, last_at, currencies, stray.orders,
           conversions, earned.orders, gross, net, kept, kept_squares
    FROM late CROSS JOIN stray LEFT JOIN earned ON true
"""

# A line counts on the day it came, the charge's on the day it was paid. No zone's day begins within a quarter of an
# hour.
BY_DAY = """
    WITH {brought},
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
        SELECT variant_id, (to_timestamp(value::bigint) AT TIME ZONE %(zone)s)::date AS day,
               sum(visitors)::bigint AS visitors
        FROM splittests_audience
        WHERE site_id = %(site)s AND test_id = %(test)s AND dimension = 'quarter' AND variant_id <> 0 AND visitors > 0
        GROUP BY variant_id, day
    )
    SELECT day, variant_id, coalesce(visitors, 0), coalesce(conversions, 0), coalesce(kept, 0),
           coalesce(kept_squares, 0)
    FROM seen FULL JOIN earned USING (variant_id, day) ORDER BY day
"""

# Of the values that most visitors had.
BY_VALUE = f"""
    WITH {{brought}},
    audience AS (
        SELECT value, variant_id, visitors FROM splittests_audience
        WHERE site_id = %(site)s AND test_id = %(test)s AND dimension = %(by)s AND variant_id <> 0 AND visitors > 0
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
        SELECT test_id, sum(visitors)::bigint AS visitors FROM splittests_audience
        WHERE site_id = %(site)s AND dimension = 'device' AND variant_id <> 0 GROUP BY test_id
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """One variant's visitors; `excluded` are those of no variant."""

    variant: int
    name: str
    weight: int
    visitors: int
    ripening: int
    excluded: int


def results_of(test: SplitTest, now: dt.datetime) -> Results:
    seen = [_Seen(*row) for row in _rows(AUDIENCE, asked_of(test) | {"now": now})]
    metrics = [
        Measured(metric.name, metric.goal_text, metric.role == Metric.Role.GUARDRAIL, _brought(test, seen, metric))
        for metric in test.metrics.all()
    ]
    own = _brought(test, seen)
    return replace(
        own,
        losses=losses(test, now),
        is_test_money=any(each.is_money for each in (own, *(metric.results for metric in metrics)))
        and is_test_money(Connection.objects.filter(site=test.site_id).select_related("account")),
        excluded=seen[0].excluded if seen else 0,
        ripening=sum(each.ripening for each in seen),
        is_stopped=test.stopped_at is not None,
        metrics=tuple(metrics),
    )


def _brought(test: SplitTest, seen: Sequence[_Seen], metric: Metric | None = None) -> Results:
    """Give what these visitors brought of the test's own goal, or of a metric."""
    currency = _currency(test, metric)
    # One row at least; the first figures are of all arms alike.
    found = {variant: row for variant, *row in _rows(EARNED.format(brought=_how(test, metric)), asked_of(test, metric))}
    cap, late, late_at, currencies, orders = next(iter(found.values()))[:5]
    return Results(
        arms=tuple(
            _arm(currency, (each.name, each.weight, each.visitors, *found.get(each.variant, [0] * 11)[5:]))
            for each in seen
        ),
        planned=test.planned_visitors,
        cap=cap,
        returns=Returns(-late, late_at) if late and late_at else None,
        strays=tuple(zip(currencies or (), orders or (), strict=True)),
    )


def _currency(test: SplitTest, metric: Metric | None = None) -> str:
    """Give the currency of what is counted; "" if it is no money."""
    return test.currency if (metric or test).goal == Goal.REVENUE else ""


def _how(test: SplitTest, metric: Metric | None = None) -> str:
    return ORDERS if _currency(test, metric) else CONVERSIONS


def _arm(currency: str, row: tuple[Any, ...]) -> Arm:
    name, weight, *figures, squares = row
    return Arm(name, weight, currency, **dict(zip(FIGURES, figures, strict=True)), capped_squares=int(squares))


def by_day(test: SplitTest, zone: str) -> list[Look]:
    """Read the test at the end of each day on which anything happened, by the ledger of now."""
    variants = list(Variant.objects.filter(test=test).order_by("pk").values_list("pk", flat=True))
    grown = dict.fromkeys(variants, Growth(Sums(0, 0, 0), 0))
    days = []
    rows = _rows(BY_DAY.format(brought=_how(test)), asked_of(test) | {"zone": zone})
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
    currency = _currency(test)
    rows = _rows(BY_VALUE.format(brought=_how(test), column=by), asked_of(test) | {"by": by, "groups": GROUPS})
    return [
        Group(value, Results(tuple(_arm(currency, row[1:]) for row in of_value)))
        for value, of_value in groupby(rows, key=itemgetter(0))
    ]


def overview(site: Site) -> list[SplitTest]:
    """Give the site's tests, the newest first, each with the `visitors` it counts."""
    return list(SplitTest.objects.raw(OVERVIEW, {"site": site.pk}))


def asked_of(test: SplitTest, metric: Metric | None = None) -> dict[str, Any]:
    """Give what ORDERS and CONVERSIONS need to know of the test's own goal, or of a metric."""
    return {
        "site": test.site_id,
        "test": test.pk,
        "metric": metric.pk if metric else GOAL,
        "zone": "UTC",
        "model": Model.LAST.value,
        # Fees are the account's, in the currency that it settles in.
        "sales": [kind.value for kind in SALES],
        "gross": [kind.value for kind in GROSS],
        "currency": test.currency,
        # Without a target any order counts that brought something; a metric has none.
        "target": (None if metric else test.target_amount) or 1,
        "window": dt.timedelta(days=test.window_days) if test.window_days else None,
        "started": test.started_at,
        "stopped": test.stopped_at or "infinity",
        "percentile": float(test.cap_percentile) / 100 if test.cap_percentile else None,
    }


def _rows(statement: str, parameters: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        yield from cursor.fetchall()

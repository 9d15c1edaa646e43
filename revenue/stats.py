"""What was earned: each panel of the revenue pages is one function here, and one query.

A site's ledger is every line of the Stripe accounts connected to it (of the live ones, if one is live), except the
payments credited to another site. Payments credited to nobody stand on each site of their account. Every movement
counts on the day it happens, as in Stripe's own reports: a refund lowers the day of the refund, not the day of its
payment.

Amounts are integer minor units of their own currency, and no sum mixes currencies. `refunded`, `disputed`,
`failed` (payments that failed after they had succeeded) and `fees` are positive when money leaves; `net` is
gross - refunded - disputed - failed. Fees stand apart, in the currency the account settles in.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from revenue.attribution import Evidence, Model, Reason
from revenue.crediting import SNAPSHOT
from revenue.models import Connection, Finding
from revenue.models.accounts import COUNTED_ACCOUNTS, Status
from revenue.models.findings import FindingKind
from revenue.money import mean
from sites.models import Site
from sites.periods import Period
from tracking import counting
from tracking.counting import Asked, Relation
from tracking.filters import conditions

# What a breakdown can be by: a column of the credited decision, with the dimension of visits that it stands for.
DIMENSIONS = {
    **{
        name: name
        for name in (
            *("channel", "source", "referrer"),
            *("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
            *("country", "region", "city", "browser", "os", "device"),
        )
    },
    "landing_page": "entry_page",
    "page": "page",
}


@dataclass(frozen=True, slots=True)
class Unattributed:
    """Payments that are credited to no visit, for one reason; None for refunds that belong to no payment."""

    reason: Reason | None
    orders: int
    net: int


@dataclass(frozen=True, slots=True)
class Totals:
    """`renewals` of the orders renew a subscription and bring `renewed`, before refunds; `purchases` are the orders
    that are credited to a visit and are none.
    """

    currency: str
    gross: int = 0
    refunded: int = 0
    disputed: int = 0
    failed: int = 0
    fees: int = 0
    orders: int = 0
    renewals: int = 0
    renewed: int = 0
    purchases: int = 0
    attributed: int = 0
    unattributed: int = 0
    elsewhere: int = 0
    reasons: tuple[Unattributed, ...] = ()

    @property
    def net(self) -> int:
        return self.gross - self.refunded - self.disputed - self.failed

    @property
    def average(self) -> int:
        """What a payment is worth, before refunds."""
        return mean(self.gross, self.orders) if self.orders else 0

    @property
    def account_net(self) -> int:
        """What the connected accounts earned, with the payments credited to their other sites."""
        return self.net + self.elsewhere


@dataclass(frozen=True, slots=True)
class Row:
    """What one value of a breakdown earned, and its day-visitors."""

    value: str
    currency: str
    gross: int
    refunded: int
    disputed: int
    net: int
    orders: int
    visitors: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """`rows`, the best first; `others` for all values beyond the limit; and what is credited to no visit."""

    rows: tuple[Row, ...]
    others: Row | None
    unattributed: Row | None


@dataclass(frozen=True, slots=True)
class Payment:
    """One charge, with what became of it until now.

    `evidence` says how its visit is known, `reason` why it is not.
    """

    occurred_at: dt.datetime
    account: str
    charge: str
    session: str
    currency: str
    gross: int
    refunded: int
    disputed: int
    net: int
    channel: str
    source: str
    view_id: str
    evidence: Evidence | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Payments:
    """A page of payments, newest first."""

    rows: tuple[Payment, ...]
    page: int
    has_next: bool


SUMS = """
    coalesce(sum(amount) FILTER (WHERE kind IN ('charge', 'capture')), 0)::bigint AS gross,
    coalesce(-sum(amount) FILTER (WHERE kind IN ('refund', 'refund_failure')), 0)::bigint AS refunded,
    coalesce(-sum(amount) FILTER (WHERE kind = 'dispute'), 0)::bigint AS disputed,
    coalesce(sum(amount) FILTER (WHERE kind NOT IN ('fee', 'pending')), 0)::bigint AS net,
    count(*) FILTER (WHERE kind = 'charge') AS orders
"""


# Of what filters ask, what the decision keeps no copy of: only the visit itself can tell.
_OF_VISIT = {"hostname", "exit_page", "click_id"}
# Renewals are credited to visits of years ago.
_ANY_TIME = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)


def _lines(asked: Asked, model: Model, value: str = "NULL") -> tuple[str, dict[str, Any]]:
    """Name `lines`: the ledger of the accounts in the period, each line with whom it is credited to.

    `credit` is "site", "elsewhere" or "nobody". A charge that no decision was made about yet is awaited. With
    filters, only what is credited to a visit that they let through.
    """
    joined, condition, parameters = _filtered(asked)
    sql = f"""
        lines AS (
            SELECT line.kind, line.amount, line.currency, line.occurred_at, line.account_id, line.charge,
                   CASE WHEN decision.reason IS NULL OR decision.reason <> '' THEN 'nobody'
                        WHEN decision.site_id = %(site)s THEN 'site'
                        ELSE 'elsewhere' END AS credit,
                   CASE WHEN line.charge = '' THEN '' ELSE coalesce(decision.reason, %(waiting)s) END AS reason,
                   coalesce(decision.is_renewal, false) AS is_renewal,
                   {value} AS value
            FROM revenue_ledgerline line
            LEFT JOIN revenue_attribution decision
              ON decision.account_id = line.account_id AND decision.charge = line.charge
             AND decision.model = %(model)s
            {joined}
            WHERE line.account_id IN ({COUNTED_ACCOUNTS})
              AND line.occurred_at >= %(start)s AND line.occurred_at < %(end)s {condition}
        )
    """
    named = {
        "site": asked.site.pk,
        "start": asked.period.start_at,
        "end": asked.end_at,
        "model": model,
        "waiting": Reason.WAITING,
    }
    return sql, named | parameters


def _filtered(asked: Asked) -> tuple[str, str, dict[str, Any]]:
    """Give what lets only the filters' visits through: a join, a condition, and their parameters."""
    if not asked.filters:
        return "", "", {}
    found = conditions(asked.filters, asked.site.pk, _ANY_TIME, asked.end_at, asked.goals)
    sql, parameters = Relation(
        "".join(f" AND ({each.sql})" for each in found), [value for each in found for value in each.parameters]
    ).named("filter")
    columns = ["visit_id AS id", "landing_page AS entry_path", *SNAPSHOT]
    visit = ", ".join(f"decision.{column}" for column in columns)
    seen = ""
    if any(each.dimension in _OF_VISIT for each in asked.filters):
        visit += ", seen.hostname, seen.exit_path, seen.click_id"
        seen = "LEFT JOIN tracking_visit seen ON seen.site_id = decision.site_id AND seen.id = decision.visit_id"
    return (
        f"{seen} CROSS JOIN LATERAL (SELECT {visit}) v",
        f"AND decision.reason = '' AND decision.site_id = %(site)s {sql}",
        parameters,
    )


def _rows(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def connections(site: Site) -> list[Connection]:
    """The Stripe accounts that the site is connected to, the first connected first."""
    return list(Connection.objects.filter(site=site).select_related("account").order_by("connected_at", "pk"))


def as_of(connected: Sequence[Connection]) -> dt.datetime | None:
    """Tell up to when they have all been read; None while one of them never was.

    One that was disconnected is not waited for, unless all of them were.
    """
    reading = [each for each in connected if each.status != Status.DISCONNECTED] or connected
    moments = [each.synced_at for each in reading if each.synced_at]
    return min(moments) if moments and len(moments) == len(reading) else None


def unsettled(connected: Sequence[Connection]) -> int:
    """Count what does not add up in the accounts, as their last proof found."""
    found = Finding.objects.filter(account__in=[each.account_id for each in connected], gone_at=None)
    return found.exclude(kind=FindingKind.SHARED_VIEW).count()


def outside_stripe(site: Site, period: Period) -> dict[str, int]:
    """Sum up, per currency, what invoices were marked as paid with money that never came to Stripe: no revenue."""
    return dict(
        _rows(
            f"""
            SELECT currency, sum(amount_paid)::bigint FROM revenue_invoicepayment
            WHERE account_id IN ({COUNTED_ACCOUNTS}) AND type = 'payment_record' AND status = 'paid'
              AND created_at >= %(start)s AND created_at < %(end)s
            GROUP BY currency
            """,
            {"site": site.pk, "start": period.start_at, "end": period.end_at},
        )
    )


def fingerprint(site: Site) -> str:
    """Give a text that changes when the site's ledger or a decision about it does, and only then."""
    ((text,),) = _rows(
        f"""
        SELECT concat_ws('-', count(*), sum(amount), max(id), (
            SELECT extract(epoch FROM max(decided_at)) FROM revenue_attribution
            WHERE account_id IN ({COUNTED_ACCOUNTS})
        )) FROM revenue_ledgerline WHERE account_id IN ({COUNTED_ACCOUNTS})
        """,
        {"site": site.pk},
    )
    return str(text)


def totals(asked: Asked, model: Model) -> list[Totals]:
    """Sum up the period, a row per currency, the one with most orders first."""
    lines, parameters = _lines(asked, model)
    found = _rows(
        f"""
        WITH {lines}
        SELECT currency, credit, reason, {SUMS},
               coalesce(-sum(amount) FILTER (WHERE kind = 'payment_failure'), 0)::bigint AS failed,
               coalesce(-sum(amount) FILTER (WHERE kind = 'fee'), 0)::bigint AS fees,
               count(*) FILTER (WHERE kind = 'charge' AND is_renewal) AS renewals,
               coalesce(sum(amount) FILTER (WHERE kind IN ('charge', 'capture') AND is_renewal), 0)::bigint AS renewed
        FROM lines GROUP BY currency, credit, reason ORDER BY currency, credit, orders DESC, reason
        """,
        parameters,
    )
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, list[Unattributed]] = defaultdict(list)
    for currency, credit, reason, gross, refunded, disputed, net, orders, failed, fees, renewals, renewed in found:
        of_currency = sums[currency]
        of_currency[credit] += net
        if credit == "elsewhere":
            continue
        if credit == "nobody" and (orders or net):
            reasons[currency].append(Unattributed(Reason(reason) if reason else None, orders, net))
        of_currency.update(gross=gross, refunded=refunded, disputed=disputed, failed=failed, fees=fees, orders=orders)
        of_currency.update(renewals=renewals, renewed=renewed)
        if credit == "site":
            of_currency.update(purchases=orders - renewals)
    answer = [
        Totals(
            currency=currency,
            gross=of["gross"],
            refunded=of["refunded"],
            disputed=of["disputed"],
            failed=of["failed"],
            fees=of["fees"],
            orders=of["orders"],
            renewals=of["renewals"],
            renewed=of["renewed"],
            purchases=of["purchases"],
            attributed=of["site"],
            unattributed=of["nobody"],
            elsewhere=of["elsewhere"],
            reasons=tuple(reasons[currency]),
        )
        for currency, of in sums.items()
    ]
    return sorted(answer, key=lambda row: (-row.orders, row.currency))


def breakdown(asked: Asked, by: str, model: Model, currency: str, limit: int | None = None) -> Breakdown:
    """Split the period by one of DIMENSIONS: what each value earned, best first, with its visitors.

    The rows, the others and the unattributed together are the net of `totals`.
    """
    assert by in DIMENSIONS
    counted, counted_parameters = counting.by_value(DIMENSIONS[by], asked, ["visitors"]).named("counted")
    lines, parameters = _lines(asked, model, f"decision.{by}")
    found = _rows(
        f"""
        WITH {lines},
        money AS (
            SELECT credit = 'nobody' AS is_nobody, CASE credit WHEN 'site' THEN value ELSE '' END AS value,
                   {SUMS}
            FROM lines WHERE currency = %(currency)s AND credit <> 'elsewhere' AND kind NOT IN ('fee', 'pending')
            GROUP BY 1, 2
        ),
        audience AS (
            SELECT false AS is_nobody, value, sum(visitors)::bigint AS visitors FROM ({counted}) counted GROUP BY 2
        ),
        ranked AS (
            SELECT is_nobody, value, gross, refunded, disputed, net, orders, visitors,
                   row_number() OVER (
                       PARTITION BY is_nobody
                       ORDER BY coalesce(net, 0) DESC, coalesce(visitors, 0) DESC, value
                   ) AS place
            FROM money FULL JOIN audience USING (is_nobody, value)
        )
        -- LEAST passes over a NULL limit, which then cuts nothing off.
        SELECT is_nobody, place > %(limit)s IS TRUE AS is_rest, min(value),
               coalesce(sum(gross), 0)::bigint, coalesce(sum(refunded), 0)::bigint,
               coalesce(sum(disputed), 0)::bigint, coalesce(sum(net), 0)::bigint,
               coalesce(sum(orders), 0)::bigint, coalesce(sum(visitors), 0)::bigint
        FROM ranked GROUP BY is_nobody, is_rest, LEAST(place, %(limit)s + 1) ORDER BY min(place)
        """,
        {**parameters, **counted_parameters, "currency": currency, "limit": limit},
    )
    rows, others, unattributed = [], None, None
    for is_nobody, is_rest, value, *figures in found:
        if is_nobody:
            unattributed = Row("", currency, *figures)
        elif is_rest:
            others = Row("", currency, *figures)
        else:
            rows.append(Row(value, currency, *figures))
    return Breakdown(tuple(rows), others, unattributed)


def by_day(asked: Asked, model: Model, currency: str) -> list[Row]:
    """Give a row for each day of the period, in order; its value is the day as an ISO date."""
    counted, counted_parameters = counting.by_day(asked).named("counted")
    lines, parameters = _lines(asked, model)
    found = _rows(
        f"""
        WITH {lines},
        money AS (
            SELECT (occurred_at AT TIME ZONE %(zone)s)::date AS day, {SUMS}
            FROM lines WHERE currency = %(currency)s AND credit <> 'elsewhere' GROUP BY 1
        ),
        audience AS (
            SELECT day, sum(visitors)::bigint AS visitors FROM ({counted}) counted GROUP BY 1
        )
        SELECT moment::date::text, coalesce(gross, 0), coalesce(refunded, 0), coalesce(disputed, 0),
               coalesce(net, 0), coalesce(orders, 0), coalesce(visitors, 0)
        FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') moment
        LEFT JOIN money ON money.day = moment::date
        LEFT JOIN audience ON audience.day = moment::date
        ORDER BY moment
        """,
        {
            **parameters,
            **counted_parameters,
            "currency": currency,
            "zone": asked.period.zone.key,
            "first": asked.period.first_on,
            "last": asked.period.last_on,
        },
    )
    return [Row(day, currency, *figures) for day, *figures in found]


def payments(asked: Asked, model: Model, page: int = 1, search: str = "", per_page: int | None = 20) -> Payments:
    """List the charges of the period with their decisions; `search` is the id of one, or its session or view.

    `per_page=None` gives all of them as one page.
    """
    lines, parameters = _lines(asked, model, "decision")
    found = _rows(
        f"""
        WITH {lines},
        charges AS (
            SELECT lines.occurred_at, lines.account_id, lines.charge, lines.currency, lines.amount,
                   lines.reason, value AS decision, charge.payment_intent
            FROM lines
            LEFT JOIN revenue_charge charge
              ON charge.account_id = lines.account_id AND charge.stripe_id = lines.charge
            WHERE kind = 'charge' AND credit <> 'elsewhere'
              AND (%(search)s = '' OR %(search)s IN (
                      lines.charge, charge.payment_intent, (value).view_id::text, (value).carried_id
                  ) OR EXISTS (
                      SELECT FROM revenue_checkoutsession session
                      WHERE session.account_id = lines.account_id AND session.stripe_id = %(search)s
                        AND session.payment_intent = charge.payment_intent
                  ))
            ORDER BY lines.occurred_at DESC, lines.charge
            LIMIT %(per_page)s + 1 OFFSET (%(page)s - 1) * coalesce(%(per_page)s, 0)
        )
        SELECT occurred_at, account.acct_id, charges.charge, coalesce(session.stripe_id, ''),
               charges.currency, amount, moved.refunded, moved.disputed, moved.net,
               coalesce((decision).channel, ''), coalesce((decision).source, ''),
               coalesce((decision).view_id::text, (decision).carried_id, ''),
               coalesce((decision).evidence, ''), reason
        FROM charges
        JOIN revenue_stripeaccount account ON account.id = charges.account_id
        CROSS JOIN LATERAL (
            SELECT {SUMS} FROM revenue_ledgerline line
            WHERE line.account_id = charges.account_id AND line.charge = charges.charge
              AND line.currency = charges.currency
        ) moved
        LEFT JOIN LATERAL (
            SELECT stripe_id FROM revenue_checkoutsession session
            WHERE session.account_id = charges.account_id AND session.payment_intent = charges.payment_intent
              AND charges.payment_intent <> ''
            ORDER BY created_at, stripe_id LIMIT 1
        ) session ON true
        ORDER BY occurred_at DESC, charges.charge
        """,
        {**parameters, "search": search, "page": page, "per_page": per_page},
    )
    rows = tuple(
        Payment(*[*row, Evidence(evidence) if evidence else None, Reason(reason) if reason else None])
        for *row, evidence, reason in found
    )
    return Payments(rows[:per_page], page, per_page is not None and len(rows) > per_page)

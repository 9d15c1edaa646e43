"""What was earned: each panel of the revenue pages is one function here, and one query.

Which lines of the ledger are summed up, and on which day each counts, is told in `lines`. Amounts are integer minor
units, and no sum mixes currencies: they are those of the payments' own currencies, or with a settled basis those
that Stripe itself made of them. `refunded`, `disputed`, `failed` (payments that failed after they had succeeded) and
`fees` are positive when money leaves; `net` is gross - refunded - disputed - failed. Fees stand apart, in the
currency the account settles in.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from django.db.models import QuerySet, Sum

from revenue import streams
from revenue.attribution import Evidence, Model, Reason
from revenue.kinds import KINDS
from revenue.lines import AS_PAID, SUMS, Basis, fetch, ledger, named_lines
from revenue.models import Connection, Finding, Stream
from revenue.models.accounts import COUNTED_ACCOUNTS, Status
from revenue.models.findings import FindingKind
from revenue.money import mean
from revenue.reconcile import unmatched
from revenue.streams import LISTS
from sites.models import Site
from sites.periods import Period
from tracking import counting
from tracking.counting import HOUR_OF_VISIT, Asked, Relation, fresh_visits
from tracking.stats import Bucket, starts

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
    that are credited to a visit and are none. `is_open` is what Stripe has not settled yet, where settled amounts
    are asked for: in the currency it was paid in, and in no other sum.
    """

    currency: str
    is_open: bool = False
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
    unbooked: int = 0
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


MOST_FINDINGS = 50
COUNTED = (
    *("gross", "refunded", "disputed", "failed", "fees", "orders", "renewals", "renewed", "purchases"),
    *("attributed", "unattributed", "elsewhere", "unbooked"),
)
FIGURES = ("gross", "refunded", "disputed", "net", "orders", "visitors")


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


def is_test_money(connected: Iterable[Connection]) -> bool:
    """Tell whether these are connections, and all of them in Stripe's test mode."""
    return {each.account.livemode for each in connected} == {False}


def unsettled(connected: Sequence[Connection]) -> int:
    """Count what does not add up in the accounts, as their last proof found."""
    return _open_findings(connected).count()


def differences(connected: Sequence[Connection]) -> list[Finding]:
    """Give what does not add up in the accounts, as their last proof found, the latest first."""
    return list(_open_findings(connected).order_by("-found_at", "pk")[:MOST_FINDINGS])


def _open_findings(connected: Sequence[Connection]) -> QuerySet[Finding]:
    found = Finding.objects.filter(account__in=[each.account_id for each in connected], gone_at=None)
    return found.exclude(kind=FindingKind.SHARED_VIEW)


def unmatched_movements(site: Site, period: Period) -> dict[str, int]:
    """Sum up, per currency, what moved on Stripe's balance in the period, and no line of the ledger names."""
    accounts = [account for (account,) in fetch(COUNTED_ACCOUNTS, {"site": site.pk})]
    moved = unmatched(*accounts).filter(created_at__gte=period.start_at, created_at__lt=period.end_at)
    return dict(moved.order_by().values_list("currency").annotate(Sum("amount")))


def unread(connected: Sequence[Connection]) -> set[str]:
    """Name Stripe's lists that are not read although movements of money are: mostly, the key may not read them."""
    accounts = [each.account_id for each in connected if each.status != Status.DISCONNECTED]
    covered: dict[int, dict[str, dt.datetime]] = {account: {} for account in accounts}
    for stream in Stream.objects.filter(account__in=accounts):
        if stream.covered_to:
            covered[stream.account_id][stream.name] = stream.covered_to
    return {
        name
        for of in covered.values()
        for name in LISTS
        if "balance_transaction" in of
        and (name not in of or of[name] < of["balance_transaction"] - streams.SWEEP_EVERY - streams.LOOK_BACK)
    }


def unpaid_checkouts(site: Site, period: Period) -> int:
    """Count the checkouts of the period that were completed with nothing to pay."""
    ((count,),) = fetch(
        f"""
        SELECT count(*) FROM revenue_checkoutsession
        WHERE account_id IN ({COUNTED_ACCOUNTS}) AND created_at >= %(start)s AND created_at < %(end)s
          AND status = 'complete' AND payment_status = 'no_payment_required' AND mode <> 'setup'
        """,
        {"site": site.pk, "start": period.start_at, "end": period.end_at},
    )
    return int(count)


def outside_stripe(site: Site, period: Period) -> dict[str, int]:
    """Sum up, per currency, what invoices were marked as paid with money that never came to Stripe: no revenue."""
    return dict(
        fetch(
            f"""
            SELECT currency, sum(amount_paid)::bigint FROM revenue_invoicepayment
            WHERE account_id IN ({COUNTED_ACCOUNTS}) AND type = 'payment_record' AND status = 'paid'
              AND created_at >= %(start)s AND created_at < %(end)s
            GROUP BY currency
            """,
            {"site": site.pk, "start": period.start_at, "end": period.end_at},
        )
    )


def kept_since(site: Site) -> dt.datetime | None:
    """Tell from when on it is kept what the site's ledger said before; None if it is not yet."""
    ((moment,),) = fetch(
        f"SELECT min(kept_since_at) FROM revenue_stripeaccount WHERE id IN ({COUNTED_ACCOUNTS})", {"site": site.pk}
    )
    return cast("dt.datetime | None", moment)


def fingerprint(site: Site) -> str:
    """Give a text that changes when the site's ledger or a decision about it does, and only then."""
    found = fetch(
        f"SELECT id, edition FROM revenue_stripeaccount WHERE id IN ({COUNTED_ACCOUNTS}) ORDER BY id",
        {"site": site.pk},
    )
    return "-".join(f"{account}.{edition}" for account, edition in found)


def totals(asked: Asked, model: Model, basis: Basis = AS_PAID) -> list[Totals]:
    """Sum up the period, a row per currency, the one with most orders first; after them what is not settled yet."""
    lines, parameters = named_lines(asked, model, basis)
    found = fetch(
        f"""
        WITH {lines}
        SELECT currency, is_open, decided, decided_for, charge = '' AS is_alone, {SUMS},
               coalesce(-sum(amount) FILTER (WHERE kind = 'payment_failure'), 0)::bigint AS failed,
               coalesce(-sum(amount) FILTER (WHERE kind = 'fee'), 0)::bigint AS fees,
               count(*) FILTER (WHERE kind = 'charge' AND is_renewal) AS renewals,
               coalesce(sum(amount) FILTER (WHERE kind IN ('charge', 'capture') AND is_renewal), 0)::bigint AS renewed,
               coalesce(sum(amount) FILTER (WHERE is_unbooked AND kind NOT IN ('fee', 'pending')), 0)::bigint
                   AS unbooked
        FROM lines GROUP BY currency, is_open, decided, decided_for, is_alone ORDER BY orders DESC, decided
        """,
        parameters,
    )
    sums: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    reasons: dict[tuple[str, bool], list[Unattributed]] = defaultdict(list)
    for currency, is_open, decided, decided_for, is_alone, gross, refunded, disputed, net, orders, *others in found:
        failed, fees, renewals, renewed, unbooked = others
        of = sums[currency, is_open]
        of.update(unbooked=unbooked)
        if decided == "" and decided_for != asked.site.pk:
            of.update(elsewhere=net)
            continue
        if decided != "" and (orders or net):
            reason = None if is_alone else Reason(decided or Reason.WAITING)
            reasons[currency, is_open].append(Unattributed(reason, orders, net))
        of.update(gross=gross, refunded=refunded, disputed=disputed, failed=failed, fees=fees, orders=orders)
        of.update(renewals=renewals, renewed=renewed)
        if decided == "":
            of.update(attributed=net, purchases=orders - renewals)
        else:
            of.update(unattributed=net)
    answer = [
        Totals(
            currency=currency,
            is_open=is_open,
            **{name: of[name] for name in COUNTED},
            reasons=tuple(reasons[currency, is_open]),
        )
        for (currency, is_open), of in sums.items()
    ]
    return sorted(answer, key=lambda row: (row.is_open, -row.orders, row.currency))


def breakdown(
    asked: Asked, by: str, model: Model, currency: str, limit: int | None = None, basis: Basis = AS_PAID
) -> Breakdown:
    """Split the period by one of DIMENSIONS or KINDS: what each value earned, best first, with its visitors.

    The rows, the others and the unattributed together are the net of `totals`. A kind is known of what is credited
    to no visit, too, and no visitor has one: there is nothing unattributed then, and nobody is counted.
    """
    value, joined = KINDS.get(by, (f"decision.{by}", ""))
    nobody = Relation("SELECT ''::text AS value, 0::bigint AS visitors WHERE false", [])
    visits = nobody if by in KINDS else counting.by_value(DIMENSIONS[by], asked, ["visitors"])
    counted, counted_parameters = visits.named("counted")
    lines, parameters = named_lines(asked, model, basis, value, joined)
    found = fetch(
        f"""
        WITH {lines},
        money AS (
            SELECT credit = 'nobody' AND NOT %(is_kind)s AS is_nobody,
                   CASE WHEN credit = 'site' OR %(is_kind)s THEN value ELSE '' END AS value, {SUMS}
            FROM lines
            WHERE currency = %(currency)s AND NOT is_open AND credit <> 'elsewhere' AND kind NOT IN ('fee', 'pending')
            GROUP BY 1, 2
        ),
        -- With enough of these no other value is shown, and the visitors of all others are counted in one.
        best AS (
            SELECT value FROM money WHERE NOT is_nobody AND net > 0 ORDER BY net DESC, value LIMIT %(limit)s
        ),
        audience AS (
            SELECT false AS is_nobody, value, value IS NULL AS is_rest, sum(visitors)::bigint AS visitors
            FROM (
                SELECT CASE WHEN (SELECT count(*) FROM best) IS DISTINCT FROM %(limit)s
                              OR value IN (SELECT value FROM best) THEN value END AS value, visitors
                FROM ({counted}) counted
            ) told GROUP BY value
        ),
        earned AS (
            SELECT is_nobody, coalesce(is_rest, false) AS is_rest, value COLLATE "C" AS value,
                   coalesce(gross, 0) AS gross, coalesce(refunded, 0) AS refunded, coalesce(disputed, 0) AS disputed,
                   coalesce(net, 0) AS net, coalesce(orders, 0) AS orders, coalesce(visitors, 0) AS visitors
            FROM money FULL JOIN audience USING (is_nobody, value)
        ),
        shown AS (
            SELECT * FROM earned WHERE NOT is_nobody AND NOT is_rest
            ORDER BY net DESC, visitors DESC, value LIMIT %(limit)s
        )
        SELECT 'value' AS part, value, gross, refunded, disputed, net, orders, visitors FROM shown
        UNION ALL
        SELECT 'others', '', {", ".join(f"sum(sign * {name})::bigint" for name in FIGURES)}
        FROM (SELECT 1 AS sign, * FROM earned WHERE NOT is_nobody UNION ALL SELECT -1, * FROM shown) rest
        HAVING sum(sign) > 0
        UNION ALL
        SELECT 'nobody', '', gross, refunded, disputed, net, orders, visitors FROM earned WHERE is_nobody
        ORDER BY net DESC, visitors DESC, value
        """,
        {**parameters, **counted_parameters, "currency": currency, "limit": limit, "is_kind": by in KINDS},
    )
    parts = defaultdict(list)
    for part, name, *figures in found:
        parts[part].append(Row(name, currency, *figures))
    others, unattributed = parts["others"], parts["nobody"]
    return Breakdown(tuple(parts["value"]), others[0] if others else None, unattributed[0] if unattributed else None)


def over_time(asked: Asked, model: Model, currency: str, bucket: Bucket, basis: Basis = AS_PAID) -> list[Row]:
    """Give a row for each hour, day, week or month that the period touches, in order.

    Its value is the span's first moment in the site's zone, as ISO writes it. An hour that the clocks repeat is one.
    """
    is_hourly = bucket is Bucket.HOUR
    visits = fresh_visits(asked, asked.period.start_at, "day", day=HOUR_OF_VISIT) if is_hourly else None
    counted, counted_parameters = (visits or counting.by_day(asked)).named("counted")
    lines, parameters = named_lines(asked, model, basis)
    found = fetch(
        f"""
        WITH {lines},
        money AS (
            SELECT date_trunc(%(bucket)s, occurred_at AT TIME ZONE %(zone)s) AS moment, {SUMS}
            FROM lines WHERE currency = %(currency)s AND NOT is_open AND credit <> 'elsewhere' GROUP BY 1
        ),
        audience AS (
            SELECT date_trunc(%(bucket)s, day::timestamp) AS moment, sum(visitors)::bigint AS visitors
            FROM ({counted}) counted GROUP BY 1
        )
        SELECT moment, coalesce(gross, 0), coalesce(refunded, 0), coalesce(disputed, 0), coalesce(net, 0),
               coalesce(orders, 0), coalesce(visitors, 0)
        FROM money FULL JOIN audience USING (moment)
        """,
        {
            **parameters,
            **counted_parameters,
            "currency": currency,
            "zone": asked.period.zone.key,
            "bucket": bucket.value,
        },
    )
    known = {moment: figures for moment, *figures in found}
    return [
        Row(_written(moment, bucket), currency, *known.get(moment, [0] * 6)) for moment in starts(asked.period, bucket)
    ]


def _written(moment: dt.datetime, bucket: Bucket) -> str:
    return moment.isoformat() if bucket is Bucket.HOUR else moment.date().isoformat()


def by_day(asked: Asked, model: Model, currency: str) -> list[Row]:
    """Give a row for each day of the period, in order; its value is the day as an ISO date."""
    return over_time(asked, model, currency, Bucket.DAY)


def payments(
    asked: Asked,
    model: Model,
    page: int = 1,
    search: str = "",
    per_page: int | None = 20,
    known_at: dt.datetime | None = None,
) -> Payments:
    """List the charges of the period with their decisions; `search` is the id of one, or its session or view.

    Amounts are those of each payment's own currency. `per_page=None` gives all of them as one page.
    """
    basis = Basis(known_at=known_at)
    lines, parameters = named_lines(asked, model, basis, "decision")
    found = fetch(
        f"""
        WITH {lines},
        charges AS (
            SELECT lines.occurred_at, lines.account_id, lines.charge, lines.currency, lines.amount,
                   lines.reason, value AS decision, charge.payment_intent
            FROM lines
            LEFT JOIN revenue_charge charge
              ON charge.account_id = lines.account_id AND charge.stripe_id = lines.charge
            WHERE kind = 'charge' AND credit <> 'elsewhere'
              AND (%(search)s = '' OR %(search)s IN (lines.charge, charge.payment_intent)
                  OR lower(%(search)s) IN ((value).view_id::text, lower((value).carried_id)) OR EXISTS (
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
            SELECT {SUMS} FROM {ledger(basis)} line
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

"""How the reading of Stripe stands, in figures for Prometheus: from the database, so every server tells the same.

No question here reads more of the mirror than a week of one account's payments.
"""

import datetime as dt
from collections.abc import Iterator

from django.db import connection
from django.db.models import Count, Sum
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from revenue.attribution import Model, Reason
from revenue.models import Connection, Finding, ReadCount, Stream

ACCOUNT = ("account", "mode")
READ_DAYS = 30
PAYMENT_DAYS = 7
# Charges by the time of their making and decisions by their charge: each has its index.
PAYMENTS = """
SELECT account.acct_id, CASE WHEN account.livemode THEN 'live' ELSE 'test' END,
    CASE decision.reason WHEN '' THEN 'credited' ELSE coalesce(decision.reason, %(waiting)s) END, count(*)
FROM revenue_stripeaccount AS account
JOIN revenue_charge AS charge ON charge.account_id = account.id AND charge.created_at >= %(since)s
    AND charge.status = 'succeeded'
LEFT JOIN revenue_attribution AS decision ON decision.account_id = account.id AND decision.charge = charge.stripe_id
    AND decision.model = %(model)s
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


class RevenueMetrics(Collector):
    """Asks at each collecting. Raises DatabaseError."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        yield from self._connections()
        yield self._streams()
        yield self._reads()
        yield from self._findings()
        yield self._payments()

    def _connections(self) -> Iterator[Metric]:
        status = GaugeMetricFamily(
            "humblytics_stripe_connection", "1, with how the connection stands.", labels=["site", *ACCOUNT, "status"]
        )
        lag = GaugeMetricFamily(
            "humblytics_sync_lag_seconds",
            "How long ago the account was last read to the end, by its connection.",
            labels=["site", *ACCOUNT],
        )
        for each in Connection.objects.select_related("site", "account").order_by("site", "account"):
            names = [each.site.domain, each.account.acct_id, each.account.mode]
            status.add_metric([*names, each.status], 1)
            if each.synced_at:
                lag.add_metric(names, (self._now - each.synced_at).total_seconds())
        yield from (status, lag)

    def _streams(self) -> Metric:
        covered = GaugeMetricFamily(
            "humblytics_stream_covered_timestamp_seconds",
            "Every object of the list made before this moment was seen; Unix time.",
            labels=[*ACCOUNT, "stream"],
        )
        rows = Stream.objects.exclude(covered_to=None).select_related("account").order_by("account", "name")
        for row in rows:
            assert row.covered_to
            covered.add_metric([row.account.acct_id, row.account.mode, row.name], row.covered_to.timestamp())
        return covered

    def _reads(self) -> Metric:
        reads = GaugeMetricFamily(
            "humblytics_stripe_reads", "Requests to Stripe in the last days (UTC).", labels=[*ACCOUNT, "days"]
        )
        today = self._now.astimezone(dt.UTC).date()
        for days in (1, READ_DAYS):
            rows = ReadCount.objects.filter(read_on__gt=today - dt.timedelta(days=days))
            counted = rows.values_list("account__acct_id", "account__livemode").annotate(Sum("reads"))
            for acct_id, livemode, count in counted.order_by("account__acct_id", "account__livemode"):
                reads.add_metric([acct_id, _mode(livemode), str(days)], count)
        return reads

    def _findings(self) -> Iterator[Metric]:
        labels = [*ACCOUNT, "kind"]
        found = CounterMetricFamily(
            "humblytics_findings", "What was ever not as it should be, by kind, such as healed.", labels=labels
        )
        still = GaugeMetricFamily(
            "humblytics_findings_open", "What is not as it should be now, by kind, such as unmatched.", labels=labels
        )
        for family, rows in ((found, Finding.objects.all()), (still, Finding.objects.filter(gone_at=None))):
            counted = rows.values_list("account__acct_id", "account__livemode", "kind").annotate(Count("pk"))
            for acct_id, livemode, kind, count in counted.order_by("account__acct_id", "account__livemode", "kind"):
                family.add_metric([acct_id, _mode(livemode), kind], count)
            yield family

    def _payments(self) -> Metric:
        payments = GaugeMetricFamily(
            "humblytics_payments_7_days",
            "Payments of the last 7 days, by whether a visit is credited with them, or why not.",
            labels=[*ACCOUNT, "outcome"],
        )
        since = self._now - dt.timedelta(days=PAYMENT_DAYS)
        with connection.cursor() as cursor:
            cursor.execute(
                PAYMENTS, {"since": since, "model": str(Model.LAST_NON_DIRECT), "waiting": str(Reason.WAITING)}
            )
            for acct_id, mode, outcome, count in cursor.fetchall():
                payments.add_metric([acct_id, mode, outcome], count)
        return payments


def _mode(livemode: bool) -> str:
    return "live" if livemode else "test"

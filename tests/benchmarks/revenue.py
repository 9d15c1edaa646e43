"""How long each panel of the Revenue page takes on a site with many visits and payments.

    uv run --group dev python -m tests.benchmarks.revenue [--visits 1000000] [--payments 50000] [--folder KEPT]

Makes the site as tests.benchmarks.panels does, pays for some of its visits over twelve months, and asks for each
panel as a browser would, with 12 months. Times are medians of several requests in milliseconds, whole pages with
session, templates and all; the yardstick is a fixed query, timed between them. With --folder the database is kept
there, and another run measures without making it again.
"""

import argparse
import datetime as dt
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.panels import YARDSTICK, made, median, run
from tests.benchmarks.setup import begin, pages_of, say

MOST = 300
# The page gives its panels the currency that it has chosen.
PERIODS = {
    "12mo": "period=12mo&versus=none&currency=eur",
    "12mo, compared": "period=12mo&currency=eur",
    "12mo, settled": "period=12mo&versus=none&amounts=settled&currency=eur",
    "12mo, as of a day": "period=12mo&versus=none&as_of={then}&currency=eur",
    "12mo, one filter": "period=12mo&versus=none&is.country=DE&currency=eur",
}

# Every visit of some is paid on its last page; a tenth of the payments are credited to nobody, one in fifty refunded.
PAID = """
CREATE TEMPORARY TABLE paid AS
SELECT 'ch_bench' || row_number() OVER () AS charge, v.*, 500 + floor(random() * 20000)::bigint AS amount,
    random() < 0.1 AS is_nobodys, random() < 0.02 AS is_refunded
-- Drawn first, because random() in one statement with ORDER BY random() is what it was sorted by.
FROM (SELECT * FROM tracking_visit WHERE site_id = %(site)s ORDER BY random() LIMIT %(payments)s) v
"""
SESSIONS = """
INSERT INTO revenue_checkoutsession (account_id, stripe_id, created_at, observed_at, mode, status, payment_status,
    currency, amount_total, payment_intent, subscription, recovered_from, view_id, client_reference_id)
SELECT %(account)s, 'cs_' || charge, last_at, last_at, 'payment', 'complete', 'paid', 'eur', amount, 'pi_' || charge,
    '', '', '', '' FROM paid
"""
MOVEMENTS = """
INSERT INTO revenue_balancetransaction (account_id, stripe_id, created_at, observed_at, type, reporting_category,
    source, charge, amount, fee, net, currency, balance_type)
SELECT %(account)s, kind || '_' || charge, last_at, last_at, kind, kind, charge, charge, sign * amount,
    0.03 * amount * (sign + 1) / 2, 0, 'eur', 'payments'
FROM paid CROSS JOIN (VALUES ('charge', 1, false), ('refund', -1, true)) AS k (kind, sign, is_refund)
WHERE is_refunded OR NOT is_refund
"""
CHARGES = """
INSERT INTO revenue_charge (account_id, stripe_id, created_at, observed_at, status, captured, amount, amount_captured,
    amount_refunded, currency, payment_intent, balance_transaction, failure_balance_transaction, view_id)
SELECT %(account)s, charge, last_at, last_at, 'succeeded', true, amount, amount, 0, 'eur', 'pi_' || charge,
    'charge_' || charge, '', '' FROM paid
"""
LINES = """
INSERT INTO revenue_ledgerline (account_id, key, kind, amount, currency, occurred_at, charge, balance_transaction)
SELECT %(account)s, kind || ':' || charge, kind, sign * amount, 'eur', last_at, charge,
    CASE WHEN is_refund THEN 'refund_' ELSE 'charge_' END || charge
FROM paid
CROSS JOIN (VALUES ('charge', 1.0, false), ('fee', -0.03, false), ('refund', -1.0, true)) AS k (kind, sign, is_refund)
WHERE is_refunded OR NOT is_refund
"""
DECISIONS = """
INSERT INTO revenue_attribution (account_id, charge, model, rules_version, decided_at, reason, evidence, is_renewal,
    site_id, carried_id, view_id, visit_id, visitor, viewed_at, page, landing_page, channel, source, referrer,
    utm_source, utm_medium, utm_campaign, utm_term, utm_content, country, region, city, browser, os, device, variants)
SELECT %(account)s, charge, model, 3, last_at, CASE WHEN is_nobodys THEN 'no_id' ELSE '' END, 'session_metadata', false,
    CASE WHEN NOT is_nobodys THEN site_id END, '', NULL, CASE WHEN NOT is_nobodys THEN id END,
    CASE WHEN NOT is_nobodys THEN visitor END, last_at, exit_path, entry_path,
    channel, source, referrer, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country, region, city, browser, os, device, '{}'
FROM paid CROSS JOIN (VALUES ('last_non_direct'), ('last'), ('first')) AS m (model)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visits", type=int, default=1_000_000)
    parser.add_argument("--payments", type=int, default=50_000)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    begin(asked.folder, ALLOWED_HOSTS="testserver")
    from sites.models import Site  # noqa: PLC0415

    site = Site.objects.filter(domain=f"of-{asked.visits}.example").first() or made(asked.visits)
    pay(site, asked.payments)
    report(site)


def pay(site: Any, payments: int) -> None:
    from django.utils import timezone  # noqa: PLC0415

    from revenue.models import Connection, StripeAccount  # noqa: PLC0415

    account, is_new = StripeAccount.objects.get_or_create(acct_id="acct_bench", livemode=True)
    if not is_new:
        return
    now = timezone.now()
    StripeAccount.objects.update(kept_since_at=now - dt.timedelta(days=366))
    Connection.objects.create(site=site, account=account, connected_at=now, synced_at=now)
    told = {"site": site.pk, "account": account.pk, "payments": payments}
    for statement in (PAID, SESSIONS, CHARGES, MOVEMENTS, LINES, DECISIONS):
        run(statement, told)
    run("VACUUM ANALYZE")
    say(f"{payments:,} payments made")


def report(site: Any) -> None:
    yardsticks = []
    then = (dt.datetime.now(dt.UTC) - dt.timedelta(days=60)).date().isoformat()
    say(f"medians in ms{'':21}" + "".join(f"{span:>20}" for span in [*PERIODS, "yardstick"]))
    slow = []
    for name, ask in requests(site):
        told = {span: query.format(then=then) for span, query in PERIODS.items()}
        times = {span: median(lambda ask=ask, query=query: ask(query)) for span, query in told.items()}
        yardsticks.append(median(lambda: run(YARDSTICK)))
        say(f"{name:34}" + "".join(f"{took:>20.0f}" for took in [*times.values(), yardsticks[-1]]))
        slow += [f"{name} {span} ({took:.0f} ms)" for span, took in times.items() if took >= MOST]
    say(f"yardstick {statistics.median(yardsticks):.0f} ms; not under {MOST} ms: {', '.join(slow) or 'none'}")


def requests(site: Any) -> Iterator[tuple[str, Callable[[str], object]]]:
    """Give each address of the page, as a function of its query."""
    from revenue import tables  # noqa: PLC0415

    page = pages_of(site)
    for name in (
        "",
        "totals/",
        "over-time/",
        "changes/",
        "coverage/",
        "payments/",
        *(f"{panel}/" for panel in tables.PANELS),
        "details/referrers/",
    ):
        yield name or "whole page", page(f"revenue/{name}")
    yield "split tests", page("split-tests/revenue/")


if __name__ == "__main__":
    main()

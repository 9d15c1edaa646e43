"""How long the results of a split test take that very many visitors have seen.

    uv run --group dev python -m tests.benchmarks.split_tests [--visitors 1000000] [--payments 20000] [--folder KEPT]

Makes a test that has run for four weeks in a database of its own in a temporary folder, and asks for its page and for
each of its parts as a browser would. Times are medians of several requests in milliseconds, with session, templates
and all; the yardstick is a fixed query, timed between them. With --folder the database is kept there, and another
run measures without making it again.
"""

import argparse
import datetime as dt
import statistics
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.panels import YARDSTICK, median, run
from tests.benchmarks.revenue import CHARGES, DECISIONS, LINES
from tests.benchmarks.setup import begin, pages_of, say

MOST = 500
DOMAIN = "tested.example"

VISITS = """
INSERT INTO tracking_visit (
    site_id, id, visitor, started_at, last_at, views, entry_path, exit_path, hostname, channel, source, referrer,
    utm_source, utm_medium, utm_campaign, utm_term, utm_content, click_id, country, region, city, browser, os, device,
    variants)
SELECT %(site)s, gen_random_uuid(), gen_random_uuid(), at, at, 1, '/pricing', '/pricing', 'tested.example',
    (ARRAY['Direct', 'Organic Search', 'Referral', 'Email', 'Paid Search'])[1 + floor(random() * 5)::int],
    '', '', '', '', '', '', '', '', (ARRAY['DE', 'US', 'FR', 'GB', 'AT', 'CH'])[1 + floor(random() * 6)::int],
    '', '', 'Chrome', 'Windows', (ARRAY['Desktop', 'Mobile', 'Tablet'])[1 + floor(random() * 3)::int],
    ARRAY[%(control)s + n %% 2]
FROM (
    SELECT n, %(start)s + (n::float8 / %(visitors)s) * (%(end)s - %(start)s) AS at
    FROM generate_series(1, %(visitors)s) AS n
) drawn
"""
# One visitor in three sees the page again, and of those one in a hundred another variant.
VIEWS = """
INSERT INTO tracking_view (site_id, id, visit_id, visitor, at, hostname, path, variants)
SELECT site_id, gen_random_uuid(), id, visitor, started_at + n * interval '40 seconds', hostname, '/pricing',
    CASE WHEN n = 1 AND random() < 0.01 THEN ARRAY[2 * %(control)s + 1 - variants[1]] ELSE variants END
FROM (SELECT *, random() < 0.33 AS is_back FROM tracking_visit WHERE site_id = %(site)s) visits
CROSS JOIN generate_series(0, 1) AS n
WHERE n = 0 OR is_back
"""
PAID = """
CREATE TEMPORARY TABLE paid AS
SELECT 'ch_bench' || row_number() OVER () AS charge, v.*, 500 + floor(exp(random() * 9))::bigint AS amount,
    false AS is_nobodys, random() < 0.02 AS is_refunded
FROM tracking_visit v WHERE site_id = %(site)s ORDER BY random() LIMIT %(payments)s
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visitors", type=int, default=1_000_000)
    parser.add_argument("--payments", type=int, default=20_000)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    begin(asked.folder, ALLOWED_HOSTS="testserver")
    from sites.models import Site  # noqa: PLC0415

    site = Site.objects.filter(domain=DOMAIN).first() or made(asked.visitors, asked.payments)
    report(site)


def made(visitors: int, payments: int) -> Any:
    from django.utils import timezone  # noqa: PLC0415

    from revenue.models import Connection, StripeAccount  # noqa: PLC0415
    from sites.models import Site  # noqa: PLC0415
    from splittests.exposures import gather  # noqa: PLC0415
    from splittests.models import SplitTest, State  # noqa: PLC0415

    began = time.monotonic()
    now = timezone.now()
    start = now - dt.timedelta(days=28)
    site = Site.objects.create(domain=DOMAIN, timezone="Europe/Berlin")
    test = SplitTest.objects.create(
        site=site,
        name="Pricing",
        key="pricing",
        pages=["/pricing"],
        currency="eur",
        started_at=start,
        window_days=7,
        cap_percentile=99,
    )
    control = test.variants.create(name="Control")
    test.variants.create(name="B")
    SplitTest.objects.update(state=State.RUNNING)
    told = {"site": site.pk, "control": control.pk, "visitors": visitors, "start": start, "end": now}
    for statement in (VISITS, VIEWS):
        run(statement, told)
    account = StripeAccount.objects.create(acct_id="acct_bench", livemode=True)
    Connection.objects.create(site=site, account=account, connected_at=start, synced_at=now)
    for statement in (PAID, CHARGES, LINES, DECISIONS):
        run(statement, {"site": site.pk, "account": account.pk, "payments": payments})
    run("VACUUM ANALYZE")
    say(f"{visitors:,} visitors and {payments:,} payments made in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    gather(test)
    say(f"and gathered in {time.monotonic() - began:.0f} s")
    run("VACUUM ANALYZE")
    return site


def report(site: Any) -> None:
    from splittests.models import SplitTest  # noqa: PLC0415

    page = pages_of(site)
    test = SplitTest.objects.for_site(site).get()
    slow, yardsticks = [], []
    results = f"split-tests/{test.pk}/"
    parts = ("over-time/", "breakdown/device/", "breakdown/country/", "results.json")
    for name in ("split-tests/", results, *(f"{results}{part}" for part in parts)):
        ask = page(name)
        took = median(lambda ask=ask: ask(""))
        yardsticks.append(median(lambda: run(YARDSTICK)))
        say(f"{name:40}{took:8.0f} ms")
        slow += [name] if took >= MOST else []
    say(f"yardstick {statistics.median(yardsticks):.0f} ms; not under {MOST} ms: {', '.join(slow) or 'none'}")


if __name__ == "__main__":
    main()

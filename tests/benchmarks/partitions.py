"""What partitions by month would cost and spare, of the table that grows most: that of the views.

    uv run --group dev python -m tests.benchmarks.partitions [--views 5000000]

Makes the views of twelve months in the table as it is, and once more in one with the same columns and indexes that is
partitioned by month, whose key must then contain the time. Each is asked the same in turn: to take batches of new hits,
each looked up first by its id as a hit that may have come before, to count the pages of a month and of all months, and
to let the oldest month go. Times are medians in milliseconds; the yardstick is a fixed query, timed between them.
"""

import argparse
import datetime as dt
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

from tests.benchmarks.panels import NTH, RUNS, YARDSTICK, median, run
from tests.benchmarks.setup import begin, say

ONE, MONTHLY = "tracking_view", "by_month"
COLUMNS = "site_id, id, visit_id, visitor, at, hostname, path, variants, engaged_ms, scrolled"
# The time's milliseconds come first, as in the ids that browsers make.
DRAWN = f"""
SELECT %(site)s, (
        lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || substr(md5(random()::text), 1, 20)
    )::uuid, gen_random_uuid(), gen_random_uuid(), at, 'bench.example', '/articles/' || {NTH.format(50_000)},
    '{{}}'::int[], (random() * 60000)::int, (random() * 100)::int
"""
HISTORY = f"""
INSERT INTO tracking_view ({COLUMNS})
{DRAWN} FROM (
    SELECT %(start)s + (n::float8 / %(views)s) * (%(end)s - %(start)s) AS at FROM generate_series(1, %(views)s) AS n
) drawn
"""
BATCH = 64
# As the recorder does: whether the view is there already, and only then the new row.
HITS = f"""
WITH hit ({COLUMNS}) AS MATERIALIZED (
    {DRAWN} FROM (SELECT now() - random() * interval '1 second' AS at FROM generate_series(1, {BATCH})) drawn
)
INSERT INTO TABLE_ ({COLUMNS}) SELECT hit.* FROM hit
WHERE NOT EXISTS (SELECT FROM TABLE_ known WHERE known.site_id = hit.site_id AND known.id = hit.id)
"""
PAGES = """
SELECT path, count(*), count(DISTINCT visitor) FROM TABLE_ WHERE site_id = %(site)s AND at >= %(start)s AND at < %(end)s
GROUP BY path ORDER BY 2 DESC LIMIT 10
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--views", type=int, default=5_000_000)
    asked = parser.parse_args()
    begin()
    end = dt.datetime.now(dt.UTC)
    first = (end - dt.timedelta(days=365)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = [first]
    while months[-1] <= end:
        months.append((months[-1] + dt.timedelta(days=31)).replace(day=1))
    site = make(months, end, asked.views)
    say(f"{'medians in ms':40}{'one table':>12}{'by month':>12}{'yardstick':>12}")
    every = {"site": site, "start": first, "end": end}
    month = every | {"start": end - dt.timedelta(days=30)}
    told(f"{BATCH} hits, looked up and committed", lambda table: run(HITS.replace("TABLE_", table), every), times=200)
    told("the pages of 30 days", lambda table: run(PAGES.replace("TABLE_", table), month))
    told("the pages of all months", lambda table: run(PAGES.replace("TABLE_", table), every))
    told("the oldest month let go", lambda table: let_go(table, site, months[1]), times=1)


def let_go(table: str, site: int, before: dt.datetime) -> None:
    if table == ONE:
        run(f"DELETE FROM {table} WHERE site_id = %(site)s AND at < %(before)s", {"site": site, "before": before})
        run(f"VACUUM {table}")
    else:
        run(f"DROP TABLE {table}_0")


def make(months: list[dt.datetime], end: dt.datetime, views: int) -> int:
    """Give the number of the site whose views they are."""
    from sites.models import Site  # noqa: PLC0415

    site, began = Site.objects.create(domain="bench.example").pk, time.monotonic()
    run(HISTORY, {"site": site, "start": months[0], "end": end, "views": views})
    run("CREATE TABLE by_month (LIKE tracking_view INCLUDING DEFAULTS) PARTITION BY RANGE (at)")
    run("ALTER TABLE by_month ADD PRIMARY KEY (site_id, id, at)")
    run("CREATE INDEX ON by_month (site_id, at)")
    run("CREATE INDEX ON by_month (site_id, at) WHERE NOT variants = '{}'")
    for number, (first, last) in enumerate(pairwise(months)):
        run(f"CREATE TABLE by_month_{number} PARTITION OF by_month FOR VALUES FROM ('{first}') TO ('{last}')")
    run(f"INSERT INTO by_month ({COLUMNS}) SELECT {COLUMNS} FROM tracking_view")
    run("VACUUM ANALYZE")
    say(f"{views:,} views of {len(months) - 1} months made twice in {time.monotonic() - began:.0f} s")
    return int(site)


def told(what: str, ask: Callable[[str], object], times: int = RUNS) -> None:
    """Ask both in turn, so that what else the machine does hits both alike."""
    taken: dict[str, list[float]] = {ONE: [], MONTHLY: []}
    for _ in range(times):
        for table, kept in taken.items():
            began = time.perf_counter()
            ask(table)
            kept.append((time.perf_counter() - began) * 1000)
    figures = (*map(statistics.median, taken.values()), median(lambda: run(YARDSTICK)))
    say(f"{what:40}" + "".join(f"{figure:12,.1f}" for figure in figures))


if __name__ == "__main__":
    main()

"""How long each panel of the dashboard takes on sites of several sizes, and how much disk a view takes.

    uv run --group dev python -m tests.benchmarks.panels [--visits 100000,1000000] [--folder KEPT]

Makes sites with twelve months of visits in a database of its own in a temporary folder, counts their days as the
hourly task does, and asks for each panel as a browser would, with the last 30 days and 12 months. Times are medians
of several requests in milliseconds, whole pages with session, templates and all. The yardstick is a fixed query,
timed between the panels: on a slower or busier machine both grow. With --folder the database is kept there, and
another run measures without making it again.
"""

import argparse
import datetime as dt
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.setup import begin, pages_of, say

RUNS = 5
YARDSTICK = "SELECT count(*) FROM generate_series(1, 1000000)"
PERIODS = {"30d": ("period=30d", 150), "12mo": ("period=12mo", 500)}
FILTERED = {"30d, one filter": "period=30d&is.country=DE", "12mo, one filter": "period=12mo&is.country=DE"}

# Few values are frequent and many are rare: the number of one is drawn so that the n-th comes 1/n as often.
NTH = "floor(exp(random() * ln({})))::int"
PAGE = f"'/articles/' || {NTH.format(50_000)} || '-what-we-have-learnt'"

VISITS = f"""
INSERT INTO tracking_visit (
    site_id, id, visitor, started_at, last_at, views, entry_path, exit_path, hostname, channel, source, referrer,
    utm_source, utm_medium, utm_campaign, utm_term, utm_content, click_id, country, region, city, browser, os, device,
    variants)
SELECT %(site)s,
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || substr(md5(random()::text), 1, 20))::uuid,
    -- One visit in seven is not its visitor's first of the day.
    md5(at::date || '-' || floor(random() * 3 * %(visits)s / 365))::uuid,
    at, at + (views - 1) * random() * interval '3 minutes', views,
    CASE WHEN random() < 0.25 THEN '/' ELSE {PAGE} END,
    CASE WHEN random() < 0.15 THEN '/' ELSE {PAGE} END,
    CASE WHEN random() < 0.9 THEN 'bench.example' ELSE 'www.bench.example' END,
    (ARRAY['Direct', 'Organic Search', 'Referral', 'Email', 'Organic Social', 'Paid Search', 'AI Assistant',
           'Paid Social', 'Display', 'Unassigned'])[{NTH.format(10)}],
    CASE WHEN origin < 0.4 THEN '' WHEN origin < 0.7 THEN 'Google' ELSE 'source' || {NTH.format(500)} END,
    CASE WHEN origin < 0.4 THEN '' WHEN origin < 0.7 THEN 'google.com/'
         ELSE 'site' || {NTH.format(500)} || '.example/thread/' || {NTH.format(20_000)} END,
    CASE WHEN is_tagged THEN 'source' || {NTH.format(50)} ELSE '' END,
    CASE WHEN is_tagged THEN 'medium' || {NTH.format(8)} ELSE '' END,
    CASE WHEN is_tagged THEN 'campaign-' || {NTH.format(1_000)} ELSE '' END,
    CASE WHEN is_tagged THEN 'some words searched ' || {NTH.format(30_000)} ELSE '' END,
    CASE WHEN is_tagged THEN 'creative-' || {NTH.format(5_000)} ELSE '' END,
    CASE WHEN random() < 0.05 THEN 'gclid' ELSE '' END,
    (ARRAY['DE', 'US', 'FR', 'GB', 'AT', 'CH', 'NL', 'PL', 'IT', 'ES', 'SE', 'DK', 'NO', 'FI', 'CZ', 'PT', 'BE',
           'IE', 'GR', 'HU', 'RO', 'BG', 'HR', 'SI', 'SK', 'LT', 'LV', 'EE', 'CA', 'MX', 'BR', 'AR', 'CL', 'AU',
           'NZ', 'JP', 'KR', 'IN', 'ZA', 'EG', 'NG', 'KE', 'TR', 'UA', 'IL', 'AE', 'SG', 'MY', 'TH', ''])
        [{NTH.format(50)}],
    'Region ' || {NTH.format(1_500)}, 'City ' || {NTH.format(20_000)},
    (ARRAY['Chrome', 'Safari', 'Firefox', 'Edge', 'Samsung Internet', 'Opera', 'DuckDuckGo', ''])[{NTH.format(8)}],
    (ARRAY['Windows', 'iOS', 'Android', 'macOS', 'Linux', 'ChromeOS', ''])[{NTH.format(7)}],
    (ARRAY['Desktop', 'Mobile', 'Tablet', ''])[{NTH.format(4)}],
    '{{}}'
FROM (
    SELECT %(start)s + (n::float8 / %(visits)s) * (%(end)s - %(start)s) AS at, random() AS origin,
        random() < 0.2 AS is_tagged, 1 + floor(-ln(1 - random()) * 2)::int AS views
    FROM generate_series(1, %(visits)s) AS n
) drawn
"""
VIEWS = f"""
INSERT INTO tracking_view (site_id, id, visit_id, visitor, at, hostname, path, variants, engaged_ms, scrolled)
SELECT site_id,
    (lpad(to_hex((extract(epoch FROM started_at) * 1000)::bigint), 12, '0')
        || substr(md5(random()::text), 1, 20))::uuid,
    id, visitor, started_at + (last_at - started_at) * (n - 1) / greatest(views - 1, 1), hostname,
    CASE WHEN n = 1 THEN entry_path WHEN n = views THEN exit_path WHEN random() < 0.02 THEN '/thank-you'
         ELSE {PAGE} END,
    '{{}}', CASE WHEN random() < 0.7 THEN (random() * 60000)::int ELSE 0 END, (random() * 100)::int
FROM tracking_visit CROSS JOIN LATERAL generate_series(1, views) AS n WHERE site_id = %(site)s
"""
EVENTS = f"""
INSERT INTO tracking_event (site_id, id, view_id, visit_id, visitor, at, name, path, props)
SELECT site_id, gen_random_uuid(), gen_random_uuid(), id, visitor, started_at, 'event-' || {NTH.format(20)},
    entry_path, jsonb_build_object('plan', (ARRAY['free', 'pro', 'team'])[{NTH.format(3)}])
FROM tracking_visit WHERE site_id = %(site)s AND random() < 0.2
"""
GOALS = (
    ("Thanked", "page", "/thank-you"),
    ("Read about one", "page", "/articles/1*"),
    ("Signed up", "event", "event-1"),
    ("Asked", "event", "event-7"),
)
TABLES = ("visit", "view", "event", "dailycount")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visits", default="1000000", help="such as 100000,1000000,10000000")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    begin(asked.folder, ALLOWED_HOSTS="testserver")
    sizes = [int(visits) for visits in asked.visits.split(",")]
    measured = {visits: measure(visits) for visits in sizes}
    report(measured)


def measure(visits: int) -> dict[str, dict[str, float]]:
    """Give the milliseconds of each panel, by what is asked for."""
    from sites.models import Site  # noqa: PLC0415

    site = Site.objects.filter(domain=f"of-{visits}.example").first() or made(visits)
    say(f"{visits:,} visits: {sizes_on_disk(site)}")
    found: dict[str, dict[str, float]] = {}
    for name, ask in requests(site):
        for span, query in {**{key: told for key, (told, _) in PERIODS.items()}, **FILTERED}.items():
            found.setdefault(span, {})[name] = median(lambda ask=ask, query=query: ask(query))
        found.setdefault("yardstick", {})[name] = median(lambda: run(YARDSTICK))
    return found


def made(visits: int) -> Any:
    from django.utils import timezone  # noqa: PLC0415

    from sites.models import Site  # noqa: PLC0415
    from tracking.ahead import count_days  # noqa: PLC0415
    from tracking.models import Goal  # noqa: PLC0415

    now = timezone.now()
    site = Site.objects.create(domain=f"of-{visits}.example", timezone="Europe/Berlin")
    began = time.monotonic()
    told = {"site": site.pk, "visits": visits, "start": now - dt.timedelta(days=365), "end": now}
    for statement in (VISITS, VIEWS, EVENTS):
        run(statement, told)
    for name, kind, pattern in GOALS:
        Goal.objects.create(site=site, name=name, kind=kind, pattern=pattern)
    run("VACUUM ANALYZE")
    say(f"{visits:,} visits made in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    count_days(site, now)
    say(f"and counted in {time.monotonic() - began:.0f} s")
    run("VACUUM ANALYZE")
    return site


def requests(site: Any) -> Iterator[tuple[str, Callable[[str], object]]]:
    """Give everything that is asked about a site, each as a function of the address's query."""
    from django.http import QueryDict  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from tracking import questions, stats, tables  # noqa: PLC0415

    page = pages_of(site)

    def totals(query: str) -> object:
        now = timezone.now()
        question = questions.read(QueryDict(query), now, site.zone)
        return stats.totals(stats.ask(site, question.period, question.filters), now, question.against)

    def over_time(query: str) -> object:
        question = questions.read(QueryDict(query), timezone.now(), site.zone)
        return stats.over_time(stats.ask(site, question.period, question.filters), question.chart_bucket)

    yield "totals alone", totals
    yield "over time alone", over_time
    yield "dashboard (totals, chart, page)", page("")
    for card in tables.CARD_TABS:
        for name, _ in card.tabs:
            yield name, page(f"{name}/")
    yield "live visitors", page("live-visitors/")
    yield "last days", page("last-days/")
    yield "details of top-pages", page("details/top-pages/")


def median(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def sizes_on_disk(site: Any) -> str:
    views = run("SELECT count(*) FROM tracking_view")[0][0]
    told = []
    for table in TABLES:
        name = f"tracking_{table}"
        ((heap, indexes),) = run("SELECT pg_table_size(%(name)s), pg_indexes_size(%(name)s)", {"name": name})
        told.append(f"{table} {heap / views:.0f} + {indexes / views:.0f}")
    return f"bytes per view of all sites, table + indexes: {', '.join(told)}"


def run(statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def report(measured: dict[int, dict[str, dict[str, float]]]) -> None:
    for visits, spans in measured.items():
        yardstick = statistics.median(spans.pop("yardstick").values())
        say(f"\n{visits:,} visits, medians of {RUNS} in ms (yardstick {yardstick:.0f} ms)")
        say(f"{'':34}" + "".join(f"{span:>18}" for span in spans))
        for name in spans["30d"]:
            say(f"{name:34}" + "".join(f"{times[name]:>18.0f}" for times in spans.values()))
        for span, (_, most) in PERIODS.items():
            slow = {name: times for name, times in spans[span].items() if times >= most}
            worst, times = max(spans[span].items(), key=lambda one: one[1])
            say(
                f"{span}: slowest {worst}, {times:.0f} ms or {times / yardstick:.1f} yardsticks; "
                f"{len(slow)} not under {most} ms"
            )


if __name__ == "__main__":
    main()

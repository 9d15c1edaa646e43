"""How fast the history of a Stripe account is read, beside dj-stripe, and what a look at a quiet account costs.

    uv run --group dev python -m tests.benchmarks.sync [--sessions 20000] [--beside 300]

The sandbox runs in a process of its own, the database is made in a temporary folder. Read are paid sessions with
their charges, balance transactions and refunds, into rows, ledger lines and decisions: first as fast as the sandbox
answers, then with 100 ms for each answer and 100 requests a second allowed, as Stripe does with live keys. Then
dj-stripe 2.11, which uv fetches into an environment of its own, reads fewer sessions of the same kind from another
sandbox: it takes as long for each object however many there are. CPU is that of the reading process, without the
database's; memory is its peak.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.sandbox import Served, serving
from tests.benchmarks.setup import begin, say

DJ_STRIPE = "dj-stripe==2.11.0"
LATENCY, PER_SECOND = 0.1, 100
# Stripe's limit for one list. Nearly all that is read is in three: sessions, charges, and balance transactions.
PER_LIST, FULL_LISTS = 25, 3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--beside", type=int, default=300, help="sessions that dj-stripe reads")
    asked = parser.parse_args()
    begin(STRIPE_API_BASE="http://127.0.0.1:1")
    few = max(asked.sessions // 10, 1)
    with serving(few, livemode=True) as sandbox:
        backfill(sandbox, "few.example")
        say(f"peak memory after {few:,} sessions: {peak():.0f} MB")
    with serving(asked.sessions, livemode=True) as sandbox:
        objects, _, seconds, cpu = backfill(sandbox, "many.example")
        say(f"peak memory after {asked.sessions:,} sessions: {peak():.0f} MB")
        quiet_tick("many.example")
    with serving(asked.sessions, livemode=True, latency=LATENCY, per_second=PER_SECOND) as sandbox:
        slowed, reads, slow_seconds, _ = backfill(sandbox, "limited.example")
    say(
        f"with {LATENCY * 1000:.0f} ms an answer and {PER_SECOND} requests/s: {slowed / slow_seconds:,.0f} objects/s; "
        f"{reads / slow_seconds:.0f} reads/s are {reads / slow_seconds / PER_SECOND:.0%} of that limit, and "
        f"{reads / slow_seconds / PER_LIST / FULL_LISTS:.0%} of Stripe's {PER_LIST} a second for each of the lists"
    )
    with serving(asked.beside) as sandbox:
        theirs = dj_stripe(sandbox)
    say(
        f"dj-stripe takes {theirs['seconds'] / theirs['objects'] / seconds * objects:.0f} times as long for an object, "
        f"and {theirs['cpu'] / theirs['objects'] / cpu * objects:.0f} times the CPU"
    )


def backfill(sandbox: Served, domain: str) -> tuple[int, int, float, float]:
    """Connect a site and read the account's whole history; give the objects, the reads, the seconds and the CPU's."""
    from django.conf import settings  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from revenue.connecting import connect  # noqa: PLC0415
    from revenue.sync import sync  # noqa: PLC0415
    from sites.models import Site  # noqa: PLC0415

    settings.STRIPE_API_BASE = sandbox.url
    connection = connect(Site.objects.create(domain=domain), sandbox.secret_key, timezone.now())
    wall, cpu = time.perf_counter(), time.process_time()
    report = sync(connection, timezone.now(), drain=True)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert not report.error, report.error
    assert not report.unmatched_balance_transactions
    # Balance transactions come with their charges, and are then read once more in the list of charges.
    objects = sum(tally.new for tally in report.objects.values())
    told = ", ".join(f"{tally.new:,} {name}" for name, tally in report.objects.items() if tally.new)
    say(
        f"{domain}: {objects:,} objects ({told}) in {wall:.1f} s and {report.reads:,} reads: {objects / wall:,.0f} "
        f"objects/s, {cpu / objects * 1e6:.0f} µs of CPU each, {report.reads / wall:.0f} reads/s"
    )
    return objects, report.reads, wall, cpu


def quiet_tick(domain: str) -> None:
    """Look whether there is something new when there is nothing, as the beat does, and with every list read."""
    from django.utils import timezone  # noqa: PLC0415

    from revenue.models import Connection  # noqa: PLC0415
    from revenue.sync import sync  # noqa: PLC0415

    connection = Connection.objects.get(site__domain=domain)
    for name, drain in (("events only", False), ("lists too", True)):
        wall = time.perf_counter()
        report = sync(connection, timezone.now(), drain=drain)
        wall = time.perf_counter() - wall
        say(f"nothing new, {name}: {report.reads} reads, {wall * 1000:.0f} ms")


def dj_stripe(sandbox: Served) -> dict[str, Any]:
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE djstripe")
    where = connection.settings_dict
    command = ["uv", "run", "--quiet", "--no-project", "--with", DJ_STRIPE, "--with", "psycopg[binary]", "python"]
    script = Path(__file__).with_name("djstripe_sync.py")
    url = f"postgres://{where['USER']}@/djstripe?host={where['HOST']}"
    done = subprocess.run([*command, script, sandbox.url, sandbox.secret_key, url], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    theirs: dict[str, Any] = json.loads(done.stdout)
    say(
        f"dj-stripe: {theirs['objects']:,} objects ({theirs['rows']}) in {theirs['seconds']:.1f} s: "
        f"{theirs['objects'] / theirs['seconds']:,.0f} objects/s, {theirs['cpu'] / theirs['objects'] * 1e6:.0f} µs of "
        "CPU each"
    )
    return theirs


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

"""How many hits a second the server takes, each committed before it is answered.

    apt-get install -y wrk && uv run --group dev python -m tests.benchmarks.ingest \\
        [--seconds 10] [--connections 64] [--workers 1]

Starts the real server on a database of its own in a temporary folder, lets wrk send hits of many visitors, of ten
six page views, three readings of a page and one event, and counts afterwards: every view and event that was answered
202 must be a row. The machine's speed is taken out by a ratio: to a Django view of the same server that does one
trivial query. Of the processors, it tells how long server and database kept them busy for a thousand hits.
"""

import argparse
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

from tests.benchmarks.setup import begin

SCRIPT = """
local n = 0
local told = {}
function init() math.randomseed(os.time()) end
function request()
  n = n + 1
  local turn = n % 10
  -- Readings and events are of a view that was sent five hundred hits ago.
  local hit = turn >= 6 and told[(n - turn + turn % 6 - 500) % 1000]
  if not hit then
    local view = string.format("%08x-%04x-7%03x-8%03x-%012x", os.time(), math.random(0, 65535),
                               math.random(0, 4095), math.random(0, 4095), n)
    hit = { view = view, visitor = math.random(0, 20000) }
    told[n % 1000] = hit
  end
  wrk.headers["X-Forwarded-For"] = "91.64." .. math.floor(hit.visitor / 250) .. "." .. (hit.visitor % 250 + 1)
  local body = '{"site":"SITE","view":"' .. hit.view .. '","url":"https://bench.example/page/' .. n % 500 .. '"'
  if turn < 6 then
    body = body .. ',"referrer":"https://www.google.com/","variants":[]}'
  elseif turn < 9 then
    body = body .. ',"engaged":' .. math.random(1, 60000) .. ',"scrolled":' .. math.random(0, 100) .. '}'
  else
    local id = string.format("%08x-%04x-4000-8000-%012x", os.time(), math.random(0, 65535), n)
    body = body .. ',"event":"signup","id":"' .. id .. '","props":{"plan":"pro"}}'
  end
  return wrk.format("POST", "/collect", nil, body)
end
wrk.headers["Content-Type"] = "text/plain"
wrk.headers["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " ..
  "Chrome/142.0.0.0 Safari/537.36"
"""
ROWS_OF_TEN = 7


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--port", type=int, default=8790)
    asked = parser.parse_args()
    folder = begin(TRUSTED_PROXIES="127.0.0.1")
    measure(asked, folder)


def measure(asked: argparse.Namespace, folder: Path) -> None:
    from django.db import connection  # noqa: PLC0415

    from sites.models import Site  # noqa: PLC0415
    from tracking.models import Event, View, Visit  # noqa: PLC0415

    site = Site.objects.create(domain="bench.example")
    script = folder / "hits.lua"
    script.write_text(SCRIPT.replace("SITE", site.key))
    url = f"http://127.0.0.1:{asked.port}"
    command = ["-m", "uvicorn", "humblytics.asgi:application", "--port", str(asked.port), "--no-proxy-headers"]
    command += ["--no-access-log", "--log-level", "warning", "--workers", str(asked.workers)]
    server = subprocess.Popen([sys.executable, *command])
    try:
        wait_for(f"{url}/collect")
        wrk = ["wrk", "-t1", f"-c{asked.connections}", "--latency", "-s", str(script)]
        subprocess.run([*wrk, "-d2", url], check=True, capture_output=True)
        with connection.cursor() as cursor:
            # PostgreSQL does so by itself after a minute: until then it plans as for the empty tables it knew.
            cursor.execute("ANALYZE")
        before = View.objects.count() + Event.objects.count()
        postmaster = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
        busy = [busy_seconds(pid) for pid in (server.pid, postmaster)]
        done = subprocess.run([*wrk, f"-d{asked.seconds}", url], check=True, capture_output=True, text=True).stdout
        busy = [busy_seconds(pid) - at_first for pid, at_first in zip((server.pid, postmaster), busy, strict=True)]
        plain = ["wrk", "-t1", f"-c{asked.connections}", f"-d{asked.seconds}", f"{url}/readyz"]
        django = subprocess.run(plain, check=True, capture_output=True, text=True).stdout
    finally:
        server.terminate()
        server.wait()
    sys.stdout.write(done)
    found = re.search(r"(\d+) requests in", done)
    assert found
    answered, rows = int(found[1]), View.objects.count() + Event.objects.count() - before
    assert "Non-2xx" not in done, "some hits were refused"
    # Hits that were still under way when wrk stopped are rows without a counted answer.
    missing = answered * ROWS_OF_TEN // 10 - rows
    assert -2 * asked.connections <= missing <= 10, f"{answered} answered, {rows} rows"
    read = View.objects.filter(engaged_ms__gt=0).count()
    sys.stdout.write(f"{answered} answered 202, {rows} rows, {read} views read, {Visit.objects.count()} visits\n")
    by_server, by_database = (1000 * seconds / answered for seconds in busy)
    sys.stdout.write(f"processor seconds for 1,000 hits: server {by_server:.3f}, database {by_database:.3f}\n")
    ratio = per_second(done) / per_second(django)
    sys.stdout.write(f"{ratio:.1f} times what the same server answers through Django with one SELECT 1\n")


def busy_seconds(pid: int) -> float:
    """Give how long a process and all that it has started kept the processors busy until now."""
    process = psutil.Process(pid)
    ended = process.cpu_times()
    alive = [process.cpu_times() for process in (process, *process.children(recursive=True))]
    return sum(times.user + times.system for times in alive) + ended.children_user + ended.children_system


def per_second(told: str) -> float:
    found = re.search(r"Requests/sec: +([0-9.]+)", told)
    assert found
    return float(found[1])


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="OPTIONS"), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


if __name__ == "__main__":
    main()

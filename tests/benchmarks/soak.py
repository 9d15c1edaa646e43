"""Whether an installation that is in use stays as it is: memory, connections, files and the queue, minute by minute.

    apt-get install -y redis-server && uv run --group dev python -m tests.benchmarks.soak [--minutes 30] [--hits 100]

Two server processes, a worker with the beat, a PostgreSQL and a Redis of their own, and the sandbox Stripe in this
process. Visitors send so many hits a second, somebody reads the dashboard once a second, and something is sold every
ten seconds. In the end each hit that was acknowledged, and each sale, must be there, and the books must add up. The
slopes leave the first third out, in which caches fill.
"""

import argparse
import asyncio
import http.cookiejar
import itertools
import re
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis as client

from humblytics.demo import processes
from tests.benchmarks.setup import say
from tests.drills.rig import DOMAIN, Postgres, Redis, Rig, rig
from tests.tracking.load import CLIENTS, Load

# A view, an event, a reading, and now and then a view once more.
HITS_OF_A_VIEW = 3.14
EMAIL, PASSWORD = "reader@example.com", "reads all day long"
PAGES = [
    *(f"/{DOMAIN}/", f"/{DOMAIN}/?period=7d", f"/{DOMAIN}/revenue/", f"/{DOMAIN}/split-tests/", "/"),
    *(f"/{DOMAIN}/settings/revenue/", f"/{DOMAIN}/live-visitors/", "/healthz", "/readyz"),
]
SOLD_EVERY, READ_EVERY = 10, 1
MEGABYTE = 1 << 20
# Less than this in the whole time is noise.
FLAT_SHARE, FLAT_MEGABYTES = 0.05, 5


@dataclass
class Reader:
    """Somebody who is logged in and looks at one page after the other."""

    url: str
    answers: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())).open
        self._pages = itertools.cycle(PAGES)

    def log_in(self) -> None:
        with self._open(f"{self.url}/login/") as page:
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())
        assert token
        form = {"username": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        self._open(f"{self.url}/login/", urllib.parse.urlencode(form).encode()).close()

    def read(self) -> None:
        try:
            with self._open(self.url + next(self._pages), timeout=20) as page:
                page.read()
                self.answers[page.status] += 1
        except urllib.error.HTTPError as error:
            error.close()
            self.answers[error.code] += 1


@dataclass(frozen=True)
class Sample:
    """What the processes hold: megabytes and open files by name, connections to the database, messages that wait."""

    memory: dict[str, float]
    files: dict[str, int]
    connections: int
    queued: int


def all_processes(running: list[processes.Running]) -> Iterator[tuple[str, psutil.Process]]:
    for each in running:
        parent = psutil.Process(each.process.pid)
        yield each.name, parent
        for number, child in enumerate(sorted(parent.children(recursive=True), key=lambda child: child.pid), 1):
            yield f"{each.name}/{number}", child


def sample(installation: Rig, queue: client.Redis) -> Sample:
    memory, files = {}, {}
    for name, process in all_processes(installation.running):
        memory[name] = process.memory_info().rss / MEGABYTE
        files[name] = process.num_fds()
    with installation.connect() as database:
        query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
        (connections,) = database.execute(query).fetchone() or (0,)
    return Sample(memory, files, connections, queue.llen("celery"))


async def every(seconds: float, act: Callable[[], object], load: Load) -> None:
    while not load.is_over:
        began = time.monotonic()
        await asyncio.to_thread(act)
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))


async def watch(installation: Rig, load: Load, reader: Reader, queue: client.Redis, minutes: int) -> list[Sample]:
    """Tell each minute how it stands, and give what was seen."""
    samples, before, read = [], Counter[int](), Counter[int]()
    for minute in range(1, minutes + 1):
        await asyncio.sleep(60)
        now = await asyncio.to_thread(sample, installation, queue)
        samples.append(now)
        hits, pages = load.statuses - before, reader.answers - read
        before, read = load.statuses.copy(), reader.answers.copy()
        memory = ", ".join(f"{name} {size:.0f}" for name, size in now.memory.items())
        files = ", ".join(f"{name} {count}" for name, count in now.files.items())
        say(
            f"{minute:3}. {hits[202] / 60:,.0f} hits/s acknowledged, {hits.total() - hits[202]} not; "
            f"{pages[200]} pages, {pages.total() - pages[200]} errors; {now.connections} connections; "
            f"{now.queued} queued\n     MB: {memory}\n     files: {files}"
        )
    return samples


def slopes(samples: list[Sample]) -> bool:
    """Tell how each process' memory and files go, and the connections; give whether all of it is flat."""
    settled = samples[len(samples) // 3 :]
    lines: dict[str, list[float]] = defaultdict(list)
    for each in settled:
        for name, size in each.memory.items():
            lines[f"{name}, MB"].append(size)
        for name, count in each.files.items():
            lines[f"{name}, files"].append(count)
        lines["connections"].append(each.connections)
        lines["queued"].append(each.queued)
    is_flat = True
    for name, values in lines.items():
        if len(values) < 2 or len(values) < len(settled):
            say(f"{name}: the process was not there all the time")
            continue
        slope = statistics.linear_regression(range(len(values)), values).slope
        rise = slope * (len(values) - 1)
        limit = max(FLAT_MEGABYTES, FLAT_SHARE * statistics.mean(values))
        is_flat &= rise <= limit
        say(f"{name}: {slope * 60:+.1f} an hour, {min(values):.0f} to {max(values):.0f}{'' if rise <= limit else ' !'}")
    return is_flat


async def soak(installation: Rig, load: Load, reader: Reader, queue: client.Redis, minutes: int) -> list[Sample]:
    samples: list[Sample] = []

    async def story(load: Load) -> None:
        others = [every(READ_EVERY, reader.read, load), every(SOLD_EVERY, installation.sell, load)]
        tasks = [asyncio.create_task(other) for other in others]
        samples.extend(await watch(installation, load, reader, queue, minutes))
        load.is_over = True
        await asyncio.gather(*tasks)

    await load.during(story)
    return samples


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--hits", type=float, default=100, help="a second")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis = Redis(folder)
        redis.start()
        with rig(folder, postgres=Postgres(folder / "postgres"), redis=redis) as installation:
            installation.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
            installation.manage("createsuperuser", "--noinput", "--email", EMAIL)
            member = (
                "from sites.models import Membership, Role, Site, User; Membership.objects.create("
                f"user=User.objects.get(email={EMAIL!r}), site=Site.objects.get(domain={DOMAIN!r}), role=Role.OWNER)"
            )
            installation.manage("shell", "-c", member)
            installation.start_web("--workers", "2")
            installation.start_worker()
            reader = Reader(f"http://localhost:{installation.port}")
            reader.log_in()
            load = installation.load(CLIENTS * HITS_OF_A_VIEW / asked.hits)
            with client.Redis.from_url(redis.url) as queue:
                samples = asyncio.run(soak(installation, load, reader, queue, asked.minutes))
            is_flat = slopes(samples)
            end(installation, load, reader)
    if not is_flat:
        sys.exit("Not flat.")
    say("Flat.")


def end(installation: Rig, load: Load, reader: Reader) -> None:
    """Compare with what was acknowledged and sold."""
    deadline = time.monotonic() + 120
    while not installation.has_booked_all() and time.monotonic() < deadline:
        time.sleep(1)
    installation.compare(load)
    assert set(reader.answers) == {200}, reader.answers
    say(
        f"{len(load.acknowledged):,} views acknowledged and there, {len(installation.sold)} sales booked, "
        f"{reader.answers[200]:,} pages read, and everything adds up"
    )


if __name__ == "__main__":
    main()

"""What /collect has acknowledged is kept, whatever becomes of the server and of the database, under load."""

import asyncio
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from humblytics.demo import processes
from tests.stack import PROXY, connect, free_port, manage
from tests.tracking.load import LOST, Load, audit, more, until


@dataclass(frozen=True)
class Installation:
    """A database and a port for its server. Its Redis is away, which the ingest must not notice."""

    folder: Path
    environment: dict[str, str]
    port: int

    def load(self, domain: str) -> Load:
        """Give the load of a new site."""
        key = re.search(r"/js/([a-z0-9]+)\.js", manage(self.environment, "add_site", domain))
        assert key
        return Load(self.port, key[1], domain)

    def start(self) -> processes.Running:
        running = processes.start("web", processes.web(self.port), self.environment, self.folder / "log")
        processes.wait_until_answers(f"http://127.0.0.1:{self.port}/readyz", running)
        return running

    def database_processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0]))
        return [postmaster, *postmaster.children(recursive=True)]

    def kill_database(self) -> None:
        for process in self.database_processes():
            process.kill()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder, port = tmp_path_factory.mktemp("durability"), free_port()
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | {
        "VAR_DIR": str(folder),
        "BASE_URL": f"http://localhost:{port}",
        "TRUSTED_PROXIES": PROXY,
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
    }
    manage(environment, "migrate", "--verbosity", "0")
    yield Installation(folder, environment, port)
    # Servers that a signal has ended leave the database running; it stops with the last to exit by itself.
    manage(environment, "migrate", "--check")


@contextmanager
def serving(installation: Installation) -> Iterator[list[processes.Running]]:
    """The servers that were started; the last is running."""
    servers = [installation.start()]
    try:
        yield servers
    finally:
        processes.stop(servers)


def test_what_was_acknowledged_is_there_once_after_server_and_database_were_killed(installation: Installation) -> None:
    load = installation.load("killed.example")
    with serving(installation) as servers:

        async def story(load: Load) -> None:
            await more(load)
            servers[-1].process.send_signal(signal.SIGKILL)
            await until(lambda: load.statuses[LOST] > 0)
            servers.append(await asyncio.to_thread(installation.start))
            await more(load)
            refused = load.statuses[503]
            installation.kill_database()
            await until(lambda: load.statuses[503] > refused)
            # The server starts its database again by itself.
            await more(load)

        asyncio.run(load.during(story))
        assert set(load.statuses) == {202, 503, LOST}
        with connect(installation.folder) as database:
            compare(load, database)


def compare(load: Load, database: psycopg.Connection) -> None:
    audit(database, load)
    # Retries came under both: those of views that were kept, and those of views that were not.
    assert len(load.acknowledged) > len(set(load.acknowledged))
    assert load.refused & set(load.acknowledged)


@contextmanager
def read_only(installation: Installation) -> Iterator[None]:
    with connect(installation.folder) as database:
        database.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        database.execute("SELECT pg_reload_conf()")
        yield
        database.execute("SET transaction_read_only = off")
        database.execute("ALTER SYSTEM RESET default_transaction_read_only")
        database.execute("SELECT pg_reload_conf()")


@contextmanager
def full_disk(installation: Installation) -> Iterator[None]:
    """Let no file grow beyond what the table of views has; the log of changes has files of 16 MiB."""
    with connect(installation.folder) as database:
        database.execute("""
            INSERT INTO tracking_view (site_id, id, visit_id, visitor, at, hostname, path, variants)
            SELECT 0, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), '', repeat('x', 1700), '{}'
            FROM generate_series(1, 12000)
        """)
        (size,) = database.execute("SELECT pg_relation_size('tracking_view')").fetchone() or (0,)
        assert size > 16 * 2**20
        limit(installation, size)
        yield
        limit(installation, "unlimited")


def limit(installation: Installation, size: int | str) -> None:
    for process in installation.database_processes():
        command = ["prlimit", f"--pid={process.pid}", f"--fsize={size}:"]
        # Only the database's own user may.
        subprocess.run(command, user=process.uids().real, check=True)


@pytest.mark.parametrize("fault", [read_only, full_disk])
def test_while_nothing_can_be_written_hits_are_refused_and_pages_are_shown(
    installation: Installation, fault: Callable[[Installation], AbstractContextManager[None]]
) -> None:
    load = installation.load(f"{fault.__name__.replace('_', '-')}.example")

    async def story(load: Load) -> None:
        await more(load)
        with fault(installation):
            await until(lambda: load.statuses[503] > 50)
            for path in ("/readyz", "/login/", f"/js/{load.site_key}.js"):
                address = f"http://localhost:{installation.port}{path}"
                assert (await asyncio.to_thread(urllib.request.urlopen, address, timeout=20)).status == 200
        await more(load)

    with serving(installation):
        asyncio.run(load.during(story))
        assert set(load.statuses) == {202, 503}
        with connect(installation.folder) as database:
            compare(load, database)


def test_a_hit_is_kept_while_redis_is_away(installation: Installation) -> None:
    with serving(installation):
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(installation.environment["REDIS_URL"].replace("redis", "http", 1), timeout=2)
        load = installation.load("queueless.example")
        asyncio.run(load.during(lambda load: more(load, 1)))
        with connect(installation.folder) as database:
            query = "SELECT count(*) FROM tracking_view WHERE id = %s"
            assert database.execute(query, [load.acknowledged[0]]).fetchone() == (1,)

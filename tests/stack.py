"""The whole product as an operator runs it, on ports and in a folder of its own: web server, worker, sandbox."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis

from humblytics.demo import processes
from revenue.sandbox.accounts import Account
from revenue.sandbox.http import SandboxServer, serve
from revenue.sandbox.world import World

# Tests send the requests of visitors from elsewhere as a proxy on this machine would.
PROXY = "127.0.0.1"
LOCKED = 4
# Those below are whoever set REDIS_URL's.
FIRST_REDIS = 10


@dataclass(frozen=True)
class Stack:
    url: str
    folder: Path
    environment: dict[str, str]
    world: World
    account: Account
    stripe_url: str
    sandbox: SandboxServer

    def manage(self, *command: str) -> str:
        return manage(self.environment, *command)

    def add_superuser(self, email: str, password: str) -> None:
        self.environment["DJANGO_SUPERUSER_PASSWORD"] = password
        self.manage("createsuperuser", "--noinput", "--email", email)

    def manage_json(self, *command: str) -> Any:
        return json.loads(self.manage(*command, "--json"))


def manage(environment: Mapping[str, str], *command: str, code: Path | None = None) -> str:
    """Run `manage.py`, of this code unless other is named; give what it printed on standard output."""
    while True:
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            env=dict(environment),
            cwd=code,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        # The worker may be at the same account just now.
        if done.returncode != LOCKED:
            assert done.returncode == 0, done.stderr
            return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect(folder: Path, name: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
    """Connect to the embedded database that keeps its files in `folder`, which must be running."""
    lines = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
    return psycopg.connect(host=lines[4], port=lines[3], user="postgres", dbname=name, autocommit=True)


def own_redis() -> dict[str, str]:
    """Give the address of an empty database of the machine's Redis, one for each process of pytest, if there is any.

    Two workers that shared one would take each other's tasks.
    """
    if not (address := os.environ.get("REDIS_URL")):
        return {}
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = urlsplit(address)._replace(path=f"/{FIRST_REDIS + process}").geturl()
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return {"REDIS_URL": url}


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    port, world = free_port(), World()
    account = world.add_account("Walk")
    with serve(world) as sandbox:
        url = f"http://localhost:{port}"
        environment = (
            {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
            | own_redis()
            | {"VAR_DIR": str(folder), "BASE_URL": url, "STRIPE_API_BASE": sandbox.url, "TRUSTED_PROXIES": PROXY}
        )
        stack = Stack(url, folder, environment, world, account, sandbox.url, sandbox)
        stack.manage("migrate", "--verbosity", "0")
        running: list[processes.Running] = []
        try:
            running.append(processes.start("web", processes.web(port), environment, folder / "log"))
            running.append(processes.start("worker", processes.worker(), environment, folder / "log"))
            # Once it has looked at the database, that runs for as long as the server does.
            processes.wait_until_answers(f"{url}/readyz", running[0])
            yield stack
            processes.require_alive(running)
        finally:
            processes.stop(running)
            # Servers that a signal has ended leave the database running; it stops with the last to exit by itself.
            stack.manage("migrate", "--check")


def wait_until(is_so: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)

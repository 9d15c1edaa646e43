"""Two servers, two workers and one beat on one database and one queue, as on machines behind a load balancer."""

import http.client
import json
import os
import re
import threading
import time
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from humblytics.demo import processes
from humblytics.demo.processes import Running
from revenue.sandbox.accounts import Account
from revenue.sandbox.faults import Answer, Trouble
from revenue.sandbox.http import SandboxServer, serve
from revenue.sandbox.messages import Request, Response
from revenue.sandbox.world import World
from tests.factories import CHROME, FIREFOX
from tests.revenue.shopping import buy
from tests.revenue.test_rotation import NEW, OLD
from tests.stack import PROXY, connect, free_port, manage, own_redis, wait_until
from tracking.limits import BURST, PER_SECOND

pytestmark = pytest.mark.nightly
DOMAIN, OWNER = "shop.example", "owner@example.com"
VISITORS, VIEWS = 40, 5
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")


@dataclass
class Machines:
    """What runs on both; a machine is a server on its own port, and a worker."""

    folder: Path
    environment: dict[str, str]
    account: Account
    world: World
    sandbox: SandboxServer
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    running: dict[str, Running] = field(default_factory=dict)

    def start(self, *names: str, **environment: str) -> None:
        self.environment |= environment
        for name in names:
            self.running[name] = processes.start(name, self._command(name), self.environment, self.folder / "log")
        for n, port in enumerate(self.ports):
            if f"web{n}" in names:
                processes.wait_until_answers(f"http://127.0.0.1:{port}/readyz", self.running[f"web{n}"])

    def stop(self, *names: str) -> None:
        processes.stop([self.running.pop(name) for name in names])

    def _command(self, name: str) -> list[str]:
        if name.startswith("web"):
            return processes.web(self.ports[int(name[-1])])
        celery = ["-m", "celery", "--app", "humblytics"]
        if name == "beat":
            return [*celery, "beat", "--loglevel", "WARNING"]
        return [*celery, "worker", "--concurrency", "1", "--hostname", f"{name}@%h", *QUIET]

    def manage(self, *command: str) -> str:
        return manage(self.environment, *command)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.folder) as database:
            return database.execute(query).fetchall()


ALL = ("web0", "web1", "worker0", "worker1", "beat")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder, world = tmp_path_factory.mktemp("machines"), World()
    account = world.add_account("Shop")
    with serve(world) as sandbox:
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | own_redis()
        environment |= {"VAR_DIR": str(folder), "STRIPE_API_BASE": sandbox.url, "TRUSTED_PROXIES": PROXY}
        environment |= {"BASE_URL": "http://localhost", "HUMBLYTICS_ENCRYPTION_KEYS": OLD}
        machines = Machines(folder, environment, account, world, sandbox)
        machines.manage("migrate", "--verbosity", "0")
        environment["DJANGO_SUPERUSER_PASSWORD"] = "a walk in the woods"
        machines.manage("createsuperuser", "--noinput", "--email", OWNER)
        try:
            machines.start(*ALL)
            yield machines
            processes.require_alive(list(machines.running.values()))
        finally:
            processes.stop(list(machines.running.values()))
            # Servers that a signal has ended leave the database running; it stops with the last to exit by itself.
            machines.manage("migrate", "--check")


@pytest.fixture(scope="module")
def site_key(stack: Machines) -> str:
    found = re.search(r"/js/([a-z0-9]+)\.js", stack.manage("add_site", DOMAIN, "--owner", OWNER))
    assert found
    return found[1]


def connected(port: int) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30))


def post(port: int, path: str, body: str, headers: Mapping[str, str]) -> int:
    """Give the status of the answer."""
    with connected(port) as connection:
        connection.request("POST", path, body, {"Host": "localhost", **headers})
        return connection.getresponse().status


def hit(port: int, site_key: str, view: uuid.UUID, ip: str) -> int:
    body = json.dumps({"site": site_key, "view": str(view), "url": f"https://{DOMAIN}/{view.int % 9}"})
    headers = {"Content-Type": "text/plain", "User-Agent": CHROME, "X-Forwarded-For": ip}
    return post(port, "/collect", body, headers)


def test_hits_to_both_servers_at_once_are_kept_once_and_make_one_visit(stack: Machines, site_key: str) -> None:
    """Each view comes to both, as when a load balancer tries again elsewhere."""
    views = [(uuid.uuid4(), f"91.64.0.{n + 1}") for n in range(VISITORS) for _ in range(VIEWS)]
    with ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(hit, port, site_key, *view) for view in views for port in stack.ports]
    assert Counter(each.result() for each in sent) == {202: 2 * VISITORS * VIEWS}
    assert {view for (view,) in stack.rows("SELECT id FROM tracking_view")} == {view for view, _ in views}
    assert stack.rows("SELECT views FROM tracking_visit") == [(VIEWS,)] * VISITORS
    assert stack.rows("SELECT count(*) FROM tracking_dailysalt") == [(2,)]


def test_a_network_may_send_its_burst_to_each_server(stack: Machines, site_key: str) -> None:
    """As the README says: hits are counted by each server for itself."""
    for port in stack.ports:
        began, answers = time.monotonic(), Counter[int]()

        def flood(port: int = port, answers: Counter[int] = answers) -> None:
            headers = {"Host": "localhost", "Content-Type": "text/plain", "User-Agent": FIREFOX}
            with connected(port) as connection:
                while not answers[429]:
                    body = json.dumps({"site": site_key, "view": str(uuid.uuid4()), "url": f"https://{DOMAIN}/"})
                    connection.request("POST", "/collect", body, headers | {"X-Forwarded-For": "84.128.9.1"})
                    response = connection.getresponse()
                    response.read()
                    answers[response.status] += 1

        with ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(flood)
        assert BURST <= answers[202] <= BURST + PER_SECOND * (time.monotonic() - began) + 1


def log_in(port: int, email: str, password: str) -> int:
    with connected(port) as connection:
        connection.request("GET", "/login/", headers={"Host": "localhost"})
        page = connection.getresponse()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
    assert token
    cookies = SimpleCookie(page.headers["Set-Cookie"])
    form = urllib.parse.urlencode({"username": email, "password": password, "csrfmiddlewaretoken": token[1]})
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items()),
    }
    return post(port, "/login/", form, headers)


def test_tries_to_log_in_are_counted_by_both_servers_together(stack: Machines) -> None:
    statuses = [log_in(stack.ports[n % 2], "somebody@example.com", f"wrong number {n}") for n in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert {log_in(port, OWNER, "a walk in the woods") for port in stack.ports} == {302}


class Watch:
    """How many requests of the account are under way at once."""

    def __init__(self) -> None:
        self.now = self.most = self.all = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Trouble:
        return self._watched

    def _watched(self, request: Request, answer: Answer) -> Response:
        with self._lock:
            self.now, self.all = self.now + 1, self.all + 1
            self.most = max(self.most, self.now)
        # As far away as Stripe is.
        time.sleep(0.05)
        try:
            return answer(request)
        finally:
            with self._lock:
                self.now -= 1


def gross(machines: Machines) -> int:
    told = json.loads(machines.manage("revenue_report", DOMAIN, "--json"))
    return int(told["currencies"].get("EUR", {}).get("gross", 0))


def test_either_worker_reads_stripe_and_never_both_at_once(stack: Machines, site_key: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(stack.account.secret_key)
    stack.manage("connect_stripe", DOMAIN, "--key-file", str(key))
    watch = Watch()
    stack.sandbox.faults.append(watch)
    for _ in range(10):
        stack.world.pay(stack.world.create_session(stack.account, **buy(1_000))["id"])
    with ThreadPoolExecutor(2) as pool:
        # Both workers are at it as well, and find the account due.
        for _ in range(4):
            pool.submit(stack.manage, "sync_revenue", DOMAIN)
    wait_until(lambda: gross(stack) == 10_000)
    assert watch.all > 10
    assert watch.most == 1
    stack.sandbox.faults.clear()
    assert gross(stack) == 10_000


def test_a_new_encryption_key_is_for_both(stack: Machines, site_key: str) -> None:
    """First every process knows it, then the secrets are sealed with it, then the old one is taken away."""
    for keys in (f"{NEW},{OLD}", NEW):
        for n in (0, 1):
            stack.stop(f"web{n}", f"worker{n}")
            stack.start(f"web{n}", f"worker{n}", HUMBLYTICS_ENCRYPTION_KEYS=keys)
        if keys != NEW:
            told = json.loads(stack.manage("rotate_encryption_keys", "--json"))
            assert (told["rotated"], told["unreadable"]) == (1, [])
    for n in (0, 1):
        # Either worker alone opens the key and reads what is new.
        stack.stop(f"worker{n}")
        stack.world.pay(stack.world.create_session(stack.account, **buy(1_000))["id"])
        with connect(stack.folder) as database:
            database.execute("UPDATE revenue_stripeaccount SET due_at = NULL")
        wait_until(lambda n=n: gross(stack) == 11_000 + n * 1_000, seconds=60)
        stack.start(f"worker{n}")
    assert stack.rows("SELECT status FROM revenue_connection") == [("connected",)]

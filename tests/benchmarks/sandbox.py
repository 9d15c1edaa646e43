"""How fast the sandbox is: what it costs to make payments in it and to read its lists to their end.

    uv run --group dev python -m tests.benchmarks.sandbox [--sessions 20000]

Other benchmarks read a sandbox that runs in a process of its own, so that its work is not counted as theirs:

    with serving(20_000) as sandbox:
        read(sandbox.url, sandbox.secret_key)
"""

import argparse
import http.client
import json
import multiprocessing
import resource
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from revenue.sandbox.accounts import Account
from revenue.sandbox.http import serve
from revenue.sandbox.messages import Request, Response, json_response
from revenue.sandbox.world import World

SECRET_KEY = "sk_test_51Benchmark0000000000000000"
LISTS = (
    "/v1/checkout/sessions",
    "/v1/charges",
    "/v1/balance_transactions?expand[]=data.source",
    "/v1/invoice_payments",
    "/v1/events",
)


@dataclass(frozen=True)
class Served:
    """`built_in` is how many seconds of work the world took to make."""

    url: str
    secret_key: str
    built_in: float


def filled(sessions: int, secret_key: str = SECRET_KEY, days: int = 365, *, livemode: bool = False) -> World:
    """A world with so many paid sessions, evenly spread over the last days; every hundredth was refunded."""
    world = World()
    began_at = world.now() - days * 86_400
    with world.at(began_at):
        account = world.add_account("Benchmark", secret_key=secret_key)
    for number in range(sessions):
        with world.at(began_at + number * days * 86_400 // max(sessions, 1)):
            _buy(world, account, number, livemode)
    return world


def _buy(world: World, account: Account, number: int, livemode: bool) -> None:
    price = {"currency": "eur", "unit_amount": 1000 + number % 9000, "product_data": {"name": "Tea"}}
    session = world.create_session(
        account,
        livemode,
        mode="payment",
        success_url="https://shop.example/thanks",
        line_items=[{"price_data": price, "quantity": 1}],
        metadata={"humblytics_view_id": f"01980000-0000-7000-8000-{number:012d}"},
    )
    intent = world.pay(session["id"])["payment_intent"]
    if number % 100 == 0:
        world.refund(world.kept(intent)["latest_charge"], 500)


@contextmanager
def serving(
    sessions: int, *, livemode: bool = False, latency: float = 0, per_second: float | None = None
) -> Iterator[Served]:
    """Serve such a world from a process of its own. Each answer takes `latency` seconds at least."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, sessions, livemode, latency, per_second), daemon=True
    )
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join()


def _serve(caller: Connection, sessions: int, livemode: bool, latency: float, per_second: float | None) -> None:
    began = time.process_time()
    # Each world an account of its own.
    tail = f"51{secrets.token_hex(16)}"
    world = filled(sessions, f"sk_test_{tail}", livemode=livemode)
    built_in = time.process_time() - began
    with serve(world) as server:
        server.latency, server.throttle.per_second = latency, per_second
        server.faults.append(_payment_method)
        caller.send(Served(server.url, f"sk_{'live' if livemode else 'test'}_{tail}", built_in))
        caller.recv()


def _payment_method(request: Request) -> Response | None:
    """Answer for cards, which the sandbox does not keep and others than we ask for."""
    path, _, identity = request.path.rpartition("/")
    if path != "/v1/payment_methods":
        return None
    card = {"brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2034, "funding": "credit", "last4": "4242"}
    of_nobody = {"customer": None, "billing_details": {}, "metadata": {}, "livemode": False, "created": 1_500_000_000}
    return json_response(200, {"id": identity, "object": "payment_method", "type": "card", "card": card, **of_nobody})


def drain(connection: http.client.HTTPConnection, path: str) -> tuple[int, int]:
    """Read a list to its end; give the numbers of pages and objects."""
    joint, after, pages, objects = "&" if "?" in path else "?", "", 0, 0
    while True:
        headers = {"Authorization": f"Bearer {SECRET_KEY}"}
        connection.request("GET", f"{path}{joint}limit=100{after}", headers=headers)
        page = json.loads(connection.getresponse().read())
        pages, objects = pages + 1, objects + len(page["data"])
        if not page["has_more"]:
            return pages, objects
        after = f"&starting_after={page['data'][-1]['id']}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=20_000)
    asked = parser.parse_args()
    began = time.process_time()
    world = filled(asked.sessions)
    cost = (time.process_time() - began) / asked.sessions
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{asked.sessions:,} sessions paid: {cost * 1000:.2f} ms each, {memory:.0f} MB\n")
    with serve(world) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        for path in LISTS:
            began, wall = time.process_time(), time.perf_counter()
            pages, objects = drain(connection, path)
            cpu, wall = time.process_time() - began, time.perf_counter() - wall
            sys.stdout.write(
                f"{path}: {objects:,} objects in {pages} pages, {cpu / pages * 1000:.1f} ms of work a page with "
                f"reading it, {objects / wall:,.0f} objects/s\n"
            )
        connection.close()


if __name__ == "__main__":
    main()

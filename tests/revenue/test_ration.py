import datetime as dt
from collections.abc import Callable

import pytest

from revenue.models import Connection, ReadCount, StripeAccount
from revenue.ration import Usage, usage
from revenue.sandbox.http import SandboxServer
from revenue.sandbox.messages import Response, json_response
from revenue.sandbox.world import World
from revenue.sync import Report
from tests.revenue.conftest import moment

pytestmark = pytest.mark.django_db
DAY = 86_400
Run = Callable[..., Report]


def test_every_read_is_counted_on_its_account_and_day(
    run: Run, connection: Connection, world: World, sandbox: SandboxServer
) -> None:
    asked: list[str] = []
    sandbox.faults.append(lambda request: asked.append(request.path))  # type: ignore[func-returns-value]
    # The look at the account while it was connected, and at each list.
    before = ReadCount.objects.get().reads
    assert before > 0
    run()
    assert ReadCount.objects.get().reads == before + len(asked)
    first = ReadCount.objects.get()
    world.advance(DAY)
    report = run()

    assert list(ReadCount.objects.order_by("read_on").values_list("read_on", "reads")) == [
        (first.read_on, first.reads),
        (first.read_on + dt.timedelta(days=1), report.reads),
    ]
    assert usage(connection.account, moment(world)) == Usage(report.reads, first.reads + report.reads, 5000, 10_000)
    world.advance(29 * DAY)
    assert usage(connection.account, moment(world)).in_30_days == report.reads


def test_tries_that_failed_are_counted_too(run: Run, sandbox: SandboxServer) -> None:
    run()
    before = ReadCount.objects.get().reads
    sandbox.faults.append(lambda request: Response(500))
    report = run()

    assert report.status == "degraded"
    assert ReadCount.objects.get().reads == before + report.reads == before + 6


def test_what_the_beat_reads_stops_at_the_days_part_and_a_person_may_go_on(
    run: Run, connection: Connection, world: World
) -> None:
    run()
    ReadCount.objects.update(reads=167)
    world.advance(3600)
    report = run(drain=False)
    connection.refresh_from_db()
    assert (report.status, report.reads, connection.status) == ("rationed", 0, "rationed")

    assert run().status == "connected"
    ReadCount.objects.update(reads=8000)
    assert run().status == "rationed"


def test_payments_bring_reads_with_them(
    run: Run, buy: Callable[..., str], connection: Connection, world: World
) -> None:
    for _ in range(25):
        buy(100)
    run()

    assert usage(connection.account, moment(world)).granted == 12_500


def test_the_next_reading_is_due_after_the_pace(run: Run, world: World) -> None:
    run()
    assert StripeAccount.objects.get().due_at == moment(world) + dt.timedelta(minutes=15)


def test_stripe_is_left_alone_for_as_long_as_it_asks(run: Run, world: World, sandbox: SandboxServer) -> None:
    sandbox.faults.append(lambda request: json_response(429, {"error": {}}, {"Retry-After": "7200"}))
    report = run()

    assert (report.status, report.reads) == ("throttled", 1)
    assert StripeAccount.objects.get().due_at == moment(world) + dt.timedelta(hours=2)
    sandbox.faults.clear()
    assert run().status == "connected"


def test_a_refused_key_is_tried_again_after_an_hour(run: Run, world: World, sandbox: SandboxServer) -> None:
    sandbox.faults.append(lambda request: json_response(401, {"error": {}}))
    run()

    assert StripeAccount.objects.get().due_at == moment(world) + dt.timedelta(hours=1)

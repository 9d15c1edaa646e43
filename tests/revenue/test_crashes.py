"""Killed at any statement, run twice at once, delivered again: the next sync ends in the same ledger."""

import datetime as dt
import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from revenue import tasks
from revenue.allowlist import MODELS
from revenue.models import Attribution, Connection, Finding, LedgerLine, ReadCount, Slice, Stream
from revenue.sandbox.accounts import Account
from revenue.sandbox.world import World
from tests.revenue.books import MIRROR, booked, everything, moved
from tests.revenue.conftest import moment
from tests.revenue.mortal import PAGE_LENGTH, End, Mortals, mortals
from tests.revenue.shopping import buy, paid_charge, subscribe
from tests.stack import LOCKED

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = 3600, 86_400
KILLED = -signal.SIGKILL
# All that a sync writes, but for the connection and the account.
WRITTEN = [*MIRROR, LedgerLine, Attribution, Stream, Slice, ReadCount, Finding]
# How many of a tick's statements to be killed at, at most.
DEATHS = [pytest.param(4, id="here and there"), pytest.param(10_000, id="everywhere", marks=pytest.mark.nightly)]
Tick = Callable[..., End]


@pytest.fixture
def children(connection: Connection, tmp_path: Path) -> Iterator[Mortals]:
    with mortals(tmp_path) as children:
        yield children


@pytest.fixture
def tick(children: Mortals, connection: Connection, world: World) -> Tick:
    """Let a child read what is new, or be killed before a statement of it."""
    return lambda fatal=None: children.do(("tick", connection.pk, moment(world).isoformat(), fatal))[0]


def lines() -> set[tuple[str, int]]:
    return set(LedgerLine.objects.exclude(kind="pending").values_list("key", "amount"))


Covered = dict[str, tuple[dt.datetime, set[str]]]


def covered(up_to: Covered | None = None) -> Covered:
    """To when each list is covered, or was when `up_to` was asked for, and what is there of before."""
    streams = Stream.objects.filter(name__in=MODELS).exclude(covered_to=None).values_list("name", "covered_to")
    moments = {name: moment for name, (moment, _) in up_to.items()} if up_to else dict(streams)
    return {
        name: (
            moment,
            set(MODELS[name]._base_manager.filter(created_at__lt=moment).values_list("stripe_id", flat=True)),
        )
        for name, moment in moments.items()
    }


def deaths_of(statements: int, count: int) -> Iterator[int]:
    """At which statements to die, up to the last one and beyond it: not every tick takes the same number."""
    return itertools.takewhile(lambda fatal: fatal < statements * 1.1, itertools.count(1, max(1, statements // count)))


def trade(world: World, account: Account, turn: int) -> None:
    """A day of a shop, with something of every kind."""
    charges = [paid_charge(world, account, 5000 + turn, currency) for currency in ("eur", "usd", "eur")]
    world.refund(charges[0]["id"], 700)
    world.refund(charges[1]["id"], 800, "pending", then=(HOUR, "failed"))
    dispute = world.dispute(charges[2]["id"])
    world.pay(world.create_session(account, **subscribe())["id"])
    world.pay(world.create_session(account, **buy(payment_method_types=["sepa_debit"]))["id"], after=2 * HOUR)
    world.advance(DAY)
    world.close_dispute(dispute["id"], won=turn % 2 == 0)


@pytest.mark.parametrize("deaths", DEATHS)
def test_a_first_reading_killed_at_any_statement_leaves_the_next_one_complete(
    tick: Tick, world: World, account: Account, deaths: int
) -> None:
    for turn in range(2):
        world.advance(20 * DAY)
        trade(world, account, turn)
    status, statements = tick()
    whole = everything()
    assert (status, booked()) == (0, moved(world, account))

    for fatal in deaths_of(statements, deaths):
        for model in WRITTEN:
            model._base_manager.all().delete()
        Connection.objects.update(synced_at=None, tried_at=None)
        assert tick(fatal)[0] == KILLED or fatal > statements * 0.9
        assert tick()[0] == 0
        assert everything() == whole, f"killed at {fatal} of {statements}"


@pytest.mark.parametrize("deaths", DEATHS)
def test_a_tick_killed_at_any_statement_leaves_the_next_one_complete(
    tick: Tick, world: World, account: Account, deaths: int
) -> None:
    trade(world, account, 0)
    tick()
    trade(world, account, 1)
    _, statements = tick()

    for fatal in deaths_of(statements, deaths):
        trade(world, account, fatal)
        assert tick(fatal)[0] == KILLED or fatal > statements * 0.9
        known, promised = lines(), covered()
        assert tick()[0] == 0
        assert booked() == moved(world, account), f"killed at {fatal} of {statements}"
        # What was there when it died was true; there was only something missing.
        assert known <= lines()
        assert promised == covered(promised)


def test_a_worker_killed_in_the_middle_of_a_long_list_loses_and_doubles_nothing(
    tick: Tick, world: World, account: Account
) -> None:
    for amount in range(20 * PAGE_LENGTH):
        paid_charge(world, account, 100 + amount)
    _, statements = tick()
    whole = everything()
    for model in WRITTEN:
        model._base_manager.all().delete()

    assert tick(statements // 2) == (KILLED, 0)
    assert 0 < LedgerLine.objects.filter(kind="charge").count() < 20 * PAGE_LENGTH
    assert tick()[0] == 0
    assert everything() == whole
    assert booked() == moved(world, account)


def test_two_workers_and_the_command_at_once_end_in_the_same_ledger(
    children: Mortals, connection: Connection, world: World, account: Account
) -> None:
    now = moment(world).isoformat()
    for turn in range(4):
        paid_charge(world, account, 100 + turn)
        orders = [(what, connection.pk, now, None) for what in ("task", "command", "task", "command")]
        statuses = [status for status, _ in children.do(*orders)]
        assert set(statuses[::2]) == {0}
        assert set(statuses[1::2]) <= {0, LOCKED}
        # One of them was let in, and read what had happened before.
        assert booked() == moved(world, account)


def test_a_task_that_is_delivered_again_changes_nothing(
    connection: Connection, world: World, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade(world, account, 0)
    for _ in range(2):
        tasks.sync_connection(connection.pk)
    before = everything()
    late = timezone.now() + dt.timedelta(days=3)
    monkeypatch.setattr(timezone, "now", lambda: late)
    for _ in range(3):
        tasks.sync_connection(connection.pk)

    assert everything() == before
    assert booked() == moved(world, account)

"""Group commit and its races, on connections of their own as the server has them."""

import asyncio
import contextlib
import datetime as dt
import itertools
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import SiteFactory
from tracking.connections import Pipe
from tracking.devices import Device
from tracking.models import Event, View, Visit
from tracking.places import Place
from tracking.recorder import (
    HAS_CITUS,
    IS_SPREAD,
    SHARDS,
    STATEMENT,
    STATEMENT_OF_SHARD,
    VISIT_PAUSE,
    FullError,
    Happened,
    LostError,
    Read,
    Recorder,
    Seen,
    Sighting,
    parameters,
)
from tracking.sources import Channel, Source

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)


def sighting(site_id: int, visitor: int = 1, view: int | None = None, at: dt.datetime = NOON, path: str = "/") -> Seen:
    return Seen(
        site_id,
        uuid.UUID(int=view) if view is not None else uuid.uuid4(),
        uuid.UUID(int=visitor),
        uuid.UUID(int=visitor + 10**9),
        at,
        visit_id=uuid.uuid4(),
        patience=VISIT_PAUSE,
        hostname="shop.example",
        path=path,
        variants=(),
        source=Source(Channel.DIRECT),
        place=Place(""),
        device=Device("", "", ""),
    )


def engagement(view: Seen, engaged_ms: int, scrolled: int = 0, at: dt.datetime = NOON) -> Read:
    who = view.site_id, view.view_id, view.visitor, view.previous_visitor
    return Read(*who, at, engaged_ms=engaged_ms, scrolled=scrolled)


class Counting:
    def __init__(self) -> None:
        self.batches = 0
        self.pipe = Pipe()

    async def execute(self, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        self.batches += 1
        return await self.pipe.execute(statement, parameters)


@pytest.mark.django_db(transaction=True)
def test_hits_that_wait_together_are_committed_together() -> None:
    site = SiteFactory()

    async def run() -> int:
        database = Counting()
        recorder = Recorder(database)
        await asyncio.gather(*(recorder.record(sighting(site.pk, visitor=n)) for n in range(100)))
        await database.pipe.close()
        return database.batches

    assert asyncio.run(run()) <= 2
    assert View.objects.count() == Visit.objects.count() == 100


@pytest.mark.django_db(transaction=True)
def test_simultaneous_hits_of_one_visitor_on_several_servers_are_one_visit() -> None:
    site = SiteFactory()

    async def run() -> None:
        pipes = [Pipe() for _ in range(4)]
        recorders = [Recorder(pipe) for pipe in pipes]
        await asyncio.gather(
            *(recorders[n % 4].record(sighting(site.pk, visitor=n % 5, view=n // 2)) for n in range(400))
        )
        for pipe in pipes:
            await pipe.close()

    asyncio.run(run())
    assert View.objects.count() == 200
    assert Visit.objects.count() == 5
    assert sum(Visit.objects.values_list("views", flat=True)) == 200


@pytest.mark.django_db(transaction=True)
def test_what_happens_on_a_view_may_be_in_the_same_batch() -> None:
    site = SiteFactory()
    view = sighting(site.pk, view=1)
    who = view.site_id, view.view_id, view.visitor, view.previous_visitor, NOON
    event = Happened(*who, id=uuid.uuid4(), name="signup", path="/", props={"plan": "pro"})

    async def run() -> None:
        database = Counting()
        recorder = Recorder(database)
        # The first has a batch of its own.
        await asyncio.gather(
            *map(recorder.record, [sighting(site.pk, visitor=2), engagement(view, 700, 30), event, view])
        )
        await database.pipe.close()

    asyncio.run(run())
    kept = View.objects.get(id=view.view_id)
    assert (kept.engaged_ms, kept.scrolled) == (700, 30)
    assert Event.objects.get().visit_id == kept.visit_id


class Spread(Counting):
    """Has its tables on several machines, for all that it says; of its two shards one has the odd sites."""

    is_spread = True

    async def execute(self, statement: str, parameters: Any) -> list[tuple[Any, ...]]:
        if statement == HAS_CITUS:
            return [(1,)]
        if statement == IS_SPREAD:
            return [(1,)] * self.is_spread
        if statement == SHARDS:
            return [(site_id, site_id % 2) for site_id in parameters["sites"]]
        if statement == STATEMENT_OF_SHARD:
            assert len({site_id % 2 for site_id in parameters["sites"]}) == 1
        return await super().execute(statement, parameters)


@pytest.mark.django_db(transaction=True)
def test_tables_on_several_machines_are_written_shard_by_shard_to_the_same_end() -> None:
    sites = [SiteFactory(), SiteFactory(), SiteFactory()]
    views = [sighting(site.pk, visitor=n % 3, view=n) for n in range(30) for site in sites]
    reads = [engagement(view, 700, 30) for view in views]
    events = [Happened(*_who(view), id=uuid.uuid4(), name="signup", path="/", props={}) for view in views]

    async def run(database: Counting) -> int:
        recorder = Recorder(database)
        await recorder.write_nothing()
        await asyncio.gather(*map(recorder.record, [*views, *reads, *events, *views]))
        await database.pipe.close()
        return database.batches

    # One for nothing, and one for each shard; the first hit may be a batch of its own.
    assert asyncio.run(run(Spread())) in (3, 4)
    for site in sites:
        kept = View.objects.filter(site=site)
        assert {(view.engaged_ms, view.scrolled) for view in kept} == {(700, 30)}
        assert [visit.views for visit in Visit.objects.filter(site=site)] == [10, 10, 10]
        told = Event.objects.filter(site=site)
        assert {event.view_id: event.visit_id for event in told} == {view.id: view.visit_id for view in kept}


@pytest.mark.django_db(transaction=True)
def test_citus_alone_spreads_no_tables() -> None:
    site = SiteFactory()

    async def run() -> int:
        database = Spread()
        database.is_spread = False
        recorder = Recorder(database)
        await recorder.record(sighting(site.pk))
        await database.pipe.close()
        return database.batches

    # Neither is it asked for shards, of which there are none.
    assert asyncio.run(run()) == 1
    assert View.objects.count() == 1


def _who(view: Seen) -> tuple[int, uuid.UUID, uuid.UUID, uuid.UUID, dt.datetime]:
    return view.site_id, view.view_id, view.visitor, view.previous_visitor, NOON


@pytest.mark.django_db(transaction=True)
def test_servers_that_are_told_of_the_same_views_in_any_order_do_not_wait_for_each_other_in_a_circle() -> None:
    site = SiteFactory()
    views = [sighting(site.pk, visitor=n % 20, view=n) for n in range(100)]

    async def run() -> None:
        pipes = [Pipe() for _ in range(4)]
        recorders = [Recorder(pipe) for pipe in pipes]
        await asyncio.gather(*(recorders[n % 4].record(view) for n, view in enumerate(views)))
        told = [
            (recorder, engagement(view, ms, at=NOON + VISIT_PAUSE))
            for recorder, views_in_order in zip(recorders, (views, views[::-1], views[50:], views[::7]), strict=True)
            for ms in (1_000, 5_000, 3_000)
            for view in views_in_order
        ]
        told += [(recorders[n % 4], sighting(site.pk, visitor=n % 20, at=NOON)) for n in range(100)]
        await asyncio.gather(*(recorder.record(one) for recorder, one in told))
        for pipe in pipes:
            await pipe.close()

    asyncio.run(run())
    assert set(View.objects.filter(id__in=[view.view_id for view in views]).values_list("engaged_ms", flat=True)) == {
        5_000
    }
    assert Visit.objects.count() == 20
    assert set(Visit.objects.values_list("views", "last_at")) == {(10, NOON + dt.timedelta(seconds=5))}


@pytest.mark.django_db(transaction=True)
def test_one_row_that_the_database_refuses_does_not_take_the_others_with_it() -> None:
    site = SiteFactory()

    async def run() -> list[object]:
        pipe = Pipe()
        recorder = Recorder(pipe)
        hits = [sighting(site.pk, visitor=1), sighting(site.pk, visitor=2, path="\0"), sighting(site.pk, visitor=3)]
        outcomes = await asyncio.gather(*map(recorder.record, hits), return_exceptions=True)
        await pipe.close()
        return list(outcomes)

    good, bad, also_good = asyncio.run(run())
    assert (good, also_good) == (None, None)
    assert isinstance(bad, psycopg.DataError)
    assert View.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_opened_again() -> None:
    site = SiteFactory()

    async def run() -> None:
        pipe = Pipe()
        recorder = Recorder(pipe)
        await recorder.record(sighting(site.pk))
        with pytest.raises(psycopg.OperationalError):
            await pipe.execute("SELECT pg_terminate_backend(pg_backend_pid())", [])
        await recorder.record(sighting(site.pk))
        await pipe.close()

    asyncio.run(run())
    assert View.objects.count() == 2


def test_a_queue_that_is_full_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracking.recorder.MOST_WAITING", 3)

    class Stuck:
        async def execute(self, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
            await asyncio.sleep(3600)
            return []

    async def run() -> None:
        recorder = Recorder(Stuck())
        waiting = [asyncio.create_task(recorder.record(sighting(1, visitor=n))) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(FullError):
            await recorder.record(sighting(1, visitor=9))
        for task in waiting:
            task.cancel()

    asyncio.run(run())


def test_when_the_writer_breaks_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracking.recorder.MOST_AT_ONCE", 2)

    class Broken:
        async def execute(self, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
            raise RuntimeError("a mistake in the code")

    async def run() -> list[object]:
        recorder = Recorder(Broken())
        hits = [recorder.record(sighting(1, visitor=n)) for n in range(5)]
        outcomes = await asyncio.wait_for(asyncio.gather(*hits, return_exceptions=True), 5)
        with contextlib.suppress(RuntimeError):
            await recorder._writer
        return list(outcomes)

    assert all(isinstance(outcome, LostError) for outcome in asyncio.run(run()))


@pytest.mark.django_db
@settings(max_examples=40)
@given(
    hits=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(0, 200)), min_size=1, max_size=30),
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
def test_visits_add_up_however_hits_fall_into_batches(hits: list[tuple[int, int, int]], sizes: list[int]) -> None:
    """(visitor, view, minute) in time order, with repeats, in batches of any size less than the pause long."""
    from django.db import connection, transaction  # noqa: PLC0415

    with transaction.atomic():
        site = SiteFactory()
        hits = sorted(
            {view: (visitor, view, minute) for visitor, view, minute in hits}.values(), key=lambda hit: hit[2]
        )
        batch: list[Sighting] = []
        turn = 0
        for visitor, view, minute in hits:
            at = NOON + dt.timedelta(minutes=minute)
            if batch and (len(batch) >= sizes[turn % len(sizes)] or at - batch[0].at >= VISIT_PAUSE):
                connection.connection.execute(STATEMENT, parameters(batch + batch[:1]))
                batch, turn = [], turn + 1
            batch.append(sighting(site.pk, visitor, view, at))
        connection.connection.execute(STATEMENT, parameters(batch))

        expected = 0
        for visitor in {hit[0] for hit in hits}:
            minutes = [minute for who, _, minute in hits if who == visitor]
            expected += 1 + sum(later - earlier >= 30 for earlier, later in itertools.pairwise(minutes))
        visits = Visit.objects.filter(site=site)
        assert visits.count() == expected
        assert sum(visits.values_list("views", flat=True)) == View.objects.filter(site=site).count() == len(hits)
        transaction.set_rollback(True)

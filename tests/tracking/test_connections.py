import asyncio
import time

import psycopg
import pytest
from django.db import connection

from tracking.connections import Pipe


@pytest.mark.django_db
def test_those_who_wait_for_a_database_that_is_away_wait_once(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    async def away(*args: object, **known: object) -> None:
        attempts.append(time.monotonic())
        await asyncio.sleep(0.2)
        raise psycopg.OperationalError("away")

    async def run() -> list[object]:
        pipe = Pipe()
        return list(await asyncio.gather(*(pipe.execute("SELECT 1") for _ in range(20)), return_exceptions=True))

    connection.ensure_connection()
    monkeypatch.setattr(psycopg.AsyncConnection, "connect", away)
    assert all(isinstance(outcome, psycopg.OperationalError) for outcome in asyncio.run(run()))
    assert len(attempts) == 1


@pytest.mark.django_db(transaction=True)
def test_a_statement_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracking.connections.PATIENCE_SECONDS", 1)

    async def run() -> None:
        pipe = Pipe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await pipe.execute("SELECT pg_sleep(60)")
        assert await pipe.execute("SELECT 1") == [(1,)]
        await pipe.close()

    asyncio.run(run())


@pytest.mark.django_db(transaction=True)
def test_of_two_statements_that_wait_for_each_other_both_are_done_in_the_end() -> None:
    def taking(first: int, second: int) -> str:
        locks = [f"PERFORM pg_advisory_xact_lock({key}); PERFORM pg_sleep(0.3);" for key in (first, second)]
        return f"DO $$ BEGIN {' '.join(locks)} END $$"

    async def run() -> None:
        pipes = Pipe(), Pipe()
        await asyncio.gather(pipes[0].execute(taking(1, 2)), pipes[1].execute(taking(2, 1)))
        for pipe in pipes:
            await pipe.close()

    asyncio.run(run())

"""/readyz, through the recorder as the server has it."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection
from django.test import Client

from humblytics import health
from humblytics.health import Readiness
from tests.factories import InTest, exchange
from tracking.recorder import Recorder

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that nobody has asked before."""
    monkeypatch.setattr(health._Schema, "is_there", False)


def test_a_server_with_its_database_is_ready(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "migrations": "ok"})


def test_a_migration_that_is_not_applied_is_told_without_its_name(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'revenue'")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        503,
        {"database": "ok", "migrations": "missing", "fix": "Run manage.py migrate."},
    )


def test_once_migrated_the_migrations_are_not_compared_again(client: Client, django_assert_num_queries: Any) -> None:
    client.get("/readyz")
    with django_assert_num_queries(1):
        assert client.get("/readyz").status_code == 200


def test_a_database_that_is_away_is_told_without_where_it_is(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise DatabaseError("connection to server at 10.1.2.3 failed: password of humblytics")

    monkeypatch.setattr(connection, "cursor", away)
    answer = client.get("/readyz")
    told = {"database": "away", "fix": "Start PostgreSQL, or correct DATABASE_URL."}
    assert (answer.status_code, answer.json()) == (503, told)


async def well(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def ill(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b'{"database": "away"}'})


class Failing:
    def __init__(self, error: Exception) -> None:
        self.asked = 0
        self._error = error

    async def execute(self, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        self.asked += 1
        raise self._error


class Stuck:
    """A database that does not answer until it is told to."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()
        self.asked = 0

    async def execute(self, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        self.asked += 1
        await self.may_go_on.wait()
        return []


async def ask(readiness: Readiness) -> tuple[int, Any]:
    status, _, body = await exchange(readiness, {"path": "/readyz"}, b"")
    return status, json.loads(body)


def test_a_recorder_that_writes_is_asked_by_the_statement_of_the_hits() -> None:
    assert asyncio.run(ask(Readiness(well, Recorder(InTest())))) == (200, {})


@pytest.mark.parametrize("error", [psycopg.OperationalError("connection refused"), OSError("broken pipe")])
def test_a_recorder_that_is_cut_off_is_not_ready(error: Exception) -> None:
    database = Failing(error)

    async def run() -> list[tuple[int, Any]]:
        readiness = Readiness(well, Recorder(database))
        return [await ask(readiness) for _ in range(5)]

    stalled = {"database": "ok", "recorder": "stalled", "fix": "Restart this web process."}
    assert all(answer == (503, stalled) for answer in asyncio.run(run()))
    # Strangers who ask again at once do not make it try again.
    assert database.asked == 1


def test_a_database_that_refuses_hits_still_shows_pages() -> None:
    refusing = Failing(psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT"))
    assert asyncio.run(ask(Readiness(well, Recorder(refusing)))) == (200, {})


def test_a_recorder_that_is_stuck_is_not_ready_until_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.05)

    async def run() -> list[int]:
        database = Stuck()
        readiness = Readiness(well, Recorder(database))
        before = [(await ask(readiness))[0] for _ in range(3)]
        database.may_go_on.set()
        monkeypatch.setattr(health, "PATIENCE_SECONDS", 60)
        after = (await ask(readiness))[0]
        return [*before, after, database.asked]

    # It is asked once whether it is Citus, and once to write.
    assert asyncio.run(run()) == [503, 503, 503, 200, 2]


def test_what_django_finds_wrong_is_told_as_it_says() -> None:
    assert asyncio.run(ask(Readiness(ill, Recorder(Failing(OSError()))))) == (503, {"database": "away"})

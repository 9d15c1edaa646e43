"""PostgreSQL as the ingest uses it: its own asynchronous connection, opened when needed, reopened when lost."""

import asyncio
import time
from contextlib import suppress
from typing import Any, cast

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from tracking.recorder import Parameters

RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 10
TURNS = 3


class Pipe:
    """One connection in autocommit; statements run one after the other."""

    def __init__(self) -> None:
        self._failed_at = float("-inf")
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._opening = asyncio.Lock()

    async def execute(self, statement: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Run and commit. Raise psycopg.Error; the next call tries a new connection if this one is broken."""
        # Of two statements that wait for each other, PostgreSQL ends one, and nothing of it is done. With several
        # servers it happens: one writes that a view was read, another that view once more.
        for _ in range(TURNS - 1):
            with suppress(psycopg.errors.DeadlockDetected):
                return await self._run(statement, parameters)
        return await self._run(statement, parameters)

    async def _run(self, statement: str, parameters: Parameters) -> list[tuple[Any, ...]]:
        opened = await self._open()
        # Prepared on its first use: planning the recorder's statement costs more than running it.
        cursor = await opened.execute(cast("Any", statement), parameters, prepare=True)
        return await cursor.fetchall() if cursor.description else []

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _open(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        async with self._opening:
            if self._connection is None or self._connection.closed or self._connection.broken:
                if time.monotonic() - self._failed_at < RETRY_SECONDS:
                    # Those who waited for an attempt that failed do not each wait for another.
                    raise psycopg.OperationalError("the database could not be reached a moment ago")
                try:
                    known = await asyncio.to_thread(_parameters)
                    self._connection = await psycopg.AsyncConnection.connect(**known, autocommit=True)
                    # Hits must not wait for ever for a lock or a disk.
                    await self._connection.execute(f"SET statement_timeout = {PATIENCE_SECONDS * 1000}")
                except psycopg.OperationalError:
                    self._failed_at = time.monotonic()
                    raise
                except ImproperlyConfigured as error:
                    self._failed_at = time.monotonic()
                    raise psycopg.OperationalError(str(error)) from error
            return self._connection


def _parameters() -> dict[str, Any]:
    """Where Django's own connection goes, given up when a server is gone without a word or a network is."""
    known: dict[str, Any] = connection.get_connection_params()
    patience = {"connect_timeout": PATIENCE_SECONDS, "tcp_user_timeout": PATIENCE_SECONDS * 1000}
    return patience | {
        name: value
        for name, value in known.items()
        if name not in ("cursor_factory", "context", "prepare_threshold", "server_side_binding")
    }

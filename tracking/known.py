"""Small tables that every hit asks for, kept in memory and read again every few seconds."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import psycopg

from tracking.recorder import Database

Value = TypeVar("Value")

# What has just been added is asked for again so soon; a key that there is not costs no more than that.
MISSING_SECONDS = 1.0


class Known(Generic[Value]):
    """The rows of `statement` by their first column, each as `read` makes it of the others."""

    def __init__(
        self, database: Database, statement: str, read: Callable[[Sequence[Any]], Value], reread_seconds: float
    ) -> None:
        self._database = database
        self._statement = statement
        self._read = read
        self._reread_seconds = reread_seconds
        self._values: dict[str, Value] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def get(self, key: str) -> Value | None:
        """Give what is known under the key, None if there is nothing; raise psycopg.Error if that cannot be told."""
        if self._is_old(key):
            async with self._reading:
                # Those who waited find it done.
                if self._is_old(key):
                    await self._reread(key)
        return self._values.get(key)

    async def _reread(self, key: str) -> None:
        try:
            rows = await self._database.execute(self._statement, [])
        except psycopg.Error:
            # What was known will do: whether a hit can be taken is for the recorder to find out.
            if key not in self._values:
                raise
        else:
            self._values = {row[0]: self._read(row[1:]) for row in rows}
            self._read_at = time.monotonic()

    def _is_old(self, key: str) -> bool:
        age = time.monotonic() - self._read_at
        return age > (self._reread_seconds if key in self._values else MISSING_SECONDS)

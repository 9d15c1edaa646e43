"""Counts of the hits that were refused, gathered in memory and written a few seconds later.

So a flood of refusals is no flood of writes. When a server is killed, the last seconds' counts are lost; hits that
were taken never are.
"""

import asyncio
import datetime as dt
import logging
import uuid
from collections import Counter
from contextlib import suppress
from typing import Any

import psycopg

from tracking.hits import Refusal
from tracking.recorder import Database

WRITE_SECONDS = 5.0
WRITTEN = """
INSERT INTO tracking_refusedhits AS known (site_id, day, reason, hits)
SELECT * FROM unnest(%s::bigint[], %s::date[], %s::text[], %s::int[])
ON CONFLICT (site_id, day, reason) DO UPDATE SET hits = known.hits + excluded.hits
"""
# Of views that programs were refused: their ids, for payments that name one.
BOTS_WRITTEN = """
INSERT INTO tracking_botview (site_id, view_id, at)
SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::timestamptz[])
ON CONFLICT DO NOTHING
"""
# More bots than that in a few seconds are no customers.
MOST_BOTS = 1_000

log = logging.getLogger(__name__)

Row = tuple[int, dt.date, str]


class Tally:
    """Refusals by site, day of UTC and reason. The sites must be known ones, which keeps this small."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: Counter[Row] = Counter()
        self._bots: dict[tuple[int, uuid.UUID], dt.datetime] = {}
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def add(self, site_id: int, day: dt.date, refusal: Refusal) -> None:
        self._counts[site_id, day, refusal.value] += 1
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_later())

    def add_bot(self, site_id: int, view_id: uuid.UUID, at: dt.datetime) -> None:
        """Remember a view that is being refused, and will be counted by `add`."""
        if len(self._bots) < MOST_BOTS:
            self._bots[site_id, view_id] = at

    async def write(self) -> None:
        """Write what has been counted; when the database is away, keep it for the next time."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        # In one order for all servers, so that none waits for another in a circle.
        rows = sorted((*row, hits) for row, hits in counts.items())
        try:
            await self._database.execute(WRITTEN, _columns(rows))
            if self._bots:
                bots, self._bots = self._bots, {}
                await self._database.execute(BOTS_WRITTEN, _columns(sorted((*view, at) for view, at in bots.items())))
        except (psycopg.Error, OSError) as error:
            log.warning("refused hits could not be counted yet: %s", type(error).__name__)
            self._counts.update(counts)

    async def _write_later(self) -> None:
        while self._counts:
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._closing.wait()
            await self.write()
            if self._closing.is_set():
                return

    async def close(self) -> None:
        """Write at once what is still waiting."""
        self._closing.set()
        if self._writer is not None:
            await self._writer


def _columns(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]

"""Counts of the hits that were refused, gathered in memory and written a few seconds later.

So a flood of refusals is no flood of writes. When a server is killed, the last seconds' counts are lost; hits that
were taken never are.
"""

import asyncio
import datetime as dt
import logging
from collections import Counter
from contextlib import suppress

import psycopg

from tracking.hits import Refusal
from tracking.recorder import Database

WRITE_SECONDS = 5.0
WRITTEN = """
INSERT INTO tracking_refusedhits AS known (site_id, day, reason, hits)
SELECT * FROM unnest(%s::bigint[], %s::date[], %s::text[], %s::int[])
ON CONFLICT (site_id, day, reason) DO UPDATE SET hits = known.hits + excluded.hits
"""

log = logging.getLogger(__name__)

Row = tuple[int, dt.date, str]


class Tally:
    """Refusals by site, day of UTC and reason. The sites must be known ones, which keeps this small."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: Counter[Row] = Counter()
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def add(self, site_id: int, day: dt.date, refusal: Refusal) -> None:
        self._counts[site_id, day, refusal.value] += 1
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_later())

    async def write(self) -> None:
        """Write what has been counted; when the database is away, keep it for the next time."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        # In one order for all servers, so that none waits for another in a circle.
        rows = sorted((*row, hits) for row, hits in counts.items())
        try:
            await self._database.execute(WRITTEN, [list(column) for column in zip(*rows, strict=True)])
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

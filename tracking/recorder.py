"""Group commit: hits that arrive while one batch is being written make up the next, one statement and one commit.

Whoever waits for `record` may say 202 when it returns: the hit is on disk.
"""

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import psycopg

MOST_AT_ONCE = 1_000
MOST_WAITING = 20_000

VISIT_PAUSE = dt.timedelta(minutes=30)
# Somebody who comes back from a payment page goes on with the visit that went there, however long it took.
PAYMENT_PAUSE = dt.timedelta(hours=24)


class Database(Protocol):
    """Something that runs one statement and commits it."""

    async def execute(self, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """A view or an event with all that is to be kept of it; the fields are the statement's columns."""

    site_id: int
    id: uuid.UUID
    view_id: uuid.UUID
    event: str
    visitor: uuid.UUID
    previous_visitor: uuid.UUID
    visit_id: uuid.UUID
    at: dt.datetime
    patience: dt.timedelta
    hostname: str
    path: str
    channel: str
    source: str
    referrer: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_term: str
    utm_content: str
    click_id: str
    country: str
    browser: str
    os: str
    device: str
    variants: tuple[int, ...]


# Each visitor's row in tracking_presence is locked by the upsert, in one order for all writers, so two hits at
# the same moment make one visit and two servers never wait for each other in a circle. Every time comes from
# the parameters: an upsert that called now() could not run on a table spread over machines.
# A visitor whose visit goes on from yesterday keeps the name that yesterday's salt gave, so midnight splits no visit.
STATEMENT = """
WITH hit AS (
    SELECT told.*, coalesce(known.visitor, told.visitor) AS who
    FROM jsonb_to_recordset(%s::jsonb) AS told(
        n int, site_id bigint, id uuid, view_id uuid, event text, visitor uuid, previous_visitor uuid,
        visit_id uuid, at timestamptz, patience interval, hostname text, path text, channel text, source text,
        referrer text, utm_source text, utm_medium text, utm_campaign text, utm_term text, utm_content text,
        click_id text, country text, browser text, os text, device text, variants int[])
    LEFT JOIN tracking_presence AS known ON known.site_id = told.site_id
        AND known.visitor = told.previous_visitor AND told.at - known.last_at < told.patience
), entry AS (
    SELECT DISTINCT ON (site_id, who) *, max(at) OVER (PARTITION BY site_id, who) AS latest_at
    FROM hit WHERE event = '' ORDER BY site_id, who, n
), presence AS (
    INSERT INTO tracking_presence AS p (site_id, visitor, visit_id, last_at, patience)
    SELECT site_id, who, visit_id, latest_at, patience + (latest_at - at) FROM entry ORDER BY site_id, who
    ON CONFLICT (site_id, visitor) DO UPDATE SET
        visit_id = CASE WHEN excluded.last_at - p.last_at < excluded.patience
                        THEN p.visit_id ELSE excluded.visit_id END,
        last_at = greatest(p.last_at, excluded.last_at),
        patience = excluded.patience
    RETURNING site_id, visitor, visit_id
), seen AS (
    INSERT INTO tracking_view (site_id, id, visit_id, visitor, at, hostname, path, variants)
    SELECT site_id, hit.id, presence.visit_id, who, at, hostname, path, variants
    FROM hit JOIN presence USING (site_id)
    WHERE event = '' AND presence.visitor = who ORDER BY n
    ON CONFLICT DO NOTHING
    RETURNING site_id, id, visit_id, visitor
), fresh AS (
    SELECT seen.site_id, seen.visit_id, seen.visitor, count(DISTINCT id) AS views, min(at) AS first_at,
        max(at) AS last_at, (array_agg(path ORDER BY n DESC))[1] AS exit_path,
        array_remove(array_agg(DISTINCT variant), NULL) AS variants
    FROM seen JOIN hit USING (site_id, id) LEFT JOIN LATERAL unnest(hit.variants) AS variant ON true
    GROUP BY 1, 2, 3
), visit AS (
    INSERT INTO tracking_visit AS v (
        site_id, id, visitor, started_at, last_at, views, entry_path, exit_path, hostname, channel, source,
        referrer, utm_source, utm_medium, utm_campaign, utm_term, utm_content, click_id, country, region, city,
        browser, os, device, variants)
    SELECT fresh.site_id, fresh.visit_id, fresh.visitor, first_at, last_at, views, path, exit_path, hostname,
        channel, source, referrer, utm_source, utm_medium, utm_campaign, utm_term, utm_content, click_id, country,
        '', '', browser, os, device, fresh.variants
    FROM fresh JOIN entry ON entry.site_id = fresh.site_id AND entry.who = fresh.visitor
    ON CONFLICT (site_id, id) DO UPDATE SET
        views = v.views + excluded.views,
        last_at = greatest(v.last_at, excluded.last_at),
        exit_path = CASE WHEN excluded.last_at >= v.last_at THEN excluded.exit_path ELSE v.exit_path END,
        variants = CASE WHEN v.variants @> excluded.variants
                        THEN v.variants ELSE v.variants || excluded.variants END
)
INSERT INTO tracking_event (site_id, id, view_id, at, name)
SELECT site_id, id, view_id, at, event FROM hit WHERE event <> ''
ON CONFLICT DO NOTHING
"""

TEXTS = tuple(field.name for field in fields(Sighting) if field.type is str)


def rows(batch: Sequence[Sighting]) -> str:
    """Give the statement's parameter: the batch as JSON, each view and event once."""
    once: dict[tuple[int, uuid.UUID], Sighting] = {}
    for one in batch:
        once.setdefault((one.site_id, one.id), one)
    return json.dumps([_row(n, one) for n, one in enumerate(once.values())])


def _row(n: int, one: Sighting) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(one, name) for name in TEXTS}
    row["n"] = n
    row["site_id"] = one.site_id
    row["id"] = one.id.hex
    row["view_id"] = one.view_id.hex
    row["visitor"] = one.visitor.hex
    row["previous_visitor"] = one.previous_visitor.hex
    row["visit_id"] = one.visit_id.hex
    row["at"] = one.at.isoformat()
    row["patience"] = f"{one.patience.total_seconds():.0f} seconds"
    row["variants"] = one.variants
    return row


class FullError(Exception):
    """More hits are waiting than can be kept in memory."""


class LostError(Exception):
    """The writer ended in a way that nobody foresaw; nothing that waited for it is certain."""


class Recorder:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Sighting, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def record(self, sighting: Sighting) -> None:
        """Return when the sighting is committed. Raise FullError, or what the database raised."""
        if len(self._waiting) >= MOST_WAITING:
            raise FullError
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((sighting, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            try:
                await self._write(batch)
            except BaseException:
                # Nobody may wait for ever, whatever went wrong; the error itself goes on to the event loop.
                _fail(batch + self._waiting, LostError())
                self._waiting = []
                raise

    async def _write(self, batch: list[tuple[Sighting, asyncio.Future[None]]]) -> None:
        try:
            await self._database.execute(STATEMENT, [rows([sighting for sighting, _ in batch])])
        except psycopg.DataError as error:
            if len(batch) > 1:
                # One row that the database refuses must not take the others with it.
                for one in batch:
                    await self._write([one])
                return
            _fail(batch, error)
        except (psycopg.Error, OSError) as error:
            _fail(batch, error)
        else:
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def drain(self) -> None:
        """Wait until nothing waits."""
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])


def _fail(batch: list[tuple[Sighting, asyncio.Future[None]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)

"""Group commit: hits that arrive while one batch is being written make up the next, one statement and one commit.

Whoever waits for `record` may say 202 when it returns: the hit is on disk.
"""

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from tracking.devices import Device
from tracking.hits import Props
from tracking.metrics import BATCH_HITS, COMMIT_SECONDS, WAITING
from tracking.places import Place
from tracking.sources import Source

MOST_AT_ONCE = 1_000
MOST_WAITING = 20_000
NO_SITE = 0

VISIT_PAUSE = dt.timedelta(minutes=30)
# Somebody who comes back from a payment page goes on with the visit that went there, however long it took.
PAYMENT_PAUSE = dt.timedelta(hours=24)


Parameters = Sequence[object] | Mapping[str, object]


class Database(Protocol):
    """Something that runs one statement and commits it."""

    async def execute(self, statement: str, parameters: Parameters) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something that a visitor did on a view; the two names are those of today's salt and of yesterday's."""

    site_id: int
    view_id: uuid.UUID
    visitor: uuid.UUID
    previous_visitor: uuid.UUID
    at: dt.datetime

    def row(self) -> dict[str, object]:
        """Give the columns that the statement reads."""
        return {
            "site_id": self.site_id,
            "view_id": self.view_id.hex,
            "visitor": self.visitor.hex,
            "previous_visitor": self.previous_visitor.hex,
            "at": self.at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Sighting):
    """The view itself. It begins the visit `visit_id` if the visitor's last hit is longer ago than `patience`."""

    visit_id: uuid.UUID
    patience: dt.timedelta
    hostname: str
    path: str
    variants: tuple[int, ...]
    source: Source
    place: Place
    device: Device

    def row(self) -> dict[str, object]:
        source, place, device = self.source, self.place, self.device
        return Sighting.row(self) | {
            "visit_id": self.visit_id.hex,
            "patience": self.patience.total_seconds(),
            "hostname": self.hostname,
            "path": self.path,
            "variants": self.variants,
            "channel": source.channel,
            "source": source.source,
            "referrer": source.referrer,
            "utm_source": source.utm_source,
            "utm_medium": source.utm_medium,
            "utm_campaign": source.utm_campaign,
            "utm_term": source.utm_term,
            "utm_content": source.utm_content,
            "click_id": source.click_id,
            "country": place.country,
            "region": place.region,
            "city": place.city,
            "browser": device.browser,
            "os": device.os,
            "device": device.kind,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened(Sighting):
    """An event of the view. The view need not be known."""

    id: uuid.UUID
    name: str
    path: str
    props: Props

    def row(self) -> dict[str, object]:
        patience = VISIT_PAUSE.total_seconds()
        told = {"id": self.id.hex, "name": self.name, "path": self.path, "props": self.props, "patience": patience}
        return Sighting.row(self) | told


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Sighting):
    """How long the view was in front until now, in milliseconds, and how far it was seen, in percent."""

    engaged_ms: int
    scrolled: int

    def row(self) -> dict[str, object]:
        return Sighting.row(self) | {"engaged_ms": self.engaged_ms, "scrolled": self.scrolled}


# Each visitor's row in tracking_presence is locked by the upsert, in one order for all writers, so two hits at
# the same moment make one visit and two servers never wait for each other in a circle; views that are read on are
# locked before, also in order, and visits after. Every time comes from the parameters: an upsert that called now()
# could not run on a table spread over machines.
#
# A visitor whose visit goes on from yesterday keeps the name that yesterday's salt gave, so midnight splits no visit.
# Only views start visits. An event belongs to the visit of its view, or to that which its visitor is in. Engagement
# tells how long a view, known and of the same visitor, has been read until now; as long at least took its visit.
def _statement(*, is_spread: bool) -> str:
    """Give the statement for the hits of all sites; for tables spread over machines, for those of %(sites)s.

    There, all that a statement reads must be named to be in one place.
    """

    def of_site(table: str) -> str:
        return f" AND {table}.site_id = ANY(%(sites)s)" if is_spread else ""

    return f"""
WITH view AS (
    SELECT told.*, coalesce((
        SELECT known.visitor FROM tracking_presence AS known WHERE known.site_id = told.site_id{of_site("known")}
            AND known.visitor = told.previous_visitor AND told.at - known.last_at < told.patience
    ), told.visitor) AS who
    FROM json_to_recordset(%(views)s::json) AS told(
        n int, site_id bigint, view_id uuid, visitor uuid, previous_visitor uuid, at timestamptz,
        visit_id uuid, patience interval, hostname text, path text, channel text, source text, referrer text,
        utm_source text, utm_medium text, utm_campaign text, utm_term text, utm_content text, click_id text,
        country text, region text, city text, browser text, os text, device text, variants int[])
), event AS MATERIALIZED (
    SELECT told.*, coalesce((
        SELECT known.visitor FROM tracking_presence AS known WHERE known.site_id = told.site_id{of_site("known")}
            AND known.visitor = told.previous_visitor AND told.at - known.last_at < told.patience
    ), told.visitor) AS who
    FROM json_to_recordset(%(events)s::json) AS told(
        site_id bigint, id uuid, view_id uuid, visitor uuid, previous_visitor uuid, at timestamptz, patience interval,
        name text, path text, props jsonb)
), engagement AS (
    SELECT site_id, view_id, visitor, previous_visitor, max(engaged_ms) AS engaged_ms, max(scrolled) AS scrolled,
        max(at) AS at
    FROM json_to_recordset(%(readings)s::json) AS told(
        site_id bigint, view_id uuid, visitor uuid, previous_visitor uuid, at timestamptz, engaged_ms int,
        scrolled int)
    GROUP BY 1, 2, 3, 4
), read AS (
    SELECT v.*, e.engaged_ms AS until_ms, e.scrolled AS until_scrolled,
        least(v.at + e.engaged_ms * interval '1 millisecond', e.at) AS until_at
    FROM engagement AS e CROSS JOIN LATERAL (
        SELECT * FROM tracking_view AS v WHERE v.site_id = e.site_id{of_site("v")} AND v.id = e.view_id
            AND v.visitor IN (e.visitor, e.previous_visitor) LIMIT 1
    ) AS v
), reading AS (
    INSERT INTO tracking_view AS v (
        site_id, id, visit_id, visitor, at, hostname, path, variants, engaged_ms, scrolled)
    SELECT DISTINCT ON (site_id, id) site_id, id, visit_id, visitor, at, hostname, path, variants, until_ms,
        until_scrolled
    FROM read ORDER BY site_id, id
    ON CONFLICT (site_id, id) DO UPDATE SET
        engaged_ms = greatest(v.engaged_ms, excluded.engaged_ms), scrolled = greatest(v.scrolled, excluded.scrolled)
        WHERE v.engaged_ms < excluded.engaged_ms OR v.scrolled < excluded.scrolled
    RETURNING true
), stayed AS MATERIALIZED (
    SELECT read.site_id, read.visitor AS who, read.visit_id, p.last_at, max(until_at) AS until_at
    FROM read CROSS JOIN (SELECT count(*) FROM reading) AS locked CROSS JOIN LATERAL (
        SELECT last_at FROM tracking_presence AS p WHERE p.site_id = read.site_id{of_site("p")}
            AND p.visitor = read.visitor AND p.visit_id = read.visit_id LIMIT 1
    ) AS p GROUP BY 1, 2, 3, 4
), entry AS (
    SELECT DISTINCT ON (site_id, who) *, max(at) OVER (PARTITION BY site_id, who) AS latest_at
    FROM view ORDER BY site_id, who, n
), presence AS (
    INSERT INTO tracking_presence AS p (site_id, visitor, visit_id, last_at, patience)
    SELECT site_id, who, coalesce(entry.visit_id, stayed.visit_id), coalesce(latest_at, until_at),
        coalesce(patience + (latest_at - at), '0') + coalesce(greatest(until_at - last_at, '0'), '0')
    FROM entry FULL JOIN stayed USING (site_id, who) ORDER BY site_id, who
    ON CONFLICT (site_id, visitor) DO UPDATE SET
        visit_id = CASE WHEN excluded.last_at - p.last_at < excluded.patience
                        THEN p.visit_id ELSE excluded.visit_id END,
        last_at = greatest(p.last_at, excluded.last_at),
        patience = excluded.patience
    RETURNING site_id, visitor, visit_id
), seen AS (
    INSERT INTO tracking_view (site_id, id, visit_id, visitor, at, hostname, path, variants, engaged_ms, scrolled)
    SELECT view.site_id, view.view_id, presence.visit_id, who, view.at, hostname, path, variants,
        coalesce(e.engaged_ms, 0), coalesce(e.scrolled, 0)
    FROM view JOIN presence ON presence.site_id = view.site_id AND presence.visitor = who
        LEFT JOIN engagement AS e ON e.site_id = view.site_id AND e.view_id = view.view_id AND e.visitor = view.visitor
            AND e.previous_visitor = view.previous_visitor
    ORDER BY n
    ON CONFLICT DO NOTHING
    RETURNING site_id, id, visit_id, visitor
), fresh AS (
    SELECT seen.site_id, seen.visit_id, seen.visitor, count(DISTINCT seen.id) AS views, min(at) AS first_at,
        max(at) AS last_at, (array_agg(path ORDER BY n DESC))[1] AS exit_path,
        array_remove(array_agg(DISTINCT variant), NULL) AS variants
    FROM seen JOIN view ON view.site_id = seen.site_id AND view.view_id = seen.id
        LEFT JOIN LATERAL unnest(view.variants) AS variant ON true
    GROUP BY 1, 2, 3
), lasted AS (
    SELECT site_id, visit_id, max(until_at) AS until_at
    FROM read CROSS JOIN (SELECT count(*) FROM presence) AS locked GROUP BY 1, 2
), visit AS (
    INSERT INTO tracking_visit AS v (
        site_id, id, visitor, started_at, last_at, views, entry_path, exit_path, hostname, channel, source,
        referrer, utm_source, utm_medium, utm_campaign, utm_term, utm_content, click_id, country, region, city,
        browser, os, device, variants)
    SELECT fresh.site_id, fresh.visit_id, fresh.visitor, first_at, greatest(last_at, until_at), views, path,
        exit_path, hostname, channel, source, referrer, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
        click_id, country, region, city, browser, os, device, fresh.variants
    FROM fresh JOIN entry ON entry.site_id = fresh.site_id AND entry.who = fresh.visitor
        LEFT JOIN lasted ON lasted.site_id = fresh.site_id AND lasted.visit_id = fresh.visit_id
    UNION ALL
    SELECT v.site_id, v.id, visitor, started_at, until_at, 0, entry_path, exit_path, hostname, channel, source,
        referrer, utm_source, utm_medium, utm_campaign, utm_term, utm_content, click_id, country, region, city,
        browser, os, device, '{{}}'
    FROM lasted CROSS JOIN LATERAL (
        SELECT * FROM tracking_visit AS v WHERE v.site_id = lasted.site_id{of_site("v")} AND v.id = lasted.visit_id
            AND v.last_at < until_at LIMIT 1
    ) AS v
    WHERE (lasted.site_id, lasted.visit_id) NOT IN (SELECT site_id, visit_id FROM fresh)
    ORDER BY 1, 2
    ON CONFLICT (site_id, id) DO UPDATE SET
        views = v.views + excluded.views,
        last_at = greatest(v.last_at, excluded.last_at),
        exit_path = CASE WHEN excluded.views > 0 AND excluded.last_at >= v.last_at
                         THEN excluded.exit_path ELSE v.exit_path END,
        variants = CASE WHEN v.variants @> excluded.variants
                        THEN v.variants ELSE v.variants || excluded.variants END
)
INSERT INTO tracking_event (site_id, id, view_id, visit_id, visitor, at, name, path, props)
SELECT event.site_id, event.id, event.view_id,
    coalesce(seen.visit_id, v.visit_id, presence.visit_id, p.visit_id), coalesce(seen.visitor, v.visitor, who),
    event.at, event.name, event.path, props
FROM event
    LEFT JOIN seen ON seen.site_id = event.site_id AND seen.id = event.view_id
    LEFT JOIN presence ON presence.site_id = event.site_id AND presence.visitor = who
    LEFT JOIN LATERAL (
        SELECT visit_id, visitor FROM tracking_view AS v WHERE v.site_id = event.site_id{of_site("v")}
            AND v.id = event.view_id LIMIT 1
    ) AS v ON true
    LEFT JOIN LATERAL (
        SELECT visit_id FROM tracking_presence AS p WHERE p.site_id = event.site_id{of_site("p")} AND p.visitor = who
            AND event.at - p.last_at < event.patience LIMIT 1
    ) AS p ON true
ON CONFLICT DO NOTHING
"""


STATEMENT, STATEMENT_OF_SHARD = _statement(is_spread=False), _statement(is_spread=True)
HAS_CITUS = "SELECT 1 FROM pg_extension WHERE extname = 'citus'"
# What only a database with Citus can be asked.
IS_SPREAD = "SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'tracking_view'::regclass"
SHARDS = """
SELECT site_id, get_shard_id_for_distribution_column('tracking_view', site_id)
FROM unnest(%(sites)s::bigint[]) AS site_id
"""

ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def parameters(batch: Sequence[Sighting]) -> dict[str, object]:
    """Give the statement's parameters: views, events and readings as JSON, each view and event once."""
    views: dict[tuple[int, uuid.UUID], Seen] = {}
    events: dict[tuple[int, uuid.UUID], Happened] = {}
    readings: list[Sighting] = []
    for one in batch:
        if isinstance(one, Seen):
            views.setdefault((one.site_id, one.view_id), one)
        elif isinstance(one, Happened):
            events.setdefault((one.site_id, one.id), one)
        else:
            readings.append(one)
    numbered = [one.row() | {"n": n} for n, one in enumerate(views.values())]
    return {
        "views": ENCODE(numbered),
        "events": ENCODE([one.row() for one in events.values()]),
        "readings": ENCODE([one.row() for one in readings]),
    }


class FullError(Exception):
    """More hits are waiting than can be kept in memory."""


class LostError(Exception):
    """The writer ended in a way that nobody foresaw; nothing that waited for it is certain."""


class Recorder:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Sighting, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._is_spread: bool | None = None
        self._shards: dict[int, int] = {}

    async def record(self, sighting: Sighting) -> None:
        """Return when the sighting is committed. Raise FullError, or what the database raised."""
        if len(self._waiting) >= MOST_WAITING:
            raise FullError
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((sighting, done))
        WAITING.inc()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        try:
            await done
        finally:
            WAITING.dec()

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
            BATCH_HITS.observe(len(batch))
            with COMMIT_SECONDS.time():
                await self._commit([sighting for sighting, _ in batch])
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

    async def _commit(self, batch: Sequence[Sighting]) -> None:
        """Write all at once; if the tables are spread over machines, all of each shard. Raise what the database raised.

        Then some may be written although this fails. They are told to be sent again, and count once.
        """
        if self._is_spread is None:
            has_citus = await self._database.execute(HAS_CITUS, [])
            self._is_spread = bool(has_citus and await self._database.execute(IS_SPREAD, []))
        if not self._is_spread:
            await self._database.execute(STATEMENT, parameters(batch))
            return
        for part in await self._by_shard(batch):
            sites = sorted({one.site_id for one in part}) or [NO_SITE]
            try:
                await self._database.execute(STATEMENT_OF_SHARD, parameters(part) | {"sites": sites})
            except psycopg.NotSupportedError:
                # A shard that was split is two, and its sites are to be told apart anew.
                self._shards.clear()
                raise

    async def _by_shard(self, batch: Sequence[Sighting]) -> list[list[Sighting]]:
        """Put together what lies in one place; nothing is one part."""
        if unknown := {one.site_id for one in batch} - self._shards.keys():
            self._shards |= dict(await self._database.execute(SHARDS, {"sites": list(unknown)}))
        parts: dict[int, list[Sighting]] = {} if batch else {NO_SITE: []}
        for one in batch:
            parts.setdefault(self._shards[one.site_id], []).append(one)
        return list(parts.values())

    async def write_nothing(self) -> None:
        """Do what is done for a hit, without one, to see that it can be done. Raise what the database raised."""
        await self._commit([])

    async def drain(self) -> None:
        """Wait until nothing waits."""
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])


def _fail(batch: list[tuple[Sighting, asyncio.Future[None]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)

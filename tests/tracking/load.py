"""Visitors who never stop: clients that keep sending hits to /collect, whatever becomes of the server."""

import asyncio
import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

# A program that has no Django may be a visitor, too.
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)
CLIENTS = 16
ANSWER_SECONDS = 20
LOST = 0
AGAIN_EVERY = 7
ADDRESSES = 50_000
ENOUGH = 1_000
PATIENCE_SECONDS = 90


@dataclass
class Load:
    """What became of the hits: `statuses` counts the answers, LOST those that never came.

    Each view has an event with the same id, and is read for a time that follows from its id.
    """

    port: int
    site_key: str
    host: str
    # Between one view of a client and its next.
    pause: float = 0
    acknowledged: list[uuid.UUID] = field(default_factory=list)
    acknowledged_events: list[uuid.UUID] = field(default_factory=list)
    acknowledged_engagements: list[uuid.UUID] = field(default_factory=list)
    refused: set[uuid.UUID] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    is_over: bool = False

    async def during(self, story: Callable[["Load"], Awaitable[None]]) -> None:
        """Let the clients send until the story has been told."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._send_views())
            await story(self)
            # What is under way still gets its answer.
            self.is_over = True

    async def _send_views(self) -> None:
        """Send new views; one that was not acknowledged again, and now and then one that was.

        Of those that were not, every second is never sent again: it may have been kept or not.
        """
        connection = _Connection(self.port)
        try:
            for n in itertools.takewhile(lambda _: not self.is_over, itertools.count()):
                view = uuid.uuid4()
                is_kept = await self._send(connection, view)
                while not is_kept and n % 2 and not self.is_over:
                    await asyncio.sleep(0.05)
                    is_kept = await self._send(connection, view)
                if is_kept and await self._tell(connection, view, {"event": "seen", "id": str(view)}):
                    self.acknowledged_events.append(view)
                if is_kept and await self._tell(connection, view, {"engaged": engaged_ms(view)}):
                    self.acknowledged_engagements.append(view)
                if self.acknowledged and n % AGAIN_EVERY == 0:
                    await self._send(connection, self.acknowledged[-AGAIN_EVERY:][0])
                await asyncio.sleep(self.pause)
        finally:
            connection.close()

    async def _send(self, connection: "_Connection", view: uuid.UUID) -> bool:
        """Tell whether the view was acknowledged."""
        is_kept = await self._tell(connection, view, {})
        if is_kept:
            self.acknowledged.append(view)
        else:
            self.refused.add(view)
        return is_kept

    async def _tell(self, connection: "_Connection", view: uuid.UUID, more: dict[str, object]) -> bool:
        try:
            status = await connection.post(self._request(view, more))
        except (OSError, EOFError, TimeoutError):
            connection.close()
            status = LOST
            await asyncio.sleep(0.02)
        self.statuses[status] += 1
        return status == 202

    def _request(self, view: uuid.UUID, more: dict[str, object]) -> bytes:
        # A view that is sent again comes from the same visitor.
        visitor = view.int % ADDRESSES
        url = f"https://{self.host}/{visitor % 50}"
        body = json.dumps({"site": self.site_key, "view": str(view), "url": url} | more)
        return (
            f"POST /collect HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nUser-Agent: {CHROME}\r\n"
            f"X-Forwarded-For: 91.{64 + visitor // 62_500}.{visitor // 250 % 250}.{visitor % 250 + 1}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


def engaged_ms(view: uuid.UUID) -> int:
    return view.int % 1_000 + 1


async def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def more(load: Load, count: int = ENOUGH) -> None:
    """Wait for this many acknowledgements more."""
    enough = len(load.acknowledged) + count
    await until(lambda: len(load.acknowledged) >= enough)


def audit(database: psycopg.Connection[Any], *loads: Load) -> None:
    """Compare what is kept of a site with what these loads of it, which are over, know of each hit by its id."""
    query = "SELECT id FROM sites_site WHERE key = %s"
    (site_id,) = database.execute(query, [loads[0].site_key]).fetchone() or (0,)

    def rows(query: str) -> list[Any]:
        return database.execute(query, [site_id]).fetchall()

    views = rows("SELECT id, visit_id, engaged_ms FROM tracking_view WHERE site_id = %s")
    visit_of = {view: visit for view, visit, _ in views}
    acknowledged = {view for load in loads for view in load.acknowledged}
    assert len(views) == len(visit_of)
    assert acknowledged - set(visit_of) == set()
    assert set(visit_of) - acknowledged <= {view for load in loads for view in load.refused}

    events = dict(rows("SELECT id, visit_id FROM tracking_event WHERE site_id = %s"))
    assert {event for load in loads for event in load.acknowledged_events} <= set(events) <= acknowledged
    assert all(visit_of[view] == visit for view, visit in events.items())
    read = {view: engaged for view, _, engaged in views if engaged}
    assert {view for load in loads for view in load.acknowledged_engagements} <= set(read) <= acknowledged
    assert all(engaged == engaged_ms(view) for view, engaged in read.items())

    visits = dict(rows("SELECT id, views FROM tracking_visit WHERE site_id = %s"))
    assert visits == Counter(visit_of.values())


class _Connection:
    """A kept-alive HTTP connection, opened when needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, request: bytes) -> int:
        """Give the answer's status. Raise OSError, EOFError or TimeoutError when none comes."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        async with asyncio.timeout(ANSWER_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

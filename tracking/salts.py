"""The daily salts: made by whoever needs one first, destroyed when two days have passed."""

import asyncio
import datetime as dt
import logging
import secrets

import psycopg

from tracking.recorder import Database

MADE = "INSERT INTO tracking_dailysalt (day, salt) VALUES (%s, %s) ON CONFLICT DO NOTHING"
KEPT = "SELECT salt FROM tracking_dailysalt WHERE day = %s"
FORGOTTEN = "DELETE FROM tracking_presence WHERE last_at < %s"

# A deleted row's bytes stay in the table's file until its place is needed. TRUNCATE makes a new file.
DESTROYED = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM tracking_dailysalt WHERE day < '{day}') THEN
        LOCK TABLE tracking_dailysalt IN ACCESS EXCLUSIVE MODE;
        CREATE TEMPORARY TABLE kept_salt AS SELECT day, salt FROM tracking_dailysalt WHERE day >= '{day}';
        TRUNCATE tracking_dailysalt;
        INSERT INTO tracking_dailysalt (day, salt) SELECT day, salt FROM kept_salt;
        DROP TABLE kept_salt;
    END IF;
END $$
"""

log = logging.getLogger(__name__)


class Salts:
    """The salts of today and yesterday, read from the database once a day."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[dt.date, bytes] = {}
        self._reading = asyncio.Lock()

    async def around(self, day: dt.date) -> tuple[bytes, bytes]:
        """Give the salts of `day` and of the day before."""
        eve = day - dt.timedelta(days=1)
        if day not in self._known or eve not in self._known:
            async with self._reading:
                # Those who waited find it done.
                if day not in self._known or eve not in self._known:
                    await self._read(day, eve)
        return self._known[day], self._known[eve]

    async def _read(self, day: dt.date, eve: dt.date) -> None:
        self._known = {day: await self._of(day), eve: await self._of(eve)}
        try:
            for statement, parameters in forgetting(day):
                await self._database.execute(statement, parameters)
        except psycopg.Error as error:
            # A backup may be reading the table, for longer than hits can wait; the worker's turn comes again.
            log.warning("salts that are over could not be destroyed yet: %s", type(error).__name__)

    async def _of(self, day: dt.date) -> bytes:
        await self._database.execute(MADE, [day, secrets.token_bytes(32)])
        return bytes((await self._database.execute(KEPT, [day]))[0][0])


def forgetting(day: dt.date) -> list[tuple[str, list[dt.datetime]]]:
    """Give the statements that destroy what tells visitors apart, but for `day` and the day before.

    Yesterday's salt is still needed for visits that go on past midnight.
    """
    eve = day - dt.timedelta(days=1)
    return [
        # A utility statement takes no parameters; a date is written safely by its type.
        (DESTROYED.format(day=eve.isoformat()), []),
        (FORGOTTEN, [dt.datetime.combine(eve, dt.time(), dt.UTC)]),
    ]

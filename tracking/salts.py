"""The daily salts: made by whoever needs one first, destroyed when two days have passed."""

import datetime as dt
import secrets

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


class Salts:
    """The salts of today and yesterday, read from the database once a day."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[dt.date, bytes] = {}

    async def around(self, day: dt.date) -> tuple[bytes, bytes]:
        """Give the salts of `day` and of the day before."""
        eve = day - dt.timedelta(days=1)
        if day not in self._known or eve not in self._known:
            self._known = {day: await self._of(day), eve: await self._of(eve)}
            for statement, parameters in forgetting(day):
                await self._database.execute(statement, parameters)
        return self._known[day], self._known[eve]

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

"""The daily salts: made by whoever needs one first, destroyed when two days have passed."""

import datetime as dt
import secrets

from tracking.recorder import Database

MADE = "INSERT INTO tracking_dailysalt (day, salt) VALUES (%s, %s) ON CONFLICT DO NOTHING"
KEPT = "SELECT salt FROM tracking_dailysalt WHERE day = %s"
DESTROYED = "DELETE FROM tracking_dailysalt WHERE day < %s"
FORGOTTEN = "DELETE FROM tracking_presence WHERE last_at < %s"


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
        return self._known[day], self._known[eve]

    async def _of(self, day: dt.date) -> bytes:
        await self._database.execute(MADE, [day, secrets.token_bytes(32)])
        return bytes((await self._database.execute(KEPT, [day]))[0][0])


def oldest_kept(now: dt.datetime) -> dt.date:
    """The first day whose salt is still needed: yesterday, for visits that go on past midnight."""
    return now.astimezone(dt.UTC).date() - dt.timedelta(days=1)

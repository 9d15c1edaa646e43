"""What all doors for hits share: which sites there are, what was refused, and the one recorder."""

import datetime as dt
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from tracking.hits import Refusal, RefusedError
from tracking.intake import Rules, known_sites
from tracking.recorder import Database, FullError, LostError, Recorder
from tracking.salts import Salts
from tracking.tally import Tally

COMPLAINT_SECONDS = 10.0

log = logging.getLogger(__name__)


class Reception:
    def __init__(self, lookups: Database, writes: Database, clock: Callable[[], dt.datetime]) -> None:
        self.clock = clock
        self.salts = Salts(lookups)
        self.recorder = Recorder(writes)
        self._sites = known_sites(lookups)
        self._refused = Tally(lookups)
        self._complained_at = float("-inf")

    async def rules(self, site_key: str) -> Rules:
        """Give the rules of the site with this key. Raise RefusedError."""
        with self.database():
            rules = await self._sites.get(site_key)
        if rules is None:
            raise RefusedError(Refusal.UNKNOWN_SITE)
        return rules

    @contextmanager
    def counting(self, rules: Rules, day: dt.date) -> Iterator[None]:
        """Count what is refused within, under the site and the day."""
        try:
            with self.database():
                yield
        except RefusedError as error:
            self._refused.add(rules.site_id, day, error.refusal)
            raise

    def remember_bot(self, rules: Rules, view_id: uuid.UUID, now: dt.datetime) -> None:
        """Let a payment on a view that is about to be refused say why it is credited to nobody."""
        self._refused.add_bot(rules.site_id, view_id, now)

    @contextmanager
    def database(self) -> Iterator[None]:
        """Let what the database cannot do now be a refusal; the log is told, but not for each hit."""
        try:
            yield
        except (psycopg.Error, OSError, FullError, LostError) as error:
            if time.monotonic() - self._complained_at > COMPLAINT_SECONDS:
                self._complained_at = time.monotonic()
                log.warning("hits are refused, the database does not take them: %s", type(error).__name__)
            raise RefusedError(Refusal.UNAVAILABLE) from None

    async def close(self) -> None:
        """Write what has been accepted, and then what has been counted."""
        await self.recorder.drain()
        await self._refused.close()

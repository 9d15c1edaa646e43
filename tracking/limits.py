"""How many hits one network may send to one site, so that a flood from there costs the others nothing.

Kept in this process's memory and nowhere else, under a keyed hash whose key dies with the process: no address can be
read back from it. Several server processes count apart, so that with four of them four times as much may pass.
"""

import secrets
import time
from collections.abc import Callable
from hashlib import blake2b

from tracking.visitors import Address

# A hall of a thousand people behind one address who open a page at once are no flood, and neither is an office or a
# mobile carrier's gateway: 100 a second make more than eight million hits a day, and are little of what a server takes.
PER_SECOND = 100.0
BURST = 1_000
# Only who has sent something in the last seconds is remembered, which are as many as a server can hear.
MOST_SENDERS = 50_000


class Limits:
    """A bucket of tokens for each sender, kept as the moment at which it will be full again."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause = 1 / per_second
        self._patience = burst / per_second
        self._clock = clock
        self._key = secrets.token_bytes(16)
        self._full_at: dict[bytes, float] = {}

    def seconds_to_wait(self, sender: bytes) -> float:
        """Take a token and give 0; or give the seconds until there is one."""
        now, name = self._clock(), blake2b(sender, digest_size=12, key=self._key).digest()
        full_at = max(self._full_at.get(name, now), now) + self._pause
        missing = full_at - now - self._patience
        if missing > 0:
            return missing
        if len(self._full_at) >= MOST_SENDERS and name not in self._full_at:
            self._forget(now)
        self._full_at[name] = full_at
        return 0.0

    def _forget(self, now: float) -> None:
        """Forget whose bucket is full; if that is nobody's, everybody, for it is better to count too much."""
        kept = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        self._full_at = kept if len(kept) < MOST_SENDERS else {}


def network(site_id: int, address: Address) -> bytes:
    """Name a sender to a site: an IPv4 address, or the first half of an IPv6 one; the other half anybody can choose."""
    return b"%d %s" % (site_id, address.packed if address.version == 4 else address.packed[:8])

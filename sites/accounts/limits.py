"""How often somebody may try something that can be guessed, or that sends mail.

Counted in the database, so that all servers count together, under keyed hashes: neither an address nor whose account
it was can be read from them. A try is counted before it is looked at, so that no number of them at once gets past.
"""

import datetime as dt
import hmac
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from sites.accounts.origin import origin_of

COUNT = """
INSERT INTO sites_tries AS counted (key, number, ends_at) VALUES (%(key)s, 1, %(ends_at)s)
ON CONFLICT (key) DO UPDATE SET
    number = CASE WHEN counted.ends_at <= %(now)s THEN 1 ELSE counted.number + 1 END,
    ends_at = CASE WHEN counted.ends_at <= %(now)s THEN excluded.ends_at ELSE counted.ends_at END
RETURNING number, ends_at
"""
GIVE_BACK = "UPDATE sites_tries SET number = number - 1 WHERE key = %(key)s AND number > 0 AND ends_at > %(now)s"
# Rows that somebody is counting in just now are left to the next.
FORGET = """
DELETE FROM sites_tries WHERE key IN (
    SELECT key FROM sites_tries WHERE ends_at <= %(now)s LIMIT 1000 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many tries within so long, for each account and for each network that they come from."""

    name: str
    of_account: int
    of_network: int
    within: dt.timedelta = dt.timedelta(minutes=15)


# A whole office may be behind one network, and forget its passwords on the same Monday.
LOG_IN = Limit("log in", of_account=10, of_network=60)
SECOND_FACTOR = Limit("second factor", of_account=10, of_network=60)
CONFIRM = Limit("confirm", of_account=10, of_network=60)
RESET = Limit("reset", of_account=3, of_network=20, within=dt.timedelta(hours=1))
EMAIL = Limit("e-mail address", of_account=5, of_network=20, within=dt.timedelta(hours=1))
INVITE = Limit("invite", of_account=30, of_network=60, within=dt.timedelta(hours=1))
JOIN = Limit("join", of_account=20, of_network=60)


class TooManyTriesError(Exception):
    """It was tried too often; `wait` says for how long nothing more is answered."""

    def __init__(self, wait: dt.timedelta) -> None:
        super().__init__()
        self.wait = wait


def count(request: HttpRequest, limit: Limit, account: str) -> None:
    """Count a try for the network that the request comes from and for the account. Raise TooManyTriesError.

    The network comes first: one that has used up its tries cannot use up anybody's.
    """
    now = timezone.now()
    _count(_key(limit, "network", origin_of(request).network), limit.of_network, limit.within, now)
    _count(_key(limit, "account", account.lower()), limit.of_account, limit.within, now)


def give_back(request: HttpRequest, limit: Limit, account: str) -> None:
    """Take a try back that turned out to be right."""
    now = timezone.now()
    with connection.cursor() as cursor:
        for key in (
            _key(limit, "network", origin_of(request).network),
            _key(limit, "account", account.lower()),
        ):
            cursor.execute(GIVE_BACK, {"key": key, "now": now})


def is_first_use(what: str, within: dt.timedelta) -> bool:
    """Tell whether this text was not used yet, by whatever server, within the time; it is used then."""
    try:
        _count(_key_of(f"use|{what}"), 1, within, timezone.now())
    except TooManyTriesError:
        return False
    return True


def forget(now: dt.datetime) -> None:
    """Delete a thousand counts that have ended, if there are as many."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET, {"now": now})


def _count(key: bytes, most: int, within: dt.timedelta, now: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"key": key, "now": now, "ends_at": now + within})
        number, ends_at = cursor.fetchone()
    if number == 1:
        forget(now)
    if number > most:
        raise TooManyTriesError(ends_at - now)


def _key(limit: Limit, kind: str, who: str) -> bytes:
    return _key_of(f"{limit.name}|{kind}|{who}")


def _key_of(text: str) -> bytes:
    secret = f"sites.accounts.limits|{settings.SECRET_KEY}"
    return hmac.digest(secret.encode(), text.encode("utf-8", "replace"), "sha256")

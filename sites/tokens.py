"""API tokens: shown once when they are made, and known by their hash ever after.

A token has 256 random bits, so its plain SHA-256 can be looked up and cannot be turned back.
"""

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

from sites.models import ApiToken, Site

# Lets people, and programs that look for leaked secrets, see whose it is.
PREFIX = "hl_"

# A dashboard of one's own asks for some dozen panels at once, a nightly export for some hundred pages.
BURST = 100
PER_SECOND = 5
PAUSE = dt.timedelta(seconds=1 / PER_SECOND)


class UnknownTokenError(Exception):
    """There is no such token; it may have been revoked."""


class TooManyRequestsError(Exception):
    """The token was used too often; `wait` says for how long nothing more is answered."""

    def __init__(self, wait: dt.timedelta) -> None:
        super().__init__()
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Use:
    """That a token was used. `remaining` requests may follow at once, BURST again after `full_in`."""

    token: ApiToken
    remaining: int
    full_in: dt.timedelta


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def issue(site: Site, name: str, scope: ApiToken.Scope = ApiToken.Scope.EVENTS) -> str:
    """Make a token and give its text, which is kept nowhere."""
    token = PREFIX + secrets.token_urlsafe(32)
    ApiToken.objects.create(site=site, name=name, scope=scope, digest=digest(token), hint=token[-4:])
    return token


def use(text: str, now: dt.datetime) -> Use:
    """Count a request with the token. Raise UnknownTokenError or TooManyRequestsError.

    All servers count together: how much of the bucket is left stands in the token's row, as the moment at which it
    will be full again, and is only changed from what was looked at, so that no number of requests at once gets past it.
    """
    latest = now + (BURST - 1) * PAUSE
    while True:
        token = ApiToken.objects.select_related("site").filter(digest=digest(text)).first()
        if token is None:
            raise UnknownTokenError
        full_at = max(token.full_at or now, now)
        if full_at > latest:
            raise TooManyRequestsError(max(full_at - latest, PAUSE))
        # The moment is reckoned here, because Citus reckons none in an UPDATE.
        unchanged = ApiToken.objects.filter(pk=token.pk, full_at=token.full_at)
        if unchanged.update(full_at=full_at + PAUSE, used_at=now):
            full_in = full_at + PAUSE - now
            return Use(token, max(BURST - -(-full_in // PAUSE), 0), full_in)

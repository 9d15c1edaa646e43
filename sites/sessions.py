"""Django's sessions in the database, in rows that know whose they are: so that somebody can see and end their own.

A row goes with its user, and whoever has its key has nothing once it is gone. No address is kept.
"""

import datetime as dt
import hashlib
import time
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest
from django.utils import timezone

from sites.accounts.origin import origin_of
from sites.models import Session, User

# Under these names a session keeps what its row tells.
BEGUN, SEEN, BROWSER, SYSTEM = "begun", "seen", "browser", "system"
# A row is written anew for it at most so often.
SEEN_EVERY = 15 * 60


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> Any:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = super().create_model_instance(data)
        row.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.browser, row.system = data.get(BROWSER, ""), data.get(SYSTEM, "")
        row.begun_at = _moment(data.get(BEGUN))
        row.seen_at = _moment(data.get(SEEN))
        return row


@dataclass(frozen=True, slots=True)
class Device:
    """Where somebody is logged in. `is_recent` says that it may be in use just now.

    `name` stands for the session's key, which would let anybody in who read it.
    """

    name: str
    browser: str
    system: str
    begun_at: dt.datetime | None
    seen_at: dt.datetime | None
    is_recent: bool
    is_this: bool


def begin(request: HttpRequest) -> None:
    """Keep with the session of who has just logged in when and with what."""
    origin = origin_of(request)
    request.session[BEGUN] = request.session[SEEN] = time.time()
    request.session[BROWSER], request.session[SYSTEM] = origin.browser, origin.system


def see(request: HttpRequest) -> None:
    """Keep with the session that it was used now; one that did not begin with a log-in does not tell."""
    if time.time() - request.session.get(SEEN, time.time()) > SEEN_EVERY:
        request.session[SEEN] = time.time()


def devices(request: HttpRequest, user: User) -> list[Device]:
    """The sessions of the user that have not ended, the last used first."""
    now = timezone.now()
    rows = Session.objects.filter(user=user, expire_date__gt=now)
    return [
        Device(
            _name(row.session_key),
            row.browser,
            row.system,
            row.begun_at,
            row.seen_at,
            row.seen_at is not None and (now - row.seen_at).total_seconds() < SEEN_EVERY,
            row.session_key == request.session.session_key,
        )
        for row in sorted(rows, key=lambda row: row.seen_at or row.expire_date, reverse=True)
    ]


def end(user: User, name: str) -> bool:
    """End the user's session of that name; tell whether there was one."""
    keys = Session.objects.filter(user=user).values_list("session_key", flat=True)
    ended, _ = Session.objects.filter(user=user, pk__in=[key for key in keys if _name(key) == name]).delete()
    return bool(ended)


def end_others(request: HttpRequest, user: User) -> int:
    """End all of the user's sessions but the request's; give how many."""
    ended, _ = Session.objects.filter(user=user).exclude(pk=request.session.session_key).delete()
    return ended


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _moment(seconds: float | None) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds else None

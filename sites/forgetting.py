"""What accounts leave behind when it has ended: deleted each hour, some thousand rows at once."""

import datetime as dt

from sites.accounts import limits
from sites.models import Invitation, Session

AT_ONCE = 5_000
# So long it is told that one has expired.
INVITATIONS_KEPT = dt.timedelta(days=30)


def forget(now: dt.datetime) -> None:
    """Delete sessions and counts of tries that have ended, and invitations that ended a month ago."""
    limits.forget(now)
    while True:
        ended = Session.objects.filter(expire_date__lte=now).values("pk")[:AT_ONCE]
        deleted, _ = Session.objects.filter(pk__in=ended).delete()
        if deleted < AT_ONCE:
            break
    Invitation.objects.filter(expires_at__lte=now - INVITATIONS_KEPT).delete()

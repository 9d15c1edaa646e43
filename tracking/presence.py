"""In which visit somebody is who asks for something, told as the ingest tells it: by the day's salt, kept nowhere."""

import datetime as dt
from typing import Any

from django.db import connection

from tracking.visitors import visitor

SALTS = "SELECT salt FROM tracking_dailysalt WHERE day IN (%s, %s)"
CHANNEL = """
SELECT visit.channel
FROM tracking_presence AS presence
    JOIN tracking_visit AS visit ON visit.site_id = presence.site_id AND visit.id = presence.visit_id
WHERE presence.site_id = %s AND presence.visitor = ANY(%s) AND %s - presence.last_at < %s
ORDER BY presence.last_at DESC LIMIT 1
"""


def channel_of_visit(
    site_id: int, site_key: str, ip: str, user_agent: str, now: dt.datetime, patience: dt.timedelta
) -> str | None:
    """Give the channel of the visit that a view of now would belong to, None if it would begin one."""
    with connection.cursor() as cursor:
        cursor.execute(SALTS, [now.date(), now.date() - dt.timedelta(days=1)])
        names = [visitor(bytes(salt), site_key, ip, user_agent) for (salt,) in cursor.fetchall()]
        parameters: list[Any] = [site_id, names, now, patience]
        cursor.execute(CHANNEL, parameters)
        row = cursor.fetchone()
    return row[0] if row else None

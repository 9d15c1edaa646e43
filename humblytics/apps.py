import logging
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

# Sums over a year of a site with a million visits sort and join some ten megabytes. With what PostgreSQL allows unless
# told otherwise, 4 MB, they go over the disk and take half as long again.
WORK_MEM = "16MB"


class HumblyticsConfig(AppConfig):
    name = "humblytics"

    def ready(self) -> None:
        from humblytics import checks, reporting  # noqa: F401, PLC0415  registers the system checks

        # What Python and the libraries warn of is a line of the log, too.
        logging.captureWarnings(True)
        if settings.SENTRY_DSN:
            reporting.begin(settings.SENTRY_DSN)
        connection_created.connect(_give_room)


def _give_room(connection: BaseDatabaseWrapper, **_: Any) -> None:
    # Not among the connection's options, which PgBouncer refuses.
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', %s, false)", [WORK_MEM])

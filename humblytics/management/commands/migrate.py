from typing import Any

from django.core.management.commands import migrate
from django.db import connections

# Whoever waits for a table keeps all others waiting who come after, hits among them.
PATIENCE = "5s"


class Command(migrate.Command):
    """Django's own, but it gives up rather than wait long for a table that a backup or a report holds."""

    def handle(self, *args: Any, database: str, **options: Any) -> None:
        with connections[database].cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [PATIENCE])
        try:
            super().handle(*args, database=database, **options)
        finally:
            with connections[database].cursor() as cursor:
                cursor.execute("RESET lock_timeout")

"""What Celery runs. A task that comes late, twice or not at all does no harm: the next beat sends it again."""

from contextlib import suppress

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from revenue.models import Connection
from revenue.sync import LockedError, sync


@shared_task(name="revenue.sync_due_accounts", expires=settings.BEAT_SECONDS)
def sync_due_accounts() -> None:
    """Send each account that is due to be read, through one of the sites that are connected to it."""
    for connection in Connection.objects.due(timezone.now()):
        sync_connection.delay(connection.pk)


@shared_task(name="revenue.sync_connection", expires=settings.BEAT_SECONDS)
def sync_connection(pk: int) -> None:
    for connection in Connection.objects.select_related("account", "site").filter(pk=pk):
        with suppress(LockedError):
            sync(connection, timezone.now())

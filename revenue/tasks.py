"""What Celery runs. A task that comes late, twice or not at all does no harm: the next beat sends it again."""

import datetime as dt
from contextlib import suppress

from celery import shared_task
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from revenue.models import Connection
from revenue.sync import LockedError, sync


@shared_task(name="revenue.sync_due_accounts", expires=settings.SYNC_SECONDS)
def sync_due_accounts() -> None:
    """Send each connection that was not tried for a while to be read."""
    due = Q(tried_at=None) | Q(tried_at__lte=timezone.now() - dt.timedelta(seconds=settings.SYNC_SECONDS))
    for pk in Connection.objects.filter(due).exclude(sealed_key="").values_list("pk", flat=True):
        sync_connection.delay(pk)


@shared_task(name="revenue.sync_connection", expires=settings.SYNC_SECONDS)
def sync_connection(pk: int) -> None:
    for connection in Connection.objects.select_related("account", "site").filter(pk=pk):
        with suppress(LockedError):
            sync(connection, timezone.now())

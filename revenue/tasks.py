"""What Celery runs. A task that comes late, twice or not at all does no harm: the next beat sends it again."""

import time
from contextlib import suppress

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from revenue import forgetting
from revenue.alerts import send_alerts
from revenue.models import Connection
from revenue.sync import LockedError, catch_up

# Stripe is not asked by everybody in the same minute.
SPREAD_SECONDS = 3600
# A worker that is told to stop waits for no more than that; the next beat goes on.
FORGETTING_SECONDS = 45.0


@shared_task(name="revenue.sync_due_accounts", expires=settings.BEAT_SECONDS)
def sync_due_accounts() -> None:
    """Send each account that is due to be read, through one of the sites that are connected to it."""
    for connection in Connection.objects.due(timezone.now()):
        sync_connection.delay(connection.pk)


@shared_task(name="revenue.sync_connection", expires=settings.BEAT_SECONDS)
def sync_connection(pk: int) -> None:
    for connection in Connection.objects.select_related("account", "site").filter(pk=pk):
        with suppress(LockedError):
            catch_up(connection, timezone.now())


@shared_task(name="revenue.verify_accounts")
def verify_accounts() -> None:
    """Send each account to have its books proved, within the hour."""
    for connection in Connection.objects.for_accounts().select_related("account"):
        seconds = int.from_bytes(connection.account.acct_id.encode()) % SPREAD_SECONDS
        verify_connection.apply_async([connection.pk], countdown=seconds)


@shared_task(name="revenue.verify_connection", autoretry_for=(LockedError,), default_retry_delay=60, max_retries=30)
def verify_connection(pk: int) -> None:
    for connection in Connection.objects.select_related("account", "site").filter(pk=pk):
        catch_up(connection, timezone.now(), is_verified=True)


@shared_task(name="revenue.send_alerts")
def send_alerts_task() -> None:
    send_alerts(timezone.now())


@shared_task(name="revenue.forget_deleted", expires=60)
def forget_deleted() -> None:
    forgetting.forget(timezone.now(), time.monotonic() + FORGETTING_SECONDS)

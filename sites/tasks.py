"""What Celery runs for accounts."""

import time

from celery import shared_task
from django.utils import timezone

from sites import deletion, forgetting
from sites.accounts.reset import send_new_password as send
from sites.models import SiteDeletion

# A worker that is told to stop waits for no more than that; the next beat goes on.
ERASING_SECONDS = 45.0


@shared_task(name="sites.send_new_password", expires=3600)
def send_new_password(email: str) -> None:
    send(email)


@shared_task(name="sites.forget")
def forget() -> None:
    forgetting.forget(timezone.now())


@shared_task(name="sites.erase_deleted", expires=60)
def erase_deleted() -> None:
    ends_at = time.monotonic() + ERASING_SECONDS
    for each in SiteDeletion.objects.all():
        deletion.erase(each, timezone.now(), ends_at)

"""What Celery runs for accounts."""

from celery import shared_task
from django.utils import timezone

from sites import forgetting
from sites.accounts.reset import send_new_password as send


@shared_task(name="sites.send_new_password", expires=3600)
def send_new_password(email: str) -> None:
    send(email)


@shared_task(name="sites.forget")
def forget() -> None:
    forgetting.forget(timezone.now())

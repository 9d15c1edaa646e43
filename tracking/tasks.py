import datetime as dt

from celery import shared_task
from django.db import connection
from django.utils import timezone

from tracking.salts import DESTROYED, FORGOTTEN, oldest_kept


def forget_visitors(now: dt.datetime) -> None:
    """Destroy the salts of days that no visit can go on from, and who was in which visit then."""
    with connection.cursor() as cursor:
        cursor.execute(DESTROYED, [oldest_kept(now)])
        cursor.execute(FORGOTTEN, [now - dt.timedelta(hours=48)])


@shared_task(name="tracking.forget_visitors")
def forget_visitors_task() -> None:
    forget_visitors(timezone.now())

import datetime as dt

from celery import shared_task
from django.db import connection
from django.utils import timezone

from tracking.salts import forgetting


def forget_visitors(now: dt.datetime) -> None:
    """Destroy the salts of days that no visit can go on from, and who was in which visit then.

    The ingest does it too, with the first hit of each day; this is for sites that nobody visits.
    """
    with connection.cursor() as cursor:
        for statement, parameters in forgetting(now.astimezone(dt.UTC).date()):
            cursor.execute(statement, parameters)


@shared_task(name="tracking.forget_visitors")
def forget_visitors_task() -> None:
    forget_visitors(timezone.now())

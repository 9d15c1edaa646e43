import datetime as dt

from celery import shared_task
from django.conf import settings
from django.db import connection
from django.utils import timezone

from sites import about
from sites.models import Site
from tracking.ahead import count_days
from tracking.models import BotView
from tracking.prune import prune
from tracking.reports import send_reports
from tracking.salts import forgetting

BOT_VIEWS_KEPT = dt.timedelta(days=7)


def forget_visitors(now: dt.datetime) -> None:
    """Destroy the salts of days that no visit can go on from, who was in which visit then, and ids of bots' views.

    The ingest does it too, with the first hit of each day; this is for sites that nobody visits.
    """
    with connection.cursor() as cursor:
        for statement, parameters in forgetting(now.astimezone(dt.UTC).date()):
            cursor.execute(statement, parameters)
    BotView.objects.filter(at__lt=now - BOT_VIEWS_KEPT).delete()


@shared_task(name="tracking.forget_visitors")
def forget_visitors_task() -> None:
    forget_visitors(timezone.now())


@shared_task(name="tracking.count_days")
def count_days_task() -> None:
    for site in Site.objects.all():
        about.note(site=site.domain)
        count_days(site, timezone.now())


@shared_task(name="tracking.prune")
def prune_task() -> None:
    if settings.RETENTION_MONTHS:
        for site in Site.objects.all():
            about.note(site=site.domain)
            prune(site, timezone.now(), settings.RETENTION_MONTHS)


@shared_task(name="tracking.send_reports")
def send_reports_task() -> None:
    send_reports(timezone.now())

"""What Celery runs. A task that comes late makes the next page slower, or a scheduled test late; no more."""

from celery import shared_task
from django.utils import timezone

from sites import about
from splittests import schedule
from splittests.exposures import gather
from splittests.models import SplitTest


@shared_task(name="splittests.gather_exposures")
def gather_exposures() -> None:
    for test in SplitTest.objects.seen_lately(timezone.now()).select_related("site"):
        about.note(site=test.site.domain)
        gather(test)


@shared_task(name="splittests.keep_schedule")
def keep_schedule() -> None:
    schedule.keep(timezone.now())

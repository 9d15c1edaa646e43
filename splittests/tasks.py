"""What Celery runs. A task that comes late or not at all only makes the next page slower."""

from celery import shared_task

from splittests.exposures import gather
from splittests.models import SplitTest, State


@shared_task(name="splittests.gather_exposures")
def gather_exposures() -> None:
    for test in SplitTest.objects.filter(state=State.RUNNING):
        gather(test)

"""Starts and stops tests when somebody does, and when their schedule says so."""

import datetime as dt

from splittests import guards
from splittests.models import SplitTest, State
from splittests.models.definitions import SHOWN


def start(test: SplitTest, now: dt.datetime, is_confirmed: bool) -> None:
    """Start a draft, or go on with a test that is paused, if the guards let it. Raise guards.StartError."""
    guards.check(test, now, is_confirmed)
    if test.state == State.PAUSED:
        test.resume(now)
    else:
        test.start(now)


def keep(now: dt.datetime) -> None:
    """Start and stop what is due.

    A test that the guards refuse stays a draft, says why, and is not tried again before somebody has changed it. What
    is only doubtful holds nothing up: nobody is there to confirm it.
    """
    for test in SplitTest.objects.filter(state__in=SHOWN, ends_at__lte=now):
        test.stop(now)
    for test in SplitTest.objects.filter(state=State.DRAFT, starts_at__lte=now, start_refusal=""):
        try:
            start(test, now, is_confirmed=True)
        except guards.StartError as error:
            SplitTest.objects.filter(pk=test.pk, state=State.DRAFT).update(start_refusal=str(error))

"""What is looked at before a test is started, so that no broken one is."""

from revenue.models import Connection
from revenue.models.accounts import Status
from splittests.models import Goal, Metric, SplitTest


class StartError(Exception):
    """A test cannot be started; the message says why and what to do."""


def check(test: SplitTest) -> None:
    """Raise StartError if the test cannot be started."""
    connected = Connection.objects.for_site(test.site).exclude(status=Status.DISCONNECTED)
    needs_revenue = test.goal == Goal.REVENUE or Metric.objects.filter(test=test, goal=Goal.REVENUE).exists()
    if needs_revenue and not connected.exists():
        raise StartError("Connect a Stripe account first: without one there is no revenue to compare.")
    if test.variants.count() < 2:
        raise StartError("Add a second variant first: one alone has nothing to be compared with.")

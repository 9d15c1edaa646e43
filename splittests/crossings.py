"""Who was meant to see a variant of a test that redirects, and never came to it: lost exposures, by variant.

The tracker reports the choice when it sends somebody to another page, or begins to hold the control back for as long
as that takes; the exposure is the view that follows. An arm that loses more than the others is one whose visitors are
no longer like theirs.
"""

import datetime as dt
from typing import Any

from django.db import connection

from splittests.models import Kind, SplitTest
from splittests.readings import Loss, Losses

# As static/js/tracker.js calls the event.
CHOICE = "Split test choice"
# Within this, they may still be on their way.
UNDER_WAY = dt.timedelta(minutes=1)

LOST = """
    SELECT choice.props->>'variant', count(DISTINCT choice.visitor),
           count(DISTINCT choice.visitor) FILTER (WHERE exposed.visitor IS NULL)
    FROM tracking_event choice
    LEFT JOIN splittests_exposed exposed
      ON exposed.site_id = choice.site_id AND exposed.test_id = %(test)s AND exposed.visitor = choice.visitor
    WHERE choice.site_id = %(site)s AND choice.at >= %(since)s AND choice.at < %(until)s
      AND choice.name = %(choice)s AND choice.props->>'test' = %(key)s
    GROUP BY choice.props->>'variant'
"""


def losses(test: SplitTest, now: dt.datetime) -> Losses | None:
    """Give the losses, once there is anybody to lose; None for a test that leads nowhere. `gather` comes first."""
    if test.kind != Kind.REDIRECT or test.started_at is None:
        return None
    parameters: dict[str, Any] = {
        "test": test.pk,
        "site": test.site_id,
        "key": test.key,
        "choice": CHOICE,
        "since": test.started_at,
        "until": min(test.stopped_at or now, now - UNDER_WAY),
    }
    with connection.cursor() as cursor:
        cursor.execute(LOST, parameters)
        found = {name: (led, lost) for name, led, lost in cursor.fetchall()}
    arms = tuple(Loss(variant.name, *found.get(variant.name, (0, 0))) for variant in test.variants.all())
    return Losses(arms) if any(arm.led for arm in arms) else None

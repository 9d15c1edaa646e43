"""Who was meant to see a variant of a test that redirects, and never came to it: lost exposures, by variant.

The tracker reports the choice when it sends somebody to another page, or begins to hold the control back for as long
as that takes; the exposure is the view that follows. An arm that loses more than the others is one whose visitors are
no longer like theirs.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from splittests.inference import SUSPICIOUS_RATIO_P, sample_ratio_p
from splittests.models import Kind, SplitTest

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


@dataclass(frozen=True, slots=True)
class Loss:
    """Of `led` day-visitors of a variant, `lost` were not seen where they were to see it."""

    name: str
    led: int
    lost: int

    @property
    def share_text(self) -> str:
        return f"{self.lost / self.led:.1%}" if self.led else "none"


@dataclass(frozen=True, slots=True)
class Losses:
    arms: Sequence[Loss]

    @property
    def is_uneven(self) -> bool:
        """Whether chance would lose so differently in fewer than one sound test in a thousand."""
        p = sample_ratio_p([arm.lost for arm in self.arms], [arm.led for arm in self.arms])
        return p is not None and p < SUSPICIOUS_RATIO_P


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
    arms = [Loss(variant.name, *found.get(variant.name, (0, 0))) for variant in test.variants.all()]
    return Losses(arms) if any(arm.led for arm in arms) else None

"""Gathering conversions: who has reached a test's goals that are no revenue, kept so that no page has to look again.

Whoever a test showed a variant has converted when they reach a goal after they were first shown one, and within the
test's conversion window. What they did is deleted for its age some day; that they converted is not.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db import connection

from splittests.goals import Reached, reached
from splittests.models import GOAL, Goal, SplitTest
from tracking.ahead import BEING_WRITTEN

# Rows are put in by visitor, so that no two statements can wait for each other.
CONVERTED = """
    INSERT INTO splittests_converted AS known (site_id, test_id, metric_id, visitor, at)
    SELECT %(site)s, %(test)s, %(metric)s, x.visitor, min(x.at)
    FROM {table} x
    JOIN splittests_exposed exposed
      ON exposed.site_id = %(site)s AND exposed.test_id = %(test)s AND exposed.visitor = x.visitor
    WHERE x.site_id = %(site)s AND x.at >= %(since)s AND ({condition})
      AND x.at > exposed.first_at AND (%(window)s::interval IS NULL OR x.at < exposed.first_at + %(window)s::interval)
    GROUP BY x.visitor
    ORDER BY x.visitor
    ON CONFLICT (site_id, test_id, metric_id, visitor) DO UPDATE SET at = excluded.at WHERE excluded.at < known.at
"""


def gather_conversions(test: SplitTest, now: dt.datetime) -> None:
    """Gather who has converted since the last time. Can run again."""
    assert test.started_at is not None
    goals = list(_goals(test))
    if not goals:
        return
    with connection.cursor() as cursor:
        for metric, goal in goals:
            parameters: dict[str, Any] = {
                "site": test.site_id,
                "test": test.pk,
                "metric": metric,
                "since": max(test.started_at, (test.converted_at or test.started_at) - BEING_WRITTEN),
                "window": dt.timedelta(days=test.window_days) if test.window_days else None,
            }
            statement = CONVERTED.format(table=goal.table, condition=goal.condition)
            cursor.execute(statement, parameters | goal.parameters)
    SplitTest.objects.filter(pk=test.pk).update(converted_at=now)


def _goals(test: SplitTest) -> Iterator[tuple[int, Reached]]:
    """Give what is to be gathered: the test's own goal and its metrics, but for revenue."""
    if test.goal != Goal.REVENUE:
        yield GOAL, reached(test.goal, test.goal_pattern)
    for metric in test.metrics.all():
        if metric.goal != Goal.REVENUE:
            yield metric.pk, reached(metric.goal, metric.pattern)

"""Goals as their site's owners change them, and what they have brought lately."""

import datetime as dt

from django.db import connection, transaction

from sites import periods
from sites.models import Site
from sites.periods import Period
from tracking import stats
from tracking.ahead import forget_goal
from tracking.counting import Asked, by_day
from tracking.models import Goal
from tracking.panels import whole


def keep(goal: Goal) -> None:
    """Save a new goal, or a changed one.

    With another page or event it becomes a new goal of the same name, so that a counting of the old one that is
    under way just now cannot end up among the days of the new one.
    """
    with transaction.atomic():
        known = Goal.objects.select_for_update().filter(pk=goal.pk).first()
        if known and (known.kind, known.pattern) != (goal.kind, goal.pattern):
            forget_goal(known)
            goal.pk = None
            goal._state.adding = True
        goal.save()


@transaction.atomic
def remove(goal: Goal) -> None:
    forget_goal(goal)


def listed(site: Site, now: dt.datetime) -> list[tuple[Goal, str]]:
    """Give the site's goals by name, each with its visitors in the last 30 days."""
    visitors = {row.name: row.visitors for row in stats.goals(stats.ask(site, _lately(site, now)))}
    return [(goal, whole(visitors.get(goal.name, 0))) for goal in Goal.objects.filter(site=site)]


def visitors_of(goal: Goal, now: dt.datetime) -> int:
    """Count who has reached a goal in the last 30 days; it need not be saved."""
    counted = by_day(Asked(goal.site, _lately(goal.site, now)), goal)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT coalesce(sum(visitors), 0) FROM ({counted.sql}) counted", counted.parameters)
        return int(cursor.fetchone()[0])


def _lately(site: Site, now: dt.datetime) -> Period:
    return periods.picked("30d", now, site.zone)

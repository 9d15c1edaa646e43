from tracking.models.counts import BotView, Counted, DailyCount, MonthlyCount, RefusedHits
from tracking.models.rules import EmailReport, Goal, Intake, SourceRule
from tracking.models.visitors import DailySalt, Presence
from tracking.models.visits import Event, Exposure, View, ViewQuerySet, Visit, VisitQuerySet

__all__ = [
    "BotView",
    "Counted",
    "DailyCount",
    "DailySalt",
    "EmailReport",
    "Event",
    "Exposure",
    "Goal",
    "Intake",
    "MonthlyCount",
    "Presence",
    "RefusedHits",
    "SourceRule",
    "View",
    "ViewQuerySet",
    "Visit",
    "VisitQuerySet",
]

"""The dashboard as JSON: the same figures, points and rows, for programs that have a token of the site.

Shares are 0 to 1, times seconds, days and hours the site's own.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from sites.api import Call, Scope, endpoint
from sites.parameters import choice
from sites.periods import Period
from tracking import stats, tables
from tracking.parameters import BUCKET, COMPARISON, FILTERS, PAGES, PERIOD, SEARCH, question
from tracking.stats import LIVE_MINUTES, Bucket, Point, Totals

Day = Annotated[str, {"format": "date"}]
Days = TypedDict("Days", {"from": Day, "to": Day})
Days.__doc__ = "Both are counted."


class About(TypedDict):
    site: str
    timezone: Annotated[str, "Whose days these are."]
    period: Days


class Figures(TypedDict):
    """Means are null without visits."""

    visitors: Annotated[int, "Day-visitors: who comes on three days counts three times."]
    visits: int
    views: int
    views_per_visit: float | None
    bounce_rate: Annotated[float | None, "The share, 0 to 1, of visits that saw one page."]
    visit_duration: Annotated[float | None, "The mean, in seconds."]


class TrafficFigures(About):
    figures: Figures
    compared_with: Days | None
    before: Annotated[Figures | None, "While the period has not ended, up to the same moment of the one before."]


class TrafficPoint(Figures):
    start: Annotated[str, "The first day of a day, week or month; of an hour the local time, without a zone."]


class TrafficSeries(About):
    by: Annotated[str, {"enum": [*Bucket]}]
    points: Annotated[list[TrafficPoint], "Each that the period touches, in order."]
    compared_with: Days | None
    before: list[TrafficPoint] | None


def _key(heading: str) -> str:
    return heading.lower().replace(" ", "_")


def _kinds() -> Mapping[str, Any]:
    """Describe the rows of all breakdowns: which figures they have follows from the breakdown."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name in tables.TITLES:
        names.setdefault(tables.headings(name)[1:], []).append(name)
    text = {"value": {"type": "string"}, "label": {"type": "string"}}
    return {
        "anyOf": [
            {
                "type": "object",
                "description": f"Of {', '.join(of)}.",
                "properties": text | {_key(heading): {"type": ["number", "null"]} for heading in headings},
                "required": [*text, *map(_key, headings)],
                "additionalProperties": False,
            }
            for headings, of in names.items()
        ]
    }


class TrafficBreakdown(About):
    breakdown: str
    title: str
    rows: Annotated[
        list[dict[str, str | float | None]],
        "Most visitors first. `value` is what a filter understands, `label` what people read.",
        {"items": _kinds()},
    ]
    page: int
    has_next: bool


class LiveVisitors(TypedDict):
    site: str
    visitors: int
    minutes: int


@endpoint(
    "The headline figures of a period, and of the one before it",
    Scope.TRAFFIC,
    [*PERIOD, COMPARISON, FILTERS],
)
def figures(call: Call) -> TrafficFigures:
    asked = question(call)
    counted = stats.totals(stats.ask(call.site, asked.period, asked.filters), call.now, asked.against)
    is_compared = asked.versus != "none"
    return {
        **about(call, asked.period),
        "figures": _figures(counted.current),
        "compared_with": days(asked.against) if is_compared else None,
        "before": _figures(counted.previous) if is_compared else None,
    }


@endpoint("The same figures by hour, day, week or month", Scope.TRAFFIC, [*PERIOD, BUCKET, COMPARISON, FILTERS])
def series(call: Call) -> TrafficSeries:
    asked = question(call)
    now = stats.ask(call.site, asked.period, asked.filters)
    bucket = asked.chart_bucket
    is_compared = asked.versus != "none"
    return {
        **about(call, asked.period),
        "by": bucket,
        "points": [_point(each, bucket) for each in stats.over_time(now, bucket)],
        "compared_with": days(asked.against) if is_compared else None,
        "before": [_point(each, bucket) for each in stats.over_time(now.about(asked.against), bucket)]
        if is_compared
        else None,
    }


@endpoint(
    "Visitors by channel, page, country, event, goal …",
    Scope.TRAFFIC,
    [choice("name", "What to split by.", tables.TITLES, place="path"), *PERIOD, FILTERS, SEARCH, *PAGES],
)
def breakdown(call: Call) -> TrafficBreakdown:
    asked = question(call)
    name, limit, page = call.told["name"], call.told["limit"], call.told["page"]
    counted = stats.ask(call.site, asked.period, asked.filters)
    table = tables.table(name, asked, counted, limit + 1, limit * (page - 1), call.told["search"] or "")
    keys = [_key(heading) for heading in table.columns[1:]]
    return {
        **about(call, asked.period),
        "breakdown": name,
        "title": table.title,
        "rows": [
            {"value": line.value, "label": line.label, **dict(zip(keys, map(_rounded, line.numbers), strict=True))}
            for line in table.lines[:limit]
        ],
        "page": page,
        "has_next": len(table.lines) > limit,
    }


@endpoint(f"Who has seen a page in the last {LIVE_MINUTES} minutes", Scope.TRAFFIC)
def live(call: Call) -> LiveVisitors:
    visitors = stats.live_visitors(call.site, call.now)
    return {"site": call.site.domain, "visitors": visitors, "minutes": LIVE_MINUTES}


def about(call: Call, period: Period) -> About:
    return {"site": call.site.domain, "timezone": call.site.timezone, "period": days(period)}


def days(period: Period) -> Days:
    return {"from": period.first_on.isoformat(), "to": period.last_on.isoformat()}


def _figures(totals: Totals) -> Figures:
    duration = totals.visit_duration
    return {
        "visitors": totals.visitors,
        "visits": totals.visits,
        "views": totals.views,
        "views_per_visit": _rounded(totals.views_per_visit),
        "bounce_rate": _rounded(totals.bounce_rate),
        "visit_duration": None if duration is None else _rounded(duration.total_seconds()),
    }


def _point(point: Point, bucket: Bucket) -> TrafficPoint:
    start = point.start if bucket is Bucket.HOUR else point.start.date()
    return {"start": start.isoformat(), **_figures(point.totals)}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)

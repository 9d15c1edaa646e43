"""The Revenue page as JSON, for programs that have a token of the site which may read revenue."""

import datetime as dt
from typing import Annotated, TypedDict

from revenue import coverage as covering
from revenue import questions, report, stats
from revenue.attribution import Model
from revenue.kinds import KINDS
from revenue.questions import Question
from revenue.report import Currency, Earned, Money, Paid
from revenue.stats import Row, Totals
from revenue.tables import PANELS, Panel
from sites.api import Call, Scope, endpoint
from sites.parameters import Parameter, ParameterError, choice
from sites.periods import FIRST_YEAR
from tracking import parameters
from tracking.api import About, Days, days
from tracking.api import about as about_visits
from tracking.parameters import BUCKET, COMPARISON, DAY, FILTERS, PAGES, PERIOD, SEARCH
from tracking.stats import Bucket, compared, visitors

MODEL = choice("model", "Which visit is credited with a payment.", Model, Model.LAST_NON_DIRECT)
AMOUNTS = choice(
    "amounts",
    "What is counted: what was paid, in its own currency, or what Stripe made of it in the account’s.",
    ("paid", "settled"),
    "paid",
)
CURRENCY = Parameter(
    "currency",
    "A code such as EUR; the one of most payments if not given. No sum mixes currencies.",
    {"type": "string", "pattern": "^[A-Za-z]{3}$"},
)
AS_OF = Parameter("as_of", "As it was known when this day ended.", DAY)
ASKED = (*PERIOD, MODEL, AS_OF, FILTERS)
IN_ONE_CURRENCY = (*ASKED, AMOUNTS, CURRENCY)
COUNTED = "Each movement counts on its own day: a refund lowers the day of the refund."


class AboutRevenue(About):
    model: str
    as_of: Annotated[str | None, {"format": "date"}]
    is_made_up: Annotated[bool, "Nothing of then was kept: this is what had happened by then, as it is known now."]


class Takings(TypedDict):
    visitors: int
    currencies: Annotated[list[Money], "That of most payments first."]


class RevenueFigures(AboutRevenue):
    amounts: str
    read_at: Annotated[str | None, {"format": "date-time"}, "Up to when Stripe has been read; null if it was not yet."]
    figures: Takings
    compared_with: Days | None
    before: Annotated[Takings | None, "While the period has not ended, up to the same moment of the one before."]


class RevenuePoint(Earned):
    start: Annotated[str, "The first day of a day, week or month; of an hour the local time, without a zone."]


class RevenueSeries(AboutRevenue):
    amounts: str
    currency: Currency
    by: Annotated[str, {"enum": [*Bucket]}]
    points: list[RevenuePoint]
    compared_with: Days | None
    before: list[RevenuePoint] | None


class RevenueRow(Earned):
    value: str
    label: str


class RevenueBreakdown(AboutRevenue):
    amounts: str
    currency: Currency
    breakdown: str
    title: str
    rows: Annotated[list[RevenueRow], "The best first."]
    unattributed: Annotated[Earned | None, "What is credited to no visit, and in no row."]
    page: int
    has_next: bool


class RevenuePayments(AboutRevenue):
    rows: Annotated[list[Paid], "The newest first."]
    page: int
    has_next: bool


@endpoint(
    "What was earned in a period, and in the one before it, in each currency",
    Scope.REVENUE,
    [*ASKED, AMOUNTS, COMPARISON],
    COUNTED,
)
def figures(call: Call) -> RevenueFigures:
    about = question(call)
    read_at = stats.as_of(stats.connections(call.site))
    is_compared = about.visits.versus != "none"
    before = compared(about.asked, call.now, about.visits.against)
    return {
        **about_revenue(call, about),
        "amounts": call.told["amounts"],
        "read_at": read_at.isoformat() if read_at else None,
        "figures": _takings(about.totals, visitors(about.asked)),
        "compared_with": days(about.visits.against) if is_compared else None,
        "before": _takings(stats.totals(before, about.model, about.basis), visitors(before)) if is_compared else None,
    }


@endpoint("What was earned by hour, day, week or month", Scope.REVENUE, [*IN_ONE_CURRENCY, BUCKET, COMPARISON], COUNTED)
def series(call: Call) -> RevenueSeries:
    about = question(call)
    is_compared = about.visits.versus != "none"
    against = about.asked.about(about.visits.against)
    bucket = about.visits.chart_bucket
    return {
        **about_revenue(call, about),
        "amounts": call.told["amounts"],
        "currency": about.currency.upper(),
        "by": bucket,
        "points": _points(stats.over_time(about.asked, about.model, about.currency, bucket, about.basis)),
        "compared_with": days(about.visits.against) if is_compared else None,
        "before": _points(stats.over_time(against, about.model, about.currency, bucket, about.basis))
        if is_compared
        else None,
    }


@endpoint(
    "What was earned by channel, page, country …",
    Scope.REVENUE,
    [choice("name", "What to split by.", PANELS, place="path"), *IN_ONE_CURRENCY, SEARCH, *PAGES],
    COUNTED,
)
def breakdown(call: Call) -> RevenueBreakdown:
    about = question(call)
    panel, page, limit = PANELS[call.told["name"]], call.told["page"], call.told["limit"]
    search = (call.told["search"] or "").lower()
    # A search looks at names, which only Python knows; without one, no row after the page's last is looked at.
    most = None if search else limit * page
    found = stats.breakdown(about.asked, panel.by, about.model, about.currency, most, about.basis)
    rows = [row for row in (_row(panel, each) for each in found.rows) if search in row["label"].lower()]
    return {
        **about_revenue(call, about),
        "amounts": call.told["amounts"],
        "currency": about.currency.upper(),
        "breakdown": panel.name,
        "title": panel.title,
        "rows": rows[limit * (page - 1) : limit * page],
        "unattributed": {**report.earned(found.unattributed), "visitors": None} if found.unattributed else None,
        "page": page,
        "has_next": found.others is not None or len(rows) > limit * page,
    }


class CoveredWeek(TypedDict):
    """Payments that wait for their view, and renewals that the site does not credit, are in neither count."""

    first_on: Annotated[str, {"format": "date"}, "A Monday."]
    attributed: int
    total: int
    share: Annotated[float | None, "Of the payments, 0 to 1; null without one."]


class RevenueCoverage(About):
    weeks: Annotated[list[CoveredWeek], "Each that the period touches, in order, up to now."]
    has_dropped: Annotated[bool, "The share of the last seven days is clearly less than that of the four weeks before."]


@endpoint("What share of the payments is credited to a visit, week by week", Scope.REVENUE, PERIOD)
def coverage(call: Call) -> RevenueCoverage:
    period = parameters.period(call)
    asked = (period.start_at, min(period.end_at, call.now))
    weeks, before, lately = covering.coverages(call.site, [asked, *covering.before_and_lately(call.now)])
    return {
        **about_visits(call, period),
        "weeks": [
            {
                "first_on": week.first_on.isoformat(),
                "attributed": week.attributed,
                "total": week.total,
                "share": None if week.share is None else round(week.share, 4),
            }
            for week in weeks
        ],
        "has_dropped": covering.has_dropped(before, lately),
    }


@endpoint(
    "The payments, each with the visit that it is credited to, or the reason why not",
    Scope.REVENUE,
    [*ASKED, Parameter("search", "The id of a charge, session, intent or view.", SEARCH.schema), *PAGES],
)
def payments(call: Call) -> RevenuePayments:
    about = question(call)
    page, limit = call.told["page"], call.told["limit"]
    found = stats.payments(
        about.asked, about.model, page, call.told["search"] or "", limit, known_at=about.basis.known_at
    )
    return {
        **about_revenue(call, about),
        "rows": [report.paid(each) for each in found.rows],
        "page": page,
        "has_next": found.has_next,
    }


def question(call: Call) -> Question:
    """Read what is asked. Raise ParameterError."""
    told = call.told
    known_on: dt.date | None = told["as_of"]
    today = call.now.astimezone(call.site.zone).date()
    if known_on and not (known_on.year >= FIRST_YEAR and known_on < today):
        raise ParameterError("as_of", f"“as_of” is a day from {FIRST_YEAR} to yesterday.")
    return questions.about(
        call.site,
        parameters.question(call),
        Model(told["model"]),
        (told.get("currency") or "").lower(),
        is_settled=told.get("amounts") == "settled",
        known_on=known_on,
    )


def about_revenue(call: Call, about: Question) -> AboutRevenue:
    return {
        **about_visits(call, about.visits.period),
        "model": about.model,
        "as_of": about.known_on.isoformat() if about.known_on else None,
        "is_made_up": about.is_made_up,
    }


def _takings(found: list[Totals], counted: int) -> Takings:
    return {"visitors": counted, "currencies": [report.money(each, counted) for each in found]}


def _points(rows: list[Row]) -> list[RevenuePoint]:
    return [{"start": row.value, **report.earned(row)} for row in rows]


def _row(panel: Panel, row: Row) -> RevenueRow:
    told: RevenueRow = {"value": row.value, "label": panel.named(row.value), **report.earned(row)}
    # What was sold is known of a payment, and of nobody who only looked.
    return {**told, "visitors": None} if panel.by in KINDS else told

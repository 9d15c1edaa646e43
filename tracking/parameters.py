"""What a program may ask of a site's statistics: the dashboard's own parameters, read strictly."""

from sites import periods
from sites.api import Call
from sites.parameters import Parameter, ParameterError, choice, number
from sites.periods import Period, PeriodError
from tracking import filters
from tracking.dimensions import DIMENSIONS
from tracking.filters import GOAL, LONGEST_VALUE, MOST_FILTERS, WORDS, How
from tracking.questions import VERSUS, Question
from tracking.stats import Bucket

MOST_ROWS = 1_000
MOST_PAGES = 100_000

DAY = {"type": "string", "format": "date"}

PERIOD = (
    Parameter(
        "period",
        f"Days that end today, or a named time, by the site’s clock; {periods.DEFAULT} if none are given.",
        {"type": "string", "enum": list(periods.LABELS)},
    ),
    Parameter("from", "The first day, instead of “period”; 30 days if only “to” is given.", DAY),
    Parameter("to", "The last day, counted too; else today. A period is at most ten years long.", DAY),
)
COMPARISON = choice("versus", "What the period is compared with.", VERSUS, "previous")
FILTERS = Parameter(
    "filters",
    f"Which visits are asked about, as in the dashboard’s address: `is.channel=Email`, `not.country=DE`, "
    f"`has.page=/blog`. The same condition given again means any of the values, or with “not” none of them; "
    f"different conditions hold together. At most {MOST_FILTERS}.",
    {
        "type": "object",
        "properties": {
            f"{how}.{dimension}": {
                "type": "string",
                "maxLength": LONGEST_VALUE,
                "description": f"{filters.label(dimension)} {WORDS[how]} this.",
            }
            for dimension in (*DIMENSIONS, GOAL)
            for how in How
        },
        "maxProperties": MOST_FILTERS,
        "additionalProperties": False,
    },
)
BUCKET = choice("by", "How long each point is; what suits the period if not given.", Bucket)
SEARCH = Parameter("search", "A part of the values wanted.", {"type": "string", "maxLength": 200})
PAGES = (
    number("limit", "How many rows at most.", MOST_ROWS, 100),
    number("page", "Which of the pages that long, from 1.", MOST_PAGES, 1),
)


def question(call: Call) -> Question:
    """Read what is asked. Raise ParameterError."""
    told = call.told
    if len({*told["filters"]}) > MOST_FILTERS:
        raise ParameterError("filters", f"There may be {MOST_FILTERS} filters.")
    asked = Question(period(call), filters.read(told["filters"]), told.get("versus", "none"))
    bucket = told.get("by")
    if bucket and bucket not in asked.buckets:
        raise ParameterError("by", f"{asked.period.days} days are not told by {bucket}.", asked.buckets)
    return Question(asked.period, asked.filters, asked.versus, Bucket(bucket) if bucket else None)


def period(call: Call) -> Period:
    """Read which days are asked about. Raise ParameterError."""
    name, first_on, last_on = (call.told[each.name] for each in PERIOD)
    if not (first_on or last_on):
        return periods.picked(name or periods.DEFAULT, call.now, call.site.zone)
    first, last = (day and day.isoformat() for day in (first_on, last_on))
    try:
        return periods.spanning(first, last, call.now, call.site.zone)
    except PeriodError as error:
        raise ParameterError("from", str(error)) from None

"""Which visits a page of the dashboard is about, read from its address and written into its queries. Pure.

An address says `is.channel=Email`, `not.country=DE`, `has.page=/blog`. The same condition with several values
means any of them (`is`, `has`) or none of them (`not`); different conditions hold together. A visit that a page,
event or goal filter names is one that saw the page, or caused the event.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tracking.dimensions import DIMENSIONS, Of
from tracking.places import codes_of

MOST_FILTERS = 20
LONGEST_VALUE = 2_000
GOAL = "goal"
# Salts let a visit see pages until the end of the day of UTC after the one it began on. Its events may come at any
# time: a server reports a refund, or somebody comes back to a page that was left open.
LONGEST_VISIT = dt.timedelta(days=2)


class How(StrEnum):
    IS = "is"
    NOT = "not"
    HAS = "has"


WORDS = {How.IS: "is", How.NOT: "is not", How.HAS: "contains"}


@dataclass(frozen=True, slots=True)
class Filter:
    how: How
    dimension: str
    value: str

    @property
    def key(self) -> str:
        return f"{self.how}.{self.dimension}"


Filters = tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL that is true of the visit `v`, with the parameters it needs, in order."""

    sql: str
    parameters: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class GoalPattern:
    """A goal as a query needs it; `pattern` is a LIKE pattern of a path, or an event's name."""

    is_event: bool
    pattern: str


def read(told: Iterable[tuple[str, str]]) -> Filters:
    """Read the filters in an address's parameters; what is none, or one too many, is passed over."""
    found: dict[Filter, None] = {}
    for key, value in told:
        how, _, dimension = key.partition(".")
        if how in list(How) and (dimension in DIMENSIONS or dimension == GOAL) and len(value) <= LONGEST_VALUE:
            found[Filter(How(how), dimension, value.replace("\0", ""))] = None
    return tuple(found)[:MOST_FILTERS]


def write(filters: Iterable[Filter]) -> str:
    return urlencode([(each.key, each.value) for each in filters])


def label(dimension: str) -> str:
    return "Goal" if dimension == GOAL else DIMENSIONS[dimension].label


def conditions(
    filters: Filters, site_id: int, start_at: dt.datetime, end_at: dt.datetime, goals: Mapping[str, GoalPattern]
) -> list[Condition]:
    """Give what must be true of a visit `v` that began between the moments."""
    together: dict[tuple[How, str], list[str]] = {}
    for each in filters:
        together.setdefault((each.how, each.dimension), []).append(each.value)
    span = Span(site_id, start_at, end_at + LONGEST_VISIT)
    return [_condition(how, dimension, values, span, goals) for (how, dimension), values in together.items()]


class Span(NamedTuple):
    """When a visit that is asked about may have seen its pages."""

    site_id: int
    start_at: dt.datetime
    end_at: dt.datetime

    def of(self, of: Of) -> Condition:
        if of is Of.EVENT:
            return Condition("site_id = %s AND at >= %s", (self.site_id, self.start_at))
        return Condition("site_id = %s AND at >= %s AND at < %s", tuple(self))


def _condition(how: How, dimension: str, values: list[str], span: Span, goals: Mapping[str, GoalPattern]) -> Condition:
    if dimension == GOAL:
        named = [goals[name] for name in goals if _names(how, values, name)]
        events = [goal.pattern for goal in named if goal.is_event]
        paths = [goal.pattern for goal in named if not goal.is_event]
        tests = [(Of.EVENT, "name = ANY(%s)", events), (Of.VIEW, "path LIKE ANY(%s)", paths)]
        return _visits_with(how, tests, span)
    if dimension == "country" and how is How.HAS:
        # People know countries by their names, visits by their codes.
        how, values = How.IS, [code for value in values for code in codes_of(value)]
    known = DIMENSIONS[dimension]
    if known.of is Of.VISIT:
        test, parameter = _test(f"v.{known.column}", how, values)
        return Condition(test, (parameter,))
    # A visit without the page is not one that has another page as well.
    test, parameter = _test(known.column, How.HAS if how is How.HAS else How.IS, values)
    return _visits_with(how, [(known.of, test, parameter)], span)


def _names(how: How, values: Collection[str], name: str) -> bool:
    if how is How.HAS:
        return any(value.lower() in name.lower() for value in values)
    return name in values


def _visits_with(how: How, tests: Sequence[tuple[Of, str, list[str]]], span: Span) -> Condition:
    """Ask for visits of which a view or event passes one of the tests; with NOT, for those of which none does."""
    # As EXISTS, each becomes a join: a long list behind IN or NOT IN would be gone through for every visit.
    found = " UNION ALL ".join(
        f"SELECT visit_id FROM tracking_{of} WHERE {span.of(of).sql} AND {test}" for of, test, _ in tests
    )
    return Condition(
        f"{'NOT ' if how is How.NOT else ''}EXISTS (SELECT FROM ({found}) w WHERE w.visit_id = v.id)",
        tuple(parameter for of, _, values in tests for parameter in (*span.of(of).parameters, values)),
    )


def _test(column: str, how: How, values: list[str]) -> tuple[str, list[str]]:
    if how is How.HAS:
        return f"{column} ILIKE ANY(%s)", [f"%{like(value)}%" for value in values]
    return (f"{column} <> ALL(%s)" if how is How.NOT else f"{column} = ANY(%s)"), values


def like(text: str) -> str:
    """Give the LIKE pattern that means just this text."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def like_glob(pattern: str) -> str:
    """Give the LIKE pattern of one in which `*` stands for anything."""
    return "%".join(like(part) for part in pattern.split("*"))

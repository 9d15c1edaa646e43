"""How long a test would take, by what its form says so far."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from sites import periods
from sites.models import Site
from splittests.goals import reached
from splittests.history import conversions_on, earnings_on
from splittests.models import Goal
from splittests.pages import RuleError, parse_all
from splittests.planning import PageHistory, Plan, plans, rate_plans

FIELDS = ("pages", "currency", "goal", "goal_pattern", "traffic_percent")


@dataclass(frozen=True, slots=True)
class Prospect:
    """`goal` is "" for revenue, or which page, click, form or event; `percent` of the visitors take part."""

    pages: str
    currency: str
    goal: str
    percent: int
    history: PageHistory
    plans: list[Plan]


def prospect(said: Mapping[str, str], site: Site, now: dt.datetime) -> Prospect | None:
    """Plan by the last 30 days of the pages; None while the form does not name pages and a goal."""
    told = {name: said.get(name, "").replace("\0", "").strip() for name in FIELDS}
    lines = [line.strip() for line in told["pages"].splitlines() if line.strip()]
    goal, pattern, currency = told["goal"] or Goal.REVENUE, told["goal_pattern"], told["currency"].lower()
    percent = int(told["traffic_percent"]) if told["traffic_percent"].isdecimal() else 100
    try:
        rules = parse_all(lines)
    except RuleError:
        return None
    if goal not in set(Goal) or not (currency if goal == Goal.REVENUE else pattern) or not 1 <= percent <= 100:
        return None
    lately = periods.picked("30d", now, site.zone)
    pages = ", ".join(lines)
    if goal == Goal.REVENUE:
        history = earnings_on(site, rules, lately, currency)
        return Prospect(pages, currency, "", percent, history, list(plans(history, percent / 100)))
    history = conversions_on(site, rules, lately, reached(goal, pattern))
    return Prospect(pages, currency, pattern, percent, history, list(rate_plans(history, percent / 100)))

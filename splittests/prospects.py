"""How long a test would take, by what its form says so far."""

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sites import periods
from sites.models import Site
from splittests.goals import reached
from splittests.history import conversions_on, earnings_on
from splittests.models import Goal, Kind
from splittests.pages import RuleError, parse_all
from splittests.planning import PageHistory, Plan, plans, rate_plans
from splittests.variant_forms import HEAVIEST, MOST_VARIANTS

FIELDS = ("pages", "currency", "goal", "goal_pattern", "traffic_percent")


@dataclass(frozen=True, slots=True)
class Prospect:
    """`goal` is "" for revenue, or which page, click, form or event; `percent` of the visitors take part.

    `weights` are the variants' parts of them, the control's first.
    """

    pages: str
    currency: str
    goal: str
    percent: int
    weights: Sequence[int]
    history: PageHistory
    plans: list[Plan]

    @property
    def variants_text(self) -> str:
        count = "two" if len(self.weights) == 2 else str(len(self.weights))
        if len(set(self.weights)) == 1:
            return f"{count} variants of the same weight"
        *before, last = map(str, self.weights)
        return f"{count} variants of weights {', '.join(before)} and {last}"


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
    weights = list(_weights(said))
    lately = periods.picked("30d", now, site.zone)
    pages = ", ".join(lines)
    if goal == Goal.REVENUE:
        history = earnings_on(site, rules, lately, currency)
        return Prospect(pages, currency, "", percent, weights, history, list(plans(history, percent / 100, weights)))
    history = conversions_on(site, rules, lately, reached(goal, pattern))
    found = list(rate_plans(history, percent / 100, weights))
    return Prospect(pages, currency, pattern, percent, weights, history, found)


def _weights(said: Mapping[str, str]) -> Iterator[int]:
    """Give the weights of the control and of the variants of which anything is written yet, of one at least."""
    yield _weight(said.get("control_weight", ""))
    rows = [row for row in range(MOST_VARIANTS) if _is_used(said, f"variants-{row}")]
    yield from (_weight(said.get(f"variants-{row}-weight", "")) for row in rows or [0])


def _weight(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,4}", text) and 1 <= int(text) <= HEAVIEST else 1


def _is_used(said: Mapping[str, str], row: str) -> bool:
    """Tell whether a variant is one, as its form does; of changes, those without an element are none here."""
    name = {Kind.REDIRECT: f"{row}-redirect_url", Kind.CHANGES: rf"{row}-changes-\d+-selector"}
    pattern = name.get(Kind(said["kind"])) if said.get("kind") in set(Kind) else None
    asked = f"{row}-name" + (f"|{pattern}" if pattern else "")
    return any(said[each].strip() for each in said if re.fullmatch(asked, each))

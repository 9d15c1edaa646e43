"""What a visitor did when they reached a goal, among what the script records.

- A page: a view whose path fits the pattern, in which `*` stands for anything.
- A click: a pattern that begins with https:// or / is the address of a link, with `*` for anything, as the script tells
  it of links that lead elsewhere, of downloads and of links with a name; any other is the name itself, which the
  element has as its data-humblytics-event.
- A form: its id, with `*` for anything, whatever its event is called.
- An event: its exact name, from `Humblytics.track("name")` or from the site's server.

What revenue is, only the ledger knows.
"""

import re
from dataclasses import dataclass

from splittests.models.words import Goal
from tracking.filters import like_glob


@dataclass(frozen=True, slots=True)
class Reached:
    """The rows of `table` (tracking_view or tracking_event, as `x`) that reach a goal, by a condition in SQL."""

    table: str
    condition: str
    parameters: dict[str, str]


def reached(goal: str, pattern: str, prefix: str = "goal") -> Reached:
    """Say how a goal, other than revenue, is found; the parameters’ names begin with `prefix`."""
    assert goal in set(Goal) - {Goal.REVENUE}
    parameter = f"%({prefix}_pattern)s"
    if goal == Goal.PAGE:
        return Reached("tracking_view", f"x.path LIKE {parameter}", {f"{prefix}_pattern": like_glob(pattern)})
    if goal == Goal.FORM:
        return _event(f"x.props ->> 'form' LIKE {parameter}", like_glob(pattern), prefix)
    if goal == Goal.CLICK and is_address(pattern):
        # The script tells the host and the path.
        told = re.sub(r"^https?://", "", pattern, flags=re.IGNORECASE)
        url = "x.props ->> 'url'"
        part = f"substring({url} FROM position('/' IN {url}))" if told.startswith("/") else url
        return _event(f"{part} LIKE {parameter}", like_glob(told), prefix)
    return _event(f"x.name = {parameter}", pattern, prefix)


def is_address(pattern: str) -> bool:
    """Tell whether a click's pattern is a link's address, not a name."""
    return re.match(r"/|https?://", pattern, re.IGNORECASE) is not None


def _event(condition: str, told: str, prefix: str) -> Reached:
    return Reached("tracking_event", condition, {f"{prefix}_pattern": told})

"""What visits can be split and filtered by. Pure.

A dimension's name is the same in a filter's address, in a panel, in a DailyCount and in an export.
"""

from dataclasses import dataclass
from enum import StrEnum


class Of(StrEnum):
    """Whose column a dimension is."""

    VISIT = "visit"
    VIEW = "view"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Dimension:
    name: str
    label: str
    of: Of
    column: str
    # What stands for the empty value.
    nothing: str = "Unknown"


_ALL = (
    Dimension("channel", "Channel", Of.VISIT, "channel"),
    Dimension("source", "Source", Of.VISIT, "source", "Direct or unknown"),
    Dimension("referrer", "Referrer", Of.VISIT, "referrer", "No referrer"),
    Dimension("utm_source", "UTM source", Of.VISIT, "utm_source", "No utm_source"),
    Dimension("utm_medium", "UTM medium", Of.VISIT, "utm_medium", "No utm_medium"),
    Dimension("utm_campaign", "Campaign", Of.VISIT, "utm_campaign", "No campaign"),
    Dimension("utm_term", "UTM term", Of.VISIT, "utm_term", "No utm_term"),
    Dimension("utm_content", "UTM content", Of.VISIT, "utm_content", "No utm_content"),
    Dimension("click_id", "Click id", Of.VISIT, "click_id", "No click id"),
    Dimension("country", "Country", Of.VISIT, "country"),
    Dimension("region", "Region", Of.VISIT, "region"),
    Dimension("city", "City", Of.VISIT, "city"),
    Dimension("browser", "Browser", Of.VISIT, "browser"),
    Dimension("os", "Operating system", Of.VISIT, "os"),
    Dimension("device", "Device", Of.VISIT, "device"),
    Dimension("hostname", "Host", Of.VISIT, "hostname"),
    Dimension("entry_page", "Entry page", Of.VISIT, "entry_path"),
    Dimension("exit_page", "Exit page", Of.VISIT, "exit_path"),
    Dimension("page", "Page", Of.VIEW, "path"),
    Dimension("event", "Event", Of.EVENT, "name"),
)
DIMENSIONS: dict[str, Dimension] = {each.name: each for each in _ALL}

"""The breakdowns of the dashboard, in cards of several that show one at a time."""

from collections.abc import Callable
from dataclasses import dataclass

from tracking.dimensions import DIMENSIONS, Of
from tracking.figures import clock
from tracking.filters import GOAL, Filters, How
from tracking.places import country_name
from tracking.stats import Row
from tracking.wording import encoded, readable, seen

# Values that addresses spell in ASCII.
PATHS = frozenset({"page", "entry_page", "exit_page", "referrer"})
NO_VISIT = "No visit began in this period."
NO_VIEW = "No page was seen in this period."
NO_MATCH = "No visit of this period matches the filters."


@dataclass(frozen=True, slots=True)
class Column:
    """A figure of each row, None if it has none, and how it is written."""

    heading: str
    figure: Callable[[Row], float | None]
    write: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Panel:
    """`name` stands in its address; `dimension` is what its rows are values of; `tab` is its title within its card."""

    name: str
    title: str
    dimension: str
    empty: str = NO_VISIT
    tab: str = ""

    @property
    def columns(self) -> tuple[Column, ...]:
        """What there is of each row; a card shows the first two, and the bars the first."""
        return COLUMNS[DIMENSIONS[self.dimension].of]

    @property
    def value_heading(self) -> str:
        return DIMENSIONS[self.dimension].label

    def nothing(self, filters: Filters) -> str:
        """What is said when there is no row: with filters, that they may be why."""
        return NO_MATCH if filters and self.empty in (NO_VISIT, NO_VIEW) else self.empty


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    title: str
    panels: tuple[Panel, ...]

    def first_shown(self, filters: Filters) -> Panel:
        """The first panel that is not already down to one value."""
        settled = {each.dimension for each in filters if each.how is How.IS}
        return next((panel for panel in self.panels if panel.dimension not in settled), self.panels[0])


def whole(number: float) -> str:
    return f"{number:,.0f}"


def percent(share: float) -> str:
    return f"{share:.0%}"


def _duration(seconds: float) -> str:
    return clock(round(seconds))


VISITORS = Column("Visitors", lambda row: row.visitors, whole)
COLUMNS = {
    Of.VISIT: (
        VISITORS,
        Column("Visits", lambda row: row.visits, whole),
        Column("Views per visit", lambda row: row.totals.views_per_visit, lambda number: f"{number:.1f}"),
        Column("Bounce rate", lambda row: row.totals.bounce_rate, percent),
        Column("Visit duration", lambda row: row.seconds / row.visits if row.visits else None, _duration),
    ),
    Of.VIEW: (
        VISITORS,
        Column("Views", lambda row: row.views, whole),
        Column("Time on page", lambda row: row.seconds / row.measured if row.measured else None, _duration),
        Column("Scroll depth", lambda row: row.scrolled / row.measured / 100 if row.measured else None, percent),
    ),
}

CARDS = (
    Card(
        "sources",
        "Sources",
        (
            Panel("channels", "Channels", "channel"),
            Panel("sources", "Sources", "source"),
            Panel("referrers", "Referrers", "referrer", "No visit of this period came through a link on another site."),
            Panel("click-ids", "Click ids", "click_id", "No visit of this period came from an ad with a click id."),
        ),
    ),
    Card(
        "pages",
        "Pages",
        (
            Panel("top-pages", "Top pages", "page", NO_VIEW),
            Panel("entry-pages", "Entry pages", "entry_page"),
            Panel("exit-pages", "Exit pages", "exit_page"),
            Panel("hosts", "Hosts", "hostname"),
        ),
    ),
    Card(
        "campaigns",
        "Campaigns",
        (
            Panel(
                "campaigns",
                "Campaigns",
                "utm_campaign",
                "No visit of this period came with a utm_campaign in its address.",
            ),
            Panel(
                "utm-sources", "UTM sources", "utm_source", "No visit of this period came with a utm_source.", "Source"
            ),
            Panel(
                "utm-mediums", "UTM mediums", "utm_medium", "No visit of this period came with a utm_medium.", "Medium"
            ),
            Panel("utm-terms", "UTM terms", "utm_term", "No visit of this period came with a utm_term.", "Term"),
            Panel(
                "utm-contents",
                "UTM contents",
                "utm_content",
                "No visit of this period came with a utm_content.",
                "Content",
            ),
        ),
    ),
    Card(
        "places",
        "Places",
        (
            Panel("countries", "Countries", "country"),
            Panel("regions", "Regions", "region", "No region is known: they need a GeoIP file with cities."),
            Panel("cities", "Cities", "city", "No city is known: they need a GeoIP file with cities."),
        ),
    ),
    Card(
        "devices",
        "Devices",
        (
            Panel("browsers", "Browsers", "browser"),
            Panel("operating-systems", "Systems", "os"),
            Panel("devices", "Devices", "device"),
        ),
    ),
)
EVENTS = Panel("events", "Events", "event", "No event happened in this period.")

PANELS = {panel.name: panel for card in CARDS for panel in card.panels} | {EVENTS.name: EVENTS}


def named(dimension: str, value: str) -> str:
    """Give a value as people read it."""
    if dimension == GOAL:
        return value
    if dimension == "country" and value:
        return country_name(value)
    return seen(readable(value) if dimension in PATHS else value) or DIMENSIONS[dimension].nothing


def sent(dimension: str, typed: str) -> str:
    """Give what somebody typed as values of the dimension have it."""
    return encoded(typed) if dimension in PATHS else typed

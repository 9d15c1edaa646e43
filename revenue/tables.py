"""Revenue by one dimension: the rows of a panel, for its card, the page that shows them all, and the export."""

from collections.abc import Iterator
from dataclasses import dataclass

from revenue.attribution import Model
from revenue.money import format_money, mean, plain
from revenue.stats import DIMENSIONS, Breakdown, Row, breakdown, payments
from tracking.counting import Asked
from tracking.export import harmless
from tracking.panels import named
from tracking.questions import Question
from tracking.tables import Line, Table, Tabs

NOTHING = "Nobody came and nothing was earned in this period."
NOBODY, OTHERS = "Not attributed", "Everything else"
# What a card shows, and all there is.
BRIEF = ("Revenue", "Payments", "Visitors")
COLUMNS = (*BRIEF, "Gross", "Refunded", "Disputed", "Average payment", "Per visitor")


@dataclass(frozen=True, slots=True)
class Panel:
    """`name` stands in its address, `by` is what it splits by, `tab` its title within its card."""

    name: str
    title: str
    by: str
    tab: str = ""


CARDS = {
    ("sources", "Sources"): (
        Panel("channels", "Channels", "channel"),
        Panel("sources", "Sources", "source"),
        Panel("referrers", "Referrers", "referrer"),
    ),
    ("pages", "Pages"): (
        Panel("landing-pages", "Landing pages", "landing_page"),
        Panel("purchase-pages", "Pages of purchase", "page"),
    ),
    ("campaigns", "Campaigns"): (
        Panel("campaigns", "Campaigns", "utm_campaign"),
        Panel("utm-sources", "UTM sources", "utm_source", "Source"),
        Panel("utm-mediums", "UTM mediums", "utm_medium", "Medium"),
        Panel("utm-terms", "UTM terms", "utm_term", "Term"),
        Panel("utm-contents", "UTM contents", "utm_content", "Content"),
    ),
    ("places", "Places"): (
        Panel("countries", "Countries", "country"),
        Panel("regions", "Regions", "region"),
        Panel("cities", "Cities", "city"),
    ),
    ("devices", "Devices"): (
        Panel("browsers", "Browsers", "browser"),
        Panel("operating-systems", "Operating systems", "os", "Systems"),
        Panel("devices", "Devices", "device"),
    ),
}
PANELS = {panel.name: panel for panels in CARDS.values() for panel in panels}
CARD_TABS = tuple(
    Tabs(name, title, tuple((panel.name, panel.tab or panel.title) for panel in panels))
    for (name, title), panels in CARDS.items()
)
TABS_OF = {name: card for card in CARD_TABS for name, _ in card.tabs}


def first_shown(question: Question) -> list[tuple[Tabs, str]]:
    """Give the cards, each with the panel that it shows first: one that is not already down to one value."""
    settled = {each.dimension for each in question.filters if each.how == "is"}
    found = []
    for card in CARD_TABS:
        names = [name for name, _ in card.tabs]
        found.append((card, next((name for name in names if DIMENSIONS[PANELS[name].by] not in settled), names[0])))
    return found


def brief(name: str, question: Question, asked: Asked, model: Model, currency: str, limit: int) -> Table:
    """The best rows, then what all others earned, and what is credited to nobody."""
    found = breakdown(asked, PANELS[name].by, model, currency, limit)
    rows = _rows(name, question, found)
    if found.others:
        rows.append((OTHERS, "", found.others))
    if found.unattributed:
        rows.append((NOBODY, "", found.unattributed))
    return _table(name, rows, len(BRIEF))


def whole(name: str, question: Question, asked: Asked, model: Model, currency: str, search: str = "") -> Table:
    """All rows whose name holds what is searched for, with every figure."""
    found = breakdown(asked, PANELS[name].by, model, currency)
    rows = _rows(name, question, found)
    if found.unattributed:
        rows.append((NOBODY, "", found.unattributed))
    return _table(name, [row for row in rows if search.lower() in row[0].lower()], len(COLUMNS))


def export(name: str, question: Question, asked: Asked, model: Model, currency: str) -> Iterator[list[object]]:
    """Headings, then all rows, with amounts in the currency's major unit."""
    found = breakdown(asked, PANELS[name].by, model, currency)
    heading = PANELS[name].title
    yield [heading, "Currency", "Net", "Payments", "Visitors", "Gross", "Refunded", "Disputed"]
    rows = _rows(name, question, found)
    if found.unattributed:
        rows.append((NOBODY, "", found.unattributed))
    for label, _, row in rows:
        amounts = [plain(amount, currency) for amount in (row.gross, row.refunded, row.disputed)]
        yield [harmless(label), currency.upper(), plain(row.net, currency), row.orders, row.visitors, *amounts]


def export_payments(asked: Asked, model: Model) -> Iterator[list[object]]:
    """Headings, then a row for each payment of the period, the newest first."""
    yield [
        "Time",
        "Payment",
        "Session",
        "Currency",
        "Gross",
        "Refunded",
        "Disputed",
        "Net",
        "Channel",
        "Source",
        "Reason",
    ]
    for each in payments(asked, model, per_page=None).rows:
        amounts = [plain(amount, each.currency) for amount in (each.gross, each.refunded, each.disputed, each.net)]
        credited = [each.channel, harmless(each.source), each.reason or ""]
        ids = [each.occurred_at.astimezone(asked.site.zone).isoformat(), each.charge, each.session]
        yield [*ids, each.currency.upper(), *amounts, *credited]


def _rows(name: str, question: Question, found: Breakdown) -> list[tuple[str, str, Row]]:
    dimension = DIMENSIONS[PANELS[name].by]
    return [(named(dimension, row.value), question.only(dimension, row.value), row) for row in found.rows]


def _table(name: str, rows: list[tuple[str, str, Row]], columns: int) -> Table:
    most = max((row.net for _, _, row in rows), default=0)
    lines = tuple(
        Line(
            label,
            (row.net, row.orders, row.visitors),
            _cells(row, is_nobody=not query and label == NOBODY)[:columns],
            round(100 * max(row.net, 0) / most, 2) if most > 0 else 0,
            query,
        )
        for label, query, row in rows
    )
    panel = PANELS[name]
    return Table(name, panel.title, NOTHING, (panel.tab or panel.title, *COLUMNS[:columns]), lines)


def _cells(row: Row, *, is_nobody: bool) -> tuple[str, ...]:
    amounts = [format_money(amount, row.currency) for amount in (row.gross, row.refunded, row.disputed)]
    average = format_money(mean(row.gross, row.orders), row.currency) if row.orders else "–"
    per_visitor = format_money(mean(row.net, row.visitors), row.currency) if row.visitors else "–"
    seen = "–" if is_nobody else f"{row.visitors:,}"
    return format_money(row.net, row.currency), f"{row.orders:,}", seen, *amounts, average, per_visitor

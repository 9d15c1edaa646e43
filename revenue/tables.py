"""Revenue by one dimension: the rows of a panel, for its card, the page that shows them all, and the export."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from revenue import kinds
from revenue.attribution import Model
from revenue.kinds import KINDS
from revenue.lines import AS_PAID, Basis
from revenue.money import format_money, mean, plain
from revenue.stats import DIMENSIONS, Row, breakdown, payments
from tracking.counting import Asked
from tracking.dimensions import DIMENSIONS as VISIT_DIMENSIONS
from tracking.export import harmless
from tracking.panels import named
from tracking.questions import Question
from tracking.stats import Bucket
from tracking.tables import Line, Table, Tabs

NOTHING = "Nobody came and nothing was earned in this period."
NOBODY, OTHERS = "Not attributed", "Everything else"
# What a card shows, and all there is.
BRIEF = ("Revenue", "Payments", "Visitors")
COLUMNS = (*BRIEF, "Gross", "Refunded", "Disputed", "Average payment", "Per visitor")
EXPORTED = ("Currency", "Net", "Payments", "Visitors", "Gross", "Refunded", "Disputed")


@dataclass(frozen=True, slots=True)
class Panel:
    """`name` stands in its address, `by` is what it splits by, `tab` its title within its card."""

    name: str
    title: str
    by: str
    tab: str = ""
    heading: str = ""

    @property
    def value_heading(self) -> str:
        return self.heading or VISIT_DIMENSIONS[DIMENSIONS[self.by]].label

    def named(self, value: str) -> str:
        return kinds.named(value) if self.by in KINDS else named(DIMENSIONS[self.by], value)

    def query(self, question: Question, value: str) -> str:
        """Give what asks for one value only; "" where visits cannot be asked for it."""
        return "" if self.by in KINDS else question.only(DIMENSIONS[self.by], value)


CARDS = {
    ("sources", "Sources"): (
        Panel("channels", "Channels", "channel"),
        Panel("sources", "Sources", "source"),
        Panel("referrers", "Referrers", "referrer"),
    ),
    ("pages", "Pages"): (
        Panel("landing-pages", "Landing pages", "landing_page", heading="Landing page"),
        Panel("purchase-pages", "Pages of purchase", "page", heading="Page of purchase"),
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
    ("kinds", "What was sold"): (
        Panel("modes", "Ways of paying", "mode", "Mode", "Paid by"),
        Panel("renewals", "New and renewed", "renewal", heading="Kind"),
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
        found.append((card, next((name for name in names if DIMENSIONS.get(PANELS[name].by) not in settled), names[0])))
    return found


def brief(
    name: str, question: Question, asked: Asked, model: Model, currency: str, limit: int, basis: Basis = AS_PAID
) -> Table:
    """The best rows, then what all others earned, and what is credited to nobody."""
    found = _found(name, asked, model, currency, limit, basis)
    return _table(name, question, found, _most(found), len(BRIEF))


def whole(
    name: str,
    question: Question,
    asked: Asked,
    model: Model,
    currency: str,
    search: str,
    page: int,
    length: int,
    basis: Basis = AS_PAID,
) -> tuple[Table, bool]:
    """A page of all rows whose name holds what is searched for, with every figure; and whether there are more."""
    # A search looks at names, which only Python knows; without one, no row after the page's last is looked at.
    found = _found(name, asked, model, currency, None if search else page * length, basis)
    known = [each for each in found if each.is_value or each.label == NOBODY]
    is_cut = len(known) < len(found)
    wanted = [each for each in known if search.lower() in each.label.lower() and (each.is_value or not is_cut)]
    shown = wanted[(page - 1) * length : page * length]
    return _table(name, question, shown, _most(known), len(COLUMNS)), is_cut or len(wanted) > page * length


def export(name: str, asked: Asked, model: Model, currency: str, basis: Basis = AS_PAID) -> Iterator[list[object]]:
    """Headings, then all rows, with amounts in the currency's major unit."""
    yield [PANELS[name].value_heading, *EXPORTED]
    for each in _found(name, asked, model, currency, basis=basis):
        yield [harmless(each.label), *_exported(each.row)]


def export_over_time(rows: Sequence[Row], bucket: Bucket) -> Iterator[list[object]]:
    """Headings, then a row for each span, with amounts in the currency's major unit."""
    yield [bucket.title(), *EXPORTED]
    for row in rows:
        yield [row.value, *_exported(row)]


def _exported(row: Row) -> list[object]:
    amounts = [plain(amount, row.currency) for amount in (row.gross, row.refunded, row.disputed)]
    return [row.currency.upper(), plain(row.net, row.currency), row.orders, row.visitors, *amounts]


def export_payments(asked: Asked, model: Model, known_at: dt.datetime | None = None) -> Iterator[list[object]]:
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
    for each in payments(asked, model, per_page=None, known_at=known_at).rows:
        amounts = [plain(amount, each.currency) for amount in (each.gross, each.refunded, each.disputed, each.net)]
        credited = [each.channel, harmless(each.source), each.reason or ""]
        ids = [each.occurred_at.astimezone(asked.site.zone).isoformat(), each.charge, each.session]
        yield [*ids, each.currency.upper(), *amounts, *credited]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row by its name in words; `is_value` unless it stands for OTHERS or NOBODY."""

    label: str
    row: Row
    is_value: bool = True


def _found(
    name: str, asked: Asked, model: Model, currency: str, limit: int | None = None, basis: Basis = AS_PAID
) -> list[_Entry]:
    panel = PANELS[name]
    found = breakdown(asked, panel.by, model, currency, limit, basis)
    entries = [_Entry(panel.named(row.value), row) for row in found.rows]
    rest = [(OTHERS, found.others), (NOBODY, found.unattributed)]
    return entries + [_Entry(label, row, is_value=False) for label, row in rest if row]


def _most(entries: Iterable[_Entry]) -> int:
    return max((each.row.net for each in entries), default=0)


def _table(name: str, question: Question, entries: Iterable[_Entry], most: int, columns: int) -> Table:
    """The longest bar stands for `most`."""
    panel = PANELS[name]
    lines = tuple(
        Line(
            each.label,
            (each.row.net, each.row.orders, each.row.visitors),
            _cells(each, is_counted=panel.by not in KINDS)[:columns],
            round(100 * max(each.row.net, 0) / most, 2) if most > 0 else 0,
            panel.query(question, each.row.value) if each.is_value else "",
        )
        for each in entries
    )
    return Table(name, panel.title, NOTHING, (panel.value_heading, *COLUMNS[:columns]), lines)


def _cells(each: _Entry, *, is_counted: bool) -> tuple[str, ...]:
    """Write the figures; `is_counted` says whether visitors are."""
    row = each.row
    amounts = [format_money(amount, row.currency) for amount in (row.gross, row.refunded, row.disputed)]
    average = format_money(mean(row.gross, row.orders), row.currency) if row.orders else "–"
    per_visitor = format_money(mean(row.net, row.visitors), row.currency) if row.visitors else "–"
    is_seen = is_counted and (each.is_value or each.label != NOBODY)
    seen = f"{row.visitors:,}" if is_seen else "–"
    return format_money(row.net, row.currency), f"{row.orders:,}", seen, *amounts, average, per_visitor

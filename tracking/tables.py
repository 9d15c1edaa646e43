"""The rows of a panel, for the card that shows ten of them, the page that shows them all, and the export."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tracking import stats
from tracking.filters import GOAL
from tracking.panels import CARDS, EVENTS, PANELS, named, percent, sent, whole
from tracking.questions import Question
from tracking.stats import Asked

GOALS, PROPERTIES = "goals", "properties"
TITLES = {name: panel.title for name, panel in PANELS.items()} | {GOALS: "Goals", PROPERTIES: "Properties"}


@dataclass(frozen=True, slots=True)
class Line:
    """`query` asks for just this `value`; `share` is the length of its bar in percent of the longest."""

    label: str
    numbers: tuple[float | None, ...]
    cells: tuple[str, ...]
    share: float
    query: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    title: str
    empty: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    def up_to(self, count: int) -> "Table":
        return Table(self.name, self.title, self.empty, self.columns, self.lines[:count])


@dataclass(frozen=True, slots=True)
class Tabs:
    """The tables of one card, by name and title."""

    name: str
    title: str
    tabs: tuple[tuple[str, str], ...]


Figures = tuple[float | None, ...]
Writers = Sequence[Callable[[float], str]]
# A value, its label, its figures, and the query for it.
_Row = tuple[str, str, Figures, str]

CONVERSIONS = ("Visitors", "Times", "Conversion rate")


_CONVERSIONS = Tabs(
    "conversions", "Goals and events", tuple((name, TITLES[name]) for name in (GOALS, EVENTS.name, PROPERTIES))
)
_BREAKDOWNS = [
    Tabs(card.name, card.title, tuple((panel.name, panel.tab or panel.title) for panel in card.panels))
    for card in CARDS
]
# In the order of the page.
CARD_TABS = (*_BREAKDOWNS[:3], _CONVERSIONS, *_BREAKDOWNS[3:])
TABS_OF = {name: card for card in CARD_TABS for name, _ in card.tabs}


def first_shown(question: Question) -> list[tuple[Tabs, str]]:
    """Give the cards, each with the table that it shows first: one that is not already down to one value."""
    first = {card.name: card.first_shown(question.filters).name for card in CARDS}
    is_about_event = any(each.dimension == EVENTS.dimension for each in question.filters)
    first["conversions"] = PROPERTIES if is_about_event else GOALS
    return [(card, first[card.name]) for card in CARD_TABS]


def table(
    name: str, question: Question, asked: Asked, limit: int | None, offset: int = 0, search: str = "", columns: int = 9
) -> Table:
    """Answer a panel's question with at most `columns` figures for each value."""
    if name == GOALS:
        return _goals(question, asked, limit, offset, search)
    if name == EVENTS.name:
        return _events(question, asked, limit, offset, search)
    if name == PROPERTIES:
        return _properties(question, asked, limit, offset, search)
    panel = PANELS[name]
    wanted = sent(panel.dimension, search)
    shown = panel.columns[:columns]
    rows = [
        (
            row.value,
            named(panel.dimension, row.value),
            tuple(column.figure(row) for column in shown),
            question.only(panel.dimension, row.value),
        )
        for row in stats.breakdown(asked, panel.dimension, limit, offset, wanted, is_brief=columns <= 2)
    ]
    return _table(name, panel.nothing(question.filters), rows, [column.write for column in shown])


def headings(name: str) -> tuple[str, ...]:
    """What a table's rows are values of, and then each of their figures."""
    if name == GOALS:
        return "Goal", *CONVERSIONS
    if name == EVENTS.name:
        return EVENTS.value_heading, *CONVERSIONS
    if name == PROPERTIES:
        return "Property", *CONVERSIONS[:2]
    return PANELS[name].value_heading, *(column.heading for column in PANELS[name].columns)


def _goals(question: Question, asked: Asked, limit: int | None, offset: int, search: str) -> Table:
    rows: list[_Row] = [
        (goal.name, goal.name, (goal.visitors, goal.times, goal.rate), question.only(GOAL, goal.name))
        for goal in stats.goals(asked)
        if search.lower() in goal.name.lower()
    ]
    cut = rows[offset : None if limit is None else offset + limit]
    return _table(GOALS, "No goal has been set.", cut, [whole, whole, _share])


def _events(question: Question, asked: Asked, limit: int | None, offset: int, search: str) -> Table:
    everyone = stats.visitors(asked)
    rows: list[_Row] = [
        (
            row.value,
            named(EVENTS.dimension, row.value),
            (row.visitors, row.views, row.visitors / everyone if everyone else None),
            question.only(EVENTS.dimension, row.value),
        )
        for row in stats.breakdown(asked, EVENTS.dimension, limit, offset, search)
    ]
    return _table(EVENTS.name, EVENTS.nothing(question.filters), rows, [whole, whole, _share])


def _properties(question: Question, asked: Asked, limit: int | None, offset: int, search: str) -> Table:
    rows: list[_Row] = [
        (text := f"{each.name}: {each.value}", text, (each.visitors, each.times), "")
        for each in stats.properties(asked, search)
    ]
    cut = rows[offset : None if limit is None else offset + limit]
    return _table(PROPERTIES, "No event of this period was told with properties.", cut, [whole, whole])


def _share(rate: float) -> str:
    return percent(rate) if rate >= 0.1 or rate == 0 else f"{rate:.1%}"


def _table(name: str, empty: str, rows: Sequence[_Row], writers: Writers) -> Table:
    most = max((figures[0] or 0 for _, _, figures, _ in rows), default=0)
    lines = tuple(
        Line(
            label,
            figures,
            tuple("–" if figure is None else write(figure) for figure, write in zip(figures, writers, strict=True)),
            round(100 * (figures[0] or 0) / most, 2) if most else 0,
            query,
            value,
        )
        for value, label, figures, query in rows
    )
    return Table(name, TITLES[name], empty, headings(name)[: 1 + len(writers)], lines)

"""Headline figures of revenue as people read them, with what changed since the period they are compared with."""

from collections.abc import Callable
from dataclasses import dataclass

from revenue import stats
from revenue.attribution import Model
from revenue.money import format_money, mean
from revenue.stats import Totals
from tracking.counting import Asked
from tracking.figures import change_of
from tracking.stats import visitors


@dataclass(frozen=True, slots=True)
class Figure:
    """As `tracking.figures` has them, of money."""

    label: str
    value: str
    change: str = ""
    direction: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Earned:
    """What a period earned in one currency, and its day-visitors."""

    net: int
    payments: int
    visitors: int

    @property
    def per_visitor(self) -> int | None:
        return mean(self.net, self.visitors) if self.visitors else None


def earned(asked: Asked, model: Model, currency: str) -> Earned:
    found = stats.totals(asked.site, asked.period, model, asked.end_at)
    total = next((row for row in found if row.currency == currency), Totals(currency))
    return Earned(total.net, total.orders, visitors(asked))


def figures(now: Earned, before: Earned | None, currency: str, note: str = "") -> list[Figure]:
    """Give all figures, compared with those `before`; with nothing if there are none, when each has the note."""

    def money(amount: int) -> str:
        return format_money(amount, currency)

    def whole(number: int) -> str:
        return f"{number:,}"

    def figure(label: str, read: Callable[[Earned], int | None], write: Callable[[int], str]) -> Figure:
        current, previous = read(now), read(before) if before else None
        value = "–" if current is None else write(current)
        if current is None or previous is None:
            return Figure(label, value, note=note)
        return Figure(label, value, *change_of(current, previous), note=f"from {write(previous)}")

    return [
        figure("Net revenue", lambda of: of.net, money),
        figure("Payments", lambda of: of.payments, whole),
        figure("Revenue per visitor", lambda of: of.per_visitor, money),
    ]

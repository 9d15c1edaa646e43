"""How a test's intervals moved from day to day, laid out for an SVG that needs no script and no styles. Pure.

All lengths are percentages of the plot, from its upper left corner.
"""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from splittests.inference import Interval, Sums, is_telling
from splittests.readings import compare, told
from tracking.charts import XLabel, YLabel, grid_step

MOST_LINES = 5
X_LABELS = 8


@dataclass(frozen=True, slots=True)
class Growth:
    """What one arm had at the end of a day."""

    sums: Sums
    conversions: int


@dataclass(frozen=True, slots=True)
class Look:
    """What the end of a day allowed to be said of each variant against the control; None before it allowed any."""

    day: dt.date
    intervals: tuple[Interval | None, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One day's reading; `reach_x` and `reach_width` say where the pointer means it."""

    day: dt.date
    x: float
    y: float
    reach_x: float
    reach_width: float
    estimate: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class IntervalChart:
    """One variant's difference to the control over the days: `band` is the interval, `curve` the estimate."""

    name: str
    points: list[Point]
    band: str
    curve: str
    zero: float
    y_labels: list[YLabel]
    x_labels: list[XLabel]

    @property
    def summary(self) -> str:
        first, last = self.points[0], self.points[-1]
        return (
            f"{self.name}: {first.low} to {first.high} on {first.day:%-d %B}, "
            f"{last.low} to {last.high} on {last.day:%-d %B}."
        )


def looks(days: Sequence[tuple[dt.date, Sequence[Growth]]], planned: int | None) -> list[Look]:
    """Read the arms at the end of each day, the control's first."""
    return [Look(day, tuple(_intervals(arms, planned))) for day, arms in days]


def _intervals(arms: Sequence[Growth], planned: int | None) -> Iterator[Interval | None]:
    compared = compare([arm.sums for arm in arms], planned)
    control, *variants = (is_telling(arm.sums.n, arm.conversions) for arm in arms)
    for each, is_enough in zip(compared, variants, strict=True):
        yield each.always.difference if each.always and control and is_enough else None


def charts(names: Sequence[str], found: Sequence[Look], currency: str) -> list[IntervalChart]:
    """Draw each variant that could be read on two days at least, all on one scale."""
    known = [interval for look in found for interval in look.intervals if interval]
    if not known:
        return []
    highest, lowest = max(0.0, *(each.high for each in known)), min(0.0, *(each.low for each in known))
    step = grid_step(math.ceil(highest - lowest), MOST_LINES)
    grid = range(math.floor(lowest / step) * step, math.ceil(highest / step) * step + 1, step)
    drawn = []
    for index, name in enumerate(names):
        read = [(look.day, interval) for look in found if (interval := look.intervals[index])]
        if len(read) > 1:
            drawn.append(_chart(name, read, currency, grid))
    return drawn


def _chart(name: str, read: Sequence[tuple[dt.date, Interval]], currency: str, grid: range) -> IntervalChart:
    first, last = read[0][0], read[-1][0]
    bottom, top = grid[0], grid[-1]
    slot = 100 / (last - first).days

    def x(day: dt.date) -> float:
        return round(100 * (day - first).days / (last - first).days, 3)

    def y(value: float) -> float:
        return round(100 * (top - value) / (top - bottom), 3)

    upper = [(x(day), y(interval.high)) for day, interval in read]
    lower = [(x(day), y(interval.low)) for day, interval in read]
    every = -(-len(read) // X_LABELS)
    return IntervalChart(
        name,
        points=[
            Point(
                day,
                x(day),
                y(each.estimate),
                round(x(day) - slot / 2, 3),
                round(slot, 3),
                *(told(end, currency) for end in (each.estimate, each.low, each.high)),
            )
            for day, each in read
        ],
        band=f"{_path([*upper, *reversed(lower)])} Z",
        curve=_path([(x(day), y(interval.estimate)) for day, interval in read]),
        zero=y(0),
        y_labels=[YLabel(y(line), told(line, currency)) for line in grid],
        x_labels=[XLabel(x(day), f"{day:%-d %b}") for day, _ in read[::every]],
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return f"M{' L'.join(f'{x} {y}' for x, y in points)}"

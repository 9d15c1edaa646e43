"""The headline figures as people read them: rounded, with what has changed since the period they are compared with."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from babel.numbers import format_compact_decimal

from tracking.charts import clock_step, grid_step
from tracking.stats import Comparison, Totals


class Metric(StrEnum):
    VISITORS = "visitors"
    VISITS = "visits"
    VIEWS = "views"
    VIEWS_PER_VISIT = "views-per-visit"
    BOUNCE_RATE = "bounce-rate"
    VISIT_DURATION = "visit-duration"


LABELS = {
    Metric.VISITORS: "Visitors",
    Metric.VISITS: "Visits",
    Metric.VIEWS: "Views",
    Metric.VIEWS_PER_VISIT: "Views per visit",
    Metric.BOUNCE_RATE: "Bounce rate",
    Metric.VISIT_DURATION: "Visit duration",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """`direction` is "good", "bad", or "" when there is nothing to judge."""

    metric: Metric
    label: str
    value: str
    change: str = ""
    direction: str = ""
    note: str = ""


def figures(counted: Comparison, *, is_compared: bool = True) -> list[Figure]:
    """Give all figures, without their change if they are compared with nothing."""
    found = [_figure(metric, counted) for metric in Metric]
    return found if is_compared else [Figure(each.metric, each.label, each.value) for each in found]


def measure(metric: Metric, counted: Totals) -> int:
    """Give a figure as a whole number: tenths of views per visit, percent of bounces, seconds of visits."""
    if metric is Metric.VIEWS_PER_VISIT:
        return round(10 * (counted.views_per_visit or 0))
    if metric is Metric.BOUNCE_RATE:
        return round(100 * (counted.bounce_rate or 0))
    if metric is Metric.VISIT_DURATION:
        return round((counted.visit_duration or dt.timedelta()).total_seconds())
    return {Metric.VISITORS: counted.visitors, Metric.VISITS: counted.visits, Metric.VIEWS: counted.views}[metric]


def written(metric: Metric) -> Callable[[int], str]:
    """Give what writes the whole number that `measure` gave."""
    if metric is Metric.VIEWS_PER_VISIT:
        return lambda tenths: f"{tenths / 10:.1f}"
    if metric is Metric.BOUNCE_RATE:
        return lambda percent: f"{percent}%"
    if metric is Metric.VISIT_DURATION:
        return clock
    return lambda number: f"{number:,}"


def marks(metric: Metric) -> Callable[[int], str]:
    """Give what writes the round numbers beside a chart of `measure`, where there is little room: 1.5K, 20M."""
    if metric in (Metric.VISITORS, Metric.VISITS, Metric.VIEWS):
        return lambda number: format_compact_decimal(number, locale="en", fraction_digits=1)
    return written(metric)


def steps(metric: Metric) -> Callable[[int, int], int]:
    """Give what chooses the grid of a chart of `measure`."""
    return clock_step if metric is Metric.VISIT_DURATION else grid_step


def _figure(metric: Metric, counted: Comparison) -> Figure:
    is_mean = metric in (Metric.VIEWS_PER_VISIT, Metric.BOUNCE_RATE, Metric.VISIT_DURATION)
    if is_mean and not counted.current.visits:
        return Figure(metric, LABELS[metric], "–")
    # Compared as shown: 2.2 is no fall from 2.2.
    now, before = measure(metric, counted.current), measure(metric, counted.previous)
    write = written(metric)
    if is_mean and not counted.previous.visits:
        return Figure(metric, LABELS[metric], write(now))
    change = points(now - before, is_good=False) if metric is Metric.BOUNCE_RATE else change_of(now, before)
    return Figure(metric, LABELS[metric], write(now), *change, note=f"from {write(before)}")


def points(change: int, *, is_good: bool) -> tuple[str, str]:
    """Give a change of percent points and its direction, where more `is_good` or is not."""
    return f"{_signed(change)} {'point' if abs(change) == 1 else 'points'}", _direction(change, is_good)


def change_of(now: int, before: int, *, is_good: bool = True) -> tuple[str, str]:
    """Give the change in percent and its direction, where more `is_good` or is not.

    Nothing when there was nothing before, or less.
    """
    if before <= 0:
        return "", ""
    percent = round(100 * (now - before) / before)
    return f"{_signed(percent)}%", _direction(percent, is_good)


def _direction(change: int, is_good: bool) -> str:
    return "" if not change else "good" if (change > 0) == is_good else "bad"


def _signed(number: int) -> str:
    return f"+{number:,}" if number > 0 else f"−{-number:,}" if number < 0 else "±0"


def clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"

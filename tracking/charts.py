"""Bar charts of counts, laid out for an SVG that needs no script and no styles. Pure.

All lengths are percentages of the plot, from its upper left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_GRID_LINES = 5
X_LABELS = 8
GAP = 0.2


@dataclass(frozen=True, slots=True)
class Count:
    """One bar's worth: `label` names it in full, `short` on the axis."""

    label: str
    short: str
    count: int


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class YLabel:
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class XLabel:
    x: float
    text: str


@dataclass(frozen=True, slots=True)
class BarChart:
    points: list[Bar]
    y_labels: list[YLabel]
    x_labels: list[XLabel]


def bar_chart(counts: Sequence[Count]) -> BarChart:
    """Lay out a bar for each count; there are none when there is nothing but zeros."""
    largest = max((each.count for each in counts), default=0)
    if largest == 0:
        return BarChart([], [], [])
    step = grid_step(largest, MOST_GRID_LINES)
    lines = -(-largest // step)
    top = lines * step
    slot = 100 / len(counts)
    bars = [
        Bar(
            label=each.label,
            value=f"{each.count:,}",
            x=round(slot * (n + GAP / 2), 3),
            y=round(100 - 100 * each.count / top, 3),
            width=round(slot * (1 - GAP), 3),
            height=round(100 * each.count / top, 3),
        )
        for n, each in enumerate(counts)
    ]
    every = -(-len(counts) // X_LABELS)
    return BarChart(
        bars,
        [YLabel(round(100 - 100 * n / lines, 3), f"{n * step:,}") for n in range(lines + 1)],
        [XLabel(round(slot * (n + 0.5), 3), each.short) for n, each in enumerate(counts) if n % every == 0],
    )


def grid_step(reach: int, most_lines: int) -> int:
    """Give the smallest of 1, 2, 5, 10, 20, 50, … that covers `reach` in at most that many steps."""
    magnitude = 1
    while True:
        for digit in (1, 2, 5):
            if digit * magnitude * most_lines >= reach:
                return digit * magnitude
        magnitude *= 10

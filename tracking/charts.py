"""Charts of whole numbers, laid out for an SVG that needs no script and no styles. Pure.

All lengths are percentages of the plot, from its upper left corner.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

MOST_GRID_LINES = 5
X_LABELS = 8
GAP = 0.2
# More bars than this are too thin to be told apart on a phone: they become one curve.
MOST_BARS = 62
SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)


def with_commas(number: int) -> str:
    return f"{number:,}"


@dataclass(frozen=True, slots=True)
class Count:
    """One bar's worth: `label` names it in full, `short` on the axis; `before` is what it is compared with.

    `is_open` when it is still being counted.
    """

    label: str
    short: str
    count: int
    before: int | None = None
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """Below `zero` hangs what is less than nothing. `before_y` is where the bar that this one is compared with ends,
    None if it is with none.
    """

    label: str
    value: str
    x: float
    y: float
    width: float
    height: float
    before: str = ""
    before_y: float | None = None
    is_open: bool = False
    zero: float = 100

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 3)

    @property
    def tip(self) -> float:
        """Where the bar ends, seen from zero."""
        return self.y if self.y < self.zero else round(self.y + self.height, 3)

    @property
    def before_top(self) -> float | None:
        return None if self.before_y is None else min(self.before_y, self.zero)

    @property
    def before_height(self) -> float | None:
        return None if self.before_y is None else round(abs(self.zero - self.before_y), 3)

    @property
    def is_passed(self) -> bool:
        """Tell whether what it is compared with ends outside of the bar."""
        if self.before_y is None:
            return False
        return not min(self.y, self.zero) <= self.before_y <= self.y + self.height


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
    """With a `curve`, the path through the tops of all bars, these are not drawn.

    `curve_open` is the last piece of it, if that leads to what is still being counted; `area` is what lies between
    both and zero, `curve_before` the path of what the bars are compared with.
    """

    points: list[Bar]
    y_labels: list[YLabel]
    x_labels: list[XLabel]
    curve: str = ""
    curve_open: str = ""
    area: str = ""
    curve_before: str = ""


def bar_chart(
    counts: Sequence[Count],
    write: Callable[[int], str] = with_commas,
    steps: Callable[[int, int], int] | None = None,
    mark: Callable[[int], str] | None = None,
) -> BarChart:
    """Lay out a bar for each count, `write` being how numbers are written; none when all are zero.

    Counts below zero hang from it.

    `steps` chooses the distance of the grid's lines as `grid_step` does, which is what it is by default; `mark` is
    how the lines' numbers are written, if it is another way.
    """
    reached = [0, *(number for each in counts for number in (each.count, each.before or 0))]
    highest, lowest = max(reached), min(reached)
    if highest == lowest:
        return BarChart([], [], [])
    step = (steps or grid_step)(highest - lowest, MOST_GRID_LINES)
    top, bottom = -(-highest // step) * step, lowest // step * step

    def depth(count: int) -> float:
        return round(100 * (top - count) / (top - bottom), 3)

    slot = 100 / len(counts)
    bars = [
        Bar(
            label=each.label,
            value=write(each.count),
            x=round(slot * (n + GAP / 2), 3),
            y=depth(max(each.count, 0)),
            width=round(slot * (1 - GAP), 3),
            height=round(100 * abs(each.count) / (top - bottom), 3),
            before="" if each.before is None else write(each.before),
            before_y=None if each.before is None else depth(each.before),
            is_open=each.is_open,
            zero=depth(0),
        )
        for n, each in enumerate(counts)
    ]
    every = -(-len(counts) // X_LABELS)
    chart = BarChart(
        bars,
        [YLabel(depth(tick), (mark or write)(tick)) for tick in range(bottom, top + 1, step)],
        [XLabel(round(slot * (n + 0.5), 3), each.short) for n, each in enumerate(counts) if n % every == 0],
    )
    return chart if len(bars) <= MOST_BARS else _with_curves(chart, slot)


def _with_curves(chart: BarChart, slot: float) -> BarChart:
    tops = [(slot * (n + 0.5), bar.tip) for n, bar in enumerate(chart.points)]
    before = [(slot * (n + 0.5), bar.before_y) for n, bar in enumerate(chart.points) if bar.before_y is not None]
    closed = len(tops) - chart.points[-1].is_open
    return replace(
        chart,
        curve=_path(tops[:closed]),
        curve_open=_path(tops[closed - 1 :]) if closed < len(tops) else "",
        area=f"{_path(tops)} V{chart.points[0].zero:g} H{slot / 2:.3f} Z",
        curve_before=_path(before),
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return f"M{' L'.join(f'{x:.3f} {y}' for x, y in points)}" if points else ""


def grid_step(reach: int, most_lines: int) -> int:
    """Give the smallest of 1, 2, 5, 10, 20, 50, … that covers `reach` in at most that many steps."""
    magnitude = 1
    while True:
        for digit in (1, 2, 5):
            if digit * magnitude * most_lines >= reach:
                return digit * magnitude
        magnitude *= 10


def clock_step(reach: int, most_lines: int) -> int:
    """Give the smallest round time, in seconds, that covers `reach` seconds in at most that many steps."""
    fits = (step for step in SECONDS if step * most_lines >= reach)
    return next(fits, 3600 * grid_step(-(-reach // 3600), most_lines))

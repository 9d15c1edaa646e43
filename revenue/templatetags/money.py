"""Money in pages: amounts as text, and charts of money laid out for the component that draws them."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django import template

from revenue.money import format_money, format_short
from revenue.stats import Row
from tracking.charts import GAP, X_LABELS, grid_step

register = template.Library()
register.filter("money", format_money)

# A bar for each day, and beyond a year of them a bar for each month.
MOST_BARS = 366
GRID_LINES = 4


@register.inclusion_tag("components/_timeseries.html")
def money_timeseries(days: Sequence[Row], url: str, id: str, title: str, empty: str) -> dict[str, Any]:
    """Lay out the net of each day as a bar, downwards from the zero line where refunds exceed payments.

    All lengths are percentages of the plot, from its upper left corner.
    """
    bars = _bars(days)
    if not any(row.orders or row.net for row in days):
        bars = []
    nets = [net for _, _, net in bars]
    highest, lowest = max([1, *nets]), min([0, *nets])
    step = grid_step(highest - lowest, GRID_LINES)
    top, bottom = -(-highest // step) * step, lowest // step * step
    height = top - bottom
    slot = 100 / max(len(bars), 1)
    every = -(-len(bars) // X_LABELS) or 1
    currency = days[0].currency
    return {
        "id": id,
        "title": title,
        "url": url,
        "event": "revenue-changed",
        "points": [
            {
                "label": label,
                "value": format_money(net, currency),
                "x": round(slot * (n + GAP / 2), 3),
                "width": round(slot * (1 - GAP), 3),
                "y": round(100 * (top - max(net, 0)) / height, 3),
                "height": round(100 * abs(net) / height, 3),
            }
            for n, (label, _, net) in enumerate(bars)
        ],
        "y_labels": [
            {"y": round(100 * (top - tick) / height, 3), "text": format_short(tick, currency)}
            for tick in range(bottom, top + 1, step)
        ],
        "x_labels": [
            {"x": round(slot * (n + 0.5), 3), "text": short} for n, (_, short, _) in enumerate(bars) if n % every == 0
        ],
        "summary": f"Net revenue by {'day' if len(days) <= MOST_BARS else 'month'}, "
        f"{format_money(sum(nets), currency)} in total.",
        "point_heading": "Day" if len(days) <= MOST_BARS else "Month",
        "value_heading": "Net revenue",
        "empty": empty,
    }


def _bars(days: Sequence[Row]) -> list[tuple[str, str, int]]:
    """Give each bar's label, its short one for the axis, and its net."""
    dated = [(dt.date.fromisoformat(row.value), row.net) for row in days]
    if len(days) <= MOST_BARS:
        return [(f"{day:%a %-d %b %Y}", f"{day:%-d %b}", net) for day, net in dated]
    months: Counter[dt.date] = Counter()
    for day, net in dated:
        months[day.replace(day=1)] += net
    return [(f"{month:%B %Y}", f"{month:%b %Y}", net) for month, net in months.items()]

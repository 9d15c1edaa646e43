"""The headline figures as people read them: rounded, with what has changed since the period before."""

import datetime as dt
from dataclasses import dataclass

from tracking.stats import Comparison


@dataclass(frozen=True, slots=True)
class Figure:
    """`direction` is "good", "bad", or "" when there is nothing to judge."""

    label: str
    value: str
    change: str = ""
    direction: str = ""
    note: str = ""


def figures(counted: Comparison) -> list[Figure]:
    now, before = counted.current, counted.previous
    return [
        _count("Visitors", now.visitors, before.visitors),
        _count("Visits", now.visits, before.visits),
        _count("Views", now.views, before.views),
        _views_per_visit(now.views_per_visit, before.views_per_visit),
        _bounce_rate(now.bounce_rate, before.bounce_rate),
        _duration(now.visit_duration, before.visit_duration),
    ]


def _count(label: str, now: int, before: int) -> Figure:
    return Figure(label, f"{now:,}", *_change(now, before), note=f"from {before:,}")


def _views_per_visit(now: float | None, before: float | None) -> Figure:
    if now is None:
        return Figure("Views per visit", "–")
    if before is None:
        return Figure("Views per visit", f"{now:.1f}")
    # As shown: 2.2 is no fall from 2.2.
    change = _change(round(now, 1), round(before, 1))
    return Figure("Views per visit", f"{now:.1f}", *change, note=f"from {before:.1f}")


def _bounce_rate(now: float | None, before: float | None) -> Figure:
    if now is None:
        return Figure("Bounce rate", "–")
    if before is None:
        return Figure("Bounce rate", f"{now:.0%}")
    points = round(100 * now) - round(100 * before)
    direction = "bad" if points > 0 else "good" if points < 0 else ""
    change = f"{_signed(points)} {'point' if abs(points) == 1 else 'points'}"
    return Figure("Bounce rate", f"{now:.0%}", change, direction, f"from {before:.0%}")


def _duration(now: dt.timedelta | None, before: dt.timedelta | None) -> Figure:
    if now is None:
        return Figure("Visit duration", "–")
    if before is None:
        return Figure("Visit duration", _clock(now))
    change = _change(now.total_seconds(), before.total_seconds())
    return Figure("Visit duration", _clock(now), *change, note=f"from {_clock(before)}")


def _change(now: float, before: float) -> tuple[str, str]:
    """Give the change in percent, and its direction when more is better; nothing when there was nothing."""
    if not before:
        return "", ""
    percent = round(100 * (now - before) / before)
    return f"{_signed(percent)}%", "good" if percent > 0 else "bad" if percent < 0 else ""


def _signed(number: int) -> str:
    return f"+{number:,}" if number > 0 else f"−{-number:,}" if number < 0 else "±0"


def _clock(duration: dt.timedelta) -> str:
    minutes, seconds = divmod(round(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"

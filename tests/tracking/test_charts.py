import datetime as dt
import itertools

import pytest

from tracking.charts import MOST_BARS, Bar, BarChart, Count, XLabel, YLabel, bar_chart, clock_step
from tracking.figures import Metric
from tracking.moments import counts, is_open
from tracking.stats import Bucket, Point, Totals

moment = dt.datetime.fromisoformat


def test_bars_are_laid_out_in_percent_of_the_plot() -> None:
    chart = bar_chart([Count("Monday", "Mo", 1700), Count("Tuesday", "Tu", 0)])
    assert chart == BarChart(
        points=[Bar("Monday", "1,700", 5, 15, 40, 85), Bar("Tuesday", "0", 55, 100, 40, 0)],
        y_labels=[YLabel(100, "0"), YLabel(75, "500"), YLabel(50, "1,000"), YLabel(25, "1,500"), YLabel(0, "2,000")],
        x_labels=[XLabel(25, "Mo"), XLabel(75, "Tu")],
    )


def test_bars_show_what_they_are_compared_with_on_the_same_scale() -> None:
    (bar,) = bar_chart([Count("Monday", "Mo", 5, before=10)]).points
    assert (bar.y, bar.height) == (50, 50)
    assert (bar.before, bar.before_y, bar.before_height) == ("10", 0, 100)
    assert bar_chart([Count("Monday", "Mo", 0, before=3)]).points[0].before == "3"


def test_what_is_less_than_nothing_hangs_from_zero() -> None:
    chart = bar_chart([Count("Monday", "Mo", 30, before=-10), Count("Tuesday", "Tu", -10, before=-5)])
    assert [(bar.y, bar.height, bar.tip) for bar in chart.points] == [(0, 75, 0), (75, 25, 100)]
    assert [(bar.before_top, bar.before_height, bar.before_y) for bar in chart.points] == [
        (75, 25, 100),
        (75, 12.5, 87.5),
    ]
    assert [bar.is_passed for bar in chart.points] == [True, False]
    assert [(tick.y, tick.text) for tick in chart.y_labels] == [
        (100, "-10"), (75, "0"), (50, "10"), (25, "20"), (0, "30"),
    ]  # fmt: skip
    (low,) = bar_chart([Count("", "", -3)]).points
    assert (low.y, low.height) == (0, 100)


def test_a_curve_of_losses_runs_below_zero() -> None:
    chart = bar_chart([Count("", "", n % 2 * 2 - 1, before=0) for n in range(100)])
    assert chart.curve.startswith("M0.500 100.0 L1.500 0.0 L2.500 100.0 L")
    assert chart.area.endswith(" V50 H0.500 Z")
    assert chart.curve_before.startswith("M0.500 50.0 L1.500 50.0")


@pytest.mark.parametrize(
    ("largest", "top"), [(1, "1"), (5, "5"), (6, "6"), (7, "8"), (11, "15"), (25, "25"), (26, "30"), (101, "150")]
)
def test_the_scale_ends_just_above_the_largest_count(largest: int, top: str) -> None:
    assert bar_chart([Count("", "", largest)]).y_labels[-1] == YLabel(0, top)


@pytest.mark.parametrize(
    ("reach", "step"),
    [(1, 1), (6, 2), (26, 10), (61, 15), (100, 30), (301, 120), (1801, 600), (9001, 3600), (99999, 36000)],
)
def test_a_scale_of_time_has_steps_that_clocks_have(reach: int, step: int) -> None:
    assert clock_step(reach, 5) == step


@pytest.mark.parametrize(("bars", "labels"), [(1, 1), (8, 8), (9, 5), (24, 8), (30, 8), (366, 8)])
def test_the_axis_names_at_most_eight_bars(bars: int, labels: int) -> None:
    assert len(bar_chart([Count("", "", 1)] * bars).x_labels) == labels


def test_nothing_but_zeros_makes_no_bars() -> None:
    assert bar_chart([Count("Monday", "Mo", 0)] * 7) == bar_chart([]) == BarChart([], [], [])


def test_more_bars_than_a_phone_can_show_are_a_curve() -> None:
    assert bar_chart([Count("", "", 1)] * MOST_BARS).curve == ""
    chart = bar_chart([Count("", "", n % 2, before=1) for n in range(100)])
    assert chart.curve.startswith("M0.500 100.0 L1.500 0.0 L2.500 100.0 L")
    assert chart.area == f"{chart.curve} V100 H0.500 Z"
    assert chart.curve_before == "M" + " L".join(f"{n + 0.5:.3f} 0.0" for n in range(100))
    assert (chart.points[1].middle, chart.points[1].y) == (1.5, 0)


def test_the_piece_of_a_curve_that_is_still_counted_is_apart() -> None:
    told = [Count("", "", 1)] * 98 + [Count("", "", 2), Count("", "", 0, is_open=True)]
    chart = bar_chart(told)
    assert chart.curve.endswith("L97.500 50.0 L98.500 0.0")
    assert chart.curve_open == "M98.500 0.0 L99.500 100.0"
    assert chart.area.endswith("L99.500 100.0 V100 H0.500 Z")
    assert chart.curve_before == ""


@pytest.mark.parametrize(
    ("bucket", "start", "is_it"),
    [
        (Bucket.HOUR, moment("2026-11-25T13:00"), True),
        (Bucket.HOUR, moment("2026-11-25T12:00"), False),
        (Bucket.HOUR, moment("2026-11-25T14:00"), False),
        (Bucket.DAY, moment("2026-11-25"), True),
        (Bucket.DAY, moment("2026-11-24"), False),
        (Bucket.WEEK, moment("2026-11-23"), True),
        (Bucket.WEEK, moment("2026-11-16"), False),
        (Bucket.MONTH, moment("2026-11-01"), True),
        (Bucket.MONTH, moment("2025-11-01"), False),
    ],
)
def test_a_span_is_open_until_it_has_ended(bucket: Bucket, start: dt.datetime, is_it: bool) -> None:
    assert is_open(start, bucket, moment("2026-11-25T13:30")) is is_it


def test_moments_are_paired_with_those_at_the_same_place_of_the_period_before() -> None:
    days = [moment(f"2026-11-{day}") for day in (24, 25)]
    points = [Point(day, Totals(visitors=n)) for n, day in enumerate(days, 1)]
    before = [Point(moment("2026-11-22"), Totals(visitors=7))]
    told = counts(points, before, Metric.VISITORS, Bucket.DAY, moment("2026-11-25T09:00"))
    assert told == [
        Count("Tue 24 Nov 2026", "24 Nov", 1, 7),
        Count("Wed 25 Nov 2026, so far", "25 Nov", 2, None, is_open=True),
    ]


def test_every_scale_covers_what_it_shows_in_at_most_five_steps() -> None:
    for largest, steps in itertools.product(range(1, 3000, 7), (None, clock_step)):
        labels = bar_chart([Count("", "", largest)], str, steps).y_labels
        assert len(labels) <= 6
        assert int(labels[-1].text) >= largest

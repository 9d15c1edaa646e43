import pytest

from tracking.charts import Bar, BarChart, Count, XLabel, YLabel, bar_chart


def test_bars_are_laid_out_in_percent_of_the_plot() -> None:
    chart = bar_chart([Count("Monday", "Mo", 1700), Count("Tuesday", "Tu", 0)])
    assert chart == BarChart(
        points=[Bar("Monday", "1,700", 5, 15, 40, 85), Bar("Tuesday", "0", 55, 100, 40, 0)],
        y_labels=[YLabel(100, "0"), YLabel(75, "500"), YLabel(50, "1,000"), YLabel(25, "1,500"), YLabel(0, "2,000")],
        x_labels=[XLabel(25, "Mo"), XLabel(75, "Tu")],
    )


@pytest.mark.parametrize(
    ("largest", "top"), [(1, "1"), (5, "5"), (6, "6"), (7, "8"), (11, "15"), (25, "25"), (26, "30"), (101, "150")]
)
def test_the_scale_ends_just_above_the_largest_count(largest: int, top: str) -> None:
    assert bar_chart([Count("", "", largest)]).y_labels[-1] == YLabel(0, top)


@pytest.mark.parametrize(("bars", "labels"), [(1, 1), (8, 8), (9, 5), (24, 8), (30, 8), (366, 8)])
def test_the_axis_names_at_most_eight_bars(bars: int, labels: int) -> None:
    assert len(bar_chart([Count("", "", 1)] * bars).x_labels) == labels


def test_nothing_but_zeros_makes_no_bars() -> None:
    assert bar_chart([Count("Monday", "Mo", 0)] * 7) == bar_chart([]) == BarChart([], [], [])

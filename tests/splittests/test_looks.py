import datetime as dt

from splittests.inference import Interval, Sums
from splittests.looks import Growth, Look, charts, looks
from splittests.readings import compare

DAY = dt.date(2026, 11, 20)


def arm(visitors: int, conversions: int, amount: int = 100) -> Growth:
    return Growth(Sums(visitors, conversions * amount, conversions * amount**2), conversions)


def test_a_day_is_read_as_it_would_have_been_that_evening() -> None:
    few, many, more = arm(200, 20), arm(1000, 100), arm(1000, 150)
    found = looks([(DAY, [many, few, few]), (DAY + dt.timedelta(days=1), [many, few, more])], planned=5000)
    (_, compared) = compare([many.sums, few.sums, more.sums], 5000)
    assert compared.always is not None
    assert found == [
        Look(DAY, (None, None)),
        Look(DAY + dt.timedelta(days=1), (None, compared.always.difference)),
    ]


def test_no_day_is_read_while_the_control_has_too_few() -> None:
    (found,) = looks([(DAY, [arm(1000, 20), arm(1000, 100)])], planned=None)
    assert found.intervals == (None,)


def look(days: int, *intervals: Interval | None) -> Look:
    return Look(DAY + dt.timedelta(days=days), intervals)


def test_charts_share_a_scale_and_hold_the_whole_interval() -> None:
    found = [
        look(0, Interval(-10, -50, 30), None),
        look(1, None, Interval(100, 60, 140)),
        look(4, Interval(20, 0, 40), Interval(110, 90, 130)),
    ]
    first, second = charts(["B", "C"], found, "eur")
    assert (first.name, second.name) == ("B", "C")
    assert [label.text for label in first.y_labels] == ["-€0.50", "€0.00", "€0.50", "€1.00", "€1.50"]
    assert first.y_labels == second.y_labels
    assert first.zero == second.zero == 75
    assert first.band == "M0.0 60.0 L100.0 55.0 L100.0 75.0 L0.0 100.0 Z"
    assert first.curve == "M0.0 80.0 L100.0 65.0"
    assert [(point.x, point.low, point.estimate, point.high) for point in second.points] == [
        (0, "€0.60", "€1.00", "€1.40"),
        (100, "€0.90", "€1.10", "€1.30"),
    ]
    assert [label.text for label in first.x_labels] == ["20 Nov", "24 Nov"]
    assert first.summary == "B: -€0.50 to €0.30 on 20 November, €0.00 to €0.40 on 24 November."


def test_one_day_is_no_line() -> None:
    assert charts(["B"], [look(0, Interval(1, 0, 2)), look(1, None)], "eur") == []
    assert charts(["B"], [], "eur") == []


def test_a_month_has_few_labels() -> None:
    found = [look(day, Interval(5.5, -3.2, 9.1)) for day in range(31)]
    (chart,) = charts(["B"], found, "jpy")
    assert len(chart.x_labels) <= 8
    assert len(chart.points) == 31
    assert [label.text for label in chart.y_labels] == ["-¥5", "¥0", "¥5", "¥10"]

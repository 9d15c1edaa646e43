import pytest

from tracking.figures import Figure, Metric, clock, figures, marks, measure, written
from tracking.stats import Comparison, Totals


def figure(metric: str, label: str, value: str, change: str = "", direction: str = "", note: str = "") -> Figure:
    return Figure(Metric(metric), label, value, change, direction, note)


def test_figures_tell_what_has_changed() -> None:
    now = Totals(visitors=1200, visits=1500, views=3000, bounces=600, seconds=1500 * 90)
    before = Totals(visitors=1000, visits=1500, views=6000, bounces=585, seconds=1500 * 4500)
    assert figures(Comparison(now, before)) == [
        figure("visitors", "Visitors", "1,200", "+20%", "good", "from 1,000"),
        figure("visits", "Visits", "1,500", "±0%", "", "from 1,500"),
        figure("views", "Views", "3,000", "−50%", "bad", "from 6,000"),
        figure("views-per-visit", "Views per visit", "2.0", "−50%", "bad", "from 4.0"),
        figure("bounce-rate", "Bounce rate", "40%", "+1 point", "bad", "from 39%"),
        figure("visit-duration", "Visit duration", "1m 30s", "−98%", "bad", "from 1h 15m"),
    ]


def test_figures_without_anything_before_claim_no_change() -> None:
    now = Totals(visitors=1, visits=1, views=1, bounces=1, seconds=0)
    assert figures(Comparison(now, Totals())) == [
        figure("visitors", "Visitors", "1", note="from 0"),
        figure("visits", "Visits", "1", note="from 0"),
        figure("views", "Views", "1", note="from 0"),
        figure("views-per-visit", "Views per visit", "1.0"),
        figure("bounce-rate", "Bounce rate", "100%"),
        figure("visit-duration", "Visit duration", "0s"),
    ]


def test_figures_that_are_compared_with_nothing_say_no_change() -> None:
    now, before = Totals(visitors=2, visits=2, views=2), Totals(visitors=1, visits=1, views=1)
    found = figures(Comparison(now, before), is_compared=False)
    assert [each.value for each in found] == ["2", "2", "2", "1.0", "0%", "0s"]
    assert {(each.change, each.direction, each.note) for each in found} == {("", "", "")}


def test_figures_of_nothing_are_dashes() -> None:
    assert [each.value for each in figures(Comparison(Totals(), Totals()))] == ["0", "0", "0", "–", "–", "–"]


def test_a_change_that_cannot_be_seen_is_none() -> None:
    now, before = Totals(visits=100, views=219), Totals(visits=100, views=221)
    assert figures(Comparison(now, before))[3] == figure(
        "views-per-visit", "Views per visit", "2.2", "±0%", "", "from 2.2"
    )


@pytest.mark.parametrize(
    ("metric", "number", "text"),
    [
        (Metric.VISITORS, 12, "12"),
        (Metric.VISITS, 1234567, "1,234,567"),
        (Metric.VIEWS, 0, "0"),
        (Metric.VIEWS_PER_VISIT, 25, "2.5"),
        (Metric.BOUNCE_RATE, 40, "40%"),
        (Metric.VISIT_DURATION, 61, "1m 01s"),
    ],
)
def test_each_figure_is_charted_as_a_whole_number_that_is_written_like_it(
    metric: Metric, number: int, text: str
) -> None:
    counted = Totals(visitors=12, visits=1234567, views=0)
    if metric in (Metric.VISITORS, Metric.VISITS, Metric.VIEWS):
        assert measure(metric, counted) == number
    assert written(metric)(number) == text


def test_means_are_charted_as_tenths_percent_and_seconds() -> None:
    counted = Totals(visitors=4, visits=4, views=10, bounces=1, seconds=242)
    means = (Metric.VIEWS_PER_VISIT, Metric.BOUNCE_RATE, Metric.VISIT_DURATION)
    assert [measure(metric, counted) for metric in means] == [25, 25, 60]
    assert [measure(metric, Totals()) for metric in means] == [0, 0, 0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m 00s"), (3599, "59m 59s"), (3600, "1h 00m"), (90061, "25h 01m")],
)
def test_times_are_written_with_their_two_largest_units(seconds: int, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("metric", "number", "text"),
    [
        (Metric.VIEWS, 500, "500"),
        (Metric.VIEWS, 1500, "1.5K"),
        (Metric.VISITORS, 20_000_000, "20M"),
        (Metric.VISITS, 0, "0"),
        (Metric.VIEWS_PER_VISIT, 15, "1.5"),
        (Metric.VISIT_DURATION, 1800, "30m 00s"),
    ],
)
def test_beside_a_chart_large_numbers_are_short(metric: Metric, number: int, text: str) -> None:
    assert marks(metric)(number) == text

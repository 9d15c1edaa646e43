import datetime as dt

from tracking.figures import Figure, figures
from tracking.stats import Comparison, Totals


def minutes(number: float) -> dt.timedelta:
    return dt.timedelta(minutes=number)


def test_figures_tell_what_has_changed() -> None:
    now = Totals(visitors=1200, visits=1500, views=3000, bounces=600, duration=minutes(1500 * 1.5))
    before = Totals(visitors=1000, visits=1500, views=6000, bounces=585, duration=minutes(1500 * 75))
    assert figures(Comparison(now, before)) == [
        Figure("Visitors", "1,200", "+20%", "good", "from 1,000"),
        Figure("Visits", "1,500", "±0%", "", "from 1,500"),
        Figure("Views", "3,000", "−50%", "bad", "from 6,000"),
        Figure("Views per visit", "2.0", "−50%", "bad", "from 4.0"),
        Figure("Bounce rate", "40%", "+1 point", "bad", "from 39%"),
        Figure("Visit duration", "1m 30s", "−98%", "bad", "from 1h 15m"),
    ]


def test_figures_without_anything_before_claim_no_change() -> None:
    now = Totals(visitors=1, visits=1, views=1, bounces=1, duration=dt.timedelta())
    assert figures(Comparison(now, Totals())) == [
        Figure("Visitors", "1", note="from 0"),
        Figure("Visits", "1", note="from 0"),
        Figure("Views", "1", note="from 0"),
        Figure("Views per visit", "1.0"),
        Figure("Bounce rate", "100%"),
        Figure("Visit duration", "0s"),
    ]


def test_figures_of_nothing_are_dashes() -> None:
    assert [figure.value for figure in figures(Comparison(Totals(), Totals()))] == ["0", "0", "0", "–", "–", "–"]


def test_a_change_that_cannot_be_seen_is_none() -> None:
    now, before = Totals(visits=100, views=219), Totals(visits=100, views=221)
    assert figures(Comparison(now, before))[3] == Figure("Views per visit", "2.2", "±0%", "", "from 2.2")
